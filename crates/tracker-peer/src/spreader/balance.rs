//! Who is so far ahead of the others that it is given nothing for now.

use std::time::Duration;

use super::meter::Meter;

/// Bytes by which a peer may be ahead of the one that is furthest behind, and the same as a part of what all get in a second: a peer
/// gets some of that between two looks. Peers that others serve well differ by less.
const LEAST_MARGIN: u64 = 2 * 1024 * 1024;
const MARGIN_SECONDS: f64 = 0.4;

/// The time between two looks at who is furthest behind.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The time after which it shows whether those behind take what the others do not get: TCP needs some of it.
const TRIAL: Duration = Duration::from_millis(1200);

/// The time for which nobody is held back after that was of no use: so long at first, twice as long each time, and so long at most.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Gives what there is to those who are behind, as long as they take it.
///
/// Clients serve four or eight others at a time, and some are served by nobody for long. Their own links are idle meanwhile, since
/// they have nothing that others lack. So those who are ahead of the one that is furthest behind by more than a margin are given
/// nothing until it has caught up: they get from the others what those are given. Where that does not fill the link as before, those
/// behind are slow, and nobody is held back for a while.
#[derive(Debug)]
pub(super) struct Balance {
    /// Who has more than this is held back.
    most: u64,
    /// Those who are not held back.
    within: u64,
    looked_at: Option<Duration>,
    /// Since when somebody is held back.
    held_since: Option<Duration>,
    /// Until when nobody is.
    pause_until: Duration,
    /// The length of the next pause.
    pause: Duration,
    meter: Meter,
    /// The rate before somebody was held back, or the best one since.
    best_rate: u64,
}

impl Balance {
    pub(super) fn new() -> Self {
        Self {
            most: u64::MAX,
            within: 0,
            looked_at: None,
            held_since: None,
            pause_until: Duration::ZERO,
            pause: SHORTEST_PAUSE,
            meter: Meter::default(),
            best_rate: 0,
        }
    }

    /// So many bytes left.
    pub(super) fn add(&mut self, now: Duration, bytes: u32) {
        self.meter.add(now, bytes);
    }

    /// There is somebody new, so that it is time for a [look](Self::look).
    pub(super) fn look_soon(&mut self) {
        self.looked_at = None;
    }

    /// Returns `true` if it is time for a [look](Self::look).
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.looked_at.is_none_or(|at| at + LOOK_INTERVAL <= now)
    }

    /// Looks at what those have who may be given something. Returns `true` if nobody is held back any more.
    pub(super) fn look(&mut self, now: Duration, have: impl Iterator<Item = u64> + Clone) -> bool {
        self.looked_at = Some(now);
        let count = have.clone().count() as u64;
        let rate = self.meter.per_second(now);
        let margin = LEAST_MARGIN.max((rate as f64 * MARGIN_SECONDS) as u64);
        let least = have.clone().min().filter(|_| count > 1 && now >= self.pause_until);
        self.most = least.map_or(u64::MAX, |least| least.saturating_add(margin));
        self.within = have.filter(|&bytes| !self.is_ahead(bytes)).count() as u64;
        if self.within == count {
            self.held_since = None;
            self.best_rate = rate;
            return false;
        }
        self.best_rate = self.best_rate.max(rate);
        let held_for = now.saturating_sub(*self.held_since.get_or_insert(now));
        if held_for < TRIAL || rate >= self.best_rate / 5 * 3 {
            return false;
        }
        self.pause_until = now + self.pause;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        (self.most, self.within) = (u64::MAX, count);
        true
    }

    /// The number of those who are not held back.
    pub(super) fn within(&self) -> u64 {
        self.within
    }

    /// Returns `true` if one that has so many bytes is given nothing for now.
    pub(super) fn is_ahead(&self, bytes: u64) -> bool {
        bytes > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const STEP: Duration = Duration::from_millis(100);

    /// Lets so much time pass while so many bytes leave per second, and these have so many MiB. Returns whether somebody was
    /// released.
    fn pass(balance: &mut Balance, now: &mut Duration, time: Duration, per_second: u32, have: [u64; 3]) -> bool {
        let mut is_released = false;
        let end = *now + time;
        while *now < end {
            *now += STEP;
            balance.add(*now, per_second / 10);
            assert!(balance.is_due(*now));
            is_released |= balance.look(*now, have.into_iter().map(|mib| mib * MIB));
        }
        is_released
    }

    #[test]
    fn those_ahead_are_held_back_as_long_as_the_others_take_as_much() {
        let (mut balance, mut now) = (Balance::new(), Duration::ZERO);
        assert!(!balance.is_ahead(u64::MAX), "nothing is known of others");
        pass(&mut balance, &mut now, Duration::from_secs(2), 1_000_000, [3, 4, 5]);
        assert_eq!((balance.within(), balance.is_ahead(5 * MIB)), (3, false));
        let is_released = pass(&mut balance, &mut now, Duration::from_secs(20), 900_000, [3, 4, 6]);
        assert_eq!((is_released, balance.within()), (false, 2));
        assert!(balance.is_ahead(6 * MIB) && !balance.is_ahead(5 * MIB));
        pass(&mut balance, &mut now, STEP, 900_000, [5, 5, 7]);
        assert_eq!((balance.within(), balance.is_ahead(7 * MIB)), (3, false), "they have caught up");
    }

    #[test]
    fn nobody_is_held_back_for_those_who_are_slow_and_that_is_tried_less_and_less() {
        let (mut balance, mut now) = (Balance::new(), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let began = now;
            while !balance.is_ahead(9 * MIB) {
                pass(&mut balance, &mut now, STEP, 1_000_000, [1, 8, 9]);
            }
            pauses.push((now - began).as_secs());
            while balance.is_ahead(9 * MIB) {
                pass(&mut balance, &mut now, STEP, 100_000, [1, 8, 9]);
            }
            assert_eq!(balance.within(), 3);
        }
        assert_eq!(pauses[1..], [5, 10, 20, 40, 60]);
    }

    #[test]
    fn one_alone_is_never_held_back_and_fast_ones_may_differ_by_more() {
        let mut balance = Balance::new();
        balance.look(STEP, [0].into_iter());
        assert!(!balance.is_ahead(u64::MAX));
        let mut now = STEP;
        pass(&mut balance, &mut now, Duration::from_secs(2), 50 * MIB as u32, [1, 1, 20]);
        assert!(!balance.is_ahead(20 * MIB) && balance.is_ahead(22 * MIB));
    }

    #[test]
    fn a_look_is_due_at_times_and_when_there_is_somebody_new() {
        let (mut balance, mut now) = (Balance::new(), Duration::ZERO);
        pass(&mut balance, &mut now, STEP, 0, [1, 1, 1]);
        assert!(!balance.is_due(now) && balance.is_due(now + LOOK_INTERVAL));
        balance.look_soon();
        assert!(balance.is_due(now));
    }
}
