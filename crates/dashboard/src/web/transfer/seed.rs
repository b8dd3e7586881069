//! The web seed: files for BitTorrent clients ([BEP 19](https://www.bittorrent.org/beps/bep_0019.html)).

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use torrent_library::{ContentKey, OpenError};
use tracker_monitor::Way;

use super::answer::{FileError, FileRequest};
use super::path;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;

/// `/seed/HASH/NAME` of a single file, and `/seed/HASH/NAME/PATH` of a folder: a client appends `NAME/PATH` to the folder's URL
/// itself. HASH is the key of any swarm of a torrent that is registered; other files than the torrent's are not there.
pub(super) async fn file(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    let not_found = |why: &str| Problem::new(StatusCode::NOT_FOUND, why);
    let file = find(&dashboard, client, &request.uri).ok_or_else(|| not_found("no torrent has such a file here"))?;
    file.answer(&dashboard, &request).await.map_err(|error| match error {
        FileError::Problem(problem) => problem,
        FileError::Open(OpenError::Changed | OpenError::Gone) => not_found("the file has changed since it was shared"),
        FileError::Open(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read"),
    })
}

fn find(dashboard: &Dashboard, client: Client, uri: &Uri) -> Option<FileRequest> {
    let (key, names) = path::split(uri.path().strip_prefix("/seed/")?)?;
    let ContentKey::Swarm(swarm) = key else { return None };
    let config = dashboard.config();
    config.library.get(&swarm)?;
    let content = config.contents.get(key)?;
    let index = path::find_by_name(&content, names)?;
    Some(FileRequest { client, way: Way::WebSeed, content, index })
}
