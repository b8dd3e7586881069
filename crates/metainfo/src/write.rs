//! Writing files so that nobody sees a part of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};

/// What happens to a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and writing fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// It is replaced.
    Replace,
}

/// Writes a file, such as a .torrent file, atomically: its name leads to all of the bytes or to none, also after a power failure.
///
/// The bytes go into a temporary file first, in the same folder and with a name that begins with `temporary`, which a killed
/// process leaves behind. The file has the permissions of any new file.
///
/// A file system that cannot rename without replacing and has no hard links (FUSE, shared folders of virtual machines) shows
/// an empty file for an instant; one that cannot rename over a file either, an incomplete one.
///
/// # Errors
/// Returns the error of the operating system. The file is as it was before, then.
pub fn write_file(path: &Path, bytes: &[u8], existing: Existing, temporary: &str) -> io::Result<()> {
    // A torrent is no secret: it gets the permissions of any new file, by the umask.
    write(path, bytes, existing, temporary, 0o666)
}

/// Writes a file with secrets in it, in place of the one that may be there, as [`write_file`] does. On Unix only its owner may read
/// it.
///
/// # Errors
/// Returns the error of the operating system. The file is as it was before, then.
pub fn write_secret_file(path: &Path, bytes: &[u8], temporary: &str) -> io::Result<()> {
    write(path, bytes, Existing::Replace, temporary, 0o600)
}

/// `mode` are the permissions on Unix, from which the umask takes some away.
fn write(path: &Path, bytes: &[u8], existing: Existing, temporary: &str, mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(temporary);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    // Otherwise the name may survive a power failure without the bytes.
    synced(file.as_file().sync_all())?;
    match existing {
        Existing::Keep => {
            persist_new(file, bytes, path, |file, path| file.persist_noclobber(path), |file, path| file.persist(path))?
        }
        Existing::Replace => drop(file.persist(path)?),
    }
    sync(folder);
    Ok(())
}

/// The folder that the file at `path` is in: `.` for a name alone.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The outcome of syncing a file, which counts as done where the file system cannot do it (EINVAL, ENOTSUP).
fn synced(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        outcome => outcome,
    }
}

/// Gives the file its name, unless that is taken. `rename` does so in one step, where the file system can.
///
/// Where it cannot, the name is taken by an empty file, which only one process succeeds in, and the file then replaces it by
/// `replace`. Where that fails, too, the bytes are written into the empty file.
fn persist_new(
    file: NamedTempFile,
    bytes: &[u8],
    path: &Path,
    rename: impl FnOnce(NamedTempFile, &Path) -> Result<File, PersistError>,
    replace: impl FnOnce(NamedTempFile, &Path) -> Result<File, PersistError>,
) -> io::Result<()> {
    let file = match rename(file, path) {
        Ok(_) => return Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => return Err(failed.error),
        Err(failed) => failed.file,
    };
    let mut reserved = File::create_new(path)?;
    if replace(file, path).is_ok() {
        return Ok(());
    }
    let written = reserved.write_all(bytes).and_then(|()| synced(reserved.sync_all()));
    if written.is_err() {
        // It is ours, and incomplete.
        _ = fs::remove_file(path);
    }
    written
}

/// Makes the new name survive a power failure. Not every file system can, and the file is there anyway.
fn sync(folder: &Path) {
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    #[cfg(not(unix))]
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn existing_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.torrent");
        write_file(&path, b"first", Existing::Keep, ".new-").unwrap();
        let error = write_file(&path, b"second", Existing::Keep, ".new-").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write_file(&path, b"third", Existing::Replace, ".new-").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(names(folder.path()), ["a.torrent"]);
    }

    fn refuse(kind: io::ErrorKind) -> impl Fn(NamedTempFile, &Path) -> Result<File, PersistError> {
        move |file, _| Err(PersistError { error: kind.into(), file })
    }

    /// As on FUSE, where neither hard links nor renaming without replacing may be available.
    #[test]
    fn file_systems_that_cannot_rename_without_replacing() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported, io::ErrorKind::InvalidInput] {
            for replaces in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("a.torrent");
                let place = |bytes: &[u8]| {
                    let mut file = NamedTempFile::new_in(folder.path()).unwrap();
                    file.write_all(bytes).unwrap();
                    let replace = |file: NamedTempFile, path: &Path| match replaces {
                        true => file.persist(path),
                        false => refuse(kind)(file, path),
                    };
                    persist_new(file, bytes, &path, refuse(kind), replace)
                };
                place(b"first").unwrap();
                assert_eq!(place(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
                assert_eq!(fs::read(&path).unwrap(), b"first");
                assert_eq!(names(folder.path()), ["a.torrent"]);
            }
        }
    }

    #[test]
    fn a_file_system_that_cannot_sync() {
        for kind in [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported] {
            assert!(synced(Err(kind.into())).is_ok(), "{kind}");
        }
        // EINVAL and ENOTSUP.
        #[cfg(target_os = "linux")]
        for code in [22, 95] {
            assert!(synced(Err(io::Error::from_raw_os_error(code))).is_ok(), "{code}");
        }
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
            assert_eq!(synced(Err(kind.into())).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn folders_of_files() {
        for (path, folder) in [("a", "."), ("./a", "."), ("b/a", "b"), ("/a", "/"), ("../a", "..")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder));
        }
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(300));
        assert!(write_file(&path, b"bytes", Existing::Keep, ".new-").is_err());
        assert!(write_file(&path, b"bytes", Existing::Replace, ".new-").is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_temporary_file_that_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.torrent");
        let vanish = |file: NamedTempFile, path: &Path| {
            fs::remove_file(file.path()).unwrap();
            refuse(io::ErrorKind::PermissionDenied)(file, path)
        };
        let file = NamedTempFile::new_in(folder.path()).unwrap();
        persist_new(file, b"bytes", &path, vanish, |file, path| file.persist(path)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        assert_eq!(names(folder.path()), ["a.torrent"]);
    }
}
