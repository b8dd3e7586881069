//! What counts as one address where there are limits per address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::{Config, Instant};

/// What counts as one address wherever there is a limit per address: an IPv4 address, or an IPv6 /64, since one machine may take
/// any address of its /64.
///
/// On a LAN all machines share one /64. So in a /64 that the tracker's own machine is in, and in fe80::/64, each IPv6 address
/// counts by itself. One machine could take many addresses there, so that such a [`network`](Self::network) as a whole should
/// hold at most half of the places.
///
/// ```
/// use tracker_core::AddressGroup;
///
/// let group = |remote: &str| AddressGroup::of(remote.parse().unwrap(), "fd77::1".parse().unwrap());
/// assert_eq!(group("2001:db8::2"), group("2001:db8::3"));
/// assert_ne!(group("fd77::2"), group("fd77::3"));
/// assert_eq!(group("fd77::2").network(), group("fd77::3").network());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressGroup {
    /// The only address, or the first of a /64.
    first: IpAddr,
    /// `true` in a /64 that the tracker's machine is in.
    is_in_own_network: bool,
}

impl AddressGroup {
    /// The group of the address that a request came from. `local` is the address of this machine that it came to: the /64 of
    /// that is one that this machine is in. A v4-mapped address counts as the IPv4 address in it.
    pub fn of(remote: IpAddr, local: IpAddr) -> Self {
        let own = match local.to_canonical() {
            IpAddr::V6(local) => Some(Prefix::of(local)),
            IpAddr::V4(_) => None,
        };
        Self::new(remote.to_canonical(), |prefix| Some(prefix) == own)
    }

    /// The group of a canonical address. `is_own` says whether this machine is in a /64.
    fn new(address: IpAddr, is_own: impl FnOnce(Prefix) -> bool) -> Self {
        let IpAddr::V6(v6) = address else { return Self { first: address, is_in_own_network: false } };
        let prefix = Prefix::of(v6);
        if prefix == Prefix::LINK_LOCAL || is_own(prefix) {
            Self { first: address, is_in_own_network: true }
        } else {
            Self { first: prefix.first().into(), is_in_own_network: false }
        }
    }

    /// The first address of the /64, if the group is one address in a /64 that many machines share.
    pub fn network(&self) -> Option<Ipv6Addr> {
        match self.first {
            IpAddr::V6(v6) if self.is_in_own_network => Some(Prefix::of(v6).first()),
            _ => None,
        }
    }
}

/// The upper half of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix(u64);

impl Prefix {
    const LINK_LOCAL: Self = Self(0xfe80 << 48);

    const fn of(address: Ipv6Addr) -> Self {
        Self((address.to_bits() >> 64) as u64)
    }

    const fn first(self) -> Ipv6Addr {
        Ipv6Addr::from_bits((self.0 as u128) << 64)
    }
}

/// The /64 networks that this machine is in: of the addresses that are configured, and of those to which requests come.
#[derive(Debug, Clone)]
pub(crate) struct OwnNetworks {
    /// Each with the time at which it was last configured, or a request came to an address in it. The first is always there.
    networks: Vec<(Prefix, Instant)>,
}

impl OwnNetworks {
    /// The most that are known at a time.
    pub(crate) const MOST: usize = 64;

    /// The time after which one that no request came to may be forgotten for another. No peer stays for as long without an
    /// announce, by default.
    const KEPT: Duration = Duration::from_secs(2 * 60 * 60);

    /// Those that are known at the start.
    pub(crate) fn new(config: &Config) -> Self {
        let mut own = Self::default();
        config.own_ips().for_each(|address| _ = own.learn(address, Instant::ZERO));
        own
    }

    /// Learns of the address of this machine that a request came to. Returns `true` if it is in a network that was not known.
    pub(crate) fn learn(&mut self, local: IpAddr, now: Instant) -> bool {
        let IpAddr::V6(local) = local else { return false };
        let prefix = Prefix::of(local);
        if let Some((_, seen)) = self.networks.iter_mut().find(|(known, _)| *known == prefix) {
            *seen = now;
            return false;
        }
        if local.is_loopback() || local.is_unspecified() {
            return false;
        }
        if self.networks.len() < Self::MOST {
            self.networks.push((prefix, now));
            return true;
        }
        let oldest = self.networks[1..].iter_mut().min_by_key(|(_, seen)| *seen);
        let forgettable = oldest.filter(|(_, seen)| *seen + Self::KEPT < now);
        forgettable.is_some_and(|forgotten| {
            *forgotten = (prefix, now);
            true
        })
    }

    /// The number of the network that an address is in, below [`MOST`](Self::MOST), if it is one of these.
    pub(crate) fn number_of(&self, address: Ipv6Addr) -> Option<usize> {
        let prefix = Prefix::of(address);
        self.networks.iter().position(|&(known, _)| known == prefix)
    }

    /// The bits of an address that its group has in common.
    pub(crate) fn mask(&self, address: Ipv6Addr) -> u128 {
        if self.number_of(address).is_some() { u128::MAX } else { u128::MAX << 64 }
    }

    /// The group of a canonical address.
    pub(crate) fn group(&self, address: IpAddr) -> AddressGroup {
        AddressGroup::new(address, |prefix| self.networks.iter().any(|&(known, _)| known == prefix))
    }
}

/// Only fe80::/64, in which all machines are.
impl Default for OwnNetworks {
    fn default() -> Self {
        Self { networks: vec![(Prefix::LINK_LOCAL, Instant::ZERO)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ipv4_address_or_a_64_except_in_the_networks_of_this_machine() {
        for (a, b, local, same, network) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.9", true, None),
            ("10.0.0.1", "10.0.0.2", "10.0.0.9", false, None),
            ("10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.9", true, None),
            ("2001:db8::1", "2001:db8::ffff:1", "fd77::1", true, None),
            ("2001:db8::1", "2001:db8::ffff:1", "10.0.0.9", true, None),
            ("2001:db8::1", "2001:db8:0:1::1", "fd77::1", false, None),
            ("fd77::1", "fd77::2", "fd77::9", false, Some("fd77::")),
            ("fd77::1", "fd77::1", "fd77::9", true, Some("fd77::")),
            ("fe80::1", "fe80::2", "10.0.0.9", false, Some("fe80::")),
            // Not link-local addresses that anybody has.
            ("fe80:0:0:1::1", "fe80:0:0:1::2", "fe80::9", true, None),
        ] {
            let group = |remote: &str| AddressGroup::of(remote.parse().unwrap(), local.parse().unwrap());
            assert_eq!(group(a) == group(b), same, "{a} and {b} by {local}");
            assert_eq!(group(a).network(), network.map(|network| network.parse().unwrap()), "{a} by {local}");

            let mut own = OwnNetworks::default();
            own.learn(local.parse::<IpAddr>().unwrap().to_canonical(), Instant::ZERO);
            assert_eq!(own.group(a.parse::<IpAddr>().unwrap().to_canonical()), group(a));
        }
    }

    #[test]
    fn networks_are_learned_and_those_that_are_long_gone_forgotten_for_others() {
        let mut own = OwnNetworks::default();
        let local = |number: u16| Ipv6Addr::new(0xfd77, 0, 0, number, 0, 0, 0, 1);
        let most = OwnNetworks::MOST as u16;
        assert!((1..most).all(|number| own.learn(local(number).into(), Instant::from_secs(number.into()))));
        assert!(!own.learn(local(1).into(), Instant::from_secs(4000)), "is known");
        assert!(!own.learn(local(most).into(), Instant::from_secs(5000)), "there are too many");
        assert!(own.learn(local(most).into(), Instant::from_secs(9000)));
        assert_eq!(own.number_of(local(2)), None, "was silent for longest");
        assert!(own.number_of(local(1)).is_some() && own.number_of("fe80::1".parse().unwrap()).is_some());
        for local in ["10.0.0.1", "::1", "::", "fe80::1"] {
            assert!(!own.learn(local.parse().unwrap(), Instant::from_secs(90_000)), "{local}");
        }
    }
}
