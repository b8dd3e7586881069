//! Reading, editing, creating and verifying .torrent files, and magnet links.
//!
//! A .torrent file ("metainfo") names content by the hash of its `info` dictionary and says where
//! to find peers. [`Metainfo::parse`] reads one:
//!
//! ```
//! use metainfo::Metainfo;
//!
//! let torrent = b"d8:announce33:http://192.168.1.10:6969/announce4:infod6:lengthi5e\
//!     4:name9:notes.txt12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
//! let metainfo = Metainfo::parse(torrent)?;
//!
//! assert_eq!(metainfo.trackers(), [["http://192.168.1.10:6969/announce"]]);
//! assert_eq!(metainfo.info().files()[0].safe_path()?.to_str(), Some("notes.txt"));
//! assert_eq!(
//!     metainfo.info_hashes().v1.map(|hash| hash.to_string()).as_deref(),
//!     Some("9997ad19d3094e74f6dc2bb79f5cb44fe766366f"),
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Parsing is pure: bytes in, data out. v1 torrents and the v1 side of hybrids are read, with both
//! info-hashes; a v2-only torrent is reported as such ([`ParseError::V2Only`]).
//!
//! The names in a torrent come from strangers and may be hostile. They are kept as they stand; the
//! only ways to get a path that can be opened are [`File::safe_path`], which refuses everything
//! that could do harm, and [`Info::sanitized_paths`], which replaces it.
//!
//! [`Metainfo::edit`] changes trackers, comments and other keys around the same content, [`Magnet`] is a link to it,
//! [`Create`] makes a torrent of files, and [`Verify`] compares files with a torrent.

mod create;
mod edit;
mod file;
mod hash;
mod info;
mod info_hash;
mod keys;
mod magnet;
mod metainfo;
mod name;
mod parse;
mod path;
mod pattern;
mod piece_length;
mod pieces;
mod sanitize;
mod verify;
mod walk;
mod write;

pub use create::{Create, CreateError, CreateWarning, Created, Plan};
pub use edit::Edit;
pub use file::{Attributes, File};
pub use hash::Progress;
pub use info::Info;
pub use info_hash::{InfoHashV1, InfoHashV2, InfoHashes, ParseInfoHashError};
pub use magnet::{DroppedParameter, Magnet, ParseMagnetError};
pub use metainfo::{Metainfo, Warning};
pub use parse::{ConflictingPaths, ParseError, ParseOptions};
pub use path::{Hazard, UnsafePath, is_invisible};
pub use pattern::{ParsePatternError, Pattern};
pub use piece_length::{PieceLength, PieceLengthError};
pub use pieces::Pieces;
pub use sanitize::portable_name;
pub use verify::{FileReport, FileStatus, Report, Verify, VerifyError};
pub use walk::{PlannedFile, SkipReason, SkippedFile};
pub use write::{Existing, folder_of, rewrite_file, write_file, write_secret_file};
