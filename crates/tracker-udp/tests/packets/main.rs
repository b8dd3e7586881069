//! Tests of the invariants of datagrams, on random ones and on damaged ones that clients could have sent.

mod invariants;

use proptest::prelude::*;

const REAL: [&[u8]; 3] = [
    b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\0\0\0\x07",
    b"idididid\0\0\0\x01\xde\xad\xbe\xefaaaaaaaaaaaaaaaaaaaa-LT2110-y1Cq1XLu0!h)\0\0\0\0\0\0\0\x11\0\0\0\0\x03\x20\0\0\
        \0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\0\xe0\xb5\x5a\xb7\0\0\0\xc8\x1a\xe1\x02\x0f/announce?key=1",
    b"idididid\0\0\0\x02\xff\xff\xff\xffaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
];

proptest! {
    #[test]
    fn of_random_bytes(datagram: Vec<u8>) {
        invariants::udp_packet(&datagram);
    }

    #[test]
    fn of_damaged_requests(
        request in proptest::sample::select(REAL.to_vec()),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        length: proptest::sample::Index,
        more: Vec<u8>,
    ) {
        let mut datagram = request.to_vec();
        for (at, byte) in damage {
            let at = at.index(datagram.len());
            datagram[at] = byte;
        }
        invariants::udp_packet(&datagram);
        invariants::udp_packet(&datagram[..length.index(datagram.len())]);
        datagram.extend(more);
        invariants::udp_packet(&datagram);
    }
}
