//! What a peer says whom it is connected to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peer_wire::{PexFlags, PexPeer};

/// The time for which something is kept that was said over a connection which is gone. Clients say it again each minute or on each
/// connection.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Peers that one peer is known to be connected to. A client has up to 100 connections per torrent, by default.
const MOST: usize = 200;

/// The peers that a peer is connected to, as it says by peer exchange.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    by_address: BTreeMap<SocketAddr, Neighbour>,
}

#[derive(Debug, Clone, Copy)]
struct Neighbour {
    flags: PexFlags,
    told_at: Duration,
}

impl Neighbours {
    /// The peer said that it is connected to another, which is one of at most [`MOST`] then.
    pub(super) fn insert(&mut self, now: Duration, peer: PexPeer) {
        if self.by_address.len() >= MOST && !self.by_address.contains_key(&peer.address) {
            let oldest = self.by_address.iter().min_by_key(|(_, neighbour)| neighbour.told_at);
            if let Some(oldest) = oldest.map(|(&address, _)| address) {
                self.by_address.remove(&oldest);
            }
        }
        self.by_address.insert(peer.address, Neighbour { flags: peer.flags, told_at: now });
    }

    /// The peer said that it is not connected to another any more.
    pub(super) fn remove(&mut self, address: SocketAddr) {
        self.by_address.remove(&address);
    }

    /// The connection over which the peer spoke is established or closed: forgets what is too old.
    pub(super) fn expire(&mut self, now: Duration) {
        self.by_address.retain(|_, neighbour| now < neighbour.told_at + KEPT);
    }

    /// The peers that it is connected to. What it said over the connection that there is since `connected_at` is valid until it says
    /// otherwise.
    pub(super) fn iter(
        &self,
        now: Duration,
        connected_at: Option<Duration>,
    ) -> impl Iterator<Item = (SocketAddr, PexFlags)> {
        let is_valid = move |neighbour: &Neighbour| {
            now < neighbour.told_at + KEPT || connected_at.is_some_and(|at| at <= neighbour.told_at)
        };
        let valid = self.by_address.iter().filter(move |(_, neighbour)| is_valid(neighbour));
        valid.map(|(&address, neighbour)| (address, neighbour.flags))
    }

    /// Returns `true` if it said that it is connected to this address.
    pub(super) fn has(&self, now: Duration, connected_at: Option<Duration>, address: SocketAddr) -> bool {
        self.iter(now, connected_at).any(|(neighbour, _)| neighbour == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> PexPeer {
        PexPeer { address: ([10, 0, 0, last], 6881).into(), flags: PexFlags::SEED }
    }

    #[test]
    fn what_is_said_lasts_ten_minutes_or_as_long_as_the_connection() {
        let mut neighbours = Neighbours::default();
        let told = Duration::from_secs(100);
        neighbours.insert(told, peer(1));
        let later = told + KEPT;
        assert!(neighbours.has(later - Duration::from_millis(1), None, peer(1).address));
        assert!(!neighbours.has(later, None, peer(1).address));
        assert!(neighbours.has(later, Some(told), peer(1).address));
        assert!(!neighbours.has(later, Some(later), peer(1).address), "said over an earlier connection");
        neighbours.insert(later, peer(2));
        neighbours.expire(later);
        assert_eq!(neighbours.by_address.len(), 1);
        neighbours.remove(peer(2).address);
        assert_eq!(neighbours.iter(later, None).count(), 0);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut neighbours = Neighbours::default();
        for last in 0..=MOST as u8 {
            neighbours.insert(Duration::from_secs(last.into()), peer(last));
        }
        let now = Duration::from_secs(MOST as u64);
        assert_eq!(neighbours.iter(now, None).count(), MOST);
        assert!(!neighbours.has(now, None, peer(0).address) && neighbours.has(now, None, peer(1).address));
    }
}
