//! The part of a server that its user writes.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tracker_host::AddressGroup;

use crate::head::RequestHead;

/// The two ends of a connection.
///
/// [`new`](Self::new) makes their addresses canonical, so that none is v4-mapped and no other code has to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    remote: SocketAddr,
    local: SocketAddr,
}

impl Connection {
    /// A connection between these two ends. A v4-mapped IPv6 address becomes the IPv4 address that it stands for.
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self { remote: canonical(remote), local: canonical(local) }
    }

    /// The client's end; behind a proxy that sends a header of the PROXY protocol, that of the proxy's client.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What the client's address counts as where there are limits per address, when of the machine's own addresses only the
    /// [local](Self::local) one is known. A server asks [`Handler::group`].
    pub fn group(&self) -> AddressGroup {
        AddressGroup::of(self.remote.ip(), self.local.ip())
    }

    /// The server's end: the address by which the client reached this machine.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

fn canonical(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    address
}

/// Answers the requests that need no waiting, and decides on addresses.
pub trait Handler: Debug + Send + Sync + 'static {
    /// Appends the body of the answer to a plain GET to `body`, and returns `true`; the answer has status 200 and is plain
    /// text. Or returns `false` and leaves the request to the router, having written nothing.
    ///
    /// Called on the threads that accept connections: it must not block.
    fn answer(&self, connection: Connection, request: &RequestHead<'_>, body: &mut Vec<u8>) -> bool;

    /// Called when the answers to so many requests were handed to the system at once, with the time that this took since the last
    /// of them was there: since the connection was accepted, or its bytes were read. Not called for what the router answers, nor
    /// when the client takes its answer slowly. By default it does nothing. It must not block.
    fn on_answered(&self, requests: u64, took: Duration) {
        _ = (requests, took);
    }

    /// Returns `true` for an address with no connection limit of its own, such as that of a reverse proxy. Its TLS handshakes are not
    /// limited either.
    fn is_exempt(&self, address: IpAddr) -> bool;

    /// Returns `true` for the address of a proxy that may begin its connections with a header of the PROXY protocol, version 2: it
    /// is believed, and so decides which client the requests are from. By default nobody. Called only for connections that begin as
    /// such a header does. It must not block.
    fn sends_proxy_header(&self, remote: IpAddr) -> bool {
        _ = remote;
        false
    }

    /// What the client's address counts as in the limits on connections. By default [`Connection::group`]: a handler that knows
    /// all networks of the machine knows better. Called on the threads that accept connections: it must not block.
    fn group(&self, connection: &Connection) -> AddressGroup {
        connection.group()
    }

    /// Called when a client sent what is not HTTP.
    fn on_malformed_request(&self);

    /// Called when a connection was refused, or closed for a new one, because too many are open.
    fn on_too_many_connections(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_connection_are_canonical() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let mapped = Connection::new(at("[::ffff:10.0.0.9]:4000"), at("[::ffff:10.0.0.1]:6969"));
        assert_eq!(mapped, Connection::new(at("10.0.0.9:4000"), at("10.0.0.1:6969")));
        let link_local = Connection::new(at("[fe80::9%2]:4000"), at("[fe80::1%2]:6969"));
        assert_eq!((link_local.remote(), link_local.local()), (at("[fe80::9%2]:4000"), at("[fe80::1%2]:6969")));
    }
}
