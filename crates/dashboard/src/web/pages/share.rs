//! Making torrents of what is in the share folder.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::role::Role;
use torrent_library::displayable;
use torrent_library::{JobState, Listing, TorrentJob};

use crate::web::format::{Bar, bytes};
use crate::web::shell::{Label, Section, Shell, link, render, render_blocking};

/// Torrents in the making, or made, that are shown.
const MAKINGS: usize = 20;

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
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
    entries: Vec<EntryView>,
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
}

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

/// The query of `GET /manage/share`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FolderParams {
    path: Option<String>,
}

/// `GET /manage/share`. Only operators see what is in the share folder, and what is made of it: nobody else can do anything with it.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<FolderParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| share(dashboard, role, params)).await
}

fn share(dashboard: &Dashboard, role: Role, params: FolderParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Share);
    let torrent_jobs = dashboard.0.config.torrent_jobs.as_ref();
    let path = params.path.unwrap_or_default();
    let (shares, torrent_jobs) = (torrent_jobs.is_some(), torrent_jobs.filter(|_| shell.operator()));
    let folder = match torrent_jobs {
        Some(torrent_jobs) => torrent_jobs.share().list(&path).map(folder).map_err(|error| error.to_string()),
        None => Err(String::new()),
    };
    let makings = torrent_jobs.map(|torrent_jobs| torrent_jobs.all()).unwrap_or_default();
    render(&SharePage {
        shares,
        running: !dashboard.announce_urls().is_empty(),
        folder,
        makings: makings.into_iter().take(MAKINGS).map(|making| MakingView::new(dashboard, making)).collect(),
        shell,
    })
}

fn folder(listing: Listing) -> FolderView {
    let href = |path: &str| link("/manage/share", &[("path", path)]);
    let mut above = Vec::new();
    let mut name = "Share folder".to_owned();
    let mut so_far = String::new();
    for next in listing.path.split('/').filter(|name| !name.is_empty()) {
        above.push(Crumb { name: std::mem::replace(&mut name, displayable(next)), href: href(&so_far) });
        so_far = joined(&so_far, next);
    }
    let entries = listing
        .entries
        .into_iter()
        .map(|entry| {
            let path = joined(&listing.path, &entry.name);
            EntryView {
                href: entry.size.is_none().then(|| href(&path)),
                size: entry.size.map(|size| bytes(size as f64)),
                name: displayable(&entry.name),
                path,
            }
        })
        .collect();
    FolderView { path: listing.path, name, above, entries, truncated: listing.truncated }
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
    use torrent_library::ListingEntry;

    use super::*;

    #[test]
    fn a_folder_knows_those_above_it() {
        let entry = |name: &str, size| ListingEntry { name: name.to_owned(), size };
        let entries = vec![entry("c d", None), entry("e", Some(50_000_000))];
        let view = folder(Listing { path: "a/b".to_owned(), entries, truncated: false });
        let above: Vec<_> = view.above.iter().map(|crumb| (&*crumb.name, &*crumb.href)).collect();
        assert_eq!(above, [("Share folder", "/manage/share"), ("a", "/manage/share?path=a")]);
        assert_eq!(view.name, "b");
        assert_eq!(view.entries[0].href.as_deref(), Some("/manage/share?path=a%2Fb%2Fc+d"));
        assert_eq!(view.entries[1].path, "a/b/e");
        assert_eq!(view.entries[1].size.as_deref(), Some("50 MB"));

        let view = folder(Listing { path: String::new(), entries: Vec::new(), truncated: false });
        assert!(view.above.is_empty());
        assert_eq!(view.name, "Share folder");
    }
}
