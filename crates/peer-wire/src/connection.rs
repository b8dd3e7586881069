//! A connection to a peer.

mod client;
mod introductions;
mod metadata_download;
mod metadata_upload;
mod pending_events;
mod received_pex;
mod session;

use std::fmt;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::{
    Block, DecodeError, Decoder, Event, Handshake, HandshakeError, Local, Message, PexPeer, Pieces, PiecesError,
    Reserved, Torrent,
};
use session::Session;

pub use pending_events::MAX_REQUESTS;

/// How long the peer's handshake may take. Transmission takes up to 0.9 s, aria2 up to 3.6 s.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer may be silent: more than two keep-alives, which clients send every two minutes or more often
/// ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)).
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);

/// The most bytes that wait to be polled when there is new input: the `have` messages of more than a thousand pieces.
const MAX_UNSENT_BYTES: usize = 16 * 1024;

/// The most bytes that are kept before [`Connection::set_torrent`] is called on an accepted connection.
const MAX_EARLY_BYTES: usize = 16 * 1024;

/// One connection to a peer, for one torrent, as a pure state machine.
///
/// It does no I/O, reads no clock and draws no randomness. It takes and gives plain bytes; encryption is a layer below. `now` is
/// the time since any fixed moment, the same for all calls; a time that goes back counts as standing still.
///
/// There are four kinds of method:
///
/// - **Inputs**: [`handle_input`](Self::handle_input) takes what the peer sent, in segments of any size.
///   [`handle_timeout`](Self::handle_timeout) takes the time.
/// - **Outputs**, to be polled after each input and command, in this order: [`poll_event`](Self::poll_event) until there is none,
///   [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout).
/// - **Commands**: [`set_torrent`](Self::set_torrent), [`introduce`](Self::introduce),
///   [`request_metadata`](Self::request_metadata), [`keep_only_count`](Self::keep_only_count);
///   [`take_requests`](Self::take_requests), [`have`](Self::have), [`unchoke`](Self::unchoke), [`choke`](Self::choke) and
///   [`reject`](Self::reject) for those who give.
/// - **Queries**: [`pieces`](Self::pieces), [`is_fast`](Self::is_fast), [`partial_message`](Self::partial_message), [`allocated`](Self::allocated).
///
/// An error ends the connection: close it. Events of what came before may still be polled; all else does nothing any more.
/// Whatever the peer sends is an event, an error, or ignored, and never a panic.
///
/// # What it does by itself
///
/// It says that it has nothing and which program this is, is never interested, sends a keep-alive every 90 s, gives the info
/// dictionary to those who ask for it if it is [known](Torrent::info), and refuses requests for blocks unless it
/// [takes](Self::take_requests) them. Blocks are sent by the caller, between what is polled: a [`header`](Block::header) and the
/// data. Transmission 3 and rTorrent hold back which pieces they get; while they download, it asks them each second for a
/// piece of the metadata that does not exist, after which they tell.
///
/// How fast a peer downloads is for you to derive from its [progress](Event::Progress).
///
/// # Memory
///
/// At most 8 KiB, apart from the bitfield, a message of which only a part has come, the info dictionary that is fetched, and what
/// was not polled. The latter is bounded as well. [`allocated`](Self::allocated) tells the sum. An info dictionary that is given
/// is shared with its owner, and leaves in pieces of 16 KiB.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use peer_wire::{Connection, Event, Handshake, Local, Message, Reserved, Torrent};
///
/// let info_hash = [7; 20];
/// let local = Local::new(*b"-XX0001-aaaaaaaaaaaa", "Example 0.1");
/// let torrent = Torrent::default().with_piece_count(8);
/// let mut connection = Connection::dial(Duration::ZERO, local, [10, 0, 0, 2].into(), info_hash, torrent);
/// assert_eq!(connection.poll_output().map(|bytes| bytes.len()), Some(Handshake::BYTES));
///
/// // What the peer sends.
/// let handshake = Handshake { reserved: Reserved::FAST, info_hash, peer_id: *b"-YY0001-bbbbbbbbbbbb" };
/// let mut bytes = handshake.encode().to_vec();
/// Message::Bitfield(&[0b1100_0000]).encode(&mut bytes);
/// Message::Have { piece: 7 }.encode(&mut bytes);
///
/// connection.handle_input(Duration::from_millis(3), &bytes)?;
/// assert_eq!(connection.poll_event(), Some(Event::Handshake(handshake)));
/// let Some(Event::Progress(progress)) = connection.poll_event() else { panic!("no progress") };
/// assert_eq!((progress.had, progress.of, progress.is_complete), (3, Some(8), false));
/// assert_eq!(connection.poll_event(), None);
/// assert_eq!(connection.poll_output().as_deref(), Some(&b"\0\0\0\x01\x0f"[..])); // it has none
/// assert_eq!(connection.poll_timeout(), Some(Duration::from_millis(90_003))); // a keep-alive
/// # Ok::<(), peer_wire::ConnectionError>(())
/// ```
pub struct Connection {
    /// The latest time that was given.
    now: Duration,
    /// The time at which the connection ends, unless the peer sends something.
    deadline: Duration,
    local: Local,
    /// The peer's address.
    remote: IpAddr,
    stage: Stage,
    session: Session,
}

enum Stage {
    /// This part of the peer's handshake has come.
    Handshake { received: Vec<u8>, direction: Direction },
    /// The peer's handshake has come, and the torrent is not set. `early` came after the handshake.
    Undecided { peer: Handshake, early: Vec<u8> },
    /// Both handshakes are done.
    Open(Decoder),
    /// The connection has ended.
    Ended(ConnectionError),
}

#[derive(Clone, Copy)]
enum Direction {
    /// This side dialled, for this torrent.
    Outgoing { info_hash: [u8; 20] },
    /// The peer dialled.
    Incoming,
}

impl Connection {
    /// A connection that this side has just made to a peer, for the torrent with this info-hash. `remote` is the peer's address,
    /// which the peer is told (`yourip`).
    pub fn dial(now: Duration, local: Local, remote: IpAddr, info_hash: [u8; 20], torrent: Torrent) -> Self {
        let mut connection = Self::new(now, local, remote, Direction::Outgoing { info_hash }, torrent);
        connection.send_handshake(info_hash);
        connection
    }

    /// A connection that a peer has just made. Its torrent is known when the peer's [handshake](Event::Handshake) has come; answer
    /// that event with [`set_torrent`](Self::set_torrent), or drop the connection.
    pub fn accept(now: Duration, local: Local, remote: IpAddr) -> Self {
        Self::new(now, local, remote, Direction::Incoming, Torrent::default())
    }

    fn new(now: Duration, local: Local, remote: IpAddr, direction: Direction, torrent: Torrent) -> Self {
        Self {
            now,
            deadline: now + HANDSHAKE_TIMEOUT,
            local,
            remote,
            stage: Stage::Handshake { received: Vec::new(), direction },
            session: Session::new(now, torrent),
        }
    }

    /// Takes bytes that the peer sent.
    ///
    /// # Errors
    ///
    /// The connection has ended, because of what the peer sent, or earlier.
    pub fn handle_input(&mut self, now: Duration, input: &[u8]) -> Result<(), ConnectionError> {
        self.advance(now);
        let result = self.check_unsent().and_then(|()| self.take_input(input));
        self.finish(result)
    }

    /// Does what is due. Call it at the time of [`poll_timeout`](Self::poll_timeout); at other times it does no harm.
    ///
    /// # Errors
    ///
    /// The connection has ended, because the peer was silent or does not read, or earlier.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), ConnectionError> {
        self.advance(now);
        let result = self.check_unsent().and_then(|()| self.take_time());
        self.finish(result)
    }

    /// Sets what is known of the torrent. On an accepted connection whose handshake has come it goes on with the connection; on
    /// others call it when more is known, for instance from the info dictionary, which is offered to the peer then.
    ///
    /// # Errors
    ///
    /// The connection has ended, because of what the peer sent right after its handshake, or earlier.
    pub fn set_torrent(&mut self, now: Duration, torrent: Torrent) -> Result<(), ConnectionError> {
        self.advance(now);
        let piece_count = torrent.piece_count;
        self.session.set_torrent(self.now, torrent);
        match &mut self.stage {
            Stage::Undecided { peer, early } => {
                let (peer, early) = (*peer, mem::take(early));
                self.send_handshake(peer.info_hash);
                self.open(peer.reserved);
                let result = self.take_input(&early);
                self.finish(result)
            }
            Stage::Open(decoder) => {
                if let Some(piece_count) = piece_count {
                    decoder.set_piece_count(piece_count);
                }
                self.session.offer_metadata(self.now, &self.local, self.remote);
                Ok(())
            }
            Stage::Handshake { .. } => Ok(()),
            Stage::Ended(error) => Err(*error),
        }
    }

    /// Tells the peer of others, and that others are gone, by peer exchange
    /// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)). Nothing is sent in a private torrent, or to a peer that does not
    /// offer peer exchange.
    ///
    /// They wait until the peer's program takes a message: WebTorrent and unknown ones take one in 65 s, others five in 60 s.
    /// Seeds come first. At most 50 wait, and then the oldest are left out. Nobody is told of twice, but the peer is told that the
    /// oldest of more than 50 are gone, since libtorrent keeps no more.
    pub fn introduce(&mut self, now: Duration, added: &[PexPeer], gone: &[SocketAddr]) {
        self.advance(now);
        if let Stage::Ended(_) = self.stage {
            return;
        }
        self.session.introduce(self.now, added, gone);
    }

    /// Requests the info dictionary ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)). It comes as
    /// [`Event::Metadata`], or there is an [`Event::MetadataFailed`].
    ///
    /// # Errors
    ///
    /// The peer has not [offered](Event::MetadataOffered) it, or the request before is not answered yet.
    pub fn request_metadata(&mut self, now: Duration) -> Result<(), RequestMetadataError> {
        self.advance(now);
        match self.stage {
            Stage::Ended(_) => Err(RequestMetadataError::NotOffered),
            _ => self.session.request_metadata(self.now),
        }
    }

    /// Takes the peer's requests for blocks from now on, each as an [`Event::Request`], or refuses them. Those already polled
    /// are the caller's to answer. At first requests are refused.
    ///
    /// This side says at first that it has nothing; [`have`](Self::have) announces its pieces.
    pub fn take_requests(&mut self, now: Duration, takes_requests: bool) {
        if let Some(now) = self.command_time(now) {
            self.session.take_requests(now, takes_requests);
        }
    }

    /// Tells the peer that this side has a piece.
    pub fn have(&mut self, now: Duration, piece: u32) {
        self.send(now, Message::Have { piece });
    }

    /// Tells the peer that requests are answered.
    pub fn unchoke(&mut self, now: Duration) {
        self.send(now, Message::Unchoke);
    }

    /// Tells the peer that requests are not answered any more. Those that wait are to be [rejected](Self::reject).
    pub fn choke(&mut self, now: Duration) {
        self.send(now, Message::Choke);
    }

    /// Tells a peer with the fast extension that a request is not answered
    /// ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)). To others nothing is sent.
    pub fn reject(&mut self, now: Duration, block: Block) {
        if let Some(now) = self.command_time(now) {
            self.session.reject(now, block);
        }
    }

    /// Returns `true` if both sides have the fast extension ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)).
    pub fn is_fast(&self) -> bool {
        self.session.is_fast()
    }

    /// Keeps no more than the number of the peer's pieces from now on, to save memory. See [`Pieces::keep_only_count`].
    pub fn keep_only_count(&mut self) {
        self.session.keep_only_count();
    }

    /// The next event. Poll it until there is none.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// The bytes to send next, if there are any. Take them when all before are sent: a peer that does not read is recognised by
    /// what waits here.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.session.poll_output(self.now)
    }

    /// The time at which to call [`handle_timeout`](Self::handle_timeout). `None` when the connection has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.stage {
            Stage::Handshake { .. } | Stage::Undecided { .. } => Some(self.deadline),
            Stage::Open(_) => Some(self.deadline.min(self.session.next_timeout(self.now))),
            Stage::Ended(_) => None,
        }
    }

    /// The pieces that the peer has.
    pub fn pieces(&self) -> &Pieces {
        self.session.pieces()
    }

    /// The bytes of memory that is allocated for a message of which only a part has come: up to 256 KiB for a bitfield if the number
    /// of pieces is not known, and up to 512 bytes when there is no such message.
    pub fn partial_message(&self) -> usize {
        if let Stage::Open(decoder) = &self.stage { decoder.allocated() } else { 0 }
    }

    /// The bytes of memory that it takes, with its own size.
    pub fn allocated(&self) -> usize {
        let buffered = match &self.stage {
            Stage::Handshake { received, .. } => received.capacity(),
            Stage::Undecided { early, .. } => early.capacity(),
            Stage::Open(_) | Stage::Ended(_) => self.partial_message(),
        };
        size_of::<Self>() + self.local.client.capacity() + buffered + self.session.allocated()
    }

    fn send(&mut self, now: Duration, message: Message<'_>) {
        if let Some(now) = self.command_time(now) {
            self.session.send(now, message);
        }
    }

    /// The time of a command; `None` if the connection is not open, and it has no effect.
    fn command_time(&mut self, now: Duration) -> Option<Duration> {
        self.advance(now);
        matches!(self.stage, Stage::Open(_)).then_some(self.now)
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn check_unsent(&self) -> Result<(), ConnectionError> {
        if self.session.unsent() > MAX_UNSENT_BYTES { Err(ConnectionError::NotReading) } else { Ok(()) }
    }

    fn take_input(&mut self, mut input: &[u8]) -> Result<(), ConnectionError> {
        if let Stage::Handshake { received, direction } = &mut self.stage {
            let (part, rest) = input.split_at(input.len().min(Handshake::BYTES - received.len()));
            received.extend_from_slice(part);
            let Some(peer) = Handshake::decode(received)? else { return Ok(()) };
            let direction = *direction;
            self.take_handshake(peer, direction)?;
            input = rest;
        }
        match &mut self.stage {
            Stage::Handshake { .. } => Ok(()),
            Stage::Undecided { early, .. } => {
                if early.len() + input.len() > MAX_EARLY_BYTES {
                    return Err(ConnectionError::TooEarly);
                }
                early.extend_from_slice(input);
                Ok(())
            }
            Stage::Open(decoder) => {
                self.deadline = self.now + SILENCE_TIMEOUT;
                while let Some(message) = decoder.decode(&mut input)? {
                    self.session.handle_message(self.now, message)?;
                }
                Ok(())
            }
            Stage::Ended(error) => Err(*error),
        }
    }

    fn take_handshake(&mut self, peer: Handshake, direction: Direction) -> Result<(), ConnectionError> {
        if peer.peer_id == self.local.peer_id {
            return Err(ConnectionError::OwnPeerId);
        }
        match direction {
            Direction::Outgoing { info_hash } if info_hash != peer.info_hash => {
                return Err(ConnectionError::OtherTorrent { info_hash: peer.info_hash });
            }
            Direction::Outgoing { .. } => self.open(peer.reserved),
            Direction::Incoming => self.stage = Stage::Undecided { peer, early: Vec::new() },
        }
        self.session.handle_handshake(peer);
        Ok(())
    }

    fn take_time(&mut self) -> Result<(), ConnectionError> {
        let is_over = self.deadline <= self.now;
        match self.stage {
            Stage::Handshake { .. } | Stage::Undecided { .. } if is_over => Err(ConnectionError::NoHandshake),
            Stage::Handshake { .. } | Stage::Undecided { .. } => Ok(()),
            Stage::Open(_) if is_over => Err(ConnectionError::Silent),
            Stage::Open(_) => {
                self.session.handle_timeout(self.now);
                Ok(())
            }
            Stage::Ended(error) => Err(error),
        }
    }

    fn send_handshake(&mut self, info_hash: [u8; 20]) {
        let reserved = Reserved::EXTENSIONS.with(Reserved::FAST);
        let handshake = Handshake { reserved, info_hash, peer_id: self.local.peer_id };
        self.session.send_handshake(self.now, &handshake);
    }

    fn open(&mut self, peer: Reserved) {
        self.session.open(self.now, &self.local, self.remote, peer);
        self.stage = Stage::Open(Decoder::new(self.session.piece_count()));
        self.deadline = self.now + SILENCE_TIMEOUT;
    }

    /// Ends the connection if there is an error.
    fn finish(&mut self, result: Result<(), ConnectionError>) -> Result<(), ConnectionError> {
        if let Err(error) = result {
            self.stage = Stage::Ended(error);
            self.session.end();
        }
        result
    }
}

/// Leaves out the buffers.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Handshake { .. } => "handshake",
            Stage::Undecided { .. } => "undecided",
            Stage::Open(_) => "open",
            Stage::Ended(_) => "ended",
        };
        f.debug_struct("Connection")
            .field("remote", &self.remote)
            .field("stage", &stage)
            .field("pieces", self.pieces())
            .finish_non_exhaustive()
    }
}

/// The reason why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer does not speak this protocol, or wants an encrypted connection.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The peer answered for another torrent than the one that it was dialled for.
    #[error("the peer answered for another torrent")]
    OtherTorrent {
        /// The torrent's info-hash.
        info_hash: [u8; 20],
    },
    /// The peer has this side's own peer id: this side is connected to itself.
    #[error("the peer has this side's own peer id")]
    OwnPeerId,
    /// There was no handshake in 10 s, or [`Connection::set_torrent`] was not called in that time.
    #[error("there was no handshake in {} s", HANDSHAKE_TIMEOUT.as_secs())]
    NoHandshake,
    /// More than 16 KiB came before [`Connection::set_torrent`] was called.
    #[error("more than {MAX_EARLY_BYTES} bytes came right after the handshake")]
    TooEarly,
    /// The peer sent bytes that are not messages.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What the peer said of its pieces contradicts the torrent.
    #[error(transparent)]
    Pieces(#[from] PiecesError),
    /// Nothing came for 300 s, not even a keep-alive.
    #[error("the peer sent nothing for {} s", SILENCE_TIMEOUT.as_secs())]
    Silent,
    /// Too much waits to be sent: the peer asks and does not read the answers.
    #[error("the peer does not read what is sent to it")]
    NotReading,
}

/// The reason why the info dictionary was not requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestMetadataError {
    /// The peer does not offer it, or one larger than [`MAX_METADATA_BYTES`](crate::MAX_METADATA_BYTES).
    #[error("the peer does not offer the info dictionary")]
    NotOffered,
    /// It was requested before, and is not there yet.
    #[error("the info dictionary is being fetched already")]
    InProgress,
}

#[cfg(test)]
mod tests;
