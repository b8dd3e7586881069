//! Invariants that hold for every input. Checked on generated inputs by `properties.rs`, on arbitrary ones by the fuzz targets
//! `bencode_strict` and `bencode_lenient`.

use bencode::{Decoder, DeviationKind, Document, EncodeError, Kind, Value, ValueEncoder};

/// The strict decoder accepts exactly the inputs that encode to themselves.
pub(crate) fn strict(input: &[u8]) {
    match Decoder::strict().decode(input) {
        Ok(document) => {
            assert_eq!(document.deviations(), []);
            assert_eq!(document.trailing(), b"");
            tiles(&document, input);
            assert_eq!(encode(document.root()).as_deref(), Ok(input), "accepted, but not canonical");
        }
        Err(error) => {
            assert!(error.offset() <= input.len(), "{error}");
            if let Ok(document) = Decoder::lenient().decode(input) {
                assert_ne!(document.deviations(), []);
            }
        }
    }
}

/// The lenient decoder flags what the strict one refuses, and its values can be encoded canonically.
pub(crate) fn lenient(input: &[u8]) {
    let strict = Decoder::strict().decode(input);
    let document = match Decoder::lenient().decode(input) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.offset() <= input.len(), "{error}");
            assert!(strict.is_err(), "only the strict decoder accepts it");
            return;
        }
    };
    tiles(&document, input);

    let deviations = document.deviations();
    assert_eq!(strict.is_ok(), deviations.is_empty(), "{deviations:?}");
    assert!(deviations.is_sorted_by_key(|deviation| deviation.offset));
    assert!(deviations.iter().all(|deviation| deviation.offset < input.len()));
    let flagged = |kind| deviations.iter().any(|deviation| deviation.kind == kind);
    assert_eq!(flagged(DeviationKind::TrailingBytes), !document.trailing().is_empty());

    match encode(document.root()) {
        Ok(canonical) => {
            assert!(!flagged(DeviationKind::DuplicateKey));
            assert_eq!(canonical == input, deviations.is_empty());
            self::strict(&canonical);
        }
        Err(EncodeError::DuplicateKey { .. }) => assert!(flagged(DeviationKind::DuplicateKey)),
        Err(error) => panic!("{error}"),
    }
}

/// Values lie in their list or dict end to end, and every handle agrees with what stands in its span.
fn tiles(document: &Document<'_>, input: &[u8]) {
    let root = document.root();
    assert_eq!(root.span(), 0..input.len() - document.trailing().len());

    let mut values = vec![root];
    while let Some(value) = values.pop() {
        let span = value.span();
        assert_eq!(value.raw(), &input[span.clone()]);
        match value.kind() {
            Kind::Integer => assert!(value.as_i64().is_some() || value.as_u64().is_some()),
            Kind::Bytes => assert!(value.raw().ends_with(value.as_bytes().expect("a string"))),
            Kind::List => {
                let list = value.as_list().expect("a list");
                assert_eq!(list.len(), list.iter().count());
                let mut end = span.start + 1;
                for element in list {
                    assert_eq!(element.span().start, end);
                    end = element.span().end;
                    values.push(element);
                }
                assert_eq!(end + 1, span.end);
            }
            Kind::Dict => {
                let dict = value.as_dict().expect("a dict");
                assert_eq!(dict.len(), dict.iter().count());
                let mut end = span.start + 1;
                for (key, value) in dict {
                    assert!(input[end..value.span().start].ends_with(key));
                    end = value.span().end;
                    values.push(value);
                }
                assert_eq!(end + 1, span.end);
            }
        }
    }
}

/// The value in canonical form. Recurses, as a default [`Decoder`] nests values 100 deep at most.
fn encode(value: Value<'_, '_>) -> Result<Vec<u8>, EncodeError> {
    bencode::encode(|encoder| write(encoder, value))
}

fn write(encoder: ValueEncoder<'_>, value: Value<'_, '_>) {
    match value.kind() {
        Kind::Integer => match value.as_i64() {
            Some(integer) => encoder.int(integer),
            None => encoder.int(value.as_u64().expect("an integer")),
        },
        Kind::Bytes => encoder.bytes(value.as_bytes().expect("a string")),
        Kind::List => encoder.list(|list| {
            for element in value.as_list().expect("a list") {
                list.value(|encoder| write(encoder, element));
            }
        }),
        Kind::Dict => encoder.dict(|dict| {
            for (key, value) in value.as_dict().expect("a dict") {
                dict.value(key, |encoder| write(encoder, value));
            }
        }),
    }
}
