//! Listening.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, per listener, so that a room of machines that is switched on at once finds the
/// door open. The system may set a lower limit.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
///
/// The kind of `source` tells why: [`ErrorKind::AddrInUse`] when another program (or another [`Server`](crate::Server))
/// has the port, [`ErrorKind::PermissionDenied`] for a privileged port, [`ErrorKind::AddrNotAvailable`] when the machine
/// does not have the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// All addresses of both families, at this port. A machine that has only one of the families serves that.
pub const fn all_addresses(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port), SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)]
}

/// Listens on all the addresses, once for each worker: as many lists as `workers`, each with one listener per address.
pub(crate) fn listen(addresses: &[SocketAddr], workers: NonZeroUsize) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut lists: Vec<Vec<TcpListener>> = (0..workers.get()).map(|_| Vec::new()).collect();
    for &address in addresses {
        match listen_for_each(address, workers) {
            Ok(listeners) => lists.iter_mut().zip(listeners).for_each(|(list, listener)| list.push(listener)),
            Err(source) if is_missing_family(address, addresses, &source) => {
                tracing::info!(%address, error = %source, "not listening: the machine does not have this address family");
            }
            Err(source) => return Err(BindError { address, source }),
        }
    }
    Ok(lists)
}

/// Whether `address` stands for one of the two families, the other is asked for as well, and the system lacks this one.
fn is_missing_family(address: SocketAddr, addresses: &[SocketAddr], error: &io::Error) -> bool {
    let mut others = addresses.iter().filter(|other| {
        other.ip().is_unspecified() && other.is_ipv4() != address.is_ipv4() && other.port() == address.port()
    });
    address.ip().is_unspecified()
        && others.next().is_some()
        && !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

/// A listener of its own for each worker: the kernel deals connections out among them, and no worker waits for another.
#[cfg(target_os = "linux")]
fn listen_for_each(address: SocketAddr, workers: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    // Every program of the same user that sets SO_REUSEPORT may share the port, and would take half of our clients away
    // unnoticed. A socket that does not set it is told when the port is taken.
    drop(bind(address, |_| Ok(()))?);
    let share = |socket: &Socket| socket.set_reuse_port(true);
    let first = start(bind(address, share)?)?;
    // Where port 0 was asked for, all must have the port that the first got.
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers.get() {
        listeners.push(start(bind(address, share)?)?);
    }
    Ok(listeners)
}

/// One listener that all workers wait for.
#[cfg(not(target_os = "linux"))]
fn listen_for_each(address: SocketAddr, workers: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    let first = start(bind(address, |_| Ok(()))?)?;
    let mut listeners = (1..workers.get()).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
    listeners.push(first);
    Ok(listeners)
}

fn bind(address: SocketAddr, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has its own listeners, and no address ever comes v4-mapped.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the last run's connections. (On Windows this would let two programs share the port.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn start(socket: Socket) -> io::Result<TcpListener> {
    // Connections inherit this from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    defer::accept(&socket)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that are accepted together with their first bytes.
#[cfg(target_os = "linux")]
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

    /// A second suffices for a request that is on its way. Who sends nothing until then is accepted as well, and has the
    /// time of [`HttpConfig::head_timeout`](crate::HttpConfig::head_timeout) from there.
    pub(super) fn accept(socket: &Socket) -> io::Result<()> {
        Ok(setsockopt(socket, DeferAccept, &1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> io::Error {
        kind.into()
    }

    #[test]
    fn a_missing_family_is_left_out_only_when_both_are_asked_for() {
        let [v4, v6] = all_addresses(6969);
        let missing = ErrorKind::Unsupported;
        assert!(is_missing_family(v6, &[v4, v6], &error(missing)));
        assert!(is_missing_family(v4, &[v4, v6], &error(missing)));
        assert!(!is_missing_family(v6, &[v6], &error(missing)));
        assert!(!is_missing_family(v6, &[all_addresses(7000)[0], v6], &error(missing)));
        assert!(!is_missing_family(v6, &[v4, v6], &error(ErrorKind::AddrInUse)));
        assert!(!is_missing_family("[::1]:6969".parse().unwrap(), &[v4, v6], &error(missing)));
    }

    #[test]
    fn every_worker_listens_on_the_same_port() {
        let workers = NonZeroUsize::new(3).unwrap();
        let lists = listen(&["127.0.0.1:0".parse().unwrap()], workers).unwrap();
        assert_eq!(lists.len(), 3);
        let ports: Vec<u16> = lists.iter().flatten().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [ports[0]; 3]);
    }
}
