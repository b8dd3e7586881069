//! A thread that keeps something in the data folder.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// A thread that keeps something in the data folder until the tracker ends. When it is dropped, the thread ends without the last step.
#[derive(Debug)]
pub(crate) struct KeeperThread {
    running: Option<(Sender<Finish>, JoinHandle<()>)>,
}

/// Tells the thread to keep all a last time, and to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finish;

impl KeeperThread {
    /// Starts a thread. It ends when the other end of its channel is gone, or when it has done what [`Finish`] says.
    pub(crate) fn spawn(name: &str, run: impl FnOnce(&Receiver<Finish>) + Send + 'static) -> io::Result<Self> {
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new().name(name.into()).spawn(move || run(&ended))?;
        Ok(Self { running: Some((end, thread)) })
    }

    /// No thread, where nothing can be kept.
    pub(crate) fn none() -> Self {
        Self { running: None }
    }

    /// Lets the thread do its last step, and waits for it.
    pub(crate) fn finish(mut self) {
        if let Some((end, thread)) = self.running.take() {
            // Nobody is there if it has panicked.
            _ = end.send(Finish);
            _ = thread.join();
        }
    }
}

impl Drop for KeeperThread {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            drop(end);
            _ = thread.join();
        }
    }
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why writing failed, without paths: viewers see it. Errors of the system may have the path of a temporary file in them.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let of_system = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    of_system.map_or_else(|| "see the log".to_owned(), |error| error.kind().to_string())
}

/// An error and its causes, with the names of these files in place of their paths: viewers see the log, but not where files lie.
pub(crate) fn chain_without_folders(error: &dyn Error, files: &[&Path]) -> String {
    without_folders(chain(error), files)
}

/// A text with the names of these files in place of their paths.
pub(crate) fn without_folders(text: String, files: &[&Path]) -> String {
    files.iter().fold(text, |text, file| {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        text.replace(&*file.to_string_lossy(), &name)
    })
}
