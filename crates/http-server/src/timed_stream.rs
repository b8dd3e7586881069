//! Timeouts of a connection.
//!
//! One timer covers the three ways to keep a connection and give nothing: a head that never ends, silence between
//! requests, and an answer that is not read, or read byte by byte. It looks at bytes only, so that it holds for whatever a client
//! sends.
//!
//! A deadline belongs to a phase, and bytes do not extend it: a head that drips in and an answer that is read byte by byte have
//! the same time as others. A timer of the runtime is moved only when a deadline comes before it: one that moves back, as at
//! each answer of a kept connection, is noticed when the timer fires.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::ServerConfig;
use crate::eviction::Waiting;

/// A stream that fails with [`io::ErrorKind::TimedOut`] when the other end takes too long.
#[derive(Debug)]
pub(crate) struct TimedStream<S> {
    stream: S,
    timeouts: Timeouts,
    phase: Phase,
    deadline: Instant,
    /// Fires at the deadline or before it: a deadline that moves back does not touch it.
    timer: Pin<Box<Sleep>>,
    /// Learns whether a request is waited for.
    waiting: Waiting,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    head: Duration,
    idle: Duration,
    write: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request is coming in. Further bytes do not extend the time.
    Reading,
    /// Nothing came since the last answer.
    Idle,
    /// An answer is going out. Bytes that are taken do not extend the time.
    Writing,
}

impl Timeouts {
    pub(crate) const fn new(config: &ServerConfig) -> Self {
        Self { head: config.head_timeout, idle: config.idle_timeout, write: config.write_timeout }
    }
}

impl<S> TimedStream<S> {
    /// A new connection: the time of its first request begins now.
    pub(crate) fn new(stream: S, timeouts: Timeouts, waiting: Waiting) -> Self {
        let deadline = Instant::now() + timeouts.head;
        Self { stream, timeouts, phase: Phase::Reading, deadline, timer: Box::pin(sleep_until(deadline)), waiting }
    }

    /// Makes it a connection whose first request was answered already.
    pub(crate) fn idle(&mut self) {
        self.enter(Phase::Idle);
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn enter(&mut self, phase: Phase) {
        let limit = match phase {
            Phase::Reading => self.timeouts.head,
            Phase::Idle => self.timeouts.idle,
            Phase::Writing => self.timeouts.write,
        };
        match phase {
            Phase::Reading => {}
            Phase::Idle => self.waiting.begin_again(),
            Phase::Writing => self.waiting.end(),
        }
        self.phase = phase;
        self.deadline = Instant::now() + limit;
        if self.deadline < self.timer.deadline() {
            self.timer.as_mut().reset(self.deadline);
        }
    }

    /// Fails at the deadline, and is pending until then.
    fn poll_deadline<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= self.deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(self.deadline);
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.phase != Phase::Writing {
            self.enter(Phase::Writing);
        }
        if result.is_pending() { self.poll_deadline(cx) } else { result }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_pending() {
            return self.poll_deadline(cx);
        }
        if self.phase == Phase::Idle && buf.filled().len() > filled {
            self.enter(Phase::Reading);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        // Only TLS keeps what a socket does not take.
        if result.is_pending() {
            return self.poll_deadline(cx);
        }
        // hyper flushes when everything is written.
        if self.phase == Phase::Writing {
            self.enter(Phase::Idle);
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    const TIMEOUTS: Timeouts =
        Timeouts { head: Duration::from_secs(10), idle: Duration::from_secs(30), write: Duration::from_secs(5) };

    fn pair() -> (TimedStream<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(16);
        (TimedStream::new(ours, TIMEOUTS, Waiting::unwatched()), theirs)
    }

    async fn seconds<T>(of: impl Future<Output = io::Result<T>>) -> (u64, io::ErrorKind) {
        let start = Instant::now();
        let error = of.await.err().expect("it must time out");
        (start.elapsed().as_secs(), error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_has_the_time_of_a_head() {
        let (mut ours, _theirs) = pair();
        assert_eq!(seconds(ours.read_u8()).await, (10, io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_bytes_do_not_extend_it() {
        let (mut ours, mut theirs) = pair();
        let drip = async {
            while theirs.write_u8(b'x').await.is_ok() {
                sleep(Duration::from_millis(900)).await;
            }
        };
        let read = async {
            let limit = seconds(async {
                loop {
                    ours.read_u8().await?;
                }
                #[expect(unreachable_code, reason = "gives the block its type")]
                Ok(())
            });
            let limit = limit.await;
            drop(ours);
            limit
        };
        let (limit, ()) = tokio::join!(read, drip);
        assert_eq!(limit, (10, io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_answer_it_may_idle_and_then_has_the_time_of_a_head() {
        let (mut ours, mut theirs) = pair();
        sleep(Duration::from_secs(9)).await;
        ours.write_all(b"answer").await.unwrap();
        ours.flush().await.unwrap();
        let send_late = async {
            sleep(Duration::from_secs(29)).await;
            theirs.write_u8(b'x').await.unwrap();
        };
        let (byte, ()) = tokio::join!(ours.read_u8(), send_late);
        assert_eq!(byte.unwrap(), b'x');
        assert_eq!(seconds(ours.read_u8()).await, (10, io::ErrorKind::TimedOut));

        let (mut ours, _theirs) = pair();
        ours.write_all(b"answer").await.unwrap();
        ours.flush().await.unwrap();
        assert_eq!(seconds(ours.read_u8()).await, (30, io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let (mut ours, _theirs) = pair();
        assert_eq!(seconds(ours.write_all(&[0; 100])).await, (5, io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_byte_by_byte_does_not_extend_the_time_of_an_answer() {
        let (mut ours, mut theirs) = pair();
        let read_slowly = async {
            while theirs.read_u8().await.is_ok() {
                sleep(Duration::from_millis(900)).await;
            }
        };
        let write = async {
            let limit = seconds(ours.write_all(&[0; 100])).await;
            drop(ours);
            limit
        };
        let (limit, ()) = tokio::join!(write, read_slowly);
        assert_eq!(limit, (5, io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let (mut ours, mut theirs) = pair();
        let read = async {
            for _ in 0..10 {
                sleep(Duration::from_secs(4)).await;
                theirs.read_exact(&mut [0; 20]).await.unwrap();
            }
        };
        let write = async {
            for _ in 0..10 {
                ours.write_all(&[0; 20]).await.unwrap();
                ours.flush().await.unwrap();
            }
        };
        tokio::join!(read, write);
    }
}
