//! An epoll loop that answers whatever it reads, and parses nothing: the least that an answer over TCP costs.
//!
//! A connection is accepted together with its request, so that it takes four system calls: accept4, recvfrom, sendto,
//! close. The last answer and the end of the connection go out in one packet. Only a connection that stays is registered.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use references::{announce_body, listen_address};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

/// Most events taken at once.
const EVENTS: usize = 256;
/// The epoll key of the listener. The key of a connection is the number of its descriptor.
const LISTENER: u64 = u64::MAX;

sockopt_impl!(
    /// Holds back new connections until data comes, for this many seconds.
    DeferAccept,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    i32
);

fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen_address()?)?;
    listener.set_nonblocking(true)?;
    setsockopt(&listener, DeferAccept, &1)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut server = Server { epoll, connections: Vec::new(), closing: answer("close"), keeping: answer("keep-alive") };

    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Err(Errno::INTR) => continue,
            waited => _ = waited?,
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(&listener)?,
                number => server.serve(usize::try_from(number)?),
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    /// Registered connections, by the number of their descriptor.
    connections: Vec<Option<OwnedFd>>,
    closing: Vec<u8>,
    keeping: Vec<u8>,
}

impl Server {
    /// Takes all connections that wait, and answers those whose request is there.
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        loop {
            match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(connection) => {
                    if self.answer(&connection) {
                        self.register(connection)?;
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                // The client went away in the queue.
                Err(Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn register(&mut self, connection: OwnedFd) -> anyhow::Result<()> {
        let number = usize::try_from(connection.as_raw_fd())?;
        epoll::add(&self.epoll, &connection, EventData::new_u64(number as u64), EventFlags::IN)?;
        if self.connections.len() <= number {
            self.connections.resize_with(number + 1, || None);
        }
        self.connections[number] = Some(connection);
        Ok(())
    }

    /// Answers on a registered connection; closing it takes it out of the epoll set.
    fn serve(&mut self, number: usize) {
        if let Some(connection) = self.connections[number].take()
            && self.answer(&connection)
        {
            self.connections[number] = Some(connection);
        }
    }

    /// Answers one request if there is one, and tells whether the connection stays open.
    fn answer(&self, connection: impl AsFd) -> bool {
        let mut request = [0; 2048];
        match recv(&connection, &mut request, RecvFlags::empty()) {
            Err(Errno::AGAIN) => true,
            Err(_) | Ok((0, _)) => false,
            Ok((length, _)) => {
                let keep = keeps_alive(&request[..length]);
                let (answer, more) =
                    if keep { (&self.keeping, SendFlags::empty()) } else { (&self.closing, SendFlags::MORE) };
                send(&connection, answer, SendFlags::NOSIGNAL | more).is_ok() && keep
            }
        }
    }
}

/// Returns `true` if the client may send another request: HTTP/1.1 without `Connection: close`.
fn keeps_alive(request: &[u8]) -> bool {
    let has = |word: &[u8]| request.windows(word.len()).any(|window| window == word);
    !has(b" HTTP/1.0\r\n") && !has(b": close\r\n")
}

fn answer(connection: &str) -> Vec<u8> {
    let body = announce_body();
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
    )
    .into_bytes();
    answer.extend(body);
    answer
}
