//! The list of stuck torrents and the reasons.

use tracker_monitor::{Observer, StuckReason, TorrentRow};

use crate::web::format::{count, counted, percent};
use crate::web::shell::Label;

/// Hints that are shown.
const SHOWN: usize = 5;

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
}

/// The torrents that are shown, and how many there are.
pub(super) struct Attention {
    pub(super) stuck: Vec<Stuck>,
    pub(super) total: usize,
    /// Among how many of the torrents, if not among all.
    pub(super) among: Option<String>,
}

pub(super) fn attention(observer: &Observer) -> Attention {
    let stuck = observer.stuck();
    let total = stuck.torrents.len();
    let among = stuck.is_partial.then(|| count(Observer::MAX_STUCK_CANDIDATES as u64));
    let hints = stuck.torrents.iter().take(SHOWN).map(|(row, reason)| Stuck {
        torrent: Label::new(&row.info_hash, row.name.as_deref()),
        hint: Hint::new(*reason, row.completion),
    });
    Attention { stuck: hints.collect(), total, among }
}

/// The hint for a torrent that is stuck.
pub(super) fn hint(row: &TorrentRow) -> Option<Hint> {
    row.stuck.map(|reason| Hint::new(reason, row.completion))
}

impl Hint {
    /// `completion` is how much the peers have on average.
    fn new(reason: StuckReason, completion: Option<f64>) -> Self {
        match reason {
            StuckReason::NoSeeder { waiting } => {
                let wait = if waiting == 1 { "waits" } else { "wait" };
                let have = completion.map(|part| format!("; on average they have {}", percent(part)));
                Self {
                    what: format!(
                        "{} {wait}, and nobody has the whole content{}",
                        counted(waiting.into(), "computer"),
                        have.unwrap_or_default()
                    ),
                    advice: "Start a client that has the whole content, and let it seed.",
                }
            }
            StuckReason::Silent { peers: 1 } => Self {
                what: "1 computer has stopped reporting".to_owned(),
                advice: "It may be asleep, switched off or disconnected.",
            },
            StuckReason::Silent { peers } => Self {
                what: format!("{} have stopped reporting", counted(peers.into(), "computer")),
                advice: "They may be asleep, switched off or disconnected.",
            },
            // The monitor may know more reasons than this page.
            _ => Self { what: "Downloads make no progress".to_owned(), advice: "See the list of peers." },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_say_what_is_the_matter() {
        let what = |reason, completion| Hint::new(reason, completion).what;
        let alone = "1 computer waits, and nobody has the whole content; on average they have 50%";
        assert_eq!(what(StuckReason::NoSeeder { waiting: 1 }, Some(0.5)), alone);
        assert_eq!(
            what(StuckReason::NoSeeder { waiting: 2 }, None),
            "2 computers wait, and nobody has the whole content"
        );
        assert_eq!(what(StuckReason::Silent { peers: 2 }, None), "2 computers have stopped reporting");
    }
}
