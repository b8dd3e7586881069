//! The torrents whose .torrent files are at hand, and their making.

mod digest;
mod known;
mod make;
mod share;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tracker_core::InfoHash;

pub use digest::{Digest, Digests};
pub use known::KnownTorrent;
pub use make::{MakeError, MakeState, Maker, Making};
pub use share::{Listing, ListingEntry, Share, ShareError};

/// Where the library has its files.
#[derive(Debug, Clone, Default)]
pub struct LibraryConfig {
    /// The folder of .torrent files, looked at again when it changes. Without one, what is registered is lost with the
    /// program.
    pub torrents: Option<PathBuf>,
}

/// The .torrent files that are known. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Library(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Mutex<Arc<BTreeMap<InfoHash, Arc<KnownTorrent>>>>,
    changed: watch::Sender<u64>,
}

/// Why the folder of .torrent files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// It cannot be read.
    #[error("cannot read the folder of torrents {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a .torrent cannot be registered. The texts are fit for who brought it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It is not a torrent.
    #[error("this is not a torrent that the tracker can serve: {0}")]
    Parse(#[from] metainfo::ParseError),
}

/// Why a .torrent cannot be removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There is none of this info-hash.
    #[error("there is no torrent with this info-hash in the library")]
    Unknown,
}

impl Library {
    /// Reads the folder, and looks after it from now on.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read. What is not a torrent in it is logged and passed over.
    pub fn open(config: LibraryConfig) -> Result<Self, LibraryError> {
        _ = config;
        Ok(Self(Arc::new(Inner { known: Mutex::default(), changed: watch::Sender::new(0) })))
    }

    /// All of them.
    pub fn all(&self) -> Arc<BTreeMap<InfoHash, Arc<KnownTorrent>>> {
        Arc::clone(&self.0.known.lock().expect("no holder panics"))
    }

    /// One of them.
    pub fn get(&self, info_hash: &InfoHash) -> Option<Arc<KnownTorrent>> {
        self.all().get(info_hash).cloned()
    }

    /// Takes in a .torrent, and writes it into the folder if there is one. One that is known already is returned as it is.
    ///
    /// # Errors
    ///
    /// When it is no torrent, too large, one too many, or cannot be written.
    pub fn register(&self, torrent: &[u8]) -> Result<Arc<KnownTorrent>, RegisterError> {
        let metainfo = metainfo::Metainfo::parse(torrent)?;
        _ = metainfo;
        unimplemented!("by the library's author")
    }

    /// Forgets a .torrent, and removes its file from the folder.
    ///
    /// # Errors
    ///
    /// When it is not known, or its file cannot be removed.
    pub fn remove(&self, info_hash: &InfoHash) -> Result<(), RemoveError> {
        _ = info_hash;
        Err(RemoveError::Unknown)
    }

    /// Counts the changes, as they happen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}
