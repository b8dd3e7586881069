//! A look at all swarms and peers, a few at a time.

use std::ops::Range;

use crate::{InfoHash, Instant, SwarmImage, SwarmView};

/// The progress of a look at all swarms of [`Shards`](crate::Shards), a few at a time, so that no announce waits for long: see
/// [`Shards::walk`](crate::Shards::walk).
///
/// Announces go on meanwhile. A swarm or peer that is there all the time is seen, except that peers that change their places
/// in their swarm, since others come and go, may be missed or seen twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    pub(crate) pace: Pace,
    pub(crate) shard: usize,
    /// The place in the shard of the swarm that comes next.
    pub(crate) place: usize,
    /// The number of peers of this swarm, which is or was at the place, were passed.
    pub(crate) within: Option<(InfoHash, usize)>,
}

/// The unit of a step of a [`Walk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Swarm,
    Peer,
}

/// A part of a swarm that a [`Walk`] comes by.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SwarmSlice<'t> {
    /// The info-hash of the swarm.
    pub info_hash: InfoHash,
    /// The swarm.
    pub swarm: SwarmView<'t>,
    /// The places of the peers that are passed, for [`SwarmView::peers_at`]. It begins at 0 where the swarm begins, and ends
    /// at [`SwarmView::len`] where it ends.
    pub peers: Range<usize>,
}

impl SwarmSlice<'_> {
    /// A copy of this part of the swarm that can be [taken in](crate::Shards::restore) later.
    pub fn image(&self, now: Instant) -> SwarmImage {
        self.swarm.image_at(self.peers.clone(), now)
    }
}

impl Walk {
    /// Past all swarms, each of which is a step, whatever its size.
    pub const fn by_swarm() -> Self {
        Self { pace: Pace::Swarm, shard: 0, place: 0, within: None }
    }

    /// Past all peers, each of which is a step, and a swarm another one.
    pub const fn by_peer() -> Self {
        Self { pace: Pace::Peer, ..Self::by_swarm() }
    }

    /// Goes past the swarm at the next place. Takes the steps from `budget`, which must not be 0.
    pub(crate) fn pass(&mut self, info_hash: InfoHash, swarm: SwarmView<'_>, budget: &mut usize) -> Range<usize> {
        if self.pace == Pace::Swarm {
            *budget -= 1;
            self.place += 1;
            return 0..swarm.len();
        }
        // Another swarm may be there now, or this one may have less peers.
        let start = match self.within.take() {
            Some((passed, peers)) if passed == info_hash => peers.min(swarm.len()),
            _ => {
                *budget -= 1;
                0
            }
        };
        let end = swarm.len().min(start.saturating_add(*budget));
        *budget -= end - start;
        if end < swarm.len() {
            self.within = Some((info_hash, end));
        } else {
            self.place += 1;
        }
        start..end
    }

    /// Goes on to the next shard.
    pub(crate) fn leave_shard(&mut self) {
        *self = Self { pace: self.pace, shard: self.shard + 1, place: 0, within: None };
    }
}
