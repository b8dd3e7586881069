//! A copy of a file as it is saved.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tracker_core::{InfoHash, PeerId};

use super::copy::{BySentWay, HttpCopy};
use super::{Copy, TorrentCopy};
use crate::ranges::RangeSet;
use crate::saved::{Times, bytes, figure, is_default, part};
use crate::{FigureSource, rounded};

/// What is known of one computer's copy, but for what it does now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedCopy {
    pub(super) address: IpAddr,
    came: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_progress: Option<u64>,
    /// `None` if this machine sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_progress_source: Option<FigureSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    came_complete: bool,
    /// The completion when the lesson began.
    #[serde(default, skip_serializing_if = "is_default")]
    carried_over: f64,
    #[serde(default, skip_serializing_if = "is_default")]
    peak_rate: f64,
    /// Bytes that the tracker's own peer has sent.
    #[serde(default, skip_serializing_if = "is_default")]
    uploaded: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    torrent: Option<SavedTorrentCopy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<SavedHttpCopy>,
}

/// A copy as a BitTorrent client has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedTorrentCopy {
    /// 40 hexadecimal digits.
    peer_id: String,
    #[serde(default)]
    port: u16,
    /// The time of its last announce.
    last_seen: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    has_everything: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completion: Option<f64>,
    /// The time at which it had that.
    as_of: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_completion: Option<f64>,
    /// `true` if it has all it wants, but not everything.
    #[serde(default, skip_serializing_if = "is_default")]
    is_partial: bool,
}

/// What this machine sent over HTTP.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedHttpCopy {
    /// The starts and ends of the ranges that browsers were sent, of the files one behind the other.
    ranges: Vec<(u64, u64)>,
    /// The same of the files that they asked for.
    wanted: Vec<(u64, u64)>,
    /// Bytes sent to browsers.
    browser: u64,
    /// Bytes sent to BitTorrent clients.
    web_seed: u64,
    last_byte: u64,
    is_complete: bool,
}

impl SavedCopy {
    pub(super) fn new(address: IpAddr, copy: &Copy, has_ended: bool, times: Times) -> Self {
        Self {
            address,
            came: times.unix(copy.came),
            first_progress: copy.first_progress.map(|at| times.unix(at)),
            first_progress_source: copy.first_progress_source,
            finished: copy.finished.map(|at| times.unix(at)),
            came_complete: copy.came_complete,
            carried_over: part(copy.carried_over).unwrap_or(0.0),
            peak_rate: figure(copy.peak_rate).map_or(0.0, rounded),
            uploaded: copy.uploaded,
            torrent: copy.torrent.as_ref().map(|torrent| SavedTorrentCopy::new(torrent, times)),
            http: copy.http.as_deref().map(|http| SavedHttpCopy::new(http, has_ended, times)),
        }
    }

    pub(super) fn restore(&self, times: Times, max_ranges: usize) -> Copy {
        let came = times.instant(self.came);
        let later = |unix: Option<u64>| unix.map(|unix| times.instant(unix).max(came));
        let first_progress = later(self.first_progress);
        let mut copy = Copy {
            first_progress,
            first_progress_source: self.first_progress_source.filter(|_| first_progress.is_some()),
            carried_over: part(self.carried_over).unwrap_or(0.0),
            peak_rate: figure(self.peak_rate).unwrap_or(0.0),
            uploaded: bytes(self.uploaded),
            torrent: self.torrent.as_ref().and_then(|torrent| torrent.restore(times)),
            http: self.http.as_ref().map(|http| Box::new(http.restore(times, max_ranges))),
            ..Copy::new(came)
        };
        if copy.has_it() {
            copy.finished = later(self.finished).or(Some(came));
            copy.came_complete = self.came_complete;
        }
        copy
    }
}

impl SavedTorrentCopy {
    fn new(torrent: &TorrentCopy, times: Times) -> Self {
        Self {
            // As many bytes as an info-hash has, in the digits of one.
            peer_id: InfoHash::new(*torrent.peer_id.as_bytes()).to_string(),
            port: torrent.port,
            last_seen: times.unix(torrent.last_seen),
            has_everything: torrent.has_everything,
            completion: torrent.completion.and_then(part),
            as_of: times.unix(torrent.as_of),
            first_completion: torrent.first_completion.and_then(part),
            is_partial: torrent.is_partial,
        }
    }

    /// `None` if there is no such client.
    fn restore(&self, times: Times) -> Option<TorrentCopy> {
        let peer_id = PeerId::new(*self.peer_id.parse::<InfoHash>().ok()?.as_bytes());
        let (last_seen, as_of) = (times.instant(self.last_seen), times.instant(self.as_of));
        let mut torrent = TorrentCopy::restored(peer_id, self.port, last_seen, as_of);
        torrent.has_everything = self.has_everything;
        torrent.completion = self.completion.and_then(part);
        torrent.first_completion = self.first_completion.and_then(part);
        torrent.is_partial = self.is_partial;
        Some(torrent)
    }
}

impl SavedHttpCopy {
    fn new(http: &HttpCopy, has_ended: bool, times: Times) -> Self {
        let ranges = |set: &RangeSet| set.iter().map(|range| (range.start, range.end)).collect();
        // When the lesson has ended nothing is resumed in it: only how much it was counts.
        let (got, wanted) = match has_ended {
            true => (
                Some(http.ranges.bytes()).filter(|&bytes| bytes > 0).map(|bytes| (0, bytes)).into_iter().collect(),
                Vec::new(),
            ),
            false => (ranges(&http.ranges), ranges(&http.wanted)),
        };
        Self {
            ranges: got,
            wanted,
            browser: http.sent.browser,
            web_seed: http.sent.web_seed,
            last_byte: times.unix(http.last_byte),
            is_complete: http.is_complete,
        }
    }

    fn restore(&self, times: Times, max_ranges: usize) -> HttpCopy {
        let set = |ranges: &[(u64, u64)]| {
            let mut set = RangeSet::default();
            ranges.iter().for_each(|&(start, end)| set.insert(bytes(start)..bytes(end), max_ranges));
            set
        };
        let mut http = HttpCopy::default();
        http.ranges = set(&self.ranges);
        http.wanted = set(&self.wanted);
        http.sent = BySentWay { browser: bytes(self.browser), web_seed: bytes(self.web_seed) };
        http.last_byte = times.instant(self.last_byte);
        http.is_complete = self.is_complete;
        http
    }
}
