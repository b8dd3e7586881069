//! The announce on the wire: its query, and its answer.
//!
//! Strict on bytes, forgiving on clients: what names the torrent and the peer must be there and well-formed, everything
//! else that a client gets wrong is taken as if it had not been sent.

use std::net::IpAddr;
use std::str;

use bencode::Encoder;
use tracker_core::{AnnounceEvent, AnnounceRequest, AnnounceResponse, InfoHash, PeerId, PeerKey, Peers};

use crate::query::{EscapeError, Escaped, Query};

/// The query of an announce ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
///
/// Parameters may come in any order and unknown ones are skipped. Of a repeated one the last counts, since a tracker URL's
/// own query comes before the client's values; a repeated `info_hash` is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// The swarm: 20 bytes, or 40 hexadecimal digits, which some scripts send.
    pub info_hash: InfoHash,
    /// The client's name for itself: 20 bytes.
    pub peer_id: PeerId,
    /// `key`, opaque bytes of any length.
    pub key: PeerKey,
    /// `ip`, when it is the literal of an address. Names are never resolved.
    pub ip: Option<IpAddr>,
    /// `port`. Where it is 0, a `cryptoport` counts instead: BiglyBT sends that when it takes encrypted connections only.
    /// A client that says `stopped` takes no more connections and may leave it out, which is 0.
    pub port: u16,
    /// `uploaded`, bytes; 0 when it is missing or no number, [`u64::MAX`] when it is too large for one.
    pub uploaded: u64,
    /// `downloaded`, likewise.
    pub downloaded: u64,
    /// `left`, bytes; `None` when it is missing, no number or negative, [`u64::MAX`] when it is larger.
    pub left: Option<u64>,
    /// `event`; none when it is missing, empty, or unknown.
    pub event: Option<AnnounceEvent>,
    /// `numwant`; none when it is missing, no number, or negative.
    pub numwant: Option<u32>,
    /// The format in which the client wants its peers.
    pub peer_format: PeerFormat,
}

/// The format of the peers in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerFormat {
    /// 6 or 18 bytes each ([BEP 23](https://www.bittorrent.org/beps/bep_0023.html)): unless a client says otherwise.
    Compact,
    /// A dictionary each (`compact=0`).
    Dictionary,
    /// A dictionary without peer id each (`compact=0&no_peer_id=1`).
    DictionaryNoPeerId,
}

/// Why the query of an announce cannot be used. The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceQueryError {
    /// A percent-escape is malformed.
    #[error(transparent)]
    Escape(#[from] EscapeError),
    /// There is no `info_hash`.
    #[error("info_hash is missing: this is the address of a tracker, give it to a BitTorrent client")]
    MissingInfoHash,
    /// `info_hash` is neither 20 bytes nor 40 hexadecimal digits.
    #[error("info_hash must be 20 bytes")]
    InvalidInfoHash,
    /// There is more than one `info_hash`.
    #[error("info_hash is there more than once")]
    RepeatedInfoHash,
    /// There is no `peer_id`.
    #[error("peer_id is missing")]
    MissingPeerId,
    /// `peer_id` has another length.
    #[error("peer_id must be 20 bytes")]
    InvalidPeerId,
    /// There is no `port`: the client does not listen.
    #[error("port is missing: the client must listen on a port that others can reach")]
    MissingPort,
    /// `port` is no number from 0 to 65535.
    #[error("port must be a number from 1 to 65535")]
    InvalidPort,
}

impl AnnounceQuery {
    /// Reads the query of an announce: what follows the first `?`, without it.
    ///
    /// # Errors
    ///
    /// Returns an error if an escape is malformed anywhere in it, or if `info_hash`, `peer_id` or `port` is missing or
    /// malformed (only a `stopped` may lack the `port`). Nothing else can fail an announce.
    pub fn parse(query: &[u8]) -> Result<Self, AnnounceQueryError> {
        let mut info_hash = None;
        let mut peer_id = None;
        let mut key = PeerKey::NONE;
        let mut ip = None;
        let mut port = None;
        let mut crypto_port = None;
        let (mut uploaded, mut downloaded) = (0, 0);
        let mut left = None;
        let mut event = None;
        let mut numwant = None;
        let (mut compact, mut no_peer_id) = (true, false);

        for parameter in Query::new(query) {
            let name = parameter.name.decode()?;
            if *name == *b"info_hash" {
                let parsed = parse_info_hash(parameter.value)?.ok_or(AnnounceQueryError::InvalidInfoHash)?;
                if info_hash.replace(parsed).is_some() {
                    return Err(AnnounceQueryError::RepeatedInfoHash);
                }
                continue;
            }
            if *name == *b"peer_id" {
                peer_id = Some(parameter.value.decode_exact()?.ok_or(AnnounceQueryError::InvalidPeerId)?);
                continue;
            }
            let value = parameter.value.decode()?;
            match &*name {
                b"key" => key = parse_key(&value),
                b"ip" => ip = str::from_utf8(&value).ok().and_then(|ip| ip.parse().ok()),
                b"port" => port = Some(parse_port(&value).ok_or(AnnounceQueryError::InvalidPort)?),
                b"cryptoport" => crypto_port = parse_port(&value),
                b"uploaded" => uploaded = saturating_number(&value).unwrap_or(0),
                b"downloaded" => downloaded = saturating_number(&value).unwrap_or(0),
                b"left" => left = saturating_number(&value),
                b"event" => event = parse_event(&value),
                b"numwant" => {
                    numwant = saturating_number(&value).map(|numwant| u32::try_from(numwant).unwrap_or(u32::MAX));
                }
                b"compact" => compact = *value != *b"0",
                b"no_peer_id" => no_peer_id = *value == *b"1",
                _ => {}
            }
        }

        Ok(Self {
            info_hash: info_hash.ok_or(AnnounceQueryError::MissingInfoHash)?,
            peer_id: PeerId::new(peer_id.ok_or(AnnounceQueryError::MissingPeerId)?),
            key,
            ip,
            port: match port {
                Some(0) => crypto_port.unwrap_or(0),
                Some(port) => port,
                None if event == Some(AnnounceEvent::Stopped) => 0,
                None => return Err(AnnounceQueryError::MissingPort),
            },
            uploaded,
            downloaded,
            left,
            event,
            numwant,
            peer_format: match (compact, no_peer_id) {
                (true, _) => PeerFormat::Compact,
                (false, false) => PeerFormat::Dictionary,
                (false, true) => PeerFormat::DictionaryNoPeerId,
            },
        })
    }

    /// The request this makes when it comes from `remote` to our address `local`.
    pub fn into_request(self, remote: IpAddr, local: IpAddr) -> AnnounceRequest {
        AnnounceRequest::new(self.info_hash, self.peer_id, remote, local, self.port)
            .with_key(self.key)
            .with_claimed_ip(self.ip)
            .with_uploaded(self.uploaded)
            .with_downloaded(self.downloaded)
            .with_left(self.left)
            .with_event(self.event)
            .with_numwant(self.numwant)
            .with_peer_ids(self.peer_format == PeerFormat::Dictionary)
    }
}

/// Writes the answer to an announce, canonically bencoded. It stands in `encoder`, whose memory is used again by the next.
///
/// `interval`, `min interval`, `complete`, `incomplete`, `downloaded` and `peers` are always there: clients fail without
/// `peers`, and Transmission skips its own scrape when it has the three counts. `peers6`
/// ([BEP 7](https://www.bittorrent.org/beps/bep_0007.html)) is there when it is not empty; `peers` as dictionaries holds
/// both families.
pub fn encode_announce<'e>(
    response: &AnnounceResponse,
    peers: &Peers,
    format: PeerFormat,
    encoder: &'e mut Encoder,
) -> &'e [u8] {
    let external_ip = response.external_ip.map(Octets::from);
    let encoded = encoder.encode(|value| {
        value.dict(|answer| {
            answer.int("complete", response.seeders);
            answer.int("downloaded", response.completed);
            if let Some(external_ip) = &external_ip {
                answer.bytes("external ip", external_ip);
            }
            answer.int("incomplete", response.leechers);
            answer.int("interval", response.interval.as_secs());
            answer.int("min interval", response.min_interval.as_secs());
            match format {
                PeerFormat::Compact => answer.bytes("peers", peers.v4().as_flattened()),
                PeerFormat::Dictionary | PeerFormat::DictionaryNoPeerId => answer.list("peers", |list| {
                    for peer in peers.iter() {
                        list.dict(|entry| {
                            entry.bytes("ip", peer.address.ip().to_string());
                            if format == PeerFormat::Dictionary
                                && let Some(peer_id) = peer.peer_id
                            {
                                entry.bytes("peer id", peer_id.as_bytes());
                            }
                            entry.int("port", peer.address.port());
                        });
                    }
                }),
            }
            if format == PeerFormat::Compact && !peers.v6().is_empty() {
                answer.bytes("peers6", peers.v6().as_flattened());
            }
            if let Some(warning) = response.warning {
                answer.bytes("warning message", warning.to_string());
            }
        });
    });
    encoded.expect("the keys are all different")
}

/// The 4 or 16 bytes of an address ([BEP 24](https://www.bittorrent.org/beps/bep_0024.html)).
enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl From<IpAddr> for Octets {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(address.octets()),
        }
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
    }
}

/// 20 bytes, or 40 hexadecimal digits; `None` for anything else.
pub(crate) fn parse_info_hash(value: Escaped<'_>) -> Result<Option<InfoHash>, EscapeError> {
    if let Some(bytes) = value.decode_exact()? {
        return Ok(Some(InfoHash::new(bytes)));
    }
    let digits = value.decode()?;
    Ok(str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok()))
}

/// Most clients write a number of 32 bits in hexadecimal, the same that they send over UDP.
fn parse_key(value: &[u8]) -> PeerKey {
    let is_number = (1..=8).contains(&value.len()) && value.iter().all(u8::is_ascii_hexdigit);
    let number =
        str::from_utf8(value).ok().filter(|_| is_number).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    number.map_or_else(|| PeerKey::from_bytes(value), PeerKey::from_number)
}

fn parse_port(value: &[u8]) -> Option<u16> {
    u16::try_from(saturating_number(value)?).ok()
}

fn parse_event(value: &[u8]) -> Option<AnnounceEvent> {
    match value {
        b"started" => Some(AnnounceEvent::Started),
        b"completed" => Some(AnnounceEvent::Completed),
        b"stopped" => Some(AnnounceEvent::Stopped),
        // BEP 21.
        b"paused" => Some(AnnounceEvent::Paused),
        _ => None,
    }
}

/// A decimal number without sign, [`u64::MAX`] when it is larger; `None` for anything else.
fn saturating_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0, |number: u64, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use proptest::prelude::*;
    use tracker_core::{PeerEntry, SwarmCounts, Warning};

    use super::*;

    /// 3500292f2881c52a3c672db7c77db1f60426c65f: a NUL, and bytes that each client escapes in its own way.
    const INFO_HASH: [u8; 20] = *b"5\x00)/(\x81\xc5*<g-\xb7\xc7}\xb1\xf6\x04&\xc6_";

    fn query(peer_id: &[u8; 20], key: &[u8], port: u16, left: u64, numwant: Option<u32>) -> AnnounceQuery {
        AnnounceQuery {
            info_hash: InfoHash::new(INFO_HASH),
            peer_id: PeerId::new(*peer_id),
            key: parse_key(key),
            ip: None,
            port,
            uploaded: 0,
            downloaded: 0,
            left: Some(left),
            event: Some(AnnounceEvent::Started),
            numwant,
            peer_format: PeerFormat::Compact,
        }
    }

    #[test]
    fn announces_of_real_clients_are_read() {
        let cases: &[(&str, AnnounceQuery)] = &[
            (
                // libtorrent 2.1.1; qBittorrent and Deluge send the same.
                "info_hash=5%00)%2f(%81%c5*%3cg-%b7%c7%7d%b1%f6%04%26%c6_&peer_id=-LT2110-y1Cq1XLu0!h)&port=6881\
                 &uploaded=0&downloaded=0&left=52428800&corrupt=0&key=E0B55AB7&event=started&numwant=200&compact=1\
                 &no_peer_id=1&supportcrypto=1&redundant=0",
                query(b"-LT2110-y1Cq1XLu0!h)", b"E0B55AB7", 6881, 52_428_800, Some(200)),
            ),
            (
                // Transmission 3.00.
                "info_hash=5%00%29%2f%28%81%c5%2a%3cg-%b7%c7%7d%b1%f6%04%26%c6_&peer_id=-TR3000-4kq0wz1n9xrd\
                 &port=51413&uploaded=0&downloaded=0&left=52428800&numwant=80&key=7e0b977&compact=1&supportcrypto=1\
                 &event=started",
                query(b"-TR3000-4kq0wz1n9xrd", b"7e0b977", 51413, 52_428_800, Some(80)),
            ),
            (
                // aria2 1.36.0: a peer id and a key of raw bytes.
                "info_hash=5%00%29%2F%28%81%C5%2A%3Cg%2D%B7%C7%7D%B1%F6%04%26%C6%5F\
                 &peer_id=A2-1-36-0-%0F%F4%00%FFabc%7E%26%3D&uploaded=0&downloaded=0&left=52428800&compact=1\
                 &key=%B6%7D%E3O%00%91%AA%02&numwant=50&no_peer_id=1&port=6989&event=started&supportcrypto=1",
                query(
                    b"A2-1-36-0-\x0f\xf4\x00\xffabc~&=",
                    b"\xb6\x7d\xe3O\x00\x91\xaa\x02",
                    6989,
                    52_428_800,
                    Some(50),
                ),
            ),
            (
                // rTorrent 0.9.8: no numwant.
                "info_hash=5%00%29%2F%28%81%C5%2A%3Cg%2D%B7%C7%7D%B1%F6%04%26%C6%5F\
                 &peer_id=%2DlT0D80%2D%1F%00%8B%C3%A1%9D%EE%07%5B%0C%F0%11&key=4f1c2b0a&compact=1&port=6963\
                 &uploaded=0&downloaded=0&left=52428800&event=started",
                query(b"-lT0D80-\x1f\x00\x8b\xc3\xa1\x9d\xee\x07\x5b\x0c\xf0\x11", b"4f1c2b0a", 6963, 52_428_800, None),
            ),
            (
                // WebTorrent 2.8.5: the info-hash late, no key.
                "numwant=50&uploaded=0&downloaded=0&left=52428800&event=started&compact=1\
                 &info_hash=5%00)%2F(%81%C5*%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-WW0208-Kd92hfUe72jX&port=6881",
                query(b"-WW0208-Kd92hfUe72jX", b"", 6881, 52_428_800, Some(50)),
            ),
            (
                // bittorrent-tracker 11: an empty trackerid, and something left of a complete torrent.
                "numwant=50&uploaded=0&downloaded=0&left=16384&event=completed&compact=1&trackerid=\
                 &info_hash=5%00)%2F(%81%C5*%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-WW0208-Kd92hfUe72jX&port=6881",
                AnnounceQuery {
                    event: Some(AnnounceEvent::Completed),
                    ..query(b"-WW0208-Kd92hfUe72jX", b"", 6881, 16384, Some(50))
                },
            ),
            (
                // ctorrent dnh3.3.2.
                "info_hash=5%00%29%2F%28%81%C5%2A%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-CD0303-%D1%A2%03zK%9E%10Q%C7%5DX%2E\
                 &port=2706&uploaded=0&downloaded=0&left=52428800&compact=1&event=started&numwant=100&key=E2T4DAX0",
                query(b"-CD0303-\xd1\xa2\x03zK\x9e\x10Q\xc7]X.", b"E2T4DAX0", 2706, 52_428_800, Some(100)),
            ),
            (
                // rqbit: a decimal key, no numwant.
                "info_hash=5%00%29%2F%28%81%C5%2A%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-rQ9010-abcdefghijkl\
                 &event=started&port=4240&uploaded=0&downloaded=0&left=52428800&compact=1&no_peer_id=1&key=3735928559",
                query(b"-rQ9010-abcdefghijkl", b"3735928559", 4240, 52_428_800, None),
            ),
        ];
        for (sent, expected) in cases {
            assert_eq!(AnnounceQuery::parse(sent.as_bytes()).as_ref(), Ok(expected), "{sent}");
        }
    }

    const BARE: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb";

    fn parse(more: &str) -> AnnounceQuery {
        AnnounceQuery::parse(format!("{BARE}&port=1{more}").as_bytes()).unwrap()
    }

    #[test]
    fn required_parameters_are_required() {
        use AnnounceQueryError::*;
        for (query, expected) in [
            ("", MissingInfoHash),
            ("port=1", MissingInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&port=1", MissingPeerId),
            (BARE, MissingPort),
            (&format!("{BARE}&event=started"), MissingPort),
            (&format!("{BARE}&cryptoport=7000"), MissingPort),
            (&format!("{BARE}&event=stopped&port="), InvalidPort),
            ("INFO_HASH=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", MissingInfoHash),
            ("info_hash=&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", InvalidInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", InvalidInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", InvalidInfoHash),
            ("info_hash=3500292f2881c52a3c672db7c77db1f60426c65g&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", InvalidInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbb&port=1", InvalidPeerId),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=&port=1", InvalidPeerId),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=aaaaaaaaaaaaaaaaaaaa", RepeatedInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaa%&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", Escape(EscapeError)),
        ] {
            assert_eq!(AnnounceQuery::parse(query.as_bytes()), Err(expected), "{query}");
        }
        for more in ["&x=%zz", "&%=1", "&key=%2"] {
            let query = format!("{BARE}&port=1{more}");
            assert_eq!(AnnounceQuery::parse(query.as_bytes()), Err(Escape(EscapeError)), "{query}");
        }
        for port in ["", "-1", "65536", "99999999999999999999999", "http", "6881.0", "+1", "0x50", " 1"] {
            let query = format!("{BARE}&port={port}");
            assert_eq!(AnnounceQuery::parse(query.as_bytes()), Err(InvalidPort), "{query}");
        }
    }

    #[test]
    fn an_info_hash_may_be_hexadecimal() {
        for digits in ["3500292f2881c52a3c672db7c77db1f60426c65f", "3500292F2881C52A3C672DB7C77DB1F60426C65F"] {
            let query = format!("info_hash={digits}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1");
            assert_eq!(AnnounceQuery::parse(query.as_bytes()).unwrap().info_hash, InfoHash::new(INFO_HASH));
        }
    }

    #[test]
    fn of_a_repeated_parameter_the_last_counts() {
        let query = parse("&port=2&left=5&left=0&event=started&event=&peer_id=cccccccccccccccccccc");
        assert_eq!((query.port, query.left, query.event), (2, Some(0), None));
        assert_eq!(query.peer_id, PeerId::new([b'c'; 20]));
    }

    #[test]
    fn a_second_question_mark_separates() {
        let query = AnnounceQuery::parse(format!("passkey=1234?{BARE}&port=1").as_bytes()).unwrap();
        assert_eq!(query.port, 1);
    }

    #[test]
    fn a_port_of_zero_is_taken_and_a_cryptoport_instead() {
        for (more, port) in [
            ("&port=0", 0),
            ("&port=0&hide=1", 0),
            ("&port=0&cryptoport=7000&requirecrypto=1", 7000),
            ("&cryptoport=7000&port=0", 7000),
            ("&port=0&cryptoport=x", 0),
            ("&port=6881&cryptoport=7000", 6881),
            ("&port=0&event=stopped", 0),
        ] {
            assert_eq!(parse(more).port, port, "{more}");
        }
    }

    #[test]
    fn a_stopped_announce_needs_no_port() {
        let query = AnnounceQuery::parse(format!("{BARE}&event=stopped").as_bytes()).unwrap();
        assert_eq!((query.port, query.event), (0, Some(AnnounceEvent::Stopped)));
    }

    #[test]
    fn numbers_never_fail_an_announce() {
        for (value, left, bytes, numwant) in [
            ("0", Some(0), 0, Some(0)),
            ("007", Some(7), 7, Some(7)),
            // Where `left` is cut to 32 bits, this is a seed.
            ("4294967296", Some(1 << 32), 1 << 32, Some(u32::MAX)),
            ("9223372036854775807", Some(i64::MAX as u64), i64::MAX as u64, Some(u32::MAX)),
            ("9223372036854775808", Some(1 << 63), 1 << 63, Some(u32::MAX)),
            ("18446744073709551615", Some(u64::MAX), u64::MAX, Some(u32::MAX)),
            ("340282366920938463463374607431768211456", Some(u64::MAX), u64::MAX, Some(u32::MAX)),
            ("-1", None, 0, None),
            ("", None, 0, None),
            ("many", None, 0, None),
            ("1e9", None, 0, None),
            ("%31%32", Some(12), 12, Some(12)),
        ] {
            let query = parse(&format!("&left={value}&uploaded={value}&downloaded={value}&numwant={value}"));
            assert_eq!(query.left, left, "{value}");
            assert_eq!((query.uploaded, query.downloaded), (bytes, bytes), "{value}");
            assert_eq!(query.numwant, numwant, "{value}");
        }
        let query = parse("");
        assert_eq!((query.left, query.uploaded, query.downloaded, query.numwant), (None, 0, 0, None));
    }

    #[test]
    fn unknown_events_are_none() {
        for (event, expected) in [
            ("started", Some(AnnounceEvent::Started)),
            ("completed", Some(AnnounceEvent::Completed)),
            ("stopped", Some(AnnounceEvent::Stopped)),
            ("paused", Some(AnnounceEvent::Paused)),
            ("empty", None),
            ("", None),
            ("Started", None),
            ("resumed", None),
        ] {
            assert_eq!(parse(&format!("&event={event}")).event, expected, "{event}");
        }
    }

    #[test]
    fn peers_are_compact_unless_a_client_says_otherwise() {
        for (more, format) in [
            ("", PeerFormat::Compact),
            ("&compact=1", PeerFormat::Compact),
            ("&compact=", PeerFormat::Compact),
            ("&no_peer_id=1", PeerFormat::Compact),
            ("&compact=0", PeerFormat::Dictionary),
            ("&compact=0&no_peer_id=0", PeerFormat::Dictionary),
            ("&compact=0&no_peer_id=1", PeerFormat::DictionaryNoPeerId),
        ] {
            assert_eq!(parse(more).peer_format, format, "{more}");
        }
    }

    #[test]
    fn an_ip_is_a_literal_or_nothing() {
        for (ip, expected) in [
            ("10.1.2.3", Some("10.1.2.3")),
            ("fd00%3a%3a1", Some("fd00::1")),
            ("fd00::1", Some("fd00::1")),
            ("tracker.example", None),
            ("10.1.2.3:80", None),
            ("", None),
            ("%ff", None),
        ] {
            assert_eq!(parse(&format!("&ip={ip}")).ip, expected.map(|ip| ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn a_key_is_opaque() {
        assert_eq!(parse("").key, PeerKey::NONE);
        let long = "k".repeat(4096);
        assert_eq!(parse(&format!("&key={long}")).key, PeerKey::from_bytes(long.as_bytes()));
        assert_ne!(parse("&key=%00").key, parse("&key=%00%00").key);
    }

    fn response() -> AnnounceResponse {
        let counts = SwarmCounts { seeders: 1, leechers: 2, partial_seeds: 0, completed: 3 };
        AnnounceResponse::new(Duration::from_secs(60), Duration::from_secs(30), counts)
    }

    fn peer(address: &str, peer_id: &[u8; 20]) -> PeerEntry {
        PeerEntry { address: address.parse().unwrap(), peer_id: Some(PeerId::new(*peer_id)) }
    }

    fn answer(entries: impl IntoIterator<Item = PeerEntry>) -> Peers {
        let mut peers = Peers::default();
        peers.extend(entries);
        peers
    }

    /// One client has one key, by whichever protocol it comes.
    #[test]
    fn a_key_of_hexadecimal_digits_is_the_number_of_udp() {
        for (text, number) in [("E0B55AB7", 0xe0b5_5ab7), ("e0b55ab7", 0xe0b5_5ab7), ("7e0b977", 0x07e0_b977), ("0", 0)]
        {
            assert_eq!(parse_key(text.as_bytes()), PeerKey::from_number(number), "{text}");
        }
        for text in ["E2T4DAX0", "123456789", "+1", ""] {
            assert_eq!(parse_key(text.as_bytes()), PeerKey::from_bytes(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn answers_are_these_bytes() {
        let peers = [
            peer("10.77.0.3:40005", b"-XX0001-aaaaaaaaaaaa"),
            peer("[fd77::3]:40006", b"-XX0001-bbbbbbbbbbbb"),
            peer("192.168.1.2:81", b"-XX0001-\x00\xffcccccccccc"),
        ];
        let (mut public, mut public6, mut warned) = (response(), response(), response());
        public.external_ip = Some([203, 0, 113, 9].into());
        public6.external_ip = Some("2001:db8::9".parse().unwrap());
        warned.warning = Some(Warning::LinkLocalAddress);
        let warning = Warning::LinkLocalAddress.to_string();
        let warning = format!("5:peers0:15:warning message{}:{warning}e", warning.len());
        type Case<'a> = (AnnounceResponse, &'a [PeerEntry], PeerFormat, &'a [u8]);
        let cases: &[Case<'_>] = &[
            (
                response(),
                &[],
                PeerFormat::Compact,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e5:peers0:e",
            ),
            (
                response(),
                &peers,
                PeerFormat::Compact,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e\
                  5:peers12:\x0a\x4d\x00\x03\x9c\x45\xc0\xa8\x01\x02\x00\x51\
                  6:peers618:\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\x9c\x46e",
            ),
            (
                response(),
                &peers[1..2],
                PeerFormat::Compact,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e\
                  5:peers0:6:peers618:\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\x9c\x46e",
            ),
            (
                response(),
                &peers,
                PeerFormat::Dictionary,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e5:peersl\
                  d2:ip9:10.77.0.37:peer id20:-XX0001-aaaaaaaaaaaa4:porti40005ee\
                  d2:ip11:192.168.1.27:peer id20:-XX0001-\x00\xffcccccccccc4:porti81ee\
                  d2:ip7:fd77::37:peer id20:-XX0001-bbbbbbbbbbbb4:porti40006eeee",
            ),
            (
                response(),
                &peers[..2],
                PeerFormat::DictionaryNoPeerId,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e5:peersl\
                  d2:ip9:10.77.0.34:porti40005eed2:ip7:fd77::34:porti40006eeee",
            ),
            (
                response(),
                &[],
                PeerFormat::Dictionary,
                b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e5:peerslee",
            ),
            (
                public,
                &[],
                PeerFormat::Compact,
                b"d8:completei1e10:downloadedi3e11:external ip4:\xcb\x00\x71\x0910:incompletei2e8:intervali60e\
                  12:min intervali30e5:peers0:e",
            ),
            (
                public6,
                &[],
                PeerFormat::Compact,
                b"d8:completei1e10:downloadedi3e11:external ip16:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\
                  10:incompletei2e8:intervali60e12:min intervali30e5:peers0:e",
            ),
            (
                warned,
                &[],
                PeerFormat::Compact,
                &[
                    b"d8:completei1e10:downloadedi3e10:incompletei2e8:intervali60e12:min intervali30e",
                    warning.as_bytes(),
                ]
                .concat(),
            ),
        ];
        let mut encoder = Encoder::new();
        for (response, peers, format, expected) in cases {
            let encoded = encode_announce(response, &answer(peers.iter().copied()), *format, &mut encoder);
            assert_eq!(encoded.escape_ascii().to_string(), expected.escape_ascii().to_string());
            assert!(bencode::Decoder::strict().decode(encoded).is_ok(), "{}", encoded.escape_ascii());
        }
    }

    fn any_response() -> impl Strategy<Value = AnnounceResponse> {
        (any::<u32>(), any::<u32>(), any::<[u32; 3]>(), any::<bool>(), any::<Option<IpAddr>>()).prop_map(
            |(interval, min_interval, [seeders, leechers, completed], warned, external_ip)| {
                let counts = SwarmCounts { seeders, leechers, partial_seeds: 0, completed };
                let seconds = |seconds: u32| Duration::from_secs(seconds.into());
                let mut response = AnnounceResponse::new(seconds(interval), seconds(min_interval), counts);
                response.warning = warned.then_some(Warning::LinkLocalAddress);
                response.external_ip = external_ip;
                response
            },
        )
    }

    proptest! {
        #[test]
        fn any_query_is_an_announce_or_an_error(query: Vec<u8>, more: Vec<u8>) {
            let _ = AnnounceQuery::parse(&query);
            let _ = AnnounceQuery::parse(&[BARE.as_bytes(), b"&port=1&", &more].concat());
        }

        #[test]
        fn any_answer_is_canonical_and_says_what_it_was_made_of(
            response in any_response(),
            peers in proptest::collection::vec((any::<IpAddr>(), any::<u16>(), any::<[u8; 20]>()), 0..50),
            format in prop_oneof![
                Just(PeerFormat::Compact), Just(PeerFormat::Dictionary), Just(PeerFormat::DictionaryNoPeerId)
            ],
        ) {
            let peers: Vec<PeerEntry> = peers
                .into_iter()
                .map(|(ip, port, peer_id)| PeerEntry {
                    address: SocketAddr::new(ip, port),
                    peer_id: Some(PeerId::new(peer_id)),
                })
                .collect();
            let mut encoder = Encoder::new();
            let encoded = encode_announce(&response, &answer(peers.iter().copied()), format, &mut encoder);
            let document = bencode::Decoder::strict().decode(encoded).unwrap();
            let answer = document.root().as_dict().unwrap();
            for (key, expected) in [
                ("interval", response.interval.as_secs()),
                ("min interval", response.min_interval.as_secs()),
                ("complete", response.seeders.into()),
                ("incomplete", response.leechers.into()),
                ("downloaded", response.completed.into()),
            ] {
                prop_assert_eq!(answer.get(key.as_bytes()).and_then(|value| value.as_u64()), Some(expected));
            }
            let addresses: Vec<SocketAddr> = match answer.get(b"peers").unwrap().as_bytes() {
                Some(compact) => {
                    let compact6 = answer.get(b"peers6").map_or(&[][..], |value| value.as_bytes().unwrap());
                    let v4 = compact.as_chunks::<6>().0.iter().map(|&[a, b, c, d, high, low]| {
                        SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))
                    });
                    let v6 = compact6.as_chunks::<18>().0.iter().map(|entry| {
                        let (ip, port) = entry.split_first_chunk::<16>().unwrap();
                        SocketAddr::from((*ip, u16::from_be_bytes([port[0], port[1]])))
                    });
                    v4.chain(v6).collect()
                }
                None => answer.get(b"peers").unwrap().as_list().unwrap().iter().map(|entry| {
                    let entry = entry.as_dict().unwrap();
                    let ip = entry.get(b"ip").unwrap().as_str().unwrap().parse().unwrap();
                    SocketAddr::new(ip, entry.get(b"port").unwrap().as_u64().unwrap().try_into().unwrap())
                }).collect(),
            };
            let mut expected: Vec<SocketAddr> = peers.iter().map(|peer| peer.address).collect();
            expected.sort_by_key(SocketAddr::is_ipv6);
            prop_assert_eq!(addresses, expected);
        }
    }
}
