//! What is remembered of an address and port, whichever torrent it is about.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Encryption;

/// The way to shake hands that worked last at each address and port that a peer is kept under.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    by_address: BTreeMap<SocketAddr, Endpoint>,
}

#[derive(Debug, Default)]
struct Endpoint {
    /// The peers that are kept under it, of all swarms.
    peers: usize,
    works: Option<Encryption>,
}

impl Endpoints {
    /// There is one more peer at this address.
    pub(super) fn insert(&mut self, address: SocketAddr) {
        self.by_address.entry(address).or_default().peers += 1;
    }

    /// There is one less. What is known of the address is forgotten with the last.
    pub(super) fn remove(&mut self, address: SocketAddr) {
        let endpoint = self.by_address.get_mut(&address).expect("a peer's endpoint is known");
        endpoint.peers -= 1;
        if endpoint.peers == 0 {
            self.by_address.remove(&address);
        }
    }

    /// This way worked.
    pub(super) fn remember(&mut self, address: SocketAddr, encryption: Encryption) {
        if let Some(endpoint) = self.by_address.get_mut(&address) {
            endpoint.works = Some(encryption);
        }
    }

    /// The way to try first: plain, unless it is known that the other works.
    pub(super) fn first_way(&self, address: SocketAddr) -> Encryption {
        self.by_address.get(&address).and_then(|endpoint| endpoint.works).unwrap_or(Encryption::Plain)
    }
}
