//! What the tracker's own peer seeds.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use peer_wire::Block;
use thiserror::Error;
use tracker_host::UploadLimit;

use crate::spreader::Layout;

/// The bytes of a torrent, which the tracker's own peer seeds. The embedder implements it, for instance with the files of a share
/// folder.
pub trait Content: fmt::Debug + Send + Sync {
    /// The lengths of the torrent's pieces.
    fn layout(&self) -> Layout;

    /// Reads a block into `into`, which is as long as the block. It must be the torrent's: the piece was compared with its digest,
    /// and has not changed since. Called on threads that may wait for the disk, several at a time.
    ///
    /// # Errors
    ///
    /// Returns [`ContentError`] if the content is not the torrent's, or not any more. It is not seeded from then on, until
    /// [`Torrents::content`](crate::Torrents::content) returns another one. The implementor logs the reason.
    fn read(&self, block: Block, into: &mut [u8]) -> Result<(), ContentError>;
}

/// The content is not the torrent's, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the content is not the torrent's any more")]
pub struct ContentError;

/// How the tracker's own peer seeds.
#[derive(Debug, Clone, Default)]
pub struct Seeding {
    /// The limit on the bytes per second of blocks, which others may share. Default: none.
    pub upload_limit: Option<UploadLimit>,
    /// The maximum number of peers of each torrent that get something at the same time. Default: no limit, since the more there
    /// are, the fuller the link.
    pub slots: Option<NonZeroUsize>,
}

/// What the tracker's own peer has sent of a torrent since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uploaded {
    /// Bytes of blocks in all.
    pub bytes: u64,
    /// The peers that got something, under the addresses that the tracker keeps them under, and how many bytes each of them got:
    /// at most 10,000 in all swarms, the latest.
    pub to: Vec<(SocketAddr, u64)>,
}
