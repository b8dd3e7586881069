//! More peers than connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::InfoHash;
use tracker_peer::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Network, PexFlags, PexPeer, Planner,
    Torrent,
};

use crate::lab::{leecher, network, secs};

const IN_A_SWARM: usize = 200;
const IN_ALL: usize = 2000;

/// Peers that answer every dial at once, and what they have of connections.
struct Crowd {
    planner: Planner,
    rng: StdRng,
    now: Duration,
    connected: BTreeMap<ConnectionId, (InfoHash, SocketAddr)>,
    in_swarm: BTreeMap<InfoHash, usize>,
    /// When each peer was dialled first.
    dialled: BTreeMap<(InfoHash, SocketAddr), Duration>,
    evicted: usize,
}

fn swarm(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

/// The peer with this number, at an address of its own.
fn address(number: u32) -> SocketAddr {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 80, 0, 1).to_bits() + number);
    (IpAddr::V4(ip), 6881).into()
}

fn announced(number: u32) -> Announced {
    leecher(&address(number).to_string())
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let lan = vec!["10.80.0.0/16".parse().unwrap()];
        Self {
            planner: Planner::new(Network { lan, ..network() }),
            rng: StdRng::seed_from_u64(seed),
            now: secs(100),
            connected: BTreeMap::new(),
            in_swarm: BTreeMap::new(),
            dialled: BTreeMap::new(),
            evicted: 0,
        }
    }

    fn join(&mut self, swarm: InfoHash, number: u32) {
        self.planner.handle_announce(self.now, &mut self.rng, swarm, Torrent::Private, announced(number));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.planner.poll_action() {
            match action {
                Action::Dial { connection, info_hash, peer_id, to, .. } => {
                    self.dialled.entry((info_hash, to)).or_insert(self.now);
                    self.connected.insert(connection, (info_hash, to));
                    *self.in_swarm.entry(info_hash).or_default() += 1;
                    assert!(self.connected.len() <= IN_ALL && self.in_swarm[&info_hash] <= IN_A_SWARM);
                    self.planner.handle_dialled(self.now, connection, DialOutcome::Established { peer_id });
                }
                Action::Close { connection, reason } => {
                    let (info_hash, _) = self.connected.remove(&connection).expect("it is open");
                    *self.in_swarm.get_mut(&info_hash).unwrap() -= 1;
                    self.evicted += usize::from(reason == CloseReason::NotSampled);
                }
                _ => {}
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.planner.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.planner.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn connected_in(&self, swarm: InfoHash) -> BTreeSet<SocketAddr> {
        self.connected.values().filter(|(of, _)| *of == swarm).map(|(_, address)| *address).collect()
    }
}

#[test]
fn in_a_large_swarm_newcomers_have_a_connection_and_of_the_others_a_random_sample() {
    // How many of the first half have a connection at the end, over all seeds: half of all, if the sample is fair.
    let mut from_first_half = 0;
    let seeds = 20;
    for seed in 0..seeds {
        let mut crowd = Crowd::new(seed);
        for number in 0..600 {
            crowd.join(swarm(1), number);
            // 120 are newcomers at a time.
            crowd.wait(Duration::from_millis(500));
            let first = crowd.dialled.get(&(swarm(1), address(number)));
            assert!(first.is_some_and(|&at| at + Duration::from_millis(500) <= crowd.now), "seed {seed}, {number}");
        }
        assert_eq!(crowd.connected.len(), IN_A_SWARM);
        crowd.wait(secs(120));
        let connected = crowd.connected_in(swarm(1));
        assert_eq!(connected.len(), IN_A_SWARM);
        from_first_half += (0..300).filter(|&number| connected.contains(&address(number))).count();
        // Then nothing moves any more.
        let evicted = crowd.evicted;
        crowd.wait(secs(600));
        assert_eq!((crowd.evicted, crowd.connected_in(swarm(1))), (evicted, connected));
    }
    let expected = IN_A_SWARM * seeds as usize / 2;
    // Four standard deviations of a draw of 4,000 without replacement within each swarm.
    assert!(from_first_half.abs_diff(expected) < 110, "{from_first_half} of {expected}");
}

#[test]
fn when_a_peer_leaves_another_one_has_its_place() {
    let mut crowd = Crowd::new(1);
    for number in 0..300 {
        crowd.join(swarm(1), number);
    }
    crowd.wait(secs(200));
    for _ in 0..150 {
        let leaver = *crowd.connected_in(swarm(1)).first().unwrap();
        crowd.planner.handle_left(crowd.now, &swarm(1), leaver);
        crowd.drain();
    }
    // A second until the places are taken, and two until those who took them are told of others.
    crowd.wait(secs(4));
    assert_eq!(crowd.connected.len(), 150);
    assert_eq!(crowd.planner.poll_timeout(), None, "nobody waits any more");
}

#[test]
fn all_swarms_together_have_two_thousand_connections() {
    let mut crowd = Crowd::new(1);
    for number in 0..2400 {
        crowd.join(swarm((number % 16) as u8), number);
        crowd.wait(Duration::from_millis(50));
    }
    assert_eq!(crowd.connected.len(), IN_ALL);
    crowd.wait(secs(120));
    assert_eq!(crowd.connected.len(), IN_ALL);
    assert_eq!(crowd.dialled.len(), 2400, "each was looked at in its first minute");
    // No swarm has much more than its share of 125.
    assert!(crowd.in_swarm.values().all(|&count| (95..=150).contains(&count)), "{:?}", crowd.in_swarm);
}

#[test]
fn when_peers_tell_of_too_many_others_what_those_without_a_connection_said_is_forgotten() {
    let mut crowd = Crowd::new(1);
    let neighbour = |port| PexPeer { address: ([10, 90, 0, 1], port).into(), flags: PexFlags::default() };
    let neighbours: Vec<_> = (1000..1200).map(neighbour).collect();
    let tell = |crowd: &mut Crowd, connection: ConnectionId| {
        let pex = ConnectionEvent::Pex { added: &neighbours, dropped: &[] };
        crowd.planner.handle_event(crowd.now, connection, pex);
    };
    for number in 0..IN_ALL as u32 {
        crowd.join(swarm((number % 16) as u8), number);
        // As fast as they are dialled.
        crowd.wait(Duration::from_millis(10));
    }
    assert_eq!(crowd.connected.len(), IN_ALL);
    let connections: Vec<_> = crowd.connected.keys().copied().collect();
    connections.iter().for_each(|&connection| tell(&mut crowd, connection));
    let edges =
        |crowd: &Crowd| -> usize { (0..17).map(|number| crowd.planner.edges(crowd.now, &swarm(number)).len()).sum() };
    assert_eq!(edges(&crowd), 200 * IN_ALL);
    // One that has told already is not connected any more when another one tells.
    let (gone, _) = crowd.connected.pop_first().unwrap();
    crowd.planner.handle_event(crowd.now, gone, ConnectionEvent::Closed);
    assert_eq!(edges(&crowd), 200 * IN_ALL, "it is remembered");
    crowd.join(swarm(16), IN_ALL as u32);
    let newcomer = *crowd.connected.last_key_value().unwrap().0;
    tell(&mut crowd, newcomer);
    assert_eq!(edges(&crowd), 200 * IN_ALL, "that one is forgotten, and nothing else");
    assert_eq!(crowd.planner.edges(crowd.now, &swarm(16)).len(), 200);
}

#[test]
fn of_those_that_come_when_there_are_too_many_nothing_is_known() {
    let mut crowd = Crowd::new(1);
    for number in 0..5_000 {
        crowd.planner.handle_announce(crowd.now, &mut crowd.rng, swarm(1), Torrent::Private, announced(number));
    }
    assert_eq!((crowd.planner.room(), crowd.planner.addresses(&swarm(1)).len()), (0, 5_000));
    assert!(crowd.planner.pass_over(&swarm(2), address(5_000)));
    assert!(!crowd.planner.pass_over(&swarm(1), address(7)), "it is known");
    crowd.planner.handle_announce(crowd.now, &mut crowd.rng, swarm(2), Torrent::Private, announced(5_000));
    assert_eq!(crowd.planner.addresses(&swarm(2)), []);
    crowd.planner.handle_left(crowd.now, &swarm(1), address(7));
    assert_eq!(crowd.planner.room(), 1);
    assert!(!crowd.planner.pass_over(&swarm(2), address(5_000)), "there is room");
    assert!(!crowd.planner.is_incomplete(), "none of them is on this machine");
    crowd.planner.handle_announce(crowd.now, &mut crowd.rng, swarm(2), Torrent::Private, announced(5_000));
    assert_eq!((crowd.planner.room(), crowd.planner.addresses(&swarm(2))), (0, vec![address(5_000)]));
}
