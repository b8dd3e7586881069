use super::*;

fn request(piece: u32) -> String {
    extended_text(3, &MetadataMessage::Request { piece }.encode())
}

fn data(piece: u32, data: &[u8]) -> Vec<u8> {
    extended(2, &MetadataMessage::Data { piece, total_size: 20_000, data }.encode())
}

/// A connection to a peer that offers 20,000 bytes.
fn offered() -> Connection {
    let mut connection = open(modern(), Torrent::default());
    let handshake = introduction(Some("aria2/1.36.0"), None, Some(3));
    connection.handle_input(secs(0), &handshake).expect("an extended handshake");
    assert_eq!(events(&mut connection), [Event::Client("aria2/1.36.0".to_owned()), Event::MetadataOffered]);
    connection
}

#[test]
fn the_info_dictionary_is_fetched() {
    let mut connection = offered();
    assert_eq!(connection.request_metadata(secs(1)), Ok(()));
    assert_eq!(connection.request_metadata(secs(1)), Err(RequestMetadataError::InProgress));
    assert_eq!(sent(&mut connection), [request(0), request(1)]);
    assert_eq!(connection.poll_timeout(), Some(secs(31)));
    let whole: Vec<_> = (0..20_000).map(|n| (n / 7) as u8).collect();
    connection.handle_input(secs(2), &data(0, &whole[..16_384])).expect("the first piece");
    assert_eq!((connection.poll_event(), connection.poll_timeout()), (None, Some(secs(32))));
    connection.handle_input(secs(3), &data(1, &whole[16_384..])).expect("the last piece");
    assert_eq!(events(&mut connection), [Event::Metadata(whole)]);
    assert_eq!((connection.poll_output(), connection.poll_timeout()), (None, Some(secs(91))));
    // More is ignored, and it may be fetched again.
    connection.handle_input(secs(4), &data(0, b"x")).expect("a piece");
    assert_eq!(events(&mut connection), []);
    assert_eq!(connection.request_metadata(secs(4)), Ok(()));
}

#[test]
fn it_may_not_come() {
    let reject = |piece| extended(2, &MetadataMessage::Reject { piece }.encode());
    for answer in [reject(0), reject(1), data(1, &[0; 16_384]), data(0, b"short"), data(7, b"")] {
        let mut connection = offered();
        connection.request_metadata(secs(1)).expect("it is offered");
        connection.handle_input(secs(1), &answer).expect("a message");
        assert_eq!(events(&mut connection), [Event::MetadataFailed]);
    }
    let mut connection = offered();
    connection.request_metadata(secs(1)).expect("it is offered");
    // Answers to what this did not request, and messages without a meaning.
    for other in [reject(9999), reject(2), extended(2, b"d8:msg_typei7e5:piecei0ee"), extended(2, b"nonsense")] {
        connection.handle_input(secs(2), &other).expect("a message");
    }
    connection.handle_timeout(ms(30_999)).expect("nothing is due");
    assert_eq!(events(&mut connection), []);
    connection.handle_timeout(secs(31)).expect("it is due");
    assert_eq!(events(&mut connection), [Event::MetadataFailed]);
}

#[test]
fn it_is_not_always_offered() {
    for (metadata, size) in
        [(None, Some(1)), (Some(0), Some(1)), (Some(3), None), (Some(3), Some(0)), (Some(3), Some(8_388_609))]
    {
        let mut connection = open(modern(), Torrent::default());
        let handshake = ExtendedHandshake {
            extensions: ExtensionIds { metadata, ..Default::default() },
            metadata_size: size,
            ..Default::default()
        };
        connection.handle_input(secs(0), &extended(0, &handshake.encode())).expect("an extended handshake");
        assert_eq!(events(&mut connection), []);
        assert_eq!(connection.request_metadata(secs(0)), Err(RequestMetadataError::NotOffered));
        assert_eq!(connection.poll_output(), None);
    }
}

#[test]
fn this_side_has_none_to_give() {
    let asks = extended(2, &MetadataMessage::Request { piece: 0 }.encode());
    let mut connection = offered();
    connection.handle_input(secs(0), &asks).expect("a request");
    assert_eq!(sent(&mut connection), [extended_text(3, b"d8:msg_typei2e5:piecei0ee")]);
    // There is no id by which to answer.
    let mut connection = open(modern(), Torrent::default());
    connection.handle_input(secs(0), &asks).expect("a request");
    assert_eq!(connection.poll_output(), None);
}
