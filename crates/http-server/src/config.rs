//! The configuration.

use std::num::NonZeroUsize;
use std::time::Duration;

pub use crate::head::LEAST_MAX_HEADERS;

/// Bytes that are read at once, and of a head that is read here. The longest that a known client sends is a scrape of 60
/// info-hashes, about 4.5 kB. Longer heads are hyper's, so that this is the least that [`ServerConfig::max_head_bytes`] may be.
pub const LEAST_MAX_HEAD_BYTES: usize = 8 << 10;

/// The limits of a [`Server`](crate::Server).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The server's name in the log and in the names of its threads.
    pub name: &'static str,
    /// Threads with a runtime, for connections that have to wait. On Linux each has beside it, for each address, a thread that
    /// accepts connections and answers what can be answered at once.
    pub threads: NonZeroUsize,
    /// Connections open at the same time, or fewer if the system's limit on open files does not allow so many. From half of it
    /// on, connections are closed after one answer instead of being kept alive.
    pub max_connections: usize,
    /// Connections open at the same time from one address.
    pub max_connections_per_address: usize,
    /// Time for a request's head to arrive, from its first byte.
    pub head_timeout: Duration,
    /// Time a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// Time for an answer to be taken, all of it.
    pub write_timeout: Duration,
    /// Time that connections get to finish when the server stops.
    pub shutdown_timeout: Duration,
    /// Bytes of a request's head, at least [`LEAST_MAX_HEAD_BYTES`].
    pub max_head_bytes: usize,
    /// Headers of a request, at least [`LEAST_MAX_HEADERS`].
    pub max_headers: usize,
}
