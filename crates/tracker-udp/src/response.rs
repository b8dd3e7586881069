//! Answers on the wire.

use tracker_core::{AnnounceResponse, Families, Peers, SwarmCounts};

use crate::wire::{ANNOUNCE, CONNECT, ERROR, SCRAPE};

/// Most bytes of an answer: what an Ethernet frame holds beside the heads of IPv6 and UDP. A datagram that has to be split
/// is lost with any of its parts, and firewalls drop parts.
pub const MAX_ANSWER_BYTES: usize = 1452;

/// Bytes of an answer to an announce before its peers.
pub(crate) const ANNOUNCE_HEAD_BYTES: usize = 20;

/// Appends the answer to a connect request.
pub fn encode_connect(transaction_id: u32, connection_id: u64, out: &mut Vec<u8>) {
    encode_head(CONNECT, transaction_id, out);
    out.extend_from_slice(&connection_id.to_be_bytes());
}

/// Appends the answer to an announce, with the peers of one family.
///
/// The protocol has no room for the rest of an [`AnnounceResponse`]: completed downloads, warnings, the minimal interval.
pub fn encode_announce(
    transaction_id: u32,
    response: &AnnounceResponse,
    peers: &Peers,
    families: Families,
    out: &mut Vec<u8>,
) {
    let mut head = [0; ANNOUNCE_HEAD_BYTES];
    let interval = u32::try_from(response.interval.as_secs()).unwrap_or(u32::MAX);
    let fields = [ANNOUNCE, transaction_id, interval, response.leechers, response.seeders];
    for (bytes, field) in head.as_chunks_mut().0.iter_mut().zip(fields) {
        *bytes = field.to_be_bytes();
    }
    out.extend_from_slice(&head);
    out.extend_from_slice(match families {
        Families::V6 => peers.v6().as_flattened(),
        _ => peers.v4().as_flattened(),
    });
}

/// Appends the answer to a scrape, with the counts in the order in which they were asked for.
pub fn encode_scrape(transaction_id: u32, counts: &[SwarmCounts], out: &mut Vec<u8>) {
    encode_head(SCRAPE, transaction_id, out);
    for counts in counts {
        out.extend_from_slice(&counts.seeders.to_be_bytes());
        out.extend_from_slice(&counts.completed.to_be_bytes());
        out.extend_from_slice(&counts.leechers.to_be_bytes());
    }
}

/// Appends the answer that refuses a request, with a text for the user of the client.
pub fn encode_error(transaction_id: u32, reason: &str, out: &mut Vec<u8>) {
    encode_head(ERROR, transaction_id, out);
    out.extend_from_slice(reason.as_bytes());
}

fn encode_head(action: u32, transaction_id: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction_id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracker_core::PeerEntry;

    use super::*;

    const ID: u32 = 0xDEAD_BEEF;

    fn written(encode: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        encode(&mut out);
        out.strip_prefix(b"before ").unwrap().escape_ascii().to_string()
    }

    fn expected(bytes: &[u8]) -> String {
        bytes.escape_ascii().to_string()
    }

    #[test]
    fn answers_are_as_bep_15_has_them() {
        assert_eq!(
            written(|out| encode_connect(ID, 0x0102_0304_0506_0708, out)),
            expected(b"\0\0\0\0\xde\xad\xbe\xef\x01\x02\x03\x04\x05\x06\x07\x08")
        );
        assert_eq!(written(|out| encode_error(ID, "no", out)), expected(b"\0\0\0\x03\xde\xad\xbe\xefno"));

        let counts = SwarmCounts { seeders: 1, leechers: 2, partial_seeds: 0, completed: 3 };
        assert_eq!(
            written(|out| encode_scrape(ID, &[counts, SwarmCounts::default()], out)),
            expected(b"\0\0\0\x02\xde\xad\xbe\xef\0\0\0\x01\0\0\0\x03\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0")
        );
    }

    #[test]
    fn an_announce_is_answered_with_one_family() {
        let counts = SwarmCounts { seeders: 5, leechers: 258, partial_seeds: 0, completed: 7 };
        let response = AnnounceResponse::new(Duration::from_secs(1800), Duration::from_secs(900), counts);
        let mut peers = Peers::default();
        for address in ["10.0.0.1:6881", "[fd77::1]:6882", "10.0.0.2:1"] {
            peers.push(PeerEntry { address: address.parse().unwrap(), peer_id: None });
        }
        let head = b"\0\0\0\x01\xde\xad\xbe\xef\0\0\x07\x08\0\0\x01\x02\0\0\0\x05";
        for (families, addresses) in [
            (Families::V4, b"\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\0\x01".as_slice()),
            (Families::V6, b"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe2"),
        ] {
            assert_eq!(
                written(|out| encode_announce(ID, &response, &peers, families, out)),
                expected(&[head, addresses].concat())
            );
        }
    }
}
