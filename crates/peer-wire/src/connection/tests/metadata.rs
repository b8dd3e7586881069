use bytes::Bytes;

use super::*;
use crate::MAX_METADATA_BYTES;

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
fn what_this_side_does_not_know_it_refuses() {
    let asks = extended(2, &MetadataMessage::Request { piece: 0 }.encode());
    let mut connection = offered();
    connection.handle_input(secs(0), &asks).expect("a request");
    assert_eq!(sent(&mut connection), [extended_text(3, b"d8:msg_typei2e5:piecei0ee")]);
    // There is no id by which to answer.
    let mut connection = open(modern(), Torrent::default());
    connection.handle_input(secs(0), &asks).expect("a request");
    assert_eq!(connection.poll_output(), None);
}

/// A connection whose side knows the info dictionary, to a peer that takes extended messages of metadata.
fn giving(info: &[u8]) -> Connection {
    let mut connection = open(modern(), torrent(1).with_info(Bytes::copy_from_slice(info)));
    let handshake = ExtendedHandshake {
        extensions: ExtensionIds { metadata: Some(3), ..Default::default() },
        ..Default::default()
    };
    connection.handle_input(secs(0), &extended(0, &handshake.encode())).expect("an extended handshake");
    connection
}

/// The sizes that this side offers in the messages that wait to be sent.
fn offered_sizes(connection: &mut Connection) -> Vec<Option<u32>> {
    let bytes = connection.poll_output().unwrap_or_default();
    let bytes = bytes.strip_prefix(&b"\x13BitTorrent protocol"[..]).map_or(&bytes[..], |rest| &rest[48..]);
    let (mut input, mut decoder) = (bytes, Decoder::new(None));
    let mut sizes = Vec::new();
    while let Some(message) = decoder.decode(&mut input).expect("messages") {
        if let Message::Extended { id: 0, payload } = message {
            sizes.push(ExtendedHandshake::decode(payload).expect("a handshake").metadata_size);
        }
    }
    sizes
}

#[test]
fn the_info_dictionary_is_given_piece_by_piece() {
    let info: Vec<_> = (0..40_000).map(|n| (n / 7) as u8).collect();
    let mut connection = giving(&info);
    let asks = [1, 2, 0, 3, 9999].map(|piece| extended(2, &MetadataMessage::Request { piece }.encode()));
    connection.handle_input(secs(1), &asks.concat()).expect("requests");
    // What is refused is refused at once, and a piece leaves when all before it has left.
    let refused = [3, 9999].map(|piece| extended_text(3, &MetadataMessage::Reject { piece }.encode()));
    assert_eq!(sent(&mut connection), refused);
    for piece in [1, 2, 0] {
        let data = info.chunks(16_384).nth(piece as usize).expect("a piece");
        let message = MetadataMessage::Data { piece, total_size: 40_000, data };
        assert_eq!(sent(&mut connection), [extended_text(3, &message.encode())]);
    }
    assert_eq!(connection.poll_output(), None);
}

#[test]
fn its_size_is_told_once_it_is_known() {
    let known = || torrent(1).with_info(Bytes::from_static(b"d4:name1:xe"));
    let mut connection = Connection::dial(Duration::ZERO, local(), remote(), INFO_HASH, known());
    connection.handle_input(secs(0), &handshake(modern()).encode()).expect("a handshake");
    assert_eq!(offered_sizes(&mut connection), [Some(11)]);
    connection.set_torrent(secs(1), known()).expect("it is open");
    assert_eq!(offered_sizes(&mut connection), [], "it was told");

    let mut connection = Connection::dial(Duration::ZERO, local(), remote(), INFO_HASH, Torrent::default());
    connection.handle_input(secs(0), &handshake(modern()).encode()).expect("a handshake");
    assert_eq!(offered_sizes(&mut connection), [None]);
    connection.set_torrent(secs(1), torrent(1)).expect("it is open");
    assert_eq!(offered_sizes(&mut connection), []);
    connection.set_torrent(secs(1), known()).expect("it is open");
    assert_eq!(offered_sizes(&mut connection), [Some(11)]);

    // A peer without extensions is told nothing.
    let mut connection = open(Reserved::FAST, torrent(1));
    connection.set_torrent(secs(1), known()).expect("it is open");
    assert_eq!(connection.poll_output(), None);
}

#[test]
fn an_info_dictionary_that_nobody_fetches_is_not_offered() {
    let asks = extended(2, &MetadataMessage::Request { piece: 0 }.encode());
    for size in [0, MAX_METADATA_BYTES as usize + 1] {
        let mut connection = giving(&vec![0; size]);
        connection.handle_input(secs(1), &asks).expect("a request");
        assert_eq!(sent(&mut connection), [extended_text(3, b"d8:msg_typei2e5:piecei0ee")]);
    }
}

#[test]
fn requests_without_end_are_refused() {
    let mut connection = giving(b"d4:name1:xe");
    let asks = extended(2, &MetadataMessage::Request { piece: 0 }.encode());
    connection.handle_input(secs(1), &asks.repeat(512)).expect("requests");
    assert!(connection.allocated() < 8 * 1024, "{}", connection.allocated());
    connection.handle_input(secs(1), &asks).expect("one more");
    assert_eq!(sent(&mut connection), [extended_text(3, b"d8:msg_typei2e5:piecei0ee")]);
    let data = MetadataMessage::Data { piece: 0, total_size: 11, data: b"d4:name1:xe" };
    for _ in 0..512 {
        assert_eq!(sent(&mut connection), [extended_text(3, &data.encode())]);
    }
    assert_eq!(connection.poll_output(), None);
}
