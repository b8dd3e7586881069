//! A limit on open connections, in all and by address.

use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracker_host::AddressGroup;

/// Maps by address: so many that threads, each of which takes a permit for every client that keeps its connection, seldom meet
/// at one.
const SHARDS: usize = 64;

/// Counts open connections in all and by address, for all threads of a server.
///
/// An [`AddressGroup`] counts as one address. A network in which each IPv6 address counts by itself has at most half of all
/// connections.
#[derive(Debug)]
pub struct ConnectionLimit {
    total: usize,
    per_address: usize,
    reserved: usize,
    used: AtomicUsize,
    by_holder: [Mutex<HashMap<Holder, usize>>; SHARDS],
    /// Decides in which of them a holder is.
    hasher: RandomState,
}

/// A holder of connections or handshakes, whose number is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Address(AddressGroup),
    /// A /64 as a whole, by its first address.
    Network(Ipv6Addr),
}

/// Why there is no permit for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionLimitError {
    /// As many connections are open as may be. Some of them may be reserved for exempt addresses.
    #[error("{limit} connections are open, which is the limit")]
    Total {
        /// The limit on connections.
        limit: usize,
    },
    /// As many connections are open from this network, in which each address counts by itself, as may be.
    #[error("{limit} connections are open from the network of this address, which is the limit")]
    Network {
        /// The limit on connections from one network.
        limit: usize,
    },
    /// As many connections are open from this address as may be.
    #[error("{limit} connections are open from this address, which is the limit")]
    Address {
        /// The limit on connections from one address.
        limit: usize,
    },
}

/// The permit of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    /// `None` for an exempt address, whose connections are not counted by address.
    address: Option<AddressGroup>,
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
            by_holder: array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// A permit for a connection from `address`.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectionLimitError`] if the limits do not allow one more.
    pub fn acquire(
        self: &Arc<Self>,
        address: AddressGroup,
        is_exempt: bool,
    ) -> Result<ConnectionPermit, ConnectionLimitError> {
        let address = (!is_exempt).then_some(address);
        if let Some(address) = address {
            if !self.count(Holder::Address(address), self.per_address) {
                return Err(ConnectionLimitError::Address { limit: self.per_address });
            }
            let limit = self.total.div_ceil(2);
            if address.network().is_some_and(|network| !self.count(Holder::Network(network), limit)) {
                self.uncount(Holder::Address(address));
                return Err(ConnectionLimitError::Network { limit });
            }
        }
        let permit = ConnectionPermit { limit: Arc::clone(self), address };
        let total = if is_exempt { self.total } else { self.total.saturating_sub(self.reserved) };
        if self.used.fetch_add(1, Ordering::Relaxed) < total {
            Ok(permit)
        } else {
            Err(ConnectionLimitError::Total { limit: total })
        }
    }

    /// The number of permits in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns `true` if more than half of the permits are in use, so that none should be kept for an idle connection.
    pub fn is_scarce(&self) -> bool {
        self.used() > self.total / 2
    }

    /// Counts one more for this holder, unless it has as many as `most`. Returns `true` if it was counted.
    fn count(&self, holder: Holder, most: usize) -> bool {
        let mut by_holder = self.by_holder(holder);
        let used = by_holder.entry(holder).or_default();
        let is_allowed = *used < most;
        *used += usize::from(is_allowed);
        is_allowed
    }

    fn uncount(&self, holder: Holder) {
        let mut by_holder = self.by_holder(holder);
        if let Some(used) = by_holder.get_mut(&holder) {
            *used -= 1;
            if *used == 0 {
                by_holder.remove(&holder);
            }
        }
    }

    fn by_holder(&self, holder: Holder) -> MutexGuard<'_, HashMap<Holder, usize>> {
        let shard = self.hasher.hash_one(holder) % SHARDS as u64;
        self.by_holder[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.used.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            self.limit.uncount(Holder::Address(address));
            if let Some(network) = address.network() {
                self.limit.uncount(Holder::Network(network));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group of an address whose connection came to fd77::1 or 10.0.0.9.
    fn group(address: &str) -> AddressGroup {
        let local = if address.contains(':') { "fd77::1" } else { "10.0.0.9" };
        AddressGroup::of(address.parse().unwrap(), local.parse().unwrap())
    }

    #[test]
    fn permits_are_limited_in_all_and_by_address_and_come_back() {
        let limit = Arc::new(ConnectionLimit::new(4, 2, 0));
        let acquire = |address: &str| limit.acquire(group(address), address == "10.0.0.1");

        let first = acquire("192.168.0.1").unwrap();
        let second = acquire("192.168.0.1").unwrap();
        assert!(!limit.is_scarce());
        assert_eq!(acquire("192.168.0.1").unwrap_err(), ConnectionLimitError::Address { limit: 2 });
        let exempt: Vec<_> = (0..2).map(|_| acquire("10.0.0.1").unwrap()).collect();
        assert!(limit.is_scarce());
        for address in ["10.0.0.1", "192.168.0.2"] {
            assert_eq!(acquire(address).unwrap_err(), ConnectionLimitError::Total { limit: 4 });
        }

        drop(first);
        assert!(acquire("192.168.0.2").is_ok());
        drop((second, exempt));
        assert!(!limit.is_scarce());
        assert!(limit.by_holder.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(limit.used(), 0);
    }

    #[test]
    fn exempt_addresses_have_a_reserve() {
        let limit = Arc::new(ConnectionLimit::new(4, 1, 2));
        let acquire = |address: &str| limit.acquire(group(address), address.starts_with("127."));
        let _others = (acquire("10.0.0.1").unwrap(), acquire("10.0.0.2").unwrap());
        assert_eq!(acquire("10.0.0.2").unwrap_err(), ConnectionLimitError::Address { limit: 1 });
        assert_eq!(acquire("10.0.0.3").unwrap_err(), ConnectionLimitError::Total { limit: 2 });
        let _exempt = (acquire("127.0.0.1").unwrap(), acquire("127.0.0.1").unwrap());
        assert_eq!(acquire("127.0.0.2").unwrap_err(), ConnectionLimitError::Total { limit: 4 });
    }

    #[test]
    fn thirty_hosts_of_the_own_64_are_thirty_and_a_foreign_64_is_one() {
        let limit = Arc::new(ConnectionLimit::new(100, 2, 0));
        let mut permits = Vec::new();
        for host in 2..32 {
            for _ in 0..2 {
                permits.push(limit.acquire(group(&format!("2001:db8:{host:x}::{host:x}")), false).unwrap());
            }
            assert!(limit.acquire(group(&format!("2001:db8:{host:x}::1")), false).is_err(), "the same /64");
        }
        drop(permits);
        assert_eq!(limit.used(), 0);
        let permits: Vec<_> = (2..32).map(|host| limit.acquire(group(&format!("fd77::{host:x}")), false)).collect();
        assert!(permits.iter().all(Result::is_ok));
    }

    #[test]
    fn the_own_64_as_a_whole_has_half_of_the_permits() {
        let limit = Arc::new(ConnectionLimit::new(8, 2, 0));
        let acquire = |address: &str| limit.acquire(group(address), false);
        let own: Vec<_> = (2..20).filter_map(|host| acquire(&format!("fd77::{host:x}")).ok()).collect();
        assert_eq!(acquire("fd77::9:9").unwrap_err(), ConnectionLimitError::Network { limit: 4 });
        assert_eq!(own.len(), 4);
        let others: Vec<_> = (1..20).filter_map(|host| acquire(&format!("10.0.0.{host}")).ok()).collect();
        assert_eq!(others.len(), 4);
        drop((own, others));
        assert!(limit.by_holder.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
