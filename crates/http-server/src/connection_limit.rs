//! A limit on open connections, in all and by address.

use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maps by address: so many that threads, each of which takes a permit for every client that keeps its connection, seldom meet
/// at one.
const SHARDS: usize = 64;

/// Counts open connections in all and by address, for all threads of a server.
///
/// Each IPv6 address counts by itself, though a machine may have many: a whole network has a /64 in common.
#[derive(Debug)]
pub struct ConnectionLimit {
    total: usize,
    per_address: usize,
    reserved: usize,
    used: AtomicUsize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    /// Decides in which of them an address is.
    hasher: RandomState,
}

/// The permit of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    /// `None` for an exempt address, whose connections are not counted by address.
    address: Option<IpAddr>,
}

impl ConnectionLimit {
    /// At most `total` connections, and `per_address` from one address; `reserved` of them are for exempt addresses, which
    /// have no limit of their own.
    pub fn new(total: usize, per_address: usize, reserved: usize) -> Self {
        Self {
            total,
            per_address,
            reserved,
            used: AtomicUsize::new(0),
            by_address: array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// A permit for a connection from `address`, which must be canonical, if the limits allow one more.
    pub fn acquire(self: &Arc<Self>, address: IpAddr, is_exempt: bool) -> Option<ConnectionPermit> {
        let address = (!is_exempt).then_some(address);
        if let Some(address) = address {
            let mut by_address = self.by_address(address);
            let used = by_address.entry(address).or_default();
            if *used >= self.per_address {
                return None;
            }
            *used += 1;
        }
        let permit = ConnectionPermit { limit: Arc::clone(self), address };
        let total = if is_exempt { self.total } else { self.total.saturating_sub(self.reserved) };
        (self.used.fetch_add(1, Ordering::Relaxed) < total).then_some(permit)
    }

    /// The number of permits in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns `true` if more than half of the permits are in use, so that none should be kept for an idle connection.
    pub fn is_scarce(&self) -> bool {
        self.used() > self.total / 2
    }

    fn by_address(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let shard = self.hasher.hash_one(address) % SHARDS as u64;
        self.by_address[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.used.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            let mut by_address = self.limit.by_address(address);
            if let Some(used) = by_address.get_mut(&address) {
                *used -= 1;
                if *used == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_in_all_and_by_address_and_come_back() {
        let limit = Arc::new(ConnectionLimit::new(4, 2, 0));
        let acquire = |address: &str| limit.acquire(address.parse().unwrap(), address == "10.0.0.1");

        let first = acquire("192.168.0.1").unwrap();
        let second = acquire("192.168.0.1").unwrap();
        assert!(!limit.is_scarce());
        assert!(acquire("192.168.0.1").is_none(), "two per address");
        let exempt: Vec<_> = (0..2).map(|_| acquire("10.0.0.1").unwrap()).collect();
        assert!(limit.is_scarce());
        assert!(acquire("10.0.0.1").is_none(), "four in all");
        assert!(acquire("192.168.0.2").is_none(), "four in all");

        drop(first);
        assert!(acquire("192.168.0.2").is_some());
        drop((second, exempt));
        assert!(!limit.is_scarce());
        assert!(limit.by_address.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(limit.used(), 0);
    }

    #[test]
    fn exempt_addresses_have_a_reserve() {
        let limit = Arc::new(ConnectionLimit::new(4, 1, 2));
        let acquire = |address: [u8; 4]| limit.acquire(address.into(), address[0] == 127);
        let _others = (acquire([10, 0, 0, 1]).unwrap(), acquire([10, 0, 0, 2]).unwrap());
        assert!(acquire([10, 0, 0, 2]).is_none());
        assert!(acquire([10, 0, 0, 3]).is_none());
        let _exempt = (acquire([127, 0, 0, 1]).unwrap(), acquire([127, 0, 0, 1]).unwrap());
        assert!(acquire([127, 0, 0, 2]).is_none(), "four in all");
    }
}
