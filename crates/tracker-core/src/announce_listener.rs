//! What an embedder hears of an announce before it is answered, and not by polling events.

use std::fmt;
use std::net::SocketAddr;

use crate::InfoHash;

/// Hears of what must be known at once, on the thread that announces and before it gets its answer: for a peer of the embedder's
/// own, which connects to newcomers and must not be in the way of clients on this machine. All else is in the
/// [events](crate::Shards::poll_events).
///
/// The announce waits for it, so that it must be quick. Nothing is locked meanwhile: the listener may look at the swarm, which is as
/// the announce left it, or newer, and other announces in it go on. Several threads may call it at the same time. It is not called
/// for regular announces.
pub trait AnnounceListener: fmt::Debug + Send + Sync {
    /// A peer joined, or moved to another port: it is at `address` now, under which it is [kept](crate::Peer::address), and was at
    /// `moved_from` if it moved. Another peer may be there by now.
    fn peer_came(&self, info_hash: &InfoHash, address: SocketAddr, moved_from: Option<SocketAddr>);

    /// A [peer on this machine](crate::SwarmView::has_peer_here) joined, or moved to another port; or the swarm, which had none, has
    /// one in another way.
    ///
    /// It comes after [`peer_came`](Self::peer_came) for the same announce: who knows of this, knows of that peer.
    ///
    /// Clients keep one connection for each address and torrent, so that no peer of the embedder's may have a connection to others
    /// of this swarm from now on, from an address under which this one is handed out. It can close them all here, and miss none while
    /// the swarm had no peer on this machine, if before it opens one it first notes it where this method finds it, and then asks
    /// [`Shards::has_peer_here`](crate::Shards::has_peer_here), which says `true` since before this call.
    fn peer_is_here(&self, info_hash: &InfoHash);
}
