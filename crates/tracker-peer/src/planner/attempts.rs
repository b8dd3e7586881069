//! Attempts to connect to peers: by which way, from which address, and what follows from what becomes of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tracker_core::PeerId;

use super::capacity::{Room, Scope};
use super::evidence::{Answer, Failure};
use super::peer::{Peer, PeerNumber};
use super::schedule::Urgency;
use super::{
    Action, CloseReason, ConnectionId, DialOutcome, Encryption, FILL_INTERVAL, Planner, ProbeOutcome, Reachability,
    UtpOutcome,
};

/// The least time between two probes of a peer. Several a second keep Transmission from accepting anybody else.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// The time after which a peer is probed again that accepted a probe.
const PROBE_AGAIN: Duration = Duration::from_secs(120);

/// The time to wait while a client is dialled under its other address.
const OTHER_ADDRESS: Duration = Duration::from_secs(1);

/// An attempt to connect by TCP that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) peer: PeerNumber,
    /// The address that is dialled, at which there is no other attempt.
    target: IpAddr,
    pub(super) from: IpAddr,
    kind: AttemptKind,
}

impl Attempt {
    const fn is_dial(&self) -> bool {
        matches!(self.kind, AttemptKind::Dial(_))
    }
}

#[derive(Debug, Clone, Copy)]
enum AttemptKind {
    /// It counts as a connection.
    Dial(Encryption),
    Probe,
}

/// The way to look at a peer that is due.
#[derive(Debug, Clone, Copy)]
enum Look {
    Dial {
        to: SocketAddr,
        from: IpAddr,
        only_if_nobody_here: bool,
    },
    Probe {
        to: SocketAddr,
        from: IpAddr,
    },
    Later(Duration),
    /// Not until something changes.
    Never,
}

impl Planner {
    /// An [`Action::Dial`] came to this.
    pub fn handle_dialled(&mut self, now: Duration, connection: ConnectionId, outcome: DialOutcome) {
        self.advance(now);
        if let Some((attempt, AttemptKind::Dial(encryption))) = self.end_attempt(connection) {
            match outcome {
                DialOutcome::Established { peer_id } => {
                    self.shook_hands(connection, attempt, encryption, peer_id);
                }
                failed => {
                    self.release(attempt.peer, connection);
                    self.dial_failed(attempt, encryption, failed);
                }
            }
        }
        self.dispatch();
    }

    /// An [`Action::Probe`] came to this.
    pub fn handle_probed(&mut self, now: Duration, connection: ConnectionId, outcome: ProbeOutcome) {
        self.advance(now);
        if let Some((Attempt { peer: number, from, .. }, _)) = self.end_attempt(connection) {
            match outcome {
                ProbeOutcome::Connected => {
                    let peer = self.peers.get_mut(&number).expect("an attempt's peer is known");
                    peer.evidence.succeed(Answer::Tcp);
                    peer.is_tried = true;
                    peer.back_off.reset();
                    // There may be a way to dial it now.
                    let can_dial = matches!(self.look(number), Look::Dial { .. });
                    let delay = if can_dial { Duration::ZERO } else { PROBE_AGAIN };
                    self.schedule.set(number, self.now + delay, Urgency::Again);
                    self.update(number);
                }
                ProbeOutcome::Refused => self.tcp_failed(number, from, Failure::Refused),
                ProbeOutcome::NoAnswer => self.tcp_failed(number, from, Failure::NoAnswer),
                ProbeOutcome::Withheld => self.retry_later(number),
            }
        }
        self.dispatch();
    }

    /// An [`Action::ProbeUtp`] came to this.
    pub fn handle_utp_probed(&mut self, now: Duration, connection: ConnectionId, outcome: UtpOutcome) {
        self.advance(now);
        if let Some(number) = self.utp_probes.remove(&connection) {
            let peer = self.peers.get_mut(&number).expect("a probe's peer is known");
            peer.utp_probe = None;
            peer.evidence.utp = Some(outcome);
            self.update(number);
        }
        self.dispatch();
    }

    /// Looks at the peer as soon as the limits permit, unless it is being looked at.
    pub(super) fn schedule_soon(&mut self, number: PeerNumber) {
        let peer = &self.peers[&number];
        if peer.attempt.is_none() && peer.connection.is_none() && peer.waiting.is_none() {
            self.schedule.set(number, self.now, peer.urgency());
        }
    }

    /// Looks at the peers that are due, as far as the limits permit.
    pub(super) fn dispatch(&mut self) {
        while let Some(number) = self.schedule.next(self.now) {
            match self.look(number) {
                Look::Dial { to, from, only_if_nobody_here } => self.dial(number, to, from, only_if_nobody_here),
                Look::Probe { to, from } => self.probe(number, to, from),
                Look::Later(due) => {
                    let urgency = self.peers[&number].urgency();
                    self.schedule.set(number, due, urgency);
                }
                Look::Never => {}
            }
        }
    }

    /// Gives room to those who wait for it, and in a second to the next.
    pub(super) fn fill(&mut self) {
        let mut admitted = self.capacity.take_admissible();
        self.crowded.retain(|info_hash| {
            let Some(swarm) = self.swarms.get_mut(info_hash) else { return false };
            admitted.extend(swarm.capacity.take_admissible());
            swarm.capacity.has_waiting()
        });
        for number in admitted {
            let peer = self.peers.get_mut(&number).expect("a waiting peer is known");
            peer.waiting = None;
            self.schedule.set(number, self.now, peer.urgency());
        }
        let has_waiting = !self.crowded.is_empty() || self.capacity.has_waiting();
        self.fill_at = has_waiting.then(|| self.now + FILL_INTERVAL);
    }

    /// Gives up dialling, or a probe. What becomes of it is not waited for.
    pub(super) fn abandon(&mut self, connection: ConnectionId, reason: CloseReason) {
        if let Some((attempt, AttemptKind::Dial(_))) = self.end_attempt(connection) {
            self.release(attempt.peer, connection);
        }
        self.actions.push_back(Action::Close { connection, reason });
    }

    /// Decides how to look at a peer.
    ///
    /// A client is dialled once, also if it has two addresses: it would close the second connection, which would look as if it did
    /// not have the torrent. So one that is connected is probed, to learn whether others can connect to it; and so is one that
    /// can be dialled only from an address under which a peer on this machine is handed out.
    fn look(&self, number: PeerNumber) -> Look {
        let peer = &self.peers[&number];
        let swarm = &self.swarms[&peer.info_hash];
        let to = self.network.target(peer.announced.address);
        let sources = self.network.sources_to(to.ip());
        let Some(&best) = sources.first() else { return Look::Never };
        if peer.attempt.is_some() || !peer.is_dialable(&self.network) {
            return Look::Never;
        }

        let is_connected = self.client_of(peer).any(|other| other.connection.is_some());
        if is_connected && (peer.location.is_on_this_machine() || peer.verdict(self.now).0 == Reachability::Yes) {
            return Look::Never;
        }
        let is_dialled = |other: &Peer| other.attempt.is_some_and(|attempt| self.attempts[&attempt].is_dial());
        let free = sources.iter().find(|&&source| !self.is_occupied(swarm, source, peer));
        match free.filter(|_| !is_connected) {
            Some(_) if self.client_of(peer).any(is_dialled) => Look::Later(self.now + OTHER_ADDRESS),
            Some(&from) => {
                let only_if_nobody_here = self.needs_nobody_here(&peer.info_hash, from);
                Look::Dial { to, from, only_if_nobody_here }
            }
            None => match peer.probed_at.map(|at| at + PROBE_INTERVAL) {
                Some(next) if next > self.now => Look::Later(next),
                _ => Look::Probe { to, from: best },
            },
        }
    }

    fn dial(&mut self, number: PeerNumber, to: SocketAddr, from: IpAddr, only_if_nobody_here: bool) {
        let peer = &self.peers[&number];
        let (info_hash, peer_id) = (peer.info_hash, peer.announced.peer_id);
        let encryption = peer.second_way.unwrap_or_else(|| self.endpoints.first_way(peer.announced.address));
        if self.schedule.park_if_busy(self.now, number, to.ip(), peer.urgency()) {
            return;
        }
        if let Err(scope) = self.make_room(number) {
            self.wait(number, scope);
            return;
        }
        let connection = self.begin_attempt(number, to.ip(), from, AttemptKind::Dial(encryption));
        self.take_room(number);
        self.swarm_of(number).dials.insert(connection);
        self.actions.push_back(Action::Dial {
            connection,
            info_hash,
            peer_id,
            to,
            from,
            encryption,
            only_if_nobody_here,
        });
    }

    fn probe(&mut self, number: PeerNumber, to: SocketAddr, from: IpAddr) {
        let peer = &self.peers[&number];
        let info_hash = peer.info_hash;
        if self.schedule.park_if_busy(self.now, number, to.ip(), peer.urgency()) {
            return;
        }
        let connection = self.begin_attempt(number, to.ip(), from, AttemptKind::Probe);
        self.peers.get_mut(&number).expect("it is known").probed_at = Some(self.now);
        self.actions.push_back(Action::Probe { connection, info_hash, to, from });
    }

    fn begin_attempt(&mut self, peer: PeerNumber, target: IpAddr, from: IpAddr, kind: AttemptKind) -> ConnectionId {
        self.schedule.begin(self.now, target);
        let connection = ConnectionId(self.next_number());
        self.attempts.insert(connection, Attempt { peer, target, from, kind });
        self.peers.get_mut(&peer).expect("it is known").attempt = Some(connection);
        connection
    }

    fn end_attempt(&mut self, connection: ConnectionId) -> Option<(Attempt, AttemptKind)> {
        let attempt = self.attempts.remove(&connection)?;
        self.schedule.end(attempt.target);
        self.peers.get_mut(&attempt.peer).expect("an attempt's peer is known").attempt = None;
        self.swarm_of(attempt.peer).dials.remove(&connection);
        Some((attempt, attempt.kind))
    }

    fn shook_hands(&mut self, connection: ConnectionId, attempt: Attempt, encryption: Encryption, peer_id: PeerId) {
        let number = attempt.peer;
        let peer = self.peers.get_mut(&number).expect("an attempt's peer is known");
        let answer = match encryption {
            _ if !may_be_same_client(peer_id, peer.announced.peer_id) => Answer::OtherClient,
            Encryption::Plain => Answer::Plain,
            Encryption::Mse => Answer::Encrypted,
        };
        peer.evidence.succeed(answer);
        peer.is_tried = true;
        peer.second_way = None;
        self.endpoints.remember(peer.announced.address, encryption);
        if peer.connection.is_some() {
            // It connected to this machine meanwhile.
            self.release(number, connection);
            self.actions.push_back(Action::Close { connection, reason: CloseReason::Duplicate });
            self.update(number);
        } else {
            self.schedule.cancel(number);
            self.connect(connection, number, attempt.from, encryption, peer_id);
        }
    }

    fn dial_failed(&mut self, attempt: Attempt, encryption: Encryption, outcome: DialOutcome) {
        let number = attempt.peer;
        let is_connected = self.client_of(&self.peers[&number]).any(|other| other.connection.is_some());
        let peer = self.peers.get_mut(&number).expect("an attempt's peer is known");
        let is_second = peer.second_way.take().is_some();
        match outcome {
            // It keeps one connection, and there is one already.
            DialOutcome::NoHandshake if is_connected => self.retry_later(number),
            DialOutcome::NoHandshake if !is_second => {
                peer.second_way = Some(encryption.other());
                self.schedule.set(number, self.now, Urgency::First);
            }
            DialOutcome::NoHandshake => {
                peer.evidence.fail(Failure::NotThisTorrent);
                // Perhaps its TCP is off. Where the dial was in nobody's way, a handshake by uTP is not either.
                if peer.probed_at.is_none_or(|at| self.now >= at + PROBE_INTERVAL) {
                    peer.probed_at = Some(self.now);
                    self.probe_utp(number, attempt.from, true);
                }
                self.retry_later(number);
            }
            DialOutcome::OtherTorrent => {
                peer.evidence.fail(Failure::NotThisTorrent);
                self.retry_later(number);
            }
            DialOutcome::Refused => self.tcp_failed(number, attempt.from, Failure::Refused),
            DialOutcome::NoAnswer => self.tcp_failed(number, attempt.from, Failure::NoAnswer),
            DialOutcome::Withheld | DialOutcome::Established { .. } => {
                let delay = peer.back_off.next();
                self.schedule.set(number, self.now + delay, peer.urgency());
            }
        }
    }

    /// TCP did not connect: perhaps uTP does.
    fn tcp_failed(&mut self, number: PeerNumber, from: IpAddr, failure: Failure) {
        let peer = self.peers.get_mut(&number).expect("an attempt's peer is known");
        peer.evidence.fail(failure);
        self.probe_utp(number, from, false);
        self.retry_later(number);
    }

    /// Tries uTP, unless that is under way.
    fn probe_utp(&mut self, number: PeerNumber, from: IpAddr, shakes_hands: bool) {
        let peer = &self.peers[&number];
        let info_hash = peer.info_hash;
        if peer.utp_probe.is_none() {
            let to = self.network.target(peer.announced.address);
            let connection = ConnectionId(self.next_number());
            self.peers.get_mut(&number).expect("it is known").utp_probe = Some(connection);
            self.utp_probes.insert(connection, number);
            self.actions.push_back(Action::ProbeUtp { connection, info_hash, to, from, shakes_hands });
        }
    }

    fn retry_later(&mut self, number: PeerNumber) {
        let peer = self.peers.get_mut(&number).expect("an attempt's peer is known");
        peer.is_tried = true;
        let delay = peer.back_off.next();
        self.schedule.set(number, self.now + delay, Urgency::Again);
        self.update(number);
    }

    /// Makes room for one more connection, by closing others if need be; or says which limit leaves none.
    pub(super) fn make_room(&mut self, number: PeerNumber) -> Result<(), Scope> {
        let applicant = self.peers[&number].applicant(self.now, number);
        for scope in [Scope::Swarm, Scope::All] {
            let capacity = match scope {
                Scope::Swarm => &self.swarm_of(number).capacity,
                Scope::All => &self.capacity,
            };
            match capacity.room_for(applicant) {
                Room::Free => {}
                Room::Evict(connection) => {
                    let evicted = self.connections[&connection].peer;
                    self.close(connection, CloseReason::NotSampled);
                    self.schedule.cancel(evicted);
                    self.wait(evicted, scope);
                }
                Room::None => return Err(scope),
            }
        }
        Ok(())
    }

    pub(super) fn take_room(&mut self, number: PeerNumber) {
        self.swarm_of(number).capacity.take();
        self.capacity.take();
    }

    pub(super) fn release(&mut self, number: PeerNumber, connection: ConnectionId) {
        let rank = self.peers[&number].rank;
        self.swarm_of(number).capacity.release(rank, connection);
        self.capacity.release(rank, connection);
    }

    /// The peer waits for room for a connection.
    fn wait(&mut self, number: PeerNumber, scope: Scope) {
        let now = self.now;
        let peer = self.peers.get_mut(&number).expect("it is known");
        let applicant = peer.applicant(now, number);
        peer.waiting = Some((scope, applicant));
        match scope {
            Scope::Swarm => {
                self.crowded.insert(peer.info_hash);
                self.swarm_of(number).capacity.wait(applicant);
            }
            Scope::All => self.capacity.wait(applicant),
        }
        self.fill_at.get_or_insert(now + FILL_INTERVAL);
    }
}

/// Returns `true` unless these are peer ids of two clients. libtorrent has another one on each connection than it announces, which
/// begins alike: with the program and its version, between hyphens.
fn may_be_same_client(one: PeerId, other: PeerId) -> bool {
    let program = |peer_id: PeerId| {
        let [b'-', program @ .., b'-'] = *peer_id.as_bytes().first_chunk::<8>().expect("a peer id has 20 bytes") else {
            return None;
        };
        Some(program)
    };
    one == other || program(one).is_some_and(|program_of_one| Some(program_of_one) == program(other))
}
