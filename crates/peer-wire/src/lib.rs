//! The BitTorrent peer protocol, as a pure codec and connection state machine: bytes in, bytes and events out.
//!
//! Nothing here does I/O, reads a clock, or draws randomness. Time is an argument, a [`Duration`](std::time::Duration) since any
//! fixed moment, and so every behaviour is reproduced by its input. Info-hashes and peer ids are 20 bytes.
//!
//! # Layers
//!
//! A [`Connection`] is what most programs need: one connection to one peer, for one torrent. It tells how much of the torrent the
//! peer has, introduces other peers to it, and can fetch the info dictionary. Its documentation is the contract. Below it are:
//!
//! - [`Handshake`], the first 68 bytes of each side;
//! - [`Decoder`], which cuts a stream into [`Message`]s;
//! - [`ExtendedHandshake`], [`Pex`] and [`MetadataMessage`], the contents of [extended messages](Message::Extended);
//! - [`Pieces`], what a peer has, and [`MetadataAssembler`], which puts an info dictionary together.
//!
//! Reading is lenient where clients differ, and what is written is what all known clients can read.
//!
//! # Hostile peers
//!
//! Whatever a peer sends is an event, an error, or ignored, and never a panic. A message that is too long is refused at its length,
//! no more is kept of a message than what has come of it, and a flood of messages becomes one event with the latest state. Each
//! limit is a constant with its reason.
//!
//! # Not in this crate
//!
//! Sockets, and decisions about peers: whom to dial, and whom to tell of whom. Digests: compare an info dictionary with the info-hash
//! yourself. Downloading: nothing but the info dictionary is requested of a peer.

mod connection;
mod decoder;
mod event;
mod extended_handshake;
mod extension;
mod handshake;
mod local;
mod message;
mod metadata;
pub mod mse;
mod pex;
mod pieces;

pub use connection::{Connection, ConnectionError, MAX_REQUESTS, RequestMetadataError};
pub use decoder::{DecodeError, Decoder, MAX_EXTENDED_BYTES};
pub use event::Event;
pub use extended_handshake::{ExtendedHandshake, ExtendedHandshakeError, MAX_CLIENT_CHARS};
pub use extension::ExtensionIds;
pub use handshake::{Handshake, HandshakeError, Reserved};
pub use local::{Local, Torrent};
pub use message::{Block, Message, MessageError};
pub use metadata::{
    MAX_METADATA_BYTES, METADATA_PIECE_BYTES, MetadataAssembler, MetadataMessage, MetadataMessageError,
    MetadataPieceError, MetadataSizeError,
};
pub use pex::{MAX_PEX_RECEIVED, MAX_PEX_SENT, Pex, PexError, PexFlags, PexPeer};
pub use pieces::{MAX_UNKNOWN_PIECES, Pieces, PiecesError, Progress};
