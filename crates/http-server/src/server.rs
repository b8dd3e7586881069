//! The server.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::Service;
use tracker_host::{BindError, LogThrottle, run_threads};

use crate::accept::Doors;
use crate::listener;
use crate::patience::{Limits, Patient};
use crate::slots::Slots;
use crate::{Adapter, Connection, HttpConfig, router};

/// How often that is said. It can go on for hours, on every listener of every thread.
const ACCEPT_COMPLAINTS: Duration = Duration::from_secs(60);

/// Serves an [`Adapter`] over HTTP/1.0 and HTTP/1.1.
///
/// One thread per core with a runtime, for connections that are waited for, and on Linux one per core and address with a
/// listener of its own, which answers all others. A client that is slow, sends garbage or does not read costs its own connection and nobody else's; the limits
/// are those of [`HttpConfig`].
///
/// ```no_run
/// use tracker_http::{Adapter, Server, all_addresses};
///
/// # async fn example(adapter: Adapter) -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind(&all_addresses(6969), adapter)?;
/// println!("listening on {:?}", server.local_addrs());
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// server.run(async { _ = stopped.await }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    /// For each worker its listeners.
    listeners: Vec<Vec<StdTcpListener>>,
    local_addrs: Vec<SocketAddr>,
    adapter: Adapter,
    router: Router,
}

impl Server {
    /// Listens on all of these addresses. From now on connections queue up, until [`run`](Self::run) answers them.
    ///
    /// An IPv6 address takes IPv6 connections only. When all addresses of both families are asked for (as
    /// [`all_addresses`](crate::all_addresses) does) and the machine has one family only, the other is left out. Port 0
    /// takes a free port, one for each address.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on. A port that any other program listens on is an error, even where the
    /// system would share it.
    pub fn bind(addresses: &[SocketAddr], adapter: Adapter) -> Result<Self, BindError> {
        let router = router(adapter.clone());
        Self::bind_router(addresses, adapter, router)
    }

    fn bind_router(addresses: &[SocketAddr], adapter: Adapter, router: Router) -> Result<Self, BindError> {
        let listeners = listener::listen(addresses, adapter.config().threads)?;
        let local_addrs = listeners[0].iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Ok(Self { listeners, local_addrs, adapter, router })
    }

    /// The addresses it listens on, with their ports, in the order in which they were asked for.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Serves until `shutdown` is ready, and stops gracefully then: the ports are free at once, requests that have begun
    /// are answered, and after [`HttpConfig::shutdown_timeout`] what is left is cut off. When the future is dropped
    /// instead, the server stops likewise, in the background.
    ///
    /// # Errors
    ///
    /// When a thread or its event loop cannot be set up, or ends: all others stop then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let shared = Arc::new(Shared::new(self.adapter, self.router, self.local_addrs.len()));
        let (stop, stopped) = watch::channel(());
        let workers = self.listeners.into_iter().map(|listeners| {
            let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let worker = Worker { shared: Arc::clone(&shared), stopped: stopped.clone() };
            Ok(move || worker.run(&runtime, listeners))
        });
        run_threads("http", workers.collect::<io::Result<_>>()?, stop, shutdown).await
    }
}

/// What all workers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) adapter: Adapter,
    router: Router,
    http: http1::Builder,
    pub(crate) limits: Limits,
    pub(crate) slots: Arc<Slots>,
    pub(crate) accept_complaints: LogThrottle,
    pub(crate) config: HttpConfig,
}

impl Shared {
    /// For a server that listens on so many addresses.
    fn new(adapter: Adapter, router: Router, addresses: usize) -> Self {
        let config = adapter.config().clone();
        let mut http = http1::Builder::new();
        http.max_header_size(config.max_head_bytes)
            // The buffer is what bounds a head that does not end.
            .max_buf_size(config.max_head_bytes)
            .max_headers(config.max_headers)
            // A client that closes its sending half still gets its answer.
            .half_close(true)
            // Header names are case-insensitive, and old clients do not all know it.
            .title_case_headers(true)
            // Nor do they need to know the time.
            .auto_date_header(false)
            // `Patient` times heads as well as what hyper does not.
            .header_read_timeout(None);
        Self {
            adapter,
            router,
            http,
            limits: Limits::new(&config),
            slots: Arc::new(Slots::new(&config, addresses)),
            accept_complaints: LogThrottle::new(ACCEPT_COMPLAINTS),
            config,
        }
    }
}

/// One thread's part.
#[derive(Debug)]
struct Worker {
    shared: Arc<Shared>,
    /// Changes, or loses its sender, when the server is to stop.
    stopped: watch::Receiver<()>,
}

impl Worker {
    /// Serves until it is stopped and all its connections are closed, or cut off.
    fn run(mut self, runtime: &Runtime, listeners: Vec<StdTcpListener>) -> io::Result<()> {
        runtime.block_on(async {
            // Every connection holds a receiver, which tells it to stop, and tells us when all are gone.
            let (stop, stopped) = watch::channel(());
            let mut doors = Doors::open(listeners, &self.shared, &stopped)?;
            drop(stopped);
            let result = tokio::select! {
                // An error says that the sender is gone, which means the same.
                _ = self.stopped.changed() => Ok(()),
                error = doors.fail() => Err(error),
            };
            drop(doors);
            stop.send_replace(());
            if timeout(self.shared.config.shutdown_timeout, stop.closed()).await.is_err() {
                tracing::debug!(connections = stop.receiver_count(), "cut off at shutdown");
            }
            result
        })
    }
}

/// Has hyper and the router serve the rest of a connection, of which `read` was read already.
pub(crate) async fn serve(
    stream: Patient<TcpStream>,
    read: Vec<u8>,
    connection: Connection,
    shared: &Shared,
    mut stopped: watch::Receiver<()>,
) -> io::Result<()> {
    let service = service_fn(|mut request| {
        request.extensions_mut().insert(connection);
        let answer = shared.router.clone().call(request);
        let slots = &shared.slots;
        async move {
            let mut response = answer.await?;
            if slots.are_scarce() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let (reader, writer) = tokio::io::split(stream);
    let stream = TokioIo::new(tokio::io::join(Cursor::new(read).chain(reader), writer));
    let mut served = pin!(shared.http.serve_connection(stream, service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    result.map_err(|error| {
        if error.is_parse() {
            shared.adapter.count_failure();
        }
        io::Error::other(error)
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use axum::routing::get;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::{Notify, oneshot};
    use tracker_core::{Config, Instant, Shards};
    use tracker_host::Clock;

    use super::*;

    /// Fails what would hang.
    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), what).await.expect("it takes too long")
    }

    async fn read_to_end(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    fn bind(router: Router) -> Server {
        let config = HttpConfig {
            threads: NonZeroUsize::MIN,
            shutdown_timeout: Duration::from_secs(3600),
            ..HttpConfig::default()
        };
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let adapter = Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), config).unwrap();
        Server::bind_router(&["127.0.0.1:0".parse().unwrap()], adapter, router).unwrap()
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_connection() {
        async fn panics() -> &'static str {
            panic!("a bug in a handler")
        }
        let server = bind(Router::new().route("/panic", get(panics)).route("/health", get(async || "ok")));
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        for _ in 0..3 {
            assert_eq!(read_to_end(ask(address, "/panic").await).await, "");
            assert!(read_to_end(ask(address, "/health").await).await.ends_with("ok"));
        }
        drop(stop);
        in_time(ended).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_at_shutdown() {
        let arrived = Arc::new(Notify::new());
        let proceed = Arc::new(Notify::new());
        let slow = {
            let (arrived, proceed) = (Arc::clone(&arrived), Arc::clone(&proceed));
            async move || {
                arrived.notify_one();
                proceed.notified().await;
                "done"
            }
        };
        let server = bind(Router::new().route("/slow", get(slow)));
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        let stream = ask(address, "/slow").await;
        in_time(arrived.notified()).await;
        drop(stop);
        in_time(async { while TcpStream::connect(address).await.is_ok() {} }).await;
        proceed.notify_one();
        assert!(read_to_end(stream).await.ends_with("done"));
        in_time(ended).await.unwrap().unwrap();
    }
}
