//! The tracker's own peer.
//!
//! A tracker that only listens knows of a peer what it says every few minutes. The tracker's own peer connects to the peers of
//! each swarm as any client would. So it knows at once how far each is, and whether others can reach it, and it introduces
//! peers to each other ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)).
//!
//! # Parts
//!
//! - [`Planner`] makes all decisions: whom to dial, from which address, by which way and when, what to close, and whom to
//!   introduce to whom. It does no I/O, reads no clock and draws no randomness of its own, so that every bug is reproduced by a
//!   seed.
//! - [`Service`] carries them out, on a thread of its own. `peer-wire` has the protocol.
//! - [`Announces`] stands between the tracker and the service: it hears of newcomers, and closes connections that would be in the
//!   way of a client on the tracker's machine before that client has its answer.
//!
//! # Memory
//!
//! Beside what the planner and the connections document, at most 64 MiB of bitfields ([`MAX_BITFIELD_BYTES`]); beyond that only the
//! number of a peer's pieces is kept.

mod accept;
mod announces;
mod dial;
mod driver;
mod encrypted;
mod machine;
mod planner;
mod probe;
mod service;
mod session;
mod swarm_sockets;
mod torrents;

pub use announces::Announces;
pub use peer_wire::{PexFlags, PexPeer};
pub use planner::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Edge, Encryption, Incoming, Network,
    Planner, ProbeOutcome, Progress, Reachability, Reason, Refusal, Sharing, Sighting, Source, Torrent, UtpOutcome,
};
pub use service::{Service, ServiceConfig, Sightings, StartError};
pub use session::MAX_BITFIELD_BYTES;
pub use torrents::{TorrentFacts, Torrents};
