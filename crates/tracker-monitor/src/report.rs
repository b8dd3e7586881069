//! The report of a lesson: who got what, when, how fast and by which way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use torrent_library::Digest;
use tracker_core::Instant;
use tracker_host::{AnswerCounts, unix_seconds};

use crate::client_name::client;
use crate::computers::Look;
use crate::lesson::{Copy, FileRecord, TorrentCopy};
use crate::{BytesSent, CompletionPoint, FigureSource, FileProgress, rounded};

/// The figures of a lesson. Times are Unix seconds. What is not known is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LessonReport {
    /// The lesson's number, from 1.
    pub number: u32,
    /// When it began.
    pub started: u64,
    /// When the next one began; `null` for the current lesson.
    pub ended: Option<u64>,
    /// How long it has lasted, in seconds.
    pub secs: u64,
    /// Computers that are counted: those of the names file, if there is one, or else all that were seen. This machine is not.
    pub computers: u32,
    /// `false` if there were more computers, files or copies than are recorded, or if there are more than a report has.
    pub is_complete: bool,
    /// The speed of this machine's link in bits per second; `null` where the system does not say.
    pub link_speed: Option<u64>,
    /// How long the tracker took to answer BitTorrent clients; `null` if none asked.
    pub answers: Option<AnswerReport>,
    /// The files and folders that computers asked for.
    pub files: Vec<FileReport>,
    /// The network in the course of the lesson.
    pub plot: Vec<NetworkPoint>,
}

/// How long the tracker took to answer announces and scrapes: from when a request was there, as far as a program sees, until its
/// answer was handed to the system to be sent. The times are at most an eighth too long. Requests that came through a proxy are
/// left out.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AnswerReport {
    /// The number of requests.
    pub requests: u64,
    /// The time within which half of them were answered, in milliseconds.
    pub median_ms: f64,
    /// The time within which 99 of 100 were answered, in milliseconds.
    pub p99_ms: f64,
}

/// A lesson in the list of lessons.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LessonSummary {
    /// The lesson's number, from 1.
    pub number: u32,
    /// When it began, in Unix seconds.
    pub started: u64,
    /// When the next one began; `null` for the current lesson.
    pub ended: Option<u64>,
    /// Computers that are counted.
    pub computers: u32,
    /// Files and folders that computers asked for.
    pub files: u32,
}

/// What became of a file or folder in a lesson.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FileReport {
    /// Its key: the info-hash, or before it is hashed its id.
    pub key: String,
    /// Its displayable name.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub name: Arc<str>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// How far it came.
    pub progress: FileProgress,
    /// Bytes that this machine sent to other computers.
    pub sent: BytesSent,
    /// Copies that this machine sent to other computers, by all ways: bytes by size.
    pub copies_sent: Option<f64>,
    /// Seconds from the first computer that asked for it to the last that got all of it.
    pub spread_secs: Option<u64>,
    /// Seconds that one copy takes over this machine's link at its full speed.
    pub link_secs: Option<f64>,
    /// `spread_secs` as a multiple of `link_secs`. Less than one is impossible, as long as somebody got it from this machine.
    /// `null` if it took less than 3 s: the clock has whole seconds.
    pub multiple: Option<f64>,
    /// What the multiple is at most, given that the clock has whole seconds.
    pub multiple_at_most: Option<f64>,
    /// The SHA-256 of its files, as far as they are computed, to compare copies with.
    pub digests: Vec<Digest>,
    /// Its copies, the first that was finished first.
    pub copies: Vec<CopyReport>,
    /// How far it had come in the course of the lesson.
    pub plot: Vec<CompletionPoint>,
}

/// A copy of a file on a computer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CopyReport {
    /// The computer's address.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub address: IpAddr,
    /// The computer's name.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub name: Option<Arc<str>>,
    /// `false` if there is a names file and the computer is not in it.
    pub counts: bool,
    /// When it first asked for the file.
    pub came: u64,
    /// Seconds from then until it had got something.
    pub setup_secs: Option<u64>,
    /// Whence that is known: a BitTorrent client that is not seen says so at its next announce only, so that it is too long then.
    /// `null` if this machine sent it something, which is exact.
    pub setup_source: Option<FigureSource>,
    /// When it had all of it.
    pub finished: Option<u64>,
    /// Seconds from its coming until it had all of it.
    pub took_secs: Option<u64>,
    /// Bytes per second on average, until it had all of it or was last heard of.
    pub mean_rate: Option<f64>,
    /// The highest rate in bytes per second: of a second in a browser, and of a BitTorrent client of five seconds while it is seen,
    /// or else between two announces.
    pub peak_rate: Option<f64>,
    /// Its completion, from 0 to 1.
    pub completion: Option<f64>,
    /// `true` if it had all of it when it came.
    pub came_complete: bool,
    /// By which ways it got it.
    pub ways: Vec<CopyWay>,
    /// Bytes that it got from this machine.
    pub sent: BytesSent,
    /// Bytes that its BitTorrent client got from other computers: about, for what it got twice is not known. `null` if the client
    /// does not say what it has.
    pub from_others: Option<u64>,
    /// Its BitTorrent client.
    pub client: Option<String>,
    /// How the copy was checked.
    pub check: CopyCheck,
}

/// A way by which a computer got a file.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CopyWay {
    /// From other computers, by a BitTorrent client.
    BitTorrent,
    /// From the tracker's own peer on this machine, by a BitTorrent client.
    Peer,
    /// From this machine over HTTP, by a BitTorrent client.
    WebSeed,
    /// From this machine, in a browser.
    Browser,
}

/// How a copy was checked.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CopyCheck {
    /// The BitTorrent client has checked every piece.
    Pieces,
    /// Not by a program: compare its SHA-256 with the one in `digests`.
    Digest,
    /// It is not complete.
    Incomplete,
}

/// The network at one time of a lesson.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NetworkPoint {
    /// Seconds since the lesson began.
    pub secs: u64,
    /// BitTorrent clients that have all of a torrent.
    pub seeders: f64,
    /// BitTorrent clients that want more.
    pub leechers: f64,
    /// Bytes per second that BitTorrent clients say they download, on average until the next point.
    pub download_rate: f64,
    /// Bytes per second that this machine sends, on average until the next point.
    pub sent_rate: f64,
}

impl LessonReport {
    /// Files of a report, at most.
    pub const MAX_FILES: usize = 1000;

    /// Copies of all files in a report, at most: as JSON they take some 40 MB.
    pub const MAX_COPIES: usize = 100_000;

    /// The report of a lesson. `zero` is the time of day at the tracker's zero, and `answered` what the tracker has answered
    /// since the program began.
    pub(crate) fn new(look: &Look<'_>, zero: SystemTime, link_speed: Option<u64>, answered: &AnswerCounts) -> Self {
        let zero = look.lesson.end.as_ref().map_or(zero, |end| end.zero);
        let unix = |at: Instant| unix_seconds(zero + at.since(Instant::ZERO));
        let lesson = look.lesson;
        let link_speed = lesson.end.as_ref().map_or(link_speed, |end| end.link_speed);
        let mut is_complete = !lesson.is_full() && lesson.files().len() <= Self::MAX_FILES;
        let mut room = Self::MAX_COPIES;
        let report = |file| {
            let (mut report, has_all) = FileReport::new(look, file, unix, room);
            is_complete &= has_all;
            room -= report.copies.len();
            report.add_link(link_speed);
            report
        };
        let files = lesson.files().take(Self::MAX_FILES).map(report).collect();
        Self {
            number: lesson.number,
            started: unix(lesson.started),
            ended: lesson.ended().map(unix),
            secs: look.now.since(lesson.started).as_secs(),
            computers: look.roster.len(),
            is_complete,
            link_speed,
            answers: AnswerReport::new(&lesson.answers(answered)),
            files,
            plot: lesson.plot.points().collect(),
        }
    }
}

impl AnswerReport {
    fn new(counts: &AnswerCounts) -> Option<Self> {
        let millis = |part| Some(rounded(counts.within(part)?.as_secs_f64() * 1000.0));
        Some(Self { requests: counts.total(), median_ms: millis(0.5)?, p99_ms: millis(0.99)? })
    }
}

impl LessonSummary {
    pub(crate) fn new(look: &Look<'_>, zero: SystemTime) -> Self {
        let zero = look.lesson.end.as_ref().map_or(zero, |end| end.zero);
        let unix = |at: Instant| unix_seconds(zero + at.since(Instant::ZERO));
        Self {
            number: look.lesson.number,
            started: unix(look.lesson.started),
            ended: look.lesson.ended().map(unix),
            computers: look.roster.len(),
            files: u32::try_from(look.lesson.files().len()).unwrap_or(u32::MAX),
        }
    }
}

impl FileReport {
    /// With so many copies at most; `true` if these are all.
    fn new(look: &Look<'_>, file: &FileRecord, unix: impl Fn(Instant) -> u64, max_copies: usize) -> (Self, bool) {
        let others = || file.copies.iter().filter(|(address, _)| !look.roster.is_own(**address));
        let mut shown: Vec<_> = others().collect();
        let has_all = shown.len() <= max_copies;
        shown.sort_unstable_by_key(|(address, copy)| (copy.finished.is_none(), copy.finished, **address));
        shown.truncate(max_copies);
        let fetched = || others().map(|(_, copy)| copy).filter(|copy| !copy.came_complete);
        let (first, last) = (fetched().map(|copy| copy.came).min(), fetched().filter_map(|copy| copy.finished).max());
        let sent = file.sent(look.roster);
        let report = Self {
            key: file.key().to_string(),
            name: Arc::clone(&file.name),
            size: file.size,
            progress: look.progress(file),
            sent,
            copies_sent: file.size.filter(|&size| size > 0).map(|size| rounded(sent.total() as f64 / size as f64)),
            spread_secs: first.zip(last).map(|(first, last)| last.since(first).as_secs()),
            link_secs: None,
            multiple: None,
            multiple_at_most: None,
            digests: Vec::new(),
            copies: shown
                .into_iter()
                .map(|(address, copy)| CopyReport::new(look, file, *address, copy, &unix))
                .collect(),
            plot: file.plot.points().collect(),
        };
        (report, has_all)
    }

    /// Compares it with what is possible over a link of this speed.
    fn add_link(&mut self, link_speed: Option<u64>) {
        let Some((size, speed)) = self.size.zip(link_speed.filter(|&speed| speed > 0)) else { return };
        let link_secs = size as f64 * 8.0 / speed as f64;
        self.link_secs = Some(rounded(link_secs));
        let Some(spread) = self.spread_secs.filter(|_| link_secs > 0.0) else { return };
        // The clock has whole seconds: a ratio of less than a few of them says nothing.
        self.multiple = Some(rounded(spread as f64 / link_secs)).filter(|_| spread >= 3);
        self.multiple_at_most = Some(rounded((spread + 1) as f64 / link_secs));
    }
}

impl CopyReport {
    fn new(look: &Look<'_>, file: &FileRecord, address: IpAddr, copy: &Copy, unix: &impl Fn(Instant) -> u64) -> Self {
        let completion = copy.completion(file.size);
        let end = copy.finished.unwrap_or_else(|| copy.last_seen());
        // The clock has whole seconds.
        let secs = end.since(copy.came).as_secs().max(1);
        let got = completion.zip(file.size).map(|(now, size)| (now - copy.first_completion()).max(0.0) * size as f64);
        let is_moved = !copy.came_complete;
        let sent = copy.sent_from_here();
        let by_client = sent.peer.saturating_add(sent.web_seed);
        // What a client did not get from this machine, it got from others. Of one that does not say what it has, and of whose
        // computer a browser got something, nobody knows.
        let is_of_others = |torrent: &TorrentCopy| match torrent.gained().zip(file.size) {
            Some((gained, size)) => gained * size as f64 * 0.99 > by_client as f64,
            None => sent.total() == 0,
        };
        let of_others = |torrent: &TorrentCopy| {
            let gained = torrent.gained()? * file.size? as f64;
            Some((gained.round() as u64).saturating_sub(by_client))
        };
        let is_from_others = is_moved && copy.torrent.as_ref().is_some_and(is_of_others);
        let ways = [
            (is_from_others, CopyWay::BitTorrent),
            (sent.peer > 0, CopyWay::Peer),
            (sent.web_seed > 0, CopyWay::WebSeed),
            (sent.browser > 0, CopyWay::Browser),
        ];
        let mean_rate = got.filter(|&got| got > 0.0).map_or(0.0, |got| got / secs as f64);
        // The average is over whole seconds, so it may be higher than what was seen of a short download.
        let peak_rate = copy.peak_rate.max(mean_rate);
        let has_torrent = copy.torrent.as_ref().is_some_and(|torrent| torrent.has_everything);
        Self {
            address,
            name: None,
            counts: look.roster.counts(address),
            came: unix(copy.came),
            setup_secs: copy.first_progress.filter(|_| is_moved).map(|at| at.since(copy.came).as_secs()),
            setup_source: copy.first_progress_source.filter(|_| is_moved),
            finished: copy.finished.map(unix),
            took_secs: copy.finished.filter(|_| is_moved).map(|at| at.since(copy.came).as_secs()),
            mean_rate: Some(rounded(mean_rate)).filter(|&rate| is_moved && rate > 0.0),
            peak_rate: Some(rounded(peak_rate)).filter(|&rate| is_moved && rate > 0.0),
            completion: completion.map(rounded_down),
            came_complete: copy.came_complete,
            ways: ways.into_iter().filter_map(|(is_used, way)| is_used.then_some(way)).collect(),
            sent,
            from_others: match copy.torrent.as_ref().filter(|_| is_moved) {
                Some(torrent) if is_from_others => of_others(torrent),
                _ => Some(0),
            },
            client: copy.torrent.as_ref().map(|torrent| client(&torrent.peer_id)),
            check: match (copy.has_it(), has_torrent) {
                (false, _) => CopyCheck::Incomplete,
                (true, true) => CopyCheck::Pieces,
                (true, false) => CopyCheck::Digest,
            },
        }
    }
}

/// A completion to three digits: only what is complete says so.
fn rounded_down(completion: f64) -> f64 {
    (completion * 1000.0).floor() / 1000.0
}
