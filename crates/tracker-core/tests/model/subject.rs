//! The trackers that are compared with the model.

use rand::rngs::StdRng;
use tracker_core::{
    AnnounceError, AnnounceRequest, AnnounceResponse, Event, InfoHash, Instant, Peer, Peers, ScrapeError, Shards,
    SwarmCounts, TorrentPolicy, Totals, Tracker,
};

/// A [`Tracker`], or [`Shards`], which must not differ from it.
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
        remote: std::net::IpAddr,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError>;

    fn expire(&mut self, now: Instant);

    fn next_expiry(&self) -> Option<Instant>;

    fn events(&mut self) -> Vec<Event>;

    fn set_torrents(&mut self, torrents: &TorrentPolicy);

    fn totals(&self) -> Totals;

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
        remote: std::net::IpAddr,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        self.scrape(remote, info_hashes, counts)
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

    fn totals(&self) -> Totals {
        self.totals()
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

impl Subject for Shards {
    fn announce(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError> {
        Self::announce(self, now, rng, request, peers)
    }

    fn scrape(
        &mut self,
        remote: std::net::IpAddr,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        Self::scrape(self, remote, info_hashes, counts)
    }

    fn expire(&mut self, now: Instant) {
        Self::expire(self, now);
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
        Self::set_torrents(self, torrents.clone());
    }

    fn totals(&self) -> Totals {
        self.totals()
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
