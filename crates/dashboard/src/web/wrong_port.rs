//! Announces that come to the port for people.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Dashboard;
use super::problem::Problem;
use super::reached_at::ReachedAt;
use super::refusal::accepts_html;

/// Seconds after which clients are to ask again: the user has to change something first.
const INTERVAL: u64 = 1800;

pub(super) fn router() -> Router<Dashboard> {
    let paths = ["/announce", "/announce/{*key}", "/scrape", "/scrape/{*key}"];
    paths.into_iter().fold(Router::new(), |routes, path| routes.route(path, get(refuse)))
}

/// Returns `true` if this path is for BitTorrent clients, on another port.
pub(super) fn is_for_clients(path: &str) -> bool {
    ["/announce", "/scrape"]
        .iter()
        .any(|start| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Tells the user of a client what is wrong with the URL. Clients show the text of a bencoded failure, and of other answers a
/// number.
async fn refuse(State(dashboard): State<Dashboard>, viewer: ReachedAt, headers: HeaderMap) -> Response {
    // Clients write it into their logs: without a key.
    let viewer = viewer.without_user_key();
    let reason = match dashboard.announce_urls_for(viewer).first() {
        Some(_) if dashboard.is_for_users() => {
            "this is the port of the tracker's page: get the .torrent again, which has the announce URL".to_owned()
        }
        Some(url) => format!("this is the port of the tracker's page: the tracker's announce URL is {url}"),
        None => "this is the port of the tracker's page, and the tracker is stopped".to_owned(),
    };
    if accepts_html(&headers) {
        return Problem::new(StatusCode::NOT_FOUND, reason).into_response();
    }
    let body = bencode::encode(|value| {
        value.dict(|answer| {
            answer.bytes("failure reason", &reason);
            answer.int("interval", INTERVAL);
        });
    });
    ([(CONTENT_TYPE, "text/plain")], body.expect("the keys are all different")).into_response()
}
