//! The tracker's machine moves from network to network.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use anyhow::{Context, ensure};
use metainfo::Metainfo;
use serde_json::Value;

use crate::support::client::START;
use crate::support::host::{Host, PATIENCE};
use crate::support::http::Request;
use crate::support::network::Lan;
use crate::support::program::Program;
use crate::support::torrent::{Content, Torrent};
use crate::support::wait::wait_for;

/// The ports for clients and of the dashboard.
const PORT: u16 = 6969;
const DASHBOARD: u16 = 6970;

const PROGRAMS: [&str; 3] = ["ip", "setpriv", "sha256sum"];

/// The log line of a move.
const MOVED: &str = "the addresses of this machine changed";

#[test]
#[ignore = "needs root and network namespaces"]
fn addresses_are_followed_and_the_viewers_own_comes_first() {
    let lan = Lan::new("moves", &PROGRAMS);
    let (machine, neighbour) = (lan.host("tracker"), lan.host("neighbour"));
    let content = Content::write(&lan.make_folder("content"), 1 << 20);
    let torrent = Torrent::make(&content, "lecture", "http://192.0.2.1/announce");
    let folder = machine.make_folder("torrents");
    fs::copy(torrent.path(), folder.join("lecture.torrent")).expect("there is room for a .torrent file");
    let mut tracker = start(&machine, &folder);

    wait_for("the tracker to start", START, || {
        tracker.check_alive()?;
        expect_urls(&neighbour, machine.address, &["10.77.0.1"])
    });
    assert!(announce_is_taken(&neighbour, machine.address));
    assert_eq!(announce_urls_of(&neighbour, machine.address, &torrent), ["http", "udp"].map(|s| url(s, "10.77.0.1")));

    // Public addresses: only those of the machine's own network are served.
    let moved = Ipv4Addr::new(203, 0, 113, 1);
    machine.ip(&["address", "delete", "10.77.0.1/24", "dev", "eth0"]);
    machine.ip(&["address", "add", &format!("{moved}/24"), "dev", "eth0"]);
    neighbour.ip(&["address", "add", "203.0.113.2/24", "dev", "eth0"]);
    wait_for("the new address to be advertised", PATIENCE, || expect_urls(&neighbour, moved, &["203.0.113.1"]));
    assert!(announce_is_taken(&neighbour, moved), "the new network is the machine's own");
    assert_eq!(announce_urls_of(&neighbour, moved, &torrent), ["http", "udp"].map(|s| url(s, "203.0.113.1")));
    let lines = log_lines(&machine, MOVED);
    assert_eq!(lines.len(), 1, "a move is one line: {lines:?}");
    assert_eq!((&lines[0]["addresses"], &lines[0]["before"]), (&"203.0.113.1".into(), &"10.77.0.1".into()));

    // In two networks each viewer gets the address first by which the viewer came.
    lan.add_network(1);
    let second = lan.connect(&machine, 1, "eth1");
    let other = lan.host_in(1, "other");
    let both = [moved, second].map(|address| address.to_string());
    wait_for("the second address to be advertised", PATIENCE, || {
        expect_urls(&neighbour, moved, &[&both[0], &both[1]])
            .or_else(|_| expect_urls(&neighbour, moved, &[&both[1], &both[0]]))
    });
    for (viewer, reached_at, behind) in [(&neighbour, moved, second), (&other, second, moved)] {
        let own = ["http", "udp"].map(|scheme| url(scheme, &reached_at.to_string()));
        let others = ["http", "udp"].map(|scheme| url(scheme, &behind.to_string()));
        assert_eq!(announce_urls_of(viewer, reached_at, &torrent), [own, others].concat());
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_machine_without_an_address_gets_one() {
    let lan = Lan::new("boot", &PROGRAMS);
    let machine = lan.unconnected_host("tracker");
    let folder = machine.make_folder("torrents");
    let mut tracker = start(&machine, &folder);
    wait_for("the tracker to start", START, || {
        tracker.check_alive()?;
        expect_urls(&machine, Ipv4Addr::LOCALHOST, &["127.0.0.1"])
    });

    // As before a lease is given, and after it.
    lan.connect(&machine, 0, "eth0");
    let neighbour = lan.host("neighbour");
    wait_for("the address to be advertised", PATIENCE, || expect_urls(&machine, Ipv4Addr::LOCALHOST, &["10.77.0.1"]));
    assert!(announce_is_taken(&neighbour, Ipv4Addr::new(10, 77, 0, 1)));
    assert_eq!(log_lines(&machine, MOVED).len(), 1);
    let page = log_lines(&machine, "other computers and phones open");
    assert_eq!(page.len(), 1, "{page:?}");
    assert_eq!((&page[0]["event"], &page[0]["url"]), (&"page_moved".into(), &"http://10.77.0.1:6970/".into()));
}

fn start(machine: &Host, torrents: &Path) -> Program {
    let folder = torrents.to_str().expect("a path of text");
    machine.run(env!("CARGO_BIN_EXE_tracker"), &["--log-format", "json", "--data", "none", "--torrents", folder])
}

fn url(scheme: &str, address: &str) -> String {
    format!("{scheme}://{address}:{PORT}/announce")
}

/// An error unless the dashboard, which `viewer` reaches at `address`, shows the announce URLs with these addresses.
fn expect_urls(viewer: &Host, address: Ipv4Addr, expected: &[&str]) -> anyhow::Result<()> {
    let response = viewer.request(SocketAddrV4::new(address, DASHBOARD), &Request::get("/api/v1/status"))?;
    ensure!(response.status == 200, "the status is answered with {}", response.status);
    let status: Value = serde_json::from_slice(&response.body)?;
    let urls = status["tracker"]["announce_urls"].as_array().context("no announce URLs")?;
    let expected: Vec<Value> =
        ["http", "udp"].iter().flat_map(|scheme| expected.iter().map(|address| url(scheme, address).into())).collect();
    ensure!(*urls == expected, "{urls:?}");
    Ok(())
}

/// The announce URLs of the .torrent file that `viewer` downloads at `address`, each of which has a tier of its own.
fn announce_urls_of(viewer: &Host, address: Ipv4Addr, torrent: &Torrent) -> Vec<String> {
    let target = format!("/api/v1/torrents/{}/torrent", torrent.info_hash());
    let response = viewer.request(SocketAddrV4::new(address, DASHBOARD), &Request::get(&target));
    let metainfo = Metainfo::parse(&response.expect("the dashboard answers").body).expect("it is a .torrent file");
    metainfo.trackers().concat()
}

fn announce_is_taken(client: &Host, tracker: Ipv4Addr) -> bool {
    let target = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0000-onlylooking!&port=9&left=1&compact=1";
    let response = client.request(SocketAddrV4::new(tracker, PORT), &Request::get(target));
    let body = response.expect("the tracker answers").body;
    !body.windows(14).any(|window| window == b"failure reason")
}

/// The lines of the tracker's log whose message begins with this.
fn log_lines(machine: &Host, message: &str) -> Vec<Value> {
    let log = fs::read_to_string(machine.folder.join("tracker.log")).expect("the tracker writes a log");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("the log is JSON"));
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}
