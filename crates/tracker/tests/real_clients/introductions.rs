//! Clients that meet because the tracker's own peer tells them of each other. Their peer exchange is on, as it is by default.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::{
    Aria2, Client, Content, Generation, Lan, MB, PROGRAMS, QBittorrent, RTorrent, Start, Torrent, Tracker,
    Transmission, WebTorrent, seed,
};
use crate::support::client::{finish_download, wait_until_complete};
use crate::support::wait::wait_for;

/// Three times the bound for a newcomer's first peer.
const FIRST_PEER: Duration = Duration::from_secs(30);

const RTORRENT: (&str, Start) = ("rTorrent", |host| Box::new(RTorrent::start_with_pex(host)));
const ARIA2: (&str, Start) = ("aria2", |host| Box::new(Aria2::start_with_pex(host)));
const WEBTORRENT: (&str, Start) = ("WebTorrent", |host| Box::new(WebTorrent::start_with_pex(host)));

/// Clients that are told of a seeder, and the ports on which they listen.
const TOLD: [((&str, Start), u16); 5] = [
    (("qBittorrent", |host| Box::new(QBittorrent::start_with_pex(host))), QBittorrent::PORT),
    (("Transmission", |host| Box::new(Transmission::start_with_pex(host))), Transmission::PORT),
    (ARIA2, Aria2::PORT),
    (RTORRENT, RTorrent::PORT),
    (WEBTORRENT, WebTorrent::PORT),
];

/// Transmission tries uTP first with the peers of its answer, which do not speak it. 3.00 gives up, so that by announces alone they
/// meet when the leecher announces again, and 4.1 tries TCP after 22 s.
pub(super) fn transmission_seeds_to_clients_that_wait(generation: Generation) {
    /// The bound for each of them, with 3.00 and with 4.1.
    const LEECHERS: [((&str, Start), [u64; 2]); 3] = [(RTORRENT, [30, 15]), (ARIA2, [20, 15]), (WEBTORRENT, [50, 15])];

    let mut report = format!("{generation}: Transmission seeds 8 MB to a client that waits, s\n");
    let mut late = Vec::new();
    for ((name, start), bounds) in LEECHERS {
        let lan = Lan::new("waiting", &PROGRAMS);
        let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
        let content = Content::write(&lan.make_folder("content"), 8 * MB);
        let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

        let mut leecher = start(&lan.host("leecher").with(generation));
        leecher.add(&torrent).expect("a client takes our torrent");
        tracker.wait_for_scrape("the leecher to be known", torrent.info_hash(), |counts| counts.incomplete == 1);

        let host = lan.host("seeder").with(generation);
        let mut seeder = Transmission::start_with(&host, &json!({ "pex-enabled": true, "utp-enabled": true }));
        content.copy_to(seeder.folder());
        let added = Instant::now();
        seeder.add(&torrent).expect("a client takes our torrent");
        let (first_byte, complete) = wait_until_complete(&mut *leecher, &torrent, added);
        let [first_byte, complete] = [first_byte, complete].map(|time| time.as_secs_f64());
        writeln!(report, "{name:<12} first byte {first_byte:>6.1}, complete {complete:>6.1}").expect("a text has room");
        let bound = bounds[usize::from(generation == Generation::Debian13)];
        if complete > 3.0 * bound as f64 {
            late.push(format!("{name} was to have it after {bound} s"));
        }
    }
    println!("{report}");
    assert!(late.is_empty(), "{late:?}\n{report}");
}

/// None of them ever has an answer of a tracker: the test announces in their place, and stops the tracker's service before the
/// leechers have the torrent. So all that they know of each other comes from the tracker's own peer, which connects to each.
pub(super) fn clients_that_know_only_the_own_peer_meet(generation: Generation) {
    let lan = Lan::new("own-peer-alone", &PROGRAMS);
    let machine = lan.host("tracker");
    let tracker = Tracker::start_with(&machine, &["--peer"]);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &format!("http://{}:1/announce", machine.address));

    let host = lan.host("seeder").with(generation);
    let mut seeder = QBittorrent::start_with_pex(&host);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    tracker.announce_for(&host, torrent.info_hash(), QBittorrent::PORT);
    wait_for("the own peer to be connected to the seeder", FIRST_PEER, || {
        let status = seeder.status()?;
        ensure!(status.peers == 1, "{status:?}");
        Ok(())
    });

    let mut leechers = TOLD.map(|((name, start), port)| {
        let host = lan.host(name).with(generation);
        (name, start(&host), host, port)
    });
    for (_, _, host, port) in &leechers {
        tracker.announce_for(host, torrent.info_hash(), *port);
    }
    tracker.stop_service();
    let added = Instant::now();
    for (_, leecher, ..) in &mut leechers {
        leecher.add(&torrent).expect("a client takes our torrent");
    }
    let mut first_bytes = [None; TOLD.len()];
    wait_for("each leecher to have something", FIRST_PEER, || {
        for ((_, leecher, ..), first_byte) in leechers.iter_mut().zip(&mut first_bytes) {
            // rTorrent and others answer with an error until they have read the torrent.
            if first_byte.is_none() && leecher.status().is_ok_and(|status| status.bytes > 0) {
                *first_byte = Some(added.elapsed());
            }
        }
        ensure!(first_bytes.iter().all(Option::is_some), "{first_bytes:?}");
        Ok(())
    });
    for (_, leecher, ..) in &mut leechers {
        finish_download(&mut **leecher, &torrent, added);
    }
    let seconds = first_bytes.iter().flatten().map(Duration::as_secs_f64);
    let names = leechers.iter().map(|(name, ..)| name);
    let report: Vec<_> = names.zip(seconds).map(|(name, seconds)| format!("{name} {seconds:.1} s")).collect();
    println!("{generation}: the first byte of clients that know only the own peer: {}", report.join(", "));
}
