//! A computer's copy of a file or folder.

use std::ops::Range;
use std::time::Duration;

use tracker_core::{Instant, PeerId};

use super::{CopyStatus, TorrentCopy};
use crate::observer::{Observation, PeerDownload};
use crate::ranges::RangeSet;
use crate::{BytesSent, FigureSource, PeerStuckReason, Way};

/// The time without a byte after which a transfer over HTTP is no progress any more: shorter than the 30 s after which the
/// dashboard ends it.
const HTTP_STALLED_AFTER: Duration = Duration::from_secs(15);

/// The part of the new value in a smoothed rate, each second: an average of about the last five seconds.
const SMOOTHING: f64 = 0.2;

/// What is known of one computer's copy in a lesson: about 200 bytes, and what a browser has got of it.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    /// When the computer first asked for it.
    pub(crate) came: Instant,
    /// When it was first seen to have got something.
    pub(crate) first_progress: Option<Instant>,
    /// Whence that is known of a BitTorrent client; `None` if this machine sent it.
    pub(crate) first_progress_source: Option<FigureSource>,
    /// When it was first seen to have all of it.
    pub(crate) finished: Option<Instant>,
    /// `true` if it had all of it when it came.
    pub(crate) came_complete: bool,
    /// Its completion when the lesson began, from 0 to 1.
    pub(super) carried_over: f64,
    /// The highest rate that was seen, in bytes per second.
    pub(crate) peak_rate: f64,
    pub(crate) torrent: Option<TorrentCopy>,
    pub(crate) http: Option<Box<HttpCopy>>,
    /// Bytes that the tracker's own peer has sent of it.
    pub(crate) uploaded: u64,
}

/// What this machine sent of it over HTTP.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpCopy {
    /// The bytes that browsers were sent, of the files one behind the other.
    pub(crate) ranges: RangeSet,
    /// The files that browsers asked for: those of the last archive, and the single ones since.
    pub(super) wanted: RangeSet,
    /// Bytes of archives that are being sent: they count in `ranges` once the archive is whole.
    in_flight: u64,
    /// Bytes that browsers were sent, and BitTorrent clients that use this machine as a web seed.
    pub(crate) sent: BySentWay,
    /// Transfers in progress.
    pub(crate) running: BySentWay,
    /// Bytes that were sent since the last tick.
    since_tick: u64,
    /// The current rate in bytes per second, smoothed.
    rate: f64,
    /// Ticks that the smoothed rate is made of.
    ticks: u32,
    /// When the last byte was sent.
    pub(crate) last_byte: Instant,
    /// `true` if a browser was sent all of it.
    pub(crate) is_complete: bool,
}

/// A number for each [`Way`].
#[derive(Debug, Clone, std::marker::Copy, Default, PartialEq, Eq)]
pub(crate) struct BySentWay {
    pub(crate) browser: u64,
    pub(crate) web_seed: u64,
}

impl BySentWay {
    pub(crate) fn of(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::Browser => &mut self.browser,
            Way::WebSeed => &mut self.web_seed,
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.browser + self.web_seed
    }
}

/// What a transfer over HTTP has sent since the last look.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) way: Way,
    /// Bytes since the last look.
    pub(crate) bytes: u64,
    /// The bytes of the content that are certain to be sent now.
    pub(crate) ranges: RangeSet,
}

/// The files that a transfer over HTTP is there to get, as bytes of the content.
#[derive(Debug)]
pub(crate) enum Wanted<'w> {
    /// This file, of which the transfer may be a part only.
    File(Range<u64>),
    /// These, all in one archive.
    Archive(&'w RangeSet),
}

impl Copy {
    pub(crate) fn new(came: Instant) -> Self {
        Self {
            came,
            first_progress: None,
            first_progress_source: None,
            finished: None,
            came_complete: false,
            carried_over: 0.0,
            peak_rate: 0.0,
            torrent: None,
            http: None,
            uploaded: 0,
        }
    }

    /// Returns `true` if the computer has all of it, or had when it was last seen.
    pub(crate) fn has_it(&self) -> bool {
        self.http.as_ref().is_some_and(|http| http.is_complete)
            || self.torrent.as_ref().is_some_and(|torrent| torrent.has_everything)
    }

    /// Takes in what a client announced, and what is seen of it. Of several clients at the address, the one that has most counts as
    /// long as it is there.
    pub(crate) fn see(&mut self, observation: &Observation, round: u32) {
        let Observation { has_everything, completion, first_seen, last_seen, as_of, source, .. } = *observation;
        // The first client that is seen, or one that came no later, unless it has a part from a browser.
        let is_new = self.http.is_none() && (self.torrent.is_none() || first_seen <= self.came);
        self.came = if self.torrent.is_none() { self.came.min(first_seen) } else { self.came };
        self.came_complete |= is_new && observation.came_complete;
        self.peak_rate = self.peak_rate.max(observation.measured_rate.unwrap_or(0.0));
        let has_it = self.has_it();
        let torrent = self.torrent.get_or_insert_with(|| TorrentCopy::new(observation));
        let is_same = torrent.peer_id == observation.peer_id;
        // What is known already, by another listener of events.
        let is_old = last_seen < torrent.last_seen
            || last_seen == torrent.last_seen && torrent.has_everything && !has_everything && !observation.is_live;
        // Of times from before a restart the last second is not certain.
        let is_old = is_old && !torrent.is_restored;
        let is_better = completion.is_some_and(|now| torrent.completion.is_none_or(|before| now >= before));
        // One that is not seen in this sweep yet is there, if the sweep before saw it: which comes first means nothing.
        let is_other = torrent.is_here(Some(round)) && !is_same && !is_better;
        if is_other || is_same && is_old {
            return;
        }
        let is_taken = torrent.take(observation, round);
        let has_more = completion.zip(torrent.first_completion).is_some_and(|(now, first)| now > first);
        let has_progress = is_taken && (has_more || has_everything && !self.came_complete);
        if has_progress && self.first_progress.is_none() {
            (self.first_progress, self.first_progress_source) = (Some(as_of), Some(source));
        }
        if !has_it && self.has_it() {
            self.finished = Some(if self.came_complete { self.came } else { as_of });
        } else if !self.has_it() {
            // It was removed, or found damaged.
            self.finished = None;
            self.came_complete = false;
        }
    }

    /// A client has said that it leaves, or was silent for too long. Another one at the address may stay.
    pub(crate) fn leave(&mut self, peer_id: PeerId) {
        if let Some(torrent) = self.torrent.as_mut().filter(|torrent| torrent.peer_id == peer_id) {
            torrent.leave();
        }
    }

    /// A transfer over HTTP begins, in order to get what is wanted.
    pub(crate) fn begin(&mut self, way: Way, wanted: Wanted<'_>, max_ranges: usize, now: Instant) {
        let http = self.http.get_or_insert_default();
        *http.running.of(way) += 1;
        http.last_byte = http.last_byte.max(now);
        match wanted {
            _ if way == Way::WebSeed => {}
            Wanted::File(range) => http.wanted.insert(range, max_ranges),
            Wanted::Archive(ranges) => {
                http.wanted = RangeSet::default();
                http.wanted.merge(ranges, max_ranges);
            }
        }
    }

    /// Takes in what was sent over HTTP. Returns `true` if with it the last missing byte was sent to a browser.
    pub(crate) fn sent(&mut self, sent: Sent, size: u64, max_ranges: usize, now: Instant) -> bool {
        let http = self.http.get_or_insert_default();
        let Sent { way, bytes, ranges } = sent;
        if bytes > 0 {
            *http.sent.of(way) += bytes;
            http.since_tick += bytes;
            http.last_byte = now;
            self.first_progress.get_or_insert(now);
        }
        if way == Way::WebSeed {
            return false;
        }
        http.ranges.merge(&ranges, max_ranges);
        if http.is_complete || !http.ranges.covers(&(0..size)) {
            return false;
        }
        http.is_complete = true;
        let is_first = self.finished.is_none();
        self.finished.get_or_insert(now);
        is_first
    }

    /// The tracker's own peer has sent so many more bytes to its client.
    pub(crate) fn uploaded(&mut self, bytes: u64, now: Instant) {
        self.uploaded += bytes;
        self.first_progress.get_or_insert(now);
    }

    /// Bytes that this machine has sent of it, by all ways.
    pub(crate) fn sent_from_here(&self) -> BytesSent {
        let BySentWay { browser, web_seed } = self.http.as_ref().map(|http| http.sent).unwrap_or_default();
        BytesSent { peer: self.uploaded, web_seed, browser }
    }

    /// Ranges beyond the first of each set.
    pub(crate) fn fragments(&self) -> usize {
        let beyond_first = |set: &RangeSet| set.len().saturating_sub(1);
        self.http.as_ref().map_or(0, |http| beyond_first(&http.ranges) + beyond_first(&http.wanted))
    }

    /// A transfer over HTTP has ended.
    pub(crate) fn end(&mut self, way: Way) {
        if let Some(http) = &mut self.http {
            let running = http.running.of(way);
            *running = running.saturating_sub(1);
        }
    }

    /// So many seconds have passed since the last tick; so many bytes of unfinished archives are under way. Returns the rate at
    /// which this machine sent to it, in bytes per second.
    pub(crate) fn tick(&mut self, secs: f64, in_flight: u64) -> f64 {
        let Some(http) = &mut self.http else { return 0.0 };
        let rate = std::mem::take(&mut http.since_tick) as f64 / secs;
        // The first values count alike: an average that began with zero would be too low for long.
        http.ticks = http.ticks.saturating_add(1);
        http.rate += SMOOTHING.max(1.0 / f64::from(http.ticks)) * (rate - http.rate);
        if http.running.total() == 0 && http.rate < 1.0 {
            (http.rate, http.ticks) = (0.0, 0);
        }
        http.in_flight = in_flight;
        self.peak_rate = self.peak_rate.max(rate);
        rate
    }

    /// The completion, from 0 to 1; `None` if the client does not say it. What this machine has sent is there in any case.
    pub(crate) fn completion(&self, size: Option<u64>) -> Option<f64> {
        if self.has_it() {
            return Some(1.0);
        }
        let part = |bytes: u64| match size {
            // All but the last bit: only the client knows that it has everything.
            Some(size @ 1..) => (bytes as f64 / size as f64).min(0.999),
            Some(0) | None => 0.0,
        };
        let http = self.http.as_ref();
        let by_browser = http.map(|http| part(http.ranges.bytes() + http.in_flight));
        let torrent = self.torrent.as_ref();
        let by_web_seed = http.filter(|_| torrent.is_some()).map(|http| part(http.sent.web_seed));
        let announced = torrent.and_then(|torrent| torrent.completion);
        let known =
            [by_browser.filter(|&part| part > 0.0 || torrent.is_none()), by_web_seed.filter(|&part| part > 0.0)];
        known.into_iter().flatten().chain(announced).reduce(f64::max)
    }

    /// The completion when it came, as far as it is known.
    pub(crate) fn first_completion(&self) -> f64 {
        let announced = self.torrent.as_ref().and_then(|torrent| torrent.first_completion);
        announced.unwrap_or(0.0).max(self.carried_over)
    }

    /// The current download rate in bytes per second; `None` if it is not known.
    pub(crate) fn rate(&self, round: Option<u32>) -> Option<f64> {
        let http = self.http.as_ref().map(|http| http.rate).filter(|&rate| rate > 0.0);
        let torrent = self.torrent.as_ref().filter(|torrent| torrent.is_here(round)).and_then(|torrent| torrent.rate);
        // A client that uses the web seed has that in what it announces, too.
        [http, torrent].into_iter().flatten().reduce(f64::max).filter(|_| !self.has_it())
    }

    /// The age of its completion: a client's is that of its last announce unless it is seen, what this machine sent is current.
    pub(crate) fn age(&self, size: Option<u64>, now: Instant) -> Duration {
        let completion = self.completion(size);
        let old = self
            .torrent
            .as_ref()
            .filter(|torrent| !self.has_it() && !torrent.is_live && torrent.completion >= completion);
        old.map_or(Duration::ZERO, |torrent| now.since(torrent.as_of))
    }

    /// Returns `true` if what is known of it is as it is now: its client is seen, or this machine sends it something.
    pub(crate) fn is_live(&self, round: Option<u32>) -> bool {
        self.http.as_ref().is_some_and(|http| http.running.total() > 0)
            || self.torrent.as_ref().is_some_and(|torrent| torrent.is_live && torrent.is_here(round))
    }

    /// The time until it is complete at its current rate; `None` if it does not move, or should be complete by now.
    pub(crate) fn time_left(&self, size: Option<u64>, round: Option<u32>, now: Instant) -> Option<Duration> {
        let missing = (1.0 - self.completion(size)?) * size? as f64;
        let rate = self.rate(round).filter(|&rate| rate >= 1.0)?;
        let left = Duration::try_from_secs_f64(missing / rate).ok().filter(|_| !self.has_it())?;
        left.checked_sub(self.age(size, now))
    }

    /// What the computer does with it now. `round` is the current sweep, `None` where there are none; `has_seeder` says whether
    /// somebody who is there has all of it.
    pub(crate) fn status(&self, has_seeder: bool, round: Option<u32>, now: Instant) -> CopyStatus {
        if self.has_it() {
            return CopyStatus::HasIt;
        }
        let http = self.http.as_deref();
        let is_fed = |http: &HttpCopy| http.running.total() > 0 && now.since(http.last_byte) < HTTP_STALLED_AFTER;
        let is_fed = http.is_some_and(is_fed);
        let has_selection = http.is_some_and(HttpCopy::has_selection)
            || self.torrent.as_ref().is_some_and(|torrent| torrent.is_partial);
        let torrent = self.torrent.as_ref().filter(|torrent| torrent.is_here(round));
        match torrent {
            _ if is_fed => CopyStatus::Downloading,
            Some(torrent) if torrent.is_partial => CopyStatus::HasSelection,
            Some(torrent) => match torrent.download.and_then(|download| download.stuck(has_seeder)) {
                Some(reason) => CopyStatus::Stuck(reason),
                None => CopyStatus::Downloading,
            },
            None if http.is_some_and(|http| http.running.browser > 0) => CopyStatus::Stuck(PeerStuckReason::Browser),
            None if has_selection => CopyStatus::HasSelection,
            None => CopyStatus::Stopped,
        }
    }

    /// Returns `true` if it cannot be said whether its download gets something: nothing comes over HTTP, and its client has not
    /// said enough.
    pub(crate) fn is_undecided(&self) -> bool {
        let is_fed = self.http.as_ref().is_some_and(|http| http.running.total() > 0);
        let download = self.torrent.as_ref().and_then(|torrent| torrent.download);
        !is_fed && download.is_none_or(PeerDownload::is_unknown)
    }

    /// When it was last heard of.
    pub(crate) fn last_seen(&self) -> Instant {
        let torrent = self.torrent.as_ref().map(|torrent| torrent.last_seen.max(torrent.as_of));
        let http = self.http.as_ref().map(|http| http.last_byte);
        torrent.max(http).unwrap_or(self.came).max(self.came)
    }

    /// Takes in another record of the same copy.
    pub(crate) fn merge(&mut self, other: Self, max_ranges: usize) {
        self.came = self.came.min(other.came);
        if other.first_progress.is_some() && earlier(self.first_progress, other.first_progress) == other.first_progress
        {
            (self.first_progress, self.first_progress_source) = (other.first_progress, other.first_progress_source);
        }
        self.finished = earlier(self.finished, other.finished);
        self.came_complete &= other.came_complete;
        self.peak_rate = self.peak_rate.max(other.peak_rate);
        self.torrent = self.torrent.take().or(other.torrent);
        self.uploaded += other.uploaded;
        match (&mut self.http, other.http) {
            (Some(own), Some(other)) => {
                own.ranges.merge(&other.ranges, max_ranges);
                own.wanted.merge(&other.wanted, max_ranges);
                own.since_tick += other.since_tick;
                own.sent.browser += other.sent.browser;
                own.sent.web_seed += other.sent.web_seed;
                own.running.browser += other.running.browser;
                own.running.web_seed += other.running.web_seed;
                own.is_complete |= other.is_complete;
                own.last_byte = own.last_byte.max(other.last_byte);
            }
            (own @ None, other) => *own = other,
            (Some(_), None) => {}
        }
    }

    /// The same copy at the start of a new lesson: what the computer has, and what is in progress.
    pub(crate) fn carried_over(&self, size: Option<u64>, round: Option<u32>, now: Instant) -> Option<Self> {
        let torrent = self.torrent.clone().filter(|torrent| torrent.is_here(round));
        let is_running = self.http.as_ref().is_some_and(|http| http.running.total() > 0);
        if torrent.is_none() && !is_running {
            return None;
        }
        let mut http = self.http.clone();
        if let Some(http) = &mut http {
            http.sent = BySentWay::default();
        }
        let carried_over = self.completion(size).unwrap_or(0.0);
        let mut copy = Self { torrent, http, carried_over, ..Self::new(now) };
        if let Some(torrent) = &mut copy.torrent {
            torrent.first_completion = torrent.completion;
        }
        if copy.has_it() {
            (copy.finished, copy.came_complete) = (Some(now), true);
        }
        Some(copy)
    }
}

impl HttpCopy {
    /// Returns `true` if browsers were sent all files that they asked for, and there were any.
    fn has_selection(&self) -> bool {
        self.wanted.len() > 0 && self.ranges.is_superset(&self.wanted)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}
