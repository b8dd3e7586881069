//! Peers on another machine, which only network namespaces have here.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{self, Command};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use peer_wire::mse::{Established, Initiator, Methods};
use peer_wire::{Handshake, Message};
use tracker_core::{AnnounceEvent, AnnounceRequest, InfoHash, PeerId};
use tracker_host::{Addresses, all_addresses};
use tracker_peer::{Seeding, TorrentFacts};

use crate::seeding::Numbers;
use crate::support::{
    LAN, LEECHER, PATIENCE, TORRENT, Tracker, announce, encoded, handshake, has_pieces, read_handshake, send,
    wait_for_end, wait_for_message,
};

/// The addresses of the two machines: the tracker's has two of IPv4.
const TRACKER: IpAddr = LAN;
const TRACKER_TOO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
const TRACKER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 9));
const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 9));

/// A client on the tracker's machine, which announces by IPv4.
const HERE: PeerId = PeerId::new(*b"-XX0001-here00000000");
const HERE_PORT: u16 = 6882;

/// A port at which the client does not listen.
const CLOSED_PORT: u16 = 6881;

/// Handshakes of one address at a time.
const MAX_HANDSHAKES_PER_ADDRESS: usize = 8;

/// Two machines, each a network namespace. They are removed when this goes out of scope.
struct Lan {
    tracker: String,
    client: String,
}

impl Lan {
    fn new(name: &str) -> Self {
        assert!(
            geteuid().is_root(),
            "this test makes network namespaces and has to be run by root: sudo -E env \"PATH=$PATH\" cargo test \
             -p tracker-peer --test service -- --ignored"
        );
        let name = |host| format!("tracker-peer-{}-{name}-{host}", process::id());
        let lan = Self { tracker: name("tracker"), client: name("client") };
        let Self { tracker, client } = &lan;
        for namespace in [tracker, client] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        ip(&["-n", client, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", tracker]);
        for (namespace, addresses) in
            [(tracker, &["10.77.0.1/24", "10.77.0.2/24", "fd77::1/64"][..]), (client, &["10.77.0.9/24", "fd77::9/64"])]
        {
            ip(&["-n", namespace, "link", "set", "eth0", "up"]);
            for address in addresses {
                // Not waiting until it is known that nobody else has it, which only IPv6 does.
                let at_once = if address.contains(':') { &["nodad"][..] } else { &[] };
                ip(&[&["-n", namespace, "address", "add", address, "dev", "eth0"], at_once].concat());
            }
        }
        lan
    }

    /// A tracker whose own peer listens.
    fn start_tracker(&self) -> Tracker {
        self.start_tracker_with(&[])
    }

    /// One whose own peer has these addresses for itself.
    fn start_tracker_with(&self, exclusive: &[IpAddr]) -> Tracker {
        let all = vec![TRACKER, TRACKER_TOO, TRACKER_V6];
        let networks = ["10.77.0.0/24", "fd77::/64"].map(|network| network.parse().unwrap()).into();
        let addresses = Addresses { lan: vec![TRACKER, TRACKER_V6], networks, all, ..Addresses::default() };
        on(&self.tracker, || {
            Tracker::start_with(addresses, |config| {
                config.listen = all_addresses(0).into();
                config.exclusive = exclusive.into();
                config.seeding = Some(Seeding::default());
            })
        })
    }

    /// The client connects to the tracker's own peer.
    fn connect(&self, tracker: &Tracker) -> TcpStream {
        self.connect_to(tracker, TRACKER)
    }

    fn connect_to(&self, tracker: &Tracker, address: IpAddr) -> TcpStream {
        let port = tracker.service.listening().unwrap()[0].port();
        let stream = on(&self.client, || TcpStream::connect((address, port)).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for namespace in [&self.tracker, &self.client] {
            // Its interfaces go with it.
            _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), error.trim());
}

/// Does something on a machine: sockets made by `work`, and by threads that it starts, are sockets of that machine.
fn on<T: Send>(host: &str, work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        let namespace = File::open(format!("/run/netns/{host}")).expect("the namespace exists");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("it can be entered");
        work()
    };
    thread::scope(|scope| scope.spawn(inside).join()).expect("the work is done")
}

/// A peer on the machine with this address announces.
fn announce_from(tracker: &Tracker, ip: IpAddr, peer_id: PeerId, port: u16) {
    let local = if ip.is_ipv4() { TRACKER } else { TRACKER_V6 };
    let request = AnnounceRequest::new(TORRENT, peer_id, ip, local, port).with_left(1);
    announce(&tracker.shards, &request.with_event(AnnounceEvent::Started));
}

/// A client on the tracker's machine announces.
fn announce_here(tracker: &Tracker) {
    announce_from(tracker, TRACKER, HERE, HERE_PORT);
}

/// A peer of the client's machine announces, is dialled at this address, and is connected.
fn dialled_at(lan: &Lan, tracker: &Tracker, address: IpAddr) -> TcpStream {
    let listener = on(&lan.client, || TcpListener::bind((address, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    announce_from(tracker, address.ip(), LEECHER, address.port());
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    shake_hands(&mut stream, TORRENT);
    tracker.wait_for_peer(TORRENT, address, |sighting| sighting.is_connected);
    stream
}

/// The connections of the tracker's machine to the client's that are open at this moment.
fn open_connections(lan: &Lan) -> usize {
    /// The client's addresses and the state "established", as the kernel tells of them.
    const TO_CLIENT: [&str; 2] = ["09004D0A:", "000077FD000000000000000009000000:"];
    const ESTABLISHED: &str = "01";
    let connections = on(&lan.tracker, || {
        ["tcp", "tcp6"].map(|family| fs::read_to_string(format!("/proc/thread-self/net/{family}")).unwrap()).concat()
    });
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        let is_to_client = |remote: &str| TO_CLIENT.iter().any(|client| remote.starts_with(client));
        fields.next().is_some_and(is_to_client) && fields.next() == Some(ESTABLISHED)
    };
    connections.lines().filter(is_open).count()
}

/// Shakes hands for a torrent over a connection that was made to the tracker's own peer.
fn shake_hands(stream: &mut TcpStream, info_hash: InfoHash) {
    stream.write_all(&handshake(info_hash, LEECHER).encode()).unwrap();
    assert_eq!(read_handshake(stream).info_hash, *info_hash.as_bytes());
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_peer_that_cannot_be_dialled_connects_and_is_seen() {
    let lan = Lan::new("plain");
    let tracker = lan.start_tracker();
    announce_from(&tracker, CLIENT, LEECHER, CLOSED_PORT);
    let mut stream = lan.connect(&tracker);
    shake_hands(&mut stream, TORRENT);
    send(&mut stream, Message::Bitfield(&[0b1110_0000, 0]));
    let address = SocketAddr::new(CLIENT, CLOSED_PORT);
    let sighting = tracker.wait_for_peer(TORRENT, address, has_pieces(3));
    assert!(sighting.is_connected && !sighting.is_encrypted);

    // For a torrent of which it is no peer.
    let mut stranger = lan.connect(&tracker);
    stranger.write_all(&handshake(InfoHash::new([9; 20]), LEECHER).encode()).unwrap();
    wait_for_end(&mut stranger);
}

/// The address by IPv6 of one that announced by IPv4 is nobody's who announced.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_private_torrent_is_given_only_to_those_who_announced() {
    let lan = Lan::new("private");
    let tracker = lan.start_tracker();
    tracker.torrents.insert(TORRENT, TorrentFacts { piece_count: 10, is_private: true });
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    announce_from(&tracker, CLIENT, LEECHER, CLOSED_PORT);
    let mut stranger = lan.connect_to(&tracker, TRACKER_V6);
    stranger.write_all(&handshake(TORRENT, LEECHER).encode()).unwrap();
    let mut answer = Vec::new();
    _ = stranger.read_to_end(&mut answer);
    assert_eq!(answer, [], "not even the handshake");

    let mut member = lan.connect(&tracker);
    shake_hands(&mut member, TORRENT);
    wait_for_message(&mut member, |message| matches!(message, Message::Have { .. }));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_peer_that_connects_encrypted_is_seen() {
    let lan = Lan::new("encrypted");
    let tracker = lan.start_tracker();
    announce_from(&tracker, CLIENT, LEECHER, CLOSED_PORT);
    let address = SocketAddr::new(CLIENT, CLOSED_PORT);
    // The own peer knows of it when it has something to say.
    tracker.wait_for_peer(TORRENT, address, |_| true);

    let mut stream = lan.connect(&tracker);
    let mut initiator = Initiator::new(*TORRENT.as_bytes(), Methods::Rc4Only, &mut rand::rng());
    let Established { mut ciphers, received, .. } = loop {
        if let Some(bytes) = initiator.poll_output() {
            stream.write_all(&bytes).unwrap();
        }
        if let Some(established) = initiator.poll_established() {
            break established;
        }
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the encrypted handshake is refused");
        initiator.handle_input(&buffer[..length]).unwrap();
    };
    assert!(received.is_empty());
    let mut bytes = handshake(TORRENT, LEECHER).encode().to_vec();
    bytes.extend(encoded(Message::Bitfield(&[0b1110_0000, 0])));
    ciphers.encrypt(&mut bytes);
    stream.write_all(&bytes).unwrap();
    let mut answer = [0; Handshake::BYTES];
    stream.read_exact(&mut answer).unwrap();
    ciphers.decrypt(&mut answer);
    assert_eq!(read_handshake(&mut &answer[..]).info_hash, *TORRENT.as_bytes());
    assert!(tracker.wait_for_peer(TORRENT, address, has_pieces(3)).is_encrypted);
}

/// Those that the own peer made, and those that were made to it.
#[test]
#[ignore = "needs root, for network namespaces"]
fn when_a_client_on_this_machine_announces_nothing_is_in_its_way_before_it_has_its_answer() {
    let lan = Lan::new("here");
    let tracker = lan.start_tracker();
    let mut outgoing = dialled_at(&lan, &tracker, CLIENT);
    let other = PeerId::new(*b"-XX0001-other0000000");
    announce_from(&tracker, CLIENT, other, CLOSED_PORT);
    let closed = SocketAddr::new(CLIENT, CLOSED_PORT);
    tracker.wait_for_peer(TORRENT, closed, |_| true);
    let mut incoming = lan.connect(&tracker);
    incoming.write_all(&handshake(TORRENT, other).encode()).unwrap();
    read_handshake(&mut incoming);
    tracker.wait_for_peer(TORRENT, closed, |sighting| sighting.is_connected);
    assert_eq!(open_connections(&lan), 2);

    announce_here(&tracker);
    assert_eq!(open_connections(&lan), 0);
    for stream in [&mut outgoing, &mut incoming] {
        wait_for_end(stream);
    }

    // Nor is anything opened from now on.
    let mut late = lan.connect(&tracker);
    late.write_all(&handshake(TORRENT, LEECHER).encode()).unwrap();
    wait_for_end(&mut late);
}

/// One by IPv4 leaves the way by IPv6 free, for both sides; until there is one by IPv6.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_client_on_this_machine_is_in_the_way_in_its_address_family_only() {
    let lan = Lan::new("families");
    let tracker = lan.start_tracker();
    announce_here(&tracker);
    tracker.wait_for_peer(TORRENT, SocketAddr::new(TRACKER, HERE_PORT), |_| true);
    let mut outgoing = dialled_at(&lan, &tracker, CLIENT_V6);

    let other = PeerId::new(*b"-XX0001-other0000000");
    announce_from(&tracker, CLIENT_V6, other, CLOSED_PORT);
    let closed = SocketAddr::new(CLIENT_V6, CLOSED_PORT);
    tracker.wait_for_peer(TORRENT, closed, |_| true);
    let mut incoming = lan.connect_to(&tracker, TRACKER_V6);
    incoming.write_all(&handshake(TORRENT, other).encode()).unwrap();
    read_handshake(&mut incoming);
    tracker.wait_for_peer(TORRENT, closed, |sighting| sighting.is_connected);
    assert_eq!(open_connections(&lan), 2);

    announce_from(&tracker, TRACKER_V6, PeerId::new(*b"-XX0001-here-too0000"), HERE_PORT);
    assert_eq!(open_connections(&lan), 0);
    for stream in [&mut outgoing, &mut incoming] {
        wait_for_end(stream);
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_connection_from_an_address_that_only_the_own_peer_uses_stays() {
    let lan = Lan::new("exclusive");
    let tracker = lan.start_tracker_with(&[TRACKER_TOO]);
    let stream = dialled_at(&lan, &tracker, CLIENT);
    assert_eq!(stream.peer_addr().unwrap().ip(), TRACKER_TOO);
    announce_here(&tracker);
    assert_eq!(open_connections(&lan), 1);
    // Nor does the planner close it when it hears of the client.
    tracker.wait_for_peer(TORRENT, SocketAddr::new(TRACKER, HERE_PORT), |_| true);
    assert_eq!(open_connections(&lan), 1);
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_that_holds_connections_without_a_handshake_takes_no_more_than_its_places() {
    let lan = Lan::new("silent");
    let tracker = lan.start_tracker();
    announce_from(&tracker, CLIENT, LEECHER, CLOSED_PORT);
    let silent: Vec<_> = (0..MAX_HANDSHAKES_PER_ADDRESS).map(|_| lan.connect(&tracker)).collect();
    wait_for_end(&mut lan.connect(&tracker));
    drop(silent);
    let address = SocketAddr::new(CLIENT, CLOSED_PORT);
    // The places are given back when the own peer has seen that they are gone.
    let seen = (0..100).find_map(|_| {
        let mut stream = lan.connect(&tracker);
        stream.write_all(&handshake(TORRENT, LEECHER).encode()).ok()?;
        let mut answer = [0; Handshake::BYTES];
        stream.read_exact(&mut answer).ok()?;
        Some(stream)
    });
    let mut stream = seen.expect("an honest connection is taken");
    send(&mut stream, Message::HaveAll);
    tracker.wait_for_peer(TORRENT, address, has_pieces(10));
}
