//! The trackers that are compared with the model.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tracker_core::{
    AnnounceError, AnnounceListener, AnnounceRequest, AnnounceResponse, ClientPolicy, Config, Event, InfoHash, Instant,
    OwnPeer, Peer, PeerId, Peers, Reachability, ScrapeError, Shards, SwarmCounts, SwarmImage, TorrentPolicy, Totals,
    Tracker, UserKey, Users, Walk,
};

use super::users::rules;

/// [`Shards`], and what their listener heard.
#[derive(Debug)]
pub(crate) struct HeardShards {
    shards: Shards,
    recorder: Arc<Recorder>,
}

impl HeardShards {
    pub(crate) fn new(config: Config, count: NonZeroUsize, rng: &mut StdRng) -> Self {
        let recorder = Arc::<Recorder>::default();
        let shards = Shards::new(config, count, rng).expect("a valid configuration");
        Self { shards: shards.with_listener(recorder.clone()), recorder }
    }
}

/// Something that a listener hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The address, and where the peer was if it moved.
    Came(InfoHash, SocketAddr, Option<SocketAddr>),
    IsHere(InfoHash),
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Heard>>);

impl Recorder {
    fn push(&self, heard: Heard) {
        self.0.lock().expect("no announce panics").push(heard);
    }
}

impl AnnounceListener for Recorder {
    fn peer_came(&self, info_hash: &InfoHash, address: SocketAddr, moved_from: Option<SocketAddr>) {
        self.push(Heard::Came(*info_hash, address, moved_from));
    }

    fn peer_is_here(&self, info_hash: &InfoHash) {
        self.push(Heard::IsHere(*info_hash));
    }
}

/// A [`Tracker`], or [`HeardShards`], which must not differ from it.
pub(crate) trait Subject {
    fn announce(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError>;

    fn scrape(
        &mut self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError>;

    /// Makes the users of the model those of the tracker.
    fn set_users(&mut self, now: Instant);

    /// Looks at the users, if the tracker is for users.
    fn with_users<T>(&mut self, look: impl FnOnce(&mut Users) -> T) -> Option<T>;

    /// Everything that can be taken in again.
    fn images(&self, now: Instant) -> Vec<SwarmImage>;

    fn restore(&mut self, now: Instant, image: &SwarmImage, age: Duration) -> usize;

    /// Becomes a tracker that has just started.
    fn renew(&mut self, config: Config, rng: &mut StdRng);

    fn expire(&mut self, now: Instant);

    fn next_expiry(&self) -> Option<Instant>;

    fn events(&mut self) -> Vec<Event>;

    fn set_torrents(&mut self, torrents: &TorrentPolicy);

    fn set_clients(&mut self, clients: &ClientPolicy);

    fn set_reachability(
        &mut self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool;

    fn set_own_peer(&mut self, own_peer: Option<OwnPeer>);

    fn sample(&mut self, rng: &mut StdRng, request: &AnnounceRequest, peers: &mut Peers);

    /// What the listener heard since the last call, if there is one.
    fn heard(&mut self) -> Option<Vec<Heard>>;

    fn totals(&self) -> Totals;

    fn has_peer_here(&self, info_hash: &InfoHash) -> bool;

    fn swarm(&self, info_hash: &InfoHash) -> Option<(SwarmCounts, Vec<Peer>)>;

    fn info_hashes(&self) -> Vec<InfoHash>;
}

impl Subject for Tracker {
    fn announce(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError> {
        self.announce(now, rng, request, peers)
    }

    fn scrape(
        &mut self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        self.scrape(remote, user_key, info_hashes, counts)
    }

    fn set_users(&mut self, now: Instant) {
        Self::set_users(self, now, rules());
    }

    fn with_users<T>(&mut self, look: impl FnOnce(&mut Users) -> T) -> Option<T> {
        self.users().map(look)
    }

    fn images(&self, now: Instant) -> Vec<SwarmImage> {
        let mut images = Vec::new();
        self.for_each_swarm(|_, swarm| images.push(swarm.image_at(0..swarm.len(), now)));
        images
    }

    fn restore(&mut self, now: Instant, image: &SwarmImage, age: Duration) -> usize {
        Self::restore(self, now, image, age)
    }

    fn renew(&mut self, config: Config, rng: &mut StdRng) {
        *self = Self::new(config, rng).expect("a valid configuration");
    }

    fn expire(&mut self, now: Instant) {
        self.expire(now);
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.poll_events(&mut events);
        events
    }

    fn set_torrents(&mut self, torrents: &TorrentPolicy) {
        self.set_torrents(torrents.clone());
    }

    fn set_clients(&mut self, clients: &ClientPolicy) {
        Self::set_clients(self, clients.clone());
    }

    fn set_reachability(
        &mut self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        self.set_reachability(info_hash, address, peer_id, reachability)
    }

    fn set_own_peer(&mut self, own_peer: Option<OwnPeer>) {
        self.set_own_peer(own_peer);
    }

    fn sample(&mut self, rng: &mut StdRng, request: &AnnounceRequest, peers: &mut Peers) {
        Self::sample(self, rng, request, peers);
    }

    fn heard(&mut self) -> Option<Vec<Heard>> {
        None
    }

    fn totals(&self) -> Totals {
        self.totals()
    }

    fn has_peer_here(&self, info_hash: &InfoHash) -> bool {
        self.with_swarm(info_hash, |swarm| swarm.has_peer_here()).unwrap_or(false)
    }

    fn swarm(&self, info_hash: &InfoHash) -> Option<(SwarmCounts, Vec<Peer>)> {
        self.with_swarm(info_hash, |swarm| (swarm.counts(), swarm.peers().collect()))
    }

    fn info_hashes(&self) -> Vec<InfoHash> {
        let mut info_hashes = Vec::new();
        self.for_each_swarm(|info_hash, _| info_hashes.push(info_hash));
        info_hashes
    }
}

impl Subject for HeardShards {
    fn announce(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError> {
        self.shards.announce(now, rng, request, peers)
    }

    fn scrape(
        &mut self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        self.shards.scrape(remote, user_key, info_hashes, counts)
    }

    fn set_users(&mut self, now: Instant) {
        self.shards.set_users(now, rules());
    }

    fn with_users<T>(&mut self, look: impl FnOnce(&mut Users) -> T) -> Option<T> {
        self.shards.with_users(look)
    }

    fn images(&self, now: Instant) -> Vec<SwarmImage> {
        let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
        while self.shards.walk(&mut walk, 2, |slice| images.push(slice.image(now))) {}
        images
    }

    fn restore(&mut self, now: Instant, image: &SwarmImage, age: Duration) -> usize {
        self.shards.restore(now, image, age)
    }

    fn renew(&mut self, config: Config, rng: &mut StdRng) {
        let count = NonZeroUsize::new(rng.random_range(1..5)).expect("one at least");
        *self = Self::new(config, count, rng);
    }

    fn expire(&mut self, now: Instant) {
        self.shards.expire(now);
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.shards.next_expiry()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.shards.poll_events(&mut events);
        events
    }

    fn set_torrents(&mut self, torrents: &TorrentPolicy) {
        self.shards.set_torrents(torrents.clone());
    }

    fn set_clients(&mut self, clients: &ClientPolicy) {
        self.shards.set_clients_with_pauses(clients.clone(), || {});
    }

    fn set_reachability(
        &mut self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        self.shards.set_reachability(info_hash, address, peer_id, reachability)
    }

    fn set_own_peer(&mut self, own_peer: Option<OwnPeer>) {
        self.shards.set_own_peer(own_peer);
    }

    fn sample(&mut self, rng: &mut StdRng, request: &AnnounceRequest, peers: &mut Peers) {
        self.shards.sample(rng, request, peers);
    }

    fn heard(&mut self) -> Option<Vec<Heard>> {
        Some(std::mem::take(&mut *self.recorder.0.lock().expect("no announce panics")))
    }

    fn totals(&self) -> Totals {
        self.shards.totals()
    }

    fn has_peer_here(&self, info_hash: &InfoHash) -> bool {
        self.shards.has_peer_here(info_hash)
    }

    fn swarm(&self, info_hash: &InfoHash) -> Option<(SwarmCounts, Vec<Peer>)> {
        self.shards.with_swarm(info_hash, |swarm| (swarm.counts(), swarm.peers().collect()))
    }

    fn info_hashes(&self) -> Vec<InfoHash> {
        let mut info_hashes = Vec::new();
        self.shards.for_each_swarm(|info_hash, _| info_hashes.push(info_hash));
        info_hashes
    }
}
