//! Requests that a page makes its visitor's browser send to the tracker change nothing: they neither add an address, nor do they
//! take or end a client's place.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::thread;

use anyhow::ensure;
use tracker_core::PeerId;
use tracker_udp::Announce;

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::network::Lan;
use crate::support::udp::Udp;
use crate::tracker::Tracker;

const INFO_HASH: &str = "6161616161616161616161616161616161616161";
const TORRENT: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0001-from-a-page!&uploaded=0&downloaded=0&left=0";

/// The address that is to be handed out, of a machine that has nothing to do with it.
const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);

/// The client's port on its host.
const PORT: u16 = 6881;
/// The port of the tracker's own peer.
const OWN_PEER: u16 = 6968;
/// The port of a peer that nobody connects to.
const NOBODY: u16 = 9;
const STARTED: u32 = 2;
const STOPPED: u32 = 3;

/// The port of the server of the page.
const PAGE_PORT: u16 = 8000;

/// Each asks for the URL that it is given, from within a page.
const WAYS: [(&str, &str); 4] = [
    (
        "fetch",
        "const [url, done] = arguments; fetch(url, { mode: 'no-cors' }).then(() => done(true), () => done(true));",
    ),
    (
        "fetch without a referrer",
        "const [url, done] = arguments;
         fetch(url, { mode: 'no-cors', referrerPolicy: 'no-referrer' }).then(() => done(true), () => done(true));",
    ),
    (
        "img",
        "const [url, done] = arguments;
         const image = new Image();
         image.referrerPolicy = 'no-referrer';
         image.onload = image.onerror = () => done(true);
         image.src = url;",
    ),
    (
        "link",
        "const [url, done] = arguments;
         const link = document.createElement('a');
         link.href = url;
         link.rel = 'noreferrer';
         link.click();
         done(true);",
    ),
];

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn a_page_neither_brings_in_an_address_nor_takes_a_place() {
    let lan = Lan::new("forgery", &PROGRAMS);
    let machine = lan.host("tracker");
    let tracker = Tracker::start(&machine);
    let (pupil, asker) = (lan.host("pupil"), lan.host("asker"));
    announce(&tracker, &pupil, PORT, STARTED);
    let (client, own_peer) = (SocketAddrV4::new(pupil.address, PORT), SocketAddrV4::new(machine.address, OWN_PEER));
    assert_eq!(peers_told_to(&tracker, &asker), [client, own_peer]);

    let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, tracker.address().port());
    for (host, page, target) in [
        // The operator's browser. (A page from elsewhere may not ask for loopback, but by a link.)
        (&machine, Ipv4Addr::LOCALHOST, loopback),
        (&machine, machine.address, tracker.address()),
        // A browser beside the client whose place is wanted.
        (&pupil, pupil.address, tracker.address()),
    ] {
        serve_page(host, page);
        let browser = Browser::start(host);
        let attack = |query: &str| {
            let url = format!("http://{target}/announce?{TORRENT}&{query}");
            for (way, script) in WAYS {
                let refused = refusals(&tracker);
                browser.open(&format!("http://{page}:{PAGE_PORT}/"));
                browser.execute_async(script, &[url.as_str().into()]).expect("a page may run scripts");
                assert_refused(&tracker, &browser, refused, &format!("{way} {url}"));
            }
            let refused = refusals(&tracker);
            browser.open(&url);
            assert_refused(&tracker, &browser, refused, &format!("as typed {url}"));
            let told = browser.text("body").expect("a refusal is a page");
            assert!(told.contains("browsers are not answered"), "{told}");
        };
        attack(&format!("port=80&ip={VICTIM}"));
        attack(&format!("port={PORT}&event=started"));
        attack(&format!("port={PORT}&event=stopped"));
        drop(browser);

        assert_eq!(peers_told_to(&tracker, &asker), [client, own_peer]);
        let torrent = tracker.api(&format!("/api/v1/torrents/{INFO_HASH}"));
        assert_eq!((&torrent["seeders"], &torrent["leechers"]), (&0.into(), &1.into()), "{torrent}");
    }

    // What is sent by a client is answered, and its address counts for no more than where it came from. The own peer makes way
    // for a client on its machine.
    let target = format!("/announce?{TORRENT}&port=80&ip={VICTIM}&event=started");
    let answer = machine.request(loopback, &Request::get(&target)).expect("the tracker answers");
    assert_eq!(answer.status, 200);
    let mut peers = peers_told_to(&tracker, &asker);
    peers.sort();
    assert_eq!(peers, [SocketAddrV4::new(machine.address, 80), client]);
}

/// Serves an empty page to everybody on a host, for as long as the test runs.
fn serve_page(host: &Host, address: Ipv4Addr) {
    let listener = host.on(|| TcpListener::bind((address, PAGE_PORT))).expect("the port is free");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            // To close a connection with bytes that were not read would reset it.
            let is_whole = (&mut stream).lines().any(|line| line.is_ok_and(|line| line.is_empty()));
            if is_whole {
                let page = "<!doctype html><title>A page</title>";
                let length = page.len();
                _ = write!(
                    stream.get_mut(),
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
                );
            }
        }
    });
}

/// The number of HTTP requests that were refused so far.
fn refusals(tracker: &Tracker) -> u64 {
    let metrics = tracker.ask("GET", "/metrics", b"");
    let metrics = String::from_utf8(metrics.body).expect("metrics are text");
    let count = metrics.lines().find_map(|line| line.strip_prefix("tracker_failures_total{protocol=\"http\"} "));
    count.and_then(|count| count.parse().ok()).expect("refused requests are counted")
}

/// Waits until one more request than `before` was refused: it has arrived, and was not taken for that of a client.
#[track_caller]
fn assert_refused(tracker: &Tracker, browser: &Browser, before: u64, what: &str) {
    browser.wait_until(&format!("a refusal: {what}"), || {
        let refused = refusals(tracker);
        ensure!(refused == before + 1, "{refused} instead of one more than {before}");
        Ok(())
    });
}

/// Announces as a leecher, and returns the peers that the answer holds.
fn announce(tracker: &Tracker, host: &Host, port: u16, event: u32) -> Vec<SocketAddrV4> {
    let mut peer_id = *b"-XX0000-at-port-0000";
    peer_id[16..].copy_from_slice(format!("{port:04}").as_bytes());
    let announce = || {
        let udp = Udp::new(host, tracker.address())?;
        let announce = Announce {
            info_hash: INFO_HASH.parse()?,
            peer_id: PeerId::new(peer_id),
            downloaded: 0,
            left: 1,
            uploaded: 0,
            event,
            ip: Ipv4Addr::UNSPECIFIED,
            key: 0,
            num_want: 50,
            port,
            options: b"",
        };
        udp.announce_as(udp.connect()?, announce)
    };
    announce().expect("the tracker answers over UDP")
}

/// The peers that a newcomer on a host gets. It announces, reads the response, and stops.
fn peers_told_to(tracker: &Tracker, host: &Host) -> Vec<SocketAddrV4> {
    let peers = announce(tracker, host, NOBODY, STARTED);
    announce(tracker, host, NOBODY, STOPPED);
    peers
}
