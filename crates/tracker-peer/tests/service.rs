//! The service against peers on this machine that the test plays: real sockets, the real protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use peer_wire::{Decoder, Handshake, Message, MetadataMessage, Reserved};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Access, AnnounceEvent, AnnounceRequest, Config, InfoHash, PeerId, Peers, Shards};
use tracker_host::{Addresses, Events};
use tracker_peer::{Announces, Reason, Service, ServiceConfig, Sighting, StartError, TorrentFacts, Torrents};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TORRENT: InfoHash = InfoHash::new([7; 20]);
/// The id under which the tracker's own peer takes `ut_metadata`.
const OUR_METADATA_ID: u8 = 2;
const LEECHER: PeerId = PeerId::new(*b"-XX0001-leecher00000");

/// A torrent of ten pieces is known; what peers tell of others is noted.
#[derive(Debug, Default)]
struct TenPieces {
    learnt: Mutex<Vec<(InfoHash, Vec<u8>)>>,
}

impl Torrents for TenPieces {
    fn facts(&self, info_hash: &InfoHash) -> Option<TorrentFacts> {
        (*info_hash == TORRENT).then_some(TorrentFacts { piece_count: 10, is_private: false })
    }

    fn learn(&self, info_hash: &InfoHash, info: &[u8]) -> Option<TorrentFacts> {
        self.learnt.lock().unwrap().push((*info_hash, info.to_vec()));
        Some(TorrentFacts { piece_count: 1, is_private: false })
    }
}

/// A tracker with a peer of its own.
struct Tracker {
    shards: Arc<Shards>,
    torrents: Arc<TenPieces>,
    service: Service,
}

impl Tracker {
    fn start() -> Self {
        let config = Config::default().with(|config| config.max_pending_events = 1000);
        let announces = Arc::new(Announces::default());
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let shards = Arc::new(shards.with_listener(Arc::clone(&announces) as _));
        let torrents = Arc::new(TenPieces::default());
        let service = Service::start(ServiceConfig {
            shards: Arc::clone(&shards),
            announces,
            events: Events::start(Arc::clone(&shards)).unwrap(),
            torrents: Arc::clone(&torrents) as _,
            listen: vec![(LOOPBACK, 0).into()],
            addresses: Addresses::default(),
            access: Access::default(),
            exclusive: Vec::new(),
        });
        Self { shards, torrents, service: service.unwrap() }
    }

    fn announce(&self, info_hash: InfoHash, port: u16, event: AnnounceEvent) {
        announce(&self.shards, info_hash, port, event);
    }

    fn sighting(&self, info_hash: InfoHash, port: u16) -> Option<Sighting> {
        self.service.sightings().of_peers(&info_hash, [&SocketAddr::new(LOOPBACK, port)]).pop().unwrap()
    }

    /// Waits until what is known of a peer is as expected.
    fn wait_for(&self, info_hash: InfoHash, port: u16, expected: impl Fn(&Sighting) -> bool) -> Sighting {
        let begun = Instant::now();
        loop {
            let sighting = self.sighting(info_hash, port);
            if let Some(sighting) = sighting.clone().filter(&expected) {
                return sighting;
            }
            assert!(begun.elapsed() < PATIENCE, "{sighting:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn announce(shards: &Shards, info_hash: InfoHash, port: u16, event: AnnounceEvent) {
    let request = AnnounceRequest::new(info_hash, LEECHER, LOOPBACK, LOOPBACK, port).with_left(1).with_event(event);
    let (now, mut rng) = (tracker_core::Instant::ZERO, StdRng::seed_from_u64(1));
    shards.announce(now, &mut rng, &request, &mut Peers::default()).unwrap();
}

/// The client of a peer.
struct Client {
    listener: TcpListener,
}

impl Client {
    fn new() -> Self {
        Self { listener: TcpListener::bind((LOOPBACK, 0)).unwrap() }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Takes the tracker's connection, and shakes hands.
    fn shake_hands(&self, info_hash: InfoHash) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = [0; Handshake::BYTES];
        stream.read_exact(&mut bytes).unwrap();
        let theirs = Handshake::decode(&bytes).unwrap().unwrap();
        assert_eq!(theirs.info_hash, *info_hash.as_bytes());
        let info_hash = *info_hash.as_bytes();
        let ours = Handshake { reserved: Reserved::FAST, info_hash, peer_id: *LEECHER.as_bytes() };
        stream.write_all(&ours.encode()).unwrap();
        stream
    }
}

fn send(stream: &mut TcpStream, message: Message<'_>) {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    stream.write_all(&bytes).unwrap();
}

/// Reads messages until this one comes.
fn wait_for_extended(stream: &mut TcpStream, id: u8, payload: &[u8]) {
    let (mut decoder, mut buffer) = (Decoder::new(None), [0; 1024]);
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the connection is closed");
        let mut bytes = &buffer[..length];
        while let Some(message) = decoder.decode(&mut bytes).unwrap() {
            if message == (Message::Extended { id, payload }) {
                return;
            }
        }
    }
}

#[test]
fn progress_is_seen_as_it_happens() {
    let (tracker, client) = (Tracker::start(), Client::new());
    let begun = Instant::now();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    // Three times the half second after which a newcomer is dialled at the latest.
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());

    send(&mut stream, Message::Bitfield(&[0b1110_0000, 0]));
    let seen = |pieces| move |sighting: &Sighting| sighting.progress.is_some_and(|progress| progress.pieces == pieces);
    let sighting = tracker.wait_for(TORRENT, client.port(), seen(3));
    assert_eq!((sighting.progress.unwrap().of, sighting.age), (Some(10), Some(Duration::ZERO)));
    assert_eq!((sighting.reason, sighting.peer_id), (Some(Reason::SameMachine), Some(LEECHER)));
    assert_eq!(tracker.service.sightings().open_connections(), 1);
    send(&mut stream, Message::Have { piece: 9 });
    assert!(!tracker.wait_for(TORRENT, client.port(), seen(4)).progress.unwrap().is_complete);
    send(&mut stream, Message::HaveAll);
    assert!(tracker.wait_for(TORRENT, client.port(), seen(10)).progress.unwrap().is_complete);

    drop(stream);
    let sighting = tracker.wait_for(TORRENT, client.port(), |sighting| !sighting.is_connected);
    assert_eq!(sighting.progress.unwrap().pieces, 10, "how far it was is remembered");
}

#[test]
fn a_peer_that_leaves_is_forgotten_and_its_connection_closed() {
    let (tracker, client) = (Tracker::start(), Client::new());
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    tracker.wait_for(TORRENT, client.port(), |sighting| sighting.is_connected);
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Stopped);
    stream.read_to_end(&mut Vec::new()).unwrap();
    let begun = Instant::now();
    while tracker.sighting(TORRENT, client.port()).is_some() {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn all_connections_are_closed_when_it_ends() {
    let (tracker, client) = (Tracker::start(), Client::new());
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    let Tracker { shards, service, .. } = tracker;
    drop(service);
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    // Nobody collects newcomers any more.
    announce(&shards, TORRENT, Client::new().port(), AnnounceEvent::Started);
}

#[test]
fn a_client_that_closes_every_connection_does_not_have_the_torrent() {
    let (tracker, client) = (Tracker::start(), Client::new());
    let port = client.port();
    tracker.announce(TORRENT, port, AnnounceEvent::Started);
    thread::scope(|scope| {
        scope.spawn(|| {
            client.listener.set_nonblocking(true).unwrap();
            let begun = Instant::now();
            // Plain and encrypted, each tried twice at least.
            while tracker.sighting(TORRENT, port).is_none_or(|it| it.reason != Some(Reason::NotThisTorrent)) {
                assert!(begun.elapsed() < PATIENCE, "{:?}", tracker.sighting(TORRENT, port));
                match client.listener.accept() {
                    Ok((stream, _)) => drop(stream),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
    });
}

#[test]
fn the_info_dictionary_of_a_bare_info_hash_is_fetched_and_checked() {
    use sha1::{Digest, Sha1};
    let info = b"d6:lengthi5e4:name5:hello12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info_hash = InfoHash::new(Sha1::digest(info).into());
    let (tracker, client) = (Tracker::start(), Client::new());
    tracker.announce(info_hash, client.port(), AnnounceEvent::Started);
    let (mut stream, _) = client.listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut [0; Handshake::BYTES]).unwrap();
    let reserved = Reserved::EXTENSIONS;
    let ours = Handshake { reserved, info_hash: *info_hash.as_bytes(), peer_id: *LEECHER.as_bytes() };
    stream.write_all(&ours.encode()).unwrap();
    let offer = format!("d1:md11:ut_metadatai3ee13:metadata_sizei{}ee", info.len());
    send(&mut stream, Message::Extended { id: 0, payload: offer.as_bytes() });
    let requested = MetadataMessage::Request { piece: 0 }.encode();
    wait_for_extended(&mut stream, 3, &requested);
    let data = MetadataMessage::Data { piece: 0, total_size: 80, data: info }.encode();
    send(&mut stream, Message::Extended { id: OUR_METADATA_ID, payload: &data });
    let begun = Instant::now();
    loop {
        let learnt = tracker.torrents.learnt.lock().unwrap().clone();
        if !learnt.is_empty() {
            assert_eq!(learnt, [(info_hash, info.to_vec())]);
            return;
        }
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let config = Config::default().with(|config| config.max_pending_events = 1);
    let shards = Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap());
    let foreign: IpAddr = [192, 0, 2, 1].into();
    let started = Service::start(ServiceConfig {
        announces: Arc::new(Announces::default()),
        events: Events::start(Arc::clone(&shards)).unwrap(),
        shards,
        torrents: Arc::new(TenPieces::default()),
        listen: Vec::new(),
        addresses: Addresses { all: vec![[10, 0, 0, 1].into()], ..Addresses::default() },
        access: Access::default(),
        exclusive: vec![foreign],
    });
    let error = started.map(drop).unwrap_err();
    assert!(matches!(error, StartError::NotOurs { address, .. } if address == foreign));
    assert_eq!(error.to_string(), "192.0.2.1 is not an address of this machine's networks: name one of 10.0.0.1");
}
