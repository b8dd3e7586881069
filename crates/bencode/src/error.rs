//! The errors of decoding.

use std::fmt;

use thiserror::Error;

use crate::DeviationKind;

/// The reason why an input is not accepted, and its position.
///
/// Its text is meant for the person who has the broken file:
///
/// ```
/// use bencode::Decoder;
///
/// let error = Decoder::lenient().decode(b"<html>not found</html>").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "expected a value (a string, integer, list or dict), found '<' at byte 0"
/// );
/// let error = Decoder::lenient().decode(b"d4:name9:ubuntu").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the input is cut short: only 6 bytes follow where a string of 9 bytes begins at byte 7"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct DecodeError {
    kind: DecodeErrorKind,
    offset: usize,
}

impl DecodeError {
    pub(crate) const fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// The kind of error.
    pub const fn kind(&self) -> &DecodeErrorKind {
        &self.kind
    }

    /// The offset in bytes from the start of the input.
    ///
    /// It is the offending byte, or the length of the input where that ends too early. For an integer or string whose size
    /// is the trouble ([`IntegerOverflow`](DecodeErrorKind::IntegerOverflow),
    /// [`LengthOverflow`](DecodeErrorKind::LengthOverflow), [`ShortString`](DecodeErrorKind::ShortString)) it is the first
    /// byte of that integer or string; for [`InputTooLong`](DecodeErrorKind::InputTooLong) it is the first byte over the
    /// limit.
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

/// The kind of a [`DecodeError`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// A byte that cannot stand here: `i 3e`, `i+3e`, `-1:a`, `dle1:ae`, HTML, …
    #[error("expected {expected}, found {}", Byte(*.found))]
    UnexpectedByte {
        /// The byte that stands there.
        found: u8,
        /// The tokens that are allowed there.
        expected: Expected,
    },

    /// The input ends before the value does. An empty input is one of these.
    #[error("the input is cut short: expected {expected}, but it ends")]
    UnexpectedEnd {
        /// The tokens that are allowed next.
        expected: Expected,
    },

    /// A string announces more bytes than the input has left.
    #[error("the input is cut short: only {remaining} bytes follow where a string of {length} bytes begins")]
    ShortString {
        /// The length the string announces, in bytes.
        length: u64,
        /// The bytes left after its colon.
        remaining: usize,
    },

    /// A string length that no 64 bits hold.
    #[error("a string length of {digits} digits does not fit into 64 bits")]
    LengthOverflow {
        /// The number of digits of the length, without leading zeros.
        digits: usize,
    },

    /// An integer that is neither an [`i64`] nor a [`u64`].
    #[error("an integer of {digits} digits does not fit into 64 bits")]
    IntegerOverflow {
        /// The number of digits of the integer, without leading zeros.
        digits: usize,
    },

    /// The strict decoder found a deviation that the lenient one accepts and flags.
    #[error("{0}, which canonical bencode forbids,")]
    NotCanonical(DeviationKind),

    /// Lists and dicts are nested deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("lists and dicts are nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },

    /// There are more values than [`Limits::tokens`](crate::Limits::tokens).
    #[error("there are more than {limit} values")]
    TooManyTokens {
        /// The limit.
        limit: usize,
    },

    /// The input is longer than [`Limits::input_len`](crate::Limits::input_len). Nothing of it was read.
    #[error("the input has {length} bytes, more than the limit of {limit},")]
    InputTooLong {
        /// The length of the input, in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl DecodeErrorKind {
    /// The error for a `rest` that does not begin with an expected token.
    pub(crate) fn unexpected(rest: &[u8], expected: Expected) -> Self {
        match rest.first() {
            Some(&found) => Self::UnexpectedByte { found, expected },
            None => Self::UnexpectedEnd { expected },
        }
    }
}

/// The tokens that the decoder expected where it found something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// The one value of the input.
    Value,
    /// An element of a list, or the `e` that closes it.
    Element,
    /// A key of a dict, which is a string, or the `e` that closes the dict.
    Key,
    /// The value of the key before it.
    ValueOfKey,
    /// A digit, or the minus sign before it.
    SignOrDigit,
    /// A digit after a minus sign.
    Digit,
    /// A further digit, or the `e` that ends an integer.
    EndOfInteger,
    /// A further digit, or the `:` that ends a string length.
    EndOfLength,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a value (a string, integer, list or dict)",
            Self::Element => "an element or the 'e' that closes a list",
            Self::Key => "a key (a string) or the 'e' that closes a dict",
            Self::ValueOfKey => "the value of a dict key",
            Self::SignOrDigit => "a digit or a minus sign",
            Self::Digit => "a digit",
            Self::EndOfInteger => "a digit or the 'e' that ends an integer",
            Self::EndOfLength => "a digit or the ':' that ends a string length",
        })
    }
}

/// A byte as a person can read it: `'<'`, or `0x0a` where it is no visible character.
struct Byte(u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() || self.0 == b' ' {
            write!(f, "'{}'", char::from(self.0))
        } else {
            write!(f, "the byte {:#04x}", self.0)
        }
    }
}
