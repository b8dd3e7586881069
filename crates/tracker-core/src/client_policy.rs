//! Access control by client: by its peer id, and by its address.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::PeerId;
use crate::peer::Member;

/// The clients that are served. The default serves all.
///
/// Each announce is compared with all entries, so that the lists should be short. What is denied stays denied, even if it is allowed by a longer entry. A client chooses its peer id by itself: the entries for
/// peer ids keep out clients that do harm, not people who want to come in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientPolicy {
    /// The beginnings of the peer ids that are served; none means all.
    pub allowed: Vec<PeerIdPrefix>,
    /// The beginnings of the peer ids that are never served.
    pub denied: Vec<PeerIdPrefix>,
    /// The networks that are served, as far as [`Access`](crate::Access) admits them; none means all that it admits.
    pub allowed_networks: Vec<IpNet>,
    /// The networks that are never served.
    pub denied_networks: Vec<IpNet>,
}

impl ClientPolicy {
    /// Returns `true` if it serves all clients.
    pub fn is_empty(&self) -> bool {
        let Self { allowed, denied, allowed_networks, denied_networks } = self;
        allowed.is_empty() && denied.is_empty() && allowed_networks.is_empty() && denied_networks.is_empty()
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        let Self { allowed, denied, allowed_networks, denied_networks } = self;
        allowed.len() + denied.len() + allowed_networks.len() + denied_networks.len()
    }

    /// Returns `true` if requests from this address are taken, and peers at it kept. Loopback always is: it is the machine of the operator. A v4-mapped
    /// address counts as the IPv4 address in it.
    pub fn admits_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        address.is_loopback()
            || (self.allowed_networks.is_empty() || is_in(&self.allowed_networks)) && !is_in(&self.denied_networks)
    }

    /// Returns `true` if announces with this peer id are taken.
    pub fn admits_client(&self, peer_id: PeerId) -> bool {
        let is_in = |prefixes: &[PeerIdPrefix]| prefixes.iter().any(|prefix| prefix.matches(peer_id));
        (self.allowed.is_empty() || is_in(&self.allowed)) && !is_in(&self.denied)
    }

    /// Returns `true` if a peer may stay, as far as it is known.
    pub(crate) fn admits_member(&self, member: &Member) -> bool {
        self.admits_address(member.ip) && member.detail.is_none_or(|detail| self.admits_client(detail.peer_id))
    }
}

/// The beginning of peer ids, by which clients name themselves ([BEP 20](https://www.bittorrent.org/beps/bep_0020.html)), such as `-qB`
/// for qBittorrent and `-TR40` for Transmission 4.0.
///
/// As text it is the bytes themselves where they are visible ASCII characters, except `\`, `#`, and those of addresses (`.`, `:`, `/` and
/// `*`); all others are `\x` and two hexadecimal digits.
///
/// ```
/// use tracker_core::{PeerId, PeerIdPrefix};
///
/// let prefix: PeerIdPrefix = "-qB".parse()?;
/// assert!(prefix.matches(PeerId::new(*b"-qB5110-abcdefghijkl")));
/// assert_eq!("\\x2dUT".parse::<PeerIdPrefix>()?.to_string(), "-UT");
/// # Ok::<(), tracker_core::ParsePeerIdPrefixError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIdPrefix {
    /// Zeros after the prefix.
    bytes: [u8; 20],
    len: u8,
}

impl PeerIdPrefix {
    /// The prefix of these bytes.
    ///
    /// # Errors
    ///
    /// There are none, or more than the 20 of a peer id.
    pub fn new(prefix: &[u8]) -> Result<Self, ParsePeerIdPrefixError> {
        let len = u8::try_from(prefix.len()).ok().filter(|len| (1..=20).contains(len));
        let len = len.ok_or(ParsePeerIdPrefixError::Length { bytes: prefix.len() })?;
        let mut bytes = [0; 20];
        bytes[..prefix.len()].copy_from_slice(prefix);
        Ok(Self { bytes, len })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns `true` if the peer id begins with it.
    pub fn matches(&self, peer_id: PeerId) -> bool {
        peer_id.as_bytes().starts_with(self.as_bytes())
    }
}

/// A text that is not the beginning of a peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePeerIdPrefixError {
    /// It is empty or too long.
    #[error("the beginning of a peer id has 1 to 20 bytes, this one has {bytes}")]
    Length {
        /// The number of bytes it has.
        bytes: usize,
    },
    /// It has a character that must be written as `\x` and two hexadecimal digits.
    #[error(
        "the beginning of a peer id cannot have the character {character:?}: write a byte as \\x and two hexadecimal digits"
    )]
    Character {
        /// The character.
        character: char,
    },
}

impl FromStr for PeerIdPrefix {
    type Err = ParsePeerIdPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let escaped = || {
                let digits = rest.strip_prefix("\\x")?.get(..2)?;
                u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            };
            let (byte, len) = if is_plain(character) {
                // `as`: it is ASCII.
                (character as u8, 1)
            } else {
                (escaped().ok_or(ParsePeerIdPrefixError::Character { character })?, 4)
            };
            bytes.push(byte);
            rest = &rest[len..];
        }
        Self::new(&bytes)
    }
}

impl fmt::Display for PeerIdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|&byte| {
            if is_plain(char::from(byte)) { f.write_char(char::from(byte)) } else { write!(f, "\\x{byte:02x}") }
        })
    }
}

impl fmt::Debug for PeerIdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerIdPrefix({self})")
    }
}

/// Returns `true` for a character that stands for itself.
fn is_plain(character: char) -> bool {
    character.is_ascii_graphic() && !matches!(character, '\\' | '#' | '.' | ':' | '/' | '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> PeerIdPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_read_and_written() {
        for (text, bytes, written) in [
            ("-qB", &b"-qB"[..], "-qB"),
            ("-qB5110-abcdefghijkl", b"-qB5110-abcdefghijkl", "-qB5110-abcdefghijkl"),
            ("\\x00\\xFFa", b"\0\xffa", "\\x00\\xffa"),
            ("\\x41\\x23\\x5c\\x20", b"A#\\ ", "A\\x23\\x5c\\x20"),
            ("'\"", b"'\"", "'\""),
        ] {
            let read = prefix(text);
            assert_eq!((read.as_bytes(), read.to_string().as_str()), (bytes, written), "{text}");
        }
        use ParsePeerIdPrefixError::{Character, Length};
        for (text, error) in [
            ("", Length { bytes: 0 }),
            ("-qB5110-abcdefghijklm", Length { bytes: 21 }),
            ("a b", Character { character: ' ' }),
            ("ä", Character { character: 'ä' }),
            ("\\", Character { character: '\\' }),
            ("\\x4", Character { character: '\\' }),
            ("\\x+4", Character { character: '\\' }),
            ("\\x4ä", Character { character: '\\' }),
        ] {
            assert_eq!(text.parse::<PeerIdPrefix>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_prefix_is_read_as_it_is_written(bytes in prop::collection::vec(any::<u8>(), 1..=20)) {
            let prefix = PeerIdPrefix::new(&bytes).unwrap();
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
            prop_assert_eq!(prefix.as_bytes(), bytes);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            _ = text.parse::<PeerIdPrefix>();
        }
    }

    #[test]
    fn what_is_denied_stays_denied() {
        let transmission = PeerId::new(*b"-TR4050-aaaaaaaaaaaa");
        let qbittorrent = PeerId::new(*b"-qB5110-aaaaaaaaaaaa");
        let admits = |allowed: &[&str], denied: &[&str], peer_id| {
            let [allowed, denied] = [allowed, denied].map(|texts| texts.iter().map(|text| prefix(text)).collect());
            ClientPolicy { allowed, denied, ..ClientPolicy::default() }.admits_client(peer_id)
        };
        for (allowed, denied, transmission_is_served, qbittorrent_is_served) in [
            (&[][..], &[][..], true, true),
            (&["-qB"], &[], false, true),
            (&["-qB", "-TR"], &[], true, true),
            (&[], &["-TR40"], false, true),
            (&[], &["-TR41"], true, true),
            (&["-TR4050"], &["-TR"], false, false),
        ] {
            assert_eq!(admits(allowed, denied, transmission), transmission_is_served, "{allowed:?} {denied:?}");
            assert_eq!(admits(allowed, denied, qbittorrent), qbittorrent_is_served, "{allowed:?} {denied:?}");
        }
    }

    #[test]
    fn addresses_are_admitted_as_the_networks_say() {
        let admits = |allowed: &[&str], denied: &[&str], address: &str| {
            let [allowed_networks, denied_networks] =
                [allowed, denied].map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect());
            let policy = ClientPolicy { allowed_networks, denied_networks, ..ClientPolicy::default() };
            policy.admits_address(address.parse().unwrap())
        };
        for (allowed, denied, address, is_served) in [
            (&[][..], &[][..], "10.0.0.1", true),
            (&[], &["10.0.0.1/32"], "10.0.0.1", false),
            (&[], &["10.0.0.1/32"], "::ffff:10.0.0.1", false),
            (&[], &["10.0.0.1/32"], "10.0.0.2", true),
            (&["10.0.0.0/8"], &[], "10.0.0.2", true),
            (&["10.0.0.0/8"], &[], "192.168.1.2", false),
            (&["10.0.0.0/8"], &["10.0.0.0/24"], "10.0.0.2", false),
            (&["10.0.0.0/8"], &["::/0", "0.0.0.0/0"], "127.0.0.1", true),
            (&["10.0.0.0/8"], &["::/0"], "::1", true),
        ] {
            assert_eq!(admits(allowed, denied, address), is_served, "{allowed:?} {denied:?} {address}");
        }
    }
}
