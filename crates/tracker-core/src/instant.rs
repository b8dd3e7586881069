//! The tracker's own time.

use std::ops::Add;
use std::time::Duration;

/// A moment, in whole seconds since a start that the embedder chooses (usually that of the program).
///
/// The core never reads a clock: every call that needs the time takes it. In a test any moment can be made up.
/// A `u32` of seconds is 136 years, and four bytes per peer.
///
/// ```
/// use std::time::Duration;
/// use tracker_core::Instant;
///
/// let later = Instant::ZERO + Duration::from_secs(90);
/// assert_eq!(later.as_secs(), 90);
/// assert_eq!(later.since(Instant::ZERO), Duration::from_secs(90));
/// assert_eq!(Instant::ZERO.since(later), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u32);

impl Instant {
    /// The start.
    pub const ZERO: Self = Self(0);

    /// The moment this many seconds after the start.
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs)
    }

    /// Seconds since the start.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// The moment this long before; the start, if that is later.
    pub const fn before(self, duration: Duration) -> Self {
        let secs = duration.as_secs();
        Self(if secs < self.0 as u64 { self.0 - secs as u32 } else { 0 })
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0) as u64)
    }
}

/// Saturating: the end of time plus a second is the end of time. A fraction of a second counts as a whole one, so that
/// nothing is due too early.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let secs = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
        Self(self.0.saturating_add(u32::try_from(secs).unwrap_or(u32::MAX)))
    }
}
