//! What all connections together may take: memory for bitfields, and bytes read in a second.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most bytes of bitfields and of messages of which only a part has come, of all peers together: those of 2,000 peers in
/// torrents of 268,000 pieces each.
///
/// An eighth of it is for the messages. When the rest is taken, of a bitfield only the number of pieces is kept.
pub const MAX_BITFIELD_BYTES: usize = 64 * 1024 * 1024;

/// The most bytes with which a bitfield is still kept.
const MAX_KEPT_BYTES: usize = MAX_BITFIELD_BYTES / 8 * 7;

/// Bytes that are read of a peer in a second. Nothing is requested of peers but the info dictionary, so that more is a flood, and
/// waits.
const MAX_READ_OF_ONE: usize = 1024 * 1024;

/// Bytes that are read of all peers together in a second, apart from [`SPARED`] of each. A core takes in about 18 MB of small
/// messages in a second, so that a flood costs an eighth of it.
const MAX_READ_OF_ALL: usize = 2 * 1024 * 1024;

/// Bytes of each peer that are read in a second whatever others send: handshakes, a bitfield of some thousand pieces, and a hundred
/// pieces that it gets.
const SPARED: usize = 2 * 1024;

/// The limits of all connections together. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLimits(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicUsize,
    read: Mutex<Second>,
}

impl SharedLimits {
    /// The bytes of bitfields and of parts of messages.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn read(&self) -> MutexGuard<'_, Second> {
        self.0.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of one connection within that of all. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    all: SharedLimits,
    bitfield: usize,
    message: usize,
}

impl MemoryShare {
    pub(crate) fn new(all: SharedLimits) -> Self {
        Self { all, bitfield: 0, message: 0 }
    }

    /// The bitfield takes so many bytes. Returns `false` if it has grown and is not to be kept.
    pub(crate) fn set_bitfield(&mut self, bytes: usize) -> bool {
        set(&self.all, &mut self.bitfield, bytes, MAX_KEPT_BYTES)
    }

    /// A message of which only a part has come takes so many bytes. Returns `false` if it has grown and is not to be kept.
    pub(crate) fn set_message(&mut self, bytes: usize) -> bool {
        set(&self.all, &mut self.message, bytes, MAX_BITFIELD_BYTES)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.all.0.bytes.fetch_sub(self.bitfield + self.message, Ordering::Relaxed);
    }
}

/// Changes one part of the sum. Returns `false` if it has grown and the sum is more than `limit`.
fn set(all: &SharedLimits, own: &mut usize, bytes: usize, limit: usize) -> bool {
    let sum = &all.0.bytes;
    let before = mem::replace(own, bytes);
    if bytes <= before {
        sum.fetch_sub(before - bytes, Ordering::Relaxed);
        return true;
    }
    sum.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before) <= limit
}

/// What one connection may read, of its own and within what all may.
#[derive(Debug)]
pub(crate) struct ReadQuota {
    all: SharedLimits,
    own: Second,
}

impl ReadQuota {
    pub(crate) fn new(all: SharedLimits) -> Self {
        Self { all, own: Second::default() }
    }

    /// The bytes that may be read now.
    pub(crate) fn remaining(&self, now: Instant) -> usize {
        let of_all = self.all.read().remaining(now, MAX_READ_OF_ALL);
        self.own.remaining(now, MAX_READ_OF_ONE).min(of_all.max(self.own.remaining(now, SPARED)))
    }

    /// When more may be read, if nothing may be now.
    pub(crate) fn exhausted_until(&self, now: Instant) -> Option<Instant> {
        if self.remaining(now) > 0 {
            return None;
        }
        // A new second of this one is enough, for what it is spared. So is one of all, unless it has read too much itself.
        let of_all = if self.own.remaining(now, MAX_READ_OF_ONE) > 0 { self.all.read().end } else { None };
        self.own.end.into_iter().chain(of_all).min()
    }

    /// So many bytes have been read.
    pub(crate) fn add(&mut self, now: Instant, bytes: usize) {
        self.own.add(now, bytes);
        self.all.read().add(now, bytes);
    }
}

/// What was read in the current second, which begins when something is read after the one before.
#[derive(Debug, Default)]
struct Second {
    end: Option<Instant>,
    bytes: usize,
}

impl Second {
    fn add(&mut self, now: Instant, bytes: usize) {
        if self.is_over(now) {
            *self = Self { end: Some(now + Duration::from_secs(1)), bytes: 0 };
        }
        self.bytes += bytes;
    }

    fn remaining(&self, now: Instant, limit: usize) -> usize {
        if self.is_over(now) { limit } else { limit.saturating_sub(self.bytes) }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_that_floods_waits_for_the_next_second() {
        let all = SharedLimits::default();
        let (mut one, other, start) = (ReadQuota::new(all.clone()), ReadQuota::new(all), Instant::now());
        one.add(start, MAX_READ_OF_ONE - 1);
        assert_eq!((one.remaining(start), one.exhausted_until(start)), (1, None));
        one.add(start + SECOND / 2, 1);
        let now = start + SECOND * 3 / 4;
        assert_eq!((one.remaining(now), one.exhausted_until(now)), (0, Some(start + SECOND)));
        assert_eq!(other.remaining(now), MAX_READ_OF_ONE, "there is more for others");
        let now = start + SECOND;
        assert_eq!((one.remaining(now), one.exhausted_until(now)), (MAX_READ_OF_ONE, None));
    }

    #[test]
    fn all_together_read_no_more_than_their_limit_and_what_is_spared() {
        const PEERS: usize = 500;
        let (all, start) = (SharedLimits::default(), Instant::now());
        let mut flooding: Vec<_> = (0..PEERS).map(|_| ReadQuota::new(all.clone())).collect();
        let mut honest = ReadQuota::new(all);
        honest.add(start, 100);
        let mut sum = 0;
        for round in 0..100 {
            let now = start + SECOND / 200 * round;
            for peer in &mut flooding {
                let bytes = peer.remaining(now).min(4096);
                peer.add(now, bytes);
                sum += bytes;
            }
        }
        assert!((MAX_READ_OF_ALL - 100..=MAX_READ_OF_ALL + PEERS * SPARED).contains(&sum), "{sum}");
        let now = start + SECOND / 2;
        assert!(flooding.iter().all(|peer| peer.exhausted_until(now) == Some(start + SECOND)));
        assert_eq!((honest.remaining(now), honest.exhausted_until(now)), (SPARED - 100, None));
        honest.add(now, SPARED - 100);
        assert_eq!(honest.exhausted_until(now), Some(start + SECOND));
        assert_eq!(flooding[0].remaining(start + SECOND), MAX_READ_OF_ONE);
    }

    #[test]
    fn what_is_spared_comes_with_the_second_of_the_connection_too() {
        let (all, start) = (SharedLimits::default(), Instant::now());
        let mut early = ReadQuota::new(all);
        // Its second begins before that in which all have read too much.
        early.add(start, SPARED);
        *early.all.read() = Second { end: Some(start + SECOND * 3 / 2), bytes: MAX_READ_OF_ALL };
        assert_eq!(early.exhausted_until(start), Some(start + SECOND));
        assert_eq!(early.remaining(start + SECOND), SPARED);
    }

    #[test]
    fn bitfields_leave_an_eighth_for_messages_in_progress() {
        let all = SharedLimits::default();
        let mut shares: Vec<_> = (0..4).map(|_| MemoryShare::new(all.clone())).collect();
        assert!(shares[0].set_bitfield(MAX_KEPT_BYTES));
        assert!(!shares[1].set_bitfield(1));
        assert!(shares[1].set_bitfield(0));
        assert!(shares[2].set_message(MAX_BITFIELD_BYTES - MAX_KEPT_BYTES));
        assert!(!shares[3].set_message(1));
        assert!(shares[0].set_bitfield(MAX_KEPT_BYTES - 1), "it has shrunk");
        assert_eq!(all.bytes(), MAX_BITFIELD_BYTES);
        shares.clear();
        assert_eq!(all.bytes(), 0);
    }
}
