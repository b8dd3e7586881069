//! Making torrents of what is in the share folder.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use metainfo::{Create, CreateError};
use tokio::sync::watch;
use tracker_core::InfoHash;

use crate::known::tiers;
use crate::{Library, Share, ShareError};

/// How often progress is told, at most.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// What is written into a torrent as the program that made it.
const PROGRAM: &str = concat!("tracker/", env!("CARGO_PKG_VERSION"));

/// Makes torrents, one after the other. Cheap to clone; all clones are one.
///
/// A thread does so as long as there is something to make, and hashes on half of the cores, since the tracker goes before.
/// With the last clone it ends, and what is not done is given up.
#[derive(Debug, Clone)]
pub struct Maker(Arc<Handle>);

/// What its owners have; the thread has only what is in it.
#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    share: Share,
    library: Library,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    /// In the order in which they were asked for.
    jobs: VecDeque<Job>,
    /// Whether there is a thread.
    working: bool,
    /// Whether nobody has the maker any more.
    closed: bool,
}

#[derive(Debug)]
struct Job {
    making: Making,
    order: Arc<Order>,
    stage: Stage,
}

/// What is to be made.
#[derive(Debug)]
struct Order {
    id: u64,
    path: String,
    private: bool,
    announce_urls: Vec<String>,
    cancel: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Working,
    /// Too late to cancel it.
    Registering,
    Over,
}

/// A torrent that is being made, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// Counts up from 1.
    pub id: u64,
    /// Of what, from the share on.
    pub path: String,
    /// How far it is.
    pub state: MakeState,
}

/// How far the making of a torrent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MakeState {
    /// It waits for others, or its files are looked for.
    Waiting,
    /// Its content is read.
    Hashing {
        /// Bytes so far.
        hashed: u64,
        /// Bytes in all, at least one.
        total: u64,
    },
    /// It is registered.
    Done {
        /// As this.
        info_hash: InfoHash,
    },
    /// It could not be made.
    Failed {
        /// Why: a line for who wanted it.
        error: String,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// Why the making of a torrent cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The path.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Too many wait already.
    #[error("{limit} torrents are being made already; wait until one is done")]
    TooMany {
        /// So many.
        limit: usize,
    },
    /// There cannot be a thread that makes it.
    #[error("cannot begin to make it: {0}")]
    Thread(io::Error),
}

impl Maker {
    /// Torrents that wait or are being made at the same time, at most: 20.
    pub const MAX_WAITING: usize = 20;

    /// Torrents that are remembered after they were made, at most: 20.
    pub const MAX_OVER: usize = 20;

    /// Makes torrents of what is in `share`, and registers them in `library`.
    pub fn new(share: Share, library: Library) -> Self {
        let (state, changed) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Handle(Arc::new(Shared { share, library, state, changed }))))
    }

    /// Of what it makes torrents.
    pub fn share(&self) -> &Share {
        &self.shared().share
    }

    /// Begins to make a torrent of a file or folder of the share. `announce_urls` are written into it.
    ///
    /// # Errors
    ///
    /// When there is no such file or folder, or too many wait.
    pub fn make(&self, path: &str, private: bool, announce_urls: &[String]) -> Result<Making, MakeError> {
        let shared = self.shared();
        shared.share.resolve(path)?;
        let mut state = shared.state();
        let limit = Self::MAX_WAITING;
        if state.jobs.iter().filter(|job| job.stage != Stage::Over).count() >= limit {
            return Err(MakeError::TooMany { limit });
        }
        if !state.working {
            let worker = Arc::clone(shared);
            thread::Builder::new().name("maker".into()).spawn(move || worker.work()).map_err(MakeError::Thread)?;
            state.working = true;
        }
        state.last_id += 1;
        let making = Making { id: state.last_id, path: path.to_owned(), state: MakeState::Waiting };
        let order = Order {
            id: making.id,
            path: making.path.clone(),
            private,
            announce_urls: announce_urls.to_vec(),
            cancel: AtomicBool::new(false),
        };
        state.jobs.push_back(Job { making: making.clone(), order: Arc::new(order), stage: Stage::Waiting });
        drop(state);
        shared.tell();
        Ok(making)
    }

    /// Those that wait or are being made, and the last that were; the newest first.
    pub fn makings(&self) -> Vec<Making> {
        self.shared().state().jobs.iter().rev().map(|job| job.making.clone()).collect()
    }

    /// One of them.
    pub fn making(&self, id: u64) -> Option<Making> {
        self.shared().state().job(id).map(|job| job.making.clone())
    }

    /// Ends one of them. Whether there is one to end: one that is over, or as good as that, stays as it is.
    ///
    /// The thread leaves off hashing at once, but goes through a folder to its end before it comes to the next one.
    pub fn cancel(&self, id: u64) -> bool {
        let mut state = self.shared().state();
        let Some(job) = state.job(id) else { return false };
        if !matches!(job.stage, Stage::Waiting | Stage::Working) {
            return false;
        }
        job.order.cancel.store(true, Ordering::Relaxed);
        state.end(id, MakeState::Cancelled);
        drop(state);
        self.shared().tell();
        true
    }

    /// Counts the changes, as they happen; progress at most ten times a second.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared().changed.subscribe()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.jobs.iter().for_each(|job| job.order.cancel.store(true, Ordering::Relaxed));
    }
}

impl State {
    fn job(&mut self, id: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.making.id == id)
    }

    fn end(&mut self, id: u64, outcome: MakeState) {
        if let Some(job) = self.job(id) {
            job.making.state = outcome;
            job.stage = Stage::Over;
        }
        let over = |job: &Job| job.stage == Stage::Over;
        if self.jobs.iter().filter(|job| over(job)).count() > Maker::MAX_OVER {
            let oldest = self.jobs.iter().position(over);
            oldest.and_then(|oldest| self.jobs.remove(oldest));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Makes one after the other until none is left.
    fn work(&self) {
        while let Some(order) = self.next() {
            // Whoever waits for the others is not to wait for ever.
            let made = catch_unwind(AssertUnwindSafe(|| self.make(&order)));
            let bug = |_| Some(Err("there is a bug in the tracker: its standard error says more".to_owned()));
            let outcome = match made.unwrap_or_else(bug) {
                // Either it was ended by who cancelled it, or everything ends.
                None => continue,
                Some(Ok(info_hash)) => MakeState::Done { info_hash },
                Some(Err(error)) => {
                    tracing::warn!(path = order.path, "cannot make a torrent: {error}");
                    MakeState::Failed { error }
                }
            };
            self.state().end(order.id, outcome);
            self.tell();
        }
    }

    fn next(&self) -> Option<Arc<Order>> {
        let mut state = self.state();
        let closed = state.closed;
        let next = state.jobs.iter_mut().find(|job| job.stage == Stage::Waiting && !closed);
        let order = next.map(|job| {
            job.stage = Stage::Working;
            Arc::clone(&job.order)
        });
        state.working = order.is_some();
        order
    }

    /// Goes from one stage to the next, unless it was cancelled.
    fn advance(&self, order: &Order, stage: Stage, making: Option<MakeState>) -> bool {
        let mut state = self.state();
        let Some(job) = state.job(order.id).filter(|job| job.stage == Stage::Working) else { return false };
        if order.cancel.load(Ordering::Relaxed) {
            return false;
        }
        job.stage = stage;
        if let Some(making) = making {
            job.making.state = making;
        }
        true
    }

    /// `None` when it was cancelled.
    fn make(&self, order: &Order) -> Option<Result<InfoHash, String>> {
        let torrent = match self.hash(order) {
            Ok(torrent) => torrent,
            Err(_) if order.cancel.load(Ordering::Relaxed) => return None,
            Err(error) => return Some(Err(error)),
        };
        if !self.advance(order, Stage::Registering, None) {
            return None;
        }
        let registered = self.library.register(&torrent);
        Some(registered.map(|known| known.info_hash).map_err(|error| error.to_string()))
    }

    fn hash(&self, order: &Order) -> Result<Vec<u8>, String> {
        let path = self.share.resolve(&order.path).map_err(|error| error.to_string())?;
        let explain = |error| explain(error, &self.share);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let mut create = Create::new(path)
            .trackers(&tiers(&order.announce_urls))
            .private(order.private)
            .created_by(PROGRAM)
            .creation_date(now.map(|since| since.as_secs()))
            .threads(NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN));
        // As it was named, should it be a link to something of another name.
        if let Some(name) = order.path.rsplit('/').next().filter(|name| !name.is_empty()) {
            create = create.name(name);
        }
        let plan = create.plan().map_err(explain)?;

        let tell = |hashed| {
            let state = MakeState::Hashing { hashed, total: plan.total_length() };
            if self.advance(order, Stage::Working, Some(state)) {
                self.tell();
            }
        };
        tell(0);
        let mut told = Instant::now();
        let created = plan.hash(&order.cancel, |progress| {
            if told.elapsed() >= PROGRESS_PERIOD {
                told = Instant::now();
                tell(progress.hashed);
            }
        });
        Ok(created.map_err(explain)?.as_bytes().to_vec())
    }
}

/// A line that says what is wrong, and where in the share.
fn explain(mut error: CreateError, share: &Share) -> String {
    use CreateError as E;

    let left_out = match &error {
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
        None => format!("{error}{left_out}"),
    }
}

/// The path from the share on, so that nobody learns where that is.
fn from_share(path: &Path, share: &Path) -> PathBuf {
    let relative = path.strip_prefix(share).ok().filter(|relative| *relative != Path::new(""));
    let name = path.file_name().map(Path::new);
    relative.or(name).unwrap_or_else(|| Path::new("")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::Weak;

    use super::*;
    use crate::LibraryConfig;

    /// Longer than any test may take, and no bytes on disk.
    const ENDLESS: u64 = 1 << 40;

    fn maker() -> (tempfile::TempDir, Maker) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("course/week 1")).unwrap();
        fs::write(place.path().join("course/week 1/slides.pdf"), vec![7; 100_000]).unwrap();
        fs::write(place.path().join("course/notes.txt"), "notes").unwrap();
        fs::create_dir(place.path().join("empty")).unwrap();
        fs::write(place.path().join("empty/.hidden"), "x").unwrap();
        File::create(place.path().join("endless")).unwrap().set_len(ENDLESS).unwrap();
        let share = Share::open(place.path().to_owned()).unwrap();
        let maker = Maker::new(share, Library::open(LibraryConfig::default()).unwrap());
        (place, maker)
    }

    /// Waits until a making is at this.
    async fn until(maker: &Maker, id: u64, is_it: impl Fn(&MakeState) -> bool) -> MakeState {
        let mut changes = maker.changes();
        let wait = async {
            loop {
                let state = maker.making(id).unwrap().state;
                if is_it(&state) {
                    return state;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes to this")
    }

    fn is_over(state: &MakeState) -> bool {
        !matches!(state, MakeState::Waiting | MakeState::Hashing { .. })
    }

    fn is_hashing(state: &MakeState) -> bool {
        matches!(state, MakeState::Hashing { .. })
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
        let (_place, maker) = maker();
        let urls = ["http://192.168.1.10:6969/announce".to_owned(), "udp://192.168.1.10:6969".to_owned()];
        let making = maker.make("course", true, &urls).unwrap();
        assert_eq!(making, Making { id: 1, path: "course".to_owned(), state: MakeState::Waiting });
        let MakeState::Done { info_hash } = until(&maker, 1, is_over).await else { panic!("{:?}", maker.makings()) };

        let known = maker.shared().library.get(&info_hash).unwrap();
        assert_eq!((known.name.as_ref(), known.size), ("course", 100_005));
        assert_eq!(known.metainfo.trackers(), tiers(&urls));
        assert!(known.metainfo.info().private());
        let paths: Vec<_> = known.files().map(|file| file.path).collect();
        assert_eq!(paths, ["notes.txt", "week 1/slides.pdf"]);

        // A second one, by the thread that comes for it.
        let making = maker.make("course/notes.txt", false, &[]).unwrap();
        until(&maker, making.id, |state| matches!(state, MakeState::Done { .. })).await;
        assert_eq!(maker.makings().iter().map(|making| making.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(maker.shared().library.all().len(), 2);
    }

    #[tokio::test]
    async fn failures_say_why() {
        let (place, maker) = maker();
        for path in ["../course", "/etc/passwd", "nothing", "empty/.hidden"] {
            assert!(matches!(maker.make(path, false, &[]), Err(MakeError::Share(_))), "{path}");
        }
        let id = maker.make("empty", false, &[]).unwrap().id;
        let MakeState::Failed { error } = until(&maker, id, is_over).await else { panic!() };
        assert_eq!(
            error,
            "\"empty\" holds nothing to share (hidden files, links and what systems leave behind do not count)"
        );

        let id = maker.make("endless", false, &[]).unwrap().id;
        until(&maker, id, is_hashing).await;
        File::options().write(true).open(place.path().join("endless")).unwrap().set_len(5).unwrap();
        let MakeState::Failed { error } = until(&maker, id, is_over).await else { panic!() };
        assert_eq!(
            error,
            format!("\"endless\" changed while it was being hashed: it had {ENDLESS} bytes and has 5 now")
        );
        assert!(maker.shared().library.all().is_empty());
    }

    #[test]
    fn failures_do_not_say_where_the_share_is() {
        let (place, maker) = maker();
        let share = maker.share();
        let path = share.folder().join("course/notes.txt");
        let error = CreateError::Unreadable { path, source: io::ErrorKind::PermissionDenied.into() };
        assert_eq!(explain(error, share), "cannot read \"course/notes.txt\": permission denied");
        let name = place.path().file_name().unwrap();
        let error = CreateError::Empty { path: share.folder().to_owned(), skipped: Vec::new() };
        assert_eq!(explain(error, share), format!("{name:?} holds nothing to share"));
    }

    #[tokio::test]
    async fn progress_is_told() {
        let (_place, maker) = maker();
        let id = maker.make("endless", false, &[]).unwrap().id;
        let state = until(&maker, id, |state| matches!(state, MakeState::Hashing { hashed: 1.., .. })).await;
        assert!(matches!(state, MakeState::Hashing { total: ENDLESS, .. }), "{state:?}");
        assert!(maker.cancel(id));
    }

    #[tokio::test]
    async fn what_is_cancelled_makes_room() {
        let (_place, maker) = maker();
        let first = maker.make("endless", false, &[]).unwrap().id;
        until(&maker, first, is_hashing).await;
        let second = maker.make("endless", false, &[]).unwrap().id;
        let third = maker.make("course", false, &[]).unwrap().id;
        assert!(maker.cancel(second), "it waits");
        assert_eq!(maker.making(third).unwrap().state, MakeState::Waiting);

        assert!(maker.cancel(first), "it is being made");
        assert_eq!(maker.making(first).unwrap().state, MakeState::Cancelled);
        until(&maker, third, |state| matches!(state, MakeState::Done { .. })).await;
        for id in [first, second, third, 17] {
            assert!(!maker.cancel(id), "{id} is over");
        }
        assert_eq!(maker.making(first).unwrap().state, MakeState::Cancelled);
        assert_eq!(maker.making(second).unwrap().state, MakeState::Cancelled);
        assert_eq!(maker.shared().library.all().len(), 1);
    }

    #[tokio::test]
    async fn limits_are_kept() {
        let (_place, maker) = maker();
        for _ in 0..Maker::MAX_WAITING {
            maker.make("endless", false, &[]).unwrap();
        }
        let error = maker.make("endless", false, &[]).unwrap_err();
        assert!(matches!(error, MakeError::TooMany { .. }), "{error}");
        for making in maker.makings() {
            assert!(maker.cancel(making.id));
        }
        let mut last = 0;
        for _ in 0..Maker::MAX_OVER {
            last = maker.make("course", false, &[]).unwrap().id;
            until(&maker, last, is_over).await;
        }
        let makings = maker.makings();
        assert_eq!(makings.len(), Maker::MAX_OVER);
        assert_eq!(makings[0].id, last, "the newest first");
        assert!(maker.making(1).is_none());
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_maker() {
        let (_place, maker) = maker();
        let shared = Arc::downgrade(maker.shared());
        let (running, waiting) =
            (maker.make("endless", false, &[]).unwrap(), maker.make("endless", false, &[]).unwrap());
        until(&maker, running.id, is_hashing).await;
        assert_eq!(maker.making(waiting.id).unwrap().state, MakeState::Waiting);
        let clone = maker.clone();
        drop(maker);
        assert!(is_hashing(&clone.making(running.id).unwrap().state));
        drop(clone);
        assert!(ended(&shared));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_gives_its_name() {
        let (place, maker) = maker();
        std::os::unix::fs::symlink("course/notes.txt", place.path().join("today.txt")).unwrap();
        let id = maker.make("today.txt", false, &[]).unwrap().id;
        until(&maker, id, is_over).await;
        let names: Vec<_> = maker.shared().library.all().values().map(|known| Arc::clone(&known.name)).collect();
        assert_eq!(names, ["today.txt".into()]);
    }
}
