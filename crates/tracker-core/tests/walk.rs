//! Looking at all swarms and peers, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, PeerId, Peers, Shards, Walk};

#[derive(Debug)]
struct Network {
    shards: Shards,
    rng: StdRng,
}

impl Network {
    fn new(shards: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let shards = Shards::new(Config::default(), NonZeroUsize::new(shards).unwrap(), &mut rng).unwrap();
        Self { shards, rng }
    }

    fn announce(&mut self, torrent: u8, peer: u16, event: Option<AnnounceEvent>) {
        let [a, b] = peer.to_be_bytes();
        let (remote, local): (IpAddr, IpAddr) = match peer.is_multiple_of(3) {
            true => ([0xfd77, 0, 0, 0, 0, 0, 0, peer].into(), [0xfd77, 0, 0, 0, 0, 0, 1, 1].into()),
            false => ([10, 77, a, b].into(), [10, 77, 255, 1].into()),
        };
        let request = AnnounceRequest::new(info_hash(torrent), PeerId::new([1; 20]), remote, local, 1)
            .with_left(1000)
            .with_event(event);
        self.shards.announce(Instant::ZERO, &mut self.rng, &request, &mut Peers::default()).unwrap();
    }

    fn swarms(&self) -> BTreeMap<InfoHash, BTreeSet<SocketAddr>> {
        let mut swarms = BTreeMap::new();
        self.shards.for_each_swarm(|info_hash, swarm| {
            swarms.insert(info_hash, swarm.peers().map(|peer| peer.address).collect());
        });
        swarms
    }
}

fn info_hash(torrent: u8) -> InfoHash {
    InfoHash::new([torrent; 20])
}

#[test]
fn everything_is_seen_once_in_steps_of_any_length() {
    for seed in 0..20 {
        let mut network = Network::new(5, seed);
        for torrent in 0..network.rng.random_range(0..40) {
            (0..network.rng.random_range(1..30)).for_each(|peer| network.announce(torrent, peer, None));
        }
        for budget in [0, 1, 2, 7, 100, usize::MAX] {
            let (mut walk, mut seen) = (Walk::by_peer(), BTreeMap::<InfoHash, Vec<SocketAddr>>::new());
            loop {
                let mut steps = 0;
                let is_more = network.shards.walk(&mut walk, budget, |slice| {
                    let known = seen.entry(slice.info_hash).or_default();
                    assert_eq!(slice.peers.start, known.len(), "it goes on where it was");
                    known.extend(slice.swarm.peers_at(slice.peers.clone()).map(|peer| peer.address));
                    assert_eq!(slice.peers.end, known.len());
                    steps += slice.peers.len();
                });
                assert!(steps <= budget.max(1), "seed {seed}: {steps} steps of {budget}");
                if !is_more {
                    break;
                }
            }
            assert_eq!(walk, Walk::by_peer(), "the next one begins anew");
            let count = |seen: &BTreeMap<_, Vec<_>>| seen.values().map(Vec::len).sum::<usize>();
            assert_eq!(count(&seen) as u64, network.shards.totals().peers(), "seed {seed}: each once");
            let seen: BTreeMap<_, BTreeSet<_>> =
                seen.into_iter().map(|(info_hash, peers)| (info_hash, peers.into_iter().collect())).collect();
            assert_eq!(seen, network.swarms(), "seed {seed}");
        }
    }
}

#[test]
fn swarms_are_seen_without_their_peers() {
    let mut network = Network::new(3, 1);
    for torrent in 0..50 {
        (0..100).for_each(|peer| network.announce(torrent, peer, None));
    }
    let (mut walk, mut seen, mut calls) = (Walk::by_swarm(), BTreeSet::new(), 0);
    while network.shards.walk(&mut walk, 10, |slice| {
        assert_eq!(slice.peers, 0..100);
        assert!(seen.insert(slice.info_hash));
    }) {
        calls += 1;
    }
    assert_eq!((seen.len(), calls), (50, 5));
}

/// Those that are there all the time are seen in the end, whatever happens beside them.
#[test]
fn others_may_come_and_go_meanwhile() {
    for seed in 0..20 {
        let mut network = Network::new(2, seed);
        for torrent in 0..6 {
            network.announce(torrent, 0, None);
        }
        let (mut walk, mut seen) = (Walk::by_peer(), BTreeSet::new());
        for _ in 0..200 {
            for _ in 0..network.rng.random_range(0..20) {
                let (torrent, peer) = (network.rng.random_range(0..12), network.rng.random_range(1..40));
                let event = network.rng.random_bool(0.4).then_some(AnnounceEvent::Stopped);
                network.announce(torrent, peer, event);
            }
            let budget = network.rng.random_range(1..20);
            network.shards.walk(&mut walk, budget, |slice| {
                assert!(slice.peers.end <= slice.swarm.len());
                assert_eq!(slice.swarm.peers_at(slice.peers.clone()).count(), slice.peers.len());
                seen.extend(slice.swarm.peers_at(slice.peers).map(|peer| (slice.info_hash, peer.address)));
            });
        }
        for torrent in 0..6 {
            assert!(seen.contains(&(info_hash(torrent), "[fd77::]:1".parse().unwrap())), "seed {seed}: {torrent}");
        }
    }
}

#[test]
fn a_part_of_the_peers_is_what_is_there_of_it() {
    let mut network = Network::new(1, 1);
    (0..10).for_each(|peer| network.announce(0, peer, None));
    network.shards.with_swarm(&info_hash(0), |swarm| {
        let all: Vec<_> = swarm.peers().collect();
        assert_eq!(all.len(), 10);
        for (start, end) in [(0, 0), (0, 3), (2, 9), (5, 7), (6, 10), (9, 50), (20, 50), (0, usize::MAX)] {
            let part: Vec<_> = swarm.peers_at(start..end).collect();
            assert_eq!(part, all[start.min(10)..end.min(10)], "{start}..{end}");
        }
    });
}
