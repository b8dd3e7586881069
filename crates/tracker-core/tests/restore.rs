//! Swarms that are taken out of one tracker and into another.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{
    Access, AnnounceEvent, AnnounceListener, AnnounceRequest, Config, DetailImage, DownloadImage, InfoHash, Instant,
    Memory, Peer, PeerId, PeerImage, PeerKey, PeerState, Peers, Reachability, Shards, SwarmImage, TorrentPolicy, Walk,
};

/// Late enough for all ages.
const START: u32 = 1_000_000;

fn at(secs: u32) -> Instant {
    Instant::from_secs(START + secs)
}

fn shards(config: Config, count: usize) -> Shards {
    Shards::new(config, NonZeroUsize::new(count).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap()
}

fn hash(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn announce(
    shards: &Shards,
    now: Instant,
    torrent: u8,
    last: u8,
    left: u64,
    event: Option<AnnounceEvent>,
) -> Vec<SocketAddr> {
    let (remote, local): (IpAddr, IpAddr) = match last % 3 {
        0 => (std::net::Ipv6Addr::from([0xfd77, 0, 0, 0, 0, 0, 0, last.into()]).into(), "fd77::1".parse().unwrap()),
        _ => ([10, 0, 0, last].into(), [10, 0, 0, 1].into()),
    };
    let mut request = AnnounceRequest::new(hash(torrent), PeerId::new([last; 20]), remote, local, 6881).with_left(left);
    request.event = event;
    let mut peers = Peers::default();
    shards.announce(now, &mut StdRng::seed_from_u64(7), &request, &mut peers).unwrap();
    peers.iter().map(|peer| peer.address).collect()
}

/// Everything, a few peers at a time.
fn take_out(shards: &Shards, now: Instant) -> Vec<SwarmImage> {
    let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
    while shards.walk(&mut walk, 3, |slice| images.push(slice.image(now))) {}
    images
}

fn take_in(shards: &Shards, now: Instant, images: &[SwarmImage], age: Duration) -> usize {
    images.iter().map(|image| shards.restore(now, image, age)).sum()
}

/// The peers of each swarm, without their times.
fn peers(shards: &Shards) -> BTreeMap<InfoHash, (u32, BTreeMap<SocketAddr, Peer>)> {
    let mut all = BTreeMap::new();
    shards.for_each_swarm(|info_hash, swarm| {
        let peers = swarm.peers().map(|mut peer| {
            if let Some(detail) = &mut peer.detail {
                (detail.first_seen, detail.last_seen, detail.expires) = Default::default();
            }
            (peer.address, peer)
        });
        all.insert(info_hash, (swarm.counts().completed, peers.collect()));
    });
    all
}

#[derive(Debug, Default)]
struct Listener(Mutex<Vec<SocketAddr>>);

impl AnnounceListener for Listener {
    fn peer_came(&self, _: &InfoHash, address: SocketAddr, moved_from: Option<SocketAddr>) {
        assert_eq!(moved_from, None);
        self.0.lock().unwrap().push(address);
    }

    fn peer_is_here(&self, _: &InfoHash) {}
}

fn some_announces() -> impl Strategy<Value = Vec<(u8, u8, u64, u8, u32)>> {
    vec((0..4u8, 2..40u8, prop_oneof![Just(0), 1..1000u64], 0..6u8, 0..40u32), 0..120)
}

fn event(number: u8) -> Option<AnnounceEvent> {
    [
        None,
        Some(AnnounceEvent::Started),
        Some(AnnounceEvent::Completed),
        Some(AnnounceEvent::Stopped),
        Some(AnnounceEvent::Paused),
        None,
    ][usize::from(number)]
}

proptest! {
    #[test]
    fn a_tracker_goes_on_as_if_nothing_had_happened(
        announces in some_announces(),
        later in some_announces(),
        (from, to) in (1..6usize, 1..6usize),
        age in 0..1500u32,
        lean in any::<bool>(),
    ) {
        let memory = if lean { Memory::Lean } else { Memory::Full };
        let config = || Config::default().with(|config| config.memory = memory);
        let (before, after) = (shards(config(), from), shards(config(), to));
        let mut now = 0;
        for (torrent, last, left, number, seconds) in announces {
            now += seconds;
            announce(&before, at(now), torrent, last, left, event(number));
        }
        let images = take_out(&before, at(now));
        // The next one has another clock.
        let clock = |secs: u32| Instant::from_secs(START * 2 + secs);
        take_in(&after, clock(now + age), &images, Duration::from_secs(age.into()));
        let has_come = take_in(&after, clock(now + age), &images, Duration::from_secs(age.into()));
        prop_assert_eq!(has_come, 0, "nothing comes twice");
        while before.next_expiry().is_some_and(|due| due <= at(now + age)) {
            before.expire(at(now + age));
        }
        let (left, came) = (peers(&before), peers(&after));
        for (info_hash, (completed, of_swarm)) in &came {
            let (expected, of_before) = &left[info_hash];
            prop_assert_eq!(completed, expected);
            for (address, peer) in of_swarm {
                // A lean tracker rounds when they are due.
                prop_assert!(of_before.get(address) == Some(peer) || lean);
            }
            prop_assert!(of_swarm.len() == of_before.len() || lean, "{} of {}", of_swarm.len(), of_before.len());
        }
        prop_assert!(left.iter().all(|(info_hash, (_, peers))| peers.is_empty() || came.contains_key(info_hash) || lean));
        if lean {
            return Ok(());
        }
        // From here on both are the same.
        let mut now = now + age;
        for (torrent, last, left, number, seconds) in later {
            now += seconds;
            for (shards, now) in [(&before, at(now)), (&after, clock(now))] {
                announce(shards, now, torrent, last, left, event(number));
                shards.expire(now);
            }
        }
        let remembered = |shards| peers(shards).into_iter().filter(|(_, (_, peers))| !peers.is_empty()).collect::<Vec<_>>();
        prop_assert_eq!(remembered(&before), remembered(&after));
        let (before, after) = (before.totals(), after.totals());
        prop_assert_eq!((before.seeders, before.leechers, before.partial_seeds), (after.seeders, after.leechers, after.partial_seeds));
    }

    #[test]
    fn whatever_stands_in_an_image_the_tracker_stays_consistent(
        images in vec((0..3u8, any::<u32>(), vec(any_peer(), 0..30)), 1..6),
        age in prop_oneof![Just(0), 0..5000u64, any::<u64>()],
        lean in any::<bool>(),
    ) {
        let config = Config::default().with(|config| {
            config.memory = if lean { Memory::Lean } else { Memory::Full };
            (config.max_peers, config.max_swarms, config.max_peers_per_swarm, config.max_peers_per_address) = (40, 2, 25, 4);
        });
        let shards = shards(config, 2);
        announce(&shards, at(0), 1, 200, 0, None);
        for (torrent, completed, peers) in images {
            let image = SwarmImage { info_hash: hash(torrent), completed, peers };
            shards.restore(at(1), &image, Duration::from_secs(age));
            announce(&shards, at(2), 1, 201, 5, None);
        }
        let (mut seeders, mut count, mut populated) = (0, 0, 0);
        shards.for_each_swarm(|_, swarm| {
            assert_eq!(swarm.peers().count(), swarm.len());
            assert_eq!(swarm.peers().filter(|peer| peer.state == PeerState::Seeder).count(), swarm.counts().seeders as usize);
            seeders += u64::from(swarm.counts().seeders);
            count += swarm.len() as u64;
            populated += usize::from(!swarm.is_empty());
        });
        let totals = shards.totals();
        prop_assert_eq!((totals.seeders, totals.peers()), (seeders, count));
        prop_assert!(count <= 40 && populated <= 2);
        // However old they say they are, none stays longer than one that announces now.
        let end = at(2 + 2 * 1980 + 60 + 60);
        while shards.next_expiry().is_some_and(|due| due <= end) {
            shards.expire(end);
        }
        prop_assert_eq!(shards.totals().peers(), 0);
    }
}

fn any_peer() -> impl Strategy<Value = PeerImage> {
    let seconds = || prop_oneof![0..3000u64, any::<u64>()].prop_map(Duration::from_secs);
    let address = prop_oneof![
        (0..20u8, 0..4u16).prop_map(|(last, port)| SocketAddr::from(([10, 0, 0, last], port))),
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port))),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port))),
    ];
    let state = prop_oneof![Just(PeerState::Leecher), Just(PeerState::PartialSeed), Just(PeerState::Seeder)];
    let download = prop_oneof![Just(DownloadImage::Unseen), Just(DownloadImage::Begun), Just(DownloadImage::Counted)];
    let reachability = prop_oneof![
        Just(Reachability::Unknown),
        Just(Reachability::Yes),
        Just(Reachability::No),
        Just(Reachability::Introduced)
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<Option<u64>>());
    let times = (seconds(), seconds(), seconds());
    let detail = (0..9u8, any::<u32>(), numbers, times, reachability, any::<bool>()).prop_map(
        |(peer_id, key, (uploaded, downloaded, left), (known_for, silent_for, interval), reachability, is_claimed)| {
            DetailImage {
                peer_id: PeerId::new([peer_id; 20]),
                key: PeerKey::from_number(key),
                uploaded,
                downloaded,
                left,
                known_for,
                silent_for,
                interval,
                reachability,
                is_claimed,
            }
        },
    );
    (address, state, download, seconds(), proptest::option::weighted(0.9, detail)).prop_map(
        |(address, state, download, expires_in, detail)| PeerImage { address, state, download, expires_in, detail },
    )
}

#[test]
fn a_seeder_from_before_is_given_at_once_until_its_own_deadline() {
    let before = shards(Config::default(), 1);
    announce(&before, at(0), 1, 20, 0, Some(AnnounceEvent::Started));
    let images = take_out(&before, at(300));
    let listener = Arc::new(Listener::default());
    let after = shards(Config::default(), 4).with_listener(Arc::clone(&listener) as _);
    assert_eq!(take_in(&after, at(0), &images, Duration::from_secs(100)), 1);
    let seeder = SocketAddr::from(([10, 0, 0, 20], 6881));
    assert_eq!(*listener.0.lock().unwrap(), [seeder]);
    assert_eq!(announce(&after, at(0), 1, 22, 5, Some(AnnounceEvent::Started)), [seeder]);
    // It was silent for 400 of 1,260 s.
    assert_eq!(after.next_expiry(), Some(at(860)));
    after.expire(at(859));
    assert_eq!(announce(&after, at(859), 1, 22, 5, None), [seeder]);
    after.expire(at(860));
    assert_eq!(announce(&after, at(860), 1, 22, 5, None), []);
}

#[test]
fn who_announced_since_is_not_replaced() {
    let before = shards(Config::default(), 1);
    announce(&before, at(0), 1, 20, 9, Some(AnnounceEvent::Started));
    let images = take_out(&before, at(0));
    let after = shards(Config::default(), 1);
    announce(&after, at(0), 1, 20, 0, Some(AnnounceEvent::Completed));
    assert_eq!(take_in(&after, at(1), &images, Duration::ZERO), 0);
    assert_eq!(after.totals().seeders, 1);
}

#[test]
fn what_is_not_served_or_admitted_now_stays_out() {
    let before = shards(Config::default(), 1);
    announce(&before, at(0), 1, 20, 0, None);
    announce(&before, at(0), 2, 20, 0, None);
    let images = take_out(&before, at(0));
    let denied = TorrentPolicy { denied: [hash(1)].into(), ..TorrentPolicy::default() };
    let after = shards(Config::default().with(|config| config.torrents = Arc::new(denied)), 1);
    assert_eq!(take_in(&after, at(0), &images, Duration::ZERO), 1);
    let networks = Access::Networks(vec!["10.1.0.0/16".parse().unwrap()]);
    let after = shards(Config::default().with(|config| config.access = networks), 1);
    assert_eq!(take_in(&after, at(0), &images, Duration::ZERO), 0);
}

#[test]
fn completed_downloads_are_remembered_and_the_larger_number_holds() {
    let tracker = shards(Config::default(), 2);
    let image = |completed| SwarmImage { info_hash: hash(1), completed, peers: vec![] };
    for (restored, expected) in [(3, 3), (2, 3), (5, 5)] {
        tracker.restore(at(0), &image(restored), Duration::ZERO);
        assert_eq!(tracker.with_swarm(&hash(1), |swarm| swarm.counts().completed), Some(expected));
    }
    // The next download is one more.
    announce(&tracker, at(1), 1, 20, 9, None);
    announce(&tracker, at(2), 1, 20, 0, Some(AnnounceEvent::Completed));
    assert_eq!(tracker.with_swarm(&hash(1), |swarm| swarm.counts().completed), Some(6));
}

#[test]
fn a_large_swarm_comes_in_parts() {
    let peer = |number: u32| PeerImage {
        address: SocketAddr::from(((0x0a01_0000 + number).to_be_bytes(), 6881)),
        state: PeerState::Seeder,
        download: DownloadImage::Unseen,
        expires_in: Duration::from_secs(500),
        detail: None,
    };
    let image = SwarmImage { info_hash: hash(1), completed: 0, peers: (0..2500).map(peer).collect() };
    let tracker = shards(Config::default().with(|config| config.memory = Memory::Lean), 1);
    assert_eq!(tracker.restore(at(0), &image, Duration::ZERO), 2500);
    assert_eq!(tracker.totals().seeders, 2500);
    let full = shards(Config::default(), 1);
    assert_eq!(full.restore(at(0), &image, Duration::ZERO), 0, "nothing is known of them");
}
