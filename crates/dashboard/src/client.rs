//! Which program a peer id stands for.

use tracker_core::PeerId;

/// The name and version of the program, or the beginning of the peer id as escaped ASCII.
pub fn client(peer_id: &PeerId) -> String {
    peer_id.as_bytes()[..8].escape_ascii().to_string()
}
