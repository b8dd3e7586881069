//! The peers of one family in a swarm, in packed arrays.

use std::ops::Range;

use crate::detail::Detail;
use crate::entry::Entry;
use crate::index::Index;
use crate::peer::Member;
use crate::rules::Rules;
use crate::{Instant, PeerState, address};

/// A pool of more peers than this has an index. One of less is looked through: that takes less than a microsecond, and an
/// index takes a third as much memory as the peers of a lean tracker.
const INDEX_ABOVE: usize = 512;

/// The peers of one family: an array of entries, sorted by what they are good for, and beside it one of what else is known.
#[derive(Debug)]
pub(crate) struct Pool<E> {
    entries: Vec<E>,
    /// Of each entry; empty in a lean tracker.
    details: Vec<Detail>,
    /// Where the entries of each [`Class`] but the last end, and those of the next begin.
    ends: [u32; 3],
    /// How many of the entries are on the tracker's machine, and announced over loopback.
    loopback: u32,
    index: Option<Box<Index>>,
    sweep: Option<Box<Sweep>>,
}

/// What an entry is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Downloading, and can be dialled by everybody.
    Leeching,
    /// Not downloading, with something to give: seeders and partial seeds that can be dialled by everybody.
    Holding,
    /// In 169.254/16, where those in it can dial it.
    Nearby,
    /// Nobody can dial it.
    Hidden,
}

impl Class {
    fn of<E: Entry>(entry: E) -> Self {
        let ip = entry.ip().into();
        match entry.tail().state {
            _ if !address::is_dialable(ip, entry.port()) => Self::Hidden,
            _ if address::is_v4_link_local(ip) => Self::Nearby,
            PeerState::Leecher => Self::Leeching,
            PeerState::Seeder | PeerState::PartialSeed => Self::Holding,
        }
    }
}

/// A look at all entries for those that are due, from the last to the first, as far as it has come. So the entry which takes
/// a removed one's place was looked at already.
#[derive(Debug, Clone, Copy)]
struct Sweep {
    began: Instant,
    /// How many entries, from the beginning, are left to look at.
    left: usize,
    /// When the first of the others is due.
    next: Option<Instant>,
}

impl<E> Default for Pool<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), details: Vec::new(), ends: [0; 3], loopback: 0, index: None, sweep: None }
    }
}

impl<E: Entry> Pool<E> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        (0..self.len()).map(|position| self.member(position))
    }

    pub(crate) fn entry(&self, position: usize) -> E {
        self.entries[position]
    }

    /// Whether there are peers that announced over loopback.
    pub(crate) fn has_loopback(&self) -> bool {
        self.loopback > 0
    }

    /// Where the entries of a class stand.
    pub(crate) fn range(&self, class: Class) -> Range<usize> {
        let end = |class: usize| self.ends.get(class).map_or(self.entries.len(), |&end| end as usize);
        let class = class as usize;
        (if class == 0 { 0 } else { end(class - 1) })..end(class)
    }

    pub(crate) fn detail(&self, position: usize) -> Option<&Detail> {
        self.details.get(position)
    }

    pub(crate) fn member(&self, position: usize) -> Member {
        let entry = self.entries[position];
        Member { ip: entry.ip().into(), port: entry.port(), tail: entry.tail(), detail: self.detail(position).copied() }
    }

    /// The position of the peer at this address and port.
    pub(crate) fn find(&self, rules: &Rules, ip: E::Ip, port: u16) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(rules.hash(ip), |position| self.entries[position].is_at(ip, port)),
            None => position_of(&self.entries, |entry| entry.is_at(ip, port)),
        }
    }

    /// The position of the first peer at this address of which it holds.
    pub(crate) fn find_at(&self, rules: &Rules, ip: E::Ip, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut is_it = |position: usize| self.entries[position].ip() == ip && holds(position);
        match &self.index {
            Some(index) => index.find(rules.hash(ip), is_it),
            None => (0..self.len()).find(|&position| is_it(position)),
        }
    }

    pub(crate) fn insert(&mut self, rules: &Rules, ip: E::Ip, member: &Member) -> usize {
        let entry = E::new(ip, member.port, member.tail);
        let class = Class::of(entry) as usize;
        grow(&mut self.entries);
        self.entries.push(entry);
        self.loopback += u32::from(member.ip.is_loopback());
        if let Some(detail) = member.detail {
            grow(&mut self.details);
            self.details.push(detail);
        }
        if let Some(index) = &mut self.index {
            index.insert(rules.hash(ip), self.entries.len() - 1);
        }
        // The first of each later class makes room at its end.
        let mut hole = self.entries.len() - 1;
        for later in (class..self.ends.len()).rev() {
            let first = self.ends[later] as usize;
            self.swap(rules, first, hole);
            self.ends[later] += 1;
            hole = first;
        }
        self.fit_index(rules);
        hole
    }

    pub(crate) fn remove(&mut self, rules: &Rules, position: usize) -> Member {
        let removed = self.member(position);
        self.loopback -= u32::from(removed.ip.is_loopback());
        let class = Class::of(self.entries[position]) as usize;
        // The last of each class, from that of the removed one on, fills the hole before it.
        let mut hole = position;
        for later in class..self.ends.len() {
            let last = self.ends[later] as usize - 1;
            self.swap(rules, hole, last);
            self.ends[later] -= 1;
            hole = last;
        }
        let last = self.entries.len() - 1;
        self.swap(rules, hole, last);
        if let Some(index) = &mut self.index {
            let entries = &self.entries;
            index.remove(rules.hash(entries[last].ip()), last, |position| rules.hash(entries[position].ip()));
        }
        self.entries.pop();
        self.details.pop();
        removed
    }

    /// Puts `member` in the place of the peer at `position`, which is the same peer.
    pub(crate) fn replace(&mut self, rules: &Rules, position: usize, ip: E::Ip, member: &Member) -> usize {
        let (old, new) = (self.entries[position], E::new(ip, member.port, member.tail));
        if Class::of(old) != Class::of(new) || old.ip() != ip {
            self.remove(rules, position);
            return self.insert(rules, ip, member);
        }
        self.entries[position] = new;
        if let Some(detail) = member.detail {
            self.details[position] = detail;
        }
        position
    }

    /// Begins to look for peers that are due.
    pub(crate) fn start_sweep(&mut self, now: Instant) {
        self.sweep = Some(Box::new(Sweep { began: now, left: self.len(), next: None }));
    }

    /// Removes peers that are due. Looks at `budget` peers at most, and takes those it looks at from it; whether it came to
    /// the end.
    pub(crate) fn sweep(
        &mut self,
        rules: &Rules,
        now: Instant,
        budget: &mut usize,
        mut expired: impl FnMut(&Member),
    ) -> bool {
        let Some(mut sweep) = self.sweep.take() else { return true };
        while sweep.left > 0 && *budget > 0 {
            *budget -= 1;
            sweep.left -= 1;
            match self.due_after(rules, now, sweep.left) {
                None => expired(&self.remove(rules, sweep.left)),
                Some(due) => sweep.next = Some(earlier(sweep.next, due)),
            }
        }
        let is_done = sweep.left == 0;
        self.sweep = Some(sweep);
        is_done
    }

    /// Ends the look for peers that are due, and gives memory back. When the first is due of those that were looked at.
    pub(crate) fn end_sweep(&mut self, rules: &Rules) -> Option<Instant> {
        shrink(&mut self.entries);
        shrink(&mut self.details);
        self.fit_index(rules);
        self.sweep.take().and_then(|sweep| sweep.next)
    }

    /// When a peer is due, if that is later than `now`.
    fn due_after(&self, rules: &Rules, now: Instant, position: usize) -> Option<Instant> {
        match self.detail(position) {
            Some(detail) => Some(detail.expires(&rules.lifetimes)).filter(|&expires| expires > now),
            None => rules.lifetimes.due_after(now, self.entries[position].tail().mark),
        }
    }

    /// Swaps two entries, and what is known about where they stand.
    fn swap(&mut self, rules: &Rules, a: usize, b: usize) {
        if a == b {
            return;
        }
        let (a, b) = (a.min(b), a.max(b));
        if let Some(index) = &mut self.index {
            let hash = |position: usize| rules.hash(self.entries[position].ip());
            index.swap((hash(a), a), (hash(b), b));
        }
        if let Some(mut sweep) = self.sweep.take() {
            if (a + 1..=b).contains(&sweep.left) {
                // The sweep will not come to the one that goes up, so it is looked at now.
                let due = self.due_after(rules, sweep.began, a).unwrap_or(sweep.began);
                sweep.next = Some(earlier(sweep.next, due));
            }
            self.sweep = Some(sweep);
        }
        self.entries.swap(a, b);
        if !self.details.is_empty() {
            self.details.swap(a, b);
        }
    }

    /// Makes the index that suits the number of peers: none, the one there is, or another.
    fn fit_index(&mut self, rules: &Rules) {
        let fits = match &self.index {
            None => self.len() <= INDEX_ABOVE,
            Some(_) if self.len() < INDEX_ABOVE / 2 => {
                self.index = None;
                true
            }
            Some(index) => !index.is_full(self.len()) && index.slots() < 4 * self.len(),
        };
        if !fits {
            // The old one first, so that there are never two.
            self.index = None;
            let hashes = self.entries.iter().map(|entry| rules.hash(entry.ip()));
            self.index = Some(Box::new(Index::new(hashes)));
        }
    }
}

/// The position of the first entry of which it holds. Looks at several at once, without a branch for each.
fn position_of<E: Entry>(entries: &[E], holds: impl Fn(&E) -> bool) -> Option<usize> {
    const AT_ONCE: usize = 16;
    let chunks = entries.chunks(AT_ONCE);
    let chunk = chunks.clone().position(|chunk| chunk.iter().fold(false, |found, entry| found | holds(entry)))?;
    let first = chunk * AT_ONCE;
    entries[first..].iter().position(holds).map(|position| first + position)
}

/// Makes room for one more in steps of a sixteenth: there are many arrays, and room that is not used is lost.
fn grow<T>(array: &mut Vec<T>) {
    if array.len() == array.capacity() {
        array.reserve_exact(array.len() / 16 + 1);
    }
}

/// Gives memory back where most of it is unused: a class has gone home.
fn shrink<T>(array: &mut Vec<T>) {
    if array.capacity() > 64 && array.len() < array.capacity() / 4 {
        array.shrink_to(array.len() * 2);
    }
}

pub(crate) fn earlier(one: Option<Instant>, other: Instant) -> Instant {
    one.map_or(other, |one| one.min(other))
}
