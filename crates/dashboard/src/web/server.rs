//! The dashboard's HTTP server.
//!
//! It accepts connections itself instead of using [`http_server::Server`]: it runs on its caller's runtime, without threads of
//! its own, and answers with streams, so that its write timeout begins again whenever a client takes something. That of the
//! ports for clients limits the whole answer, as a client that reads slowly must not hold one of their connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{Request, Version};
use axum::response::Response;
use futures_util::StreamExt;
use http_server::{
    AcceptErrors, ConnectionLimit, ConnectionPermit, Detachable, ForeignConnections, Handshakes, Opened, Preface,
    PrefaceError, Tls, WriteTimeout, serve_connection, serve_until_detached,
};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service;
use tracker_core::ShardsView;
use tracker_host::{BindError, Transport, bind};

use super::Dashboard;
use super::client::{CameThrough, Client, LocalAddress};
use super::transfer::{Handover, send_file};

/// Connections that wait to be accepted, per address.
const BACKLOG: i32 = 256;

/// How often it is looked whether the rules still admit the address of an open connection.
const ADMISSION_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Serves a [`Dashboard`] over HTTP/1.1, on the Tokio runtime that [`run`](Self::run) is called in. One thread is enough.
///
/// It serves up to 1024 connections, and 64 from one address (as an [`AddressGroup`](tracker_host::AddressGroup) counts): a
/// browser opens up to six, and several machines may stand behind one address. 64 are kept for this machine, which may have as
/// many as there are. What is more is closed unanswered. The head of a request may have 16 KiB and 100 lines, and must be there
/// 30 s after the connection was opened or the last answer was sent. What comes before, a header of the PROXY protocol and TLS,
/// has 30 s each. Of these, the handshake of TLS has 5 s when its turn has come; how many may be in progress says [`Handshakes`].
/// An answer, or what there is of it, must be taken in 30 s.
///
/// ```no_run
/// use dashboard::{Dashboard, Server};
/// use tracker_host::all_addresses;
///
/// # async fn example(dashboard: Dashboard) -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind(&all_addresses(6970), dashboard.clone())?;
/// println!("open {}", dashboard.url(server.local_addrs()[0]));
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// server.run(async { _ = stopped.await }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Vec<StdTcpListener>,
    local_addrs: Vec<SocketAddr>,
    router: Router,
    /// Knows what counts as one address.
    shards: ShardsView,
    limits: Limits,
    preface: PrefaceConfig,
}

/// What may come before HTTP.
#[derive(Debug, Clone, Default)]
struct PrefaceConfig {
    tls: Option<Tls>,
    trusted_proxies: Vec<IpNet>,
}

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    connections_per_address: usize,
    /// The number of connections that are reserved for this machine.
    connections_reserved: usize,
    head_bytes: usize,
    headers: usize,
    /// Until the head of the next request is there, from the end of the last answer.
    head: Duration,
    /// Until what is sent is taken.
    write: Duration,
    /// Until requests that have begun are answered when the server stops.
    shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 64,
            connections_reserved: 64,
            head_bytes: 16 << 10,
            headers: 100,
            head: Duration::from_secs(30),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(2),
        }
    }
}

impl Server {
    /// Listens on all of these addresses. From now on connections queue up, until [`run`](Self::run) answers them.
    ///
    /// An IPv6 address takes IPv6 connections only. When all addresses of both families are asked for (as
    /// [`all_addresses`](tracker_host::all_addresses) does) and the machine has one family only, the other is left out. Port 0
    /// takes a free port, one for each address.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on.
    pub fn bind(addresses: &[SocketAddr], dashboard: Dashboard) -> Result<Self, BindError> {
        let shards = dashboard.0.config.shards.clone();
        let mut server = Self::bind_router(addresses, dashboard.router(), shards, Limits::default())?;
        let (tls, trusted_proxies) = (dashboard.0.config.tls.clone(), dashboard.0.config.trusted_proxies.clone());
        server.preface = PrefaceConfig { tls, trusted_proxies };
        dashboard.0.page_addresses.add_listening(&server.local_addrs);
        Ok(server)
    }

    fn bind_router(
        addresses: &[SocketAddr],
        router: Router,
        shards: ShardsView,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let transport = Transport::Tcp { backlog: BACKLOG };
        let sockets = bind(addresses, transport, NonZeroUsize::MIN, |socket, _| {
            // Connections inherit the first from their listener.
            socket.set_tcp_nodelay(true)?;
            socket.set_nonblocking(true)
        })?;
        let listeners: Vec<_> = sockets.into_iter().flatten().map(StdTcpListener::from).collect();
        let local_addrs = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Ok(Self { listeners, local_addrs, router, shards, limits, preface: PrefaceConfig::default() })
    }

    /// The addresses it listens on, with their ports, in the order in which they were asked for.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Serves until `shutdown` is ready, and stops gracefully then: the ports are free at once, event streams end, requests
    /// that have begun are answered, and after 2 s what is left is cut off. When the future is dropped instead, all is cut off.
    ///
    /// # Errors
    ///
    /// Returns an error if the listeners cannot be registered with the runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listeners, router, shards, limits, preface, .. } = self;
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared::new(router, shards, limits, preface));
        let (stop, stopped) = watch::channel(());
        let mut listening = JoinSet::new();
        for listener in listeners {
            listening.spawn(accept(listener, Arc::clone(&shared), stopped.clone()));
        }
        shutdown.await;
        drop(stop);
        while listening.join_next().await.is_some() {}
        Ok(())
    }
}

/// State that all connections share.
struct Shared {
    router: Router,
    shards: ShardsView,
    http: http1::Builder,
    connections: Arc<ConnectionLimit>,
    accept_errors: AcceptErrors,
    foreign_connections: ForeignConnections,
    handshakes: Handshakes,
    limits: Limits,
    preface: PrefaceConfig,
}

impl Shared {
    fn new(router: Router, shards: ShardsView, limits: Limits, preface: PrefaceConfig) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            // The buffer is what bounds a head that does not end.
            .max_buf_size(limits.head_bytes)
            .max_headers(limits.headers);
        let connections =
            ConnectionLimit::new(limits.connections, limits.connections_per_address, limits.connections_reserved);
        Self {
            router,
            shards,
            http,
            connections: Arc::new(connections),
            accept_errors: AcceptErrors::new("dashboard"),
            foreign_connections: ForeignConnections::new("dashboard"),
            handshakes: Handshakes::default(),
            limits,
            preface,
        }
    }

    /// A permit for a connection, if the limits allow one more.
    fn permit(&self, ends: Ends) -> Option<ConnectionPermit> {
        let client = self.client(ends);
        let permit = self.connections.acquire(client.group, client.is_this_machine);
        permit.map_err(|error| self.accept_errors.log_refused(ends.remote.ip(), error)).ok()
    }

    fn client(&self, ends: Ends) -> Client {
        Client::new(&self.shards, ends.remote.ip(), ends.local.map(|local| local.ip()))
    }

    /// Returns `true` for a proxy whose header of the PROXY protocol is believed. The address must be canonical.
    fn trusts(&self, remote: IpAddr) -> bool {
        self.preface.trusted_proxies.iter().any(|network| network.contains(&remote))
    }
}

/// Serves what comes to one listener until `stopped` changes or loses its sender.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    let signal = stopped.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, mut remote)) => {
                remote.set_ip(remote.ip().to_canonical());
                let ends = Ends { remote, local: stream.local_addr().ok(), came_through: CameThrough::default() };
                let Some(permit) = shared.permit(ends) else { continue };
                let (shared, stopped) = (Arc::clone(&shared), signal.clone());
                connections.spawn(async move { begin(stream, ends, permit, &shared, stopped).await });
            }
            Err(error) => {
                if let Some(pause) = shared.accept_errors.pause(&error) {
                    sleep(pause).await;
                }
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(shared.limits.shutdown, all).await.is_err() {
        tracing::debug!(connections = connections.len(), "cut off at the end");
        connections.shutdown().await;
    }
}

/// Returns `true` for this machine, which has a reserve of connections and no limit of its own, and whose TLS handshakes are not
/// limited: a proxy may bring many clients from there, and the operator must always get in. The address must be canonical.
pub(super) fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback()
}

/// The two ends of a connection, and what is between them.
#[derive(Debug, Clone, Copy)]
struct Ends {
    /// The client's; canonical.
    remote: SocketAddr,
    local: Option<SocketAddr>,
    came_through: CameThrough,
}

/// Reads what comes before HTTP, if that may be something, and serves the connection. After the header of a proxy it is the
/// client's, with a permit of the client's own.
async fn begin(
    stream: TcpStream,
    mut ends: Ends,
    mut permit: ConnectionPermit,
    shared: &Shared,
    mut stopped: watch::Receiver<()>,
) {
    let (is_proxy, tls, limits) = (shared.trusts(ends.remote.ip()), shared.preface.tls.as_ref(), shared.limits);
    let stream = WriteTimeout::new(stream, limits.write);
    if !is_proxy && tls.is_none() {
        while_admitted(ends, shared, serve(stream, Bytes::new(), ends, shared, stopped)).await;
        return;
    }
    let signal = stopped.clone();
    let mut preface = Preface::new(stream);
    // In a place of its own, which most connections do not need.
    let opened = Box::pin(async {
        if is_proxy && let Some(header) = preface.proxy_header(limits.head).await? {
            ends.came_through.proxy = true;
            if let Some(client) = header.client(ends.remote.ip()) {
                ends.remote = client;
                drop(permit);
                let Some(of_client) = shared.permit(ends) else { return Ok(None) };
                permit = of_client;
            }
        }
        let client = shared.client(ends);
        let counted = (!client.is_this_machine).then_some(client.group);
        let opened = preface.open(tls, &shared.handshakes, counted, limits.head).await?;
        Ok(Some((opened, permit)))
    });
    let opened = tokio::select! {
        opened = opened => opened,
        _ = stopped.changed() => return,
    };
    match opened {
        Ok(Some((Opened::Plain(stream, read), _permit))) => {
            while_admitted(ends, shared, serve(stream, read.into(), ends, shared, signal)).await;
        }
        Ok(Some((Opened::Tls(stream), _permit))) => {
            ends.came_through.tls = true;
            Box::pin(while_admitted(ends, shared, serve_tls(stream, ends, shared, signal))).await;
        }
        Ok(None) => {}
        Err(PrefaceError::Header(error)) => shared.foreign_connections.log_unreadable_header(ends.remote.ip(), error),
        Err(error) => tracing::debug!(remote = %ends.remote, %error, "connection ended"),
    }
}

/// Serves a connection until the rules deny the address of its client, which they admitted: then downloads and event streams are cut
/// off. The routes refuse an address that they never admitted. [`Config::access`](tracker_core::Config::access) does not count: it
/// follows the networks of this machine, and an interface may be gone for a moment.
async fn while_admitted(ends: Ends, shared: &Shared, served: impl Future<Output = ()>) {
    let is_admitted = || shared.shards.clients().admits_address(ends.remote.ip());
    let until_denied = async {
        let mut was_admitted = is_admitted();
        loop {
            sleep(ADMISSION_CHECK_INTERVAL).await;
            let is_admitted = is_admitted();
            if was_admitted && !is_admitted {
                break;
            }
            was_admitted = is_admitted;
        }
    };
    tokio::select! {
        () = served => {}
        () = until_denied => tracing::debug!(remote = %ends.remote, "connection closed, since its address is not served any more"),
    }
}

/// The answer of the routes to a request.
fn answer(
    mut request: Request<Incoming>,
    ends: Ends,
    shared: &Shared,
) -> impl Future<Output = Result<Response, Infallible>> {
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(ends.remote));
    extensions.insert(ends.came_through);
    if let Some(local) = ends.local {
        extensions.insert(LocalAddress(local));
    }
    shared.router.clone().call(request)
}

/// Serves a connection within TLS until one of the two, or the server, has had enough. hyper writes everything.
async fn serve_tls(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    ends: Ends,
    shared: &Shared,
    stopped: watch::Receiver<()>,
) {
    let signal = stopped.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, signal) = (answer(request, ends, shared), signal.clone());
        async move { Ok::<_, Infallible>(until(signal, answer.await?)) }
    });
    if let Err(error) = serve_connection(&shared.http, stream, service, stopped).await {
        tracing::debug!(remote = %ends.remote, %error, "connection ended");
    }
}

/// Serves a connection until one of the two, or the server, has had enough. `unread` was read of it already.
///
/// hyper reads the requests and writes the answers. Only the files of transfers are sent without it: when it has written the head
/// of such an answer, the connection is taken from it, and given to another one after the file.
async fn serve(
    mut stream: WriteTimeout<TcpStream>,
    mut unread: Bytes,
    ends: Ends,
    shared: &Shared,
    mut stopped: watch::Receiver<()>,
) {
    let remote = ends.remote;
    let signal = stopped.clone();
    loop {
        let mut connection = Detachable::new(stream, unread);
        let (body, detached) = (connection.bodies(), Mutex::new(None));
        let service = service_fn(|request: Request<Incoming>| {
            // With a body that nobody reads, hyper decides about the connection.
            let keeps_alive = request.body().is_end_stream().then(|| keeps_alive(&request));
            let answer = answer(request, ends, shared);
            let (signal, body, detached) = (signal.clone(), &body, &detached);
            async move {
                let mut answer = answer.await?;
                if let Some(keeps_alive) = keeps_alive
                    && let Some(transfer) = answer.extensions().get().and_then(Handover::take)
                {
                    *answer.body_mut() = Body::new(body(transfer.rest.end - transfer.rest.start));
                    *detached.lock().unwrap_or_else(PoisonError::into_inner) = Some((transfer, keeps_alive));
                }
                Ok::<_, Infallible>(until(signal, answer))
            }
        });
        match serve_until_detached(&shared.http, &mut connection, service, &mut stopped).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                if let Some(protocol) = error.foreign_protocol {
                    shared.foreign_connections.log(remote.ip(), protocol);
                }
                tracing::debug!(%remote, %error, "connection ended");
                return;
            }
        }
        let detached = detached.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (transfer, keeps_alive) = detached.expect("a body is due only where there is one");
        let (written, read) = connection.into_parts();
        match send_file(written.into_inner(), transfer, shared.limits.write).await {
            Ok(sent) if keeps_alive && !stopped.has_changed().unwrap_or(true) => {
                (stream, unread) = (WriteTimeout::new(sent, shared.limits.write), read);
            }
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(%remote, %error, "a file was not sent whole");
                return;
            }
        }
    }
}

/// Returns `true` if the connection goes on after the answer to this request, as the sender sees it
/// ([RFC 9112, section 9.3](https://www.rfc-editor.org/rfc/rfc9112#section-9.3)).
fn keeps_alive(request: &Request<Incoming>) -> bool {
    let options = request.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(',')).map(str::trim);
    let mut has = |wanted: &str| options.any(|option| option.eq_ignore_ascii_case(wanted));
    if request.version() == Version::HTTP_10 { has("keep-alive") } else { !has("close") }
}

/// An answer that, if it is a stream of events, ends when the server does.
fn until(mut stopped: watch::Receiver<()>, response: Response) -> Response {
    let is_stream = |kind: &str| kind.starts_with("text/event-stream");
    if !response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(is_stream) {
        return response;
    }
    response.map(|body| {
        let stopped = Box::pin(async move { _ = stopped.changed().await });
        Body::from_stream(body.into_data_stream().take_until(stopped))
    })
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::ErrorKind;
    use std::thread;

    use axum::http::{Request, StatusCode};
    use axum::response::Sse;
    use axum::response::sse::Event;
    use axum::routing::{get, post};
    use futures_util::stream;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;
    use tracker_core::{Access, ClientPolicy, Config, NetworkConfig, Shards};

    use super::*;

    const FOREVER: Duration = Duration::from_secs(3600);
    const AT_ONCE: Duration = Duration::from_millis(20);

    /// Fails what would hang.
    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), what).await.expect("it takes too long")
    }

    fn shards() -> ShardsView {
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        Arc::new(shards).into()
    }

    /// Limits that no test meets unless it changes them.
    fn limits() -> Limits {
        Limits { head: FOREVER, write: FOREVER, shutdown: FOREVER, ..Limits::default() }
    }

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        ended: JoinHandle<io::Result<()>>,
    }

    fn start(address: &str, router: Router, limits: Limits) -> Running {
        let server = Server::bind_router(&[address.parse().unwrap()], router, shards(), limits).unwrap();
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        Running { address, stop, ended }
    }

    impl Running {
        async fn ask(&self, path: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: dashboard\r\n\r\n").as_bytes()).await.unwrap();
            stream
        }

        async fn stop(self) {
            drop(self.stop);
            in_time(self.ended).await.unwrap().unwrap();
        }
    }

    /// Reads until there is this.
    async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
        let mut text = String::new();
        while !text.contains(wanted) {
            let mut bytes = [0; 1000];
            let read = in_time(stream.read(&mut bytes)).await.unwrap();
            assert_ne!(read, 0, "there was only {text:?}");
            text.push_str(str::from_utf8(&bytes[..read]).unwrap());
        }
        text
    }

    /// Reads until the other end closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = in_time(stream.read_to_end(&mut bytes)).await {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn it_tells_routes_who_asks_and_gives_the_port_back() {
        let who = async |ConnectInfo(remote): ConnectInfo<SocketAddr>| remote.to_string();
        let server = start("127.0.7.2:0", Router::new().route("/", get(who)), limits());
        let mut stream = server.ask("/").await;
        let own = stream.local_addr().unwrap().to_string();
        read_until(&mut stream, &own).await;
        let taken = Server::bind_router(&[server.address], Router::new(), shards(), limits()).unwrap_err();
        assert_eq!((taken.address, taken.source.kind()), (server.address, ErrorKind::AddrInUse));

        let address = server.address;
        server.stop().await;
        assert_eq!(rest(&mut stream).await, "");
        StdTcpListener::bind(address).unwrap();
    }

    #[tokio::test]
    async fn connections_are_limited() {
        let limits = Limits { connections: 2, ..limits() };
        let server = start("127.0.0.1:0", Router::new().route("/", get("here")), limits);
        // Which may be closed already.
        let ask = async || {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: dashboard\r\n\r\n").await;
            stream
        };
        let mut two = [ask().await, ask().await];
        for stream in &mut two {
            read_until(stream, "here").await;
        }
        assert_eq!(rest(&mut ask().await).await, "");

        drop(two);
        let back = async { while rest_or_answer(&mut ask().await).await.is_empty() {} };
        in_time(back).await;
        server.stop().await;
    }

    #[tokio::test]
    async fn an_upload_that_is_refused_gets_its_answer() {
        let refuse = async || (StatusCode::PAYLOAD_TOO_LARGE, "too large");
        let server = start("127.0.0.1:0", Router::new().route("/", post(refuse)), limits());
        let piece = [b'x'; 64 << 10];
        for (length, framed) in [
            ("Content-Length: 33554432", piece.to_vec()),
            ("Transfer-Encoding: chunked", [&b"10000\r\n"[..], &piece, b"\r\n"].concat()),
        ] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!("POST / HTTP/1.1\r\nHost: dashboard\r\n{length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // As browsers do, which read the answer when they have sent everything.
            for _ in 0..512 {
                in_time(stream.write_all(&framed)).await.unwrap();
            }
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("too large"), "{length}: {answer}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn a_head_that_is_refused_gets_its_answer() {
        let server = start("127.0.0.1:0", Router::new().route("/", get("here")), limits());
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        for _ in 0..1000 {
            in_time(stream.write_all(format!("X: {}\r\n", "x".repeat(1000)).as_bytes())).await.unwrap();
        }
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431 "));
        server.stop().await;
    }

    /// The answer, or nothing when the connection is closed instead.
    async fn rest_or_answer(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1000];
        let read = in_time(stream.read(&mut bytes)).await.unwrap_or_default();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    #[tokio::test]
    async fn heads_are_short_and_come_soon() {
        let router = Router::new().route("/", get("here"));
        let server = start("127.0.0.1:0", router.clone(), limits());
        for head in [
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)),
            format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(200)),
            "no HTTP at all\r\n\r\n".into(),
        ] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
        }
        server.stop().await;

        let server = start("127.0.0.1:0", router, Limits { head: AT_ONCE, ..limits() });
        let mut idle = server.ask("/").await;
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        let mut half = TcpStream::connect(server.address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        assert!(rest(&mut idle).await.ends_with("here"));
        for stream in [&mut silent, &mut half] {
            let answer = rest(stream).await;
            assert!(!answer.contains("200"), "{answer}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn who_does_not_read_is_cut_off() {
        let ended = Arc::new(Notify::new());
        /// Tells that nobody has it any more.
        struct Tells(Arc<Notify>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let told = Arc::clone(&ended);
        let endless = async move || {
            let tells = Tells(Arc::clone(&told));
            Body::from_stream(stream::repeat_with(move || {
                _ = &tells;
                Ok::<_, Infallible>(vec![b'x'; 10_000])
            }))
        };
        let router = Router::new().route("/", get(endless));
        let server = start("127.0.0.1:0", router, Limits { write: AT_ONCE, ..limits() });
        let unread = server.ask("/").await;
        in_time(ended.notified()).await;
        drop(unread);
        server.stop().await;
    }

    #[tokio::test]
    async fn event_streams_end_with_the_server() {
        let events = async || {
            Sse::new(stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]).chain(stream::pending()))
        };
        let server = start("127.0.0.1:0", Router::new().route("/", get(events)), limits());
        let mut stream = server.ask("/").await;
        read_until(&mut stream, "first").await;
        server.stop().await;
        assert!(rest(&mut stream).await.ends_with("0\r\n\r\n"), "it ends as an answer does");
    }

    #[tokio::test]
    async fn connections_of_an_address_that_is_denied_end() {
        let events = async || {
            Sse::new(stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]).chain(stream::pending()))
        };
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let shards = Arc::new(shards);
        let router = Router::new().route("/", get(events));
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Server::bind_router(&[address], router, Arc::clone(&shards).into(), limits()).unwrap();
        server.preface.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        let follow = async |host: u8| {
            let mut header = HEADER.to_vec();
            header[19] = host;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&header).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: dashboard\r\n\r\n").await.unwrap();
            read_until(&mut stream, "first").await;
            stream
        };
        let mut other = follow(8).await;
        // As when an interface is gone for a moment.
        let mut network = NetworkConfig::from(shards.config());
        network.access = Access::Networks(Vec::new());
        shards.set_network(&network).unwrap();
        // One after the other, so that those of the other address were looked at between them.
        for host in [7, 9] {
            let mut denied = follow(host).await;
            let denied_networks = vec![IpNet::from(IpAddr::from([10, 0, 0, host]))];
            shards.set_clients_with_pauses(ClientPolicy { denied_networks, ..ClientPolicy::default() }, || {});
            rest(&mut denied).await;
            // Who comes now is answered by the routes.
            follow(host).await;
        }
        drop(stop);
        assert!(rest(&mut other).await.ends_with("0\r\n\r\n"), "others go on until the server ends");
        in_time(ended).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_has_begun_is_answered_and_cut_off_if_it_takes_too_long() {
        let (arrived, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = {
            let (arrived, proceed) = (Arc::clone(&arrived), Arc::clone(&proceed));
            async move || {
                arrived.notify_one();
                proceed.notified().await;
                "done"
            }
        };
        let server = start("127.0.7.3:0", Router::new().route("/", get(slow)), limits());
        let mut stream = server.ask("/").await;
        in_time(arrived.notified()).await;
        let Running { address, stop, ended } = server;
        drop(stop);
        in_time(async { while TcpStream::connect(address).await.is_ok() {} }).await;
        proceed.notify_one();
        assert!(rest(&mut stream).await.ends_with("done"));
        in_time(ended).await.unwrap().unwrap();

        let told = Arc::clone(&arrived);
        let never = async move || {
            told.notify_one();
            pending::<&str>().await
        };
        let server =
            start("127.0.0.1:0", Router::new().route("/", get(never)), Limits { shutdown: AT_ONCE, ..limits() });
        let mut stream = server.ask("/").await;
        in_time(arrived.notified()).await;
        server.stop().await;
        assert_eq!(rest(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_connection() {
        async fn panics(_: Request<Body>) -> &'static str {
            panic!("a bug in a handler, on {:?}", thread::current().id())
        }
        let server = start("127.0.0.1:0", Router::new().route("/panic", get(panics)).route("/", get("here")), limits());
        for _ in 0..2 {
            assert_eq!(rest(&mut server.ask("/panic").await).await, "");
            read_until(&mut server.ask("/").await, "here").await;
        }
        server.stop().await;
    }

    /// That 10.0.0.7:7000 has connected to 10.0.0.1:443.
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x07\x0a\0\0\x01\x1b\x58\x01\xbb";

    /// A server that says who asks, and trusts this proxy.
    fn trusting(proxy: &str, limits: Limits) -> Running {
        let who = async |ConnectInfo(remote): ConnectInfo<SocketAddr>| remote.to_string();
        let router = Router::new().route("/", get(who));
        let mut server = Server::bind_router(&["127.0.0.1:0".parse().unwrap()], router, shards(), limits).unwrap();
        server.preface.trusted_proxies = vec![proxy.parse().unwrap()];
        let address = server.local_addrs()[0];
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        Running { address, stop, ended }
    }

    async fn ask_after(server: &Running, first: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        _ = stream.write_all(&[first, b"GET / HTTP/1.1\r\nHost: dashboard\r\n\r\n"].concat()).await;
        stream
    }

    #[tokio::test]
    async fn a_trusted_proxy_names_its_client() {
        let server = trusting("127.0.0.1/32", Limits { connections_per_address: 1, ..limits() });
        let mut kept = ask_after(&server, HEADER).await;
        read_until(&mut kept, "10.0.0.7:7000").await;
        assert_eq!(rest(&mut ask_after(&server, HEADER).await).await, "", "its client has as many as it may");
        // The proxy itself is this machine, which has no limit.
        for _ in 0..2 {
            let mut own = ask_after(&server, b"").await;
            read_until(&mut own, "127.0.0.1:").await;
        }
        drop(kept);
        in_time(async { while rest_or_answer(&mut ask_after(&server, HEADER).await).await.is_empty() {} }).await;
        server.stop().await;
    }

    #[tokio::test]
    async fn what_comes_before_http_comes_soon_or_ends_with_the_server() {
        let server = trusting("127.0.0.1/32", Limits { head: AT_ONCE, ..limits() });
        for bytes in [&HEADER[..20], b""] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            assert_eq!(rest(&mut stream).await, "");
        }
        server.stop().await;
        let server = trusting("127.0.0.1/32", limits());
        let mut half = TcpStream::connect(server.address).await.unwrap();
        half.write_all(&HEADER[..20]).await.unwrap();
        read_until(&mut ask_after(&server, HEADER).await, "10.0.0.7").await;
        server.stop().await;
        assert_eq!(rest(&mut half).await, "");
    }

    #[tokio::test]
    async fn nobody_else_names_a_client() {
        let server = trusting("127.0.0.9/32", limits());
        let answer = rest(&mut ask_after(&server, HEADER).await).await;
        assert!(!answer.contains("10.0.0.7") && !answer.contains("200"), "{answer}");
        server.stop().await;
    }
}
