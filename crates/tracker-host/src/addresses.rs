//! By which addresses other machines reach this one.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use ipnet::IpNet;
use tracker_core::HostAddresses;

use crate::gateways::default_gateways;
use crate::interface::{Interface, interfaces};

/// The machine's addresses on the LAN. Without loopback and link-local ones, and those that lead to containers, virtual
/// machines or through tunnels.
///
/// They are as they were when [`find`](Self::find) was called, and may change: a lease ends, a laptop moves to another
/// network.
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
    /// The best first: IPv4 before IPv6, since all clients take a literal of it, and the interface of the default route
    /// before others.
    pub lan: Vec<IpAddr>,
    /// The networks that the machine is in by these addresses, for [`Access::Lan`](tracker_core::Access::Lan).
    pub networks: Vec<IpNet>,
    /// The gateways of the machine's default routes: several clients behind one of these addresses are behind network
    /// address translation, as with a tracker in a container. Found on Linux only, and without link-local ones.
    pub gateways: Vec<IpAddr>,
}

impl Addresses {
    /// Asks the system.
    ///
    /// # Errors
    ///
    /// The system does not list its interfaces. What else cannot be found out is left out.
    pub fn find() -> io::Result<Self> {
        Ok(Self { gateways: default_gateways(), ..Self::choose(&interfaces()?, &route_sources()) })
    }

    /// The best address of each family, for [`Config::host_addresses`](tracker_core::Config::host_addresses).
    pub fn host(&self) -> HostAddresses {
        HostAddresses {
            v4: self.lan.iter().find_map(|address| if let IpAddr::V4(v4) = address { Some(*v4) } else { None }),
            v6: self.lan.iter().find_map(|address| if let IpAddr::V6(v6) = address { Some(*v6) } else { None }),
        }
    }

    /// Chooses from all addresses. `route_sources` are those that the machine uses towards the rest of the world.
    fn choose(interfaces: &[Interface], route_sources: &[IpAddr]) -> Self {
        let mut found: Vec<&Interface> = interfaces
            .iter()
            .filter(|interface| !interface.is_virtual && !interface.is_temporary && is_of_lan(interface.network.addr()))
            .collect();
        let has_default_route = |interface: &Interface| {
            let same = |other: &&Interface| other.name == interface.name;
            interfaces.iter().filter(same).any(|other| route_sources.contains(&other.network.addr()))
        };
        let is_global_v6 = |address| matches!(address, IpAddr::V6(v6) if !v6.is_unique_local());
        found.sort_by_cached_key(|interface| {
            let address = interface.network.addr();
            (
                address.is_ipv6(),
                !has_default_route(interface),
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

        let mut networks: Vec<IpNet> = found
            .iter()
            .map(|interface| interface.network.trunc())
            // The prefix is not known.
            .filter(|network| network.prefix_len() > 0)
            .collect();
        networks.sort();
        networks.dedup();
        Self { lan, networks, gateways: Vec::new() }
    }
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
            is_virtual: name.starts_with("docker"),
            is_temporary: network.contains("abcd"),
        }
    }

    fn choose(interfaces: &[(&str, &str)], route_sources: &[&str]) -> Addresses {
        let interfaces: Vec<_> = interfaces.iter().map(|(name, network)| interface(name, network)).collect();
        let route_sources: Vec<_> = route_sources.iter().map(|address| address.parse().unwrap()).collect();
        Addresses::choose(&interfaces, &route_sources)
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
    fn containers_loopback_and_link_local_are_no_lan() {
        let interfaces =
            [("lo", "127.0.0.1/8"), ("docker0", "172.17.0.1/16"), ("eth0", "169.254.7.7/16"), ("eth0", "fe80::1/64")];
        assert_eq!(choose(&interfaces, &["172.17.0.1"]), Addresses::default());
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
    }

    #[test]
    fn the_system_can_be_asked() {
        let addresses = Addresses::find().unwrap();
        assert!(addresses.lan.iter().all(|&address| is_of_lan(address)), "{addresses:?}");
    }
}
