//! What the tracker's own peer seeds: torrents whose content is in the share folder.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use torrent_library::{Content, Contents, KnownTorrent, Library, OPERATOR_LOG, OpenError, PieceReader, ReadError};
use tracker_core::InfoHash;
use tracker_peer::spreader::Layout;
use tracker_peer::{Block, ContentError};

/// What could not be read is tried again after this time: the disk may be back, or the program have fewer files open.
const RETRY: Duration = Duration::from_secs(60);

/// The torrents whose content is there to be seeded.
#[derive(Debug)]
pub(crate) struct SeededTorrents {
    library: Library,
    contents: Contents,
    library_changes: watch::Receiver<u64>,
    content_changes: watch::Receiver<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the torrent's info-hash. Of a hybrid, both swarms have the same.
    seeded: HashMap<InfoHash, Arc<SeededTorrent>>,
    /// The changes of library and contents, together, for which this was tidied up last.
    tidied: u64,
    /// Counts what is to be tried again.
    retries: u64,
}

/// A torrent and its content, of which pieces are checked before they are given.
#[derive(Debug)]
pub(crate) struct SeededTorrent {
    reader: PieceReader,
    layout: Layout,
    contents: Contents,
    /// Set once something could not be read: from this time on it may be tried anew.
    retry: OnceLock<Instant>,
}

impl SeededTorrents {
    pub(crate) fn new(library: Library, contents: Contents) -> Self {
        let (library_changes, content_changes) = (library.changes(), contents.changes());
        Self { library, contents, library_changes, content_changes, state: Mutex::default() }
    }

    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The torrent with this swarm and its content, if that is to be seeded. It is the same one as long as torrent and content are
    /// the same, so that each piece is checked once, and all that was read could be.
    pub(crate) fn get(&self, swarm_key: &InfoHash) -> Option<Arc<SeededTorrent>> {
        let torrent = self.library.get(swarm_key)?;
        let content = self.contents.to_seed(swarm_key)?;
        let mut state = self.state();
        let known = state.seeded.get(&torrent.info_hash).filter(|seeded| seeded.is_of(&torrent, &content));
        if let Some(known) = known {
            match known.retry.get() {
                None => return Some(Arc::clone(known)),
                Some(retry) if Instant::now() < *retry => return None,
                Some(_) => {}
            }
        }
        let info_hash = torrent.info_hash;
        let is_retry = known.is_some();
        let seeded = Arc::new(SeededTorrent::new(torrent, content, self.contents.clone())?);
        state.seeded.insert(info_hash, Arc::clone(&seeded));
        // Whoever has the one before is told that there is another.
        state.retries += u64::from(is_retry);
        Some(seeded)
    }

    /// A number that changes when [`get`](Self::get) may return something else. To be called once a second: what is not seeded any
    /// more is let go, and files that are not read are closed.
    pub(crate) fn version(&self) -> u64 {
        let changes = self.library_changes.borrow().wrapping_add(*self.content_changes.borrow());
        let mut state = self.state();
        let State { seeded, tidied, retries } = &mut *state;
        if *tidied != changes {
            *tidied = changes;
            seeded.retain(|info_hash, seeded| {
                let torrent = self.library.get(info_hash);
                let content = torrent.as_ref().and_then(|_| self.contents.to_seed(info_hash));
                torrent.zip(content).is_some_and(|(torrent, content)| seeded.is_of(&torrent, &content))
            });
        }
        let now = Instant::now();
        let before = seeded.len();
        seeded.retain(|_, seeded| seeded.retry.get().is_none_or(|retry| now < *retry));
        *retries += (before - seeded.len()) as u64;
        seeded.values().for_each(|seeded| seeded.reader.close_unused());
        changes.wrapping_add(*retries)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeededTorrent {
    /// `None` if it cannot be seeded: it is of other files than the content, or has only v2's hashes.
    fn new(torrent: Arc<KnownTorrent>, content: Arc<Content>, contents: Contents) -> Option<Self> {
        let info = torrent.metainfo.info();
        let layout = Layout::new(info.total_length(), info.piece_length()).ok();
        let layout = layout.filter(|layout| layout.count() as usize == info.pieces().len())?;
        let reader = PieceReader::new(torrent, content).ok()?;
        Some(Self { reader, layout, contents, retry: OnceLock::new() })
    }

    fn is_of(&self, torrent: &Arc<KnownTorrent>, content: &Arc<Content>) -> bool {
        Arc::ptr_eq(self.reader.torrent(), torrent) && Arc::ptr_eq(self.reader.content(), content)
    }

    /// Withdraws the content, or lets it be tried again later, and says so once.
    fn failed(&self, error: &ReadError) {
        let content = self.reader.content();
        let (id, name) = (content.id(), content.name());
        let mut retry = Instant::now();
        match error {
            ReadError::Damaged { piece } => {
                if self.contents.report_damaged(id) {
                    tracing::error!(
                        target: OPERATOR_LOG,
                        name,
                        piece,
                        "{name} is damaged: a part of it is not what it was when it was shared, although the file seems unchanged. \
                         Nothing of it is sent. Put the right file in its place, or press “Check again” on its page"
                    );
                }
            }
            // The share folder says what becomes of it.
            ReadError::File { source: OpenError::Changed | OpenError::Gone, .. } => self.contents.report_changed(id),
            error => {
                retry += RETRY;
                if self.retry.get().is_none() {
                    tracing::warn!(target: OPERATOR_LOG, name, "cannot give {name}: {error}; it is tried again in a minute");
                }
            }
        }
        // Others may have failed before.
        _ = self.retry.set(retry);
    }
}

impl tracker_peer::Content for SeededTorrent {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn read(&self, block: Block, into: &mut [u8]) -> Result<(), ContentError> {
        self.reader.read(block.piece, block.begin, into).map_err(|error| {
            self.failed(&error);
            ContentError
        })
    }
}

#[cfg(test)]
mod tests;
