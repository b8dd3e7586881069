//! A tracker over UDP.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::swarms::{Fault, Request, Swarms, compact};

pub(crate) struct UdpTracker {
    address: SocketAddr,
    /// One unit for each packet that came.
    packets: Receiver<()>,
}

struct Server {
    socket: UdpSocket,
    /// The socket for answers from another address.
    other: UdpSocket,
    swarms: Swarms,
    packets: u32,
}

impl UdpTracker {
    /// Serves until the tests end.
    pub(crate) fn start(address: &str, fault: Fault) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let other = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let mut server = Server { socket, other, swarms: Swarms::new(fault), packets: 0 };
        let (sender, packets) = channel();
        thread::spawn(move || {
            let mut packet = [0; 2048];
            while let Ok((length, from)) = server.socket.recv_from(&mut packet) {
                server.serve(&packet[..length], from);
                // Most tests do not listen.
                let _ = sender.send(());
            }
        });
        Self { address, packets }
    }

    pub(crate) fn wait_for_packets(&self, count: usize) {
        assert_eq!(self.packets.iter().take(count).count(), count);
    }

    pub(crate) fn url(&self) -> String {
        format!("udp://{}", self.address)
    }
}

fn id_of(from: SocketAddr) -> u64 {
    match from {
        SocketAddr::V4(v4) => u64::from(u32::from(*v4.ip())) << 16 | 0xabcd,
        SocketAddr::V6(_) => 0xabcd,
    }
}

fn u32_at(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().unwrap())
}

fn info_hash(bytes: &[u8]) -> [u8; 20] {
    bytes[..20].try_into().unwrap()
}

impl Server {
    fn serve(&mut self, packet: &[u8], from: SocketAddr) {
        self.packets += 1;
        let fault = self.swarms.fault;
        let is_third = self.packets.is_multiple_of(3);
        if fault == Fault::LostPackets && self.packets.is_multiple_of(50) {
            return;
        }
        assert!(packet.len() >= 16, "{packet:?}");
        let id = u64::from_be_bytes(packet[..8].try_into().unwrap());
        let [action, transaction] = [8, 12].map(|at| u32_at(packet, at));
        let body = if action == 0 {
            assert_eq!((id, packet.len()), (0x0417_2710_1980, 16));
            id_of(from).to_be_bytes().to_vec()
        } else {
            assert_eq!(id, id_of(from), "each address uses its own connection id");
            match action {
                1 => self.announce(packet, from),
                2 => self.scrape(&packet[16..]),
                _ => panic!("action {action}"),
            }
        };
        if fault == Fault::Refusal && is_third && action == 1 {
            return self.send(from, 3, transaction, b"not today");
        }
        if fault == Fault::TransactionId && is_third {
            // The right answer follows.
            self.send(from, action, transaction.wrapping_add(1), &body);
        }
        let action = if fault == Fault::Action && is_third { 2 - action % 2 } else { action };
        let body = if fault == Fault::Length && is_third { [&body[..], b"x"].concat() } else { body };
        self.send(from, action, transaction, &body);
    }

    fn send(&self, to: SocketAddr, action: u32, transaction: u32, body: &[u8]) {
        let packet = [&action.to_be_bytes()[..], &transaction.to_be_bytes(), body].concat();
        let elsewhere = self.swarms.fault == Fault::SourceAddress && self.packets.is_multiple_of(3);
        let socket = if elsewhere { &self.other } else { &self.socket };
        socket.send_to(&packet, to).unwrap();
    }

    fn announce(&mut self, packet: &[u8], from: SocketAddr) -> Vec<u8> {
        assert_eq!(packet.len(), 98);
        assert!(packet[36..].starts_with(b"-SS0100-"));
        let event = u32_at(packet, 80);
        let port = u16::from_be_bytes(packet[96..98].try_into().unwrap());
        let answer = self.swarms.announce(&Request {
            info_hash: info_hash(&packet[16..]),
            peer: SocketAddr::new(from.ip(), port),
            is_seed: packet[64..72] == [0; 8],
            is_stopped: event == 3,
            numwant: u32_at(packet, 92) as usize,
        });
        let counts = [answer.interval, answer.leechers, answer.seeders].map(u32::to_be_bytes);
        [counts.concat(), compact(&answer.peers)].concat()
    }

    fn scrape(&self, info_hashes: &[u8]) -> Vec<u8> {
        let counts = info_hashes.chunks(20).map(|bytes| {
            let (seeders, leechers) = self.swarms.scrape(&info_hash(bytes));
            [seeders, 0, leechers].map(u32::to_be_bytes).concat()
        });
        counts.collect::<Vec<_>>().concat()
    }
}
