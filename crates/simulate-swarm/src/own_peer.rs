//! The peer that the tracker under test is itself.

use std::net::{IpAddr, SocketAddr};

/// The tracker's own peer, if it has one: a peer at the tracker's address that is in each torrent, and is neither a seeder nor a
/// leecher. This project's tracker has one, by which it sees other peers.
#[derive(Debug)]
pub(crate) struct OwnPeer {
    address: IpAddr,
    /// The port at which it was found first.
    port: Option<u16>,
}

impl OwnPeer {
    /// The own peer of the tracker that announces are sent to.
    pub(crate) fn of(tracker: SocketAddr) -> Self {
        Self { address: tracker.ip(), port: None }
    }

    /// Returns `true` if it may be at this address, which is none of a simulated peer: it has one port, whatever the torrent.
    pub(crate) fn is_at(&mut self, address: SocketAddr) -> bool {
        address.ip() == self.address && *self.port.get_or_insert_with(|| address.port()) == address.port()
    }
}
