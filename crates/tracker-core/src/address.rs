//! Address truth: which address of a peer is right for whom.
//!
//! A tracker sees where a request came from, and that is not always where others can reach the sender. The rules:
//!
//! - A peer is kept under the address its announce came from. `ip=` counts only from trusted sources.
//! - A peer that announced over loopback is on the tracker's own machine. A client that asks from the network gets it
//!   under the address by which *that client* reached the tracker, which is right on a machine with several networks, too.
//! - A peer that announced from any other address of this machine is there as well, and goes out in the same way: the address
//!   that it announced from may belong to a network that the asker has no route to. So does a peer in a container on this
//!   machine, which others reach only by a port of this machine that is published for it. Both stay in their address family, and
//!   go out as they stand to askers on this machine, and in the same container network.
//! - A client that asks over loopback gets 127.0.0.1 and ::1 as the machine's LAN address where one is known, since Transmission
//!   never dials loopback; any other 127/8 address stays as it is.
//! - Addresses that nobody can dial are never handed out.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{AnnounceRequest, Config};

/// The client that asks for peers, and the way by which it reached the tracker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// The address that the request came from, never v4-mapped.
    pub(crate) remote: IpAddr,
    /// The address of this machine that the request was sent to, never v4-mapped.
    pub(crate) local: IpAddr,
}

impl Asker {
    pub(crate) fn of(request: &AnnounceRequest) -> Self {
        Self { remote: request.remote(), local: request.local() }
    }

    /// The address the asker's peer is kept under.
    pub(crate) fn announced_ip(&self, request: &AnnounceRequest, config: &Config) -> IpAddr {
        match request.claimed_ip() {
            Some(claimed) if is_claimable(claimed) && config.trusts(self.remote) => claimed,
            _ => self.remote,
        }
    }

    /// The address by which this asker can reach the peer kept under `ip`, if there is one.
    pub(crate) fn sees(&self, ip: IpAddr, config: &Config) -> Option<IpAddr> {
        let host = &config.host_addresses;
        if ip.is_loopback() {
            return if !self.remote.is_loopback() {
                self.way_here().or_else(|| host.prefer(self.remote))
            } else if is_localhost(ip) {
                host.prefer(ip).or(Some(ip))
            } else {
                Some(ip)
            };
        }
        let unchanged = Some(ip).filter(|&ip| !is_v4_link_local(ip) || is_v4_link_local(self.remote));
        let way_here =
            || self.way_here().filter(|local| local.is_ipv4() == ip.is_ipv4()).or_else(|| host.of_family(ip));
        match Place::of(ip, config) {
            Place::Elsewhere => unchanged,
            Place::Here | Place::Container(_) if self.remote.is_loopback() => Some(ip),
            Place::Here => way_here().or(unchanged),
            Place::Container(network) if network.contains(&self.remote) => Some(ip),
            Place::Container(_) => way_here(),
        }
    }

    /// The address by which this asker can reach the tracker's machine, unless it is on that machine itself.
    pub(crate) fn way_from_outside(&self, config: &Config, bits: AddressBits) -> Option<IpAddr> {
        if self.is_on_machine(self.remote, config, bits) {
            return None;
        }
        self.way_here().or_else(|| config.host_addresses.prefer(self.remote))
    }

    /// Returns `true` if what is kept under `ip` is on the tracker's machine, or in a container on it: others get it under the
    /// address by which they reach the machine.
    #[inline]
    pub(crate) fn is_on_machine(&self, ip: IpAddr, config: &Config, bits: AddressBits) -> bool {
        // It may have come to an address of this machine that is not configured (yet).
        ip == self.local || is_own(ip, config, bits)
    }

    /// The address by which the asker reached this machine, where that means something to others.
    fn way_here(&self) -> Option<IpAddr> {
        Some(self.local).filter(|&local| is_reachable(local) && !local.is_loopback())
    }

    /// Returns `true` if a peer that this asker sees under `ip` may be on the tracker's machine.
    pub(crate) fn is_here(&self, ip: IpAddr, config: &Config) -> bool {
        ip == self.local || matches!(Place::of(ip, config), Place::Here)
    }
}

/// Where the machine with an address is, which is not a loopback address.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'c> {
    /// It is the tracker's machine.
    Here,
    /// It is a container or a virtual machine on the tracker's machine, in this network.
    Container(&'c IpNet),
    /// It is another machine, as far as the tracker knows.
    Elsewhere,
}

impl<'c> Place<'c> {
    pub(crate) fn of(ip: IpAddr, config: &'c Config) -> Self {
        // The host's end of a bridge is in the network of the containers.
        if config.host_addresses.of_family(ip) == Some(ip) || config.own_addresses.contains(&ip) {
            return Self::Here;
        }
        let network = config.container_networks.iter().find(|network| network.contains(&ip));
        network.map_or(Self::Elsewhere, Self::Container)
    }
}

/// The addresses of this machine and its containers in two sets of bits, which tell at once of most other addresses that they are
/// none of these. Made when the settings change, since each peer of an answer is asked about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AddressBits {
    /// The bit [`last_bit`] of each of this machine's addresses.
    own: u64,
    /// The bit [`first_bit`] of each network of containers; all bits, if one is so large that it has several.
    containers: u64,
    /// `true` if this machine has an address in 169.254/16.
    pub(crate) has_v4_link_local: bool,
}

impl AddressBits {
    pub(crate) fn of(config: &Config) -> Self {
        let bits_of_network = |network: &IpNet| {
            let is_small = network.prefix_len() >= if network.addr().is_ipv4() { 8 } else { 16 };
            if is_small { first_bit(network.addr()) } else { u64::MAX }
        };
        Self {
            own: config.own_ips().fold(0, |bits, ip| bits | last_bit(ip)),
            containers: config.container_networks.iter().fold(0, |bits, network| bits | bits_of_network(network)),
            has_v4_link_local: config.own_addresses.iter().any(|&ip| is_v4_link_local(ip)),
        }
    }

    /// Returns `false` if an address is certainly neither this machine's nor that of a container on it.
    #[inline]
    pub(crate) fn may_have(self, ip: IpAddr) -> bool {
        self.own & last_bit(ip) != 0 || self.containers & first_bit(ip) != 0
    }
}

/// A bit for the end of an address, in which those of one network differ.
fn last_bit(ip: IpAddr) -> u64 {
    let last = match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    };
    1 << (last % 64)
}

/// A bit for the beginning of an address, in which those of different networks differ: of the first byte of IPv4, and of the
/// second of IPv6, since most private networks have the same first.
fn first_bit(ip: IpAddr) -> u64 {
    let first = match ip {
        IpAddr::V4(ip) => ip.octets()[0],
        IpAddr::V6(ip) => ip.octets()[1],
    };
    1 << (first % 64)
}

/// Returns `true` if this is an address of the tracker's machine, or of a container on it.
#[inline]
pub(crate) fn is_own(ip: IpAddr, config: &Config, bits: AddressBits) -> bool {
    ip.is_loopback() || (bits.may_have(ip) && !matches!(Place::of(ip, config), Place::Elsewhere))
}

/// Returns `true` if anybody at all can dial the peer. The others are counted, and never handed out.
pub(crate) fn is_dialable(ip: IpAddr, port: u16) -> bool {
    is_listening(port) && is_reachable(ip)
}

/// Returns `true` if a client that announces this port listens on it. libtorrent says 1 when it listens nowhere, as behind a
/// proxy.
pub(crate) const fn is_listening(port: u16) -> bool {
    port > 1
}

pub(crate) fn is_v4_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_link_local())
}

pub(crate) fn is_v6_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Returns `true` if the address can be that of a machine which others dial.
pub(crate) fn is_reachable(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    !(ip.is_unspecified() || ip.is_multicast() || broadcast || is_v6_link_local(ip))
}

/// Returns `true` if a client elsewhere can have the address that it claims to have.
pub(crate) fn is_claimable(ip: IpAddr) -> bool {
    is_reachable(ip) && !ip.is_loopback()
}

fn is_localhost(ip: IpAddr) -> bool {
    ip == IpAddr::from([127, 0, 0, 1]) || ip.is_ipv6()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostAddresses;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Two LAN addresses, one of which is the best, and a bridge of containers.
    fn config() -> Config {
        let own = ["10.77.0.1", "192.168.5.1", "172.17.0.1", "169.254.3.3", "fd77::1", "fd78::1"];
        Config::default().with(|config| {
            config.host_addresses =
                HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: Some("fd77::1".parse().unwrap()) };
            config.own_addresses = own.map(ip).into();
            config.container_networks = ["172.17.0.0/16", "fd17::/64"].map(|network| network.parse().unwrap()).into();
        })
    }

    /// compatibility.md, section 5: kept under, asker's remote, asker's local, handed out as.
    #[test]
    fn each_asker_gets_an_address_it_can_dial() {
        for (kept, remote, local, seen) in [
            // On the tracker's own machine: by the way the asker came.
            ("127.0.0.1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("127.0.0.1", "192.168.5.9", "192.168.5.1", Some("192.168.5.1")),
            ("127.4.5.6", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("::1", "fd77::9", "fd77::1", Some("fd77::1")),
            ("127.0.0.1", "fd77::9", "fd77::1", Some("fd77::1")),
            ("::1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            // By a way that tells nothing: link-local, or through a proxy on the machine.
            ("127.0.0.1", "fe80::9", "fe80::1", Some("fd77::1")),
            ("127.0.0.1", "10.77.0.9", "127.0.0.1", Some("10.77.0.1")),
            // Both on the tracker's own machine.
            ("127.0.0.1", "127.0.0.1", "127.0.0.1", Some("10.77.0.1")),
            ("::1", "127.0.0.1", "127.0.0.1", Some("fd77::1")),
            ("127.0.0.2", "127.0.0.1", "127.0.0.1", Some("127.0.0.2")),
            ("127.0.0.2", "127.0.0.3", "127.0.0.1", Some("127.0.0.2")),
            // The addresses of ordinary peers are the same for every asker.
            ("10.77.0.8", "10.77.0.9", "10.77.0.1", Some("10.77.0.8")),
            ("10.77.0.8", "127.0.0.1", "127.0.0.1", Some("10.77.0.8")),
            ("fd77::8", "10.77.0.9", "10.77.0.1", Some("fd77::8")),
            // 169.254/16 is for those in it.
            ("169.254.1.1", "169.254.2.2", "169.254.3.3", Some("169.254.1.1")),
            ("169.254.1.1", "10.77.0.9", "10.77.0.1", None),
            ("169.254.1.1", "fd77::9", "fd77::1", None),
        ] {
            let asker = Asker { remote: ip(remote), local: ip(local) };
            assert_eq!(asker.sees(ip(kept), &config()), seen.map(ip), "{kept} for {remote} by {local}");
        }
    }

    #[test]
    fn a_client_on_the_trackers_machine_goes_out_by_the_askers_way_whatever_address_it_announced_from() {
        for (kept, remote, local, seen) in [
            ("10.77.0.1", "192.168.5.9", "192.168.5.1", Some("192.168.5.1")),
            ("192.168.5.1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("10.77.0.1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("fd78::1", "fd77::9", "fd77::1", Some("fd77::1")),
            ("169.254.3.3", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("10.77.0.1", "169.254.2.2", "169.254.3.3", Some("169.254.3.3")),
            // By an address that is not in the list (yet).
            ("10.77.0.1", "10.99.0.9", "10.99.0.1", Some("10.99.0.1")),
            // The host's end of the bridge, and a container that asks.
            ("172.17.0.1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("10.77.0.1", "172.17.0.2", "172.17.0.1", Some("172.17.0.1")),
            // The asker is on the same machine, too.
            ("192.168.5.1", "10.77.0.1", "10.77.0.1", Some("10.77.0.1")),
            ("192.168.5.1", "127.0.0.1", "127.0.0.1", Some("192.168.5.1")),
            // The asker's way is of the other family, or tells nothing: the best address of the same family.
            ("192.168.5.1", "fd77::9", "fd77::1", Some("10.77.0.1")),
            ("fd78::1", "10.77.0.9", "10.77.0.1", Some("fd77::1")),
            ("192.168.5.1", "10.77.0.9", "127.0.0.1", Some("10.77.0.1")),
            ("fd78::1", "fe80::9", "fe80::1", Some("fd77::1")),
        ] {
            let asker = Asker { remote: ip(remote), local: ip(local) };
            assert_eq!(asker.sees(ip(kept), &config()), seen.map(ip), "{kept} for {remote} by {local}");
        }
        let asker = Asker { remote: ip("fd77::9"), local: ip("fd77::1") };
        let config = config().with(|config| config.host_addresses = HostAddresses::default());
        assert_eq!(asker.sees(ip("192.168.5.1"), &config), Some(ip("192.168.5.1")), "there is nothing better");
    }

    #[test]
    fn a_container_on_the_trackers_machine_goes_out_by_the_askers_way() {
        for (kept, remote, local, seen) in [
            ("172.17.0.2", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("172.17.0.2", "192.168.5.9", "192.168.5.1", Some("192.168.5.1")),
            ("fd17::2", "fd77::9", "fd77::1", Some("fd77::1")),
            ("172.17.0.2", "10.77.0.1", "10.77.0.1", Some("10.77.0.1")),
            ("172.17.0.2", "fd77::9", "fd77::1", Some("10.77.0.1")),
            // Neighbours of the container, and the machine itself, reach it directly.
            ("172.17.0.2", "172.17.0.3", "172.17.0.1", Some("172.17.0.2")),
            ("172.17.0.2", "127.0.0.1", "127.0.0.1", Some("172.17.0.2")),
            // A network like it elsewhere.
            ("172.18.0.2", "10.77.0.9", "10.77.0.1", Some("172.18.0.2")),
        ] {
            let asker = Asker { remote: ip(remote), local: ip(local) };
            assert_eq!(asker.sees(ip(kept), &config()), seen.map(ip), "{kept} for {remote} by {local}");
        }
        let asker = Asker { remote: ip("fd77::9"), local: ip("fd77::1") };
        let config = config().with(|config| config.host_addresses = HostAddresses::default());
        assert_eq!(asker.sees(ip("172.17.0.2"), &config), None, "nobody else can dial it");
    }

    #[test]
    fn without_a_lan_address_loopback_stays() {
        let asker = Asker { remote: ip("127.0.0.1"), local: ip("127.0.0.1") };
        assert_eq!(asker.sees(ip("127.0.0.1"), &Config::default()), Some(ip("127.0.0.1")));
        let behind_proxy = Asker { remote: ip("10.0.0.9"), local: ip("127.0.0.1") };
        assert_eq!(behind_proxy.sees(ip("127.0.0.1"), &Config::default()), None);
    }

    #[test]
    fn addresses_that_nobody_can_dial_are_known() {
        for (address, dialable) in [
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("fd77::1", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::", false),
            ("ff02::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_dialable(ip(address), 6881), dialable, "{address}");
        }
        for (port, dialable) in [(0, false), (1, false), (2, true), (u16::MAX, true)] {
            assert_eq!(is_dialable(ip("10.0.0.1"), port), dialable, "{port}");
        }
    }
}
