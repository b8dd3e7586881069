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

/// Warnings go to standard error, also with JSON output.
#[test]
fn warnings() {
    let info = |name: &str, files: &str| {
        format!("d5:filesl{files}e4:name{name}12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae")
    };
    let escaping = "d6:lengthi1e4:pathl2:..6:passwdee";
    let plain = info("1:n", "d6:lengthi1e4:pathl1:aee");
    let unsafe_path = "the path \"../passwd\" is not safe to use: ";
    for (torrent, expected) in [
        (format!("d4:info{plain}e"), &[][..]),
        (format!("d4:info{}e", info("1:n", escaping)), &[unsafe_path]),
        (format!("d4:info{}e", info("2:..", escaping)), &["the path \"..\" is not safe to use: ", unsafe_path]),
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
    let sandbox = Sandbox::new(&[("t", format!("d4:info{}e", info("1:n", &files)).as_bytes())]);
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
