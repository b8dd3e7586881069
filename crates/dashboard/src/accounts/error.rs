//! What can go wrong with accounts.

use std::path::PathBuf;

use super::{MAX_ACCOUNTS, MAX_NAME, ReadAccountsError};

/// An account cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddAccountError {
    /// The name cannot be one.
    #[error("{}", no_name(name))]
    Name {
        /// The name.
        name: String,
    },
    /// There is one with this name.
    #[error("there is an account {name} already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {MAX_ACCOUNTS} accounts already, and no more can be added")]
    TooMany,
    /// The file cannot be changed.
    #[error(transparent)]
    Change(#[from] ChangeAccountsError),
}

/// An account cannot be changed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditAccountError {
    /// There is none with this name.
    #[error("there is no account {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The new name cannot be one.
    #[error("{}", no_name(name))]
    Name {
        /// The name.
        name: String,
    },
    /// There is another one with the new name.
    #[error("there is an account {name} already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The file cannot be changed.
    #[error(transparent)]
    Change(#[from] ChangeAccountsError),
}

/// The file of accounts cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeAccountsError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadAccountsError),
    /// It cannot be written.
    #[error("cannot write the accounts to {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The system has no random numbers, or too little memory.
    #[error("cannot hash a password")]
    Hash,
}

/// Why a name cannot be one.
fn no_name(name: &str) -> String {
    format!(
        "{name:?} cannot be the name of an account: it has 1 to {MAX_NAME} characters, without control characters and without spaces at \
         its ends"
    )
}
