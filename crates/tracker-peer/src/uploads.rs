//! The torrents that are seeded.

mod outbox;
mod totals;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer_wire::{Block, Pieces};
use tracker_core::InfoHash;
use tracker_host::UploadLimit;

use self::totals::Totals;
use crate::planner::ConnectionId;
use crate::spreader::{Action, Spreader};
use crate::{Content, Seeding, Uploaded};

pub(crate) use outbox::Outbox;

/// The torrents that are seeded, and what was sent of them. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seeding: Option<Seeding>,
    torrents: Mutex<HashMap<InfoHash, Arc<Upload>>>,
    totals: Arc<Mutex<Totals>>,
}

impl Uploads {
    /// No torrents yet; none ever if `seeding` is `None`.
    pub(crate) fn new(seeding: Option<Seeding>) -> Self {
        Self(Arc::new(Inner { seeding, torrents: Mutex::default(), totals: Arc::default() }))
    }

    /// Seeds this content of a torrent from now on instead of the one before, or nothing. Returns `true` if that is a change.
    pub(crate) fn set_content(&self, now: Duration, info_hash: InfoHash, content: Option<Arc<dyn Content>>) -> bool {
        let Some(seeding) = &self.0.seeding else { return false };
        let mut torrents = self.torrents();
        let before = torrents.get(&info_hash);
        let is_same = match (before, &content) {
            (None, None) => true,
            (Some(before), Some(content)) => Arc::ptr_eq(&before.content, content),
            _ => false,
        };
        if is_same {
            return false;
        }
        let before = match content {
            Some(content) => {
                let upload = Upload::new(info_hash, content, seeding, Arc::clone(&self.0.totals));
                torrents.insert(info_hash, Arc::new(upload))
            }
            None => torrents.remove(&info_hash),
        };
        drop(torrents);
        if let Some(before) = before {
            before.end(now);
        }
        true
    }

    pub(crate) fn get(&self, info_hash: &InfoHash) -> Option<Arc<Upload>> {
        self.torrents().get(info_hash).cloned()
    }

    /// Does what is due in all torrents.
    pub(crate) fn handle_timeout(&self, now: Duration) {
        let torrents: Vec<_> = self.torrents().values().cloned().collect();
        torrents.iter().for_each(|upload| upload.handle_timeout(now));
    }

    /// Returns `true` if a torrent is seeded now.
    pub(crate) fn is_seeding(&self, info_hash: &InfoHash) -> bool {
        self.get(info_hash).is_some_and(|upload| !upload.is_over())
    }

    /// What was sent of a torrent.
    pub(crate) fn uploaded(&self, info_hash: &InfoHash) -> Uploaded {
        let (bytes, to) = lock(&self.0.totals).of(info_hash);
        Uploaded { bytes, to }
    }

    fn torrents(&self) -> MutexGuard<'_, HashMap<InfoHash, Arc<Upload>>> {
        lock(&self.0.torrents)
    }
}

/// A torrent that is seeded.
#[derive(Debug)]
pub(crate) struct Upload {
    info_hash: InfoHash,
    content: Arc<dyn Content>,
    limit: Option<UploadLimit>,
    totals: Arc<Mutex<Totals>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    spreader: Spreader<ConnectionId>,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    /// `true` when nothing of the content is sent any more.
    is_over: bool,
}

impl Upload {
    fn new(info_hash: InfoHash, content: Arc<dyn Content>, seeding: &Seeding, totals: Arc<Mutex<Totals>>) -> Self {
        let mut spreader = Spreader::new(content.layout(), &mut rand::rng());
        spreader.set_slots(Duration::ZERO, seeding.slots);
        let state = State { spreader, outboxes: HashMap::new(), is_over: false };
        Self { info_hash, content, limit: seeding.upload_limit.clone(), totals, state: Mutex::new(state) }
    }

    pub(crate) fn content(&self) -> &Arc<dyn Content> {
        &self.content
    }

    pub(crate) fn limit(&self) -> Option<&UploadLimit> {
        self.limit.as_ref()
    }

    /// Returns `true` if nothing of the content is to be sent any more.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).is_over
    }

    /// Ends it: requests that wait are rejected, and nobody is answered any more.
    pub(crate) fn end(&self, now: Duration) {
        self.change(now, Spreader::handle_ended);
        lock(&self.state).is_over = true;
    }

    fn handle_timeout(&self, now: Duration) {
        if lock(&self.state).spreader.poll_timeout().is_some_and(|at| at <= now) {
            self.change(now, Spreader::handle_timeout);
        }
    }

    /// Changes the spreader's state, and hands out what is to be done then.
    fn change(&self, now: Duration, change: impl FnOnce(&mut Spreader<ConnectionId>, Duration)) {
        let State { spreader, outboxes, is_over } = &mut *lock(&self.state);
        if *is_over {
            return;
        }
        change(spreader, now);
        while let Some(action) = spreader.poll_action() {
            let (Action::Reveal { connection, .. }
            | Action::Unchoke { connection }
            | Action::Choke { connection }
            | Action::Serve { connection, .. }
            | Action::Reject { connection, .. }) = action;
            if let Some(outbox) = outboxes.get(&connection) {
                outbox.push(action);
            }
        }
    }
}

/// A connection to a peer that may get something of a torrent that is seeded, until this is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    upload: Arc<Upload>,
    connection: ConnectionId,
    /// Where the tracker keeps the peer.
    address: SocketAddr,
    outbox: Arc<Outbox>,
}

impl Receiver {
    /// A peer that has these pieces. `is_fast` says that both sides have the fast extension.
    pub(crate) fn join(
        upload: Arc<Upload>,
        now: Duration,
        connection: ConnectionId,
        address: SocketAddr,
        is_fast: bool,
        pieces: &Pieces,
    ) -> Self {
        let outbox = Arc::new(Outbox::default());
        lock(&upload.state).outboxes.insert(connection, Arc::clone(&outbox));
        upload.change(now, |spreader, now| {
            spreader.handle_joined(now, connection, is_fast, pieces.bitfield().as_deref());
        });
        Self { upload, connection, address, outbox }
    }

    pub(crate) fn upload(&self) -> &Arc<Upload> {
        &self.upload
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The peer has these pieces.
    pub(crate) fn handle_pieces(&self, now: Duration, pieces: &Pieces) {
        if let Some(bitfield) = pieces.bitfield() {
            self.upload.change(now, |spreader, now| spreader.handle_bitfield(now, self.connection, &bitfield));
        }
    }

    pub(crate) fn handle_interested(&self, now: Duration, is_interested: bool) {
        self.upload.change(now, |spreader, now| spreader.handle_interested(now, self.connection, is_interested));
    }

    pub(crate) fn handle_request(&self, now: Duration, block: Block) {
        self.upload.change(now, |spreader, now| spreader.handle_request(now, self.connection, block));
    }

    pub(crate) fn handle_cancel(&self, now: Duration, block: Block) {
        self.upload.change(now, |spreader, now| spreader.handle_cancel(now, self.connection, block));
    }

    /// So many bytes of blocks have left.
    pub(crate) fn handle_sent(&self, now: Duration, bytes: u32) {
        if bytes > 0 {
            lock(&self.upload.totals).add(self.upload.info_hash, self.address, bytes.into());
        }
        self.upload.change(now, |spreader, now| spreader.handle_sent(now, self.connection, bytes));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let upload = &self.upload;
        lock(&upload.state).outboxes.remove(&self.connection);
        // Time that goes back stands still.
        upload.change(Duration::ZERO, |spreader, now| spreader.handle_left(now, self.connection));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
