//! Hostile clients, and a folder that changes under the tracker's hands: the whole program, over loopback.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use crate::dashboard::{Observed, observed};
use crate::running::{PATIENCE, wait_until};

/// What nobody is to get, with another length than anything that is shared.
const SECRET: &[u8] = b"the operator's own";

/// A tracker with a share folder. The folder above it belongs to the test, too, and has `secret.txt`.
struct Shared {
    above: TempDir,
    tracker: Observed,
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    /// What came of the body.
    body: Vec<u8>,
}

impl Shared {
    fn start(fill: impl FnOnce(&Path)) -> Self {
        let above = tempfile::tempdir().unwrap();
        let share = above.path().join("share");
        fs::create_dir(&share).unwrap();
        fs::write(above.path().join("secret.txt"), SECRET).unwrap();
        fill(&share);
        let tracker = observed(&[share.to_str().unwrap(), "--data", "none"]);
        Self { above, tracker }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.above.path().join("share").join(name)
    }

    /// The info-hash of what has this name now, once it is hashed. It is another one than `replaced`.
    fn info_hash(&self, name: &str, replaced: Option<&str>) -> String {
        let mut found = None;
        wait_until(&format!("{name} is hashed"), || {
            let torrents: Value = serde_json::from_slice(&self.get("/api/v1/torrents", "").body).unwrap();
            let mut torrents = torrents["items"].as_array().unwrap().iter();
            let torrent = torrents.find(|torrent| torrent["name"] == name && torrent["info_hash"].as_str() != replaced);
            found = torrent.map(|torrent| torrent["info_hash"].as_str().unwrap().to_owned());
            found.is_some()
        });
        found.unwrap()
    }

    fn request(&self, target: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.tracker.dashboard).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = self.tracker.dashboard;
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// Asks, and reads all that comes.
    fn get(&self, target: &str, headers: &str) -> Answer {
        let mut answer = Vec::new();
        if let Err(error) = self.request(target, headers).read_to_end(&mut answer) {
            // The server may close before it has read the whole request, or cut an answer short.
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{target}: {error}");
        }
        Answer::parse(&answer)
    }
}

impl Answer {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {}", answer.escape_ascii())) + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head, body: answer[end..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.body.windows(bytes.len()).any(|window| window == bytes)
    }
}

#[test]
fn no_path_leads_out_of_what_is_shared() {
    let shared = Shared::start(|share| {
        fs::write(share.join("one.bin"), "one").unwrap();
        fs::create_dir_all(share.join("Folder/inner")).unwrap();
        fs::write(share.join("Folder/inner/two.txt"), "two").unwrap();
        fs::write(share.join("Folder/three.txt"), "three").unwrap();
        // Not in the torrent.
        fs::write(share.join(".hidden"), SECRET).unwrap();
        fs::write(share.join("Folder/.hidden"), SECRET).unwrap();
        symlink("../../secret.txt", share.join("Folder/link.txt")).unwrap();
        symlink("../..", share.join("Folder/inner/up")).unwrap();
        symlink("../secret.txt", share.join("link.txt")).unwrap();
        symlink("..", share.join("up")).unwrap();
    });
    let [one, folder] = ["one.bin", "Folder"].map(|name| shared.info_hash(name, None));
    let good = [
        (format!("/seed/{one}/one.bin"), "one"),
        (format!("/download/{one}"), "one"),
        (format!("/seed/{folder}/Folder/inner/two.txt"), "two"),
        (format!("/seed/{folder}/Folder/three.txt"), "three"),
        (format!("/download/{folder}/inner/two.txt"), "two"),
    ];
    for (target, expected) in &good {
        let answer = shared.get(target, "");
        assert_eq!((answer.status, &*answer.body), (200, expected.as_bytes()), "{target}");
    }

    let bases = [
        format!("/seed/{one}/"),
        format!("/seed/{one}/one.bin/"),
        format!("/seed/{folder}/"),
        format!("/seed/{folder}/Folder/"),
        format!("/seed/{folder}/Folder/inner/"),
        format!("/download/{one}/"),
        format!("/download/{folder}/"),
        format!("/download/{folder}/inner/"),
        "/seed/".to_owned(),
        "/download/".to_owned(),
        "/".to_owned(),
    ];
    let absolute = shared.above.path().join("secret.txt").to_str().unwrap().to_owned();
    let ups = ["../", "%2e%2e/", "%2E./", "..%2f", "%2e%2e%2F", "..%5c", "..\\", "..;/", "..%00/", "%252e%252e/"];
    let odd_ups = ["%c0%ae%c0%ae/", "..%c0%af", "\u{ff0e}\u{ff0e}/", "....//", ".%2e/./", "..//", "up/", "inner/up/"];
    let mut attacks: Vec<_> = ups
        .iter()
        .chain(&odd_ups)
        .flat_map(|up| (1..5).map(|times| format!("{}secret.txt", up.repeat(times))))
        .collect();
    attacks.extend(["link.txt", ".hidden", "%2ehidden", "./.hidden", "up/secret.txt"].map(str::to_owned));
    attacks.extend([
        absolute.clone(),
        format!("/{absolute}"),
        absolute.replace('/', "%2f"),
        format!("file://{absolute}"),
    ]);
    attacks
        .extend(["\u{0}", "%00", "%", "%2", "%zz", ".", "..", "", "/", "two.txt%00", "three.txt/"].map(str::to_owned));
    for base in &bases {
        for attack in &attacks {
            let target = format!("{base}{attack}");
            let answer = shared.get(&target, "");
            assert!(!answer.has(SECRET), "{target:?}: {answer:?}");
            // The pages have other paths; and with a slash at its end, a download's address is that of the file or the zip.
            let download = target.trim_end_matches('/').strip_prefix("/download/");
            let leads_somewhere =
                base == "/" || download.is_some_and(|hash| [&one, &folder].iter().any(|known| *known == hash));
            assert!(leads_somewhere || (300..500).contains(&answer.status), "{target:?}: {answer:?}");
        }
    }
    // Nothing of it harmed what is shared.
    for (target, expected) in &good {
        assert_eq!(shared.get(target, "").body, expected.as_bytes(), "{target}");
    }
}

#[test]
fn a_link_that_takes_the_place_of_a_folder_while_it_is_served_shows_nothing() {
    const LENGTH: usize = 1 << 16;

    let then = SystemTime::now() - Duration::from_secs(3600);
    let write = |path: &Path, text: &[u8]| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(path).unwrap();
        file.write_all(&text.repeat(LENGTH)[..LENGTH]).unwrap();
        file.set_modified(then).unwrap();
    };
    let shared = Shared::start(|share| write(&share.join("Folder/inner/file.bin"), b"good"));
    let above = shared.above.path();
    // Nothing tells it from what is shared but the link on the way to it.
    write(&above.join("outside/file.bin"), SECRET);
    symlink("../../outside", above.join("link")).unwrap();
    let target = format!("/seed/{}/Folder/inner/file.bin", shared.info_hash("Folder", None));
    assert_eq!(shared.get(&target, "").body, b"good".repeat(LENGTH / 4));

    let (inner, aside, link) = (shared.path("Folder/inner"), above.join("aside"), above.join("link"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&inner, &aside).unwrap();
                fs::rename(&link, &inner).unwrap();
                thread::yield_now();
                fs::rename(&inner, &link).unwrap();
                fs::rename(&aside, &inner).unwrap();
                thread::yield_now();
            }
        });
        let (began, mut refused) = (Instant::now(), 0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while refused < 500 {
                assert!(began.elapsed() < PATIENCE, "only {refused} requests met the link");
                let answer = shared.get(&target, "");
                assert!(!answer.has(SECRET), "{answer:?}");
                refused += i32::from(answer.status == 404);
            }
        }));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn ranges_are_exact_or_refused() {
    const LENGTH: u64 = 100_003;

    let mut rng = StdRng::seed_from_u64(11);
    let mut content = vec![0; LENGTH as usize];
    rng.fill(&mut content[..]);
    let shared = Shared::start(|share| fs::write(share.join("file.bin"), &content).unwrap());
    let info_hash = shared.info_hash("file.bin", None);
    let whole = shared.get(&format!("/download/{info_hash}"), "");
    let etag = whole.header("etag").expect("a file has an ETag").to_owned();

    let huge = "99999999999999999999999999";
    let odd =
        ["", "0", "1", "100002", "100003", "100004", "18446744073709551615", huge, "-1", "+1", " 1", "0x1", "1.5", "a"];
    let mut ranges: Vec<_> =
        odd.iter().flat_map(|first| odd.iter().map(move |last| format!("bytes={first}-{last}"))).collect();
    ranges.extend(
        ["bytes=", "bytes=-", "bytes", "bytes=0-0,5-6", "bytes=0-,0-", "bits=0-1", "BYTES=1-2", "", "=", ","]
            .map(str::to_owned),
    );
    ranges.extend(
        ["bytes=5-4", "bytes=--1", "bytes=1--2", "bytes= 1 - 2 ", "bytes=1-2;q=1", "bytes=\u{fc}-1"].map(str::to_owned),
    );
    ranges.push(format!("bytes={}", vec!["0-"; 500].join(",")));
    ranges.extend((0..100).map(|_| {
        let first = rng.random_range(0..LENGTH + 1000);
        format!("bytes={first}-{}", first.saturating_add_signed(rng.random_range(-100..3000)))
    }));
    for target in [format!("/download/{info_hash}"), format!("/seed/{info_hash}/file.bin")] {
        for range in &ranges {
            let if_range = if rng.random() { format!("If-Range: {etag}\r\n") } else { String::new() };
            let answer = shared.get(&target, &format!("Range: {range}\r\n{if_range}"));
            let length = answer.header("content-length").and_then(|length| length.parse().ok());
            assert_eq!(length, Some(answer.body.len()), "{range}: {}", answer.head);
            match answer.status {
                200 => assert!(answer.body == content, "{range}"),
                206 => {
                    let of = answer.header("content-range").expect("a part says which").to_owned();
                    let (first, last) = of
                        .strip_prefix("bytes ")
                        .and_then(|of| of.strip_suffix(&format!("/{LENGTH}")))
                        .and_then(|of| of.split_once('-'))
                        .unwrap_or_else(|| panic!("{range}: {of}"));
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    assert!(answer.body == content[first..=last], "{range}: {of}");
                }
                416 => assert_eq!(answer.header("content-range"), Some(&*format!("bytes */{LENGTH}")), "{range}"),
                status => assert_eq!(status, 400, "{range}: {answer:?}"),
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_short_while_it_is_sent_ends_the_connection() {
    const LENGTH: u64 = 64 << 20;

    let shared = Shared::start(|share| File::create(share.join("file.bin")).unwrap().set_len(LENGTH).unwrap());
    let target = format!("/download/{}", shared.info_hash("file.bin", None));
    let mut stream = shared.request(&target, "");
    let mut first = [0; 1 << 16];
    stream.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200 "), "{}", first[..200].escape_ascii());

    File::options().write(true).open(shared.path("file.bin")).unwrap().set_len(1 << 20).unwrap();
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    assert!((rest.len() as u64) < LENGTH, "no byte is made up: {} came", rest.len());
    let answer = shared.get(&target, "");
    assert!(matches!(answer.status, 404 | 409), "{answer:?}");
    assert_eq!(shared.get("/api/v1/status", "").status, 200);
}

#[test]
fn a_new_version_of_a_file_has_another_link() {
    let shared = Shared::start(|share| fs::write(share.join("file.txt"), "version one").unwrap());
    let old = shared.info_hash("file.txt", None);
    let targets = [format!("/download/{old}"), format!("/seed/{old}/file.txt")];
    for target in &targets {
        assert_eq!(shared.get(target, "").body, b"version one", "{target}");
    }

    // As an editor saves: in place of the old one, with as many bytes.
    fs::write(shared.above.path().join("new"), "version two").unwrap();
    fs::rename(shared.above.path().join("new"), shared.path("file.txt")).unwrap();
    for (target, refusals) in targets.iter().zip([&[404, 409][..], &[404]]) {
        let answer = shared.get(target, "");
        assert!(refusals.contains(&answer.status) && !answer.has(b"version two"), "{target}: {answer:?}");
    }
    let new = shared.info_hash("file.txt", Some(&old));
    assert_eq!(shared.get(&format!("/seed/{new}/file.txt"), "").body, b"version two");
    for target in &targets {
        let answer = shared.get(target, "");
        assert_eq!(answer.status, 404, "{target}: {answer:?}");
        assert!(!answer.has(b"version one") && !answer.has(b"version two"), "{target}: {answer:?}");
        // A download's answer has the URL of the new version.
        let is_told = answer.has(format!("/files/{new}").as_bytes());
        assert_eq!(is_told, target.starts_with("/download/"), "{target}: {answer:?}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let shared = Shared::start(|share| fs::write(share.join("file.txt"), "a file").unwrap());
    let target = format!("/download/{}", shared.info_hash("file.txt", None));
    assert_eq!(shared.get(&target, "").body, b"a file");
    fs::remove_file(shared.path("file.txt")).unwrap();
    mkfifo(&shared.path("file.txt"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let answer = shared.get(&target, "");
    assert!(matches!(answer.status, 404 | 409), "{answer:?}");
    // Nor does the next look at the folder.
    fs::write(shared.path("later.txt"), "a later file").unwrap();
    let later = shared.info_hash("later.txt", None);
    assert_eq!(shared.get(&format!("/download/{later}"), "").body, b"a later file");
}
