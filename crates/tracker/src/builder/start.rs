//! Putting a tracker together, and starting it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use dashboard::{Accounts, ClientList, Dashboard, DashboardConfig, Viewers};
use tokio::sync::watch;
use tokio::task::JoinSet;
use torrent_library::{
    Contents, Digests, Library, LibraryConfig, Share, SharedFolder, SharedFolderConfig, TorrentJobs, TorrentLists,
};
use tracker_core::{Config, Memory, Shards};
use tracker_host::{Addresses, Clock, Events, Health, Service, UploadLimit, expire_swarms};
use tracker_monitor::{Computers, ComputersConfig, EventLog, MAX_PENDING_EVENTS, Observer};
use tracker_peer::{Announces, Seeding, ServiceConfig};

use super::Builder;
use crate::allow::Allow;
use crate::certificate_files::CertificateFiles;
use crate::client_service::ClientPorts;
use crate::data_folder::DataFolder;
use crate::error::StartError;
use crate::follower::{AppliedSettings, Follower, NetworkSettings, machine_names, network_config, set_network};
use crate::lan_tracker::{EventSinks, LanTracker};
use crate::monitor_keeper::{self, Remembered};
use crate::own_peer::{self, OwnPeerView};
use crate::page::Page;
use crate::page_name::PageName;
use crate::reach;
use crate::share_folder;
use crate::{client_list_keeper, health, swarm_keeper, user_keeper};

/// The number of shards for each thread, so that threads seldom meet at one shard, and work that grows with the torrents of a
/// shard stays small.
const SHARDS_PER_THREAD: NonZeroUsize = NonZeroUsize::new(16).unwrap();

impl Builder {
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
        let client_list = match (&self.client_list, data) {
            (Some(file), _) => ClientList::open(file)?,
            (None, Some(data)) => ClientList::open_or_empty(DataFolder::clients_in(data.path()))?,
            (None, None) => ClientList::in_memory(),
        };
        let config = self.config(&addresses, &lists, &client_list);
        let clock = Clock::start();
        let count = self.http.threads.saturating_mul(SHARDS_PER_THREAD);
        let announces = Arc::new(Announces::default());
        let shards = Shards::new(config, count, &mut rand::rng())?;
        let shards = if self.has_peer() { shards.with_listener(Arc::clone(&announces) as _) } else { shards };
        let shards = Arc::new(shards);

        let parts = Health::default();
        let names = machine_names(&self.host_names);
        let certificate =
            self.tls.clone().map(|(certificate, key)| CertificateFiles::open(certificate, key)).transpose()?;
        let tls = certificate.as_ref().map(CertificateFiles::tls).or(self.http.tls.as_ref()).cloned();
        let certificate = certificate
            .map(|files| files.watch(parts.reported("certificate")))
            .transpose()
            .map_err(StartError::Thread)?;
        let http = self.http.clone().with(|config| {
            config.host_names.clone_from(&names);
            config.base_path.clone_from(&self.base_path);
            config.tls.clone_from(&tls);
        });
        let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, http)?;
        let udp = self.udp.clone().map(|udp| tracker_udp::Adapter::new(Arc::clone(&shards), clock, udp)).transpose()?;
        let udp_pages = udp.clone();
        let answer_times = udp.iter().map(tracker_udp::Adapter::answer_times).chain([http.answer_times()]);
        let answer_times = answer_times.cloned().collect();
        let ports = Arc::new(ClientPorts::new(self.listen.clone(), http.clone(), udp, addresses.clone()));
        let clients = Service::new(Arc::clone(&ports));
        health::watch_servers(&parts, &shards, &clients, &ports, self.udp.is_some());

        let has_events = self.has_events();
        let events = has_events.then(|| Events::start(Arc::clone(&shards))).transpose().map_err(StartError::Thread)?;
        let keeper = events.as_ref().zip(data).map(|(events, data)| {
            // Before anybody asks.
            swarm_keeper::start(data.path(), &shards, clock, events, parts.reported("snapshot"))
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
        if let Some(service) = &own_peer {
            let part = parts.reported("own_peer");
            if let Err(why) = own_peer::listening(service) {
                part.failed(why);
            }
        }
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
        let monitor_keeper = monitor_keeper
            .map(|(observer, _)| monitor_keeper::start(remembered.files, observer.clone(), parts.reported("history")));
        let monitor_keeper = monitor_keeper.transpose().map_err(StartError::Thread)?;
        if let Some(share) = &share {
            health::watch_share(&parts, share.clone());
        }
        let shared_folder = share.map(|share| self.follow(share, &library, &contents)).transpose()?;
        let with_accounts = data.filter(|_| self.dashboard || self.users);
        let accounts = with_accounts.and_then(|data| self.accounts(data));
        if with_accounts.is_some() {
            health::watch_accounts(&parts, accounts.clone());
        }
        if self.users && accounts.is_none() {
            return Err(StartError::NoUsers);
        }
        let user_keeper = data.zip(accounts.clone()).filter(|_| self.users);
        let user_keeper = user_keeper
            .map(|(data, accounts)| user_keeper::start(data.path(), accounts, &shards, clock, parts.reported("users")));
        let user_keeper = user_keeper.transpose().map_err(StartError::Thread)?;
        let page = observer.as_ref().map(|observer| {
            let (shards, observer, log) = (Arc::clone(&shards).into(), observer.clone(), self.log.clone());
            let config = DashboardConfig::new(shards, clock, observer, log, clients.clone(), library);
            let config = config.with(|config| {
                config.own_peer = own_peer.as_deref().map(own_peer::listening);
                config.accounts = accounts;
                config.client_list = Some(client_list.clone());
                config.sessions_file = data.map(DataFolder::sessions);
                config.tls = tls;
                config.health = parts.clone();
            });
            self.page(config, shared_folder.clone(), upload_limit.clone(), &names)
        });
        let (dashboard, page) = page.map(|page| self.serve(page, &addresses)).transpose()?.unzip();
        if let Some(dashboard) = &dashboard {
            http.set_pages(dashboard.local_addrs().to_vec());
            udp_pages.iter().for_each(|udp| udp.set_pages(dashboard.local_addrs().to_vec()));
        }
        let sinks = EventSinks { events, log, observer };

        let of_health = client_list.clone();
        let client_list = client_list_keeper::start(client_list, Arc::clone(&shards)).map_err(StartError::Thread)?;
        let watching = lists.watch(&shards).map_err(StartError::Thread)?;
        let (has_allow, has_deny) = (self.allow_list.is_some(), self.deny_list.is_some());
        health::watch_lists(&parts, has_allow, has_deny, watching.problems(), of_health);
        if self.names.is_some() {
            health::watch_names(&parts, computers.clone());
        }
        health::watch_open_files(&parts);
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
        let settings = NetworkSettings { allow: self.allow.clone(), host_names: self.host_names };
        let applied = AppliedSettings { settings: settings.clone(), are_in_force: true };
        let (applied, applied_settings) = watch::channel(applied);
        let (network_settings, settings) = watch::channel(settings);
        let page_name = self.mdns.zip(page.as_ref()).map(|(name, page)| PageName::new(name, page.listening().to_vec()));
        let (is_named, named) = watch::channel(page_name.is_none());
        let follower = Follower {
            addresses,
            names,
            allow: self.allow,
            settings,
            applied,
            shards: Arc::clone(&shards),
            clients: clients.clone(),
            ports: Arc::clone(&ports),
            http,
            computers,
            own_peer: own_peer.as_ref().map(Arc::downgrade),
            page,
            page_name,
            is_named,
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
            named,
            shared_folder,
            network_settings,
            applied_settings,
            upload_limit,
            reach,
            keeper,
            monitor_keeper,
            user_keeper,
            client_list,
            certificate,
            data: self.data,
        })
    }

    fn config(&self, addresses: &Addresses, lists: &TorrentLists, client_list: &ClientList) -> Config {
        self.core.clone().with(|config| {
            network_config(&self.allow, addresses).apply_to(config);
            config.clients = Arc::new(client_list.policy());
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
            config.base_path.clone_from(&self.base_path);
            config.trusted_proxies.clone_from(&self.http.trusted_proxies);
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
            let config = builder.config(&Addresses::default(), &lists, &ClientList::in_memory());
            assert_eq!(config.max_pending_events, pending, "{dashboard} {log_events} {peer}");
        }
    }
}
