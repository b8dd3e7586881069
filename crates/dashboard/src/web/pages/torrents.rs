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
use crate::web::shell::{Label, Section, Shell, link, render, render_blocking};
use crate::web::table::{Column, Pages, name_of, page_number, parse_name, turned};

/// Torrents on a page.
const PAGE_SIZE: usize = PageQuery::<TorrentSort>::DEFAULT_PAGE_SIZE;

#[derive(Template)]
#[template(path = "torrents.html")]
struct TorrentsPage {
    shell: Shell,
    only_known: bool,
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
    /// `true` if its downloads are stuck.
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

/// The query of `GET /torrents`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TorrentListParams {
    search: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    page: Option<String>,
}

/// The columns: what they sort by, their names on the page, and the order at first.
const COLUMNS: [(TorrentSort, &str, Order, &str); 7] = [
    (TorrentSort::Name, "Name", Order::Ascending, "wide"),
    (TorrentSort::Size, "Size", Order::Descending, "number"),
    (TorrentSort::Seeders, "Seeders", Order::Descending, "number"),
    (TorrentSort::Leechers, "Leechers", Order::Descending, "number"),
    (TorrentSort::Completed, "Completed", Order::Descending, "number"),
    (TorrentSort::Completion, "Average completion", Order::Descending, "bar-column"),
    (TorrentSort::DownloadRate, "Rate", Order::Descending, "number"),
];

/// `GET /torrents`. Invalid values in the query are ignored.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<TorrentListParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| table(dashboard, role, params)).await
}

fn table(dashboard: &Dashboard, role: Role, params: TorrentListParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Torrents);
    let config = &dashboard.0.config;
    let named: Option<TorrentSort> = parse_name(params.sort.as_deref());
    let by = named.unwrap_or_default();
    let first_order = COLUMNS.iter().find(|(sort, ..)| *sort == by).map_or(Order::Ascending, |column| column.2);
    let order = parse_name(params.order.as_deref()).unwrap_or(first_order);
    let sort = name_of(by);
    let search = params.search.unwrap_or_default();
    let query = PageQuery {
        search: search.clone(),
        sort: by,
        order,
        page: page_number(params.page.as_deref()),
        page_size: PAGE_SIZE,
    };
    let mut page = config.observer.torrents(&query);
    if page.items.is_empty() && page.total > 0 {
        // Beyond the end: torrents have gone. Show the last page.
        page = config.observer.torrents(&PageQuery { page: page.total.div_ceil(PAGE_SIZE), ..query });
    }
    let chosen = named.map(name_of).unwrap_or_default();
    let columns = COLUMNS
        .iter()
        .map(|&(by_this, label, first, class)| {
            let sorted = by_this == by;
            let next = if sorted { turned(order) } else { first };
            Column {
                label,
                href: link("/torrents", &[("search", &search), ("sort", &name_of(by_this)), ("order", &name_of(next))]),
                sorted: sorted.then(|| name_of(order)),
                class,
            }
        })
        .collect();
    let page_link = |page: usize| {
        let page = page.to_string();
        link("/torrents", &[("search", &search), ("sort", &chosen), ("order", &name_of(order)), ("page", &page)])
    };
    let found = if search.is_empty() {
        counted(page.total as u64, "torrent")
    } else {
        format!("{} found", counted(page.total as u64, "torrent"))
    };
    render(&TorrentsPage {
        only_known: config.only_known,
        sort,
        order: name_of(order),
        columns,
        rows: page.items.iter().map(Row::new).collect(),
        found,
        pages: Pages::new(page.page, PAGE_SIZE, page.total, page_link),
        search,
        shell,
    })
}
