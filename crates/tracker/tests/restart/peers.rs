//! Peers that were there before a restart.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use crate::peer::{Counts, Peer, scrape};
use crate::running::Tracker;
use crate::{INFO_HASHES, kill, start, stop, text};

/// Longest time until all peers are on the disk: a snapshot is written each minute.
const SNAPSHOT: Duration = Duration::from_secs(90);

/// Peers of a swarm: no more than an answer has.
const PEERS: u32 = 30;

/// Has peers come, half of them seeders; the last one leaves again. Returns those that are there.
fn fill(tracker: &Tracker) -> BTreeSet<Peer> {
    for info_hash in INFO_HASHES {
        for number in 0..=PEERS {
            let left = if number % 2 == 0 { 0 } else { 10 };
            Peer::new(number).announce(tracker.address, info_hash, left, "started").unwrap();
        }
        Peer::new(PEERS).announce(tracker.address, info_hash, 0, "stopped").unwrap();
    }
    (0..PEERS).map(Peer::new).collect()
}

/// A newcomer gets all of them at once, and nobody is counted twice.
#[track_caller]
fn assert_all_are_there(tracker: &Tracker, peers: &BTreeSet<Peer>) {
    let half = u64::from(PEERS / 2);
    for info_hash in INFO_HASHES {
        let expected = Counts { complete: half, incomplete: half, downloaded: 0 };
        assert_eq!(scrape(tracker.address, info_hash), expected, "{info_hash}");
        let newcomer = Peer::new(PEERS + 1);
        let told = newcomer.announce(tracker.address, info_hash, 10, "started").unwrap();
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), *peers, "{info_hash}");
        newcomer.announce(tracker.address, info_hash, 10, "stopped").unwrap();
        // One that announces again is the one that was there.
        Peer::new(1).announce(tracker.address, info_hash, 10, "").unwrap();
        Peer::new(2).announce(tracker.address, info_hash, 0, "started").unwrap();
        assert_eq!(scrape(tracker.address, info_hash), expected, "{info_hash}");
    }
}

#[test]
fn after_a_normal_stop_all_are_handed_out_at_once() {
    let data = tempfile::tempdir().unwrap();
    let tracker = start(data.path());
    let peers = fill(&tracker);
    assert_all_are_there(&tracker, &peers);
    // Twice, so that what was restored is stored again.
    stop(tracker);
    let tracker = start(data.path());
    assert_all_are_there(&tracker, &peers);
    stop(tracker);
    assert_all_are_there(&start(data.path()), &peers);
}

#[test]
fn after_a_kill_those_of_the_last_snapshot_are_handed_out_at_once() {
    let data = tempfile::tempdir().unwrap();
    let tracker = start(data.path());
    let peers = fill(&tracker);
    // A snapshot that was finished a second later was begun later.
    let (begun, later) = (Instant::now(), SystemTime::now() + Duration::from_secs(1));
    let snapshot = data.path().join("swarms.snapshot");
    while !snapshot.metadata().is_ok_and(|metadata| metadata.modified().unwrap() >= later) {
        assert!(begun.elapsed() < SNAPSHOT, "no snapshot was written within {} s", SNAPSHOT.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
    kill(tracker);
    assert_all_are_there(&start(data.path()), &peers);
}

#[test]
fn without_a_data_folder_nobody_is_remembered() {
    let tracker = Tracker::start_json(&["--data", "none"]);
    fill(&tracker);
    stop(tracker);
    let tracker = Tracker::start_json(&["--data", "none"]);
    assert_eq!(scrape(tracker.address, INFO_HASHES[0]), Counts::default());
}

#[test]
fn a_second_tracker_is_refused_and_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let tracker = start(data.path());
    let peers = fill(&tracker);
    let second =
        crate::running::tracker().args(["--listen", "127.0.0.1:0", "--data", text(data.path())]).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{error}");
    assert!(error.contains(&format!("another tracker (process {})", tracker.child.id())), "{error}");
    assert_all_are_there(&tracker, &peers);
    stop(tracker);
    assert_all_are_there(&start(data.path()), &peers);
}

#[test]
fn no_temporary_file_is_left() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let tracker = start(data.path());
        fill(&tracker);
        stop(tracker);
    }
    let names = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    assert!(names.iter().any(|name| name == "swarms.snapshot"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with('.') || name.contains("tmp")), "{names:?}");
    assert!(
        names.iter().filter(|name| name.starts_with("journal.")).count() <= 2,
        "old journals are removed: {names:?}"
    );
}
