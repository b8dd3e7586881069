//! Peers that do what none should: their connection ends, or they are ignored; and others are seen as if nothing had been.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use peer_wire::{Handshake, Message, MetadataMessage, Pex, PexFlags, PexPeer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tracker_core::AnnounceEvent;

use crate::support::{Client, TORRENT, Tracker, encoded, is_end, send, wait_for_end, wait_until};

/// The ids under which the tracker's own peer takes `ut_pex` and `ut_metadata`.
const OUR_PEX_ID: u8 = 1;
const OUR_METADATA_ID: u8 = 2;

/// What a peer is known to be connected to, at most.
const MAX_NEIGHBOURS: usize = 200;

/// A peer that is connected, and sends these bytes after its handshake.
fn connected(tracker: &Tracker, bytes: &[u8]) -> TcpStream {
    let client = Client::leecher();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn what_is_no_message_ends_the_connection() {
    let mut garbage = [0; 4096];
    StdRng::seed_from_u64(1).fill_bytes(&mut garbage);
    // Its length is more than any message has.
    garbage[0] = 0xff;
    let cases: [(&str, &[u8]); 5] = [
        ("garbage", &garbage),
        ("the longest length", &[0xff; 4]),
        ("a length of 128 MiB, and some of it", &[8, 0, 0, 0, 20, 0, 0, 0, 0]),
        ("a bitfield that is too long", &encoded(Message::Bitfield(&[0; 3]))),
        ("a piece beyond the end", &encoded(Message::Have { piece: 10 })),
    ];
    for (what, bytes) in cases {
        let tracker = Tracker::start();
        println!("{what}");
        wait_for_end(&mut connected(&tracker, bytes));
        tracker.sees_an_honest_peer();
    }
}

#[test]
fn pieces_beyond_the_end_of_a_bitfield_do_not_count() {
    let tracker = Tracker::start();
    let client = Client::leecher();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    send(&mut client.shake_hands(TORRENT), Message::Bitfield(&[0b1100_0000, 0xff]));
    let sighting = tracker.wait_for(TORRENT, client.port(), |sighting| sighting.progress.is_some());
    let progress = sighting.progress.unwrap();
    assert_eq!((progress.pieces, progress.of, progress.is_complete), (4, Some(10), false));
}

#[test]
fn what_is_no_handshake_ends_the_connection() {
    let tracker = Tracker::start();
    let client = Client::leecher();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.accept(TORRENT);
    stream.write_all(&[b'G'; Handshake::BYTES]).unwrap();
    wait_for_end(&mut stream);
    drop(client);
    tracker.sees_an_honest_peer();
}

/// A handshake that would take 30 s.
#[test]
fn a_slow_handshake_ends_the_connection() {
    const PAUSE: Duration = Duration::from_millis(440);
    let tracker = Tracker::start();
    let client = Client::leecher();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.accept(TORRENT);
    let handshake = client.handshake(TORRENT).encode();
    let failed = handshake.iter().find_map(|byte| {
        thread::sleep(PAUSE);
        stream.write_all(&[*byte]).err()
    });
    assert!(is_end(failed.expect("it is closed before").kind()));
    drop(client);
    tracker.sees_an_honest_peer();
}

/// More of them than a peer is known to be connected to, and with other addresses each time.
#[test]
fn a_flood_of_peer_exchange_is_bounded() {
    const MESSAGES: u16 = 20_000;
    let tracker = Tracker::start();
    let mut stream = connected(&tracker, &[]);
    for n in 0..MESSAGES {
        let address = |host: u8| SocketAddr::from(([10, 1, n.to_be_bytes()[0], host], n));
        let added = (0..50).map(|host| PexPeer { address: address(host), flags: PexFlags::SEED }).collect();
        let payload = Pex { added, dropped: Vec::new() }.encode();
        send(&mut stream, Message::Extended { id: OUR_PEX_ID, payload: &payload });
        if n == MESSAGES / 2 {
            tracker.sees_an_honest_peer();
        }
    }
    let edges = || tracker.service.sightings().edges(&TORRENT).len();
    wait_until("some are known", || edges() > 0);
    assert!(edges() <= MAX_NEIGHBOURS, "{}", edges());
    tracker.sees_an_honest_peer();
}

/// It asks, and never reads an answer.
#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let tracker = Tracker::start();
    let mut stream = connected(&tracker, &[]);
    let offer = b"d1:md11:ut_metadatai3ee13:metadata_sizei80ee";
    send(&mut stream, Message::Extended { id: 0, payload: offer });
    let request = MetadataMessage::Request { piece: 0 }.encode();
    let requests = encoded(Message::Extended { id: OUR_METADATA_ID, payload: &request }).repeat(1000);
    let error = loop {
        if let Err(error) = stream.write_all(&requests) {
            break error;
        }
    };
    assert!(is_end(error.kind()), "{error}");
    tracker.sees_an_honest_peer();
}
