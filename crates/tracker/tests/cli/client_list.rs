//! The list of clients: a file that is re-read, and rules that are changed on the page.

use std::fs;
use std::path::Path;

use crate::client::{announce_target, get, post_with, send};
use crate::dashboard::{Observed, observed};
use crate::running::{Tracker, wait_until};
use crate::{INFO_HASH, error_of};

/// What the tracker says to a client that it does not serve.
const DENIED: &str = "this tracker does not serve this client or version";

fn started(data: &Path, flags: &[&str]) -> Observed {
    observed(&[&["--data", data.to_str().unwrap()], flags].concat())
}

fn is_denied(tracker: &Tracker) -> bool {
    let answer = get(tracker.address, &announce_target(INFO_HASH, 7001, 0, "started"));
    assert!(answer.contains(DENIED) || answer.contains("8:complete"), "{answer}");
    answer.contains(DENIED)
}

fn seeders(tracker: &Tracker) -> String {
    let hash: String = INFO_HASH.as_bytes().chunks(2).map(|hex| format!("%{}", hex.escape_ascii())).collect();
    get(tracker.address, &format!("/scrape?info_hash={hash}"))
}

/// The first characters of the peer ids in these tests.
fn prefix() -> String {
    let target = announce_target(INFO_HASH, 7001, 0, "started");
    target.split("peer_id=").nth(1).unwrap()[..3].to_owned()
}

#[test]
fn the_list_in_the_data_folder_is_followed_and_kept() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("clients.txt");
    let tracker = started(data.path(), &[]);
    assert!(!is_denied(&tracker.tracker));
    assert!(seeders(&tracker.tracker).contains("8:completei1e"));

    fs::write(&file, format!("# Not these.\ndeny {}\n", prefix())).unwrap();
    wait_until("the file is read", || is_denied(&tracker.tracker));
    wait_until("the peer is gone", || seeders(&tracker.tracker).contains("8:completei0e"));

    // What an editor leaves half-written changes nothing.
    fs::write(&file, "allow\n").unwrap();
    let mut tracker = tracker;
    let line = tracker.tracker.log.wait_for(|line| line.contains("stays in force"));
    assert!(
        line.contains("clients.txt:1: after allow or deny") && !line.contains(data.path().to_str().unwrap()),
        "{line}"
    );
    assert!(is_denied(&tracker.tracker));
    fs::write(&file, format!("# Not these.\ndeny {}\n", prefix())).unwrap();

    assert!(tracker.tracker.stop("TERM").success());
    let again = started(data.path(), &[]);
    assert!(is_denied(&again.tracker), "it is kept");
    let path = format!("/api/v1/clients?verdict=deny&clients={}", prefix());
    let authorization = format!("Authorization: Bearer {}\r\n", again.token);
    let answer = send("DELETE", again.dashboard, &path, &authorization);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    wait_until("the rule is removed", || !is_denied(&again.tracker));
    assert_eq!(fs::read_to_string(&file).unwrap(), "# Not these.\n");

    let body = format!(r#"{{"verdict":"deny","clients":"{}","note":"a guest"}}"#, prefix());
    let headers = format!("{authorization}Content-Type: application/json\r\n");
    let answer = post_with(again.dashboard, "/api/v1/clients", &headers, body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    wait_until("the rule holds", || is_denied(&again.tracker));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("# Not these.\ndeny {}  # a guest\n", prefix()));
}

#[test]
fn a_list_that_cannot_be_used_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    fs::write(&file, "deny -XL\ndeny 10.0.0.0/99\n").unwrap();
    let error = error_of(&["--client-list", file.to_str().unwrap()]);
    assert!(error.contains("rules:2: \"10.0.0.0/99\" is neither an address nor a network"), "{error}");
}
