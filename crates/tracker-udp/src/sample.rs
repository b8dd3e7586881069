//! An announce for the tests.

use std::net::Ipv4Addr;

use tracker_core::{InfoHash, PeerId};

use crate::request::Announce;

/// What libtorrent sends at its start.
pub(crate) fn announce() -> Announce<'static> {
    Announce {
        info_hash: InfoHash::new([b'a'; 20]),
        peer_id: PeerId::new(*b"-LT2110-y1Cq1XLu0!h)"),
        downloaded: 0x11,
        left: 52_428_800,
        uploaded: 0x22,
        event: 2,
        ip: Ipv4Addr::UNSPECIFIED,
        key: 0xE0B5_5AB7,
        num_want: 200,
        port: 6881,
        options: b"\x02\x0f/announce?key=1",
    }
}
