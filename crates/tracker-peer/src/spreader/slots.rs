//! Who is unchoked.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The time for which a peer is unchoked at least, also when others wait.
const TURN: Duration = Duration::from_secs(10);

/// The peers that are unchoked: all who ever lacked something, or a limited number of them, who take turns.
#[derive(Debug)]
pub(super) struct Slots<C> {
    limit: Option<NonZeroUsize>,
    /// With the time since when, the longest first.
    unchoked: VecDeque<(Duration, C)>,
    /// The longest first.
    waiting: VecDeque<C>,
}

impl<C: Copy + Eq> Slots<C> {
    /// As many slots as peers.
    pub(super) const fn new() -> Self {
        Self { limit: None, unchoked: VecDeque::new(), waiting: VecDeque::new() }
    }

    pub(super) fn set_limit(&mut self, limit: Option<NonZeroUsize>) {
        self.limit = limit;
    }

    /// The peer waits for a slot. It has none, and does not wait yet.
    pub(super) fn insert(&mut self, connection: C) {
        self.waiting.push_back(connection);
    }

    pub(super) fn remove(&mut self, connection: C) {
        self.unchoked.retain(|&(_, other)| other != connection);
        self.waiting.retain(|&other| other != connection);
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next one to choke, which waits then: if there are more than the limit, or others wait and it is done or its turn
    /// over.
    pub(super) fn choke_next(&mut self, now: Duration, is_done: impl Fn(C) -> bool) -> Option<C> {
        let excess = self.unchoked.len().saturating_sub(self.limit());
        if excess == 0 && !(self.has_waiting() && self.unchoked.len() == self.limit()) {
            return None;
        }
        let done = self.unchoked.iter().position(|&(_, connection)| is_done(connection));
        let over = || self.unchoked.front().filter(|(since, _)| excess > 0 || *since + TURN <= now).map(|_| 0);
        let (_, connection) = self.unchoked.remove(done.or_else(over)?)?;
        if !is_done(connection) {
            self.waiting.push_back(connection);
        }
        Some(connection)
    }

    /// The next one to unchoke, if there is a slot.
    pub(super) fn unchoke_next(&mut self, now: Duration) -> Option<C> {
        if self.unchoked.len() >= self.limit() {
            return None;
        }
        let connection = self.waiting.pop_front()?;
        self.unchoked.push_back((now, connection));
        Some(connection)
    }

    fn limit(&self) -> usize {
        self.limit.map_or(usize::MAX, NonZeroUsize::get)
    }
}
