//! Invariants of every datagram, for the tests and for the fuzz target.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, Instant, Shards};
use tracker_host::Clock;
use tracker_udp::{Action, Adapter, MAX_ANSWER_BYTES, Request, UdpConfig};

/// Whatever stands in a datagram: what can be read would be written the same way; without a connection id it gets no more
/// than a connection id; and with one it gets what it asks for, or one error, of the family that it came by.
pub(crate) fn udp_packet(datagram: &[u8]) {
    let request = Request::parse(datagram);
    if let Some(request) = &request {
        let mut written = Vec::new();
        request.encode(&mut written);
        assert!(datagram.starts_with(&written));
        assert_eq!(Request::parse(&written).as_ref(), Some(request));
        if let Action::Announce(announce) = request.action {
            assert!(announce.url_data().len() <= announce.options.len());
        }
    }

    let adapter = adapter();
    for (remote, local, stride) in [("10.0.0.9:4000", "10.0.0.1", 6), ("[fd77::9]:4000", "fd77::1", 18)] {
        let (remote, local): (SocketAddr, IpAddr) = (remote.parse().expect("valid"), local.parse().expect("valid"));
        let ask = |datagram: &[u8]| {
            let mut out = b"before".to_vec();
            adapter.answer(remote, local, datagram, &mut out);
            out.strip_prefix(b"before").expect("an answer is appended").to_vec()
        };
        let mut connect = Vec::new();
        Request::connect(7).encode(&mut connect);
        let id = u64::from_be_bytes(*ask(&connect).last_chunk().expect("16 bytes"));

        let stranger = ask(datagram);
        let is_proven = request.is_some_and(|request| request.connection_id == id);
        assert!(is_proven || stranger.len() <= datagram.len().min(16));

        let Some(request) = request else {
            assert_eq!(stranger, b"");
            continue;
        };
        if request.action == Action::Connect {
            continue;
        }
        let mut proven = Vec::new();
        Request { connection_id: id, ..request }.encode(&mut proven);
        for _ in 0..2 {
            let answer = ask(&proven);
            assert!(answer.len() <= MAX_ANSWER_BYTES);
            assert_eq!(answer[4..8], request.transaction_id.to_be_bytes());
            match (request.action, &answer[..4]) {
                (Action::Announce(_), [0, 0, 0, 1]) => assert_eq!((answer.len() - 20) % stride, 0),
                (Action::Scrape(hashes), [0, 0, 0, 2]) => assert_eq!(answer.len(), 8 + 12 * hashes.len()),
                (_, action) => panic!("{request:?} is answered with {action:?}"),
            }
        }
    }
}

fn adapter() -> Adapter {
    let mut rng = StdRng::seed_from_u64(1);
    let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut rng).expect("a valid configuration");
    Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), UdpConfig::default()).expect("a valid configuration")
}
