//! A swarm in bytes, and back.

use tracker_core::{InfoHash, PeerImage, SwarmImage};

use crate::peer_codec;
use crate::wire::{Bytes, put_number};

/// Appends a swarm with these of its peers.
pub(crate) fn encode(swarm: &SwarmImage, peers: &[PeerImage], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(swarm.info_hash.as_bytes());
    put_number(bytes, swarm.completed.into());
    put_number(bytes, peers.len() as u64);
    peers.iter().for_each(|peer| peer_codec::encode(peer, bytes));
}

pub(crate) fn decode(mut bytes: Bytes<'_>) -> Option<SwarmImage> {
    let info_hash = InfoHash::new(bytes.array()?);
    let completed = u32::try_from(bytes.number()?).ok()?;
    let count = usize::try_from(bytes.number()?).ok()?;
    if count > bytes.0.len() / peer_codec::LEAST_BYTES {
        return None;
    }
    let peers = (0..count).map(|_| peer_codec::decode(&mut bytes)).collect::<Option<_>>()?;
    bytes.end()?;
    Some(SwarmImage { info_hash, completed, peers })
}
