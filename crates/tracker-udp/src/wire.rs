//! Numbers of the protocol.

/// Action of a connect request and its answer.
pub(crate) const CONNECT: u32 = 0;
/// Action of an announce and its answer.
pub(crate) const ANNOUNCE: u32 = 1;
/// Action of a scrape and its answer.
pub(crate) const SCRAPE: u32 = 2;
/// Action of an answer that refuses a request.
pub(crate) const ERROR: u32 = 3;
