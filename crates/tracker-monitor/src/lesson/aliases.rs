//! Computers with addresses of both families.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tracker_core::PeerId;

use super::Lesson;
use crate::names::Listed;

/// The IPv6 addresses of computers that are known by an IPv4 address.
///
/// A client that announces a torrent over both does so under one peer id, which it has drawn at random. So one computer counts
/// once, in a browser, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Aliases {
    by_v6: HashMap<IpAddr, IpAddr, RandomState>,
    by_v4: HashMap<IpAddr, Vec<IpAddr>, RandomState>,
}

impl Aliases {
    /// IPv6 addresses that are remembered, at most.
    const MAX: usize = Lesson::MAX_COMPUTERS;

    /// The address by which the computer at this address is known.
    pub(super) fn resolve(&self, address: IpAddr) -> IpAddr {
        self.by_v6.get(&address).copied().unwrap_or(address)
    }

    /// All addresses of the computer at this address, the one by which it is known first.
    fn all(&self, address: IpAddr) -> Vec<IpAddr> {
        let known = self.resolve(address);
        let others = self.by_v4.get(&known).into_iter().flatten();
        [known].into_iter().chain(others.copied()).collect()
    }

    /// The IPv6 addresses, each with the IPv4 address by which the computer is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.by_v6.iter().map(|(&v6, &v4)| (v6, v4))
    }

    /// Returns `true` if the computer at the IPv6 address is known by the IPv4 address from now on, and was not before.
    pub(super) fn insert(&mut self, v6: IpAddr, v4: IpAddr) -> bool {
        if self.by_v6.len() >= Self::MAX || self.by_v6.get(&v6) == Some(&v4) {
            return false;
        }
        if let Some(before) = self.by_v6.insert(v6, v4).and_then(|before| self.by_v4.get_mut(&before)) {
            before.retain(|other| *other != v6);
        }
        self.by_v4.entry(v4).or_default().push(v6);
        true
    }
}

/// The addresses of the clients of a file.
#[derive(Debug, Default)]
pub(super) struct ClientAddresses(HashMap<PeerId, IpAddr, RandomState>);

impl ClientAddresses {
    /// Clients of a file that are remembered, at most.
    const MAX: usize = Lesson::MAX_COMPUTERS;

    /// Takes in where a client announces from. Returns its IPv6 and its IPv4 address, if it has both.
    pub(super) fn take(&mut self, peer_id: PeerId, address: IpAddr) -> Option<(IpAddr, IpAddr)> {
        match self.0.get(&peer_id).copied() {
            Some(v4) if v4.is_ipv4() => address.is_ipv6().then_some((address, v4)),
            Some(v6) if address.is_ipv4() => {
                self.0.insert(peer_id, address);
                Some((v6, address))
            }
            Some(_) => None,
            None => {
                if self.0.len() < Self::MAX {
                    self.0.insert(peer_id, address);
                }
                None
            }
        }
    }
}

impl Lesson {
    /// The address by which the computer at this address is known.
    pub(crate) fn known_address(&self, address: IpAddr) -> IpAddr {
        self.aliases.resolve(address)
    }

    /// All addresses of the computer at this address, the one by which it is known first.
    pub(crate) fn addresses(&self, address: IpAddr) -> Vec<IpAddr> {
        self.aliases.all(address)
    }

    /// The names file with the addresses by which its computers are known.
    pub(crate) fn by_known_address(&self, listed: Arc<Listed>) -> Arc<Listed> {
        if listed.keys().all(|&address| self.aliases.resolve(address) == address) {
            return listed;
        }
        Arc::new(listed.iter().map(|(&address, name)| (self.aliases.resolve(address), Arc::clone(name))).collect())
    }

    /// Learns that a computer has both addresses: what is recorded of one counts for the other.
    pub(super) fn join_addresses(&mut self, v6: IpAddr, v4: IpAddr) {
        if !self.aliases.insert(v6, v4) {
            return;
        }
        let Some(record) = self.computers.remove(&v6) else { return };
        let max_ranges = self.max_ranges();
        self.computers
            .entry(v4)
            .and_modify(|known| known.first_seen = known.first_seen.min(record.first_seen))
            .or_insert(record);
        for file in self.files.values_mut() {
            let Some(copy) = file.copies.remove(&v6) else { continue };
            match file.copies.get_mut(&v4) {
                Some(known) => {
                    known.merge(copy, max_ranges);
                    self.copies -= 1;
                }
                None => _ = file.copies.insert(v4, copy),
            }
        }
    }
}
