//! The decoded document: a flat table of values.

use std::fmt;
use std::ops::Range;

use crate::repeats::repeats;
use crate::{Deviation, Value};

/// A decoded input: the bytes as they stood, and a flat table of where its values are.
///
/// It borrows the input and copies none of it. Nothing here recurses, whatever the depth of the input: dropping, walking and
/// skipping are loops over the table.
pub struct Document<'a> {
    input: &'a [u8],
    tokens: Vec<Token>,
    pub(crate) deviations: Vec<Deviation>,
}

/// A value. Those inside a list or dict follow it in the table, each with all of its own, so that a subtree is a range of
/// tokens; in a dict keys and values take turns.
#[derive(Clone, Copy)]
struct Token {
    start: u32,
    end: u32,
    /// The first token after this one and all that is in it.
    next: u32,
    /// By kind, the offset of the first digit that counts (integer) or of the content (string), or the number of elements
    /// or entries (list and dict).
    body: u32,
}

const _: () = assert!(size_of::<Token>() == 16);

impl<'a> Document<'a> {
    /// The one value of the input.
    pub fn root(&self) -> Value<'a, '_> {
        Value::new(self, 0)
    }

    /// The places where the input is not canonical, in the order of the input: at most [`Deviation::MAX_PER_KIND`] of each kind.
    ///
    /// Empty means that the strict decoder accepts the input as well.
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// The bytes after the value, which only the lenient decoder accepts.
    pub fn trailing(&self) -> &'a [u8] {
        &self.input[self.span(0).end..]
    }
}

// Methods for the decoder, which fills the table.
impl<'a> Document<'a> {
    /// A document without a value. The decoder returns it only once it has one.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        debug_assert!(u32::try_from(input.len()).is_ok());
        Self { input, tokens: Vec::new(), deviations: Vec::new() }
    }

    pub(crate) fn push(&mut self, span: Range<usize>, body: usize) -> u32 {
        let index = self.tokens.len() as u32;
        self.tokens.push(Token { start: span.start as u32, end: span.end as u32, next: index + 1, body: body as u32 });
        index
    }

    /// Counts one more element or entry of the list or dict.
    pub(crate) fn count_entry(&mut self, index: u32) {
        self.tokens[index as usize].body += 1;
    }

    /// The list or dict ends at `end`, and its subtree with the latest token.
    pub(crate) fn close(&mut self, index: u32, end: usize) {
        let next = self.tokens.len() as u32;
        let token = &mut self.tokens[index as usize];
        token.end = end as u32;
        token.next = next;
    }
}

// Methods for handles. Every index is of a token that exists, because only the document makes handles.
impl<'a> Document<'a> {
    pub(crate) fn input(&self) -> &'a [u8] {
        self.input
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn span(&self, index: u32) -> Range<usize> {
        let token = self.token(index);
        token.start as usize..token.end as usize
    }

    /// The bytes of a string.
    pub(crate) fn content(&self, index: u32) -> &'a [u8] {
        let token = self.token(index);
        &self.input[token.body as usize..token.end as usize]
    }

    /// The digits of an integer that count.
    pub(crate) fn digits(&self, index: u32) -> &'a [u8] {
        let token = self.token(index);
        &self.input[token.body as usize..token.end as usize - 1]
    }

    /// The number of elements or entries of a list or dict.
    pub(crate) fn entries(&self, index: u32) -> usize {
        self.token(index).body as usize
    }

    /// The token after this one and all that is in it.
    pub(crate) fn after(&self, index: u32) -> u32 {
        self.token(index).next
    }

    /// The keys of a dict.
    pub(crate) fn keys(&self, dict: u32) -> impl ExactSizeIterator<Item = u32> {
        let mut key = dict + 1;
        (0..self.entries(dict)).map(move |_| {
            let index = key;
            key = self.after(index + 1);
            index
        })
    }

    /// The keys that repeat an earlier key of the same dict, in order.
    pub(crate) fn repeated_keys(&self, dict: u32) -> Vec<u32> {
        repeats(self.keys(dict).map(|key| (key, self.content(key))))
    }

    fn token(&self, index: u32) -> Token {
        self.tokens[index as usize]
    }
}

/// Leaves out the table, which may have millions of rows.
impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("input_len", &self.input.len())
            .field("tokens", &self.tokens.len())
            .field("deviations", &self.deviations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Decoder, Limits};

    #[test]
    fn the_table_takes_at_most_16_bytes_for_each_byte_of_input() {
        let decoder =
            Decoder::strict().with_limits(Limits { depth: usize::MAX, tokens: usize::MAX, input_len: usize::MAX });
        // No value is shorter than two bytes, and at most half of the table is unused.
        for count in [10, 4096, 4097, 100_000] {
            for input in [
                [&b"l"[..], &b"0:".repeat(count), b"e"].concat(),
                [&b"l"[..], &b"le".repeat(count), b"e"].concat(),
                [b"l".repeat(count), b"e".repeat(count)].concat(),
            ] {
                let document = decoder.decode(&input).expect("canonical");
                assert!(document.len() <= input.len() / 2);
                assert!(document.tokens.capacity() <= input.len());
            }
        }
        let input = format!("4000000:{}", "x".repeat(4_000_000));
        let document = decoder.decode(input.as_bytes()).expect("canonical");
        assert!(document.tokens.capacity() < 10);
    }
}
