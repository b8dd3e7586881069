//! From a datagram to the bytes of its answer.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Families, InfoHash, Instant, PeerKey, Peers, Shards, SwarmCounts, UserKey,
};
use tracker_host::{AnswerTimes, ClaimedAddresses, Clock, Pages, Refusals};

use crate::connection_id::ConnectionIds;
use crate::failure::Failure;
use crate::request::{Action, Announce, Request};
use crate::response::{ANNOUNCE_HEAD_BYTES, MAX_ANSWER_BYTES, encode_announce, encode_connect, encode_scrape};
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
    answer_times: AnswerTimes,
    claimed_addresses: ClaimedAddresses,
    pages: Pages,
}

/// The generator and buffers of a thread, used for all its requests.
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
    /// Returns [`UdpConfigError`] if the settings are not [valid](UdpConfig::validate).
    pub fn new(shards: Arc<Shards>, clock: Clock, config: UdpConfig) -> Result<Self, UdpConfigError> {
        config.validate()?;
        let connection_ids = ConnectionIds::new(&mut rand::rng());
        Ok(Self(Arc::new(Inner {
            shards,
            clock,
            config,
            connection_ids,
            refusals: Refusals::new("UDP"),
            answer_times: AnswerTimes::new(),
            claimed_addresses: ClaimedAddresses::new(),
            pages: Pages::default(),
        })))
    }

    /// Tells that there is a page for people at these addresses of the machine. Users whose key is not valid are told its URL.
    pub fn set_pages(&self, addresses: Vec<SocketAddr>) {
        self.0.pages.set(addresses);
    }

    /// Its configuration.
    pub fn config(&self) -> &UdpConfig {
        &self.0.config
    }

    /// Datagrams so far that failed here: those that were dropped, and the scrapes that were refused. The announces that
    /// the core refused are in [`Totals::refused_announces`](tracker_core::Totals::refused_announces).
    pub fn failures(&self) -> u64 {
        self.0.refusals.count()
    }

    /// How long it took the [server](crate::Server) to answer announces and scrapes, from when their datagrams were received
    /// until the answers were handed to the system: all that are received together are sent together.
    pub fn answer_times(&self) -> &AnswerTimes {
        &self.0.answer_times
    }

    fn count_failure(&self) {
        self.0.refusals.increment();
    }

    /// Appends the answer to a datagram that came from `remote` to our address `local`; nothing, when it is to be dropped:
    /// it is no request, or it lacks a connection id that was given to this address not long ago. To an address that did
    /// not show one nothing is sent that is longer than what came.
    ///
    /// Allocates nothing, once the thread has its buffers and unless the request is refused.
    pub fn answer(&self, remote: SocketAddr, local: IpAddr, datagram: &[u8], out: &mut Vec<u8>) {
        let Some(request) = Request::parse(datagram) else { return self.count_failure() };
        let Request { connection_id, transaction_id, action } = request;
        // The ids are of the canonical address; what goes to the core, the core makes canonical itself.
        let (now, ip) = (self.0.clock.now(), remote.ip().to_canonical());
        if !matches!(action, Action::Connect) && !self.0.connection_ids.is_valid(connection_id, now, ip) {
            return self.count_failure();
        }
        let (what, result) = match action {
            Action::Connect => {
                return encode_connect(transaction_id, self.0.connection_ids.make(now, ip), out);
            }
            Action::Announce(announce) => {
                let request = announce.to_request(remote, local).with_user_key(self.user_key(&announce));
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

    /// The key of a user, which stands in the path of the tracker's URL. Scrapes have no place for it.
    fn user_key(&self, announce: &Announce<'_>) -> Option<UserKey> {
        self.0.shards.config().users.then(|| announce.user_key())?
    }

    fn announce(
        &self,
        now: Instant,
        transaction_id: u32,
        request: &AnnounceRequest,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        SCRATCH.with_borrow_mut(|Scratch { rng, peers, .. }| {
            let response = self.0.shards.announce(now, rng, request, peers);
            let refusal = |error| self.0.pages.refusal(&error, request.remote(), request.local());
            let response = response.map_err(|error| Failure::new(refusal(error)))?;
            encode_announce(transaction_id, &response, peers, request.families, out);
            Ok(())
        })
    }

    fn scrape(&self, ip: IpAddr, transaction_id: u32, asked: &[[u8; 20]], out: &mut Vec<u8>) -> Result<(), Failure> {
        SCRATCH.with_borrow_mut(|Scratch { info_hashes, counts, .. }| {
            info_hashes.clear();
            info_hashes.extend(asked.iter().copied().map(InfoHash::new));
            self.0.shards.scrape(ip, None, info_hashes, counts)?;
            encode_scrape(transaction_id, counts, out);
            Ok(())
        })
    }
}

impl Announce<'_> {
    /// The request that this makes of the core when it comes from `remote` to our address `local`.
    ///
    /// The answer can carry peers of the family of `remote`, and as many as fit a datagram that needs not be split.
    pub fn to_request(&self, remote: SocketAddr, local: IpAddr) -> AnnounceRequest {
        let request = AnnounceRequest::new(self.info_hash, self.peer_id, remote.ip(), local, self.port);
        // Now canonical.
        let remote = request.remote();
        // Under IPv6 BEP 15 has no use for the field.
        let claimed_ip = Some(IpAddr::V4(self.ip)).filter(|ip| remote.is_ipv4() && !ip.is_unspecified());
        request
            .with_key(PeerKey::from_number(self.key))
            .with_claimed_ip(claimed_ip)
            .with_uploaded(self.uploaded)
            .with_downloaded(self.downloaded)
            .with_left(self.left)
            .with_event(match self.event {
                1 => Some(AnnounceEvent::Completed),
                2 => Some(AnnounceEvent::Started),
                3 => Some(AnnounceEvent::Stopped),
                4 => Some(AnnounceEvent::Paused),
                _ => None,
            })
            .with_numwant(u32::try_from(self.num_want).ok())
            .with_room(most_peers(remote))
            .with_families(if remote.is_ipv4() { Families::V4 } else { Families::V6 })
    }
}

/// The number of peers that fit the answer to this address.
fn most_peers(remote: IpAddr) -> u32 {
    const ROOM: usize = MAX_ANSWER_BYTES - ANNOUNCE_HEAD_BYTES;
    // Both are far below what `u32` holds.
    if remote.is_ipv4() { (ROOM / 6) as u32 } else { (ROOM / 18) as u32 }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::NonZeroUsize;

    use rand::rngs::StdRng;
    use tracker_core::{Config, PeerId};

    use super::*;
    use crate::connection_id::LIFETIME;
    use crate::sample;

    const CLIENT: &str = "10.0.0.9:4000";
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

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
            answer_times: AnswerTimes::new(),
            claimed_addresses: ClaimedAddresses::new(),
            pages: Pages::default(),
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
        let announce = Announce {
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

    const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), 4000);

    #[test]
    fn an_announce_asks_of_the_core_what_it_says() {
        let of = |announce: Announce<'_>| announce.to_request(V4, LOCAL);
        let request = of(sample::announce());
        assert_eq!((request.remote(), request.local(), request.port), (V4.ip(), LOCAL, 6881));
        assert_eq!((request.downloaded, request.left, request.uploaded), (0x11, Some(52_428_800), 0x22));
        assert_eq!((request.numwant, request.families, request.peer_ids), (Some(200), Families::V4, false));
        assert_eq!((request.key, request.claimed_ip()), (PeerKey::from_number(0xE0B5_5AB7), None));

        for (event, expected) in [
            (0, None),
            (1, Some(AnnounceEvent::Completed)),
            (2, Some(AnnounceEvent::Started)),
            (3, Some(AnnounceEvent::Stopped)),
            (4, Some(AnnounceEvent::Paused)),
            (5, None),
            (u32::MAX, None),
        ] {
            assert_eq!(of(Announce { event, ..sample::announce() }).event, expected, "{event}");
        }
        for (num_want, expected) in [(-1, None), (i32::MIN, None), (0, Some(0)), (80, Some(80))] {
            let request = of(Announce { num_want, ..sample::announce() });
            assert_eq!((request.numwant, request.room), (expected, Some(238)), "{num_want}");
        }
        let ip = Ipv4Addr::new(10, 0, 0, 77);
        assert_eq!(of(Announce { ip, ..sample::announce() }).claimed_ip(), Some(ip.into()));
    }

    #[test]
    fn the_answer_is_of_the_family_that_the_packet_was() {
        let mapped: SocketAddr = "[::ffff:10.0.0.9]:4000".parse().unwrap();
        let request = sample::announce().to_request(mapped, "::ffff:10.0.0.1".parse().unwrap());
        assert_eq!((request.remote(), request.local(), request.families), (V4.ip(), LOCAL, Families::V4));

        let v6: SocketAddr = "[fd77::9]:4000".parse().unwrap();
        let claiming = Announce { ip: Ipv4Addr::new(10, 0, 0, 77), ..sample::announce() };
        let request = claiming.to_request(v6, "fd77::1".parse().unwrap());
        assert_eq!((request.families, request.claimed_ip(), request.room), (Families::V6, None, Some(79)));
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
