//! The peers of a torrent.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracker_core::{InfoHash, Instant};
use utoipa::{IntoParams, ToSchema};

use super::extract::{InfoHashPath, Json, ListQuery, Query, first_page};
use super::torrents::check_torrent;
use crate::web::Dashboard;
use crate::web::attachment::download;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::workload::body;
use tracker_monitor::{
    FigureSource, Page, PageQuery, PeerRow, PeerSort, PeerStatus, PeerStuckReason, Reachability, ReachabilityReason,
    rounded,
};

/// Peers in a table, at most; those after them are on its next page.
const MAX_TABLE: usize = 10_000;

const MAX_PAGE_SIZE: usize = PageQuery::<PeerSort>::MAX_PAGE_SIZE;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TableQuery {
    /// Only those whose address or client contains this, in either case.
    #[serde(default)]
    search: String,
    /// The page, from 1.
    #[serde(default = "first_page")]
    #[param(minimum = 1, default = 1)]
    page: u32,
}

/// Peers of a torrent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PeerPage {
    /// The time of this list. The figures of a peer are from its `last_seen`, but for those that are seen.
    now: u64,
    #[serde(flatten)]
    page: Page<Peer>,
}

/// A peer, as of its last announce, and as the tracker's own peer sees it.
#[derive(Debug, Serialize, ToSchema)]
struct Peer {
    /// IP address and port.
    address: String,
    /// Program and version; `null` where the tracker does not keep it.
    client: Option<String>,
    state: PeerStatus,
    /// Its completion; `null` if it is not seen and does not report it, the size of the torrent is unknown, or it may have no
    /// more than a magnet link.
    completion: Option<Completion>,
    /// Bytes left to download, as it reports.
    left: Option<u64>,
    /// Bytes uploaded since it started, as it reports.
    uploaded: Option<u64>,
    /// Bytes downloaded since it started, as it reports.
    downloaded: Option<u64>,
    /// Bytes per second between its last two announces; `null` if it is silent, or the tracker was stopped since.
    upload_rate: Option<f64>,
    /// Bytes per second of the last five seconds while it is seen, or else between its last two announces; `null` likewise, and
    /// once it has all it wants.
    download_rate: Option<f64>,
    /// The time of its first announce.
    first_seen: Option<u64>,
    /// The time of its last announce.
    last_seen: Option<u64>,
    /// The time at which its next announce is expected.
    next_expected: Option<u64>,
    /// Why its download is stuck; `null` if it is not, or if it cannot be told yet.
    stuck: Option<PeerStuckReason>,
    /// The host name of its address, by the resolver of the tracker's machine; `null` if it is not known, or not yet.
    host: Option<String>,
    /// Whether others can connect to it.
    reachable: Reachability,
    /// The reason for that; `null` if there is nothing to say.
    reason: Option<ReachabilityReason>,
}

/// The completion of a peer.
#[derive(Debug, Serialize, ToSchema)]
struct Completion {
    /// From 0 to 1.
    value: f64,
    source: FigureSource,
    /// Seconds since it was that; 0 while the peer is seen.
    age_s: u64,
}

/// A peer as it stands in a table for spreadsheets, with times as in RFC 3339.
#[derive(Debug, Default, Serialize)]
struct Line {
    address: String,
    client: Option<String>,
    state: PeerStatus,
    completion: Option<String>,
    left: Option<u64>,
    uploaded: Option<u64>,
    downloaded: Option<u64>,
    upload_rate: Option<String>,
    download_rate: Option<String>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    next_expected: Option<String>,
    stuck: Option<PeerStuckReason>,
    host: Option<String>,
    completion_source: Option<FigureSource>,
    completion_age_s: Option<u64>,
    reachable: Reachability,
    reason: Option<ReachabilityReason>,
}

impl Peer {
    fn new(row: PeerRow, dashboard: &Dashboard, now: Instant) -> Self {
        Self {
            address: row.address.to_string(),
            client: row.client,
            state: row.status,
            completion: row.completion.map(|completion| Completion {
                value: rounded(completion.value),
                source: completion.source,
                age_s: now.since(completion.at).as_secs(),
            }),
            left: row.left,
            uploaded: row.uploaded,
            downloaded: row.downloaded,
            upload_rate: row.upload_rate.map(rounded),
            download_rate: row.download_rate.map(rounded),
            first_seen: row.first_seen.map(|at| dashboard.unix(at)),
            last_seen: row.last_seen.map(|at| dashboard.unix(at)),
            next_expected: row.next_expected.map(|at| dashboard.unix(at)),
            stuck: row.stuck,
            host: row.host.map(|host| host.to_string()),
            reachable: row.reachability,
            reason: row.reason,
        }
    }
}

impl From<Peer> for Line {
    fn from(peer: Peer) -> Self {
        let time = |unix: Option<u64>| Some(Timestamp::from_second(unix?.try_into().ok()?).ok()?.to_string());
        let figure = |figure: Option<f64>| figure.map(|figure| figure.to_string());
        Self {
            address: peer.address,
            client: peer.client.map(harmless),
            state: peer.state,
            completion: figure(peer.completion.as_ref().map(|completion| completion.value)),
            left: peer.left,
            uploaded: peer.uploaded,
            downloaded: peer.downloaded,
            upload_rate: figure(peer.upload_rate),
            download_rate: figure(peer.download_rate),
            first_seen: time(peer.first_seen),
            last_seen: time(peer.last_seen),
            next_expected: time(peer.next_expected),
            stuck: peer.stuck,
            host: peer.host.map(harmless),
            completion_source: peer.completion.as_ref().map(|completion| completion.source),
            completion_age_s: peer.completion.as_ref().map(|completion| completion.age_s),
            reachable: peer.reachable,
            reason: peer.reason,
        }
    }
}

/// A page of the list of a torrent's peers.
#[utoipa::path(
    get,
    path = "/torrents/{info_hash}/peers",
    tag = "torrents",
    params(("info_hash" = String, Path, description = "40 hexadecimal digits"), ListQuery<PeerSort>),
    responses(
        (status = 200, body = PeerPage),
        (status = 400, description = "Invalid info-hash, or no such page", body = Problem),
        (status = 404, description = "Unknown torrent without a swarm", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn peers(
    State(dashboard): State<Dashboard>,
    InfoHashPath(info_hash): InfoHashPath,
    Query(query): Query<ListQuery<PeerSort>>,
) -> Result<Json<PeerPage>, Problem> {
    let query = query.into_page_query()?;
    check_torrent(&dashboard, &info_hash)?;
    let peers = move |dashboard: &Dashboard| {
        let page = dashboard.config().observer.peers(&info_hash, &query);
        let now = dashboard.config().clock.now();
        PeerPage { now: dashboard.unix(now), page: page.map(|row| Peer::new(row, dashboard, now)) }
    };
    Ok(Json(dashboard.run(peers).await?))
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
        (status = 400, description = "Invalid info-hash", body = Problem),
        (status = 404, description = "Unknown torrent without a swarm", body = Problem),
        (status = 503, description = "Too many downloads; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn peers_csv(
    State(dashboard): State<Dashboard>,
    client: Client,
    InfoHashPath(info_hash): InfoHashPath,
    Query(TableQuery { search, page }): Query<TableQuery>,
) -> Result<Response, Problem> {
    check_torrent(&dashboard, &info_hash)?;
    let table = dashboard.clone().run(move |dashboard| table(dashboard, &info_hash, &search, page)).await?;
    let permit = dashboard.0.workload.permit_for(table.len(), client)?;
    Ok(download("text/csv; charset=utf-8", &format!("peers-{info_hash}.csv"), body(permit, table)))
}

fn table(dashboard: &Dashboard, info_hash: &InfoHash, search: &str, page: u32) -> Vec<u8> {
    let mut table = Table::new();
    let now = dashboard.config().clock.now();
    let pages = MAX_TABLE / MAX_PAGE_SIZE;
    for part in 1..=pages {
        let query = PageQuery {
            search: search.to_owned(),
            page: (page.max(1) as usize - 1).saturating_mul(pages).saturating_add(part),
            page_size: MAX_PAGE_SIZE,
            ..PageQuery::default()
        };
        let rows = dashboard.config().observer.peers(info_hash, &query).items;
        let is_last = rows.len() < MAX_PAGE_SIZE;
        rows.into_iter().for_each(|row| table.push(Peer::new(row, dashboard, now).into()));
        if is_last {
            break;
        }
    }
    table.finish()
}

/// Peers as CSV: the names of the columns, which are those of the fields, and a line for each peer.
struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new() -> Self {
        // The writer tells the names only together with a first line, and there may be none.
        let mut names = Self(csv::Writer::from_writer(Vec::new()));
        names.push(Line::default());
        let mut names = names.finish();
        let end = names.iter().position(|&byte| byte == b'\n').map_or(names.len(), |newline| newline + 1);
        names.truncate(end);
        Self(csv::WriterBuilder::new().has_headers(false).from_writer(names))
    }

    fn push(&mut self, line: Line) {
        self.0.serialize(line).expect("memory takes it, and a peer is one line");
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes it")
    }
}

/// Text from the network as a CSV cell that no spreadsheet takes for a formula: an apostrophe marks it as text.
pub(in crate::web) fn harmless(text: String) -> String {
    // The last four are the first four at full width, which some take for the same.
    const BEGIN_FORMULA: [char; 11] =
        ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    if text.starts_with(BEGIN_FORMULA) { format!("'{text}") } else { text }
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
        let peer = Peer {
            address: "[fd00::1]:6881".into(),
            client: Some("-a\",\nb".into()),
            state: PeerStatus::Silent,
            stuck: Some(PeerStuckReason::Silent),
            host: Some("lab-07".into()),
            completion: Some(Completion { value: 0.25, source: FigureSource::Seen, age_s: 7 }),
            left: Some(0),
            uploaded: None,
            downloaded: Some(u64::MAX),
            upload_rate: Some(1.5),
            download_rate: None,
            first_seen: Some(0),
            last_seen: Some(1_700_000_000),
            next_expected: Some(u64::MAX),
            reachable: Reachability::No,
            reason: Some(ReachabilityReason::NoAnswer),
        };
        table.push(peer.into());
        let expected = "address,client,state,completion,left,uploaded,downloaded,upload_rate,download_rate,first_seen,\
            last_seen,next_expected,stuck,host,completion_source,completion_age_s,reachable,reason\n\
            [fd00::1]:6881,\"'-a\"\",\nb\",silent,0.25,0,,18446744073709551615,1.5,,1970-01-01T00:00:00Z,\
            2023-11-14T22:13:20Z,,silent,lab-07,seen,7,no,no_answer\n";
        assert_eq!(String::from_utf8(table.finish()).unwrap(), expected);
    }

    #[test]
    fn a_peer_that_is_seen_says_so() {
        let completion = Completion { value: 0.25, source: FigureSource::Seen, age_s: 0 };
        let json = serde_json::to_string(&completion).unwrap();
        assert_eq!(json, r#"{"value":0.25,"source":"seen","age_s":0}"#);
    }
}
