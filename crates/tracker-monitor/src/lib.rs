//! Monitoring of a running tracker: its torrents and peers, its history, its events and its log.
//!
//! The monitor observes. It reads the events and the state of [`tracker_core::Shards`], keeps a bounded amount, and nobody who
//! looks, slowly or not at all, holds up an announce. It knows no web page: `dashboard` shows what is here.

mod client_name;
mod computers;
mod downloads;
mod event_log;
mod event_thread;
mod history;
mod lesson;
mod lessons;
mod list;
mod log_buffer;
mod metrics;
mod names;
mod observer;
mod progress;
mod ranges;
mod reachability;
mod report;
mod saved;
mod sightings;

pub use computers::{
    ComputerRow, Computers, ComputersConfig, ConnectedComputer, ConnectionGraph, CopyRow, DownloadsInProgress, OwnCopy,
    SentTo, StuckFile, TorrentSeeding,
};
pub use downloads::{BytesSent, Downloads, Transfer, TransferHandle, TransferPart, TransferTotals, Way};
pub use event_log::{EventLog, MAX_PENDING_EVENTS};
pub use history::{Sample, Series, Span};
pub use lesson::{CompletionPoint, CopyStatus};
pub use lessons::Lessons;
pub use list::{Order, Page, PageQuery};
pub use log_buffer::{LogBuffer, LogEntry, LogFilter};
pub use metrics::{MetricsFormat, ProcessMetrics};
pub use names::{ComputerName, NameSource, NamesFileError, SetNameError, check_names_file};
pub use observer::{
    Completion, DownloadCounts, Failures, FigureSource, Observer, OwnPeerStatus, PeerRow, PeerSort, PeerStatus,
    PeerStuckReason, ReachabilityCounts, Status, StuckCounts, StuckReason, TorrentRow, TorrentSort,
};
pub use progress::FileProgress;
pub use reachability::ReachabilityNote;
pub use report::{AnswerReport, CopyCheck, CopyReport, CopyWay, FileReport, LessonReport, LessonSummary, NetworkPoint};
pub use saved::{ParseSavedError, SavedLessons, SavedMonitor};
pub use sightings::{
    PeerSightings, Reachability, ReachabilityReason, SeedingState, SeenConnection, SeenPeer, SeenProgress, SeenSeeding,
    SeenTorrent,
};

/// A figure to three digits after the point, more than which none here is true to.
pub fn rounded(figure: f64) -> f64 {
    // The sum of nothing is a negative zero, which nobody wants to read.
    (figure * 1000.0).round() / 1000.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Subscriber;

    /// Does `work` with a subscriber to what it logs.
    ///
    /// Other tests log from the same places in the code meanwhile, whose state all threads share: somebody listens to them from the
    /// beginning, since a thread without a subscriber that is the first at such a place would switch it off for all.
    pub(crate) fn with_subscriber<T>(subscriber: impl Subscriber + Send + Sync, work: impl FnOnce() -> T) -> T {
        _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        tracing::subscriber::with_default(subscriber, work)
    }

    #[test]
    fn figures_are_rounded() {
        for (figure, text) in
            [(-0.0, "0"), (-0.0001, "0"), (0.1 + 0.2, "0.3"), (2.0 / 3.0, "0.667"), (1e18, "1000000000000000000")]
        {
            assert_eq!(rounded(figure).to_string(), text);
        }
    }
}
