//! A peer as the lesson takes it in.

use std::net::IpAddr;

use tracker_core::{Instant, Peer, PeerId, PeerState};

use super::completion::{completion, has_everything};
use super::figures::Figures;
use super::seen::reachability;
use super::stuck::{PeerDownload, Seeding};
use crate::{FigureSource, Reachability, ReachabilityReason};

/// A peer of a torrent, as it is seen and as it announced last.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    /// The address of its computer.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) peer_id: PeerId,
    pub(crate) first_seen: Instant,
    /// The time of its last announce.
    pub(crate) last_seen: Instant,
    pub(crate) has_everything: bool,
    /// `true` if it announced once so far, and has everything since.
    pub(crate) came_complete: bool,
    /// `true` if it has all it wants, but not everything.
    pub(crate) is_partial: bool,
    /// From 0 to 1, if it is known.
    pub(crate) completion: Option<f64>,
    /// The time at which it had that.
    pub(crate) as_of: Instant,
    /// Whence its completion is known.
    pub(crate) source: FigureSource,
    /// `true` while the tracker's own peer sees how far it is.
    pub(crate) is_live: bool,
    /// `true` if it is out of an event, which has nothing of what is seen of it.
    pub(crate) is_event: bool,
    /// Bytes per second that it downloads, as it is seen or between its last two announces, while they hold.
    pub(crate) rate: Option<f64>,
    /// The same, whether it still holds or not.
    pub(crate) measured_rate: Option<f64>,
    pub(crate) download: Option<PeerDownload>,
    pub(crate) reachability: Reachability,
    pub(crate) reason: Option<ReachabilityReason>,
    /// `true` if it has everything, is still there, and others can be given it.
    pub(crate) is_source: bool,
}

impl Observation {
    /// A peer of a torrent of this size. One of which the tracker keeps no details is seen now.
    pub(super) fn new(peer: &Peer, figures: Figures, size: Option<u64>, now: Instant) -> Self {
        let detail = peer.detail.as_ref();
        let last_seen = detail.map_or(now, |detail| detail.last_seen);
        let is_first = detail.is_none_or(|detail| detail.first_seen == detail.last_seen);
        let seen = figures.seen.as_ref();
        let completion = completion(peer, seen, size, now);
        let (reachability, reason) = reachability(peer, seen);
        let has_everything = has_everything(peer, seen);
        let rate = figures.download_rate(peer, now);
        Self {
            address: peer.address.ip().to_canonical(),
            port: peer.address.port(),
            peer_id: detail.map_or(PeerId::new([0; 20]), |detail| detail.peer_id),
            first_seen: detail.map_or(now, |detail| detail.first_seen),
            last_seen,
            has_everything,
            came_complete: has_everything && is_first && peer.state == PeerState::Seeder,
            is_partial: peer.state == PeerState::PartialSeed,
            completion: completion.map(|completion| completion.value),
            as_of: completion.map_or(last_seen, |completion| completion.at),
            source: completion.map_or(FigureSource::Announced, |completion| completion.source),
            is_live: figures.is_live(),
            is_event: false,
            rate,
            measured_rate: [rate, figures.rates.map(|rates| rates.download)].into_iter().flatten().reduce(f64::max),
            download: PeerDownload::of(peer, &figures, now),
            reachability,
            reason,
            is_source: Seeding::of(peer, &figures, now) == Some(Seeding::Certain),
        }
    }

    /// A peer in an event, of which only its announce is known.
    pub(crate) fn of_event(peer: &Peer, size: Option<u64>, at: Instant) -> Self {
        Self { is_event: true, ..Self::new(peer, Figures::default(), size, at) }
    }
}
