//! Whom the planner dials, from where, by which way and when, and what it concludes.

use tracker_core::{Access, PeerKey, Reachability};
use tracker_peer::{
    Action, Announced, CloseReason, ConnectionEvent, DialOutcome, Encryption, Network, ProbeOutcome, Reason, Refusal,
    Torrent, UtpOutcome,
};

use crate::lab::{Lab, OTHER_SWARM, SWARM, as_dial, at, ip, leecher, network, peer_id, secs, seeder};

const PEER: &str = "10.77.0.9:6881";

#[test]
fn a_newcomer_is_dialled_at_once_and_left_alone_while_connected() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    let Action::Dial { connection, info_hash, peer_id, to, from, encryption, only_if_nobody_here } = lab.action()
    else {
        panic!("it is dialled")
    };
    assert_eq!((info_hash, peer_id, to), (SWARM, leecher(PEER).peer_id, at(PEER)));
    assert_eq!((from, encryption, only_if_nobody_here), (ip("10.77.0.1"), Encryption::Plain, true));
    lab.planner.handle_dialled(lab.now, connection, DialOutcome::Established { peer_id });
    let (address, reachability) = (at(PEER), Reachability::Yes);
    assert_eq!(lab.action(), Action::SetReachability { info_hash, address, peer_id, reachability });
    lab.announce(Announced { reachability, ..leecher(PEER) });
    lab.wait(secs(3600));
    assert_eq!(lab.actions(), []);
    let sighting = lab.sighting(PEER);
    assert_eq!((sighting.is_connected, sighting.age), (true, Some(secs(0))));
    assert_eq!((sighting.peer_id, sighting.is_encrypted), (Some(peer_id), false));
}

#[test]
fn an_address_is_connected_to_if_all_its_peers_are() {
    let mut lab = Lab::new();
    let connected = |lab: &Lab, at_ip| lab.planner.is_connected_to_all_at(&SWARM, ip(at_ip));
    let address = at(PEER).ip().to_string();
    assert!(!connected(&lab, &address), "nobody is there");
    let connection = lab.connect(leecher(PEER));
    assert!(connected(&lab, &address) && !connected(&lab, "10.77.0.99"));
    // Another client of the machine, or of another one behind the same address.
    lab.announce(leecher(&format!("{address}:7777")));
    assert!(!connected(&lab, &address));
    lab.leave(&format!("{address}:7777"));
    assert!(connected(&lab, &address));
    lab.event(connection, ConnectionEvent::Closed);
    assert!(!connected(&lab, &address));
}

#[test]
fn what_the_tracker_has_forgotten_is_told_again() {
    let mut lab = Lab::new();
    lab.connect(leecher(PEER));
    lab.actions();
    for (known, told) in [(Reachability::Unknown, true), (Reachability::Yes, false), (Reachability::No, true)] {
        lab.announce(Announced { reachability: known, ..leecher(PEER) });
        let (address, peer_id) = (at(PEER), leecher(PEER).peer_id);
        let action = Action::SetReachability { info_hash: SWARM, address, peer_id, reachability: Reachability::Yes };
        assert_eq!(lab.actions(), Vec::from_iter(told.then_some(action)), "{known:?}");
    }
    // Another tracker's peer of its own may have found it out, or this one before it was started again.
    lab.announce(Announced { reachability: Reachability::No, ..leecher("10.77.0.8:6881") });
    let told = lab.actions().into_iter().find(|action| matches!(action, Action::SetReachability { .. }));
    assert!(matches!(told, Some(Action::SetReachability { reachability: Reachability::Unknown, .. })), "{told:?}");
}

#[test]
fn only_peers_that_announced_from_an_admitted_address_of_the_lan_are_dialled() {
    let mut lab = Lab::with(Network { access: Access::All, ..network() });
    lab.announce(Announced { is_claimed: true, ..leecher("10.77.0.2:6881") });
    for address in ["10.77.0.3:0", "10.77.0.4:1", "203.0.113.5:6881", "[2001:db8::6]:6881", "[fe80::7]:6881"] {
        lab.announce(leecher(address));
    }
    lab.wait(secs(600));
    assert_eq!(lab.actions(), []);
    lab.announce(leecher("10.77.0.9:6881"));
    lab.announce(leecher("[fd77::9]:6881"));
    let dials: Vec<_> = lab.dials().iter().map(|dial| (dial.to, dial.from)).collect();
    assert_eq!(dials, [(at("10.77.0.9:6881"), ip("10.77.0.1")), (at("[fd77::9]:6881"), ip("fd77::1"))]);
}

#[test]
fn attempts_that_fail_are_made_again_after_1_3_10_30_and_120_seconds() {
    for outcome in [DialOutcome::OtherTorrent, DialOutcome::Withheld, DialOutcome::Refused, DialOutcome::NoAnswer] {
        let mut lab = Lab::new();
        lab.announce(leecher(PEER));
        let mut dial = lab.dial();
        for delay in [1, 3, 10, 30, 120, 120] {
            lab.dialled(dial, outcome);
            for action in lab.actions() {
                if let Action::ProbeUtp { connection, .. } = action {
                    lab.utp_probed(connection, UtpOutcome::NoAnswer);
                }
            }
            while lab.planner.poll_action().is_some() {}
            let (waited, next) = lab.wait_for_dial();
            assert_eq!(waited, secs(delay), "{outcome:?}");
            dial = next;
        }
    }
}

#[test]
fn what_is_closed_without_a_handshake_is_tried_encrypted_at_once_and_the_way_that_works_is_remembered() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    let plain = lab.dial();
    lab.dialled(plain, DialOutcome::NoHandshake);
    let encrypted = lab.dial();
    assert_eq!((encrypted.encryption, encrypted.to), (Encryption::Mse, plain.to));
    lab.established(encrypted, leecher(PEER));
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, Some(Reason::EncryptedOnly)));
    assert!(lab.sighting(PEER).is_encrypted);
    lab.actions();
    // In another torrent, too. There plain is the second way.
    lab.announce_in(OTHER_SWARM, Torrent::Public, leecher(PEER));
    let first = lab.dial();
    assert_eq!(first.encryption, Encryption::Mse);
    lab.dialled(first, DialOutcome::NoHandshake);
    assert_eq!(lab.dial().encryption, Encryption::Plain);
}

#[test]
fn a_client_without_the_torrent_is_told_from_one_that_cannot_be_reached() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    for failures in 1..=3 {
        let plain = if failures == 1 { lab.dial() } else { lab.wait_for_dial().1 };
        lab.dialled(plain, DialOutcome::NoHandshake);
        let encrypted = lab.dial();
        assert_eq!((plain.encryption, encrypted.encryption), (Encryption::Plain, Encryption::Mse));
        assert_eq!(lab.verdict(PEER), (Reachability::Unknown, None));
        lab.dialled(encrypted, DialOutcome::NoHandshake);
    }
    assert_eq!(lab.verdict(PEER), (Reachability::No, Some(Reason::NotThisTorrent)));
    assert!(matches!(lab.action(), Action::SetReachability { reachability: Reachability::No, .. }));

    // It was still checking its files, and connects itself for the torrent.
    lab.accept(leecher(PEER)).unwrap();
    assert_eq!(lab.verdict(PEER), (Reachability::Unknown, None));
    // It was asked by uTP as well, and probes are rare.
    lab.wait(secs(60));
    let probe = lab.actions().into_iter().find_map(|action| match action {
        Action::Probe { connection, .. } => Some(connection),
        _ => None,
    });
    lab.planner.handle_probed(lab.now, probe.expect("it is probed"), ProbeOutcome::Connected);
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, None));
}

#[test]
fn a_client_that_closes_tcp_is_asked_for_the_torrent_by_utp() {
    for (utp, verdict) in [
        (UtpOutcome::ShookHands, (Reachability::Yes, Some(Reason::UtpOnly))),
        (UtpOutcome::Answered, (Reachability::No, Some(Reason::NotThisTorrent))),
    ] {
        let mut lab = Lab::new();
        lab.announce(leecher(PEER));
        let begin = lab.now;
        let mut probes = Vec::new();
        for _ in 0..5 {
            for _way in 0..2 {
                let (_, dial) = lab.wait_for_dial();
                lab.dialled(dial, DialOutcome::NoHandshake);
            }
            // The next dial may be due as well as this.
            for action in lab.actions() {
                if let Action::ProbeUtp { connection, to, from, shakes_hands, .. } = action {
                    assert_eq!((to, from, shakes_hands), (at(PEER), ip("10.77.0.1"), true));
                    probes.push(lab.now - begin);
                    lab.utp_probed(connection, utp);
                }
            }
        }
        assert_eq!(lab.verdict(PEER), verdict);
        // At 0, 1, 4, 14 and 44 s it was dialled.
        assert_eq!(probes, [secs(0)], "one in a minute");
        for _way in 0..2 {
            let (_, dial) = lab.wait_for_dial();
            lab.dialled(dial, DialOutcome::NoHandshake);
        }
        let is_probed = |action: &Action| matches!(action, Action::ProbeUtp { shakes_hands: true, .. });
        assert!(lab.actions().iter().any(is_probed), "after 164 s");
    }
}

#[test]
fn utp_is_tried_once_when_tcp_fails() {
    for (utp, verdict) in [
        (UtpOutcome::Answered, (Reachability::Yes, Some(Reason::UtpOnly))),
        (UtpOutcome::NoAnswer, (Reachability::No, Some(Reason::Refused))),
    ] {
        let mut lab = Lab::new();
        lab.announce(leecher(PEER));
        let dial = lab.dial();
        lab.dialled(dial, DialOutcome::Refused);
        let Action::ProbeUtp { connection, to, from, shakes_hands, .. } = lab.action() else { panic!("uTP is tried") };
        assert_eq!((to, from, shakes_hands), (at(PEER), ip("10.77.0.1"), false));
        lab.utp_probed(connection, utp);
        assert_eq!(lab.actions(), [], "after one failure nothing is certain");
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::Refused);
        assert_eq!(lab.verdict(PEER), verdict);
    }
}

#[test]
fn another_client_at_the_address_is_told() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    let dial = lab.dial();
    lab.dialled(dial, DialOutcome::Established { peer_id: peer_id(99) });
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, Some(Reason::OtherClient)));
    assert_eq!(lab.sighting(PEER).peer_id, Some(peer_id(99)));
}

#[test]
fn an_address_is_dialled_once_at_a_time() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    lab.announce_in(OTHER_SWARM, Torrent::Public, leecher(PEER));
    lab.announce(leecher("10.77.0.9:6882"));
    let first = lab.dial();
    lab.established(first, leecher(PEER));
    let second = lab.dials();
    assert_eq!(second.len(), 1);
    lab.dialled(second[0], DialOutcome::NoHandshake);
    assert_eq!(lab.dials().len(), 1);
}

#[test]
fn a_connection_that_ends_as_usual_is_made_again_soon_and_one_that_is_refused_later_each_time() {
    let mut lab = Lab::new();
    let mut connection = lab.connect(leecher(PEER));
    for _ in 0..3 {
        lab.actions();
        // As aria2 does.
        lab.wait(secs(30));
        lab.event(connection, ConnectionEvent::Closed);
        let (waited, dial) = lab.wait_for_dial();
        assert_eq!(waited, secs(2));
        lab.established(dial, leecher(PEER));
        connection = dial.connection;
    }
    for delay in [1, 3, 10, 30, 120, 120] {
        lab.event(connection, ConnectionEvent::Closed);
        let (waited, dial) = lab.wait_for_dial();
        assert_eq!(waited, secs(delay));
        lab.established(dial, leecher(PEER));
        connection = dial.connection;
    }
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, None));
}

#[test]
fn a_peer_that_leaves_is_not_looked_at_any_more() {
    let mut lab = Lab::new();
    let connection = lab.connect(leecher(PEER));
    lab.actions();
    lab.leave(PEER);
    assert_eq!(lab.action(), Action::Close { connection, reason: CloseReason::Left });
    lab.announce(leecher(PEER));
    let dial = lab.dial();
    lab.planner.handle_swarm_dropped(lab.now, &SWARM);
    assert_eq!(lab.action(), Action::Close { connection: dial.connection, reason: CloseReason::Left });
    lab.dialled(dial, DialOutcome::Refused);
    lab.event(connection, ConnectionEvent::Closed);
    lab.wait(secs(600));
    assert_eq!((lab.actions(), lab.planner.poll_timeout()), (vec![], None));
    assert_eq!(lab.planner.sighting(lab.now, &SWARM, at(PEER)), None);
}

#[test]
fn progress_is_kept_until_another_client_takes_the_address() {
    let mut lab = Lab::new();
    let connection = lab.connect(leecher(PEER));
    lab.event(connection, ConnectionEvent::Client { name: "aria2 1.36.0" });
    lab.progress(connection, 10, 100);
    lab.wait(secs(5));
    lab.progress(connection, 60, 100);
    assert_eq!(lab.sighting(PEER).rate, 10.0);
    lab.event(connection, ConnectionEvent::Closed);
    lab.wait(secs(9));
    let sighting = lab.sighting(PEER);
    assert_eq!((sighting.is_connected, sighting.age, sighting.rate), (false, Some(secs(9)), 0.0));
    assert_eq!(sighting.progress.map(|progress| (progress.pieces, progress.of)), Some((60, Some(100))));
    assert_eq!(sighting.client.as_deref(), Some("aria2 1.36.0"));
    lab.announce(Announced { peer_id: peer_id(99), ..leecher(PEER) });
    assert_eq!(lab.sighting(PEER).progress, None);
}

#[test]
fn a_client_with_two_addresses_is_connected_once_and_the_other_address_probed() {
    let mut lab = Lab::new();
    let (v4, v6) = ("10.77.0.9:6881", "[fd77::9]:6881");
    let client = |address| Announced { peer_id: peer_id(1), key: PeerKey::from_number(5), ..leecher(address) };
    lab.announce(client(v4));
    lab.announce(client(v6));
    let dial = lab.dial();
    lab.established(dial, client(v4));
    lab.actions();
    let (waited, Action::Probe { connection, to, .. }) = lab.wait_for_action() else { panic!("it is probed") };
    assert_eq!((waited, to), (secs(1), at(v6)));
    lab.probed(connection, ProbeOutcome::Connected);
    assert_eq!(lab.verdict(v6), (Reachability::Yes, None));
    lab.actions();
    lab.wait(secs(600));
    assert_eq!(lab.actions(), []);
    // Another client may have the same peer id, but hardly the same key.
    lab.announce(Announced { peer_id: peer_id(1), ..leecher("10.77.0.10:6881") });
    assert_eq!(lab.dials().len(), 1);
    // When the connection is gone, either address will do.
    lab.event(dial.connection, ConnectionEvent::Closed);
    lab.wait(secs(10));
    let dials = lab.dials();
    assert_eq!(dials.iter().map(|dial| dial.to).collect::<Vec<_>>(), [at(v4)]);
}

#[test]
fn a_peer_that_connects_by_itself_is_probed_to_learn_whether_others_can_connect_to_it() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    let dial = lab.dial();
    lab.dialled(dial, DialOutcome::NoAnswer);
    lab.actions();
    assert!(lab.accept(leecher(PEER)).is_ok());
    let (waited, Action::Probe { connection, to, from, .. }) = lab.wait_for_action() else { panic!("it is probed") };
    assert_eq!((waited, to, from), (secs(1), at(PEER), ip("10.77.0.1")));
    lab.probed(connection, ProbeOutcome::NoAnswer);
    assert_eq!(lab.verdict(PEER), (Reachability::No, Some(Reason::NoAnswer)));
    assert!(lab.sighting(PEER).is_connected);
    lab.actions();
    let (waited, Action::Probe { connection, .. }) = lab.wait_for_action() else { panic!("it is probed again") };
    assert_eq!(waited, secs(60));
    lab.probed(connection, ProbeOutcome::Connected);
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, None));
    lab.actions();
    lab.wait(secs(600));
    assert_eq!(lab.actions(), []);
}

#[test]
fn only_peers_that_announced_are_let_in_once_each() {
    let mut lab = Lab::new();
    assert_eq!(lab.accept(leecher(PEER)), Err(Refusal::Stranger), "the swarm is not known");
    lab.announce(leecher("10.77.0.8:6881"));
    assert_eq!(lab.accept(leecher(PEER)), Err(Refusal::Stranger));
    lab.announce(leecher(PEER));
    lab.announce(leecher("10.77.0.9:0"));
    lab.announce(leecher("127.0.0.1:6881"));
    assert_eq!(lab.accept(leecher("10.77.0.1:6881")), Err(Refusal::SameMachine));
    lab.leave("127.0.0.1:6881");
    assert!(lab.accept(leecher(PEER)).is_ok());
    assert_eq!(lab.accept(leecher(PEER)), Err(Refusal::AlreadyConnected));
    // One that does not listen, with another peer id on each connection.
    assert!(lab.accept(Announced { peer_id: peer_id(50), ..leecher(PEER) }).is_ok());
    assert_eq!(lab.accept(Announced { peer_id: peer_id(51), ..leecher(PEER) }), Err(Refusal::AlreadyConnected));
    assert!(lab.sighting("10.77.0.9:0").is_connected);
}

#[test]
fn a_peer_that_connects_while_it_is_dialled_has_one_connection() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    let dial = lab.dial();
    assert!(lab.accept(leecher(PEER)).is_ok());
    lab.established(dial, leecher(PEER));
    let close = Action::Close { connection: dial.connection, reason: CloseReason::Duplicate };
    assert!(lab.actions().contains(&close));
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, None));
    assert!(lab.sighting(PEER).is_connected);
}

#[test]
fn a_refused_duplicate_says_nothing_of_the_torrent() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    for _ in 0..3 {
        let (_, dial) = lab.wait_for_dial();
        let connection = lab.accept(leecher(PEER)).unwrap();
        lab.dialled(dial, DialOutcome::NoHandshake);
        lab.event(connection, ConnectionEvent::Closed);
        assert_eq!(lab.verdict(PEER), (Reachability::Unknown, None));
    }
}

#[test]
fn a_change_of_the_network_counts_at_once() {
    let mut lab = Lab::new();
    let connection = lab.connect(leecher(PEER));
    lab.announce(leecher("192.168.1.9:6881"));
    lab.actions();
    let access = Access::Networks(vec!["192.168.1.0/24".parse().unwrap()]);
    lab.planner.set_network(lab.now, Network { access, ..network() });
    assert_eq!(lab.action(), Action::Close { connection, reason: CloseReason::NetworkChanged });
    lab.planner.set_network(lab.now, network());
    assert_eq!(lab.dials().iter().map(|dial| dial.to).collect::<Vec<_>>(), [at(PEER)]);
}

#[test]
fn an_announce_changes_the_state_and_nothing_else() {
    let mut lab = Lab::new();
    lab.connect(leecher(PEER));
    lab.actions();
    lab.announce(seeder(PEER));
    assert_eq!(lab.actions().iter().filter_map(as_dial).count(), 0);
}
