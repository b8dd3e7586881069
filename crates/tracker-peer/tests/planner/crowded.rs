//! More peers than connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::InfoHash;
use tracker_peer::{Action, CloseReason, ConnectionId, DialOutcome, Network, Planner, Torrent};

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
        let announced = leecher(&address(number).to_string());
        self.planner.handle_announce(self.now, &mut self.rng, swarm, Torrent::Private, announced);
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
    crowd.wait(secs(2));
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
