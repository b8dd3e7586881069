//! The records of peers from one announce to the next.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::iter;
use std::mem;
use std::net::SocketAddr;

use foldhash::fast::RandomState;
use torrent_library::displayable;
use tracker_core::{Event, EventKind, InfoHash, Instant, Peer, PeerDetail, PeerId, PeerState};

use super::figures::{Figures, Rates};
use super::observation::Observation;
use super::seen::{PieceCount, Seen, reachability};
use super::stuck::{DownloadTally, Progress};
use super::sums::Sums;
use crate::{Reachability, ReachabilityReason, SeenPeer, SeenTorrent};

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
    /// Rates count of peers that announced at this time or later.
    rates_from: Instant,
    newly_stalled: NewlyStalled,
    newly_reachable: NewlyReachable,
    /// What was seen of peers since it was taken last, each with the key of its swarm.
    observations: Vec<(InfoHash, Observation)>,
}

/// The peers that were found stalled since the last report.
#[derive(Debug, Default)]
pub(super) struct NewlyStalled {
    /// The first of them, each with the downloads of its torrent.
    pub(super) peers: Vec<(InfoHash, Peer, DownloadTally)>,
    /// The number of the others.
    pub(super) more: u64,
}

impl NewlyStalled {
    const MAX_PEERS: usize = 20;

    fn add(&mut self, info_hash: &InfoHash, peer: &Peer) {
        if self.peers.len() < Self::MAX_PEERS {
            self.peers.push((*info_hash, peer.clone(), DownloadTally::default()));
        } else {
            self.more += 1;
        }
    }
}

/// The peers of which something else was found since the last report about whether others can connect to them.
#[derive(Debug, Default)]
pub(super) struct NewlyReachable {
    /// The first of them.
    pub(super) peers: Vec<PeerReachability>,
    /// The number of the others.
    pub(super) more: u64,
}

/// Whether others can connect to a peer of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerReachability {
    pub(crate) info_hash: InfoHash,
    pub(crate) address: SocketAddr,
    pub(crate) reachability: Reachability,
    pub(crate) reason: Option<ReachabilityReason>,
}

impl NewlyReachable {
    /// As many as a class room has computers, with room.
    const MAX_PEERS: usize = 100;

    fn add(&mut self, peer: PeerReachability) {
        if self.peers.len() < Self::MAX_PEERS {
            self.peers.push(peer);
        } else {
            self.more += 1;
        }
    }
}

#[derive(Debug, Default)]
struct TorrentRecord {
    peers: HashMap<PeerPlace, PeerRecord, RandomState>,
    sums: Sums,
    /// What a peer told of the torrent, with a displayable name.
    named: Option<SeenTorrent>,
    /// The sweep in which it was seen last.
    round: u32,
}

/// What peers of a torrent are told apart by. Several clients that listen nowhere (port 0) may share an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PeerPlace {
    address: SocketAddr,
    /// Where the port is 0.
    peer_id: Option<PeerId>,
}

/// The figures of the last two announces of a peer.
#[derive(Debug)]
struct PeerRecord {
    /// Together with its address it identifies the peer.
    first_seen: Instant,
    before: Option<Count>,
    last: Count,
    /// What it wanted at its last announce, in bytes.
    left: Option<u64>,
    /// The time of the first announce since when it wants that.
    left_since: Instant,
    /// `true` if it wanted something else before.
    has_moved: bool,
    /// `true` if it is among those that were reported as stalled.
    is_reported: bool,
    /// The pieces that it was seen to have.
    pieces: Option<PieceCount>,
    /// What was reported last of whether others can connect to it.
    reachability: (Reachability, Option<ReachabilityReason>),
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

/// A slice of a swarm in a sweep.
#[derive(Debug)]
pub(super) struct Part<'p> {
    pub(super) info_hash: InfoHash,
    /// The torrent's size, if it is known.
    pub(super) size: Option<u64>,
    /// What a peer told of the torrent, if its .torrent is not known.
    pub(super) named: Option<&'p SeenTorrent>,
    pub(super) peers: &'p [Peer],
    /// What the tracker's own peer sees of each of them; empty if there is none.
    pub(super) seen: &'p [Option<SeenPeer>],
    /// `true` for the first slice of the swarm.
    pub(super) is_first: bool,
    /// `true` for the last slice of the swarm.
    pub(super) is_last: bool,
}

impl Records {
    pub(super) fn new(max_torrents: usize, max_peers: usize) -> Self {
        Self {
            torrents: HashMap::default(),
            peers: 0,
            max_torrents,
            max_peers,
            round: 0,
            rates_from: Instant::ZERO,
            newly_stalled: NewlyStalled::default(),
            newly_reachable: NewlyReachable::default(),
            observations: Vec::new(),
        }
    }

    /// Records a slice of a swarm. `sums` are those of its slices so far.
    pub(super) fn look(&mut self, now: Instant, part: &Part<'_>, sums: &mut Sums) {
        if part.is_first {
            *sums = Sums::default();
        }
        let rates_from = self.rates_from;
        // Taken out while a torrent is borrowed.
        let mut newly_stalled = mem::take(&mut self.newly_stalled);
        let mut newly_reachable = mem::take(&mut self.newly_reachable);
        let mut observations = mem::take(&mut self.observations);
        if part.peers.iter().all(|peer| peer.detail.is_none()) {
            // Nothing that could be remembered.
        } else if let Some((torrent, mut room)) = self.torrent(&part.info_hash) {
            if let (Some(named), None) = (part.named, &torrent.named) {
                torrent.named = Some(SeenTorrent { name: displayable(&named.name).into(), ..named.clone() });
            }
            let seen = part.seen.iter().map(Option::as_ref).chain(iter::repeat(None));
            for (peer, seen) in part.peers.iter().zip(seen) {
                let seen = seen.map(|seen| Seen::new(seen, peer, now));
                let mut record = torrent.take(peer, &mut room);
                let figures = match &mut record {
                    Some(record) => record.look(seen, now),
                    None => Figures::default().with_seen(seen, Progress::Unknown),
                };
                let figures = figures.current(peer, rates_from);
                sums.add(now, peer, part.size, figures);
                let observation = Observation::new(peer, figures, part.size, now);
                let is_stalled = peer.state == PeerState::Leecher
                    && !observation.has_everything
                    && figures.progress == Progress::Stalled;
                observations.push((part.info_hash, observation));
                let Some(record) = record else { continue };
                if mem::replace(&mut record.is_reported, is_stalled) != is_stalled && is_stalled {
                    newly_stalled.add(&part.info_hash, peer);
                }
                if seen.is_some() {
                    let (reachability, reason) = reachability(peer, seen.as_ref());
                    if mem::replace(&mut record.reachability, (reachability, reason)) != (reachability, reason) {
                        newly_reachable.add(PeerReachability {
                            info_hash: part.info_hash,
                            address: peer.address,
                            reachability,
                            reason,
                        });
                    }
                }
            }
        }
        self.newly_reachable = newly_reachable;
        self.newly_stalled = newly_stalled;
        self.observations = observations;
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
                    let mut before = peer.clone();
                    before.address = *address;
                    self.forget(info_hash, PeerPlace::of(&before));
                }
                self.take(info_hash, peer);
            }
            EventKind::PeerLeft(peer) | EventKind::PeerExpired(peer) => self.forget(info_hash, PeerPlace::of(peer)),
            EventKind::SwarmDropped => self.forget_swarm(info_hash),
            _ => {}
        }
    }

    /// The sums of a torrent at the last sweep.
    pub(super) fn sums(&self, info_hash: &InfoHash) -> Sums {
        self.torrents.get(info_hash).map(|torrent| torrent.sums).unwrap_or_default()
    }

    /// What a peer told of a torrent whose .torrent is not known.
    pub(super) fn named(&self, info_hash: &InfoHash) -> Option<SeenTorrent> {
        self.torrents.get(info_hash)?.named.clone()
    }

    /// The figures of this peer, of which this is seen now, without rates that do not count.
    pub(super) fn figures(&self, info_hash: &InfoHash, peer: &Peer, seen: Option<&SeenPeer>, now: Instant) -> Figures {
        let seen = seen.map(|seen| Seen::new(seen, peer, now));
        let record = self.torrents.get(info_hash).and_then(|torrent| torrent.peers.get(&PeerPlace::of(peer)));
        let is_same =
            |record: &&PeerRecord| peer.detail.as_ref().map(|detail| detail.first_seen) == Some(record.first_seen);
        match record.filter(is_same) {
            Some(record) => record.figures(seen, now).current(peer, self.rates_from),
            None => Figures::default().with_seen(seen, Progress::Unknown),
        }
    }

    /// Lets only the rates of peers count that announce at this time or later.
    pub(super) fn count_rates_from(&mut self, at: Instant) {
        self.rates_from = at;
    }

    /// Takes the peers that were found stalled since this was called last.
    pub(super) fn take_newly_stalled(&mut self) -> NewlyStalled {
        let mut stalled = mem::take(&mut self.newly_stalled);
        for (info_hash, _, downloads) in &mut stalled.peers {
            *downloads = self.torrents.get(info_hash).map(|torrent| torrent.sums.downloads).unwrap_or_default();
        }
        stalled
    }

    /// Takes the peers of which something else was found since this was called last about whether others can connect to them.
    pub(super) fn take_newly_reachable(&mut self) -> NewlyReachable {
        mem::take(&mut self.newly_reachable)
    }

    /// Moves what was seen of peers since the last call to `observations`, each with the key of its swarm. Of peers beyond the
    /// limits of torrents nothing was seen.
    pub(super) fn take_observations(&mut self, observations: &mut Vec<(InfoHash, Observation)>) {
        observations.append(&mut self.observations);
    }

    /// The number of the current sweep.
    pub(super) fn round(&self) -> u32 {
        self.round
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

    fn forget(&mut self, info_hash: &InfoHash, place: PeerPlace) {
        if let Some(torrent) = self.torrents.get_mut(info_hash)
            && torrent.peers.remove(&place).is_some()
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
    /// Records a peer, if its details are kept and there is room.
    fn take(&mut self, peer: &Peer, room: &mut Room<'_>) -> Option<&mut PeerRecord> {
        let detail = peer.detail.as_ref()?;
        match self.peers.entry(PeerPlace::of(peer)) {
            Entry::Occupied(known) => {
                let record = known.into_mut();
                record.take(detail);
                record.round = self.round;
                Some(record)
            }
            Entry::Vacant(unknown) if *room.taken < room.limit => {
                *room.taken += 1;
                Some(unknown.insert(PeerRecord::new(detail, self.round)))
            }
            Entry::Vacant(_) => None,
        }
    }
}

impl PeerPlace {
    fn of(peer: &Peer) -> Self {
        let detail = peer.detail.as_ref().filter(|_| !peer.is_listening());
        Self { address: peer.address, peer_id: detail.map(|detail| detail.peer_id) }
    }
}

impl PeerRecord {
    fn new(detail: &PeerDetail, round: u32) -> Self {
        Self {
            first_seen: detail.first_seen,
            before: None,
            last: Count::of(detail),
            left: detail.left,
            left_since: detail.last_seen,
            has_moved: false,
            is_reported: false,
            pieces: None,
            reachability: Default::default(),
            round,
        }
    }

    /// Takes in what is seen of the peer now.
    fn look(&mut self, seen: Option<Seen>, now: Instant) -> Figures {
        if let Some(seen) = &seen {
            self.pieces = PieceCount::take(self.pieces, seen, now);
        }
        self.figures(seen, now)
    }

    fn figures(&self, seen: Option<Seen>, now: Instant) -> Figures {
        let announced = Figures { rates: self.rates(), progress: self.progress(), seen: None };
        let progress = self.pieces.zip(seen).map(|(pieces, seen)| pieces.progress(&seen, now));
        announced.with_seen(seen, progress.unwrap_or_default())
    }

    fn progress(&self) -> Progress {
        match self.left {
            None => Progress::Unknown,
            Some(_) if self.last.at.since(self.left_since) >= Progress::STALLED_AFTER => Progress::Stalled,
            Some(_) if self.has_moved => Progress::Moving,
            Some(_) => Progress::Unknown,
        }
    }

    fn take(&mut self, detail: &PeerDetail) {
        let (count, is_same) = (Count::of(detail), detail.first_seen == self.first_seen);
        if count.at < self.last.at {
            // An event that is fetched after a look which saw what came later.
            if is_same && self.before.is_none() && count.is_before(&self.last) {
                self.before = Some(count);
                if detail.left == self.left {
                    self.left_since = count.at;
                } else {
                    self.has_moved = true;
                }
            }
        } else if !is_same || !self.last.is_before(&count) {
            // Another client, or one that was started again.
            *self = Self::new(detail, self.round);
        } else if count != self.last || detail.left != self.left {
            // Several announces within a second are one.
            if count.at > self.last.at || self.before.is_none() {
                self.before = Some(self.last);
            }
            self.last = count;
            if detail.left != self.left {
                (self.left, self.left_since, self.has_moved) = (detail.left, count.at, true);
            }
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
