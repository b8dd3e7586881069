//! Torrents with two swarms.

use super::*;

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
