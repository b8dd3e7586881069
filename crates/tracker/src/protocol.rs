//! What the tracker speaks.

use std::net::SocketAddr;

/// A protocol by which clients reach the tracker. All of them have the same addresses and port numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Udp,
}

/// What is spoken, HTTP first, and at which addresses.
pub(crate) type Listening = Vec<(Protocol, Vec<SocketAddr>)>;

impl Protocol {
    /// All that are served, with UDP or without.
    pub(crate) const fn served(udp: bool) -> &'static [Self] {
        if udp { &[Self::Http, Self::Udp] } else { &[Self::Http] }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Udp => "UDP",
        }
    }

    /// How its announce URLs begin.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Udp => "udp",
        }
    }

    /// What carries it, as systems and firewalls call it.
    pub(crate) const fn transport(self) -> &'static str {
        match self {
            Self::Http => "tcp",
            Self::Udp => "udp",
        }
    }
}
