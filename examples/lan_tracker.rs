//! A tracker for the LAN in one screen: what to copy when you embed it.
//!
//! Starts it on port 6969 of all addresses, prints the announce URLs to put into torrents, and then, once a second, what
//! goes on. Ctrl-C stops it. The `tracker` program is the same with settings, lists and a log.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracker_core::{Config, HostAddresses, Shards};
use tracker_http::{Adapter, Clock, HttpConfig, Server, all_addresses, expire_swarms};

const PORT: u16 = 6969;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let lan = LanAddresses::find()?;

    // The core: all decisions, no I/O. It is told by which addresses others reach clients on this very machine.
    let config = Config {
        host_addresses: HostAddresses { v4: lan.v4.first().copied(), v6: lan.v6.first().copied() },
        ..Config::default()
    };
    let shards = Arc::new(Shards::new(config, NonZeroUsize::new(16).expect("16 is not 0"), &mut rand::rng())?);

    // The adapter: HTTP in, HTTP out. One clock for all that share the swarms.
    let clock = Clock::start();
    let adapter = Adapter::new(Arc::clone(&shards), clock, HttpConfig::default());
    let server = Server::bind(&all_addresses(PORT), adapter).context("the tracker cannot start")?;

    for address in &lan.v4 {
        println!("announce URL: http://{address}:{PORT}/announce");
    }
    if lan.v4.is_empty() {
        println!("This machine has no IPv4 address on a LAN: only clients on it can use the tracker.");
        println!("announce URL: http://127.0.0.1:{PORT}/announce");
    }
    println!("Put one of them into your torrents, or `make-torrent -a URL FILE` does. Ctrl-C stops the tracker.\n");

    // Silent peers go when they are due.
    tokio::spawn(expire_swarms(Arc::clone(&shards), clock));
    tokio::spawn(show(shards));

    server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
    println!();
    Ok(())
}

/// Writes a line over itself, once a second.
async fn show(shards: Arc<Shards>) {
    let mut announces = 0;
    loop {
        let now = shards.totals();
        print!(
            "\rtorrents {}  seeders {}  leechers {}  completed {}  announces/s {}   ",
            now.swarms,
            now.seeders,
            now.leechers,
            now.completed,
            now.announces - announces,
        );
        // Nobody may be reading: the tracker goes on.
        _ = io::stdout().flush();
        announces = now.announces;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The addresses by which other machines reach this one.
#[derive(Default)]
struct LanAddresses {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
}

impl LanAddresses {
    /// Those of real network cards: no loopback, no bridge of containers or virtual machines, nothing link-local.
    fn find() -> io::Result<Self> {
        const VIRTUAL: [&str; 7] = ["br-", "docker", "veth", "virbr", "lxc", "cni", "podman"];
        let mut lan = Self::default();
        for interface in if_addrs::get_if_addrs()? {
            if interface.is_loopback() || VIRTUAL.iter().any(|name| interface.name.starts_with(name)) {
                continue;
            }
            match interface.ip() {
                IpAddr::V4(address) if !address.is_link_local() => lan.v4.push(address),
                IpAddr::V6(address) if !address.is_unicast_link_local() => lan.v6.push(address),
                _ => {}
            }
        }
        Ok(lan)
    }
}
