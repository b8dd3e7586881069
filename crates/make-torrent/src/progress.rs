//! The progress bar and Ctrl-C handling while hashing.

use std::io::{self, IsTerminal};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use metainfo::{CreateError, Progress, VerifyError};

/// The exit code that shells use for a command ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// The handling of Ctrl-C and termination signals.
///
/// The first one cancels the work; a second one ends the program in case the work is stuck in a read. Both are ignored while
/// the result is being written, so that no temporary file is left behind.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    cancel: AtomicBool,
    writing: AtomicBool,
}

impl Interrupt {
    /// Installs the handler. This can be done only once.
    pub(crate) fn listen() -> Result<Arc<Self>> {
        let interrupt = Arc::new(Self::default());
        let handler = Arc::clone(&interrupt);
        ctrlc::set_handler(move || {
            if handler.received() {
                process::exit(INTERRUPTED.into());
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    /// The flag that becomes `true` when the work is to be cancelled.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.cancel
    }

    /// Runs `write` to completion, unless an interrupt came first.
    pub(crate) fn hold_off<T>(&self, write: impl FnOnce() -> T) -> Result<T, CreateError> {
        // Sequential consistency guarantees that either this code sees `cancel` or the signal handler sees `writing`.
        self.writing.store(true, Ordering::SeqCst);
        if self.cancel.load(Ordering::SeqCst) {
            return Err(CreateError::Cancelled);
        }
        let outcome = write();
        self.writing.store(false, Ordering::SeqCst);
        Ok(outcome)
    }

    /// Records an interrupt. Returns `true` if the program must end at once.
    fn received(&self) -> bool {
        !self.writing.load(Ordering::SeqCst) && self.cancel.swap(true, Ordering::SeqCst)
    }
}

/// A progress bar with rate and time left; shown on terminals only.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(crate) fn new(total: u64) -> Self {
        let style = "{percent:>3} % [{bar:30}] {binary_bytes} of {binary_total_bytes}, \
                     {binary_bytes_per_sec}, {eta} left";
        Self(io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(style).expect("a template that a test parses");
            ProgressBar::new(total).with_style(style.progress_chars("=> "))
        }))
    }

    pub(crate) fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_position(progress.hashed);
        }
    }
}

/// Clears the line, however hashing ended.
impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The exit code for an error that ends the program.
pub(crate) fn exit_code_of(error: &anyhow::Error) -> u8 {
    let cancelled = matches!(error.downcast_ref(), Some(CreateError::Cancelled))
        || matches!(error.downcast_ref(), Some(VerifyError::Cancelled));
    if cancelled { INTERRUPTED } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_interrupt_ends_a_program_that_does_not_stop() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.received());
        assert!(interrupt.flag().load(Ordering::Relaxed));
        assert!(interrupt.received());
    }

    #[test]
    fn no_interrupt_ends_the_program_while_it_writes() {
        let interrupt = Interrupt::default();
        let ended = interrupt.hold_off(|| [interrupt.received(), interrupt.received()]);
        assert!(matches!(ended, Ok([false, false])));
        // Later work can get stuck again.
        assert_eq!([interrupt.received(), interrupt.received()], [false, true]);
    }

    #[test]
    fn nothing_is_written_after_an_interrupt() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.received());
        assert!(matches!(interrupt.hold_off(|| panic!("written")), Err(CreateError::Cancelled)));
    }
}
