//! What is known of the torrents and their peers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tracker_core::{InfoHash, Instant, Shards, SwarmCounts, Totals};
use tracker_host::Clock;

use crate::{Library, Page, PageQuery, Sample, Series, Span};

/// Watches a tracker, on a thread of its own. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Arc<Shards>,
    clock: Clock,
    ticks: watch::Sender<Instant>,
}

/// The tracker at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// When.
    pub now: Instant,
    /// What it has and did since its start.
    pub totals: Totals,
    /// Requests that its adapters refused or could not read, as of the last sample.
    pub failures: Failures,
    /// What it does: the last sample of the history.
    pub last: Sample,
}

/// Requests so far that [`Totals::refused_announces`] does not count: those that an adapter could not read, or refused
/// otherwise. They start again from 0 when an adapter is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// Over HTTP.
    pub http: u64,
    /// Over UDP.
    pub udp: u64,
}

impl Failures {
    /// Over all protocols.
    pub fn total(self) -> u64 {
        self.http.saturating_add(self.udp)
    }
}

/// A torrent that is known, or has a swarm.
#[derive(Debug, Clone, PartialEq)]
pub struct TorrentRow {
    /// Which.
    pub info_hash: InfoHash,
    /// Its name, if its .torrent is known.
    pub name: Option<Arc<str>>,
    /// Its size in bytes, if its .torrent is known.
    pub size: Option<u64>,
    /// Its peers and completed downloads.
    pub counts: SwarmCounts,
    /// How much its peers have of it on average, from 0 to 1, those that do not say left out; `None` without a size or peers.
    pub completion: Option<f64>,
    /// Bytes per second that its peers say they download.
    pub download_rate: f64,
    /// When a peer of it announced last.
    pub last_seen: Option<Instant>,
}

/// By what torrents are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TorrentSort {
    /// By name, those without one by info-hash after all others.
    #[default]
    Name,
    /// By size.
    Size,
    /// By seeders.
    Seeders,
    /// By leechers.
    Leechers,
    /// By completed downloads.
    Completed,
    /// By average completion.
    Completion,
    /// By download rate.
    DownloadRate,
}

/// A peer of a torrent.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerRow {
    /// Where it is.
    pub address: SocketAddr,
    /// Program and version; `None` where the tracker does not keep it.
    pub client: Option<String>,
    /// What it is at.
    pub standing: PeerStanding,
    /// How much it has, from 0 to 1; `None` when it does not say, or the size of the torrent is not known.
    pub completion: Option<f64>,
    /// Bytes that it still wants.
    pub left: Option<u64>,
    /// Bytes uploaded, as it says.
    pub uploaded: Option<u64>,
    /// Bytes downloaded, as it says.
    pub downloaded: Option<u64>,
    /// Bytes per second between its last two announces.
    pub upload_rate: Option<f64>,
    /// Bytes per second between its last two announces.
    pub download_rate: Option<f64>,
    /// When its first announce came.
    pub first_seen: Option<Instant>,
    /// When its last announce came: what is told of it is as of then.
    pub last_seen: Option<Instant>,
    /// When its next announce is expected.
    pub next_expected: Option<Instant>,
}

/// What a peer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerStanding {
    /// It wants more.
    Downloading,
    /// It has all that it wants, but not everything.
    Partial,
    /// It has everything.
    Seeding,
    /// Its announce is overdue.
    Silent,
}

/// By what peers are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerSort {
    /// By address.
    #[default]
    Address,
    /// By client.
    Client,
    /// By what they are at.
    Standing,
    /// By completion.
    Completion,
    /// By download rate.
    DownloadRate,
    /// By upload rate.
    UploadRate,
    /// By last announce.
    LastSeen,
}

impl Observer {
    /// Begins to watch. `failures` is asked about once a second.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn start(
        shards: Arc<Shards>,
        clock: Clock,
        library: Library,
        failures: impl Fn() -> Failures + Send + 'static,
    ) -> io::Result<Self> {
        _ = (library, failures);
        Ok(Self(Arc::new(Inner { shards, clock, ticks: watch::Sender::new(Instant::ZERO) })))
    }

    /// Takes in what has happened until now, and ends the thread.
    pub fn finish(&self) {}

    /// The tracker now.
    pub fn status(&self) -> Status {
        Status {
            now: self.0.clock.now(),
            totals: self.0.shards.totals(),
            failures: Failures::default(),
            last: Sample::default(),
        }
    }

    /// How it was.
    pub fn history(&self, span: Span) -> Series {
        _ = span;
        Series { step_secs: 1, samples: Vec::new() }
    }

    /// A part of the list of torrents: those that are known, and those that have a swarm. At most two seconds old.
    pub fn torrents(&self, query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
        Page { items: Vec::new(), total: 0, page: query.page, page_size: query.page_size }
    }

    /// One torrent; `None` when it is not known and has no swarm.
    pub fn torrent(&self, info_hash: &InfoHash) -> Option<TorrentRow> {
        _ = info_hash;
        None
    }

    /// A part of the list of a torrent's peers.
    pub fn peers(&self, info_hash: &InfoHash, query: &PageQuery<PeerSort>) -> Page<PeerRow> {
        _ = info_hash;
        Page { items: Vec::new(), total: 0, page: query.page, page_size: query.page_size }
    }

    /// The time of the last look at the tracker, as it changes: once a second.
    pub fn ticks(&self) -> watch::Receiver<Instant> {
        self.0.ticks.subscribe()
    }
}
