//! The completion of a peer, as it is seen or as it announces.

use serde::{Deserialize, Serialize};
use tracker_core::{Instant, Peer, PeerState};

use super::expectation::{announced_completion, announces_everything};
use super::seen::Seen;

/// The completion of a peer, and the source of the figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Completion {
    /// From 0 to 1.
    pub value: f64,
    /// The source of the figure.
    pub source: FigureSource,
    /// The time at which it was that: now, while the peer is seen.
    pub at: Instant,
}

/// The source of a figure of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FigureSource {
    /// The tracker's own peer sees it, or saw it since the last announce.
    Seen,
    /// The peer announced it.
    Announced,
}

/// Returns `true` if the peer has the whole content, as far as can be told.
///
/// A seeder may hide what it has: in super-seeding it says that it has nothing, and names its pieces one by one. So one that
/// announces that it has everything has it, whatever is seen. A partial seed wants no more: what it says counts.
pub(super) fn has_everything(peer: &Peer, seen: Option<&Seen>) -> bool {
    announces_everything(peer) || peer.state != PeerState::PartialSeed && seen.is_some_and(Seen::is_complete)
}

/// The completion of a peer of a torrent of this size: the newer one of what is seen and what it announces. `None` if neither is
/// known.
pub(super) fn completion(peer: &Peer, seen: Option<&Seen>, size: Option<u64>, now: Instant) -> Option<Completion> {
    let is_hidden = announces_everything(peer) && !seen.is_some_and(Seen::is_complete);
    if let Some((value, at)) = seen.filter(|_| !is_hidden).and_then(Seen::completion) {
        return Some(Completion { value, source: FigureSource::Seen, at });
    }
    let value = announced_completion(peer, size)?;
    let at = peer.detail.as_ref().map_or(now, |detail| detail.last_seen);
    Some(Completion { value, source: FigureSource::Announced, at })
}
