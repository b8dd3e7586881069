//! The next expected announce of a peer, its status and its completion.

use std::time::Duration;

use tracker_core::{Instant, Peer, PeerDetail, PeerState};

use super::PeerStatus;
use super::completion::has_everything;
use super::figures::Figures;
use crate::client_name::{says_nothing_is_left_without_metadata, shortest_interval};

/// A peer is overdue when it is late by this and a tenth of its interval, which leaves time for a retry.
const GRACE: Duration = Duration::from_secs(60);

/// The time of the next expected announce: after the interval that the peer was given, or after that of its program if that is
/// longer.
pub(super) fn next_expected(detail: &PeerDetail) -> Instant {
    detail.last_seen + expected_interval(detail)
}

pub(super) fn is_overdue(detail: &PeerDetail, now: Instant) -> bool {
    let interval = expected_interval(detail);
    now > detail.last_seen + (interval + GRACE + interval / 10)
}

/// The bytes that clients say are left while they have a magnet link and no metadata, as measured: libtorrent and WebTorrent say
/// a block, and rTorrent one byte.
const LEFT_WITHOUT_METADATA: [u64; 2] = [16 << 10, 1];

/// Returns `true` if the client of a peer may have no more than a magnet link, so that what it says is left means nothing. This
/// ends when it says something else, or has downloaded something.
///
/// aria2 says that nothing is left, like one that has everything. Only its uploads can tell the two apart.
pub(crate) fn may_lack_metadata(peer: &Peer) -> bool {
    let Some(detail) = peer.detail.as_ref().filter(|detail| detail.downloaded == 0) else { return false };
    match (peer.state, detail.left) {
        (PeerState::Seeder, Some(0)) => detail.uploaded == 0 && says_nothing_is_left_without_metadata(&detail.peer_id),
        (PeerState::Seeder, _) => false,
        (_, left) => left.is_some_and(|left| LEFT_WITHOUT_METADATA.contains(&left)),
    }
}

/// The bytes that a peer of a torrent of this size still wants, if it knows and says so. One that wants as much as the torrent
/// has wants all of it, with the metadata or without.
pub(super) fn left(peer: &Peer, size: Option<u64>) -> Option<u64> {
    peer.detail.as_ref()?.left.filter(|left| size == Some(*left) || !may_lack_metadata(peer))
}

/// Returns `true` if the peer announces that it has the whole content, and can be believed.
pub(super) fn announces_everything(peer: &Peer) -> bool {
    peer.state == PeerState::Seeder && !may_lack_metadata(peer)
}

fn expected_interval(detail: &PeerDetail) -> Duration {
    detail.interval.max(shortest_interval(&detail.peer_id))
}

/// The peer's current status.
pub(super) fn status(peer: &Peer, figures: &Figures, now: Instant) -> PeerStatus {
    match (&peer.detail, peer.state) {
        (Some(detail), _) if !figures.is_live() && is_overdue(detail, now) => PeerStatus::Silent,
        (_, PeerState::PartialSeed) => PeerStatus::Partial,
        _ if has_everything(peer, figures.seen.as_ref()) => PeerStatus::Seeding,
        (_, PeerState::Leecher | PeerState::Seeder) => PeerStatus::Downloading,
    }
}

/// The completion that a peer of a torrent of this size announces, from 0 to 1; `None` if it does not report it, or may have no
/// more than a magnet link. Other clients that do not know the size report more than any torrent has: they count as having nothing.
pub(super) fn announced_completion(peer: &Peer, size: Option<u64>) -> Option<f64> {
    if announces_everything(peer) {
        return Some(1.0);
    }
    let left = left(peer, size)?;
    match size? {
        0 => Some(1.0),
        size => Some(1.0 - left.min(size) as f64 / size as f64),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, Memory, PeerId, Peers, Shards};

    use super::announced_completion as completion;
    use super::*;

    fn status(peer: &Peer, now: Instant) -> PeerStatus {
        super::status(peer, &Figures::default(), now)
    }

    /// A peer as the tracker knows it that announced at 1000 s, of this client, that got this interval.
    fn peer(client: &[u8; 8], interval: u64, left: Option<u64>, event: Option<AnnounceEvent>, memory: Memory) -> Peer {
        let interval = Duration::from_secs(interval);
        let config = Config::default().with(|config| {
            config.interval_floor = interval;
            config.interval_ceiling = interval;
            config.interval_jitter_percent = 0;
            config.memory = memory;
        });
        let mut rng = StdRng::seed_from_u64(1);
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut rng).unwrap();
        let mut peer_id = [b'x'; 20];
        peer_id[..8].copy_from_slice(client);
        let request = AnnounceRequest::new(
            InfoHash::new([1; 20]),
            PeerId::new(peer_id),
            [10, 0, 0, 7].into(),
            [10, 0, 0, 1].into(),
            6881,
        )
        .with_left(left)
        .with_event(event);
        shards.announce(Instant::from_secs(1000), &mut rng, &request, &mut Peers::default()).unwrap();
        shards.with_swarm(&request.info_hash, |swarm| swarm.peers().next()).flatten().unwrap()
    }

    #[test]
    fn healthy_clients_are_not_called_silent() {
        for (client, interval, expected, still_on_time) in [
            // They announce at the interval that they got.
            (b"-TR4060-", 60, 60, 126),
            (b"-WW0208-", 600, 600, 720),
            // Whatever the interval, they announce every 300, 600 or 120 s.
            (b"-qB4520-", 60, 300, 390),
            (b"-DE203s-", 300, 300, 390),
            (b"-lt0D80-", 60, 600, 720),
            (b"A2-1-36-", 60, 120, 192),
            // A long interval is kept by all of them.
            (b"-qB4520-", 1800, 1800, 2040),
        ] {
            let peer = peer(client, interval, Some(10), None, Memory::Full);
            let name = client.escape_ascii();
            let at = |secs: u32| Instant::from_secs(1000 + secs);
            assert_eq!(next_expected(peer.detail.as_ref().unwrap()), at(expected), "{name} {interval}");
            assert_eq!(status(&peer, at(still_on_time)), PeerStatus::Downloading, "{name} {interval}");
            assert_eq!(status(&peer, at(still_on_time + 1)), PeerStatus::Silent, "{name} {interval}");
        }
    }

    #[test]
    fn a_client_that_may_have_only_a_magnet_link_has_no_known_completion() {
        const SIZE: u64 = 4 << 30;
        let started = Some(AnnounceEvent::Started);
        for (client, left, event) in [
            (b"-qB4520-", Some(16_384), started),
            (b"-DE203s-", Some(16_384), None),
            (b"-WW0208-", Some(16_384), started),
            (b"-lt0D80-", Some(1), started),
            (b"A2-1-36-", Some(0), started),
            (b"A2-1-37-", Some(0), None),
            (b"-XX0001-", None, started),
        ] {
            let name = client.escape_ascii().to_string();
            let mut peer = peer(client, 60, left, event, Memory::Full);
            let at_start = Instant::from_secs(1000);
            assert_eq!((completion(&peer, Some(SIZE)), completion(&peer, None)), (None, None), "{name}");
            assert_eq!(
                (status(&peer, at_start), super::left(&peer, Some(SIZE))),
                (PeerStatus::Downloading, None),
                "{name}"
            );
            // It has the metadata.
            let state = std::mem::replace(&mut peer.state, PeerState::Leecher);
            peer.detail.as_mut().unwrap().left = Some(SIZE);
            assert_eq!(
                (completion(&peer, Some(SIZE)), super::left(&peer, Some(SIZE))),
                (Some(0.0), Some(SIZE)),
                "{name}"
            );
            // It has downloaded something, and wants the same as before.
            peer.state = state;
            let detail = peer.detail.as_mut().unwrap();
            (detail.left, detail.downloaded) = (left, 5);
            assert_eq!(completion(&peer, Some(SIZE)).is_some(), left.is_some(), "{name}");
        }
        let is_known = |peer: &Peer| completion(peer, Some(SIZE)).is_some();
        for left in [0, 2, 16_383, 16_385, 32_768] {
            assert!(is_known(&peer(b"-qB4520-", 60, Some(left), started, Memory::Full)), "{left}");
        }
        let completed = peer(b"-WW0208-", 60, Some(16_384), Some(AnnounceEvent::Completed), Memory::Full);
        assert_eq!(completion(&completed, Some(SIZE)), Some(1.0));
        let mut uploads = peer(b"A2-1-36-", 60, Some(0), started, Memory::Full);
        uploads.detail.as_mut().unwrap().uploaded = 1;
        assert_eq!(completion(&uploads, Some(SIZE)), Some(1.0), "it gives others what it has");
    }

    #[test]
    fn a_torrent_may_have_the_size_that_clients_say_for_a_magnet_link() {
        for size in [16_384, 1] {
            let nothing = peer(b"-qB4520-", 60, Some(size), Some(AnnounceEvent::Started), Memory::Full);
            assert_eq!((completion(&nothing, Some(size)), left(&nothing, Some(size))), (Some(0.0), Some(size)));
            assert_eq!((completion(&nothing, None), left(&nothing, None)), (None, None));
            assert_eq!(completion(&nothing, Some(size + 1)), None);
        }
        let one_byte = peer(b"-lt0D80-", 60, Some(1), None, Memory::Full);
        assert_eq!(completion(&one_byte, Some(16_384)), None, "it may have the magnet link only");
        let empty = peer(b"A2-1-36-", 60, Some(0), None, Memory::Full);
        assert_eq!((completion(&empty, Some(0)), left(&empty, Some(0))), (Some(1.0), Some(0)));
    }

    #[test]
    fn status_and_completion_follow_the_announce() {
        let now = Instant::from_secs(1000);
        for (left, event, expected, part) in [
            (Some(1000), None, PeerStatus::Downloading, Some(0.0)),
            (Some(250), None, PeerStatus::Downloading, Some(0.75)),
            (Some(i64::MAX as u64), None, PeerStatus::Downloading, Some(0.0)),
            (None, None, PeerStatus::Downloading, None),
            (Some(500), Some(AnnounceEvent::Paused), PeerStatus::Partial, Some(0.5)),
            (Some(0), None, PeerStatus::Seeding, Some(1.0)),
            (Some(9), Some(AnnounceEvent::Completed), PeerStatus::Seeding, Some(1.0)),
        ] {
            let full = peer(b"-XX0001-", 60, left, event, Memory::Full);
            assert_eq!((status(&full, now), completion(&full, Some(1000))), (expected, part));
            assert_eq!(completion(&full, None).is_some(), expected == PeerStatus::Seeding, "its size is not known");
            let lean = peer(b"-XX0001-", 60, left, event, Memory::Lean);
            let much_later = Instant::from_secs(100_000);
            assert_eq!(status(&lean, much_later), expected, "nobody knows when it announced");
            assert_eq!(completion(&lean, Some(1000)), part.filter(|_| expected == PeerStatus::Seeding));
        }
        assert_eq!(completion(&peer(b"-XX0001-", 60, Some(5), None, Memory::Full), Some(0)), Some(1.0));
    }
}
