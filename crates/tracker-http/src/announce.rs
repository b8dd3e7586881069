//! The announce on the wire: its query, and its answer.
//!
//! Strict on bytes, forgiving on clients: what names the torrent and the peer must be there and well-formed, everything
//! else that a client gets wrong is taken as if it had not been sent.

use std::net::{IpAddr, SocketAddr};
use std::str;

use tracker_core::{AnnounceEvent, AnnounceRequest, AnnounceResponse, InfoHash, PeerEntry, PeerId, PeerKey};

use crate::query::{EscapeError, Escaped, Query};

/// What the query of an announce says ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
///
/// Parameters may come in any order and unknown ones are skipped. Of a repeated one the last counts, since a tracker URL's
/// own query comes before the client's values; a repeated `info_hash` is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// Which swarm: 20 bytes, or 40 hexadecimal digits, which some scripts send.
    pub info_hash: InfoHash,
    /// Who the client says it is: 20 bytes.
    pub peer_id: PeerId,
    /// `key`, opaque bytes of any length.
    pub key: PeerKey,
    /// `ip`, when it is the literal of an address. Names are never resolved.
    pub ip: Option<IpAddr>,
    /// `port`. Where it is 0, a `cryptoport` counts instead: BiglyBT sends that when it takes encrypted connections only.
    pub port: u16,
    /// `uploaded`, bytes; 0 when it is missing or no number, [`u64::MAX`] when it is too large for one.
    pub uploaded: u64,
    /// `downloaded`, likewise.
    pub downloaded: u64,
    /// `left`, bytes; `None` when it is missing, no number, negative, or larger than an [`i64`] holds.
    pub left: Option<u64>,
    /// `event`; none when it is missing, empty, or unknown.
    pub event: Option<AnnounceEvent>,
    /// `numwant`; none when it is missing, no number, or negative.
    pub numwant: Option<u32>,
    /// How the client wants to have its peers.
    pub peer_format: PeerFormat,
}

/// How peers are written.
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
    /// When an escape is malformed anywhere in it, or `info_hash`, `peer_id` or `port` is missing or malformed. Nothing
    /// else can fail an announce.
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
                b"key" => key = PeerKey::from_bytes(&value),
                b"ip" => ip = str::from_utf8(&value).ok().and_then(|ip| ip.parse().ok()),
                b"port" => port = Some(parse_port(&value).ok_or(AnnounceQueryError::InvalidPort)?),
                b"cryptoport" => crypto_port = parse_port(&value),
                b"uploaded" => uploaded = saturating_number(&value).unwrap_or(0),
                b"downloaded" => downloaded = saturating_number(&value).unwrap_or(0),
                b"left" => left = saturating_number(&value).filter(|&left| i64::try_from(left).is_ok()),
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
            port: match port.ok_or(AnnounceQueryError::MissingPort)? {
                0 => crypto_port.unwrap_or(0),
                port => port,
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
        AnnounceRequest {
            info_hash: self.info_hash,
            peer_id: self.peer_id,
            key: self.key,
            remote,
            local,
            claimed_ip: self.ip,
            port: self.port,
            uploaded: self.uploaded,
            downloaded: self.downloaded,
            left: self.left,
            event: self.event,
            numwant: self.numwant,
        }
    }
}

/// Writes the answer to an announce, canonically bencoded.
///
/// `interval`, `min interval`, `complete`, `incomplete`, `downloaded` and `peers` are always there: clients fail without
/// `peers`, and Transmission skips its own scrape when it has the three counts. `peers6`
/// ([BEP 7](https://www.bittorrent.org/beps/bep_0007.html)) is there when it is not empty; `peers` as dictionaries holds
/// both families.
pub fn encode_announce(response: &AnnounceResponse, peers: &[PeerEntry], format: PeerFormat) -> Vec<u8> {
    let external_ip = response.external_ip.map(Octets::from);
    let (compact, compact6) = match format {
        PeerFormat::Compact => compact_peers(peers),
        PeerFormat::Dictionary | PeerFormat::DictionaryNoPeerId => (Vec::new(), Vec::new()),
    };
    let encoded = bencode::encode(|value| {
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
                PeerFormat::Compact => answer.bytes("peers", &compact),
                PeerFormat::Dictionary | PeerFormat::DictionaryNoPeerId => answer.list("peers", |list| {
                    for peer in peers {
                        list.dict(|entry| {
                            entry.bytes("ip", peer.address.ip().to_string());
                            if format == PeerFormat::Dictionary {
                                entry.bytes("peer id", peer.peer_id.as_bytes());
                            }
                            entry.int("port", peer.address.port());
                        });
                    }
                }),
            }
            if !compact6.is_empty() {
                answer.bytes("peers6", &compact6);
            }
            if let Some(warning) = response.warning {
                answer.bytes("warning message", warning.to_string());
            }
        });
    });
    encoded.expect("the keys are all different")
}

/// `peers` and `peers6`: address and port in network byte order.
fn compact_peers(peers: &[PeerEntry]) -> (Vec<u8>, Vec<u8>) {
    let mut v4 = Vec::with_capacity(peers.len() * 6);
    let mut v6 = Vec::new();
    for peer in peers {
        let port = peer.address.port().to_be_bytes();
        match peer.address {
            SocketAddr::V4(address) => {
                v4.extend_from_slice(&address.ip().octets());
                v4.extend_from_slice(&port);
            }
            SocketAddr::V6(address) => {
                v6.extend_from_slice(&address.ip().octets());
                v6.extend_from_slice(&port);
            }
        }
    }
    (v4, v6)
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
