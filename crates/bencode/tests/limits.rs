//! Inputs that try to exhaust memory, time or the stack.

use bencode::{DecodeErrorKind, Decoder, DeviationKind, Limits};

fn nested(open: &[u8], innermost: &[u8], depth: usize) -> Vec<u8> {
    [open.repeat(depth), innermost.to_vec(), b"e".repeat(depth)].concat()
}

#[test]
fn depth_is_limited_to_100() {
    for decoder in [Decoder::strict(), Decoder::lenient()] {
        for (open, innermost) in [(&b"l"[..], &b""[..]), (b"l", b"i1e"), (b"d1:a", b"0:")] {
            assert!(decoder.decode(&nested(open, innermost, 100)).is_ok());
            for depth in [101, 2048, 100_000] {
                let error = decoder.decode(&nested(open, innermost, depth)).expect_err("too deep");
                assert_eq!(*error.kind(), DecodeErrorKind::TooDeep { limit: 100 });
                assert_eq!(error.offset(), 100 * open.len());
            }
            // The depth is refused even if nothing is ever closed.
            let error = decoder.decode(&open.repeat(100_000)).expect_err("too deep");
            assert_eq!(*error.kind(), DecodeErrorKind::TooDeep { limit: 100 });
        }
    }
}

#[test]
fn depth_is_of_what_is_open_at_once() {
    let flat = [&b"l"[..], &b"le".repeat(1000), b"e"].concat();
    let limits = Limits { depth: 2, ..Limits::default() };
    assert!(Decoder::strict().with_limits(limits).decode(&flat).is_ok());

    let scalars_only = Limits { depth: 0, ..Limits::default() };
    let decoder = Decoder::strict().with_limits(scalars_only);
    assert!(decoder.decode(b"i1e").is_ok());
    assert!(decoder.decode(b"le").is_err());
}

#[test]
fn a_million_levels_are_decoded_walked_and_dropped() {
    const DEPTH: usize = 1_000_000;
    let limits = Limits { depth: DEPTH, ..Limits::default() };
    let decoder = Decoder::strict().with_limits(limits);

    let lists = nested(b"l", b"", DEPTH);
    let document = decoder.decode(&lists).expect("within limits");
    let mut levels = 1;
    let mut list = document.root().as_list().expect("a list");
    while let Some(inner) = list.iter().next() {
        list = inner.as_list().expect("a list");
        levels += 1;
    }
    assert_eq!(levels, DEPTH);
    drop(document);

    let dicts = nested(b"d0:", b"", DEPTH);
    let document = decoder.decode(&dicts);
    let error = document.expect_err("the innermost key has no value");
    assert_eq!(error.offset(), 3 * DEPTH);

    let dicts = nested(b"d0:", b"de", DEPTH - 1);
    let document = decoder.decode(&dicts).expect("within limits");
    let mut levels = 1;
    let mut dict = document.root().as_dict().expect("a dict");
    while let Some(inner) = dict.get("") {
        dict = inner.as_dict().expect("a dict");
        levels += 1;
    }
    assert_eq!(levels, DEPTH);

    let too_deep = nested(b"l", b"", DEPTH + 1);
    let error = decoder.decode(&too_deep).expect_err("too deep");
    assert_eq!(*error.kind(), DecodeErrorKind::TooDeep { limit: DEPTH });
}

#[test]
fn tokens_are_limited() {
    let limits = Limits { tokens: 4, ..Limits::default() };
    let decoder = Decoder::strict().with_limits(limits);
    assert!(decoder.decode(b"li1ei2ei3ee").is_ok());
    // Keys count.
    assert!(decoder.decode(b"d1:ai1e1:bi2ee").is_err());

    for input in [&b"li1ei2ei3ei4ee"[..], b"li1ei2ei3e1:ae", b"li1ei2ei3elee"] {
        let error = decoder.decode(input).expect_err("five values");
        assert_eq!(*error.kind(), DecodeErrorKind::TooManyTokens { limit: 4 });
        assert_eq!(error.offset(), 10);
    }
}

#[test]
fn three_million_tokens_are_the_default() {
    let list = |strings: usize| [&b"l"[..], &b"0:".repeat(strings), b"e"].concat();
    assert!(Decoder::strict().decode(&list(2_999_999)).is_ok());
    let error = Decoder::strict().decode(&list(3_000_000)).expect_err("one too many");
    assert_eq!(*error.kind(), DecodeErrorKind::TooManyTokens { limit: 3_000_000 });
}

#[test]
fn input_length_is_limited() {
    let limits = Limits { input_len: 6, ..Limits::default() };
    let decoder = Decoder::lenient().with_limits(limits);
    assert!(decoder.decode(b"4:spam").is_ok());
    let error = decoder.decode(b"4:spam\n").expect_err("too long");
    assert_eq!(*error.kind(), DecodeErrorKind::InputTooLong { length: 7, limit: 6 });
    assert_eq!(error.offset(), 6);
}

#[test]
fn a_million_unsorted_keys_are_searched_for_duplicates() {
    const KEYS: u32 = 1_000_000;
    let mut input = b"d".to_vec();
    for key in 0..KEYS {
        // An odd factor scatters the keys over all 32 bits without duplicates.
        input.extend_from_slice(b"4:");
        input.extend_from_slice(&key.wrapping_mul(0x9e37_79b1).to_be_bytes());
        input.extend_from_slice(b"0:");
    }
    let last = input.len();
    input.extend_from_slice(b"4:\0\0\0\x000:e"); // the first key again

    let document = Decoder::lenient().decode(&input).expect("lenient");
    let [unsorted, duplicate] = document.deviations() else {
        panic!("{:?}", document.deviations());
    };
    assert_eq!(unsorted.kind, DeviationKind::UnsortedKeys);
    assert_eq!(duplicate.kind, DeviationKind::DuplicateKey);
    assert_eq!(duplicate.offset, last);
    let dict = document.root().as_dict().expect("a dict");
    assert_eq!(dict.duplicate_key(), Some(&[0, 0, 0, 0][..]));
}
