//! The tracker's own peer.

use crate::address::{AddressBits, Asker};
use crate::{AnnounceRequest, Config, PeerEntry, PeerId};

/// The tracker's own peer: it listens on this machine, is in all swarms, and is neither a seeder nor a leecher.
///
/// It is handed out so that clients which cannot be dialled connect to it themselves. It is one more peer in each answer that
/// has a place left, under the address by which the asker reached this machine. No count and no scrape includes it.
///
/// Clients keep one connection for each address and torrent. So it is not handed out in a swarm
/// [with a peer on this machine](crate::SwarmView::has_peer_here), which it would keep the asker from. Nor is it to askers on this
/// machine, nor in a [lean](crate::Memory::Lean) tracker, which does not know of such peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnPeer {
    /// The port that it listens on, on all addresses of this machine.
    pub port: u16,
    /// Its peer id.
    pub peer_id: PeerId,
}

impl OwnPeer {
    /// A peer that listens on this port.
    pub const fn new(port: u16, peer_id: PeerId) -> Self {
        Self { port, peer_id }
    }

    /// What the asker gets, if it is not on this machine, and the answer can carry the address.
    pub(crate) fn entry(
        &self,
        asker: &Asker,
        request: &AnnounceRequest,
        config: &Config,
        bits: AddressBits,
    ) -> Option<PeerEntry> {
        let ip = asker.way_from_outside(config, bits).filter(|&ip| request.families.contain(ip))?;
        Some(PeerEntry { address: (ip, self.port).into(), peer_id: request.peer_ids.then_some(self.peer_id) })
    }
}
