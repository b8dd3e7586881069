//! The tracker, put together.

use std::io::{Write, stdout};
use std::num::NonZeroUsize;
use std::process;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use dashboard::EventLog;
use tokio::runtime;
use tokio::task::spawn_blocking;
use tracker_core::{Config, Shards};
use tracker_host::{Addresses, Clock, expire_swarms};

use crate::allow::Allow;
use crate::bind_advice::bind_advice;
use crate::cli::Cli;
use crate::failure::Failure;
use crate::firewall::Firewall;
use crate::lists::Lists;
use crate::log::{self, Log};
use crate::open_files;
use crate::servers::Servers;
use crate::settings::{Layer, LogFormat, Settings};
use crate::signals::StopSignals;
use crate::welcome::{AnnounceUrls, Welcome};

/// Shards per thread, so that threads seldom meet at one, and that what grows with a shard's torrents is small.
const SHARDS_PER_THREAD: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Does what the command line says: runs the tracker until it is told to stop, or prints something.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let file = cli.config.as_deref().map(Layer::read).transpose()?.unwrap_or_default();
    let settings = cli.settings.or(file).or_default()?;
    if cli.print_config {
        print(&settings.to_toml()?);
        return Ok(());
    }
    if cli.firewall {
        print(&Firewall::new(&settings.listen, settings.udp).to_string());
        return Ok(());
    }
    let log = log::start(settings.log_format, settings.log_level);
    open_files::raise_limit();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    let tracker = runtime.block_on(Tracker::start(settings, &log))?;
    runtime.block_on(tracker.serve()).map_err(Failure::Running)
}

/// A tracker that has its ports.
#[derive(Debug)]
struct Tracker {
    servers: Servers,
    signals: StopSignals,
    events: Option<EventLog>,
}

impl Tracker {
    /// Sets up all there is, and tells the operator where clients find it.
    async fn start(settings: Settings, log: &Log) -> anyhow::Result<Self> {
        let addresses = Addresses::find().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the addresses of this machine");
            Addresses::default()
        });
        let lists = Lists::read(settings.allow_list.clone(), settings.deny_list.clone())?;
        let config = Config {
            access: Allow::access(&settings.allow, &addresses),
            torrents: Arc::new(lists.policy().clone()),
            host_addresses: addresses.host(),
            gateways: addresses.gateways.clone(),
            ..settings.core()
        };
        let logs_events = config.max_pending_events > 0;
        let clock = Clock::start();
        let count = settings.threads.saturating_mul(SHARDS_PER_THREAD);
        let shards = Arc::new(Shards::new(config, count, &mut rand::rng()).context("a setting cannot be used")?);

        let listen: Vec<_> = settings.listen.iter().map(|listen| listen.0).collect();
        let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, settings.http());
        let http = http.context("a setting cannot be used")?;
        let udp = settings.udp.then(|| tracker_udp::Adapter::new(Arc::clone(&shards), clock, settings.udp_config()));
        let udp = udp.transpose().context("a setting cannot be used")?;
        let servers = Servers::bind(&listen, &http, udp.as_ref());
        let servers = servers.map_err(|error| anyhow!(bind_advice(&error, &addresses.lan)))?;
        let signals = StopSignals::new().context("cannot wait for signals")?;
        let dropped = log.dropped();
        let dropped_lines = move || dropped.dropped_lines() as u64;
        let events = logs_events.then(|| EventLog::start(Arc::clone(&shards), dropped_lines)).transpose()?;
        lists.watch(Arc::clone(&shards))?;
        tokio::spawn(expire_swarms(shards, clock));
        welcome(&servers, &addresses, settings.log_format);
        Ok(Self { servers, signals, events })
    }

    /// Serves until it is told to stop. Told so again, the program ends at once.
    async fn serve(mut self) -> anyhow::Result<()> {
        let told_to_stop = async {
            self.signals.next().await;
            tracing::info!("stopping");
            tokio::spawn(async move {
                self.signals.next().await;
                process::exit(1);
            });
        };
        self.servers.run(told_to_stop).await?;
        if let Some(events) = self.events {
            // Not on this thread, which must see the second signal.
            spawn_blocking(|| events.finish()).await?;
        }
        Ok(())
    }
}

/// Tells the operator, in the form he asked for, where clients find the tracker.
fn welcome(servers: &Servers, addresses: &Addresses, format: LogFormat) {
    let listening = servers.local_addrs();
    for protocol in servers.protocols() {
        for address in listening {
            tracing::info!(%address, protocol = protocol.name(), "listening");
        }
    }
    let urls = AnnounceUrls::new(listening, servers.protocols(), &addresses.lan);
    match format {
        LogFormat::Text => {
            let loopback_only = listening.iter().all(|address| address.ip().is_loopback());
            print(&Welcome { urls: &urls, loopback_only }.to_string());
        }
        LogFormat::Json => {
            for url in urls.all() {
                tracing::info!(target: log::ANNOUNCE_URL, url, "announce URL");
            }
        }
    }
}

fn print(text: &str) {
    let mut stdout = stdout().lock();
    // Whoever does not read it does not want it.
    _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
