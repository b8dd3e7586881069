//! The file with the names of computers.

use std::io;
use std::path::{Path, PathBuf};

use torrent_library::{ReadFileError, Stamp, WatchedFile, read_file};

use super::lines::{BadLine, Listed, parse};

/// Bytes of the file, at most.
const MAX_BYTES: u64 = 4 << 20;

/// Lines that cannot be used of which it is said, at most. Others are counted.
const MAX_REPORTED: usize = 10;

/// The names file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamesFileError {
    /// It cannot be read.
    #[error("cannot read the names file {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is too large.
    #[error("the names file {} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
        /// The maximum number of bytes.
        limit: u64,
    },
    /// The thread that follows it cannot be started.
    #[error("cannot start the thread that follows the names file")]
    Thread(#[source] io::Error),
}

/// Checks that the file can be read, as the start does. Lines that are not an address and a name are left out.
///
/// # Errors
///
/// Returns [`NamesFileError`] if it cannot be read, or is too large.
pub fn check_names_file(path: &Path) -> Result<(), NamesFileError> {
    read(path).map(drop)
}

/// A file with lines of an address and a name, that is read again when it has changed.
#[derive(Debug)]
pub(super) struct NamesFile {
    path: PathBuf,
    watched: WatchedFile,
    problem: Option<String>,
}

impl NamesFile {
    pub(super) fn read(path: PathBuf) -> Result<(Self, Listed), NamesFileError> {
        let watched = WatchedFile::read(Stamp::of(&path));
        let names = read(&path)?;
        Ok((Self { path, watched, problem: None }, names))
    }

    /// The names, if the file has changed and settled. While it cannot be read, the last ones stay.
    pub(super) fn changed(&mut self) -> Option<Listed> {
        self.watched.look(Stamp::of(&self.path))?;
        match read(&self.path) {
            Ok(names) => {
                self.problem = None;
                Some(names)
            }
            Err(error) => {
                let (file, reason) = (base_name(&self.path), reason(&error));
                tracing::warn!(%file, "the names file cannot be read any more; the last names stay: {reason}");
                self.problem = Some(format!("{file} cannot be read any more; the last names stay: {reason}"));
                None
            }
        }
    }

    /// Why it could not be read the last time, without its folder.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

/// The error without the path, which viewers of the log need not see.
fn reason(error: &NamesFileError) -> String {
    match error {
        NamesFileError::Read { source, .. } | NamesFileError::Thread(source) => source.to_string(),
        NamesFileError::TooLarge { limit, .. } => format!("it is larger than {limit} bytes"),
    }
}

fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Listed, NamesFileError> {
    let bytes = read_file(path, MAX_BYTES).map_err(|error| match error {
        ReadFileError::TooLong => NamesFileError::TooLarge { path: path.to_owned(), limit: MAX_BYTES },
        error => NamesFileError::Read { path: path.to_owned(), source: error.into() },
    })?;
    let (names, bad) = parse(&bytes);
    let file = base_name(path);
    for BadLine { line, reason } in bad.iter().take(MAX_REPORTED) {
        tracing::warn!(%file, line, "line {line} of the names file is left out: {reason}");
    }
    if bad.len() > MAX_REPORTED {
        let lines = bad.len() - MAX_REPORTED;
        tracing::warn!(%file, lines, "{lines} more lines of the names file are left out");
    }
    if names.is_empty() {
        tracing::warn!(%file, "there is no computer in the names file: write lines such as 192.168.1.20,lab-07");
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.csv");
        fs::write(&path, "192.168.1.7,lab-07\n").unwrap();
        let (mut file, names) = NamesFile::read(path.clone()).unwrap();
        assert_eq!((names.len(), file.changed()), (1, None));
        fs::write(&path, "192.168.1.7,lab-07\n192.168.1.8,lab-08\n").unwrap();
        assert_eq!(file.changed(), None, "it may still be written");
        assert_eq!(file.changed().map(|names| names.len()), Some(2));
        assert_eq!(file.changed(), None);
        // The same length at another time.
        fs::write(&path, "192.168.1.7,lab-70\n192.168.1.8,lab-80\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(file.changed().is_none() && file.changed().is_some());
        fs::remove_file(&path).unwrap();
        assert_eq!(file.problem(), None);
        assert!(file.changed().is_none() && file.changed().is_none(), "the last names stay");
        assert!(file.problem().unwrap().starts_with("names.csv cannot be read any more"), "{:?}", file.problem());
        assert!(matches!(NamesFile::read(path), Err(NamesFileError::Read { .. })));
        assert!(matches!(NamesFile::read(folder.path().to_owned()), Err(NamesFileError::Read { .. })));
    }
}
