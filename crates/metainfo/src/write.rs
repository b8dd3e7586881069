//! Writing files so that nobody sees a part of one.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};

/// The maximum number of symbolic links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

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

/// Writes a file that people edit, too, in place of the one that may be there, atomically as [`write_file`] does. A symbolic link is
/// followed. On Unix the file keeps its permissions, and its owner and group as far as this process may give files away; a group that
/// is lost has none of its permissions any more. Access control lists (POSIX ACLs) are lost.
///
/// Just before the file is replaced, `is_current` says whether it still is what `bytes` were made of. If not, it is left alone, and
/// this returns `false`.
///
/// # Errors
/// Returns the error of the operating system. The file is as it was before, then.
pub fn rewrite_file(path: &Path, bytes: &[u8], temporary: &str, is_current: impl FnOnce() -> bool) -> io::Result<bool> {
    let path = &followed(path)?;
    let existing = fs::metadata(path).ok();
    let file = replacement(path, existing.is_some(), bytes, temporary)?;
    if let Some(existing) = existing {
        keep_attributes(file.as_file(), &existing)?;
    }
    // Otherwise the name may survive a power failure without the bytes.
    synced(file.as_file().sync_all())?;
    if !is_current() {
        return Ok(false);
    }
    file.persist(path)?;
    sync(folder_of(path));
    Ok(true)
}

/// A file with these bytes that is to get the name `path`. If there is such a file, only the owner may read the new one until it has
/// the permissions of the old one, which may be private.
fn replacement(path: &Path, exists: bool, bytes: &[u8], temporary: &str) -> io::Result<NamedTempFile> {
    temporary_file(folder_of(path), bytes, temporary, if exists { 0o600 } else { 0o666 })
}

/// What a path leads to by symbolic links, which need not be there.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            // A target that is not absolute begins in the folder of the link.
            Ok(target) => path = folder_of(&path).join(target),
            // It is no link, or nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other(format!("more than {MAX_LINKS} symbolic links follow each other")))
}

/// Gives a new file the owner, group and permissions of the one that it is to replace.
#[cfg(unix)]
fn keep_attributes(file: &File, existing: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    const GROUP: u32 = 0o070;
    let owns = |group: u32| file.metadata().is_ok_and(|metadata| metadata.gid() == group);
    // Only root gives files away; others may choose among their own groups.
    _ = fchown(file, Some(existing.uid()), Some(existing.gid())).or_else(|_| fchown(file, None, Some(existing.gid())));
    let mode = existing.mode() & 0o777;
    // What the group could do must not be what another group can.
    let mode = if owns(existing.gid()) { mode } else { mode & !GROUP };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_attributes(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// `mode` are the permissions on Unix, from which the umask takes some away.
fn write(path: &Path, bytes: &[u8], existing: Existing, temporary: &str, mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let file = temporary_file(folder, bytes, temporary, mode)?;
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

/// A file with these bytes, which is removed when it is dropped.
fn temporary_file(folder: &Path, bytes: &[u8], temporary: &str, mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(temporary);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file)
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
    fn a_file_is_rewritten_only_if_it_is_current() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        assert!(rewrite_file(&path, b"first", ".new-", || true).unwrap());
        assert!(!rewrite_file(&path, b"second", ".new-", || false).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_rewritten_keeps_its_links_and_permissions() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (link, chain) = (folder.path().join("link"), folder.path().join("chain"));
        let target = folder.path().join("real/a.txt");
        fs::create_dir(folder.path().join("real")).unwrap();
        symlink("real/a.txt", &link).unwrap();
        symlink("link", &chain).unwrap();
        // At first it leads to nothing.
        assert!(rewrite_file(&chain, b"first", ".new-", || true).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"first");
        let before = fs::metadata(&target).unwrap();
        for mode in [0o600, 0o640, 0o666] {
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
            let new = replacement(&target, true, b"second", ".new-").unwrap();
            assert_eq!(new.as_file().metadata().unwrap().mode() & 0o777, 0o600, "before it has the permissions");
            drop(new);
            let is_current = || {
                let entries = fs::read_dir(folder.path().join("real")).unwrap().map(Result::unwrap);
                let new: Vec<_> = entries.filter(|entry| entry.file_name() != "a.txt").collect();
                let [new] = &*new else { panic!("{new:?}") };
                assert_eq!(new.metadata().unwrap().mode() & 0o777, mode);
                true
            };
            assert!(rewrite_file(&chain, b"second", ".new-", is_current).unwrap());
            let after = fs::metadata(&target).unwrap();
            assert_eq!((after.mode() & 0o777, after.uid(), after.gid()), (mode, before.uid(), before.gid()));
        }
        assert_eq!(fs::read(&target).unwrap(), b"second");
        assert!(link.is_symlink() && chain.is_symlink());

        symlink("round", folder.path().join("round")).unwrap();
        assert!(rewrite_file(&folder.path().join("round"), b"third", ".new-", || true).is_err());
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
