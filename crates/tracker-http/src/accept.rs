//! Accepting connections.
//!
//! Nearly every client opens a connection for one announce, sends it at once, and has the connection closed. On Linux such
//! a visit costs four system calls: the listener gives out a connection when its first bytes are there (`TCP_DEFER_ACCEPT`),
//! so that accept, receive, send and close follow one another and nothing ever waits; the answer and the end of the
//! connection leave in one packet. The socket is not registered with the runtime, has no task and no timer, and takes no
//! slot. Whatever would have to wait becomes a task that [converses](converse) with its client.

use std::io;
#[cfg(target_os = "linux")]
use std::net::SocketAddr;
use std::net::TcpListener as StdTcpListener;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Connection;
use crate::conversation::{Begun, Guest, converse};
use crate::server::Shared;

/// How long accepting pauses when the system has no more descriptors or memory for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that are accepted in a row, before others that wait get their turn.
#[cfg(target_os = "linux")]
const AT_ONCE: usize = 64;

/// One listener of one worker.
#[derive(Debug)]
pub(crate) struct Door {
    #[cfg(target_os = "linux")]
    listener: tokio::io::unix::AsyncFd<StdTcpListener>,
    #[cfg(not(target_os = "linux"))]
    listener: tokio::net::TcpListener,
    /// By which address clients come, where they all come by one.
    #[cfg(target_os = "linux")]
    local: Option<SocketAddr>,
}

#[cfg(target_os = "linux")]
impl Door {
    /// Registers the listener with the runtime that this is called in.
    pub(crate) fn open(listener: StdTcpListener) -> io::Result<Self> {
        let local = Some(listener.local_addr()?).filter(|local| !local.ip().is_unspecified());
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for types whose descriptor changes; a listener's does not"
        )]
        let listener = tokio::io::unix::AsyncFd::with_interest(listener, tokio::io::Interest::READABLE)?;
        Ok(Self { listener, local })
    }

    /// Accepts connections until it is told to stop.
    pub(crate) async fn accept(self, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
        'ready: loop {
            let mut ready = tokio::select! {
                ready = self.listener.readable() => ready.expect("the runtime runs"),
                _ = stopped.changed() => return,
            };
            for _ in 0..AT_ONCE {
                match self.accept_one() {
                    Ok((socket, connection)) => answer_at_once(socket, connection, &shared, &stopped),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready.clear_ready();
                        continue 'ready;
                    }
                    Err(error) => complain(error, &shared).await,
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn accept_one(&self) -> io::Result<(OwnedFd, Connection)> {
        use rustix::net::{SocketFlags, acceptfrom_with, getsockname};

        let (socket, remote) = acceptfrom_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let remote = remote.ok_or(io::ErrorKind::NotConnected)?.try_into()?;
        let local = match self.local {
            Some(local) => local,
            None => getsockname(&socket)?.try_into()?,
        };
        Ok((socket, Connection { remote, local }))
    }
}

/// Answers a new connection if its request is there, and closes it if that was all.
#[cfg(target_os = "linux")]
fn answer_at_once(socket: OwnedFd, connection: Connection, shared: &Arc<Shared>, stopped: &watch::Receiver<()>) {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rustix::net::{RecvFlags, SendFlags, recv, send};

    let mut guest = Guest::new(connection);
    let receive = |buffer: &mut [u8]| Ok(recv(&socket, buffer, RecvFlags::empty())?.0);
    let send = |answer: &[u8], is_last| {
        // What is last goes out with the end of the connection, in one packet instead of two, when the socket is closed.
        let flags = if is_last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        Ok(send(&socket, answer, flags)?)
    };
    // A panic costs its own connection, as it would in a task. What it leaves behind is the thread's buffers, which are
    // cleared before they are used, and the swarms, which cope with panics themselves.
    match catch_unwind(AssertUnwindSafe(|| Begun::at_once(&mut guest, shared, receive, send))) {
        Ok(Ok(Some(begun))) => match TcpStream::from_std(socket.into()) {
            Ok(stream) => enter(stream, begun, guest, shared, stopped),
            Err(error) => tracing::debug!(remote = %connection.remote, %error, "connection ended"),
        },
        Ok(Ok(None)) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(remote = %connection.remote, %error, "connection ended"),
    }
}

#[cfg(not(target_os = "linux"))]
impl Door {
    /// Registers the listener with the runtime that this is called in.
    pub(crate) fn open(listener: StdTcpListener) -> io::Result<Self> {
        Ok(Self { listener: tokio::net::TcpListener::from_std(listener)? })
    }

    /// Accepts connections until it is told to stop.
    pub(crate) async fn accept(self, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.accept_one() => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok((stream, connection)) => enter(stream, Begun::silent(), Guest::new(connection), &shared, &stopped),
                Err(error) => complain(error, &shared).await,
            }
        }
    }

    async fn accept_one(&self) -> io::Result<(TcpStream, Connection)> {
        let (stream, remote) = self.listener.accept().await?;
        let local = stream.local_addr()?;
        Ok((stream, Connection { remote, local }))
    }
}

/// Gives the connection a task, if it may be waited for.
fn enter(stream: TcpStream, begun: Begun, mut guest: Guest, shared: &Arc<Shared>, stopped: &watch::Receiver<()>) {
    if guest.take_slot(shared) {
        tokio::spawn(converse(stream, begun, guest, Arc::clone(shared), stopped.clone()));
    } else {
        tracing::debug!(remote = %guest.connection.remote, "refused: too many connections");
    }
}

/// Deals with a connection that could not be accepted.
async fn complain(error: io::Error, shared: &Shared) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};

    // The client was gone before we came to it.
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected) {
        return;
    }
    if let Some(unsaid) = shared.accept_complaints.pass() {
        tracing::warn!(%error, unsaid, "cannot accept connections");
    }
    sleep(PAUSE).await;
}
