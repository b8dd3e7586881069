//! What a connection is to do for its torrent's spreader.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::planner::ConnectionId;
use crate::spreader::Action;

/// What a connection is to do, in order.
///
/// Bounded by what the spreader does for one peer: it is told of at most 1,024 pieces that it has not got, and there is one answer
/// to each request, which the connection itself passes on.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    actions: Mutex<VecDeque<Action<ConnectionId>>>,
    has_more: Notify,
}

impl Outbox {
    pub(super) fn push(&self, action: Action<ConnectionId>) {
        self.actions().push_back(action);
        self.has_more.notify_one();
    }

    pub(crate) fn pop(&self) -> Option<Action<ConnectionId>> {
        self.actions().pop_front()
    }

    /// Waits until there may be more.
    pub(crate) async fn has_more(&self) {
        self.has_more.notified().await;
    }

    fn actions(&self) -> MutexGuard<'_, VecDeque<Action<ConnectionId>>> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
