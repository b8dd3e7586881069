//! The tracker's own peer: it sees real clients, and introduces them to each other.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{
    Aria2, Client, Content, Generation, Lan, MB, PROGRAMS, QBittorrent, RTorrent, Start, Torrent, Tracker,
    Transmission, seed,
};
use crate::support::client::{download, finish_download};
use crate::support::wait::wait_for;

/// Three times the bound for a computer that cannot be reached to be named.
const NAMED: Duration = Duration::from_secs(30);

/// Three times the bound for a newcomer's first peer.
const FIRST_PEER: Duration = Duration::from_secs(30);

/// How far off the shown completion of a download that lasts a minute and a half may be, in half of the samples.
const MEDIAN_ERROR: f64 = 0.02;

/// Clients whose progress is seen.
const SEEN: [(&str, Start); 4] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
];

/// A seeder to which nobody can connect is named with the reason; and a newcomer is told of to the seeder, by the tracker's own
/// peer, so that the seeder connects to it. By announces alone that takes until the seeder's next one.
pub(super) fn a_seeder_behind_a_firewall_is_named_and_found(generation: Generation) {
    let lan = Lan::new("firewall", &PROGRAMS);
    let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

    let host = lan.host("seeder").with(generation);
    host.block(Transmission::PORT);
    let mut seeder = Transmission::start_with_pex(&host);
    content.copy_to(seeder.folder());
    let announced = Instant::now();
    seed(&mut seeder, &torrent);
    let named = wait_for("the seeder to be named as behind a firewall", NAMED, || {
        let peer = peer_at(&tracker, &torrent, &host.address.to_string())?;
        ensure!(peer["reachable"] == "no" && peer["reason"] == "no_answer", "{peer}");
        Ok(announced.elapsed())
    });

    let mut leecher = QBittorrent::start(&lan.host("leecher").with(generation));
    let transfer = download(&mut leecher, &torrent);
    println!(
        "{generation}: a seeder behind a firewall is named after {:.1} s, and a newcomer meets it after {:.1} s",
        named.as_secs_f64(),
        transfer.first_peer.as_secs_f64()
    );
    assert!(transfer.first_peer <= FIRST_PEER, "{transfer:?}");
}

/// What the API says of a download's completion is what the client says itself, while it goes on.
pub(super) fn downloads_are_seen_as_they_go_on(generation: Generation) {
    /// Lets a download last a minute and a half, in bytes per second.
    const SLOW: u32 = 180_000;
    const SAMPLE: Duration = Duration::from_millis(500);

    let lan = Lan::new("progress", &PROGRAMS);
    let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    let content = Content::write(&lan.make_folder("content"), 16 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    tracker.register(&torrent);
    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);

    for (name, start) in SEEN {
        let host = lan.host(name).with(generation);
        let mut leecher = start(&host);
        seeder.limit_upload(Some(SLOW)).expect("qBittorrent takes a limit");
        let added = Instant::now();
        leecher.add(&torrent).expect("a client takes our torrent");
        let mut errors = Vec::new();
        wait_for(&format!("{name} to have most of it"), Duration::from_secs(240), || {
            let has = leecher.status()?.bytes as f64 / torrent.length() as f64;
            let peer = peer_at(&tracker, &torrent, &host.address.to_string())?;
            if has > 0.05 && has < 0.9 && peer["completion"]["source"] == "seen" {
                let shown = peer["completion"]["value"].as_f64().context("a completion")?;
                errors.push((has - shown).abs());
            }
            std::thread::sleep(SAMPLE);
            ensure!(has >= 0.9, "{has}");
            Ok(())
        });
        seeder.limit_upload(None).expect("qBittorrent takes a limit");
        finish_download(&mut *leecher, &torrent, added);
        errors.sort_by(f64::total_cmp);
        assert!(errors.len() >= 30, "{name}: its progress was seen {} times", errors.len());
        let median = errors[errors.len() / 2];
        println!("{generation}: {name}: the completion shown is off by {:.1} % in the median", median * 100.0);
        assert!(median <= MEDIAN_ERROR, "{name}: {errors:?}");
        leecher.pause().expect("a client pauses");
    }
}

/// The peer of this address, as the API has it.
fn peer_at(tracker: &Tracker, torrent: &Torrent, address: &str) -> anyhow::Result<Value> {
    let peers = tracker.displayed_peers(torrent.info_hash())?;
    let is_it = |peer: &&Value| peer["address"].as_str().is_some_and(|it| it.starts_with(&format!("{address}:")));
    peers.iter().find(is_it).cloned().with_context(|| json!(peers).to_string())
}
