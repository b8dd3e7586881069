//! Where log lines go and what they look like.

use std::env;
use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogLevel};

/// The target of the lines with the announce URLs. They are written at every level: in JSON there is no other place for
/// what everybody who starts a tracker needs to know.
pub(crate) const ANNOUNCE_URL: &str = "tracker::announce_url";

/// From now on log lines are written to standard error.
///
/// Colours are for terminals only, and not where [`NO_COLOR`](https://no-color.org) is set.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let levels = Targets::new().with_default(level).with_target(ANNOUNCE_URL, LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(levels);
    let lines = fmt::layer().with_writer(stderr);
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
