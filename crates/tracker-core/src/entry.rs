//! A peer in as few bytes as an answer has, and two more.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address_group::OwnNetworks;
use crate::{PeerState, Peers};

/// A peer's address, its state and a [`DigestOrExpiry`].
pub(crate) trait Entry: Copy + fmt::Debug {
    /// An address of the family, as a number.
    type Ip: Copy + Eq + Hash + Into<IpAddr>;

    fn new(ip: Self::Ip, port: u16, tag: Tag) -> Self;

    fn ip(self) -> Self::Ip;

    fn port(self) -> u16;

    fn tag(self) -> Tag;

    /// Hands the peer out as it stands.
    fn copy_to(self, peers: &mut Peers);

    fn is_at(self, ip: Self::Ip, port: u16) -> bool {
        self.ip() == ip && self.port() == port
    }

    /// The bits of an address that its [group](crate::AddressGroup) has in common.
    fn group_mask(ip: Self::Ip, own: &OwnNetworks) -> u128;

    /// The address with only these bits: the same for all of a group.
    fn masked(ip: Self::Ip, mask: u128) -> Self::Ip;
}

/// The part of an entry besides the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) state: PeerState,
    pub(crate) download: Download,
    pub(crate) digest_or_expiry: DigestOrExpiry,
}

/// The progress of the peer's download as the tracker saw it, so that each download counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Download {
    /// It was never seen leeching.
    Unseen,
    /// It was seen leeching.
    Begun,
    /// It was counted as completed.
    Counted,
}

/// Twelve bits: a digest of the peer id where that is kept, so that the peer id itself is seldom looked at; else when the peer
/// is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DigestOrExpiry(u16);

impl DigestOrExpiry {
    pub(crate) const BITS: u32 = 12;

    /// The lowest bits of `number`.
    pub(crate) const fn new(number: u32) -> Self {
        Self((number & ((1 << Self::BITS) - 1)) as u16)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl Tag {
    fn from_bits(bits: u16) -> Self {
        Self {
            state: match bits & 3 {
                0 => PeerState::Leecher,
                1 => PeerState::PartialSeed,
                _ => PeerState::Seeder,
            },
            download: match bits >> 2 & 3 {
                0 => Download::Unseen,
                1 => Download::Begun,
                _ => Download::Counted,
            },
            digest_or_expiry: DigestOrExpiry(bits >> 4),
        }
    }

    fn to_bits(self) -> u16 {
        let state = match self.state {
            PeerState::Leecher => 0,
            PeerState::PartialSeed => 1,
            PeerState::Seeder => 2,
        };
        let download = match self.download {
            Download::Unseen => 0,
            Download::Begun => 1,
            Download::Counted => 2,
        };
        self.digest_or_expiry.0 << 4 | download << 2 | state
    }
}

/// An IPv4 peer: address, port and tag from the highest bits to the lowest, so that a comparison of places is one of
/// numbers.
#[derive(Clone, Copy)]
pub(crate) struct EntryV4(u64);

impl Entry for EntryV4 {
    type Ip = Ipv4Addr;

    fn new(ip: Ipv4Addr, port: u16, tag: Tag) -> Self {
        Self(u64::from(ip.to_bits()) << 32 | u64::from(port) << 16 | u64::from(tag.to_bits()))
    }

    fn ip(self) -> Ipv4Addr {
        Ipv4Addr::from_bits((self.0 >> 32) as u32)
    }

    fn port(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn tag(self) -> Tag {
        Tag::from_bits(self.0 as u16)
    }

    fn copy_to(self, peers: &mut Peers) {
        let [compact @ .., _, _] = self.0.to_be_bytes();
        peers.push_v4(compact);
    }

    fn is_at(self, ip: Ipv4Addr, port: u16) -> bool {
        self.0 >> 16 == u64::from(ip.to_bits()) << 16 | u64::from(port)
    }

    fn group_mask(_: Ipv4Addr, _: &OwnNetworks) -> u128 {
        u128::MAX
    }

    fn masked(ip: Ipv4Addr, _: u128) -> Ipv4Addr {
        ip
    }
}

impl fmt::Debug for EntryV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {:?}", self.ip(), self.port(), self.tag())
    }
}

/// An IPv6 peer: 16 bytes of address, port and tag, big-endian.
#[derive(Clone, Copy)]
pub(crate) struct EntryV6 {
    compact: [u8; 18],
    tag: [u8; 2],
}

impl Entry for EntryV6 {
    type Ip = Ipv6Addr;

    fn new(ip: Ipv6Addr, port: u16, tag: Tag) -> Self {
        let mut compact = [0; 18];
        compact[..16].copy_from_slice(&ip.octets());
        compact[16..].copy_from_slice(&port.to_be_bytes());
        Self { compact, tag: tag.to_bits().to_be_bytes() }
    }

    fn ip(self) -> Ipv6Addr {
        let [ip @ .., _, _] = self.compact;
        Ipv6Addr::from(ip)
    }

    fn port(self) -> u16 {
        let [.., high, low] = self.compact;
        u16::from_be_bytes([high, low])
    }

    fn tag(self) -> Tag {
        Tag::from_bits(u16::from_be_bytes(self.tag))
    }

    fn copy_to(self, peers: &mut Peers) {
        peers.push_v6(self.compact);
    }

    fn group_mask(ip: Ipv6Addr, own: &OwnNetworks) -> u128 {
        own.mask(ip)
    }

    fn masked(ip: Ipv6Addr, mask: u128) -> Ipv6Addr {
        Ipv6Addr::from_bits(ip.to_bits() & mask)
    }
}

impl fmt::Debug for EntryV6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]:{} {:?}", self.ip(), self.port(), self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> impl Iterator<Item = Tag> {
        let states = [PeerState::Leecher, PeerState::PartialSeed, PeerState::Seeder];
        let downloads = [Download::Unseen, Download::Begun, Download::Counted];
        states.into_iter().flat_map(move |state| {
            downloads.into_iter().flat_map(move |download| {
                [0, 1, 4095].map(|bits| Tag { state, download, digest_or_expiry: DigestOrExpiry::new(bits) })
            })
        })
    }

    #[test]
    fn entries_are_small_and_lose_nothing() {
        assert_eq!((size_of::<EntryV4>(), size_of::<EntryV6>()), (8, 20));
        for tag in tags() {
            let ip = Ipv4Addr::new(192, 168, 1, 20);
            let entry = EntryV4::new(ip, 6881, tag);
            assert_eq!((entry.ip(), entry.port(), entry.tag()), (ip, 6881, tag));
            assert!(entry.is_at(ip, 6881) && !entry.is_at(ip, 6882) && !entry.is_at(Ipv4Addr::LOCALHOST, 6881));

            let ip: Ipv6Addr = "fd77::20".parse().unwrap();
            let entry = EntryV6::new(ip, 6881, tag);
            assert_eq!((entry.ip(), entry.port(), entry.tag()), (ip, 6881, tag));
            assert!(entry.is_at(ip, 6881) && !entry.is_at(ip, 6882));
        }
    }

    #[test]
    fn an_answer_has_them_as_they_stand() {
        let tag = tags().last().unwrap();
        let mut peers = Peers::default();
        EntryV4::new(Ipv4Addr::new(192, 168, 1, 20), 6881, tag).copy_to(&mut peers);
        EntryV6::new("fd77::20".parse().unwrap(), 6881, tag).copy_to(&mut peers);
        assert_eq!(peers.v4(), [[192, 168, 1, 20, 0x1a, 0xe1]]);
        assert_eq!(peers.v6(), [*b"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\x1a\xe1"]);
    }
}
