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
fn requests_are_told_to_those_who_have_everything() {
    let mut connection = open(modern(), torrent(8).with_content(Content::Everything));
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
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut connection = open(modern(), torrent(8));
    let input = stream(&[Message::Request(block(1))]);
    // 240 rejects of 17 bytes are 4,080 bytes, one more 4,097.
    for _ in 0..241 {
        connection.handle_input(secs(0), &input).expect("there is room");
    }
    assert_eq!(connection.handle_input(secs(0), &input), Err(ConnectionError::NotReading));

    let mut connection = open(modern(), torrent(8));
    connection.handle_input(secs(0), &input.repeat(241)).expect("there is room");
    assert_eq!(connection.handle_timeout(secs(0)), Err(ConnectionError::NotReading));

    // One that reads may ask as often as it likes.
    let mut connection = open(modern(), torrent(8));
    for _ in 0..10 {
        connection.handle_input(secs(0), &input.repeat(241)).expect("messages");
        assert_eq!(sent(&mut connection).len(), 241);
    }

    // This side's bitfield does not count.
    let everything = torrent(800_000).with_content(Content::Everything);
    let mut connection = Connection::dial(secs(0), local(), remote(), INFO_HASH, everything);
    connection.handle_input(secs(0), &handshake(Reserved::default()).encode()).expect("a handshake");
    connection.handle_input(secs(0), b"\0\0\0\0").expect("a keep-alive");
}
