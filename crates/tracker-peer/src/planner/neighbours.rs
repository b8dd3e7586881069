//! What a peer says whom it is connected to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peer_wire::{PexFlags, PexPeer};

/// The time for which something is kept that was said over a connection which is gone. Clients say it again each minute or on each
/// connection.
const KEPT: Duration = Duration::from_secs(10 * 60);

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
    /// Peers that one peer is known to be connected to. A client has up to 100 connections per torrent, by default.
    pub(super) const MOST: usize = 200;

    /// The peer said that it is connected to some, which are among at most [`MOST`](Self::MOST) then, and not to others any more.
    /// Those give way that were told longest ago, all in one pass, so that a message costs little however full it is.
    pub(super) fn update(&mut self, now: Duration, added: &[PexPeer], dropped: &[SocketAddr]) {
        for address in dropped {
            self.by_address.remove(address);
        }
        let told = |peer: &PexPeer| (peer.address, Neighbour { flags: peer.flags, told_at: now });
        self.by_address.extend(added.iter().take(Self::MOST).map(told));
        let surplus = self.by_address.len().saturating_sub(Self::MOST);
        if surplus > 0 {
            let ages = self.by_address.iter().map(|(&address, neighbour)| (neighbour.told_at, address));
            let mut ages: Vec<_> = ages.collect();
            ages.select_nth_unstable(surplus - 1);
            for (_, address) in &ages[..surplus] {
                self.by_address.remove(address);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
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
        let valid = self.by_address.iter().filter(move |(_, neighbour)| neighbour.is_valid(now, connected_at));
        valid.map(|(&address, neighbour)| (address, neighbour.flags))
    }

    /// Returns `true` if it said that it is connected to this address.
    pub(super) fn has(&self, now: Duration, connected_at: Option<Duration>, address: SocketAddr) -> bool {
        self.by_address.get(&address).is_some_and(|neighbour| neighbour.is_valid(now, connected_at))
    }
}

impl Neighbour {
    fn is_valid(&self, now: Duration, connected_at: Option<Duration>) -> bool {
        now < self.told_at + KEPT || connected_at.is_some_and(|at| at <= self.told_at)
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
        neighbours.update(told, &[peer(1)], &[]);
        let later = told + KEPT;
        assert!(neighbours.has(later - Duration::from_millis(1), None, peer(1).address));
        assert!(!neighbours.has(later, None, peer(1).address));
        assert!(neighbours.has(later, Some(told), peer(1).address));
        assert!(!neighbours.has(later, Some(later), peer(1).address), "said over an earlier connection");
        neighbours.update(later, &[peer(2)], &[]);
        neighbours.expire(later);
        assert_eq!(neighbours.by_address.len(), 1);
        neighbours.update(later, &[], &[peer(2).address]);
        assert_eq!(neighbours.iter(later, None).count(), 0);
    }

    #[test]
    fn the_oldest_give_way() {
        let most = Neighbours::MOST as u8;
        let mut neighbours = Neighbours::default();
        for last in 0..most {
            neighbours.update(Duration::from_secs(last.into()), &[peer(last)], &[]);
        }
        let now = Duration::from_secs(most.into());
        neighbours.update(now, &[peer(1), peer(most), peer(most + 1)], &[]);
        assert_eq!(neighbours.iter(now, None).count(), Neighbours::MOST);
        let gone: Vec<_> = (0..most + 2).filter(|&last| !neighbours.has(now, None, peer(last).address)).collect();
        assert_eq!(gone, [0, 2]);
        let flood: Vec<_> =
            (0..1000).map(|port| PexPeer { address: ([10, 0, 1, 1], port).into(), ..peer(1) }).collect();
        neighbours.update(now + KEPT / 2, &flood, &[]);
        assert_eq!(neighbours.by_address.len(), Neighbours::MOST);
        assert!(neighbours.iter(now, None).all(|(address, _)| address.ip() == flood[0].address.ip()));
    }
}
