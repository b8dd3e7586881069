//! Rates, and the time that is left.

use super::*;

#[test]
fn what_is_sent_between_two_ticks_is_in_the_rates() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 100_000);
    let key = ContentKey::Id(film.id());
    room.pass(1);
    let part = |start: u64| TransferPart::File { index: 0, range: start..start + 1000 };
    for second in 0..2 {
        for number in 0..10 {
            room.begin(ONE, &film, part(10_000 * second + 1000 * number), 1000).sent(1000);
        }
        room.pass(1);
        assert_eq!(room.computers.of_file(key)[0].rate, Some(10_000.0), "from the first second on");
    }
    // A tick that comes late.
    room.begin(ONE, &film, TransferPart::File { index: 0, range: 20_000..100_000 }, 80_000).sent(80_000);
    room.pass(4);
    let report = room.computers.lessons().report(1, SystemTime::UNIX_EPOCH).unwrap();
    let copy = &report.files[0].copies[0];
    assert_eq!((copy.finished, copy.peak_rate), (Some(3), Some(100_000.0 / 2.0)), "at least the average: {copy:?}");
    assert_eq!(report.plot.last().unwrap().sent_rate, 20_000.0);
}

#[test]
fn a_browser_that_takes_nothing_is_stuck_until_it_is_cut_off() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let status = |room: &Classroom| room.computers.of_file(ContentKey::Id(film.id()))[0].status;
    let download = room.begin(ONE, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    download.sent(300);
    room.pass(1);
    room.pass(14);
    assert_eq!(status(&room), CopyStatus::Downloading);
    room.pass(1);
    assert_eq!(status(&room), CopyStatus::Stuck(PeerStuckReason::Browser));
    drop(download);
    assert_eq!(status(&room), CopyStatus::Stopped);
}

#[test]
fn the_time_left_goes_by_between_two_announces() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 10_000);
    room.announce(THREE, film, 0, Some(AnnounceEvent::Started));
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.pass(100);
    room.announce(ONE, film, 6_000, None);
    room.pass(0);
    let own = |room: &Classroom| {
        let own = room.computers.own_copies(ONE).remove(0);
        (own.completion, own.age.as_secs(), own.time_left.map(|left| left.as_secs()))
    };
    room.pass(1);
    assert_eq!(own(&room), (Some(0.4), 1, Some(149)));
    room.pass(100);
    assert_eq!(own(&room), (Some(0.4), 101, Some(49)));
    room.pass(60);
    assert_eq!(own(&room), (Some(0.4), 161, None), "it should be complete by now");
}
