//! The server.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;

use axum::Router;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tracker_host::{BindError, run_threads};

use crate::accept::Listeners;
use crate::config::ServerConfig;
use crate::handler::Handler;
use crate::listen;
use crate::shared::Shared;

/// Serves HTTP/1.0 and HTTP/1.1 on threads of its own.
///
/// One thread per core with a runtime, for connections that have to wait, and on Linux one per core and address with a listener
/// of its own, which answers all others. A client that is slow, sends garbage or does not read costs its own connection and
/// nobody else's.
#[derive(Debug)]
pub struct Server {
    /// For each worker its listeners.
    listeners: Vec<Vec<StdTcpListener>>,
    local_addrs: Vec<SocketAddr>,
    config: ServerConfig,
    handler: Arc<dyn Handler>,
    router: Router,
}

impl Server {
    /// Listens on all of these addresses. From now on connections queue up, until [`run`](Self::run) answers them.
    ///
    /// The router gets each request that the handler leaves to it, with its [`Connection`](crate::Connection) as an extension.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on, as for [`tracker_host::bind`].
    pub fn bind(
        addresses: &[SocketAddr],
        config: ServerConfig,
        handler: Arc<dyn Handler>,
        router: Router,
    ) -> Result<Self, BindError> {
        let listeners = listen::listen(addresses, config.threads)?;
        let local_addrs = listeners[0].iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Ok(Self { listeners, local_addrs, config, handler, router })
    }

    /// The addresses it listens on, with their ports, in the order in which they were asked for.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Serves until `shutdown` is ready, and stops gracefully then: the ports are free at once, requests that have begun
    /// are answered, and after [`ServerConfig::shutdown_timeout`] what is left is cut off. When the future is dropped
    /// instead, the server stops likewise, in the background.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread or its event loop cannot be set up, or ends; all others stop then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let name = self.config.name;
        let shared = Arc::new(Shared::new(self.config, self.handler, self.router, self.local_addrs.len()));
        let (stop, stopped) = watch::channel(());
        let workers = self.listeners.into_iter().map(|listeners| {
            let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let worker = Worker { shared: Arc::clone(&shared), stopped: stopped.clone() };
            Ok(move || worker.run(&runtime, listeners))
        });
        run_threads(name, workers.collect::<io::Result<_>>()?, stop, shutdown).await
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
            // Every connection holds a receiver, by which it learns that it has to end, and the sender that all have.
            let (stop, stopped) = watch::channel(());
            let mut listeners = Listeners::start(listeners, &self.shared, &stopped)?;
            drop(stopped);
            let result = tokio::select! {
                // An error says that the sender is gone, which means the same.
                _ = self.stopped.changed() => Ok(()),
                error = listeners.fail() => Err(error),
            };
            drop(listeners);
            stop.send_replace(());
            if timeout(self.shared.config.shutdown_timeout, stop.closed()).await.is_err() {
                tracing::debug!(connections = stop.receiver_count(), "connections cut off at shutdown");
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::handler::Connection;
    use crate::head::RequestHead;

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

    /// Leaves everything to the router.
    #[derive(Debug)]
    struct RouterOnly;

    impl Handler for RouterOnly {
        fn answer(&self, _: Connection, _: &RequestHead<'_>, _: &mut Vec<u8>) -> bool {
            false
        }

        fn is_exempt(&self, _: IpAddr) -> bool {
            false
        }

        fn on_malformed_request(&self) {}

        fn on_too_many_connections(&self) {}
    }

    fn bind(router: Router) -> Server {
        let config = ServerConfig::default().with(|config| {
            config.name = "test";
            config.threads = NonZeroUsize::MIN;
            config.shutdown_timeout = Duration::from_secs(3600);
        });
        Server::bind(&["127.0.0.1:0".parse().unwrap()], config, Arc::new(RouterOnly), router).unwrap()
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
