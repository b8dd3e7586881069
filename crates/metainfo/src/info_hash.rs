//! Info-hashes, the names of torrents.

use std::fmt;
use std::str::FromStr;

use sha1::{Digest, Sha1};
use sha2::Sha256;
use thiserror::Error;

/// The name of a v1 torrent: SHA-1 over the bencoded `info` dictionary as it stands in the file.
///
/// Written as 40 hexadecimal digits; either case is read.
///
/// See [BEP 3](https://www.bittorrent.org/beps/bep_0003.html).
///
/// ```
/// use metainfo::InfoHashV1;
///
/// let hash: InfoHashV1 = "3500292f2881c52a3c672db7c77db1f60426c65f".parse()?;
/// assert_eq!(hash.as_bytes()[..2], [0x35, 0x00]);
/// assert_eq!(hash.to_string(), "3500292f2881c52a3c672db7c77db1f60426c65f");
/// # Ok::<_, metainfo::ParseInfoHashError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV1([u8; 20]);

impl InfoHashV1 {
    /// Takes the hash of an encoded `info` dictionary.
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }

    /// The 20 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for InfoHashV1 {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for InfoHashV1 {
    type Err = ParseInfoHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode_hex(text).map(Self)
    }
}

impl fmt::Display for InfoHashV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for InfoHashV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHashV1({self})")
    }
}

/// The name of a v2 torrent: SHA-256 over the bencoded `info` dictionary as it stands in the file.
///
/// Written as 64 hexadecimal digits; either case is read.
///
/// See [BEP 52](https://www.bittorrent.org/beps/bep_0052.html).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV2([u8; 32]);

impl InfoHashV2 {
    /// Takes the hash of an encoded `info` dictionary.
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha256::digest(info).into())
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 20 bytes, which stand for the torrent in an announce.
    pub fn truncated(&self) -> [u8; 20] {
        let mut key = [0; 20];
        key.copy_from_slice(&self.0[..20]);
        key
    }
}

impl From<[u8; 32]> for InfoHashV2 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for InfoHashV2 {
    type Err = ParseInfoHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode_hex(text).map(Self)
    }
}

impl fmt::Display for InfoHashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for InfoHashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHashV2({self})")
    }
}

/// The hashes that name a torrent: one for a v1 or v2 torrent, both for a hybrid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct InfoHashes {
    /// SHA-1 name, absent from a v2-only torrent.
    pub v1: Option<InfoHashV1>,
    /// SHA-256 name, absent from a v1-only torrent.
    pub v2: Option<InfoHashV2>,
}

impl InfoHashes {
    /// The 20-byte keys under which a tracker knows the swarms of this torrent.
    ///
    /// The two halves of a hybrid are two swarms: clients announce both, the v2 hash cut to its
    /// first 20 bytes.
    pub fn swarm_keys(&self) -> impl Iterator<Item = [u8; 20]> + use<> {
        let v1 = self.v1.map(|hash| hash.0);
        let v2 = self.v2.map(|hash| hash.truncated());
        v1.into_iter().chain(v2)
    }
}

/// The reason why a text is not an info-hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseInfoHashError {
    /// The text has another length.
    #[error("an info-hash has {expected} hexadecimal digits, this has {found} characters")]
    WrongLength {
        /// Digits the hash must have.
        expected: usize,
        /// Characters found.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("character {} of the info-hash is not a hexadecimal digit", position + 1)]
    NotHex {
        /// Characters before it.
        position: usize,
    },
}

fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseInfoHashError> {
    let mut bytes = [0; N];
    let mut position = 0;
    for character in text.chars() {
        let Some(digit) = character.to_digit(16) else {
            return Err(ParseInfoHashError::NotHex { position });
        };
        if let Some(byte) = bytes.get_mut(position / 2) {
            // A hexadecimal digit fits four bits.
            *byte = *byte << 4 | digit as u8;
        }
        position += 1;
    }
    if position != 2 * N {
        return Err(ParseInfoHashError::WrongLength { expected: 2 * N, found: position });
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_bytes_as_they_stand() {
        // FIPS 180-4's one-block example.
        let hash = InfoHashV1::of_info(b"abc");
        assert_eq!(hash.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let hash = InfoHashV2::of_info(b"abc");
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn reads_either_case() {
        let lower = "a9993e364706816aba3e25717850c26c9cd0d89d";
        let upper = lower.to_uppercase();
        assert_eq!(lower.parse::<InfoHashV1>(), upper.parse::<InfoHashV1>(), "{upper}");
        assert_eq!(upper.parse::<InfoHashV1>().map(|hash| hash.to_string()), Ok(lower.to_owned()));
    }

    #[test]
    fn refuses_what_is_not_a_hash() {
        assert_eq!("a999".parse::<InfoHashV1>(), Err(ParseInfoHashError::WrongLength { expected: 40, found: 4 }));
        assert_eq!(
            "a9993e364706816aba3e25717850c26c9cd0d89d00".parse::<InfoHashV1>(),
            Err(ParseInfoHashError::WrongLength { expected: 40, found: 42 })
        );
        assert_eq!("a9é".parse::<InfoHashV2>(), Err(ParseInfoHashError::NotHex { position: 2 }));
    }

    #[test]
    fn a_hybrid_is_two_swarms() {
        let hashes = InfoHashes { v1: Some([1; 20].into()), v2: Some([2; 32].into()) };
        assert!(hashes.swarm_keys().eq([[1; 20], [2; 20]]));
        assert_eq!(InfoHashes::default().swarm_keys().count(), 0);
    }
}
