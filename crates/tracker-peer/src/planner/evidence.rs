//! What attempts to connect to a peer have shown.

use std::time::Duration;

use super::{Reachability, Reason, UtpOutcome};

/// Failed attempts after which a peer counts as unreachable. After one it does not: a client refuses connections while it starts.
const FAILURES: u8 = 2;

/// Failed attempts after which a client counts as one that does not have the torrent: it closes connections while it checks its files.
const FAILURES_WITHOUT_TORRENT: u8 = 3;

/// The time for which a peer that others said to be reachable does not count as unreachable. They tell of it once a minute at most.
const VOUCHED_FOR: Duration = Duration::from_secs(10 * 60);

/// What the attempts to connect to a peer have shown.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Failed attempts since one succeeded.
    failures: u8,
    /// What the last attempt failed of, if it did.
    failure: Option<Failure>,
    /// What the last attempt that succeeded has shown.
    answer: Option<Answer>,
    /// What became of the last attempt by uTP.
    pub(super) utp: Option<UtpOutcome>,
    /// When another peer said last that it is reachable.
    vouched_at: Option<Duration>,
}

/// What an attempt failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    NoAnswer,
    NotThisTorrent,
}

/// What an attempt has shown that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// TCP connected. There was no handshake.
    Tcp,
    /// It shook hands.
    Plain,
    /// It shook hands encrypted, and not without.
    Encrypted,
    /// It shook hands with another peer id than it announced.
    OtherClient,
}

impl Evidence {
    /// An attempt succeeded.
    pub(super) fn succeed(&mut self, answer: Answer) {
        // That TCP connects says nothing of the torrent.
        if answer == Answer::Tcp && self.failure == Some(Failure::NotThisTorrent) {
            return;
        }
        (self.failures, self.failure) = (0, None);
        if answer != Answer::Tcp || self.answer.is_none() {
            self.answer = Some(answer);
        }
    }

    /// An attempt failed.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure);
    }

    /// It connected to this machine for the torrent, so that it has it.
    pub(super) fn meet(&mut self) {
        if self.failure == Some(Failure::NotThisTorrent) {
            (self.failures, self.failure) = (0, None);
        }
    }

    /// Another peer said that this one is reachable.
    pub(super) fn vouch(&mut self, now: Duration) {
        self.vouched_at = Some(now);
    }

    /// Whether it answers uTP, if it was tried.
    pub(super) fn speaks_utp(&self) -> Option<bool> {
        self.utp.map(|outcome| outcome != UtpOutcome::NoAnswer)
    }

    /// Returns `true` if the last attempt failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Returns `true` if it shook hands encrypted when it was tried last, and not without.
    pub(super) fn prefers_encryption(&self) -> bool {
        self.answer == Some(Answer::Encrypted)
    }

    /// The verdict on a peer on another machine.
    pub(super) fn verdict(&self, now: Duration) -> (Reachability, Option<Reason>) {
        let failure = self.failure.filter(|failure| {
            let needed = if *failure == Failure::NotThisTorrent { FAILURES_WITHOUT_TORRENT } else { FAILURES };
            self.failures >= needed
        });
        let is_vouched_for = self.vouched_at.is_some_and(|at| now < at + VOUCHED_FOR);
        match (failure, self.answer) {
            // A client with TCP off may accept connections all the same, and close them.
            (Some(_), _) if self.utp == Some(UtpOutcome::ShookHands) => (Reachability::Yes, Some(Reason::UtpOnly)),
            (Some(Failure::NotThisTorrent), _) => (Reachability::No, Some(Reason::NotThisTorrent)),
            (Some(_), _) if self.speaks_utp() == Some(true) => (Reachability::Yes, Some(Reason::UtpOnly)),
            (Some(_), _) if is_vouched_for => (Reachability::Unknown, None),
            (Some(Failure::Refused), _) => (Reachability::No, Some(Reason::Refused)),
            (Some(Failure::NoAnswer), _) => (Reachability::No, Some(Reason::NoAnswer)),
            (None, None) => (Reachability::Unknown, None),
            (None, Some(Answer::Tcp | Answer::Plain)) => (Reachability::Yes, None),
            (None, Some(Answer::Encrypted)) => (Reachability::Yes, Some(Reason::EncryptedOnly)),
            (None, Some(Answer::OtherClient)) => (Reachability::Yes, Some(Reason::OtherClient)),
        }
    }

    /// The verdict on a peer on this machine: that a connection succeeds or fails here does not show what others can do.
    pub(super) fn verdict_here(&self, now: Duration) -> (Reachability, Option<Reason>) {
        let reason = match self.verdict(now).1 {
            Some(reason @ (Reason::NotThisTorrent | Reason::EncryptedOnly | Reason::OtherClient)) => reason,
            _ => Reason::SameMachine,
        };
        (Reachability::Unknown, Some(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn verdict(evidence: &Evidence) -> (Reachability, Option<Reason>) {
        evidence.verdict(NOW)
    }

    #[test]
    fn several_failures_are_needed_for_no_and_one_success_for_yes() {
        for (failure, reason, needed) in [
            (Failure::Refused, Reason::Refused, 2),
            (Failure::NoAnswer, Reason::NoAnswer, 2),
            (Failure::NotThisTorrent, Reason::NotThisTorrent, 3),
        ] {
            let mut evidence = Evidence::default();
            for before in [(Reachability::Unknown, None), (Reachability::Yes, None)] {
                for _ in 1..needed {
                    assert_eq!(verdict(&evidence), before);
                    evidence.fail(failure);
                }
                assert_eq!(verdict(&evidence), before, "fewer do not outweigh what was known");
                evidence.fail(failure);
                assert_eq!(verdict(&evidence), (Reachability::No, Some(reason)));
                evidence.succeed(Answer::Plain);
                assert_eq!(verdict(&evidence), (Reachability::Yes, None));
            }
        }
    }

    #[test]
    fn what_answered_is_told() {
        let mut evidence = Evidence::default();
        for (answer, reason) in [
            (Answer::Tcp, None),
            (Answer::Encrypted, Some(Reason::EncryptedOnly)),
            (Answer::Tcp, Some(Reason::EncryptedOnly)),
            (Answer::OtherClient, Some(Reason::OtherClient)),
            (Answer::Plain, None),
        ] {
            evidence.succeed(answer);
            assert_eq!(verdict(&evidence), (Reachability::Yes, reason), "{answer:?}");
        }
        (0..3).for_each(|_| evidence.fail(Failure::NotThisTorrent));
        evidence.succeed(Answer::Tcp);
        assert_eq!(verdict(&evidence), (Reachability::No, Some(Reason::NotThisTorrent)));
        evidence.meet();
        assert_eq!(verdict(&evidence), (Reachability::Yes, None), "it has connected for the torrent");
    }

    #[test]
    fn utp_and_other_peers_speak_for_one_that_does_not_answer() {
        let mut evidence = Evidence { utp: Some(UtpOutcome::Answered), ..Evidence::default() };
        evidence.fail(Failure::NoAnswer);
        assert_eq!(verdict(&evidence), (Reachability::Unknown, None));
        evidence.fail(Failure::NoAnswer);
        assert_eq!(verdict(&evidence), (Reachability::Yes, Some(Reason::UtpOnly)));
        evidence.utp = Some(UtpOutcome::NoAnswer);
        assert_eq!(verdict(&evidence), (Reachability::No, Some(Reason::NoAnswer)));
        evidence.vouch(NOW);
        assert_eq!(verdict(&evidence), (Reachability::Unknown, None));
        assert_eq!(evidence.verdict(NOW + VOUCHED_FOR), (Reachability::No, Some(Reason::NoAnswer)));
        evidence.fail(Failure::NotThisTorrent);
        assert_eq!(verdict(&evidence), (Reachability::No, Some(Reason::NotThisTorrent)), "others cannot know that");
    }

    #[test]
    fn a_handshake_by_utp_speaks_for_one_that_closes_tcp() {
        for (utp, expected) in [
            (UtpOutcome::ShookHands, (Reachability::Yes, Some(Reason::UtpOnly))),
            (UtpOutcome::Answered, (Reachability::No, Some(Reason::NotThisTorrent))),
            (UtpOutcome::NoAnswer, (Reachability::No, Some(Reason::NotThisTorrent))),
        ] {
            let mut evidence = Evidence { utp: Some(utp), ..Evidence::default() };
            evidence.fail(Failure::NotThisTorrent);
            evidence.fail(Failure::NotThisTorrent);
            assert_eq!(verdict(&evidence), (Reachability::Unknown, None));
            evidence.fail(Failure::NotThisTorrent);
            assert_eq!(verdict(&evidence), expected);
            evidence.succeed(Answer::Plain);
            assert_eq!(verdict(&evidence), (Reachability::Yes, None));
        }
    }

    #[test]
    fn of_a_peer_on_this_machine_it_is_not_known() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.verdict_here(NOW), (Reachability::Unknown, Some(Reason::SameMachine)));
        evidence.succeed(Answer::Encrypted);
        assert_eq!(evidence.verdict_here(NOW), (Reachability::Unknown, Some(Reason::EncryptedOnly)));
        evidence.fail(Failure::Refused);
        evidence.fail(Failure::Refused);
        assert_eq!(evidence.verdict_here(NOW), (Reachability::Unknown, Some(Reason::SameMachine)));
    }
}
