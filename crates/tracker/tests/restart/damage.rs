//! Snapshots that are not as the tracker wrote them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::peer::{Peer, scrape};
use crate::running::Tracker;
use crate::{INFO_HASHES, start, stop};

const SNAPSHOT: &str = "swarms.snapshot";

/// Where the version is in a snapshot: after the magic bytes.
const VERSION_AT: usize = 8;

/// What happened to a snapshot, and how.
type Change = (&'static str, fn(&mut Vec<u8>));

/// A data folder with a snapshot in it, of a tracker that was stopped.
fn stopped() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let tracker = start(data.path());
    for info_hash in INFO_HASHES {
        for number in 0..20 {
            Peer::new(number).download(tracker.address, info_hash).unwrap();
        }
    }
    stop(tracker);
    data
}

/// Starts a tracker in this folder, and returns its warning with this word.
fn start_with_warning(data: &Path, word: &str) -> Tracker {
    // The line comes before that of the announce URL, which starting waits for.
    let mut command = crate::running::tracker();
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data", crate::text(data)]);
    let mut tracker = Tracker::spawn(command);
    let mut warnings = Vec::new();
    let ready = tracker.log.wait_for(|line| {
        if line.contains("\"WARN\"") || line.contains("\"ERROR\"") {
            warnings.push(line.to_owned());
        }
        line.contains("announce URL")
    });
    let url: Value = serde_json::from_str(&ready).unwrap();
    tracker.address = url["url"].as_str().unwrap()["http://".len()..].trim_end_matches("/announce").parse().unwrap();
    assert!(warnings.iter().any(|line| line.contains(SNAPSHOT) && line.contains(word)), "{word}: {warnings:#?}");
    tracker
}

/// It serves, and remembers what happens from now on.
fn assert_it_serves_on(tracker: Tracker, data: &Path) {
    let before = scrape(tracker.address, INFO_HASHES[0]);
    Peer::new(77).download(tracker.address, INFO_HASHES[0]).unwrap();
    let after = scrape(tracker.address, INFO_HASHES[0]);
    assert_eq!(after.downloaded, before.downloaded + 1);
    stop(tracker);
    assert_eq!(scrape(start(data).address, INFO_HASHES[0]), after);
}

/// The bytes of the only snapshot that was put aside with this word in its name.
fn aside(data: &Path, word: &str) -> Vec<u8> {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    let aside: Vec<_> = names.iter().filter(|name| name.starts_with(SNAPSHOT) && name.contains(word)).collect();
    let [name] = *aside else { panic!("{names:?}") };
    fs::read(data.join(name)).unwrap()
}

#[test]
fn a_damaged_snapshot_is_kept_aside_and_what_is_whole_of_it_is_used() {
    let changes: [Change; 4] = [
        ("a byte in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        }),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("something else", |bytes| bytes.fill(0x55)),
    ];
    for (what, change) in changes {
        let data = stopped();
        let snapshot = data.path().join(SNAPSHOT);
        let mut bytes = fs::read(&snapshot).unwrap();
        change(&mut bytes);
        fs::write(&snapshot, &bytes).unwrap();
        let tracker = start_with_warning(data.path(), "damaged");
        assert_eq!(aside(data.path(), "damaged"), bytes, "{what}");
        let counts = INFO_HASHES.map(|info_hash| scrape(tracker.address, info_hash));
        assert!(counts.iter().all(|counts| counts.complete <= 20 && counts.downloaded <= 20), "{what}: {counts:?}");
        if what == "a byte in the middle" {
            let whole = counts.iter().filter(|counts| counts.complete == 20 && counts.downloaded == 20).count();
            assert!(whole >= INFO_HASHES.len() - 1, "{counts:?}");
        }
        assert_it_serves_on(tracker, data.path());
    }
}

#[test]
fn a_newer_snapshot_is_kept_aside_as_it_is() {
    let data = stopped();
    let snapshot = data.path().join(SNAPSHOT);
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[VERSION_AT] = 99;
    fs::write(&snapshot, &bytes).unwrap();
    let tracker = start_with_warning(data.path(), "newer");
    assert_eq!(aside(data.path(), "newer"), bytes);
    assert_it_serves_on(tracker, data.path());
    assert_eq!(aside(data.path(), "newer"), bytes, "it was not overwritten");
}

#[test]
fn a_journal_that_was_torn_is_used_up_to_there() {
    let data = tempfile::tempdir().unwrap();
    let tracker = start(data.path());
    for number in 0..20 {
        Peer::new(number).download(tracker.address, INFO_HASHES[0]).unwrap();
    }
    let journal = || {
        let names = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_journal =
            |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("journal.");
        names.filter(is_journal).max_by_key(|path| path.metadata().unwrap().len())
    };
    let length = || journal().map_or(0, |path| path.metadata().unwrap().len());
    let mut last = (length(), std::time::Instant::now());
    // Nothing was appended for longer than it takes.
    crate::running::wait_until("the journal is written", || {
        if length() != last.0 {
            last = (length(), std::time::Instant::now());
        }
        last.0 > 0 && last.1.elapsed().as_secs() >= 2
    });
    crate::kill(tracker);
    let mut torn = fs::OpenOptions::new().append(true).open(journal().unwrap()).unwrap();
    std::io::Write::write_all(&mut torn, &[0x20, 0, 0, 0, 1, 2, 3]).unwrap();
    for _ in 0..2 {
        let tracker = start(data.path());
        assert_eq!(scrape(tracker.address, INFO_HASHES[0]).downloaded, 20);
        crate::kill(tracker);
    }
}
