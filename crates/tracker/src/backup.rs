//! Backups of the data folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use metainfo::{Existing, folder_of};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use crate::data_folder::is_of_tracker;
use crate::kept_path::{KeptPath, KeptPaths};
use crate::manifest::{Hashing, MANIFEST, MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, Manifest, ManifestFile};
use crate::restore;

/// The beginning of the name of the temporary file.
const TEMPORARY: &str = ".tracker-";

/// Attempts to read a folder in which files come and go meanwhile. A running tracker replaces some at most once a minute.
const ATTEMPTS: usize = 5;

/// A backup that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSummary {
    /// The number of files in it.
    pub files: usize,
    /// Their size, in bytes.
    pub bytes: u64,
    /// What is not in it, although it has the name of something that outlives the tracker: symbolic links, which are not followed,
    /// and what else is no regular file.
    pub passed_over: Vec<PathBuf>,
}

/// A backup that cannot be written. The file that was there before is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no such data folder.
    #[error("there is no data folder {}: name the one of the tracker with --data DIR", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is not that of a tracker.
    #[error("there is nothing of a tracker in {}: name its data folder with --data DIR", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// A restore was interrupted.
    #[error("a restore into {} was interrupted: start the tracker once, which completes it", folder.display())]
    Restoring {
        /// The folder.
        folder: PathBuf,
    },
    /// The backup would be in the data folder.
    #[error("{} is in the data folder itself: write the backup to another folder", file.display())]
    Inside {
        /// The file for the backup.
        file: PathBuf,
    },
    /// There is such a file, and it is not to be replaced.
    #[error("{} exists: write another name, or --force to replace it", file.display())]
    Exists {
        /// The file for the backup.
        file: PathBuf,
    },
    /// There are too many files, or they are too large.
    #[error("{} is too large for a backup: up to {MAX_FILES} files of up to 4 GiB are possible, 16 GiB in all", path.display())]
    TooLarge {
        /// The file that is one too many.
        path: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The backup cannot be written.
    #[error("cannot write the backup {}", file.display())]
    Write {
        /// The file for the backup.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Files came or went during each attempt.
    #[error("{} changed while it was read, {ATTEMPTS} times: try again", path.display())]
    Changing {
        /// The file that vanished or became shorter last, or the folder in which files came or went.
        path: PathBuf,
    },
}

/// Writes all that outlives the tracker in this data folder to one file, a tar archive that only its owner may read. See
/// [`restore`](crate::restore).
///
/// A tracker may use the folder meanwhile: it replaces whole files, and of those that it appends to, the backup has the beginning.
/// The archive is written to a temporary file in the folder of `file`, which then gets its name.
///
/// # Errors
///
/// Returns [`BackupError`] if the folder cannot be read, or the file not written; and if it exists, and is not to be replaced.
pub fn back_up(folder: &Path, file: &Path, existing: Existing) -> Result<BackupSummary, BackupError> {
    let data = fs::canonicalize(folder).map_err(|source| match source.kind() {
        ErrorKind::NotFound => BackupError::NoFolder { folder: folder.to_owned() },
        _ => BackupError::Read { path: folder.to_owned(), source },
    })?;
    if restore::is_interrupted(&data) {
        return Err(BackupError::Restoring { folder: folder.to_owned() });
    }
    let cannot_write = |source| BackupError::Write { file: file.to_owned(), source };
    let target = fs::canonicalize(folder_of(file)).map_err(cannot_write)?;
    if target.starts_with(&data) {
        return Err(BackupError::Inside { file: file.to_owned() });
    }
    let exists = || BackupError::Exists { file: file.to_owned() };
    // Before all the work. Who makes the file meanwhile keeps it, too.
    if existing == Existing::Keep && fs::symlink_metadata(file).is_ok() {
        return Err(exists());
    }
    let (archive, summary) = archive(folder, file, &target)?;
    let persisted = match existing {
        Existing::Keep => archive.persist_noclobber(file),
        Existing::Replace => archive.persist(file),
    };
    persisted.map_err(|failed| match failed.error.kind() {
        ErrorKind::AlreadyExists if existing == Existing::Keep => exists(),
        _ => cannot_write(failed.error),
    })?;
    sync_folder(&target);
    Ok(summary)
}

/// The archive of the folder, in a temporary file beside its name.
fn archive(folder: &Path, file: &Path, target: &Path) -> Result<(NamedTempFile, BackupSummary), BackupError> {
    let mut last = PathBuf::new();
    for _ in 0..ATTEMPTS {
        // Only its owner may read a temporary file.
        let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(target);
        let mut temporary = temporary.map_err(|source| BackupError::Write { file: file.to_owned(), source })?;
        match write(folder, file, temporary.as_file_mut())? {
            Attempt::Written(summary) => return Ok((temporary, summary)),
            Attempt::Changed(path) => last = path,
        }
    }
    Err(BackupError::Changing { path: last })
}

/// The outcome of an attempt.
enum Attempt {
    Written(BackupSummary),
    /// This file vanished or became shorter, or files in this folder came or went.
    Changed(PathBuf),
}

fn write(folder: &Path, file: &Path, archive: &mut File) -> Result<Attempt, BackupError> {
    let cannot_read = |(path, source)| BackupError::Read { path, source };
    let cannot_write = |source| BackupError::Write { file: file.to_owned(), source };
    let KeptPaths { files, others } = KeptPaths::list(folder).map_err(cannot_read)?;
    // A tracker that has nothing to keep yet is no mistake, another folder is.
    if files.is_empty() && !is_of_tracker(folder) {
        return Err(BackupError::Empty { folder: folder.to_owned() });
    }
    let written = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut builder = Builder::new(BufWriter::new(archive));
    let mut manifest = Manifest::new(written, Vec::with_capacity(files.len()));
    let mut bytes = 0;
    // The last one first: a lesson that ends meanwhile goes from monitor.json into lessons.json, and must not be in neither.
    for kept in files.iter().rev() {
        let path = kept.in_folder(folder);
        let source = match File::open(&path) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Attempt::Changed(path)),
            Err(source) => return Err(BackupError::Read { path, source }),
        };
        // What is appended from now on is left out.
        let length = source.metadata().map_err(|error| cannot_read((path.clone(), error)))?.len();
        bytes += length;
        if length > MAX_FILE_BYTES || bytes > MAX_BYTES || manifest.files.len() == MAX_FILES {
            return Err(BackupError::TooLarge { path });
        }
        let mut source = Source { inner: source.take(length), error: None };
        let added = add(&mut builder, kept.as_str(), length, written, &mut source);
        if let Some(error) = source.error {
            return Err(BackupError::Read { path, source: error });
        }
        let added = added.map_err(cannot_write)?;
        if added.bytes != length {
            return Ok(Attempt::Changed(path));
        }
        manifest.files.push(added);
    }
    // A snapshot and the journals that belong to it are of the same moment only if none came or went meanwhile.
    let after = KeptPaths::list(folder).map_err(cannot_read)?.files;
    let of_swarms = |paths: &[KeptPath]| paths.iter().filter(|path| !path.is_torrent()).cloned().collect::<Vec<_>>();
    if of_swarms(&files) != of_swarms(&after) {
        return Ok(Attempt::Changed(folder.to_owned()));
    }
    let summary = BackupSummary { files: manifest.files.len(), bytes, passed_over: others };
    let manifest = serde_json::to_vec(&manifest).map_err(|error| cannot_write(error.into()))?;
    add(&mut builder, MANIFEST, manifest.len() as u64, written, &*manifest).map_err(cannot_write)?;
    let mut writer = builder.into_inner().map_err(cannot_write)?;
    writer.flush().map_err(cannot_write)?;
    writer.get_ref().sync_all().map_err(cannot_write)?;
    Ok(Attempt::Written(summary))
}

/// Adds an entry to the archive. If there are fewer bytes than `length`, the archive is of no use.
fn add(
    builder: &mut Builder<impl Write>,
    path: &str,
    length: u64,
    written: u64,
    bytes: impl Read,
) -> io::Result<ManifestFile> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_mtime(written);
    header.set_size(length);
    let mut bytes = Hashing::new(bytes);
    builder.append_data(&mut header, path, &mut bytes)?;
    Ok(bytes.finish(path))
}

/// A file that is read, and the error that ended it: the archive returns those of both its sides.
struct Source<R> {
    inner: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let copy = error.kind().into();
            if error.kind() != ErrorKind::Interrupted {
                self.error = Some(error);
            }
            copy
        })
    }
}

/// Makes changes in a folder survive a power failure. Not every file system can.
pub(crate) fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{TryRecvError, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::data_folder::DataFolder;
    use crate::restore::restore;

    /// The snapshot names the only journal that belongs to it, and the file that is replaced is always whole.
    #[test]
    fn files_that_are_replaced_meanwhile_are_of_one_moment() {
        let place = tempfile::tempdir().unwrap();
        let [data, other, file] = ["data", "other", "backup.tar"].map(|name| place.path().join(name));
        let write = |name: &str, text: &str| {
            let temporary = data.join(".tracker-temporary");
            fs::write(&temporary, text).unwrap();
            fs::rename(temporary, data.join(name)).unwrap();
        };
        drop(DataFolder::open(&data).unwrap());
        write("journal.0", "0");
        write("swarms.snapshot", "0");
        let write = &write;
        thread::scope(|scope| {
            // Dropped at the end, even by a panic.
            let (_runs, ended) = channel::<()>();
            scope.spawn(|| {
                let ended = ended;
                for number in 1.. {
                    if ended.try_recv() == Err(TryRecvError::Disconnected) {
                        return;
                    }
                    write(&format!("journal.{number}"), &number.to_string());
                    write("swarms.snapshot", &number.to_string());
                    fs::remove_file(data.join(format!("journal.{}", number - 1))).unwrap();
                    write("share.json", &"x".repeat(number % 1000 * 100));
                    // Much faster than a tracker does, and yet so that some attempts succeed.
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let mut written = 0;
            for _ in 0..100 {
                match back_up(&data, &file, Existing::Replace) {
                    Ok(_) => written += 1,
                    Err(BackupError::Changing { .. }) => continue,
                    Err(error) => panic!("{error}"),
                }
                restore(&DataFolder::open(&other).unwrap(), &file).unwrap();
                let generation = fs::read_to_string(other.join("swarms.snapshot")).unwrap();
                let journal = fs::read_to_string(other.join(format!("journal.{generation}"))).unwrap();
                assert_eq!(journal, generation);
            }
            assert!(written > 0, "no attempt succeeded");
        });
    }
}
