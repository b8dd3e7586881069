//! An announce in a swarm that exists allocates nothing, nor does a scrape.
//!
//! `allocation_counter` replaces the global allocator, and counts for the thread that measures only.

use std::net::{IpAddr, SocketAddr};

use allocation_counter::measure;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Config, Event, InfoHash, Instant, Memory, OwnPeer, PeerId, PeerKey, Peers,
    Reachability, SubnetPreference, SwarmCounts, Tracker,
};

const TORRENT: InfoHash = InfoHash::new([7; 20]);
const NOW: Instant = Instant::from_secs(1000);

/// The regular announce of the peer of this number: every second over IPv6, every third a seed.
fn request(number: u32) -> AnnounceRequest {
    let [a, b, c, d] = number.to_be_bytes();
    let mut peer_id = *b"-XX0001-............";
    peer_id[16..].copy_from_slice(&[a, b, c, d]);
    let (remote, local): (IpAddr, IpAddr) = match number % 2 {
        0 => ([10, b, c, d].into(), [10, 255, 0, 1].into()),
        _ => {
            ([0xfd77, 0, 0, 0, 0, 1, (number >> 16) as u16, number as u16].into(), [0xfd77, 0, 0, 0, 0, 0, 0, 1].into())
        }
    };
    AnnounceRequest::new(TORRENT, PeerId::new(peer_id), remote, local, 6881)
        .with_key(PeerKey::from_bytes(&peer_id))
        .with_left(if number.is_multiple_of(3) { 0 } else { 1 })
        .with_numwant(200)
}

struct Embedder {
    tracker: Tracker,
    rng: StdRng,
    peers: Peers,
}

impl Embedder {
    /// A tracker with this many peers in one swarm.
    fn with_peers(config: Config, count: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let tracker = Tracker::new(config, &mut rng).unwrap();
        let mut embedder = Self { tracker, rng, peers: Peers::default() };
        (0..count).for_each(|number| embedder.announce(&request(number).with_numwant(0)));
        // Room for any answer: one leecher of each family asks for all.
        (1..3).for_each(|number| embedder.announce(&request(number)));
        embedder
    }

    fn announce(&mut self, request: &AnnounceRequest) {
        self.tracker.announce(NOW, &mut self.rng, request, &mut self.peers).unwrap();
    }

    /// Leaves, and a moment later is there again.
    fn churn(&mut self, number: u32) {
        self.announce(&request(number).with_event(AnnounceEvent::Stopped));
        self.announce(&request(number).with_event(AnnounceEvent::Started).with_numwant(5));
    }
}

#[test]
fn the_counter_counts() {
    let mut embedder = Embedder::with_peers(Config::default(), 10);
    let other = request(1).with_info_hash(InfoHash::new([8; 20]));
    assert_ne!(measure(|| embedder.announce(&other)).count_total, 0, "a new swarm needs memory");
}

#[test]
fn a_regular_announce_allocates_nothing() {
    for prefer_subnet in [None, Some(SubnetPreference::default())] {
        for count in [10, 1000, 10_000] {
            let mut embedder =
                Embedder::with_peers(Config::default().with(|config| config.prefer_subnet = prefer_subnet), count);
            // Once through all kinds of asker, so that the buffers have their size.
            (0..12.min(count)).for_each(|number| embedder.announce(&request(number)));
            for number in 0..count.min(200) {
                let allocated = measure(|| embedder.announce(&request(number)));
                assert_eq!(allocated.count_total, 0, "peer {number} of {count}, {prefer_subnet:?}");
                assert!(!embedder.peers.is_empty());
            }
        }
    }
}

/// Intervals, and so timeouts, differ by chance; that must not move the swarms' places in the queue of deadlines.
#[test]
fn a_regular_announce_in_one_of_many_swarms_allocates_nothing() {
    let config = Config::default().with(|config| config.announce_budget = 1);
    let mut embedder = Embedder::with_peers(config, 10);
    let in_swarm = |number: u32| {
        let mut info_hash = [1; 20];
        info_hash[..4].copy_from_slice(&number.to_be_bytes());
        request(number).with_info_hash(InfoHash::new(info_hash))
    };
    (0..2000).for_each(|number| embedder.announce(&in_swarm(number)));
    let allocated = measure(|| (0..20_000).for_each(|number| embedder.announce(&in_swarm(number % 2000))));
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn a_change_of_state_allocates_nothing() {
    let mut embedder = Embedder::with_peers(Config::default(), 1000);
    let mut all_become = |event, left| {
        let announce = |number| request(number).with_event(event).with_left(left).with_numwant(5);
        (0..1000).for_each(|number| embedder.announce(&announce(number)));
    };
    // Once to and fro, since there is an array for each kind of peer.
    all_become(Some(AnnounceEvent::Completed), 0);
    all_become(None, 1);
    let allocated = measure(|| {
        all_become(Some(AnnounceEvent::Completed), 0);
        all_become(Some(AnnounceEvent::Paused), 1);
        all_become(None, 1);
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn the_own_peer_takes_no_memory() {
    let mut embedder = Embedder::with_peers(Config::default(), 10);
    embedder.tracker.set_own_peer(Some(OwnPeer::new(6968, PeerId::new([1; 20]))));
    (0..10).for_each(|number| embedder.announce(&request(number)));
    let allocated = measure(|| (0..100).for_each(|number| embedder.announce(&request(number % 10))));
    assert_eq!(allocated.count_total, 0);
    assert!(embedder.peers.iter().any(|peer| peer.address.port() == 6968));
}

#[test]
fn nothing_is_allocated_where_peers_are_unreachable() {
    let mut embedder = Embedder::with_peers(Config::default(), 1000);
    let find_out = |embedder: &mut Embedder, number: u32, reachability| {
        let request = request(number);
        let address = SocketAddr::new(request.remote(), request.port);
        assert!(embedder.tracker.set_reachability(&TORRENT, address, request.peer_id, reachability));
    };
    // All but those of every tenth number, so that answers have both.
    let firewalled = || (0..1000).filter(|number| number % 10 != 0);
    firewalled().for_each(|number| find_out(&mut embedder, number, Reachability::No));
    (0..12).for_each(|number| embedder.announce(&request(number)));
    let allocated = measure(|| {
        (0..200).for_each(|number| embedder.announce(&request(number)));
        firewalled().for_each(|number| find_out(&mut embedder, number, Reachability::Yes));
        firewalled().for_each(|number| find_out(&mut embedder, number, Reachability::No));
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn coming_and_going_allocates_nothing() {
    for count in [10, 1000, 10_000] {
        let mut embedder = Embedder::with_peers(Config::default(), count);
        let mut rng = StdRng::seed_from_u64(2);
        // Until the index has found the room that it needs to come and go without growing.
        (0..3 * count).for_each(|_| embedder.churn(rng.random_range(0..count)));
        let allocated = measure(|| (0..10_000).for_each(|_| embedder.churn(rng.random_range(0..count))));
        assert_eq!(allocated.count_total, 0, "{count} peers");
    }
}

/// Peers and swarms take the memory that `Config` and the README document.
#[test]
fn memory_is_as_documented() {
    const PEERS: u32 = 100_000;
    const SWARMS: u32 = 100_000;
    for (memory, of_peer, of_swarm) in [(Memory::Full, 63.0, 210.0), (Memory::Lean, 12.0, 140.0)] {
        // Over IPv4.
        let request = |number: u32| request(2 * number).with_numwant(0);
        let peer = bytes_of_each(memory, PEERS, request);
        let swarm = bytes_of_each(memory, SWARMS, |number| {
            let mut info_hash = [1; 20];
            info_hash[..4].copy_from_slice(&number.to_be_bytes());
            request(number).with_info_hash(InfoHash::new(info_hash))
        });
        assert!(peer < of_peer && swarm < of_swarm, "{memory:?}: {peer} bytes per peer, {swarm} per swarm of one");
    }
    assert_eq!(size_of::<Event>(), 184);
}

/// The memory per announce that a tracker takes for this many announces.
fn bytes_of_each(memory: Memory, count: u32, request: impl Fn(u32) -> AnnounceRequest) -> f64 {
    let mut embedder = Embedder::with_peers(Config::default().with(|config| config.memory = memory), 0);
    let allocated = measure(|| (0..count).for_each(|number| embedder.announce(&request(number))));
    let bytes = i32::try_from(allocated.bytes_current).expect("it is some megabytes");
    f64::from(bytes) / f64::from(count)
}

#[test]
fn a_scrape_into_a_used_buffer_allocates_nothing() {
    let mut embedder = Embedder::with_peers(Config::default(), 100);
    let info_hashes: Vec<InfoHash> = (0..128).map(|number| InfoHash::new([number; 20])).collect();
    let mut counts: Vec<SwarmCounts> = Vec::with_capacity(info_hashes.len());
    let remote = request(0).remote();
    let allocated = measure(|| embedder.tracker.scrape(remote, None, &info_hashes, &mut counts).unwrap());
    assert_eq!(allocated.count_total, 0);
    assert_eq!((counts[7].seeders, counts[7].leechers), (34, 66));
}
