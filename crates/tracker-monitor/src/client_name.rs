//! The program behind a peer id.
//!
//! The table is our own, since the maintained library for it does not know aria2, rTorrent and Transmission 4.

use std::time::Duration;

use torrent_library::displayable;
use tracker_core::PeerId;

/// Characters of a program's name that are shown.
const MAX_PROGRAM_LEN: usize = 64;

/// Programs that put two letters and four characters of version between dashes, as most do
/// ([BEP 20](https://www.bittorrent.org/beps/bep_0020.html)).
const CLIENTS: &[(&[u8; 2], &str)] = &[
    (b"AZ", "Vuze"),
    (b"BC", "BitComet"),
    (b"BI", "BiglyBT"),
    (b"BT", "BitTorrent"),
    (b"DE", "Deluge"),
    (b"KT", "KTorrent"),
    (b"LT", "libtorrent"),
    (b"MO", "MonoTorrent"),
    (b"PI", "PicoTorrent"),
    (b"TR", "Transmission"),
    (b"UM", "uTorrent Mac"),
    (b"UT", "uTorrent"),
    (b"UW", "uTorrent Web"),
    (b"WD", "WebTorrent Desktop"),
    (b"WW", "WebTorrent"),
    // It announces with the id of its library.
    (b"lt", "rTorrent, libTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
];

/// The name and version of the program, or the beginning of the peer id as escaped ASCII. Never a control character:
/// anybody can send any peer id.
pub(crate) fn client(peer_id: &PeerId) -> String {
    let bytes = peer_id.as_bytes();
    azureus_style(bytes).or_else(|| aria2(bytes)).unwrap_or_else(|| bytes[..8].escape_ascii().to_string())
}

/// The name and version of a program as it tells them to other peers, which may be any text: `qBittorrent/5.1.0` is
/// `qBittorrent 5.1.0`, as [`client`] has it.
pub(crate) fn program(told: &str) -> String {
    displayable(&told.chars().take(MAX_PROGRAM_LEN).collect::<String>().replacen('/', " ", 1))
}

/// The shortest interval at which the program announces, whatever the tracker asks for; measured. Programs that were not
/// measured count as based on libtorrent, as most are.
pub(crate) fn shortest_interval(peer_id: &PeerId) -> Duration {
    Duration::from_secs(match peer_id.as_bytes() {
        [b'-', b'T', b'R', ..] | [b'-', b'W', b'W' | b'D', ..] | [b'-', b'r', b'Q', ..] => 0,
        // It doubles an interval of a minute now and then.
        [b'A', b'2', b'-', ..] => 120,
        [b'-', b'l', b't', ..] => 600,
        _ => 300,
    })
}

/// Returns `true` if the program says that nothing is left while it has a magnet link and no metadata: aria2, as measured.
pub(crate) fn says_nothing_is_left_without_metadata(peer_id: &PeerId) -> bool {
    peer_id.as_bytes().starts_with(b"A2-")
}

/// `-qB4520-`
fn azureus_style(bytes: &[u8; 20]) -> Option<String> {
    let &[b'-', a, b, v1, v2, v3, v4, b'-', ..] = bytes else { return None };
    let (_, name) = CLIENTS.iter().find(|(letters, _)| **letters == [a, b])?;
    let digit = |character: u8| char::from(character).to_digit(36);
    let [major, minor, patch] = [digit(v1)?, digit(v2)?, digit(v3)?];
    Some(match [a, b] {
        // Two decimal digits each.
        [b'W', b'W' | b'D'] => format!("{name} {}.{}", major * 10 + minor, patch * 10 + digit(v4)?),
        // Up to 3.00 the minor version has two digits.
        [b'T', b'R'] if major < 4 => format!("{name} {major}.{minor}{patch}"),
        // The fourth is a part of the version, or a letter for the kind of build.
        _ => match v4 {
            build @ b'1'..=b'9' => format!("{name} {major}.{minor}.{patch}.{}", char::from(build)),
            _ => format!("{name} {major}.{minor}.{patch}"),
        },
    })
}

/// `A2-1-36-0-`
fn aria2(bytes: &[u8; 20]) -> Option<String> {
    let mut parts = bytes.strip_prefix(b"A2-")?.split(|&byte| byte == b'-');
    let mut number = || str::from_utf8(parts.next()?).ok()?.parse::<u8>().ok();
    Some(format!("aria2 {}.{}.{}", number()?, number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(prefix: &[u8]) -> String {
        let mut bytes = [b'x'; 20];
        bytes[..prefix.len()].copy_from_slice(prefix);
        client(&PeerId::new(bytes))
    }

    #[test]
    fn known_clients_have_names() {
        for (prefix, name) in [
            // As measured.
            (&b"-qB4520-"[..], "qBittorrent 4.5.2"),
            (b"-TR3000-", "Transmission 3.00"),
            (b"A2-1-36-0-", "aria2 1.36.0"),
            (b"-lt0D80-", "rTorrent, libTorrent 0.13.8"),
            (b"-DE203s-", "Deluge 2.0.3"),
            (b"-WW0208-", "WebTorrent 2.8"),
            // Later and other versions.
            (b"-qB5030-", "qBittorrent 5.0.3"),
            (b"-TR2940-", "Transmission 2.94"),
            (b"-TR4060-", "Transmission 4.0.6"),
            (b"-TR410Z-", "Transmission 4.1.0"),
            (b"-DE13F0-", "Deluge 1.3.15"),
            (b"-LT20B0-", "libtorrent 2.0.11"),
            (b"-UT355W-", "uTorrent 3.5.5"),
            (b"-BI3501-", "BiglyBT 3.5.0.1"),
            (b"-WD0024-", "WebTorrent Desktop 0.24"),
            (b"-rQ9010-", "rqbit 9.0.1"),
            (b"A2-1-9-10-", "aria2 1.9.10"),
        ] {
            assert_eq!(client_of(prefix), name);
        }
    }

    #[test]
    fn intervals_are_those_that_clients_keep() {
        for (prefix, secs) in [
            (&b"-qB4520-"[..], 300),
            (b"-DE203s-", 300),
            (b"-LT20B0-", 300),
            (b"-lt0D80-", 600),
            (b"-TR4060-", 0),
            (b"-WW0208-", 0),
            (b"-rQ9010-", 0),
            (b"A2-1-36-0-", 120),
            (b"-XX1234-", 300),
        ] {
            let mut bytes = [b'x'; 20];
            bytes[..prefix.len()].copy_from_slice(prefix);
            assert_eq!(shortest_interval(&PeerId::new(bytes)).as_secs(), secs, "{}", prefix.escape_ascii());
        }
    }

    #[test]
    fn others_are_quoted_without_control_characters() {
        for (prefix, text) in [
            (&b"-XX1234-"[..], "-XX1234-"),
            (b"-qB4_20-", "-qB4_20-"),
            (b"-WW020*-", "-WW020*-"),
            (b"-qB45200", "-qB45200"),
            (b"A2-1-36", "A2-1-36x"),
            (b"A2-\xff-36-0-", "A2-\\xff-36-"),
            (b"\x1b[2J\r\n\0\"\\", "\\x1b[2J\\r\\n\\x00\\\""),
        ] {
            assert_eq!(client_of(prefix), text);
        }
    }
}
