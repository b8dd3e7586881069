//! A tracker with a folder to share, as the operator sees it at the start.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Tracker, tracker};

const HERE: &str = "127.0.0.1:0";

/// A folder with two files to share, and one whose name cannot go into a torrent.
fn lessons() -> TempDir {
    let lessons = tempfile::tempdir().unwrap();
    for name in ["lecture.txt", "notes.txt", "\x1b[31mred.txt"] {
        fs::write(lessons.path().join(name), name).unwrap();
    }
    lessons
}

/// The arguments that share this folder on loopback.
fn share(lessons: &TempDir) -> [&str; 6] {
    [lessons.path().to_str().unwrap(), "--dashboard", "--listen", HERE, "--dashboard-listen", HERE]
}

#[test]
fn the_url_of_the_files_comes_first_and_the_announce_urls_last() {
    let lessons = lessons();
    let mut tracker = Tracker::start(&share(&lessons));
    let first = tracker.out.wait_for(|_| true);
    let files = format!("The files in {} are at http://127.0.0.1:", lessons.path().display());
    assert!(first.starts_with(&files) && first.ends_with(", on this machine only."), "{first}");
    let mut urls = Vec::new();
    tracker.out.wait_for(|line| {
        urls.extend(line.contains("://").then(|| line.trim().to_owned()));
        line.contains("Ctrl-C")
    });
    let kinds: Vec<_> = urls.iter().map(|url| (url.contains("?token="), url.ends_with("/announce"))).collect();
    assert_eq!(kinds, [(true, false), (false, true), (false, true)], "{urls:?}");
    assert!(urls.iter().all(|url| !url.contains('█')), "standard output is no terminal: {urls:?}");

    let mut lines = Vec::new();
    tracker.log.wait_for(|line| {
        lines.push(line.to_owned());
        line.contains("all is prepared")
    });
    assert!(tracker.stop("TERM").success());
    lines.extend(tracker.log.rest());
    assert!(!lines.iter().any(|line| line.contains('\x1b')), "{lines:?}");
}

#[test]
fn preparing_has_lines_in_the_json_log() {
    let lessons = lessons();
    let tracker = Tracker::start(&[&share(&lessons)[..], &["--log-format", "json"]].concat());
    // They may be prepared one by one.
    let line = tracker.log.wait_for(|line| line.contains("share_prepared") && line.contains("\"ready\":2"));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["event"], &line["level"]), (&"share_prepared".into(), &"INFO".into()));
    assert!(line["message"].as_str().unwrap().contains("2 files and folders"), "{line}");
}

#[test]
fn without_a_display_no_browser_is_opened_and_it_goes_on() {
    for (name, value, reason) in
        [("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22", "over SSH"), ("DISPLAY", "", "no display")]
    {
        if name == "DISPLAY" && cfg!(not(target_os = "linux")) {
            continue;
        }
        let mut command = tracker();
        command.args(["--open", "--dashboard", "--listen", HERE, "--dashboard-listen", HERE, "--log-format", "json"]);
        for variable in ["DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"] {
            command.env_remove(variable);
        }
        let mut tracker = Tracker::spawn({
            command.env(name, value);
            command
        });
        let warning = tracker.log.wait_for(|line| line.contains("no browser is opened"));
        assert!(warning.contains("\"WARN\"") && warning.contains(reason), "{warning}");
        assert!(tracker.stop("TERM").success());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_progress_below_the_log() {
    use std::io::Write;
    use std::net::Ipv4Addr;
    use std::process::Stdio;

    use crate::running::Lines;
    use crate::terminal;

    let lessons = tempfile::tempdir().unwrap();
    // Of 256 MiB of zeros, which take a while to hash.
    fs::File::create(lessons.path().join("image.bin")).unwrap().set_len(256 << 20).unwrap();
    fs::File::create(lessons.path().join("a.txt")).unwrap().write_all(b"a").unwrap();
    let (window, terminal) = terminal();
    let mut command = tracker();
    command.args(share(&lessons)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(terminal).env("TERM", "xterm");
    let child = command.spawn().unwrap();
    drop(command);
    let log = Lines::of(window);
    let mut tracker = Tracker { child, address: (Ipv4Addr::UNSPECIFIED, 0).into(), out: Lines::none(), log };
    let mut text = String::new();
    tracker.log.wait_for(|line| {
        text.push_str(line);
        line.contains("all is prepared")
    });
    assert!(text.contains("preparing image.bin: "), "{text:?}");
    assert!(tracker.stop("INT").success());
}
