//! What people look at: the live web page of a tracker, its JSON API, and its stream of events.
//!
//! The dashboard observes. It reads the events and the state of [`tracker_core::Shards`], and cannot change a swarm: what
//! happens to the tracker on somebody's wish (start, stop, which torrents are known) goes through a [`Door`] and a
//! [`Library`], which the embedder wires to the tracker. All it keeps is bounded, and nobody who looks, slowly or not at all,
//! holds up an announce.

mod client;
mod door;
mod event_log;
mod history;
mod journal;
mod library;
mod observer;
mod page;
mod wall;
mod web;

pub use door::{Door, DoorState, OpenError, Opened, Opener, Serve, Stop};
pub use event_log::{EventLog, MAX_PENDING_EVENTS};
pub use history::{Sample, Series, Span};
pub use journal::{Journal, JournalEntry, JournalFilter};
pub use library::{
    Digest, Digests, KnownFile, KnownTorrent, Library, LibraryConfig, LibraryError, Listing, ListingEntry, MakeError,
    MakeState, Maker, Making, RegisterError, RemoveError, Share, ShareError,
};
pub use observer::{Failures, Observer, PeerRow, PeerSort, PeerStanding, Status, TorrentRow, TorrentSort};
pub use page::{Order, Page, PageQuery};
pub use web::{Dashboard, DashboardConfig, Server};
