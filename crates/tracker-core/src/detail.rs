//! The details kept of a peer besides its address and state.

use std::time::Duration;

use crate::interval::Lifetimes;
use crate::{AnnounceRequest, Instant, PeerDetail, PeerId, PeerKey};

/// The details kept of a peer besides its entry: 49 bytes, since nothing in it is aligned.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed)]
pub(crate) struct Detail {
    pub(crate) peer_id: PeerId,
    pub(crate) key: PeerKey,
    pub(crate) first_seen: Instant,
    pub(crate) last_seen: Instant,
    /// Seconds; `Config::validate` bounds it.
    interval: u16,
    uploaded: Bytes,
    downloaded: Bytes,
    /// [`Bytes::UNKNOWN`] where the client does not say.
    left: Bytes,
}

impl Detail {
    pub(crate) fn new(request: &AnnounceRequest, now: Instant, interval: Duration) -> Self {
        Self {
            peer_id: request.peer_id,
            key: request.key,
            first_seen: now,
            last_seen: now,
            interval: u16::try_from(interval.as_secs()).unwrap_or(u16::MAX),
            uploaded: Bytes::new(request.uploaded),
            downloaded: Bytes::new(request.downloaded),
            left: request.left.filter(|&left| i64::try_from(left).is_ok()).map_or(Bytes::UNKNOWN, Bytes::new),
        }
    }

    pub(crate) fn is_client(&self, peer_id: PeerId, key: PeerKey) -> bool {
        self.peer_id == peer_id && self.has_key(key)
    }

    pub(crate) fn has_key(&self, key: PeerKey) -> bool {
        let own = self.key;
        own == key
    }

    pub(crate) fn expires(&self, lifetimes: &Lifetimes) -> Instant {
        self.last_seen + lifetimes.timeout(self.interval())
    }

    pub(crate) fn to_public(self, lifetimes: &Lifetimes) -> PeerDetail {
        PeerDetail {
            peer_id: self.peer_id,
            key: self.key,
            uploaded: self.uploaded.get(),
            downloaded: self.downloaded.get(),
            left: Some(self.left).filter(|&left| left != Bytes::UNKNOWN).map(Bytes::get),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            interval: self.interval(),
            expires: self.expires(lifetimes),
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval))
    }
}

/// A number of bytes in five: exact below 2^39, then in units of 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes([u8; 5]);

impl Bytes {
    /// A value that the client did not send.
    const UNKNOWN: Self = Self([u8::MAX; 5]);
    /// The highest of 40 bits says that the others count units.
    const IN_UNITS: u64 = 1 << 39;
    const UNIT: u64 = 4096;

    fn new(number: u64) -> Self {
        let number = number.min(PeerDetail::MAX_BYTES);
        let bits = if number < Self::IN_UNITS { number } else { Self::IN_UNITS | (number / Self::UNIT) };
        let [low @ .., _, _, _] = bits.to_le_bytes();
        Self(low)
    }

    fn get(self) -> u64 {
        let [a, b, c, d, e] = self.0;
        let bits = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
        if bits < Self::IN_UNITS { bits } else { (bits & !Self::IN_UNITS) * Self::UNIT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_49_bytes() {
        assert_eq!(size_of::<Detail>(), 49);
    }

    #[test]
    fn numbers_are_kept_as_the_documentation_says() {
        const LIMIT: u64 = 1 << 39;
        for (number, kept) in [
            (0, 0),
            (LIMIT - 1, LIMIT - 1),
            (LIMIT, LIMIT),
            (LIMIT + 4095, LIMIT),
            (LIMIT + 4096, LIMIT + 4096),
            (PeerDetail::MAX_BYTES, PeerDetail::MAX_BYTES),
            (u64::MAX, PeerDetail::MAX_BYTES),
        ] {
            assert_eq!(Bytes::new(number).get(), kept);
            assert_ne!(Bytes::new(number), Bytes::UNKNOWN);
        }
    }
}
