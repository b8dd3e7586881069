//! Requests of clients.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};

use bencode::Decoder;
use socket2::{Domain, Socket, Type};
use tracker_core::PeerId;
use tracker_udp::{Action, Announce, Request};

use crate::running::PATIENCE;

pub(crate) fn announce(tracker: SocketAddr, info_hash: &str, port: u16, left: u64, event: &str) -> String {
    let answer = get(tracker, &announce_target(info_hash, port, left, event));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

pub(crate) fn announce_target(info_hash: &str, port: u16, left: u64, event: &str) -> String {
    let info_hash: String = info_hash.as_bytes().chunks(2).map(|hex| format!("%{}", hex.escape_ascii())).collect();
    format!(
        "/announce?info_hash={info_hash}&peer_id={}&port={port}&uploaded=0&downloaded=0&left={left}&event={event}&compact=1",
        peer_id(port).as_bytes().escape_ascii()
    )
}

pub(crate) fn get(tracker: SocketAddr, target: &str) -> String {
    request(tracker, target, "")
}

pub(crate) fn request(tracker: SocketAddr, target: &str, headers: &str) -> String {
    String::from_utf8_lossy(&exchange(Ipv4Addr::LOCALHOST, tracker, target, headers)).into_owned()
}

/// Announces over HTTP from a loopback address, and returns the IPv4 peers in the answer.
pub(crate) fn peers_over_http(from: Ipv4Addr, tracker: SocketAddr, target: &str) -> Vec<SocketAddrV4> {
    let answer = exchange(from, tracker, target, "");
    let head_ends = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head") + 4;
    let body = Decoder::strict().decode(&answer[head_ends..]).unwrap();
    compact(body.root().as_dict().and_then(|body| body.get(b"peers")?.as_bytes()).expect("the answer has peers"))
}

/// Sends a request with this method over loopback.
pub(crate) fn send(method: &str, address: SocketAddr, target: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a body over loopback.
pub(crate) fn post(address: SocketAddr, target: &str, body: &[u8]) -> String {
    post_with(address, target, "", body)
}

/// Sends a body with these headers over loopback.
pub(crate) fn post_with(address: SocketAddr, target: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn exchange(from: Ipv4Addr, tracker: SocketAddr, target: &str, headers: &str) -> Vec<u8> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&tracker.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {tracker}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Announces the start over UDP from an address, and returns the IPv4 peers in the answer.
pub(crate) fn peers_over_udp(
    from: impl Into<IpAddr>,
    tracker: SocketAddr,
    info_hash: &str,
    port: u16,
    left: u64,
) -> Vec<SocketAddrV4> {
    let answer = answer_over_udp(from, tracker, info_hash, port, left, "");
    assert_eq!(answer[..8], [0, 0, 0, 1, 0, 0, 0, 2], "{}", answer.escape_ascii());
    compact(&answer[20..])
}

/// Announces the start over UDP from an address, with this path in the tracker's URL, and returns the answer.
pub(crate) fn answer_over_udp(
    from: impl Into<IpAddr>,
    tracker: SocketAddr,
    info_hash: &str,
    port: u16,
    left: u64,
    path: &str,
) -> Vec<u8> {
    let socket = UdpSocket::bind((from.into(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(tracker).unwrap();
    let ask = |request: Request<'_>| {
        let mut datagram = Vec::new();
        request.encode(&mut datagram);
        socket.send(&datagram).unwrap();
        let mut answer = [0; 2048];
        let length = socket.recv(&mut answer).expect("the tracker answers over UDP");
        answer[..length].to_vec()
    };
    let answer = ask(Request::connect(1));
    let connection_id = u64::from_be_bytes(answer[8..].try_into().expect("16 bytes"));
    let announce = Announce {
        info_hash: info_hash.parse().unwrap(),
        peer_id: peer_id(port),
        downloaded: 0,
        left,
        uploaded: 0,
        event: 2,
        ip: Ipv4Addr::UNSPECIFIED,
        key: 0,
        num_want: -1,
        port,
        options: &[&[2, path.len() as u8], path.as_bytes()].concat(),
    };
    ask(Request { connection_id, transaction_id: 2, action: Action::Announce(announce) })
}

fn compact(peers: &[u8]) -> Vec<SocketAddrV4> {
    let (peers, rest) = peers.as_chunks();
    assert_eq!(rest, [0; 0], "compact peers have six bytes each");
    let peer =
        |&[a, b, c, d, high, low]: &[u8; 6]| SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low]));
    peers.iter().map(peer).collect()
}

/// The peer id of the client that listens on this port.
fn peer_id(port: u16) -> PeerId {
    let peer_id = format!("-qB4520-abcdefg{port:05}");
    PeerId::new(peer_id.into_bytes().try_into().expect("20 characters"))
}
