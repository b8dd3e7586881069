//! What takes a while to put together, kept for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how many times as long as it took to put together a snapshot is shown. So this never takes more than a twentieth of a
/// processor, however many look, and what is quickly done is always new.
const WORTH: u32 = 20;

/// A snapshot that nobody looked at for so long is thrown away.
const UNUSED: Duration = Duration::from_secs(10);

/// What was put together, when, and how long it took.
#[derive(Debug)]
pub(super) struct Snapshot<T> {
    value: Arc<T>,
    made: Instant,
    used: Instant,
    cost: Duration,
}

impl<T> Snapshot<T> {
    pub(super) fn make(make: impl FnOnce() -> T) -> Self {
        let began = Instant::now();
        let value = Arc::new(make());
        let made = Instant::now();
        Self { value, made, used: made, cost: made - began }
    }

    /// What it shows, if it is still worth it.
    pub(super) fn look(&mut self) -> Option<Arc<T>> {
        let now = Instant::now();
        self.used = now;
        (now - self.made < WORTH * self.cost).then(|| Arc::clone(&self.value))
    }

    pub(super) fn value(&self) -> Arc<T> {
        Arc::clone(&self.value)
    }

    /// How long it took.
    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    pub(super) fn is_unused(&self) -> bool {
        self.used.elapsed() > UNUSED
    }
}
