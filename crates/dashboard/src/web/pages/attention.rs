//! The list of stuck torrents and peers, and the reasons.

use tracker_monitor::{DownloadCounts, Observer, PeerRow, StuckReason, TorrentRow};

use crate::web::format::{count, counted, percent};
use crate::web::shell::Label;

/// Torrents that are shown.
const SHOWN: usize = 5;

/// Peers that are named for each of them.
const NAMED: usize = 8;

/// A torrent where somebody is stuck.
pub(super) struct Stuck {
    pub(super) torrent: Label,
    pub(super) hint: Hint,
}

/// Why a torrent is stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) what: String,
    /// Advice on what to do about it.
    pub(super) advice: &'static str,
    /// The computers that are stuck.
    pub(super) who: Vec<String>,
    /// The number of those that are not listed.
    pub(super) more: Option<String>,
}

/// The torrents that are shown, and how many there are.
pub(super) struct Attention {
    pub(super) stuck: Vec<Stuck>,
    pub(super) total: usize,
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
    fn new(downloads: DownloadCounts, knows_progress: bool) -> Self {
        let DownloadCounts { total, no_seeder, no_progress, silent, undecided, .. } = downloads;
        let rest = total.saturating_sub(no_seeder + no_progress + silent);
        let of = |number: u64| format!("{} of {}", count(number), counted(total, "download"));
        match (rest, undecided) {
            (0, _) => Self::None,
            (_, 0) => Self::Fine(counted(rest, "download")),
            _ if knows_progress => Self::Undecided {
                number: of(undecided),
                why: "A computer has to report twice, at least a minute apart, and many programs report only every 5 to \
                      10 minutes; aria2 does not say whether it has everything or only a magnet link.",
            },
            _ => Self::Undecided {
                number: of(undecided),
                why: "The tracker runs with --lean, and does not keep what computers report about their progress.",
            },
        }
    }
}

pub(super) fn attention(observer: &Observer) -> Attention {
    let stuck = observer.stuck(SHOWN);
    let rest = Rest::new(stuck.downloads, observer.knows_progress());
    let hints = stuck.torrents.iter().map(|(row, reason)| Stuck {
        torrent: Label::new(&row.info_hash, row.name.as_deref()),
        hint: Hint::new(*reason, row, observer),
    });
    Attention { stuck: hints.collect(), total: stuck.total, rest }
}

impl Hint {
    fn new(reason: StuckReason, row: &TorrentRow, observer: &Observer) -> Self {
        let (peers, total) = observer.stuck_peers(&row.info_hash, NAMED);
        let who: Vec<_> = peers.iter().map(name).collect();
        let more = total.checked_sub(who.len()).filter(|more| *more > 0);
        Self { who, more: more.map(|more| count(more as u64)), ..Self::of(reason, row.completion) }
    }

    /// `completion` is how much the peers have on average.
    fn of(reason: StuckReason, completion: Option<f64>) -> Self {
        let (what, advice) = match reason {
            StuckReason::NoSeeder { waiting } => {
                let wait = if waiting == 1 { "waits" } else { "wait" };
                let have = completion.map(|part| format!("; on average they have {}", percent(part)));
                let what = format!(
                    "{} {wait}, and nobody has the whole content{}",
                    counted(waiting.into(), "computer"),
                    have.unwrap_or_default()
                );
                (what, "Start a client that has the whole content, and let it seed.")
            }
            StuckReason::NoProgress { peers } => {
                let get = if peers == 1 { "gets" } else { "get" };
                let what = format!("{} {get} nothing, although others have it", counted(peers.into(), "computer"));
                let advice = "Most often a firewall blocks the port of their client, or that of the computers that have it: \
                              allow it on one side. Check also that the clients are not paused.";
                (what, advice)
            }
            StuckReason::Silent { peers: 1 } => (
                "1 computer has stopped reporting before it had everything".to_owned(),
                "It may be asleep, switched off or disconnected.",
            ),
            StuckReason::Silent { peers } => (
                format!("{} have stopped reporting before they had everything", counted(peers.into(), "computer")),
                "They may be asleep, switched off or disconnected.",
            ),
            // The monitor may know more reasons than this page.
            _ => ("Downloads make no progress".to_owned(), "See the list of peers."),
        };
        Self { what, advice, who: Vec::new(), more: None }
    }
}

/// A computer, and how much it has.
fn name(peer: &PeerRow) -> String {
    let name = peer.host.as_deref().map_or_else(|| peer.address.ip().to_string(), str::to_owned);
    match peer.completion {
        Some(part) => format!("{name} ({})", percent(part)),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_say_what_is_the_matter() {
        let what = |reason, completion| Hint::of(reason, completion).what;
        let alone = "1 computer waits, and nobody has the whole content; on average they have 50%";
        assert_eq!(what(StuckReason::NoSeeder { waiting: 1 }, Some(0.5)), alone);
        assert_eq!(
            what(StuckReason::NoSeeder { waiting: 2 }, None),
            "2 computers wait, and nobody has the whole content"
        );
        assert_eq!(
            what(StuckReason::NoProgress { peers: 1 }, None),
            "1 computer gets nothing, although others have it"
        );
        assert_eq!(
            what(StuckReason::Silent { peers: 2 }, None),
            "2 computers have stopped reporting before they had everything"
        );
    }
}
