//! From the query of a request to the bytes of its answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tracker_core::{PeerEntry, Shards};
use tracker_host::Clock;

use crate::HttpConfig;
use crate::announce::{AnnounceQuery, encode_announce};
use crate::failure::Failure;
use crate::scrape::{MAX_FULL_SCRAPE, ScrapeQuery, ScrapeQueryError, encode_scrape};

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
/// let adapter = Adapter::new(shards, Clock::start(), HttpConfig::default());
///
/// let query = b"info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0001-bbbbbbbbbbbb&port=6881&left=0";
/// let answer = adapter.announce([192, 168, 1, 20].into(), [192, 168, 1, 1].into(), query);
/// assert!(answer.starts_with(b"d8:completei1e"));
/// # Ok::<(), tracker_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Arc<Shards>,
    clock: Clock,
    config: HttpConfig,
}

impl Adapter {
    /// Serves these swarms. Other adapters may share them, and then must share the clock.
    pub fn new(shards: Arc<Shards>, clock: Clock, config: HttpConfig) -> Self {
        Self(Arc::new(Inner { shards, clock, config }))
    }

    /// How it was set up.
    pub fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    /// Answers an announce that came from `remote` to our address `local`, with the query as it stands after the first `?`
    /// of the request target. The answer is a bencoded dictionary, always; a refusal is one with `failure reason`.
    pub fn announce(&self, remote: IpAddr, local: IpAddr, query: &[u8]) -> Vec<u8> {
        self.try_announce(remote, local, query).unwrap_or_else(|failure| refuse("announce", remote, &failure))
    }

    fn try_announce(&self, remote: IpAddr, local: IpAddr, query: &[u8]) -> Result<Vec<u8>, Failure> {
        thread_local! {
            static PEERS: RefCell<Vec<PeerEntry>> = const { RefCell::new(Vec::new()) };
        }
        let query = AnnounceQuery::parse(query)?;
        let format = query.peer_format;
        let request = query.into_request(remote, local);
        PEERS.with_borrow_mut(|peers| {
            let response = self.0.shards.announce(self.0.clock.now(), &mut rand::rng(), &request, peers)?;
            Ok(encode_announce(&response, peers, format))
        })
    }

    /// Answers a scrape that came from `remote`; otherwise as [`announce`](Self::announce).
    pub fn scrape(&self, remote: IpAddr, query: &[u8]) -> Vec<u8> {
        self.try_scrape(remote, query).unwrap_or_else(|failure| refuse("scrape", remote, &failure))
    }

    fn try_scrape(&self, remote: IpAddr, query: &[u8]) -> Result<Vec<u8>, Failure> {
        let shards = &self.0.shards;
        let info_hashes = ScrapeQuery::parse(query)?.info_hashes;
        let mut counts = Vec::new();
        // Without info-hashes this asks only whether the address may scrape at all.
        shards.scrape(remote, &info_hashes, &mut counts)?;
        if !info_hashes.is_empty() {
            return Ok(encode_scrape(info_hashes.iter().zip(&counts)));
        }
        if !self.0.config.full_scrape {
            return Err(ScrapeQueryError::FullScrapeNotAllowed.into());
        }
        if shards.totals().swarms > MAX_FULL_SCRAPE as u64 {
            return Err(ScrapeQueryError::TooManySwarms { limit: MAX_FULL_SCRAPE }.into());
        }
        let mut swarms = BTreeMap::new();
        shards.for_each_swarm(|info_hash, swarm| {
            swarms.insert(info_hash, swarm.counts());
        });
        Ok(encode_scrape(&swarms))
    }
}

pub(crate) fn refuse(what: &'static str, remote: IpAddr, failure: &Failure) -> Vec<u8> {
    tracing::debug!(%remote, reason = failure.reason(), "{what} refused");
    failure.encode()
}
