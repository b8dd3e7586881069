//! The pages for those who come to get a file, as a browser without scripts shows them.

use std::fs;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, LOCATION, USER_AGENT};
use axum::http::{Method, StatusCode};
use metainfo::Create;
use torrent_library::{Content, Share};
use tracker_core::InfoHash;
use tracker_monitor::{Transfer, TransferPart, Way};

use crate::support::{Answer, Fixture, HOSTILE_NAME, OPERATOR, VIEWER, request, torrent};

const DESKTOP: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE: &str = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0";

/// What a browser gets.
async fn browse(fixture: &Fixture, agent: &str, path: &str) -> Answer {
    browse_from(fixture, VIEWER, agent, path).await
}

async fn browse_from(fixture: &Fixture, from: &str, agent: &str, path: &str) -> Answer {
    let mut request = request(from, Method::GET, path, Body::empty());
    request.headers_mut().insert(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap());
    request.headers_mut().insert(USER_AGENT, agent.parse().unwrap());
    Answer::read(fixture.respond(request).await).await
}

/// A page that is there.
async fn page(fixture: &Fixture, path: &str) -> String {
    let answer = browse(fixture, DESKTOP, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
    answer.text().to_owned()
}

/// Lists a file or folder of the share folder.
fn content(fixture: &Fixture, path: &str) -> Arc<Content> {
    Arc::new(Content::list(&Share::open(fixture.share()).unwrap(), path).unwrap())
}

/// Shares what is at this path of the share folder, as the torrent that is made of it.
async fn share(fixture: &Fixture, path: &str) -> InfoHash {
    let (info_hash, bytes) = torrent(Create::new(fixture.share().join(path)));
    assert_eq!(fixture.post("/api/v1/torrents", bytes).await.status, StatusCode::CREATED);
    fixture.contents.insert(content(fixture, path), &[info_hash]);
    info_hash
}

#[tokio::test]
async fn files_are_listed_with_their_sizes_and_where_they_come_from() {
    let fixture = Fixture::new();
    let course = share(&fixture, "course").await;
    fixture.get_until("/", |answer| answer.text().contains("by 1 computer")).await;
    let html = page(&fixture, "/").await;
    assert!(html.contains("<h1>Files</h1>"), "the machine has no name here: {html}");
    for text in ["film.mkv", "40 kB", "course", "5 B, 1 file", "nobody has it yet"] {
        assert!(html.contains(text), "{text} is missing in {html}");
    }
    for info_hash in [fixture.film, fixture.hostile, course] {
        assert!(html.contains(&format!("href=\"/files/{info_hash}\"")), "{html}");
    }
    assert!(!html.contains(&fixture.unknown.to_string()), "nobody has registered it");
    assert_eq!(html.matches("by 1 computer").count(), 1, "the film");
    assert_eq!(html.matches("nobody has it yet").count(), 1, "only the film and the folder are somewhere");
    assert!(
        !html.contains("<script>")
            && html.contains(&HOSTILE_NAME.replace('<', "&#60;").replace('>', "&#62;").replace('\'', "&#39;"))
    );
    // Viewers see nothing of the machinery.
    for word in ["seeder", "leecher", "announce", "nfo-hash", "torrent<"] {
        assert!(!html.contains(word), "{word} is in {html}");
    }
}

#[tokio::test]
async fn the_only_file_is_the_home_page() {
    let fixture = Fixture::new();
    fixture.library.remove(&fixture.hostile).unwrap();
    let html = page(&fixture, "/").await;
    assert!(html.contains("<h1 class=\"name\" id=\"name\">film.mkv</h1>"), "{html}");
    assert!(!html.contains("aria-label=\"Breadcrumb\""), "there is no list to go back to");
    let html = page(&fixture, &format!("/files/{}", fixture.film)).await;
    assert!(html.contains("aria-label=\"Breadcrumb\""), "{html}");
}

#[tokio::test]
async fn where_nothing_is_shared_the_operator_is_told_how() {
    let fixture = Fixture::new();
    for info_hash in [fixture.film, fixture.hostile] {
        fixture.library.remove(&info_hash).unwrap();
    }
    let html = page(&fixture, "/").await;
    assert!(html.contains("Nothing is shared yet.") && !html.contains("share folder"), "{html}");
    let answer = fixture.send(OPERATOR, Method::GET, "/", Body::empty()).await;
    assert!(answer.text().contains("tracker /path/to/folder"), "{}", answer.text());
}

#[tokio::test]
async fn what_this_machine_does_not_have_comes_by_bittorrent_only() {
    let fixture = Fixture::new();
    let path = format!("/files/{}", fixture.film);
    let html = page(&fixture, &path).await;
    assert!(!html.contains("/download/") && html.contains("the tracker is stopped"), "{html}");
    fixture.service.start().await.unwrap();
    let html = page(&fixture, &path).await;
    let torrent = format!("href=\"/api/v1/torrents/{}/torrent\"", fixture.film);
    assert!(html.contains(&torrent) && html.contains("href=\"magnet:?xt=urn:btih:"), "{html}");
    assert!(!html.contains("/download/"), "{html}");
}

#[tokio::test]
async fn a_phone_gets_the_download_first() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    fixture.contents.insert(content(&fixture, "film.mkv"), &[fixture.film]);
    let path = format!("/files/{}", fixture.film);
    for agent in [PHONE, DESKTOP] {
        let answer = browse(&fixture, agent, &path).await;
        assert_eq!(answer.header("vary"), "user-agent, sec-ch-ua-mobile");
        let html = answer.text();
        let download = html.find(&format!("href=\"/download/{}\"", fixture.film)).expect("there is a download");
        let torrent = html.find("Get it with BitTorrent").expect("there is a torrent");
        assert!(download < torrent, "nobody downloads");
        assert_eq!(html.matches("is-primary").count(), 1, "{html}");
    }
}

#[tokio::test]
async fn bittorrent_comes_first_while_many_download() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    let film = content(&fixture, "film.mkv");
    fixture.contents.insert(Arc::clone(&film), &[fixture.film]);
    let downloads = fixture.observer.computers().downloads();
    let begin = |host: u8| {
        let part = TransferPart::File { index: 0, range: 0..40_000 };
        let remote = [192, 168, 1, host].into();
        downloads.begin(Transfer { remote, content: Arc::clone(&film), part, len: 40_000, way: Way::Browser })
    };
    let path = format!("/files/{}", fixture.film);
    let is_torrent_first = async |agent| {
        let answer = browse(&fixture, agent, &path).await;
        answer.text().find("Get it with BitTorrent").unwrap() < answer.text().find("href=\"/download/").unwrap()
    };
    let mut transfers: Vec<_> = (101..=104).map(begin).collect();
    assert!(!is_torrent_first(DESKTOP).await);
    transfers.push(begin(105));
    assert!(is_torrent_first(DESKTOP).await);
    assert!(!is_torrent_first(PHONE).await);
    transfers.pop();
    assert!(!is_torrent_first(DESKTOP).await);
}

#[tokio::test]
async fn a_copy_can_be_checked_and_technical_details_are_explained() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    fixture.contents.insert(content(&fixture, "film.mkv"), &[fixture.film]);
    let path = format!("/files/{}", fixture.film);
    let answer = fixture.get_until(&path, |answer| answer.text().contains("Copy the SHA-256")).await;
    let sha256 = answer.text().split("<code class=\"hash\">").nth(1).unwrap();
    assert_eq!(sha256.find('<'), Some(64));
    for text in [
        "certutil -hashfile FILE SHA256",
        "shasum -a 256 FILE",
        "sha256sum FILE",
        "40,000 bytes",
        &fixture.film.to_string(),
        "by which BitTorrent programs know",
        "http://192.168.1.1:6969/announce",
        "Where BitTorrent programs ask",
    ] {
        assert!(answer.text().contains(text), "{text} is missing in {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_there_twice_leads_to_the_page_of_the_other() {
    let fixture = Fixture::following(|share| {
        fs::write(share.join("course/film.mkv"), [7; 40_000]).unwrap();
    });
    fixture.service.start().await.unwrap();
    let made = fixture.post("/api/v1/makings", r#"{"path":"course/film.mkv"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let same = |answer: &Answer| {
        let files = answer.json()["items"].as_array().unwrap().clone();
        files.into_iter().find(|file| file["torrent"]["state"] == "same_as")
    };
    let answer = fixture.get_until("/api/v1/files", |answer| same(answer).is_some()).await;
    let path = format!("/files/{}", same(&answer).unwrap()["key"].as_str().unwrap());
    let answer = fixture.get(&path).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.header("location"), format!("/files/{}", fixture.film));
}

#[tokio::test]
async fn the_files_of_a_folder_are_chosen_in_a_plain_form() {
    let fixture = Fixture::new();
    for name in ["day 10.txt", "day 2.txt", "Übung #1 & 100%.txt"] {
        fs::write(fixture.share().join("course").join(name), "x").unwrap();
    }
    // Windows has no such names.
    if cfg!(unix) {
        fs::write(fixture.share().join("course/What?"), "x").unwrap();
    }
    let course = share(&fixture, "course").await;
    let html = page(&fixture, &format!("/files/{course}")).await;
    assert!(html.contains(&format!("<form method=\"get\" action=\"/download/{course}\">")), "{html}");
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing in {html}"));
    assert!(place(">day 2.txt<") < place(">day 10.txt<"), "in natural order");
    let encoded = format!("href=\"/download/{course}/%C3%9Cbung%20%231%20%26%20100%25.txt\"");
    assert!(html.contains(&encoded), "{html}");
    assert!(!cfg!(unix) || html.contains(&format!("href=\"/download/{course}/What%3F\"")), "{html}");
    assert!(html.contains("Download all") && html.contains("Übung #1 &#38; 100%.txt"));
    // Each box stands for the file's number in the content.
    let content = content(&fixture, "course");
    for (index, file) in content.files().iter().enumerate() {
        let label = format!(
            "value=\"{index}\" id=\"file-{index}\"><label class=\"file-name\" for=\"file-{index}\">{}",
            file.path()
        );
        assert!(html.contains(&label.replace('&', "&#38;")) || html.contains(&label), "{label} is missing in {html}");
    }
}

#[tokio::test]
async fn a_large_folder_has_several_pages() {
    let fixture = Fixture::new();
    for number in 0..450 {
        fs::write(fixture.share().join(format!("course/{number}.txt")), "x").unwrap();
    }
    let course = share(&fixture, "course").await;
    let path = format!("/files/{course}");
    let mut seen = 0;
    for (number, on_it) in [(1, 200), (2, 200), (3, 51)] {
        let html = page(&fixture, &format!("{path}?page={number}")).await;
        let boxes = html.matches("name=\"file\"").count();
        assert_eq!(boxes, on_it, "page {number}");
        assert!(html.contains(&format!("Page {number} of 3")) && html.contains("451 files"));
        seen += boxes;
    }
    assert_eq!(seen, 451);
    assert!(page(&fixture, &format!("{path}?page=nonsense")).await.contains("Page 1 of 3"));
}

#[tokio::test]
async fn a_link_leads_on_when_the_file_was_hashed() {
    let fixture = Fixture::new();
    let film = content(&fixture, "film.mkv");
    let id = film.id();
    fixture.contents.insert(film, &[fixture.film]);
    for root in ["/files", "/beamer"] {
        let answer = browse(&fixture, DESKTOP, &format!("{root}/{id}")).await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.headers[LOCATION], format!("{root}/{}", fixture.film));
    }
}

#[tokio::test]
async fn what_is_not_shared_leads_to_the_files() {
    let fixture = Fixture::new();
    let (zeros, id) = ("0".repeat(40), "0".repeat(16));
    for key in [&*zeros, &*id, "zz", &fixture.unknown.to_string()] {
        for root in ["/files", "/beamer"] {
            let path = format!("{root}/{key}");
            let answer = browse(&fixture, DESKTOP, &path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            let html = answer.text();
            assert!(html.contains("href=\"/\"") && html.contains("this file is not shared, or not any more"), "{html}");
            assert!(!html.contains("class=\"tabs\""), "it is a page for everybody");
            fixture.get(&path).await.problem(StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn the_beamer_shows_the_file_or_the_list() {
    let fixture = Fixture::new();
    let html = page(&fixture, &format!("/beamer/{}", fixture.film)).await;
    assert!(html.contains("<h1 class=\"name\">film.mkv</h1>"), "{html}");
    let html = page(&fixture, "/beamer").await;
    assert!(html.contains("film.mkv") && html.contains("<h1>Files</h1>"), "{html}");
    fixture.library.remove(&fixture.hostile).unwrap();
    assert!(page(&fixture, "/beamer").await.contains("<h1 class=\"name\">film.mkv</h1>"));
    // Without an address by which others come there is nothing to encode.
    assert!(!html.contains("qr.svg"));
    fixture.get("/qr.svg?page=/").await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_has_it_is_told_to_everybody() {
    let fixture = Fixture::new();
    fixture.get_until("/", |answer| answer.text().contains("1 of 4 have it")).await;
    let film = format!("/files/{}", fixture.film);
    assert!(page(&fixture, &film).await.contains("1 of 4 have it"));
    let html = page(&fixture, &format!("/beamer/{}", fixture.film)).await;
    assert!(
        html.contains("1 of 4 have it") && html.contains("missing: 192.168.1.11, 192.168.1.12, fd00::13"),
        "{html}"
    );

    // Each sees its own download.
    let of = async |from: &str, path: &str| browse_from(&fixture, from, DESKTOP, path).await.text().to_owned();
    assert!(of("192.168.1.11:50000", "/").await.contains("This computer: film.mkv 75%"));
    assert!(of("192.168.1.11:50000", &film).await.contains("This computer: 75%"));
    assert!(of("192.168.1.10:50000", &film).await.contains("This computer: has it"));
    for path in ["/", &film] {
        assert!(!page(&fixture, path).await.contains("This computer"), "a viewer who downloads nothing");
    }
    assert!(!of("192.168.1.10:50000", "/").await.contains("This computer"), "a list has only what is in progress");
}

#[tokio::test]
async fn a_file_can_be_downloaded_before_it_is_hashed() {
    let fixture = Fixture::following(|share| {
        // Nobody waits for so much to be read, and it takes no room on the disk.
        fs::File::create(share.join("image.iso")).unwrap().set_len(1 << 40).unwrap();
    });
    let answer = fixture.get_until("/", |answer| answer.text().contains("aria-label=\"Get image.iso\"")).await;
    let key = answer.text().split("Get image.iso").next().unwrap().rsplit("href=\"/files/").next().unwrap();
    let id = &key[..key.find('"').unwrap()];
    assert_eq!(id.len(), 16, "it is not hashed: {id}");
    let path = format!("/files/{id}");
    let answer = fixture.get_until(&path, |answer| answer.text().contains("is being prepared: ")).await;
    assert!(answer.text().contains(&format!("href=\"/download/{id}\"")), "{}", answer.text());
    assert!(!answer.text().contains("magnet:") && answer.text().contains("when the file is prepared"));

    // What is smaller does not wait for it. The folder has the film that was registered, and nothing is there twice then.
    let film = format!("href=\"/files/{}\"", fixture.film);
    let is_once = |answer: &Answer| answer.text().matches("Get film.mkv").count() == 1;
    fixture.get_until("/", |answer| answer.text().contains(&film) && is_once(answer)).await;
}
