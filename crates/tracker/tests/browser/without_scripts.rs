//! Tests of the pages with scripts disabled.

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::classroom::Classroom;
use crate::support::network::Lan;
use crate::tracker::Tracker;

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn pages_show_the_state_without_scripts() {
    let lan = Lan::new("scriptless", &PROGRAMS);
    let machine = lan.host("tracker");
    let torrents = machine.make_folder("torrents");
    let mut classroom = Classroom::new(&lan, &torrents, &machine.make_folder("share"));
    // Nobody listens at the addresses of the classroom, which the own peer would report.
    let tracker = Tracker::start_with(&machine, &["--torrents", &torrents.display().to_string(), "--peer=false"]);
    classroom.announce(&tracker);
    let page = Browser::start(&lan.host("operator"));
    page.run_scripts(false);
    page.open(tracker.operator_url());

    let expected = [
        ("home", "#offers", "Chemistry films.mkv"),
        ("home", "#offers", "1.4 GB"),
        ("get", "h1", "lab-image-2026-11.img"),
        ("get", "#by-bittorrent", "Get it with BitTorrent"),
        ("beamer", "#beamer", "Blender course"),
        ("beamer of a file", "h1", "lab-image-2026-11.img"),
        ("tracker", "#service", "The tracker is running"),
        ("tracker", "#urls", &tracker.announce_url()),
        ("files", "#attention", "Chemistry films.mkv"),
        ("files", "#list", "Field recordings.flac"),
        ("file", "h1", "lab-image-2026-11.img"),
        ("file", "#source", "1.4 GB"),
        ("file", "#computers", "10.77.0.101"),
        ("computers", "#list", "10.77.0.101"),
        ("report", "#files", "lab-image-2026-11.img"),
        ("share", "main", "The share folder is"),
        ("by hand", "#entries", "lab-image-2026-11.img"),
        ("log", "#lines", " began "),
        ("not found", "main", "does not know this file"),
    ];
    for (name, path) in tracker.pages(classroom.main_torrent()) {
        page.open(&tracker.page(&path));
        assert_eq!(page.seen("noscript p").unwrap(), 1, "{name} says that it stands still");
        assert_eq!(page.seen(".needs-script").unwrap(), 0, "{name} offers what does not work");
        let mut looked = 0;
        for (_, selector, wanted) in expected.iter().filter(|(page, ..)| *page == name) {
            page.wait_for_text(selector, wanted);
            looked += 1;
        }
        assert!(looked > 0, "nothing is expected of {name}");
    }

    // The numbers are in the page, and the plot is drawn.
    page.open(&tracker.page("/manage/tracker"));
    let numbers = page.text("#numbers").unwrap();
    let counts = tracker.api("/api/v1/status");
    for (name, value) in [("Seeders", &counts["seeders"]), ("Leechers", &counts["leechers"])] {
        assert!(numbers.contains(&format!("{name}\n{value}")), "{name} should be {value}: {numbers}");
    }
    assert!(page.seen("#plot-peers svg").unwrap() > 0);

    // Forms and links work as they are.
    page.open(&tracker.page("/manage"));
    page.type_into("#search", "blender");
    page.click("form.filters button[type=submit]");
    page.wait_for_text("#found", "1");
    page.wait_for_text("#list", "Blender course, lesson 3.zip");
    assert!(!page.text("#list").unwrap().contains("Field recordings"));
}
