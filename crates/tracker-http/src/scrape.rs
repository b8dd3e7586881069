//! The scrape on the wire ([BEP 48](https://www.bittorrent.org/beps/bep_0048.html)): its query, and its answer.

use tracker_core::{InfoHash, SwarmCounts};

use crate::announce::parse_info_hash;
use crate::query::{EscapeError, Query};

/// The query of a scrape: the swarms it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeQuery {
    /// Every `info_hash`, ascending, each once. None at all asks for every swarm there is.
    pub info_hashes: Vec<InfoHash>,
}

/// Why a scrape cannot be answered. The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeQueryError {
    /// A percent-escape is malformed.
    #[error(transparent)]
    Escape(#[from] EscapeError),
    /// An `info_hash` is neither 20 bytes nor 40 hexadecimal digits.
    #[error("info_hash must be 20 bytes")]
    InvalidInfoHash,
    /// There is no `info_hash`, and a full scrape is not allowed.
    #[error("info_hash is missing: this tracker does not list its torrents")]
    FullScrapeNotAllowed,
    /// There is no `info_hash`, and there are too many swarms to list.
    #[error("this tracker has more than {limit} torrents: ask for some of them")]
    TooManySwarms {
        /// [`MAX_FULL_SCRAPE`](crate::MAX_FULL_SCRAPE).
        limit: usize,
    },
}

impl ScrapeQuery {
    /// Reads the query of a scrape: what follows the first `?`, without it.
    ///
    /// # Errors
    ///
    /// Returns an error if an escape or an info-hash is malformed anywhere in it. The number of info-hashes is limited by
    /// [`tracker_core::Config::max_scrape_hashes`].
    pub fn parse(query: &[u8]) -> Result<Self, ScrapeQueryError> {
        let mut info_hashes = Vec::new();
        for parameter in Query::new(query) {
            if *parameter.name.decode()? == *b"info_hash" {
                info_hashes.push(parse_info_hash(parameter.value)?.ok_or(ScrapeQueryError::InvalidInfoHash)?);
            } else {
                parameter.value.decode()?;
            }
        }
        info_hashes.sort_unstable();
        info_hashes.dedup();
        Ok(Self { info_hashes })
    }
}

/// Writes the answer to a scrape, canonically bencoded: `files`, by info-hash.
///
/// A swarm with partial seeds says how many of its peers still download (`downloaders`,
/// [BEP 21](https://www.bittorrent.org/beps/bep_0021.html)). Each info-hash must be there once.
pub fn encode_scrape<'a>(swarms: impl IntoIterator<Item = (&'a InfoHash, &'a SwarmCounts)>) -> Vec<u8> {
    let encoded = bencode::encode(|value| {
        value.dict(|answer| {
            answer.dict("files", |files| {
                for (info_hash, counts) in swarms {
                    files.dict(info_hash.as_bytes(), |swarm| {
                        swarm.int("complete", counts.seeders);
                        swarm.int("downloaded", counts.completed);
                        if counts.partial_seeds > 0 {
                            swarm.int("downloaders", counts.leechers.saturating_sub(counts.partial_seeds));
                        }
                        swarm.int("incomplete", counts.leechers);
                    });
                }
            });
        });
    });
    encoded.expect("each info-hash is there once")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_scrape_asks_for_each_info_hash_once_in_order() {
        let a = InfoHash::new([b'a'; 20]);
        let b = InfoHash::new([b'b'; 20]);
        let low = InfoHash::new([0; 20]);
        let nul = "%00".repeat(20);
        for (query, expected) in [
            ("", vec![]),
            ("x=1", vec![]),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa", vec![a]),
            ("info_hash=bbbbbbbbbbbbbbbbbbbb&info_hash=aaaaaaaaaaaaaaaaaaaa", vec![a, b]),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=%61aaaaaaaaaaaaaaaaaaa", vec![a]),
            ("info_hash=6161616161616161616161616161616161616161", vec![a]),
            (&format!("key=1?info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash={nul}"), vec![low, a]),
        ] {
            assert_eq!(ScrapeQuery::parse(query.as_bytes()), Ok(ScrapeQuery { info_hashes: expected }), "{query}");
        }
    }

    #[test]
    fn one_bad_info_hash_fails_the_scrape() {
        for (query, expected) in [
            ("info_hash=", ScrapeQueryError::InvalidInfoHash),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=a", ScrapeQueryError::InvalidInfoHash),
            ("info_hash=%a", ScrapeQueryError::Escape(EscapeError)),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&x=%a", ScrapeQueryError::Escape(EscapeError)),
        ] {
            assert_eq!(ScrapeQuery::parse(query.as_bytes()), Err(expected), "{query}");
        }
    }

    #[test]
    fn answers_are_these_bytes() {
        let counts = SwarmCounts { seeders: 5, leechers: 10, partial_seeds: 0, completed: 50 };
        let partial = SwarmCounts { seeders: 0, leechers: 3, partial_seeds: 2, completed: 0 };
        let (low, high) = (InfoHash::new([b'a'; 20]), InfoHash::new([0xff; 20]));
        type Case<'a> = (&'a [(&'a InfoHash, &'a SwarmCounts)], &'a [u8]);
        let cases: &[Case<'_>] = &[
            (&[], b"d5:filesdee"),
            (
                &[(&low, &counts)],
                b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei5e10:downloadedi50e10:incompletei10eeee",
            ),
            (
                &[(&low, &SwarmCounts::default()), (&high, &partial)],
                b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei0e10:downloadedi0e10:incompletei0ee\
                  20:\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
                  d8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei3eeee",
            ),
        ];
        for (swarms, expected) in cases {
            let encoded = encode_scrape(swarms.iter().copied());
            assert_eq!(encoded.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_canonical(swarms: BTreeMap<[u8; 20], [u32; 4]>) {
            let swarms: BTreeMap<InfoHash, SwarmCounts> = swarms
                .into_iter()
                .map(|(info_hash, [seeders, leechers, partial_seeds, completed])| {
                    (InfoHash::new(info_hash), SwarmCounts { seeders, leechers, partial_seeds, completed })
                })
                .collect();
            let encoded = encode_scrape(&swarms);
            let document = bencode::Decoder::strict().decode(&encoded).unwrap();
            let files = document.root().as_dict().unwrap().get(b"files").unwrap().as_dict().unwrap();
            prop_assert_eq!(files.len(), swarms.len());
            for (info_hash, counts) in &swarms {
                let swarm = files.get(info_hash.as_bytes()).unwrap().as_dict().unwrap();
                prop_assert_eq!(swarm.get(b"complete").unwrap().as_u64(), Some(counts.seeders.into()));
                prop_assert_eq!(swarm.get(b"downloaders").is_some(), counts.partial_seeds > 0);
            }
        }

        #[test]
        fn any_query_is_a_scrape_or_an_error(query: Vec<u8>) {
            let _ = ScrapeQuery::parse(&query);
        }
    }
}
