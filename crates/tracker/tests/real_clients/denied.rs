//! Clients that the rules deny.

use std::fs;

use anyhow::ensure;

use super::{Aria2, Client, Content, Generation, Lan, MB, PROGRAMS, QBittorrent, Torrent, Tracker};
use crate::support::client::{START, download, seed};
use crate::support::http::Request;
use crate::support::wait::wait_for;

/// By its peer id, and then by its address.
pub(super) fn a_client_that_is_denied_gets_nobody_and_leaves(generation: Generation) {
    let lan = Lan::new("denied", &PROGRAMS);
    let machine = lan.host("tracker");
    let data = machine.make_folder("data");
    fs::write(data.join("clients.txt"), "deny A2-  # aria2\n").expect("the rules can be written");
    let tracker = Tracker::start_with_data(&machine, &["--peer=false"], data.to_str().expect("a path in UTF-8"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "denied", &tracker.announce_url());
    let home = lan.host("seeder").with(generation);
    let mut seeder = QBittorrent::start(&home);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    tracker.wait_for_scrape("the seeder", torrent.info_hash(), |counts| counts.complete == 1);

    let mut denied = Aria2::start(&lan.host("denied").with(generation));
    denied.add(&torrent).expect("aria2 adds the torrent");
    wait_for("aria2 to be refused", START, || {
        let log = tracker.ask_for_text(&Request::get("/api/v1/log.ndjson"))?;
        ensure!(log.contains("this tracker does not serve this client or version (A2-"), "{log}");
        Ok(())
    });
    tracker.wait_for_scrape("only the seeder", torrent.info_hash(), |counts| {
        (counts.complete, counts.incomplete) == (1, 0)
    });
    let status = denied.status().expect("aria2 tells its status");
    assert_eq!((status.peers, status.bytes), (0, 0), "{status:?}");
    drop(denied);

    let remove = Request { method: "DELETE", target: "/api/v1/clients?verdict=deny&clients=A2-", ..Request::default() };
    tracker.ask(&remove).expect("the rule is removed");
    wait_for("the rule to be gone", START, || {
        let peers = tracker.peers_told_to(&machine, torrent.info_hash());
        ensure!(peers.iter().any(|peer| *peer.ip() == home.address), "{peers:?}");
        Ok(())
    });
    let mut leecher = Aria2::start(&lan.host("leecher").with(generation));
    let transfer = download(&mut leecher, &torrent);
    println!("{generation}: aria2 downloads 8 MB after its rule is removed in {transfer:?}");

    let rule = format!(r#"{{"verdict":"deny","clients":"{}"}}"#, home.address);
    let headers = [("Content-Type", "application/json")];
    let add = Request { method: "POST", target: "/api/v1/clients", headers: &headers, body: rule.as_bytes() };
    tracker.ask(&add).expect("the rule is added");
    wait_for("the seeder to be gone", START, || {
        let peers = tracker.peers_told_to(&machine, torrent.info_hash());
        ensure!(peers.iter().all(|peer| *peer.ip() != home.address), "{peers:?}");
        Ok(())
    });
    assert!(seeder.reannounce().is_ok(), "it may try");
    let told = tracker.peers_told_to(&machine, torrent.info_hash());
    assert!(told.iter().all(|peer| *peer.ip() != home.address), "{told:?}");
}
