//! A TCP connection to the tracker.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, recv, send, setsockopt, socket,
    sockopt,
};

/// A non-blocking connection, established or not yet.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    /// The number of answers that came over it.
    pub(crate) answers: u64,
    /// It is also watched for becoming writable.
    pub(crate) is_watched_for_writing: bool,
}

impl Connection {
    /// Starts a connection from this address to the tracker.
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

    /// Sends as many bytes as fit, and returns their number. `None`: not writable now, for example not connected yet.
    pub(crate) fn send(&self, bytes: &[u8]) -> nix::Result<Option<usize>> {
        would_block(send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL))
    }

    /// Receives bytes, and returns their number, 0 at the end. `None`: nothing has arrived.
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
