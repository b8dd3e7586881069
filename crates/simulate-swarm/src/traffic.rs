//! The order of requests: which peer sends which request next.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::ask::{Announce, Ask, Event, Kind, Scraped};
use crate::population::{Population, Presence, Role};

/// The shares of the kinds of requests, from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Share of seeders among the peers.
    pub(crate) seeders: f64,
    pub(crate) churn: Churn,
    /// Share of scrapes among the requests.
    pub(crate) scrapes: f64,
    /// The number of torrents in a scrape.
    pub(crate) scrape_hashes: u32,
    /// The number of peers that an announce asks for.
    pub(crate) numwant: u32,
}

/// How peers come and go in the steady phase. Shares are of its announces, from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Churn {
    /// By `leaving` of the announces a peer completes or leaves: a quarter complete, half stop, and the rest vanish without an
    /// announce; the tracker only sees the new peer that takes the place.
    Replaced { leaving: f64 },
    /// Those that stop come back soon, as leechers under the same address; so the tracker knows the same peers all the time.
    /// While there are more seeders than there should be, it is seeders that stop.
    Returning { completed: f64, stopped: f64 },
}

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Each peer announces once.
    Fill,
    /// Peers announce repeatedly, and some leave.
    Steady,
}

/// The next step of a group of places.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send this request.
    Ask(Ask),
    /// Wait for an answer.
    Busy,
    /// The phase is over.
    Over,
}

/// The info-hashes of a run depend on the seed only; with fewer torrents they are the first of those with more.
pub(crate) fn info_hashes(seed: u64, torrents: u32) -> Vec<[u8; 20]> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..torrents).map(|_| rng.random()).collect()
}

/// Draws requests, and records their outcome in the population.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) population: Population,
    info_hashes: Vec<[u8; 20]>,
    mix: Mix,
    phase: Phase,
    rng: StdRng,
    /// Seeders among the places.
    seeders: u32,
    /// Groups of places that share a connection: those whose index has the same remainder.
    groups: Vec<Group>,
}

/// A group of places: the number that is taken, and the places whose next peer has not arrived.
#[derive(Debug, Clone, Default)]
struct Group {
    filled: u32,
    arrivals: VecDeque<u32>,
}

impl Traffic {
    /// Makes the traffic of a new population. `groups` is 1 if any connection serves any peer, else the number of sources.
    pub(crate) fn new(population: Population, info_hashes: Vec<[u8; 20]>, mix: Mix, groups: u32, rng: StdRng) -> Self {
        let seeders = (0..population.places()).filter(|&index| population.place(index).is_seed).count();
        Self {
            seeders: u32::try_from(seeders).expect("no more than places"),
            groups: vec![Group::default(); groups as usize],
            phase: Phase::Fill,
            population,
            info_hashes,
            mix,
            rng,
        }
    }

    pub(crate) fn info_hash(&self, torrent: u32) -> &[u8; 20] {
        &self.info_hashes[torrent as usize]
    }

    /// Begins a phase. No request may be in flight.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Marks all peers as present, as after an earlier run with the same seed, which the tracker may still know.
    pub(crate) fn assume_filled(&mut self) {
        for index in 0..self.population.places() {
            self.population.enters(index);
        }
    }

    /// Returns the next step of a group.
    pub(crate) fn next(&mut self, group: u32) -> Turn {
        if self.population.is_out_of_moments() {
            return Turn::Over;
        }
        match self.phase {
            Phase::Fill => self.next_arrival(group),
            Phase::Steady => self.next_of_many(group),
        }
    }

    fn next_arrival(&mut self, group: u32) -> Turn {
        let filled = &mut self.groups[group as usize].filled;
        let index = u64::from(*filled) * self.groups.len() as u64 + u64::from(group);
        match u32::try_from(index) {
            Ok(index) if index < self.population.places() => {
                self.groups[group as usize].filled += 1;
                Turn::Ask(self.announce(index, Event::Started))
            }
            _ => Turn::Over,
        }
    }

    fn next_of_many(&mut self, group: u32) -> Turn {
        if self.mix.scrapes > 0.0 && self.rng.random_bool(self.mix.scrapes) {
            return self.scrape(group).map_or(Turn::Over, Turn::Ask);
        }
        let announce = match self.mix.churn {
            Churn::Replaced { leaving } => self.next_of_replaced(group, leaving),
            Churn::Returning { completed, stopped } => self.next_of_returning(group, completed, stopped),
        };
        announce.map_or(Turn::Busy, |(index, event)| Turn::Ask(self.announce(index, event)))
    }

    /// Draws a place and its event, where new peers take the places of those that leave. `None` if all are busy.
    fn next_of_replaced(&mut self, group: u32, leaving: f64) -> Option<(u32, Event)> {
        if let Some(index) = self.groups[group as usize].arrivals.pop_front() {
            return Some((index, Event::Started));
        }
        let index = self.pick(group, |traffic, index| !traffic.population.place(index).is_busy)?;
        let is_leaving = leaving > 0.0 && self.rng.random_bool(leaving);
        let event = match self.population.place(index).presence {
            Presence::Absent => Event::Started,
            _ if is_leaving => self.leave(index),
            _ => Event::None,
        };
        Some((index, event))
    }

    /// Draws a place and its event, where peers that stop come back. `None` if all are busy.
    fn next_of_returning(&mut self, group: u32, completed: f64, stopped: f64) -> Option<(u32, Event)> {
        let drawn = self.rng.random::<f64>();
        let (role, event) = if drawn < completed {
            (Some(Role::Leecher), Event::Completed)
        } else if drawn < completed + stopped {
            let has_too_many = f64::from(self.seeders) > self.wanted_seeders();
            (has_too_many.then_some(Role::Seeder), Event::Stopped)
        } else {
            (None, Event::None)
        };
        if event != Event::None
            && let Some(index) = self.pick(group, |traffic, index| traffic.is_there(index, role))
        {
            return Some((index, event));
        }
        if let Some(index) = self.groups[group as usize].arrivals.pop_front() {
            return Some((index, Event::Started));
        }
        let index = self.pick(group, |traffic, index| !traffic.population.place(index).is_busy)?;
        let is_absent = self.population.place(index).presence == Presence::Absent;
        Some((index, if is_absent { Event::Started } else { Event::None }))
    }

    /// Returns `true` if the peer of a place has announced, can announce again, and has this role, if one is given.
    fn is_there(&self, index: u32, role: Option<Role>) -> bool {
        let place = self.population.place(index);
        let has_role = role.is_none_or(|role| role == Role::of(place.is_seed));
        has_role && !place.is_busy && place.presence != Presence::Absent
    }

    /// Draws how the peer of a place leaves its role.
    fn leave(&mut self, index: u32) -> Event {
        match self.rng.random_range(0..4) {
            0 if !self.population.place(index).is_seed => Event::Completed,
            0..=2 => Event::Stopped,
            _ => {
                self.population.leaves(index);
                self.replace(index);
                Event::Started
            }
        }
    }

    /// Picks a random place of the group that is `fit`. Tries only a few.
    fn pick(&mut self, group: u32, fit: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        const TRIES: u32 = 64;
        let groups = u32::try_from(self.groups.len()).expect("was made of a u32");
        let members = self.population.places().checked_sub(group + 1)? / groups + 1;
        let first = self.rng.random_range(0..members);
        let mut candidates = (0..members.min(TRIES)).map(|step| (first + step) % members * groups + group);
        candidates.find(|&index| fit(self, index))
    }

    fn announce(&mut self, index: u32, event: Event) -> Ask {
        let population = &mut self.population;
        let was_sure = population.place(index).presence == Presence::Sure;
        match event {
            Event::None => {}
            Event::Started => population.enters(index),
            Event::Stopped => population.leaves(index),
            Event::Completed => {
                population.leaves(index);
                population.place_mut(index).is_seed = true;
                population.enters(index);
                self.seeders += 1;
            }
        }
        let place = population.place_mut(index);
        place.is_busy = true;
        let place = *place;
        let announce = Announce {
            place: index,
            torrent: place.torrent,
            event,
            is_seed: place.is_seed,
            was_sure: was_sure && event == Event::None,
            numwant: if event == Event::Stopped { 0 } else { self.mix.numwant },
            snapshot: population.snapshot(place.torrent),
        };
        Ask { moment: population.next_moment(), number: place.number, kind: Kind::Announce(announce) }
    }

    /// A scrape by somebody of the group, of torrents as popular as those of announces. `None` if the group has no peer.
    fn scrape(&mut self, group: u32) -> Option<Ask> {
        let asker = self.pick(group, |_, _| true)?;
        let mut scraped: Vec<Scraped> = Vec::with_capacity(self.mix.scrape_hashes as usize);
        while scraped.len() < self.mix.scrape_hashes as usize {
            let index = self.rng.random_range(0..self.population.places());
            let mut torrent = self.population.place(index).torrent;
            while scraped.iter().any(|other| other.torrent == torrent) {
                torrent = (torrent + 1) % self.population.torrents();
            }
            scraped.push(Scraped { torrent, snapshot: self.population.snapshot(torrent) });
        }
        let number = self.population.place(asker).number;
        Some(Ask { moment: self.population.next_moment(), number, kind: Kind::Scrape(scraped) })
    }

    /// Records that the tracker has processed an announce.
    pub(crate) fn answered(&mut self, announce: &Announce) {
        let index = announce.place;
        self.population.place_mut(index).is_busy = false;
        match announce.event {
            Event::None | Event::Started => self.population.is_confirmed(index),
            Event::Completed => {
                self.population.is_confirmed(index);
                self.population.is_removed(announce.torrent, Role::Leecher);
            }
            Event::Stopped => {
                self.population.is_gone(index);
                self.expect_arrival(index);
            }
        }
    }

    /// Records that it is unknown whether the tracker has processed an announce.
    pub(crate) fn failed(&mut self, announce: &Announce) {
        self.population.place_mut(announce.place).is_busy = false;
        if announce.event == Event::Stopped {
            self.expect_arrival(announce.place);
        }
    }

    /// Has somebody arrive at a place whose peer has stopped.
    fn expect_arrival(&mut self, index: u32) {
        match self.mix.churn {
            Churn::Replaced { .. } => self.replace(index),
            Churn::Returning { .. } => {
                let is_seed = self.draw_role(index);
                self.population.goes_away(index, is_seed);
            }
        }
        let group = index as usize % self.groups.len();
        self.groups[group].arrivals.push_back(index);
    }

    /// Puts a new peer into a place.
    fn replace(&mut self, index: u32) {
        let is_seed = self.draw_role(index);
        self.population.replace(index, is_seed, self.groups.len() > 1);
    }

    /// Draws the role of the next peer in a place. Returns `true` for a seeder: if there are too few.
    fn draw_role(&mut self, index: u32) -> bool {
        self.seeders -= u32::from(self.population.place(index).is_seed);
        let is_seed = f64::from(self.seeders) < self.wanted_seeders();
        self.seeders += u32::from(is_seed);
        is_seed
    }

    fn wanted_seeders(&self) -> f64 {
        self.mix.seeders * f64::from(self.population.places())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::address::Sources;
    use crate::popularity::Popularity;

    const MIX: Mix =
        Mix { seeders: 0.25, churn: Churn::Replaced { leaving: 0.2 }, scrapes: 0.1, scrape_hashes: 3, numwant: 50 };

    fn traffic(groups: u32) -> Traffic {
        let mut rng = StdRng::seed_from_u64(3);
        let popularity = Popularity::zipf(10, 1.0).unwrap();
        let sources = Sources::loopback(if groups == 1 { 1_000_000 } else { groups }, Ipv4Addr::LOCALHOST);
        let population = Population::draw(200, 10, &popularity, MIX.seeders, sources, &mut rng);
        Traffic::new(population, info_hashes(3, 10), MIX, groups, rng)
    }

    fn fill(traffic: &mut Traffic) -> Vec<u32> {
        let mut numbers = Vec::new();
        for group in 0..traffic.groups.len() as u32 {
            while let Turn::Ask(Ask { number, kind: Kind::Announce(announce), .. }) = traffic.next(group) {
                assert_eq!(announce.event, Event::Started);
                traffic.answered(&announce);
                numbers.push(number);
            }
        }
        traffic.begin(Phase::Steady);
        numbers
    }

    #[test]
    fn each_peer_arrives_once() {
        for groups in [1, 7] {
            let mut numbers = fill(&mut traffic(groups));
            numbers.sort_unstable();
            assert_eq!(numbers, Vec::from_iter(0..200));
        }
    }

    #[test]
    fn number_and_shares_stay_when_peers_leave() {
        for groups in [1, 7] {
            let mut traffic = traffic(groups);
            fill(&mut traffic);
            let mut events = [0.0; 4];
            let mut scrapes = 0;
            for turn in 0..20_000 {
                let group = turn % groups;
                let Turn::Ask(ask) = traffic.next(group) else { panic!("nothing is in flight") };
                match ask.kind {
                    Kind::Announce(announce) => {
                        if groups > 1 {
                            assert_eq!(traffic.population.sources.source(ask.number), group);
                        }
                        events[announce.event as usize] += 1.0;
                        traffic.answered(&announce);
                    }
                    Kind::Scrape(scraped) => {
                        scrapes += 1;
                        let torrents: std::collections::BTreeSet<_> = scraped.iter().map(|one| one.torrent).collect();
                        assert_eq!(torrents.len(), 3);
                    }
                }
            }
            assert!((1800..2200).contains(&scrapes), "{scrapes}");
            let [none, completed, started, stopped] = events.map(|count| count / events.iter().sum::<f64>());
            assert!((0.68..0.76).contains(&none), "{none}");
            assert!((0.01..0.06).contains(&completed), "{completed}");
            assert!((0.07..0.14).contains(&stopped), "{stopped}");
            assert!(started > stopped, "{started}");
            let seeders = (0..200).filter(|&index| traffic.population.place(index).is_seed).count();
            assert_eq!(seeders, traffic.seeders as usize);
            assert!((40..90).contains(&seeders), "{seeders}");
        }
    }

    #[test]
    fn peers_that_stop_come_back() {
        for groups in [1, 7] {
            let mut traffic = traffic(groups);
            traffic.mix =
                Mix { churn: Churn::Returning { completed: 0.05, stopped: 0.1 }, scrapes: 0.0, ..traffic.mix };
            let mut known: std::collections::BTreeSet<_> = fill(&mut traffic).into_iter().collect();
            let mut events = [0_u32; 4];
            for turn in 0..20_000 {
                let Turn::Ask(ask) = traffic.next(turn % groups) else { panic!("nothing is in flight") };
                let Kind::Announce(announce) = ask.kind else { panic!("there are no scrapes") };
                match announce.event {
                    Event::Stopped => assert!(known.remove(&ask.number)),
                    Event::Started => assert!(known.insert(ask.number)),
                    Event::None | Event::Completed => assert!(known.contains(&ask.number)),
                }
                // Others may stop before one comes back, but seldom many.
                assert!(ask.number < 200 && known.len() > 180, "{}", known.len());
                events[announce.event as usize] += 1;
                traffic.answered(&announce);
            }
            let [none, completed, started, stopped] = events;
            assert!((14_600..15_400).contains(&none), "{none}");
            assert!((850..1150).contains(&completed) && (1800..2200).contains(&stopped), "{completed} {stopped}");
            assert_eq!(known.len(), 200 + started as usize - stopped as usize);
            let seeders = (0..200).filter(|&index| traffic.population.place(index).is_seed).count();
            assert_eq!(seeders, traffic.seeders as usize);
            assert!((45..60).contains(&seeders), "{seeders}");
        }
    }

    #[test]
    fn one_peer_has_one_request_in_flight() {
        let mut traffic = traffic(1);
        traffic.mix.scrapes = 0.0;
        fill(&mut traffic);
        let mut numbers = std::collections::BTreeSet::new();
        while let Turn::Ask(ask) = traffic.next(0) {
            assert!(numbers.insert(ask.number));
        }
        assert!(numbers.len() > 100);
    }

    #[test]
    fn info_hashes_depend_on_the_seed() {
        assert_eq!(info_hashes(1, 5)[..3], info_hashes(1, 3)[..]);
        assert_ne!(info_hashes(1, 1), info_hashes(2, 1));
    }
}
