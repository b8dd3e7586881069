//! How many may be connected, or follow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places for those who come from somewhere, counted in all and by address. Clones are one.
///
/// Who comes from this machine has some of his own, and as many as he wants: a proxy may bring many from there, and
/// whoever runs the tracker must always get in.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    kept: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    address: IpAddr,
}

impl Slots {
    /// Of the `most` there are, some are `kept` for this machine.
    pub(super) fn new(most: usize, most_per_address: usize, kept: usize) -> Self {
        Self { most, most_per_address, kept, taken: Arc::default() }
    }

    /// A place for somebody from `address`, if there is one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Slot> {
        // Each IPv6 address by itself, though a machine may have many: a whole network has a /64 in common.
        let address = address.to_canonical();
        let mut taken = self.lock();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        let (most, most_per_address) = if address.is_loopback() {
            (self.most, self.most)
        } else {
            (self.most.saturating_sub(self.kept), self.most_per_address)
        };
        if taken.in_all >= most || of_address >= most_per_address {
            return None;
        }
        taken.in_all += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(Slot { slots: self.clone(), address })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().in_all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.in_all -= 1;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let slots = Slots::new(3, 2, 0);
        let take = |host| slots.take([10, 0, 0, host].into());
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        assert!(take(1).is_none(), "two per address");
        let third = take(2).unwrap();
        assert!(take(3).is_none(), "three in all");
        drop(first);
        drop(take(1).unwrap());
        assert_eq!(slots.taken(), 2);
        drop((second, third));
        assert!(slots.lock().by_address.is_empty());
        assert_eq!(slots.taken(), 0);
    }

    #[test]
    fn this_machine_always_gets_in() {
        let slots = Slots::new(4, 1, 2);
        let take = |address: &str| slots.take(address.parse().unwrap());
        let _others = (take("10.0.0.1").unwrap(), take("::ffff:10.0.0.2").unwrap());
        assert!(take("10.0.0.2").is_none());
        assert!(take("10.0.0.3").is_none());
        let _own = (take("127.0.0.1").unwrap(), take("127.0.0.1").unwrap());
        assert!(take("::1").is_none(), "four in all");
    }
}
