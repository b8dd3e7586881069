//! The dashboard as the operator and their scripts see it. Its pages and its API have tests of their own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use metainfo::Metainfo;
use serde_json::Value;

use crate::client::{announce, get, request, send};
use crate::running::{PATIENCE, Tracker, tracker, wait_until};
use crate::{INFO_HASH, OTHER, error_of};

const HERE: &str = "127.0.0.1:0";

/// A tracker with a dashboard, both on free loopback ports, with JSON lines.
pub(crate) struct Observed {
    pub(crate) tracker: Tracker,
    pub(crate) dashboard: SocketAddr,
    pub(crate) token: String,
}

pub(crate) fn observed(flags: &[&str]) -> Observed {
    observed_at(HERE, flags)
}

fn observed_at(listen: &str, flags: &[&str]) -> Observed {
    observed_as(tracker(), listen, flags)
}

/// Likewise, with these environment variables.
pub(crate) fn observed_with(variables: &[(&str, &str)], flags: &[&str]) -> Observed {
    let mut command = tracker();
    command.envs(variables.iter().copied());
    observed_as(command, HERE, flags)
}

fn observed_as(mut command: Command, listen: &str, flags: &[&str]) -> Observed {
    command.args(["--dashboard", "--listen", listen, "--dashboard-listen", listen, "--log-format", "json"]).args(flags);
    let mut tracker = Tracker::spawn(command);
    let url = |what: &str| {
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains(what))).unwrap();
        line["url"].as_str().unwrap().to_owned()
    };
    let (dashboard, token) = url_parts(&url("dashboard URL"));
    let announce_url = url("announce URL");
    tracker.address = announce_url.strip_prefix("http://").unwrap().strip_suffix("/announce").unwrap().parse().unwrap();
    Observed { tracker, dashboard, token }
}

/// The address and the token. There may be a base path between them.
fn url_parts(url: &str) -> (SocketAddr, String) {
    let (address, token) = url.split_once("://").unwrap().1.split_once("/?token=").unwrap();
    (address.split('/').next().unwrap().parse().unwrap(), token.to_owned())
}

/// A .torrent file and its info-hash.
fn torrent(name: char) -> (Vec<u8>, String) {
    let torrent = format!("d4:infod6:lengthi1e4:name1:{name}12:piece lengthi16384e6:pieces20:{}ee", "x".repeat(20));
    let metainfo = Metainfo::parse(torrent.as_bytes()).unwrap();
    let info_hash = metainfo.info_hashes().v1.unwrap().to_string();
    (torrent.into_bytes(), info_hash)
}

#[test]
fn its_url_is_printed_first_and_signs_a_browser_in() {
    let tracker = Tracker::start(&["--dashboard", "--listen", HERE, "--dashboard-listen", HERE]);
    let mut lines = Vec::new();
    tracker.out.wait_for(|line| {
        lines.push(line.trim().to_owned());
        line.contains("/announce")
    });
    let urls: Vec<_> = lines.iter().filter(|line| line.starts_with("http://")).collect();
    let (address, token) = url_parts(urls[0]);
    let answer = get(address, &format!("/?token={token}"));
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    assert!(answer.contains(&format!("set-cookie: tracker-{}=", address.port())), "{answer}");
    assert!(answer.contains("; HttpOnly; SameSite=Strict") && !answer.contains(&token), "{answer}");
    assert!(answer.contains("location: /manage\r\n"), "{answer}");
    assert!(get(address, "/manage").starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/?token=wrong").starts_with("HTTP/1.1 403 "));
    assert!(request(address, "/manage", "X-Forwarded-Host: x\r\n").starts_with("HTTP/1.1 200 "));
}

/// Sends all of the body before it reads the answer, as browsers do.
fn upload(dashboard: SocketAddr, headers: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(dashboard).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("POST /api/v1/torrents HTTP/1.1\r\nHost: {dashboard}\r\n{headers}Content-Length: {length}\r\n\r\n",);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; length]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_upload_that_is_refused_gets_its_answer() {
    let Observed { tracker: _tracker, dashboard, .. } = observed(&[]);
    let large = upload(dashboard, "", (100 << 20) + 1);
    assert!(large.starts_with("HTTP/1.1 413 ") && large.contains("larger than 100 MiB"), "{large}");
    let foreign = upload(dashboard, "Origin: http://evil.example\r\n", 8 << 20);
    assert!(foreign.starts_with("HTTP/1.1 403 ") && foreign.contains("another site"), "{foreign}");
}

#[test]
fn tls_and_the_proxy_protocol_are_named_in_the_log_of_both_ports() {
    for (first, level, protocol) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "INFO", "TLS"),
        (b"PROXY TCP4 10.0.0.9 10.0.0.1 50000 6969\r\nGET / HTTP/1.1\r\n\r\n", "WARN", "PROXY protocol, version 1"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x09\x0a\0\0\x01\xc3\x50\x1b\x39",
            "WARN",
            "PROXY protocol, version 2",
        ),
    ] {
        let Observed { tracker, dashboard, .. } = observed(&[]);
        for (address, server) in [(tracker.address, "http"), (dashboard, "dashboard")] {
            let mut stream = TcpStream::connect(address).unwrap();
            // In two segments, the first of which is no more than hyper needs to refuse it.
            stream.set_nodelay(true).unwrap();
            stream.write_all(&first[..5]).unwrap();
            _ = stream.write_all(&first[5..]);
            let line = tracker.log.wait_for(|line| line.contains("\"protocol\":"));
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(
                ["level", "protocol", "server", "remote"].map(|field| line[field].as_str().unwrap()),
                [level, protocol, server, "127.0.0.1"]
            );
        }
    }
}

#[test]
fn json_has_its_url_at_every_level() {
    for level in ["error", "info"] {
        let Observed { mut tracker, dashboard, .. } = observed(&["--log-level", level]);
        assert!(get(dashboard, "/manage").starts_with("HTTP/1.1 200 "));
        assert!(tracker.stop("TERM").success());
        let dashboard_urls = tracker.log.rest().iter().filter(|line| line.contains("token")).count();
        assert_eq!(dashboard_urls, 0, "there is one, on loopback");
    }
}

#[test]
fn the_tracker_is_stopped_and_started_from_it() {
    // An address of its own, so that no other test takes the port that the tracker frees.
    let Observed { mut tracker, dashboard, token } = observed_at("127.0.6.4:0", &["--udp=false"]);
    let bearer = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
    let post = |action: &str, headers: &str| send("POST", dashboard, &format!("/api/v1/tracker/{action}"), headers);
    for _ in 0..2 {
        announce(tracker.address, INFO_HASH, 6881, 10, "started");
        let refused = post("stop", &format!("{bearer}Origin: http://evil.example\r\n"));
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        let stopped = post("stop", &bearer);
        assert!(stopped.starts_with("HTTP/1.1 2"), "{stopped}");
        let holder = TcpListener::bind(tracker.address).expect("the port is free");

        let taken = post("start", &bearer);
        assert!(taken.contains(&format!("cannot listen on {}: ", tracker.address)), "{taken}");
        if cfg!(target_os = "linux") {
            assert!(taken.contains(&format!("(process {})", std::process::id())), "{taken}");
        }
        drop(holder);
        let started = post("start", &bearer);
        assert!(started.starts_with("HTTP/1.1 2"), "{started}");
    }
    // The swarms are still there.
    let answer = announce(tracker.address, OTHER, 6881, 10, "started");
    assert!(answer.contains("incomplete"), "{answer}");
    post("stop", &bearer);
    assert!(tracker.stop("TERM").success(), "stopping it on the dashboard is not a failure");
}

#[test]
fn its_log_does_not_have_the_token() {
    let Observed { tracker, dashboard, token } = observed(&["--log-level", "error"]);
    announce(tracker.address, INFO_HASH, 6881, 10, "started");
    let log = || get(dashboard, "/api/v1/log.ndjson");
    wait_until("the peer is in the log", || log().contains("peer_joined"));
    let log = log();
    assert!(log.contains("announce URL") && !log.contains(&token), "{log}");
}

#[test]
fn a_port_of_the_dashboard_in_use_is_named_with_its_holder() {
    let holder = TcpListener::bind(HERE).unwrap();
    let listen = holder.local_addr().unwrap().to_string();
    let error = error_of(&["--dashboard", "--listen", HERE, "--dashboard-listen", &listen]);
    assert!(error.contains(&format!("cannot listen on {listen} for the dashboard: ")), "{error}");
    assert!(error.contains("--dashboard-listen") && error.contains("--dashboard=false"), "{error}");
    if cfg!(target_os = "linux") {
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }
}

#[test]
fn signals_stop_it_while_pages_are_open() {
    let Observed { mut tracker, dashboard, token } = observed_at("127.0.6.5:0", &[]);
    let head = format!("Host: {dashboard}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut viewers: Vec<_> = ["/api/v1/events", "/manage"]
        .iter()
        .map(|target| {
            let mut stream = TcpStream::connect(dashboard).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(format!("GET {target} HTTP/1.1\r\n{head}").as_bytes()).unwrap();
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    assert!(tracker.stop("TERM").success());
    for viewer in &mut viewers {
        let mut rest = Vec::new();
        viewer.read_to_end(&mut rest).unwrap();
    }
    for address in [tracker.address, dashboard] {
        TcpListener::bind(address).unwrap();
    }
}

#[test]
fn only_known_or_listed_torrents_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (torrent('a'), torrent('b'));
    let torrents = folder.path().join("torrents");
    fs::create_dir(&torrents).unwrap();
    fs::write(torrents.join("a.torrent"), &first.0).unwrap();
    let allow = folder.path().join("allowed.txt");
    fs::write(&allow, format!("{OTHER}\n")).unwrap();
    // With and without a dashboard.
    for flags in [&["--dashboard", "--dashboard-listen", HERE][..], &[]] {
        let [torrents, allow] = [&torrents, &allow].map(|path| path.to_str().unwrap());
        let known = ["--only-known", "--torrents", torrents, "--allow-list", allow];
        let tracker = Tracker::start_json(&[&known, flags].concat());
        let is_served =
            |info_hash: &str| !announce(tracker.address, info_hash, 6881, 10, "started").contains("failure reason");
        assert!(is_served(&first.1) && is_served(OTHER));
        assert!(!is_served(&second.1) && !is_served(INFO_HASH));

        fs::write(folder.path().join("torrents/b.torrent"), &second.0).unwrap();
        wait_until("the new torrent is served", || is_served(&second.1));
        assert!(is_served(OTHER), "the list counts as before");
        fs::write(allow, format!("{INFO_HASH}\n")).unwrap();
        wait_until("the new list counts", || is_served(INFO_HASH));
        assert!(is_served(&first.1) && is_served(&second.1) && !is_served(OTHER), "the folder counts as before");

        fs::remove_file(folder.path().join("torrents/b.torrent")).unwrap();
        wait_until("the torrent that is gone is refused", || !is_served(&second.1));
        fs::write(allow, format!("{OTHER}\n")).unwrap();
        wait_until("the old list counts again", || is_served(OTHER) && !is_served(INFO_HASH));
    }
}

/// Clients announce a hybrid under both its info-hashes.
#[test]
fn both_swarms_of_a_known_hybrid_are_served_and_go_together() {
    let hybrid = "d4:infod9:file treed1:ad0:d6:lengthi1000e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
        6:lengthi1000e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    let keys = ["e4af4f48a60aaf8fc4594ad968d54e65214921ce", "f0bfe9511f9b217ec8e9bec9c2f9d26d6487b950"];
    let folder = tempfile::tempdir().unwrap();
    let Observed { tracker, dashboard, .. } =
        observed(&["--only-known", "--torrents", folder.path().to_str().unwrap()]);
    let is_served = |key: &str| !announce(tracker.address, key, 6881, 0, "started").contains("failure reason");
    assert!(!keys.into_iter().any(is_served));
    fs::write(folder.path().join("a.torrent"), hybrid).unwrap();
    wait_until("both are served", || keys.into_iter().all(is_served));

    let list = || {
        let answer = get(dashboard, "/api/v1/torrents");
        serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let row = &list()["items"];
    assert_eq!(row.as_array().unwrap().len(), 1, "{row}");
    assert_eq!((&row[0]["info_hash"], &row[0]["name"], &row[0]["seeders"]), (&keys[0].into(), &"a".into(), &1.into()));

    let removed = send("DELETE", dashboard, &format!("/api/v1/torrents/{}", keys[1]), "");
    assert!(removed.starts_with("HTTP/1.1 204 "), "{removed}");
    wait_until("both are refused", || !keys.into_iter().any(is_served));
    wait_until("both swarms are gone", || list()["total"] == 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_in_the_share_folder_is_served_by_itself_or_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("Handouts")).unwrap();
    for file in ["lecture.mp4", "Handouts/week 1.pdf", ".hidden"] {
        fs::write(folder.path().join(file), file).unwrap();
    }
    let share = ["--share", folder.path().to_str().unwrap()];
    let names = |observed: &Observed| {
        let answer = get(observed.dashboard, "/api/v1/torrents");
        let torrents: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let names = torrents["items"].as_array().unwrap().iter().map(|torrent| torrent["name"].to_string());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let by_itself = observed(&share);
    let by_hand = observed(&[share.as_slice(), &["--share-by-hand"]].concat());
    wait_until("both are registered", || names(&by_itself) == ["\"Handouts\"", "\"lecture.mp4\""]);
    assert!(names(&by_hand).is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is written there");
}

#[test]
fn what_went_from_the_share_folder_between_two_runs_is_withdrawn_and_the_rest_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (share, data) = (folder.path().join("share"), folder.path().join("data"));
    fs::create_dir(&share).unwrap();
    for name in ["kept", "gone"] {
        fs::write(share.join(name), name).unwrap();
    }
    let flags = ["--share", share.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let torrents = || {
        let files = fs::read_dir(data.join("torrents")).into_iter().flatten().map(|file| file.unwrap());
        let mut files: Vec<_> = files
            .map(|file| (file.file_name().into_string().unwrap(), file))
            // Not one that is being written under another name.
            .filter(|(name, _)| name.ends_with(".torrent") && !name.starts_with('.'))
            .map(|(name, file)| (name, file.metadata().unwrap().modified().unwrap()))
            .collect();
        files.sort();
        files
    };
    let mut first = observed(&flags);
    wait_until("both are made", || torrents().len() == 2);
    let made = torrents();
    assert!(first.tracker.stop("TERM").success());
    fs::remove_file(share.join("gone")).unwrap();

    let _second = observed(&flags);
    wait_until("one is withdrawn", || torrents().len() == 1);
    assert_eq!(torrents(), made[1..]);
}
