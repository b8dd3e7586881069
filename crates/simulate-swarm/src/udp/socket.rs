//! A socket that sends from many addresses, in batches.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrStorage, bind, recvmmsg,
    sendmmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;

use super::packet::LONGEST_REQUEST;
use crate::address::Sources;

/// Packets per system call.
const BATCH: usize = 64;
/// The size of the buffer for a packet: the answer with 200 IPv6 peers has 3620 bytes.
const LONGEST_ANSWER: usize = 4096;
/// The requested size of the socket's buffers, in bytes; the system may give less.
const BUFFER: usize = 4 << 20;

/// The socket of all simulated peers.
#[derive(Debug)]
pub(crate) struct BatchSocket {
    socket: OwnedFd,
    tracker: SocketAddr,
    outbox: Outbox,
    inbox: Inbox,
}

/// Packets to send together.
#[derive(Debug)]
struct Outbox {
    bytes: Box<[u8]>,
    lengths: Vec<usize>,
    /// The source address of each.
    sources: Vec<Ipv4Addr>,
    to: Vec<Option<SockaddrStorage>>,
    headers: MultiHeaders<SockaddrStorage>,
    /// Each packet has a source of its own; otherwise the socket's is right for all.
    many_sources: bool,
}

/// Packets received together.
#[derive(Debug)]
struct Inbox {
    bytes: Box<[u8]>,
    headers: MultiHeaders<SockaddrStorage>,
    /// The length of each, and whether it came from the tracker's address.
    packets: Vec<(usize, bool)>,
}

impl BatchSocket {
    /// Opens a socket for these sources.
    pub(crate) fn open(tracker: SocketAddr, sources: &Sources) -> Result<Self> {
        let many_sources = sources.count() > 1;
        let any = match tracker {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let from = SocketAddr::new(if many_sources { any } else { sources.address(0) }, 0);
        let family = if tracker.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket =
            socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).context("cannot open a socket")?;
        // The system may refuse this size. With smaller buffers bursts lose packets, which are then sent again.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER);
        let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER);
        bind(socket.as_raw_fd(), &SockaddrStorage::from(from)).with_context(|| format!("cannot use {from}"))?;
        let outbox = Outbox {
            bytes: vec![0; BATCH * LONGEST_REQUEST].into_boxed_slice(),
            lengths: Vec::with_capacity(BATCH),
            sources: Vec::with_capacity(BATCH),
            to: vec![Some(SockaddrStorage::from(tracker)); BATCH],
            headers: MultiHeaders::preallocate(BATCH, many_sources.then(|| cmsg_space!(libc::in_pktinfo))),
            many_sources,
        };
        let inbox = Inbox {
            bytes: vec![0; BATCH * LONGEST_ANSWER].into_boxed_slice(),
            headers: MultiHeaders::preallocate(BATCH, None),
            packets: Vec::with_capacity(BATCH),
        };
        Ok(Self { socket, tracker, outbox, inbox })
    }

    /// Queues a packet that is sent from an address. `write` writes it and returns its length.
    pub(crate) fn send(&mut self, from: IpAddr, write: impl FnOnce(&mut [u8]) -> usize) -> Result<()> {
        if self.outbox.lengths.len() == BATCH {
            self.flush()?;
        }
        let outbox = &mut self.outbox;
        let at = outbox.lengths.len() * LONGEST_REQUEST;
        outbox.lengths.push(write(&mut outbox.bytes[at..at + LONGEST_REQUEST]));
        outbox.sources.push(if let IpAddr::V4(v4) = from { v4 } else { Ipv4Addr::UNSPECIFIED });
        Ok(())
    }

    /// Sends the queued packets. Those that the system does not accept are lost.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.outbox.lengths.is_empty() {
            return Ok(());
        }
        let sent = self.outbox.send(&self.socket);
        self.outbox.lengths.clear();
        self.outbox.sources.clear();
        match sent {
            // The error of an earlier packet, such as port unreachable.
            Ok(()) | Err(Errno::ECONNREFUSED | Errno::ENOBUFS | Errno::EINTR | Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot send to {}", self.tracker)),
        }
    }

    /// Receives packets, at most a batch, and returns their number.
    pub(crate) fn receive(&mut self) -> Result<usize> {
        match self.inbox.receive(&self.socket, self.tracker) {
            Ok(()) => Ok(self.inbox.packets.len()),
            Err(Errno::EAGAIN | Errno::ECONNREFUSED | Errno::EINTR) => {
                self.inbox.packets.clear();
                Ok(0)
            }
            Err(error) => Err(error).context("cannot receive"),
        }
    }

    /// Returns a packet of the last batch, and whether it came from the tracker's address.
    pub(crate) fn packet(&self, index: usize) -> (&[u8], bool) {
        let (length, is_from_tracker) = self.inbox.packets[index];
        (&self.inbox.bytes[index * LONGEST_ANSWER..][..length], is_from_tracker)
    }

    /// Waits until a packet comes, at most for this time.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<()> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut sockets, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for packets"),
        }
    }
}

impl Outbox {
    fn send(&mut self, socket: &OwnedFd) -> nix::Result<()> {
        let chunks = self.bytes.chunks(LONGEST_REQUEST).zip(&self.lengths);
        let slices: Vec<_> = chunks.map(|(bytes, &length)| [IoSlice::new(&bytes[..length])]).collect();
        let infos: Vec<_> = if self.many_sources { self.sources.iter().map(packet_info).collect() } else { Vec::new() };
        let messages = infos.iter().map(|info| [ControlMessage::Ipv4PacketInfo(info)]).collect();
        let per_packet = PerPacket { messages, next: Cell::new(0) };
        sendmmsg(socket.as_raw_fd(), &mut self.headers, &slices, &self.to, per_packet, MsgFlags::empty()).map(drop)
    }
}

fn packet_info(source: &Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

/// The control message of each packet. `sendmmsg` of nix means one list of messages for the whole batch, but asks for it once
/// for each packet, in order; a test holds it to that.
#[derive(Debug)]
struct PerPacket<'a> {
    messages: Vec<[ControlMessage<'a>; 1]>,
    next: Cell<usize>,
}

impl<'a> AsRef<[ControlMessage<'a>]> for PerPacket<'a> {
    fn as_ref(&self) -> &[ControlMessage<'a>] {
        let index = self.next.get();
        self.next.set(index + 1);
        self.messages.get(index).map_or(&[], |message| message)
    }
}

impl Inbox {
    fn receive(&mut self, socket: &OwnedFd, tracker: SocketAddr) -> nix::Result<()> {
        self.packets.clear();
        let mut slices: Vec<_> = self.bytes.chunks_mut(LONGEST_ANSWER).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        for message in recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut slices, flags, None)? {
            let is_from_tracker = message.address.as_ref().and_then(socket_address) == Some(tracker);
            self.packets.push((message.bytes, is_from_tracker));
        }
        Ok(())
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::new(v4.ip(), v4.port()).into());
    }
    // Without flow label and scope, as the tracker's address has none.
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::new(v6.ip(), v6.port(), 0, 0).into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn each_packet_of_a_batch_leaves_from_its_own_address() {
        let tracker = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = tracker.local_addr().unwrap();
        let sources = Sources::loopback(1000, Ipv4Addr::LOCALHOST);
        let mut socket = BatchSocket::open(address, &sources).unwrap();
        // More than a batch.
        for source in 0..100_u8 {
            let write = |out: &mut [u8]| {
                out[0] = source;
                1
            };
            socket.send(sources.address(source.into()), write).unwrap();
        }
        socket.flush().unwrap();
        for source in 0..100_u8 {
            let mut packet = [0; 2];
            let (length, from) = tracker.recv_from(&mut packet).unwrap();
            assert_eq!((length, packet[0]), (1, source));
            assert_eq!(from.ip(), sources.address(source.into()));
            tracker.send_to(&[source], from).unwrap();
        }
        let mut received = Vec::new();
        while received.len() < 100 {
            socket.wait(Duration::from_secs(10)).unwrap();
            for index in 0..socket.receive().unwrap() {
                let (packet, is_from_tracker) = socket.packet(index);
                assert!(is_from_tracker);
                received.push(packet[0]);
            }
        }
        assert_eq!(received, Vec::from_iter(0..100));
        assert_eq!(socket.receive().unwrap(), 0);
    }

    #[test]
    fn answers_from_another_address_are_recognised() {
        let [tracker, other] = [(); 2].map(|()| UdpSocket::bind("[::1]:0").unwrap());
        let sources = Sources::own(Ipv6Addr::LOCALHOST.into());
        let mut socket = BatchSocket::open(tracker.local_addr().unwrap(), &sources).unwrap();
        socket.send(sources.address(0), |_| 3).unwrap();
        socket.flush().unwrap();
        let (_, from) = tracker.recv_from(&mut [0; 3]).unwrap();
        for (sender, is_tracker) in [(&tracker, true), (&other, false)] {
            sender.send_to(b"hello", from).unwrap();
            socket.wait(Duration::from_secs(10)).unwrap();
            assert_eq!(socket.receive().unwrap(), 1);
            assert_eq!(socket.packet(0), (&b"hello"[..], is_tracker));
        }
    }
}
