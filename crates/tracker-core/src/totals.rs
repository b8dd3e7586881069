//! The totals of a tracker.

use std::ops::AddAssign;

use crate::SwarmCounts;

/// Counts of what a tracker has now, and of what it did since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Swarms known now, those without peers included.
    pub swarms: u64,
    /// Seeders now. A client counts once for each torrent and address.
    pub seeders: u64,
    /// Leechers now, partial seeds included.
    pub leechers: u64,
    /// Partial seeds now.
    pub partial_seeds: u64,
    /// Announces so far, refused ones included.
    pub announces: u64,
    /// Announces refused so far.
    pub refused_announces: u64,
    /// Scrapes so far, refused ones included.
    pub scrapes: u64,
    /// Downloads completed so far.
    pub completed: u64,
    /// Events dropped so far because nobody took them in time.
    pub dropped_events: u64,
}

impl Totals {
    /// Peers now.
    pub fn peers(&self) -> u64 {
        self.seeders + self.leechers
    }

    /// Counts an announce that was refused before any swarm was asked.
    pub(crate) fn refused(&mut self) {
        self.announces += 1;
        self.refused_announces += 1;
    }

    /// Takes in that a swarm's counts went from `before` to `after`.
    pub(crate) fn swarm_changed(&mut self, before: SwarmCounts, after: SwarmCounts) {
        let change = |total: &mut u64, before: u32, after: u32| *total = *total + u64::from(after) - u64::from(before);
        change(&mut self.seeders, before.seeders, after.seeders);
        change(&mut self.leechers, before.leechers, after.leechers);
        change(&mut self.partial_seeds, before.partial_seeds, after.partial_seeds);
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.swarms += other.swarms;
        self.seeders += other.seeders;
        self.leechers += other.leechers;
        self.partial_seeds += other.partial_seeds;
        self.announces += other.announces;
        self.refused_announces += other.refused_announces;
        self.scrapes += other.scrapes;
        self.completed += other.completed;
        self.dropped_events += other.dropped_events;
    }
}
