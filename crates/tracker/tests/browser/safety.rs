//! Nobody gets more out of the pages than they are to have: neither those who look on, nor those who name torrents.

use std::fs;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::PROGRAMS;
use crate::browser::Browser;
use crate::classroom::{Classroom, torrent};
use crate::support::host::Host;
use crate::support::network::Lan;
use crate::support::udp::Udp;
use crate::tracker::Tracker;

/// A torrent name that an attacker would choose.
const SCRIPT: &str = "<script>alert(1)</script>";
const IMAGE: &str = "\"><img src=x onerror=alert(2)>";

/// The port of a peer that nobody connects to.
const NOBODY: u16 = 9;
const STARTED: u32 = 2;

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn a_torrent_named_as_a_script_is_shown_as_text() {
    let lan = Lan::new("script", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let operator = lan.host("operator");
    let page = Browser::start(&operator);
    page.open(tracker.operator_url());
    let script = choose(&page, &tracker, &operator);
    let image = drop_torrent(&page);
    let peer = lan.host("peer");
    for info_hash in [&script, &image] {
        join(&peer, &tracker, info_hash);
    }

    for (info_hash, name) in [(&script, SCRIPT), (&image, IMAGE)] {
        for (what, path) in tracker.pages(info_hash) {
            page.open(&tracker.page(&path));
            let names_it = !matches!(what, "computers" | "share" | "by hand" | "tracker" | "not found");
            if names_it {
                page.wait_for_text("main", name);
            }
            assert!(!page.has_alert(), "{what}: it was run");
            let made = "return document.querySelectorAll('main script, main img[src=x], title *, [onerror]').length";
            assert_eq!(page.execute(made, &[]).unwrap(), 0, "{what}: it is more than text");
        }
        page.open(&tracker.page(&format!("/manage/files/{info_hash}")));
        assert_eq!(page.text("h1").unwrap(), name);
        let title = page.execute("return document.title", &[]).unwrap();
        assert!(title.as_str().unwrap().starts_with(name), "{title}");
    }
}

/// Registers a torrent by choosing its file, and returns its info-hash.
fn choose(page: &Browser, tracker: &Tracker, operator: &Host) -> String {
    let (bytes, info_hash) = torrent(SCRIPT, 1);
    let path = operator.folder.join("chosen.torrent");
    fs::write(&path, bytes).expect("a .torrent can be written");
    page.open(&tracker.page("/manage/share"));
    page.type_into("#torrent-file", &path.display().to_string());
    page.wait_for_text("#registered", "chosen.torrent is registered. Nobody has it yet");
    info_hash
}

/// Registers by dropping a file onto the page. Before, what somebody may drop who has no .torrent file yet.
fn drop_torrent(page: &Browser) -> String {
    drop_onto(page, "lecture.mp4", b"a video");
    page.wait_for_text("#registered", "lecture.mp4 is not a .torrent file. To share it, copy it into ");
    let (bytes, info_hash) = torrent(IMAGE, 1);
    drop_onto(page, "dropped.torrent", &bytes);
    page.wait_for_text("#registered", "dropped.torrent is registered");
    info_hash
}

/// Drops a file onto the page, as the desktop does.
fn drop_onto(page: &Browser, name: &str, bytes: &[u8]) {
    const DROP: &str = "
        const file = new File([new Uint8Array(arguments[1])], arguments[0]);
        const files = new DataTransfer();
        files.items.add(file);
        const drop = new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true });
        document.getElementById('drop').dispatchEvent(drop);
        return drop.defaultPrevented;";

    let taken = page.execute(DROP, &[json!(name), json!(bytes)]).expect("files can be dropped");
    assert_eq!(taken, true, "the browser would open the file");
}

/// Has a peer join a torrent, so that it is seen everywhere.
fn join(host: &Host, tracker: &Tracker, info_hash: &str) {
    let announce = || {
        let udp = Udp::new(host, tracker.address())?;
        udp.announce(udp.connect()?, info_hash, NOBODY, STARTED)
    };
    announce().expect("the tracker answers over UDP");
}

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn who_has_no_token_looks_on() {
    const ASK: &str = "
        const [method, url, done] = arguments;
        fetch(url, { method })
            .then(async (answer) => done({ status: answer.status, body: await answer.json() }))
            .catch((error) => done({ status: 0, body: String(error) }));";

    let lan = Lan::new("viewer", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let page = Browser::start(&lan.host("viewer"));
    let (bytes, info_hash) = torrent("lesson.zip", 1);
    let registered = tracker.ask("POST", "/api/v1/torrents", &bytes);
    assert_eq!(registered.status, 201, "who sits at the tracker may register");

    let controls = "#stop, #start, #drop, [data-post], [data-delete], [data-make], input[type=file], form[method=post], \
         a[href*='/manage/computers?name=']";
    for (what, path) in tracker.pages(&info_hash) {
        page.open(&tracker.page(&path));
        assert_eq!(page.count(controls).unwrap(), 0, "{what} offers what is not allowed");
    }
    page.open(&tracker.page("/manage/tracker"));
    page.wait_for_text("#service", "View only");
    for (method, path) in [
        ("POST", "/api/v1/tracker/stop"),
        ("POST", "/api/v1/tracker/start"),
        ("POST", "/api/v1/torrents"),
        ("POST", "/api/v1/makings"),
        ("POST", "/api/v1/lessons"),
        ("POST", "/api/v1/computers/10.77.0.9/name"),
        ("POST", "/manage/report"),
        ("POST", "/manage/computers"),
        ("POST", &format!("/manage/files/{info_hash}")),
        ("POST", &format!("/api/v1/torrents/{info_hash}/seeding/start")),
        ("POST", &format!("/api/v1/torrents/{info_hash}/seeding/stop")),
        ("POST", &format!("/api/v1/torrents/{info_hash}/seeding/check")),
        ("DELETE", &format!("/api/v1/torrents/{info_hash}")),
        ("DELETE", "/api/v1/makings/1"),
    ] {
        let answer = page.execute_async(ASK, &[method.into(), path.into()]).expect("a page can ask its server");
        assert_eq!(answer["status"], 403, "{method} {path}: {answer}");
        let sentence = answer["body"]["error"].as_str().unwrap_or_default();
        assert!(sentence.contains("only the operator may do this"), "{method} {path}: {sentence:?}");
    }
    page.wait_for_text("#service-title", "The tracker is running");
    assert_eq!(tracker.ask("GET", &format!("/api/v1/torrents/{info_hash}"), b"").status, 200, "nothing was removed");

    page.open(&format!("{}0", tracker.operator_url()));
    page.wait_for_text("#wrong-token", "You can look at everything here");
    page.wait_for_text("#list", "lesson.zip");
}

#[test]
#[ignore = "needs root, network namespaces and the packages .ci/install-clients installs"]
fn pages_keep_to_their_own_policy() {
    /// Waits until the page has refreshed itself, since then all of its scripts were at work.
    const REFRESH: &str = "document.addEventListener('refreshed', () => arguments[0](), { once: true })";
    const INLINE: &str = "
        const script = document.createElement('script');
        script.textContent = 'window.wasRun = true';
        document.body.append(script);
        return Boolean(window.wasRun);";

    let lan = Lan::new("policy", &PROGRAMS);
    let machine = lan.host("tracker");
    let torrents = machine.make_folder("torrents");
    let mut classroom = Classroom::new(&lan, &torrents, &machine.make_folder("share"));
    let tracker = Tracker::start_with(&machine, &["--torrents", &torrents.display().to_string()]);
    classroom.announce(&tracker);
    let page = Browser::start(&lan.host("operator"));
    page.open(tracker.operator_url());
    for (what, path) in tracker.pages(classroom.main_torrent()) {
        page.open(&tracker.page(&path));
        if what != "not found" {
            page.execute_async(REFRESH, &[]).expect("a page refreshes itself");
        }
        let mut complaints = page.complaints();
        complaints.retain(|complaint| what != "not found" || !complaint.contains("404"));
        assert!(complaints.is_empty(), "{what}: {complaints:#?}");
    }

    // What is against the policy is noticed, and not done.
    page.open(&tracker.page("/manage/tracker"));
    assert_eq!(page.execute(INLINE, &[]).unwrap(), Value::Bool(false), "the policy lets inline scripts run");
    page.wait_until("the browser to complain", || {
        let complaints = page.complaints();
        ensure!(complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{complaints:?}");
        Ok(())
    });
}
