//! What the tracker's own peer sees of the computers of a lesson.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tracker_core::EventKind;

use super::*;
use crate::sightings::fake::FakeSightings;

fn seeing(sightings: &FakeSightings) -> Classroom {
    let sightings = sightings.clone();
    Classroom::with(|config| config.sightings = Some(Arc::new(sightings)))
}

fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 6881)
}

fn row(room: &Classroom, key: ContentKey, address: IpAddr) -> CopyRow {
    room.computers.of_file(key).into_iter().find(|row| row.address == address).unwrap()
}

#[test]
fn a_download_is_followed_by_the_second() {
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let film = room.torrent("film", 10_000);
    let key = ContentKey::Swarm(film);
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.pass(10);
    let before = row(&room, key, ONE);
    assert_eq!((before.completion, before.age, before.is_live), (Some(0.0), Duration::from_secs(10), false));
    for pieces in 1..=50 {
        sightings.live(film, at(ONE), pieces);
        room.pass(1);
        let row = row(&room, key, ONE);
        assert_eq!((row.completion, row.age, row.is_live), (Some(f64::from(pieces) / 100.0), Duration::ZERO, true));
        let left = Duration::from_secs_f64(f64::from(100 - pieces) * 100.0 / 1000.0);
        assert_eq!((row.rate, row.status, row.last_seen), (Some(1000.0), CopyStatus::Downloading, Some(room.now)));
        assert!(row.time_left.unwrap().abs_diff(left) < Duration::from_millis(1), "{row:?}");
    }
    assert_eq!(room.computers.progress(key).average_of_others, Some(0.5));
    // It is lost, and then it leaves.
    sightings.lost(film, at(ONE), 3);
    room.pass(3);
    let lost = row(&room, key, ONE);
    assert_eq!((lost.completion, lost.age, lost.is_live), (Some(0.5), Duration::from_secs(3), false));
    room.announce(ONE, film, 5000, Some(AnnounceEvent::Stopped));
    room.look();
    assert_eq!(row(&room, key, ONE).status, CopyStatus::Stopped);
}

#[test]
fn an_event_does_not_take_back_what_is_seen() {
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let film = room.torrent("film", 10_000);
    let key = ContentKey::Swarm(film);
    // This listener comes later with the same events.
    let other = room.events.listen(10);
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    sightings.live(film, at(ONE), 40);
    sightings.reach(film, at(ONE), Reachability::Yes, Some(ReachabilityReason::EncryptedOnly));
    room.pass(1);
    let mut events = Vec::new();
    other.take(&mut events);
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::PeerJoined(_))), "{events:?}");
    events.iter().for_each(|event| room.computers.happened(event));
    let row = row(&room, key, ONE);
    assert_eq!((row.completion, row.is_live, row.rate), (Some(0.4), true, Some(1000.0)));
    assert_eq!((row.reachability, row.reason), (Reachability::Yes, Some(ReachabilityReason::EncryptedOnly)));
}

#[test]
fn a_report_has_times_to_the_second_and_says_whence() {
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let film = room.torrent("film", 10_000);
    let zero = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 10_000, Some(AnnounceEvent::Started));
    // It has everything when it comes, which is seen before it is announced a second time.
    room.announce(THREE, film, 0, Some(AnnounceEvent::Started));
    sightings.live(film, at(ONE), 0);
    sightings.live(film, at(THREE), 100);
    room.pass(3);
    sightings.live(film, at(ONE), 1);
    room.pass(9);
    sightings.live(film, at(ONE), 100);
    room.pass(1);
    let finished = room.now;
    room.announce(TWO, film, 9000, None);
    // It says so much later.
    room.pass(20);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);

    let report = room.computers.lessons().report(1, zero).unwrap();
    let copy = |address| report.files[0].copies.iter().find(|copy| copy.address == address).unwrap();
    let one = copy(ONE);
    assert_eq!((one.setup_secs, one.setup_source), (Some(12), Some(FigureSource::Seen)));
    assert_eq!((one.took_secs, one.finished), (Some(13), Some(1_000_000 + u64::from(finished.as_secs()))));
    assert_eq!((one.came_complete, one.check, &*one.ways), (false, CopyCheck::Pieces, &[CopyWay::BitTorrent][..]));
    assert_eq!((one.peak_rate, one.mean_rate), (Some(1000.0), Some(769.231)));
    assert_eq!((copy(TWO).setup_secs, copy(TWO).setup_source), (Some(13), Some(FigureSource::Announced)));
    assert!(copy(THREE).came_complete);
    assert_eq!(copy(THREE).setup_source, None);
}

#[test]
fn a_computer_can_be_reached_if_one_of_its_clients_can() {
    use Reachability::{No, Unknown, Yes};
    use ReachabilityReason::*;
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let (film, notes) = (room.torrent("film", 10_000), room.torrent("notes", 100));
    room.announce(ONE, film, 10_000, None);
    room.announce(ONE, notes, 100, None);
    for (of_film, of_notes, expected) in [
        ((Unknown, None), (Unknown, None), (Unknown, None)),
        ((No, Some(NoAnswer)), (Unknown, None), (No, Some(NoAnswer))),
        ((No, Some(NoAnswer)), (Yes, None), (Yes, None)),
        ((Yes, Some(EncryptedOnly)), (No, Some(NoAnswer)), (Yes, Some(EncryptedOnly))),
        ((No, Some(NotThisTorrent)), (No, Some(NotThisTorrent)), (Yes, None)),
        ((Unknown, Some(SameMachine)), (Unknown, None), (Unknown, Some(SameMachine))),
    ] {
        sightings.reach(film, at(ONE), of_film.0, of_film.1);
        sightings.reach(notes, at(ONE), of_notes.0, of_notes.1);
        room.pass(1);
        let computer = room.computers.all().remove(0);
        assert_eq!((computer.reachability, computer.reason), expected, "{of_film:?} {of_notes:?}");
        let of_file = row(&room, ContentKey::Swarm(film), ONE);
        assert_eq!((of_file.reachability, of_file.reason, of_file.port), (of_film.0, of_film.1, Some(6881)));
        let is_unreachable = [of_film.0, of_notes.0].contains(&No);
        assert_eq!(room.computers.clients(), (1, usize::from(is_unreachable)), "{of_film:?} {of_notes:?}");
    }
}

#[test]
fn who_is_connected_to_whom_is_told_by_computers() {
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let own: [IpAddr; 2] = [[10, 0, 0, 8].into(), [10, 0, 0, 9].into()];
    room.computers.set_network(&own, None);
    let film = room.torrent("film", 10_000);
    let key = ContentKey::Swarm(film);
    for address in [ONE, TWO, THREE] {
        room.announce(address, film, 5000, None);
    }
    room.pass(1);
    assert_eq!(room.computers.connections(key, 60), None, "nobody tells of any");
    let stranger: IpAddr = [10, 0, 0, 77].into();
    let connection = |from, to| SeenConnection { from: at(from), to: SocketAddr::new(to, 51_413), is_to_seed: false };
    sightings.state().connections = vec![
        connection(ONE, TWO),
        connection(TWO, ONE),
        connection(TWO, stranger),
        // The tracker's own peer, and itself.
        connection(ONE, own[0]),
        connection(ONE, ONE),
    ];
    room.computers.set_name(TWO, "lab-02").unwrap();
    let graph = room.computers.connections(key, 60).unwrap();
    let computers: Vec<_> = graph
        .computers
        .iter()
        .map(|computer| {
            let name = computer.name.as_ref().map(|name| name.name.to_string());
            (computer.address, name, computer.has_announced, computer.connections)
        })
        .collect();
    let lab_02 = Some("lab-02".to_owned());
    assert_eq!(
        computers,
        [(ONE, None, true, 1), (TWO, lab_02, true, 2), (THREE, None, true, 0), (stranger, None, false, 1)]
    );
    assert_eq!((graph.connections, graph.more), (vec![(0, 1), (1, 3)], 0));

    // A client on this machine is one computer, under whatever address.
    room.announce(own[1], film, 0, None);
    room.pass(1);
    let graph = room.computers.connections(key, 60).unwrap();
    let this_machine: Vec<_> =
        graph.computers.iter().filter(|computer| computer.is_this_machine).map(|computer| computer.address).collect();
    assert_eq!((this_machine, graph.connections), (vec![own[1]], vec![(0, 1), (0, 3), (1, 4)]));

    // Only those with most connections, if there are many.
    let graph = room.computers.connections(key, 2).unwrap();
    let shown: Vec<_> = graph.computers.iter().map(|computer| computer.address).collect();
    assert_eq!((shown, graph.connections, graph.more), (vec![ONE, TWO], vec![(0, 1)], 3));
}

#[test]
fn pairs_that_cannot_reach_each_other_are_pairs_of_computers() {
    let sightings = FakeSightings::default();
    let mut room = seeing(&sightings);
    let film = room.torrent("film", 10_000);
    let key = ContentKey::Swarm(film);
    assert!(room.computers.unreachable_pairs(key).is_empty());
    sightings.state().pairs =
        vec![(at(TWO), at(ONE)), (at(ONE), at(TWO)), (at(ONE), SocketAddr::new(ONE, 6882)), (at(THREE), at(TWO))];
    room.pass(1);
    assert_eq!(room.computers.unreachable_pairs(key), [(ONE, TWO), (TWO, THREE)].into());
}
