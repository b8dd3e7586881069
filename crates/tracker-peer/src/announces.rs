//! What the tracker's own peer hears of announces.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracker_core::{AnnounceListener, InfoHash};

use crate::swarm_sockets::SwarmSockets;

/// Addresses that wait until the service takes them. When there are more, all swarms are looked through instead.
const MAX_WAITING: usize = 10_000;

/// Hears of announces for a [`Service`](crate::Service): give it to [`Shards::with_listener`](tracker_core::Shards::with_listener),
/// and to the service.
///
/// It costs the announce of a newcomer, or of a peer that moved, a lock that is held for a moment. Other announces it does not hear
/// of.
#[derive(Debug, Default)]
pub struct Announces {
    pub(crate) sockets: SwarmSockets,
    arrivals: Mutex<Arrivals>,
    has_come: Notify,
}

#[derive(Debug, Default)]
struct Arrivals {
    /// `true` while a service takes them.
    is_wanted: bool,
    /// The addresses to look at: those at which a peer is now, and those that one moved from.
    waiting: VecDeque<(InfoHash, SocketAddr)>,
    has_overflowed: bool,
}

impl Announces {
    /// Waits until this time, and until there are addresses to [take](Self::take). Announces wake nobody up before that time.
    pub(crate) async fn have_come_by(&self, earliest: Instant) {
        sleep_until(earliest).await;
        self.has_come.notified().await;
    }

    /// Ends a wait, also if there are none.
    pub(crate) fn wake(&self) {
        self.has_come.notify_one();
    }

    /// Moves the addresses to look at, since a peer came to them or moved from them, into `taken`. Returns `false` if some are
    /// missing, since they were too many.
    pub(crate) fn take(&self, taken: &mut VecDeque<(InfoHash, SocketAddr)>) -> bool {
        let mut arrivals = self.lock();
        taken.append(&mut arrivals.waiting);
        !std::mem::take(&mut arrivals.has_overflowed)
    }

    /// Collects arrivals from now on, or not any more.
    pub(crate) fn collect(&self, is_wanted: bool) {
        *self.lock() = Arrivals { is_wanted, ..Arrivals::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnnounceListener for Announces {
    fn peer_came(&self, info_hash: &InfoHash, address: SocketAddr, moved_from: Option<SocketAddr>) {
        let mut arrivals = self.lock();
        if !arrivals.is_wanted {
            return;
        }
        let is_first = arrivals.waiting.is_empty();
        // The earlier address comes first, so that no client seems to have two.
        for address in moved_from.into_iter().chain([address]) {
            if arrivals.waiting.len() == MAX_WAITING {
                arrivals.has_overflowed = true;
                return;
            }
            arrivals.waiting.push_back((*info_hash, address));
        }
        drop(arrivals);
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
    use std::time::Duration;

    use super::*;

    const SWARM: InfoHash = InfoHash::new([1; 20]);

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 2], port).into()
    }

    #[tokio::test]
    async fn newcomers_are_collected_while_somebody_takes_them() {
        let announces = Announces::default();
        announces.peer_came(&SWARM, address(1000), None);
        announces.collect(true);
        announces.peer_came(&SWARM, address(1001), None);
        announces.peer_came(&SWARM, address(1002), Some(address(1001)));
        announces.have_come_by(Instant::now()).await;
        let mut taken = VecDeque::new();
        assert!(announces.take(&mut taken));
        assert_eq!(taken, [1001, 1001, 1002].map(|port| (SWARM, address(port))));

        announces.peer_came(&SWARM, address(1003), None);
        announces.collect(false);
        taken.clear();
        assert!(announces.take(&mut taken));
        assert!(taken.is_empty());
    }

    #[tokio::test]
    async fn newcomers_wake_nobody_up_before_the_time() {
        let announces = Announces::default();
        announces.collect(true);
        announces.peer_came(&SWARM, address(1000), None);
        let earliest = Instant::now() + Duration::from_millis(20);
        announces.have_come_by(earliest).await;
        assert!(Instant::now() >= earliest);
        let mut taken = VecDeque::new();
        assert!(announces.take(&mut taken));
        assert_eq!(taken.len(), 1);
    }

    #[test]
    fn too_many_newcomers_are_told_of() {
        let announces = Announces::default();
        announces.collect(true);
        (0..=MAX_WAITING).for_each(|_| announces.peer_came(&SWARM, address(1000), None));
        let mut taken = VecDeque::new();
        assert!(!announces.take(&mut taken));
        assert_eq!(taken.len(), MAX_WAITING);
        assert!(announces.take(&mut taken), "it is told once");
    }
}
