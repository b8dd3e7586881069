//! Limits on the number of connections, with a random sample of the peers when there are more.

use std::collections::BTreeSet;

use super::ConnectionId;
use super::peer::PeerNumber;
use super::schedule::Urgency;

/// The place of a peer in the random order in which peers are preferred. Drawn when it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(pub(super) u32);

/// A limited number of connections.
///
/// When there are more peers, those of the lowest rank have a connection, which is a random sample. A newcomer has one for its first
/// minute, whatever its rank: only after that is its connection `evictable`. The peers that have none are `waiting`.
#[derive(Debug)]
pub(super) struct Capacity {
    limit: usize,
    used: usize,
    evictable: BTreeSet<(Rank, ConnectionId)>,
    waiting: BTreeSet<Applicant>,
}

/// What a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// For each swarm.
    Swarm,
    /// For all swarms together.
    All,
}

/// A peer that is to have a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Applicant {
    pub(super) urgency: Urgency,
    pub(super) rank: Rank,
    pub(super) peer: PeerNumber,
}

/// An answer to an applicant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room.
    Free,
    /// There is when this connection is closed.
    Evict(ConnectionId),
    /// There is none.
    None,
}

impl Capacity {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, used: 0, evictable: BTreeSet::new(), waiting: BTreeSet::new() }
    }

    /// The room for one more connection.
    pub(super) fn room_for(&self, applicant: Applicant) -> Room {
        if self.used < self.limit {
            return Room::Free;
        }
        match self.evictable.last() {
            Some(&(rank, connection)) if applicant.comes_before(rank) => Room::Evict(connection),
            _ => Room::None,
        }
    }

    /// There is one more connection, or attempt at one.
    pub(super) fn take(&mut self) {
        self.used += 1;
    }

    /// There is one less, which this peer had.
    pub(super) fn release(&mut self, rank: Rank, connection: ConnectionId) {
        self.used -= 1;
        self.evictable.remove(&(rank, connection));
    }

    /// A connection may be closed to make room.
    pub(super) fn make_evictable(&mut self, rank: Rank, connection: ConnectionId) {
        self.evictable.insert((rank, connection));
    }

    /// The peer waits for room.
    pub(super) fn wait(&mut self, applicant: Applicant) {
        self.waiting.insert(applicant);
    }

    /// The peer does not wait any more.
    pub(super) fn forget(&mut self, applicant: Applicant) {
        self.waiting.remove(&applicant);
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the waiting peers for which there is room now, if those that come later in the order give way.
    pub(super) fn take_admissible(&mut self) -> Vec<PeerNumber> {
        let free = self.limit - self.used;
        let pairs = self.waiting.iter().skip(free).zip(self.evictable.iter().rev());
        let give_way = pairs.take_while(|(applicant, (rank, _))| applicant.comes_before(*rank)).count();
        let count = (free + give_way).min(self.waiting.len());
        (0..count).filter_map(|_| self.waiting.pop_first()).map(|applicant| applicant.peer).collect()
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl Applicant {
    /// Returns `true` if a connection of this rank gives way to it.
    fn comes_before(&self, rank: Rank) -> bool {
        self.urgency == Urgency::First || self.rank < rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applicant(urgency: Urgency, rank: u32) -> Applicant {
        Applicant { urgency, rank: Rank(rank), peer: PeerNumber(rank.into()) }
    }

    #[test]
    fn a_newcomer_and_a_lower_rank_have_room_at_the_cost_of_the_highest() {
        let mut capacity = Capacity::new(2);
        assert_eq!(capacity.room_for(applicant(Urgency::Again, 9)), Room::Free);
        capacity.take();
        capacity.take();
        assert_eq!(capacity.room_for(applicant(Urgency::First, 1)), Room::None, "both are in their first minute");
        capacity.make_evictable(Rank(5), ConnectionId(0));
        capacity.make_evictable(Rank(3), ConnectionId(1));
        assert_eq!(capacity.room_for(applicant(Urgency::First, 9)), Room::Evict(ConnectionId(0)));
        assert_eq!(capacity.room_for(applicant(Urgency::Again, 4)), Room::Evict(ConnectionId(0)));
        assert_eq!(capacity.room_for(applicant(Urgency::Again, 6)), Room::None);
        capacity.release(Rank(5), ConnectionId(0));
        assert_eq!((capacity.room_for(applicant(Urgency::Again, 6)), capacity.used()), (Room::Free, 1));
    }

    #[test]
    fn those_who_wait_come_as_far_as_there_is_room_for_them() {
        let mut capacity = Capacity::new(3);
        for (connection, rank) in [(0, 50), (1, 10)] {
            capacity.take();
            capacity.make_evictable(Rank(rank), ConnectionId(connection));
        }
        for rank in [60, 40, 30] {
            capacity.wait(applicant(Urgency::Again, rank));
        }
        // 30 has the free place, and 40 that of 50; 60 would come after 10.
        assert_eq!(capacity.take_admissible(), [30, 40].map(PeerNumber));
        assert!(capacity.has_waiting());
        capacity.forget(applicant(Urgency::Again, 60));
        assert!(!capacity.has_waiting());
    }
}
