//! The tracker's own peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::address::{AddressBits, Asker};
use crate::{AnnounceRequest, Config, PeerEntry, PeerId};

/// The tracker's own peer: it listens on this machine, is in all swarms, and is neither a seeder nor a leecher.
///
/// It is handed out so that clients which cannot be dialled connect to it themselves. It is one more peer in each answer that
/// has a place left, under the address by which the asker reached this machine. No count and no scrape includes it.
///
/// Clients keep one connection for each address and torrent. So it is not handed out in a swarm
/// [with a peer on this machine](crate::SwarmView::has_peer_here), which it would keep the asker from. Nor is it to askers on this
/// machine, nor in a [lean](crate::Memory::Lean) tracker, which does not know of such peers. Nor is it where it does not listen on the address by which
/// the asker reached this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnPeer {
    /// The port that it listens on.
    pub port: u16,
    /// The addresses that it listens on. The unspecified one stands for all addresses of its family.
    pub listen_ips: Arc<[IpAddr]>,
    /// Its peer id.
    pub peer_id: PeerId,
}

impl OwnPeer {
    /// A peer that listens on this port of all addresses of this machine.
    pub fn new(port: u16, peer_id: PeerId) -> Self {
        Self { port, listen_ips: [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()].into(), peer_id }
    }

    /// Sets the addresses that it listens on.
    #[must_use]
    pub fn with_listen_ips(self, ips: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { listen_ips: ips.into_iter().collect(), ..self }
    }

    /// What the asker gets, if it is not on this machine, the answer can carry the address, and the peer listens there.
    pub(crate) fn entry(
        &self,
        asker: &Asker,
        request: &AnnounceRequest,
        config: &Config,
        bits: AddressBits,
    ) -> Option<PeerEntry> {
        let way = asker.way_from_outside(config, bits);
        let ip = way.filter(|&ip| request.families.contain(ip) && self.listens_on(ip))?;
        Some(PeerEntry { address: (ip, self.port).into(), peer_id: request.peer_ids.then_some(self.peer_id) })
    }

    fn listens_on(&self, ip: IpAddr) -> bool {
        let is_it = |&listen: &IpAddr| listen == ip || listen.is_unspecified() && listen.is_ipv4() == ip.is_ipv4();
        self.listen_ips.iter().any(is_it)
    }
}
