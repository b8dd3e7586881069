//! Putting a tracker together.

use std::fmt::{self, Debug};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

use dashboard::{Accounts, Dashboard, DashboardConfig, Viewers};
use tokio::task::JoinSet;
use torrent_library::{
    Contents, Digests, Library, LibraryConfig, Share, SharedFolder, SharedFolderConfig, TorrentJobs, TorrentLists,
};
use tracker_core::{Config, Memory, Shards};
use tracker_host::{Addresses, Clock, Events, Service, UploadLimit, all_addresses, expire_swarms};
use tracker_http::HttpConfig;
use tracker_monitor::{Computers, ComputersConfig, EventLog, LogBuffer, MAX_PENDING_EVENTS, Observer};
use tracker_peer::{Announces, Seeding, ServiceConfig};
use tracker_udp::UdpConfig;

use crate::allow::Allow;
use crate::client_service::ClientPorts;
use crate::data_folder::DataFolder;
use crate::error::StartError;
use crate::follower::{Follower, machine_names, network_config, set_network};
use crate::lan_tracker::{EventSinks, LanTracker};
use crate::monitor_keeper::{self, Remembered};
use crate::own_peer::{self, OwnPeerView};
use crate::page::Page;
use crate::reach;
use crate::share_folder;
use crate::{swarm_keeper, user_keeper};

/// The default port for clients: the usual one of BitTorrent trackers.
pub const TRACKER_PORT: u16 = 6969;

/// The default port of the dashboard.
pub const DASHBOARD_PORT: u16 = 6970;

/// The default port of the tracker's own peer.
pub const PEER_PORT: u16 = 6968;

/// The number of shards for each thread, so that threads seldom meet at one shard, and work that grows with the torrents of a
/// shard stays small.
const SHARDS_PER_THREAD: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// A tracker that is being put together. Made by [`LanTracker::builder`].
///
/// By default it serves clients on the LAN on port 6969 of all addresses, over HTTP and UDP, and a dashboard on port 6970; and it
/// has a [peer](Self::peer) of its own on port 6968. It keeps all in memory unless it has a [data folder](Self::data).
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    listen: Vec<SocketAddr>,
    allow: Vec<Allow>,
    core: Config,
    http: HttpConfig,
    udp: Option<UdpConfig>,
    peer: bool,
    peer_listen: Vec<SocketAddr>,
    peer_addresses: Vec<IpAddr>,
    seed: bool,
    upload_slots: Option<NonZeroUsize>,
    allow_list: Option<PathBuf>,
    deny_list: Option<PathBuf>,
    data: Option<DataFolder>,
    torrents: Option<PathBuf>,
    share: Option<PathBuf>,
    share_by_hand: bool,
    names: Option<PathBuf>,
    only_known: bool,
    log_events: bool,
    dropped_lines: Arc<dyn Fn() -> u64 + Send + Sync>,
    dashboard: bool,
    dashboard_listen: Vec<SocketAddr>,
    host_names: Vec<String>,
    token_always: bool,
    viewers: Viewers,
    code: Option<String>,
    users: bool,
    upload_limit: Option<NonZeroU64>,
    zip: bool,
    firewall_advice: String,
    log: LogBuffer,
}

impl Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            listen: all_addresses(TRACKER_PORT).to_vec(),
            allow: vec![Allow::Lan],
            core: Config::default(),
            http: HttpConfig::default(),
            udp: Some(UdpConfig::default()),
            peer: true,
            peer_listen: all_addresses(PEER_PORT).to_vec(),
            peer_addresses: Vec::new(),
            seed: true,
            upload_slots: None,
            allow_list: None,
            deny_list: None,
            data: None,
            torrents: None,
            share: None,
            share_by_hand: false,
            names: None,
            only_known: false,
            log_events: true,
            dropped_lines: Arc::new(|| 0),
            dashboard: true,
            dashboard_listen: all_addresses(DASHBOARD_PORT).to_vec(),
            host_names: Vec::new(),
            token_always: false,
            viewers: Viewers::default(),
            code: None,
            users: false,
            upload_limit: None,
            zip: true,
            firewall_advice: String::new(),
            log: LogBuffer::new(),
        }
    }

    /// Listens for clients on these addresses. For port 0 HTTP and UDP get the same free port. Default: port 6969 of all
    /// addresses.
    pub fn listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listen = addresses.into_iter().collect();
        self
    }

    /// Serves the clients that match one of these values. Default: those on the LAN.
    pub fn allow(mut self, allow: impl IntoIterator<Item = Allow>) -> Self {
        self.allow = allow.into_iter().collect();
        self
    }

    /// Sets the configuration of the core, except for access policy, torrents, host addresses, gateways and events, which the
    /// builder decides.
    pub fn core(mut self, config: Config) -> Self {
        self.core = config;
        self
    }

    /// Sets the configuration of HTTP. The number of its threads also decides the number of shards.
    pub fn http(mut self, config: HttpConfig) -> Self {
        self.http = config;
        self
    }

    /// Sets the configuration of UDP. `None` serves HTTP only.
    pub fn udp(mut self, config: impl Into<Option<UdpConfig>>) -> Self {
        self.udp = config.into();
        self
    }

    /// Connects to the peers of each swarm, to see how far they are and whether others can reach them, to introduce them to
    /// each other, and to [give](Self::seed) them what is shared. Only to those on the LAN; and not with [`Memory::Lean`](tracker_core::Memory::Lean). Default: `true`.
    pub fn peer(mut self, peer: bool) -> Self {
        self.peer = peer;
        self
    }

    /// Takes connections of peers on these addresses, so that those to which nobody can connect are seen and introduced, too. If a
    /// port is taken, it goes on without. All have the same port: it is an error at the start if not. Default: port 6968 of all
    /// addresses.
    pub fn peer_listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.peer_listen = addresses.into_iter().collect();
        self
    }

    /// Connects to peers from these addresses of this machine first, which no client on this machine uses. Then it can stay
    /// connected, and seed, although such a client shares the same torrent. Default: none.
    pub fn peer_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.peer_addresses = addresses.into_iter().collect();
        self
    }

    /// Seeds what is [shared](Self::share), as a peer, until the operator stops a torrent. Not without the [peer](Self::peer).
    /// Default: `true`.
    pub fn seed(mut self, seed: bool) -> Self {
        self.seed = seed;
        self
    }

    /// Gives a torrent to at most so many peers at the same time. The others get it from these. Default: no limit, since the more
    /// there are, the fuller the link.
    pub fn upload_slots(mut self, slots: impl Into<Option<NonZeroUsize>>) -> Self {
        self.upload_slots = slots.into();
        self
    }

    /// Serves only the torrents in this file: one info-hash per line. The file is re-read on change.
    pub fn allow_list(mut self, file: impl Into<Option<PathBuf>>) -> Self {
        self.allow_list = file.into();
        self
    }

    /// Never serves the torrents in this file, which has the same format and is re-read on change.
    pub fn deny_list(mut self, file: impl Into<Option<PathBuf>>) -> Self {
        self.deny_list = file.into();
        self
    }

    /// Keeps in this folder what outlives the program. Default: none, which keeps all in memory.
    pub fn data(mut self, folder: impl Into<Option<DataFolder>>) -> Self {
        self.data = folder.into();
        self
    }

    /// Reads the .torrent files in this folder. Torrents that are registered on the dashboard are saved there. Default:
    /// `torrents` in the [data folder](Self::data); without that, they are lost when the program ends.
    pub fn torrents(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.torrents = folder.into();
        self
    }

    /// Shares each file and folder in this folder, as [`SharedFolder`] says. Lets the operator make torrents of others in it. The
    /// home folder, what has it in it, and what has a folder in it that the tracker writes into, are refused.
    pub fn share(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.share = folder.into();
        self
    }

    /// Shares only that of which the operator makes torrents. Default: `false`.
    pub fn share_by_hand(mut self, by_hand: bool) -> Self {
        self.share_by_hand = by_hand;
        self
    }

    /// Names the computers by this file, as [`ComputersConfig::names_file`] says. Default: none.
    pub fn names(mut self, file: impl Into<Option<PathBuf>>) -> Self {
        self.names = file.into();
        self
    }

    /// Serves only torrents whose .torrent files are known, and those in the allow list. Default: `false`.
    pub fn only_known(mut self, only_known: bool) -> Self {
        self.only_known = only_known;
        self
    }

    /// Logs a line for each peer that joins, completes or leaves. With the dashboard this is always done. Default: `true`.
    pub fn log_events(mut self, log_events: bool) -> Self {
        self.log_events = log_events;
        self
    }

    /// Sets the function that counts the log lines that the program has dropped so far. The log reports them.
    pub fn dropped_lines(mut self, dropped_lines: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.dropped_lines = Arc::new(dropped_lines);
        self
    }

    /// Serves the dashboard. Default: `true`.
    pub fn dashboard(mut self, dashboard: bool) -> Self {
        self.dashboard = dashboard;
        self
    }

    /// Serves the dashboard on these addresses. Default: port 6970 of all addresses.
    pub fn dashboard_listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.dashboard_listen = addresses.into_iter().collect();
        self
    }

    /// Accepts these names of the machine, on the dashboard and from clients, beside those that the machine knows itself. They
    /// replace those in the configuration of HTTP.
    pub fn host_names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.host_names = names.into_iter().collect();
        self
    }

    /// Requires the token even for requests from this machine that change something on the dashboard. Default: `false`.
    pub fn token_always(mut self, token_always: bool) -> Self {
        self.token_always = token_always;
        self
    }

    /// Lets these look at the dashboard and download, beside operators. Accounts are kept in the [data folder](Self::data). Default:
    /// everybody who may use the tracker.
    pub fn viewers(mut self, viewers: Viewers) -> Self {
        self.viewers = viewers;
        self
    }

    /// Lets only those look at the dashboard and download who know this code, if not only those may [who have
    /// signed in](Self::viewers): 4 to 32 letters and digits. Default: no code.
    pub fn code(mut self, code: impl Into<Option<String>>) -> Self {
        self.code = code.into();
        self
    }

    /// Lets only users announce, each with the key of an account, which stands in the announce URLs of the .torrent files that the user
    /// gets on the dashboard. There [viewers](Self::viewers) have to sign in. Needs a [data folder](Self::data), which keeps the
    /// accounts. Default: `false`.
    pub fn users(mut self, users: bool) -> Self {
        self.users = users;
        self
    }

    /// Sends at most so many bytes of shared files per second, to all together and by all ways: the tracker's own
    /// [peer](Self::peer), web seed and browsers. Default: no limit.
    pub fn upload_limit(mut self, limit: impl Into<Option<NonZeroU64>>) -> Self {
        self.upload_limit = limit.into();
        self
    }

    /// Sends folders as zip archives to those who download them with a browser. Default: `true`.
    pub fn zip(mut self, zip: bool) -> Self {
        self.zip = zip;
        self
    }

    /// Sets the end of the log line that is written if no other machine opens the page: after "a firewall may be in the way",
    /// how to open its port. Default: nothing.
    pub fn firewall_advice(mut self, advice: impl Into<String>) -> Self {
        self.firewall_advice = advice.into();
        self
    }

    /// Shows the log lines in this buffer on the dashboard. Its [layer](LogBuffer::layer) collects them.
    pub fn log(mut self, log: LogBuffer) -> Self {
        self.log = log;
        self
    }

    /// Starts the tracker: from now on clients are served. Must be called within a Tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if a file or a folder cannot be read, an address cannot be listened on, or a configuration
    /// is out of bounds.
    pub async fn start(self) -> Result<LanTracker, StartError> {
        let addresses = Addresses::find().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the addresses of this machine");
            Addresses::default()
        });
        let data = self.data.as_ref();
        let written: Vec<_> = self.torrents.as_deref().into_iter().chain(data.map(DataFolder::path)).collect();
        let share = self.share.as_deref().map(|folder| share_folder::open(folder, &written)).transpose()?;
        let torrents = self.torrents.clone().or_else(|| data.map(DataFolder::torrents));
        let library = Library::open(LibraryConfig::default().with(|config| config.torrents = torrents))?;
        let known = self.only_known.then(|| library.clone());
        let lists = TorrentLists::read(self.allow_list.clone(), self.deny_list.clone(), known)?;
        let config = self.config(&addresses, &lists);
        let clock = Clock::start();
        let count = self.http.threads.saturating_mul(SHARDS_PER_THREAD);
        let announces = Arc::new(Announces::default());
        let shards = Shards::new(config, count, &mut rand::rng())?;
        let shards = if self.has_peer() { shards.with_listener(Arc::clone(&announces) as _) } else { shards };
        let shards = Arc::new(shards);

        let names = machine_names(&self.host_names);
        let http = self.http.clone().with(|config| config.host_names.clone_from(&names));
        let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, http)?;
        let udp = self.udp.clone().map(|udp| tracker_udp::Adapter::new(Arc::clone(&shards), clock, udp)).transpose()?;
        let udp_pages = udp.clone();
        let answer_times = udp.iter().map(tracker_udp::Adapter::answer_times).chain([http.answer_times()]);
        let answer_times = answer_times.cloned().collect();
        let ports = Arc::new(ClientPorts::new(self.listen.clone(), http.clone(), udp, addresses.clone()));
        let clients = Service::new(Arc::clone(&ports));

        let has_events = self.has_events();
        let events = has_events.then(|| Events::start(Arc::clone(&shards))).transpose().map_err(StartError::Thread)?;
        let keeper = events.as_ref().zip(data).map(|(events, data)| {
            // Before anybody asks.
            swarm_keeper::start(data.path(), &shards, clock, events)
        });
        let keeper = keeper.transpose().map_err(StartError::Thread)?;
        let upload_limit = self.upload_limit.map(UploadLimit::new);
        let contents = Contents::new();
        let own_peer = events.as_ref().filter(|_| self.has_peer()).map(|events| {
            let seeding = self.seed.then(|| Seeding { upload_limit: upload_limit.clone(), slots: self.upload_slots });
            let seeded = seeding.is_some().then(|| contents.clone());
            let has_own_address = !self.peer_addresses.is_empty();
            let view = OwnPeerView::new(library.clone(), Arc::clone(&shards), seeded, has_own_address);
            let config = ServiceConfig {
                shards: Arc::clone(&shards),
                announces,
                events: events.clone(),
                torrents: Arc::clone(&view) as _,
                listen: self.peer_listen.clone(),
                addresses: addresses.clone(),
                access: Allow::access(&self.allow, &addresses),
                exclusive: self.peer_addresses.clone(),
                seeding,
            };
            own_peer::start(config, view)
        });
        let (own_peer, sightings) = own_peer.transpose()?.unzip();
        // Without a dashboard nobody sees it, and it stays as it is.
        let remembered = data.filter(|_| self.dashboard).map(|data| Remembered::read(data.path())).unwrap_or_default();
        let computers = ComputersConfig::new(clock, library.clone()).with(|config| {
            (config.saved_monitor, config.saved_lessons) = (remembered.monitor, remembered.lessons);
            config.names_file.clone_from(&self.names);
            config.given_names = data.map(DataFolder::given_names);
            config.sightings = sightings.map(|view| view as _);
            config.contents = contents.clone();
        });
        let computers = Computers::start(computers.with(|config| config.answer_times = answer_times))?;
        set_network(&computers, &addresses);
        let log = events.as_ref().map(|events| {
            let dropped_lines = Arc::clone(&self.dropped_lines);
            EventLog::start(events, computers.clone(), move || dropped_lines())
        });
        let log = log.transpose().map_err(StartError::Thread)?;
        let observer = events.as_ref().filter(|_| self.dashboard);
        let observer = observer.map(|events| Observer::start(events, computers.clone(), ports.failures()));
        let observer = observer.transpose().map_err(StartError::Thread)?;
        let monitor_keeper = observer.as_ref().zip(data);
        let monitor_keeper =
            monitor_keeper.map(|(observer, _)| monitor_keeper::start(remembered.files, observer.clone()));
        let monitor_keeper = monitor_keeper.transpose().map_err(StartError::Thread)?;
        let shared_folder = share.map(|share| self.follow(share, &library, &contents)).transpose()?;
        let accounts = data.filter(|_| self.dashboard || self.users).and_then(|data| self.accounts(data));
        if self.users && accounts.is_none() {
            return Err(StartError::NoUsers);
        }
        let user_keeper = data.zip(accounts.clone()).filter(|_| self.users);
        let user_keeper = user_keeper.map(|(data, accounts)| user_keeper::start(data.path(), accounts, &shards, clock));
        let user_keeper = user_keeper.transpose().map_err(StartError::Thread)?;
        let page = observer.as_ref().map(|observer| {
            let (shards, observer, log) = (Arc::clone(&shards).into(), observer.clone(), self.log.clone());
            let config = DashboardConfig::new(shards, clock, observer, log, clients.clone(), library);
            let config = config.with(|config| {
                config.own_peer = own_peer.as_deref().map(own_peer::listening);
                config.accounts = accounts;
                config.sessions_file = data.map(DataFolder::sessions);
            });
            self.page(config, shared_folder.clone(), upload_limit.clone(), &names)
        });
        let (dashboard, page) = page.map(|page| self.serve(page, &addresses)).transpose()?.unzip();
        if let Some(dashboard) = &dashboard {
            http.set_pages(dashboard.local_addrs().to_vec());
            udp_pages.iter().for_each(|udp| udp.set_pages(dashboard.local_addrs().to_vec()));
        }
        let sinks = EventSinks { events, log, observer };

        let watching = lists.watch(&shards).map_err(StartError::Thread)?;
        let mut expiry = JoinSet::new();
        expiry.spawn(expire_swarms(Arc::clone(&shards), clock));
        clients.start().await?;
        // Not before: another tracker that has all the ports is an error.
        own_peer.iter().for_each(|service| own_peer::log_listening(service));
        let listening = ports.listening();
        let dashboard_urls = page.as_ref().map(Page::urls);
        let mut reach = JoinSet::new();
        if let Some(page) = &page {
            reach.spawn(reach::watch(page.dashboard().clone(), page.urls(), self.firewall_advice));
        }
        let follower = Follower {
            addresses,
            names,
            allow: self.allow,
            host_names: self.host_names,
            shards: Arc::clone(&shards),
            clients: clients.clone(),
            ports: Arc::clone(&ports),
            http,
            computers,
            own_peer: own_peer.as_ref().map(Arc::downgrade),
            page,
        };
        let mut following = JoinSet::new();
        following.spawn(follower.run());
        Ok(LanTracker {
            shards,
            clients,
            dashboard,
            sinks,
            own_peer,
            expiry,
            watching,
            following,
            listening,
            ports,
            dashboard_urls,
            shared_folder,
            reach,
            keeper,
            monitor_keeper,
            user_keeper,
            data: self.data,
        })
    }

    fn config(&self, addresses: &Addresses, lists: &TorrentLists) -> Config {
        self.core.clone().with(|config| {
            network_config(&self.allow, addresses).apply_to(config);
            config.torrents = Arc::new(lists.policy());
            config.max_pending_events = if self.has_events() { MAX_PENDING_EVENTS } else { 0 };
            config.update_events = false;
            config.users |= self.users;
        })
    }

    /// Returns `true` if somebody listens to the events of the swarms.
    fn has_events(&self) -> bool {
        self.dashboard || self.log_events || self.has_peer() || self.data.is_some()
    }

    /// Returns `true` if the tracker has a peer of its own. A lean tracker does not keep what that has to know of others.
    fn has_peer(&self) -> bool {
        self.peer && self.core.memory == Memory::Full
    }

    fn page(
        &self,
        config: DashboardConfig,
        shared_folder: Option<SharedFolder>,
        upload_limit: Option<UploadLimit>,
        names: &[String],
    ) -> Dashboard {
        Dashboard::new(config.with(|config| {
            config.torrent_jobs = shared_folder.clone().map(TorrentJobs::of);
            let digests = |folder: &SharedFolder| Digests::new(folder.share().clone(), folder.library().clone());
            config.digests = shared_folder.as_ref().map(digests);
            config.shared_folder = shared_folder;
            config.host_names = names.to_vec();
            config.token_always = self.token_always;
            config.viewers = self.viewers;
            config.code.clone_from(&self.code);
            config.only_known = self.only_known;
            config.upload_limit = upload_limit;
            config.zip = self.zip;
        }))
    }

    /// The accounts in the data folder. If they cannot be read, nobody signs in: that is no reason not to serve.
    fn accounts(&self, data: &DataFolder) -> Option<Accounts> {
        let accounts = Accounts::open(DataFolder::accounts_in(data.path())).map_err(|error| {
            tracing::warn!(%error, "nobody can sign in until the tracker is started again: {error}");
        });
        let accounts = accounts.ok()?;
        let is_empty = accounts.list().is_empty();
        if is_empty && (self.viewers == Viewers::Login || self.users) {
            let command = if self.users { "users" } else { "operators" };
            tracing::warn!(
                "nobody can sign in yet: `tracker {command} add NAME --data {}` makes an account",
                data.path().display()
            );
        }
        // Those that an older program has made are told apart by them.
        if let Err(error) = if is_empty && !self.users { Ok(()) } else { accounts.give_keys() } {
            tracing::warn!(%error, "cannot give keys to the accounts: {error}");
        }
        Some(accounts)
    }

    /// Follows the share folder.
    fn follow(&self, share: Share, library: &Library, contents: &Contents) -> Result<SharedFolder, StartError> {
        let state_file = self.data.as_ref().map(DataFolder::share);
        let config = SharedFolderConfig::default().with(|config| {
            config.by_hand = self.share_by_hand;
            config.private = self.users;
            config.state_file = state_file;
        });
        SharedFolder::start(share, library.clone(), contents.clone(), config).map_err(StartError::Thread)
    }

    fn serve(&self, page: Dashboard, addresses: &Addresses) -> Result<(dashboard::Server, Page), StartError> {
        let server = dashboard::Server::bind(&self.dashboard_listen, page.clone()).map_err(StartError::dashboard)?;
        for address in server.local_addrs() {
            tracing::info!(%address, "serving the dashboard");
        }
        let page = Page::new(page, server.local_addrs().to_vec(), addresses.clone());
        Ok((server, page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_has_a_peer_unless_it_is_lean() {
        assert!(LanTracker::builder().has_peer());
        assert!(!LanTracker::builder().peer(false).has_peer());
        let lean = Config::default().with(|config| config.memory = Memory::Lean);
        assert!(!LanTracker::builder().core(lean).has_peer());
    }

    #[test]
    fn events_are_kept_where_somebody_sees_them() {
        let lists = TorrentLists::read(None, None, None).unwrap();
        for (dashboard, log_events, peer, pending) in [
            (false, false, false, 0),
            (true, false, false, MAX_PENDING_EVENTS),
            (false, true, false, MAX_PENDING_EVENTS),
            (false, false, true, MAX_PENDING_EVENTS),
            (true, true, true, MAX_PENDING_EVENTS),
        ] {
            let builder = LanTracker::builder().dashboard(dashboard).log_events(log_events).peer(peer);
            let config = builder.config(&Addresses::default(), &lists);
            assert_eq!(config.max_pending_events, pending, "{dashboard} {log_events} {peer}");
        }
    }
}
