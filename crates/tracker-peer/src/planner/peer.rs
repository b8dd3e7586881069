//! One peer of a swarm, as the planner knows it.

use std::net::IpAddr;
use std::time::Duration;

use tracker_core::{InfoHash, PeerId, PeerState};

use super::capacity::{Applicant, Rank, Scope};
use super::evidence::Evidence;
use super::introductions::Introduction;
use super::neighbours::Neighbours;
use super::network::{Location, Network};
use super::rate::Rate;
use super::schedule::Urgency;
use super::{Announced, ConnectionId, Encryption, Progress, Reachability, Reason};

/// The time between attempts that fail, the last of them for all that follow. Clients that check their files refuse for seconds.
const BACK_OFF: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// The time for which a peer counts as a newcomer, which has a connection even if there are too many.
pub(super) const NEWCOMER: Duration = Duration::from_secs(60);

/// The number of a peer, which no other ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PeerNumber(pub(super) u64);

/// A peer of a swarm.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) info_hash: InfoHash,
    pub(super) announced: Announced,
    pub(super) location: Location,
    pub(super) rank: Rank,
    pub(super) joined_at: Duration,

    /// The attempt by TCP that is under way.
    pub(super) attempt: Option<ConnectionId>,
    /// The established connection.
    pub(super) connection: Option<ConnectionId>,
    /// The attempt by uTP that is under way.
    pub(super) utp_probe: Option<ConnectionId>,
    /// `true` when an attempt has come to its end.
    pub(super) is_tried: bool,
    /// The way to try next, since the first one ended without a handshake.
    pub(super) second_way: Option<Encryption>,
    pub(super) back_off: BackOff,
    /// Set while it waits for room for a connection.
    pub(super) waiting: Option<(Scope, Applicant)>,
    /// When it was probed last.
    pub(super) probed_at: Option<Duration>,

    pub(super) evidence: Evidence,
    /// What the tracker was told last, if it has not forgotten it.
    pub(super) told: Reachability,

    /// Set while others can be told of it.
    pub(super) introduction: Option<Introduction>,
    /// The highest number of an introduction of which this peer was told.
    pub(super) told_up_to: u64,
    /// How often it failed to give the info dictionary.
    pub(super) metadata_failures: u8,

    pub(super) shook_hands: Option<PeerId>,
    pub(super) is_encrypted: bool,
    pub(super) client: Option<Box<str>>,
    /// When it was connected last.
    pub(super) connected_until: Option<Duration>,
    pub(super) progress: Option<Progress>,
    pub(super) rate: Rate,
    pub(super) neighbours: Neighbours,
}

impl Peer {
    pub(super) fn new(
        now: Duration,
        info_hash: InfoHash,
        announced: Announced,
        location: Location,
        rank: Rank,
    ) -> Self {
        Self {
            info_hash,
            announced,
            location,
            rank,
            joined_at: now,
            attempt: None,
            connection: None,
            utp_probe: None,
            is_tried: false,
            second_way: None,
            back_off: BackOff::default(),
            waiting: None,
            probed_at: None,
            evidence: Evidence::default(),
            told: announced.reachability,
            introduction: None,
            told_up_to: 0,
            metadata_failures: 0,
            shook_hands: None,
            is_encrypted: false,
            client: None,
            connected_until: None,
            progress: None,
            rate: Rate::default(),
            neighbours: Neighbours::default(),
        }
    }

    /// Returns `true` if it may be dialled and told of: it announced from an address that the policy admits, and listens.
    pub(super) fn is_dialable(&self, network: &Network) -> bool {
        let address = self.announced.address;
        // libtorrent announces port 1 when it listens nowhere.
        !self.announced.is_claimed && address.port() > 1 && network.admits(address.ip())
    }

    /// Returns `true` if the sender of an announce from its address is this peer.
    pub(super) fn is_same_peer(&self, announced: &Announced) -> bool {
        let identity = |announced: &Announced| (announced.peer_id, announced.is_claimed);
        identity(&self.announced) == identity(announced)
    }

    /// Returns `true` if both are one client with two addresses.
    pub(super) fn is_same_client(&self, other: &Self) -> bool {
        let client = |peer: &Self| (peer.announced.peer_id, peer.announced.key);
        client(self) == client(other)
    }

    /// Returns `true` if it has everything: as it was seen, or else as it announced.
    pub(super) fn is_complete(&self) -> bool {
        self.progress.map_or(self.announced.state == PeerState::Seeder, |progress| progress.is_complete)
    }

    /// Returns `true` if it was seen to have everything. A client that has only a magnet link may announce so.
    pub(super) fn is_seen_complete(&self) -> bool {
        self.progress.is_some_and(|progress| progress.is_complete)
    }

    /// Its reachability, and the reason.
    pub(super) fn verdict(&self, now: Duration) -> (Reachability, Option<Reason>) {
        if self.location.is_on_this_machine() { self.evidence.verdict_here(now) } else { self.evidence.verdict(now) }
    }

    /// The end of the time in which it is a newcomer.
    pub(super) fn newcomer_until(&self) -> Duration {
        self.joined_at + NEWCOMER
    }

    pub(super) fn urgency(&self) -> Urgency {
        if self.is_tried { Urgency::Again } else { Urgency::First }
    }

    pub(super) fn applicant(&self, now: Duration, peer: PeerNumber) -> Applicant {
        let urgency = if now < self.newcomer_until() { self.urgency() } else { Urgency::Again };
        Applicant { urgency, rank: self.rank, peer }
    }

    /// The address that it takes of those that are handed out, if it is on this machine.
    pub(super) fn address_here(&self) -> Option<IpAddr> {
        self.location.is_on_this_machine().then(|| self.announced.address.ip())
    }
}

/// The times between attempts that fail.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    step: usize,
}

impl BackOff {
    /// The time until the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let delay = BACK_OFF[self.step];
        self.step = (self.step + 1).min(BACK_OFF.len() - 1);
        delay
    }

    pub(super) fn reset(&mut self) {
        self.step = 0;
    }
}
