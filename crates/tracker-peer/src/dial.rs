//! Dialling a peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peer_wire::mse::Ciphers;
use peer_wire::{Connection, ConnectionError, Event};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracker_core::{InfoHash, PeerId};

use crate::commands::CommandReceiver;
use crate::context::Context;
use crate::driver::Report;
use crate::encrypted;
use crate::planner::{ConnectionId, DialOutcome, Encryption, ProbeOutcome};
use crate::session::{End, Session};
use crate::swarm_sockets::SocketEntry;

/// How long TCP may take to connect. On a LAN it takes milliseconds; a peer that does not answer twice does not answer.
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
    /// Dials, reports what came of it, and goes on with the connection until it is closed by either side. `entry` is the place of
    /// its socket, if it needs one.
    pub(crate) async fn run(self, context: Context, entry: Option<SocketEntry>, commands: CommandReceiver) {
        let connection = self.connection;
        let dialled = tokio::select! {
            biased;
            // It was given up.
            () = commands.closed() => return,
            // In a box, which is gone when the connection begins.
            dialled = Box::pin(self.dial(&context, entry)) => dialled,
        };
        let (outcome, session) = match dialled {
            Ok((peer_id, session)) => (DialOutcome::Established { peer_id }, Some(session)),
            Err(outcome) => (outcome, None),
        };
        let report = Report::Dialled { connection, outcome };
        if context.reports.send(report).await.is_ok()
            && let Some(session) = session
        {
            session.run(connection, &commands, &context.reports).await;
        }
    }

    async fn dial(&self, context: &Context, entry: Option<SocketEntry>) -> Result<(PeerId, Box<Session>), DialOutcome> {
        match self.shake_hands(context, entry.as_ref()).await {
            Ok((peer_id, mut session)) => {
                session.hold(entry);
                Ok((peer_id, session))
            }
            // What became of a socket that was closed from this side meanwhile says nothing of the peer.
            Err(_) if entry.is_some_and(|entry| entry.is_closed()) => Err(DialOutcome::Withheld),
            Err(outcome) => Err(outcome),
        }
    }

    async fn shake_hands(
        &self,
        context: &Context,
        entry: Option<&SocketEntry>,
    ) -> Result<(PeerId, Box<Session>), DialOutcome> {
        let is_free = || context.is_free(&self.info_hash, self.only_if_nobody_here);
        let stream = connect(self.to, self.from, entry, is_free).await.map_err(|failure| match failure {
            Failure::Refused => DialOutcome::Refused,
            Failure::NoAnswer => DialOutcome::NoAnswer,
            Failure::Withheld => DialOutcome::Withheld,
        })?;
        let info_hash = *self.info_hash.as_bytes();
        let (ciphers, received) = match self.encryption {
            Encryption::Plain => (Ciphers::plaintext(), Vec::new()),
            Encryption::Mse => {
                let established = encrypted::initiate(&stream, info_hash).await.map_err(|error| {
                    tracing::debug!(peer = %self.to, %error, "no encrypted handshake");
                    DialOutcome::NoHandshake
                })?;
                (established.ciphers, established.received)
            }
        };
        let now = context.start.elapsed();
        let connection = Connection::dial(now, context.local.clone(), self.to.ip(), info_hash, self.torrent.clone());
        let limits = context.limits.clone();
        let mut session = Box::new(Session::new(stream, ciphers, connection, &received, context.start, limits));
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
    match timeout(CONNECT_TIMEOUT, stream.writable()).await {
        Err(_) => Err(Failure::NoAnswer),
        Ok(Err(error)) => Err(failure(&error)),
        Ok(Ok(())) => match stream.take_error() {
            // Not every system lets a socket be shut while it connects.
            Ok(None) if entry.is_some_and(SocketEntry::is_closed) => Err(Failure::Withheld),
            Ok(None) => Ok(stream),
            Ok(Some(error)) | Err(error) => Err(failure(&error)),
        },
    }
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

/// Returns `true` if a socket that does not block is connecting.
fn is_in_progress(error: &io::Error) -> bool {
    // EINPROGRESS, which has no stable kind. To wait for something else does not mean that it connects.
    #[cfg(unix)]
    return rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::INPROGRESS);
    // WSAEWOULDBLOCK.
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::WouldBlock;
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
        /// Of Windows: too many sockets, and no room for their buffers or no port left.
        const WSAEMFILE: i32 = 10024;
        const WSAENOBUFS: i32 = 10055;
        matches!(error.raw_os_error(), Some(WSAEMFILE | WSAENOBUFS)) || error.kind() == io::ErrorKind::OutOfMemory
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::context::tests::context;

    const PATIENCE: Duration = Duration::from_secs(30);
    const SWARM: InfoHash = InfoHash::new([1; 20]);

    fn dial(to: SocketAddr, encryption: Encryption) -> Dial {
        let connection = ConnectionId::for_test(1);
        let torrent = peer_wire::Torrent::default();
        let from = to.ip();
        Dial { connection, info_hash: SWARM, to, from, encryption, only_if_nobody_here: true, torrent }
    }

    /// Over loopback nothing is in the way, so that the place is given here.
    #[tokio::test]
    async fn a_socket_that_is_closed_from_this_side_says_nothing_of_the_peer() {
        let (context, _reports) = context();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        for encryption in [Encryption::Plain, Encryption::Mse] {
            let dial = dial(to, encryption);
            let closing = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                peer.read_exact(&mut [0; 20]).await.unwrap();
                context.announces.sockets.close_all(&SWARM);
            };
            let entry = context.announces.sockets.enter(SWARM);
            let dialling = dial.dial(&context, Some(entry));
            let (dialled, ()) = timeout(PATIENCE, async { tokio::join!(dialling, closing) }).await.unwrap();
            assert_eq!(dialled.map(|_| ()).unwrap_err(), DialOutcome::Withheld, "{encryption:?}");

            let closing = async { drop(listener.accept().await.unwrap()) };
            let entry = context.announces.sockets.enter(SWARM);
            let dialling = dial.dial(&context, Some(entry));
            let (dialled, ()) = timeout(PATIENCE, async { tokio::join!(dialling, closing) }).await.unwrap();
            assert_eq!(dialled.map(|_| ()).unwrap_err(), DialOutcome::NoHandshake, "{encryption:?}");
        }
    }

    #[test]
    fn what_the_system_says_is_told_apart() {
        #[cfg(unix)]
        let codes = {
            use rustix::io::Errno;
            [
                (Errno::INPROGRESS, true, Failure::NoAnswer),
                (Errno::AGAIN, false, Failure::NoAnswer),
                (Errno::HOSTUNREACH, false, Failure::NoAnswer),
                (Errno::CONNREFUSED, false, Failure::Refused),
                (Errno::MFILE, false, Failure::Withheld),
                (Errno::NOBUFS, false, Failure::Withheld),
                (Errno::ADDRNOTAVAIL, false, Failure::Withheld),
            ]
            .map(|(errno, is_in_progress, failure)| (errno.raw_os_error(), is_in_progress, failure))
        };
        #[cfg(not(unix))]
        let codes = [
            (10035, true, Failure::NoAnswer),
            (10065, false, Failure::NoAnswer),
            (10061, false, Failure::Refused),
            (10024, false, Failure::Withheld),
            (10055, false, Failure::Withheld),
            (10049, false, Failure::Withheld),
        ];
        for (code, expected, kind) in codes {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!((is_in_progress(&error), failure(&error)), (expected, kind), "{error}");
        }
    }
}
