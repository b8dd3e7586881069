//! The protocols by which clients reach the tracker.

use std::net::SocketAddr;

/// A protocol by which clients reach the tracker. All protocols are served at the same addresses and port numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, which every client supports.
    Http,
    /// UDP (BEP 15).
    Udp,
}

/// The addresses that are listened on, for each protocol that is served, HTTP first.
pub type Listening = Vec<(Protocol, Vec<SocketAddr>)>;

impl Protocol {
    /// All protocols that are served, with UDP or without.
    pub const fn served(udp: bool) -> &'static [Self] {
        if udp { &[Self::Http, Self::Udp] } else { &[Self::Http] }
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Udp => "UDP",
        }
    }

    /// The scheme of its announce URLs.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Udp => "udp",
        }
    }

    /// The transport protocol that carries it, as systems and firewalls call it.
    pub const fn transport(self) -> &'static str {
        match self {
            Self::Http => "tcp",
            Self::Udp => "udp",
        }
    }
}
