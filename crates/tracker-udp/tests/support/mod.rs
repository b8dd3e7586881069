//! Helpers that the tests of this crate share.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, InfoHash, Instant, PeerId, Shards};
use tracker_host::Clock;
use tracker_udp::{Action, Adapter, Announce, Request, UdpConfig};

/// Of the torrent that all announce.
pub(crate) const INFO_HASH: [u8; 20] = [b'a'; 20];

/// A tracker without jitter, at the time of zero.
pub(crate) fn adapter(config: Config, threads: usize) -> (Arc<Shards>, Adapter) {
    let config = config.with(|config| config.interval_jitter_percent = 0);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(7)).unwrap();
    let shards = Arc::new(shards);
    let udp = UdpConfig::default().with(|config| config.threads = NonZeroUsize::new(threads).unwrap());
    let adapter = Adapter::new(Arc::clone(&shards), Clock::fixed(Instant::ZERO), udp).unwrap();
    (shards, adapter)
}

/// A leecher that starts.
pub(crate) fn announce(peer: u8, port: u16) -> Announce<'static> {
    Announce {
        info_hash: InfoHash::new(INFO_HASH),
        peer_id: PeerId::new([peer; 20]),
        downloaded: 0,
        left: 1000,
        uploaded: 0,
        event: 2,
        ip: [0; 4].into(),
        key: 0,
        num_want: -1,
        port,
        options: b"",
    }
}

/// The datagram that asks this.
pub(crate) fn datagram(connection_id: u64, transaction_id: u32, action: Action<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    Request { connection_id, transaction_id, action }.encode(&mut datagram);
    datagram
}

/// The connection id in the answer to a connect request.
pub(crate) fn connection_id(answer: &[u8], transaction_id: u32) -> u64 {
    let (head, id) = answer.split_at(8);
    assert_eq!(head, [0_u32.to_be_bytes(), transaction_id.to_be_bytes()].as_flattened());
    u64::from_be_bytes(id.try_into().expect("16 bytes"))
}
