//! Who is told of whom, who is asked for the info dictionary, and what peers say of each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tracker_core::{InfoHash, PeerState, Reachability};
use tracker_peer::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Edge, PexFlags, PexPeer, Torrent,
    UtpOutcome,
};

use crate::lab::{Lab, OTHER_SWARM, SWARM, as_dial, at, leecher, secs, seeder};

const A: &str = "10.77.0.11:6881";
const B: &str = "10.77.0.12:6881";
const C: &str = "10.77.0.13:6881";

/// The time that newcomers have to connect to those that their answers named, before they are told of others, and others of them.
const DELAY: Duration = secs(2);

/// Who is told of whom, when the time has come.
fn told_later(lab: &mut Lab) -> Vec<(ConnectionId, Vec<PexPeer>, Vec<SocketAddr>)> {
    lab.wait(DELAY);
    told(lab.actions())
}

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
    assert_eq!(told_later(&mut lab), []);
    let b = lab.connect(seeder(B));
    assert_eq!(told_later(&mut lab), [(a, vec![peer(B, 0x12)], vec![]), (b, vec![peer(A, 0x10)], vec![])]);
    // The seed comes first, and what was seen counts more than what was announced.
    lab.progress(b, 100, 100);
    let c = lab.connect(leecher(C));
    let expected = vec![peer(B, 0x12), peer(A, 0x10)];
    assert!(told_later(&mut lab).contains(&(c, expected, vec![])));
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
    lab.wait(DELAY);
    let actions = lab.actions();
    let again = actions.iter().find_map(as_dial).unwrap();
    assert_eq!(told(actions).len(), 2);
    lab.established(again, leecher(A));
    assert_eq!(told_later(&mut lab), [(again.connection, vec![peer(C, 0x10)], vec![])]);
}

#[test]
fn one_that_can_be_dialled_is_told_when_newcomers_have_had_time_to_dial_it() {
    let mut lab = Lab::new();
    let a = lab.connect(seeder(A));
    lab.actions();
    lab.wait(secs(1));
    let b = lab.connect(leecher(B));
    lab.wait(secs(1));
    let c = lab.connect(leecher(C));
    assert_eq!(told(lab.actions()), []);
    // Of each newcomer for itself.
    lab.wait(secs(1) - Duration::from_millis(1));
    assert_eq!(told(lab.actions()), []);
    lab.wait(Duration::from_millis(1));
    let of_b = vec![peer(B, 0x10)];
    assert_eq!(told(lab.actions()), [(a, of_b.clone(), vec![]), (b, vec![peer(A, 0x12)], vec![])]);
    lab.wait(secs(1));
    let of_c = vec![peer(C, 0x10)];
    let expected = [(a, of_c.clone(), vec![]), (b, of_c, vec![]), (c, vec![peer(A, 0x12), of_b[0]], vec![])];
    let told = told(lab.actions());
    assert_eq!(told.len(), 3);
    assert!(expected.iter().all(|expected| told.contains(expected)), "{told:?}");
}

#[test]
fn of_one_that_leaves_before_nobody_is_told() {
    let mut lab = Lab::new();
    let a = lab.connect(leecher(A));
    lab.wait(DELAY);
    let b = lab.connect(leecher(B));
    lab.wait(secs(1));
    lab.event(b, ConnectionEvent::Closed);
    lab.leave(B);
    assert!(told_later(&mut lab).iter().all(|(_, added, _)| added.is_empty()));
    // Nor is one whose connection is gone, until it has another.
    lab.connect(leecher(B));
    lab.event(a, ConnectionEvent::Closed);
    lab.wait(secs(1));
    assert_eq!(told(lab.actions()), []);
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
    assert!(told_later(&mut lab).contains(&(a, vec![peer(B, 0x11)], vec![])));
    lab.announce(leecher(C));
    for _ in 0..2 {
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::NoAnswer);
        for action in lab.actions() {
            if let Action::ProbeUtp { connection, .. } = action {
                lab.utp_probed(connection, UtpOutcome::Answered);
            }
        }
    }
    let introduced = told_later(&mut lab);
    assert!(introduced.contains(&(a, vec![peer(C, 0x14)], vec![])), "{introduced:?}");
}

/// What the tracker is told of the reachability of the only peer.
fn told_reachability(actions: Vec<Action>) -> Vec<Reachability> {
    let told = actions.into_iter().filter_map(|action| match action {
        Action::SetReachability { reachability, .. } => Some(reachability),
        _ => None,
    });
    told.collect()
}

/// Only while the peer is connected, no router is between, and it may be told of others.
#[test]
fn whoever_cannot_be_reached_and_is_told_of_newcomers_is_not_handed_out() {
    use Reachability::{Introduced, No};
    let far = "10.78.0.11:6881";
    for (address, torrent, when_connected, when_public) in [
        (A, Torrent::Public, vec![Introduced], vec![]),
        (A, Torrent::Unknown, vec![], vec![Introduced]),
        (A, Torrent::Private, vec![], vec![]),
        (far, Torrent::Public, vec![], vec![]),
    ] {
        let mut lab = Lab::new();
        lab.announce_in(SWARM, torrent, seeder(address));
        for _ in 0..2 {
            let (_, dial) = lab.wait_for_dial();
            lab.dialled(dial, DialOutcome::NoAnswer);
        }
        assert_eq!(told_reachability(lab.actions()), [No]);
        let connection = lab.accept(seeder(address)).unwrap();
        assert_eq!(told_reachability(lab.actions()), when_connected, "{address} {torrent:?}");
        if torrent != Torrent::Private {
            lab.planner.set_torrent(lab.now, &SWARM, Torrent::Public);
        }
        assert_eq!(told_reachability(lab.actions()), when_public, "{address} {torrent:?}");
        lab.event(connection, ConnectionEvent::Closed);
        let was_told = !when_connected.is_empty() || !when_public.is_empty();
        let expected: &[_] = if was_told { &[No] } else { &[] };
        assert_eq!(told_reachability(lab.actions()), expected, "{address} {torrent:?}");
    }
}

#[test]
fn whoever_cannot_be_reached_is_told_at_once_and_not_told_of() {
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
    assert_eq!(told_later(&mut lab), []);
    // Also of those that were there before it connected.
    lab.event(a, ConnectionEvent::Closed);
    lab.announce(leecher(C));
    let dial = lab.dials()[0];
    lab.established(dial, leecher(C));
    lab.actions();
    let a = lab.accept(seeder(A)).unwrap();
    assert_eq!(told(lab.actions()), [(a, vec![peer(C, 0x10)], vec![])]);
    lab.leave(A);
    let told = told_later(&mut lab);
    assert!(told.iter().all(|(connection, ..)| *connection != a), "{told:?}");
    assert!(
        told.iter()
            .flat_map(|(_, added, gone)| gone.iter().chain(added.iter().map(|it| &it.address)))
            .all(|it| *it != at(A))
    );
}

#[test]
fn those_who_have_everything_are_not_told_of_each_other() {
    let mut lab = Lab::new();
    let a = lab.connect(seeder(A));
    lab.progress(a, 100, 100);
    let b = lab.connect(seeder(B));
    // One that only says so may have a magnet link.
    let expected = [(a, vec![peer(B, 0x12)], vec![]), (b, vec![peer(A, 0x12)], vec![])];
    assert_eq!(told_later(&mut lab), expected);
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
    let told = told_later(&mut lab);
    let of_a: Vec<_> = told.iter().filter(|(connection, ..)| *connection == again.connection).collect();
    assert_eq!(of_a, [&(again.connection, vec![peer(C, 0x10)], vec![])]);
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
        assert_eq!(told_later(&mut lab).len(), expected, "{torrent:?}");
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
    lab.wait(DELAY);
    lab.actions();
    let a = lab.connect(leecher(A));
    // Of all that come after it is connected.
    lab.wait(secs(1));
    for last in 0..30 {
        let announced = leecher(&format!("10.77.0.{}:6882", 100 + last));
        lab.announce(announced);
        lab.dials().into_iter().for_each(|dial| lab.established(dial, announced));
    }
    lab.actions();
    lab.wait(secs(1));
    let told = told(lab.actions());
    let (_, added, _) = told.iter().find(|(connection, ..)| *connection == a).unwrap();
    assert_eq!((told.len(), added.len()), (31, 20));
    assert_eq!(told_later(&mut lab).iter().find(|(connection, ..)| *connection == a).unwrap().1.len(), 30);
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
fn four_info_dictionaries_are_fetched_at_a_time_and_the_swarms_take_turns() {
    let mut lab = Lab::new();
    let swarm = |number: u8| InfoHash::new([number; 20]);
    // Two peers in each swarm.
    let mut connections = Vec::new();
    for number in 0..6 {
        connections.push([A, B].map(|address| {
            lab.announce_in(swarm(number), Torrent::Unknown, leecher(address));
            let dial = lab.dial();
            lab.established(dial, leecher(address));
            lab.actions();
            dial.connection
        }));
    }
    let asked = |lab: &mut Lab| {
        let asked = lab.actions().into_iter().filter_map(|action| match action {
            Action::RequestMetadata { connection } => Some(connection),
            _ => None,
        });
        asked.collect::<Vec<_>>()
    };
    connections.iter().flatten().for_each(|&connection| lab.event(connection, ConnectionEvent::MetadataOffered));
    assert_eq!(asked(&mut lab), [0, 1, 2, 3].map(|number: usize| connections[number][0]));
    // The turn of the next swarm comes before that of the other peer of this one.
    lab.event(connections[1][0], ConnectionEvent::MetadataFailed);
    assert_eq!(asked(&mut lab), [connections[4][0]]);
    lab.planner.set_torrent(lab.now, &swarm(0), Torrent::Public);
    assert_eq!(asked(&mut lab), [connections[5][0]]);
    lab.event(connections[4][0], ConnectionEvent::Closed);
    assert_eq!(asked(&mut lab), [connections[1][1]]);
    lab.planner.handle_swarm_dropped(lab.now, &swarm(2));
    assert_eq!(asked(&mut lab), [connections[4][1]]);
    // Swarms whose last offer is gone do not wait any more.
    lab.event(connections[5][1], ConnectionEvent::Closed);
    lab.event(connections[5][0], ConnectionEvent::MetadataFailed);
    lab.event(connections[3][0], ConnectionEvent::MetadataFailed);
    assert_eq!(asked(&mut lab), [connections[3][1]]);
}

#[test]
fn a_peer_that_is_slow_with_the_info_dictionary_makes_room_for_others() {
    let mut lab = Lab::new();
    lab.announce_in(SWARM, Torrent::Unknown, leecher(A));
    let dial = lab.dial();
    lab.established(dial, leecher(A));
    lab.event(dial.connection, ConnectionEvent::MetadataOffered);
    assert!(lab.actions().contains(&Action::RequestMetadata { connection: dial.connection }));
    let (waited, action) = lab.wait_for_action();
    let close = Action::Close { connection: dial.connection, reason: CloseReason::SlowMetadata };
    assert_eq!((waited, action), (secs(60), close));
    // Now that it has failed once, others come before it.
    let (_, again) = lab.wait_for_dial();
    lab.established(again, leecher(A));
    lab.announce_in(SWARM, Torrent::Unknown, leecher(B));
    let other = lab.dials()[0];
    lab.established(other, leecher(B));
    lab.event(again.connection, ConnectionEvent::MetadataOffered);
    lab.event(other.connection, ConnectionEvent::MetadataOffered);
    lab.event(again.connection, ConnectionEvent::MetadataFailed);
    let asked: Vec<_> = lab.actions().into_iter().filter(|it| matches!(it, Action::RequestMetadata { .. })).collect();
    assert_eq!(asked, [again, other].map(|dial| Action::RequestMetadata { connection: dial.connection }));
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

#[test]
fn a_look_for_pairs_ends_after_twenty_thousand() {
    let mut lab = Lab::new();
    let seeders: Vec<_> =
        (0..300).map(|number| seeder(&format!("10.77.{}.{}:6881", 1 + number / 250, 1 + number % 250))).collect();
    let leechers = ["10.77.9.1:6881", "10.77.9.2:6881"].map(leecher);
    seeders.iter().chain(&leechers).for_each(|&announced| lab.announce(announced));
    let mut failures = BTreeMap::<SocketAddr, usize>::new();
    while failures.values().filter(|&&failures| failures >= 2).count() < seeders.len() + leechers.len() {
        let (_, dial) = lab.wait_for_dial();
        lab.dialled(dial, DialOutcome::NoAnswer);
        *failures.entry(dial.to).or_default() += 1;
    }
    // Both are connected to the first two hundred. They are pairs with the others, which come later than 20,000 pairs of seeders.
    let connected: Vec<_> = seeders[..200].iter().map(|it| PexPeer { address: it.address, ..peer(A, 0x02) }).collect();
    for leecher in leechers {
        let connection = lab.accept(leecher).unwrap();
        lab.event(connection, ConnectionEvent::Pex { added: &connected, dropped: &[] });
    }
    assert_eq!(lab.planner.unreachable_pairs(lab.now, &SWARM), []);
    // Without those there are few enough.
    for seeder in &seeders[..200] {
        lab.leave(&seeder.address.to_string());
    }
    assert_eq!(lab.planner.unreachable_pairs(lab.now, &SWARM).len(), 100);
}
