//! Who is told of whom, who is asked for the info dictionary, and what peers say of each other.

use std::net::SocketAddr;

use tracker_core::PeerState;
use tracker_peer::{
    Action, Announced, ConnectionEvent, ConnectionId, DialOutcome, Edge, PexFlags, PexPeer, Reachability, Torrent,
    UtpOutcome,
};

use crate::lab::{Lab, OTHER_SWARM, SWARM, at, leecher, secs, seeder};

const A: &str = "10.77.0.11:6881";
const B: &str = "10.77.0.12:6881";
const C: &str = "10.77.0.13:6881";

fn told(actions: Vec<Action>) -> Vec<(ConnectionId, Vec<PexPeer>, Vec<SocketAddr>)> {
    let told = actions.into_iter().filter_map(|action| match action {
        Action::Introduce { connection, added, dropped } => Some((connection, added, dropped)),
        _ => None,
    });
    told.collect()
}

fn peer(address: &str, flags: u8) -> PexPeer {
    PexPeer { address: at(address), flags: PexFlags::from_bits(flags) }
}

#[test]
fn a_newcomer_is_told_of_the_others_and_they_of_it() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    assert_eq!(told(lab.actions()), []);
    let b = lab.connect(seeder(B));
    assert_eq!(told(lab.actions()), [(b, vec![peer(A, 0x10)], vec![]), (a, vec![peer(B, 0x12)], vec![])]);
    // The seed comes first, and what was seen counts more than what was announced.
    lab.progress(b, 100, 100);
    let c = lab.connect(leecher(C));
    let expected = vec![peer(B, 0x12), peer(A, 0x10)];
    assert_eq!(told(lab.actions())[0], (c, expected, vec![]));
    lab.leave(B);
    let gone = vec![at(B)];
    assert_eq!(told(lab.actions()), [(a, vec![], gone.clone()), (c, vec![], gone)]);
}

#[test]
fn nobody_is_told_again_after_a_new_connection() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    lab.connect(leecher(B));
    lab.actions();
    lab.wait(secs(30));
    lab.event(a, ConnectionEvent::Closed);
    lab.connect(leecher(C));
    assert_eq!(told(lab.actions()).len(), 2);
    let (_, again) = lab.wait_for_dial();
    lab.established(again, leecher(A));
    assert_eq!(told(lab.actions()), [(again.connection, vec![peer(C, 0x10)], vec![])]);
}

#[test]
fn the_flags_say_what_is_known() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    lab.announce(leecher(B));
    let plain = lab.dials()[0];
    lab.dialled(plain, DialOutcome::NoHandshake);
    let encrypted = lab.dial();
    lab.established(encrypted, leecher(B));
    assert!(told(lab.actions()).contains(&(a, vec![peer(B, 0x11)], vec![])));
    lab.announce(leecher(C));
    let mut introduced = Vec::new();
    for _ in 0..2 {
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::NoAnswer);
        for action in lab.actions() {
            match action {
                Action::ProbeUtp { connection, .. } => lab.utp_probed(connection, UtpOutcome::Answered),
                Action::Introduce { connection, added, dropped } => introduced.push((connection, added, dropped)),
                _ => {}
            }
        }
    }
    assert!(introduced.contains(&(a, vec![peer(C, 0x14)], vec![])), "{introduced:?}");
}

#[test]
fn whoever_cannot_be_reached_is_told_of_and_not_told_about() {
    let mut lab = Lab::new();
    lab.announce(seeder(A));
    for _ in 0..2 {
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::NoAnswer);
        lab.actions();
    }
    let a = lab.accept(seeder(A)).unwrap();
    lab.announce(leecher(B));
    let dial = lab.dials()[0];
    lab.established(dial, leecher(B));
    assert_eq!(told(lab.actions()), [(a, vec![peer(B, 0x10)], vec![])]);
    lab.leave(A);
    assert_eq!(told(lab.actions()), []);
}

#[test]
fn those_who_have_everything_are_not_told_of_each_other() {
    let mut lab = Lab::new();
    let a = lab.connect(seeder(A));
    lab.progress(a, 100, 100);
    let b = lab.connect(seeder(B));
    // One that only says so may have a magnet link.
    assert_eq!(told(lab.actions()), [(b, vec![peer(A, 0x12)], vec![]), (a, vec![peer(B, 0x12)], vec![])]);
    lab.progress(b, 100, 100);
    lab.wait(secs(30));
    lab.event(a, ConnectionEvent::Closed);
    lab.connect(leecher(C));
    lab.leave(B);
    let b = lab.connect(seeder(B));
    lab.progress(b, 100, 100);
    lab.actions();
    let (_, again) = lab.wait_for_dial();
    lab.established(again, seeder(A));
    // It was away when these two came.
    assert_eq!(told(lab.actions()), [(again.connection, vec![peer(C, 0x10)], vec![])]);
}

#[test]
fn nothing_is_told_in_a_private_torrent() {
    for (torrent, expected) in [(Torrent::Private, 0), (Torrent::Unknown, 2), (Torrent::Public, 2)] {
        let mut lab = Lab::new();
        for address in [A, B] {
            lab.announce_in(SWARM, torrent, leecher(address));
            let dial = lab.dials()[0];
            lab.established(dial, leecher(address));
        }
        assert_eq!(told(lab.actions()).len(), expected, "{torrent:?}");
        lab.planner.set_torrent(lab.now, &SWARM, Torrent::Private);
        lab.leave(A);
        assert_eq!(told(lab.actions()), []);
    }
}

#[test]
fn a_claimed_address_is_told_to_nobody() {
    let mut lab = Lab::new();
    lab.connect(leecher(A));
    lab.actions();
    lab.announce(Announced { is_claimed: true, ..leecher(B) });
    lab.wait(secs(600));
    assert_eq!(lab.actions(), []);
}

#[test]
fn at_first_one_is_told_of_twenty() {
    let mut lab = Lab::new();
    for last in 0..30 {
        let state = if last < 5 { PeerState::Seeder } else { PeerState::Leecher };
        lab.announce(Announced { state, ..leecher(&format!("10.77.0.{}:6881", 100 + last)) });
        lab.dials().into_iter().for_each(|dial| lab.established(dial, leecher(&dial.to.to_string())));
    }
    lab.actions();
    let a = lab.connect(leecher(A));
    let told = told(lab.actions());
    let (_, added, _) = told.iter().find(|(connection, ..)| *connection == a).unwrap();
    assert_eq!((told.len(), added.len()), (31, 20));
    let seeds = added.iter().take_while(|peer| peer.flags.contains(PexFlags::SEED)).count();
    assert_eq!((seeds, added.iter().filter(|peer| peer.flags.contains(PexFlags::SEED)).count()), (5, 5));
}

#[test]
fn one_peer_at_a_time_is_asked_for_the_info_dictionary() {
    let mut lab = Lab::new();
    let connections = [A, B, C].map(|address| {
        lab.announce_in(SWARM, Torrent::Unknown, leecher(address));
        let dial = lab.dials()[0];
        lab.established(dial, leecher(address));
        lab.actions();
        dial.connection
    });
    let ask = |connection| [Action::RequestMetadata { connection }];
    let [a, b, c] = connections;
    lab.event(a, ConnectionEvent::MetadataOffered);
    assert_eq!(lab.actions(), ask(a));
    for connection in connections {
        lab.event(connection, ConnectionEvent::MetadataOffered);
    }
    assert_eq!(lab.actions(), []);
    lab.event(b, ConnectionEvent::MetadataFailed);
    assert_eq!(lab.actions(), [], "it was not asked");
    lab.event(a, ConnectionEvent::MetadataFailed);
    assert_eq!(lab.actions(), ask(b));
    lab.event(b, ConnectionEvent::Closed);
    assert_eq!(lab.actions(), ask(c));
    lab.planner.set_torrent(lab.now, &SWARM, Torrent::Public);
    lab.event(c, ConnectionEvent::MetadataFailed);
    lab.event(a, ConnectionEvent::MetadataOffered);
    assert_eq!(lab.actions(), []);
}

#[test]
fn what_peers_say_of_each_other_is_kept_for_ten_minutes_and_never_dialled() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    lab.actions();
    let stranger = peer("10.77.0.99:7000", 0x02);
    lab.event(a, ConnectionEvent::Pex { added: &[stranger, peer(B, 0x10)], dropped: &[] });
    let edge = |to: &str, is_to_seed| Edge { from: at(A), to: at(to), is_to_seed };
    assert_eq!(lab.planner.edges(lab.now, &SWARM), [edge(B, false), edge("10.77.0.99:7000", true)]);
    lab.event(a, ConnectionEvent::Pex { added: &[], dropped: &[at(B)] });
    lab.wait(secs(3600));
    assert_eq!(lab.planner.edges(lab.now, &SWARM), [edge("10.77.0.99:7000", true)], "the connection is still there");
    lab.event(a, ConnectionEvent::Pex { added: &[stranger], dropped: &[] });
    lab.event(a, ConnectionEvent::Closed);
    let (_, dial) = lab.wait_for_dial();
    assert_eq!(dial.to, at(A));
    lab.dialled(dial, DialOutcome::OtherTorrent);
    let now = lab.now + secs(590);
    assert_eq!(lab.planner.edges(now, &SWARM).len(), 1);
    assert_eq!(lab.planner.edges(now + secs(10), &SWARM), []);
    assert_eq!(lab.planner.edges(lab.now, &OTHER_SWARM), []);
}

#[test]
fn a_peer_that_others_reach_does_not_count_as_unreachable() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    lab.event(a, ConnectionEvent::Pex { added: &[peer(B, 0x10)], dropped: &[] });
    lab.announce(leecher(B));
    lab.actions();
    lab.leave(B);
    lab.announce(leecher(B));
    lab.event(a, ConnectionEvent::Pex { added: &[peer(B, 0x10)], dropped: &[] });
    for _ in 0..2 {
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::NoAnswer);
        for action in lab.actions() {
            assert!(!matches!(action, Action::SetReachability { .. }));
        }
    }
    assert_eq!(lab.verdict(B), (Reachability::Unknown, None));
}

#[test]
fn two_who_cannot_reach_each_other_are_a_pair_unless_they_are_connected_or_have_no_need() {
    let mut lab = Lab::new();
    let connections = [seeder(A), seeder(B), leecher(C)].map(|announced| {
        lab.announce(announced);
        for _ in 0..2 {
            let (_, dial) = lab.wait_for_dial();
            lab.dialled(dial, DialOutcome::NoAnswer);
            lab.actions();
        }
        lab.accept(announced).unwrap()
    });
    assert_eq!(lab.planner.unreachable_pairs(lab.now, &SWARM), [(at(A), at(C)), (at(B), at(C))]);
    lab.event(connections[2], ConnectionEvent::Pex { added: &[peer(B, 0)], dropped: &[] });
    assert_eq!(lab.planner.unreachable_pairs(lab.now, &SWARM), [(at(A), at(C))]);
}
