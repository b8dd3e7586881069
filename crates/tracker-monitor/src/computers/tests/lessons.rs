//! Lessons and their reports.

use super::*;

#[test]
fn a_lesson_begins_with_those_who_are_there() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    let notes = room.content("notes.pdf", 100);
    room.send(THREE, &notes, 0, 100);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 500, Some(AnnounceEvent::Started));
    room.pass(1);
    let running = room.begin(TWO, &notes, TransferPart::File { index: 0, range: 0..100 }, 100);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((1, 3), (1, 3)));
    assert_eq!(room.computers.lessons().begin(), 2);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((1, 2), (0, 2)));
    running.sent(100);
    drop(running);
    room.announce(TWO, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((2, 2), (1, 2)));
    assert_eq!(room.computers.downloads().sent(ContentKey::Id(notes.id())).browser, 100);
}

#[test]
fn a_report_says_who_got_what_and_how() {
    let mut room = Classroom::new();
    room.computers.set_network(&[[10, 0, 0, 9].into()], Some(8_000));
    let (film, notes) = (room.content("film.mp4", 10_000), room.content("notes.pdf", 100));
    let info_hash = room.torrent("film.mp4", 10_000);
    room.contents.hashed(film.id(), &[info_hash]);
    let zero = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    room.pass(10);
    room.announce(ONE, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.send([10, 0, 0, 9].into(), &film, 0, 10_000);
    room.send(TWO, &notes, 0, 40);
    room.pass(1);
    let fetched = Transfer {
        remote: ONE,
        content: Arc::clone(&film),
        part: TransferPart::File { index: 0, range: 0..10_000 },
        len: 10_000,
        way: Way::WebSeed,
    };
    let fetched = room.computers.downloads().begin(fetched);
    fetched.sent(4000);
    room.pass(2);
    fetched.sent(6000);
    drop(fetched);
    room.pass(17);
    room.announce(ONE, info_hash, 0, Some(AnnounceEvent::Completed));
    room.send(TWO, &film, 0, 10_000);
    room.announce(THREE, info_hash, 0, Some(AnnounceEvent::Started));
    room.pass(1);

    let report = room.computers.lessons().report(1, zero).unwrap();
    assert_eq!((report.number, report.started, report.ended, report.secs), (1, 1_000_000, None, 31));
    assert_eq!((report.computers, report.is_complete, report.link_speed), (3, true, Some(8_000)));
    let of_film = report.files.iter().find(|file| &*file.name == "film.mp4").unwrap();
    assert_eq!((of_film.progress.has, of_film.progress.of), (3, 3));
    assert_eq!((of_film.sent.web_seed, of_film.sent.browser, of_film.copies_sent), (10_000, 10_000, Some(2.0)));
    assert_eq!((of_film.spread_secs, of_film.link_secs, of_film.multiple), (Some(20), Some(10.0), Some(2.0)));
    assert_eq!((of_film.multiple_at_most, report.answers), (Some(2.1), None));
    let copy = |address| of_film.copies.iter().find(|copy| copy.address == address).unwrap();
    let one = copy(ONE);
    assert_eq!(
        (one.came, one.setup_secs, one.finished, one.took_secs),
        (1_000_010, Some(3), Some(1_000_030), Some(20))
    );
    assert_eq!((one.mean_rate, one.completion, one.check), (Some(500.0), Some(1.0), CopyCheck::Pieces));
    assert_eq!((&*one.ways, one.client.as_deref()), (&[CopyWay::WebSeed][..], Some("qBittorrent 4.5.2")));
    assert_eq!(one.peak_rate, Some(2000.0), "4000 bytes in two seconds");
    let two = copy(TWO);
    assert_eq!((&*two.ways, two.check, two.took_secs), (&[CopyWay::Browser][..], CopyCheck::Digest, Some(0)));
    let three = copy(THREE);
    assert!(three.came_complete && three.ways.is_empty() && three.took_secs.is_none(), "{three:?}");
    let of_notes = report.files.iter().find(|file| &*file.name == "notes.pdf").unwrap();
    assert_eq!((of_notes.copies.len(), of_notes.copies[0].completion), (1, Some(0.4)));
    assert_eq!((of_notes.copies[0].check, of_notes.spread_secs), (CopyCheck::Incomplete, None));
    assert!(!report.plot.is_empty() && of_film.plot.last().unwrap().has == 3, "{report:?}");

    room.pass(9);
    assert_eq!(room.computers.next_lesson(zero), 2);
    room.pass(60);
    let lessons = room.computers.lessons();
    let numbers: Vec<_> = lessons.list(zero).iter().map(|lesson| (lesson.number, lesson.ended)).collect();
    assert_eq!(numbers, [(2, None), (1, Some(1_000_040))]);
    let past = lessons.report(1, zero).unwrap();
    assert_eq!((past.ended, past.secs, past.files.len()), (Some(1_000_040), 40, 2));
    assert_eq!(lessons.report(2, zero).unwrap().files[0].copies.len(), 2, "those who are there");
    assert!(lessons.report(3, zero).is_none() && lessons.report(0, zero).is_none());
}

/// The clock has whole seconds: what took 2 s by it may have taken almost 3.
#[test]
fn how_fast_a_short_download_was_is_known_within_limits() {
    let mut room = Classroom::new();
    room.computers.set_network(&[], Some(8_000));
    let notes = room.content("notes.pdf", 1000);
    let of_notes = |room: &Classroom| {
        let report = room.computers.lessons().report(1, SystemTime::UNIX_EPOCH).unwrap();
        let file = &report.files[0];
        (file.spread_secs, file.link_secs, file.multiple, file.multiple_at_most)
    };
    room.send(ONE, &notes, 0, 400);
    room.pass(1);
    assert_eq!(of_notes(&room), (None, Some(1.0), None, None));
    room.pass(1);
    room.send(ONE, &notes, 400, 1000);
    assert_eq!(of_notes(&room), (Some(2), Some(1.0), None, Some(3.0)));
    room.pass(1);
    room.send(TWO, &notes, 0, 1000);
    assert_eq!(of_notes(&room), (Some(3), Some(1.0), Some(3.0), Some(4.0)));
}

/// Its client gets nothing, so somebody downloads it in a browser there.
#[test]
fn what_came_in_a_browser_did_not_come_from_others() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 10_000);
    let info_hash = room.torrent("film.mp4", 10_000);
    room.contents.hashed(film.id(), &[info_hash]);
    room.announce(ONE, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.announce(TWO, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.pass(1);
    room.send(ONE, &film, 0, 10_000);
    room.pass(60);
    room.announce(TWO, info_hash, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    let report = room.computers.lessons().report(1, SystemTime::UNIX_EPOCH).unwrap();
    let ways = |address| &*report.files[0].copies.iter().find(|copy| copy.address == address).unwrap().ways;
    assert_eq!((ways(ONE), ways(TWO)), (&[CopyWay::Browser][..], &[CopyWay::BitTorrent][..]));
}

#[test]
fn a_report_has_the_answers_of_its_lesson() {
    let times = [AnswerTimes::new(), AnswerTimes::new()];
    times[0].record(100, std::time::Duration::from_millis(9));
    let room = Classroom::with(|config| config.answer_times = times.to_vec());
    let lessons = room.computers.lessons();
    let answers = |number| lessons.report(number, SystemTime::UNIX_EPOCH).unwrap().answers;
    assert_eq!(answers(1), None, "those were before");
    times[0].record(98, std::time::Duration::from_micros(20));
    times[1].record(2, std::time::Duration::from_millis(3));
    lessons.begin();
    times[1].record(1, std::time::Duration::from_secs(1));
    let first = answers(1).unwrap();
    assert_eq!(first.requests, 100);
    assert!((0.02..=0.0225).contains(&first.median_ms) && (3.0..=3.375).contains(&first.p99_ms), "{first:?}");
    assert_eq!(answers(2).unwrap().requests, 1);
}

#[test]
fn lessons_are_forgotten_when_there_are_many() {
    let room = Classroom::new();
    let lessons = room.computers.lessons();
    (0..Lessons::MAX_PAST + 5).for_each(|_| _ = lessons.begin());
    let list = lessons.list(SystemTime::UNIX_EPOCH);
    assert_eq!((list.len(), list[0].number, list[Lessons::MAX_PAST].number), (Lessons::MAX_PAST + 1, 106, 6));
}

#[test]
fn a_download_over_a_new_lesson_counts_what_came_in_it() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let download = room.begin(ONE, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    download.sent(900);
    room.pass(10);
    room.computers.lessons().begin();
    room.pass(2);
    download.sent(100);
    room.pass(2);
    let report = room.computers.lessons().report(2, SystemTime::UNIX_EPOCH).unwrap();
    let copy = &report.files[0].copies[0];
    assert_eq!((copy.came, copy.finished, copy.came_complete), (10, Some(14), false));
    assert_eq!((copy.mean_rate, report.files[0].sent.browser), (Some(25.0), 100));
}

#[test]
fn a_lesson_that_has_ended_keeps_its_names_and_its_network() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,anna\n10.0.0.2,ben\n").unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names.clone()));
    room.computers.set_network(&[], Some(1000));
    let film = room.content("film.mp4", 1000);
    room.send(ONE, &film, 0, 1000);
    room.send(THREE, &film, 0, 1000);
    room.computers.set_name(THREE, "the guest").unwrap();
    room.pass(1);
    let lessons = room.computers.lessons();
    let zero = SystemTime::UNIX_EPOCH;
    let before = lessons.report(1, zero).unwrap();
    room.computers.next_lesson(zero);
    room.computers.set_network(&[ONE], Some(5));
    room.computers.set_name(THREE, "").unwrap();
    fs::write(&names, "10.0.0.1,xaver\n10.0.0.2,yusuf\n10.0.0.3,zoe\n").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while &*room.computers.name_or_address(ONE) != "xaver" {
        assert!(std::time::Instant::now() < deadline, "the file is read again");
        std::thread::yield_now();
    }
    let after = lessons.report(1, zero).unwrap();
    let name = |address| after.files[0].copies.iter().find(|copy| copy.address == address).unwrap().name.clone();
    assert_eq!((name(ONE).as_deref(), name(THREE).as_deref()), (Some("anna"), Some("the guest")));
    assert_eq!((after.computers, after.link_speed, &after.files), (2, Some(1000), &before.files));
}
