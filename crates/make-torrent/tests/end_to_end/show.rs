//! `make-torrent show` and `make-torrent magnet`.

use std::process::Stdio;

use serde_json::json;

use crate::common::{Sandbox, TRACKER};

/// Two files, everything that a torrent can say, and an `info` whose hash is known.
const FULL: &[u8] = b"d8:announce17:http://a/announce13:announce-list\
    ll17:http://a/announceel9:udp://b:1ee7:comment9:l1\nl2\x1b[1m10:created by6:test/1\
    13:creation datei951782400e4:infod5:filesld6:lengthi2e4:pathl1:d1:xeed6:lengthi3e4:pathl1:yeee\
    4:name5:share12:piece lengthi16384e6:pieces20:\
    aaaaaaaaaaaaaaaaaaaa7:privatei1e6:source3:LANe5:nodesll8:10.0.0.1i6881eee\
    8:url-list9:http://w/e";

#[test]
fn json_keys_in_order() {
    let sandbox = Sandbox::new(&[("t", FULL)]);
    let outcome = sandbox.run(&["show", "t", "--json"]).expect(0);
    let object = outcome.json();
    assert_eq!(
        object,
        json!({
            "name": "share",
            "info_hash": "92c47a91e7937c00066c4a285cac487a0c8d7140",
            "info_hash_v2": null,
            "piece_length": 16_384,
            "piece_count": 1,
            "total_length": 5,
            "private": true,
            "files": [{ "path": "d/x", "length": 2 }, { "path": "y", "length": 3 }],
            "trackers": [["http://a/announce"], ["udp://b:1"]],
            "web_seeds": ["http://w/"],
            "nodes": [["10.0.0.1", 6881]],
            "comment": "l1\nl2\u{1b}[1m",
            "created_by": "test/1",
            "creation_date": 951_782_400,
            "source": "LAN",
        })
    );
    assert_eq!(outcome.stderr(), "");
}

#[test]
fn single_file_and_absent_keys() {
    let sandbox = Sandbox::new(&[("a.txt", b"hello")]);
    sandbox.run(&["a.txt", "-d", "-a", TRACKER]).expect(0);
    let object = sandbox.run(&["show", "--json", "a.txt.torrent"]).expect(0).json();
    assert_eq!(object["files"], json!([{ "path": "a.txt", "length": 5 }]));
    assert_eq!(object["trackers"], json!([[TRACKER]]));
    for key in ["info_hash_v2", "comment", "creation_date", "source"] {
        assert_eq!(object.get(key), Some(&json!(null)), "{key}");
    }
    for key in ["web_seeds", "nodes"] {
        assert_eq!(object[key], json!([]), "{key}");
    }
}

/// Control characters from a torrent do not reach the terminal.
#[test]
fn text() {
    let sandbox = Sandbox::new(&[("t", FULL)]);
    let outcome = sandbox.run(&["show", "t"]).expect(0);
    assert_eq!(
        outcome.stdout(),
        "name          share\n\
         info-hash     92c47a91e7937c00066c4a285cac487a0c8d7140\n\
         size          5 bytes\n\
         pieces        1 piece of 16.00 KiB (16384 bytes)\n\
         private       yes\n\
         trackers      http://a/announce\n\
         trackers      udp://b:1\n\
         web seed      http://w/\n\
         node          10.0.0.1 port 6881\n\
         comment       l1\\nl2\\u{1b}[1m\n\
         created by    test/1\n\
         created       2000-02-29 00:00:00 UTC\n\
         source        LAN\n\
         files         2 files\n\
         \x20             2  d/x\n\
         \x20             3  y\n"
    );
}

/// A torrent of one piece with this bencoded name and these entries of `files`.
fn info_of(name: &str, files: &str) -> String {
    format!("d4:info{}e", info(name, files))
}

fn info(name: &str, files: &str) -> String {
    format!("d5:filesl{files}e4:name{name}12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae")
}

/// Warnings go to standard error, also with JSON output.
#[test]
fn warnings() {
    let escaping = "d6:lengthi1e4:pathl2:..6:passwdee";
    let plain = info("1:n", "d6:lengthi1e4:pathl1:aee");
    let unsafe_path = "the path \"../passwd\" is not safe to use: ";
    for (torrent, expected) in [
        (format!("d4:info{plain}e"), &[][..]),
        (info_of("1:n", escaping), &[unsafe_path]),
        (info_of("2:..", escaping), &["the path \"..\" is not safe to use: ", unsafe_path]),
        (format!("d4:info{plain}4:info{plain}e"), &["there is a second `info` (at byte 110), "]),
    ] {
        let sandbox = Sandbox::new(&[("t", torrent.as_bytes())]);
        for args in [&["show", "t"][..], &["show", "t", "--json"]] {
            let outcome = sandbox.run(args).expect(0);
            let stderr = outcome.stderr();
            assert_eq!(stderr.lines().count(), expected.len(), "{stderr}");
            for (line, expected) in stderr.lines().zip(expected) {
                assert!(line.starts_with(&format!("make-torrent: warning: {expected}")), "{line}");
            }
        }
    }

    let files: String = (10..22).map(|number| format!("d6:lengthi1e4:pathl2:..2:{number}ee")).collect();
    let sandbox = Sandbox::new(&[("t", info_of("1:n", &files).as_bytes())]);
    let outcome = sandbox.run(&["show", "t"]).expect(0);
    assert_eq!(outcome.stderr().lines().count(), 11);
    assert!(outcome.stderr().ends_with("warning: 2 more paths are not safe to use either\n"), "{}", outcome.stderr());
}

#[test]
fn standard_input() {
    let sandbox = Sandbox::new(&[("t", FULL)]);
    let from_file = sandbox.run(&["show", "t", "--json"]).expect(0);
    let from_stdin = sandbox.run_with_stdin(&["show", "-", "--json"], FULL).expect(0);
    assert_eq!(from_file.stdout(), from_stdin.stdout());
}

#[test]
fn magnet() {
    let sandbox = Sandbox::new(&[("t", FULL)]);
    let from_file = sandbox.run(&["magnet", "t"]).expect(0);
    let prefix = "magnet:?xt=urn:btih:92c47a91e7937c00066c4a285cac487a0c8d7140&dn=share";
    assert!(from_file.stdout().starts_with(prefix), "{}", from_file.stdout());
    assert!(from_file.stdout().contains("&tr=http%3A%2F%2Fa%2Fannounce&tr=udp%3A%2F%2Fb%3A1"));
    assert_eq!(from_file.stdout().lines().count(), 1);
    let from_stdin = sandbox.run_with_stdin(&["magnet", "-"], FULL).expect(0);
    assert_eq!(from_file.stdout(), from_stdin.stdout());
}

/// One line with the reason, whatever the file holds.
#[test]
fn files_that_cannot_be_accepted() {
    for content in [
        b"".as_slice(),
        b"<html>",
        b"de",
        b"d4:infod4:name1:aee",
        b"d4:infod4:name3:\n\n\n12:piece lengthi0eee",
        &[b'l'; 100_000],
    ] {
        let sandbox = Sandbox::new(&[("bad", content)]);
        for command in [["show", "bad"].as_slice(), &["magnet", "bad"], &["verify", "bad", "."]] {
            let outcome = sandbox.run(command).expect(1);
            assert_eq!(outcome.stdout(), "");
            let stderr = outcome.stderr();
            assert!(stderr.starts_with("make-torrent: cannot accept \"bad\": "), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
    let sandbox = Sandbox::new(&[]);
    let message = "cannot read \"gone\": No such file or directory (os error 2)";
    sandbox.run(&["show", "gone"]).expect_failure(message);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new(&[("t", FULL)]);
    let mut child = (sandbox.command(&["show", "-"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), FULL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// A hybrid of 12 bytes in two files, with the padding that libtorrent puts behind each.
const HYBRID: &[u8] = b"d4:infod9:file treed1:ad0:d6:lengthi5e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaee\
    1:bd0:d6:lengthi7e11:pieces root32:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbeee\
    5:filesld6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi16379e4:pathl4:.pad5:16379ee\
    d6:lengthi7e4:pathl1:beed4:attr1:p6:lengthi16377e4:pathl4:.pad5:16377eee\
    12:meta versioni2e4:name3:mix12:piece lengthi16384e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbee";
const HYBRID_V1: &str = "d9cc5341707706d16e0222d08581cabff86cb491";
const HYBRID_V2: &str = "4c8ce26130d998957da6a76fdac8908faf1f75b0a416bc017459706d61cdb286";

#[test]
fn padding_is_marked_and_not_counted() {
    let sandbox = Sandbox::new(&[("t", HYBRID)]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    assert_eq!(object["total_length"], json!(12));
    assert_eq!(
        object["files"],
        json!([
            { "path": "a", "length": 5 },
            { "path": ".pad/16379", "length": 16_379, "pad": true, "attr": "p" },
            { "path": "b", "length": 7 },
            { "path": ".pad/16377", "length": 16_377, "pad": true, "attr": "p" },
        ])
    );
    let text = sandbox.run(&["show", "t"]).expect(0);
    assert!(text.stdout().contains("\nsize          12 bytes\n"), "{}", text.stdout());
    assert!(
        text.stdout().ends_with(
            "\nfiles         2 files\n\
             \x20             5  a\n\
             \x20         16379  .pad/16379 [padding]\n\
             \x20             7  b\n\
             \x20         16377  .pad/16377 [padding]\n"
        ),
        "{}",
        text.stdout()
    );
    let link = sandbox.run(&["magnet", "t"]).expect(0);
    assert!(link.stdout().contains("&xl=12"), "{}", link.stdout());

    // BitComet marks its padding by the name.
    let bitcomet = info_of("1:n", "d6:lengthi1e4:pathl1:aeed6:lengthi9e4:pathl20:_____padding_file_0_ee");
    let sandbox = Sandbox::new(&[("t", bitcomet.as_bytes())]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    assert_eq!((&object["total_length"], &object["files"][1]["pad"]), (&json!(1), &json!(true)));
}

#[test]
fn a_hybrid_has_both_info_hashes() {
    let sandbox = Sandbox::new(&[("t", HYBRID)]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    assert_eq!((&object["info_hash"], &object["info_hash_v2"]), (&json!(HYBRID_V1), &json!(HYBRID_V2)));
    let text = sandbox.run(&["show", "t"]).expect(0);
    let lines = format!("\ninfo-hash     {HYBRID_V1}\ninfo-hash v2  {HYBRID_V2}\n");
    assert!(text.stdout().contains(&lines), "{}", text.stdout());
    let link = sandbox.run(&["magnet", "t"]).expect(0);
    let topics = format!("magnet:?xt=urn:btih:{HYBRID_V1}&xt=urn:btmh:1220{HYBRID_V2}&dn=mix&xl=12\n");
    assert_eq!(link.stdout(), topics);
}

#[test]
fn what_a_torrent_says_of_a_file_is_shown() {
    let files = "d4:attr2:xh6:lengthi1e6:md5sum32:0123456789abcdef0123456789abcdef4:pathl3:bin3:rune4:sha120:\
                 AAAAAAAAAAAAAAAAAAAAed4:attr1:l4:pathl6:lateste12:symlink pathl3:bin3:runee";
    let sandbox = Sandbox::new(&[("t", info_of("1:n", files).as_bytes())]);
    let outcome = sandbox.run(&["show", "t", "--json"]).expect(0);
    assert_eq!(
        outcome.json()["files"],
        json!([
            {
                "path": "bin/run",
                "length": 1,
                "attr": "xh",
                "sha1": "4141414141414141414141414141414141414141",
                "md5sum": "0123456789abcdef0123456789abcdef",
            },
            { "path": "latest", "length": 0, "attr": "l", "symlink_target": "bin/run" },
        ])
    );
    let text = sandbox.run(&["show", "t"]).expect(0);
    assert!(
        text.stdout().ends_with(
            "              1  bin/run [executable, hidden, sha1 4141414141414141414141414141414141414141, \
             md5sum 0123456789abcdef0123456789abcdef]\n\
             \x20             0  latest -> bin/run [symlink]\n"
        ),
        "{}",
        text.stdout()
    );
}

/// A script may join every path and name of the output to its own folder; the torrent's own stand beside them.
#[test]
fn json_paths_lead_nowhere_else() {
    let file = |path: &str| format!("d6:lengthi1e4:path{path}e");
    let files = [
        file("l2:..2:..3:bare"),
        file("l7:/foobare"),
        file("l1:.1:ae"),
        file("l0:1:ae"),
        file("l6:..\\bare"),
        file("l2:C:3:bare"),
        file("l5:what?e"),
        file("l6:a\nb\x1b[me"),
        file("l4:finee"),
        "d4:attr1:l4:pathl4:linke12:symlink pathl2:..3:etcee".to_owned(),
        "d4:attr1:l4:pathl5:link2e12:symlink pathl4:fineee".to_owned(),
    ]
    .concat();
    let sandbox = Sandbox::new(&[("t", info_of("2:..", &files).as_bytes())]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    assert_eq!((&object["name"], &object["raw_name"], &object["unsafe"]), (&json!("__"), &json!(".."), &json!(true)));
    let unsafe_file = |path: &str, raw: &str| json!({ "path": path, "raw_path": raw, "unsafe": true, "length": 1 });
    assert_eq!(
        object["files"],
        json!([
            unsafe_file("__/__/bar", "../../bar"),
            unsafe_file("_foobar", "/foobar"),
            unsafe_file("_/a", "./a"),
            unsafe_file("_/a.1", "/a"),
            unsafe_file(".._bar", "..\\bar"),
            unsafe_file("C_/bar", "C:/bar"),
            unsafe_file("what_", "what?"),
            unsafe_file("a_b_[m", "a\nb\x1b[m"),
            { "path": "fine", "length": 1 },
            {
                "path": "link",
                "raw_path": "link",
                "unsafe": true,
                "length": 0,
                "attr": "l",
                "symlink_target": "__/etc",
                "raw_symlink_target": "../etc",
            },
            { "path": "link2", "length": 0, "attr": "l", "symlink_target": "fine" },
        ])
    );

    // The same of a comparison.
    let object = sandbox.run(&["verify", "t", ".", "--json"]).expect(1).json();
    assert_eq!((&object["name"], &object["raw_name"], &object["unsafe"]), (&json!("__"), &json!(".."), &json!(true)));
    assert!(object["info_hash_v2"].is_null());
    let first = &object["files"][0];
    assert_eq!(
        (&first["path"], &first["raw_path"], &first["unsafe"], &first["status"]),
        (&json!("__/__/bar"), &json!("../../bar"), &json!(true), &json!("unsafe_path"))
    );
    assert_eq!(object["files"][8]["path"], "fine");
    assert_eq!(object["files"][8].get("unsafe"), None);

    // And of a single file, whose name is its path.
    let single = b"d4:infod6:lengthi1e4:name9:../passwd12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    let sandbox = Sandbox::new(&[("t", single)]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    assert_eq!((&object["name"], &object["raw_name"]), (&json!(".._passwd"), &json!("../passwd")));
    assert_eq!(object["files"], json!([unsafe_file(".._passwd", "../passwd")]));
}

#[test]
fn names_that_are_not_utf8_can_be_told_apart() {
    let files = [&b"d6:lengthi1e4:pathl4:caf\xe9ee"[..], b"d6:lengthi1e4:pathl1:d4:\xff.txee"].concat();
    let info = [
        b"d5:files".as_slice(),
        b"l",
        &files,
        b"e",
        b"4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae",
    ];
    let sandbox = Sandbox::new(&[("t", &[b"d4:info", &info.concat()[..], b"e"].concat())]);
    let object = sandbox.run(&["show", "t", "--json"]).expect(0).json();
    let hex = |index: usize| object["files"][index]["raw_path_hex"].as_str().unwrap().to_owned();
    assert_eq!([hex(0), hex(1)], ["636166e9", "642fff2e7478"]);
}

/// Some programs write an empty folder as a file without bytes and without a name.
#[test]
fn marks_of_empty_folders_are_no_files() {
    let files =
        "d6:lengthi1e4:pathl1:aeed6:lengthi0e4:pathl4:docs0:eed6:lengthi0e4:pathleed6:lengthi0e4:pathl4:docs0:ee";
    let sandbox = Sandbox::new(&[("t", info_of("1:n", files).as_bytes()), ("n/a", b"x")]);
    let outcome = sandbox.run(&["show", "t", "--json"]).expect(0);
    let object = outcome.json();
    assert_eq!((object.get("unsafe"), outcome.stderr()), (None, ""));
    assert_eq!(object["files"][1]["placeholder"], true);
    let outcome = sandbox.run(&["show", "t"]).expect(0);
    assert!(
        outcome.stdout().contains("1 file\n") && outcome.stdout().contains("[mark of an empty folder]"),
        "{}",
        outcome.stdout()
    );
}
