//! The service knows who is in the swarms, whatever happens in them. Nobody listens on the ports of these peers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Access, AnnounceEvent, AnnounceRequest, Config, InfoHash, PeerId, Peers, Shards, TorrentPolicy};
use tracker_host::{Addresses, Events};
use tracker_peer::{Announces, Service, ServiceConfig, TorrentFacts, Torrents};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Debug)]
struct Nothing;

impl Torrents for Nothing {
    fn facts(&self, _: &InfoHash) -> Option<TorrentFacts> {
        None
    }

    fn learn(&self, _: &InfoHash, _: Bytes) -> Option<TorrentFacts> {
        None
    }
}

/// A tracker, whose own peer is started later.
struct Tracker {
    shards: Arc<Shards>,
    announces: Arc<Announces>,
}

impl Tracker {
    /// Keeps so many events until they are fetched.
    fn new(max_pending_events: usize) -> Self {
        let config = Config::default().with(|config| {
            config.max_pending_events = max_pending_events;
            config.update_events = false;
        });
        let announces = Arc::new(Announces::default());
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        Self { shards: Arc::new(shards.with_listener(Arc::clone(&announces) as _)), announces }
    }

    fn start(&self) -> Service {
        let service = Service::start(ServiceConfig {
            shards: Arc::clone(&self.shards),
            announces: Arc::clone(&self.announces),
            events: Events::start(Arc::clone(&self.shards)).unwrap(),
            torrents: Arc::new(Nothing),
            listen: Vec::new(),
            addresses: Addresses::default(),
            access: Access::default(),
            exclusive: Vec::new(),
            seeding: None,
        });
        service.unwrap()
    }

    /// The client of this number announces from this port.
    fn announce(&self, info_hash: InfoHash, client: u8, port: u16, event: AnnounceEvent) {
        let request = AnnounceRequest::new(info_hash, PeerId::new([client; 20]), LOOPBACK, LOOPBACK, port)
            .with_left(1)
            .with_event(event);
        let (now, mut rng) = (tracker_core::Instant::ZERO, StdRng::seed_from_u64(1));
        self.shards.announce(now, &mut rng, &request, &mut Peers::default()).unwrap();
    }
}

fn swarm(number: u16) -> InfoHash {
    let mut info_hash = [7; 20];
    info_hash[..2].copy_from_slice(&number.to_be_bytes());
    InfoHash::new(info_hash)
}

/// Waits until the service knows these of the ports of a swarm, and not the others.
fn wait_for(service: &Service, info_hash: InfoHash, ports: &[(u16, bool)]) {
    let addresses: Vec<_> = ports.iter().map(|&(port, _)| SocketAddr::new(LOOPBACK, port)).collect();
    let begun = Instant::now();
    loop {
        let sightings = service.sightings().of_peers(&info_hash, &addresses);
        let known: Vec<_> = ports.iter().zip(sightings).map(|(&(port, _), it)| (port, it.is_some())).collect();
        if known == ports {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{known:?} are known, and not {ports:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn those_who_were_there_before_are_found() {
    let tracker = Tracker::new(1000);
    // More swarms than are listed at once.
    for number in 0..1500 {
        tracker.announce(swarm(number), 1, 20, AnnounceEvent::Started);
    }
    let service = tracker.start();
    for number in 0..1500 {
        wait_for(&service, swarm(number), &[(20, true), (21, false)]);
    }
}

#[test]
fn a_peer_that_moves_to_another_port_is_not_at_its_old_one() {
    let tracker = Tracker::new(1000);
    let service = tracker.start();
    tracker.announce(swarm(1), 1, 20, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, true)]);
    tracker.announce(swarm(1), 1, 21, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, false), (21, true)]);
}

#[test]
fn a_peer_that_does_not_listen_is_known() {
    let tracker = Tracker::new(1000);
    let service = tracker.start();
    // When this one is known it has looked through all swarms, as it does when it starts.
    tracker.announce(swarm(1), 2, 20, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, true)]);
    tracker.announce(swarm(1), 1, 0, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(0, true)]);
    tracker.announce(swarm(1), 1, 0, AnnounceEvent::Stopped);
    wait_for(&service, swarm(1), &[(0, false)]);
}

#[test]
fn who_left_is_found_out_when_the_event_was_lost() {
    // The tracker keeps one event, and drops the one before.
    let tracker = Tracker::new(1);
    let service = tracker.start();
    tracker.announce(swarm(1), 1, 20, AnnounceEvent::Started);
    tracker.announce(swarm(2), 1, 20, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, true)]);
    wait_for(&service, swarm(2), &[(20, true)]);
    tracker.announce(swarm(1), 1, 20, AnnounceEvent::Stopped);
    tracker.announce(swarm(2), 1, 20, AnnounceEvent::Stopped);
    tracker.announce(swarm(2), 2, 21, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, false)]);
    wait_for(&service, swarm(2), &[(20, false), (21, true)]);
}

#[test]
fn nobody_is_left_of_a_swarm_that_was_dropped_and_came_back() {
    let tracker = Tracker::new(1000);
    let service = tracker.start();
    tracker.announce(swarm(1), 1, 20, AnnounceEvent::Started);
    tracker.announce(swarm(1), 2, 21, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, true), (21, true)]);
    // There is no event for each peer of a swarm that is not served any more.
    tracker.shards.set_torrents(TorrentPolicy { denied: [swarm(1)].into(), ..TorrentPolicy::default() });
    tracker.shards.set_torrents(TorrentPolicy::default());
    tracker.announce(swarm(1), 2, 21, AnnounceEvent::Started);
    wait_for(&service, swarm(1), &[(20, false), (21, true)]);
}
