//! What links, forms and buttons change on a page in place.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::classroom::Classroom;
use crate::support::host::Host;
use crate::support::network::Lan;
use crate::tracker::Tracker;

/// One more than the page of a folder has at most.
const FILES: usize = 201;

/// The address that the tracker's machine has after it has moved.
const NEW_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn controls_change_what_is_shown() {
    let lan = Lan::new("controls", &PROGRAMS);
    let machine = lan.host("tracker");
    let (torrents, share) = (machine.make_folder("torrents"), machine.make_folder("share"));
    let mut classroom = Classroom::new(&lan, &torrents, &share);
    fs::create_dir(share.join("course")).expect("a folder can be made");
    for number in 1..=FILES {
        fs::write(share.join(format!("course/{number}.txt")), "x").expect("a file can be written");
    }
    let tracker = Tracker::start_with(&machine, &["--torrents", &torrents.display().to_string()]);
    classroom.announce(&tracker);
    // On this machine, so that its pages have the best address in place of the one by which it came.
    let page = Browser::start(&machine);
    page.open(tracker.operator_url());

    choose_files_of_a_folder(&page, &tracker);
    sort_and_search(&page, &tracker);
    choose_a_lesson(&page, &tracker);
    name_a_computer(&page, &tracker);
    page.open(&tracker.page("/manage/tracker"));
    page.wait_for_text("#spans [aria-current]", "10 min");
    page.click("#spans a[href$='2h']");
    page.wait_for_text("#spans [aria-current]", "2 h");
    follow_a_new_address(&page, &machine);
}

fn choose_files_of_a_folder(page: &Browser, tracker: &Tracker) {
    page.open(&tracker.page("/manage/share/by-hand"));
    page.click("#entries [data-make='course']");
    page.click("#makings [aria-label='Open course']");
    page.click("#offers a[href^='/files/']");
    page.wait_for_text("main", "201 files");
    assert_eq!(page.count("input[name=file]").unwrap(), FILES - 1);
    page.click("nav.pages a");
    page.wait_for_text("nav.pages", "Page 2 of 2");
    page.wait_for_text(".folder-files", "201.txt");
    assert_eq!(page.count("input[name=file]").unwrap(), 1);
    page.click(".selection button");
    page.wait_for_text("#notice", "Select one or more files first");
    page.click("#select-all");
    let selected = page.execute("return document.querySelectorAll('input[name=file]:checked').length", &[]);
    assert_eq!(selected.unwrap(), 1);
}

fn sort_and_search(page: &Browser, tracker: &Tracker) {
    page.open(&tracker.page("/manage"));
    page.wait_for_text("#list tbody tr", "Blender course");
    page.click("#list thead a[href*='sort=size']");
    page.wait_for_text("#list tbody tr", "Chemistry films.mkv");
    page.type_into("#search", "debian");
    page.wait_for_text("#found", "1 file found");
    page.wait_for_text("#list tbody tr", "debian-13.2.0");
}

fn choose_a_lesson(page: &Browser, tracker: &Tracker) {
    let csv = || page.attribute("#head a[href*='csv']", "href");
    page.open(&tracker.page("/manage/report"));
    page.wait_for_text("h1", "Report of lesson 1");
    page.wait_for_text("#files", "lab-image-2026-11.img");
    assert_eq!(page.count("#lesson").unwrap(), 0, "there is nothing to choose");

    // Somebody else begins the next one.
    assert_eq!(tracker.ask("POST", "/api/v1/lessons", b"").status, 201);
    page.wait_for_text("h1", "Report of lesson 2");
    assert_eq!(csv().unwrap(), "/api/v1/lessons/2?format=csv");
    page.click("#lesson option[value='1']");
    page.wait_for_text("h1", "Report of lesson 1");
    assert_eq!(csv().unwrap(), "/api/v1/lessons/1?format=csv");

    page.click("[data-post='/api/v1/lessons']");
    page.click("#confirm-button");
    page.wait_for_text("h1", "Report of lesson 3");
    assert_eq!(page.count("#lesson option").unwrap(), 3);
    page.wait_for_text("#lesson option:checked", "3 (current)");
}

fn name_a_computer(page: &Browser, tracker: &Tracker) {
    page.open(&tracker.page("/manage/computers"));
    page.wait_for_text("#found", "30 computers");
    page.type_into("#search", "10.77.0.105");
    page.wait_for_text("#found", "1 found");
    page.click("#list a[href*='name=']");
    page.type_into("#name", "front desk");
    page.click("form.naming button[type=submit]");
    page.wait_for_text("#list tbody tr", "front desk");
    page.wait_for_text("#found", "1 found");
}

/// The page tells the address by which others reach it, also when that changes.
fn follow_a_new_address(page: &Browser, machine: &Host) {
    page.open("http://127.0.0.1:6970/manage/tracker");
    page.wait_for_text("#page-url .url", &machine.address.to_string());
    for (change, address) in [("del", machine.address), ("add", NEW_ADDRESS)] {
        let address = format!("{address}/24");
        let arguments = ["-n", &machine.namespace, "address", change, &address, "dev", "eth0"];
        assert!(Command::new("ip").args(arguments).status().expect("ip can be run").success());
    }
    page.wait_for_text("#page-url .url", &NEW_ADDRESS.to_string());
    let code = page.attribute("#page-url img", "src").unwrap();
    assert!(code.contains(&NEW_ADDRESS.to_string()), "the browser fetches another QR code: {code}");
}
