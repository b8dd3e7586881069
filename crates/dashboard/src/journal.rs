//! The last log lines, for those who look at the page.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tracing::Level;
use tracker_core::InfoHash;

/// The last log lines of the program, [`MAX_ENTRIES`](Self::MAX_ENTRIES) at most. Cheap to clone; all clones are one.
///
/// It is filled by its [`layer`](Self::layer), so that the page shows what the log shows.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    changed: watch::Sender<u64>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Counts up from 1, without gaps.
    pub id: u64,
    /// When.
    pub at: SystemTime,
    /// How important it is.
    pub level: Level,
    /// What happened.
    pub message: String,
    /// The torrent it is about, of the field `info_hash`.
    pub info_hash: Option<InfoHash>,
    /// The address it is about, of the field `address` or `remote`.
    pub address: Option<String>,
    /// All other fields, in their order.
    pub fields: Vec<(&'static str, String)>,
}

/// Which lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFilter {
    /// Those of this level and of more important ones.
    pub level: Level,
    /// Those about this torrent.
    pub info_hash: Option<InfoHash>,
    /// Those whose address contains this.
    pub address: Option<String>,
}

/// Fills a [`Journal`] from `tracing`.
#[derive(Debug)]
pub struct JournalLayer(Journal);

impl Journal {
    /// Lines that are kept, at most. Older ones are forgotten.
    pub const MAX_ENTRIES: usize = 10_000;

    /// An empty one.
    pub fn new() -> Self {
        Self(Arc::new(Inner { changed: watch::Sender::new(0) }))
    }

    /// What puts lines into it.
    pub fn layer(&self) -> JournalLayer {
        JournalLayer(self.clone())
    }

    /// The last `limit` lines that pass the filter and have a larger id than `after`, oldest first.
    pub fn entries(&self, filter: &JournalFilter, after: u64, limit: usize) -> Vec<JournalEntry> {
        _ = (filter, after, limit);
        Vec::new()
    }

    /// The id of the last line, as it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for JournalLayer {}
