//! The tracker is stopped and killed, and started again in the same data folder: what of it is still there, as clients see it.
//!
//! The disk that fills up and the one that becomes read-only are mounted in a mount namespace, which needs root; without it their tests
//! say so and do nothing. `RESTART_ROUNDS` is the number of times that the tracker is killed under load, and `RESTART_SEED` draws the
//! same moments again.
#![cfg(target_os = "linux")]

#[path = "../cli/client.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod client;
mod crash;
mod damage;
mod disk;
mod lessons;
mod peer;
mod peers;
#[path = "../cli/running.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod running;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::running::{Tracker, tracker};

/// Some torrents.
const INFO_HASHES: [&str; 3] = [
    "3500292f2881c52a3c672db7c77db1f60426c65f",
    "abcdef0123456789abcdef0123456789abcdef01",
    "00112233445566778899aabbccddeeff00112233",
];

/// Starts a tracker in this data folder on a free loopback port, with JSON lines.
fn start(data: &Path) -> Tracker {
    Tracker::start_json(&["--data", text(data)])
}

/// The address for clients of a tracker that was just started with JSON lines.
fn address_of(tracker: &Tracker) -> SocketAddr {
    let line = tracker.log.wait_for(|line| line.contains("announce URL"));
    let line: Value = serde_json::from_str(&line).unwrap();
    line["url"].as_str().unwrap()["http://".len()..].trim_end_matches("/announce").parse().unwrap()
}

/// Kills a tracker, as `kill -9` and a power failure do, and waits for its end.
fn kill(mut tracker: Tracker) {
    tracker.child.kill().unwrap();
    tracker.child.wait().unwrap();
}

/// Stops a tracker as a service manager does.
fn stop(mut tracker: Tracker) {
    let status = tracker.stop("TERM");
    assert!(status.success(), "{status}");
}

/// Runs a command of the program for this data folder, which must succeed.
fn run(arguments: &[&str], data: &Path) {
    let output = tracker().args(arguments).args(["--data", text(data)]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
