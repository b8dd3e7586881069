//! The machine's addresses: which peers may be dialled, and from where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use tracker_core::Access;

/// The machine's addresses and networks, and the address policy. Replaced as a whole when something of it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// The addresses to connect from, the best first: those on the LAN.
    pub sources: Vec<Source>,
    /// All addresses of this machine but loopback.
    pub own_addresses: Vec<IpAddr>,
    /// The networks of containers and virtual machines on this machine.
    pub container_networks: Vec<IpNet>,
    /// The networks that the machine is in. Beside them private, unique local and link-local addresses are the LAN.
    pub lan: Vec<IpNet>,
    /// The addresses that the operator admits. None outside the LAN is dialled, whatever this says.
    pub access: Access,
}

/// An address of this machine to connect from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub ip: IpAddr,
    /// The network that it is in.
    pub network: IpNet,
    /// Who else uses it.
    pub sharing: Sharing,
}

/// Who uses an address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Clients on this machine connect from it, or are handed out under it, because other machines announce to the tracker by it.
    Shared,
    /// Only the tracker's own peer, as far as is known: an address that the operator named for it, for one.
    Exclusive,
}

/// Where the machine of a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    /// It is this machine.
    Here,
    /// It is a container or a virtual machine on this machine.
    Container,
    /// It is another machine.
    Elsewhere,
}

impl Location {
    /// Returns `true` if the tracker hands the peer out under this machine's addresses.
    pub(super) const fn is_on_this_machine(self) -> bool {
        matches!(self, Self::Here | Self::Container)
    }
}

impl Network {
    pub(super) fn location_of(&self, ip: IpAddr) -> Location {
        if ip.is_loopback() || self.own_addresses.contains(&ip) {
            Location::Here
        } else if self.container_network_of(ip).is_some() {
            Location::Container
        } else {
            Location::Elsewhere
        }
    }

    /// Returns `true` if a peer that announced from this address may be dialled.
    pub(super) fn admits(&self, ip: IpAddr) -> bool {
        let is_on_lan = || {
            let is_private = match ip {
                IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
                // Link-local addresses of IPv6 mean nothing without an interface.
                IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
            };
            is_private || self.lan.iter().any(|network| network.contains(&ip))
        };
        self.access.admits(ip) && is_on_lan()
    }

    /// The address at which to dial a peer. A client on this machine is dialled over loopback, so that the connection uses up no
    /// address under which others are handed out.
    pub(super) fn target(&self, address: SocketAddr) -> SocketAddr {
        let ip = match (self.location_of(address.ip()), address.ip()) {
            (Location::Here, IpAddr::V4(v4)) if !v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            (Location::Here, IpAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
            (_, ip) => ip,
        };
        SocketAddr::new(ip, address.port())
    }

    /// The addresses from which a target can be dialled, the best first: in its network, or else in the network by which this machine
    /// reaches most others. Exclusive ones come first, since from there a connection can stay when a client on this machine joins.
    pub(super) fn sources_to(&self, target: IpAddr) -> Vec<IpAddr> {
        if target.is_loopback() {
            return vec![loopback(target)];
        }
        let of_family = |source: &&Source| source.ip.is_ipv4() == target.is_ipv4();
        let near = self.sources.iter().filter(of_family).find(|source| source.network.contains(&target));
        let Some(network) = near.or_else(|| self.lan_sources().find(of_family)).map(|source| source.network.trunc())
        else {
            return Vec::new();
        };
        let mut sources: Vec<_> = self.sources.iter().filter(|source| source.network.trunc() == network).collect();
        sources.sort_by_key(|source| source.sharing == Sharing::Shared);
        sources.into_iter().map(|source| source.ip).collect()
    }

    /// Returns `true` if an address is in a network of this machine, so that there is no router between them.
    pub(super) fn is_adjacent(&self, ip: IpAddr) -> bool {
        self.sources.iter().any(|source| source.network.contains(&ip))
    }

    /// Returns `true` if peers may be dialled from an address.
    pub(super) fn is_source(&self, ip: IpAddr) -> bool {
        ip == loopback(ip) || self.sources.iter().any(|source| source.ip == ip)
    }

    /// Returns `true` if clients on this machine may use an address, too.
    pub(super) fn is_shared(&self, ip: IpAddr) -> bool {
        !self.sources.iter().any(|source| source.ip == ip && source.sharing == Sharing::Exclusive)
    }

    /// Returns `true` if others reach this machine by another address than loopback, as far as is known.
    pub(super) fn has_lan_address(&self) -> bool {
        self.lan_sources().next().is_some()
    }

    /// The address under which a receiver can dial a peer, as the tracker would hand it out to it.
    pub(super) fn address_for(&self, receiver: IpAddr, peer: IpAddr) -> Option<IpAddr> {
        let is_v4_link_local = |ip| matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
        match (self.location_of(peer), self.location_of(receiver)) {
            (Location::Elsewhere, Location::Elsewhere | Location::Container) => {
                (!is_v4_link_local(peer) || is_v4_link_local(receiver)).then_some(peer)
            }
            (_, Location::Here) if peer == loopback(peer) => {
                // Transmission never dials loopback.
                let sources = || self.lan_sources().filter(|source| source.sharing == Sharing::Shared);
                let same_family = sources().find(|source| source.ip.is_ipv4() == peer.is_ipv4());
                same_family.or_else(|| sources().next()).map_or(Some(peer), |source| Some(source.ip))
            }
            (_, Location::Here) => Some(peer),
            (Location::Container, Location::Container)
                if self.container_network_of(peer) == self.container_network_of(receiver) =>
            {
                Some(peer)
            }
            (Location::Here | Location::Container, _) => self.way_here(receiver, peer),
        }
    }

    /// The address of this machine by which a receiver reaches a peer on it.
    fn way_here(&self, receiver: IpAddr, peer: IpAddr) -> Option<IpAddr> {
        let like = if peer.is_loopback() { receiver } else { peer };
        let shared = || self.sources.iter().filter(|source| source.sharing == Sharing::Shared);
        let of_family = |source: &&Source| source.ip.is_ipv4() == like.is_ipv4();
        let near = shared().filter(of_family).find(|source| source.network.contains(&receiver));
        let source =
            near.or_else(|| self.lan_sources().filter(|source| source.sharing == Sharing::Shared).find(of_family));
        source.map(|source| source.ip)
    }

    /// The sources that are not this machine's end of a network of containers.
    fn lan_sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| self.container_network_of(source.ip).is_none())
    }

    fn container_network_of(&self, ip: IpAddr) -> Option<&IpNet> {
        self.container_networks.iter().find(|network| network.contains(&ip))
    }
}

/// The loopback address of the family of an address.
fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn source(address: &str, sharing: Sharing) -> Source {
        let network: IpNet = address.parse().unwrap();
        Source { ip: network.addr(), network, sharing }
    }

    /// Two LANs, in one of which there is an address for the tracker's own peer, IPv6, and containers.
    pub(crate) fn network() -> Network {
        Network {
            sources: vec![
                source("10.77.0.1/24", Sharing::Shared),
                source("192.168.5.1/24", Sharing::Shared),
                source("192.168.5.2/24", Sharing::Exclusive),
                source("fd77::1/64", Sharing::Shared),
                source("172.17.0.1/16", Sharing::Shared),
            ],
            own_addresses: ["10.77.0.1", "192.168.5.1", "192.168.5.2", "fd77::1", "172.17.0.1"].map(ip).into(),
            container_networks: vec!["172.17.0.0/16".parse().unwrap()],
            lan: ["10.77.0.0/24", "192.168.5.0/24", "fd77::/64"].map(|network| network.parse().unwrap()).into(),
            access: Access::default(),
        }
    }

    #[test]
    fn peers_are_dialled_on_the_lan_only_and_as_the_operator_admits() {
        let named = Access::Networks(vec!["10.77.0.0/24".parse().unwrap(), "203.0.113.0/24".parse().unwrap()]);
        for (address, lan, named_networks, all) in [
            ("10.77.0.9", true, true, true),
            ("10.78.0.9", true, false, true),
            ("127.0.0.1", true, true, true),
            ("203.0.113.9", false, false, false),
            ("100.64.0.9", false, false, false),
            ("fd77::9", true, false, true),
            ("2001:db8::9", false, false, false),
            ("fe80::9", false, false, false),
        ] {
            for (access, expected) in [(Access::default(), lan), (named.clone(), named_networks), (Access::All, all)] {
                let network = Network { access: access.clone(), ..network() };
                assert_eq!(network.admits(ip(address)), expected, "{address} with {access:?}");
            }
        }
        let campus = Network { lan: vec!["203.0.113.0/24".parse().unwrap()], access: Access::All, ..network() };
        assert!(campus.admits(ip("203.0.113.9")) && !campus.admits(ip("203.0.114.9")));
    }

    #[test]
    fn a_target_is_dialled_from_its_network_or_else_from_the_best() {
        for (announced, target, sources) in [
            ("10.77.0.9", "10.77.0.9", &["10.77.0.1"][..]),
            ("192.168.5.9", "192.168.5.9", &["192.168.5.2", "192.168.5.1"]),
            ("10.99.0.9", "10.99.0.9", &["10.77.0.1"]),
            ("fd77::9", "fd77::9", &["fd77::1"]),
            ("fd78::9", "fd78::9", &["fd77::1"]),
            ("172.17.0.2", "172.17.0.2", &["172.17.0.1"]),
            ("127.0.0.1", "127.0.0.1", &["127.0.0.1"]),
            ("127.0.0.2", "127.0.0.2", &["127.0.0.1"]),
            ("::1", "::1", &["::1"]),
            ("10.77.0.1", "127.0.0.1", &["127.0.0.1"]),
            ("fd77::1", "::1", &["::1"]),
        ] {
            let dialled = network().target(SocketAddr::new(ip(announced), 6881));
            assert_eq!(dialled, SocketAddr::new(ip(target), 6881));
            let expected: Vec<_> = sources.iter().map(|source| ip(source)).collect();
            assert_eq!(network().sources_to(dialled.ip()), expected, "{announced}");
        }
        assert!(Network::default().sources_to(ip("10.77.0.9")).is_empty());
    }

    #[test]
    fn each_receiver_is_told_an_address_that_it_can_dial() {
        for (peer, receiver, told) in [
            ("10.77.0.8", "10.77.0.9", Some("10.77.0.8")),
            ("10.77.0.8", "127.0.0.1", Some("10.77.0.8")),
            ("fd77::8", "10.77.0.9", Some("fd77::8")),
            ("169.254.1.1", "169.254.2.2", Some("169.254.1.1")),
            ("169.254.1.1", "10.77.0.9", None),
            // On this machine: never the address of the tracker's own peer.
            ("127.0.0.1", "10.77.0.9", Some("10.77.0.1")),
            ("127.0.0.1", "192.168.5.9", Some("192.168.5.1")),
            ("10.77.0.1", "192.168.5.9", Some("192.168.5.1")),
            ("127.0.0.1", "fd77::9", Some("fd77::1")),
            ("10.77.0.1", "fd77::9", Some("10.77.0.1")),
            ("fd77::1", "192.168.5.9", Some("fd77::1")),
            // Both on this machine.
            ("127.0.0.1", "127.0.0.2", Some("10.77.0.1")),
            ("::1", "127.0.0.1", Some("fd77::1")),
            ("127.0.0.2", "127.0.0.1", Some("127.0.0.2")),
            // Containers.
            ("172.17.0.2", "172.17.0.3", Some("172.17.0.2")),
            ("172.17.0.2", "10.77.0.9", Some("10.77.0.1")),
            ("172.17.0.2", "127.0.0.1", Some("172.17.0.2")),
            ("127.0.0.1", "172.17.0.2", Some("172.17.0.1")),
        ] {
            assert_eq!(network().address_for(ip(receiver), ip(peer)), told.map(ip), "{peer} for {receiver}");
        }
        assert_eq!(Network::default().address_for(ip("127.0.0.2"), ip("127.0.0.1")), Some(ip("127.0.0.1")));
    }
}
