//! The table of torrents.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::role::Role;
use tracker_monitor::{Order, PageQuery, StuckReason, TorrentRow, TorrentSort};

use crate::web::format::{Bar, bytes, count, counted, rate};
use crate::web::shell::{Label, Section, Shell, aside, link, render};
use crate::web::table::{Column, Pages, aria_sort, order, order_name, page_index, turned};

/// Torrents on a page.
const PAGE_SIZE: usize = 50;

#[derive(Template)]
#[template(path = "torrents.html")]
struct TorrentsPage {
    shell: Shell,
    only_known: bool,
    search: String,
    sort: &'static str,
    order: &'static str,
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
    /// Whether somebody wants more of it than anybody has.
    pub(super) stuck: bool,
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
            stuck: matches!(row.stuck, Some(StuckReason::NoSeeder { .. })),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    search: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    page: Option<String>,
}

/// The columns: their names in URLs and on the page, what they sort by, and which way at first.
const COLUMNS: [(&str, &str, TorrentSort, Order, &str); 7] = [
    ("name", "Name", TorrentSort::Name, Order::Ascending, "wide"),
    ("size", "Size", TorrentSort::Size, Order::Descending, "number"),
    ("seeders", "Seeders", TorrentSort::Seeders, Order::Descending, "number"),
    ("leechers", "Leechers", TorrentSort::Leechers, Order::Descending, "number"),
    ("completed", "Completed", TorrentSort::Completed, Order::Descending, "number"),
    ("completion", "Average completion", TorrentSort::Completion, Order::Descending, "bar-column"),
    ("download_rate", "Rate", TorrentSort::DownloadRate, Order::Descending, "number"),
];

/// `GET /torrents`. What it does not understand of the query it passes over.
pub(super) async fn page(State(dashboard): State<Dashboard>, role: Role, Query(wanted): Query<Wanted>) -> Response {
    aside(dashboard, move |dashboard| table(dashboard, role, wanted)).await
}

fn table(dashboard: &Dashboard, role: Role, wanted: Wanted) -> Response {
    let shell = Shell::new(dashboard, role, Section::Torrents);
    let config = &dashboard.0.config;
    let named = wanted.sort.as_deref().and_then(|sort| COLUMNS.iter().find(|(name, ..)| *name == sort));
    let &(sort, _, by, first_order, _) = named.unwrap_or(&COLUMNS[0]);
    let order = order(wanted.order.as_deref()).unwrap_or(first_order);
    let search = wanted.search.unwrap_or_default();
    let query = PageQuery {
        search: search.clone(),
        sort: by,
        order,
        page: page_index(wanted.page.as_deref()),
        page_size: PAGE_SIZE,
    };
    let mut page = config.observer.torrents(&query);
    if page.items.is_empty() && page.total > 0 {
        // Beyond the end: torrents have gone. Show the last page.
        page = config.observer.torrents(&PageQuery { page: (page.total - 1) / PAGE_SIZE, ..query });
    }
    let chosen = named.map_or("", |_| sort);
    let columns = COLUMNS
        .iter()
        .map(|&(name, label, by_this, first, class)| {
            let sorted = by_this == by;
            let next = if sorted { turned(order) } else { first };
            Column {
                label,
                href: link("/torrents", &[("search", &search), ("sort", name), ("order", order_name(next))]),
                sorted: sorted.then(|| aria_sort(order)),
                class,
            }
        })
        .collect();
    let page_link = |index: usize| {
        let page = (index + 1).to_string();
        link("/torrents", &[("search", &search), ("sort", chosen), ("order", order_name(order)), ("page", &page)])
    };
    let found = if search.is_empty() {
        counted(page.total as u64, "torrent")
    } else {
        format!("{} found", counted(page.total as u64, "torrent"))
    };
    render(&TorrentsPage {
        only_known: config.only_known,
        sort,
        order: order_name(order),
        columns,
        rows: page.items.iter().map(Row::new).collect(),
        found,
        pages: Pages::new(page.page, PAGE_SIZE, page.total, page_link),
        search,
        shell,
    })
}
