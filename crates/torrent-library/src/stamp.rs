//! The stamp of a file.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Two changes within this time may leave the same stamp: FAT has a resolution of two seconds.
const RESOLUTION: Duration = Duration::from_secs(2);

/// Tells whether a file has changed, without reading it.
///
/// Device and inode do not count: some file systems, such as FAT and several of FUSE, give other ones to a file that has not
/// changed. Files are polled, since not every file system notifies of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub(super) len: u64,
    pub(super) modified: SystemTime,
    /// The time of the last change of the inode, in seconds and nanoseconds, which no program can set: a copy may keep the time
    /// of its original, and another file may take its name. Zero on systems that do not have it.
    pub(super) changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file at this path. `None` when there is no such file.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::new(&metadata))
    }

    pub(super) fn new(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            len: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            #[cfg(not(unix))]
            changed: (0, 0),
        }
    }

    /// The time of the last modification in nanoseconds since 1970, negative before.
    pub(super) fn modified_nanos(&self) -> i128 {
        let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        match self.modified.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        }
    }

    /// The stamp as an entity tag of HTTP, with its quotes.
    pub(super) fn etag(&self) -> String {
        format!("\"{:x}-{}-{}.{}\"", self.len, self.modified_nanos(), self.changed.0, self.changed.1)
    }

    /// Returns `true` if the file may change again and keep its stamp, since it was written a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        self.modified.elapsed().map_or(true, |age| age < RESOLUTION)
    }
}

/// A file that is read again when it has changed and settled.
///
/// A change counts once the file was found unchanged at the next look, so that a file that is being written is not read. It
/// also notices editors that put a new file in the place of the old one, and a file that is gone for a while.
#[derive(Debug, Default)]
pub struct WatchedFile {
    /// The stamp at the last look. `None` when there was no such file.
    seen: Option<Stamp>,
    /// The stamp when it was read.
    read: Option<Stamp>,
    /// `true` to read it again even if it has not changed: what prevented it (permissions, a disk, no room) may change and leave
    /// the stamp as it is.
    pub(super) retry: bool,
}

/// Why a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has changed, and does not change any more.
    Changed,
    /// It could not be read the last time.
    Retry,
}

impl WatchedFile {
    /// A file that was seen and not read yet: the first look at it counts as the second.
    pub(super) fn seen(stamp: Option<Stamp>) -> Self {
        Self { seen: stamp, read: None, retry: false }
    }

    /// A file that was read, or written, in this state.
    pub fn read(stamp: Option<Stamp>) -> Self {
        Self { seen: stamp, read: stamp, retry: false }
    }

    /// Takes in a look at the file. If the file is to be read now, this counts as done.
    pub fn look(&mut self, now: Option<Stamp>) -> Option<Due> {
        let settled = now == self.seen;
        self.seen = now;
        let is_read = now == self.read;
        if !settled || (is_read && !self.retry) {
            return None;
        }
        self.read = now;
        Some(if is_read { Due::Retry } else { Due::Changed })
    }

    /// Has the file read again at the next look, also if it has not changed, until this is set to `false`.
    pub fn set_retry(&mut self, retry: bool) {
        self.retry = retry;
    }

    /// Returns `true` if the file is as it was when it was read.
    pub fn is_unchanged(&self, now: Option<Stamp>) -> bool {
        now == self.read
    }
}
