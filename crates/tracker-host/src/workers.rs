//! Workers that run until they are stopped, or one of them fails.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::mpsc;

/// Runs each worker on a thread of its own, named `{name}-0`, `{name}-1` and so on, until `shutdown` is ready or one of them
/// ends. Then `stop` is dropped, at which the others have to end, and the result is that of the first that failed.
///
/// If the future is dropped, so is `stop`: the threads end in the background.
///
/// # Errors
///
/// Returns an error if a thread cannot be started, if a worker fails, or if it panics.
pub async fn run_threads<S>(
    name: &str,
    workers: Vec<impl FnOnce() -> io::Result<()> + Send + 'static>,
    stop: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (done, mut finished) = mpsc::unbounded_channel();
    for (number, worker) in workers.into_iter().enumerate() {
        let done = done.clone();
        let name = format!("{name}-{number}");
        let panicked = io::Error::other(format!("the thread {name} panicked"));
        thread::Builder::new().name(name).spawn(move || {
            // A thread that panics must not leave a server with fewer threads than it was given.
            let result = catch_unwind(AssertUnwindSafe(worker));
            // There is no receiver when the future was dropped.
            _ = done.send(result.unwrap_or(Err(panicked)));
        })?;
    }
    drop(done);
    run_until_one_ends(|cx| finished.poll_recv(cx), stop, shutdown).await
}

/// Waits for workers that run by themselves: until `shutdown` is ready or one of them ends, and then, with `stop` dropped, for
/// the others. `poll_next` gives the result of the next worker that ends, `None` when all have ended.
///
/// # Errors
///
/// The first error of a worker.
pub async fn run_until_one_ends<S, E>(
    mut poll_next: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<(), E>>>,
    stop: S,
    shutdown: impl Future<Output = ()>,
) -> Result<(), E> {
    let mut result = Ok(());
    tokio::select! {
        () = shutdown => {}
        Some(ended) = poll_fn(&mut poll_next) => result = ended,
    }
    drop(stop);
    while let Some(ended) = poll_fn(&mut poll_next).await {
        result = result.and(ended);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A worker that runs until the sender of `stopped` is dropped.
    fn until_stopped(stopped: Receiver<()>) -> Box<dyn FnOnce() -> io::Result<()> + Send> {
        Box::new(move || {
            stopped.recv().unwrap_err();
            Ok(())
        })
    }

    fn stop_signals<const N: usize>() -> ([Sender<()>; N], [Receiver<()>; N]) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..N).map(|_| channel()).unzip();
        (senders.try_into().unwrap(), receivers.try_into().unwrap())
    }

    /// Fails what would hang.
    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), what).await.expect("it takes too long")
    }

    #[tokio::test]
    async fn a_thread_that_panics_ends_all() {
        let (stop, [first, last]) = stop_signals();
        let panics: Box<dyn FnOnce() -> io::Result<()> + Send> = Box::new(|| panic!("a bug in a worker"));
        let workers = vec![until_stopped(first), panics, until_stopped(last)];
        let error = in_time(run_threads("test", workers, stop, pending())).await.unwrap_err();
        assert_eq!(error.to_string(), "the thread test-1 panicked");
    }

    #[tokio::test]
    async fn a_worker_that_fails_ends_all() {
        let (stop, [other]) = stop_signals();
        let fails: Box<dyn FnOnce() -> io::Result<()> + Send> =
            Box::new(|| Err(io::Error::other("the socket is gone")));
        let error = in_time(run_threads("test", vec![fails, until_stopped(other)], stop, pending())).await.unwrap_err();
        assert_eq!(error.to_string(), "the socket is gone");
    }

    #[tokio::test]
    async fn a_failure_while_they_stop_is_the_result() {
        let (stop, [first, second]) = stop_signals();
        let fails: Box<dyn FnOnce() -> io::Result<()> + Send> = Box::new(move || {
            second.recv().unwrap_err();
            Err(io::Error::other("too late"))
        });
        let workers = vec![until_stopped(first), fails];
        let error = in_time(run_threads("test", workers, stop, ready(()))).await.unwrap_err();
        assert_eq!(error.to_string(), "too late");
    }

    #[tokio::test]
    async fn being_stopped_is_no_failure() {
        let (stop, [first, second]) = stop_signals();
        let workers = vec![until_stopped(first), until_stopped(second)];
        in_time(run_threads("test", workers, stop, ready(()))).await.unwrap();
    }
}
