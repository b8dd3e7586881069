//! `tracker users`, and a tracker that is for them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Output;

use metainfo::Metainfo;
use serde_json::Value;

use crate::client::{announce_target, answer_over_udp, exchange, get, request, send};
use crate::dashboard::{Observed, observed};
use crate::operators::{password, secret, sign_in};
use crate::running::{tracker, wait_until};
use crate::{INFO_HASH, error_of, succeeded};

fn users(arguments: &[&str], data: &Path) -> Output {
    tracker().arg("users").args(arguments).args(["--data", data.to_str().unwrap()]).output().unwrap()
}

/// The key at the end of the announce path that a command has printed.
fn key(said: &str) -> &str {
    said.lines().find_map(|line| line.trim().strip_prefix("/announce/")).unwrap_or_else(|| panic!("{said}"))
}

/// The same without the token, which is another one at each start.
fn for_users(data: &Path, folder: &Path) -> Observed {
    let (data, folder) = (data.to_str().unwrap(), folder.to_str().unwrap());
    observed(&["--data", data, "--users", "--dashboard-token-always", folder])
}

/// An announce with this key.
fn target(key: &str, port: u16, uploaded: u64, event: &str) -> String {
    let target = announce_target(INFO_HASH, port, 0, event).replace("uploaded=0", &format!("uploaded={uploaded}"));
    target.replace("/announce?", &format!("/announce/{key}?"))
}

fn get_as(dashboard: SocketAddr, secret: &str, path: &str) -> Vec<u8> {
    let cookie = format!("Cookie: tracker-{}={secret}\r\n", dashboard.port());
    exchange(Ipv4Addr::LOCALHOST, dashboard, path, &cookie)
}

fn json_with(tracker: &Observed, path: &str) -> Value {
    let answer = request(tracker.dashboard, path, &format!("Authorization: Bearer {}\r\n", tracker.token));
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|_| panic!("{answer}"))
}

/// A user in the list of the API.
fn user(tracker: &Observed, name: &str) -> Value {
    let list = json_with(tracker, "/api/v1/users");
    list["users"].as_array().unwrap().iter().find(|user| user["name"] == name).unwrap().clone()
}

#[test]
fn who_announces_needs_a_key_that_is_valid() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, folder) = (data.path(), folder.path());
    fs::write(folder.join("film.mp4"), "a film").unwrap();
    let said = succeeded(users(&["add", "anna"], data));
    let anna = key(&said).to_owned();
    let tracker = for_users(data, folder);
    let port = tracker.dashboard.port();
    let refusal = format!("this announce URL is not valid: get the .torrent again from http://127.0.0.1:{port}/");
    let refused = |key: &str| {
        let answer = get(tracker.tracker.address, &target(key, 7001, 0, "started"));
        answer.contains(&refusal) && answer.contains("8:intervali300e")
    };
    for wrong in ["", "0", "00112233445566778899aabbccddeeff", &anna.replace(|digit| digit != '/', "0")] {
        assert!(refused(wrong), "{wrong}");
    }
    assert!(!refused(&anna));
    let udp = |path: &str| answer_over_udp(Ipv4Addr::LOCALHOST, tracker.tracker.address, INFO_HASH, 7002, 0, path);
    assert_eq!(udp(&format!("/announce/{anna}"))[..4], [0, 0, 0, 1]);
    for wrong in ["", "/announce", "/announce/00112233445566778899aabbccddeeff"] {
        assert!(String::from_utf8_lossy(&udp(wrong)).contains(&refusal), "{wrong}");
    }
    let scrape = |key| get(tracker.tracker.address, &format!("/scrape/{key}?info_hash={INFO_HASH}"));
    assert!(scrape("").contains("this scrape URL is not valid") && scrape(&anna).contains("8:completei2e"));

    // What is done beside the running tracker holds within a second or so.
    succeeded(users(&["off", "anna"], data));
    wait_until("she is switched off", || refused(&anna));
    succeeded(users(&["on", "anna"], data));
    wait_until("she is switched on", || !refused(&anna));
    let said = succeeded(users(&["key", "anna"], data));
    wait_until("the old key is not valid", || refused(&anna));
    assert!(!refused(key(&said)));
    succeeded(users(&["limit", "anna", "--torrents", "1"], data));
    // Another torrent each time.
    let mut others = (0x36..0x7e)
        .map(|first| target(key(&said), 7003, 0, "started").replace("info_hash=%35", &format!("info_hash=%{first:x}")));
    let limit = "limit of torrents at the same time (1) is reached";
    wait_until("the limit holds", || get(tracker.tracker.address, &others.next().unwrap()).contains(limit));
    succeeded(users(&["remove", "anna"], data));
    wait_until("she is gone", || refused(key(&said)));
    let mut tracker = tracker;
    assert!(tracker.tracker.stop("TERM").success());
    let log = tracker.tracker.log.rest();
    assert!(log.iter().all(|line| !line.contains(&anna) && !line.contains(key(&said))), "{log:?}");
    assert!(log.iter().any(|line| line.contains("this announce URL is not valid")));
}

#[test]
fn what_is_downloaded_has_the_key_of_who_downloads_it() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, folder) = (data.path(), folder.path());
    fs::write(folder.join("film.mp4"), "a film").unwrap();
    let said = succeeded(users(&["add", "anna"], data));
    let (anna, secret_word) = (key(&said).to_owned(), said.lines().nth(1).unwrap().trim().to_owned());
    let ben = password(users(&["add", "ben"], data));
    let tracker = for_users(data, folder);
    let dashboard = tracker.dashboard;
    let info_hash = || {
        let list = json_with(&tracker, "/api/v1/torrents");
        list["items"].get(0).map(|torrent| torrent["info_hash"].as_str().unwrap().to_owned())
    };
    wait_until("the file is shared", || info_hash().is_some());
    let path = format!("/api/v1/torrents/{}/torrent", info_hash().unwrap());
    assert!(get(dashboard, &path).starts_with("HTTP/1.1 401 "));

    let torrent_of = |secret: &str| {
        let answer = get_as(dashboard, secret, &path);
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        Metainfo::parse(&answer[at..]).unwrap_or_else(|_| panic!("{}", answer.escape_ascii()))
    };
    let urls = |torrent: &Metainfo| torrent.trackers().iter().flatten().cloned().collect::<Vec<_>>();
    let of_anna = torrent_of(&secret(&sign_in(dashboard, "anna", &secret_word)));
    let of_ben = torrent_of(&secret(&sign_in(dashboard, "ben", &ben)));
    assert!(of_anna.info().private());
    let announce_urls = urls(&of_anna);
    assert!(
        !announce_urls.is_empty() && announce_urls.iter().all(|url| url.starts_with("http://")),
        "{announce_urls:?}"
    );
    assert!(announce_urls.iter().all(|url| url.ends_with(&format!("/announce/{anna}"))), "{announce_urls:?}");
    assert!(urls(&of_ben).iter().all(|url| !url.contains(&anna)));
    // The operator's own have a key, too, which is valid.
    let with_token = format!("Authorization: Bearer {}\r\n", tracker.token);
    let of_operator = request(dashboard, &path, &with_token);
    let begin = of_operator.find("/announce/").expect("it has announce URLs") + "/announce/".len();
    let operator = of_operator[begin..begin + 32].to_owned();
    assert!(!get(tracker.tracker.address, &target(&operator, 7001, 0, "started")).contains("failure"));
    // The web seed wants a key as well.
    let seed = |key: &str| get(dashboard, &format!("/seed/{key}{}/film.mp4", info_hash().unwrap()));
    assert!(
        seed("").starts_with("HTTP/1.1 403 ") && seed(&format!("{}/", "0".repeat(32))).starts_with("HTTP/1.1 403 ")
    );
    assert!(seed(&format!("{anna}/")).ends_with("a film"), "{}", seed(&format!("{anna}/")));
}

#[test]
fn what_users_have_done_outlives_the_tracker() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, folder) = (data.path(), folder.path());
    let said = succeeded(users(&["add", "anna"], data));
    let anna = key(&said);
    let first = for_users(data, folder);
    for (uploaded, event) in [(0, "started"), (700, "")] {
        let answer = get(first.tracker.address, &target(anna, 7001, uploaded, event));
        assert!(!answer.contains("failure"), "{answer}");
    }
    let seen = user(&first, "anna");
    assert_eq!((&seen["uploaded"], &seen["seeds"], &seen["addresses"]), (&700.into(), &1.into(), &1.into()), "{seen}");
    assert!(seen["last_seen"].is_u64(), "{seen}");
    let page = request(first.dashboard, "/manage/users", &format!("Authorization: Bearer {}\r\n", first.token));
    assert!(page.contains("data-label=\"Uploaded\">700 B<") && page.contains("1 of 1"), "{page}");
    // By the API: another name, and the key stays.
    let path = format!("/api/v1/users/{}", seen["id"]);
    let body = r#"{"name":"Anna B.","max_addresses":3}"#;
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        first.token,
        body.len()
    );
    let answer = send("PATCH", first.dashboard, &path, &headers);
    assert!(answer.contains("\"name\":\"Anna B.\"") && answer.contains("\"max_addresses\":3"), "{answer}");
    let mut first = first;
    assert!(first.tracker.stop("TERM").success());
    drop(first);

    let second = for_users(data, folder);
    let again = user(&second, "Anna B.");
    assert_eq!((&again["uploaded"], &again["id"]), (&700.into(), &seen["id"]), "{again}");
    assert!(again["last_seen"].as_u64().unwrap().abs_diff(seen["last_seen"].as_u64().unwrap()) <= 2, "{again} {seen}");
    let listed = succeeded(users(&["list"], data));
    assert!(listed.contains("on   Anna B.  uploaded 700 bytes") && listed.contains("addresses at most 3"), "{listed}");
    let answer = get(second.tracker.address, &target(anna, 7001, 900, ""));
    assert!(!answer.contains("failure"), "{answer}");
    // What it has said before is not known any more: nothing is counted twice.
    assert_eq!(user(&second, "Anna B.")["uploaded"], 700);
}

#[test]
fn users_need_a_place_where_they_are_kept() {
    let error = error_of(&["--users", "--data", "none"]);
    assert!(error.contains("`users` need a folder that keeps them"), "{error}");
    let data = tempfile::tempdir().unwrap();
    let error = error_of(&["--users", "--code", "4711", "--data", data.path().to_str().unwrap()]);
    assert!(error.contains("leave one of them out"), "{error}");
    let output = users(&["off", "anna"], data.path());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: there is no account anna\n");
    let typo = data.path().join("typo");
    assert!(!users(&["off", "anna"], &typo).status.success() && !typo.exists());
    let error = error_of(&["--users", "--viewers", "none", "--data", data.path().to_str().unwrap()]);
    assert!(error.contains("`viewers` is none"), "{error}");
}
