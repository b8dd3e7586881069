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
//! - [`Spreader`](spreader::Spreader) decides what is given to whom: of which pieces a peer is told, and which block is served
//!   next. It is as pure as the planner. The service does not use it yet.
//!
//! # Memory
//!
//! A connection takes about 9 KiB, with what the planner knows of the peer and a bitfield of 4,096 pieces. The bitfields of all,
//! with the messages of which only a part has come, take at most 64 MiB ([`MAX_BITFIELD_BYTES`]). The last eighth of them is for
//! such messages, most of which are bitfields on their way, so that beyond 56 MiB only the number of a peer's pieces is kept. When
//! the 64 MiB are used up, a connection is closed on which more than 4 KiB of a message have come and the rest has not.
//!
//! # Floods
//!
//! Of a peer at most 1 MiB is read in a second, and of all together 2 MiB. The first 2 KiB of each are read in any case, so that a
//! peer that says which pieces it gets is heard while others flood; what is beyond waits in its socket.

mod accept;
mod announces;
mod commands;
mod context;
mod dial;
mod driver;
mod encrypted;
mod limits;
mod listen;
mod machine;
mod planner;
mod probe;
mod service;
mod session;
pub mod spreader;
mod swarm_sockets;
mod torrents;

pub use announces::Announces;
pub use limits::MAX_BITFIELD_BYTES;
pub use peer_wire::{PexFlags, PexPeer};
pub use planner::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Edge, Encryption, Incoming, Network,
    Planner, ProbeOutcome, Progress, Reason, Refusal, Sharing, Sighting, Source, Torrent, UtpOutcome,
};
pub use service::{Service, ServiceConfig, Sightings, StartError};
pub use torrents::{TorrentFacts, Torrents};
