//! Bytes that have come and are not used yet.

use super::{HandshakeError, MAX_PAD};

/// Bytes that have come and are not used yet.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// Bytes of a pad that were dropped because no mark begins with them.
    skipped: usize,
}

impl Input {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next `N` bytes, once they are all there.
    pub(super) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.bytes.first_chunk()?;
        self.bytes.drain(..N);
        Some(array)
    }

    /// The next bytes, once so many are there.
    pub(super) fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        (length <= self.bytes.len()).then(|| self.bytes.drain(..length).collect())
    }

    /// All bytes that are there.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Drops a pad of unknown length and the mark that ends it. Returns `false` if the mark may still come.
    ///
    /// A pad is looked through once: what cannot be the beginning of the mark is dropped and counted, so that neither memory nor
    /// time grow with the number of segments. There is one such pad in the input of a handshake.
    pub(super) fn skip_past(&mut self, mark: &[u8]) -> Result<bool, HandshakeError> {
        let window = MAX_PAD - self.skipped + mark.len();
        let visible = &self.bytes[..self.bytes.len().min(window)];
        if let Some(at) = visible.windows(mark.len()).position(|bytes| bytes == mark) {
            self.bytes.drain(..at + mark.len());
            return Ok(true);
        }
        if visible.len() == window {
            return Err(HandshakeError::NoSynchronisation);
        }
        let useless = visible.len().saturating_sub(mark.len() - 1);
        self.bytes.drain(..useless);
        self.skipped += useless;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_within_its_window_only() {
        for size in [1, 3, 8, 100, 1000] {
            for pad in [0, 1, 7, 8, 511, 512, 513, 600] {
                let mut input = Input::default();
                // The pad ends as the mark begins.
                let bytes = [&vec![1; pad], &b"\x01\x01marked and more"[..]].concat();
                let mut found = Ok(false);
                for segment in bytes.chunks(size) {
                    input.push(segment);
                    if found == Ok(false) {
                        found = input.skip_past(b"\x01\x01marked");
                        assert!(found != Ok(false) || input.bytes.len() < b"\x01\x01marked".len());
                    }
                }
                if pad <= MAX_PAD {
                    assert_eq!((found, &input.bytes[..]), (Ok(true), &b" and more"[..]), "{pad} in {size}");
                } else {
                    assert_eq!(found, Err(HandshakeError::NoSynchronisation), "{pad} in {size}");
                }
            }
        }
    }

    #[test]
    fn bytes_are_taken_when_all_are_there() {
        let mut input = Input::default();
        input.push(b"abc");
        assert_eq!(input.take(4), None);
        assert_eq!(input.take_array::<4>(), None);
        assert_eq!(input.take(0), Some(Vec::new()));
        input.push(b"def");
        assert_eq!(input.take_array(), Some(*b"abcd"));
        assert_eq!(input.take(1), Some(b"e".to_vec()));
        assert_eq!(input.take_all(), b"f");
    }
}
