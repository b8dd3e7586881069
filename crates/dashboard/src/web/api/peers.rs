//! The peers of a torrent.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracker_core::InfoHash;
use utoipa::{IntoParams, ToSchema};

use super::extract::{InfoHashPath, Json, ListQuery, Query, first_page};
use super::torrents::check_torrent;
use crate::web::Dashboard;
use crate::web::attachment::download;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::workload::body;
use tracker_monitor::{Page, PageQuery, PeerRow, PeerSort, PeerStatus, PeerStuckReason, rounded};

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
    /// The time of this list. The figures of a peer are from its `last_seen`.
    now: u64,
    #[serde(flatten)]
    page: Page<Peer>,
}

// `F` is a figure and `T` a time, which stand as text in a table.
/// A peer, as of its last announce.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Peer<F = f64, T = u64> {
    /// IP address and port.
    address: String,
    /// Program and version; `null` where the tracker does not keep it.
    client: Option<String>,
    state: PeerStatus,
    /// Its completion, from 0 to 1; `null` if it does not report it, the size of the torrent is unknown, or it may have no more
    /// than a magnet link.
    #[schema(value_type = Option<f64>)]
    completion: Option<F>,
    /// Bytes left to download.
    left: Option<u64>,
    /// Bytes uploaded since it started.
    uploaded: Option<u64>,
    /// Bytes downloaded since it started.
    downloaded: Option<u64>,
    /// Bytes per second between its last two announces; `null` if it is silent, or the tracker was stopped since.
    #[schema(value_type = Option<f64>)]
    upload_rate: Option<F>,
    /// Bytes per second between its last two announces; `null` likewise, and once it has all it wants.
    #[schema(value_type = Option<f64>)]
    download_rate: Option<F>,
    /// The time of its first announce.
    #[schema(value_type = Option<u64>)]
    first_seen: Option<T>,
    /// The time of its last announce.
    #[schema(value_type = Option<u64>)]
    last_seen: Option<T>,
    /// The time at which its next announce is expected.
    #[schema(value_type = Option<u64>)]
    next_expected: Option<T>,
    /// Why its download is stuck; `null` if it is not, or if it cannot be told yet.
    stuck: Option<PeerStuckReason>,
    /// The host name of its address, by the resolver of the tracker's machine; `null` if it is not known, or not yet.
    host: Option<String>,
}

impl Peer {
    fn new(row: PeerRow, dashboard: &Dashboard) -> Self {
        Self {
            address: row.address.to_string(),
            client: row.client,
            state: row.status,
            completion: row.completion.map(rounded),
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
        }
    }
}

impl Peer {
    /// As it stands in a table for spreadsheets, with times as in RFC 3339.
    fn into_line(self) -> Peer<String, String> {
        let figure = |figure: Option<f64>| figure.map(|figure| figure.to_string());
        let time = |unix: Option<u64>| Some(Timestamp::from_second(unix?.try_into().ok()?).ok()?.to_string());
        Peer {
            address: self.address,
            client: self.client.map(harmless),
            state: self.state,
            completion: figure(self.completion),
            left: self.left,
            uploaded: self.uploaded,
            downloaded: self.downloaded,
            upload_rate: figure(self.upload_rate),
            download_rate: figure(self.download_rate),
            first_seen: time(self.first_seen),
            last_seen: time(self.last_seen),
            next_expected: time(self.next_expected),
            stuck: self.stuck,
            host: self.host.map(harmless),
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
        let now = dashboard.unix(dashboard.config().clock.now());
        PeerPage { now, page: page.map(|row| Peer::new(row, dashboard)) }
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
        rows.into_iter().for_each(|row| table.push(Peer::new(row, dashboard)));
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
        names.push(Peer::default());
        let mut names = names.finish();
        let end = names.iter().position(|&byte| byte == b'\n').map_or(names.len(), |newline| newline + 1);
        names.truncate(end);
        Self(csv::WriterBuilder::new().has_headers(false).from_writer(names))
    }

    fn push(&mut self, peer: Peer) {
        self.0.serialize(peer.into_line()).expect("memory takes it, and a peer is one line");
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
        table.push(Peer {
            address: "[fd00::1]:6881".into(),
            client: Some("-a\",\nb".into()),
            state: PeerStatus::Silent,
            stuck: Some(PeerStuckReason::Silent),
            host: Some("lab-07".into()),
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
            last_seen,next_expected,stuck,host\n\
            [fd00::1]:6881,\"'-a\"\",\nb\",silent,0.25,0,,18446744073709551615,1.5,,1970-01-01T00:00:00Z,\
            2023-11-14T22:13:20Z,,silent,lab-07\n";
        assert_eq!(String::from_utf8(table.finish()).unwrap(), expected);
    }
}
