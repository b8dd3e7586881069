//! The thread that watches the tracker.

use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant as StdInstant, SystemTime};

use tracker_core::{Event, Instant};

use super::meter::Meter;
use super::sweep::Sweep;
use super::{Failures, Shared, lock};
use crate::event_log::{EventLogger, PERIOD};

/// Steps of the sweep between two waits: 50,000 peers a second, which take about a hundredth of a processor.
const STEPS: usize = 10_000;

/// The shortest wait, so that a clock that stands still at its end is not asked again and again.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// Events for which memory is kept.
const USUAL_EVENTS: usize = 1000;

/// What the thread has for itself.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    failures: Box<dyn Fn() -> Failures + Send>,
    logger: EventLogger,
    events: Vec<Event>,
    meter: Meter,
    /// When the meter was read last, by either clock.
    read: Option<(Instant, StdInstant)>,
    sweep: Sweep,
    is_sweeping: bool,
}

impl Watcher {
    /// Looks for the first time, too.
    pub(super) fn new(shared: Arc<Shared>, failures: Box<dyn Fn() -> Failures + Send>) -> Self {
        let meter = Meter::new(shared.shards.totals(), failures().total());
        let now = shared.clock.now();
        let mut watcher = Self {
            shared,
            failures,
            logger: EventLogger::default(),
            events: Vec::new(),
            meter,
            read: None,
            sweep: Sweep::new(),
            is_sweeping: false,
        };
        watcher.look(now);
        watcher
    }

    /// Watches until `stopped` is disconnected.
    pub(super) fn run(mut self, stopped: &Receiver<Infallible>) {
        loop {
            // The next second is begun as it begins, so that each sample is of one.
            let next_second = self.shared.clock.now() + Duration::from_secs(1);
            let wait = self.shared.clock.until(next_second).clamp(SHORTEST_WAIT, PERIOD);
            let is_last = match stopped.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
                Ok(never) => match never {},
            };
            self.look(self.shared.clock.now());
            if is_last {
                return;
            }
        }
    }

    /// Takes in what has happened, and goes on with the sweep. Once a second takes a sample, and begins a sweep if none is
    /// under way.
    pub(super) fn look(&mut self, now: Instant) {
        self.take_events();
        if self.read.is_none_or(|(read, _)| now > read) {
            self.is_sweeping = true;
        }
        if self.is_sweeping {
            let Shared { shards, records, library, stuck, .. } = &*self.shared;
            if let Some(counted) = self.sweep.go_on(shards, &library.all(), records, now, STEPS) {
                *lock(stuck) = counted;
                self.is_sweeping = false;
            }
        }
        if self.read.is_none_or(|(read, _)| now > read) {
            self.tick(now);
        }
    }

    fn take_events(&mut self) {
        let Self { shared, logger, events, .. } = self;
        shared.shards.poll_events(events);
        if !events.is_empty() {
            let mut records = lock(&shared.records);
            events.iter().for_each(|event| records.happened(event));
        }
        for event in events.drain(..) {
            logger.tell(&event, &shared.shards);
        }
        events.shrink_to(USUAL_EVENTS);
        let dropped_lines = shared.dropped_lines.get().map_or(0, |count| count());
        logger.tell_dropped(shared.shards.totals().dropped_events, dropped_lines);
    }

    fn tick(&mut self, now: Instant) {
        let Self { shared, failures, meter, read, .. } = self;
        let (failures, at) = (failures(), StdInstant::now());
        let passed = read.map_or(Duration::ZERO, |(_, before)| at - before);
        let download_rate = lock(&shared.records).download_rate();
        let sample = meter.read(shared.shards.totals(), failures.total(), passed, download_rate);
        *read = Some((now, at));
        *lock(&shared.failures) = failures;
        lock(&shared.history).push(now, SystemTime::now(), sample);
        shared.tidy();
        shared.ticks.send_replace(now);
    }
}

impl Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("shared", &self.shared).finish_non_exhaustive()
    }
}
