//! The last log lines, for the dashboard.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use torrent_library::OPERATOR_LOG;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;
use tracker_core::InfoHash;

use crate::event_log::TARGET;

/// The last log lines of the program, at most [`MAX_ENTRIES`](Self::MAX_ENTRIES), and of older ones the last warnings and
/// errors, at most [`MAX_IMPORTANT`](Self::MAX_IMPORTANT). Cheap to clone; all clones are one.
///
/// It is filled by its [`layer`](Self::layer), so that the page shows the same lines as the log, except those with the target
/// [`OPERATOR_LOG`]: viewers read it, too. Long values are cut, so that all
/// lines take a few megabytes usually, and at most 45 MB.
#[derive(Debug, Clone)]
pub struct LogBuffer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<Lines>,
    changed: watch::Sender<u64>,
    /// The second of the last line about a peer, the lines in that second, and those that were left out and not yet reported.
    second: AtomicU64,
    in_second: AtomicU64,
    left_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Lines {
    /// Their ids count up by one.
    entries: VecDeque<Arc<LogEntry>>,
    /// Warnings and errors that were among them.
    important: VecDeque<Arc<LogEntry>>,
    /// The id of the last.
    last: u64,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its id; ids count up from 1. There is a gap where older lines were forgotten and warnings among them were not.
    pub id: u64,
    /// The time.
    pub at: SystemTime,
    /// Its level.
    pub level: Level,
    /// The message.
    pub message: String,
    /// The torrent that it is about, from the field `info_hash`.
    pub info_hash: Option<InfoHash>,
    /// The address that it is about, from the field `address` or `remote`.
    pub address: Option<String>,
    /// All other fields, in their order.
    pub fields: Vec<(&'static str, String)>,
}

/// A choice of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFilter {
    /// Lines of this level and of more severe ones.
    pub level: Level,
    /// Lines about this torrent, or about the content below.
    pub info_hash: Option<InfoHash>,
    /// Lines with this value in the field `content`: about a file of the share folder, which may have no torrent yet.
    pub content: Option<String>,
    /// Lines whose address contains this.
    pub address: Option<String>,
    /// Lines about the computer with this address; or with this in the message or the address, in either case, in which numbers
    /// are whole: `lab-1` is no part of `lab-10`.
    pub computer: Option<String>,
    /// Lines whose message or address contains this, in either case.
    pub text: Option<String>,
}

/// Fills a [`LogBuffer`] from `tracing`.
#[derive(Debug)]
struct BufferLayer(LogBuffer);

/// Leaves out lines for operators only, and limits the lines about peers, before a line is formatted, since formatting is the
/// cost.
#[derive(Debug)]
struct Budget {
    buffer: LogBuffer,
    now: fn() -> SystemTime,
}

impl LogBuffer {
    /// The maximum number of lines. Older ones are forgotten, unless they are warnings or errors.
    pub const MAX_ENTRIES: usize = 10_000;

    /// The maximum number of older warnings and errors.
    pub const MAX_IMPORTANT: usize = 1000;

    /// The maximum size of a message in bytes.
    pub const MAX_MESSAGE: usize = 1000;

    /// The maximum size of the value of a field in bytes.
    pub const MAX_VALUE: usize = 200;

    /// The maximum number of fields of a line, not counting those with a member of their own.
    pub const MAX_FIELDS: usize = 12;

    /// An empty buffer.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            lines: Mutex::default(),
            changed: watch::Sender::new(0),
            second: AtomicU64::new(0),
            in_second: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }))
    }

    /// The maximum number of lines about peers in a second, since nobody reads more. Other lines are not limited. A line says how
    /// many were left out.
    pub const MAX_PER_SECOND: u64 = 500;

    /// The layer for `tracing` that fills it.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> {
        self.layer_at(SystemTime::now)
    }

    fn layer_at<S: Subscriber + for<'s> LookupSpan<'s>>(&self, now: fn() -> SystemTime) -> impl Layer<S> {
        BufferLayer(self.clone()).with_filter(Budget { buffer: self.clone(), now })
    }

    /// The last `limit` lines that pass the filter and have a larger id than `after`, oldest first.
    pub fn entries(&self, filter: &LogFilter, after: u64, limit: usize) -> Vec<Arc<LogEntry>> {
        // Copied first, so that writers do not wait while lines are filtered.
        let later = self.lines().after(after);
        last(later.into_iter().rev().filter(|entry| filter.passes(entry)), limit)
    }

    /// The last `limit` lines that pass the filter and have a smaller id than `before`, if it is given, oldest first.
    pub fn entries_before(&self, filter: &LogFilter, before: Option<u64>, limit: usize) -> Vec<Arc<LogEntry>> {
        let all = self.lines().after(0);
        let is_before = |entry: &Arc<LogEntry>| before.is_none_or(|before| entry.id < before);
        last(all.into_iter().rev().filter(|entry| is_before(entry) && filter.passes(entry)), limit)
    }

    /// The id of the last line, as it changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Returns `true` if there is room for one more line about a peer at this time. If not, it counts as left out.
    fn has_room(&self, now: SystemTime) -> bool {
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.0.second.swap(second, Ordering::Relaxed) != second {
            self.0.in_second.store(0, Ordering::Relaxed);
        }
        let has_room = self.0.in_second.fetch_add(1, Ordering::Relaxed) < Self::MAX_PER_SECOND;
        if !has_room {
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    fn push(&self, mut entry: LogEntry) {
        let id = {
            let mut lines = self.lines();
            lines.last += 1;
            entry.id = lines.last;
            lines.entries.push_back(Arc::new(entry));
            lines.forget();
            lines.last
        };
        // Another thread's later line may have come first.
        self.0.changed.send_if_modified(|last| {
            let is_later = id > *last;
            *last = id.max(*last);
            is_later
        });
    }

    /// A thread that panicked here has left nothing half-done.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LogBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    fn after(&self, id: u64) -> Vec<Arc<LogEntry>> {
        let later = usize::try_from(self.last.saturating_sub(id)).unwrap_or(usize::MAX).min(self.entries.len());
        let important = self.important.partition_point(|entry| entry.id <= id);
        let important = self.important.range(important..);
        important.chain(self.entries.range(self.entries.len() - later..)).cloned().collect()
    }

    /// Forgets what there is one too many of.
    fn forget(&mut self) {
        if self.entries.len() <= LogBuffer::MAX_ENTRIES {
            return;
        }
        self.important.extend(self.entries.pop_front().filter(|oldest| oldest.level < Level::INFO));
        if self.important.len() > LogBuffer::MAX_IMPORTANT {
            self.important.pop_front();
        }
    }
}

/// All lines but those for developers.
impl Default for LogFilter {
    fn default() -> Self {
        Self { level: Level::INFO, info_hash: None, content: None, address: None, computer: None, text: None }
    }
}

impl LogFilter {
    /// This filter with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns `true` if the line is one of those that the filter asks for.
    pub fn passes(&self, entry: &LogEntry) -> bool {
        let is_at = |part: &String| entry.address.as_ref().is_some_and(|address| address.contains(part));
        entry.level <= self.level
            && self.is_about_file(entry)
            && self.address.as_ref().is_none_or(is_at)
            && self.computer.as_ref().is_none_or(|computer| entry.is_about_computer(computer))
            && self.text.as_ref().is_none_or(|text| entry.contains(text))
    }

    fn is_about_file(&self, entry: &LogEntry) -> bool {
        let is_of_torrent = self.info_hash.is_some() && self.info_hash == entry.info_hash;
        let is_of_content =
            |content: &String| entry.fields.iter().any(|(name, value)| *name == "content" && value == content);
        (self.info_hash.is_none() && self.content.is_none())
            || is_of_torrent
            || self.content.as_ref().is_some_and(is_of_content)
    }
}

impl<S: Subscriber> Filter<S> for Budget {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        if metadata.target() == OPERATOR_LOG {
            return false;
        }
        let tells_of_peer = metadata.target() == TARGET && *metadata.level() >= Level::INFO;
        !tells_of_peer || self.buffer.has_room((self.now)())
    }
}

impl LogEntry {
    /// Returns `true` if its message or its address has this text in it, in either case.
    fn contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let address = self.address.as_deref().unwrap_or_default();
        [&*self.message, address].iter().any(|part| part.to_lowercase().contains(&text))
    }

    fn is_about_computer(&self, computer: &str) -> bool {
        let ip = |text: &str| {
            let socket = text.parse().map(|address: SocketAddr| address.ip());
            socket.or_else(|_| text.parse()).map(|ip| ip.to_canonical()).ok()
        };
        let address = self.address.as_deref().unwrap_or_default();
        if let Some(wanted) = ip(computer) {
            let words = self.message.split(|letter: char| !letter.is_alphanumeric() && !".:".contains(letter));
            let trimmed = words.map(|word| word.trim_end_matches(['.', ':']));
            return trimmed.chain([address]).any(|word| ip(word) == Some(wanted));
        }
        let computer = computer.to_lowercase();
        [&*self.message, address].iter().any(|text| contains_whole_numbers(&text.to_lowercase(), &computer))
    }

    fn new(level: Level) -> Self {
        Self {
            id: 0,
            at: SystemTime::now(),
            level,
            message: String::new(),
            info_hash: None,
            address: None,
            fields: Vec::new(),
        }
    }
}

/// Returns `true` if a text has a part in it, without cutting off a number at an end of it.
fn contains_whole_numbers(text: &str, part: &str) -> bool {
    let is_cut = |a: Option<char>, b: Option<char>| [a, b].iter().all(|letter| letter.is_some_and(char::is_numeric));
    let (first, last) = (part.chars().next(), part.chars().next_back());
    text.match_indices(part).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + part.len()..]);
        !is_cut(before.chars().next_back(), first) && !is_cut(last, after.chars().next())
    })
}

impl<S: Subscriber> Layer<S> for BufferLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let left_out = self.0.0.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            let message = format!("{left_out} lines came too fast to be shown here");
            // Not a warning: in a flood it comes every second.
            self.0.push(LogEntry { message, ..LogEntry::new(Level::INFO) });
        }
        let mut entry = LogEntry::new(*event.metadata().level());
        event.record(&mut Recorder(&mut entry));
        self.0.push(entry);
    }
}

/// Takes the fields of a line apart.
struct Recorder<'e>(&'e mut LogEntry);

impl Recorder<'_> {
    fn record(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let Self(entry) = self;
        match field.name() {
            "message" => entry.message = text(value, LogBuffer::MAX_MESSAGE),
            "address" | "remote" if entry.address.is_none() => entry.address = Some(text(value, LogBuffer::MAX_VALUE)),
            "info_hash" if entry.info_hash.is_none() => {
                let value = text(value, LogBuffer::MAX_VALUE);
                match value.parse() {
                    Ok(info_hash) => entry.info_hash = Some(info_hash),
                    Err(_) => entry.fields.push(("info_hash", value)),
                }
            }
            name if entry.fields.len() < LogBuffer::MAX_FIELDS => {
                entry.fields.push((name, text(value, LogBuffer::MAX_VALUE)));
            }
            _ => {}
        }
    }
}

impl Visit for Recorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, format_args!("{value}"));
    }
}

/// The first so many of these entries, in the opposite order.
fn last(entries: impl Iterator<Item = Arc<LogEntry>>, limit: usize) -> Vec<Arc<LogEntry>> {
    let mut entries: Vec<_> = entries.take(limit).collect();
    entries.reverse();
    entries
}

/// The beginning of a text, so many bytes at most.
fn text(value: fmt::Arguments<'_>, limit: usize) -> String {
    let mut beginning = Beginning { text: String::new(), limit };
    // An error says that the rest is not wanted, or not to be had.
    _ = beginning.write_fmt(value);
    beginning.text
}

/// Takes no more than there is room for, also from a value that would go on for long.
struct Beginning {
    text: String,
    limit: usize,
}

impl Write for Beginning {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        const CUT: &str = "…";
        if self.text.len() + part.len() <= self.limit {
            self.text.push_str(part);
            return Ok(());
        }
        let room = self.limit - CUT.len();
        self.text.truncate(self.text.floor_char_boundary(room));
        self.text.push_str(&part[..part.floor_char_boundary(room - self.text.len())]);
        self.text.push_str(CUT);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use tracing::{debug, error, info, trace, warn};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    const ALL: LogFilter =
        LogFilter { level: Level::TRACE, info_hash: None, content: None, address: None, computer: None, text: None };

    fn journal(write: impl FnOnce()) -> LogBuffer {
        let journal = LogBuffer::new();
        tracing::subscriber::with_default(registry().with(journal.layer()), write);
        journal
    }

    fn messages(entries: &[Arc<LogEntry>]) -> Vec<&str> {
        entries.iter().map(|entry| &*entry.message).collect()
    }

    #[test]
    fn lines_are_taken_apart() {
        let info_hash = InfoHash::new([0xab; 20]);
        let journal = journal(|| {
            info!(%info_hash, address = "10.0.0.7:6881", client = Some("aria2"), nobody = None::<u8>, seeders = 3, "joined");
            warn!(remote = ?[1, 2], info_hash = "none", error = %fmt::Error, "a <{}>", "b");
            error!(ratio = 0.5, is = true);
        });
        let entries = journal.entries(&ALL, 0, 10);
        let fields = |entry: &LogEntry| -> Vec<_> {
            entry.fields.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(messages(&entries), ["joined", "a <b>", ""]);
        assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries[0].info_hash, Some(info_hash));
        assert_eq!(entries[0].address.as_deref(), Some("10.0.0.7:6881"));
        assert_eq!(fields(&entries[0]), ["client=aria2", "seeders=3"]);
        assert_eq!((entries[1].level, entries[1].info_hash), (Level::WARN, None));
        assert_eq!(entries[1].address.as_deref(), Some("[1, 2]"));
        assert_eq!(fields(&entries[1])[0], "info_hash=none");
        assert_eq!(fields(&entries[2]), ["ratio=0.5", "is=true"]);
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = "ä".repeat(10_000);
        let journal = journal(|| {
            info!(exact = "x".repeat(LogBuffer::MAX_VALUE), more = "x".repeat(LogBuffer::MAX_VALUE + 1), "{long}!");
            info!(a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0, k = 0, l = 0, m = 0, n = 0);
        });
        let [first, second] = &journal.entries(&ALL, 0, 10)[..] else { panic!("there are two") };
        assert_eq!(first.message, format!("{}…", "ä".repeat((LogBuffer::MAX_MESSAGE - 3) / 2)));
        assert_eq!(first.fields[0].1, "x".repeat(LogBuffer::MAX_VALUE));
        assert_eq!(first.fields[1].1, format!("{}…", "x".repeat(LogBuffer::MAX_VALUE - 3)));
        assert_eq!(second.fields.len(), LogBuffer::MAX_FIELDS);
    }

    #[test]
    fn lines_are_found() {
        let [a, b] = [1, 2].map(|byte| InfoHash::new([byte; 20]));
        let journal = journal(|| {
            info!(info_hash = %a, address = "10.0.0.7:1", "one");
            debug!(info_hash = %a, "two");
            warn!(info_hash = %b, remote = "10.0.0.8:1", "three");
            trace!("four");
            info!("five");
        });
        let found = |filter: LogFilter| -> Vec<String> {
            journal.entries(&filter, 0, 10).iter().map(|entry| entry.message.clone()).collect()
        };
        assert_eq!(found(LogFilter::default()), ["one", "three", "five"]);
        assert_eq!(found(LogFilter { level: Level::WARN, ..ALL }), ["three"]);
        assert_eq!(found(LogFilter { level: Level::ERROR, ..ALL }), [""; 0]);
        assert_eq!(found(LogFilter { info_hash: Some(a), ..ALL }), ["one", "two"]);
        assert_eq!(found(LogFilter { address: Some("0.0.".to_owned()), ..ALL }), ["one", "three"]);
        assert_eq!(found(LogFilter { address: Some("0.0.8".to_owned()), ..ALL }), ["three"]);
        assert_eq!(messages(&journal.entries(&ALL, 0, 2)), ["four", "five"]);
        assert_eq!(messages(&journal.entries(&ALL, 3, 10)), ["four", "five"]);
        let about = |computer: &str| found(LogFilter { computer: Some(computer.to_owned()), ..ALL });
        assert_eq!(about("THRE"), ["three"]);
        assert_eq!(found(LogFilter { text: Some("THRE".to_owned()), ..ALL }), ["three"]);
        assert_eq!(found(LogFilter { text: Some("10.0.0.7".to_owned()), ..ALL }), ["one"]);
        assert_eq!(messages(&journal.entries(&LogFilter::default(), 1, 1)), ["five"]);
        assert_eq!(messages(&journal.entries_before(&LogFilter::default(), None, 2)), ["three", "five"]);
        assert_eq!(messages(&journal.entries_before(&LogFilter::default(), Some(5), 1)), ["three"]);
        for after in [5, 6, u64::MAX] {
            assert_eq!(journal.entries(&ALL, after, 10), []);
        }
        assert_eq!(journal.entries(&ALL, 0, 0), []);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let count = LogBuffer::MAX_ENTRIES as u64 + 10;
        let journal = journal(|| (1..=count).for_each(|number| info!("{number}")));
        let entries = journal.entries(&ALL, 0, usize::MAX);
        assert_eq!(entries.len(), LogBuffer::MAX_ENTRIES);
        for entry in &entries {
            assert_eq!(entry.id.to_string(), entry.message);
        }
        assert_eq!(entries[0].id, 11);
        assert_eq!(*journal.changes().borrow(), count);
    }

    #[test]
    fn warnings_outlive_a_flood() {
        let journal = journal(|| {
            (0..5).for_each(|_| warn!("before all others"));
            for _ in 0..LogBuffer::MAX_IMPORTANT {
                info!("said");
                error!("bad");
            }
            (0..LogBuffer::MAX_ENTRIES).for_each(|_| info!("said"));
        });
        let entries = journal.entries(&ALL, 0, usize::MAX);
        assert_eq!(entries.len(), LogBuffer::MAX_IMPORTANT + LogBuffer::MAX_ENTRIES);
        let (important, last) = entries.split_at(LogBuffer::MAX_IMPORTANT);
        assert!(important.iter().map(|entry| entry.id).eq((0..1000).map(|number| 7 + 2 * number)));
        assert!(important.iter().all(|entry| entry.level == Level::ERROR));
        assert!(last.iter().map(|entry| entry.id).eq(2006..=12_005));
        let first = |after| journal.entries(&ALL, after, usize::MAX).first().map(|entry| entry.id);
        assert_eq!(
            [6, 7, 8, 2004, 2005, 2006, 12_005].map(first),
            [7, 9, 9, 2005, 2006, 2007, 0].map(|id| (id > 0).then_some(id))
        );
        let errors = LogFilter { level: Level::ERROR, ..ALL };
        assert_eq!(journal.entries(&errors, 0, 2).last().map(|entry| entry.id), Some(2005));
    }

    #[test]
    fn threads_leave_no_gaps() {
        let journal = LogBuffer::new();
        let changes = journal.changes();
        thread::scope(|scope| {
            for _ in 0..4 {
                let subscriber = registry().with(journal.layer());
                scope.spawn(|| {
                    tracing::subscriber::with_default(subscriber, || (0..500).for_each(|number| warn!("{number}")));
                });
            }
        });
        assert!(journal.entries(&ALL, 0, 5000).iter().map(|entry| entry.id).eq(1..=2000));
        assert!(changes.has_changed().unwrap());
        assert_eq!(*changes.borrow(), 2000);
    }

    #[test]
    fn there_is_room_for_so_many_in_a_second() {
        let journal = LogBuffer::new();
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let passed = |second: u64, lines: u64| {
            (0..lines).filter(|line| journal.has_room(at(1000 * second + line % 1000))).count() as u64
        };
        assert_eq!(passed(1, LogBuffer::MAX_PER_SECOND), LogBuffer::MAX_PER_SECOND);
        assert_eq!(passed(1, 10), 0);
        assert_eq!(passed(2, 10), 10);
        assert_eq!(journal.0.left_out.load(Ordering::Relaxed), 10);

        tracing::subscriber::with_default(registry().with(journal.layer()), || error!("there is always room for this"));
        let entries = journal.entries(&ALL, 0, 10);
        assert_eq!(messages(&entries), ["10 lines came too fast to be shown here", "there is always room for this"]);
    }

    #[test]
    fn lines_for_operators_are_left_out() {
        let journal = journal(|| {
            warn!(target: OPERATOR_LOG, path = "marks/class-3.ods", "cannot make a torrent");
            info!("said");
        });
        assert_eq!(messages(&journal.entries(&ALL, 0, 10)), ["said"]);
    }

    #[test]
    fn what_there_is_no_room_for_is_not_put_together() {
        struct Made<'a>(&'a AtomicU64);

        impl fmt::Display for Made<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fetch_add(1, Ordering::Relaxed);
                f.write_str("a line")
            }
        }

        let (made, journal) = (AtomicU64::new(0), LogBuffer::new());
        let layer = journal.layer_at(|| SystemTime::UNIX_EPOCH);
        tracing::subscriber::with_default(registry().with(layer), || {
            (0..2 * LogBuffer::MAX_PER_SECOND).for_each(|_| info!(target: TARGET, "{}", Made(&made)));
            warn!(target: TARGET, "a warning");
            info!("said");
        });
        assert_eq!(made.into_inner(), LogBuffer::MAX_PER_SECOND);
        let entries = journal.entries(&ALL, LogBuffer::MAX_PER_SECOND, 10);
        assert_eq!(messages(&entries), ["500 lines came too fast to be shown here", "a warning", "said"]);
    }

    #[test]
    fn a_computer_is_found_by_its_whole_address_and_number() {
        let entry = |message: &str, address: &str| LogEntry {
            message: message.to_owned(),
            address: Some(address.to_owned()).filter(|address| !address.is_empty()),
            ..LogEntry::new(Level::INFO)
        };
        let is_about = |entry: &LogEntry, computer: &str| entry.is_about_computer(computer);
        let began = entry("lab-10 began film.mkv", "10.0.0.10:6881");
        assert!(is_about(&began, "10.0.0.10") && !is_about(&began, "10.0.0.1"));
        assert!(is_about(&began, "LAB-10") && is_about(&began, "lab-") && !is_about(&began, "lab-1"));
        assert!(is_about(&began, "0.0.10") && !is_about(&began, "0.0.1"), "a part of an address");
        let of_v6 = entry("fd00::1 has finished", "[fd00::1]:6881");
        assert!(is_about(&of_v6, "fd00:0::1") && !is_about(&of_v6, "fd00::11") && !is_about(&of_v6, "fd00::"));
        let said = entry("refused 10.0.0.1:6881, since 10.0.0.2.", "");
        assert!(is_about(&said, "10.0.0.1") && is_about(&said, "10.0.0.2") && !is_about(&said, "10.0.0.3"));
    }
}
