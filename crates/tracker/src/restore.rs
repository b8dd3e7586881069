//! Restoring backups into a data folder.

mod swap;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, copy};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};
use tempfile::TempDir;

#[cfg(unix)]
pub(crate) use self::swap::is_own_name;
use self::swap::{NEW, STAGING};
pub(crate) use self::swap::{finish, is_interrupted};
use crate::data_folder::DataFolder;
use crate::kept_path::{KeptPath, TORRENTS};
use crate::manifest::{
    Hashing, MANIFEST, MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, MAX_MANIFEST_BYTES, Manifest, ManifestError, ManifestFile,
};

/// The maximum length of a path in an archive, in bytes.
const MAX_PATH_LEN: u64 = 1024;

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreSummary {
    /// The number of files that it had.
    pub files: usize,
    /// When it was written, in seconds since the Unix epoch.
    pub written: u64,
    /// Where the files are that were in the data folder before, if there were any.
    pub before: Option<PathBuf>,
}

/// A backup that cannot be restored. Unless it is [`Swap`](Self::Swap), the data folder is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The file cannot be read.
    #[error("cannot read the backup {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is no backup, or one that was cut.
    #[error("{} is not a whole backup of a tracker: write the name of a file that `tracker backup` made", file.display())]
    NotABackup {
        /// The file.
        file: PathBuf,
    },
    /// A newer program wrote the backup.
    #[error("{} was written by a newer tracker (version {version} of backups): restore it with that one", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of the backup.
        version: u32,
    },
    /// Something is in the archive that no backup of this version has.
    #[error(
        "{} has {entry:?} in it, which no backup of this tracker has: if a newer one wrote it, restore it with that one",
        file.display()
    )]
    Unexpected {
        /// The file.
        file: PathBuf,
        /// What is in it.
        entry: String,
    },
    /// A file in the backup is not as it was when the backup was written.
    #[error("{entry:?} in {} is damaged: take another backup; nothing was changed", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The file in it.
        entry: String,
    },
    /// There are too many files in the backup, or they are too large.
    #[error("{} is larger than any backup of a tracker: up to {MAX_FILES} files of up to 4 GiB, 16 GiB in all", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The files cannot be written into the data folder.
    #[error("cannot write the restored files into {}; nothing was changed", folder.display())]
    Write {
        /// The data folder.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The files were written, but not put in place.
    #[error(
        "cannot put the restored files in place in {}: nothing is lost, and the next start of the tracker, or another restore, goes on \
         with it",
        folder.display()
    )]
    Swap {
        /// The data folder.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Replaces all that outlives the tracker in its data folder by what is in a backup that [`back_up`](crate::back_up) wrote. What was
/// there before is moved into a folder `before-restore-DATE` in it.
///
/// The whole backup is checked before anything is moved: it has nothing but what a backup has, and the size and the SHA-256 of each
/// file are those of its list. A power failure loses nothing: the next [`DataFolder::open`] completes what was begun.
///
/// # Errors
///
/// Returns [`RestoreError`] if the backup cannot be used, or the files not be written.
pub fn restore(data: &DataFolder, file: &Path) -> Result<RestoreSummary, RestoreError> {
    let folder = data.path();
    let cannot_write = |source| RestoreError::Write { folder: folder.to_owned(), source };
    swap::remove_leftovers(folder);
    let staged = tempfile::Builder::new().prefix(STAGING).tempdir_in(folder).map_err(cannot_write)?;
    let new = staged.path().join(NEW);
    fs::create_dir(&new).map_err(cannot_write)?;
    let manifest = Extraction { file, folder, new: &new, made_torrents: false }.run()?;
    swap::sync_staged(&new).map_err(cannot_write)?;
    let before =
        put_in_place(folder, staged).map_err(|source| RestoreError::Swap { folder: folder.to_owned(), source })?;
    Ok(RestoreSummary { files: manifest.files.len(), written: manifest.written, before })
}

fn put_in_place(folder: &Path, staged: TempDir) -> io::Result<Option<PathBuf>> {
    swap::begin(folder, staged)?;
    finish(folder)
}

/// Writes what is in an archive into a new folder.
struct Extraction<'a> {
    /// The archive.
    file: &'a Path,
    /// The data folder, for errors.
    folder: &'a Path,
    new: &'a Path,
    /// Set once the folder of .torrent files is there.
    made_torrents: bool,
}

impl Extraction<'_> {
    fn run(mut self) -> Result<Manifest, RestoreError> {
        let archive = File::open(self.file).and_then(|archive| match archive.metadata()?.is_file() {
            true => Ok(archive),
            false => Err(io::Error::new(ErrorKind::InvalidInput, "it is no file")),
        });
        let mut archive = Archive::new(BufReader::new(archive.map_err(|source| self.cannot_read(source))?));
        let mut found = Vec::new();
        let (mut bytes, mut long_name, mut manifest) = (0, None, None);
        // As they are in the file: what the extensions of the format mean is decided here, within limits.
        for entry in archive.entries().map_err(|source| self.cannot_read(source))?.raw(true) {
            let entry = entry.map_err(|source| self.unreadable(source))?;
            let (kind, length) = (entry.header().entry_type(), entry.size());
            let path = match (kind, long_name.take()) {
                (EntryType::GNULongName, None) if length <= MAX_PATH_LEN => {
                    long_name = Some(self.text(entry)?);
                    continue;
                }
                (_, Some(path)) => path,
                (_, None) => String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            };
            let unexpected = || RestoreError::Unexpected { file: self.file.to_owned(), entry: path.clone() };
            // The list is the last one.
            if kind != EntryType::Regular || manifest.is_some() {
                return Err(unexpected());
            }
            if path == MANIFEST {
                manifest = Some(self.manifest(entry)?);
                continue;
            }
            let kept = KeptPath::parse(&path).ok_or_else(unexpected)?;
            bytes += length.min(MAX_BYTES);
            if length > MAX_FILE_BYTES || bytes > MAX_BYTES || found.len() == MAX_FILES {
                return Err(RestoreError::TooLarge { file: self.file.to_owned() });
            }
            found.push(self.extract(&kept, entry)?);
        }
        let manifest = manifest.ok_or_else(|| RestoreError::NotABackup { file: self.file.to_owned() })?;
        self.compare(&found, &manifest)?;
        Ok(manifest)
    }

    fn extract(&mut self, kept: &KeptPath, entry: impl Read) -> Result<ManifestFile, RestoreError> {
        if kept.is_torrent() && !self.made_torrents {
            fs::create_dir(self.new.join(TORRENTS)).map_err(|source| self.cannot_write(source))?;
            self.made_torrents = true;
        }
        let mut entry = Hashing::new(entry);
        let mut options = File::options();
        options.write(true).create_new(true);
        // There may be secrets in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(kept.in_folder(self.new)) {
            Ok(file) => file,
            // The same path is in the archive twice, or is the same to this file system.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(RestoreError::Unexpected { file: self.file.to_owned(), entry: kept.to_string() });
            }
            Err(source) => return Err(self.cannot_write(source)),
        };
        let mut source_failed = None;
        let reader = Watched { inner: &mut entry, failed: &mut source_failed };
        let copied = copy(&mut { reader }, &mut file);
        if let Some(source) = source_failed {
            return Err(self.unreadable(source));
        }
        copied.and_then(|_| file.sync_all()).map_err(|source| self.cannot_write(source))?;
        Ok(entry.finish(kept.as_str()))
    }

    fn manifest(&self, entry: impl Read) -> Result<Manifest, RestoreError> {
        let mut json = Vec::new();
        entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut json).map_err(|source| self.unreadable(source))?;
        Manifest::parse(&json).map_err(|error| match error {
            ManifestError::Invalid => RestoreError::NotABackup { file: self.file.to_owned() },
            ManifestError::Newer(version) => RestoreError::Newer { file: self.file.to_owned(), version },
        })
    }

    /// The text of an entry that is the path of the next one.
    fn text(&self, entry: impl Read) -> Result<String, RestoreError> {
        let mut text = Vec::new();
        entry.take(MAX_PATH_LEN).read_to_end(&mut text).map_err(|source| self.unreadable(source))?;
        let text = text.strip_suffix(b"\0").unwrap_or(&text);
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Each file is in the list as it was found, and none is missing.
    fn compare(&self, found: &[ManifestFile], manifest: &Manifest) -> Result<(), RestoreError> {
        let damaged = |path: &str| RestoreError::Damaged { file: self.file.to_owned(), entry: path.to_owned() };
        let (found, listed): (HashSet<_>, HashSet<_>) = (as_set(found), as_set(&manifest.files));
        match found.symmetric_difference(&listed).next() {
            Some((path, ..)) => Err(damaged(path)),
            None => Ok(()),
        }
    }

    fn cannot_read(&self, source: io::Error) -> RestoreError {
        RestoreError::Read { file: self.file.to_owned(), source }
    }

    fn cannot_write(&self, source: io::Error) -> RestoreError {
        RestoreError::Write { folder: self.folder.to_owned(), source }
    }

    /// An entry that cannot be read: the system failed, or else it is no archive.
    fn unreadable(&self, source: io::Error) -> RestoreError {
        match source.raw_os_error() {
            Some(_) => self.cannot_read(source),
            None => RestoreError::NotABackup { file: self.file.to_owned() },
        }
    }
}

fn as_set(files: &[ManifestFile]) -> HashSet<(&str, u64, &str)> {
    files.iter().map(|file| (&*file.path, file.bytes, &*file.sha256)).collect()
}

/// A reader that remembers its error: copying returns that of either side.
struct Watched<'a, R> {
    inner: R,
    failed: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != ErrorKind::Interrupted {
                *self.failed = Some(match error.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => error.kind().into(),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests;
