use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context, ensure};
use tracker_core::PeerId;
use tracker_udp::{Action, Announce, Request};

use super::host::{Host, PATIENCE};

/// Bytes of an answer before its peers.
const HEAD: usize = 20;

/// Talks to a tracker as BEP 15 has it, from a host.
#[derive(Debug)]
pub(crate) struct Udp(UdpSocket);

impl Udp {
    pub(crate) fn new(host: &Host, tracker: SocketAddrV4) -> anyhow::Result<Self> {
        Self::new_at(Ipv4Addr::UNSPECIFIED, host, tracker)
    }

    /// Creates a client with a certain address of the host.
    pub(crate) fn new_at(address: Ipv4Addr, host: &Host, tracker: SocketAddrV4) -> anyhow::Result<Self> {
        let socket = host.on(|| UdpSocket::bind((address, 0)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // What comes from any other address is dropped.
        socket.connect(tracker)?;
        Ok(Self(socket))
    }

    /// Asks for a connection id.
    pub(crate) fn connect(&self) -> anyhow::Result<u64> {
        let answer = self.exchange(Request::connect(1))?;
        let (_, id) = answer.split_first_chunk::<8>().context("a short answer")?;
        Ok(u64::from_be_bytes(id.try_into()?))
    }

    /// Announces as a leecher without anything, and returns the peers that it gets.
    pub(crate) fn announce(
        &self,
        connection_id: u64,
        info_hash: &str,
        port: u16,
        event: u32,
    ) -> anyhow::Result<Vec<SocketAddrV4>> {
        let announce = Announce {
            info_hash: info_hash.parse()?,
            peer_id: PeerId::new(*b"-XX0000-onlylooking!"),
            downloaded: 0,
            left: 1,
            uploaded: 0,
            event,
            ip: Ipv4Addr::UNSPECIFIED,
            key: 0,
            num_want: 50,
            port,
            options: b"",
        };
        self.announce_as(connection_id, announce)
    }

    /// Announces, and returns the peers that it gets.
    pub(crate) fn announce_as(&self, connection_id: u64, announce: Announce<'_>) -> anyhow::Result<Vec<SocketAddrV4>> {
        let answer = self.exchange(Request { connection_id, transaction_id: 2, action: Action::Announce(announce) })?;
        ensure!(answer.starts_with(&[0, 0, 0, 1]), "no answer to an announce: {}", answer.escape_ascii());
        let (peers, rest) = answer.get(HEAD..).context("a short answer")?.as_chunks();
        ensure!(rest.is_empty(), "compact peers have six bytes each");
        Ok(peers.iter().map(peer).collect())
    }

    fn exchange(&self, request: Request<'_>) -> anyhow::Result<Vec<u8>> {
        let mut datagram = Vec::new();
        request.encode(&mut datagram);
        self.0.send(&datagram)?;
        let mut answer = [0; 2048];
        let length = self.0.recv(&mut answer).context("the tracker does not answer over UDP")?;
        Ok(answer[..length].to_vec())
    }
}

/// A peer in the compact form of BEP 15 and 23.
pub(crate) fn peer(&[a, b, c, d, high, low]: &[u8; 6]) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))
}
