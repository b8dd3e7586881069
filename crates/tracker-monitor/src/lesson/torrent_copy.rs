//! A computer's copy of a file as its BitTorrent client has it.

use tracker_core::{Instant, PeerId};

use crate::observer::{Observation, PeerDownload};
use crate::{Reachability, ReachabilityReason};

/// A copy as a BitTorrent client has it: as it is seen, or announces.
#[derive(Debug, Clone)]
pub(crate) struct TorrentCopy {
    pub(crate) peer_id: PeerId,
    /// The port of its last announce.
    pub(crate) port: u16,
    /// The time of its last announce.
    pub(crate) last_seen: Instant,
    pub(crate) has_everything: bool,
    /// From 0 to 1, if it is known.
    pub(crate) completion: Option<f64>,
    /// The time at which it had that.
    pub(super) as_of: Instant,
    /// `true` while the tracker's own peer sees how far it is.
    pub(super) is_live: bool,
    /// The completion that was known first.
    pub(super) first_completion: Option<f64>,
    /// Bytes per second, as it is seen or between its last two announces, while they hold.
    pub(crate) rate: Option<f64>,
    reachability: Reachability,
    reason: Option<ReachabilityReason>,
    is_source: bool,
    pub(super) is_partial: bool,
    pub(super) download: Option<PeerDownload>,
    /// The sweep that saw it last.
    round: u32,
    /// `true` if the client said since that it leaves, or was silent for too long.
    has_left: bool,
    /// `true` if it is known from before a restart, and the client was not seen since.
    pub(super) is_restored: bool,
}

impl TorrentCopy {
    pub(super) fn new(observation: &Observation) -> Self {
        let Observation { peer_id, port, last_seen, as_of, .. } = *observation;
        Self { has_left: false, is_restored: false, ..Self::restored(peer_id, port, last_seen, as_of) }
    }

    /// A copy as it was before a restart. Its client is not there until it is seen.
    pub(super) fn restored(peer_id: PeerId, port: u16, last_seen: Instant, as_of: Instant) -> Self {
        Self {
            peer_id,
            port,
            last_seen,
            has_everything: false,
            completion: None,
            as_of,
            is_live: false,
            first_completion: None,
            rate: None,
            reachability: Reachability::Unknown,
            reason: None,
            is_source: false,
            is_partial: false,
            download: None,
            round: 0,
            has_left: true,
            is_restored: true,
        }
    }

    /// Takes in what a client announced, and what is seen of it. Returns `true` if its completion is that.
    pub(super) fn take(&mut self, observation: &Observation, round: u32) -> bool {
        // An event has nothing of what is seen of the client: that stays until the next look, but for a client that has finished.
        let is_same = self.peer_id == observation.peer_id && (!self.has_left || self.is_restored);
        let is_seen_better = observation.is_event && is_same && self.is_live && !observation.has_everything;
        self.peer_id = observation.peer_id;
        self.port = observation.port;
        self.last_seen = self.last_seen.max(observation.last_seen);
        self.is_partial = observation.is_partial;
        (self.round, self.has_left, self.is_restored) = (round, false, false);
        if !(observation.is_event && is_same) || observation.reachability == Reachability::No {
            (self.reachability, self.reason) = (observation.reachability, observation.reason);
        }
        if is_seen_better {
            return false;
        }
        // A client that does not say what it has is believed what was known before, and what is older than that means nothing.
        let is_newer = !is_same || observation.as_of >= self.as_of;
        let is_taken = observation.has_everything || observation.completion.is_some() && is_newer;
        if is_taken {
            self.has_everything = observation.has_everything;
            self.completion = observation.completion;
            self.as_of = observation.as_of;
            if self.first_completion.is_none() {
                self.first_completion = observation.completion;
            }
        }
        self.is_live = observation.is_live;
        self.rate = observation.rate;
        self.is_source = observation.is_source;
        self.download = observation.download;
        is_taken
    }

    /// The client has said that it leaves, or was silent for too long.
    pub(super) fn leave(&mut self) {
        (self.has_left, self.is_live, self.rate) = (true, false, None);
    }

    /// Whether others can connect to the client, and why, while it is there.
    pub(crate) fn reachability(&self, round: Option<u32>) -> (Reachability, Option<ReachabilityReason>) {
        if self.is_here(round) { (self.reachability, self.reason) } else { (Reachability::Unknown, None) }
    }

    /// Returns `true` if the client is there and can give others all of it.
    pub(crate) fn is_source(&self, round: Option<u32>) -> bool {
        self.is_source && self.is_here(round)
    }

    /// Returns `true` if the client is there: the current sweep saw it, or the last one.
    pub(crate) fn is_here(&self, round: Option<u32>) -> bool {
        !self.has_left && round.is_none_or(|round| round.saturating_sub(self.round) <= 1)
    }

    /// The part of the content that it has got, from 0 to 1, as far as it says so.
    pub(crate) fn gained(&self) -> Option<f64> {
        let now = if self.has_everything { 1.0 } else { self.completion? };
        Some((now - self.first_completion.unwrap_or(0.0)).max(0.0))
    }
}
