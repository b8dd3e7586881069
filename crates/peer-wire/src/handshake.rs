//! The first 68 bytes of each side.

use std::fmt;

use thiserror::Error;

/// The first bytes of a handshake: the length of the protocol's name, and the name.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The handshake ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)), which comes before all messages.
///
/// ```
/// use peer_wire::{Handshake, Reserved};
///
/// let reserved = Reserved::EXTENSIONS.with(Reserved::FAST);
/// let handshake = Handshake { reserved, info_hash: [7; 20], peer_id: *b"-XX0001-aaaaaaaaaaaa" };
/// let bytes = handshake.encode();
/// assert!(bytes.starts_with(b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04"));
/// assert_eq!(Handshake::decode(&bytes)?, Some(handshake));
/// # Ok::<(), peer_wire::HandshakeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handshake {
    /// The extensions of the protocol that the sender knows.
    pub reserved: Reserved,
    /// The torrent that the connection is for.
    pub info_hash: [u8; 20],
    /// The sender's name for itself.
    pub peer_id: [u8; 20],
}

impl Handshake {
    /// The number of bytes of a handshake.
    pub const BYTES: usize = 68;

    /// Reads the handshake that `bytes` begin with. `None` if there are fewer than [`BYTES`](Self::BYTES) and all of them may
    /// belong to one. What follows a handshake is passed over.
    ///
    /// # Errors
    ///
    /// Returns [`HandshakeError`] at the first byte that no handshake has, so that a peer which speaks another protocol is
    /// not waited for.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, HandshakeError> {
        if bytes.iter().zip(PROTOCOL).any(|(byte, expected)| byte != expected) {
            return Err(HandshakeError);
        }
        let Some(bytes) = bytes.first_chunk::<{ Self::BYTES }>() else { return Ok(None) };
        let reserved = Reserved(array(bytes, 20));
        Ok(Some(Self { reserved, info_hash: array(bytes, 28), peer_id: array(bytes, 48) }))
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved.0);
        bytes[28..48].copy_from_slice(&self.info_hash);
        bytes[48..].copy_from_slice(&self.peer_id);
        bytes
    }
}

/// The `N` bytes from `start` on.
fn array<const N: usize>(bytes: &[u8; Handshake::BYTES], start: usize) -> [u8; N] {
    *bytes[start..].first_chunk().expect("the parts of a handshake have 68 bytes together")
}

/// The bytes are not the beginning of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a BitTorrent handshake")]
pub struct HandshakeError;

/// The eight reserved bytes of a handshake. Each bit that is set is an extension that the sender knows; most have no meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reserved([u8; 8]);

impl Reserved {
    /// The extension protocol ([BEP 10](https://www.bittorrent.org/beps/bep_0010.html)).
    pub const EXTENSIONS: Self = Self([0, 0, 0, 0, 0, 0x10, 0, 0]);
    /// The fast extension ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)).
    pub const FAST: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x04]);
    /// The DHT ([BEP 5](https://www.bittorrent.org/beps/bep_0005.html)).
    pub const DHT: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x01]);

    /// The bits in these bytes.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The eight bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Returns `true` if all bits of `others` are set.
    pub const fn contains(self, others: Self) -> bool {
        let others = u64::from_ne_bytes(others.0);
        u64::from_ne_bytes(self.0) & others == others
    }

    /// These bits and those of `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self((u64::from_ne_bytes(self.0) | u64::from_ne_bytes(others.0)).to_ne_bytes())
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reserved({:016x})", u64::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved bytes as clients send them, and which of extension protocol, fast extension and DHT they name.
    const CASES: &[([u8; 8], [bool; 3])] = &[
        ([0, 0, 0, 0, 0, 0x10, 0, 0x05], [true, true, true]),   // libtorrent
        ([0, 0, 0, 0, 0, 0x10, 0, 0x04], [true, true, false]),  // Transmission, aria2, WebTorrent
        ([0, 0, 0, 0, 0, 0x10, 0, 0x00], [true, false, false]), // rTorrent
        ([0, 0, 0, 0, 0, 0x10, 0, 0x01], [true, false, true]),  // rTorrent with DHT
        ([0; 8], [false; 3]),
        ([0xff; 8], [true; 3]),
    ];

    #[test]
    fn handshakes_are_read_and_written() {
        for (reserved, extensions) in CASES {
            let bytes =
                [&b"\x13BitTorrent protocol"[..], reserved, b"hhhhhhhhhhhhhhhhhhhh", b"-XX0001-pppppppppppp"].concat();
            let handshake = Handshake {
                reserved: Reserved::new(*reserved),
                info_hash: [b'h'; 20],
                peer_id: *b"-XX0001-pppppppppppp",
            };
            assert_eq!(Handshake::decode(&bytes), Ok(Some(handshake)));
            assert_eq!(handshake.encode()[..], bytes);
            let known =
                [Reserved::EXTENSIONS, Reserved::FAST, Reserved::DHT].map(|bit| handshake.reserved.contains(bit));
            assert_eq!(known, *extensions);
        }
    }

    #[test]
    fn what_follows_is_passed_over() {
        let handshake = Handshake { reserved: Reserved::FAST, info_hash: [1; 20], peer_id: [2; 20] };
        let bytes = [&handshake.encode()[..], b"\0\0\0\0"].concat();
        assert_eq!(Handshake::decode(&bytes), Ok(Some(handshake)));
    }

    #[test]
    fn other_protocols_are_recognised_at_their_first_byte() {
        let bytes = Handshake { reserved: Reserved::default(), info_hash: [1; 20], peer_id: [2; 20] }.encode();
        for length in 0..bytes.len() {
            assert_eq!(Handshake::decode(&bytes[..length]), Ok(None));
        }
        for length in 0..20 {
            let mut other = bytes[..=length].to_vec();
            other[length] ^= 1;
            assert_eq!(Handshake::decode(&other), Err(HandshakeError));
        }
        assert_eq!(Handshake::decode(b"GET / HTTP/1.1"), Err(HandshakeError));
    }

    #[test]
    fn bits_are_joined() {
        let both = Reserved::EXTENSIONS.with(Reserved::FAST);
        assert_eq!(both.as_bytes(), &[0, 0, 0, 0, 0, 0x10, 0, 0x04]);
        assert!(both.contains(Reserved::FAST) && !both.contains(Reserved::DHT) && !Reserved::FAST.contains(both));
        assert_eq!(format!("{both:?}"), "Reserved(0000000000100004)");
    }
}
