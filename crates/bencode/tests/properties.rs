//! Generated inputs.

use bencode::Decoder;
use proptest::collection;
use proptest::prelude::*;
use proptest::sample::Index;

use self::common::invariants;
use self::common::tree::Tree;

mod common {
    pub(crate) mod invariants;
    pub(crate) mod tree;
}

fn tree() -> impl Strategy<Value = Tree> {
    let bytes = || collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Tree::Int),
        (-20_i128..200).prop_map(Tree::Int),
        bytes().prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..8).prop_map(Tree::List),
            collection::btree_map(bytes(), inner, 0..8).prop_map(Tree::Dict),
        ]
    })
}

/// A small change to some bytes, mostly ones that matter to bencode.
#[derive(Debug, Clone)]
enum Mutation {
    Insert(Index, u8),
    Replace(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
    Truncate(Index),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        match self {
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Self::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Self::Remove(at) => drop(bytes.remove(at.index(len))),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from.max(to)..from.max(to), piece);
            }
            Self::Truncate(at) => bytes.truncate(at.index(len)),
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = || proptest::sample::select(&b"0123456789ilde:-+ \n\0\xff"[..]);
    let at = any::<Index>;
    prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        (at(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        at().prop_map(Mutation::Remove),
        (at(), at()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        at().prop_map(Mutation::Truncate),
    ]
}

/// Well-formed bencode that is canonical only by chance: few keys in any order, numbers in any spelling.
fn deviant() -> impl Strategy<Value = Vec<u8>> {
    let concat = |parts: Vec<Vec<u8>>| parts.concat();
    let spelling = |spellings: &'static [&'static str]| {
        proptest::sample::select(spellings).prop_map(|spelling| spelling.as_bytes().to_vec())
    };
    let leaf = spelling(&["i0e", "i-0e", "i7e", "i07e", "i-7e", "i-007e", "0:", "00:", "1:a"]);
    let value = leaf.prop_recursive(4, 32, 6, move |inner| {
        let key = spelling(&["0:", "1:a", "01:a", "1:b", "2:aa", "1:\u{7f}", "1:c", "1:d"]);
        let entry = (key, inner.clone()).prop_map(|(key, value)| [key, value].concat());
        prop_oneof![
            collection::vec(inner, 0..6).prop_map(concat).prop_map(|body| [b"l", &body[..], b"e"].concat()),
            collection::vec(entry, 0..6).prop_map(concat).prop_map(|body| [b"d", &body[..], b"e"].concat()),
        ]
    });
    (value, spelling(&["", "", "", "\n", "e"])).prop_map(|(value, end)| [value, end].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn encoded_trees_decode_to_themselves(tree in tree()) {
        let encoded = tree.encode();
        let document = Decoder::strict().decode(&encoded).expect("canonical by construction");
        prop_assert_eq!(Tree::from(document.root()), tree);
        invariants::strict(&encoded);
        invariants::lenient(&encoded);
    }

    #[test]
    fn mutated_bytes(tree in tree(), mutations in collection::vec(mutation(), 1..4)) {
        let mut bytes = tree.encode();
        for mutation in mutations {
            mutation.apply(&mut bytes);
        }
        invariants::strict(&bytes);
        invariants::lenient(&bytes);
    }

    #[test]
    fn deviant_bytes(bytes in deviant()) {
        let document = Decoder::lenient().decode(&bytes).expect("well formed");
        let canonical = Tree::from(document.root()).encode();
        prop_assert_eq!(canonical == bytes, document.deviations().is_empty());
        invariants::strict(&bytes);
        invariants::lenient(&bytes);
    }

    #[test]
    fn any_bytes(bytes in collection::vec(any::<u8>(), 0..64)) {
        invariants::strict(&bytes);
        invariants::lenient(&bytes);
    }
}
