//! The configuration.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

pub use crate::head::LEAST_MAX_HEADERS;
use crate::tls::Tls;

/// Bytes that are read at once, and of a head that is read here. The longest that a known client sends is a scrape of 60
/// info-hashes, about 4.5 kB. Longer heads are hyper's, so that this is the least that [`ServerConfig::max_head_bytes`] may be.
pub const LEAST_MAX_HEAD_BYTES: usize = 8 << 10;

/// The limits of a [`Server`](crate::Server).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server's name in the log and in the names of its threads. Default: `http`.
    pub name: &'static str,
    /// Threads with a runtime, for connections that have to wait. On Linux each has beside it, for each address, a thread that
    /// accepts connections and answers what can be answered at once. Default: one per core.
    pub threads: NonZeroUsize,
    /// Connections open at the same time, or fewer if the system's limit on open files does not allow so many. From half of it
    /// on, connections are closed after one answer instead of being kept alive. Default: 8192.
    pub max_connections: usize,
    /// Connections open at the same time from one address, as an [`AddressGroup`](tracker_host::AddressGroup) counts. Default:
    /// 1024.
    pub max_connections_per_address: usize,
    /// Time for a request's head to arrive, from its first byte. Default: 10 s.
    pub head_timeout: Duration,
    /// Time a connection may stay open between requests. Default: 30 s.
    pub idle_timeout: Duration,
    /// Time for an answer to be taken, all of it. Default: 10 s.
    pub write_timeout: Duration,
    /// Time that connections get to finish when the server stops. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// Bytes of a request's head, at least [`LEAST_MAX_HEAD_BYTES`]. Default: 16 KiB.
    pub max_head_bytes: usize,
    /// Headers of a request, at least [`LEAST_MAX_HEADERS`]. Default: 64.
    pub max_headers: usize,
    /// The certificate for clients that speak TLS, on the same port as those that do not. TLS must come about within
    /// [`head_timeout`](Self::head_timeout), of which the handshake has 5 s when its turn has come; then the first request has that
    /// time again. How many handshakes may be in progress says [`Handshakes`](crate::Handshakes). Default: none.
    pub tls: Option<Tls>,
}

impl ServerConfig {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            name: "http",
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_connections: 8192,
            max_connections_per_address: 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            max_head_bytes: 16 << 10,
            max_headers: 64,
            tls: None,
        }
    }
}
