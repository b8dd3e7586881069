//! Reading a small file whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A file that is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFileError {
    /// The system cannot read it.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The path leads to something else than a regular file.
    #[error("it is not a file")]
    NotAFile,
    /// It is longer than the limit.
    #[error("it is too long")]
    TooLong,
}

impl From<ReadFileError> for io::Error {
    fn from(error: ReadFileError) -> Self {
        match error {
            ReadFileError::System(error) => error,
            error => Self::other(error),
        }
    }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Returns [`ReadFileError`] if it is none, is longer, or cannot be read.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ReadFileError> {
    // Opening a named pipe may block forever.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(ReadFileError::TooLong) } else { Ok(bytes) }
}
