//! What is hashed.

use std::io;
use std::path::PathBuf;

/// A torrent's content: the bytes that are cut into pieces.
#[derive(Debug)]
pub(crate) struct Content {
    /// In order, without gaps, none of them empty.
    pub(super) segments: Vec<Segment>,
    pub(super) piece_length: u64,
    pub(super) total: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) file: usize,
    pub(super) source: Source,
}

/// The source of a file's bytes.
#[derive(Debug)]
pub(crate) enum Source {
    Path(PathBuf),
    /// A pad file of [BEP 47](https://www.bittorrent.org/beps/bep_0047.html).
    Zeros,
    /// Not there: the pieces that touch it fail.
    Absent,
}

impl Content {
    /// The content made of `files`, in this order. Failures name a file by its number in it.
    pub(crate) fn new(piece_length: u64, files: impl IntoIterator<Item = (u64, Source)>) -> Self {
        assert!(piece_length > 0, "a piece has a length");
        let mut segments = Vec::new();
        let mut total = 0;
        for (file, (length, source)) in files.into_iter().enumerate() {
            if length > 0 {
                segments.push(Segment { offset: total, length, file, source });
                total += length;
            }
        }
        Self { segments, piece_length, total }
    }

    pub(crate) fn piece_count(&self) -> usize {
        usize::try_from(self.total.div_ceil(self.piece_length)).expect("limited by the callers to 2^21 pieces")
    }
}

/// A piece could not be read.
#[derive(Debug)]
pub(crate) struct ReadFailure {
    /// The number of the file in the content.
    pub(crate) file: usize,
    /// `None` if the file is [`Source::Absent`]; [`io::ErrorKind::UnexpectedEof`] if it is shorter
    /// than it should be.
    pub(crate) error: Option<io::Error>,
}
