//! The server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_server::{Connection, Handler, RequestHead, ServerConfig};
use tracker_host::{AddressGroup, BindError, user_key};

use crate::forwarded::is_trusted;
use crate::{Adapter, HttpConfig, router};

/// Serves an [`Adapter`] over HTTP/1.0 and HTTP/1.1.
///
/// One thread per core with a runtime, for connections that have to wait, and on Linux one per core and address with a listener
/// of its own, which answers all others. A client that is slow, sends garbage or does not read costs its own connection and
/// nobody else's; the limits are those of [`HttpConfig`].
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
pub struct Server(http_server::Server);

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
        let config = server_config(adapter.config());
        let router = router(adapter.clone());
        http_server::Server::bind(addresses, config, Arc::new(adapter), router).map(Self)
    }

    /// The addresses it listens on, with their ports, in the order in which they were asked for.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        self.0.local_addrs()
    }

    /// Serves until `shutdown` is ready, and stops gracefully then: the ports are free at once, requests that have begun
    /// are answered, and after [`HttpConfig::shutdown_timeout`] what is left is cut off. When the future is dropped
    /// instead, the server stops likewise, in the background.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread or its event loop cannot be set up, or ends; all others stop then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.0.run(shutdown).await
    }
}

fn server_config(config: &HttpConfig) -> ServerConfig {
    ServerConfig::default().with(|server| {
        server.threads = config.threads;
        server.max_connections = config.max_connections;
        server.max_connections_per_address = config.max_connections_per_address;
        server.head_timeout = config.head_timeout;
        server.idle_timeout = config.idle_timeout;
        server.write_timeout = config.write_timeout;
        server.shutdown_timeout = config.shutdown_timeout;
        server.max_head_bytes = config.max_head_bytes;
        server.max_headers = config.max_headers;
        server.tls.clone_from(&config.tls);
    })
}

/// Announces and scrapes are answered at once. The router has all else: other paths, browsers, hosts that the tracker does not
/// answer to, and full scrapes, whose answers are large and hyper's to hold while they are taken.
impl Handler for Adapter {
    fn answer(&self, connection: Connection, request: &RequestHead<'_>, body: &mut Vec<u8>) -> bool {
        let path = self.config().base_path.without(request.path);
        let Some(kind) = RequestKind::of(path) else { return false };
        if request.is_of_browser || request.host.is_some_and(|host| self.check_host(host).is_err()) {
            return false;
        }
        let (remote, local) = (connection.remote().ip(), connection.local().ip());
        if is_trusted(remote, &self.config().trusted_proxies) {
            // Requests with a header that names their client do not come here.
            self.warn_of_silent_proxy(remote, remote);
        }
        let user_key = user_key(path);
        match kind {
            RequestKind::Announce => self.announce_into(remote, local, user_key, request.query, body),
            RequestKind::Scrape if self.is_full_scrape(request.query) => return false,
            RequestKind::Scrape => body.extend_from_slice(&self.scrape(remote, user_key, request.query)),
        }
        true
    }

    fn on_answered(&self, requests: u64, took: Duration) {
        self.answer_times().record(requests, took);
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        is_trusted(address, &self.config().trusted_proxies)
    }

    fn sends_proxy_header(&self, remote: IpAddr) -> bool {
        is_trusted(remote, &self.config().trusted_proxies)
    }

    fn group(&self, connection: &Connection) -> AddressGroup {
        self.address_group(connection.remote().ip(), connection.local().ip())
    }

    fn on_malformed_request(&self) {
        self.count_failure();
    }

    fn on_too_many_connections(&self) {
        self.count_closed_connection();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Announce,
    Scrape,
}

impl RequestKind {
    /// The kind of request that a path stands for. What follows a slash is no part of it: tracker URLs carry a [key](user_key) there.
    fn of(path: &[u8]) -> Option<Self> {
        [(&b"/announce"[..], Self::Announce), (b"/scrape", Self::Scrape)]
            .into_iter()
            .find_map(|(begin, kind)| matches!(path.strip_prefix(begin)?.first(), None | Some(b'/')).then_some(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_have_a_key_at_the_end() {
        for (path, kind) in [
            ("/announce", Some(RequestKind::Announce)),
            ("/announce/", Some(RequestKind::Announce)),
            ("/announce/key/more", Some(RequestKind::Announce)),
            ("/scrape", Some(RequestKind::Scrape)),
            ("/scrape/key", Some(RequestKind::Scrape)),
            ("/", None),
            ("/announced", None),
            ("/announce%2f", None),
            ("/ann", None),
            ("//announce", None),
        ] {
            assert_eq!(RequestKind::of(path.as_bytes()), kind, "{path}");
        }
    }
}
