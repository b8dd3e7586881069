//! The planned torrent, and hashing it.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use sha1_lanes::Engine;

use crate::hash::{self, Content, Progress, ReadFailure, Source};
use crate::info::Layout;
use crate::keys::{Keys, encoded};
use crate::walk::{PlannedFile, SkippedFile};
use crate::{CreateError, CreateWarning, InfoHashV1, PieceLength};

/// The torrent that [`Plan::hash`] will make.
#[derive(Debug)]
pub struct Plan {
    pub(super) name: String,
    pub(super) layout: Layout,
    pub(super) files: Vec<PlannedFile>,
    pub(super) skipped: Vec<SkippedFile>,
    pub(super) warnings: Vec<CreateWarning>,
    pub(super) total_length: u64,
    pub(super) piece_length: PieceLength,
    pub(super) threads: NonZeroUsize,
    pub(super) engine: Engine,
    pub(super) private: bool,
    pub(super) source: Option<String>,
    pub(super) keys: Keys,
}

impl Plan {
    /// The name of the file or folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files in the order of the torrent; at least one.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// The files below the folder that are left out.
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }

    /// Names that will cause problems on some operating system.
    pub fn warnings(&self) -> &[CreateWarning] {
        &self.warnings
    }

    /// Bytes in all files together; at least 1.
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The piece length, as asked for or chosen.
    pub fn piece_length(&self) -> PieceLength {
        self.piece_length
    }

    /// The number of pieces: 1 to [`PieceLength::MAX_PIECES`].
    pub fn piece_count(&self) -> u64 {
        self.piece_length.pieces(self.total_length)
    }

    /// Reads and hashes the files, and makes the torrent.
    ///
    /// `progress` is called on this thread, about once for each MiB or piece, whichever is more.
    /// Once `cancel` is `true`, hashing stops with [`CreateError::Cancelled`].
    ///
    /// Takes about 600 KiB of memory for each thread, however long the pieces are, and 20 bytes for each piece.
    ///
    /// # Errors
    /// Returns a [`CreateError`] if a file cannot be read, or has changed since [`Create::plan`](crate::Create::plan): the
    /// length and modification time of each file are compared again after all have been read.
    pub fn hash(&self, cancel: &AtomicBool, mut progress: impl FnMut(Progress)) -> Result<Created, CreateError> {
        let content = Content::new(
            self.piece_length.bytes(),
            (self.files.iter()).map(|file| (file.length, Source::Path(file.source.clone()))),
        );
        let mut pieces = vec![0; 20 * content.piece_count()];
        let mut hashed = 0;
        hash::hash_pieces(&content, self.engine, self.threads, cancel, |run| {
            let digests = pieces[20 * run.first..].chunks_exact_mut(20);
            for (digest, outcome) in digests.zip(run.outcomes) {
                let bytes = outcome.map_err(|failure| self.read_error(failure))?;
                digest.copy_from_slice(&bytes);
            }
            hashed += run.bytes;
            progress(Progress { hashed, total: self.total_length });
            Ok(())
        })?;
        if cancel.load(Ordering::Relaxed) {
            return Err(CreateError::Cancelled);
        }
        self.files.iter().try_for_each(unchanged)?;

        let info = self.encode_info(&pieces);
        Ok(Created { info_hash: InfoHashV1::of_info(&info), bytes: self.encode(&info) })
    }

    pub(super) fn encode_info(&self, pieces: &[u8]) -> Vec<u8> {
        encoded(|value| {
            value.dict(|info| {
                match self.layout {
                    Layout::SingleFile => info.int("length", self.total_length),
                    Layout::MultiFile => info.list("files", |files| {
                        for file in &self.files {
                            files.dict(|entry| {
                                entry.int("length", file.length);
                                entry.list("path", |path| {
                                    file.path.iter().for_each(|part| path.bytes(part));
                                });
                            });
                        }
                    }),
                }
                info.bytes("name", &self.name);
                info.int("piece length", self.piece_length.bytes());
                info.bytes("pieces", pieces);
                // `private` = 0 would say the same as no key, and change the info-hash.
                if self.private {
                    info.int("private", 1);
                }
                if let Some(source) = &self.source {
                    info.bytes("source", source);
                }
            });
        })
    }

    pub(super) fn encode(&self, info: &[u8]) -> Vec<u8> {
        encoded(|value| {
            value.dict(|root| {
                self.keys.iter().for_each(|(key, value)| root.raw(key, value));
                root.raw("info", info);
            });
        })
    }

    /// The error for a file that could not be read as planned.
    fn read_error(&self, failure: ReadFailure) -> CreateError {
        let file = &self.files[failure.file];
        let error = failure.error.expect("a plan has no absent files");
        match error.kind() {
            io::ErrorKind::NotFound => CreateError::Vanished { path: file.source.clone() },
            // Shorter than it was, unless it has grown again since.
            io::ErrorKind::UnexpectedEof => match unchanged(file) {
                Err(error) => error,
                Ok(()) => CreateError::Modified { path: file.source.clone() },
            },
            _ => CreateError::unreadable(&file.source)(error),
        }
    }
}

/// Returns an error if a file has changed since the plan was made.
fn unchanged(file: &PlannedFile) -> Result<(), CreateError> {
    let path = || file.source.clone();
    let metadata = match fs::metadata(&file.source) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CreateError::Vanished { path: path() });
        }
        Err(error) => return Err(CreateError::unreadable(&file.source)(error)),
    };
    if metadata.len() != file.length {
        return Err(CreateError::LengthChanged { path: path(), planned: file.length, found: metadata.len() });
    }
    if metadata.modified().ok() != file.modified {
        return Err(CreateError::Modified { path: path() });
    }
    Ok(())
}

/// The torrent that was made.
#[derive(Debug, Clone)]
pub struct Created {
    bytes: Vec<u8>,
    info_hash: InfoHashV1,
}

impl Created {
    /// The .torrent file; canonical bencode.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the torrent.
    pub fn info_hash(&self) -> InfoHashV1 {
        self.info_hash
    }
}
