//! One machine that takes all places does not lock out the others.
//!
//! `ATTACK_ANNOUNCES` sets how many announces the attacker makes of each kind.

mod common;

use std::num::NonZeroUsize;
use std::time::Duration;

use common::{Embedder, client};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Access, AnnounceError, AnnounceRequest, Config, InfoHash, Instant, Memory, Peers, Shards, Totals};

const ATTACKER: &str = "10.77.0.66";

/// A tracker of so many shards, with a clock that stands still.
struct Attacked {
    shards: Shards,
    rng: StdRng,
    peers: Peers,
}

impl Attacked {
    fn new(shards: usize, config: Config) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let shards = Shards::new(config, NonZeroUsize::new(shards).unwrap(), &mut rng).unwrap();
        Self { shards, rng, peers: Peers::default() }
    }

    fn announce(&mut self, request: &AnnounceRequest) -> Result<(), AnnounceError> {
        self.shards.announce(Instant::ZERO, &mut self.rng, request, &mut self.peers).map(drop)
    }

    /// The share of these announces that are served.
    fn served(&mut self, requests: impl Iterator<Item = AnnounceRequest>) -> f64 {
        let (mut all, mut served) = (0, 0);
        for request in requests {
            all += 1;
            served += u32::from(self.announce(&request).is_ok());
        }
        f64::from(served) / f64::from(all)
    }

    fn totals(&self) -> Totals {
        self.shards.totals()
    }

    fn peers_of(&self, torrent: u32) -> Vec<String> {
        let peers = self.shards.with_swarm(&info_hash(torrent), |swarm| {
            swarm.peers().map(|peer| peer.address.to_string()).collect::<Vec<_>>()
        });
        peers.unwrap_or_default()
    }
}

fn info_hash(torrent: u32) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&torrent.wrapping_mul(0x9e37_79b9).to_le_bytes());
    bytes[4..8].copy_from_slice(&torrent.to_le_bytes());
    InfoHash::new(bytes)
}

fn request(address: &str, torrent: u32) -> AnnounceRequest {
    client(address).with_info_hash(info_hash(torrent))
}

/// Announces of a hundred machines in as many torrents, which others have, too.
fn of_others() -> impl Iterator<Item = AnnounceRequest> {
    let torrents = |host: u32| [1_000_000 + host, 1_000_001 + host];
    (1..=100_u32).flat_map(move |host| torrents(host).map(|torrent| request(&format!("10.77.1.{host}:6881"), torrent)))
}

fn announces() -> u32 {
    std::env::var("ATTACK_ANNOUNCES").map_or(3000, |text| text.parse().expect("a number"))
}

fn limited(change: impl FnOnce(&mut Config)) -> Config {
    Config::default().with(|config| {
        config.access = Access::All;
        change(config);
    })
}

#[test]
fn what_was_silent_for_longest_goes_first() {
    let mut embedder = Embedder::new(limited(|config| config.max_swarms = 3));
    for torrent in [2, 1, 3] {
        embedder.now = embedder.now + Duration::from_secs(1);
        embedder.announce(&request(&format!("{ATTACKER}:6881"), torrent));
    }
    let known = |embedder: &Embedder, torrents: [u32; 4]| {
        torrents.map(|torrent| embedder.tracker.with_swarm(&info_hash(torrent), |_| ()).is_some())
    };
    embedder.announce(&request("10.77.0.2:6881", 4));
    assert_eq!(known(&embedder, [1, 2, 3, 4]), [true, false, true, true]);
    assert_eq!(embedder.tracker.totals().refused_announces, 0);
}

#[test]
fn one_address_in_many_torrents_does_not_lock_others_out() {
    let announces = announces();
    for memory in [Memory::Full, Memory::Lean] {
        for shards in [1, 32] {
            let mut attacked = Attacked::new(
                shards,
                limited(|config| {
                    config.max_swarms = announces as usize * 9 / 10;
                    config.memory = memory;
                }),
            );
            attacked.served((0..announces).map(|torrent| request(&format!("{ATTACKER}:6881"), torrent)));
            assert_eq!(attacked.served(of_others()), 1.0, "{shards} shards, {memory:?}");
            // Also while it goes on.
            let mut others = of_others();
            for torrent in announces..announces + 200 {
                _ = attacked.announce(&request(&format!("{ATTACKER}:6881"), torrent));
                let other = others.next().unwrap();
                assert_eq!(attacked.announce(&other), Ok(()), "{shards} shards, {memory:?}");
            }
            assert_eq!(attacked.totals().swarms, u64::from(announces) * 9 / 10);
        }
    }
}

#[test]
fn one_address_with_all_peers_does_not_lock_others_out() {
    let announces = announces();
    for shards in [1, 32] {
        let mut attacked = Attacked::new(shards, limited(|config| config.max_peers = announces as usize * 9 / 10));
        let port = |number: u32| 1 + number % 128;
        attacked.served((0..announces).map(|n| request(&format!("{ATTACKER}:{}", port(n)), n / 128)));
        assert_eq!(attacked.served(of_others()), 1.0, "{shards} shards");
        assert_eq!(attacked.totals().peers(), u64::from(announces) * 9 / 10);
    }
}

#[test]
fn one_address_in_one_torrent_does_not_lock_others_out() {
    for most in [100, 3000] {
        let mut attacked = Attacked::new(
            4,
            limited(|config| {
                config.max_peers_per_swarm = most;
                config.max_peers_per_address = 1 << 16;
            }),
        );
        attacked.served((1..=3000).map(|port| request(&format!("{ATTACKER}:{port}"), 1)));
        let others = || (1..=60).map(|host| request(&format!("10.77.1.{host}:6881"), 1));
        assert_eq!(attacked.served(others()), 1.0);
        assert_eq!(attacked.served(others()), 1.0);
        assert_eq!(attacked.totals().peers(), most as u64);
        let peers = attacked.peers_of(1);
        assert_eq!(peers.iter().filter(|peer| peer.starts_with("10.77.1.")).count(), 60);
    }
}

/// The info-hash decides on the shard, and anybody may choose it.
#[test]
fn torrents_that_are_all_in_one_shard_do_not_lock_others_out() {
    let mut attacked = Attacked::new(32, limited(|config| config.max_swarms = 2000));
    let in_first = |number: u32| {
        let mut bytes = [0; 20];
        bytes[4..8].copy_from_slice(&number.to_le_bytes());
        client(&format!("{ATTACKER}:6881")).with_info_hash(InfoHash::new(bytes))
    };
    attacked.served((0..3000).map(in_first));
    assert_eq!(attacked.served(of_others()), 1.0);
}

#[test]
fn two_addresses_in_the_same_torrents_do_not_lock_others_out() {
    let mut attacked = Attacked::new(8, limited(|config| config.max_swarms = 1000));
    for torrent in 0..1200 {
        for attacker in [ATTACKER, "10.77.0.67"] {
            _ = attacked.announce(&request(&format!("{attacker}:6881"), torrent));
        }
    }
    assert_eq!(attacked.served(of_others()), 1.0);
}

#[test]
fn many_addresses_of_one_host_do_not_lock_others_out() {
    // Its /64 is one address, except in a network that the tracker's machine is in, which has at most half.
    for (network, others) in [("2001:db8::", 80), ("fd77::", 80), ("fd77::", 300)] {
        let mut attacked = Attacked::new(8, limited(|config| config.max_swarms = 200));
        let of_host = |host: u32| request(&format!("[{network}{:x}:{:x}]:6881", host >> 16, host & 0xffff), host);
        attacked.served((1..=1500).map(of_host));
        let other =
            |number: u32| request(&format!("10.77.{}.{}:6881", number / 200, 1 + number % 200), 10_000 + number);
        let served = attacked.served((0..others).map(other));
        assert_eq!((served * f64::from(others)).round() as u32, others.min(100), "{network}");
    }
}

#[test]
fn a_torrent_that_others_have_is_not_dropped_for_an_attacker_in_it() {
    let mut attacked = Attacked::new(8, limited(|config| config.max_swarms = 300));
    let honest: Vec<_> = of_others().collect();
    assert_eq!(attacked.served(honest.iter().cloned()), 1.0);
    let known: Vec<_> = (1_000_001..=1_000_101).collect();
    attacked.served(known.iter().map(|&torrent| request(&format!("{ATTACKER}:6881"), torrent)));
    attacked.served((0..1000).map(|torrent| request(&format!("{ATTACKER}:6881"), torrent)));
    attacked.served((0..100).map(|host| request(&format!("10.77.2.{host}:6881"), 2_000_000 + host)));
    for torrent in known {
        assert!(attacked.peers_of(torrent).iter().any(|peer| peer.starts_with("10.77.1.")), "{torrent}");
    }
}

#[test]
fn nobody_gives_way_to_a_newcomer_that_would_hold_as_much() {
    let mut attacked = Attacked::new(8, limited(|config| config.max_swarms = 100));
    let of_each = |number: u32| request(&format!("10.77.1.{}:6881", number / 2), number);
    assert_eq!(attacked.served((0..100).map(of_each)), 1.0);
    // Each holds two. The first torrent of a newcomer is taken, the second would make it equal, and is not.
    let newcomer = |torrent| request("10.77.2.2:6881", torrent);
    assert_eq!(attacked.announce(&newcomer(1000)), Ok(()));
    assert_eq!(attacked.announce(&newcomer(1001)), Err(AnnounceError::TooManySwarms { limit: 100 }));
    // A known peer is never refused.
    assert_eq!(attacked.announce(&newcomer(1000)), Ok(()));
}

#[test]
fn the_limit_of_an_address_binds_only_when_there_is_no_place_left() {
    for (max_swarms, taken) in [(1000, 100), (60, 40)] {
        let mut attacked = Attacked::new(
            4,
            limited(|config| {
                config.max_swarms = max_swarms;
                config.max_peers_per_address_overall = 10;
            }),
        );
        // Somebody else holds more, and would give way.
        attacked.served((0..20).map(|torrent| request("10.77.1.1:6881", torrent)));
        attacked.served((100..200).map(|torrent| request("10.77.1.2:6881", torrent)));
        let held = (100..200).filter(|&torrent| !attacked.peers_of(torrent).is_empty()).count();
        assert_eq!(held, taken);
    }
}
