//! What happens in the swarms, as log lines.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::info;
use tracker_core::{Event, EventKind, Peer, PeerState, Shards};

use crate::client_name::client;

/// Events that should be able to wait to be logged or observed, for
/// [`Config::max_pending_events`](tracker_core::Config::max_pending_events). Each is 184 bytes.
pub const MAX_PENDING_EVENTS: usize = 1 << 17;

/// The target of the lines that tell of peers. There is one for each that comes or goes.
pub(crate) const TARGET: &str = module_path!();

/// How often events are fetched.
pub(crate) const PERIOD: Duration = Duration::from_millis(200);

/// Writes a log line for each peer that joined, completed or left, and for each gateway under whose address several peers
/// are: for trackers without an [`Observer`](crate::Observer), which does the same.
///
/// On a thread of its own, since that may take as long as serving them did.
#[derive(Debug)]
pub struct EventLog {
    stop: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl EventLog {
    /// Begins to log the events of `shards`. `dropped_lines` counts the lines of the log that were dropped so far.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn start(shards: Arc<Shards>, dropped_lines: impl Fn() -> u64 + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || log_until(&stopped, &shards, &dropped_lines);
        let thread = thread::Builder::new().name("events".into()).spawn(run)?;
        Ok(Self { stop, thread })
    }

    /// Logs what has happened until now, and ends.
    pub fn finish(self) {
        drop(self.stop);
        // If it panicked it has said so, and there is nothing to be done.
        _ = self.thread.join();
    }
}

fn log_until(stopped: &Receiver<Infallible>, shards: &Shards, dropped_lines: &dyn Fn() -> u64) {
    let (mut logger, mut events) = (EventLogger::default(), Vec::new());
    loop {
        let last = match stopped.recv_timeout(PERIOD) {
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
            Ok(never) => match never {},
        };
        shards.poll_events(&mut events);
        for event in events.drain(..) {
            logger.tell(&event, shards);
        }
        logger.tell_dropped(shards.totals().dropped_events, dropped_lines());
        if last {
            return;
        }
    }
}

/// Puts into words what happens, each thing once.
#[derive(Debug, Default)]
pub(crate) struct EventLogger {
    /// Gateways of which it was said that several peers are behind them.
    shared: BTreeSet<IpAddr>,
    dropped_events: u64,
    dropped_lines: u64,
}

impl EventLogger {
    /// Tells of an event, if it is one for the log.
    pub(crate) fn tell(&mut self, event: &Event, shards: &Shards) {
        log_event(event, shards);
        warn_of_shared_address(event, &mut self.shared);
    }

    /// Tells of events and of lines of the log that were dropped, of which there are so many by now.
    pub(crate) fn tell_dropped(&mut self, events: u64, lines: u64) {
        if events > self.dropped_events {
            tracing::warn!(events = events - self.dropped_events, "too much happened to log it all");
            self.dropped_events = events;
        }
        if lines > self.dropped_lines {
            // All until now, since earlier warnings may have been dropped, too.
            tracing::warn!(lines, "lines of this log were dropped: it is not read, or too slowly");
            self.dropped_lines = lines;
        }
    }
}

fn log_event(event: &Event, shards: &Shards) {
    let (peer, happened) = match &event.kind {
        EventKind::PeerJoined(peer) => (peer, "peer joined"),
        EventKind::PeerCompleted(peer) => (peer, "peer completed"),
        EventKind::PeerLeft(peer) => (peer, "peer left"),
        EventKind::PeerExpired(peer) => (peer, "peer expired"),
        _ => return,
    };
    let Peer { address, state, detail, .. } = peer;
    // As they are now: other peers may have come and gone since.
    let counts = shards.with_swarm(&event.info_hash, |swarm| swarm.counts()).unwrap_or_default();
    info!(
        target: TARGET,
        info_hash = %event.info_hash,
        %address,
        client = detail.as_ref().map(|detail| client(&detail.peer_id)),
        state = match state {
            PeerState::Leecher => "leecher",
            PeerState::PartialSeed => "partial seed",
            PeerState::Seeder => "seeder",
        },
        seeders = counts.seeders,
        leechers = counts.leechers,
        "{happened}"
    );
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::num::NonZeroUsize;
    use std::sync::Mutex;

    use rand::{SeedableRng, rngs::StdRng};
    use serde_json::Value;
    use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, PeerId, PeerKey, Peers};

    use super::*;

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

    /// The log lines of everything that is pending.
    fn log_of(shards: &Shards) -> Vec<Value> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        let (_, stopped) = mpsc::channel();
        tracing::subscriber::with_default(subscriber, || log_until(&stopped, shards, &|| 0));
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn shards(max_pending_events: usize) -> Shards {
        let config = Config::default().with(|config| config.max_pending_events = max_pending_events);
        Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap()
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
        shards.announce(Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
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
            .map(|line| [&line["message"], &line["address"], &line["state"]].map(|value| value.as_str().unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                ["peer joined", "10.0.0.7:6881", "leecher"],
                ["peer completed", "10.0.0.7:6881", "seeder"],
                ["peer left", "10.0.0.7:6881", "seeder"],
                ["peer joined", "10.0.0.7:6882", "leecher"],
            ]
        );
        for line in log {
            assert_eq!(line["info_hash"], "ab".repeat(20));
            assert_eq!(line["client"], "qBittorrent 4.5.2");
            assert_eq!((&line["seeders"], &line["leechers"]), (&0.into(), &1.into()));
        }

        shards.expire(Instant::ZERO + Duration::from_secs(24 * 60 * 60));
        let log = log_of(&shards);
        assert_eq!(log.len(), 1, "{log:?}");
        assert_eq!(log[0]["message"], "peer expired");
        assert_eq!(log[0]["leechers"], 0);
    }

    #[test]
    fn a_gateway_with_several_clients_is_told_of_once() {
        let gateways = vec![[10, 0, 0, 7].into()];
        let config = Config::default().with(|config| {
            config.max_pending_events = 100;
            config.gateways = gateways;
        });
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let warnings = |shards| log_of(shards).into_iter().filter(|line| line["level"] == "WARN").collect::<Vec<_>>();
        announce(&shards, 6881, 10, None);
        assert_eq!(warnings(&shards), [Value::Null; 0]);
        (6882..6885).for_each(|port| announce(&shards, port, 10, None));
        let warnings = warnings(&shards);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["address"], "10.0.0.7");
    }

    #[test]
    fn what_was_dropped_is_said() {
        let shards = shards(2);
        (1..=5).for_each(|port| announce(&shards, port, 10, None));
        let log = log_of(&shards);
        assert_eq!(log.iter().filter(|line| line["message"] == "peer joined").count(), 2);
        let warning = log.last().unwrap();
        assert_eq!((&warning["level"], &warning["events"]), (&"WARN".into(), &4.into()), "{warning}");
    }
}
