//! Where log lines go and what they look like.

use std::env;
use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

use crate::settings::{LogFormat, LogLevel};

/// From now on log lines are written to standard error.
///
/// Colours are for terminals only, and not where [`NO_COLOR`](https://no-color.org) is set.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr);
    match format {
        LogFormat::Text => {
            let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            builder.with_ansi(stderr().is_terminal() && !no_color).with_target(false).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
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
