//! The stream of events, as browsers follow it ([server-sent events]).
//!
//! Data is made when the viewer's connection takes it, of what is so then: of a viewer who is slow nothing queues up
//! here, and what was overtaken meanwhile is never made. What is the same for all viewers is made once.
//!
//! [server-sent events]: https://html.spec.whatwg.org/multipage/server-sent-events.html

use std::convert::Infallible;
use std::future::pending;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http_server::{ConnectionLimit, ConnectionPermit};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use utoipa::ToSchema;

use super::extract::Query;
use super::log::{LogEntry, LogFilter};
use super::makings::Makings;
use super::tracker::{Status, Tracker};
use crate::web::Dashboard;
use crate::web::access::Visitor;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::role::Role;
use tracker_host::ServiceState;
use tracker_monitor::{LogBuffer, LogFilter as BufferFilter};

/// The maximum number of viewers of the stream.
const MAX_VIEWERS: usize = 256;

/// The maximum number of viewers at one address. A browser opens one stream for each open page.
const MAX_PER_ADDRESS: usize = 16;

/// The number of streams that are reserved for this machine.
const RESERVED: usize = 16;

/// The maximum number of log lines that are sent at once. If there were more, the older ones are skipped.
const MAX_LINES: usize = 100;

/// The maximum number of lines for a viewer that resumes after a line.
const MAX_MISSED_LINES: usize = 1000;

/// The minimum pause between two batches of log lines: this and [`MAX_LINES`] bound the cost of a flood of them.
const LOG_PAUSE: Duration = Duration::from_millis(250);

/// The time without events after which a keep-alive is sent, so that either side notices that the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The time after which browsers reconnect, in milliseconds.
const RETRY_MS: u32 = 2000;

/// The state that all viewers share.
#[derive(Debug)]
pub(in crate::web) struct Streams {
    viewers: Arc<ConnectionLimit>,
    status: Shared<(tracker_core::Instant, ServiceState)>,
    makings: Shared<u64>,
}

impl Default for Streams {
    fn default() -> Self {
        let viewers = Arc::new(ConnectionLimit::new(MAX_VIEWERS, MAX_PER_ADDRESS, RESERVED));
        Self { viewers, status: Shared::default(), makings: Shared::default() }
    }
}

impl Streams {
    /// The current number of viewers.
    pub(in crate::web) fn viewers(&self) -> usize {
        self.viewers.used()
    }
}

/// An event that was made last, and of which version of what it tells.
#[derive(Debug)]
struct Shared<V>(Mutex<Option<(V, Bytes)>>);

impl<V> Default for Shared<V> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<V: PartialEq> Shared<V> {
    /// The event of this version, which the first who asks makes while others wait.
    fn of(&self, version: V, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, event)) if *of == version => event.clone(),
            _ => last.insert((version, make())).1.clone(),
        }
    }
}

/// Lines of the log that were not sent, since there were too many at once or they are forgotten already. They are between
/// these two, if they pass the filter at all.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Missed {
    /// The id of the last line that was sent, or passed over.
    after: u64,
    /// The id of the next line that is sent, or is to come. When it is a warning or an error that outlived others, more of
    /// them may be missing after it.
    before: u64,
}

/// The .torrent files that are known have changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TorrentsChanged {
    /// The number of them.
    known: usize,
}

/// Streams events, as server-sent events (`EventSource` in browsers):
///
/// - `status` once a second, and at the beginning: a `Status`;
/// - `tracker` when it is started or stopped, and at the beginning: a `Tracker`;
/// - `making` for operators when the state of a torrent in the making changes, and at the beginning if there is a share
///   folder: a `Makings`;
/// - `torrents` when a .torrent was registered or removed: a `TorrentsChanged`;
/// - `log` for each line of the log that passes the filter: a `LogEntry`, with its id as the event's;
/// - `missed` in place of lines of the log that were too many to be sent: a `Missed`.
///
/// The log starts after the line that `Last-Event-ID` or `after` names, otherwise now. A slow reader gets the state at the
/// time of reading and skips states in between, but not lines of the log.
#[utoipa::path(
    get,
    path = "/events",
    tag = "log",
    params(
        LogFilter,
        ("Last-Event-ID" = Option<u64>, Header, description = "What browsers send when they come back; before `after`"),
    ),
    responses(
        (
            status = 200,
            body = String,
            content_type = "text/event-stream",
            description = "Events without end",
        ),
        (status = 400, description = "Invalid filter", body = Problem),
        (status = 503, description = "Too many viewers follow already", body = Problem),
    )
)]
pub(super) async fn events(
    State(dashboard): State<Dashboard>,
    client: Client,
    visitor: Visitor,
    headers: HeaderMap,
    Query(filter): Query<LogFilter>,
) -> Result<Response, Problem> {
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = last_event_id.or(filter.after);
    let filter = filter.to_filter()?;
    let permit = dashboard.0.streams.viewers.acquire(client.group, client.is_this_machine).map_err(|_| {
        let why = format!(
            "too many follow the events already, {MAX_PER_ADDRESS} from your address or {MAX_VIEWERS} in all: close a page \
             of the dashboard, or try again later"
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let viewer = Viewer::new(dashboard, visitor, filter, after, permit);
    let events = stream::unfold(viewer, async |mut viewer| Some((Ok::<_, Infallible>(viewer.next().await?), viewer)));
    // The second keeps proxies such as nginx from collecting events.
    let headers = [(CONTENT_TYPE, "text/event-stream"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// A viewer of the stream.
struct Viewer {
    dashboard: Dashboard,
    visitor: Visitor,
    filter: BufferFilter,
    /// The last line of the log that was sent or passed over; at first the last that the viewer has.
    last_line: u64,
    /// The events that are sent first.
    greeting: Option<Vec<u8>>,
    ticks: watch::Receiver<tracker_core::Instant>,
    service: watch::Receiver<ServiceState>,
    library: watch::Receiver<u64>,
    /// Only operators see what is in the share folder.
    makings: Option<watch::Receiver<u64>>,
    log: watch::Receiver<u64>,
    /// Before that no line of the log is sent.
    log_due: Instant,
    _permit: ConnectionPermit,
}

/// The kinds of news.
enum News {
    Status,
    Tracker,
    Torrents,
    Makings,
    Log,
    Nothing,
}

impl Viewer {
    fn new(
        dashboard: Dashboard,
        visitor: Visitor,
        filter: BufferFilter,
        after: Option<u64>,
        permit: ConnectionPermit,
    ) -> Self {
        let config = dashboard.config();
        let log = config.log_buffer.changes();
        let newest = *log.borrow();
        let mut viewer = Self {
            ticks: config.observer.ticks(),
            service: config.service.changes(),
            library: config.library.changes(),
            makings: config
                .torrent_jobs
                .as_ref()
                .filter(|_| visitor.role == Role::Operator)
                .map(torrent_library::TorrentJobs::changes),
            log,
            log_due: Instant::now(),
            filter,
            // A log that is shorter is another one: the program was started anew.
            last_line: after.map_or(newest, |after| if after > newest { 0 } else { after }),
            greeting: None,
            _permit: permit,
            visitor,
            dashboard,
        };
        let mut greeting = format!("retry: {RETRY_MS}\n\n").into_bytes();
        greeting.extend(viewer.tell(News::Tracker));
        greeting.extend(viewer.tell(News::Status));
        if viewer.makings.is_some() {
            greeting.extend(viewer.tell(News::Makings));
        }
        if after.is_some() {
            greeting.extend(viewer.lines(MAX_MISSED_LINES));
        }
        viewer.greeting = Some(greeting);
        viewer
    }

    /// The next events, as soon as there are some. `None` once the viewer is signed out.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting.into());
        }
        loop {
            let news = self.news().await;
            self.dashboard.look_at_accounts();
            if self.visitor.is_over(&self.dashboard) {
                return None;
            }
            let events = self.tell(news);
            // Lines may all be about something else.
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    async fn news(&mut self) -> News {
        let log = async {
            sleep_until(self.log_due).await;
            self.log.changed().await
        };
        let makings = async {
            match &mut self.makings {
                Some(makings) => makings.changed().await,
                None => pending().await,
            }
        };
        // What can change no more is not waited for.
        tokio::select! {
            Ok(()) = self.ticks.changed() => News::Status,
            Ok(()) = self.service.changed() => News::Tracker,
            Ok(()) = self.library.changed() => News::Torrents,
            Ok(()) = makings => News::Makings,
            Ok(()) = log => News::Log,
            () = sleep(KEEP_ALIVE) => News::Nothing,
        }
    }

    fn tell(&mut self, news: News) -> Bytes {
        let streams = &self.dashboard.0.streams;
        match news {
            News::Status => {
                let version = (*self.ticks.borrow_and_update(), self.dashboard.config().service.state());
                streams.status.of(version, || event("status", &Status::of(&self.dashboard)))
            }
            News::Tracker => {
                self.service.mark_unchanged();
                event("tracker", &Tracker::from(self.dashboard.config().service.state()))
            }
            News::Torrents => {
                event("torrents", &TorrentsChanged { known: self.dashboard.config().library.all().len() })
            }
            News::Makings => {
                let version = self.makings.as_mut().map_or(0, |makings| *makings.borrow_and_update());
                streams.makings.of(version, || event("making", &Makings::of(&self.dashboard)))
            }
            News::Log => {
                self.log_due = Instant::now() + LOG_PAUSE;
                self.lines(MAX_LINES).into()
            }
            News::Nothing => Bytes::from_static(b":\n\n"),
        }
    }

    /// The last lines of the log that were not sent yet.
    fn lines(&mut self, limit: usize) -> Vec<u8> {
        let newest = *self.log.borrow_and_update();
        // One more tells whether there are more.
        let mut entries = self.dashboard.config().log_buffer.entries(&self.filter, self.last_line, limit + 1);
        let are_too_many = entries.len() > limit;
        let are_forgotten = newest - self.last_line.min(newest) > LogBuffer::MAX_ENTRIES as u64;
        let mut events = Vec::new();
        if are_too_many {
            entries.remove(0);
        }
        if are_too_many || are_forgotten {
            let before = entries.first().map_or(newest + 1, |entry| entry.id);
            write_event(&mut events, "missed", &Missed { after: self.last_line, before });
        }
        self.last_line = entries.last().map_or(newest, |entry| entry.id.max(newest));
        for entry in entries {
            writeln!(events, "id: {}", entry.id).expect("memory takes it");
            write_event(&mut events, "log", &LogEntry::from(&*entry));
        }
        events
    }
}

fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut event = Vec::new();
    write_event(&mut event, name, data);
    event.into()
}

/// JSON has no line breaks but escaped ones, so that it is one line of data.
fn write_event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    write!(out, "event: {name}\ndata: ").expect("memory takes it");
    serde_json::to_writer(&mut *out, data).expect("memory takes it, and it has only strings for keys");
    out.extend_from_slice(b"\n\n");
}
