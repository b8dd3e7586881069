//! A peer in bytes, and back.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tracker_core::{DetailImage, DownloadImage, PeerId, PeerImage, PeerKey, PeerState, Reachability};

use crate::wire::{Bytes, put_number};

const V6: u16 = 1;
const STATE: u32 = 1;
const DOWNLOAD: u32 = 3;
const DETAIL: u16 = 1 << 5;
const CLAIMED: u16 = 1 << 6;
const LEFT: u16 = 1 << 7;
const REACHABILITY: u32 = 8;

/// The least bytes of a peer.
pub(crate) const LEAST_BYTES: usize = 2 + 4 + 2 + 1;

pub(crate) fn encode(peer: &PeerImage, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&bits(peer).to_le_bytes());
    match peer.address.ip() {
        IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
    }
    bytes.extend_from_slice(&peer.address.port().to_le_bytes());
    put_number(bytes, peer.expires_in.as_secs());
    let Some(detail) = &peer.detail else { return };
    bytes.extend_from_slice(detail.peer_id.as_bytes());
    bytes.extend_from_slice(&detail.key.number().to_le_bytes());
    put_number(bytes, detail.uploaded);
    put_number(bytes, detail.downloaded);
    detail.left.iter().for_each(|&left| put_number(bytes, left));
    [detail.known_for, detail.silent_for, detail.interval].iter().for_each(|time| put_number(bytes, time.as_secs()));
}

pub(crate) fn decode(bytes: &mut Bytes<'_>) -> Option<PeerImage> {
    let bits = bytes.u16()?;
    let ip: IpAddr = if bits & V6 == 0 { bytes.array::<4>()?.into() } else { bytes.array::<16>()?.into() };
    let address = SocketAddr::new(ip, bytes.u16()?);
    let state = match bits >> STATE & 3 {
        0 => PeerState::Leecher,
        1 => PeerState::PartialSeed,
        2 => PeerState::Seeder,
        _ => return None,
    };
    let download = match bits >> DOWNLOAD & 3 {
        0 => DownloadImage::Unseen,
        1 => DownloadImage::Begun,
        2 => DownloadImage::Counted,
        _ => return None,
    };
    let expires_in = seconds(bytes)?;
    let detail = if bits & DETAIL == 0 { None } else { Some(decode_detail(bits, bytes)?) };
    Some(PeerImage { address, state, download, expires_in, detail })
}

fn decode_detail(bits: u16, bytes: &mut Bytes<'_>) -> Option<DetailImage> {
    Some(DetailImage {
        peer_id: PeerId::new(bytes.array()?),
        key: PeerKey::from_number(bytes.u32()?),
        uploaded: bytes.number()?,
        downloaded: bytes.number()?,
        left: if bits & LEFT == 0 { None } else { Some(bytes.number()?) },
        known_for: seconds(bytes)?,
        silent_for: seconds(bytes)?,
        interval: seconds(bytes)?,
        reachability: match bits >> REACHABILITY & 3 {
            0 => Reachability::Unknown,
            1 => Reachability::Yes,
            2 => Reachability::No,
            _ => Reachability::Introduced,
        },
        is_claimed: bits & CLAIMED != 0,
    })
}

fn bits(peer: &PeerImage) -> u16 {
    let flag = |flag, is_set: bool| if is_set { flag } else { 0 };
    let state = match peer.state {
        PeerState::Leecher => 0,
        PeerState::PartialSeed => 1,
        PeerState::Seeder => 2,
    };
    let download = match peer.download {
        DownloadImage::Unseen => 0,
        DownloadImage::Begun => 1,
        DownloadImage::Counted => 2,
    };
    let of_detail = peer.detail.as_ref().map_or(0, |detail| {
        let reachability = match detail.reachability {
            Reachability::Unknown => 0,
            Reachability::Yes => 1,
            Reachability::No => 2,
            Reachability::Introduced => 3,
        };
        DETAIL | flag(CLAIMED, detail.is_claimed) | flag(LEFT, detail.left.is_some()) | reachability << REACHABILITY
    });
    flag(V6, peer.address.is_ipv6()) | state << STATE | download << DOWNLOAD | of_detail
}

fn seconds(bytes: &mut Bytes<'_>) -> Option<Duration> {
    bytes.number().map(Duration::from_secs)
}
