//! What people read about the connections of computers, and what to do about them.

use crate::{Reachability, ReachabilityReason};

/// Something about the connections of one computer, or of two, that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachabilityNote {
    /// What is the case, as a sentence without its stop.
    pub what: String,
    /// What it means, and what to do about it, in sentences.
    pub advice: &'static str,
    /// `true` if others cannot connect to it at all, or get nothing if they do.
    pub is_problem: bool,
}

impl ReachabilityNote {
    /// The note on a computer with this name, whose client listens on this port, in the torrent of a file; `None` if there is
    /// nothing to say.
    pub fn new(
        who: &str,
        port: u16,
        file: &str,
        reachability: Reachability,
        reason: Option<ReachabilityReason>,
    ) -> Option<Self> {
        use Reachability::{No, Unknown, Yes};
        use ReachabilityReason::{EncryptedOnly, NoAnswer, NotThisTorrent, OtherClient, Refused, UtpOnly};
        let (what, advice) = match (reachability, reason) {
            (No, Some(NoAnswer)) => (
                format!("{who} cannot be reached on port {port} (no answer): its firewall"),
                "It can still download from others. Allow its BitTorrent client in its firewall, so that others can download \
                 from it, too.",
            ),
            (No, Some(Refused)) => (
                format!("{who} cannot be reached on port {port} (refused): no program listens there"),
                "It can still download from others. Check that its BitTorrent client is running, with this port in its \
                 settings, and that its firewall does not reject connections.",
            ),
            (No, Some(NotThisTorrent)) => (
                format!("{who} is running its BitTorrent client, but {file} is not active in it"),
                "It may be paused, removed, or still being checked: start it again there.",
            ),
            (No, _) => (
                format!(
                    "{who} cannot be reached: its BitTorrent client listens on no port, or announces from an address to which \
                     nobody can connect"
                ),
                "It can still download from others. Switch off the proxy in the settings of its client, if there is one.",
            ),
            (Yes | Unknown, Some(EncryptedOnly)) => (
                format!("{who} accepts encrypted connections only"),
                "Most BitTorrent clients can encrypt. If one gets nothing from it, allow connections without encryption in the \
                 settings of its client, too.",
            ),
            (Yes | Unknown, Some(UtpOnly)) => (
                format!("{who} can be reached on port {port} over UDP, but not over TCP"),
                "Most BitTorrent clients can use UDP; rTorrent and aria2 cannot. Allow TCP on this port in its firewall, and in \
                 the settings of its client, too.",
            ),
            (Yes | Unknown, Some(OtherClient)) => (
                format!("{who} answers on port {port} with another BitTorrent client than the one that reported"),
                "Others can connect to that one. If two clients are running there, give each a port of its own.",
            ),
            (Yes | Unknown, _) => return None,
        };
        Some(Self { what, advice, is_problem: reachability == No })
    }

    /// The note on two computers with these names neither of which can connect to the other.
    pub fn of_pair(who: &str, other: &str) -> Self {
        Self {
            what: format!("{who} and {other} cannot reach each other: neither of them can be connected to"),
            advice: "They can still exchange data with others. Allow the BitTorrent client in the firewall of one of them: \
                     that is enough for both.",
            is_problem: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_sentence() {
        use ReachabilityReason::*;
        let what = |reachability, reason| {
            ReachabilityNote::new("lab-07", 51413, "lecture.mp4", reachability, reason)
                .map(|note| (note.what, note.is_problem))
        };
        for (reachability, reason, sentence) in [
            (Reachability::No, Some(NoAnswer), "lab-07 cannot be reached on port 51413 (no answer): its firewall"),
            (
                Reachability::No,
                Some(Refused),
                "lab-07 cannot be reached on port 51413 (refused): no program listens there",
            ),
            (
                Reachability::No,
                Some(NotThisTorrent),
                "lab-07 is running its BitTorrent client, but lecture.mp4 is not active in it",
            ),
            (
                Reachability::No,
                None,
                "lab-07 cannot be reached: its BitTorrent client listens on no port, or announces from an address to which \
                 nobody can connect",
            ),
            (Reachability::Yes, Some(EncryptedOnly), "lab-07 accepts encrypted connections only"),
            (Reachability::Yes, Some(UtpOnly), "lab-07 can be reached on port 51413 over UDP, but not over TCP"),
            (
                Reachability::Yes,
                Some(OtherClient),
                "lab-07 answers on port 51413 with another BitTorrent client than the one that reported",
            ),
        ] {
            let is_problem = reachability == Reachability::No;
            assert_eq!(what(reachability, reason), Some((sentence.to_owned(), is_problem)));
        }
        for (reachability, reason) in
            [(Reachability::Yes, None), (Reachability::Unknown, None), (Reachability::Unknown, Some(SameMachine))]
        {
            assert_eq!(what(reachability, reason), None);
        }
        let firewall = ReachabilityNote::new("lab-07", 1, "", Reachability::No, Some(NoAnswer)).unwrap();
        assert!(firewall.advice.starts_with("It can still download from others. "));
    }

    #[test]
    fn two_are_told_as_a_pair() {
        let note = ReachabilityNote::of_pair("lab-07", "lab-09");
        assert_eq!(note.what, "lab-07 and lab-09 cannot reach each other: neither of them can be connected to");
    }
}
