//! The observer: what is known about the torrents and their peers.

mod completion;
mod expectation;
mod figures;
mod hybrid;
mod meter;
mod observation;
mod peers;
mod records;
mod rows;
mod seen;
mod snapshot;
mod stuck;
mod sums;
mod sweep;
#[cfg(test)]
mod tests;
mod torrents;
mod watcher;

use std::fmt::{self, Debug};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use tracker_core::{InfoHash, Instant, ShardsView, Totals};
use tracker_host::{Clock, EventListener, Events, ServiceState};

use crate::event_log::MAX_PENDING_EVENTS;
use crate::event_thread::EventThread;
use crate::history::History;
use crate::{Computers, Downloads, Lessons, Page, PageQuery, Sample, SavedMonitor, Series, Span};

use hybrid::SwarmKeys;
use peers::PeerEntry;
use records::Records;
use snapshot::Snapshot;
use sweep::Found;
use torrents::TorrentEntry;
use watcher::Watcher;

pub use completion::{Completion, FigureSource};
pub(crate) use expectation::may_lack_metadata;
pub(crate) use observation::Observation;
pub(crate) use records::PeerReachability;
pub use rows::{PeerRow, PeerSort, PeerStatus, TorrentRow, TorrentSort};

pub(crate) use stuck::PeerDownload;
pub use stuck::{DownloadCounts, PeerStuckReason, StuckCounts, StuckReason};
pub use sums::ReachabilityCounts;
#[cfg(test)]
pub(crate) use tests::Watching;

/// Watches a tracker on a thread of its own. Cheap to clone; all clones are one. The thread ends when the last one is dropped.
///
/// It costs the tracker almost nothing, however many viewers there are: a regular announce creates no event. Instead, the
/// observer sweeps over all peers, at most once a second and at most 10,000 peers a second, and keeps the figures of the last two
/// announces of each. Peers usually announce at most once a minute, so that no announce is missed. No shard is locked for longer
/// than about a tenth of a millisecond.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Until it is finished.
    thread: Mutex<Option<EventThread>>,
}

/// The tracker at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// The current time.
    pub now: Instant,
    /// Its counts, and its counters since the start. The dropped events include those that the observer was too slow for. A
    /// hybrid torrent is one, with both its swarms, and a client in both is one peer.
    pub totals: Totals,
    /// Requests that its adapters refused or could not read, as of the last sample.
    pub failures: Failures,
    /// Its current rates: averages of the last ten seconds.
    pub last: Sample,
    /// The number of torrents that are stuck, as of the last look at all of them.
    pub stuck: StuckCounts,
    /// The downloads in progress, likewise.
    pub downloads: DownloadCounts,
    /// The tracker's own peer, if there is one.
    pub own_peer: Option<OwnPeerStatus>,
}

/// What the tracker's own peer does and knows at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct OwnPeerStatus {
    /// Its connections to peers.
    pub connections: usize,
    /// The peers by whether others can connect to them, as of the last look at all of them. A client counts once for each torrent
    /// and address.
    pub reachable: ReachabilityCounts,
}

/// Requests so far that could not be read, and refused requests other than announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Failures {
    /// Over HTTP.
    pub http: u64,
    /// Over UDP.
    pub udp: u64,
    /// Connections that were refused, or closed for a new one, because too many were open. The total leaves them out.
    pub closed_connections: u64,
}

impl Failures {
    /// Over all protocols.
    pub fn total(self) -> u64 {
        self.http.saturating_add(self.udp)
    }
}

impl Observer {
    /// Torrents of whose peers more is shown than the tracker itself keeps: rates, average completion, last announce. Each
    /// takes about 200 bytes. Those beyond are shown without.
    pub const MAX_RECORDED_TORRENTS: usize = 1 << 16;

    /// Peers, in all torrents, for which rates are shown: more than a LAN has. Each takes 150 to 300 bytes, more than the tracker
    /// itself needs for it, so that a large tracker would be mostly records. Those beyond are shown
    /// without, and are not found stuck while others have the whole file.
    pub const MAX_RECORDED_PEERS: usize = 1 << 14;

    /// Starts to watch, and to tell `computers` what it sees. `failures` counts the requests so far that
    /// [`Totals::refused_announces`] does not count.
    ///
    /// Of the events it needs no [updates](tracker_core::Config::update_events).
    ///
    /// # Errors
    ///
    /// Returns an error if the thread cannot be started.
    pub fn start(
        events: &Events,
        computers: Computers,
        failures: impl Fn() -> Failures + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(events.shards(), computers));
        let mut watcher = Watcher::new(Arc::clone(&shared), Box::new(failures));
        let work = move |listener: &EventListener| watcher.work(listener);
        let thread = EventThread::start("observer", events.listen(MAX_PENDING_EVENTS), work)?;
        Ok(Self(Arc::new(Inner { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// Processes the events so far, and ends the thread. The last state stays readable.
    pub fn finish(&self) {
        let thread = lock(&self.0.thread).take();
        if let Some(thread) = thread {
            thread.finish();
        }
    }

    /// Follows the service for clients: while it is stopped, and until peers announce again, nothing is known of their rates.
    pub fn follow_service(&self, service: watch::Receiver<ServiceState>) {
        *lock(&self.0.shared.service) = Some(service);
    }

    /// The computers, and which files each of them has.
    pub fn computers(&self) -> &Computers {
        &self.0.shared.computers
    }

    /// What this machine sends over HTTP.
    pub fn downloads(&self) -> Downloads {
        self.computers().downloads()
    }

    /// The lessons.
    pub fn lessons(&self) -> Lessons {
        self.computers().lessons()
    }

    /// The tracker now.
    pub fn status(&self) -> Status {
        self.0.shared.status()
    }

    /// The number of torrents whose .torrent file is known.
    pub fn known_torrents(&self) -> usize {
        self.0.shared.computers.library().all().len()
    }

    /// The history of this span.
    pub fn history(&self, span: Span) -> Series {
        lock(&self.0.shared.history).series(span)
    }

    /// A part of the list of torrents: those that are known, and those that have a swarm. The search is for a part of the
    /// name, in either case, or for the beginning of an info-hash.
    ///
    /// With some thousand torrents it is as they are now. With more, what was put together last is shown again for twenty
    /// times as long as that took: a list of a million torrents takes about half a second.
    pub fn torrents(&self, query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
        torrents::page(&self.0.shared.torrents(), query)
    }

    /// A part of the list of torrents whose .torrent files are not known, as in [`torrents`](Self::torrents).
    pub fn unnamed_torrents(&self, query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
        torrents::page_of_unnamed(&self.0.shared.torrents(), query)
    }

    /// One torrent, by the key of any of its swarms; `None` when it is not known and has no swarm.
    pub fn torrent(&self, swarm_key: &InfoHash) -> Option<TorrentRow> {
        let shared = &self.0.shared;
        let known = shared.computers.library().get(swarm_key);
        let keys = SwarmKeys::new(*swarm_key, known.as_deref());
        let counts = keys.counts(&shared.shards);
        if known.is_none() && counts.is_none() {
            return None;
        }
        let is_shared = shared.computers.is_shared(&keys.first);
        let entry = TorrentEntry::new(keys, known, counts.unwrap_or_default(), &lock(&shared.records), is_shared);
        Some(entry.row())
    }

    /// A part of the list of a torrent's peers, those of both swarms if it is a hybrid; an empty one when it has no swarm. The
    /// search is for a part of the address, of the client's name or of the host name, as far as that is known. It is as new as
    /// [`torrents`](Self::torrents): a list of 262,144 peers takes about a tenth of a second.
    pub fn peers(&self, swarm_key: &InfoHash, query: &PageQuery<PeerSort>) -> Page<PeerRow> {
        let shared = &self.0.shared;
        let known = shared.computers.library().get(swarm_key);
        let keys = SwarmKeys::new(*swarm_key, known.as_deref());
        let is_shared = shared.computers.is_shared(&keys.first);
        let named = || lock(&shared.records).named(&keys.first).map(|named| named.size);
        let size = known.map(|known| known.size).or_else(named);
        peers::page(&shared.peers(keys), query, shared.clock.now(), size, is_shared)
    }

    /// The history and the current lesson, to be saved: hand them to [`Computers::start`] at the next start. A lesson with more than some
    /// thousand copies of files on computers is looked at in parts, each of whole files, so that others get their turn. Of more than
    /// a hundred thousand copies the others are left out.
    pub fn save(&self) -> SavedMonitor {
        let history = lock(&self.0.shared.history).save();
        self.0.shared.computers.save(history, SystemTime::now())
    }

    /// The time of the last look at the tracker, as it changes: once a second.
    pub fn ticks(&self) -> watch::Receiver<Instant> {
        self.0.shared.ticks.subscribe()
    }
}

/// The state that the thread and the viewers share.
struct Shared {
    shards: ShardsView,
    clock: Clock,
    computers: Computers,
    ticks: watch::Sender<Instant>,
    history: Mutex<History>,
    failures: Mutex<Failures>,
    /// The service for clients, if it is followed.
    service: Mutex<Option<watch::Receiver<ServiceState>>>,
    /// The result of the last sweep.
    found: Mutex<Found>,
    records: Mutex<Records>,
    /// Events that were lost since this listener's queue was full.
    lost_events: AtomicU64,
    torrents: Mutex<Option<Snapshot<Vec<TorrentEntry>>>>,
    /// The oldest first.
    peers: Mutex<Vec<(SwarmKeys, Arc<PeerList>)>>,
}

/// The list of a torrent's peers, as far as it is kept. Locked while it is built.
type PeerList = Mutex<Option<Snapshot<Vec<PeerEntry>>>>;

/// Lists of peers that are kept, at most, of torrents that have so many that it takes longer than [`KEPT_ABOVE`].
const MAX_KEPT_LISTS: usize = 4;

const KEPT_ABOVE: Duration = Duration::from_millis(1);

impl Shared {
    fn new(shards: ShardsView, computers: Computers) -> Self {
        Self {
            shards,
            clock: computers.clock(),
            history: Mutex::new(computers.take_history()),
            computers,
            ticks: watch::Sender::new(Instant::ZERO),
            failures: Mutex::default(),
            service: Mutex::default(),
            found: Mutex::default(),
            records: Mutex::new(Records::new(Observer::MAX_RECORDED_TORRENTS, Observer::MAX_RECORDED_PEERS)),
            lost_events: AtomicU64::new(0),
            torrents: Mutex::default(),
            peers: Mutex::default(),
        }
    }

    fn status(&self) -> Status {
        let found = *lock(&self.found);
        Status {
            now: self.clock.now(),
            totals: self.totals(),
            failures: *lock(&self.failures),
            last: lock(&self.history).recent(),
            stuck: found.stuck,
            downloads: found.downloads,
            own_peer: self.computers.sightings().map(|sightings| OwnPeerStatus {
                connections: sightings.open_connections(),
                reachable: found.reachable,
            }),
        }
    }

    /// The totals of the tracker. What is in both swarms of a hybrid, as of the last sweep, counts once, but for completed
    /// downloads.
    fn totals(&self) -> Totals {
        let mut totals = self.shards.totals();
        totals.dropped_events += self.lost_events.load(Ordering::Relaxed);
        lock(&self.found).doubles.remove_from(&mut totals);
        totals
    }

    /// The list of torrents. Concurrent callers wait for the one that builds it.
    fn torrents(&self) -> Arc<Vec<TorrentEntry>> {
        let mut kept = lock(&self.torrents);
        if let Some(entries) = kept.as_mut().and_then(Snapshot::look) {
            return entries;
        }
        // The old list is dropped first, so that there are never two.
        *kept = None;
        let snapshot = Snapshot::make(|| {
            let is_shared = |info_hash: &InfoHash| self.computers.is_shared(info_hash);
            torrents::all(&self.shards, &self.computers.library().all(), &self.records, is_shared)
        });
        kept.insert(snapshot).value()
    }

    /// The list of a torrent's peers. It is built under a lock of its own: who asks for another torrent does not wait.
    fn peers(&self, keys: SwarmKeys) -> Arc<Vec<PeerEntry>> {
        let list = {
            let mut lists = lock(&self.peers);
            let known = lists.iter().find(|(of, _)| *of == keys).map(|(_, list)| Arc::clone(list));
            known.unwrap_or_else(|| {
                let list = Arc::default();
                lists.push((keys, Arc::clone(&list)));
                list
            })
        };
        let mut kept = lock(&list);
        if let Some(entries) = kept.as_mut().and_then(Snapshot::look) {
            return entries;
        }
        *kept = None;
        let snapshot = Snapshot::make(|| {
            peers::all(&self.shards, keys, &self.records, self.computers.sightings(), self.clock.now())
        });
        let entries = snapshot.value();
        *kept = Some(snapshot).filter(|snapshot| snapshot.cost() > KEPT_ABOVE);
        drop(kept);
        drop(list);

        let mut lists = lock(&self.peers);
        lists.retain(|(_, list)| is_needed(list, |_| true));
        let surplus = lists.len().saturating_sub(MAX_KEPT_LISTS);
        lists.drain(..surplus);
        entries
    }

    /// Drops lists that nobody has looked at for a while.
    fn tidy(&self) {
        if let Ok(mut kept) = self.torrents.try_lock() {
            kept.take_if(|snapshot| snapshot.is_unused());
        }
        lock(&self.peers).retain(|(_, list)| is_needed(list, |snapshot| !snapshot.is_unused()));
    }
}

/// Returns `true` if a list is being built, or is kept and to be kept.
fn is_needed(list: &PeerList, is_kept: impl FnOnce(&Snapshot<Vec<PeerEntry>>) -> bool) -> bool {
    list.try_lock().map_or(true, |list| list.as_ref().is_some_and(is_kept))
}

/// Without the records of all peers.
impl Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Locks despite a panic elsewhere: nothing is left in an inconsistent state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
