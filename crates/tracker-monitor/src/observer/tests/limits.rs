//! What there is no room for, and swarms that are seen in parts.

use super::*;
use crate::{MetricsFormat, ProcessMetrics};

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
    let completion = row.completion.map(|completion| completion.value);
    assert_eq!((row.status, completion, row.client), (PeerStatus::Seeding, Some(1.0), None));
    assert_eq!((row.left, row.uploaded, row.downloaded, row.download_rate), (None, None, None, None));
    assert_eq!((row.first_seen, row.last_seen, row.next_expected), (None, None, None));
    let row = network.torrent(&TORRENT);
    assert_eq!((row.counts.seeders, row.counts.leechers, row.counts.completed), (1, 1, 1));
    assert_eq!((row.completion, row.download_rate, row.last_seen), (None, 0.0, None));
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
        let part = records::Part {
            info_hash,
            size: None,
            named: None,
            peers: &peers,
            seen: &[],
            is_first: true,
            is_last: true,
        };
        let mut sums = sums::Sums::default();
        records.look(Instant::from_secs(now), &part, &mut sums);
        (
            sums,
            peers.iter().filter(|peer| records.figures(&info_hash, peer, None, Instant::ZERO).rates.is_some()).count(),
        )
    };
    look(&mut records, 1, 100, 0..3);
    let (sums, with_rates) = look(&mut records, 1, 160, 0..3);
    assert_eq!((sums.download_rate, sums.last_seen, with_rates), (2.0, Some(Instant::from_secs(160)), 2));
    look(&mut records, 2, 100, 0..3);
    assert_eq!(look(&mut records, 2, 160, 0..3), (sums::Sums::default(), 0), "there is no room for the torrent");

    // Those that are not seen any more make room.
    for _ in 0..3 {
        records.end_round();
    }
    look(&mut records, 2, 220, 0..1);
    assert_eq!(look(&mut records, 2, 280, 0..1).1, 1);
}
