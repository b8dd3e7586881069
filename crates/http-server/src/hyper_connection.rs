//! Serving a connection by hyper.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use tokio::sync::watch;

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
) -> Result<(), hyper::Error>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, Error = Infallible>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut served = pin!(http.serve_connection(stream, service));
    tokio::select! {
        result = served.as_mut() => result,
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    }
}
