//! Downloads in a browser.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use torrent_library::{Content, ContentKey, OpenError};
use tracker_monitor::Way;

use super::answer::{FileError, FileRequest};
use super::path;
use super::zip::{ZipFiles, ZipRequest};
use crate::web::Dashboard;
use crate::web::api::extract::Bytes;
use crate::web::client::Client;
use crate::web::problem::Problem;

/// `/download/HASH`: a file, or a folder as a zip archive, of which a query can [choose files](ZipFiles::Chosen). HASH is the key of
/// any of its swarms, or the id of its content while it is not hashed.
pub(super) async fn whole(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    let content = match find(&dashboard, &request.uri)? {
        Found::Here(content, _) => content,
        Found::Moved(response) => return Ok(response),
    };
    if content.is_folder() {
        let files = request.uri.query().map_or(ZipFiles::All, |query| ZipFiles::Chosen(query.as_bytes()));
        let (method, headers) = (&request.method, &request.headers);
        let zip = ZipRequest { client, method, headers, content, files };
        return zip.answer(&dashboard).await;
    }
    send(&dashboard, client, &request, content, 0).await
}

/// `/download/HASH` with a form that [chooses files](ZipFiles::Chosen) of a folder: more than there is room for in a query.
pub(super) async fn chosen(
    State(dashboard): State<Dashboard>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
    Bytes(form): Bytes,
) -> Result<Response, Problem> {
    let content = match find(&dashboard, &uri)? {
        Found::Here(content, _) => content,
        Found::Moved(response) => return Ok(response),
    };
    let files = ZipFiles::Chosen(&form);
    let zip = ZipRequest { client, method: &Method::POST, headers: &headers, content, files };
    zip.answer(&dashboard).await
}

/// `/download/HASH/PATH`: a file of a folder.
pub(super) async fn part(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    let (content, names) = match find(&dashboard, &request.uri)? {
        Found::Here(content, names) => (content, names),
        Found::Moved(response) => return Ok(response),
    };
    let index = if content.is_folder() { path::find(&content, names) } else { path::find_by_name(&content, names) };
    let index = index.ok_or_else(|| {
        let why = if content.is_folder() { "there is no such file in this folder" } else { "there is no such file" };
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    send(&dashboard, client, &request, content, index).await
}

/// What the path of a URL leads to.
enum Found<'u> {
    /// A content, and what is named below it.
    Here(Arc<Content>, &'u str),
    /// Another URL.
    Moved(Response),
}

fn find<'u>(dashboard: &Dashboard, uri: &'u Uri) -> Result<Found<'u>, Problem> {
    let contents = &dashboard.config().contents;
    let (key, names) = uri.path().strip_prefix("/download/").and_then(path::split).ok_or_else(not_shared)?;
    let content = contents.get(key).ok_or_else(not_shared)?;
    let current = contents.current_key(key);
    if current != key {
        return Ok(Found::Moved(hashed_meanwhile(current, uri)));
    }
    Ok(Found::Here(content, names))
}

async fn send(
    dashboard: &Dashboard,
    client: Client,
    request: &Parts,
    content: Arc<Content>,
    index: usize,
) -> Result<Response, Problem> {
    let name = content.file_name(index).to_owned();
    FileRequest { client, way: Way::Browser, content, index }.answer(dashboard, request).await.map_err(|error| {
        match error {
            FileError::Problem(problem) => problem,
            FileError::Open(error) => unopened(&name, &error),
        }
    })
}

/// Why a file of this name is not sent.
pub(super) fn unopened(name: &str, error: &OpenError) -> Problem {
    match error {
        OpenError::Changed => {
            let why = "has changed since it was shared. Go back to the files, and get it as it is now";
            Problem::new(StatusCode::CONFLICT, format!("{name} {why}"))
        }
        OpenError::Gone => {
            Problem::new(StatusCode::CONFLICT, format!("{name} has been moved or removed since it was shared"))
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{name} cannot be read")),
    }
}

fn not_shared() -> Problem {
    let why = "this is not shared, or not any more: it may have changed. Go back to the files, and get it as it is now";
    Problem::new(StatusCode::NOT_FOUND, why)
}

/// A link from the time before the content was hashed leads to where it is now.
fn hashed_meanwhile(current: ContentKey, uri: &Uri) -> Response {
    let rest = uri.path().splitn(4, '/').nth(3);
    let path = rest.map_or_else(String::new, |rest| format!("/{rest}"));
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Redirect::temporary(&format!("/download/{current}{path}{query}")).into_response()
}
