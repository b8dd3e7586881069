//! A request in flight.

use crate::population::Snapshot;

/// What is remembered of a request until its answer comes.
#[derive(Debug)]
pub(crate) struct Ask {
    /// When it began, as a count of requests.
    pub(crate) moment: u32,
    /// The number of the peer who asks.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Announce(Announce),
    Scrape(Vec<Scraped>),
}

#[derive(Debug)]
pub(crate) struct Announce {
    pub(crate) place: u32,
    pub(crate) torrent: u32,
    pub(crate) event: Event,
    /// What is announced: nothing is left to download.
    pub(crate) is_seed: bool,
    /// The tracker knew the asker in this role before.
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

/// The values are those of BEP 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    None = 0,
    Completed = 1,
    Started = 2,
    Stopped = 3,
}

impl Event {
    /// As in a query; the periodic announce has none.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Completed => Some("completed"),
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
        }
    }
}
