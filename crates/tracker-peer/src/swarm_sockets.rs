//! The sockets of each swarm, which any thread can close.

use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::SockRef;
use tokio::net::TcpStream;
use tracker_core::InfoHash;

/// The sockets of the tracker's own peer by swarm, except for those over loopback and from addresses of its own. Cheap to clone;
/// all clones are one.
///
/// An announcing thread closes those of a swarm at once, while another thread may be about to open one. So a socket is opened while
/// its [entry](SocketEntry) is locked: [`close_all`](Self::close_all) finds the entry, and waits until the socket is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SwarmSockets(Arc<Mutex<HashMap<InfoHash, Vec<SharedState>>>>);

/// The place of one socket. It is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketEntry {
    sockets: SwarmSockets,
    info_hash: InfoHash,
    state: SharedState,
}

/// The state of one socket. All clones are one.
#[derive(Debug, Clone)]
struct SharedState(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Vacant,
    Open(Arc<TcpStream>),
    Closed,
}

impl SwarmSockets {
    /// A place for a socket of this swarm.
    pub(crate) fn enter(&self, info_hash: InfoHash) -> SocketEntry {
        let state = SharedState(Arc::new(Mutex::new(State::Vacant)));
        lock(&self.0).entry(info_hash).or_default().push(state.clone());
        SocketEntry { sockets: self.clone(), info_hash, state }
    }

    /// Closes all sockets of this swarm. When it returns, nothing is sent over them any more, and the other ends are told.
    pub(crate) fn close_all(&self, info_hash: &InfoHash) {
        // The entries are copied, so that only one lock is held at a time.
        let states: Vec<_> = lock(&self.0).get(info_hash).into_iter().flatten().cloned().collect();
        for state in states {
            if let State::Open(stream) = std::mem::replace(&mut *lock(&state.0), State::Closed) {
                // Of one that the other end has closed there is nothing to close.
                _ = SockRef::from(&*stream).shutdown(Shutdown::Both);
            }
        }
    }
}

impl SocketEntry {
    /// Opens the socket, unless the swarm's sockets were closed since this entry was made, or `is_free` says that none may be opened.
    /// `open` must not block.
    ///
    /// Returns `None` if it was not opened.
    pub(crate) fn open<E>(
        &self,
        is_free: impl FnOnce() -> bool,
        open: impl FnOnce() -> Result<Arc<TcpStream>, E>,
    ) -> Option<Result<Arc<TcpStream>, E>> {
        let mut state = lock(&self.state.0);
        if matches!(*state, State::Closed) || !is_free() {
            return None;
        }
        Some(open().inspect(|stream| *state = State::Open(Arc::clone(stream))))
    }

    /// Returns `true` if the swarm's sockets were closed since this entry was made.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(*lock(&self.state.0), State::Closed)
    }
}

impl Drop for SocketEntry {
    fn drop(&mut self) {
        let mut swarms = lock(&self.sockets.0);
        if let Some(states) = swarms.get_mut(&self.info_hash) {
            states.retain(|state| !Arc::ptr_eq(&state.0, &self.state.0));
            if states.is_empty() {
                swarms.remove(&self.info_hash);
            }
        }
    }
}

/// Nothing is left half-done by a thread that panicked with the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, Interest};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const SWARM: InfoHash = InfoHash::new([1; 20]);

    async fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Arc::new(stream), listener.accept().await.unwrap().0)
    }

    fn open(entry: &SocketEntry, stream: &Arc<TcpStream>, is_free: bool) -> bool {
        entry.open(|| is_free, || Ok::<_, Infallible>(Arc::clone(stream))).is_some()
    }

    #[tokio::test]
    async fn all_sockets_of_a_swarm_are_closed_and_no_others() {
        let sockets = SwarmSockets::default();
        let (stream, mut other_end) = pair().await;
        let entry = sockets.enter(SWARM);
        assert!(open(&entry, &stream, true));
        sockets.close_all(&InfoHash::new([2; 20]));
        stream.try_write(b"x").unwrap();
        assert!(!entry.is_closed());

        sockets.close_all(&SWARM);
        let mut received = Vec::new();
        timeout(PATIENCE, other_end.read_to_end(&mut received)).await.unwrap().unwrap();
        assert_eq!(received, b"x");
        timeout(PATIENCE, stream.ready(Interest::READABLE)).await.unwrap().unwrap();
        assert!(entry.is_closed());
        assert!(!open(&entry, &stream, true), "a closed entry is never opened again");
    }

    #[tokio::test]
    async fn no_socket_is_opened_once_the_swarm_is_closed_or_taken() {
        let sockets = SwarmSockets::default();
        let (stream, _other_end) = pair().await;
        let entry = sockets.enter(SWARM);
        assert!(!open(&entry, &stream, false));
        sockets.close_all(&SWARM);
        assert!(!open(&entry, &stream, true));
        assert!(open(&sockets.enter(SWARM), &stream, true), "a later one is asked for anew");
    }

    #[tokio::test]
    async fn an_entry_that_is_dropped_is_forgotten() {
        let sockets = SwarmSockets::default();
        let (one, other) = (sockets.enter(SWARM), sockets.enter(SWARM));
        drop(one);
        assert_eq!(lock(&sockets.0)[&SWARM].len(), 1);
        drop(other);
        assert!(lock(&sockets.0).is_empty());
    }
}
