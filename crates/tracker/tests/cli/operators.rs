//! `tracker operators`, and signing in with what it makes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use crate::client::{post_with, request};
use crate::dashboard::{Observed, observed};
use crate::running::{Tracker, tracker, wait_until};
use crate::succeeded;

fn operators(arguments: &[&str], data: &Path) -> Output {
    tracker().arg("operators").args(arguments).args(["--data", data.to_str().unwrap()]).output().unwrap()
}

/// The password that a command has printed.
pub(crate) fn password(output: Output) -> String {
    let said = succeeded(output);
    said.lines().find_map(|line| line.strip_prefix("    ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Nobody is an operator here only for being on this machine.
fn narrowed(data: &Path) -> Observed {
    observed(&["--data", data.to_str().unwrap(), "--viewers", "login", "--dashboard-token-always"])
}

pub(crate) fn sign_in(dashboard: SocketAddr, name: &str, password: &str) -> String {
    let form = format!("name={name}&password={password}");
    let headers = "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    post_with(dashboard, "/login", headers, form.as_bytes())
}

/// The secret in the cookie that an answer sets.
pub(crate) fn secret(answer: &str) -> String {
    let cookie =
        answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("{answer}"));
    cookie.split([';', '=']).nth(1).unwrap().to_owned()
}

/// What somebody with this secret sees on the operator's page.
fn look(dashboard: SocketAddr, secret: &str) -> String {
    let headers = format!("Accept: text/html\r\nCookie: tracker-{}={secret}\r\n", dashboard.port());
    request(dashboard, "/manage/tracker", &headers)
}

#[test]
fn who_has_an_account_stays_signed_in_until_that_is_reset() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let mut command = tracker();
    command.args(["--dashboard", "--viewers", "login", "--dashboard-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data);
    let nobody = Tracker::spawn(command);
    assert!(nobody.log.wait_for(|line| line.contains("nobody can sign in yet")).contains("operators add"));
    drop(nobody);
    let first = narrowed(data);
    let anna = password(operators(&["add", "anna"], data));
    password(operators(&["add", "ben", "--role", "viewer"], data));
    assert_eq!(succeeded(operators(&["list"], data)), "operator  anna\nviewer    ben\n");
    assert!(look(first.dashboard, "none").contains("location: /login?next=%2Fmanage%2Ftracker\r\n"));
    let answer = sign_in(first.dashboard, "anna", &anna);
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let secret = secret(&answer);
    assert!(look(first.dashboard, &secret).contains("Signed in"));
    let token = first.token.clone();
    drop(first);

    // After a restart the token is another one, and she is still signed in.
    let second = narrowed(data);
    assert_ne!(second.token, token);
    let page = look(second.dashboard, &secret);
    assert!(page.contains("Signed in") && page.contains("anna"), "{page}");
    let wrong = sign_in(second.dashboard, "ben", &anna);
    assert!(wrong.starts_with("HTTP/1.1 403 ") && wrong.contains("The name or the password is wrong."), "{wrong}");
    let new = password(operators(&["reset", "anna"], data));
    wait_until("she is signed out", || look(second.dashboard, &secret).starts_with("HTTP/1.1 303 "));
    assert!(sign_in(second.dashboard, "anna", &anna).starts_with("HTTP/1.1 403 "));
    assert!(sign_in(second.dashboard, "anna", &new).starts_with("HTTP/1.1 303 "));
    succeeded(operators(&["remove", "anna"], data));
    assert!(sign_in(second.dashboard, "anna", &new).starts_with("HTTP/1.1 403 "));
    // No secret is in the log, nor in what is kept.
    drop(second);
    for file in ["operators.json", "sessions.json"] {
        let text = fs::read_to_string(data.join(file)).unwrap();
        assert!([&anna, &new, &secret].iter().all(|hidden| !text.contains(&***hidden)), "{file}: {text}");
    }
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let data = tempfile::tempdir().unwrap();
    let error = |arguments: &[&str]| {
        let output = operators(arguments, data.path());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(error(&["reset", "anna"]), "error: there is no account anna\n");
    let nowhere = operators(&["list"], &data.path().join("typo"));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("there is no data folder"), "{:?}", nowhere.status);
    password(operators(&["add", "anna"], data.path()));
    assert_eq!(error(&["add", "anna"]), "error: there is an account anna already\n");
    assert!(error(&["add", " "]).contains("cannot be the name of an account"));
    fs::write(data.path().join("operators.json"), "{").unwrap();
    let damaged = error(&["list"]);
    assert!(damaged.contains("are damaged") && damaged.contains("operators.json"), "{damaged}");
    // A tracker serves without them, and lets nobody in whom it does not know.
    let mut command = tracker();
    command.args(["--dashboard", "--viewers", "login", "--dashboard-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data.path());
    let running = Tracker::spawn(command);
    assert!(running.log.wait_for(|line| line.contains("nobody can sign in")).contains("are damaged"));
    drop(running);
    assert_eq!(fs::read_to_string(data.path().join("operators.json")).unwrap(), "{");
}

/// As with the data folder of a service, whose accounts the operator makes as root.
#[cfg(unix)]
#[test]
fn the_accounts_belong_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("made");
    password(operators(&["add", "anna"], &folder));
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let is_root = chown(&folder, Some(12_345), Some(12_345)).is_ok();
    if is_root {
        password(operators(&["reset", "anna"], &folder));
        let owners = ["operators.json", "operators.lock"].map(|name| folder.join(name).metadata().unwrap().uid());
        assert_eq!(owners, [12_345; 2]);
    }
    assert_eq!(folder.join("operators.json").metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
