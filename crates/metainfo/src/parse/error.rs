//! The errors of parsing a .torrent file.

use bencode::{DecodeError, DecodeErrorKind};
use thiserror::Error;

/// Bytes the longest file may have: 2^48 - 1, as in libtorrent.
pub(super) const MAX_FILE_LENGTH: u64 = (1 << 48) - 1;

/// Bytes the longest piece may have: 32767 blocks of 16 KiB, as in libtorrent.
pub(super) const MAX_PIECE_LENGTH: u32 = 32_767 * 16_384;

/// The reason why a .torrent file is not accepted.
///
/// Files are counted from 0 in the fields and from 1 in the messages.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The file is larger than [`ParseOptions::limits`](crate::ParseOptions::limits) allows.
    #[error("the file has {len} bytes, more than the {limit} a .torrent file may have here")]
    TooLarge {
        /// Bytes in the file.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file is not bencode.
    #[error("this is not a .torrent file, or a damaged one: {0}")]
    Bencode(DecodeError),
    /// The file has more values, or nests them deeper, than [`ParseOptions::limits`](crate::ParseOptions::limits) allows.
    #[error("the file goes beyond what is read here: {0}")]
    BeyondLimits(DecodeError),
    /// The file is bencode, but not a dictionary.
    #[error("this is not a .torrent file: it does not hold a dictionary")]
    NotADict,
    /// There is no `info` dictionary.
    #[error("the file has no `info` dictionary, so it describes no content: fetch it again")]
    MissingInfo,
    /// There is a magnet link in the place of the `info` dictionary.
    #[error(
        "the file is only a magnet link in disguise, without an `info` dictionary: let a client fetch the content description and export the torrent from there"
    )]
    MagnetStub,
    /// A key stands twice in `info` or in a dictionary below it.
    ///
    /// Programs differ in which of the two they take, so the torrent means different things to
    /// different people.
    #[error(
        "{key:?} stands twice in the same dictionary of `info` (byte {offset}): the torrent is ambiguous, make it again"
    )]
    DuplicateKey {
        /// The key.
        key: String,
        /// The offset in the file of the second key.
        offset: usize,
    },
    /// The torrent is of a later version of BitTorrent.
    ///
    /// See [BEP 52](https://www.bittorrent.org/beps/bep_0052.html).
    #[error("the torrent is of version {version}, newer than any known here (1 and 2)")]
    NewerVersion {
        /// The value of `meta version`.
        version: u64,
    },
    /// The torrent has a v2 side only.
    ///
    /// See [BEP 52](https://www.bittorrent.org/beps/bep_0052.html).
    #[error("this is a v2-only torrent, which is not supported yet: make it as v1 or hybrid")]
    V2Only,
    /// There is a v2 `file tree`, but no `meta version` 2.
    #[error("`info` has a v2 `file tree`, but `meta version` is not 2: make the torrent again")]
    MissingMetaVersion,
    /// `meta version` is 2, but there is no v2 `file tree`.
    #[error("`meta version` is 2, but `info` has no `file tree`: make the torrent again")]
    MissingFileTree,
    /// The `info` dictionary of a hybrid is not canonical bencode, as v2 demands.
    #[error("`info` of this hybrid torrent is not canonical bencode (byte {offset}): make the torrent again")]
    NotCanonical {
        /// The offset in the file of the first deviation.
        offset: usize,
    },
    /// A merkle torrent.
    ///
    /// See [BEP 30](https://www.bittorrent.org/beps/bep_0030.html).
    #[error("this is a merkle torrent (BEP 30), which no current client supports: make it as v1")]
    Merkle,
    /// `piece length` is missing or not a number.
    #[error("`info` has no `piece length`, or it is not a number")]
    MissingPieceLength,
    /// `piece length` is out of range.
    #[error("a `piece length` of {value} is not possible: it goes from 1 to {MAX_PIECE_LENGTH} bytes")]
    InvalidPieceLength {
        /// The value in the torrent.
        value: i128,
    },
    /// `name` is missing, not a string, or empty for a single file.
    #[error("`info` has no `name`, or it is empty")]
    MissingName,
    /// There is neither `length` nor `files`.
    #[error("`info` has neither `length` (one file) nor `files` (many)")]
    MissingLength,
    /// `files` is not a list.
    #[error("`files` is not a list")]
    FilesNotAList,
    /// `files` is empty.
    #[error("`files` is empty: the torrent describes no file")]
    NoFiles,
    /// There are more files than [`ParseOptions::max_files`](crate::ParseOptions::max_files).
    #[error("the torrent has {count} files, more than the {limit} allowed here")]
    TooManyFiles {
        /// Files in the torrent.
        count: usize,
        /// Files allowed.
        limit: usize,
    },
    /// An entry of `files` is not a dictionary.
    #[error("file {} is not described by a dictionary", file + 1)]
    FileNotADict {
        /// The index of the entry.
        file: usize,
    },
    /// A `length` is missing, not a number, negative or huge.
    #[error("the `length` of file {} is missing or not a number from 0 to {MAX_FILE_LENGTH}", file + 1)]
    InvalidLength {
        /// The index of the file.
        file: usize,
    },
    /// The files together are longer than 2^64 - 1 bytes.
    #[error("the lengths of the files add up to more than 64 bits can hold")]
    TotalTooLarge,
    /// All files are empty.
    #[error("the torrent has no content: all its files are empty")]
    NoContent,
    /// A `path` is missing, not a list, or empty.
    #[error("the `path` of file {} is missing, empty or not a list", file + 1)]
    MissingPath {
        /// The index of the file.
        file: usize,
    },
    /// A component of a path is not a string.
    #[error("a component of the `path` or `symlink path` of file {} is not a string", file + 1)]
    InvalidPath {
        /// The index of the file.
        file: usize,
    },
    /// A path has more components than [`ParseOptions::max_path_depth`](crate::ParseOptions::max_path_depth).
    #[error("file {} is {depth} folders deep, more than the {limit} allowed here", file + 1)]
    PathTooDeep {
        /// The index of the file.
        file: usize,
        /// Components of its path.
        depth: usize,
        /// Components allowed.
        limit: usize,
    },
    /// A path has more bytes than [`ParseOptions::max_path_len`](crate::ParseOptions::max_path_len).
    #[error("the path of file {} has {len} bytes, more than the {limit} allowed here", file + 1)]
    PathTooLong {
        /// The index of the file.
        file: usize,
        /// Bytes of its path.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Two files have the same path.
    #[error("file {} has the path of an earlier one, {path:?}: make the torrent again", file + 1)]
    DuplicatePath {
        /// The index of the file.
        file: usize,
        /// The path both have.
        path: String,
    },
    /// A file has the path of a folder that other files are in.
    #[error("file {} stands where other files need a folder, {path:?}: make the torrent again", file + 1)]
    FileAndFolder {
        /// The index of the file.
        file: usize,
        /// The path of file and folder.
        path: String,
    },
    /// `pieces` is missing or not a string.
    #[error("`info` has no `pieces`, or it is not a string")]
    MissingPieces,
    /// The length of `pieces` is not a multiple of 20.
    #[error("`pieces` has {len} bytes, which is not a number of 20-byte digests")]
    PartialDigest {
        /// Bytes in `pieces`.
        len: usize,
    },
    /// There are more pieces than [`ParseOptions::max_pieces`](crate::ParseOptions::max_pieces).
    #[error("the torrent has {count} pieces, more than the {limit} allowed here: make it with a larger piece length")]
    TooManyPieces {
        /// Pieces the torrent has.
        count: usize,
        /// Pieces allowed.
        limit: usize,
    },
    /// `pieces` does not fit the length of the content.
    #[error("the number of pieces is {found}, but the content needs {expected}")]
    WrongPieceCount {
        /// Total length by piece length.
        expected: u64,
        /// Digests in `pieces`.
        found: usize,
    },
}

impl From<DecodeError> for ParseError {
    fn from(error: DecodeError) -> Self {
        match error.kind() {
            DecodeErrorKind::TooDeep { .. }
            | DecodeErrorKind::TooManyTokens { .. }
            | DecodeErrorKind::InputTooLong { .. } => Self::BeyondLimits(error),
            _ => Self::Bencode(error),
        }
    }
}
