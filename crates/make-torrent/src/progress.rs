//! What happens while hashing: the progress bar, and Ctrl-C.

use std::io::{self, IsTerminal};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use metainfo::{CreateError, Progress, VerifyError};

/// What shells give to a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// A flag that Ctrl-C sets, and a request to terminate as well; the second time it ends the program.
pub(crate) fn cancel_on_interrupt() -> Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancel);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED.into());
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(cancel)
}

/// A bar with rate and time left on a terminal, nothing elsewhere.
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

/// Leaves a clean line behind, however hashing ended.
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
