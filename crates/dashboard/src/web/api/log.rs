//! The log.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tracing::Level;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Query, bad_request};
use crate::web::Dashboard;
use crate::web::attachment::download;
use crate::web::client::Client;
use crate::web::problem::Problem;
use tracker_host::unix_seconds;
use tracker_monitor::{LogBuffer, LogEntry as BufferedEntry, LogFilter as BufferFilter};

/// The maximum number of lines in a response.
const MAX_ENTRIES: usize = 1000;

/// The number of lines that are written at once.
const CHUNK: usize = 100;

/// The lines to return.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct LogFilter {
    /// Lines of this level and of more severe ones.
    #[serde(default)]
    #[param(inline, default = "info")]
    level: LogLevel,
    /// Lines about the torrent of this info-hash.
    info_hash: Option<String>,
    /// Lines about the file of the share folder with this key of 16 digits, and those about the torrent.
    content: Option<String>,
    /// Lines about the computer with this address or name, or a part of it; numbers in it are whole.
    computer: Option<String>,
    /// Lines whose address contains this.
    address: Option<String>,
    /// Lines whose message or address contains this, in either case.
    search: Option<String>,
    /// Lines with a larger id.
    #[serde(default)]
    #[param(default = 0)]
    pub(in crate::web) after: Option<u64>,
}

/// The number of lines to return.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogLimit {
    /// At most this many, the most recent ones.
    #[param(minimum = 1)]
    limit: Option<usize>,
}

/// The level of a line.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
}

/// Lines of the log, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Log {
    entries: Vec<LogEntry>,
    /// The id of the last line of the log, even if it is not among these: pass it as `after` to continue.
    last: u64,
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web) struct LogEntry {
    /// Counts up from 1. There is a gap where lines were dropped and earlier warnings were kept.
    id: u64,
    at: u64,
    level: LogLevel,
    /// The message.
    message: String,
    /// The torrent it is about.
    info_hash: Option<String>,
    /// The address it is about.
    address: Option<String>,
    /// Further fields, in order.
    fields: Vec<LogField>,
}

/// A field of a line of the log.
#[derive(Debug, Serialize, ToSchema)]
struct LogField {
    name: &'static str,
    value: String,
}

impl LogFilter {
    pub(in crate::web) fn to_filter(&self) -> Result<BufferFilter, Problem> {
        // A form sends what is left empty.
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let info_hash = given(&self.info_hash).map(|text| text.parse()).transpose();
        let info_hash = info_hash.map_err(|error: tracker_core::ParseInfoHashError| bad_request(error.to_string()))?;
        Ok(BufferFilter::default().with(|filter| {
            filter.level = match self.level {
                LogLevel::Error => Level::ERROR,
                LogLevel::Warn => Level::WARN,
                LogLevel::Info => Level::INFO,
            };
            filter.info_hash = info_hash;
            filter.content = given(&self.content);
            filter.computer = given(&self.computer);
            filter.address = given(&self.address);
            filter.text = given(&self.search);
        }))
    }
}

impl LogLimit {
    fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(default),
            Some(limit) if (1..=max).contains(&limit) => Ok(limit),
            Some(limit) => Err(bad_request(format!("limit is {limit}, but must be from 1 to {max}"))),
        }
    }
}

impl From<&BufferedEntry> for LogEntry {
    fn from(entry: &BufferedEntry) -> Self {
        Self {
            id: entry.id,
            at: unix_seconds(entry.at),
            level: match entry.level {
                Level::ERROR => LogLevel::Error,
                Level::WARN => LogLevel::Warn,
                // Less important ones cannot be asked for.
                _ => LogLevel::Info,
            },
            message: entry.message.clone(),
            info_hash: entry.info_hash.map(|info_hash| info_hash.to_string()),
            address: entry.address.clone(),
            fields: entry.fields.iter().map(|(name, value)| LogField { name, value: value.clone() }).collect(),
        }
    }
}

/// Lines of the log: the last 200 that match, or up to 1000 by `limit`.
#[utoipa::path(
    get,
    path = "/log",
    tag = "log",
    params(LogFilter, LogLimit),
    responses(
        (status = 200, body = Log),
        (status = 400, description = "Invalid filter", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn log(
    State(dashboard): State<Dashboard>,
    Query(filter): Query<LogFilter>,
    Query(limit): Query<LogLimit>,
) -> Result<Json<Log>, Problem> {
    let limit = limit.limit(200, MAX_ENTRIES)?;
    let (after, filter) = (filter.after.unwrap_or(0), filter.to_filter()?);
    let log = move |dashboard: &Dashboard| {
        let log_buffer = &dashboard.config().log_buffer;
        // Before the lines, so that none is missed by who goes on from there.
        let last = *log_buffer.changes().borrow();
        let entries = log_buffer.entries(&filter, after, limit);
        Log { entries: entries.iter().map(|entry| LogEntry::from(&**entry)).collect(), last }
    };
    Ok(Json(dashboard.run(log).await?))
}

/// The whole log that is kept, as one JSON object per line (<https://github.com/ndjson/ndjson-spec>).
///
/// It has the last 10,000 lines, and the last 1000 warnings and errors before them.
#[utoipa::path(
    get,
    path = "/log.ndjson",
    tag = "log",
    params(LogFilter, LogLimit),
    responses(
        (status = 200, description = "`LogEntry` per line", body = LogEntry, content_type = "application/x-ndjson"),
        (status = 400, description = "Invalid filter", body = Problem),
        (status = 503, description = "Too many downloads; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn log_ndjson(
    State(dashboard): State<Dashboard>,
    Query(filter): Query<LogFilter>,
    Query(limit): Query<LogLimit>,
    client: Client,
) -> Result<Response, Problem> {
    let max = LogBuffer::MAX_ENTRIES + LogBuffer::MAX_IMPORTANT;
    let limit = limit.limit(max, max)?;
    let (after, filter) = (filter.after.unwrap_or(0), filter.to_filter()?);
    let permit = dashboard.0.workload.large(client)?;
    let entries = dashboard.run(move |dashboard| dashboard.config().log_buffer.entries(&filter, after, limit)).await?;
    let mut entries = entries.into_iter();
    let chunks = std::iter::from_fn(move || {
        let chunk = ndjson(entries.by_ref().take(CHUNK));
        (!chunk.is_empty()).then(|| Bytes::from(chunk))
    });
    Ok(download("application/x-ndjson", "tracker-log.ndjson", permit.body(chunks)))
}

fn ndjson(entries: impl Iterator<Item = Arc<BufferedEntry>>) -> Vec<u8> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &LogEntry::from(&*entry))
            .expect("memory takes it, and it has only strings for keys");
        lines.push(b'\n');
    }
    lines
}
