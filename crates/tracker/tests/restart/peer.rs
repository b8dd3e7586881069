//! Peers that announce over HTTP.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use bencode::Decoder;
use socket2::{Domain, Socket, Type};

use crate::running::PATIENCE;

/// A peer at a loopback address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddrV4,
}

/// The counts of a swarm in a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) complete: u64,
    pub(crate) incomplete: u64,
    pub(crate) downloaded: u64,
}

impl Peer {
    /// The peer with this number. Those of other numbers have other addresses: 60,000 each in 127.1.0.0/16 and so on.
    pub(crate) fn new(number: u32) -> Self {
        let [_, high, middle, low] = (number % 60_000 + 256).to_be_bytes();
        assert_eq!(high, 0);
        let network = u8::try_from(1 + number / 60_000).expect("there are not so many");
        Self { address: SocketAddrV4::new(Ipv4Addr::new(127, network, middle, low), 7001) }
    }

    /// Announces, and returns the peers of the answer.
    pub(crate) fn announce(
        self,
        tracker: SocketAddr,
        info_hash: &str,
        left: u64,
        event: &str,
    ) -> io::Result<Vec<Self>> {
        let [_, b, c, d] = self.address.ip().octets();
        let target = format!(
            "/announce?info_hash={}&peer_id=-qB4520-{b:03}{c:03}{d:03}xyz&port={}&uploaded=0&downloaded=0&left={left}&event={event}\
             &compact=1&numwant=50",
            escape(info_hash),
            self.address.port()
        );
        let body = exchange(*self.address.ip(), tracker, &target)?;
        let answer = Decoder::strict().decode(&body).map_err(io::Error::other)?;
        let peers = answer.root().as_dict().and_then(|answer| answer.get(b"peers")?.as_bytes());
        let (peers, rest) = peers.ok_or_else(|| io::Error::other(body.escape_ascii().to_string()))?.as_chunks();
        assert_eq!(rest, [0; 0], "compact peers have six bytes each");
        let peer = |&[a, b, c, d, high, low]: &[u8; 6]| Self {
            address: SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low])),
        };
        Ok(peers.iter().map(peer).collect())
    }

    /// Begins a download and completes it. Both announces were answered when it returns.
    pub(crate) fn download(self, tracker: SocketAddr, info_hash: &str) -> io::Result<()> {
        self.announce(tracker, info_hash, 10, "started")?;
        self.announce(tracker, info_hash, 0, "completed")?;
        Ok(())
    }
}

/// Asks for the counts of a swarm.
pub(crate) fn scrape(tracker: SocketAddr, info_hash: &str) -> Counts {
    let body = exchange(Ipv4Addr::LOCALHOST, tracker, &format!("/scrape?info_hash={}", escape(info_hash))).unwrap();
    let answer = Decoder::strict().decode(&body).unwrap();
    let files = answer.root().as_dict().and_then(|answer| answer.get(b"files")?.as_dict()).expect("a scrape has files");
    let Some((_, swarm)) = files.iter().next() else { return Counts::default() };
    let count = |key: &str| swarm.as_dict().and_then(|swarm| swarm.get(key.as_bytes())?.as_u64()).expect("a count");
    Counts { complete: count("complete"), incomplete: count("incomplete"), downloaded: count("downloaded") }
}

/// Sends a request from a loopback address, and returns the body of the answer.
fn exchange(from: Ipv4Addr, tracker: SocketAddr, target: &str) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&tracker.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {tracker}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head_ends = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head_ends = head_ends.ok_or(io::ErrorKind::UnexpectedEof)? + 4;
    Ok(answer.split_off(head_ends))
}

fn escape(info_hash: &str) -> String {
    info_hash.as_bytes().chunks(2).map(|hex| format!("%{}", hex.escape_ascii())).collect()
}
