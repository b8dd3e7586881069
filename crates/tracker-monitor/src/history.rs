//! The history of the tracker over the last two days.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracker_core::Instant;
use tracker_host::{WallClock, unix_seconds};

use crate::saved::{SavedHistory, Times};

/// The tracker at one moment: its counts then, and its rates in the time before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Swarms with or without peers.
    pub torrents: f64,
    /// Seeders.
    pub seeders: f64,
    /// Leechers, partial seeds included.
    pub leechers: f64,
    /// Announces per second.
    pub announces: f64,
    /// Scrapes per second.
    pub scrapes: f64,
    /// Requests per second that were refused or could not be read.
    pub errors: f64,
    /// Downloads completed per minute.
    pub completed: f64,
    /// Bytes per second that the peers say they download.
    pub download_rate: f64,
}

/// The length and resolution of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Span {
    /// Ten minutes, by the second.
    #[default]
    #[serde(rename = "10m")]
    TenMinutes,
    /// Two hours, by ten seconds.
    #[serde(rename = "2h")]
    TwoHours,
    /// Two days, by the minute.
    #[serde(rename = "2d")]
    TwoDays,
}

/// A history, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Seconds between samples.
    pub step_secs: u32,
    /// The samples and their times. A sample of more than a second is an average, and has the time of its end. The last one may
    /// be incomplete. Samples are missing where nothing was recorded, for example because the machine slept. When the clock is
    /// set back, samples of the repeated time are dropped.
    pub samples: Vec<(SystemTime, Sample)>,
}

/// Samples at three resolutions. It takes about 370 KB when it is full.
#[derive(Debug)]
pub(crate) struct History {
    last: Option<(Instant, Sample)>,
    /// The rates of the last seconds, the oldest first, each with its time.
    recent: VecDeque<(Instant, Sample)>,
    wall: Option<WallClock>,
    rings: [Ring; 3],
}

/// A sample this late still covers the gap since the last one; a later one leaves a hole.
const LATE: u32 = 10;

/// The span over which current rates are averaged: short enough to follow what happens.
const RECENT: Duration = Duration::from_secs(10);

impl Sample {
    fn combine(self, other: Self, each: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            torrents: each(self.torrents, other.torrents),
            seeders: each(self.seeders, other.seeders),
            leechers: each(self.leechers, other.leechers),
            announces: each(self.announces, other.announces),
            scrapes: each(self.scrapes, other.scrapes),
            errors: each(self.errors, other.errors),
            completed: each(self.completed, other.completed),
            download_rate: each(self.download_rate, other.download_rate),
        }
    }
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::TenMinutes, Self::TwoHours, Self::TwoDays];

    /// The length of the history.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::TenMinutes => 10 * 60,
            Self::TwoHours => 2 * 60 * 60,
            Self::TwoDays => 2 * 24 * 60 * 60,
        })
    }

    /// Seconds between samples.
    pub const fn step_secs(self) -> u32 {
        match self {
            Self::TenMinutes => 1,
            Self::TwoHours => 10,
            Self::TwoDays => 60,
        }
    }
}

impl History {
    pub(crate) fn new() -> Self {
        Self { last: None, recent: VecDeque::new(), wall: None, rings: Span::ALL.map(Ring::new) }
    }

    /// A history that goes on with what was saved at this time, in Unix seconds. The time between is a gap. If the clock shows an earlier
    /// time now, no time has passed since.
    pub(crate) fn restored(history: &SavedHistory, times: Times, saved: u64, wall: SystemTime) -> Self {
        let behind = Duration::from_secs(saved.saturating_sub(unix_seconds(wall)));
        let (saved, mut history) = (history, Self::new());
        for ring in &mut history.rings {
            let complete = |(at, sample)| {
                let at = at - behind;
                Complete { until: times.instant(unix_seconds(at)), at, sample }
            };
            ring.complete = saved.samples(ring.span, wall + behind).into_iter().map(complete).collect();
        }
        history
    }

    /// The samples, to be saved. Takes less than a millisecond.
    pub(crate) fn save(&self) -> SavedHistory {
        SavedHistory::new(|span| self.series(span))
    }

    /// Takes a sample in, of now and of this time of day: one a second, if all goes well. One that is not later than the last
    /// is left out.
    pub(crate) fn push(&mut self, now: Instant, wall: SystemTime, sample: Sample) {
        let first = match self.last {
            Some((last, _)) if now <= last => return,
            Some((last, _)) if now.as_secs() - last.as_secs() <= LATE => last.as_secs() + 1,
            _ => now.as_secs(),
        };
        let zero = self.wall.get_or_insert_with(|| WallClock::new(now, wall)).zero(now, wall);
        for second in first..=now.as_secs() {
            self.rings.iter_mut().for_each(|ring| ring.push(second, zero, sample));
        }
        self.last = Some((now, sample));
        self.recent.push_back((now, sample));
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) >= RECENT) {
            self.recent.pop_front();
        }
    }

    /// The last sample.
    #[cfg(test)]
    pub(crate) fn last(&self) -> Sample {
        self.last.map(|(_, sample)| sample).unwrap_or_default()
    }

    /// The last sample, with rates that are averages of the last ten seconds. Clients announce in bursts: by the second, the
    /// rates of few of them would be zero most of the time.
    pub(crate) fn recent(&self) -> Sample {
        let Some((_, last)) = self.last else { return Sample::default() };
        let sum = self.recent.iter().fold(Sample::default(), |sum, (_, sample)| sum.combine(*sample, |a, b| a + b));
        let average = sum.combine(sum, |sum, _| sum / self.recent.len().max(1) as f64);
        Sample {
            announces: average.announces,
            scrapes: average.scrapes,
            errors: average.errors,
            completed: average.completed,
            ..last
        }
    }

    pub(crate) fn series(&self, span: Span) -> Series {
        let [by_second, by_ten, by_minute] = &self.rings;
        let ring = match span {
            Span::TenMinutes => by_second,
            Span::TwoHours => by_ten,
            Span::TwoDays => by_minute,
        };
        Series { step_secs: span.step_secs(), samples: ring.samples().collect() }
    }
}

/// Samples at one resolution.
#[derive(Debug)]
struct Ring {
    span: Span,
    complete: VecDeque<Complete>,
    current: Option<Average>,
}

/// A sample that is done.
#[derive(Debug, Clone, Copy)]
struct Complete {
    until: Instant,
    /// The time of day at its end.
    at: SystemTime,
    sample: Sample,
}

/// The average of the samples of some seconds.
#[derive(Debug)]
struct Average {
    /// The number of the step that the seconds belong to.
    step: u32,
    until: Instant,
    at: SystemTime,
    sum: Sample,
    count: u32,
}

impl Ring {
    fn new(span: Span) -> Self {
        Self { span, complete: VecDeque::new(), current: None }
    }

    /// Takes in the sample of the second that ends there. Seconds must come in order.
    fn push(&mut self, second: u32, zero: SystemTime, sample: Sample) {
        let at = zero + Duration::from_secs(second.into());
        let (until, step) = (Instant::from_secs(second), second.div_ceil(self.span.step_secs()));
        if let Some(current) = self.current.as_mut().filter(|current| current.step == step) {
            current.sum = current.sum.combine(sample, |sum, value| sum + value);
            current.count += 1;
            (current.until, current.at) = (until, at);
        } else {
            let complete = self.current.replace(Average { step, until, at, sum: sample, count: 1 });
            self.complete.extend(complete.map(|average| average.complete()));
        }
        while self.complete.front().is_some_and(|oldest| until.since(oldest.until) >= self.span.duration()) {
            self.complete.pop_front();
        }
        // The clock was set back.
        while self.complete.back().is_some_and(|last| last.at >= at) {
            self.complete.pop_back();
        }
    }

    fn samples(&self) -> impl Iterator<Item = (SystemTime, Sample)> {
        let all = self.complete.iter().copied().chain(self.current.as_ref().map(Average::complete));
        all.map(|Complete { at, sample, .. }| (at, sample))
    }
}

impl Average {
    fn complete(&self) -> Complete {
        let count = f64::from(self.count);
        let sample = self.sum.combine(self.sum, |sum, _| sum / count);
        Complete { until: self.until, at: self.at, sample }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u32) -> Sample {
        let number = f64::from(number);
        Sample { seeders: number, announces: 2.0 * number, ..Sample::default() }
    }

    fn history(seconds: impl IntoIterator<Item = u32>) -> History {
        let mut history = History::new();
        seconds.into_iter().for_each(|second| history.push(Instant::from_secs(second), wall(second), sample(second)));
        history
    }

    fn wall(second: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second.into())
    }

    /// The end and the number of seeders of each sample.
    fn seeders(history: &History, span: Span) -> Vec<(u32, f64)> {
        let series = history.series(span);
        assert_eq!(series.step_secs, span.step_secs());
        let second = |at: &SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
        series.samples.iter().map(|(at, sample)| (second(at), sample.seeders)).collect()
    }

    #[test]
    fn nothing_happened_before_the_start() {
        let history = History::new();
        assert_eq!(history.last(), Sample::default());
        Span::ALL.iter().for_each(|&span| assert_eq!(seeders(&history, span), []));
    }

    #[test]
    fn coarser_ones_are_averages_and_the_last_is_of_what_is_there() {
        let history = history(1..=125);
        assert_eq!(history.last(), sample(125));
        let by_second = seeders(&history, Span::TenMinutes);
        assert!(by_second.iter().copied().eq((1..=125).map(|second| (second, f64::from(second)))));
        let by_ten = seeders(&history, Span::TwoHours);
        assert_eq!((by_ten.len(), by_ten[0], by_ten[11], by_ten[12]), (13, (10, 5.5), (120, 115.5), (125, 123.0)));
        assert_eq!(seeders(&history, Span::TwoDays), [(60, 30.5), (120, 90.5), (125, 123.0)]);
        let (_, sample) = history.series(Span::TwoDays).samples[0];
        assert_eq!((sample.announces, sample.leechers), (61.0, 0.0));
    }

    #[test]
    fn each_goes_back_as_far_as_it_should() {
        const DAY: u32 = 24 * 60 * 60;
        let history = history(1..=3 * DAY);
        for (span, first, len) in [
            (Span::TenMinutes, 3 * DAY - 599, 600),
            (Span::TwoHours, 3 * DAY - 7190, 720),
            (Span::TwoDays, DAY + 60, 2880),
        ] {
            let samples = seeders(&history, span);
            assert_eq!((samples.len(), samples[0].0, samples[len - 1].0), (len, first, 3 * DAY), "{span:?}");
            assert!(samples.iter().zip(&samples[1..]).all(|(a, b)| b.0 - a.0 == span.step_secs()));
        }
    }

    #[test]
    fn a_late_look_stands_for_the_time_since_the_one_before() {
        let history = history([1, 2, 5, 6]);
        assert_eq!(seeders(&history, Span::TenMinutes), [(1, 1.0), (2, 2.0), (3, 5.0), (4, 5.0), (5, 5.0), (6, 6.0)]);
        assert_eq!(seeders(&history, Span::TwoHours), [(6, 4.0)]);
    }

    #[test]
    fn a_long_time_without_a_look_is_a_gap() {
        let history = history([1, 2, 100, 101, 5000]);
        let samples = [(1, 1.0), (2, 2.0), (100, 100.0), (101, 101.0), (5000, 5000.0)];
        assert_eq!(seeders(&history, Span::TenMinutes), samples[4..]);
        assert_eq!(seeders(&history, Span::TwoHours), [(2, 1.5), (100, 100.0), (101, 101.0), (5000, 5000.0)]);
        assert_eq!(seeders(&history, Span::TwoDays), [(2, 1.5), (101, 100.5), (5000, 5000.0)]);
    }

    #[test]
    fn time_that_stands_still_or_goes_back_changes_nothing() {
        let history = history([0, 0, 5, 5, 3, 5, 6]);
        assert_eq!(history.last(), sample(6));
        let samples = seeders(&history, Span::TenMinutes);
        assert!(samples.iter().map(|(at, _)| *at).eq(0..=6), "{samples:?}");
    }

    #[test]
    fn samples_are_of_the_time_of_day() {
        let mut history = history(1..=3);
        let mut push = |now, at| history.push(Instant::from_secs(now), wall(at), sample(now));
        // An hour of sleep, which the tracker's clock does not know of.
        push(4, 3604);
        push(5, 3605);
        // Somebody sets the clock back.
        push(6, 3);
        push(7, 4);
        assert_eq!(seeders(&history, Span::TenMinutes), [(1, 1.0), (2, 2.0), (3, 6.0), (4, 7.0)]);
        assert_eq!(seeders(&history, Span::TwoDays), [(4, 4.0)]);

        let mut history = self::history(1..=3);
        history.push(Instant::from_secs(4), wall(3604), sample(4));
        assert_eq!(seeders(&history, Span::TenMinutes), [(1, 1.0), (2, 2.0), (3, 3.0), (3604, 4.0)]);
    }

    /// A history that goes on with this one in another run of the program, whose clock shows something else.
    fn restored(history: &History, wall: SystemTime) -> History {
        let json = serde_json::to_vec(&history.save()).unwrap();
        let times = Times::new(wall, Duration::from_secs(9_000_000));
        History::restored(&serde_json::from_slice(&json).unwrap(), times, 0, wall)
    }

    #[test]
    fn it_goes_on_after_a_restart_with_a_gap() {
        let before = history(1_000_000..=1_000_125);
        let mut after = restored(&before, wall(1_000_190));
        for span in Span::ALL {
            assert_eq!(after.series(span), before.series(span));
        }
        assert_eq!(after.recent(), Sample::default());
        after.push(Instant::from_secs(9_000_000), wall(1_000_190), sample(7));
        after.push(Instant::from_secs(9_000_001), wall(1_000_191), sample(7));
        let by_second = seeders(&after, Span::TenMinutes);
        assert_eq!(
            by_second[124..],
            [(1_000_124, 1_000_124.0), (1_000_125, 1_000_125.0), (1_000_190, 7.0), (1_000_191, 7.0)]
        );
        assert_eq!(seeders(&after, Span::TwoDays).last(), Some(&(1_000_191, 7.0)));
        // What is too old goes, as if nothing had been.
        after.push(Instant::from_secs(9_000_540), wall(1_000_730), sample(7));
        assert_eq!(seeders(&after, Span::TenMinutes)[0].0, 1_000_190);
    }

    #[test]
    fn what_cannot_be_is_left_out_after_a_restart() {
        let mut before = history(1_000_000..=1_000_005);
        before.push(Instant::from_secs(1_000_006), wall(1_000_006), Sample { seeders: f64::NAN, ..Sample::default() });
        before.push(Instant::from_secs(1_000_007), wall(1_000_007), Sample { leechers: -1.0, ..Sample::default() });
        before.push(Instant::from_secs(1_000_008), wall(1_000_008), Sample { errors: 1e300, ..Sample::default() });
        before.push(Instant::from_secs(1_000_009), wall(1_000_009), sample(9));
        let times = |history: &History| seeders(history, Span::TenMinutes).into_iter().map(|(at, _)| at % 100);
        assert!(times(&restored(&before, wall(1_000_020))).eq([0, 1, 2, 3, 4, 5, 9]));
        // The clock was set back.
        assert!(times(&restored(&before, wall(1_000_003))).eq(0..=3));
        // The tracker was off for a day.
        let late = restored(&history(1_000_000..=1_000_005), wall(1_000_000 + 86_400));
        assert_eq!((times(&late).count(), seeders(&late, Span::TwoDays).len()), (0, 1));

        let json = r#"{"10m":{"times":[1000,900,1000,1001,18446744073709551615,1002],"seeders":[1,2,3,null,5]}}"#;
        let saved = serde_json::from_str(json).unwrap();
        let restored = History::restored(&saved, Times::new(wall(1010), Duration::from_secs(7)), 0, wall(1010));
        assert_eq!(seeders(&restored, Span::TenMinutes), [(1000, 1.0), (1002, 0.0)]);
    }

    proptest::proptest! {
        /// Whatever was recorded is the same after a restart, and what follows is later.
        #[test]
        fn nothing_is_lost_at_a_restart(
            steps in proptest::collection::vec((1..200_u32, 0.0..1e12_f64), 1..400),
            off in 0..100_000_u32,
        ) {
            let (mut before, mut now) = (History::new(), 1_000_000);
            for (secs, value) in steps {
                now += secs;
                let sample = Sample { seeders: value.floor(), download_rate: value, ..Sample::default() };
                before.push(Instant::from_secs(now), wall(now), sample);
            }
            let mut after = restored(&before, wall(now + off));
            for span in Span::ALL {
                let all = before.series(span).samples;
                let oldest = wall(now + off) - span.duration();
                let kept: Vec<_> = all.into_iter().filter(|(at, _)| *at > oldest).collect();
                let found = after.series(span).samples;
                proptest::prop_assert_eq!(found.len(), kept.len());
                for ((at, sample), (at_before, sample_before)) in found.iter().zip(&kept) {
                    proptest::prop_assert_eq!(at, at_before);
                    proptest::prop_assert!((sample.seeders - sample_before.seeders).abs() <= 0.001);
                    proptest::prop_assert!((sample.download_rate - sample_before.download_rate).abs() <= 0.001);
                }
            }
            after.push(Instant::from_secs(9_000_001), wall(now + off + 1), sample(1));
            for span in Span::ALL {
                let samples = after.series(span).samples;
                proptest::prop_assert!(samples.is_sorted_by(|(one, _), (other, _)| one < other));
                proptest::prop_assert_eq!(samples.last().map(|(at, _)| *at), Some(wall(now + off + 1)));
            }
        }
    }

    #[test]
    fn the_end_of_time_is_reached() {
        let history = history([u32::MAX - 1, u32::MAX]);
        assert_eq!(seeders(&history, Span::TwoDays), [(u32::MAX, f64::from(u32::MAX) - 0.5)]);
    }
}
