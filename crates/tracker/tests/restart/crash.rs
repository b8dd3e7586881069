//! Downloads that were completed before the tracker was killed.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::peer::{Peer, scrape};
use crate::running::{Tracker, tracker, wait_until};
use crate::{INFO_HASHES, kill, run, start, stop, text};

/// What was done within this time before the kill may be lost, such as a download that was completed: 1 s, and what a busy machine adds to it.
pub(crate) const MAY_BE_LOST: Duration = Duration::from_millis(1500);

/// Clients that announce at the same time.
const CLIENTS: usize = 4;

/// What is known of the downloads of one torrent.
#[derive(Debug, Clone, Copy, Default)]
struct Downloads {
    /// At least so many are counted.
    least: u64,
    /// At most so many are counted.
    most: u64,
}

/// The value of an environment variable, or else a default.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}

#[test]
fn downloads_are_counted_once_whenever_the_tracker_is_killed() {
    let seed = number("RESTART_SEED", rand::random_range(0..1_000_000));
    let rounds = number("RESTART_ROUNDS", 10);
    println!("RESTART_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().unwrap();
    let numbers = AtomicU32::new(0);
    let mut known = [Downloads::default(); INFO_HASHES.len()];
    for round in 0..rounds {
        // Now and then it is killed while it starts, too.
        if rng.random_bool(0.3) {
            kill_while_it_starts(data.path(), Duration::from_millis(rng.random_range(0..300)));
        }
        let tracker = start(data.path());
        check(&tracker, &mut known, &format!("round {round} of RESTART_SEED={seed}"));
        load(tracker, Duration::from_millis(rng.random_range(200..3500)), &numbers, &mut known);
    }
    let tracker = start(data.path());
    check(&tracker, &mut known, &format!("after the last round of RESTART_SEED={seed}"));
    // A normal stop loses nothing.
    stop(tracker);
    let tracker = start(data.path());
    for (info_hash, known) in INFO_HASHES.iter().zip(known) {
        assert_eq!(scrape(tracker.address, info_hash).downloaded, known.least, "RESTART_SEED={seed}");
    }
    assert!(known.iter().map(|known| known.least).sum::<u64>() > 0, "nothing was downloaded");
}

fn kill_while_it_starts(data: &Path, after: Duration) {
    let mut command = tracker();
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data", text(data)]);
    let tracker = Tracker::spawn(command);
    // A moment, not a condition: it is drawn.
    thread::sleep(after);
    kill(tracker);
}

/// Compares the counts with what is known. What is counted now stays counted.
fn check(tracker: &Tracker, known: &mut [Downloads; INFO_HASHES.len()], when: &str) {
    for (info_hash, known) in INFO_HASHES.iter().zip(known) {
        let counted = scrape(tracker.address, info_hash).downloaded;
        let Downloads { least, most } = *known;
        assert!((least..=most).contains(&counted), "{when}: {counted} downloads of {info_hash}, not {least} to {most}");
        *known = Downloads { least: counted, most: counted };
    }
}

/// Has clients download until the tracker is killed after this time.
fn load(tracker: Tracker, time: Duration, numbers: &AtomicU32, known: &mut [Downloads; INFO_HASHES.len()]) {
    let address = tracker.address;
    let begun = INFO_HASHES.map(|_| AtomicU64::new(0));
    let (completed, killed): (Vec<_>, _) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| download(address, numbers, &begun))).collect();
        // A moment, not a condition: it is drawn.
        thread::sleep(time);
        let killed = Instant::now();
        kill(tracker);
        (clients.into_iter().flat_map(|client| client.join().unwrap()).collect(), killed)
    });
    for (index, known) in known.iter_mut().enumerate() {
        let is_safe = |&&(torrent, at): &&(usize, Instant)| torrent == index && at + MAY_BE_LOST < killed;
        known.least += completed.iter().filter(is_safe).count() as u64;
        known.most += begun[index].load(Ordering::Relaxed);
    }
}

/// Downloads one torrent after the other, each as a new peer, until the tracker is gone. Returns which, and when it was told that they
/// are complete.
fn download(tracker: SocketAddr, numbers: &AtomicU32, begun: &[AtomicU64; INFO_HASHES.len()]) -> Vec<(usize, Instant)> {
    let mut completed = Vec::new();
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let torrent = number as usize % INFO_HASHES.len();
        begun[torrent].fetch_add(1, Ordering::Relaxed);
        match Peer::new(number).download(tracker, INFO_HASHES[torrent]) {
            Ok(()) => completed.push((torrent, Instant::now())),
            Err(_) => return completed,
        }
        // So that there are places for all peers: this is no test of limits.
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_download_counts_once_although_the_snapshot_has_it_unfinished() {
    let data = tempfile::tempdir().unwrap();
    let (peer, torrent) = (Peer::new(1), INFO_HASHES[0]);
    let tracker = start(data.path());
    peer.announce(tracker.address, torrent, 10, "started").unwrap();
    stop(tracker);
    let tracker = start(data.path());
    peer.announce(tracker.address, torrent, 0, "completed").unwrap();
    let completed = Instant::now();
    wait_until("it is on the disk", || completed.elapsed() > MAY_BE_LOST);
    kill(tracker);
    let tracker = start(data.path());
    for event in ["", "completed"] {
        peer.announce(tracker.address, torrent, 0, event).unwrap();
        let counts = scrape(tracker.address, torrent);
        assert_eq!((counts.complete, counts.downloaded), (1, 1));
    }
    stop(tracker);
}

#[test]
fn a_backup_under_load_has_what_was_completed_before_it() {
    let place = tempfile::tempdir().unwrap();
    let [data, other] = ["data", "other"].map(|name| place.path().join(name));
    let tracker = start(&data);
    for number in 0..20 {
        Peer::new(number).download(tracker.address, INFO_HASHES[0]).unwrap();
    }
    let completed = Instant::now();
    let numbers = AtomicU32::new(20);
    let begun = INFO_HASHES.map(|_| AtomicU64::new(0));
    let address = tracker.address;
    thread::scope(|scope| {
        let client = scope.spawn(|| download(address, &numbers, &begun));
        wait_until("what was completed is on the disk", || completed.elapsed() > MAY_BE_LOST);
        for number in 0..20 {
            let file = place.path().join(format!("{number}.tar"));
            run(&["backup", text(&file)], &data);
        }
        kill(tracker);
        client.join().unwrap();
    });
    for number in [0, 19] {
        run(&["restore", text(&place.path().join(format!("{number}.tar")))], &other);
        let tracker = start(&other);
        let counted = scrape(tracker.address, INFO_HASHES[0]).downloaded;
        assert!((20..=20 + begun[0].load(Ordering::Relaxed)).contains(&counted), "{counted}");
        stop(tracker);
    }
}
