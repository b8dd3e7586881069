//! The server.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;
use tracker_host::{AnswerTimes, BindError, Transport, bind, run_threads};

use crate::Adapter;
use crate::datagrams::{self, Datagrams};
use crate::wire::CONNECT;

/// The interval at which a thread without traffic checks if it has to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(250);

/// Bytes of a receive buffer; a smaller one is no better than the default of a system.
const LEAST_BUFFER: usize = 16 << 10;

/// Serves an [`Adapter`] over UDP.
///
/// It has threads of its own, which wait for datagrams and need no runtime: one for each address and core, on Linux with a socket
/// of its own. An answer leaves from the address the request came to.
///
/// ```no_run
/// use tracker_udp::{Adapter, Server, all_addresses};
///
/// # async fn example(adapter: Adapter) -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind(&all_addresses(6969), adapter)?;
/// println!("listening on {:?}", server.local_addrs());
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// server.run(async { _ = stopped.await }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    sockets: Vec<UdpSocket>,
    local_addrs: Vec<SocketAddr>,
    adapter: Adapter,
}

impl Server {
    /// Listens on all of these addresses. From now on datagrams queue up, until [`run`](Self::run) answers them.
    ///
    /// An IPv6 address takes IPv6 only. When all addresses of both families are asked for (as
    /// [`all_addresses`](crate::all_addresses) does) and the machine has one family only, the other is left out. Port 0
    /// takes a free port, one for each address.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on. A port that any other program listens on is an error, even where the
    /// system would share it.
    pub fn bind(addresses: &[SocketAddr], adapter: Adapter) -> Result<Self, BindError> {
        let config = adapter.config();
        let prepare = |socket: &Socket, address| {
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
            enlarge(config.receive_buffer_bytes, |bytes| socket.set_recv_buffer_size(bytes));
            datagrams::prepare(socket, address)
        };
        let sockets = bind(addresses, Transport::Udp, config.threads, prepare)?;
        let local_addrs = sockets[0].iter().filter_map(|socket| socket.local_addr().ok()?.as_socket()).collect();
        let sockets = sockets.into_iter().flatten().map(UdpSocket::from).collect();
        Ok(Self { sockets, local_addrs, adapter })
    }

    /// The addresses it listens on, with their ports, in the order in which they were asked for.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Serves until `shutdown` is ready. It takes up to a quarter of a second then until all threads have ended and the
    /// ports are free, which they are when this returns. When the future is dropped instead, the server stops likewise, in
    /// the background.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread cannot be set up, or if its socket fails for good; all others stop then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let adapter = self.adapter;
        let times = adapter.answer_times().clone();
        let answer = move |remote, local, datagram: &[u8], out: &mut Vec<u8>| {
            adapter.answer(remote, local, datagram, out);
        };
        run(self.sockets, answer, times, shutdown).await
    }
}

/// Sets a buffer to `bytes`, or to the largest half, quarter, … that the system takes. Linux grants what it may by itself;
/// others refuse. Any size works, if not for as many requests at once.
fn enlarge(mut bytes: usize, mut set: impl FnMut(usize) -> io::Result<()>) {
    while let Err(error) = set(bytes) {
        tracing::debug!(bytes, %error, "the system does not let so many bytes of requests wait");
        if bytes <= LEAST_BUFFER {
            return;
        }
        bytes /= 2;
    }
}

/// Serves each socket by a thread.
async fn run(
    sockets: Vec<UdpSocket>,
    answer: impl Answer,
    times: AnswerTimes,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let stop = StopOnDrop(Arc::default());
    let worker = |socket| {
        let worker = Worker { stopped: Arc::clone(&stop.0), answer: answer.clone(), times: times.clone() };
        move || worker.run(socket)
    };
    run_threads("udp", sockets.into_iter().map(worker).collect(), stop, shutdown).await
}

/// A function like [`Adapter::answer`].
trait Answer: FnMut(SocketAddr, IpAddr, &[u8], &mut Vec<u8>) + Clone + Send + 'static {}

impl<F: FnMut(SocketAddr, IpAddr, &[u8], &mut Vec<u8>) + Clone + Send + 'static> Answer for F {}

/// Makes the threads stop when it is dropped.
#[derive(Debug)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One thread's part.
struct Worker<A> {
    stopped: Arc<AtomicBool>,
    answer: A,
    times: AnswerTimes,
}

impl<A: Answer> Worker<A> {
    /// Serves until it is stopped. The socket is closed when this returns.
    fn run(mut self, socket: UdpSocket) -> io::Result<()> {
        let mut datagrams = Datagrams::new(&socket)?;
        while !self.stopped.load(Ordering::Relaxed) {
            // The first datagram is answered as soon as all of its batch are received.
            let (mut received, mut requests) = (None, 0);
            let served = datagrams.serve(&socket, |remote, local, datagram, out| {
                received.get_or_insert_with(Instant::now);
                let before = out.len();
                // A bug costs the datagram that showed it: what the tracker shares stays usable, and what is this thread's
                // own is emptied before each use.
                if catch_unwind(AssertUnwindSafe(|| (self.answer)(remote, local, datagram, out))).is_err() {
                    out.truncate(before);
                }
                requests += u64::from(is_of_request(&out[before..]));
            });
            if let Some(received) = received.filter(|_| requests > 0) {
                self.times.record(requests, received.elapsed());
            }
            match served {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns `true` for the answer to an announce or a scrape, and not to a client that only connects.
fn is_of_request(answer: &[u8]) -> bool {
    !answer.is_empty() && !answer.starts_with(&CONNECT.to_be_bytes())
}

/// Returns `true` for an error that says nothing about the socket itself: nothing came in time, or an earlier answer did not
/// arrive.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        WouldBlock
            | TimedOut
            | Interrupted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
            | OutOfMemory
    )
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    /// Fails what would hang.
    async fn in_time<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), what).await.expect("it takes too long")
    }

    /// A socket that has been bound as [`Server::bind`] does.
    fn socket() -> UdpSocket {
        let prepare = |socket: &Socket, address| {
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
            datagrams::prepare(socket, address)
        };
        let address = "127.0.0.1:0".parse().unwrap();
        let mut lists = bind(&[address], Transport::Udp, std::num::NonZeroUsize::MIN, prepare).unwrap();
        lists.remove(0).remove(0).into()
    }

    fn echo(_: SocketAddr, _: IpAddr, datagram: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(datagram);
    }

    #[test]
    fn a_buffer_is_as_large_as_the_system_lets_it_be() {
        let tried = |most| {
            let mut tried = Vec::new();
            enlarge(100 << 10, |bytes| {
                tried.push(bytes >> 10);
                if bytes > most { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
            });
            tried
        };
        assert_eq!(tried(usize::MAX), [100]);
        assert_eq!(tried(50 << 10), [100, 50]);
        assert_eq!(tried(0), [100, 50, 25, 12]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_costs_its_own_datagram() {
        let panicking = |remote, local, datagram: &[u8], out: &mut Vec<u8>| {
            echo(remote, local, datagram, out);
            assert_ne!(datagram, b"panic");
        };
        let server = socket();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(run(vec![server], panicking, AnswerTimes::new(), async { _ = stopped.await }));
        for round in 0..10_u8 {
            client.send(b"panic").unwrap();
            client.send(&[round]).unwrap();
            let mut answer = [0; 10];
            assert_eq!(client.recv(&mut answer).unwrap(), 1);
            assert_eq!(answer[0], round);
        }
        drop(stop);
        in_time(ended).await.unwrap().unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_thread_that_ends_ends_the_server() {
        // Nothing will ever be received from this one.
        let broken = std::os::fd::OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).into();
        let sockets = vec![socket(), broken, socket()];
        let error = in_time(run(sockets, echo, AnswerTimes::new(), std::future::pending())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }
}
