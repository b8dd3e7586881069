//! The part of a server that its user writes.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use crate::head::RequestHead;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The client's end.
    pub remote: SocketAddr,
    /// The server's end: the address by which the client reached this machine.
    pub local: SocketAddr,
}

/// Answers the requests that need no waiting, and decides on addresses.
pub trait Handler: Debug + Send + Sync + 'static {
    /// Appends the body of the answer to a plain GET to `body`, and returns `true`; the answer has status 200 and is plain
    /// text. Or returns `false` and leaves the request to the router, having written nothing.
    ///
    /// Called on the threads that accept connections: it must not block.
    fn answer(&self, connection: Connection, request: &RequestHead<'_>, body: &mut Vec<u8>) -> bool;

    /// Returns `true` for an address with no connection limit of its own, such as that of a reverse proxy.
    fn is_exempt(&self, address: IpAddr) -> bool;

    /// Called when a client sent what is not HTTP.
    fn on_malformed_request(&self);
}
