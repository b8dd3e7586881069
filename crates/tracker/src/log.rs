//! The log: where it goes, and its format.

use std::fmt::Debug;
use std::io::{self, Write, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::MultiProgress;
use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Layer as _;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracker::PAGE_LOG;
use tracker_monitor::LogBuffer;

use crate::settings::{LogFormat, LogLevel};
use crate::terminal::Terminal;

/// The target of the lines with the announce URLs. They are written at every level: with `--log-format json` the log is the
/// only place where the operator sees them.
pub(crate) const ANNOUNCE_URL: &str = "tracker::announce_url";

/// The target of the lines with the dashboard's URLs, likewise. They are left out of the log on the dashboard, since viewers
/// must not see the token.
pub(crate) const DASHBOARD_URL: &str = "tracker::dashboard_url";

/// The maximum number of lines that wait to be written. Further lines are dropped and counted: a reader that does not read the
/// log must block neither the servers nor the end of the program.
const MAX_WAITING_LINES: usize = 1 << 16;

/// The time that the program waits at its end for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The log. When it is dropped, the lines that wait are still written, unless nobody reads them.
#[derive(Debug)]
pub(crate) struct Log {
    writer: Option<WorkerGuard>,
    dropped: DroppedLines,
    filter: LevelFilterHandle,
}

/// Changes the lines that are written.
struct LevelFilterHandle(Box<dyn Fn(Targets) -> Result<(), reload::Error> + Send + Sync>);

impl Debug for LevelFilterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LevelFilterHandle")
    }
}

impl Log {
    /// The count of the lines that were dropped so far.
    pub(crate) fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }

    /// Writes the lines of another level from now on.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only SIGHUP changes it"))]
    pub(crate) fn set_level(&self, level: LogLevel) {
        if let Err(error) = (self.filter.0)(levels(level)) {
            tracing::warn!(%error, "the log level stays as it was");
        }
    }
}

/// Lines that were dropped: since too many waited, or since they could not be written.
#[derive(Debug, Clone)]
pub(crate) struct DroppedLines {
    waiting: ErrorCounter,
    unwritten: Arc<AtomicUsize>,
}

impl DroppedLines {
    pub(crate) fn count(&self) -> usize {
        self.waiting.dropped_lines() + self.unwritten.load(Ordering::Relaxed)
    }
}

/// A writer that counts the lines that it cannot write, as on a full disk, and goes on. Lines that change in place stay below.
#[derive(Debug)]
struct CountingWriter<W> {
    writer: W,
    unwritten: Arc<AtomicUsize>,
    progress: MultiProgress,
}

impl<W: Write> Write for CountingWriter<W> {
    /// Takes a whole line, written or not.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.progress.suspend(|| self.writer.write_all(line)).is_err() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let writer = self.writer.take();
        let (done, written) = mpsc::channel::<()>();
        // Not on this thread: if too many lines wait, the writer prints a message to standard output, which may have the same
        // reader that does not read.
        let finish = move || {
            drop(writer);
            drop(done);
        };
        if thread::Builder::new().name("log-end".into()).spawn(finish).is_ok() {
            _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// Starts the log: lines are written to standard error, by a thread of its own. Lines at level info and above also go to the
/// buffer of the dashboard, if there is one. They are written above the lines of `progress`.
///
/// Text has local times, as the dashboard has, and colours on terminals only, unless [`NO_COLOR`](https://no-color.org) is set
/// or the terminal is a dumb one. JSON has UTC.
pub(crate) fn start(
    format: LogFormat,
    level: LogLevel,
    log_buffer: Option<&LogBuffer>,
    progress: MultiProgress,
) -> Log {
    let (levels, filter) = reload::Layer::new(levels(level));
    let log_buffer = log_buffer.map(|log_buffer| log_buffer.layer().with_filter(of_log_buffer()));
    let unwritten = Arc::default();
    let (lines, writer) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(CountingWriter { writer: stderr(), unwritten: Arc::clone(&unwritten), progress });
    let filter = LevelFilterHandle(Box::new(move |levels| filter.reload(levels)));
    let log = Log { writer: Some(writer), dropped: DroppedLines { waiting: lines.error_counter(), unwritten }, filter };
    let registry = tracing_subscriber::registry().with(log_buffer);
    let lines = fmt::layer().with_writer(lines);
    match format {
        LogFormat::Text => {
            let colors = Terminal::of(&stderr()) == Terminal::Colors;
            let lines = lines.with_ansi(colors).with_target(false).with_timer(local_time as fn(&mut Writer<'_>) -> _);
            let lines = lines.fmt_fields(Sentences::default());
            registry.with(lines.with_filter(levels)).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(lines.with_filter(levels)).init();
        }
    }
    log
}

fn local_time(writer: &mut Writer<'_>) -> std::fmt::Result {
    write!(writer, "{}", Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
}

/// Writes the fields of a line of text. Of an event of computers and files, which has a name in the field `event` for programs,
/// it writes the sentence alone.
#[derive(Debug, Default)]
struct Sentences(DefaultFields);

impl<'w> FormatFields<'w> for Sentences {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> std::fmt::Result {
        let mut event = EventFields::default();
        fields.record(&mut event);
        match event {
            EventFields { has_name: true, sentence: Some(sentence) } => writer.write_str(&sentence),
            _ => self.0.format_fields(writer, fields),
        }
    }
}

/// The fields that make a line one of an event.
#[derive(Debug, Default)]
struct EventFields {
    has_name: bool,
    sentence: Option<String>,
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "event" => self.has_name = true,
            "message" => self.sentence = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

/// The lines that are written at a level: operators need those about URLs in any case.
fn levels(level: LogLevel) -> Targets {
    let urls = [ANNOUNCE_URL, DASHBOARD_URL, PAGE_LOG].map(|target| (target, LevelFilter::INFO));
    Targets::new().with_default(level).with_targets(urls)
}

fn of_log_buffer() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target(DASHBOARD_URL, LevelFilter::OFF)
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use indicatif::ProgressDrawTarget;
    use tracing::Level;
    use tracker_monitor::LogFilter;

    use super::*;

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let unwritten = Arc::default();
        // As on a full disk.
        let progress = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut writer = CountingWriter { writer: &mut [0; 8][..], unwritten: Arc::clone(&unwritten), progress };
        for line in ["line 1\n", "line 2\n", "line 3\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(unwritten.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn events_are_sentences_and_other_lines_have_their_fields() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = written.clone();
        let writer = move || Written(Arc::clone(&lines));
        let layer = fmt::layer().with_writer(writer).with_ansi(false).without_time().with_target(false);
        let subscriber = tracing_subscriber::registry().with(layer.fmt_fields(Sentences::default()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(event = "peer_joined", address = "10.0.0.7:6881", "lab-07 began lecture.mp4");
            tracing::info!(address = "10.0.0.7:6881", "serving the dashboard");
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines, ["INFO lab-07 began lecture.mp4", "INFO serving the dashboard address=\"10.0.0.7:6881\""]);
    }

    /// What was written to it.
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_about_urls_are_written_at_every_level() {
        let levels = levels(LogLevel::Error);
        for target in [ANNOUNCE_URL, DASHBOARD_URL, PAGE_LOG] {
            assert!(levels.would_enable(target, &Level::INFO), "{target}");
        }
        assert!(!levels.would_enable("tracker::follower", &Level::WARN));
    }

    #[test]
    fn the_token_does_not_get_into_the_log_buffer() {
        let log_buffer = LogBuffer::new();
        let subscriber = tracing_subscriber::registry().with(log_buffer.layer().with_filter(of_log_buffer()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: DASHBOARD_URL, url = "http://lab-pc:6970/?token=secret", "dashboard URL");
            tracing::info!(target: ANNOUNCE_URL, url = "http://lab-pc:6969/announce", "announce URL");
            tracing::debug!("a detail");
        });
        let all = LogFilter::default().with(|filter| filter.level = Level::TRACE);
        let messages: Vec<_> = log_buffer.entries(&all, 0, 10).iter().map(|entry| entry.message.clone()).collect();
        assert_eq!(messages, ["announce URL"]);
    }
}
