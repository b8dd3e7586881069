//! The addresses by which others reach the dashboard.

use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use tracker_host::Addresses;

use super::reached_at::ReachedAt;

/// The addresses by which others reach the dashboard: where its server listens, on a machine with these addresses.
#[derive(Debug, Default)]
pub(crate) struct PageAddresses(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    listening: Vec<SocketAddr>,
    machine: Addresses,
}

impl PageAddresses {
    /// Goes on with these addresses of the machine. Returns `true` if the best one is another now.
    pub(crate) fn set_machine(&self, machine: Addresses) -> bool {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_moved = state.machine.for_urls().first() != machine.for_urls().first();
        state.machine = machine;
        is_moved
    }

    /// Adds the addresses on which a server of the dashboard listens.
    pub(crate) fn add_listening(&self, addresses: &[SocketAddr]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).listening.extend(addresses);
    }

    /// Returns `true` for an address of this machine, also one that it has only towards containers or through a tunnel, and for
    /// those of the containers.
    pub(crate) fn is_inside(&self, address: IpAddr) -> bool {
        let machine = &self.0.read().unwrap_or_else(PoisonError::into_inner).machine;
        let is_in_container = || machine.containers.iter().any(|network| network.contains(&address));
        address.is_loopback() || machine.all.contains(&address) || is_in_container()
    }

    /// The addresses to put into URLs that this viewer may pass on: the one by which the viewer came, also if it is that of a
    /// router, a proxy or the host of a container, then one in each other network of the machine. None of them is link-local.
    ///
    /// IPv6 addresses are left out, unless the viewer came by one or there are no others: some clients cannot use them in URLs. A
    /// loopback address is given to a viewer who came by it, if the dashboard has no other.
    pub(crate) fn for_viewer(&self, viewer: ReachedAt) -> Vec<SocketAddr> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).for_viewer(viewer)
    }
}

impl State {
    fn for_viewer(&self, viewer: ReachedAt) -> Vec<SocketAddr> {
        let mut chosen: Vec<SocketAddr> = viewer.for_others().into_iter().collect();
        let all = self.for_others();
        self.add(&mut chosen, all.iter().filter(|address| address.is_ipv4()));
        if chosen.is_empty() {
            self.add(&mut chosen, all.iter());
        }
        if chosen.is_empty() {
            chosen.extend(viewer.by_loopback());
        }
        chosen
    }

    /// The addresses by which other machines reach the dashboard, the best first.
    fn for_others(&self) -> Vec<SocketAddr> {
        let at = |listening: &SocketAddr| match listening.ip() {
            ip if ip.is_unspecified() => self.machine.for_urls().to_vec(),
            ip if is_for_others(ip) => vec![ip],
            _ => Vec::new(),
        };
        let with_ports = self.listening.iter().flat_map(|listening| {
            let of_family = at(listening).into_iter().filter(|address| address.is_ipv4() == listening.is_ipv4());
            of_family.map(|address| SocketAddr::new(address, listening.port()))
        });
        with_ports.collect()
    }

    /// Adds those that are in none of the networks of the addresses that are there.
    fn add<'a>(&self, chosen: &mut Vec<SocketAddr>, more: impl Iterator<Item = &'a SocketAddr>) {
        for &address in more {
            let is_same =
                |other: &SocketAddr| other.ip() == address.ip() || self.machine.share_network(address.ip(), other.ip());
            if !chosen.iter().any(is_same) {
                chosen.push(address);
            }
        }
    }
}

/// Returns `true` for an address that means the same on other machines.
pub(super) fn is_for_others(address: IpAddr) -> bool {
    let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !(address.is_loopback() || address.is_unspecified() || is_link_local)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::str::FromStr;

    use super::*;

    fn parse<T: FromStr<Err: Debug>>(texts: &[&str]) -> Vec<T> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn machine(lan: &[&str], networks: &[&str], limited: &[&str]) -> Addresses {
        Addresses { lan: parse(lan), networks: parse(networks), limited: parse(limited), ..Addresses::default() }
    }

    /// A laptop with a cable and two radios in one network, in two networks of IPv4, with a VPN.
    fn laptop() -> Addresses {
        machine(
            &["192.168.1.5", "192.168.1.6", "10.77.0.1", "fd77::1"],
            &["10.77.0.0/16", "192.168.1.0/24", "fd77::/64"],
            &["100.101.102.103"],
        )
    }

    #[track_caller]
    fn check(machine: Addresses, listening: &[&str], reached_at: Option<&str>, expected: &[&str]) {
        let addresses = PageAddresses::default();
        addresses.set_machine(machine);
        addresses.add_listening(&parse(listening));
        let reached_at = reached_at.map(|address| address.parse().unwrap());
        let viewer = ReachedAt::new(reached_at, None);
        assert_eq!(addresses.for_viewer(viewer), parse::<SocketAddr>(expected), "{listening:?} {reached_at:?}");
        if reached_at.is_some_and(|address| is_for_others(address.ip())) {
            let through_a_proxy = ReachedAt::new(Some(([172, 17, 0, 2], 1).into()), reached_at);
            assert_eq!(
                addresses.for_viewer(through_a_proxy),
                parse::<SocketAddr>(expected),
                "{listening:?} {reached_at:?}"
            );
        }
    }

    #[test]
    fn the_address_by_which_the_viewer_came_is_first_and_each_other_network_has_one() {
        let all = ["0.0.0.0:6970", "[::]:6970"];
        for (reached_at, expected) in [
            (Some("192.168.1.5:6970"), &["192.168.1.5:6970", "10.77.0.1:6970"][..]),
            (Some("192.168.1.6:6970"), &["192.168.1.6:6970", "10.77.0.1:6970"]),
            (Some("10.77.0.1:6970"), &["10.77.0.1:6970", "192.168.1.5:6970"]),
            // Only who came by IPv6 gets such an address.
            (Some("[fd77::1]:6970"), &["[fd77::1]:6970", "192.168.1.5:6970", "10.77.0.1:6970"]),
            // That of a VPN or a bridge is right for those who came by it.
            (Some("100.101.102.103:6970"), &["100.101.102.103:6970", "192.168.1.5:6970", "10.77.0.1:6970"]),
            (Some("172.17.0.1:6970"), &["172.17.0.1:6970", "192.168.1.5:6970", "10.77.0.1:6970"]),
            // These mean something else, or nothing, to others.
            (Some("127.0.0.1:6970"), &["192.168.1.5:6970", "10.77.0.1:6970"]),
            (Some("[fe80::1]:6970"), &["192.168.1.5:6970", "10.77.0.1:6970"]),
            (None, &["192.168.1.5:6970", "10.77.0.1:6970"]),
        ] {
            check(laptop(), &all, reached_at, expected);
        }
    }

    #[test]
    fn ports_are_those_of_the_listeners() {
        let two = ["0.0.0.0:80", "0.0.0.0:6970"];
        check(laptop(), &two, Some("10.77.0.1:6970"), &["10.77.0.1:6970", "192.168.1.5:80"]);
        check(laptop(), &["10.77.0.1:80"], Some("10.77.0.1:80"), &["10.77.0.1:80"]);
        check(laptop(), &["10.77.0.1:80", "127.0.0.1:81"], Some("127.0.0.1:81"), &["10.77.0.1:80"]);
        // Not served by a server of its own.
        check(laptop(), &[], None, &[]);
    }

    #[test]
    fn where_there_is_no_other_address_there_is_what_some_reach() {
        let all = ["0.0.0.0:6970", "[::]:6970"];
        let only_v6 = machine(&["fd77::1", "fd78::1"], &["fd77::/64", "fd78::/64"], &[]);
        check(only_v6.clone(), &all, Some("127.0.0.1:6970"), &["[fd77::1]:6970", "[fd78::1]:6970"]);
        check(only_v6, &all, Some("[fd78::1]:6970"), &["[fd78::1]:6970"]);
        let on_a_cable = machine(&[], &[], &["169.254.7.7"]);
        check(on_a_cable, &all, Some("127.0.0.1:6970"), &["169.254.7.7:6970"]);
        check(Addresses::default(), &all, Some("127.0.0.1:6970"), &["127.0.0.1:6970"]);
        check(Addresses::default(), &all, None, &[]);
    }

    #[test]
    fn on_loopback_only_it_is_for_this_machine_only() {
        for (reached_at, expected) in [(Some("127.0.0.1:6970"), &["127.0.0.1:6970"][..]), (None, &[])] {
            check(laptop(), &["127.0.0.1:6970", "[::1]:6970"], reached_at, expected);
        }
        check(laptop(), &["[::1]:6970"], Some("[::1]:6970"), &["[::1]:6970"]);
    }

    #[test]
    fn addresses_change_with_the_network() {
        let addresses = PageAddresses::default();
        addresses.set_machine(laptop());
        addresses.add_listening(&parse(&["0.0.0.0:6970"]));
        addresses.set_machine(machine(&["10.9.9.9"], &["10.9.0.0/16"], &[]));
        assert_eq!(addresses.for_viewer(ReachedAt::default()), parse::<SocketAddr>(&["10.9.9.9:6970"]));
    }
}
