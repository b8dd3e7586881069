//! A thread that listens to events.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracker_host::EventListener;

/// A thread that listens to events until it is dropped.
#[derive(Debug)]
pub(crate) struct EventThread {
    listener: Arc<EventListener>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EventThread {
    /// Calls `work` whenever there are events, or the time that it returned last has passed, and once more at the end.
    pub(crate) fn start(
        name: &str,
        listener: EventListener,
        mut work: impl FnMut(&EventListener) -> Duration + Send + 'static,
    ) -> io::Result<Self> {
        let (listener, is_stopped) = (Arc::new(listener), Arc::new(AtomicBool::new(false)));
        let (own_listener, own_is_stopped) = (Arc::clone(&listener), Arc::clone(&is_stopped));
        let run = move || {
            loop {
                // First, so that events which came before the stop are worked on.
                let is_last = own_is_stopped.load(Ordering::Acquire);
                let timeout = work(&own_listener);
                if is_last {
                    return;
                }
                own_listener.wait(timeout);
            }
        };
        let thread = Some(thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(Self { listener, is_stopped, thread })
    }

    /// Waits until it has worked on all events so far, and ends it.
    pub(crate) fn finish(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // If it panicked it has said so, and there is nothing to be done.
            _ = thread.join();
        }
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.listener.wake();
    }
}

impl Drop for EventThread {
    fn drop(&mut self) {
        self.stop();
    }
}
