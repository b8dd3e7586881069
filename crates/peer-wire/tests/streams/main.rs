//! Tests of the invariants of what peers send, on random bytes and on random operations.

mod conversation;
mod invariants;

use proptest::prelude::*;

proptest! {
    #[test]
    fn of_random_streams(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        invariants::peer_decoder(&bytes);
    }

    /// Messages as peers send them, whose ids and contents are random.
    #[test]
    fn of_random_messages(
        head in any::<[u8; 2]>(),
        messages in prop::collection::vec((0..22_u8, prop::collection::vec(any::<u8>(), 0..14)), 0..20),
    ) {
        let mut bytes = head.to_vec();
        for (id, payload) in messages {
            bytes.extend((payload.len() as u32 + 1).to_be_bytes());
            bytes.push(id);
            bytes.extend(payload);
        }
        invariants::peer_decoder(&bytes);
    }

    #[test]
    fn of_random_operations(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
        conversation::peer_connection(&bytes);
    }
}
