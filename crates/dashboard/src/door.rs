//! The door for clients, which can be shut and opened again.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};

/// Takes the ports of the tracker. The embedder brings it.
pub trait Opener: Send + Sync + 'static {
    /// Takes the ports, all or none. On a thread where it may block.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had.
    fn open(&self) -> Result<Opened, OpenError>;
}

impl<O: Opener + ?Sized> Opener for Arc<O> {
    fn open(&self) -> Result<Opened, OpenError> {
        (**self).open()
    }
}

/// A future that becomes ready when the servers are to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until it is told to stop, and gives the ports back.
pub type Serve =
    Box<dyn FnOnce(Stop) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send>> + Send>;

/// Ports that were taken.
pub struct Opened {
    /// Where clients are served, over all protocols.
    pub addresses: Vec<SocketAddr>,
    /// What to put into torrents, the best first.
    pub announce_urls: Vec<String>,
    /// Serves.
    pub serve: Serve,
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why the ports cannot be had: a line for the operator, which says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// What a [`Door`] is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorState {
    /// Clients are served.
    Open {
        /// Since when.
        since: SystemTime,
        /// Where.
        addresses: Vec<SocketAddr>,
        /// What to put into torrents, the best first.
        announce_urls: Vec<String>,
    },
    /// The ports are free.
    Shut {
        /// Since when.
        since: SystemTime,
        /// What ended it, or why it could not be opened, if nobody wanted that. It stays until it is opened again: to shut
        /// what is shut changes nothing.
        error: Option<String>,
    },
}

/// The door for clients. Cheap to clone; all clones are one. When the last of them is dropped it is shut.
///
/// Opening and shutting take turns, and go on when whoever wanted it waits no longer.
#[derive(Debug, Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    opener: Arc<dyn Opener>,
    state: watch::Sender<DoorState>,
    /// Locked while the door is being opened or shut.
    servers: Mutex<Option<Servers>>,
}

/// Servers that were started, and may have ended by themselves.
struct Servers {
    /// They stop when it is dropped.
    stop: oneshot::Sender<Infallible>,
    /// Ends when they have, and the state says so.
    ended: JoinHandle<()>,
}

impl Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl Door {
    /// A door that is shut.
    pub fn new(opener: impl Opener) -> Self {
        let state = watch::Sender::new(DoorState::Shut { since: SystemTime::now(), error: None });
        Self(Arc::new(Inner { opener: Arc::new(opener), state, servers: Mutex::new(None) }))
    }

    /// Opens it, unless it is open. Must be called within a Tokio runtime, which from then on runs the servers.
    ///
    /// # Errors
    ///
    /// When the ports cannot be had.
    pub async fn open(&self) -> Result<(), OpenError> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.open().await }).await.unwrap_or_else(|bug| Err(OpenError(bug.to_string())))
    }

    /// Shuts it, unless it is shut, and waits until the ports are free. Must be called within a Tokio runtime.
    pub async fn shut(&self) {
        let inner = Arc::clone(&self.0);
        // It does not panic, and ends early only with the runtime.
        _ = tokio::spawn(async move { inner.shut().await }).await;
    }

    /// What it is at.
    pub fn state(&self) -> DoorState {
        self.0.state.borrow().clone()
    }

    /// The same, as it changes.
    pub fn changes(&self) -> watch::Receiver<DoorState> {
        self.0.state.subscribe()
    }
}

impl Inner {
    async fn open(&self) -> Result<(), OpenError> {
        let mut servers = self.servers.lock().await;
        if matches!(*self.state.borrow(), DoorState::Open { .. }) {
            return Ok(());
        }
        if let Some(Servers { ended, .. }) = servers.take() {
            _ = ended.await;
        }
        let opener = Arc::clone(&self.opener);
        // It may have to find out which program has a port.
        let opened = spawn_blocking(move || opener.open()).await;
        match opened.unwrap_or_else(|bug| Err(OpenError(bug.to_string()))) {
            Ok(opened) => {
                *servers = Some(self.start(opened));
                Ok(())
            }
            Err(error) => {
                self.state.send_modify(|state| {
                    if let DoorState::Shut { error: last, .. } = state {
                        *last = Some(error.0.clone());
                    }
                });
                Err(error)
            }
        }
    }

    async fn shut(&self) {
        let mut servers = self.servers.lock().await;
        if let Some(Servers { stop, ended }) = servers.take() {
            drop(stop);
            _ = ended.await;
        }
    }

    fn start(&self, Opened { addresses, announce_urls, serve }: Opened) -> Servers {
        self.state.send_replace(DoorState::Open { since: SystemTime::now(), addresses, announce_urls });
        let (stop, stopped) = oneshot::channel();
        let stopped = Box::pin(async { _ = stopped.await });
        // A task of its own, so that a panic is told of as an error is.
        let serving = tokio::spawn(async move { serve(stopped).await });
        let state = self.state.clone();
        let ended = tokio::spawn(async move {
            let error = match serving.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(with_sources(&*error)),
                Err(bug) => Some(bug.to_string()),
            };
            match &error {
                None => tracing::info!("the ports for clients are free"),
                Some(error) => tracing::error!("the ports for clients are free, since their servers failed: {error}"),
            }
            state.send_replace(DoorState::Shut { since: SystemTime::now(), error });
        });
        Servers { stop, ended }
    }
}

fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io;
    use std::net::{TcpListener, UdpSocket};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    /// Fails what would hang.
    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), what).await.expect("it takes too long")
    }

    type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

    /// An opener of nothing, whose servers are what `serve` makes of the sign to stop.
    fn opener<F: Future<Output = Outcome> + Send + 'static>(
        serve: impl Fn(Stop) -> F + Clone + Send + Sync + 'static,
    ) -> impl Opener {
        Opens(move || {
            let serve = serve.clone();
            Ok(Opened {
                addresses: vec![([127, 0, 0, 1], 6969).into()],
                announce_urls: vec!["http://127.0.0.1:6969/announce".into()],
                serve: Box::new(move |stop| Box::pin(serve(stop))),
            })
        })
    }

    struct Opens<F>(F);

    impl<F: Fn() -> Result<Opened, OpenError> + Send + Sync + 'static> Opener for Opens<F> {
        fn open(&self) -> Result<Opened, OpenError> {
            self.0()
        }
    }

    fn error(door: &Door) -> Option<String> {
        match door.state() {
            DoorState::Open { .. } => panic!("the door is open"),
            DoorState::Shut { error, .. } => error,
        }
    }

    async fn until_shut(door: &Door) {
        let is_shut = |state: &DoorState| matches!(state, DoorState::Shut { .. });
        in_time(door.changes().wait_for(is_shut)).await.unwrap();
    }

    #[tokio::test]
    async fn ports_are_taken_and_free_again() {
        // An address of its own: what is given up no other test takes.
        let address = TcpListener::bind("127.0.7.1:0").unwrap().local_addr().unwrap();
        let door = Door::new(Opens(move || {
            let taken = |error: io::Error| OpenError(format!("{address}: {error}"));
            let tcp = TcpListener::bind(address).map_err(taken)?;
            let udp = UdpSocket::bind(address).map_err(taken)?;
            Ok(Opened {
                addresses: vec![address],
                announce_urls: vec![format!("http://{address}/announce")],
                serve: Box::new(move |stop| {
                    Box::pin(async move {
                        stop.await;
                        // Servers have much to do when they stop.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        drop((tcp, udp));
                        Ok(())
                    })
                }),
            })
        }));
        assert_eq!(error(&door), None);
        for _ in 0..3 {
            in_time(door.open()).await.unwrap();
            in_time(door.open()).await.expect("it is open");
            let DoorState::Open { addresses, announce_urls, .. } = door.state() else { panic!("{door:?}") };
            assert_eq!((addresses, announce_urls), (vec![address], vec![format!("http://{address}/announce")]));
            TcpListener::bind(address).unwrap_err();
            in_time(door.shut()).await;
            assert_eq!(error(&door), None);
            TcpListener::bind(address).unwrap();
            UdpSocket::bind(address).unwrap();
            in_time(door.shut()).await;
        }

        let holder = UdpSocket::bind(address).unwrap();
        let DoorState::Shut { since, .. } = door.state() else { panic!("{door:?}") };
        let refused = in_time(door.open()).await.unwrap_err();
        assert!(refused.0.contains(&address.to_string()), "{refused}");
        assert_eq!(door.state(), DoorState::Shut { since, error: Some(refused.0) });
        TcpListener::bind(address).expect("all ports or none");
        drop(holder);
        in_time(door.open()).await.unwrap();
    }

    #[tokio::test]
    async fn servers_that_fail_shut_it() {
        let fail = Arc::new(Notify::new());
        let told = Arc::clone(&fail);
        let door = Door::new(opener(move |_| {
            let told = Arc::clone(&told);
            async move {
                told.notified().await;
                let source = io::Error::other("the cable is gone");
                let transport = tracker_host::Transport::Tcp { backlog: 16 };
                Err(tracker_host::BindError { address: ([127, 0, 0, 1], 6969).into(), transport, source }.into())
            }
        }));
        for _ in 0..2 {
            in_time(door.open()).await.unwrap();
            fail.notify_one();
            until_shut(&door).await;
            assert_eq!(error(&door).unwrap(), "cannot listen on 127.0.0.1:6969: the cable is gone");
        }
        in_time(door.shut()).await;
        assert!(error(&door).is_some(), "it was shut already");
    }

    #[tokio::test]
    async fn servers_that_panic_shut_it() {
        let door = Door::new(opener(|_| async { panic!("a bug") }));
        in_time(door.open()).await.unwrap();
        until_shut(&door).await;
        assert!(error(&door).unwrap().contains("a bug"));

        let door = Door::new(Opens(|| panic!("another bug")));
        assert!(in_time(door.open()).await.unwrap_err().0.contains("another bug"));
        assert!(error(&door).unwrap().contains("another bug"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_hands_do_not_open_it_twice() {
        let serving = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&serving);
        let door = Door::new(opener(move |stop| {
            let count = Arc::clone(&count);
            async move {
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "nobody else serves");
                stop.await;
                tokio::task::yield_now().await;
                count.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }));
        let hands: Vec<_> = (0..64)
            .map(|hand| {
                let door = door.clone();
                tokio::spawn(async move { if hand % 2 == 0 { door.open().await.unwrap() } else { door.shut().await } })
            })
            .collect();
        for hand in hands {
            in_time(hand).await.unwrap();
        }
        in_time(door.shut()).await;
        assert_eq!(error(&door), None);
        assert_eq!(serving.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn who_waits_no_longer_does_not_leave_it_ajar() {
        let door = Door::new(opener(|stop| async move {
            stop.await;
            Ok(())
        }));
        assert_eq!(door.open().now_or_never(), None);
        let is_open = |state: &DoorState| matches!(state, DoorState::Open { .. });
        in_time(door.changes().wait_for(is_open)).await.unwrap();
        assert_eq!(door.shut().now_or_never(), None);
        until_shut(&door).await;
    }

    #[tokio::test]
    async fn it_is_shut_when_nobody_has_it() {
        let stopped = Arc::new(AtomicBool::new(false));
        let notify = Arc::clone(&stopped);
        let door = Door::new(opener(move |stop| {
            let notify = Arc::clone(&notify);
            async move {
                stop.await;
                notify.store(true, Ordering::SeqCst);
                pending().await
            }
        }));
        in_time(door.open()).await.unwrap();
        drop(door);
        in_time(async {
            while !stopped.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
