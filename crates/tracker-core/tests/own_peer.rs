//! The tracker's own peer, and the clients on its machine that it must not be in the way of.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::{Embedder, TORRENT, client, peer_id};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{
    AnnounceEvent, AnnounceListener, AnnounceRequest, Config, Families, HostAddresses, InfoHash, Instant, Memory,
    NetworkConfig, OwnPeer, PeerId, Peers, Reachability, Shards, SwarmCounts,
};

const A: &str = "10.77.0.2:6881";
const ASKER: &str = "10.77.0.200:6881";
const OWN_ID: PeerId = PeerId::new(*b"-XX0001-the-own-peer");

/// The tracker's machine has two addresses in different networks, one of IPv6, and a network of containers.
fn config() -> Config {
    Config::default().with(|config| {
        config.host_addresses = HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: None };
        config.own_addresses = ["10.77.0.1", "10.78.0.1", "fd77::1", "172.17.0.1"].map(|ip| ip.parse().unwrap()).into();
        config.container_networks = vec!["172.17.0.0/16".parse().unwrap()];
    })
}

fn embedder() -> Embedder {
    embedder_of(config())
}

fn embedder_of(config: Config) -> Embedder {
    let mut embedder = Embedder::new(config);
    embedder.tracker.set_own_peer(Some(OwnPeer::new(6968, OWN_ID)));
    embedder
}

fn handed_out(embedder: &mut Embedder, asker: &AnnounceRequest) -> BTreeSet<String> {
    embedder.announce(asker);
    embedder.peers.iter().map(|peer| peer.address.to_string()).collect()
}

fn set<const N: usize>(addresses: [&str; N]) -> BTreeSet<String> {
    addresses.map(String::from).into()
}

fn has_peer_here(embedder: &Embedder) -> bool {
    embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.has_peer_here()).unwrap_or(false)
}

#[test]
fn it_is_where_the_asker_reached_the_tracker() {
    for (asker, address) in [
        (client(ASKER), "10.77.0.1:6968"),
        (client("10.78.0.9:6881"), "10.78.0.1:6968"),
        (client("[fd77::9]:6881"), "[fd77::1]:6968"),
        // Behind a proxy on this machine, and by an address that means nothing to others.
        (client(ASKER).with_local([127, 0, 0, 1].into()), "10.77.0.1:6968"),
        (client("[fe80::9]:6881"), "10.77.0.1:6968"),
        // By an address that is not configured yet.
        (client(ASKER).with_local([10, 99, 0, 1].into()), "10.99.0.1:6968"),
        (client("169.254.7.9:6881"), "169.254.7.1:6968"),
    ] {
        assert_eq!(handed_out(&mut embedder(), &asker), set([address]), "{asker:?}");
        let seeder = asker.with_left(0).with_downloaded(1);
        assert_eq!(handed_out(&mut embedder(), &seeder), set([address]), "seeders get it, too");
    }
}

#[test]
fn it_is_of_a_family_that_the_answer_can_carry() {
    let over_v4 = |families| client(ASKER).with_families(families);
    assert_eq!(handed_out(&mut embedder(), &over_v4(Families::V4)), set(["10.77.0.1:6968"]));
    assert_eq!(handed_out(&mut embedder(), &over_v4(Families::V6)), set([]));
    let over_v6 = client("[fd77::9]:6881").with_families(Families::V6);
    assert_eq!(handed_out(&mut embedder(), &over_v6), set(["[fd77::1]:6968"]));
}

#[test]
fn it_is_only_where_it_listens() {
    let askers = [ASKER, "10.78.0.9:6881", "[fd77::9]:6881"];
    let all = ["10.77.0.1:6968", "10.78.0.1:6968", "[fd77::1]:6968"];
    for (listen, expected) in [
        (&["127.0.0.1", "::1"][..], &[][..]),
        (&["10.78.0.1"], &all[1..2]),
        (&["127.0.0.1", "10.77.0.1", "10.78.0.1"], &all[..2]),
        (&["0.0.0.0"], &all[..2]),
        (&["::"], &all[2..]),
        (&["0.0.0.0", "::"], &all),
        (&[], &[]),
    ] {
        let mut embedder = Embedder::new(config());
        let listen_ips = listen.iter().map(|ip| ip.parse().unwrap());
        embedder.tracker.set_own_peer(Some(OwnPeer::new(6968, OWN_ID).with_listen_ips(listen_ips)));
        // Each in a swarm of its own.
        let answers = askers.iter().zip(1..).flat_map(|(asker, swarm)| {
            handed_out(&mut embedder, &client(asker).with_info_hash(InfoHash::new([swarm; 20])))
        });
        assert_eq!(answers.collect::<Vec<_>>(), expected, "{listen:?}");
    }
}

#[test]
fn it_has_its_peer_id_where_others_have_theirs() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(ASKER).with_peer_ids(true));
    let ids: Vec<_> = embedder.peers.iter().map(|peer| peer.peer_id).collect();
    assert_eq!(ids, [Some(client(A).peer_id), Some(OWN_ID)]);
    embedder.announce(&client(ASKER));
    assert!(embedder.peers.len() == 2 && embedder.peers.iter().all(|peer| peer.peer_id.is_none()));
}

#[test]
fn it_takes_a_place_that_is_left_and_no_other() {
    let mut embedder = embedder();
    (2..12).for_each(|host| _ = embedder.announce(&client(&format!("10.77.0.{host}:6881"))));
    for (numwant, room, peers, is_listed) in [
        (0, None, 0, false),
        (1, None, 1, false),
        (10, None, 10, false),
        (11, None, 11, true),
        (50, None, 11, true),
        (50, Some(10), 10, false),
    ] {
        let asker = client(ASKER).with_numwant(numwant).with_room(room);
        let answer = handed_out(&mut embedder, &asker);
        assert_eq!((answer.len(), answer.contains("10.77.0.1:6968")), (peers, is_listed), "{numwant}, {room:?}");
    }
    let stopped = client(ASKER).with_event(AnnounceEvent::Stopped).with_numwant(50);
    assert_eq!(handed_out(&mut embedder, &stopped), set([]));
}

#[test]
fn it_is_in_no_count() {
    let mut embedder = embedder();
    let answer = embedder.announce(&client(ASKER));
    assert_eq!((embedder.peers.len(), answer.seeders, answer.leechers), (1, 0, 1));
    let mut counts = Vec::new();
    embedder.tracker.scrape(client(A).remote(), None, &[TORRENT], &mut counts).unwrap();
    let expected = SwarmCounts { leechers: 1, ..SwarmCounts::default() };
    assert_eq!((counts, embedder.tracker.totals().peers()), (vec![expected], 1));
    assert_eq!(embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.peers().count()), Some(1));
}

#[test]
fn it_can_go_and_is_not_in_a_lean_tracker() {
    let mut embedder = embedder();
    embedder.tracker.set_own_peer(None);
    assert_eq!(handed_out(&mut embedder, &client(ASKER)), set([]));
    let mut lean = embedder_of(config().with(|config| config.memory = Memory::Lean));
    assert_eq!(handed_out(&mut lean, &client(ASKER)), set([]));
}

/// Clients keep one connection for each address and torrent.
#[test]
fn it_is_not_where_a_client_on_the_trackers_machine_is_handed_out() {
    for here in
        ["127.0.0.1:7000", "127.0.0.9:7000", "[::1]:7000", "10.77.0.1:7000", "10.78.0.1:7000", "172.17.0.2:7000"]
    {
        let mut embedder = embedder();
        assert_eq!(handed_out(&mut embedder, &client(ASKER)), set(["10.77.0.1:6968"]));
        assert!(!has_peer_here(&embedder));
        assert_eq!(handed_out(&mut embedder, &client(here)), set([ASKER]), "an asker on the machine does not get it");
        assert!(has_peer_here(&embedder), "{here}");
        assert!(!handed_out(&mut embedder, &client(ASKER)).contains("10.77.0.1:6968"), "{here}");
        // In another swarm it is not in the way.
        let other = client(ASKER).with_info_hash(InfoHash::new([8; 20]));
        assert_eq!(handed_out(&mut embedder, &other), set(["10.77.0.1:6968"]));
        embedder.announce(&client(here).with_event(AnnounceEvent::Stopped));
        assert!(!has_peer_here(&embedder));
        assert_eq!(handed_out(&mut embedder, &client(ASKER)), set(["10.77.0.1:6968"]));
    }
}

#[test]
fn a_client_is_on_the_machine_by_the_address_that_it_reached() {
    let mut embedder = embedder();
    // Not configured, and the client announces from the address to which it announces.
    let here = client("10.99.0.1:7000").with_local([10, 99, 0, 1].into());
    embedder.announce(&here);
    assert!(has_peer_here(&embedder));
    let is_here = |embedder: &Embedder| {
        let peer = embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.peer("10.99.0.1:7000".parse().unwrap()));
        peer.flatten().and_then(|peer| peer.detail).map(|detail| detail.is_here)
    };
    assert_eq!(is_here(&embedder), Some(true));
    // It turns out to be a machine behind that address.
    embedder.announce(&here.with_local([10, 77, 0, 1].into()));
    assert_eq!((is_here(&embedder), has_peer_here(&embedder)), (Some(false), false));
}

#[test]
fn peers_on_the_machine_are_counted_however_they_come_and_go() {
    let mut embedder = embedder_of(config().with(|config| config.max_peers_per_address = 2));
    let nth = |port: u16| client(&format!("127.0.0.1:{port}"));
    (7000..7003).for_each(|port| _ = embedder.announce(&nth(port)));
    assert!(has_peer_here(&embedder));
    // One gave way to the third, one is restarted, and one completes.
    embedder.announce(&nth(7001).with_peer_id(peer_id("restarted")));
    embedder.announce(&nth(7002).with_left(0).with_event(AnnounceEvent::Completed));
    let reachable = embedder.tracker.set_reachability(
        &TORRENT,
        "127.0.0.1:7002".parse().unwrap(),
        nth(7002).peer_id,
        Reachability::Yes,
    );
    assert!(reachable && has_peer_here(&embedder));
    embedder.announce(&nth(7001).with_peer_id(peer_id("restarted")).with_event(AnnounceEvent::Stopped));
    embedder.announce(&client(A));
    assert!(has_peer_here(&embedder));
    embedder.now = Instant::from_secs(1000);
    embedder.announce(&client(A));
    embedder.now = Instant::from_secs(1300);
    embedder.tracker.expire(embedder.now);
    assert_eq!(embedder.tracker.totals().peers(), 1);
    assert!(!has_peer_here(&embedder), "the last one was silent for too long");
}

#[test]
fn a_sample_is_what_an_announce_would_get_and_leaves_no_trace() {
    let mut embedder = embedder();
    embedder.announce(&client("127.0.0.1:7000"));
    embedder.announce(&client(A));
    embedder.announce(&client("10.77.0.3:6881").with_left(0));
    let before = (embedder.tracker.totals(), embedder.tracker.next_expiry());
    let mut sample = |request: &AnnounceRequest| {
        embedder.tracker.sample(&mut embedder.rng, request, &mut embedder.peers);
        embedder.peers.iter().map(|peer| peer.address.to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(sample(&client(ASKER)), set(["10.77.0.1:7000", A, "10.77.0.3:6881"]));
    assert_eq!(sample(&client("10.78.0.9:6881")), set(["10.78.0.1:7000", A, "10.77.0.3:6881"]));
    assert_eq!(sample(&client(A)), set(["10.77.0.1:7000", "10.77.0.3:6881"]), "not itself");
    assert_eq!(sample(&client(ASKER).with_left(0).with_downloaded(1)), set(["10.77.0.1:7000", A]));
    assert_eq!(sample(&client(ASKER).with_numwant(2)).len(), 2);
    // Nobody is refused, and the own peer is not among them.
    let stranger = client(ASKER).with_remote([203, 0, 113, 5].into()).with_info_hash(InfoHash::new([8; 20]));
    assert_eq!(sample(&stranger), set([]));
    assert_eq!(sample(&stranger.with_info_hash(TORRENT)).len(), 3);
    assert_eq!((embedder.tracker.totals(), embedder.tracker.next_expiry()), before);
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Came(String),
    /// From the first to the second.
    Moved(String, String),
    IsHere,
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Heard>>);

impl AnnounceListener for Recorder {
    fn peer_came(&self, info_hash: &InfoHash, address: SocketAddr, moved_from: Option<SocketAddr>) {
        assert_eq!(*info_hash, TORRENT);
        let address = address.to_string();
        self.0.lock().unwrap().push(match moved_from {
            Some(earlier) => Heard::Moved(earlier.to_string(), address),
            None => Heard::Came(address),
        });
    }

    fn peer_is_here(&self, info_hash: &InfoHash) {
        assert_eq!(*info_hash, TORRENT);
        self.0.lock().unwrap().push(Heard::IsHere);
    }
}

/// Shards that tell a recorder.
fn recorded(config: Config) -> (Shards, Arc<Recorder>) {
    let recorder = Arc::<Recorder>::default();
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
    (shards.with_listener(recorder.clone()), recorder)
}

#[test]
fn a_listener_hears_of_newcomers_and_of_peers_here_before_the_answer() {
    let (shards, recorder) = recorded(config().with(|config| config.max_peers = 3));
    let (mut rng, mut peers) = (StdRng::seed_from_u64(1), Peers::default());
    let mut heard = |request: &AnnounceRequest| {
        _ = shards.announce(Instant::ZERO, &mut rng, request, &mut peers);
        std::mem::take(&mut *recorder.0.lock().unwrap())
    };
    let came = |address: &str| Heard::Came(address.to_owned());
    assert_eq!(heard(&client(A)), [came(A)]);
    assert_eq!(heard(&client(A)), [], "a regular announce");
    // Whatever `Config::update_events` says.
    let moved = Heard::Moved(A.to_owned(), "10.77.0.2:6882".to_owned());
    assert_eq!(heard(&client(A).with_port(6882)), [moved]);
    assert_eq!(heard(&client(A).with_port(0)), [], "it keeps its port");
    let local = client("127.0.0.1:7000");
    assert_eq!(heard(&local), [came("127.0.0.1:7000"), Heard::IsHere]);
    assert_eq!(heard(&local), []);
    assert_eq!(heard(&client("[::1]:7000")), [came("[::1]:7000"), Heard::IsHere], "and another one");
    assert_eq!(heard(&client("10.77.0.9:6881")), [], "refused: all have as many");
    assert_eq!(heard(&client("[::1]:7000").with_event(AnnounceEvent::Stopped)), []);
    assert_eq!(heard(&local.clone().with_event(AnnounceEvent::Stopped)), []);
    assert_eq!(heard(&local), [came("127.0.0.1:7000"), Heard::IsHere], "the first one again");
}

#[test]
fn a_listener_hears_of_peers_that_are_here_since_the_machine_has_their_address() {
    let (shards, recorder) = recorded(config());
    shards.set_own_peer(Some(OwnPeer::new(6968, OWN_ID)));
    let (mut rng, mut peers) = (StdRng::seed_from_u64(1), Peers::default());
    let mut announce = |request: &AnnounceRequest| {
        shards.announce(Instant::ZERO, &mut rng, request, &mut peers).unwrap();
        peers.iter().any(|peer| peer.address.port() == 6968)
    };
    assert!(announce(&client("10.99.0.1:7000")) && announce(&client(ASKER)));
    recorder.0.lock().unwrap().clear();
    let network = NetworkConfig::from(&config()).with(|network| network.own_addresses.push([10, 99, 0, 1].into()));
    for _ in 0..2 {
        shards.set_network(&network).unwrap();
        assert_eq!(*recorder.0.lock().unwrap(), [Heard::IsHere], "once");
        assert!(shards.has_peer_here(&TORRENT) && !announce(&client(ASKER)));
    }
    // What was here stays so until it announces again.
    shards.set_network(&NetworkConfig::from(&config())).unwrap();
    assert!(shards.has_peer_here(&TORRENT));
    announce(&client("10.99.0.1:7000"));
    assert!(!shards.has_peer_here(&TORRENT) && announce(&client(ASKER)));
}

#[test]
fn a_listener_hears_of_each_peer_here_that_comes() {
    let (shards, recorder) = recorded(config());
    let (mut rng, mut peers) = (StdRng::seed_from_u64(1), Peers::default());
    let mut is_heard = |request: &AnnounceRequest| {
        shards.announce(Instant::ZERO, &mut rng, request, &mut peers).unwrap();
        std::mem::take(&mut *recorder.0.lock().unwrap()).contains(&Heard::IsHere)
    };
    for here in ["10.77.0.1:7000", "[fd77::1]:7000", "127.0.0.1:7000", "172.17.0.2:7000"] {
        assert!(!is_heard(&client(A)) && !is_heard(&client(ASKER)), "they are elsewhere");
        assert!(is_heard(&client(here)), "{here}");
        assert!(!is_heard(&client(here)), "{here} announces regularly");
        assert!(is_heard(&client(here).with_port(7001)), "{here} moves");
    }
}

#[test]
fn a_peer_that_does_not_listen_is_found_at_its_address() {
    let mut embedder = embedder();
    let at = |embedder: &Embedder, address: &str| {
        let address = address.parse().unwrap();
        embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.peer(address)).flatten().map(|peer| peer.address)
    };
    embedder.announce(&client(A).with_port(0));
    assert_eq!(at(&embedder, "10.77.0.2:0"), Some("10.77.0.2:0".parse().unwrap()));
    assert_eq!((at(&embedder, "10.77.0.2:1"), at(&embedder, "10.77.0.3:0"), at(&embedder, A)), (None, None, None));
}

/// The connections of an own peer in one swarm, as the documentation of [`AnnounceListener`] wants them.
#[derive(Debug, Default)]
struct Connections(Mutex<BTreeSet<usize>>);

impl AnnounceListener for Connections {
    fn peer_came(&self, _: &InfoHash, _: SocketAddr, _: Option<SocketAddr>) {}

    fn peer_is_here(&self, _: &InfoHash) {
        self.0.lock().unwrap().clear();
    }
}

/// Tells the diallers to end, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn no_connection_is_left_when_a_client_on_the_machine_gets_its_answer() {
    const DIALLERS: usize = 2;
    let connections = Arc::<Connections>::default();
    let shards = Shards::new(config(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
    let shards = shards.with_listener(connections.clone());
    let is_over = AtomicBool::new(false);
    // The connection that each of them is at; their numbers are multiples of it, and what is left.
    let at: [AtomicUsize; DIALLERS] = Default::default();
    let opened = AtomicUsize::new(0);
    thread::scope(|scope| {
        for dialler in 0..DIALLERS {
            let (connections, shards, is_over, at, opened) = (&connections, &shards, &is_over, &at, &opened);
            scope.spawn(move || {
                for number in (dialler..).step_by(DIALLERS) {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    at[dialler].store(number, Ordering::SeqCst);
                    // First the note, then the question.
                    connections.0.lock().unwrap().insert(number);
                    if shards.has_peer_here(&TORRENT) {
                        connections.0.lock().unwrap().remove(&number);
                    } else {
                        opened.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let (mut rng, mut peers) = (StdRng::seed_from_u64(1), Peers::default());
        let mut announce = |request: &AnnounceRequest| {
            shards.announce(Instant::ZERO, &mut rng, request, &mut peers).unwrap();
        };
        let _end = End(&is_over);
        let wait = |is_so: &dyn Fn() -> bool| {
            let mut turns = 0..100_000_000;
            assert!(
                turns.any(|_| is_so() || {
                    thread::yield_now();
                    false
                }),
                "the diallers do not go on"
            );
        };
        let now_at = || at.each_ref().map(|at| at.load(Ordering::SeqCst));
        let local = client("127.0.0.1:7000");
        for _ in 0..100 {
            announce(&local);
            // Those that were asked about before the answer have been decided on when their diallers are at others.
            let before = now_at();
            wait(&|| now_at().iter().zip(before).all(|(&now, before)| now > before));
            let now = now_at();
            let left = connections.0.lock().unwrap().iter().find(|&&number| number < now[number % DIALLERS]).copied();
            assert_eq!(left, None, "is left, and the diallers are at {now:?}");
            announce(&local.clone().with_event(AnnounceEvent::Stopped));
            let before = opened.load(Ordering::SeqCst);
            wait(&|| opened.load(Ordering::SeqCst) > before);
        }
    });
}
