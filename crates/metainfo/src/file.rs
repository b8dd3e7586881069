//! [`File`]: one file of a torrent.

use std::path::{Path, PathBuf};

use crate::path::{self, Hazard, UnsafePath};
use crate::{name, sanitize};

/// One file that a torrent describes.
///
/// Paths are kept as the torrent has them, which may be hostile: see [`File::safe_path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Length in bytes; 0 for a symlink.
    pub length: u64,
    /// Bytes of all files before this one: where it begins in the content that is cut into pieces.
    pub offset: u64,
    /// The components of the path as raw bytes, never split or joined.
    ///
    /// The torrent's name alone for a single-file torrent; relative to the torrent's own folder
    /// (so without its name) otherwise. Not safe to use: see [`File::safe_path`].
    pub path: Vec<Vec<u8>>,
    /// The attributes from the `attr` key.
    pub attributes: Attributes,
    /// The target of a symlink: raw path components relative to the torrent's own folder.
    ///
    /// If [`safe_path`](Self::safe_path) succeeds, every component of it is safe and it leads to a file or folder of the
    /// torrent.
    pub symlink_target: Option<Vec<Vec<u8>>>,
    /// The file's modification time in seconds since 1970, if the torrent has it.
    pub mtime: Option<u64>,
    /// SHA-1 of the whole file, where the torrent has it.
    pub sha1: Option<[u8; 20]>,
    /// MD5 of the whole file as the torrent writes it (32 hexadecimal digits), where it has it.
    pub md5sum: Option<String>,
    /// The parser's reason why the path conflicts with other files of the torrent, if it does.
    pub(crate) hazard: Option<Hazard>,
}

impl File {
    /// The path, relative and with one native component for each of the torrent's, if no part
    /// of it can do harm on any operating system.
    ///
    /// All the paths of one torrent for which this succeeds are different from each other, none
    /// is the folder of another, and none leads out of the folder it is joined to. Only padding
    /// files may share a path among themselves, since their zeros are not written to disk; see
    /// [`Attributes::pad`].
    ///
    /// # Errors
    /// Returns [`UnsafePath`] with the first [`Hazard`] of the path. To get a usable path instead of
    /// an error, see [`Info::sanitized_paths`](crate::Info::sanitized_paths).
    pub fn safe_path(&self) -> Result<PathBuf, UnsafePath> {
        path::safe(&self.path).and_then(|safe| match &self.hazard {
            None => Ok(safe),
            Some(hazard) => Err(UnsafePath::new(&self.path, hazard.clone())),
        })
    }

    /// The target of a symlink for display, as [`display_path`](Self::display_path) gives the path. `None` without a target.
    pub fn display_symlink_target(&self) -> Option<String> {
        self.symlink_target.as_deref().filter(|target| !target.is_empty()).map(path::display)
    }

    /// The target of a symlink with everything that could do harm replaced: relative, and below the folder it is joined to.
    ///
    /// There may be nothing at it. Only of a link for which [`safe_path`](Self::safe_path) succeeds is it known that the
    /// target is in the torrent, and it is not changed then. `None` without a target.
    pub fn sanitized_symlink_target(&self) -> Option<PathBuf> {
        let target = self.symlink_target.as_deref().filter(|target| !target.is_empty())?;
        Some(target.iter().map(|component| sanitize::component(component)).collect())
    }

    /// The path with everything that could do harm replaced, as it stands if [`safe_path`](Self::safe_path) accepts it.
    ///
    /// Relative, and below the folder it is joined to. Another file may have the same:
    /// [`Info::sanitized_paths`](crate::Info::sanitized_paths) gives each a path of its own.
    pub fn sanitized_path(&self) -> PathBuf {
        self.safe_path().unwrap_or_else(|_| match self.path.as_slice() {
            [] => sanitize::component(b"").into(),
            path => path.iter().map(|component| sanitize::component(component)).collect(),
        })
    }

    /// The path at which to look for the file on this machine, for reading only.
    ///
    /// This is the [safe path](Self::safe_path) or, where this operating system allows it, one that is unsafe only because
    /// another operating system cannot have it (`What?.mp4`, names that are not UTF-8). No component of it leads out of the
    /// folder it is joined to. Names are taken as they stand or, if `exists` says that nothing is at such a path, in the
    /// composed or decomposed Unicode form (NFC, NFD). `exists` is asked about relative paths, each at least one component long.
    ///
    /// # Errors
    /// Returns [`UnsafePath`] with the first [`Hazard`] that holds on this machine, too.
    pub fn local_path(&self, exists: impl FnMut(&Path) -> bool) -> Result<PathBuf, UnsafePath> {
        name::local_path(self, exists)
    }

    /// Returns `true` if this is an entry without bytes at a path that no file can have, such as `docs/` with an empty last
    /// component, by which some programs mark an empty folder. Content is whole without it.
    pub fn is_placeholder(&self) -> bool {
        let cannot_exist = |hazard: &Hazard| match hazard {
            Hazard::Empty | Hazard::Relative { .. } | Hazard::TooLong { .. } => true,
            Hazard::Duplicate | Hazard::FileAndFolder | Hazard::Control { character: '\0' } => true,
            Hazard::Separator { character } => *character == '/' || cfg!(windows),
            _ => false,
        };
        let is_file = !self.attributes.pad && !self.attributes.symlink;
        is_file && self.length == 0 && self.safe_path().is_err_and(|error| cannot_exist(&error.hazard))
    }

    /// The path for display: components joined by `/`, bytes that are not UTF-8 replaced.
    ///
    /// May hold control characters. Never open it.
    pub fn display_path(&self) -> String {
        path::display(&self.path)
    }
}

/// The letters of a file's `attr` key.
///
/// See [BEP 47](https://www.bittorrent.org/beps/bep_0047.html).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// `p`: zeros which only move the next file to the start of a piece.
    ///
    /// Also set for files that BitComet marks by `_____padding_file_` in the path.
    pub pad: bool,
    /// `l`: a symbolic link, without content.
    pub symlink: bool,
    /// `x`: executable.
    pub executable: bool,
    /// `h`: hidden.
    pub hidden: bool,
}

impl Attributes {
    /// The letters of those attributes that are set, in the order of BEP 47; other letters of the torrent are not kept.
    pub fn letters(&self) -> String {
        let letters = [(self.symlink, 'l'), (self.executable, 'x'), (self.hidden, 'h'), (self.pad, 'p')];
        letters.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect()
    }

    pub(crate) fn from_letters(letters: &[u8]) -> Self {
        Self {
            pad: letters.contains(&b'p'),
            symlink: letters.contains(&b'l'),
            executable: letters.contains(&b'x'),
            hidden: letters.contains(&b'h'),
        }
    }
}
