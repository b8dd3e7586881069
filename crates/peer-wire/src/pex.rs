//! Peer exchange.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bencode::Dict;
use thiserror::Error;

use crate::extension::DECODER;

/// The most addresses that are told in one message, of those that are added and of those that are dropped
/// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)).
pub const MAX_PEX_SENT: usize = 50;

/// The most addresses that are read from one message, of those that are added and of those that are dropped: as many as libtorrent
/// adds in one. More are passed over.
pub const MAX_PEX_RECEIVED: usize = 100;

/// Bytes of an address with its port.
const V4_BYTES: usize = 6;
const V6_BYTES: usize = 18;

/// A `ut_pex` message, by which a peer tells which others it is connected to
/// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)): those since its last message, and those no more.
///
/// ```
/// use peer_wire::{Pex, PexFlags, PexPeer};
///
/// let address = "192.168.1.20:6881".parse()?;
/// let pex = Pex { added: vec![PexPeer { address, flags: PexFlags::SEED }], dropped: vec![] };
/// let payload = pex.encode();
/// assert!(payload.starts_with(b"d5:added6:\xc0\xa8\x01\x14\x1a\xe17:added.f1:\x02"));
/// assert_eq!(Pex::decode(&payload)?, pex);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pex {
    /// Peers that the sender is connected to.
    pub added: Vec<PexPeer>,
    /// Peers that the sender is not connected to any more.
    pub dropped: Vec<SocketAddr>,
}

/// A peer of which others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PexPeer {
    /// The address that it listens on, or is believed to.
    pub address: SocketAddr,
    /// What is known of it.
    pub flags: PexFlags,
}

impl Pex {
    /// Reads the payload of a `ut_pex` message. IPv4 addresses come before IPv6 addresses; those with port 0 and those that are
    /// not of one host are left out, as is what is beyond [`MAX_PEX_RECEIVED`]. A list that breaks off in an address ends before it,
    /// and flags that are missing are not set.
    ///
    /// # Errors
    ///
    /// The payload does not begin with a dict.
    pub fn decode(payload: &[u8]) -> Result<Self, PexError> {
        let document = DECODER.decode(payload).map_err(|_| PexError)?;
        let dict = document.root().as_dict().ok_or(PexError)?;
        let bytes = |key| bytes(dict, key);
        let added = v4(bytes("added"), bytes("added.f")).chain(v6(bytes("added6"), bytes("added6.f")));
        let dropped = v4(bytes("dropped"), &[]).chain(v6(bytes("dropped6"), &[]));
        Ok(Self {
            added: added.filter(|peer| is_usable(peer.address)).take(MAX_PEX_RECEIVED).collect(),
            dropped: dropped
                .map(|peer| peer.address)
                .filter(|address| is_usable(*address))
                .take(MAX_PEX_RECEIVED)
                .collect(),
        })
    }

    /// The payload of a `ut_pex` message. All entries are there even if they are empty, as libtorrent writes them: every client
    /// can read its messages. More than [`MAX_PEX_SENT`] of a list are left out.
    pub fn encode(&self) -> Vec<u8> {
        let (mut added, mut flags) = (Lists::default(), Lists::default());
        for peer in self.added.iter().take(MAX_PEX_SENT) {
            added.push(peer.address);
            flags.of(peer.address).push(peer.flags.0);
        }
        let mut dropped = Lists::default();
        for address in self.dropped.iter().take(MAX_PEX_SENT) {
            dropped.push(*address);
        }
        let encoded = bencode::encode(|pex| {
            pex.dict(|dict| {
                dict.bytes("added", added.v4);
                dict.bytes("added.f", flags.v4);
                dict.bytes("added6", added.v6);
                dict.bytes("added6.f", flags.v6);
                dict.bytes("dropped", dropped.v4);
                dict.bytes("dropped6", dropped.v6);
            });
        });
        encoded.expect("the keys are different ones")
    }
}

/// Bytes for each of the two address families.
#[derive(Default)]
struct Lists {
    v4: Vec<u8>,
    v6: Vec<u8>,
}

impl Lists {
    fn of(&mut self, address: SocketAddr) -> &mut Vec<u8> {
        if address.ip().to_canonical().is_ipv4() { &mut self.v4 } else { &mut self.v6 }
    }

    fn push(&mut self, address: SocketAddr) {
        let list = self.of(address);
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => list.extend(ip.octets()),
            IpAddr::V6(ip) => list.extend(ip.octets()),
        }
        list.extend(address.port().to_be_bytes());
    }
}

/// The string of this key, empty if there is none.
fn bytes<'a>(dict: Dict<'a, '_>, key: &str) -> &'a [u8] {
    dict.get(key).and_then(|value| value.as_bytes()).unwrap_or_default()
}

fn v4(addresses: &[u8], flags: &[u8]) -> impl Iterator<Item = PexPeer> {
    let (addresses, _) = addresses.as_chunks::<V4_BYTES>();
    let addresses = addresses.iter().map(|&[a, b, c, d, high, low]| {
        SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
    });
    with_flags(addresses, flags)
}

fn v6(addresses: &[u8], flags: &[u8]) -> impl Iterator<Item = PexPeer> {
    let (addresses, _) = addresses.as_chunks::<V6_BYTES>();
    let addresses = addresses.iter().map(|&[ref ip @ .., high, low]| {
        let ip = Ipv6Addr::from_octets(*ip);
        SocketAddr::new(IpAddr::from(ip).to_canonical(), u16::from_be_bytes([high, low]))
    });
    with_flags(addresses, flags)
}

fn with_flags(addresses: impl Iterator<Item = SocketAddr>, flags: &[u8]) -> impl Iterator<Item = PexPeer> {
    let flags = flags.iter().map(|&bits| PexFlags(bits)).chain(std::iter::repeat(PexFlags::default()));
    addresses.zip(flags).map(|(address, flags)| PexPeer { address, flags })
}

/// Returns `true` if a client could connect to the address.
fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

/// What is told of a peer, apart from its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PexFlags(u8);

impl PexFlags {
    /// It prefers encrypted connections.
    pub const ENCRYPTION: Self = Self(0x01);
    /// It has all pieces, or downloads no more.
    pub const SEED: Self = Self(0x02);
    /// It speaks the Micro Transport Protocol.
    pub const UTP: Self = Self(0x04);
    /// It introduces peers that cannot connect to each other.
    pub const HOLEPUNCH: Self = Self(0x08);
    /// The sender connected to it, so that others can.
    pub const REACHABLE: Self = Self(0x10);

    /// The flags in this byte.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The byte.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns `true` if all of `others` are set.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These flags and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl fmt::Debug for PexFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PexFlags({:#04x})", self.0)
    }
}

/// The payload of a `ut_pex` message is not a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a ut_pex message is not a dict")]
pub struct PexError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(address: &str, flags: PexFlags) -> PexPeer {
        PexPeer { address: address.parse().expect("an address"), flags }
    }

    #[test]
    fn messages_are_read_and_written() {
        let cases: [(&[u8], Pex); 3] = [
            (b"d5:added0:7:added.f0:6:added60:8:added6.f0:7:dropped0:8:dropped60:e", Pex::default()),
            (
                b"d5:added12:\x0a\x4d\0\x02\x1a\xe1\x0a\x4d\0\x03\xc8\xd57:added.f2:\x02\x106:added60:8:added6.f0:\
                  7:dropped6:\x0a\x4d\0\x04\x1a\xe18:dropped60:e",
                Pex {
                    added: vec![peer("10.77.0.2:6881", PexFlags::SEED), peer("10.77.0.3:51413", PexFlags::REACHABLE)],
                    dropped: vec!["10.77.0.4:6881".parse().expect("an address")],
                },
            ),
            (
                b"d5:added0:7:added.f0:6:added618:\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x1a\xe18:added6.f1:\x0c\
                  7:dropped0:8:dropped618:\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\x1a\xe1e",
                Pex {
                    added: vec![peer("[fd00::2]:6881", PexFlags::UTP.with(PexFlags::HOLEPUNCH))],
                    dropped: vec!["[fd00::3]:6881".parse().expect("an address")],
                },
            ),
        ];
        for (payload, pex) in cases {
            assert_eq!(Pex::decode(payload), Ok(pex.clone()));
            assert_eq!(pex.encode().escape_ascii().to_string(), payload.escape_ascii().to_string());
        }
    }

    #[test]
    fn reading_is_lenient() {
        let none = PexFlags::default();
        for (payload, added) in [
            (&b"de"[..], vec![]),
            (b"d5:addedi1e7:droppedlee", vec![]),
            // Breaks off in the second address.
            (b"d5:added11:\x0a\0\0\x01\0\x01\x0a\0\0\x02\0e", vec![peer("10.0.0.1:1", none)]),
            // No flags, too few, and too many.
            (b"d5:added6:\x0a\0\0\x01\0\x01e", vec![peer("10.0.0.1:1", none)]),
            (
                b"d5:added12:\x0a\0\0\x01\0\x01\x0a\0\0\x02\0\x017:added.f1:\x02e",
                vec![peer("10.0.0.1:1", PexFlags::SEED), peer("10.0.0.2:1", none)],
            ),
            (b"d5:added6:\x0a\0\0\x01\0\x017:added.f3:\x02\x02\x02e", vec![peer("10.0.0.1:1", PexFlags::SEED)]),
            // No port, no host, many hosts; their flags go with them.
            (
                b"d5:added24:\x0a\0\0\x01\0\0\0\0\0\0\0\x01\xe0\0\0\x01\0\x01\x0a\0\0\x02\0\x017:added.f4:\x01\x01\x01\x02e",
                vec![peer("10.0.0.2:1", PexFlags::SEED)],
            ),
            // IPv4 in the form of IPv6.
            (b"d6:added618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01\0\x01e", vec![peer("10.0.0.1:1", none)]),
        ] {
            assert_eq!(Pex::decode(payload), Ok(Pex { added, dropped: vec![] }), "{}", payload.escape_ascii());
        }
        for payload in [&b""[..], b"le", b"d", b"d5:added9:\x0a"] {
            assert_eq!(Pex::decode(payload), Err(PexError));
        }
    }

    #[test]
    fn there_are_never_too_many() {
        let address = |n: u8| SocketAddr::from(([10, 0, 0, n], 6881));
        let many = Pex {
            added: (1..=60).map(|n| PexPeer { address: address(n), flags: PexFlags::SEED }).collect(),
            dropped: (1..=70).map(address).collect(),
        };
        let sent = Pex::decode(&many.encode()).expect("a message");
        assert_eq!((&sent.added[..], &sent.dropped[..]), (&many.added[..50], &many.dropped[..50]));

        let payload = bencode::encode(|pex| {
            pex.dict(|dict| {
                for (key, length) in
                    [("added", V4_BYTES), ("added6", V6_BYTES), ("dropped", V4_BYTES), ("dropped6", V6_BYTES)]
                {
                    dict.bytes(key, [1].repeat(60 * length));
                }
            });
        });
        let received = Pex::decode(&payload.expect("canonical")).expect("a message");
        assert_eq!((received.added.len(), received.dropped.len()), (100, 100));
        assert!(received.added[59].address.is_ipv4() && received.added[60].address.is_ipv6());
    }

    #[test]
    fn ipv4_in_the_form_of_ipv6_is_sent_as_ipv4() {
        let pex = Pex { added: vec![peer("[::ffff:10.0.0.1]:1", PexFlags::SEED)], dropped: vec![] };
        assert!(pex.encode().starts_with(b"d5:added6:\x0a\0\0\x01\0\x017:added.f1:\x02"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            added in prop::collection::vec((any::<IpAddr>(), 1..=u16::MAX, any::<u8>()), 0..50),
            dropped in prop::collection::vec((any::<IpAddr>(), 1..=u16::MAX), 0..50),
        ) {
            let usable = |ip: IpAddr, port| Some(SocketAddr::new(ip.to_canonical(), port)).filter(|it| is_usable(*it));
            let added = added.into_iter().filter_map(|(ip, port, bits)| {
                Some(PexPeer { address: usable(ip, port)?, flags: PexFlags(bits) })
            });
            let dropped = dropped.into_iter().filter_map(|(ip, port)| usable(ip, port));
            let mut pex = Pex { added: added.collect(), dropped: dropped.collect() };
            // A message holds the families one after the other.
            pex.added.sort_by_key(|peer| peer.address.is_ipv6());
            pex.dropped.sort_by_key(|address| address.is_ipv6());
            prop_assert_eq!(Pex::decode(&pex.encode()), Ok(pex));
        }
    }
}
