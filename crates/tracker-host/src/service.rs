//! A service that takes ports and serves them, and that can be stopped and started again.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::StartTime;

/// Binds the ports of a [`Service`]. The embedder implements it.
pub trait Bind: Send + Sync + 'static {
    /// Binds the ports, all or none. Called on a thread where it may block.
    ///
    /// # Errors
    ///
    /// Returns [`ServiceError`] if one of them cannot be bound. Its text is for the operator, and says what to do.
    fn bind(&self) -> Result<Bound, ServiceError>;
}

impl<B: Bind + ?Sized> Bind for Arc<B> {
    fn bind(&self) -> Result<Bound, ServiceError> {
        (**self).bind()
    }
}

/// Why the ports cannot be had, or why the servers failed.
pub type ServiceError = Box<dyn Error + Send + Sync>;

/// A future that becomes ready when the servers are to stop.
pub type StopSignal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until it gets the signal to stop, and gives the ports back.
pub type Serve = Box<dyn FnOnce(StopSignal) -> Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send>> + Send>;

/// Ports that are bound.
pub struct Bound {
    /// The addresses on which clients are served, over all protocols.
    pub addresses: Vec<SocketAddr>,
    /// The URLs to put into torrents, the best first.
    pub announce_urls: Vec<String>,
    /// Serves clients.
    pub serve: Serve,
}

impl Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why a [`Service`] could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceStartError {
    /// The ports cannot be had.
    #[error(transparent)]
    Bind(ServiceError),
    /// The start panicked, which is a bug.
    #[error("the start of the service panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl From<JoinError> for ServiceStartError {
    fn from(error: JoinError) -> Self {
        Self::Panicked { message: error.to_string() }
    }
}

/// The state of a [`Service`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// Clients are served.
    Running {
        /// The time of the last change of the state.
        since: SystemTime,
        /// The addresses on which clients are served.
        addresses: Vec<SocketAddr>,
        /// The URLs to put into torrents, the best first.
        announce_urls: Vec<String>,
    },
    /// The ports are free.
    Stopped {
        /// The time of the last change of the state.
        since: SystemTime,
        /// The error that ended it or prevented its start, with its sources; `None` if it was stopped. It is kept until the
        /// service is started.
        error: Option<String>,
    },
}

/// Servers that can be stopped and started again. Cheap to clone; all clones are one. When the last of them is dropped the
/// servers stop.
///
/// Starting and stopping take turns, and are finished even if the caller does not wait for them.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    ports: Arc<dyn Bind>,
    state: watch::Sender<ServiceState>,
    /// The time of the last change of the state.
    since: Arc<StdMutex<StartTime>>,
    /// Locked while the service is being started or stopped.
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

impl Service {
    /// A service that is stopped.
    pub fn new(ports: impl Bind) -> Self {
        let state = watch::Sender::new(ServiceState::Stopped { since: SystemTime::now(), error: None });
        let since = Arc::new(StdMutex::new(StartTime::now()));
        Self(Arc::new(Inner { ports: Arc::new(ports), state, since, servers: Mutex::new(None) }))
    }

    /// Starts it, unless it is running. Must be called within a Tokio runtime, which from then on runs the servers.
    ///
    /// # Errors
    ///
    /// Returns [`ServiceStartError`] if the ports cannot be bound.
    pub async fn start(&self) -> Result<(), ServiceStartError> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.start().await }).await.unwrap_or_else(|bug| Err(bug.into()))
    }

    /// Stops it, unless it is stopped, and waits until the ports are free. Must be called within a Tokio runtime.
    pub async fn stop(&self) {
        let inner = Arc::clone(&self.0);
        // It does not panic, and ends early only with the runtime.
        _ = tokio::spawn(async move { inner.stop().await }).await;
    }

    /// Changes the URLs to put into torrents, if it is running: the machine has other addresses than before.
    pub fn set_announce_urls(&self, urls: Vec<String>) {
        self.0.state.send_if_modified(|state| match state {
            ServiceState::Running { announce_urls, .. } if *announce_urls != urls => {
                *announce_urls = urls;
                true
            }
            ServiceState::Running { .. } | ServiceState::Stopped { .. } => false,
        });
    }

    /// Its state. If the clock was set since the state last changed, the time of the change is corrected.
    pub fn state(&self) -> ServiceState {
        let mut state = self.0.state.borrow().clone();
        let (ServiceState::Running { since, .. } | ServiceState::Stopped { since, .. }) = &mut state;
        *since = lock(&self.0.since).wall();
        state
    }

    /// Its state, as it changes, with the times as they were taken.
    pub fn changes(&self) -> watch::Receiver<ServiceState> {
        self.0.state.subscribe()
    }
}

impl Inner {
    async fn start(&self) -> Result<(), ServiceStartError> {
        let mut servers = self.servers.lock().await;
        if matches!(*self.state.borrow(), ServiceState::Running { .. }) {
            return Ok(());
        }
        if let Some(Servers { ended, .. }) = servers.take() {
            _ = ended.await;
        }
        let ports = Arc::clone(&self.ports);
        // It may have to find out which program has a port.
        let bound = spawn_blocking(move || ports.bind()).await;
        match bound.map_or_else(|bug| Err(bug.into()), |bound| bound.map_err(ServiceStartError::Bind)) {
            Ok(bound) => {
                *servers = Some(self.serve(bound));
                Ok(())
            }
            Err(error) => {
                self.state.send_modify(|state| {
                    if let ServiceState::Stopped { error: last, .. } = state {
                        *last = Some(with_sources(&error));
                    }
                });
                Err(error)
            }
        }
    }

    async fn stop(&self) {
        let mut servers = self.servers.lock().await;
        if let Some(Servers { stop, ended }) = servers.take() {
            drop(stop);
            _ = ended.await;
        }
    }

    fn serve(&self, Bound { addresses, announce_urls, serve }: Bound) -> Servers {
        let since = changed_now(&self.since);
        self.state.send_replace(ServiceState::Running { since, addresses, announce_urls });
        let (stop, stopped) = oneshot::channel();
        let stopped = Box::pin(async { _ = stopped.await });
        // A task of its own, so that a panic is reported as an error is.
        let serving = tokio::spawn(async move { serve(stopped).await });
        let (state, changed) = (self.state.clone(), Arc::clone(&self.since));
        let ended = tokio::spawn(async move {
            let error = match serving.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(with_sources(&*error)),
                Err(bug) => Some(bug.to_string()),
            };
            match &error {
                None => tracing::info!("the client servers stopped; their ports are released"),
                Some(error) => tracing::error!("the client servers failed; their ports are released: {error}"),
            }
            let since = changed_now(&changed);
            state.send_replace(ServiceState::Stopped { since, error });
        });
        Servers { stop, ended }
    }
}

/// Notes that the state changes now. Returns the time.
fn changed_now(since: &StdMutex<StartTime>) -> SystemTime {
    let mut since = lock(since);
    *since = StartTime::now();
    since.wall()
}

/// Locks despite a panic elsewhere: a time is never half-written.
fn lock(since: &StdMutex<StartTime>) -> MutexGuard<'_, StartTime> {
    since.lock().unwrap_or_else(PoisonError::into_inner)
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

    type Outcome = Result<(), ServiceError>;

    /// No ports at all, whose servers are what `serve` makes of the sign to stop.
    fn ports<F: Future<Output = Outcome> + Send + 'static>(
        serve: impl Fn(StopSignal) -> F + Clone + Send + Sync + 'static,
    ) -> impl Bind {
        BindWith(move || {
            let serve = serve.clone();
            Ok(Bound {
                addresses: vec![([127, 0, 0, 1], 6969).into()],
                announce_urls: vec!["http://127.0.0.1:6969/announce".into()],
                serve: Box::new(move |stop| Box::pin(serve(stop))),
            })
        })
    }

    struct BindWith<F>(F);

    impl<F: Fn() -> Result<Bound, ServiceError> + Send + Sync + 'static> Bind for BindWith<F> {
        fn bind(&self) -> Result<Bound, ServiceError> {
            self.0()
        }
    }

    fn error(service: &Service) -> Option<String> {
        match service.state() {
            ServiceState::Running { .. } => panic!("the service is running"),
            ServiceState::Stopped { error, .. } => error,
        }
    }

    async fn until_stopped(service: &Service) {
        let is_stopped = |state: &ServiceState| matches!(state, ServiceState::Stopped { .. });
        in_time(service.changes().wait_for(is_stopped)).await.unwrap();
    }

    #[tokio::test]
    async fn ports_are_bound_and_released() {
        // An address of its own: what is given up no other test takes.
        let address = TcpListener::bind("127.0.7.1:0").unwrap().local_addr().unwrap();
        let service = Service::new(BindWith(move || {
            let taken = |error: io::Error| ServiceError::from(format!("{address}: {error}"));
            let tcp = TcpListener::bind(address).map_err(taken)?;
            let udp = UdpSocket::bind(address).map_err(taken)?;
            Ok(Bound {
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
        assert_eq!(error(&service), None);
        for _ in 0..3 {
            in_time(service.start()).await.unwrap();
            in_time(service.start()).await.expect("it is running");
            let ServiceState::Running { addresses, announce_urls, .. } = service.state() else { panic!("{service:?}") };
            assert_eq!((addresses, announce_urls), (vec![address], vec![format!("http://{address}/announce")]));
            TcpListener::bind(address).unwrap_err();
            let mut changes = service.changes();
            for is_change in [true, false] {
                changes.mark_unchanged();
                service.set_announce_urls(vec!["http://192.168.5.1/announce".into()]);
                assert_eq!(changes.has_changed().unwrap(), is_change);
            }
            let ServiceState::Running { announce_urls, .. } = service.state() else { panic!("{service:?}") };
            assert_eq!(announce_urls, ["http://192.168.5.1/announce"]);
            in_time(service.stop()).await;
            service.set_announce_urls(vec!["http://192.168.5.2/announce".into()]);
            assert_eq!(error(&service), None);
            TcpListener::bind(address).unwrap();
            UdpSocket::bind(address).unwrap();
            in_time(service.stop()).await;
        }

        let holder = UdpSocket::bind(address).unwrap();
        let ServiceState::Stopped { since, .. } = service.state() else { panic!("{service:?}") };
        let refused = in_time(service.start()).await.unwrap_err();
        assert!(refused.to_string().contains(&address.to_string()), "{refused}");
        assert_eq!(service.state(), ServiceState::Stopped { since, error: Some(refused.to_string()) });
        TcpListener::bind(address).expect("all ports or none");
        drop(holder);
        in_time(service.start()).await.unwrap();
    }

    /// An error whose text lacks that of its source.
    fn cable_is_gone() -> ServiceError {
        let source = io::Error::other("the cable is gone");
        let transport = crate::Transport::Tcp { backlog: 16 };
        crate::BindError { address: ([127, 0, 0, 1], 6969).into(), transport, source }.into()
    }

    #[tokio::test]
    async fn a_failed_start_is_kept_with_its_sources() {
        let service = Service::new(BindWith(|| Err(cable_is_gone())));
        in_time(service.start()).await.unwrap_err();
        assert_eq!(error(&service).unwrap(), "cannot listen on 127.0.0.1:6969: the cable is gone");
    }

    #[tokio::test]
    async fn it_stops_when_its_servers_fail() {
        let fail = Arc::new(Notify::new());
        let told = Arc::clone(&fail);
        let service = Service::new(ports(move |_| {
            let told = Arc::clone(&told);
            async move {
                told.notified().await;
                Err(cable_is_gone())
            }
        }));
        for _ in 0..2 {
            in_time(service.start()).await.unwrap();
            fail.notify_one();
            until_stopped(&service).await;
            assert_eq!(error(&service).unwrap(), "cannot listen on 127.0.0.1:6969: the cable is gone");
        }
        in_time(service.stop()).await;
        assert!(error(&service).is_some(), "it was stopped already");
    }

    #[tokio::test]
    async fn it_stops_when_its_servers_panic() {
        let service = Service::new(ports(|_| async { panic!("a bug") }));
        in_time(service.start()).await.unwrap();
        until_stopped(&service).await;
        assert!(error(&service).unwrap().contains("a bug"));

        let service = Service::new(BindWith(|| panic!("another bug")));
        assert!(in_time(service.start()).await.unwrap_err().to_string().contains("another bug"));
        assert!(error(&service).unwrap().contains("another bug"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn concurrent_starts_bind_once() {
        let serving = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&serving);
        let service = Service::new(ports(move |stop| {
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
                let service = service.clone();
                tokio::spawn(async move {
                    if hand % 2 == 0 { service.start().await.unwrap() } else { service.stop().await }
                })
            })
            .collect();
        for hand in hands {
            in_time(hand).await.unwrap();
        }
        in_time(service.stop()).await;
        assert_eq!(error(&service), None);
        assert_eq!(serving.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_start_or_stop_is_finished_without_its_caller() {
        let service = Service::new(ports(|stop| async move {
            stop.await;
            Ok(())
        }));
        assert!(service.start().now_or_never().is_none());
        let is_running = |state: &ServiceState| matches!(state, ServiceState::Running { .. });
        in_time(service.changes().wait_for(is_running)).await.unwrap();
        assert_eq!(service.stop().now_or_never(), None);
        until_stopped(&service).await;
    }

    #[tokio::test]
    async fn it_is_stopped_when_nobody_has_it() {
        let stopped = Arc::new(AtomicBool::new(false));
        let notify = Arc::clone(&stopped);
        let service = Service::new(ports(move |stop| {
            let notify = Arc::clone(&notify);
            async move {
                stop.await;
                notify.store(true, Ordering::SeqCst);
                pending().await
            }
        }));
        in_time(service.start()).await.unwrap();
        drop(service);
        in_time(async {
            while !stopped.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
