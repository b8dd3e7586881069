//! The operator's pages, under `/manage`: HTML that shows everything without scripts, and that the scripts in `assets/` fetch
//! again to stay current.

mod attention;
mod by_hand;
mod client_rules;
mod completion;
mod computers;
mod connections;
mod course;
mod file;
mod files;
mod giving;
mod log;
mod missing;
mod moved;
mod picture;
mod qr;
mod report;
mod search;
mod share;
mod tracker;
mod users;

use std::mem;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::public;
use super::refusal::accepts_html;
use super::role::Role;
use super::shell::{Section, Shell, render};
use super::{Dashboard, assets, transfer};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/manage", get(files::page))
        .route("/manage/files/{key}", get(file::page).post(file::change))
        .route("/manage/computers", get(computers::page).post(computers::name))
        .route("/manage/report", get(report::page).post(report::begin))
        .route("/manage/share", get(share::page))
        .route("/manage/share/by-hand", get(by_hand::page))
        .route("/manage/tracker", get(tracker::page))
        .route(client_rules::PATH, post(client_rules::change))
        .route("/manage/log", get(log::page))
        .route("/manage/users", get(users::page).post(users::change))
        .merge(public::router())
        .merge(moved::router())
        .route("/plots/{name}", get(tracker::plot))
        .route("/qr.svg", get(qr::svg))
        .route("/assets/{name}", get(assets::plain))
        .route("/assets/{version}/{name}", get(assets::versioned))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such page"))
}

/// Gives errors to people as pages: where a browser asks for HTML, a [`Problem`] or a bare status becomes some. BitTorrent
/// clients get a short text.
pub(super) async fn readable_errors(State(dashboard): State<Dashboard>, request: Request, next: Next) -> Response {
    if transfer::is_for_clients(request.uri()) {
        let response = next.run(request).await;
        return response.extensions().get().map(transfer::plain_error).unwrap_or(response);
    }
    let wants_html = matches!(*request.method(), Method::GET | Method::POST) && accepts_html(request.headers());
    let is_of_operator =
        request.uri().path().strip_prefix("/manage").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let back = match request.uri().path() {
        users::PATH => (users::PATH, "Back to the users"),
        client_rules::PATH => (client_rules::SHOWN_ON, "Back to the tracker"),
        _ => ("/manage", "Back to the files"),
    };
    let (mut parts, body) = request.into_parts();
    let role = if wants_html {
        Role::from_request_parts(&mut parts, &dashboard).await.unwrap_or(Role::Viewer)
    } else {
        Role::Viewer
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !wants_html || is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = response.extensions().get::<Problem>().map(|problem| &*problem.error);
    let mut page = if is_of_operator {
        let reason = status.canonical_reason().unwrap_or("Error");
        let shell = Shell::new(&dashboard, role, Section::None);
        (status, render(&ErrorPage { shell, status: status.as_u16(), reason, error, back })).into_response()
    } else {
        public::error_page(&dashboard, status, error)
    };
    // All that it said otherwise stays, such as which methods there are.
    let mut headers = response.into_parts().0.headers;
    headers.remove(CONTENT_LENGTH);
    headers.extend(mem::take(page.headers_mut()));
    *page.headers_mut() = headers;
    page
}

/// An error, for people.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Shell,
    status: u16,
    reason: &'static str,
    /// Unless the reason says it all.
    error: Option<&'a str>,
    /// The path of the page to go on with, and its link.
    back: (&'static str, &'static str),
}
