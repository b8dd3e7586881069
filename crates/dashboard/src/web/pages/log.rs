//! The log.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tracing::Level;
use tracker_core::InfoHash;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::role::Role;
use tracker_monitor::{LogEntry, LogFilter};

use crate::web::format::{Moment, MomentStyle};
use crate::web::shell::{Label, Section, Shell, link, render, render_blocking};

/// Lines that are shown.
const LINES: usize = 250;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    shell: Shell,
    level: &'static str,
    levels: &'static [(&'static str, &'static str, Level)],
    torrent: String,
    /// The error in the filter.
    torrent_error: bool,
    address: String,
    ndjson: String,
    lines: Lines,
    full: bool,
}

/// Lines of the log, the newest first.
#[derive(Template)]
#[template(path = "lines.html")]
pub(super) struct Lines {
    lines: Vec<LineView>,
}

struct LineView {
    id: u64,
    at: Moment,
    level: &'static str,
    class: &'static str,
    message: String,
    torrent: Option<Label>,
    address: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl Lines {
    /// Of entries as the log_buffer gives them: the oldest first.
    pub(super) fn new(dashboard: &Dashboard, shell: &Shell, entries: &[Arc<LogEntry>]) -> Self {
        let view = |entry: &Arc<LogEntry>| {
            let (level, class) = level_text(entry.level);
            let torrent = entry.info_hash.map(|info_hash| {
                let known = dashboard.0.config.library.get(&info_hash);
                Label::new(&info_hash, known.as_ref().map(|known| &*known.name))
            });
            // Its name is the text of its link already.
            let is_said = |(name, value): &&(&str, String)| {
                *name == "name" && torrent.as_ref().is_some_and(|torrent| torrent.text == *value)
            };
            LineView {
                id: entry.id,
                at: shell.wall(entry.at, MomentStyle::Clock),
                level,
                class,
                message: entry.message.clone(),
                fields: entry.fields.iter().filter(|field| !is_said(field)).cloned().collect(),
                torrent,
                address: entry.address.clone(),
            }
        };
        Self { lines: entries.iter().rev().map(view).collect() }
    }
}

fn level_text(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("Error", "level-error"),
        Level::WARN => ("Warning", "level-warn"),
        // Less important ones are not asked for.
        _ => ("Info", "level-info"),
    }
}

/// The levels that can be chosen.
const LEVELS: &[(&str, &str, Level)] = &[
    ("error", "Errors", Level::ERROR),
    ("warn", "Warnings and errors", Level::WARN),
    ("info", "Everything", Level::INFO),
];

/// The query of `GET /manage/log`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LogParams {
    level: Option<String>,
    info_hash: Option<String>,
    address: Option<String>,
}

/// `GET /manage/log`.
pub(super) async fn page(State(dashboard): State<Dashboard>, role: Role, Query(params): Query<LogParams>) -> Response {
    render_blocking(dashboard, move |dashboard| log(dashboard, role, params)).await
}

fn log(dashboard: &Dashboard, role: Role, params: LogParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Log);
    let named = params.level.as_deref().and_then(|level| LEVELS.iter().find(|(name, ..)| *name == level));
    let &(level_name, _, level) = named.unwrap_or(&LEVELS[2]);
    let torrent = params.info_hash.unwrap_or_default().trim().to_owned();
    let info_hash = torrent.parse::<InfoHash>();
    let address = params.address.unwrap_or_default().trim().to_owned();
    let torrent_error = !torrent.is_empty() && info_hash.is_err();
    let filter = LogFilter {
        level,
        info_hash: info_hash.ok(),
        address: Some(address.clone()).filter(|address| !address.is_empty()),
    };
    // A torrent that is none has no lines.
    let limit = if torrent_error { 0 } else { LINES };
    let entries = dashboard.0.config.log_buffer.entries(&filter, 0, limit);
    let full = entries.len() == LINES;
    render(&LogPage {
        level: level_name,
        levels: LEVELS,
        ndjson: link("/api/v1/log.ndjson", &[("level", level_name), ("info_hash", &torrent), ("address", &address)]),
        torrent,
        torrent_error,
        address,
        lines: Lines::new(dashboard, &shell, &entries),
        full,
        shell,
    })
}
