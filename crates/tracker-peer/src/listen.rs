//! Listening for peers that dial.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use socket2::Socket;
use tokio::net::TcpListener;
use tracker_host::{BindError, Transport, bind};

/// At most 64 connections wait to be accepted.
const TCP: Transport = Transport::Tcp { backlog: 64 };

/// The most attempts to find a port that is free at all addresses.
const DRAWS: usize = 16;

/// Returns `true` unless the addresses have different ports. The tracker's own peer is handed out under one port, by whichever
/// address a client asks.
pub(crate) fn has_one_port(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.port() == addresses[0].port())
}

/// Listens on these addresses, which have [one port](has_one_port), on the runtime of the caller. For port 0 all get the same free
/// port. The outer error says that the runtime does not take a socket.
pub(crate) fn listen_on(addresses: &[SocketAddr]) -> io::Result<Result<Vec<TcpListener>, BindError>> {
    let sockets = match addresses.first() {
        None => return Ok(Ok(Vec::new())),
        Some(first) if first.port() == 0 => bind_drawn(addresses),
        Some(_) => bind_all(addresses),
    };
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(error) => return Ok(Err(error)),
    };
    let listeners = sockets.into_iter().map(|socket| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    });
    listeners.collect::<io::Result<_>>().map(Ok)
}

/// Draws a port that is free at one of the addresses, until one is free at all of them.
fn bind_drawn(addresses: &[SocketAddr]) -> Result<Vec<Socket>, BindError> {
    let mut draws = 1;
    loop {
        // Each gets a port of its own.
        let drawn = bind_all(addresses)?;
        let [first, _, ..] = &drawn[..] else { return Ok(drawn) };
        let local_addr =
            first.local_addr().map_err(|source| BindError { address: addresses[0], transport: TCP, source })?;
        let port = local_addr.as_socket().map_or(0, |address| address.port());
        drop(drawn);
        let on_one_port: Vec<_> = addresses.iter().map(|address| SocketAddr::new(address.ip(), port)).collect();
        match bind_all(&on_one_port) {
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse && draws < DRAWS => draws += 1,
            bound => return bound,
        }
    }
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Socket>, BindError> {
    let workers = bind(addresses, TCP, NonZeroUsize::MIN, |_, _| Ok(()))?;
    Ok(workers.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_is_drawn_for_all_addresses() {
        let any = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _context = runtime.enter();
        let listeners = listen_on(&any).unwrap().unwrap();
        let ports: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert!(ports.len() == 2 && ports[0] == ports[1] && ports[0] != 0, "{ports:?}");

        let taken = listeners[0].local_addr().unwrap();
        assert_eq!(listen_on(&[taken]).unwrap().unwrap_err().address, taken);
        assert!(listen_on(&[]).unwrap().unwrap().is_empty());
    }

    #[test]
    fn addresses_have_one_port() {
        let addresses = |ports: [u16; 2]| ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert!(has_one_port(&[]) && has_one_port(&addresses([7000, 7000])));
        assert!(!has_one_port(&addresses([7000, 7001])) && !has_one_port(&addresses([0, 7000])));
    }
}
