//! Writing .torrent files.

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

/// Writes a .torrent file atomically: its name leads to all of the bytes or to none, also after a power failure.
///
/// The bytes go into a temporary file first, in the same folder and with a name that begins with `temporary`, which a killed
/// process leaves behind. The file has the permissions of any new file.
///
/// A file system that cannot rename without replacing and has no hard links (FUSE, shared folders of virtual machines) shows
/// an empty file for an instant.
///
/// # Errors
/// Returns the error of the operating system. The file is as it was before, then.
pub fn write_file(path: &Path, bytes: &[u8], existing: Existing, temporary: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(temporary);
    // A torrent is no secret: it gets the permissions of any new file, by the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    // Otherwise the name may survive a power failure without the bytes.
    file.as_file().sync_all()?;
    match existing {
        Existing::Keep => persist_new(file, path, |file, path| file.persist_noclobber(path))?,
        Existing::Replace => drop(file.persist(path)?),
    }
    sync(folder);
    Ok(())
}

/// Gives the file its name, unless that is taken. `rename` does so in one step, where the file system can.
///
/// Where it cannot, the name is taken by an empty file, which only one process succeeds in, and the file then replaces it.
fn persist_new(
    file: NamedTempFile,
    path: &Path,
    rename: impl FnOnce(NamedTempFile, &Path) -> Result<File, PersistError>,
) -> io::Result<()> {
    let file = match rename(file, path) {
        Ok(_) => return Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => return Err(failed.error),
        Err(failed) => failed.file,
    };
    File::create_new(path)?;
    if let Err(failed) = file.persist(path) {
        // It is ours, and empty.
        _ = fs::remove_file(path);
        return Err(failed.error);
    }
    Ok(())
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

    /// As on FUSE, where neither hard links nor renaming without replacing may be available.
    #[test]
    fn a_file_system_that_only_renames_with_replacing() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported, io::ErrorKind::InvalidInput] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.torrent");
            let place = |bytes: &[u8]| {
                let mut file = NamedTempFile::new_in(folder.path()).unwrap();
                file.write_all(bytes).unwrap();
                persist_new(file, &path, |file, _| Err(PersistError { error: kind.into(), file }))
            };
            place(b"first").unwrap();
            assert_eq!(place(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"first");
            assert_eq!(names(folder.path()), ["a.torrent"]);
        }
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(300));
        assert!(write_file(&path, b"bytes", Existing::Keep, ".new-").is_err());
        assert!(write_file(&path, b"bytes", Existing::Replace, ".new-").is_err());
        // The temporary file vanishes before it can replace the reservation.
        let path = folder.path().join("a.torrent");
        let file = NamedTempFile::new_in(folder.path()).unwrap();
        let vanish = |file: NamedTempFile, _: &Path| {
            fs::remove_file(file.path()).unwrap();
            Err(PersistError { error: io::ErrorKind::PermissionDenied.into(), file })
        };
        assert_eq!(persist_new(file, &path, vanish).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
