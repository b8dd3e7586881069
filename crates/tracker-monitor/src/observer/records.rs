//! The records of peers from one announce to the next.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use tracker_core::{Event, EventKind, InfoHash, Instant, Peer, PeerDetail, PeerState};

use super::expectation::{completion, is_overdue};

/// The minimum time in seconds for which the download rate of a finished peer counts, so that viewers see it.
const FINISHED: u32 = 5;

/// The records of torrents and their peers. Bounded: torrents and peers beyond the limits have none, until others are gone.
#[derive(Debug)]
pub(super) struct Records {
    torrents: HashMap<InfoHash, TorrentRecord, RandomState>,
    /// In all torrents.
    peers: usize,
    max_torrents: usize,
    max_peers: usize,
    /// The number of the current sweep.
    round: u32,
}

#[derive(Debug, Default)]
struct TorrentRecord {
    peers: HashMap<SocketAddr, PeerRecord, RandomState>,
    sums: Sums,
    /// The sweep in which it was seen last.
    round: u32,
}

/// The figures of the last two announces of a peer.
#[derive(Debug)]
struct PeerRecord {
    /// Together with its address it identifies the peer.
    first_seen: Instant,
    before: Option<Count>,
    last: Count,
    /// The sweep in which it was seen last.
    round: u32,
}

/// The transfer counters of a peer at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    at: Instant,
    uploaded: u64,
    downloaded: u64,
}

/// The rates of a peer between its last two announces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Bytes per second.
    pub(super) upload: f64,
    /// Bytes per second.
    pub(super) download: f64,
    /// Seconds between the announces, which are whole ones; at least 1.
    secs: u32,
}

/// The sums over all peers of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    /// Bytes per second.
    pub(super) download_rate: f64,
    /// The sum of the completion of the peers that report it.
    pub(super) completion: f64,
    /// The number of peers that report their completion.
    pub(super) telling: u32,
    /// The number of peers whose announce is overdue.
    pub(super) silent: u32,
    pub(super) last_seen: Option<Instant>,
}

/// A slice of a swarm in a sweep.
#[derive(Debug)]
pub(super) struct Part<'p> {
    pub(super) info_hash: InfoHash,
    /// The torrent's size, if it is known.
    pub(super) size: Option<u64>,
    pub(super) peers: &'p [Peer],
    /// `true` for the first slice of the swarm.
    pub(super) is_first: bool,
    /// `true` for the last slice of the swarm.
    pub(super) is_last: bool,
}

impl Records {
    pub(super) fn new(max_torrents: usize, max_peers: usize) -> Self {
        Self { torrents: HashMap::default(), peers: 0, max_torrents, max_peers, round: 0 }
    }

    /// Records a slice of a swarm. `sums` are those of its slices so far.
    pub(super) fn look(&mut self, now: Instant, part: &Part<'_>, sums: &mut Sums) {
        if part.is_first {
            *sums = Sums::default();
        }
        if part.peers.iter().all(|peer| peer.detail.is_none()) {
            // Nothing that could be remembered.
        } else if let Some((torrent, mut room)) = self.torrent(&part.info_hash) {
            for peer in part.peers {
                let rates = torrent.take(peer, &mut room);
                sums.add(now, peer, part.size, rates);
            }
        }
        if part.is_last {
            self.end_swarm(&part.info_hash, *sums);
        }
    }

    /// Ends a sweep. Torrents that were seen neither in this nor in the last one are gone.
    pub(super) fn end_round(&mut self) {
        let (round, peers) = (self.round, &mut self.peers);
        self.torrents.retain(|_, torrent| {
            let is_there = round - torrent.round <= 1;
            *peers -= if is_there { 0 } else { torrent.peers.len() };
            is_there
        });
        self.round += 1;
    }

    /// Records an event. Sweeps alone would miss a first announce that a second one follows at once.
    pub(super) fn happened(&mut self, event: &Event) {
        let info_hash = &event.info_hash;
        match &event.kind {
            EventKind::PeerJoined(peer) | EventKind::PeerCompleted(peer) => self.take(info_hash, peer),
            EventKind::PeerUpdated { peer, moved_from } => {
                if let Some(address) = moved_from {
                    self.forget(info_hash, address);
                }
                self.take(info_hash, peer);
            }
            EventKind::PeerLeft(peer) | EventKind::PeerExpired(peer) => self.forget(info_hash, &peer.address),
            EventKind::SwarmDropped => self.forget_swarm(info_hash),
            _ => {}
        }
    }

    /// The sums of a torrent at the last sweep.
    pub(super) fn sums(&self, info_hash: &InfoHash) -> Sums {
        self.torrents.get(info_hash).map(|torrent| torrent.sums).unwrap_or_default()
    }

    /// The rates of this peer, if it announced twice.
    pub(super) fn rates(&self, info_hash: &InfoHash, peer: &Peer) -> Option<Rates> {
        let record = self.torrents.get(info_hash)?.peers.get(&peer.address)?;
        record.rates().filter(|_| peer.detail.as_ref().is_some_and(|detail| detail.first_seen == record.first_seen))
    }

    /// Bytes per second that all peers download.
    pub(super) fn download_rate(&self) -> f64 {
        self.torrents.values().map(|torrent| torrent.sums.download_rate).sum()
    }

    fn take(&mut self, info_hash: &InfoHash, peer: &Peer) {
        if peer.detail.is_some()
            && let Some((torrent, mut room)) = self.torrent(info_hash)
        {
            torrent.take(peer, &mut room);
        }
    }

    /// The record of a torrent, and the room for records of peers. `None` if there are too many torrents already.
    fn torrent(&mut self, info_hash: &InfoHash) -> Option<(&mut TorrentRecord, Room<'_>)> {
        let has_room = self.torrents.len() < self.max_torrents;
        let torrent = match self.torrents.entry(*info_hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) if has_room => unknown.insert(TorrentRecord::default()),
            Entry::Vacant(_) => return None,
        };
        torrent.round = self.round;
        Some((torrent, Room { taken: &mut self.peers, limit: self.max_peers }))
    }

    fn end_swarm(&mut self, info_hash: &InfoHash, sums: Sums) {
        let Some(torrent) = self.torrents.get_mut(info_hash) else { return };
        let before = torrent.peers.len();
        torrent.peers.retain(|_, peer| self.round - peer.round <= 1);
        self.peers -= before - torrent.peers.len();
        (torrent.sums, torrent.round) = (sums, self.round);
        if torrent.peers.is_empty() && sums == Sums::default() {
            self.torrents.remove(info_hash);
        }
    }

    fn forget(&mut self, info_hash: &InfoHash, address: &SocketAddr) {
        if let Some(torrent) = self.torrents.get_mut(info_hash)
            && torrent.peers.remove(address).is_some()
        {
            self.peers -= 1;
        }
    }

    fn forget_swarm(&mut self, info_hash: &InfoHash) {
        if let Some(torrent) = self.torrents.remove(info_hash) {
            self.peers -= torrent.peers.len();
        }
    }
}

/// The number of records of peers in all torrents, and its limit.
struct Room<'r> {
    taken: &'r mut usize,
    limit: usize,
}

impl TorrentRecord {
    /// Records a peer, if its details are kept and there is room. Peers that do not listen (port 0) are not recorded, since several
    /// may share an address.
    fn take(&mut self, peer: &Peer, room: &mut Room<'_>) -> Option<Rates> {
        let detail = peer.detail.as_ref().filter(|_| peer.address.port() != 0)?;
        if let Some(record) = self.peers.get_mut(&peer.address) {
            record.take(detail);
            record.round = self.round;
            return record.rates();
        }
        if *room.taken < room.limit {
            self.peers.insert(peer.address, PeerRecord::new(detail, self.round));
            *room.taken += 1;
        }
        None
    }
}

impl PeerRecord {
    fn new(detail: &PeerDetail, round: u32) -> Self {
        Self { first_seen: detail.first_seen, before: None, last: Count::of(detail), round }
    }

    fn take(&mut self, detail: &PeerDetail) {
        let (count, is_same) = (Count::of(detail), detail.first_seen == self.first_seen);
        if count.at < self.last.at {
            // An event that is fetched after a look which saw what came later.
            if is_same && self.before.is_none() && count.is_before(&self.last) {
                self.before = Some(count);
            }
        } else if !is_same || !self.last.is_before(&count) {
            // Another client, or one that was started again.
            *self = Self::new(detail, self.round);
        } else if count != self.last {
            // Several announces within a second are one.
            if count.at > self.last.at || self.before.is_none() {
                self.before = Some(self.last);
            }
            self.last = count;
        }
    }

    fn rates(&self) -> Option<Rates> {
        let before = self.before?;
        let secs = (self.last.at.as_secs() - before.at.as_secs()).max(1);
        let rate = |from: u64, to: u64| (to - from) as f64 / f64::from(secs);
        Some(Rates {
            upload: rate(before.uploaded, self.last.uploaded),
            download: rate(before.downloaded, self.last.downloaded),
            secs,
        })
    }
}

impl Count {
    fn of(detail: &PeerDetail) -> Self {
        Self { at: detail.last_seen, uploaded: detail.uploaded, downloaded: detail.downloaded }
    }

    /// Returns `true` if a running client can get from this count to the other.
    fn is_before(&self, later: &Self) -> bool {
        self.uploaded <= later.uploaded && self.downloaded <= later.downloaded
    }
}

impl Sums {
    /// Adds the sums of another swarm of the same torrent.
    pub(super) fn add_swarm(&mut self, other: Self) {
        self.download_rate += other.download_rate;
        self.completion += other.completion;
        self.telling += other.telling;
        self.silent += other.silent;
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Adds a peer.
    fn add(&mut self, now: Instant, peer: &Peer, size: Option<u64>, rates: Option<Rates>) {
        let Some(detail) = &peer.detail else { return };
        self.last_seen = self.last_seen.max(Some(detail.last_seen));
        self.silent += u32::from(is_overdue(detail, now));
        if size.is_some()
            && let Some(completion) = completion(peer, size)
        {
            self.completion += completion;
            self.telling += 1;
        }
        if let Some(rates) = rates
            && rates.still_hold(peer.state, detail, now)
        {
            self.download_rate += rates.download;
        }
    }
}

impl Rates {
    /// Returns `true` if the peer is likely to continue at this rate. A peer that has all it wants downloads no more: its rate is
    /// shown for as long as the interval that it is an average of.
    fn still_hold(&self, state: PeerState, detail: &PeerDetail, now: Instant) -> bool {
        match state {
            _ if is_overdue(detail, now) => false,
            PeerState::Leecher => true,
            PeerState::PartialSeed | PeerState::Seeder => {
                now.since(detail.last_seen) < Duration::from_secs(self.secs.max(FINISHED).into())
            }
        }
    }
}
