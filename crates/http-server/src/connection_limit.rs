//! How many connections may be open.

use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::HttpConfig;
use crate::forwarded::is_trusted;

/// Maps by address: so many that threads, each of which takes a slot for every client that keeps its connection, seldom meet
/// at one.
const SHARDS: usize = 64;

/// The connections of all workers, counted in all and by address.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    most_per_address: usize,
    taken: AtomicUsize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    /// Tells in which of them an address is.
    hasher: RandomState,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    /// `None` for a trusted proxy, whose connections are not counted apart.
    address: Option<IpAddr>,
}

impl Slots {
    /// For a server that listens on so many addresses.
    pub(crate) fn new(config: &HttpConfig, addresses: usize) -> Self {
        // Each worker has, for each address, a listener, a connection that is being answered without a slot, and beside it
        // a socket of UDP; and four descriptors of its runtime. Some are for the rest of the program.
        let in_use = 64 + config.threads.get() * (3 * addresses + 4);
        let most = config.max_connections.min(open_files_limit().saturating_sub(in_use));
        if most < config.max_connections {
            tracing::info!(connections = most, "the limit on open files allows fewer connections than configured");
        }
        Self {
            most,
            most_per_address: config.max_connections_per_address,
            taken: AtomicUsize::new(0),
            by_address: array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, config: &HttpConfig) -> Option<Slot> {
        let address = (!is_trusted(address, &config.trusted_proxies)).then_some(address);
        if let Some(address) = address {
            let mut by_address = self.by_address(address);
            let taken = by_address.entry(address).or_default();
            if *taken >= self.most_per_address {
                return None;
            }
            *taken += 1;
        }
        let slot = Slot { slots: Arc::clone(self), address };
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most).then_some(slot)
    }

    /// Whether so many are taken that none should be kept for a connection that does nothing.
    pub(crate) fn are_scarce(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.most / 2
    }

    fn by_address(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let shard = self.hasher.hash_one(address) % SHARDS as u64;
        self.by_address[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            let mut by_address = self.slots.by_address(address);
            if let Some(taken) = by_address.get_mut(&address) {
                *taken -= 1;
                if *taken == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

/// How many files and connections the system lets this process have open.
#[cfg(unix)]
fn open_files_limit() -> usize {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn open_files_limit() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_by_address_and_come_back() {
        let config = HttpConfig {
            max_connections: 4,
            max_connections_per_address: 2,
            trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()],
            ..HttpConfig::default()
        };
        let slots = Arc::new(Slots::new(&config, 1));
        let take = |address: &str| slots.take(address.parse().unwrap(), &config);

        let first = take("192.168.0.1").unwrap();
        let second = take("192.168.0.1").unwrap();
        assert!(!slots.are_scarce());
        assert!(take("192.168.0.1").is_none(), "two per address");
        let proxied: Vec<Slot> = (0..2).map(|_| take("10.0.0.1").unwrap()).collect();
        assert!(slots.are_scarce());
        assert!(take("10.0.0.1").is_none(), "four in all");
        assert!(take("192.168.0.2").is_none(), "four in all");

        drop(first);
        assert!(take("192.168.0.2").is_some());
        drop((second, proxied));
        assert!(!slots.are_scarce());
        assert!(slots.by_address.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(slots.taken.load(Ordering::Relaxed), 0);
    }
}
