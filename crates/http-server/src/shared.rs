//! What the threads of a server share.

use std::fmt::{self, Debug};
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;

use crate::accept_errors::AcceptErrors;
use crate::config::ServerConfig;
use crate::connection_limit::ConnectionLimit;
use crate::eviction::OpenConnections;
use crate::foreign::ForeignConnections;
use crate::handler::Handler;
use crate::handshakes::Handshakes;
use crate::timed_stream::Timeouts;

/// The parts that all workers have in common.
pub(crate) struct Shared {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) router: Router,
    pub(crate) http: http1::Builder,
    pub(crate) timeouts: Timeouts,
    pub(crate) limit: Arc<ConnectionLimit>,
    pub(crate) open_connections: Arc<OpenConnections>,
    pub(crate) accept_errors: AcceptErrors,
    pub(crate) foreign_connections: ForeignConnections,
    pub(crate) handshakes: Handshakes,
    pub(crate) config: ServerConfig,
}

impl Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// For a server that listens on so many addresses.
    pub(crate) fn new(config: ServerConfig, handler: Arc<dyn Handler>, router: Router, addresses: usize) -> Self {
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
            // `TimedStream` times heads as well as what hyper does not.
            .header_read_timeout(None);
        let connections = max_connections(&config, addresses);
        Self {
            handler,
            router,
            http,
            timeouts: Timeouts::new(&config),
            limit: Arc::new(ConnectionLimit::new(connections, config.max_connections_per_address, 0)),
            open_connections: Arc::new(OpenConnections::new()),
            accept_errors: AcceptErrors::new(config.name),
            foreign_connections: ForeignConnections::new(config.name),
            handshakes: Handshakes::default(),
            config,
        }
    }
}

/// Connections that may be open whatever the limit on open files: what is reckoned for the rest of the program it seldom needs.
const LEAST_CONNECTIONS: usize = 8;
/// A LAN may need as many connections at the same time, so that fewer are worth a warning.
const FEW_CONNECTIONS: usize = 512;

/// The connections that may be open at the same time, as far as the system allows.
fn max_connections(config: &ServerConfig, addresses: usize) -> usize {
    // Each worker has, for each address, a listener, a connection that is being answered without a permit, and beside it
    // a socket of UDP; and four descriptors of its runtime. Some are for the rest of the program.
    let in_use = 64 + config.threads.get() * (3 * addresses + 4);
    let open_files = open_files_limit();
    let most = config.max_connections.min(open_files.saturating_sub(in_use).max(LEAST_CONNECTIONS));
    if most < config.max_connections.min(FEW_CONNECTIONS) {
        tracing::warn!(
            connections = most,
            open_files,
            "the limit on open files allows only a few connections: raise it (ulimit -n, LimitNOFILE of systemd)"
        );
    } else if most < config.max_connections {
        tracing::info!(
            connections = most,
            open_files,
            "the limit on open files allows fewer connections than configured"
        );
    }
    most
}

/// The number of files and connections that the system lets this process have open.
#[cfg(unix)]
fn open_files_limit() -> usize {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn open_files_limit() -> usize {
    usize::MAX
}
