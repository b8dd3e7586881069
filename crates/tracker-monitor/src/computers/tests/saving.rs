//! Lessons that go on after a restart.

use std::net::Ipv6Addr;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;
use crate::saved::{SavedHistory, SavedLessons, SavedMonitor};

/// The time of the tracker's clock at its first start.
const START: u32 = 5_000_000;

/// The time of day at its first start, in Unix seconds.
const MORNING: u64 = 1_700_000_000;

fn wall(unix: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(unix)
}

fn start(unix: u64, clock: u32, (monitor, lessons): (SavedMonitor, SavedLessons)) -> Classroom {
    let mut room = Classroom::start(Memory::Full, wall(unix), |config| {
        config.clock = Clock::fixed(Instant::from_secs(clock));
        (config.saved_monitor, config.saved_lessons) = (monitor, lessons);
    });
    room.now = Instant::from_secs(clock);
    room
}

/// The first run of the program.
fn first() -> Classroom {
    start(MORNING, START, Default::default())
}

impl Classroom {
    /// What is in the files of a tracker that was started at this time of day.
    fn saved(&self, started: u64) -> (SavedMonitor, SavedLessons) {
        let monitor = self.computers.save(SavedHistory::default(), wall(started));
        let lessons = self.computers.save_past(wall(started));
        (SavedMonitor::parse(&monitor.to_json()).unwrap(), SavedLessons::parse(&lessons.to_json()).unwrap())
    }

    /// The same, saved later: the clock of these tests stands still.
    fn saved_at(&self, started: u64, at: u64) -> (SavedMonitor, SavedLessons) {
        fn later<T: DeserializeOwned>(json: &[u8], at: u64) -> T {
            let mut json: serde_json::Value = serde_json::from_slice(json).unwrap();
            json["saved"] = at.into();
            serde_json::from_value(json).unwrap()
        }
        let (monitor, lessons) = self.saved(started);
        (later(&monitor.to_json(), at), later(&lessons.to_json(), at))
    }

    /// The reports of all lessons of a tracker whose clock showed `clock` when it was started at this time of day, the current one
    /// first.
    fn reports(&self, started: u64, clock: u32) -> Vec<LessonReport> {
        let (lessons, zero) = (self.computers.lessons(), wall(started) - Duration::from_secs(clock.into()));
        let list = lessons.list(zero);
        list.iter().map(|lesson| lessons.report(lesson.number, zero).unwrap()).collect()
    }
}

/// A lesson that has ended and one that goes on, with everything in them: clients that have it, are downloading and have left, a
/// computer with two addresses, browsers, this machine and a file without a torrent.
fn full() -> Classroom {
    let mut room = first();
    room.computers.set_network(&[[10, 0, 0, 9].into()], Some(1_000_000));
    let film = room.content("film.mp4", 10_000);
    let info_hash = room.torrent("film.mp4", 10_000);
    room.contents.hashed(film.id(), &[info_hash]);
    let notes = room.content("notes.pdf", 100);
    room.computers.set_name(ONE, "lab-01").unwrap();
    let v6 = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    for lesson in 0..2 {
        room.announce(ONE, info_hash, 10_000, Some(AnnounceEvent::Started));
        room.announce(TWO, info_hash, 0, Some(AnnounceEvent::Started));
        room.pass(70);
        room.announce(ONE, info_hash, 5000, None);
        room.announce(v6, info_hash, 5000, None);
        room.pass(70);
        room.announce(ONE, info_hash, 0, Some(AnnounceEvent::Completed));
        room.announce([10, 0, 0, 4].into(), info_hash, 7000, Some(AnnounceEvent::Started));
        room.announce([10, 0, 0, 5].into(), InfoHash::new([7; 20]), 7, None);
        room.pass(70);
        room.announce([10, 0, 0, 4].into(), info_hash, 7000, Some(AnnounceEvent::Stopped));
        room.send(THREE, &notes, 0, 40);
        room.send(THREE, &film, 0, 10_000);
        room.send([10, 0, 0, 9].into(), &film, 0, 10_000);
        room.pass(5);
        if lesson == 0 {
            assert_eq!(room.computers.next_lesson(wall(MORNING)), 2);
            room.pass(1);
        }
    }
    room
}

#[test]
fn reports_of_lessons_that_have_ended_stay_as_they_were() {
    let room = full();
    let before = room.reports(MORNING, START);
    // Two minutes and a half later, after a short break.
    let mut again = start(MORNING + 1000, 7_000_000, room.saved(MORNING));
    let after = again.reports(MORNING + 1000, 7_000_000);
    assert_eq!((before.len(), after.len()), (2, 2));
    assert_eq!(after[1], before[1]);
    assert_eq!(
        before[1].files[0].copies.iter().find(|copy| copy.address == ONE).unwrap().name.as_deref(),
        Some("lab-01")
    );
    again.pass(100);
    let third = start(MORNING + 10_000, 8_000_000, again.saved(MORNING + 1000));
    assert_eq!(third.reports(MORNING + 10_000, 8_000_000)[1], before[1]);
}

#[test]
fn the_current_lesson_goes_on() {
    let room = full();
    let before = room.reports(MORNING, START).remove(0);
    let again = start(MORNING + 1000, 7_000_000, room.saved(MORNING));
    let after = again.reports(MORNING + 1000, 7_000_000).remove(0);
    assert_eq!((after.number, after.started, after.ended), (2, before.started, None));
    assert_eq!((after.computers, after.is_complete, after.link_speed), (before.computers, true, before.link_speed));
    // The last point is the current one.
    assert_eq!(after.plot[..after.plot.len() - 1], before.plot);
    assert_eq!(after.files.len(), before.files.len());
    for (after, before) in after.files.into_iter().zip(before.files) {
        assert_eq!((after.key, after.name, after.size), (before.key, before.name, before.size));
        assert_eq!((after.sent, after.spread_secs), (before.sent, before.spread_secs));
        assert_eq!(after.plot[..after.plot.len() - 1], before.plot);
        assert_eq!(after.progress.has, before.progress.has);
        assert_eq!((after.progress.downloading, after.progress.stuck, after.progress.sources), (0, 0, 0));
        // Names were given by the operator, and are kept elsewhere.
        let nameless = before.copies.into_iter().map(|copy| CopyReport { name: None, ..copy });
        assert_eq!(after.copies, nameless.collect::<Vec<_>>());
    }
    assert_eq!(again.computers.lessons().begin(), 3);
}

#[test]
fn the_current_lesson_has_ended_after_a_night() {
    let room = full();
    let before = room.reports(MORNING, START);
    let (monitor, lessons) = room.saved_at(MORNING, MORNING + 500);
    let pause = u32::try_from(Lessons::MAX_PAUSE.as_secs()).unwrap();
    let (short, long) = (MORNING + 499 + u64::from(pause), MORNING + 500 + u64::from(pause));
    let again = start(short, 7_000_000, (monitor.clone(), lessons.clone()));
    assert_eq!(again.reports(short, 7_000_000).len(), 2);
    let again = start(long, 7_000_000, (monitor, lessons));
    let after = again.reports(long, 7_000_000);
    assert_eq!(after.iter().map(|report| report.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((after[0].started, after[0].files.len(), after[0].computers), (long, 0, 0));
    assert_eq!((after[1].ended, after[1].computers, after[1].link_speed), (Some(MORNING + 500), 6, Some(1_000_000)));
    assert_eq!(after[1].files[0].sent, before[0].files[0].sent);
    assert_eq!(after[2], before[1]);
}

#[test]
fn clients_that_are_still_there_go_on_where_they_were() {
    let mut room = first();
    let film = room.torrent("film.mp4", 10_000);
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 10_000, Some(AnnounceEvent::Started));
    room.pass(60);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Completed));
    room.announce(TWO, film, 4000, None);
    room.pass(60);
    let before = room.computers.of_file(ContentKey::Swarm(film));
    let saved = room.saved(MORNING);

    let mut again = start(MORNING + 200, 7_000_000, saved);
    assert_eq!(again.torrent("film.mp4", 10_000), film);
    let key = ContentKey::Swarm(film);
    let status = |room: &Classroom, ip| {
        let rows = room.computers.of_file(key);
        let row = rows.into_iter().find(|row| row.address == ip).unwrap();
        (row.status, row.completion, row.finished.map(|at| at.as_secs()), row.came.map(|at| at.as_secs()))
    };
    let moved = |at: Option<Instant>| at.map(|at| at.as_secs() - START + 7_000_000 - 200);
    let [of_two, of_one] = &before[..] else { panic!("{before:?}") };
    assert_eq!(status(&again, ONE), (CopyStatus::HasIt, Some(1.0), moved(of_one.finished), moved(of_one.came)));
    assert_eq!(status(&again, TWO), (CopyStatus::Stopped, Some(0.6), None, moved(of_two.came)));
    again.announce(ONE, film, 0, None);
    again.announce(TWO, film, 3000, None);
    again.pass(1);
    assert_eq!(status(&again, ONE), (CopyStatus::HasIt, Some(1.0), moved(of_one.finished), moved(of_one.came)));
    assert_eq!(status(&again, TWO), (CopyStatus::Downloading, Some(0.7), None, moved(of_two.came)));
    // Another computer comes, and one without what it had.
    again.announce(THREE, film, 10_000, Some(AnnounceEvent::Started));
    again.pass(60);
    again.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    again.pass(1);
    assert_eq!(again.has(key), (0, 3));
    assert!(matches!(status(&again, ONE).0, CopyStatus::Stuck(_)), "nobody has it any more");
}

#[test]
fn a_download_in_a_browser_is_resumed_after_a_restart() {
    let room = first();
    let notes = room.content("notes.pdf", 100);
    room.send(THREE, &notes, 0, 40);
    let mut again = start(MORNING + 200, 7_000_000, room.saved(MORNING));
    // It is another content now, of the same name and size.
    let notes = again.content("notes.pdf", 100);
    again.send(THREE, &notes, 40, 100);
    assert_eq!(again.has(ContentKey::Id(notes.id())), (1, 1));
    assert_eq!(again.computers.downloads().sent(ContentKey::Id(notes.id())).browser, 100);
    let info_hash = again.torrent("notes.pdf", 100);
    again.contents.hashed(notes.id(), &[info_hash]);
    again.pass(1);
    assert_eq!(again.has(ContentKey::Swarm(info_hash)), (1, 1));
    assert_eq!(again.reports(MORNING + 200, 7_000_000)[0].files.len(), 1);
    // And what was hashed meanwhile is the same file.
    let third = start(MORNING + 300, 8_000_000, room.saved(MORNING));
    let info_hash = third.torrent("notes.pdf", 100);
    let notes = third.content("notes.pdf", 100);
    third.contents.hashed(notes.id(), &[info_hash]);
    third.send(THREE, &notes, 40, 100);
    assert_eq!((third.has(ContentKey::Swarm(info_hash)), third.reports(0, 0)[0].files.len()), ((1, 1), 1));
}

#[test]
fn a_lesson_that_has_ended_is_not_the_current_one_again() {
    let room = first();
    let (monitor, _) = room.saved(MORNING);
    room.computers.lessons().begin();
    let (next, lessons) = room.saved(MORNING);
    // Killed after the lessons were written, and before the rest.
    let again = start(MORNING + 100, 7_000_000, (monitor.clone(), lessons.clone()));
    let numbers = |room: &Classroom| -> Vec<u32> {
        room.computers.lessons().list(SystemTime::UNIX_EPOCH).iter().map(|lesson| lesson.number).collect()
    };
    assert_eq!(numbers(&again), [2, 1]);
    assert_eq!(numbers(&start(MORNING + 100, 7_000_000, (SavedMonitor::default(), lessons.clone()))), [2, 1]);
    assert_eq!(numbers(&start(MORNING + 100, 7_000_000, (next, SavedLessons::default()))), [2]);
    let mut doubled = lessons.clone();
    doubled.lessons.extend_from_slice(&lessons.lessons);
    assert_eq!(numbers(&start(MORNING + 100, 7_000_000, (monitor, doubled))), [2, 1]);
}

#[test]
fn a_clock_that_was_set_back_changes_no_lesson() {
    let room = full();
    let before = room.reports(MORNING, START);
    let saved = room.saved_at(MORNING, MORNING + 1000);
    let again = start(MORNING - 86_400, 7_000_000, saved);
    // Seen with that clock, all of it has just been.
    let after = again.reports(MORNING - 86_400, 7_000_000);
    assert_eq!(after.len(), 2);
    // The one that goes on is of now, and the one that has ended keeps its dates.
    assert!(after[0].started <= MORNING - 86_400);
    assert_eq!(after[1], before[1]);
}

#[test]
fn a_file_on_thousands_of_computers_is_saved() {
    let mut room = first();
    let film = room.torrent("film.mp4", 1000);
    let count = 9000_u32;
    for number in 0..count {
        let address = IpAddr::from((0x0a00_0001 + number).to_be_bytes());
        room.announce(address, film, 0, Some(AnnounceEvent::Started));
        if number % 5000 == 0 {
            room.look();
        }
    }
    room.pass(1);
    let again = start(MORNING + 100, 7_000_000, room.saved(MORNING));
    assert_eq!(again.has(ContentKey::Swarm(film)), (count, count));
}

/// Numbers and texts that nobody expects, in place of those in the JSON.
fn odd() -> impl Strategy<Value = String> {
    let odd = [
        "0",
        "1",
        "18446744073709551615",
        "4294967295",
        "1e308",
        "0.5",
        "true",
        "false",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "null",
        "1700000000",
        "\"::1\"",
        "\"::ffff:10.0.0.1\"",
        "\"10.0.0.1\"",
        "\"0000000000000001\"",
        "\"abababababababababababababababababababab\"",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        any::<u32>().prop_map(|n| n.to_string())
    ]
}

/// Changes a value somewhere in the JSON.
fn change(json: &mut serde_json::Value, path: &[usize], value: &serde_json::Value) {
    use serde_json::Value;

    let Some((first, rest)) = path.split_first() else {
        *json = value.clone();
        return;
    };
    match json {
        Value::Array(list) if !list.is_empty() => {
            let place = first % list.len();
            change(&mut list[place], rest, value);
        }
        Value::Object(map) if !map.is_empty() => {
            let place = first % map.len();
            change(map.values_mut().nth(place).expect("there are more"), rest, value);
        }
        _ => *json = value.clone(),
    }
}

fn saved_full() -> &'static (SavedMonitor, SavedLessons) {
    static SAVED: std::sync::OnceLock<(SavedMonitor, SavedLessons)> = std::sync::OnceLock::new();
    SAVED.get_or_init(|| full().saved(MORNING))
}

proptest! {
    /// Whatever somebody writes into the files, the tracker starts, shows it, goes on, and what it saves then stays as it is.
    #[test]
    fn no_change_of_the_files_stops_the_tracker(
        changes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<usize>(), 1..9), odd()), 1..6),
    ) {
        let (monitor, lessons) = saved_full();
        let mut monitor: serde_json::Value = serde_json::from_slice(&monitor.to_json()).unwrap();
        let mut lessons: serde_json::Value = serde_json::from_slice(&lessons.to_json()).unwrap();
        for (is_monitor, path, odd) in changes {
            let odd = serde_json::from_str(&odd).unwrap();
            change(if is_monitor { &mut monitor } else { &mut lessons }, &path, &odd);
        }
        let monitor = SavedMonitor::parse(monitor.to_string().as_bytes()).unwrap_or_default();
        let lessons = SavedLessons::parse(lessons.to_string().as_bytes()).unwrap_or_default();
        let mut room = start(MORNING + 1000, 7_000_000, (monitor, lessons));
        let saved = room.saved(MORNING + 1000);
        let again = start(MORNING + 1000, 7_000_000, saved.clone());
        prop_assert_eq!(again.reports(MORNING + 1000, 7_000_000), room.reports(MORNING + 1000, 7_000_000));
        let (monitor, lessons) = again.saved(MORNING + 1000);
        prop_assert_eq!((sorted(monitor.to_json()), sorted(lessons.to_json())), (sorted(saved.0.to_json()), sorted(saved.1.to_json())));
        let film = room.torrent("film.mp4", 10_000);
        room.announce(ONE, film, 5000, None);
        room.announce(TWO, film, 0, None);
        room.pass(60);
        let notes = room.content("notes.pdf", 100);
        room.send(THREE, &notes, 40, 100);
        room.computers.all();
        room.computers.of_file(ContentKey::Swarm(film));
        room.computers.own_copies(THREE);
        room.computers.lessons().begin();
        room.pass(1);
        room.reports(MORNING + 1000, 7_000_000);
    }
}

/// The JSON with its lists of objects and pairs in a fixed order: copies and aliases have none.
fn sorted(json: Vec<u8>) -> String {
    fn sort(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Array(list) => {
                list.iter_mut().for_each(sort);
                if list.iter().any(|item| item.is_object() || item.is_array()) {
                    list.sort_by_key(ToString::to_string);
                }
            }
            serde_json::Value::Object(map) => map.values_mut().for_each(sort),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(&json).unwrap();
    sort(&mut value);
    value.to_string()
}
