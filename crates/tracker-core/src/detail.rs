//! What is kept of a peer beside its place and state.

use std::time::Duration;

use crate::interval::Lifetimes;
use crate::{AnnounceRequest, Instant, PeerDetail, PeerId, PeerKey};

/// What is kept of a peer beside its entry: 52 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detail {
    pub(crate) peer_id: PeerId,
    pub(crate) key: PeerKey,
    pub(crate) first_seen: Instant,
    pub(crate) last_seen: Instant,
    /// Seconds; `Config::validate` bounds it.
    interval: u16,
    uploaded: U48,
    downloaded: U48,
    /// The largest number where the client does not say.
    left: U48,
}

impl Detail {
    pub(crate) fn new(request: &AnnounceRequest, now: Instant, interval: Duration) -> Self {
        Self {
            peer_id: request.peer_id,
            key: request.key,
            first_seen: now,
            last_seen: now,
            interval: u16::try_from(interval.as_secs()).unwrap_or(u16::MAX),
            uploaded: U48::saturating(request.uploaded),
            downloaded: U48::saturating(request.downloaded),
            left: request.left.map_or(U48::MAX, U48::saturating),
        }
    }

    pub(crate) fn is_client(&self, peer_id: PeerId, key: PeerKey) -> bool {
        self.peer_id == peer_id && self.key == key
    }

    pub(crate) fn expires(&self, lifetimes: &Lifetimes) -> Instant {
        self.last_seen + lifetimes.timeout(self.interval())
    }

    pub(crate) fn told(&self, lifetimes: &Lifetimes) -> PeerDetail {
        PeerDetail {
            peer_id: self.peer_id,
            key: self.key,
            uploaded: self.uploaded.get(),
            downloaded: self.downloaded.get(),
            left: (self.left != U48::MAX).then(|| self.left.get()),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            interval: self.interval(),
            expires: self.expires(lifetimes),
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.into())
    }
}

/// A number of bytes in six bytes: below 2^48 - 1, of which it stops short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct U48([u8; 6]);

impl U48 {
    /// No number that is counted.
    const MAX: Self = Self([u8::MAX; 6]);

    fn saturating(number: u64) -> Self {
        let [low @ .., _, _] = number.min(PeerDetail::MAX_BYTES).to_le_bytes();
        Self(low)
    }

    fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_52_bytes() {
        assert_eq!(size_of::<Detail>(), 52);
    }

    #[test]
    fn numbers_are_kept_up_to_their_limit() {
        for (number, kept) in [(0, 0), (1 << 40, 1 << 40), ((1 << 48) - 2, (1 << 48) - 2), (u64::MAX, (1 << 48) - 2)] {
            assert_eq!(U48::saturating(number).get(), kept);
        }
    }
}
