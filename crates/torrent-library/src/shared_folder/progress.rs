//! How far the hashing of something is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far the hashing of a file or folder is. Cheap to clone; all clones are one, and tell how far it is when they are asked.
#[derive(Debug, Clone)]
pub struct HashProgress(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    hashed: AtomicU64,
    total: u64,
}

impl HashProgress {
    /// Nothing yet of so many bytes.
    pub fn new(total: u64) -> Self {
        Self(Arc::new(Bytes { hashed: AtomicU64::new(0), total }))
    }

    /// Bytes so far.
    pub fn hashed(&self) -> u64 {
        self.0.hashed.load(Ordering::Relaxed)
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// The part that is hashed, from 0 to 1.
    pub fn part(&self) -> f64 {
        (self.hashed() as f64 / self.total().max(1) as f64).min(1.0)
    }

    pub(super) fn set(&self, hashed: u64) {
        self.0.hashed.store(hashed, Ordering::Relaxed);
    }
}

/// Compares how far they are.
impl PartialEq for HashProgress {
    fn eq(&self, other: &Self) -> bool {
        (self.hashed(), self.total()) == (other.hashed(), other.total())
    }
}

impl Eq for HashProgress {}
