//! A stream of which some bytes were read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of which some bytes were read already: they are read again first.
#[derive(Debug)]
pub struct Prefixed<S> {
    stream: S,
    unread: Bytes,
}

impl<S> Prefixed<S> {
    pub(crate) fn new(stream: S, unread: impl Into<Bytes>) -> Self {
        Self { stream, unread: unread.into() }
    }

    /// Has these bytes, which were read last, read again.
    pub(crate) fn put_back(&mut self, unread: Bytes) {
        self.unread = unread;
    }

    /// The stream, and what is still to be read again.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.unread)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first_and_only_once() {
        let mut stream = Prefixed::new(&b" and more"[..], b"some".to_vec());
        let mut part = [0; 3];
        stream.read_exact(&mut part).await.unwrap();
        assert_eq!(&part, b"som");
        let (rest, unread) = stream.into_parts();
        assert_eq!(&unread[..], b"e");
        let mut all = String::new();
        Prefixed::new(rest, unread).read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "e and more");
    }
}
