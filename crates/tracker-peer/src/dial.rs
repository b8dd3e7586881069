//! Dialling a peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peer_wire::mse::Ciphers;
use peer_wire::{Connection, ConnectionError, Event};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracker_core::{InfoHash, PeerId};

use crate::driver::{Context, Report};
use crate::encrypted::{self, Encrypted};
use crate::planner::{ConnectionId, DialOutcome, Encryption, ProbeOutcome};
use crate::session::{Command, End, Session};
use crate::swarm_sockets::SocketEntry;

/// How long TCP may take to connect. On a LAN it takes milliseconds; whoever does not answer twice does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A peer to be dialled.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) connection: ConnectionId,
    pub(crate) info_hash: InfoHash,
    pub(crate) to: SocketAddr,
    pub(crate) from: IpAddr,
    pub(crate) encryption: Encryption,
    /// Not while the tracker has a peer on this machine in the swarm.
    pub(crate) only_if_nobody_here: bool,
    pub(crate) torrent: peer_wire::Torrent,
}

/// Why TCP did not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Refused,
    NoAnswer,
    /// It was not tried.
    Withheld,
}

impl Dial {
    /// Dials, reports what came of it, and goes on with the connection until it is closed by either side.
    pub(crate) async fn run(self, context: Context, mut commands: mpsc::Receiver<Command>) {
        let connection = self.connection;
        let dialled = tokio::select! {
            dialled = self.dial(&context) => dialled,
            // It was given up. No command is sent before the outcome is reported.
            _ = commands.recv() => return,
        };
        let (outcome, session) = match dialled {
            Ok((peer_id, session)) => (DialOutcome::Established { peer_id }, Some(session)),
            Err(outcome) => (outcome, None),
        };
        let report = Report::Dialled { connection, outcome };
        if context.reports.send(report).await.is_ok()
            && let Some(session) = session
        {
            session.run(connection, &mut commands, &context.reports).await;
        }
    }

    async fn dial(&self, context: &Context) -> Result<(PeerId, Session), DialOutcome> {
        let entry = self.only_if_nobody_here.then(|| context.announces.sockets.enter(self.info_hash));
        let is_free = || !context.shards.has_peer_here(&self.info_hash);
        let stream = connect(self.to, self.from, entry.as_ref(), is_free).await.map_err(|failure| match failure {
            Failure::Refused => DialOutcome::Refused,
            Failure::NoAnswer => DialOutcome::NoAnswer,
            Failure::Withheld => DialOutcome::Withheld,
        })?;
        let info_hash = *self.info_hash.as_bytes();
        let Encrypted { ciphers, received } = match self.encryption {
            Encryption::Plain => Encrypted { ciphers: Ciphers::plaintext(), received: Vec::new() },
            Encryption::Mse => encrypted::initiate(&stream, info_hash).await.map_err(|error| {
                tracing::debug!(peer = %self.to, %error, "no encrypted handshake");
                DialOutcome::NoHandshake
            })?,
        };
        let now = context.start.elapsed();
        let connection = Connection::dial(now, context.local.clone(), self.to.ip(), info_hash, self.torrent);
        let bitfields = context.bitfields.clone();
        let mut session = Session::new(stream, ciphers, connection, &received, context.start, bitfields);
        session.hold(entry);
        match session.event().await {
            Some(Event::Handshake(handshake)) => Ok((PeerId::new(handshake.peer_id), session)),
            // Nothing comes before the handshake.
            _ => Err(match session.end() {
                Some(End::Protocol(ConnectionError::OtherTorrent { .. } | ConnectionError::OwnPeerId)) => {
                    DialOutcome::OtherTorrent
                }
                _ => DialOutcome::NoHandshake,
            }),
        }
    }
}

/// Connects and closes, to find out whether somebody listens.
pub(crate) async fn probe(to: SocketAddr, from: IpAddr) -> ProbeOutcome {
    match connect(to, from, None, || true).await {
        Ok(_) => ProbeOutcome::Connected,
        Err(Failure::Refused) => ProbeOutcome::Refused,
        Err(Failure::NoAnswer) => ProbeOutcome::NoAnswer,
        Err(Failure::Withheld) => ProbeOutcome::Withheld,
    }
}

/// Connects from this address, and keeps the socket in `entry` from the moment on when the first packet leaves.
async fn connect(
    to: SocketAddr,
    from: IpAddr,
    entry: Option<&SocketEntry>,
    is_free: impl FnOnce() -> bool,
) -> Result<Arc<TcpStream>, Failure> {
    let open = || begin(to, from).map(Arc::new);
    let begun = match entry {
        Some(entry) => entry.open(is_free, open).ok_or(Failure::Withheld)?,
        None => open(),
    };
    let stream = begun.map_err(|error| {
        tracing::debug!(peer = %to, %from, %error, "cannot dial");
        failure(&error)
    })?;
    let connected = match timeout(CONNECT_TIMEOUT, stream.writable()).await {
        Err(_) => Err(Failure::NoAnswer),
        Ok(Err(error)) => Err(failure(&error)),
        Ok(Ok(())) => match stream.take_error() {
            Ok(None) => Ok(stream),
            Ok(Some(error)) | Err(error) => Err(failure(&error)),
        },
    };
    // What became of a socket that was closed meanwhile says nothing of the peer.
    if entry.is_some_and(SocketEntry::is_closed) { Err(Failure::Withheld) } else { connected }
}

/// Sends the first packet.
fn begin(to: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

fn is_in_progress(error: &io::Error) -> bool {
    // Unix says EINPROGRESS, which has no stable kind, and Windows WSAEWOULDBLOCK.
    #[cfg(unix)]
    let is_in_progress = error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let is_in_progress = false;
    is_in_progress || error.kind() == io::ErrorKind::WouldBlock
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Failure::Refused,
        // The machine has no more sockets or ports, or has lost the address: that says nothing of the peer.
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => Failure::Withheld,
        _ if is_out_of_sockets(error) => Failure::Withheld,
        _ => Failure::NoAnswer,
    }
}

fn is_out_of_sockets(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::OutOfMemory
    }
}
