//! The tracker's own peer, joined to the library and the monitor.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use torrent_library::{ContentKey, Contents, KnownTorrent, Library};
use tracker_core::{InfoHash, Peer, Shards};
use tracker_monitor::{
    PeerSightings, ReachabilityReason, SeedingState, SeenConnection, SeenPeer, SeenProgress, SeenSeeding, SeenTorrent,
};
use tracker_peer::{Content, Reason, Service, ServiceConfig, Sighting, Sightings, TorrentFacts, Torrents};

use crate::error::StartError;
use crate::learnt::{LearntTorrent, LearntTorrents, facts};
use crate::seeded::SeededTorrents;

/// What the tracker's own peer knows of torrents, and what it sees of peers.
#[derive(Debug)]
pub(crate) struct OwnPeerView {
    library: Library,
    shards: Arc<Shards>,
    /// `None` if it seeds nothing.
    seeded: Option<SeededTorrents>,
    /// `true` if it has an address of its own, so that clients on this machine need not have a swarm for themselves.
    has_own_address: bool,
    learnt: Mutex<LearntTorrents>,
    /// Set when the peer has started.
    sightings: OnceLock<Sightings>,
}

/// Starts the tracker's own peer.
pub(crate) fn start(
    config: ServiceConfig,
    view: Arc<OwnPeerView>,
) -> Result<(Arc<Service>, Arc<OwnPeerView>), StartError> {
    let service = Service::start(config)?;
    // There is one service for a view.
    _ = view.sightings.set(service.sightings().clone());
    Ok((Arc::new(service), view))
}

/// Where the tracker's own peer listens; or why it does not, and what to do.
pub(crate) fn listening(service: &Service) -> Result<Vec<SocketAddr>, String> {
    service.listening().map(<[_]>::to_vec).map_err(|error| format!("{error}: {} with --peer-listen", error.advice()))
}

/// Logs where the tracker's own peer listens, or why it does not.
pub(crate) fn log_listening(service: &Service) {
    match service.listening() {
        Ok(addresses) => addresses.iter().for_each(|address| tracing::debug!(%address, "the own peer listens")),
        Err(error) => tracing::warn!(
            %error,
            "the tracker's own peer goes on without listening, so that computers behind a firewall are not seen: {} with \
             --peer-listen",
            error.advice(),
        ),
    }
}

impl OwnPeerView {
    /// It seeds what is in `contents`, if there are any.
    pub(crate) fn new(
        library: Library,
        shards: Arc<Shards>,
        contents: Option<Contents>,
        has_own_address: bool,
    ) -> Arc<Self> {
        let seeded = contents.map(|contents| SeededTorrents::new(library.clone(), contents));
        let (learnt, sightings) = Default::default();
        Arc::new(Self { library, shards, seeded, has_own_address, learnt, sightings })
    }

    /// Bytes in a piece of this torrent, if it is known.
    fn piece_length(&self, info_hash: &InfoHash) -> Option<u32> {
        let known = self.library.get(info_hash).map(|torrent| torrent.metainfo.info().piece_length());
        known.or_else(|| self.learnt().get(info_hash).map(|learnt| learnt.piece_length))
    }

    fn is_for_users(&self) -> bool {
        self.shards.config().users
    }

    /// Where the tracker is for users, all torrents are private: only peers that have announced are let in, and there is no PEX.
    fn as_private(&self, facts: TorrentFacts) -> TorrentFacts {
        TorrentFacts { is_private: facts.is_private || self.is_for_users(), ..facts }
    }

    fn learnt(&self) -> MutexGuard<'_, LearntTorrents> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Torrents for OwnPeerView {
    fn facts(&self, info_hash: &InfoHash) -> Option<TorrentFacts> {
        let known = self.library.get(info_hash).map(|torrent| facts(&torrent.metainfo));
        let facts = known.or_else(|| self.learnt().get(info_hash).map(|learnt| learnt.facts));
        // Also of one that is not known yet.
        let facts = facts.or_else(|| self.is_for_users().then_some(TorrentFacts { piece_count: 0, is_private: true }));
        facts.map(|facts| self.as_private(facts))
    }

    fn info(&self, info_hash: &InfoHash) -> Option<Bytes> {
        let known = self.library.get(info_hash).map(|torrent| Bytes::from_owner(InfoBytes(torrent)));
        known.or_else(|| self.learnt().get(info_hash).map(|learnt| learnt.info.clone()))
    }

    fn content(&self, info_hash: &InfoHash) -> Option<Arc<dyn Content>> {
        self.seeded.as_ref()?.get(info_hash).map(|seeded| seeded as _)
    }

    fn content_version(&self) -> u64 {
        self.seeded.as_ref().map(SeededTorrents::version).unwrap_or_default()
    }

    fn learn(&self, info_hash: &InfoHash, info: Bytes) -> Option<TorrentFacts> {
        let torrent = LearntTorrent::read(info).inspect_err(|error| {
            tracing::debug!(torrent = %info_hash, %error, "a peer gave an info dictionary that cannot be used");
        });
        let torrent = torrent.ok()?;
        let facts = self.as_private(torrent.facts);
        self.learnt().insert(*info_hash, torrent);
        Some(facts)
    }
}

impl PeerSightings for OwnPeerView {
    fn look(&self, info_hash: &InfoHash, peers: &[Peer], seen: &mut Vec<Option<SeenPeer>>) {
        let Some(sightings) = self.sightings.get() else {
            seen.extend(peers.iter().map(|_| None));
            return;
        };
        let found = sightings.of_peers(info_hash, peers.iter().map(|peer| &peer.address));
        let piece_length = self.piece_length(info_hash);
        seen.extend(found.into_iter().map(|sighting| sighting.map(|sighting| seen_peer(sighting, piece_length))));
    }

    fn connections(&self, info_hash: &InfoHash) -> Vec<SeenConnection> {
        let edges = self.sightings.get().map(|sightings| sightings.edges(info_hash)).unwrap_or_default();
        let connection =
            |edge: tracker_peer::Edge| SeenConnection { from: edge.from, to: edge.to, is_to_seed: edge.is_to_seed };
        edges.into_iter().map(connection).collect()
    }

    fn unreachable_pairs(&self, info_hash: &InfoHash) -> Vec<(SocketAddr, SocketAddr)> {
        self.sightings.get().map(|sightings| sightings.unreachable_pairs(info_hash)).unwrap_or_default()
    }

    fn torrent(&self, info_hash: &InfoHash) -> Option<SeenTorrent> {
        self.learnt().get(info_hash).map(|learnt| learnt.torrent.clone())
    }

    fn seeding(&self, info_hash: &InfoHash) -> SeenSeeding {
        let uploaded = self.sightings.get().map(|sightings| sightings.uploaded(info_hash)).unwrap_or_default();
        SeenSeeding { state: self.seeding_state(info_hash), bytes: uploaded.bytes, to: uploaded.to }
    }

    fn seeding_state(&self, info_hash: &InfoHash) -> SeedingState {
        let Some(seeded) = &self.seeded else { return SeedingState::Off };
        let contents = seeded.contents();
        let is_shared =
            || self.library.get(info_hash).is_some() && contents.get(ContentKey::Swarm(*info_hash)).is_some();
        if seeded.get(info_hash).is_some() {
            let is_left_to_client = !self.has_own_address && self.shards.has_peer_here(info_hash);
            if is_left_to_client { SeedingState::LocalClient } else { SeedingState::Seeding }
        } else if !is_shared() {
            SeedingState::NotShared
        } else if contents.is_stopped(info_hash) {
            SeedingState::Stopped
        } else if contents.damage(info_hash).is_some() {
            SeedingState::Damaged
        } else {
            SeedingState::NotShared
        }
    }

    fn serves(&self, info_hash: &InfoHash, address: IpAddr) -> bool {
        let Some(sightings) = self.sightings.get() else { return false };
        sightings.is_connected_to_all_at(info_hash, address)
            && self.seeding_state(info_hash) == SeedingState::Seeding
            && sightings.is_seeding(info_hash)
    }

    fn open_connections(&self) -> usize {
        self.sightings.get().map(Sightings::open_connections).unwrap_or_default()
    }
}

/// The info dictionary of a known torrent.
struct InfoBytes(Arc<KnownTorrent>);

impl AsRef<[u8]> for InfoBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.metainfo.info_bytes()
    }
}

fn seen_peer(sighting: Sighting, piece_length: Option<u32>) -> SeenPeer {
    let is_connected = sighting.is_connected;
    let rate = piece_length.filter(|_| is_connected).map(|bytes| sighting.rate * f64::from(bytes));
    SeenPeer {
        reachability: match sighting.reachability {
            tracker_core::Reachability::Unknown => tracker_monitor::Reachability::Unknown,
            tracker_core::Reachability::Yes => tracker_monitor::Reachability::Yes,
            tracker_core::Reachability::No | tracker_core::Reachability::Introduced => {
                tracker_monitor::Reachability::No
            }
        },
        reason: sighting.reason.and_then(reason),
        client: sighting.client.as_deref().map(Into::into),
        progress: sighting.progress.map(|progress| SeenProgress {
            pieces: progress.pieces,
            of: progress.of,
            is_complete: progress.is_complete,
            age: sighting.age.filter(|_| !is_connected),
            rate,
        }),
    }
}

fn reason(reason: Reason) -> Option<ReachabilityReason> {
    Some(match reason {
        Reason::Refused => ReachabilityReason::Refused,
        Reason::NoAnswer => ReachabilityReason::NoAnswer,
        Reason::OtherClient => ReachabilityReason::OtherClient,
        Reason::NotThisTorrent => ReachabilityReason::NotThisTorrent,
        Reason::EncryptedOnly => ReachabilityReason::EncryptedOnly,
        Reason::UtpOnly => ReachabilityReason::UtpOnly,
        Reason::SameMachine => ReachabilityReason::SameMachine,
        _ => return None,
    })
}
