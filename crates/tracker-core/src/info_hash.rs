//! The key of a swarm.

use std::fmt;
use std::str::FromStr;

/// The 20 opaque bytes that name a swarm.
///
/// For a v1 torrent it is the SHA-1 of the `info` dictionary, for a v2 torrent the first 20 bytes of its SHA-256
/// ([BEP 52](https://www.bittorrent.org/beps/bep_0052.html)). The tracker never looks inside.
///
/// ```
/// use tracker_core::InfoHash;
///
/// let info_hash: InfoHash = "3500292f2881c52a3c672db7c77db1f60426c65f".parse()?;
/// assert_eq!(info_hash.as_bytes()[0], 0x35);
/// assert_eq!(info_hash.to_string(), "3500292f2881c52a3c672db7c77db1f60426c65f");
/// # Ok::<(), tracker_core::ParseInfoHashError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash([u8; 20]);

impl InfoHash {
    /// An info-hash of these bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for InfoHash {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

/// The text is not an info-hash: 40 hexadecimal digits of either case were expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an info-hash: {text:?} (an info-hash is 40 hexadecimal digits)")]
pub struct ParseInfoHashError {
    text: String,
}

impl FromStr for InfoHash {
    type Err = ParseInfoHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let decode = || {
            let digits: &[u8; 40] = text.as_bytes().try_into().ok()?;
            let mut bytes = [0; 20];
            for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                *byte = digit(pair[0])? << 4 | digit(pair[1])?;
            }
            Some(Self(bytes))
        };
        decode().ok_or_else(|| ParseInfoHashError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_runs_both_ways() {
        let upper = "3500292F2881C52A3C672DB7C77DB1F60426C65F";
        let info_hash: InfoHash = upper.parse().unwrap();
        assert_eq!(info_hash.to_string(), upper.to_lowercase());
    }

    #[test]
    fn anything_but_40_digits_is_an_error() {
        for text in ["", "35", &"0".repeat(39), &"0".repeat(41), &"g".repeat(40), &"é".repeat(20)] {
            assert!(text.parse::<InfoHash>().is_err(), "{text}");
        }
    }
}
