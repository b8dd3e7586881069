//! The HTTP adapter of [`tracker_core`]: announce ([BEP 3]) and scrape ([BEP 48]), and the server that runs them.
//!
//! - [`Adapter`] turns the query of a request into the bytes of its answer. It needs no socket and no runtime.
//! - [`router()`] puts it on the paths that clients ask for, as an [`axum::Router`] to embed or to test.
//! - [`Server`] runs both on every core by `http_server`, which keeps slow, huge, half-open and garbage requests from hurting
//!   others.
//!
//! Its time comes from `tracker_host`, which also drops silent peers.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//! use tracker_core::{Config, Shards};
//! use tracker_host::{Clock, expire_swarms};
//! use tracker_http::{Adapter, HttpConfig, Server, all_addresses};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::new(16).unwrap(), &mut rand::rng())?);
//! let clock = Clock::start();
//! tokio::spawn(expire_swarms(Arc::clone(&shards), clock));
//! let server = Server::bind(&all_addresses(6969), Adapter::new(shards, clock, HttpConfig::default())?)?;
//! server.run(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What clients get
//!
//! Every announce and scrape of a client is answered with status 200 and a canonical bencoded dictionary, sent with its length
//! and in one piece, never compressed: clients take anything else for a success or ask again within seconds. A refusal is a
//! `failure reason` with an `interval`. Peers are compact ([BEP 23]) unless asked for as dictionaries, and of both families
//! ([BEP 7]) whichever the client came by. The answer counts partial seeds ([BEP 21]) and contains the client's own public
//! address ([BEP 24]); `retry in` ([BEP 31]) stands beside every failure. `private` torrents ([BEP 27]) need nothing of a
//! tracker. Browsers get 403: no client is one, and a page could announce in the name of its visitor's machine.
//!
//! # What it does not do
//!
//! No HTTP/2: no client needs it. TLS 1.2 and 1.3 are spoken with a [certificate](HttpConfig::tls), on the same port, and by a
//! reverse proxy in front that is named in [`HttpConfig::trusted_proxies`]. No `tracker id`: some clients send it back unescaped. No
//! `Date`: no client looks at it.
//!
//! The query of an announce or a scrape may hold every byte raw that a request line can hold: all but a space, control
//! characters and DEL (0x7f), which are answered with 400. That is so for plain GETs. Requests with a body or with the
//! headers of proxies, and those for a HEAD, must be as RFC 3986 has it: `"`, `<`, `>` and what is no UTF-8 are a 400 there,
//! and a `#` ends the query. No known client sends any of these raw, and proxies escape them.
//!
//! # How a request is answered
//!
//! A plain GET of an announce or a scrape is read, answered and, if the client asks for it, its connection closed at
//! once: on Linux with four system calls (five where it listens on all addresses) and no registration, task or timer,
//! elsewhere from a small task. Everything else (other paths and methods, bodies, `Forwarded`, heads that are large or wrong,
//! browsers, full scrapes) goes on to hyper and the [`router()`]. Both ask the same [`Adapter`], and both give the same bytes.
//!
//! [BEP 3]: https://www.bittorrent.org/beps/bep_0003.html
//! [BEP 7]: https://www.bittorrent.org/beps/bep_0007.html
//! [BEP 21]: https://www.bittorrent.org/beps/bep_0021.html
//! [BEP 23]: https://www.bittorrent.org/beps/bep_0023.html
//! [BEP 24]: https://www.bittorrent.org/beps/bep_0024.html
//! [BEP 27]: https://www.bittorrent.org/beps/bep_0027.html
//! [BEP 31]: https://www.bittorrent.org/beps/bep_0031.html
//! [BEP 48]: https://www.bittorrent.org/beps/bep_0048.html

mod adapter;
mod announce;
mod client_host;
mod config;
mod failure;
mod forwarded;
mod full_scrape;
mod page_link;
mod query;
mod router;
mod scrape;
mod server;
mod shown_path;

pub use adapter::Adapter;
pub use announce::{AnnounceQuery, AnnounceQueryError, PeerFormat, encode_announce};
pub use config::{HttpConfig, HttpConfigError};
pub use full_scrape::MAX_FULL_SCRAPE;
pub use http_server::{BasePath, Connection, ParseBasePathError, Tls, TlsError};
pub use query::{EscapeError, Escaped, Parameter, Query};
pub use router::router;
pub use scrape::{ScrapeQuery, ScrapeQueryError, encode_scrape};
pub use server::Server;
pub use tracker_host::{BindError, all_addresses, user_key};
