//! Answers of trackers, decoded.

use bencode::{Decoder, Dict, Value};

use crate::violation::{Violation, Violations};

/// The reason that a request has no useful answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// `failure reason`, or the error of BEP 15.
    #[error("the tracker refuses: {0}")]
    Refused(String),
    /// An HTTP status other than 200.
    #[error("the tracker answers with HTTP status {0}")]
    Status(u16),
    /// The connection could not be made, or broke.
    #[error("connection: {0}")]
    Connection(String),
    /// The answer cannot be read. It is also counted as a violation.
    #[error("the answer cannot be read")]
    Unreadable,
}

/// The answer to an announce.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AnnounceAnswer<'a> {
    pub(crate) interval: i64,
    pub(crate) seeders: Option<u64>,
    pub(crate) leechers: Option<u64>,
    /// 6 bytes each (BEP 23).
    pub(crate) peers: &'a [u8],
    /// 18 bytes each (BEP 7).
    pub(crate) peers6: &'a [u8],
}

/// The counts of one torrent in the answer to a scrape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScrapeCounts {
    pub(crate) seeders: u64,
    pub(crate) leechers: u64,
}

/// Decodes the body of an answer over HTTP and calls `read` with its dict.
fn read_dict<T>(
    body: &[u8],
    found: &mut Violations,
    read: impl FnOnce(Dict<'_, '_>, &mut Violations) -> Option<T>,
) -> Result<T, NoAnswer> {
    let document = match Decoder::strict().decode(body) {
        Ok(document) => document,
        Err(_) => match Decoder::lenient().decode(body) {
            Ok(document) => {
                found.add(Violation::NotCanonical);
                document
            }
            Err(_) => {
                found.add(Violation::NotBencode);
                return Err(NoAnswer::Unreadable);
            }
        },
    };
    let Some(dict) = document.root().as_dict() else {
        found.add(Violation::NotBencode);
        return Err(NoAnswer::Unreadable);
    };
    if let Some(reason) = dict.get("failure reason") {
        return Err(NoAnswer::Refused(String::from_utf8_lossy(reason.as_bytes().unwrap_or_default()).into_owned()));
    }
    read(dict, found).ok_or(NoAnswer::Unreadable).inspect_err(|_| found.add(Violation::Keys))
}

/// Decodes the answer to an announce over HTTP (BEP 3) and hands it to `then`.
pub(crate) fn read_announce<T>(
    body: &[u8],
    found: &mut Violations,
    then: impl FnOnce(&AnnounceAnswer<'_>, &mut Violations) -> T,
) -> Result<T, NoAnswer> {
    read_dict(body, found, |dict, found| {
        let count = |key| dict.get(key).and_then(Value::as_u64);
        let compact = |key, stride| match dict.get(key) {
            None => Some(&[][..]),
            Some(peers) => peers.as_bytes().filter(|bytes| bytes.len().is_multiple_of(stride)),
        };
        dict.get("peers")?;
        let answer = AnnounceAnswer {
            interval: dict.get("interval")?.as_i64()?,
            seeders: count("complete"),
            leechers: count("incomplete"),
            peers: compact("peers", 6)?,
            peers6: compact("peers6", 18)?,
        };
        Some(then(&answer, found))
    })
}

/// Decodes the answer to a scrape over HTTP (BEP 48): the counts of each of these info-hashes. `None` for one that is
/// not in the answer.
pub(crate) fn read_scrape(
    body: &[u8],
    info_hashes: &[[u8; 20]],
    found: &mut Violations,
) -> Result<Vec<Option<ScrapeCounts>>, NoAnswer> {
    read_dict(body, found, |dict, _| {
        let files = dict.get("files")?.as_dict()?;
        let counts = |info_hash: &[u8; 20]| {
            let counts = files.get(info_hash)?.as_dict()?;
            let count = |key| counts.get(key)?.as_u64();
            Some(ScrapeCounts { seeders: count("complete")?, leechers: count("incomplete")? })
        };
        Some(info_hashes.iter().map(counts).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announce(body: &[u8]) -> (Result<i64, NoAnswer>, Violations) {
        let mut found = Violations::default();
        let interval = read_announce(body, &mut found, |answer, _| answer.interval);
        (interval, found)
    }

    #[test]
    fn violations_of_an_answer_are_found() {
        for (body, interval, kind) in [
            (&b"d8:intervali60e5:peers0:e"[..], Ok(60), None),
            (b"d8:intervali60e5:peers6:abcdef6:peers60:e", Ok(60), None),
            (b"d5:peers0:8:intervali60ee", Ok(60), Some(Violation::NotCanonical)),
            (b"d8:intervali60e5:peers0:e\n", Ok(60), Some(Violation::NotCanonical)),
            (b"d8:intervali60ee", Err(NoAnswer::Unreadable), Some(Violation::Keys)),
            (b"d8:intervali60e5:peers5:abcdee", Err(NoAnswer::Unreadable), Some(Violation::Keys)),
            (b"d8:interval2:605:peers0:e", Err(NoAnswer::Unreadable), Some(Violation::Keys)),
            (b"<html>", Err(NoAnswer::Unreadable), Some(Violation::NotBencode)),
            (b"le", Err(NoAnswer::Unreadable), Some(Violation::NotBencode)),
            (b"d14:failure reason2:noe", Err(NoAnswer::Refused("no".to_owned())), None),
        ] {
            let (got, found) = announce(body);
            assert_eq!(got, interval, "{}", body.escape_ascii());
            assert_eq!(found.kinds().collect::<Vec<_>>(), Vec::from_iter(kind), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_scrape_has_each_torrent() {
        let mut found = Violations::default();
        let body = b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi2e10:incompletei3eeee";
        let counts = read_scrape(body, &[[b'a'; 20], [b'b'; 20]], &mut found).unwrap();
        assert!(matches!(counts[..], [Some(ScrapeCounts { seeders: 1, leechers: 3 }), None]));
        assert_eq!(read_scrape(b"de", &[], &mut found).unwrap_err(), NoAnswer::Unreadable);
    }
}
