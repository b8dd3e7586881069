//! The scrape on the wire ([BEP 48](https://www.bittorrent.org/beps/bep_0048.html)): its query, and its answer.

use tracker_core::{InfoHash, SwarmCounts};

use crate::announce::parse_info_hash;
use crate::query::{EscapeError, Query};

/// What the query of a scrape says: the swarms it asks for.
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
        /// [`MAX_FULL_SCRAPE`].
        limit: usize,
    },
}

/// Most swarms that a full scrape lists: an answer of about 7 MB.
pub const MAX_FULL_SCRAPE: usize = 100_000;

impl ScrapeQuery {
    /// Reads the query of a scrape: what follows the first `?`, without it.
    ///
    /// # Errors
    ///
    /// When an escape is malformed anywhere in it, or an info-hash is. How many info-hashes a scrape may ask for is
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
