//! Accepting connections.
//!
//! Nearly every client opens a connection for one announce, sends it at once, and has the connection closed. On Linux such
//! a visit costs four system calls: the listener gives out a connection when its first bytes are there
//! (`TCP_DEFER_ACCEPT`), so that accept, receive, send and close follow one another, on a thread that does nothing but wait
//! for the next; the answer and the end of the connection leave in one packet. Only a listener on all addresses, which is
//! the default, has to ask in a fifth by which of them the client came. The socket is not registered with a runtime, has no
//! task and no timer, and takes no slot. Whatever would have to wait becomes a task of the worker's runtime, which
//! [converses](converse) with the client.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Connection;
use crate::conversation::{Begun, Guest, converse};
use crate::server::Shared;

#[cfg(not(target_os = "linux"))]
pub(crate) use self::tasks::Doors;
#[cfg(target_os = "linux")]
pub(crate) use self::threads::Doors;

/// How long accepting pauses when the system has no more descriptors or memory for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Gives the connection a task, if it may be waited for.
fn enter(stream: TcpStream, begun: Begun, mut guest: Guest, shared: &Arc<Shared>, stopped: &watch::Receiver<()>) {
    if guest.take_slot(shared) {
        tokio::spawn(converse(stream, begun, guest, Arc::clone(shared), stopped.clone()));
    } else {
        tracing::debug!(remote = %guest.connection.remote, "refused: too many connections");
    }
}

/// Whether a connection that could not be accepted says that something is wrong here, which is complained of then.
fn is_trouble(error: &io::Error, shared: &Shared) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};

    // The client was gone before we came to it.
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected) {
        return false;
    }
    if let Some(suppressed) = shared.accept_complaints.pass() {
        tracing::warn!(%error, suppressed, "cannot accept connections");
    }
    true
}

/// A thread for each listener.
#[cfg(target_os = "linux")]
mod threads {
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread::{self, JoinHandle};

    use rustix::net::{
        RecvFlags, SendFlags, Shutdown, SocketFlags, acceptfrom_with, getsockname, recv, send, shutdown,
    };
    use tokio::runtime::Handle;
    use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

    use super::*;

    /// The listeners of one worker, and the threads that wait at them. Closed when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Doors {
        listeners: Vec<Arc<StdTcpListener>>,
        threads: Vec<JoinHandle<()>>,
        ended: UnboundedReceiver<()>,
    }

    impl Doors {
        /// Accepts connections until it is dropped. Those that are waited for become tasks of the runtime that this is
        /// called in, and are told by `stopped`.
        pub(crate) fn open(
            listeners: Vec<StdTcpListener>,
            shared: &Arc<Shared>,
            stopped: &watch::Receiver<()>,
        ) -> io::Result<Self> {
            let (ends, ended) = mpsc::unbounded_channel();
            let mut doors = Self { listeners: Vec::new(), threads: Vec::new(), ended };
            for listener in listeners {
                let listener = Arc::new(listener);
                let door = Door {
                    local: Some(listener.local_addr()?).filter(|local| !local.ip().is_unspecified()),
                    listener: Arc::clone(&listener),
                    shared: Arc::clone(shared),
                    stopped: stopped.clone(),
                };
                let (runtime, end) = (Handle::current(), End(ends.clone()));
                doors.threads.push(thread::Builder::new().name("http-accept".into()).spawn(move || {
                    let _end = end;
                    let _runtime = runtime.enter();
                    door.accept();
                })?);
                doors.listeners.push(listener);
            }
            Ok(doors)
        }

        /// Waits until one of the threads has ended, which none does unasked.
        pub(crate) async fn fail(&mut self) -> io::Error {
            _ = self.ended.recv().await;
            io::Error::other("a thread that accepts connections has ended")
        }
    }

    impl Drop for Doors {
        fn drop(&mut self) {
            for listener in &self.listeners {
                // Whoever waits in accept is told so.
                _ = shutdown(listener, Shutdown::Both);
            }
            for thread in self.threads.drain(..) {
                // If it panicked it has said so.
                _ = thread.join();
            }
        }
    }

    /// Tells of the end of a thread, whatever the reason.
    #[derive(Debug)]
    struct End(UnboundedSender<()>);

    impl Drop for End {
        fn drop(&mut self) {
            _ = self.0.send(());
        }
    }

    /// One listener of one worker.
    #[derive(Debug)]
    struct Door {
        listener: Arc<StdTcpListener>,
        /// By which address clients come, where they all come by one.
        local: Option<SocketAddr>,
        shared: Arc<Shared>,
        stopped: watch::Receiver<()>,
    }

    impl Door {
        /// Accepts connections until the listener is shut down.
        fn accept(&self) {
            loop {
                match self.accept_one() {
                    Ok((socket, connection)) => self.answer_at_once(socket, connection),
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
                    Err(error) if is_trouble(&error, &self.shared) => thread::sleep(PAUSE),
                    Err(_) => {}
                }
            }
        }

        fn accept_one(&self) -> io::Result<(OwnedFd, Connection)> {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (socket, remote) = acceptfrom_with(&*self.listener, flags)?;
            let remote = remote.ok_or(io::ErrorKind::NotConnected)?.try_into()?;
            let local = match self.local {
                Some(local) => local,
                None => getsockname(&socket)?.try_into()?,
            };
            Ok((socket, Connection { remote, local }))
        }

        /// Answers a new connection if its request is there, and closes it if that was all.
        fn answer_at_once(&self, socket: OwnedFd, connection: Connection) {
            let mut guest = Guest::new(connection);
            let receive = |buffer: &mut [u8]| Ok(recv(&socket, buffer, RecvFlags::empty())?.0);
            let send = |answer: &[u8], is_last| {
                // What is last goes out with the end of the connection, in one packet instead of two, when the socket is
                // closed.
                let flags = if is_last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
                Ok(send(&socket, answer, flags)?)
            };
            // A panic costs its own connection, as it would in a task. What it leaves behind is the thread's buffers, which
            // are cleared before they are used, and the swarms, which cope with panics themselves.
            let begun = || Begun::at_once(&mut guest, &self.shared, receive, send);
            match catch_unwind(AssertUnwindSafe(begun)) {
                Ok(Ok(Some(begun))) => match TcpStream::from_std(socket.into()) {
                    Ok(stream) => enter(stream, begun, guest, &self.shared, &self.stopped),
                    Err(error) => tracing::debug!(remote = %connection.remote, %error, "connection ended"),
                },
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(remote = %connection.remote, %error, "connection ended"),
            }
        }
    }
}

/// A task for each listener, where the system does not hold connections back until data comes.
#[cfg(not(target_os = "linux"))]
mod tasks {
    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::*;

    /// The listeners of one worker, and the tasks that wait at them.
    #[derive(Debug)]
    pub(crate) struct Doors;

    impl Doors {
        /// Accepts connections until `stopped` tells to stop, as tasks of the runtime that this is called in.
        pub(crate) fn open(
            listeners: Vec<StdTcpListener>,
            shared: &Arc<Shared>,
            stopped: &watch::Receiver<()>,
        ) -> io::Result<Self> {
            for listener in listeners {
                let listener = TcpListener::from_std(listener)?;
                tokio::spawn(accept(listener, Arc::clone(shared), stopped.clone()));
            }
            Ok(Self)
        }

        /// Never: a task ends with the server.
        pub(crate) async fn fail(&mut self) -> io::Error {
            std::future::pending().await
        }
    }

    async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = accept_one(&listener) => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok((stream, connection)) => enter(stream, Begun::silent(), Guest::new(connection), &shared, &stopped),
                Err(error) if is_trouble(&error, &shared) => sleep(PAUSE).await,
                Err(_) => {}
            }
        }
    }

    async fn accept_one(listener: &TcpListener) -> io::Result<(TcpStream, Connection)> {
        let (stream, remote) = listener.accept().await?;
        let local = stream.local_addr()?;
        Ok((stream, Connection { remote, local }))
    }
}
