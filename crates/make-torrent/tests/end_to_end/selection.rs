//! What goes into the torrent, and what is left out.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Sandbox, TRACKER};

fn paths(json: &Value) -> Vec<&str> {
    json["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn excluding_and_including() {
    let sandbox = Sandbox::new(&[("s/a.mp4", b"a"), ("s/b.txt", b"b"), ("s/raw/c.mp4", b"c")]);
    let made = |args: &[&str]| sandbox.run(&[&["s", "-a", TRACKER, "--json", "-f"], args].concat()).expect(0);
    assert_eq!(paths(&made(&["--exclude", "*.txt", "--exclude", "raw/"]).json()), ["a.mp4"]);
    assert_eq!(paths(&made(&["-e", "raw"]).json()), ["a.mp4", "b.txt"]);
    let outcome = made(&["--include", "*.mp4", "--exclude", "raw"]);
    assert_eq!(outcome.stderr(), "make-torrent: left out 1 not included, 1 excluded (-v lists them)\n");
    assert_eq!(
        outcome.json()["skipped"],
        json!([{ "path": "s/b.txt", "reason": "not_included" }, { "path": "s/raw", "reason": "excluded" }])
    );
    let outcome = made(&["--include", "*.mp4", "--exclude", "*.TXT"]);
    assert_eq!(
        outcome.json()["warnings"],
        json!(["the exclude pattern \"*.TXT\" matches nothing below the given folder"])
    );

    let message = "\"s\" holds nothing to share: left out 3 not included";
    sandbox.run(&["s", "-a", TRACKER, "-f", "--include", "*.mkv"]).expect_failure(message);
}

#[test]
fn an_invalid_pattern_is_wrong_usage() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    for (option, pattern, reason) in [
        ("--exclude", "[", "unclosed character class"),
        ("--include", "{a,b", "unclosed alternate group"),
        ("--include", "a[9-0]", "invalid range"),
        ("--exclude", "/", "it is empty"),
    ] {
        let outcome = sandbox.run(&["a", "-a", TRACKER, option, pattern]).expect(2);
        let stderr = outcome.stderr();
        assert!(stderr.contains(&format!("{pattern:?} is not a pattern: {reason}")), "{stderr}");
    }
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn empty_folders_are_reported() {
    let sandbox = Sandbox::new(&[("s/a", b"a")]);
    fs::create_dir_all(sandbox.path("s/empty")).unwrap();
    fs::create_dir_all(sandbox.path("s/other/empty")).unwrap();
    let outcome = sandbox.run(&["s", "-a", TRACKER, "--json"]).expect(0);
    assert_eq!(outcome.stderr(), "make-torrent: left out 2 empty folders (-v lists them)\n");
    let skipped = ["s/empty", "s/other/empty"].map(|path| json!({ "path": path, "reason": "empty_folder" }));
    assert_eq!(outcome.json()["skipped"], json!(skipped));
}

/// The option in the message does help.
#[cfg(unix)]
#[test]
fn an_error_names_the_option_that_leaves_the_file_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    for (name, pattern) in [
        (b"s/sub/a\\b".as_slice(), "sub/a*b"),
        (b"s/a\nb", "/a*b"),
        (b"s/sub/gr\xfc\xdf [1].txt", "sub/gr* *1*.txt"),
        (b"s/-rf\x1b'", "/-rf*"),
    ] {
        let sandbox = Sandbox::new(&[("s/sub/good", b"hello"), ("s/ok", b"hello")]);
        fs::write(sandbox.path(OsStr::from_bytes(name)), b"bad").unwrap();
        for root in ["s", "s/", "./s/."] {
            let outcome = sandbox.run(&[root, "-a", TRACKER]).expect(1);
            let stderr = outcome.stderr();
            assert!(
                stderr.ends_with(&format!("; rename it, or leave it out with --exclude '{pattern}'\n")),
                "{stderr}"
            );
        }
        let json = sandbox.run(&["s", "-a", TRACKER, "--json", "--exclude", pattern]).expect(0).json();
        assert_eq!(paths(&json), ["ok", "sub/good"]);
    }

    let sandbox = Sandbox::new(&[("s/a", b"hello")]);
    symlink("loop", sandbox.path("s/loop")).unwrap();
    let outcome = sandbox.run(&["s", "-a", TRACKER, "--follow-symlinks"]).expect(1);
    assert!(outcome.stderr().starts_with("make-torrent: cannot read \"s/loop\": "), "{}", outcome.stderr());
    assert!(outcome.stderr().ends_with("; --exclude '/loop' leaves it out\n"), "{}", outcome.stderr());
    sandbox.run(&["s", "-a", TRACKER, "--follow-symlinks", "--exclude", "/loop"]).expect(0);
}

#[cfg(unix)]
#[test]
fn another_name_is_given_with_an_option() {
    let sandbox = Sandbox::new(&[("a\\b", b"hello")]);
    let outcome = sandbox.run(&["a\\b", "-a", TRACKER]).expect(1);
    assert!(outcome.stderr().ends_with("; give another name with -n\n"), "{}", outcome.stderr());
    sandbox.run(&["a\\b", "-a", TRACKER, "-n", "a b"]).expect(0);
}

#[test]
fn many_warnings_are_counted() {
    let files: Vec<_> = (0..30).map(|number| format!("s/e\u{301}{number}")).collect();
    let sandbox = Sandbox::new(&files.iter().map(|path| (path.as_str(), b"a".as_slice())).collect::<Vec<_>>());
    let outcome = sandbox.run(&["s", "-a", TRACKER, "--json"]).expect(0);
    let lines: Vec<_> = outcome.stderr().lines().collect();
    assert_eq!(lines.len(), 21);
    assert!(lines[0].contains("NFC"), "{}", lines[0]);
    assert_eq!(lines[20], "make-torrent: 10 more warnings (--json lists them)");
    assert_eq!(outcome.json()["warnings"].as_array().unwrap().len(), 30);
}
