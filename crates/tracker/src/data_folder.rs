//! The folder that keeps what outlives the program.

use std::env;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use directories::ProjectDirs;

use crate::kept_path::{CLIENTS, GIVEN_NAMES, OPERATORS, SHARE, TORRENTS};
use crate::restore;

/// The name of the default folder. Not `tracker`, which is the name of GNOME's index of files.
const NAME: &str = "lan-tracker";

/// The file that is locked while a tracker uses the folder.
const LOCK: &str = "lock";

/// The file that keeps who is signed in on the dashboard. It is not part of a backup: a session that has ended since would be back.
const SESSIONS: &str = "sessions.json";

/// The maximum length of a process id in the lock file, in bytes.
const MAX_PROCESS_LEN: u64 = 20;

/// The folder in which a tracker keeps what outlives it: .torrent files, what it knows about the share folder, names of
/// computers, and its swarms. One tracker uses it at a time: it is locked until this is dropped, or the process ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Holds the lock. `None` where the file system has no locks.
    _lock: Option<File>,
}

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataFolderError {
    /// It can neither be used nor made.
    #[error("cannot use the data folder {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another tracker uses it.
    #[error("another tracker{} uses the data folder {}", of_process(process.as_deref()), path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The id of the other tracker's process, where it is known.
        process: Option<String>,
    },
}

impl DataFolder {
    /// The default folder: the first of `$STATE_DIRECTORY`, which systemd sets, or else `lan-tracker` in the platform's folder
    /// for local data, such as `~/.local/share`. `None` if there is no home folder either.
    pub fn default_path() -> Option<PathBuf> {
        let of_service = env::var_os("STATE_DIRECTORY").and_then(|folders| env::split_paths(&folders).next());
        let of_user = || Some(ProjectDirs::from("", "", NAME)?.data_local_dir().to_owned());
        of_service.filter(|folder| folder.is_absolute()).or_else(of_user)
    }

    /// Takes the folder for this tracker. It is made if it does not exist. On Unix only its owner has access from then on; if a
    /// folder that exists has something else in it, too, its permissions stay as they are, and a warning is logged. A
    /// [restore](crate::restore) that was interrupted is completed.
    ///
    /// # Errors
    ///
    /// Returns [`DataFolderError`] if it cannot be made or written into, or if another tracker uses it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataFolderError> {
        let path = path.into();
        let lock = match lock(&path) {
            Ok(Lock::Held(file)) => Some(file),
            Ok(Lock::OfAnother) => return Err(DataFolderError::InUse { process: holder(&path), path }),
            Ok(Lock::Unsupported) => {
                tracing::warn!(?path, "the file system of the data folder has no locks: let only one tracker use it");
                None
            }
            Err(source) => return Err(DataFolderError::Open { path, source }),
        };
        match restore::finish(&path) {
            Ok(None) => {}
            Ok(Some(before)) => tracing::info!(
                before = %before.display(),
                "completed a restore that was interrupted; the files of before are in another folder"
            ),
            Err(source) => return Err(DataFolderError::Open { path, source }),
        }
        Ok(Self { path, _lock: lock })
    }

    /// Returns `true` if a tracker uses the folder with this path now. Changes nothing there.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system if the file that is locked cannot be read.
    pub fn is_in_use(path: &Path) -> io::Result<bool> {
        match File::open(path.join(LOCK)) {
            // For a moment it is locked, if it is not in use. Shared, so that others who ask are not taken for a tracker.
            Ok(file) => Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of .torrent files.
    pub(crate) fn torrents(&self) -> PathBuf {
        self.path.join(TORRENTS)
    }

    /// The file that remembers what is known of the share folder.
    pub(crate) fn share(&self) -> PathBuf {
        self.path.join(SHARE)
    }

    /// Makes the folder with this path, for its owner alone, if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    pub fn make(path: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// Gives files to the owner of the folder with this path, where the operator has written them as root for a service. On Unix only:
    /// elsewhere nothing is done.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    pub fn give_to_owner(path: &Path, files: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, chown};

            let owner = path.metadata()?;
            for file in files {
                if file.metadata()?.uid() != owner.uid() {
                    chown(file, Some(owner.uid()), Some(owner.gid()))?;
                }
            }
        }
        #[cfg(not(unix))]
        let _ = (path, files);
        Ok(())
    }

    /// The file with the accounts of those who sign in on the dashboard, in the data folder with this path.
    pub fn accounts_in(path: &Path) -> PathBuf {
        path.join(OPERATORS)
    }

    /// The file with the rules about which clients are served, in the data folder with this path.
    pub fn clients_in(path: &Path) -> PathBuf {
        path.join(CLIENTS)
    }

    /// The file that keeps who is signed in on the dashboard.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.path.join(SESSIONS)
    }

    /// The file with the names that computers were given on the page.
    pub(crate) fn given_names(&self) -> PathBuf {
        self.path.join(GIVEN_NAMES)
    }
}

/// Returns `true` if a tracker has used the folder.
pub(crate) fn is_of_tracker(folder: &Path) -> bool {
    folder.join(LOCK).is_file()
}

/// The lock of a folder.
enum Lock {
    Held(File),
    OfAnother,
    Unsupported,
}

fn lock(path: &Path) -> io::Result<Lock> {
    DataFolder::make(path)?;
    #[cfg(unix)]
    keep_others_out(path)?;
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Lock::OfAnother),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(Lock::Unsupported),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // For the other tracker's error message.
    file.set_len(0)?;
    write!(file, "{}", process::id())?;
    Ok(Lock::Held(file))
}

/// Takes the access to a folder from all but its owner, if it has nothing in it but what a tracker writes: a folder such as /tmp
/// is for others, too.
#[cfg(unix)]
fn keep_others_out(path: &Path) -> io::Result<()> {
    use std::ffi::OsStr;
    use std::fs::{Permissions, read_dir, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use torrent_library::is_temporary;

    use crate::kept_path::{is_kept, is_put_aside};

    /// The file that is locked while accounts are changed.
    const OPERATORS_LOCK: &str = "operators.lock";

    /// The permissions of others than the owner.
    const OF_OTHERS: u32 = 0o077;

    /// The mark of a folder that is for everybody.
    const STICKY: u32 = 0o1000;

    let mode = path.metadata()?.permissions().mode();
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    let is_own = |name: &OsStr| {
        let is_kept = [LOCK, OPERATORS_LOCK, SESSIONS].iter().any(|own| name == *own)
            || name.to_str().is_some_and(|name| is_kept(name) || is_put_aside(name));
        is_kept || is_temporary(name) || restore::is_own_name(name)
    };
    let mut is_for_it_alone = mode & STICKY == 0;
    for entry in read_dir(path)? {
        is_for_it_alone &= is_own(&entry?.file_name());
    }
    let error = match is_for_it_alone {
        true => set_permissions(path, Permissions::from_mode(0o700)).err(),
        false => Some(io::Error::other("it has other files in it")),
    };
    if let Some(error) = error {
        tracing::warn!(
            folder = %path.display(),
            %error,
            "other users of this machine may read the data folder: choose a folder of its own with --data DIR"
        );
    }
    Ok(())
}

/// The id of the process that has the folder. Where a lock keeps others from reading the file, it is not known.
fn holder(path: &Path) -> Option<String> {
    let mut process = String::new();
    File::open(path.join(LOCK)).ok()?.take(MAX_PROCESS_LEN).read_to_string(&mut process).ok()?;
    let is_id = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some(process)
}

fn of_process(process: Option<&str>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_made_for_its_owner_and_one_tracker_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let data = DataFolder::open(&path).unwrap();
        assert_eq!(data.path(), path);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(DataFolder::is_in_use(&path).unwrap());
        let error = DataFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("another tracker") && error.contains(path.to_str().unwrap()), "{error}");
        if cfg!(unix) {
            assert!(error.contains(&format!("(process {})", process::id())), "{error}");
        }
        drop(data);
        assert!(!DataFolder::is_in_use(&path).unwrap() && !DataFolder::is_in_use(folder.path()).unwrap());
        DataFolder::open(&path).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn others_are_kept_out_of_a_folder_that_is_for_it_alone() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;

        for (mode, name, expected) in [
            (0o755, TORRENTS, 0o700),
            (0o770, SHARE, 0o700),
            (0o755, "somebody-elses", 0o755),
            (0o1777, LOCK, 0o1777),
            (0o500, "somebody-elses", 0o500),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            keep_others_out(folder.path()).unwrap();
            assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o7777, expected, "{mode:o} {name}");
        }
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataFolder::open(&path).unwrap_err();
            assert!(matches!(error, DataFolderError::Open { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_lock_file_of_another_program_names_no_process() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()), None);
        for (text, expected) in [("", None), ("4711", Some("4711")), ("\x1b[1m", None), ("47\n", None)] {
            fs::write(folder.path().join(LOCK), text).unwrap();
            assert_eq!(holder(folder.path()).as_deref(), expected, "{text:?}");
        }
    }
}
