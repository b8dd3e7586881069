//! The two tokens that hold no others, integers and strings, as nom parsers.

use nom::bytes::complete::take;
use nom::character::complete::{char, digit1};
use nom::combinator::opt;
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{preceded, terminated};
use nom::{Err, IResult, Parser};

use crate::error::{DecodeError, DecodeErrorKind, Expected};

/// Takes a token off the front of the input.
pub(crate) type Leaf<'a, T> = IResult<&'a [u8], T, Fault>;

/// An integer as it stands.
pub(crate) struct Integer<'a> {
    pub(crate) negative: bool,
    /// Leading zeros included.
    pub(crate) digits: &'a [u8],
}

/// A string as it stands.
pub(crate) struct ByteString<'a> {
    /// The digits of its length, leading zeros included.
    pub(crate) length: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// `i`, perhaps a minus sign, digits, `e`: any [`i64`] or [`u64`].
pub(crate) fn integer(input: &[u8]) -> Leaf<'_, Integer<'_>> {
    let (rest, sign) = preceded(char('i'), opt(char('-'))).parse(input)?;
    let (first, most) = match sign {
        Some(_) => (Expected::Digit, i64::MIN.unsigned_abs()),
        None => (Expected::SignOrDigit, u64::MAX),
    };
    let (rest, digits) =
        terminated(expecting(first, digit1), expecting(Expected::EndOfInteger, char('e'))).parse(rest)?;

    if magnitude(digits).is_none_or(|magnitude| magnitude > most) {
        let digits = digits.len() - leading_zeros(digits);
        return Err(Fault::at(input, DecodeErrorKind::IntegerOverflow { digits }));
    }
    let negative = sign.is_some();
    Ok((rest, Integer { negative, digits }))
}

/// A length in digits, `:`, that many bytes.
pub(crate) fn byte_string(input: &[u8]) -> Leaf<'_, ByteString<'_>> {
    let (rest, digits) = terminated(digit1, expecting(Expected::EndOfLength, char(':'))).parse(input)?;

    let Some(length) = magnitude(digits) else {
        let digits = digits.len() - leading_zeros(digits);
        return Err(Fault::at(input, DecodeErrorKind::LengthOverflow { digits }));
    };
    let remaining = rest.len();
    if length > remaining as u64 {
        return Err(Fault::at(input, DecodeErrorKind::ShortString { length, remaining }));
    }
    let (rest, content) = take(length).parse(rest)?;
    let length = digits;
    Ok((rest, ByteString { length, content }))
}

/// The number that decimal digits stand for, if it fits.
pub(crate) fn magnitude(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// The number of zeros before the significant digits. A zero that is the whole number is significant.
pub(crate) fn leading_zeros(digits: &[u8]) -> usize {
    digits.iter().take(digits.len() - 1).take_while(|&&digit| digit == b'0').count()
}

/// A failed parse: the reason, and the position as the number of bytes that were left.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: DecodeErrorKind,
    remaining: usize,
}

impl Fault {
    /// No other parser can make sense of `rest`.
    fn at(rest: &[u8], kind: DecodeErrorKind) -> Err<Self> {
        Err::Failure(Self { kind, remaining: rest.len() })
    }

    /// The public error, for an input of `length` bytes.
    pub(crate) fn into_error(self, length: usize) -> DecodeError {
        DecodeError::new(self.kind, length - self.remaining)
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(rest: &[u8], _: ErrorKind) -> Self {
        Self { kind: DecodeErrorKind::unexpected(rest, Expected::Value), remaining: rest.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Runs `parser`, and adds the expected token to its error.
fn expecting<'a, O>(
    expected: Expected,
    mut parser: impl Parser<&'a [u8], Output = O, Error = nom::error::Error<&'a [u8]>>,
) -> impl Parser<&'a [u8], Output = O, Error = Fault> {
    move |input: &'a [u8]| {
        parser.parse(input).map_err(|error| {
            error.map(|error| Fault {
                kind: DecodeErrorKind::unexpected(error.input, expected),
                remaining: error.input.len(),
            })
        })
    }
}
