//! QR codes of the pages for those who come to get a file.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};
use serde::Deserialize;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::problem::Problem;
use crate::web::public::page_url;
use crate::web::reached_at::ReachedAt;
use crate::web::shell::render_blocking;

/// The page whose URL is encoded: one of the tracker's own only, so that nobody can plant a misleading code here.
#[derive(Debug, Deserialize)]
pub(super) struct QrParams {
    /// The key of a file; `/` for the page of all files.
    page: String,
}

/// `GET /qr.svg?page={key}`.
pub(super) async fn svg(
    State(dashboard): State<Dashboard>,
    viewer: ReachedAt,
    Query(params): Query<QrParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| code(dashboard, viewer, &params.page)).await
}

fn code(dashboard: &Dashboard, viewer: ReachedAt, page: &str) -> Response {
    let text = match page {
        "/" => page_url(dashboard, viewer, None),
        key => key.parse().ok().and_then(|key| page_url(dashboard, viewer, Some(key))),
    };
    let Some(text) = text else {
        return Problem::new(StatusCode::NOT_FOUND, "there is nothing to make a QR code of").into_response();
    };
    match draw(&dashboard.with_code(text)) {
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
