//! A few packets of the [Micro Transport Protocol](crate::utp), to find out whether a peer answers, and whether it has the torrent.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_wire::Handshake;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::planner::UtpOutcome;
use crate::utp::{DATA, FIN, PACKET_BYTES, Packet, RESET, STATE, SYN, header};

/// How long the answer to a SYN may take, and then a handshake. Clients answer in less than a millisecond, and shake hands in 20.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a SYN, and a RESET if it is answered, so that the peer forgets the connection. Before that it shakes hands if it is given a
/// handshake.
///
/// Packets that are lost are not sent again: the peer is probed again later.
pub(crate) async fn probe_utp(to: SocketAddr, from: IpAddr, handshake: Option<Handshake>) -> UtpOutcome {
    let Ok(Ok(Some(mut stream))) = timeout(TIMEOUT, UtpStream::connect(to, from)).await else {
        return UtpOutcome::NoAnswer;
    };
    let mut outcome = UtpOutcome::Answered;
    if let Some(handshake) = handshake
        && let Ok(Ok(true)) = timeout(TIMEOUT, stream.shake_hands(handshake)).await
    {
        outcome = UtpOutcome::ShookHands;
    }
    // It does not matter whether it arrives.
    _ = stream.send(RESET, &[]).await;
    outcome
}

/// A connection to which the peer agreed.
struct UtpStream {
    socket: UdpSocket,
    /// The connection id of the peer's packets. Ours have the next one, but for the SYN.
    id: u16,
    /// The sequence number of our next packet.
    sequence: u16,
    /// That of the peer's last packet with content.
    acknowledged: u16,
}

impl UtpStream {
    /// `None` if the answer to a SYN is none.
    async fn connect(to: SocketAddr, from: IpAddr) -> io::Result<Option<Self>> {
        let socket = UdpSocket::bind((from, 0)).await?;
        socket.connect(to).await?;
        let id = rand::random();
        socket.send(&header(SYN, id, 1, 0)).await?;
        let mut bytes = [0; PACKET_BYTES];
        let length = socket.recv(&mut bytes).await?;
        let answer = Packet::decode(&bytes[..length]).filter(|packet| packet.kind == STATE && packet.id == id);
        // A STATE has the number of the packet with content that is to follow.
        Ok(answer.map(|answer| Self { socket, id, sequence: 2, acknowledged: answer.sequence.wrapping_sub(1) }))
    }

    /// Says whether the peer shakes hands for the same torrent.
    async fn shake_hands(&mut self, ours: Handshake) -> io::Result<bool> {
        self.send(DATA, &ours.encode()).await?;
        self.sequence = self.sequence.wrapping_add(1);
        let next = self.acknowledged.wrapping_add(1);
        let mut bytes = [0; PACKET_BYTES];
        loop {
            let length = self.socket.recv(&mut bytes).await?;
            let Some(packet) = Packet::decode(&bytes[..length]).filter(|packet| packet.id == self.id) else { continue };
            match packet.kind {
                DATA if packet.sequence == next => {
                    self.acknowledged = next;
                    self.send(STATE, &[]).await?;
                    let theirs = Handshake::decode(packet.payload).ok().flatten();
                    return Ok(theirs.is_some_and(|theirs| theirs.info_hash == ours.info_hash));
                }
                FIN | RESET => return Ok(false),
                _ => {}
            }
        }
    }

    async fn send(&self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let header = header(kind, self.id.wrapping_add(1), self.sequence, self.acknowledged);
        self.socket.send(&[&header[..], payload].concat()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use peer_wire::Reserved;

    use super::*;
    use crate::utp::HEADER_BYTES;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// The number of the first packet with content of a [`Client`].
    const FIRST: u16 = 0;

    /// The program at the other end.
    struct Client(UdpSocket);

    impl Client {
        async fn start() -> (Self, SocketAddr) {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            (Self(socket), address)
        }

        /// Answers a SYN. The connection id is returned, and who sent it.
        async fn accept(&self) -> (u16, SocketAddr) {
            let mut syn = [0; PACKET_BYTES];
            let (length, asker) = self.0.recv_from(&mut syn).await.unwrap();
            assert_eq!((length, syn[0], &syn[16..18]), (HEADER_BYTES, SYN, &[0, 1][..]));
            let id = u16::from_be_bytes([syn[2], syn[3]]);
            // With an extension, as Transmission does.
            let mut state = [&header(STATE, id, FIRST, 1)[..], &[0, 8], &[0; 8]].concat();
            state[1] = 2;
            self.0.send_to(&state, asker).await.unwrap();
            (id, asker)
        }

        /// Takes a packet with this type and these numbers, and returns its payload.
        async fn expect(&self, kind: u8, id: u16, sequence: u16, acknowledged: u16) -> Vec<u8> {
            let mut bytes = [0; PACKET_BYTES];
            let length = self.0.recv(&mut bytes).await.unwrap();
            assert_eq!(bytes[..HEADER_BYTES], header(kind, id.wrapping_add(1), sequence, acknowledged));
            bytes[HEADER_BYTES..length].to_vec()
        }
    }

    fn handshake(info_hash: u8) -> Handshake {
        Handshake { reserved: Reserved::EXTENSIONS, info_hash: [info_hash; 20], peer_id: [9; 20] }
    }

    #[tokio::test]
    async fn a_peer_that_answers_is_told_from_one_that_does_not() {
        let (client, address) = Client::start().await;
        let answering = async {
            let (id, _) = client.accept().await;
            client.expect(RESET, id, 2, FIRST.wrapping_sub(1)).await;
        };
        let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK, None), answering);
        assert_eq!(outcome, UtpOutcome::Answered);

        let garbage = async {
            let (_, asker) = client.0.recv_from(&mut [0; 64]).await.unwrap();
            client.0.send_to(b"no header", asker).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK, None), garbage);
        assert_eq!(outcome, UtpOutcome::NoAnswer);
        drop(client);
        assert_eq!(probe_utp(address, LOOPBACK, Some(handshake(1))).await, UtpOutcome::NoAnswer, "the port is closed");
    }

    #[tokio::test]
    async fn a_client_with_the_torrent_shakes_hands() {
        let (client, address) = Client::start().await;
        for (theirs, expected) in [(1, UtpOutcome::ShookHands), (2, UtpOutcome::Answered)] {
            let answering = async {
                let (id, asker) = client.accept().await;
                let ours = client.expect(DATA, id, 2, FIRST.wrapping_sub(1)).await;
                assert_eq!(ours, handshake(1).encode());
                client.0.send_to(&header(STATE, id, FIRST, 2), asker).await.unwrap();
                // Of another connection, and out of turn.
                for (id, sequence) in [(id.wrapping_add(7), FIRST), (id, FIRST + 1)] {
                    client.0.send_to(&header(DATA, id, sequence, 2), asker).await.unwrap();
                }
                let first = [&header(DATA, id, FIRST, 2)[..], &handshake(theirs).encode(), &[0, 0, 0, 1, 15]].concat();
                client.0.send_to(&first, asker).await.unwrap();
                client.expect(STATE, id, 3, FIRST).await;
                client.expect(RESET, id, 3, FIRST).await;
            };
            let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK, Some(handshake(1))), answering);
            assert_eq!(outcome, expected);
        }
    }

    #[tokio::test]
    async fn a_client_without_the_torrent_ends_the_connection_or_is_silent() {
        let (client, address) = Client::start().await;
        for answer in [Some(FIN), Some(RESET), None] {
            let answering = async {
                let (id, asker) = client.accept().await;
                client.expect(DATA, id, 2, FIRST.wrapping_sub(1)).await;
                if let Some(kind) = answer {
                    client.0.send_to(&header(kind, id, FIRST, 2), asker).await.unwrap();
                }
                client.expect(RESET, id, 3, FIRST.wrapping_sub(1)).await;
            };
            let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK, Some(handshake(1))), answering);
            assert_eq!(outcome, UtpOutcome::Answered, "{answer:?}");
        }
    }
}
