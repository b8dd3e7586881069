//! HTTP/1 on a LAN: what the servers for clients and for browsers have in common. It knows neither a tracker nor a page.
//!
//! - [`Server`] accepts connections on many threads and answers, by a [`Handler`], requests that need no waiting at once; all
//!   others go to an [`axum::Router`]. Slow, huge, half-open and garbage requests are limited by its [`ServerConfig`].
//! - [`ConnectionLimit`], [`WriteTimeout`], [`AcceptErrors`], [`ForeignConnections`] and [`serve_connection`] are for servers
//!   that accept by themselves, on a runtime that they share with others. With [`serve_until_detached`] they also write some
//!   bodies by themselves.
//! - [`Tls`] is the certificate for clients that speak TLS, and may be replaced. [`Preface`] reads what comes before HTTP: the
//!   header of a proxy ([`ProxyHeader`]), and TLS.
//! - [`Host`] is the host that a request is for, and tells which names a server answers to. [`BasePath`] is the path under which a
//!   reverse proxy offers a server.

mod accept;
mod accept_errors;
mod base_path;
mod browser;
mod config;
mod connection;
mod connection_limit;
mod detached;
mod eviction;
mod foreign;
mod handler;
mod handshakes;
mod head;
#[cfg(test)]
mod head_invariants;
mod host;
mod hyper_connection;
mod layers;
mod listen;
mod preface;
mod prefixed;
mod proxy_header;
#[cfg(test)]
mod proxy_header_invariants;
mod server;
mod shared;
mod stage;
#[cfg(test)]
mod test_tls;
mod timed_stream;
mod tls;
mod write_timeout;

pub use accept_errors::AcceptErrors;
pub use base_path::{BasePath, ParseBasePathError};
pub use browser::is_of_browser;
pub use config::{LEAST_MAX_HEAD_BYTES, LEAST_MAX_HEADERS, ServerConfig};
pub use connection_limit::{ConnectionLimit, ConnectionLimitError, ConnectionPermit};
pub use detached::{Detachable, DetachedBody};
pub use foreign::{ForeignConnections, ForeignProtocol};
pub use handler::{Connection, Handler};
pub use handshakes::Handshakes;
pub use head::{RequestHead, Version};
pub use host::{Host, HostError};
pub use hyper_connection::{ConnectionError, serve_connection, serve_until_detached};
pub use preface::{Opened, Preface, PrefaceError};
pub use prefixed::Prefixed;
pub use proxy_header::{ProxyHeader, ProxyHeaderError};
pub use server::Server;
pub use tls::{Tls, TlsError};
pub use write_timeout::WriteTimeout;
