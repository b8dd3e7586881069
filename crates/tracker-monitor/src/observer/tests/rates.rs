//! Rates of peers and of the tracker.

use std::time::SystemTime;

use super::*;

#[test]
fn rates_are_those_between_the_last_two_announces() {
    let mut network = Network::listening();
    network.pass(1000);
    network.announce(&request(ONE, 1000, 9000).with_uploaded(7));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (None, None), "there was one announce");
    assert_eq!(row.client.as_deref(), Some("Transmission 4.0.6"));
    assert_eq!((row.uploaded, row.downloaded, row.left), (Some(7), Some(1000), Some(9000)));

    network.pass(59);
    network.announce(&request(ONE, 4000, 6000).with_uploaded(127));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (Some(2.0), Some(50.0)));
    let at = |secs| Some(Instant::from_secs(secs));
    assert_eq!((row.first_seen, row.last_seen, row.next_expected), (at(1000), at(1060), at(1120)));
    assert_eq!((network.torrent(&TORRENT).download_rate, network.last().download_rate), (50.0, 50.0));
    assert_eq!(network.torrent(&TORRENT).last_seen, at(1060));

    network.pass(119);
    network.announce(&request(ONE, 4000, 6000).with_uploaded(127));
    network.pass(1);
    let row = network.peer(&request(ONE, 0, 0));
    assert_eq!((row.upload_rate, row.download_rate), (Some(0.0), Some(0.0)), "it is stuck");
}

#[test]
fn a_client_that_counts_from_0_again_has_no_rate() {
    let mut network = Network::listening();
    for (downloaded, expected) in [(5000, None), (10_000, Some(50.0)), (100, None), (600, Some(5.0))] {
        network.announce(&request(ONE, downloaded, 9000));
        network.pass(1);
        assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, expected);
        network.pass(99);
    }
}

#[test]
fn another_client_at_an_address_begins_anew() {
    let mut network = Network::listening();
    network.announce(&request(ONE, 0, 9000));
    network.pass(60);
    let other = request(ONE, 6000, 9000).with_peer_id(PeerId::new([b'x'; 20]));
    network.announce(&other);
    network.pass(1);
    assert_eq!(network.peer(&other).download_rate, None);
    network.announce(&other.clone().with_event(AnnounceEvent::Stopped));
    network.announce(&other.clone().with_downloaded(90_000));
    network.pass(1);
    assert_eq!(network.peer(&other).download_rate, None);
}

#[test]
fn a_download_between_two_looks_has_a_rate() {
    let mut network = Network::listening();
    network.pass(10);
    network.announce(&request(ONE, 0, 50_000_000).with_event(AnnounceEvent::Started));
    network.announce(&request(ONE, 50_000_000, 0).with_event(AnnounceEvent::Completed));
    network.pass(1);
    assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, Some(50_000_000.0));
    assert_eq!(network.last().download_rate, 50_000_000.0);
    network.pass(4);
    assert_eq!(network.last().download_rate, 0.0, "it has what it wants");
    assert_eq!(network.peer(&request(ONE, 0, 0)).download_rate, None, "it is over");
}

#[test]
fn those_that_are_overdue_are_silent_and_do_not_count() {
    let mut network = Network::listening();
    for downloaded in [0, 6000] {
        network.announce(&request(ONE, downloaded, 9000));
        network.announce(&request(TWO, 10 * downloaded, 9000));
        network.pass(60);
    }
    assert_eq!(network.torrent(&TORRENT).download_rate, 1100.0);
    network.pass(30);
    network.announce(&request(TWO, 60_000, 9000));
    network.pass(37);
    assert_eq!(network.peer(&request(ONE, 0, 0)).status, PeerStatus::Silent);
    assert_eq!(network.peer(&request(TWO, 0, 0)).status, PeerStatus::Downloading);
    assert_eq!(network.torrent(&TORRENT).download_rate, 0.0, "the other one has got nothing since");
    assert_eq!(network.torrent(&TORRENT).counts.leechers, 2);
}

#[test]
fn a_stopped_tracker_has_no_rates() {
    let mut network = Network::listening();
    let stopped = ServiceState::Stopped { since: SystemTime::UNIX_EPOCH, error: None };
    let running = |secs| ServiceState::Running {
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
        addresses: Vec::new(),
        announce_urls: Vec::new(),
    };
    let (service, state) = watch::channel(running(1));
    *lock(&network.shared.service) = Some(state);
    network.pass(1);
    for downloaded in [0, 6000] {
        network.announce(&request(ONE, downloaded, 9000));
        network.pass(60);
    }
    let rates = |network: &Network| (network.last().download_rate, network.peer(&request(ONE, 0, 0)).download_rate);
    assert_eq!(rates(&network), (100.0, Some(100.0)));
    service.send_replace(stopped);
    network.pass(1);
    assert_eq!((rates(&network), network.torrent(&TORRENT).download_rate), ((0.0, None), 0.0));
    service.send_replace(running(2));
    network.pass(1);
    assert_eq!(rates(&network), (0.0, None), "nobody has reported since");
    network.announce(&request(ONE, 12_200, 9000));
    network.pass(1);
    assert_eq!(rates(&network), (100.0, Some(100.0)));
}

#[test]
fn current_rates_are_averages_of_ten_seconds() {
    let mut network = Network::listening();
    // As from one client that announces over and over, now and then.
    network.pass(1);
    let mut history = lock(&network.shared.history);
    *history = History::new();
    let mut seen = Vec::new();
    for second in 1..=40 {
        let announces = if second % 5 == 0 { 10.0 } else { 0.0 };
        let sample = Sample { announces, seeders: f64::from(second), ..Sample::default() };
        history.push(Instant::from_secs(second), SystemTime::UNIX_EPOCH + Duration::from_secs(second.into()), sample);
        assert_eq!(history.recent().seeders, f64::from(second), "counts are those of now");
        seen.push(history.recent().announces);
    }
    assert!(seen[10..].iter().all(|rate| *rate == 2.0), "{seen:?}");
}
