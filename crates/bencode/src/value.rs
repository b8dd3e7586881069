//! Handles to the values of a document.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

use crate::{Document, leaf};

/// A value of a [`Document`]: a handle of two words, free to copy.
#[derive(Clone, Copy)]
pub struct Value<'a, 'd> {
    document: &'d Document<'a>,
    index: u32,
}

/// The four kinds of value of [BEP 3](https://www.bittorrent.org/beps/bep_0003.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `i42e`.
    Integer,
    /// `3:abc`: bytes, not necessarily text.
    Bytes,
    /// `l…e`.
    List,
    /// `d…e`.
    Dict,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Bytes => "string",
            Self::List => "list",
            Self::Dict => "dict",
        })
    }
}

impl<'a, 'd> Value<'a, 'd> {
    pub(crate) const fn new(document: &'d Document<'a>, index: u32) -> Self {
        Self { document, index }
    }

    /// The kind of the value.
    pub fn kind(self) -> Kind {
        match self.document.input()[self.span().start] {
            b'i' => Kind::Integer,
            b'l' => Kind::List,
            b'd' => Kind::Dict,
            _ => Kind::Bytes,
        }
    }

    /// The range of the input that it occupies, from its first byte (`i`, `l`, `d` or a digit) to its last.
    pub fn span(self) -> Range<usize> {
        self.document.span(self.index)
    }

    /// Its bytes as they stand in the input, such as those that an info-hash is computed over.
    pub fn raw(self) -> &'a [u8] {
        &self.document.input()[self.span()]
    }

    /// The content, if it is a string.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        (self.kind() == Kind::Bytes).then(|| self.document.content(self.index))
    }

    /// The content, if it is a string of valid UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The integer, if it is one from −2⁶³ to 2⁶³−1.
    pub fn as_i64(self) -> Option<i64> {
        i64::try_from(self.as_i128()?).ok()
    }

    /// The integer, if it is one from 0 to 2⁶⁴−1.
    pub fn as_u64(self) -> Option<u64> {
        u64::try_from(self.as_i128()?).ok()
    }

    /// The list, if it is one.
    pub fn as_list(self) -> Option<List<'a, 'd>> {
        let Self { document, index } = self;
        (self.kind() == Kind::List).then_some(List { document, index })
    }

    /// The dict, if it is one.
    pub fn as_dict(self) -> Option<Dict<'a, 'd>> {
        let Self { document, index } = self;
        (self.kind() == Kind::Dict).then_some(Dict { document, index })
    }

    fn as_i128(self) -> Option<i128> {
        if self.kind() != Kind::Integer {
            return None;
        }
        let magnitude = i128::from(leaf::magnitude(self.document.digits(self.index))?);
        let negative = self.raw().starts_with(b"i-");
        Some(if negative { -magnitude } else { magnitude })
    }
}

impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("kind", &self.kind()).field("span", &self.span()).finish()
    }
}

/// The elements of a list, in their order.
#[derive(Clone, Copy)]
pub struct List<'a, 'd> {
    document: &'d Document<'a>,
    index: u32,
}

impl<'a, 'd> List<'a, 'd> {
    /// Iterates over the elements. Each step takes constant time, whatever the element holds.
    pub fn iter(self) -> ListIter<'a, 'd> {
        ListIter { document: self.document, next: self.index + 1, remaining: self.len() }
    }

    /// The number of elements, in constant time.
    pub fn len(self) -> usize {
        self.document.entries(self.index)
    }

    /// Returns `true` if there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<'a, 'd> IntoIterator for List<'a, 'd> {
    type Item = Value<'a, 'd>;
    type IntoIter = ListIter<'a, 'd>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for List<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// The entries of a dict, in the order of the input: sorted by key, unless the document
/// [deviates](crate::DeviationKind::UnsortedKeys).
#[derive(Clone, Copy)]
pub struct Dict<'a, 'd> {
    document: &'d Document<'a>,
    index: u32,
}

impl<'a, 'd> Dict<'a, 'd> {
    /// The value of the first occurrence of `key`. The search is linear in the number of keys.
    pub fn get(self, key: impl AsRef<[u8]>) -> Option<Value<'a, 'd>> {
        let key = key.as_ref();
        self.iter().find_map(|(candidate, value)| (candidate == key).then_some(value))
    }

    /// Iterates over the keys and their values. Each step takes constant time, whatever the value holds.
    pub fn iter(self) -> DictIter<'a, 'd> {
        DictIter { document: self.document, next: self.index + 1, remaining: self.len() }
    }

    /// The number of entries, duplicates included, in constant time.
    pub fn len(self) -> usize {
        self.document.entries(self.index)
    }

    /// Returns `true` if there are no entries.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The first key, in the order of the input, that repeats an earlier one.
    ///
    /// Readers disagree on which of the two values counts, so a format whose meaning matters should refuse it. Takes
    /// time linear in the keys, and allocates only when they are not in order.
    pub fn duplicate_key(self) -> Option<&'a [u8]> {
        let keys = self.iter().map(|(key, _)| key);
        if keys.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let repeated = self.document.repeated_keys(self.index);
        repeated.first().map(|&key| self.document.content(key))
    }
}

impl<'a, 'd> IntoIterator for Dict<'a, 'd> {
    type Item = (&'a [u8], Value<'a, 'd>);
    type IntoIter = DictIter<'a, 'd>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Dict<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(key, value)| (key.escape_ascii(), value));
        let mut map = f.debug_map();
        for (key, value) in entries {
            map.entry(&format_args!("\"{key}\""), &value);
        }
        map.finish()
    }
}

/// Iterates over a [`List`].
#[derive(Debug, Clone)]
pub struct ListIter<'a, 'd> {
    document: &'d Document<'a>,
    next: u32,
    remaining: usize,
}

impl<'a, 'd> Iterator for ListIter<'a, 'd> {
    type Item = Value<'a, 'd>;

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let value = Value::new(self.document, self.next);
        self.next = self.document.after(self.next);
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for ListIter<'_, '_> {}
impl FusedIterator for ListIter<'_, '_> {}

/// Iterates over a [`Dict`].
#[derive(Debug, Clone)]
pub struct DictIter<'a, 'd> {
    document: &'d Document<'a>,
    next: u32,
    remaining: usize,
}

impl<'a, 'd> Iterator for DictIter<'a, 'd> {
    type Item = (&'a [u8], Value<'a, 'd>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let key = self.document.content(self.next);
        let value = Value::new(self.document, self.next + 1);
        self.next = self.document.after(self.next + 1);
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for DictIter<'_, '_> {}
impl FusedIterator for DictIter<'_, '_> {}
