//! Shared parts of the benches: realistic peers, and trackers that have them. See the `[[bench]]` entries.

use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tracker_core::{
    AnnounceRequest, AnnounceResponse, Config, InfoHash, Instant, Memory, PeerId, PeerKey, Peers, Shards, Tracker,
};

/// The time at which peers announce, unless a bench is about time.
pub const NOW: Instant = Instant::from_secs(1000);

/// The key of every peer.
pub const KEY: u32 = 0xE0B5_5AB7;

/// The number of shards of the `tracker` program with two threads.
pub const SHARDS: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// The number of different requests in a bench: enough that their peers do not all fit the fastest cache.
const SAMPLE: usize = 4096;

/// The info-hash of the torrent with this number.
pub fn info_hash(torrent: u32) -> InfoHash {
    InfoHash::new(SmallRng::seed_from_u64(torrent.into()).random())
}

/// The regular announce of the peer with this number: every second over IPv6, every third a seeder.
pub fn request(torrent: u32, peer: u32) -> AnnounceRequest {
    let [a, b, c, d] = peer.to_be_bytes();
    let mut peer_id = *b"-XX0001-............";
    peer_id[16..].copy_from_slice(&[a, b, c, d]);
    let (remote, local): (IpAddr, IpAddr) = if peer.is_multiple_of(2) {
        ([10, b, c, d].into(), [10, 255, 0, 1].into())
    } else {
        let network = 0xfd77 << 112;
        (
            Ipv6Addr::from_bits(network | 1 << 64 | u128::from(peer)).into(),
            Ipv6Addr::from_bits(network | 1 << 64 | 1 << 40).into(),
        )
    };
    AnnounceRequest::new(info_hash(torrent), PeerId::new(peer_id), remote, local, 6881)
        .with_key(PeerKey::from_number(KEY))
        .with_uploaded(123_456_789)
        .with_downloaded(234_567_890)
        .with_left(if peer.is_multiple_of(3) { 0 } else { 50_000_000 })
        .with_numwant(50)
}

/// Regular announces of peers drawn at random from `peers`, in random torrents below `torrents`.
///
/// # Panics
///
/// If there are no peers.
pub fn sample(torrents: u32, peers: impl Iterator<Item = u32>) -> Vec<AnnounceRequest> {
    let (mut rng, peers) = (SmallRng::seed_from_u64(2), Vec::from_iter(peers));
    (0..SAMPLE).map(|_| request(rng.random_range(0..torrents), peers[rng.random_range(0..peers.len())])).collect()
}

/// The shards that adapters share, with `torrents` torrents and `peers` peers in each.
///
/// # Panics
///
/// If that is more than the default limits allow.
pub fn shards(torrents: u32, peers: u32) -> Arc<Shards> {
    shards_of(Config::default(), torrents, peers)
}

/// Shards with another configuration; see [`shards`].
///
/// # Panics
///
/// If the configuration is not valid, or allows less.
pub fn shards_of(config: Config, torrents: u32, peers: u32) -> Arc<Shards> {
    let mut rng = SmallRng::seed_from_u64(1);
    let shards = Shards::new(config, SHARDS, &mut rng).expect("a valid configuration");
    let mut buffer = Peers::default();
    for torrent in 0..torrents {
        for peer in 0..peers {
            shards.announce(NOW, &mut rng, &request(torrent, peer), &mut buffer).expect("within the limits");
        }
    }
    Arc::new(shards)
}

/// The owner of a tracker, on one thread.
#[derive(Debug)]
pub struct Embedder {
    /// Its tracker.
    pub tracker: Tracker,
    rng: SmallRng,
    peers: Peers,
}

impl Embedder {
    /// A tracker without peers.
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn new(config: Config) -> Self {
        let mut rng = SmallRng::seed_from_u64(1);
        let tracker = Tracker::new(config, &mut rng).expect("a valid configuration");
        Self { tracker, rng, peers: Peers::default() }
    }

    /// Announces once.
    ///
    /// # Panics
    ///
    /// If the announce is refused.
    pub fn announce(&mut self, now: Instant, request: &AnnounceRequest) -> AnnounceResponse {
        let response = self.tracker.announce(now, &mut self.rng, request, &mut self.peers);
        black_box(&self.peers);
        response.expect("within the limits")
    }
}

/// The name of a memory mode in a bench's id.
pub fn name_of(memory: Memory) -> &'static str {
    match memory {
        Memory::Full => "full",
        Memory::Lean => "lean",
    }
}
