//! Helpers for tests with real programs: hosts in network namespaces, programs that run there, waiting.

pub(crate) mod client;
pub(crate) mod generation;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod network;
pub(crate) mod program;
pub(crate) mod qbittorrent;
pub(crate) mod torrent;
pub(crate) mod transmission;
pub(crate) mod udp;
pub(crate) mod wait;
