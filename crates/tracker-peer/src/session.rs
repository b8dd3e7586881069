//! A connection in progress: the socket, the encryption, and the protocol.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peer_wire::mse::Ciphers;
use peer_wire::{Connection, ConnectionError, Event, PexPeer, Torrent};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::driver::Report;
use crate::planner::ConnectionId;
use crate::swarm_sockets::SocketEntry;

/// The most bytes of bitfields that are kept, of all peers together: those of 2,000 peers in torrents of 268,000 pieces each. Of
/// the peers beyond only the number of their pieces is kept.
pub const MAX_BITFIELD_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that a peer may send in a second. Nothing is requested of peers but the info dictionary, so that more is a flood, and waits.
const MAX_BYTES_PER_SECOND: usize = 1024 * 1024;

/// The bytes that are read at once.
const READ_BYTES: usize = 4096;

/// What the driver wants of a connection. It is closed when the sender is dropped.
#[derive(Debug)]
pub(crate) enum Command {
    /// Tell the peer of others.
    Introduce { added: Vec<PexPeer>, dropped: Vec<std::net::SocketAddr> },
    /// Request the info dictionary.
    RequestMetadata,
    /// More is known of the torrent.
    SetTorrent(Torrent),
}

/// The sum of all bitfields in memory. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitfieldBytes(Arc<AtomicUsize>);

/// The socket of a connection, and its protocol.
pub(crate) struct Session {
    stream: Arc<TcpStream>,
    /// The place of the socket among those that are closed when a client on this machine announces.
    entry: Option<SocketEntry>,
    ciphers: Ciphers,
    connection: Connection,
    /// The zero of the connection's time.
    start: Instant,
    /// Encrypted bytes that wait for the socket.
    unsent: Vec<u8>,
    end: Option<End>,
    quota: Quota,
    bitfield: BitfieldShare,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other end closed it, or it was lost.
    Closed,
    /// By the protocol.
    Protocol(ConnectionError),
}

impl Session {
    /// A session over this stream. `received` has come already, decrypted.
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        ciphers: Ciphers,
        connection: Connection,
        received: &[u8],
        start: Instant,
        bitfields: BitfieldBytes,
    ) -> Self {
        let mut session = Self {
            stream,
            entry: None,
            ciphers,
            connection,
            start,
            unsent: Vec::new(),
            end: None,
            quota: Quota { since: Instant::now(), bytes: 0 },
            bitfield: BitfieldShare { all: bitfields, own: 0 },
        };
        session.handle_input(received);
        session
    }

    /// Keeps this place for as long as the connection lasts.
    pub(crate) fn hold(&mut self, entry: Option<SocketEntry>) {
        self.entry = entry;
    }

    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Why it has ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn set_torrent(&mut self, torrent: Torrent) {
        let result = self.connection.set_torrent(self.now(), torrent);
        self.take(result);
    }

    /// The next event, for which bytes are sent and received until there is one; `None` when the connection has ended. Nothing is
    /// lost if the future is dropped.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.connection.poll_event() {
                return Some(event);
            }
            if self.end.is_some() {
                return None;
            }
            if self.unsent.is_empty()
                && let Some(mut bytes) = self.connection.poll_output()
            {
                self.ciphers.encrypt(&mut bytes);
                self.unsent = bytes;
                self.send();
                continue;
            }
            let throttled_until = self.quota.throttled_until(Instant::now());
            let timeout = self.connection.poll_timeout().map(|at| self.start + at);
            let wake_up = [throttled_until, timeout].into_iter().flatten().min();
            tokio::select! {
                ready = self.stream.readable(), if throttled_until.is_none() => match ready {
                    Ok(()) => self.receive(),
                    Err(_) => self.end = Some(End::Closed),
                },
                ready = self.stream.writable(), if !self.unsent.is_empty() => match ready {
                    Ok(()) => self.send(),
                    Err(_) => self.end = Some(End::Closed),
                },
                () = sleep_until(wake_up.unwrap_or_else(Instant::now)), if wake_up.is_some() => {
                    let result = self.connection.handle_timeout(self.now());
                    self.take(result);
                }
            }
        }
    }

    /// Reports the events of an established connection and carries out commands, until it is closed by either side.
    pub(crate) async fn run(
        mut self,
        id: ConnectionId,
        commands: &mut mpsc::Receiver<Command>,
        reports: &mpsc::Sender<Report>,
    ) {
        loop {
            tokio::select! {
                event = self.event() => {
                    let report = match event {
                        Some(event) => Report::Event { connection: id, event },
                        None => {
                            tracing::debug!(?id, end = ?self.end, "a connection to a peer has ended");
                            Report::Closed { connection: id }
                        }
                    };
                    let is_last = matches!(report, Report::Closed { .. });
                    if reports.send(report).await.is_err() || is_last {
                        return;
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => self.carry_out(command),
                    None => return,
                },
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Introduce { added, dropped } => self.connection.introduce(self.now(), &added, &dropped),
            // What is not offered any more is told by an event when it is tried.
            Command::RequestMetadata => _ = self.connection.request_metadata(self.now()),
            Command::SetTorrent(torrent) => self.set_torrent(torrent),
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(length) => {
                self.quota.add(Instant::now(), length);
                self.ciphers.decrypt(&mut buffer[..length]);
                self.handle_input(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.end = Some(End::Closed),
        }
    }

    fn send(&mut self) {
        match self.stream.try_write(&self.unsent) {
            Ok(sent) => _ = self.unsent.drain(..sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.end = Some(End::Closed),
        }
    }

    fn handle_input(&mut self, bytes: &[u8]) {
        let result = self.connection.handle_input(self.now(), bytes);
        self.take(result);
        if !self.bitfield.set(self.connection.pieces().allocated()) {
            self.connection.keep_only_count();
            self.bitfield.set(self.connection.pieces().allocated());
        }
    }

    fn take(&mut self, result: Result<(), ConnectionError>) {
        if let Err(error) = result {
            self.end = Some(End::Protocol(error));
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The bytes of one peer's bitfield among all. They are given back when this is dropped.
struct BitfieldShare {
    all: BitfieldBytes,
    own: usize,
}

impl BitfieldShare {
    /// Returns `false` if there are too many now.
    fn set(&mut self, own: usize) -> bool {
        let all = &self.all.0;
        let sum = if own >= self.own {
            all.fetch_add(own - self.own, Ordering::Relaxed) + (own - self.own)
        } else {
            all.fetch_sub(self.own - own, Ordering::Relaxed) - (self.own - own)
        };
        let has_grown = own > self.own;
        self.own = own;
        !has_grown || sum <= MAX_BITFIELD_BYTES
    }
}

impl Drop for BitfieldShare {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// What a peer has sent in the current second.
struct Quota {
    since: Instant,
    bytes: usize,
}

impl Quota {
    fn add(&mut self, now: Instant, bytes: usize) {
        if now - self.since >= Duration::from_secs(1) {
            *self = Self { since: now, bytes: 0 };
        }
        self.bytes += bytes;
    }

    /// The time from which on the peer is read again, if it has sent too much.
    fn throttled_until(&self, now: Instant) -> Option<Instant> {
        let end = self.since + Duration::from_secs(1);
        (self.bytes > MAX_BYTES_PER_SECOND && now < end).then_some(end)
    }
}
