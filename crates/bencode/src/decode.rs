//! The decoder.

use std::cmp::Ordering;

use nom::Finish;

use crate::deviation::Deviations;
use crate::leaf::{self, Leaf};
use crate::{DecodeError, DecodeErrorKind, DeviationKind, Document, Expected};

/// Decodes bencode, by one of two readings and within [`Limits`].
///
/// | | strict | lenient |
/// |---|---|---|
/// | canonical bencode | accepted | accepted |
/// | the five [`DeviationKind`]s | [`NotCanonical`](DecodeErrorKind::NotCanonical) | accepted and flagged |
/// | all else | error | error |
///
/// Use the strict one for what must have one spelling only (what this crate wrote, an info dict of
/// [BEP 52](https://www.bittorrent.org/beps/bep_0052.html)), the lenient one for files from elsewhere. Where both accept an
/// input they see the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    reading: Reading,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Strict,
    Lenient,
}

impl Decoder {
    /// Accepts canonical bencode only, as [BEP 3](https://www.bittorrent.org/beps/bep_0003.html) has it: exactly one value
    /// and nothing behind it; no needless zeros and no negative zero; the keys of a dict strictly ascending by their raw
    /// bytes. Every value has then exactly one spelling.
    #[must_use]
    pub const fn strict() -> Self {
        Self { reading: Reading::Strict, limits: Limits::DEFAULT }
    }

    /// Accepts the five deviations of [`DeviationKind`] as well, and lists them in [`Document::deviations`].
    #[must_use]
    pub const fn lenient() -> Self {
        Self { reading: Reading::Lenient, limits: Limits::DEFAULT }
    }

    /// Returns this decoder with other limits.
    #[must_use]
    pub const fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Decodes the one value that `input` holds. Strings stay where they are; the document borrows them.
    ///
    /// Memory: 16 bytes for each value, which takes at least 2 bytes of input, in a table that doubles as values are found;
    /// 16 bytes for each open list or dict; and, while a dict that is not sorted is searched for duplicates, at most 40 bytes
    /// for each of its keys. Time: linear in the input.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] if the input is not accepted; [`DecodeErrorKind`] lists the reasons.
    pub fn decode<'a>(&self, input: &'a [u8]) -> Result<Document<'a>, DecodeError> {
        let limit = self.limits.input_len.min(u32::MAX as usize);
        if input.len() > limit {
            let length = input.len();
            return Err(DecodeError::new(DecodeErrorKind::InputTooLong { length, limit }, limit));
        }
        Decoding {
            decoder: *self,
            document: Document::new(input),
            offset: 0,
            open: Vec::new(),
            deviations: Deviations::default(),
        }
        .run()
    }
}

/// The decoder's limits. [`Decoder::decode`] returns an error if the input exceeds one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum nesting depth of lists and dicts. Default: 100, as libtorrent has it; real files need about 6.
    /// No limit is too high for the decoder itself, which does not recurse.
    pub depth: usize,
    /// The maximum number of values: integers, strings (the keys of dicts too), lists and dicts. Default: 3,000,000, as
    /// libtorrent has it, which is 48 MB of table.
    pub tokens: usize,
    /// The maximum length of the input, in bytes. Default: 104,857,600 (100 MiB), as qBittorrent has it. More than 4 GiB − 1
    /// counts as 4 GiB − 1, since offsets are kept in 32 bits.
    pub input_len: usize,
}

impl Limits {
    const DEFAULT: Self = Self { depth: 100, tokens: 3_000_000, input_len: 100 * 1024 * 1024 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The state of decoding one input. Decoded values go into the document's table at once; lists and dicts that are not
/// closed yet are kept on an explicit stack.
struct Decoding<'a> {
    decoder: Decoder,
    document: Document<'a>,
    /// Everything before it is decoded.
    offset: usize,
    open: Vec<Open>,
    deviations: Deviations,
}

/// A list or dict whose `e` has not come yet.
struct Open {
    index: u32,
    awaits: Awaits,
    latest_key: Option<u32>,
    order: KeyOrder,
}

#[derive(Clone, Copy)]
enum Awaits {
    Element,
    Key,
    ValueOfKey,
}

/// The order of a dict's keys so far. The variants ascend from best to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KeyOrder {
    Ascending,
    Repeating,
    Unsorted,
}

impl<'a> Decoding<'a> {
    fn run(mut self) -> Result<Document<'a>, DecodeError> {
        self.step()?;
        while !self.open.is_empty() {
            self.step()?;
        }
        if !self.rest().is_empty() {
            self.deviate(DeviationKind::TrailingBytes, self.offset)?;
        }
        self.document.deviations = self.deviations.into_sorted();
        Ok(self.document)
    }

    /// Takes one token: an integer, a string, the start of a list or dict, or the end of one.
    fn step(&mut self) -> Result<(), DecodeError> {
        let rest = self.rest();
        let expected = self.expected();
        match (rest.first(), expected) {
            (Some(b'0'..=b'9'), Expected::Key) => self.key(),
            (Some(b'e'), Expected::Key | Expected::Element) => self.close(),
            (Some(b'0'..=b'9'), _) => self.byte_string().map(drop),
            (Some(b'i'), expected) if expected != Expected::Key => self.integer(),
            (Some(b'l'), expected) if expected != Expected::Key => self.open(Awaits::Element),
            (Some(b'd'), expected) if expected != Expected::Key => self.open(Awaits::Key),
            (_, expected) => Err(self.error(DecodeErrorKind::unexpected(rest, expected))),
        }
    }

    /// The tokens that are allowed at the offset.
    fn expected(&self) -> Expected {
        match self.open.last().map(|open| open.awaits) {
            None => Expected::Value,
            Some(Awaits::Element) => Expected::Element,
            Some(Awaits::Key) => Expected::Key,
            Some(Awaits::ValueOfKey) => Expected::ValueOfKey,
        }
    }

    fn integer(&mut self) -> Result<(), DecodeError> {
        let start = self.offset;
        let integer = self.leaf(leaf::integer)?;

        let digits = start + 1 + usize::from(integer.negative);
        if integer.negative && integer.digits.iter().all(|&digit| digit == b'0') {
            self.deviate(DeviationKind::NegativeZero, start + 1)?;
        }
        let zeros = self.skip_zeros(integer.digits, digits)?;
        self.push(start, digits + zeros).map(drop)
    }

    fn byte_string(&mut self) -> Result<u32, DecodeError> {
        let start = self.offset;
        let string = self.leaf(leaf::byte_string)?;

        self.skip_zeros(string.length, start)?;
        self.push(start, self.offset - string.content.len())
    }

    /// The number of needless leading zeros in the `digits` at `offset`. They are reported as a deviation.
    fn skip_zeros(&mut self, digits: &[u8], offset: usize) -> Result<usize, DecodeError> {
        let zeros = leaf::leading_zeros(digits);
        if zeros > 0 {
            self.deviate(DeviationKind::LeadingZero, offset)?;
        }
        Ok(zeros)
    }

    fn key(&mut self) -> Result<(), DecodeError> {
        let start = self.offset;
        let index = self.byte_string()?;
        let dict = self.open.last_mut().expect("a key is inside a dict");
        let Some(latest) = dict.latest_key.replace(index) else {
            return Ok(());
        };

        let order = match self.document.content(latest).cmp(self.document.content(index)) {
            Ordering::Less => return Ok(()),
            Ordering::Equal => KeyOrder::Repeating,
            Ordering::Greater => KeyOrder::Unsorted,
        };
        let before = dict.order;
        dict.order = before.max(order);
        match order {
            KeyOrder::Unsorted if before != KeyOrder::Unsorted => self.deviate(DeviationKind::UnsortedKeys, start),
            // The lenient reading finds them all when the dict is complete.
            KeyOrder::Repeating if self.decoder.reading == Reading::Strict => {
                self.deviate(DeviationKind::DuplicateKey, start)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, awaits: Awaits) -> Result<(), DecodeError> {
        let limit = self.decoder.limits.depth;
        if self.open.len() >= limit {
            return Err(self.error(DecodeErrorKind::TooDeep { limit }));
        }
        let start = self.offset;
        self.offset += 1;
        let index = self.push(start, 0)?;
        self.open.push(Open { index, awaits, latest_key: None, order: KeyOrder::Ascending });
        Ok(())
    }

    fn close(&mut self) -> Result<(), DecodeError> {
        let open = self.open.pop().expect("an `e` is taken inside a list or dict");
        self.offset += 1;
        self.document.close(open.index, self.offset);

        if open.order != KeyOrder::Ascending {
            for key in self.document.repeated_keys(open.index) {
                let offset = self.document.span(key).start;
                self.deviate(DeviationKind::DuplicateKey, offset)?;
            }
        }
        Ok(())
    }

    /// Adds the value between `start` and the offset to the table and to the list or dict it is in.
    fn push(&mut self, start: usize, body: usize) -> Result<u32, DecodeError> {
        let limit = self.decoder.limits.tokens;
        if self.document.len() >= limit {
            let kind = DecodeErrorKind::TooManyTokens { limit };
            return Err(DecodeError::new(kind, start));
        }
        if let Some(parent) = self.open.last_mut() {
            parent.awaits = match parent.awaits {
                Awaits::Element => Awaits::Element,
                Awaits::Key => Awaits::ValueOfKey,
                Awaits::ValueOfKey => Awaits::Key,
            };
            if let Awaits::Element | Awaits::ValueOfKey = parent.awaits {
                self.document.count_entry(parent.index);
            }
        }
        Ok(self.document.push(start..self.offset, body))
    }

    /// Runs a nom parser at the offset and advances past the bytes it consumed.
    fn leaf<T>(&mut self, parser: fn(&'a [u8]) -> Leaf<'a, T>) -> Result<T, DecodeError> {
        let length = self.document.input().len();
        let (rest, token) = parser(self.rest()).finish().map_err(|fault| fault.into_error(length))?;
        self.offset = length - rest.len();
        Ok(token)
    }

    fn deviate(&mut self, kind: DeviationKind, offset: usize) -> Result<(), DecodeError> {
        match self.decoder.reading {
            Reading::Strict => Err(DecodeError::new(DecodeErrorKind::NotCanonical(kind), offset)),
            Reading::Lenient => {
                self.deviations.push(kind, offset);
                Ok(())
            }
        }
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.offset)
    }

    fn rest(&self) -> &'a [u8] {
        &self.document.input()[self.offset..]
    }
}
