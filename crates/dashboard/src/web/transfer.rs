//! Shared files on their way to those who get them: the web seed for BitTorrent clients, and downloads for browsers.
//!
//! Nothing that is shared is ever shown by a browser as a page of this server: it is sent as a file to save, of no type that a
//! browser renders, with a policy that would run and load nothing.

mod answer;
mod chunks;
mod conditions;
mod download;
mod file_body;
mod outgoing;
mod pacer;
mod path;
mod range;
mod seed;
mod send_file;
mod zip;

use std::num::NonZeroU64;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_SECURITY_POLICY, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_server::{ConnectionLimit, ConnectionPermit};
use torrent_library::{Content, Contents, OpenError};

pub(super) use file_body::Handover;
pub(crate) use outgoing::Outgoing;
pub(super) use send_file::send_file;

use super::Dashboard;
use super::client::Client;
use super::problem::Problem;
use pacer::Pacer;

/// The maximum number of transfers at the same time.
const MAX_TRANSFERS: usize = 256;

/// The maximum number of transfers to one address at the same time. This machine has no limit of its own: a proxy may bring many
/// clients from there.
const MAX_TRANSFERS_PER_ADDRESS: usize = 8;

/// The maximum number of zip archives to one address at the same time: each reads a whole folder.
const MAX_ZIPS_PER_ADDRESS: usize = 1;

/// Seconds after which those who get no transfer now may ask again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The policy for what is shared, if it were shown in spite of all.
const SANDBOX: (HeaderName, HeaderValue) =
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));

pub(super) fn router() -> Router<Dashboard> {
    let form_limit = DefaultBodyLimit::max(zip::MAX_FORM_BYTES);
    Router::new()
        .route("/seed/{*path}", get(seed::file))
        .route("/download/{hash}", get(download::whole).post(download::chosen).layer(form_limit))
        .route("/download/{hash}/", get(download::whole))
        .route("/download/{hash}/{*path}", get(download::part))
}

/// Returns `true` if what is asked for is for BitTorrent clients, which read no pages.
pub(super) fn is_for_clients(uri: &Uri) -> bool {
    uri.path().starts_with("/seed/")
}

/// An error for a BitTorrent client: a short text, and when to ask again.
pub(super) fn plain_error(problem: &Problem) -> Response {
    let mut response = (problem.status, [SANDBOX], format!("{}\n", problem.error)).into_response();
    if matches!(problem.status, StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Reports a file of a content, at this path in it, that cannot be opened: to the log if it cannot be read, else to those who look
/// after what is shared, since it has changed.
fn report_unopened(contents: &Contents, content: &Content, path: &str, error: &OpenError) {
    if let OpenError::Read(error) = error {
        tracing::warn!(name = content.name(), path, "a shared file cannot be read: {error}");
    } else {
        contents.report_changed(content.id());
    }
}

/// The limits on transfers.
#[derive(Debug)]
pub(super) struct Transfers {
    limit: Arc<ConnectionLimit>,
    zips: Arc<ConnectionLimit>,
    pacer: Option<Pacer>,
}

impl Transfers {
    /// With at most so many bytes per second, if that is limited.
    pub(super) fn new(upload_limit: Option<NonZeroU64>) -> Self {
        let limit = ConnectionLimit::new(MAX_TRANSFERS, MAX_TRANSFERS_PER_ADDRESS, 0);
        let zips = ConnectionLimit::new(MAX_TRANSFERS, MAX_ZIPS_PER_ADDRESS, 0);
        Self { limit: Arc::new(limit), zips: Arc::new(zips), pacer: upload_limit.map(Pacer::new) }
    }

    /// A transfer of a zip archive to this client, if the limits allow one more, and the client's turn to have one.
    pub(super) fn begin_zip(&self, client: Client) -> Result<(Outgoing, ConnectionPermit), Problem> {
        let turn = self.zips.acquire(client.group, client.is_this_machine).map_err(|_| {
            let why = "this computer is already downloading a folder. Wait until that is done, then try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        Ok((self.begin(client)?, turn))
    }

    /// A transfer to this client, if the limits allow one more.
    pub(super) fn begin(&self, client: Client) -> Result<Outgoing, Problem> {
        let permit = self.limit.acquire(client.group, client.is_this_machine).map_err(|_| {
            let why = "too many downloads at once; try again in a few seconds";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        Ok(Outgoing::new(permit, self.pacer.clone(), client.group))
    }
}
