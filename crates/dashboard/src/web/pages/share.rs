//! What is shared: the share folder, what is being prepared and what is passed over; and the place to register .torrent files.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use torrent_library::{ContentKey, Contents, ItemState, PassedOver, SharedFolder, SharedItem, displayable};

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::{Bar, bytes, count, entries, size_text};
use crate::web::role::Role;
use crate::web::shell::{Section, Shell, file_href, render, render_blocking};
use crate::web::table::{Pages, Part, page_number};

use super::search::Search;

/// The path of this page.
const PATH: &str = "/manage/share";

/// Entries on a page.
const PAGE: usize = 50;

/// Entries that are passed over and shown, at most.
const PASSED_OVER: usize = 200;

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
    shell: Shell,
    /// `true` if there is a share folder.
    shares: bool,
    /// What is in it, for the operator.
    folder: Option<FolderView>,
}

/// The share folder.
struct FolderView {
    path: String,
    /// `true` if only that is shared of which torrents are made by hand.
    by_hand: bool,
    /// `48 files and folders`.
    total: String,
    /// How many are not ready yet, if any.
    preparing: Option<String>,
    search: String,
    items: Vec<ItemView>,
    is_empty: bool,
    pages: Pages,
    passed_over: Vec<PassedOver>,
    /// The number of entries that are passed over: `3 entries`.
    passed_over_total: String,
    more_passed_over: Option<String>,
    truncated: bool,
}

/// A file or folder in it.
struct ItemView {
    name: String,
    /// The URL of its page; `None` if it cannot be downloaded yet.
    href: Option<String>,
    is_folder: bool,
    size: Option<String>,
    state: &'static str,
    class: &'static str,
    progress: Option<Bar>,
    note: Option<String>,
}

/// The query of `GET /manage/share`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ShareParams {
    search: Option<String>,
    page: Option<String>,
}

/// `GET /manage/share`. Only operators see what is in the share folder: nobody else can do anything with it.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<ShareParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| share(dashboard, role, &params)).await
}

fn share(dashboard: &Dashboard, role: Role, params: &ShareParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Share);
    let folder = dashboard.config().shared_folder.as_ref();
    render(&SharePage {
        shares: folder.is_some(),
        folder: folder
            .filter(|_| shell.operator())
            .map(|folder| FolderView::new(folder, &dashboard.config().contents, params)),
        shell,
    })
}

impl FolderView {
    fn new(folder: &SharedFolder, contents: &Contents, params: &ShareParams) -> Self {
        let items = folder.items();
        let is_preparing =
            |item: &&SharedItem| matches!(item.state, ItemState::Settling | ItemState::Waiting | ItemState::Hashing(_));
        let preparing = items.items.iter().filter(is_preparing).count();
        let search = Search::new(params.search.as_deref());
        let found = search.find(&items.items, |item| &item.name);
        let part = Part::new(&found, PAGE, page_number(params.page.as_deref()));
        let passed_over: Vec<_> = items.passed_over.iter().take(PASSED_OVER).cloned().collect();
        let more = items.passed_over.len() - passed_over.len();
        Self {
            path: displayable(&folder.share().folder().display().to_string()),
            by_hand: folder.is_by_hand(),
            total: entries(items.items.len() as u64),
            preparing: (preparing > 0).then(|| count(preparing as u64)),
            is_empty: items.items.is_empty(),
            items: part.items.iter().map(|item| ItemView::new(item, contents)).collect(),
            pages: part.pages(PATH, &[("search", search.text())]),
            search: search.into_text(),
            passed_over,
            passed_over_total: if items.passed_over.len() == 1 {
                "1 entry".to_owned()
            } else {
                format!("{} entries", count(items.passed_over.len() as u64))
            },
            more_passed_over: (more > 0).then(|| count(more as u64)),
            truncated: items.truncated,
        }
    }
}

impl ItemView {
    fn new(item: &SharedItem, contents: &Contents) -> Self {
        let content = item.content.as_ref();
        let key = match item.state {
            ItemState::Shared { info_hash } => Some(ContentKey::Swarm(info_hash)),
            _ => content.map(|content| ContentKey::Id(content.id())),
        };
        let (state, class, progress, note) = describe(&item.state, contents);
        let replaces = item.replaces.map(|_| "It takes the place of an earlier version.".to_owned());
        Self {
            name: displayable(&item.name),
            href: key.map(file_href),
            is_folder: content.is_some_and(|content| content.is_folder()),
            size: content.map(|content| size_text(content.size(), content.is_folder().then(|| content.files().len()))),
            state,
            class,
            progress,
            note: note.or(replaces),
        }
    }
}

/// A state as a badge with its class, its progress, and what there is to say about it.
fn describe(state: &ItemState, contents: &Contents) -> (&'static str, &'static str, Option<Bar>, Option<String>) {
    let note = |text: &str| Some(text.to_owned());
    match state {
        ItemState::Settling => {
            ("Changing", "partial", None, note("It is shared when it has not changed for five seconds."))
        }
        ItemState::Waiting => (
            "Waiting",
            "partial",
            None,
            note("It can be downloaded in a browser. Its torrent is made after those of smaller files."),
        ),
        ItemState::Hashing(progress) => {
            let (hashed, total) = (progress.hashed() as f64, progress.total() as f64);
            let read =
                format!("{} of {} read. It can be downloaded in a browser already.", bytes(hashed), bytes(total));
            ("Being prepared", "downloading", Some(Bar(Some(progress.part()))), Some(read))
        }
        ItemState::Shared { info_hash } if contents.damage(info_hash).is_some() => (
            "Damaged",
            "failed",
            None,
            note(
                "A part of it is not what it was when it was shared, so that nothing of it is sent. Its page says what to do.",
            ),
        ),
        ItemState::Shared { info_hash } if contents.is_stopped(info_hash) => (
            "Stopped",
            "silent",
            None,
            note(
                "No BitTorrent program gets it from this machine until you give it again, on its page. Browsers can download it.",
            ),
        ),
        ItemState::Shared { .. } => ("Shared", "seeding", None, None),
        ItemState::SameAs { name } => (
            "Shared",
            "seeding",
            None,
            Some(format!("Its content is that of “{}”, and so is its torrent.", displayable(name))),
        ),
        ItemState::Failed { error } => ("No torrent", "failed", None, Some(error.to_string())),
        ItemState::Removed => (
            "Removed",
            "silent",
            None,
            note(
                "You have removed its torrent. It is shared again when it changes, or when you register the torrent again.",
            ),
        ),
        // The library may know more states than this page.
        _ => ("Unknown", "partial", None, None),
    }
}
