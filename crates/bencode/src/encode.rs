//! The encoder.

use std::mem;
use std::ops::Range;

use bytes::BufMut;
use thiserror::Error;

/// Encodes one value, which `write` describes, into a new vector.
///
/// ```
/// let answer = bencode::encode(|answer| {
///     answer.dict(|answer| {
///         answer.int("interval", 900);
///         answer.bytes("peers", [127, 0, 0, 1, 0x1a, 0xe1]);
///         answer.int("complete", 1); // sorted to the front
///     });
/// })?;
/// assert_eq!(answer, b"d8:completei1e8:intervali900e5:peers6:\x7f\0\0\x01\x1a\xe1e");
/// # Ok::<(), bencode::EncodeError>(())
/// ```
///
/// # Errors
///
/// Returns an [`EncodeError`], but never [`BufferFull`](EncodeError::BufferFull).
pub fn encode(write: impl FnOnce(ValueEncoder<'_>)) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new();
    encoder.encode(write)?;
    Ok(encoder.out)
}

/// Encodes one value, which `write` describes, to the end of `out`. When there is an error, `out` is as it was.
///
/// To encode repeatedly, use an [`Encoder`], which reuses its memory.
///
/// # Errors
///
/// Returns an [`EncodeError`] if the value cannot be encoded or does not fit into `out`.
pub fn encode_to(out: &mut impl BufMut, write: impl FnOnce(ValueEncoder<'_>)) -> Result<(), EncodeError> {
    Encoder::new().encode_to(out, write)
}

/// Why nothing was encoded. Each is a mistake of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A dict was given the same key twice.
    #[error("the dict key \"{}\" is given twice", .key.escape_ascii())]
    DuplicateKey {
        /// The key.
        key: Vec<u8>,
    },

    /// An integer is neither an [`i64`] nor a [`u64`], so that no decoder would take it.
    #[error("the integer {value} does not fit into 64 bits")]
    IntegerOverflow {
        /// The integer.
        value: i128,
    },

    /// A closure dropped its [`ValueEncoder`] and wrote nothing.
    #[error("no value was written")]
    NoValue,

    /// The buffer has a fixed size which the value exceeds.
    #[error("the value takes {needed} bytes, the buffer has room for {remaining}")]
    BufferFull {
        /// The bytes the value takes.
        needed: usize,
        /// The bytes the buffer has left.
        remaining: usize,
    },
}

/// An encoder that keeps its memory from one value to the next, so that encoding values of the same size over and over
/// allocates nothing.
///
/// ```
/// let mut encoder = bencode::Encoder::new();
/// for interval in [60, 900] {
///     let answer = encoder.encode(|answer| answer.dict(|answer| answer.int("interval", interval)))?;
///     assert!(answer.starts_with(b"d8:intervali"));
/// }
/// # Ok::<(), bencode::EncodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    /// The entries of the dicts that are being written, those of an inner dict above those of the outer one.
    entries: Vec<Entry>,
    /// A buffer for sorting the entries of a dict.
    scratch: Vec<u8>,
    /// The first error. Everything written after it is discarded.
    error: Option<EncodeError>,
}

/// An entry of a dict, by where it stands in `out`.
#[derive(Debug, Clone)]
struct Entry {
    /// Of the key with its length before it, and of its value when the dict is complete.
    span: Range<usize>,
    /// The bytes of the key alone.
    key: Range<usize>,
}

impl Encoder {
    /// An encoder without any memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes one value, which `write` describes. The result is valid until the next one is encoded.
    ///
    /// # Errors
    ///
    /// Returns an [`EncodeError`], but never [`BufferFull`](EncodeError::BufferFull).
    pub fn encode(&mut self, write: impl FnOnce(ValueEncoder<'_>)) -> Result<&[u8], EncodeError> {
        self.out.clear();
        // Already empty, unless a closure panicked in the previous call.
        self.entries.clear();
        self.error = None;
        self.value(write);

        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(&self.out),
        }
    }

    /// Encodes one value, which `write` describes, to the end of `out`. When there is an error, `out` is as it was.
    ///
    /// # Errors
    ///
    /// Returns an [`EncodeError`] if the value cannot be encoded or does not fit into `out`.
    pub fn encode_to(
        &mut self,
        out: &mut impl BufMut,
        write: impl FnOnce(ValueEncoder<'_>),
    ) -> Result<(), EncodeError> {
        let encoded = self.encode(write)?;
        let (needed, remaining) = (encoded.len(), out.remaining_mut());
        if needed > remaining {
            return Err(EncodeError::BufferFull { needed, remaining });
        }
        out.put_slice(encoded);
        Ok(())
    }

    /// Calls `write` to write one value.
    fn value(&mut self, write: impl FnOnce(ValueEncoder<'_>)) {
        let start = self.out.len();
        write(ValueEncoder { encoder: self });
        if self.out.len() == start {
            self.fail(EncodeError::NoValue);
        }
    }

    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    /// Writes a number in decimal.
    fn put_number(&mut self, mut number: u64) {
        let mut digits = [0; 20]; // as many as `u64::MAX` has
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[start..]);
    }

    /// Writes a string and returns the range of its content.
    fn put_bytes(&mut self, bytes: &[u8]) -> Range<usize> {
        self.put_number(bytes.len() as u64);
        self.out.push(b':');
        let start = self.out.len();
        self.out.extend_from_slice(bytes);
        start..self.out.len()
    }

    /// Puts the entries from `base` on, a complete dict, into the order of their keys.
    fn sort_entries(&mut self, base: usize) {
        let end = self.out.len();
        let entries = &mut self.entries[base..];
        let Some(first) = entries.first() else { return };
        let body = first.span.start..end;

        let mut next = end;
        for entry in entries.iter_mut().rev() {
            entry.span.end = mem::replace(&mut next, entry.span.start);
        }
        let out = &self.out;
        entries.sort_unstable_by(|a, b| out[a.key.clone()].cmp(&out[b.key.clone()]));

        let duplicate = entries
            .windows(2)
            .find(|pair| out[pair[0].key.clone()] == out[pair[1].key.clone()])
            .map(|pair| out[pair[0].key.clone()].to_vec());

        self.scratch.clear();
        for entry in entries {
            self.scratch.extend_from_slice(&out[entry.span.clone()]);
        }
        self.out[body].copy_from_slice(&self.scratch);
        if let Some(key) = duplicate {
            self.fail(EncodeError::DuplicateKey { key });
        }
    }
}

/// The place for one value. Writing the value uses it up.
#[derive(Debug)]
#[must_use = "a value has to be written"]
pub struct ValueEncoder<'e> {
    encoder: &'e mut Encoder,
}

impl ValueEncoder<'_> {
    /// Writes an integer: any from [`i64::MIN`] to [`u64::MAX`]; others are an
    /// [`IntegerOverflow`](EncodeError::IntegerOverflow).
    pub fn int(self, value: impl Into<i128>) {
        let value = value.into();
        let most = if value < 0 { i64::MIN.unsigned_abs() } else { u64::MAX };
        match u64::try_from(value.unsigned_abs()) {
            Ok(magnitude) if magnitude <= most => {
                let sign: &[u8] = if value < 0 { b"i-" } else { b"i" };
                self.encoder.out.extend_from_slice(sign);
                self.encoder.put_number(magnitude);
                self.encoder.out.push(b'e');
            }
            _ => self.encoder.fail(EncodeError::IntegerOverflow { value }),
        }
    }

    /// Writes a string.
    pub fn bytes(self, bytes: impl AsRef<[u8]>) {
        self.encoder.put_bytes(bytes.as_ref());
    }

    /// Writes a value that is encoded already, as it stands: [`Value::raw`](crate::Value::raw) of another document, such as
    /// an info dict whose info-hash must not change. The caller must ensure that it is exactly one value, and canonical where
    /// that matters.
    pub fn raw(self, encoded: &[u8]) {
        self.encoder.out.extend_from_slice(encoded);
    }

    /// Writes a list of what `write` appends to it.
    pub fn list(self, write: impl FnOnce(&mut ListEncoder<'_>)) {
        let encoder = self.encoder;
        encoder.out.push(b'l');
        write(&mut ListEncoder { encoder });
        encoder.out.push(b'e');
    }

    /// Writes a dict of the entries that `write` adds, in any order.
    ///
    /// The output is sorted by the raw bytes of the keys. Entries that are added in that order are not moved.
    pub fn dict(self, write: impl FnOnce(&mut DictEncoder<'_>)) {
        let encoder = self.encoder;
        let base = encoder.entries.len();
        encoder.out.push(b'd');
        let mut dict = DictEncoder { encoder, base, ascending: true };
        write(&mut dict);
        let DictEncoder { encoder, ascending, .. } = dict;
        if !ascending {
            encoder.sort_entries(base);
        }
        encoder.entries.truncate(base);
        encoder.out.push(b'e');
    }
}

/// Appends elements to a list.
#[derive(Debug)]
pub struct ListEncoder<'e> {
    encoder: &'e mut Encoder,
}

impl ListEncoder<'_> {
    /// Appends an integer; see [`ValueEncoder::int`].
    pub fn int(&mut self, value: impl Into<i128>) {
        self.element().int(value);
    }

    /// Appends a string.
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.element().bytes(bytes);
    }

    /// Appends a value that is encoded already; see [`ValueEncoder::raw`].
    pub fn raw(&mut self, encoded: &[u8]) {
        self.element().raw(encoded);
    }

    /// Appends a list.
    pub fn list(&mut self, write: impl FnOnce(&mut ListEncoder<'_>)) {
        self.element().list(write);
    }

    /// Appends a dict; see [`ValueEncoder::dict`].
    pub fn dict(&mut self, write: impl FnOnce(&mut DictEncoder<'_>)) {
        self.element().dict(write);
    }

    /// Appends the value that `write` writes, for when its kind is not known beforehand.
    pub fn value(&mut self, write: impl FnOnce(ValueEncoder<'_>)) {
        self.encoder.value(write);
    }

    fn element(&mut self) -> ValueEncoder<'_> {
        ValueEncoder { encoder: self.encoder }
    }
}

/// Adds entries to a dict, in any order. A key given twice makes the whole encoding an
/// [`EncodeError::DuplicateKey`].
#[derive(Debug)]
pub struct DictEncoder<'e> {
    encoder: &'e mut Encoder,
    /// The first of its entries.
    base: usize,
    /// `true` if each key so far is greater than the one before.
    ascending: bool,
}

impl DictEncoder<'_> {
    /// Adds an integer; see [`ValueEncoder::int`].
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: impl Into<i128>) {
        self.entry(key.as_ref()).int(value);
    }

    /// Adds a string.
    pub fn bytes(&mut self, key: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) {
        self.entry(key.as_ref()).bytes(bytes);
    }

    /// Adds a value that is encoded already; see [`ValueEncoder::raw`].
    pub fn raw(&mut self, key: impl AsRef<[u8]>, encoded: &[u8]) {
        self.entry(key.as_ref()).raw(encoded);
    }

    /// Adds a list.
    pub fn list(&mut self, key: impl AsRef<[u8]>, write: impl FnOnce(&mut ListEncoder<'_>)) {
        self.entry(key.as_ref()).list(write);
    }

    /// Adds a dict; see [`ValueEncoder::dict`].
    pub fn dict(&mut self, key: impl AsRef<[u8]>, write: impl FnOnce(&mut DictEncoder<'_>)) {
        self.entry(key.as_ref()).dict(write);
    }

    /// Adds the value that `write` writes, for when its kind is not known beforehand.
    pub fn value(&mut self, key: impl AsRef<[u8]>, write: impl FnOnce(ValueEncoder<'_>)) {
        self.entry(key.as_ref()).encoder.value(write);
    }

    fn entry(&mut self, key: &[u8]) -> ValueEncoder<'_> {
        let encoder = &mut *self.encoder;
        if let Some(latest) = encoder.entries[self.base..].last() {
            self.ascending &= encoder.out[latest.key.clone()] < *key;
        }
        let start = encoder.out.len();
        let key = encoder.put_bytes(key);
        let span = start..key.end;
        encoder.entries.push(Entry { span, key });
        ValueEncoder { encoder }
    }
}
