//! Connections that speak another protocol than HTTP.
//!
//! Two of them come by mistake of an operator or a user, who then search in vain: TLS, where a URL begins with `https` and there is
//! no certificate, and the PROXY protocol, where a proxy is set to send it and is not trusted.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracker_host::LogThrottle;

use crate::proxy_header::{ProxyHeaderError, SIGNATURE};

/// The period in which one connection that speaks another protocol is logged.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// The first bytes of a header of version 2 of the PROXY protocol.
const PROXY_V2: &[u8; 12] = SIGNATURE;
/// Bytes of it that hyper does not take for empty lines.
const PROXY_V2_LEAST: usize = 5;

/// A protocol that is not HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// The handshake of TLS ([RFC 8446](https://www.rfc-editor.org/rfc/rfc8446)).
    Tls,
    /// A header of version 1 of the [PROXY protocol](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt), which is text.
    ProxyV1,
    /// A header of its version 2, which is binary.
    ProxyV2,
}

impl ForeignProtocol {
    /// The protocol to which the first bytes of a connection belong, if they are as many as tell it from others.
    pub fn of(first: &[u8]) -> Option<Self> {
        let common = first.len().min(PROXY_V2.len());
        match first {
            // A record of the type handshake, of SSL 3.0 or later.
            [0x16] | [0x16, 3, ..] => Some(Self::Tls),
            _ if first.starts_with(b"PROXY ") => Some(Self::ProxyV1),
            _ if common >= PROXY_V2_LEAST && first[..common] == PROXY_V2[..common] => Some(Self::ProxyV2),
            _ => None,
        }
    }
}

impl Display for ForeignProtocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::ProxyV1 => "PROXY protocol, version 1",
            Self::ProxyV2 => "PROXY protocol, version 2",
        })
    }
}

/// Logs connections that speak another protocol, one in a minute.
#[derive(Debug)]
pub struct ForeignConnections {
    server: &'static str,
    throttle: LogThrottle,
}

impl ForeignConnections {
    /// `server` is the name of the server in the log.
    pub const fn new(server: &'static str) -> Self {
        Self { server, throttle: LogThrottle::new(LOG_PERIOD) }
    }

    /// Logs that a connection from `remote` speaks this protocol.
    pub fn log(&self, remote: IpAddr, protocol: ForeignProtocol) {
        let Some(suppressed) = self.throttle.allows() else { return };
        let server = self.server;
        match protocol {
            ForeignProtocol::Tls => tracing::info!(
                %remote, server, %protocol, suppressed,
                "a client speaks TLS to a port that is plain HTTP: its URL must begin with http, not https, or the server needs a \
                 certificate (--tls-cert)"
            ),
            ForeignProtocol::ProxyV1 => tracing::warn!(
                %remote, server, %protocol, suppressed,
                "a proxy sends a header of the PROXY protocol, version 1, which is not supported: let it send version 2, and name it \
                 with --trusted-proxy"
            ),
            ForeignProtocol::ProxyV2 => tracing::warn!(
                %remote, server, %protocol, suppressed,
                "a proxy that is not trusted sends a header of the PROXY protocol: name it with --trusted-proxy, or let it send none"
            ),
        }
    }

    /// Logs that a client at `remote` does not accept the server's certificate.
    pub fn log_refused_certificate(&self, remote: IpAddr) {
        let Some(suppressed) = self.throttle.allows() else { return };
        tracing::info!(
            %remote, server = self.server, suppressed,
            "a client does not accept the certificate of this server: its machine must trust who signed it, or its URL must begin with \
             http"
        );
    }

    /// Logs that a trusted proxy at `remote` sent a header of the PROXY protocol that cannot be used.
    pub fn log_unreadable_header(&self, remote: IpAddr, error: ProxyHeaderError) {
        let Some(suppressed) = self.throttle.allows() else { return };
        tracing::warn!(%remote, server = self.server, suppressed, "a connection of a trusted proxy was closed: {error}");
    }
}

/// A stream that keeps the first bytes that were read of it.
#[derive(Debug)]
pub(crate) struct Beginning<S> {
    stream: S,
    first: [u8; PROXY_V2.len()],
    len: usize,
}

impl<S> Beginning<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, first: [0; _], len: 0 }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// The protocol of the bytes that were read, if it is known and not HTTP.
    pub(crate) fn foreign_protocol(&self) -> Option<ForeignProtocol> {
        ForeignProtocol::of(&self.first[..self.len])
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Beginning<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        let filled = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = &buf.filled()[filled..];
        let missing = read.len().min(this.first.len() - this.len);
        this.first[this.len..this.len + missing].copy_from_slice(&read[..missing]);
        this.len += missing;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beginning<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        for (first, protocol) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Some(ForeignProtocol::Tls)),
            (b"\x16\x03\x03", Some(ForeignProtocol::Tls)),
            (b"\x16", Some(ForeignProtocol::Tls)),
            (b"\x16\x04", None),
            (b"PROXY TCP4 10.0.0.9 10.0.0.1 5000 6969\r\n", Some(ForeignProtocol::ProxyV1)),
            (b"PROXY UNKNOWN\r\n", Some(ForeignProtocol::ProxyV1)),
            (b"PROXY", None),
            (b"proxy tcp4", None),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Some(ForeignProtocol::ProxyV2)),
            (b"\r\n\r\n\0", Some(ForeignProtocol::ProxyV2)),
            (b"\r\n\r\nGET /", None),
            (b"\r\n\r\n", None),
            (b"GET /announce", None),
            (b"\x13BitTorrent protocol", None),
            (b"", None),
        ] {
            assert_eq!(ForeignProtocol::of(first), protocol, "{}", first.escape_ascii());
        }
    }

    #[tokio::test]
    async fn the_beginning_is_kept_however_it_comes() {
        let mut stream = Beginning::new(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11 and more"[..]);
        for byte in *b"\r\n\r\n\0\r\n" {
            assert_eq!(stream.read_u8().await.unwrap(), byte);
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"QUIT\n\x21\x11 and more");
        assert_eq!((&stream.first, stream.len), (PROXY_V2, 12));
        assert_eq!(stream.foreign_protocol(), Some(ForeignProtocol::ProxyV2));
    }
}
