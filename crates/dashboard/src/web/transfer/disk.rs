//! Work of transfers that waits for a disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// The maximum number of threads that do such work at the same time: half of those that the program has for all that may block,
/// so that pages do not wait for transfers. A thread sends about a gigabyte per second.
const MAX_SENDING: usize = 8;

/// The maximum number of them that prepare archives: opening all files of a large folder takes long, and must not keep those that
/// send from their work.
const MAX_PREPARING: usize = 2;

/// Runs work that waits for a disk off the event loop, some at a time. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    free: Arc<Semaphore>,
    /// Works that wait for their turn.
    waiting: AtomicUsize,
}

/// A work that waits for its turn.
struct Waiting<'t>(&'t AtomicUsize);

impl<'t> Waiting<'t> {
    fn new(count: &'t AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells work whether its result is still wanted.
#[derive(Debug)]
pub(super) struct Demand(Weak<()>);

impl Demand {
    /// Returns `true` once the request was dropped: nobody gets the result.
    pub(super) fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Disk {
    /// For sending.
    pub(super) fn for_sending() -> Self {
        Self::of(MAX_SENDING)
    }

    /// For preparing archives.
    pub(super) fn for_preparing() -> Self {
        Self::of(MAX_PREPARING)
    }

    fn of(threads: usize) -> Self {
        Self(Arc::new(Turns { free: Arc::new(Semaphore::new(threads)), waiting: AtomicUsize::new(0) }))
    }

    /// Returns `true` while others wait for their turn: work that can go on later should end then.
    pub(super) fn is_in_demand(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) > 0
    }

    /// Runs `work` when it is its turn. Once begun it goes on even if this future is dropped, as when the client hangs up: so
    /// permits that are to limit it have to be moved into it.
    ///
    /// # Errors
    ///
    /// Returns an error if the work panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Demand) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let waiting = Waiting::new(&self.0.waiting);
        let turn = Arc::clone(&self.0.free).acquire_owned().await.expect("the semaphore is never closed");
        drop(waiting);
        let wanted = Arc::new(());
        let demand = Demand(Arc::downgrade(&wanted));
        let done = spawn_blocking(move || {
            let _turn = turn;
            work(&demand)
        })
        .await;
        drop(wanted);
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_turn_and_learns_of_it() {
        let (disk, begun) = (Disk::of(2), Arc::new(AtomicUsize::new(0)));
        let (goes, go) = mpsc::channel::<()>();
        let go = Arc::new(std::sync::Mutex::new(go));
        let (told, tell) = mpsc::channel();
        for _ in 0..100 {
            let (begun, go, told) = (Arc::clone(&begun), Arc::clone(&go), told.clone());
            let work = disk.run(move |demand| {
                begun.fetch_add(1, Ordering::SeqCst);
                _ = go.lock().unwrap().recv();
                told.send(demand.is_over()).unwrap();
            });
            // The client hangs up at once.
            assert!(work.now_or_never().is_none());
        }
        assert_eq!(disk.0.free.available_permits(), 0);
        assert!(!disk.is_in_demand(), "who has hung up does not wait");
        let next = disk.run(|_| ());
        tokio::pin!(next);
        assert!(next.as_mut().now_or_never().is_none());
        assert!(disk.is_in_demand());
        drop((goes, told));
        next.await.unwrap();
        assert!(!disk.is_in_demand());
        while disk.0.free.available_permits() < 2 {
            yield_now().await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert_eq!(tell.iter().collect::<Vec<_>>(), [true, true]);
        assert!(!disk.run(Demand::is_over).await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_gives_its_turn_back() {
        let disk = Disk::of(1);
        assert!(disk.run(|_| panic!("a bug")).await.is_err());
        assert_eq!(disk.run(|_| 7).await.unwrap(), 7);
    }
}
