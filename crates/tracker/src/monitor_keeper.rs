//! Keeps the history of the plots and the lessons in the data folder, from one start to the next.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracker_host::{HealthReport, LogThrottle};
use tracker_monitor::{Observer, SavedLessons, SavedMonitor};

use crate::json_file::{JsonFile, WriteJsonError};
use crate::keeper_thread::{Finish, KeeperThread, cause, chain};
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

/// One line in that time says that nothing can be written.
static FAILURES: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// What the data folder has of the tracker before.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) monitor: SavedMonitor,
    pub(crate) lessons: SavedLessons,
    pub(crate) files: MonitorFiles,
}

/// The files.
#[derive(Debug, Default)]
pub(crate) struct MonitorFiles {
    monitor: JsonFile,
    lessons: JsonFile,
}

/// The state of the thread.
struct Keeper {
    files: MonitorFiles,
    observer: Observer,
    /// The number of the current lesson when those before it were written.
    saved_before: Option<u32>,
    due: Instant,
    interval: Duration,
    has_failed: bool,
    health: HealthReport,
}

impl Remembered {
    /// Reads what there is. What cannot be used is kept under another name before a file takes its place, and a line in the log says so.
    pub(crate) fn read(folder: &Path) -> Self {
        const LOST: &str = "its history and lessons are not shown";
        let (monitor_file, monitor) = JsonFile::read(folder.join(MONITOR), LOST, SavedMonitor::parse);
        let (lessons_file, lessons) = JsonFile::read(folder.join(LESSONS), LOST, SavedLessons::parse);
        Self { monitor, lessons, files: MonitorFiles { monitor: monitor_file, lessons: lessons_file } }
    }
}

/// Saves in these files from now on what the observer knows: once a minute, when a lesson begins, soon after a computer has got a file,
/// and when the thread ends.
pub(crate) fn start(files: MonitorFiles, observer: Observer, health: HealthReport) -> io::Result<KeeperThread> {
    // The disk has all that there is. If the first attempt to write hangs, this gets old.
    health.saved();
    let keeper = Keeper {
        files,
        observer,
        saved_before: None,
        due: Instant::now() + FIRST_INTERVAL,
        interval: FIRST_INTERVAL,
        has_failed: false,
        health,
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
                self.health.saved();
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("history and lessons are kept again");
                }
            }
            Err(error) => {
                self.has_failed = true;
                self.health.failed(format!("history and lessons cannot be written to the disk: {}", cause(&error)));
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
    fn write(&mut self) -> Result<(), WriteJsonError> {
        let (monitor, lessons) = (self.observer.save(), self.observer.lessons());
        let current = lessons.current();
        if self.saved_before != Some(current) {
            self.files.lessons.write(&lessons.save_past().to_json())?;
            self.saved_before = Some(current);
        }
        self.files.monitor.write(&monitor.to_json())
    }
}
