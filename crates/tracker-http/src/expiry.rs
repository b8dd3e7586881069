//! Dropping what has been silent for too long.

use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::sleep;
use tracker_core::Shards;

use crate::Clock;

/// Expires peers and swarms when they are due, for ever. Run it once for all adapters that share the swarms.
///
/// It sleeps until something is due. Between batches other tasks of its runtime get their turn.
///
/// ```no_run
/// # async fn example(shards: std::sync::Arc<tracker_core::Shards>) {
/// let clock = tracker_http::Clock::start();
/// tokio::spawn(tracker_http::expire_swarms(shards, clock));
/// # }
/// ```
pub async fn expire_swarms(shards: Arc<Shards>, clock: Clock) {
    // A swarm that begins now has nothing due before its first peer can time out.
    let nothing_before = shards.config().peer_timeout;
    loop {
        let wait = shards.next_expiry().map_or(nothing_before, |at| clock.until(at));
        if wait.is_zero() {
            shards.expire(clock.now());
            yield_now().await;
        } else {
            sleep(wait).await;
        }
    }
}
