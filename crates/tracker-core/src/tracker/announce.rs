//! An announce, from the admission of its sender to the answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;

use super::{OtherShards, Tracker};
use crate::address::{self, Asker, Place};
use crate::entry::Download;
use crate::interval::{Intervals, Lifetimes};
use crate::peer::{Identity, Member};
use crate::select::Selection;
use crate::swarm::{Change, NoRoom, Swarm, Upserted};
use crate::swarms::SwarmId;
use crate::{
    AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, Config, EventKind, InfoHash, Peers, SwarmCounts,
    Verdict, Warning, access,
};

impl Tracker {
    /// Admits the sender, lets its swarm take the peer in or out, and draws the interval and the peers of the answer.
    pub(super) fn answer(
        &mut self,
        others: OtherShards,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<Answer, AnnounceError> {
        let asker = Asker::of(request);
        let sender = Identity::new(asker.announced_ip(request, &self.config), request);
        self.admit(&asker, &sender, request)?;
        let intervals = Intervals::draw(&self.config, others.peers + self.peers(), rng);
        let known = self.swarms.find(&self.rules, &request.info_hash);
        let (counts, warning, news) = if request.event == Some(AnnounceEvent::Stopped) {
            let counts = known.map(|id| self.leave(id, &sender, intervals.interval, request)).unwrap_or_default();
            // The swarm may be gone.
            let known = self.swarms.find(&self.rules, &request.info_hash);
            (counts, self.warning(sender.ip, known, false), News::default())
        } else {
            let Taken { id, download, took_place, news } =
                self.upsert(known, others, &sender, intervals.interval, request)?;
            let swarm = &self.swarms[id];
            Selection::new(&self.config, &self.rules, asker, sender.ip, request, download).select(rng, swarm, peers);
            self.add_own_peer(&asker, request, swarm, peers);
            (swarm.counts(), self.warning(sender.ip, Some(id), took_place), news)
        };
        let response = AnnounceResponse {
            warning,
            external_ip: Some(asker.remote).filter(|&remote| !access::is_local(remote)),
            ..AnnounceResponse::new(intervals.interval, intervals.min_interval, counts)
        };
        Ok(Answer { response, news })
    }

    /// Hands out the own peer, if there is a place left, and nobody in the swarm is under the same address.
    fn add_own_peer(&self, asker: &Asker, request: &AnnounceRequest, swarm: &Swarm, peers: &mut Peers) {
        let has_place = || peers.len() < self.config.wanted(request) as usize && !swarm.has_peer_here();
        let own_peer = self.own_peer.as_ref().filter(|_| has_place());
        peers.extend(own_peer.and_then(|own| own.entry(asker, request, &self.config, self.rules.address_bits)));
    }

    fn admit(&self, asker: &Asker, sender: &Identity, request: &AnnounceRequest) -> Result<(), AnnounceError> {
        let Config { access, clients, torrents, .. } = &self.config;
        if !access.admits(asker.remote) {
            return Err(AnnounceError::AddressNotAllowed { address: asker.remote });
        }
        // What is not served is not handed out either.
        if let Some(address) = [asker.remote, sender.ip].into_iter().find(|ip| !clients.admits_address(*ip)) {
            return Err(AnnounceError::AddressDenied { address });
        }
        if !clients.admits_client(request.peer_id) {
            return Err(AnnounceError::ClientDenied { peer_id: request.peer_id });
        }
        match torrents.verdict(&request.info_hash) {
            Verdict::Served => Ok(()),
            Verdict::NotListed => Err(AnnounceError::TorrentNotAllowed),
            Verdict::Denied => Err(AnnounceError::TorrentDenied),
        }
    }

    /// The warning for the sender of an announce, whose peer is kept under `ip`, and may have taken the place of another client.
    fn warning(&self, ip: IpAddr, swarm: Option<SwarmId>, took_place: bool) -> Option<Warning> {
        if address::is_v6_link_local(ip) {
            return Some(Warning::LinkLocalAddress);
        }
        self.is_shared(swarm?, ip, took_place).then_some(Warning::SharedAddress { address: ip })
    }

    /// Returns `true` if several clients of the swarm are under the address of a gateway. Where they have the same port, there
    /// is one peer of them at a time: the one that took the place of another.
    fn is_shared(&self, id: SwarmId, ip: IpAddr, took_place: bool) -> bool {
        self.config.gateways.contains(&ip) && (took_place || self.swarms[id].shares_address(&self.rules, ip))
    }

    /// Takes out a peer that says it leaves. Returns the counts without it.
    fn leave(&mut self, id: SwarmId, sender: &Identity, interval: Duration, request: &AnnounceRequest) -> SwarmCounts {
        let before = self.swarms[id].counts();
        let mut leaving = *sender;
        if request.left == Some(0) && request.downloaded > 0 {
            // aria2 never says `completed` when it is not to seed, only that there is nothing left when it leaves.
            let mut member = self.member(sender, interval, request);
            if let Some(change) = self.swarms[id].finish(&self.rules, sender, &mut member) {
                self.totals.completed += 1;
                self.push_changes(id, None, change, &member, false);
                // A sender that names neither port nor key may be one of several, and the one that finished is to go.
                leaving = Identity::of(&member);
            }
        }
        let swarm = &mut self.swarms[id];
        let Some(member) = swarm.leave(&self.rules, &leaving) else { return before };
        let (after, info_hash, is_empty) = (swarm.counts(), swarm.info_hash, swarm.is_empty());
        self.totals.swarm_changed(before, after);
        self.push(info_hash, |lifetimes| EventKind::PeerLeft(member.peer(lifetimes)));
        if is_empty {
            self.emptied(id);
        }
        after
    }

    /// Takes a peer in, or takes in what is new about it.
    fn upsert(
        &mut self,
        known: Option<SwarmId>,
        others: OtherShards,
        sender: &Identity,
        interval: Duration,
        request: &AnnounceRequest,
    ) -> Result<Taken, AnnounceError> {
        let is_full = others.peers + self.peers() >= self.config.max_peers;
        let mut member = self.member(sender, interval, request);
        let id = self.swarm_to_join(known, others, is_full, request.info_hash)?;
        let swarm = &mut self.swarms[id];
        let (before, had_peer_here) = (swarm.counts(), swarm.has_peer_here());
        let Upserted { left, change } = swarm
            .upsert(&self.rules, sender, &mut member, !is_full)
            .map_err(|no_room| refusal(&self.config, no_room))?;
        self.totals.swarm_changed(before, swarm.counts());
        let arrival = Arrival::of(change);
        let is_newly_here =
            if arrival == Arrival::None { swarm.has_peer_here() && !had_peer_here } else { member.is_here() };
        let news = News { arrival, is_newly_here };
        self.totals.completed += u64::from(change.is_completion());
        let took_place = left.as_ref().is_some_and(|left| left.gave_way_to(sender, &self.rules));
        if self.events.is_on() {
            self.push_changes(id, left.as_ref(), change, &member, took_place);
        }
        Ok(Taken { id, download: member.tag.download, took_place, news })
    }

    /// The peer that an announce makes of its sender.
    fn member(&self, sender: &Identity, interval: Duration, request: &AnnounceRequest) -> Member {
        let is_here = Asker::of(request).is_on_machine(sender.ip, &self.config, self.rules.address_bits);
        Member::new(sender.ip, is_here, request, interval, &self.rules)
    }

    /// Queues the events of an announce.
    fn push_changes(&mut self, id: SwarmId, left: Option<&Member>, change: Change, member: &Member, took_place: bool) {
        let info_hash = self.swarms[id].info_hash;
        if let Some(left) = left {
            self.push(info_hash, |lifetimes| EventKind::PeerLeft(left.peer(lifetimes)));
        }
        match change {
            Change::Joined => {
                self.push(info_hash, |lifetimes| EventKind::PeerJoined(member.peer(lifetimes)));
                if matches!(Place::of(member.ip, &self.config), Place::Container(_)) {
                    self.push(info_hash, |_| EventKind::PeerInContainer { address: member.ip });
                }
                if self.is_shared(id, member.ip, took_place) {
                    self.push(info_hash, |_| EventKind::AddressShared { address: member.ip });
                }
            }
            Change::Updated { moved_from, completed } => {
                if self.config.update_events {
                    self.push(info_hash, |lifetimes| EventKind::PeerUpdated {
                        peer: member.peer(lifetimes),
                        moved_from,
                    });
                }
                if completed {
                    self.push(info_hash, |lifetimes| EventKind::PeerCompleted(member.peer(lifetimes)));
                }
            }
        }
    }

    fn push(&mut self, info_hash: InfoHash, kind: impl FnOnce(&Lifetimes) -> EventKind) {
        let lifetimes = &self.rules.lifetimes;
        self.events.push(self.rules.now, info_hash, || kind(lifetimes));
    }

    /// The swarm that a peer is about to join or to update. `is_full` says that there is no room for another peer.
    fn swarm_to_join(
        &mut self,
        known: Option<SwarmId>,
        others: OtherShards,
        is_full: bool,
        info_hash: InfoHash,
    ) -> Result<SwarmId, AnnounceError> {
        if let Some(id) = known.filter(|&id| !self.swarms[id].is_empty()) {
            return Ok(id);
        }
        if others.swarms + self.deadlines.len() >= self.config.max_swarms {
            return Err(AnnounceError::TooManySwarms { limit: self.config.max_swarms });
        }
        if is_full {
            return Err(refusal(&self.config, NoRoom::InTracker));
        }
        Ok(self.populate(known, info_hash))
    }
}

/// The outcome of an announce beside the peers.
pub(crate) struct Answer {
    pub(crate) response: AnnounceResponse,
    pub(crate) news: News,
}

/// What an [`AnnounceListener`](crate::AnnounceListener) is told of an announce.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct News {
    pub(crate) arrival: Arrival,
    /// `true` if it is on the tracker's machine, and came or is the first of the swarm there.
    pub(crate) is_newly_here: bool,
}

/// The way in which the peer that announced came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Arrival {
    /// It is where it was, or has left.
    #[default]
    None,
    /// It joined.
    Joined,
    /// It moved from this address.
    MovedFrom(SocketAddr),
}

impl Arrival {
    fn of(change: Change) -> Self {
        match change {
            Change::Joined => Self::Joined,
            Change::Updated { moved_from, .. } => moved_from.map_or(Self::None, Self::MovedFrom),
        }
    }
}

/// A peer that was taken in.
struct Taken {
    /// Its swarm.
    id: SwarmId,
    /// What was seen of its download.
    download: Download,
    /// `true` if another client had its address and port, and was still expected to announce.
    took_place: bool,
    news: News,
}

/// The error for a peer for which there is no room.
fn refusal(config: &Config, no_room: NoRoom) -> AnnounceError {
    match no_room {
        NoRoom::InSwarm => AnnounceError::SwarmFull { limit: config.max_peers_per_swarm },
        NoRoom::InTracker => AnnounceError::TooManyPeers { limit: config.max_peers },
    }
}
