//! The scrape of everything.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};
use tracker_core::{Instant, Shards, Walk};

use crate::scrape::{ScrapeQueryError, encode_scrape};

/// Most swarms that a full scrape lists: an answer of about 7 MB.
pub const MAX_FULL_SCRAPE: usize = 100_000;

/// Swarms that are looked at while announces to their shard have to wait.
const BATCH: usize = 1000;

/// The last answer, which all who ask in the same second share: so many bytes must not be held once for each connection
/// that takes them slowly.
#[derive(Debug, Default)]
pub(crate) struct FullScrape {
    last: Mutex<Option<(Instant, Bytes)>>,
    turn: AsyncMutex<()>,
}

impl FullScrape {
    /// Waits until nobody else who asked for a turn makes an answer.
    pub(crate) async fn turn(&self) -> AsyncMutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Every swarm, canonically bencoded, as it was at this second.
    pub(crate) fn answer(&self, now: Instant, shards: &Shards) -> Result<Bytes, ScrapeQueryError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = &*last
            && *at == now
        {
            return Ok(answer.clone());
        }
        if shards.totals().swarms > MAX_FULL_SCRAPE as u64 {
            return Err(ScrapeQueryError::TooManySwarms { limit: MAX_FULL_SCRAPE });
        }
        let mut swarms = BTreeMap::new();
        let mut walk = Walk::by_swarm();
        while shards.walk(&mut walk, BATCH, |slice| _ = swarms.insert(slice.info_hash, slice.swarm.counts())) {}
        let answer = Bytes::from(encode_scrape(&swarms));
        *last = Some((now, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tracker_core::{Config, Peers};

    use super::*;
    use crate::AnnounceQuery;

    #[test]
    fn full_scrapes_of_the_same_second_share_their_bytes() {
        let mut rng = StdRng::seed_from_u64(1);
        let shards = Shards::new(Config::default(), NonZeroUsize::new(4).unwrap(), &mut rng).unwrap();
        let scrape = FullScrape::default();
        let first = scrape.answer(Instant::from_secs(1), &shards).unwrap();
        assert_eq!(first, "d5:filesdee");

        let query = b"info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=0";
        let request = AnnounceQuery::parse(query).unwrap().into_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        shards.announce(Instant::from_secs(1), &mut rng, &request, &mut Peers::default()).unwrap();
        let shared = scrape.answer(Instant::from_secs(1), &shards).unwrap();
        assert_eq!(shared.as_ptr(), first.as_ptr());

        let fresh = scrape.answer(Instant::from_secs(2), &shards).unwrap();
        assert_eq!(fresh, "d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi0e10:incompletei0eeee");
    }
}
