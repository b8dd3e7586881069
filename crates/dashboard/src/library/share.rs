//! The folder of which torrents can be made.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of which torrents can be made. Nothing outside of it can be named, whatever the path. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Share(Arc<PathBuf>);

/// What is in a folder of a [`Share`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder, from the share on, with `/` between names; empty for the share itself.
    pub path: String,
    /// Folders first, then files, each by name.
    pub entries: Vec<ListingEntry>,
    /// Whether there is more than can be listed.
    pub truncated: bool,
}

/// A file or folder of a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingEntry {
    /// What it is called.
    pub name: String,
    /// Its bytes; `None` for a folder.
    pub size: Option<u64>,
}

/// Why a path of a share cannot be used. The texts are fit for who asked, and name no path outside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The path leads outside, or is none.
    #[error("this path is not in the share folder")]
    Outside,
    /// There is no such file or folder.
    #[error("there is no such file or folder in the share folder")]
    NotFound,
    /// The system does not let it be read.
    #[error("cannot read it: {0}")]
    Read(io::Error),
}

impl Share {
    /// This folder.
    ///
    /// # Errors
    ///
    /// When there is no such folder.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        Ok(Self(Arc::new(folder.canonicalize()?)))
    }

    /// What is in a folder of it.
    ///
    /// # Errors
    ///
    /// When the path leads outside, or to no folder.
    pub fn list(&self, path: &str) -> Result<Listing, ShareError> {
        _ = path;
        Err(ShareError::NotFound)
    }

    /// Where on disk a file or folder of it is.
    ///
    /// # Errors
    ///
    /// When the path leads outside, or to nothing.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, ShareError> {
        _ = path;
        Err(ShareError::NotFound)
    }
}
