//! A tracker for the LAN in one screen: what to copy when you embed it.
//!
//! Starts it on port 6969 of all addresses, prints the announce URLs to put into torrents, and then, once a second, what
//! goes on. Ctrl-C stops it. The `tracker` program is the same with settings, lists and a log.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracker_core::{Access, Config, Shards};
use tracker_host::{Addresses, Clock, all_addresses, expire_swarms};
use tracker_http::HttpConfig;
use tracker_udp::UdpConfig;

const PORT: u16 = 6969;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let addresses = Addresses::find().context("cannot list the addresses of this machine")?;

    // The core: all decisions, no I/O. It is told by which addresses others reach clients on this very machine, which ones
    // hide several clients, and of which networks the LAN consists beside the private ones.
    let config = Config {
        host_addresses: addresses.host(),
        gateways: addresses.gateways.clone(),
        access: Access::Lan { own: addresses.networks.clone() },
        ..Config::default()
    };
    // Threads seldom meet at one of 16 shards, on the machines of a LAN; `tracker` makes 16 for each thread.
    let shards = Arc::new(Shards::new(config, NonZeroUsize::new(16).expect("16 is not 0"), &mut rand::rng())?);

    // The adapters: HTTP and UDP, on the same port number. All share the swarms, and the clock.
    let clock = Clock::start();
    let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, HttpConfig::default())?;
    let http = tracker_http::Server::bind(&all_addresses(PORT), http).context("HTTP cannot start")?;
    let udp = tracker_udp::Adapter::new(Arc::clone(&shards), clock, UdpConfig::default())?;
    let udp = tracker_udp::Server::bind(&all_addresses(PORT), udp).context("UDP cannot start")?;

    for &address in &addresses.lan {
        println!("announce URL: http://{}/announce", SocketAddr::new(address, PORT));
    }
    if addresses.lan.is_empty() {
        println!("This machine has no address on a LAN: only clients on it can use the tracker.");
        println!("announce URL: http://127.0.0.1:{PORT}/announce");
    }
    println!("It goes into your torrents: `make-torrent -a URL FILE`. With udp:// for http://, clients come by UDP.");
    println!("Ctrl-C stops the tracker.\n");

    // Silent peers go when they are due.
    let expiry = tokio::spawn(expire_swarms(Arc::clone(&shards), clock));
    tokio::spawn(show(shards));

    // All stop at Ctrl-C, and when one of them fails.
    let ctrl_c = || async { _ = tokio::signal::ctrl_c().await };
    let servers = async { tokio::try_join!(http.run(ctrl_c()), udp.run(ctrl_c())) };
    tokio::select! {
        served = servers => drop(served?),
        ended = expiry => ended.context("silent peers cannot be dropped any more")?,
    }
    Ok(())
}

/// Writes a line over itself, once a second.
async fn show(shards: Arc<Shards>) {
    let mut announces = 0;
    loop {
        let now = shards.totals();
        let line = format!(
            "\rtorrents {}  seeders {}  leechers {}  completed {}  announces/s {}   ",
            now.swarms,
            now.seeders,
            now.leechers,
            now.completed,
            now.announces - announces,
        );
        // Nobody may be reading: the tracker goes on.
        let mut stdout = io::stdout();
        _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        announces = now.announces;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
