//! The pictures of docs/images, which the README shows.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::PROGRAMS;
use crate::browser::{Browser, Screen, Theme};
use crate::classroom::Classroom;
use crate::support::network::Lan;
use crate::tracker::Tracker;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images");

/// The duration of the lesson before the screenshots: most of what a plot of ten minutes shows.
const LESSON: Duration = Duration::from_secs(400);

/// Bytes of a picture at most: they are read over slow lines, and stay in the repository.
const MOST_BYTES: u64 = 200_000;

/// Waits for an event of the stream that pages follow.
const EVENT: &str = "
    const [done] = arguments;
    const source = new EventSource('/api/v1/events');
    source.addEventListener('status', () => { source.close(); setTimeout(done, 300); }, { once: true });";

#[test]
#[ignore = "takes minutes and writes docs/images; needs root, network namespaces and what .ci/install-clients installs"]
fn pictures_for_the_readme() {
    let lan = Lan::new("pictures", &PROGRAMS);
    let machine = lan.host("tracker");
    let (torrents, share) = (machine.make_folder("torrents"), machine.make_folder("share"));
    let mut classroom = Classroom::new(&lan, &torrents, &share);
    let tracker = Tracker::start_with(&machine, &["--torrents", &torrents.display().to_string()]);
    let page = Browser::start(&lan.host("operator"));
    page.open(tracker.operator_url());
    let begin = Instant::now();
    while begin.elapsed() < LESSON {
        // They come in during the first half.
        classroom.announce_some(&tracker, begin.elapsed().as_secs_f64() / LESSON.as_secs_f64() * 2.0);
        // Not a wait for anything: a plot of a lesson needs one that lasts.
        thread::sleep(Duration::from_millis(300));
    }

    make_something(&page, &tracker);
    fs::create_dir_all(FOLDER).expect("a folder can be made");
    for (file, screen, theme) in [
        ("light", Screen::Desktop, Theme::Light),
        ("dark", Screen::Desktop, Theme::Dark),
        ("phone", Screen::Phone, Theme::Light),
    ] {
        page.look_with(screen, theme);
        for (name, path) in tracker.pages(classroom.main_torrent()) {
            if name == "not found" {
                continue;
            }
            page.open(&tracker.page(&path));
            // As soon as there are numbers of this second.
            classroom.announce_some(&tracker, 1.0);
            page.wait_until("the page to be alive", || page.execute_async(EVENT, &[]));
            let picture = Path::new(FOLDER).join(format!("{name}-{file}.png"));
            page.picture(&picture);
            let bytes = picture.metadata().expect("a picture was written").len();
            assert!(bytes <= MOST_BYTES, "{} has {bytes} bytes", picture.display());
        }
    }
}

/// Leaves a torrent that is made, and one in the making.
fn make_something(page: &Browser, tracker: &Tracker) {
    let handouts = tracker.share().join("Handouts");
    fs::create_dir(&handouts).expect("a folder can be made");
    for (folder, name, megabytes) in
        [(&*handouts, "Week 12.pdf", 3), (&*handouts, "Week 13.pdf", 5), (tracker.share(), "backup.tar", 60_000)]
    {
        let file = File::create(folder.join(name)).expect("a file can be made");
        file.set_len(megabytes * 1_000_000).expect("a file can have a hole");
    }
    page.open(&tracker.page("/manage/share/by-hand"));
    page.click("#entries [data-make='Handouts']");
    page.wait_for_text("#makings", "Done");
    page.click("#entries [data-make='backup.tar']");
    page.wait_for_text("#makings", "GB of");
}
