//! An own peer that sees what a test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tracker_core::{InfoHash, Peer};

use super::*;

/// All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeSightings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) peers: HashMap<(InfoHash, SocketAddr), SeenPeer>,
    pub(crate) connections: Vec<SeenConnection>,
    pub(crate) pairs: Vec<(SocketAddr, SocketAddr)>,
    pub(crate) torrents: HashMap<InfoHash, SeenTorrent>,
    pub(crate) seeding: HashMap<InfoHash, SeenSeeding>,
}

impl FakeSightings {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The peer at this address is seen from now on to have so many of 100 pieces, and gets 1000 bytes per second.
    pub(crate) fn live(&self, info_hash: InfoHash, address: SocketAddr, pieces: u32) {
        let progress =
            SeenProgress { pieces, of: Some(100), is_complete: pieces == 100, age: None, rate: Some(1000.0) };
        self.state().peers.entry((info_hash, address)).or_default().progress = Some(progress);
    }

    /// The same, and it gets nothing.
    pub(crate) fn still(&self, info_hash: InfoHash, address: SocketAddr, pieces: u32) {
        self.live(info_hash, address, pieces);
        let mut state = self.state();
        let progress = state.peers.get_mut(&(info_hash, address)).and_then(|seen| seen.progress.as_mut()).unwrap();
        progress.rate = Some(0.0);
    }

    /// A torrent is seeded, and these peers have got so many bytes of it in all.
    pub(crate) fn sent(&self, info_hash: InfoHash, to: &[(SocketAddr, u64)]) {
        let bytes = to.iter().map(|(_, bytes)| bytes).sum();
        self.state().seeding.insert(info_hash, SeenSeeding { state: SeedingState::Seeding, bytes, to: to.to_vec() });
    }

    /// There has been no connection to the peer at this address for so many seconds.
    pub(crate) fn lost(&self, info_hash: InfoHash, address: SocketAddr, secs: u64) {
        let mut state = self.state();
        let progress = state.peers.get_mut(&(info_hash, address)).and_then(|seen| seen.progress.as_mut()).unwrap();
        (progress.age, progress.rate) = (Some(Duration::from_secs(secs)), None);
    }

    /// Whether others can connect to the peer at this address, from now on.
    pub(crate) fn reach(
        &self,
        info_hash: InfoHash,
        address: SocketAddr,
        reachability: Reachability,
        reason: Option<ReachabilityReason>,
    ) {
        let mut state = self.state();
        let seen = state.peers.entry((info_hash, address)).or_default();
        (seen.reachability, seen.reason) = (reachability, reason);
    }
}

impl PeerSightings for FakeSightings {
    fn look(&self, info_hash: &InfoHash, peers: &[Peer], seen: &mut Vec<Option<SeenPeer>>) {
        let state = self.state();
        seen.extend(peers.iter().map(|peer| state.peers.get(&(*info_hash, peer.address)).cloned()));
    }

    fn connections(&self, _info_hash: &InfoHash) -> Vec<SeenConnection> {
        self.state().connections.clone()
    }

    fn unreachable_pairs(&self, _info_hash: &InfoHash) -> Vec<(SocketAddr, SocketAddr)> {
        self.state().pairs.clone()
    }

    fn torrent(&self, info_hash: &InfoHash) -> Option<SeenTorrent> {
        self.state().torrents.get(info_hash).cloned()
    }

    fn seeding(&self, info_hash: &InfoHash) -> SeenSeeding {
        self.state().seeding.get(info_hash).cloned().unwrap_or_default()
    }

    fn seeding_state(&self, info_hash: &InfoHash) -> SeedingState {
        self.seeding(info_hash).state
    }

    fn open_connections(&self) -> usize {
        self.state().peers.values().filter(|seen| seen.progress.is_some_and(|progress| progress.age.is_none())).count()
    }
}
