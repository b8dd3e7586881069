//! The tracker shares a folder, does not seed it as a peer, and nobody else has what is in it: clients get it by the web seed of the
//! .torrent that their user downloads from the page.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::{
    Aria2, Content, Generation, MB, PROGRAMS, QBittorrent, Report, Start, Torrent, Tracker, Transmission, download,
};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::network::Lan;
use crate::support::wait::wait_for;

/// rTorrent has no web seeds.
const LEECHERS: [(&str, Start); 3] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
];

/// A name in which a URL has to escape nearly everything.
pub(super) const FILE: &str = "Übung 1 – a+b & c#d %41 (x).bin";

/// A client escapes what it appends to the URL of a folder itself. Transmission 4 does not escape `#` there, nor does WebTorrent;
/// it takes `%` for escaped already if two hexadecimal digits follow; and Transmission 3 makes `_` of `?`. Such names are no use
/// here, but in the URL of a single file.
pub(super) const FOLDER: &str = "Vorlesung & Übung 2";

/// What is in [`FOLDER`]. Pieces of its torrent begin in one file and end in another.
pub(super) const FILES: [(&str, u64); 6] = [
    ("100 % sure.bin", 3 * MB),
    ("+=;,'!()[]@$.bin", MB + 16),
    ("empty.bin", 0),
    ("ein Ordner/zwei…/tief.bin", 2 * MB + 8),
    ("日本語.bin", 8),
    ("~tilde.bin", MB),
];

pub(super) fn clients_complete_by_the_web_seed_alone(generation: Generation) {
    let lan = Lan::new("web-seed", &PROGRAMS);
    let machine = lan.host("tracker");
    let share = machine.make_folder("share");
    let contents =
        [Content::write_files(&share.join(FILE), &[("", 8 * MB)]), Content::write_files(&share.join(FOLDER), &FILES)];
    let tracker = Tracker::start_with(&machine, &[share.to_str().expect("a path in UTF-8"), "--seed=false"]);

    let mut report = Report::new(&format!("{generation}: the tracker's web seed, 8 MB and 7 MB in 6 files"), 8 * MB);
    for (number, content) in (1..).zip(&contents) {
        let mut has_it = Vec::new();
        for (name, start) in LEECHERS {
            let host = lan.host(&format!("{name}{number}")).with(generation);
            let torrent = torrent_from_the_page(&host, &tracker, content);
            // aria2 has all of it before it announces the first time, which does not count as a download.
            let expect = |what: &str, peers| {
                tracker.wait_for_scrape(&format!("{name}: {what}"), torrent.info_hash(), |counts| {
                    (counts.complete, counts.incomplete) == peers
                });
            };
            expect("nobody to be there but the tracker", (0, 0));

            let mut leecher = start(&host);
            let transfer = download(&mut *leecher, &torrent);
            expect("a peer that completed", (1, 0));
            leecher.pause().expect("a client pauses");
            expect("a peer that left", (0, 0));
            report.add(&format!("{} {number}", leecher.name()), transfer, tracker.announce_latency(&host));

            // Who has it still has it when the client is gone.
            has_it.push(host.address.to_string());
            wait_for_computers(&tracker, torrent.info_hash(), &has_it);
            assert_reported(&tracker, torrent.info_hash(), &has_it);
            assert_shown(&host, &tracker, torrent.info_hash(), &has_it);
        }
    }
    report.print().expect("the report can be printed");
}

/// The .torrent that a user on this host downloads, once the content is hashed.
pub(super) fn torrent_from_the_page(host: &Host, tracker: &Tracker, content: &Content) -> Torrent {
    let info_hash = tracker.wait_until_hashed(content.name());
    let page = tracker.page();
    let target = format!("/api/v1/torrents/{info_hash}/torrent");
    let headers = [("Host", &*page.to_string())];
    let response = host.request(page, &Request { headers: &headers, ..Request::get(&target) });
    let response = response.expect("the page answers the leecher");
    assert_eq!(response.status, 200, "{target}: {}", String::from_utf8_lossy(&response.body));
    let path = host.folder.join("page.torrent");
    fs::write(&path, response.body).expect("a .torrent can be written");
    Torrent::read(content, path).expect("the tracker makes .torrent files")
}

/// Waits until these computers, and no others, are said to have a file.
fn wait_for_computers(tracker: &Tracker, info_hash: &str, expected: &[String]) {
    wait_for(&format!("{expected:?} to have it"), Duration::from_secs(30), || {
        let copies = tracker.ask(&Request::get(&format!("/api/v1/files/{info_hash}/computers")))?;
        let computers = copies["computers"].as_array().context("a list of computers")?;
        let has_it = computers.iter().filter(|computer| computer["state"] == "has_it");
        let mut has_it: Vec<_> = has_it.map(|computer| computer["address"].as_str().unwrap_or_default()).collect();
        has_it.sort_by_key(|address| expected.iter().position(|expected| expected == address));
        ensure!(has_it == expected && copies["progress"]["has"] == expected.len(), "{copies}");
        Ok(())
    });
}

/// Asserts that the report of the lesson has whole copies on these computers, which this machine gave to clients that check every
/// piece.
fn assert_reported(tracker: &Tracker, info_hash: &str, expected: &[String]) {
    let report = tracker.ask(&Request::get("/api/v1/lessons/0")).expect("there is a report");
    let files = report["files"].as_array().expect("a report has files");
    let file = files.iter().find(|file| file["key"] == info_hash).unwrap_or_else(|| panic!("{report}"));
    for address in expected {
        let copies = file["copies"].as_array().expect("a file has copies");
        let copy =
            copies.iter().find(|copy| copy["address"] == **address).unwrap_or_else(|| panic!("{address}: {file}"));
        assert_eq!(copy["completion"], 1.0, "{copy}");
        assert_eq!(copy["ways"], json!(["web_seed"]), "{copy}");
        assert_eq!(copy["check"], "pieces", "{copy}");
        assert!(copy["finished"].is_u64() && copy["came"].is_u64(), "{copy}");
    }
    let copies_sent = file["copies_sent"].as_f64().expect("something was sent");
    assert!(copies_sent >= 0.99 * expected.len() as f64, "{copies_sent} copies sent: {file}");
}

/// Asserts that the pages show this to people, too.
fn assert_shown(host: &Host, tracker: &Tracker, info_hash: &str, expected: &[String]) {
    let page = tracker.page();
    let headers = [("Host", &*page.to_string())];
    let open = |target: &str| {
        let response = host.request(page, &Request { headers: &headers, ..Request::get(target) });
        String::from_utf8(response.expect("the page answers").body).expect("a page is a text")
    };
    // The rows of the table, each with its computer.
    let row = |html: &str, address: &str| {
        let rows = html.split("<tr ").skip(1).map(|row| row.split("</tr>").next().unwrap_or_default().to_owned());
        let has_address = |row: &String| row.contains(&format!("<code>{address}</code>"));
        rows.filter(has_address).collect::<Vec<_>>()
    };
    let file = open(&format!("/manage/files/{info_hash}"));
    for address in expected {
        let [of_file] = &*row(&file, address) else { panic!("{address}: {file}") };
        assert!(of_file.contains(">Has it<") && of_file.contains(">100%<"), "{of_file}");
    }
    // It is made every few seconds.
    wait_for(&format!("the report to have {expected:?}"), Duration::from_secs(30), || {
        let report = open("/manage/report");
        for address in expected {
            let is_there = row(&report, address).iter().any(|row| row.contains("this machine, by BitTorrent"));
            ensure!(is_there, "{address}: {report}");
        }
        Ok(())
    });
}
