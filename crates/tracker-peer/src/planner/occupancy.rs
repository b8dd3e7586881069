//! The peers of a swarm that are on this machine.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The peers of a swarm that are on this machine, by the address that each is kept under.
///
/// The tracker hands them out under another address than that: to each asker under the one by which the asker reached the tracker. One
/// that announced over loopback goes out in both address families, others in their own.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    by_address: BTreeMap<IpAddr, u32>,
    loopback: u32,
    v4: u32,
    v6: u32,
}

impl Occupancy {
    /// There is one more peer at this address.
    pub(super) fn insert(&mut self, address: IpAddr) {
        *self.by_address.entry(address).or_default() += 1;
        *self.counter(address) += 1;
    }

    /// There is one less.
    pub(super) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
            *self.counter(address) -= 1;
        }
    }

    /// Returns `true` if one more peer at this address changes nothing for anybody: there are two like it, so that it is neither
    /// the first nor the only other one. `is_source` says whether this machine dials from the address.
    pub(super) fn is_crowded(&self, address: IpAddr, is_source: bool) -> bool {
        let in_class = match address {
            _ if address.is_loopback() => self.loopback,
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        };
        in_class >= 2 && (!is_source || self.by_address.get(&address).is_some_and(|&count| count >= 2))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Returns `true` if a peer is kept under exactly this address, beside one that is kept under `except`.
    pub(super) fn has(&self, address: IpAddr, except: Option<IpAddr>) -> bool {
        self.by_address.get(&address).is_some_and(|&count| count > u32::from(except == Some(address)))
    }

    /// Returns `true` if a peer, beside one that is kept under `except`, goes out under the addresses of a family by which others
    /// reach the tracker.
    pub(super) fn goes_out_in_family_of(&self, address: IpAddr, except: Option<IpAddr>) -> bool {
        let excepted =
            |is_in: fn(IpAddr, IpAddr) -> bool| u32::from(except.is_some_and(|except| is_in(except, address)));
        let in_family = if address.is_ipv4() { self.v4 } else { self.v6 };
        self.loopback > excepted(|except, _| except.is_loopback())
            || in_family > excepted(|except, address| !except.is_loopback() && except.is_ipv4() == address.is_ipv4())
    }

    fn counter(&mut self, address: IpAddr) -> &mut u32 {
        match address {
            _ if address.is_loopback() => &mut self.loopback,
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_of_a_kind_changes_nothing() {
        let ip = |last: u8| IpAddr::from([127, 0, 0, last]);
        let mut occupancy = Occupancy::default();
        for last in 1..=2 {
            assert!(!occupancy.is_crowded(ip(last), false));
            occupancy.insert(ip(last));
        }
        assert!(occupancy.is_crowded(ip(3), false));
        assert!(!occupancy.is_crowded(ip(1), true), "it is dialled from there, and one is kept there");
        occupancy.insert(ip(1));
        assert!(occupancy.is_crowded(ip(1), true) && !occupancy.is_crowded([10, 0, 0, 1].into(), false));
    }

    #[test]
    fn a_peer_goes_out_in_its_family_and_over_loopback_in_both() {
        let [v4, v6, loopback] = ["10.0.0.1", "fd77::1", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        for (kept, in_v4, in_v6) in [(v4, true, false), (v6, false, true), (loopback, true, true)] {
            let mut occupancy = Occupancy::default();
            occupancy.insert(kept);
            let found = [v4, v6].map(|ip| occupancy.goes_out_in_family_of(ip, None));
            assert_eq!(found, [in_v4, in_v6], "{kept}");
            assert!(
                [v4, v6].iter().all(|&ip| !occupancy.goes_out_in_family_of(ip, Some(kept))),
                "is not in its own way"
            );
            assert!(occupancy.has(kept, None) && !occupancy.has(kept, Some(kept)));
            occupancy.insert(kept);
            assert_eq!(occupancy.goes_out_in_family_of(v4, Some(kept)), in_v4);
            occupancy.remove(kept);
            occupancy.remove(kept);
            assert!(occupancy.is_empty() && !occupancy.goes_out_in_family_of(kept, None));
        }
    }
}
