//! Bodies that hyper does not send: the server writes them to the connection by itself, such as a file by `sendfile`.
//!
//! hyper reads the request and writes the head of the answer. Then it polls for the body, gets nothing, and flushes what it has
//! written. At this moment the connection is taken from it, together with what it has read of the next request; when the body is
//! written, another hyper connection goes on with that.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::prefixed::Prefixed;

/// No body is asked for.
const IDLE: u8 = 0;
/// hyper has asked for the body, after it wrote the head into its buffer.
const ASKED: u8 = 1;
/// All that hyper has written is sent.
const FLUSHED: u8 = 2;

/// The body of an answer that the server writes by itself: a promise of so many bytes.
#[derive(Debug)]
pub struct DetachedBody {
    len: u64,
    turn: Turn,
}

/// A connection from which [bodies can be detached](crate::serve_until_detached).
#[derive(Debug)]
pub struct Detachable<S> {
    /// With what was read of the next request already.
    stream: Prefixed<S>,
    turn: Turn,
}

/// Whose turn it is to write: hyper's, or the server's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<AtomicU8>);

impl Turn {
    /// Returns `true` if a body is to be written now.
    pub(crate) fn is_due(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FLUSHED
    }
}

impl<S> Detachable<S> {
    /// A connection of which `unread` was read already.
    pub fn new(stream: S, unread: Bytes) -> Self {
        Self { stream: Prefixed::new(stream, unread), turn: Turn::default() }
    }

    /// Makes bodies for answers over this connection, each of so many bytes, which must be at least one.
    pub fn bodies(&self) -> impl Fn(u64) -> DetachedBody + use<S> {
        let turn = self.turn.clone();
        move |len| DetachedBody { len, turn: turn.clone() }
    }

    /// The stream, and what was read of it and not used.
    pub fn into_parts(self) -> (S, Bytes) {
        self.stream.into_parts()
    }

    pub(crate) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// Takes back what hyper has read, before another one goes on.
    pub(crate) fn detach(&mut self, unread: Bytes) {
        self.stream.put_back(unread);
        self.turn.0.store(IDLE, Ordering::Relaxed);
    }
}

impl Body for DetachedBody {
    type Data = Bytes;
    type Error = Infallible;

    /// Nothing comes, and nobody is woken: the connection is taken from the one that waits.
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // It may be asked for again, after the flush.
        _ = self.turn.0.compare_exchange(IDLE, ASKED, Ordering::Relaxed, Ordering::Relaxed);
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Detachable<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Detachable<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // Unless no body was asked for.
        _ = self.turn.0.compare_exchange(ASKED, FLUSHED, Ordering::Relaxed, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::watch;

    use super::*;
    use crate::serve_until_detached;

    /// Requests come together; their bodies are written by hand between the heads.
    #[tokio::test]
    async fn a_body_goes_out_between_heads() {
        let (ours, mut theirs) = duplex(64);
        let client = tokio::spawn(async move {
            let requests =
                ["one", "two", "three"].map(|name| format!("GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n")).concat();
            theirs.write_all(requests.as_bytes()).await.unwrap();
            let mut all = String::new();
            let mut buffer = [0; 7];
            while !all.ends_with("three") {
                let len = theirs.read(&mut buffer).await.unwrap();
                assert_ne!(len, 0, "{all}");
                all.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
            }
            all
        });
        let (_stop, mut stopped) = watch::channel(());
        let (mut stream, mut unread) = (ours, Bytes::new());
        for name in ["one", "two", "three"] {
            let mut connection = Detachable::new(stream, unread);
            let body = connection.bodies();
            let service = service_fn(|request: Request<Incoming>| {
                let response = Response::builder().header("x-path", request.uri().path()).body(body(5));
                async move { Ok::<_, Infallible>(response.unwrap()) }
            });
            let http = http1::Builder::new();
            assert!(serve_until_detached(&http, &mut connection, service, &mut stopped).await.unwrap());
            (stream, unread) = connection.into_parts();
            stream.write_all(format!("{name:->5}").as_bytes()).await.unwrap();
        }
        let all = client.await.unwrap();
        for (name, body) in [("one", "--one"), ("two", "--two"), ("three", "three")] {
            assert!(all.contains(&format!("x-path: /{name}\r\n")) && all.contains(&format!("\r\n\r\n{body}")), "{all}");
        }
        assert_eq!(all.matches("content-length: 5").count(), 3, "{all}");
    }
}
