//! Peer exchange that has come and was not polled yet.

use std::net::SocketAddr;

use crate::{MAX_PEX_RECEIVED, Pex, PexPeer};

/// What several messages of peer exchange come to: the latest word on each address. Of each list the latest
/// [`MAX_PEX_RECEIVED`] are kept.
#[derive(Debug, Default)]
pub(super) struct ReceivedPex(Pex);

impl ReceivedPex {
    pub(super) fn add(&mut self, message: Pex) {
        let Pex { added, dropped } = &mut self.0;
        // A message drops before it adds: an address in both is there.
        for address in message.dropped {
            added.retain(|peer| peer.address != address);
            if !dropped.contains(&address) {
                push(dropped, address);
            }
        }
        for peer in message.added {
            dropped.retain(|address| *address != peer.address);
            match added.iter_mut().find(|known| known.address == peer.address) {
                Some(known) => *known = peer,
                None => push(added, peer),
            }
        }
    }

    /// Takes what there is.
    pub(super) fn take(&mut self) -> Option<Pex> {
        let pex = std::mem::take(&mut self.0);
        (pex != Pex::default()).then_some(pex)
    }

    /// The bytes of memory that it has allocated.
    pub(super) fn allocated(&self) -> usize {
        self.0.added.capacity() * size_of::<PexPeer>() + self.0.dropped.capacity() * size_of::<SocketAddr>()
    }
}

/// Adds to the end, and removes the oldest if there are too many.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= MAX_PEX_RECEIVED {
        list.remove(0);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PexFlags;

    fn address(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    fn peer(n: u16, flags: PexFlags) -> PexPeer {
        PexPeer { address: address(n), flags }
    }

    #[test]
    fn the_latest_word_counts() {
        let (none, seed) = (PexFlags::default(), PexFlags::SEED);
        let mut received = ReceivedPex::default();
        assert_eq!(received.take(), None);
        received.add(Pex { added: vec![peer(1, none), peer(2, none), peer(3, none)], dropped: vec![address(4)] });
        received.add(Pex { added: vec![peer(1, seed), peer(4, none)], dropped: vec![address(2), address(2)] });
        received.add(Pex { added: vec![peer(5, seed)], dropped: vec![address(5)] });
        assert_eq!(
            received.take(),
            Some(Pex {
                added: vec![peer(1, seed), peer(3, none), peer(4, none), peer(5, seed)],
                dropped: vec![address(2)]
            })
        );
        assert_eq!(received.take(), None);
        received.add(Pex::default());
        assert_eq!(received.take(), None);
    }

    #[test]
    fn the_latest_are_kept() {
        let mut received = ReceivedPex::default();
        for n in 0..1000 {
            received.add(Pex { added: vec![peer(n, PexFlags::SEED)], dropped: vec![address(2000 + n)] });
            assert!(received.allocated() <= 128 * 36 + 128 * 32, "{}", received.allocated());
        }
        let pex = received.take().expect("some");
        assert_eq!(pex.added, (900..1000).map(|n| peer(n, PexFlags::SEED)).collect::<Vec<_>>());
        assert_eq!(pex.dropped, (2900..3000).map(address).collect::<Vec<_>>());
        assert_eq!(received.allocated(), 0);
    }
}
