//! Announce intervals, and the lifetimes of peers.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::entry::DigestOrExpiry;
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

/// The lifetimes of peers, and their encoding in the twelve bits of a [`DigestOrExpiry`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// Silence after which a peer is dropped, at least; whole seconds.
    shortest: Duration,
    /// The longest interval; seconds.
    longest_interval: u32,
    /// Silence after which a peer is dropped, at most; seconds.
    longest: u32,
    /// Seconds that an expiry counts by. The longest lifetime is a quarter of its range, so that a peer is known to
    /// be due until it was for three times as long.
    tick: u32,
    /// Seconds that passed and are not counted in expiries; whole ticks.
    skipped: u32,
}

impl Lifetimes {
    /// Ticks that a peer may be due after now.
    const AHEAD: u32 = 1 << (DigestOrExpiry::BITS - 2);

    pub(crate) fn new(config: &Config) -> Self {
        let shortest = Duration::from_secs(config.peer_timeout.as_secs());
        let ceiling = config.interval_ceiling.as_secs();
        let longest_interval = ceiling + ceiling * u64::from(config.interval_jitter_percent) / 100;
        let longest = timeout(shortest, Duration::from_secs(longest_interval)).as_secs();
        let bounded = |secs| u32::try_from(secs).expect("Config::validate bounds intervals and timeouts");
        let (longest, longest_interval) = (bounded(longest), bounded(longest_interval));
        // Two less, since both ends are rounded.
        Self { shortest, longest_interval, longest, tick: longest.div_ceil(Self::AHEAD - 2), skipped: 0 }
    }

    /// Takes in that nothing happened in between. When that took so long that all peers are due, no matter how long they are,
    /// expiries need not count it.
    pub(crate) fn pass(&mut self, from: Instant, to: Instant) {
        let passed = to.as_secs().saturating_sub(from.as_secs());
        let needless = passed.saturating_sub(self.longest + self.tick);
        self.skipped += needless - needless % self.tick;
    }

    /// No peer is dropped sooner after its announce.
    pub(crate) fn shortest(&self) -> Duration {
        self.shortest
    }

    /// No peer is given a longer interval.
    pub(crate) fn longest_interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.longest_interval))
    }

    /// No peer is dropped later after its announce.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_secs(u64::from(self.longest))
    }

    /// Silence after which a peer is dropped that was given this interval.
    pub(crate) fn timeout(&self, interval: Duration) -> Duration {
        timeout(self.shortest, interval)
    }

    /// The expiry of a peer that is due then, or up to a tick later.
    pub(crate) fn expiry(&self, due: Instant) -> DigestOrExpiry {
        DigestOrExpiry::new((due.as_secs() - self.skipped).div_ceil(self.tick))
    }

    /// The time at which a peer with this expiry is due, if that is later than `now`.
    pub(crate) fn due_after(&self, now: Instant, expiry: DigestOrExpiry) -> Option<Instant> {
        let now = (now.as_secs() - self.skipped) / self.tick;
        let ahead = DigestOrExpiry::new(expiry.get().wrapping_sub(now)).get();
        let due = now.saturating_add(ahead).saturating_mul(self.tick).saturating_add(self.skipped);
        (1..=Self::AHEAD).contains(&ahead).then(|| Instant::from_secs(due))
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
    fn an_expiry_tells_when_a_peer_is_due() {
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
                    let expiry = lifetimes.expiry(Instant::from_secs(due));
                    let rounded = due.next_multiple_of(lifetimes.tick);
                    let after = |now| lifetimes.due_after(Instant::from_secs(now), expiry).map(Instant::as_secs);
                    assert!(after(start).is_none_or(|due| due == rounded));
                    assert_eq!(after(due - 1), Some(rounded), "{due} by {}", lifetimes.tick);
                    assert_eq!(after(rounded), None);
                    assert_eq!(after(rounded + 2 * longest), None, "still known to be due");
                }
            }
        }
    }

    #[test]
    fn what_is_due_stays_so_however_long_nothing_happens() {
        let mut lifetimes = Lifetimes::new(&Config::default());
        let mut now = Instant::from_secs(17);
        for passed in [1, 3720, 3721, 5000, 100_000, 1_000_000_000] {
            let due = now + Duration::from_secs(3720);
            let expiry = lifetimes.expiry(due);
            assert!(
                lifetimes
                    .due_after(now, expiry)
                    .is_some_and(|told| told >= due && told <= due + Duration::from_secs(4))
            );
            let later = now + Duration::from_secs(passed);
            lifetimes.pass(now, later);
            let told = lifetimes.due_after(later, expiry);
            assert_eq!(told.is_none(), passed >= 3724, "{passed} s later it is due at {told:?}");
            now = later;
        }
    }
}
