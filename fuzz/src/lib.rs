//! The bodies of the fuzz targets, each with the name of its target: functions that panic if an invariant does not hold. Where
//! the tests of a crate check the same invariant, they use the same code.

#[path = "../../crates/bencode/tests/common/invariants.rs"]
mod bencode_invariants;
// Private files of http-server: pure functions of bytes.
#[path = "../../crates/http-server/src/browser.rs"]
mod browser;
#[path = "../../crates/http-server/src/head.rs"]
mod head;
#[path = "../../crates/http-server/src/head_invariants.rs"]
mod head_invariants;
#[path = "../../crates/metainfo/tests/parse/invariants.rs"]
mod metainfo_invariants;
#[path = "../../crates/tracker-udp/tests/packets/invariants.rs"]
mod packet_invariants;
#[path = "../../crates/tracker-http/tests/queries/invariants.rs"]
mod query_invariants;
#[path = "../../crates/tracker-core/tests/model/mod.rs"]
mod tracker_model;

/// Whatever the strict decoder accepts encodes to the same bytes.
pub fn bencode_strict(input: &[u8]) {
    bencode_invariants::strict(input);
}

/// The strict decoder rejects exactly what the lenient one reports as a deviation.
pub fn bencode_lenient(input: &[u8]) {
    bencode_invariants::lenient(input);
}

/// A .torrent file that parses can be edited and has a magnet link; its paths stay in the folder and do not conflict.
pub fn metainfo_parse(input: &[u8]) {
    metainfo_invariants::parse(input);
}

/// Announce and scrape answer any query in canonical bencode.
pub fn announce_query(input: &[u8]) {
    query_invariants::announce_query(input);
}

/// A head is recognised exactly at its end, and the heads that are answered without hyper are those that hyper finds.
pub fn request_head(input: &[u8]) {
    head_invariants::request_head(input);
}

/// For any sequence of operations the tracker agrees with the model, and shards with a single tracker.
pub fn tracker_ops(input: &[u8]) {
    tracker_model::trial::tracker_ops(input);
}

/// For any datagram, a sender without a connection id gets no more bytes than it sent, and answers follow BEP 15.
pub fn udp_packet(input: &[u8]) {
    packet_invariants::udp_packet(input);
}
