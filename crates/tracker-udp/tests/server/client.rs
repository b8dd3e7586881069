use std::net::{IpAddr, SocketAddr, UdpSocket};

use tracker_udp::{Action, Announce, Request};

use crate::DEADLINE;
use crate::support::{connection_id, datagram};

/// Talks to one address of the tracker, and takes answers from that one only.
pub(crate) struct Client(UdpSocket);

impl Client {
    pub(crate) fn new(from: &str, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        // The system drops what comes from any other address.
        socket.connect(to).unwrap();
        Self(socket)
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.0.send(datagram).unwrap();
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut answer = [0; 4096];
        let length = self.0.recv(&mut answer).expect("there is an answer");
        answer[..length].to_vec()
    }

    pub(crate) fn connect(&self) -> u64 {
        let mut connect = Vec::new();
        Request::connect(77).encode(&mut connect);
        self.send(&connect);
        connection_id(&self.receive(), 77)
    }

    /// The answer, without its action and transaction id.
    pub(crate) fn announce(&self, announce: Announce<'_>) -> Vec<u8> {
        self.send(&datagram(self.connect(), 78, Action::Announce(announce)));
        let answer = self.receive();
        assert_eq!(answer[..8], [0, 0, 0, 1, 0, 0, 0, 78]);
        answer[8..].to_vec()
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}
