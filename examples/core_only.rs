//! The tracker as a library without I/O: an announce in, an answer out.
//!
//!     cargo run --example core_only
//!
//! The program provides the time, a random generator, and the requests, wherever they come from.

use rand::{SeedableRng, rngs::StdRng};
use tracker_core::{AnnounceRequest, Config, Instant, PeerId, Peers, Tracker};

fn main() -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut tracker = Tracker::new(Config::default(), &mut rng)?;
    let mut peers = Peers::default();
    let info_hash = "3500292f2881c52a3c672db7c77db1f60426c65f".parse()?;
    let local = "192.168.1.1".parse()?; // the address of the tracker to which the requests came
    for (remote, id, left) in
        [("192.168.1.20", b"-qB4520-000000000001", 0), ("192.168.1.21", b"-TR4060-000000000002", 9)]
    {
        let request = AnnounceRequest::new(info_hash, PeerId::new(*id), remote.parse()?, local, 6881).with_left(left);
        let response = tracker.announce(Instant::ZERO, &mut rng, &request, &mut peers)?;
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address).collect();
        println!("{remote} gets {addresses:?} and announces again in {:?}", response.interval);
    }
    Ok(())
}
