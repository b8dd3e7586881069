//! A whole conversation over one connection: all that `http_server` does with it, but the socket.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::config::ServerConfig;
use crate::connection::{ConnectionState, Progress};
use crate::handler::{Connection, Handler};
use crate::head::RequestHead;
use crate::layers::handle_connection;
use crate::shared::Shared;

/// Bytes of a conversation; more are left out.
const MAX_BYTES: usize = 32 << 10;

/// Sends the same bytes in one segment and in several: what is answered is the same, and begins as an answer does. The first byte
/// says how the bytes are cut.
pub(crate) fn http_conversation(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let whole = runtime.block_on(converse(bytes, MAX_BYTES));
    let cut = runtime.block_on(converse(bytes, 1 + usize::from(cut).max(bytes.len() / 512)));
    for answers in [&whole, &cut] {
        assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{}", answers.escape_ascii());
    }
    // What follows a body that nobody reads is a request only if all of the body was there in time.
    let lower = bytes.to_ascii_lowercase();
    let has = |name: &[u8]| lower.windows(name.len()).any(|window| window == name);
    if !has(b"content-length") && !has(b"transfer-encoding") {
        let [whole, cut] = [&whole, &cut].map(|answers| without_refusal(answers).escape_ascii().to_string());
        assert_eq!(whole, cut);
    }
}

/// The answers before the one that refuses what is not HTTP: hyper gives that when it has looked at the bytes, which it does when
/// it first gets some, and then at the end of the head.
fn without_refusal(answers: &[u8]) -> &[u8] {
    // In the version of the request before.
    let is_refusal = |window: &[u8]| matches!(window, b"HTTP/1.0 4" | b"HTTP/1.1 4");
    let at = answers.windows(b"HTTP/1.1 4".len()).rposition(is_refusal);
    &answers[..at.unwrap_or(answers.len())]
}

/// All that is answered to these bytes, sent in segments of this size.
async fn converse(bytes: &[u8], segment: usize) -> Vec<u8> {
    let (ours, theirs) = duplex(64 << 10);
    let (_stop, stopped) = watch::channel(());
    let router = Router::new().fallback(async |request: axum::extract::Request| request.uri().to_string());
    let shared = Arc::new(Shared::new(ServerConfig::default(), Arc::new(Echo), router, 1));
    let connection = Connection::new(([10, 0, 0, 9], 5000).into(), ([10, 0, 0, 1], 6969).into());
    let mut state = ConnectionState::new(connection);
    let waiting = state.acquire_permit_or_evict(&shared).expect("it is the only one");
    let serve = handle_connection(ours, Progress::none(), state, waiting, shared, stopped);

    let (mut read, mut write) = tokio::io::split(theirs);
    let send = async {
        for segment in bytes.chunks(segment) {
            if write.write_all(segment).await.is_err() {
                break;
            }
            // The server has its turn.
            tokio::task::yield_now().await;
        }
        _ = write.shutdown().await;
    };
    let mut answers = Vec::new();
    let (.., read) = tokio::join!(serve, send, read.read_to_end(&mut answers));
    read.expect("an end without error");
    answers
}

/// Answers announces at once with their query, and leaves all else to the router.
#[derive(Debug)]
struct Echo;

impl Handler for Echo {
    fn answer(&self, _: Connection, request: &RequestHead<'_>, body: &mut Vec<u8>) -> bool {
        let is_announce = request.path == b"/announce";
        if is_announce {
            body.extend_from_slice(request.query);
        }
        is_announce
    }

    fn is_exempt(&self, _: IpAddr) -> bool {
        false
    }

    fn on_malformed_request(&self) {}

    fn on_too_many_connections(&self) {}
}
