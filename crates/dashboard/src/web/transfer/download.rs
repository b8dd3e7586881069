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
use super::zip::{ZipFiles, ZipForm, ZipRequest};
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::public;
use crate::web::refusal::accepts_html;

/// `/download/HASH`: a file, or a folder as a zip archive, of which a query can [choose files](ZipFiles::Chosen). HASH is the key
/// of any of its swarms, or the id of its content while it is not hashed.
pub(super) async fn whole(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, NotHere> {
    let (content, _) = find(&dashboard, &request.uri, &request.headers)?;
    if content.is_folder() {
        let files = ZipFiles::of_query(request.uri.query().unwrap_or_default());
        let (method, headers) = (&request.method, &request.headers);
        let zip = ZipRequest { client, method, headers, content, files };
        return Ok(zip.answer(&dashboard).await?);
    }
    Ok(send(&dashboard, client, &request, content, 0).await?)
}

/// `/download/HASH` with a form that [chooses files](ZipFiles::Chosen) of a folder: more than there is room for in a query.
pub(super) async fn chosen(
    State(dashboard): State<Dashboard>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
    ZipForm(form): ZipForm,
) -> Result<Response, NotHere> {
    let (content, _) = find(&dashboard, &uri, &headers)?;
    let files = ZipFiles::Chosen(&form);
    let zip = ZipRequest { client, method: &Method::POST, headers: &headers, content, files };
    Ok(zip.answer(&dashboard).await?)
}

/// `/download/HASH/PATH`: a file of a folder.
pub(super) async fn part(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, NotHere> {
    let (content, names) = find(&dashboard, &request.uri, &request.headers)?;
    let index = if content.is_folder() { path::find(&content, names) } else { path::find_by_name(&content, names) };
    let index = index.ok_or_else(|| {
        let why = if content.is_folder() { "there is no such file in this folder" } else { "there is no such file" };
        Problem::new(StatusCode::NOT_FOUND, why)
    })?;
    Ok(send(&dashboard, client, &request, content, index).await?)
}

/// Why nothing is sent from a URL.
pub(super) enum NotHere {
    Problem(Problem),
    /// A page or a redirection that leads to where it is.
    Elsewhere(Box<Response>),
}

impl From<Problem> for NotHere {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for NotHere {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Elsewhere(response) => *response,
        }
    }
}

/// The content that the path of a URL leads to, and what is named below it.
fn find<'u>(dashboard: &Dashboard, uri: &'u Uri, headers: &HeaderMap) -> Result<(Arc<Content>, &'u str), NotHere> {
    let contents = &dashboard.config().contents;
    let (key, names) = uri.path().strip_prefix("/download/").and_then(path::split).ok_or_else(not_shared)?;
    let current = contents.current_key(key);
    match contents.get(current).filter(|_| public::is_registered(dashboard, current)) {
        Some(content) if contents.is_damaged(content.id()) => Err(damaged(content.name()).into()),
        Some(content) if current == key => Ok((content, names)),
        Some(_) => Err(NotHere::Elsewhere(hashed_meanwhile(current, uri).into())),
        None => Err(not_there(dashboard, key, headers)),
    }
}

/// The answer where a key leads to no content, or not any more.
fn not_there(dashboard: &Dashboard, key: ContentKey, headers: &HeaderMap) -> NotHere {
    let Some(newer) = public::newer(dashboard, key) else { return not_shared().into() };
    let newer = format!("/files/{newer}");
    if accepts_html(headers) {
        return NotHere::Elsewhere(public::replaced_page(dashboard, &newer).into());
    }
    let why = format!("this is not shared any more: there is a newer version of it at {newer}");
    Problem::new(StatusCode::NOT_FOUND, why).into()
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
            let why = "has changed since it was shared. Wait a few seconds, then go back to the files, and get it as it is now";
            Problem::new(StatusCode::CONFLICT, format!("{name} {why}"))
        }
        OpenError::Gone => {
            Problem::new(StatusCode::CONFLICT, format!("{name} has been moved or removed since it was shared"))
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{name} cannot be read")),
    }
}

fn damaged(name: &str) -> Problem {
    let why = "is damaged on this machine, so that nothing of it is sent. Tell the person who shares it, and try again when it is \
               mended";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{name} {why}"))
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
