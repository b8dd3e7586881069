//! What the tasks of the tracker's own peer have in common.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peer_wire::Local;
use peer_wire::mse::obfuscated_hash;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracker_core::{InfoHash, Shards};

use crate::announces::Announces;
use crate::driver::Report;
use crate::limits::SharedLimits;
use crate::planner::Planner;
use crate::swarm_sockets::SocketEntry;

/// What tasks need. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) local: Local,
    pub(crate) shards: Arc<Shards>,
    pub(crate) planner: Arc<Mutex<Planner>>,
    pub(crate) announces: Arc<Announces>,
    pub(crate) reports: mpsc::Sender<Report>,
    /// The zero of all times.
    pub(crate) start: Instant,
    pub(crate) limits: SharedLimits,
    pub(crate) swarm_keys: SwarmKeys,
    /// The addresses that only the tracker's own peer uses.
    pub(crate) exclusive: Arc<[IpAddr]>,
}

impl Context {
    pub(crate) fn planner(&self) -> MutexGuard<'_, Planner> {
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a socket at this address of the machine among those that are closed when a client on this machine announces.
    /// `None` where it is in nobody's way: over loopback, and at an address that only the tracker's own peer uses.
    pub(crate) fn enter(&self, info_hash: InfoHash, local: IpAddr) -> Option<SocketEntry> {
        let is_shared = !local.is_loopback() && !self.exclusive.contains(&local);
        is_shared.then(|| self.announces.sockets.enter(info_hash))
    }

    /// Returns `true` if a socket that has been [entered](Self::enter) may be opened.
    pub(crate) fn is_free(&self, info_hash: &InfoHash, only_if_nobody_here: bool) -> bool {
        !only_if_nobody_here || !self.shards.has_peer_here(info_hash)
    }
}

/// The swarms by the hash under which they are asked for in an encrypted handshake. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SwarmKeys(Arc<Mutex<HashMap<[u8; 20], [u8; 20]>>>);

impl SwarmKeys {
    pub(crate) fn find(&self, obfuscated: &[u8; 20]) -> Option<[u8; 20]> {
        self.lock().get(obfuscated).copied()
    }

    pub(crate) fn insert(&self, info_hash: &InfoHash) {
        self.lock().insert(obfuscated_hash(info_hash.as_bytes()), *info_hash.as_bytes());
    }

    pub(crate) fn remove(&self, info_hash: &InfoHash) {
        self.lock().remove(&obfuscated_hash(info_hash.as_bytes()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 20], [u8; 20]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::num::NonZeroUsize;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tracker_core::Config;

    use super::*;
    use crate::planner::Network;

    /// An address that only the own peer uses.
    pub(crate) const EXCLUSIVE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    /// What tasks need that no driver started, and what they report.
    pub(crate) fn context() -> (Context, mpsc::Receiver<Report>) {
        let announces = Arc::new(Announces::default());
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let (sender, reports) = mpsc::channel(16);
        let context = Context {
            local: Local::new([9; 20], "test"),
            shards: Arc::new(shards.with_listener(Arc::clone(&announces) as _)),
            planner: Arc::new(Mutex::new(Planner::new(Network::default()))),
            announces,
            reports: sender,
            start: Instant::now(),
            limits: SharedLimits::default(),
            swarm_keys: SwarmKeys::default(),
            exclusive: Arc::new([EXCLUSIVE]),
        };
        (context, reports)
    }

    #[tokio::test]
    async fn sockets_that_may_be_in_the_way_have_a_place() {
        let (context, _reports) = context();
        let swarm = InfoHash::new([1; 20]);
        for (local, has_place) in
            [("10.0.0.1", true), ("fd77::1", true), ("10.0.0.2", false), ("127.0.0.1", false), ("::1", false)]
        {
            assert_eq!(context.enter(swarm, local.parse().unwrap()).is_some(), has_place, "{local}");
        }
    }
}
