//! The downloads of a lesson that are in progress.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use torrent_library::ContentKey;

use super::Computers;
use crate::Reachability;
use crate::lesson::CopyStatus;

/// The downloads that are in progress, in browsers and by BitTorrent clients. A download is one of a file by a computer; this
/// machine's own are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DownloadsInProgress {
    /// All of them.
    pub total: u64,
    /// Those that get nothing.
    pub stuck: u64,
    /// Those of which it cannot be said: a BitTorrent client has to announce twice.
    pub undecided: u64,
    /// The first of the files that somebody is stuck with: those with most such computers first.
    pub stuck_files: Vec<StuckFile>,
    /// The number of all of those files.
    pub stuck_files_total: usize,
    /// `false` if there were more computers or files than are recorded.
    pub is_complete: bool,
}

/// A file that somebody is stuck with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckFile {
    /// Its key.
    pub key: ContentKey,
    /// Its displayable name; `None` if it is a torrent of which the .torrent file is not known.
    pub name: Option<Arc<str>>,
    /// The number of computers that are stuck with it.
    pub computers: u64,
}

impl Computers {
    /// The downloads that are in progress, with at most `limit` files that somebody is stuck with. It takes a time that grows
    /// with the number of all copies: about 50 ms for a million.
    pub fn in_progress(&self, limit: usize) -> DownloadsInProgress {
        let mut downloads = self.look(|look| {
            let mut all = DownloadsInProgress { is_complete: !look.lesson.is_full(), ..DownloadsInProgress::default() };
            for file in look.lesson.files() {
                let mut stuck = 0;
                for (_, copy) in file.copies.iter().filter(|(address, _)| !look.roster.is_own(**address)) {
                    match copy.status(file.has_seeder, look.round, look.now) {
                        CopyStatus::Stuck(_) => stuck += 1,
                        CopyStatus::Downloading => all.undecided += u64::from(copy.is_undecided()),
                        _ => continue,
                    }
                    all.total += 1;
                }
                all.stuck += stuck;
                if stuck > 0 {
                    let name = file.is_known().then(|| Arc::clone(&file.name));
                    all.stuck_files.push(StuckFile { key: file.key(), name, computers: stuck });
                }
            }
            all
        });
        downloads.stuck_files_total = downloads.stuck_files.len();
        downloads.stuck_files.sort_by_key(|file| Reverse(file.computers));
        downloads.stuck_files.truncate(limit);
        downloads
    }

    /// The number of other computers that have announced by a BitTorrent client in this lesson, and of those of them to which
    /// nobody can connect.
    pub fn clients(&self) -> (usize, usize) {
        self.look(|look| {
            let copies = look.lesson.files().flat_map(|file| &file.copies);
            let others = copies.filter(|(address, _)| !look.roster.is_own(**address));
            let torrents = others.filter_map(|(address, copy)| Some((*address, copy.torrent.as_ref()?)));
            let (mut all, mut unreachable) = (HashSet::new(), HashSet::new());
            for (address, torrent) in torrents {
                all.insert(address);
                if torrent.reachability(look.round).0 == Reachability::No {
                    unreachable.insert(address);
                }
            }
            (all.len(), unreachable.len())
        })
    }
}
