//! What is known of a running tracker: its torrents and peers, how it went, what happened, and what it logged.
//!
//! The monitor observes. It reads the events and the state of [`tracker_core::Shards`], keeps a bounded amount, and nobody who
//! looks, slowly or not at all, holds up an announce. It knows no web page: `dashboard` shows what is here.

mod client_name;
mod event_log;
mod history;
mod list;
mod log_buffer;
mod observer;

pub use event_log::{EventLog, MAX_PENDING_EVENTS};
pub use history::{Sample, Series, Span};
pub use list::{Order, Page, PageQuery};
pub use log_buffer::{LogBuffer, LogEntry, LogFilter};
pub use observer::{Failures, Observer, PeerRow, PeerSort, PeerStanding, Status, TorrentRow, TorrentSort};
