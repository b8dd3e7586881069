//! The UDP adapter of [`tracker_core`]: connect, announce and scrape ([BEP 15]), and the server that runs them.
//!
//! - [`Request`] is what stands in a datagram; the `encode_…` functions write the answers.
//! - [`Adapter`] turns a datagram into the bytes of its answer. It needs no socket and no runtime.
//! - [`Server`] runs it on every core.
//!
//! Its time comes from `tracker_host`, which also drops the peers that fell silent. Other adapters may share the swarms: who
//! came by UDP and who came by HTTP meet.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//! use tracker_core::{Config, Shards};
//! use tracker_host::{Clock, expire_swarms};
//! use tracker_udp::{Adapter, Server, UdpConfig, all_addresses};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::new(16).unwrap(), &mut rand::rng())?);
//! let clock = Clock::start();
//! tokio::spawn(expire_swarms(Arc::clone(&shards), clock));
//! let server = Server::bind(&all_addresses(6969), Adapter::new(shards, clock, UdpConfig::default())?)?;
//! server.run(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What clients get
//!
//! An answer that leaves from the address they asked, on machines with several addresses, too: clients drop what comes from
//! another one. An announce is answered with peers of the family that it came by, as BEP 15 has it, and with as many as fit
//! one Ethernet frame: at most 238 with IPv4 and 79 with IPv6. A scrape is answered for its first
//! [`MAX_SCRAPE_HASHES`] torrents, and refused if [`Config::max_scrape_hashes`](tracker_core::Config::max_scrape_hashes) is
//! set lower than it asks for. A refusal is an error packet with the core's text. Options ([BEP 41]) are passed over, since
//! any path will do; [`Announce::url_data`] reads them. `event` 4 is a partial seed ([BEP 21]), as libtorrent numbers it.
//!
//! Requests may be longer than they need to be. Those that are shorter, or unknown, or come without the connection id that
//! proves the sender's address, are dropped without an answer; an id is honoured for two minutes, and nothing is kept of it.
//! So nobody can make the tracker send more to a stranger than they send themselves.
//!
//! # What it does not do
//!
//! The protocol carries no warnings, no external address, no `min interval`, and peers of one family only: where clients have
//! both HTTP and UDP, HTTP tells them more. Other systems than Linux do not say to which address a datagram came; there, a
//! server on a machine with several addresses should listen on each of them rather than on all, so that its answers leave
//! from the right one.
//!
//! [BEP 15]: https://www.bittorrent.org/beps/bep_0015.html
//! [BEP 21]: https://www.bittorrent.org/beps/bep_0021.html
//! [BEP 41]: https://www.bittorrent.org/beps/bep_0041.html

mod adapter;
mod config;
mod connection_id;
mod datagrams;
mod failure;
mod request;
mod response;
#[cfg(test)]
mod sample;
mod server;
mod wire;

pub use adapter::Adapter;
pub use config::{UdpConfig, UdpConfigError};
pub use request::{Action, Announce, MAX_REQUEST_BYTES, MAX_SCRAPE_HASHES, Request};
pub use response::{MAX_ANSWER_BYTES, encode_announce, encode_connect, encode_error, encode_scrape};
pub use server::Server;
pub use tracker_host::{BindError, all_addresses};
