//! The event log: a log line for each computer that begins, finishes or leaves a file.
//!
//! The message is a sentence for people. The field `event` has the same name for all events of a kind, for programs.

pub(crate) mod browser;
mod reachability;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use torrent_library::ContentKey;
use tracing::field::{Value, display};
use tracing::info;
use tracker_core::{Event, EventKind, InfoHash, Peer, PeerState, ShardsView, SwarmCounts};
use tracker_host::{EventListener, Events, host_name};

use crate::client_name::client;
use crate::event_thread::EventThread;
use crate::observer::may_lack_metadata;
use crate::{Computers, FileProgress};

pub(crate) use reachability::ReachabilityLog;

/// Events that should be able to wait to be logged or observed, for
/// [`Config::max_pending_events`](tracker_core::Config::max_pending_events).
///
/// Each is 184 bytes, so that a full queue takes 24 MB. In the worst burst the core's queue, the list on its way to the
/// listeners, and for the log and the observer each a queue and the list that was taken from it are full at once: 145 MB, and up
/// to 290 MB with the room into which they grow. All give it back once they are empty. While there are many, they are fetched a hundred
/// times a second, so that queues are that long only if a listener is held up.
pub const MAX_PENDING_EVENTS: usize = 1 << 17;

/// The target of the lines that tell of peers. There is one for each that comes or goes.
pub(crate) const TARGET: &str = module_path!();

/// The longest time between two checks for lost events and lines.
const PERIOD: Duration = Duration::from_secs(1);

/// Containers that are warned of. By then the operator knows.
const MAX_CONTAINERS: usize = 64;

/// The maximum number of addresses of clients that nobody can connect to of which it is said. Others are not logged.
const MAX_UNREACHABLE: usize = 64;

/// The time between two warnings of lines that were dropped: on a full disk each warning is dropped, too, and one that is
/// written has to follow.
const WARNING_PERIOD: Duration = Duration::from_secs(10);

/// Events for which memory is kept after a burst.
pub(crate) const USUAL_EVENTS: usize = 1000;

/// Writes a log line for each peer that joined, completed or left, and for each gateway under whose address several peers
/// are. On a thread of its own, since that may take as long as serving them did.
#[derive(Debug)]
pub struct EventLog(EventThread);

impl EventLog {
    /// Starts to log these events, with the names that `computers` has. `dropped_lines` counts the lines of the log that were
    /// dropped so far.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread cannot be started.
    pub fn start(
        events: &Events,
        computers: Computers,
        dropped_lines: impl Fn() -> u64 + Send + 'static,
    ) -> io::Result<Self> {
        let mut log = Log::new(events.shards(), computers);
        let work = move |listener: &EventListener| {
            log.take_events(listener, dropped_lines());
            PERIOD
        };
        EventThread::start("event log", events.listen(MAX_PENDING_EVENTS), work).map(Self)
    }

    /// Logs the events so far, and ends.
    pub fn finish(self) {
        self.0.finish();
    }
}

/// The state of the thread.
#[derive(Debug)]
struct Log {
    shards: ShardsView,
    computers: Computers,
    logger: EventLogger,
    events: Vec<Event>,
    /// Events that came too fast for this listener.
    lost: u64,
}

impl Log {
    fn new(shards: ShardsView, computers: Computers) -> Self {
        Self { shards, computers, logger: EventLogger::default(), events: Vec::new(), lost: 0 }
    }

    fn take_events(&mut self, listener: &EventListener, dropped_lines: u64) {
        self.lost += listener.take(&mut self.events);
        let now = Instant::now();
        for event in self.events.drain(..) {
            // First, so that "5 of 30" has this one.
            self.computers.happened(&event);
            self.logger.log(&event, &self.shards, &self.computers, now);
        }
        self.logger.budget.report(now);
        self.events.shrink_to(USUAL_EVENTS);
        self.logger.log_dropped(self.shards.totals().dropped_events + self.lost, dropped_lines, now);
    }
}

/// Writes events to the log, each thing once.
#[derive(Debug, Default)]
struct EventLogger {
    /// Gateways of which it was said that several peers are behind them.
    shared: BTreeSet<IpAddr>,
    /// Containers of which it was said that others reach them by published ports only.
    containers: BTreeSet<IpAddr>,
    /// Addresses of clients of which it was said that nobody can connect to them.
    unreachable: BTreeSet<IpAddr>,
    dropped_events: u64,
    dropped_lines: u64,
    /// The time of the last warning of dropped lines.
    warned: Option<Instant>,
    budget: LineBudget,
}

/// Limits the lines about peers: anybody can make as many events as announces.
#[derive(Debug, Default)]
struct LineBudget {
    /// The time of the first line of the current second.
    since: Option<Instant>,
    lines: u32,
    lines_of: HashMap<IpAddr, u32>,
    left_out: u64,
}

impl LineBudget {
    /// The maximum number of lines in a second: at about 250 bytes each they are 50 KB.
    const MAX_PER_SECOND: u32 = 200;

    /// The maximum number of lines about one address in a second, so that one client cannot hide all others.
    const MAX_PER_ADDRESS: u32 = Self::MAX_PER_SECOND / 2;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns `true` if a line about this address may be logged. If not, it counts as left out.
    fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        self.report(now);
        self.since.get_or_insert(now);
        let of_address = self.lines_of.entry(address).or_default();
        let allows = self.lines < Self::MAX_PER_SECOND && *of_address < Self::MAX_PER_ADDRESS;
        if allows {
            self.lines += 1;
            *of_address += 1;
        } else {
            self.left_out += 1;
        }
        // Addresses that got no line need not be remembered, and there may be many.
        if *of_address == 0 {
            self.lines_of.remove(&address);
        }
        allows
    }

    /// At the end of a second, logs how many lines were left out in it, and begins anew.
    fn report(&mut self, now: Instant) {
        if self.since.is_some_and(|since| now.duration_since(since) >= Self::SECOND) {
            *self = Self::default();
        }
    }
}

/// At its end it logs how many lines were left out.
impl Drop for LineBudget {
    fn drop(&mut self) {
        let events = self.left_out;
        if events > 0 {
            info!(events, "{events} more events of peers were not logged: they came too fast");
        }
    }
}

impl EventLogger {
    /// Logs an event, if it is one for the log.
    fn log(&mut self, event: &Event, shards: &ShardsView, computers: &Computers, now: Instant) {
        log_event(event, shards, computers, |address| self.budget.allows(address, now));
        warn_of_shared_address(event, &mut self.shared);
        warn_of_container(event, &mut self.containers);
        warn_of_unreachable(event, &mut self.unreachable);
    }

    /// Warns of events and lines that were dropped, of which there are so many by now.
    fn log_dropped(&mut self, events: u64, lines: u64, now: Instant) {
        if events > self.dropped_events {
            tracing::warn!(
                events = events - self.dropped_events,
                "event queue overflowed; some events were not logged"
            );
            self.dropped_events = events;
        }
        let is_due = self.warned.is_none_or(|warned| now.duration_since(warned) >= WARNING_PERIOD);
        if lines > self.dropped_lines && is_due {
            // All until now, since earlier warnings may have been dropped, too.
            tracing::warn!(
                lines,
                "lines of this log were dropped: it is not read, or too slowly, or it cannot be written (is the disk full?)"
            );
            (self.dropped_lines, self.warned) = (lines, Some(now));
        }
    }
}

/// Logs an event of a peer, if its address still may have a line.
fn log_event(event: &Event, shards: &ShardsView, computers: &Computers, has_line: impl FnOnce(IpAddr) -> bool) {
    let (peer, name) = match &event.kind {
        EventKind::PeerJoined(peer) => (peer, "peer_joined"),
        EventKind::PeerCompleted(peer) => (peer, "peer_completed"),
        EventKind::PeerLeft(peer) => (peer, "peer_left"),
        EventKind::PeerExpired(peer) => (peer, "peer_expired"),
        _ => return,
    };
    let Peer { address, state, detail, .. } = peer;
    if !has_line(address.ip()) {
        return;
    }
    let client = detail.as_ref().map(|detail| client(&detail.peer_id));
    let has_everything = *state == PeerState::Seeder && !may_lack_metadata(peer);
    let (who, file) = (who(computers, address.ip()), file(computers, &event.info_hash));
    let with = client.as_deref().map(|client| format!(" with {client}")).unwrap_or_default();
    let sentence = match &event.kind {
        EventKind::PeerJoined(_) if has_everything => format!("{who} has {file} and shares it{with}"),
        EventKind::PeerJoined(_) => format!("{who} began {file}{with}"),
        EventKind::PeerCompleted(_) => {
            format!("{who} has finished {file}{}", of_all(computers, ContentKey::Swarm(event.info_hash)))
        }
        EventKind::PeerLeft(_) if has_everything => format!("{who} no longer shares {file}"),
        EventKind::PeerLeft(_) => format!("{who} stopped {file} before it had all of it"),
        _ if has_everything => format!("{who} disappeared while it shared {file}"),
        _ => format!("{who} disappeared while it was downloading {file}"),
    };
    // As they are now: other peers may have come and gone since.
    let counts = shards.with_swarm(&event.info_hash, |swarm| swarm.counts()).unwrap_or_default();
    info!(
        target: TARGET,
        event = name,
        info_hash = %event.info_hash,
        %address,
        host = host_name(address.ip()).as_deref(),
        client = client.as_deref().map(loggable),
        state = match state {
            PeerState::Leecher => "leecher",
            PeerState::PartialSeed => "partial seed",
            PeerState::Seeder if may_lack_metadata(peer) => "unknown",
            PeerState::Seeder => "seeder",
        },
        seeders = counts.seeders,
        leechers = counts.leechers,
        "{sentence}"
    );
}

/// A computer in a sentence: its name, or else its address.
fn who(computers: &Computers, address: IpAddr) -> Arc<str> {
    if computers.is_this_machine(address) { "this machine".into() } else { computers.name_or_address(address) }
}

/// A file in a sentence: its name, or else the beginning of its info-hash.
fn file(computers: &Computers, info_hash: &InfoHash) -> Arc<str> {
    computers.file_name(info_hash).unwrap_or_else(|| format!("torrent {:.8}…", info_hash.to_string()).into())
}

/// How many computers have a file, in a sentence.
fn of_all(computers: &Computers, key: ContentKey) -> String {
    let FileProgress { has, of, .. } = computers.progress(key);
    if of > 0 { format!(" ({has} of {of})") } else { String::new() }
}

/// The name of a client as a field. The text log quotes and escapes texts: one that is escaped already is left as it is.
fn loggable(client: &str) -> Box<dyn Value + '_> {
    if client.contains('\\') { Box::new(display(client)) } else { Box::new(client) }
}

/// A peer that gets nothing, although it announces.
#[derive(Debug)]
pub(crate) struct StuckPeer {
    pub(crate) info_hash: InfoHash,
    pub(crate) peer: Peer,
    /// Those of its swarm.
    pub(crate) counts: SwarmCounts,
    /// `true` if no other peer has the whole content, as far as can be told.
    pub(crate) lacks_seeder: bool,
}

/// Logs peers that are stuck, and how many more there are.
pub(crate) fn log_stuck(peers: impl IntoIterator<Item = StuckPeer>, more: u64, computers: &Computers) {
    for StuckPeer { info_hash, peer: Peer { address, detail, .. }, counts, lacks_seeder } in peers {
        let client = detail.as_ref().map(|detail| client(&detail.peer_id));
        let (who, file) = (who(computers, address.ip()), file(computers, &info_hash));
        let why = if lacks_seeder { ": nobody who is there has all of it" } else { ", although others have all of it" };
        info!(
            target: TARGET,
            event = "peer_stuck",
            %info_hash,
            %address,
            host = host_name(address.ip()).as_deref(),
            client = client.as_deref().map(loggable),
            reason = if lacks_seeder { "no_seeder" } else { "no_progress" },
            seeders = counts.seeders,
            leechers = counts.leechers,
            "{who} gets nothing of {file}{why}"
        );
    }
    if more > 0 {
        info!(event = "more_peers_stuck", peers = more, "{more} more computers get nothing of what they download");
    }
}

/// Says once for each gateway that others cannot dial the clients behind it. `shared` are those of which it was said.
fn warn_of_shared_address(event: &Event, shared: &mut BTreeSet<IpAddr>) {
    let EventKind::AddressShared { address } = event.kind else { return };
    if shared.insert(address) {
        tracing::warn!(
            info_hash = %event.info_hash,
            %address,
            "several clients reach the tracker under the address of a gateway, so that others cannot connect to them; run \
             the tracker, or them, without network address translation (containers: with the network of the host)"
        );
    }
}

/// Says once for each container what it takes to connect to a client in it. `warned` are those of which it was said.
fn warn_of_container(event: &Event, warned: &mut BTreeSet<IpAddr>) {
    let EventKind::PeerInContainer { address } = event.kind else { return };
    if warned.len() < MAX_CONTAINERS && warned.insert(address) {
        tracing::warn!(
            info_hash = %event.info_hash,
            %address,
            "a client announces from a container or a virtual machine on this machine; others are given an address of this \
             machine instead, and can connect if the client's port is published there under the same number, or if the \
             container has the network of the host"
        );
    }
}

/// Says once for each address that nobody can be given a client there. `warned` are those of which it was said.
fn warn_of_unreachable(event: &Event, warned: &mut BTreeSet<IpAddr>) {
    let EventKind::PeerJoined(peer) = &event.kind else { return };
    let address = peer.address.ip();
    if peer.is_dialable() || warned.len() >= MAX_UNREACHABLE || !warned.insert(address) {
        return;
    }
    let (info_hash, address) = (event.info_hash, address);
    if peer.is_listening() {
        tracing::warn!(
            %info_hash,
            %address,
            "a client announces from an address at which nobody can connect to it, so that others are not given it; use an \
             announce URL with the tracker's IPv4 address"
        );
    } else {
        tracing::warn!(
            %info_hash,
            %address,
            "a client says that it listens on no port (a proxy in its settings?), so that others are not given it; it can only \
             connect to them"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::num::NonZeroUsize;
    use std::sync::{Arc, Mutex};

    use rand::{SeedableRng, rngs::StdRng};
    use serde_json::Value;
    use torrent_library::{Library, LibraryConfig};
    use tracing_subscriber::layer::SubscriberExt;
    use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, PeerId, PeerKey, Peers, Shards};
    use tracker_host::Clock;

    use super::*;
    use crate::tests::with_subscriber;
    use crate::{LogBuffer, LogFilter};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log lines of the events so far.
    fn log_of(shards: &Arc<Shards>) -> Vec<Value> {
        let events = Events::without_thread(Arc::clone(shards));
        let listener = events.listen(MAX_PENDING_EVENTS);
        events.pump();
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        with_subscriber(subscriber, || Log::new(Arc::clone(shards).into(), computers()).take_events(&listener, 0));
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn computers() -> Computers {
        let library = Library::open(LibraryConfig::default()).unwrap();
        Computers::new(Clock::fixed(tracker_core::Instant::ZERO), library)
    }

    fn shards(max_pending_events: usize) -> Arc<Shards> {
        shards_of(Config::default().with(|config| config.max_pending_events = max_pending_events))
    }

    fn shards_of(config: Config) -> Arc<Shards> {
        Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap())
    }

    fn announce(shards: &Shards, port: u16, left: u64, event: Option<AnnounceEvent>) {
        let request = AnnounceRequest::new(
            InfoHash::new([0xab; 20]),
            PeerId::new(*b"-qB4520-\n12345678901"),
            [10, 0, 0, 7].into(),
            [10, 0, 0, 1].into(),
            port,
        )
        .with_key(PeerKey::from_bytes(&port.to_be_bytes()))
        .with_left(left)
        .with_event(event);
        let mut rng = StdRng::seed_from_u64(1);
        shards.announce(tracker_core::Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
    }

    #[test]
    fn each_peer_has_its_lines() {
        let shards = shards(100);
        announce(&shards, 6881, 10, Some(AnnounceEvent::Started));
        announce(&shards, 6881, 0, Some(AnnounceEvent::Completed));
        announce(&shards, 6881, 0, None);
        announce(&shards, 6881, 0, Some(AnnounceEvent::Stopped));
        announce(&shards, 6882, 10, None);
        let log = log_of(&shards);
        let lines: Vec<_> = log
            .iter()
            .map(|line| [&line["event"], &line["address"], &line["state"]].map(|value| value.as_str().unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                ["peer_joined", "10.0.0.7:6881", "leecher"],
                ["peer_completed", "10.0.0.7:6881", "seeder"],
                ["peer_left", "10.0.0.7:6881", "seeder"],
                ["peer_joined", "10.0.0.7:6882", "leecher"],
            ]
        );
        for line in log {
            assert_eq!(line["info_hash"], "ab".repeat(20));
            assert_eq!(line["client"], "qBittorrent 4.5.2");
            assert_eq!((&line["seeders"], &line["leechers"]), (&0.into(), &1.into()));
        }

        shards.expire(tracker_core::Instant::ZERO + Duration::from_secs(24 * 60 * 60));
        let log = log_of(&shards);
        assert_eq!(log.len(), 1, "{log:?}");
        assert_eq!(log[0]["event"], "peer_expired");
        assert_eq!(log[0]["leechers"], 0);
    }

    /// One client that changes its peer id and port again and again.
    #[test]
    fn a_flood_of_peers_does_not_flood_the_log() {
        let shards = shards(100_000);
        let flood = 5000;
        (1..=flood).for_each(|port| announce(&shards, port, 10, None));
        let peers = shards.with_swarm(&InfoHash::new([0xab; 20]), |swarm| swarm.len() as u64).unwrap();
        let log = log_of(&shards);
        let is_of_peer = |line: &&Value| line["event"].as_str().is_some_and(|event| event.starts_with("peer_"));
        let lines = log.iter().filter(is_of_peer).count();
        assert!((1..=2 * LineBudget::MAX_PER_ADDRESS as usize).contains(&lines), "{lines}");
        let left_out: u64 = log.iter().filter_map(|line| line["events"].as_u64()).sum();
        // Of so many at one address only some are kept: those before them expire.
        assert_eq!(lines as u64 + left_out, 2 * u64::from(flood) - peers, "all are accounted for");
        assert!(log.last().unwrap()["message"].as_str().unwrap().contains("more events of peers"));
    }

    #[test]
    fn one_address_does_not_take_the_lines_of_all_others() {
        let mut budget = LineBudget::default();
        let start = Instant::now();
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let lines = (0..1000).filter(|_| budget.allows(one, start)).count();
        assert_eq!(lines, LineBudget::MAX_PER_ADDRESS as usize);
        assert!(budget.allows(other, start));
        let lines = (0..=255).filter(|&last| budget.allows([10, 0, 1, last].into(), start)).count();
        assert_eq!(lines, (LineBudget::MAX_PER_SECOND - LineBudget::MAX_PER_ADDRESS) as usize - 1);
        assert!(budget.lines_of.len() <= LineBudget::MAX_PER_SECOND as usize);
        assert!(budget.allows(one, start + Duration::from_secs(1)), "another second");
        assert_eq!(budget.left_out, 0, "they were reported");
    }

    #[test]
    fn names_of_clients_are_escaped_once() {
        let shards = shards(10);
        let request = AnnounceRequest::new(
            InfoHash::new([0xab; 20]),
            PeerId::new(*b"-\\\"\x1b\0[2J-xxxxxxxxxxx"),
            [10, 0, 0, 7].into(),
            [10, 0, 0, 1].into(),
            6881,
        );
        let mut rng = StdRng::seed_from_u64(1);
        shards.announce(tracker_core::Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
        let events = Events::without_thread(Arc::clone(&shards));
        let listener = events.listen(MAX_PENDING_EVENTS);
        events.pump();
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        with_subscriber(subscriber, || Log::new(Arc::clone(&shards).into(), computers()).take_events(&listener, 0));
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(r#"client=-\\\"\x1b\x00[2J "#), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn dropped_lines_are_reported_until_a_report_gets_through() {
        let start = Instant::now();
        let mut logger = EventLogger::default();
        let buffer = LogBuffer::new();
        with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
            // As on a full disk, where each warning is dropped, too.
            for second in 0..=30 {
                logger.log_dropped(0, 5 + second, start + Duration::from_secs(second));
            }
        });
        let lines = buffer.entries(&LogFilter::default(), 0, 100);
        let dropped: Vec<_> = lines.iter().map(|line| line.fields[0].1.clone()).collect();
        assert_eq!(dropped, ["5", "15", "25", "35"]);
    }

    #[test]
    fn a_gateway_with_several_clients_is_logged_once() {
        let gateways = vec![[10, 0, 0, 7].into()];
        let config = Config::default().with(|config| {
            config.max_pending_events = 100;
            config.gateways = gateways;
        });
        let shards = shards_of(config);
        let warnings = |shards| log_of(shards).into_iter().filter(|line| line["level"] == "WARN").collect::<Vec<_>>();
        announce(&shards, 6881, 10, None);
        assert_eq!(warnings(&shards), [Value::Null; 0]);
        (6882..6885).for_each(|port| announce(&shards, port, 10, None));
        let warnings = warnings(&shards);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["address"], "10.0.0.7");
    }

    #[test]
    fn a_container_with_clients_is_logged_once() {
        let networks = vec!["10.0.0.0/24".parse().unwrap()];
        let config = Config::default().with(|config| {
            config.max_pending_events = 100;
            config.container_networks = networks;
        });
        let shards = shards_of(config);
        (6881..6885).for_each(|port| announce(&shards, port, 10, None));
        let log = log_of(&shards);
        let warnings: Vec<_> = log.iter().filter(|line| line["level"] == "WARN").collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["address"], "10.0.0.7");
        assert!(warnings[0]["message"].as_str().unwrap().contains("published"), "{warnings:?}");
    }

    #[test]
    fn a_client_that_nobody_can_connect_to_is_logged_once() {
        let shards = shards(100);
        let request = |ip: &str, port: u16| {
            let (remote, local) = (ip.parse().unwrap(), [10, 0, 0, 1].into());
            let peer_id = PeerId::new([port as u8; 20]);
            AnnounceRequest::new(InfoHash::new([0xab; 20]), peer_id, remote, local, port).with_left(0)
        };
        for request in [
            request("10.0.0.7", 6881),
            request("fe80::7", 6881),
            request("fe80::7", 6882),
            request("10.0.0.8", 0),
            request("10.0.0.8", 1),
            request("10.0.0.9", 1),
        ] {
            shards
                .announce(tracker_core::Instant::ZERO, &mut StdRng::seed_from_u64(1), &request, &mut Peers::default())
                .unwrap();
        }
        let log = log_of(&shards);
        let warnings: Vec<_> = log.iter().filter(|line| line["level"] == "WARN").collect();
        let addresses: Vec<_> = warnings.iter().map(|line| line["address"].as_str().unwrap()).collect();
        assert_eq!(addresses, ["fe80::7", "10.0.0.8", "10.0.0.9"]);
        assert!(warnings[0]["message"].as_str().unwrap().contains("IPv4"), "{warnings:?}");
    }

    #[test]
    fn the_log_buffer_keeps_the_lines_and_their_fields() {
        let shards = shards(100);
        let events = Events::without_thread(Arc::clone(&shards));
        let listener = events.listen(100);
        announce(&shards, 6881, 10, Some(AnnounceEvent::Started));
        announce(&shards, 6881, 0, Some(AnnounceEvent::Stopped));
        events.pump();
        let buffer = LogBuffer::new();
        with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
            let mut log = Log::new(Arc::clone(&shards).into(), computers());
            log.take_events(&listener, 0);
            log.take_events(&listener, 3);
            log.take_events(&listener, 3);
        });
        let lines = buffer.entries(&LogFilter::default(), 0, 10);
        let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(
            messages[..2],
            [
                "10.0.0.7 began torrent abababab… with qBittorrent 4.5.2",
                "10.0.0.7 stopped torrent abababab… before it had all of it"
            ]
        );
        assert!(messages[2].starts_with("lines of this log were dropped") && messages.len() == 3, "{messages:?}");
        let info_hash = InfoHash::new([0xab; 20]);
        assert_eq!((lines[0].info_hash, lines[0].address.as_deref()), (Some(info_hash), Some("10.0.0.7:6881")));
    }

    #[test]
    fn what_was_dropped_is_said() {
        let shards = shards(2);
        (1..=5).for_each(|port| announce(&shards, port, 10, None));
        let log = log_of(&shards);
        assert_eq!(log.iter().filter(|line| line["event"] == "peer_joined").count(), 2);
        let warning = log.last().unwrap();
        assert_eq!((&warning["level"], &warning["events"]), (&"WARN".into(), &4.into()), "{warning}");
    }
}
