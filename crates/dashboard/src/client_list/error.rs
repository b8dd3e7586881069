//! What can go wrong with the list of clients.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{ClientRule, MAX_BYTES, MAX_RULES, ParseRuleError};

/// The list of clients cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadClientListError {
    /// The system cannot read the file.
    #[error("cannot read the list of clients {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is too long.
    #[error("{}: a list of clients has at most {MAX_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a rule.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: ParseRuleError,
    },
    /// There are too many rules.
    #[error("{}: a list of clients has at most {MAX_RULES} rules, since each announce is compared with all of them", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
    },
}

impl ReadClientListError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::TooLong { path } | Self::Line { path, .. } | Self::TooMany { path } => path,
        }
    }

    /// The number of the line that is no rule, from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// What is wrong with the file, without its path.
    pub fn reason(&self) -> String {
        match self {
            Self::Read { source, .. } => format!("it cannot be read: {source}"),
            Self::TooLong { .. } => format!("it has more than {MAX_BYTES} bytes"),
            Self::Line { reason, .. } => reason.to_string(),
            Self::TooMany { .. } => format!("it has more than {MAX_RULES} rules"),
        }
    }
}

/// The list of clients cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeClientListError {
    /// There is such a rule.
    #[error("there is a rule {rule} already")]
    Exists {
        /// The rule.
        rule: ClientRule,
    },
    /// There is no such rule.
    #[error("there is no rule {rule}")]
    Unknown {
        /// The rule.
        rule: ClientRule,
    },
    /// There are too many rules.
    #[error("there are {MAX_RULES} rules already, and no more can be added")]
    TooMany,
    /// Who changes it would not be served any more.
    #[error(
        "this would shut out the computer that you are at, {sender}: do it on the tracker's own machine, or in the file of rules, if that \
         is what you want"
    )]
    ShutsOut {
        /// The address.
        sender: IpAddr,
    },
    /// The file cannot be used as it is now. It is not changed, so that nothing of it is lost.
    #[error(transparent)]
    Read(#[from] ReadClientListError),
    /// Somebody else changes the file all the time.
    #[error("another program is changing the list of clients {}: try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the list of clients {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}
