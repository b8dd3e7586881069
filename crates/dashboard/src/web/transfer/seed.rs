//! The web seed: files for BitTorrent clients ([BEP 19](https://www.bittorrent.org/beps/bep_0019.html)).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use torrent_library::{ContentKey, KnownTorrent, OpenError};
use tracker_core::UserKey;
use tracker_monitor::Way;

use super::answer::{FileError, FileRequest};
use super::path;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;

/// `/seed/HASH/NAME` of a single file, and `/seed/HASH/NAME/PATH` of a folder: a client appends `NAME/PATH` to the folder's URL
/// itself. HASH is the key of any swarm of a torrent that is registered; other files than the torrent's are not there. Where the tracker
/// is for users, the key of one is before it: `/seed/KEY/HASH/NAME`.
///
/// What must not be given, or is given already, is 503. Those to which the tracker's own peer is connected get the torrent there: a
/// client that fetched the same bytes here would make the first copy slower for all. It must be certain that they do, since
/// libtorrent 2.0 and aria2 do not ask for a file again after one 503, whatever `Retry-After` says (measured). All others are
/// answered, so that none is left without a source.
pub(super) async fn file(
    State(dashboard): State<Dashboard>,
    client: Client,
    request: Parts,
) -> Result<Response, Problem> {
    let not_found = |why: &str| Problem::new(StatusCode::NOT_FOUND, why);
    let path = request.uri.path().strip_prefix("/seed/").unwrap_or_default();
    let (key, path) = without_key(path);
    let user = key.and_then(|key| dashboard.config().shards.find_user(&key));
    if dashboard.is_for_users() && user.is_none() {
        return Err(Problem::forbidden("this URL is not valid: get the .torrent again"));
    }
    let (file, torrent) = find(&dashboard, client, path).ok_or_else(|| not_found("no torrent has such a file here"))?;
    if let Some(why) = why_not_now(&dashboard, &file, &torrent) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    file.answer(&dashboard, &request).await.map_err(|error| match error {
        FileError::Problem(problem) => problem,
        FileError::Open(OpenError::Changed | OpenError::Gone) => not_found("the file has changed since it was shared"),
        FileError::Open(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read"),
    })
}

/// Why a file is not given now, if it is not.
fn why_not_now(dashboard: &Dashboard, file: &FileRequest, torrent: &KnownTorrent) -> Option<&'static str> {
    let config = dashboard.config();
    let computers = config.observer.computers();
    if config.contents.is_stopped(&torrent.info_hash) {
        Some("this torrent is not given any more")
    } else if config.contents.is_damaged(file.content.id()) {
        Some("a part of this torrent is damaged here")
    } else if torrent.swarm_keys().any(|swarm| computers.are_served(&swarm, file.client.address)) {
        Some("the tracker's own peer gives you this torrent")
    } else {
        None
    }
}

/// The key of a user at the beginning of a path, and the rest. A hash is longer than a key.
fn without_key(path: &str) -> (Option<UserKey>, &str) {
    let split = path.split_once('/').and_then(|(first, rest)| Some((first.parse().ok()?, rest)));
    split.map_or((None, path), |(key, rest)| (Some(key), rest))
}

fn find(dashboard: &Dashboard, client: Client, path: &str) -> Option<(FileRequest, Arc<KnownTorrent>)> {
    let (key, names) = path::split(path)?;
    let ContentKey::Swarm(swarm) = key else { return None };
    let config = dashboard.config();
    let torrent = config.library.get(&swarm)?;
    let content = config.contents.get(key)?;
    let index = path::find_by_name(&content, names)?;
    Some((FileRequest { client, way: Way::WebSeed, content, index }, torrent))
}
