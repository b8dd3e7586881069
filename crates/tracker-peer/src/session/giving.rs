//! What a connection gives to its peer.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use peer_wire::mse::Ciphers;
use peer_wire::{Block, Connection, Pieces};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tracker_core::AddressGroup;
use tracker_host::UploadLimit;

use super::blocks::{BlockQueue, ReadBlocks};
use crate::ContentError;
use crate::spreader::Action;
use crate::uploads::{Receiver, Upload};

/// The time after which a peer is given up that takes nothing of the blocks that it has requested.
const TAKING_TIMEOUT: Duration = Duration::from_secs(60);

/// What a connection gives to its peer: a torrent's pieces, as the torrent's spreader says.
#[derive(Debug)]
pub(super) struct Giving {
    /// `None` when the torrent is not seeded any more, and what has begun is sent to its end.
    receiver: Option<Receiver>,
    /// Blocks that are to be read.
    requested: VecDeque<Block>,
    reading: Option<Reading>,
    queue: BlockQueue,
    /// The peer's share of the upload limit.
    group: AddressGroup,
    /// Bytes that may be sent by the upload limit.
    credit: u64,
    grant: Option<Grant>,
    /// When the peer last took something, or had nothing to take.
    taken_at: Instant,
}

/// Blocks that are being read.
#[derive(Debug)]
struct Reading {
    blocks: VecDeque<Block>,
    job: JoinHandle<Result<ReadBlocks, ContentError>>,
}

/// The wait for bytes that may be sent.
struct Grant(Pin<Box<dyn Future<Output = u64> + Send + Sync>>);

/// What has happened that [`Giving`] waited for.
#[derive(Debug)]
pub(super) enum Ready {
    /// The spreader wants something.
    Actions,
    /// Blocks were read, or cannot be.
    Read(Result<ReadBlocks, ContentError>),
    /// So many more bytes may be sent.
    Granted(u64),
    /// The peer takes nothing.
    Timeout,
}

impl Giving {
    pub(super) fn new(group: AddressGroup) -> Self {
        Self {
            receiver: None,
            requested: VecDeque::new(),
            reading: None,
            queue: BlockQueue::default(),
            group,
            credit: 0,
            grant: None,
            taken_at: Instant::now(),
        }
    }

    /// Gives what this receiver is given from now on, instead of what was given before.
    pub(super) fn set_receiver(&mut self, now: Duration, connection: &mut Connection, receiver: Option<Receiver>) {
        // Its last actions.
        self.act(now, connection);
        self.drop_requested(now, connection);
        connection.take_requests(now, receiver.is_some());
        self.receiver = receiver;
    }

    pub(super) fn receiver(&self) -> Option<&Receiver> {
        self.receiver.as_ref()
    }

    /// The peer has these pieces.
    pub(super) fn handle_pieces(&self, now: Duration, pieces: &Pieces) {
        if let Some(receiver) = &self.receiver {
            receiver.handle_pieces(now, pieces);
        }
    }

    /// Does what the spreader wants.
    pub(super) fn act(&mut self, now: Duration, connection: &mut Connection) {
        let Some(receiver) = &self.receiver else { return };
        while let Some(action) = receiver.outbox().pop() {
            match action {
                Action::Reveal { piece, .. } => connection.have(now, piece),
                Action::Unchoke { .. } => connection.unchoke(now),
                Action::Choke { .. } => connection.choke(now),
                Action::Serve { block, .. } => self.requested.push_back(block),
                Action::Reject { block, .. } => connection.reject(now, block),
            }
        }
        if receiver.upload().is_over() {
            connection.take_requests(now, false);
            self.drop_requested(now, connection);
        }
        self.read();
    }

    /// Reads what is requested, while those before leave. How much is read ahead is the spreader's to decide.
    fn read(&mut self) {
        let Some(receiver) = &self.receiver else { return };
        if self.reading.is_some() || self.requested.is_empty() {
            return;
        }
        let upload = receiver.upload();
        let blocks = std::mem::take(&mut self.requested);
        let (content, to_read) = (Arc::clone(upload.content()), blocks.clone());
        let job = spawn_blocking(move || ReadBlocks::read(&*content, to_read));
        self.reading = Some(Reading { blocks, job });
    }

    /// Waits for what changes what can be done, other than by the socket. Nothing is lost if the future is dropped.
    pub(super) async fn ready(&mut self) -> Ready {
        let outbox = self.receiver.as_ref().map(Receiver::outbox);
        let may_wait = self.is_idle() || self.grant.is_some();
        let actions = async {
            match outbox {
                Some(outbox) => outbox.has_more().await,
                None => pending().await,
            }
        };
        let read = async {
            match &mut self.reading {
                Some(reading) => (&mut reading.job).await,
                None => pending().await,
            }
        };
        let granted = async {
            match &mut self.grant {
                Some(grant) => (&mut grant.0).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = actions => Ready::Actions,
            // A job that panicked has read nothing.
            read = read => Ready::Read(read.unwrap_or(Err(ContentError))),
            bytes = granted => Ready::Granted(bytes),
            () = sleep_until(self.taken_at + TAKING_TIMEOUT), if !may_wait => Ready::Timeout,
        }
    }

    /// Takes what [`ready`](Self::ready) has waited for. Returns `false` if the connection is to be closed.
    pub(super) fn handle_ready(&mut self, now: Duration, connection: &mut Connection, ready: Ready) -> bool {
        match ready {
            Ready::Actions => self.act(now, connection),
            Ready::Read(read) => self.handle_read(now, connection, read),
            Ready::Granted(bytes) => {
                self.grant = None;
                self.credit += bytes;
                self.taken_at = Instant::now();
                if let Some(receiver) = &self.receiver {
                    // It is this side that lets the peer wait.
                    receiver.handle_sent(now, 0);
                }
            }
            Ready::Timeout => return false,
        }
        true
    }

    fn handle_read(&mut self, now: Duration, connection: &mut Connection, read: Result<ReadBlocks, ContentError>) {
        let Some(Reading { blocks, .. }) = self.reading.take() else { return };
        match read {
            Ok(read) => {
                if self.is_idle() {
                    // The disk may have taken its time.
                    self.taken_at = Instant::now();
                }
                self.queue.push(read);
            }
            Err(ContentError) => {
                blocks.into_iter().for_each(|block| connection.reject(now, block));
                if let Some(receiver) = &self.receiver {
                    receiver.upload().end(now);
                }
            }
        }
        self.act(now, connection);
    }

    /// Returns `true` if blocks have begun to leave, and nothing else may be sent before they have left.
    pub(super) fn has_portion(&self) -> bool {
        !self.queue.portion().is_empty()
    }

    /// The next bytes of blocks to send, encrypted; empty if none may be sent now.
    pub(super) fn portion(&mut self, ciphers: &mut Ciphers) -> &[u8] {
        if !self.has_portion() && self.may_begin() {
            let most =
                if self.limit().is_some() { usize::try_from(self.credit).unwrap_or(usize::MAX) } else { usize::MAX };
            let length = self.queue.begin_portion(most, ciphers) as u64;
            self.credit = self.credit.saturating_sub(length);
        }
        self.queue.portion()
    }

    /// Returns `true` if the next block may be sent. If it may not by the upload limit, the wait for that begins.
    fn may_begin(&mut self) -> bool {
        let Some(next) = self.queue.next() else { return false };
        let Some(limit) = self.limit() else { return true };
        let may_begin = next as u64 <= self.credit;
        if !may_begin && self.grant.is_none() {
            let (limit, group) = (limit.clone(), self.group);
            // All that waits, as transfers over HTTP do: the turns of all are equal, whatever they ask for.
            let want = (self.queue.len() as u64).saturating_sub(self.credit);
            self.grant = Some(Grant(Box::pin(async move { limit.take(group, want).await })));
        }
        may_begin
    }

    fn limit(&self) -> Option<&UploadLimit> {
        self.receiver.as_ref().and_then(|receiver| receiver.upload().limit())
    }

    /// So many bytes of the portion have left.
    pub(super) fn sent(&mut self, now: Duration, bytes: usize) {
        self.taken_at = Instant::now();
        let of_blocks = self.queue.sent(bytes);
        if let Some(receiver) = &self.receiver {
            receiver.handle_sent(now, of_blocks);
        }
        self.read();
    }

    /// Returns `true` if the peer has nothing to take.
    fn is_idle(&self) -> bool {
        self.queue.len() == 0
    }

    /// Drops and rejects everything that is not being sent.
    fn drop_requested(&mut self, now: Duration, connection: &mut Connection) {
        let read = self.queue.clear();
        let reading = self.reading.take().map(|reading| reading.blocks).unwrap_or_default();
        let requested = std::mem::take(&mut self.requested);
        read.into_iter().chain(reading).chain(requested).for_each(|block| connection.reject(now, block));
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").finish_non_exhaustive()
    }
}

/// A torrent that a connection is to give from now on.
#[derive(Debug, Clone)]
pub(crate) struct GivenTorrent {
    pub(crate) upload: Arc<Upload>,
    /// Where the tracker keeps the peer.
    pub(crate) address: SocketAddr,
}

impl PartialEq for GivenTorrent {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.upload, &other.upload) && self.address == other.address
    }
}

impl Eq for GivenTorrent {}
