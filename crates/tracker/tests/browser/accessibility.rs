//! Everybody can use the pages: with a keyboard, a screen reader, on a phone, in the dark.

use anyhow::ensure;
use fantoccini::key::Key;
use serde_json::Value;

use crate::browser::{Browser, Screen, Theme};
use crate::classroom::Classroom;
use crate::support::network::Lan;
use crate::tracker::Tracker;
use crate::{PROGRAMS, axe};

/// More than any page has places to which the tabulator key leads before its content.
const MOST_TABS: usize = 30;

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn pages_are_accessible() {
    let lan = Lan::new("accessible", &PROGRAMS);
    let machine = lan.host("tracker");
    let torrents = machine.make_folder("torrents");
    let mut classroom = Classroom::new(&lan, &torrents, &machine.make_folder("share"));
    let tracker = Tracker::start_with(&machine, &["--torrents", &torrents.display().to_string()]);
    // Twice, for there are no rates before.
    classroom.announce(&tracker);
    classroom.announce(&tracker);
    let page = Browser::start(&lan.host("operator"));
    page.open(tracker.operator_url());

    let check_all = |state: &str| {
        for (name, path) in tracker.pages(classroom.main_torrent()) {
            for screen in [Screen::Desktop, Screen::Phone] {
                for theme in [Theme::Light, Theme::Dark] {
                    page.look_with(screen, theme);
                    page.open(&tracker.page(&path));
                    axe::check(&page, &format!("{name}, {state}, {screen:?}, {theme:?}"));
                    let width = page.execute("return document.documentElement.scrollWidth - innerWidth", &[]);
                    assert_eq!(width.unwrap(), 0, "{name}, {state}, {screen:?}: the page is wider than the screen");
                    if name == "beamer" && screen == Screen::Desktop {
                        let height = page.execute("return document.documentElement.scrollHeight - innerHeight", &[]);
                        assert_eq!(height.unwrap(), 0, "nobody scrolls what is on the wall");
                    }
                }
            }
        }
    };
    check_all("running");
    page.look_with(Screen::Desktop, Theme::Light);
    stop_by_keyboard(&page, &tracker);
    check_all("stopped");

    page.open(&tracker.page("/manage/tracker"));
    assert!(axe::finds_faults(&page), "a check that finds nothing anywhere is none");
}

/// Stops the tracker without a pointer, after having thought better of it once.
fn stop_by_keyboard(page: &Browser, tracker: &Tracker) {
    page.open(&tracker.page("/manage/tracker"));
    page.press(Key::Tab);
    assert_eq!(focused(page, "className"), "skip", "the first stop leads past the navigation");
    let tabs = (1..MOST_TABS).find(|_| {
        page.press(Key::Tab);
        focused(page, "id") == "stop"
    });
    tabs.expect("the tabulator key leads to what stops the tracker");

    page.press(Key::Enter);
    page.wait_for_text("#confirm-title", "Stop the tracker?");
    axe::check(page, "the question before stopping");
    page.press(Key::Escape);
    page.wait_until("the question to be gone", || {
        ensure!(page.seen("#confirm")? == 0, "it is there");
        Ok(())
    });
    assert_eq!(focused(page, "id"), "stop", "the focus comes back to where it was");
    assert!(page.text("#service-title").unwrap().contains("running"), "nothing was stopped");

    page.press(Key::Enter);
    page.wait_for_text("#confirm-title", "Stop the tracker?");
    page.press(Key::Tab);
    assert_eq!(focused(page, "id"), "confirm-button");
    page.press(Key::Enter);
    page.wait_for_text("#service-title", "The tracker is stopped");
    page.wait_until("the focus to go on from where it was", || {
        let focused = focused(page, "id");
        ensure!(focused == "start", "it is at {focused:?}");
        Ok(())
    });
}

/// A property of the element that has the focus.
fn focused(page: &Browser, property: &str) -> Value {
    page.execute("return document.activeElement[arguments[0]]", &[property.into()]).expect("something has the focus")
}
