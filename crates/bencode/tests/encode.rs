//! The encoder by itself: sorting and errors.

use bencode::{EncodeError, Encoder, encode, encode_to};
use bytes::BytesMut;

#[test]
fn keys_in_any_order_come_out_sorted() {
    let encoded = encode(|value| {
        value.dict(|dict| {
            dict.int("b", 2);
            dict.bytes("", "empty");
            dict.list("aa", |list| {
                list.int(1);
                list.bytes([0xff]);
                list.raw(b"i3e");
                list.list(|list| list.int(4));
                list.dict(|dict| {
                    dict.int("z", 1);
                    dict.int("y", 2);
                });
            });
            dict.dict([0xff], |_| ());
            dict.raw("a", b"i01e");
        });
    });
    assert_eq!(
        encoded.expect("no duplicates").escape_ascii().to_string(),
        r"d0:5:empty1:ai01e2:aali1e1:\xffi3eli4eed1:yi2e1:zi1eee1:bi2e1:\xffdee"
    );
}

#[test]
fn an_empty_string_needs_no_type() {
    let encoded = encode(|value| {
        value.dict(|dict| {
            dict.int("interval", 60);
            dict.bytes("peers", []);
        });
    });
    assert_eq!(encoded.as_deref(), Ok(&b"d8:intervali60e5:peers0:e"[..]));
}

#[test]
fn every_64_bit_integer_and_no_other() {
    assert_eq!(encode(|value| value.int(u64::MAX)).as_deref(), Ok(&b"i18446744073709551615e"[..]));
    assert_eq!(encode(|value| value.int(i64::MIN)).as_deref(), Ok(&b"i-9223372036854775808e"[..]));
    for value in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1, i128::MIN] {
        let error = encode(|encoder| encoder.list(|list| list.int(value)));
        assert_eq!(error, Err(EncodeError::IntegerOverflow { value }));
    }
}

#[test]
fn a_key_given_twice_is_an_error() {
    let duplicate = |key: &str| Err(EncodeError::DuplicateKey { key: key.into() });
    let keys = |keys: &[&str]| {
        encode(|value| {
            value.dict(|dict| {
                for key in keys {
                    dict.int(key, 1);
                }
            });
        })
    };
    assert_eq!(keys(&["a", "a"]), duplicate("a"));
    assert_eq!(keys(&["a", "b", "a"]), duplicate("a"));
    assert_eq!(keys(&["b", "a", "c", "b"]), duplicate("b"));
    assert_eq!(keys(&["", "a", ""]), duplicate(""));

    let nested = encode(|value| {
        value.list(|list| {
            list.dict(|dict| {
                dict.int("b", 1);
                dict.dict("a", |dict| {
                    dict.int("x", 1);
                    dict.int("x", 1);
                });
            });
        });
    });
    assert_eq!(nested, duplicate("x"));

    // The same key in two dicts is no duplicate.
    let nested = encode(|value| value.dict(|dict| dict.dict("a", |dict| dict.int("a", 1))));
    assert_eq!(nested.as_deref(), Ok(&b"d1:ad1:ai1eee"[..]));
}

#[test]
fn a_value_not_written_is_an_error() {
    assert_eq!(encode(|_| ()), Err(EncodeError::NoValue));
    let list = encode(|value| value.list(|list| list.value(|_| ())));
    assert_eq!(list, Err(EncodeError::NoValue));
    let dict = encode(|value| value.dict(|dict| dict.value("a", |_| ())));
    assert_eq!(dict, Err(EncodeError::NoValue));
}

#[test]
fn a_buffer_is_appended_to_or_left_alone() {
    let mut out = BytesMut::from("HTTP");
    encode_to(&mut out, |value| value.bytes("spam")).expect("room");
    assert_eq!(&out[..], b"HTTP4:spam");
    encode_to(&mut out, |_| ()).expect_err("nothing written");
    assert_eq!(&out[..], b"HTTP4:spam");

    let mut fixed = [0; 5];
    let error = encode_to(&mut &mut fixed[..], |value| value.bytes("spam"));
    assert_eq!(error, Err(EncodeError::BufferFull { needed: 6, remaining: 5 }));
    assert_eq!(fixed, [0; 5]);
    let mut fixed = [0; 6];
    encode_to(&mut &mut fixed[..], |value| value.bytes("spam")).expect("room for all of it");
    assert_eq!(fixed, *b"4:spam");
}

#[test]
fn an_encoder_forgets_the_value_before() {
    let mut encoder = Encoder::new();
    encoder
        .encode(|value| {
            value.dict(|dict| {
                dict.int("a", 1);
                dict.int("a", 1);
            });
        })
        .expect_err("a duplicate");
    assert_eq!(encoder.encode(|value| value.int(1)), Ok(&b"i1e"[..]));
    assert_eq!(encoder.encode(|_| ()), Err(EncodeError::NoValue));
}
