//! Room for a new connection when all permits are taken.
//!
//! A connection that holds a permit and waits for a request may be closed for a new one: first those that have sent no whole head yet,
//! the one that has waited longest before the others; then those that were answered and are kept. One whose request is being
//! answered is never closed. So connections that send nothing, or a head byte by byte, do not keep others out, however many they are.
//!
//! A connection writes down since when it waits with one atomic store, on its own cache line, at each change; only a new connection
//! that finds no permit reads them all, which takes some 10 µs with 8192.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection_limit::ConnectionPermit;

/// The rank of a connection that does not wait.
const BUSY: u64 = 0;
/// Added to the rank of a connection that was answered before, which comes after all that never were.
const ANSWERED: u64 = 1 << 63;

/// All connections that hold a permit.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    epoch: Instant,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    connections: Vec<Option<Arc<OpenConnection>>>,
    free: Vec<usize>,
}

/// What others need to know of a connection that holds a permit.
#[derive(Debug)]
struct OpenConnection {
    /// [`BUSY`], or the microseconds from the epoch to when it began to wait, and at least 1. The least is closed first.
    rank: AtomicU64,
    /// `None` once it was taken away.
    permit: Mutex<Option<ConnectionPermit>>,
    /// The network in which its address counts by itself.
    network: Option<Ipv6Addr>,
    evicted: Notify,
}

/// A connection's entry among the [`OpenConnections`]. Its permit is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct HeldPermit {
    connections: Arc<OpenConnections>,
    slot: usize,
    waiting: Waiting,
}

/// Says since when a connection waits for a request.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    epoch: Instant,
    connection: Arc<OpenConnection>,
}

impl OpenConnections {
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), slots: Mutex::default() }
    }

    /// Enters a connection that has this permit, and waits for its first request from now on.
    pub(crate) fn enter(self: &Arc<Self>, permit: ConnectionPermit, network: Option<Ipv6Addr>) -> HeldPermit {
        let waiting = Waiting::new(self.epoch, Some(permit), network);
        let mut slots = self.slots();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.connections.push(None);
            slots.connections.len() - 1
        });
        slots.connections[slot] = Some(Arc::clone(&waiting.connection));
        drop(slots);
        HeldPermit { connections: Arc::clone(self), slot, waiting }
    }

    /// Takes the permit of the connection that has waited longest, of all or of those from `network`, and has it closed. `false` if
    /// none waits.
    pub(crate) fn evict(&self, network: Option<Ipv6Addr>) -> bool {
        // Each turn fails only if the connection got its request in the meantime.
        while let Some((rank, connection)) = self.longest_waiting(network) {
            if connection.rank.compare_exchange(rank, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_ok()
                && connection.take_permit().is_some()
            {
                connection.evicted.notify_one();
                return true;
            }
        }
        false
    }

    fn longest_waiting(&self, network: Option<Ipv6Addr>) -> Option<(u64, Arc<OpenConnection>)> {
        let slots = self.slots();
        let connections =
            slots.connections.iter().flatten().map(|connection| (connection.rank.load(Ordering::Relaxed), connection));
        let waiting = connections
            .filter(|&(rank, connection)| rank != BUSY && (network.is_none() || connection.network == network))
            .min_by_key(|&(rank, _)| rank);
        waiting.map(|(rank, connection)| (rank, Arc::clone(connection)))
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    fn take_permit(&self) -> Option<ConnectionPermit> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HeldPermit {
    /// The part that writes down since when the connection waits.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        drop(self.waiting.connection.take_permit());
        let mut slots = self.connections.slots();
        slots.connections[self.slot] = None;
        slots.free.push(self.slot);
    }
}

impl Waiting {
    fn new(epoch: Instant, permit: Option<ConnectionPermit>, network: Option<Ipv6Addr>) -> Self {
        let connection =
            OpenConnection { rank: AtomicU64::new(BUSY), permit: Mutex::new(permit), network, evicted: Notify::new() };
        let waiting = Self { epoch, connection: Arc::new(connection) };
        waiting.begin(false);
        waiting
    }

    /// That of a connection which nobody closes.
    #[cfg(test)]
    pub(crate) fn unwatched() -> Self {
        Self::new(Instant::now(), None, None)
    }

    /// The connection waits for a request from now on.
    pub(crate) fn begin(&self, was_answered: bool) {
        let waited_from = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX) % ANSWERED;
        let rank = waited_from.max(1) | if was_answered { ANSWERED } else { 0 };
        self.connection.rank.store(rank, Ordering::Relaxed);
    }

    /// The head of its request is whole.
    pub(crate) fn end(&self) {
        self.connection.rank.store(BUSY, Ordering::Relaxed);
    }

    /// Waits until the connection has to be closed.
    pub(crate) async fn evicted(&self) {
        self.connection.evicted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::advance;
    use tracker_host::AddressGroup;

    use super::*;
    use crate::connection_limit::ConnectionLimit;

    fn group(address: [u8; 4]) -> AddressGroup {
        AddressGroup::of(address.into(), [10, 0, 0, 1].into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_without_a_whole_head_goes_first() {
        let limit = Arc::new(ConnectionLimit::new(5, 5, 0));
        let connections = Arc::new(OpenConnections::new());
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(connections.enter(limit.acquire(group([10, 0, 0, 9]), false).unwrap(), None));
            advance(Duration::from_millis(1)).await;
        }
        held[0].waiting().end();
        // Answered, and kept since.
        held[1].waiting().begin(true);
        for (evicted, used) in [(2, 4), (3, 3), (4, 2), (1, 1)] {
            assert!(connections.evict(None), "{evicted}");
            held[evicted].waiting().evicted().await;
            assert_eq!(limit.used(), used, "its permit is free at once");
        }
        assert!(!connections.evict(None), "what is being answered is not closed");
        held.pop();
        assert_eq!(limit.used(), 1, "no permit is given back twice");
        drop(held);
        assert_eq!(limit.used(), 0);
        assert!(!connections.evict(None));
        assert!(connections.slots().connections.iter().all(Option::is_none));
    }

    #[tokio::test]
    async fn a_full_network_closes_one_of_its_own() {
        let limit = Arc::new(ConnectionLimit::new(8, 8, 0));
        let connections = Arc::new(OpenConnections::new());
        let enter = |remote: &str| {
            let group = AddressGroup::of(remote.parse().unwrap(), "fd77::1".parse::<IpAddr>().unwrap());
            connections.enter(limit.acquire(group, false).unwrap(), group.network())
        };
        let (other, own) = (enter("10.0.0.9"), enter("fd77::9"));
        assert!(connections.evict(own.waiting().connection.network));
        own.waiting().evicted().await;
        assert!(!connections.evict(own.waiting().connection.network));
        assert!(connections.evict(None));
        other.waiting().evicted().await;
    }
}
