//! A tracker for the LAN with its dashboard: the program to copy when you embed both.
//!
//!     cargo run --release --example lan_tracker [SHARE [TORRENTS]]
//!
//! Clients reach it over HTTP and UDP on port 6969 of all addresses, its own peer on port 6968, and browsers on port 6970. It prints
//! the URL by which everybody gets what is in the folder SHARE, the URL of the dashboard, and the announce URLs to put into torrents.
//! Ctrl-C stops it. The `tracker` program is the same with settings. Nothing is kept when it ends, but in the folder TORRENTS.

use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracker::{LanTracker, LogBuffer};

/// A tracker for the LAN, over HTTP and UDP, with its dashboard.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder to share: everybody on the LAN can download what is in it.
    share: Option<PathBuf>,
    /// Folder of .torrent files whose names the dashboard shows, and in which those of the shared files are kept.
    torrents: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { share, torrents } = Arguments::parse();

    // The dashboard shows the log. Add a layer of `tracing_subscriber::fmt` to see it in the terminal as well.
    let log = LogBuffer::new();
    tracing_subscriber::registry().with(log.layer().with_filter(LevelFilter::INFO)).init();

    let tracker = LanTracker::builder().share(share).torrents(torrents).log(log).start().await?;

    if let Some(urls) = tracker.dashboard_urls() {
        if tracker.shared_folder().is_some() {
            for url in urls.viewers() {
                println!("the files:    {url}");
            }
        }
        // When you open this URL, which contains a token, the dashboard controls the tracker.
        for url in urls.operator() {
            println!("dashboard:    {url}");
        }
    }
    for url in tracker.announce_urls().all() {
        println!("announce URL: {url}");
    }
    if tracker.announce_urls().lan_addresses() == 0 {
        println!("This machine has no address on a LAN: only clients on it can use the tracker.");
    }
    println!("Make torrents on the dashboard, or with `make-torrent -a URL FILE`. Ctrl-C stops the tracker.");

    tracker.run(async { _ = tokio::signal::ctrl_c().await }).await?;
    Ok(())
}
