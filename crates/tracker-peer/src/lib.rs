//! The tracker's own peer.
//!
//! A tracker that only listens knows of a peer what it says every few minutes. The tracker's own peer connects to the peers of
//! each swarm as any client would. So it knows at once how far each is, and whether others can reach it, and it introduces
//! peers to each other ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)). It gives them what the tracker has.
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
//!   next. It is as pure as the planner. There is one for each torrent that is seeded. Connections ask it themselves, since all
//!   run on the service's thread.
//! - [`Content`] is what is given: the embedder reads it, on threads of their own that may wait for the disk.
//!
//! # Seeding
//!
//! With [`ServiceConfig::seeding`] each torrent is seeded whose [content](Torrents::content) is there. To each peer the service
//! says at first that it has nothing, and then tells it of one piece after the other, as the spreader decides. While blocks
//! leave, the next ones are read, straight into the messages that they are sent in. Once a content cannot be read, or is
//! withdrawn, peers are choked, and what was not begun to be sent is rejected. A peer that takes nothing for a minute of what it
//! has requested loses its connection. Where a client on this machine is in the swarm, the own peer seeds as little as it looks:
//! not from that client's address.
//!
//! # Memory
//!
//! A connection takes about 9 KiB, with what the planner knows of the peer and a bitfield of 4,096 pieces. The bitfields of all,
//! with the messages of which only a part has come, take at most 64 MiB ([`MAX_BITFIELD_BYTES`]). The last eighth of them is for
//! such messages, most of which are bitfields on their way, so that beyond 56 MiB only the number of a peer's pieces is kept. When
//! the 64 MiB are used up, a connection is closed on which more than 4 KiB of a message have come and the rest has not.
//!
//! Blocks that were read for a peer and have not left take at most 256 KiB, or what it takes in 10 ms if that is more, up to
//! 2 MiB. The system's buffers come on top. A torrent that is seeded takes what [`Spreader`](spreader::Spreader) says.
//!
//! # Floods
//!
//! Of a peer at most 1 MiB is read in a second, and of all together 2 MiB. The first 2 KiB of each are read in any case, so that a
//! peer that says which pieces it gets is heard while others flood; what is beyond waits in its socket.

mod accept;
mod announces;
mod commands;
mod content;
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
mod uploads;
mod utp;
mod utp_refusal;

pub use announces::Announces;
pub use content::{Content, ContentError, Seeding, Uploaded};
pub use limits::MAX_BITFIELD_BYTES;
pub use peer_wire::{Block, PexFlags, PexPeer};
pub use planner::{
    Action, Announced, CloseReason, ConnectionEvent, ConnectionId, DialOutcome, Edge, Encryption, Incoming, Network,
    Planner, ProbeOutcome, Progress, Reason, Refusal, Sharing, Sighting, Source, Torrent, UtpOutcome,
};
pub use service::{Service, ServiceConfig, Sightings, StartError};
pub use torrents::{TorrentFacts, Torrents};
