//! Making torrents by hand of what is in the share folder.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use torrent_library::{
    ContentKey, ItemState, JobState, Listing, ListingEntry, TorrentJob, TorrentJobs, displayable, natural_key,
};
use tracker_core::InfoHash;

use super::search::Search;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::{Bar, bytes, count, entries};
use crate::web::role::Role;
use crate::web::shell::{Label, Section, Shell, file_href, link, render, render_blocking};
use crate::web::table::{Pages, Part, page_number};

/// The path of this page.
const PATH: &str = "/manage/share/by-hand";

/// Entries on a page.
const PAGE: usize = 100;

/// Entries that are easily looked through.
const LONG: usize = 10;

/// Torrents in the making, or made, that are shown.
const MAKINGS: usize = 20;

#[derive(Template)]
#[template(path = "by_hand.html")]
struct ByHandPage {
    shell: Shell,
    /// `true` if there is a share folder.
    shares: bool,
    /// `true` if a torrent would have announce URLs.
    running: bool,
    folder: Result<FolderView, String>,
    makings: Vec<MakingView>,
}

/// A folder of the share.
struct FolderView {
    /// From the share on; empty for the share itself.
    path: String,
    name: String,
    /// The folders above it, the share first.
    above: Vec<Crumb>,
    /// The URL of its listing.
    href: String,
    /// `true` if it has more entries than are easily looked through.
    is_long: bool,
    search: String,
    /// `3,040 files and folders`.
    total: String,
    entries: Vec<EntryView>,
    pages: Pages,
    truncated: bool,
}

struct Crumb {
    name: String,
    href: String,
}

struct EntryView {
    name: String,
    path: String,
    /// The URL of the folder's own listing; `None` for a file.
    href: Option<String>,
    size: Option<String>,
    /// The URL of the page of the torrent that was made of it, if there is one.
    made: Option<String>,
    /// `true` for a .torrent file, of which no torrent is to be made.
    is_torrent: bool,
}

/// The torrents that were made of what is in the share folder, by its path there.
struct Made(HashMap<String, InfoHash>);

struct MakingView {
    id: u64,
    path: String,
    state: &'static str,
    class: &'static str,
    progress: Option<Bar>,
    hashed: Option<String>,
    torrent: Option<MadeView>,
    error: Option<String>,
    cancellable: bool,
}

/// The torrent that a job has made.
struct MadeView {
    info_hash: String,
    label: Label,
}

/// The query of `GET /manage/share/by-hand`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FolderParams {
    path: Option<String>,
    search: Option<String>,
    page: Option<String>,
}

/// `GET /manage/share/by-hand`. Only operators see what is in the share folder, and what is made of it: nobody else can do
/// anything with it.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<FolderParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| by_hand(dashboard, role, &params)).await
}

fn by_hand(dashboard: &Dashboard, role: Role, params: &FolderParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Share);
    let torrent_jobs = dashboard.0.config.torrent_jobs.as_ref();
    let path = params.path.as_deref().unwrap_or_default();
    let (shares, torrent_jobs) = (torrent_jobs.is_some(), torrent_jobs.filter(|_| shell.operator()));
    // First, so that what is done here has its torrent in the folder below.
    let makings = torrent_jobs.map(|torrent_jobs| torrent_jobs.all()).unwrap_or_default();
    let folder = match torrent_jobs {
        Some(torrent_jobs) => {
            let made = Made::of(dashboard, torrent_jobs);
            let listing = torrent_jobs.share().list(path);
            listing.map(|listing| folder(listing, params, &made)).map_err(|error| error.to_string())
        }
        None => Err(String::new()),
    };
    render(&ByHandPage {
        shares,
        running: !dashboard.announce_urls().is_empty(),
        folder,
        makings: makings.into_iter().take(MAKINGS).map(|making| MakingView::new(dashboard, making)).collect(),
        shell,
    })
}

impl Made {
    fn of(dashboard: &Dashboard, torrent_jobs: &TorrentJobs) -> Self {
        let items = dashboard.config().shared_folder.as_ref().map(|folder| folder.items());
        let shared = items.iter().flat_map(|items| &items.items).filter_map(|item| match item.state {
            ItemState::Shared { info_hash } => Some((item.name.to_string(), info_hash)),
            _ => None,
        });
        let made = torrent_jobs.all().into_iter().filter_map(|job| match job.state {
            JobState::Done { info_hash } => Some((job.path, info_hash)),
            _ => None,
        });
        let is_there = |(_, info_hash): &(String, InfoHash)| dashboard.config().library.get(info_hash).is_some();
        Self(made.chain(shared).filter(is_there).collect())
    }
}

fn folder(mut listing: Listing, params: &FolderParams, made: &Made) -> FolderView {
    let href = |path: &str| link(PATH, &[("path", path)]);
    let mut above = Vec::new();
    let mut name = "Share folder".to_owned();
    let mut so_far = String::new();
    for next in listing.path.split('/').filter(|name| !name.is_empty()) {
        above.push(Crumb { name: std::mem::replace(&mut name, displayable(next)), href: href(&so_far) });
        so_far = joined(&so_far, next);
    }
    listing.entries.sort_by_cached_key(|entry| (entry.size.is_some(), natural_key(&entry.name), entry.name.clone()));
    let search = Search::new(params.search.as_deref());
    let found = search.find(&listing.entries, |entry| &entry.name);
    let part = Part::new(&found, PAGE, page_number(params.page.as_deref()));
    let view = |entry: &&ListingEntry| {
        let path = joined(&listing.path, &entry.name);
        EntryView {
            href: entry.size.is_none().then(|| href(&path)),
            size: entry.size.map(|size| bytes(size as f64)),
            made: made.0.get(&path).map(|info_hash| file_href(ContentKey::Swarm(*info_hash))),
            is_torrent: entry.size.is_some() && entry.name.to_lowercase().ends_with(".torrent"),
            name: displayable(&entry.name),
            path,
        }
    };
    FolderView {
        entries: part.items.iter().map(view).collect(),
        pages: part.pages(PATH, &[("path", &listing.path), ("search", search.text())]),
        total: match search.text().is_empty() {
            true => entries(found.len() as u64),
            false => format!("{} found", count(found.len() as u64)),
        },
        is_long: listing.entries.len() > LONG,
        href: href(&listing.path),
        search: search.into_text(),
        name,
        above,
        truncated: listing.truncated,
        path: listing.path,
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

impl MakingView {
    fn new(dashboard: &Dashboard, making: TorrentJob) -> Self {
        let mut view = Self {
            id: making.id,
            path: if making.path.is_empty() { "Share folder".to_owned() } else { displayable(&making.path) },
            state: "Waiting",
            class: "partial",
            progress: None,
            hashed: None,
            torrent: None,
            error: None,
            cancellable: false,
        };
        match making.state {
            JobState::Waiting => view.cancellable = true,
            JobState::Hashing { hashed, total } => {
                view.state = "Reading";
                view.class = "downloading";
                view.progress = Some(Bar(Some(hashed as f64 / total.max(1) as f64)));
                view.hashed = Some(format!("{} of {}", bytes(hashed as f64), bytes(total as f64)));
                view.cancellable = true;
            }
            JobState::Done { info_hash } => {
                view.state = "Done";
                view.class = "seeding";
                let known = dashboard.0.config.library.get(&info_hash);
                view.torrent = Some(MadeView {
                    info_hash: info_hash.to_string(),
                    label: Label::new(&info_hash, known.as_ref().map(|known| &*known.name)),
                });
            }
            JobState::Failed { error } => {
                view.state = "Failed";
                view.class = "failed";
                view.error = Some(error);
            }
            JobState::Cancelled => {
                view.state = "Cancelled";
                view.class = "silent";
            }
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(path: &str, names: &[(&str, Option<u64>)]) -> Listing {
        let entries = names.iter().map(|&(name, size)| ListingEntry { name: name.to_owned(), size }).collect();
        Listing { path: path.to_owned(), entries, truncated: false }
    }

    fn made() -> Made {
        Made(HashMap::from([("a/b/d2".to_owned(), InfoHash::from([0xab; 20]))]))
    }

    #[test]
    fn a_folder_knows_those_above_it() {
        let entries = [("e", Some(50_000_000)), ("c d", None)];
        let view = folder(listing("a/b", &entries), &FolderParams::default(), &made());
        let above: Vec<_> = view.above.iter().map(|crumb| (&*crumb.name, &*crumb.href)).collect();
        assert_eq!(above, [("Share folder", "/manage/share/by-hand"), ("a", "/manage/share/by-hand?path=a")]);
        assert_eq!(view.name, "b");
        assert_eq!(view.entries[0].href.as_deref(), Some("/manage/share/by-hand?path=a%2Fb%2Fc+d"));
        assert_eq!(view.entries[1].path, "a/b/e");
        assert_eq!(view.entries[1].size.as_deref(), Some("50 MB"));

        let view = folder(listing("", &[]), &FolderParams::default(), &made());
        assert!(view.above.is_empty());
        assert_eq!(view.name, "Share folder");
    }

    #[test]
    fn entries_are_in_natural_order_and_say_which_have_a_torrent() {
        let entries = [("d10", None), ("d2", None), ("d1", Some(1)), ("x.TORRENT", Some(1)), ("y.torrent", None)];
        let view = folder(listing("a/b", &entries), &FolderParams::default(), &made());
        let names: Vec<_> = view.entries.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, ["d2", "d10", "y.torrent", "d1", "x.TORRENT"]);
        let torrents = |view: &FolderView| view.entries.iter().map(|entry| entry.is_torrent).collect::<Vec<_>>();
        assert_eq!(torrents(&view), [false, false, false, false, true]);
        assert_eq!(view.entries[0].made, Some(format!("/manage/files/{}", "ab".repeat(20))));
        assert!(view.entries[1..].iter().all(|entry| entry.made.is_none()));
    }

    #[test]
    fn a_large_folder_is_searched_and_has_pages() {
        let names: Vec<_> = (0..3040).map(|number| format!("day {number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (&**name, None)).collect();
        let params = |search: &str, page: &str| FolderParams {
            path: None,
            search: Some(search.to_owned()),
            page: Some(page.to_owned()),
        };
        let view = folder(listing("a", &entries), &params("", "2"), &made());
        assert_eq!(
            (view.entries.len(), &*view.entries[0].name, &*view.total),
            (PAGE, "day 100", "3,040 files and folders")
        );
        assert_eq!(view.pages.next.as_deref(), Some("/manage/share/by-hand?path=a&page=3"));
        let view = folder(listing("a", &entries), &params("DAY 303", ""), &made());
        assert_eq!((view.entries.len(), &*view.total), (11, "11 found"));
    }
}
