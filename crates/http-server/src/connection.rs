//! One connection's requests and answers.
//!
//! A [`Head`] that is known is answered here, at once and in one write; from the first one that is not, hyper has the
//! connection, with all bytes of that request. Buffers are the thread's, not the connection's: between requests a
//! connection holds none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Connection;
use crate::head::{Asks, Head, Request, Version};
use crate::patience::Patient;
use crate::server::{Shared, serve};
use crate::slots::Slot;

/// Bytes that are read at once, and of a head that is answered here. The longest that a known client sends is a scrape of
/// 60 info-hashes, about 4.5 kB; the least that [`HttpConfig::max_head_bytes`](crate::HttpConfig::max_head_bytes) may be is
/// this, and longer heads are hyper's.
const INPUT: usize = 8 << 10;

/// Bytes of answers that may wait to be written: requests that were sent ahead beyond that are hyper's.
const MAX_OUTPUT: usize = 64 << 10;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: Box::new([0; INPUT]),
        output: Vec::new(),
        body: Vec::new(),
    });
}

/// What each thread reads into and writes from, for all its connections.
#[derive(Debug)]
struct Buffers {
    input: Box<[u8; INPUT]>,
    output: Vec<u8>,
    body: Vec<u8>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) connection: Connection,
    /// Taken as soon as it has to be waited for, be it a moment.
    slot: Option<Slot>,
    answered: bool,
}

/// What is to be done when all that was asked is answered.
#[derive(Debug)]
enum Next {
    /// To wait for the rest of a request that begins with these bytes.
    Read(Vec<u8>),
    Close,
    /// To leave it to hyper, with these bytes.
    Pass(Vec<u8>),
}

/// A conversation as far as it got without waiting.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What the socket did not take of the answers.
    unsent: Vec<u8>,
    next: Next,
}

impl Guest {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, slot: None, answered: false }
    }

    /// Whether it may be waited for.
    pub(crate) fn take_slot(&mut self, shared: &Shared) -> bool {
        if self.slot.is_none() {
            self.slot = shared.slots.take(self.connection.remote.ip(), &shared.config);
        }
        self.slot.is_some()
    }

    /// Writes the answers to all whole requests at the beginning of `bytes`.
    fn answer(&mut self, bytes: &[u8], output: &mut Vec<u8>, body: &mut Vec<u8>, shared: &Shared, stop: bool) -> Next {
        let mut rest = bytes;
        loop {
            match Head::parse(rest) {
                Head::Whole(request) if output.len() <= MAX_OUTPUT && is_answered_here(&request, shared) => {
                    let keep = request.keep_alive && !stop && self.take_slot(shared) && !shared.slots.are_scarce();
                    self.write_answer(&request, keep, output, body, shared);
                    self.answered = true;
                    rest = &rest[request.len..];
                    if !keep {
                        return Next::Close;
                    }
                    if rest.is_empty() {
                        return Next::Read(Vec::new());
                    }
                }
                Head::Partial if rest.len() < INPUT => return Next::Read(rest.to_vec()),
                _ => return Next::Pass(rest.to_vec()),
            }
        }
    }

    /// Writes what hyper and the router would.
    fn write_answer(
        &self,
        request: &Request<'_>,
        keep: bool,
        output: &mut Vec<u8>,
        body: &mut Vec<u8>,
        shared: &Shared,
    ) {
        let Connection { remote, local } = self.connection;
        body.clear();
        match request.asks {
            Asks::Announce => shared.adapter.announce_into(remote.ip(), local.ip(), request.query, body),
            Asks::Scrape => body.extend_from_slice(&shared.adapter.scrape(remote.ip(), request.query)),
        }
        let (begin, connection) = match (request.version, keep) {
            (Version::Http11, true) => ("HTTP/1.1", ""),
            (Version::Http11, false) => ("HTTP/1.1", "Connection: close\r\n"),
            (Version::Http10, true) => ("HTTP/1.0", "Connection: keep-alive\r\n"),
            (Version::Http10, false) => ("HTTP/1.0", ""),
        };
        for part in [
            begin,
            " 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ",
            itoa::Buffer::new().format(body.len()),
            "\r\n",
            connection,
            "\r\n",
        ] {
            output.extend_from_slice(part.as_bytes());
        }
        output.extend_from_slice(body);
    }
}

/// Returns `false` for what is the router's: a full scrape, whose answer is large and hyper's to hold while it is taken; and a
/// host that the tracker does not answer to.
fn is_answered_here(request: &Request<'_>, shared: &Shared) -> bool {
    let is_full_scrape = request.asks == Asks::Scrape && shared.adapter.is_full_scrape(request.query);
    !is_full_scrape && request.host.is_none_or(|host| shared.adapter.check_host(host).is_ok())
}

impl Begun {
    /// A connection that nothing was read from yet.
    pub(crate) const fn silent() -> Self {
        Self { unsent: Vec::new(), next: Next::Read(Vec::new()) }
    }

    const fn ended() -> Self {
        Self { unsent: Vec::new(), next: Next::Close }
    }

    /// Reads once from a new connection with `receive`, and answers with `send` what there is; that is told whether the
    /// connection is closed at once when it took all. `None` when that was all.
    #[cfg(target_os = "linux")]
    pub(crate) fn at_once(
        guest: &mut Guest,
        shared: &Shared,
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        send: impl FnOnce(&[u8], bool) -> io::Result<usize>,
    ) -> io::Result<Option<Self>> {
        BUFFERS.with_borrow_mut(|Buffers { input, output, body }| {
            let Some(received) = unless_blocked(receive(&mut **input))? else { return Ok(Some(Self::silent())) };
            if received == 0 {
                return Ok(None);
            }
            output.clear();
            let next = guest.answer(&input[..received], output, body, shared, false);
            let is_last = matches!(next, Next::Close);
            // To close a connection with bytes that nobody has read resets it, and an answer that was held back for its end is
            // lost. Where the buffer is full there may be some. What comes between receiving and closing, a few microseconds,
            // has the same effect: the client sends more after it has asked for the end (or sends ahead while the server
            // stops, or is crowded), and has to ask again, as after any reset.
            let is_all_read = received < INPUT;
            let sent =
                if output.is_empty() { 0 } else { unless_blocked(send(output, is_last && is_all_read))?.unwrap_or(0) };
            if is_last && sent == output.len() {
                return Ok(None);
            }
            Ok(Some(Self { unsent: output[sent..].to_vec(), next }))
        })
    }
}

/// `None` when it would have to wait.
#[cfg(target_os = "linux")]
fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Goes on with what has begun until one of the two, or the server, has had enough. A panic ends the connection's task, and
/// nothing else.
pub(crate) async fn converse(
    stream: TcpStream,
    begun: Begun,
    guest: Guest,
    shared: Arc<Shared>,
    stopped: watch::Receiver<()>,
) {
    let remote = guest.connection.remote;
    if let Err(error) = try_converse(stream, begun, guest, shared, stopped).await {
        tracing::debug!(%remote, %error, "connection ended");
    }
}

async fn try_converse(
    stream: TcpStream,
    begun: Begun,
    mut guest: Guest,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) -> io::Result<()> {
    let mut stream = Patient::new(stream, shared.limits);
    if guest.answered {
        stream.idle();
    }
    let mut stopping = false;
    let passed = {
        let mut stop = pin!(stopped.changed());
        let Begun { mut unsent, mut next } = begun;
        loop {
            if !unsent.is_empty() {
                stream.write_all(&unsent).await?;
                stream.flush().await?;
            }
            let mut pending = match next {
                Next::Read(pending) => pending,
                Next::Close => return Ok(()),
                Next::Pass(bytes) => break bytes,
            };
            // Who was never answered is waited for: the request may be on its way.
            let is_idle = guest.answered && pending.is_empty();
            let turn = poll_fn(|cx| {
                let turn = poll_turn(&mut stream, &mut pending, &mut guest, &shared, stopping, cx);
                if turn.is_pending() {
                    stopping = stopping || stop.as_mut().poll(cx).is_ready();
                    if stopping && is_idle {
                        return Poll::Ready(Ok(Begun::ended()));
                    }
                }
                turn
            });
            Begun { unsent, next } = turn.await?;
        }
    };
    if stopping {
        // hyper has not heard of it.
        stopped.mark_changed();
    }
    serve(stream, passed, guest.connection, &shared, stopped).await
}

/// Waits for more of a request that begins with `pending`, and answers what is whole then.
fn poll_turn(
    stream: &mut Patient<TcpStream>,
    pending: &mut Vec<u8>,
    guest: &mut Guest,
    shared: &Shared,
    stopping: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Begun>> {
    BUFFERS.with_borrow_mut(|Buffers { input, output, body }| {
        let mut read = ReadBuf::new(&mut **input);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Ok(Begun::ended()));
        }
        let bytes = if pending.is_empty() {
            read.filled()
        } else {
            pending.extend_from_slice(read.filled());
            pending
        };
        output.clear();
        let next = guest.answer(bytes, output, body, shared, stopping);
        let mut sent = 0;
        if !output.is_empty() {
            if let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(cx, output) {
                sent = written?;
            }
            if sent == output.len() {
                // Never pending: the stream does not buffer.
                _ = Pin::new(&mut *stream).poll_flush(cx)?;
            }
        }
        Poll::Ready(Ok(Begun { unsent: output[sent..].to_vec(), next }))
    })
}
