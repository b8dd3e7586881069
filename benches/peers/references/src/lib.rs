//! The answers that the reference servers give to everybody: 50 peers, as long as a tracker's.
//!
//! A checking client counts violations in them, as it should: nobody with these addresses ever announced.

use std::env;
use std::net::SocketAddr;

use anyhow::Context;

/// Peers in an answer to an announce.
pub const PEERS: usize = 50;
/// Bytes of a compact IPv4 peer.
const PEER_BYTES: usize = 6;

/// The address to listen on: the only argument, such as `127.0.0.1:6969`.
///
/// # Errors
///
/// Returns an error if the argument is missing or is not an address.
pub fn listen_address() -> anyhow::Result<SocketAddr> {
    let argument = env::args().nth(1).context("usage: PROGRAM ADDR:PORT")?;
    argument.parse().with_context(|| format!("not an address and port: {argument}"))
}

/// [`PEERS`] peers as [BEP 23](https://www.bittorrent.org/beps/bep_0023.html) packs them: 127.1.0.0 and on, port 6881.
pub fn compact_peers() -> [u8; PEERS * PEER_BYTES] {
    let mut peers = [0; PEERS * PEER_BYTES];
    for (peer, number) in peers.chunks_exact_mut(PEER_BYTES).zip(0..) {
        peer.copy_from_slice(&[127, 1, 0, number, 0x1a, 0xe1]);
    }
    peers
}

/// The bencoded answer to an announce over HTTP.
pub fn announce_body() -> Vec<u8> {
    let mut body = b"d8:completei25e10:incompletei25e8:intervali1800e12:min intervali900e5:peers300:".to_vec();
    body.extend(compact_peers());
    body.push(b'e');
    body
}
