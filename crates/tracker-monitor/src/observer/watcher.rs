//! The thread that watches the tracker.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use tracker_core::{Event, Instant};
use tracker_host::{EventListener, ServiceState};

use super::meter::Meter;
use super::sweep::{STRIDE, Sweep};
use super::{Failures, Shared, lock};
use crate::event_log::{self, ReachabilityLog, StuckPeer, USUAL_EVENTS};

/// The pause between two parts of the sweep, in which the core is free for announces if there is only one.
const PAUSE: Duration = Duration::from_millis(10);

/// Peers and swarms that are looked at in one part, which takes about a millisecond: those of a few classes are seen as they are at one
/// moment.
const FEW: usize = 250;

/// Parts of a sweep of more, so that it takes about 5 s.
const PARTS: usize = 500;

/// Least and most steps of a part when there are more than [`FEW`]: 65 to 260 µs, for which announces wait if there is one core. A million
/// peers are seen in 100 s, much less than the interval between their announces.
const LEAST_STEPS: usize = 25;
const MOST_STEPS: usize = 100;

/// The longest wait while there is nothing to do.
const PERIOD: Duration = Duration::from_millis(200);

/// The shortest wait, so that a clock that stands still at its end is not asked again and again.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// No peer announces then.
const NEVER: Instant = Instant::from_secs(u32::MAX);

/// The state of the thread.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    failures: Box<dyn Fn() -> Failures + Send>,
    events: Vec<Event>,
    meter: Meter,
    /// The time of the last reading of the meter, by either clock.
    read: Option<(Instant, StdInstant)>,
    sweep: Sweep,
    reachability_log: ReachabilityLog,
    is_sweeping: bool,
    /// The time since when the service runs, while it does.
    running_since: Option<SystemTime>,
}

impl Watcher {
    /// Looks for the first time, too.
    pub(super) fn new(shared: Arc<Shared>, failures: Box<dyn Fn() -> Failures + Send>) -> Self {
        let meter = Meter::new(shared.shards.totals(), failures().total());
        let now = shared.clock.now();
        let mut watcher = Self {
            shared,
            failures,
            events: Vec::new(),
            meter,
            read: None,
            sweep: Sweep::new(),
            reachability_log: ReachabilityLog::default(),
            is_sweeping: false,
            running_since: None,
        };
        watcher.look(now, STRIDE);
        watcher
    }

    /// Takes in the events, and looks. Returns how long to wait until the next time, if no event comes before.
    pub(super) fn work(&mut self, listener: &EventListener) -> Duration {
        self.take_events(listener);
        self.look(self.shared.clock.now(), steps(self.meter.size()));
        if self.is_sweeping {
            return PAUSE;
        }
        // The next second is begun as it begins, so that each sample is of one.
        let next_second = self.shared.clock.now() + Duration::from_secs(1);
        self.shared.clock.until(next_second).clamp(SHORTEST_WAIT, PERIOD)
    }

    /// Goes on with the sweep by so many steps. Once a second takes a sample, and begins a sweep if none is under way.
    pub(super) fn look(&mut self, now: Instant, steps: usize) {
        self.follow_service(now);
        if self.read.is_none_or(|(read, _)| now > read) {
            self.is_sweeping = true;
        }
        if self.is_sweeping {
            let Shared { shards, records, computers, found, .. } = &*self.shared;
            let known = computers.library().all();
            if let Some(found_now) = self.sweep.go_on(shards, &known, records, computers, now, steps) {
                *lock(found) = found_now;
                self.is_sweeping = false;
            }
            if !self.is_sweeping {
                self.log_findings();
            }
        }
        if self.read.is_none_or(|(read, _)| now > read) {
            self.tick(now);
        }
    }

    /// Logs what the sweep has found: once for all its parts, so that the limits on lines hold for the whole.
    fn log_findings(&mut self) {
        let Shared { shards, records, computers, .. } = &*self.shared;
        let (stalled, reachable) = {
            let mut records = lock(records);
            (records.take_newly_stalled(), records.take_newly_reachable())
        };
        self.reachability_log.log(&reachable.peers, reachable.more, computers);
        self.reachability_log.log_pairs(&self.sweep.take_unreachable(), computers);
        let peers = stalled.peers.into_iter().map(|(info_hash, peer, downloads)| {
            let counts = shards.with_swarm(&info_hash, |swarm| swarm.counts()).unwrap_or_default();
            let is_shared = computers.is_shared(&info_hash);
            let lacks_seeder = downloads.verdict(counts, is_shared).lacks_seeder();
            StuckPeer { info_hash, peer, counts, lacks_seeder }
        });
        event_log::log_stuck(peers, stalled.more, computers);
    }

    /// Lets only rates count that were reported since the service was started.
    fn follow_service(&mut self, now: Instant) {
        let Some(state) = lock(&self.shared.service).as_ref().map(|service| service.borrow().clone()) else { return };
        let since = match state {
            ServiceState::Running { since, .. } => Some(since),
            ServiceState::Stopped { .. } => None,
        };
        // The first time it is noticed that it is stopped, too.
        if since != self.running_since || since.is_none() {
            lock(&self.shared.records).count_rates_from(if since.is_some() { now } else { NEVER });
            self.running_since = since;
        }
    }

    /// Takes in the events. Those that were lost are counted; the sweep makes up for them.
    pub(super) fn take_events(&mut self, listener: &EventListener) {
        let Self { shared, events, .. } = self;
        let lost = listener.take(events);
        shared.lost_events.fetch_add(lost, Ordering::Relaxed);
        if !events.is_empty() {
            let mut records = lock(&shared.records);
            for event in events.drain(..) {
                records.happened(&event);
                shared.computers.happened(&event);
            }
        }
        events.shrink_to(USUAL_EVENTS);
    }

    fn tick(&mut self, now: Instant) {
        let Self { shared, failures, meter, read, .. } = self;
        let (failures, at) = (failures(), StdInstant::now());
        let passed = read.map_or(Duration::ZERO, |(_, before)| at - before);
        let download_rate = lock(&shared.records).download_rate();
        let sample = meter.read(shared.totals(), failures.total(), passed, download_rate);
        *read = Some((now, at));
        *lock(&shared.failures) = failures;
        lock(&shared.history).push(now, SystemTime::now(), sample);
        shared.computers.tick(now, &sample);
        shared.tidy();
        shared.ticks.send_replace(now);
    }
}

/// Steps of one part of a sweep over so many peers and swarms.
fn steps(size: usize) -> usize {
    if size <= FEW { STRIDE } else { (size / PARTS).clamp(LEAST_STEPS, MOST_STEPS) }
}

impl Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("shared", &self.shared).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_seen_at_once_and_many_in_short_parts() {
        for (size, expected) in [(0, STRIDE), (250, STRIDE), (251, 25), (20_000, 40), (50_000, 100), (2_000_000, 100)] {
            assert_eq!(steps(size), expected, "{size}");
        }
    }
}
