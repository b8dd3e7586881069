//! Tests of the invariants of queries, on random ones and on damaged ones that clients could have sent.

mod invariants;

use proptest::prelude::*;

const REAL: &[u8] = b"info_hash=5%00)%2f(%81%c5*%3cg-%b7%c7%7d%b1%f6%04%26%c6_&peer_id=-LT2110-y1Cq1XLu0!h)&port=6881\
    &uploaded=0&downloaded=0&left=52428800&key=E0B55AB7&event=started&numwant=200&compact=0&no_peer_id=1&ip=10.0.0.9";

proptest! {
    #[test]
    fn of_random_bytes(query: Vec<u8>) {
        invariants::announce_query(&query);
    }

    #[test]
    fn of_damaged_queries(damage in proptest::collection::vec((0..REAL.len(), any::<u8>()), 0..4)) {
        let mut query = REAL.to_vec();
        for (at, byte) in damage {
            query[at] = byte;
        }
        invariants::announce_query(&query);
    }
}
