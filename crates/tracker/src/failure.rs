//! Why the program ends with an error.

use std::process::ExitCode;

/// What went wrong, and when: scripts and service managers tell the two apart by the exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The tracker could not start. Trying again without a change does not help.
    #[error("{0:#}")]
    Start(#[from] anyhow::Error),
    /// It did serve.
    #[error("{0:#}")]
    Running(anyhow::Error),
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(match failure {
            Failure::Start(_) => 2,
            Failure::Running(_) => 1,
        })
    }
}
