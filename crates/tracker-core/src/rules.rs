//! The settings and the time that all swarms of a tracker share.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use rand::{Rng, RngExt};

use crate::address::AddressBits;
use crate::address_group::OwnNetworks;
use crate::interval::Lifetimes;
use crate::{Config, Instant, Memory};

/// The state that all swarms of a tracker share, the time included, kept once and passed to each.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) memory: Memory,
    /// [`Config::max_peers_per_swarm`].
    pub(crate) max_peers_per_swarm: usize,
    /// [`Config::max_peers_per_address`].
    pub(crate) max_peers_per_address: usize,
    /// The networks in which each IPv6 address counts by itself.
    pub(crate) own: OwnNetworks,
    /// Of the addresses that this machine has now.
    pub(crate) address_bits: AddressBits,
    /// The latest time that was seen.
    pub(crate) now: Instant,
    pub(crate) lifetimes: Lifetimes,
    hasher: FixedState,
}

impl Rules {
    pub(crate) fn new(config: &Config, rng: &mut impl Rng) -> Self {
        Self {
            own: OwnNetworks::new(config),
            address_bits: AddressBits::of(config),
            memory: config.memory,
            max_peers_per_swarm: config.max_peers_per_swarm,
            max_peers_per_address: config.max_peers_per_address,
            now: Instant::ZERO,
            lifetimes: Lifetimes::new(config),
            hasher: FixedState::with_seed(rng.random()),
        }
    }

    /// Takes a time in, if it is later than those before.
    pub(crate) fn advance(&mut self, now: Instant) {
        if now > self.now {
            self.lifetimes.pass(self.now, now);
            self.now = now;
        }
    }

    /// Nobody can choose addresses or info-hashes whose hashes collide.
    pub(crate) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}
