//! Torrents and peers that are stuck.

use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::tests::with_subscriber;
use crate::{LogBuffer, LogFilter};

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
    with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
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
