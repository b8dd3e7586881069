//! One torrent and its peers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracker_core::{InfoHash, Instant};

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::problem::Problem;
use crate::web::reached_at::ReachedAt;
use crate::web::role::Role;
use torrent_library::KnownTorrent;
use tracker_monitor::{Order, PeerRow, PeerSort, PeerStatus};

use super::attention::{Hint, hint, peer_hint};
use crate::web::format::{Bar, Moment, MomentStyle, bytes, count, counted, pieces, rate};
use crate::web::shell::{Label, Section, Shell, link, render, render_blocking};
use crate::web::table::{Column, Pages, SortColumn, Table, TableParams};

/// Seconds after which what a peer said is marked as old.
const STALE_AFTER: u64 = 90;

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    shell: Shell,
    info_hash: String,
    /// Of a hybrid.
    info_hash_v2: Option<String>,
    label: Label,
    seeders: String,
    leechers: String,
    completed: String,
    completion: Bar,
    rate: String,
    hint: Option<Hint>,
    known: Option<KnownView>,
    columns: Vec<Column>,
    peers: Vec<PeerView>,
    peers_total: String,
    pages: Pages,
}

/// The facts of a torrent whose .torrent file is known.
struct KnownView {
    size: String,
    magnet: String,
    qr: String,
    /// `true` if the tracker's announce URLs are in the files and links.
    has_urls: bool,
    private: bool,
    piece_length: String,
    files: Vec<FileView>,
    /// The number of files that are not listed.
    more_files: Option<String>,
    files_total: String,
    /// `true` if the content is in the share folder.
    available: bool,
}

struct FileView {
    path: String,
    size: String,
    sha256: Option<String>,
}

struct PeerView {
    id: String,
    address: String,
    host: Option<Arc<str>>,
    client: Option<String>,
    status: &'static str,
    status_class: &'static str,
    /// What is wrong, if it is stuck.
    trouble: Option<&'static str>,
    completion: Bar,
    left: Option<String>,
    download_rate: Option<String>,
    upload_rate: Option<String>,
    /// `true` if its last announce is old.
    stale: bool,
    last_seen: Option<Moment>,
    next_expected: Option<Moment>,
    first_seen: Option<Moment>,
}

const COLUMNS: [SortColumn<PeerSort>; 7] = [
    SortColumn { sort: PeerSort::Address, label: "Address", title: "", first: Order::Ascending, class: "wide" },
    SortColumn { sort: PeerSort::Client, label: "Client", title: "", first: Order::Ascending, class: "" },
    SortColumn { sort: PeerSort::State, label: "State", title: "", first: Order::Ascending, class: "" },
    SortColumn { sort: PeerSort::Completion, label: "Has", title: "", first: Order::Descending, class: "bar-column" },
    SortColumn {
        sort: PeerSort::DownloadRate,
        label: "Download",
        title: "",
        first: Order::Descending,
        class: "number",
    },
    SortColumn { sort: PeerSort::UploadRate, label: "Upload", title: "", first: Order::Descending, class: "number" },
    SortColumn { sort: PeerSort::LastSeen, label: "Last seen", title: "", first: Order::Descending, class: "number" },
];

/// `GET /manage/files/{info_hash}`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    viewer: ReachedAt,
    Path(text): Path<String>,
    Query(params): Query<TableParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| file(dashboard, role, viewer, &text, params)).await
}

fn file(dashboard: &Dashboard, role: Role, viewer: ReachedAt, text: &str, params: TableParams) -> Response {
    let Ok(info_hash) = text.parse::<InfoHash>() else {
        return Problem::new(StatusCode::NOT_FOUND, "an info-hash has 40 hexadecimal digits").into_response();
    };
    let config = &dashboard.0.config;
    let known = config.library.get(&info_hash);
    let Some(row) = config.observer.torrent(&info_hash) else {
        let error = "the tracker does not know this torrent: it has no peers, and no .torrent file of it is registered";
        return Problem::new(StatusCode::NOT_FOUND, error).into_response();
    };
    // It may have been asked for by the key of a hybrid's second swarm.
    let info_hash = row.info_hash;
    let shell = Shell::new(dashboard, role, Section::Files);
    let name = known.as_ref().map(|known| &known.name).or(row.name.as_ref());
    let label = Label::new(&info_hash, name.map(|name| &**name));

    // Peers are not searched.
    let table = Table::new(&COLUMNS, TableParams { search: None, ..params });
    let peers = table.page(|query| config.observer.peers(&info_hash, query));
    render(&FilePage {
        info_hash: info_hash.to_string(),
        info_hash_v2: known.as_ref().and_then(|known| known.metainfo.info_hashes().v2).map(|hash| hash.to_string()),
        seeders: count(row.counts.seeders.into()),
        leechers: count(row.counts.leechers.into()),
        completed: count(row.counts.completed.into()),
        completion: Bar(row.completion),
        rate: rate(row.download_rate),
        hint: hint(&row, &config.observer),
        known: known.map(|known| known_view(dashboard, viewer, &known)),
        columns: table.heads(&label.href),
        peers_total: counted(peers.total as u64, "peer"),
        pages: table.pages(&label.href, &peers),
        peers: ids(peers.items.iter().map(|peer| peer.address))
            .into_iter()
            .zip(&peers.items)
            .map(|(id, peer)| PeerView::new(&shell, id, peer))
            .collect(),
        label,
        shell,
    })
}

fn known_view(dashboard: &Dashboard, viewer: ReachedAt, known: &KnownTorrent) -> KnownView {
    let urls = dashboard.urls_for(viewer, known);
    let info = known.metainfo.info();
    let digests = dashboard.0.config.digests.as_ref().and_then(|digests| digests.of(&known.info_hash));
    let available = digests.is_some();
    let files_total = known.file_count();
    // They are in the torrent's order, and leave out what has no content.
    let mut digests = digests.unwrap_or_default().into_iter().peekable();
    let files = known
        .files()
        .take(KnownTorrent::MAX_LISTED_FILES)
        .map(|file| {
            let digest = digests.next_if(|digest| (&digest.path, digest.size) == (&file.path, file.size));
            // For people, it is what the torrent says.
            let path = file.raw_path.unwrap_or(file.path);
            FileView { sha256: digest.and_then(|digest| digest.sha256), path, size: bytes(file.size as f64) }
        })
        .collect();
    KnownView {
        size: bytes(known.size as f64),
        magnet: known.magnet(&urls),
        qr: link("/qr.svg", &[("magnet", &known.info_hash.to_string())]),
        has_urls: !urls.announce.is_empty(),
        private: info.private(),
        piece_length: pieces(info.piece_length(), info.total_length()),
        files,
        more_files: files_total
            .checked_sub(KnownTorrent::MAX_LISTED_FILES)
            .filter(|more| *more > 0)
            .map(|more| counted(more as u64, "more file")),
        files_total: counted(files_total as u64, "file"),
        available,
    }
}

/// The ids of the rows of peers: their addresses, and a number where others have the same, who say no port.
fn ids(addresses: impl Iterator<Item = SocketAddr>) -> Vec<String> {
    let mut seen = HashMap::new();
    let id = |address: SocketAddr| {
        let number = seen.entry(address).and_modify(|number| *number += 1).or_insert(1);
        if *number == 1 { address.to_string() } else { format!("{address}-{number}") }
    };
    addresses.map(id).collect()
}

impl PeerView {
    fn new(shell: &Shell, id: String, peer: &PeerRow) -> Self {
        let (status, status_class) = match peer.status {
            PeerStatus::Downloading => ("Downloading", "downloading"),
            PeerStatus::Partial => ("Has its part", "partial"),
            PeerStatus::Seeding => ("Seeding", "seeding"),
            PeerStatus::Silent => ("Silent", "silent"),
        };
        let (status, status_class, trouble) = match peer.stuck.map(peer_hint) {
            Some((status, trouble)) => (status, "stuck", Some(trouble)),
            None => (status, status_class, None),
        };
        let moment = |at: Option<Instant>, style| at.map(|at| shell.moment(at, style));
        let last_seen = moment(peer.last_seen, MomentStyle::Ago);
        // A peer that has all needs no "left", and one that loads nothing no rate.
        let shown = |rate_of: Option<f64>| rate_of.filter(|bytes| *bytes >= 1.0).map(rate);
        Self {
            id,
            address: peer.address.to_string(),
            host: peer.host.clone(),
            client: peer.client.clone(),
            status,
            status_class,
            trouble,
            completion: Bar(peer.completion),
            left: peer.left.filter(|left| *left > 0).map(|left| bytes(left as f64)),
            download_rate: shown(peer.download_rate),
            upload_rate: shown(peer.upload_rate),
            stale: last_seen.is_some_and(|seen| seen.now.saturating_sub(seen.at) > STALE_AFTER as i64),
            last_seen,
            next_expected: moment(peer.next_expected, MomentStyle::Due),
            first_seen: moment(peer.first_seen, MomentStyle::Clock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same_id() {
        let addresses = ["10.0.0.1:0", "10.0.0.1:5", "10.0.0.1:0", "10.0.0.1:0"].map(|text| text.parse().unwrap());
        let expected = ["10.0.0.1:0", "10.0.0.1:5", "10.0.0.1:0-2", "10.0.0.1:0-3"];
        assert_eq!(ids(addresses.into_iter()), expected);
    }
}
