//! A teacher's lesson, from the first look at the page to the last.

use std::fs::{self, File};
use std::time::Instant;

use anyhow::{Context, ensure};
use metainfo::Metainfo;
use serde_json::{Value, json};

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::support::client::{Client, finish_download, seed};
use crate::support::network::Lan;
use crate::support::qbittorrent::QBittorrent;
use crate::support::torrent::{Content, Torrent, sha256};
use crate::support::transmission::Transmission;
use crate::tracker::Tracker;

const MB: u64 = 1_000_000;

/// Slow enough for a look at the leecher before it has everything, in bytes per second.
const SLOW: u32 = 500_000;

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn a_lesson() {
    let lan = Lan::new("lesson", &PROGRAMS);
    let machine = lan.host("tracker");
    let tracker = Tracker::start(&machine);
    let content = Content::write(tracker.share(), 50 * MB);
    let teacher = Browser::start(&lan.host("teacher"));
    let pupil = Browser::start(&lan.host("pupil"));
    pupil.open(&tracker.page("/manage/tracker"));

    log_in(&teacher, &tracker);
    stop(&teacher, &tracker);
    pupil.wait_for_text("#service-title", "The tracker is stopped");
    start_beside_another_program(&teacher, &tracker);
    pupil.wait_for_text("#service-title", "The tracker is running");

    let page = make_a_torrent(&teacher, &tracker);
    let torrent = download_the_torrent(&teacher, &tracker, &content);
    assert!(page.ends_with(torrent.info_hash()), "{page} is not the page of {}", torrent.info_hash());

    // One looks at the torrent, the other at the tracker.
    let before = Plot::of(&pupil).expect("there is a plot");
    let seeder_host = lan.host("seeder");
    let mut seeder = QBittorrent::start(&seeder_host);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    teacher.wait_for_text("#numbers", "1 of 1 have it");
    let row = wait_for_computer(&teacher, &seeder_host.address.to_string(), "Has it");
    assert!(row.contains("qBittorrent"), "{row}");
    let with_seeder = wait_for_plot(&pupil, &before, "Seeders", 1.0);

    let leecher_host = lan.host("leecher");
    let mut leecher = Transmission::start(&leecher_host);
    leecher.limit_download(Some(SLOW)).expect("a client takes a limit");
    let added = Instant::now();
    leecher.add(&torrent).expect("a client takes our torrent");
    teacher.wait_for_text("#numbers", "1 of 2 have it");
    let row = wait_for_computer(&teacher, &leecher_host.address.to_string(), "Is downloading");
    assert!(row.contains("Transmission"), "{row}");
    wait_for_plot(&pupil, &with_seeder, "Leechers", 1.0);

    leecher.limit_download(None).expect("a client takes a limit");
    finish_download(&mut leecher, &torrent, added);
    teacher.wait_for_text("#numbers", "2 of 2 have it");
    wait_for_computer(&teacher, &leecher_host.address.to_string(), "Has it");
    assert_eq!(teacher.count("#progress svg").unwrap(), 1, "there is a plot of how it went");

    // Both copies are what the page says they are.
    teacher.open(&tracker.page(&format!("/files/{}", torrent.info_hash())));
    let shown = teacher.wait_until("the page to show the SHA-256 of the content", || {
        let hash = teacher.attribute("#digests [data-copy]", "data-copy")?;
        ensure!(hash.len() == 64, "{hash}");
        Ok(hash)
    });
    for folder in [seeder.folder(), leecher.folder()] {
        assert_eq!(sha256(&folder.join(torrent.content().name())), shown, "the copy in {} differs", folder.display());
    }

    read_the_log(&teacher, &tracker, &leecher_host.address.to_string());

    teacher.open(&tracker.page("/manage/tracker"));
    stop(&teacher, &tracker);
    pupil.wait_for_text("#urls", "None while the tracker is stopped");
}

fn log_in(teacher: &Browser, tracker: &Tracker) {
    teacher.open(&tracker.page("/manage/tracker"));
    assert_eq!(teacher.seen("#stop").unwrap(), 0, "a viewer without the token may not stop the tracker");
    teacher.open(tracker.operator_url());
    assert_eq!(teacher.url(), tracker.page("/manage"), "the token does not stay in the URL");
    teacher.click("nav.tabs a[href='/manage/tracker']");
    teacher.wait_for_text("#service-title", "The tracker is running");
    assert!(teacher.text("#urls").unwrap().contains(&tracker.announce_url()));
    assert_eq!(teacher.seen("#stop").unwrap(), 1);
}

/// Stops the tracker from the page of the tracker.
fn stop(teacher: &Browser, tracker: &Tracker) {
    tracker.take_port().expect_err("the port is taken while the tracker runs");
    teacher.click("#stop");
    teacher.wait_for_text("#confirm-title", "Stop the tracker?");
    teacher.click("#confirm-button");
    teacher.wait_for_text("#service-title", "The tracker is stopped");
    teacher.wait_for_text("#service", "The ports are free");
    teacher.wait_for_text("#said", "The tracker is stopped");
    tracker.take_port().expect("the port is free over TCP and UDP");
}

/// Starts the tracker from the page of the tracker, at first in vain since another program has its port: this test.
fn start_beside_another_program(teacher: &Browser, tracker: &Tracker) {
    let holder = tracker.take_port().expect("the port is free");
    teacher.click("#start");
    let problem = teacher.wait_for_text("#service .problem", "6969");
    let here = format!("(process {})", std::process::id());
    assert!(problem.contains(&here), "{problem:?} does not name the holder of the port, {here}");
    assert_eq!(teacher.seen("#notice").unwrap(), 0, "the notice is shown once");

    drop(holder);
    teacher.click("#start");
    teacher.wait_for_text("#service-title", "The tracker is running");
    assert_eq!(teacher.seen("#notice").unwrap(), 0, "no notice about a problem that is over");
    tracker.take_port().expect_err("the port is taken while the tracker runs");
}

/// Makes a torrent of the content, and another one that is cancelled. Returns the URL of the torrent's page, where it stays.
fn make_a_torrent(teacher: &Browser, tracker: &Tracker) -> String {
    // Nobody waits for so much to be read, and it takes no room on the disk.
    let image = File::create(tracker.share().join("image.iso")).expect("a file can be made");
    image.set_len(1 << 36).expect("a file can have a hole");
    teacher.open(&tracker.page("/manage"));
    teacher.click("nav.tabs a[href='/manage/share']");
    teacher.click("a[href='/manage/share/by-hand']");
    teacher.click("#entries [data-make='image.iso']");
    let hashed = teacher.wait_until("the page to show how much was read", || {
        let text = teacher.text("#makings .making-progress")?;
        ensure!(text.contains("MB of") || text.contains("GB of"), "{text:?}");
        Ok(text)
    });
    teacher.wait_until("more to be read", || {
        let text = teacher.text("#makings .making-progress")?;
        ensure!(text != hashed, "still {text:?}");
        Ok(())
    });
    teacher.click("#makings [aria-label='Cancel image.iso']");
    teacher.wait_for_text("#makings", "Cancelled");
    fs::remove_file(tracker.share().join("image.iso")).expect("a file can be removed");

    teacher.click("#entries [data-make='content.bin']");
    teacher.click("#makings [aria-label='Open content.bin']");
    teacher.wait_for_text("h1", "content.bin");
    teacher.wait_for_text("#source", "50 MB, shared by this machine");
    teacher.url()
}

/// Downloads the .torrent from its page.
fn download_the_torrent(teacher: &Browser, tracker: &Tracker, content: &Content) -> Torrent {
    teacher.click("#offers .more summary");
    teacher.click("#offers a[href$='/torrent']");
    let path = teacher.wait_until("the .torrent to be downloaded", || {
        let files: Vec<_> = fs::read_dir(teacher.downloads())?.flatten().map(|entry| entry.path()).collect();
        let torrent = files.iter().find(|path| path.extension().is_some_and(|extension| extension == "torrent"));
        torrent.cloned().with_context(|| format!("{files:?}"))
    });
    let metainfo = Metainfo::parse(&fs::read(&path).expect("a download can be read")).expect("it is a .torrent");
    assert!(metainfo.trackers().concat().contains(&tracker.announce_url()), "{:?}", metainfo.trackers());
    let torrent = Torrent::read(content, path).expect("it is a .torrent");
    assert_eq!(teacher.attribute("#technical [data-copy]", "data-copy").unwrap(), torrent.info_hash());
    torrent
}

/// Waits until the page of the file shows the computer of this address in this state, and returns the text of its row.
fn wait_for_computer(page: &Browser, address: &str, state: &str) -> String {
    page.wait_until(&format!("{address} to be shown as {state}"), || {
        let row = page.text(&format!("#computers tr[id='computer-{address}']"))?;
        ensure!(row.to_lowercase().contains(&state.to_lowercase()), "{row}");
        Ok(row)
    })
}

/// The plot of peers as the page of the tracker shows it.
#[derive(Debug, PartialEq)]
struct Plot {
    drawing: String,
    values: Value,
}

impl Plot {
    fn of(page: &Browser) -> anyhow::Result<Self> {
        let values = page.attribute("#plot-peers [data-plot]", "data-plot")?;
        let drawing = page.execute("return document.querySelector('#plot-peers svg').outerHTML", &[])?;
        let drawing = drawing.as_str().context("there is no drawing")?.to_owned();
        Ok(Self { drawing, values: serde_json::from_str(&values)? })
    }

    /// The largest value of a line.
    fn most(&self, line: &str) -> anyhow::Result<f64> {
        let lines = self.values["lines"].as_array().context("a plot without lines")?;
        let line = lines.iter().find(|one| one["name"] == json!(line)).with_context(|| format!("no line {line}"))?;
        let values = line["values"].as_array().context("a line without values")?;
        Ok(values.iter().filter_map(Value::as_f64).fold(0.0, f64::max))
    }
}

/// Waits until the plot has moved on from `before`, and a line of it has come up to `most`.
fn wait_for_plot(page: &Browser, before: &Plot, line: &str, most: f64) -> Plot {
    assert!(before.most(line).expect("the plot has the line") < most, "{line} was {most} before: {before:?}");
    page.wait_until(&format!("the plot to show {most} {line}"), || {
        let plot = Plot::of(page)?;
        ensure!(plot.most(line)? >= most, "{}", plot.values);
        ensure!(plot.drawing != before.drawing, "the drawing is the same");
        Ok(plot)
    })
}

/// Looks at the lines of one address, and holds them.
fn read_the_log(page: &Browser, tracker: &Tracker, address: &str) {
    page.open(&tracker.page("/manage/log"));
    page.wait_for_text("#lines", "content.bin");
    page.type_into("#computer", address);
    let lines = page.wait_until("only the lines of one address to be shown", || {
        let lines =
            page.execute("return [...document.querySelectorAll('#lines li')].map((line) => line.textContent)", &[])?;
        let lines: Vec<String> = serde_json::from_value(lines)?;
        ensure!(!lines.is_empty() && lines.iter().all(|line| line.contains(address)), "{lines:#?}");
        Ok(lines)
    });
    assert!(lines.iter().any(|line| line.contains("has finished")), "{lines:#?}");
    page.click("#pause");
    page.wait_for_text("#pause", "Resume");
    page.click("#pause");
    page.wait_for_text("#pause", "Pause");
}
