//! A limit on wrong passwords and codes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracker_host::AddressGroup;

use crate::web::client::Client;

/// Wrong ones that an address may send one after the other.
const BURST: u32 = 5;

/// The maximum number of addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// Slows those who guess passwords or codes: of one address five are tried one after the other, and then one each ten seconds; of this
/// machine, from which a proxy may bring many people, ten times as many. Right ones are not counted, but nothing of an address that
/// has to wait is tried.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// For each address, when all that it sent wrongly is forgotten.
    until: Mutex<HashMap<AddressGroup, Instant>>,
}

impl Attempts {
    /// The time after which an address may send another wrong one.
    pub(crate) const PAUSE: Duration = Duration::from_secs(10);

    /// The time for which an address has to wait; `None` if it may try now.
    pub(crate) fn wait(&self, client: Client, now: Instant) -> Option<Duration> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.get(&client.group)?.saturating_duration_since(now);
        left.checked_sub(Self::PAUSE * (BURST - 1)).filter(|wait| !wait.is_zero())
    }

    /// Takes note of a wrong one.
    pub(crate) fn failed(&self, client: Client, now: Instant) {
        let address = client.group;
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MAX_ADDRESSES && !until.contains_key(&address) {
            until.retain(|_, until| *until > now);
            // One that guesses from so many addresses gains little by this.
            if until.len() >= MAX_ADDRESSES
                && let Some(soonest) = until.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
            {
                until.remove(&soonest);
            }
        }
        let entry = until.entry(address).or_insert(now);
        *entry = (*entry).max(now) + pause(client);
    }

    /// One that counted as wrong while it was tried was right.
    pub(crate) fn succeeded(&self, client: Client) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = until.get_mut(&client.group) {
            *entry = entry.checked_sub(pause(client)).unwrap_or(*entry);
        }
    }
}

/// The time that a wrong one of this client adds.
fn pause(client: Client) -> Duration {
    if client.is_this_machine { Attempts::PAUSE / 10 } else { Attempts::PAUSE }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn group(last: u32) -> Client {
        let address = IpAddr::from((0x0a00_0000 + last).to_be_bytes());
        let group = AddressGroup::of(address, IpAddr::from([10, 0, 0, 1]));
        Client { address, group, is_this_machine: last == 0 }
    }

    #[test]
    fn an_address_that_guesses_has_to_wait() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(attempts.wait(group(1), start), None);
            attempts.failed(group(1), start);
        }
        assert_eq!(attempts.wait(group(1), start), Some(Attempts::PAUSE));
        assert_eq!(attempts.wait(group(2), start), None);
        assert_eq!(attempts.wait(group(1), start + Attempts::PAUSE), None);
        attempts.failed(group(1), start + Attempts::PAUSE);
        assert_eq!(attempts.wait(group(1), start + Attempts::PAUSE), Some(Attempts::PAUSE));
        (0..5 * BURST).for_each(|_| attempts.failed(group(0), start));
        assert_eq!(attempts.wait(group(0), start), None, "this machine");
        attempts.succeeded(group(1));
        assert_eq!(attempts.wait(group(1), start + Attempts::PAUSE), None);
    }

    #[test]
    fn what_is_remembered_is_limited() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for address in 1..MAX_ADDRESSES as u32 + 100 {
            attempts.failed(group(address), start + Duration::from_millis(address.into()));
        }
        assert_eq!(attempts.until.lock().unwrap().len(), MAX_ADDRESSES);
    }
}
