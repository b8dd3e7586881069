//! Looking at the share folder: what is in it, and in which state.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use super::names::PassedOverReason;
use crate::Share;
use crate::stamp::Stamp;

/// Entries of one shared folder that are looked at, at most: as many files as a torrent may have. What is beyond is not followed,
/// and no torrent is made of such a folder.
const MAX_ENTRIES_BELOW: usize = 1_000_000;

/// Entries of one shared folder that are looked at together with the others, at most. A larger one would hold up the rest.
const MAX_QUICK: usize = 10_000;

/// The state of a file, or of all files in a folder, by which changes are seen without reading them: names, sizes and times.
///
/// It is the same after a restart of the program or the machine if nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The sum of the digests of all files, so that the order in which they are found does not matter.
    sum: u128,
    /// Bytes of all files, saturating.
    pub(crate) size: u64,
}

/// What is directly in the share folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) found: HashMap<Arc<str>, Found>,
    /// `true` if there are more entries than are looked at.
    pub(super) truncated: bool,
}

/// A file or folder directly in the share folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    PassedOver(PassedOverReason),
    Content(Fingerprint),
    /// A folder with more than [`MAX_QUICK`] entries, which is to be looked at by itself.
    Large,
}

impl Scan {
    /// Looks at the entries of a folder, at most `limit`. Those for which `is_known` is `true` are looked at first, so that they
    /// stay when others come.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be read; [`io::ErrorKind::Interrupted`] once `closed` is `true`.
    pub(super) fn of(
        folder: &Path,
        limit: usize,
        known: usize,
        is_known: impl Fn(&str) -> bool,
        closed: &AtomicBool,
    ) -> io::Result<Self> {
        let mut scan = Self::default();
        let mut room = limit.saturating_sub(known);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let name = file_name.to_string_lossy();
            if !is_known(&name) {
                let Some(left) = room.checked_sub(1) else {
                    scan.truncated = true;
                    continue;
                };
                room = left;
            }
            if let Some(found) = Found::at(&entry.path(), &file_name, || entry.metadata(), closed)? {
                scan.found.insert(name.into(), found);
            }
        }
        Ok(scan)
    }
}

impl Found {
    /// What is at a path; `None` if nothing is there any more.
    fn at(
        path: &Path,
        name: &OsStr,
        metadata: impl FnOnce() -> io::Result<Metadata>,
        closed: &AtomicBool,
    ) -> io::Result<Option<Self>> {
        let Some(name) = name.to_str() else { return Ok(Some(Self::PassedOver(PassedOverReason::NotUtf8))) };
        if let Some(reason) = PassedOverReason::of_name(name) {
            return Ok(Some(Self::PassedOver(reason)));
        }
        let metadata = match metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Ok(Some(Self::PassedOver(cannot_read(&error)))),
        };
        Ok(Some(if metadata.is_symlink() {
            Self::PassedOver(PassedOverReason::Link)
        } else if metadata.is_file() || metadata.is_dir() {
            Fingerprint::new(path, &metadata, MAX_QUICK, closed)?.map_or(Self::Large, Self::Content)
        } else {
            Self::PassedOver(PassedOverReason::Special)
        }))
    }
}

/// The reason for what cannot be read.
pub(super) fn cannot_read(error: &io::Error) -> PassedOverReason {
    PassedOverReason::Unusable(format!("cannot read it: {error}").into())
}

impl Fingerprint {
    /// The state of the file or folder at a path, which is no link.
    ///
    /// # Errors
    ///
    /// Returns an error if there is neither a file nor a folder; [`io::ErrorKind::Interrupted`] once `closed` is `true`.
    pub(crate) fn of(path: &Path, closed: &AtomicBool) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Self::new(path, &metadata, usize::MAX, closed)?.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
    }

    /// The state of a file or folder of the share folder, also of one that a link leads to.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), and if the path leads outside.
    pub(crate) fn of_path(share: &Share, path: &str, closed: &AtomicBool) -> io::Result<Self> {
        Self::of(&share.resolve(path).map_err(io::Error::other)?, closed)
    }

    /// `None` for a folder of more entries than `quick`.
    fn new(path: &Path, metadata: &Metadata, quick: usize, closed: &AtomicBool) -> io::Result<Option<Self>> {
        let mut fingerprint = Self { sum: 0, size: 0 };
        if !metadata.is_dir() {
            fingerprint.add_file(OsStr::new(""), metadata);
            return Ok(Some(fingerprint));
        }
        let seen = fingerprint.add_folder(path, quick.saturating_add(1).min(MAX_ENTRIES_BELOW), closed)?;
        Ok(Some(fingerprint).filter(|_| seen <= quick))
    }

    /// Adds all files below a folder, by the rules of [`metainfo::Create`], and returns the number of entries, which is at most
    /// `limit`. A folder in it that cannot be read counts as such, so that it is noticed when it can be.
    fn add_folder(&mut self, root: &Path, limit: usize, closed: &AtomicBool) -> io::Result<usize> {
        let mut seen = 0;
        let mut waiting = vec![root.to_owned()];
        while let Some(folder) = waiting.pop() {
            let relative = folder.strip_prefix(root).expect("it is below the root").to_owned();
            let Ok(entries) = fs::read_dir(&folder) else {
                self.add(&[relative.as_os_str().as_encoded_bytes(), b"\0unreadable"]);
                continue;
            };
            for entry in entries {
                if closed.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let Ok(entry) = entry else { continue };
                let name = entry.file_name();
                if name.to_str().is_some_and(|name| PassedOverReason::of_name_below(name).is_some()) {
                    continue;
                }
                // One that is gone is left out.
                let Ok(metadata) = entry.metadata() else { continue };
                if seen == limit {
                    return Ok(seen);
                }
                seen += 1;
                if metadata.is_dir() {
                    waiting.push(entry.path());
                } else if metadata.is_file() {
                    self.add_file(relative.join(name).as_os_str(), &metadata);
                }
            }
        }
        Ok(seen)
    }

    fn add_file(&mut self, path: &OsStr, metadata: &Metadata) {
        let stamp = Stamp::new(metadata);
        self.add(&[
            path.as_encoded_bytes(),
            b"\0file",
            &stamp.len.to_le_bytes(),
            &stamp.modified_nanos().to_le_bytes(),
            &stamp.changed.0.to_le_bytes(),
            &stamp.changed.1.to_le_bytes(),
        ]);
        self.size = self.size.saturating_add(stamp.len);
    }

    fn add(&mut self, parts: &[&[u8]]) {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        let digest: [u8; 32] = hasher.finalize().into();
        let (half, _) = digest.split_first_chunk().expect("it is longer");
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(*half));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{}", self.sum, self.size)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sum, size) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { sum: u128::from_str_radix(sum, 16)?, size: size.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;

    static OPEN: AtomicBool = AtomicBool::new(false);

    fn scan(folder: &Path) -> Scan {
        Scan::of(folder, 100, 0, |_| false, &OPEN).unwrap()
    }

    fn fingerprint(path: &Path) -> Fingerprint {
        Fingerprint::of(path, &OPEN).unwrap()
    }

    #[test]
    fn what_is_there_is_found_or_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["film.mkv", ".hidden", "a.torrent", "a.part"] {
            fs::write(path.join(name), "four").unwrap();
        }
        fs::create_dir_all(path.join("course/week 1")).unwrap();
        fs::write(path.join("course/week 1/slides.pdf"), "slides").unwrap();
        fs::write(path.join("course/week 1/slides.pdf.part"), "not yet").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            std::os::unix::fs::symlink("film.mkv", path.join("link")).unwrap();
            std::os::unix::fs::symlink("../../..", path.join("course/week 1/up")).unwrap();
            nix::unistd::mkfifo(&path.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
            fs::write(path.join(OsStr::from_bytes(b"\xff")), "").unwrap();
        }
        let scan = scan(path);
        let sizes: HashMap<&str, _> = (scan.found.iter())
            .map(|(name, found)| match found {
                Found::Content(fingerprint) => (&**name, Ok(fingerprint.size)),
                Found::PassedOver(reason) => (&**name, Err(reason.clone())),
                Found::Large => panic!("{name}"),
            })
            .collect();
        use PassedOverReason as R;
        let mut expected = HashMap::from([
            ("film.mkv", Ok(4)),
            ("course", Ok(6)),
            (".hidden", Err(R::Hidden)),
            ("a.torrent", Err(R::Torrent)),
            ("a.part", Err(R::Unfinished)),
        ]);
        if cfg!(unix) {
            let of_unix = [("link", Err(R::Link)), ("pipe", Err(R::Special)), ("\u{fffd}", Err(R::NotUtf8))];
            expected.extend(of_unix);
        }
        assert_eq!((sizes, scan.truncated), (expected, false));
    }

    #[test]
    fn a_large_folder_is_to_be_looked_at_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("course");
        fs::create_dir(&path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        for number in 0..5 {
            fs::write(path.join(number.to_string()), "x").unwrap();
        }
        let quick = |limit| Fingerprint::new(&path, &metadata, limit, &OPEN).unwrap();
        assert_eq!((quick(4), quick(5)), (None, Some(fingerprint(&path))));
    }

    #[test]
    fn those_that_are_known_stay() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..20 {
            fs::write(folder.path().join(number.to_string()), "x").unwrap();
        }
        let is_known = |name: &str| ["3", "17"].contains(&name);
        let scan = Scan::of(folder.path(), 5, 2, is_known, &OPEN).unwrap();
        assert_eq!((scan.found.len(), scan.truncated), (5, true));
        assert!(scan.found.contains_key("3") && scan.found.contains_key("17"));
        let scan = Scan::of(folder.path(), 20, 2, is_known, &OPEN).unwrap();
        assert_eq!((scan.found.len(), scan.truncated), (20, false));
        assert!(Scan::of(&folder.path().join("nothing"), 5, 0, |_| false, &OPEN).is_err());
    }

    #[test]
    fn a_change_changes_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("course");
        fs::create_dir_all(path.join("week 1")).unwrap();
        let file = path.join("week 1/slides.pdf");
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let write = |len: usize, seconds| {
            fs::write(&file, vec![7; len]).unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(at(seconds)).unwrap();
        };
        write(3, 1000);
        let mut seen = vec![fingerprint(&path)];
        assert_eq!(fingerprint(&path), seen[0]);
        let mut is_new = |what: &str| {
            let now = fingerprint(&path);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        write(4, 1000);
        is_new("another length");
        write(4, 1001);
        is_new("another time");
        fs::rename(&file, path.join("week 1/notes.pdf")).unwrap();
        is_new("another name");
        fs::rename(path.join("week 1/notes.pdf"), path.join("notes.pdf")).unwrap();
        is_new("another folder");
        fs::write(path.join("empty"), "").unwrap();
        is_new("an empty file");
        fs::remove_file(path.join("notes.pdf")).unwrap();
        is_new("one less");

        let before = fingerprint(&path);
        for name in ["x.part", ".hidden", "~$notes.docx", "Thumbs.db"] {
            fs::write(path.join(name), "x").unwrap();
        }
        fs::create_dir(path.join("empty folder")).unwrap();
        assert_eq!(fingerprint(&path), before, "these do not go into a torrent");
        assert_eq!(before.to_string().parse(), Ok(before));
        for text in ["", "1", "-1", "x-1", "1-", "1-x"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_with_the_time_of_its_original_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "abc").unwrap();
        let (before, modified) = (fingerprint(&path), fs::metadata(&path).unwrap().modified().unwrap());
        // The clock of file systems ticks.
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            fs::write(&other, "abd").unwrap();
            File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
            if fs::metadata(&other).unwrap().modified().unwrap() == modified && fingerprint(&other) != before {
                break;
            }
            assert!(std::time::Instant::now() < deadline);
        }
        fs::rename(&other, &path).unwrap();
        assert_ne!(fingerprint(&path), before);
    }

    #[test]
    fn a_walk_ends_when_the_program_does() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("course")).unwrap();
        fs::write(folder.path().join("course/a"), "a").unwrap();
        let error = Scan::of(folder.path(), 5, 0, |_| false, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
