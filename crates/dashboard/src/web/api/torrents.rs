//! Torrents: their state, their .torrent files, their digests.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use metainfo::{InfoHashes, Magnet};
use serde::Serialize;
use tracker_core::InfoHash;
use utoipa::ToSchema;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::ROOT;
use super::extract::{self, InfoHashPath, Json, ListQuery, Query};
use super::seeding::Seeding;
use crate::web::Dashboard;
use crate::web::attachment::download;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::reached_at::ReachedAt;
use crate::web::role::Operator;
use crate::web::workload::{blocking, body};
use torrent_library::{Digest, KnownFile, KnownTorrent, RegisterError, RemoveError};
use tracker_monitor::{Page, StuckReason, TorrentRow, TorrentSort, rounded};

/// A torrent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Torrent {
    /// 40 hexadecimal digits.
    info_hash: String,
    /// Its name, if its .torrent is known or a peer gave its info dictionary.
    name: Option<String>,
    /// Its size in bytes, if its .torrent is known or a peer gave its info dictionary.
    size: Option<u64>,
    /// The number of its files, if its .torrent is known or a peer gave its info dictionary.
    file_count: Option<usize>,
    seeders: u32,
    /// Partial seeds included.
    leechers: u32,
    /// Peers that have all the files they want, but not all files.
    partial_seeds: u32,
    /// Peers whose announce is overdue.
    silent: u32,
    /// Downloads completed.
    completed: u32,
    /// The average completion of its peers, from 0 to 1, without those of which it is not known.
    completion: Option<f64>,
    /// Bytes per second that its peers download, as they are seen or as they report.
    download_rate: f64,
    /// The time of the last announce of any of its peers.
    last_seen: Option<u64>,
    /// Why its downloads are stuck; `null` if they are not.
    stuck: Option<StuckReason>,
}

/// A torrent and the contents of its .torrent file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TorrentDetails {
    #[serde(flatten)]
    torrent: Torrent,
    /// A link to it, with the tracker's announce URLs while it runs, and with web seeds if the tracker's machine has the content.
    magnet: String,
    /// The contents of its .torrent file, if that is known.
    metainfo: Option<Metainfo>,
    /// What this machine gives of it to BitTorrent clients, if its .torrent file is known.
    seeding: Option<Seeding>,
}

/// The contents of a .torrent file.
#[derive(Debug, Serialize, ToSchema)]
struct Metainfo {
    /// 64 hexadecimal digits; `null` unless it is a hybrid torrent (v1 and v2), whose two swarms are shown as one torrent.
    info_hash_v2: Option<String>,
    /// `true` if clients find peers through trackers only.
    private: bool,
    /// The size of a piece in bytes.
    piece_length: u32,
    pieces: usize,
    comment: Option<String>,
    created_by: Option<String>,
    /// The time of its creation.
    created: Option<u64>,
    /// The first 1000 of its files.
    files: Vec<KnownFile>,
    /// The number of its files.
    file_count: usize,
}

/// The SHA-256 of a torrent's files, as they are in the share folder.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Digests {
    files: Vec<Digest>,
}

impl Torrent {
    fn new(row: TorrentRow, dashboard: &Dashboard) -> Self {
        Self {
            info_hash: row.info_hash.to_string(),
            name: row.name.map(|name| name.to_string()),
            size: row.size,
            file_count: row.file_count,
            seeders: row.counts.seeders,
            leechers: row.counts.leechers,
            partial_seeds: row.counts.partial_seeds,
            silent: row.silent,
            completed: row.counts.completed,
            completion: row.completion.map(rounded),
            download_rate: rounded(row.download_rate),
            last_seen: row.last_seen.map(|at| dashboard.unix(at)),
            stuck: row.stuck,
        }
    }
}

impl TorrentDetails {
    /// `None` when nothing is known of it at all.
    fn of(info_hash: &InfoHash, dashboard: &Dashboard, viewer: ReachedAt) -> Option<Self> {
        let known = dashboard.config().library.get(info_hash);
        let row = dashboard.config().observer.torrent(info_hash)?;
        let magnet = match &known {
            Some(known) => known.magnet(&dashboard.urls_for(viewer, known)),
            None => {
                let announce_urls = dashboard.announce_urls_for(viewer);
                let v1 = Some((*info_hash.as_bytes()).into());
                let info_hashes = InfoHashes { v1, ..InfoHashes::default() };
                Magnet { info_hashes, trackers: announce_urls, ..Magnet::default() }.to_string()
            }
        };
        let metainfo = known.as_deref().map(Metainfo::from);
        let seeding = known.as_deref().map(|known| Seeding::of(dashboard, known));
        Some(Self { torrent: Torrent::new(row, dashboard), magnet, metainfo, seeding })
    }
}

impl From<&KnownTorrent> for Metainfo {
    fn from(known: &KnownTorrent) -> Self {
        let metainfo = &known.metainfo;
        let info = metainfo.info();
        Self {
            info_hash_v2: metainfo.info_hashes().v2.map(|hash| hash.to_string()),
            private: info.private(),
            piece_length: info.piece_length(),
            pieces: info.pieces().len(),
            comment: metainfo.comment().map(str::to_owned),
            created_by: metainfo.created_by().map(str::to_owned),
            created: metainfo.creation_date(),
            files: known.files().take(KnownTorrent::MAX_LISTED_FILES).collect(),
            file_count: known.file_count(),
        }
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "the tracker knows no torrent of this info-hash, and nobody has announced it")
}

/// The error for a torrent that is not known.
pub(super) fn check_torrent(dashboard: &Dashboard, info_hash: &InfoHash) -> Result<(), Problem> {
    dashboard.config().observer.torrent(info_hash).map(drop).ok_or_else(unknown)
}

fn known(dashboard: &Dashboard, info_hash: &InfoHash) -> Result<Arc<KnownTorrent>, Problem> {
    dashboard.config().library.get(info_hash).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "the tracker does not have the .torrent file of this info-hash: register it",
        )
    })
}

/// Both on one path, and of the second the body may be larger than others.
pub(super) fn list_and_register() -> UtoipaMethodRouter<Dashboard> {
    routes!(torrents, register).layer(DefaultBodyLimit::max(KnownTorrent::MAX_LEN))
}

/// A page of the list of torrents: those that are registered, and those that have a swarm.
#[utoipa::path(
    get,
    path = "/torrents",
    tag = "torrents",
    params(ListQuery<TorrentSort>),
    responses(
        (status = 200, body = Page<Torrent>),
        (status = 400, description = "No such page", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
async fn torrents(
    State(dashboard): State<Dashboard>,
    Query(query): Query<ListQuery<TorrentSort>>,
) -> Result<Json<Page<Torrent>>, Problem> {
    let query = query.into_page_query()?;
    let torrents = move |dashboard: &Dashboard| {
        dashboard.config().observer.torrents(&query).map(|row| Torrent::new(row, dashboard))
    };
    Ok(Json(dashboard.run(torrents).await?))
}

/// Registers a torrent. One that is already registered is left unchanged.
#[utoipa::path(
    post,
    path = "/torrents",
    tag = "torrents",
    security((), ("token" = [])),
    request_body(
        content = [u8],
        content_type = "application/x-bittorrent",
        description = "The .torrent file, at most 100 MiB. Its announce URLs do not matter."
    ),
    responses(
        (
            status = 201,
            body = TorrentDetails,
            headers(("Location" = String, description = "Where the torrent is from now on")),
        ),
        (status = 403, description = "Operators only", body = Problem),
        (status = 413, description = "The .torrent is too large", body = Problem),
        (status = 422, description = "Not a torrent that the tracker can serve", body = Problem),
        (status = 500, description = "It cannot be written into the folder of torrents", body = Problem),
        (status = 507, description = "There are too many already", body = Problem),
    )
)]
async fn register(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
    viewer: ReachedAt,
    TorrentFile(torrent): TorrentFile,
) -> Result<impl IntoResponse, Problem> {
    tracing::info!(%remote, "asked to register a torrent");
    let register = move || -> Result<_, Problem> {
        let registered = dashboard.config().library.register(&torrent).map_err(|error| unregistered(&error))?.info_hash;
        Ok((registered, TorrentDetails::of(&registered, &dashboard, viewer).ok_or_else(unknown)?))
    };
    let (registered, details) = blocking(register).await??;
    let location = [(LOCATION, format!("{ROOT}/torrents/{registered}"))];
    Ok((StatusCode::CREATED, location, Json(details)))
}

/// A .torrent file that is sent.
struct TorrentFile(Bytes);

impl<S: Send + Sync> FromRequest<S> for TorrentFile {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let too_large = || format!("the .torrent is larger than {} MiB", KnownTorrent::MAX_LEN >> 20);
        extract::body(request, state, too_large).await.map(Self)
    }
}

fn unregistered(error: &RegisterError) -> Problem {
    let status = match error {
        RegisterError::Parse(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RegisterError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RegisterError::TooMany { .. } | RegisterError::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, error.to_string())
}

/// One torrent.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    responses(
        (status = 200, body = TorrentDetails),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 404, description = "Unknown torrent without a swarm", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn torrent(
    State(dashboard): State<Dashboard>,
    viewer: ReachedAt,
    InfoHashPath(info_hash): InfoHashPath,
) -> Result<Json<TorrentDetails>, Problem> {
    let details = dashboard.run(move |dashboard| TorrentDetails::of(&info_hash, dashboard, viewer)).await?;
    details.map(Json).ok_or_else(unknown)
}

/// Removes the .torrent file of a torrent. Its content is not deleted.
#[utoipa::path(
    delete,
    path = "/torrents/{info_hash}",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    security((), ("token" = [])),
    responses(
        (status = 204, description = "Removed"),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "Unknown torrent", body = Problem),
        (status = 500, description = "The file cannot be removed", body = Problem),
    )
)]
pub(super) async fn remove(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
) -> Result<StatusCode, Problem> {
    tracing::info!(%remote, %info_hash, "asked to remove a torrent");
    let library = dashboard.config().library.clone();
    match blocking(move || library.remove(&info_hash)).await? {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let is_unknown = matches!(error, RemoveError::Unknown);
            let status = if is_unknown { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
            Err(Problem::new(status, error.to_string()))
        }
    }
}

/// The .torrent file, with the announce URLs of this tracker in place of its own. If the tracker's machine has the content, its
/// web seeds are before those of the file: URLs from which clients download what no other client has.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/torrent",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    responses(
        (status = 200, body = [u8], content_type = "application/x-bittorrent"),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 404, description = "The .torrent file is not known", body = Problem),
        (status = 409, description = "The tracker is stopped, and has no announce URLs", body = Problem),
        (status = 503, description = "Too many downloads; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn torrent_file(
    State(dashboard): State<Dashboard>,
    client: Client,
    viewer: ReachedAt,
    InfoHashPath(info_hash): InfoHashPath,
) -> Result<Response, Problem> {
    let known = known(&dashboard, &info_hash)?;
    let urls = dashboard.urls_for(viewer, &known);
    if urls.announce.is_empty() {
        let why = "the tracker is stopped: start it, so that the .torrent file can say where it is";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let permit = dashboard.0.workload.permit_for(known.metainfo.as_bytes().len(), client)?;
    let file = move |_: &Dashboard| (known.file_name(), known.with_urls(&urls));
    let (name, bytes) = dashboard.run(file).await?;
    Ok(download("application/x-bittorrent", &name, body(permit, bytes)))
}

/// The SHA-256 of the torrent's files, to compare copies, if its content is in the share folder. A request starts computing
/// those that are missing (`null`); repeat it to get them.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/digests",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    responses(
        (status = 200, body = Digests),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 404, description = "The .torrent file or the content is not available", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn digests(
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
) -> Result<Json<Digests>, Problem> {
    known(&dashboard, &info_hash)?;
    let digests = move |dashboard: &Dashboard| dashboard.config().digests.as_ref()?.of(&info_hash);
    let files = dashboard.run(digests).await?.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "the content of this torrent is not in the tracker's share folder")
    })?;
    Ok(Json(Digests { files }))
}
