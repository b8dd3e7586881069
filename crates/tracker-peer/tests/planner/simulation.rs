//! Peers join, leave, answer and connect at random, against a model that is as plain as the rules.
//!
//! `SIMULATION_SEEDS` sets how many seeds are tried, `SIMULATION_STEPS` how many operations each. A failure names its seed
//! and step; `SIMULATION_SEED` tries that seed only.

use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tracker_core::{InfoHash, PeerId, PeerKey, PeerState, Reachability};
use tracker_peer::{
    Announced, ConnectionEvent, ConnectionId, DialOutcome, Encryption, Incoming, Network, PexFlags, PexPeer, Planner,
    ProbeOutcome, Progress, Sharing, Torrent, UtpOutcome,
};

use crate::lab::{at, ip, network, source};
use crate::model::{Kind, Model, Pending};

const SEEDS: u64 = 100;
const STEPS: usize = 400;

/// Addresses on the LAN, on this machine, in a container and elsewhere.
const IPS: [&str; 14] = [
    "10.77.0.10",
    "10.77.0.11",
    "10.77.0.12",
    "10.77.0.13",
    "fd77::10",
    "fd77::11",
    "127.0.0.1",
    "127.0.0.5",
    "::1",
    "10.77.0.1",
    "10.77.0.2",
    "fd77::1",
    "172.17.0.2",
    "203.0.113.9",
];

const SWARMS: [(InfoHash, Torrent); 3] = [
    (InfoHash::new([1; 20]), Torrent::Public),
    (InfoHash::new([2; 20]), Torrent::Private),
    (InfoHash::new([3; 20]), Torrent::Unknown),
];

#[test]
fn the_planner_keeps_its_rules_whatever_happens() {
    let steps = variable("SIMULATION_STEPS").unwrap_or(STEPS);
    let seeds = match variable("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut world = World::new(seed);
        for step in 0..steps {
            if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| world.step())) {
                let text = cause.downcast_ref::<String>().map(String::as_str);
                let message = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("panicked");
                panic!("seed {seed}, step {step}: {message}\nagain: SIMULATION_SEED={seed}");
            }
        }
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} should be a number, but is {text:?}")))
}

/// The network as it is at first, or after a change: without the address for the own peer, and without IPv6.
fn networks() -> [Network; 3] {
    let whole = Network {
        sources: vec![
            source("10.77.0.1/24", Sharing::Shared),
            source("10.77.0.2/24", Sharing::Exclusive),
            source("fd77::1/64", Sharing::Shared),
            source("172.17.0.1/16", Sharing::Shared),
        ],
        own_addresses: ["10.77.0.1", "10.77.0.2", "fd77::1", "172.17.0.1"].map(ip).into(),
        ..network()
    };
    let one = Network { sources: whole.sources[..1].to_vec(), own_addresses: vec![ip("10.77.0.1")], ..network() };
    [whole, network(), one]
}

struct World {
    planner: Planner,
    model: Model,
    rng: StdRng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let network = networks().choose(&mut rng).unwrap().clone();
        Self { planner: Planner::new(network.clone()), model: Model::new(network), rng }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.announce(),
            20..26 => self.leave(),
            26..45 => self.pass_time(),
            45..70 => self.resolve(),
            70..76 => self.accept(),
            76..99 => self.happen(),
            _ if self.rng.random_ratio(1, 4) => self.change_network(),
            _ => self.drop_swarm(),
        }
        self.drain();
        self.model.check(&self.planner);
    }

    fn drain(&mut self) {
        while let Some(action) = self.planner.poll_action() {
            self.model.act(action);
        }
    }

    fn announce(&mut self) {
        let &(swarm, torrent) = SWARMS.choose(&mut self.rng).unwrap();
        let index = self.rng.random_range(0..IPS.len() as u16);
        let ip = ip(IPS[usize::from(index)]);
        // Clients on one machine have different ports.
        let port = *[6881, 6882, 6883, 0].choose(&mut self.rng).unwrap();
        let port = if port > 0 && index >= 6 { port + 10 * index } else { port };
        // The client at an address is mostly the same. Some have two addresses.
        let client = match self.rng.random_range(0..10) {
            0 => 0,
            1 => 1,
            _ => 2 + (port % 10) as u8 + 10 * index as u8,
        };
        let address = (ip, port).into();
        let announced = Announced {
            address,
            peer_id: PeerId::new([client; 20]),
            key: PeerKey::from_number(client.into()),
            state: *[PeerState::Leecher, PeerState::Seeder].choose(&mut self.rng).unwrap(),
            is_claimed: self.rng.random_ratio(1, 20),
            // The peer may have left and come back, of which the planner is not told.
            reachability: match self.rng.random_range(0..20) {
                0 => Reachability::Unknown,
                1 => Reachability::Yes,
                2 => Reachability::No,
                _ => self.model.reachability(swarm, address),
            },
        };
        self.planner.handle_announce(self.model.now, &mut self.rng, swarm, torrent, announced);
        self.model.announce(swarm, torrent, announced);
    }

    fn leave(&mut self) {
        if let Some((swarm, address)) = self.model.any_member(&mut self.rng) {
            self.planner.handle_left(self.model.now, &swarm, address);
            self.model.leave(swarm, address);
        }
    }

    fn drop_swarm(&mut self) {
        let &(swarm, _) = SWARMS.choose(&mut self.rng).unwrap();
        self.planner.handle_swarm_dropped(self.model.now, &swarm);
        for address in self.model.members_of(swarm) {
            self.model.leave(swarm, address);
        }
    }

    fn pass_time(&mut self) {
        let secs = [0.01, 0.4, 1.0, 3.0, 30.0, 130.0].choose(&mut self.rng).unwrap();
        let end = self.model.now + Duration::from_secs_f64(*secs);
        while let Some(due) = self.planner.poll_timeout().filter(|&due| due <= end) {
            self.model.now = self.model.now.max(due);
            self.planner.handle_timeout(self.model.now);
            self.drain();
            self.model.check(&self.planner);
            let next = self.planner.poll_timeout();
            assert!(next.is_none_or(|next| next > self.model.now), "{next:?} is due again");
        }
        self.model.now = end;
    }

    /// An attempt comes to its end.
    fn resolve(&mut self) {
        let pending: Vec<_> = self.model.pending.iter().map(|(&id, pending)| (id, pending.clone())).collect();
        let Some((connection, pending)) = pending.choose(&mut self.rng).cloned() else { return };
        let now = self.model.now;
        match pending.kind {
            Kind::Dial { .. } => {
                let outcome = self.dial_outcome(&pending);
                self.planner.handle_dialled(now, connection, outcome);
                self.model.dialled(connection, outcome);
            }
            Kind::Probe => {
                use ProbeOutcome::{Connected, NoAnswer, Refused, Withheld};
                let outcome = *[Connected, Connected, NoAnswer, Refused, Withheld].choose(&mut self.rng).unwrap();
                self.planner.handle_probed(now, connection, outcome);
                self.model.probed(connection, outcome);
            }
            Kind::Utp => {
                let outcome = *[UtpOutcome::ShookHands, UtpOutcome::Answered, UtpOutcome::NoAnswer]
                    .choose(&mut self.rng)
                    .unwrap();
                self.planner.handle_utp_probed(now, connection, outcome);
                self.model.pending.remove(&connection);
            }
        }
    }

    /// Each peer mostly does the same.
    fn dial_outcome(&mut self, pending: &Pending) -> DialOutcome {
        let Kind::Dial { peer_id, encryption } = pending.kind else { panic!("not a dial") };
        let nature = if self.rng.random_ratio(1, 8) {
            self.rng.random_range(0..8)
        } else {
            pending.member.1.port() % 8 + u16::from(peer_id.as_bytes()[0]) % 3
        };
        match (nature % 8, encryption) {
            (0, _) => DialOutcome::Refused,
            (1, _) => DialOutcome::NoAnswer,
            (2, Encryption::Plain) | (3, Encryption::Mse) | (4, _) => DialOutcome::NoHandshake,
            (5, _) if self.rng.random_ratio(1, 2) => DialOutcome::OtherTorrent,
            (6, _) if self.rng.random_ratio(1, 2) => DialOutcome::Withheld,
            (7, _) if self.rng.random_ratio(1, 2) => DialOutcome::Established { peer_id: at_random(&mut self.rng) },
            _ => DialOutcome::Established { peer_id },
        }
    }

    fn accept(&mut self) {
        let Some((info_hash, address)) = self.model.any_member(&mut self.rng) else { return };
        let announced = self.model.announced(info_hash, address);
        let locals = if address.is_ipv4() { ["10.77.0.1", "10.77.0.2"] } else { ["fd77::1", "fd77::1"] };
        let incoming = Incoming {
            info_hash,
            peer_id: if self.rng.random_ratio(1, 5) { at_random(&mut self.rng) } else { announced.peer_id },
            remote: address.ip(),
            local: ip(locals.choose(&mut self.rng).unwrap()),
            encryption: Encryption::Plain,
        };
        let accepted = self.planner.handle_accepted(self.model.now, &incoming);
        self.model.accepted(&incoming, accepted);
    }

    /// Something happens on a connection.
    fn happen(&mut self) {
        let live: Vec<ConnectionId> = self.model.live.keys().copied().collect();
        let Some(&connection) = live.choose(&mut self.rng) else { return };
        let now = self.model.now;
        let event = match self.rng.random_range(0..10) {
            0..3 => ConnectionEvent::Closed,
            3..6 => {
                let pieces = self.rng.random_range(0..=10);
                ConnectionEvent::Progress(Progress { pieces, of: Some(10), is_complete: pieces == 10 })
            }
            6 => ConnectionEvent::MetadataOffered,
            7 => ConnectionEvent::MetadataFailed,
            8 => ConnectionEvent::Client { name: "a client" },
            _ => {
                let address = at("10.77.0.10:6881");
                let flags = PexFlags::from_bits(self.rng.random());
                if flags.contains(PexFlags::REACHABLE) {
                    self.model.vouch(connection, address);
                }
                let neighbour = [PexPeer { address, flags }];
                let event = ConnectionEvent::Pex { added: &neighbour, dropped: &[] };
                return self.planner.handle_event(now, connection, event);
            }
        };
        self.planner.handle_event(now, connection, event.clone());
        self.model.happened(connection, &event);
    }

    fn change_network(&mut self) {
        let network = networks().choose(&mut self.rng).unwrap().clone();
        self.planner.set_network(self.model.now, network.clone());
        self.model.set_network(network);
    }
}

fn at_random(rng: &mut StdRng) -> PeerId {
    PeerId::new(rng.random())
}
