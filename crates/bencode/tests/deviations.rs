//! Inputs that are not canonical, and the result of each decoder. They include every case on which common bencode libraries
//! disagree.

use bencode::DecodeErrorKind::*;
use bencode::DeviationKind::*;
use bencode::{DecodeErrorKind, Decoder, Deviation, DeviationKind, Expected};

/// An input, and its deviations with their offsets.
type Flagged = (&'static [u8], &'static [(DeviationKind, usize)]);

/// Inputs that the lenient decoder accepts and flags. The strict one refuses the first of the deviations.
const FLAGGED: &[Flagged] = &[
    // Negative zero.
    (b"i-0e", &[(NegativeZero, 1)]),
    (b"i-00e", &[(NegativeZero, 1), (LeadingZero, 2)]),
    // Leading zeros.
    (b"i03e", &[(LeadingZero, 1)]),
    (b"i00e", &[(LeadingZero, 1)]),
    (b"i-03e", &[(LeadingZero, 2)]),
    (b"i0000000000000000000000000000018446744073709551615e", &[(LeadingZero, 1)]),
    (b"01:a", &[(LeadingZero, 0)]),
    (b"00:", &[(LeadingZero, 0)]),
    (b"d01:a0:e", &[(LeadingZero, 1)]),
    (b"0000000000000000000000000000000000000000000000001:a", &[(LeadingZero, 0)]),
    // Keys out of order, once for each dict.
    (b"d1:b0:1:a0:e", &[(UnsortedKeys, 6)]),
    (b"d1:c0:1:b0:1:a0:e", &[(UnsortedKeys, 6)]),
    (b"d2:aa0:1:a0:e", &[(UnsortedKeys, 7)]),
    (b"d1:\xff0:1:a0:e", &[(UnsortedKeys, 6)]),
    (b"d1:bd1:d0:1:c0:e1:a0:e", &[(UnsortedKeys, 10), (UnsortedKeys, 16)]),
    // Duplicate keys, side by side and not.
    (b"d1:a0:1:a0:e", &[(DuplicateKey, 6)]),
    (b"d1:a0:1:a0:1:a0:e", &[(DuplicateKey, 6), (DuplicateKey, 11)]),
    (b"d0:0:0:0:e", &[(DuplicateKey, 5)]),
    (b"d1:a0:1:b0:1:a0:e", &[(UnsortedKeys, 11), (DuplicateKey, 11)]),
    (b"d1:b0:1:a0:1:b0:e", &[(UnsortedKeys, 6), (DuplicateKey, 11)]),
    (b"d1:a0:1:a0:1:0i1ee", &[(DuplicateKey, 6), (UnsortedKeys, 11)]),
    (b"d1:ad1:x0:1:x0:e1:a0:e", &[(DuplicateKey, 10), (DuplicateKey, 16)]),
    // The same key spelled in two ways.
    (b"d1:a0:01:a0:e", &[(LeadingZero, 6), (DuplicateKey, 6)]),
    // The same key in two dicts is no duplicate.
    (b"d1:bd1:b0:e1:ad1:b0:ee", &[(UnsortedKeys, 11)]),
    // Bytes behind the value.
    (b"i1e\n", &[(TrailingBytes, 3)]),
    (b"i1ei2e", &[(TrailingBytes, 3)]),
    (b"0:0:", &[(TrailingBytes, 2)]),
    (b"dee", &[(TrailingBytes, 2)]),
    (b"4:spamx", &[(TrailingBytes, 6)]),
    (b"le\0\0\0\0", &[(TrailingBytes, 2)]),
    // All at once.
    (
        b"d1:bi-0e1:bi03e1:a0:e\r\n",
        &[(NegativeZero, 5), (DuplicateKey, 8), (LeadingZero, 12), (UnsortedKeys, 15), (TrailingBytes, 21)],
    ),
];

/// Inputs that neither decoder accepts, with the error and its offset.
const REFUSED: &[(&[u8], DecodeErrorKind, usize)] = &[
    // No value.
    (b"", end(Expected::Value), 0),
    (b"e", byte(b'e', Expected::Value), 0),
    (b"\n", byte(b'\n', Expected::Value), 0),
    (b" i1e", byte(b' ', Expected::Value), 0),
    (b"\xef\xbb\xbfi1e", byte(0xef, Expected::Value), 0),
    (b"<html>", byte(b'<', Expected::Value), 0),
    (b"{}", byte(b'{', Expected::Value), 0),
    (b"I1e", byte(b'I', Expected::Value), 0),
    // Integers.
    (b"ie", byte(b'e', Expected::SignOrDigit), 1),
    (b"i-e", byte(b'e', Expected::Digit), 2),
    (b"i--1e", byte(b'-', Expected::Digit), 2),
    (b"i+3e", byte(b'+', Expected::SignOrDigit), 1),
    (b"i+0e", byte(b'+', Expected::SignOrDigit), 1),
    (b"i 3e", byte(b' ', Expected::SignOrDigit), 1),
    (b"i3 e", byte(b' ', Expected::EndOfInteger), 2),
    (b"i1_0e", byte(b'_', Expected::EndOfInteger), 2),
    (b"i1-e", byte(b'-', Expected::EndOfInteger), 2),
    (b"i1.0e", byte(b'.', Expected::EndOfInteger), 2),
    (b"i1E5e", byte(b'E', Expected::EndOfInteger), 2),
    (b"i0x10e", byte(b'x', Expected::EndOfInteger), 2),
    (b"i\xd9\xa3e", byte(0xd9, Expected::SignOrDigit), 1),
    (b"i", end(Expected::SignOrDigit), 1),
    (b"i-", end(Expected::Digit), 2),
    (b"i1", end(Expected::EndOfInteger), 2),
    (b"i18446744073709551616e", IntegerOverflow { digits: 20 }, 0),
    (b"i-9223372036854775809e", IntegerOverflow { digits: 19 }, 0),
    (b"i-18446744073709551615e", IntegerOverflow { digits: 20 }, 0),
    (b"i340282366920938463463374607431768211456e", IntegerOverflow { digits: 39 }, 0),
    (b"li1ei00099999999999999999999ee", IntegerOverflow { digits: 20 }, 4),
    // Strings.
    (b"5:abc", short(5, 3), 0),
    (b"1:", short(1, 0), 0),
    (b"l4:spam9:eggse", short(9, 5), 7),
    (b"4294967296:a", short(1 << 32, 1), 0),
    (b"18446744073709551615:a", short(u64::MAX, 1), 0),
    (b"18446744073709551616:a", LengthOverflow { digits: 20 }, 0),
    (b"0099999999999999999999:a", LengthOverflow { digits: 20 }, 0),
    (b"-1:a", byte(b'-', Expected::Value), 0),
    (b"+1:a", byte(b'+', Expected::Value), 0),
    (b":a", byte(b':', Expected::Value), 0),
    (b"1 :a", byte(b' ', Expected::EndOfLength), 1),
    (b"1;a", byte(b';', Expected::EndOfLength), 1),
    (b"1a:a", byte(b'a', Expected::EndOfLength), 1),
    (b"1", end(Expected::EndOfLength), 1),
    (b"12345", end(Expected::EndOfLength), 5),
    // Lists.
    (b"l", end(Expected::Element), 1),
    (b"li1e", end(Expected::Element), 4),
    (b"lle", end(Expected::Element), 3),
    (b"l e", byte(b' ', Expected::Element), 1),
    (b"li1e,i2ee", byte(b',', Expected::Element), 4),
    // Dicts.
    (b"d", end(Expected::Key), 1),
    (b"d1:a", end(Expected::ValueOfKey), 4),
    (b"d1:a0:", end(Expected::Key), 6),
    (b"d1:ae", byte(b'e', Expected::ValueOfKey), 4),
    (b"d1:a0:1:be", byte(b'e', Expected::ValueOfKey), 9),
    (b"di1e1:ae", byte(b'i', Expected::Key), 1),
    (b"dle1:ae", byte(b'l', Expected::Key), 1),
    (b"dde1:ae", byte(b'd', Expected::Key), 1),
    (b"d1:a0:i1e0:e", byte(b'i', Expected::Key), 6),
    (b"d-1:a0:e", byte(b'-', Expected::Key), 1),
    // An error behind a deviation is still an error.
    (b"li03ei+3ee", byte(b'+', Expected::SignOrDigit), 6),
];

const fn byte(found: u8, expected: Expected) -> DecodeErrorKind {
    UnexpectedByte { found, expected }
}

const fn end(expected: Expected) -> DecodeErrorKind {
    UnexpectedEnd { expected }
}

const fn short(length: u64, remaining: usize) -> DecodeErrorKind {
    ShortString { length, remaining }
}

#[test]
fn lenient_accepts_and_flags() {
    for (input, deviations) in FLAGGED {
        let shown = input.escape_ascii();
        let document = Decoder::lenient().decode(input).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let found: Vec<_> = document.deviations().iter().map(|&Deviation { kind, offset }| (kind, offset)).collect();
        assert_eq!(found, *deviations, "{shown}");
    }
}

#[test]
fn strict_refuses_what_lenient_flags() {
    for (input, deviations) in FLAGGED {
        let shown = input.escape_ascii();
        let error = Decoder::strict().decode(input).expect_err("not canonical");
        let (kind, offset) = deviations[0];
        assert_eq!(*error.kind(), NotCanonical(kind), "{shown}");
        assert_eq!(error.offset(), offset, "{shown}");
    }
}

#[test]
fn both_refuse_the_rest() {
    for (input, kind, offset) in REFUSED {
        let shown = input.escape_ascii();
        let error = Decoder::lenient().decode(input).expect_err("no bencode");
        assert_eq!(error.kind(), kind, "{shown}");
        assert_eq!(error.offset(), *offset, "{shown}");
        let error = Decoder::strict().decode(input).expect_err("no bencode");
        if !matches!(error.kind(), NotCanonical(_)) {
            assert_eq!(error.kind(), kind, "{shown}");
            assert_eq!(error.offset(), *offset, "{shown}");
        }
    }
}

#[test]
fn deviant_values_are_what_they_mean() {
    let int = |input| Decoder::lenient().decode(input).expect("lenient").root().as_i64();
    assert_eq!(int(b"i-0e"), Some(0));
    assert_eq!(int(b"i-00e"), Some(0));
    assert_eq!(int(b"i000e"), Some(0));
    assert_eq!(int(b"i03e"), Some(3));
    assert_eq!(int(b"i-03e"), Some(-3));
    assert_eq!(int(b"i-0009223372036854775808e"), Some(i64::MIN));

    let document = Decoder::lenient().decode(b"0003:abc").expect("lenient");
    assert_eq!(document.root().as_bytes(), Some(&b"abc"[..]));
    assert_eq!(document.root().span(), 0..8);
}

#[test]
fn the_first_of_duplicate_keys_counts() {
    let document = Decoder::lenient().decode(b"d1:bi1e1:ai2e1:bi3e1:ai4ee").expect("lenient");
    let dict = document.root().as_dict().expect("a dict");
    assert_eq!(dict.len(), 4);
    assert_eq!(dict.get("b").and_then(|value| value.as_i64()), Some(1));
    assert_eq!(dict.get("a").and_then(|value| value.as_i64()), Some(2));
    assert_eq!(dict.duplicate_key(), Some(&b"b"[..]));
    let keys: Vec<_> = dict.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"b", b"a", b"b", b"a"]);

    let adjacent = Decoder::lenient().decode(b"d1:ai1e1:ai2e1:bi3ee").expect("lenient");
    let dict = adjacent.root().as_dict().expect("a dict");
    assert_eq!(dict.duplicate_key(), Some(&b"a"[..]));
}

#[test]
fn trailing_bytes_are_handed_out() {
    let document = Decoder::lenient().decode(b"d1:ai1ee\r\n").expect("lenient");
    assert_eq!(document.trailing(), b"\r\n");
    assert_eq!(document.root().raw(), b"d1:ai1ee");
}

#[test]
fn the_list_of_deviations_is_short_and_has_each_kind() {
    let mut input = b"d1:b0:1:a0:".to_vec();
    for _ in 0..1000 {
        input.extend_from_slice(b"1:ai-00e");
    }
    input.extend_from_slice(b"en");

    let document = Decoder::lenient().decode(&input).expect("lenient");
    for (kind, count) in [
        (LeadingZero, Deviation::MAX_PER_KIND),
        (NegativeZero, Deviation::MAX_PER_KIND),
        (UnsortedKeys, 1),
        (DuplicateKey, Deviation::MAX_PER_KIND),
        (TrailingBytes, 1),
    ] {
        let found = document.deviations().iter().filter(|deviation| deviation.kind == kind);
        assert_eq!(found.count(), count, "{kind}");
    }
    // The duplicates found are the first ones.
    let mut duplicates = document.deviations().iter().filter(|deviation| deviation.kind == DuplicateKey);
    assert_eq!(duplicates.next().map(|duplicate| duplicate.offset), Some(11));
}
