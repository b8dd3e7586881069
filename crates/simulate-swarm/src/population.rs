//! The simulated peers, and what the tracker must or may know about them.

use rand::{Rng, RngExt};

use crate::address::Sources;
use crate::popularity::Popularity;

/// A moment that never comes. Moments are counts of the requests that have begun.
pub(crate) const NEVER: u32 = u32::MAX;

/// A peer that is or was in a torrent. Takes 16 bytes, since it is looked up for each peer in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) torrent: u32,
    /// The moment from which the tracker must know that the peer is a seeder.
    pub(crate) seed_since: u32,
    /// The moment from which the tracker must know that the peer has left.
    pub(crate) gone_since: u32,
    /// The request whose answer was the last to contain the peer.
    pub(crate) named_by: u32,
}

/// The torrent of a number that no peer has had.
const NOWHERE: u32 = u32::MAX;

/// A place for one peer at a time: when a peer leaves, a new one of the same torrent takes its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The number of the peer that is there, or that comes next.
    pub(crate) number: u32,
    pub(crate) torrent: u32,
    pub(crate) presence: Presence,
    pub(crate) is_seed: bool,
    /// A request is in flight.
    pub(crate) is_busy: bool,
}

/// What the tracker knows about the peer in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing: the peer has not announced yet.
    Absent,
    /// Possibly something: there is no answer yet, or it was an error.
    Unsure,
    /// The tracker has answered the latest announce.
    Sure,
}

/// Seeder or leecher, as an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Leecher = 0,
    Seeder = 1,
}

impl Role {
    pub(crate) fn of(is_seed: bool) -> Self {
        if is_seed { Self::Seeder } else { Self::Leecher }
    }
}

/// Counts of the peers of one role in one torrent, which only grow. Their differences are the number that the tracker must
/// have known during a whole exchange, and the number that it can have known at any moment of it, without a list of peers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Announces sent that bring a peer into the role.
    pub(crate) entered: u32,
    /// Those that were answered.
    pub(crate) confirmed: u32,
    /// Confirmed peers that have announced since that they leave the role, or have vanished.
    pub(crate) doubted: u32,
    /// Peers whose leaving was answered.
    pub(crate) removed: u32,
}

/// `confirmed` and `removed` of the [`Tally`] of each role, at the time when a request begins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Snapshot([(u32, u32); 2]);

/// The least and the most peers of a role that the tracker can have counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: u32,
    pub(crate) most: u32,
}

/// All torrents, places and peers.
#[derive(Debug)]
pub(crate) struct Population {
    pub(crate) sources: Sources,
    torrents: Vec<[Tally; 2]>,
    places: Vec<Place>,
    peers: Vec<Peer>,
    /// The number of requests that have begun.
    moment: u32,
}

impl Population {
    /// Draws the torrent and role of `peers` peers. None has announced yet. The sources must have room
    /// for them.
    pub(crate) fn draw(
        peers: u32,
        torrents: u32,
        popularity: &Popularity,
        seeders: f64,
        sources: Sources,
        rng: &mut impl Rng,
    ) -> Self {
        debug_assert!(peers <= sources.capacity());
        let place = |index| Place {
            number: index,
            torrent: popularity.torrent(index, rng),
            presence: Presence::Absent,
            is_seed: rng.random_bool(seeders),
            is_busy: false,
        };
        let places = (0..peers).map(place).collect();
        let mut population = Self {
            sources,
            torrents: vec![Default::default(); torrents as usize],
            places,
            peers: Vec::new(),
            moment: 0,
        };
        for index in 0..peers {
            let torrent = population.place(index).torrent;
            population.settle(index, torrent);
        }
        population
    }

    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.places.len()).expect("was made of a u32")
    }

    pub(crate) fn torrents(&self) -> u32 {
        u32::try_from(self.torrents.len()).expect("was made of a u32")
    }

    pub(crate) fn place(&self, index: u32) -> &Place {
        &self.places[index as usize]
    }

    pub(crate) fn place_mut(&mut self, index: u32) -> &mut Place {
        &mut self.places[index as usize]
    }

    /// The peer with this number, if there ever was one.
    pub(crate) fn peer_mut(&mut self, number: u32) -> Option<&mut Peer> {
        self.peers.get_mut(number as usize).filter(|peer| peer.torrent != NOWHERE)
    }

    /// Begins a request, and returns its moment.
    pub(crate) fn next_moment(&mut self) -> u32 {
        let moment = self.moment;
        self.moment += 1;
        moment
    }

    /// Returns `true` if the moments are used up.
    pub(crate) fn is_out_of_moments(&self) -> bool {
        self.moment == NEVER - 1
    }

    /// Puts the next peer into a place. If sources are `shared`, it has the source of the last one. If no number is left, the
    /// last peer comes back.
    pub(crate) fn replace(&mut self, index: u32, is_seed: bool, shared: bool) {
        let Place { number, torrent, .. } = *self.place(index);
        let number = if shared {
            // The places of a source pass on its numbers by turns.
            let sources = self.sources.count();
            let places_of_source = self.places().div_ceil(sources);
            number.checked_add(places_of_source * sources).filter(|&next| next < self.sources.capacity())
        } else {
            u32::try_from(self.peers.len()).ok().filter(|&next| next < self.sources.capacity())
        }
        .unwrap_or(number);
        *self.place_mut(index) = Place { number, torrent, presence: Presence::Absent, is_seed, is_busy: false };
        self.settle(index, torrent);
    }

    /// Makes the record of the peer in a place.
    fn settle(&mut self, index: u32, torrent: u32) {
        let number = self.place(index).number as usize;
        let absent = Peer { torrent: NOWHERE, seed_since: NEVER, gone_since: NEVER, named_by: NEVER };
        if number >= self.peers.len() {
            self.peers.resize(number + 1, absent);
        }
        self.peers[number] = Peer { torrent, ..absent };
    }

    /// Records that the peer of a place has stopped, and comes back in a role.
    pub(crate) fn goes_away(&mut self, index: u32, is_seed: bool) {
        let place = self.place_mut(index);
        *place = Place { presence: Presence::Absent, is_seed, is_busy: false, ..*place };
    }

    /// Records an announce that is sent and brings the peer of a place into a role.
    pub(crate) fn enters(&mut self, index: u32) {
        let Place { number, torrent, is_seed, .. } = *self.place(index);
        self.tally(torrent, Role::of(is_seed)).entered += 1;
        let peer = &mut self.peers[number as usize];
        (peer.seed_since, peer.gone_since) = (NEVER, NEVER);
        self.place_mut(index).presence = Presence::Unsure;
    }

    /// Records that the peer of a place leaves its role, announced or not.
    pub(crate) fn leaves(&mut self, index: u32) {
        let Place { torrent, is_seed, presence, .. } = *self.place(index);
        if presence == Presence::Sure {
            self.tally(torrent, Role::of(is_seed)).doubted += 1;
            self.place_mut(index).presence = Presence::Unsure;
        }
    }

    /// Records the answer to an announce by which the peer of a place stays.
    pub(crate) fn is_confirmed(&mut self, index: u32) {
        let Place { number, torrent, is_seed, presence, .. } = *self.place(index);
        if presence == Presence::Sure {
            return;
        }
        self.tally(torrent, Role::of(is_seed)).confirmed += 1;
        self.place_mut(index).presence = Presence::Sure;
        if is_seed {
            self.peers[number as usize].seed_since = self.moment;
        }
    }

    /// Records the answer to an announce by which a peer left a role.
    pub(crate) fn is_removed(&mut self, torrent: u32, role: Role) {
        self.tally(torrent, role).removed += 1;
    }

    /// Records the answer to `stopped` of the peer in a place.
    pub(crate) fn is_gone(&mut self, index: u32) {
        let Place { number, torrent, is_seed, .. } = *self.place(index);
        self.is_removed(torrent, Role::of(is_seed));
        self.peers[number as usize].gone_since = self.moment;
    }

    /// The counts of a torrent, to be taken when a request about it begins.
    pub(crate) fn snapshot(&self, torrent: u32) -> Snapshot {
        Snapshot(self.torrents[torrent as usize].map(|tally| (tally.confirmed, tally.removed)))
    }

    /// The bounds of what the tracker can have counted between a snapshot and now.
    pub(crate) fn bounds(&self, torrent: u32, role: Role, snapshot: &Snapshot) -> Bounds {
        let now = self.torrents[torrent as usize][role as usize];
        let (confirmed, removed) = snapshot.0[role as usize];
        Bounds { least: confirmed.saturating_sub(now.doubted), most: now.entered.saturating_sub(removed) }
    }

    fn tally(&mut self, torrent: u32, role: Role) -> &mut Tally {
        &mut self.torrents[torrent as usize][role as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn population(seed: u64, sources: u32) -> Population {
        let mut rng = StdRng::seed_from_u64(seed);
        let popularity = Popularity::zipf(10, 1.0).unwrap();
        let sources = Sources::loopback(sources, Ipv4Addr::LOCALHOST);
        Population::draw(1000, 10, &popularity, 0.25, sources, &mut rng)
    }

    fn bounds(population: &Population, snapshot: &Snapshot) -> [(u32, u32); 2] {
        let torrent = population.place(0).torrent;
        [Role::Leecher, Role::Seeder].map(|role| {
            let bounds = population.bounds(torrent, role, snapshot);
            (bounds.least, bounds.most)
        })
    }

    #[test]
    fn the_same_seed_draws_the_same_population() {
        let roles = |seed| {
            let population = population(seed, 1000);
            (0..1000)
                .map(|index| (population.place(index).torrent, population.place(index).is_seed))
                .collect::<Vec<_>>()
        };
        assert_eq!(roles(1), roles(1));
        assert_ne!(roles(1), roles(2));
        let seeds = roles(1).iter().filter(|(_, is_seed)| *is_seed).count();
        assert!((180..320).contains(&seeds), "{seeds}");
    }

    #[test]
    fn bounds_hold_for_any_moment_of_an_exchange() {
        let mut population = population(1, 1000);
        population.place_mut(0).is_seed = false;
        let torrent = population.place(0).torrent;
        let start = population.snapshot(torrent);
        assert_eq!(bounds(&population, &start), [(0, 0), (0, 0)]);
        population.enters(0);
        assert_eq!(bounds(&population, &start), [(0, 1), (0, 0)]);
        population.is_confirmed(0);
        // Who asked before may have been answered before.
        assert_eq!(bounds(&population, &start), [(0, 1), (0, 0)]);
        let started = population.snapshot(torrent);
        assert_eq!(bounds(&population, &started), [(1, 1), (0, 0)]);

        // It completes.
        population.leaves(0);
        population.place_mut(0).is_seed = true;
        population.enters(0);
        assert_eq!(bounds(&population, &started), [(0, 1), (0, 1)]);
        population.is_confirmed(0);
        population.is_removed(torrent, Role::Leecher);
        assert_eq!(bounds(&population, &started), [(0, 1), (0, 1)]);
        let completed = population.snapshot(torrent);
        assert_eq!(bounds(&population, &completed), [(0, 0), (1, 1)]);

        // It stops.
        population.leaves(0);
        assert_eq!(bounds(&population, &completed), [(0, 0), (0, 1)]);
        population.is_gone(0);
        let stopped = population.snapshot(torrent);
        assert_eq!(bounds(&population, &stopped), [(0, 0), (0, 0)]);
    }

    #[test]
    fn newcomers_have_numbers_of_their_own_until_none_is_left() {
        let mut population = population(1, 1);
        assert_eq!(population.place(5).number, 5);
        population.replace(5, true, false);
        assert_eq!(population.place(5).number, 1000);
        for _ in 0..70_000 {
            population.replace(6, true, false);
        }
        assert_eq!(population.place(6).number, population.sources.capacity() - 1);
        let torrent = population.place(6).torrent;
        assert_eq!(population.peer_mut(63_999).unwrap().torrent, torrent);
        assert!(population.peer_mut(64_000).is_none());
    }

    #[test]
    fn shared_sources_stay_with_their_places() {
        let mut population = population(1, 7);
        let source = population.sources.source(population.place(12).number);
        for _ in 0..10 {
            let before = population.place(12).number;
            population.replace(12, false, true);
            assert!(population.place(12).number > before);
            assert_eq!(population.sources.source(population.place(12).number), source);
        }
    }
}
