//! From a datagram to the bytes of its answer.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tracker_core::{AnnounceRequest, InfoHash, Instant, Peers, Shards, SwarmCounts};
use tracker_host::{ClaimedAddresses, Clock, Refusals};

use crate::connection_id::ConnectionIds;
use crate::failure::Failure;
use crate::request::{Action, Request};
use crate::response::{encode_announce, encode_connect, encode_scrape};
use crate::{UdpConfig, UdpConfigError};

/// A tracker as UDP serves it: the swarms, the time, and the adapter's own settings. Cheap to clone; all clones are one.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use tracker_core::{Config, Shards};
/// use tracker_host::Clock;
/// use tracker_udp::{Adapter, Request, UdpConfig};
///
/// let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::new(4).unwrap(), &mut rand::rng())?);
/// let adapter = Adapter::new(shards, Clock::start(), UdpConfig::default())?;
///
/// let mut request = Vec::new();
/// Request::connect(7).encode(&mut request);
/// let mut answer = Vec::new();
/// adapter.answer("192.168.1.20:4000".parse()?, [192, 168, 1, 1].into(), &request, &mut answer);
/// assert!(answer.starts_with(&[0, 0, 0, 0, 0, 0, 0, 7]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Arc<Shards>,
    clock: Clock,
    config: UdpConfig,
    connection_ids: ConnectionIds,
    refusals: Refusals,
    claimed_addresses: ClaimedAddresses,
}

/// What a thread uses again for each request.
struct Scratch {
    rng: SmallRng,
    peers: Peers,
    info_hashes: Vec<InfoHash>,
    counts: Vec<SwarmCounts>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        rng: SmallRng::from_rng(&mut rand::rng()),
        peers: Peers::default(),
        info_hashes: Vec::new(),
        counts: Vec::new(),
    });
}

impl Adapter {
    /// Serves these swarms. Other adapters may share them, and then must share the clock. The key of the connection ids is
    /// drawn here, from the system.
    ///
    /// # Errors
    ///
    /// When the settings are not [valid](UdpConfig::validate).
    pub fn new(shards: Arc<Shards>, clock: Clock, config: UdpConfig) -> Result<Self, UdpConfigError> {
        config.validate()?;
        let connection_ids = ConnectionIds::new(&mut rand::rng());
        Ok(Self(Arc::new(Inner {
            shards,
            clock,
            config,
            connection_ids,
            refusals: Refusals::new("UDP"),
            claimed_addresses: ClaimedAddresses::new(),
        })))
    }

    /// How it was set up.
    pub fn config(&self) -> &UdpConfig {
        &self.0.config
    }

    /// Datagrams so far that failed here: those that were dropped, and the scrapes that were refused. The announces that
    /// the core refused are in [`Totals::refused_announces`](tracker_core::Totals::refused_announces).
    pub fn failures(&self) -> u64 {
        self.0.refusals.counted()
    }

    fn count_failure(&self) {
        self.0.refusals.count();
    }

    /// Appends the answer to a datagram that came from `remote` to our address `local`; nothing, when it is to be dropped:
    /// it is no request, or it lacks a connection id that was given to this address not long ago. To an address that did
    /// not show one nothing is sent that is longer than what came.
    ///
    /// Allocates nothing, once the thread has its buffers and unless the request is refused.
    pub fn answer(&self, remote: SocketAddr, local: IpAddr, datagram: &[u8], out: &mut Vec<u8>) {
        let Some(request) = Request::parse(datagram) else { return self.count_failure() };
        let Request { connection_id, transaction_id, action } = request;
        let (now, ip) = (self.0.clock.now(), remote.ip().to_canonical());
        if !matches!(action, Action::Connect) && !self.0.connection_ids.is_valid(connection_id, now, ip) {
            return self.count_failure();
        }
        let (what, result) = match action {
            Action::Connect => {
                return encode_connect(transaction_id, self.0.connection_ids.make(now, ip), out);
            }
            Action::Announce(announce) => {
                let request = announce.to_request(remote, local);
                self.0.claimed_addresses.log(&request, self.0.shards.config());
                ("announce", self.announce(now, transaction_id, &request, out))
            }
            Action::Scrape(info_hashes) => {
                let result = self.scrape(ip, transaction_id, info_hashes, out);
                if result.is_err() {
                    self.count_failure();
                }
                ("scrape", result)
            }
        };
        if let Err(failure) = result {
            self.0.refusals.log(what, ip, failure.reason());
            failure.encode(transaction_id, out);
        }
    }

    fn announce(
        &self,
        now: Instant,
        transaction_id: u32,
        request: &AnnounceRequest,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        SCRATCH.with_borrow_mut(|Scratch { rng, peers, .. }| {
            let response = self.0.shards.announce(now, rng, request, peers)?;
            encode_announce(transaction_id, &response, peers, request.families, out);
            Ok(())
        })
    }

    fn scrape(&self, ip: IpAddr, transaction_id: u32, asked: &[[u8; 20]], out: &mut Vec<u8>) -> Result<(), Failure> {
        SCRATCH.with_borrow_mut(|Scratch { info_hashes, counts, .. }| {
            info_hashes.clear();
            info_hashes.extend(asked.iter().copied().map(InfoHash::new));
            self.0.shards.scrape(ip, info_hashes, counts)?;
            encode_scrape(transaction_id, counts, out);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use rand::rngs::StdRng;
    use tracker_core::{Config, PeerId};

    use super::*;
    use crate::connection_id::LIFETIME;

    const CLIENT: &str = "10.0.0.9:4000";
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn adapter_at(now: u32) -> Adapter {
        let mut rng = StdRng::seed_from_u64(1);
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut rng).unwrap();
        let clock = Clock::fixed(Instant::from_secs(now));
        let connection_ids = ConnectionIds::new(&mut rng);
        Adapter(Arc::new(Inner {
            shards: Arc::new(shards),
            clock,
            config: UdpConfig::default(),
            connection_ids,
            refusals: Refusals::new("UDP"),
            claimed_addresses: ClaimedAddresses::new(),
        }))
    }

    fn answer(adapter: &Adapter, request: &Request<'_>) -> Vec<u8> {
        let (mut datagram, mut out) = (Vec::new(), Vec::new());
        request.encode(&mut datagram);
        adapter.answer(CLIENT.parse().unwrap(), LOCAL, &datagram, &mut out);
        out
    }

    fn connect(adapter: &Adapter) -> u64 {
        let answer = answer(adapter, &Request::connect(7));
        assert_eq!(answer[..8], [0, 0, 0, 0, 0, 0, 0, 7]);
        u64::from_be_bytes(answer[8..].try_into().unwrap())
    }

    fn announce(connection_id: u64) -> Request<'static> {
        let announce = crate::Announce {
            info_hash: InfoHash::new([b'a'; 20]),
            peer_id: PeerId::new([b'p'; 20]),
            downloaded: 0,
            left: 0,
            uploaded: 0,
            event: 2,
            ip: [0; 4].into(),
            key: 0,
            num_want: -1,
            port: 6881,
            options: b"",
        };
        Request { connection_id, transaction_id: 8, action: Action::Announce(announce) }
    }

    #[test]
    fn a_stale_connection_id_is_dropped() {
        let id = connect(&adapter_at(1000));
        for (age, answered) in [(0, true), (60, true), (LIFETIME, true), (LIFETIME + 1, false), (256, false)] {
            let adapter = adapter_at(1000 + age);
            let scrape = Request { action: Action::Scrape(&[[b'a'; 20]]), ..announce(id) };
            assert_eq!(!answer(&adapter, &announce(id)).is_empty(), answered, "{age}");
            assert_eq!(!answer(&adapter, &scrape).is_empty(), answered, "{age}");
            assert_eq!(adapter.0.shards.totals().peers(), u64::from(answered), "{age}");
        }
    }

    #[test]
    fn an_announce_allocates_nothing() {
        let adapter = adapter_at(1000);
        let id = connect(&adapter);
        let (mut datagram, mut scrape, mut out) = (Vec::new(), Vec::new(), Vec::new());
        announce(id).encode(&mut datagram);
        Request { action: Action::Scrape(&[[b'a'; 20]; 74]), ..announce(id) }.encode(&mut scrape);
        let mut ask = || {
            for datagram in [&datagram, &scrape] {
                out.clear();
                adapter.answer(CLIENT.parse().unwrap(), LOCAL, datagram, &mut out);
                assert!(out.len() > 16);
            }
        };
        ask();
        let measured = allocation_counter::measure(|| (0..100).for_each(|_| ask()));
        assert_eq!(measured.count_total, 0);
    }
}
