//! A look at all peers, again and again.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use torrent_library::KnownTorrent;
use tracker_core::{InfoHash, Instant, Memory, Peer, ShardsView, SwarmCounts, Walk};

use super::records::{Part, Records, Sums};
use super::{StuckCounts, StuckReason};

/// Steps of a [`Walk`] that are taken while a shard is locked: a tenth of a millisecond.
pub(super) const STRIDE: usize = 1000;

/// How far the look at all peers has come.
#[derive(Debug)]
pub(super) struct Sweep {
    walk: Walk,
    /// Of the swarm that it is in.
    sums: Sums,
    /// Of the swarms that it has passed.
    stuck: StuckCounts,
    /// Used again and again.
    peers: Vec<Peer>,
    parts: Vec<Stretch>,
}

/// Which of the peers are of which swarm.
#[derive(Debug)]
struct Stretch {
    info_hash: InfoHash,
    counts: SwarmCounts,
    peers: Range<usize>,
    is_first: bool,
    is_last: bool,
}

impl Sweep {
    pub(super) fn new() -> Self {
        let (sums, stuck) = (Sums::default(), StuckCounts::default());
        Self { walk: Walk::past_peers(), sums, stuck, peers: Vec::new(), parts: Vec::new() }
    }

    /// Goes on by so many steps, or to the end. Returns what it counted when it is there: then the next one begins.
    ///
    /// No lock is held for long, and none while another is taken.
    pub(super) fn go_on(
        &mut self,
        shards: &ShardsView,
        known: &BTreeMap<InfoHash, Arc<KnownTorrent>>,
        records: &Mutex<Records>,
        now: Instant,
        steps: usize,
    ) -> Option<StuckCounts> {
        let Self { walk, sums, stuck, peers, parts } = self;
        // A lean tracker has nothing to remember of peers.
        let has_details = shards.config().memory == Memory::Full;
        for _ in 0..steps.div_ceil(STRIDE) {
            peers.clear();
            parts.clear();
            let is_more = shards.walk(walk, STRIDE, |slice| {
                let start = peers.len();
                if has_details {
                    peers.extend(slice.swarm.peers_at(slice.peers.clone()));
                }
                parts.push(Stretch {
                    info_hash: slice.info_hash,
                    counts: slice.swarm.counts(),
                    peers: start..peers.len(),
                    is_first: slice.peers.start == 0,
                    is_last: slice.peers.end == slice.swarm.len(),
                });
            });
            let mut records = super::lock(records);
            for Stretch { info_hash, counts, peers: range, is_first, is_last } in parts.drain(..) {
                let size = known.get(&info_hash).map(|torrent| torrent.size);
                records.look(now, &Part { info_hash, size, peers: &peers[range], is_first, is_last }, sums);
                if is_last {
                    stuck.add(StuckReason::of(counts, sums.silent));
                }
            }
            if !is_more {
                records.end_round();
                return Some(mem::take(stuck));
            }
        }
        None
    }
}
