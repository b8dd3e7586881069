//! Invariants of every stream of bytes, for the tests and for the fuzz target.

use std::time::Duration;

use peer_wire::{
    Connection, ConnectionError, Decoder, Event, ExtendedHandshake, Handshake, Local, MAX_PEX_SENT, Message,
    MetadataMessage, Pex, Reserved, Torrent,
};

/// Whatever follows a handshake means the same in one segment and in several, and what can be read would be written so that it is
/// read the same. The first byte says how the bytes are cut, the second how many pieces the torrent has.
pub(crate) fn peer_decoder(input: &[u8]) {
    let [cut, pieces, stream @ ..] = input else { return };
    let cut = 1 + usize::from(*cut);
    let piece_count = (*pieces > 0).then(|| u32::from(*pieces));

    let whole = decode(piece_count, stream, stream.len().max(1));
    assert_eq!(decode(piece_count, stream, cut), whole);

    let torrent = piece_count.map_or_else(Torrent::default, |count| Torrent::default().with_piece_count(count));
    let whole = converse(torrent.clone(), stream, stream.len().max(1));
    assert_eq!(converse(torrent, stream, cut), whole);
}

/// The messages, as text.
fn decode(piece_count: Option<u32>, stream: &[u8], cut: usize) -> Vec<String> {
    let mut decoder = Decoder::new(piece_count);
    let mut found = Vec::new();
    for mut segment in stream.chunks(cut) {
        loop {
            match decoder.decode(&mut segment) {
                Ok(Some(message)) => {
                    check_message(&message);
                    found.push(format!("{message:?}"));
                }
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
        assert!(segment.is_empty());
    }
    found
}

/// What can be read is read the same when it is written.
fn check_message(message: &Message<'_>) {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    assert_eq!(bytes[..4], (bytes.len() as u32 - 4).to_be_bytes());
    assert_eq!(Message::decode(&bytes[4..]), Ok(*message));

    let Message::Extended { payload, .. } = message else { return };
    if let Ok(handshake) = ExtendedHandshake::decode(payload) {
        assert_eq!(ExtendedHandshake::decode(&handshake.encode()), Ok(handshake));
    }
    if let Ok(message) = MetadataMessage::decode(payload) {
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(mut pex) = Pex::decode(payload) {
        pex.added.truncate(MAX_PEX_SENT);
        pex.dropped.truncate(MAX_PEX_SENT);
        assert_eq!(Pex::decode(&pex.encode()), Ok(pex));
    }
}

/// What a connection comes to: its events, what it sends, and how it ends.
fn converse(torrent: Torrent, stream: &[u8], cut: usize) -> (Vec<Event>, Vec<u8>, Result<(), ConnectionError>) {
    let info_hash = [7; 20];
    let local = Local::new([1; 20], "Example 0.1");
    let mut connection = Connection::dial(Duration::ZERO, local, [10, 0, 0, 2].into(), info_hash, torrent);
    let reserved = Reserved::EXTENSIONS.with(Reserved::FAST);
    let handshake = Handshake { reserved, info_hash, peer_id: [2; 20] };
    connection.handle_input(Duration::ZERO, &handshake.encode()).expect("a handshake");

    let mut sent = Vec::new();
    let mut result = Ok(());
    for segment in stream.chunks(cut) {
        result = connection.handle_input(Duration::ZERO, segment);
        if result.is_err() {
            // What was to be sent is dropped.
            sent.clear();
            break;
        }
        sent.extend(connection.poll_output().unwrap_or_default());
    }
    (std::iter::from_fn(|| connection.poll_event()).collect(), sent, result)
}
