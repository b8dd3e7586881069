//! The pace of a phase: when requests begin and when the phase ends.

use std::time::{Duration, Instant};

/// The rate and the limits of a phase.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Requests per second, begun on a fixed schedule whether or not earlier ones are answered. `None`: each begins as
    /// soon as fewer than the maximum are in flight.
    pub(crate) rate: Option<f64>,
    /// The time after which the phase begins no more requests.
    pub(crate) duration: Option<Duration>,
    /// The maximum number of announces.
    pub(crate) announces: Option<u64>,
}

/// What the schedule allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A request is due. Its latency counts from this time, at which it was scheduled.
    Now(Instant),
    /// The next request is due at this time.
    At(Instant),
    /// The phase is over.
    Over,
}

/// The schedule of a running phase.
#[derive(Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    start: Instant,
    begun: u64,
    announces: u64,
}

impl Schedule {
    pub(crate) fn start(pace: Pace, start: Instant) -> Self {
        Self { pace, start, begun: 0, announces: 0 }
    }

    /// Returns what the schedule allows at this time.
    pub(crate) fn due(&self, now: Instant) -> Due {
        let is_over = self.pace.duration.is_some_and(|duration| now.duration_since(self.start) >= duration)
            || self.pace.announces.is_some_and(|announces| self.announces >= announces);
        if is_over {
            return Due::Over;
        }
        let Some(rate) = self.pace.rate else { return Due::Now(now) };
        let at = self.start + Duration::from_secs_f64(self.begun as f64 / rate);
        if at <= now { Due::Now(at) } else { Due::At(at) }
    }

    /// Counts a request that has begun.
    pub(crate) fn begun(&mut self, is_announce: bool) {
        self.begun += 1;
        self.announces += u64::from(is_announce);
    }

    /// The progress of the phase, from 0 to 1; 0 if it has no limit.
    pub(crate) fn progress(&self, now: Instant) -> f64 {
        let by_time = self.pace.duration.map(|all| now.duration_since(self.start).as_secs_f64() / all.as_secs_f64());
        let by_count = self.pace.announces.map(|all| self.announces as f64 / all as f64);
        by_time.unwrap_or(0.0).max(by_count.unwrap_or(0.0)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_schedule_however_late_it_is() {
        let start = Instant::now();
        let mut schedule = Schedule::start(Pace { rate: Some(1000.0), ..Pace::default() }, start);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(schedule.due(start), Due::Now(start));
        schedule.begun(true);
        assert_eq!(schedule.due(start), Due::At(at(1)));
        assert_eq!(schedule.due(at(50)), Due::Now(at(1)));
        schedule.begun(false);
        assert_eq!(schedule.due(at(50)), Due::Now(at(2)));
    }

    #[test]
    fn a_closed_loop_begins_at_once_and_ends_by_time_or_count() {
        let start = Instant::now();
        let pace = Pace { rate: None, duration: Some(Duration::from_secs(2)), announces: Some(2) };
        let mut schedule = Schedule::start(pace, start);
        let later = start + Duration::from_secs(1);
        assert_eq!(schedule.due(later), Due::Now(later));
        assert_eq!(schedule.progress(later), 0.5);
        schedule.begun(false);
        schedule.begun(true);
        assert_eq!(schedule.due(later), Due::Now(later));
        assert_eq!(schedule.due(start + Duration::from_secs(2)), Due::Over);
        schedule.begun(true);
        assert_eq!(schedule.due(later), Due::Over);
    }
}
