//! Accepted and refused torrents, and the values read from their keys.

use bencode::DeviationKind;
use metainfo::{ConflictingPaths, InfoHashV1, InfoHashV2, Metainfo, ParseError, ParseOptions, Warning};

use crate::torrents::{around, file, folder, list, multi, single, string};

type Case<'c> = (&'c str, Vec<u8>, ParseError);

fn check(cases: &[Case<'_>]) {
    for (name, torrent, expected) in cases {
        assert_eq!(Metainfo::parse(torrent).as_ref(), Err(expected), "{name}");
    }
}

fn info_of(torrent: &[u8]) -> &[u8] {
    torrent.strip_prefix(b"d4:info").and_then(|rest| rest.strip_suffix(b"e")).expect("only info")
}

fn offset_of(torrent: &[u8], part: &str) -> usize {
    let mut windows = torrent.windows(part.len());
    windows.position(|window| window == part.as_bytes()).expect("the part is there")
}

#[test]
fn not_a_torrent() {
    check(&[
        ("a list", b"le".to_vec(), ParseError::NotADict),
        ("no info", b"de".to_vec(), ParseError::MissingInfo),
        ("info is a string", b"d4:info3:abce".to_vec(), ParseError::MissingInfo),
        ("a magnet link", b"d10:magnet-uri8:magnet:?e".to_vec(), ParseError::MagnetStub),
        ("a magnet link, older", b"d11:magnet-infodee".to_vec(), ParseError::MagnetStub),
    ]);
    for broken in [&b""[..], b"<html>", b"d4:info", b"d4:infod6:lengthi+1eee"] {
        assert!(matches!(Metainfo::parse(broken), Err(ParseError::Bencode(_))), "{broken:?}");
    }
}

#[test]
fn versions() {
    let tree = Some("d9:notes.txtd0:d6:lengthi20000eeee");
    let sloppy = single(&[("meta version", Some("i2e")), ("file tree", tree), ("private", Some("i01e"))]);
    check(&[
        ("a third version", single(&[("meta version", Some("i3e"))]), ParseError::NewerVersion { version: 3 }),
        (
            "version before all else",
            around("d12:meta versioni18446744073709551615ee", &[]),
            ParseError::NewerVersion { version: u64::MAX },
        ),
        (
            "v2 only",
            single(&[("meta version", Some("i2e")), ("file tree", tree), ("pieces", None), ("length", None)]),
            ParseError::V2Only,
        ),
        ("v2 without its files", single(&[("meta version", Some("i2e"))]), ParseError::MissingFileTree),
        ("v2 files in v1", single(&[("file tree", tree)]), ParseError::MissingMetaVersion),
        (
            "v2 files in version 1",
            single(&[("file tree", tree), ("meta version", Some("i1e"))]),
            ParseError::MissingMetaVersion,
        ),
        ("merkle", single(&[("pieces", None), ("root hash", Some("20:aaaaaaaaaaaaaaaaaaaa"))]), ParseError::Merkle),
        (
            "a hybrid that is not canonical",
            sloppy.clone(),
            ParseError::NotCanonical { offset: offset_of(&sloppy, "01e") },
        ),
    ]);

    let bytes = single(&[("meta version", Some("i2e")), ("file tree", tree)]);
    let hybrid = Metainfo::parse(&bytes).expect("the v1 side of a hybrid");
    assert!(hybrid.is_hybrid());
    let info = info_of(&bytes);
    assert_eq!(hybrid.info_hashes().v1, Some(InfoHashV1::of_info(info)));
    assert_eq!(hybrid.info_hashes().v2, Some(InfoHashV2::of_info(info)));
    for v1 in [single(&[]), single(&[("meta version", Some("i1e"))]), single(&[("file tree", Some("1:x"))])] {
        assert!(!Metainfo::parse(&v1).expect("v1").is_hybrid());
    }
}

#[test]
fn info_keys() {
    check(&[
        ("no piece length", single(&[("piece length", None)]), ParseError::MissingPieceLength),
        ("piece length is text", single(&[("piece length", Some("5:16384"))]), ParseError::MissingPieceLength),
        ("piece length 0", single(&[("piece length", Some("i0e"))]), ParseError::InvalidPieceLength { value: 0 }),
        ("piece length -1", single(&[("piece length", Some("i-1e"))]), ParseError::InvalidPieceLength { value: -1 }),
        (
            "piece length over the limit",
            single(&[("piece length", Some("i536854529e"))]),
            ParseError::InvalidPieceLength { value: 536_854_529 },
        ),
        (
            "piece length 2^64 - 1",
            single(&[("piece length", Some("i18446744073709551615e"))]),
            ParseError::InvalidPieceLength { value: i128::from(u64::MAX) },
        ),
        ("no name", single(&[("name", None)]), ParseError::MissingName),
        ("name is a number", single(&[("name", Some("i1e"))]), ParseError::MissingName),
        ("empty name", single(&[("name", Some("0:"))]), ParseError::MissingName),
        ("no files", multi("", &[]), ParseError::NoFiles),
        ("neither length nor files", single(&[("length", None)]), ParseError::MissingLength),
        ("files is a dict", single(&[("files", Some("de"))]), ParseError::FilesNotAList),
        ("a file is a list", multi("le", &[]), ParseError::FileNotADict { file: 0 }),
        ("no pieces", single(&[("pieces", None)]), ParseError::MissingPieces),
        ("pieces is a list", single(&[("pieces", Some("le"))]), ParseError::MissingPieces),
        ("pieces cut short", single(&[("pieces", Some("4:aaaa"))]), ParseError::PartialDigest { len: 4 }),
        ("pieces empty", single(&[("pieces", Some("0:"))]), ParseError::WrongPieceCount { expected: 2, found: 0 }),
        (
            "a piece too few",
            single(&[("length", Some("i32769e"))]),
            ParseError::WrongPieceCount { expected: 3, found: 2 },
        ),
        (
            "a piece too many",
            single(&[("length", Some("i16384e"))]),
            ParseError::WrongPieceCount { expected: 1, found: 2 },
        ),
    ]);
}

#[test]
fn lengths() {
    let huge = format!("i{}e", 1_i64 << 48);
    check(&[
        ("negative", single(&[("length", Some("i-1e"))]), ParseError::InvalidLength { file: 0 }),
        ("text", single(&[("length", Some("5:20000"))]), ParseError::InvalidLength { file: 0 }),
        ("2^48", single(&[("length", Some(&huge))]), ParseError::InvalidLength { file: 0 }),
        ("0", single(&[("length", Some("i0e"))]), ParseError::NoContent),
        ("missing", multi("d4:pathl1:aee", &[]), ParseError::InvalidLength { file: 0 }),
        (
            "second file",
            multi(&[file(20_000, &["a"], ""), file(-1, &["b"], "")].concat(), &[]),
            ParseError::InvalidLength { file: 1 },
        ),
        ("all empty", multi(&[file(0, &["a"], ""), file(0, &["b"], "")].concat(), &[]), ParseError::NoContent),
    ]);

    // Each file at its limit, and one more of them than 64 bits can count.
    let files = file((1 << 48) - 1, &["a"], "").repeat(65_538);
    assert_eq!(Metainfo::parse(&multi(&files, &[])), Err(ParseError::TotalTooLarge));
}

#[test]
fn paths() {
    check(&[
        ("missing", multi("d6:lengthi20000ee", &[]), ParseError::MissingPath { file: 0 }),
        ("empty", multi(&file(20_000, &[], ""), &[]), ParseError::MissingPath { file: 0 }),
        ("text", multi("d6:lengthi20000e4:path1:ae", &[]), ParseError::MissingPath { file: 0 }),
        ("a number in it", multi("d6:lengthi20000e4:pathl1:ai1eee", &[]), ParseError::InvalidPath { file: 0 }),
        (
            "twice",
            folder(&[&["a", "b"], &["c"], &["a", "b"]]),
            ParseError::DuplicatePath { file: 2, path: "a/b".into() },
        ),
        (
            "a folder later",
            folder(&[&["a"], &["b"], &["a", "b"]]),
            ParseError::FileAndFolder { file: 0, path: "a".into() },
        ),
        (
            "a folder earlier",
            folder(&[&["a", "b", "c"], &["a-b"], &["a", "b"]]),
            ParseError::FileAndFolder { file: 2, path: "a/b".into() },
        ),
    ]);

    // A joined path would look the same; the components differ.
    assert!(Metainfo::parse(&folder(&[&["a/b"], &["a", "b"]])).is_ok());

    let options = ParseOptions { conflicting_paths: ConflictingPaths::Accept, ..ParseOptions::default() };
    let twice = Metainfo::parse_with(&folder(&[&["a"], &["a"]]), &options).expect("asked for");
    assert!(twice.info().files()[0].safe_path().is_ok());
    assert!(twice.info().files()[1].safe_path().is_err());
}

#[test]
fn limits() {
    let torrent = folder(&[&["aa", "bb", "cc"], &["d"]]);
    let len = torrent.len();
    let check = |change: &dyn Fn(&mut ParseOptions, usize), fits: usize, expected: ParseError| {
        let mut options = ParseOptions::default();
        change(&mut options, fits);
        assert!(Metainfo::parse_with(&torrent, &options).is_ok(), "{fits}: {expected}");
        change(&mut options, fits - 1);
        assert_eq!(Metainfo::parse_with(&torrent, &options), Err(expected));
    };
    check(&|options, n| options.limits.input_len = n, len, ParseError::TooLarge { len, limit: len - 1 });
    check(&|options, n| options.max_files = n, 2, ParseError::TooManyFiles { count: 2, limit: 1 });
    check(&|options, n| options.max_pieces = n, 2, ParseError::TooManyPieces { count: 2, limit: 1 });
    check(&|options, n| options.max_path_depth = n, 3, ParseError::PathTooDeep { file: 0, depth: 3, limit: 2 });
    check(&|options, n| options.max_path_len = n, 8, ParseError::PathTooLong { file: 0, len: 8, limit: 7 });
}

#[test]
fn duplicate_keys() {
    let in_info = around(
        "d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa6:pieces20:bbbbbbbbbbbbbbbbbbbbe",
        &[],
    );
    let below_info = multi("d6:lengthi9e6:lengthi20000e4:pathl1:aee", &[]);
    // So many before it that a list of deviations cannot hold them all.
    let behind_others = [b"d1:ad", b"0:0:".repeat(100).as_slice(), b"e", &in_info[1..]].concat();
    for (torrent, key, second) in [
        (in_info, "pieces", "6:pieces20:b"),
        (below_info, "length", "6:lengthi20000e"),
        (behind_others, "pieces", "6:pieces20:b"),
    ] {
        let expected = ParseError::DuplicateKey { key: key.to_owned(), offset: offset_of(&torrent, second) };
        assert_eq!(Metainfo::parse(&torrent), Err(expected));
    }

    // Outside of info the first counts.
    let good = single(&[]);
    let other = single(&[("name", Some("5:other"))]);
    let two = [&good[..good.len() - 1], &other[1..]].concat();
    let two = Metainfo::parse(&two).expect("two infos");
    assert_eq!(two.info_hashes().v1, Some(InfoHashV1::of_info(info_of(&good))));
    assert_eq!(two.info().name(), "notes.txt");
    assert_eq!(two.deviations()[0].kind, DeviationKind::DuplicateKey);
}

#[test]
fn info_hash_is_over_the_bytes_as_they_stand() {
    // A leading zero and keys out of order: writing it anew would give another hash.
    let info = "d4:name1:a6:lengthi020000e12:piece lengthi16384e\
                6:pieces40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaae";
    let torrent = [&around(info, &[])[..], b"\n"].concat();
    let metainfo = Metainfo::parse(&torrent).expect("lenient");
    // sha1sum of the text above
    assert_eq!(
        metainfo.info_hashes().v1.map(|hash| hash.to_string()).as_deref(),
        Some("c156b7ebfdfb4b2a21e85d182e3dba3b86d660ef")
    );
    assert_eq!(
        metainfo.warnings(),
        [Warning::InfoNotCanonical { offset: offset_of(&torrent, "6:length") }, Warning::TrailingBytes { len: 1 }]
    );
    assert_eq!(metainfo.as_bytes(), torrent);

    let canonical = Metainfo::parse(&single(&[])).expect("canonical");
    assert_eq!(canonical.warnings(), []);
    assert_eq!(canonical.deviations(), []);
}

#[test]
fn single_file() {
    let torrent = single(&[
        ("attr", Some("2:xh")),
        ("mtime", Some("i1700000000e")),
        ("md5sum", Some("32:0123456789abcdef0123456789abcdef")),
        ("private", Some("i1e")),
        ("sha1", Some("20:cccccccccccccccccccc")),
        ("source", Some("3:LAN")),
        ("update-url", Some("8:http://u")),
    ]);
    let metainfo = Metainfo::parse(&torrent).expect("valid");
    let info = metainfo.info();
    assert!(info.is_single_file());
    assert_eq!((info.piece_length(), info.total_length()), (16_384, 20_000));
    assert_eq!(info.pieces().len(), 2);
    assert!(info.pieces().iter().eq([b"aaaaaaaaaaaaaaaaaaaa", b"bbbbbbbbbbbbbbbbbbbb"]));
    assert_eq!(info.pieces().get(2), None);
    assert!(info.private());
    assert_eq!((info.source(), info.update_url()), (Some("LAN"), Some("http://u")));

    let [file] = info.files() else { panic!("one file") };
    assert_eq!(file.path, [b"notes.txt"]);
    assert!(file.attributes.executable && file.attributes.hidden && !file.attributes.pad);
    assert_eq!(file.mtime, Some(1_700_000_000));
    assert_eq!(file.sha1.as_ref(), Some(b"cccccccccccccccccccc"));
    assert_eq!(file.md5sum.as_deref(), Some("0123456789abcdef0123456789abcdef"));
}

#[test]
fn folder_of_files() {
    let files = [
        file(1_000, &["a", "one.txt"], ""),
        "d4:attr1:p6:lengthi15384ee".to_owned(),
        file(0, &["empty"], ""),
        "d4:attr1:l6:lengthi99e4:pathl4:linke12:symlink pathl1:a7:one.txtee".to_owned(),
        format!("d6:lengthi3616e4:path{}10:path.utf-8{}e", list(&["?"]), list(&["näher"])),
        file(0, &["_____padding_file_0_if you see this file, please update"], ""),
    ];
    let torrent = multi(&files.concat(), &[("length", Some("i1e")), ("name.utf-8", Some("4:Kür"))]);
    let metainfo = Metainfo::parse(&torrent).expect("valid");
    let info = metainfo.info();
    assert!(!info.is_single_file());
    assert_eq!(info.name(), "Kür");
    assert_eq!(metainfo.warnings(), [Warning::LengthAndFiles]);

    let paths: Vec<_> = info.files().iter().map(|file| file.display_path()).collect();
    assert_eq!(paths[..5], ["a/one.txt", ".pad/15384", "empty", "link", "näher"]);
    let spans: Vec<_> = info.files().iter().map(|file| (file.offset, file.length)).collect();
    assert_eq!(spans, [(0, 1_000), (1_000, 15_384), (16_384, 0), (16_384, 0), (16_384, 3_616), (20_000, 0)]);
    let pads: Vec<_> = info.files().iter().map(|file| file.attributes.pad).collect();
    assert_eq!(pads, [false, true, false, false, false, true]);
    assert_eq!(info.files()[3].symlink_target.as_deref(), Some(&[b"a".to_vec(), b"one.txt".to_vec()][..]));
}

#[test]
fn padding_files_may_share_a_path() {
    let pad = "d4:attr1:p6:lengthi100e4:pathl4:.pad3:100ee";
    let files = [file(19_800, &["a"], ""), pad.to_owned(), pad.to_owned()].concat();
    assert!(Metainfo::parse(&multi(&files, &[])).is_ok());
}

#[test]
fn private_is_any_number_but_zero() {
    for (value, private) in [("i1e", true), ("i2e", true), ("i-1e", true), ("i0e", false), ("1:1", false)] {
        let metainfo = Metainfo::parse(&single(&[("private", Some(value))])).expect("valid");
        assert_eq!(metainfo.info().private(), private, "{value}");
    }
}

#[test]
fn around_info() {
    let similar = "l20:aaaaaaaaaaaaaaaaaaaa20:bbbbbbbbbbbbbbbbbbbb4:aaaae";
    let info = "d11:collectionsl1:Ae6:lengthi1e4:name1:a12:piece lengthi16384e\
                6:pieces20:aaaaaaaaaaaaaaaaaaaa7:similarl20:aaaaaaaaaaaaaaaaaaaaee";
    let torrent = around(
        info,
        &[
            ("collections", Some("l1:A1:Be")),
            ("comment", Some("3:old")),
            ("comment.utf-8", Some("3:new")),
            ("created by", Some("4:prog")),
            ("creation date", Some("i1700000000e")),
            ("encoding", Some("5:UTF-8")),
            ("httpseeds", Some("l8:http://she")),
            ("nodes", Some("ll9:127.0.0.1i6881eel4:hosti0eel4:hosti65536eel4:hoste1:xl2:::i1e5:extraee")),
            ("publisher", Some("2:me")),
            ("publisher-url", Some("8:http://p")),
            ("similar", Some(similar)),
            ("url-list", Some("l8:http://wi1e0:8:http://we")),
        ],
    );
    let torrent = String::from_utf8(torrent).expect("text").replace("8:http://sh", "9:http://sh");
    let metainfo = Metainfo::parse(torrent.as_bytes()).expect("valid");
    assert_eq!(metainfo.comment(), Some("new"));
    assert_eq!(metainfo.created_by(), Some("prog"));
    assert_eq!(metainfo.creation_date(), Some(1_700_000_000));
    assert_eq!(metainfo.encoding(), Some("UTF-8"));
    assert_eq!(metainfo.http_seeds(), ["http://sh"]);
    assert_eq!(metainfo.nodes(), [("127.0.0.1".to_owned(), 6881), ("::".to_owned(), 1)]);
    assert_eq!((metainfo.publisher(), metainfo.publisher_url()), (Some("me"), Some("http://p")));
    assert_eq!(metainfo.similar(), [*b"aaaaaaaaaaaaaaaaaaaa", *b"bbbbbbbbbbbbbbbbbbbb"]);
    assert_eq!(metainfo.collections(), ["A", "B"]);
    assert_eq!(metainfo.web_seeds(), ["http://w"]);
}

#[test]
fn keys_of_the_wrong_type_count_as_absent() {
    let info = String::from_utf8(info_of(&single(&[])).to_vec()).expect("text");
    let keys = ["announce", "announce-list", "comment", "creation date", "httpseeds", "nodes", "similar", "url-list"];
    for value in ["i-5e", "le", "de", "li1elee", "0:"] {
        let others: Vec<_> = keys.iter().map(|&key| (key, Some(value))).collect();
        let metainfo = Metainfo::parse(&around(&info, &others)).expect("valid");
        assert_eq!(metainfo.trackers(), [] as [Vec<String>; 0], "{value}");
        assert_eq!(metainfo.creation_date(), None, "{value}");
        assert_eq!(metainfo.comment().unwrap_or_default(), "", "{value}");
        assert!(metainfo.web_seeds().is_empty() && metainfo.nodes().is_empty(), "{value}");
    }
}

#[test]
fn trackers_by_the_rules_of_bep_12() {
    let info = String::from_utf8(info_of(&single(&[])).to_vec()).expect("text");
    type Case<'c> = (&'c str, Option<&'c str>, &'c [&'c [&'c str]]);
    let cases: &[Case<'_>] = &[
        ("1:a", None, &[&["a"]]),
        ("3: a\n", None, &[&["a"]]),
        ("1: ", None, &[]),
        ("1:a", Some("le"), &[&["a"]]),
        ("1:a", Some("lle0:e"), &[&["a"]]),
        ("1:a", Some("ll0:2:  i5eee"), &[&["a"]]),
        ("1:a", Some("ll1:bel1:c1:dee"), &[&["b"], &["c", "d"]]),
        ("1:a", Some("ll1:b1:bel1:bel1:c1:bee"), &[&["b"], &["c"]]),
        ("1:a", Some("l1:xl2: bei7ee"), &[&["b"]]),
    ];
    for (announce, tiers, expected) in cases {
        let torrent = around(&info, &[("announce", Some(announce)), ("announce-list", *tiers)]);
        let metainfo = Metainfo::parse(&torrent).expect("valid");
        assert_eq!(metainfo.trackers(), *expected, "{announce} {tiers:?}");
    }
}

#[test]
fn web_seeds_as_text_or_list() {
    let info = String::from_utf8(info_of(&single(&[])).to_vec()).expect("text");
    let url = string("http://w/");
    for (value, expected) in
        [(url.as_str(), &["http://w/"][..]), ("0:", &[]), (&format!("l{url}e"), &["http://w/"]), ("d1:a1:be", &[])]
    {
        let metainfo = Metainfo::parse(&around(&info, &[("url-list", Some(value))])).expect("valid");
        assert_eq!(metainfo.web_seeds(), expected, "{value}");
    }
}

#[test]
fn messages_are_for_people() {
    let cases: &[(Vec<u8>, &str)] = &[
        (
            b"<html>".to_vec(),
            "this is not a .torrent file, or a damaged one: \
             expected a value (a string, integer, list or dict), found '<' at byte 0",
        ),
        (
            vec![b'l'; 200],
            "the file goes beyond what is read here: lists and dicts are nested more than 100 deep at byte 100",
        ),
        (
            multi(&[file(20_000, &["a"], ""), file(-1, &["b"], "")].concat(), &[]),
            "the `length` of file 2 is missing or not a number from 0 to 281474976710655",
        ),
        (single(&[("pieces", Some("20:aaaaaaaaaaaaaaaaaaaa"))]), "the number of pieces is 1, but the content needs 2"),
    ];
    for (torrent, expected) in cases {
        let error = Metainfo::parse(torrent).expect_err("broken");
        assert_eq!(error.to_string(), *expected);
    }
}
