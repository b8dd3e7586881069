//! The range of bytes that a request asks for.

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::RANGE;

/// What to send of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// These bytes; at least one.
    Part(Range<u64>),
    /// Nothing: the file has none of the bytes.
    Unsatisfiable,
}

impl Selection {
    /// What a request asks for of a file of `len` bytes, by its `Range`
    /// ([RFC 9110, section 14](https://www.rfc-editor.org/rfc/rfc9110#section-14)).
    ///
    /// A range that is malformed, or of another unit, counts as none, as the RFC allows; so do several, which no BitTorrent
    /// client and no browser's download asks for, and any of an empty file, of which there is no part.
    pub(super) fn of(headers: &HeaderMap, len: u64) -> Self {
        let mut values = headers.get_all(RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Self::Whole };
        value.to_str().ok().filter(|_| len > 0).and_then(|value| Self::parse(value, len)).unwrap_or(Self::Whole)
    }

    /// `None` if it is not one valid range of bytes.
    fn parse(value: &str, len: u64) -> Option<Self> {
        let (unit, range) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let range = match (first, last) {
            ("", suffix) => len.saturating_sub(number(suffix)?)..len,
            (first, "") => number(first)?..len,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(len)
            }
        };
        Some(if range.is_empty() { Self::Unsatisfiable } else { Self::Part(range) })
    }
}

/// Digits only. What is too large for 64 bits is larger than any file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn selection(values: &[&str], len: u64) -> Selection {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(RANGE, HeaderValue::from_str(value).unwrap());
        }
        Selection::of(&headers, len)
    }

    #[test]
    fn one_range_is_a_part() {
        for (value, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=0-100", 0..100),
            ("bytes=10-19", 10..20),
            ("bytes=99-", 99..100),
            ("bytes=0-", 0..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=-101", 0..100),
            ("bytes=90-99999999999999999999999999", 90..100),
            ("bytes=-99999999999999999999999999", 0..100),
            ("bytes=18446744073709551615-18446744073709551615", 100..100),
            ("Bytes= 5-6 ", 5..7),
            ("bytes=007-8", 7..9),
        ] {
            let expected = if expected.is_empty() { Selection::Unsatisfiable } else { Selection::Part(expected) };
            assert_eq!(selection(&[value], 100), expected, "{value}");
        }
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        for value in ["bytes=100-", "bytes=100-100", "bytes=-0", "bytes=99999999999999999999999999-"] {
            assert_eq!(selection(&[value], 100), Selection::Unsatisfiable, "{value}");
        }
    }

    #[test]
    fn what_is_not_one_range_is_the_whole() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=-1-2",
            "bytes=0-1,5-6",
            "bytes=0-1,",
            "bytes 0-1",
            "pieces=0-1",
            "bytes=0x0-0x1",
            "bytes=1 - 2",
        ] {
            assert_eq!(selection(&[value], 100), Selection::Whole, "{value}");
        }
        assert_eq!(selection(&[], 100), Selection::Whole);
        assert_eq!(selection(&["bytes=0-1", "bytes=0-1"], 100), Selection::Whole);
        for value in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(selection(&[value], 0), Selection::Whole, "{value}");
        }
    }
}
