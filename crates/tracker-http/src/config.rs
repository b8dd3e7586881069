//! The configuration.

use std::num::NonZeroUsize;
use std::time::Duration;

use http_server::{BasePath, LEAST_MAX_HEAD_BYTES, LEAST_MAX_HEADERS, ServerConfig, Tls};
use ipnet::IpNet;
use tracker_core::OutOfBounds;

/// Limits and switches of the HTTP adapter.
///
/// The defaults suit a LAN of some thousand machines; what a tracker does (intervals, limits on swarms and peers, who may
/// announce) is [`tracker_core::Config`]. [`validate`](Self::validate) checks the bounds that are named here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Threads with a runtime, which serve what has to be waited for. On Linux each has beside it, for each address, a
    /// thread with a listener of its own, which accepts connections and answers what can be answered at once: with two
    /// addresses there are three times as many threads. Those of an address to which nobody comes sleep. Default: one per
    /// core, at most 1024.
    pub threads: NonZeroUsize,
    /// Connections open at the same time. For one more, the connection is closed that has waited longest for the whole head of a
    /// request, unless (on Linux) the new one's request is there and can be answered without waiting; if none waits, the new one
    /// is closed. From half of it on, connections are closed after one answer instead of being kept alive, so that idle ones
    /// never use it up.
    /// A connection costs up to about 20 KiB. Default: 8192, or what the system's limit on open files allows; 1 or more.
    pub max_connections: usize,
    /// Connections open at the same time from one address, so that a single machine cannot take them all. Trusted
    /// proxies may have any number. An [`AddressGroup`](tracker_core::AddressGroup) counts as one address. Default: 1024, since
    /// many machines may stand behind one address; 1 or more.
    pub max_connections_per_address: usize,
    /// Time for a request's head to arrive, from its first byte (for a connection's first request: from when it is
    /// accepted, which on Linux is a second late where nothing is sent). Then the connection is closed. Default: 10 s,
    /// from 1 ms to a day.
    pub head_timeout: Duration,
    /// Time a connection may stay open between requests. Default: 30 s, from 1 ms to a day.
    pub idle_timeout: Duration,
    /// Time for an answer to be taken, all of it, however steadily a client reads (for requests that were sent ahead: all
    /// their answers). Then the client is cut off. What fits the system's buffers counts as taken, so this concerns full
    /// scrapes and those who never read. Default: 10 s, from 1 ms to a day.
    pub write_timeout: Duration,
    /// Time that connections get to finish when the server stops. Default: 5 s, at most a day.
    pub shutdown_timeout: Duration,
    /// Bytes of a request's head (request line and headers); a longer one is answered with 431. A scrape of 60
    /// info-hashes, the most that a known client sends, takes about 4.5 kB. Default: 16 KiB, from 8 KiB to 1 MiB.
    pub max_head_bytes: usize,
    /// Headers of a request; more are answered with 431. Default: 64, from 24 to 1024.
    pub max_headers: usize,
    /// Networks whose `Forwarded` and `X-Forwarded-For` headers are believed, and `X-Real-IP` where neither of them is there. It
    /// is where reverse proxies run. Default: none.
    ///
    /// A request from there without any of the headers counts as made by that machine itself, as nginx, Caddy and Traefik have
    /// it: a client may run beside the proxy. That is logged once an hour. So the proxy must set one of them on every request,
    /// which nginx does not do by itself, and should drop the others, which it passes on. A request whose headers cannot be read,
    /// or that name two clients, is refused.
    ///
    /// What a proxy passes on has to be escaped as RFC 3986 has it. A query with raw `"`, `<`, `>` or bytes that are no
    /// UTF-8 is answered when a client sends it to the tracker itself, and is a 400 with the headers of a proxy.
    ///
    /// They may also begin a connection with a header of the PROXY protocol, version 2
    /// ([specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt)). The client that it names counts as the other
    /// end of the connection then: limits and headers are the client's own. Version 1 is not read.
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate for clients that announce over TLS, on the same port as over plain HTTP. None of seven
    /// BitTorrent clients accepts one that no public authority signed (measured). Default: none.
    pub tls: Option<Tls>,
    /// Names of this machine by which clients may ask for it, besides its addresses and the names that only the own network
    /// resolves: single labels, and names that end in `.local`. Others are refused, since they may be those of a site whose
    /// pages would announce in the name of its visitors (DNS rebinding). `tracker_host::host_names` finds the
    /// names by which the machine calls itself. Default: none.
    pub host_names: Vec<String>,
    /// The path under which a reverse proxy offers the tracker. Announces and scrapes are answered under it, as in
    /// `/tracker/announce`, and without it. Default: none.
    pub base_path: BasePath,
    /// `true` if a scrape without an info-hash lists every swarm (up to [`MAX_FULL_SCRAPE`](crate::MAX_FULL_SCRAPE)).
    /// Default: no, since it tells everybody what is shared. The answer is made once a second at most, and shared by all
    /// who take it; it is kept until the next one.
    pub full_scrape: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// A number is too small or too large.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

impl HttpConfig {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks every field against its bounds. [`Adapter::new`](crate::Adapter::new) calls this.
    ///
    /// # Errors
    ///
    /// Returns [`HttpConfigError`] if a number would exclude everybody, or is more than the server can keep.
    pub fn validate(&self) -> Result<(), HttpConfigError> {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let most = usize::MAX as u64;
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        OutOfBounds::check([
            ("threads", self.threads.get() as u64, 1..=1024),
            ("max_connections", self.max_connections as u64, 1..=most),
            ("max_connections_per_address", self.max_connections_per_address as u64, 1..=most),
            ("head_timeout", milliseconds(self.head_timeout), 1..=DAY),
            ("idle_timeout", milliseconds(self.idle_timeout), 1..=DAY),
            ("write_timeout", milliseconds(self.write_timeout), 1..=DAY),
            ("shutdown_timeout", milliseconds(self.shutdown_timeout), 0..=DAY),
            ("max_head_bytes", self.max_head_bytes as u64, LEAST_MAX_HEAD_BYTES as u64..=1 << 20),
            ("max_headers", self.max_headers as u64, LEAST_MAX_HEADERS as u64..=1024),
        ])?;
        Ok(())
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let server = ServerConfig::default();
        Self {
            threads: server.threads,
            max_connections: server.max_connections,
            max_connections_per_address: server.max_connections_per_address,
            head_timeout: server.head_timeout,
            idle_timeout: server.idle_timeout,
            write_timeout: server.write_timeout,
            shutdown_timeout: server.shutdown_timeout,
            max_head_bytes: server.max_head_bytes,
            max_headers: server.max_headers,
            trusted_proxies: Vec::new(),
            tls: None,
            host_names: Vec::new(),
            base_path: BasePath::default(),
            full_scrape: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(HttpConfig::default().validate(), Ok(()));
    }

    #[test]
    fn each_bound_is_checked() {
        let base = HttpConfig::default;
        let (none, long) = (Duration::ZERO, Duration::from_secs(24 * 60 * 60 + 1));
        for (name, config) in [
            ("threads", HttpConfig { threads: NonZeroUsize::new(1025).unwrap(), ..base() }),
            ("max_connections", HttpConfig { max_connections: 0, ..base() }),
            ("max_connections_per_address", HttpConfig { max_connections_per_address: 0, ..base() }),
            ("head_timeout", HttpConfig { head_timeout: none, ..base() }),
            ("head_timeout", HttpConfig { head_timeout: Duration::MAX, ..base() }),
            ("idle_timeout", HttpConfig { idle_timeout: none, ..base() }),
            ("idle_timeout", HttpConfig { idle_timeout: long, ..base() }),
            ("write_timeout", HttpConfig { write_timeout: none, ..base() }),
            ("write_timeout", HttpConfig { write_timeout: long, ..base() }),
            ("shutdown_timeout", HttpConfig { shutdown_timeout: long, ..base() }),
            ("max_head_bytes", HttpConfig { max_head_bytes: 8191, ..base() }),
            ("max_head_bytes", HttpConfig { max_head_bytes: (1 << 20) + 1, ..base() }),
            ("max_headers", HttpConfig { max_headers: 23, ..base() }),
            ("max_headers", HttpConfig { max_headers: 1025, ..base() }),
        ] {
            match config.validate() {
                Err(HttpConfigError::OutOfBounds(error)) => assert_eq!(error.name, name),
                Ok(()) => panic!("{name} was not checked: {config:?}"),
            }
        }
        assert_eq!(HttpConfig { shutdown_timeout: none, ..base() }.validate(), Ok(()));
    }
}
