//! How many connections may be open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of all listeners, counted in all and by address. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    address: IpAddr,
}

impl Slots {
    pub(super) fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, taken: Arc::default() }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Slot> {
        let mut taken = self.taken();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if taken.in_all >= self.most || of_address >= self.most_per_address {
            return None;
        }
        taken.in_all += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(Slot { slots: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
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
        let slots = Slots::new(3, 2);
        let take = |host| slots.take([10, 0, 0, host].into());
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        assert!(take(1).is_none(), "two per address");
        let third = take(2).unwrap();
        assert!(take(3).is_none(), "three in all");
        drop(first);
        drop(take(1).unwrap());
        drop((second, third));
        assert!(slots.taken().by_address.is_empty());
        assert_eq!(slots.taken().in_all, 0);
    }
}
