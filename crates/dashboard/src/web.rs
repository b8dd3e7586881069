//! The web server for people: its configuration and its routes.

mod access;
mod api;
mod assets;
mod attachment;
mod base_path;
mod client;
mod client_rules;
mod drawn_passwords;
mod files;
mod format;
mod handed_out;
mod health;
mod page_addresses;
mod pages;
mod plot;
mod problem;
mod public;
mod reached_at;
mod refusal;
mod report;
mod role;
mod seeding;
mod server;
mod shell;
mod table;
mod transfer;
mod users;
mod viewers;
mod workload;
mod wrong_port;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http_server::Tls;
use ipnet::IpNet;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracker_core::ShardsView;
use tracker_host::{Clock, unix_seconds};

use http_server::BasePath;
use torrent_library::{Contents, Digests, Library, SharedFolder, TorrentJobs};
use tracker_host::WallClock;
use tracker_host::{Addresses, Health, Service, ServiceState, StartTime, UploadLimit};
use tracker_monitor::{LogBuffer, Observer};

use crate::accounts::Accounts;
use crate::client_list::ClientList;

use access::{Attempts, Sessions, Token};
use api::stream::Streams;
pub use base_path::conflicts_with_page;
use drawn_passwords::DrawnPasswords;
use health::HealthChecker;
use page_addresses::PageAddresses;
use problem::Problem;
use public::{FolderOrders, OffersCache};
use reached_at::ReachedAt;
use report::ReportCache;
pub use server::Server;
use transfer::Transfers;
pub use viewers::Viewers;
use workload::Workload;

/// The maximum size of a request's body in bytes, on routes that set no other: pages send a few fields.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The time within which a request must be received and its response begin. Streams of events begin at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The parts that a dashboard needs, which the embedder provides, and its settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DashboardConfig {
    /// The tracker, for its address policy.
    pub shards: ShardsView,
    /// The clock of its adapters.
    pub clock: Clock,
    /// Its observer.
    pub observer: Observer,
    /// Its log.
    pub log_buffer: LogBuffer,
    /// Its service for clients.
    pub service: Service,
    /// The .torrent files that are known.
    pub library: Library,
    /// What this machine shares. Default: what the observer takes for that.
    pub contents: Contents,
    /// The share folder, if there is one that is followed: what it shares is in [`contents`](Self::contents). Default: none.
    pub shared_folder: Option<SharedFolder>,
    /// The jobs that make torrents, if there is a share folder. Default: none.
    pub torrent_jobs: Option<TorrentJobs>,
    /// The digests of the files in the share folder, if there is one. Default: none.
    pub digests: Option<Digests>,
    /// `true` to give folders, and selected files of them, as a .zip file. Default: `true`.
    pub zip: bool,
    /// Names under which this machine is reached, such as [`tracker_host::host_names`]. Browsers that ask for another one are
    /// refused, since its page may be a hostile one (DNS rebinding); addresses and `localhost` are always right. Default: none.
    pub host_names: Vec<String>,
    /// The path under which a reverse proxy offers the dashboard: all URLs of pages, redirects and cookies have it. Requests may have
    /// it or not, as some proxies remove it. It must not [conflict with a page](conflicts_with_page). Default: none.
    pub base_path: BasePath,
    /// `true` to require the token even for requests from this machine. Behind a proxy on the same machine this is
    /// the safe choice. Default: `false`.
    pub token_always: bool,
    /// Those who may look and download, beside operators. Default: everybody whom the address policy admits. Where the tracker is [for
    /// users](tracker_core::Config::users), that is those who have signed in.
    pub viewers: Viewers,
    /// A code that those need, if they are not only those who have signed in: 4 to 32 letters and digits. URLs and QR codes of the
    /// page have it in them. Default: none.
    pub code: Option<String>,
    /// The accounts of those who sign in. Default: none; operators have the token. Where the tracker is for users, they are its users,
    /// and the embedder gives their [rules](Accounts::rules) to the tracker.
    pub accounts: Option<Accounts>,
    /// The rules about which clients are served, which operators change, if there are some. The embedder gives their
    /// [policy](ClientList::policy) to the tracker. Default: none.
    pub client_list: Option<ClientList>,
    /// The file that keeps who is signed in with an account. Default: none; they sign in again when the program was restarted.
    pub sessions_file: Option<PathBuf>,
    /// `true` if only torrents of the library are served. Default: `false`.
    pub only_known: bool,
    /// The addresses on which the tracker's own peer listens, or a sentence that says why it does not; `None` if there is no such
    /// peer. Default: `None`.
    pub own_peer: Option<Result<Vec<SocketAddr>, String>>,
    /// The limit on the bytes per second that are sent of shared files, also by others that have a clone of it. Default: no limit.
    pub upload_limit: Option<UploadLimit>,
    /// The certificate for browsers. With it, the [server](Server) speaks TLS, and answers plain HTTP with the way to the same page
    /// over TLS. Plain are what BitTorrent clients ask for, such as web seeds, since they trust no certificate that no public
    /// authority signed; and for this machine the metrics. Default: none, which is plain HTTP.
    pub tls: Option<Tls>,
    /// Networks with proxies whose headers of the PROXY protocol, version 2, the [server](Server) believes: the client in such a
    /// header is the sender of the requests. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// The health of the tracker's parts, for monitoring. Default: nothing is known of any part.
    pub health: Health,
}

impl DashboardConfig {
    /// The configuration of a dashboard of these parts, with the default settings.
    pub fn new(
        shards: ShardsView,
        clock: Clock,
        observer: Observer,
        log_buffer: LogBuffer,
        service: Service,
        library: Library,
    ) -> Self {
        let contents = observer.computers().contents().clone();
        Self {
            shards,
            clock,
            observer,
            log_buffer,
            service,
            library,
            contents,
            shared_folder: None,
            torrent_jobs: None,
            digests: None,
            zip: true,
            host_names: Vec::new(),
            base_path: BasePath::default(),
            token_always: false,
            viewers: Viewers::default(),
            code: None,
            accounts: None,
            client_list: None,
            sessions_file: None,
            only_known: false,
            own_peer: None,
            upload_limit: None,
            tls: None,
            trusted_proxies: Vec::new(),
            health: Health::default(),
        }
    }

    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The dashboard of a tracker. Cheap to clone; all clones are one.
///
/// Everybody whom the tracker's [access policy](tracker_core::Config::access) admits may look, unless
/// [`viewers`](DashboardConfig::viewers) or a [`code`](DashboardConfig::code) narrows that. To change something (stop and
/// start the tracker, make, register and remove torrents) and to see what is in the share folder, a request has to come over
/// loopback, to have the [`token`](Self::token), or to come from a browser in which an operator has signed in: opened by the
/// [URL](Self::url) that has the token, or with an [account](DashboardConfig::accounts). A program sends the token as
/// `Authorization: Bearer TOKEN`. Pages of other sites can do nothing in their readers' names.
///
/// **Behind a proxy on the same machine** everybody comes over loopback. Requests with `Forwarded`, `X-Forwarded-For`,
/// `X-Real-IP` or `Via`, or for a host other than loopback, need the token nevertheless. A proxy that adds none of these headers
/// and asks for `127.0.0.1` itself, as nginx does unless told otherwise, makes an operator of everybody: set
/// [`token_always`](DashboardConfig::token_always). The access policy sees the proxy only, so that it must decide itself whom it
/// serves.
#[derive(Debug, Clone)]
pub struct Dashboard(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: DashboardConfig,
    pub(crate) token: Token,
    /// What browsers have in a cookie that were given the code.
    pass: Token,
    sessions: Sessions,
    pub(crate) drawn_passwords: DrawnPasswords,
    password_attempts: Attempts,
    code_attempts: Attempts,
    started: Mutex<StartTime>,
    wall: Mutex<WallClock>,
    /// [`DashboardConfig::host_names`] as they are now.
    host_names: RwLock<Vec<String>>,
    pub(crate) page_addresses: PageAddresses,
    /// `true` once a request came from another machine, while this one had the address that it has now.
    reached_from_outside: AtomicBool,
    workload: Workload,
    /// Looks at the health of the tracker.
    health_checker: HealthChecker,
    transfers: Transfers,
    streams: Streams,
    /// What viewers are offered.
    offers: OffersCache,
    folder_orders: FolderOrders,
    reports: ReportCache,
    /// The description of the API, once it was asked for.
    api_description: OnceLock<String>,
}

impl Dashboard {
    /// A dashboard with a new token.
    pub fn new(config: DashboardConfig) -> Self {
        // What is downloaded has the key of who downloads it.
        let needs_sign_in = config.shards.config().users && config.viewers == Viewers::Lan;
        let viewers = if needs_sign_in { Viewers::Login } else { config.viewers };
        let config = DashboardConfig { viewers, ..config };
        let wall = WallClock::new(config.clock.now(), SystemTime::now());
        config.observer.follow_service(config.service.changes());
        let sessions = Sessions::open(config.sessions_file.clone(), unix_seconds(SystemTime::now()));
        if config.code.is_some() {
            sessions.save();
        }
        Self(Arc::new(Inner {
            host_names: RwLock::new(config.host_names.clone()),
            page_addresses: PageAddresses::default(),
            transfers: Transfers::new(config.upload_limit.clone()),
            reached_from_outside: AtomicBool::new(false),
            pass: sessions.pass(config.code.as_deref().unwrap_or_default()),
            sessions,
            drawn_passwords: DrawnPasswords::default(),
            password_attempts: Attempts::default(),
            code_attempts: Attempts::default(),
            config,
            token: Token::draw(),
            started: Mutex::new(StartTime::now()),
            wall: Mutex::new(wall),
            workload: Workload::new(),
            health_checker: HealthChecker::default(),
            streams: Streams::default(),
            offers: OffersCache::default(),
            folder_orders: FolderOrders::default(),
            reports: ReportCache::default(),
            api_description: OnceLock::new(),
        }))
    }

    /// The secret of operators, as it is in the URL that is printed at the start.
    pub fn token(&self) -> &str {
        self.0.token.as_str()
    }

    /// The page's URL at an address, with the token.
    pub fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{address}{}?token={}", self.path("/"), self.token())
    }

    /// The [path](DashboardConfig::base_path) under which a reverse proxy offers the dashboard; empty if there is none.
    pub fn base_path(&self) -> &BasePath {
        &self.config().base_path
    }

    /// Returns `true` for a proxy whose header of the PROXY protocol is believed. The address must be canonical.
    fn trusts(&self, address: IpAddr) -> bool {
        self.config().trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Returns `true` if the page is served over TLS, so that its URLs begin with `https`.
    pub fn has_tls(&self) -> bool {
        self.config().tls.is_some()
    }

    /// The [code](DashboardConfig::code) that viewers need, if there is one.
    pub fn code(&self) -> Option<&str> {
        self.config().code.as_deref().filter(|_| self.config().viewers == Viewers::Lan)
    }

    /// Returns `true` if only users may announce, each with a key.
    fn is_for_users(&self) -> bool {
        self.config().shards.config().users
    }

    /// Returns `true` if there are accounts to sign in with.
    fn has_accounts(&self) -> bool {
        self.config().accounts.as_ref().is_some_and(|accounts| !accounts.is_empty())
    }

    /// Reads the accounts again, if they have changed and it is time to look. Nobody waits for it.
    fn look_at_accounts(&self) {
        if let Some(accounts) = self.config().accounts.clone().filter(Accounts::is_due) {
            spawn_blocking(move || accounts.refresh());
        }
    }

    /// A URL of the page, with the code that its readers need.
    fn with_code(&self, url: String) -> String {
        let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        match self.code() {
            Some(code) if has_path => format!("{url}?code={code}"),
            Some(code) => format!("{url}/?code={code}"),
            None => url,
        }
    }

    /// Goes on with other names of the machine, in place of [`DashboardConfig::host_names`]: they may change with its network.
    pub fn set_host_names(&self, names: Vec<String>) {
        *self.0.host_names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Goes on with these addresses of the machine, which may change with its network. Torrents that viewers get have web seeds
    /// at some of them. At the start there are none.
    pub fn set_addresses(&self, addresses: Addresses) {
        if self.0.page_addresses.set_machine(addresses) {
            self.0.reached_from_outside.store(false, Ordering::Relaxed);
        }
    }

    /// Returns `true` if another machine has reached the dashboard since this machine has its best address, so that no firewall
    /// keeps all of them out. Link-local IPv6 addresses do not count, nor does what comes through a proxy on this machine.
    pub fn is_reached_from_outside(&self) -> bool {
        self.0.reached_from_outside.load(Ordering::Relaxed)
    }

    /// Takes note of a request from this address, which must be canonical.
    fn reached_from(&self, remote: IpAddr) {
        // This machine's own link-local addresses are not known.
        let is_link_local = matches!(remote, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if !self.is_reached_from_outside() && !is_link_local && !self.0.page_addresses.is_inside(remote) {
            self.0.reached_from_outside.store(true, Ordering::Relaxed);
        }
    }

    fn host_names(&self) -> RwLockReadGuard<'_, Vec<String>> {
        self.0.host_names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> &DashboardConfig {
        &self.0.config
    }

    /// Runs a closure off the event loop, when a [`Workload`] permits it.
    async fn run<T: Send + 'static>(self, work: impl FnOnce(&Self) -> T + Send + 'static) -> Result<T, Problem> {
        let dashboard = self.clone();
        self.0.workload.run(move || work(&dashboard)).await
    }

    /// A time of the tracker in Unix seconds.
    fn unix(&self, at: tracker_core::Instant) -> u64 {
        unix_seconds(self.zero() + at.since(tracker_core::Instant::ZERO))
    }

    /// The time of day in Unix seconds.
    fn unix_now(&self) -> u64 {
        unix_seconds(SystemTime::now())
    }

    /// The time at which the program was started, in Unix seconds, by the clock as it is set now.
    fn started(&self) -> u64 {
        unix_seconds(self.0.started.lock().unwrap_or_else(PoisonError::into_inner).wall())
    }

    /// The URLs to put into torrents, the best first; none while the tracker is stopped.
    fn announce_urls(&self) -> Vec<String> {
        match self.config().service.state() {
            ServiceState::Running { announce_urls, .. } => announce_urls,
            ServiceState::Stopped { .. } => Vec::new(),
        }
    }

    /// The URLs to put into what a viewer downloads: first those with the address by which the viewer came. Where the
    /// tracker is for users, they have the viewer's key in them, and are those for HTTP.
    fn announce_urls_for(&self, viewer: ReachedAt) -> Vec<String> {
        match self.config().service.state() {
            ServiceState::Running { addresses, announce_urls, .. } => {
                let urls = viewer.first(&addresses, announce_urls);
                match viewer.user_key {
                    // Over UDP not all clients send the path, and so the key: Transmission 4.1 does not (measured).
                    Some(key) => {
                        urls.iter().filter(|url| url.starts_with("http")).map(|url| format!("{url}/{key}")).collect()
                    }
                    None => urls,
                }
            }
            ServiceState::Stopped { .. } => Vec::new(),
        }
    }

    /// The time of day at the tracker's zero, as it is reckoned now.
    fn zero(&self) -> SystemTime {
        let mut wall = self.0.wall.lock().unwrap_or_else(PoisonError::into_inner);
        wall.zero(self.config().clock.now(), SystemTime::now())
    }

    /// All routes: pages, API, metrics; with the [base path](DashboardConfig::base_path) and without it.
    ///
    /// Every request must carry the address it came from, as [`ConnectInfo`](axum::extract::ConnectInfo).
    pub fn router(&self) -> Router {
        let routes = routes().layer(middleware::from_fn(in_time));
        let routes = routes.layer(middleware::from_fn_with_state(self.clone(), pages::readable_errors));
        let routes = base_path::layered(access::guarded(routes, self), self);
        let routes = routes.layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(self.clone());
        self.base_path().routes(routes)
    }
}

/// All routes, without the checks before them.
fn routes() -> Router<Dashboard> {
    let routes = Router::new().merge(pages::router()).merge(api::router()).merge(transfer::router());
    routes.merge(wrong_port::router())
}

/// Ends requests that take too long.
async fn in_time(request: Request, next: Next) -> Response {
    timeout(REQUEST_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request timed out").into_response())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_ended() {
        let routes = Router::new().route("/", get(pending::<&str>)).layer(middleware::from_fn(in_time));
        let answer = routes.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
