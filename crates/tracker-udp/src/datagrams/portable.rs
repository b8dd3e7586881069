//! One datagram at a time, with what every system has.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::Socket;

use crate::request::MAX_REQUEST_BYTES;

/// The buffers of a thread that serves a socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    request: [u8; MAX_REQUEST_BYTES],
    answer: Vec<u8>,
    /// Unspecified where the socket takes what comes to any address: the system does not tell, and chooses itself from which
    /// one the answer leaves.
    local: IpAddr,
}

/// Nothing is to be set.
pub(crate) fn prepare(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

impl Datagrams {
    pub(crate) fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self { request: [0; MAX_REQUEST_BYTES], answer: Vec::new(), local: socket.local_addr()?.ip() })
    }

    /// Waits for a datagram and sends what `answer` appends, if anything.
    ///
    /// # Errors
    ///
    /// Returns an error if nothing comes within the socket's timeout, or if the system reports one.
    pub(crate) fn serve(
        &mut self,
        socket: &UdpSocket,
        mut answer: impl FnMut(SocketAddr, IpAddr, &[u8], &mut Vec<u8>),
    ) -> io::Result<()> {
        let (length, remote) = match socket.recv_from(&mut self.request) {
            Ok(received) => received,
            // Windows says so of a longer datagram, having filled the buffer.
            #[cfg(windows)]
            Err(error) if error.raw_os_error() == Some(10040) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.answer.clear();
        answer(remote, self.local, &self.request[..length], &mut self.answer);
        if !self.answer.is_empty() {
            // An answer that cannot be sent is lost, as it might be on its way; the client asks again.
            _ = socket.send_to(&self.answer, remote);
        }
        Ok(())
    }
}
