use super::*;

fn progress(had: u32, of: Option<u32>, is_complete: bool) -> Event {
    Event::Progress(Progress { had, of, is_complete })
}

#[test]
fn progress_is_told_in_its_latest_state() {
    let mut connection = open(modern(), torrent(10));
    assert_eq!(events(&mut connection), []);
    for (messages, expected) in [
        (&[Message::HaveNone][..], &[progress(0, Some(10), false)][..]),
        (&[Message::HaveNone, Message::Choke, Message::KeepAlive], &[]),
        (&[Message::Have { piece: 3 }, Message::Have { piece: 4 }], &[progress(2, Some(10), false)]),
        (&[Message::Have { piece: 3 }], &[]),
        // aria2 sends another bitfield now and then.
        (&[Message::Bitfield(b"\xff\0")], &[progress(8, Some(10), false)]),
        (&[Message::Bitfield(b"\xff\x80"), Message::Have { piece: 9 }], &[progress(10, Some(10), true)]),
        (&[Message::Extended { id: 3, payload: b"\0\0\0\x09" }], &[progress(9, Some(10), false)]),
        (&[Message::Extended { id: 3, payload: b"\0\0\0" }], &[]),
        (&[Message::HaveAll], &[progress(10, Some(10), true)]),
    ] {
        connection.handle_input(secs(1), &stream(messages)).expect("messages");
        assert_eq!(events(&mut connection), expected, "{messages:?}");
    }
    assert!(connection.pieces().contains(9));
    assert_eq!(connection.poll_output(), None);
}

#[test]
fn the_number_of_pieces_may_come_later() {
    let mut connection = open(modern(), Torrent::default());
    connection.set_torrent(secs(1), torrent(12)).expect("an open connection");
    assert_eq!(events(&mut connection), []);

    let mut connection = open(modern(), Torrent::default());
    connection.handle_input(secs(1), &stream(&[Message::Bitfield(b"\xff\xf0")])).expect("a bitfield");
    assert_eq!(events(&mut connection), [progress(12, None, false)]);
    connection.set_torrent(secs(2), torrent(12)).expect("an open connection");
    assert_eq!(events(&mut connection), [progress(12, Some(12), true)]);
    let error = PiecesError::BitfieldLength { length: 3, piece_count: Some(12) };
    let longer = stream(&[Message::Bitfield(&[0; 3])]);
    assert_eq!(connection.handle_input(secs(2), &longer), Err(ConnectionError::Pieces(error)));
}

#[test]
fn the_longest_message_follows_the_number_of_pieces() {
    let mut connection = open(modern(), Torrent::default());
    connection.set_torrent(secs(0), torrent(800_000)).expect("an open connection");
    connection.handle_input(secs(0), &stream(&[Message::Bitfield(&[0xff; 100_000])])).expect("a bitfield");
    assert_eq!(events(&mut connection), [progress(800_000, Some(800_000), true)]);
    let error = DecodeError::TooLong { length: 100_002, limit: 100_001 };
    assert_eq!(connection.handle_input(secs(0), b"\0\x01\x86\xa2"), Err(ConnectionError::Decode(error)));
}

#[test]
fn the_client_is_told_when_it_changes() {
    let mut connection = open(modern(), torrent(8));
    let handshake = introduction(Some("aria2/1.36.0"), Some(8), None);
    connection.handle_input(secs(0), &[&handshake[..], &handshake].concat()).expect("extended handshakes");
    assert_eq!(events(&mut connection), [Event::Client("aria2/1.36.0".to_owned())]);
    connection.handle_input(secs(0), &handshake).expect("an extended handshake");
    connection.handle_input(secs(0), &introduction(None, Some(8), None)).expect("an extended handshake");
    connection.handle_input(secs(0), &extended(0, b"nonsense")).expect("nonsense is ignored");
    assert_eq!(events(&mut connection), []);
    connection.handle_input(secs(0), &introduction(Some("other"), None, None)).expect("an extended handshake");
    assert_eq!(events(&mut connection), [Event::Client("other".to_owned())]);
}

#[test]
fn only_counts_may_be_kept() {
    let mut connection = open(modern(), torrent(80_000));
    connection.handle_input(secs(0), &stream(&[Message::Bitfield(&[0xf0; 10_000])])).expect("a bitfield");
    assert_eq!(connection.pieces().allocated(), 10_000);
    connection.keep_only_count();
    connection.handle_input(secs(0), &stream(&[Message::Have { piece: 7 }])).expect("a message");
    assert_eq!(events(&mut connection), [progress(40_001, Some(80_000), false)]);
    assert_eq!(connection.pieces().allocated(), 0);
}

#[test]
fn a_part_of_a_message_is_told_of() {
    let mut connection = open(modern(), torrent(80_000));
    let bitfield = stream(&[Message::Bitfield(&[0xf0; 10_000])]);
    let (most, rest) = bitfield.split_at(bitfield.len() - 1);
    assert_eq!(connection.partial_message(), 0);
    most.chunks(100).for_each(|part| connection.handle_input(secs(0), part).expect("a part of a bitfield"));
    assert_eq!(connection.partial_message(), 10_001);
    assert_eq!(connection.pieces().allocated(), 0);
    connection.handle_input(secs(0), rest).expect("a bitfield");
    assert!(connection.partial_message() <= 512, "{}", connection.partial_message());
    assert_eq!(connection.pieces().allocated(), 10_000);
}

#[test]
fn floods_take_no_memory() {
    let mut connection = open(modern(), Torrent::default());
    connection.take_requests(secs(0), true);
    let clients = ["a", "b"].map(|client| introduction(Some(client), Some(1), Some(2)));
    for n in 0..2000_u32 {
        let address = |network, port: u16| SocketAddr::from(([10, network, (n % 251) as u8, 1], port + 1));
        let added = (0..50).map(|port| PexPeer { address: address(0, port), flags: PexFlags::SEED }).collect();
        let pex = Pex { added, dropped: (0..50).map(|port| address(1, port)).collect() };
        let input = [
            clients[n as usize % 2].clone(),
            extended(1, &pex.encode()),
            stream(&[
                Message::Have { piece: n },
                Message::Bitfield(&[n as u8; 1000]),
                Message::Interested,
                Message::Cancel(Block { piece: n, begin: 0, length: 1 }),
                Message::KeepAlive,
            ]),
        ];
        connection.handle_input(secs(0), &input.concat()).expect("messages");
        connection.introduce(secs(0), &pex.added, &pex.dropped);
        assert!(connection.allocated() < 20_000, "{} bytes unpolled", connection.allocated());
        assert!(connection.poll_output().is_none_or(|output| output.len() < 2000));
    }
    let told = events(&mut connection);
    assert_eq!(told.len(), 2 + 1 + 1 + 1 + MAX_REQUESTS, "{told:?}");
    let Some(Event::Pex(pex)) = told.get(3) else { panic!("{told:?}") };
    assert_eq!((pex.added.len(), pex.dropped.len()), (MAX_PEX_RECEIVED, MAX_PEX_RECEIVED));
    let kept = connection.allocated() - connection.pieces().allocated();
    assert!(kept <= 8192, "{kept} bytes");
}
