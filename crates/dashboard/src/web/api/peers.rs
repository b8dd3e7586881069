//! The peers of a torrent.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracker_core::InfoHash;
use utoipa::{IntoParams, ToSchema};

use super::download::download;
use super::extract::{InfoHashPath, Json, Query, page_query};
use super::torrents::{Order, check_torrent, page_size};
use crate::web::Dashboard;
use crate::web::problem::Problem;
use crate::web::room::body;
use tracker_monitor::rounded;
use tracker_monitor::{PageQuery, PeerRow, PeerStanding};

/// Peers in a table, at most; those after them are on its next page.
const MAX_TABLE: usize = 10_000;

const MAX_PAGE_SIZE: usize = PageQuery::<tracker_monitor::PeerSort>::MAX_PAGE_SIZE;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PeersQuery {
    /// Only those whose address or client contains this, in either case.
    #[serde(default)]
    search: String,
    #[serde(default)]
    #[param(inline)]
    sort: PeerSort,
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// From 0.
    #[serde(default)]
    page: u32,
    /// Items on a page.
    #[serde(default = "page_size")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    page_size: u32,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TableQuery {
    /// Only those whose address or client contains this, in either case.
    #[serde(default)]
    search: String,
    /// From 0.
    #[serde(default)]
    page: u32,
}

/// By what peers are sorted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PeerSort {
    #[default]
    Address,
    Client,
    State,
    Completion,
    DownloadRate,
    UploadRate,
    LastSeen,
}

impl From<PeerSort> for tracker_monitor::PeerSort {
    fn from(sort: PeerSort) -> Self {
        match sort {
            PeerSort::Address => Self::Address,
            PeerSort::Client => Self::Client,
            PeerSort::State => Self::Standing,
            PeerSort::Completion => Self::Completion,
            PeerSort::DownloadRate => Self::DownloadRate,
            PeerSort::UploadRate => Self::UploadRate,
            PeerSort::LastSeen => Self::LastSeen,
        }
    }
}

/// Peers of a torrent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PeerPage {
    /// When this was: what a peer said is as old as its `last_seen`.
    now: u64,
    items: Vec<Peer>,
    /// How many there are on all pages.
    total: usize,
    /// From 0.
    page: usize,
    page_size: usize,
}

/// A peer, as it said in its last announce.
#[derive(Debug, Serialize, ToSchema)]
struct Peer {
    /// IP address and port.
    address: String,
    /// Program and version; `null` where the tracker does not keep it.
    client: Option<String>,
    state: PeerState,
    /// How much it has; `null` when it does not say or the size of the torrent is not known.
    completion: Option<f64>,
    /// Bytes that it still wants.
    left: Option<u64>,
    /// Bytes uploaded since it started.
    uploaded: Option<u64>,
    /// Bytes downloaded since it started.
    downloaded: Option<u64>,
    /// Bytes per second between its last two announces.
    upload_rate: Option<f64>,
    /// Bytes per second between its last two announces.
    download_rate: Option<f64>,
    /// When its first announce came.
    first_seen: Option<u64>,
    /// When its last announce came.
    last_seen: Option<u64>,
    /// When its next announce is expected.
    next_expected: Option<u64>,
}

/// What a peer is at.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PeerState {
    /// It wants more.
    Downloading,
    /// It has all that it wants, but not everything.
    Partial,
    /// It has everything.
    Seeding,
    /// Its announce is overdue.
    Silent,
}

impl PeerState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Downloading => "downloading",
            Self::Partial => "partial",
            Self::Seeding => "seeding",
            Self::Silent => "silent",
        }
    }
}

impl From<PeerStanding> for PeerState {
    fn from(standing: PeerStanding) -> Self {
        match standing {
            PeerStanding::Downloading => Self::Downloading,
            PeerStanding::Partial => Self::Partial,
            PeerStanding::Seeding => Self::Seeding,
            PeerStanding::Silent => Self::Silent,
        }
    }
}

impl Peer {
    fn new(row: PeerRow, dashboard: &Dashboard) -> Self {
        Self {
            address: row.address.to_string(),
            client: row.client,
            state: row.standing.into(),
            completion: row.completion.map(rounded),
            left: row.left,
            uploaded: row.uploaded,
            downloaded: row.downloaded,
            upload_rate: row.upload_rate.map(rounded),
            download_rate: row.download_rate.map(rounded),
            first_seen: row.first_seen.map(|at| dashboard.unix(at)),
            last_seen: row.last_seen.map(|at| dashboard.unix(at)),
            next_expected: row.next_expected.map(|at| dashboard.unix(at)),
        }
    }
}

/// A part of the list of a torrent's peers.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/peers",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits"), PeersQuery),
    responses(
        (status = 200, body = PeerPage),
        (status = 400, description = "That is no info-hash, or there is no such page", body = Problem),
        (status = 404, description = "The torrent is not known and has no swarm", body = Problem),
        (status = 503, description = "Too many look at once", body = Problem),
    )
)]
pub(super) async fn peers(
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
    Query(query): Query<PeersQuery>,
) -> Result<Json<PeerPage>, Problem> {
    let PeersQuery { search, sort, order, page, page_size } = query;
    let query = page_query(search, sort.into(), order.into(), page, page_size)?;
    check_torrent(&dashboard, &info_hash)?;
    let peers = move |dashboard: &Dashboard| {
        let page = dashboard.config().observer.peers(&info_hash, &query);
        PeerPage {
            now: dashboard.unix(dashboard.config().clock.now()),
            items: page.items.into_iter().map(|row| Peer::new(row, dashboard)).collect(),
            total: page.total,
            page: page.page,
            page_size: page.page_size,
        }
    };
    Ok(Json(dashboard.work(peers).await?))
}

/// The peers of a torrent as a table for spreadsheets: CSV with a line of names, times as in RFC 3339. A page of it has
/// 10,000 peers.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/peers.csv",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits"), TableQuery),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 400, description = "That is no info-hash", body = Problem),
        (status = 404, description = "The torrent is not known and has no swarm", body = Problem),
        (status = 503, description = "Too much is downloaded at once", body = Problem),
    )
)]
pub(super) async fn peers_csv(
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
    Query(TableQuery { search, page }): Query<TableQuery>,
) -> Result<Response, Problem> {
    check_torrent(&dashboard, &info_hash)?;
    let table = dashboard.clone().work(move |dashboard| table(dashboard, &info_hash, &search, page)).await?;
    let place = dashboard.0.room.place_for(table.len())?;
    Ok(download("text/csv; charset=utf-8", &format!("peers-{info_hash}.csv"), body(place, table)))
}

fn table(dashboard: &Dashboard, info_hash: &InfoHash, search: &str, page: u32) -> Vec<u8> {
    let mut table = Table::new();
    let pages = MAX_TABLE / MAX_PAGE_SIZE;
    for part in 0..pages {
        let query = PageQuery {
            search: search.to_owned(),
            page: (page as usize).saturating_mul(pages).saturating_add(part),
            page_size: MAX_PAGE_SIZE,
            ..PageQuery::default()
        };
        let rows = dashboard.config().observer.peers(info_hash, &query).items;
        let is_last = rows.len() < MAX_PAGE_SIZE;
        rows.into_iter().for_each(|row| table.push(Peer::new(row, dashboard)));
        if is_last {
            break;
        }
    }
    table.finish()
}

/// Peers as CSV.
struct Table(csv::Writer<Vec<u8>>);

impl Table {
    const COLUMNS: [&str; 12] = [
        "address",
        "client",
        "state",
        "completion",
        "left",
        "uploaded",
        "downloaded",
        "upload_rate",
        "download_rate",
        "first_seen",
        "last_seen",
        "next_expected",
    ];

    fn new() -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.push_line(Self::COLUMNS.map(Cow::Borrowed));
        table
    }

    fn push(&mut self, peer: Peer) {
        self.push_line([
            peer.address.into(),
            harmless(peer.client.unwrap_or_default()),
            peer.state.as_str().into(),
            figure(peer.completion),
            figure(peer.left),
            figure(peer.uploaded),
            figure(peer.downloaded),
            figure(peer.upload_rate),
            figure(peer.download_rate),
            time(peer.first_seen),
            time(peer.last_seen),
            time(peer.next_expected),
        ]);
    }

    fn push_line(&mut self, cells: [Cow<'static, str>; 12]) {
        let written = self.0.write_record(cells.iter().map(|cell| cell.as_bytes()));
        written.expect("memory takes it, and lines are of one length");
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes it")
    }
}

fn figure(figure: Option<impl ToString>) -> Cow<'static, str> {
    figure.map_or(Cow::Borrowed(""), |figure| figure.to_string().into())
}

fn time(unix: Option<u64>) -> Cow<'static, str> {
    figure(unix.and_then(|unix| Timestamp::from_second(unix.try_into().ok()?).ok()))
}

/// What came from the network as a cell that no spreadsheet takes for a formula: an apostrophe says that it is text.
fn harmless(text: String) -> Cow<'static, str> {
    // The last four are the first four at full width, which some take for the same.
    const BEGIN_FORMULA: [char; 11] =
        ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    if text.starts_with(BEGIN_FORMULA) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("qBittorrent 5.1", "qBittorrent 5.1"),
            ("-XX0001-", "'-XX0001-"),
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("", ""),
        ] {
            assert_eq!(harmless(text.to_owned()), cell);
        }
    }

    #[test]
    fn a_table_of_peers() {
        let mut table = Table::new();
        table.push(Peer {
            address: "[fd00::1]:6881".into(),
            client: Some("-a\",\nb".into()),
            state: PeerState::Silent,
            completion: Some(0.25),
            left: Some(0),
            uploaded: None,
            downloaded: Some(u64::MAX),
            upload_rate: Some(1.5),
            download_rate: None,
            first_seen: Some(0),
            last_seen: Some(1_700_000_000),
            next_expected: Some(u64::MAX),
        });
        let expected = "address,client,state,completion,left,uploaded,downloaded,upload_rate,download_rate,first_seen,\
            last_seen,next_expected\n\
            [fd00::1]:6881,\"'-a\"\",\nb\",silent,0.25,0,,18446744073709551615,1.5,,1970-01-01T00:00:00Z,\
            2023-11-14T22:13:20Z,\n";
        assert_eq!(String::from_utf8(table.finish()).unwrap(), expected);
    }
}
