//! One packet of the Micro Transport Protocol ([BEP 29](https://www.bittorrent.org/beps/bep_0029.html)), to find out whether a peer
//! answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::planner::UtpOutcome;

/// How long an answer may take. Clients answer in less than a millisecond.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a header without extensions, which is a whole packet here.
const HEADER_BYTES: usize = 20;

/// The first byte of packets: their type, and version 1.
const SYN: u8 = 0x41;
const STATE: u8 = 0x21;
const RESET: u8 = 0x31;

/// Bytes that a peer may receive before it has to wait: any number will do.
const WINDOW: u32 = 64 * 1024;

/// Sends a SYN, and a RESET if it is answered, so that the peer forgets the connection.
pub(crate) async fn probe_utp(to: SocketAddr, from: IpAddr) -> UtpOutcome {
    match timeout(TIMEOUT, exchange(to, from)).await {
        Ok(Ok(true)) => UtpOutcome::Answered,
        _ => UtpOutcome::NoAnswer,
    }
}

async fn exchange(to: SocketAddr, from: IpAddr) -> std::io::Result<bool> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(to).await?;
    let id = rand::random::<u16>();
    socket.send(&packet(SYN, id, 1, 0)).await?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).await?;
    let is_answered = is_state(&answer[..length], id);
    if is_answered {
        let acknowledged = u16::from_be_bytes([answer[16], answer[17]]);
        // Those of the initiator have the next connection id. It does not matter whether this one arrives.
        _ = socket.send(&packet(RESET, id.wrapping_add(1), 2, acknowledged)).await;
    }
    Ok(is_answered)
}

fn packet(kind: u8, id: u16, sequence: u16, acknowledged: u16) -> [u8; HEADER_BYTES] {
    let mut packet = [0; HEADER_BYTES];
    packet[0] = kind;
    packet[2..4].copy_from_slice(&id.to_be_bytes());
    packet[12..16].copy_from_slice(&WINDOW.to_be_bytes());
    packet[16..18].copy_from_slice(&sequence.to_be_bytes());
    packet[18..20].copy_from_slice(&acknowledged.to_be_bytes());
    packet
}

/// Returns `true` for the answer to our SYN.
fn is_state(packet: &[u8], id: u16) -> bool {
    packet.len() >= HEADER_BYTES && packet[0] == STATE && packet[2..4] == id.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_peer_that_answers_is_told_from_one_that_does_not() {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = peer.local_addr().unwrap();
        let answering = async {
            let mut syn = [0; 64];
            let (length, asker) = peer.recv_from(&mut syn).await.unwrap();
            assert_eq!((length, syn[0], &syn[16..18]), (HEADER_BYTES, SYN, &[0, 1][..]));
            let id = u16::from_be_bytes([syn[2], syn[3]]);
            peer.send_to(&packet(STATE, id, 700, 1), asker).await.unwrap();
            let length = peer.recv(&mut syn).await.unwrap();
            assert_eq!((length, syn[0]), (HEADER_BYTES, RESET));
            assert_eq!(u16::from_be_bytes([syn[2], syn[3]]), id.wrapping_add(1));
            assert_eq!(u16::from_be_bytes([syn[18], syn[19]]), 700);
        };
        let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK), answering);
        assert_eq!(outcome, UtpOutcome::Answered);

        let garbage = async {
            let mut syn = [0; 64];
            let (_, asker) = peer.recv_from(&mut syn).await.unwrap();
            peer.send_to(b"no header", asker).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(probe_utp(address, LOOPBACK), garbage);
        assert_eq!(outcome, UtpOutcome::NoAnswer);
        drop(peer);
        assert_eq!(probe_utp(address, LOOPBACK).await, UtpOutcome::NoAnswer, "the port is closed");
    }
}
