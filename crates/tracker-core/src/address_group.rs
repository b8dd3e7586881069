//! What counts as one address where there are limits per address.

use std::net::{IpAddr, Ipv6Addr};

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
    pub(crate) fn new(address: IpAddr, is_own: impl FnOnce(Prefix) -> bool) -> Self {
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
pub(crate) struct Prefix(u64);

impl Prefix {
    const LINK_LOCAL: Self = Self(0xfe80 << 48);

    pub(crate) const fn of(address: Ipv6Addr) -> Self {
        Self((address.to_bits() >> 64) as u64)
    }

    const fn first(self) -> Ipv6Addr {
        Ipv6Addr::from_bits((self.0 as u128) << 64)
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
        }
    }
}
