//! The peers of one family in a swarm, in packed arrays.

mod check;
mod sweep;

pub(crate) use check::Check;
use sweep::Sweep;

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use smallvec::SmallVec;
use thin_vec::ThinVec;

use crate::detail::Detail;
use crate::entry::Entry;
use crate::index::Index;
use crate::peer::Member;
use crate::rules::Rules;
use crate::{Instant, PeerState, Reachability, address};

/// A pool of more peers than this has an index. One of less is looked through: that takes less than a microsecond, and an
/// index takes a third as much memory as the peers of a lean tracker.
const INDEX_ABOVE: usize = 2048;

/// The most peers of one [group](crate::AddressGroup) that an answer holds while there are others.
pub(crate) const MOST_OF_ONE_ADDRESS: usize = 3;

/// Marks a pool in which one address has, or had, more peers than an answer holds of one.
const CROWDED: u8 = 1;

/// Marks a pool in which peers that can be dialled are, or were, in more than one IPv6 /64, or at more than one IPv4 address.
const OF_SEVERAL_NETWORKS: u8 = 2;

/// The peers of one family: an array of entries, sorted by what they are good for, and beside it one of what else is known.
#[derive(Debug)]
pub(crate) struct Pool<E> {
    /// Most swarms have one or two peers, and need no further memory for them.
    entries: SmallVec<[E; 2]>,
    /// Of each entry; empty in a lean tracker.
    details: ThinVec<Detail>,
    /// The position at which the entries of each [`Class`] but the last end, and those of the next begin.
    ends: Ends,
    /// [`CROWDED`] and [`OF_SEVERAL_NETWORKS`], in one byte: a second one would make each pool eight bytes larger.
    marks: u8,
    extras: Option<Box<Extras>>,
}

/// The fields that only few pools need: kept in a box, which costs the others eight bytes.
#[derive(Debug, Default)]
struct Extras {
    index: Option<Index>,
    sweep: Option<Sweep>,
    check: Option<Check>,
}

impl Extras {
    /// Returns `true` if a check was interrupted at one of these positions.
    fn has_left(&self, positions: RangeInclusive<usize>) -> bool {
        self.check.as_ref().is_some_and(|check| positions.contains(&check.left))
    }

    fn is_empty(&self) -> bool {
        self.index.is_none() && self.sweep.is_none() && self.check.is_none()
    }
}

/// The class of an entry: whether it downloads, and who can dial it. First come peers that everybody can dial, as far as is known,
/// then those known to be unreachable, and then those that only some can dial; among the former two leechers come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Downloading on the tracker's machine, and announced over loopback: it may have the other family for some.
    LeechingHere,
    /// Downloading elsewhere, and can be dialled by everybody.
    Leeching,
    /// Not downloading, with something to give: seeders and partial seeds that can be dialled by everybody.
    Holding,
    /// Not downloading, with something to give, on the tracker's machine, and announced over loopback.
    HoldingHere,
    /// Downloading elsewhere, and known to be unreachable.
    LeechingUnreachable,
    /// Not downloading, with something to give, and known to be unreachable.
    HoldingUnreachable,
    /// In 169.254/16, where those in it can dial it.
    Nearby,
    /// Nobody can dial it, or nobody is to.
    Hidden,
}

impl Class {
    fn of<E: Entry>(entry: E, detail: Option<&Detail>) -> Self {
        let ip = entry.ip().into();
        match (entry.tag().state, reachability(detail)) {
            _ if !address::is_dialable(ip, entry.port()) => Self::Hidden,
            _ if address::is_v4_link_local(ip) => Self::Nearby,
            (PeerState::Leecher, _) if ip.is_loopback() => Self::LeechingHere,
            (PeerState::Seeder | PeerState::PartialSeed, _) if ip.is_loopback() => Self::HoldingHere,
            (_, Reachability::Introduced) => Self::Hidden,
            (PeerState::Leecher, Reachability::No) => Self::LeechingUnreachable,
            (PeerState::Seeder | PeerState::PartialSeed, Reachability::No) => Self::HoldingUnreachable,
            (PeerState::Leecher, Reachability::Unknown | Reachability::Yes) => Self::Leeching,
            (PeerState::Seeder | PeerState::PartialSeed, Reachability::Unknown | Reachability::Yes) => Self::Holding,
        }
    }
}

fn reachability(detail: Option<&Detail>) -> Reachability {
    detail.map_or(Reachability::Unknown, Detail::reachability)
}

/// Positions between classes, in three bytes each: `Config::validate` bounds a swarm to fewer than 2^24 peers, and most swarms
/// are so small that four bytes each would show.
#[derive(Debug, Clone, Copy, Default)]
struct Ends([[u8; 3]; Self::COUNT]);

impl Ends {
    const COUNT: usize = Class::Hidden as usize;

    fn get(&self, class: usize) -> usize {
        let [low, middle, high] = self.0[class];
        u32::from_le_bytes([low, middle, high, 0]) as usize
    }

    fn set(&mut self, class: usize, end: usize) {
        [self.0[class][0], self.0[class][1], self.0[class][2], _] = (end as u32).to_le_bytes();
    }
}

impl<E> Default for Pool<E> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), details: ThinVec::new(), ends: Ends::default(), marks: 0, extras: None }
    }
}

impl<E: Entry> Pool<E> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn members(&self, positions: Range<usize>) -> impl Iterator<Item = Member> {
        positions.map(|position| self.member(position))
    }

    pub(crate) fn entry(&self, position: usize) -> E {
        self.entries[position]
    }

    /// The range of the entries of a class.
    pub(crate) fn range(&self, class: Class) -> Range<usize> {
        let end = |class: usize| if class < Ends::COUNT { self.ends.get(class) } else { self.entries.len() };
        let class = class as usize;
        (if class == 0 { 0 } else { end(class - 1) })..end(class)
    }

    pub(crate) fn detail(&self, position: usize) -> Option<&Detail> {
        self.details.get(position)
    }

    pub(crate) fn member(&self, position: usize) -> Member {
        let entry = self.entries[position];
        Member { ip: entry.ip().into(), port: entry.port(), tag: entry.tag(), detail: self.detail(position).copied() }
    }

    /// The position of the peer at this address and port.
    pub(crate) fn find(&self, rules: &Rules, ip: E::Ip, port: u16) -> Option<usize> {
        match self.index() {
            Some(index) => index.find(hash::<E>(rules, ip), |position| self.entries[position].is_at(ip, port)),
            None => position_of(&self.entries, |entry| entry.is_at(ip, port)),
        }
    }

    /// The position of the first peer at this address of which it holds.
    pub(crate) fn find_at(&self, rules: &Rules, ip: E::Ip, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        self.find_hashed(rules, ip, |position| self.entries[position].ip() == ip && holds(position))
    }

    /// The position of the first peer in the [group](crate::AddressGroup) of this address of which it holds.
    pub(crate) fn find_in_group(
        &self,
        rules: &Rules,
        ip: E::Ip,
        mut holds: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let mask = E::group_mask(ip, &rules.own);
        let group = E::masked(ip, mask);
        self.find_hashed(rules, ip, |position| E::masked(self.entries[position].ip(), mask) == group && holds(position))
    }

    /// The position of the first peer of which it holds, if that is one in the group of this address.
    fn find_hashed(&self, rules: &Rules, ip: E::Ip, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        match self.index() {
            Some(index) => index.find(hash::<E>(rules, ip), holds),
            None => (0..self.len()).find(|&position| holds(position)),
        }
    }

    /// Returns `true` if there are peers that everybody could dial, if they were not known to be unreachable.
    pub(crate) fn has_unreachable(&self) -> bool {
        self.ends.0[Class::HoldingHere as usize] != self.ends.0[Class::HoldingUnreachable as usize]
    }

    /// The range of the entries of peers that everybody could dial, if they were not known to be unreachable.
    pub(crate) fn unreachable(&self) -> Range<usize> {
        self.range(Class::LeechingUnreachable).start..self.range(Class::HoldingUnreachable).end
    }

    fn class(&self, position: usize) -> Class {
        Class::of(self.entries[position], self.detail(position))
    }

    /// Returns `true` if some address may have more peers here than an answer should hold of one.
    pub(crate) fn is_crowded(&self) -> bool {
        self.marks & CROWDED != 0
    }

    /// Returns `true` if peers here that can be dialled may be in more than one IPv6 /64.
    pub(crate) fn is_of_several_networks(&self) -> bool {
        self.marks & OF_SEVERAL_NETWORKS != 0
    }

    /// Notes that an address has more peers here than an answer should hold of one. Forgotten when few are left.
    pub(crate) fn crowd(&mut self) {
        self.marks |= CROWDED;
    }

    /// Notes of peers at addresses of which it holds that they are on the tracker's machine. Returns how many these are, without
    /// those of which it was known.
    pub(crate) fn mark_here(&mut self, is_on_machine: impl Fn(IpAddr) -> bool) -> usize {
        let mut marked = 0;
        for (entry, detail) in self.entries.iter().zip(&mut self.details) {
            if is_on_machine(entry.ip().into()) && !detail.is_here() {
                detail.set_here();
                marked += 1;
            }
        }
        marked
    }

    /// Makes the index anew, if there is one: other addresses than before count by themselves.
    pub(crate) fn rebuild_index(&mut self, rules: &Rules) {
        if let Some(index) = self.extras.as_mut().and_then(|extras| extras.index.as_mut()) {
            *index = Index::new(self.entries.iter().map(|entry| hash::<E>(rules, entry.ip())));
        }
    }

    /// Puts a peer in, and returns its position.
    ///
    /// Entries stand in order of their class, and in no order within one. So a place becomes free at the end of a class when the
    /// first entry of each later class goes to the end of its own, from the last class to the first: one swap for each class that
    /// has entries, however many these are. The new entry, which was pushed at the end of all, is what is swapped down.
    pub(crate) fn insert(&mut self, rules: &Rules, ip: E::Ip, member: &Member) -> usize {
        let entry = E::new(ip, member.port, member.tag);
        let class = Class::of(entry, member.detail.as_ref()) as usize;
        // Peers that nobody can dial stand behind all others.
        let network = |ip| E::masked(ip, u128::MAX << 64);
        let is_first_dialable = self.ends.get(Ends::COUNT - 1) == 0;
        if class < Ends::COUNT && !is_first_dialable && network(self.entries[0].ip()) != network(ip) {
            self.marks |= OF_SEVERAL_NETWORKS;
        }
        if self.len() == self.entries.capacity() {
            self.entries.reserve_exact(step(self.len()));
        }
        self.entries.push(entry);
        if let Some(detail) = member.detail {
            if self.details.len() == self.details.capacity() {
                self.details.reserve_exact(step(self.details.len()));
            }
            self.details.push(detail);
        }
        if let Some(index) = self.extras.as_mut().and_then(|extras| extras.index.as_mut()) {
            let entries = &self.entries;
            let hash_of = |position: usize| hash::<E>(rules, entries[position].ip());
            index.insert(hash::<E>(rules, ip), entries.len() - 1, hash_of);
        }
        let mut hole = self.entries.len() - 1;
        for later in (class..Ends::COUNT).rev() {
            let first = self.ends.get(later);
            if first != hole {
                self.swap(rules, first, hole);
            }
            self.ends.set(later, first + 1);
            hole = first;
        }
        self.fit_index(rules);
        hole
    }

    /// Takes out the peer at this position, and returns it.
    ///
    /// The other way round: the last entry of its class fills the hole, the last of the next class the hole that this leaves, and
    /// so on, until the hole is at the end of all and can be popped. Entries of later positions move only downwards, on which
    /// [`Sweep`] relies.
    pub(crate) fn remove(&mut self, rules: &Rules, position: usize) -> Member {
        let removed = self.member(position);
        let class = self.class(position) as usize;
        let mut hole = position;
        for later in class..Ends::COUNT {
            let last = self.ends.get(later) - 1;
            if hole != last {
                self.swap(rules, hole, last);
            }
            self.ends.set(later, last);
            hole = last;
        }
        let last = self.entries.len() - 1;
        if hole != last {
            self.swap(rules, hole, last);
        }
        if let Some(index) = self.extras.as_mut().and_then(|extras| extras.index.as_mut()) {
            let entries = &self.entries;
            index.remove(hash::<E>(rules, entries[last].ip()), last, |position| {
                hash::<E>(rules, entries[position].ip())
            });
        }
        self.entries.pop();
        self.details.pop();
        removed
    }

    /// Puts `member` in the place of the peer at `position`, which is the same peer.
    pub(crate) fn replace(&mut self, rules: &Rules, position: usize, ip: E::Ip, member: &Member) -> usize {
        let (old, new) = (self.entries[position], E::new(ip, member.port, member.tag));
        // Mostly all of this is as it was, and so is the class.
        let is_same = old.is_at(ip, member.port)
            && old.tag().state == member.tag.state
            && reachability(self.detail(position)) == reachability(member.detail.as_ref());
        if !is_same && (self.class(position) != Class::of(new, member.detail.as_ref()) || old.ip() != ip) {
            self.remove(rules, position);
            return self.insert(rules, ip, member);
        }
        self.entries[position] = new;
        if let Some(detail) = member.detail {
            self.details[position] = detail;
        }
        position
    }

    /// Gives memory back where most of it is unused: a class has gone home.
    pub(crate) fn shrink(&mut self, rules: &Rules) {
        let wanted = 2 * self.len();
        if self.entries.capacity() > 64 && self.len() < self.entries.capacity() / 4 {
            let mut entries = SmallVec::with_capacity(wanted);
            entries.extend_from_slice(&self.entries);
            self.entries = entries;
        }
        if self.details.capacity() > 64 && self.details.len() < self.details.capacity() / 4 {
            let mut details = ThinVec::with_capacity(wanted);
            details.extend_from_slice(&self.details);
            self.details = details;
        }
        if self.len() <= MOST_OF_ONE_ADDRESS {
            self.marks &= !CROWDED;
        }
        if self.len() <= 1 {
            self.marks &= !OF_SEVERAL_NETWORKS;
        }
        self.fit_index(rules);
        self.extras.take_if(|extras| extras.is_empty());
    }

    /// The time at which a peer is due, if it is not due yet.
    fn due(&self, rules: &Rules, position: usize) -> Option<Instant> {
        match self.detail(position) {
            Some(detail) => Some(detail.expires(&rules.lifetimes)).filter(|&expires| expires > rules.now),
            None => rules.lifetimes.due_after(rules.now, self.entries[position].tag().digest_or_expiry),
        }
    }

    /// Swaps two different entries, with their details and their positions in the index.
    fn swap(&mut self, rules: &Rules, a: usize, b: usize) {
        let (a, b) = (a.min(b), a.max(b));
        if let Some(index) = self.extras.as_mut().and_then(|extras| extras.index.as_mut()) {
            let hash = |position: usize| hash::<E>(rules, self.entries[position].ip());
            index.swap((hash(a), a), (hash(b), b));
        }
        if let Some(mut sweep) = self.extras.as_ref().and_then(|extras| extras.sweep)
            && (a + 1..=b).contains(&sweep.left)
        {
            // The sweep will not come to the one that goes up, so it is looked at now.
            sweep.see(self.due(rules, a).unwrap_or(sweep.began));
            self.interrupt_sweep(sweep);
        }
        if self.extras.as_ref().is_some_and(|extras| extras.has_left(a + 1..=b)) {
            let member = self.member(a);
            self.extras.iter_mut().flat_map(|extras| &mut extras.check).for_each(|check| check.moved.push(member));
        }
        self.entries.swap(a, b);
        if !self.details.is_empty() {
            self.details.swap(a, b);
        }
    }

    fn index(&self) -> Option<&Index> {
        self.extras.as_ref()?.index.as_ref()
    }

    /// Makes the index that suits the number of peers: none, the one there is, or another.
    fn fit_index(&mut self, rules: &Rules) {
        let fits = match self.index() {
            None => self.len() <= INDEX_ABOVE,
            Some(index) => self.len() >= INDEX_ABOVE / 2 && index.slots() <= 4 * self.len(),
        };
        if fits {
            return;
        }
        let extras = self.extras.get_or_insert_default();
        // The old one first, so that there are never two.
        extras.index = None;
        if self.entries.len() >= INDEX_ABOVE / 2 {
            extras.index = Some(Index::new(self.entries.iter().map(|entry| hash::<E>(rules, entry.ip()))));
        }
    }
}

/// The hash by which a peer is found: all peers of a group have the same.
fn hash<E: Entry>(rules: &Rules, ip: E::Ip) -> u64 {
    rules.hash(E::masked(ip, E::group_mask(ip, &rules.own)))
}

/// The position of the first entry of which it holds. Looks at several at once, without a branch for each.
fn position_of<E: Entry>(entries: &[E], holds: impl Fn(&E) -> bool) -> Option<usize> {
    const AT_ONCE: usize = 16;
    let chunks = entries.chunks(AT_ONCE);
    let chunk = chunks.clone().position(|chunk| chunk.iter().fold(false, |found, entry| found | holds(entry)))?;
    let first = chunk * AT_ONCE;
    entries[first..].iter().position(holds).map(|position| first + position)
}

/// The number of entries by which an array of this length grows. A twelfth: there are many arrays, and unused room is
/// wasted.
fn step(len: usize) -> usize {
    len / 12 + 1
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::entry::EntryV4;
    use crate::{AnnounceRequest, Config, InfoHash, Memory, PeerId};

    type Place = (Ipv4Addr, u16);

    /// A pool, and what is in it.
    struct Trial {
        rules: Rules,
        pool: Pool<EntryV4>,
        known: BTreeMap<Place, Member>,
    }

    impl Trial {
        fn new(memory: Memory) -> Self {
            let config = Config { memory, ..Config::default() };
            Self {
                rules: Rules::new(&config, &mut StdRng::seed_from_u64(1)),
                pool: Pool::default(),
                known: BTreeMap::new(),
            }
        }

        fn member(&self, (ip, port): Place, left: u64) -> Member {
            let request = AnnounceRequest::new(
                InfoHash::new([7; 20]),
                PeerId::new([port as u8; 20]),
                ip.into(),
                Ipv4Addr::LOCALHOST.into(),
                port,
            )
            .with_left(left);
            Member::new(ip.into(), false, &request, Duration::from_secs(60), &self.rules)
        }

        fn pass(&mut self, secs: u64) {
            self.rules.advance(self.rules.now + Duration::from_secs(secs));
        }

        fn announce(&mut self, place: Place, left: u64) {
            let member = self.member(place, left);
            match self.pool.find(&self.rules, place.0, place.1) {
                Some(position) => _ = self.pool.replace(&self.rules, position, place.0, &member),
                None => _ = self.pool.insert(&self.rules, place.0, &member),
            }
            self.known.insert(place, member);
        }

        /// Finds out whether others can connect to a peer, if it is there.
        fn find_out(&mut self, place: Place, reachability: Reachability) {
            let Some(member) = self.known.get_mut(&place) else { return };
            let Some(detail) = &mut member.detail else { return };
            detail.set_reachability(reachability);
            let position = self.pool.find(&self.rules, place.0, place.1).expect("it is there");
            self.pool.replace(&self.rules, position, place.0, member);
        }

        fn stop(&mut self, place: Place) {
            let position = self.pool.find(&self.rules, place.0, place.1);
            assert_eq!(position.is_some(), self.known.remove(&place).is_some());
            if let Some(position) = position {
                assert_eq!(self.pool.remove(&self.rules, position).ip, IpAddr::V4(place.0));
            }
        }

        fn due(&self, member: &Member) -> Option<Instant> {
            match member.detail {
                Some(detail) => Some(detail.expires(&self.rules.lifetimes)).filter(|&due| due > self.rules.now),
                None => self.rules.lifetimes.due_after(self.rules.now, member.tag.digest_or_expiry),
            }
        }

        /// Every peer is where the index and its class say, and there are no others.
        fn check(&self) {
            assert_eq!(self.pool.len(), self.known.len());
            for (&(ip, port), member) in &self.known {
                let position = self.pool.find(&self.rules, ip, port).expect("it is there");
                let found = self.pool.member(position);
                assert_eq!((found.address(), found.tag), (member.address(), member.tag));
                let reachability = |member: &Member| member.detail.map(|detail| detail.reachability());
                assert_eq!(reachability(&found), reachability(member));
                assert!(self.pool.range(self.pool.class(position)).contains(&position));
            }
        }
    }

    fn place(rng: &mut StdRng) -> Place {
        let ip = match rng.random_range(0..20) {
            0 => Ipv4Addr::new(127, 0, 0, rng.random()),
            1 => Ipv4Addr::new(169, 254, 7, rng.random()),
            2 => Ipv4Addr::new(224, 0, 0, rng.random()),
            // Many peers at few addresses.
            3..10 => Ipv4Addr::new(10, 0, 0, rng.random_range(0..8)),
            _ => Ipv4Addr::new(10, 1, rng.random_range(0..16), rng.random()),
        };
        (ip, rng.random_range(1..20))
    }

    fn any_reachability(rng: &mut StdRng) -> Reachability {
        [Reachability::Unknown, Reachability::Yes, Reachability::No, Reachability::Introduced][rng.random_range(0..4)]
    }

    #[test]
    fn a_pool_of_a_small_swarm_is_small() {
        assert_eq!(size_of::<Pool<EntryV4>>(), 64);
    }

    #[test]
    fn peers_are_found_whatever_came_and_went() {
        for memory in [Memory::Full, Memory::Lean] {
            let mut rng = StdRng::seed_from_u64(1);
            let mut trial = Trial::new(memory);
            // Up to so many that there is an index, and down again.
            for (steps, leaving) in [(6000, 10), (3000, 70), (2000, 30)] {
                for step in 0..steps {
                    let place = place(&mut rng);
                    match rng.random_range(0..100) < leaving {
                        true => trial.stop(place),
                        false => trial.announce(place, rng.random_range(0..2)),
                    }
                    if rng.random_range(0..3) == 0 {
                        trial.find_out(place, any_reachability(&mut rng));
                    }
                    if step % 500 == 0 {
                        trial.check();
                    }
                }
                trial.check();
            }
            assert!(trial.pool.len() > INDEX_ABOVE, "{} peers", trial.pool.len());
            let all: Vec<Place> = trial.known.keys().copied().collect();
            all.into_iter().for_each(|place| trial.stop(place));
            trial.pool.shrink(&trial.rules);
            assert!(trial.pool.extras.is_none());
        }
    }

    /// A check that is interrupted by announces sees all peers that were there when it began and still are.
    #[test]
    fn no_peer_is_left_unchecked() {
        for memory in [Memory::Full, Memory::Lean] {
            let mut rng = StdRng::seed_from_u64(3);
            let mut trial = Trial::new(memory);
            for round in 0..40 {
                (0..200).for_each(|_| trial.announce(place(&mut rng), rng.random_range(0..2)));
                let mut unseen: BTreeSet<Place> = trial.known.keys().copied().collect();
                loop {
                    let mut check = trial.pool.resume_check();
                    let mut budget = rng.random_range(0..60);
                    trial.pool.check(&mut check, &mut budget, |member| {
                        let IpAddr::V4(ip) = member.ip else { panic!("{member:?}") };
                        unseen.remove(&(ip, member.port));
                        1
                    });
                    if check.is_whole() {
                        break;
                    }
                    trial.pool.interrupt_check(check);
                    let leaving = if rng.random_range(0..20) == 0 { trial.known.len() / 2 } else { 5 };
                    for _ in 0..rng.random_range(0..=leaving) {
                        let known = trial.known.keys().nth(rng.random_range(0..trial.known.len().max(1)));
                        if let Some(place) = known.copied() {
                            trial.stop(place);
                            // If it comes again, it is new.
                            unseen.remove(&place);
                        }
                    }
                    for _ in 0..rng.random_range(0..20) {
                        let place = place(&mut rng);
                        match rng.random_range(0..4) {
                            0 => {
                                trial.stop(place);
                                unseen.remove(&place);
                            }
                            1 => trial.find_out(place, any_reachability(&mut rng)),
                            _ => trial.announce(place, rng.random_range(0..2)),
                        }
                    }
                }
                assert_eq!(unseen.first(), None, "in round {round}, of {} peers", trial.known.len());
                trial.check();
                trial.pool.shrink(&trial.rules);
                assert_eq!(trial.pool.extras.is_some(), trial.pool.index().is_some(), "{} peers", trial.known.len());
            }
        }
    }

    /// A look that is interrupted by announces finds all that is due, or says that there is more.
    #[test]
    fn no_peer_is_overlooked() {
        for memory in [Memory::Full, Memory::Lean] {
            let mut rng = StdRng::seed_from_u64(2);
            let mut trial = Trial::new(memory);
            for round in 0..40 {
                for _ in 0..200 {
                    let place = place(&mut rng);
                    trial.announce(place, rng.random_range(0..2));
                    trial.pass(if rng.random_range(0..10) == 0 { 13 } else { 0 });
                }
                let began = trial.rules.now;
                let mut sweep = trial.pool.resume_sweep(&trial.rules);
                loop {
                    let mut budget = if rng.random_range(0..4) == 0 { 0 } else { rng.random_range(1..300) };
                    let known = &mut trial.known;
                    trial.pool.sweep(&trial.rules, &mut sweep, &mut budget, |member| {
                        let IpAddr::V4(ip) = member.ip else { panic!("{member:?}") };
                        assert!(known.remove(&(ip, member.port)).is_some(), "{member:?} was not known");
                    });
                    if sweep.left == 0 {
                        break;
                    }
                    trial.pool.interrupt_sweep(sweep);
                    // Seldom the machine sleeps.
                    trial.pass(if rng.random_range(0..100) == 0 { 10_000 } else { 0 });
                    // Sometimes so many leave that fewer stay than were left to look at.
                    let leaving = if rng.random_range(0..8) == 0 { trial.known.len() } else { 5 };
                    for _ in 0..rng.random_range(0..=leaving) {
                        let known = trial.known.keys().nth(rng.random_range(0..trial.known.len().max(1)));
                        known.copied().into_iter().for_each(|place| trial.stop(place));
                    }
                    for _ in 0..rng.random_range(0..20) {
                        let place = place(&mut rng);
                        match rng.random_range(0..4) {
                            0 => trial.stop(place),
                            1 => trial.find_out(place, any_reachability(&mut rng)),
                            _ => trial.announce(place, rng.random_range(0..2)),
                        }
                    }
                    sweep = trial.pool.resume_sweep(&trial.rules);
                }
                trial.check();
                // Those that announced since it began are due later than the shortest timeout.
                let latest = began + trial.rules.lifetimes.shortest();
                let next = sweep.next.map_or(latest, |next| next.min(latest));
                for member in trial.known.values() {
                    let due = trial.due(member).unwrap_or(trial.rules.now);
                    assert!(next <= due, "{member:?} is due at {due:?}, looked for at {next:?} in round {round}");
                }
                trial.pool.shrink(&trial.rules);
                let has_extras = trial.pool.extras.is_some();
                assert_eq!(has_extras, trial.pool.index().is_some(), "of {} peers", trial.known.len());
            }
            assert!(trial.rules.now > Instant::from_secs(5000));
        }
    }
}
