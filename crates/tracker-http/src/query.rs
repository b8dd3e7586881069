//! The query of a request, taken apart as bytes.
//!
//! Values are bytes, never text: an info-hash, a peer id and a key may hold every byte
//! ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)). So the query is split first and decoded afterwards, and
//! nothing is ever taken for UTF-8.

use std::borrow::Cow;

use memchr::memchr2;

/// The parameters of a query, in the order in which they stand.
///
/// - `&` separates parameters, and so does a second `?`: some clients glue `?info_hash=…` to an announce URL that has a
///   query already. Empty parameters (`&&`) are skipped.
/// - The first `=` separates name and value; a parameter without one has an empty value.
///
/// ```
/// use tracker_http::Query;
///
/// let mut query = Query::new(b"info_hash=%12abc&event=started");
/// let first = query.next().unwrap();
/// assert_eq!(&*first.name.decode()?, b"info_hash");
/// assert_eq!(&*first.value.decode()?, b"\x12abc");
/// # Ok::<(), tracker_http::EscapeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Query<'a> {
    rest: &'a [u8],
}

impl<'a> Query<'a> {
    /// The parameters of this query: what follows the first `?` of the request target, without it.
    pub const fn new(query: &'a [u8]) -> Self {
        Self { rest: query }
    }
}

impl<'a> Iterator for Query<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        while !self.rest.is_empty() {
            let parameter;
            (parameter, self.rest) = split(self.rest, memchr2(b'&', b'?', self.rest));
            if !parameter.is_empty() {
                let (name, value) = split(parameter, parameter.iter().position(|&byte| byte == b'='));
                return Some(Parameter { name: Escaped(name), value: Escaped(value) });
            }
        }
        None
    }
}

/// One parameter of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The text before the first `=`.
    pub name: Escaped<'a>,
    /// The text after it; empty when there is none.
    pub value: Escaped<'a>,
}

/// Bytes as they stand in the request, percent-escapes included.
///
/// Decoding turns `%` and two hexadecimal digits of either case into that byte, and `+` into a space; every other byte
/// stands for itself. (No client sends a `+` for 0x2B: all escape it. Scripts that use their library's form encoding
/// send it for a space.) A `%` without two digits is an error, never guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'a>(&'a [u8]);

impl<'a> Escaped<'a> {
    /// Decodes; borrows when there is nothing to decode.
    ///
    /// # Errors
    ///
    /// [`EscapeError`] when a `%` is not followed by two hexadecimal digits.
    pub fn decode(self) -> Result<Cow<'a, [u8]>, EscapeError> {
        if self.is_plain() {
            return Ok(Cow::Borrowed(self.0));
        }
        self.bytes().collect::<Result<Vec<u8>, _>>().map(Cow::Owned)
    }

    /// Decodes what should be exactly `N` bytes, without allocating; `None` when they are more or fewer.
    ///
    /// # Errors
    ///
    /// [`EscapeError`] when a `%` is not followed by two hexadecimal digits.
    pub fn decode_exact<const N: usize>(self) -> Result<Option<[u8; N]>, EscapeError> {
        if self.is_plain() {
            return Ok(self.0.try_into().ok());
        }
        let mut decoded = [0; N];
        let mut len = 0;
        for byte in self.bytes() {
            let byte = byte?;
            if let Some(slot) = decoded.get_mut(len) {
                *slot = byte;
            }
            len += 1;
        }
        Ok((len == N).then_some(decoded))
    }

    /// Returns `true` if every byte stands for itself.
    fn is_plain(self) -> bool {
        // Without an early exit: nearly all values are short and plain.
        !self.0.iter().fold(false, |escaped, &byte| escaped | (byte == b'%') | (byte == b'+'))
    }

    fn bytes(self) -> impl Iterator<Item = Result<u8, EscapeError>> + 'a {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&first, after) = rest.split_first()?;
            rest = after;
            Some(match first {
                b'+' => Ok(b' '),
                b'%' => match rest {
                    &[high, low, ref after @ ..] => {
                        rest = after;
                        hex_byte(high, low).ok_or(EscapeError)
                    }
                    _ => Err(EscapeError),
                },
                byte => Ok(byte),
            })
        })
    }
}

/// A `%` in the query is not followed by two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed percent-escape in the query")]
pub struct EscapeError;

/// The text before a separator, and the text after it.
fn split(bytes: &[u8], separator: Option<usize>) -> (&[u8], &[u8]) {
    match separator {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// The value of each byte as a hexadecimal digit of either case; [`NO_DIGIT`] where it is none.
const HEX_DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = u8::MAX;

/// The byte that two hexadecimal digits stand for.
fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (HEX_DIGITS[usize::from(high)], HEX_DIGITS[usize::from(low)]);
    (high | low != NO_DIGIT).then_some(high << 4 | low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoded = Vec<(Vec<u8>, Vec<u8>)>;

    fn decode_all(query: &[u8]) -> Result<Decoded, EscapeError> {
        Query::new(query)
            .map(|parameter| Ok((parameter.name.decode()?.into_owned(), parameter.value.decode()?.into_owned())))
            .collect()
    }

    #[test]
    fn splits_before_it_decodes() {
        type Case = (&'static [u8], &'static [(&'static [u8], &'static [u8])]);
        const CASES: &[Case] = &[
            (b"", &[]),
            (b"&&?&", &[]),
            (b"a", &[(b"a", b"")]),
            (b"a=", &[(b"a", b"")]),
            (b"=a", &[(b"", b"a")]),
            (b"a=b=c", &[(b"a", b"b=c")]),
            (b"a=1&b=2&a=3", &[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]),
            (b"passkey=x?info_hash=y", &[(b"passkey", b"x"), (b"info_hash", b"y")]),
            (b"a=%26%3d%3F&b=%25%2b+", &[(b"a", b"&=?"), (b"b", b"%+ ")]),
            (b"info%5Fhash=1", &[(b"info_hash", b"1")]),
            (b"a=%00%ff%Fe", &[(b"a", b"\x00\xff\xfe")]),
            (b"a=()*!_-.~';,/:@", &[(b"a", b"()*!_-.~';,/:@")]),
        ];
        for (query, expected) in CASES {
            let expected: Decoded = expected.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            assert_eq!(decode_all(query), Ok(expected), "{}", query.escape_ascii());
        }
    }

    #[test]
    fn a_malformed_escape_is_an_error() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%2z", "a=%%41", "a=%+1", "%=a", "a=%2&b=0"] {
            assert_eq!(decode_all(query.as_bytes()), Err(EscapeError), "{query}");
            assert!(
                Query::new(query.as_bytes()).any(|parameter| parameter.name.decode_exact::<2>().is_err()
                    || parameter.value.decode_exact::<2>().is_err()),
                "{query}"
            );
        }
    }

    #[test]
    fn borrows_when_nothing_is_escaped() {
        let plain = Query::new(b"port=6881").next().unwrap();
        assert!(matches!(plain.value.decode(), Ok(Cow::Borrowed(b"6881"))));
    }

    #[test]
    fn decodes_an_exact_number_of_bytes_or_none() {
        for (value, expected) in [
            (&b"%01%02%03"[..], Some(*b"\x01\x02\x03")),
            (b"a+%20", Some(*b"a  ")),
            (b"%01%02", None),
            (b"abcd", None),
            (b"", None),
        ] {
            assert_eq!(Escaped(value).decode_exact::<3>(), Ok(expected), "{}", value.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_query_or_an_error(query: Vec<u8>) {
            let _ = decode_all(&query);
        }

        #[test]
        fn escaped_bytes_come_back(parameters: Vec<(Vec<u8>, Vec<u8>)>, upper: bool) {
            let escape = |bytes: &[u8]| -> String {
                bytes.iter().map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }).collect()
            };
            let query: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
            prop_assert_eq!(decode_all(query.join("&").as_bytes()), Ok(parameters));
        }
    }
}
