//! Files as they were written, damaged, and of other versions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracker_core::{
    DetailImage, DownloadImage, InfoHash, PeerId, PeerImage, PeerKey, PeerState, Reachability, SwarmImage,
};

use super::disk::{Disk, Failure};
use crate::snapshot::SNAPSHOT;
use crate::{Files, Problem, Recovered, SnapshotError, Store};

const BEGUN: SystemTime = UNIX_EPOCH;

/// A swarm with so many peers, no two of which have much in common.
pub(super) fn image(info_hash: InfoHash, count: u16) -> SwarmImage {
    let peer = |number: u16| {
        let of = |some: u16| number.is_multiple_of(some);
        let ip = if of(3) {
            Ipv6Addr::from([0xfd, 7, number, 0, 0, 0, 0, 9]).into()
        } else {
            Ipv4Addr::new(10, 0, 0, 7).into()
        };
        let states = [PeerState::Leecher, PeerState::PartialSeed, PeerState::Seeder];
        let downloads = [DownloadImage::Unseen, DownloadImage::Begun, DownloadImage::Counted];
        let reachabilities = [Reachability::Unknown, Reachability::Yes, Reachability::No, Reachability::Introduced];
        let detail = DetailImage {
            peer_id: PeerId::new([number as u8; 20]),
            key: PeerKey::from_number(u32::from(number) * 65_537),
            uploaded: 1 << (number % 64),
            downloaded: u64::from(number),
            left: (!of(5)).then_some(u64::MAX >> (number % 64)),
            known_for: Duration::from_secs(u64::from(number) * 1000),
            silent_for: Duration::from_secs(number.into()),
            interval: Duration::from_secs(1800),
            reachability: reachabilities[usize::from(number % 4)],
            is_claimed: of(7),
        };
        PeerImage {
            address: SocketAddr::new(ip, number),
            state: states[usize::from(number % 3)],
            download: downloads[usize::from(number / 3 % 3)],
            expires_in: Duration::from_secs(1260),
            detail: (!of(11)).then_some(detail),
        }
    };
    SwarmImage { info_hash, completed: 7, peers: (1..=count).map(peer).collect() }
}

fn hash(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn written(swarms: &[SwarmImage], appended: &[SwarmImage]) -> Disk {
    let disk = Disk::new(1);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let mut snapshot = store.begin_snapshot(BEGUN).unwrap();
    swarms.iter().for_each(|swarm| snapshot.add(swarm).unwrap());
    store.finish_snapshot(snapshot).unwrap();
    store.append(BEGUN, appended).unwrap();
    disk
}

fn images(recovered: &mut Recovered<Disk>) -> Vec<SwarmImage> {
    std::iter::from_fn(|| recovered.next_image(BEGUN)).map(|(swarm, _)| swarm).collect()
}

#[test]
fn swarms_are_read_as_they_were_written() {
    let swarms = [image(hash(1), 2500), image(hash(2), 0), image(hash(3), 100)];
    let disk = written(&swarms, &[]);
    let (_, mut recovered) = Store::open_in(disk.clone()).unwrap();
    assert!(recovered.problems().is_empty());
    let minute = Duration::from_secs(60);
    let read = std::iter::from_fn(|| recovered.next_image(BEGUN + minute));
    let read: Vec<_> = read.inspect(|(_, age)| assert_eq!(*age, minute)).map(|(swarm, _)| swarm).collect();
    assert_eq!(read.iter().map(|swarm| swarm.peers.len()).collect::<Vec<_>>(), [1000, 1000, 500, 0, 100]);
    assert_eq!(
        read[..3].iter().flat_map(|swarm| &swarm.peers).collect::<Vec<_>>(),
        swarms[0].peers.iter().collect::<Vec<_>>()
    );
    assert_eq!(read[3..], swarms[1..]);
    let bytes = disk.bytes_of(SNAPSHOT).unwrap().len();
    assert!(bytes < 70 * 2600, "{bytes} bytes for 2,600 peers");
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_older() {
    let begun = UNIX_EPOCH + Duration::from_secs(1000);
    let disk = Disk::new(1);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let mut snapshot = store.begin_snapshot(begun).unwrap();
    snapshot.add(&image(hash(1), 1)).unwrap();
    store.finish_snapshot(snapshot).unwrap();
    store.append(begun, &[image(hash(2), 1)]).unwrap();
    let (_, mut recovered) = Store::open_in(disk).unwrap();
    let ages = std::iter::from_fn(|| recovered.next_image(begun - Duration::from_secs(1))).map(|(_, age)| age);
    assert_eq!(ages.collect::<Vec<_>>(), [Duration::ZERO; 2]);
}

#[test]
fn what_is_whole_of_a_damaged_snapshot_is_used_and_a_copy_kept() {
    let swarms = [1, 2, 3].map(|number| image(hash(number), 20));
    let whole = written(&swarms, &[]).bytes_of(SNAPSHOT).unwrap();
    for at in 30..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let disk = Disk::new(1);
        disk.put(SNAPSHOT, &bytes);
        let (mut store, mut recovered) = Store::open_in(disk.clone()).unwrap();
        assert!(matches!(recovered.problems(), [Problem::Damaged { .. }]), "{at}");
        let read = images(&mut recovered);
        assert!(read.len() <= 3 && read.iter().all(|swarm| swarms.contains(swarm)), "{at}");
        assert_eq!(disk.bytes_of("swarms.snapshot.damaged"), Some(bytes.clone()));
        // A length that is damaged hides what is behind it, and nothing else does.
        let of_first = 30 + (whole.len() - 30 - 17) / 3;
        assert!(at < of_first || read.contains(&swarms[0]), "{at}");
        let snapshot = store.begin_snapshot(BEGUN).unwrap();
        store.finish_snapshot(snapshot).unwrap();
        assert_eq!(disk.bytes_of("swarms.snapshot.damaged"), Some(bytes), "it is kept");
    }
    for length in 0..whole.len() {
        let disk = Disk::new(1);
        disk.put(SNAPSHOT, &whole[..length]);
        let (_, mut recovered) = Store::open_in(disk).unwrap();
        assert!(matches!(recovered.problems(), [Problem::Damaged { .. }]), "{length}");
        assert!(images(&mut recovered).iter().all(|swarm| swarms.contains(swarm)));
    }
}

#[test]
fn the_torn_end_of_a_journal_is_no_damage_and_nothing_is_appended_to_it() {
    let appended = [1, 2, 3].map(|number| image(hash(number), number.into()));
    let whole = written(&[], &appended).bytes_of("journal.0").unwrap();
    let mut largest = 0;
    for length in 0..=whole.len() {
        let disk = Disk::new(1);
        disk.put("journal.0", &whole[..length]);
        let (mut store, mut recovered) = Store::open_in(disk.clone()).unwrap();
        assert!(recovered.problems().is_empty(), "{length}");
        let read = images(&mut recovered);
        assert!(read.iter().all(|swarm| appended.iter().any(|it| it.peers.contains(&swarm.peers[0]))));
        assert!(read.len() >= largest, "{length}");
        largest = read.len();
        store.append(BEGUN, &appended[..1]).unwrap();
        assert!(disk.bytes_of("journal.1").is_some());
    }
    assert_eq!(largest, 6);
}

#[test]
fn what_was_appended_comes_first_and_only_the_latest_of_it() {
    let disk = written(&[image(hash(1), 2)], &[]);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let at = |seconds| BEGUN + Duration::from_secs(seconds);
    let seeder = |completed| {
        let mut swarm = SwarmImage { completed, ..image(hash(1), 1) };
        swarm.peers[0].expires_in = Duration::from_secs(completed.into());
        swarm
    };
    for (seconds, completed) in [(10, 8), (20, 9)] {
        store.append(at(seconds), &[seeder(completed)]).unwrap();
    }
    store.append(at(30), &[SwarmImage { peers: vec![], ..image(hash(2), 0) }]).unwrap();
    let (_, mut recovered) = Store::open_in(disk).unwrap();
    let read: Vec<_> = std::iter::from_fn(|| recovered.next_image(at(100))).collect();
    assert_eq!(read.len(), 3);
    assert!(read[..2].contains(&(seeder(9), Duration::from_secs(80))));
    assert!(read[..2].iter().any(|(swarm, _)| swarm.info_hash == hash(2) && swarm.completed == 7));
    assert_eq!(read[2], (image(hash(1), 2), Duration::from_secs(100)));
}

#[test]
fn records_of_kinds_that_are_not_known_are_passed_over() {
    let disk = written(&[image(hash(1), 1)], &[image(hash(2), 1)]);
    for name in [SNAPSHOT, "journal.0"] {
        let mut bytes = disk.bytes_of(name).unwrap();
        let mut unknown = Vec::new();
        crate::record::encode(&mut unknown, 200, |bytes| bytes.extend_from_slice(b"of a later version"));
        if name == SNAPSHOT {
            // The end says how many there are.
            bytes.truncate(bytes.len() - 17);
            crate::record::encode_end(&mut unknown, 2);
        }
        bytes.extend(unknown);
        disk.put(name, &bytes);
    }
    let (_, mut recovered) = Store::open_in(disk).unwrap();
    assert!(recovered.problems().is_empty(), "{:?}", recovered.problems());
    assert_eq!(images(&mut recovered), [image(hash(2), 1), image(hash(1), 1)]);
}

#[test]
fn what_a_newer_program_wrote_is_kept_and_not_used() {
    let disk = written(&[image(hash(1), 1)], &[image(hash(2), 1)]);
    for name in [SNAPSHOT, "journal.0"] {
        let mut bytes = disk.bytes_of(name).unwrap();
        bytes[8] = 2;
        disk.put(name, &bytes);
    }
    let (mut store, mut recovered) = Store::open_in(disk.clone()).unwrap();
    assert!(matches!(recovered.problems(), [Problem::Newer { version: 2, .. }, Problem::Newer { version: 2, .. }]));
    assert_eq!(
        recovered.problems()[0].to_string(),
        "swarms.snapshot was written by a newer tracker (version 2) and is not used; it is kept as swarms.snapshot.newer"
    );
    assert_eq!(images(&mut recovered), []);
    let snapshot = store.begin_snapshot(BEGUN).unwrap();
    store.finish_snapshot(snapshot).unwrap();
    assert!(disk.bytes_of("swarms.snapshot.newer").is_some() && disk.bytes_of("journal.0.newer").is_some());
}

#[test]
fn a_snapshot_that_is_dropped_leaves_the_one_before_and_its_journals() {
    let disk = written(&[image(hash(1), 5)], &[image(hash(2), 1)]);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let mut snapshot = store.begin_snapshot(BEGUN).unwrap();
    snapshot.add(&image(hash(3), 2500)).unwrap();
    drop(snapshot);
    let (_, mut recovered) = Store::open_in(disk.clone()).unwrap();
    assert_eq!(images(&mut recovered), [image(hash(2), 1), image(hash(1), 5)]);
    assert_eq!(disk.bytes_of(".tracker-swarms.snapshot"), None, "the next start removes it");
}

#[test]
fn a_snapshot_removes_the_journals_that_are_in_it() {
    let disk = written(&[], &[image(hash(1), 1)]);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    store.append(BEGUN, &[image(hash(2), 1)]).unwrap();
    assert_eq!(disk.names().unwrap(), ["journal.0", "journal.1", SNAPSHOT]);
    let snapshot = store.begin_snapshot(BEGUN).unwrap();
    store.append(BEGUN, &[image(hash(3), 1)]).unwrap();
    store.finish_snapshot(snapshot).unwrap();
    assert_eq!(disk.names().unwrap(), ["journal.2", SNAPSHOT]);
}

/// On Unix files of another owner, such as of a tracker that ran as root once.
#[test]
fn what_cannot_be_read_is_neither_replaced_nor_removed() {
    let disk = written(&[image(hash(1), 1)], &[image(hash(2), 1)]);
    let before = [SNAPSHOT, "journal.0"].map(|name| disk.bytes_of(name));
    disk.refuse_to_open(true);
    for _ in 0..2 {
        let (_, recovered) = Store::open_in(disk.clone()).unwrap();
        assert!(matches!(recovered.problems(), [Problem::Unreadable { .. }, Problem::Unreadable { .. }]));
    }
    assert_eq!([SNAPSHOT, "journal.0"].map(|name| disk.bytes_of(name)), before, "the next start may read them");
    let (mut store, recovered) = Store::open_in(disk.clone()).unwrap();
    assert_eq!(
        recovered.problems()[0].to_string(),
        "swarms.snapshot cannot be read, or not to its end: permission denied; the next snapshot renames it to \
         swarms.snapshot.unreadable"
    );
    for number in [3, 4] {
        let mut snapshot = store.begin_snapshot(BEGUN).unwrap();
        snapshot.add(&image(hash(number), 1)).unwrap();
        store.finish_snapshot(snapshot).unwrap();
    }
    assert_eq!(disk.names().unwrap(), ["journal.0.unreadable", SNAPSHOT, "swarms.snapshot.unreadable"]);
    assert_eq!(["swarms.snapshot.unreadable", "journal.0.unreadable"].map(|name| disk.bytes_of(name)), before);
    disk.refuse_to_open(false);
    let (_, mut recovered) = Store::open_in(disk).unwrap();
    assert_eq!(images(&mut recovered), [image(hash(4), 1)]);
}

#[test]
fn what_cannot_be_renamed_is_not_replaced() {
    let disk = written(&[image(hash(1), 1)], &[]);
    disk.refuse_to_open(true);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let before = disk.bytes_of(SNAPSHOT);
    let snapshot = store.begin_snapshot(BEGUN).unwrap();
    // After writing and syncing the new one.
    disk.fail_after(2, Failure::Sync);
    assert!(matches!(store.finish_snapshot(snapshot), Err(SnapshotError::KeepAside { .. })));
    assert_eq!((disk.names().unwrap(), disk.bytes_of(SNAPSHOT)), (vec![SNAPSHOT.to_owned()], before.clone()));
    let snapshot = store.begin_snapshot(BEGUN).unwrap();
    store.finish_snapshot(snapshot).unwrap();
    assert_eq!(disk.bytes_of("swarms.snapshot.unreadable"), before);
}

#[test]
fn a_damaged_snapshot_is_kept_where_no_copy_of_it_can_be_made() {
    let mut bytes = written(&[image(hash(1), 1)], &[]).bytes_of(SNAPSHOT).unwrap();
    bytes.truncate(bytes.len() - 1);
    let disk = Disk::new(1);
    disk.put(SNAPSHOT, &bytes);
    // What is written first is the copy.
    disk.fail_next_write();
    let (mut store, mut recovered) = Store::open_in(disk.clone()).unwrap();
    assert_eq!(disk.names().unwrap(), [SNAPSHOT], "half a copy is removed");
    assert_eq!(images(&mut recovered), [image(hash(1), 1)]);
    let snapshot = store.begin_snapshot(BEGUN).unwrap();
    store.finish_snapshot(snapshot).unwrap();
    assert_eq!(disk.bytes_of("swarms.snapshot.damaged"), Some(bytes));
}

#[test]
fn a_snapshot_that_fails_leaves_the_disk_to_the_journal() {
    let disk = Disk::new(1);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let mut snapshot = store.begin_snapshot(BEGUN).unwrap();
    disk.fail_after(0, Failure::Full);
    snapshot.add(&image(hash(1), 1)).unwrap();
    store.finish_snapshot(snapshot).unwrap_err();
    assert_eq!(disk.names().unwrap(), [""; 0]);
}

#[test]
fn a_full_disk_is_not_filled_with_journals() {
    let disk = Disk::new(1);
    let (mut store, _) = Store::open_in(disk.clone()).unwrap();
    let record = [image(hash(1), 1)];
    for _ in 0..5 {
        // Making the file is the first thing to do, and writing it the second.
        disk.fail_after(1, Failure::Full);
        store.append(BEGUN, &record).unwrap_err();
    }
    store.append(BEGUN, &record).unwrap();
    let (_, mut recovered) = Store::open_in(disk.clone()).unwrap();
    assert_eq!(images(&mut recovered), record);
    let journals = disk.names().unwrap().into_iter().filter(|name| name.starts_with("journal."));
    assert_eq!(journals.count(), 1);
}
