//! The two swarms of a hybrid torrent, shown as one.
//!
//! Clients announce a hybrid under both its info-hashes, so that most are in both swarms. What is shown are the peers of the
//! first swarm, and those of the second whose client is not in the first.

use std::ops::Range;

use torrent_library::KnownTorrent;
use tracker_core::{InfoHash, Peer, PeerState, ShardsView, SwarmCounts, Totals};

use super::sweep::STRIDE;

/// The keys of a torrent's swarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SwarmKeys {
    /// The torrent's info-hash.
    pub(super) first: InfoHash,
    pub(super) second: Option<InfoHash>,
}

impl SwarmKeys {
    /// Those of a torrent of which this is one, if it is known.
    pub(super) fn new(swarm_key: InfoHash, known: Option<&KnownTorrent>) -> Self {
        match known {
            Some(known) => Self { first: known.info_hash, second: known.second_swarm() },
            None => Self { first: swarm_key, second: None },
        }
    }

    /// The counts of the torrent; `None` if it has no swarm. Downloads of a client in both swarms are completed in both: the
    /// larger number counts.
    pub(super) fn counts(self, shards: &ShardsView) -> Option<SwarmCounts> {
        let counts_of = |key: &InfoHash| shards.with_swarm(key, |swarm| swarm.counts());
        let first = counts_of(&self.first);
        let Some(second) = self.second.as_ref().and_then(counts_of) else { return first };
        let Some(mut counts) = first else { return Some(second) };
        counts.completed = counts.completed.max(second.completed);
        self.for_each_part(shards, |_, peers| peers.iter().for_each(|peer| add(&mut counts, peer)), self.second);
        Some(counts)
    }

    /// Goes through the torrent's peers, a part at a time, each with the key of its swarm.
    pub(super) fn for_each_peer(self, shards: &ShardsView, mut look: impl FnMut(&InfoHash, Vec<Peer>)) {
        self.for_each_part(shards, &mut look, Some(self.first));
        self.for_each_part(shards, &mut look, self.second);
    }

    /// Goes through the peers of one of the swarms. No shard is locked while `look` works.
    fn for_each_part(
        self,
        shards: &ShardsView,
        mut look: impl FnMut(&InfoHash, Vec<Peer>),
        swarm_key: Option<InfoHash>,
    ) {
        let Some(swarm_key) = swarm_key else { return };
        let (mut next, mut len) = (0, usize::MAX);
        while next < len {
            let places = next..next + STRIDE;
            let part = shards.with_swarm(&swarm_key, |swarm| (swarm.peers_at(places).collect::<Vec<_>>(), swarm.len()));
            let (mut peers, len_now) = part.unwrap_or_default();
            if swarm_key != self.first {
                let only_here = in_front(shards, &self.first, &mut peers);
                peers.truncate(only_here);
            }
            look(&swarm_key, peers);
            (next, len) = (next + STRIDE, len_now);
        }
    }
}

/// Moves the peers whose client is not in the first swarm of their torrent in front of the others. Returns their number.
fn in_front(shards: &ShardsView, first: &InfoHash, peers: &mut [Peer]) -> usize {
    let sort = |swarm: tracker_core::SwarmView<'_>| {
        let mut end = 0;
        for place in 0..peers.len() {
            if !swarm.has_client(&peers[place]) {
                peers.swap(end, place);
                end += 1;
            }
        }
        end
    };
    shards.with_swarm(first, sort).unwrap_or(peers.len())
}

/// Counts a peer.
fn add(counts: &mut SwarmCounts, peer: &Peer) {
    let count = match peer.state {
        PeerState::Seeder => &mut counts.seeders,
        PeerState::PartialSeed => {
            counts.partial_seeds += 1;
            &mut counts.leechers
        }
        PeerState::Leecher => &mut counts.leechers,
    };
    *count += 1;
}

/// Adds the peers of a swarm.
pub(super) fn add_counts(sum: &mut SwarmCounts, counts: SwarmCounts) {
    sum.seeders += counts.seeders;
    sum.leechers += counts.leechers;
    sum.partial_seeds += counts.partial_seeds;
}

/// What is counted twice in the totals of a tracker, since it is in both swarms of a hybrid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubles {
    swarms: u64,
    peers: SwarmCounts,
}

impl Doubles {
    /// Of the peers in this range, which are in the second swarm of a hybrid, moves those whose client is in the first, too, out
    /// of it, and counts them. Returns the counts of those that stay.
    pub(super) fn take(
        &mut self,
        shards: &ShardsView,
        first: &InfoHash,
        peers: &mut [Peer],
        range: &mut Range<usize>,
    ) -> SwarmCounts {
        let only_here = in_front(shards, first, &mut peers[range.clone()]);
        let (stay, double) = peers[range.clone()].split_at(only_here);
        double.iter().for_each(|peer| add(&mut self.peers, peer));
        let mut counts = SwarmCounts::default();
        stay.iter().for_each(|peer| add(&mut counts, peer));
        range.end = range.start + only_here;
        counts
    }

    /// Counts a second swarm at its end, if there is a first one.
    pub(super) fn take_swarm(&mut self, shards: &ShardsView, first: &InfoHash, is_last: bool) {
        self.swarms += u64::from(is_last && shards.with_swarm(first, |_| ()).is_some());
    }

    pub(super) fn remove_from(self, totals: &mut Totals) {
        let remove = |total: &mut u64, doubles: u32| *total = total.saturating_sub(doubles.into());
        totals.swarms = totals.swarms.saturating_sub(self.swarms);
        remove(&mut totals.seeders, self.peers.seeders);
        remove(&mut totals.leechers, self.peers.leechers);
        remove(&mut totals.partial_seeds, self.peers.partial_seeds);
    }
}
