//! Magnet links.

use metainfo::Magnet;

/// A link that is read can be written, and is the same when it is read again, with nothing left out.
pub(crate) fn magnet_link(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok((magnet, _)) = Magnet::parse_reporting(text) else { return };
    assert!(magnet.info_hashes.v1.is_some() || magnet.info_hashes.v2.is_some());
    let written = magnet.to_string();
    // What is written escapes more.
    if written.len() <= Magnet::MAX_LEN {
        assert_eq!(Magnet::parse_reporting(&written), Ok((magnet, Vec::new())), "{written}");
    }
}
