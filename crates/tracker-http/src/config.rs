//! What can be set.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use ipnet::IpNet;

/// Limits and switches of the HTTP adapter.
///
/// The defaults suit a LAN of some thousand machines; what a tracker does (intervals, limits on swarms and peers, who may
/// announce) is [`tracker_core::Config`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Threads that serve connections, each with a runtime of its own and, on Linux, a listener of its own.
    /// Default: one per core.
    pub threads: NonZeroUsize,
    /// Connections open at the same time. One more is closed as soon as it is accepted; from half of it on,
    /// connections are closed after one answer instead of being kept alive, so that idle ones never use it up.
    /// A connection costs up to about 20 KiB. Default: 8192, or what the system's limit on open files allows.
    pub max_connections: usize,
    /// Connections open at the same time from one address, so that a single machine cannot take them all. Trusted
    /// proxies may have any number. Default: 1024, since many machines may stand behind one address.
    pub max_connections_per_address: usize,
    /// Time for a request's head to arrive, from its first byte (for a connection's first request: from the
    /// connection). Then the connection is closed. Default: 10 s.
    pub head_timeout: Duration,
    /// Time a connection may stay open between requests. Default: 30 s.
    pub idle_timeout: Duration,
    /// Time a client may refuse to take any byte of an answer before it is cut off. Default: 10 s.
    pub write_timeout: Duration,
    /// Time that connections get to finish once the server is told to stop. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// Bytes of a request's head (request line and headers); a longer one is answered with 431. A scrape of 60
    /// info-hashes, the most that a known client sends, takes about 4.5 kB. Default: 16 KiB, at least 8 KiB.
    pub max_head_bytes: usize,
    /// Headers of a request; more are answered with 431. Default: 64.
    pub max_headers: usize,
    /// Networks whose `Forwarded` and `X-Forwarded-For` headers are believed, which is where reverse proxies run.
    /// Default: none.
    ///
    /// A request from there without either header counts as made by that machine itself, as nginx, Caddy and Traefik have
    /// it: a client may run beside the proxy. So the proxy must set one of the two on every request, which nginx does not
    /// do by itself, and should drop the other, which it passes on. A request whose headers cannot be read, or that name
    /// two clients, is refused.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a scrape without an info-hash lists every swarm (up to [`MAX_FULL_SCRAPE`](crate::MAX_FULL_SCRAPE)).
    /// Default: no, since it tells everybody what is shared.
    pub full_scrape: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_connections: 8192,
            max_connections_per_address: 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            max_head_bytes: 16 * 1024,
            max_headers: 64,
            trusted_proxies: Vec::new(),
            full_scrape: false,
        }
    }
}
