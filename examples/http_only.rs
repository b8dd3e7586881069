//! An HTTP tracker on port 6969, without UDP and without the dashboard.
//!
//!     cargo run --release --example http_only
//!
//! Its announce URL is `http://ADDRESS:6969/announce`, with an address of this machine. Ctrl-C stops it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tracker_core::{Config, Shards};
use tracker_host::{Addresses, Clock, all_addresses, expire_swarms};
use tracker_http::{Adapter, HttpConfig, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // By these addresses other machines reach clients on this one.
    let host_addresses = Addresses::find()?.host();
    let config = Config::default().with(|config| config.host_addresses = host_addresses);
    let count = NonZeroUsize::new(16).expect("16 is not 0");
    let shards = Arc::new(Shards::new(config, count, &mut rand::rng())?);
    let clock = Clock::start();
    let adapter = Adapter::new(Arc::clone(&shards), clock, HttpConfig::default())?;
    let server = Server::bind(&all_addresses(6969), adapter)?;
    println!("serving clients on {:?}", server.local_addrs());
    // Drops peers that no longer announce.
    let expiry = tokio::spawn(expire_swarms(shards, clock));
    tokio::select! {
        served = server.run(async { _ = tokio::signal::ctrl_c().await }) => Ok(served?),
        ended = expiry => Ok(ended?),
    }
}
