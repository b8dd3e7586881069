//! The one place where an error becomes the answer to a client.
//!
//! A failure is a status of 200 with `failure reason` and, always, `interval`: a client that gets an HTTP error asks again
//! within seconds, and libtorrent without an interval does not for half an hour. `retry in`
//! ([BEP 31](https://www.bittorrent.org/beps/bep_0031.html)) says the same in minutes; no known client obeys it.

use std::fmt::Display;
use std::time::Duration;

use tracker_core::{AnnounceError, ScrapeError};

use crate::announce::AnnounceQueryError;
use crate::scrape::ScrapeQueryError;

/// What can go away by itself, such as a full tracker or a torrent that is registered after its first announce.
const RETRY_SOON: Duration = Duration::from_secs(300);
/// What stays until somebody changes the client's or the tracker's settings.
const RETRY_LATE: Duration = Duration::from_secs(1800);

/// What a client is told instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    reason: String,
    retry_after: Duration,
}

impl Failure {
    fn soon(error: &impl Display) -> Self {
        Self { reason: error.to_string(), retry_after: RETRY_SOON }
    }

    fn late(error: &impl Display) -> Self {
        Self { reason: error.to_string(), retry_after: RETRY_LATE }
    }

    /// The text for the user of the client.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The answer, canonically bencoded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let encoded = bencode::encode(|value| {
            value.dict(|answer| {
                answer.bytes("failure reason", &self.reason);
                answer.int("interval", self.retry_after.as_secs());
                answer.int("retry in", self.retry_after.as_secs() / 60);
            });
        });
        encoded.expect("the keys are all different")
    }
}

impl From<AnnounceQueryError> for Failure {
    fn from(error: AnnounceQueryError) -> Self {
        Self::late(&error)
    }
}

impl From<AnnounceError> for Failure {
    fn from(error: AnnounceError) -> Self {
        if error.is_permanent() { Self::late(&error) } else { Self::soon(&error) }
    }
}

impl From<ScrapeQueryError> for Failure {
    fn from(error: ScrapeQueryError) -> Self {
        Self::late(&error)
    }
}

impl From<ScrapeError> for Failure {
    fn from(error: ScrapeError) -> Self {
        Self::late(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_when_to_come_back() {
        for (failure, expected) in [
            (
                Failure::from(AnnounceQueryError::InvalidPeerId),
                "d14:failure reason24:peer_id must be 20 bytes8:intervali1800e8:retry ini30ee",
            ),
            (
                Failure::from(AnnounceError::TorrentNotAllowed),
                "d14:failure reason47:this torrent is not registered with this tracker8:intervali300e8:retry ini5ee",
            ),
            (
                Failure::from(AnnounceError::TorrentDenied),
                "d14:failure reason46:this torrent is not allowed on this tracker8:intervali1800e8:retry ini30ee",
            ),
            (
                Failure::from(ScrapeQueryError::FullScrapeNotAllowed),
                "d14:failure reason60:info_hash is missing: this tracker does not list its torrents\
                 8:intervali1800e8:retry ini30ee",
            ),
        ] {
            let encoded = failure.encode();
            assert_eq!(encoded.escape_ascii().to_string(), expected);
            assert!(bencode::Decoder::strict().decode(&encoded).is_ok());
        }
    }
}
