//! The folder of .torrent files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metainfo::{Existing, ParseError, write_file};
use tracker_core::InfoHash;

use crate::replace_file::{TEMPORARY, is_temporary};
use crate::stamp::{Due, Stamp, WatchedFile};
use crate::{KnownTorrent, KnownTorrents};

/// The limits of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) torrents: usize,
    /// Bytes of .torrent files.
    pub(crate) bytes: u64,
}

/// The folder of .torrent files, and what was found in it.
///
/// Files in folders below it, hidden ones, and what is not a regular file are skipped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    limits: Limits,
    files: BTreeMap<OsString, Entry>,
    /// `true` if it was logged that the folder cannot be read.
    is_unreadable: bool,
    /// `true` if it was logged that there are too many files.
    is_overfull: bool,
}

/// A file of it.
#[derive(Debug, Default)]
struct Entry {
    watched: WatchedFile,
    /// Its torrent, if it is a valid .torrent file.
    torrent: Option<Arc<KnownTorrent>>,
}

/// Why a file is skipped.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read it: {0}")]
    Read(io::Error),
    #[error("it has {len} bytes, more than the {limit} a .torrent file may have")]
    TooLarge { len: u64, limit: u64 },
    #[error("the .torrent files together have more than {limit} bytes")]
    NoRoom { limit: u64 },
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl Folder {
    /// Reads the folder, which is made if it does not exist.
    pub(super) fn open(path: PathBuf, limits: Limits) -> io::Result<Self> {
        let mut folder = Self { path, limits, files: BTreeMap::new(), is_unreadable: false, is_overfull: false };
        folder.remove_temporary_files();
        let found = match folder.list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&folder.path)?;
                tracing::info!("made the folder of torrents {:?}", base_name(&folder.path));
                folder.list()?
            }
            found => found?,
        };
        // There was no look before, so all that is there counts as settled.
        for (name, found) in &found {
            folder.files.insert(name.clone(), Entry { watched: WatchedFile::seen(found.ok()), torrent: None });
        }
        folder.take(found);
        Ok(folder)
    }

    /// Removes the temporary files of processes that were killed while they wrote a torrent.
    fn remove_temporary_files(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            // Not of a link: that is somebody else's.
            if is_temporary(&name) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => tracing::info!("removed {name:?}, which was left behind in the folder of torrents"),
                    Err(error) => tracing::warn!("cannot remove {name:?} from the folder of torrents: {error}"),
                }
            }
        }
    }

    /// Looks at the folder again. Returns `true` if the torrents have changed.
    ///
    /// A new or changed file counts once it was found unchanged at the next look, so that one that is being written is not
    /// read. If the folder cannot be read, everything stays as it was.
    pub(super) fn look(&mut self) -> bool {
        match self.list() {
            Ok(found) => {
                self.is_unreadable = false;
                self.take(found)
            }
            Err(error) => {
                if !self.is_unreadable {
                    tracing::error!(
                        "cannot read the folder of torrents {:?}: {error}; what was read stays",
                        base_name(&self.path)
                    );
                }
                self.is_unreadable = true;
                false
            }
        }
    }

    /// The torrents in it. If two files have the same torrent, the first by name counts.
    pub(super) fn torrents(&self) -> KnownTorrents {
        self.files.values().rev().filter_map(|file| file.torrent.as_ref()).map(Arc::clone).collect()
    }

    /// The number of files, valid or not.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The total size of the .torrent files in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().filter_map(|file| file.torrent.as_ref()).map(|torrent| torrent.len()).sum()
    }

    /// Writes a torrent into the folder, atomically and never over another file.
    pub(super) fn write(&mut self, torrent: Arc<KnownTorrent>) -> io::Result<()> {
        let mut name = torrent.file_name();
        let write =
            |name: &str| write_file(&self.path.join(name), torrent.metainfo.as_bytes(), Existing::Keep, TEMPORARY);
        if let Err(error) = write(&name) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            name = torrent.unique_file_name();
            write(&name)?;
        }
        let watched = WatchedFile::read(Stamp::of(&self.path.join(&name)));
        let entry = Entry { watched, torrent: Some(torrent) };
        self.files.insert(name.into(), entry);
        Ok(())
    }

    /// Removes all files of a torrent. The error is the first file that cannot be removed.
    ///
    /// A file that has become another's since it was read is left alone.
    pub(super) fn remove(&mut self, info_hash: &InfoHash) -> Result<(), (PathBuf, io::Error)> {
        let is_it = |torrent: &KnownTorrent| torrent.info_hash == *info_hash;
        let names = self.files.iter().filter(|(_, file)| file.torrent.as_deref().is_some_and(is_it));
        let names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            let path = self.path.join(&name);
            let entry = self.files.get_mut(&name).expect("found a moment ago");
            let now = Stamp::of(&path);
            let is_the_same =
                entry.watched.is_unchanged(now) || read(&path, u64::MAX).is_ok_and(|torrent| is_it(&torrent));
            if is_the_same {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((path, error)),
                    _ => {
                        self.files.remove(&name);
                    }
                }
            } else {
                *entry = Entry::default();
            }
        }
        Ok(())
    }

    /// The .torrent files that there are.
    fn list(&mut self) -> io::Result<BTreeMap<OsString, Found>> {
        let mut found = BTreeMap::new();
        let mut room = self.limits.torrents.saturating_sub(self.files.len());
        let mut is_overfull = false;
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if !is_torrent_name(&name) {
                continue;
            }
            let known = self.files.contains_key(&name);
            match fs::metadata(self.path.join(&name)) {
                Ok(metadata) if !metadata.is_file() => {}
                Ok(_) if !known && room == 0 => is_overfull = true,
                Ok(metadata) => {
                    room -= usize::from(!known);
                    found.insert(name, Found::File(Stamp::new(&metadata)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound || !known => {}
                Err(_) => {
                    found.insert(name, Found::Unknown);
                }
            }
        }
        if is_overfull && !self.is_overfull {
            let limit = self.limits.torrents;
            tracing::warn!(
                "there are more than {limit} .torrent files in {:?}; the others are passed over",
                base_name(&self.path)
            );
        }
        self.is_overfull = is_overfull;
        Ok(found)
    }

    /// Reads what has changed and settled, and forgets what is gone. Whether the torrents have changed.
    fn take(&mut self, found: BTreeMap<OsString, Found>) -> bool {
        let mut changed = false;
        self.files.retain(|name, file| {
            let is_there = found.contains_key(name);
            changed |= !is_there && file.torrent.is_some();
            is_there
        });
        let mut bytes = self.bytes();
        for (name, found) in found {
            let Found::File(now) = found else { continue };
            let path = self.path.join(&name);
            let entry = self.files.entry(name).or_default();
            let Some(due) = entry.watched.look(Some(now)) else { continue };
            let before = entry.torrent.as_ref().map_or(0, |torrent| torrent.len());
            let room = self.limits.bytes.saturating_sub(bytes - before);
            let outcome = match read(&path, room) {
                Err(FileError::NoRoom { .. }) => Err(FileError::NoRoom { limit: self.limits.bytes }),
                outcome => outcome,
            };
            entry.watched.retry = matches!(outcome, Err(FileError::Read(_) | FileError::NoRoom { .. }));
            match outcome {
                Ok(torrent) => {
                    entry.torrent = Some(Arc::new(torrent));
                    changed = true;
                }
                Err(error) => {
                    // That it cannot be read was said before.
                    if due == Due::Changed {
                        tracing::warn!("{:?} is passed over: {error}", base_name(&path));
                    }
                    // Of one that cannot be read nobody knows that it holds something else.
                    if !matches!(error, FileError::Read(_)) {
                        changed |= entry.torrent.take().is_some();
                    }
                }
            }
            bytes = bytes - before + entry.torrent.as_ref().map_or(0, |torrent| torrent.len());
        }
        changed
    }
}

/// The name of a file or folder for the log, which viewers may see: where it lies is not their business.
pub(super) fn base_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

/// A file as found in the folder.
#[derive(Debug, Clone, Copy)]
enum Found {
    File(Stamp),
    /// Known from before; its state cannot be read now.
    Unknown,
}

impl Found {
    fn ok(self) -> Option<Stamp> {
        match self {
            Self::File(stamp) => Some(stamp),
            Self::Unknown => None,
        }
    }
}

fn is_torrent_name(name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    !is_hidden && Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("torrent"))
}

/// Reads a .torrent file of at most `room` bytes.
fn read(path: &Path, room: u64) -> Result<KnownTorrent, FileError> {
    let limit = KnownTorrent::MAX_LEN as u64;
    let check = |metadata: Metadata| match metadata.len() {
        // Opening a named pipe may block indefinitely.
        _ if !metadata.is_file() => Err(FileError::Read(io::ErrorKind::InvalidInput.into())),
        len if len > limit => Err(FileError::TooLarge { len, limit }),
        len if len > room => Err(FileError::NoRoom { limit: room }),
        len => Ok(len),
    };
    let len = check(fs::metadata(path).map_err(FileError::Read)?)?;
    let mut bytes = Vec::new();
    // One that has grown since is read as far as it went, and again once it has settled.
    File::open(path).and_then(|file| file.take(len).read_to_end(&mut bytes)).map_err(FileError::Read)?;
    Ok(KnownTorrent::parse(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::tests::torrent;

    fn open(path: &Path) -> Folder {
        Folder::open(path.to_owned(), Limits::default()).unwrap()
    }

    fn names(folder: &Folder) -> Vec<String> {
        let mut names: Vec<_> = folder.torrents().values().map(|torrent| torrent.name.as_ref().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_that_does_not_exist_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("some/torrents");
        assert!(open(&path).files.is_empty() && path.is_dir());
        let file = parent.path().join("file");
        fs::write(&file, b"").unwrap();
        for path in [file.clone(), file.join("torrents")] {
            let error = Folder::open(path, Limits::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        }
    }

    #[test]
    fn what_a_killed_process_left_behind_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in [".tracker-a1b2C3", ".tracker-", "a.torrent", ".other", "tracker-a"] {
            fs::write(path.join(name), torrent(name, 5)).unwrap();
        }
        fs::create_dir(path.join(".tracker-folder")).unwrap();
        open(path);
        let mut names: Vec<_> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [".other", ".tracker-folder", "a.torrent", "tracker-a"]);
    }

    /// Viewers see the log.
    #[test]
    fn the_log_names_no_place_on_the_disk() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("private/torrents");
        let log = crate::library::tests::log_of(|| {
            let limits = Limits { torrents: 1, ..Limits::default() };
            let mut folder = Folder::open(path.clone(), limits).unwrap();
            fs::write(path.join("broken one.torrent"), "oops").unwrap();
            (0..3).for_each(|_| _ = folder.look());
            fs::write(path.join("one more.torrent"), "oops").unwrap();
            folder.look();
            fs::remove_dir_all(&path).unwrap();
            folder.look();
        });
        for text in [
            "made the folder of torrents \"torrents\"",
            "\"broken one.torrent\" is passed over",
            "more than 1",
            "cannot read",
        ] {
            assert!(log.contains(text), "{text}: {log}");
        }
        assert!(!log.contains("private"), "{log}");
    }

    #[test]
    fn only_torrent_files_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["a.torrent", "b.TORRENT", "c.txt", "torrent", ".d.torrent", ".torrent", "._a.torrent"] {
            fs::write(path.join(name), torrent(name, 5)).unwrap();
        }
        fs::create_dir(path.join("e.torrent")).unwrap();
        fs::write(path.join("e.torrent/f.torrent"), torrent("f", 5)).unwrap();
        fs::write(path.join("empty.torrent"), "").unwrap();
        fs::write(path.join("broken.torrent"), "d4:infoe").unwrap();
        assert_eq!(names(&open(path)), ["a.torrent", "b.TORRENT"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_opened() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        // A named pipe, which would wait for somebody who writes.
        nix::unistd::mkfifo(&path.join("pipe.torrent"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("pipe.torrent", path.join("link.torrent")).unwrap();
        symlink("loop.torrent", path.join("loop.torrent")).unwrap();
        symlink("nowhere", path.join("dangling.torrent")).unwrap();
        assert!(open(path).files.is_empty());
        // The operator's own doing.
        fs::write(path.join("a"), torrent("a", 5)).unwrap();
        symlink("a", path.join("good.torrent")).unwrap();
        let mut folder = open(path);
        assert_eq!(names(&folder), ["a"]);
        folder.remove(folder.torrents().keys().next().unwrap()).unwrap();
        assert!(path.join("a").exists() && fs::symlink_metadata(path.join("good.torrent")).is_err());
    }

    #[test]
    fn changes_are_read_once_they_are_over() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("a.torrent"), torrent("a", 5)).unwrap();
        let mut folder = open(path);
        assert_eq!(names(&folder), ["a"]);
        assert!(!folder.look());

        fs::write(path.join("b.torrent"), &torrent("b", 5)[..20]).unwrap();
        assert!(!folder.look(), "it may still be written");
        fs::write(path.join("b.torrent"), torrent("b", 5)).unwrap();
        assert!(!folder.look(), "it was still written");
        assert!(folder.look());
        assert_eq!(names(&folder), ["a", "b"]);
        assert!(!folder.look());

        // As editors do.
        fs::write(path.join("new"), torrent("c", 5)).unwrap();
        fs::rename(path.join("new"), path.join("a.torrent")).unwrap();
        assert!(!folder.look());
        assert!(folder.look());
        assert_eq!(names(&folder), ["b", "c"]);

        fs::remove_file(path.join("a.torrent")).unwrap();
        assert!(folder.look());
        assert_eq!(names(&folder), ["b"]);

        fs::write(path.join("b.torrent"), "oops").unwrap();
        assert!(!folder.look());
        assert!(folder.look());
        assert!(names(&folder).is_empty());
        assert!(!folder.look(), "looked at once");

        fs::write(path.join("b.torrent"), torrent("b", 5)).unwrap();
        assert!(!folder.look());
        assert!(folder.look());
        assert_eq!(names(&folder), ["b"]);
    }

    #[test]
    fn a_folder_that_is_gone_takes_nothing_with_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("torrents");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.torrent"), torrent("a", 5)).unwrap();
        let mut folder = open(&path);
        fs::rename(&path, place.path().join("elsewhere")).unwrap();
        assert!(!folder.look());
        assert!(folder.is_unreadable);
        assert_eq!(names(&folder), ["a"]);
        fs::rename(place.path().join("elsewhere"), &path).unwrap();
        assert!(!folder.look());
        assert!(!folder.is_unreadable);
    }

    #[test]
    fn of_two_files_of_one_torrent_either_will_do() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("a.torrent"), torrent("a", 5)).unwrap();
        fs::write(path.join("b.torrent"), torrent("a", 5)).unwrap();
        let mut folder = open(path);
        assert_eq!(names(&folder), ["a"]);
        fs::remove_file(path.join("a.torrent")).unwrap();
        folder.look();
        assert_eq!(names(&folder), ["a"]);

        fs::write(path.join("c.torrent"), torrent("a", 5)).unwrap();
        folder.look();
        folder.look();
        let info_hash = *folder.torrents().keys().next().unwrap();
        folder.remove(&info_hash).unwrap();
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
        assert!(names(&folder).is_empty());
    }

    #[test]
    fn a_file_that_became_another_is_not_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("a.torrent"), torrent("a", 5)).unwrap();
        let mut folder = open(path);
        let info_hash = *folder.torrents().keys().next().unwrap();
        fs::write(path.join("a.torrent"), torrent("another", 5)).unwrap();
        folder.remove(&info_hash).unwrap();
        assert!(names(&folder).is_empty());
        folder.look();
        folder.look();
        assert_eq!(names(&folder), ["another"]);
    }

    #[test]
    fn files_are_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("a.torrent"), "somebody's").unwrap();
        let mut folder = open(path);
        let known = Arc::new(KnownTorrent::parse(&torrent("a", 5)).unwrap());
        folder.write(Arc::clone(&known)).unwrap();
        assert_eq!(fs::read(path.join("a.torrent")).unwrap(), b"somebody's");
        assert_eq!(fs::read(path.join(known.unique_file_name())).unwrap(), torrent("a", 5));
        assert!(!folder.look(), "what is written is known");

        fs::write(path.join(known.unique_file_name()), "somebody's").unwrap();
        assert_eq!(folder.write(known).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_dir(path).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn limits_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        for name in ["a", "b", "c"] {
            fs::write(path.join(format!("{name}.torrent")), torrent(name, 5)).unwrap();
        }
        let limits = Limits { torrents: 2, ..Limits::default() };
        let mut folder = Folder::open(path.to_owned(), limits).unwrap();
        let found = names(&folder);
        assert_eq!(found.len(), 2);
        assert!(!folder.look() && !folder.look());
        assert_eq!(names(&folder), found, "which of them does not change");
        fs::remove_file(path.join(format!("{}.torrent", found[0]))).unwrap();
        assert!((0..3).filter(|_| folder.look()).count() == 2, "one goes, one comes");
        assert_eq!(names(&folder).len(), 2);

        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        for name in ["a", "b"] {
            fs::write(path.join(format!("{name}.torrent")), torrent(name, 5)).unwrap();
        }
        let bytes = 2 * torrent("a", 5).len() as u64 - 1;
        let mut folder = Folder::open(path.to_owned(), Limits { bytes, ..Limits::default() }).unwrap();
        assert_eq!(names(&folder), ["a"]);
        assert!(!folder.look());
        fs::remove_file(path.join("a.torrent")).unwrap();
        assert!(folder.look());
        assert_eq!(names(&folder), ["b"], "now there is room");
        assert!(!folder.look());
    }
}
