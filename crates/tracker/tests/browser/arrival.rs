//! Somebody comes to get a file: with a phone or a computer, with scripts or without.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::PROGRAMS;
use crate::axe;
use crate::browser::{Browser, Screen, Theme};
use crate::support::network::Lan;
use crate::support::torrent::{Content, sha256};
use crate::tracker::Tracker;

const MB: u64 = 1_000_000;

/// What a phone says of itself.
const PHONE: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36";

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn a_file_arrives() {
    let lan = Lan::new("arrival", &PROGRAMS);
    let tracker = Tracker::start_sharing(&lan.host("tracker"), &[]);
    let [phone, computer] = ["phone", "computer"].map(|name| Browser::start(&lan.host(name)));
    phone.look_with(Screen::Phone, Theme::Light);
    phone.devtools("Emulation.setUserAgentOverride", json!({ "userAgent": PHONE }));

    // The page that is open follows.
    phone.open(&tracker.page("/"));
    phone.wait_for_text("#offers", "Nothing is shared yet.");
    let content = Content::write(tracker.share(), 50 * MB);
    phone.wait_for_text("h1", content.name());
    phone.wait_for_text("#by-bittorrent", "Get it with BitTorrent");

    for (browser, having) in [(&phone, "1 of 1 have it"), (&computer, "2 of 2 have it")] {
        browser.open(&tracker.page("/"));
        browser.wait_for_text("h1", content.name());
        browser.click("#in-browser a");
        let copy = wait_for_download(browser, content.name());
        content.assert_is_copied_to(copy.parent().expect("a download is in a folder"));
        browser.wait_for_text("#have", having);
        browser.wait_for_text("#mine", "has it");
        let shown = browser.wait_until("the SHA-256 to be shown", || {
            let text = browser.attribute("#digests [data-copy]", "data-copy")?;
            ensure!(text.len() == 64, "{text}");
            Ok(text)
        });
        assert_eq!(shown, sha256(&copy));
    }
    // The pages of others follow.
    phone.wait_for_text("#have", "2 of 2 have it");
}

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn a_folder_arrives_in_part_and_without_scripts() {
    let lan = Lan::new("selection", &PROGRAMS);
    let tracker = Tracker::start_sharing(&lan.host("tracker"), &[]);
    let files = [("day 1/notes.txt", 80_000), ("day 2/notes.txt", 160_000), ("day 10/Übung #1 & 100%.txt", 240_000)];
    Content::write_files(&tracker.share().join("Handouts"), &files);
    let page = Browser::start(&lan.host("pupil"));
    page.open(&tracker.page("/"));
    page.wait_for_text("h1", "Handouts");

    page.click("#select-all");
    let selected = "return document.querySelectorAll('[name=file]:checked').length";
    assert_eq!(page.execute(selected, &[]).unwrap(), 3);
    page.click("#select-all");
    assert_eq!(page.execute(selected, &[]).unwrap(), 0);

    page.run_scripts(false);
    page.look_with(Screen::Phone, Theme::Light);
    page.open(&tracker.page("/"));
    assert_eq!(page.seen(".needs-script").unwrap(), 0, "it offers what does not work");
    page.wait_for_text("noscript", "Reload");
    page.click(".folder-files li:last-child a");
    let copy = wait_for_download(&page, "Übung #1 & 100%.txt");
    assert_eq!(sha256(&copy), sha256(&tracker.share().join("Handouts").join(files[2].0)));
    page.click(".folder-files li:nth-child(1) label");
    page.click(".folder-files li:nth-child(2) label");
    page.click(".selection button");
    let zip = wait_for_download(&page, "Handouts.zip");
    let bytes = fs::read(&zip).expect("a download can be read");
    assert!(bytes.starts_with(b"PK") && bytes.len() > 240_000 && bytes.len() < 300_000, "{} bytes", bytes.len());
}

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn nothing_that_is_shared_is_shown_as_a_page() {
    const HTML: &str = "<!doctype html><title>taken over</title><script>alert(document.domain)</script>";
    const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(document.domain)</script></svg>";
    /// The headers of an answer, as a page of the same origin gets it.
    const ASK: &str = "
        const [method, url, range, done] = arguments;
        fetch(url, { method, headers: range ? { range } : {} })
            .then(async (answer) => done({ status: answer.status, headers: Object.fromEntries(answer.headers) }))
            .catch((error) => done({ status: 0, headers: {}, error: String(error) }));";

    let lan = Lan::new("attachment", &PROGRAMS);
    let tracker = Tracker::start_sharing(&lan.host("tracker"), &[]);
    fs::write(tracker.share().join("evil.html"), HTML).expect("a file can be written");
    fs::write(tracker.share().join("evil.svg"), SVG).expect("a file can be written");
    let page = Browser::start(&lan.host("victim"));
    page.open(&tracker.page("/"));
    for name in ["evil.html", "evil.svg"] {
        page.open(&tracker.page("/"));
        page.click(&format!("#offers [aria-label='Get {name}']"));
        page.wait_for_text("h1", name);
        page.wait_for_text("#by-bittorrent", "Get it with BitTorrent");
        // Its address, now that it is hashed.
        page.open(&tracker.page("/"));
        page.click(&format!("#offers [aria-label='Get {name}']"));
        page.wait_for_text("h1", name);
        let here = page.url();
        let link = page.attribute("#in-browser a", "href").expect("it can be downloaded");
        let hash = link.rsplit('/').next().expect("a key").to_owned();
        for path in [link.clone(), format!("/seed/{hash}/{name}")] {
            for (method, range) in
                [("GET", ""), ("HEAD", ""), ("GET", "bytes=0-9"), ("GET", "bytes=5-"), ("HEAD", "bytes=0-9")]
            {
                let answer = page
                    .execute_async(ASK, &[method.into(), path.clone().into(), range.into()])
                    .expect("a page can ask");
                let what = format!("{method} {path} {range}: {answer}");
                assert!([200, 206].contains(&answer["status"].as_u64().unwrap_or(0)), "{what}");
                let header = |name: &str| answer["headers"][name].as_str().unwrap_or_default().to_owned();
                assert!(header("content-disposition").starts_with("attachment"), "{what}");
                assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
                assert!(header("content-security-policy").contains("sandbox"), "{what}");
            }
            // Opened as a link is.
            page.execute("location.assign(arguments[0])", &[json!(path)]).expect("a page can go elsewhere");
            let copy = wait_for_download(&page, name);
            assert!(!page.has_alert(), "{path} was run");
            assert_eq!(page.url(), here, "{path} was shown");
            fs::remove_file(copy).expect("a download can be removed");
        }
        // In a frame, it is not shown either.
        page.execute(
            "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame)",
            &[json!(link)],
        )
        .expect("a page can have a frame");
        assert!(!page.has_alert(), "{link} was run in a frame");
    }

    // The same name with new content is another file.
    let old = page.url();
    fs::write(tracker.share().join("evil.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>")
        .expect("a file can be written");
    page.wait_until("the old page to be gone", || {
        page.open(&old);
        let text = page.text(".error-page")?;
        ensure!(text.contains("not shared any more"), "{text}");
        Ok(())
    });
    page.click(".error-page a");
    page.wait_for_text("h1", "evil.svg");
    assert_ne!(page.url(), old);
}

#[test]
#[ignore = "needs root, network namespaces, the packages .ci/install-clients installs, and axe-core"]
fn pages_for_everybody_are_accessible_on_small_screens() {
    let lan = Lan::new("everybody", &PROGRAMS);
    let tracker = Tracker::start_sharing(&lan.host("tracker"), &[]);
    Content::write_files(
        &tracker.share().join("Handouts with a name that is long enough for two lines"),
        &[
            (
                "a file with a name without any place to break it, AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.pdf",
                8_000,
            ),
            ("b.txt", 8),
        ],
    );
    Content::write(tracker.share(), MB);
    let page = Browser::start(&lan.host("viewer"));
    page.open(&tracker.page("/"));
    page.wait_for_text("#offers", "Handouts");
    let links =
        page.execute("return [...document.querySelectorAll('#offers .button')].map((link) => link.pathname)", &[]);
    let links: Vec<String> = serde_json::from_value(links.expect("there are links")).expect("a list of texts");
    assert_eq!(links.len(), 2, "{links:?}");
    let beamers = links.iter().map(|link| link.replace("/files/", "/beamer/"));
    let others = ["/", "/beamer", "/nonsense"].map(str::to_owned);
    for path in beamers.chain(links.iter().cloned()).chain(others) {
        for theme in [Theme::Light, Theme::Dark] {
            for width in [320, 1280] {
                page.look_with(Screen::Desktop, theme);
                let screen = json!({ "width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width == 320 });
                page.devtools("Emulation.setDeviceMetricsOverride", screen);
                page.open(&tracker.page(&path));
                page.execute("for (const details of document.querySelectorAll('details')) details.open = true", &[])
                    .expect("details can be opened");
                axe::check(&page, &format!("{path}, {theme:?}, {width} px"));
                let beyond = page.execute("return document.documentElement.scrollWidth - innerWidth", &[]);
                assert_eq!(beyond.expect("a page has a width"), Value::from(0), "{path} is wider than {width} px");
            }
        }
    }

    // The code on the wall leads to the page.
    page.open(&tracker.page("/beamer"));
    assert_eq!(page.text(".beamer-url").expect("there is a URL"), tracker.page(""));
    let loaded = "return document.querySelector('.beamer-code').naturalWidth";
    page.wait_until("the QR code to be loaded", || {
        ensure!(page.execute(loaded, &[])?.as_u64() > Some(0));
        Ok(())
    });
}

/// Waits until a file of this name is downloaded.
#[track_caller]
fn wait_for_download(browser: &Browser, name: &str) -> PathBuf {
    let path: &Path = &browser.downloads().join(name);
    browser.wait_until(&format!("{name} to be downloaded"), || {
        let names: Vec<_> = fs::read_dir(browser.downloads())?.flatten().map(|entry| entry.file_name()).collect();
        let unfinished = names.iter().any(|name| name.to_string_lossy().ends_with(".crdownload"));
        ensure!(path.exists() && !unfinished, "{names:?}");
        path.canonicalize().context("a download is there")
    })
}
