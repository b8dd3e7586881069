//! Keeps the swarms in the data folder, from one start to the next.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracker_core::{EventKind, InfoHash, Shards, Walk};
use tracker_host::{Clock, EventListener, Events, HealthReport, LogThrottle};
use tracker_store::{Recovered, SnapshotError, Store};

use crate::keeper_thread::{Finish, KeeperThread, cause, chain};
use crate::kept_path::USERS;

/// The time until the first snapshot, when most peers are new, and between two later on: twice as long each time.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

/// The time between two looks at what has completed. Together with the time until an event is fetched it is less than a second.
const APPEND_INTERVAL: Duration = Duration::from_millis(500);

/// Swarms and peers that are taken out while a shard is locked, and the pause after that, in which announces get their turn.
const BATCH: usize = 1000;
const PAUSE: Duration = Duration::from_micros(200);

/// The time after which it is tried again to append what could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Completed downloads that may wait. If there are more, the next snapshot has them.
const MAX_PENDING_EVENTS: usize = 100_000;

/// One line in that time says that nothing can be written.
static FAILURES: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// The state of the thread.
struct Keeper {
    store: Store,
    shards: Arc<Shards>,
    clock: Clock,
    listener: EventListener,
    /// Peers whose downloads have completed since the last append.
    completed: BTreeSet<(InfoHash, SocketAddr)>,
    /// When they are appended at the earliest.
    next_append: Instant,
    next_snapshot: Instant,
    interval: Duration,
    /// Events that the core has dropped so far.
    dropped: u64,
    /// `true` from the first failure until nothing fails any more.
    has_failed: bool,
    /// The problem of the last snapshot. An append that succeeds does not solve it.
    snapshot_problem: Option<String>,
    health: HealthReport,
}

/// Takes in what the folder has of the tracker before. The swarms are kept from now on, until the thread ends with a last snapshot. If
/// that is not possible, a line in the log says so, and the tracker serves without.
pub(crate) fn start(
    folder: &Path,
    shards: &Arc<Shards>,
    clock: Clock,
    events: &Events,
    health: HealthReport,
) -> io::Result<KeeperThread> {
    let (store, recovered) = match Store::open(folder) {
        Ok(opened) => opened,
        Err(error) => {
            health.failed(format!("the swarms are not kept until the tracker is started again: {}", cause(&error)));
            tracing::warn!(error = %chain(&error), "the swarms are not kept: after a restart clients must announce again");
            return Ok(KeeperThread::none());
        }
    };
    restore(folder, recovered, shards, clock);
    // The disk has all that there is. If the first snapshot hangs, this gets old.
    health.saved();
    let keeper = Keeper {
        store,
        shards: Arc::clone(shards),
        clock,
        // All else is in the snapshots.
        listener: events.listen_to(MAX_PENDING_EVENTS, |kind| matches!(kind, EventKind::PeerCompleted(_))),
        completed: BTreeSet::new(),
        next_append: Instant::now(),
        next_snapshot: Instant::now() + FIRST_INTERVAL,
        interval: FIRST_INTERVAL,
        dropped: 0,
        has_failed: false,
        snapshot_problem: None,
        health,
    };
    KeeperThread::spawn("swarm-keeper", move |ended| keeper.run(ended))
}

impl Keeper {
    fn run(mut self, ended: &Receiver<Finish>) {
        loop {
            let end = ended.recv_timeout(APPEND_INTERVAL);
            self.collect();
            match end {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.append(),
                Ok(Finish) => return self.snapshot(),
            }
            if Instant::now() >= self.next_append {
                self.append();
            }
            if Instant::now() >= self.next_snapshot {
                self.snapshot();
                self.interval = SNAPSHOT_INTERVAL.min(self.interval * 2);
                self.next_snapshot = Instant::now() + self.interval;
            }
        }
    }

    /// Takes in what has completed.
    fn collect(&mut self) {
        let mut events = Vec::new();
        let dropped = self.shards.totals().dropped_events;
        if self.listener.take(&mut events) > 0 || std::mem::replace(&mut self.dropped, dropped) != dropped {
            // Nobody knows which: the snapshot has all of them.
            self.next_snapshot = Instant::now();
        }
        let completed = events.into_iter().filter_map(|event| match event.kind {
            EventKind::PeerCompleted(peer) => Some((event.info_hash, peer.address)),
            _ => None,
        });
        self.completed.extend(completed);
    }

    fn append(&mut self) {
        // With the peer, as one that was counted: otherwise the next announce would count it again after a restart.
        let now = self.clock.now();
        let image = |&(info_hash, address): &(InfoHash, SocketAddr)| {
            self.shards.with_swarm(&info_hash, |swarm| swarm.image_of(address, now))
        };
        let swarms: Vec<_> = self.completed.iter().filter_map(image).collect();
        match self.store.append(SystemTime::now(), &swarms) {
            Ok(()) => {
                self.completed.clear();
                if !swarms.is_empty() {
                    self.succeeded();
                }
            }
            Err(error) => {
                self.next_append = Instant::now() + RETRY_INTERVAL;
                self.failed(&error);
            }
        }
    }

    fn snapshot(&mut self) {
        match self.write_snapshot() {
            Ok(()) => {
                self.completed.clear();
                self.snapshot_problem = None;
                self.health.saved();
                self.succeeded();
            }
            Err(error) => self.snapshot_problem = Some(self.failed(&error)),
        }
    }

    fn write_snapshot(&mut self) -> Result<(), SnapshotError> {
        let mut snapshot = self.store.begin_snapshot(SystemTime::now())?;
        let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
        loop {
            let now = self.clock.now();
            let is_more = self.shards.walk(&mut walk, BATCH, |slice| images.push(slice.image(now)));
            for image in images.drain(..) {
                snapshot.add(&image)?;
            }
            if !is_more {
                break;
            }
            thread::sleep(PAUSE);
        }
        self.store.finish_snapshot(snapshot)
    }

    fn succeeded(&mut self) {
        match &self.snapshot_problem {
            Some(problem) => self.health.failed(problem),
            None => {
                self.health.clear();
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("the swarms are kept again");
                }
            }
        }
    }

    /// Reports the error, and returns it as a problem.
    fn failed(&mut self, error: &(dyn Error + 'static)) -> String {
        self.has_failed = true;
        let problem = format!("the swarms cannot be written to the disk: {}", cause(error));
        self.health.failed(&problem);
        if FAILURES.allows().is_some() {
            tracing::warn!(error = %chain(error), "cannot keep the swarms for the next start; the tracker serves on, and tries again");
        }
        problem
    }
}

/// Takes in what there is of the tracker before. If that was not for users, and this one is, its peers are left out: they have no keys.
fn restore(folder: &Path, mut recovered: Recovered, shards: &Shards, clock: Clock) {
    for problem in recovered.problems() {
        tracing::warn!("{problem}");
    }
    let now = SystemTime::now();
    let mut peers = 0;
    let is_new_to_users = shards.config().users && !folder.join(USERS).exists();
    while let Some((mut swarm, age)) = recovered.next_image(now) {
        if is_new_to_users {
            swarm.peers.clear();
        }
        peers += shards.restore(clock.now(), &swarm, age);
    }
    if peers > 0 {
        tracing::info!(peers, "peers from before the restart are handed out until they are due");
    }
}
