//! The tracker, put together.

use std::convert::Infallible;
use std::io::{self, Write, stdout};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use dashboard::{
    Dashboard, DashboardConfig, Digests, Door, DoorState, EventLog, Journal, Library, LibraryConfig, Maker, Observer,
    Share,
};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tracker_core::{Config, Shards};
use tracker_host::{Addresses, Clock, expire_swarms, host_names};

use crate::bind_advice::dashboard_advice;
use crate::cli::Cli;
use crate::client_door::ClientDoor;
use crate::failure::Failure;
use crate::firewall::Firewall;
use crate::lists::Lists;
use crate::log::{self, Log};
use crate::open_files;
use crate::settings::{LogFormat, Settings};
use crate::signals::StopSignals;
use crate::welcome::Welcome;
use tracker::Allow;
use tracker::Protocol;
use tracker::{AnnounceUrls, DashboardUrls};

/// Shards per thread, so that threads seldom meet at one, and that what grows with a shard's torrents is small.
const SHARDS_PER_THREAD: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Threads for what may wait for a disk or work for long, at most: what people ask for in the dashboard, and the opening
/// of the door. What comes when all of them are busy waits until one is not.
const BLOCKING_THREADS: usize = 16;

/// How long the end of the program waits for what they are at.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Does what the command line says: runs the tracker until it is told to stop, or prints something.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    let settings = cli.settings()?;
    if cli.print_config {
        print(&settings.to_toml()?);
        return Ok(());
    }
    if cli.firewall {
        print(&Firewall::new(&settings).to_string());
        return Ok(());
    }
    let journal = settings.dashboard.then(Journal::new);
    let log = log::start(settings.log_format, settings.log_level, journal.as_ref());
    open_files::raise_limit();
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime =
        runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build().context("cannot start a runtime")?;
    let ended = runtime.block_on(async {
        let tracker = Tracker::start(settings, &log, journal).await?;
        tracker.serve().await.map_err(Failure::Running)
    });
    // Nobody hears signals any more, so that nothing may be waited for that may not end, such as a disk.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// A tracker that has its ports.
#[derive(Debug)]
struct Tracker {
    clients: Door,
    people: Option<dashboard::Server>,
    signals: StopSignals,
    witness: Witness,
    expiry: JoinHandle<()>,
}

/// What takes in the events of the swarms.
#[derive(Debug)]
enum Witness {
    /// For the dashboard and the log.
    Observer(Observer),
    /// For the log.
    EventLog(EventLog),
    /// There are none.
    Nobody,
}

impl Witness {
    /// Has it take in what has happened until now. On a thread of its own: not on this one, which must see the second
    /// signal, and not on one of those that may all wait for a disk.
    async fn finish(self) -> io::Result<()> {
        let (done, finished) = oneshot::channel::<Infallible>();
        let finish = move || {
            match self {
                Self::Observer(observer) => observer.finish(),
                Self::EventLog(events) => events.finish(),
                Self::Nobody => {}
            }
            drop(done);
        };
        thread::Builder::new().name("end".into()).spawn(finish)?;
        // An error says that it is done.
        _ = finished.await;
        Ok(())
    }
}

impl Tracker {
    /// Sets up all there is, and tells the operator where clients and browsers find it.
    async fn start(settings: Settings, log: &Log, journal: Option<Journal>) -> anyhow::Result<Self> {
        let addresses = Addresses::find().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the addresses of this machine");
            Addresses::default()
        });
        let swarms = Swarms::new(&settings, &addresses)?;
        let Swarms { shards, clock, library, .. } = &swarms;
        let opener = Arc::new(swarms.opener(&settings, addresses.lan.clone())?);
        let clients = Door::new(Arc::clone(&opener));
        let dropped = log.dropped();
        let dropped_lines = move || dropped.dropped_lines() as u64;
        let (witness, people) = if let Some(journal) = journal {
            let failures = opener.failures();
            let observer = Observer::start(Arc::clone(shards), *clock, library.clone(), failures)?;
            observer.watch_log(dropped_lines);
            let share = settings.share.clone().map(open_share).transpose()?;
            let dashboard = Dashboard::new(DashboardConfig {
                shards: Arc::clone(shards),
                clock: *clock,
                observer: observer.clone(),
                journal,
                door: clients.clone(),
                library: library.clone(),
                maker: share.clone().map(|share| Maker::new(share, library.clone())),
                digests: share.map(|share| Digests::new(share, library.clone())),
                host_names: settings.host_name.iter().map(|name| name.0.clone()).chain(host_names()).collect(),
                token_always: settings.dashboard_token_always,
                only_known: settings.only_known,
            });
            let listen: Vec<_> = settings.dashboard_listen.iter().map(|listen| listen.0).collect();
            let server = dashboard::Server::bind(&listen, dashboard.clone());
            let server = server.map_err(|error| anyhow!(dashboard_advice(&error, &addresses.lan)))?;
            for address in server.local_addrs() {
                tracing::info!(%address, "serving the dashboard");
            }
            (Witness::Observer(observer), Some((server, dashboard)))
        } else if settings.logs_events() {
            (Witness::EventLog(EventLog::start(Arc::clone(shards), dropped_lines)?), None)
        } else {
            (Witness::Nobody, None)
        };
        let signals = StopSignals::new().context("cannot wait for signals")?;
        let expiry = swarms.look_after()?;
        clients.open().await?;

        let urls = people.as_ref().map(|(server, dashboard)| {
            DashboardUrls::new(server.local_addrs(), &addresses.lan, |address| dashboard.url(address))
        });
        welcome(urls.as_ref(), &opener.listening(), &addresses, settings.log_format);
        Ok(Self { clients, people: people.map(|(server, _)| server), signals, witness, expiry })
    }

    /// Serves until it is told to stop, or silent peers do not go any more. Told to stop again, the program ends at once.
    ///
    /// When the servers for clients fail it ends, too, unless there is a dashboard by which they can be started again.
    async fn serve(self) -> anyhow::Result<()> {
        let Self { clients, people: server, mut signals, witness, expiry } = self;
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let mut people = JoinSet::new();
        if let Some(server) = server {
            people.spawn(server.run(async { _ = stopped.await }));
        }
        let has_dashboard = !people.is_empty();
        let mut result = tokio::select! {
            () = signals.next() => {
                tracing::info!("stopping");
                tokio::spawn(async move {
                    signals.next().await;
                    process::exit(1);
                });
                Ok(())
            }
            () = until_shut(&clients), if !has_dashboard => Ok(()),
            Some(ended) = people.join_next() => of_dashboard(ended),
            ended = expiry => of_expiry(ended),
        };
        drop(stop);
        let was_open = matches!(clients.state(), DoorState::Open { .. });
        clients.shut().await;
        if let DoorState::Shut { error: Some(error), .. } = clients.state()
            // What happened earlier was shown on the dashboard.
            && (was_open || !has_dashboard)
        {
            result = result.and(Err(anyhow!(error)));
        }
        while let Some(ended) = people.join_next().await {
            result = result.and_then(|()| of_dashboard(ended));
        }
        // Who was still answered may have opened it again.
        clients.shut().await;
        witness.finish().await?;
        result
    }
}

/// The tracker without a door.
#[derive(Debug)]
struct Swarms {
    shards: Arc<Shards>,
    clock: Clock,
    library: Library,
    lists: Lists,
}

impl Swarms {
    fn new(settings: &Settings, addresses: &Addresses) -> anyhow::Result<Self> {
        let library = Library::open(LibraryConfig { torrents: settings.torrents.clone() })?;
        let known = settings.only_known.then(|| library.clone());
        let lists = Lists::read(settings.allow_list.clone(), settings.deny_list.clone(), known)?;
        let config = Config {
            access: Allow::access(&settings.allow, addresses),
            torrents: Arc::new(lists.policy()),
            host_addresses: addresses.host(),
            gateways: addresses.gateways.clone(),
            ..settings.core()
        };
        let clock = Clock::start();
        let count = settings.threads().saturating_mul(SHARDS_PER_THREAD);
        let shards = Arc::new(Shards::new(config, count, &mut rand::rng()).context("a setting cannot be used")?);
        Ok(Self { shards, clock, library, lists })
    }

    /// What opens the door for clients.
    fn opener(&self, settings: &Settings, lan: Vec<IpAddr>) -> anyhow::Result<ClientDoor> {
        let shards = || Arc::clone(&self.shards);
        let http = tracker_http::Adapter::new(shards(), self.clock, settings.http());
        let http = http.context("a setting cannot be used")?;
        let udp = settings.udp.then(|| tracker_udp::Adapter::new(shards(), self.clock, settings.udp_config()));
        let udp = udp.transpose().context("a setting cannot be used")?;
        let listen = settings.listen.iter().map(|listen| listen.0).collect();
        Ok(ClientDoor::new(listen, http, udp, lan))
    }

    /// Does for ever what is due, and what files that change want.
    fn look_after(self) -> io::Result<JoinHandle<()>> {
        self.lists.watch(Arc::clone(&self.shards))?;
        Ok(tokio::spawn(expire_swarms(self.shards, self.clock)))
    }
}

async fn until_shut(door: &Door) {
    // An error would say that the door is gone.
    _ = door.changes().wait_for(|state| matches!(state, DoorState::Shut { .. })).await;
}

fn of_dashboard(ended: Result<io::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended?.context("the server of the dashboard failed")
}

/// Only a bug ends expiry, and without it swarms fill up with peers that are gone.
fn of_expiry(ended: Result<(), JoinError>) -> anyhow::Result<()> {
    ended.context("silent peers cannot be dropped any more")?;
    bail!("silent peers are not dropped any more")
}

fn open_share(folder: PathBuf) -> anyhow::Result<Share> {
    let cannot_open = format!("cannot open the folder to share {}", folder.display());
    Share::open(folder).context(cannot_open)
}

/// Tells the operator, in the form he asked for, where browsers and clients find the tracker.
fn welcome(
    dashboard: Option<&DashboardUrls>,
    listening: &[(Protocol, Vec<SocketAddr>)],
    addresses: &Addresses,
    format: LogFormat,
) {
    let urls = AnnounceUrls::new(listening, &addresses.lan);
    match format {
        LogFormat::Text => {
            let mut all = listening.iter().flat_map(|(_, addresses)| addresses);
            let loopback_only = all.all(|address| address.ip().is_loopback());
            print(&Welcome { dashboard, urls: &urls, loopback_only }.to_string());
        }
        LogFormat::Json => {
            for url in dashboard.into_iter().flat_map(DashboardUrls::operator) {
                tracing::info!(target: log::DASHBOARD_URL, url, "dashboard URL");
            }
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn expiry_that_ends_is_a_failure() {
        let panicked = tokio::spawn(async { panic!("as a bug would") }).await;
        let error = format!("{:#}", of_expiry(panicked).unwrap_err());
        assert!(error.starts_with("silent peers") && error.contains("as a bug would"), "{error}");
        of_expiry(tokio::spawn(ready(())).await).unwrap_err();
    }
}
