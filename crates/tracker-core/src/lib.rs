//! A BitTorrent tracker without I/O.

mod access;
mod address;
mod announce;
mod config;
mod event;
mod info_hash;
mod instant;
mod interval;
mod peer;
mod peer_id;
mod scrape;
mod select;
mod shards;
mod swarm;
mod totals;
mod tracker;

pub use access::{Access, TorrentPolicy, Verdict};
pub use announce::{AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, PeerEntry, Warning};
pub use config::{Config, ConfigError, HostAddresses, SubnetPreference};
pub use event::{Event, EventKind};
pub use info_hash::{InfoHash, ParseInfoHashError};
pub use instant::Instant;
pub use peer::{Peer, PeerState};
pub use peer_id::{PeerId, PeerKey};
pub use scrape::{ScrapeError, SwarmCounts};
pub use shards::Shards;
pub use swarm::Swarm;
pub use totals::Totals;
pub use tracker::Tracker;
