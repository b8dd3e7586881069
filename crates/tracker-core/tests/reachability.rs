//! What the embedder finds out about peers, and who is handed out then.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::{Embedder, TORRENT, client, peer_id};
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Config, Families, InfoHash, Memory, Peer, PeerId, PeerState, Reachability,
    SubnetPreference,
};

const A: &str = "10.77.0.2:6881";
const ASKER: &str = "10.77.0.200:6881";

fn seed(request: AnnounceRequest) -> AnnounceRequest {
    request.with_left(0).with_downloaded(1)
}

/// Sets what was found out about the peer that this request made.
fn find_out(embedder: &mut Embedder, request: &AnnounceRequest, reachability: Reachability) -> bool {
    let address = SocketAddr::new(request.remote(), request.port);
    embedder.tracker.set_reachability(&TORRENT, address, request.peer_id, reachability)
}

/// A peer that others cannot connect to, and that is found out.
fn unreachable(embedder: &mut Embedder, request: &AnnounceRequest) {
    embedder.announce(request);
    assert!(find_out(embedder, request, Reachability::No));
}

fn peers(embedder: &Embedder) -> Vec<Peer> {
    embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.peers().collect()).expect("there are peers")
}

fn reachability(embedder: &Embedder) -> Vec<Reachability> {
    peers(embedder).iter().map(|peer| peer.reachability).collect()
}

fn handed_out(embedder: &mut Embedder, asker: &AnnounceRequest) -> BTreeSet<String> {
    embedder.announce(asker);
    embedder.peers.iter().map(|peer| peer.address.to_string()).collect()
}

fn nth(number: usize) -> AnnounceRequest {
    client(&format!("10.77.{}.{}:6881", 100 + number / 200, 1 + number % 200))
}

#[test]
fn it_holds_while_the_client_stays_where_it_is() {
    use Reachability::{Introduced, No, Unknown, Yes};
    let first = client(A);
    let changes: [(&str, AnnounceRequest, Reachability); 7] = [
        ("announces again", first.clone(), No),
        ("finishes", first.clone().with_left(0).with_event(AnnounceEvent::Completed), No),
        ("has another key", first.clone().with_key(tracker_core::PeerKey::from_bytes(b"other")), No),
        ("names no port, and keeps its own", first.clone().with_port(0), No),
        ("moves to another port", first.clone().with_port(6882), Unknown),
        ("was restarted", first.clone().with_peer_id(peer_id("other")), Unknown),
        ("moves to another address", first.clone().with_remote([10, 77, 0, 3].into()), Unknown),
    ];
    for (name, second, expected) in changes {
        let mut embedder = Embedder::new(Config::default());
        embedder.announce(&first);
        assert_eq!(reachability(&embedder), [Unknown]);
        for known in [Yes, Introduced, No] {
            assert!(find_out(&mut embedder, &first, known));
            assert_eq!(reachability(&embedder), [known]);
        }
        embedder.announce(&second);
        let peers = peers(&embedder);
        let peer = peers.iter().find(|peer| peer.address.ip() == second.remote());
        assert_eq!(peer.map(|peer| peer.reachability), Some(expected), "{name}");
    }
}

#[test]
fn it_is_of_one_client_at_one_place_in_one_swarm() {
    let mut embedder = Embedder::new(Config::default());
    let request = client(A);
    embedder.announce(&request);
    let set = |embedder: &mut Embedder, torrent: InfoHash, address: &str, peer_id: PeerId| {
        embedder.tracker.set_reachability(&torrent, address.parse().unwrap(), peer_id, Reachability::No)
    };
    assert!(!set(&mut embedder, InfoHash::new([8; 20]), A, request.peer_id));
    assert!(!set(&mut embedder, TORRENT, "10.77.0.2:6882", request.peer_id));
    assert!(!set(&mut embedder, TORRENT, "10.77.0.3:6881", request.peer_id));
    assert!(!set(&mut embedder, TORRENT, A, peer_id("the one before")));
    assert_eq!(reachability(&embedder), [Reachability::Unknown]);
    assert!(set(&mut embedder, TORRENT, "[::ffff:10.77.0.2]:6881", request.peer_id));
    assert_eq!(reachability(&embedder), [Reachability::No]);
}

#[test]
fn nothing_is_known_of_a_claimed_address() {
    let config = Config::default().with(|config| config.trusted_networks = vec!["10.77.0.0/16".parse().unwrap()]);
    let mut embedder = Embedder::new(config);
    let claimed = client(A).with_claimed_ip(Some([10, 77, 0, 99].into()));
    let is_claimed = |peer: &Peer| peer.detail.as_ref().map(|detail| detail.is_claimed);
    embedder.announce(&claimed);
    let address = "10.77.0.99:6881".parse().unwrap();
    assert!(!embedder.tracker.set_reachability(&TORRENT, address, claimed.peer_id, Reachability::No));
    assert_eq!(peers(&embedder).iter().map(is_claimed).collect::<Vec<_>>(), [Some(true)]);

    // It announces from there.
    let itself = claimed.clone().with_remote([10, 77, 0, 99].into());
    embedder.announce(&itself);
    assert_eq!(peers(&embedder).iter().map(is_claimed).collect::<Vec<_>>(), [Some(false)]);
    assert!(find_out(&mut embedder, &itself, Reachability::No));
    embedder.announce(&claimed);
    assert_eq!(reachability(&embedder), [Reachability::Unknown]);
    embedder.announce(&itself);
    assert_eq!(reachability(&embedder), [Reachability::Unknown], "it was not kept meanwhile");
}

#[test]
fn a_lean_tracker_knows_nothing_of_it() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.memory = Memory::Lean));
    embedder.announce(&client(A));
    assert!(!find_out(&mut embedder, &client(A), Reachability::No));
    assert_eq!(reachability(&embedder), [Reachability::Unknown]);
}

#[test]
fn unreachable_peers_get_the_places_that_are_left() {
    for asker_is_unreachable in [false, true] {
        let mut embedder = Embedder::new(Config::default());
        for number in 0..300 {
            match number % 10 {
                0 => _ = embedder.announce(&nth(number)),
                _ => unreachable(&mut embedder, &nth(number)),
            }
        }
        let asker = client(ASKER);
        if asker_is_unreachable {
            unreachable(&mut embedder, &asker);
        }
        for (numwant, open) in [(1, 1), (29, 29), (30, 30), (31, 30), (100, 30)] {
            embedder.announce(&asker.clone().with_numwant(numwant));
            let is_open = |address: SocketAddr| (0..300).step_by(10).any(|number| nth(number).remote() == address.ip());
            let of_open = embedder.peers.iter().filter(|peer| is_open(peer.address)).count();
            assert_eq!((embedder.peers.len(), of_open), (numwant as usize, open));
        }
    }
}

#[test]
fn all_come_where_there_is_a_place_for_all() {
    let mut embedder = Embedder::new(Config::default());
    unreachable(&mut embedder, &client(A));
    unreachable(&mut embedder, &seed(client("10.77.0.3:6881")));
    embedder.announce(&seed(client("[fd77::4]:6881")));
    unreachable(&mut embedder, &client("[fd77::5]:6881"));
    let all = [A, "10.77.0.3:6881", "[fd77::4]:6881", "[fd77::5]:6881"].map(String::from);
    assert_eq!(handed_out(&mut embedder, &client(ASKER)), BTreeSet::from(all.clone()));
    let v4 = client(ASKER).with_families(Families::V4);
    assert_eq!(handed_out(&mut embedder, &v4), BTreeSet::from([all[0].clone(), all[1].clone()]));
    let leechers = BTreeSet::from([all[0].clone(), all[3].clone()]);
    assert_eq!(handed_out(&mut embedder, &seed(client(ASKER))), leechers);
    // It may know only a magnet link.
    let magnet = |numwant| client(ASKER).with_left(0).with_numwant(numwant).with_peer_id(peer_id("magnet"));
    assert_eq!(handed_out(&mut embedder, &magnet(1)), BTreeSet::from([all[2].clone()]));
    assert_eq!(handed_out(&mut embedder, &magnet(3)), BTreeSet::from([all[0].clone(), all[2].clone(), all[3].clone()]));
    assert_eq!(handed_out(&mut embedder, &magnet(4)), BTreeSet::from(all));
}

#[test]
fn an_unreachable_peer_that_finishes_holds_data() {
    let mut embedder = Embedder::new(Config::default());
    unreachable(&mut embedder, &client(A));
    let seeder = seed(client(ASKER));
    assert_eq!(handed_out(&mut embedder, &seeder).len(), 1);
    embedder.announce(&client(A).with_left(0).with_event(AnnounceEvent::Completed));
    assert_eq!(handed_out(&mut embedder, &seeder).len(), 0);
    let peer = peers(&embedder).into_iter().find(|peer| peer.address.to_string() == A).unwrap();
    assert_eq!((peer.state, peer.reachability), (PeerState::Seeder, Reachability::No));
}

#[test]
fn one_that_is_told_of_others_is_handed_out_to_nobody() {
    let mut embedder = Embedder::new(Config::default());
    for introduced in [client(A), seed(client("[fd77::4]:6881"))] {
        embedder.announce(&introduced);
        assert!(find_out(&mut embedder, &introduced, Reachability::Introduced));
    }
    let other = "10.77.0.3:6881";
    embedder.announce(&seed(client(other)));
    assert_eq!(handed_out(&mut embedder, &client(ASKER)), BTreeSet::from([other.to_owned()]));
    // It counts, and is handed out again when it is not told of others any more.
    assert_eq!(embedder.announce(&client(ASKER)).seeders, 2);
    assert!(find_out(&mut embedder, &client(A), Reachability::No));
    assert_eq!(handed_out(&mut embedder, &client(ASKER)), BTreeSet::from([A.to_owned(), other.to_owned()]));
    // Over loopback the tracker's embedder finds nothing out.
    embedder.announce(&client("127.0.0.1:7000"));
    find_out(&mut embedder, &client("127.0.0.1:7000"), Reachability::Introduced);
    assert_eq!(handed_out(&mut embedder, &client(ASKER)).len(), 3);
}

#[test]
fn on_the_trackers_machine_and_without_a_network_it_makes_no_difference() {
    let mut embedder = Embedder::new(Config::default());
    unreachable(&mut embedder, &client("127.0.0.1:7000"));
    let over_v6 = client("[fd77::9]:6881").with_families(Families::V6);
    assert_eq!(handed_out(&mut embedder, &over_v6), BTreeSet::from(["[fd77::1]:7000".to_owned()]));
    unreachable(&mut embedder, &client("169.254.7.2:6881"));
    let nearby = client("169.254.7.3:6881").with_families(Families::V4).with_numwant(2);
    assert_eq!(handed_out(&mut embedder, &nearby).len(), 2);
}

#[test]
fn a_reachable_peer_in_another_subnet_comes_before_an_unreachable_one_in_the_own() {
    let preference = Some(SubnetPreference::default());
    let mut embedder = Embedder::new(Config::default().with(|config| config.prefer_subnet = preference));
    unreachable(&mut embedder, &client(A));
    embedder.announce(&client("10.77.1.5:6881"));
    let far = BTreeSet::from(["10.77.1.5:6881".to_owned()]);
    assert_eq!(handed_out(&mut embedder, &client(ASKER).with_numwant(1)), far);
}

/// Fakes of one host, which can be reached, and honest peers that cannot.
#[test]
fn unreachable_peers_are_not_crowded_out_by_one_host() {
    let honest: Vec<_> = (2..7).map(|host| client(&format!("10.77.0.{host}:6881"))).collect();
    let of_one_address: Vec<_> = (2..130).map(|port| client(&format!("10.77.0.99:{port}"))).collect();
    let of_one_network: Vec<_> = (0x100..0x400).map(|host| client(&format!("[fd77::{host:x}]:6881"))).collect();
    for fakes in [of_one_address, of_one_network] {
        let mut embedder = Embedder::new(Config::default());
        fakes.iter().for_each(|fake| _ = embedder.announce(fake));
        honest.iter().for_each(|honest| unreachable(&mut embedder, honest));
        for _ in 0..100 {
            embedder.announce(&client(ASKER).with_numwant(20));
            let is_honest = |address: SocketAddr| honest.iter().any(|honest| honest.remote() == address.ip());
            let of_honest = embedder.peers.iter().filter(|peer| is_honest(peer.address)).count();
            assert_eq!((embedder.peers.len(), of_honest), (20, 5));
        }
    }
}
