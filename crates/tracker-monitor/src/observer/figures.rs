//! What is known of a peer beside its last announce.

use std::time::Duration;

use tracker_core::{Instant, Peer, PeerDetail, PeerState};

use super::expectation::is_overdue;
use super::seen::Seen;
use super::stuck::Progress;

/// The minimum time in seconds for which the download rate of a finished peer counts, so that viewers see it.
const FINISHED: u32 = 5;

/// What the announces of a peer say together, and what is seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    /// If it announced twice.
    pub(super) rates: Option<Rates>,
    /// As it is seen, or as it announces where that does not show it yet.
    pub(super) progress: Progress,
    /// If there is somebody who sees it.
    pub(super) seen: Option<Seen>,
}

/// The rates of a peer between its last two announces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Bytes per second.
    pub(super) upload: f64,
    /// Bytes per second.
    pub(super) download: f64,
    /// Seconds between the announces, which are whole ones; at least 1.
    pub(super) secs: u32,
}

impl Figures {
    /// Without rates that were announced before this time.
    pub(super) fn current(self, peer: &Peer, rates_from: Instant) -> Self {
        let is_current = peer.detail.as_ref().is_some_and(|detail| detail.last_seen >= rates_from);
        Self { rates: self.rates.filter(|_| is_current), ..self }
    }

    /// The same with what is seen of the peer, and how its download goes, as far as that shows it.
    pub(super) fn with_seen(self, seen: Option<Seen>, progress: Progress) -> Self {
        let progress = if progress == Progress::Unknown { self.progress } else { progress };
        Self { progress, seen, ..self }
    }

    /// Returns `true` while the tracker's own peer sees how far the peer is.
    pub(super) fn is_live(&self) -> bool {
        self.seen.is_some_and(|seen| seen.is_live())
    }

    /// The download rate for viewers, if there is one: as it is seen, or else between the last two announces of a peer that is
    /// awake, and has not finished a while ago.
    pub(super) fn download_rate(&self, peer: &Peer, now: Instant) -> Option<f64> {
        if let Some(rate) = self.seen.and_then(|seen| seen.rate()) {
            return Some(rate);
        }
        self.rates?.current_download(peer.state, peer.detail.as_ref()?, now)
    }

    /// The download rate that counts in sums, if there is one.
    pub(super) fn counted_rate(&self, peer: &Peer, now: Instant) -> Option<f64> {
        if let Some(rate) = self.seen.and_then(|seen| seen.rate()) {
            return Some(rate);
        }
        let rates = self.rates?;
        rates.still_hold(peer.state, peer.detail.as_ref()?, now).then_some(rates.download)
    }

    /// The upload rate for viewers, if the peer is awake.
    pub(super) fn upload_rate(&self, peer: &Peer, now: Instant) -> Option<f64> {
        (!is_overdue(peer.detail.as_ref()?, now)).then_some(self.rates?.upload)
    }
}

impl Rates {
    fn current_download(&self, state: PeerState, detail: &PeerDetail, now: Instant) -> Option<f64> {
        let is_current = match state {
            PeerState::Leecher => !is_overdue(detail, now),
            PeerState::PartialSeed | PeerState::Seeder => {
                now.since(detail.last_seen) < Duration::from_secs(FINISHED.into())
            }
        };
        is_current.then_some(self.download)
    }

    /// Returns `true` if the peer is likely to continue at this rate. A peer that has all it wants downloads no more: its rate is
    /// shown for as long as the interval that it is an average of.
    fn still_hold(&self, state: PeerState, detail: &PeerDetail, now: Instant) -> bool {
        match state {
            _ if is_overdue(detail, now) => false,
            PeerState::Leecher => true,
            PeerState::PartialSeed | PeerState::Seeder => {
                now.since(detail.last_seen) < Duration::from_secs(self.secs.max(FINISHED).into())
            }
        }
    }
}
