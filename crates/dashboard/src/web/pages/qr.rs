//! QR codes of pages, announce URLs and magnet links.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};
use serde::Deserialize;
use tracker_core::InfoHash;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::problem::Problem;
use crate::web::public::page_url;
use crate::web::reached_at::ReachedAt;

use crate::web::shell::render_blocking;

/// The text to encode, chosen from the tracker's own texts only, so that nobody can plant a misleading code on this page.
#[derive(Debug, Deserialize)]
pub(super) struct QrParams {
    /// The announce URL with this number, from 0.
    announce: Option<usize>,
    /// The magnet link of this torrent.
    magnet: Option<String>,
    /// The page of the file with this key; `/` for that of all files.
    page: Option<String>,
}

/// `GET /qr.svg?announce=0`, `?magnet={info_hash}` or `?page={key}`.
pub(super) async fn svg(
    State(dashboard): State<Dashboard>,
    viewer: ReachedAt,
    Query(params): Query<QrParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| code(dashboard, viewer, params)).await
}

fn code(dashboard: &Dashboard, viewer: ReachedAt, params: QrParams) -> Response {
    let text = match (params.announce, params.magnet, params.page) {
        (Some(index), ..) => dashboard.announce_urls().get(index).cloned(),
        (None, Some(info_hash), _) => info_hash
            .parse::<InfoHash>()
            .ok()
            .and_then(|info_hash| dashboard.0.config.library.get(&info_hash))
            .map(|torrent| torrent.magnet(&dashboard.urls_for(viewer, &torrent))),
        (None, None, Some(page)) if page == "/" => page_url(dashboard, viewer, None),
        (None, None, Some(key)) => key.parse().ok().and_then(|key| page_url(dashboard, viewer, Some(key))),
        (None, None, None) => None,
    };
    let Some(text) = text else {
        return Problem::new(StatusCode::NOT_FOUND, "there is nothing to make a QR code of").into_response();
    };
    match draw(&text) {
        Some(svg) => ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-cache")], svg).into_response(),
        None => Problem::new(StatusCode::NOT_FOUND, "this is too long for a QR code").into_response(),
    }
}

/// Dark on light in every theme: scanners of telephones want it so. `None` when the text is too long.
fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
        .ok()?;
    Some(code.render().min_dimensions(240, 240).dark_color(Color("#14202b")).light_color(Color("#ffffff")).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_an_svg_and_too_long_a_text_is_none() {
        let svg = draw("http://192.168.1.10:6969/announce").unwrap();
        assert!(svg.contains("<svg") && svg.contains("#14202b"));
        assert_eq!(draw(&"x".repeat(4000)), None);
    }
}
