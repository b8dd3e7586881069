//! The one place where an error becomes the answer to a client.
//!
//! A failure is a status of 200 with `failure reason` and, always, `interval`: a client that gets an HTTP error asks again
//! within seconds, and libtorrent without an interval does not for half an hour. `retry in`
//! ([BEP 31](https://www.bittorrent.org/beps/bep_0031.html)) says the same in minutes; no known client obeys it.

use std::fmt::Display;
use std::time::Duration;

use tracker_core::{AnnounceError, ScrapeError};

use crate::announce::AnnounceQueryError;
use crate::client_host::ClientHostError;
use crate::forwarded::ForwardedError;
use crate::scrape::ScrapeQueryError;

/// For causes that can go away by themselves, such as a full tracker or a torrent that is registered after its first announce,
/// and for those that the operator lifts with a setting: users who wait for that should not wait for half an hour more.
const RETRY_SOON: Duration = Duration::from_secs(300);
/// For causes that stay until somebody changes the client's settings or the torrent, and for torrents that are denied.
const RETRY_LATE: Duration = Duration::from_secs(1800);

/// An answer that refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    reason: String,
    retry_after: Duration,
    counted_by: CountedBy,
}

/// The place where a refusal is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountedBy {
    /// The core, in [`Totals::refused_announces`](tracker_core::Totals::refused_announces).
    Core,
    /// The adapter, in [`Adapter::failures`](crate::Adapter::failures).
    Adapter,
}

/// An announce or a scrape came to a path that is neither that of announces nor that of scrapes.
#[derive(Debug, thiserror::Error)]
#[error("no tracker answers at {path}: this tracker's {what} URL ends in /{what}{}", as_in(url.as_deref()))]
pub(crate) struct WrongPath {
    /// `announce` or `scrape`.
    pub(crate) what: &'static str,
    /// The path, shortened.
    pub(crate) path: String,
    /// The URL that would have been answered, if it is known.
    pub(crate) url: Option<String>,
}

fn as_in(url: Option<&str>) -> String {
    url.map(|url| format!(", as in {url}")).unwrap_or_default()
}

/// A browser sent an announce or a scrape.
#[derive(Debug, thiserror::Error)]
#[error("this is the URL of a BitTorrent tracker: give it to a BitTorrent client, browsers are not answered")]
pub(crate) struct SentByBrowser;

impl Failure {
    fn soon(error: &impl Display) -> Self {
        Self { reason: error.to_string(), retry_after: RETRY_SOON, counted_by: CountedBy::Adapter }
    }

    fn late(error: &impl Display) -> Self {
        Self { reason: error.to_string(), retry_after: RETRY_LATE, counted_by: CountedBy::Adapter }
    }

    /// The same with another text.
    pub(crate) fn with_reason(self, reason: String) -> Self {
        Self { reason, ..self }
    }

    /// The text for the user of the client.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn counted_by(&self) -> CountedBy {
        self.counted_by
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

impl From<ClientHostError> for Failure {
    fn from(error: ClientHostError) -> Self {
        match error {
            ClientHostError::Unknown { .. } => Self::soon(&error),
            ClientHostError::Unreadable => Self::late(&error),
        }
    }
}

impl From<SentByBrowser> for Failure {
    fn from(error: SentByBrowser) -> Self {
        Self::late(&error)
    }
}

impl From<WrongPath> for Failure {
    fn from(error: WrongPath) -> Self {
        Self::late(&error)
    }
}

impl From<AnnounceError> for Failure {
    fn from(error: AnnounceError) -> Self {
        // Who is refused by mistake asks the operator, who allows it.
        let may_be_lifted = matches!(
            error,
            AnnounceError::AddressNotAllowed { .. }
                | AnnounceError::AddressDenied { .. }
                | AnnounceError::ClientDenied { .. }
        );
        let failure = if error.is_permanent() && !may_be_lifted { Self::late(&error) } else { Self::soon(&error) };
        Self { counted_by: CountedBy::Core, ..failure }
    }
}

impl From<ForwardedError> for Failure {
    fn from(error: ForwardedError) -> Self {
        Self::late(&error)
    }
}

impl From<ScrapeQueryError> for Failure {
    fn from(error: ScrapeQueryError) -> Self {
        Self::late(&error)
    }
}

impl From<ScrapeError> for Failure {
    fn from(error: ScrapeError) -> Self {
        match error {
            ScrapeError::AddressNotAllowed { .. } | ScrapeError::AddressDenied { .. } | ScrapeError::UnknownUser => {
                Self::soon(&error)
            }
            _ => Self::late(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracker_core::PeerId;

    use super::*;

    #[test]
    fn a_failure_says_why_and_when_to_come_back() {
        let invalid = AnnounceQueryError::InvalidPeerId;
        let unregistered = AnnounceError::TorrentNotAllowed;
        let denied = AnnounceError::TorrentDenied;
        let client = AnnounceError::ClientDenied { peer_id: PeerId::new(*b"-XX0001-aaaaaaaaaaaa") };
        let full = AnnounceError::TooManySwarms { limit: 5 };
        let hidden = ScrapeQueryError::FullScrapeNotAllowed;
        let many = ScrapeError::TooManyHashes { limit: 128, asked: 129 };
        for (reason, interval, minutes, failure) in [
            (invalid.to_string(), 1800, 30, Failure::from(invalid)),
            (unregistered.to_string(), 300, 5, Failure::from(unregistered)),
            (denied.to_string(), 1800, 30, Failure::from(denied)),
            (client.to_string(), 300, 5, Failure::from(client)),
            (full.to_string(), 300, 5, Failure::from(full)),
            (hidden.to_string(), 1800, 30, Failure::from(hidden)),
            (many.to_string(), 1800, 30, Failure::from(many)),
        ] {
            let encoded = failure.encode();
            let expected =
                format!("d14:failure reason{}:{reason}8:intervali{interval}e8:retry ini{minutes}ee", reason.len());
            assert_eq!(encoded.escape_ascii().to_string(), expected);
            assert!(bencode::Decoder::strict().decode(&encoded).is_ok());
        }
    }
}
