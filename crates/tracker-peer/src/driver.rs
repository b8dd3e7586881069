//! The driver: carries out what the planner decides, and tells it what happens.

mod seeding;
mod swarms;

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use peer_wire::{Event, Handshake, Reserved};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracker_core::InfoHash;
use tracker_host::EventListener;

use crate::accept::{Admitted, Handshakes, Request, accept};
use crate::commands::{CommandSender, commands};
use crate::context::Context;
use crate::dial::{Dial, probe};
use crate::planner::{Action, ConnectionEvent, ConnectionId, DialOutcome, Planner, ProbeOutcome, Progress, UtpOutcome};
use crate::probe::probe_utp;
use crate::torrents::for_connection;
use crate::uploads::Uploads;
use crate::utp_refusal::refuse_utp;
use crate::{TorrentFacts, Torrents};

/// How often the tracker's events are looked at. Newcomers are told of at once; this is about those that leave.
const EVENTS_INTERVAL: Duration = Duration::from_millis(200);

/// The shortest time between two wake-ups for newcomers: each is a system call of the thread that announces, and takes the core
/// from it if there is one only. The first newcomer after a pause causes one at once.
const NEWCOMERS_INTERVAL: Duration = Duration::from_millis(20);

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

/// Carries out what the planner decides.
pub(crate) struct Driver {
    torrents: Arc<dyn Torrents>,
    events: EventListener,
    context: Context,
    uploads: Uploads,
    /// The version of the contents that are given.
    content_version: u64,
    reports: mpsc::Receiver<Report>,
    /// The commands of each connection and attempt. It is closed when these are dropped.
    connections: HashMap<ConnectionId, Connection>,
    /// The probes that are under way.
    probes: HashMap<ConnectionId, AbortHandle>,
    /// The swarms of which the planner knows, each with `true` if its torrent is known.
    swarms: HashMap<InfoHash, bool>,
    rng: StdRng,
    newcomers: VecDeque<(InfoHash, SocketAddr)>,
    /// `true` if something happened in the swarms that was not heard.
    is_behind: bool,
    /// The number of events that the tracker itself has dropped.
    dropped_events: u64,
    /// The next look at all swarms, at the earliest.
    next_look: Duration,
}

struct Connection {
    info_hash: InfoHash,
    commands: CommandSender,
    /// `true` if it was told what is known of the torrent.
    knows_torrent: bool,
}

impl Driver {
    pub(crate) fn new(
        torrents: Arc<dyn Torrents>,
        events: EventListener,
        uploads: Uploads,
        context: impl FnOnce(mpsc::Sender<Report>) -> Context,
    ) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        Self {
            content_version: torrents.content_version(),
            torrents,
            events,
            context: context(sender),
            uploads,
            reports,
            connections: HashMap::new(),
            probes: HashMap::new(),
            swarms: HashMap::new(),
            rng: StdRng::from_rng(&mut rand::rng()),
            newcomers: VecDeque::new(),
            is_behind: false,
            dropped_events: 0,
            next_look: Duration::ZERO,
        }
    }

    /// Runs until `stop` is dropped. All connections are closed then. Connections to the sockets of `utp` are refused.
    pub(crate) async fn run(
        mut self,
        listeners: Vec<TcpListener>,
        utp: Vec<UdpSocket>,
        mut stop: oneshot::Receiver<Infallible>,
    ) {
        let handshakes = Handshakes::default();
        for socket in utp {
            tokio::spawn(refuse_utp(socket, Arc::clone(&self.context.shards)));
        }
        for listener in listeners {
            tokio::spawn(accept(listener, self.context.clone(), handshakes.clone()));
        }
        let mut events = interval(EVENTS_INTERVAL);
        events.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut facts = interval(FACTS_INTERVAL);
        facts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.context.announces.collect(true);
        // Those that were there before.
        self.look_at_all();
        let mut next_newcomers = Instant::now();
        loop {
            self.take_newcomers();
            self.act();
            let timeout = self.planner().poll_timeout().map(|at| self.context.start + at);
            tokio::select! {
                _ = &mut stop => return,
                () = self.context.announces.have_come_by(next_newcomers) => {
                    next_newcomers = Instant::now() + NEWCOMERS_INTERVAL;
                }
                Some(report) = self.reports.recv() => self.take_reports(report),
                _ = events.tick() => {
                    self.take_events();
                    self.uploads.handle_timeout(self.now());
                }
                _ = facts.tick() => {
                    self.look_up_torrents();
                    self.look_up_contents();
                }
                () = sleep_until(timeout.unwrap_or_else(Instant::now)), if timeout.is_some() => {
                    let now = self.now();
                    self.planner().handle_timeout(now);
                }
            }
        }
    }

    /// Looks for torrents that have become known. Of some a swarm knows by an announce, and its connections do not.
    fn look_up_torrents(&mut self) {
        let swarms = self.swarms.iter().filter(|(_, is_known)| !**is_known).map(|(info_hash, _)| *info_hash);
        let connections = self.connections.values().filter(|connection| !connection.knows_torrent);
        let unknown: HashSet<_> = swarms.chain(connections.map(|connection| connection.info_hash)).collect();
        for info_hash in unknown {
            if let Some(facts) = self.torrents.facts(&info_hash) {
                self.learn(info_hash, facts);
            }
        }
    }

    fn learn(&mut self, info_hash: InfoHash, facts: TorrentFacts) {
        // One that was dropped meanwhile does not come back.
        self.swarms.entry(info_hash).and_modify(|is_known| *is_known = true);
        let now = self.now();
        self.planner().set_torrent(now, &info_hash, TorrentFacts::for_planner(Some(facts)));
        let torrent = for_connection(&*self.torrents, &info_hash);
        for connection in self.connections.values_mut().filter(|connection| connection.info_hash == info_hash) {
            connection.knows_torrent = true;
            connection.commands.set_torrent(torrent.clone());
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
                self.give(connection);
            }
            Report::Probed { connection, outcome } => {
                self.probes.remove(&connection);
                self.planner().handle_probed(now, connection, outcome);
            }
            Report::UtpProbed { connection, outcome } => {
                self.probes.remove(&connection);
                self.planner().handle_utp_probed(now, connection, outcome);
            }
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
        let info_hash = incoming.info_hash;
        let admitted = self.planner().handle_accepted(now, &incoming);
        let admitted = admitted.map(|connection| {
            let only_if_nobody_here = self.planner().needs_nobody_here(&info_hash, incoming.local);
            let torrent = for_connection(&*self.torrents, &info_hash);
            let knows_torrent = torrent.piece_count.is_some();
            self.connections.insert(connection, Connection { info_hash, commands, knows_torrent });
            Admitted { connection, torrent, only_if_nobody_here }
        });
        // The connection that gives way to it is closed before it joins the torrent's receivers.
        self.act();
        if let Ok(Admitted { connection, .. }) = &admitted {
            self.give(*connection);
        }
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
                match is_right.then(|| self.torrents.learn(&info_hash, info.into())).flatten() {
                    Some(facts) => self.learn(info_hash, facts),
                    None => self.planner().handle_event(now, connection, ConnectionEvent::MetadataFailed),
                }
            }
            Event::MetadataFailed => {
                self.planner().handle_event(now, connection, ConnectionEvent::MetadataFailed);
            }
            // The connection itself has to do with the others, and the handshake was reported before.
            _ => {}
        }
    }

    /// Carries out all actions.
    ///
    /// A dial has its place among the sockets of its swarm when this returns, and begins later. A client on this machine that announces
    /// is first among the newcomers, and closes all sockets then. So it closes the dial, if that has its place by then; or the
    /// client is among the newcomers before the dial has its place, and the planner hears of it here, and gives the dial up.
    fn act(&mut self) {
        loop {
            let mut has_dials = false;
            loop {
                let Some(action) = self.planner().poll_action() else { break };
                has_dials |= matches!(action, Action::Dial { .. });
                self.carry_out(action);
            }
            if !has_dials {
                return;
            }
            self.take_newcomers();
        }
    }

    fn carry_out(&mut self, action: Action) {
        let reports = self.context.reports.clone();
        match action {
            Action::Dial { connection, info_hash, to, from, encryption, only_if_nobody_here, .. } => {
                let torrent = for_connection(&*self.torrents, &info_hash);
                let knows_torrent = torrent.piece_count.is_some();
                let (commands, wanted) = commands();
                self.connections.insert(connection, Connection { info_hash, commands, knows_torrent });
                let dial = Dial { connection, info_hash, to, from, encryption, only_if_nobody_here, torrent };
                let entry = self.context.enter(info_hash, from);
                tokio::spawn(dial.run(self.context.clone(), entry, wanted));
            }
            Action::Probe { connection, to, from, .. } => {
                let probe = tokio::spawn(async move {
                    let outcome = probe(to, from).await;
                    _ = reports.send(Report::Probed { connection, outcome }).await;
                });
                self.probes.insert(connection, probe.abort_handle());
            }
            Action::ProbeUtp { connection, info_hash, to, from, shakes_hands } => {
                let handshake = shakes_hands.then(|| Handshake {
                    reserved: Reserved::EXTENSIONS,
                    info_hash: *info_hash.as_bytes(),
                    peer_id: self.context.local.peer_id,
                });
                let probe = tokio::spawn(async move {
                    let outcome = probe_utp(to, from, handshake).await;
                    _ = reports.send(Report::UtpProbed { connection, outcome }).await;
                });
                self.probes.insert(connection, probe.abort_handle());
            }
            Action::Close { connection, reason } => {
                tracing::debug!(?connection, ?reason, "closing a connection to a peer");
                self.connections.remove(&connection);
                if let Some(probe) = self.probes.remove(&connection) {
                    probe.abort();
                }
            }
            // Of a connection that has ended the planner will be told, or was.
            Action::Introduce { connection, added, dropped } => {
                if let Some(Connection { commands, .. }) = self.connections.get(&connection) {
                    commands.introduce(added, &dropped);
                }
            }
            Action::RequestMetadata { connection } => {
                if let Some(Connection { commands, .. }) = self.connections.get(&connection) {
                    commands.request_metadata();
                }
            }
            Action::SetReachability { info_hash, address, peer_id, reachability } => {
                // A peer that has left meanwhile has none.
                self.context.shards.set_reachability(&info_hash, address, peer_id, reachability);
            }
        }
    }

    fn now(&self) -> Duration {
        self.context.start.elapsed()
    }

    fn planner(&self) -> MutexGuard<'_, Planner> {
        self.context.planner()
    }
}

/// Returns `true` if this is the digest of an info dictionary: SHA-1, or the beginning of SHA-256
/// ([BEP 52](https://www.bittorrent.org/beps/bep_0052.html)).
fn is_digest(info_hash: InfoHash, info: &[u8]) -> bool {
    let hash = info_hash.as_bytes();
    Sha1::digest(info).as_slice() == hash || Sha256::digest(info)[..hash.len()] == hash[..]
}

/// On Linux, where a listener at which enough connections wait does not answer.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use peer_wire::mse::obfuscated_hash;
    use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
    use tokio::time::{sleep, timeout};
    use tracker_core::{AnnounceEvent, AnnounceRequest, PeerId};
    use tracker_host::Events;

    use super::*;
    use crate::context::tests::context;
    use crate::planner::{CloseReason, PEERS};

    const PATIENCE: Duration = Duration::from_secs(30);
    const SWARM: InfoHash = InfoHash::new([1; 20]);

    #[derive(Debug)]
    struct NoTorrents;

    impl Torrents for NoTorrents {
        fn facts(&self, _: &InfoHash) -> Option<TorrentFacts> {
            None
        }

        fn learn(&self, _: &InfoHash, _: Bytes) -> Option<TorrentFacts> {
            None
        }
    }

    fn driver() -> Driver {
        let (context, _) = context();
        let events = Events::without_thread(Arc::clone(&context.shards)).listen(1);
        let uploads = Uploads::new(None);
        Driver::new(Arc::new(NoTorrents), events, uploads, |reports| Context { reports, ..context })
    }

    /// A listener that answers no more: connections wait at it, as many as may.
    async fn silent_listener() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        (listener, waiting)
    }

    /// One of many peers announces, a thousand of which are in each swarm. Returns its swarm and address.
    fn announce(driver: &Driver, number: usize, event: AnnounceEvent) -> (InfoHash, SocketAddr) {
        let info_hash = InfoHash::new([(number / 1000) as u8; 20]);
        let (ip, port) = (Ipv4Addr::from_bits(0x0a00_0000 + number as u32), 6881);
        let peer_id = PeerId::new([9; 20]);
        let request = AnnounceRequest::new(info_hash, peer_id, ip.into(), [10, 255, 0, 1].into(), port);
        let (mut rng, mut answer) = (StdRng::seed_from_u64(1), tracker_core::Peers::default());
        let (now, request) = (tracker_core::Instant::ZERO, request.with_left(1).with_event(event));
        driver.context.shards.announce(now, &mut rng, &request, &mut answer).unwrap();
        (info_hash, (ip, port).into())
    }

    #[test]
    fn of_a_swarm_without_known_peers_nothing_is_kept() {
        let mut driver = driver();
        (0..PEERS).for_each(|number| _ = announce(&driver, number, AnnounceEvent::Started));
        driver.look_at_all();
        assert_eq!((driver.planner().room(), driver.swarms.len()), (0, PEERS / 1000));
        let (crowded_out, address) = announce(&driver, PEERS, AnnounceEvent::Started);
        driver.look_at(crowded_out, address);
        assert!(!driver.swarms.contains_key(&crowded_out), "there is no room");

        let left: Vec<_> = (0..1000).map(|number| announce(&driver, number, AnnounceEvent::Stopped)).collect();
        left.iter().for_each(|&(info_hash, address)| driver.look_at(info_hash, address));
        assert!(!driver.swarms.contains_key(&left[0].0));
        assert!(driver.context.swarm_keys.find(&obfuscated_hash(left[0].0.as_bytes())).is_none());
        driver.look_at(crowded_out, address);
        assert!(driver.swarms.contains_key(&crowded_out));
    }

    #[test]
    fn the_planner_is_complete_again_when_there_is_room_for_all() {
        let mut driver = driver();
        (0..=PEERS).for_each(|number| _ = announce(&driver, number, AnnounceEvent::Started));
        driver.look_at_all();
        assert!(driver.planner().is_incomplete());
        driver.take_events();
        assert!(driver.planner().is_incomplete(), "there is no room yet");

        announce(&driver, 0, AnnounceEvent::Stopped);
        driver.take_events();
        assert!(!driver.planner().is_incomplete());
        assert_eq!(driver.planner().room(), 0, "the one that was not known is");
    }

    #[tokio::test]
    async fn a_probe_that_is_closed_ends_at_once() {
        let mut driver = driver();
        let (listener, _waiting) = silent_listener().await;
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let [tcp, utp] = [1, 2].map(ConnectionId::for_test);
        let from = listener.local_addr().unwrap().ip();
        let (to, utp_to) = (listener.local_addr().unwrap(), silent.local_addr().unwrap());
        driver.carry_out(Action::Probe { connection: tcp, info_hash: SWARM, to, from });
        driver.carry_out(Action::ProbeUtp { connection: utp, info_hash: SWARM, to: utp_to, from, shakes_hands: true });
        // Both are under way.
        timeout(PATIENCE, silent.readable()).await.unwrap().unwrap();
        let tasks = tokio::runtime::Handle::current().metrics();
        assert_eq!((tasks.num_alive_tasks(), driver.probes.len()), (2, 2));

        for connection in [tcp, utp] {
            driver.carry_out(Action::Close { connection, reason: CloseReason::Left });
        }
        let ending = async {
            while tasks.num_alive_tasks() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, ending).await.unwrap();
        driver.reports.try_recv().expect_err("nothing is reported of a probe that was closed");
        assert!(driver.probes.is_empty());
    }
}
