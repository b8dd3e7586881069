//! What the driver wants of a connection.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peer_wire::{MAX_PEX_SENT, PexFlags, PexPeer, Torrent};
use tokio::sync::Notify;

use crate::session::GivenTorrent;

/// Peers that wait to be told of. When there are more, the oldest are left out, seeds last, as the connection itself would do.
const MAX_ADDED: usize = MAX_PEX_SENT;

/// Peers that have gone, as the other end is yet to be told: as many as a connection remembers, those that it has told of and those
/// that it is to tell of. When there are more, the oldest are left out.
const MAX_DROPPED: usize = 2 * MAX_PEX_SENT;

/// What is wanted of a connection, all of it since the last time that it was asked for: what comes later is merged into what waits,
/// so that nothing is lost for want of room.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Commands {
    /// More is known of the torrent.
    pub(crate) torrent: Option<Torrent>,
    /// Give this torrent from now on, or nothing.
    pub(crate) given: Option<Option<GivenTorrent>>,
    /// Request the info dictionary.
    pub(crate) requests_metadata: bool,
    /// Tell the peer of these.
    pub(crate) added: Vec<PexPeer>,
    /// Tell the peer that these have gone. To be done before it is told of [others](Self::added), among which they may be again.
    pub(crate) dropped: Vec<SocketAddr>,
}

/// The driver's end: the connection is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct CommandSender(Arc<Shared>);

/// The connection's end.
#[derive(Debug)]
pub(crate) struct CommandReceiver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    has_changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: Commands,
    is_closed: bool,
}

/// Both ends for one connection.
pub(crate) fn commands() -> (CommandSender, CommandReceiver) {
    let shared = Arc::new(Shared::default());
    (CommandSender(Arc::clone(&shared)), CommandReceiver(shared))
}

impl CommandSender {
    pub(crate) fn set_torrent(&self, torrent: Torrent) {
        self.change(|waiting| waiting.commands.torrent = Some(torrent));
    }

    pub(crate) fn set_given(&self, given: Option<GivenTorrent>) {
        self.change(|waiting| waiting.commands.given = Some(given));
    }

    pub(crate) fn request_metadata(&self) {
        self.change(|waiting| waiting.commands.requests_metadata = true);
    }

    pub(crate) fn introduce(&self, added: Vec<PexPeer>, dropped: &[SocketAddr]) {
        self.change(|waiting| waiting.commands.introduce(added, dropped));
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.0.lock());
        self.0.has_changed.notify_one();
    }
}

impl Drop for CommandSender {
    fn drop(&mut self) {
        self.change(|waiting| waiting.is_closed = true);
    }
}

impl CommandReceiver {
    /// The next commands; `None` when the connection is to be closed. Nothing is lost if the future is dropped.
    pub(crate) async fn recv(&self) -> Option<Commands> {
        loop {
            {
                let mut waiting = self.0.lock();
                if waiting.is_closed {
                    return None;
                }
                if waiting.commands != Commands::default() {
                    return Some(mem::take(&mut waiting.commands));
                }
            }
            self.0.has_changed.notified().await;
        }
    }

    /// Waits until the connection is to be closed. Commands that come meanwhile wait for [`recv`](Self::recv).
    pub(crate) async fn closed(&self) {
        while !self.0.lock().is_closed {
            self.0.has_changed.notified().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Commands {
    fn introduce(&mut self, added: Vec<PexPeer>, dropped: &[SocketAddr]) {
        // The peer is not told of those that have gone now.
        self.added.retain(|peer| !dropped.contains(&peer.address));
        for &address in dropped {
            if !self.dropped.contains(&address) {
                self.dropped.push(address);
            }
        }
        let surplus = self.dropped.len().saturating_sub(MAX_DROPPED);
        self.dropped.drain(..surplus);
        for peer in added {
            if let Some(known) = self.added.iter_mut().find(|known| known.address == peer.address) {
                *known = peer;
                continue;
            }
            if self.added.len() >= MAX_ADDED {
                let oldest = self.added.iter().position(|known| !known.flags.contains(PexFlags::SEED));
                self.added.remove(oldest.unwrap_or(0));
            }
            self.added.push(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn peer(port: u16, flags: PexFlags) -> PexPeer {
        PexPeer { address: address(port), flags }
    }

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 2], port).into()
    }

    fn ports(peers: &[PexPeer]) -> Vec<u16> {
        peers.iter().map(|peer| peer.address.port()).collect()
    }

    #[tokio::test]
    async fn commands_are_merged_and_none_is_lost() {
        let (sender, receiver) = commands();
        sender.request_metadata();
        for port in 1..=40 {
            sender.introduce(vec![peer(port, PexFlags::default())], &[]);
        }
        sender.set_torrent(Torrent::default().with_piece_count(1));
        sender.set_torrent(Torrent::default().with_piece_count(2));
        let commands = receiver.recv().await.unwrap();
        assert_eq!(ports(&commands.added), (1..=40).collect::<Vec<_>>());
        assert_eq!(commands.torrent.unwrap().piece_count, Some(2));
        assert!(commands.requests_metadata && commands.dropped.is_empty());

        timeout(Duration::ZERO, receiver.recv()).await.unwrap_err();
        sender.request_metadata();
        drop(sender);
        assert_eq!(receiver.recv().await, None, "one that is to be closed has nothing else to do");
    }

    #[tokio::test]
    async fn only_the_end_of_the_sender_closes() {
        let (sender, receiver) = commands();
        sender.set_torrent(Torrent::default());
        timeout(Duration::ZERO, receiver.closed()).await.unwrap_err();
        assert_eq!(receiver.recv().await.unwrap().torrent, Some(Torrent::default()), "it has waited");
        drop(sender);
        receiver.closed().await;
    }

    #[tokio::test]
    async fn the_latest_word_on_a_peer_counts() {
        let (sender, receiver) = commands();
        let none = PexFlags::default();
        sender.introduce(vec![peer(1, none), peer(2, none), peer(3, none)], &[address(4)]);
        sender.introduce(vec![peer(4, none)], &[address(1), address(2)]);
        sender.introduce(vec![peer(2, none), peer(3, PexFlags::SEED)], &[]);
        let commands = receiver.recv().await.unwrap();
        assert_eq!(commands.added, [peer(3, PexFlags::SEED), peer(4, none), peer(2, none)]);
        assert_eq!(commands.dropped, [address(4), address(1), address(2)], "they may have been told of before");
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_seeds_stay_longest() {
        let (sender, receiver) = commands();
        sender.introduce(vec![peer(1, PexFlags::SEED)], &[]);
        for port in 2..=1000 {
            sender.introduce(vec![peer(port, PexFlags::default())], &[address(2000 + port)]);
        }
        let commands = receiver.recv().await.unwrap();
        assert_eq!(ports(&commands.added), [1].into_iter().chain(952..=1000).collect::<Vec<_>>());
        assert_eq!(commands.dropped, (2901..=3000).map(address).collect::<Vec<_>>());
    }
}
