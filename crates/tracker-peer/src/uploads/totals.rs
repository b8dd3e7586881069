//! What was sent, of which torrent and to whom.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use tracker_core::InfoHash;

/// Peers of which it is known what they were sent, in all torrents. When there are more, those are forgotten that got their first byte
/// first, and only the sum of the torrent stays.
pub(crate) const MAX_PEERS: usize = 10_000;

/// Bytes of blocks that were sent.
#[derive(Debug, Default)]
pub(super) struct Totals {
    torrents: HashMap<InfoHash, Torrent>,
    /// The first to be forgotten first.
    peers: VecDeque<(InfoHash, SocketAddr)>,
}

#[derive(Debug, Default)]
struct Torrent {
    bytes: u64,
    to: HashMap<SocketAddr, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, info_hash: InfoHash, address: SocketAddr, bytes: u64) {
        let torrent = self.torrents.entry(info_hash).or_default();
        torrent.bytes += bytes;
        if let Some(of_peer) = torrent.to.get_mut(&address) {
            *of_peer += bytes;
            return;
        }
        torrent.to.insert(address, bytes);
        self.peers.push_back((info_hash, address));
        if self.peers.len() > MAX_PEERS
            && let Some((info_hash, address)) = self.peers.pop_front()
            && let Some(torrent) = self.torrents.get_mut(&info_hash)
        {
            torrent.to.remove(&address);
        }
    }

    /// Bytes of a torrent in all, and to each peer.
    pub(super) fn of(&self, info_hash: &InfoHash) -> (u64, Vec<(SocketAddr, u64)>) {
        let Some(torrent) = self.torrents.get(info_hash) else { return (0, Vec::new()) };
        (torrent.bytes, torrent.to.iter().map(|(address, bytes)| (*address, *bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_when_peers_are_forgotten() {
        let (mut totals, info_hash) = (Totals::default(), InfoHash::new([1; 20]));
        let peer = |number: usize| SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 6881));
        for number in 0..=MAX_PEERS {
            totals.add(info_hash, peer(number), 10);
            totals.add(info_hash, peer(number), 1);
        }
        let (bytes, to) = totals.of(&info_hash);
        assert_eq!((bytes, to.len()), (11 * (MAX_PEERS as u64 + 1), MAX_PEERS));
        assert!(!to.iter().any(|&(address, _)| address == peer(0)));
        assert!(to.contains(&(peer(MAX_PEERS), 11)));
        assert_eq!(totals.of(&InfoHash::new([2; 20])), (0, vec![]));
    }
}
