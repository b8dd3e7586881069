//! Events: what happens in the swarms.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::{InfoHash, Instant, Peer};

/// Something that happened in a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The time of the event.
    pub at: Instant,
    /// The swarm.
    pub info_hash: InfoHash,
    /// The kind of event, and its details.
    pub kind: EventKind,
}

/// A kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The first peer of an unknown swarm announced.
    SwarmCreated,
    /// The swarm is forgotten: nothing was left of it, or it is not served any more and goes with its peers.
    SwarmDropped,
    /// A peer announced that was not in the swarm.
    PeerJoined(Peer),
    /// A peer of the swarm announced again. Only when [`Config::update_events`](crate::Config::update_events) is set.
    PeerUpdated {
        /// The peer, as it is now.
        peer: Peer,
        /// Its address before, if that is another.
        moved_from: Option<SocketAddr>,
    },
    /// A peer that was seen leeching has everything now. Comes after the update that brought it.
    PeerCompleted(Peer),
    /// A peer said that it leaves, or another client took its address or its place, or the tracker was full and its address held
    /// most.
    PeerLeft(Peer),
    /// A peer was silent for too long.
    PeerExpired(Peer),
    /// A peer joined under the address of a [gateway](crate::Config::gateways) under which there are others, or one that had the
    /// same port and gave way, so that nobody can connect to them. Comes after its joining; the clients are
    /// [warned](crate::Warning::SharedAddress) as well.
    AddressShared {
        /// The address.
        address: IpAddr,
    },
    /// A peer joined from a [network of containers](crate::Config::container_networks) on this machine. Comes after its joining.
    /// Others can connect to it only if its port is published on this machine under the same number.
    PeerInContainer {
        /// The address.
        address: IpAddr,
    },
}

/// Events for which a queue keeps memory after a burst.
const USUAL_EVENTS: usize = 256;

/// A bounded queue of events.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    limit: usize,
    pending: VecDeque<Event>,
    dropped: u64,
}

impl EventQueue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Returns `true` if somebody listens.
    pub(crate) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Queues what `kind` makes, which is not even asked when nobody listens.
    pub(crate) fn push(&mut self, at: Instant, info_hash: InfoHash, kind: impl FnOnce() -> EventKind) {
        if self.limit == 0 {
            return;
        }
        if self.pending.len() == self.limit {
            self.pending.pop_front();
            self.dropped += 1;
        }
        self.pending.push_back(Event { at, info_hash, kind: kind() });
    }

    pub(crate) fn drain_into(&mut self, events: &mut Vec<Event>) {
        events.extend(self.pending.drain(..));
        self.pending.shrink_to(USUAL_EVENTS);
    }

    /// Events dropped because nobody took them in time.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}
