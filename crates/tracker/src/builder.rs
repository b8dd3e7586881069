//! What a tracker is put together of.

mod start;

use std::fmt::{self, Debug};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(doc)]
use dashboard::ClientRule;
use dashboard::{BasePath, Viewers};
#[cfg(doc)]
use torrent_library::SharedFolder;
use tracker_core::Config;
#[cfg(doc)]
use tracker_host::MdnsService;
use tracker_host::{MdnsName, all_addresses};
use tracker_http::HttpConfig;
#[cfg(doc)]
use tracker_monitor::ComputersConfig;
use tracker_monitor::LogBuffer;
use tracker_udp::UdpConfig;

use crate::allow::Allow;
use crate::data_folder::DataFolder;
#[cfg(doc)]
use crate::lan_tracker::LanTracker;

/// The default port for clients: the usual one of BitTorrent trackers.
pub const TRACKER_PORT: u16 = 6969;

/// The default port of the dashboard.
pub const DASHBOARD_PORT: u16 = 6970;

/// The default port of the tracker's own peer.
pub const PEER_PORT: u16 = 6968;

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
    client_list: Option<PathBuf>,
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
    mdns: Option<MdnsName>,
    base_path: BasePath,
    /// The files of the certificate and of its key.
    tls: Option<(PathBuf, PathBuf)>,
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
            client_list: None,
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
            mdns: None,
            base_path: BasePath::default(),
            tls: None,
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

    /// Sets the configuration of the core, except for access policy, clients, torrents, host addresses, gateways and events, which the
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

    /// Serves the clients that the rules in this file admit, each line of which is a [`ClientRule`]. Operators change them on the
    /// dashboard, and the file, which must be there, is re-read on change. Default: `clients.txt` in the [data folder](Self::data); without that, rules are
    /// lost when the program ends.
    pub fn client_list(mut self, file: impl Into<Option<PathBuf>>) -> Self {
        self.client_list = file.into();
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

    /// Takes this name for the dashboard on the LAN, so that browsers find it at `http://tracker.local:6970/`, say, where their system
    /// resolves such names, and announces it to programs that list what is there: see [`MdnsService`]. If another machine has the name,
    /// it takes `tracker-2.local`, and so on. Not for a dashboard that other machines do not reach over IPv4. The dashboard
    /// [answers](Self::host_names) to the name that is taken. Announce URLs have addresses all the same. Default: none.
    pub fn mdns(mut self, name: impl Into<Option<MdnsName>>) -> Self {
        self.mdns = name.into();
        self
    }

    /// Serves the dashboard and clients under this path, too: one under which a reverse proxy offers them. All links have it. It
    /// replaces that in the configuration of HTTP, and must not [conflict with a page](dashboard::conflicts_with_page).
    /// Default: none.
    pub fn base_path(mut self, base_path: BasePath) -> Self {
        self.base_path = base_path;
        self
    }

    /// Serves the dashboard over TLS, and announces too, on the same ports as over plain HTTP, with the certificates in a file, the
    /// server's own first, and the key of that one. Both files are PEM, and are re-read on change. Plain HTTP is led to TLS on the
    /// dashboard; clients may announce either way, and announce URLs stay http. Default: none, or [`HttpConfig::tls`].
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
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
}
