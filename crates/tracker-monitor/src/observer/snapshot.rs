//! A list that is expensive to build, kept for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A snapshot is shown for so many times the time that it took to build. So building takes at most a twentieth of a core,
/// however many viewers there are, and cheap snapshots are always fresh.
const WORTH: u32 = 20;

/// A snapshot that nobody looked at for so long is dropped.
const UNUSED: Duration = Duration::from_secs(10);

/// A value, the time when it was built, and how long that took.
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

    /// The value, if it is still fresh enough.
    pub(super) fn look(&mut self) -> Option<Arc<T>> {
        let now = Instant::now();
        self.used = now;
        (now - self.made < WORTH * self.cost).then(|| Arc::clone(&self.value))
    }

    pub(super) fn value(&self) -> Arc<T> {
        Arc::clone(&self.value)
    }

    /// The time that it took to build.
    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    pub(super) fn is_unused(&self) -> bool {
        self.used.elapsed() > UNUSED
    }
}
