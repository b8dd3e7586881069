//! What the tracker's own peer hears of announces.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracker_core::{AnnounceListener, InfoHash};

use crate::swarm_sockets::SwarmSockets;

/// Newcomers that wait until the service takes them. When more come, all swarms are looked through instead.
const MAX_NEWCOMERS: usize = 10_000;

/// Hears of announces for a [`Service`](crate::Service): give it to [`Shards::with_listener`](tracker_core::Shards::with_listener),
/// and to the service.
///
/// It costs the announce of a newcomer a lock that is held for a moment. Other announces it does not hear of.
#[derive(Debug, Default)]
pub struct Announces {
    pub(crate) sockets: SwarmSockets,
    newcomers: Mutex<Newcomers>,
    has_come: Notify,
}

#[derive(Debug, Default)]
struct Newcomers {
    /// `true` while a service takes them.
    is_wanted: bool,
    waiting: VecDeque<(InfoHash, SocketAddr)>,
    has_overflowed: bool,
}

impl Announces {
    /// Waits until there are newcomers to [take](Self::take).
    pub(crate) async fn has_come(&self) {
        self.has_come.notified().await;
    }

    /// Ends a wait, also if there are none.
    pub(crate) fn wake(&self) {
        self.has_come.notify_one();
    }

    /// Moves the newcomers into `taken`. Returns `false` if some are missing, since they were too many.
    pub(crate) fn take(&self, taken: &mut VecDeque<(InfoHash, SocketAddr)>) -> bool {
        let mut newcomers = self.lock();
        taken.append(&mut newcomers.waiting);
        !std::mem::take(&mut newcomers.has_overflowed)
    }

    /// Collects newcomers from now on, or not any more.
    pub(crate) fn collect(&self, is_wanted: bool) {
        *self.lock() = Newcomers { is_wanted, ..Newcomers::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Newcomers> {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnnounceListener for Announces {
    fn peer_came(&self, info_hash: &InfoHash, address: SocketAddr) {
        let mut newcomers = self.lock();
        if !newcomers.is_wanted {
            return;
        }
        if newcomers.waiting.len() == MAX_NEWCOMERS {
            newcomers.has_overflowed = true;
            return;
        }
        newcomers.waiting.push_back((*info_hash, address));
        let is_first = newcomers.waiting.len() == 1;
        drop(newcomers);
        // The others are taken with it: waking up a thread is a system call.
        if is_first {
            self.has_come.notify_one();
        }
    }

    fn peer_is_here(&self, info_hash: &InfoHash) {
        self.sockets.close_all(info_hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: InfoHash = InfoHash::new([1; 20]);

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 2], port).into()
    }

    #[tokio::test]
    async fn newcomers_are_collected_while_somebody_takes_them() {
        let announces = Announces::default();
        announces.peer_came(&SWARM, address(1000));
        announces.collect(true);
        announces.peer_came(&SWARM, address(1001));
        announces.peer_came(&SWARM, address(1002));
        announces.has_come().await;
        let mut taken = VecDeque::new();
        assert!(announces.take(&mut taken));
        assert_eq!(taken, [(SWARM, address(1001)), (SWARM, address(1002))]);

        announces.peer_came(&SWARM, address(1003));
        announces.collect(false);
        taken.clear();
        assert!(announces.take(&mut taken));
        assert!(taken.is_empty());
    }

    #[test]
    fn too_many_newcomers_are_told_of() {
        let announces = Announces::default();
        announces.collect(true);
        (0..=MAX_NEWCOMERS).for_each(|_| announces.peer_came(&SWARM, address(1000)));
        let mut taken = VecDeque::new();
        assert!(!announces.take(&mut taken));
        assert_eq!(taken.len(), MAX_NEWCOMERS);
        assert!(announces.take(&mut taken), "it is told once");
    }
}
