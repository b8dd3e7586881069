//! Taking the ports.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::Socket;
use tracker_host::{BindError, Transport, bind};

/// Connections that wait to be accepted, per listener, so that a room of machines that is switched on at once finds the
/// server ready. The system may set a lower limit.
const BACKLOG: i32 = 4096;

/// Listens on all the addresses, once for each worker: as many lists as `workers`, each with one listener per address.
pub(crate) fn listen(addresses: &[SocketAddr], workers: NonZeroUsize) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let prepare = |socket: &Socket, _| {
        // Connections inherit this from their listener.
        socket.set_tcp_nodelay(true)?;
        #[cfg(all(target_os = "linux", not(portable)))]
        return defer::accept(socket);
        #[cfg(any(not(target_os = "linux"), portable))]
        socket.set_nonblocking(true)
    };
    let lists = bind(addresses, Transport::Tcp { backlog: BACKLOG }, workers, prepare)?;
    Ok(lists.into_iter().map(|list| list.into_iter().map(TcpListener::from).collect()).collect())
}

/// Connections that are accepted together with their first bytes.
#[cfg(all(target_os = "linux", not(portable)))]
mod defer {
    use std::io;

    use nix::sys::socket::setsockopt;
    use nix::{libc, setsockopt_impl, sockopt_impl};
    use socket2::Socket;

    sockopt_impl!(
        /// Holds back new connections until data comes, for this many seconds.
        DeferAccept,
        SetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        i32
    );

    /// A second suffices for a request that is on its way. A client that sends nothing until then is accepted as well, and has
    /// the time of [`ServerConfig::head_timeout`](crate::ServerConfig::head_timeout) from there.
    pub(super) fn accept(socket: &Socket) -> io::Result<()> {
        Ok(setsockopt(socket, DeferAccept, &1)?)
    }
}
