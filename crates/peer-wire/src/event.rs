//! What a connection tells.

use crate::{Block, Handshake, Pex, Progress};

/// Something that happened on a [`Connection`](crate::Connection).
///
/// What changes fast is told in its latest state: between two polls there is at most one event of each kind, except
/// [`Request`](Self::Request) and [`Cancel`](Self::Cancel).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer's handshake has come, always first. Compare its peer id with the one that you expect: another client may have
    /// taken the port. On an accepted connection, answer with [`Connection::set_torrent`](crate::Connection::set_torrent).
    Handshake(Handshake),
    /// The peer's program and version, as it says; short, and safe to show. WebTorrent does not say.
    Client(String),
    /// The peer has the info dictionary to give. See
    /// [`Connection::request_metadata`](crate::Connection::request_metadata).
    MetadataOffered,
    /// The number of pieces that the peer has. Not told before the peer says something about it.
    Progress(Progress),
    /// The peer told which others it is connected to, or not any more. Of each list at most
    /// [`MAX_PEX_RECEIVED`](crate::MAX_PEX_RECEIVED), the latest.
    Pex(Pex),
    /// The peer wants pieces of this side, or no more.
    Interested(bool),
    /// The peer wants a block. Only while this side [takes requests](crate::Connection::take_requests); at most
    /// [`MAX_REQUESTS`](crate::MAX_REQUESTS) at once, others are rejected. Its numbers are not checked.
    Request(Block),
    /// The peer does not want a block any more. Usually one that it requested, but peers may say anything.
    Cancel(Block),
    /// The info dictionary that was requested. It may be anything: compare its digest with the info-hash.
    Metadata(Vec<u8>),
    /// The info dictionary did not come: the peer refused, sent nonsense, or did not answer in 30 s.
    MetadataFailed,
}
