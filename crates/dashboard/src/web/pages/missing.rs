//! Who does not have a file, by reason, with what to do about it.

use tracker_monitor::{CopyRow, CopyStatus, PeerStuckReason, Reachability, ReachabilityReason};

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
    NotActive,
    Unreachable,
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
        Self::new(row.status, row.counts, row.reachability, row.reason)
    }

    fn new(
        status: CopyStatus,
        counts: bool,
        reachability: Reachability,
        reason: Option<ReachabilityReason>,
    ) -> Option<Self> {
        match status {
            CopyStatus::Stuck(PeerStuckReason::Silent) => Some(Self::Silent),
            CopyStatus::Stuck(PeerStuckReason::Browser) => Some(Self::Browser),
            CopyStatus::Stuck(_) if reason == Some(ReachabilityReason::NotThisTorrent) => Some(Self::NotActive),
            CopyStatus::Stuck(PeerStuckReason::NoSeeder) => Some(Self::NoSeeder),
            CopyStatus::Stuck(_) if reachability == Reachability::No => Some(Self::Unreachable),
            CopyStatus::Stuck(_) => Some(Self::NoProgress),
            CopyStatus::Stopped if counts => Some(Self::Stopped),
            CopyStatus::NotBegun if counts => Some(Self::NotBegun),
            _ => None,
        }
    }

    /// What is the matter with so many, and what to do about it.
    fn describe(self, number: usize) -> (String, &'static str) {
        let computers = counted(number as u64, "computer");
        let s = |one: &'static str, many: &'static str| if number == 1 { one } else { many };
        match self {
            Self::NotActive => (
                format!(
                    "{computers} {} a BitTorrent client that is running, but this file is not active in it",
                    s("has", "have")
                ),
                "It may be paused, removed, or still being checked: start it again there.",
            ),
            Self::Unreachable => (
                format!("{computers} {} nothing, and cannot be reached by those that have it", s("gets", "get")),
                "No answer: allow the BitTorrent client in the firewall there, or in that of those that have it. Refused: start the \
                 client again there, and check the port in its settings. If this machine shares the file, a browser can download it all the same.",
            ),
            Self::NoProgress => (
                format!("{computers} {} nothing, although others have it", s("gets", "get")),
                "Most often a firewall blocks the port of their client, or that of the computers that have it: allow it on one \
                 side. Check also that the clients are not paused. If this machine shares the file, a browser can download it all \
                 the same.",
            ),
            Self::NoSeeder => (
                format!("{computers} {}, and nobody who is there has all of it", s("waits", "wait")),
                "Open it in a BitTorrent program on a computer that has all of it. If this machine has it, the page of the file says why \
                 it is not given.",
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
    let has = row.completion.filter(|_| reason != Reason::NotBegun).map(percent);
    let why = (reason == Reason::Unreachable).then(|| unreachable_text(row.port, row.reason));
    match [has, why].into_iter().flatten().collect::<Vec<_>>().join(", ") {
        known if known.is_empty() => name,
        known => format!("{name} ({known})"),
    }
}

/// Why a computer cannot be reached, in a few words.
fn unreachable_text(port: Option<u16>, reason: Option<ReachabilityReason>) -> String {
    match (reason, port) {
        (Some(ReachabilityReason::NoAnswer), Some(port)) => format!("no answer on port {port}"),
        (Some(ReachabilityReason::Refused), Some(port)) => format!("refused on port {port}"),
        _ => "its client listens on no port that others can connect to".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_stuck_has_the_reason_that_helps_most() {
        use PeerStuckReason::{Browser, NoProgress, NoSeeder, Silent};
        use ReachabilityReason::{NoAnswer, NotThisTorrent};
        for (status, reachability, reason, expected) in [
            (NoProgress, Reachability::Unknown, None, Reason::NoProgress),
            (NoProgress, Reachability::Yes, None, Reason::NoProgress),
            (NoProgress, Reachability::No, Some(NoAnswer), Reason::Unreachable),
            (NoProgress, Reachability::No, Some(NotThisTorrent), Reason::NotActive),
            (NoSeeder, Reachability::No, Some(NoAnswer), Reason::NoSeeder),
            (NoSeeder, Reachability::No, Some(NotThisTorrent), Reason::NotActive),
            (Silent, Reachability::No, Some(NotThisTorrent), Reason::Silent),
            (Browser, Reachability::No, Some(NoAnswer), Reason::Browser),
        ] {
            assert_eq!(Reason::new(CopyStatus::Stuck(status), true, reachability, reason), Some(expected));
        }
        let downloading = Reason::new(CopyStatus::Downloading, true, Reachability::No, Some(NoAnswer));
        assert_eq!(downloading, None, "it can download from others");
    }

    #[test]
    fn why_a_computer_cannot_be_reached_has_its_port() {
        use ReachabilityReason::{NoAnswer, Refused};
        for (port, reason, text) in [
            (Some(51413), Some(NoAnswer), "no answer on port 51413"),
            (Some(6881), Some(Refused), "refused on port 6881"),
            (Some(0), None, "its client listens on no port that others can connect to"),
        ] {
            assert_eq!(unreachable_text(port, reason), text);
        }
    }
}
