//! Command line, exit codes and output, with any tracker.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use tempfile::tempdir;

use crate::run::{outcome, program, simulate};
use crate::swarms::Fault;
use crate::udp::UdpTracker;

/// The exit code and the text on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = program().args(arguments).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wrong_usage_is_rejected_with_advice() {
    for (arguments, advice) in [
        (&["127.0.0.1:6969"][..], "write http://HOST:PORT/announce or udp://HOST:PORT"),
        (&["udp://127.0.0.1:1", "--peers", "0"], "--peers"),
        (&["udp://127.0.0.1:1", "--zipf", "-1"], "--zipf is a number from 0 on"),
        (&["udp://127.0.0.1:1", "--seeders", "101"], "a percentage from 0 to 100"),
        (&["udp://127.0.0.1:1", "--sources", "0"], "give distinct, one, or a number"),
        (&["udp://[::1]:1", "--sources", "2"], "leave out --sources"),
        (&["udp://127.0.0.1:1", "--fill-only", "--skip-fill"], "cannot be used with"),
        (&["udp://127.0.0.1:1", "--scrapes", "5", "--torrents", "3", "--scrape-hashes", "4"], "--torrents 4 or more"),
        (&["http://127.0.0.1:1/x", "--scrapes", "5"], "leave out --scrapes"),
    ] {
        let (code, error) = refused(arguments);
        assert!(error.contains(advice), "{arguments:?}: {error}");
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
    }
}

#[test]
fn completions_and_man_page_have_the_flags() {
    for arguments in [&["generate", "completions", "bash"][..], &["generate", "man"], &["-h"], &["--help"]] {
        let output = program().args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace('\\', "");
        assert!(output.status.success() && text.contains("--scrape-hashes"), "{arguments:?}: {text}");
    }
    assert_eq!(refused(&[]).0, Some(2), "without a URL");
    assert_eq!(refused(&["generate", "completions", "csh"]).0, Some(2));
}

#[test]
fn a_process_that_does_not_exist_is_an_error() {
    let (code, error) = refused(&["udp://127.0.0.1:1", "--pid", "4294967295"]);
    assert!(error.contains("is it running?"), "{error}");
    assert_eq!(code, Some(1));
}

#[test]
fn an_address_without_a_tracker_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    drop(listener);
    let output = program().arg(&url).output().unwrap();
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("no useful answer") && error.contains("Connection refused"), "{error}");
    assert!(out.contains("no connection, or a broken one"), "{out}");
}

#[test]
fn a_tracker_that_never_answers_times_out() {
    let tracker = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", tracker.local_addr().unwrap());
    let outcome = simulate(&url, &["--peers", "5", "--fill-only"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!([outcome.number("/fill/errors/timeouts"), outcome.number("/fill/retransmits")], [5.0, 10.0]);
}

#[test]
fn info_hashes_are_those_of_the_run() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("info-hashes");
    let write = |seed: &str, torrents: &str| {
        let arguments = ["udp://127.0.0.1:1", "--seed", seed, "--torrents", torrents, "--info-hashes"];
        assert!(program().args(arguments).arg(&file).status().unwrap().success());
        fs::read_to_string(&file).unwrap()
    };
    let five = write("7", "5");
    assert_eq!(five.lines().count(), 5);
    assert!(five.lines().all(|line| line.len() == 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit())), "{five}");
    assert!(five.starts_with(&write("7", "3")));
    assert_ne!(five, write("8", "5"));
}

#[test]
fn cpu_time_and_memory_are_reported() {
    let tracker = UdpTracker::start("127.0.0.1:0", Fault::None);
    // The tracker is a thread of this process.
    let pid = std::process::id().to_string();
    let outcome = simulate(&tracker.url(), &["--peers", "50", "--announces", "100", "--pid", &pid]);
    assert!(outcome.number("/fill/tracker/rss_bytes_after") > 100_000.0, "{outcome:?}");
    assert!(outcome.number("/steady/tracker/cpu_us_per_request") >= 0.0, "{outcome:?}");
    outcome.number("/fill/tracker/rss_bytes_per_peer");
    assert!(outcome.json.pointer("/steady/tracker/rss_bytes_per_peer").unwrap().is_null(), "{outcome:?}");
}

#[test]
fn figures_and_pictures_are_written() {
    let tracker = UdpTracker::start("127.0.0.1:0", Fault::None);
    let folder = tempdir().unwrap();
    let [json, plot] = ["run.json", "run.svg"].map(|name| folder.path().join(name));
    let output = program()
        .args([&tracker.url(), "--peers", "50", "--duration", "300ms"])
        .arg("--json")
        .arg(&json)
        .arg("--plot")
        .arg(&plot)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let summary = String::from_utf8(output.stdout).unwrap();
    for part in ["Arrival", "Steady", "50 in ", "p99.9", "violations            none", "the bottleneck is"] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["settings"]["peers"], 50);
    assert!(fs::read_to_string(plot).unwrap().contains("<svg"));
}

#[test]
fn ctrl_c_ends_early_with_a_report() {
    let tracker = UdpTracker::start("127.0.0.1:0", Fault::None);
    let arguments = ["--peers", "50", "--duration", "1h", "--quiet", "--json", "-"];
    let child = program().arg(tracker.url()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    tracker.wait_for_packets(1000);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let outcome = outcome(&child.wait_with_output().unwrap());
    assert_eq!(outcome.json["interrupted"], true);
    assert!(outcome.number("/steady/requests") > 500.0, "{outcome:?}");
    assert_eq!(outcome.code, Some(0));
}
