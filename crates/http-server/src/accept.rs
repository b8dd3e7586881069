//! Accepting connections.
//!
//! Nearly every client opens a connection for one announce, sends it at once, and has the connection closed. On Linux such
//! a visit costs four system calls: the listener gives out a connection when its first bytes are there
//! (`TCP_DEFER_ACCEPT`), so that accept, receive, send and close follow one another, on a thread that does nothing but wait
//! for the next; the answer and the end of the connection leave in one packet. Only a listener on all addresses, which is
//! the default, has to ask in a fifth by which of them the client came. The socket is not registered with a runtime, has no
//! task and no timer, and takes no permit. A connection that has to wait becomes a task of the worker's runtime
//! ([`handle_connection`]).

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::connection::{ConnectionState, Progress};
use crate::handler::Connection;
use crate::layers::handle_connection;
use crate::shared::Shared;

#[cfg(any(not(target_os = "linux"), portable))]
pub(crate) use self::tasks::Listeners;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use self::threads::Listeners;

/// Gives the connection a task, if the limits allow it to wait, or another one can be closed for it.
fn spawn(
    stream: TcpStream,
    progress: Progress,
    mut state: ConnectionState,
    shared: &Arc<Shared>,
    stopped: &watch::Receiver<()>,
) {
    if let Some(waiting) = state.acquire_permit_or_evict(shared) {
        tokio::spawn(handle_connection(stream, progress, state, waiting, Arc::clone(shared), stopped.clone()));
    }
}

/// A thread for each listener.
#[cfg(all(target_os = "linux", not(portable)))]
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

    /// The listeners of one worker, and the threads that accept from them. Closed when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Listeners {
        listeners: Vec<Arc<StdTcpListener>>,
        threads: Vec<JoinHandle<()>>,
        ended: UnboundedReceiver<()>,
    }

    impl Listeners {
        /// Accepts connections until it is dropped. Those that have to wait become tasks of the runtime that this is called
        /// in, and end when `stopped` changes.
        pub(crate) fn start(
            listeners: Vec<StdTcpListener>,
            shared: &Arc<Shared>,
            stopped: &watch::Receiver<()>,
        ) -> io::Result<Self> {
            let (ends, ended) = mpsc::unbounded_channel();
            let mut started = Self { listeners: Vec::new(), threads: Vec::new(), ended };
            for listener in listeners {
                let listener = Arc::new(listener);
                let acceptor = Acceptor {
                    local: Some(listener.local_addr()?).filter(|local| !local.ip().is_unspecified()),
                    listener: Arc::clone(&listener),
                    shared: Arc::clone(shared),
                    stopped: stopped.clone(),
                };
                let (runtime, end) = (Handle::current(), End(ends.clone()));
                started.threads.push(thread::Builder::new().name("http-accept".into()).spawn(move || {
                    let _end = end;
                    let _runtime = runtime.enter();
                    acceptor.accept();
                })?);
                started.listeners.push(listener);
            }
            Ok(started)
        }

        /// Waits until one of the threads ends, which none does before the listeners are closed.
        pub(crate) async fn fail(&mut self) -> io::Error {
            _ = self.ended.recv().await;
            io::Error::other("a thread that accepts connections has ended")
        }
    }

    impl Drop for Listeners {
        fn drop(&mut self) {
            for listener in &self.listeners {
                // A thread that waits in `accept` gets an error.
                _ = shutdown(listener, Shutdown::Both);
            }
            for thread in self.threads.drain(..) {
                // A panic was reported when it happened.
                _ = thread.join();
            }
        }
    }

    /// Sends when it is dropped: at the end of a thread, whatever the reason.
    #[derive(Debug)]
    struct End(UnboundedSender<()>);

    impl Drop for End {
        fn drop(&mut self) {
            _ = self.0.send(());
        }
    }

    /// One listener of one worker.
    #[derive(Debug)]
    struct Acceptor {
        listener: Arc<StdTcpListener>,
        /// The address by which clients reach this listener, where it is only one.
        local: Option<SocketAddr>,
        shared: Arc<Shared>,
        stopped: watch::Receiver<()>,
    }

    impl Acceptor {
        /// Accepts connections until the listener is shut down, one after the other: each is answered, closed or made a
        /// task before the next one is accepted.
        fn accept(&self) {
            loop {
                match self.accept_one() {
                    Ok((socket, connection)) => self.answer_at_once(socket, connection),
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
                    Err(error) => {
                        if let Some(pause) = self.shared.accept_errors.pause(&error) {
                            thread::sleep(pause);
                        }
                    }
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
            Ok((socket, Connection::new(remote, local)))
        }

        /// Answers a new connection if its request is there, and closes it if that was all.
        fn answer_at_once(&self, socket: OwnedFd, connection: Connection) {
            let mut state = ConnectionState::new(connection);
            let receive = |buffer: &mut [u8]| Ok(recv(&socket, buffer, RecvFlags::empty())?.0);
            let send = |answer: &[u8], is_last| {
                // What is last goes out with the end of the connection, in one packet instead of two, when the socket is
                // closed.
                let flags = if is_last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
                Ok(send(&socket, answer, flags)?)
            };
            // A panic costs its own connection, as it would in a task. What it leaves behind is the thread's buffers, which
            // are cleared before they are used, and the swarms, which cope with panics themselves.
            let round = || Progress::at_once(&mut state, &self.shared, receive, send);
            match catch_unwind(AssertUnwindSafe(round)) {
                Ok(Ok(Some(progress))) => match TcpStream::from_std(socket.into()) {
                    Ok(stream) => spawn(stream, progress, state, &self.shared, &self.stopped),
                    Err(error) => tracing::debug!(remote = %connection.remote(), %error, "connection ended"),
                },
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(remote = %connection.remote(), %error, "connection ended"),
            }
        }
    }
}

/// A task for each listener, where the system does not hold connections back until data comes.
#[cfg(any(not(target_os = "linux"), portable))]
mod tasks {
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    /// The listeners of one worker, each with a task that accepts from it. Closed when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Listeners(JoinSet<()>);

    impl Listeners {
        /// Accepts connections until it is dropped, by tasks of the runtime that this is called in. The connections end when
        /// `stopped` changes.
        pub(crate) fn start(
            listeners: Vec<StdTcpListener>,
            shared: &Arc<Shared>,
            stopped: &watch::Receiver<()>,
        ) -> io::Result<Self> {
            let mut tasks = JoinSet::new();
            for listener in listeners {
                let listener = TcpListener::from_std(listener)?;
                tasks.spawn(accept(listener, Arc::clone(shared), stopped.clone()));
            }
            Ok(Self(tasks))
        }

        /// Waits until a task has ended, which only a bug makes it do.
        pub(crate) async fn fail(&mut self) -> io::Error {
            match self.0.join_next().await {
                Some(Err(bug)) => io::Error::other(bug),
                _ => io::Error::other("a task that accepts connections has ended"),
            }
        }
    }

    async fn accept(listener: TcpListener, shared: Arc<Shared>, stopped: watch::Receiver<()>) {
        loop {
            match accept_one(&listener).await {
                Ok((stream, connection)) => {
                    spawn(stream, Progress::none(), ConnectionState::new(connection), &shared, &stopped);
                }
                Err(error) => {
                    if let Some(pause) = shared.accept_errors.pause(&error) {
                        sleep(pause).await;
                    }
                }
            }
        }
    }

    async fn accept_one(listener: &TcpListener) -> io::Result<(TcpStream, Connection)> {
        let (stream, remote) = listener.accept().await?;
        let local = stream.local_addr()?;
        Ok((stream, Connection::new(remote, local)))
    }
}
