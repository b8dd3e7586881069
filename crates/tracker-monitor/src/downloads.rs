//! What this machine sends over HTTP, and the counts of what it sends at all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use torrent_library::{Content, ContentId, ContentKey, displayable};

use crate::Computers;
use crate::lesson::{Sent, Wanted};
use crate::ranges::RangeSet;

/// What this machine sends over HTTP: the downloads of browsers, and what BitTorrent clients fetch from it as a web seed. Cheap
/// to clone; all clones are one.
///
/// It remembers which bytes of a file or folder each computer was sent, so that a download in a browser that was interrupted and
/// resumed counts when the last missing byte was sent, and a look of a video player at the end of a file does not. A byte counts
/// as sent when it was handed over to be sent: up to some megabytes of it may still be on their way.
///
/// ```no_run
/// # use std::sync::Arc;
/// use torrent_library::Content;
/// use tracker_monitor::{Downloads, TransferPart, Transfer, Way};
///
/// # fn send(downloads: &Downloads, content: Arc<Content>) {
/// let whole = TransferPart::File { index: 0, range: 0..content.size() };
/// let len = content.size();
/// let transfer = downloads.begin(Transfer { remote: [192, 168, 1, 7].into(), content, part: whole, len, way: Way::Browser });
/// transfer.sent(len);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Downloads(Computers);

/// A transfer that begins.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The address of the computer.
    pub remote: IpAddr,
    /// The file or folder.
    pub content: Arc<Content>,
    /// What of it is sent.
    pub part: TransferPart,
    /// The number of bytes to be sent: that of the range, or of the archive.
    pub len: u64,
    /// Who gets it.
    pub way: Way,
}

/// What of a content is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferPart {
    /// A part of one of its files.
    File {
        /// The file's place in [`Content::files`].
        index: usize,
        /// The part, in bytes.
        range: Range<u64>,
    },
    /// An archive of all its files.
    Archive,
    /// An archive of some of its files, by their places in [`Content::files`].
    ArchiveOf(Vec<usize>),
}

/// By which way a computer gets something over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Way {
    /// A browser, or another program that downloads files.
    Browser,
    /// A BitTorrent client that fetches pieces ([BEP 19](https://www.bittorrent.org/beps/bep_0019.html)).
    WebSeed,
}

/// Bytes that this machine has sent to other computers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BytesSent {
    /// To BitTorrent clients, by the tracker's own peer: over TCP.
    pub peer: u64,
    /// To BitTorrent clients that use this machine as a web seed: over HTTP.
    pub web_seed: u64,
    /// To browsers.
    pub browser: u64,
}

impl BytesSent {
    /// By all ways.
    pub fn total(self) -> u64 {
        self.peer.saturating_add(self.web_seed).saturating_add(self.browser)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            peer: self.peer.saturating_add(other.peer),
            web_seed: self.web_seed.saturating_add(other.web_seed),
            browser: self.browser.saturating_add(other.browser),
        }
    }
}

/// What this machine sends of all files together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TransferTotals {
    /// Transfers to browsers over HTTP in progress.
    pub browser: u64,
    /// Transfers to BitTorrent clients over HTTP in progress.
    pub web_seed: u64,
    /// Bytes sent since the program began.
    pub bytes: BytesSent,
}

/// A transfer in progress. It ends when this is dropped; it is complete if [all bytes](Transfer::len) were sent by then.
#[derive(Debug)]
#[must_use = "the transfer ends when this is dropped"]
pub struct TransferHandle {
    running: Arc<Running>,
    downloads: Downloads,
}

/// The transfers in progress.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    running: Mutex<HashMap<u64, Arc<Running>>>,
    next: AtomicU64,
    /// Bytes sent since the program began, to whomever.
    browser_bytes: AtomicU64,
    web_seed_bytes: AtomicU64,
}

/// The state of a transfer in progress.
#[derive(Debug)]
pub(crate) struct Running {
    number: u64,
    pub(crate) address: IpAddr,
    pub(crate) way: Way,
    pub(crate) content: ContentId,
    pub(crate) name: String,
    /// In bytes, of all files.
    pub(crate) size: u64,
    len: u64,
    parts: Parts,
    /// Bytes sent.
    sent: AtomicU64,
    /// Bytes of them that were taken in.
    recorded: AtomicU64,
}

/// The bytes of a content that a transfer sends, its files one behind the other.
#[derive(Debug)]
enum Parts {
    /// This part of a file, from its start on.
    Range { range: Range<u64>, file: Range<u64> },
    /// These, which are there when all was sent.
    Archive(RangeSet),
}

impl Downloads {
    pub(crate) fn new(computers: Computers) -> Self {
        Self(computers)
    }

    /// A transfer begins.
    pub fn begin(&self, transfer: Transfer) -> TransferHandle {
        let Transfer { remote, content, part, len, way } = transfer;
        let running = Running {
            number: self.transfers().next.fetch_add(1, Ordering::Relaxed),
            address: remote.to_canonical(),
            way,
            content: content.id(),
            name: displayable(content.name()),
            size: content.size(),
            len,
            parts: Parts::new(&content, part),
            sent: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
        };
        let running = Arc::new(running);
        self.transfers().running().insert(running.number, Arc::clone(&running));
        self.0.transfer_begins(&running);
        TransferHandle { running, downloads: self.clone() }
    }

    /// The number of downloads by browsers that are in progress. Several transfers of one content to one computer are one.
    pub fn running(&self) -> usize {
        let running = self.transfers().running();
        let browsers = running.values().filter(|running| running.way == Way::Browser);
        let mut downloads: Vec<_> = browsers.map(|running| (running.address, running.content)).collect();
        downloads.sort_unstable();
        downloads.dedup();
        downloads.len()
    }

    /// All transfers in progress, and the bytes that were sent since the program began, to this machine, too. Those of the tracker's
    /// own peer are up to a second old.
    pub fn totals(&self) -> TransferTotals {
        let transfers = self.transfers();
        let of_way = |way| transfers.running().values().filter(|running| running.way == way).count() as u64;
        let bytes = BytesSent {
            browser: transfers.browser_bytes.load(Ordering::Relaxed),
            web_seed: transfers.web_seed_bytes.load(Ordering::Relaxed),
            peer: self.0.uploaded(),
        };
        TransferTotals { browser: of_way(Way::Browser), web_seed: of_way(Way::WebSeed), bytes }
    }

    /// Bytes of the file or folder with this key that were sent in this lesson.
    pub fn sent(&self, key: ContentKey) -> BytesSent {
        self.0.look(|look| look.file(key).map(|file| file.sent(look.roster))).unwrap_or_default()
    }

    fn transfers(&self) -> &Transfers {
        self.0.transfers()
    }
}

impl TransferHandle {
    /// So many more bytes were sent.
    pub fn sent(&self, bytes: u64) {
        self.running.sent.fetch_add(bytes, Ordering::Relaxed);
        let Transfers { browser_bytes, web_seed_bytes, .. } = self.downloads.transfers();
        let total = match self.running.way {
            Way::Browser => browser_bytes,
            Way::WebSeed => web_seed_bytes,
        };
        total.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for TransferHandle {
    fn drop(&mut self) {
        self.downloads.transfers().running().remove(&self.running.number);
        self.downloads.0.transfer_ends(&self.running);
    }
}

impl Transfers {
    /// Those in progress.
    pub(crate) fn all(&self) -> Vec<Arc<Running>> {
        self.running().values().cloned().collect()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// What was sent since the last call.
    pub(crate) fn take(&self) -> Sent {
        let sent = self.sent.load(Ordering::Relaxed);
        let recorded = self.recorded.fetch_max(sent, Ordering::Relaxed);
        let ranges = match &self.parts {
            Parts::Range { range, .. } => (range.start..range.end.min(range.start.saturating_add(sent))).into(),
            Parts::Archive(ranges) if sent >= self.len => ranges.clone(),
            Parts::Archive(_) => RangeSet::default(),
        };
        Sent { way: self.way, bytes: sent.saturating_sub(recorded), ranges }
    }

    /// The files that it is there to get.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        match &self.parts {
            Parts::Range { file, .. } => Wanted::File(file.clone()),
            Parts::Archive(ranges) => Wanted::Archive(ranges),
        }
    }

    /// Bytes of files in an archive that is not whole yet: about.
    pub(crate) fn in_flight(&self) -> u64 {
        let sent = self.sent.load(Ordering::Relaxed);
        match &self.parts {
            Parts::Archive(_) if sent < self.len && self.way == Way::Browser => sent,
            Parts::Archive(_) | Parts::Range { .. } => 0,
        }
    }
}

impl Parts {
    fn new(content: &Content, part: TransferPart) -> Self {
        let files = content.files();
        match part {
            TransferPart::File { index, range } => {
                let before: u64 = files.iter().take(index).map(|file| file.size()).sum();
                let file = before..before.saturating_add(files.get(index).map_or(0, |file| file.size()));
                Self::Range { range: before.saturating_add(range.start)..before.saturating_add(range.end), file }
            }
            TransferPart::Archive => Self::Archive((0..content.size()).into()),
            TransferPart::ArchiveOf(mut indices) => {
                indices.sort_unstable();
                indices.dedup();
                let (mut ranges, mut before, mut place) = (RangeSet::default(), 0, 0);
                for index in indices {
                    let Some(file) = files.get(index) else { continue };
                    before += files[place..index].iter().map(|file| file.size()).sum::<u64>();
                    place = index;
                    ranges.insert(before..before + file.size(), usize::MAX);
                }
                Self::Archive(ranges)
            }
        }
    }
}
