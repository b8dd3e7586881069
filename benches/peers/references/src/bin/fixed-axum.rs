//! axum on one thread, with a route that answers every announce alike.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt;
use references::{announce_body, listen_address};
use tokio::net::TcpListener;
use tokio::runtime;

fn main() -> anyhow::Result<()> {
    let address = listen_address()?;
    runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let body = Bytes::from(announce_body());
        let answer = move || async move { ([(CONTENT_TYPE, "text/plain")], body) };
        let listener = TcpListener::bind(address).await?.tap_io(|stream| {
            // Nothing is lost but time when it cannot be set.
            _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, Router::new().route("/announce", get(answer))).await?)
    })
}
