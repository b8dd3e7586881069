//! The jobs that make torrents of what is in the share folder.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metainfo::CreateError;
use tokio::sync::watch;
use tracker_core::InfoHash;

use crate::creation::create;
use crate::known::tiers;
use crate::shared_folder::Fingerprint;
use crate::worker::Worker;
use crate::{Content, Library, OPERATOR_LOG, Share, ShareError, SharedFolder};

/// The minimum interval between two reports of progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// Makes torrents of what is in the share folder, one after the other. Cheap to clone; all clones are one.
///
/// They are hashed in the background on half of the cores, since the tracker comes first. When the last clone is dropped, jobs
/// that have not finished are given up.
#[derive(Debug, Clone)]
pub struct TorrentJobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    worker: Worker<Arc<Order>>,
}

#[derive(Debug)]
struct Shared {
    share: Share,
    library: Library,
    /// Where the content is registered of which torrents are made.
    folder: Option<SharedFolder>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    /// In the order in which they were asked for.
    jobs: VecDeque<Job>,
}

#[derive(Debug)]
struct Job {
    public: TorrentJob,
    order: Arc<Order>,
    stage: Stage,
}

/// The request for a torrent.
#[derive(Debug)]
struct Order {
    id: u64,
    path: String,
    private: bool,
    announce_urls: Vec<String>,
    cancel: AtomicBool,
}

/// What was hashed.
struct Hashed {
    torrent: Vec<u8>,
    /// The content, with its state, if that is as it was before.
    content: Option<(Fingerprint, Content)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Working,
    /// Too late to cancel it.
    Registering,
    Over,
}

/// The making of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorrentJob {
    /// Its id; ids count up from 1.
    pub id: u64,
    /// The file or folder, relative to the share folder.
    pub path: String,
    /// Its current state.
    pub state: JobState,
}

/// The state of a [`TorrentJob`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits for other jobs, or its files are being listed.
    Waiting,
    /// Its content is read.
    Hashing {
        /// Bytes so far.
        hashed: u64,
        /// Bytes in all, at least one.
        total: u64,
    },
    /// The torrent is registered.
    Done {
        /// The torrent's info-hash.
        info_hash: InfoHash,
    },
    /// It could not be made.
    Failed {
        /// The reason, for the operator.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// Why a job cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The path cannot be used.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Too many wait already.
    #[error("{limit} torrents are being made already; wait until one is done")]
    TooMany {
        /// The number of jobs that may wait or be in progress.
        limit: usize,
    },
    /// The thread cannot be started.
    #[error("cannot start to make it: {0}")]
    Thread(io::Error),
}

impl TorrentJobs {
    /// Jobs that wait or are in progress, at most: 20.
    pub const MAX_WAITING: usize = 20;

    /// Jobs that are remembered after they have ended, at most: 20.
    pub const MAX_OVER: usize = 20;

    /// Makes torrents of what is in `share`, and registers them in `library`.
    pub fn new(share: Share, library: Library) -> Self {
        Self::with(share, library, None)
    }

    /// Makes torrents of what is in a share folder that is followed, so that their content is shared as well.
    pub fn of(folder: SharedFolder) -> Self {
        Self::with(folder.share().clone(), folder.library().clone(), Some(folder))
    }

    fn with(share: Share, library: Library, folder: Option<SharedFolder>) -> Self {
        let (state, changed) = (Mutex::default(), watch::Sender::new(0));
        let shared = Arc::new(Shared { share, library, folder, state, changed });
        let of_worker = Arc::clone(&shared);
        let worker = Worker::new("torrent jobs", move |order: Arc<Order>, _: &AtomicBool| of_worker.work(&order));
        Self(Arc::new(Inner { shared, worker }))
    }

    /// The share folder.
    pub fn share(&self) -> &Share {
        &self.shared().share
    }

    /// Adds a job that makes a torrent of a file or folder of the share folder, with these announce URLs.
    ///
    /// # Errors
    ///
    /// Returns [`MakeError`] if there is no such file or folder, or if too many jobs wait.
    pub fn make(&self, path: &str, private: bool, announce_urls: &[String]) -> Result<TorrentJob, MakeError> {
        let shared = self.shared();
        shared.share.resolve(path)?;
        let mut state = shared.state();
        let limit = Self::MAX_WAITING;
        if state.jobs.iter().filter(|job| job.stage != Stage::Over).count() >= limit {
            return Err(MakeError::TooMany { limit });
        }
        let job = TorrentJob { id: state.last_id + 1, path: path.to_owned(), state: JobState::Waiting };
        let order = Arc::new(Order {
            id: job.id,
            path: job.path.clone(),
            private,
            announce_urls: announce_urls.to_vec(),
            cancel: AtomicBool::new(false),
        });
        // The thread takes it when the lock is free.
        self.0.worker.push(Arc::clone(&order)).map_err(MakeError::Thread)?;
        state.last_id = job.id;
        state.jobs.push_back(Job { public: job.clone(), order, stage: Stage::Waiting });
        drop(state);
        shared.notify();
        Ok(job)
    }

    /// The jobs that wait or are in progress, and the last ones that ended; the newest first.
    pub fn all(&self) -> Vec<TorrentJob> {
        self.shared().state().jobs.iter().rev().map(|job| job.public.clone()).collect()
    }

    /// The job with this id, if it is remembered.
    pub fn get(&self, id: u64) -> Option<TorrentJob> {
        self.shared().state().job(id).map(|job| job.public.clone())
    }

    /// Cancels a job; returns `false` if it has finished or is being registered.
    ///
    /// Hashing stops at once. A folder that is being listed is listed to its end first.
    pub fn cancel(&self, id: u64) -> bool {
        let mut state = self.shared().state();
        let Some(job) = state.job(id) else { return false };
        if !matches!(job.stage, Stage::Waiting | Stage::Working) {
            return false;
        }
        job.order.cancel.store(true, Ordering::Relaxed);
        state.end(id, JobState::Cancelled);
        self.0.worker.retain(|order| order.id != id);
        drop(state);
        self.shared().notify();
        true
    }

    /// A count of all changes, as it grows; progress counts at most ten times a second.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared().changed.subscribe()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.state().jobs.iter().for_each(|job| job.order.cancel.store(true, Ordering::Relaxed));
    }
}

impl State {
    fn job(&mut self, id: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.public.id == id)
    }

    fn end(&mut self, id: u64, outcome: JobState) {
        if let Some(job) = self.job(id) {
            job.public.state = outcome;
            job.stage = Stage::Over;
        }
        let over = |job: &Job| job.stage == Stage::Over;
        if self.jobs.iter().filter(|job| over(job)).count() > TorrentJobs::MAX_OVER {
            let oldest = self.jobs.iter().position(over);
            oldest.and_then(|oldest| self.jobs.remove(oldest));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Makes a torrent, unless it was cancelled while it waited.
    fn work(&self, order: &Order) {
        match self.state().job(order.id).filter(|job| job.stage == Stage::Waiting) {
            Some(job) => job.stage = Stage::Working,
            None => return,
        }
        // After a bug the job does not stay in progress.
        let made = catch_unwind(AssertUnwindSafe(|| self.make(order)));
        let bug = |_| Some(Err("there is a bug in the tracker: its standard error says more".to_owned()));
        let outcome = match made.unwrap_or_else(bug) {
            // It was cancelled, or everything ends.
            None => return,
            Some(Ok(info_hash)) => JobState::Done { info_hash },
            Some(Err(error)) => {
                tracing::warn!(target: OPERATOR_LOG, path = order.path, "cannot make a torrent: {error}");
                JobState::Failed { error }
            }
        };
        self.state().end(order.id, outcome);
        self.notify();
    }

    /// Takes a job to its next stage. Returns `false` if it was cancelled.
    fn advance(&self, order: &Order, stage: Stage, state_now: Option<JobState>) -> bool {
        let mut state = self.state();
        let Some(job) = state.job(order.id).filter(|job| job.stage == Stage::Working) else { return false };
        if order.cancel.load(Ordering::Relaxed) {
            return false;
        }
        job.stage = stage;
        if let Some(state_now) = state_now {
            job.public.state = state_now;
        }
        true
    }

    /// `None` when it was cancelled.
    fn make(&self, order: &Order) -> Option<Result<InfoHash, String>> {
        let Hashed { torrent, content } = match self.hash(order) {
            Ok(made) => made,
            Err(_) if order.cancel.load(Ordering::Relaxed) => return None,
            Err(error) => return Some(Err(error)),
        };
        if !self.advance(order, Stage::Registering, None) {
            return None;
        }
        let registered = self.library.register(&torrent).map(|known| known.info_hash);
        if let (Some(folder), Some((fingerprint, content)), Ok(info_hash)) = (&self.folder, content, &registered) {
            folder.made_by_hand(&order.path, fingerprint, *info_hash, content);
        }
        Some(registered.map_err(|error| error.to_string()))
    }

    fn hash(&self, order: &Order) -> Result<Hashed, String> {
        let explain = |error| explain(error, &self.share);
        let create = create(&self.share, &order.path).map_err(|error| error.to_string())?;
        let create = create.trackers(&tiers(&order.announce_urls)).private(order.private);
        let before = Fingerprint::of_path(&self.share, &order.path, &order.cancel).ok();
        let plan = create.plan().map_err(explain)?;
        let content = Content::of_plan(&self.share, &order.path, &plan).ok();

        let report = |hashed| {
            let state = JobState::Hashing { hashed, total: plan.total_length() };
            if self.advance(order, Stage::Working, Some(state)) {
                self.notify();
            }
        };
        report(0);
        let mut reported = Instant::now();
        let created = plan.hash(&order.cancel, |progress| {
            if reported.elapsed() >= PROGRESS_PERIOD {
                reported = Instant::now();
                report(progress.hashed);
            }
        });
        let torrent = created.map_err(explain)?.as_bytes().to_vec();
        let after = Fingerprint::of_path(&self.share, &order.path, &order.cancel).ok();
        let content = before.filter(|_| before == after).zip(content);
        Ok(Hashed { torrent, content })
    }
}

/// The text of an error, with paths relative to the share folder.
pub(crate) fn explain(mut error: CreateError, share: &Share) -> String {
    use CreateError as E;

    let advice = match &error {
        E::NotUtf8 { .. } | E::UnsafeName { .. } => "; rename it",
        E::Empty { skipped, .. } if !skipped.is_empty() => {
            " (hidden files, links and what systems leave behind do not count)"
        }
        _ => "",
    };
    if let E::Unreadable { path, .. }
    | E::Vanished { path }
    | E::LengthChanged { path, .. }
    | E::Modified { path }
    | E::NotUtf8 { path }
    | E::UnsafeName { path, .. }
    | E::NoName { path }
    | E::NotAFile { path }
    | E::Empty { path, .. }
    | E::TooDeep { path, .. } = &mut error
    {
        *path = from_share(path, share.folder());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => format!("{error}{advice}"),
    }
}

/// The path relative to the share folder, so that nobody learns where that is.
fn from_share(path: &Path, share: &Path) -> PathBuf {
    let relative = path.strip_prefix(share).ok().filter(|relative| *relative != Path::new(""));
    let name = path.file_name().map(Path::new);
    relative.or(name).unwrap_or_else(|| Path::new("")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::Weak;
    use std::thread;

    use super::*;
    use crate::LibraryConfig;

    /// Longer than any test may take, and no bytes on disk.
    const ENDLESS: u64 = 1 << 40;

    fn jobs() -> (tempfile::TempDir, TorrentJobs) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("course/week 1")).unwrap();
        fs::write(place.path().join("course/week 1/slides.pdf"), vec![7; 100_000]).unwrap();
        fs::write(place.path().join("course/notes.txt"), "notes").unwrap();
        fs::create_dir(place.path().join("empty")).unwrap();
        fs::write(place.path().join("empty/.hidden"), "x").unwrap();
        File::create(place.path().join("endless")).unwrap().set_len(ENDLESS).unwrap();
        let share = Share::open(place.path().to_owned()).unwrap();
        let jobs = TorrentJobs::new(share, Library::open(LibraryConfig::default()).unwrap());
        (place, jobs)
    }

    /// Waits until a job is at this.
    async fn until(jobs: &TorrentJobs, id: u64, is_it: impl Fn(&JobState) -> bool) -> JobState {
        let mut changes = jobs.changes();
        let wait = async {
            loop {
                let state = jobs.get(id).unwrap().state;
                if is_it(&state) {
                    return state;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes to this")
    }

    fn is_over(state: &JobState) -> bool {
        !matches!(state, JobState::Waiting | JobState::Hashing { .. })
    }

    fn is_hashing(state: &JobState) -> bool {
        matches!(state, JobState::Hashing { .. })
    }

    fn ended(shared: &Weak<Shared>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while shared.strong_count() > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        shared.strong_count() == 0
    }

    #[tokio::test]
    async fn what_is_made_is_registered() {
        let (_place, jobs) = jobs();
        let urls = ["http://192.168.1.10:6969/announce".to_owned(), "udp://192.168.1.10:6969".to_owned()];
        let job = jobs.make("course", true, &urls).unwrap();
        assert_eq!(job, TorrentJob { id: 1, path: "course".to_owned(), state: JobState::Waiting });
        let JobState::Done { info_hash } = until(&jobs, 1, is_over).await else { panic!("{:?}", jobs.all()) };

        let known = jobs.shared().library.get(&info_hash).unwrap();
        assert_eq!((known.name.as_ref(), known.size), ("course", 100_005));
        assert_eq!(known.metainfo.trackers(), tiers(&urls));
        assert!(known.metainfo.info().private());
        let paths: Vec<_> = known.files().map(|file| file.path).collect();
        assert_eq!(paths, ["notes.txt", "week 1/slides.pdf"]);

        // A second one, by the thread that comes for it.
        let job = jobs.make("course/notes.txt", false, &[]).unwrap();
        until(&jobs, job.id, |state| matches!(state, JobState::Done { .. })).await;
        assert_eq!(jobs.all().iter().map(|job| job.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(jobs.shared().library.all().len(), 2);
    }

    #[tokio::test]
    async fn failures_say_why() {
        let (place, jobs) = jobs();
        for path in ["../course", "/etc/passwd", "nothing", "empty/.hidden"] {
            assert!(matches!(jobs.make(path, false, &[]), Err(MakeError::Share(_))), "{path}");
        }
        let id = jobs.make("empty", false, &[]).unwrap().id;
        let JobState::Failed { error } = until(&jobs, id, is_over).await else { panic!() };
        assert_eq!(
            error,
            "\"empty\" holds nothing to share (hidden files, links and what systems leave behind do not count)"
        );

        let id = jobs.make("endless", false, &[]).unwrap().id;
        until(&jobs, id, is_hashing).await;
        File::options().write(true).open(place.path().join("endless")).unwrap().set_len(5).unwrap();
        let JobState::Failed { error } = until(&jobs, id, is_over).await else { panic!() };
        assert_eq!(
            error,
            format!("\"endless\" changed while it was being hashed: it had {ENDLESS} bytes and has 5 now")
        );
        assert!(jobs.shared().library.all().is_empty());
    }

    #[test]
    fn failures_do_not_say_where_the_share_is() {
        let (place, jobs) = jobs();
        let share = jobs.share();
        let path = share.folder().join("course/notes.txt");
        let error = CreateError::Unreadable { path, source: io::ErrorKind::PermissionDenied.into() };
        assert_eq!(explain(error, share), "cannot read \"course/notes.txt\": permission denied");
        let name = place.path().file_name().unwrap();
        let path = share.folder().join("course/a");
        assert!(explain(CreateError::NotUtf8 { path }, share).ends_with("\"course/a\" is not UTF-8 text; rename it"));
        let error = CreateError::Empty { path: share.folder().to_owned(), skipped: Vec::new(), unused: Vec::new() };
        assert_eq!(explain(error, share), format!("{name:?} holds nothing to share"));
    }

    #[tokio::test]
    async fn progress_is_reported() {
        let (_place, jobs) = jobs();
        let id = jobs.make("endless", false, &[]).unwrap().id;
        let state = until(&jobs, id, |state| matches!(state, JobState::Hashing { hashed: 1.., .. })).await;
        assert!(matches!(state, JobState::Hashing { total: ENDLESS, .. }), "{state:?}");
        assert!(jobs.cancel(id));
    }

    #[tokio::test]
    async fn what_is_cancelled_makes_room() {
        let (_place, jobs) = jobs();
        let first = jobs.make("endless", false, &[]).unwrap().id;
        until(&jobs, first, is_hashing).await;
        let second = jobs.make("endless", false, &[]).unwrap().id;
        let third = jobs.make("course", false, &[]).unwrap().id;
        assert!(jobs.cancel(second), "it waits");
        assert_eq!(jobs.get(third).unwrap().state, JobState::Waiting);

        assert!(jobs.cancel(first), "it is being made");
        assert_eq!(jobs.get(first).unwrap().state, JobState::Cancelled);
        until(&jobs, third, |state| matches!(state, JobState::Done { .. })).await;
        for id in [first, second, third, 17] {
            assert!(!jobs.cancel(id), "{id} is over");
        }
        assert_eq!(jobs.get(first).unwrap().state, JobState::Cancelled);
        assert_eq!(jobs.get(second).unwrap().state, JobState::Cancelled);
        assert_eq!(jobs.shared().library.all().len(), 1);
    }

    #[tokio::test]
    async fn limits_are_kept() {
        let (_place, jobs) = jobs();
        for _ in 0..TorrentJobs::MAX_WAITING {
            jobs.make("endless", false, &[]).unwrap();
        }
        let error = jobs.make("endless", false, &[]).unwrap_err();
        assert!(matches!(error, MakeError::TooMany { .. }), "{error}");
        for job in jobs.all() {
            assert!(jobs.cancel(job.id));
        }
        let mut last = 0;
        for _ in 0..TorrentJobs::MAX_OVER {
            last = jobs.make("course", false, &[]).unwrap().id;
            until(&jobs, last, is_over).await;
        }
        let all = jobs.all();
        assert_eq!(all.len(), TorrentJobs::MAX_OVER);
        assert_eq!(all[0].id, last, "the newest first");
        assert!(jobs.get(1).is_none());
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_maker() {
        let (_place, jobs) = jobs();
        let shared = Arc::downgrade(jobs.shared());
        let (running, waiting) = (jobs.make("endless", false, &[]).unwrap(), jobs.make("endless", false, &[]).unwrap());
        until(&jobs, running.id, is_hashing).await;
        assert_eq!(jobs.get(waiting.id).unwrap().state, JobState::Waiting);
        let clone = jobs.clone();
        drop(jobs);
        assert!(is_hashing(&clone.get(running.id).unwrap().state));
        drop(clone);
        assert!(ended(&shared));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_gives_its_name() {
        let (place, jobs) = jobs();
        std::os::unix::fs::symlink("course/notes.txt", place.path().join("today.txt")).unwrap();
        let id = jobs.make("today.txt", false, &[]).unwrap().id;
        until(&jobs, id, is_over).await;
        let names: Vec<_> = jobs.shared().library.all().values().map(|known| Arc::clone(&known.name)).collect();
        assert_eq!(names, ["today.txt".into()]);
    }
}
