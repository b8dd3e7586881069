//! `tracker report`, which asks a running tracker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread;

use serde_json::Value;

use std::net::Ipv4Addr;

use crate::client::{announce, peers_over_udp, post};
use crate::dashboard::observed;
use crate::running::{tracker, wait_until};
use crate::{INFO_HASH, succeeded};

fn report(dashboard: SocketAddr, flags: &[&str]) -> Output {
    report_with("", dashboard, flags)
}

/// With this token, if it is not empty.
fn report_with(token: &str, dashboard: SocketAddr, flags: &[&str]) -> Output {
    let url = format!("http://{dashboard}");
    tracker().args(["report", "--url", &url]).args(flags).env("TRACKER_TOKEN", token).output().unwrap()
}

fn refused(output: Output) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{error}");
    error
}

#[test]
fn the_report_of_each_lesson_is_printed_in_each_format() {
    let observed = observed(&[]);
    announce(observed.tracker.address, INFO_HASH, 6881, 10, "started");
    let text = succeeded(report(observed.dashboard, &[]));
    assert!(text.lines().count() > 1, "{text}");
    let csv = succeeded(report(observed.dashboard, &["--format", "csv"]));
    assert!(csv.lines().next().unwrap().contains(','), "{csv}");
    let json = |flags: &[&str]| -> Value {
        serde_json::from_str(&succeeded(report(observed.dashboard, &[flags, &["--format", "json"]].concat()))).unwrap()
    };
    let first = json(&[]);
    assert_eq!(first["number"], 1, "{first}");
    let begun = post(observed.dashboard, "/api/v1/lessons", b"");
    assert!(begun.starts_with("HTTP/1.1 201 "), "{begun}");
    assert_eq!((&json(&[])["number"], &json(&["--lesson", "1"])["number"]), (&2.into(), &1.into()));

    let error = refused(report(observed.dashboard, &["--lesson", "9"]));
    assert!(error.starts_with("error: ") && error.contains("no such lesson"), "{error}");
}

/// A proxy may know the tracker under its path only.
#[test]
fn the_path_of_the_url_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1000];
        let read = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let output = tracker().args(["report", "--url", &format!("http://{proxy}/tracker/")]).output().unwrap();
    assert_eq!(succeeded(output), "hello");
    let head = asked.join().unwrap();
    assert!(head.starts_with("GET /tracker/api/v1/lessons/0?format=text "), "{head}");
}

#[test]
fn the_report_says_how_long_the_tracker_took_to_answer() {
    let observed = observed(&[]);
    let json =
        || -> Value { serde_json::from_str(&succeeded(report(observed.dashboard, &["--format", "json"]))).unwrap() };
    assert_eq!(json()["answers"], Value::Null);
    announce(observed.tracker.address, INFO_HASH, 6881, 10, "started");
    peers_over_udp(Ipv4Addr::LOCALHOST, observed.tracker.address, INFO_HASH, 6882, 10);
    // They are counted when they have been sent.
    wait_until("both announces are counted", || json()["answers"]["requests"] == 2);
    let answers = json();
    let millis = |name| answers["answers"][name].as_f64().unwrap();
    assert!(millis("median_ms") > 0.0 && millis("p99_ms") >= millis("median_ms"), "{answers}");
    let text = succeeded(report(observed.dashboard, &[]));
    assert!(text.contains("The tracker answered 2 requests of BitTorrent clients, half of them within "), "{text}");
    post(observed.dashboard, "/api/v1/lessons", b"");
    assert_eq!(json()["answers"], Value::Null, "those were in the lesson before");
}

#[test]
fn a_token_goes_with_the_request() {
    let observed = observed(&["--dashboard-token-always"]);
    succeeded(report_with(&observed.token, observed.dashboard, &[]));
    let error = refused(report_with("wrong", observed.dashboard, &[]));
    assert!(error.contains("set TRACKER_TOKEN"), "{error}");
}

#[test]
fn without_a_tracker_it_says_so() {
    let unused = TcpListener::bind("127.0.6.7:0").unwrap().local_addr().unwrap();
    let error = refused(report(unused, &[]));
    assert!(error.contains(&format!("no tracker runs at http://{unused}")) && error.contains("--url"), "{error}");

    for url in ["https://lab-pc:6970", "lab-pc"] {
        let error = refused(tracker().args(["report", "--url", url]).output().unwrap());
        assert!(error.contains("http://HOST:PORT"), "{error}");
    }
    let error = refused(tracker().args(["report", "--lesson", "0"]).output().unwrap());
    assert!(error.contains("--lesson"), "{error}");
}

#[test]
fn another_server_is_not_taken_for_a_tracker() {
    for answer in ["HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", "220 mail.example ESMTP\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = refused(report(address, &[]));
        server.join().unwrap();
        assert!(error.contains("is not the dashboard of a tracker"), "{answer}: {error}");
    }
}
