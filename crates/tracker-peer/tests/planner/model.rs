//! The rules, told in the plainest way: everything is looked through each time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tracker_core::{InfoHash, PeerId, PeerKey, Reachability};
use tracker_peer::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Encryption, Incoming, Network, Planner,
    ProbeOutcome, Refusal, Sharing, Torrent,
};

use crate::lab::{ip, secs};

/// A swarm and the address that a peer is kept under.
pub(crate) type Key = (InfoHash, SocketAddr);

/// The time until one is told of others, unless nobody can dial it.
const DELAY: Duration = secs(2);

const BACK_OFF: [u64; 5] = [1, 3, 10, 30, 120];

/// What the planner was told, and what it asked for.
pub(crate) struct Model {
    pub(crate) now: Duration,
    network: Network,
    members: BTreeMap<Key, Member>,
    torrents: BTreeMap<InfoHash, Torrent>,
    pub(crate) pending: BTreeMap<ConnectionId, Pending>,
    pub(crate) live: BTreeMap<ConnectionId, Live>,
    /// The connections by which the info dictionary was asked for.
    asked: BTreeMap<InfoHash, ConnectionId>,
    /// Who was told of whom: the numbers of the receiver and of the other, and how often that one was unreachable before.
    told: BTreeSet<(u64, u64, u32)>,
    /// The attempts by TCP of the last second.
    attempts: Vec<Duration>,
    used: BTreeSet<ConnectionId>,
    last_number: u64,
}

#[derive(Clone)]
struct Member {
    /// Which no other has that ever was a member.
    number: u64,
    announced: Announced,
    step: usize,
    failure: Failure,
    /// The time of the next dial, at the earliest.
    not_before: Duration,
    /// `true` if the next dial is the second way of the same attempt.
    is_second: bool,
    probed_at: Option<Duration>,
    /// When it was dialled or probed first.
    tried_at: Option<Duration>,
    reachability: Reachability,
    /// Since when others can connect to it.
    reachable_since: Option<Duration>,
    losses: u32,
    /// When another peer said last that it is reachable.
    vouched_at: Option<Duration>,
    /// When its client was connected or dialled last, under this address or another.
    known_until: Option<Duration>,
    /// `true` if it was seen to have everything.
    was_complete: bool,
}

/// What the last attempt failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    None,
    Tcp,
    NotThisTorrent,
}

#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) member: Key,
    pub(crate) kind: Kind,
    target: IpAddr,
    from: IpAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dial { peer_id: PeerId, encryption: Encryption },
    Probe,
    Utp,
}

#[derive(Debug, Clone)]
pub(crate) struct Live {
    member: Key,
    local: IpAddr,
    since: Duration,
}

impl Model {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            now: secs(5000),
            network,
            members: BTreeMap::new(),
            torrents: BTreeMap::new(),
            pending: BTreeMap::new(),
            live: BTreeMap::new(),
            asked: BTreeMap::new(),
            told: BTreeSet::new(),
            attempts: Vec::new(),
            used: BTreeSet::new(),
            last_number: 0,
        }
    }

    pub(crate) fn any_member(&self, rng: &mut StdRng) -> Option<Key> {
        let members: Vec<_> = self.members.keys().copied().collect();
        members.choose(rng).copied()
    }

    pub(crate) fn members_of(&self, swarm: InfoHash) -> Vec<SocketAddr> {
        self.members.keys().filter(|key| key.0 == swarm).map(|key| key.1).collect()
    }

    pub(crate) fn announced(&self, swarm: InfoHash, address: SocketAddr) -> Announced {
        self.members[&(swarm, address)].announced
    }

    /// What the tracker was told of a peer.
    pub(crate) fn reachability(&self, swarm: InfoHash, address: SocketAddr) -> Reachability {
        self.members.get(&(swarm, address)).map(|member| member.reachability).unwrap_or_default()
    }

    pub(crate) fn announce(&mut self, swarm: InfoHash, torrent: Torrent, announced: Announced) {
        let key = (swarm, announced.address);
        let identity = |announced: &Announced| (announced.peer_id, announced.is_claimed);
        if let Some(member) = self.members.get_mut(&key) {
            if identity(&member.announced) == identity(&announced) {
                member.announced = announced;
                member.reachability = announced.reachability;
                return;
            }
            self.leave(swarm, announced.address);
        }
        self.torrents.insert(swarm, torrent);
        self.last_number += 1;
        let member = Member {
            number: self.last_number,
            announced,
            step: 0,
            failure: Failure::None,
            not_before: Duration::ZERO,
            is_second: false,
            probed_at: None,
            tried_at: None,
            reachability: announced.reachability,
            reachable_since: None,
            losses: 0,
            vouched_at: None,
            known_until: None,
            was_complete: false,
        };
        self.members.insert(key, member);
        if self.is_here(announced.address.ip()) {
            self.relax(swarm);
        }
    }

    pub(crate) fn leave(&mut self, swarm: InfoHash, address: SocketAddr) {
        let member = self.members.remove(&(swarm, address)).expect("a member");
        self.pending.retain(|_, pending| pending.member != (swarm, address) || pending.kind != Kind::Utp);
        if self.is_here(address.ip()) {
            self.relax(swarm);
        }
        self.relax_client((swarm, address), (member.announced.peer_id, member.announced.key));
        if self.members_of(swarm).is_empty() {
            self.torrents.remove(&swarm);
        }
    }

    pub(crate) fn set_network(&mut self, network: Network) {
        let here: BTreeSet<_> = self.members.keys().filter(|key| self.is_here(key.1.ip())).copied().collect();
        self.network = network;
        let elsewhere: BTreeSet<_> = here.into_iter().filter(|key| !self.is_here(key.1.ip())).collect();
        // Others were told of a peer on this machine though it did not answer, and are told again when it does.
        self.members.iter_mut().filter(|(key, _)| elsewhere.contains(key)).for_each(|(_, member)| member.losses += 1);
        self.members.values_mut().for_each(|member| member.not_before = Duration::ZERO);
    }

    /// A peer on this machine joined or left: those that have not failed may be dialled before their time.
    fn relax(&mut self, swarm: InfoHash) {
        let members = self.members.iter_mut().filter(|(key, member)| key.0 == swarm && member.failure == Failure::None);
        members.for_each(|(_, member)| member.not_before = Duration::ZERO);
    }

    /// A client is not connected under one of its addresses any more: the others are looked at.
    fn relax_client(&mut self, key: Key, client: (PeerId, PeerKey)) {
        let members = self.members.iter_mut().filter(|(other, member)| {
            other.0 == key.0 && **other != key && (member.announced.peer_id, member.announced.key) == client
        });
        members.for_each(|(_, member)| member.not_before = Duration::ZERO);
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Dial { connection, info_hash, peer_id, to, from, encryption, only_if_nobody_here } => {
                let key = self.find(info_hash, to);
                assert_eq!(self.members[&key].announced.peer_id, peer_id);
                self.begin(connection, key, Kind::Dial { peer_id, encryption }, to, from);
                let is_somebody_here =
                    self.members.iter().any(|(other, _)| other.0 == info_hash && self.is_here(other.1.ip()));
                assert!(!only_if_nobody_here || !is_somebody_here, "the planner should know {from} {to}");
                assert!(only_if_nobody_here || from.is_loopback() || is_somebody_here);
                let member = self.members.get_mut(&key).expect("a member");
                assert!(
                    member.is_second || self.now >= member.not_before,
                    "{key:?} is dialled before {:?}",
                    member.not_before
                );
                assert!(self.live.values().all(|live| live.member != key), "{key:?} is connected");
            }
            Action::Probe { connection, info_hash, to, from } => {
                let key = self.find(info_hash, to);
                self.begin(connection, key, Kind::Probe, to, from);
                let member = self.members.get_mut(&key).expect("a member");
                let last = member.probed_at.replace(self.now);
                assert!(last.is_none_or(|at| self.now >= at + secs(60)), "{key:?} was probed at {last:?}");
            }
            Action::ProbeUtp { connection, info_hash, to, from, shakes_hands } => {
                let key = self.find(info_hash, to);
                self.pending.insert(connection, Pending { member: key, kind: Kind::Utp, target: to.ip(), from });
                if shakes_hands {
                    assert!(!self.is_occupied(key, from), "{from} belongs to a peer here; {key:?}");
                    let member = self.members.get_mut(&key).expect("a member");
                    let last = member.probed_at.replace(self.now);
                    assert!(last.is_none_or(|at| self.now >= at + secs(60)), "{key:?} was probed at {last:?}");
                }
            }
            Action::Close { connection, reason } => {
                let live = self.live.remove(&connection);
                let pending = self.pending.remove(&connection);
                assert!(live.is_some() || pending.is_some(), "{connection:?} is not open");
                assert_ne!(reason, CloseReason::NotSampled, "there is room");
                if let Some(live) = live {
                    self.disconnected(connection, live.member);
                    if reason == CloseReason::SlowMetadata {
                        assert!(self.now >= live.since + secs(60));
                        self.members.get_mut(&live.member).expect("a member").back_off(self.now);
                    }
                }
            }
            Action::Introduce { connection, added, dropped } => {
                let Live { member: receiver, since, .. } = self.live[&connection];
                assert_ne!(self.torrents[&receiver.0], Torrent::Private);
                assert!(!(added.is_empty() && dropped.is_empty()));
                let is_in_time = self.is_unreachable(receiver) || self.now >= since + DELAY;
                assert!(added.is_empty() || is_in_time, "{receiver:?} is told too early");
                let mut at_first = 0;
                for peer in added {
                    let told = self.members.iter().filter(|(key, _)| key.0 == receiver.0 && **key != receiver);
                    let told = told.filter(|(key, _)| self.address_for(receiver.1.ip(), key.1) == Some(peer.address));
                    // Two clients on this machine may have the same port, and go out under one address.
                    let numbers: Vec<_> = told.map(|(_, member)| (member.number, member.losses)).collect();
                    let new = numbers.iter().find(|(number, losses)| {
                        !self.told.contains(&(self.members[&receiver].number, *number, *losses))
                    });
                    let &(number, losses) =
                        new.unwrap_or_else(|| panic!("{receiver:?} is told of {peer:?} again, or for nothing"));
                    self.told.insert((self.members[&receiver].number, number, losses));
                    let other = self.members.values().find(|other| other.number == number).expect("it was found");
                    let is_in_time =
                        self.is_unreachable(receiver) || other.tried_at.is_some_and(|at| self.now >= at + DELAY);
                    assert!(is_in_time, "{receiver:?} is told of {peer:?} too early");
                    at_first += usize::from(other.reachable_since.is_none_or(|at| at <= since));
                    assert_ne!(peer.address.port(), 0);
                }
                assert!(at_first <= 20);
            }
            Action::RequestMetadata { connection } => {
                let swarm = self.live[&connection].member.0;
                assert_eq!(self.torrents[&swarm], Torrent::Unknown);
                assert_eq!(self.asked.insert(swarm, connection), None, "one at a time");
            }
            Action::SetReachability { info_hash, address, peer_id, reachability } => {
                let member = self.members.get_mut(&(info_hash, address)).expect("a member");
                assert_eq!(member.announced.peer_id, peer_id);
                assert_ne!(member.reachability, reachability);
                if member.reachability == Reachability::Yes {
                    member.losses += 1;
                }
                member.reachability = reachability;
                let is_reachable = reachability == Reachability::Yes;
                member.reachable_since = is_reachable.then(|| member.reachable_since.unwrap_or(self.now));
            }
            other => panic!("{other:?} is not known"),
        }
    }

    fn begin(&mut self, connection: ConnectionId, key: Key, kind: Kind, to: SocketAddr, from: IpAddr) {
        assert!(self.used.insert(connection), "{connection:?} is used again");
        let announced = self.members[&key].announced;
        assert!(!announced.is_claimed && announced.address.port() > 1 && self.network_admits(announced.address.ip()));
        assert_eq!(to, self.target(announced.address));
        let busy = self.pending.values().filter(|pending| pending.kind != Kind::Utp);
        assert!(busy.clone().all(|pending| pending.target != to.ip()), "{to} is dialled twice at once");
        assert!(busy.count() < 50);
        assert!(from.is_loopback() || self.network.sources.iter().any(|source| source.ip == from));
        if matches!(kind, Kind::Dial { .. }) {
            assert!(!self.is_occupied(key, from), "{from} belongs to a peer here; {key:?}");
        }
        self.attempts.retain(|at| *at + secs(1) > self.now);
        self.attempts.push(self.now);
        assert!(self.attempts.len() <= 250);
        self.pending.insert(connection, Pending { member: key, kind, target: to.ip(), from });
        self.members.get_mut(&key).expect("a member").tried_at.get_or_insert(self.now);
    }

    pub(crate) fn dialled(&mut self, connection: ConnectionId, outcome: DialOutcome) {
        let Pending { member: key, from, .. } = self.pending.remove(&connection).expect("it is pending");
        let is_connected = self.client_is_connected(key);
        let now = self.now;
        let member = self.members.get_mut(&key).expect("a member");
        match outcome {
            DialOutcome::Established { .. } => {
                (member.is_second, member.failure) = (false, Failure::None);
                let live = Live { member: key, local: from, since: now };
                self.live.insert(connection, live);
            }
            DialOutcome::NoHandshake if !is_connected && !member.is_second => member.is_second = true,
            outcome => {
                member.is_second = false;
                member.back_off(now);
                match outcome {
                    DialOutcome::NoHandshake if is_connected => {}
                    DialOutcome::NoHandshake | DialOutcome::OtherTorrent => member.failure = Failure::NotThisTorrent,
                    DialOutcome::Refused | DialOutcome::NoAnswer => member.failure = Failure::Tcp,
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn probed(&mut self, connection: ConnectionId, outcome: ProbeOutcome) {
        let Pending { member: key, .. } = self.pending.remove(&connection).expect("it is pending");
        let now = self.now;
        let member = self.members.get_mut(&key).expect("a member");
        if outcome == ProbeOutcome::Connected {
            (member.step, member.not_before) = (0, Duration::ZERO);
            if member.failure == Failure::Tcp {
                member.failure = Failure::None;
            }
            return;
        }
        member.back_off(now);
        if outcome != ProbeOutcome::Withheld {
            member.failure = Failure::Tcp;
        }
    }

    pub(crate) fn accepted(&mut self, incoming: &Incoming, accepted: Result<ConnectionId, Refusal>) {
        let at_address: Vec<_> = self
            .members
            .iter()
            .filter(|(key, member)| {
                key.0 == incoming.info_hash && key.1.ip() == incoming.remote && !member.announced.is_claimed
            })
            .map(|(key, member)| (*key, member.announced.peer_id))
            .collect();
        let is_this_machine = incoming.remote.is_loopback() || self.network.own_addresses.contains(&incoming.remote);
        let with_id: Vec<_> = at_address.iter().filter(|(_, id)| *id == incoming.peer_id).copied().collect();
        let candidates = if with_id.is_empty() { at_address.clone() } else { with_id };
        let chosen = candidates.iter().map(|(key, _)| *key).find(|key| !self.client_is_connected(*key));
        let expected = if is_this_machine {
            Err(Refusal::SameMachine)
        } else if !self.network_admits(incoming.remote) || at_address.is_empty() {
            Err(Refusal::Stranger)
        } else {
            match chosen {
                None => Err(Refusal::AlreadyConnected),
                Some(key) if self.is_occupied(key, incoming.local) => Err(Refusal::PeerHere),
                Some(key) => Ok(key),
            }
        };
        assert_eq!(accepted.err(), expected.err());
        if let (Ok(connection), Ok(member)) = (accepted, expected) {
            assert!(self.used.insert(connection));
            self.live.insert(connection, Live { member, local: incoming.local, since: self.now });
            let member = self.members.get_mut(&member).expect("a member");
            if member.failure == Failure::NotThisTorrent {
                member.failure = Failure::None;
            }
        }
    }

    pub(crate) fn happened(&mut self, connection: ConnectionId, event: &ConnectionEvent<'_>) {
        let Live { member: key, since, .. } = self.live[&connection];
        let now = self.now;
        let member = self.members.get_mut(&key).expect("a member");
        match event {
            ConnectionEvent::Closed => {
                if now >= since + secs(20) {
                    (member.step, member.not_before) = (0, now + secs(2));
                } else {
                    member.back_off(now);
                }
                self.live.remove(&connection);
                self.disconnected(connection, key);
            }
            ConnectionEvent::Progress(progress) => member.was_complete |= progress.is_complete,
            ConnectionEvent::MetadataFailed => {
                _ = self
                    .asked
                    .remove(&key.0)
                    .filter(|asked| *asked != connection)
                    .map(|asked| self.asked.insert(key.0, asked))
            }
            _ => {}
        }
    }

    /// A peer said that the one at this address is reachable.
    pub(crate) fn vouch(&mut self, connection: ConnectionId, address: SocketAddr) {
        let by = self.live[&connection].member;
        if let Some(member) = self.members.get_mut(&(by.0, address)).filter(|_| by.1 != address) {
            member.vouched_at = Some(self.now);
        }
    }

    fn disconnected(&mut self, connection: ConnectionId, key: Key) {
        if let Some(member) = self.members.get(&key) {
            let client = (member.announced.peer_id, member.announced.key);
            self.relax_client(key, client);
            let now = self.now;
            let is_client = |member: &&mut Member| (member.announced.peer_id, member.announced.key) == client;
            let others = self.members.iter_mut().filter(|(other, _)| other.0 == key.0).map(|(_, member)| member);
            others.filter(is_client).for_each(|member| member.known_until = Some(now));
        }
        if self.asked.get(&key.0) == Some(&connection) {
            self.asked.remove(&key.0);
        }
    }

    /// What holds after all actions are done.
    pub(crate) fn check(&mut self, planner: &Planner) {
        for (connection, Live { member, local, .. }) in &self.live {
            assert!(self.members.contains_key(member), "{connection:?} is to a peer that left");
            assert!(!self.is_occupied(*member, *local), "{connection:?} to {member:?} is in the way at {local}");
        }
        for (connection, Pending { member, from, kind, .. }) in &self.pending {
            assert!(self.members.contains_key(member) || *kind == Kind::Utp, "{connection:?} is to a peer that left");
            if matches!(kind, Kind::Dial { .. }) {
                assert!(!self.is_occupied(*member, *from), "{connection:?} to {member:?} is in the way at {from}");
            }
        }
        for (key, member) in &self.members {
            let sighting = planner.sighting(self.now, &key.0, key.1).expect("each peer is known");
            let connections = self.live.values().filter(|live| live.member == *key).count();
            assert!(connections <= 1, "{key:?} has {connections} connections");
            assert_eq!(sighting.is_connected, connections == 1);
            if !self.is_here(key.1.ip()) {
                // When nobody said for ten minutes that others reach it, the tracker is told after the next attempt.
                let is_vouching_over = member.vouched_at.is_some_and(|at| self.now >= at + secs(600));
                let is_to_be_told = is_vouching_over
                    && (sighting.reachability, member.reachability) == (Reachability::No, Reachability::Unknown);
                let known = match member.reachability {
                    Reachability::Introduced => Reachability::No,
                    known => known,
                };
                assert!(is_to_be_told || sighting.reachability == known, "{key:?}: {sighting:?}");
                // It is told of newcomers only while it is connected, and in a public torrent.
                let may_be_introduced = connections == 1 && self.torrents[&key.0] == Torrent::Public;
                assert!(may_be_introduced || member.reachability != Reachability::Introduced, "{key:?}: {sighting:?}");
            }
        }
        for key in self.members.keys().copied().collect::<Vec<_>>() {
            self.check_is_looked_at(key);
        }
        self.check_introductions();
    }

    /// A newcomer is dialled or probed at once, unless something is in the way.
    fn check_is_looked_at(&mut self, key: Key) {
        let target = self.target(key.1).ip();
        let others = self
            .pending
            .values()
            .any(|pending| matches!(pending.kind, Kind::Dial { .. }) && self.is_same_client(pending.member, key));
        let is_client_known = others || self.client_is_connected(key);
        let is_busy = self.pending.values().any(|pending| pending.kind != Kind::Utp && pending.target == target);
        let is_fast = self.attempts.iter().filter(|at| **at + Duration::from_millis(300) > self.now).count() > 40;
        let is_lookable = self.network_admits(key.1.ip()) && key.1.port() > 1 && !self.sources(target).is_empty();
        let now = self.now;
        let member = self.members.get_mut(&key).expect("a member");
        if is_client_known {
            member.known_until = Some(now);
        }
        let was_client_known = member.known_until.is_some_and(|until| now <= until + secs(2));
        if is_lookable && !member.announced.is_claimed && !is_busy && !is_fast && !was_client_known {
            assert!(member.tried_at.is_some(), "{key:?} is not looked at");
        }
    }

    /// Each who is connected was told of each who can be reached, when it is time to.
    fn check_introductions(&self) {
        for Live { member: receiver, since, .. } in self.live.values().cloned() {
            if self.torrents[&receiver.0] == Torrent::Private || self.members_of(receiver.0).len() > 20 {
                continue;
            }
            for (key, member) in self.members.iter().filter(|(key, _)| key.0 == receiver.0 && **key != receiver) {
                let is_reachable = member.reachability == Reachability::Yes && !self.is_here(key.1.ip());
                let is_due = member.reachable_since.is_some_and(|at| self.now >= at.max(since) + DELAY);
                let have_everything = self.members[&receiver].was_complete && member.was_complete;
                let has_address = self.address_for(receiver.1.ip(), key.1).is_some();
                if is_reachable
                    && is_due
                    && has_address
                    && !have_everything
                    && !self.is_same_client(*key, receiver)
                    && self.network_admits(key.1.ip())
                {
                    let was_told = (0..=member.losses)
                        .any(|losses| self.told.contains(&(self.members[&receiver].number, member.number, losses)));
                    assert!(was_told, "{receiver:?} was not told of {key:?}");
                }
            }
        }
    }

    /// Returns `true` if nobody can dial it. When nobody said for ten minutes that others reach it, the tracker is told of that later.
    fn is_unreachable(&self, key: Key) -> bool {
        let Member { reachability, vouched_at, .. } = &self.members[&key];
        let is_vouching_over = vouched_at.is_some_and(|at| self.now >= at + secs(600));
        matches!(reachability, Reachability::No | Reachability::Introduced)
            || *reachability == Reachability::Unknown && is_vouching_over
    }

    /// The peer that is dialled at this address. There is one, since clients on this machine have different ports.
    fn find(&self, swarm: InfoHash, to: SocketAddr) -> Key {
        let found: Vec<_> =
            self.members.keys().filter(|key| key.0 == swarm && self.target(key.1) == to).copied().collect();
        assert_eq!(found.len(), 1, "{found:?} announced {to}");
        found[0]
    }

    fn is_same_client(&self, one: Key, other: Key) -> bool {
        let client = |key| self.members.get(&key).map(|member| (member.announced.peer_id, member.announced.key));
        one.0 == other.0 && client(one).is_some() && client(one) == client(other)
    }

    fn client_is_connected(&self, key: Key) -> bool {
        self.live.values().any(|live| live.member == key || self.is_same_client(live.member, key))
    }

    fn is_here(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.network.own_addresses.contains(&ip) || self.is_container(ip)
    }

    fn is_container(&self, ip: IpAddr) -> bool {
        !self.network.own_addresses.contains(&ip)
            && self.network.container_networks.iter().any(|network| network.contains(&ip))
    }

    fn network_admits(&self, ip: IpAddr) -> bool {
        ip != self::ip("203.0.113.9") && self.network.access.admits(ip)
    }

    fn target(&self, address: SocketAddr) -> SocketAddr {
        let is_own = self.network.own_addresses.contains(&address.ip());
        match address.ip() {
            IpAddr::V4(_) if is_own => (ip("127.0.0.1"), address.port()).into(),
            IpAddr::V6(v6) if is_own || v6.is_loopback() => (ip("::1"), address.port()).into(),
            _ => address,
        }
    }

    /// The addresses from which a target can be dialled. All but the containers' are in one network of each family.
    fn sources(&self, target: IpAddr) -> Vec<IpAddr> {
        if target.is_loopback() {
            return vec![if target.is_ipv4() { ip("127.0.0.1") } else { ip("::1") }];
        }
        let is_guest = |ip: IpAddr| self.network.container_networks[0].contains(&ip);
        let sources = self.network.sources.iter().map(|source| source.ip);
        let is_near = |source: &IpAddr| source.is_ipv4() == target.is_ipv4() && is_guest(*source) == is_guest(target);
        let near: Vec<_> = sources.clone().filter(is_near).collect();
        if near.is_empty() {
            sources.filter(|source| source.is_ipv4() == target.is_ipv4() && !is_guest(*source)).collect()
        } else {
            near
        }
    }

    /// Returns `true` if a peer on this machine, but the one that is dialled, is ever handed out under `local`.
    fn is_occupied(&self, dialled: Key, local: IpAddr) -> bool {
        if local.is_loopback() {
            return false;
        }
        let is_shared =
            !self.network.sources.iter().any(|source| source.ip == local && source.sharing == Sharing::Exclusive);
        let others = self.members.keys().filter(|key| key.0 == dialled.0 && **key != dialled);
        others
            .map(|key| key.1.ip())
            .filter(|ip| self.is_here(*ip))
            .any(|ip| ip == local || is_shared && (ip.is_loopback() || ip.is_ipv4() == local.is_ipv4()))
    }

    /// The address of a peer for a receiver, who must not be told one of the own peer.
    fn address_for(&self, receiver: IpAddr, peer: SocketAddr) -> Option<SocketAddr> {
        let shared = |v4: bool| {
            let sources = self
                .network
                .sources
                .iter()
                .filter(|source| source.sharing == Sharing::Shared && source.ip.is_ipv4() == v4);
            let mut lan = sources.clone().filter(|source| !self.network.container_networks[0].contains(&source.ip));
            let near = sources.clone().find(|source| source.network.contains(&receiver));
            near.or_else(|| lan.next()).map(|source| source.ip)
        };
        let is_receiver_here = receiver.is_loopback() || self.network.own_addresses.contains(&receiver);
        let found = match peer.ip() {
            ip if !self.is_here(ip) => Some(ip),
            ip if is_receiver_here => {
                let is_localhost = [self::ip("127.0.0.1"), self::ip("::1")].contains(&ip);
                let lan = |v4| {
                    let mut lan = self
                        .network
                        .sources
                        .iter()
                        .filter(|source| source.sharing == Sharing::Shared && source.ip.is_ipv4() == v4);
                    lan.find(|source| !self.network.container_networks[0].contains(&source.ip)).map(|source| source.ip)
                };
                if is_localhost {
                    lan(ip.is_ipv4()).or_else(|| lan(true)).or_else(|| lan(false)).or(Some(ip))
                } else {
                    Some(ip)
                }
            }
            ip if self.is_container(ip) && self.is_container(receiver) => Some(ip),
            ip if ip.is_loopback() => shared(receiver.is_ipv4()),
            ip => shared(ip.is_ipv4()),
        };
        found.map(|ip| SocketAddr::new(ip, peer.port()))
    }
}

impl Member {
    fn back_off(&mut self, now: Duration) {
        self.not_before = now + secs(BACK_OFF[self.step]);
        self.step = (self.step + 1).min(BACK_OFF.len() - 1);
    }
}
