//! Serving a connection by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::detached::Detachable;
use crate::foreign::{Beginning, ForeignProtocol};

/// The time for which a client may go on sending what nobody reads, after the answer that ends its connection. A .torrent of the
/// maximum size takes a second in a LAN.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of it.
const MAX_DISCARDED_BYTES: u64 = 256 << 20;

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
#[non_exhaustive]
pub struct ConnectionError {
    /// The error of the connection, or of what was sent over it.
    pub source: hyper::Error,
    /// The protocol that the client speaks instead of HTTP, if it is known.
    pub foreign_protocol: Option<ForeignProtocol>,
}

/// Serves a connection until the client or the server ends it. When `stopped` changes or loses its sender, the request that is
/// being answered is the last one.
///
/// To close a connection with bytes that nobody has read resets it, and the client loses the answer. So after an answer to a
/// request whose body was not read to its end, such as an upload that is refused, up to 256 MiB are read and thrown away for up
/// to 5 s, until the client closes its end.
///
/// # Errors
///
/// Returns an error if the connection fails, or if the client sends something that is not HTTP.
pub async fn serve_connection<I, S, B>(
    http: &http1::Builder,
    stream: I,
    service: S,
    mut stopped: watch::Receiver<()>,
) -> Result<(), ConnectionError>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut stream = Detachable::new(stream, Bytes::new());
    serve_until_detached(http, &mut stream, service, &mut stopped).await.map(|_| ())
}

/// Serves a connection as [`serve_connection`] does, until an answer has a [`DetachedBody`](crate::DetachedBody). Returns `true`
/// then: the head is sent, and the caller writes the body to the stream of the connection before it goes on. Returns `false` when
/// the connection has ended.
///
/// An answer to a request that has a body must have no detached one.
///
/// # Errors
///
/// Returns an error if the connection fails, or if the client sends something that is not HTTP.
pub async fn serve_until_detached<I, S, B>(
    http: &http1::Builder,
    stream: &mut Detachable<I>,
    service: S,
    stopped: &mut watch::Receiver<()>,
) -> Result<bool, ConnectionError>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let turn = stream.turn();
    let mut stream = Beginning::new(stream);
    let had_body = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        had_body.fetch_or(!request.body().is_end_stream(), Ordering::Relaxed);
        service.call(request)
    });
    let mut connection = http.serve_connection(TokioIo::new(&mut stream), service);
    // `None` when a body is due.
    let served = async |connection: &mut http1::Connection<_, _>| {
        poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
            Poll::Pending if turn.is_due() => Poll::Ready(None),
            served => served.map(Some),
        })
        .await
    };
    let outcome = tokio::select! {
        outcome = served(&mut connection) => outcome,
        _ = stopped.changed() => {
            Pin::new(&mut connection).graceful_shutdown();
            served(&mut connection).await
        }
    };
    let unread = connection.into_parts().read_buf;
    let Some(served) = outcome else {
        stream.into_inner().detach(unread);
        return Ok(true);
    };
    let is_malformed = served.as_ref().is_err_and(hyper::Error::is_parse);
    if is_malformed || (served.is_ok() && had_body.into_inner()) {
        tokio::select! {
            _ = timeout(DISCARD_TIMEOUT, discard(&mut stream)) => {}
            _ = stopped.changed() => {}
        }
    }
    match served {
        Ok(()) => Ok(false),
        Err(source) => Err(ConnectionError { source, foreign_protocol: stream.foreign_protocol() }),
    }
}

/// Ends what is sent, and reads until the client ends the connection.
async fn discard(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    copy(&mut stream.take(MAX_DISCARDED_BYTES), &mut sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn another_protocol_is_named_however_its_bytes_come() {
        for segments in
            [&["PROXY TCP4 10.0.0.9 10.0.0.1 5000 6969\r\n"][..], &["PRO", "XY UNKNOWN\r\n", "\x16\x03\x01"], &["\x16"]]
        {
            let (ours, mut theirs) = duplex(1000);
            let (_stop, stopped) = watch::channel(());
            let send = async move {
                for segment in segments {
                    theirs.write_all(segment.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let answer = service_fn(async |_: Request<Incoming>| Ok(Response::new(String::new())));
            let http = http1::Builder::new();
            let (served, ()) = tokio::join!(serve_connection(&http, ours, answer, stopped), send);
            let expected = if segments[0].starts_with('P') { ForeignProtocol::ProxyV1 } else { ForeignProtocol::Tls };
            assert_eq!(served.unwrap_err().foreign_protocol, Some(expected), "{segments:?}");
        }
    }
}
