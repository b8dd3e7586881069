//! Canonical bencode and its values, decoded and encoded.

use bencode::{Decoder, Kind, Value, ValueEncoder};

enum Literal {
    Int(i128),
    Bytes(&'static [u8]),
    List(&'static [Self]),
    Dict(&'static [(&'static [u8], Self)]),
}

use Literal::{Bytes, Dict, Int, List};

const CASES: &[(&[u8], Literal)] = &[
    (b"i0e", Int(0)),
    (b"i1e", Int(1)),
    (b"i-1e", Int(-1)),
    (b"i10e", Int(10)),
    (b"i42e", Int(42)),
    (b"i-100e", Int(-100)),
    (b"i9223372036854775807e", Int(i64::MAX as i128)),
    (b"i-9223372036854775808e", Int(i64::MIN as i128)),
    (b"i9223372036854775808e", Int(i64::MAX as i128 + 1)),
    (b"i18446744073709551615e", Int(u64::MAX as i128)),
    (b"0:", Bytes(b"")),
    (b"1:e", Bytes(b"e")),
    (b"4:spam", Bytes(b"spam")),
    (b"4:i42e", Bytes(b"i42e")),
    (b"10:0123456789", Bytes(b"0123456789")),
    (b"5:\0\xff:\r\n", Bytes(b"\0\xff:\r\n")),
    (b"le", List(&[])),
    (b"de", Dict(&[])),
    (b"llelee", List(&[List(&[]), List(&[])])),
    (b"ldedee", List(&[Dict(&[]), Dict(&[])])),
    (b"l4:spami42ee", List(&[Bytes(b"spam"), Int(42)])),
    (b"ll1:aeli1eee", List(&[List(&[Bytes(b"a")]), List(&[Int(1)])])),
    (b"d0:0:e", Dict(&[(b"", Bytes(b""))])),
    (
        b"d3:bar4:spam3:fooi42ee",
        Dict(&[(b"bar", Bytes(b"spam")), (b"foo", Int(42))]),
    ),
    // The shorter of two keys comes first, and bytes are compared without sign or locale.
    (
        b"d1:Ai0e1:ai1e2:aai2e2:abi3e1:bi4e2:\xc3\xa4i5e1:\xffi6ee",
        Dict(&[
            (b"A", Int(0)),
            (b"a", Int(1)),
            (b"aa", Int(2)),
            (b"ab", Int(3)),
            (b"b", Int(4)),
            (b"\xc3\xa4", Int(5)),
            (b"\xff", Int(6)),
        ]),
    ),
    (
        b"d1:ad1:bd1:cleee1:dli1eee",
        Dict(&[
            (b"a", Dict(&[(b"b", Dict(&[(b"c", List(&[]))]))])),
            (b"d", List(&[Int(1)])),
        ]),
    ),
    // A metainfo file.
    (
        b"d8:announce19:http://tracker.lan/4:infod6:lengthi5e4:name5:hello\
        12:piece lengthi16384e6:pieces20:\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13ee",
        Dict(&[
            (b"announce", Bytes(b"http://tracker.lan/")),
            (
                b"info",
                Dict(&[
                    (b"length", Int(5)),
                    (b"name", Bytes(b"hello")),
                    (b"piece length", Int(16384)),
                    (
                        b"pieces",
                        Bytes(b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13"),
                    ),
                ]),
            ),
        ]),
    ),
    // The answer to an announce, and one that is a failure.
    (
        b"d8:completei1e10:incompletei2e8:intervali60e5:peers6:\xc0\xa8\x01\x07\x1a\xe1e",
        Dict(&[
            (b"complete", Int(1)),
            (b"incomplete", Int(2)),
            (b"interval", Int(60)),
            (b"peers", Bytes(b"\xc0\xa8\x01\x07\x1a\xe1")),
        ]),
    ),
    (
        b"d14:failure reason10:not hosted8:intervali300ee",
        Dict(&[
            (b"failure reason", Bytes(b"not hosted")),
            (b"interval", Int(300)),
        ]),
    ),
];

#[test]
fn decode() {
    for (bytes, literal) in CASES {
        let shown = bytes.escape_ascii();
        for decoder in [Decoder::strict(), Decoder::lenient()] {
            let document = decoder.decode(bytes).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(document.deviations(), [], "{shown}");
            assert_eq!(document.trailing(), b"", "{shown}");
            assert_eq!(document.root().raw(), *bytes, "{shown}");
            assert_reads(document.root(), literal);
        }
    }
}

#[test]
fn encode() {
    for (bytes, literal) in CASES {
        let encoded = bencode::encode(|encoder| write(encoder, literal)).expect("no duplicates");
        assert_eq!(encoded.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

/// Asserts that every accessor of the value agrees with the literal.
fn assert_reads(value: Value<'_, '_>, literal: &Literal) {
    let integer = if let Int(integer) = literal { Some(*integer) } else { None };
    assert_eq!(value.as_i64(), integer.and_then(|integer| integer.try_into().ok()));
    assert_eq!(value.as_u64(), integer.and_then(|integer| integer.try_into().ok()));
    let bytes = if let Bytes(bytes) = literal { Some(*bytes) } else { None };
    assert_eq!(value.as_bytes(), bytes);
    assert_eq!(value.as_str(), bytes.and_then(|bytes| str::from_utf8(bytes).ok()));

    match literal {
        Int(_) => assert_eq!(value.kind(), Kind::Integer),
        Bytes(_) => assert_eq!(value.kind(), Kind::Bytes),
        List(elements) => {
            assert_eq!(value.kind(), Kind::List);
            let list = value.as_list().expect("a list");
            assert_eq!(list.len(), elements.len());
            assert_eq!(list.is_empty(), elements.is_empty());
            assert_eq!(list.iter().len(), elements.len());
            for (value, literal) in list.into_iter().zip(*elements) {
                assert_reads(value, literal);
            }
        }
        Dict(entries) => {
            assert_eq!(value.kind(), Kind::Dict);
            let dict = value.as_dict().expect("a dict");
            assert_eq!(dict.len(), entries.len());
            assert_eq!(dict.is_empty(), entries.is_empty());
            assert_eq!(dict.iter().len(), entries.len());
            assert_eq!(dict.duplicate_key(), None);
            assert!(dict.get("no such key").is_none());
            for ((key, value), (expected, literal)) in dict.into_iter().zip(*entries) {
                assert_eq!(key, *expected);
                assert_reads(value, literal);
                assert_reads(dict.get(key).expect("a key of the dict"), literal);
            }
        }
    }
    if !matches!(literal, List(_)) {
        assert!(value.as_list().is_none());
    }
    if !matches!(literal, Dict(_)) {
        assert!(value.as_dict().is_none());
    }
}

fn write(encoder: ValueEncoder<'_>, literal: &Literal) {
    match literal {
        Int(integer) => encoder.int(*integer),
        Bytes(bytes) => encoder.bytes(bytes),
        List(elements) => encoder.list(|list| {
            for element in *elements {
                list.value(|encoder| write(encoder, element));
            }
        }),
        Dict(entries) => encoder.dict(|dict| {
            for (key, value) in *entries {
                dict.value(key, |encoder| write(encoder, value));
            }
        }),
    }
}
