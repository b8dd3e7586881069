//! Invariants of every query, for the tests and for the fuzz target.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, Instant, Shards};
use tracker_host::Clock;
use tracker_http::{Adapter, AnnounceQuery, HttpConfig, Query, ScrapeQuery};

/// Whatever stands in a query: decoding it in two ways agrees, what it says can be written and read again, and announce and
/// scrape answer it in canonical bencode, with a failure exactly when the query is one.
pub(crate) fn announce_query(query: &[u8]) {
    let mut parameters = Vec::new();
    for parameter in Query::new(query) {
        for escaped in [parameter.name, parameter.value] {
            match (escaped.decode(), escaped.decode_exact::<20>()) {
                (Ok(decoded), Ok(exact)) => assert_eq!(<&[u8; 20]>::try_from(&*decoded).ok(), exact.as_ref()),
                (decoded, exact) => assert_eq!(decoded.err(), exact.err()),
            }
        }
        parameters.push((parameter.name.decode(), parameter.value.decode()));
    }
    let escape = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("%{byte:02x}")).collect() };
    let rewritten: Result<Vec<String>, _> =
        parameters.into_iter().map(|(name, value)| Ok(format!("{}={}", escape(&name?), escape(&value?)))).collect();

    let announce = AnnounceQuery::parse(query);
    let scrape = ScrapeQuery::parse(query);
    match rewritten {
        Ok(rewritten) => {
            let rewritten = rewritten.join("&");
            assert_eq!(AnnounceQuery::parse(rewritten.as_bytes()), announce);
            assert_eq!(ScrapeQuery::parse(rewritten.as_bytes()), scrape);
        }
        Err(tracker_http::EscapeError) => assert!(announce.is_err() && scrape.is_err()),
    }

    let adapter = adapter();
    let (remote, local) = ([10, 0, 0, 9].into(), [10, 0, 0, 1].into());
    assert_eq!(is_failure(&adapter.announce(remote, local, None, query)), announce.is_err());
    let too_many = scrape.as_ref().is_ok_and(|scrape| scrape.info_hashes.len() > 128);
    assert_eq!(is_failure(&adapter.scrape(remote, None, query)), scrape.is_err() || too_many);
}

fn adapter() -> Adapter {
    let mut rng = StdRng::seed_from_u64(1);
    let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut rng).expect("a valid configuration");
    let http = HttpConfig::default().with(|config| config.full_scrape = true);
    Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), http).expect("a valid configuration")
}

fn is_failure(answer: &[u8]) -> bool {
    let document = bencode::Decoder::strict().decode(answer).expect("an answer is canonical bencode");
    let answer = document.root().as_dict().expect("an answer is a dictionary");
    answer.get(b"failure reason").is_some()
}
