//! The thread that watches the tracker.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use tracker_core::{Event, Instant};
use tracker_host::{EventListener, ServiceState};

use super::meter::Meter;
use super::sweep::Sweep;
use super::{Failures, Shared, lock};
use crate::event_log::{self, ReachabilityLog, StuckPeer, USUAL_EVENTS};

/// Steps of the sweep between two waits: 50,000 peers a second, which take about a hundredth of a processor.
const STEPS: usize = 10_000;

/// The longest wait between two parts of the sweep.
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
        watcher.look(now);
        watcher
    }

    /// Takes in the events, and looks. Returns how long to wait until the next time, if no event comes before.
    pub(super) fn work(&mut self, listener: &EventListener) -> Duration {
        self.take_events(listener);
        self.look(self.shared.clock.now());
        // The next second is begun as it begins, so that each sample is of one.
        let next_second = self.shared.clock.now() + Duration::from_secs(1);
        self.shared.clock.until(next_second).clamp(SHORTEST_WAIT, PERIOD)
    }

    /// Goes on with the sweep. Once a second takes a sample, and begins a sweep if none is
    /// under way.
    pub(super) fn look(&mut self, now: Instant) {
        self.follow_service(now);
        if self.read.is_none_or(|(read, _)| now > read) {
            self.is_sweeping = true;
        }
        if self.is_sweeping {
            let Shared { shards, records, computers, found, .. } = &*self.shared;
            let known = computers.library().all();
            if let Some(found_now) = self.sweep.go_on(shards, &known, records, computers, now, STEPS) {
                *lock(found) = found_now;
                self.is_sweeping = false;
            }
            let (stalled, reachable) = {
                let mut records = lock(records);
                (records.take_newly_stalled(), records.take_newly_reachable())
            };
            self.reachability_log.log(&reachable.peers, reachable.more, computers);
            if !self.is_sweeping {
                self.reachability_log.log_pairs(&self.sweep.take_unreachable(), computers);
            }
            let peers = stalled.peers.into_iter().map(|(info_hash, peer, downloads)| {
                let counts = shards.with_swarm(&info_hash, |swarm| swarm.counts()).unwrap_or_default();
                let is_shared = computers.is_shared(&info_hash);
                let lacks_seeder = downloads.verdict(counts, is_shared).lacks_seeder();
                StuckPeer { info_hash, peer, counts, lacks_seeder }
            });
            event_log::log_stuck(peers, stalled.more, computers);
        }
        if self.read.is_none_or(|(read, _)| now > read) {
            self.tick(now);
        }
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

impl Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("shared", &self.shared).finish_non_exhaustive()
    }
}
