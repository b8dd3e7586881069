//! Serving a connection by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::foreign::{Beginning, ForeignProtocol};

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
/// # Errors
///
/// Returns an error if the connection fails, or if the client sends something that is not HTTP.
pub async fn serve_connection<I, S>(
    http: &http1::Builder,
    stream: I,
    service: S,
    mut stopped: watch::Receiver<()>,
) -> Result<(), ConnectionError>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, Error = Infallible>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut stream = Beginning::new(stream);
    let served = async {
        let mut served = pin!(http.serve_connection(TokioIo::new(&mut stream), service));
        tokio::select! {
            result = served.as_mut() => result,
            _ = stopped.changed() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        }
    };
    let served = served.await;
    served.map_err(|source| {
        let foreign_protocol = if source.is_parse() { stream.foreign_protocol() } else { None };
        ConnectionError { source, foreign_protocol }
    })
}
