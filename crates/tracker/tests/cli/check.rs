//! `tracker check`.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use serde_json::Value;

use crate::client::post;
use crate::dashboard::observed;
use crate::running::{Tracker, tracker};
use crate::succeeded;
use crate::tls::{Certificate, Files};

const HERE: &str = "127.0.0.1:0";

fn check(flags: &[&str]) -> Output {
    tracker().arg("check").args(flags).output().unwrap()
}

/// The findings as JSON, and whether the exit code says that all works.
fn findings(flags: &[&str]) -> (Vec<Value>, bool) {
    let output = check(&[flags, &["--format", "json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let is_working = report["wrong"] == 0;
    assert_eq!(output.status.code(), Some(if is_working { 0 } else { 1 }), "{report}");
    (report["findings"].as_array().unwrap().clone(), is_working)
}

/// The kinds and the texts of what was found about this.
#[track_caller]
fn found(findings: &[Value], check: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_check = findings.iter().filter(|finding| finding["check"] == check);
    let found: Vec<_> = of_check.map(|finding| (text(&finding["kind"]), text(&finding["text"]))).collect();
    assert!(!found.is_empty(), "{check}: {findings:?}");
    found
}

#[test]
fn a_set_up_that_works_has_lines_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let share = folder.path().join("share");
    fs::create_dir(&share).unwrap();
    fs::write(share.join("film.mkv"), "film").unwrap();
    let data = folder.path().join("data");
    let (share, data) = (share.to_str().unwrap(), data.to_str().unwrap());
    let flags = ["--listen", HERE, "--dashboard", "--dashboard-listen", HERE, "--data", data, share];
    let text = succeeded(check(&flags));
    for words in [
        "good     the settings can be used\n",
        "good     the ports for clients are free: 127.0.0.1:0\n",
        "good     the clock says ",
        &format!("good     files in {share} that can be shared: 1, 4 bytes"),
        &format!("good     the data folder {data} can be written into; room left: "),
        "\nNothing is wrong. Warnings: ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!folder.path().join("data").exists(), "a check changes nothing");
}

#[test]
fn a_port_of_another_program_is_wrong_and_one_of_a_tracker_is_not() {
    let taken = TcpListener::bind(HERE).unwrap();
    let (of_other, is_working) = findings(&["--listen", &taken.local_addr().unwrap().to_string()]);
    let ports = found(&of_other, "ports");
    assert!(!is_working && ports[0].0 == "wrong" && ports[0].1.starts_with("cannot listen on"), "{ports:?}");

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let tracker = Tracker::start_json(&["--data", data]);
    let address = tracker.address.to_string();
    let (of_tracker, is_working) = findings(&["--listen", &address, "--data", data]);
    let ports = found(&of_tracker, "ports");
    assert!(
        is_working
            && ports[0] == ("good".into(), format!("a tracker runs, and answers at the ports for clients: {address}")),
        "{ports:?}"
    );
    let text = format!("the tracker that runs uses the data folder {data}");
    assert_eq!(found(&of_tracker, "data"), [("good".into(), text)]);

    // A second tracker with ports of its own and the same folder.
    let (second, is_working) = findings(&["--listen", HERE, "--data", data]);
    assert!(!is_working && found(&second, "data")[0].0 == "wrong", "{second:?}");
}

#[test]
fn settings_come_from_everywhere_and_wrong_ones_are_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tracker.toml");
    fs::write(&file, "listen = '127.0.0.1:0'\nshare = 'missing'\ndashboard = true\ndashboard-listen = '127.0.0.1:0'\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let (of_file, is_working) = findings(&["--config", file, "--dashboard"]);
    let share = found(&of_file, "share");
    assert!(!is_working && share[0].0 == "wrong" && share[0].1.contains("there is no folder"), "{share:?}");

    fs::write(file, "listen = '127.0.0.1:0'\nno-such-setting = 1\n").unwrap();
    let output = check(&["--config", file]);
    let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(
        text.starts_with("WRONG ") && text.contains("tracker.toml:2: ") && output.status.code() == Some(1),
        "{text}"
    );
    assert_eq!(error, "error: the tracker would not work as it is set up; wrong: 1\n");
}

#[cfg(unix)]
#[test]
fn a_low_limit_on_open_files_is_a_warning() {
    let mut command = crate::running::without_settings("sh");
    command.args(["-c", "ulimit -n 128 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tracker")]);
    let text = succeeded(command.args(["check", "--listen", HERE]).output().unwrap());
    assert!(text.contains("warning  the limit of 128 open files of this shell leaves "), "{text}");
}

#[test]
fn a_tracker_that_is_stopped_on_its_dashboard_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let observed = observed(&["--data", data]);
    let (clients, dashboard) = (observed.tracker.address.to_string(), observed.dashboard.to_string());
    let flags = ["--listen", &clients, "--dashboard", "--dashboard-listen", &dashboard, "--data", data];
    let answers = ("good".to_owned(), format!("a tracker runs, and its dashboard answers at its ports: {dashboard}"));
    let (before, is_working) = findings(&flags);
    assert!(is_working && found(&before, "ports")[1] == answers, "{before:?}");

    let stopped = post(observed.dashboard, "/api/v1/tracker/stop", b"");
    assert!(stopped.starts_with("HTTP/1.1 20"), "{stopped}");
    let (after, is_working) = findings(&flags);
    let ports = found(&after, "ports");
    assert!(is_working && ports[0].1.starts_with("the ports for clients are free") && ports[1] == answers, "{after:?}");
    assert!(found(&after, "data")[0].1.starts_with("the tracker that runs uses"), "{after:?}");
}

#[test]
fn a_dashboard_over_tls_is_one_of_a_tracker() {
    let files = Files::of(&Certificate::draw());
    let tls = files.flags();
    let observed = observed(&tls);
    let (clients, dashboard) = (observed.tracker.address.to_string(), observed.dashboard.to_string());
    let (found_here, is_working) =
        findings(&[&["--listen", &clients, "--dashboard", "--dashboard-listen", &dashboard], &tls[..]].concat());
    let ports = found(&found_here, "ports");
    assert!(is_working && ports[1].1.starts_with("a tracker runs, and its dashboard answers"), "{ports:?}");
    let files = found(&found_here, "files");
    assert!(files[0].1.ends_with("can be read: `tls-cert` and `tls-key`"), "{files:?}");
}
