//! A tracker under a path, as behind a reverse proxy.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::{announce_target, get, post_with, request};
use crate::dashboard::{Observed, observed};
use crate::operators::{password, secret};
use crate::running::{PATIENCE, tracker};
use crate::{INFO_HASH, error_of};

const BROWSER: &str = "Accept: text/html\r\n";

/// The first event of a stream.
fn first_event(address: SocketAddr, target: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.find(|line| line.starts_with("event:")).unwrap_or_default()
}

#[test]
fn all_of_it_is_under_the_base_path_and_linked_there() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let anna = password(tracker().args(["operators", "add", "anna", "--data", data]).output().unwrap());
    let flags = ["--base-path", "/tracker", "--viewers", "login", "--dashboard-token-always", "--data", data];
    let Observed { tracker, dashboard, token } = observed(&flags);

    let entered = request(dashboard, &format!("/tracker/?token={token}"), BROWSER);
    assert!(entered.contains("location: /tracker/manage\r\n") && entered.contains("; Path=/tracker\r\n"), "{entered}");
    let led = request(dashboard, "/tracker/manage/log", BROWSER);
    assert!(led.contains("location: /tracker/login?next=%2Fmanage%2Flog\r\n"), "{led}");
    let page = request(dashboard, "/tracker/login", BROWSER);
    let style = page.split("href=\"").find(|rest| rest.contains("page.css")).unwrap().split('"').next().unwrap();
    assert!(style.starts_with("/tracker/assets/"), "{page}");
    // A proxy may remove the path.
    for target in [style, style.strip_prefix("/tracker").unwrap()] {
        assert!(get(dashboard, target).contains("content-type: text/css"), "{target}");
    }
    let form = format!("name=anna&password={anna}&next=%2Fmanage%2Flog");
    let headers = format!("{BROWSER}Content-Type: application/x-www-form-urlencoded\r\n");
    let signed_in = post_with(dashboard, "/tracker/login", &headers, form.as_bytes());
    assert!(signed_in.contains("location: /tracker/manage/log\r\n"), "{signed_in}");
    assert!(signed_in.contains("; Path=/tracker; "), "{signed_in}");
    let cookie = format!("{BROWSER}Cookie: tracker-{}={}\r\n", dashboard.port(), secret(&signed_in));
    let log = request(dashboard, "/tracker/manage/log", &cookie);
    assert!(log.starts_with("HTTP/1.1 200 ") && log.contains("action=\"/tracker/manage/log\""), "{log}");
    assert_eq!(first_event(dashboard, "/tracker/api/v1/events", &cookie), "event: tracker");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert!(request(dashboard, "/tracker/api/v1/status", &bearer).starts_with("HTTP/1.1 200 "));
    let other = request(dashboard, "/trackers/api/v1/status", &bearer);
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");

    let target = announce_target(INFO_HASH, 6881, 0, "started");
    for target in [format!("/tracker{target}"), target] {
        let answer = get(tracker.address, &target);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("8:completei1e"), "{target}: {answer}");
    }
    let scrape = get(tracker.address, "/tracker/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa");
    assert!(scrape.contains("5:filesd"), "{scrape}");
}

#[test]
fn a_path_that_cannot_be_one_ends_it_with_advice() {
    for (path, words) in [
        ("tracker", "begins with a slash"),
        ("/tracker/", "does not end with a slash"),
        ("/manage", "choose another path, such as /tracker"),
        ("/a b", "write letters, digits"),
    ] {
        let error = error_of(&["--base-path", path]);
        assert!(error.contains(words), "{path}: {error}");
    }
}
