//! A planner, a clock, and short names for what tests tell it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Access, InfoHash, PeerId, PeerKey, PeerState, Reachability};
use tracker_peer::{
    Action, Announced, ConnectionEvent, ConnectionId, DialOutcome, Encryption, Incoming, Network, Planner,
    ProbeOutcome, Progress, Reason, Refusal, Sharing, Sighting, Source, Torrent, UtpOutcome,
};

pub(crate) const SWARM: InfoHash = InfoHash::new([7; 20]);
pub(crate) const OTHER_SWARM: InfoHash = InfoHash::new([8; 20]);

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn source(address: &str, sharing: Sharing) -> Source {
    let (ip, _) = address.split_once('/').unwrap();
    Source { ip: self::ip(ip), network: address.parse().unwrap(), sharing }
}

/// One LAN with IPv4 and IPv6.
pub(crate) fn network() -> Network {
    Network {
        sources: vec![source("10.77.0.1/24", Sharing::Shared), source("fd77::1/64", Sharing::Shared)],
        own_addresses: vec![ip("10.77.0.1"), ip("fd77::1")],
        container_networks: vec!["172.17.0.0/16".parse().unwrap()],
        lan: vec!["10.77.0.0/24".parse().unwrap(), "fd77::/64".parse().unwrap()],
        access: Access::default(),
    }
}

/// A peer id for an address: the same client has the same.
pub(crate) fn peer_id(name: u8) -> PeerId {
    PeerId::new([name; 20])
}

/// A leecher whose peer id is made of the last byte of its address and its port.
pub(crate) fn leecher(address: &str) -> Announced {
    let address = at(address);
    let mut id = [0; 20];
    id[..2].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(v4) => id[2..6].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => id[2..18].copy_from_slice(&v6.octets()),
    }
    let (peer_id, key) = (PeerId::new(id), PeerKey::NONE);
    let (state, reachability) = (PeerState::Leecher, Reachability::Unknown);
    Announced { address, peer_id, key, state, is_claimed: false, reachability }
}

pub(crate) fn seeder(address: &str) -> Announced {
    Announced { state: PeerState::Seeder, ..leecher(address) }
}

/// A dial that the planner asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) connection: ConnectionId,
    pub(crate) to: SocketAddr,
    pub(crate) from: IpAddr,
    pub(crate) encryption: Encryption,
    pub(crate) only_if_nobody_here: bool,
}

/// A planner and the time.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) planner: Planner,
    pub(crate) now: Duration,
    pub(crate) rng: StdRng,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(network())
    }

    pub(crate) fn with(network: Network) -> Self {
        Self { planner: Planner::new(network), now: secs(1000), rng: StdRng::seed_from_u64(1) }
    }

    pub(crate) fn announce_in(&mut self, swarm: InfoHash, torrent: Torrent, announced: Announced) {
        self.planner.handle_announce(self.now, &mut self.rng, swarm, torrent, announced);
    }

    pub(crate) fn announce(&mut self, announced: Announced) {
        self.announce_in(SWARM, Torrent::Public, announced);
    }

    pub(crate) fn leave(&mut self, address: &str) {
        self.planner.handle_left(self.now, &SWARM, at(address));
    }

    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.planner.poll_action()).collect()
    }

    /// The only action.
    pub(crate) fn action(&mut self) -> Action {
        let mut actions = self.actions();
        assert_eq!(actions.len(), 1, "{actions:#?}");
        actions.remove(0)
    }

    /// The only dial among the actions.
    pub(crate) fn dial(&mut self) -> Dial {
        let dials = self.dials();
        assert_eq!(dials.len(), 1, "{dials:#?}");
        dials[0]
    }

    /// The dials among the actions.
    pub(crate) fn dials(&mut self) -> Vec<Dial> {
        self.actions().iter().filter_map(as_dial).collect()
    }

    pub(crate) fn dialled(&mut self, dial: Dial, outcome: DialOutcome) {
        self.planner.handle_dialled(self.now, dial.connection, outcome);
    }

    /// The dial succeeds, and the peer id is the one that is expected.
    pub(crate) fn established(&mut self, dial: Dial, announced: Announced) {
        self.dialled(dial, DialOutcome::Established { peer_id: announced.peer_id });
    }

    /// A peer joins, is dialled, and shakes hands. What is to be done then is left to be asked for.
    pub(crate) fn connect(&mut self, announced: Announced) -> ConnectionId {
        self.announce(announced);
        let dial = self.dial();
        self.established(dial, announced);
        dial.connection
    }

    pub(crate) fn probed(&mut self, connection: ConnectionId, outcome: ProbeOutcome) {
        self.planner.handle_probed(self.now, connection, outcome);
    }

    pub(crate) fn utp_probed(&mut self, connection: ConnectionId, outcome: UtpOutcome) {
        self.planner.handle_utp_probed(self.now, connection, outcome);
    }

    pub(crate) fn event(&mut self, connection: ConnectionId, event: ConnectionEvent<'_>) {
        self.planner.handle_event(self.now, connection, event);
    }

    pub(crate) fn progress(&mut self, connection: ConnectionId, pieces: u32, of: u32) {
        let progress = Progress { pieces, of: Some(of), is_complete: pieces == of };
        self.event(connection, ConnectionEvent::Progress(progress));
    }

    pub(crate) fn accept(&mut self, announced: Announced) -> Result<ConnectionId, Refusal> {
        let (remote, peer_id) = (announced.address.ip(), announced.peer_id);
        let local = ip(if remote.is_ipv4() { "10.77.0.1" } else { "fd77::1" });
        let incoming = Incoming { info_hash: SWARM, peer_id, remote, local, encryption: Encryption::Plain };
        self.planner.handle_accepted(self.now, &incoming)
    }

    /// Time passes, as the planner wants to be told of it.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.planner.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.planner.handle_timeout(self.now);
            assert!(self.planner.poll_timeout().is_none_or(|next| next > self.now), "nothing is due twice");
        }
        self.now = end;
    }

    /// Time passes until there is something to do, which is at most a day. Says how much.
    pub(crate) fn wait_for_action(&mut self) -> (Duration, Action) {
        let begin = self.now;
        loop {
            if let Some(action) = self.planner.poll_action() {
                return (self.now - begin, action);
            }
            let due = self.planner.poll_timeout().expect("something is due");
            assert!(due < begin + secs(86_400), "nothing happens");
            self.wait(due.saturating_sub(self.now));
        }
    }

    /// Time passes until there is a dial. All other actions are passed over.
    pub(crate) fn wait_for_dial(&mut self) -> (Duration, Dial) {
        let begin = self.now;
        loop {
            let (_, action) = self.wait_for_action();
            if let Some(dial) = as_dial(&action) {
                return (self.now - begin, dial);
            }
        }
    }

    pub(crate) fn sighting(&self, address: &str) -> Sighting {
        self.planner.sighting(self.now, &SWARM, at(address)).expect("the peer is known")
    }

    pub(crate) fn verdict(&self, address: &str) -> (Reachability, Option<Reason>) {
        let sighting = self.sighting(address);
        (sighting.reachability, sighting.reason)
    }
}

pub(crate) fn as_dial(action: &Action) -> Option<Dial> {
    let Action::Dial { connection, to, from, encryption, only_if_nobody_here, .. } = *action else { return None };
    Some(Dial { connection, to, from, encryption, only_if_nobody_here })
}
