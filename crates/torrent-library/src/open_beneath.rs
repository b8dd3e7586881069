//! Opening a file below a folder without following links.

use std::fs::File;
use std::path::Path;

use crate::OpenError;

/// Opens a file for reading by its path relative to `folder`, which must be of plain names only.
///
/// No link is followed below the folder, wherever in the path it is: who may write there could otherwise have any file of this
/// machine read. It does not wait, whatever is there (a pipe without a writer), and what is opened need not be a file.
pub(crate) fn open_beneath(folder: &Path, relative: &Path) -> Result<File, OpenError> {
    system::open(folder, relative)
}

#[cfg(all(unix, not(portable)))]
mod system {
    use std::fs::File;
    use std::path::Path;

    use rustix::fd::OwnedFd;
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::io::Errno;

    use crate::OpenError;

    const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

    /// A folder on the way, which need not be readable.
    #[cfg(target_os = "linux")]
    const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn open(folder: &Path, relative: &Path) -> Result<File, OpenError> {
        let open = || {
            let folder = openat(CWD, folder, FOLDER, Mode::empty())?;
            let at_once = at_once(&folder, relative);
            at_once.unwrap_or_else(|| step_by_step(folder, relative))
        };
        open().map(File::from).map_err(|error| match error {
            Errno::NOENT => OpenError::Gone,
            // There is a link, or a file where a folder was.
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::MLINK => OpenError::Changed,
            error => OpenError::Read(error.into()),
        })
    }

    /// By one system call; `None` where there is none, or where a sandbox does not know it.
    #[cfg(target_os = "linux")]
    fn at_once(folder: &OwnedFd, relative: &Path) -> Option<Result<OwnedFd, Errno>> {
        use rustix::fs::{ResolveFlags, openat2};

        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(folder, relative, FILE, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => None,
            result => Some(result),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn at_once(_: &OwnedFd, _: &Path) -> Option<Result<OwnedFd, Errno>> {
        None
    }

    /// Name by name, each relative to the folder that was opened before it.
    pub(super) fn step_by_step(mut folder: OwnedFd, relative: &Path) -> Result<OwnedFd, Errno> {
        let mut names = relative.iter().peekable();
        loop {
            let name = names.next().ok_or(Errno::NOENT)?;
            if names.peek().is_none() {
                return openat(&folder, name, FILE | OFlags::NOFOLLOW, Mode::empty());
            }
            folder = openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
    }
}

/// Where a path cannot be opened relative to a folder that is open, each part is looked at before the file is opened.
#[cfg(any(not(unix), portable))]
mod system {
    use std::fs::{File, FileType};
    use std::io;
    use std::path::Path;

    use crate::OpenError;

    pub(super) fn open(folder: &Path, relative: &Path) -> Result<File, OpenError> {
        let mut path = folder.to_owned();
        let mut names = relative.iter().peekable();
        let mut held = Vec::new();
        while let Some(name) = names.next() {
            path.push(name);
            let (hold, file_type) = look(&path).map_err(from_io)?;
            held.push(hold);
            let is_expected = if names.peek().is_some() { file_type.is_dir() } else { file_type.is_file() };
            if !is_expected {
                return Err(OpenError::Changed);
            }
        }
        File::open(&path).map_err(from_io)
    }

    /// Opens what is at a path, also a link itself: as long as that is open, nothing else takes its place.
    #[cfg(windows)]
    fn look(path: &Path) -> io::Result<(Option<File>, FileType)> {
        use std::os::windows::fs::OpenOptionsExt as _;

        // To be renamed or removed, it would have to be shared for that.
        const FILE_SHARE_READ: u32 = 0x1;
        const FILE_SHARE_WRITE: u32 = 0x2;
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        // Without it no folder is opened.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

        let mut options = File::options();
        options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS);
        let file = options.open(path)?;
        let file_type = file.metadata()?.file_type();
        Ok((Some(file), file_type))
    }

    /// Nothing is held: who may write into the folder can put a link there afterwards. The caller compares the file's stamp.
    #[cfg(not(windows))]
    fn look(path: &Path) -> io::Result<(Option<File>, FileType)> {
        Ok((None, std::fs::symlink_metadata(path)?.file_type()))
    }

    fn from_io(error: io::Error) -> OpenError {
        match error.kind() {
            io::ErrorKind::NotFound => OpenError::Gone,
            io::ErrorKind::NotADirectory => OpenError::Changed,
            _ => OpenError::Read(error),
        }
    }
}

#[cfg(all(test, unix, not(portable)))]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, OFlags, openat};

    use super::*;

    #[test]
    fn both_ways_follow_no_link() {
        let place = tempfile::tempdir().unwrap();
        let share = place.path().join("share");
        fs::create_dir_all(share.join("a/b")).unwrap();
        fs::write(share.join("a/b/file"), "shared").unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        symlink("b", share.join("a/link")).unwrap();
        symlink("file", share.join("a/b/link")).unwrap();
        symlink("../../../secret", share.join("a/b/out")).unwrap();
        symlink("/", share.join("root")).unwrap();
        symlink("loop", share.join("loop")).unwrap();

        let step_by_step = |path: &str| {
            let folder = openat(CWD, &share, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            system::step_by_step(folder, Path::new(path)).map(File::from)
        };
        let mut text = String::new();
        open_beneath(&share, Path::new("a/b/file")).unwrap().read_to_string(&mut text).unwrap();
        step_by_step("a/b/file").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "sharedshared");
        for path in ["a/link/file", "a/b/link", "a/b/out", "root/etc/passwd", "loop", "loop/x", "a/b/file/x"] {
            let error = open_beneath(&share, Path::new(path)).unwrap_err();
            assert!(matches!(error, OpenError::Changed), "{path}: {error}");
            assert!(step_by_step(path).is_err(), "{path}");
        }
        for path in ["b", "a/c/file", ""] {
            let error = open_beneath(&share, Path::new(path)).unwrap_err();
            assert!(matches!(error, OpenError::Gone), "{path:?}: {error}");
            assert!(step_by_step(path).is_err(), "{path:?}");
        }
    }
}
