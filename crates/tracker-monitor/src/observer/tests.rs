//! The observer against a tracker, and against a naive one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use torrent_library::{Library, LibraryConfig};
use tracing_subscriber::layer::SubscriberExt;
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, Memory, Peer, PeerId, PeerState, Peers, Shards,
    SwarmView,
};
use tracker_host::{Clock, EventListener, Events};

use super::watcher::Watcher;
use super::*;
use crate::{LogBuffer, LogFilter, MetricsFormat, Order, ProcessMetrics};

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
        self.0.look(now);
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
        let mut rng = StdRng::seed_from_u64(1);
        let config = config.with(|config| {
            config.interval_jitter_percent = 0;
            config.update_events = false;
        });
        let shards = Arc::new(Shards::new(config, NonZeroUsize::new(3).unwrap(), &mut rng).unwrap());
        let library = Library::open(LibraryConfig::default()).unwrap();
        let computers = Computers::new(Clock::fixed(Instant::ZERO), library);
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
        self.watcher.look(self.now);
    }

    fn peers(&self, info_hash: &InfoHash, query: &PageQuery<PeerSort>) -> Page<PeerRow> {
        let Shared { shards, records, computers, .. } = &*self.shared;
        let known = computers.library().get(info_hash);
        let keys = SwarmKeys::new(*info_hash, known.as_deref());
        peers::page(&peers::all(shards, keys, records), query, self.now, known.map(|known| known.size), false)
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

#[test]
fn rates_are_those_between_the_last_two_announces() {
    let mut network = Network::listening();
    network.pass(1000);
    network.announce(&request(ONE, 1000, 9000).with_uploaded(7));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (None, None), "there was one announce");
    assert_eq!(row.client.as_deref(), Some("Transmission 4.0.6"));
    assert_eq!((row.uploaded, row.downloaded, row.left), (Some(7), Some(1000), Some(9000)));

    network.pass(59);
    network.announce(&request(ONE, 4000, 6000).with_uploaded(127));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (Some(2.0), Some(50.0)));
    let at = |secs| Some(Instant::from_secs(secs));
    assert_eq!((row.first_seen, row.last_seen, row.next_expected), (at(1000), at(1060), at(1120)));
    assert_eq!((network.torrent(&TORRENT).download_rate, network.last().download_rate), (50.0, 50.0));
    assert_eq!(network.torrent(&TORRENT).last_seen, at(1060));

    network.pass(119);
    network.announce(&request(ONE, 4000, 6000).with_uploaded(127));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (Some(0.0), Some(0.0)), "it is stuck");
}

#[test]
fn a_client_that_counts_from_0_again_has_no_rate() {
    let mut network = Network::listening();
    for (downloaded, expected) in [(5000, None), (10_000, Some(50.0)), (100, None), (600, Some(5.0))] {
        network.announce(&request(ONE, downloaded, 9000));
        network.pass(1);
        assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, expected);
        network.pass(99);
    }
}

#[test]
fn another_client_at_an_address_begins_anew() {
    let mut network = Network::listening();
    network.announce(&request(ONE, 0, 9000));
    network.pass(60);
    let other = request(ONE, 6000, 9000).with_peer_id(PeerId::new([b'x'; 20]));
    network.announce(&other);
    network.pass(1);
    assert_eq!(network.peer(&other).download_rate, None);
    network.announce(&other.clone().with_event(AnnounceEvent::Stopped));
    network.announce(&other.clone().with_downloaded(90_000));
    network.pass(1);
    assert_eq!(network.peer(&other).download_rate, None);
}

#[test]
fn a_download_between_two_looks_has_a_rate() {
    let mut network = Network::listening();
    network.pass(10);
    network.announce(&request(ONE, 0, 50_000_000).with_event(AnnounceEvent::Started));
    network.announce(&request(ONE, 50_000_000, 0).with_event(AnnounceEvent::Completed));
    network.pass(1);
    assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, Some(50_000_000.0));
    assert_eq!(network.last().download_rate, 50_000_000.0);
    network.pass(4);
    assert_eq!(network.last().download_rate, 0.0, "it has what it wants");
    assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, None, "it is over");
}

#[test]
fn those_that_are_overdue_are_silent_and_do_not_count() {
    let mut network = Network::listening();
    for downloaded in [0, 6000] {
        network.announce(&request(ONE, downloaded, 9000));
        network.announce(&request(TWO, 10 * downloaded, 9000));
        network.pass(60);
    }
    assert_eq!(network.torrent(&TORRENT).download_rate, 1100.0);
    network.pass(30);
    network.announce(&request(TWO, 60_000, 9000));
    network.pass(37);
    assert_eq!(network.peer(&request(ONE, 0, 0)).status, PeerStatus::Silent);
    assert_eq!(network.peer(&request(TWO, 0, 0)).status, PeerStatus::Downloading);
    assert_eq!(network.torrent(&TORRENT).download_rate, 0.0, "the other one has got nothing since");
    assert_eq!(network.torrent(&TORRENT).counts.leechers, 2);
}

#[test]
fn events_that_the_observer_lost_are_counted() {
    let mut network = Network::new(Config::default().with(|config| config.max_pending_events = 3));
    network.listener = network.events.listen(1);
    for (ip, dropped) in [(ONE, 1), (TWO, 1)] {
        network.announce(&request(ip, 0, 10));
        network.look();
        assert_eq!(network.shared.status().totals.dropped_events, dropped, "the swarm's event, once");
    }
    let inner = Inner { shared: Arc::clone(&network.shared), thread: Mutex::default() };
    let metrics = Observer(Arc::new(inner)).metrics(ProcessMetrics::new(0), MetricsFormat::Prometheus).unwrap();
    assert!(metrics.contains("tracker_dropped_events_total 1\n"), "{metrics}");
}

#[test]
fn a_lean_tracker_shows_what_it_has() {
    let mut network = Network::new(Config::default().with(|config| {
        config.memory = Memory::Lean;
        config.max_pending_events = 100;
    }));
    for left in [9000, 0] {
        network.announce(&request(ONE, 100, left));
        network.announce(&request(TWO, 100, 500));
        network.pass(60);
    }
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.status, row.completion, row.client), (PeerStatus::Seeding, Some(1.0), None));
    assert_eq!((row.left, row.uploaded, row.downloaded, row.download_rate), (None, None, None, None));
    assert_eq!((row.first_seen, row.last_seen, row.next_expected), (None, None, None));
    let row = network.torrent(&TORRENT);
    assert_eq!((row.counts.seeders, row.counts.leechers, row.counts.completed), (1, 1, 1));
    assert_eq!((row.completion, row.download_rate, row.last_seen), (None, 0.0, None));
}

#[test]
fn a_torrent_is_known_by_its_file() {
    let mut network = Network::listening();
    let film = network.know("Film", 1000);
    assert_eq!((network.torrent(&film).name.as_deref(), network.torrent(&film).size), (Some("Film"), Some(1000)));
    assert_eq!((network.torrent(&film).completion, network.torrent(&film).last_seen), (None, None));
    for (ip, left) in [(ONE, Some(0)), (TWO, Some(500)), ([10, 0, 0, 3], None), ([10, 0, 0, 4], Some(i64::MAX as u64))]
    {
        network.announce(&request(ip, 0, 0).with_info_hash(film).with_left(left));
    }
    network.pass(1);
    assert_eq!(network.torrent(&film).completion, Some(0.5), "of three that say what they have");
    let peers = network.peers(&film, &PageQuery { sort: PeerSort::Completion, ..PageQuery::default() });
    let completion: Vec<_> = peers.items.iter().map(|row| row.completion).collect();
    assert_eq!(completion, [Some(0.0), Some(0.5), Some(1.0), None]);
}

#[test]
fn torrents_are_found_and_sorted() {
    let mut network = Network::listening();
    let names = ["beta", "Alpha", "ÄTHER", "gamma 0xAB"];
    for (position, name) in names.iter().enumerate() {
        let info_hash = network.know(name, 1000 * (4 - position));
        for peer in 0..position as u8 {
            network.announce(&request([10, 0, 0, peer], 0, 0).with_info_hash(info_hash));
        }
    }
    let [a, b] = [0x11, 0x1f].map(|byte| InfoHash::new([byte; 20]));
    network.announce(&request(ONE, 0, 10).with_info_hash(b));
    network.announce(&request(ONE, 0, 10).with_info_hash(a));
    network.pass(1);
    let list = |search: &str, sort, order| -> Vec<String> {
        let query = PageQuery { search: search.to_owned(), sort, order, ..PageQuery::default() };
        let page = network.torrents(&query);
        assert_eq!(page.total, page.items.len());
        page.items
            .iter()
            .map(|row| row.name.as_deref().map_or_else(|| row.info_hash.to_string()[..4].to_owned(), str::to_owned))
            .collect()
    };
    use {Order::*, TorrentSort::*};
    assert_eq!(list("", Name, Ascending), ["Alpha", "beta", "gamma 0xAB", "ÄTHER", "1111", "1f1f"]);
    assert_eq!(list("", Name, Descending), ["ÄTHER", "gamma 0xAB", "beta", "Alpha", "1111", "1f1f"]);
    assert_eq!(list("", Size, Descending), ["beta", "Alpha", "ÄTHER", "gamma 0xAB", "1111", "1f1f"]);
    assert_eq!(list("", Seeders, Descending)[..2], ["gamma 0xAB", "ÄTHER"]);
    assert_eq!(list("", Leechers, Descending)[..2], ["1111", "1f1f"]);
    assert_eq!(list(" äth ", Name, Ascending), ["ÄTHER"]);
    assert_eq!(list("ALPHA", Name, Ascending), ["Alpha"]);
    assert_eq!(list("1F", Name, Ascending), ["1f1f"]);
    assert_eq!(list("1", Name, Ascending)[..], ["1111", "1f1f"]);
    assert_eq!(list(&b.to_string(), Name, Ascending), ["1f1f"]);
    assert_eq!(list(&format!("{b}0"), Name, Ascending), [""; 0]);
    assert!(list("ab", Name, Ascending).contains(&"gamma 0xAB".to_owned()));
    let page = network.torrents(&PageQuery { page: 2, page_size: 4, ..PageQuery::default() });
    assert_eq!((page.total, page.items.len(), page.items[0].info_hash), (6, 2, a));
}

#[test]
fn peers_are_found_and_sorted() {
    let mut network = Network::listening();
    let v6: IpAddr = "fd77::9".parse().unwrap();
    let clients: [(IpAddr, &[u8; 20], u64); 3] = [
        ([10, 0, 0, 10].into(), b"-qB4520-xxxxxxxxxxxx", 0),
        ([10, 0, 0, 9].into(), b"-TR4060-xxxxxxxxxxxx", 500),
        (v6, b"A2-1-36-0-xxxxxxxxxx", 1000),
    ];
    for seconds in [0, 1] {
        for (ip, peer_id, left) in clients {
            let peer_id = PeerId::new(*peer_id);
            network.announce(&request(ip, seconds * left, left).with_peer_id(peer_id));
            network.pass(10);
        }
    }
    let list = |search: &str, sort, order| -> Vec<IpAddr> {
        let query = PageQuery { search: search.to_owned(), sort, order, ..PageQuery::default() };
        network.peers(&TORRENT, &query).items.iter().map(|row| row.address.ip()).collect()
    };
    let [qbittorrent, transmission, aria2] = clients.map(|(ip, ..)| ip);
    use {Order::*, PeerSort::*};
    assert_eq!(list("", Address, Ascending), [transmission, qbittorrent, aria2], "as numbers");
    assert_eq!(list("", Client, Ascending), [transmission, aria2, qbittorrent]);
    assert_eq!(list("", State, Ascending)[2], qbittorrent);
    assert_eq!(list("", DownloadRate, Descending), [aria2, transmission, qbittorrent]);
    assert_eq!(list("", LastSeen, Ascending), [qbittorrent, transmission, aria2]);
    assert_eq!(list("TRANS", Address, Ascending), [transmission]);
    assert_eq!(list("[FD77::9]:6881", Address, Ascending), [aria2]);
    assert_eq!(list("10.0.0.1", Address, Ascending), [qbittorrent]);
    assert_eq!(network.peers(&InfoHash::new([0; 20]), &PageQuery::default()).total, 0);
}

#[test]
fn several_that_listen_nowhere_are_several() {
    let mut network = Network::listening();
    for downloaded in [0, 600] {
        for name in 1..=3 {
            let peer_id = PeerId::new([name; 20]);
            network.announce(&request(ONE, downloaded * u64::from(name), 9).with_port(0).with_peer_id(peer_id));
        }
        network.pass(60);
    }
    let peers = network.peers(&TORRENT, &PageQuery::default());
    assert_eq!(peers.total, 3);
    let mut rates: Vec<_> = peers.items.iter().filter_map(|row| row.download_rate).collect();
    rates.sort_by(f64::total_cmp);
    assert_eq!(rates, [10.0, 20.0, 30.0], "told apart by their peer ids");
}

/// More than one look at a swarm takes, of both families.
#[test]
fn a_large_swarm_is_seen_in_parts() {
    let mut network = Network::listening();
    let film = network.know("Film", 1000);
    let address = |peer: u16| -> IpAddr {
        match peer % 3 {
            0 => [0xfd77, 0, 0, 0, 0, 0, 0, peer].into(),
            _ => [10, 1, peer.to_be_bytes()[0], peer.to_be_bytes()[1]].into(),
        }
    };
    for downloaded in [0, 60] {
        for (info_hash, peers) in [(film, 2500), (TORRENT, 1500)] {
            for peer in 0..peers {
                network.announce(&request(address(peer), downloaded, 250).with_info_hash(info_hash));
            }
        }
        network.pass(60);
    }
    assert_eq!((network.torrent(&film).download_rate, network.torrent(&film).completion), (2500.0, Some(0.75)));
    assert_eq!((network.torrent(&TORRENT).download_rate, network.torrent(&TORRENT).completion), (1500.0, None));
    assert_eq!(network.last().download_rate, 4000.0);
    let last = network.peers(&film, &PageQuery { page: 3, page_size: 1000, ..PageQuery::default() });
    assert_eq!((last.total, last.items.len()), (2500, 500));
    assert!(last.items.iter().all(|row| row.download_rate == Some(1.0)));
}

#[test]
fn what_is_beyond_the_limits_is_shown_without_rates() {
    let network = Network::listening();
    let mut records = Records::new(1, 2);
    let look = |records: &mut Records, torrent: u8, now: u32, peers: std::ops::Range<u8>| {
        let info_hash = InfoHash::new([torrent; 20]);
        let mut rng = StdRng::seed_from_u64(1);
        for peer in peers {
            let request = request([10, 0, 0, peer], now.into(), 9).with_info_hash(info_hash);
            let at = Instant::from_secs(now);
            network.shards.announce(at, &mut rng, &request, &mut Peers::default()).unwrap();
        }
        let peers: Vec<Peer> =
            network.shared.shards.with_swarm(&info_hash, |swarm| swarm.peers().collect()).unwrap_or_default();
        let part = records::Part { info_hash, size: None, peers: &peers, is_first: true, is_last: true };
        let mut sums = records::Sums::default();
        records.look(Instant::from_secs(now), &part, &mut sums);
        (sums, peers.iter().filter(|peer| records.figures(&info_hash, peer).rates.is_some()).count())
    };
    look(&mut records, 1, 100, 0..3);
    let (sums, with_rates) = look(&mut records, 1, 160, 0..3);
    assert_eq!((sums.download_rate, sums.last_seen, with_rates), (2.0, Some(Instant::from_secs(160)), 2));
    look(&mut records, 2, 100, 0..3);
    assert_eq!(look(&mut records, 2, 160, 0..3), (records::Sums::default(), 0), "there is no room for the torrent");

    // Those that are not seen any more make room.
    for _ in 0..3 {
        records.end_round();
    }
    look(&mut records, 2, 220, 0..1);
    assert_eq!(look(&mut records, 2, 280, 0..1).1, 1);
}

#[test]
fn the_thread_looks_and_ends() {
    let network = Network::listening();
    let (shards, library) = (&network.shards, network.shared.computers.library());
    let failures = || Failures { http: 1, udp: 2, closed_connections: 4 };
    let observer = Observer::start(
        &Events::start(Arc::clone(shards)).unwrap(),
        Computers::new(Clock::start(), library.clone()),
        failures,
    )
    .unwrap();
    shards.announce(Instant::ZERO, &mut StdRng::seed_from_u64(1), &request(ONE, 0, 10), &mut Peers::default()).unwrap();
    let (mut ticks, deadline) = (observer.ticks(), StdInstant::now() + Duration::from_secs(30));
    while observer.torrent(&TORRENT).is_none_or(|row| row.last_seen.is_none()) || observer.status().last.leechers < 1.0
    {
        assert!(StdInstant::now() < deadline, "nothing was seen");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(ticks.has_changed().unwrap());
    assert!(*ticks.borrow_and_update() > Instant::ZERO);
    assert_eq!((observer.status().failures.total(), observer.status().totals.leechers), (3, 1));
    assert!(!observer.history(Span::TenMinutes).samples.is_empty());
    assert_eq!(observer.peers(&TORRENT, &PageQuery::default()).total, 1);
    assert_eq!(observer.torrents(&PageQuery::default()).total, 1);
    assert_eq!(observer.torrent(&InfoHash::new([0; 20])), None);
    observer.finish();
    observer.finish();
    assert_eq!(observer.torrents(&PageQuery::default()).total, 1, "it can still be looked at");
}

/// A record of every announce of a peer, to compare the observer with.
#[derive(Default)]
struct Diary {
    first_seen: Option<Instant>,
    counts: Vec<(Instant, u64, u64)>,
}

impl Diary {
    fn rates(&self) -> Option<(f64, f64, u32)> {
        let [.., before, last] = self.counts[..] else { return None };
        let secs = last.0.as_secs() - before.0.as_secs();
        (last.1 >= before.1 && last.2 >= before.2)
            .then(|| ((last.1 - before.1) as f64 / f64::from(secs), (last.2 - before.2) as f64 / f64::from(secs), secs))
    }
}

#[test]
fn the_observer_agrees_with_a_record_of_every_announce() {
    for seed in 0..8 {
        let mut choice = StdRng::seed_from_u64(seed);
        let mut network = Network::new(Config::default().with(|config| {
            // With and without events.
            config.max_pending_events = if choice.random() { 10_000 } else { 0 };
        }));
        let sizes = BTreeMap::from([(network.know("one", 1000), 1000), (network.know("two", 5000), 5000)]);
        let torrents: Vec<InfoHash> = sizes.keys().copied().chain([TORRENT, InfoHash::new([0; 20])]).collect();
        let mut diaries: BTreeMap<(InfoHash, SocketAddr), Diary> = BTreeMap::new();
        for step in 0..300 {
            let told = format!("seed {seed}, step {step}");
            network.now = Instant::from_secs(network.now.as_secs() + choice.random_range(1..120));
            network.shards.expire(network.now);
            diaries.retain(|(info_hash, place), _| network.has(info_hash, *place));
            let mut announced = BTreeSet::new();
            for _ in 0..choice.random_range(0..12) {
                let (info_hash, host) = (torrents[choice.random_range(0..torrents.len())], choice.random_range(1..8));
                let ip: IpAddr =
                    if host > 5 { [0xfd77, 0, 0, 0, 0, 0, 0, host].into() } else { [10, 0, 0, host as u8].into() };
                let place = (info_hash, SocketAddr::new(ip, 6881));
                // The watcher looks once in a while, and peers announce less often than that.
                if !announced.insert(place) {
                    continue;
                }
                let diary = diaries.entry(place).or_default();
                let (mut uploaded, mut downloaded) = diary.counts.last().map_or((0, 0), |last| (last.1, last.2));
                let event = match choice.random_range(0..10) {
                    0 => Some(AnnounceEvent::Stopped),
                    1 => Some(AnnounceEvent::Paused),
                    2 => {
                        (uploaded, downloaded) = (0, 0);
                        Some(AnnounceEvent::Started)
                    }
                    _ => None,
                };
                uploaded += choice.random_range(0..10_000);
                downloaded += choice.random_range(0..10_000);
                let left = [Some(0), Some(500), Some(100_000), None][choice.random_range(0..4)];
                network.announce(
                    &request(ip, downloaded, 0)
                        .with_info_hash(info_hash)
                        .with_uploaded(uploaded)
                        .with_left(left)
                        .with_event(event),
                );
                if event == Some(AnnounceEvent::Stopped) {
                    diaries.remove(&place);
                } else {
                    diary.first_seen.get_or_insert(network.now);
                    diary.counts.push((network.now, uploaded, downloaded));
                }
            }
            network.look();

            let mut download_rate_of_all = 0.0;
            for info_hash in &torrents {
                let (mut download_rate, mut completion, mut telling, mut silent, mut last_seen) =
                    (0.0, 0.0, 0, 0, None);
                let look = |swarm: SwarmView<'_>| (swarm.peers().collect(), swarm.counts());
                let (peers, counts): (Vec<Peer>, _) =
                    network.shared.shards.with_swarm(info_hash, look).unwrap_or_default();
                let rows = network.peers(info_hash, &PageQuery::default());
                assert_eq!(rows.total, peers.len(), "{told}");
                for row in &rows.items {
                    let peer = peers.iter().find(|peer| peer.address == row.address).expect(&told);
                    let (detail, diary) = (peer.detail.as_ref().unwrap(), &diaries[&(*info_hash, row.address)]);
                    let rates = diary.rates();
                    assert_eq!((row.first_seen, row.last_seen), (diary.first_seen, Some(detail.last_seen)), "{told}");
                    let has = match (peer.state, detail.left, sizes.get(info_hash)) {
                        (PeerState::Seeder, ..) => Some(1.0),
                        (_, Some(left), Some(&size)) => Some((size - size.min(left)) as f64 / size as f64),
                        _ => None,
                    };
                    assert_eq!(row.completion, has, "{told}: {row:?}");
                    let silent_for = network.now.since(detail.last_seen).as_secs();
                    // The interval is 60 s, and it is Transmission.
                    let is_overdue = silent_for > 60 + 60 + 6;
                    assert_eq!(row.status == PeerStatus::Silent, is_overdue, "{told}: {row:?}");
                    let upload_rate = rates.filter(|_| !is_overdue).map(|rates| rates.0);
                    let is_over = is_overdue || peer.state != PeerState::Leecher && silent_for >= 5;
                    let download_rate_of_it = rates.filter(|_| !is_over).map(|rates| rates.1);
                    assert_eq!(
                        (row.upload_rate, row.download_rate),
                        (upload_rate, download_rate_of_it),
                        "{told}: {row:?}"
                    );
                    if let Some((_, rate, secs)) = rates
                        && !is_overdue
                        && (peer.state == PeerState::Leecher || silent_for < u64::from(secs.max(5)))
                    {
                        download_rate += rate;
                    }
                    if let Some(has) = has {
                        completion += has;
                        telling += 1;
                    }
                    silent += u32::from(is_overdue);
                    last_seen = last_seen.max(row.last_seen);
                }
                if peers.is_empty() && !sizes.contains_key(info_hash) && counts.completed == 0 {
                    continue;
                }
                let row = network.torrent(info_hash);
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
                assert_eq!((row.counts, row.silent, row.last_seen), (counts, silent, last_seen), "{told}");
                assert!(near(row.download_rate, download_rate), "{told}: {row:?} but {download_rate}");
                let expected = (sizes.contains_key(info_hash) && telling > 0).then(|| completion / f64::from(telling));
                assert_eq!(row.completion.is_some(), expected.is_some(), "{told}: {row:?} but {expected:?}");
                assert!(
                    near(row.completion.unwrap_or(0.0), expected.unwrap_or(0.0)),
                    "{told}: {row:?} but {expected:?}"
                );
                download_rate_of_all += download_rate;
            }
            assert!((network.last().download_rate - download_rate_of_all).abs() < 1e-6, "{told}");
        }
    }
}

#[test]
fn stuck_torrents_are_counted_at_each_look_at_all_of_them() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut network = Network::new(Config::default().with(|config| config.memory = memory));
        let counts = |network: &Network| lock(&network.shared.found).stuck;
        // Nobody has the first, and of the second there is a seeder.
        network.announce(&request(ONE, 0, 9));
        let served = InfoHash::new([1; 20]);
        network.announce(&request(ONE, 0, 9).with_info_hash(served));
        network.announce(&request([10, 0, 0, 2], 9, 0).with_info_hash(served));
        network.pass(1);
        assert_eq!((counts(&network).no_seeder, counts(&network).silent), (1, 0), "{memory:?}");
        network.announce(&request([10, 0, 0, 2], 9, 0));
        network.pass(1);
        assert_eq!(counts(&network).total(), 0, "{memory:?}");
        network.pass(400);
        // What a lean tracker keeps of a peer does not tell when it is overdue.
        let silent = if memory == Memory::Full { 2 } else { 0 };
        assert_eq!((counts(&network).no_seeder, counts(&network).silent), (0, silent), "{memory:?}");
    }
}

/// Most clients are in both swarms of a hybrid; those that know one info-hash only are in one.
#[test]
fn the_two_swarms_of_a_hybrid_are_one_torrent() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut network = Network::new(Config::default().with(|config| config.memory = memory));
        let known = network.shared.computers.library().register(HYBRID.as_bytes()).unwrap();
        let keys: Vec<_> = known.swarm_keys().collect();
        let [v1, v2] = keys[..] else { panic!("{keys:?}") };
        let both = keys.as_slice();
        for (at, announces) in [
            (both, request(ONE, 0, 0)),
            (both, request(TWO, 250, 750)),
            (&[v1], request([10, 0, 0, 3], 0, 1000)),
            (&[v2], request([10, 0, 0, 4], 500, 500).with_event(AnnounceEvent::Paused)),
        ] {
            at.iter().for_each(|key| network.announce(&announces.clone().with_info_hash(*key)));
        }
        let mut count = 4;
        if memory == Memory::Full {
            // On another port each time, it is known by its peer id and key.
            for (port, key) in [(0, v1), (7000, v2)] {
                let mut moving = request([10, 0, 0, 5], 0, 1000).with_info_hash(key);
                moving.port = port;
                network.announce(&moving);
            }
            count = 5;
        }
        network.pass(1);
        network.pass(1);

        assert_eq!(network.torrents(&PageQuery::default()).total, 1, "{memory:?}");
        let row = network.torrent(&v1);
        assert_eq!(row, network.torrent(&v2), "found by either");
        let counts = SwarmCounts { seeders: 1, leechers: count - 1, partial_seeds: 1, completed: 0 };
        assert_eq!((row.info_hash, row.name.as_deref(), row.counts), (v1, Some("a"), counts), "{memory:?}");
        let totals = network.shared.status().totals;
        assert_eq!(
            (totals.swarms, totals.seeders, totals.leechers, totals.partial_seeds),
            (1, 1, u64::from(count) - 1, 1),
            "{memory:?}"
        );
        assert_eq!((network.last().torrents, network.last().seeders), (1.0, 1.0));
        for key in both {
            let addresses: Vec<_> =
                network.peers(key, &PageQuery::default()).items.iter().map(|peer| peer.address.to_string()).collect();
            let expected = ["10.0.0.1:6881", "10.0.0.2:6881", "10.0.0.3:6881", "10.0.0.4:6881", "10.0.0.5:0"];
            assert_eq!(addresses, expected[..count as usize], "{memory:?}");
        }
        if memory == Memory::Full {
            // 100, 25, 0, 50 and 0 per cent, each once.
            assert_eq!(row.completion, Some(0.35));
            network.pass(2000);
            network.pass(1);
            assert_eq!(network.torrent(&v1).silent, 5);
        }
        assert!(network.shared.status().stuck.total() <= 1);
    }
}

/// A seeder in one swarm is one for the torrent.
#[test]
fn a_hybrid_is_stuck_once_or_not_at_all() {
    let mut network = Network::listening();
    let known = network.shared.computers.library().register(HYBRID.as_bytes()).unwrap();
    let keys: Vec<_> = known.swarm_keys().collect();
    keys.iter().for_each(|key| network.announce(&request(ONE, 0, 1000).with_info_hash(*key)));
    network.pass(1);
    let stuck = network.shared.status().stuck;
    assert_eq!((stuck.no_seeder, stuck.total()), (1, 1));
    network.announce(&request(TWO, 0, 0).with_info_hash(keys[1]));
    network.pass(1);
    assert_eq!(network.shared.status().stuck.total(), 0);
    assert_eq!(network.torrent(&keys[0]).stuck, None);
}

/// The first swarm may be gone, or never have been.
#[test]
fn a_hybrid_may_have_its_second_swarm_only() {
    let mut network = Network::listening();
    let known = network.shared.computers.library().register(HYBRID.as_bytes()).unwrap();
    let second = known.second_swarm().unwrap();
    network.announce(&request(ONE, 0, 0).with_info_hash(second));
    network.pass(1);
    let row = network.torrent(&known.info_hash);
    assert_eq!((row.info_hash, row.counts.seeders, row.completion), (known.info_hash, 1, Some(1.0)));
    assert_eq!(network.shared.status().totals.swarms, 1);

    // Without its .torrent it is a torrent like any other.
    network.shared.computers.library().remove(&second).unwrap();
    assert_eq!(network.torrent(&second).name, None);
}

/// The peers that are stuck, and why.
fn stuck_peers(network: &Network) -> Vec<(SocketAddr, PeerStuckReason)> {
    let rows = network.peers(&TORRENT, &PageQuery::default()).items;
    rows.iter().filter_map(|row| Some((row.address, row.stuck?))).collect()
}

fn at(ip: [u8; 4]) -> SocketAddr {
    (ip, 6881).into()
}

#[test]
fn a_download_that_gets_nothing_is_stuck_by_its_second_announce() {
    let mut network = Network::listening();
    let three = [10, 0, 0, 3];
    network.announce(&request(three, 0, 0));
    network.announce(&request(ONE, 0, 9000));
    network.announce(&request(TWO, 0, 9000));
    network.pass(1);
    let counts = |network: &Network| network.shared.status();
    assert_eq!(stuck_peers(&network), []);
    assert_eq!((counts(&network).downloads.total, counts(&network).downloads.undecided), (2, 2), "nobody can say");
    network.pass(58);
    network.announce(&request(ONE, 0, 9000));
    network.pass(1);
    assert_eq!((stuck_peers(&network).len(), counts(&network).downloads.undecided), (0, 2), "it is not a minute yet");
    network.announce(&request(ONE, 0, 9000));
    network.announce(&request(TWO, 4000, 5000));
    network.pass(1);
    assert_eq!(stuck_peers(&network), [(at(ONE), PeerStuckReason::NoProgress)]);
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoProgress { peers: 1 }));
    let Status { stuck, downloads, .. } = counts(&network);
    assert_eq!((stuck.no_progress, stuck.total()), (1, 1));
    assert_eq!((downloads.total, downloads.no_progress, downloads.undecided), (2, 1, 0));
    let (rows, total) = peers::stuck(
        &peers::all(&network.shared.shards, SwarmKeys::new(TORRENT, None), &network.shared.records),
        10,
        network.now,
        None,
        false,
    );
    assert_eq!((rows.len(), total, rows[0].address), (1, 1, at(ONE)));

    // It gets on again.
    network.pass(60);
    network.announce(&request(ONE, 100, 8900));
    network.announce(&request(TWO, 4000, 4900));
    network.announce(&request(three, 0, 0));
    network.pass(1);
    assert_eq!((stuck_peers(&network), network.torrent(&TORRENT).stuck), (vec![], None));
    assert_eq!(counts(&network).downloads, DownloadCounts { total: 2, ..DownloadCounts::default() });
}

/// The only seeder has a link-local address, which nobody can be given.
#[test]
fn the_log_has_the_reason_that_the_page_has() {
    let buffer = LogBuffer::new();
    let mut network = Network::listening();
    network.announce(
        &AnnounceRequest::new(
            TORRENT,
            PeerId::new([7; 20]),
            "fe80::7".parse().unwrap(),
            "fe80::1".parse().unwrap(),
            6881,
        )
        .with_left(0),
    );
    tracing::subscriber::with_default(tracing_subscriber::registry().with(buffer.layer()), || {
        for _ in 0..3 {
            network.announce(&request(ONE, 0, 9000));
            network.pass(61);
        }
    });
    assert_eq!(stuck_peers(&network), [(at(ONE), PeerStuckReason::NoSeeder)]);
    let lines = buffer.entries(&LogFilter::default(), 0, 10);
    let stuck: Vec<_> = lines.iter().filter(|line| line.fields.contains(&("event", "peer_stuck".to_owned()))).collect();
    assert_eq!(stuck.len(), 1, "{lines:?}");
    assert!(stuck[0].fields.iter().any(|(name, value)| *name == "reason" && value == "no_seeder"), "{:?}", stuck[0]);
}

#[test]
fn a_client_that_listens_nowhere_can_be_stuck_too() {
    let mut network = Network::listening();
    network.announce(&request(TWO, 0, 0));
    let hidden = |peer_id: &[u8; 20], left| {
        let mut hidden = request(ONE, 0, left).with_peer_id(PeerId::new(*peer_id));
        hidden.port = 0;
        hidden
    };
    // Two of them at one address.
    let (stuck, moving) = (b"-TR4060-aaaaaaaaaaaa", b"-TR4060-bbbbbbbbbbbb");
    for left in [9000, 8000] {
        network.announce(&hidden(stuck, 9000));
        network.announce(&hidden(moving, left));
        network.pass(60);
    }
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoProgress { peers: 1 }));
    assert_eq!(stuck_peers(&network), [((ONE, 0).into(), PeerStuckReason::NoProgress)]);
    assert_eq!(network.shared.status().downloads.undecided, 0);
}

/// After a lesson.
#[test]
fn who_has_finished_and_left_is_not_stuck() {
    let mut network = Network::listening();
    for ip in 1..=30 {
        network.announce(&request([10, 0, 0, ip], 0, 9000));
    }
    network.pass(60);
    for ip in 1..=30 {
        let (left, event) = match ip {
            1..=20 => (0, Some(AnnounceEvent::Completed)),
            21..=25 => (4000, Some(AnnounceEvent::Paused)),
            _ => (4000, None),
        };
        network.announce(&request([10, 0, 0, ip], 5000, left).with_event(event));
    }
    network.pass(1);
    network.pass(1000);
    assert_eq!(network.torrent(&TORRENT).silent, 30);
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::Silent { peers: 5 }));
    let silent = (26..=30).map(|ip| (at([10, 0, 0, ip]), PeerStuckReason::Silent));
    assert_eq!(stuck_peers(&network), silent.collect::<Vec<_>>());
    // A newcomer has nobody to get it from: those that have it are gone.
    network.announce(&request([10, 0, 0, 40], 0, 9000));
    network.pass(1);
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoSeeder { waiting: 1 }));
    assert_eq!(stuck_peers(&network).last(), Some(&(at([10, 0, 0, 40]), PeerStuckReason::NoSeeder)));
}

/// What is not looked at, or does not tell, is never part of an all-clear.
#[test]
fn what_cannot_be_judged_is_undecided() {
    let lean = || Network::new(Config::default().with(|config| config.memory = Memory::Lean));
    let full = || {
        let network = Network::listening();
        *lock(&network.shared.records) = Records::new(10, 1);
        network
    };
    for (mut network, left) in [(lean(), Some(9000)), (full(), Some(9000)), (Network::listening(), None)] {
        for _ in 0..3 {
            network.announce(&request([10, 0, 0, 9], 0, 0));
            network.announce(&request(ONE, 0, 9000).with_left(left));
            network.announce(&request(TWO, 0, 9000).with_left(left));
            network.pass(60);
        }
        let Status { stuck, downloads, .. } = network.shared.status();
        assert_eq!(downloads.total, 2);
        assert_eq!(downloads.undecided + stuck.no_progress, 2, "{stuck:?} {downloads:?}");
        assert!(downloads.undecided > 0);
    }
}

#[test]
fn a_stopped_tracker_has_no_rates() {
    let mut network = Network::listening();
    let stopped = ServiceState::Stopped { since: SystemTime::UNIX_EPOCH, error: None };
    let running = |secs| ServiceState::Running {
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
        addresses: Vec::new(),
        announce_urls: Vec::new(),
    };
    let (service, state) = watch::channel(running(1));
    *lock(&network.shared.service) = Some(state);
    network.pass(1);
    for downloaded in [0, 6000] {
        network.announce(&request(ONE, downloaded, 9000));
        network.pass(60);
    }
    let rates = |network: &Network| (network.last().download_rate, network.peer(&request(ONE, 0, 0)).download_rate);
    assert_eq!(rates(&network), (100.0, Some(100.0)));
    service.send_replace(stopped);
    network.pass(1);
    assert_eq!((rates(&network), network.torrent(&TORRENT).download_rate), ((0.0, None), 0.0));
    service.send_replace(running(2));
    network.pass(1);
    assert_eq!(rates(&network), (0.0, None), "nobody has reported since");
    network.announce(&request(ONE, 12_200, 9000));
    network.pass(1);
    assert_eq!(rates(&network), (100.0, Some(100.0)));
}

#[test]
fn current_rates_are_averages_of_ten_seconds() {
    let mut network = Network::listening();
    // As from one client that announces over and over, now and then.
    network.pass(1);
    let mut history = lock(&network.shared.history);
    *history = History::new();
    let mut seen = Vec::new();
    for second in 1..=40 {
        let announces = if second % 5 == 0 { 10.0 } else { 0.0 };
        let sample = Sample { announces, seeders: f64::from(second), ..Sample::default() };
        history.push(Instant::from_secs(second), SystemTime::UNIX_EPOCH + Duration::from_secs(second.into()), sample);
        assert_eq!(history.recent().seeders, f64::from(second), "counts are those of now");
        seen.push(history.recent().announces);
    }
    assert!(seen[10..].iter().all(|rate| *rate == 2.0), "{seen:?}");
}

#[test]
fn a_seeder_that_nobody_can_be_given_does_not_count_unless_somebody_gets_something() {
    let link_local: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 7];
    let magnet = request(TWO, 0, 0).with_peer_id(PeerId::new(*b"A2-1-36-0-magnet0000"));
    for (name, seeder) in [
        ("link-local", request(link_local, 0, 0)),
        ("no port", request(TWO, 0, 0).with_port(0)),
        ("port 1", request(TWO, 0, 0).with_port(1)),
        ("a magnet link", magnet),
    ] {
        let mut network = Network::listening();
        network.announce(&request(ONE, 0, 9000));
        network.announce(&seeder);
        network.pass(1);
        assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoSeeder { waiting: 1 }), "{name}");
        assert_eq!(stuck_peers(&network), [(at(ONE), PeerStuckReason::NoSeeder)], "{name}");
        // It may have connected by itself.
        network.pass(60);
        network.announce(&request(ONE, 4000, 5000));
        network.pass(1);
        assert_eq!((network.torrent(&TORRENT).stuck, stuck_peers(&network)), (None, vec![]), "{name}");
    }
}

/// aria2 says so of both.
#[test]
fn clients_that_have_a_magnet_link_only_are_no_all_clear() {
    let magnet = |ip| request(ip, 0, 0).with_peer_id(PeerId::new(*b"A2-1-36-0-magnet0000"));
    let mut network = Network::listening();
    let announced = |network: &Network| network.shared.status().totals.seeders;
    let people_read = |network: &Network| {
        let SwarmCounts { seeders, leechers, .. } = network.torrent(&TORRENT).counts;
        (seeders, leechers)
    };
    for ip in [ONE, TWO] {
        network.announce(&magnet(ip));
    }
    network.pass(1);
    let downloads = network.shared.status().downloads;
    assert_eq!(downloads, DownloadCounts { total: 2, undecided: 2, ..DownloadCounts::default() });
    assert_eq!((people_read(&network), announced(&network)), ((0, 2), 2));

    // With others, in their order among other torrents, too.
    let three = [10, 0, 0, 3];
    network.announce(&request(three, 0, 0));
    network.announce(&request([10, 0, 0, 4], 0, 9000));
    let other = InfoHash::new([1; 20]);
    network.announce(&request(three, 0, 0).with_info_hash(other));
    network.announce(&request(ONE, 0, 0).with_info_hash(other));
    network.pass(1);
    assert_eq!((people_read(&network), network.shared.status().downloads.total), ((1, 3), 3));
    let query = PageQuery { sort: TorrentSort::Seeders, order: Order::Descending, ..PageQuery::default() };
    let order: Vec<_> = network.torrents(&query).items.iter().map(|row| row.info_hash).collect();
    assert_eq!(order, [other, TORRENT]);

    // One has given something away: it has everything. The other wants something: it has the metadata.
    network.announce(&magnet(ONE).with_uploaded(1));
    network.announce(&magnet(TWO).with_left(9000));
    network.pass(1);
    assert_eq!((people_read(&network), network.shared.status().downloads.total), ((2, 2), 2));

    // One that is silent wants nothing any more, and has nothing.
    let mut network = Network::listening();
    network.announce(&magnet(ONE));
    network.pass(1000);
    assert_eq!((people_read(&network), network.shared.status().downloads.total), ((0, 1), 0));
}

/// The first seeder has left after it gave everything out: each has a part of it.
#[test]
fn those_that_get_on_without_a_seeder_are_not_stuck() {
    let mut network = Network::listening();
    let announce = |network: &mut Network, left: [u64; 2]| {
        network.announce(&request(ONE, 9000 - left[0], left[0]));
        network.announce(&request(TWO, 9000 - left[1], left[1]));
        network.pass(60);
    };
    announce(&mut network, [9000, 9000]);
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoSeeder { waiting: 2 }));
    announce(&mut network, [5000, 4000]);
    assert_eq!((network.torrent(&TORRENT).stuck, stuck_peers(&network)), (None, vec![]));
    assert_eq!(network.shared.status().downloads, DownloadCounts { total: 2, ..DownloadCounts::default() });
    // One has all that the others have.
    announce(&mut network, [3000, 4000]);
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoSeeder { waiting: 1 }));
    assert_eq!(stuck_peers(&network), [(at(TWO), PeerStuckReason::NoSeeder)]);
}

#[test]
fn peers_are_found_by_what_their_rows_show() {
    let mut network = Network::listening();
    network.announce(&request(ONE, 0, 9000));
    network.pass(1);
    let Shared { shards, records, .. } = &*network.shared;
    let entries = peers::all(shards, SwarmKeys::new(TORRENT, None), records);
    let candidate = peers::Candidate::new(&entries[0], true);
    let host_name = |ip: IpAddr| (ip == IpAddr::from(ONE)).then(|| Arc::from("Lab-07.fritz.box"));
    for search in ["lab-07", "fritz.box", "10.0.0.1:6881", "transmission"] {
        assert!(candidate.contains(search, host_name), "{search}");
    }
    assert!(!candidate.contains("lab-08", host_name));
    assert!(!candidate.contains("lab-07", |_| None));
}
