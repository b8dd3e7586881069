//! The metrics of a tracker with traffic, read by Prometheus and its promtool, and what is in docs for them. `.ci/install-prometheus`
//! installs both. Those in `nightly` wait for some scrapes.
#![cfg(target_os = "linux")]

#[path = "../cli/client.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod client;
mod nightly;
mod rules;
#[path = "../cli/running.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod running;
mod server;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{announce, announce_target, get, peers_over_udp};
use crate::running::{Tracker, tracker, wait_until};

/// A torrent that the tracker does not share.
const INFO_HASH: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";

/// A tracker that has everything that has metrics, and that clients have used.
struct Busy {
    _folder: TempDir,
    tracker: Tracker,
    dashboard: SocketAddr,
}

impl Busy {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let share = folder.path().join("share");
        fs::create_dir(&share).unwrap();
        fs::write(share.join("film.mkv"), [7; 100_000]).unwrap();
        let mut command = tracker();
        let here = "127.0.0.1:0";
        command.args(["--dashboard", "--listen", here, "--dashboard-listen", here, "--log-format", "json", "--data"]);
        command.args([&folder.path().join("data"), &share]);
        let mut tracker = Tracker::spawn(command);
        let url = |what: &str| {
            let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains(what))).unwrap();
            line["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
        };
        let page = url("dashboard URL");
        let dashboard = page.split_once("/?token=").unwrap().0.parse().unwrap();
        tracker.address = url("announce URL").strip_suffix("/announce").unwrap().parse().unwrap();
        let busy = Self { _folder: folder, tracker, dashboard };
        busy.use_it();
        busy
    }

    /// What clients do: they announce over both protocols, scrape, are refused, and download.
    fn use_it(&self) {
        let address = self.tracker.address;
        announce(address, INFO_HASH, 6881, 10, "started");
        announce(address, INFO_HASH, 6881, 0, "completed");
        peers_over_udp([127, 0, 0, 2], address, INFO_HASH, 6882, 10);
        let scrape = announce_target(INFO_HASH, 6881, 0, "").replace("/announce", "/scrape");
        assert!(get(address, &scrape).contains("5:files"));
        assert!(get(address, "/announce?info_hash=short").contains("failure reason"));
        let film = self.shared();
        assert!(get(self.dashboard, &format!("/seed/{film}/film.mkv")).starts_with("HTTP/1.1 200 "));
        assert!(get(self.dashboard, "/files").starts_with("HTTP/1.1 "));
        // Some are counted by a sweep.
        for series in ["tracker_peers{state=\"seeding\"} 1\n", "tracker_failures_total{protocol=\"http\"} 1\n"] {
            wait_until(series, || self.metrics().contains(series));
        }
    }

    /// The info-hash of what it shares, once it is hashed.
    fn shared(&self) -> String {
        let mut shared = None;
        wait_until("the film is shared", || {
            let torrents = body(&get(self.dashboard, "/api/v1/torrents"));
            let torrents: Value = serde_json::from_str(&torrents).unwrap();
            let film = torrents["items"].as_array().unwrap().iter().find(|torrent| torrent["name"] == "film.mkv");
            shared = film.map(|film| film["info_hash"].as_str().unwrap().to_owned());
            shared.is_some()
        });
        shared.unwrap()
    }

    fn metrics(&self) -> String {
        body(&get(self.dashboard, "/metrics"))
    }
}

/// The body of an answer that has its length in the head.
fn body(answer: &str) -> String {
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The names of the metrics in a text.
fn names(metrics: &str) -> impl Iterator<Item = &str> {
    let series = metrics.lines().filter(|line| !line.starts_with('#'));
    series.map(|line| line.split(['{', ' ']).next().unwrap())
}

/// A program of Prometheus.
fn program(name: &str) -> PathBuf {
    let path = root().join("target/prometheus/usr/bin").join(name);
    assert!(path.exists(), "there is no {}: run .ci/install-prometheus first", path.display());
    path
}

/// A file in the repository's folder for documentation.
fn document(name: &str) -> PathBuf {
    root().join("docs").join(name)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs promtool with this input, which must find nothing to complain about. Returns what it prints.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let [out, complaints] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && complaints.is_empty(), "{arguments:?}: {out}{complaints}");
    out
}

#[test]
#[ignore = "needs promtool: .ci/install-prometheus"]
fn promtool_has_no_complaint_about_the_metrics() {
    let busy = Busy::start();
    let metrics = busy.metrics();
    promtool(&["check", "metrics"], &metrics);
    // What was done shows.
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}"));
        line.trim().parse::<f64>().unwrap()
    };
    assert_eq!(value("tracker_announces_total "), 3.0, "{metrics}");
    assert_eq!(value("tracker_completed_total "), 1.0, "{metrics}");
    assert_eq!(value("tracker_failures_total{protocol=\"http\"} "), 1.0, "{metrics}");
    assert_eq!(value("tracker_downloads_bytes_total{way=\"web_seed\"} "), 100_000.0, "{metrics}");
    assert_eq!(value("tracker_own_peer_seeded_torrents "), 1.0, "{metrics}");
}
