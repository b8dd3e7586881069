//! Where log lines go and what they look like.

use std::env;
use std::io::{IsTerminal, stderr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogLevel};

/// The target of the lines with the announce URLs. They are written at every level: in JSON there is no other place for
/// what everybody who starts a tracker needs to know.
pub(crate) const ANNOUNCE_URL: &str = "tracker::announce_url";

/// Lines that may wait to be written. Those that come when there are so many are dropped and counted: whoever does not read
/// the log must not hold up those who are served, nor the end of the program.
const MAX_WAITING_LINES: usize = 1 << 16;

/// How long the end of the program waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The log. Lines that wait when it is dropped are still written, unless nobody reads them.
#[derive(Debug)]
pub(crate) struct Log {
    writer: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

impl Log {
    /// Counts the lines that were dropped until now.
    pub(crate) fn dropped(&self) -> ErrorCounter {
        self.dropped.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let writer = self.writer.take();
        let (done, written) = mpsc::channel::<()>();
        // Not on this thread: where the lines are too many to wait for, the writer says so on standard output, which may
        // have the same reader that does not read.
        let finish = move || {
            drop(writer);
            drop(done);
        };
        if thread::Builder::new().name("log-end".into()).spawn(finish).is_ok() {
            _ = written.recv_timeout(LAST_LINES);
        }
    }
}

/// From now on log lines are written to standard error, by a thread of its own.
///
/// Colours are for terminals only, and not where [`NO_COLOR`](https://no-color.org) is set.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> Log {
    let levels = Targets::new().with_default(level).with_target(ANNOUNCE_URL, LevelFilter::INFO);
    let (lines, writer) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(stderr());
    let log = Log { writer: Some(writer), dropped: lines.error_counter() };
    let registry = tracing_subscriber::registry().with(levels);
    let lines = fmt::layer().with_writer(lines);
    match format {
        LogFormat::Text => {
            let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            registry.with(lines.with_ansi(stderr().is_terminal() && !no_color).with_target(false)).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(lines).init();
        }
    }
    log
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
