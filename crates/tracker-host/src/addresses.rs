//! By which addresses other machines reach this one.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use ipnet::IpNet;
use tracker_core::HostAddresses;

use crate::gateways::{default_gateways, default_interfaces};
use crate::interface::{Interface, InterfaceKind, interfaces};

/// The machine's addresses, and what they mean to others: those on the LAN, and those that lead to containers, virtual machines
/// or through tunnels.
///
/// They are as they were when [`find`](Self::find) was called, and may change: a lease ends, a laptop moves to another
/// network. [`NetworkChanges`](crate::NetworkChanges) says when to look again.
///
/// ```
/// use tracker_host::Addresses;
///
/// let addresses = Addresses::find()?;
/// for address in &addresses.lan {
///     println!("this machine is {address}");
/// }
/// let host = addresses.host();
/// assert_eq!(host.v4.is_some(), addresses.lan.iter().any(|address| address.is_ipv4()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// The addresses on the LAN. The best first: IPv4 before IPv6, since all clients take a literal of it, and the interface of
    /// the default route before others.
    pub lan: Vec<IpAddr>,
    /// The networks that the machine is in by these addresses, for [`Access::Lan`](tracker_core::Access::Lan).
    pub networks: Vec<IpNet>,
    /// The gateways of the machine's default routes: several clients behind one of these addresses are behind network
    /// address translation, as with a tracker in a container. Found on Linux only, and without link-local ones.
    pub gateways: Vec<IpAddr>,
    /// Addresses by which only some machines reach this one, for when there is no better one: those of tunnels (VPN), and
    /// link-local IPv4 addresses (169.254.0.0/16), which a machine gives itself. IPv4 before IPv6.
    pub limited: Vec<IpAddr>,
    /// All addresses of the machine but loopback and link-local IPv6 ones, for
    /// [`Config::own_addresses`](tracker_core::Config::own_addresses). Sorted.
    pub all: Vec<IpAddr>,
    /// The networks of containers and virtual machines on this machine, for
    /// [`Config::container_networks`](tracker_core::Config::container_networks). Not one that overlaps with a network of the LAN.
    /// Sorted.
    pub containers: Vec<IpNet>,
}

impl Addresses {
    /// Asks the system.
    ///
    /// # Errors
    ///
    /// The system does not list its interfaces. What else cannot be found out is left out.
    pub fn find() -> io::Result<Self> {
        Ok(Self {
            gateways: default_gateways(),
            ..Self::choose(&interfaces()?, &route_sources(), &default_interfaces())
        })
    }

    /// The addresses to put into URLs, the best first: those on the LAN, or else the [limited](Self::limited) ones.
    pub fn for_urls(&self) -> &[IpAddr] {
        if self.lan.is_empty() { &self.limited } else { &self.lan }
    }

    /// Returns `true` if both addresses are in the same [network](Self::network_of) of this machine.
    pub fn share_network(&self, one: IpAddr, other: IpAddr) -> bool {
        self.network_of(one).is_some_and(|network| self.network_of(other) == Some(network))
    }

    /// The network that one of the machine's [LAN addresses](Self::lan) is in, if it is known: the smallest of
    /// [`networks`](Self::networks) that has the address.
    pub fn network_of(&self, address: IpAddr) -> Option<&IpNet> {
        self.networks.iter().filter(|network| network.contains(&address)).max_by_key(|network| network.prefix_len())
    }

    /// The best address of each family, for [`Config::host_addresses`](tracker_core::Config::host_addresses).
    pub fn host(&self) -> HostAddresses {
        HostAddresses {
            v4: self.lan.iter().find_map(|address| if let IpAddr::V4(v4) = address { Some(*v4) } else { None }),
            v6: self.lan.iter().find_map(|address| if let IpAddr::V6(v6) = address { Some(*v6) } else { None }),
        }
    }

    /// Chooses from all addresses. `route_sources` are those that the machine uses towards the rest of the world, which may be a
    /// VPN's; the interfaces of the default routes, the preferred first, say what it would use without that.
    fn choose(interfaces: &[Interface], route_sources: &[IpAddr], default_interfaces: &[String]) -> Self {
        let mut found: Vec<&Interface> = interfaces
            .iter()
            .filter(|interface| interface.kind == InterfaceKind::Lan && !interface.is_temporary)
            .filter(|interface| is_of_lan(interface.network.addr()))
            .collect();
        let has_default_route = |interface: &Interface| {
            let same = |other: &&Interface| other.name == interface.name;
            interfaces.iter().filter(same).any(|other| route_sources.contains(&other.network.addr()))
        };
        let rank = |interface: &Interface| {
            default_interfaces.iter().position(|name| *name == interface.name).unwrap_or(default_interfaces.len())
        };
        let is_global_v6 = |address| matches!(address, IpAddr::V6(v6) if !v6.is_unique_local());
        found.sort_by_cached_key(|interface| {
            let address = interface.network.addr();
            (
                address.is_ipv6(),
                !has_default_route(interface),
                rank(interface),
                !route_sources.contains(&address),
                // A provider may change the others, and a torrent lives long.
                is_global_v6(address),
            )
        });

        // An interface often has several IPv6 addresses of the same use.
        let mut named = Vec::new();
        let mut lan = Vec::new();
        for interface in &found {
            let address = interface.network.addr();
            if address.is_ipv6() {
                if named.contains(&&interface.name) {
                    continue;
                }
                named.push(&interface.name);
            }
            lan.push(address);
        }

        let networks = networks_of(found.iter().copied());
        let is_guests =
            |interface: &&Interface| interface.kind == InterfaceKind::Guests && is_of_lan(interface.network.addr());
        let mut containers = networks_of(interfaces.iter().filter(is_guests));
        let overlap = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
        containers.retain(|container| !networks.iter().any(|network| overlap(network, container)));
        Self { lan, networks, gateways: Vec::new(), limited: limited(interfaces), all: all(interfaces), containers }
    }
}

/// The networks of these addresses, sorted.
fn networks_of<'i>(interfaces: impl Iterator<Item = &'i Interface>) -> Vec<IpNet> {
    let networks = interfaces.map(|interface| interface.network.trunc());
    // Where the length is 0 it is not known.
    let mut networks: Vec<_> = networks.filter(|network| network.prefix_len() > 0).collect();
    networks.sort();
    networks.dedup();
    networks
}

/// Those of [`Addresses::limited`].
fn limited(interfaces: &[Interface]) -> Vec<IpAddr> {
    let is_v4_link_local = |address| matches!(address, IpAddr::V4(v4) if v4.is_link_local());
    let is_limited = |interface: &&Interface| match interface.kind {
        InterfaceKind::Tunnel => is_of_lan(interface.network.addr()),
        InterfaceKind::Lan => is_v4_link_local(interface.network.addr()),
        InterfaceKind::Guests => false,
    };
    let usable = interfaces.iter().filter(|interface| !interface.is_temporary);
    let mut limited: Vec<_> = usable.filter(is_limited).map(|interface| interface.network.addr()).collect();
    limited.sort_by_key(|&address| (address.is_ipv6(), is_v4_link_local(address)));
    limited
}

/// Those of [`Addresses::all`].
fn all(interfaces: &[Interface]) -> Vec<IpAddr> {
    let is_known_to_others = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_unspecified()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local()),
    };
    let mut all: Vec<_> =
        interfaces.iter().map(|interface| interface.network.addr()).filter(is_known_to_others).collect();
    all.sort();
    all.dedup();
    all
}

fn is_of_lan(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(is_link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// The addresses by which the machine would speak to the rest of the world, for each family that has a default route.
fn route_sources() -> Vec<IpAddr> {
    // Connecting a UDP socket looks up the route and sends nothing. The destinations are addresses for documentation,
    // which nobody has.
    let source = |(from, to): (SocketAddr, SocketAddr)| {
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        socket.local_addr()
    };
    let destinations = [
        (([0, 0, 0, 0], 0).into(), ([198, 51, 100, 1], 9).into()),
        (([0; 8], 0).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into()),
    ];
    destinations.into_iter().filter_map(|pair| source(pair).ok()).map(|address| address.ip()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, network: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            network: network.parse().unwrap(),
            kind: match name {
                "docker0" | "virbr0" => InterfaceKind::Guests,
                "tailscale0" | "tun0" => InterfaceKind::Tunnel,
                _ => InterfaceKind::Lan,
            },
            is_temporary: network.contains("abcd"),
        }
    }

    fn choose(interfaces: &[(&str, &str)], route_sources: &[&str]) -> Addresses {
        let interfaces: Vec<_> = interfaces.iter().map(|(name, network)| interface(name, network)).collect();
        let route_sources: Vec<_> = route_sources.iter().map(|address| address.parse().unwrap()).collect();
        Addresses::choose(&interfaces, &route_sources, &[])
    }

    fn lan(interfaces: &[(&str, &str)], route_sources: &[&str]) -> Vec<String> {
        choose(interfaces, route_sources).lan.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_route_comes_first_and_ipv4_before_ipv6() {
        let interfaces = [
            ("lo", "127.0.0.1/8"),
            ("lo", "::1/128"),
            ("docker0", "172.17.0.1/16"),
            ("eth0", "10.77.0.1/24"),
            ("eth0", "fd77::1/64"),
            ("eth0", "fe80::1/64"),
            ("wlan0", "192.168.1.5/24"),
            ("wlan0", "2001:db8::abcd/64"),
            ("wlan0", "2001:db8::5/64"),
            ("wlan0", "fd00::5/64"),
            ("eth1", "169.254.7.7/16"),
        ];
        assert_eq!(lan(&interfaces, &["192.168.1.5"]), ["192.168.1.5", "10.77.0.1", "fd00::5", "fd77::1"]);
        assert_eq!(lan(&interfaces, &["10.77.0.1"]), ["10.77.0.1", "192.168.1.5", "fd77::1", "fd00::5"]);
        assert_eq!(lan(&interfaces, &[]), ["10.77.0.1", "192.168.1.5", "fd77::1", "fd00::5"]);
        // Its source is a temporary address of the interface.
        let by_temporary = lan(&interfaces, &["2001:db8::abcd"]);
        assert_eq!(by_temporary, ["192.168.1.5", "10.77.0.1", "fd00::5", "fd77::1"]);
        let host = choose(&interfaces, &["192.168.1.5"]).host();
        assert_eq!(host.v4, Some([192, 168, 1, 5].into()));
        assert_eq!(host.v6, Some("fd00::5".parse().unwrap()));
    }

    #[test]
    fn beside_a_vpn_that_takes_all_traffic_the_gateway_of_the_lan_counts() {
        let interfaces = [("eth0", "10.77.0.1/24"), ("tun0", "10.8.0.1/24"), ("wlan0", "192.168.1.5/24")]
            .map(|(name, network)| interface(name, network));
        for (source, defaults, expected) in [
            ("10.8.0.1", &["wlan0"][..], ["192.168.1.5", "10.77.0.1"]),
            ("10.8.0.1", &["tun0", "wlan0", "eth0"], ["192.168.1.5", "10.77.0.1"]),
            ("10.8.0.1", &[], ["10.77.0.1", "192.168.1.5"]),
            ("10.77.0.1", &["wlan0"], ["10.77.0.1", "192.168.1.5"]),
        ] {
            let defaults: Vec<_> = defaults.iter().map(ToString::to_string).collect();
            let lan = Addresses::choose(&interfaces, &[source.parse().unwrap()], &defaults).lan;
            assert_eq!(lan.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{source} {defaults:?}");
        }
    }

    #[test]
    fn containers_loopback_and_link_local_are_no_lan() {
        let interfaces =
            [("lo", "127.0.0.1/8"), ("docker0", "172.17.0.1/16"), ("eth0", "169.254.7.7/16"), ("eth0", "fe80::1/64")];
        let addresses = choose(&interfaces, &["172.17.0.1"]);
        assert_eq!((&*addresses.lan, &*addresses.networks), (&[][..], &[][..]));
        assert_eq!(addresses.host(), HostAddresses::default());
    }

    #[test]
    fn containers_and_all_own_addresses_are_known() {
        let addresses = choose(
            &[
                ("lo", "127.0.0.1/8"),
                ("eth0", "192.168.1.5/24"),
                ("eth0", "2001:db8::abcd/64"),
                ("eth0", "fe80::1/64"),
                ("docker0", "172.17.0.1/16"),
                ("docker0", "fe80::2/64"),
                ("docker0", "fd17::1/64"),
                ("tun0", "10.8.0.1/24"),
                // A laptop may come into a network that has the addresses of its bridges.
                ("virbr0", "192.168.0.1/16"),
            ],
            &[],
        );
        let all: Vec<_> = addresses.all.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["10.8.0.1", "172.17.0.1", "192.168.0.1", "192.168.1.5", "2001:db8::abcd", "fd17::1"]);
        let containers: Vec<_> = addresses.containers.iter().map(ToString::to_string).collect();
        assert_eq!(containers, ["172.17.0.0/16", "fd17::/64"]);
    }

    #[test]
    fn addresses_that_only_some_reach_are_for_urls_where_there_are_no_others() {
        let limited = [
            ("docker0", "172.17.0.1/16"),
            ("eth0", "169.254.7.7/16"),
            ("eth0", "fe80::1/64"),
            ("tailscale0", "fd7a::5/128"),
            ("tailscale0", "100.101.102.103/32"),
        ];
        let for_urls = |interfaces: &[(&str, &str)]| {
            choose(interfaces, &[]).for_urls().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(for_urls(&limited), ["100.101.102.103", "169.254.7.7", "fd7a::5"]);
        assert_eq!(for_urls(&[&limited[..], &[("eth1", "10.77.0.1/24")]].concat()), ["10.77.0.1"]);
        assert_eq!(for_urls(&limited[..1]), [""; 0]);
    }

    #[test]
    fn own_networks_are_those_of_the_lan_addresses() {
        let addresses = choose(
            &[
                ("docker0", "172.17.0.1/16"),
                ("eth0", "203.0.113.9/24"),
                ("eth0", "203.0.113.10/24"),
                ("eth0", "2001:db8::9/64"),
                ("eth1", "198.51.100.7/0"),
            ],
            &[],
        );
        let networks: Vec<_> = addresses.networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["203.0.113.0/24", "2001:db8::/64"]);
        let network_of = |address: &str| addresses.network_of(address.parse().unwrap()).map(ToString::to_string);
        assert_eq!(network_of("203.0.113.10").as_deref(), Some("203.0.113.0/24"));
        assert_eq!((network_of("198.51.100.7"), network_of("172.17.0.1")), (None, None));
    }

    #[test]
    fn the_system_can_be_asked() {
        let addresses = Addresses::find().unwrap();
        assert!(addresses.lan.iter().all(|&address| is_of_lan(address)), "{addresses:?}");
    }
}
