//! The driver: carries out what the planner decides, and tells it what happens.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer_wire::mse::obfuscated_hash;
use peer_wire::{Event, Local};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracker_core::{EventKind, InfoHash, Peer, Shards};
use tracker_host::EventListener;

use crate::accept::{Admitted, Handshakes, Request, accept};
use crate::announces::Announces;
use crate::dial::{Dial, probe};
use crate::planner::{
    Action, Announced, ConnectionEvent, ConnectionId, DialOutcome, Planner, ProbeOutcome, Progress, Reachability,
    UtpOutcome,
};
use crate::probe::probe_utp;
use crate::session::{BitfieldBytes, Command};
use crate::{TorrentFacts, Torrents};

/// How often the tracker's events are looked at. Newcomers are told of at once; this is about those that leave.
const EVENTS_INTERVAL: Duration = Duration::from_millis(200);

/// How often torrents that are not known are looked up again.
const FACTS_INTERVAL: Duration = Duration::from_secs(1);

/// Reports that wait for the driver. Connections that have more to tell wait.
const REPORTS: usize = 1024;

/// Reports that are taken before other things are looked at.
const REPORTS_AT_ONCE: usize = 256;

/// What a connection or an attempt tells.
#[derive(Debug)]
pub(crate) enum Report {
    Dialled { connection: ConnectionId, outcome: DialOutcome },
    Probed { connection: ConnectionId, outcome: ProbeOutcome },
    UtpProbed { connection: ConnectionId, outcome: UtpOutcome },
    Incoming(Request),
    Event { connection: ConnectionId, event: Event },
    Closed { connection: ConnectionId },
}

/// What tasks need. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) local: Local,
    pub(crate) shards: Arc<Shards>,
    pub(crate) announces: Arc<Announces>,
    pub(crate) reports: mpsc::Sender<Report>,
    /// The zero of all times.
    pub(crate) start: Instant,
    pub(crate) bitfields: BitfieldBytes,
    pub(crate) swarm_keys: SwarmKeys,
    /// The addresses that only the tracker's own peer uses.
    pub(crate) exclusive: Arc<[IpAddr]>,
}

impl Context {
    /// Commands that wait for a connection. When there are more, the peer is not told of some others.
    pub(crate) const COMMANDS: usize = 32;

    pub(crate) fn is_exclusive(&self, local: IpAddr) -> bool {
        self.exclusive.contains(&local)
    }
}

/// The swarms by the hash under which they are asked for in an encrypted handshake. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SwarmKeys(Arc<Mutex<HashMap<[u8; 20], [u8; 20]>>>);

impl SwarmKeys {
    pub(crate) fn find(&self, obfuscated: &[u8; 20]) -> Option<[u8; 20]> {
        self.lock().get(obfuscated).copied()
    }

    fn insert(&self, info_hash: &InfoHash) {
        self.lock().insert(obfuscated_hash(info_hash.as_bytes()), *info_hash.as_bytes());
    }

    fn remove(&self, info_hash: &InfoHash) {
        self.lock().remove(&obfuscated_hash(info_hash.as_bytes()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 20], [u8; 20]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out what the planner decides.
pub(crate) struct Driver {
    planner: Arc<Mutex<Planner>>,
    torrents: Arc<dyn Torrents>,
    events: EventListener,
    context: Context,
    reports: mpsc::Receiver<Report>,
    /// The commands of each connection and attempt. It is closed when these are dropped.
    connections: HashMap<ConnectionId, Connection>,
    /// The swarms with peers, each with `true` if its torrent is known.
    swarms: HashMap<InfoHash, bool>,
    rng: StdRng,
    newcomers: VecDeque<(InfoHash, SocketAddr)>,
}

struct Connection {
    info_hash: InfoHash,
    commands: mpsc::Sender<Command>,
}

impl Driver {
    pub(crate) fn new(
        planner: Arc<Mutex<Planner>>,
        torrents: Arc<dyn Torrents>,
        events: EventListener,
        context: impl FnOnce(mpsc::Sender<Report>) -> Context,
    ) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        Self {
            planner,
            torrents,
            events,
            context: context(sender),
            reports,
            connections: HashMap::new(),
            swarms: HashMap::new(),
            rng: StdRng::from_rng(&mut rand::rng()),
            newcomers: VecDeque::new(),
        }
    }

    /// Runs until `stop` is dropped. All connections are closed then.
    pub(crate) async fn run(mut self, listeners: Vec<TcpListener>, mut stop: oneshot::Receiver<Infallible>) {
        let handshakes = Handshakes::default();
        for listener in listeners {
            tokio::spawn(accept(listener, self.context.clone(), handshakes.clone()));
        }
        let mut events = interval(EVENTS_INTERVAL);
        events.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut facts = interval(FACTS_INTERVAL);
        facts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Those that were there before.
        self.look_at_all();
        loop {
            self.take_newcomers();
            self.act();
            let timeout = self.planner().poll_timeout().map(|at| self.context.start + at);
            tokio::select! {
                _ = &mut stop => return,
                () = self.context.announces.has_come() => {}
                Some(report) = self.reports.recv() => self.take_reports(report),
                _ = events.tick() => self.take_events(),
                _ = facts.tick() => self.look_up_torrents(),
                () = sleep_until(timeout.unwrap_or_else(Instant::now)), if timeout.is_some() => {
                    let now = self.now();
                    self.planner().handle_timeout(now);
                }
            }
        }
    }

    fn take_newcomers(&mut self) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        let is_complete = self.context.announces.take(&mut newcomers);
        for (info_hash, address) in newcomers.drain(..) {
            if let Some(peer) = self.peer_at(&info_hash, address) {
                self.announced(info_hash, &peer);
            }
        }
        self.newcomers = newcomers;
        if !is_complete {
            self.look_at_all();
        }
    }

    fn take_events(&mut self) {
        let mut events = Vec::new();
        let lost = self.events.take(&mut events);
        let now = self.now();
        for event in events {
            let info_hash = event.info_hash;
            match event.kind {
                // A newcomer may have left since it came, and come back.
                EventKind::PeerJoined(peer) | EventKind::PeerCompleted(peer) => {
                    if let Some(peer) = self.peer_at(&info_hash, peer.address) {
                        self.announced(info_hash, &peer);
                    }
                }
                EventKind::PeerUpdated { peer, moved_from } => {
                    if let Some(address) = moved_from {
                        self.planner().handle_left(now, &info_hash, address);
                    }
                    self.announced(info_hash, &peer);
                }
                EventKind::PeerLeft(peer) | EventKind::PeerExpired(peer) => {
                    // Another one may be there by now, of which the planner was told.
                    match self.peer_at(&info_hash, peer.address) {
                        Some(successor) => self.announced(info_hash, &successor),
                        None => self.planner().handle_left(now, &info_hash, peer.address),
                    }
                }
                EventKind::SwarmDropped if !self.has_peers(&info_hash) => {
                    self.planner().handle_swarm_dropped(now, &info_hash);
                    self.swarms.remove(&info_hash);
                    self.context.swarm_keys.remove(&info_hash);
                }
                _ => {}
            }
        }
        if lost > 0 {
            self.look_at_all();
        }
    }

    fn peer_at(&self, info_hash: &InfoHash, address: SocketAddr) -> Option<Peer> {
        self.context.shards.with_swarm(info_hash, |swarm| swarm.peer(address)).flatten()
    }

    fn has_peers(&self, info_hash: &InfoHash) -> bool {
        self.context.shards.with_swarm(info_hash, |swarm| !swarm.is_empty()).unwrap_or(false)
    }

    /// Looks at the peers of all swarms.
    fn look_at_all(&mut self) {
        let mut found: Vec<(InfoHash, Peer)> = Vec::new();
        self.context
            .shards
            .for_each_swarm(|info_hash, swarm| found.extend(swarm.peers().map(|peer| (info_hash, peer))));
        for (info_hash, peer) in &found {
            self.announced(*info_hash, peer);
        }
    }

    fn announced(&mut self, info_hash: InfoHash, peer: &Peer) {
        // Of a lean tracker's peers too little is known.
        let Some(detail) = &peer.detail else { return };
        let facts = self.torrents.facts(&info_hash);
        if self.swarms.insert(info_hash, facts.is_some()).is_none() {
            self.context.swarm_keys.insert(&info_hash);
        }
        let announced = Announced {
            address: peer.address,
            peer_id: detail.peer_id,
            key: detail.key,
            state: peer.state,
            is_claimed: detail.is_claimed,
        };
        let (now, torrent) = (self.now(), TorrentFacts::for_planner(facts));
        let mut planner = self.planner.lock().unwrap_or_else(PoisonError::into_inner);
        planner.handle_announce(now, &mut self.rng, info_hash, torrent, announced);
    }

    /// Looks for torrents that have become known.
    fn look_up_torrents(&mut self) {
        let unknown = self.swarms.iter().filter(|(_, is_known)| !**is_known).map(|(info_hash, _)| *info_hash);
        let unknown: Vec<_> = unknown.collect();
        for info_hash in unknown {
            if let Some(facts) = self.torrents.facts(&info_hash) {
                self.learn(info_hash, facts);
            }
        }
    }

    fn learn(&mut self, info_hash: InfoHash, facts: TorrentFacts) {
        self.swarms.insert(info_hash, true);
        let now = self.now();
        self.planner().set_torrent(now, &info_hash, TorrentFacts::for_planner(Some(facts)));
        let torrent = TorrentFacts::for_connection(Some(facts));
        for connection in self.connections.values().filter(|connection| connection.info_hash == info_hash) {
            connection.send(Command::SetTorrent(torrent));
        }
    }

    fn take_reports(&mut self, first: Report) {
        // Before, so that a peer that connects as soon as it has its answer is known.
        self.take_newcomers();
        self.take_report(first);
        for _ in 1..REPORTS_AT_ONCE {
            match self.reports.try_recv() {
                Ok(report) => self.take_report(report),
                Err(_) => return,
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        let now = self.now();
        match report {
            Report::Dialled { connection, outcome } => {
                if !matches!(outcome, DialOutcome::Established { .. }) {
                    self.connections.remove(&connection);
                }
                self.planner().handle_dialled(now, connection, outcome);
            }
            Report::Probed { connection, outcome } => self.planner().handle_probed(now, connection, outcome),
            Report::UtpProbed { connection, outcome } => self.planner().handle_utp_probed(now, connection, outcome),
            Report::Incoming(request) => self.admit(now, request),
            Report::Event { connection, event } => self.take_event(now, connection, event),
            Report::Closed { connection } => {
                self.connections.remove(&connection);
                self.planner().handle_event(now, connection, ConnectionEvent::Closed);
            }
        }
    }

    fn admit(&mut self, now: Duration, request: Request) {
        let Request { incoming, commands, answer } = request;
        let admitted = self.planner().handle_accepted(now, &incoming);
        let admitted = admitted.map(|connection| {
            let info_hash = incoming.info_hash;
            self.connections.insert(connection, Connection { info_hash, commands });
            let torrent = TorrentFacts::for_connection(self.torrents.facts(&info_hash));
            Admitted { connection, torrent }
        });
        // A task that has ended meanwhile said so, or the runtime ends.
        if let Err(Ok(Admitted { connection, .. })) = answer.send(admitted) {
            self.connections.remove(&connection);
            self.planner().handle_event(now, connection, ConnectionEvent::Closed);
        }
    }

    fn take_event(&mut self, now: Duration, connection: ConnectionId, event: Event) {
        let Some(&Connection { info_hash, .. }) = self.connections.get(&connection) else { return };
        match event {
            Event::Client(name) => {
                self.planner().handle_event(now, connection, ConnectionEvent::Client { name: &name });
            }
            Event::MetadataOffered => {
                self.planner().handle_event(now, connection, ConnectionEvent::MetadataOffered);
            }
            Event::Progress(progress) => {
                let progress = Progress { pieces: progress.had, of: progress.of, is_complete: progress.is_complete };
                self.planner().handle_event(now, connection, ConnectionEvent::Progress(progress));
            }
            Event::Pex(pex) => {
                let pex = ConnectionEvent::Pex { added: &pex.added, dropped: &pex.dropped };
                self.planner().handle_event(now, connection, pex);
            }
            Event::Metadata(info) => {
                let is_right = is_digest(info_hash, &info);
                match is_right.then(|| self.torrents.learn(&info_hash, &info)).flatten() {
                    Some(facts) => self.learn(info_hash, facts),
                    None => self.planner().handle_event(now, connection, ConnectionEvent::MetadataFailed),
                }
            }
            Event::MetadataFailed => {
                self.planner().handle_event(now, connection, ConnectionEvent::MetadataFailed);
            }
            // The own peer has nothing to give, and the handshake was reported before.
            _ => {}
        }
    }

    fn act(&mut self) {
        loop {
            let Some(action) = self.planner().poll_action() else { return };
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let reports = self.context.reports.clone();
        match action {
            Action::Dial { connection, info_hash, to, from, encryption, only_if_nobody_here, .. } => {
                let torrent = TorrentFacts::for_connection(self.torrents.facts(&info_hash));
                let (commands, wanted) = mpsc::channel(Context::COMMANDS);
                self.connections.insert(connection, Connection { info_hash, commands });
                let dial = Dial { connection, info_hash, to, from, encryption, only_if_nobody_here, torrent };
                tokio::spawn(dial.run(self.context.clone(), wanted));
            }
            Action::Probe { connection, to, from, .. } => {
                tokio::spawn(async move {
                    let outcome = probe(to, from).await;
                    _ = reports.send(Report::Probed { connection, outcome }).await;
                });
            }
            Action::ProbeUtp { connection, to, from, .. } => {
                tokio::spawn(async move {
                    let outcome = probe_utp(to, from).await;
                    _ = reports.send(Report::UtpProbed { connection, outcome }).await;
                });
            }
            Action::Close { connection, reason } => {
                tracing::debug!(?connection, ?reason, "closing a connection to a peer");
                self.connections.remove(&connection);
            }
            Action::Introduce { connection, added, dropped } => {
                self.command(connection, Command::Introduce { added, dropped });
            }
            Action::RequestMetadata { connection } => self.command(connection, Command::RequestMetadata),
            Action::SetReachability { info_hash, address, peer_id, reachability } => {
                let reachability = match reachability {
                    Reachability::Unknown => tracker_core::Reachability::Unknown,
                    Reachability::Yes => tracker_core::Reachability::Yes,
                    Reachability::No => tracker_core::Reachability::No,
                };
                // A peer that has left meanwhile has none.
                self.context.shards.set_reachability(&info_hash, address, peer_id, reachability);
            }
        }
    }

    fn command(&self, connection: ConnectionId, command: Command) {
        if let Some(connection) = self.connections.get(&connection) {
            connection.send(command);
        }
    }

    fn now(&self) -> Duration {
        self.context.start.elapsed()
    }

    fn planner(&self) -> MutexGuard<'_, Planner> {
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::debug!("a connection to a peer takes no commands");
        }
    }
}

/// Returns `true` if this is the digest of an info dictionary: SHA-1, or the beginning of SHA-256
/// ([BEP 52](https://www.bittorrent.org/beps/bep_0052.html)).
fn is_digest(info_hash: InfoHash, info: &[u8]) -> bool {
    let hash = info_hash.as_bytes();
    Sha1::digest(info).as_slice() == hash || Sha256::digest(info)[..hash.len()] == hash[..]
}
