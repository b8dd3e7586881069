//! A tracker for the LAN with its dashboard, in one file: what to copy when you embed it.
//!
//!     cargo run --release --example lan_tracker [SHARE [TORRENTS]]
//!
//! Clients find it on port 6969 of all addresses, and people on port 6970. It prints the URL of the dashboard and the announce
//! URLs to put into torrents; all else is on the dashboard. SHARE is a folder of which torrents can be made there, and TORRENTS
//! one of .torrent files that are known by name. Ctrl-C stops it. The `tracker` program is the same with settings and lists.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use dashboard::{
    Dashboard, DashboardConfig, Digests, Door, Failures, Journal, Library, LibraryConfig, MAX_PENDING_EVENTS, Maker,
    Observer, OpenError, Opened, Opener, Share,
};
use futures_util::FutureExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracker_core::{Access, Config, Shards};
use tracker_host::{Addresses, BindError, Clock, all_addresses, expire_swarms, host_names};
use tracker_http::HttpConfig;
use tracker_udp::UdpConfig;

const CLIENTS: u16 = 6969;
const PEOPLE: u16 = 6970;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut folders = env::args_os().skip(1).map(PathBuf::from);
    let (share, torrents) = (folders.next(), folders.next());

    // What the program logs is shown on the dashboard. Add a layer of `tracing_subscriber::fmt` to see it here as well.
    let journal = Journal::new();
    tracing_subscriber::registry().with(journal.layer().with_filter(LevelFilter::INFO)).init();

    // The core: all decisions, no I/O. It is told by which addresses others reach clients on this very machine, which ones
    // hide several clients, and of which networks the LAN consists beside the private ones.
    let addresses = Addresses::find().context("cannot list the addresses of this machine")?;
    let config = Config {
        host_addresses: addresses.host(),
        gateways: addresses.gateways,
        access: Access::Lan { own: addresses.networks },
        max_pending_events: MAX_PENDING_EVENTS,
        update_events: false,
        ..Config::default()
    };
    // Threads seldom meet at one of 16 shards, on the machines of a LAN; `tracker` makes 16 for each thread.
    let shards = Arc::new(Shards::new(config, NonZeroUsize::new(16).expect("16 is not 0"), &mut rand::rng())?);

    // The adapters: HTTP and UDP, on the same port number. All share the swarms, and the clock.
    let clock = Clock::start();
    let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, HttpConfig::default())?;
    let udp = tracker_udp::Adapter::new(Arc::clone(&shards), clock, UdpConfig::default())?;

    // The door for clients, which the dashboard can shut and open again.
    let hosts = if addresses.lan.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { addresses.lan };
    let announce_url = |&host| format!("http://{}/announce", SocketAddr::new(host, CLIENTS));
    let announce_urls: Vec<_> = hosts.iter().map(announce_url).collect();
    let ports = ClientPorts { http: http.clone(), udp: udp.clone(), announce_urls: announce_urls.clone() };
    let door = Door::new(ports);

    // The dashboard: it watches the tracker and knows torrents by name.
    let library = Library::open(LibraryConfig { torrents })?;
    let failures = move || Failures { http: http.failures(), udp: udp.failures() };
    let observer = Observer::start(Arc::clone(&shards), clock, library.clone(), failures)?;
    let share = share.map(Share::open).transpose().context("cannot open the folder to share")?;
    let dashboard = Dashboard::new(DashboardConfig {
        shards: Arc::clone(&shards),
        clock,
        observer: observer.clone(),
        journal,
        door: door.clone(),
        maker: share.clone().map(|share| Maker::new(share, library.clone())),
        digests: share.map(|share| Digests::new(share, library.clone())),
        library,
        host_names: host_names(),
        token_always: false,
        only_known: false,
    });
    let people = dashboard::Server::bind(&all_addresses(PEOPLE), dashboard.clone());
    let people = people.map_err(cannot_bind)?;
    door.open().await?;

    // The URL has a token, by which the operator is known.
    println!("dashboard:    {}", dashboard.url(SocketAddr::new(hosts[0], PEOPLE)));
    for url in announce_urls {
        println!("announce URL: {url}");
    }
    if hosts[0].is_loopback() {
        println!("This machine has no address on a LAN: only clients on it can use the tracker.");
    }
    println!("Make torrents on the dashboard, or by `make-torrent -a URL FILE`. With udp:// clients come by UDP.");
    println!("Ctrl-C stops the tracker.");

    // Silent peers go when they are due.
    let expiry = tokio::spawn(expire_swarms(shards, clock));
    // All stops at Ctrl-C, and when one part fails.
    tokio::select! {
        served = people.run(async { _ = tokio::signal::ctrl_c().await }) => served?,
        ended = expiry => ended.context("silent peers cannot be dropped any more")?,
    }
    door.shut().await;
    observer.finish();
    Ok(())
}

/// Takes the ports for clients.
struct ClientPorts {
    http: tracker_http::Adapter,
    udp: tracker_udp::Adapter,
    announce_urls: Vec<String>,
}

impl Opener for ClientPorts {
    fn open(&self) -> Result<Opened, OpenError> {
        let http = tracker_http::Server::bind(&all_addresses(CLIENTS), self.http.clone());
        let http = http.map_err(cannot_bind)?;
        let udp = tracker_udp::Server::bind(&all_addresses(CLIENTS), self.udp.clone());
        let udp = udp.map_err(cannot_bind)?;
        Ok(Opened {
            addresses: http.local_addrs().to_vec(),
            announce_urls: self.announce_urls.clone(),
            serve: Box::new(|stop| {
                // Both stop when they are told to, and when one of them fails.
                let stop = stop.shared();
                Box::pin(async move {
                    tokio::try_join!(http.run(stop.clone()), udp.run(stop))?;
                    Ok(())
                })
            }),
        })
    }
}

fn cannot_bind(error: BindError) -> OpenError {
    OpenError(format!("{error}: {}", error.advice()))
}
