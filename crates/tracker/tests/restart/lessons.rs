//! Lessons, as the API has them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tracker_monitor::Lessons;

use crate::client::{get, send};
use crate::crash::{MAY_BE_LOST, number};
use crate::running::{Tracker, tracker, wait_until};
use crate::{INFO_HASHES, kill, peer::Peer, text};

/// A tracker with a dashboard in this data folder, and the address and the token of that.
fn observed(data: &Path) -> (Tracker, SocketAddr, String) {
    let mut command = tracker();
    command.args(["--dashboard", "--listen", "127.0.0.1:0", "--dashboard-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--data", text(data)]);
    let mut tracker = Tracker::spawn(command);
    let url = |what: &str| {
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains(what))).unwrap();
        line["url"].as_str().unwrap()["http://".len()..].to_owned()
    };
    let dashboard = url("dashboard URL");
    let (dashboard, token) = dashboard.split_once("/?token=").unwrap();
    let (dashboard, token) = (dashboard.parse().unwrap(), token.to_owned());
    let address = url("announce URL").trim_end_matches("/announce").parse().unwrap();
    tracker.address = address;
    (tracker, dashboard, token)
}

/// Begins a lesson.
fn begin(dashboard: SocketAddr, token: &str) {
    let answer = send("POST", dashboard, "/api/v1/lessons", &format!("Authorization: Bearer {token}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// The numbers of the lessons, the current one first.
fn numbers(dashboard: SocketAddr) -> Vec<u64> {
    let lessons = json(dashboard, "/api/v1/lessons");
    lessons["lessons"].as_array().unwrap().iter().map(|lesson| lesson["number"].as_u64().unwrap()).collect()
}

fn json(dashboard: SocketAddr, target: &str) -> Value {
    let answer = get(dashboard, target);
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_lesson_goes_on_after_the_tracker_was_killed() {
    let data = tempfile::tempdir().unwrap();
    let (tracker, dashboard, token) = observed(data.path());
    begin(dashboard, &token);
    Peer::new(1).announce(tracker.address, INFO_HASHES[0], 0, "started").unwrap();
    // A lesson that begins is saved at once, and what happens in it a few seconds later.
    wait_until("the lesson is saved with its file", || {
        let saved = fs::read(data.path().join("monitor.json")).unwrap_or_default();
        let saved: Value = serde_json::from_slice(&saved).unwrap_or_default();
        saved["lesson"]["number"] == 2 && saved["lesson"]["files"].as_array().is_some_and(|files| files.len() == 1)
    });
    let first_sample = |dashboard| json(dashboard, "/api/v1/history?span=10m")["times"][0].as_u64().unwrap();
    let (before, began) = (json(dashboard, "/api/v1/lessons"), first_sample(dashboard));
    kill(tracker);

    let (tracker, dashboard, _) = observed(data.path());
    let after = json(dashboard, "/api/v1/lessons");
    let numbers = |lessons: &Value| {
        let lessons = lessons["lessons"].as_array().unwrap();
        lessons.iter().map(|lesson| (lesson["number"].clone(), lesson["files"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&after), numbers(&before));
    assert_eq!(first_sample(dashboard), began);
    kill(tracker);
}

#[test]
fn lessons_are_kept_whenever_the_tracker_is_killed() {
    let seed = number("RESTART_SEED", rand::random_range(0..1_000_000));
    println!("RESTART_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().unwrap();
    // Lessons of which one must be the current one at the next start.
    let mut possible = 1..=1;
    for round in 0..number("RESTART_ROUNDS", 10).div_ceil(2) {
        let when = format!("round {round} of RESTART_SEED={seed}");
        let (tracker, dashboard, token) = observed(data.path());
        let found = numbers(dashboard);
        assert!(possible.contains(&found[0]), "{when}: {found:?}, not {possible:?}");
        // The oldest are forgotten.
        assert_eq!(found, (1..=found[0]).rev().take(1 + Lessons::MAX_PAST).collect::<Vec<_>>(), "{when}");
        let mut begun = vec![(found[0], None)];
        for lesson in found[0] + 1..=found[0] + rng.random_range(0..4) {
            Peer::new(lesson.try_into().unwrap()).announce(tracker.address, INFO_HASHES[0], 10, "started").unwrap();
            begin(dashboard, &token);
            begun.push((lesson, Some(Instant::now())));
            // A moment, not a condition: it is drawn.
            thread::sleep(Duration::from_millis(rng.random_range(0..1200)));
        }
        let killed = Instant::now();
        kill(tracker);
        let is_safe = |at: &Option<Instant>| at.is_none_or(|at| at + MAY_BE_LOST < killed);
        let least = begun.iter().rev().find(|(_, at)| is_safe(at)).unwrap().0;
        possible = least..=begun.last().unwrap().0;
    }
    let put_aside = |name: &str| [".damaged", ".unreadable", ".newer"].iter().any(|end| name.ends_with(end));
    let names = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| put_aside(name)).collect::<Vec<_>>(), [""; 0]);
}
