//! The tracker remembers the peers that were there before it was killed.

use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;

use super::{Client, Content, Generation, Lan, MB, PROGRAMS, QBittorrent, Start, Torrent, Tracker, Transmission};
use crate::support::client::{seed, wait_until_complete};
use crate::support::wait::wait_for;

/// Longest time until all peers are on the disk: a snapshot is written each minute.
const SNAPSHOT: Duration = Duration::from_secs(90);

/// The time after the start of the tracker at which the leechers come.
const COME: Duration = Duration::from_secs(1);

/// Longest time until a leecher has the first byte. Both clients announce at once; the seeders would within five minutes or more.
const FIRST_BYTE: Duration = Duration::from_secs(30);

/// A client that seeds, its port, and one that downloads from it.
const PAIRS: [(&str, Start, u16, &str, Start); 2] = [
    (
        "qbittorrent-1",
        |host| Box::new(QBittorrent::start(host)),
        QBittorrent::PORT,
        "transmission-1",
        |host| Box::new(Transmission::start(host)),
    ),
    (
        "transmission-2",
        |host| Box::new(Transmission::start(host)),
        Transmission::PORT,
        "qbittorrent-2",
        |host| Box::new(QBittorrent::start(host)),
    ),
];

/// The seeders do not announce again: all that leads the leechers to them is what the tracker had stored. It seeds nothing itself.
pub(super) fn a_tracker_that_was_killed_gives_the_seeder_at_once(generation: Generation) {
    let lan = Lan::new("remembers", &PROGRAMS);
    let machine = lan.host("tracker");
    let data = machine.make_folder("data");
    let start = || Tracker::start_with_data(&machine, &["--seed=false"], data.to_str().expect("a path in UTF-8"));
    let tracker = start();
    let contents = lan.make_folder("content");
    let pairs = PAIRS.map(|(seeder_name, start_seeder, port, leecher_name, start_leecher)| {
        let content = Content::write_files(&contents.join(format!("{seeder_name}.bin")), &[("", 16 * MB)]);
        let torrent = Torrent::make(&content, seeder_name, &tracker.announce_url());
        let host = lan.host(seeder_name).with(generation);
        let mut seeder = start_seeder(&host);
        content.copy_to(seeder.folder());
        seed(&mut *seeder, &torrent);
        tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);
        let leecher = lan.host(leecher_name).with(generation);
        (SocketAddrV4::new(host.address, port), torrent, seeder, leecher, start_leecher)
    });
    // A snapshot that is finished a second later was begun later.
    let later = SystemTime::now() + Duration::from_secs(1);
    wait_for("the seeders to be on the disk", SNAPSHOT, || {
        ensure!(data.join("swarms.snapshot").metadata()?.modified()? >= later, "an older snapshot");
        Ok(())
    });
    tracker.kill();

    let tracker = start();
    let started = Instant::now();
    let newcomer = lan.host("newcomer");
    for (seeder, torrent, ..) in &pairs {
        // The tracker's own peer, which introduces others, may be another.
        let told = tracker.peers_told_to(&newcomer, torrent.info_hash());
        assert!(told.contains(seeder), "{told:?}");
    }
    // Not a condition: it is the question.
    thread::sleep(COME.saturating_sub(started.elapsed()));
    thread::scope(|scope| {
        for (_, torrent, seeder, host, start_leecher) in &pairs {
            let seeder = seeder.name();
            scope.spawn(move || measure(generation, seeder, &mut *start_leecher(host), torrent));
        }
    });
}

fn measure(generation: Generation, seeder: &str, leecher: &mut dyn Client, torrent: &Torrent) {
    let added = Instant::now();
    leecher.add(torrent).expect("a client takes our torrent");
    let (first_byte, complete) = wait_until_complete(leecher, torrent, added);
    println!(
        "{generation}: {} finds {seeder} after a kill -9 of the tracker: first byte {:.1} s, complete {:.1} s (16 MB)",
        leecher.name(),
        first_byte.as_secs_f64(),
        complete.as_secs_f64()
    );
    assert!(first_byte <= FIRST_BYTE, "{first_byte:?}");
}
