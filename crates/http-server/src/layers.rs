//! Serving a connection, from what comes before requests to the end.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::{ConnectionState, Progress, serve_requests};
use crate::eviction::Waiting;
use crate::handler::Connection;
use crate::preface::{Opened, Preface, PrefaceError};
use crate::prefixed::Prefixed;
use crate::shared::Shared;
use crate::stage::{Layer, Stage};
use crate::timed_stream::TimedStream;

/// Serves a connection from where it is until the client or the server ends it, or its permit is taken away. A panic ends its
/// task, and nothing else.
///
/// What comes before requests is taken off when bytes have come that are none. After the header of a proxy the connection is
/// its client's, with a permit of the client's own.
pub(crate) async fn handle_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut progress: Progress,
    mut state: ConnectionState,
    mut waiting: Waiting,
    shared: Arc<Shared>,
    stopped: watch::Receiver<()>,
) {
    let (mut stream, mut stage) = (Prefixed::new(stream, Bytes::new()), Stage::Beginning);
    loop {
        let mut timed = TimedStream::new(stream, shared.timeouts, waiting.clone());
        let served = {
            // Pinned here, since a future that is passed on by value is there twice.
            let stopped = stopped.clone();
            let work = pin!(serve_requests(&mut timed, progress, &mut state, stage, &waiting, &shared, stopped));
            unless_evicted(&waiting, work).await
        };
        let Some(Some((layer, mut read))) = ended(&state, served) else { return };
        let (inner, unread) = timed.into_inner().into_parts();
        read.extend_from_slice(&unread);
        let preface = Preface::with_read(inner, read);
        // Few connections have one of these, so that the others do not keep room for them.
        if layer == Layer::Tls {
            return Box::pin(serve_within_tls(preface, state, waiting, shared, stopped)).await;
        }
        let after = Box::pin(read_proxy_header(preface, &mut state, waiting, &shared, stopped.clone())).await;
        let Some((rest, of_client)) = after else { return };
        (stream, waiting) = (rest, of_client);
        (progress, stage) = (Progress::none(), Stage::AfterHeader);
    }
}

/// Reads the header of a trusted proxy, and makes the connection that of the client in it, with a permit of its own.
async fn read_proxy_header<S: AsyncRead + AsyncWrite + Unpin>(
    mut preface: Preface<S>,
    state: &mut ConnectionState,
    waiting: Waiting,
    shared: &Shared,
    stopped: watch::Receiver<()>,
) -> Option<(Prefixed<S>, Waiting)> {
    let header = preface.proxy_header(shared.config.head_timeout);
    let header = unless_stopped(stopped, unless_evicted(&waiting, header)).await;
    let proxy = state.connection.remote().ip();
    if let Some(Err(PrefaceError::Header(error))) = header {
        shared.handler.on_malformed_request();
        shared.foreign_connections.log_unreadable_header(proxy, error);
        return None;
    }
    let Some(client) = ended(state, header)?.and_then(|header| header.client(proxy)) else {
        return Some((preface.into_prefixed(), waiting));
    };
    *state = ConnectionState::new(Connection::new(client, state.connection.local()));
    let waiting = state.acquire_permit_or_evict(shared)?;
    Some((preface.into_prefixed(), waiting))
}

/// Begins TLS and serves the requests within it.
async fn serve_within_tls(
    preface: Preface<impl AsyncRead + AsyncWrite + Unpin>,
    mut state: ConnectionState,
    waiting: Waiting,
    shared: Arc<Shared>,
    stopped: watch::Receiver<()>,
) {
    let remote = state.connection.remote().ip();
    let is_exempt = remote.is_loopback() || shared.handler.is_exempt(remote);
    let counted = (!is_exempt).then(|| shared.handler.group(&state.connection));
    let opened = preface.open(shared.config.tls.as_ref(), &shared.handshakes, counted, shared.config.head_timeout);
    let opened = unless_stopped(stopped.clone(), unless_evicted(&waiting, opened)).await;
    if let Some(Err(error)) = &opened
        && error.is_refused_certificate()
    {
        shared.foreign_connections.log_refused_certificate(remote);
    }
    let Some(Opened::Tls(stream)) = ended(&state, opened) else { return };
    let mut timed = TimedStream::new(stream, shared.timeouts, waiting.clone());
    let (none, stage) = (Progress::none(), Stage::WithinTls);
    let served = serve_requests(&mut timed, none, &mut state, stage, &waiting, &shared, stopped);
    let served = unless_evicted(&waiting, served).await;
    if ended(&state, served).is_some() {
        // TLS announces its end, so that the client knows that nothing was cut off.
        _ = timeout(shared.config.write_timeout, timed.into_inner().shutdown()).await;
    }
}

/// `None` if the connection's permit is taken away first.
async fn unless_evicted<T>(waiting: &Waiting, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = waiting.evicted() => None,
    }
}

/// `None` if the server is to stop first.
async fn unless_stopped<T>(mut stopped: watch::Receiver<()>, work: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::select! {
        done = work => done,
        _ = stopped.changed() => None,
    }
}

/// What was done on a connection, unless that ended it.
fn ended<T>(state: &ConnectionState, done: Option<Result<T, impl Display>>) -> Option<T> {
    let remote = state.connection.remote();
    match done {
        Some(Ok(done)) => Some(done),
        Some(Err(error)) => {
            tracing::debug!(%remote, %error, "connection ended");
            None
        }
        None => {
            tracing::debug!(%remote, "connection closed for a new one, or at the end of the server");
            None
        }
    }
}
