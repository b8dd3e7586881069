//! The pictures of docs/images, which the README shows.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::PROGRAMS;
use crate::browser::{Browser, Screen, Theme};
use crate::classroom::Classroom;
use crate::support::network::Lan;
use crate::tracker::Tracker;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images");

/// The pictures: the name of the page and how it is looked at.
const PICTURES: [(&str, Screen, Theme); 5] = [
    ("files", Screen::Desktop, Theme::Light),
    ("file", Screen::Desktop, Theme::Dark),
    ("report", Screen::Desktop, Theme::Light),
    ("beamer", Screen::Desktop, Theme::Light),
    ("get", Screen::Phone, Theme::Dark),
];

/// The duration of the lesson before the screenshots: most of what a plot of ten minutes shows.
const LESSON: Duration = Duration::from_secs(400);

/// Bytes of a picture at most: they are read over slow lines, and stay in the repository.
const MOST_BYTES: u64 = 200_000;

#[test]
#[ignore = "takes minutes and writes docs/images; needs root, network namespaces and what .ci/install-clients installs"]
fn pictures_for_the_readme() {
    let lan = Lan::new("pictures", &PROGRAMS);
    let machine = lan.host("tracker");
    Classroom::fill(&machine.make_folder("share"));
    let names = machine.folder.join("names.csv");
    fs::write(&names, Classroom::names()).expect("a names file can be written");
    // Nobody listens at the addresses of the classroom, which the own peer would report.
    let tracker = Tracker::start_sharing(&machine, &["--names", &names.display().to_string(), "--peer=false"]);
    let mut classroom = Classroom::of_shared(&lan, &tracker);
    let page = Browser::start(&lan.host("operator"));
    page.open(tracker.operator_url());
    let begin = Instant::now();
    while begin.elapsed() < LESSON {
        // They come in during the first half.
        classroom.announce_some(&tracker, begin.elapsed().as_secs_f64() / LESSON.as_secs_f64() * 2.0);
        // Not a wait for anything: a plot of a lesson needs one that lasts.
        thread::sleep(Duration::from_millis(300));
    }

    fs::create_dir_all(FOLDER).expect("a folder can be made");
    let pages = tracker.pages(classroom.main_torrent());
    for (name, screen, theme) in PICTURES {
        let (_, path) = pages.iter().find(|(page, _)| *page == name).expect("there is such a page");
        page.look_with(screen, theme);
        // As soon as there are numbers of this second.
        classroom.announce_some(&tracker, 1.0);
        page.open(&tracker.page(path));
        let picture = Path::new(FOLDER).join(format!("{name}.png"));
        page.picture(&picture);
        let bytes = picture.metadata().expect("a picture was written").len();
        assert!(bytes <= MOST_BYTES, "{} has {bytes} bytes", picture.display());
    }
}
