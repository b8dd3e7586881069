//! The tracker's own peer never uses an address under which a peer on this machine is handed out.

use tracker_core::{PeerKey, PeerState, Reachability};
use tracker_peer::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Encryption, Incoming, Network,
    ProbeOutcome, Reason, Refusal, Sharing,
};

use crate::lab::{Dial, Lab, SWARM, as_dial, at, ip, leecher, network, secs, seeder, source};

const PEER: &str = "10.77.0.9:6881";
const V6_PEER: &str = "[fd77::9]:6881";
const HERE: &str = "127.0.0.1:51413";

/// The connections that are closed because of a peer on this machine.
fn closed(actions: &[Action]) -> Vec<ConnectionId> {
    let closed = actions.iter().filter_map(|action| match action {
        Action::Close { connection, reason: CloseReason::PeerHere } => Some(*connection),
        _ => None,
    });
    closed.collect()
}

#[test]
fn when_a_peer_on_this_machine_joins_all_connections_and_dials_from_its_addresses_end() {
    for (here, closes_v4, closes_v6) in [
        // Handed out under the address by which the asker came, of either family.
        ("127.0.0.1:51413", true, true),
        ("127.0.0.5:51413", true, true),
        ("[::1]:51413", true, true),
        // In its family.
        ("10.77.0.1:51413", true, false),
        ("[fd77::1]:51413", false, true),
        // A container, by a port that is published on this machine.
        ("172.17.0.2:51413", true, false),
        // It does not listen, and connects from this machine nevertheless.
        ("10.77.0.1:0", true, false),
    ] {
        for is_established in [true, false] {
            let mut lab = Lab::new();
            let dials = [PEER, V6_PEER].map(|address| {
                lab.announce(leecher(address));
                let dial = lab.dial();
                if is_established {
                    lab.established(dial, leecher(address));
                    lab.actions();
                }
                dial.connection
            });
            lab.announce(leecher(here));
            let expected: Vec<_> =
                dials.into_iter().zip([closes_v4, closes_v6]).filter(|(_, is_closed)| *is_closed).collect();
            let expected: Vec<_> = expected.into_iter().map(|(connection, _)| connection).collect();
            assert_eq!(closed(&lab.actions()), expected, "{here}, established: {is_established}");
        }
    }
}

#[test]
fn beside_a_peer_on_this_machine_others_are_only_probed_once_a_minute() {
    let mut lab = Lab::new();
    lab.announce(seeder(HERE));
    let local = lab.dial();
    lab.established(local, seeder(HERE));
    lab.actions();
    lab.announce(leecher(PEER));
    let mut action = lab.action();
    for (outcome, delay, verdict) in [
        (ProbeOutcome::Refused, 60, (Reachability::Unknown, None)),
        (ProbeOutcome::Refused, 60, (Reachability::No, Some(Reason::Refused))),
        (ProbeOutcome::Connected, 120, (Reachability::Yes, None)),
        (ProbeOutcome::Connected, 120, (Reachability::Yes, None)),
        (ProbeOutcome::Withheld, 60, (Reachability::Yes, None)),
    ] {
        let Action::Probe { connection, to, from, .. } = action else { panic!("{action:?}") };
        assert_eq!((to, from), (at(PEER), ip("10.77.0.1")));
        lab.probed(connection, outcome);
        assert_eq!(lab.verdict(PEER), verdict);
        for action in lab.actions() {
            assert!(!matches!(action, Action::Dial { .. } | Action::Probe { .. }), "{action:?}");
        }
        let mut waited = secs(0);
        action = loop {
            let (more, next) = lab.wait_for_action();
            waited += more;
            if !matches!(next, Action::Introduce { .. }) {
                break next;
            }
        };
        assert_eq!(waited, secs(delay), "after {outcome:?}");
    }
}

#[test]
fn when_the_last_peer_on_this_machine_has_left_the_others_are_dialled_again() {
    let mut lab = Lab::new();
    lab.connect(leecher(PEER));
    lab.actions();
    for here in [HERE, "127.0.0.1:51414"] {
        lab.announce(seeder(here));
        for action in lab.actions() {
            match action {
                Action::Dial { .. } => lab.established(as_dial(&action).unwrap(), seeder(here)),
                Action::Probe { connection, .. } => lab.probed(connection, ProbeOutcome::Connected),
                _ => {}
            }
        }
    }
    lab.actions();
    lab.leave(HERE);
    assert_eq!(lab.dials(), []);
    lab.leave("127.0.0.1:51414");
    let dial = lab.dial();
    assert_eq!((dial.to, dial.from, dial.only_if_nobody_here), (at(PEER), ip("10.77.0.1"), true));
}

#[test]
fn an_address_that_only_the_own_peer_uses_stays_in_use() {
    let mut sources = network().sources;
    sources.push(source("10.77.0.2/24", Sharing::Exclusive));
    let own_addresses = ["10.77.0.1", "10.77.0.2", "fd77::1"].map(ip).into();
    let mut lab = Lab::with(Network { sources, own_addresses, ..network() });
    lab.announce(leecher(PEER));
    let dial = lab.dial();
    assert_eq!((dial.from, dial.only_if_nobody_here), (ip("10.77.0.2"), true));
    lab.established(dial, leecher(PEER));
    lab.actions();
    lab.announce(seeder(HERE));
    let actions = lab.actions();
    assert_eq!(closed(&actions), []);
    let local = actions.iter().find_map(as_dial).expect("the client here is dialled");
    lab.established(local, seeder(HERE));
    lab.wait(secs(2));
    // The peer is told of it under the address at which the tracker hands it out, and not under that of the connection.
    let told = lab.actions().into_iter().find_map(|action| match action {
        Action::Introduce { connection, added, .. } if connection == dial.connection => Some(added[0].address),
        _ => None,
    });
    assert_eq!(told, Some(at("10.77.0.1:51413")));
    // The planner knows of the peer on this machine, and of the way around it.
    lab.announce(leecher("10.77.0.8:6881"));
    let dial = lab.dials()[0];
    assert_eq!((dial.from, dial.only_if_nobody_here), (ip("10.77.0.2"), false));
    // It does not once it may not know of all.
    for (is_incomplete, announced) in [(true, "10.77.0.7:6881"), (false, "10.77.0.6:6881")] {
        lab.planner.set_incomplete(is_incomplete);
        assert_eq!(lab.planner.is_incomplete(), is_incomplete);
        lab.announce(leecher(announced));
        let dial = lab.dials()[0];
        assert_eq!((dial.from, dial.only_if_nobody_here), (ip("10.77.0.2"), is_incomplete));
    }
    // A client that is bound to that address.
    lab.announce(leecher("10.77.0.2:51414"));
    assert_eq!(closed(&lab.actions()).len(), 4);
}

#[test]
fn a_client_on_this_machine_is_dialled_over_loopback_and_its_reachability_stays_unknown() {
    for (announced, to, from) in [
        ("127.0.0.1:51413", "127.0.0.1:51413", "127.0.0.1"),
        ("127.0.0.5:51413", "127.0.0.5:51413", "127.0.0.1"),
        ("10.77.0.1:51413", "127.0.0.1:51413", "127.0.0.1"),
        ("[fd77::1]:51413", "[::1]:51413", "::1"),
        ("[::1]:51413", "[::1]:51413", "::1"),
    ] {
        let mut lab = Lab::new();
        lab.announce(leecher(announced));
        let Dial { connection, encryption, .. } = {
            let dial = lab.dial();
            assert_eq!((dial.to, dial.from, dial.only_if_nobody_here), (at(to), ip(from), false), "{announced}");
            dial
        };
        assert_eq!(encryption, Encryption::Plain);
        lab.planner.handle_dialled(lab.now, connection, DialOutcome::Refused);
        let (_, again) = lab.wait_for_dial();
        lab.dialled(again, DialOutcome::Refused);
        // Bound to another address, perhaps.
        assert_eq!(lab.verdict(announced), (Reachability::Unknown, Some(Reason::SameMachine)));
        let (_, again) = lab.wait_for_dial();
        lab.established(again, leecher(announced));
        assert_eq!(lab.verdict(announced), (Reachability::Unknown, Some(Reason::SameMachine)));
        assert!(!lab.actions().iter().any(|action| matches!(action, Action::SetReachability { .. })));
    }
}

#[test]
fn two_clients_on_this_machine_are_both_dialled_where_they_go_out_by_the_lan() {
    for (network, dials) in [(network(), 2), (Network::default(), 0)] {
        let mut lab = Lab::with(network);
        lab.announce(seeder(HERE));
        let first = lab.dial();
        lab.established(first, seeder(HERE));
        lab.actions();
        lab.announce(leecher("127.0.0.1:51414"));
        let actions = lab.actions();
        // Without another address they find each other over loopback.
        assert_eq!(closed(&actions).len() + dials / 2, 1, "{actions:?}");
        assert_eq!(actions.iter().filter_map(as_dial).count() + 1, dials.max(1));
    }
}

#[test]
fn no_connection_is_accepted_at_an_address_of_a_peer_on_this_machine() {
    let mut lab = Lab::new();
    lab.announce(leecher(PEER));
    lab.announce(leecher(V6_PEER));
    lab.announce(seeder("10.77.0.1:51413"));
    assert_eq!(lab.accept(leecher(PEER)), Err(Refusal::PeerHere));
    assert!(lab.accept(leecher(V6_PEER)).is_ok());
    // At an address that is not known as this machine's.
    let incoming = Incoming {
        info_hash: SWARM,
        peer_id: leecher(PEER).peer_id,
        remote: ip("10.77.0.9"),
        local: ip("10.77.0.200"),
        encryption: Encryption::Plain,
    };
    assert_eq!(lab.planner.handle_accepted(lab.now, &incoming), Err(Refusal::PeerHere));
}

#[test]
fn a_client_is_looked_at_under_its_other_family_where_a_peer_on_this_machine_goes_out_in_one() {
    let mut lab = Lab::new();
    let client = |address| Announced {
        peer_id: leecher(PEER).peer_id,
        key: PeerKey::from_number(7),
        state: PeerState::Leecher,
        ..leecher(address)
    };
    lab.announce(client(PEER));
    let dial = lab.dial();
    lab.established(dial, client(PEER));
    lab.actions();
    lab.announce(client(V6_PEER));
    let Action::Probe { connection, .. } = lab.action() else { panic!("the other address is probed") };
    lab.announce(seeder("10.77.0.1:51413"));
    let local = lab.dial();
    assert_eq!(local.to, at("127.0.0.1:51413"));
    lab.probed(connection, ProbeOutcome::Connected);
    let dial = lab.dial();
    assert_eq!((dial.to, dial.from, dial.only_if_nobody_here), (at(V6_PEER), ip("fd77::1"), false));
}

#[test]
fn what_the_adapter_withheld_or_closed_itself_says_nothing_of_the_peer() {
    let mut lab = Lab::new();
    let connection = lab.connect(leecher(PEER));
    lab.actions();
    lab.event(connection, ConnectionEvent::Closed);
    let (_, dial) = lab.wait_for_dial();
    assert!(dial.only_if_nobody_here);
    lab.dialled(dial, DialOutcome::Withheld);
    assert_eq!(lab.verdict(PEER), (Reachability::Yes, None));
    // The event comes at last.
    lab.announce(seeder(HERE));
    assert!(lab.actions().iter().any(|action| matches!(action, Action::Probe { .. })));
}
