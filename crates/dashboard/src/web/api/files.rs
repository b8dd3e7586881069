//! Files and folders that are shared or known, and the copies of them on computers.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use torrent_library::ContentKey;
use tracker_monitor::{
    ComputerName, CopyRow, CopyStatus, FileProgress, Page, PeerStuckReason, Reachability, ReachabilityReason, Way,
    rounded,
};
use utoipa::ToSchema;

use super::extract::{Json, KeyPath, ListQuery, Query};
use super::long_list;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::files::{self, FileEntry, FileSort, Source};
use crate::web::problem::Problem;
use crate::web::public::{Offer, TorrentOf};

/// Pairs of computers that cannot reach each other in an answer, at most.
const MAX_PAIRS: usize = 100;

/// A page of the list of files and folders.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilePage {
    #[serde(flatten)]
    page: Page<File>,
}

/// A file or folder that this machine shares, or whose .torrent file is known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct File {
    /// Its key in URLs: the info-hash, or 16 hexadecimal digits while it has no torrent.
    key: String,
    /// The info-hash of its torrent.
    info_hash: Option<String>,
    name: String,
    /// Its size in bytes.
    size: u64,
    /// The number of files in it; `null` if it is a single file.
    files: Option<u64>,
    torrent: TorrentState,
    source: FileSource,
    progress: FileProgress,
}

/// Whether a file has a torrent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
enum TorrentState {
    Ready,
    /// It waits until other files are hashed.
    Waiting,
    Hashing {
        /// The part that is hashed, from 0 to 1.
        completion: f64,
    },
    /// It has the content of another file, and so its torrent.
    SameAs {
        /// The name of the other file.
        name: String,
    },
    /// It could not be made, or was removed.
    None,
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FileSource {
    /// This machine shares it.
    ThisMachine,
    /// BitTorrent clients have it: see `sources` of the progress.
    Computers,
    /// Nobody who is there has all of it.
    Nobody,
}

/// The copies of a file on all computers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Copies {
    /// The current time.
    now: u64,
    progress: FileProgress,
    /// Those that are stuck first, then the least complete.
    computers: Vec<Copy>,
    /// The first hundred pairs of computers neither of which can connect to the other, by their addresses.
    #[schema(value_type = Vec<[String; 2]>)]
    cannot_reach_each_other: Vec<[IpAddr; 2]>,
}

/// A computer and its copy of a file.
#[derive(Debug, Serialize, ToSchema)]
struct Copy {
    #[schema(value_type = String)]
    address: IpAddr,
    name: Option<ComputerName>,
    /// `false` if there is a names file and the computer is not in it, so that it does not count.
    counts: bool,
    state: CopyState,
    /// Why it is stuck.
    stuck: Option<PeerStuckReason>,
    completion: Option<f64>,
    /// Seconds since it had that: a BitTorrent client that is not seen says it every few minutes.
    completion_age_s: u64,
    /// `true` if all of this is as it is now: its BitTorrent client is seen, or this machine sends it something.
    live: bool,
    rate: Option<f64>,
    /// Seconds until it has the file, if it gets on.
    time_left: Option<u64>,
    /// Its BitTorrent client.
    client: Option<String>,
    /// The port of its BitTorrent client.
    port: Option<u16>,
    /// Whether others can connect to its BitTorrent client.
    reachable: Reachability,
    /// The reason for that; `null` if there is nothing to say.
    reason: Option<ReachabilityReason>,
    /// By which way it gets the file over HTTP, if it does.
    way: Option<Way>,
    came: Option<u64>,
    last_seen: Option<u64>,
    finished: Option<u64>,
}

/// What a computer does with a file.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CopyState {
    HasIt,
    Downloading,
    /// It has those files of a folder that it wants.
    HasSelection,
    Stuck,
    /// It has begun, and does not go on.
    Stopped,
    NotBegun,
}

impl File {
    fn new(FileEntry { offer, progress, source }: FileEntry) -> Self {
        Self {
            key: offer.key.to_string(),
            info_hash: offer.info_hash().map(|info_hash| info_hash.to_string()),
            torrent: TorrentState::new(&offer.torrent),
            size: offer.size,
            files: offer.files.map(|files| files as u64),
            name: offer.name.to_string(),
            source: match source {
                Source::ThisMachine => FileSource::ThisMachine,
                Source::Computers(_) => FileSource::Computers,
                Source::Nobody => FileSource::Nobody,
            },
            progress,
        }
    }
}

impl TorrentState {
    fn new(torrent: &TorrentOf) -> Self {
        match torrent {
            TorrentOf::Known(_) => Self::Ready,
            TorrentOf::Waiting => Self::Waiting,
            TorrentOf::Hashing(progress) => Self::Hashing { completion: rounded(progress.part()) },
            TorrentOf::Other(name) => Self::SameAs { name: name.to_string() },
            TorrentOf::Failed => Self::None,
        }
    }
}

impl Copy {
    fn new(row: CopyRow, dashboard: &Dashboard) -> Self {
        let (state, stuck) = match row.status {
            CopyStatus::HasIt => (CopyState::HasIt, None),
            CopyStatus::Downloading => (CopyState::Downloading, None),
            CopyStatus::HasSelection => (CopyState::HasSelection, None),
            CopyStatus::Stuck(reason) => (CopyState::Stuck, Some(reason)),
            CopyStatus::Stopped => (CopyState::Stopped, None),
            CopyStatus::NotBegun => (CopyState::NotBegun, None),
        };
        let unix = |at: Option<tracker_core::Instant>| at.map(|at| dashboard.unix(at));
        Self {
            address: row.address,
            name: row.name,
            counts: row.counts,
            state,
            stuck,
            completion: row.completion.map(rounded),
            completion_age_s: row.age.as_secs(),
            live: row.is_live,
            rate: row.rate.map(rounded),
            time_left: row.time_left.map(|left| left.as_secs_f64().ceil() as u64),
            client: row.client,
            port: row.port,
            reachable: row.reachability,
            reason: row.reason,
            way: row.way,
            came: unix(row.came),
            last_seen: unix(row.last_seen),
            finished: unix(row.finished),
        }
    }
}

/// A page of the list of files and folders that this machine shares, or whose .torrent files are known.
#[utoipa::path(
    get,
    path = "/files",
    tag = "files",
    params(ListQuery<FileSort>),
    responses(
        (status = 200, body = FilePage),
        (status = 400, description = "No such page", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn files(
    State(dashboard): State<Dashboard>,
    Query(query): Query<ListQuery<FileSort>>,
) -> Result<Json<FilePage>, Problem> {
    let query = query.into_page_query()?;
    let files = move |dashboard: &Dashboard| FilePage { page: files::list(dashboard, &query).map(File::new) };
    Ok(Json(dashboard.run(files).await?))
}

/// Who has a file, and how far the others are.
#[utoipa::path(
    get,
    path = "/files/{key}/computers",
    tag = "files",
    params(("key" = String, Path, description = "The key of the file: 40 hexadecimal digits, or 16 while it has no torrent")),
    responses(
        (status = 200, body = Copies),
        (status = 400, description = "Invalid key", body = Problem),
        (status = 404, description = "No such file", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn copies(
    State(dashboard): State<Dashboard>,
    client: Client,
    KeyPath(key): KeyPath,
) -> Result<Response, Problem> {
    let copies = move |dashboard: &Dashboard| {
        let config = dashboard.config();
        // Of a torrent with two keys, files are found by the first.
        let of_torrent = || match key {
            ContentKey::Swarm(info_hash) => Some(ContentKey::Swarm(config.observer.torrent(&info_hash)?.info_hash)),
            ContentKey::Id(_) => None,
        };
        let Some(key) = Offer::find(dashboard, key).map(|offer| offer.key).or_else(of_torrent) else {
            return Err(Problem::new(StatusCode::NOT_FOUND, "the tracker does not know this file"));
        };
        let rows = config.observer.computers().of_file(key);
        let pairs = config.observer.computers().unreachable_pairs(key);
        Ok(Copies {
            now: dashboard.unix(config.clock.now()),
            progress: config.observer.computers().progress(key),
            computers: rows.into_iter().map(|row| Copy::new(row, dashboard)).collect(),
            cannot_reach_each_other: pairs.into_iter().take(MAX_PAIRS).map(|(a, b)| [a, b]).collect(),
        })
    };
    long_list(dashboard, client, copies).await
}
