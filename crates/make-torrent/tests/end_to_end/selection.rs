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
    assert_eq!(
        outcome.stderr(),
        "make-torrent: left out 1 file not included, 1 excluded file or folder (-v lists them)\n"
    );
    assert_eq!(
        outcome.json()["skipped"],
        json!([{ "path": "s/b.txt", "reason": "not_included" }, { "path": "s/raw", "reason": "excluded" }])
    );
    let outcome = made(&["--include", "*.mp4", "--exclude", "*.TXT"]);
    assert_eq!(
        outcome.json()["warnings"],
        json!(["the exclude pattern \"*.TXT\" matches nothing that would otherwise go in"])
    );

    let message = "\"s\" holds nothing to share: left out 3 files not included; \
                   the include pattern \"*.mkv\" matches nothing that would otherwise go in";
    sandbox.run(&["s", "-a", TRACKER, "-f", "--include", "*.mkv"]).expect_failure(message);
    let message = "\"s\" holds nothing to share: left out 3 excluded files or folders; \
                   the exclude pattern \"-x\" matches nothing that would otherwise go in";
    sandbox.run(&["s", "-a", TRACKER, "-f", "--exclude", "*", "-e", "-x"]).expect_failure(message);
}

/// What is left out for another reason is not looked at, so a pattern may match something there.
#[test]
fn a_warning_of_a_pattern_does_not_say_that_there_is_no_such_file() {
    let files = ["g/k/a", "g/.env", "g/.git/objects/b", "g/sub/deep/c"];
    let sandbox = Sandbox::new(&files.map(|path| (path, b"a".as_slice())));
    let nothing = |kind: &str, pattern: &str| {
        format!("the {kind} pattern {pattern:?} matches nothing that would otherwise go in")
    };
    let hidden = |pattern| nothing("include", pattern) + "; names that begin with a dot need --include-hidden";
    for (args, warnings) in [
        (&["--exclude", "sub", "--exclude", "sub/deep"][..], vec![nothing("exclude", "sub/deep")]),
        (&["--exclude", ".git/objects"], vec![nothing("exclude", ".git/objects")]),
        (&["--include", "k", "--include", ".env"], vec![hidden(".env")]),
        (&["--include", "k", "--include", "/.git/objects"], vec![hidden("/.git/objects")]),
        (&["--include", "k", "--include", ".enw", "--include-hidden"], vec![nothing("include", ".enw")]),
        (&["--include", "k", "--include", ".env", "--include-hidden"], vec![]),
    ] {
        let json = sandbox.run(&[&["g", "-a", TRACKER, "--json", "-f"], args].concat()).expect(0).json();
        assert_eq!(json["warnings"], json!(warnings));
    }
    let message = "\"g\" holds nothing to share: left out 2 hidden files or folders (--include-hidden includes them), \
                   2 files not included; the include pattern \"nothing\" matches nothing that would otherwise go in";
    sandbox.run(&["g", "-a", TRACKER, "--include", "nothing"]).expect_failure(message);
}

#[test]
fn patterns_that_look_like_options() {
    let sandbox = Sandbox::new(&[("s/-d/a", b"a"), ("s/-e", b"b"), ("s/c", b"c")]);
    let made = |args: &[&str]| sandbox.run(&[&["s", "-a", TRACKER, "--json", "-f"], args].concat()).expect(0).json();
    assert_eq!(paths(&made(&["--exclude", "-d/*", "-e", "-e"])), ["c"]);
    assert_eq!(paths(&made(&["--include", "-d"])), ["-d/a"]);
}

/// As typed on a keyboard, and as on a disk of macOS.
#[test]
fn patterns_match_both_unicode_forms() {
    let sandbox = Sandbox::new(&[("s/gro\u{308}\u{df}e.txt", b"a"), ("s/b", b"b")]);
    for pattern in ["gr\u{f6}\u{df}e.txt", "gro\u{308}\u{df}e.txt", "/gr\u{f6}*"] {
        let json = sandbox.run(&["s", "-a", TRACKER, "--json", "-f", "--exclude", pattern]).expect(0).json();
        assert_eq!(paths(&json), ["b"]);
        assert_eq!(json["warnings"], json!([]));
    }
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

/// A shell runs the option in the message, which leaves out the bad file and no other.
#[cfg(unix)]
#[test]
fn an_error_names_the_option_that_leaves_the_file_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    for (bad, good, pattern) in [
        (b"\xe9".as_slice(), &["a", "e", "\u{e9}"][..], "'/[^ -~]'"),
        (b"\\", &["a", "ab"], "'/[\\]'"),
        (b"\n", &["a", "ab"], "'/[^ -~]'"),
        (b"sub/\xe9", &["sub/e", "a"], "'/sub/[^ -~]'"),
        (b"a\\b", &["axxb", "axb", "ab", "sub/axb"], "'/a[\\]b'"),
        (b"sub/a\nb", &["sub/axb", "sub/a b", "x"], "'/sub/a[^ -~]b'"),
        (b"-d/\xe9", &["-d/e", "a"], "'/-d/[^ -~]'"),
        (b"-rf\x1b'", &["-rf1'", "-rf"], r"'/-rf[^ -~]'\'''"),
        (b"gr\xfc\xdf [1]*{a,b}?!.txt", &["gr12 1", "a"], "'/gr[^ -~][^ -~] [[]1][*][{]a,b[}][?]!.txt'"),
        (b"k\n/sub/a", &["k1/sub/a", "sub/a"], "'/k[^ -~]'"),
        (b"$(reboot)\\", &["a", "$(reboot)x"], "'/$(reboot)[\\]'"),
    ] {
        let sandbox = Sandbox::new(&[]);
        for name in good {
            sandbox.write(&format!("s/{name}"), b"good");
        }
        let path = sandbox.path("s").join(OsStr::from_bytes(bad));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"bad").unwrap();
        let mut advice = String::new();
        for root in ["s", "s/", "./s/."] {
            let outcome = sandbox.run(&[root, "-a", TRACKER]).expect(1);
            let (_, option) = outcome.stderr().split_once("; rename it, or leave it out with ").unwrap();
            assert_eq!(option, format!("--exclude {pattern}\n"));
            advice = option.trim_end().to_owned();
        }
        let command = format!("{} s -a {TRACKER} --json {advice}", env!("CARGO_BIN_EXE_make-torrent"));
        let output = Command::new("sh").args(["-c", &command]).current_dir(sandbox.path("")).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut good = good.to_vec();
        good.sort_unstable();
        let mut included = paths(&json);
        included.sort_unstable();
        assert_eq!(included, good, "{advice}");
        assert_eq!(json["skipped"].as_array().unwrap().len(), 1, "{advice}");
    }
}

#[cfg(unix)]
#[test]
fn an_error_of_a_link_names_the_option_that_leaves_it_out() {
    use std::os::unix::fs::symlink;

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
