//! The list of files: each with who has it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::role::Role;
use tracker_monitor::{Order, StuckReason, TorrentRow, TorrentSort};

use super::attention::{Attention, Rest, attention};
use crate::web::format::{Bar, bytes, count, counted, rate};
use crate::web::shell::{Label, Section, Shell, render, render_blocking};
use crate::web::table::{Column, Pages, SortColumn, Table, TableParams};

/// The path of this page.
const PATH: &str = "/manage";

#[derive(Template)]
#[template(path = "files.html")]
struct FilesPage {
    shell: Shell,
    only_known: bool,
    attention: Attention,
    search: String,
    sort: String,
    order: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    found: String,
    pages: Pages,
}

/// A torrent in a table.
pub(super) struct Row {
    pub(super) info_hash: String,
    pub(super) label: Label,
    pub(super) size: Option<String>,
    pub(super) seeders: String,
    pub(super) leechers: String,
    pub(super) completed: String,
    pub(super) completion: Bar,
    pub(super) rate: String,
    /// Why its downloads are stuck, if they are.
    pub(super) stuck: Option<&'static str>,
}

impl Row {
    pub(super) fn new(row: &TorrentRow) -> Self {
        Self {
            info_hash: row.info_hash.to_string(),
            label: Label::new(&row.info_hash, row.name.as_deref()),
            size: row.size.map(|size| bytes(size as f64)),
            seeders: count(row.counts.seeders.into()),
            leechers: count(row.counts.leechers.into()),
            completed: count(row.counts.completed.into()),
            completion: Bar(row.completion),
            rate: if row.download_rate > 0.0 { rate(row.download_rate) } else { "–".to_owned() },
            stuck: match row.stuck {
                Some(StuckReason::NoSeeder { .. }) => Some("no seeder"),
                Some(StuckReason::NoProgress { .. }) => Some("stuck"),
                // Those that are silent are gone, more often than not.
                _ => None,
            },
        }
    }
}

const COLUMNS: [SortColumn<TorrentSort>; 7] = [
    SortColumn { sort: TorrentSort::Name, label: "Name", title: "", first: Order::Ascending, class: "wide" },
    SortColumn { sort: TorrentSort::Size, label: "Size", title: "", first: Order::Descending, class: "number" },
    SortColumn {
        sort: TorrentSort::Seeders,
        label: "Seeders",
        title: "Computers that have all of it and pass it on",
        first: Order::Descending,
        class: "number",
    },
    SortColumn {
        sort: TorrentSort::Leechers,
        label: "Leechers",
        title: "Computers that do not have all of it yet",
        first: Order::Descending,
        class: "number",
    },
    SortColumn {
        sort: TorrentSort::Completed,
        label: "Completed",
        title: "Downloads completed since the tracker started",
        first: Order::Descending,
        class: "number",
    },
    SortColumn {
        sort: TorrentSort::Completion,
        label: "Average completion",
        title: "",
        first: Order::Descending,
        class: "bar-column",
    },
    SortColumn { sort: TorrentSort::DownloadRate, label: "Rate", title: "", first: Order::Descending, class: "number" },
];

/// `GET /manage`. Invalid values in the query are ignored.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<TableParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| files(dashboard, role, params)).await
}

fn files(dashboard: &Dashboard, role: Role, params: TableParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Files);
    let config = &dashboard.0.config;
    let table = Table::new(&COLUMNS, params);
    let page = table.page(|query| config.observer.torrents(query));
    let found = counted(page.total as u64, "torrent");
    render(&FilesPage {
        only_known: config.only_known,
        attention: attention(&config.observer),
        search: table.search().to_owned(),
        sort: table.sort(),
        order: table.order(),
        columns: table.heads(PATH),
        found: if table.search().is_empty() { found } else { format!("{found} found") },
        pages: table.pages(PATH, &page),
        rows: page.items.iter().map(Row::new).collect(),
        shell,
    })
}
