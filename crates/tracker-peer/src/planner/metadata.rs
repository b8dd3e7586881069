//! Fetching info dictionaries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracker_core::InfoHash;

use super::peer::PeerNumber;
use super::schedule::Urgency;
use super::{Action, CloseReason, ConnectionId, Planner};

/// Info dictionaries that are fetched at the same time, in all swarms together. Each takes up to 8 MiB.
const AT_ONCE: usize = 4;

/// The time in which a peer has to give one. Most are smaller than 100 KiB.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The swarms whose info dictionaries are fetched or to be fetched.
#[derive(Debug, Default)]
pub(super) struct MetadataQueue {
    /// Those that are being fetched, by the end of the time for it.
    fetching: BTreeSet<(Duration, InfoHash)>,
    /// Those whose turn comes, by ticket.
    waiting: BTreeMap<Ticket, InfoHash>,
}

/// The place of a swarm in the queue. A later one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket(u64);

/// Asks one peer of a swarm at a time: those first who failed least often.
#[derive(Debug, Default)]
pub(super) struct MetadataRequests {
    asked: Option<ConnectionId>,
    /// Connections by which it is offered and was not asked for, by the failures of the peer.
    offers: BTreeSet<(u8, ConnectionId)>,
    /// Set while the swarm waits for its turn, which is while there are offers and nobody is being asked.
    ticket: Option<Ticket>,
}

impl MetadataQueue {
    /// The end of the time for the first of those that are being fetched.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.fetching.first().map(|&(end, _)| end)
    }

    fn end(&mut self, info_hash: &InfoHash) {
        self.fetching.retain(|(_, fetched)| fetched != info_hash);
    }
}

impl Planner {
    /// A peer offers the info dictionary of a swarm whose torrent is not known.
    pub(super) fn metadata_offered(&mut self, number: PeerNumber, connection: ConnectionId) {
        let failures = self.peers[&number].metadata_failures;
        let requests = &mut self.swarm_of(number).metadata;
        if requests.asked != Some(connection) {
            requests.offers.insert((failures, connection));
            self.request_metadata(number);
        }
    }

    /// A peer does not give the info dictionary, if it was asked: the next one is, when it is the swarm's turn again.
    pub(super) fn metadata_failed(&mut self, number: PeerNumber, connection: ConnectionId) {
        if self.swarm_of(number).metadata.asked.take_if(|asked| *asked == connection).is_none() {
            return;
        }
        let peer = self.peers.get_mut(&number).expect("a connection's peer is known");
        peer.metadata_failures = peer.metadata_failures.saturating_add(1);
        self.metadata.end(&peer.info_hash);
        self.request_metadata(number);
    }

    /// A connection is gone, by which the info dictionary may have been offered or asked for.
    pub(super) fn forget_metadata(&mut self, number: PeerNumber, connection: ConnectionId) {
        let failures = self.peers[&number].metadata_failures;
        let requests = &mut self.swarm_of(number).metadata;
        requests.offers.remove(&(failures, connection));
        if requests.offers.is_empty()
            && let Some(ticket) = requests.ticket.take()
        {
            self.metadata.waiting.remove(&ticket);
        }
        self.metadata_failed(number, connection);
    }

    /// The torrent of a swarm is known: nobody is asked any more.
    pub(super) fn end_metadata_requests(&mut self, info_hash: &InfoHash) {
        let Some(swarm) = self.swarms.get_mut(info_hash) else { return };
        let MetadataRequests { ticket, .. } = std::mem::take(&mut swarm.metadata);
        if let Some(ticket) = ticket {
            self.metadata.waiting.remove(&ticket);
        }
        self.metadata.end(info_hash);
        self.fetch_metadata();
    }

    /// Closes the connections to peers that have taken too long, and looks at these peers again soon. Nothing else ends what they
    /// may still send.
    pub(super) fn end_slow_metadata(&mut self) {
        while let Some(&(end, info_hash)) = self.metadata.fetching.first()
            && end <= self.now
        {
            let connection = self.swarms[&info_hash].metadata.asked.expect("a peer of the swarm is being asked");
            let number = self.connections[&connection].peer;
            self.close(connection, CloseReason::SlowMetadata);
            let delay = self.peers.get_mut(&number).expect("it is known").back_off.next();
            self.schedule.set(number, self.now + delay, Urgency::Again);
        }
    }

    /// Lets the peer's swarm wait for its turn, if it has a peer to ask.
    fn request_metadata(&mut self, number: PeerNumber) {
        let ticket = Ticket(self.next_number());
        let info_hash = self.peers[&number].info_hash;
        let requests = &mut self.swarm_of(number).metadata;
        if requests.asked.is_none() && requests.ticket.is_none() && !requests.offers.is_empty() {
            requests.ticket = Some(ticket);
            self.metadata.waiting.insert(ticket, info_hash);
        }
        self.fetch_metadata();
    }

    /// Asks a peer of each swarm whose turn it is.
    fn fetch_metadata(&mut self) {
        while self.metadata.fetching.len() < AT_ONCE
            && let Some((_, info_hash)) = self.metadata.waiting.pop_first()
        {
            let requests = &mut self.swarms.get_mut(&info_hash).expect("a waiting swarm is known").metadata;
            requests.ticket = None;
            let (_, connection) = requests.offers.pop_first().expect("a waiting swarm has an offer");
            requests.asked = Some(connection);
            self.metadata.fetching.insert((self.now + TIMEOUT, info_hash));
            self.actions.push_back(Action::RequestMetadata { connection });
        }
    }
}
