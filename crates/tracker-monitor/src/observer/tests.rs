//! The observer against a tracker, with a clock that is set by hand.

mod background;
mod diary;
mod hybrids;
mod limits;
mod peer_list;
mod rates;
mod seen_peers;
mod stuck_downloads;
mod torrent_list;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use torrent_library::{Library, LibraryConfig};
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, Memory, Peer, PeerId, Peers, Shards, SwarmCounts,
    SwarmView,
};
use tracker_host::{Clock, EventListener, Events};

use super::watcher::Watcher;
use super::*;
use crate::sightings::fake::FakeSightings;
use crate::{ComputersConfig, Order, PeerSightings};

/// Steps of a sweep over all that these tests have.
const WHOLE_SWEEP: usize = 10_000;

/// What watches a tracker, for tests of what it tells others.
pub(crate) struct Watching(Watcher);

impl Watching {
    pub(crate) fn new(shards: ShardsView, computers: Computers) -> Self {
        Self(Watcher::new(Arc::new(Shared::new(shards, computers)), Box::new(Failures::default)))
    }

    pub(crate) fn take_events(&mut self, listener: &EventListener) {
        self.0.take_events(listener);
    }

    pub(crate) fn look(&mut self, listener: &EventListener, now: Instant) {
        self.take_events(listener);
        self.0.look(now, WHOLE_SWEEP);
    }
}

/// A tracker and its watcher, with a clock that is set by hand.
struct Network {
    shards: Arc<Shards>,
    shared: Arc<Shared>,
    events: Events,
    listener: EventListener,
    watcher: Watcher,
    rng: StdRng,
    now: Instant,
}

impl Network {
    fn new(config: Config) -> Self {
        Self::build(config, None)
    }

    /// With an own peer that sees what it is told to.
    fn seeing(sightings: &FakeSightings) -> Self {
        let config = Config::default().with(|config| config.max_pending_events = 10_000);
        Self::build(config, Some(Arc::new(sightings.clone())))
    }

    fn build(config: Config, sightings: Option<Arc<dyn PeerSightings>>) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let config = config.with(|config| {
            config.interval_jitter_percent = 0;
            config.update_events = false;
        });
        let shards = Arc::new(Shards::new(config, NonZeroUsize::new(3).unwrap(), &mut rng).unwrap());
        let library = Library::open(LibraryConfig::default()).unwrap();
        let computers = ComputersConfig::new(Clock::fixed(Instant::ZERO), library);
        let computers = Computers::start(computers.with(|config| config.sightings = sightings)).unwrap();
        let events = Events::without_thread(Arc::clone(&shards));
        let listener = events.listen(10_000);
        let shared = Arc::new(Shared::new(Arc::clone(&shards).into(), computers));
        let watcher = Watcher::new(Arc::clone(&shared), Box::new(Failures::default));
        Self { shards, shared, events, listener, watcher, rng, now: Instant::ZERO }
    }

    fn listening() -> Self {
        Self::new(Config::default().with(|config| config.max_pending_events = 10_000))
    }

    fn announce(&mut self, request: &AnnounceRequest) {
        self.shards.announce(self.now, &mut self.rng, request, &mut Peers::default()).unwrap();
    }

    /// Time passes, and the watcher looks.
    fn pass(&mut self, secs: u32) {
        self.now = Instant::from_secs(self.now.as_secs() + secs);
        self.look();
    }

    fn look(&mut self) {
        self.events.pump();
        self.watcher.take_events(&self.listener);
        self.watcher.look(self.now, WHOLE_SWEEP);
    }

    fn peers(&self, info_hash: &InfoHash, query: &PageQuery<PeerSort>) -> Page<PeerRow> {
        let Shared { shards, records, computers, .. } = &*self.shared;
        let known = computers.library().get(info_hash);
        let keys = SwarmKeys::new(*info_hash, known.as_deref());
        let entries = peers::all(shards, keys, records, computers.sightings(), self.now);
        let size = known.map(|known| known.size).or_else(|| Some(lock(records).named(info_hash)?.size));
        peers::page(&entries, query, self.now, size, false)
    }

    fn peer(&self, request: &AnnounceRequest) -> PeerRow {
        let search = SocketAddr::new(request.remote(), request.port).to_string();
        let mut page = self.peers(&request.info_hash, &PageQuery { search, ..PageQuery::default() });
        assert_eq!(page.total, 1, "{request:?}");
        page.items.remove(0)
    }

    fn torrents(&self, query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
        let Shared { shards, records, computers, .. } = &*self.shared;
        torrents::page(&torrents::all(shards, &computers.library().all(), records, |_| false), query)
    }

    fn torrent(&self, info_hash: &InfoHash) -> TorrentRow {
        let search = info_hash.to_string();
        let mut page = self.torrents(&PageQuery { search, ..PageQuery::default() });
        assert_eq!(page.total, 1, "{info_hash}");
        page.items.remove(0)
    }

    fn has(&self, info_hash: &InfoHash, address: SocketAddr) -> bool {
        let has = |swarm: SwarmView<'_>| swarm.peers().any(|peer| peer.address == address);
        self.shared.shards.with_swarm(info_hash, has) == Some(true)
    }

    fn last(&self) -> Sample {
        lock(&self.shared.history).last()
    }

    /// Makes a torrent known of a file of this size, at most a piece.
    fn know(&self, name: &str, size: usize) -> InfoHash {
        let name = format!("{}:{name}", name.len());
        let pieces = "aaaaaaaaaaaaaaaaaaaa";
        let torrent = format!("d4:infod6:lengthi{size}e4:name{name}12:piece lengthi16384e6:pieces20:{pieces}ee");
        self.shared.computers.library().register(torrent.as_bytes()).unwrap().info_hash
    }
}

/// A hybrid torrent of 1000 bytes.
const HYBRID: &str = "d4:infod9:file treed1:ad0:d6:lengthi1000e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
    6:lengthi1000e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";

const TORRENT: InfoHash = InfoHash::new([0xab; 20]);

fn request(ip: impl Into<IpAddr>, downloaded: u64, left: u64) -> AnnounceRequest {
    let remote = ip.into();
    AnnounceRequest::new(
        TORRENT,
        PeerId::new(*b"-TR4060-123456789012"),
        remote,
        if remote.is_ipv4() { [10, 255, 0, 1].into() } else { [0xfd77, 0, 0, 0, 0, 0, 0, 1].into() },
        6881,
    )
    .with_downloaded(downloaded)
    .with_left(left)
    .with_numwant(0)
}

const ONE: [u8; 4] = [10, 0, 0, 1];
const TWO: [u8; 4] = [10, 0, 0, 2];
