//! What is shared: a file or folder of the share folder, as it was when it was listed.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use metainfo::Plan;

use crate::creation::create;
use crate::open_beneath::open_beneath;
use crate::stamp::Stamp;
use crate::torrent_job::explain;
use crate::{Share, ShareError};

/// The id of a [`Content`], drawn at random. As a text it is 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(u64);

/// The text is not the id of a content: 16 hexadecimal digits of either case were expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a content: 16 hexadecimal digits were expected")]
pub struct ParseContentIdError;

/// A file or folder of the share folder, as it was when it was listed. What it becomes later is another content.
///
/// The files, and their order, are those of the torrent that [`metainfo::Create`] makes of it.
#[derive(Debug)]
pub struct Content {
    id: ContentId,
    share: Share,
    /// Its path relative to the share folder, without links; empty for the share folder itself.
    root: PathBuf,
    name: String,
    is_folder: bool,
    size: u64,
    /// In component-wise order of raw bytes.
    files: Vec<ContentFile>,
}

/// A file of a [`Content`].
#[derive(Debug, Clone)]
pub struct ContentFile {
    path: Box<str>,
    stamp: Stamp,
}

/// A file of a [`Content`] that was opened, and is the one that was listed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SharedFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its length in bytes.
    pub len: u64,
    /// The time of its last modification.
    pub modified: SystemTime,
    stamp: Stamp,
}

/// Why something in the share folder cannot be listed. The texts name no path outside of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The path cannot be used.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// No torrent can be made of it, such as of an empty folder, or something in it cannot be read.
    #[error("{reason}")]
    Unsuitable {
        /// The reason, for the operator.
        reason: String,
    },
    /// It changes while it is listed.
    #[error("it changes while it is looked at")]
    Changing,
}

/// Why a file of a [`Content`] cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is another file, or something else, in its place.
    #[error("the file has changed since it was shared")]
    Changed,
    /// It is not there any more.
    #[error("the file is not there any more")]
    Gone,
    /// It cannot be read.
    #[error("cannot read the file: {0}")]
    Read(io::Error),
}

impl ContentId {
    /// A new id.
    fn draw() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ContentId {
    type Err = ParseContentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `from_str_radix` takes a sign.
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            u64::from_str_radix(text, 16).map(Self).map_err(|_| ParseContentIdError)
        } else {
            Err(ParseContentIdError)
        }
    }
}

impl Content {
    /// Lists a file or folder of the share folder. Links to it are followed, links in it are left out.
    ///
    /// # Errors
    ///
    /// Returns [`ContentError`] if there is nothing there that can be shared, or if it cannot be read.
    pub fn list(share: &Share, path: &str) -> Result<Self, ContentError> {
        let unsuitable = |error| ContentError::Unsuitable { reason: explain(error, share) };
        Self::of_plan(share, path, &create(share, path)?.plan().map_err(unsuitable)?)
    }

    /// The files that a [plan](Plan) lists, of the file or folder at `path` in the share folder. If the plan is hashed
    /// afterwards, and each file that is [opened](Self::open) is still the one that was listed, this is the content of its
    /// torrent.
    ///
    /// # Errors
    ///
    /// Returns [`ContentError`] if the plan's files are not there as they were planned.
    pub fn of_plan(share: &Share, path: &str, plan: &Plan) -> Result<Self, ContentError> {
        let root = share.resolve(path)?;
        let is_folder = root.is_dir();
        let file = |planned: &metainfo::PlannedFile| {
            let metadata = fs::symlink_metadata(&planned.source).ok().filter(fs::Metadata::is_file)?;
            let stamp = Stamp::new(&metadata);
            let path = if is_folder { planned.path.join("/").into() } else { Box::default() };
            (stamp.len == planned.length).then_some(ContentFile { path, stamp })
        };
        let files = plan.files().iter().map(file).collect::<Option<_>>().ok_or(ContentError::Changing)?;
        let root = root.strip_prefix(share.folder()).map_err(|_| ShareError::Outside)?.to_owned();
        Ok(Self {
            id: ContentId::draw(),
            share: share.clone(),
            root,
            name: plan.name().to_owned(),
            is_folder,
            size: plan.total_length(),
            files,
        })
    }

    /// Its id.
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// The name of the file or folder, which is that of its torrent.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` for a folder, `false` for a single file.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Bytes of all files; at least 1.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its files, in the order of the torrent; at least one.
    pub fn files(&self) -> &[ContentFile] {
        &self.files
    }

    /// The index of the file with exactly this path, as [`ContentFile::path`] returns it.
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
            path.split(|&byte| byte == b'/')
        }
        self.files.binary_search_by(|file| names(file.path.as_bytes()).cmp(names(path))).ok()
    }

    /// The name of a file of it: the last part of its path.
    ///
    /// # Panics
    ///
    /// Panics if there is no file of this index.
    pub fn file_name(&self, index: usize) -> &str {
        let path = &self.files[index].path;
        if self.is_folder { path.rsplit('/').next().unwrap_or(path) } else { &self.name }
    }

    /// Opens a file of it, if it still is the one that was listed. No link is followed below the share folder. Waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// Returns [`OpenError`] if the file has changed, is gone, or cannot be read.
    ///
    /// # Panics
    ///
    /// Panics if there is no file of this index.
    pub fn open(&self, index: usize) -> Result<SharedFile, OpenError> {
        let listed = &self.files[index];
        let relative =
            if listed.path.is_empty() { self.root.clone() } else { self.root.join(Path::new(&*listed.path)) };
        let file = open_beneath(self.share.folder(), &relative)?;
        let metadata = file.metadata().map_err(OpenError::Read)?;
        let stamp = Stamp::new(&metadata);
        if !metadata.is_file() || stamp != listed.stamp {
            return Err(OpenError::Changed);
        }
        Ok(SharedFile { file, len: stamp.len, modified: stamp.modified, stamp })
    }

    /// Returns `true` if every file of it is the one that was listed. Waits for the disk. Files that were added since are not
    /// looked for.
    pub fn is_unchanged(&self) -> bool {
        (0..self.files.len()).all(|index| self.open(index).is_ok())
    }
}

impl ContentFile {
    /// The path below the content, with `/` between names, as in the torrent; empty for a single file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.stamp.len
    }

    /// The time of its last modification.
    pub fn modified(&self) -> SystemTime {
        self.stamp.modified
    }
}

impl SharedFile {
    /// Returns `true` if the file has not been written to since it was opened. It may have been moved or removed. Waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// Returns an error if the system cannot tell.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        let now = Stamp::new(&self.file.metadata()?);
        Ok((now.len, now.modified) == (self.len, self.modified))
    }

    /// The strong entity tag of its bytes, with quotes: two files of this machine, or two states of one, that may differ have
    /// different tags. It survives a restart ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3)).
    pub fn etag(&self) -> String {
        self.stamp.etag()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::{Duration, Instant};

    use super::*;

    fn share() -> (tempfile::TempDir, Share) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("share");
        fs::create_dir_all(folder.join("course/week 1/a")).unwrap();
        for (path, len) in [
            ("film.mp4", 10),
            ("course/b.txt", 1),
            ("course/week 1/a/x", 2),
            ("course/week 1/a.b", 3),
            ("course/week 1/Übung", 4),
            ("course/week 1/empty", 0),
            ("course/.hidden", 9),
        ] {
            fs::write(folder.join(path), vec![b'x'; len]).unwrap();
        }
        let share = Share::open(folder).unwrap();
        (place, share)
    }

    fn read(content: &Content, index: usize) -> Result<usize, OpenError> {
        let SharedFile { mut file, len, .. } = content.open(index)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        Ok(bytes.len())
    }

    #[test]
    fn ids_run_both_ways() {
        let id = ContentId(0xab);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!("00000000000000AB".parse(), Ok(id));
        for text in ["", "ab", "+0000000000000ab", "00000000000000abc", "00000000000000g0", "é000000000000000"] {
            assert!(text.parse::<ContentId>().is_err(), "{text}");
        }
        assert_ne!(ContentId::draw(), ContentId::draw());
    }

    #[test]
    fn a_file_is_one_with_an_empty_path() {
        let (_place, share) = share();
        let content = Content::list(&share, "film.mp4").unwrap();
        assert_eq!((content.name(), content.is_folder(), content.size()), ("film.mp4", false, 10));
        assert_eq!((content.find(b""), content.find(b"film.mp4")), (Some(0), None));
        assert_eq!((content.files().len(), content.file_name(0)), (1, "film.mp4"));
        assert_eq!(read(&content, 0).unwrap(), 10);
        // A file within a folder can be shared by hand.
        let content = Content::list(&share, "course/b.txt").unwrap();
        assert_eq!((content.name(), read(&content, 0).unwrap()), ("b.txt", 1));
    }

    #[test]
    fn the_files_of_a_folder_are_found_by_their_exact_paths() {
        let (_place, share) = share();
        let content = Content::list(&share, "course").unwrap();
        assert_eq!((content.name(), content.is_folder(), content.size()), ("course", true, 10));
        let paths: Vec<_> = content.files().iter().map(|file| file.path().to_owned()).collect();
        assert_eq!(paths, ["b.txt", "week 1/a/x", "week 1/a.b", "week 1/empty", "week 1/Übung"]);
        for (index, path) in paths.iter().enumerate() {
            assert_eq!(content.find(path.as_bytes()), Some(index), "{path}");
            assert_eq!(read(&content, index).unwrap() as u64, content.files()[index].size(), "{path}");
        }
        assert_eq!(content.file_name(1), "x");
        for path in [
            "",
            "/",
            "week 1",
            "week 1/",
            "b.txt/",
            "/b.txt",
            "B.txt",
            "week 1//a.b",
            "week 1/./a.b",
            "../film.mp4",
            ".hidden",
            "week 1/U\u{308}bung",
            "week 1\\a.b",
            "b.txt\0",
        ] {
            assert_eq!(content.find(path.as_bytes()), None, "{path:?}");
        }
        assert_eq!(content.find(b"week 1/\xdcbung"), None);
    }

    #[test]
    fn what_cannot_be_shared_is_told_without_its_place() {
        let (place, share) = share();
        fs::create_dir(share.folder().join("empty")).unwrap();
        for (path, says) in [("..", "not in the share folder"), ("nothing", "no such file"), ("empty", "nothing")] {
            let error = Content::list(&share, path).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains(place.path().to_str().unwrap()), "{path}: {error}");
        }
    }

    #[test]
    fn a_file_that_changes_is_not_opened() {
        let (_place, share) = share();
        let content = Content::list(&share, "course").unwrap();
        let index = content.find(b"week 1/a.b").unwrap();
        let path = share.folder().join("course/week 1/a.b");
        let before = content.open(index).unwrap();
        let again = Content::list(&share, "course").unwrap();
        assert_eq!(before.etag(), again.open(index).unwrap().etag());
        assert_ne!(before.etag(), content.open(0).unwrap().etag());
        assert!(content.is_unchanged());

        // The same length and time of modification, where there is another time that tells; the clock of file systems ticks.
        let modified = if cfg!(unix) { before.modified } else { before.modified + Duration::from_secs(2) };
        let deadline = Instant::now() + Duration::from_secs(60);
        while content.open(index).is_ok() {
            assert!(Instant::now() < deadline);
            fs::write(path.with_extension("new"), "yyy").unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        assert!(!content.is_unchanged());
        let after = Content::list(&share, "course").unwrap();
        assert_ne!(after.open(index).unwrap().etag(), before.etag());
        assert_ne!(after.id(), content.id());

        fs::remove_file(&path).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Gone)));
        fs::create_dir(&path).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        assert_eq!(read(&content, 0).unwrap(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_takes_the_place_of_a_file_or_folder_is_not_opened() {
        use std::os::unix::fs::symlink;

        let (place, share) = share();
        let content = Content::list(&share, "course").unwrap();
        let index = content.find(b"week 1/a/x").unwrap();
        let (folder, secret) = (share.folder().join("course/week 1"), place.path().join("secret"));
        // The very same files, by way of a link in each part of the path.
        fs::rename(&folder, &secret).unwrap();
        symlink(&secret, &folder).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        fs::remove_file(&folder).unwrap();
        fs::rename(&secret, &folder).unwrap();
        assert_eq!(read(&content, index).unwrap(), 2);

        let file = folder.join("a/x");
        fs::rename(&file, &secret).unwrap();
        symlink(&secret, &file).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        fs::remove_file(&file).unwrap();
        symlink("nowhere", &file).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        fs::remove_file(&file).unwrap();
        // A pipe would be waited for.
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(content.open(index), Err(OpenError::Changed)));
        fs::remove_file(&file).unwrap();

        let course = share.folder().join("course");
        fs::rename(&course, place.path().join("elsewhere")).unwrap();
        symlink("../elsewhere", &course).unwrap();
        assert!(matches!(content.open(0), Err(OpenError::Changed)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_shared_as_what_it_leads_to() {
        use std::os::unix::fs::symlink;

        let (_place, share) = share();
        symlink("course/week 1", share.folder().join("this week")).unwrap();
        let content = Content::list(&share, "this week").unwrap();
        assert_eq!((content.name(), content.files().len()), ("this week", 4));
        assert_eq!(read(&content, content.find(b"a/x").unwrap()).unwrap(), 2);
    }
}
