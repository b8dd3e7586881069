//! What the tracker's own peer sees of a peer, as the observer takes it in.

use tracker_core::{Instant, Peer};

use super::stuck::Progress;
use crate::{Reachability, ReachabilityReason, SeenPeer};

/// What is seen of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    reachability: Reachability,
    reason: Option<ReachabilityReason>,
    /// The pieces that it has; `None` if it is not known, or the peer has announced since.
    pieces: Option<Pieces>,
}

/// The pieces that a peer has.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pieces {
    number: u32,
    of: Option<u32>,
    is_complete: bool,
    /// The time at which it had them.
    at: Instant,
    /// `true` if that is now: there is a connection to it.
    is_live: bool,
    /// Bytes per second.
    rate: Option<f64>,
}

/// The number of pieces that a peer has, from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PieceCount {
    number: u32,
    /// The time of the first look since when it has so many.
    since: Instant,
    /// `true` if it had another number before.
    has_moved: bool,
}

impl Seen {
    /// What was seen of a peer. How far it was counts if that is not older than its last announce.
    pub(super) fn new(seen: &SeenPeer, peer: &Peer, now: Instant) -> Self {
        let progress = seen.progress.map(|progress| {
            // Rounded down, for `now` is, too.
            let age = progress.age.map_or(0, |age| age.as_secs());
            let at = Instant::from_secs(now.as_secs().saturating_sub(u32::try_from(age).unwrap_or(u32::MAX)));
            let has_all = progress.of.is_some_and(|of| of > 0 && progress.pieces >= of);
            Pieces {
                number: progress.pieces,
                of: progress.of,
                is_complete: progress.is_complete || has_all,
                at,
                is_live: progress.age.is_none(),
                rate: progress.rate,
            }
        });
        let announced = peer.detail.as_ref().map(|detail| detail.last_seen);
        let is_newer = |pieces: &Pieces| pieces.is_live || announced.is_none_or(|announced| pieces.at >= announced);
        Self { reachability: seen.reachability, reason: seen.reason, pieces: progress.filter(is_newer) }
    }

    /// Returns `true` while there is a connection to the peer that shows how far it is.
    pub(super) fn is_live(&self) -> bool {
        self.pieces.is_some_and(|pieces| pieces.is_live)
    }

    /// Returns `true` if it had everything when it was seen last.
    pub(super) fn is_complete(&self) -> bool {
        self.pieces.is_some_and(|pieces| pieces.is_complete)
    }

    /// Its completion from 0 to 1, and the time at which it had that.
    pub(super) fn completion(&self) -> Option<(f64, Instant)> {
        let pieces = self.pieces?;
        let completion = match pieces.of {
            _ if pieces.is_complete => 1.0,
            Some(of @ 1..) => f64::from(pieces.number) / f64::from(of),
            Some(0) | None => return None,
        };
        Some((completion, pieces.at))
    }

    /// Bytes per second that it downloads now, unless it has everything and so downloads nothing.
    pub(super) fn rate(&self) -> Option<f64> {
        let pieces = self.pieces.filter(|pieces| pieces.is_live)?;
        pieces.rate.filter(|&rate| !pieces.is_complete || rate > 0.0)
    }
}

/// The reachability of a peer, and the reason for it, if it is known. Nobody can connect to one that has no port, or a link-local
/// address.
pub(super) fn reachability(peer: &Peer, seen: Option<&Seen>) -> (Reachability, Option<ReachabilityReason>) {
    match seen {
        _ if !peer.is_dialable() => (Reachability::No, None),
        Some(seen) => (seen.reachability, seen.reason),
        None => (Reachability::Unknown, None),
    }
}

impl PieceCount {
    /// Counts the pieces that a peer was seen to have; `before` is the last count.
    pub(super) fn take(before: Option<Self>, seen: &Seen, now: Instant) -> Option<Self> {
        let Some(Pieces { number, .. }) = seen.pieces.filter(|pieces| pieces.is_live) else { return before };
        match before {
            Some(before) if before.number == number => Some(before),
            before => Some(Self { number, since: now, has_moved: before.is_some() }),
        }
    }

    /// Whether the download of a peer with this count gets on; unknown unless it is seen now. A gap between two connections
    /// does not matter.
    pub(super) fn progress(self, seen: &Seen, now: Instant) -> Progress {
        match seen.pieces.filter(|pieces| pieces.is_live) {
            None => Progress::Unknown,
            Some(pieces) if pieces.number != self.number => Progress::Moving,
            Some(_) if now.since(self.since) >= Progress::STALLED_AFTER => Progress::Stalled,
            Some(pieces) if self.has_moved || pieces.rate > Some(0.0) => Progress::Moving,
            Some(_) => Progress::Unknown,
        }
    }
}
