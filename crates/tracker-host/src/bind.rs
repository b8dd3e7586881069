//! Taking ports.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::bind_error::BindError;

/// The transport protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// The maximum number of connections that wait to be accepted, per socket. The system may set a lower limit.
        backlog: i32,
    },
    /// UDP.
    Udp,
}

/// All addresses of both families, at this port. A machine that has only one of the families serves that.
pub const fn all_addresses(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port), SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)]
}

/// Listens on all the addresses, once for each worker: as many lists as `workers`, each with one socket per address. On
/// Linux the kernel deals out what comes in among the workers; elsewhere all wait for the same socket.
///
/// `prepare` sees each socket before it takes its address. An IPv6 address takes no IPv4. When all addresses of both families
/// are asked for, as [`all_addresses`] does, and the machine has one family only, the other is left out. Port 0 takes a free
/// port, one for each address.
///
/// # Errors
///
/// The first address that cannot be listened on, or the last one when the machine has neither of the families. A port that
/// another program has is an error, even where the system would share it.
pub fn bind(
    addresses: &[SocketAddr],
    transport: Transport,
    workers: NonZeroUsize,
    prepare: impl Fn(&Socket, SocketAddr) -> io::Result<()>,
) -> Result<Vec<Vec<Socket>>, BindError> {
    let mut lists: Vec<Vec<Socket>> = (0..workers.get()).map(|_| Vec::new()).collect();
    let mut missing = None;
    for &address in addresses {
        match bind_for_each(address, transport, workers, &prepare) {
            Ok(sockets) => lists.iter_mut().zip(sockets).for_each(|(list, socket)| list.push(socket)),
            Err(source) if is_missing_family(address, addresses, &source) => {
                tracing::info!(%address, error = %source, "not listening: the machine does not have this address family");
                missing = Some(BindError { address, transport, source });
            }
            Err(source) => return Err(BindError { address, transport, source }),
        }
    }
    match missing {
        Some(error) if lists[0].is_empty() => Err(error),
        _ => Ok(lists),
    }
}

/// Returns `true` if `address` is the unspecified address of a family that the system lacks, and that of the other family is
/// asked for as well.
fn is_missing_family(address: SocketAddr, addresses: &[SocketAddr], error: &io::Error) -> bool {
    let mut others = addresses.iter().filter(|other| {
        other.ip().is_unspecified() && other.is_ipv4() != address.is_ipv4() && other.port() == address.port()
    });
    // Anything else is trouble with both families: to go on with what is left would hide it.
    let lacks_it =
        Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable;
    address.ip().is_unspecified() && others.next().is_some() && lacks_it
}

/// A socket of its own for each worker: no worker waits for another.
#[cfg(all(target_os = "linux", not(portable)))]
fn bind_for_each(
    address: SocketAddr,
    transport: Transport,
    workers: NonZeroUsize,
    prepare: impl Fn(&Socket, SocketAddr) -> io::Result<()>,
) -> io::Result<Vec<Socket>> {
    // Every program of the same user that sets SO_REUSEPORT may share the port, and would take half of our clients away
    // unnoticed. A socket that does not set it gets an error if the port is taken.
    drop(take(address, transport, |_| Ok(()))?);
    let open = |address| {
        let socket = take(address, transport, |socket| {
            socket.set_reuse_port(true)?;
            prepare(socket, address)
        })?;
        start(socket, transport)
    };
    let first = open(address)?;
    // Where port 0 was asked for, all must have the port that the first got.
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    for _ in 1..workers.get() {
        sockets.push(open(address)?);
    }
    Ok(sockets)
}

/// One socket that all workers wait for.
#[cfg(any(not(target_os = "linux"), portable))]
fn bind_for_each(
    address: SocketAddr,
    transport: Transport,
    workers: NonZeroUsize,
    prepare: impl Fn(&Socket, SocketAddr) -> io::Result<()>,
) -> io::Result<Vec<Socket>> {
    let first = start(take(address, transport, |socket| prepare(socket, address))?, transport)?;
    let mut sockets = (1..workers.get()).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
    sockets.push(first);
    Ok(sockets)
}

fn take(
    address: SocketAddr,
    transport: Transport,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp { .. } => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has its own sockets, and no address ever comes v4-mapped.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the last run's connections. (On Windows, and for datagrams, this would let two programs
    // share the port.)
    #[cfg(unix)]
    if matches!(transport, Transport::Tcp { .. }) {
        socket.set_reuse_address(true)?;
    }
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn start(socket: Socket, transport: Transport) -> io::Result<Socket> {
    if let Transport::Tcp { backlog } = transport {
        socket.listen(backlog)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSPORTS: [Transport; 2] = [Transport::Tcp { backlog: 16 }, Transport::Udp];

    fn bind_three(address: SocketAddr, transport: Transport) -> Result<Vec<Vec<Socket>>, BindError> {
        bind(&[address], transport, NonZeroUsize::new(3).unwrap(), |_, _| Ok(()))
    }

    #[test]
    fn a_missing_family_is_left_out_only_when_both_are_asked_for() {
        let [v4, v6] = all_addresses(6969);
        for missing in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(io::Error::from) {
            assert!(is_missing_family(v6, &[v4, v6], &missing));
            assert!(is_missing_family(v4, &[v4, v6], &missing));
            assert!(!is_missing_family(v6, &[v6], &missing));
            assert!(!is_missing_family(v6, &[all_addresses(7000)[0], v6], &missing));
            assert!(!is_missing_family("[::1]:6969".parse().unwrap(), &[v4, v6], &missing));
        }
        for trouble in [Errno::ADDRINUSE, Errno::ACCESS, Errno::MFILE, Errno::NOBUFS, Errno::INVAL] {
            assert!(!is_missing_family(v6, &[v4, v6], &trouble.into()), "{trouble}");
        }
    }

    /// Binds all addresses of a machine whose system says so of each family.
    fn bind_all(v4: Result<(), Errno>, v6: Result<(), Errno>) -> Result<Vec<Vec<Socket>>, BindError> {
        let prepare = |_: &Socket, address: SocketAddr| Ok(if address.is_ipv4() { v4 } else { v6 }?);
        bind(&all_addresses(0), TRANSPORTS[0], NonZeroUsize::new(3).unwrap(), prepare)
    }

    #[test]
    fn one_family_suffices_and_none_is_an_error() {
        let [v4, v6] = all_addresses(0);
        let missing = Err(Errno::AFNOSUPPORT);
        let lists = bind_all(Ok(()), missing).unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [1; 3]);
        assert!(lists[0][0].local_addr().unwrap().is_ipv4());

        let nowhere = bind_all(missing, missing).unwrap_err();
        assert_eq!((nowhere.address, Errno::from_io_error(&nowhere.source)), (v6, Some(Errno::AFNOSUPPORT)));

        for trouble in [Errno::MFILE, Errno::NOBUFS] {
            for (refused, result) in [(v4, bind_all(Err(trouble), Err(trouble))), (v6, bind_all(missing, Err(trouble)))]
            {
                let error = result.unwrap_err();
                assert_eq!((error.address, Errno::from_io_error(&error.source)), (refused, Some(trouble)));
            }
        }
    }

    #[test]
    fn every_worker_listens_on_the_same_port() {
        for transport in TRANSPORTS {
            let lists = bind_three("127.0.0.1:0".parse().unwrap(), transport).unwrap();
            assert_eq!(lists.len(), 3);
            let port = |socket: &Socket| socket.local_addr().unwrap().as_socket().unwrap().port();
            let ports: Vec<u16> = lists.iter().flatten().map(port).collect();
            assert_eq!(ports, [ports[0]; 3]);
        }
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        for transport in TRANSPORTS {
            let lists = bind_three("127.0.0.1:0".parse().unwrap(), transport).unwrap();
            let address = lists[0][0].local_addr().unwrap().as_socket().unwrap();
            let refused = bind_three(address, transport).unwrap_err();
            assert_eq!((refused.address, refused.source.kind()), (address, ErrorKind::AddrInUse));
            drop(lists);
            bind_three(address, transport).unwrap();
        }
    }
}
