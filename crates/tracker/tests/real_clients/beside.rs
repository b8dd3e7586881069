//! A seeder on the tracker's machine, beside the tracker's own peer. Clients keep one connection per address and torrent, so that an own
//! peer that was connected to a leecher from there would cut the seeder off.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Aria2, Content, Deluge, Generation, Lan, MB, PROGRAMS, QBittorrent, RTorrent, Start, Torrent};
use super::{Tracker, Transmission};
use crate::support::client::wait_until_complete;
use crate::support::wait::wait_for;

const QBITTORRENT: (&str, Start) = ("qBittorrent", |host| Box::new(QBittorrent::start_with_pex(host)));
const TRANSMISSION: (&str, Start) = ("Transmission", |host| Box::new(Transmission::start_with_pex(host)));

const SEEDERS: [(&str, Start); 2] = [QBITTORRENT, TRANSMISSION];

pub(super) const LEECHERS: [(&str, Start); 5] = [
    QBITTORRENT,
    TRANSMISSION,
    ("aria2", |host| Box::new(Aria2::start_with_pex(host))),
    ("rTorrent", |host| Box::new(RTorrent::start_with_pex(host))),
    ("Deluge", |host| Box::new(Deluge::start_with_pex(host))),
];

/// How much longer a download may take with the own peer: so many times as long, and this much for the timers of clients. Transmission
/// decides every 10 s whom it gives something, and whether it was just before or just after that is luck.
pub(super) const TIMES: u32 = 3;
pub(super) const TIMERS: Duration = Duration::from_secs(10);

/// Who is there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Seeder,
    Leecher,
}

/// Each pair in either order.
pub(super) fn each_seeder_beside_the_own_peer_gives_to_each(generation: Generation) {
    let pairs = SEEDERS.iter().flat_map(|seeder| LEECHERS.iter().map(move |leecher| (*seeder, *leecher)));
    let cases =
        pairs.flat_map(|(seeder, leecher)| [First::Seeder, First::Leecher].map(|first| (seeder, leecher, first)));
    compare(generation, cases);
}

/// The pair that an own peer in the way cuts off for good, when it was connected to the leecher first.
pub(super) fn a_seeder_beside_the_own_peer_gives_to_one_that_waits(generation: Generation) {
    compare(generation, [(QBITTORRENT, QBITTORRENT, First::Leecher)]);
}

/// Two clients of libtorrent with the same port that connect to each other at the same moment close both connections, and try again
/// after a minute. The newcomer is told of the seeder by its answer, and the seeder of the newcomer by the own peer.
pub(super) fn a_newcomer_and_a_seeder_beside_the_own_peer_meet_at_once(generation: Generation) {
    /// How often it is tried, since it is a matter of less than a millisecond.
    const TRIES: usize = 5;
    const AT_ONCE: Duration = Duration::from_secs(30);

    let times = [(); TRIES].map(|()| time(generation, "--peer", QBITTORRENT.1, QBITTORRENT.1, First::Seeder));
    println!("{generation}: a newcomer has 8 MB after {times:.1?}");
    assert!(times.iter().all(|&time| time <= AT_ONCE), "{times:.1?}");
}

/// Measures each download with the own peer and without, and compares them.
fn compare(
    generation: Generation,
    cases: impl IntoIterator<Item = ((&'static str, Start), (&'static str, Start), First)>,
) {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{generation}: 8 MB from the tracker's machine, s\n{:<42} {:>8} {:>8}", "", "without", "with")
        .expect("the report can be printed");
    let mut slow = Vec::new();
    for ((seeder, start_seeder), (leecher, start_leecher), first) in cases {
        let [without, with] =
            ["--peer=false", "--peer"].map(|peer| time(generation, peer, start_seeder, start_leecher, first));
        let case = format!("{seeder} to {leecher}, {first:?} first");
        writeln!(out, "{case:<42} {:>8.1} {:>8.1}", without.as_secs_f64(), with.as_secs_f64())
            .expect("the report can be printed");
        if with > without * TIMES + TIMERS {
            slow.push(format!("{case}: {with:.1?} instead of {without:.1?}"));
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The time from when both have the torrent until the leecher has the content.
fn time(generation: Generation, peer: &str, start_seeder: Start, start_leecher: Start, first: First) -> Duration {
    let lan = Lan::new("beside", &PROGRAMS);
    let machine = lan.host("tracker").with(generation);
    let tracker = Tracker::start_with(&machine, &[peer]);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let host = lan.host("leecher").with(generation);
    let (mut seeder, mut leecher) = (start_seeder(&machine), start_leecher(&host));
    content.copy_to(seeder.folder());

    let (early, late, counts) = match first {
        First::Seeder => (&mut seeder, &mut leecher, (1, 0)),
        First::Leecher => (&mut leecher, &mut seeder, (0, 1)),
    };
    early.add(&torrent).expect("a client takes our torrent");
    tracker.wait_for_scrape("the first of them to be known", torrent.info_hash(), |scraped| {
        (scraped.complete, scraped.incomplete) == counts
    });
    if first == First::Leecher && peer == "--peer" {
        wait_for("the own peer to be connected to the leecher", Duration::from_secs(30), || {
            let peer = tracker.displayed_peer(torrent.info_hash(), &host)?;
            ensure!(peer["reachable"] == "yes", "{peer}");
            Ok(())
        });
    }
    let added = Instant::now();
    late.add(&torrent).expect("a client takes our torrent");
    let (_, complete) = wait_until_complete(&mut *leecher, &torrent, added);
    complete
}
