//! Images that contradict themselves, the settings of now, or the time.

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{
    Access, AnnounceRequest, Config, DetailImage, DownloadImage, InfoHash, Instant, Peer, PeerId, PeerImage, PeerKey,
    PeerState, Peers, Reachability, SwarmImage, Tracker,
};

const TORRENT: InfoHash = InfoHash::new([7; 20]);

/// Late enough for all ages.
const START: u32 = 1_000_000;

fn at(secs: u32) -> Instant {
    Instant::from_secs(START + secs)
}

fn tracker(change: impl FnOnce(&mut Config)) -> Tracker {
    Tracker::new(Config::default().with(change), &mut StdRng::seed_from_u64(1)).unwrap()
}

fn announce(tracker: &mut Tracker, now: Instant, host: u8, left: u64) {
    let request =
        AnnounceRequest::new(TORRENT, PeerId::new([host; 20]), [10, 0, 0, host].into(), [10, 0, 0, 1].into(), 6881)
            .with_left(left);
    tracker.announce(now, &mut StdRng::seed_from_u64(7), &request, &mut Peers::default()).unwrap();
}

/// A leecher of this address that announced so many seconds ago.
fn peer(address: &str, silent_for: u64) -> PeerImage {
    let address: SocketAddr = address.parse().unwrap();
    let host = match address {
        SocketAddr::V4(address) => address.ip().octets()[3],
        SocketAddr::V6(address) => address.ip().octets()[15],
    };
    PeerImage {
        address,
        state: PeerState::Leecher,
        download: DownloadImage::Begun,
        expires_in: Duration::from_secs(1260 - silent_for.min(1260)),
        detail: Some(DetailImage {
            peer_id: PeerId::new([host; 20]),
            key: PeerKey::NONE,
            uploaded: 0,
            downloaded: 0,
            left: Some(1),
            known_for: Duration::from_secs(silent_for),
            silent_for: Duration::from_secs(silent_for),
            interval: Duration::from_secs(60),
            reachability: Reachability::Unknown,
            is_claimed: false,
        }),
    }
}

fn detail(peer: &mut PeerImage) -> &mut DetailImage {
    peer.detail.as_mut().unwrap()
}

fn restore(tracker: &mut Tracker, now: Instant, peers: Vec<PeerImage>) -> usize {
    tracker.restore(now, &SwarmImage { info_hash: TORRENT, completed: 0, peers }, Duration::ZERO)
}

fn members(tracker: &Tracker) -> Vec<Peer> {
    tracker.with_swarm(&TORRENT, |swarm| swarm.peers().collect()).unwrap_or_default()
}

#[test]
fn a_peer_that_comes_in_while_others_are_being_dropped_goes_by_its_own_deadline() {
    for address in ["10.0.0.9:6881", "[fd77::9]:6881"] {
        for batch in 1..4 {
            let mut tracker = tracker(|config| config.expire_batch = batch);
            (2..6).for_each(|host| announce(&mut tracker, at(0), host, 1));
            // A batch of those that are due, and not yet the others.
            tracker.expire(at(1260));
            assert_eq!(restore(&mut tracker, at(1260), vec![peer(address, 1160)]), 1);
            while tracker.next_expiry().is_some_and(|due| due <= at(1359)) {
                tracker.expire(at(1359));
            }
            assert_eq!(members(&tracker).len(), 1, "{address} by {batch}");
            assert_eq!(tracker.next_expiry(), Some(at(1360)), "{address} by {batch}");
            tracker.expire(at(1360));
            assert_eq!(tracker.totals().peers(), 0, "{address} by {batch}");
        }
    }
}

#[test]
fn an_address_that_was_claimed_needs_somebody_who_may_claim_it_now() {
    let claimed = |address: &str| {
        let mut peer = peer(address, 0);
        detail(&mut peer).is_claimed = true;
        vec![peer]
    };
    let trusting = || tracker(|config| config.trusted_networks = vec!["10.0.0.0/24".parse().unwrap()]);
    // It may be any address, since the client is elsewhere.
    assert_eq!(restore(&mut trusting(), at(0), claimed("203.0.113.9:6881")), 1);
    assert_eq!(restore(&mut tracker(|_| ()), at(0), claimed("203.0.113.9:6881")), 0, "nobody is trusted now");
    for address in ["127.0.0.1:6881", "[::1]:6881", "0.0.0.0:6881", "224.0.0.1:6881", "[fe80::1]:6881"] {
        assert_eq!(restore(&mut trusting(), at(0), claimed(address)), 0, "{address} cannot be claimed");
    }
}

#[test]
fn what_an_address_has_beside_ip_and_port_is_left_out() {
    let mut tracker = tracker(|config| config.access = Access::All);
    let mut scoped = peer("[fe80::9%3]:6881", 0);
    assert_eq!(restore(&mut tracker, at(0), vec![scoped.clone()]), 1);
    scoped.address = "[fe80::9]:6881".parse().unwrap();
    assert_eq!(members(&tracker)[0].address, scoped.address);
    assert_eq!(restore(&mut tracker, at(0), vec![scoped, peer("[::ffff:10.0.0.9]:6881", 0)]), 1, "the first is there");
    assert!(members(&tracker).iter().any(|peer| peer.address == "10.0.0.9:6881".parse().unwrap()));
}

#[test]
fn a_leecher_completes_once_whatever_its_image_says_was_seen() {
    for (download, completed) in [(DownloadImage::Unseen, 1), (DownloadImage::Begun, 1), (DownloadImage::Counted, 0)] {
        let mut tracker = tracker(|_| ());
        restore(&mut tracker, at(0), vec![PeerImage { download, ..peer("10.0.0.9:6881", 0) }]);
        announce(&mut tracker, at(1), 9, 0);
        announce(&mut tracker, at(2), 9, 0);
        let counts = tracker.with_swarm(&TORRENT, |swarm| swarm.counts()).unwrap();
        assert_eq!((counts.seeders, counts.completed), (1, completed), "{download:?}");
        assert_eq!(tracker.totals().completed, u64::from(completed), "{download:?}");
    }
}

#[test]
fn more_bytes_left_than_any_torrent_has_are_none_that_were_told() {
    let mut tracker = tracker(|_| ());
    let mut image = peer("10.0.0.9:6881", 0);
    detail(&mut image).left = Some(u64::MAX);
    restore(&mut tracker, at(0), vec![image]);
    assert_eq!(members(&tracker)[0].detail.as_ref().unwrap().left, None);
}

#[test]
fn who_is_overdue_stays_out_even_if_the_clock_is_younger() {
    let mut tracker = tracker(|_| ());
    let mut image = peer("10.0.0.9:6881", 1260);
    assert_eq!(restore(&mut tracker, Instant::from_secs(5), vec![image.clone()]), 0);
    detail(&mut image).silent_for = Duration::MAX;
    assert_eq!(restore(&mut tracker, Instant::from_secs(5), vec![image]), 0);
    assert_eq!(tracker.totals().swarms, 0);
}
