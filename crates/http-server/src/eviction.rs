//! Room for a new connection when all permits are taken.
//!
//! A connection that holds a permit and waits for a request may be closed for a new one: first those that have sent no whole head
//! yet, the one that has waited longest before the others; then those that were answered and are kept. One whose request is being
//! answered is never closed. So connections that send nothing, or a head byte by byte, do not keep others out, however many they
//! are.
//!
//! A connection writes down since when it waits with one atomic store, on its own cache line, at each change. Since many may come
//! while all permits are taken, a new one does not look at all others: those that never had a whole head are in the order in
//! which they came, and of the others the [`SURVEYED`] that have waited longest are found at once. Only while all of a network's
//! are being answered is each looked at for every new one.

use std::collections::BTreeMap;
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
/// Of those that were answered, so many are chosen in one look at all.
const SURVEYED: usize = 32;

/// All connections that hold a permit.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    epoch: Instant,
    entered: Mutex<Entered>,
}

#[derive(Debug, Default)]
struct Entered {
    /// The number of the next one. They are given in the order of coming.
    next: u64,
    /// By the network in which their addresses count by themselves: few.
    networks: BTreeMap<Option<Ipv6Addr>, Network>,
}

/// The connections of a network, by their numbers.
#[derive(Debug, Default)]
struct Network {
    /// Those that had no whole head yet when they were last looked at. The first has waited longest.
    new: BTreeMap<u64, Arc<OpenConnection>>,
    /// Those that had one.
    served: BTreeMap<u64, Arc<OpenConnection>>,
    /// Rank and number of those of `served` that waited longest at the last look at all, the longest last. Those that began to
    /// wait since come after them.
    longest: Vec<(u64, u64)>,
}

/// What others need to know of a connection that holds a permit.
#[derive(Debug)]
struct OpenConnection {
    /// [`BUSY`], or the microseconds from the epoch to when it began to wait, and at least 1, with [`ANSWERED`] after its first
    /// whole head. The least is closed first.
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
    number: u64,
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
        Self { epoch: Instant::now(), entered: Mutex::default() }
    }

    /// Enters a connection that has this permit, and waits for its first request from now on.
    pub(crate) fn enter(self: &Arc<Self>, permit: ConnectionPermit, network: Option<Ipv6Addr>) -> HeldPermit {
        let mut entered = self.entered();
        // Within the lock, so that the numbers are in the order of the ranks.
        let waiting = Waiting::new(self.epoch, Some(permit), network);
        let number = entered.next;
        entered.next += 1;
        entered.networks.entry(network).or_default().new.insert(number, Arc::clone(&waiting.connection));
        drop(entered);
        HeldPermit { connections: Arc::clone(self), number, waiting }
    }

    /// Takes the permit of the connection that has waited longest, of all or of those from `network`, and has it closed. `false`
    /// if none waits.
    pub(crate) fn evict(&self, network: Option<Ipv6Addr>) -> bool {
        let longest_waiting = || self.entered().longest_waiting(network);
        // Each turn fails only if the connection got its request in the meantime.
        while let Some((rank, connection)) = longest_waiting() {
            if connection.rank.compare_exchange(rank, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_ok()
                && connection.take_permit().is_some()
            {
                connection.evicted.notify_one();
                return true;
            }
        }
        false
    }

    fn entered(&self) -> MutexGuard<'_, Entered> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    fn longest_waiting(&mut self, network: Option<Ipv6Addr>) -> Option<(u64, Arc<OpenConnection>)> {
        let networks = self.networks.iter_mut().filter(|&(&of, _)| network.is_none() || of == network);
        networks.filter_map(|(_, connections)| connections.longest_waiting()).min_by_key(|&(rank, _)| rank)
    }
}

impl Network {
    fn longest_waiting(&mut self) -> Option<(u64, Arc<OpenConnection>)> {
        while let Some(first) = self.new.first_entry() {
            let rank = first.get().rank.load(Ordering::Relaxed);
            if rank != BUSY && rank & ANSWERED == 0 {
                return Some((rank, Arc::clone(first.get())));
            }
            // It never waits for its first head again.
            let (number, connection) = first.remove_entry();
            self.served.insert(number, connection);
        }
        loop {
            while let Some(&(rank, number)) = self.longest.last() {
                if let Some(connection) = self.served.get(&number)
                    && connection.rank.load(Ordering::Relaxed) == rank
                {
                    return Some((rank, Arc::clone(connection)));
                }
                self.longest.pop();
            }
            self.survey();
            if self.longest.is_empty() {
                return None;
            }
        }
    }

    /// Finds those of `served` that have waited longest.
    fn survey(&mut self) {
        let ranks = self.served.iter().map(|(&number, connection)| (connection.rank.load(Ordering::Relaxed), number));
        self.longest.extend(ranks.filter(|&(rank, _)| rank != BUSY));
        if self.longest.len() > SURVEYED {
            self.longest.select_nth_unstable(SURVEYED);
            self.longest.truncate(SURVEYED);
        }
        self.longest.sort_unstable_by(|one, other| other.cmp(one));
    }

    fn remove(&mut self, number: u64) {
        if self.new.remove(&number).is_none() {
            self.served.remove(&number);
        }
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
        let network = self.waiting.connection.network;
        let mut entered = self.connections.entered();
        if let Some(connections) = entered.networks.get_mut(&network) {
            connections.remove(self.number);
            if connections.new.is_empty() && connections.served.is_empty() {
                entered.networks.remove(&network);
            }
        }
    }
}

impl Waiting {
    fn new(epoch: Instant, permit: Option<ConnectionPermit>, network: Option<Ipv6Addr>) -> Self {
        let rank = AtomicU64::new(rank_now(epoch));
        let connection = OpenConnection { rank, permit: Mutex::new(permit), network, evicted: Notify::new() };
        Self { epoch, connection: Arc::new(connection) }
    }

    /// That of a connection which nobody closes.
    #[cfg(test)]
    pub(crate) fn unwatched() -> Self {
        Self::new(Instant::now(), None, None)
    }

    /// The connection was answered, and waits for another request from now on.
    pub(crate) fn begin_again(&self) {
        self.connection.rank.store(rank_now(self.epoch) | ANSWERED, Ordering::Relaxed);
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

/// The rank of a connection that waits for its first request from now on.
fn rank_now(epoch: Instant) -> u64 {
    let waited_from = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(u64::MAX) % ANSWERED;
    waited_from.max(1)
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
        held[1].waiting().begin_again();
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
        assert!(connections.entered().networks.is_empty());
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

    #[tokio::test(start_paused = true)]
    async fn a_look_at_all_suffices_for_many_and_the_order_holds() {
        let limit = Arc::new(ConnectionLimit::new(200, 200, 0));
        let connections = Arc::new(OpenConnections::new());
        let enter = || connections.enter(limit.acquire(group([10, 0, 0, 9]), false).unwrap(), None);
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(enter());
        }
        // The last one was answered first.
        for kept in held.iter().rev() {
            advance(Duration::from_millis(1)).await;
            kept.waiting().begin_again();
        }
        let left = || connections.entered().networks[&None].longest.len();
        assert!(connections.evict(None));
        held[99].waiting().evicted().await;
        assert_eq!(left(), SURVEYED);
        // Each of these is on the list of the longest waiting: one gets a request, one begins again, one ends.
        held[98].waiting().end();
        advance(Duration::from_millis(1)).await;
        held[97].waiting().begin_again();
        drop(held.remove(96));
        // Of those that come later, one without a whole head goes before all that were answered.
        let newcomer = enter();
        assert!(connections.evict(None));
        newcomer.waiting().evicted().await;
        for evicted in (0..96).rev() {
            assert!(connections.evict(None));
            held[evicted].waiting().evicted().await;
        }
        assert!(connections.evict(None));
        // Where 97 was, before 96 went.
        held[96].waiting().evicted().await;
        assert!(!connections.evict(None), "98 is being answered");
        drop((held, newcomer));
        assert_eq!(limit.used(), 0);
        assert!(connections.entered().networks.is_empty());
    }
}
