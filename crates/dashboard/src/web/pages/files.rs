//! The operator's list of files: each with who has it, and where it comes from.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use torrent_library::KnownTorrent;
use tracker_monitor::{FileProgress, Order, PageQuery, SeedingState, TorrentRow, TorrentSort};

use super::attention::{Attention, Rest, attention};
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::files::{self, FileEntry, FileSort, Source};
use crate::web::format::{Meter, count, counted, duration, have_it, percent, rate};
use crate::web::public::TorrentOf;
use crate::web::role::Role;
use crate::web::seeding::seeding_state;
use crate::web::shell::{Label, Section, Shell, file_href, link, render, render_blocking};
use crate::web::table::{Column, Pages, SortColumn, Table, TableParams};

/// The path of this page.
const PATH: &str = "/manage";

/// Torrents whose .torrent is not known that are shown.
const UNNAMED: usize = 50;

#[derive(Template)]
#[template(path = "files.html")]
struct FilesPage {
    shell: Shell,
    search: String,
    sort: String,
    order: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// `12 files`.
    found: String,
    pages: Pages,
    /// Where to put files, if there is a share folder and the viewer is the operator.
    folder: Option<String>,
    attention: Attention,
    unnamed: Unnamed,
}

/// A file in the list.
struct Row {
    key: String,
    href: String,
    name: String,
    is_folder: bool,
    size: String,
    has: Has,
    /// The average of those that do not have it.
    others: Option<String>,
    time_left: Option<String>,
    rate: Option<String>,
    /// How many are stuck, if somebody is.
    stuck: Option<String>,
    /// How far it is prepared, while it is.
    preparing: Option<String>,
    source: String,
    is_nowhere: bool,
}

/// How many have a file.
pub(super) struct Has {
    pub(super) text: String,
    /// `None` while nobody was seen who may want it.
    pub(super) meter: Option<Meter>,
}

/// Torrents of which no .torrent file is known.
struct Unnamed {
    rows: Vec<UnnamedRow>,
    /// `12 files without a .torrent`.
    total: String,
    pages: Pages,
}

struct UnnamedRow {
    info_hash: String,
    label: Label,
    have_it: String,
    downloading: String,
    rate: String,
    stuck: bool,
}

impl Has {
    pub(super) fn new(progress: &FileProgress) -> Self {
        let FileProgress { has, of, .. } = *progress;
        if of == 0 {
            return Self { text: "nobody has asked for it".to_owned(), meter: None };
        }
        Self { text: have_it(has, of), meter: Some(Meter(f64::from(has) / f64::from(of))) }
    }
}

/// Why this machine, which has a file, does not give it itself; `None` if it does.
pub(super) fn withheld_text(dashboard: &Dashboard, torrent: &KnownTorrent) -> Option<String> {
    match seeding_state(dashboard, &torrent.info_hash) {
        SeedingState::Damaged => Some("damaged on this machine, so nothing of it is sent".to_owned()),
        SeedingState::Stopped => {
            Some("shared by this machine in browsers only: giving it to BitTorrent programs was stopped".to_owned())
        }
        SeedingState::LocalClient => Some("shared by this machine, by the BitTorrent program on it".to_owned()),
        _ => None,
    }
}

/// Where a file comes from, or what it needs.
pub(super) fn source_text(source: Source) -> String {
    match source {
        Source::ThisMachine => "shared by this machine".to_owned(),
        Source::Computers(number) => format!("by {}", counted(number.into(), "computer")),
        Source::Nobody => "nobody has it yet: open it in a BitTorrent program on a computer that has it".to_owned(),
    }
}

/// How far a file is prepared for BitTorrent, if it is not ready.
pub(super) fn preparing_text(torrent: &TorrentOf) -> Option<String> {
    match torrent {
        TorrentOf::Known(_) => None,
        TorrentOf::Waiting => Some("waits to be prepared".to_owned()),
        TorrentOf::Hashing(progress) => Some(format!("being prepared: {}", percent(progress.part()))),
        TorrentOf::Other(name) => Some(format!("same content as {name}")),
        TorrentOf::Failed => Some("only in browsers: no torrent could be made of it".to_owned()),
    }
}

/// What the slowest computer that gets on still needs.
pub(super) fn time_left_text(progress: &FileProgress) -> Option<String> {
    progress.time_left.map(|left| format!("about {}", duration(left.as_secs().max(1))))
}

impl Row {
    fn new(dashboard: &Dashboard, FileEntry { offer, progress, source }: &FileEntry) -> Self {
        let withheld = match &offer.torrent {
            TorrentOf::Known(torrent) => withheld_text(dashboard, torrent),
            _ => None,
        };
        Self {
            key: offer.key.to_string(),
            href: file_href(offer.key),
            name: offer.name.to_string(),
            is_folder: offer.files.is_some(),
            size: offer.size_text(),
            has: Has::new(progress),
            others: progress.average_of_others.map(percent),
            time_left: time_left_text(progress),
            rate: (progress.rate >= 1.0).then(|| rate(progress.rate)),
            stuck: (progress.stuck > 0).then(|| format!("{} stuck", count(progress.stuck.into()))),
            preparing: preparing_text(&offer.torrent),
            source: withheld.unwrap_or_else(|| source_text(*source)),
            is_nowhere: *source == Source::Nobody,
        }
    }
}

impl UnnamedRow {
    fn new(row: &TorrentRow) -> Self {
        Self {
            info_hash: row.info_hash.to_string(),
            label: Label::new(&row.info_hash, row.name.as_deref()),
            have_it: count(row.counts.seeders.into()),
            downloading: count(row.counts.leechers.into()),
            rate: if row.download_rate >= 1.0 { rate(row.download_rate) } else { "–".to_owned() },
            stuck: row.stuck.is_some(),
        }
    }
}

const COLUMNS: [SortColumn<FileSort>; 6] = [
    SortColumn { sort: FileSort::Name, label: "Name", first: Order::Ascending, class: "wide" },
    SortColumn { sort: FileSort::Size, label: "Size", first: Order::Descending, class: "number" },
    SortColumn { sort: FileSort::Has, label: "Who has it", first: Order::Ascending, class: "bar-column" },
    SortColumn { sort: FileSort::AverageOfOthers, label: "Others", first: Order::Ascending, class: "number" },
    SortColumn { sort: FileSort::TimeLeft, label: "Time left", first: Order::Descending, class: "number" },
    SortColumn { sort: FileSort::Rate, label: "Rate", first: Order::Descending, class: "number" },
];

/// The query of `GET /manage`. Invalid values are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FilesParams {
    #[serde(flatten)]
    table: TableParams,
    unnamed: Option<String>,
}

/// `GET /manage`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<FilesParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| files(dashboard, role, params)).await
}

fn files(dashboard: &Dashboard, role: Role, params: FilesParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Files);
    let config = dashboard.config();
    let table = Table::new(&COLUMNS, params.table);
    let page = table.page(|query| files::list(dashboard, query));
    let found = counted(page.total as u64, "file");
    let folder = config.shared_folder.as_ref().filter(|_| shell.operator());
    render(&FilesPage {
        search: table.search().to_owned(),
        sort: table.sort(),
        order: table.order(),
        columns: table.heads(PATH),
        found: if table.search().is_empty() { found } else { format!("{found} found") },
        pages: table.pages(PATH, &page),
        rows: page.items.iter().map(|entry| Row::new(dashboard, entry)).collect(),
        folder: folder.map(|folder| folder.share().folder().display().to_string()),
        attention: attention(&config.observer),
        unnamed: Unnamed::new(dashboard, table.search(), params.unnamed.as_deref()),
        shell,
    })
}

impl Unnamed {
    fn new(dashboard: &Dashboard, search: &str, page: Option<&str>) -> Self {
        let query = PageQuery {
            search: search.to_owned(),
            sort: TorrentSort::Leechers,
            order: Order::Descending,
            page: page.and_then(|page| page.parse().ok()).unwrap_or(1),
            page_size: UNNAMED,
        };
        let found = dashboard.config().observer.unnamed_torrents(&query);
        let href = |page: usize| link(PATH, &[("search", search), ("unnamed", &page.to_string())]);
        Self {
            rows: found.items.iter().map(UnnamedRow::new).collect(),
            total: format!("{} without a .torrent", counted(found.total as u64, "file")),
            pages: Pages::new(found.page, found.page_size, found.total, href),
        }
    }
}
