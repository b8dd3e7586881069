//! The observer on a thread of its own.

use std::thread;
use std::time::Instant as StdInstant;

use super::*;

#[test]
fn the_thread_looks_and_ends() {
    let network = Network::listening();
    let (shards, library) = (&network.shards, network.shared.computers.library());
    let failures = || Failures { http: 1, udp: 2, closed_connections: 4 };
    let observer = Observer::start(
        &Events::start(Arc::clone(shards)).unwrap(),
        Computers::new(Clock::start(), library.clone()),
        failures,
    )
    .unwrap();
    shards.announce(Instant::ZERO, &mut StdRng::seed_from_u64(1), &request(ONE, 0, 10), &mut Peers::default()).unwrap();
    let (mut ticks, deadline) = (observer.ticks(), StdInstant::now() + Duration::from_secs(30));
    while observer.torrent(&TORRENT).is_none_or(|row| row.last_seen.is_none()) || observer.status().last.leechers < 1.0
    {
        assert!(StdInstant::now() < deadline, "nothing was seen");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(ticks.has_changed().unwrap());
    assert!(*ticks.borrow_and_update() > Instant::ZERO);
    assert_eq!((observer.status().failures.total(), observer.status().totals.leechers), (3, 1));
    assert!(!observer.history(Span::TenMinutes).samples.is_empty());
    assert_eq!(observer.peers(&TORRENT, &PageQuery::default()).total, 1);
    assert_eq!(observer.torrents(&PageQuery::default()).total, 1);
    assert_eq!(observer.torrent(&InfoHash::new([0; 20])), None);
    observer.finish();
    observer.finish();
    assert_eq!(observer.torrents(&PageQuery::default()).total, 1, "it can still be looked at");
}
