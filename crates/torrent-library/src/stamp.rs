//! What tells one state of a file from another.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// Two changes in this time may leave the same stamp: FAT counts in seconds, by two.
const RESOLUTION: Duration = Duration::from_secs(2);

/// What tells one state of a file from another, without reading it.
///
/// The time of change is looked at and not waited for, which holds good on every file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    modified: SystemTime,
    /// Device and inode, which change when another file takes the name.
    #[cfg(unix)]
    identity: (u64, u64),
    /// When the inode changed, which nobody can set: a copy may carry the time of its original.
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn new(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            len: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            #[cfg(unix)]
            identity: (metadata.dev(), metadata.ino()),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file may still change and keep its stamp, since it has just been written.
    pub(super) fn is_fresh(&self) -> bool {
        self.modified.elapsed().map_or(true, |age| age < RESOLUTION)
    }
}
