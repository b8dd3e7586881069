//! HTTP/1 on a LAN, for servers that know nothing of each other.
//!
//! [`Host`] is the host that a request is for, and which names a server answers to.

mod host;

pub use host::{Host, HostError};
