use super::*;

fn peer(n: u8, flags: PexFlags) -> PexPeer {
    PexPeer { address: ([10, 0, 0, n], 6881).into(), flags }
}

fn leecher(n: u8) -> PexPeer {
    peer(n, PexFlags::default())
}

fn message(id: u8, added: &[PexPeer], dropped: &[SocketAddr]) -> String {
    extended_text(id, &Pex { added: added.to_vec(), dropped: dropped.to_vec() }.encode())
}

#[test]
fn peers_are_told_of_others() {
    let mut connection = open(modern(), torrent(8));
    connection.introduce(secs(0), &[leecher(3), peer(4, PexFlags::SEED.with(PexFlags::REACHABLE))], &[]);
    // It is not known yet by which id.
    assert_eq!((connection.poll_output(), connection.poll_timeout()), (None, Some(secs(90))));
    connection.handle_input(secs(1), &introduction(Some("qBittorrent/4.5.2"), Some(7), None)).expect("a message");
    let payload = b"d5:added12:\x0a\0\0\x04\x1a\xe1\x0a\0\0\x03\x1a\xe17:added.f2:\x12\x006:added60:8:added6.f0:\
        7:dropped0:8:dropped60:e";
    assert_eq!(sent(&mut connection), [extended_text(7, payload)]);
    assert_eq!(connection.poll_timeout(), Some(secs(91)));

    connection.introduce(secs(2), &[leecher(5)], &[leecher(3).address]);
    assert_eq!(sent(&mut connection), [message(7, &[leecher(5)], &[leecher(3).address])]);
}

#[test]
fn programs_get_as_many_messages_as_they_take() {
    for (client, times) in
        [(Some("Deluge 2.0.3"), &[1, 2, 3, 4, 5, 61][..]), (None, &[1, 66, 131]), (Some("new"), &[1, 66])]
    {
        let mut connection = open(modern(), torrent(8));
        connection.handle_input(secs(1), &introduction(client, Some(1), None)).expect("a message");
        for (n, time) in (1..).zip(times) {
            connection.introduce(secs(n.into()), &[leecher(n)], &[]);
            if secs(n.into()) < secs(*time) {
                assert_eq!(sent(&mut connection), [""; 0], "{client:?}");
                assert_eq!(connection.poll_timeout(), Some(secs(*time)), "{client:?}");
                connection.handle_timeout(secs(*time)).expect("it is due");
            }
            assert_eq!(sent(&mut connection), [message(1, &[leecher(n)], &[])], "{client:?}");
            let next = secs(time + 90);
            assert_eq!(connection.poll_timeout(), Some(next), "{client:?}");
        }
    }
}

#[test]
fn nothing_is_told_in_private_torrents_or_to_those_who_do_not_offer() {
    let mut connection = open(modern(), torrent(8).with_privacy(true));
    connection.handle_input(secs(0), &introduction(Some("aria2/1.36.0"), Some(8), None)).expect("a message");
    connection.introduce(secs(0), &[leecher(3)], &[]);
    assert_eq!((connection.poll_output(), connection.poll_timeout()), (None, Some(secs(90))));

    // rTorrent switches it off and on.
    let mut connection = open(modern(), torrent(8));
    for (id, expected) in [(0, None), (1, Some(message(1, &[leecher(3)], &[]))), (0, None)] {
        connection.handle_input(secs(0), &introduction(Some("libTorrent 0.13.8"), Some(id), None)).expect("a message");
        connection.introduce(secs(0), &[leecher(3)], &[]);
        assert_eq!(sent(&mut connection), expected.as_slice());
        connection.introduce(secs(0), &[], &[leecher(3).address]);
    }

    // It turns out to be private.
    let mut connection = open(modern(), Torrent::default());
    connection.handle_input(secs(0), &introduction(Some("aria2/1.36.0"), Some(8), None)).expect("a message");
    connection.set_torrent(secs(0), torrent(8).with_privacy(true)).expect("an open connection");
    connection.introduce(secs(0), &[leecher(3)], &[]);
    assert_eq!((connection.poll_output(), connection.poll_timeout()), (None, Some(secs(90))));
}

#[test]
fn what_peers_tell_is_an_event() {
    let first = Pex { added: vec![peer(3, PexFlags::SEED), leecher(4)], dropped: vec![leecher(5).address] };
    let second = Pex { added: vec![leecher(6)], dropped: vec![leecher(4).address] };
    let input = [extended(1, &first.encode()), extended(1, &second.encode())].concat();
    let both =
        Pex { added: vec![peer(3, PexFlags::SEED), leecher(6)], dropped: vec![leecher(5).address, leecher(4).address] };
    let mut connection = open(modern(), torrent(8));
    connection.handle_input(secs(0), &input).expect("messages");
    assert_eq!(events(&mut connection), [Event::Pex(both)]);
    connection.handle_input(secs(0), &extended(1, b"nonsense")).expect("nonsense is ignored");
    assert_eq!(events(&mut connection), []);

    let mut connection = open(modern(), torrent(8).with_privacy(true));
    connection.handle_input(secs(0), &input).expect("messages");
    assert_eq!(events(&mut connection), []);
}
