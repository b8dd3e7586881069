//! The settings of a tracker, and their limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Access, AnnounceRequest, ClientPolicy, OutOfBounds, ScrapeError, TorrentPolicy, address};

/// Everything that can be set about a [`Tracker`](crate::Tracker).
///
/// The defaults suit a LAN of up to some thousand machines and need no change. Durations count in whole seconds.
///
/// ```
/// use tracker_core::{Access, Config};
///
/// let config = Config::default().with(|config| {
///     config.access = Access::All;
///     config.max_numwant = 100;
/// });
/// config.validate()?;
/// # Ok::<(), tracker_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Announces per second the tracker asks for in all, at least 1. Defaults to 500. The interval is the number of peers
    /// divided by this, within its floor and ceiling: short while the network is small, long under load.
    pub announce_budget: u32,
    /// Shortest `interval`. Defaults to 60 s: Transmission, aria2 and WebTorrent obey at once, so that a small network
    /// repairs itself within a minute.
    pub interval_floor: Duration,
    /// Longest `interval`. Defaults to 1800 s, the field's usual one. At most 12 hours, so that it stays below a day with its
    /// jitter: libtorrent and Transmission compute nonsense from very long ones.
    pub interval_ceiling: Duration,
    /// By how many percent an interval is longer or shorter than computed, at random, so that a room that was switched on
    /// at once does not stay in step. Also beyond floor and ceiling. Defaults to 10; at most 50.
    pub interval_jitter_percent: u32,
    /// Shortest `min interval`, which otherwise is half the interval and never more than it. Defaults to 30 s: aria2 and
    /// rqbit take it for the interval.
    pub min_interval_floor: Duration,
    /// Silence after which a peer is dropped, at least. Defaults to 1260 s, because libtorrent announces every 300 s and
    /// rTorrent every 600 s whatever interval they were given. A peer that was given a long interval is kept for two of
    /// them and a minute.
    pub peer_timeout: Duration,
    /// The time for which a swarm without peers is remembered for its count of completed downloads. Defaults to 1 day. A swarm
    /// that nobody completed goes with its last peer.
    pub swarm_timeout: Duration,

    /// Most swarms with peers. Defaults to 1,048,576; at most 2^31. One with a single peer takes about 210 bytes, or 140 in a
    /// [lean](Memory::Lean) tracker. They stand in arrays of 256: one that is empty is given back, so that of a flood that is
    /// over no more stays than 26 KB for each swarm that is left.
    pub max_swarms: usize,
    /// Most swarms without peers that are remembered; then the one that is due first is forgotten. Defaults to 65,536, at
    /// most 2^30, of about 140 bytes each. [`Shards`](crate::Shards) share it out among them.
    pub max_remembered_swarms: usize,
    /// Most peers in all swarms together. Defaults to 4,194,304; a peer takes about 63 bytes, or 12 in a
    /// [lean](Memory::Lean) tracker, in a swarm of many.
    pub max_peers: usize,
    /// Most peers in one swarm. Defaults to 262,144; fewer than 2^24.
    pub max_peers_per_swarm: usize,
    /// Most peers that one address may have in one swarm. Defaults to 128: a class room behind one NAT, not a flood. One
    /// more takes the place of the one of them that was silent for longest. An [`AddressGroup`](crate::AddressGroup) counts as
    /// one address.
    pub max_peers_per_address: usize,
    /// Most peers that one address may have in all swarms together. Defaults to 65,536: a client may well share thousands of
    /// torrents. It binds only when a limit for all swarms is reached: room is then made at the cost of the address that holds
    /// most (see [`Tracker::announce`](crate::Tracker::announce)), but not for an address that has so many. What an address holds
    /// is estimated from a sample, which is everything in a tracker of up to 256 swarms and some hundred peers.
    pub max_peers_per_address_overall: usize,
    /// Peers handed out to a client that does not say how many it wants. Defaults to 50.
    pub default_numwant: u32,
    /// Most peers handed out at once. Defaults to 200, which libtorrent asks for; at most 1,000.
    pub max_numwant: u32,
    /// Most info-hashes in one scrape. Defaults to 128; Transmission asks for up to 60.
    pub max_scrape_hashes: usize,
    /// Most events kept for [`Tracker::poll_events`](crate::Tracker::poll_events). Defaults to 0: nobody listens, and events
    /// cost nothing. When the queue is full the oldest is dropped and counted. At most 2^24, of 184 bytes each.
    /// [`Shards`](crate::Shards) share it out among them.
    pub max_pending_events: usize,
    /// `true` if an announce of a peer that is known is an [event](crate::EventKind::PeerUpdated), too. Defaults to `true`.
    /// With `false` only peers that come, complete and go are events, and other announces cost as much as when nobody listens.
    pub update_events: bool,
    /// Most peers and swarms that one call of [`Tracker::expire`](crate::Tracker::expire) looks at, in each of the
    /// [`Shards`](crate::Shards). Defaults to 2,000: a millisecond's work, so that announces do not wait. At most 2^31.
    pub expire_batch: usize,

    /// The details kept of each peer. Defaults to all of them.
    pub memory: Memory,

    /// The addresses from which announces and scrapes are accepted.
    pub access: Access,
    /// The clients that are served, of those that `access` admits. Shared, since each shard has it.
    pub clients: Arc<ClientPolicy>,
    /// `true` if only [users](crate::Users) may announce, each with a key. Defaults to `false`.
    pub users: bool,
    /// The info-hashes that are served. Shared, since the lists may be long.
    pub torrents: Arc<TorrentPolicy>,
    /// Networks whose clients may announce another address than their own (`ip=`). Defaults to none, since anybody could point
    /// a swarm at a victim otherwise; on this machine, too, where a page in a browser can send announces.
    pub trusted_networks: Vec<IpNet>,
    /// The best of the machine's own addresses on the LAN.
    pub host_addresses: HostAddresses,
    /// All addresses of the machine, of any interface; loopback, and [`host_addresses`](Self::host_addresses), need not be among
    /// them. A client that announces from one of these is on this machine, and handed out under the address by which the asker
    /// reached the machine, since others may have no route to the one it announced from. Defaults to none.
    pub own_addresses: Vec<IpAddr>,
    /// The networks of containers and virtual machines on this machine, which other machines have no route to. A client in one
    /// of these is handed out to others as one on this machine: they reach it where its port is published. Defaults to none.
    pub container_networks: Vec<IpNet>,
    /// Addresses behind which there may be several clients: the machine's routers, and the host ends of container bridges.
    /// Several clients of a swarm that announce from one of these are [warned](crate::Warning::SharedAddress). Defaults to
    /// none.
    pub gateways: Vec<IpAddr>,
    /// The subnets whose peers are handed out first to each other. Defaults to `None`: all are equal.
    pub prefer_subnet: Option<SubnetPreference>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            announce_budget: 500,
            interval_floor: Duration::from_secs(60),
            interval_ceiling: Duration::from_secs(1800),
            interval_jitter_percent: 10,
            min_interval_floor: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(1260),
            swarm_timeout: Duration::from_secs(24 * 60 * 60),
            max_swarms: 1 << 20,
            max_remembered_swarms: 1 << 16,
            max_peers: 1 << 22,
            max_peers_per_swarm: 1 << 18,
            max_peers_per_address: 128,
            max_peers_per_address_overall: 1 << 16,
            default_numwant: 50,
            max_numwant: 200,
            max_scrape_hashes: 128,
            max_pending_events: 0,
            update_events: true,
            expire_batch: 2000,
            memory: Memory::Full,
            users: false,
            access: Access::default(),
            clients: Arc::default(),
            torrents: Arc::default(),
            trusted_networks: Vec::new(),
            host_addresses: HostAddresses::default(),
            own_addresses: Vec::new(),
            container_networks: Vec::new(),
            gateways: Vec::new(),
            prefer_subnet: None,
        }
    }
}

impl Config {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks that every value is within its bounds.
    ///
    /// # Errors
    ///
    /// The first value that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const HOUR: u64 = 60 * 60;
        const DAY: u64 = 24 * HOUR;
        let most = usize::MAX as u64;
        OutOfBounds::check([
            ("announce_budget", u64::from(self.announce_budget), 1..=u64::from(u32::MAX)),
            ("interval_floor", self.interval_floor.as_secs(), 1..=12 * HOUR),
            ("interval_ceiling", self.interval_ceiling.as_secs(), self.interval_floor.as_secs()..=12 * HOUR),
            ("interval_jitter_percent", u64::from(self.interval_jitter_percent), 0..=50),
            ("min_interval_floor", self.min_interval_floor.as_secs(), 1..=DAY),
            ("peer_timeout", self.peer_timeout.as_secs(), 1..=30 * DAY),
            ("swarm_timeout", self.swarm_timeout.as_secs(), 0..=365 * DAY),
            ("max_swarms", self.max_swarms as u64, 1..=1 << 31),
            ("max_remembered_swarms", self.max_remembered_swarms as u64, 0..=1 << 30),
            ("max_peers", self.max_peers as u64, 1..=most),
            ("max_peers_per_swarm", self.max_peers_per_swarm as u64, 1..=(1 << 24) - 1),
            ("max_peers_per_address", self.max_peers_per_address as u64, 1..=1 << 16),
            ("max_peers_per_address_overall", self.max_peers_per_address_overall as u64, 1..=most),
            ("max_numwant", u64::from(self.max_numwant), 1..=1000),
            ("default_numwant", u64::from(self.default_numwant), 0..=u64::from(self.max_numwant)),
            ("max_scrape_hashes", self.max_scrape_hashes as u64, 1..=1 << 16),
            ("expire_batch", self.expire_batch as u64, 1..=1 << 31),
            ("max_pending_events", self.max_pending_events as u64, 0..=1 << 24),
            ("v4_prefix", self.prefer_subnet.map_or(0, |subnet| subnet.v4_prefix.into()), 0..=32),
            ("v6_prefix", self.prefer_subnet.map_or(0, |subnet| subnet.v6_prefix.into()), 0..=128),
        ])?;
        self.host_addresses.validate()
    }

    /// The most peers that the answer to this announce holds.
    pub(crate) fn wanted(&self, request: &AnnounceRequest) -> u32 {
        let numwant = request.numwant.unwrap_or(self.default_numwant);
        numwant.min(self.max_numwant).min(request.room.unwrap_or(u32::MAX))
    }

    /// Returns an error unless a scrape of this many info-hashes is taken from this address.
    /// `access` and `clients` are [`Config::access`] and [`Config::clients`] as they are now.
    pub(crate) fn admit_scrape(
        &self,
        access: &Access,
        clients: &ClientPolicy,
        remote: IpAddr,
        asked: usize,
    ) -> Result<(), ScrapeError> {
        if !access.admits(remote) {
            return Err(ScrapeError::AddressNotAllowed { address: remote.to_canonical() });
        }
        if !clients.admits_address(remote) {
            return Err(ScrapeError::AddressDenied { address: remote.to_canonical() });
        }
        if asked > self.max_scrape_hashes {
            return Err(ScrapeError::TooManyHashes { limit: self.max_scrape_hashes, asked });
        }
        Ok(())
    }

    /// The addresses of this machine that are configured.
    pub(crate) fn own_ips(&self) -> impl Iterator<Item = IpAddr> {
        let HostAddresses { v4, v6 } = self.host_addresses;
        let host = v4.map(IpAddr::V4).into_iter().chain(v6.map(IpAddr::V6));
        self.own_addresses.iter().copied().chain(host)
    }

    /// Returns `true` if clients at this address may announce another address (`ip=`).
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_networks.iter().any(|network| network.contains(&address))
    }
}

/// The details that a tracker keeps of each peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Memory {
    /// Everything in [`PeerDetail`](crate::PeerDetail).
    #[default]
    Full,
    /// Only its address, state and expiry: for a tracker of millions of peers whose details nobody looks at. This has the
    /// following consequences:
    ///
    /// - A peer is known by its address and port alone. A client that comes back on another port is two until the first has
    ///   been silent for too long, and gets itself if it is on two addresses. Several that listen nowhere (port 0 or 1) on one
    ///   address are one.
    /// - [`Peer::detail`](crate::Peer::detail) is `None`, and no peer ids are handed out.
    /// - Peers stay up to a thousandth longer than their time. [`Tracker::expire`](crate::Tracker::expire) must be called when
    ///   there is something to expire: a peer that was due for twice the longest timeout, while others announced, may stay
    ///   for that long again.
    Lean,
}

/// A value of a [`Config`] that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is too small or too large.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// One of [`Config::host_addresses`] is not one by which other machines reach this one.
    #[error("{address} cannot be this machine's address on a LAN")]
    NotALanAddress {
        /// The address.
        address: IpAddr,
    },
}

/// The addresses by which other machines on the LAN reach this one.
///
/// A client on the tracker's own machine that announced over loopback is handed out under one of these where the asker's
/// own way to the tracker does not tell: to another client on loopback (Transmission never dials 127.0.0.1) and to one
/// that came through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostAddresses {
    /// The IPv4 address, where there is one.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address, where there is one: unique local or global, since a link-local one means nothing without scope.
    pub v6: Option<Ipv6Addr>,
}

impl HostAddresses {
    pub(crate) fn validate(self) -> Result<(), ConfigError> {
        for address in self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6)) {
            let is_known_elsewhere = !address.is_loopback() && !address::is_v4_link_local(address);
            if !(address::is_reachable(address) && is_known_elsewhere) {
                return Err(ConfigError::NotALanAddress { address });
            }
        }
        Ok(())
    }

    /// The address of the same family as `like`, else the other.
    pub(crate) fn prefer(&self, like: IpAddr) -> Option<IpAddr> {
        self.of_family(like).or_else(|| self.v4.map(IpAddr::V4)).or_else(|| self.v6.map(IpAddr::V6))
    }

    /// The address of the same family as `like`.
    pub(crate) fn of_family(&self, like: IpAddr) -> Option<IpAddr> {
        if like.is_ipv4() { self.v4.map(IpAddr::V4) } else { self.v6.map(IpAddr::V6) }
    }
}

/// Hand out peers of the asker's own subnet first.
///
/// It matters only where there are more peers than the asker wants. The tracker then looks at up to eight times as many
/// peers as wanted, drawn at random, and takes those in the asker's subnet before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetPreference {
    /// Length of an IPv4 subnet's prefix, 0 to 32.
    pub v4_prefix: u8,
    /// Length of an IPv6 subnet's prefix, 0 to 128.
    pub v6_prefix: u8,
}

impl SubnetPreference {
    /// Returns `true` if both are of one family and share the prefix.
    pub(crate) fn same_subnet(&self, a: IpAddr, b: IpAddr) -> bool {
        let prefix = if a.is_ipv4() { self.v4_prefix } else { self.v6_prefix };
        IpNet::new(a, prefix).is_ok_and(|subnet| subnet.contains(&b))
    }
}

/// A /24 of IPv4 and a /64 of IPv6, as most LANs are cut.
impl Default for SubnetPreference {
    fn default() -> Self {
        Self { v4_prefix: 24, v6_prefix: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn each_bound_is_checked() {
        let base = Config::default;
        for (name, config) in [
            ("announce_budget", Config { announce_budget: 0, ..base() }),
            ("interval_floor", Config { interval_floor: Duration::ZERO, ..base() }),
            ("interval_ceiling", Config { interval_ceiling: Duration::from_secs(59), ..base() }),
            ("interval_jitter_percent", Config { interval_jitter_percent: 51, ..base() }),
            ("max_peers_per_swarm", Config { max_peers_per_swarm: 0, ..base() }),
            ("max_numwant", Config { max_numwant: 1001, ..base() }),
            ("default_numwant", Config { default_numwant: 201, ..base() }),
            ("max_peers", Config { max_peers: 0, ..base() }),
            ("expire_batch", Config { expire_batch: 0, ..base() }),
            ("max_pending_events", Config { max_pending_events: usize::MAX, ..base() }),
            ("v6_prefix", Config { prefer_subnet: Some(SubnetPreference { v4_prefix: 24, v6_prefix: 129 }), ..base() }),
        ] {
            match config.validate() {
                Err(ConfigError::OutOfBounds(error)) => assert_eq!(error.name, name),
                other => panic!("{name} was not checked: {other:?}"),
            }
        }
    }

    #[test]
    fn host_addresses_are_those_of_a_lan() {
        for (v4, v6, is_valid) in [
            ("192.168.1.5", "fd77::1", true),
            ("203.0.113.5", "2001:db8::1", true),
            ("0.0.0.0", "fd77::1", false),
            ("127.0.0.1", "fd77::1", false),
            ("169.254.1.1", "fd77::1", false),
            ("192.168.1.5", "fe80::1", false),
            ("192.168.1.5", "::1", false),
        ] {
            let host_addresses = HostAddresses { v4: v4.parse().ok(), v6: v6.parse().ok() };
            assert_eq!(Config { host_addresses, ..Config::default() }.validate().is_ok(), is_valid, "{v4} {v6}");
        }
    }

    #[test]
    fn subnets_do_not_cross_families() {
        let preference = SubnetPreference::default();
        let same = |a: &str, b: &str| preference.same_subnet(a.parse().unwrap(), b.parse().unwrap());
        assert!(same("10.0.0.1", "10.0.0.200"));
        assert!(!same("10.0.0.1", "10.0.1.1"));
        assert!(same("fd77::1", "fd77::ffff"));
        assert!(!same("fd77::1", "10.0.0.1"));
    }
}
