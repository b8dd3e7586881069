//! [`Info`]: the `info` dictionary.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::path::{self, UnsafePath};
use crate::{File, Pieces, name, sanitize};

/// The `info` dictionary, which describes the content of the torrent.
///
/// Everything in it goes into the info-hash.
///
/// See [BEP 3](https://www.bittorrent.org/beps/bep_0003.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub(crate) name: Vec<u8>,
    pub(crate) piece_length: u32,
    pub(crate) pieces: Pieces,
    pub(crate) private: bool,
    pub(crate) source: Option<String>,
    pub(crate) update_url: Option<String>,
    pub(crate) total_length: u64,
    pub(crate) content_length: u64,
    pub(crate) files: Vec<File>,
    pub(crate) layout: Layout,
}

/// The layout of the torrent: one file (`length`) or a folder (`files`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    SingleFile,
    MultiFile,
}

impl Info {
    /// The suggested name of the file, or of the folder the files go into, for display.
    ///
    /// Bytes that are not UTF-8 are replaced. To use it on disk see [`Info::safe_name`].
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// The name as the torrent has it.
    pub fn raw_name(&self) -> &[u8] {
        &self.name
    }

    /// The name as one path component, if it can do no harm on any operating system.
    ///
    /// # Errors
    /// Returns [`UnsafePath`] with the first reason not to use it.
    pub fn safe_name(&self) -> Result<PathBuf, UnsafePath> {
        path::safe(std::slice::from_ref(&self.name))
    }

    /// The names at which to look for the content on this machine, for reading only, as [`File::local_path`] does for a file:
    /// as it stands first, then in the composed and decomposed Unicode forms that differ from it.
    ///
    /// # Errors
    /// Returns [`UnsafePath`] with the first reason not to use it on this machine.
    pub fn local_names(&self) -> Result<Vec<OsString>, UnsafePath> {
        name::local_names(&self.name).map_err(|hazard| UnsafePath::new(std::slice::from_ref(&self.name), hazard))
    }

    /// The name with everything that could do harm replaced, as one path component.
    pub fn sanitized_name(&self) -> PathBuf {
        sanitize::component(&self.name).into()
    }

    /// Bytes in every piece but the last: 1 to 536,854,528.
    ///
    /// Most torrents have a power of two, but none need to.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The digest of each piece.
    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Returns `true` if clients may find peers through this torrent's trackers only.
    ///
    /// See [BEP 27](https://www.bittorrent.org/beps/bep_0027.html).
    pub fn private(&self) -> bool {
        self.private
    }

    /// The `source` tag, which trackers use to make the info-hash their own.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The URL of a newer version of the torrent.
    ///
    /// See [BEP 39](https://www.bittorrent.org/beps/bep_0039.html).
    pub fn update_url(&self) -> Option<&str> {
        self.update_url.as_deref()
    }

    /// Bytes in all files together, padding included; never 0.
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// Bytes in all files together, padding left out: what a user gets.
    ///
    /// Pieces are cut from [`total_length`](Self::total_length) bytes.
    pub fn content_length(&self) -> u64 {
        self.content_length
    }

    /// The [files](Self::files) without padding and [placeholders](File::is_placeholder): what a user gets.
    pub fn content_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !file.attributes.pad && !file.is_placeholder())
    }

    /// The files in the order in which the pieces hold their bytes; at least one.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Returns `true` if this is one file by itself rather than a folder of files.
    ///
    /// Returns `false` for a folder with a single file in it.
    pub fn is_single_file(&self) -> bool {
        self.layout == Layout::SingleFile
    }

    /// A usable path for every file, in the order of [`files`](Self::files).
    ///
    /// Paths that [`File::safe_path`] accepts stay as they are. In other paths, harmful characters are
    /// replaced by `_`, over-long names are cut, and a number is added where two paths would collide.
    /// Each path is relative, stays below the folder it is joined to, and belongs to one file
    /// only, padding files included. A changed name also differs from all others where
    /// the file system ignores case; safe names that differ in case alone are left.
    ///
    /// For a symlink this is the place of the link itself. Its target is not changed and must not
    /// be used unless `safe_path` accepts the file.
    pub fn sanitized_paths(&self) -> Vec<PathBuf> {
        sanitize::paths(&self.files)
    }
}
