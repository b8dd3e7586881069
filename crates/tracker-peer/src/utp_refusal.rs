//! Refusing connections of the [Micro Transport Protocol](crate::utp).
//!
//! The tracker's own peer speaks TCP only. Clients try the other first, and TCP after some seconds of silence (libtorrent 4,
//! WebTorrent 41), or at once when they are refused.

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, sleep_until};
use tracker_core::Shards;
use tracker_host::{Transport, bind};

use crate::utp::{HEADER_BYTES, PACKET_BYTES, Packet, RESET, SYN, header};

/// Packets that are read in a second at each address; others wait, or are dropped by the system. All computers of a large network
/// may begin at once.
const PACKETS_PER_SECOND: u32 = 1000;

/// How long to wait after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// The sockets with the ports and addresses of these listeners. Where another program has one, nobody is refused.
pub(crate) fn bind_utp_beside(listeners: &[TcpListener]) -> Vec<UdpSocket> {
    let log = |error: &io::Error| tracing::debug!(%error, "connections over uTP are not refused");
    listeners.iter().flat_map(|listener| bind_beside(listener).inspect_err(log)).flatten().collect()
}

fn bind_beside(listener: &TcpListener) -> io::Result<Vec<UdpSocket>> {
    let workers = bind(&[listener.local_addr()?], Transport::Udp, NonZeroUsize::MIN, |_, _| Ok(()));
    let sockets = workers.map_err(|error| error.source)?.into_iter().flatten().map(|socket| {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket.into())
    });
    sockets.collect()
}

/// Refuses connections until it is dropped. Nothing else is answered, and no more is sent than has come.
pub(crate) async fn refuse_utp(socket: UdpSocket, shards: Arc<Shards>) -> Infallible {
    let mut bytes = [0; PACKET_BYTES];
    let (mut second, mut left) = (Instant::now(), PACKETS_PER_SECOND);
    loop {
        if second.elapsed() >= Duration::from_secs(1) {
            (second, left) = (Instant::now(), PACKETS_PER_SECOND);
        }
        let Some(rest) = left.checked_sub(1) else {
            sleep_until(second + Duration::from_secs(1)).await;
            continue;
        };
        left = rest;
        match socket.recv_from(&mut bytes).await {
            Ok((length, sender)) => {
                if let Some(answer) = answer(&bytes[..length])
                    && shards.admits(sender.ip().to_canonical())
                {
                    // It does not matter whether it arrives.
                    _ = socket.try_send_to(&answer, sender);
                }
            }
            // Also what became of an earlier answer.
            Err(error) => {
                tracing::debug!(%error, "cannot receive over UDP");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Clients take a refusal of what they have sent only.
fn answer(packet: &[u8]) -> Option<[u8; HEADER_BYTES]> {
    let syn = Packet::decode(packet).filter(|packet| packet.kind == SYN)?;
    Some(header(RESET, syn.id, 0, syn.sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;
    use crate::utp::DATA;

    #[test]
    fn a_syn_is_refused_and_nothing_else_is_answered() {
        let syn = header(SYN, 0x1234, 7, 0);
        assert_eq!(answer(&syn), Some(header(RESET, 0x1234, 0, 7)));
        assert_eq!(answer(&header(DATA, 0x1234, 7, 0)), None);
        assert_eq!(answer(&header(RESET, 0x1234, 7, 0)), None);
        assert_eq!(answer(&syn[..HEADER_BYTES - 1]), None);
        assert_eq!(answer(b"d1:ad2:id20:"), None);
    }

    #[tokio::test]
    async fn the_port_is_that_of_the_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let [socket] = <[UdpSocket; 1]>::try_from(bind_utp_beside(&[listener])).unwrap();
        let (context, _reports) = context::tests::context();
        let refusing = tokio::spawn(refuse_utp(socket, context.shards));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(address).await.unwrap();
        client.send(b"garbage").await.unwrap();
        client.send(&header(SYN, 9, 1, 0)).await.unwrap();
        let mut answer = [0; PACKET_BYTES];
        let length = client.recv(&mut answer).await.unwrap();
        assert_eq!(answer[..length], header(RESET, 9, 0, 1));
        refusing.abort();
    }
}
