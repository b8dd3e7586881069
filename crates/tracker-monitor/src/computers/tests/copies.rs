//! Who has what.

use super::*;
use crate::tests::with_subscriber;

#[test]
fn a_client_has_it_when_it_says_so_also_after_it_has_left() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    room.pass(1);
    room.announce(ONE, film, 1000, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!(room.has(key), (0, 2));
    assert_eq!(room.computers.progress(key).average_of_others, Some(0.0));
    room.announce(ONE, film, 0, Some(AnnounceEvent::Completed));
    room.announce(TWO, film, 400, None);
    room.pass(1);
    assert_eq!(room.has(key), (1, 2));
    let FileProgress { average_of_others, missing, sources, downloading, stuck, .. } = room.computers.progress(key);
    assert_eq!((average_of_others, missing, sources, downloading, stuck), (Some(0.6), 1, 1, 1, 0));
    assert_eq!(room.computers.missing(key, 10), (vec!["10.0.0.2".into()], 1));
    room.announce(ONE, film, 0, Some(AnnounceEvent::Stopped));
    room.announce(TWO, film, 400, Some(AnnounceEvent::Stopped));
    room.pass(1);
    assert_eq!(room.has(key), (1, 2));
    let rows = room.computers.of_file(key);
    let status = |row: &CopyRow| (row.address, row.status, row.completion);
    assert_eq!(status(&rows[0]), (TWO, CopyStatus::Stopped, Some(0.6)));
    assert_eq!(status(&rows[1]), (ONE, CopyStatus::HasIt, Some(1.0)));
    assert_eq!(rows[1].finished, Some(Instant::from_secs(2)));
    // It comes back without.
    room.announce(ONE, film, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!(room.has(key), (0, 2));
}

#[test]
fn a_browser_has_it_when_the_last_missing_byte_was_sent() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let key = ContentKey::Id(film.id());
    assert_eq!(room.has(key), (0, 0));
    room.send(ONE, &film, 0, 600);
    assert_eq!(room.has(key), (0, 1));
    assert_eq!(room.computers.of_file(key)[0].status, CopyStatus::Stopped);
    assert_eq!(room.computers.of_file(key)[0].completion, Some(0.6));
    // A video player looks at the end.
    room.send(ONE, &film, 990, 1000);
    assert_eq!(room.has(key), (0, 1));
    room.pass(1);
    let resumed = room.begin(ONE, &film, TransferPart::File { index: 0, range: 600..1000 }, 400);
    assert_eq!(room.computers.of_file(key)[0].status, CopyStatus::Downloading);
    assert_eq!(room.computers.downloads().running(), 1);
    resumed.sent(389);
    room.pass(1);
    assert_eq!(room.has(key), (0, 1));
    let row = &room.computers.of_file(key)[0];
    assert!(row.rate.unwrap() > 0.0 && row.time_left.is_some(), "{row:?}");
    resumed.sent(1);
    room.pass(1);
    assert_eq!(room.has(key), (1, 1), "before it ends");
    drop(resumed);
    assert_eq!(room.computers.downloads().running(), 0);
    assert_eq!(room.computers.downloads().sent(key).browser, 600 + 10 + 390);
    assert_eq!(room.computers.of_file(key)[0].way, Some(Way::Browser));
}

#[test]
fn a_folder_comes_as_an_archive_or_file_by_file() {
    let room = Classroom::new();
    fs::create_dir(room.folder.path().join("course")).unwrap();
    for (name, len) in [("a", 10), ("b", 20), ("c", 30)] {
        fs::write(room.folder.path().join("course").join(name), vec![b'x'; len]).unwrap();
    }
    let course = Arc::new(Content::list(&room.share, "course").unwrap());
    room.contents.insert(Arc::clone(&course), &[]);
    let key = ContentKey::Id(course.id());
    room.begin(ONE, &course, TransferPart::Archive, 500).sent(499);
    assert_eq!(room.has(key), (0, 1), "an archive without its end is none");
    room.begin(ONE, &course, TransferPart::Archive, 500).sent(500);
    assert_eq!(room.has(key), (1, 1));

    room.begin(TWO, &course, TransferPart::ArchiveOf(vec![2, 0, 0]), 100).sent(100);
    assert_eq!(room.has(key), (1, 2));
    let of_two = |room: &Classroom| room.computers.own_copies(TWO).remove(0);
    let status_of_two = |room: &Classroom| of_two(room).status;
    assert_eq!((of_two(&room).completion, status_of_two(&room)), (Some(40.0 / 60.0), CopyStatus::HasSelection));
    let file = |range| TransferPart::File { index: 1, range };
    room.begin(TWO, &course, file(0..20), 20).sent(5);
    assert_eq!(status_of_two(&room), CopyStatus::Stopped, "it wanted this one, too");
    room.begin(TWO, &course, TransferPart::ArchiveOf(vec![0]), 100).sent(99);
    assert_eq!(status_of_two(&room), CopyStatus::HasSelection, "it had that before");
    room.begin(THREE, &course, TransferPart::ArchiveOf(vec![0, 1]), 100).sent(99);
    assert_eq!(room.computers.own_copies(THREE)[0].status, CopyStatus::Stopped);
    room.begin(THREE, &course, TransferPart::ArchiveOf(vec![0]), 50).sent(50);
    assert_eq!(room.computers.own_copies(THREE)[0].status, CopyStatus::HasSelection, "of what it asked for last");
    room.begin(TWO, &course, file(5..20), 15).sent(15);
    assert_eq!((room.has(key), status_of_two(&room)), ((2, 3), CopyStatus::HasIt));
}

#[test]
fn a_file_is_one_before_and_after_it_is_hashed() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    room.send(ONE, &film, 0, 1000);
    let running = room.begin(TWO, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    let info_hash = room.torrent("film.mp4", 1000);
    room.contents.hashed(film.id(), &[info_hash]);
    room.announce(THREE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.announce(ONE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    let (by_id, by_swarm) = (ContentKey::Id(film.id()), ContentKey::Swarm(info_hash));
    assert_eq!((room.has(by_id), room.has(by_swarm)), ((1, 3), (1, 3)), "a browser has it, whatever the client says");
    running.sent(1000);
    drop(running);
    assert_eq!((room.has(by_id), room.has(by_swarm)), ((2, 3), (2, 3)));
    assert_eq!(room.computers.own_copies(TWO)[0].key, by_swarm);
    // With a web seed nobody waits for a seeder.
    assert_eq!(room.computers.of_file(by_swarm)[0].status, CopyStatus::Downloading);
    room.contents.remove(film.id());
    room.pass(1);
    assert_eq!(
        room.computers.of_file(by_swarm)[0].status,
        CopyStatus::Stuck(PeerStuckReason::NoSeeder),
        "it is gone, and nobody else has it"
    );
}

#[test]
fn people_read_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,lab-01\n10.0.0.2,lab-02\n10.0.0.3,lab-03\n").unwrap();
    let room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.content("film.mp4", 1000);
    room.send(TWO, &room.content("notes.pdf", 10), 0, 10);
    let buffer = LogBuffer::new();
    with_subscriber(tracing_subscriber::registry().with(buffer.layer()), || {
        room.send(ONE, &film, 0, 400);
        room.send(ONE, &film, 400, 1000);
        room.send(ONE, &film, 0, 1000);
    });
    let lines = buffer.entries(&LogFilter::default(), 0, 10);
    let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(messages, ["lab-01 began film.mp4 in a browser", "lab-01 has finished film.mp4 in a browser (1 of 3)"]);
    assert_eq!(lines[1].fields[0], ("event", "browser_completed".to_owned()));
    assert_eq!(lines[1].address.as_deref(), Some("10.0.0.1"));
}

#[test]
fn who_has_it_from_a_browser_is_no_source() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let info_hash = room.torrent("film.mp4", 1000);
    room.contents.hashed(film.id(), &[info_hash]);
    let key = ContentKey::Swarm(info_hash);
    room.send(ONE, &film, 0, 1000);
    room.announce(ONE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 0));
    room.announce(ONE, info_hash, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!(room.computers.progress(key).sources, 1);
    room.pass(600);
    room.look();
    assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 0), "it has stopped announcing");
}

#[test]
fn a_lean_tracker_knows_who_has_it_and_accuses_nobody() {
    let mut room = Classroom::build(Memory::Lean, |_| {});
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
    let status = |room: &Classroom| room.computers.of_file(key)[0].status;
    room.events.pump();
    // By the log, before a sweep.
    room.watching.take_events(&room.listener);
    assert_eq!(status(&room), CopyStatus::Downloading);
    for _ in 0..5 {
        room.pass(1);
        assert_eq!((room.has(key), status(&room)), ((1, 2), CopyStatus::Downloading));
    }
    room.announce(ONE, film, 0, Some(AnnounceEvent::Stopped));
    room.pass(1);
    assert_eq!((room.has(key), status(&room)), ((1, 2), CopyStatus::Stuck(PeerStuckReason::NoSeeder)));
    room.announce(TWO, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!(room.has(key), (2, 2));
}
