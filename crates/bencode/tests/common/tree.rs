//! A value as an owned tree, which only the tests need.

use std::collections::BTreeMap;

use bencode::{Kind, Value, ValueEncoder};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Int(i128),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Dict(BTreeMap<Vec<u8>, Self>),
}

impl Tree {
    pub(crate) fn encode(&self) -> Vec<u8> {
        bencode::encode(|encoder| self.write(encoder)).expect("a tree has no duplicate keys")
    }

    pub(crate) fn write(&self, encoder: ValueEncoder<'_>) {
        match self {
            Self::Int(integer) => encoder.int(*integer),
            Self::Bytes(bytes) => encoder.bytes(bytes),
            Self::List(elements) => encoder.list(|list| {
                for element in elements {
                    list.value(|encoder| element.write(encoder));
                }
            }),
            // Backwards, so that there is something to sort.
            Self::Dict(entries) => encoder.dict(|dict| {
                for (key, value) in entries.iter().rev() {
                    dict.value(key, |encoder| value.write(encoder));
                }
            }),
        }
    }
}

impl From<Value<'_, '_>> for Tree {
    /// Keeps the first of duplicate keys, as `Dict::get` does.
    fn from(value: Value<'_, '_>) -> Self {
        match value.kind() {
            Kind::Integer => {
                let signed = value.as_i64().map(i128::from);
                let unsigned = value.as_u64().map(i128::from);
                Self::Int(signed.or(unsigned).expect("64 bits"))
            }
            Kind::Bytes => Self::Bytes(value.as_bytes().expect("a string").to_vec()),
            Kind::List => {
                let list = value.as_list().expect("a list");
                Self::List(list.into_iter().map(Self::from).collect())
            }
            Kind::Dict => {
                let mut entries = BTreeMap::new();
                for (key, value) in value.as_dict().expect("a dict") {
                    entries.entry(key.to_vec()).or_insert_with(|| value.into());
                }
                Self::Dict(entries)
            }
        }
    }
}
