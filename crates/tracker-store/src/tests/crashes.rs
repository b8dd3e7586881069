//! Whatever fails at whatever moment: what was acknowledged is there, and nothing else is.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use tracker_core::{InfoHash, SwarmImage};

use super::damage::image;
use super::disk::{Disk, Failure};
use crate::{Recovered, Store};

#[derive(Debug, Clone)]
enum Step {
    /// So many more downloads of this torrent complete.
    Complete(u8, u32),
    Append,
    Snapshot,
    /// It begins a snapshot, and appends what completes meanwhile.
    SnapshotWithAppend(u8),
    /// Fails so many operations from now.
    Fail(u32, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4u8, 1..3u32).prop_map(|(torrent, more)| Step::Complete(torrent, more)),
        4 => Just(Step::Append),
        2 => Just(Step::Snapshot),
        1 => (0..4u8).prop_map(Step::SnapshotWithAppend),
        2 => (0..12u32, any::<bool>()).prop_map(|(operations, is_full)| Step::Fail(operations, is_full)),
    ]
}

/// The tracker, and what its store has acknowledged.
#[derive(Debug, Default)]
struct Tracker {
    completed: HashMap<InfoHash, u32>,
    unsaved: Vec<InfoHash>,
    acknowledged: HashMap<InfoHash, u32>,
}

impl Tracker {
    fn complete(&mut self, torrent: u8, more: u32) {
        let info_hash = InfoHash::new([torrent; 20]);
        *self.completed.entry(info_hash).or_default() += more;
        self.unsaved.push(info_hash);
    }

    fn append(&mut self, store: &mut Store<Disk>) {
        let record = |&info_hash| SwarmImage { completed: self.completed[&info_hash], ..image(info_hash, 2) };
        let records: Vec<_> = self.unsaved.iter().map(record).collect();
        if store.append(UNIX_EPOCH + Duration::from_secs(2000), &records).is_ok() {
            self.acknowledged.extend(records.iter().map(|record| (record.info_hash, record.completed)));
            self.unsaved.clear();
        }
    }

    /// Writes a snapshot, within which something completes and is appended.
    fn snapshot(&mut self, store: &mut Store<Disk>, meanwhile: Option<u8>) {
        let Ok(mut snapshot) = store.begin_snapshot(UNIX_EPOCH + Duration::from_secs(1000)) else { return };
        if let Some(torrent) = meanwhile {
            self.complete(torrent, 1);
            self.append(store);
        }
        let taken = self.completed.clone();
        for (&info_hash, &completed) in &taken {
            if snapshot.add(&SwarmImage { completed, ..image(info_hash, 3) }).is_err() {
                return;
            }
        }
        if store.finish_snapshot(snapshot).is_ok() {
            self.acknowledged.extend(taken);
        }
    }

    fn check(&self, recovered: Recovered<Disk>) {
        let found = found(recovered);
        for (info_hash, &completed) in &self.acknowledged {
            assert!(
                found.get(info_hash).is_some_and(|&found| found >= completed),
                "{info_hash}: {completed} of {found:?}"
            );
        }
        for (info_hash, &completed) in &found {
            assert!(completed <= self.completed.get(info_hash).copied().unwrap_or_default(), "{info_hash} is invented");
        }
    }
}

/// The numbers as the next tracker has them.
fn found(mut recovered: Recovered<Disk>) -> HashMap<InfoHash, u32> {
    let mut found: HashMap<InfoHash, u32> = HashMap::new();
    let now = UNIX_EPOCH + Duration::from_secs(5000);
    while let Some((swarm, age)) = recovered.next_image(now) {
        let of_snapshot = image(swarm.info_hash, 3).peers;
        if age == Duration::from_secs(3000) {
            assert!(swarm.peers.len() == 1 && of_snapshot[..2].contains(&swarm.peers[0]), "it was appended");
        } else {
            assert_eq!((age, swarm.peers), (Duration::from_secs(4000), of_snapshot));
        }
        let number = found.entry(swarm.info_hash).or_default();
        *number = swarm.completed.max(*number);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_acknowledged_outlives_any_crash_and_nothing_is_invented(
        seed in any::<u64>(),
        lives in vec((vec(step(), 0..25), 0..60u32), 1..5),
    ) {
        let (mut disk, mut tracker) = (Disk::new(seed), Tracker::default());
        for (number, (steps, crash)) in lives.into_iter().enumerate() {
            let (mut store, recovered) = Store::open_in(disk.clone()).unwrap();
            prop_assert!(recovered.problems().is_empty(), "{:?}", recovered.problems());
            // What was not acknowledged, and is not there, has never happened.
            tracker.completed = found(recovered);
            tracker.unsaved.clear();
            let mut has_failure = false;
            for step in steps {
                match step {
                    Step::Complete(torrent, more) => tracker.complete(torrent, more),
                    Step::Append => tracker.append(&mut store),
                    Step::Snapshot => tracker.snapshot(&mut store, None),
                    Step::SnapshotWithAppend(torrent) => tracker.snapshot(&mut store, Some(torrent)),
                    Step::Fail(operations, is_full) => {
                        has_failure = true;
                        disk.fail_after(operations, if is_full { Failure::Full } else { Failure::Sync });
                    }
                }
            }
            if !has_failure {
                disk.fail_after(crash, Failure::Crash);
                tracker.complete(0, 1);
                tracker.append(&mut store);
                tracker.snapshot(&mut store, Some(1));
                tracker.append(&mut store);
            }
            disk = disk.after_crash(seed ^ number as u64);
            tracker.check(Store::open_in(disk.clone()).unwrap().1);
        }
    }
}

/// So that the disk does what it is to do.
#[test]
fn the_disk_loses_what_was_not_synced() {
    use std::io::Write;

    use crate::Files;

    let mut has_lost = [false; 2];
    for seed in 0..50 {
        let disk = Disk::new(seed);
        disk.create("a").unwrap().write_all(&[1; 100]).unwrap();
        let left = disk.after_crash(seed).bytes_of("a");
        has_lost[0] |= left.is_none();
        has_lost[1] |= left.is_some_and(|bytes| bytes != [1; 100]);
        let mut file = disk.open("a").unwrap();
        disk.sync(&mut file).unwrap();
        disk.sync_folder().unwrap();
        assert_eq!(disk.after_crash(seed).bytes_of("a"), Some(vec![1; 100]));
    }
    assert_eq!(has_lost, [true, true]);
}
