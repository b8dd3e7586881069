//! What the tracker's own peer gives, in lessons and their reports.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::*;
use crate::sightings::fake::FakeSightings;

/// A classroom whose share folder has a film of 10,000 bytes, which ONE and TWO are downloading.
fn giving() -> (FakeSightings, Classroom, InfoHash) {
    let sightings = FakeSightings::default();
    let shown = sightings.clone();
    let mut room = Classroom::with(|config| config.sightings = Some(Arc::new(shown)));
    let film = room.torrent("film", 10_000);
    let content = room.content("film", 10_000);
    room.contents.hashed(content.id(), &[film]);
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 10_000, Some(AnnounceEvent::Started));
    room.pass(1);
    (sightings, room, film)
}

fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 6881)
}

fn report(room: &Classroom, number: u32) -> FileReport {
    room.computers.lessons().report(number, SystemTime::UNIX_EPOCH).unwrap().files.remove(0)
}

fn copy(file: &FileReport, address: IpAddr) -> &CopyReport {
    file.copies.iter().find(|copy| copy.address == address).unwrap()
}

#[test]
fn what_the_own_peer_has_sent_is_from_this_machine() {
    let (sightings, mut room, film) = giving();
    sightings.sent(film, &[(at(ONE), 8000), (at(TWO), 3000)]);
    room.pass(1);
    // TWO has got the rest from ONE.
    room.announce(ONE, film, 2000, None);
    room.announce(TWO, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    let file = report(&room, 1);
    assert_eq!(file.sent, BytesSent { peer: 11_000, web_seed: 0, browser: 0 });
    assert_eq!(file.copies_sent, Some(1.1));
    let (one, two) = (copy(&file, ONE), copy(&file, TWO));
    assert_eq!((one.sent.peer, one.from_others, &*one.ways), (8000, Some(0), &[CopyWay::Peer][..]));
    assert_eq!((one.setup_secs, one.setup_source), (Some(2), None), "this machine sent it");
    assert_eq!(
        (two.sent.peer, two.from_others, &*two.ways),
        (3000, Some(7000), &[CopyWay::BitTorrent, CopyWay::Peer][..])
    );
    let rows = room.computers.all();
    assert_eq!(rows.iter().map(|row| row.sent.total()).collect::<Vec<_>>(), [8000, 3000]);
    let totals = room.computers.downloads().totals();
    assert_eq!((totals.bytes.peer, totals.bytes.web_seed, totals.bytes.browser), (11_000, 0, 0));
}

#[test]
fn a_lesson_has_what_was_sent_in_it() {
    let (sightings, mut room, film) = giving();
    sightings.sent(film, &[(at(ONE), 1000)]);
    room.pass(1);
    sightings.sent(film, &[(at(ONE), 1500)]);
    room.computers.lessons().begin();
    assert_eq!(report(&room, 1).sent.peer, 1500, "it was sent before the second one began");
    sightings.sent(film, &[(at(ONE), 1800), (at(TWO), 100)]);
    room.pass(1);
    assert_eq!((report(&room, 1).sent.peer, report(&room, 2).sent.peer), (1500, 400));
    // The own peer has forgotten a peer, and counts it anew.
    sightings.sent(film, &[(at(ONE), 50), (at(TWO), 100)]);
    room.pass(1);
    assert_eq!(report(&room, 2).sent.peer, 450);
    let seeding = room.computers.seeding(&film).unwrap();
    assert_eq!((seeding.bytes, seeding.copies), (150, Some(0.015)), "that is since the program started");
}

#[test]
fn what_was_sent_of_a_removed_file_is_counted_once() {
    let (sightings, mut room, film) = giving();
    sightings.sent(film, &[(at(ONE), 1000)]);
    room.pass(1);
    let id = room.contents.get(ContentKey::Swarm(film)).unwrap().id();
    let content = room.contents.remove(id).unwrap();
    sightings.sent(film, &[(at(ONE), 1200)]);
    room.pass(1);
    assert_eq!(report(&room, 1).sent.peer, 1200, "the last second counts, too");
    room.contents.insert(content, &[film]);
    room.pass(1);
    assert_eq!(report(&room, 1).sent.peer, 1200);
}

#[test]
fn what_is_given_is_shown_by_computer() {
    let (sightings, mut room, film) = giving();
    room.computers.set_name(ONE, "lab-01").unwrap();
    // Two clients of one computer.
    sightings.sent(film, &[(at(TWO), 3000), (at(ONE), 2000), (SocketAddr::new(ONE, 7000), 2000)]);
    room.pass(1);
    let seeding = room.computers.seeding(&film).unwrap();
    assert_eq!((seeding.state, seeding.bytes, seeding.copies), (SeedingState::Seeding, 7000, Some(0.7)));
    let to: Vec<_> = seeding.to.iter().map(|to| (to.address, to.bytes)).collect();
    assert_eq!(to, [(ONE, 4000), (TWO, 3000)]);
    assert_eq!(seeding.to[0].name.as_ref().map(|name| &*name.name), Some("lab-01"));
    assert_eq!(room.computers.seeded_torrents(), Some(1));
    assert!(room.computers.seeding(&InfoHash::new([9; 20])).unwrap().to.is_empty());
    assert!(Classroom::new().computers.seeding(&film).is_none(), "there is no own peer");
}

#[test]
fn the_client_that_a_torrent_is_left_to_is_named() {
    let (sightings, mut room, film) = giving();
    room.computers.set_network(&[THREE], None);
    sightings.state().seeding.insert(film, SeenSeeding { state: SeedingState::LocalClient, ..SeenSeeding::default() });
    assert_eq!(room.computers.seeding(&film).unwrap().local_client, None);
    room.announce(THREE, film, 0, Some(AnnounceEvent::Started));
    room.pass(1);
    let seeding = room.computers.seeding(&film).unwrap();
    assert_eq!(
        (seeding.state, seeding.local_client.as_deref()),
        (SeedingState::LocalClient, Some("qBittorrent 4.5.2"))
    );
}

#[test]
fn who_waits_for_what_is_not_given_is_stuck() {
    let (_sightings, mut room, film) = giving();
    let stuck = |room: &Classroom| {
        let rows = room.computers.of_file(ContentKey::Swarm(film));
        rows.iter().filter(|row| row.status == CopyStatus::Stuck(PeerStuckReason::NoSeeder)).count()
    };
    room.pass(1);
    assert_eq!(stuck(&room), 0);
    let known = room.computers.library().get(&film).unwrap();
    room.contents.set_stopped(&known, true);
    room.pass(2);
    assert_eq!(stuck(&room), 2);
    room.contents.set_stopped(&known, false);
    room.pass(2);
    assert_eq!(stuck(&room), 0);
}
