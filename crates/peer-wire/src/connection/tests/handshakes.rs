use super::*;

/// The extended handshake that is sent, without its length.
const EXTENDED_HANDSHAKE: &[u8] =
    b"\x14\0d1:md11:lt_donthavei3e11:ut_metadatai2e6:ut_pexi1ee4:reqqi128e1:v11:Example 0.1\
    6:yourip4:\x0a\0\0\x02e";

fn with_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

#[test]
fn a_dialled_peer_gets_these_bytes() {
    let mut connection = Connection::dial(secs(5), local(), remote(), INFO_HASH, Torrent::default());
    let expected = [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04"[..], &INFO_HASH, &LOCAL_ID].concat();
    assert_eq!(connection.poll_output(), Some(expected));
    assert_eq!(connection.poll_output(), None);

    let extended = with_length(EXTENDED_HANDSHAKE);
    let have_none = b"\0\0\0\x01\x0f".to_vec();
    for (reserved, expected) in [
        (modern(), Some([&extended[..], &have_none].concat())),
        (Reserved::EXTENSIONS, Some(extended)),
        (Reserved::FAST, Some(have_none)),
        (Reserved::DHT, None),
    ] {
        let mut connection = Connection::dial(secs(5), local(), remote(), INFO_HASH, Torrent::default());
        assert!(connection.poll_output().is_some());
        connection.handle_input(secs(6), &handshake(reserved).encode()).expect("a handshake");
        assert_eq!(events(&mut connection), [Event::Handshake(handshake(reserved))]);
        assert_eq!(connection.poll_output(), expected, "{reserved:?}");
    }
}

#[test]
fn an_accepted_peer_gets_the_same_when_the_torrent_is_set() {
    let mut connection = Connection::accept(secs(5), local(), remote());
    assert_eq!(connection.poll_output(), None);
    let bytes = handshake(modern()).encode();
    connection.handle_input(secs(5), &bytes[..67]).expect("a part");
    assert_eq!((connection.poll_event(), connection.poll_output()), (None, None));
    let early = [&bytes[67..], b"\0\0\0\x01\x0e"].concat();
    connection.handle_input(secs(6), &early).expect("the rest");
    assert_eq!(events(&mut connection), [Event::Handshake(handshake(modern()))]);
    assert_eq!(connection.poll_output(), None);

    connection.set_torrent(secs(6), torrent(9)).expect("what came early is right");
    let progress = Progress { had: 9, of: Some(9), is_complete: true };
    assert_eq!(events(&mut connection), [Event::Progress(progress)]);
    let ours = Handshake { reserved: modern(), info_hash: INFO_HASH, peer_id: LOCAL_ID };
    let expected = [&ours.encode()[..], &with_length(EXTENDED_HANDSHAKE), b"\0\0\0\x01\x0f"].concat();
    assert_eq!(connection.poll_output(), Some(expected));
}

#[test]
fn what_came_early_may_be_wrong() {
    let mut connection = Connection::accept(secs(0), local(), remote());
    let input = [&handshake(modern()).encode()[..], b"\0\0\0\x05\x04\0\0\0\x09"].concat();
    connection.handle_input(secs(0), &input).expect("a handshake");
    let error = ConnectionError::Pieces(PiecesError::OutOfRange { piece: 9, piece_count: Some(9) });
    assert_eq!(connection.set_torrent(secs(0), torrent(9)), Err(error));

    let mut connection = Connection::accept(secs(0), local(), remote());
    let input = [&handshake(modern()).encode()[..], &[0; 16 * 1024]].concat();
    connection.handle_input(secs(0), &input).expect("a handshake");
    assert_eq!(connection.handle_input(secs(0), b"\0"), Err(ConnectionError::TooEarly));
}

#[test]
fn a_private_torrent_has_no_peer_exchange_and_a_port_is_told_if_it_is_given() {
    let private = Torrent::default().with_privacy(true);
    let local = local().with_port(6968);
    let mut connection = Connection::dial(secs(0), local, "fd00::2".parse().expect("an IP"), INFO_HASH, private);
    assert!(connection.poll_output().is_some());
    connection.handle_input(secs(0), &handshake(Reserved::EXTENSIONS).encode()).expect("a handshake");
    let expected = b"\x14\0d1:md11:lt_donthavei3e11:ut_metadatai2ee1:pi6968e4:reqqi128e1:v11:Example 0.1\
        6:yourip16:\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02e";
    assert_eq!(connection.poll_output(), Some(with_length(expected)));
}

#[test]
fn wrong_handshakes_end_the_connection() {
    let other = Handshake { info_hash: [9; 20], ..handshake(modern()) };
    let itself = Handshake { peer_id: LOCAL_ID, ..handshake(modern()) };
    for (input, error) in [
        (&b"\x13BitTorrent protocoL"[..], ConnectionError::Handshake(HandshakeError)),
        (b"\x02", ConnectionError::Handshake(HandshakeError)),
        (&other.encode(), ConnectionError::OtherTorrent { info_hash: [9; 20] }),
        (&itself.encode(), ConnectionError::OwnPeerId),
    ] {
        let mut connection = Connection::dial(secs(0), local(), remote(), INFO_HASH, Torrent::default());
        assert_eq!(connection.handle_input(secs(0), input), Err(error));
        assert_eq!(connection.poll_event(), None);
    }
    let mut connection = Connection::accept(secs(0), local(), remote());
    assert_eq!(connection.handle_input(secs(0), &itself.encode()), Err(ConnectionError::OwnPeerId));
}

#[test]
fn another_peer_id_than_expected_is_no_error() {
    let mut connection = Connection::dial(secs(0), local(), remote(), INFO_HASH, Torrent::default());
    let other = Handshake { peer_id: [b'z'; 20], ..handshake(modern()) };
    connection.handle_input(secs(0), &other.encode()).expect("a handshake");
    assert_eq!(events(&mut connection), [Event::Handshake(other)]);
}

#[test]
fn after_an_error_nothing_is_done() {
    let mut connection = open(modern(), torrent(8));
    let input = stream(&[Message::HaveAll, Message::Request(Block { piece: 0, begin: 0, length: 1 })]);
    let wrong = [&input[..], b"\0\0\0\x02\x0e\0"].concat();
    let error = ConnectionError::Decode(DecodeError::Message(crate::MessageError { id: 14, length: 2 }));
    assert_eq!(connection.handle_input(secs(0), &wrong), Err(error));

    assert_eq!(connection.handle_input(secs(1), &input), Err(error));
    assert_eq!(connection.handle_timeout(secs(1000)), Err(error));
    assert_eq!(connection.set_torrent(secs(1000), torrent(8)), Err(error));
    assert_eq!(connection.request_metadata(secs(1000)), Err(RequestMetadataError::NotOffered));
    connection.introduce(secs(1000), &[PexPeer { address: ([10, 0, 0, 3], 1).into(), flags: PexFlags::SEED }], &[]);
    assert_eq!((connection.poll_output(), connection.poll_timeout()), (None, None));
    // What came before is still told.
    let progress = Progress { had: 8, of: Some(8), is_complete: true };
    assert_eq!(events(&mut connection), [Event::Progress(progress)]);
}
