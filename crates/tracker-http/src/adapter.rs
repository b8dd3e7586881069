//! From the query of a request to the bytes of its answer.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use bencode::Encoder;
use rand::rngs::SmallRng;
use tokio::task::{JoinError, spawn_blocking};
use tracker_core::{Peers, Shards, UserKey};
use tracker_host::{AddressGroup, AnswerTimes, ClaimedAddresses, Clock, LogThrottle, Pages, Refusals};

use crate::announce::{AnnounceQuery, encode_announce};
use crate::client_host::{self, ClientHostError};
use crate::failure::{CountedBy, Failure};
use crate::full_scrape::FullScrape;
use crate::scrape::{ScrapeQuery, ScrapeQueryError, encode_scrape};
use crate::{HttpConfig, HttpConfigError};

/// At most one warning of an unknown proxy is logged per period.
const UNKNOWN_PROXIES: Duration = Duration::from_secs(60);

/// At most one warning of a trusted proxy that names no client but proxies is logged per period, which is long: where a client
/// runs on the proxy's machine, there is nothing to be done about it.
const SILENT_PROXIES: Duration = Duration::from_secs(3600);

/// A tracker as HTTP serves it: the swarms, the time, and the adapter's own settings. Cheap to clone; all clones are one.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use rand::{SeedableRng, rngs::StdRng};
/// use tracker_core::{Config, Shards};
/// use tracker_host::Clock;
/// use tracker_http::{Adapter, HttpConfig};
///
/// let mut rng = StdRng::seed_from_u64(1);
/// let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::new(4).unwrap(), &mut rng)?);
/// let adapter = Adapter::new(shards, Clock::start(), HttpConfig::default())?;
///
/// let query = b"info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0001-bbbbbbbbbbbb&port=6881&left=0";
/// let answer = adapter.announce([192, 168, 1, 20].into(), [192, 168, 1, 1].into(), None, query);
/// assert!(answer.starts_with(b"d8:completei1e"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Arc<Shards>,
    clock: Clock,
    config: HttpConfig,
    full_scrape: FullScrape,
    /// [`HttpConfig::host_names`] as they are now.
    host_names: RwLock<Vec<String>>,
    pages: Pages,
    refusals: Refusals,
    answer_times: AnswerTimes,
    closed_connections: AtomicU64,
    unknown_proxies: LogThrottle,
    silent_proxies: LogThrottle,
    claimed_addresses: ClaimedAddresses,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        rng: rand::make_rng(),
        peers: Peers::default(),
        encoder: Encoder::new(),
    });
}

/// The generator and buffers of a thread, used for all its announces so that they allocate nothing.
#[derive(Debug)]
struct Scratch {
    /// For the choice of peers and the jitter of intervals, which may be predictable: they are no secrets.
    rng: SmallRng,
    peers: Peers,
    encoder: Encoder,
}

impl Adapter {
    /// Serves these swarms. Other adapters may share them, and then must share the clock.
    ///
    /// # Errors
    ///
    /// Returns [`HttpConfigError`] if the settings are not [valid](HttpConfig::validate).
    pub fn new(shards: Arc<Shards>, clock: Clock, config: HttpConfig) -> Result<Self, HttpConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            host_names: RwLock::new(config.host_names.clone()),
            pages: Pages::default(),
            shards,
            clock,
            config,
            full_scrape: FullScrape::default(),
            refusals: Refusals::new("HTTP"),
            answer_times: AnswerTimes::new(),
            closed_connections: AtomicU64::new(0),
            unknown_proxies: LogThrottle::new(UNKNOWN_PROXIES),
            silent_proxies: LogThrottle::new(SILENT_PROXIES),
            claimed_addresses: ClaimedAddresses::new(),
        })))
    }

    /// Its configuration.
    pub fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    /// Requests so far that failed here: those that could not be read, and those that were refused, but for the announces
    /// that the core refused, which [`Totals::refused_announces`](tracker_core::Totals::refused_announces) counts. Requests
    /// for other paths do not count, nor do connections that end early.
    pub fn failures(&self) -> u64 {
        self.0.refusals.count()
    }

    /// How long it took to answer announces and scrapes: from when a connection was accepted with its request, or a request was
    /// read from a connection that was open, until the answer was handed to the system. Those that came through a proxy do not
    /// count, nor do full scrapes.
    pub fn answer_times(&self) -> &AnswerTimes {
        &self.0.answer_times
    }

    /// Connections so far that were refused, or closed for a new one, because too many were open.
    pub fn closed_connections(&self) -> u64 {
        self.0.closed_connections.load(Ordering::Relaxed)
    }

    /// What the address of a client that came to our address `local` counts as.
    pub(crate) fn address_group(&self, remote: IpAddr, local: IpAddr) -> AddressGroup {
        self.0.shards.address_group(remote, local)
    }

    /// Counts a connection that was closed because too many were open.
    pub(crate) fn count_closed_connection(&self) {
        self.0.closed_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that failed.
    pub(crate) fn count_failure(&self) {
        self.0.refusals.increment();
    }

    /// Answers an announce that came from `remote` to our address `local`, with the query as it stands after the first `?`
    /// of the request target. `user_key` is the key of a [user](tracker_core::Users) in its path, which
    /// [`user_key`](crate::user_key) finds. The answer is a bencoded dictionary, always; a refusal is one with `failure reason`.
    pub fn announce(&self, remote: IpAddr, local: IpAddr, user_key: Option<UserKey>, query: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        self.announce_into(remote, local, user_key, query, &mut answer);
        answer
    }

    /// Answers an announce as [`announce`](Self::announce), and appends the answer to `out`.
    pub fn announce_into(
        &self,
        remote: IpAddr,
        local: IpAddr,
        user_key: Option<UserKey>,
        query: &[u8],
        out: &mut Vec<u8>,
    ) {
        if let Err(failure) = self.try_announce(remote, local, user_key, query, out) {
            out.extend(self.refuse("announce", remote, &failure));
        }
    }

    fn try_announce(
        &self,
        remote: IpAddr,
        local: IpAddr,
        user_key: Option<UserKey>,
        query: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let query = AnnounceQuery::parse(query)?;
        let format = query.peer_format;
        let request = query.into_request(remote, local).with_user_key(user_key);
        self.0.claimed_addresses.log(&request, self.0.shards.config());
        SCRATCH.with_borrow_mut(|Scratch { rng, peers, encoder }| {
            let response = self.0.shards.announce(self.0.clock.now(), rng, &request, peers);
            let response = response.map_err(|error| {
                let reason = self.0.pages.refusal(&error, remote, local);
                Failure::from(error).with_reason(reason)
            })?;
            out.extend_from_slice(encode_announce(&response, peers, format, encoder));
            Ok(())
        })
    }

    /// Answers a scrape that came from `remote`; otherwise as [`announce`](Self::announce). Full scrapes of the same second
    /// share their answer.
    pub fn scrape(&self, remote: IpAddr, user_key: Option<UserKey>, query: &[u8]) -> Bytes {
        self.try_scrape(remote, user_key, query)
            .unwrap_or_else(|failure| self.refuse("scrape", remote, &failure).into())
    }

    /// Answers a full scrape beside the event loop, since it takes long. One is made at a time, whose answer the others of the
    /// same second share: they wait for it here, and not on a thread each.
    pub(crate) async fn full_scrape(
        &self,
        remote: IpAddr,
        user_key: Option<UserKey>,
        query: Vec<u8>,
    ) -> Result<Bytes, JoinError> {
        let _turn = self.0.full_scrape.turn().await;
        let adapter = self.clone();
        spawn_blocking(move || adapter.scrape(remote, user_key, &query)).await
    }

    /// Returns `true` for the query of a scrape that lists every swarm.
    pub(crate) fn is_full_scrape(&self, query: &[u8]) -> bool {
        self.0.config.full_scrape && ScrapeQuery::parse(query).is_ok_and(|query| query.info_hashes.is_empty())
    }

    fn try_scrape(&self, remote: IpAddr, user_key: Option<UserKey>, query: &[u8]) -> Result<Bytes, Failure> {
        let shards = &self.0.shards;
        let info_hashes = ScrapeQuery::parse(query)?.info_hashes;
        let mut counts = Vec::new();
        // Without info-hashes this asks only whether the address may scrape at all.
        shards.scrape(remote, user_key.as_ref(), &info_hashes, &mut counts)?;
        if !info_hashes.is_empty() {
            return Ok(encode_scrape(info_hashes.iter().zip(&counts)).into());
        }
        if !self.0.config.full_scrape {
            return Err(ScrapeQueryError::FullScrapeNotAllowed.into());
        }
        Ok(self.0.full_scrape.answer(self.0.clock.now(), shards)?)
    }

    /// Checks the host that a client's request is for.
    pub(crate) fn check_host(&self, host: &[u8]) -> Result<(), ClientHostError> {
        // Most come by an address, and wait for no lock.
        client_host::check(host, || self.0.host_names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with other names of the machine, in place of [`HttpConfig::host_names`]: they may change with its network.
    pub fn set_host_names(&self, names: Vec<String>) {
        *self.0.host_names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Tells that there is a page for people at these addresses of the machine, to which browsers get a link that come to a
    /// port for clients. Users whose key is not valid are told its URL.
    pub fn set_pages(&self, addresses: Vec<SocketAddr>) {
        self.0.pages.set(addresses);
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// The answer that refuses a request. The refusal is logged, since users who cannot use the tracker ask its operator why.
    pub(crate) fn refuse(&self, what: &'static str, remote: IpAddr, failure: &Failure) -> Vec<u8> {
        if failure.counted_by() == CountedBy::Adapter {
            self.count_failure();
        }
        self.0.refusals.log(what, remote, failure.reason());
        failure.encode()
    }

    /// Logs that a client names another one without being a trusted proxy.
    pub(crate) fn warn_of_unknown_proxy(&self, remote: IpAddr) {
        if let Some(suppressed) = self.0.unknown_proxies.allows() {
            tracing::warn!(%remote, suppressed, "a request names another client, as proxies do, from an address that is no trusted proxy");
        }
    }

    /// Logs that a trusted proxy does not name the client of a request, or names a trusted proxy as the client, so that the
    /// request counts as that of `client`: the proxy itself, or the other one.
    pub(crate) fn warn_of_silent_proxy(&self, proxy: IpAddr, client: IpAddr) {
        if let Some(suppressed) = self.0.silent_proxies.allows() {
            tracing::warn!(
                %proxy,
                %client,
                suppressed,
                "a trusted proxy sends requests without the client's address, or with that of a trusted proxy, which count as the \
                 proxy's own: let each proxy append to X-Forwarded-For, unless a client runs on a proxy's machine"
            );
        }
    }
}
