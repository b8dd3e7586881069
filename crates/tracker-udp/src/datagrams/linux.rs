//! Datagrams in batches: all that have come with one system call, each with the address that it came to where there may be several.
//!
//! A round of [`Datagrams::serve`] waits for the first datagram and takes what else is there by then. Each is answered into one
//! buffer of bytes; where its answer stands, from which address it leaves and to whom it goes are kept beside it. Then the
//! answers leave together. The two `MultiHeaders` and the buffers are made once and used again: nothing is allocated in a round.

use std::array;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg,
    setsockopt, sockopt,
};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use socket2::Socket;

use crate::request::MAX_REQUEST_BYTES;

/// Most datagrams that are taken, answered and sent together. With more of them the first answer is later and a request
/// hardly cheaper.
const BATCH: usize = 32;

/// The buffers of a thread that serves a socket.
pub(crate) struct Datagrams {
    /// Our address, if the socket is bound to one: then no datagram has to carry it.
    local: Option<IpAddr>,
    requests: Box<[[u8; MAX_REQUEST_BYTES]; BATCH]>,
    received: MultiHeaders<SockaddrStorage>,
    to_send: MultiHeaders<SockaddrStorage>,
    /// The bytes of the answers of a batch, one after the other.
    bytes: Vec<u8>,
    answers: Vec<Answer>,
    /// The destination of each answer.
    remotes: Vec<Option<SockaddrStorage>>,
}

#[derive(Debug)]
struct Answer {
    bytes: Range<usize>,
    /// The address that it leaves from.
    local: IpAddr,
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").finish_non_exhaustive()
    }
}

/// Makes the system report the address that each datagram came to, if there may be several. IPv4 answers are never fragmented: with
/// 200 peers they have 1,248 bytes with their headers, which is less than any link takes that is fit for IPv6, and what cannot be a
/// fragment needs no identification, whose making is a thirtieth of what an announce costs. What routers say about the path
/// is ignored: else a forged "fragmentation needed" would keep answers from being sent.
pub(crate) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?;
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(ip) if ip.is_unspecified() => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        _ => {}
    }
    Ok(())
}

impl Datagrams {
    pub(crate) fn new(socket: &UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?.ip();
        Ok(Self {
            local: (!local.is_unspecified()).then_some(local),
            requests: Box::new([[0; MAX_REQUEST_BYTES]; BATCH]),
            received: headers(socket)?,
            to_send: headers(socket)?,
            bytes: Vec::new(),
            answers: Vec::with_capacity(BATCH),
            remotes: Vec::with_capacity(BATCH),
        })
    }

    /// Waits for datagrams and sends what `answer` appends for each, if anything.
    ///
    /// # Errors
    ///
    /// Returns an error if nothing comes within the socket's timeout, or if the system reports one.
    pub(crate) fn serve(
        &mut self,
        socket: &UdpSocket,
        mut answer: impl FnMut(SocketAddr, IpAddr, &[u8], &mut Vec<u8>),
    ) -> io::Result<()> {
        self.bytes.clear();
        self.answers.clear();
        self.remotes.clear();

        let mut buffers = self.requests.each_mut().map(|request| [IoSliceMut::new(request)]);
        // It waits for the first, and takes no more than have come by then.
        let received = recvmmsg(socket.as_raw_fd(), &mut self.received, &mut buffers, MsgFlags::MSG_WAITFORONE, None)?;
        let mut is_complete = true;
        for message in received {
            let (Some((remote, to)), Some(local)) = (remote(&message), self.local.or_else(|| local(&message))) else {
                is_complete = false;
                continue;
            };
            let start = self.bytes.len();
            answer(remote, local, message.iovs().next().unwrap_or_default(), &mut self.bytes);
            if self.bytes.len() > start {
                self.answers.push(Answer { bytes: start..self.bytes.len(), local });
                self.remotes.push(Some(to));
            }
        }
        if !is_complete {
            // The system writes into a header how many bytes it put where there was room, and nix gives it back as the room
            // that there is: one that was left empty would stay without room, and whatever comes by it be dropped.
            self.received = headers(socket)?;
        }
        self.send(socket);
        Ok(())
    }

    /// Sends the answers. One call for all that leave from the same address, which mostly is all: the address is not given
    /// per datagram.
    fn send(&mut self, socket: &UdpSocket) {
        let mut remotes = self.remotes.as_slice();
        for run in self.answers.chunk_by(|one, next| one.local == next.local) {
            let (to, rest) = remotes.split_at(run.len());
            remotes = rest;
            let slices: [_; BATCH] = array::from_fn(|at| {
                [IoSlice::new(run.get(at).map_or(&[], |answer| &self.bytes[answer.bytes.clone()]))]
            });
            let source = if self.local.is_none() { Some(run[0].local) } else { None };
            send_from(socket, source, &slices[..run.len()], to, &mut self.to_send);
        }
    }
}

/// For a batch, each with room for the address of ours, of the family's own size, if it is received and sent.
fn headers(socket: &UdpSocket) -> io::Result<MultiHeaders<SockaddrStorage>> {
    let room = match socket.local_addr()?.ip() {
        IpAddr::V4(ip) => ip.is_unspecified().then(|| cmsg_space!(in_pktinfo)),
        IpAddr::V6(ip) => ip.is_unspecified().then(|| cmsg_space!(in6_pktinfo)),
    };
    Ok(MultiHeaders::preallocate(BATCH, room))
}

/// Sends without waiting, from `local` unless the socket is bound to one address. An answer that the system does not take is lost,
/// as it might be on its way; the client asks again.
fn send_from(
    socket: &UdpSocket,
    local: Option<IpAddr>,
    mut slices: &[[IoSlice<'_>; 1]],
    mut to: &[Option<SockaddrStorage>],
    headers: &mut MultiHeaders<SockaddrStorage>,
) {
    let (v4, v6);
    let source = match local {
        None => None,
        Some(IpAddr::V4(ip)) => {
            let s_addr = u32::from_ne_bytes(ip.octets());
            v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr { s_addr }, ipi_addr: in_addr { s_addr: 0 } };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(ip)) => {
            v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
    };
    while !slices.is_empty() {
        let sent = match sendmmsg(socket.as_raw_fd(), headers, slices, to, source.as_slice(), MsgFlags::MSG_DONTWAIT) {
            Ok(sent) => sent.count(),
            Err(Errno::EINTR) => 0,
            // It is about the first one.
            Err(_) => 1,
        };
        (slices, to) = (&slices[sent..], &to[sent..]);
    }
}

fn remote(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<(SocketAddr, SockaddrStorage)> {
    let storage = message.address?;
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddrV4::from(*address).into());
    let v6 = || storage.as_sockaddr_in6().map(|address| SocketAddrV6::from(*address).into());
    Some((v4.or_else(v6)?, storage))
}

/// To which address it came; for a broadcast, by which of ours it is answered.
fn local(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server on this address, and a client of it.
    fn sockets(server: &str) -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind(server).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        }
        client.connect(("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        (server, client)
    }

    #[test]
    fn a_socket_bound_to_one_address_answers_from_it() {
        let (server, client) = sockets("127.0.0.1:0");
        let mut datagrams = Datagrams::new(&server).unwrap();
        for round in [b"1", b"2"] {
            client.send(round).unwrap();
            let answer = |_, local, datagram: &[u8], out: &mut Vec<u8>| {
                assert_eq!(local, IpAddr::from([127, 0, 0, 1]));
                out.extend_from_slice(datagram);
            };
            datagrams.serve(&server, answer).unwrap();
            let mut answer = [0; 10];
            assert_eq!(client.recv(&mut answer).unwrap(), 1);
            assert_eq!(&answer[..1], round);
        }
    }

    #[test]
    fn a_datagram_without_its_address_costs_no_other() {
        let (server, client) = sockets("0.0.0.0:0");
        let mut datagrams = Datagrams::new(&server).unwrap();
        let mut serve = |datagram: &[u8]| {
            client.send(datagram).unwrap();
            datagrams.serve(&server, |_, _, datagram, out| out.extend_from_slice(datagram)).unwrap();
        };
        serve(b"dropped: nobody has asked the system for addresses");
        setsockopt(&server, sockopt::Ipv4PacketInfo, &true).unwrap();
        for round in [b"1", b"2"] {
            serve(round);
            let mut answer = [0; 10];
            assert_eq!(client.recv(&mut answer).unwrap(), 1);
            assert_eq!(&answer[..1], round);
        }
    }
}
