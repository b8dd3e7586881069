//! Clients by their addresses, and who embeds a tracker for them.

use std::net::{IpAddr, SocketAddr};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{AnnounceRequest, AnnounceResponse, Config, InfoHash, Instant, PeerId, PeerKey, Peers, Tracker};

pub(crate) const TORRENT: InfoHash = InfoHash::new([7; 20]);

/// The regular announce of a leecher at this address and port. Each address and port is a client of its own.
///
/// The tracker's machine is 10.77.0.1, 10.78.0.1, fd77::1, 169.254.7.1 and fe80::1.
pub(crate) fn client(address: &str) -> AnnounceRequest {
    let address: SocketAddr = address.parse().expect("an address and port");
    AnnounceRequest::new(
        TORRENT,
        peer_id(&address.to_string()),
        address.ip(),
        way_to_tracker(address.ip()),
        address.port(),
    )
    .with_key(PeerKey::from_bytes(address.to_string().as_bytes()))
    .with_left(1000)
}

/// A peer id that depends on this name and nothing else.
pub(crate) fn peer_id(name: &str) -> PeerId {
    let mut bytes = *b"-XX0001-............";
    for (position, byte) in name.bytes().enumerate() {
        let at = 8 + position % 12;
        bytes[at] = bytes[at].wrapping_mul(31).wrapping_add(byte);
    }
    PeerId::new(bytes)
}

fn way_to_tracker(client: IpAddr) -> IpAddr {
    let local = match client {
        _ if client.is_loopback() => return if client.is_ipv4() { [127, 0, 0, 1].into() } else { client },
        IpAddr::V4(v4) if v4.is_link_local() => "169.254.7.1",
        IpAddr::V4(v4) if v4.octets()[..2] == [10, 78] => "10.78.0.1",
        IpAddr::V4(_) => "10.77.0.1",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "fe80::1",
        IpAddr::V6(_) => "fd77::1",
    };
    local.parse().expect("an address")
}

/// Has a tracker, a clock that is set by hand, and a generator with a fixed seed.
#[derive(Debug)]
pub(crate) struct Embedder {
    pub(crate) tracker: Tracker,
    pub(crate) now: Instant,
    /// The peers that the last announce handed out.
    pub(crate) peers: Peers,
    pub(crate) rng: StdRng,
}

impl Embedder {
    pub(crate) fn new(config: Config) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let tracker = Tracker::new(config, &mut rng).expect("a valid configuration");
        Self { tracker, now: Instant::ZERO, peers: Peers::default(), rng }
    }

    pub(crate) fn announce(&mut self, request: &AnnounceRequest) -> AnnounceResponse {
        let answer = self.tracker.announce(self.now, &mut self.rng, request, &mut self.peers);
        answer.expect("nothing speaks against it")
    }
}
