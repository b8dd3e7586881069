//! The times at which peers are looked at, and the limits on dialling.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::peer::PeerNumber;

/// Attempts that are under way at the same time. A silent address takes 3 s, so that 17 of them are got through each second.
pub(super) const ATTEMPTS_AT_ONCE: usize = 50;

/// The time that each attempt uses up of the rate: 100 a second, so that an address that many peers announced does not cost more
/// than a few percent of a core.
const TIME_PER_ATTEMPT: Duration = Duration::from_millis(10);

/// Attempts that can begin at once after a pause: as many as can be under way.
const BURST: u32 = ATTEMPTS_AT_ONCE as u32;

/// Which of the peers that are due comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// It was not looked at yet, or not to the end.
    First,
    /// It was looked at.
    Again,
}

/// The peers to be looked at, each once.
///
/// A peer is in one of three queues. In `timers` it waits for its time; then it is `ready`, and is taken as soon as the limits
/// permit. One whose address is just being dialled for another peer is `parked` until that is over: Transmission takes one
/// handshake from an address at a time. Then those who are parked there get ready one by one, until an attempt begins: the first
/// of them may have left, or may not be dialled any more.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    positions: BTreeMap<PeerNumber, (Queue, Entry)>,
    timers: BTreeSet<(Duration, Entry)>,
    ready: BTreeSet<Entry>,
    parked: BTreeMap<IpAddr, BTreeSet<Entry>>,
    /// The addresses where peers are parked and that are not busy any more.
    freed: BTreeSet<IpAddr>,
    /// The addresses of attempts that are under way, one for each.
    busy: BTreeSet<IpAddr>,
    /// The time up to which the attempts that were begun have used the rate up.
    used_until: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    Timers,
    Ready,
    Parked(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    urgency: Urgency,
    due: Duration,
    peer: PeerNumber,
}

impl Schedule {
    /// The peer is to be looked at at this time, and not at the one that was set before.
    pub(super) fn set(&mut self, peer: PeerNumber, due: Duration, urgency: Urgency) {
        self.cancel(peer);
        self.insert(Queue::Timers, Entry { urgency, due, peer });
    }

    /// The peer is not to be looked at.
    pub(super) fn cancel(&mut self, peer: PeerNumber) {
        let Some((queue, entry)) = self.positions.remove(&peer) else { return };
        match queue {
            Queue::Timers => _ = self.timers.remove(&(entry.due, entry)),
            Queue::Ready => _ = self.ready.remove(&entry),
            Queue::Parked(address) => self.unpark(address, entry),
        }
    }

    /// Returns `true` if the peer is to be looked at some time.
    pub(super) fn has(&self, peer: PeerNumber) -> bool {
        self.positions.contains_key(&peer)
    }

    /// Takes the next peer that is due, if the limits permit an attempt.
    pub(super) fn next(&mut self, now: Duration) -> Option<PeerNumber> {
        while let Some(&(due, entry)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            self.insert(Queue::Ready, entry);
        }
        if self.busy.len() >= ATTEMPTS_AT_ONCE || self.next_attempt() > now {
            return None;
        }
        for address in self.freed.iter().copied().collect::<Vec<_>>() {
            let entry = *self.parked[&address].first().expect("peers are parked at a freed address");
            self.unpark(address, entry);
            self.insert(Queue::Ready, entry);
        }
        let entry = self.ready.pop_first()?;
        self.positions.remove(&entry.peer);
        Some(entry.peer)
    }

    /// Parks the peer if an attempt is under way at the address, until that is over. Returns `true` if it did.
    pub(super) fn park_if_busy(&mut self, now: Duration, peer: PeerNumber, address: IpAddr, urgency: Urgency) -> bool {
        let is_busy = self.busy.contains(&address);
        if is_busy {
            self.cancel(peer);
            self.insert(Queue::Parked(address), Entry { urgency, due: now, peer });
        }
        is_busy
    }

    /// An attempt begins at an address that is not busy.
    pub(super) fn begin(&mut self, now: Duration, address: IpAddr) {
        self.busy.insert(address);
        self.freed.remove(&address);
        self.used_until = self.used_until.max(now) + TIME_PER_ATTEMPT;
    }

    /// The attempt at an address is over.
    pub(super) fn end(&mut self, address: IpAddr) {
        self.busy.remove(&address);
        if self.parked.contains_key(&address) {
            self.freed.insert(address);
        }
    }

    /// The time at which [`next`](Self::next) may have a peer, if nothing happens before.
    pub(super) fn next_time(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|&(due, _)| due);
        let has_ready = !self.ready.is_empty() || !self.freed.is_empty();
        let can_begin = has_ready && self.busy.len() < ATTEMPTS_AT_ONCE;
        let ready = can_begin.then(|| self.next_attempt());
        timer.into_iter().chain(ready).min()
    }

    /// The time from which the rate permits an attempt.
    fn next_attempt(&self) -> Duration {
        (self.used_until + TIME_PER_ATTEMPT).saturating_sub(TIME_PER_ATTEMPT * BURST)
    }

    fn unpark(&mut self, address: IpAddr, entry: Entry) {
        let parked = self.parked.get_mut(&address).expect("a parked peer is in the queue of its address");
        parked.remove(&entry);
        if parked.is_empty() {
            self.parked.remove(&address);
            self.freed.remove(&address);
        }
    }

    fn insert(&mut self, queue: Queue, entry: Entry) {
        match queue {
            Queue::Timers => _ = self.timers.insert((entry.due, entry)),
            Queue::Ready => _ = self.ready.insert(entry),
            Queue::Parked(address) => _ = self.parked.entry(address).or_default().insert(entry),
        }
        self.positions.insert(entry.peer, (queue, entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn peers_come_when_they_are_due_and_those_not_looked_at_yet_first() {
        let mut schedule = Schedule::default();
        let [a, b, c] = [1, 2, 3].map(PeerNumber);
        schedule.set(a, SECOND, Urgency::Again);
        schedule.set(b, SECOND * 2, Urgency::First);
        schedule.set(c, SECOND * 9, Urgency::First);
        schedule.set(c, SECOND * 3, Urgency::Again);
        assert_eq!(schedule.next(Duration::ZERO), None);
        assert_eq!(schedule.next_time(), Some(SECOND));
        assert_eq!(schedule.next(SECOND * 3), Some(b));
        assert_eq!(schedule.next(SECOND * 3), Some(a));
        schedule.cancel(c);
        assert_eq!((schedule.next(SECOND * 3), schedule.next_time(), schedule.has(c)), (None, None, false));
    }

    #[test]
    fn an_address_is_dialled_for_one_peer_at_a_time() {
        let mut schedule = Schedule::default();
        let [a, b, c] = [1, 2, 3].map(PeerNumber);
        assert!(!schedule.park_if_busy(SECOND, a, ip(1), Urgency::First));
        schedule.begin(SECOND, ip(1));
        assert!(schedule.park_if_busy(SECOND, b, ip(1), Urgency::Again));
        assert!(schedule.park_if_busy(SECOND, c, ip(1), Urgency::First));
        assert_eq!((schedule.next(SECOND), schedule.has(b)), (None, true));
        schedule.end(ip(1));
        assert_eq!(schedule.next(SECOND), Some(c));
        schedule.begin(SECOND, ip(1));
        assert_eq!(schedule.next(SECOND), None);
        // The first of those who wait leaves.
        let d = PeerNumber(4);
        schedule.park_if_busy(SECOND, d, ip(1), Urgency::Again);
        schedule.end(ip(1));
        assert_eq!(schedule.next(SECOND), Some(b));
        assert_eq!((schedule.next(SECOND), schedule.next(SECOND)), (Some(d), None));
    }

    #[test]
    fn attempts_are_limited_at_once_and_per_second() {
        let mut schedule = Schedule::default();
        for number in 0..400 {
            schedule.set(PeerNumber(number), SECOND, Urgency::First);
        }
        let mut begun = 0;
        let mut begin = |schedule: &mut Schedule, now| {
            while let Some(peer) = schedule.next(now) {
                schedule.begin(now, ip(peer.0 as u8 % 200));
                begun += 1;
            }
            begun
        };
        assert_eq!(begin(&mut schedule, SECOND), 50);
        assert_eq!(schedule.next_time(), None, "50 are under way");
        for last in 0..50 {
            schedule.end(ip(last));
        }
        assert_eq!(begin(&mut schedule, SECOND), 50);
        assert_eq!(schedule.next_time(), Some(SECOND + TIME_PER_ATTEMPT));
        assert_eq!(begin(&mut schedule, SECOND + TIME_PER_ATTEMPT * 10), 60);
        assert_eq!(begin(&mut schedule, SECOND * 2), 100, "50 are under way again");
    }
}
