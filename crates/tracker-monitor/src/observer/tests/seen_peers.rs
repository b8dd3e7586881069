//! What the tracker's own peer sees, beside what peers announce.

use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::tests::with_subscriber;
use crate::{LogBuffer, LogFilter, MetricsFormat, Reachability, ReachabilityReason, SeenTorrent};

fn at(ip: [u8; 4]) -> SocketAddr {
    (ip, 6881).into()
}

/// The completion of a peer, whence it is known, and its age in seconds.
fn completion(network: &Network, of: &AnnounceRequest) -> (f64, FigureSource, u64) {
    let Completion { value, source, at } = network.peer(of).completion.unwrap();
    (value, source, network.now.since(at).as_secs())
}

#[test]
fn the_newer_one_of_what_is_seen_and_what_is_announced_counts() {
    use FigureSource::{Announced, Seen};
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let film = network.know("film", 1000);
    let one = request(ONE, 0, 1000).with_info_hash(film);
    network.announce(&one);
    network.pass(10);
    assert_eq!(completion(&network, &one), (0.0, Announced, 10));
    sightings.live(film, at(ONE), 30);
    network.pass(5);
    assert_eq!(completion(&network, &one), (0.3, Seen, 0));
    assert_eq!(network.peer(&one).download_rate, Some(1000.0));
    assert_eq!((network.torrent(&film).completion, network.torrent(&film).download_rate), (Some(0.3), 1000.0));

    // The connection is lost, and it announces again: later, or earlier.
    sightings.lost(film, at(ONE), 2);
    network.pass(2);
    assert_eq!(completion(&network, &one), (0.3, Seen, 2));
    assert_eq!(network.peer(&one).download_rate, None);
    network.announce(&one.clone().with_left(600).with_downloaded(400));
    network.pass(3);
    sightings.lost(film, at(ONE), 5);
    assert_eq!(completion(&network, &one), (0.4, Announced, 3));
    sightings.live(film, at(ONE), 35);
    assert_eq!(completion(&network, &one), (0.35, Seen, 0), "it is seen now");
}

#[test]
fn a_seed_that_hides_its_pieces_has_everything() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let film = network.know("film", 1000);
    let one = request(ONE, 0, 0).with_info_hash(film);
    network.announce(&one);
    sightings.live(film, at(ONE), 0);
    network.pass(5);
    assert_eq!(completion(&network, &one), (1.0, FigureSource::Announced, 5));
    assert_eq!(network.peer(&one).status, PeerStatus::Seeding);
    sightings.live(film, at(ONE), 100);
    assert_eq!(completion(&network, &one), (1.0, FigureSource::Seen, 0));
}

#[test]
fn who_is_seen_to_have_everything_is_a_seeder_before_it_announces_it() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let film = network.know("film", 1000);
    let (one, two) = (request(ONE, 0, 1000).with_info_hash(film), request(TWO, 0, 1000).with_info_hash(film));
    network.announce(&one);
    network.announce(&two);
    network.pass(1);
    assert_eq!(network.torrent(&film).stuck, Some(StuckReason::NoSeeder { waiting: 2 }));
    sightings.live(film, at(ONE), 100);
    network.pass(1);
    let row = network.torrent(&film);
    assert_eq!((row.counts.seeders, row.counts.leechers, row.stuck), (1, 1, None));
    assert_eq!((network.peer(&one).status, network.peer(&two).status), (PeerStatus::Seeding, PeerStatus::Downloading));
    assert_eq!(network.shared.status().downloads.total, 1);
}

/// aria2 says that nothing is left while it has a magnet link only.
#[test]
fn what_a_client_has_that_may_have_a_magnet_link_only_is_seen() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let film = network.know("film", 1000);
    let aria2 = request(ONE, 0, 0).with_info_hash(film).with_peer_id(PeerId::new(*b"A2-1-36-0-1234567890"));
    network.announce(&aria2);
    network.pass(1);
    assert_eq!(network.peer(&aria2).completion, None);
    assert_eq!(network.shared.status().downloads.undecided, 1);
    sightings.still(film, at(ONE), 10);
    network.pass(1);
    assert_eq!(completion(&network, &aria2), (0.1, FigureSource::Seen, 0));
    let row = network.torrent(&film);
    assert_eq!((row.counts.seeders, row.counts.leechers), (0, 1));
    assert_eq!(row.stuck, Some(StuckReason::NoSeeder { waiting: 1 }), "nobody else is there");
    sightings.live(film, at(ONE), 11);
    network.pass(1);
    assert_eq!((network.torrent(&film).stuck, network.shared.status().downloads.undecided), (None, 0), "it gets on");
    sightings.live(film, at(ONE), 100);
    network.pass(1);
    assert_eq!(network.torrent(&film).counts.seeders, 1);
}

#[test]
fn a_download_that_is_seen_to_stand_still_for_a_minute_is_stuck() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let one = request(ONE, 0, 9000);
    network.announce(&one);
    network.announce(&request(TWO, 0, 0));
    sightings.still(TORRENT, at(ONE), 30);
    network.pass(1);
    assert_eq!((network.peer(&one).stuck, network.shared.status().downloads.undecided), (None, 1));
    network.pass(59);
    assert_eq!(network.peer(&one).stuck, None);
    network.pass(1);
    assert_eq!(network.peer(&one).stuck, Some(PeerStuckReason::NoProgress));
    assert_eq!(network.torrent(&TORRENT).stuck, Some(StuckReason::NoProgress { peers: 1 }));
    // A piece comes, and then none for another minute; a gap of some seconds between two connections does not matter.
    sightings.still(TORRENT, at(ONE), 31);
    network.pass(1);
    assert_eq!((network.peer(&one).stuck, network.shared.status().downloads.undecided), (None, 0));
    network.pass(30);
    sightings.lost(TORRENT, at(ONE), 2);
    network.pass(2);
    sightings.still(TORRENT, at(ONE), 31);
    network.pass(27);
    assert_eq!(network.peer(&one).stuck, None);
    network.pass(1);
    assert_eq!(network.peer(&one).stuck, Some(PeerStuckReason::NoProgress));
}

#[test]
fn a_download_that_is_seen_to_get_on_is_not_stuck_whatever_it_announces() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let one = request(ONE, 0, 9000);
    network.announce(&request(TWO, 0, 0));
    for pieces in 0..20 {
        // It announces each minute that it still wants the same, and then no more.
        if pieces < 10 {
            network.announce(&one);
            network.announce(&request(TWO, 0, 0));
        }
        sightings.still(TORRENT, at(ONE), pieces);
        network.pass(59);
        let row = network.peer(&one);
        assert_eq!((row.stuck, row.status), (None, PeerStatus::Downloading), "{pieces}");
    }
}

#[test]
fn peers_are_counted_by_whether_others_can_connect_to_them() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let mut without_port = request([10, 0, 0, 4], 0, 9);
    without_port.port = 0;
    for ip in [ONE, TWO, [10, 0, 0, 3]] {
        network.announce(&request(ip, 0, 9));
    }
    network.announce(&without_port);
    sightings.reach(TORRENT, at(ONE), Reachability::Yes, Some(ReachabilityReason::EncryptedOnly));
    sightings.reach(TORRENT, at(TWO), Reachability::No, Some(ReachabilityReason::NoAnswer));
    sightings.live(TORRENT, at(TWO), 1);
    network.pass(1);
    let OwnPeerStatus { connections, reachable } = network.shared.status().own_peer.unwrap();
    assert_eq!((connections, reachable), (1, ReachabilityCounts { yes: 1, no: 2, unknown: 1 }));
    let row = network.peer(&request(TWO, 0, 9));
    assert_eq!((row.reachability, row.reason), (Reachability::No, Some(ReachabilityReason::NoAnswer)));
    let row = network.peer(&without_port);
    assert_eq!((row.reachability, row.reason), (Reachability::No, None));
    assert_eq!(Network::listening().shared.status().own_peer, None);
}

#[test]
fn the_metrics_have_the_own_peer() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    network.announce(&request(ONE, 0, 9));
    sightings.reach(TORRENT, at(ONE), Reachability::No, Some(ReachabilityReason::Refused));
    sightings.live(TORRENT, at(ONE), 1);
    network.pass(1);
    let metrics = |network: &Network| {
        let observer = Observer(Arc::new(Inner { shared: Arc::clone(&network.shared), thread: Mutex::new(None) }));
        observer.metrics(crate::ProcessMetrics::new(0), MetricsFormat::Prometheus).unwrap()
    };
    let text = metrics(&network);
    for line in ["tracker_own_peer_connections 1", "tracker_reachable_peers{reachable=\"no\"} 1"] {
        assert!(text.lines().any(|other| other == line || other == format!("{line}.0")), "{line} in {text}");
    }
    assert!(!metrics(&Network::listening()).contains("own_peer"), "there is none");
}

#[test]
fn a_client_is_named_by_itself() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    network.announce(&request(ONE, 0, 9));
    let mut named = |client: &str| {
        sightings.state().peers.entry((TORRENT, at(ONE))).or_default().client = Some(client.into());
        network.pass(1);
        network.peer(&request(ONE, 0, 9)).client.unwrap()
    };
    assert_eq!(named("qBittorrent/5.1.0"), "qBittorrent 5.1.0");
    assert_eq!(named(" \n"), "Transmission 4.0.6");
    assert_eq!(named("a\u{202e}b\n\u{7}c"), "a\u{fffd}b\u{fffd}\u{fffd}c");
    assert_eq!(named(&"x".repeat(1000)).len(), 64);
}

#[test]
fn a_torrent_that_only_peers_know_has_a_name_a_size_and_files() {
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let torrent = SeenTorrent { name: "lecture\u{202e}.mp4".into(), size: 1000, files: 3 };
    sightings.state().torrents.insert(TORRENT, torrent);
    network.announce(&request(ONE, 0, 250));
    network.pass(1);
    let row = network.torrent(&TORRENT);
    assert_eq!((row.name, row.file_count), (None, None), "nobody was asked yet");
    sightings.live(TORRENT, at(TWO), 50);
    network.announce(&request(TWO, 0, 900));
    network.pass(1);
    let row = network.torrent(&TORRENT);
    assert_eq!((row.name.as_deref(), row.size), (Some("lecture\u{fffd}.mp4"), Some(1000)));
    assert_eq!(row.file_count, Some(3));
    let film = network.know("film", 1000);
    assert_eq!(network.torrent(&film).file_count, Some(1), "from its .torrent");
    assert_eq!(row.completion, Some((0.75 + 0.5) / 2.0));
    assert_eq!(network.peer(&request(ONE, 0, 0)).completion.map(|completion| completion.value), Some(0.75));
    assert_eq!(network.shared.computers.file_name(&TORRENT).as_deref(), Some("lecture\u{fffd}.mp4"));
}

#[test]
fn the_log_tells_each_thing_once_until_it_changes() {
    let buffer = LogBuffer::new();
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let film = network.know("film", 1000);
    for ip in [ONE, TWO] {
        network.announce(&request(ip, 0, 9));
        network.announce(&request(ip, 0, 9).with_info_hash(film));
    }
    network.pass(1);
    let mut told = 0;
    let mut lines = |network: &mut Network| {
        with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
            (0..3).for_each(|_| network.pass(1));
        });
        let lines: Vec<_> = buffer.entries(&LogFilter::default(), told, 100);
        told = lines.last().map_or(told, |line| line.id);
        let of_reach = lines
            .iter()
            .filter(|line| line.fields.iter().any(|(name, value)| *name == "event" && value.contains("reachable")));
        of_reach.map(|line| line.message.split(". ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&mut network), [] as [&str; 0]);
    // In both torrents: it is the same client.
    for info_hash in [TORRENT, film] {
        sightings.reach(info_hash, at(ONE), Reachability::No, Some(ReachabilityReason::NoAnswer));
    }
    assert_eq!(lines(&mut network), ["10.0.0.1 cannot be reached on port 6881 (no answer): its firewall"]);
    sightings.reach(film, at(TWO), Reachability::No, Some(ReachabilityReason::NotThisTorrent));
    assert_eq!(lines(&mut network), ["10.0.0.2 is running its BitTorrent client, but film is not active in it"]);
    sightings.reach(film, at(TWO), Reachability::No, Some(ReachabilityReason::Refused));
    sightings.state().pairs = vec![(at(TWO), at(ONE)), (at(ONE), (ONE, 6882).into())];
    let told_now = lines(&mut network);
    assert_eq!(told_now.len(), 2, "{told_now:?}");
    assert_eq!(told_now[1], "10.0.0.1 and 10.0.0.2 cannot reach each other: neither of them can be connected to");
    for info_hash in [TORRENT, film] {
        sightings.reach(info_hash, at(ONE), Reachability::Yes, None);
    }
    assert_eq!(lines(&mut network), ["10.0.0.1 can be reached on port 6881 now"]);
    sightings.reach(TORRENT, at(ONE), Reachability::Yes, Some(ReachabilityReason::UtpOnly));
    assert_eq!(lines(&mut network), ["10.0.0.1 can be reached on port 6881 over UDP, but not over TCP"]);
}

#[test]
fn the_log_names_a_few_of_many_pairs() {
    let buffer = LogBuffer::new();
    let sightings = FakeSightings::default();
    let mut network = Network::seeing(&sightings);
    let ips = (1..=8).map(|last| [10, 0, 0, last]).collect::<Vec<_>>();
    for &ip in &ips {
        network.announce(&request(ip, 0, 9));
        sightings.reach(TORRENT, at(ip), Reachability::No, Some(ReachabilityReason::NoAnswer));
    }
    let pairs = ips.iter().enumerate().flat_map(|(index, a)| ips[index + 1..].iter().map(|b| (at(*a), at(*b))));
    sightings.state().pairs = pairs.collect();
    with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
        (0..3).for_each(|_| network.pass(1));
    });
    let lines = buffer.entries(&LogFilter::default(), 0, 100);
    let of_pairs: Vec<_> = lines.iter().filter(|line| line.message.contains("each other")).collect();
    assert_eq!(of_pairs.len(), 6, "{of_pairs:?}");
    assert!(of_pairs[5].message.starts_with("23 more pairs of computers with torrent abababab"), "{:?}", of_pairs[5]);
}
