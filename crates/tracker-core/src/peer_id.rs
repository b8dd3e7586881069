//! Peer ids, which clients choose for themselves.

use std::fmt;

/// The 20 opaque bytes a client calls itself by ([BEP 20](https://www.bittorrent.org/beps/bep_0020.html)).
///
/// By convention the first bytes name the client and its version; the tracker does not look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 20]);

impl PeerId {
    /// A peer id of these bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for PeerId {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

/// The client's `key`: opaque bytes that stay the same while its address or port changes
/// ([BEP 7](https://www.bittorrent.org/beps/bep_0007.html)).
///
/// Only equality matters, so 32 bits are kept: the number itself where it is one, as always in UDP
/// ([BEP 15](https://www.bittorrent.org/beps/bep_0015.html)), else a digest ([FNV-1a]). A client can make its own key collide
/// with another's, and gains nothing by it: keys are compared only between peers of one address and one peer id.
///
/// [FNV-1a]: https://www.rfc-editor.org/rfc/rfc9923
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PeerKey(u32);

impl PeerKey {
    /// The key of a client that sends none.
    pub const NONE: Self = Self(0);

    /// The key that is this number; 0 is [`PeerKey::NONE`].
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number that is kept of the key.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The key that is these bytes; no bytes are [`PeerKey::NONE`].
    pub const fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::NONE;
        }
        let mut digest: u32 = 0x811c_9dc5;
        let mut at = 0;
        while at < bytes.len() {
            // `as`: u32::from is not const.
            digest = (digest ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        Self(digest)
    }
}
