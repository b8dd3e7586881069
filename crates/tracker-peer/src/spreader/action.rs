//! What the spreader wants to be done.

use peer_wire::Block;

/// Something that the [`Spreader`](super::Spreader) wants to be done on a connection. They are to be carried out in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<C> {
    /// Tell the peer that this side has the piece, by `have`.
    Reveal {
        /// The connection.
        connection: C,
        /// The piece. It is revealed to this peer once.
        piece: u32,
    },
    /// Unchoke the peer.
    Unchoke {
        /// The connection.
        connection: C,
    },
    /// Choke the peer. What it had requested and is not served yet is dropped; it is [rejected](Self::Reject) if the peer has
    /// the fast extension.
    Choke {
        /// The connection.
        connection: C,
    },
    /// Read this block, and send it. Report by [`handle_sent`](super::Spreader::handle_sent) what left, as it leaves.
    Serve {
        /// The connection.
        connection: C,
        /// The block. It is requested, and within its piece.
        block: Block,
    },
    /// Send `reject` ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)). The peer has the fast extension.
    Reject {
        /// The connection.
        connection: C,
        /// What was requested. It may be anything.
        block: Block,
    },
}
