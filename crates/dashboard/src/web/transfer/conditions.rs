//! The conditions of a request.

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

/// What tells one state of a file from another.
#[derive(Debug)]
pub(super) struct Validators {
    /// A strong entity tag, with its quotes and without commas.
    pub(super) etag: String,
    /// In whole seconds, as the header has it.
    modified: SystemTime,
}

/// The outcome of a request's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The file is sent; a part of it only if `ranges`.
    Send {
        /// `false` if the part that is asked for was of another state of the file.
        ranges: bool,
    },
    /// The client has it already.
    NotModified,
    /// It is not the one that the client wants.
    Failed,
}

impl Validators {
    pub(super) fn new(etag: String, modified: SystemTime) -> Self {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { etag, modified: SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()) }
    }

    /// The value of `Last-Modified`. `None` for a time that the header cannot tell, or that is yet to come.
    pub(super) fn last_modified(&self) -> Option<String> {
        // What comes after 9999 has no date.
        let is_told = self.modified <= SystemTime::now();
        is_told.then(|| httpdate::fmt_http_date(self.modified))
    }

    /// Evaluates the conditions of a request for this file, in the order of
    /// [RFC 9110, section 13.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2). A date that is malformed is no
    /// condition.
    pub(super) fn evaluate(&self, headers: &HeaderMap) -> Outcome {
        let is_met = if headers.contains_key(IF_MATCH) {
            self.is_listed(headers, IF_MATCH, false)
        } else {
            date(headers, IF_UNMODIFIED_SINCE).is_none_or(|since| self.modified <= since)
        };
        if !is_met {
            return Outcome::Failed;
        }
        let is_known = if headers.contains_key(IF_NONE_MATCH) {
            self.is_listed(headers, IF_NONE_MATCH, true)
        } else {
            date(headers, IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since)
        };
        if is_known {
            return Outcome::NotModified;
        }
        let ranges = headers.get(IF_RANGE).is_none_or(|condition| {
            // A date is compared exactly: a file that was replaced by an older one has another date, too.
            condition == self.etag.as_str() || date(headers, IF_RANGE).is_some_and(|date| date == self.modified)
        });
        Outcome::Send { ranges }
    }

    /// Returns `true` if the header lists the entity tag, or `*`.
    fn is_listed(&self, headers: &HeaderMap, name: HeaderName, is_weak: bool) -> bool {
        let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
            let tag = tag.strip_prefix("W/").filter(|_| is_weak).unwrap_or(tag);
            tag == "*" || tag == self.etag
        })
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn outcome(headers: &[(HeaderName, &str)]) -> Outcome {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_250);
        let validators = Validators::new("\"1\"".to_owned(), modified);
        assert_eq!(validators.last_modified().unwrap(), THEN);
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        validators.evaluate(&headers.collect())
    }

    #[test]
    fn conditions() {
        use Outcome::{Failed, NotModified, Send};

        let (all, whole) = (Send { ranges: true }, Send { ranges: false });
        for (headers, expected) in [
            (&[][..], all),
            (&[(IF_NONE_MATCH, "\"1\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"1\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"0\", \"1\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"2\"")], all),
            (&[(IF_NONE_MATCH, "1")], all),
            (&[(IF_NONE_MATCH, "\"2\""), (IF_MODIFIED_SINCE, AFTER)], all),
            (&[(IF_MODIFIED_SINCE, BEFORE)], all),
            (&[(IF_MODIFIED_SINCE, THEN)], NotModified),
            (&[(IF_MODIFIED_SINCE, AFTER)], NotModified),
            (&[(IF_MODIFIED_SINCE, "yesterday")], all),
            (&[(IF_MATCH, "\"1\"")], all),
            (&[(IF_MATCH, "*")], all),
            (&[(IF_MATCH, "\"2\"")], Failed),
            (&[(IF_MATCH, "W/\"1\"")], Failed),
            (&[(IF_MATCH, "\"2\""), (IF_NONE_MATCH, "\"1\"")], Failed),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed),
            (&[(IF_UNMODIFIED_SINCE, THEN)], all),
            (&[(IF_UNMODIFIED_SINCE, "yesterday")], all),
            (&[(IF_MATCH, "\"1\""), (IF_UNMODIFIED_SINCE, BEFORE)], all),
            (&[(IF_RANGE, "\"1\"")], all),
            (&[(IF_RANGE, "\"2\"")], whole),
            (&[(IF_RANGE, "W/\"1\"")], whole),
            (&[(IF_RANGE, THEN)], all),
            (&[(IF_RANGE, BEFORE)], whole),
            (&[(IF_RANGE, AFTER)], whole),
            (&[(IF_RANGE, "yesterday")], whole),
        ] {
            assert_eq!(outcome(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_time_to_come_is_not_told() {
        let later = SystemTime::now() + Duration::from_secs(3600);
        assert_eq!(Validators::new(String::new(), later).last_modified(), None);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(3600);
        assert_eq!(Validators::new(String::new(), before).last_modified().unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
