//! Redirects from the paths that pages had before, so that bookmarks still lead somewhere.

use axum::Router;
use axum::extract::Path;
use axum::http::Uri;
use axum::response::Redirect;
use axum::routing::get;

use crate::web::Dashboard;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/torrents", get(async |uri: Uri| to("/manage", &uri)))
        .route("/torrents/{info_hash}", get(file))
        .route("/make", get(async |uri: Uri| to("/manage/share/by-hand", &uri)))
        .route("/log", get(async |uri: Uri| to("/manage/log", &uri)))
}

/// Only to what can be a file's page: a path is not to lead elsewhere, whatever is in it.
async fn file(Path(info_hash): Path<String>, uri: Uri) -> Redirect {
    let is_hash = info_hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hash { to(&format!("/manage/files/{info_hash}"), &uri) } else { Redirect::to("/manage") }
}

/// To a path, with the query that the request had.
fn to(path: &str, uri: &Uri) -> Redirect {
    match uri.query() {
        Some(query) => Redirect::to(&format!("{path}?{query}")),
        None => Redirect::to(path),
    }
}
