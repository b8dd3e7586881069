//! The log: sentences, the newest first.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use torrent_library::ContentKey;
use tracing::Level;
use tracker_monitor::{LogEntry, LogFilter};

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::{Moment, MomentStyle, capitalized};
use crate::web::public::{Offer, Offers};
use crate::web::role::Role;
use crate::web::shell::{Section, Shell, file_href, link, render, render_blocking};

/// Lines on a page: on a telephone they are some screens.
const LINES: usize = 60;

/// Files that can be chosen.
const FILES: usize = 500;

/// The path of this page.
const PATH: &str = "/manage/log";

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    shell: Shell,
    level: &'static str,
    levels: &'static [(&'static str, &'static str, Level)],
    computer: String,
    file: String,
    files: Vec<FileOption>,
    ndjson: String,
    lines: Vec<LineView>,
    /// The link to earlier lines.
    older: Option<String>,
    /// The link to the newest ones, on a page of earlier ones.
    newest: Option<String>,
    is_filtered: bool,
}

/// A file that can be chosen.
struct FileOption {
    key: String,
    name: String,
}

struct LineView {
    id: u64,
    at: Moment,
    /// `Warning`, say; `None` for an ordinary line.
    level: Option<&'static str>,
    class: &'static str,
    sentence: Sentence,
    /// The address that it is about, if the sentence does not have it.
    address: Option<String>,
    /// What a line has that is no sentence by itself.
    fields: Vec<(&'static str, String)>,
}

/// A sentence, with a link to the file that it is about.
#[derive(Debug, PartialEq, Eq)]
struct Sentence {
    before: String,
    file: Option<(String, String)>,
    after: String,
}

impl Sentence {
    /// `file` is a name and a URL. The first place of the name becomes the link; if it has none, the link follows the text.
    fn new(text: &str, file: Option<(String, String)>) -> Self {
        let place = file.as_ref().and_then(|(name, _)| text.split_once(&**name));
        match (place, &file) {
            (Some((before, after)), _) => Self { before: before.to_owned(), after: after.to_owned(), file },
            (None, Some(_)) => Self { before: format!("{text} "), after: String::new(), file },
            (None, None) => Self { before: text.to_owned(), after: String::new(), file: None },
        }
    }
}

impl LineView {
    fn new(dashboard: &Dashboard, shell: &Shell, entry: &LogEntry) -> Self {
        let (level, class) = match entry.level {
            Level::ERROR => (Some("Error"), "level-error"),
            Level::WARN => (Some("Warning"), "level-warn"),
            // Less important ones are not asked for.
            _ => (None, "level-info"),
        };
        // Such a line is a sentence, and its fields are for programs.
        let is_event = entry.fields.iter().any(|(name, _)| *name == "event");
        let is_said = |address: &&String| {
            let ip =
                address.parse::<SocketAddr>().map_or_else(|_| (*address).clone(), |address| address.ip().to_string());
            entry.message.contains(&ip)
        };
        Self {
            id: entry.id,
            at: shell.wall(entry.at, MomentStyle::Clock),
            level,
            class,
            sentence: Sentence::new(&capitalized(&entry.message), file_of(dashboard, entry)),
            address: entry.address.as_ref().filter(|address| !is_said(address)).cloned(),
            fields: if is_event { Vec::new() } else { entry.fields.clone() },
        }
    }
}

/// The name and the URL of the file that a line is about.
fn file_of(dashboard: &Dashboard, entry: &LogEntry) -> Option<(String, String)> {
    let field = |wanted: &str| entry.fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &**value);
    let key = match entry.info_hash {
        Some(info_hash) => ContentKey::Swarm(info_hash),
        None => ContentKey::Id(field("content")?.parse().ok()?),
    };
    let computers = dashboard.config().observer.computers();
    let known = || computers.file_name(&entry.info_hash?).map(|name| name.to_string());
    let name = field("file").map(str::to_owned).or_else(known);
    // As the sentence calls a torrent without a name.
    let name = name.or_else(|| entry.info_hash.map(|info_hash| format!("torrent {:.8}…", info_hash.to_string())));
    Some((name?, file_href(key)))
}

/// The levels that can be chosen.
const LEVELS: &[(&str, &str, Level)] = &[
    ("error", "Errors", Level::ERROR),
    ("warn", "Warnings and errors", Level::WARN),
    ("info", "Everything", Level::INFO),
];

/// The query of `GET /manage/log`. Invalid values are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LogParams {
    level: Option<String>,
    /// A part of the name or address of a computer.
    #[serde(alias = "address")]
    computer: Option<String>,
    /// The key of a file.
    #[serde(alias = "info_hash")]
    file: Option<String>,
    /// Only lines before the one with this id.
    before: Option<String>,
}

/// `GET /manage/log`.
pub(super) async fn page(State(dashboard): State<Dashboard>, role: Role, Query(params): Query<LogParams>) -> Response {
    render_blocking(dashboard, move |dashboard| log(dashboard, role, params)).await
}

fn log(dashboard: &Dashboard, role: Role, params: LogParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Log);
    let named = params.level.as_deref().and_then(|level| LEVELS.iter().find(|(name, ..)| *name == level));
    let &(level_name, _, level) = named.unwrap_or(&LEVELS[2]);
    let computer = params.computer.unwrap_or_default().trim().to_owned();
    let key = params.file.and_then(|file| file.trim().parse::<ContentKey>().ok());
    let before = params.before.and_then(|before| before.parse().ok());
    let (info_hash, content) = both_keys(dashboard, key);
    let filter = LogFilter::default().with(|filter| {
        filter.level = level;
        filter.info_hash = info_hash;
        filter.content = content;
        filter.computer = Some(computer.clone()).filter(|text| !text.is_empty());
    });
    let entries = dashboard.config().log_buffer.entries_before(&filter, before, LINES);
    let file = key.map(|key| key.to_string()).unwrap_or_default();
    let query = [("level", level_name), ("computer", &*computer), ("file", &*file)];
    let oldest = entries.first().filter(|_| entries.len() == LINES).map(|entry| entry.id.to_string());
    render(&LogPage {
        level: level_name,
        levels: LEVELS,
        ndjson: link(
            "/api/v1/log.ndjson",
            &[
                ("level", level_name),
                ("info_hash", &filter.info_hash.map(|info_hash| info_hash.to_string()).unwrap_or_default()),
                ("content", filter.content.as_deref().unwrap_or_default()),
                ("computer", &computer),
            ],
        ),
        older: oldest.map(|before| link(PATH, &[&query[..], &[("before", &before)]].concat())),
        newest: before.map(|_: u64| link(PATH, &query)),
        is_filtered: !computer.is_empty() || key.is_some() || level != Level::INFO,
        lines: entries.iter().rev().map(|entry| LineView::new(dashboard, &shell, entry)).collect(),
        files: file_options(dashboard, key),
        computer,
        file,
        shell,
    })
}

/// A file is known by its info-hash, and by the id of its content, which it has before.
fn both_keys(dashboard: &Dashboard, key: Option<ContentKey>) -> (Option<tracker_core::InfoHash>, Option<String>) {
    let contents = &dashboard.config().contents;
    match key {
        None => (None, None),
        Some(key @ ContentKey::Swarm(info_hash)) => {
            (Some(info_hash), contents.get(key).map(|content| content.id().to_string()))
        }
        Some(ContentKey::Id(id)) => (contents.info_hash_of(id), Some(id.to_string())),
    }
}

/// The files to choose from, among them the one that is chosen.
fn file_options(dashboard: &Dashboard, chosen: Option<ContentKey>) -> Vec<FileOption> {
    let offers = Offers::of(dashboard);
    let option = |offer: &Offer| FileOption { key: offer.key.to_string(), name: offer.name.to_string() };
    let mut options: Vec<_> = offers.all().iter().take(FILES).map(option).collect();
    if let Some(key) = chosen.map(|key| key.to_string())
        && options.iter().all(|option| option.key != key)
    {
        options.insert(0, FileOption { name: key.clone(), key });
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_in_a_sentence_is_a_link() {
        let file = || Some(("a.mp4".to_owned(), "/x".to_owned()));
        let parts = |text: &str| {
            let Sentence { before, after, .. } = Sentence::new(text, file());
            (before, after)
        };
        assert_eq!(parts("lab-07 began a.mp4"), ("lab-07 began ".to_owned(), String::new()));
        assert_eq!(parts("a.mp4 and a.mp4"), (String::new(), " and a.mp4".to_owned()));
        assert_eq!(parts("done"), ("done ".to_owned(), String::new()));
        assert_eq!(Sentence::new("done", None).before, "done");
        assert_eq!(capitalized("übung"), "Übung");
        assert_eq!(capitalized(""), "");
    }
}
