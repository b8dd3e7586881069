//! A tracker with a peer of its own, and clients.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peer_wire::{Decoder, Handshake, Message, Reserved};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Access, AnnounceEvent, AnnounceRequest, Config, InfoHash, PeerId, Peers, Shards};
use tracker_host::{Addresses, Events};
use tracker_peer::{Announces, Content, Service, ServiceConfig, Sighting, TorrentFacts, Torrents};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A torrent of ten pieces that is known.
pub(crate) const TORRENT: InfoHash = InfoHash::new([7; 20]);
pub(crate) const LEECHER: PeerId = PeerId::new(*b"-XX0001-leecher00000");

/// The torrents that are known; what peers tell of others is noted.
#[derive(Debug)]
pub(crate) struct KnownTorrents {
    known: Mutex<HashMap<InfoHash, TorrentFacts>>,
    /// Those that were asked for, each with `true` if it was known.
    asked: Mutex<HashSet<(InfoHash, bool)>>,
    pub(crate) learnt: Mutex<Vec<(InfoHash, Bytes)>>,
    contents: Mutex<HashMap<InfoHash, Arc<dyn Content>>>,
    version: AtomicU64,
}

impl KnownTorrents {
    fn new() -> Self {
        let known = HashMap::from([(TORRENT, TorrentFacts { piece_count: 10, is_private: false })]);
        Self {
            known: Mutex::new(known),
            asked: Mutex::default(),
            learnt: Mutex::default(),
            contents: Mutex::default(),
            version: AtomicU64::new(0),
        }
    }

    pub(crate) fn insert(&self, info_hash: InfoHash, facts: TorrentFacts) {
        self.known.lock().unwrap().insert(info_hash, facts);
    }

    /// Has a content to be seeded from now on, or not any more.
    pub(crate) fn set_content(&self, info_hash: InfoHash, content: Option<Arc<dyn Content>>) {
        let mut contents = self.contents.lock().unwrap();
        match content {
            Some(content) => _ = contents.insert(info_hash, content),
            None => _ = contents.remove(&info_hash),
        }
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn was_asked(&self, info_hash: InfoHash, is_known: bool) -> bool {
        self.asked.lock().unwrap().contains(&(info_hash, is_known))
    }
}

impl Torrents for KnownTorrents {
    fn facts(&self, info_hash: &InfoHash) -> Option<TorrentFacts> {
        let facts = self.known.lock().unwrap().get(info_hash).copied();
        self.asked.lock().unwrap().insert((*info_hash, facts.is_some()));
        facts
    }

    fn info(&self, info_hash: &InfoHash) -> Option<Bytes> {
        let learnt = self.learnt.lock().unwrap();
        learnt.iter().find(|(learnt, _)| learnt == info_hash).map(|(_, info)| info.clone())
    }

    fn content(&self, info_hash: &InfoHash) -> Option<Arc<dyn Content>> {
        self.contents.lock().unwrap().get(info_hash).cloned()
    }

    fn content_version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn learn(&self, info_hash: &InfoHash, info: Bytes) -> Option<TorrentFacts> {
        self.learnt.lock().unwrap().push((*info_hash, info));
        Some(TorrentFacts { piece_count: 1, is_private: false })
    }
}

/// A tracker with a peer of its own.
pub(crate) struct Tracker {
    pub(crate) shards: Arc<Shards>,
    pub(crate) torrents: Arc<KnownTorrents>,
    pub(crate) service: Service,
}

/// The LAN address of the machine.
pub(crate) const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

/// The addresses of a machine that has one on a LAN.
pub(crate) fn addresses() -> Addresses {
    let networks = vec!["10.77.0.0/24".parse().unwrap()];
    Addresses { lan: vec![LAN], networks, all: vec![LAN], ..Addresses::default() }
}

/// A service for these shards, whose listener `announces` is, on a machine with these addresses.
pub(crate) fn config(shards: &Arc<Shards>, announces: Arc<Announces>, addresses: Addresses) -> ServiceConfig {
    ServiceConfig {
        shards: Arc::clone(shards),
        announces,
        events: Events::start(Arc::clone(shards)).unwrap(),
        torrents: Arc::new(KnownTorrents::new()),
        listen: vec![(LOOPBACK, 0).into()],
        addresses,
        access: Access::default(),
        exclusive: Vec::new(),
        seeding: None,
    }
}

/// Shards, and what hears of their announces.
pub(crate) fn shards() -> (Arc<Shards>, Arc<Announces>) {
    let config = Config::default().with(|config| config.max_pending_events = 1000);
    let announces = Arc::new(Announces::default());
    let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
    (Arc::new(shards.with_listener(Arc::clone(&announces) as _)), announces)
}

impl Tracker {
    /// On a machine with a LAN address, so that all of its peers can be looked at over loopback.
    pub(crate) fn start() -> Self {
        Self::start_with(addresses(), |_| {})
    }

    pub(crate) fn start_with(addresses: Addresses, change: impl FnOnce(&mut ServiceConfig)) -> Self {
        let ((shards, announces), torrents) = (shards(), Arc::new(KnownTorrents::new()));
        let mut config = config(&shards, announces, addresses);
        config.torrents = Arc::clone(&torrents) as _;
        change(&mut config);
        Self { shards, torrents, service: Service::start(config).unwrap() }
    }

    /// A leecher on this machine announces.
    pub(crate) fn announce(&self, info_hash: InfoHash, port: u16, event: AnnounceEvent) {
        announce(&self.shards, &request(info_hash, LEECHER, port).with_event(event));
    }

    pub(crate) fn sighting(&self, info_hash: InfoHash, address: SocketAddr) -> Option<Sighting> {
        self.service.sightings().of_peers(&info_hash, [&address]).pop().unwrap()
    }

    /// Waits until what is known of a peer on this machine is as expected.
    pub(crate) fn wait_for(&self, info_hash: InfoHash, port: u16, expected: impl Fn(&Sighting) -> bool) -> Sighting {
        self.wait_for_peer(info_hash, SocketAddr::new(LOOPBACK, port), expected)
    }

    /// Waits until what is known of a peer is as expected.
    pub(crate) fn wait_for_peer(
        &self,
        info_hash: InfoHash,
        address: SocketAddr,
        expected: impl Fn(&Sighting) -> bool,
    ) -> Sighting {
        let begun = Instant::now();
        loop {
            let sighting = self.sighting(info_hash, address);
            if let Some(sighting) = sighting.clone().filter(&expected) {
                return sighting;
            }
            assert!(begun.elapsed() < PATIENCE, "{sighting:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until an honest peer is seen with three of the ten pieces, and its connection stays open.
    pub(crate) fn sees_an_honest_peer(&self) {
        let client = Client::new(PeerId::new(*b"-XX0001-honest000000"));
        announce(&self.shards, &request(TORRENT, client.peer_id, client.port()).with_event(AnnounceEvent::Started));
        let mut stream = client.shake_hands(TORRENT);
        send(&mut stream, Message::Bitfield(&[0b1110_0000, 0]));
        self.wait_for(TORRENT, client.port(), has_pieces(3));
    }
}

pub(crate) fn has_pieces(pieces: u32) -> impl Fn(&Sighting) -> bool {
    move |sighting| sighting.progress.is_some_and(|progress| progress.pieces == pieces)
}

/// The announce of a leecher on this machine.
pub(crate) fn request(info_hash: InfoHash, peer_id: PeerId, port: u16) -> AnnounceRequest {
    AnnounceRequest::new(info_hash, peer_id, LOOPBACK, LOOPBACK, port).with_left(1)
}

pub(crate) fn announce(shards: &Shards, request: &AnnounceRequest) {
    let (now, mut rng) = (tracker_core::Instant::ZERO, StdRng::seed_from_u64(1));
    shards.announce(now, &mut rng, request, &mut Peers::default()).unwrap();
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The client of a peer.
pub(crate) struct Client {
    pub(crate) listener: TcpListener,
    pub(crate) peer_id: PeerId,
}

impl Client {
    pub(crate) fn new(peer_id: PeerId) -> Self {
        Self { listener: TcpListener::bind((LOOPBACK, 0)).unwrap(), peer_id }
    }

    pub(crate) fn leecher() -> Self {
        Self::new(LEECHER)
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Takes the tracker's connection, and its handshake.
    pub(crate) fn accept(&self, info_hash: InfoHash) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read_handshake(&mut stream).info_hash, *info_hash.as_bytes());
        stream
    }

    /// Takes the tracker's connection, and shakes hands.
    pub(crate) fn shake_hands(&self, info_hash: InfoHash) -> TcpStream {
        let mut stream = self.accept(info_hash);
        stream.write_all(&self.handshake(info_hash).encode()).unwrap();
        stream
    }

    pub(crate) fn handshake(&self, info_hash: InfoHash) -> Handshake {
        handshake(info_hash, self.peer_id)
    }
}

pub(crate) fn handshake(info_hash: InfoHash, peer_id: PeerId) -> Handshake {
    let reserved = Reserved::FAST.with(Reserved::EXTENSIONS);
    Handshake { reserved, info_hash: *info_hash.as_bytes(), peer_id: *peer_id.as_bytes() }
}

pub(crate) fn read_handshake(stream: &mut impl Read) -> Handshake {
    let mut bytes = [0; Handshake::BYTES];
    stream.read_exact(&mut bytes).unwrap();
    Handshake::decode(&bytes).unwrap().unwrap()
}

pub(crate) fn send(stream: &mut TcpStream, message: Message<'_>) {
    stream.write_all(&encoded(message)).unwrap();
}

pub(crate) fn encoded(message: Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// Reads messages until this one comes.
pub(crate) fn wait_for_extended(stream: &mut TcpStream, id: u8, payload: &[u8]) {
    wait_for_message(stream, |message| *message == Message::Extended { id, payload });
}

/// Reads messages until such a one comes.
pub(crate) fn wait_for_message(stream: &mut TcpStream, is_it: impl Fn(&Message<'_>) -> bool) {
    let (mut decoder, mut buffer) = (Decoder::new(None), [0; 1024]);
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the connection is closed");
        let mut bytes = &buffer[..length];
        while let Some(message) = decoder.decode(&mut bytes).unwrap() {
            if is_it(&message) {
                return;
            }
        }
    }
}

/// Reads until the other end has closed the connection.
pub(crate) fn wait_for_end(stream: &mut TcpStream) {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert!(is_end(error.kind()), "{error}"),
    }
}

/// Returns `true` if an error says that the other end has closed the connection.
pub(crate) fn is_end(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe)
}
