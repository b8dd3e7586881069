//! A BitTorrent tracker as a pure state machine.
//!
//! This crate decides everything a tracker decides: who is in which swarm, who is handed out to whom and under which
//! address, when to announce again, who has gone. It does no I/O, reads no clock, draws no randomness of its own, spawns
//! nothing and knows neither HTTP nor bencode. Adapters do that: `tracker-http` for one. Put it into a program of yours and
//! you have a tracker; put it into a test and you have one that does the same thing every time.
//!
//! ```text
//!    HTTP, UDP, …                    you                      tracker-core
//!   ┌───────────┐  bytes      ┌──────────────────┐ AnnounceRequest ┌─────────┐
//!   │  client   │ ──────────> │ parse            │ ──────────────> │ Tracker │
//!   │           │ <────────── │ encode           │ <────────────── │   or    │
//!   └───────────┘             │ clock, generator │ AnnounceResponse│ Shards  │
//!                             └──────────────────┘ + peers, events └─────────┘
//! ```
//!
//! # The contract
//!
//! [`Tracker`]'s documentation is the contract: the kinds of method, their order, and what happens when time goes back.
//! [`Shards`] is the same tracker for many threads. [`Config`] has every limit, with its unit, its default and the reason.
//!
//! # Embedding it
//!
//! One thread that owns a tracker is a whole program's worth: it takes a request, answers it, and between requests lets
//! silent peers go.
//!
//! ```
//! use std::time::Duration;
//!
//! use rand::{SeedableRng, rngs::StdRng};
//! use tracker_core::{AnnounceEvent, AnnounceRequest, Config, EventKind, Instant, PeerId, PeerKey, Peers, Tracker};
//!
//! // The embedder brings the generator: seeded by the system in production, by a number in a test …
//! let mut rng = StdRng::seed_from_u64(42);
//! let config = Config::default().with(|config| config.max_pending_events = 1000);
//! let mut tracker = Tracker::new(config, &mut rng)?;
//!
//! // … and the time: seconds since the program started, say.
//! let now = Instant::ZERO;
//!
//! // An adapter makes this of "GET /announce?info_hash=…".
//! let info_hash = "3500292f2881c52a3c672db7c77db1f60426c65f".parse()?;
//! let peer_id = PeerId::new(*b"-qB4520-y1Cq1XLu0!h)");
//! let remote = "192.168.1.20".parse()?;   // the other end of the connection
//! let local = "192.168.1.1".parse()?;     // this end: how others reach clients on this very machine
//! let started = AnnounceRequest::new(info_hash, peer_id, remote, local, 6881)
//!     .with_key(PeerKey::from_bytes(b"E0B55AB7"))
//!     .with_left(50_000_000)
//!     .with_event(AnnounceEvent::Started)
//!     .with_numwant(50);
//!
//! // One buffer for all announces: the tracker empties and fills it.
//! let mut peers = Peers::default();
//! let response = tracker.announce(now, &mut rng, &started, &mut peers)?;
//! assert_eq!((response.seeders, response.leechers, peers.len()), (0, 1, 0));
//! assert!(response.interval >= Duration::from_secs(54));
//!
//! // What happened, for a log or a page.
//! let mut events = Vec::new();
//! tracker.poll_events(&mut events);
//! for event in events {
//!     if let EventKind::PeerJoined(peer) = &event.kind {
//!         println!("{} joined {}", peer.address, event.info_hash);
//!     }
//! }
//!
//! // When the next silent peer is due. Sleep until then, and no request comes in between: it goes.
//! let due = tracker.next_expiry().expect("there is a peer");
//! tracker.expire(due);
//! assert_eq!(tracker.totals().peers(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Right about addresses
//!
//! On a LAN the tracker's machine often takes part itself, and 127.0.0.1 means another machine to each of them. Pass both
//! addresses of a connection, and the core hands out addresses that work: a client that
//! announced over loopback is handed out under the address by which the *asker* reached this machine. Addresses that the
//! asker cannot dial (port 0 or 1, multicast, link-local, …) are counted, and never handed out.
//!
//! # Who is handed out to whom
//!
//! Leechers get leechers and seeders, seeders get leechers only, and when there are more than an asker wants, each is as likely
//! as any other. An answer holds no more than three peers of one address while there are others, so that one machine with many
//! ports does not crowd out the rest, and no more than half of IPv6 addresses in one network of this machine. What counts as
//! one address says [`AddressGroup`]. A client that says that nothing is left, but was never seen to download anything, may have
//! a magnet link only: aria2 says `left=0` until it has the metadata. It gets leechers first, and seeders for the places that are
//! left. Peers that are known to be unreachable get the places that all others leave, or none if the embedder
//! [introduces](Reachability::Introduced) them to newcomers.
//!
//! # When it is full
//!
//! One machine that announces in a million torrents, or fills one torrent with peers, does not lock out the others: room for a
//! newcomer is made at the cost of the address that holds most. See [`Tracker::announce`].
//!
//! # What it does not do
//!
//! - No DHT, PEX or LSD: those work without a tracker. A torrent is made private in its metainfo, not here.
//! - No files. What is to outlive a restart the embedder takes out ([`SwarmSlice::image`]) and in again ([`Shards::restore`]).
//!   Without that the first announce of each client, whatever its event, brings it back.
//! - No accounts, ratios or invitations. `uploaded` and `downloaded` are shown, and nothing hangs on them.
//! - No check that a peer can be reached, since that takes a socket. Who can be is for the embedder to find out
//!   ([`Tracker::set_reachability`]), whose own peer is handed out, too ([`OwnPeer`]).
//!
//! Messages in errors and warnings are written for the user of a client, who sees them as `failure reason`.

mod access;
mod address;
mod address_group;
mod announce;
mod announce_listener;
mod bounds;
mod client_policy;
mod config;
mod detail;
mod entry;
mod event;
mod image;
mod index;
mod info_hash;
mod instant;
mod interval;
mod network_config;
mod own_peer;
mod peer;
mod peer_id;
mod peers;
mod pool;
mod rules;
mod sample;
mod scrape;
mod select;
mod shards;
mod shards_view;
mod survey;
mod swarm;
mod swarms;
mod totals;
mod tracker;
mod user_key;
mod users;
mod walk;

pub use access::{Access, TorrentPolicy, Verdict, usual_network};
pub use address_group::AddressGroup;
pub use announce::{AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, Families, Warning};
pub use announce_listener::AnnounceListener;
pub use bounds::OutOfBounds;
pub use client_policy::{ClientPolicy, ParsePeerIdPrefixError, PeerIdPrefix};
pub use config::{Config, ConfigError, HostAddresses, Memory, SubnetPreference};
pub use event::{Event, EventKind};
pub use image::{DetailImage, DownloadImage, PeerImage, SwarmImage};
pub use info_hash::{InfoHash, ParseInfoHashError};
pub use instant::Instant;
pub use network_config::NetworkConfig;
pub use own_peer::OwnPeer;
pub use peer::{Peer, PeerDetail, PeerState, Reachability};
pub use peer_id::{PeerId, PeerKey};
pub use peers::{PeerEntry, Peers};
pub use scrape::{ScrapeError, SwarmCounts};
pub use shards::Shards;
pub use shards_view::ShardsView;
pub use swarm::SwarmView;
pub use totals::Totals;
pub use tracker::Tracker;
pub use user_key::{ParseUserKeyError, UserKey};
pub use users::{UserId, UserRule, UserTotals, Users};
pub use walk::{SwarmSlice, Walk};

/// The README's example must compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
