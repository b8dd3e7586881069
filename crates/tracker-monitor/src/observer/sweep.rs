//! The sweep over all peers, again and again.

use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::sync::Mutex;

use torrent_library::KnownTorrents;
use tracker_core::{InfoHash, Instant, Memory, Peer, ShardsView, SwarmCounts, Walk};

use super::hybrid::{self, Doubles};
use super::observation::Observation;
use super::records::{Part, Records};
use super::stuck::{DownloadTally, Verdict};
use super::sums::{ReachabilityCounts, Sums};
use super::{DownloadCounts, StuckCounts};
use crate::{Computers, PeerSightings, SeenPeer, SeenTorrent};

/// Steps of a [`Walk`] that are taken at most while a shard is locked, which copies as many peers: a tenth of a millisecond.
pub(super) const STRIDE: usize = 1000;

/// The state of a sweep over all peers.
#[derive(Debug)]
pub(super) struct Sweep {
    walk: Walk,
    /// The sums of the current swarm so far.
    sums: Sums,
    /// What was found so far.
    found: Found,
    /// The peers of the hybrids so far, in both swarms, and the state of their downloads.
    hybrids: HashMap<InfoHash, (SwarmCounts, DownloadTally)>,
    /// Swarms of two or more peers to which others cannot connect, so far.
    unreachable: Vec<InfoHash>,
    /// Reused buffers.
    peers: Vec<Peer>,
    seen: Vec<Option<SeenPeer>>,
    parts: Vec<Stretch>,
    observations: Vec<(InfoHash, Observation)>,
    verdicts: Vec<(InfoHash, bool)>,
    named: Vec<(InfoHash, SeenTorrent)>,
}

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// The stuck torrents.
    pub(super) stuck: StuckCounts,
    pub(super) downloads: DownloadCounts,
    /// What is in both swarms of a hybrid.
    pub(super) doubles: Doubles,
    /// The peers by whether others can connect to them.
    pub(super) reachable: ReachabilityCounts,
}

impl Found {
    /// Adds a torrent.
    fn add(&mut self, verdict: Verdict) {
        self.stuck.add(verdict);
        self.downloads.add(verdict);
    }
}

/// A slice of a swarm among the copied peers.
#[derive(Debug)]
struct Stretch {
    info_hash: InfoHash,
    counts: SwarmCounts,
    peers: Range<usize>,
    /// What a peer told of the torrent, if its .torrent is not known.
    named: Option<SeenTorrent>,
    is_first: bool,
    is_last: bool,
}

impl Sweep {
    pub(super) fn new() -> Self {
        let (sums, found, hybrids) = (Sums::default(), Found::default(), HashMap::new());
        Self {
            walk: Walk::by_peer(),
            sums,
            found,
            hybrids,
            unreachable: Vec::new(),
            peers: Vec::new(),
            seen: Vec::new(),
            parts: Vec::new(),
            observations: Vec::new(),
            verdicts: Vec::new(),
            named: Vec::new(),
        }
    }

    /// Continues by so many steps. At the end of a sweep it returns what was found, and the next call starts a new one.
    ///
    /// The peers are copied in strides while their shard is locked, and looked at afterwards: no lock is held for long, and none
    /// while another is taken. Of the second swarm of a hybrid, only the peers count that are not in the first, and whether the
    /// torrent is stuck is decided when both have been looked at.
    pub(super) fn go_on(
        &mut self,
        shards: &ShardsView,
        known: &KnownTorrents,
        records: &Mutex<Records>,
        computers: &Computers,
        now: Instant,
        steps: usize,
    ) -> Option<Found> {
        let Self { walk, sums, found, hybrids, unreachable, peers, seen, parts, observations, verdicts, named } = self;
        let sightings = computers.sightings();
        // A lean tracker has nothing to remember of peers.
        let has_details = shards.config().memory == Memory::Full;
        for _ in 0..steps.div_ceil(STRIDE) {
            peers.clear();
            seen.clear();
            parts.clear();
            let is_more = shards.walk(walk, steps.min(STRIDE), |slice| {
                let start = peers.len();
                if has_details || known.is_second(&slice.info_hash) {
                    peers.extend(slice.swarm.peers_at(slice.peers.clone()));
                }
                parts.push(Stretch {
                    info_hash: slice.info_hash,
                    counts: slice.swarm.counts(),
                    peers: start..peers.len(),
                    named: None,
                    is_first: slice.peers.start == 0,
                    is_last: slice.peers.end == slice.swarm.len(),
                });
            });
            for Stretch { info_hash, counts, peers: range, is_last, .. } in parts.iter_mut() {
                let Some(torrent) = known.get(info_hash).filter(|torrent| torrent.second_swarm().is_some()) else {
                    continue;
                };
                let all = &mut hybrids.entry(torrent.info_hash).or_default().0;
                if torrent.info_hash == *info_hash {
                    hybrid::add_counts(all, if *is_last { *counts } else { SwarmCounts::default() });
                } else {
                    hybrid::add_counts(all, found.doubles.take(shards, &torrent.info_hash, peers, range));
                    found.doubles.take_swarm(shards, &torrent.info_hash, *is_last);
                }
            }
            if let Some(sightings) = sightings.filter(|_| has_details) {
                see(sightings, known, peers, parts, seen);
                let told = |part: &Stretch| Some((part.info_hash, part.named.clone()?));
                named.extend(parts.iter().filter_map(told));
            }
            seen.resize(peers.len(), None);
            let mut records = super::lock(records);
            for Stretch { info_hash, counts, peers: range, named, is_first, is_last } in parts.drain(..) {
                let torrent = known.get(&info_hash);
                let size = torrent.map(|torrent| torrent.size).or_else(|| Some(named.as_ref()?.size));
                let (peers, seen) = (&peers[range.clone()], &seen[range]);
                let named = named.as_ref();
                records.look(now, &Part { info_hash, size, named, peers, seen, is_first, is_last }, sums);
                if is_last {
                    found.reachable.add(sums.reachable);
                    unreachable.extend((sums.reachable.no >= 2 && sightings.is_some()).then_some(info_hash));
                }
                match torrent.and_then(|torrent| hybrids.get_mut(&torrent.info_hash)) {
                    _ if !is_last => {}
                    Some((_, downloads)) => downloads.add_swarm(sums.downloads),
                    None => {
                        let is_shared = torrent.is_some() && computers.is_shared(&info_hash);
                        let verdict = sums.downloads.verdict(counts, is_shared);
                        found.add(verdict);
                        verdicts.push((info_hash, verdict.has_seeder));
                    }
                }
            }
            let round = records.round();
            records.take_observations(observations);
            if !is_more {
                records.end_round();
                hybrids.drain().for_each(|(info_hash, (counts, downloads))| {
                    let verdict = downloads.verdict(counts, computers.is_shared(&info_hash));
                    found.add(verdict);
                    verdicts.push((info_hash, verdict.has_seeder));
                });
            }
            drop(records);
            computers.see(has_details.then_some(round), known, observations, verdicts, named);
            if !is_more {
                return Some(mem::take(found));
            }
        }
        None
    }

    /// Takes the swarms in which, in the sweep that has just ended, there were two or more peers to which others cannot connect.
    pub(super) fn take_unreachable(&mut self) -> Vec<InfoHash> {
        mem::take(&mut self.unreachable)
    }
}

/// Takes in what the tracker's own peer sees of the copied peers, and the torrents of which only it knows more than an info-hash.
///
/// The second swarm of a hybrid may have peers that do not count, which are not looked at: their places are filled, so that each
/// entry has the place of its peer.
fn see(
    sightings: &dyn PeerSightings,
    known: &KnownTorrents,
    peers: &[Peer],
    parts: &mut [Stretch],
    seen: &mut Vec<Option<SeenPeer>>,
) {
    for Stretch { info_hash, peers: range, named, .. } in parts {
        seen.resize(range.start, None);
        sightings.look(info_hash, &peers[range.clone()], seen);
        let is_seen = seen.iter().skip(range.start).flatten().any(|seen| seen.progress.is_some());
        if is_seen && known.get(info_hash).is_none() {
            *named = sightings.torrent(info_hash);
        }
    }
}
