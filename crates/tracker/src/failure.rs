//! The errors that end the program.

use std::process::ExitCode;

/// An error that ends the program. Scripts and service managers distinguish the kinds by the exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The tracker could not start. Trying again does not help unless something is changed.
    #[error("{0:#}")]
    Start(#[from] anyhow::Error),
    /// The tracker failed after it had started.
    #[error("{0:#}")]
    Running(anyhow::Error),
    /// A check of the set-up found something that keeps the tracker from working.
    #[error("the tracker would not work as it is set up; wrong: {wrong}")]
    Check {
        /// The number of things that are wrong.
        wrong: usize,
    },
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(match failure {
            Failure::Start(_) => 2,
            Failure::Running(_) | Failure::Check { .. } => 1,
        })
    }
}
