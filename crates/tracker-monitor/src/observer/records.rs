//! The records of peers from one announce to the next.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use tracker_core::{Event, EventKind, InfoHash, Instant, Peer, PeerDetail, PeerId, PeerState};

use super::expectation::{completion, is_overdue};
use super::sighting::Sighting;
use super::stuck::{DownloadTally, Progress};

/// The minimum time in seconds for which the download rate of a finished peer counts, so that viewers see it.
const FINISHED: u32 = 5;

/// A peer whose announces are at least this far apart and which wants the same in all of them is stalled.
const STALLED_AFTER: Duration = Duration::from_secs(60);

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
    /// What was seen of peers since it was taken last, each with the key of its swarm.
    sightings: Vec<(InfoHash, Sighting)>,
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

#[derive(Debug, Default)]
struct TorrentRecord {
    peers: HashMap<PeerPlace, PeerRecord, RandomState>,
    sums: Sums,
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

/// What the announces of a peer say together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    /// If it announced twice.
    pub(super) rates: Option<Rates>,
    pub(super) progress: Progress,
}

impl Figures {
    /// Without rates that were announced before this time.
    fn current(self, peer: &Peer, rates_from: Instant) -> Self {
        let is_current = peer.detail.as_ref().is_some_and(|detail| detail.last_seen >= rates_from);
        Self { rates: self.rates.filter(|_| is_current), ..self }
    }
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
    pub(super) downloads: DownloadTally,
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
        Self {
            torrents: HashMap::default(),
            peers: 0,
            max_torrents,
            max_peers,
            round: 0,
            rates_from: Instant::ZERO,
            newly_stalled: NewlyStalled::default(),
            sightings: Vec::new(),
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
        let mut sightings = mem::take(&mut self.sightings);
        if part.peers.iter().all(|peer| peer.detail.is_none()) {
            // Nothing that could be remembered.
        } else if let Some((torrent, mut room)) = self.torrent(&part.info_hash) {
            for peer in part.peers {
                let record = torrent.take(peer, &mut room);
                let figures = record.as_deref().map(PeerRecord::figures).unwrap_or_default();
                sums.add(now, peer, part.size, figures, rates_from);
                sightings
                    .push((part.info_hash, Sighting::new(peer, figures.current(peer, rates_from), part.size, now)));
                let is_stalled = peer.state == PeerState::Leecher && figures.progress == Progress::Stalled;
                if let Some(record) = record
                    && mem::replace(&mut record.is_reported, is_stalled) != is_stalled
                    && is_stalled
                {
                    newly_stalled.add(&part.info_hash, peer);
                }
            }
        }
        self.newly_stalled = newly_stalled;
        self.sightings = sightings;
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

    /// The figures of this peer, without rates that do not count.
    pub(super) fn figures(&self, info_hash: &InfoHash, peer: &Peer) -> Figures {
        let record = self.torrents.get(info_hash).and_then(|torrent| torrent.peers.get(&PeerPlace::of(peer)));
        let (Some(detail), Some(record)) = (&peer.detail, record) else { return Figures::default() };
        if detail.first_seen != record.first_seen {
            return Figures::default();
        }
        record.figures().current(peer, self.rates_from)
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

    /// Moves what was seen of peers since the last call to `sightings`, each with the key of its swarm. Of peers beyond the
    /// limits of torrents nothing was seen.
    pub(super) fn take_sightings(&mut self, sightings: &mut Vec<(InfoHash, Sighting)>) {
        sightings.append(&mut self.sightings);
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
            round,
        }
    }

    fn figures(&self) -> Figures {
        Figures { rates: self.rates(), progress: self.progress() }
    }

    fn progress(&self) -> Progress {
        match self.left {
            None => Progress::Unknown,
            Some(_) if self.last.at.since(self.left_since) >= STALLED_AFTER => Progress::Stalled,
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

impl Sums {
    /// Adds the sums of another swarm of the same torrent.
    pub(super) fn add_swarm(&mut self, other: Self) {
        self.download_rate += other.download_rate;
        self.completion += other.completion;
        self.telling += other.telling;
        self.silent += other.silent;
        self.downloads.add_swarm(other.downloads);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Adds a peer.
    fn add(&mut self, now: Instant, peer: &Peer, size: Option<u64>, figures: Figures, rates_from: Instant) {
        let Some(detail) = &peer.detail else { return };
        self.downloads.add(peer, figures.progress, now);
        self.last_seen = self.last_seen.max(Some(detail.last_seen));
        self.silent += u32::from(is_overdue(detail, now));
        if size.is_some()
            && let Some(completion) = completion(peer, size)
        {
            self.completion += completion;
            self.telling += 1;
        }
        if let Some(rates) = figures.rates
            && detail.last_seen >= rates_from
            && rates.still_hold(peer.state, detail, now)
        {
            self.download_rate += rates.download;
        }
    }
}

impl Rates {
    /// The download rate for viewers, if there still is one: of a peer that is awake, and has not finished a while ago.
    pub(super) fn current_download(&self, state: PeerState, detail: &PeerDetail, now: Instant) -> Option<f64> {
        let is_current = match state {
            PeerState::Leecher => !is_overdue(detail, now),
            PeerState::PartialSeed | PeerState::Seeder => {
                now.since(detail.last_seen) < Duration::from_secs(FINISHED.into())
            }
        };
        is_current.then_some(self.download)
    }

    /// The upload rate for viewers, if the peer is awake.
    pub(super) fn current_upload(&self, detail: &PeerDetail, now: Instant) -> Option<f64> {
        (!is_overdue(detail, now)).then_some(self.upload)
    }

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
