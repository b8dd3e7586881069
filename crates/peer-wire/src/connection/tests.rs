use super::*;
use crate::{
    Block, ExtendedHandshake, ExtensionIds, MAX_PEX_RECEIVED, Message, MetadataMessage, Pex, PexFlags, Progress,
};

mod handshakes;
mod metadata;
mod pex;
mod progress;
mod requests;
mod timeouts;

const INFO_HASH: [u8; 20] = *b"hhhhhhhhhhhhhhhhhhhh";
const LOCAL_ID: [u8; 20] = *b"-XX0001-aaaaaaaaaaaa";
const PEER_ID: [u8; 20] = *b"-YY0001-bbbbbbbbbbbb";

fn local() -> Local {
    Local::new(LOCAL_ID, "Example 0.1")
}

fn remote() -> IpAddr {
    [10, 0, 0, 2].into()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What libtorrent, Transmission, aria2 and WebTorrent know.
fn modern() -> Reserved {
    Reserved::EXTENSIONS.with(Reserved::FAST)
}

fn handshake(reserved: Reserved) -> Handshake {
    Handshake { reserved, info_hash: INFO_HASH, peer_id: PEER_ID }
}

fn torrent(piece_count: u32) -> Torrent {
    Torrent::default().with_piece_count(piece_count)
}

/// The bytes of messages.
fn stream(messages: &[Message<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        message.encode(&mut bytes);
    }
    bytes
}

fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    stream(&[Message::Extended { id, payload }])
}

/// An extended handshake of a program that offers these extensions, and the metadata if they have an id.
fn introduction(client: Option<&str>, pex: Option<u8>, metadata: Option<u8>) -> Vec<u8> {
    let handshake = ExtendedHandshake {
        extensions: ExtensionIds { pex, metadata, dont_have: None },
        client: client.map(str::to_owned),
        metadata_size: metadata.map(|_| 20_000),
        ..Default::default()
    };
    extended(0, &handshake.encode())
}

/// A dialled connection at second 0 whose handshakes are done, and whose first events and output are polled.
fn open(reserved: Reserved, torrent: Torrent) -> Connection {
    let mut connection = Connection::dial(Duration::ZERO, local(), remote(), INFO_HASH, torrent);
    let handshake = handshake(reserved);
    connection.handle_input(Duration::ZERO, &handshake.encode()).expect("a handshake");
    assert_eq!(connection.poll_event(), Some(Event::Handshake(handshake)));
    assert!(connection.poll_output().is_some());
    connection
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// The messages that are sent, as text.
fn sent(connection: &mut Connection) -> Vec<String> {
    let bytes = connection.poll_output().unwrap_or_default();
    let (mut input, mut decoder) = (&bytes[..], Decoder::new(None));
    std::iter::from_fn(|| decoder.decode(&mut input).expect("messages").map(|message| format!("{message:?}"))).collect()
}

/// An extended message, as [`sent`] tells of it.
fn extended_text(id: u8, payload: &[u8]) -> String {
    format!("{:?}", Message::Extended { id, payload })
}
