//! The folder of which torrents can be made.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use metainfo::SkipReason;
use serde::Serialize;

/// Bytes of a path that is looked for, at most: what Linux takes.
const MAX_PATH_LEN: usize = 4096;

/// The folder of which torrents can be made. Cheap to clone.
///
/// A path of it is a text, with `/` between names. Whatever it is, what it leads to lies in the folder at the moment of the
/// call, also with all symbolic links followed: those that lead outside lead nowhere. What
/// [`metainfo::Create`] leaves out by its name, as hidden files, and what is neither file nor folder, is not there.
///
/// The path on disk that [`resolve`](Self::resolve) returns is free of links, and is opened later. Who may write into the
/// folder on this machine can put a link into its place in between; who only uses the dashboard cannot, since nothing of it
/// makes links. So share no folder with programs that you would not let read your files.
#[derive(Debug, Clone)]
pub struct Share(Arc<PathBuf>);

/// What is in a folder of the share folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Listing {
    /// The folder, relative to the share folder, with `/` between names; empty for the share folder itself.
    pub path: String,
    /// Folders first, then files, each by name.
    pub entries: Vec<ListingEntry>,
    /// `true` if the folder has more entries than can be listed.
    pub truncated: bool,
}

/// A file or folder of the share folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListingEntry {
    /// Its name.
    pub name: String,
    /// Its size in bytes; `null` for a folder.
    pub size: Option<u64>,
}

/// Why a path in the share folder cannot be used. The texts may be shown to viewers: they name no path on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The path leads out of the share folder, or is invalid.
    #[error("this path is not in the share folder")]
    Outside,
    /// There is no such file or folder.
    #[error("there is no such file or folder in the share folder")]
    NotFound,
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(io::Error),
}

impl Share {
    /// The maximum number of entries of a folder that are looked at, including those that are not listed: 10,000.
    pub const MAX_ENTRIES: usize = 10_000;

    /// This folder.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such folder, or if it cannot be read.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        fs::read_dir(&folder)?;
        Ok(Self(Arc::new(folder)))
    }

    /// The entries of a folder. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// Returns [`ShareError`] if the path leads outside, or if there is no such folder.
    pub fn list(&self, path: &str) -> Result<Listing, ShareError> {
        let folder = self.resolve(path)?;
        let mut listing = Listing { path: path.to_owned(), entries: Vec::new(), truncated: false };
        for (number, entry) in fs::read_dir(&folder).map_err(ShareError::from_io)?.enumerate() {
            if number == Self::MAX_ENTRIES {
                listing.truncated = true;
                break;
            }
            let name = entry.map_err(ShareError::from_io)?.file_name();
            let Some(name) = name.to_str().filter(|name| SkipReason::of_name(name).is_none()) else { continue };
            // An entry that is gone or not accessible is left out.
            let Ok((_, metadata)) = self.inside(&folder.join(name)) else { continue };
            let size = metadata.is_file().then_some(metadata.len());
            listing.entries.push(ListingEntry { name: name.to_owned(), size });
        }
        listing
            .entries
            .sort_by_cached_key(|entry| (entry.size.is_some(), entry.name.to_lowercase(), entry.name.clone()));
        Ok(listing)
    }

    /// The path on disk of a file or folder.
    ///
    /// # Errors
    ///
    /// Returns [`ShareError`] if the path leads outside, or if nothing is there.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, ShareError> {
        self.inside(&self.join(path)?).map(|(path, _)| path)
    }

    /// Its path on disk, with symbolic links resolved. It is for the operator only.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The path on disk as it is named, which looks at nothing there.
    fn join(&self, path: &str) -> Result<PathBuf, ShareError> {
        let mut joined = self.0.as_ref().clone();
        if path.len() > MAX_PATH_LEN {
            return Err(ShareError::NotFound);
        }
        if path.is_empty() {
            return Ok(joined);
        }
        for name in path.split('/') {
            if !is_plain(name) {
                return Err(ShareError::Outside);
            }
            if SkipReason::of_name(name).is_some() {
                return Err(ShareError::NotFound);
            }
            joined.push(name);
        }
        Ok(joined)
    }

    /// Follows all links. What is there must be in the folder, and a file or a folder.
    fn inside(&self, path: &Path) -> Result<(PathBuf, Metadata), ShareError> {
        let path = path.canonicalize().map_err(ShareError::from_io)?;
        if !path.starts_with(self.0.as_ref()) {
            return Err(ShareError::Outside);
        }
        let metadata = fs::symlink_metadata(&path).map_err(ShareError::from_io)?;
        if metadata.is_file() || metadata.is_dir() { Ok((path, metadata)) } else { Err(ShareError::NotFound) }
    }
}

impl ShareError {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            _ => Self::Read(error),
        }
    }
}

/// Returns `true` if this is a plain file name on this system.
fn is_plain(name: &str) -> bool {
    // `a:b` is part of a file on Windows, and not a file.
    let is_foreign = name.contains('\0') || (cfg!(windows) && name.contains(':'));
    let mut components = Path::new(name).components();
    let is_one =
        matches!(components.next(), Some(Component::Normal(one)) if one == name) && components.next().is_none();
    is_one && !is_foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A share folder beside what must not be read.
    fn share() -> (tempfile::TempDir, Share) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        for folder in ["share/course/week 1", "share/course/.git", "share/empty", "secret", "share-2"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for (file, len) in [
            ("share/Zebra.txt", 3),
            ("share/alpha.txt", 2),
            ("share/.hidden", 1),
            ("share/Thumbs.db", 1),
            ("share/course/week 1/slides.pdf", 10),
            ("share/course/.git/config", 1),
            ("secret/key", 7),
            ("share-2/key", 7),
        ] {
            fs::write(path.join(file), vec![1; len]).unwrap();
        }
        let share = Share::open(path.join("share")).unwrap();
        (place, share)
    }

    fn entry(name: &str, size: Option<u64>) -> ListingEntry {
        ListingEntry { name: name.to_owned(), size }
    }

    #[test]
    fn folders_come_first() {
        let (_place, share) = share();
        let listing = share.list("").unwrap();
        let entries =
            [entry("course", None), entry("empty", None), entry("alpha.txt", Some(2)), entry("Zebra.txt", Some(3))];
        assert_eq!(listing, Listing { path: String::new(), entries: entries.to_vec(), truncated: false });
        assert_eq!(share.list("course").unwrap().entries, [entry("week 1", None)]);
        let listing = share.list("course/week 1").unwrap();
        assert_eq!((&*listing.path, &*listing.entries), ("course/week 1", &[entry("slides.pdf", Some(10))][..]));
        assert!(share.list("empty").unwrap().entries.is_empty());
        assert!(matches!(share.list("alpha.txt"), Err(ShareError::NotFound)));
    }

    #[test]
    fn what_is_listed_is_found() {
        let (_place, share) = share();
        let path = share.resolve("course/week 1/slides.pdf").unwrap();
        assert_eq!(fs::read(path).unwrap().len(), 10);
        assert_eq!(share.resolve("").unwrap(), share.folder());
        for path in
            ["nothing", "alpha.txt/x", "course/week 2", ".hidden", "Thumbs.db", "course/.git", "course/.git/config"]
        {
            assert!(matches!(share.resolve(path), Err(ShareError::NotFound)), "{path:?}");
        }
    }

    #[test]
    fn no_path_leads_outside() {
        let (place, share) = share();
        let absolute = place.path().join("secret/key");
        let absolute = absolute.to_str().unwrap();
        for path in [
            "..",
            "../secret/key",
            "../share",
            "../share-2/key",
            "course/../../secret/key",
            "course/..",
            "course/week 1/../..",
            "./alpha.txt",
            ".",
            "/",
            "//",
            "/etc/passwd",
            absolute,
            "course//week 1",
            "course/",
            "alpha.txt\0",
            "\0",
            "course\0/../..",
        ] {
            assert!(matches!(share.resolve(path), Err(ShareError::Outside)), "{path:?}");
            assert!(matches!(share.list(path), Err(ShareError::Outside)), "{path:?}");
        }
        for path in
            ["..\\secret\\key", "course\\..\\..\\secret\\key", "C:\\", "C:", "\\\\server\\share", "alpha.txt:stream"]
        {
            // Elsewhere they are names as any other.
            let expected = if cfg!(windows) { "Outside" } else { "NotFound" };
            assert_eq!(format!("{:?}", share.resolve(path).unwrap_err()), expected, "{path:?}");
        }
        assert!(matches!(share.resolve(&"a/".repeat(5000)), Err(ShareError::NotFound)));
        assert!(share.resolve(&"a".repeat(4000)).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_leads_outside() {
        use std::os::unix::fs::symlink;

        let (place, share) = share();
        let folder = share.folder();
        symlink("../secret/key", folder.join("key")).unwrap();
        symlink("../secret", folder.join("folder")).unwrap();
        symlink(place.path().join("secret"), folder.join("absolute")).unwrap();
        symlink("..", folder.join("parent")).unwrap();
        symlink("../share-2", folder.join("sibling")).unwrap();
        symlink("/", folder.join("course/root")).unwrap();
        // By way of another.
        symlink("folder", folder.join("chain")).unwrap();
        // Out and in again.
        symlink("../share/course", folder.join("back")).unwrap();
        symlink("course/week 1", folder.join("inside")).unwrap();
        symlink("a", folder.join("b")).unwrap();
        symlink("b", folder.join("a")).unwrap();
        symlink(".", folder.join("self")).unwrap();
        symlink("nowhere", folder.join("dangling")).unwrap();

        for path in [
            "key",
            "folder",
            "folder/key",
            "absolute/key",
            "parent",
            "parent/secret/key",
            "sibling/key",
            "course/root",
            "course/root/etc/passwd",
            "chain/key",
            "self/key",
        ] {
            assert!(matches!(share.resolve(path), Err(ShareError::Outside)), "{path:?}");
            assert!(share.list(path).is_err(), "{path:?}");
        }
        for path in ["a", "b", "a/key"] {
            assert!(matches!(share.resolve(path), Err(ShareError::Read(_))), "{path:?}");
        }
        assert!(matches!(share.resolve("dangling"), Err(ShareError::NotFound)));

        let slides = folder.join("course/week 1/slides.pdf");
        for path in
            ["inside/slides.pdf", "back/week 1/slides.pdf", "self/self/inside/slides.pdf", "parent/share/course"]
        {
            let resolved = share.resolve(path).unwrap();
            assert!(resolved == slides || resolved == folder.join("course"), "{path:?}");
        }
        let names: Vec<_> = share.list("").unwrap().entries.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["back", "course", "empty", "inside", "self", "alpha.txt", "Zebra.txt"]);
        assert_eq!(share.list("back").unwrap().path, "back");
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_shared_is_not_listed() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        let (_place, share) = share();
        let folder = share.folder().join("empty");
        nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        fs::write(folder.join(OsStr::from_bytes(b"\xff.txt")), "").unwrap();
        assert!(share.list("empty").unwrap().entries.is_empty());
        assert!(matches!(share.resolve("empty/pipe"), Err(ShareError::NotFound)));
    }

    #[test]
    fn a_listing_has_an_end() {
        let (_place, share) = share();
        let folder = share.folder().join("empty");
        for number in 0..Share::MAX_ENTRIES {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        let listing = share.list("empty").unwrap();
        assert_eq!((listing.entries.len(), listing.truncated), (Share::MAX_ENTRIES, false));
        fs::write(folder.join("one more"), "").unwrap();
        let listing = share.list("empty").unwrap();
        assert_eq!((listing.entries.len(), listing.truncated), (Share::MAX_ENTRIES, true));
    }

    #[test]
    fn a_share_is_a_folder() {
        let (place, _) = share();
        assert!(Share::open(place.path().join("nothing")).is_err());
        assert!(Share::open(place.path().join("share/alpha.txt")).is_err());
    }
}
