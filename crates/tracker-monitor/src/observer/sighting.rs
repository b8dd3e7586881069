//! A peer as the lesson takes it in.

use std::net::IpAddr;

use tracker_core::{Instant, Peer, PeerId, PeerState};

use super::expectation::{completion, has_everything};
use super::records::Figures;
use super::stuck::{PeerDownload, Seeding};

/// What a peer of a torrent announced last.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    /// The address of its computer.
    pub(crate) address: IpAddr,
    pub(crate) peer_id: PeerId,
    /// `true` if it announced once so far.
    pub(crate) is_first: bool,
    pub(crate) first_seen: Instant,
    pub(crate) last_seen: Instant,
    pub(crate) has_everything: bool,
    /// `true` if it has all it wants, but not everything.
    pub(crate) is_partial: bool,
    /// From 0 to 1, if it says it.
    pub(crate) completion: Option<f64>,
    /// Bytes per second that it downloads, between its last two announces, while they hold.
    pub(crate) rate: Option<f64>,
    /// The same, whether it still holds or not.
    pub(crate) measured_rate: Option<f64>,
    pub(crate) download: Option<PeerDownload>,
    /// `true` if others can be given it.
    pub(crate) is_dialable: bool,
    /// `true` if it has everything, still announces, and others can be given it.
    pub(crate) is_source: bool,
}

impl Sighting {
    /// A peer of a torrent of this size. One of which the tracker keeps no details is seen now.
    pub(super) fn new(peer: &Peer, figures: Figures, size: Option<u64>, now: Instant) -> Self {
        let detail = peer.detail.as_ref();
        let rates = figures.rates;
        Self {
            address: peer.address.ip().to_canonical(),
            peer_id: detail.map_or(PeerId::new([0; 20]), |detail| detail.peer_id),
            is_first: detail.is_none_or(|detail| detail.first_seen == detail.last_seen),
            first_seen: detail.map_or(now, |detail| detail.first_seen),
            last_seen: detail.map_or(now, |detail| detail.last_seen),
            has_everything: has_everything(peer),
            is_partial: peer.state == PeerState::PartialSeed,
            completion: completion(peer, size),
            rate: rates.zip(detail).and_then(|(rates, detail)| rates.current_download(peer.state, detail, now)),
            measured_rate: rates.map(|rates| rates.download),
            download: PeerDownload::of(peer, figures.progress, now),
            is_dialable: peer.is_dialable(),
            is_source: Seeding::of(peer, now) == Some(Seeding::Certain),
        }
    }

    /// A peer in an event, of which only its announce is known.
    pub(crate) fn of_event(peer: &Peer, size: Option<u64>, at: Instant) -> Self {
        Self::new(peer, Figures::default(), size, at)
    }
}
