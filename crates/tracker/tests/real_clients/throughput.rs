//! What giving costs the tracker: at full speed, beside announces, and to peers that ask and never read. `.ci/nightly` runs this with
//! the release build.

use std::fs;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use metainfo::Metainfo;

use super::{Content, Libtorrent, MB, Torrent, Tracker, seed, web_seed};
use crate::busy::{EndOnDrop, assert_announces_stay_fast};
use crate::simulated::{Behaviour, OWN_PEER_PORT, SimulatedPeers, hosts};
use crate::support::client::{Client as _, download};
use crate::support::host::Host;
use crate::support::network::Lan;
use crate::support::wait::wait_for;
use crate::taker::{Taker, parse_info_hash};
use crate::usage::Usage;

/// The programs that the scenarios need, besides the tracker.
const PROGRAMS: [&str; 3] = ["ip", "setpriv", "sha256sum"];

/// What one core sends, in bits per second.
const RATE: f64 = 5e9;

/// How long a seeder is measured at a time, and how often: the two take turns.
const MEASUREMENT: Duration = Duration::from_secs(8);
const ROUNDS: usize = 3;

/// Peers that ask for blocks and do not read them, and the files that they ask for: the own peer has at most 200 connections for each.
const ASKING: u32 = 1000;
const ASKED_FOR: usize = 6;

/// How long they ask before they are measured, and how long they are measured.
const FIRST: Duration = Duration::from_secs(10);
const ASKED: Duration = Duration::from_secs(30);

/// What they may add to the tracker's memory, in MiB: what is read ahead for each, 256 KiB, and half as much again.
const ASKING_MIB: f64 = 384.0;

/// The share of a core that they may take.
const ASKING_CPU: f64 = 0.5;

/// A port of peers that nobody can connect to: the discard service.
const DISCARD: u16 = 9;

/// Downloads at the same time while announces are measured.
const DOWNLOADS: usize = 8;

/// One seeder sends to one peer that takes everything: what it sends by a core, and what that costs beside libtorrent.
#[test]
#[ignore = "needs root, network namespaces and a release build, and takes a minute"]
fn a_core_sends_five_gigabits_a_second() {
    let lan = Lan::new("throughput", &PROGRAMS);
    let (machine, host) = hosts(&lan);
    let share = machine.make_folder("share");
    let content = Content::write_files(&share.join("image.bin"), &[("", 1000 * MB)]);
    let tracker = Tracker::start_with(&machine, &[share.to_str().expect("a path in UTF-8")]);
    tracker.wait_until_hashed(content.name());
    let torrent = web_seed::torrent_from_the_page(&machine, &tracker, &content);
    tracker.announce_for(&host, torrent.info_hash(), DISCARD);
    let mut libtorrent = Libtorrent::start(&machine);
    content.copy_to(libtorrent.folder());
    // Without a tracker, so that ours does not leave the swarm to it.
    let alone = without_trackers(&torrent, &machine);
    seed(&mut libtorrent, &alone);

    let ours = SocketAddrV4::new(machine.address, OWN_PEER_PORT);
    let theirs = SocketAddrV4::new(machine.address, Libtorrent::PORT);
    let seeders = [("the tracker", ours, tracker.pid()), ("libtorrent", theirs, libtorrent.pid())];
    // What was not read before is compared with its digest first.
    let [mut sent, mut took, mut cpu] = [[0.0; 2]; 3];
    for round in 0..=ROUNDS {
        for (index, (name, address, pid)) in seeders.into_iter().enumerate() {
            let [bytes, seconds, cpu_seconds] = host.on(|| take(&Taker::new(address, &torrent), pid));
            println!(
                "{name}: {:.2} Gbit/s, {:.0} % of a core, {:.2} ns a byte{}",
                bytes * 8e-9 / seconds,
                cpu_seconds / seconds * 100.0,
                cpu_seconds * 1e9 / bytes,
                if round == 0 { " (not counted)" } else { "" }
            );
            if round > 0 {
                sent[index] += bytes;
                took[index] += seconds;
                cpu[index] += cpu_seconds;
            }
        }
    }
    // What takes less than a core is as fast as that is, and what takes more has to share it.
    let rate = sent[0] * 8.0 / took[0].max(cpu[0]);
    assert!(rate >= RATE, "a core sends {:.2} Gbit/s", rate / 1e9);
    let [ours, theirs] = [0, 1].map(|index| cpu[index] * 1e9 / sent[index]);
    assert!(ours <= theirs, "{ours:.2} ns a byte, and libtorrent {theirs:.2}");
}

/// Takes a torrent for a while, and returns the bytes, the seconds, and the seconds of CPU time that a process used meanwhile.
fn take(taker: &Taker, pid: u32) -> [f64; 3] {
    let (over, received) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _end = EndOnDrop(&over);
        let download = scope.spawn(|| taker.take_until(&over, &received).expect("the seeder goes on"));
        wait_for("the first bytes", Duration::from_secs(30), || {
            ensure!(received.load(Ordering::Relaxed) > 0 && !download.is_finished(), "nothing");
            Ok(())
        });
        let (before, bytes) = (Usage::of(pid), received.load(Ordering::Relaxed));
        while before.at.elapsed() < MEASUREMENT {
            thread::sleep(Duration::from_millis(100));
            assert!(!download.is_finished(), "it ends before it is over");
        }
        let (after, bytes) = (Usage::of(pid), received.load(Ordering::Relaxed) - bytes);
        let seconds = (after.at - before.at).as_secs_f64();
        [bytes as f64, seconds, after.cpu_since(&before).0 * seconds]
    })
}

/// Announces while peers take a file from the tracker as fast as they can.
#[test]
#[ignore = "needs root, network namespaces and a release build"]
fn announces_stay_fast_while_the_tracker_gives() {
    let lan = Lan::new("busy-giving", &PROGRAMS);
    let machine = lan.host("tracker");
    let share = machine.make_folder("share");
    let content = Content::write_files(&share.join("image.bin"), &[("", 256 * MB)]);
    let tracker = Tracker::start_with(&machine, &[share.to_str().expect("a path in UTF-8")]);
    tracker.wait_until_hashed(content.name());
    let torrent = web_seed::torrent_from_the_page(&machine, &tracker, &content);
    let client = lan.host("client");
    let hosts: Vec<_> = (0..DOWNLOADS).map(|number| lan.host(&format!("download{number}"))).collect();
    hosts.iter().for_each(|host| tracker.announce_for(host, torrent.info_hash(), DISCARD));
    let taker = Taker::new(SocketAddrV4::new(machine.address, OWN_PEER_PORT), &torrent);

    assert_announces_stay_fast(&tracker, &client, &hosts, "while it gives", |over, received| {
        // Another machine would take no time of the tracker's processors.
        rustix::process::nice(19).expect("a thread may be nicer than others");
        taker.take_until(over, received).expect("the tracker goes on");
    });
}

/// Peers that ask for blocks and do not read them cost a bounded amount of memory and CPU time, and a client among them gets the file.
#[test]
#[ignore = "needs root, network namespaces and a release build, and takes a minute"]
fn a_thousand_peers_that_ask_and_never_read() {
    let lan = Lan::new("asking", &PROGRAMS);
    let (machine, host) = hosts(&lan);
    let share = machine.make_folder("share");
    let names: Vec<_> = (0..ASKED_FOR).map(|number| format!("{number}.bin")).collect();
    let contents: Vec<_> =
        names.iter().map(|name| Content::write_files(&share.join(name), &[("", 100 * MB)])).collect();
    let tracker = Tracker::start_with(&machine, &[share.to_str().expect("a path in UTF-8")]);
    let swarms: Vec<_> = names.iter().map(|name| parse_info_hash(&tracker.wait_until_hashed(name))).collect();
    let torrent = web_seed::torrent_from_the_page(&machine, &tracker, &contents[0]);
    assert!(torrent.piece_length() >= 64 * 1024, "the peers ask for 64 KiB of a piece");
    let mut honest = Libtorrent::start(&host);
    let before = Usage::of(tracker.pid());

    let asking = SimulatedPeers::start(&host, &tracker, 0..ASKING, &swarms, Behaviour::AsksAndNeverReads);
    wait_for("all peers to have asked", Duration::from_secs(60), || {
        ensure!(asking.open() >= ASKING as usize * 9 / 10, "{} are connected", asking.open());
        Ok(())
    });
    thread::sleep(FIRST);
    let start = Usage::of(tracker.pid());
    let (mut most, mut open) = (start.rss_kib, usize::MAX);
    while start.at.elapsed() < ASKED {
        thread::sleep(Duration::from_millis(250));
        most = most.max(Usage::of(tracker.pid()).rss_kib);
        open = open.min(asking.open());
    }
    let (cpu, of_own_peer) = Usage::of(tracker.pid()).cpu_since(&start);
    let transfer = download(&mut honest, &torrent);
    let most = most.max(Usage::of(tracker.pid()).rss_kib);
    let mib = (most as f64 - before.rss_kib as f64) / 1024.0;
    println!(
        "{ASKING} peers that ask and never read: at least {open} open, {} opened; memory +{mib:.1} MiB; {:.0} % of a core \
         (own peer {:.0} %); a client among them has 100 MB after {:.1} s",
        asking.opened(),
        cpu * 100.0,
        of_own_peer * 100.0,
        (transfer.first_peer + transfer.transfer).as_secs_f64()
    );
    assert!(mib <= ASKING_MIB, "memory grows by {mib:.1} MiB");
    assert!(cpu <= ASKING_CPU, "{:.0} % of a core", cpu * 100.0);
}

/// The same torrent for a client that announces it to nobody.
fn without_trackers(torrent: &Torrent, host: &Host) -> Torrent {
    let metainfo =
        Metainfo::parse(&fs::read(torrent.path()).expect("a .torrent can be read")).expect("it was read before");
    let path = host.folder.join("alone.torrent");
    fs::write(&path, metainfo.edit().trackers(&[]).web_seeds(&[]).finish()).expect("a .torrent can be written");
    Torrent::read(torrent.content(), path).expect("what was edited can be read")
}
