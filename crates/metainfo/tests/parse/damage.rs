//! Slightly damaged torrents.

use proptest::prelude::*;

use crate::invariants;
use crate::torrents::{file, list, multi};

fn torrent() -> Vec<u8> {
    let files = [
        file(20_000, &["a", "b"], "4:sha120:cccccccccccccccccccc"),
        format!("d4:attr1:l6:lengthi0e4:path{}12:symlink path{}e", list(&["l"]), list(&["a", "b"])),
        "d4:attr1:p6:lengthi0e4:pathl4:.pad1:0ee".to_owned(),
        file(0, &["..", "c"], "5:mtimei1e"),
    ];
    let others = "8:announce3:url13:announce-listll1:ael1:bee7:comment4:text13:creation datei1e\
                  5:nodesll1:hi1eee8:url-listl1:we";
    let torrent = multi(&files.concat(), &[("private", Some("i1e")), ("meta version", Some("i1e"))]);
    [b"d", others.as_bytes(), &torrent[1..]].concat()
}

#[test]
fn the_torrent_itself() {
    invariants::parse(&torrent());
    assert!(metainfo::Metainfo::parse(&torrent()).is_ok());
}

#[test]
fn cut_short_anywhere() {
    let torrent = torrent();
    for len in 0..torrent.len() {
        assert!(metainfo::Metainfo::parse(&torrent[..len]).is_err(), "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bytes_replaced(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut torrent = torrent();
        for (at, byte) in changes {
            let at = at.index(torrent.len());
            torrent[at] = byte;
        }
        invariants::parse(&torrent);
    }
}
