//! The tracker's own peer as a service.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use peer_wire::Local;
use rand::RngExt;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracker_core::{Access, EventKind, InfoHash, OwnPeer, PeerId, Reachability, Shards};
use tracker_host::{Addresses, BindError, EventListener, Events};

use crate::announces::Announces;
use crate::context::{Context, SwarmKeys};
use crate::driver::Driver;
use crate::limits::SharedLimits;
use crate::listen::{has_one_port, listen_on};
use crate::machine;
use crate::planner::{Edge, Planner, Sighting};
use crate::uploads::Uploads;
use crate::utp_refusal::bind_utp_beside;
use crate::{Seeding, Torrents, Uploaded};

/// Events that may wait until they are looked at, five times a second. When there are more, all swarms are looked through.
const MAX_PENDING_EVENTS: usize = 20_000;

/// Threads that read what is given. Disks are no faster with more, and blocks that the system has in memory take one at most.
const READERS: usize = 4;

/// How the first letters of the peer id tell of this program, in the manner of most clients.
const PEER_ID_PREFIX: &[u8; 8] = b"-TK0100-";

/// What a [`Service`] works with.
#[derive(Debug)]
pub struct ServiceConfig {
    /// The swarms, whose [listener](Shards::with_listener) is `announces`.
    pub shards: Arc<Shards>,
    /// What hears of announces.
    pub announces: Arc<Announces>,
    /// The tracker's events.
    pub events: Events,
    /// What is known of torrents.
    pub torrents: Arc<dyn Torrents>,
    /// The addresses to listen on, so that peers which cannot be dialled dial the tracker's own peer. All have the same port, as it is
    /// handed out under one; 0 is any free port, the same for all. It is handed out to those who reach the tracker by one of these
    /// addresses, or by any, if this is the unspecified one of the family. Empty: it is not handed out.
    pub listen: Vec<SocketAddr>,
    /// The addresses of the machine.
    pub addresses: Addresses,
    /// From where the tracker takes announces. Nobody outside the LAN is dialled, whatever it says.
    pub access: Access,
    /// Addresses of this machine that no other program uses to share files. From there it may have connections although a client on
    /// this machine is in the swarm.
    pub exclusive: Vec<IpAddr>,
    /// How it seeds the torrents whose [content](Torrents::content) is there; `None` if it only looks and introduces.
    pub seeding: Option<Seeding>,
}

/// The tracker's own peer. It runs on a thread of its own until this is dropped: then it is not handed out any more, and what it
/// found out about the reachability of peers is forgotten.
#[derive(Debug)]
pub struct Service {
    sightings: Sightings,
    shards: Arc<Shards>,
    announces: Arc<Announces>,
    exclusive: Arc<[IpAddr]>,
    listening: Result<Vec<SocketAddr>, BindError>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// The thread ends when it is dropped.
    stop: oneshot::Sender<Infallible>,
    thread: JoinHandle<()>,
}

/// Why the tracker's own peer cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address that it should have for itself is not one of this machine.
    #[error("{address} is not an address of this machine's networks: name one of {}", list(.own))]
    NotOurs {
        /// The address.
        address: IpAddr,
        /// Those that can be named.
        own: Vec<IpAddr>,
    },
    /// It should listen on several ports, and can be handed out under one.
    #[error("the tracker's own peer listens on one port: {} have different ones", list(.addresses))]
    SeveralPorts {
        /// The addresses to listen on.
        addresses: Vec<SocketAddr>,
    },
    /// Its thread or its runtime cannot be started.
    #[error("cannot start the tracker's own peer")]
    Thread(#[from] io::Error),
}

/// What the tracker's own peer sees. Cheap to clone.
#[derive(Clone)]
pub struct Sightings {
    planner: Arc<Mutex<Planner>>,
    uploads: Uploads,
    start: Instant,
}

impl Service {
    /// Starts it. If it cannot listen, it goes on without: see [`listening`](Self::listening).
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if an address is not the machine's, if the addresses to listen on have different ports, or if the
    /// thread cannot be started. Nothing is changed then.
    pub fn start(config: ServiceConfig) -> Result<Self, StartError> {
        let ServiceConfig { shards, announces, events, torrents, listen, addresses, access, exclusive, seeding } =
            config;
        if let Some(&address) = exclusive.iter().find(|address| !addresses.all.contains(address)) {
            return Err(StartError::NotOurs { address, own: addresses.all });
        }
        if !has_one_port(&listen) {
            return Err(StartError::SeveralPorts { addresses: listen });
        }
        let exclusive: Arc<[IpAddr]> = exclusive.into();
        let runtime =
            runtime::Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(READERS).build()?;
        let listeners = {
            let _context = runtime.enter();
            listen_on(&listen)?
        };
        let local_addrs = |listeners: &Vec<TcpListener>| -> io::Result<Vec<SocketAddr>> {
            listeners.iter().map(TcpListener::local_addr).collect()
        };
        let (listening, listeners) = match listeners {
            Ok(listeners) => (Ok(local_addrs(&listeners)?), listeners),
            Err(error) => (Err(error), Vec::new()),
        };
        let utp = {
            let _context = runtime.enter();
            bind_utp_beside(&listeners)
        };
        let start = Instant::now();
        let planner = Arc::new(Mutex::new(Planner::new(machine::network(&addresses, access, &exclusive))));
        let peer_id = peer_id();
        let uploads = Uploads::new(seeding);
        let driver = Driver::new(torrents, listener(&events), uploads.clone(), |reports| Context {
            local: Local::new(peer_id, concat!("tracker ", env!("CARGO_PKG_VERSION"))),
            shards: Arc::clone(&shards),
            planner: Arc::clone(&planner),
            announces: Arc::clone(&announces),
            reports,
            start,
            limits: SharedLimits::default(),
            swarm_keys: SwarmKeys::default(),
            exclusive: Arc::clone(&exclusive),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("own-peer".into()).spawn(move || {
            runtime.block_on(driver.run(listeners, utp, stopped));
            // Reads in progress may wait for a disk that does not answer.
            runtime.shutdown_background();
        })?;
        if let Ok(addresses @ [first, ..]) = listening.as_deref() {
            let own_peer = OwnPeer::new(first.port(), PeerId::new(peer_id));
            shards.set_own_peer(Some(own_peer.with_listen_ips(addresses.iter().map(SocketAddr::ip))));
        }
        let sightings = Sightings { planner, uploads, start };
        Ok(Self { sightings, shards, announces, exclusive, listening, running: Some(Running { stop, thread }) })
    }

    /// The addresses that it listens on, or why it does not.
    ///
    /// # Errors
    ///
    /// The address that cannot be listened on.
    pub fn listening(&self) -> Result<&[SocketAddr], &BindError> {
        self.listening.as_deref()
    }

    /// What it sees.
    pub fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    /// Takes the machine's new addresses, and the address policy.
    pub fn set_network(&self, addresses: &Addresses, access: Access) {
        let network = machine::network(addresses, access, &self.exclusive);
        self.sightings.planner().set_network(self.sightings.now(), network);
        // What follows from it is for the driver to carry out.
        self.announces.wake();
    }

    /// Nobody finds out any more who can be reached, so that what was found out must not stay.
    fn forget_reachability(&self) {
        let mut known = Vec::new();
        self.shards.for_each_swarm(|info_hash, swarm| {
            let peers = swarm.peers().filter(|peer| peer.reachability != Reachability::Unknown);
            known.extend(peers.filter_map(|peer| Some((info_hash, peer.address, peer.detail?.peer_id))));
        });
        for (info_hash, address, peer_id) in known {
            self.shards.set_reachability(&info_hash, address, peer_id, Reachability::Unknown);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shards.set_own_peer(None);
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            // If it panicked it has said so, and there is nothing to be done.
            _ = thread.join();
        }
        self.announces.collect(false);
        self.forget_reachability();
    }
}

impl Sightings {
    /// What is known of these peers of a swarm, in their order. They are named by the addresses that they are kept under.
    pub fn of_peers<'p>(
        &self,
        info_hash: &InfoHash,
        peers: impl IntoIterator<Item = &'p SocketAddr>,
    ) -> Vec<Option<Sighting>> {
        let (planner, now) = (self.planner(), self.start.elapsed());
        peers.into_iter().map(|&address| planner.sighting(now, info_hash, address)).collect()
    }

    /// See [`Planner::edges`].
    pub fn edges(&self, info_hash: &InfoHash) -> Vec<Edge> {
        self.planner().edges(self.now(), info_hash)
    }

    /// See [`Planner::unreachable_pairs`].
    pub fn unreachable_pairs(&self, info_hash: &InfoHash) -> Vec<(SocketAddr, SocketAddr)> {
        self.planner().unreachable_pairs(self.now(), info_hash)
    }

    /// Returns `true` if a torrent is seeded now.
    pub fn is_seeding(&self, info_hash: &InfoHash) -> bool {
        self.uploads.is_seeding(info_hash)
    }

    /// What was sent of a torrent since the start.
    pub fn uploaded(&self, info_hash: &InfoHash) -> Uploaded {
        self.uploads.uploaded(info_hash)
    }

    /// See [`Planner::is_connected_to_all_at`].
    pub fn is_connected_to_all_at(&self, info_hash: &InfoHash, ip: IpAddr) -> bool {
        self.planner().is_connected_to_all_at(info_hash, ip)
    }

    /// The number of connections to peers.
    pub fn open_connections(&self) -> usize {
        self.planner().open_connections()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn planner(&self) -> MutexGuard<'_, Planner> {
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sightings").finish_non_exhaustive()
    }
}

fn listener(events: &Events) -> EventListener {
    // Of newcomers it hears by `Announces`.
    let is_news = |kind: &EventKind| !matches!(kind, EventKind::SwarmCreated | EventKind::PeerJoined(_));
    events.listen_to(MAX_PENDING_EVENTS, is_news)
}

/// Another one at each start, so that nobody takes it for a peer that was there before.
fn peer_id() -> [u8; 20] {
    let mut peer_id: [u8; 20] = rand::rng().random();
    peer_id[..8].copy_from_slice(PEER_ID_PREFIX);
    peer_id
}

fn list(addresses: &[impl ToString]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
