//! The downloads of all files: who is stuck, and why.

use torrent_library::ContentKey;
use tracker_monitor::{DownloadsInProgress, Observer, StuckFile};

use super::missing::{Group, Missing};
use crate::web::format::{count, counted};
use crate::web::shell::{Label, file_href};

/// Files that are shown.
const SHOWN: usize = 5;

/// Computers that are named for each reason.
const NAMED: usize = 8;

/// A file that somebody is stuck with.
pub(super) struct Stuck {
    pub(super) file: Label,
    /// Who is stuck, by reason.
    pub(super) groups: Vec<Group>,
}

/// The files that somebody is stuck with.
pub(super) struct Attention {
    pub(super) stuck: Vec<Stuck>,
    /// The number of those that are not shown: `3 more files`.
    pub(super) more: Option<String>,
    /// How the other downloads are.
    pub(super) rest: Rest,
}

/// The downloads that are not known to be stuck.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There is none.
    None,
    /// So many, all of which get on.
    Fine(String),
    /// It cannot be said of all of them: so many, and why.
    Undecided { number: String, why: &'static str },
}

impl Rest {
    fn new(downloads: &DownloadsInProgress, knows_progress: bool) -> Self {
        let DownloadsInProgress { total, stuck, undecided, is_complete, .. } = *downloads;
        let undecided_number = || format!("{} of {}", count(undecided), counted(total, "download"));
        match (total - stuck, undecided) {
            _ if !is_complete => Self::Undecided {
                number: "some downloads".to_owned(),
                why: "There are more computers or files than the tracker keeps in mind.",
            },
            (0, _) => Self::None,
            (rest, 0) => Self::Fine(counted(rest, "download")),
            _ if knows_progress => Self::Undecided {
                number: undecided_number(),
                why: "A BitTorrent client has to report twice, at least a minute apart, and many report only every 5 to 10 \
                      minutes; aria2 does not say whether it has everything or only a magnet link.",
            },
            _ => Self::Undecided {
                number: undecided_number(),
                why: "The tracker runs with --lean, and does not keep what BitTorrent clients report about their progress.",
            },
        }
    }
}

pub(super) fn attention(observer: &Observer) -> Attention {
    let computers = observer.computers();
    let downloads = computers.in_progress(SHOWN);
    let stuck = downloads.stuck_files.iter().map(|StuckFile { key, name, .. }| Stuck {
        file: match key {
            ContentKey::Swarm(info_hash) => Label::new(info_hash, name.as_deref()),
            ContentKey::Id(_) => {
                Label { text: name.as_deref().unwrap_or_default().to_owned(), is_hash: false, href: file_href(*key) }
            }
        },
        groups: Missing::new(&computers.of_file(*key), NAMED).stuck(),
    });
    let more = downloads.stuck_files_total - downloads.stuck_files.len();
    Attention {
        stuck: stuck.collect(),
        more: (more > 0).then(|| counted(more as u64, "more file")),
        rest: Rest::new(&downloads, observer.knows_progress()),
    }
}
