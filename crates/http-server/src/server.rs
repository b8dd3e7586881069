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
    use std::future::pending;
    use std::net::IpAddr;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::handler::Connection;
    use crate::head::RequestHead;
    use crate::test_tls::{Certificate, client};

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

    /// Says over `/who` whose connection it is, and leaves everything else to the router. 127.0.0.1 is a trusted proxy.
    #[derive(Debug)]
    struct Who;

    impl Handler for Who {
        fn answer(&self, connection: Connection, request: &RequestHead<'_>, body: &mut Vec<u8>) -> bool {
            let is_who = request.path == b"/who";
            if is_who {
                body.extend_from_slice(format!("{} at {}", connection.remote(), connection.local().ip()).as_bytes());
            }
            is_who
        }

        fn is_exempt(&self, address: IpAddr) -> bool {
            self.sends_proxy_header(address)
        }

        fn sends_proxy_header(&self, remote: IpAddr) -> bool {
            remote == IpAddr::from([127, 0, 0, 1])
        }

        fn on_malformed_request(&self) {}

        fn on_too_many_connections(&self) {}
    }

    /// A server with this certificate at 127.0.0.1 and 127.0.0.2, whose clients have 500 ms for a head.
    fn start(certificate: &Certificate) -> [SocketAddr; 2] {
        start_with(certificate, 1024)
    }

    /// Likewise, with so many connections for each address.
    fn start_with(certificate: &Certificate, connections: usize) -> [SocketAddr; 2] {
        let config = ServerConfig::default().with(|config| {
            config.threads = NonZeroUsize::MIN;
            config.tls = Some(certificate.tls());
            config.head_timeout = Duration::from_millis(500);
            config.max_connections_per_address = connections;
        });
        let router = Router::new().fallback(async |connection: Extension<Connection>| connection.remote().to_string());
        let listen = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| address.parse().unwrap());
        let server = Server::bind(&listen, config, Arc::new(Who), router).unwrap();
        let addresses = [server.local_addrs()[0], server.local_addrs()[1]];
        tokio::spawn(server.run(pending()));
        addresses
    }

    /// From 127.0.0.1, or from 127.0.0.9.
    async fn connect(to: SocketAddr, is_proxy: bool) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let from = if is_proxy { [127, 0, 0, 1] } else { [127, 0, 0, 9] };
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(to).await.unwrap()
    }

    async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
        let mut answer = Vec::new();
        // A connection that is closed may be reset.
        _ = stream.write_all(bytes).await;
        _ = in_time(stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    fn get_request(path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
    }

    /// That 10.0.0.7:7000 has connected to 10.0.0.1:443.
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x07\x0a\0\0\x01\x1b\x58\x01\xbb";

    #[tokio::test]
    async fn tls_and_plain_http_share_a_port() {
        let certificate = Certificate::draw();
        let [_, address] = start(&certificate);
        for path in ["/who", "/other"] {
            let plain = exchange(connect(address, false).await, &get_request(path)).await;
            let stream = client(&certificate, connect(address, false).await).await.unwrap();
            let tls = exchange(stream, &get_request(path)).await;
            for answer in [plain, tls] {
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\n127.0.0.9:"), "{answer}");
            }
        }
        // A connection that is kept, and answers that are larger than what TLS holds back.
        let mut stream = client(&certificate, connect(address, false).await).await.unwrap();
        let (mut ahead, answers) = (Vec::new(), 2000);
        for _ in 1..answers {
            ahead.extend_from_slice(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        ahead.extend(get_request("/who"));
        stream.write_all(&ahead).await.unwrap();
        let mut all = String::new();
        in_time(stream.read_to_string(&mut all)).await.expect("an end that TLS announces");
        assert_eq!(all.matches("127.0.0.9:").count(), answers);
    }

    #[tokio::test]
    async fn a_trusted_proxy_names_its_client() {
        let certificate = Certificate::draw();
        let [_, address] = start(&certificate);
        // For the proxy itself.
        let health = [&HEADER[..12], &[0x20, 0, 0, 0]].concat();
        for (header, expected) in [(HEADER, "10.0.0.7:7000"), (&health, "127.0.0.1:"), (b"", "127.0.0.1:")] {
            for path in ["/who", "/other"] {
                let bytes = [header, &get_request(path)].concat();
                let plain = exchange(connect(address, true).await, &bytes).await;
                let mut stream = connect(address, true).await;
                stream.write_all(header).await.unwrap();
                let stream = client(&certificate, stream).await.unwrap();
                let tls = exchange(stream, &get_request(path)).await;
                for answer in [plain, tls] {
                    assert!(answer.contains(&format!("\r\n\r\n{expected}")), "{answer}");
                    assert!(path != "/who" || answer.ends_with(" at 127.0.0.2"), "{answer}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_header_that_comes_slowly_is_read_and_one_that_stops_ends() {
        let [_, address] = start(&Certificate::draw());
        let mut stream = connect(address, true).await;
        stream.set_nodelay(true).unwrap();
        for byte in HEADER {
            stream.write_u8(*byte).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(exchange(stream, &get_request("/who")).await.contains("10.0.0.7:7000"));
        assert_eq!(exchange(connect(address, true).await, &HEADER[..20]).await, "", "it times out");
        let unix = [&HEADER[..12], &[0x21, 0x31, 0, 216], &[0; 216], &get_request("/who")[..]].concat();
        assert_eq!(exchange(connect(address, true).await, &unix).await, "");
        assert!(!exchange(connect(address, true).await, b"\r\n").await.contains("200"));
    }

    #[tokio::test]
    async fn nobody_else_names_a_client() {
        let [_, address] = start(&Certificate::draw());
        let bytes = [HEADER, &get_request("/who")].concat();
        assert!(!exchange(connect(address, false).await, &bytes).await.contains("200"));
        // Nor within TLS, nor twice.
        let certificate = Certificate::draw();
        let [_, address] = start(&certificate);
        let stream = client(&certificate, connect(address, true).await).await.unwrap();
        assert!(!exchange(stream, &bytes).await.contains("200"));
        let twice = [HEADER, &bytes].concat();
        assert!(!exchange(connect(address, true).await, &twice).await.contains("200"));
    }

    #[tokio::test]
    async fn behind_a_header_the_limit_is_the_clients() {
        let [_, address] = start_with(&Certificate::draw(), 1);
        let who = b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n";
        // Kept, as are those of the proxy itself, which has no limit.
        let mut kept = Vec::new();
        for header in [HEADER, b"", b""] {
            let mut stream = connect(address, true).await;
            stream.write_all(&[header, who].concat()).await.unwrap();
            let mut begin = [0; 15];
            in_time(stream.read_exact(&mut begin)).await.unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200 OK");
            kept.push(stream);
        }
        let bytes = [HEADER, &get_request("/who")].concat();
        assert_eq!(exchange(connect(address, true).await, &bytes).await, "", "one more than it may have");
        kept.clear();
        let is_free = async { while exchange(connect(address, true).await, &bytes).await.is_empty() {} };
        in_time(is_free).await;
    }

    #[tokio::test]
    async fn a_bad_handshake_costs_its_own_connection() {
        let certificate = Certificate::draw();
        let [proxied, address] = start(&certificate);
        // From the proxy, which has any number.
        let mut bad = Vec::new();
        for bytes in [&b"\x16"[..], b"\x16\x03\x01\x02\0\x01", b"\x16\x03\x01\0\x05garbage", b"\x16\x03\x01\xff\xff"] {
            let mut stream = connect(proxied, true).await;
            stream.write_all(bytes).await.unwrap();
            bad.push(stream);
        }
        let stream = client(&certificate, connect(address, false).await).await.unwrap();
        assert!(exchange(stream, &get_request("/who")).await.contains("127.0.0.9"));
        for stream in bad {
            until_closed(stream).await;
        }
        let other = Certificate::draw();
        assert!(client(&other, connect(address, false).await).await.is_err());
    }

    /// Reads until the other end closes the connection.
    async fn until_closed(mut stream: TcpStream) {
        _ = in_time(stream.read_to_end(&mut Vec::new())).await;
    }
}
