//! Dropping what has been silent for too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracker_core::Shards;

use crate::Clock;

/// Between two batches the shards are left alone for so long. A lock that is taken again at once is not given to those who
/// wait for it: announces in a large swarm would wait until all of it is expired.
const PAUSE: Duration = Duration::from_millis(1);

/// Expires peers and swarms when they are due; never returns. Run it once for all adapters that share the swarms.
///
/// It sleeps until something is due. Between batches announces, and other tasks of its runtime, get their turn.
///
/// ```no_run
/// # async fn example(shards: std::sync::Arc<tracker_core::Shards>) {
/// let clock = tracker_host::Clock::start();
/// tokio::spawn(tracker_host::expire_swarms(shards, clock));
/// # }
/// ```
pub async fn expire_swarms(shards: Arc<Shards>, clock: Clock) {
    // A swarm that begins now has nothing due before its first peer can time out.
    let nothing_before = shards.config().peer_timeout;
    loop {
        let wait = shards.next_expiry().map_or(nothing_before, |at| clock.until(at));
        if wait.is_zero() {
            shards.expire(clock.now());
            sleep(PAUSE).await;
        } else {
            sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::num::NonZeroUsize;
    use tokio::task::yield_now;
    use tokio::time::timeout;
    use tracker_core::{AnnounceRequest, Config, InfoHash, Instant, PeerId, Peers};

    use super::*;

    fn with_one_peer() -> Arc<Shards> {
        let mut rng = StdRng::seed_from_u64(1);
        let shards = Shards::new(Config::default(), NonZeroUsize::new(4).unwrap(), &mut rng).unwrap();
        let request = AnnounceRequest::new(
            InfoHash::new([b'a'; 20]),
            PeerId::new([b'b'; 20]),
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
            1,
        );
        shards.announce(Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
        Arc::new(shards)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_dropped() {
        let shards = with_one_peer();
        let late = Clock::fixed(Instant::from_secs(100_000));
        let driver = tokio::spawn(expire_swarms(Arc::clone(&shards), late));
        while shards.totals().swarms > 0 {
            yield_now().await;
        }
        driver.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_due_stays() {
        let shards = with_one_peer();
        let early = Clock::fixed(Instant::from_secs(1));
        timeout(Duration::from_secs(10_000), expire_swarms(Arc::clone(&shards), early)).await.unwrap_err();
        assert_eq!(shards.totals().swarms, 1);
    }
}
