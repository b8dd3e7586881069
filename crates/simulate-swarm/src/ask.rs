//! Requests in flight.

use crate::population::Snapshot;

/// A request that has not been answered yet.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The number of requests that began before this one.
    pub(crate) moment: u32,
    /// The number of the peer that sends it.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Kind {
    Announce(Announce),
    Scrape(Vec<Scraped>),
}

/// An announce in flight.
#[derive(Debug)]
pub(crate) struct Announce {
    pub(crate) place: u32,
    pub(crate) torrent: u32,
    pub(crate) event: Event,
    /// The peer announces that nothing is left to download.
    pub(crate) is_seed: bool,
    /// The tracker has answered an earlier announce of the peer in this role.
    pub(crate) was_sure: bool,
    pub(crate) numwant: u32,
    pub(crate) snapshot: Snapshot,
}

/// One torrent of a scrape.
#[derive(Debug)]
pub(crate) struct Scraped {
    pub(crate) torrent: u32,
    pub(crate) snapshot: Snapshot,
}

/// The event of an announce. The values are those of BEP 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    None = 0,
    Completed = 1,
    Started = 2,
    Stopped = 3,
}

impl Event {
    /// The value of `event` in a query; a periodic announce has none.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Completed => Some("completed"),
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
        }
    }
}
