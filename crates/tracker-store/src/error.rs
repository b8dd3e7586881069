//! Errors, one for each operation.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A store that cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be read.
    #[error("cannot read the folder {}", folder.display())]
    List {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Records that may not outlive the tracker. What was appended before does. Append them again, in full: that begins another file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The journal cannot be begun.
    #[error("cannot begin the journal {}", journal.display())]
    Begin {
        /// The file.
        journal: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The records cannot be written, or not be synced.
    #[error("cannot write the journal {}", journal.display())]
    Write {
        /// The file.
        journal: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// A snapshot that was not written. The one before is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The temporary file cannot be made.
    #[error("cannot make the file {}", file.display())]
    Create {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The temporary file cannot be written, or not be synced.
    #[error("cannot write the file {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file that was not read whole cannot be renamed, and so is not replaced.
    #[error("cannot keep the file {} under another name", file.display())]
    KeepAside {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It cannot take the place of the one before, or nobody knows whether it has.
    #[error("cannot replace the snapshot {}", file.display())]
    Replace {
        /// The snapshot.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}
