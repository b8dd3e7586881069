//! What a peer announces about itself.

/// The peer id, in the style of BEP 20. No byte needs an escape in a URL.
pub(crate) fn peer_id(number: u32) -> [u8; 20] {
    let mut id = *b"-SS0100-000000000000";
    let mut rest = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for digit in &mut id[8..] {
        *digit = b"0123456789abcdef"[(rest >> 60) as usize];
        rest <<= 4;
    }
    id
}

/// The key (BEP 7).
pub(crate) fn key(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

/// The bytes left to download; 0 only for seeders.
pub(crate) fn left(number: u32, is_seed: bool) -> u64 {
    if is_seed { 0 } else { (u64::from(number) % 50_000 + 1) * 16_384 }
}

/// What was downloaded, in bytes.
pub(crate) fn downloaded(number: u32) -> u64 {
    u64::from(number) % 40_000 * 16_384
}

/// The bytes uploaded.
pub(crate) fn uploaded(number: u32) -> u64 {
    u64::from(number) % 30_000 * 16_384
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn peer_ids_differ_and_need_no_escape() {
        let ids: HashSet<_> = (0..100_000).map(peer_id).collect();
        assert_eq!(ids.len(), 100_000);
        assert!(peer_id(5).starts_with(b"-SS0100-"));
        assert!(ids.iter().flatten().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }

    #[test]
    fn seeders_have_nothing_left() {
        assert!((0..100_000).all(|number| left(number, true) == 0 && left(number, false) > 0));
    }
}
