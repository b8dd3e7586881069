//! The HTTP adapter of [`tracker_core`].

mod adapter;
mod announce;
mod clock;
mod config;
mod expiry;
mod failure;
mod forwarded;
mod query;
mod router;
mod scrape;

pub use adapter::Adapter;
pub use announce::{AnnounceQuery, AnnounceQueryError, PeerFormat, encode_announce};
pub use clock::Clock;
pub use config::HttpConfig;
pub use expiry::expire_swarms;
pub use query::{EscapeError, Escaped, Parameter, Query};
pub use router::{Connection, router};
pub use scrape::{MAX_FULL_SCRAPE, ScrapeQuery, ScrapeQueryError, encode_scrape};
