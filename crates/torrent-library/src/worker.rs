//! A thread that works on one job after the other.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Works on jobs, in the order in which they come. There is a thread only while there are jobs. When the worker is dropped, the
/// thread ends with the job that it is at, and the others are given up.
pub(crate) struct Worker<J>(Arc<Inner<J>>);

type Work<J> = dyn Fn(J, &AtomicBool) + Send + Sync;

struct Inner<J> {
    name: &'static str,
    work: Box<Work<J>>,
    queue: Mutex<Queue<J>>,
    /// `true` when the worker was dropped.
    closed: AtomicBool,
}

struct Queue<J> {
    waiting: VecDeque<J>,
    has_thread: bool,
}

impl<J: Send + 'static> Worker<J> {
    /// A worker whose thread has this name. `work` is also given a flag that is set when the worker is dropped, and should
    /// return soon then.
    pub(crate) fn new(name: &'static str, work: impl Fn(J, &AtomicBool) + Send + Sync + 'static) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), has_thread: false });
        Self(Arc::new(Inner { name, work: Box::new(work), queue, closed: AtomicBool::new(false) }))
    }

    /// Jobs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.queue().waiting.len()
    }

    /// Gives up the jobs that wait and do not satisfy `keep`.
    pub(crate) fn retain(&self, keep: impl FnMut(&J) -> bool) {
        self.0.queue().waiting.retain(keep);
    }

    /// Adds a job, and starts the thread if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread cannot be started. The job is not added then.
    pub(crate) fn push(&self, job: J) -> io::Result<()> {
        let mut queue = self.0.queue();
        if !queue.has_thread {
            let inner = Arc::clone(&self.0);
            thread::Builder::new().name(self.0.name.into()).spawn(move || inner.run())?;
            queue.has_thread = true;
        }
        queue.waiting.push_back(job);
        Ok(())
    }
}

impl<J> Inner<J> {
    fn queue(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            // A panic has been reported by its hook, and other jobs wait.
            _ = catch_unwind(AssertUnwindSafe(|| (self.work)(job, &self.closed)));
        }
    }

    /// The next job. Under the same lock it is decided that there is none and that the thread ends, so that no job is left.
    fn next(&self) -> Option<J> {
        let mut queue = self.queue();
        let next = queue.waiting.pop_front().filter(|_| !self.closed.load(Ordering::Relaxed));
        queue.has_thread = next.is_some();
        next
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

impl<J> Debug for Worker<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.0.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn jobs_are_done_in_order_even_after_a_panic() {
        let (done, is_done) = mpsc::channel();
        let worker = Worker::new("test", move |job: u32, _: &AtomicBool| {
            assert_ne!(job, 1, "as a bug would");
            done.send(job).unwrap();
        });
        (0..3).for_each(|job| worker.push(job).unwrap());
        assert_eq!([is_done.recv().unwrap(), is_done.recv().unwrap()], [0, 2]);
        // The thread may have ended by now.
        worker.push(3).unwrap();
        assert_eq!(is_done.recv().unwrap(), 3);
    }

    #[test]
    fn jobs_that_are_not_retained_are_not_done() {
        let (done, is_done) = mpsc::channel();
        let (proceed, may_proceed) = mpsc::channel::<()>();
        let may_proceed = Mutex::new(may_proceed);
        let worker = Worker::new("test", move |job: u32, _: &AtomicBool| {
            done.send(job).unwrap();
            _ = may_proceed.lock().unwrap().recv();
        });
        (0..4).for_each(|job| worker.push(job).unwrap());
        assert_eq!(is_done.recv().unwrap(), 0);
        worker.retain(|job| *job == 2);
        assert_eq!(worker.waiting(), 1);
        drop(proceed);
        assert_eq!(is_done.recv().unwrap(), 2);
        drop(worker);
        is_done.recv().unwrap_err();
    }

    #[test]
    fn a_worker_that_is_dropped_gives_up_what_waits() {
        let (begun, has_begun) = mpsc::channel();
        let worker = Worker::new("test", move |job: u32, closed: &AtomicBool| {
            begun.send(job).unwrap();
            while !closed.load(Ordering::Relaxed) {
                thread::yield_now();
            }
        });
        (0..3).for_each(|job| worker.push(job).unwrap());
        assert_eq!(has_begun.recv().unwrap(), 0);
        assert_eq!(worker.waiting(), 2);
        drop(worker);
        // The sender goes with the thread.
        has_begun.recv().unwrap_err();
    }
}
