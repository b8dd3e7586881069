//! How fast a client takes what it is sent.

use std::time::Duration;

/// The time over which a client's pace is measured.
const WINDOW: Duration = Duration::from_secs(60);

/// Bytes that a client has to take in that time: 1 KiB per second.
const MIN_BYTES: u64 = 60 << 10;

/// How fast a client takes what it is sent. Only the time for which the client is waited for counts, not that of the upload limit
/// or of a disk. One below 1 KiB per second over a minute is too slow to keep its place when others need it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
    is_too_slow: bool,
}

impl Pace {
    pub(super) fn sent(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn waited(&mut self, time: Duration) {
        self.waited += time;
        if self.waited >= WINDOW {
            let in_window = u128::from(self.bytes) * WINDOW.as_millis() / self.waited.as_millis();
            *self = Self { is_too_slow: in_window < u128::from(MIN_BYTES), ..Self::default() };
        }
    }

    /// As of the last minute that is over.
    pub(super) fn is_too_slow(&self) -> bool {
        self.is_too_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_too_slow_below_a_kilobyte_per_second() {
        let second = Duration::from_secs(1);
        for (bytes_per_second, is_too_slow) in [(0, true), (1023, true), (1024, false), (1 << 30, false)] {
            let mut pace = Pace::default();
            for passed in 1..=120 {
                pace.sent(bytes_per_second);
                pace.waited(second);
                assert_eq!(pace.is_too_slow(), is_too_slow && passed >= 60, "{bytes_per_second} {passed}");
            }
        }
        // Taken in one go after a long wait, and slow only for a while.
        let mut pace = Pace::default();
        pace.waited(600 * second);
        assert!(pace.is_too_slow());
        pace.sent(256 << 10);
        pace.waited(59 * second);
        assert!(pace.is_too_slow());
        pace.waited(second);
        assert!(!pace.is_too_slow());
    }
}
