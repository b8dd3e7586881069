//! Looking at the health of the tracker.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};
use tracker_host::{Health, OpenFiles, PartHealth};

use super::Dashboard;

/// The time within which a part must have been looked at. Monitoring waits ten seconds, as a rule.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time for which the result of a look is given out again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The results of a look at all parts of a tracker.
#[derive(Debug, Clone, Default)]
pub(super) struct LookedHealth {
    /// The health of each part.
    pub(super) parts: Vec<PartHealth>,
    /// The files that the tracker has open; `None` if they cannot be counted.
    pub(super) open_files: Option<OpenFiles>,
}

/// Looks at the health of a tracker, for all requests together: those that come while it looks wait for the result.
#[derive(Debug, Default)]
pub(super) struct HealthChecker(Arc<Mutex<Looks>>);

/// What is known from the last look.
#[derive(Debug, Default)]
struct Looks {
    last: Option<(Instant, LookedHealth)>,
    parts: HashMap<&'static str, Look<PartHealth>>,
    open_files: Look<Option<OpenFiles>>,
}

/// A look at one part, on a thread of its own; `None` if it has ended.
///
/// Not on one of the threads for requests: if the share folder hangs, viewers may block all of those.
#[derive(Debug)]
struct Look<T>(Option<oneshot::Receiver<T>>);

/// A part could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("looking at it failed")]
    Failed,
}

impl Dashboard {
    /// The health of the tracker, at most a second old. Not among the requests of viewers, which monitoring must not wait for.
    pub(super) async fn look_at_health(&self) -> LookedHealth {
        self.0.health_checker.look(self.config().health.clone()).await
    }
}

impl HealthChecker {
    async fn look(&self, health: Health) -> LookedHealth {
        let mut looks = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, looked)) = &looks.last
            && at.elapsed() < MAX_AGE
        {
            return looked.clone();
        }
        // On a task, so that the others get the result even if who asked first has gone.
        let looking = tokio::spawn(async move {
            let looked = looks.look(&health).await;
            looks.last = Some((Instant::now(), looked.clone()));
            looked
        });
        looking.await.expect("it does not panic, and nobody aborts it")
    }
}

impl Looks {
    /// Looks at all parts at once, each with a time limit of its own: one that hangs is named, and does not hide the others. As long
    /// as its look has not come back there is no second one, so that it keeps one thread.
    async fn look(&mut self, health: &Health) -> LookedHealth {
        let parts = health.parts();
        let mut deadlines = Vec::with_capacity(parts.len());
        for part in &parts {
            let look = self.parts.entry(part.name()).or_default();
            let part = part.clone();
            deadlines.push(look.start(move || part.look()));
        }
        let deadline = self.open_files.start(OpenFiles::look);
        let mut looked = LookedHealth::default();
        for (part, deadline) in parts.iter().zip(deadlines) {
            let look = self.parts.entry(part.name()).or_default();
            looked.parts.push(look.finish(deadline).await.unwrap_or_else(|error| part.unknown(error.to_string())));
        }
        looked.open_files = self.open_files.finish(deadline).await.unwrap_or_default();
        looked
    }
}

impl<T: Send + 'static> Look<T> {
    /// Starts it, unless the one before has not ended. Returns the time at which it is too late to [finish](Self::finish).
    fn start(&mut self, look: impl FnOnce() -> T + Send + 'static) -> Instant {
        let is_running = |before: &mut oneshot::Receiver<T>| matches!(before.try_recv(), Err(TryRecvError::Empty));
        if self.0.as_mut().is_some_and(is_running) {
            return Instant::now();
        }
        let (sender, receiver) = oneshot::channel();
        let looking = move || {
            // An error says that the dashboard has ended.
            _ = sender.send(look());
        };
        self.0 = thread::Builder::new().name("health".to_owned()).spawn(looking).ok().map(|_| receiver);
        Instant::now() + TIMEOUT
    }

    async fn finish(&mut self, deadline: Instant) -> Result<T, LookError> {
        let running = self.0.as_mut().ok_or(LookError::Failed)?;
        let looked = timeout_at(deadline, running).await.map_err(|_| LookError::Timeout)?;
        self.0 = None;
        looked.map_err(|_| LookError::Failed)
    }
}

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self(None)
    }
}
