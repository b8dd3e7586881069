//! The addresses of the simulated peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Peers that share an address have different ports, from this one on.
const FIRST_PORT: u16 = 1025;
/// The number of peers that fit on one address.
pub(crate) const PORTS: u32 = 64_000;

/// The number of addresses for peers on loopback: 127.x.y.z with x and z from 1 to 254, so that neither 127.0.0.1 nor a
/// broadcast address is among them.
pub(crate) const LOOPBACK_SOURCES: u32 = 254 * 256 * 254;
/// Replaces the tracker's own address where that is one of the addresses above.
const SPARE: Ipv4Addr = Ipv4Addr::new(127, 255, 0, 1);

/// Maps the number of a peer to its address and port and back, without a table: the number is the count of sources times the
/// rank of the port plus the index of the source.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    count: u32,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Addresses of 127/8. `tracker` is the index of the tracker's own, if it is one of them.
    Loopback { tracker: Option<u32> },
    /// The address by which this machine reaches the tracker.
    Own(IpAddr),
    /// ::1, also if the tracker hands out another address for it: some give the machine's address on the LAN.
    OwnUnderAnyName,
}

impl Sources {
    /// The first `count` addresses of 127/8 that peers may have, but not `tracker`. At most [`LOOPBACK_SOURCES`].
    pub(crate) fn loopback(count: u32, tracker: Ipv4Addr) -> Self {
        debug_assert!((1..=LOOPBACK_SOURCES).contains(&count));
        Self { count, kind: Kind::Loopback { tracker: loopback_index(tracker).filter(|&index| index < count) } }
    }

    /// One address that all peers have.
    pub(crate) fn own(address: IpAddr) -> Self {
        let kind = if address == IpAddr::V6(Ipv6Addr::LOCALHOST) { Kind::OwnUnderAnyName } else { Kind::Own(address) };
        Self { count: 1, kind }
    }

    /// The number of addresses.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The number of peers that fit. Their numbers are below it.
    pub(crate) fn capacity(&self) -> u32 {
        // The highest numbers mean "none" elsewhere.
        self.count.saturating_mul(PORTS).min(u32::MAX - 1)
    }

    /// The index of the address of a peer.
    pub(crate) fn source(&self, number: u32) -> u32 {
        number % self.count
    }

    /// The address with this index.
    pub(crate) fn address(&self, source: u32) -> IpAddr {
        match self.kind {
            Kind::Loopback { tracker } if tracker == Some(source) => SPARE.into(),
            Kind::Loopback { .. } => loopback_address(source).into(),
            Kind::Own(address) => address,
            Kind::OwnUnderAnyName => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// The port of a peer.
    pub(crate) fn port(&self, number: u32) -> u16 {
        let rank = (number / self.count + skew(number % self.count)) % PORTS;
        FIRST_PORT + u16::try_from(rank).expect("less than PORTS")
    }

    /// The number of the peer with this address and port, from a compact `peers` (BEP 23). `None` if no peer can have them.
    pub(crate) fn number_of_v4(&self, address: Ipv4Addr, port: u16) -> Option<u32> {
        let source = match self.kind {
            Kind::Loopback { tracker: Some(source) } if address == SPARE => source,
            Kind::Loopback { tracker } => loopback_index(address).filter(|source| tracker != Some(*source))?,
            Kind::Own(own) => (own == address).then_some(0)?,
            Kind::OwnUnderAnyName => return None,
        };
        self.number(source, port)
    }

    /// The number of the peer with this address and port, from a `peers6` (BEP 7).
    pub(crate) fn number_of_v6(&self, address: Ipv6Addr, port: u16) -> Option<u32> {
        match self.kind {
            Kind::Own(own) if own == address => self.number(0, port),
            Kind::OwnUnderAnyName => self.number(0, port),
            _ => None,
        }
    }

    fn number(&self, source: u32, port: u16) -> Option<u32> {
        let rank = u32::from(port.checked_sub(FIRST_PORT)?);
        if source >= self.count || rank >= PORTS {
            return None;
        }
        let unskewed = (rank + PORTS - skew(source)) % PORTS;
        unskewed.checked_mul(self.count)?.checked_add(source).filter(|&number| number < self.capacity())
    }
}

/// An offset of ports by source, so that peers with different addresses have different ports, too.
fn skew(source: u32) -> u32 {
    // A prime that does not divide PORTS; the product of a small number stays within 32 bits.
    (source % PORTS) * 40_503 % PORTS
}

fn loopback_address(index: u32) -> Ipv4Addr {
    let [x, y, z] = [index / (256 * 254) + 1, index / 254 % 256, index % 254 + 1];
    Ipv4Addr::from(127 << 24 | x << 16 | y << 8 | z)
}

fn loopback_index(address: Ipv4Addr) -> Option<u32> {
    let [127, x @ 1..=254, y, z @ 1..=254] = address.octets() else { return None };
    Some((u32::from(x) - 1) * (256 * 254) + u32::from(y) * 254 + u32::from(z) - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TRACKER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 9);

    fn v4(sources: &Sources, number: u32) -> (Ipv4Addr, u16) {
        let IpAddr::V4(address) = sources.address(sources.source(number)) else { panic!("IPv4") };
        (address, sources.port(number))
    }

    #[test]
    fn each_number_is_one_address_and_port() {
        for count in [1, 7, 100, LOOPBACK_SOURCES] {
            let sources = Sources::loopback(count, TRACKER);
            let last = sources.capacity() - 1;
            let mut seen = HashSet::new();
            for number in (0..50_000).chain((0..last).step_by(last as usize / 1000)).chain([last]) {
                let (address, port) = v4(&sources, number);
                assert!(address.is_loopback() && address != TRACKER && address != Ipv4Addr::LOCALHOST);
                assert_eq!(sources.number_of_v4(address, port), Some(number));
                seen.insert((number, address, port));
            }
            let numbers: HashSet<_> = seen.iter().map(|&(number, ..)| number).collect();
            let endpoints: HashSet<_> = seen.iter().map(|&(_, address, port)| (address, port)).collect();
            assert_eq!(numbers.len(), endpoints.len());
        }
    }

    #[test]
    fn a_million_peers_are_a_million_addresses() {
        let sources = Sources::loopback(LOOPBACK_SOURCES, TRACKER);
        let addresses: HashSet<_> = (0..1_000_000).map(|number| v4(&sources, number).0).collect();
        assert_eq!(addresses.len(), 1_000_000);
        assert!(addresses.contains(&SPARE));
    }

    #[test]
    fn addresses_that_no_peer_has_have_no_number() {
        let sources = Sources::loopback(10, TRACKER);
        let (address, port) = v4(&sources, 3);
        assert_eq!(sources.number_of_v4(address, port), Some(3));
        for (address, port) in [
            (Ipv4Addr::LOCALHOST, port),
            (TRACKER, port),
            (Ipv4Addr::new(127, 1, 0, 11), port),
            (Ipv4Addr::new(127, 1, 0, 0), port),
            (Ipv4Addr::new(10, 1, 0, 4), port),
            (address, 0),
            (address, 1024),
            (address, 65_025),
        ] {
            assert_eq!(sources.number_of_v4(address, port), None, "{address}:{port}");
        }
        assert_eq!(sources.number_of_v6(Ipv6Addr::LOCALHOST, port), None);
    }

    #[test]
    fn ipv6_peers_differ_by_port() {
        let own: Ipv6Addr = "fd00::7".parse().unwrap();
        let lan: Ipv6Addr = "fd00::8".parse().unwrap();
        let sources = Sources::own(own.into());
        assert_eq!(sources.capacity(), PORTS);
        assert_eq!(sources.number_of_v6(own, sources.port(5)), Some(5));
        assert_eq!(sources.number_of_v6(lan, sources.port(5)), None);
        let loopback = Sources::own(Ipv6Addr::LOCALHOST.into());
        assert_eq!(loopback.number_of_v6(lan, loopback.port(5)), Some(5));
    }
}
