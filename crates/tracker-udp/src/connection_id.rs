//! Connection ids, without anything kept per client.

use std::net::IpAddr;

use rand::{Rng, RngExt};
use siphasher::sip::SipHasher24;
use tracker_core::Instant;

/// The lifetime of an id, in seconds. A client may use it for 60 s ([BEP 15]), and the answer that brought it may have
/// been late.
///
/// [BEP 15]: https://www.bittorrent.org/beps/bep_0015.html
pub(crate) const LIFETIME: u32 = 120;

/// Gives out connection ids, and knows them again.
///
/// An id has the second it was made in, as far as 8 bits hold it, and 56 bits of a hash of that second and the client's
/// address, under a key that is drawn at the start. Anybody who does not receive what we send to an address can only guess, and
/// finds one in 2^56; a hash made for such keys and for short inputs, SipHash-2-4, is all that this takes: an id is worth a
/// request in somebody's name for two minutes, and nothing else hangs on it. The comparison takes the same time for all ids.
///
/// The port is no part of it: an answer goes to the address, whatever the port, so that it would prove nothing more, and
/// clients behind some routers come from another port each time.
#[derive(Clone)]
pub(crate) struct ConnectionIds {
    hasher: SipHasher24,
}

impl ConnectionIds {
    pub(crate) fn new(rng: &mut impl Rng) -> Self {
        Self { hasher: SipHasher24::new_with_key(&rng.random()) }
    }

    /// The id of a client at this address, from now on.
    pub(crate) fn make(&self, now: Instant, ip: IpAddr) -> u64 {
        self.at(now.as_secs(), ip)
    }

    /// Returns `true` if this id was made for this address, at most [`LIFETIME`] ago.
    pub(crate) fn is_valid(&self, id: u64, now: Instant, ip: IpAddr) -> bool {
        let now = now.as_secs();
        let [made, ..] = id.to_be_bytes();
        let [.., low] = now.to_be_bytes();
        let age = u32::from(low.wrapping_sub(made));
        // Clocks of threads may be a second apart: an id of the future is no more than one that is 255 seconds old.
        age <= LIFETIME && self.at(now.wrapping_sub(age), ip) == id
    }

    fn at(&self, second: u32, ip: IpAddr) -> u64 {
        let mut input = [0; 20];
        let length = match ip {
            IpAddr::V4(ip) => {
                input[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                input[4..].copy_from_slice(&ip.octets());
                20
            }
        };
        input[..4].copy_from_slice(&second.to_be_bytes());
        let [.., low] = second.to_be_bytes();
        let mut id = self.hasher.hash(&input[..length]).to_be_bytes();
        id[0] = low;
        u64::from_be_bytes(id)
    }
}

/// The key stays out of logs.
impl std::fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionIds").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    fn ids(seed: u64) -> ConnectionIds {
        ConnectionIds::new(&mut SmallRng::seed_from_u64(seed))
    }

    const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "0.0.0.0", "::", "fd77::1"];

    #[test]
    fn an_id_is_honoured_for_two_minutes() {
        let ids = ids(1);
        for ip in ADDRESSES.map(|ip| ip.parse().unwrap()) {
            for made in [0, 1, 100, 255, 256, 1000, u32::MAX - 120] {
                let id = ids.make(Instant::from_secs(made), ip);
                for age in 0..=LIFETIME {
                    assert!(ids.is_valid(id, Instant::from_secs(made + age), ip), "{made} {age}");
                }
                for age in (LIFETIME + 1)..2000 {
                    let Some(now) = made.checked_add(age) else { break };
                    assert!(!ids.is_valid(id, Instant::from_secs(now), ip), "{made} {age}");
                }
            }
        }
    }

    #[test]
    fn an_id_is_for_one_address_and_one_key() {
        let (ids, others) = (ids(1), ids(2));
        let now = Instant::from_secs(1000);
        for (at, ip) in ADDRESSES.map(|ip| ip.parse().unwrap()).into_iter().enumerate() {
            let id = ids.make(now, ip);
            assert!(!others.is_valid(id, now, ip));
            for (other_at, other) in ADDRESSES.map(|ip| ip.parse().unwrap()).into_iter().enumerate() {
                assert_eq!(ids.is_valid(id, now, other), at == other_at, "{ip} {other}");
            }
        }
    }

    #[test]
    fn every_bit_of_an_id_counts() {
        let ids = ids(1);
        let (now, ip) = (Instant::from_secs(1000), [10, 0, 0, 1].into());
        let id = ids.make(now, ip);
        assert!(ids.is_valid(id, now, ip));
        for bit in 0..u64::BITS {
            assert!(!ids.is_valid(id ^ (1 << bit), now, ip), "{bit}");
        }
        for id in [0, u64::MAX, 0x417_2710_1980] {
            assert!(!ids.is_valid(id, now, ip));
        }
    }
}
