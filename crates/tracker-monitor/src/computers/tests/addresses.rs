//! Which addresses are one computer, and which count.

use super::*;

#[test]
fn the_computers_of_the_names_file_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,lab-01\n10.0.0.2,lab-02\n10.0.0.7,lab-07\n").unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    for ip in [ONE, THREE] {
        room.announce(ip, film, 1000, Some(AnnounceEvent::Started));
        room.announce(ip, film, 0, Some(AnnounceEvent::Completed));
    }
    room.pass(1);
    assert_eq!(room.has(key), (1, 3));
    assert_eq!(room.computers.missing(key, 1), (vec!["lab-02".into()], 2));
    let rows = room.computers.of_file(key);
    let counts: Vec<_> = rows.iter().map(|row| (row.address.to_string(), row.counts)).collect();
    assert_eq!(
        counts,
        [("10.0.0.2", true), ("10.0.0.7", true), ("10.0.0.1", true), ("10.0.0.3", false)]
            .map(|(address, counts)| (address.to_owned(), counts))
    );
    let all = room.computers.all();
    assert_eq!(all.len(), 4);
    assert_eq!(
        (all[0].has, &*all[0].has_names[0], all[0].client.as_deref()),
        (1, "film.mp4", Some("qBittorrent 4.5.2"))
    );
    assert_eq!((all[1].first_seen, all[1].name.as_ref().unwrap().source), (None, NameSource::File));
}

#[test]
fn this_machine_does_not_count() {
    let mut room = Classroom::new();
    room.computers.set_network(&[TWO], None);
    let film = room.content("film.mp4", 1000);
    let key = ContentKey::Id(film.id());
    for ip in [ONE, TWO, [127, 0, 0, 1].into(), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)] {
        room.send(ip, &film, 0, 1000);
    }
    assert_eq!(room.has(key), (1, 1));
    assert_eq!(room.computers.downloads().sent(key).browser, 1000);
    assert_eq!((room.computers.all().len(), room.computers.of_file(key).len()), (1, 1));
    assert_eq!(room.computers.own_copies(TWO)[0].status, CopyStatus::HasIt, "but it may look at itself");
    room.pass(1);
}

#[test]
fn a_client_that_announces_over_both_families_is_one_computer() {
    let v6 = |last: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
    for order in [[ONE, v6(1)], [v6(1), ONE]] {
        let mut room = Classroom::new();
        let film = room.torrent("film.mp4", 1000);
        let key = ContentKey::Swarm(film);
        let notes = room.content("notes.pdf", 100);
        room.send(v6(1), &notes, 0, 60);
        room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
        for address in order {
            let peer_id = PeerId::new(*b"-qB4520-of-computer1");
            let request = AnnounceRequest::new(film, peer_id, address, local(address), 6881).with_left(Some(1000));
            room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
        }
        room.pass(1);
        assert_eq!(room.has(key), (0, 2), "{order:?}");
        room.send(v6(1), &notes, 60, 100);
        assert_eq!(room.has(ContentKey::Id(notes.id())), (1, 2));
        assert_eq!(room.computers.missing(ContentKey::Id(notes.id()), 9).0, ["10.0.0.2".into()]);
        assert_eq!(room.computers.own_copies(v6(1)).len(), 2);
        assert_eq!(room.computers.all().len(), 2);
        room.computers.lessons().begin();
        room.pass(1);
        assert_eq!(room.has(key), (0, 2));
    }
}

#[test]
fn two_clients_at_one_address_are_one_computer_in_whatever_order_they_are_seen() {
    for ports in [[6881, 6882], [6882, 6881]] {
        let mut room = Classroom::new();
        let film = room.torrent("film.mp4", 1000);
        let key = ContentKey::Swarm(film);
        let announce = |room: &mut Classroom, client: usize, left: u64, event| {
            let peer_id = PeerId::new(if client == 0 { *b"-qB4520-of-a-seeder1" } else { *b"-qB4520-of-a-leecher" });
            let request = AnnounceRequest::new(film, peer_id, ONE, local(ONE), ports[client]);
            let request = request.with_left(left).with_event(event);
            room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
        };
        announce(&mut room, 0, 1000, Some(AnnounceEvent::Started));
        room.pass(10);
        announce(&mut room, 0, 0, Some(AnnounceEvent::Completed));
        room.pass(1);
        announce(&mut room, 1, 1000, Some(AnnounceEvent::Started));
        let finished = |room: &Classroom| room.computers.of_file(key)[0].finished;
        for _ in 0..5 {
            room.pass(30);
            assert_eq!((room.has(key), finished(&room)), ((1, 1), Some(Instant::from_secs(10))), "{ports:?}");
            announce(&mut room, 0, 0, None);
            announce(&mut room, 1, 900, None);
        }
        announce(&mut room, 1, 900, Some(AnnounceEvent::Stopped));
        room.pass(1);
        assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 1), "the seeder is still there");
        announce(&mut room, 0, 0, Some(AnnounceEvent::Stopped));
        announce(&mut room, 1, 900, Some(AnnounceEvent::Started));
        room.pass(1);
        assert_eq!(room.has(key), (0, 1));
    }
}

#[test]
fn the_names_file_may_have_either_address_of_a_computer() {
    let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]);
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, format!("{v6},lab-01\n{TWO},lab-02\n")).unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    for address in [v6, ONE] {
        let peer_id = PeerId::new(*b"-qB4520-of-computer1");
        let request = AnnounceRequest::new(film, peer_id, address, local(address), 6881).with_left(Some(0));
        room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
    }
    room.pass(1);
    assert_eq!((room.has(key), room.computers.missing(key, 9).0), ((1, 2), vec!["lab-02".into()]));
    let rows = room.computers.of_file(key);
    let rows: Vec<_> = rows.iter().map(|row| (row.address, row.counts, &*row.name.as_ref().unwrap().name)).collect();
    assert_eq!(rows, [(TWO, true, "lab-02"), (ONE, true, "lab-01")]);
}
