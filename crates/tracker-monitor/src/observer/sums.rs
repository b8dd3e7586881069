//! The sums over the peers of a torrent.

use serde::Serialize;
use tracker_core::{Instant, Peer};

use super::completion::completion;
use super::expectation::is_overdue;
use super::figures::Figures;
use super::seen::reachability;
use super::stuck::DownloadTally;
use crate::Reachability;

/// The sums over all peers of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    /// Bytes per second.
    pub(super) download_rate: f64,
    /// The sum of the completion of the peers of which it is known.
    pub(super) completion: f64,
    /// The number of peers of which the completion is known.
    pub(super) telling: u32,
    /// The number of peers whose announce is overdue, and that are not seen either.
    pub(super) silent: u32,
    pub(super) downloads: DownloadTally,
    pub(super) reachable: ReachabilityCounts,
    pub(super) last_seen: Option<Instant>,
}

/// The number of peers by whether others can connect to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReachabilityCounts {
    /// Peers to which others can connect.
    pub yes: u64,
    /// Peers to which others cannot connect.
    pub no: u64,
    /// Peers of which it is not known.
    pub unknown: u64,
}

impl Sums {
    /// Adds the sums of another swarm of the same torrent.
    pub(super) fn add_swarm(&mut self, other: Self) {
        self.download_rate += other.download_rate;
        self.completion += other.completion;
        self.telling += other.telling;
        self.silent += other.silent;
        self.downloads.add_swarm(other.downloads);
        self.reachable.add(other.reachable);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    /// Adds a peer of a torrent of this size. Rates that were announced before a time do not count.
    pub(super) fn add(&mut self, now: Instant, peer: &Peer, size: Option<u64>, figures: Figures) {
        let Some(detail) = &peer.detail else { return };
        self.downloads.add(peer, &figures, now);
        self.reachable.count(reachability(peer, figures.seen.as_ref()).0);
        self.last_seen = self.last_seen.max(Some(detail.last_seen));
        self.silent += u32::from(!figures.is_live() && is_overdue(detail, now));
        if size.is_some()
            && let Some(completion) = completion(peer, figures.seen.as_ref(), size, now)
        {
            self.completion += completion.value;
            self.telling += 1;
        }
        self.download_rate += figures.counted_rate(peer, now).unwrap_or(0.0);
    }
}

impl ReachabilityCounts {
    fn count(&mut self, reachability: Reachability) {
        let count = match reachability {
            Reachability::Yes => &mut self.yes,
            Reachability::No => &mut self.no,
            Reachability::Unknown => &mut self.unknown,
        };
        *count += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.yes += other.yes;
        self.no += other.no;
        self.unknown += other.unknown;
    }
}
