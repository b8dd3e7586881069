//! When a peer should announce again, and how long it is kept.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::entry::Mark;
use crate::{Config, Instant};

/// The times that go into one answer, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) interval: Duration,
    pub(crate) min_interval: Duration,
}

impl Intervals {
    /// The times for a peer among `peers`, all of them in the tracker.
    pub(crate) fn draw(config: &Config, peers: usize, rng: &mut impl Rng) -> Self {
        let due = (peers as u64).div_ceil(u64::from(config.announce_budget));
        let base = due.clamp(config.interval_floor.as_secs(), config.interval_ceiling.as_secs());
        let jitter = base * u64::from(config.interval_jitter_percent) / 100;
        let interval = rng.random_range(base - jitter..=base + jitter);
        let min_interval = (interval / 2).max(config.min_interval_floor.as_secs()).min(interval);
        Self { interval: Duration::from_secs(interval), min_interval: Duration::from_secs(min_interval) }
    }
}

/// How long peers are kept, and how that is written into the twelve bits of a [`Mark`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// Silence after which a peer is dropped, at least; whole seconds.
    shortest: Duration,
    /// Seconds that a mark's number counts by. The longest lifetime is less than half of a mark's range, so that what is due
    /// and what is not can be told apart until twice that time has gone.
    tick: u32,
}

impl Lifetimes {
    pub(crate) fn new(config: &Config) -> Self {
        let shortest = Duration::from_secs(config.peer_timeout.as_secs());
        let ceiling = config.interval_ceiling.as_secs();
        let longest_interval = ceiling + ceiling * u64::from(config.interval_jitter_percent) / 100;
        let longest = timeout(shortest, Duration::from_secs(longest_interval));
        let tick = longest.as_secs().div_ceil((1 << (Mark::BITS - 1)) - 2);
        Self { shortest, tick: u32::try_from(tick).unwrap_or(u32::MAX) }
    }

    /// No peer is dropped sooner after its announce.
    pub(crate) fn shortest(&self) -> Duration {
        self.shortest
    }

    /// Silence after which a peer is dropped that was given this interval.
    pub(crate) fn timeout(&self, interval: Duration) -> Duration {
        timeout(self.shortest, interval)
    }

    /// The mark of a peer that is due then, or up to a tick later.
    pub(crate) fn mark(&self, due: Instant) -> Mark {
        Mark::new(due.as_secs().div_ceil(self.tick))
    }

    /// When a peer of this mark is due, if that is later than `now`.
    pub(crate) fn due_after(&self, now: Instant, mark: Mark) -> Option<Instant> {
        let now = now.as_secs() / self.tick;
        let ahead = Mark::new(mark.get().wrapping_sub(now)).get();
        let is_ahead = (1..1 << (Mark::BITS - 1)).contains(&ahead);
        is_ahead.then(|| Instant::from_secs(now.saturating_add(ahead).saturating_mul(self.tick)))
    }
}

/// Two intervals and a minute, so that one announce may be lost, but never less than `shortest`.
fn timeout(shortest: Duration, interval: Duration) -> Duration {
    shortest.max(2 * interval + Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn draw(config: &Config, peers: usize) -> Vec<Intervals> {
        let mut rng = StdRng::seed_from_u64(1);
        (0..1000).map(|_| Intervals::draw(config, peers, &mut rng)).collect()
    }

    #[test]
    fn interval_follows_the_budget_within_its_bounds() {
        let config = Config { interval_jitter_percent: 0, ..Config::default() };
        for (peers, interval, min_interval, timeout) in [
            (0, 60, 30, 1260),
            (30, 60, 30, 1260),
            (30_000, 60, 30, 1260),
            (100_000, 200, 100, 1260),
            (400_000, 800, 400, 1660),
            (10_000_000, 1800, 900, 3660),
        ] {
            let drawn = draw(&config, peers)[0];
            let secs = |duration: Duration| duration.as_secs();
            assert_eq!(
                (secs(drawn.interval), secs(drawn.min_interval), secs(Lifetimes::new(&config).timeout(drawn.interval))),
                (interval, min_interval, timeout),
                "{peers} peers"
            );
        }
    }

    #[test]
    fn jitter_spreads_over_ten_percent_either_way() {
        let drawn: Vec<u64> = draw(&Config::default(), 500_000).iter().map(|drawn| drawn.interval.as_secs()).collect();
        assert!(drawn.iter().all(|interval| (900..=1100).contains(interval)));
        assert!(drawn.iter().any(|&interval| interval < 920) && drawn.iter().any(|&interval| interval > 1080));
    }

    #[test]
    fn a_mark_tells_when_a_peer_is_due() {
        let tenth = Config {
            peer_timeout: Duration::from_secs(60),
            interval_ceiling: Duration::from_secs(60),
            ..Config::default()
        };
        for config in
            [Config::default(), tenth, Config { peer_timeout: Duration::from_secs(2_592_000), ..Config::default() }]
        {
            let lifetimes = Lifetimes::new(&config);
            let longest =
                lifetimes.timeout(Duration::from_secs(config.interval_ceiling.as_secs() * 11 / 10)).as_secs() as u32;
            for start in [0, 1, 1000, 4096, 1_000_003] {
                for lifetime in [1, 60, longest / 2, longest] {
                    let due = start + lifetime;
                    let mark = lifetimes.mark(Instant::from_secs(due));
                    let rounded = due.next_multiple_of(lifetimes.tick);
                    let after = |now| lifetimes.due_after(Instant::from_secs(now), mark).map(Instant::as_secs);
                    assert!(after(start).is_none_or(|due| due == rounded));
                    assert_eq!(after(due - 1), Some(rounded), "{due} by {}", lifetimes.tick);
                    assert_eq!(after(rounded), None);
                    assert_eq!(after(rounded + longest), None, "still known to be due");
                }
            }
        }
    }
}
