//! Limits on TLS handshakes that are in progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tracker_host::AddressGroup;

use crate::connection_limit::Holder;

/// The maximum number of handshakes in progress. Each keeps its keys and buffers, and at its end costs a signature: some
/// milliseconds with RSA. Further handshakes wait in order.
pub(crate) const MAX_HANDSHAKES: usize = 256;

/// The maximum number of handshakes in progress with one address, so that one that begins many and ends none keeps nobody out. A
/// browser begins up to six.
pub(crate) const MAX_HANDSHAKES_PER_ADDRESS: usize = 16;

/// The maximum number of handshakes in progress with a network in which each IPv6 address counts by itself, since one machine may
/// have many addresses there.
const MAX_HANDSHAKES_PER_NETWORK: usize = MAX_HANDSHAKES / 2;

/// The time for a handshake, without the wait for its turn: on a LAN it takes milliseconds.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

const OPEN: &str = "it is never closed";

/// The TLS handshakes that are in progress at a server, and their limits.
///
/// There are at most 256, 16 with one address (as an [`AddressGroup`] counts), and 128 with a network in which each IPv6 address
/// counts by itself. Further handshakes wait in order. Those with this machine itself and with exempt addresses are not counted and
/// never wait. A handshake that does not end within 5 s fails.
#[derive(Debug)]
pub struct Handshakes {
    all: Semaphore,
    /// Of those that have one or wait for one.
    by_holder: Mutex<HashMap<Holder, Arc<Semaphore>>>,
}

/// The permit for a handshake, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct HandshakePermit<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_network: Option<HolderPermit<'a>>,
    _of_address: HolderPermit<'a>,
}

/// One of the handshakes that a holder may have.
#[derive(Debug)]
struct HolderPermit<'a> {
    _permit: OwnedSemaphorePermit,
    /// The last field, and so the last that is dropped.
    _user: HolderUser<'a>,
}

/// Keeps the semaphore of a holder as long as somebody uses it.
#[derive(Debug)]
struct HolderUser<'a> {
    handshakes: &'a Handshakes,
    holder: Holder,
    semaphore: Arc<Semaphore>,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self { all: Semaphore::new(MAX_HANDSHAKES), by_holder: Mutex::default() }
    }
}

impl Handshakes {
    /// Waits until a handshake with this address may begin. While it waits for others of its address or network, it takes no place
    /// from anybody else.
    pub(crate) async fn permit(&self, group: AddressGroup) -> HandshakePermit<'_> {
        let of_address = self.holder_permit(Holder::Address(group), MAX_HANDSHAKES_PER_ADDRESS).await;
        let of_network = match group.network() {
            Some(network) => Some(self.holder_permit(Holder::Network(network), MAX_HANDSHAKES_PER_NETWORK).await),
            None => None,
        };
        let of_all = self.all.acquire().await.expect(OPEN);
        HandshakePermit { _of_all: of_all, _of_network: of_network, _of_address: of_address }
    }

    async fn holder_permit(&self, holder: Holder, most: usize) -> HolderPermit<'_> {
        let user = HolderUser { handshakes: self, holder, semaphore: self.semaphore_of(holder, most) };
        let permit = Arc::clone(&user.semaphore).acquire_owned().await.expect(OPEN);
        HolderPermit { _permit: permit, _user: user }
    }

    fn semaphore_of(&self, holder: Holder, most: usize) -> Arc<Semaphore> {
        let mut by_holder = self.by_holder.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_holder.entry(holder).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}

impl Drop for HolderUser<'_> {
    fn drop(&mut self) {
        let mut by_holder = self.handshakes.by_holder.lock().unwrap_or_else(PoisonError::into_inner);
        // That of the map, and ours. Others come by only while the map is locked.
        if Arc::strong_count(&self.semaphore) == 2 {
            by_holder.remove(&self.holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;

    fn group(host: u8) -> AddressGroup {
        AddressGroup::of(IpAddr::from([10, 0, 0, host]), IpAddr::from([10, 0, 0, 254]))
    }

    #[test]
    fn what_is_more_than_an_address_or_all_may_have_waits() {
        let handshakes = Handshakes::default();
        let permit = |host| Box::pin(handshakes.permit(group(host)));
        let mut permits = Vec::new();
        for host in 0..(MAX_HANDSHAKES / MAX_HANDSHAKES_PER_ADDRESS) as u8 {
            permits.extend((0..MAX_HANDSHAKES_PER_ADDRESS).map(|_| permit(host).now_or_never().expect("a permit")));
            let mut waiting = permit(host);
            assert!(waiting.as_mut().now_or_never().is_none(), "its address has all of its own");
        }
        let mut waiting = permit(100);
        assert!(waiting.as_mut().now_or_never().is_none(), "all are taken");
        permits.pop();
        permits.push(waiting.now_or_never().expect("it had waited for this"));
        drop(permits);
        assert!(handshakes.by_holder.lock().unwrap().is_empty());
    }

    #[test]
    fn the_own_64_as_a_whole_has_half_of_the_handshakes() {
        let handshakes = Handshakes::default();
        let own = |host: usize| {
            let address = format!("fd77::{host:x}").parse().unwrap();
            Box::pin(handshakes.permit(AddressGroup::of(address, "fd77::1".parse().unwrap())))
        };
        let hosts = MAX_HANDSHAKES / MAX_HANDSHAKES_PER_ADDRESS;
        let mut waiting: Vec<_> =
            (2..2 + hosts).flat_map(|host| (0..MAX_HANDSHAKES_PER_ADDRESS).map(move |_| host)).map(own).collect();
        let mut permits: Vec<_> = waiting.iter_mut().filter_map(|permit| permit.as_mut().now_or_never()).collect();
        assert_eq!(permits.len(), MAX_HANDSHAKES_PER_NETWORK);
        let other = Box::pin(handshakes.permit(group(1))).now_or_never();
        assert!(other.is_some(), "others have the other half");
        permits.pop();
        let next = &mut waiting[MAX_HANDSHAKES_PER_NETWORK];
        assert!(next.as_mut().now_or_never().is_some(), "it had waited for this");
        drop((permits, waiting, other));
        assert!(handshakes.by_holder.lock().unwrap().is_empty());
    }
}
