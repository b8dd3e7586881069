//! Helpers that the tests of this crate share.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, Instant, Shards};
use tracker_host::Clock;
use tracker_http::{Adapter, HttpConfig};

/// A tracker without jitter, at the time of zero.
pub(crate) fn adapter(config: Config, http: HttpConfig) -> Adapter {
    let config = config.with(|config| config.interval_jitter_percent = 0);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(7)).unwrap();
    Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), http).unwrap()
}

/// The query of an announce to the torrent `aaaaaaaaaaaaaaaaaaaa`.
pub(crate) fn announce(peer: char, port: u16, more: &str) -> String {
    let peer_id = peer.to_string().repeat(20);
    format!("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id={peer_id}&port={port}{more}")
}
