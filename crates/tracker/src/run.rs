//! Running the program.

use std::collections::BTreeSet;
use std::io::{Write, stderr, stdout};
use std::net::IpAddr;
use std::time::Duration;
use std::{fs, process};

use anyhow::{Context, anyhow};
use ipnet::IpNet;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracker::{
    AnnounceUrls, DashboardUrls, DataFolder, DataFolderError, LanTracker, PAGE_LOG, StartError, check_share_folder,
};
use tracker_core::{Shards, usual_network};
use tracker_host::Addresses;
use tracker_monitor::LogBuffer;

use crate::bind_advice::{bind_advice, dashboard_advice};
use crate::browser;
use crate::cli::{Action, Cli};
use crate::failure::Failure;
use crate::firewall::Firewall;
use crate::log::{self, Log};
use crate::open_files;
use crate::preparing::{self, progress_lines};
#[cfg(unix)]
use crate::reload::Reload;
use crate::service_manager;
use crate::settings::{Data, LogFormat, Settings};
use crate::signals::{Request, Signals};
use crate::terminal::Terminal;
use crate::watchdog;
use crate::welcome::Welcome;

/// The maximum number of threads for work that may block or take long: requests on the dashboard, and taking ports. Further
/// work waits for a thread.
const BLOCKING_THREADS: usize = 16;

/// The time that the program waits for such work at its end.
const LAST_WORK: Duration = Duration::from_secs(2);

/// The time that the text at the start waits for the page's name. To take one takes a second, or three in several networks, and as long
/// again if it is not free; the log has a later one.
const NAME_WAIT: Duration = Duration::from_secs(3);

/// Does what the command line asks for: prints something, or runs the tracker until a signal stops it.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.action {
        None => {}
        Some(Action::Check(check)) => {
            let (text, wrong) = check.run();
            print(text);
            return if wrong == 0 { Ok(()) } else { Err(Failure::Check { wrong }) };
        }
        Some(Action::Report(report)) => return Ok(report.print()?),
        Some(Action::Backup(backup)) => {
            print(backup.run()?);
            return Ok(());
        }
        Some(Action::Restore(restore)) => {
            print(restore.run()?);
            return Ok(());
        }
        Some(Action::Operators(operators)) => {
            print(operators.run()?);
            return Ok(());
        }
        Some(Action::Users(users)) => {
            print(users.run()?);
            return Ok(());
        }
        Some(Action::Generate(generate)) => {
            print(generate.bytes().context("cannot generate it")?);
            return Ok(());
        }
    }
    let settings = cli.settings()?;
    if cli.print_config {
        print(settings.to_toml()?);
        return Ok(());
    }
    if cli.firewall {
        let machine = Addresses::find().unwrap_or_default();
        print(Firewall::new(&settings, &machine).to_string());
        return Ok(());
    }
    let log_buffer = settings.dashboard.then(LogBuffer::new);
    let progress = match settings.log_format {
        LogFormat::Text => Terminal::of(&stderr()),
        LogFormat::Json => Terminal::None,
    };
    let progress = progress_lines(progress);
    let log = log::start(settings.log_format, settings.log_level, log_buffer.as_ref(), progress.clone());
    open_files::raise_limit();
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime =
        runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build().context("cannot start a runtime")?;
    let ended = runtime.block_on(async {
        let tracker = start(&settings, &log, log_buffer).await?;
        let signals = Signals::new().context("cannot wait for signals")?;
        for address in settings.ipv6_only() {
            tracing::info!(%address, "[::] stands for IPv6 only: to be reached over IPv4, listen on 0.0.0.0 too");
        }
        let welcome = welcome(&tracker, &settings);
        if let Some(urls) = tracker.dashboard_urls().filter(|_| cli.open) {
            browser::open(&urls, settings.dashboard_token_always);
        }
        let shared_folder = tracker.shared_folder().cloned();
        // Ends with the runtime.
        tokio::spawn(async move {
            welcome.await;
            // Not in the middle of the text.
            if let Some(folder) = shared_folder {
                preparing::report(folder, progress).await;
            }
        });
        let handle = tracker.handle();
        let mut reports = JoinSet::new();
        if let Some(period) = service_manager::watchdog_period() {
            reports.spawn(watchdog::run(handle.clone(), period));
        }
        service_manager::ready(&handle.state());
        reports.spawn(service_manager::report_changes(handle.clone()));
        #[cfg(unix)]
        let mut reload = Reload::new(cli, settings.clone(), handle, &log);
        let on_reload = async || {
            #[cfg(unix)]
            reload.run().await;
        };
        tracker.run(stop(signals, on_reload, reports)).await.map_err(|error| Failure::Running(error.into()))
    });
    // Signals are not handled any more, so that the end must not wait for work that may never end, such as a disk.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

async fn start(settings: &Settings, log: &Log, log_buffer: Option<LogBuffer>) -> anyhow::Result<LanTracker> {
    let dropped = log.dropped();
    let data = settings.data();
    if let Some(share) = &settings.share {
        // Before the data folder is made, which must not be in it.
        let written = settings.torrents.as_deref().into_iter().chain(data.path());
        check_share_folder(share, &written.collect::<Vec<_>>())?;
    }
    let data = open_data(data, settings.share.is_some())?;
    let advice = format!(": `{}` prints how to open the ports", Firewall::command(settings));
    let tracker = settings.builder().data(data).firewall_advice(advice).dropped_lines(move || dropped.count() as u64);
    let tracker = match log_buffer {
        Some(log_buffer) => tracker.log(log_buffer),
        None => tracker,
    };
    tracker.start().await.map_err(|error| {
        let lan = || Addresses::find().unwrap_or_default().lan;
        match &error {
            StartError::Clients { error, advice } => anyhow!(bind_advice(error, advice, &lan())),
            StartError::Dashboard { error, advice } => anyhow!(dashboard_advice(error, advice, &lan())),
            _ => error.into(),
        }
    })
}

/// Opens the data folder. A default one that cannot be used, as in a container whose file system is read-only, is done without,
/// and so is one that another tracker uses. If something `is_shared`, the latter is an error, since all of it would be hashed
/// anew at each start.
fn open_data(data: Data, is_shared: bool) -> anyhow::Result<Option<DataFolder>> {
    let (folder, is_default) = match data {
        Data::None => return Ok(None),
        Data::Folder(folder) => (folder, false),
        Data::Default(folder) => (folder, true),
    };
    match DataFolder::open(folder) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if is_default && !(is_shared && matches!(error, DataFolderError::InUse { .. })) => {
            tracing::warn!(
                error = format!("{:#}", anyhow!(error)),
                "the data folder cannot be used, so that torrents and names are lost at the end: choose another one with --data \
                 DIR, or none with --data none"
            );
            Ok(None)
        }
        Err(error @ DataFolderError::InUse { .. }) => Err(anyhow!(
            "{error}: stop it, or give this one a folder and ports of its own, such as --data DIR --listen 0.0.0.0:7069 \
             --dashboard-listen 0.0.0.0:7070 --peer-listen 0.0.0.0:7068, or keep all in memory with --data none"
        )),
        Err(error) => Err(error.into()),
    }
}

/// Waits for a signal that stops the tracker, and reads the settings again at each one that asks for it. After that, another one
/// that stops ends the program at once. The service manager gets no more of the `reports` then: it gets no report that clients
/// are not served any more, nor does it wait for the watchdog.
async fn stop(mut signals: Signals, mut reload: impl AsyncFnMut(), reports: JoinSet<()>) {
    while signals.next().await != Request::Stop {
        reload().await;
    }
    drop(reports);
    service_manager::stopping();
    tracing::info!("stopping");
    tokio::spawn(async move {
        while signals.next().await != Request::Stop {}
        process::exit(1);
    });
}

/// Shows the operator where browsers and clients find the tracker: as text, once the name of the page is taken, or as log lines where
/// the log is JSON.
fn welcome(tracker: &LanTracker, settings: &Settings) -> impl Future<Output = ()> + Send + use<> {
    let urls = tracker.announce_urls();
    let is_json = settings.log_format == LogFormat::Json;
    if is_json {
        log_urls(tracker.dashboard_urls().as_ref(), &urls, settings.share.is_some());
    }
    let mut listening = tracker.listening().iter().flat_map(|(_, addresses)| addresses);
    let loopback_only = listening.all(|address| address.ip().is_loopback());
    let refused = refused_networks(tracker.shards(), urls.addresses());
    let (known, named) = (tracker.dashboard_urls(), tracker.named_dashboard_urls());
    let settings = settings.clone();
    async move {
        if is_json {
            return;
        }
        let dashboard = timeout(NAME_WAIT, named).await.unwrap_or(known);
        let share = settings.share.as_deref();
        let is_empty = share.is_some_and(|share| fs::read_dir(share).is_ok_and(|mut entries| entries.next().is_none()));
        let welcome = Welcome {
            dashboard: dashboard.as_ref(),
            share,
            is_empty,
            urls: &urls,
            loopback_only,
            refused,
            users: settings.users,
            allow: &settings.allow,
            firewall: Firewall::command(&settings),
            terminal: Terminal::of(&stdout()),
        };
        print(welcome.to_string());
    }
}

fn log_urls(dashboard: Option<&DashboardUrls>, urls: &AnnounceUrls, is_shared: bool) {
    if let Some([url, ..]) = dashboard.map(DashboardUrls::viewers).filter(|_| is_shared) {
        tracing::info!(target: PAGE_LOG, url, "URL of the shared files");
    }
    for url in dashboard.into_iter().flat_map(DashboardUrls::operator) {
        tracing::info!(target: log::DASHBOARD_URL, url, "dashboard URL");
    }
    for url in urls.all() {
        tracing::info!(target: log::ANNOUNCE_URL, url, "announce URL");
    }
}

/// The networks of the addresses in the announce URLs whose clients `--allow` keeps out, as that of a VPN may be. Who is denied by a
/// rule is none of them: that was meant.
fn refused_networks(shards: &Shards, addresses: impl Iterator<Item = IpAddr>) -> Vec<IpNet> {
    let networks: BTreeSet<_> = addresses.map(usual_network).collect();
    let is_refused = |network: &IpNet| !network.hosts().next().is_none_or(|host| shards.is_in_access(host));
    networks.into_iter().filter(is_refused).collect()
}

fn print(text: impl AsRef<[u8]>) {
    let mut stdout = stdout().lock();
    // A reader that has gone does not want the text.
    _ = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tracker_core::{ClientPolicy, Config};

    use super::*;

    #[test]
    fn a_network_that_a_rule_denies_is_not_advised_to_be_allowed() {
        let clients =
            ClientPolicy { denied_networks: vec!["192.168.0.0/16".parse().unwrap()], ..ClientPolicy::default() };
        let config = Config::default().with(|config| config.clients = Arc::new(clients));
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        let addresses = ["192.168.1.5", "10.0.0.5", "100.64.1.5"].map(|address| address.parse().unwrap());
        let refused = refused_networks(&shards, addresses.into_iter());
        assert_eq!(refused, ["100.64.0.0/10".parse().unwrap()]);
    }
}
