//! The bodies of the fuzz targets, each with the name of its target: functions that panic if an invariant does not hold. Where
//! the tests of a crate check the same invariant, they use the same code.

#![expect(dead_code, unused_imports, reason = "of the files of other crates not everything is used here")]

#[path = "../../crates/bencode/tests/common/invariants.rs"]
mod bencode_invariants;
// Private files of http-server, tracker-http, torrent-library and tracker-monitor: what they do with bytes, without sockets and
// files.
#[path = "../../crates/http-server/src/accept_errors.rs"]
mod accept_errors;
#[path = "../../crates/http-server/src/browser.rs"]
mod browser;
#[path = "../../crates/http-server/src/config.rs"]
mod config;
#[path = "../../crates/http-server/src/connection.rs"]
mod connection;
#[path = "../../crates/http-server/src/connection_limit.rs"]
mod connection_limit;
#[path = "../../crates/http-server/src/detached.rs"]
mod detached;
#[path = "../../crates/http-server/src/eviction.rs"]
mod eviction;
#[path = "../../crates/http-server/src/foreign.rs"]
mod foreign;
#[path = "../../crates/tracker-http/src/forwarded.rs"]
mod forwarded;
#[path = "../../crates/http-server/src/handler.rs"]
mod handler;
#[path = "../../crates/http-server/src/handshakes.rs"]
mod handshakes;
#[path = "../../crates/http-server/src/head.rs"]
mod head;
#[path = "../../crates/http-server/src/head_invariants.rs"]
mod head_invariants;
#[path = "../../crates/http-server/src/hyper_connection.rs"]
mod hyper_connection;
#[path = "../../crates/http-server/src/layers.rs"]
mod layers;
#[path = "../../crates/tracker-monitor/src/names/lines.rs"]
mod lines;
#[path = "../../crates/torrent-library/src/list_file.rs"]
mod list_file;
#[path = "../../crates/metainfo/tests/parse/invariants.rs"]
mod metainfo_invariants;
#[path = "../../crates/peer-wire/tests/mse/invariants.rs"]
mod mse_invariants;
#[path = "../../crates/tracker-udp/tests/packets/invariants.rs"]
mod packet_invariants;
#[path = "../../crates/peer-wire/tests/streams/conversation.rs"]
mod peer_conversation;
#[path = "../../crates/peer-wire/tests/streams/invariants.rs"]
mod peer_invariants;
#[path = "../../crates/http-server/src/preface.rs"]
mod preface;
#[path = "../../crates/http-server/src/prefixed.rs"]
mod prefixed;
#[path = "../../crates/http-server/src/proxy_header.rs"]
mod proxy_header;
#[path = "../../crates/http-server/src/proxy_header_invariants.rs"]
mod proxy_header_invariants;
#[path = "../../crates/tracker-http/tests/queries/invariants.rs"]
mod query_invariants;
#[path = "../../crates/http-server/src/shared.rs"]
mod shared;
#[path = "../../crates/http-server/src/stage.rs"]
mod stage;
#[path = "../../crates/http-server/src/timed_stream.rs"]
mod timed_stream;
#[path = "../../crates/http-server/src/tls.rs"]
mod tls;
#[path = "../../crates/tracker-core/tests/model/mod.rs"]
mod tracker_model;

mod clients;
mod conversation;
mod dashboard_access;
mod forwarded_headers;
mod header_lines;
mod lists;
mod magnet;
mod names;
mod saved;
mod store_files;

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

/// A header of the PROXY protocol is recognised exactly at its end, and what is none stays refused.
pub fn proxy_header(input: &[u8]) {
    proxy_header_invariants::proxy_header(input);
}

/// For any sequence of operations the tracker agrees with the model, and shards with a single tracker.
pub fn tracker_ops(input: &[u8]) {
    tracker_model::trial::tracker_ops(input);
}

/// For any datagram, a sender without a connection id gets no more bytes than it sent, and answers follow BEP 15.
pub fn udp_packet(input: &[u8]) {
    packet_invariants::udp_packet(input);
}

/// Bytes in several segments are answered as in one.
pub fn http_conversation(input: &[u8]) {
    conversation::http_conversation(input);
}

/// A magnet link that is read can be written and read again.
pub fn magnet_link(input: &[u8]) {
    magnet::magnet_link(input);
}

/// Only trusted proxies are believed, and they name at most one client.
pub fn forwarded(input: &[u8]) {
    forwarded_headers::forwarded(input);
}

/// Rules about which clients are served are read as they are written.
pub fn client_rules(input: &[u8]) {
    clients::client_rules(input);
}

/// A list of info-hashes can be written and read again, or its wrong line is named.
pub fn list_file(input: &[u8]) {
    lists::list_file(input);
}

/// Names of computers can be written and read again, and the lines that cannot be used are named in their order.
pub fn names_csv(input: &[u8]) {
    names::names_csv(input);
}

/// Whatever is in the files of history and lessons, the tracker starts, and what it has read can be written and read again.
pub fn saved_monitor(input: &[u8]) {
    saved::saved_monitor(input);
}

/// The dashboard serves its own hosts only, and pages of other sites change nothing.
pub fn dashboard_access(input: &[u8]) {
    dashboard_access::dashboard_access(input);
}

/// What a peer sends means the same in one segment and in several.
pub fn peer_decoder(input: &[u8]) {
    peer_invariants::peer_decoder(input);
}

/// Under any sequence of inputs, commands and times, a connection sends what the peer can take, in time and not too often.
pub fn peer_connection(input: &[u8]) {
    peer_conversation::peer_connection(input);
}

/// However its bytes are cut and damaged, a handshake of Message Stream Encryption ends in time, and both sides agree on it.
pub fn mse(input: &[u8]) {
    mse_invariants::mse(input);
}

/// Whatever the files of a store have in them, what is read of them can be written and read again, and a tracker that takes it in stays
/// consistent.
pub fn store_files(input: &[u8]) {
    store_files::store_files(input);
}
