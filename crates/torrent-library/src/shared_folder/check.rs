//! Checking a damaged content again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracker_core::InfoHash;

use super::Shared;
use super::progress::HashProgress;
use crate::{Content, ContentKey, KnownTorrent, OPERATOR_LOG, OpenError, PieceReader, ReadError};

/// A content that is to be compared with its torrent.
#[derive(Debug)]
pub(super) struct CheckJob {
    torrent: Arc<KnownTorrent>,
    content: Arc<Content>,
    progress: HashProgress,
}

/// Why a check was given up.
enum GivenUp {
    /// Everything ends, or the content is not shared any more.
    NotWanted,
    /// It has changed, or its torrent is of other files.
    Changed,
}

impl Shared {
    /// The order to check the content with this swarm; `None` if it is not damaged, or is being checked already.
    pub(super) fn check_job(&self, swarm_key: &InfoHash) -> Option<CheckJob> {
        let torrent = self.library.get(swarm_key)?;
        let (content, progress) = self.contents.begin_check(swarm_key)?;
        Some(CheckJob { torrent, content, progress })
    }

    /// Gives up a check for which there is no thread.
    pub(super) fn cannot_check(&self, swarm_key: &InfoHash, error: &io::Error) {
        tracing::error!(target: OPERATOR_LOG, torrent = %swarm_key, "cannot check a file: {error}");
        if let Some(content) = self.contents.get(ContentKey::Swarm(*swarm_key)) {
            self.contents.end_check(content.id(), None);
        }
    }

    /// Compares a content with its torrent, piece by piece.
    pub(super) fn check(&self, job: &CheckJob, closed: &AtomicBool) {
        let name = job.content.name();
        let bad_pieces = match self.bad_pieces(job, closed) {
            Ok(0) => {
                tracing::info!(target: OPERATOR_LOG, name, "{name} was checked: all of it is right");
                Some(0)
            }
            Ok(bad) => {
                let of = job.torrent.metainfo.info().pieces().len();
                tracing::warn!(
                    target: OPERATOR_LOG,
                    name,
                    "{name} was checked: {bad} of {of} pieces are not what they were when it was shared, and nothing of it is sent; \
                     put the right file in its place, and it is shared again"
                );
                Some(bad)
            }
            Err(GivenUp::Changed) => {
                self.contents.report_changed(job.content.id());
                None
            }
            Err(GivenUp::NotWanted) => None,
        };
        self.contents.end_check(job.content.id(), bad_pieces);
        self.notify();
    }

    /// The number of pieces that are not the torrent's, or cannot be read.
    fn bad_pieces(&self, job: &CheckJob, closed: &AtomicBool) -> Result<u32, GivenUp> {
        let reader = PieceReader::new(Arc::clone(&job.torrent), Arc::clone(&job.content));
        let reader = reader.map_err(|_| GivenUp::Changed)?;
        let info = job.torrent.metainfo.info();
        let mut bad = 0;
        for piece in 0..info.pieces().len() as u32 {
            if closed.load(Ordering::Relaxed) || !self.contents.is_damaged(job.content.id()) {
                return Err(GivenUp::NotWanted);
            }
            match reader.check(piece) {
                Ok(()) => {}
                Err(ReadError::File { source: OpenError::Changed | OpenError::Gone, .. }) => {
                    return Err(GivenUp::Changed);
                }
                Err(_) => bad += 1,
            }
            job.progress.set((u64::from(piece) + 1) * u64::from(info.piece_length()));
        }
        Ok(bad)
    }
}
