//! /health?verbose, for monitoring: what is broken is named, by its own line, until it is mended.

use std::fs;
use std::net::SocketAddr;

use crate::INFO_HASH;
use crate::client::{announce, get, post_with, request};
use crate::dashboard::{Observed, observed};
use crate::running::wait_until;

fn health(dashboard: SocketAddr) -> String {
    get(dashboard, "/health?verbose")
}

/// Waits for a line of the answer, which has the status 200.
fn until_line(dashboard: SocketAddr, start: &str) -> String {
    let mut answer = String::new();
    wait_until(start, || {
        answer = health(dashboard);
        answer.contains(&format!("\n{start}"))
    });
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

#[test]
fn health_names_what_is_broken_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    for name in ["share", "data"] {
        fs::create_dir(path(name)).unwrap();
    }
    let info_hash = format!("{INFO_HASH}\n");
    let files = [
        ("allow.txt", info_hash.as_str(), "oops", "[-]allow_list: allow.txt:1: expected an info-hash"),
        ("deny.txt", "", "oops", "[-]deny_list: deny.txt:1: expected an info-hash"),
        ("data/clients.txt", "deny -XL\n", "allow\n", "[-]client_list: clients.txt:1: after allow or deny"),
        (
            "data/operators.json",
            "{\"version\":2,\"accounts\":[]}",
            "{",
            "[-]accounts: the accounts in operators.json are damaged",
        ),
    ];
    for (name, good, ..) in files {
        fs::write(path(name), good).unwrap();
    }
    fs::write(path("names.csv"), "127.0.0.1,lab-01\n").unwrap();
    let flags = ["--data", &text("data"), "--allow-list", &text("allow.txt"), "--deny-list", &text("deny.txt")];
    let Observed { tracker, dashboard, .. } =
        observed(&[&flags[..], &["--names", &text("names.csv"), &text("share")]].concat());
    let well = health(dashboard);
    assert!(well.starts_with("HTTP/1.1 200 ") && well.ends_with("\nhealthy\n"), "{well}");
    let parts: Vec<_> = well.lines().filter_map(|line| line.strip_prefix("[+]")?.strip_suffix(" ok")).collect();
    let expected = [
        "swarms",
        "clients",
        "udp",
        "snapshot",
        "own_peer",
        "history",
        "share",
        "accounts",
        "allow_list",
        "deny_list",
        "client_list",
        "names",
        "open_files",
    ];
    assert_eq!(parts, expected);
    assert!(get(dashboard, "/health").ends_with("\r\n\r\nok\n"));
    let metrics = get(dashboard, "/metrics");
    for part in ["snapshot", "history"] {
        // From the start on: the first attempt to write may hang.
        assert!(metrics.contains(&format!("\ntracker_last_saved_timestamp_seconds{{part=\"{part}\"}} ")), "{metrics}");
    }
    // Without what is wrong: everybody who may announce may ask there.
    assert!(get(tracker.address, "/health?verbose").ends_with("\r\n\r\nok\n"));

    for (name, good, bad, line) in files {
        fs::write(path(name), bad).unwrap();
        let answer = until_line(dashboard, line);
        assert!(answer.ends_with("\ndegraded\n") && !answer.contains(&text("")), "{answer}");
        let part = line["[-]".len()..].split(':').next().unwrap();
        let metrics = get(dashboard, "/metrics");
        assert!(metrics.contains(&format!("\ntracker_healthy{{part=\"{part}\"}} 0\n")), "{metrics}");
        fs::write(path(name), good).unwrap();
        until_line(dashboard, "healthy");
    }

    fs::remove_file(path("names.csv")).unwrap();
    until_line(dashboard, "[-]names: names.csv cannot be read any more");
    fs::write(path("names.csv"), "127.0.0.1,lab-01\n").unwrap();
    until_line(dashboard, "healthy");

    fs::rename(path("share"), path("elsewhere")).unwrap();
    until_line(dashboard, "[-]share: the share folder cannot be read");
    fs::rename(path("elsewhere"), path("share")).unwrap();
    until_line(dashboard, "healthy");
}

#[test]
fn health_names_a_data_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let [data, elsewhere] = ["data", "elsewhere"].map(|name| folder.path().join(name));
    let Observed { tracker, dashboard, .. } = observed(&["--data", data.to_str().unwrap()]);
    fs::rename(&data, &elsewhere).unwrap();
    announce(tracker.address, INFO_HASH, 6881, 10, "started");
    announce(tracker.address, INFO_HASH, 6881, 0, "completed");
    let answer = until_line(dashboard, "[-]snapshot: the swarms cannot be written to the disk: ");
    assert!(!answer.contains(folder.path().to_str().unwrap()), "{answer}");
    fs::rename(&elsewhere, &data).unwrap();
    until_line(dashboard, "[+]snapshot ok");
}

#[test]
fn health_names_snapshots_that_fail_while_the_journal_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Observed { tracker, dashboard, .. } = observed(&["--data", data.to_str().unwrap()]);
    let in_the_way = data.join(".tracker-swarms.snapshot");
    fs::create_dir(&in_the_way).unwrap();
    let problem = "[-]snapshot: the swarms cannot be written to the disk: ";
    until_line(dashboard, problem);
    let journals = || {
        let files = fs::read_dir(&data).unwrap().map(|file| file.unwrap());
        let journals = files.filter(|file| file.file_name().to_string_lossy().contains("journal"));
        journals.map(|file| file.metadata().unwrap().len()).sum::<u64>()
    };
    // Once the second append is there, the first one is over.
    for port in [6881, 6882] {
        let before = journals();
        announce(tracker.address, INFO_HASH, port, 10, "started");
        announce(tracker.address, INFO_HASH, port, 0, "completed");
        wait_until("the journal is written", || journals() > before);
    }
    // This is seen by a look that begins after that.
    fs::write(data.join("clients.txt"), "allow\n").unwrap();
    let answer = until_line(dashboard, "[-]client_list");
    assert!(answer.contains(&format!("\n{problem}")), "{answer}");
    fs::remove_dir(&in_the_way).unwrap();
    until_line(dashboard, "[+]snapshot ok");
}

#[test]
fn health_is_503_only_without_servers_for_clients() {
    let Observed { tracker: _tracker, dashboard, token } = observed(&["--udp=false"]);
    assert!(!health(dashboard).contains("udp"), "there is no such part");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert!(post_with(dashboard, "/api/v1/tracker/stop", &bearer, b"").starts_with("HTTP/1.1 2"));
    let mut answer = String::new();
    wait_until("the tracker is unhealthy", || {
        answer = health(dashboard);
        answer.ends_with("\nunhealthy\n")
    });
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\n[-]clients: stopped on the dashboard\n"), "{answer}");
    assert!(get(dashboard, "/health").ends_with("\r\n\r\nunhealthy\n"));
    assert!(post_with(dashboard, "/api/v1/tracker/start", &bearer, b"").starts_with("HTTP/1.1 2"));
    until_line(dashboard, "healthy");
}

#[test]
fn health_is_for_those_who_may_see_the_metrics() {
    let Observed { tracker: _tracker, dashboard, token } = observed(&["--code", "4711", "--dashboard-token-always"]);
    for target in ["/health?verbose", "/health", "/metrics"] {
        assert!(get(dashboard, target).starts_with("HTTP/1.1 401 "), "{target}");
        let answer = request(dashboard, target, &format!("Authorization: Bearer {token}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
        let answer = get(dashboard, &format!("{target}{}code=4711", if target.contains('?') { '&' } else { '?' }));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
    }
}
