//! One TCP connection.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, recv, send, setsockopt, socket,
    sockopt,
};

/// A connection that is made or being made, and never waits.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    /// Answers that came over it.
    pub(crate) answers: u64,
    /// It is watched for room to write as well.
    pub(crate) is_watched_for_writing: bool,
}

impl Connection {
    /// Begins to connect from this address to the tracker's.
    pub(crate) fn open(from: SocketAddr, tracker: &SockaddrStorage) -> nix::Result<Self> {
        let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
        // The port is chosen on connecting, when it only has to differ from those of connections to the same tracker.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
        match connect(socket.as_raw_fd(), tracker) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Self { socket, answers: 0, is_watched_for_writing: false })
    }

    /// Sends what there is room for; how many bytes. None: try again when there is room, as once it is connected.
    pub(crate) fn send(&self, bytes: &[u8]) -> nix::Result<Option<usize>> {
        would_block(send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL))
    }

    /// Receives what there is; how many bytes, 0 at the end. None: try again when something has come.
    pub(crate) fn receive(&self, bytes: &mut [u8]) -> nix::Result<Option<usize>> {
        would_block(recv(self.socket.as_raw_fd(), bytes, MsgFlags::empty()))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn would_block(result: nix::Result<usize>) -> nix::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(error) => Err(error),
    }
}
