//! The URL under which others open a page.

use std::net::IpAddr;

use torrent_library::ContentKey;

use crate::web::Dashboard;
use crate::web::page_addresses::is_for_others;
use crate::web::reached_at::ReachedAt;
use crate::web::shell::link;

/// The URL of a page, as others reach it, and its QR code.
pub(in crate::web) struct PageLink {
    pub(in crate::web) url: String,
    /// The URL of the image.
    pub(in crate::web) code: String,
}

impl PageLink {
    /// Those of the page with [`page_url`].
    pub(in crate::web) fn of(dashboard: &Dashboard, viewer: ReachedAt, key: Option<ContentKey>) -> Option<Self> {
        let url = page_url(dashboard, viewer, key)?;
        let page = key.map_or_else(|| "/".to_owned(), |key| key.to_string());
        // With the URL, browsers fetch another image when the machine is in another network. It is not what is encoded.
        let code = link("/qr.svg", &[("page", &page), ("url", &url)]);
        Some(Self { url: dashboard.with_code(url), code })
    }
}

/// The URL under which others open the page of a file, or without a key that of all files: by the address by which this viewer
/// came, if it means the same to them, or else by the best one of this machine. `None` if only this machine reaches the page.
pub(in crate::web) fn page_url(dashboard: &Dashboard, viewer: ReachedAt, key: Option<ContentKey>) -> Option<String> {
    let addresses = dashboard.0.page_addresses.for_viewer(viewer);
    let address = addresses.into_iter().find(|address| is_for_others(address.ip()))?;
    let path = match key {
        Some(key) => dashboard.path(&format!("/files/{key}")),
        None if dashboard.base_path().is_empty() => String::new(),
        None => dashboard.path("/"),
    };
    let (scheme, default_port) = if dashboard.has_tls() { ("https", 443) } else { ("http", 80) };
    Some(match address.ip() {
        IpAddr::V4(ip) if address.port() == default_port => format!("{scheme}://{ip}{path}"),
        _ => format!("{scheme}://{address}{path}"),
    })
}
