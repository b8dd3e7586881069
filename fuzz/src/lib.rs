//! The bodies of the fuzz targets, by the names of the targets: functions that panic when something does not hold. Where the
//! tests of a crate ask the same question it is asked by the same code.

#[path = "../../crates/bencode/tests/common/invariants.rs"]
mod bencode_invariants;
// Private to http-server, and nothing but functions of bytes.
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

/// What the strict decoder accepts, it would write itself.
pub fn bencode_strict(input: &[u8]) {
    bencode_invariants::strict(input);
}

/// What the lenient decoder flags, the strict one refuses, and nothing else.
pub fn bencode_lenient(input: &[u8]) {
    bencode_invariants::lenient(input);
}

/// What can be read can be edited and linked to, and its paths stay inside and out of each other's way.
pub fn metainfo_parse(input: &[u8]) {
    metainfo_invariants::parse(input);
}

/// However a query reads, announce and scrape answer it in canonical bencode.
pub fn announce_query(input: &[u8]) {
    query_invariants::announce_query(input);
}

/// Whatever comes over a connection, heads are known at their end, and those that are answered by hand are what hyper takes
/// them for, one after the other.
pub fn request_head(input: &[u8]) {
    head_invariants::request_head(input);
}

/// Whatever clients do, the tracker does as the model does, and shards do as one tracker.
pub fn tracker_ops(input: &[u8]) {
    tracker_model::trial::tracker_ops(input);
}

/// Whatever stands in a datagram, strangers get no more than they send, and an answer is one that BEP 15 knows.
pub fn udp_packet(input: &[u8]) {
    packet_invariants::udp_packet(input);
}
