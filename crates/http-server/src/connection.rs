//! One connection's requests and answers.
//!
//! The course of a connection: [`ConnectionState::advance`] looks at the bytes that have come. It answers every whole request
//! that stands at their beginning, if the [`Handler`](crate::Handler) can do so without waiting, into one buffer that is written
//! at once, and stops at the first byte that it cannot go past. What to do there is the [`Outcome`]: read on, close, or pass the
//! connection to hyper, with all bytes from that request on; hyper has it from then to its end.
//!
//! The first round is done by the thread that accepted the connection ([`Progress::at_once`]), without a task or a timer. Only
//! what has to wait becomes a task ([`handle_connection`](crate::layers::handle_connection)), and only then takes a permit. Buffers
//! are the thread's, not the connection's: between requests a connection holds none.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tower::Service;

use crate::config::LEAST_MAX_HEAD_BYTES;
use crate::connection_limit::ConnectionLimitError;
use crate::eviction::{HeldPermit, Waiting};
use crate::handler::Connection;
use crate::head::{Head, RequestHead, Version};
use crate::hyper_connection::{ConnectionError, serve_connection};
use crate::prefixed::Prefixed;
use crate::shared::Shared;
use crate::stage::{Layer, Stage};
use crate::timed_stream::TimedStream;

/// Bytes of answers that may wait to be written: requests that were sent ahead beyond that are hyper's.
const MAX_OUTPUT: usize = 64 << 10;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: Box::new([0; LEAST_MAX_HEAD_BYTES]),
        output: Vec::new(),
        body: Vec::new(),
    });
}

/// The buffers of a thread, for all its connections.
#[derive(Debug)]
struct Buffers {
    input: Box<[u8; LEAST_MAX_HEAD_BYTES]>,
    output: Vec<u8>,
    body: Vec<u8>,
}

/// A connection, as far as its requests are answered here.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    pub(crate) connection: Connection,
    /// Taken as soon as the connection has to wait, be it a moment.
    permit: Option<HeldPermit>,
    /// Requests that were answered.
    answers: u64,
}

/// The next step of a connection when all that can be answered at once is answered.
#[derive(Debug)]
enum Outcome {
    /// Wait for the rest of a request that begins with these bytes.
    Read(Vec<u8>),
    /// Close it.
    Close,
    /// Pass it to hyper, with these bytes.
    Pass(Vec<u8>),
}

/// The state of a connection after a round of reading, answering and writing.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes of answers that the socket did not take.
    unsent: Vec<u8>,
    /// `false` if the stream has taken bytes that it has not sent.
    is_flushed: bool,
    outcome: Outcome,
}

impl ConnectionState {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, permit: None, answers: 0 }
    }

    /// Takes a permit, if it has none and the limits allow it.
    fn acquire_permit(&mut self, shared: &Shared) -> Result<Waiting, ConnectionLimitError> {
        let held = match self.permit.take() {
            Some(held) => held,
            None => {
                let group = shared.handler.group(&self.connection);
                let is_exempt = shared.handler.is_exempt(self.connection.remote().ip());
                shared.open_connections.enter(shared.limit.acquire(group, is_exempt)?, group.network())
            }
        };
        Ok(self.permit.insert(held).waiting())
    }

    /// Takes a permit, if it has none. When all are taken, or all of its network, the connection that has waited longest for its
    /// request is closed for it. An address that has all of its own gets no more: what it does concerns itself.
    pub(crate) fn acquire_permit_or_evict(&mut self, shared: &Shared) -> Option<Waiting> {
        let remote = self.connection.remote().ip();
        loop {
            let error = match self.acquire_permit(shared) {
                Ok(waiting) => return Some(waiting),
                Err(error) => error,
            };
            let is_evicted = match error {
                ConnectionLimitError::Total { .. } => shared.open_connections.evict(None),
                ConnectionLimitError::Network { .. } => {
                    shared.open_connections.evict(shared.handler.group(&self.connection).network())
                }
                ConnectionLimitError::Address { .. } => false,
            };
            shared.handler.on_too_many_connections();
            if !is_evicted {
                shared.accept_errors.log_refused(remote, error);
                return None;
            }
            shared.accept_errors.log_evicted(remote, error);
        }
    }

    /// Appends the answers to all requests at the beginning of `bytes` that can be answered at once.
    fn advance(
        &mut self,
        bytes: &[u8],
        output: &mut Vec<u8>,
        body: &mut Vec<u8>,
        shared: &Shared,
        stopping: bool,
    ) -> Outcome {
        let mut rest = bytes;
        loop {
            match Head::parse(rest) {
                Head::Whole(request) if output.len() <= MAX_OUTPUT && self.answer(&request, body, shared) => {
                    let keep = request.keep_alive
                        && !stopping
                        && self.acquire_permit(shared).is_ok()
                        && !shared.limit.is_scarce();
                    write_answer(request.version, keep, body, output);
                    self.answers += 1;
                    rest = &rest[request.len..];
                    if !keep {
                        return Outcome::Close;
                    }
                    if rest.is_empty() {
                        return Outcome::Read(Vec::new());
                    }
                }
                Head::Partial if rest.len() < LEAST_MAX_HEAD_BYTES => return Outcome::Read(rest.to_vec()),
                _ => return Outcome::Pass(rest.to_vec()),
            }
        }
    }

    fn answer(&self, request: &RequestHead<'_>, body: &mut Vec<u8>, shared: &Shared) -> bool {
        body.clear();
        shared.handler.answer(self.connection, request, body)
    }
}

/// Writes an answer as hyper and the router would.
fn write_answer(version: Version, keep: bool, body: &[u8], output: &mut Vec<u8>) {
    let (begin, connection) = match (version, keep) {
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

impl Progress {
    /// Nothing was read yet.
    pub(crate) const fn none() -> Self {
        Self { unsent: Vec::new(), is_flushed: true, outcome: Outcome::Read(Vec::new()) }
    }

    const fn closed() -> Self {
        Self { unsent: Vec::new(), is_flushed: true, outcome: Outcome::Close }
    }

    /// Reads once from a new connection with `receive`, and writes the answers with `send`, which is given `true` if the
    /// connection is closed as soon as all bytes are taken. `None` when nothing is left to do.
    #[cfg(all(target_os = "linux", not(portable)))]
    pub(crate) fn at_once(
        state: &mut ConnectionState,
        shared: &Shared,
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        send: impl FnOnce(&[u8], bool) -> io::Result<usize>,
    ) -> io::Result<Option<Self>> {
        let arrived = Instant::now();
        BUFFERS.with_borrow_mut(|Buffers { input, output, body }| {
            let Some(received) = unless_blocked(receive(&mut **input))? else { return Ok(Some(Self::none())) };
            if received == 0 {
                return Ok(None);
            }
            output.clear();
            let outcome = state.advance(&input[..received], output, body, shared, false);
            let is_last = matches!(outcome, Outcome::Close);
            // To close a connection with bytes that nobody has read resets it, and an answer that was held back for its end is
            // lost. Where the buffer is full there may be some. What comes between receiving and closing, a few microseconds,
            // has the same effect: the client sends more after it has asked for the end (or sends ahead while the server
            // stops, or is crowded), and has to ask again, as after any reset.
            let is_all_read = received < LEAST_MAX_HEAD_BYTES;
            let sent =
                if output.is_empty() { 0 } else { unless_blocked(send(output, is_last && is_all_read))?.unwrap_or(0) };
            if state.answers > 0 && sent == output.len() {
                shared.handler.on_answered(state.answers, arrived.elapsed());
            }
            if state.answers > 0
                && let Some(permit) = &state.permit
            {
                // More connections may be accepted before its task runs: they are not to take it for one without a head.
                permit.waiting().begin_again();
            }
            if is_last && sent == output.len() {
                return Ok(None);
            }
            Ok(Some(Self { unsent: output[sent..].to_vec(), is_flushed: true, outcome }))
        })
    }
}

/// `None` when it would have to wait.
#[cfg(all(target_os = "linux", not(portable)))]
fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Each turn of the loop writes what the socket has not taken, and then waits for more bytes or the end of the server. At the
/// end of the server a connection between requests is closed at once; one whose request is coming in is answered first. The
/// loop ends when the connection does, at a request that is hyper's, or at what comes before requests: that is returned with all
/// bytes that were read.
pub(crate) async fn serve_requests(
    stream: &mut TimedStream<impl AsyncRead + AsyncWrite + Unpin>,
    progress: Progress,
    state: &mut ConnectionState,
    stage: Stage,
    waiting: &Waiting,
    shared: &Shared,
    mut stopped: watch::Receiver<()>,
) -> io::Result<Option<(Layer, Vec<u8>)>> {
    if state.answers > 0 {
        stream.idle();
    }
    let mut stopping = false;
    let passed = {
        let mut stop = pin!(stopped.changed());
        let Progress { mut unsent, mut is_flushed, mut outcome } = progress;
        loop {
            if !unsent.is_empty() {
                stream.write_all(&unsent).await?;
            }
            if !unsent.is_empty() || !is_flushed {
                stream.flush().await?;
            }
            let mut pending = match outcome {
                Outcome::Read(pending) => pending,
                Outcome::Close => return Ok(None),
                Outcome::Pass(bytes) => break bytes,
            };
            // A connection that was never answered is not idle: its request may be on its way.
            let is_idle = state.answers > 0 && pending.is_empty();
            let turn = poll_fn(|cx| {
                let turn = poll_turn(stream, &mut pending, state, shared, stopping, cx);
                if turn.is_pending() {
                    stopping = stopping || stop.as_mut().poll(cx).is_ready();
                    if stopping && is_idle {
                        return Poll::Ready(Ok(Progress::closed()));
                    }
                }
                turn
            });
            Progress { unsent, is_flushed, outcome } = turn.await?;
        }
    };
    if let Some(layer) = stage.layer(&passed, state.answers == 0, state.connection, shared) {
        return Ok(Some((layer, passed)));
    }
    if stopping {
        // hyper has not heard of it.
        stopped.mark_changed();
    }
    let passed = pass_to_hyper(stream, passed, state.connection, waiting, shared, stopped).await;
    passed.map(|()| None).map_err(|error| {
        // What comes after a header or within TLS is the client's mistake, and says nothing about proxies.
        if let Some(protocol) = error.foreign_protocol.filter(|_| stage == Stage::Beginning) {
            shared.foreign_connections.log(state.connection.remote().ip(), protocol);
        }
        io::Error::other(error)
    })
}

/// Waits for more of a request that begins with `pending`, and answers the requests that are whole then.
fn poll_turn(
    stream: &mut TimedStream<impl AsyncRead + AsyncWrite + Unpin>,
    pending: &mut Vec<u8>,
    state: &mut ConnectionState,
    shared: &Shared,
    stopping: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Progress>> {
    BUFFERS.with_borrow_mut(|Buffers { input, output, body }| {
        let mut read = ReadBuf::new(&mut **input);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Ok(Progress::closed()));
        }
        let bytes = if pending.is_empty() {
            read.filled()
        } else {
            pending.extend_from_slice(read.filled());
            pending
        };
        let (arrived, before) = (Instant::now(), state.answers);
        output.clear();
        let outcome = state.advance(bytes, output, body, shared, stopping);
        let (mut sent, mut is_flushed) = (0, true);
        if !output.is_empty() {
            if let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(cx, output) {
                sent = written?;
            }
            if sent == output.len() {
                // Only TLS keeps something for later.
                is_flushed = Pin::new(&mut *stream).poll_flush(cx)?.is_ready();
                if is_flushed {
                    shared.handler.on_answered(state.answers - before, arrived.elapsed());
                }
            }
        }
        Poll::Ready(Ok(Progress { unsent: output[sent..].to_vec(), is_flushed, outcome }))
    })
}

/// Has hyper and the router serve the rest of a connection, of which the bytes `read` were read already.
async fn pass_to_hyper(
    stream: &mut TimedStream<impl AsyncRead + AsyncWrite + Unpin>,
    read: Vec<u8>,
    connection: Connection,
    waiting: &Waiting,
    shared: &Shared,
    stopped: watch::Receiver<()>,
) -> Result<(), ConnectionError> {
    let service = service_fn(|mut request| {
        // It waits again when the stream has taken the answer.
        waiting.end();
        request.extensions_mut().insert(connection);
        let answer = shared.router.clone().call(request);
        async move {
            let mut response = answer.await?;
            if shared.limit.is_scarce() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = Prefixed::new(stream, read);
    serve_connection(&shared.http, stream, service, stopped).await.inspect_err(|error| {
        if error.source.is_parse() {
            shared.handler.on_malformed_request();
        }
    })
}
