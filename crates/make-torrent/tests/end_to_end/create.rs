//! `make-torrent PATH`.

use serde_json::json;

use crate::common::{Sandbox, TRACKER};

const LEFT_OUT: &str = "make-torrent: left out 1 junk file, 2 hidden files or folders (-v lists them)\n";

#[test]
fn writes_the_torrent_beside_the_content() {
    let sandbox = Sandbox::new(&[("shelf/course/notes.txt", b"hello"), ("elsewhere/a", b"a")]);
    let outcome = sandbox.run(&["shelf/course", "-a", TRACKER]).expect(0);
    assert_eq!(sandbox.names(), ["elsewhere", "shelf"]);
    assert_eq!(outcome.stderr(), "");

    let shown = sandbox.run(&["show", "shelf/course.torrent", "--json"]).expect(0).json();
    let info_hash = shown["info_hash"].as_str().unwrap();
    assert_eq!(outcome.stdout(), format!("{info_hash}  shelf/course.torrent\n"));
}

/// The path that is printed can be given to any program.
#[test]
fn names_that_look_like_options() {
    for name in ["-rf", "--help", "-"] {
        let path = format!("./{name}");
        let sandbox = Sandbox::new(&[(name, b"hello")]);
        for args in [&[path.as_str()][..], &["--", name]] {
            if *args == ["--", "-"] {
                continue; // Standard input.
            }
            let outcome = sandbox.run(&[&["-a", TRACKER, "-f"], args].concat()).expect(0);
            let printed = outcome.stdout().split_whitespace().nth(1).unwrap();
            assert_eq!(printed, format!("./{name}.torrent"));
            sandbox.run(&["show", printed]).expect(0);
        }
        assert_eq!(sandbox.names(), [name.to_owned(), format!("{name}.torrent")]);
    }
}

#[test]
fn completions_and_man_pages_have_the_flags() {
    let sandbox = Sandbox::new(&[]);
    let text = |args: &[&str]| sandbox.run(args).expect(0).stdout().replace('\\', "");
    for args in [
        &["generate", "completions", "bash"][..],
        &["generate", "completions", "fish"],
        &["generate", "man"],
        &["-h"],
        &["--help"],
    ] {
        let text = text(args);
        assert!(text.contains("follow-symlinks"), "{text}");
        assert!(!text.contains("generate"), "{text}");
    }
    for (command, flag) in [("show", "--json"), ("verify", "--threads"), ("magnet", "FILE")] {
        let page = text(&["generate", "man", command]);
        assert!(page.contains(&format!("make-torrent {command}")) && page.contains(flag), "{page}");
    }
    assert!(text(&["-h"]).len() * 3 < text(&["--help"]).len() * 2);
    sandbox.run(&["generate", "completions", "csh"]).expect(2);
    sandbox.run(&["generate"]).expect(2);
}

#[test]
fn the_torrent_has_the_name_of_its_path() {
    let notes = "shelf/course/notes.txt";
    let course = "shelf/course.torrent";
    for (path, expected) in [
        ("shelf/course", course),
        ("shelf/course/", course),
        ("shelf/course/.", course),
        ("shelf/course/inner/..", course),
        ("./shelf/../shelf/course", course),
        ("shelf", "shelf.torrent"),
        (notes, "shelf/course/notes.txt.torrent"),
    ] {
        let sandbox = Sandbox::new(&[(notes, b"hello"), ("shelf/course/inner/a", b"a")]);
        // The name in the torrent is independent of it.
        sandbox.run(&[path, "-a", TRACKER, "-n", "other"]).expect(0);
        assert!(sandbox.path(expected).is_file(), "{path}");
    }

    let sandbox = Sandbox::new(&[(notes, b"hello")]);
    let mut command = sandbox.command(&[".", "-a", TRACKER]);
    assert!(command.current_dir(sandbox.path("shelf/course")).output().unwrap().status.success());
    assert!(sandbox.path(course).is_file());
}

/// Every flag under its short and its long name gives the same bytes.
#[test]
fn flags_of_mktorrent() {
    let sandbox = Sandbox::new(&[("a.bin", &[7; 40_000])]);
    let short = [
        "a.bin",
        "-d",
        "-p",
        "-a",
        "http://a/announce,http://b/announce",
        "-a",
        "udp://c:1",
        "-l",
        "15",
        "-o",
        "short",
        "-n",
        "name.bin",
        "-c",
        "remark",
        "-w",
        "http://w/",
        "-s",
        "LAN",
        "-t",
        "2",
        "-v",
    ];
    sandbox.run(&short).expect(0);
    let long = [
        "a.bin",
        "--no-date",
        "--private",
        "--announce",
        "http://a/announce,http://b/announce",
        "--announce",
        "udp://c:1",
        "--piece-length",
        "32KiB",
        "--output",
        "long",
        "--name",
        "name.bin",
        "--comment",
        "remark",
        "--web-seed",
        "http://w/",
        "--source",
        "LAN",
        "--threads",
        "1",
        "--verbose",
    ];
    sandbox.run(&long).expect(0);
    let bytes = sandbox.read("short");
    assert_eq!(bytes, sandbox.read("long"));

    let created_by = format!("make-torrent/{}", env!("CARGO_PKG_VERSION"));
    let head = format!(
        "d8:announce17:http://a/announce13:announce-list\
         ll17:http://a/announce17:http://b/announceel9:udp://c:1ee7:comment6:remark\
         10:created by{}:{created_by}4:infod6:lengthi40000e4:name8:name.bin\
         12:piece lengthi32768e6:pieces40:",
        created_by.len(),
    );
    assert!(bytes.starts_with(head.as_bytes()), "{}", bytes.escape_ascii());
    assert!(bytes.ends_with(b"7:privatei1e6:source3:LANe8:url-listl9:http://w/ee"));
}

#[test]
fn what_is_empty_or_given_twice_changes_nothing() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    let made = |args: &[&str]| {
        let args = [&["a", "-d", "-o", "-"], args].concat();
        sandbox.run(&args).expect(0).bytes().to_vec()
    };
    let plain = made(&["-a", TRACKER, "-w", "http://w/"]);
    assert_eq!(made(&["-a", TRACKER, "-w", "http://w/", "-s", "", "-c", ""]), plain);
    assert_eq!(made(&["-a", TRACKER, "-w", "http://w/", "-s", " \t"]), plain);
    assert_eq!(made(&["-a", TRACKER, "-w", "http://w/", "-w", "http://w:80", "-w", "http://W:80/"]), plain);
    let with_port = made(&["-a", "http://a/announce", "-a", "http://A:80/announce"]);
    assert_eq!(with_port, made(&["-a", "http://a/announce"]));
    let tracker = TRACKER.replace("http", "HTTP");
    assert_eq!(made(&["-a", TRACKER, "-a", &tracker, "-w", "http://w/", "-w", "http://W/"]), plain);
    assert_eq!(made(&["-a", &format!("{TRACKER},{TRACKER}"), "-w", "http://w/,http://w/"]), plain);
}

#[test]
fn urls_are_written_as_clients_can_use_them() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    let args = ["a", "--json", "-a", "HTTP://müller.example/announce?key=ä", "-w", "HTTP://Web.example/größe/"];
    let json = sandbox.run(&args).expect(0).json();
    assert_eq!(json["trackers"], json!([["http://xn--mller-kva.example/announce?key=%C3%A4"]]));
    assert_eq!(json["web_seeds"], json!(["http://web.example/gr%C3%B6%C3%9Fe/"]));
    assert_eq!(json["warnings"], json!([]));
}

#[test]
fn dates() {
    let sandbox = Sandbox::new(&[("a", b"a")]);
    let date = |args: &[&str]| {
        let args = [&["a", "-a", TRACKER, "--json", "--force"], args].concat();
        sandbox.run(&args).expect(0).json()["creation_date"].clone()
    };
    assert_eq!(date(&["--no-date"]), json!(null));
    assert_eq!(date(&["--date", "1700000000"]), json!(1_700_000_000));
    assert!(date(&[]).as_u64().unwrap() > 1_700_000_000);
}

#[test]
fn json() {
    let sandbox = Sandbox::new(&[("a/b.txt", b"hello"), ("a/.c", b"")]);
    let outcome = sandbox.run(&["a", "-d", "--json", "--node", "[fd00::1]:6881"]).expect(0);
    let warning = "without an announce URL (-a) peers are found by DHT and local discovery only";
    assert_eq!(
        outcome.json(),
        json!({
            "output": "a.torrent",
            "name": "a",
            "info_hash": "5e842260f101e23589b8d179f30be8d27cc1da4b",
            "info_hash_v2": null,
            "piece_length": 16_384,
            "piece_count": 1,
            "total_length": 5,
            "private": false,
            "files": [{ "path": "b.txt", "length": 5 }],
            "trackers": [],
            "web_seeds": [],
            "nodes": [["fd00::1", 6881]],
            "comment": null,
            "created_by": concat!("make-torrent/", env!("CARGO_PKG_VERSION")),
            "creation_date": null,
            "source": null,
            "skipped": [{ "path": "a/.c", "reason": "hidden" }],
            "warnings": [warning],
        })
    );
}

#[test]
fn standard_output() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    let outcome = sandbox.run(&["a", "-o", "-", "-d", "-a", TRACKER]).expect(0);
    assert_eq!(sandbox.names(), ["a"]);
    sandbox.run(&["a", "-o", "file", "-d", "-a", TRACKER]).expect(0);
    assert_eq!(outcome.bytes(), sandbox.read("file"));

    let outcome = sandbox.run(&["a", "-o", "-", "--json"]).expect(2);
    assert!(outcome.stderr().contains("both write to standard output"));
}

#[test]
fn overwrites_only_with_force() {
    let sandbox = Sandbox::new(&[("a", b"hello"), ("a.torrent", b"precious"), ("folder/b", b"")]);
    let message = "\"a.torrent\" is there already; --force overwrites it";
    sandbox.run(&["a", "-a", TRACKER]).expect_failure(message);
    assert_eq!(sandbox.read("a.torrent"), b"precious");
    sandbox.run(&["a", "-a", TRACKER, "--force"]).expect(0);
    assert!(sandbox.read("a.torrent").starts_with(b"d8:announce"));

    // But never anything other than a torrent.
    for (output, advice) in [("folder", "; -o folder/ puts a.torrent into it"), ("/dev/null", "")] {
        let message = format!("{output:?} is there and is not a file{advice}");
        sandbox.run(&["a", "-o", output, "-f"]).expect_failure(&message);
    }
    let message = |path| format!("{path:?} is part of what the torrent describes; write it elsewhere with -o");
    sandbox.run(&["a", "-o", "a", "-f"]).expect_failure(&message("a"));
    sandbox.write("folder/b", b"content");
    sandbox.run(&["folder", "-o", "folder/b", "-f"]).expect_failure(&message("folder/b"));
    assert_eq!(sandbox.read("folder/b"), b"content");
    assert_eq!(sandbox.names(), ["a", "a.torrent", "folder"]);
}

#[cfg(unix)]
#[test]
fn a_torrent_is_readable_as_any_new_file() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    let sandbox = Sandbox::new(&[("a", b"hello")]);
    sandbox.run(&["a", "-a", TRACKER]).expect(0);
    let mode = |name| fs::metadata(sandbox.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("a.torrent"), mode("a"));
}

#[test]
fn reports_skipped_files() {
    let files: &[(&str, &[u8])] = &[("s/a", b"a"), ("s/.b", b"b"), ("s/.c/d", b"d"), ("s/.DS_Store", b"")];
    let sandbox = Sandbox::new(files);
    let outcome = sandbox.run(&["s", "-a", TRACKER]).expect(0);
    assert_eq!(outcome.stderr(), LEFT_OUT);

    let outcome = sandbox.run(&["s", "-a", TRACKER, "-v", "-f"]).expect(0);
    assert_eq!(
        outcome.stderr(),
        "              1  a\n\
         1 byte in 1 piece of 16 KiB\n\
         left out s/.DS_Store: junk (--include-junk includes it)\n\
         left out s/.b: hidden (--include-hidden includes it)\n\
         left out s/.c: hidden (--include-hidden includes it)\n"
    );
    let all = ["s", "-a", TRACKER, "-f", "--include-hidden", "--include-junk", "--json"];
    let outcome = sandbox.run(&all).expect(0);
    assert_eq!(outcome.json()["files"].as_array().unwrap().len(), 4);
    assert_eq!(outcome.stderr(), "");
}

#[test]
fn warns_of_the_operators_url_in_a_torrent() {
    let sandbox = Sandbox::new(&[("f", b"x")]);
    let outcome = sandbox.run(&["f", "-a", "http://10.0.0.1:6970/?token=0123"]).expect(0);
    assert!(outcome.stderr().contains("its token is now in the torrent"), "{}", outcome.stderr());
}

#[test]
fn warns_of_names_that_webtorrent_cannot_fetch() {
    let sandbox = Sandbox::new(&[("s/c#", b"x"), ("s/plain", b"x"), ("t/#1/a", b"x"), ("t/#2", b"x"), ("f#", b"x")]);
    let warnings = |args: &[&str]| {
        let json = sandbox.run(&[args, &["-a", TRACKER, "--json", "-f"]].concat()).expect(0).json();
        json["warnings"].clone()
    };
    let web_seed = "http://10.0.0.1/";
    let one = "WebTorrent cannot download \"c#\" from a web server, since there is a # or ? in its name";
    assert_eq!(warnings(&["s", "-w", web_seed]), json!([one]));
    let two = "WebTorrent cannot download \"#1/a\" and 1 other file from a web server, since there is a # or ? in their names";
    assert_eq!(warnings(&["t", "-w", web_seed]), json!([two]));
    // A single file has its own URL, which the user writes.
    for args in [&["s"][..], &["f#", "-w", web_seed]] {
        assert_eq!(warnings(args), json!([]), "{args:?}");
    }
}

#[test]
fn warns_of_announce_urls_that_nobody_else_can_use() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    for (args, warning) in [
        (
            ["-a", "http://127.0.0.1:6969/announce"].as_slice(),
            "http://127.0.0.1:6969/announce is a loopback address, which leads every machine to itself: \
             others need the tracker's address on the network",
        ),
        (
            &["-a", "http://0.0.0.0:6969/announce"],
            "http://0.0.0.0:6969/announce is a listening address, to which clients cannot connect: \
             others need the tracker's address on the network",
        ),
        (
            &["-a", "http://[fe80::1]:6969/announce"],
            "http://[fe80::1]:6969/announce is a link-local address, which works only on one network segment, if at all: \
             others need the tracker's address on the network",
        ),
        (
            &["-a", "http://10.0.0.1:6969"],
            "http://10.0.0.1:6969 may not be an announce URL: the usual path is /announce",
        ),
        (
            &["-a", "http://10.0.0.1:6969/scrape"],
            "http://10.0.0.1:6969/scrape may not be an announce URL: the usual path is /announce",
        ),
        (
            &["-a", "http://LAB_PC:6969/announce"],
            "clients such as qBittorrent drop http://lab_pc:6969/announce, since the name lab_pc holds other characters than \
             letters, digits, hyphens and dots: give the tracker's address, or another name of it",
        ),
        (
            &["-a", TRACKER, "-w", "http://LAB_PC/f"],
            "clients such as qBittorrent drop http://lab_pc/f, since the name lab_pc holds other characters than letters, \
             digits, hyphens and dots: give the web server's address, or another name of it",
        ),
        (
            &["-a", TRACKER, "-w", "http://localhost/f"],
            "http://localhost/f is a loopback address, which leads every machine to itself: \
             others need the web server's address on the network",
        ),
        (
            &["-a", "http://10.0.0.1:6969//announce"],
            "http://10.0.0.1:6969//announce may not be an announce URL: there is an empty name between two slashes of its path",
        ),
        (
            &["-a", "http://10.0.0.1/announce:6969"],
            "http://10.0.0.1/announce:6969 may not be an announce URL: a port stands behind the host, not in the path",
        ),
        (
            &["-a", TRACKER, "-p", "--node", "10.0.0.1:6881"],
            "clients do not use DHT for a private torrent, so its --node is of no use",
        ),
        (&[], "without an announce URL (-a) peers are found by DHT and local discovery only"),
        (&["-p"], "without an announce URL (-a) nobody finds a private torrent's peers"),
    ] {
        let outcome = sandbox.run(&[&["a", "-f"], args].concat()).expect(0);
        assert_eq!(outcome.stderr(), format!("make-torrent: warning: {warning}\n"));
    }
}

#[test]
fn wrong_usage() {
    let sandbox = Sandbox::new(&[("a", b"hello")]);
    for (args, message) in [
        (&[][..], "required arguments were not provided"),
        (&["a", "-a", "192.168.1.10:6969"], "is not a URL: it must begin with http://"),
        (&["a", "-a", "ftp://a/"], "ftp:// does not work here"),
        (&["a", "-a", "192.168.1.5:6969/announce"], "wss://, as in http://192.168.1.5:6969/announce"),
        (&["a", "-w", "http://h/a, b.txt"], "write a comma in a URL as %2C"),
        (&["a", "-n", ""], "a name must not be empty"),
        (&["a", "-l", "0"], "from 16 KiB to 128 MiB: give the exponent n of 2^n from 14 to 27"),
        (&["a", "-l", "13"], "from 16 KiB to 128 MiB"),
        (&["a", "-l", "100000"], "must be a power of two"),
        (&["a", "-t", "0"], "a number from 1 to 256"),
        (&["a", "--node", "router"], "has no port"),
        (&["a", "--date", "1", "-d"], "cannot be used with"),
        (&["a", "b"], "put several into a folder"),
        (&["a", "-d", "b", "c"], "put several into a folder"),
    ] {
        let outcome = sandbox.run(args).expect(2);
        assert!(outcome.stderr().contains(message), "{}", outcome.stderr());
    }
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn failures() {
    let sandbox = Sandbox::new(&[("empty", b"")]);
    sandbox.run(&["empty"]).expect_failure("\"empty\" holds nothing to share");
    let message = "cannot read \"gone\": No such file or directory (os error 2)";
    sandbox.run(&["gone"]).expect_failure(message);
    let message = "\"/\" has no name that the torrent could have; give one with -n, and the .torrent file with -o";
    sandbox.run(&["/"]).expect_failure(message);
    sandbox.write("h/.a", b"hello");
    sandbox.write("h/.b/c", b"hello");
    let message = "\"h\" holds nothing to share: left out 2 hidden files or folders (--include-hidden includes them)";
    sandbox.run(&["h"]).expect_failure(message);
    let message = "a torrent is made of a file or folder, not of standard input";
    sandbox.run(&["-"]).expect_failure(message);
    sandbox.write("a", b"hello");
    let outcome = sandbox.run(&["a", "-a", TRACKER, "-o", "gone/a.torrent"]).expect(1);
    let stderr = outcome.stderr();
    assert!(stderr.starts_with("make-torrent: cannot write into \"gone\": "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_file_with_the_name_of_a_command() {
    let sandbox = Sandbox::new(&[("show", b"hello")]);
    sandbox.run(&["show"]).expect(2);
    sandbox.run(&["./show", "-a", TRACKER]).expect(0);
    assert_eq!(sandbox.names(), ["show", "show.torrent"]);
}
