//! Deviations from canonical bencode that still have a clear meaning.

use std::fmt;

/// One place where an input is not canonical bencode but still has a clear meaning.
///
/// A [lenient](crate::Decoder::lenient) decoder lists them in [`Document::deviations`](crate::Document::deviations).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    /// The kind of deviation.
    pub kind: DeviationKind,
    /// The offset in bytes from the start of the input. Each kind documents which byte it is.
    pub offset: usize,
}

impl Deviation {
    /// The maximum number of deviations of each kind that a document lists; later ones are accepted but not listed.
    ///
    /// So a kind that occurs in an input is always in the list, and a hostile input cannot make the list long.
    pub const MAX_PER_KIND: usize = 16;
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

/// The ways in which real files differ from canonical bencode. The [lenient](crate::Decoder::lenient) decoder
/// accepts these and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviationKind {
    /// An integer or a string length with needless zeros in front: `i03e`, `i00e`, `i-03e`, `03:abc`. The offset is the
    /// first zero.
    LeadingZero,
    /// A zero with a minus sign: `i-0e`. The offset is the minus sign.
    NegativeZero,
    /// A dict whose keys are not in the order of their raw bytes. Flagged once for each dict; the offset is the first key
    /// that should have come earlier.
    UnsortedKeys,
    /// A key that its dict has already, next to it or not. Flagged for each occurrence after the first; the offset is that
    /// occurrence.
    DuplicateKey,
    /// Bytes after the value, often a newline. The offset is the first of them.
    TrailingBytes,
}

impl fmt::Display for DeviationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeadingZero => "a number with leading zeros",
            Self::NegativeZero => "a negative zero",
            Self::UnsortedKeys => "a dict key out of order",
            Self::DuplicateKey => "a dict key that stands twice",
            Self::TrailingBytes => "bytes after the value",
        })
    }
}

/// The list under construction, with a count of each kind.
#[derive(Default)]
pub(crate) struct Deviations {
    list: Vec<Deviation>,
    counts: [usize; 5],
}

impl Deviations {
    pub(crate) fn push(&mut self, kind: DeviationKind, offset: usize) {
        let count = &mut self.counts[kind as usize];
        if *count < Deviation::MAX_PER_KIND {
            *count += 1;
            self.list.push(Deviation { kind, offset });
        }
    }

    /// The list in the order of the input. Sorting is needed because duplicates are found only when their dict ends.
    pub(crate) fn into_sorted(mut self) -> Vec<Deviation> {
        self.list.sort_by_key(|deviation| deviation.offset);
        self.list
    }
}
