//! Of how much a peer is told at a time.

/// Bytes that a peer is told of if it is slow. With less, many clients have nothing to request for a while.
const MIN_WINDOW: u64 = 256 * 1024;

/// Bytes that all peers together are told of before it is known how fast they are.
const START_WINDOW: u64 = 8 * 1024 * 1024;

/// Bytes that a peer is told of at a time, unless it is very fast.
const WINDOW: u64 = 1024 * 1024;

/// What a slow peer is told of, as the time in which it takes that. More would be out of reach of the others for long.
const MOST_AHEAD_SECONDS: u64 = 4;

/// What a fast peer is told of. Some clients request only twice in a second.
const LEAST_AHEAD_SECONDS: u64 = 1;

/// Pieces that a peer is told of, however long they are.
const MIN_PIECES: usize = 2;

/// Pieces that a peer is told of, however short they are.
const MAX_PIECES: usize = 1024;

/// Returns `true` if a peer may be told of so many bytes in all, of the last of which it is not told yet.
pub(super) fn has_room(window: u64, pieces_before: usize, bytes: u64) -> bool {
    pieces_before < MIN_PIECES || bytes <= window && pieces_before < MAX_PIECES
}

/// The bytes of pieces that a peer is told of and has not got yet, at most.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// As long as there are pieces that nobody has. It shrinks with them, so that all peers get the last of these at the same
    /// time.
    pub(super) first_copies: u64,
    /// For pieces that somebody has. Shared by all peers: they could also get these from each other.
    pub(super) later_copies: u64,
}

impl Window {
    /// The window of a peer that has not asked for anything yet: enough for the time until its first requests come.
    pub(super) const FIRST: Self = Self { first_copies: 128 * 1024, later_copies: 0 };

    /// The window of a peer that takes so many bytes per second (0 if that is not known) while nobody has so many bytes, and so
    /// many peers lack something, itself among them, and `sharers` of these are given something now.
    pub(super) fn new(rate: u64, pool: u64, takers: u64, sharers: u64) -> Self {
        let ahead = if rate > 0 { rate.saturating_mul(MOST_AHEAD_SECONDS) } else { START_WINDOW / takers };
        let window = ahead.clamp(MIN_WINDOW, WINDOW).max(rate.saturating_mul(LEAST_AHEAD_SECONDS));
        let later_copies = window / sharers;
        Self { first_copies: window.min(pool / takers).max(later_copies), later_copies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn the_window_follows_the_rate() {
        let window = |kib| Window::new(kib * KIB, u64::MAX, 4, 4).first_copies / KIB;
        assert_eq!([0, 1, 64, 100, 256, 1024, 2048].map(window), [1024, 256, 256, 400, 1024, 1024, 2048]);
        assert_eq!(Window::new(u64::MAX, u64::MAX, 1, 1), Window { first_copies: u64::MAX, later_copies: u64::MAX });
    }

    #[test]
    fn many_begin_with_less() {
        let window = |takers| Window::new(0, u64::MAX, takers, takers).first_copies / KIB;
        assert_eq!([1, 8, 16, 32, 200].map(window), [1024, 1024, 512, 256, 256]);
    }

    #[test]
    fn what_nobody_has_is_divided_and_what_somebody_has_is_shared() {
        let window = |pool: u64, takers| {
            let Window { first_copies, later_copies } = Window::new(512 * KIB, pool * KIB, takers, takers);
            (first_copies / KIB, later_copies / KIB)
        };
        assert_eq!(window(100_000, 10), (1024, 102));
        assert_eq!(window(5_000, 10), (500, 102));
        assert_eq!(window(0, 10), (102, 102));
        assert_eq!(window(0, 1), (1024, 1024));
    }
}
