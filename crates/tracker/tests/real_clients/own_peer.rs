//! The tracker's own peer: it sees real clients, and introduces them to each other.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    Aria2, Client, Content, Deluge, Generation, Lan, MB, PROGRAMS, QBittorrent, RTorrent, Start, Torrent, Tracker,
    Transmission, WebTorrent, seed,
};
use crate::support::client::{finish_download, wait_until_complete};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::wait::wait_for;

/// Three times the bound for a computer that cannot be reached to be named.
const NAMED: Duration = Duration::from_secs(30);

/// Three times the bound for a newcomer to get the first byte of a seeder behind a firewall, which takes 300 s by announces alone.
const FIRST_PEER: Duration = Duration::from_secs(30);

/// How far off the shown completion of a download that lasts a minute and a half may be, in half of the samples.
const MEDIAN_ERROR: f64 = 0.02;

/// The bounds for the time until what a client says is shown, in seconds: in half of the samples, also for clients that hold back what
/// they have until they are asked something, and in nine of ten. Three times as much is allowed.
const MEDIAN_LAG: f64 = 1.0;
const MEDIAN_LAG_IF_FLUSHED: f64 = 1.5;
const LATE: f64 = 2.5;

/// More than what is shown may be off because it is rounded.
const ROUNDING: f64 = 0.0005;

/// Clients whose progress is seen.
const SEEN: [(&str, Start); 6] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
    ("webtorrent", |host| Box::new(WebTorrent::start(host))),
    ("deluge", |host| Box::new(Deluge::start(host))),
];

/// Clients that seed behind a firewall, with peer exchange, and the port that is closed. Transmission 3.00 is not among them: alone in
/// a swarm it takes the tracker's own peer for another seeder, and never connects to it.
const FIREWALLED: [(&str, Start, u16); 2] = [
    ("qBittorrent", |host| Box::new(QBittorrent::start_with_pex(host)), QBittorrent::PORT),
    ("rTorrent", |host| Box::new(RTorrent::start_with_pex(host)), RTorrent::PORT),
];

/// A seeder to which nobody can connect is named with the reason; and a newcomer is told of to the seeder, by the tracker's own
/// peer, so that the seeder connects to it. By announces alone that takes until the seeder's next one.
pub(super) fn a_seeder_behind_a_firewall_is_named_and_found(generation: Generation) {
    named_and_found(generation, &FIREWALLED[..1]);
}

/// As [`a_seeder_behind_a_firewall_is_named_and_found`], with each client. rTorrent connects to those it is told of twice a minute.
pub(super) fn each_seeder_behind_a_firewall_is_named_and_found(generation: Generation) {
    named_and_found(generation, &FIREWALLED);
}

fn named_and_found(generation: Generation, seeders: &[(&str, Start, u16)]) {
    let lan = Lan::new("firewall", &PROGRAMS);
    let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    for &(name, start, port) in seeders {
        let content = Content::write(&lan.make_folder(&format!("{name}-content")), 8 * MB);
        let torrent = Torrent::make(&content, name, &tracker.announce_url());

        let host = lan.host(&format!("{name}-seeder")).with(generation);
        host.block(port);
        let mut seeder = start(&host);
        content.copy_to(seeder.folder());
        let announced = Instant::now();
        seed(&mut *seeder, &torrent);
        let named = wait_for("the seeder to be named as behind a firewall", NAMED, || {
            let peer = tracker.displayed_peer(torrent.info_hash(), &host)?;
            ensure!(peer["reachable"] == "no" && peer["reason"] == "no_answer", "{peer}");
            Ok(announced.elapsed())
        });

        let mut leecher = QBittorrent::start(&lan.host(&format!("{name}-leecher")).with(generation));
        let added = Instant::now();
        leecher.add(&torrent).expect("a client takes our torrent");
        let (first_byte, _) = wait_until_complete(&mut leecher, &torrent, added);
        println!(
            "{generation}: {name} behind a firewall is named after {:.1} s, and a newcomer has the first byte of it after {:.1} s",
            named.as_secs_f64(),
            first_byte.as_secs_f64()
        );
        assert!(first_byte <= FIRST_PEER, "{name}: {first_byte:?}");
    }
}

/// Of a torrent that nobody registered, the tracker knows no more than clients announce, until a peer that has it tells.
pub(super) fn a_bare_info_hash_gets_its_name_from_a_peer(generation: Generation) {
    let lan = Lan::new("bare", &PROGRAMS);
    let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let details = format!("/api/v1/torrents/{}", torrent.info_hash());

    // A client with the magnet link alone does not know them either.
    let host = lan.host("leecher").with(generation);
    let mut leecher = QBittorrent::start(&host);
    let magnet = format!("magnet:?xt=urn:btih:{}&tr={}", torrent.info_hash(), tracker.announce_url());
    leecher.add_magnet(&torrent, &magnet).expect("a client takes our magnet link");
    wait_for("the own peer to be connected to the leecher", NAMED, || {
        let peer = tracker.displayed_peer(torrent.info_hash(), &host)?;
        ensure!(peer["reachable"] == "yes", "{peer}");
        Ok(())
    });
    let bare = tracker.ask(&Request::get(&details)).expect("the dashboard knows the torrent");
    assert_eq!((&bare["name"], &bare["size"]), (&Value::Null, &Value::Null));

    let mut seeder = Transmission::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seeder.add(&torrent).expect("a client takes our torrent");
    let added = Instant::now();
    let named = wait_for("the torrent to have its name", NAMED, || {
        let named = tracker.ask(&Request::get(&details))?;
        ensure!(named["name"] == content.name() && named["size"] == torrent.length(), "{named}");
        let page = tracker.ask_for_text(&Request::get(&format!("/manage/files/{}", torrent.info_hash())))?;
        ensure!(page.contains(content.name()), "the page has not its name");
        Ok(added.elapsed())
    });
    println!("{generation}: a bare info-hash has its name after {:.1} s", named.as_secs_f64());
}

/// What the API says of a download's completion is what the client says itself, while it goes on. All of them download at the same
/// time, each from a seeder of its own.
pub(super) fn downloads_are_seen_as_they_go_on(generation: Generation) {
    let lan = Lan::new("progress", &PROGRAMS);
    let tracker = &Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    let seen: Vec<_> = thread::scope(|scope| {
        let downloads = SEEN.map(|(name, start)| {
            let path = lan.make_folder(&format!("{name}-content")).join(name);
            let hosts = ["seeder", "leecher"].map(|role| lan.host(&format!("{name}-{role}")).with(generation));
            scope.spawn(move || Progress::of(&path, start, hosts, tracker))
        });
        downloads.into_iter().map(|download| download.join().expect("a download goes on to its end")).collect()
    });

    let mut report = format!("{generation}: what is shown of a download against what its client says\n");
    let mut wrong = Vec::new();
    for ((name, _), progress) in SEEN.iter().zip(seen) {
        let Progress { error, lag, late } = progress;
        writeln!(
            report,
            "{name:<13} off by {:.1} % in the median, lag {lag:.2} s in the median, {late:.2} s at the 90th percentile",
            error * 100.0
        )
        .expect("a text has room");
        let is_flushed = *name == "rtorrent" || *name == "transmission" && generation == Generation::Debian12;
        let median_lag = if is_flushed { MEDIAN_LAG_IF_FLUSHED } else { MEDIAN_LAG };
        if error > MEDIAN_ERROR || lag > 3.0 * median_lag || late > 3.0 * LATE {
            wrong.push(name);
        }
    }
    println!("{report}");
    assert!(wrong.is_empty(), "{wrong:?}\n{report}");
}

/// How what is shown of a download compares with what its client says, in the samples of its middle.
struct Progress {
    /// How far off the completion is, from 0 to 1, in the median.
    error: f64,
    /// Seconds until what the client says is shown, in the median.
    lag: f64,
    /// The same at the 90th percentile.
    late: f64,
}

impl Progress {
    /// That of a download of this content by the client that is started on the second host, from a seeder on the first.
    fn of(content: &Path, start: Start, hosts: [Host; 2], tracker: &Tracker) -> Self {
        /// Lets the download last a minute and a half, in bytes per second.
        const SLOW: u32 = 180_000;
        /// The time between two samples of what the client says.
        const SAMPLE: Duration = Duration::from_millis(500);
        /// The time between two samples of what is shown.
        const LOOK: Duration = Duration::from_millis(100);

        let content = Content::write_files(content, &[("", 16 * MB)]);
        let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
        tracker.register(&torrent);
        let [seeder, leecher] = &hosts;
        let mut seeder = QBittorrent::start(seeder);
        content.copy_to(seeder.folder());
        seed(&mut seeder, &torrent);
        seeder.limit_upload(Some(SLOW)).expect("qBittorrent takes a limit");

        let mut client = start(leecher);
        let added = Instant::now();
        client.add(&torrent).expect("a client takes our torrent");
        let (mut said, mut shown) = (Vec::new(), Vec::new());
        let name = client.name();
        wait_for(&format!("{name} to be seen to have most of it"), Duration::from_secs(240), || {
            let has = client.status()?.bytes as f64 / torrent.length() as f64;
            if has > 0.05 && has < 0.9 {
                said.push((Instant::now(), has));
            }
            let next = Instant::now() + SAMPLE;
            while Instant::now() < next {
                let peer = tracker.displayed_peer(torrent.info_hash(), leecher)?;
                if peer["completion"]["source"] == "seen" {
                    let value = peer["completion"]["value"].as_f64().context("a completion")?;
                    shown.push((Instant::now(), value));
                }
                thread::sleep(LOOK);
            }
            let last = shown.last().map_or(0.0, |(_, value)| *value);
            ensure!(has >= 0.9 && last >= 0.9, "it has {has}, and {last} is shown");
            Ok(())
        });
        seeder.limit_upload(None).expect("qBittorrent takes a limit");
        finish_download(&mut *client, &torrent, added);
        assert!(said.len() >= 60, "{name} said {} times how far it was", said.len());

        let errors = said.iter().map(|&(at, has)| {
            let before = shown.iter().rev().find(|(when, _)| *when <= at);
            (before.map_or(0.0, |(_, value)| *value) - has).abs()
        });
        // What a client has of a piece does not count before it has all of it.
        let piece = f64::from(torrent.piece_length()) / torrent.length() as f64;
        let lags = said.iter().map(|&(at, has)| {
            let whole = (has / piece).floor() * piece;
            let when = shown.iter().find(|(_, value)| *value >= whole - ROUNDING).expect("all is shown in the end").0;
            when.saturating_duration_since(at).as_secs_f64()
        });
        let (errors, lags) = (sorted(errors), sorted(lags));
        Self { error: errors[errors.len() / 2], lag: lags[lags.len() / 2], late: lags[lags.len() * 9 / 10] }
    }
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}
