//! Getting the info dictionary from the peer.

use std::time::Duration;

use crate::{MetadataAssembler, MetadataMessage, MetadataSizeError};

/// How long a piece of the info dictionary is waited for. Transmission answers within a second, while it is not asked for too many at
/// once.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// The info dictionary, while it is fetched.
#[derive(Debug)]
pub(super) struct MetadataDownload {
    assembler: MetadataAssembler,
    deadline: Duration,
}

/// What has become of a download.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More is to come.
    Continues,
    /// The whole info dictionary is there.
    Done(Vec<u8>),
    /// It will not come.
    Failed,
}

impl MetadataDownload {
    pub(super) fn new(now: Duration, size: u32) -> Result<Self, MetadataSizeError> {
        Ok(Self { assembler: MetadataAssembler::new(size)?, deadline: now + PIECE_TIMEOUT })
    }

    /// The next piece to request now.
    pub(super) fn next_piece(&mut self) -> Option<u32> {
        self.assembler.next_piece()
    }

    /// Takes an answer of the peer. `refused` of pieces that this never requests are not meant for it.
    pub(super) fn handle_answer(&mut self, now: Duration, message: &MetadataMessage<'_>) -> Outcome {
        match *message {
            MetadataMessage::Data { piece, data, .. } => match self.assembler.insert(piece, data) {
                Ok(Some(whole)) => Outcome::Done(whole),
                Ok(None) => {
                    self.deadline = now + PIECE_TIMEOUT;
                    Outcome::Continues
                }
                Err(_) => Outcome::Failed,
            },
            MetadataMessage::Reject { piece } if self.assembler.has_requested(piece) => Outcome::Failed,
            MetadataMessage::Reject { .. } | MetadataMessage::Request { .. } => Outcome::Continues,
        }
    }

    /// The time at which the download has failed.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The bytes of memory that it has allocated.
    pub(super) fn allocated(&self) -> usize {
        self.assembler.allocated()
    }
}
