//! What all swarms of a tracker have in common.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use rand::{Rng, RngExt};

use crate::interval::Lifetimes;
use crate::{Config, Memory};

/// What all swarms of a tracker have in common, kept once and handed to each.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) memory: Memory,
    pub(crate) lifetimes: Lifetimes,
    hasher: FixedState,
}

impl Rules {
    pub(crate) fn new(config: &Config, rng: &mut impl Rng) -> Self {
        Self { memory: config.memory, lifetimes: Lifetimes::new(config), hasher: FixedState::with_seed(rng.random()) }
    }

    /// Nobody can choose addresses or info-hashes whose hashes collide.
    pub(crate) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}
