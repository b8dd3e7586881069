//! The pages under a base path.

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::support::network::Lan;
use crate::tracker::Tracker;

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn pages_under_a_base_path_stay_current_and_act() {
    let lan = Lan::new("basepath", &PROGRAMS);
    let machine = lan.host("tracker");
    let tracker = Tracker::start_with(&machine, &["--base-path", "/tracker", "--peer=false"]);
    let page = Browser::start(&lan.host("operator"));
    page.open(tracker.operator_url());
    assert_eq!(page.url(), tracker.page("/tracker/manage"));

    page.click("nav.tabs a[href$='/log']");
    page.wait_for_text("#lines", "Listening");
    assert_eq!(page.url(), tracker.page("/tracker/manage/log"));
    assert_eq!(tracker.ask("POST", "/tracker/api/v1/lessons", b"").status, 201);
    page.wait_for_text("#lines", "Lesson 2 has begun");
    let hidden = "return ['full', 'connection'].every((id) => document.getElementById(id).hidden)";
    assert_eq!(page.execute(hidden, &[]).unwrap(), true, "events come");

    page.open(&tracker.page("/tracker/manage/tracker"));
    page.click("#stop");
    page.click("#confirm-button");
    page.wait_for_text("#service", "The tracker is stopped");
    page.click("#start");
    page.wait_for_text("#service", "The tracker is running");
    assert_eq!(page.complaints(), [""; 0]);
}
