//! The HTTP adapter of [`tracker_core`].

mod adapter;
mod announce;
mod clock;
mod config;
mod expiry;
mod failure;
mod forwarded;
mod listener;
mod patience;
mod query;
mod router;
mod scrape;
mod server;
mod slots;

pub use adapter::Adapter;
pub use announce::{AnnounceQuery, AnnounceQueryError, PeerFormat, encode_announce};
pub use clock::Clock;
pub use config::HttpConfig;
pub use expiry::expire_swarms;
pub use listener::{BindError, all_addresses};
pub use query::{EscapeError, Escaped, Parameter, Query};
pub use router::{Connection, router};
pub use scrape::{MAX_FULL_SCRAPE, ScrapeQuery, ScrapeQueryError, encode_scrape};
pub use server::Server;
