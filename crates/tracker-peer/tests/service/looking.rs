//! Looking at peers on this machine.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use peer_wire::{Message, MetadataMessage};
use tracker_core::{AnnounceEvent, AnnounceRequest, InfoHash, PeerId};
use tracker_peer::{Reason, Sighting, TorrentFacts};

use crate::support::{
    Client, LAN, LEECHER, PATIENCE, TORRENT, Tracker, announce, has_pieces, request, send, wait_for_end,
    wait_for_extended, wait_until,
};

/// The id under which the tracker's own peer takes `ut_metadata`, and that of the clients here.
const OUR_METADATA_ID: u8 = 2;
const THEIR_METADATA_ID: u8 = 3;

#[test]
fn progress_is_seen_as_it_happens() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    let begun = Instant::now();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    // Three times the half second after which a newcomer is dialled at the latest.
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());

    send(&mut stream, Message::Bitfield(&[0b1110_0000, 0]));
    let sighting = tracker.wait_for(TORRENT, client.port(), has_pieces(3));
    assert_eq!((sighting.progress.unwrap().of, sighting.age), (Some(10), Some(Duration::ZERO)));
    assert_eq!((sighting.reason, sighting.peer_id), (Some(Reason::SameMachine), Some(LEECHER)));
    assert_eq!(tracker.service.sightings().open_connections(), 1);
    send(&mut stream, Message::Have { piece: 9 });
    assert!(!tracker.wait_for(TORRENT, client.port(), has_pieces(4)).progress.unwrap().is_complete);
    send(&mut stream, Message::HaveAll);
    assert!(tracker.wait_for(TORRENT, client.port(), has_pieces(10)).progress.unwrap().is_complete);

    drop(stream);
    let sighting = tracker.wait_for(TORRENT, client.port(), |sighting| !sighting.is_connected);
    assert_eq!(sighting.progress.unwrap().pieces, 10, "how far it was is remembered");
}

#[test]
fn a_peer_that_leaves_is_forgotten_and_its_connection_closed() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    tracker.wait_for(TORRENT, client.port(), |sighting| sighting.is_connected);
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Stopped);
    stream.read_to_end(&mut Vec::new()).unwrap();
    let address = client.listener.local_addr().unwrap();
    wait_until("it is forgotten", || tracker.sighting(TORRENT, address).is_none());
}

#[test]
fn all_connections_are_closed_when_it_ends() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(TORRENT);
    let Tracker { shards, service, .. } = tracker;
    drop(service);
    wait_for_end(&mut stream);
    // Nobody collects newcomers any more.
    announce(&shards, &request(TORRENT, LEECHER, Client::leecher().port()).with_event(AnnounceEvent::Started));
}

#[test]
fn a_client_that_closes_every_connection_does_not_have_the_torrent() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    let address = client.listener.local_addr().unwrap();
    tracker.announce(TORRENT, address.port(), AnnounceEvent::Started);
    thread::scope(|scope| {
        scope.spawn(|| {
            client.listener.set_nonblocking(true).unwrap();
            let begun = Instant::now();
            // Plain and encrypted, each tried twice at least.
            while tracker.sighting(TORRENT, address).is_none_or(|it| it.reason != Some(Reason::NotThisTorrent)) {
                assert!(begun.elapsed() < PATIENCE, "{:?}", tracker.sighting(TORRENT, address));
                match client.listener.accept() {
                    Ok((stream, _)) => drop(stream),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
    });
}

#[test]
fn the_info_dictionary_of_a_bare_info_hash_is_fetched_and_checked_and_given_to_others() {
    use sha1::{Digest, Sha1};
    let info = b"d6:lengthi5e4:name5:hello12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info_hash = InfoHash::new(Sha1::digest(info).into());
    let (tracker, client) = (Tracker::start(), Client::leecher());
    tracker.announce(info_hash, client.port(), AnnounceEvent::Started);
    let mut stream = client.shake_hands(info_hash);
    offer_metadata(&mut stream, info.len());
    let requested = MetadataMessage::Request { piece: 0 }.encode();
    wait_for_extended(&mut stream, THEIR_METADATA_ID, &requested);
    let data = MetadataMessage::Data { piece: 0, total_size: info.len() as u32, data: info }.encode();
    send(&mut stream, Message::Extended { id: OUR_METADATA_ID, payload: &data });
    wait_until("it is there", || !tracker.torrents.learnt.lock().unwrap().is_empty());
    assert_eq!(*tracker.torrents.learnt.lock().unwrap(), [(info_hash, info.to_vec().into())]);

    let other = Client::new(PeerId::new(*b"-XX0001-other0000000"));
    announce(&tracker.shards, &request(info_hash, other.peer_id, other.port()).with_event(AnnounceEvent::Started));
    let mut stream = other.shake_hands(info_hash);
    send(&mut stream, Message::Extended { id: 0, payload: b"d1:md11:ut_metadatai3eee" });
    send(&mut stream, Message::Extended { id: OUR_METADATA_ID, payload: &requested });
    wait_for_extended(&mut stream, THEIR_METADATA_ID, &data);
}

/// The first peer offers it and takes that back before it is asked.
#[test]
fn the_info_dictionary_is_requested_of_another_when_one_does_not_offer_it_any_more() {
    const BARE: InfoHash = InfoHash::new([8; 20]);
    let (tracker, one) = (Tracker::start(), Client::leecher());
    tracker.announce(BARE, one.port(), AnnounceEvent::Started);
    let mut stream = one.shake_hands(BARE);
    let (offer, withdrawal) = (offer(80), b"d1:md11:ut_metadatai0eee");
    let mut bytes = Vec::new();
    for payload in [offer.as_bytes(), withdrawal] {
        Message::Extended { id: 0, payload }.encode(&mut bytes);
    }
    stream.write_all(&bytes).unwrap();

    let other = Client::new(PeerId::new(*b"-XX0001-other0000000"));
    announce(&tracker.shards, &request(BARE, other.peer_id, other.port()).with_event(AnnounceEvent::Started));
    let mut stream = other.shake_hands(BARE);
    offer_metadata(&mut stream, 80);
    wait_for_extended(&mut stream, THEIR_METADATA_ID, &MetadataMessage::Request { piece: 0 }.encode());
}

#[test]
fn a_torrent_that_becomes_known_while_a_peer_is_dialled_is_no_reason_to_give_up() {
    let [bare, other] = [[8; 20], [9; 20]].map(InfoHash::new);
    let (tracker, client) = (Tracker::start(), Client::leecher());
    tracker.announce(bare, client.port(), AnnounceEvent::Started);
    let mut stream = client.accept(bare);
    tracker.torrents.insert(bare, TorrentFacts { piece_count: 10, is_private: false });
    wait_until("it is looked up", || tracker.torrents.was_asked(bare, true));
    // What followed from it was done when the next announce is looked at.
    tracker.announce(other, 1000, AnnounceEvent::Started);
    wait_until("another is looked up", || tracker.torrents.was_asked(other, false));

    stream.write_all(&client.handshake(bare).encode()).unwrap();
    send(&mut stream, Message::Bitfield(&[0b1110_0000, 0]));
    // The connection may be told a second later, if the swarm heard of it by an announce.
    let is_told = |sighting: &Sighting| sighting.progress.is_some_and(|progress| progress.of == Some(10));
    assert_eq!(tracker.wait_for(bare, client.port(), is_told).progress.unwrap().pieces, 3);
}

/// It announces by the address that others know, and is looked at over loopback, which is in nobody's way.
#[test]
fn a_seeder_on_this_machine_is_seen_over_loopback() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    let seeder = AnnounceRequest::new(TORRENT, LEECHER, LAN, LAN, client.port()).with_left(0);
    announce(&tracker.shards, &seeder.with_event(AnnounceEvent::Started));
    let mut stream = client.shake_hands(TORRENT);
    assert!(stream.peer_addr().unwrap().ip().is_loopback());
    send(&mut stream, Message::HaveAll);
    let address = SocketAddr::new(LAN, client.port());
    let sighting = tracker.wait_for_peer(TORRENT, address, |sighting| sighting.progress.is_some());
    assert!(sighting.progress.unwrap().is_complete && sighting.is_connected);
    assert_eq!(sighting.reason, Some(Reason::SameMachine));
}

fn offer(size: usize) -> String {
    format!("d1:md11:ut_metadatai{THEIR_METADATA_ID}ee13:metadata_sizei{size}ee")
}

fn offer_metadata(stream: &mut std::net::TcpStream, size: usize) {
    send(stream, Message::Extended { id: 0, payload: offer(size).as_bytes() });
}
