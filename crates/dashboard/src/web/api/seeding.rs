//! What this machine gives of a torrent to BitTorrent clients.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use torrent_library::KnownTorrent;
use tracker_core::InfoHash;
use tracker_monitor::{ComputerName, SeedingState, rounded};
use utoipa::ToSchema;

use super::extract::{InfoHashPath, Json};
use super::long_list;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use crate::web::seeding::{self, SeedingAction};

/// The maximum number of computers in the answer about a torrent. `GET …/seeding` has all.
const MAX_COMPUTERS: usize = 100;

/// What this machine gives of a torrent to BitTorrent clients.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Seeding {
    state: SeedingState,
    /// The BitTorrent client on this machine that the torrent is left to, if it is and the client is known.
    local_client: Option<String>,
    /// `null` unless the content was found to be damaged.
    damage: Option<Damage>,
    /// Bytes that the tracker's own peer has sent since the program started.
    bytes: u64,
    /// The same in copies: bytes by size. `null` if there is nothing to be sent.
    copies: Option<f64>,
    /// Bytes per second that it sends now.
    rate: f64,
    /// The number of computers that got something.
    computers: usize,
    /// Those computers, the ones that got most first. In the answer about a torrent they are the first hundred.
    to: Vec<SentTo>,
}

/// A content that is not what its torrent says.
#[derive(Debug, Serialize, ToSchema)]
struct Damage {
    /// The number of bad pieces; `null` if one was found, and the others were not checked.
    bad_pieces: Option<u32>,
    /// The part that is checked, from 0 to 1, while it is being checked.
    checked: Option<f64>,
}

/// A computer that got something from the tracker's own peer.
#[derive(Debug, Serialize, ToSchema)]
struct SentTo {
    #[schema(value_type = String)]
    address: IpAddr,
    name: Option<ComputerName>,
    bytes: u64,
}

impl Seeding {
    /// That of a torrent, with the first of the computers that got something.
    pub(super) fn of(dashboard: &Dashboard, torrent: &KnownTorrent) -> Self {
        Self::with(dashboard, torrent, MAX_COMPUTERS)
    }

    fn with(dashboard: &Dashboard, torrent: &KnownTorrent, max_computers: usize) -> Self {
        let seeding::Seeding { state, damage, given } = seeding::Seeding::of(dashboard, torrent);
        let to = given.as_ref().map(|given| &*given.to).unwrap_or_default();
        Self {
            state,
            damage: damage.map(|damage| Damage {
                bad_pieces: damage.bad_pieces,
                checked: damage.check.map(|check| rounded(check.part())),
            }),
            bytes: given.as_ref().map_or(0, |given| given.bytes),
            copies: given.as_ref().and_then(|given| given.copies).map(rounded),
            rate: given.as_ref().map_or(0.0, |given| rounded(given.rate)),
            computers: to.len(),
            to: to
                .iter()
                .take(max_computers)
                .map(|to| SentTo { address: to.address, name: to.name.clone(), bytes: to.bytes })
                .collect(),
            local_client: given.and_then(|given| given.local_client),
        }
    }

    /// That of the torrent with this info-hash; a problem if its .torrent is not known.
    fn find(dashboard: &Dashboard, info_hash: &InfoHash, max_computers: usize) -> Result<Self, Problem> {
        let known = dashboard.config().library.get(info_hash).ok_or_else(|| {
            let why = "the tracker does not have the .torrent file of this info-hash: register it";
            Problem::new(StatusCode::NOT_FOUND, why)
        })?;
        Ok(Self::with(dashboard, &known, max_computers))
    }
}

/// What this machine gives of a torrent to BitTorrent clients, and to which computers.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/seeding",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    responses(
        (status = 200, body = Seeding),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 404, description = "The .torrent file is not known", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn seeding(
    State(dashboard): State<Dashboard>,
    client: Client,
    InfoHashPath(info_hash): InfoHashPath,
) -> Result<Response, Problem> {
    long_list(dashboard, client, move |dashboard| Seeding::find(dashboard, &info_hash, usize::MAX)).await
}

/// Gives a torrent to BitTorrent clients again; does nothing if it is not stopped.
#[utoipa::path(
    post,
    path = "/torrents/{info_hash}/seeding/start",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    security((), ("token" = [])),
    responses(
        (status = 200, body = Seeding),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "The .torrent file is not known", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn start(
    operator: Operator,
    remote: ConnectInfo<SocketAddr>,
    dashboard: State<Dashboard>,
    info_hash: InfoHashPath,
) -> Result<Json<Seeding>, Problem> {
    change(operator, remote, dashboard, info_hash, SeedingAction::Start).await
}

/// Stops giving a torrent to BitTorrent clients, until it is started again: neither the tracker's own peer nor the web seed sends
/// anything of it, also after a restart. Browsers still get it.
#[utoipa::path(
    post,
    path = "/torrents/{info_hash}/seeding/stop",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    security((), ("token" = [])),
    responses(
        (status = 200, body = Seeding),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "The .torrent file is not known", body = Problem),
        (status = 409, description = "This machine does not have its content", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn stop(
    operator: Operator,
    remote: ConnectInfo<SocketAddr>,
    dashboard: State<Dashboard>,
    info_hash: InfoHashPath,
) -> Result<Json<Seeding>, Problem> {
    change(operator, remote, dashboard, info_hash, SeedingAction::Stop).await
}

/// Checks a damaged content against its torrent, in the background. If all of it is right, it is given again.
#[utoipa::path(
    post,
    path = "/torrents/{info_hash}/seeding/check",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits")),
    security((), ("token" = [])),
    responses(
        (status = 200, body = Seeding),
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 404, description = "The .torrent file is not known", body = Problem),
        (status = 409, description = "Its content is not damaged", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn check(
    operator: Operator,
    remote: ConnectInfo<SocketAddr>,
    dashboard: State<Dashboard>,
    info_hash: InfoHashPath,
) -> Result<Json<Seeding>, Problem> {
    change(operator, remote, dashboard, info_hash, SeedingAction::Check).await
}

async fn change(
    _: Operator,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
    action: SeedingAction,
) -> Result<Json<Seeding>, Problem> {
    tracing::info!(%remote, %info_hash, ?action, "asked to change whether a torrent is given");
    let change = move |dashboard: &Dashboard| {
        seeding::change(dashboard, &info_hash, action)?;
        Seeding::find(dashboard, &info_hash, MAX_COMPUTERS)
    };
    dashboard.run(change).await?.map(Json)
}
