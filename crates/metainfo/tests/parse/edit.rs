//! An edit changes the given keys and nothing else.

use metainfo::{Edit, Metainfo};
use proptest::prelude::*;

use crate::torrents::{around, file, multi, single, string};

fn tiers(tiers: &[&[&str]]) -> Vec<Vec<String>> {
    tiers.iter().map(|tier| urls(tier)).collect()
}

fn urls(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|&url| url.to_owned()).collect()
}

/// Runs an edit on `d…4:info…e` and returns the parts before and after `info` in the result.
fn edited(before: &str, after: &str, edit: impl FnOnce(Edit<'_>) -> Edit<'_>) -> (String, String) {
    let info = "4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let torrent = format!("d{before}{info}{after}e");
    let metainfo = Metainfo::parse(torrent.as_bytes()).expect("valid");
    let outcome = edit(metainfo.edit()).finish();
    let outcome = String::from_utf8(outcome).expect("text");
    let (before, after) = outcome.split_once(info).expect("info as it was");
    let before = before.strip_prefix('d').expect("a dictionary");
    let after = after.strip_suffix('e').expect("a dictionary");
    (before.to_owned(), after.to_owned())
}

#[test]
fn trackers() {
    let old = "8:announce3:old13:announce-listll3:oldee";
    let cases: &[(&[&[&str]], &str)] = &[
        (&[], ""),
        (&[&[], &[" "]], ""),
        (&[&["a"]], "8:announce1:a"),
        (&[&[], &[" a\n", ""]], "8:announce1:a"),
        (&[&["a", "b"]], "8:announce1:a13:announce-listll1:a1:bee"),
        (&[&["a"], &["b"]], "8:announce1:a13:announce-listll1:ael1:bee"),
    ];
    for (new, expected) in cases {
        let (before, _) = edited(old, "", |edit| edit.trackers(&tiers(new)));
        assert_eq!(before, *expected, "{new:?}");
    }
}

#[test]
fn texts_and_numbers() {
    let all = "7:comment3:old13:comment.utf-83:old10:created by3:old13:creation datei1e";
    let (before, _) = edited(all, "", |edit| edit.comment(None).created_by(Some("")).creation_date(None));
    assert_eq!(before, "");
    let (before, _) =
        edited(all, "", |edit| edit.comment(Some("näh")).created_by(Some("p")).creation_date(Some(u64::MAX)));
    assert_eq!(before, "7:comment4:näh10:created by1:p13:creation datei18446744073709551615e");
}

#[test]
fn nodes_and_web_seeds() {
    let nodes = [("127.0.0.1".to_owned(), 6881), ("::1".to_owned(), 1)];
    let (_, after) =
        edited("", "5:nodesle8:url-list3:old", |edit| edit.nodes(&nodes).web_seeds(&urls(&["http://w", ""])));
    assert_eq!(after, "5:nodesll9:127.0.0.1i6881eel3:::1i1eee8:url-listl8:http://we");
    let (_, after) = edited("", "5:nodesle8:url-list3:old", |edit| edit.nodes(&[]).web_seeds(&[]));
    assert_eq!(after, "");
}

#[test]
fn the_web_seed_of_a_folder_is_a_folder() {
    let metainfo = Metainfo::parse(&multi(&file(20_000, &["a"], ""), &[])).expect("valid");
    let edited = metainfo.edit().web_seeds(&urls(&["http://w/a", "http://w/b/"])).finish();
    let edited = Metainfo::parse(&edited).expect("valid");
    assert_eq!(edited.web_seeds(), ["http://w/a/", "http://w/b/"]);
}

#[test]
fn non_canonical_values_are_kept() {
    // Zeros in front, keys out of order; only the top level is put in order.
    let (before, after) = edited("1:yi007e1:xd1:bi-0e1:ai01ee", "3:zzz02:ab3:zzz1:c", |edit| edit.comment(Some("new")));
    assert_eq!(before, "7:comment3:new");
    assert_eq!(after, "1:xd1:bi-0e1:ai01ee1:yi007e3:zzz02:ab");

    let (before, after) = edited("", "", |edit| edit);
    assert_eq!((before.as_str(), after.as_str()), ("", ""));
}

/// An arbitrary bencoded value.
fn value() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![any::<i64>().prop_map(|number| format!("i{number}e")), "[a-z]{0,5}".prop_map(|text| string(&text))];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|values| format!("l{}e", values.concat()))
    })
}

proptest! {
    #[test]
    fn no_edit_touches_the_info_hash_or_unknown_keys(
        unknown in prop::collection::btree_map("[a-z]{1,3}|announce-x|infp|~", value(), 0..6),
        in_info in prop::collection::btree_map("x[a-z]{1,3}", value(), 0..4),
        trackers in prop::collection::vec(prop::collection::vec("[ a-z/]{0,4}", 0..3), 0..4),
        texts in prop::collection::vec(prop::option::of(".{0,8}"), 2),
        date in prop::option::of(any::<u64>()),
        web_seeds in prop::collection::vec("[a-z/]{0,4}", 0..3),
        nodes in prop::collection::vec(("[a-z:]{0,4}", any::<u16>()), 0..3),
    ) {
        let in_info: Vec<_> = in_info.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
        let info = String::from_utf8(single(&in_info)).expect("text");
        let info = info.strip_prefix("d4:info").and_then(|rest| rest.strip_suffix('e')).expect("only info");
        let others: Vec<_> = unknown.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
        let torrent = around(info, &others);
        let old = Metainfo::parse(&torrent).expect("valid");

        prop_assert_eq!(&old.edit().finish(), &torrent);

        let edited = old
            .edit()
            .trackers(&trackers)
            .comment(texts[0].as_deref())
            .created_by(texts[1].as_deref())
            .creation_date(date)
            .web_seeds(&web_seeds)
            .nodes(&nodes)
            .finish();
        let document = bencode::Decoder::strict().decode(&edited);
        let document = document.expect("canonical, since its parts were");
        let root = document.root().as_dict().expect("a dictionary");
        for (key, value) in &unknown {
            prop_assert_eq!(root.get(key.as_bytes()).map(|value| value.raw()), Some(value.as_bytes()));
        }

        let new = Metainfo::parse(&edited).expect("valid");
        prop_assert_eq!(new.info_hashes(), old.info_hashes());
        prop_assert_eq!(new.info(), old.info());
        prop_assert_eq!(new.comment(), texts[0].as_deref().filter(|text| !text.is_empty()));
        prop_assert_eq!(new.created_by(), texts[1].as_deref().filter(|text| !text.is_empty()));
        prop_assert_eq!(new.creation_date(), date);

        // Removing all of it again restores the original.
        let removed = new.edit().trackers(&[]).comment(None).created_by(None).creation_date(None).web_seeds(&[]).nodes(&[]);
        prop_assert_eq!(&removed.finish(), &torrent);
    }
}
