//! Who does not have a file, by reason, with what to do about it.

use tracker_monitor::{CopyRow, CopyStatus, PeerStuckReason};

use crate::web::format::{count, counted, percent};

/// The computers that do not have a file.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// The most urgent first.
    pub(super) groups: Vec<Group>,
}

/// Computers that do not have it for the same reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// `2 computers get nothing, although others have it`.
    pub(super) what: String,
    pub(super) advice: &'static str,
    /// Their names, some with what they have.
    pub(super) who: Vec<String>,
    /// The number of those that are not named.
    pub(super) more: Option<String>,
    /// `true` if something is wrong.
    pub(super) is_stuck: bool,
}

/// The reason why a computer does not have a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    NoProgress,
    NoSeeder,
    Browser,
    Silent,
    Stopped,
    NotBegun,
}

impl Missing {
    /// Of the computers that count, those that are stuck, have stopped or not begun. Those that get on are none of them. At most
    /// `named` are named for each reason.
    pub(super) fn new(rows: &[CopyRow], named: usize) -> Self {
        let mut groups: Vec<(Reason, Vec<&CopyRow>)> = Vec::new();
        for row in rows {
            let Some(reason) = Reason::of(row) else { continue };
            match groups.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((reason, vec![row])),
            }
        }
        groups.sort_by_key(|(reason, _)| *reason);
        Self { groups: groups.into_iter().map(|(reason, rows)| Group::new(reason, &rows, named)).collect() }
    }

    /// Only those that are stuck.
    pub(super) fn stuck(self) -> Vec<Group> {
        self.groups.into_iter().filter(|group| group.is_stuck).collect()
    }
}

impl Reason {
    fn of(row: &CopyRow) -> Option<Self> {
        match row.status {
            CopyStatus::Stuck(PeerStuckReason::NoSeeder) => Some(Self::NoSeeder),
            CopyStatus::Stuck(PeerStuckReason::Silent) => Some(Self::Silent),
            CopyStatus::Stuck(PeerStuckReason::Browser) => Some(Self::Browser),
            CopyStatus::Stuck(_) => Some(Self::NoProgress),
            CopyStatus::Stopped if row.counts => Some(Self::Stopped),
            CopyStatus::NotBegun if row.counts => Some(Self::NotBegun),
            _ => None,
        }
    }

    /// What is the matter with so many, and what to do about it.
    fn describe(self, number: usize) -> (String, &'static str) {
        let computers = counted(number as u64, "computer");
        let s = |one: &'static str, many: &'static str| if number == 1 { one } else { many };
        match self {
            Self::NoProgress => (
                format!("{computers} {} nothing, although others have it", s("gets", "get")),
                "Most often a firewall blocks the port of their client, or that of the computers that have it: allow it on one \
                 side. Check also that the clients are not paused. In a browser it can be downloaded all the same.",
            ),
            Self::NoSeeder => (
                format!("{computers} {}, and nobody who is there has all of it", s("waits", "wait")),
                "Start a client that has all of it, and let it seed.",
            ),
            Self::Browser => (
                format!("{computers} {} in a browser, and nothing arrives", s("downloads", "download")),
                "Check the network there, then resume the download or start it again.",
            ),
            Self::Silent => (
                format!(
                    "{computers} {} stopped reporting before {} all of it",
                    s("has", "have"),
                    s("it had", "they had")
                ),
                s(
                    "It may be asleep, switched off or disconnected.",
                    "They may be asleep, switched off or disconnected.",
                ),
            ),
            Self::Stopped => (
                format!("{computers} {} and stopped", s("began", "began")),
                "Start the download there again. A BitTorrent client, and a browser that resumes a file, go on where they \
                 were; a .zip begins anew.",
            ),
            Self::NotBegun => {
                (format!("{computers} {} not begun", s("has", "have")), "Open the page there, and download it.")
            }
        }
    }
}

impl Group {
    fn new(reason: Reason, rows: &[&CopyRow], named: usize) -> Self {
        let (what, advice) = reason.describe(rows.len());
        let who: Vec<_> = rows.iter().take(named).map(|row| name(row, reason)).collect();
        let more = rows.len() - who.len();
        Self { what, advice, who, more: (more > 0).then(|| count(more as u64)), is_stuck: reason < Reason::Stopped }
    }
}

/// A computer, and how much it has.
fn name(row: &CopyRow, reason: Reason) -> String {
    let name = row.name.as_ref().map_or_else(|| row.address.to_string(), |name| name.name.to_string());
    match row.completion {
        Some(part) if reason != Reason::NotBegun => format!("{name} ({})", percent(part)),
        _ => name,
    }
}
