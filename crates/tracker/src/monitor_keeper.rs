//! Keeps the history of the plots and the lessons in the data folder, from one start to the next.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use torrent_library::replace_file;
use tracker_host::LogThrottle;
use tracker_monitor::{Observer, ParseSavedError, SavedLessons, SavedMonitor};

use crate::keeper_thread::{Finish, KeeperThread, chain};
use crate::kept_path::{LESSONS, MONITOR};

/// The time until it is saved for the first time, and between two times later on: twice as long each time.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(60);

/// The time between two times while downloads finish.
const SHORTEST: Duration = Duration::from_secs(2);

/// The part of the time for which it may be busy.
const BUSY_PART: u32 = 20;

/// How often it is looked whether a lesson has begun.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of a file that are read, at most. The monitor writes less than half of it.
const MAX_LEN: u64 = 128 << 20;

/// One line in that time says that nothing can be written.
static FAILURES: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// What the data folder has of the tracker before.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) monitor: SavedMonitor,
    pub(crate) lessons: SavedLessons,
    /// Files that were not read, and so must be renamed before others take their place.
    pub(crate) aside: Vec<Aside>,
}

/// A file, and the name under which it is to be kept.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
    name: PathBuf,
}

/// The state of the thread.
struct Keeper {
    monitor: PathBuf,
    lessons: PathBuf,
    aside: Vec<Aside>,
    observer: Observer,
    /// The number of the current lesson when those before it were written.
    saved_before: Option<u32>,
    due: Instant,
    interval: Duration,
    has_failed: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it is larger than {MAX_LEN} bytes")]
    TooLarge,
    #[error(transparent)]
    Parse(#[from] ParseSavedError),
}

/// A file cannot be written, or not be kept aside before that.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl Remembered {
    /// Reads what there is. What cannot be used is kept under another name before a file takes its place, and a line in the log says so.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut aside = Vec::new();
        Self {
            monitor: read_or_default(&folder.join(MONITOR), SavedMonitor::parse, &mut aside),
            lessons: read_or_default(&folder.join(LESSONS), SavedLessons::parse, &mut aside),
            aside,
        }
    }
}

/// Saves in this folder from now on what the observer knows: once a minute, when a lesson begins, soon after a computer has got a file,
/// and when the thread ends. `aside` is what must be [kept aside](Remembered::aside) first.
pub(crate) fn start(folder: &Path, observer: Observer, aside: Vec<Aside>) -> io::Result<KeeperThread> {
    let keeper = Keeper {
        monitor: folder.join(MONITOR),
        lessons: folder.join(LESSONS),
        aside,
        observer,
        saved_before: None,
        due: Instant::now() + FIRST_INTERVAL,
        interval: FIRST_INTERVAL,
        has_failed: false,
    };
    KeeperThread::spawn("monitor-keeper", move |ended| keeper.run(ended))
}

impl Keeper {
    fn run(mut self, ended: &Receiver<Finish>) {
        // The lessons before it are in their file, as far as there are any.
        let mut saved = self.observer.lessons().finished();
        let mut soonest = Instant::now();
        loop {
            match ended.recv_timeout(LOOK_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Finish) => return self.save(),
            }
            let (seen, start) = (self.observer.lessons().finished(), Instant::now());
            if seen.0 != saved.0 || seen.1 != saved.1 && start >= soonest || start >= self.due {
                saved = seen;
                self.save();
                let rest = start.elapsed() * BUSY_PART;
                self.interval = INTERVAL.min(self.interval * 2);
                (soonest, self.due) = (Instant::now() + SHORTEST.max(rest), Instant::now() + self.interval.max(rest));
            }
        }
    }

    fn save(&mut self) {
        match self.write() {
            Ok(()) => {
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("history and lessons are kept again");
                }
            }
            Err(error) => {
                self.has_failed = true;
                if FAILURES.allows().is_some() {
                    tracing::warn!(
                        error = %chain(&error),
                        "cannot keep history and lessons for the next start; the tracker serves on, and tries again"
                    );
                }
            }
        }
    }

    /// The lessons that have ended are looked at last and written first: a lesson is never lost, and one that is in both files has
    /// ended.
    fn write(&mut self) -> Result<(), WriteError> {
        while let Some(Aside { path, name }) = self.aside.last() {
            match fs::rename(path, name) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(WriteError { path: path.clone(), source });
                }
                _ => self.aside.pop(),
            };
        }
        let (monitor, lessons) = (self.observer.save(), self.observer.lessons());
        let current = lessons.current();
        if self.saved_before != Some(current) {
            write(&self.lessons, &lessons.save_past().to_json())?;
            self.saved_before = Some(current);
        }
        write(&self.monitor, &monitor.to_json())
    }
}

fn write(path: &Path, json: &[u8]) -> Result<(), WriteError> {
    let written = match json.len() as u64 > MAX_LEN {
        // It could not be read again.
        true => Err(io::Error::other(format!("it would have more than {MAX_LEN} bytes"))),
        false => replace_file(path, json),
    };
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}

fn read_or_default<T: Default>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, ParseSavedError>,
    aside: &mut Vec<Aside>,
) -> T {
    let fault = match read(path).and_then(|json| json.map(|json| Ok(parse(&json)?)).transpose()) {
        Ok(saved) => return saved.unwrap_or_default(),
        Err(fault) => fault,
    };
    let ending = match fault {
        Fault::Parse(ParseSavedError::Newer { .. }) => "newer",
        Fault::Read(_) => "unreadable",
        _ => "damaged",
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    tracing::warn!(
        file = %path.display(),
        error = %chain(&fault),
        "cannot use {}: {}; its history and lessons are not shown, and it is kept as {}",
        path.display(),
        chain(&fault),
        Path::new(&name).display()
    );
    aside.push(Aside { path: path.to_owned(), name: name.into() });
    T::default()
}

/// The bytes of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // Opening a named pipe may block forever.
        Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is not a file").into()),
        _ => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN { Err(Fault::TooLarge) } else { Ok(Some(bytes)) }
}
