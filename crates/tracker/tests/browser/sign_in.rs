//! Where not everybody may look: a code, and accounts.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::browser::{Browser, Screen, Theme};
use crate::support::network::Lan;
use crate::support::torrent::Content;
use crate::tracker::Tracker;
use crate::{PROGRAMS, axe};

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn a_code_opens_the_page() {
    let lan = Lan::new("code", &PROGRAMS);
    let tracker = Tracker::start_sharing(&lan.host("tracker"), &["--code", "4711"]);
    let content = Content::write(tracker.share(), 1_000_000);
    let phone = Browser::start(&lan.host("phone"));
    phone.look_with(Screen::Phone, Theme::Light);
    phone.open(&tracker.page("/"));
    phone.wait_for_text("h1", "Sign in");
    check(&phone, "the code");
    phone.type_into("#code", "1234");
    phone.click("form.sign-in button");
    phone.wait_for_text(".problem", "The code is wrong.");
    check(&phone, "a wrong code");
    phone.type_into("#code", "4711");
    phone.click("form.sign-in button");
    phone.wait_for_text("h1", content.name());
    // The page follows what happens, also behind the code.
    phone.wait_for_text("#by-bittorrent", "Get it with BitTorrent");
    // But for the refusal of the wrong code.
    let complaints = phone.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("/login")), "{complaints:?}");

    // As from the QR code.
    let other = Browser::start(&lan.host("other"));
    other.open(&tracker.page("/?code=4711"));
    other.wait_for_text("h1", content.name());
    assert_eq!(other.url(), tracker.page("/"), "the code does not stay in the address bar");
    other.open(&tracker.page("/beamer"));
    other.wait_for_text(".beamer-url", "Code: 4711");
    let encoded = other.attribute(".beamer-code", "alt").unwrap();
    assert!(encoded.ends_with("/?code=4711"), "{encoded}");
}

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn an_operator_signs_in_and_out() {
    let lan = Lan::new("accounts", &PROGRAMS);
    let machine = lan.host("tracker");
    let data = machine.make_folder("data");
    let password = add("anna", &data);
    let tracker = Tracker::start_sharing(&machine, &["--viewers", "login", "--data", data.to_str().unwrap()]);
    let content = Content::write(tracker.share(), 1_000_000);
    let page = Browser::start(&lan.host("operator"));
    // Also where scripts do not run.
    for scripts in [true, false] {
        page.run_scripts(scripts);
        page.open(&tracker.page("/manage/tracker"));
        page.wait_for_text("h1", "Sign in");
        if scripts {
            check(&page, "an account");
        }
        page.type_into("#name", "anna");
        page.type_into("#password", &password);
        page.click("form.sign-in button");
        page.wait_for_text("#sessions", "anna");
        assert_eq!(page.url(), tracker.page("/manage/tracker"));
        page.open(&tracker.page("/"));
        page.wait_for_text("h1", content.name());
        page.click("footer a[href='/login']");
        page.wait_for_text("main", "You are signed in as anna.");
        page.click("form[action='/logout'] button");
        page.wait_until("the form to sign in", || {
            ensure!(page.count("#password")? == 1, "{}", page.url());
            Ok(())
        });
        page.open(&tracker.page("/"));
        page.wait_for_text("h1", "Sign in");
    }
}

/// Adds an account, and returns its password.
fn add(name: &str, data: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracker"));
    let output = command.args(["operators", "add", name, "--data"]).arg(data).output().expect("it can be run");
    let said = String::from_utf8(output.stdout).expect("it prints text");
    said.lines().find_map(|line| line.strip_prefix("    ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Checks that everybody can use the page, in the dark, too.
fn check(page: &Browser, name: &str) {
    for theme in [Theme::Light, Theme::Dark] {
        page.look_with(Screen::Phone, theme);
        axe::check(page, &format!("{name}, {theme:?}"));
    }
}

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn an_operator_makes_users_who_get_torrents_of_their_own() {
    let lan = Lan::new("users", &PROGRAMS);
    let machine = lan.host("tracker");
    let data = machine.make_folder("data");
    let password = add("anna", &data);
    let tracker = Tracker::start_sharing(&machine, &["--users", "--data", data.to_str().unwrap()]);
    let content = Content::write(tracker.share(), 1_000_000);
    let page = Browser::start(&lan.host("operator"));
    let sign_in = |browser: &Browser, name: &str, password: &str| {
        browser.wait_for_text("h1", "Sign in");
        browser.type_into("#name", name);
        browser.type_into("#password", password);
        browser.click("form.sign-in button");
    };
    page.open(&tracker.page("/manage/users"));
    sign_in(&page, "anna", &password);
    page.wait_for_text("h1", "Users");
    page.type_into("#new-name", "ben");
    page.click("form.filters button");
    page.wait_for_text("#drawn-title", "The password of ben");
    check(&page, "a new user");
    let password = page.text("#drawn code").expect("the password is shown");
    page.click("tbody tr:nth-of-type(2) a");
    page.wait_for_text("#editing-title", "Change ben");
    check(&page, "the form of a user");
    page.type_into("#max-torrents", "7");
    page.click("form.naming button");
    page.wait_for_text("#list", "at most 7 files");
    check(&page, "the users");
    assert!(page.complaints().is_empty(), "{:?}", page.complaints());

    let ben = Browser::start(&lan.host("ben"));
    ben.open(&tracker.page("/"));
    sign_in(&ben, "ben", &password);
    ben.wait_for_text("h1", content.name());
    ben.wait_for_text("#by-bittorrent", "Get it with BitTorrent");
    ben.wait_until("a magnet link with a key", || {
        let link = ben.attribute("a[href^='magnet:']", "href")?;
        ensure!(link.contains("%2Fannounce%2F"), "{link}");
        Ok(())
    });
}
