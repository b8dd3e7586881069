//! Clients that have only the magnet link of a torrent's page: until a peer gives them the metadata, they do not know what they
//! announce. aria2 says that nothing is left, as a seeder does, and libtorrent that 16 KiB are.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Aria2, Content, Generation, MB, PROGRAMS, QBittorrent, RTorrent, Report, Start, Torrent, Tracker};
use super::{Transmission, finish_download, leave, seed};
use crate::support::client::Client;
use crate::support::network::Lan;
use crate::support::wait::wait_for;

const LEECHERS: [(&str, Start); 4] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
];

/// Two of them, over UDP.
const UDP_LEECHERS: [(&str, Start); 2] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("aria2", |host| Box::new(Aria2::start_with_udp(host))),
];

pub(super) fn each_client_downloads_by_a_magnet_link(generation: Generation) {
    let lan = Lan::new("magnet", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let magnet = tracker.register(&torrent);

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

    let title = format!("{generation}: qBittorrent seeds 8 MB to clients with a magnet link, one at a time");
    let mut report = Report::new(&title, torrent.length());
    let over_http = LEECHERS.map(|leecher| ("http", leecher));
    let over_udp = UDP_LEECHERS.map(|leecher| ("udp", leecher));
    for (scheme, (name, start)) in over_http.into_iter().chain(over_udp) {
        let host = lan.host(&format!("{name}-{scheme}")).with(generation);
        let mut leecher = start(&host);
        let added = Instant::now();
        leecher.add_magnet(&torrent, &with_trackers(&magnet, scheme)).expect("a client takes our magnet link");
        let transfer = finish_download(&mut *leecher, &torrent, added);
        leave(&mut *leecher, &tracker, &torrent);
        report.add(&format!("{} {scheme}", leecher.name()), transfer, tracker.announce_latency(&host));
    }
    report.print().expect("the report can be printed");
}

pub(super) fn clients_that_wait_for_metadata_get_it_from_a_later_seeder(generation: Generation) {
    let lan = Lan::new("metadata", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let magnet = tracker.register(&torrent);

    let mut leechers = LEECHERS.map(|(name, start)| start(&lan.host(name).with(generation)));
    let added = Instant::now();
    for leecher in &mut leechers {
        leecher.add_magnet(&torrent, &magnet).expect("a client takes our magnet link");
    }
    wait_for("all to announce", Duration::from_secs(60), || {
        let peers = tracker.displayed_peers(torrent.info_hash())?;
        ensure!(peers.len() == LEECHERS.len(), "{peers:?}");
        Ok(())
    });
    // They have nothing, and none is shown as having something.
    for peer in tracker.displayed_peers(torrent.info_hash()).expect("the dashboard answers") {
        assert!(peer["completion"].is_null() || peer["completion"]["value"] == 0.0, "{peer}");
        assert_ne!(peer["state"], "seeding", "{peer}");
    }

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    for leecher in &mut leechers {
        finish_download(&mut **leecher, &torrent, added);
    }
}

/// A magnet link with only those of its trackers that have this scheme.
fn with_trackers(magnet: &str, scheme: &str) -> String {
    let other = |parameter: &&str| !parameter.starts_with("tr=") || parameter.starts_with(&format!("tr={scheme}%3A"));
    magnet.split('&').filter(other).collect::<Vec<_>>().join("&")
}
