//! Folders as zip archives, over real connections.

use std::fs;
use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use rawzip::ZipArchive;
use tokio::io::AsyncReadExt;
use torrent_library::ContentKey;
use tracker_core::InfoHash;

use crate::site::{Reply, Site};
use crate::support::{Fixture, OPERATOR, VIEWER, request};

/// A site that shares a folder of four files.
async fn course() -> (Site, InfoHash) {
    let site = Site::start().await;
    for (path, text) in [("b/x", "one"), ("What?", "two"), ("a.txt", ""), ("page.html", "<script>alert(1)</script>")] {
        site.write(&format!("Übung 1/{path}"), text.as_bytes());
    }
    let hash = site.share("Übung 1");
    (site, hash)
}

/// What is in an archive; every checksum is compared.
#[track_caller]
fn unpack(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 200, "{}{}", reply.head, String::from_utf8_lossy(&reply.body));
    let archive = ZipArchive::from_slice(&reply.body).unwrap();
    let (mut entries, mut files) = (archive.entries(), Vec::new());
    while let Some(entry) = entries.next_entry().unwrap() {
        let path = entry.file_path().try_normalize().unwrap().as_ref().to_owned();
        let local = archive.get_entry(entry.wayfinder()).unwrap();
        let mut text = String::new();
        local.verifying_reader(local.data()).read_to_string(&mut text).unwrap();
        files.push((path, text));
    }
    files
}

/// In the order of the torrent, which is that of bytes.
fn all() -> Vec<(String, String)> {
    let files = [("What_", "two"), ("a.txt", ""), ("b/x", "one"), ("page.html", "<script>alert(1)</script>")];
    files.map(|(path, text)| (format!("Übung 1/{path}"), text.to_owned())).into()
}

#[tokio::test]
async fn a_folder_is_one_file_of_a_known_length() {
    let (site, hash) = course().await;
    for target in [format!("/download/{hash}"), format!("/download/{hash}/")] {
        let mut connection = site.connect().await;
        let zip = connection.ask("GET", &target, &["Accept: text/html", "Range: bytes=0-1"]).await.unwrap();
        assert_eq!(unpack(&zip), all());
        let head = connection.ask("HEAD", &target, &[]).await.unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, &*zip.body.len().to_string()));
        for reply in [&zip, &head] {
            assert_eq!(reply.header("content-security-policy"), "sandbox; default-src 'none'");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!((reply.header("content-type"), reply.header("accept-ranges")), ("application/zip", "none"));
            let name = "attachment; filename=\"_bung 1.zip\"; filename*=UTF-8''%C3%9Cbung%201.zip";
            assert_eq!(reply.header("content-disposition"), name);
        }
        assert_eq!(unpack(&connection.ask("GET", &target, &[]).await.unwrap()), all());
    }
    // As before it is hashed.
    let id = site.list("Übung 1").id();
    assert_eq!(unpack(&site.get(&format!("/download/{id}"), &[]).await), all());
    site.fixture.contents.hashed(id, &[hash]);
    let moved = site.get(&format!("/download/{id}?file=1"), &[]).await;
    assert_eq!((moved.status, moved.header("location")), (307, &*format!("/download/{hash}?file=1")));
}

#[tokio::test]
async fn files_of_a_folder_are_chosen() {
    let (site, hash) = course().await;
    let folder = format!("/download/{hash}");
    let all = all();
    for (form, expected) in [
        ("file=0", &all[..1]),
        ("file=2&file=1&file=2", &all[1..3]),
        ("choose=&x=y&file=%33", &all[3..]),
        ("file=0&file=1&file=2&file=3", &all),
    ] {
        assert_eq!(unpack(&site.get(&format!("{folder}?{form}"), &[]).await), expected, "{form}");
        let mut post = request(VIEWER, Method::POST, &folder, Body::from(form));
        post.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let response = site.fixture.respond(post).await;
        let (status, head) = (response.status().as_u16(), String::new());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(unpack(&Reply { status, head, body }), expected, "{form}");
    }
    for query in ["", "utm=1", "x=y&files=0"] {
        assert_eq!(unpack(&site.get(&format!("{folder}?{query}"), &[]).await), all, "{query}");
    }
    for (form, status, says) in [
        ("choose=", 400, "no file is chosen"),
        ("x=y&choose", 400, "no file is chosen"),
        ("file=4", 404, "not in this folder"),
        ("file=0&file=-1", 404, "not in this folder"),
        ("file=", 404, "not in this folder"),
        ("file=99999999999999999999999", 404, "not in this folder"),
        ("file=a.txt", 404, "not in this folder"),
    ] {
        let reply = site.get(&format!("{folder}?{form}"), &[]).await;
        let text = String::from_utf8(reply.body).unwrap();
        assert!(reply.status == status && text.contains(says), "{form}: {text}");
        let status = StatusCode::from_u16(status).unwrap();
        let posted = site.fixture.send(VIEWER, Method::POST, &folder, Body::from(form)).await.problem(status);
        assert!(posted.contains(says), "{form}: {posted}");
    }
    // More than 20,000 of 6 digits, which a form has room for; and too many.
    for (number, status, says) in [
        (20_000, StatusCode::NOT_FOUND, "not in this folder"),
        (100_000, StatusCode::PAYLOAD_TOO_LARGE, "more files are chosen than a form of 256 KiB has room for"),
    ] {
        let form = "file=100000&".repeat(number);
        let why = site.fixture.send(VIEWER, Method::POST, &folder, Body::from(form)).await.problem(status);
        assert!(why.contains(says), "{why}");
    }
}

#[tokio::test]
async fn a_folder_that_has_changed_is_refused_and_reported() {
    let (site, mut hash) = course().await;
    for (query, text) in [("", "another"), ("?file=2", "and another")] {
        hash = site.share("Übung 1");
        fs::write(site.path("Übung 1/b/x"), text).unwrap();
        let page = site.get(&format!("/download/{hash}{query}"), &["Accept: text/html"]).await;
        let text = String::from_utf8(page.body).unwrap();
        assert!(page.status == 409 && text.contains("b/x has changed since it was shared"), "{text}");
        assert_eq!(site.fixture.contents.take_changed(Duration::ZERO).len(), 1);
    }
    let folder = format!("/download/{hash}");
    assert_eq!(unpack(&site.get(&format!("{folder}?file=1"), &[]).await), all()[1..2]);
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_leaves_no_whole_archive() {
    let (site, _) = course().await;
    for is_removed in [false, true] {
        site.write("large/1", &vec![7; 40 << 20]);
        site.write("large/2", b"two");
        let hash = site.share("large");
        let mut connection = site.connect().await;
        connection.send("GET", format!("/download/{hash}").as_bytes(), &[]).await;
        let (status, head) = connection.head().await.unwrap();
        let len = Reply { status, head, body: Vec::new() }.header("content-length").parse::<usize>().unwrap();
        if is_removed {
            fs::remove_file(site.path("large/2")).unwrap();
        } else {
            fs::write(site.path("large/1"), "short").unwrap();
        }
        let mut body = Vec::new();
        // Cut off, with or without an error.
        _ = connection.0.read_to_end(&mut body).await;
        assert!(body.len() < len, "{is_removed}: {} of {len}", body.len());
        assert_eq!(site.fixture.contents.take_changed(Duration::from_secs(60)).len(), 1);
    }
}

#[tokio::test]
async fn one_address_gets_one_archive_at_a_time() {
    let (site, hash) = course().await;
    let folder = format!("/download/{hash}");
    let ask =
        async |from: &str, target: &str| site.fixture.respond(request(from, Method::GET, target, Body::empty())).await;
    let first = ask(VIEWER, &folder).await;
    assert_eq!(first.status(), 200);
    let refused = ask(VIEWER, &folder).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(
        String::from_utf8_lossy(&text).contains("a computer at your address is already downloading a folder"),
        "{text:?}"
    );
    assert_eq!(ask(VIEWER, &format!("{folder}?file=0")).await.status(), 503);
    // Files it gets, and others their folders; also this machine, which may be a proxy.
    assert_eq!(ask(VIEWER, &format!("{folder}/a.txt")).await.status(), 200);
    assert_eq!(ask("192.168.1.78:1", &folder).await.status(), 200);
    let own = [ask(OPERATOR, &folder).await, ask(OPERATOR, &folder).await];
    assert!(own.iter().all(|response| response.status() == 200));
    drop(first);
    let again = ask(VIEWER, &folder).await;
    assert_eq!(again.status(), 200);
    // When it is sent, it is over.
    again.into_body().collect().await.unwrap();
    let head = site.fixture.respond(request(VIEWER, Method::HEAD, &folder, Body::empty())).await;
    assert_eq!(head.status(), 200);
    assert_eq!(ask(VIEWER, &folder).await.status(), 200);
}

#[tokio::test]
async fn what_is_sent_is_counted() {
    let (site, hash) = course().await;
    let downloads = site.fixture.observer.downloads();
    let (folder, key) = (format!("/download/{hash}"), ContentKey::Swarm(hash));
    let ask = async |method: Method, target: &str| {
        let response = site.fixture.respond(request(VIEWER, method, target, Body::empty())).await;
        assert_eq!(response.status(), 200);
        response
    };
    ask(Method::HEAD, &folder).await;
    assert_eq!((downloads.running(), downloads.sent(key).browser), (0, 0));
    let whole = 3 + 3 + "<script>alert(1)</script>".len() as u64;
    for (target, size, has) in [(format!("{folder}?file=0"), 3, 0), (folder, whole, 1)] {
        let response = ask(Method::GET, &target).await;
        assert_eq!(downloads.running(), 1);
        let before = downloads.sent(key).browser;
        response.into_body().collect().await.unwrap();
        assert_eq!(downloads.running(), 0);
        let sent = downloads.sent(key).browser - before;
        assert!(sent >= size, "{target}: {sent}");
        // A computer has a folder when it was sent all of its files.
        assert_eq!(site.fixture.observer.computers().progress(key).has, has, "{target}");
    }
}

#[tokio::test]
async fn where_there_are_no_archives_a_page_leads_to_the_files() {
    let site = Site::of(Fixture::with(|config| config.zip = false)).await;
    site.write("course/b.txt", b"b");
    let hash = site.share("course");
    for target in [format!("/download/{hash}"), format!("/download/{hash}?file=0")] {
        let page = site.get(&target, &["Accept: text/html"]).await;
        let text = String::from_utf8(page.body).unwrap();
        assert!(page.status == 404 && text.contains(&format!("href=\"/files/{hash}\"")), "{text}");
        let plain = site.get(&target, &[]).await;
        assert_eq!((plain.status, plain.header("content-type")), (404, "application/json"));
    }
    site.get(&format!("/download/{hash}/b.txt"), &[]).await.is(200, b"b");
}
