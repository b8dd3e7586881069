//! The details kept of a peer besides its address and state.

use std::time::Duration;

use crate::interval::Lifetimes;
use crate::{AnnounceRequest, DetailImage, Instant, PeerDetail, PeerId, PeerKey, Reachability};

/// The details kept of a peer besides its entry: 50 bytes, since nothing in it is aligned.
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
    facts: Facts,
}

impl Detail {
    pub(crate) fn new(request: &AnnounceRequest, facts: Facts, now: Instant, interval: Duration) -> Self {
        Self {
            peer_id: request.peer_id,
            key: request.key,
            first_seen: now,
            last_seen: now,
            interval: u16::try_from(interval.as_secs()).unwrap_or(u16::MAX),
            uploaded: Bytes::new(request.uploaded),
            downloaded: Bytes::new(request.downloaded),
            left: Bytes::left(request.left),
            facts,
        }
    }

    /// What is known of a peer that was taken out of a tracker `age` ago, if it is not due.
    pub(crate) fn restored(
        image: &DetailImage,
        is_here: bool,
        age: Duration,
        now: Instant,
        lifetimes: &Lifetimes,
    ) -> Option<Self> {
        let silent_for = image.silent_for.saturating_add(age);
        let interval = image.interval.min(lifetimes.longest_interval());
        let mut detail = Self {
            peer_id: image.peer_id,
            key: image.key,
            first_seen: now.before(image.known_for.max(image.silent_for).saturating_add(age)),
            last_seen: now.before(silent_for),
            interval: u16::try_from(interval.as_secs()).unwrap_or(u16::MAX),
            uploaded: Bytes::new(image.uploaded),
            downloaded: Bytes::new(image.downloaded),
            left: Bytes::left(image.left),
            facts: Facts::default().with(Facts::CLAIMED, image.is_claimed).with(Facts::HERE, is_here),
        };
        detail.set_reachability(image.reachability);
        // By ages, which hold whatever the clock says.
        (silent_for < lifetimes.timeout(detail.interval())).then_some(detail)
    }

    /// What is to be known of the peer later.
    pub(crate) fn image(self, now: Instant) -> DetailImage {
        DetailImage {
            peer_id: self.peer_id,
            key: self.key,
            uploaded: self.uploaded.get(),
            downloaded: self.downloaded.get(),
            left: self.left(),
            known_for: now.since(self.first_seen),
            silent_for: now.since(self.last_seen),
            interval: self.interval(),
            reachability: self.reachability(),
            is_claimed: self.is_claimed(),
        }
    }

    /// Returns `true` if the peer is at an address that its client only claims to have.
    pub(crate) fn is_claimed(&self) -> bool {
        self.facts.has(Facts::CLAIMED)
    }

    /// Returns `true` if the peer is on the tracker's machine, or in a container on it.
    pub(crate) fn is_here(&self) -> bool {
        self.facts.has(Facts::HERE)
    }

    /// Notes that the peer is on the tracker's machine.
    pub(crate) fn set_here(&mut self) {
        self.facts = self.facts.with(Facts::HERE, true);
    }

    pub(crate) fn reachability(&self) -> Reachability {
        match self.facts {
            facts if facts.has(Facts::REACHABLE) => Reachability::Yes,
            facts if facts.has(Facts::INTRODUCED) => Reachability::Introduced,
            facts if facts.has(Facts::UNREACHABLE) => Reachability::No,
            _ => Reachability::Unknown,
        }
    }

    /// Carries over the reachability from the same peer at the same place.
    pub(crate) fn inherit_reachability(&mut self, earlier: &Self) {
        if !self.is_claimed() {
            self.facts.0 |= earlier.facts.0 & Facts::REACHABILITY;
        }
    }

    /// Sets the reachability, except of a peer at a claimed address: nobody connects to it to find out.
    pub(crate) fn set_reachability(&mut self, reachability: Reachability) {
        let fact = match reachability {
            _ if self.is_claimed() => 0,
            Reachability::Unknown => 0,
            Reachability::Yes => Facts::REACHABLE,
            Reachability::No => Facts::UNREACHABLE,
            Reachability::Introduced => Facts::INTRODUCED,
        };
        self.facts = Facts(self.facts.0 & !Facts::REACHABILITY | fact);
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
            left: self.left(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            interval: self.interval(),
            is_claimed: self.is_claimed(),
            is_here: self.is_here(),
            expires: self.expires(lifetimes),
        }
    }

    fn left(self) -> Option<u64> {
        Some(self.left).filter(|&left| left != Bytes::UNKNOWN).map(Bytes::get)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval))
    }
}

/// Facts about a peer, in the bits of one byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts(u8);

impl Facts {
    const REACHABLE: u8 = 1;
    const UNREACHABLE: u8 = 1 << 1;
    /// It is kept under an address that its client only claims to have.
    pub(crate) const CLAIMED: u8 = 1 << 2;
    /// It is on the tracker's machine, or in a container on it.
    pub(crate) const HERE: u8 = 1 << 3;
    const INTRODUCED: u8 = 1 << 4;
    /// At most one of these.
    const REACHABILITY: u8 = Self::REACHABLE | Self::UNREACHABLE | Self::INTRODUCED;

    /// These facts, and this one if `holds`, else without it.
    pub(crate) fn with(self, fact: u8, holds: bool) -> Self {
        Self(if holds { self.0 | fact } else { self.0 & !fact })
    }

    fn has(self, fact: u8) -> bool {
        self.0 & fact != 0
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

    /// The bytes that a client still wants. More than any torrent has are as good as not said.
    fn left(number: Option<u64>) -> Self {
        number.filter(|&left| i64::try_from(left).is_ok()).map_or(Self::UNKNOWN, Self::new)
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
    use crate::InfoHash;

    #[test]
    fn a_detail_is_50_bytes() {
        assert_eq!(size_of::<Detail>(), 50);
    }

    #[test]
    fn reachability_is_kept_except_of_a_claimed_address() {
        let request = AnnounceRequest::new(
            InfoHash::new([7; 20]),
            PeerId::new([1; 20]),
            [10, 0, 0, 2].into(),
            [10, 0, 0, 1].into(),
            6881,
        );
        for is_claimed in [false, true] {
            let facts = Facts::default().with(Facts::CLAIMED, is_claimed).with(Facts::HERE, true);
            let mut detail = Detail::new(&request, facts, Instant::ZERO, Duration::from_secs(60));
            assert_eq!((detail.reachability(), detail.is_claimed()), (Reachability::Unknown, is_claimed));
            for reachability in
                [Reachability::Yes, Reachability::No, Reachability::Introduced, Reachability::Unknown, Reachability::No]
            {
                detail.set_reachability(reachability);
                let kept = if is_claimed { Reachability::Unknown } else { reachability };
                assert_eq!((detail.reachability(), detail.is_claimed(), detail.is_here()), (kept, is_claimed, true));
            }
        }
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
