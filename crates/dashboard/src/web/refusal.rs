//! The answer to those who may not have any page.

use askama::Template;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};

use super::assets;
use super::problem::Problem;
use super::shell::render;
use super::transfer;

/// The answer to a request that is refused: a page in a browser, a short text for a BitTorrent client, JSON for all others.
pub(super) fn answer(problem: Problem, request: &Request) -> Response {
    if transfer::is_for_clients(request.uri()) {
        transfer::plain_error(&problem)
    } else if accepts_html(request.headers()) {
        page(&problem)
    } else {
        problem.into_response()
    }
}

/// A page that stands alone.
fn page(problem: &Problem) -> Response {
    let reason = problem.status.canonical_reason().unwrap_or("Error");
    (problem.status, render(&RefusedPage { reason, error: &problem.error, assets: assets::folder() })).into_response()
}

/// Returns `true` if the sender is a browser that wants a page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

/// An error in a page without anything around it.
#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    reason: &'static str,
    error: &'a str,
    assets: String,
}
