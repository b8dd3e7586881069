//! Why others cannot connect to a client, as the tracker's own peer finds out and the dashboard shows.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use super::{Client, Content, Generation, Lan, MB, PROGRAMS, QBittorrent, RTorrent, Torrent, Tracker, Transmission};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::wait::wait_for;

/// Three times the bound for a client to be named with the reason.
const NAMED: Duration = Duration::from_secs(30);

/// Three times the bound for two clients to be named as a pair.
const PAIR: Duration = Duration::from_secs(45);

/// A client that announces, and what is to be said of it.
struct Case {
    what: &'static str,
    host: Host,
    reachable: &'static str,
    reason: Option<&'static str>,
    announced: Instant,
    named: Option<Duration>,
}

impl Case {
    /// One that announces now.
    fn new(what: &'static str, host: &Host, reachable: &'static str, reason: Option<&'static str>) -> Self {
        Self { what, host: host.clone(), reachable, reason, announced: Instant::now(), named: None }
    }

    /// An error unless the dashboard says this of the client.
    fn check(&mut self, tracker: &Tracker, torrent: &Torrent) -> anyhow::Result<()> {
        let peer = tracker.displayed_peer(torrent.info_hash(), &self.host).context(self.what)?;
        let is_named = peer["reachable"] == self.reachable && peer["reason"] == json!(self.reason);
        ensure!(is_named, "{}: {} {}", self.what, peer["reachable"], peer["reason"]);
        self.named.get_or_insert_with(|| self.announced.elapsed());
        Ok(())
    }
}

/// Clients that differ in why others cannot connect to them, or how they can, all in one swarm.
pub(super) fn each_client_is_named_with_the_reason(generation: Generation) {
    let lan = Lan::new("reasons", &PROGRAMS);
    let tracker = Tracker::start_with(&lan.host("tracker"), &["--peer"]);
    let content = Content::write(&lan.make_folder("content"), MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    tracker.register(&torrent);
    let host = |name: &str| lan.host(name).with(generation);
    let info_hash = torrent.info_hash();

    let hosts = ["open", "encrypted", "without-tcp", "crashed"].map(host);
    let settings: [&[&str]; 4] = [&[], &["Encryption=1"], &["BTProtocol=UTP"], &[]];
    let mut qbittorrents: Vec<_> =
        hosts.iter().zip(settings).map(|(host, session)| QBittorrent::start_with(host, session)).collect();
    let firewalled = ["firewalled", "also-firewalled"].map(host);
    let mut transmissions = firewalled.each_ref().map(|host| {
        host.block(Transmission::PORT);
        Transmission::start(host)
    });
    let udp_only = host("udp-only");
    udp_only.block_protocol("tcp", Transmission::PORT);
    let mut by_udp = Transmission::start_with(&udp_only, &json!({ "utp-enabled": true }));
    // Clients without the torrent, as after it was removed while the tracker could not be reached.
    let without = ["qbittorrent", "transmission", "rtorrent"].map(host);
    let _idle: [Box<dyn Client>; 3] = [
        Box::new(QBittorrent::start(&without[0])),
        Box::new(Transmission::start(&without[1])),
        Box::new(RTorrent::start(&without[2])),
    ];

    // It runs until others know that they can connect to it.
    qbittorrents[3].add(&torrent).expect("a client takes our torrent");
    let mut crashed = Case::new("qBittorrent before its crash", &hosts[3], "yes", None);
    wait_for("a client to be seen", NAMED, || crashed.check(&tracker, &torrent));
    drop(qbittorrents.pop());

    let mut cases = vec![Case::new("qBittorrent after a crash", &hosts[3], "no", Some("refused"))];
    let expected = [
        ("qBittorrent", "yes", None),
        ("qBittorrent that requires encryption", "yes", Some("encrypted_only")),
        // It accepts TCP all the same, and closes, as one without the torrent.
        ("qBittorrent without TCP", "yes", Some("utp_only")),
    ];
    for ((client, host), (what, reachable, reason)) in qbittorrents.iter_mut().zip(&hosts).zip(expected) {
        client.add(&torrent).expect("a client takes our torrent");
        cases.push(Case::new(what, host, reachable, reason));
    }
    let programs = [
        ("qBittorrent without the torrent", QBittorrent::PORT),
        ("Transmission without the torrent", Transmission::PORT),
        ("rTorrent without the torrent", RTorrent::PORT),
    ];
    for ((what, port), host) in programs.into_iter().zip(&without) {
        tracker.announce_for(host, info_hash, port);
        cases.push(Case::new(what, host, "no", Some("not_this_torrent")));
    }
    by_udp.add(&torrent).expect("a client takes our torrent");
    cases.push(Case::new("Transmission behind a firewall for TCP", &udp_only, "yes", Some("utp_only")));
    for (client, host) in transmissions.iter_mut().zip(&firewalled) {
        client.add(&torrent).expect("a client takes our torrent");
        cases.push(Case::new("Transmission behind a firewall", host, "no", Some("no_answer")));
    }

    wait_for("each client to be named with the reason", NAMED, || {
        let seen: Vec<_> =
            cases.iter_mut().filter_map(|case| case.check(&tracker, &torrent).err()).map(|e| e.to_string()).collect();
        ensure!(seen.is_empty(), "{}", seen.join("; "));
        Ok(())
    });
    let both = cases.last().expect("it is the second one behind a firewall").announced;
    let pair = firewalled.each_ref().map(|host| host.address);
    let as_a_pair = wait_for("both behind a firewall to be named as a pair", PAIR, || {
        check_pair(&tracker, info_hash, pair)?;
        Ok(both.elapsed())
    });

    let mut report = format!("{generation}: seconds until the reason is told\n");
    for Case { what, named, .. } in &cases {
        let seconds = named.map(|named| named.as_secs_f64()).unwrap_or_default();
        writeln!(report, "{what:<40} {seconds:>6.1}").expect("a text has room");
    }
    println!("{report}{:<40} {:>6.1}", "both behind a firewall as a pair", as_a_pair.as_secs_f64());
}

/// An error unless the API and the page say that these two cannot reach each other.
fn check_pair(tracker: &Tracker, info_hash: &str, pair: [Ipv4Addr; 2]) -> anyhow::Result<()> {
    let copies = tracker.ask(&Request::get(&format!("/api/v1/files/{info_hash}/computers")))?;
    let pairs = copies["cannot_reach_each_other"].as_array().context("a list of pairs")?;
    ensure!(pairs.contains(&json!(pair)), "{pairs:?}");
    let page = tracker.ask_for_text(&Request::get(&format!("/manage/files/{info_hash}")))?;
    let sentence = format!("{} and {} cannot reach each other", pair[0], pair[1]);
    ensure!(page.contains(&sentence), "not on the page: {sentence}");
    Ok(())
}
