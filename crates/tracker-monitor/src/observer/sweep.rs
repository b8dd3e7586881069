//! The sweep over all peers, again and again.

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

/// The state of a sweep over all peers.
#[derive(Debug)]
pub(super) struct Sweep {
    walk: Walk,
    /// The sums of the current swarm so far.
    sums: Sums,
    /// The stuck torrents so far.
    stuck: StuckCounts,
    /// Reused buffers.
    peers: Vec<Peer>,
    parts: Vec<Stretch>,
}

/// A slice of a swarm among the copied peers.
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
        Self { walk: Walk::by_peer(), sums, stuck, peers: Vec::new(), parts: Vec::new() }
    }

    /// Continues by so many steps. At the end of a sweep it returns the number of stuck torrents, and the next call starts a new one.
    ///
    /// The peers are copied in strides while their shard is locked, and looked at afterwards: no lock is held for long, and none
    /// while another is taken.
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
