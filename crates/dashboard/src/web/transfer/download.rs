//! Downloads in a browser.

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use torrent_library::{Content, ContentKey, OpenError};
use tracker_core::InfoHash;

use super::answer::{FileError, FileRequest};
use super::path;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;

/// `/download/HASH`: a file. HASH is the key of any of its swarms, or the id of its content while it is not hashed.
pub(super) async fn whole(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    answer(&dashboard, client, &request, |content, _| content.find(b"")).await
}

/// `/download/HASH/PATH`: a file of a folder.
pub(super) async fn part(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    answer(&dashboard, client, &request, |content, names| {
        if content.is_folder() { path::find(content, names) } else { path::find_by_name(content, names) }
    })
    .await
}

async fn answer(
    dashboard: &Dashboard,
    client: Client,
    request: &Parts,
    find: impl Fn(&Content, &str) -> Option<usize>,
) -> Result<Response, Problem> {
    let contents = &dashboard.config().contents;
    let uri = &request.uri;
    let (key, names) = uri.path().strip_prefix("/download/").and_then(path::split).ok_or_else(not_shared)?;
    let content = contents.get(key).ok_or_else(not_shared)?;
    if let ContentKey::Id(id) = key
        && let Some(info_hash) = contents.info_hash_of(id)
    {
        return Ok(hashed_meanwhile(&info_hash, uri));
    }
    let index = find(&content, names).ok_or_else(|| {
        let why = if content.is_folder() { "there is no such file in this folder" } else { "there is no such file" };
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    let name = content.file_name(index).to_owned();
    FileRequest { client, content, index }.answer(dashboard, request).await.map_err(|error| match error {
        FileError::Problem(problem) => problem,
        FileError::Open(OpenError::Changed) => {
            let why = "has changed since it was shared. Go back to the files, and get it as it is now";
            Problem::new(StatusCode::CONFLICT, format!("{name} {why}"))
        }
        FileError::Open(OpenError::Gone) => {
            Problem::new(StatusCode::CONFLICT, format!("{name} has been moved or removed since it was shared"))
        }
        FileError::Open(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{name} cannot be read")),
    })
}

fn not_shared() -> Problem {
    let why = "this is not shared, or not any more: it may have changed. Go back to the files, and get it as it is now";
    Problem::new(StatusCode::NOT_FOUND, why)
}

/// A link from the time before the content was hashed leads to where it is now.
fn hashed_meanwhile(info_hash: &InfoHash, uri: &Uri) -> Response {
    let rest = uri.path().splitn(4, '/').nth(3);
    let path = rest.map_or_else(String::new, |rest| format!("/{rest}"));
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Redirect::temporary(&format!("/download/{info_hash}{path}{query}")).into_response()
}
