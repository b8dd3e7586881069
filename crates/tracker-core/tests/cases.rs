//! The demands of specifications and the behaviour of real clients, one small case each.

mod common;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use common::{Embedder, TORRENT, client, peer_id};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{
    Access, AnnounceError, AnnounceEvent, AnnounceRequest, ClientPolicy, Config, EventKind, HostAddresses, InfoHash,
    Instant, Memory, NetworkConfig, Peer, PeerDetail, PeerId, PeerKey, PeerState, Peers, ScrapeError, Shards,
    SubnetPreference, SwarmCounts, TorrentPolicy, UserId, UserKey, UserRule, Warning,
};

const A: &str = "10.77.0.2:6881";
const B: &str = "10.77.0.3:6881";
const C: &str = "10.77.0.4:6881";
const OTHER_TORRENT: InfoHash = InfoHash::new([8; 20]);

fn embedder() -> Embedder {
    // With events, which tell more than counts do.
    Embedder::new(Config::default().with(|config| config.max_pending_events = 1000))
}

fn event(event: AnnounceEvent, request: AnnounceRequest) -> AnnounceRequest {
    request.with_event(event)
}

fn started(request: AnnounceRequest) -> AnnounceRequest {
    event(AnnounceEvent::Started, request)
}

fn completed(request: AnnounceRequest) -> AnnounceRequest {
    event(AnnounceEvent::Completed, request).with_left(0)
}

fn stopped(request: AnnounceRequest) -> AnnounceRequest {
    event(AnnounceEvent::Stopped, request)
}

fn seed(request: AnnounceRequest) -> AnnounceRequest {
    request.with_left(0)
}

/// A seed that has the metadata for sure, since it has downloaded.
fn proven_seed(request: AnnounceRequest) -> AnnounceRequest {
    seed(request).with_downloaded(1000)
}

/// The details of a peer, from a tracker that keeps them.
fn detail(peer: &Peer) -> &PeerDetail {
    peer.detail.as_ref().expect("the tracker keeps details")
}

/// Seeders, leechers and completed downloads.
fn counts(embedder: &Embedder) -> (u32, u32, u32) {
    let counts = embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.counts()).unwrap_or_default();
    (counts.seeders, counts.leechers, counts.completed)
}

/// The peers that the tracker knows in the swarm.
fn peers(embedder: &Embedder) -> Vec<Peer> {
    embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.peers().collect()).unwrap_or_default()
}

/// The addresses that the tracker knows in the swarm.
fn known(embedder: &Embedder) -> BTreeSet<String> {
    peers(embedder).iter().map(|peer| peer.address.to_string()).collect()
}

/// The addresses that this asker gets.
fn handed_out(embedder: &mut Embedder, asker: &AnnounceRequest) -> BTreeSet<String> {
    embedder.announce(asker);
    embedder.peers.iter().map(|peer| peer.address.to_string()).collect()
}

fn set<const N: usize>(addresses: [&str; N]) -> BTreeSet<String> {
    addresses.map(str::to_owned).into()
}

fn refused(embedder: &mut Embedder, request: &AnnounceRequest) -> AnnounceError {
    let answer = embedder.tracker.announce(embedder.now, &mut embedder.rng, request, &mut embedder.peers);
    assert!(embedder.peers.is_empty(), "a refusal hands nobody out");
    answer.expect_err("it should be refused")
}

/// The events since the last call, in a word each.
fn happened(embedder: &mut Embedder) -> Vec<&'static str> {
    let mut events = Vec::new();
    embedder.tracker.poll_events(&mut events);
    events
        .into_iter()
        .map(|event| match event.kind {
            EventKind::SwarmCreated => "created",
            EventKind::SwarmDropped => "dropped",
            EventKind::PeerJoined(_) => "joined",
            EventKind::PeerUpdated { moved_from: None, .. } => "updated",
            EventKind::PeerUpdated { moved_from: Some(_), .. } => "moved",
            EventKind::PeerCompleted(_) => "completed",
            EventKind::PeerLeft(_) => "left",
            EventKind::PeerExpired(_) => "expired",
            EventKind::AddressShared { .. } => "shared",
            EventKind::PeerInContainer { .. } => "in container",
            _ => "unknown",
        })
        .collect()
}

// The order of events.

#[test]
fn the_counts_of_an_answer_include_the_asker() {
    let mut embedder = embedder();
    let answer = embedder.announce(&started(client(A)));
    assert_eq!((answer.seeders, answer.leechers, answer.completed), (0, 1, 0));
    let answer = embedder.announce(&completed(client(A)));
    assert_eq!((answer.seeders, answer.leechers, answer.completed), (1, 0, 1));
    let answer = embedder.announce(&stopped(client(A)));
    assert_eq!((answer.seeders, answer.leechers, answer.completed), (0, 0, 1));
}

#[test]
fn any_announce_of_an_unknown_peer_starts_it() {
    for (event, left, expected) in [
        (None, Some(1), (0, 1, 0)),
        (None, Some(0), (1, 0, 0)),
        (Some(AnnounceEvent::Started), Some(1), (0, 1, 0)),
        (Some(AnnounceEvent::Started), Some(0), (1, 0, 0)),
        (Some(AnnounceEvent::Paused), Some(1), (0, 1, 0)),
        (Some(AnnounceEvent::Completed), Some(0), (1, 0, 0)),
    ] {
        let mut embedder = embedder();
        embedder.announce(&client(A).with_event(event).with_left(left));
        assert_eq!(counts(&embedder), expected, "{event:?}, {left:?}");
        assert_eq!(happened(&mut embedder), ["created", "joined"]);
    }
}

#[test]
fn stopped_from_an_unknown_peer_gets_a_normal_answer() {
    let mut embedder = embedder();
    let answer = embedder.announce(&stopped(client(A)));
    assert!(answer.interval > Duration::ZERO);
    assert_eq!(happened(&mut embedder), [""; 0]);
    assert_eq!(embedder.tracker.totals().swarms, 0);

    embedder.announce(&client(B));
    let answer = embedder.announce(&stopped(client(A)));
    assert_eq!((answer.seeders, answer.leechers), (0, 1));
    assert_eq!(known(&embedder), set([B]));
}

#[test]
fn stopped_gets_no_peers_whatever_it_wants() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(B));
    assert_eq!(handed_out(&mut embedder, &stopped(client(A)).with_numwant(200)), set([]));
}

#[test]
fn started_again_is_an_update() {
    let mut embedder = embedder();
    embedder.announce(&started(client(A)));
    embedder.now = Instant::from_secs(100);
    embedder.announce(&started(client(A)));
    assert_eq!(happened(&mut embedder), ["created", "joined", "updated"]);
    let peer = peers(&embedder).remove(0);
    assert_eq!((detail(&peer).first_seen, detail(&peer).last_seen), (Instant::ZERO, embedder.now));
}

#[test]
fn who_leaves_with_everything_has_completed_its_download() {
    for (left, downloaded, events, completed) in [
        (Some(0), 8 << 20, ["updated", "completed", "left"].as_slice(), 1),
        (Some(1), 8 << 20, &["left"], 0),
        (None, 8 << 20, &["left"], 0),
        // A client that forgets what it has: some say that nothing is left when they leave.
        (Some(0), 0, &["left"], 0),
    ] {
        let mut embedder = embedder();
        embedder.announce(&started(client(A)));
        happened(&mut embedder);
        let answer = embedder.announce(&stopped(client(A)).with_left(left).with_downloaded(downloaded));
        assert_eq!((answer.seeders, answer.leechers, answer.completed), (0, 0, completed), "{left:?}, {downloaded}");
        let told: Vec<_> = happened(&mut embedder).into_iter().filter(|&event| event != "dropped").collect();
        assert_eq!(told, events, "{left:?}, {downloaded}");
    }
}

/// A listener tells peers that listen nowhere apart by their peer ids and keys.
#[test]
fn who_leaves_without_naming_its_key_leaves_by_the_key_that_it_had() {
    let mut embedder = embedder();
    let nowhere = client("10.77.0.2:0");
    embedder.announce(&started(nowhere.clone()));
    happened(&mut embedder);
    embedder.announce(&stopped(nowhere.clone()).with_key(PeerKey::NONE).with_left(0).with_downloaded(1));
    let mut events = Vec::new();
    embedder.tracker.poll_events(&mut events);
    let keys: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::PeerUpdated { peer, .. } | EventKind::PeerCompleted(peer) | EventKind::PeerLeft(peer) => {
                Some(detail(peer).key)
            }
            _ => None,
        })
        .collect();
    assert_eq!(keys, [nowhere.key; 3]);
}

#[test]
fn stopped_twice_leaves_once() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&stopped(client(A)));
    embedder.announce(&stopped(client(A)));
    assert_eq!(happened(&mut embedder), ["created", "joined", "left", "dropped"]);
}

// Completed downloads.

#[test]
fn completed_twice_counts_once() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&completed(client(A)));
    embedder.announce(&completed(client(A)));
    assert_eq!(counts(&embedder), (1, 0, 1));
    assert_eq!(happened(&mut embedder), ["created", "joined", "updated", "completed", "updated"]);
    assert_eq!(embedder.tracker.totals().completed, 1);
}

#[test]
fn a_download_checked_again_counts_once() {
    let mut embedder = embedder();
    for request in [client(A), completed(client(A)), client(A), completed(client(A))] {
        embedder.announce(&request);
    }
    assert_eq!(counts(&embedder), (1, 0, 1));
}

#[test]
fn completed_from_an_unknown_peer_is_no_download() {
    let mut embedder = embedder();
    embedder.announce(&completed(client(A)));
    assert_eq!(counts(&embedder), (1, 0, 0));
}

/// WebTorrent, at each start of what it has.
#[test]
fn completed_after_started_with_nothing_left_is_no_download() {
    let mut embedder = embedder();
    embedder.announce(&started(seed(client(A))));
    embedder.announce(&completed(client(A)));
    assert_eq!(counts(&embedder), (1, 0, 0));
}

#[test]
fn a_download_counts_when_its_completed_was_lost() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&seed(client(A)));
    assert_eq!(counts(&embedder), (1, 0, 1));
}

/// bittorrent-tracker 11 says that 16,384 bytes are left, version 9 does not say.
#[test]
fn completed_is_a_seed_whatever_is_left() {
    for left in [Some(16_384), None, Some(u64::MAX)] {
        let mut embedder = embedder();
        embedder.announce(&client(A));
        embedder.announce(&completed(client(A)).with_left(left));
        assert_eq!(counts(&embedder), (1, 0, 1), "{left:?}");
        assert_eq!(handed_out(&mut embedder, &proven_seed(client(B))), set([]), "a seed is of no use to a seed");
    }
}

#[test]
fn a_client_that_does_not_say_what_is_left_is_a_leecher() {
    // 2^32 is what some other tracker takes for 0.
    for left in [None, Some(1), Some(1 << 32), Some(u64::MAX)] {
        let mut embedder = embedder();
        embedder.announce(&client(A).with_left(left));
        assert_eq!(counts(&embedder), (0, 1, 0), "{left:?}");
    }
}

#[test]
fn a_swarm_is_remembered_for_its_downloads_until_its_timeout() {
    let mut embedder = embedder();
    let timeout = u32::try_from(embedder.tracker.config().swarm_timeout.as_secs()).unwrap();
    embedder.announce(&client(A));
    embedder.announce(&completed(client(A)));
    embedder.now = Instant::from_secs(100);
    embedder.announce(&stopped(client(A)));
    assert_eq!(counts(&embedder), (0, 0, 1));
    assert_eq!(embedder.tracker.next_expiry(), Some(Instant::from_secs(100 + timeout)));

    embedder.tracker.expire(Instant::from_secs(99 + timeout));
    assert_eq!(counts(&embedder), (0, 0, 1));
    embedder.tracker.expire(Instant::from_secs(100 + timeout));
    assert!(embedder.tracker.with_swarm(&TORRENT, |_| ()).is_none());
    assert_eq!(embedder.tracker.next_expiry(), None);
    assert_eq!(happened(&mut embedder), ["created", "joined", "updated", "completed", "left", "dropped"]);
    assert_eq!(embedder.tracker.totals().completed, 1, "the total stays");
}

#[test]
fn a_swarm_that_is_joined_again_goes_on_with_its_count() {
    let mut embedder = embedder();
    for request in [client(A), completed(client(A)), stopped(client(A)), client(B)] {
        embedder.announce(&request);
    }
    assert_eq!(counts(&embedder), (0, 1, 1));
}

#[test]
fn a_swarm_that_nobody_completed_goes_with_its_last_peer() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.tracker.expire(Instant::from_secs(1_000_000));
    assert_eq!(happened(&mut embedder), ["created", "joined", "expired", "dropped"]);
    assert_eq!(embedder.tracker.totals().swarms, 0);
}

// Partial seeds.

/// Transmission sends `paused` instead of `started`.
#[test]
fn paused_is_a_partial_seed() {
    let mut embedder = embedder();
    let partial = event(AnnounceEvent::Paused, client(A));
    embedder.announce(&partial);
    let counts = embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.counts()).unwrap();
    assert_eq!(counts, SwarmCounts { seeders: 0, leechers: 1, partial_seeds: 1, completed: 0 });

    embedder.announce(&seed(client(C)));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([A, C]), "leechers get partial seeds");
    assert_eq!(handed_out(&mut embedder, &partial), set([B]), "partial seeds get leechers");
    assert_eq!(handed_out(&mut embedder, &proven_seed(client(C))), set([B]), "seeds get no partial seeds");
}

#[test]
fn a_partial_seed_that_wants_more_is_a_leecher_again() {
    let mut embedder = embedder();
    embedder.announce(&event(AnnounceEvent::Paused, client(A)));
    embedder.announce(&client(A));
    assert_eq!(embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.counts()).unwrap().partial_seeds, 0);
    embedder.announce(&completed(client(A)));
    assert_eq!(counts(&embedder), (1, 0, 1));
}

// Who is who.

#[test]
fn a_client_that_restarts_on_another_port_takes_its_old_place() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&started(client(A)).with_port(7000));
    assert_eq!(known(&embedder), set(["10.77.0.2:7000"]));
    assert_eq!(happened(&mut embedder), ["created", "joined", "moved"]);
}

#[test]
fn a_client_that_restarts_with_another_peer_id_takes_its_port_again() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&started(client(A)).with_peer_id(peer_id("again")));
    assert_eq!((known(&embedder), counts(&embedder)), (set([A]), (0, 1, 0)));
    assert_eq!(happened(&mut embedder), ["created", "joined", "left", "joined"]);
}

#[test]
fn another_download_on_the_same_port_counts_for_itself() {
    let mut embedder = embedder();
    let again = client(A).with_peer_id(peer_id("again"));
    for request in [client(A), completed(client(A)), again.clone(), completed(again)] {
        embedder.announce(&request);
    }
    assert_eq!(counts(&embedder), (1, 0, 2));
}

#[test]
fn a_late_stopped_of_the_earlier_client_on_a_port_changes_nothing() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(A).with_peer_id(peer_id("again")));
    embedder.announce(&stopped(client(A)));
    assert_eq!(known(&embedder), set([A]));
}

#[test]
fn a_client_that_moves_onto_the_port_of_another_leaves_one() {
    let mut embedder = embedder();
    embedder.announce(&client("10.77.0.2:6881"));
    embedder.announce(&client("10.77.0.2:6882"));
    embedder.announce(&client("10.77.0.2:6881").with_port(6882));
    assert_eq!(known(&embedder), set(["10.77.0.2:6882"]));
    assert_eq!(happened(&mut embedder), ["created", "joined", "joined", "left", "moved"]);
}

#[test]
fn a_client_that_changes_its_key_is_not_there_twice() {
    let mut embedder = embedder();
    let key = |key: &[u8], port| client(A).with_key(PeerKey::from_bytes(key)).with_port(port);
    embedder.announce(&key(b"one", 6881));
    embedder.announce(&key(b"two", 6882));
    embedder.announce(&key(b"two", 6881));
    assert_eq!(known(&embedder), set(["10.77.0.2:6881"]));
}

/// Some clients send port 0 when they stop.
#[test]
fn stopped_with_port_0_is_known_by_its_client() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(B));
    embedder.announce(&stopped(client(A)).with_port(0));
    assert_eq!(known(&embedder), set([B]));
}

#[test]
fn two_clients_behind_one_address_are_two() {
    let mut embedder = embedder();
    embedder.announce(&client("10.77.0.2:6881"));
    assert_eq!(handed_out(&mut embedder, &client("10.77.0.2:6882")), set(["10.77.0.2:6881"]));
    assert_eq!(handed_out(&mut embedder, &client("10.77.0.2:6881")), set(["10.77.0.2:6882"]));
}

#[test]
fn two_clients_that_listen_nowhere_are_two_and_nobody_gets_them() {
    let mut embedder = embedder();
    let (one, other) = (client("10.77.0.2:0"), client("10.77.0.2:0").with_peer_id(peer_id("other")));
    embedder.announce(&one);
    embedder.announce(&other);
    assert_eq!(counts(&embedder), (0, 2, 0));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([]));
    assert_eq!(handed_out(&mut embedder, &one), set([B]));
    embedder.announce(&stopped(one));
    assert_eq!(counts(&embedder), (0, 2, 0), "the other one and B");
}

/// libtorrent says port 1 behind a proxy.
#[test]
fn clients_on_port_1_are_as_many_as_they_are_and_nobody_gets_them() {
    let mut embedder = embedder();
    let key = |client: AnnounceRequest, key: &[u8]| client.with_key(PeerKey::from_bytes(key));
    let proxied = |name: &str| client("10.77.0.2:1").with_peer_id(peer_id(name));
    let clients = [key(proxied("a"), b"a"), key(proxied("b"), b"b"), key(proxied("c"), b""), key(proxied("d"), b"")];
    for request in clients.iter().chain(&clients) {
        embedder.announce(request);
        assert_eq!(handed_out(&mut embedder, &client(B)), set([]));
    }
    assert_eq!(counts(&embedder), (0, 5, 0), "B is the fifth");
    assert_eq!(handed_out(&mut embedder, &clients[0]), set([B]));
    embedder.announce(&completed(clients[2].clone()));
    embedder.announce(&stopped(clients[0].clone()));
    embedder.announce(&stopped(clients[3].clone().with_port(0)));
    assert_eq!(counts(&embedder), (1, 2, 1), "b, c and B");
}

/// libtorrent 1.1 announces once for each socket, also for one that does not listen.
#[test]
fn an_announce_without_a_port_leaves_the_client_its_port() {
    for port in [0, 1] {
        let mut embedder = embedder();
        embedder.announce(&started(seed(client(A))));
        embedder.now = Instant::from_secs(100);
        embedder.announce(&seed(client(A)).with_port(port));
        assert_eq!(handed_out(&mut embedder, &client(B)), set([A]), "port {port}");
        assert_eq!(counts(&embedder), (1, 1, 0), "port {port}");
        assert_eq!(happened(&mut embedder), ["created", "joined", "updated", "joined"], "port {port}");
        let peer = peers(&embedder).into_iter().find(|peer| peer.address.to_string() == A).unwrap();
        assert_eq!(detail(&peer).last_seen, embedder.now, "it is a sign of life");
        assert_eq!(handed_out(&mut embedder, &client(A).with_port(port)), set([B]), "it does not get itself");

        // The first port that it names is its port, and the last.
        embedder.announce(&client(C).with_port(port));
        embedder.announce(&client(C));
        embedder.announce(&client(C).with_port(7000));
        embedder.announce(&client(C).with_port(port));
        assert_eq!(known(&embedder), set([A, B, "10.77.0.4:7000"]), "port {port}");
        embedder.announce(&stopped(client(A)).with_port(port));
        assert_eq!(known(&embedder), set([B, "10.77.0.4:7000"]), "port {port}");
    }
}

/// libtorrent announces from each address of its machine, with one peer id and key.
#[test]
fn a_client_on_two_addresses_is_two_peers_and_gets_neither() {
    let mut embedder = embedder();
    let over = |address: &str| client(address).with_peer_id(peer_id("both")).with_key(PeerKey::from_bytes(b"k"));
    let both = [over("10.77.0.2:6881"), over("10.78.0.2:6881"), over("[fd77::2]:6881")];
    for request in &both {
        embedder.announce(request);
    }
    for request in &both {
        assert_eq!(handed_out(&mut embedder, request), set([]));
    }
    assert_eq!(handed_out(&mut embedder, &client(B)), set(["10.77.0.2:6881", "10.78.0.2:6881", "[fd77::2]:6881"]));
    embedder.announce(&stopped(over("10.78.0.2:6881")));
    assert_eq!(known(&embedder), set(["10.77.0.2:6881", "[fd77::2]:6881", B]));
}

#[test]
fn a_v4_mapped_address_is_the_ipv4_one() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        v6 => v6,
    };
    let again = client(A);
    embedder.announce(&again.clone().with_remote(mapped(again.remote())).with_local(mapped(again.local())));
    assert_eq!((known(&embedder), counts(&embedder)), (set([A]), (0, 1, 0)));
}

#[test]
fn both_families_share_a_swarm() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client("[fd77::2]:6881"));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([A, "[fd77::2]:6881"]));
    assert_eq!(handed_out(&mut embedder, &client("[fd77::3]:6881")), set([A, B, "[fd77::2]:6881"]));
}

// Addresses.

#[test]
fn a_client_on_the_trackers_machine_is_where_the_asker_reached_it() {
    let mut embedder = embedder();
    embedder.announce(&seed(client("127.0.0.1:6881")));
    for (asker, seen) in [
        ("10.77.0.2:6881", "10.77.0.1:6881"),
        ("10.78.0.2:6881", "10.78.0.1:6881"),
        ("[fd77::2]:6881", "[fd77::1]:6881"),
    ] {
        // The askers leave again, so that they do not get each other.
        assert_eq!(handed_out(&mut embedder, &client(asker)), set([seen]));
        embedder.announce(&stopped(client(asker)));
    }
}

#[test]
fn a_client_on_the_trackers_machine_is_handed_out_once() {
    let mut embedder = embedder();
    let over = |address: &str| client(address).with_peer_id(peer_id("host")).with_key(PeerKey::from_bytes(b"k"));
    for address in ["127.0.0.1:6881", "[::1]:6881", "10.77.0.1:6881"] {
        embedder.announce(&over(address));
    }
    embedder.announce(&client(A));
    assert_eq!(embedder.peers.len(), 1, "{:?}", embedder.peers);
    assert_eq!(embedder.peers.iter().next().unwrap().address.to_string(), "10.77.0.1:6881");
}

#[test]
fn a_client_that_restarts_on_the_trackers_machine_does_not_get_itself() {
    let host_addresses = HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: None };
    for (before, after) in [("127.0.0.1:6881", "10.77.0.1:6881"), ("10.77.0.1:6881", "127.0.0.1:6881")] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.host_addresses = host_addresses));
        embedder.announce(&client(before));
        assert_eq!(handed_out(&mut embedder, &client(after)), set([]), "{before}, then {after}");
    }
}

/// Transmission never dials 127.0.0.1 or ::1.
#[test]
fn clients_on_the_trackers_machine_get_each_other_by_its_lan_address() {
    let host_addresses = HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: None };
    let mut embedder = Embedder::new(Config::default().with(|config| config.host_addresses = host_addresses));
    for address in ["127.0.0.1:6881", "127.0.0.2:6882", "[::1]:6883"] {
        embedder.announce(&seed(client(address)));
    }
    let asker = client("127.0.0.1:7000");
    assert_eq!(handed_out(&mut embedder, &asker), set(["10.77.0.1:6881", "127.0.0.2:6882", "10.77.0.1:6883"]));

    let mut embedder = Embedder::new(Config::default());
    embedder.announce(&seed(client("127.0.0.1:6881")));
    assert_eq!(handed_out(&mut embedder, &asker), set(["127.0.0.1:6881"]), "where no LAN address is known");
}

#[test]
fn an_asker_behind_a_proxy_gets_the_lan_address() {
    let host_addresses = HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: None };
    let behind_proxy = client(A).with_local([127, 0, 0, 1].into());
    for (host_addresses, expected) in [(host_addresses, set(["10.77.0.1:6881"])), (HostAddresses::default(), set([]))] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.host_addresses = host_addresses));
        embedder.announce(&client("127.0.0.1:6881"));
        assert_eq!(handed_out(&mut embedder, &behind_proxy), expected);
    }
}

#[test]
fn a_client_is_handed_out_in_the_network_of_the_asker_whatever_address_of_the_machine_it_announced_from() {
    let own_addresses = ["10.77.0.1", "10.78.0.1", "169.254.7.1"].map(|address| address.parse().unwrap());
    let mut embedder = Embedder::new(Config::default().with(|config| config.own_addresses = own_addresses.into()));
    for announced_from in ["10.77.0.1:6881", "169.254.7.1:6881", "127.0.0.1:6881"] {
        embedder.announce(&seed(client(announced_from)));
        for (asker, expected) in [("10.77.0.9:7", "10.77.0.1:6881"), ("10.78.0.9:7", "10.78.0.1:6881")] {
            assert_eq!(handed_out(&mut embedder, &client(asker)), set([expected]), "{announced_from} to {asker}");
            embedder.announce(&stopped(client(asker)));
        }
    }
}

#[test]
fn a_client_in_a_container_is_handed_out_under_the_address_of_the_machine() {
    let networks = vec!["172.17.0.0/16".parse().unwrap()];
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.container_networks = networks;
        config.max_pending_events = 100;
    }));
    embedder.announce(&seed(client("172.17.0.2:6881")));
    assert_eq!(happened(&mut embedder), ["created", "joined", "in container"]);
    for (asker, expected) in [("10.78.0.9:7", "10.78.0.1:6881"), ("172.17.0.3:7", "172.17.0.2:6881")] {
        assert_eq!(handed_out(&mut embedder, &client(asker)), set([expected]), "{asker}");
        embedder.announce(&stopped(client(asker)));
    }
    happened(&mut embedder);
    embedder.announce(&seed(client("172.17.0.2:6881")));
    assert!(!happened(&mut embedder).contains(&"in container"), "once for each peer");
}

#[test]
fn each_address_counts_by_itself_in_any_64_that_the_machine_is_in_now() {
    let own = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
    let config = Config::default().with(|config| config.own_addresses = own(&["fd77::1", "2001:db8:77::1"]));
    let shards = Shards::new(config.clone(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
    let network = |remote: &str, local: &str| {
        shards
            .address_group(remote.parse().unwrap(), local.parse().unwrap())
            .network()
            .map(|network| network.to_string())
    };
    for local in ["fd77::1", "2001:db8:77::1", "10.77.0.1", "127.0.0.1", "::ffff:10.77.0.1"] {
        assert_eq!(network("2001:db8:77::9", local).as_deref(), Some("2001:db8:77::"), "{local}");
        assert_eq!(network("fd77::9", local).as_deref(), Some("fd77::"), "{local}");
        assert_eq!(network("fe80::9", local).as_deref(), Some("fe80::"), "{local}");
        assert_eq!(network("2001:db8:78::9", local), None, "{local}");
        assert_eq!(network("::ffff:10.77.0.9", local), None, "{local}");
    }
    // As the request shows, where it is not configured.
    assert_eq!(network("fd78::9", "fd78::1").as_deref(), Some("fd78::"));

    let moved = NetworkConfig::from(&config).with(|network| network.own_addresses = own(&["2001:db8:78::1"]));
    shards.set_network(&moved).unwrap();
    assert_eq!(network("2001:db8:77::9", "10.77.0.1"), None);
    assert_eq!(network("2001:db8:78::9", "10.77.0.1").as_deref(), Some("2001:db8:78::"));
}

#[test]
fn the_addresses_of_the_machine_change_while_the_tracker_runs() {
    let before = Config::default().with(|config| config.own_addresses = vec!["10.77.0.1".parse().unwrap()]);
    let shards = Shards::new(before.clone(), NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let mut announce = |request: AnnounceRequest| {
        let mut peers = Peers::default();
        let answer = shards.announce(Instant::ZERO, &mut rng, &request, &mut peers);
        answer.map(|_| peers.iter().map(|peer| peer.address.to_string()).collect::<BTreeSet<_>>())
    };
    announce(seed(client("10.78.0.1:6881"))).unwrap();
    let [asker, stranger] = [client("10.77.0.9:7000"), client("203.0.113.9:7000")];
    assert_eq!(announce(asker.clone()), Ok(set(["10.78.0.1:6881"])), "that may be another machine");
    assert!(announce(stranger.clone()).is_err() && !shards.admits(stranger.remote()));

    let network = NetworkConfig::from(&before).with(|network| {
        network.own_addresses = vec!["10.78.0.1".parse().unwrap()];
        network.access = Access::Lan { own: vec!["203.0.113.0/24".parse().unwrap()] };
    });
    shards.set_network(&network).unwrap();
    assert_eq!(announce(asker), Ok(set(["10.77.0.1:6881"])));
    assert!(announce(stranger.clone()).is_ok() && shards.admits(stranger.remote()));
    assert_eq!(shards.scrape(stranger.remote(), None, &[], &mut Vec::new()), Ok(()));

    let loopback = HostAddresses { v4: Some([127, 0, 0, 1].into()), v6: None };
    shards.set_network(&network.with(|network| network.host_addresses = loopback)).unwrap_err();
}

#[test]
fn link_local_ipv4_is_for_those_who_have_it() {
    let mut embedder = embedder();
    embedder.announce(&client("169.254.7.2:6881"));
    for asker in [A, "[fd77::2]:6881", "127.0.0.1:6881"] {
        assert!(!handed_out(&mut embedder, &client(asker)).contains("169.254.7.2:6881"), "{asker}");
    }
    assert!(handed_out(&mut embedder, &client("169.254.7.3:6881")).contains("169.254.7.2:6881"));
}

#[test]
fn link_local_ipv6_is_counted_and_warned_and_never_handed_out() {
    let mut embedder = embedder();
    let answer = embedder.announce(&client("[fe80::2]:6881"));
    assert_eq!((answer.leechers, answer.warning), (1, Some(Warning::LinkLocalAddress)));
    for asker in [A, "[fe80::3]:6881", "[fd77::2]:6881"] {
        assert!(!handed_out(&mut embedder, &client(asker)).contains("[fe80::2]:6881"), "{asker}");
    }
    assert_eq!(embedder.announce(&client(A)).warning, None);
}

#[test]
fn an_address_that_nobody_can_dial_is_never_handed_out() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.access = Access::All));
    for address in ["0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1", "[::]:1", "[ff02::1]:1", "10.77.0.9:0"] {
        embedder.announce(&client(address));
    }
    assert_eq!(counts(&embedder), (0, 6, 0));
    assert_eq!(handed_out(&mut embedder, &client(A)), set([]));
}

#[test]
fn a_claimed_address_counts_from_trusted_networks_only() {
    let trusted_networks = ["10.78.0.0/24", "127.0.0.64/26"].map(|network| network.parse().unwrap()).into();
    let config = Config::default().with(|config| config.trusted_networks = trusted_networks);
    for (from, claimed, kept) in [
        ("10.77.0.2:6881", "10.77.0.99", "10.77.0.2:6881"),
        ("10.78.0.2:6881", "10.77.0.99", "10.77.0.99:6881"),
        ("10.78.0.2:6881", "::ffff:10.77.0.99", "10.77.0.99:6881"),
        ("10.78.0.2:6881", "fd77::99", "[fd77::99]:6881"),
        // A page in a browser on this machine comes from there, too.
        ("127.0.0.1:6881", "10.77.0.99", "127.0.0.1:6881"),
        ("[::1]:6881", "10.77.0.99", "[::1]:6881"),
        ("127.0.0.77:6881", "10.77.0.99", "10.77.0.99:6881"),
        // Nobody can be there.
        ("10.78.0.2:6881", "127.0.0.1", "10.78.0.2:6881"),
        ("10.78.0.2:6881", "::1", "10.78.0.2:6881"),
        ("10.78.0.2:6881", "0.0.0.0", "10.78.0.2:6881"),
        ("10.78.0.2:6881", "224.0.0.1", "10.78.0.2:6881"),
        ("10.78.0.2:6881", "255.255.255.255", "10.78.0.2:6881"),
        ("10.78.0.2:6881", "fe80::99", "10.78.0.2:6881"),
    ] {
        let mut embedder = Embedder::new(config.clone());
        embedder.announce(&client(from).with_claimed_ip(claimed.parse().ok()));
        assert_eq!(known(&embedder), set([kept]), "{from} claims {claimed}");
    }
}

#[test]
fn only_a_public_address_is_told_to_its_owner() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.access = Access::All));
    for (address, told) in [
        ("203.0.113.9:6881", Some("203.0.113.9")),
        ("[2001:db8::9]:6881", Some("2001:db8::9")),
        (A, None),
        ("127.0.0.1:6881", None),
        ("[fd77::2]:6881", None),
        ("169.254.7.2:6881", None),
    ] {
        assert_eq!(embedder.announce(&client(address)).external_ip, told.map(|ip| ip.parse().unwrap()), "{address}");
    }
}

// Who gets whom.

/// Some clients say the largest number there is while they do not know.
#[test]
fn more_left_than_any_torrent_has_counts_as_not_said() {
    let largest = i64::MAX.unsigned_abs();
    for (left, known) in [(0, Some(0)), (largest, Some(PeerDetail::MAX_BYTES)), (largest + 1, None), (u64::MAX, None)] {
        let mut embedder = embedder();
        embedder.announce(&client(A).with_left(left));
        let peer = peers(&embedder).remove(0);
        assert_eq!(detail(&peer).left, known, "{left}");
    }
}

#[test]
fn an_answer_holds_no_more_than_it_has_room_for() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.default_numwant = 3));
    for host in 10..20 {
        embedder.announce(&client(&format!("10.77.0.{host}:6881")));
    }
    for (numwant, room, expected) in [(None, 2, 2), (None, 50, 3), (Some(9), 4, 4), (Some(5), 9, 5), (Some(5), 0, 0)] {
        let asker = client(A).with_numwant(numwant).with_room(room);
        assert_eq!(handed_out(&mut embedder, &asker).len(), expected, "{numwant:?} of {room}");
    }
}

/// The seed that starts after the leechers dials them.
#[test]
fn seeds_get_leechers_and_leechers_get_both() {
    let mut embedder = embedder();
    embedder.announce(&seed(client(A)));
    embedder.announce(&client(B));
    assert_eq!(handed_out(&mut embedder, &started(proven_seed(client(C)))), set([B]));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([A, C]));
}

/// aria2 says that nothing is left until it has the metadata, in every announce.
#[test]
fn a_client_that_has_only_a_magnet_link_gets_seeders() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.memory = memory));
        embedder.announce(&started(seed(client(A))));
        let magnet = seed(client(B)).with_numwant(50);
        assert_eq!(handed_out(&mut embedder, &started(magnet.clone())), set([A]), "{memory:?}");
        assert_eq!(handed_out(&mut embedder, &magnet), set([A]), "{memory:?}: again");

        // It has the metadata now, downloads, and completes: a seeder like any other, also after a restart.
        assert_eq!(handed_out(&mut embedder, &started(client(B))), set([A]), "{memory:?}");
        assert_eq!(counts(&embedder), (1, 1, 0), "{memory:?}: it is no seeder any more");
        assert_eq!(handed_out(&mut embedder, &completed(client(B))), set([]), "{memory:?}");
        assert_eq!(counts(&embedder), (2, 0, 1), "{memory:?}: its download counts");
        assert_eq!(handed_out(&mut embedder, &started(magnet)), set([]), "{memory:?}: it was seen downloading");
    }
}

#[test]
fn a_client_that_may_have_only_a_magnet_link_gets_leechers_first() {
    for prefer_subnet in [None, Some(SubnetPreference::default())] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.prefer_subnet = prefer_subnet));
        for host in 10..30 {
            // The seeders are in the asker's subnet, and the leechers are not.
            embedder.announce(&seed(client(&format!("10.77.0.{host}:6881"))));
            if host < 15 {
                embedder.announce(&client(&format!("10.78.0.{host}:6881")));
                embedder.announce(&event(AnnounceEvent::Paused, client(&format!("[fd77::{host}]:6881"))));
            }
        }
        for (numwant, leechers) in [(0, 0), (3, 3), (5, 5), (9, 5), (30, 5), (50, 5)] {
            let asker = seed(client(A)).with_numwant(numwant);
            let addresses = handed_out(&mut embedder, &asker);
            let of_leechers = addresses.iter().filter(|address| address.starts_with("10.78.")).count();
            assert_eq!((addresses.len(), of_leechers), (numwant as usize, leechers).min((30, 5)));
        }
    }
}

#[test]
fn completed_gets_no_seeds_any_more() {
    let mut embedder = embedder();
    embedder.announce(&seed(client(A)));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([A]));
    assert_eq!(handed_out(&mut embedder, &completed(client(B))), set([]));
}

#[test]
fn a_client_that_wants_no_peers_gets_none_and_is_counted() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    assert_eq!(handed_out(&mut embedder, &client(B).with_numwant(0)), set([]));
    assert_eq!(counts(&embedder), (0, 2, 0));
}

#[test]
fn a_stop_without_port_and_key_is_that_of_the_peer_id() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(B));
    let nameless = client(A).with_port(0).with_key(PeerKey::NONE);
    embedder.announce(&stopped(nameless.clone().with_remote("10.77.0.9".parse().unwrap())));
    assert_eq!(known(&embedder), set([A, B]), "from another address");
    embedder.announce(&stopped(nameless));
    assert_eq!(known(&embedder), set([B]));
}

#[test]
fn a_few_seeds_are_found_among_many_that_cannot_be_dialled() {
    let mut embedder = Embedder::new(Config::default());
    for number in 0..20_000_u32 {
        let [_, _, c, d] = number.to_be_bytes();
        embedder.announce(&client(A).with_remote([169, 254, c, d].into()).with_numwant(0));
    }
    embedder.announce(&seed(client(B)));
    assert_eq!(handed_out(&mut embedder, &client(C)), set([B]));
    // Those who can dial the others get them, and the seed.
    embedder.announce(&client(C).with_remote([169, 254, 200, 1].into()).with_numwant(200));
    assert_eq!(embedder.peers.len(), 200);
}

#[test]
fn torrents_do_not_mix() {
    let mut embedder = embedder();
    embedder.announce(&client(A).with_info_hash(OTHER_TORRENT));
    assert_eq!(handed_out(&mut embedder, &client(B)), set([]));
}

// Time.

/// libtorrent announces every 300 s and rTorrent every 600 s, however short the interval.
#[test]
fn a_silent_peer_stays_for_two_announces_of_the_slowest_client() {
    let mut embedder = embedder();
    let answer = embedder.announce(&client(A));
    assert!(answer.interval <= Duration::from_secs(66));
    embedder.tracker.expire(Instant::from_secs(1259));
    assert_eq!(known(&embedder), set([A]));
    assert_eq!(embedder.tracker.next_expiry(), Some(Instant::from_secs(1260)));
    embedder.tracker.expire(Instant::from_secs(1260));
    assert_eq!(known(&embedder), set([]));
}

#[test]
fn an_announce_is_a_sign_of_life() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(B));
    embedder.now = Instant::from_secs(1000);
    embedder.announce(&client(A));
    embedder.tracker.expire(Instant::from_secs(1260));
    assert_eq!(known(&embedder), set([A]));
}

#[test]
fn a_long_interval_makes_for_a_longer_life() {
    let interval = Duration::from_secs(1800);
    let config = Config::default().with(|config| {
        config.interval_floor = interval;
        config.interval_jitter_percent = 0;
    });
    let mut embedder = Embedder::new(config);
    assert_eq!(embedder.announce(&client(A)).interval, interval);
    embedder.tracker.expire(Instant::from_secs(3659));
    assert_eq!(known(&embedder), set([A]));
    embedder.tracker.expire(Instant::from_secs(3660));
    assert_eq!(known(&embedder), set([]));
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut embedder = embedder();
    embedder.now = Instant::from_secs(1000);
    embedder.announce(&client(A));
    embedder.now = Instant::from_secs(10);
    embedder.announce(&client(B));
    let seen: Vec<_> = peers(&embedder).iter().map(|peer| detail(peer).last_seen.as_secs()).collect();
    assert_eq!(seen, [1000, 1000]);
    embedder.tracker.expire(Instant::ZERO);
    assert_eq!(known(&embedder), set([A, B]));
}

#[test]
fn shards_have_one_time() {
    let mut rng = StdRng::seed_from_u64(1);
    let shards = Shards::new(Config::default(), NonZeroUsize::new(16).unwrap(), &mut rng).unwrap();
    let mut peers = Peers::default();
    for (now, byte) in [(1000, 1), (10, 2)] {
        let request = client(A).with_info_hash(InfoHash::new([byte; 20]));
        shards.announce(Instant::from_secs(now), &mut rng, &request, &mut peers).unwrap();
    }
    shards.for_each_swarm(|_, swarm| assert!(swarm.peers().all(|peer| detail(&peer).first_seen.as_secs() == 1000)));
}

#[test]
fn the_end_of_time_is_no_panic() {
    let mut embedder = embedder();
    embedder.now = Instant::from_secs(u32::MAX);
    embedder.announce(&client(A));
    embedder.announce(&completed(client(A)));
    embedder.tracker.expire(embedder.now);
    assert_eq!(embedder.tracker.totals().swarms, 0);
}

#[test]
fn one_call_of_expire_looks_at_a_batch_in_whatever_swarms() {
    for swarms in [1, 150, 15_000] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.access = Access::All));
        for number in 0..15_000_u32 {
            let mut info_hash = [0; 20];
            info_hash[..4].copy_from_slice(&(number % swarms).to_be_bytes());
            let [_, b, c, d] = number.to_be_bytes();
            let info_hash = InfoHash::new(info_hash);
            let remote = [10, b, c, d].into();
            embedder.announce(&client(A).with_info_hash(info_hash).with_remote(remote).with_numwant(0));
        }
        let later = Instant::from_secs(5000);
        let mut calls = 0;
        while embedder.tracker.next_expiry().is_some_and(|next| next <= later) {
            let before = embedder.tracker.totals().peers();
            embedder.tracker.expire(later);
            assert!((1..=2000).contains(&(before - embedder.tracker.totals().peers())), "{swarms} swarms");
            calls += 1;
        }
        assert_eq!((embedder.tracker.totals().peers(), calls), (0, 8), "{swarms} swarms");
    }
}

#[test]
fn announces_between_batches_of_expiry_lose_nobody() {
    let config = Config::default().with(|config| config.access = Access::All);
    let mut embedder = Embedder::new(config);
    let peer = |number: u32, left| {
        let [_, b, c, d] = number.to_be_bytes();
        client(A).with_remote([10, b, c, d].into()).with_left(left).with_numwant(0)
    };
    // Every other one is silent from the start; the others announce half way.
    for number in 0..10_000 {
        embedder.announce(&peer(number, 1));
    }
    embedder.now = Instant::from_secs(700);
    for number in 0..5000 {
        embedder.announce(&peer(2 * number, 1));
    }
    embedder.now = Instant::from_secs(1300);
    let mut number = 0;
    while embedder.tracker.next_expiry().is_some_and(|next| next <= embedder.now) {
        embedder.tracker.expire(embedder.now);
        // Some complete, some leave and some come while it is going on.
        embedder.announce(&peer(2 * number, 0));
        embedder.announce(&stopped(peer(2 * number + 2, 1)));
        embedder.announce(&peer(20_000 + number, 1));
        number += 2;
    }
    assert!(number >= 10, "there were batches");
    let peers = peers(&embedder);
    assert!(peers.iter().all(|peer| detail(peer).expires > embedder.now), "nobody who was due is left");
    // As many came as left.
    assert_eq!(peers.len(), 5000);
    let first = peers.iter().map(|peer| detail(peer).expires).min();
    assert!(embedder.tracker.next_expiry() <= first);
}

/// The batch ends in some swarm, and between its families; then fewer peers are there than were left to look at.
#[test]
fn peers_may_leave_swarms_that_a_batch_did_not_come_to() {
    for expire_batch in 1..8 {
        let mut embedder = Embedder::new(Config::default().with(|config| config.expire_batch = expire_batch));
        let swarms = || (0..6).map(|number| InfoHash::new([number; 20]));
        let peers = || [A, B, C, "[fd77::2]:6881", "[fd77::3]:6881", "[fd77::4]:6881"].map(client);
        // They are looked at when the first could be due, and were heard of since.
        for now in [0, 1000] {
            embedder.now = Instant::from_secs(now);
            for info_hash in swarms() {
                peers().into_iter().for_each(|peer| _ = embedder.announce(&peer.with_info_hash(info_hash)));
            }
        }
        embedder.now = Instant::from_secs(1300);
        embedder.tracker.expire(embedder.now);
        for info_hash in swarms() {
            let [_, stays, leaving @ ..] = peers();
            for peer in leaving {
                embedder.announce(&stopped(peer.with_info_hash(info_hash)));
            }
            assert_eq!(embedder.announce(&stays.with_info_hash(info_hash)).leechers, 2);
        }
        while embedder.tracker.next_expiry().is_some_and(|next| next <= embedder.now) {
            embedder.tracker.expire(embedder.now);
        }
        assert_eq!(embedder.tracker.totals().peers(), 12, "nobody was due");
    }
}

// The interval.

#[test]
fn the_interval_grows_with_all_peers_of_all_shards() {
    let config = Config::default().with(|config| {
        config.announce_budget = 1;
        config.interval_jitter_percent = 0;
    });
    let mut rng = StdRng::seed_from_u64(1);
    let shards = Shards::new(config, NonZeroUsize::new(8).unwrap(), &mut rng).unwrap();
    let mut peers = Peers::default();
    let mut announce = |info_hash, number: usize| {
        let address = format!("10.77.{}.{}:6881", number / 200, 1 + number % 200);
        let request = client(&address).with_info_hash(info_hash);
        shards.announce(Instant::ZERO, &mut rng, &request, &mut peers).unwrap()
    };
    // One big swarm is in one shard; a newcomer in another one shares its load.
    for number in 0..500 {
        announce(TORRENT, number);
    }
    for byte in 0..32 {
        let answer = announce(InfoHash::new([100 + byte; 20]), usize::from(byte));
        let expected = 500 + u64::from(byte);
        assert_eq!(answer.interval.as_secs(), expected, "one announce a second from {expected} peers");
        assert_eq!(answer.min_interval.as_secs(), expected / 2);
    }
}

#[test]
fn a_small_network_announces_every_minute_or_so() {
    let mut embedder = embedder();
    let intervals: BTreeSet<u64> = (0..500).map(|_| embedder.announce(&client(A)).interval.as_secs()).collect();
    assert_eq!(intervals, (54..=66).collect());
    assert!((30..=33).contains(&embedder.announce(&client(A)).min_interval.as_secs()));
}

// Warnings.

#[test]
fn clients_behind_a_gateway_are_warned_when_they_are_several() {
    let gateways = vec!["10.77.0.2".parse().unwrap()];
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.gateways = gateways;
        config.max_pending_events = 100;
    }));
    assert_eq!(embedder.announce(&client(A)).warning, None, "a router may share files, too");
    assert_eq!(happened(&mut embedder), ["created", "joined"]);
    let neighbour = client("10.77.0.2:7000");
    let warning = Some(Warning::SharedAddress { address: "10.77.0.2".parse().unwrap() });
    assert_eq!(embedder.announce(&neighbour).warning, warning);
    assert_eq!(happened(&mut embedder), ["joined", "shared"]);
    assert_eq!(embedder.announce(&client(A)).warning, warning);
    assert_eq!(embedder.announce(&client(B)).warning, None);
    embedder.announce(&stopped(neighbour));
    assert_eq!(embedder.announce(&client(A)).warning, None);
}

#[test]
fn clients_behind_a_gateway_with_the_same_port_are_warned_when_they_evict_each_other() {
    let gateways = vec!["10.77.0.2".parse().unwrap()];
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.gateways = gateways;
        config.max_pending_events = 100;
    }));
    let (one, other) = (client(A), client(A).with_peer_id(peer_id("other")));
    let warning = Some(Warning::SharedAddress { address: "10.77.0.2".parse().unwrap() });
    assert_eq!(embedder.announce(&one).warning, None);
    assert_eq!(embedder.announce(&one).warning, None, "it is alone");
    assert_eq!(happened(&mut embedder), ["created", "joined", "updated"]);
    for client in [&other, &one, &other] {
        assert_eq!(embedder.announce(client).warning, warning);
        assert_eq!(happened(&mut embedder), ["left", "joined", "shared"]);
    }
    embedder.announce(&stopped(other.clone()));
    assert_eq!(embedder.announce(&one).warning, None, "the other one said that it leaves");
    embedder.now = Instant::from_secs(10_000);
    assert_eq!(embedder.announce(&other).warning, None, "the one before was silent for too long");

    // Where there is no gateway, a client was started again.
    embedder.announce(&client(B));
    assert_eq!(embedder.announce(&client(B).with_peer_id(peer_id("other"))).warning, None);
}

// Limits.

#[test]
fn a_swarm_too_many_is_refused() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.max_swarms = 1));
    embedder.announce(&client(A));
    let other = client(B).with_info_hash(OTHER_TORRENT);
    assert_eq!(refused(&mut embedder, &other), AnnounceError::TooManySwarms { limit: 1 });
    embedder.announce(&stopped(client(A)));
    embedder.announce(&other);
}

#[test]
fn swarms_that_are_only_remembered_take_nobodys_place() {
    let config = Config::default().with(|config| {
        config.max_swarms = 2;
        config.max_remembered_swarms = 3;
    });
    let mut embedder = Embedder::new(config);
    for number in 0..10 {
        embedder.now = Instant::from_secs(number.into());
        let request = client(A).with_info_hash(InfoHash::new([100 + number; 20]));
        embedder.announce(&request);
        embedder.announce(&completed(request.clone()));
        embedder.announce(&stopped(request));
    }
    // The latest are remembered.
    let mut remembered = Vec::new();
    embedder.tracker.for_each_swarm(|info_hash, _| remembered.push(info_hash));
    remembered.sort();
    assert_eq!(remembered, [107, 108, 109].map(|byte| InfoHash::new([byte; 20])));

    // One of them that comes to life again is a swarm among the others.
    embedder.announce(&client(A));
    let again = client(B).with_info_hash(InfoHash::new([108; 20]));
    assert_eq!(embedder.announce(&again).completed, 1);
    let third = client(C).with_info_hash(InfoHash::new([109; 20]));
    assert_eq!(refused(&mut embedder, &third), AnnounceError::TooManySwarms { limit: 2 });
}

#[test]
fn a_peer_too_many_for_its_swarm_is_refused() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.max_peers_per_swarm = 2));
    embedder.announce(&client(A));
    embedder.announce(&client(B));
    assert_eq!(refused(&mut embedder, &client(C)), AnnounceError::SwarmFull { limit: 2 });
    // Who is in may announce, move, leave; who takes another's place may come.
    embedder.announce(&client(A).with_port(7000));
    embedder.announce(&client(B).with_peer_id(peer_id("again")));
    embedder.announce(&stopped(client(C)));
    assert_eq!(known(&embedder), set(["10.77.0.2:7000", B]));
    embedder.announce(&stopped(client(B).with_peer_id(peer_id("again"))));
    embedder.announce(&client(C));
    assert_eq!(known(&embedder), set(["10.77.0.2:7000", C]));
}

#[test]
fn a_peer_too_many_for_the_tracker_is_refused() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.max_peers = 2));
    embedder.announce(&client(A));
    embedder.announce(&client(B).with_info_hash(OTHER_TORRENT));
    for request in [client(C), client(C).with_info_hash(InfoHash::new([9; 20]))] {
        assert_eq!(refused(&mut embedder, &request), AnnounceError::TooManyPeers { limit: 2 });
    }
    assert_eq!(embedder.tracker.totals().swarms, 2, "a refusal leaves no swarm behind");
    embedder.announce(&client(A));
    embedder.announce(&stopped(client(A)));
    embedder.announce(&client(C));
}

#[test]
fn a_peer_too_many_at_an_address_takes_the_place_of_the_stalest() {
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.max_peers_per_address = 2;
        config.max_peers_per_swarm = 3;
        config.max_peers = 3;
    }));
    for (now, address) in
        [(0, "10.77.0.2:1"), (1, "10.77.0.2:2"), (2, "10.77.0.3:1"), (3, "10.77.0.2:1"), (4, "10.77.0.2:3")]
    {
        embedder.now = Instant::from_secs(now);
        embedder.announce(&client(address));
    }
    assert_eq!(known(&embedder), set(["10.77.0.2:1", "10.77.0.2:3", "10.77.0.3:1"]));
}

#[test]
fn limits_hold_for_all_shards_together() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut peers = Peers::default();
    let request =
        |byte: u8, host: u8| client(&format!("10.77.0.{host}:6881")).with_info_hash(InfoHash::new([byte; 20]));

    let config = Config::default().with(|config| config.max_swarms = 5);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut rng).unwrap();
    let taken = (0..20).filter(|&byte| shards.announce(Instant::ZERO, &mut rng, &request(byte, 2), &mut peers).is_ok());
    assert_eq!(taken.count(), 5);
    shards.expire(Instant::from_secs(5000));
    let taken =
        (20..40).filter(|&byte| shards.announce(Instant::ZERO, &mut rng, &request(byte, 2), &mut peers).is_ok());
    assert_eq!(taken.count(), 5, "what expired makes room");

    let config = Config::default().with(|config| config.max_peers = 7);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut rng).unwrap();
    let taken =
        (1..40).filter(|&host| shards.announce(Instant::ZERO, &mut rng, &request(host % 3, host), &mut peers).is_ok());
    assert_eq!(taken.count(), 7);
    assert_eq!((shards.totals().peers(), shards.totals().refused_announces), (7, 32));
    shards.set_torrents(TorrentPolicy { allowed: Some([InfoHash::new([0; 20])].into()), ..TorrentPolicy::default() });
    let dropped = 7 - shards.totals().peers();
    let taken =
        (50..100).filter(|&host| shards.announce(Instant::ZERO, &mut rng, &request(0, host), &mut peers).is_ok());
    assert_eq!(taken.count() as u64, dropped, "what is not served any more makes room");
}

#[test]
fn shards_count_right_with_many_threads() {
    const THREADS: u8 = 8;
    let mut rng = StdRng::seed_from_u64(1);
    let shards = Shards::new(Config::default(), NonZeroUsize::new(4).unwrap(), &mut rng).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let shards = &shards;
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(u64::from(thread));
                let mut peers = Peers::default();
                for host in 1..=100 {
                    let address = format!("10.77.{thread}.{host}:6881");
                    let request = client(&address).with_info_hash(InfoHash::new([host % 7; 20]));
                    shards.announce(Instant::ZERO, &mut rng, &request, &mut peers).unwrap();
                    if host % 2 == 0 {
                        shards.announce(Instant::ZERO, &mut rng, &stopped(request), &mut peers).unwrap();
                    }
                }
            });
        }
    });
    let totals = shards.totals();
    assert_eq!((totals.swarms, totals.peers(), totals.announces), (7, 8 * 50, 8 * 150));
    let mut peers = Peers::default();
    shards.announce(Instant::ZERO, &mut rng, &client(A).with_numwant(0), &mut peers).unwrap();
    assert_eq!(shards.totals().peers(), 401);
}

// Policy.

#[test]
fn a_lan_tracker_serves_the_lan() {
    let mut embedder = embedder();
    let error = refused(&mut embedder, &client("8.8.8.8:6881"));
    assert_eq!(error, AnnounceError::AddressNotAllowed { address: [8, 8, 8, 8].into() });
    assert!(error.is_permanent());
    let totals = embedder.tracker.totals();
    assert_eq!((totals.announces, totals.refused_announces, totals.swarms), (1, 1, 0));
    let mut counts = vec![SwarmCounts::default()];
    assert_eq!(
        embedder.tracker.scrape([8, 8, 8, 8].into(), None, &[TORRENT], &mut counts),
        Err(ScrapeError::AddressNotAllowed { address: [8, 8, 8, 8].into() })
    );
    assert!(counts.is_empty());
}

/// Access is decided by the source address, not by the claimed one.
#[test]
fn a_claimed_address_gives_no_access() {
    let mut embedder = embedder();
    let request = client("8.8.8.8:6881").with_claimed_ip(Some([10, 77, 0, 2].into()));
    assert_eq!(refused(&mut embedder, &request), AnnounceError::AddressNotAllowed { address: [8, 8, 8, 8].into() });
}

#[test]
fn torrents_that_are_not_served_are_refused() {
    let torrents = TorrentPolicy { allowed: Some([TORRENT].into()), denied: [InfoHash::new([9; 20])].into() };
    let mut embedder = Embedder::new(Config::default().with(|config| config.torrents = torrents.into()));
    embedder.announce(&client(A));
    let other = client(A).with_info_hash(OTHER_TORRENT);
    let error = refused(&mut embedder, &other);
    assert_eq!((error.is_permanent(), error), (false, AnnounceError::TorrentNotAllowed), "it may be registered soon");
    let denied = client(A).with_info_hash(InfoHash::new([9; 20]));
    let error = refused(&mut embedder, &denied);
    assert_eq!((error.is_permanent(), error), (true, AnnounceError::TorrentDenied));
    assert_eq!(refused(&mut embedder, &stopped(other)), AnnounceError::TorrentNotAllowed);
}

#[test]
fn clients_that_are_not_served_are_refused() {
    let clients = ClientPolicy {
        denied: vec!["-XX".parse().unwrap()],
        denied_networks: vec!["10.77.0.3/32".parse().unwrap()],
        ..ClientPolicy::default()
    };
    let mut embedder = Embedder::new(Config::default().with(|config| config.clients = clients.into()));
    let other = PeerId::new(*b"-YY0001-bbbbbbbbbbbb");
    embedder.announce(&client("10.77.0.2:6881").with_peer_id(other));
    let error =
        refused(&mut embedder, &client("10.77.0.2:6881").with_peer_id(PeerId::new(*b"-XX0001\x00aaaaaaaaaaaa")));
    assert!(matches!(error, AnnounceError::ClientDenied { .. }) && error.is_permanent(), "{error:?}");
    assert_eq!(error.to_string(), "this tracker does not serve this client or version (-XX0001\\x00): use another one");
    let error = refused(&mut embedder, &client("10.77.0.3:6881").with_peer_id(other));
    assert_eq!((error.is_permanent(), error), (true, AnnounceError::AddressDenied { address: [10, 77, 0, 3].into() }));
    assert_eq!(
        embedder.tracker.scrape([10, 77, 0, 3].into(), None, &[TORRENT], &mut Vec::new()),
        Err(ScrapeError::AddressDenied { address: [10, 77, 0, 3].into() })
    );
}

#[test]
fn peers_whose_clients_are_not_served_any_more_leave() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut embedder = Embedder::new(Config::default().with(|config| {
            (config.memory, config.expire_batch, config.max_pending_events) = (memory, 1, 100);
        }));
        for host in 2..8 {
            let peer_id = PeerId::new(if host % 2 == 0 { *b"-XX0001-aaaaaaaaaaaa" } else { *b"-YY0001-aaaaaaaaaaaa" });
            embedder.announce(&client(&format!("10.77.0.{host}:6881")).with_peer_id(peer_id));
        }
        embedder.announce(&client("10.77.0.7:6881").with_info_hash(OTHER_TORRENT));
        happened(&mut embedder);
        embedder.tracker.set_clients(ClientPolicy {
            denied: vec!["-XX".parse().unwrap()],
            denied_networks: vec!["10.77.0.7/32".parse().unwrap()],
            ..ClientPolicy::default()
        });
        // A batch has one peer.
        for _ in 0..10 {
            embedder.tracker.expire(Instant::ZERO);
        }
        // A lean tracker does not know who is which client.
        let (left, peers) = if memory == Memory::Full { (4, 2) } else { (1, 5) };
        let happened = happened(&mut embedder);
        assert_eq!(happened.iter().filter(|what| **what == "left").count(), left + 1, "{memory:?}: {happened:?}");
        assert_eq!((embedder.tracker.totals().swarms, embedder.tracker.totals().peers()), (1, peers), "{memory:?}");
        assert!(embedder.tracker.next_expiry() > Some(Instant::ZERO), "{memory:?}: nothing is left to look at");
    }
}

/// However large the swarm is, one call looks at few of its peers: the last ones first. What comes and goes meanwhile changes nothing.
#[test]
fn one_call_looks_at_a_batch_of_the_peers_of_a_large_swarm() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut embedder =
            Embedder::new(Config::default().with(|config| (config.memory, config.expire_batch) = (memory, 1)));
        let address = |peer: u32| format!("10.77.{}.{}:6881", peer / 200, 1 + peer % 200);
        (0..1000).for_each(|peer| _ = embedder.announce(&client(&address(peer))));
        let denied = ["10.77.0.1/32", "10.77.2.0/29"].map(|network| network.parse().unwrap());
        embedder.tracker.set_clients(ClientPolicy { denied_networks: denied.into(), ..ClientPolicy::default() });
        assert_eq!(embedder.tracker.totals().peers(), 1000, "{memory:?}: the first calls do not come to them");
        let mut calls = 0;
        while embedder.tracker.next_expiry() <= Some(Instant::ZERO) {
            calls += 1;
            // One that is new at the end of another class, so that others move.
            embedder.announce(&seed(client(&address(1000 + calls))));
            embedder.tracker.expire(Instant::ZERO);
        }
        assert!((50..100).contains(&calls), "{memory:?}: {calls} calls");
        assert_eq!(embedder.tracker.totals().peers(), u64::from(1000 - 8 + calls), "{memory:?}");
        // A change in the middle begins anew.
        embedder.tracker.set_clients(ClientPolicy::default());
        embedder.tracker.set_clients(ClientPolicy {
            denied_networks: vec!["10.77.3.0/24".parse().unwrap()],
            ..ClientPolicy::default()
        });
        embedder.tracker.expire(Instant::ZERO);
        embedder.tracker.set_clients(ClientPolicy {
            denied_networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..ClientPolicy::default()
        });
        while embedder.tracker.next_expiry() <= Some(Instant::ZERO) && embedder.tracker.totals().peers() > 0 {
            embedder.tracker.expire(Instant::ZERO);
        }
        assert_eq!(embedder.tracker.totals().peers(), 0, "{memory:?}");
    }
}

#[test]
fn torrents_that_are_not_served_any_more_are_dropped() {
    let mut embedder = embedder();
    embedder.announce(&client(A));
    embedder.announce(&client(A).with_info_hash(OTHER_TORRENT));
    happened(&mut embedder);
    embedder.tracker.set_torrents(TorrentPolicy { allowed: None, denied: [TORRENT].into() });
    assert_eq!(happened(&mut embedder), ["dropped"]);
    assert_eq!((embedder.tracker.totals().swarms, embedder.tracker.totals().peers()), (1, 1));
    assert_eq!(refused(&mut embedder, &client(A)), AnnounceError::TorrentDenied);

    embedder.tracker.set_torrents(TorrentPolicy::default());
    embedder.announce(&client(A));
    assert_eq!(happened(&mut embedder), ["created", "joined"]);
    assert_eq!(counts(&embedder), (0, 1, 0));
}

#[test]
fn one_call_looks_at_a_batch_of_the_torrents_that_are_not_served_any_more() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.expire_batch = 10));
    for number in 0..25 {
        embedder.announce(&client(A).with_info_hash(InfoHash::new([number; 20])));
    }
    let none = || TorrentPolicy { allowed: Some(BTreeSet::new()), ..TorrentPolicy::default() };
    embedder.tracker.set_torrents(none());
    assert_eq!(embedder.tracker.totals().swarms, 15);
    // The others are there until it is their turn, but not served.
    assert!(matches!(refused(&mut embedder, &client(A)), AnnounceError::TorrentNotAllowed));
    assert_eq!(embedder.tracker.next_expiry(), Some(embedder.now));
    embedder.tracker.expire(embedder.now);
    assert_eq!(embedder.tracker.totals().swarms, 5);
    // Those that are served again by then stay.
    embedder.tracker.set_torrents(TorrentPolicy::default());
    while embedder.tracker.next_expiry() == Some(embedder.now) {
        embedder.tracker.expire(embedder.now);
    }
    assert_eq!((embedder.tracker.totals().swarms, embedder.tracker.totals().peers()), (5, 5));
}

// Scrapes.

#[test]
fn a_scrape_tells_counts_in_the_order_asked() {
    let mut embedder = embedder();
    for request in [client(A), completed(client(A)), client(B), event(AnnounceEvent::Paused, client(C))] {
        embedder.announce(&request);
    }
    let mut counts = Vec::new();
    let asked = [OTHER_TORRENT, TORRENT, TORRENT];
    embedder.tracker.scrape([10, 77, 0, 2].into(), None, &asked, &mut counts).unwrap();
    let told = SwarmCounts { seeders: 1, leechers: 2, partial_seeds: 1, completed: 1 };
    assert_eq!(counts, [SwarmCounts::default(), told, told]);
    assert_eq!(embedder.tracker.totals().swarms, 1, "a scrape makes no swarm");
}

#[test]
fn a_scrape_of_too_many_is_refused() {
    let mut embedder = embedder();
    let mut counts = Vec::new();
    let remote = [10, 77, 0, 2].into();
    embedder.tracker.scrape(remote, None, &[TORRENT; 128], &mut counts).unwrap();
    assert_eq!(counts.len(), 128);
    let error = embedder.tracker.scrape(remote, None, &[TORRENT; 129], &mut counts);
    assert_eq!(error, Err(ScrapeError::TooManyHashes { limit: 128, asked: 129 }));
    assert!(counts.is_empty());
    assert_eq!(embedder.tracker.totals().scrapes, 2);
}

// Events.

#[test]
fn nobody_listens_unless_there_is_room_for_events() {
    let mut embedder = Embedder::new(Config::default());
    embedder.announce(&client(A));
    assert_eq!(happened(&mut embedder), [""; 0]);
    assert_eq!(embedder.tracker.totals().dropped_events, 0);
}

#[test]
fn without_update_events_all_other_events_come() {
    let config = Config::default().with(|config| {
        config.max_pending_events = 100;
        config.update_events = false;
    });
    let mut embedder = Embedder::new(config);
    embedder.announce(&client(A));
    embedder.announce(&client(A));
    embedder.announce(&client(A).with_port(7000));
    embedder.announce(&completed(client(A)).with_port(7000));
    embedder.announce(&stopped(client(A)).with_port(7000));
    assert_eq!(happened(&mut embedder), ["created", "joined", "completed", "left"]);
    assert_eq!(embedder.tracker.totals().dropped_events, 0);
}

#[test]
fn events_that_nobody_takes_are_dropped_and_counted() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.max_pending_events = 3));
    for request in [client(A), client(B), client(C), completed(client(A))] {
        embedder.announce(&request);
    }
    assert_eq!(embedder.tracker.totals().dropped_events, 3);
    assert_eq!(happened(&mut embedder), ["joined", "updated", "completed"], "the latest stay");
    embedder.announce(&stopped(client(A)));
    assert_eq!(happened(&mut embedder), ["left"]);
}

#[test]
fn an_event_tells_all_about_its_peer() {
    let mut embedder = embedder();
    embedder.now = Instant::from_secs(7);
    let request = client(A).with_uploaded(1).with_downloaded(2).with_left(3);
    embedder.announce(&request);
    assert_eq!(happened(&mut embedder).len(), 2);
    embedder.now = Instant::from_secs(9);
    embedder.announce(&request.clone().with_uploaded(4).with_port(7000));
    let mut events = Vec::new();
    embedder.tracker.poll_events(&mut events);
    let event = events.remove(0);
    assert_eq!((event.at, event.info_hash), (embedder.now, TORRENT));
    let EventKind::PeerUpdated { peer, moved_from } = event.kind else { panic!("{event:?}") };
    assert_eq!(moved_from.unwrap().to_string(), A);
    assert_eq!((peer.address.to_string().as_str(), peer.state), ("10.77.0.2:7000", PeerState::Leecher));
    assert_eq!((detail(&peer).peer_id, detail(&peer).key), (request.peer_id, request.key));
    assert_eq!((detail(&peer).uploaded, detail(&peer).downloaded, detail(&peer).left), (4, 2, Some(3)));
    assert_eq!(
        (detail(&peer).first_seen.as_secs(), detail(&peer).last_seen.as_secs(), detail(&peer).expires.as_secs()),
        (7, 9, 9 + 1260)
    );
}

/// So that most clients of a hybrid torrent, which are in both its swarms, are shown once.
#[test]
fn a_client_is_recognised_in_another_swarm() {
    for memory in [Memory::Full, Memory::Lean] {
        let new = || Embedder::new(Config::default().with(|config| config.memory = memory));
        let announced = |address: &str, name: &str| {
            client(address).with_peer_id(peer_id(name)).with_key(PeerKey::from_bytes(name.as_bytes()))
        };
        let mut embedder = new();
        for (address, name) in [(A, "one"), ("10.77.0.9:0", "two"), ("[fd00::1]:6881", "three")] {
            embedder.announce(&announced(address, name));
        }
        let details = memory == Memory::Full;
        for (address, name, expected) in [
            (A, "one", true),
            // Two cannot listen at one port.
            (A, "other", true),
            ("[fd00::1]:6881", "three", true),
            (B, "one", false),
            ("10.77.0.9:0", "two", true),
            ("10.77.0.9:0", "other", !details),
            ("10.77.0.2:7000", "one", details),
            ("10.77.0.2:7000", "other", false),
        ] {
            let mut other = new();
            other.announce(&announced(address, name));
            let peer = peers(&other).remove(0);
            let is_there = embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.has_client(&peer));
            assert_eq!(is_there, Some(expected), "{memory:?} {address} {name}");
        }
    }
}

#[test]
fn users_who_are_switched_off_leave_their_swarms() {
    let key = |number| UserKey::new([number; 16]);
    let rule = |number: u8| (key(number), UserRule::new(UserId(number.into())));
    let config = Config::default().with(|config| {
        config.users = true;
        config.max_pending_events = 1000;
    });
    let shards = Shards::new(config.clone(), NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
    let mut embedder = Embedder::new(config);
    shards.set_users(Instant::ZERO, [rule(1), rule(2)]);
    embedder.tracker.set_users(Instant::ZERO, [rule(1), rule(2)]);
    let mut rng = StdRng::seed_from_u64(1);
    for (address, number) in [(A, 1), (B, 2), ("[fd77::2]:6881", 1)] {
        let mut request = client(address).with_user_key(Some(key(number)));
        // One client with two addresses.
        request.peer_id = peer_id(&number.to_string());
        embedder.announce(&request);
        shards.announce(Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
    }
    let off = rule(1).1.with(|rule| rule.is_active = false);
    shards.set_users(Instant::ZERO, [(key(1), off.clone()), rule(2)]);
    embedder.tracker.set_users(Instant::ZERO, [(key(1), off), rule(2)]);
    let left = |counts: Option<SwarmCounts>| counts.map(|counts| counts.leechers);
    assert_eq!(left(shards.with_swarm(&TORRENT, |swarm| swarm.counts())), Some(1));
    assert_eq!(left(embedder.tracker.with_swarm(&TORRENT, |swarm| swarm.counts())), Some(1));
    let mut events = Vec::new();
    embedder.tracker.poll_events(&mut events);
    assert_eq!(events.iter().filter(|event| matches!(event.kind, EventKind::PeerLeft(_))).count(), 2);
    // An address that is not admitted gets that error, whatever the key.
    let network = NetworkConfig::from(embedder.tracker.config()).with(|network| network.access = Access::default());
    embedder.tracker.set_network(network).unwrap();
    let stranger = client("203.0.113.9:7000");
    let refused = embedder.tracker.announce(Instant::ZERO, &mut rng, &stranger, &mut Peers::default());
    assert_eq!(refused, Err(AnnounceError::AddressNotAllowed { address: stranger.remote() }));
    let refused = embedder.tracker.announce(Instant::ZERO, &mut rng, &client(C), &mut Peers::default());
    assert_eq!(refused, Err(AnnounceError::UnknownUser));
}
