//! Two thousand peers, and hostile ones: what they cost the tracker, with its own peer and without.
//!
//! The peers are simulated here and not by `simulate-swarm`: the tracker's own peer has one connection to an address and swarm, and
//! only namespaces give a peer each an address of the LAN.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Tracker;
use crate::simulated::{Behaviour, PIECE, PIECES, SimulatedPeers, address, hex, hosts};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::network::Lan;
use crate::support::wait::wait_for;
use crate::taker::parse_info_hash;
use crate::usage::Usage;

/// The programs that the scenarios need, besides the tracker.
const PROGRAMS: [&str; 2] = ["ip", "setpriv"];

/// As many as the tracker's own peer has connections.
const PEERS: u32 = 2000;

/// The most connections of the tracker's own peer in one swarm.
const PER_SWARM: usize = 200;

/// Until all peers have announced, and those that are to have a connection have one: 200 are dialled in a second.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How long CPU time is measured.
const MEASURED: Duration = Duration::from_secs(60);

/// What a connection may take of the tracker's memory, in KiB: 8 for itself, half of one for the bitfield, and what is known of the
/// peer beside.
const KIB_PER_CONNECTION: f64 = 10.0;

/// The share of a core that 2,000 connections may take, each with two pieces a second; and that hostile peers may take.
const CPU: f64 = 0.5;

/// Hostile peers of a kind, in swarms of a hundred.
const HOSTILE: u32 = 500;
const HOSTILE_SWARMS: u8 = 5;

/// How long their hostility is measured, after the first seconds: longer where all send 256 KiB, which are read at 2 MiB a second.
const HOSTILITY: Duration = Duration::from_secs(15);
const WITHHOLDING: Duration = Duration::from_secs(75);
const FIRST_SECONDS: Duration = Duration::from_secs(5);

/// Announces of which the 99th percentile is taken.
const ANNOUNCES: usize = 2000;

/// What hostile peers may add to the tracker's memory, in MiB: those of bitfields, and half as many again.
const HOSTILE_MIB: f64 = 96.0;

/// How long an honest peer that arrives among hostile ones may wait until it is seen.
const SEEN: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs root and network namespaces, and takes minutes"]
fn two_thousand_peers_in_ten_swarms() {
    let [without, with] = compare("2,000 peers in ten swarms", 10, PEERS as usize);
    let per_connection = (with.usage.rss_kib as f64 - without.usage.rss_kib as f64) / with.connections as f64;
    println!("{per_connection:.1} KiB for each connection");
    assert!(per_connection <= KIB_PER_CONNECTION, "{per_connection}");
}

#[test]
#[ignore = "needs root and network namespaces, and takes minutes"]
fn two_thousand_peers_in_one_swarm() {
    compare("2,000 peers in one swarm", 1, PER_SWARM);
}

/// What peers cost the tracker.
#[derive(Debug)]
struct Cost {
    connections: usize,
    cpu: f64,
    cpu_of_own_peer: f64,
    usage: Usage,
}

/// Measures without the tracker's own peer, and with it.
fn compare(title: &str, swarms: u32, connections: usize) -> [Cost; 2] {
    let costs = [("--peer=false", 0), ("--peer", connections)].map(|(peer, connections)| {
        let lan = Lan::new("crowd", &PROGRAMS);
        let (machine, host) = hosts(&lan);
        let tracker = Tracker::start_with(&machine, &[peer]);
        let swarms: Vec<_> = (0..swarms).map(|number| register(&tracker, number)).collect();
        let peers = SimulatedPeers::start(&host, &tracker, 0..PEERS, &swarms, Behaviour::Downloads);
        wait_for("all peers to be known and connected", ARRIVAL, || {
            let (announced, open) = (peers.announced(), peers.open());
            // A few may be about to connect again.
            let is_complete = announced == PEERS as usize && open >= connections * 99 / 100;
            ensure!(is_complete, "{announced} announced, {} failed to, {open} are connected", peers.failed());
            Ok(())
        });
        let before = Usage::of(tracker.pid());
        let mut most = 0;
        while before.at.elapsed() < MEASURED {
            thread::sleep(Duration::from_millis(500));
            most = most.max(peers.open());
        }
        let usage = Usage::of(tracker.pid());
        let (cpu, cpu_of_own_peer) = usage.cpu_since(&before);
        assert!(most <= connections, "{most} connections");
        Cost { connections: peers.open(), cpu, cpu_of_own_peer, usage }
    });
    let mut out = io::stdout().lock();
    writeln!(out, "\n{title}").expect("standard output can be written");
    for (name, Cost { connections, cpu, cpu_of_own_peer, usage }) in ["without", "with"].iter().zip(&costs) {
        let Usage { rss_kib, threads, open_files, .. } = usage;
        writeln!(
            out,
            "{name:<8} {connections:>5} connections, {:>5.1} % of a core (own peer {:>5.1} %), {:>6.1} MiB, \
             {threads} threads, {open_files} open files",
            cpu * 100.0,
            cpu_of_own_peer * 100.0,
            *rss_kib as f64 / 1024.0
        )
        .expect("standard output can be written");
    }
    let [_, with] = &costs;
    assert!(with.cpu <= CPU, "{with:?}");
    costs
}

/// Makes a test for each kind of hostility.
macro_rules! hostile {
    ($($test:ident $behaviour:ident)*) => {
        $(
            #[test]
            #[ignore = "needs root and network namespaces"]
            fn $test() {
                withstand(Behaviour::$behaviour);
            }
        )*
    };
}

hostile! {
    peers_that_send_one_byte_a_second SendsOneByteASecond
    peers_that_send_garbage SendsGarbage
    peers_that_announce_giant_messages AnnouncesGiantMessage
    peers_that_flood_with_peer_exchange FloodsPex
    peers_that_lie_in_bitfields LiesInBitfields
    peers_that_withhold_the_end_of_bitfields WithholdsBitfield
    peers_that_never_read NeverReads
    peers_that_open_and_close_connections OpensAndCloses
}

/// With hostile peers an announce gets its answer, honest peers are seen, and memory stays within bounds.
fn withstand(behaviour: Behaviour) {
    let lan = Lan::new("hostile", &PROGRAMS);
    let (machine, host) = hosts(&lan);
    let tracker = Tracker::start_with(&machine, &["--peer"]);
    let honest = register(&tracker, 0);
    let _first = SimulatedPeers::start(&host, &tracker, HOSTILE..HOSTILE + 1, &[honest], Behaviour::Downloads);
    wait_until_seen(&tracker, &honest, HOSTILE);
    let before = Usage::of(tracker.pid());
    let alone = percentile(&tracker, &host);

    // Of torrents that are not known, so that the longest bitfields are taken.
    let swarms: Vec<_> = (1..=HOSTILE_SWARMS).map(|number| [number; 20]).collect();
    let hostile = SimulatedPeers::start(&host, &tracker, 0..HOSTILE, &swarms, behaviour);
    wait_for("the hostile peers to announce", ARRIVAL, || {
        ensure!(hostile.announced() == HOSTILE as usize, "{} have, {} failed", hostile.announced(), hostile.failed());
        Ok(())
    });
    thread::sleep(FIRST_SECONDS);
    let start = Usage::of(tracker.pid());
    let (mut most, mut opened) = (start, hostile.opened());
    let hostility = if behaviour == Behaviour::WithholdsBitfield { WITHHOLDING } else { HOSTILITY };
    while start.at.elapsed() < hostility {
        thread::sleep(Duration::from_millis(250));
        let usage = Usage::of(tracker.pid());
        most = if usage.rss_kib > most.rss_kib { usage } else { most };
    }
    let (cpu, cpu_of_own_peer) = Usage::of(tracker.pid()).cpu_since(&start);
    opened = hostile.opened() - opened;
    let among = percentile(&tracker, &host);
    let arrived = Instant::now();
    let _second = SimulatedPeers::start(&host, &tracker, HOSTILE + 1..HOSTILE + 2, &[honest], Behaviour::Downloads);
    let seen = wait_until_seen(&tracker, &honest, HOSTILE + 1) - arrived;
    wait_until_seen(&tracker, &honest, HOSTILE);
    let after = Usage::of(tracker.pid());
    let open = hostile.open();
    drop(hostile);

    let mib = |usage: &Usage| (usage.rss_kib as f64 - before.rss_kib as f64) / 1024.0;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n{behaviour:?}: {open} open, {:.0} opened/s; memory +{:.1} MiB at most, +{:.1} at the end; {:.0} % of a core \
         (own peer {:.0} %), {} open files; announce p99 {:.2} ms alone, {:.2} ms; a newcomer is seen after {:.1} s",
        opened as f64 / hostility.as_secs_f64(),
        mib(&most),
        mib(&after),
        cpu * 100.0,
        cpu_of_own_peer * 100.0,
        most.open_files,
        alone.as_secs_f64() * 1e3,
        among.as_secs_f64() * 1e3,
        seen.as_secs_f64()
    )
    .expect("standard output can be written");
    assert!(mib(&most).max(mib(&after)) <= HOSTILE_MIB, "memory grows by {:.1} MiB", mib(&most));
    assert!(cpu <= CPU, "{:.0} % of a core", cpu * 100.0);
}

/// Waits until the completion of an honest peer is seen, and then that it goes on. Returns when it was first seen.
fn wait_until_seen(tracker: &Tracker, info_hash: &[u8; 20], number: u32) -> Instant {
    let more_than = |had| {
        wait_for("an honest peer to be seen", SEEN, || {
            let pieces = seen_pieces(tracker, info_hash, number)?;
            ensure!(Some(pieces) > had, "{pieces} pieces");
            Ok(pieces)
        })
    };
    let pieces = more_than(None);
    let seen = Instant::now();
    more_than(Some(pieces));
    seen
}

/// The pieces that a peer has, as the tracker's own peer sees them and the API tells.
fn seen_pieces(tracker: &Tracker, info_hash: &[u8; 20], number: u32) -> anyhow::Result<u32> {
    let peers = tracker.displayed_peers(&hex(info_hash))?;
    let is_it =
        |peer: &&Value| peer["address"].as_str().is_some_and(|it| it.starts_with(&format!("{}:", address(number))));
    let peer = peers.iter().find(is_it).context("it is not shown")?;
    ensure!(peer["completion"]["source"] == "seen", "{peer}");
    let share = peer["completion"]["value"].as_f64().with_context(|| peer.to_string())?;
    Ok((share * f64::from(PIECES)).round() as u32)
}

/// The 99th percentile of how long an announce takes.
fn percentile(tracker: &Tracker, host: &Host) -> Duration {
    let mut durations = tracker.announce_durations(host, ANNOUNCES);
    durations.sort();
    durations[ANNOUNCES * 99 / 100]
}

/// Registers a torrent of a number of its own, so that the number of its pieces is known, and returns its info-hash.
fn register(tracker: &Tracker, number: u32) -> [u8; 20] {
    let info =
        format!("d6:lengthi{}e4:name8:{number:08}12:piece lengthi{PIECE}e6:pieces{}:", PIECES * PIECE, PIECES * 20);
    let torrent = [b"d4:info", info.as_bytes(), &vec![0; PIECES as usize * 20], b"ee"].concat();
    let request = Request { method: "POST", target: "/api/v1/torrents", headers: &[], body: &torrent };
    let details = tracker.ask(&request).expect("the dashboard takes a torrent");
    parse_info_hash(details["info_hash"].as_str().expect("a torrent has an info-hash"))
}
