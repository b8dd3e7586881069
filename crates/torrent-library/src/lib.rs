//! The torrents that a tracker knows by their .torrent files, and the folder of what they are made of.
//!
//! - [`Library`] holds the .torrent files that are known, and follows a folder of them.
//! - [`Share`] is the folder of content; [`TorrentJobs`] makes torrents of what is in it, and [`Digests`] computes the SHA-256 of
//!   its files.
//! - [`Content`] is what is shared: a file or folder of the share folder, as it was when it was listed, to be opened and sent;
//!   [`Contents`] finds it by its id or the key of a swarm, a [`Zip`] is a folder of it in one file, and a [`PieceReader`] reads the
//!   pieces of its torrent.
//! - [`SharedFolder`] follows the share folder, so that all that is put into it is listed, hashed and registered by itself.
//! - [`TorrentLists`] is the policy of a tracker that serves only known torrents, or those in an allow list, or all but those in
//!   a deny list; it keeps the policy of [`tracker_core::Shards`] up to date. Nothing else here changes a tracker.

mod content;
mod contents;
mod creation;
mod digest;
mod folder;
mod known;
mod library;
mod list_file;
mod lists;
mod natural;
mod open_beneath;
mod piece_reader;
mod read_file;
mod replace_file;
mod share;
mod shared_folder;
mod stamp;
mod torrent_job;
mod worker;
mod zip;

/// The target of log lines about what the operator does in the share folder. The log that viewers see leaves them out.
pub const OPERATOR_LOG: &str = "operator";

pub use content::{Content, ContentError, ContentFile, ContentId, OpenError, ParseContentIdError, SharedFile};
pub use contents::{ContentKey, Contents, Damage, ParseContentKeyError};
pub use digest::{Digest, Digests};
pub use known::{KnownFile, KnownTorrent, KnownTorrents, TorrentUrls, displayable};
pub use library::{Library, LibraryConfig, LibraryError, RegisterError, RemoveError};
pub use lists::{ListError, ListProblems, PolicyUpdates, TorrentLists};
pub use natural::natural_key;
pub use piece_reader::{OtherFilesError, PieceReader, ReadError};
pub use read_file::{ReadFileError, read_file};
pub use replace_file::{is_temporary, replace_file, replace_secret_file, rewrite_file};
pub use share::{Listing, ListingEntry, Share, ShareError};
pub use shared_folder::{
    HashProgress, ItemState, PassedOver, PassedOverReason, SharedFolder, SharedFolderConfig, SharedItem, SharedItems,
};
pub use stamp::{Due, Stamp, WatchedFile};
pub use torrent_job::{JobState, MakeError, TorrentJob, TorrentJobs};
pub use zip::{Zip, ZipError, ZipReader};
