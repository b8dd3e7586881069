use super::*;

fn block(piece: u32) -> Block {
    Block { piece, begin: 16_384, length: 16_384 }
}

#[test]
fn requests_are_refused_by_those_who_have_nothing() {
    let input = stream(&[Message::Interested, Message::Request(block(1)), Message::Cancel(block(1))]);
    let mut connection = open(modern(), torrent(8));
    connection.handle_input(secs(0), &input).expect("messages");
    assert_eq!(events(&mut connection), [Event::Interested(true)]);
    assert_eq!(connection.poll_output().as_deref(), Some(&b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x40\0"[..]));

    let mut connection = open(Reserved::EXTENSIONS, torrent(8));
    connection.handle_input(secs(0), &input).expect("messages");
    assert_eq!(connection.poll_output(), None);
}

#[test]
fn requests_are_told_to_those_who_take_them() {
    let mut connection = open(modern(), torrent(8));
    connection.take_requests(secs(0), true);
    let input = stream(&[
        Message::Request(block(1)),
        Message::Request(block(2)),
        Message::Cancel(block(1)),
        Message::Interested,
        Message::NotInterested,
    ]);
    connection.handle_input(secs(0), &input).expect("messages");
    assert_eq!(sent(&mut connection), [format!("{:?}", Message::Reject(block(1)))]);
    assert_eq!(events(&mut connection), [Event::Interested(false), Event::Request(block(2))]);

    connection.handle_input(secs(0), &stream(&[Message::Cancel(block(2))])).expect("a message");
    assert_eq!(connection.poll_output(), None);
    assert_eq!(events(&mut connection), [Event::Cancel(block(2))]);

    let many: Vec<_> = (0..130).map(|piece| Message::Request(block(piece))).collect();
    connection.handle_input(secs(0), &stream(&many)).expect("messages");
    let rejected = [128, 129].map(|piece| format!("{:?}", Message::Reject(block(piece))));
    assert_eq!(sent(&mut connection), rejected);
    assert_eq!(events(&mut connection), (0..128).map(|piece| Event::Request(block(piece))).collect::<Vec<_>>());

    // What was not told of is refused when no more are taken.
    let input = stream(&[Message::Request(block(1)), Message::Cancel(block(9)), Message::Request(block(2))]);
    connection.handle_input(secs(0), &input).expect("messages");
    connection.take_requests(secs(0), false);
    assert_eq!(sent(&mut connection), [1, 2].map(|piece| format!("{:?}", Message::Reject(block(piece)))));
    assert_eq!(events(&mut connection), []);
    connection.handle_input(secs(0), &stream(&[Message::Request(block(3))])).expect("a message");
    assert_eq!(sent(&mut connection), [format!("{:?}", Message::Reject(block(3)))]);
}

#[test]
fn those_who_give_tell_what_they_have_and_whether_they_answer() {
    for (reserved, rejects) in [(modern(), true), (Reserved::EXTENSIONS, false)] {
        let mut connection = open(reserved, torrent(8));
        assert_eq!(connection.is_fast(), rejects);
        connection.have(secs(0), 7);
        connection.unchoke(secs(0));
        connection.choke(secs(0));
        connection.reject(secs(0), block(1));
        let expected = b"\0\0\0\x05\x04\0\0\0\x07\0\0\0\x01\x01\0\0\0\x01\0";
        let reject = b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x40\0";
        let expected = [&expected[..], if rejects { reject } else { b"" }].concat();
        assert_eq!(connection.poll_output(), Some(expected));
    }
    // Before the handshake there is nobody to tell.
    let mut connection = Connection::dial(secs(0), local(), remote(), INFO_HASH, torrent(8));
    assert_eq!(connection.poll_output().map(|bytes| bytes.len()), Some(Handshake::BYTES));
    connection.have(secs(0), 7);
    connection.reject(secs(0), block(1));
    assert_eq!(connection.poll_output(), None);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut connection = open(modern(), torrent(8));
    let input = stream(&[Message::Request(block(1))]);
    // 963 rejects of 17 bytes are 16,371 bytes, one more 16,388.
    for _ in 0..964 {
        connection.handle_input(secs(0), &input).expect("there is room");
    }
    assert_eq!(connection.handle_input(secs(0), &input), Err(ConnectionError::NotReading));

    let mut connection = open(modern(), torrent(8));
    connection.handle_input(secs(0), &input.repeat(964)).expect("there is room");
    assert_eq!(connection.handle_timeout(secs(0)), Err(ConnectionError::NotReading));

    // One that reads may ask as often as it likes.
    let mut connection = open(modern(), torrent(8));
    for _ in 0..10 {
        connection.handle_input(secs(0), &input.repeat(964)).expect("messages");
        assert_eq!(sent(&mut connection).len(), 964);
    }
}
