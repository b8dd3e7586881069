//! The errors and warnings of creating a torrent.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::walk::SkippedFile;
use crate::{Hazard, Pattern, PieceLength, name};

/// Something that is put into a torrent and will give trouble on some machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CreateWarning {
    /// Some operating system cannot use the name, so that clients there change it.
    #[error("{path:?} cannot have this name on every machine: {hazard}")]
    NotPortable {
        /// The file or folder.
        path: PathBuf,
        /// The problem with its name.
        hazard: Hazard,
    },
    /// Two names in one folder differ in case only: on Windows and macOS they are one.
    #[error("{path:?} and {other:?} are one name to machines that ignore case")]
    CaseConflict {
        /// The file or folder.
        path: PathBuf,
        /// The name it is equal to.
        other: String,
    },
    /// Two names in one folder differ in their Unicode form only: on macOS they are one.
    #[error("{path:?} and {other:?} are one name to machines that ignore how accents are encoded; rename one of them")]
    UnicodeConflict {
        /// The file or folder.
        path: PathBuf,
        /// The name it is equal to.
        other: String,
    },
    /// The name is not in Unicode's composed form (NFC), which all keyboards and most systems write. Some change it to that
    /// form, and then do not find what the torrent names.
    #[error(
        "the name of {path:?} has accents or signs as separate characters (it is not in Unicode's form NFC); \
             some systems store it differently"
    )]
    NotNfc {
        /// The file or folder.
        path: PathBuf,
    },
    /// A pattern of [`Create::exclude`](crate::Create::exclude) matches nothing that would go in
    /// without it.
    #[error("the exclude pattern {pattern:?} matches nothing that would otherwise go in")]
    ExcludesNothing {
        /// The pattern.
        pattern: String,
    },
    /// A pattern of [`Create::include`](crate::Create::include) matches nothing that is not left out for another reason.
    #[error("the include pattern {pattern:?} matches nothing that would otherwise go in")]
    IncludesNothing {
        /// The pattern.
        pattern: String,
    },
}

impl CreateWarning {
    pub(crate) fn of_name(name: &str, path: impl Fn() -> PathBuf) -> impl Iterator<Item = Self> {
        let not_portable = name::portability(name).map(|hazard| Self::NotPortable { path: path(), hazard });
        let not_nfc = (!is_nfc(name)).then(|| Self::NotNfc { path: path() });
        not_portable.into_iter().chain(not_nfc)
    }

    pub(crate) fn of_unused_patterns<'p>(
        excludes: impl IntoIterator<Item = &'p Pattern>,
        includes: impl IntoIterator<Item = &'p Pattern>,
    ) -> impl Iterator<Item = Self> {
        let text = |pattern: &Pattern| pattern.as_str().to_owned();
        let excludes = excludes.into_iter().map(move |pattern| Self::ExcludesNothing { pattern: text(pattern) });
        let includes = includes.into_iter().map(move |pattern| Self::IncludesNothing { pattern: text(pattern) });
        excludes.chain(includes)
    }

    /// The warning for two names in one folder that are equal without case and Unicode forms.
    pub(crate) fn of_twins(path: PathBuf, name: &str, other: String) -> Self {
        if name.nfc().eq(other.nfc()) {
            Self::UnicodeConflict { path, other }
        } else {
            Self::CaseConflict { path, other }
        }
    }
}

/// The reason why a torrent could not be made.
///
/// Every message about a file names it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A file or folder could not be opened or read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file was there at first and is gone.
    #[error("{path:?} disappeared while it was being hashed")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A file grew or shrank.
    #[error("{path:?} changed while it was being hashed: it had {planned} bytes and has {found} now")]
    LengthChanged {
        /// The file.
        path: PathBuf,
        /// Its length when the plan was made.
        planned: u64,
        /// Its length after that.
        found: u64,
    },
    /// A file was written to, and has its old length.
    #[error("{path:?} was written to while it was being hashed")]
    Modified {
        /// The file.
        path: PathBuf,
    },
    /// A name is not UTF-8, which torrents demand.
    #[error("the name of {path:?} is not UTF-8 text")]
    NotUtf8 {
        /// The file or folder.
        path: PathBuf,
    },
    /// A name that clients refuse or take for something else.
    #[error("{path:?} has a name that cannot go into a torrent: {hazard}")]
    UnsafeName {
        /// The file or folder.
        path: PathBuf,
        /// The problem with its name.
        hazard: Hazard,
    },
    /// The path has no last component that could be the torrent's name, as `/`.
    #[error("{path:?} has no name that the torrent could have")]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
    /// Neither a file nor a folder.
    #[error("{path:?} is neither a file nor a folder")]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// There is not a single byte to share.
    #[error("{path:?} holds nothing to share")]
    Empty {
        /// The path as given.
        path: PathBuf,
        /// The files below it that are left out.
        skipped: Vec<SkippedFile>,
        /// The patterns that match nothing, if any.
        unused: Vec<CreateWarning>,
    },
    /// Folders within folders deeper than clients read.
    #[error("{path:?} lies deeper than {limit} folders within each other")]
    TooDeep {
        /// The innermost folder.
        path: PathBuf,
        /// The most folders within each other.
        limit: usize,
    },
    /// More files than a torrent can usefully name.
    #[error("there are more than {limit} files")]
    TooManyFiles {
        /// The most files.
        limit: usize,
    },
    /// The files and their paths make more values of bencode than readers of .torrent files take.
    #[error(
        "{files} files with their paths are too many for one torrent, which has room for {limit} values; \
         share fewer at once, or packed into an archive"
    )]
    TooManyValues {
        /// The number of files.
        files: usize,
        /// The number of their values: five for a file, and one for each component of its path.
        values: usize,
        /// The most values.
        limit: usize,
    },
    /// The pieces are too small for so much content.
    #[error(
        "pieces of {piece_length} make {pieces} of them, more than the {limit} that clients read; \
         choose a larger piece length"
    )]
    TooManyPieces {
        /// The piece length asked for.
        piece_length: PieceLength,
        /// The number of pieces it would make.
        pieces: u64,
        /// The most pieces.
        limit: u64,
    },
    /// The flag to cancel was set.
    #[error("cancelled")]
    Cancelled,
}

impl CreateError {
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Unreadable { path, source }
    }
}
