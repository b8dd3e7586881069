//! What is sent of shared files, over real connections.

use std::io;

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Method, StatusCode};
use metainfo::Create;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::{Site, bytes, fixture};
use crate::support::{VIEWER, request, torrent};

#[tokio::test]
async fn a_file_is_given_whole_and_in_parts_over_one_connection() {
    let site = Site::start().await;
    let film = bytes(3_000_000);
    site.write("Film 2.mkv", &film);
    let hash = site.share("Film 2.mkv");
    for target in [
        format!("/seed/{hash}/Film%202.mkv"),
        format!("/seed/{}/Film%202.mkv", hash.to_string().to_uppercase()),
        format!("/download/{hash}"),
        format!("/download/{hash}/"),
        format!("/download/{hash}/Film%202.mkv"),
    ] {
        let mut connection = site.connect().await;
        let whole = connection.ask("GET", &target, &[]).await.unwrap();
        whole.is(200, &film).is_inert();
        assert_eq!(whole.header("accept-ranges"), "bytes");
        assert_eq!(whole.header("content-disposition"), "attachment; filename=\"Film 2.mkv\"");
        assert_eq!(whole.header("cache-control"), "no-cache");
        let (etag, date) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
        assert!(etag.starts_with('"') && etag.ends_with('"') && date.ends_with("GMT"), "{etag} {date}");

        for (range, from, to) in [
            ("0-0", 0, 1),
            ("0-2999999", 0, 3_000_000),
            ("1000000-2000000", 1_000_000, 2_000_001),
            ("2999999-", 2_999_999, 3_000_000),
            ("-1000", 2_999_000, 3_000_000),
            ("2000000-99999999999", 2_000_000, 3_000_000),
        ] {
            let part = connection.ask("GET", &target, &[&format!("Range: bytes={range}")]).await.unwrap();
            part.is(206, &film[from..to]).is_inert();
            assert_eq!(part.header("content-range"), format!("bytes {from}-{}/3000000", to - 1));
            assert_eq!((part.header("etag"), part.header("last-modified")), (&*etag, &*date));
        }
        let none = connection.ask("GET", &target, &["Range: bytes=3000000-"]).await.unwrap();
        none.is(416, b"").is_inert();
        assert_eq!(none.header("content-range"), "bytes */3000000");
        connection.ask("GET", &target, &["Range: bytes=0-1,3-4"]).await.unwrap().is(200, &film).is_inert();

        let head = connection.ask("HEAD", &target, &["Range: bytes=0-1"]).await.unwrap();
        head.is(200, b"").is_inert();
        assert_eq!((head.header("content-length"), head.header("etag")), ("3000000", &*etag));

        let known = connection.ask("GET", &target, &[&format!("If-None-Match: {etag}")]).await.unwrap();
        known.is(304, b"").is_inert();
        assert_eq!(known.header("etag"), etag);
        let known = connection.ask("HEAD", &target, &[&format!("If-Modified-Since: {date}")]).await.unwrap();
        known.is(304, b"").is_inert();
        let range = "Range: bytes=5-6";
        for (condition, status) in [
            (format!("If-Range: {etag}"), 206),
            ("If-Range: \"other\"".to_owned(), 200),
            ("If-Range: Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 200),
            (format!("If-Match: {etag}"), 206),
            ("If-Match: \"other\"".to_owned(), 412),
        ] {
            let reply = connection.ask("GET", &target, &[range, &condition]).await.unwrap();
            assert_eq!(reply.status, status, "{condition}");
            reply.is_inert();
        }
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order() {
    let site = Site::start().await;
    let film = bytes(700_000);
    site.write("film", &film);
    let target = format!("/seed/{}/film", site.share("film"));
    let mut connection = site.connect().await;
    for first in [0, 1, 2] {
        connection.send("GET", target.as_bytes(), &[&format!("Range: bytes={first}-599999")]).await;
    }
    connection.send("GET", b"/api/v1/status", &[]).await;
    connection.send("GET", target.as_bytes(), &["Connection: close"]).await;
    for first in [0, 1, 2] {
        connection.reply(true).await.unwrap().is(206, &film[first..600_000]);
    }
    assert_eq!(connection.reply(true).await.unwrap().status, 200);
    let last = connection.reply(true).await.unwrap();
    assert_eq!(last.is(200, &film).header("connection"), "close");
    assert_eq!(connection.0.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

    // A client of an older version.
    let mut old = TcpStream::connect(site.address).await.unwrap();
    old.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    old.read_to_end(&mut all).await.unwrap();
    assert!(all.starts_with(b"HTTP/1.0 200") && all.ends_with(&film));
    // A request whose body nobody reads.
    let mut connection = site.connect().await;
    connection.send("GET", target.as_bytes(), &["Content-Length: 5"]).await;
    connection.0.write_all(b"hello").await.unwrap();
    connection.reply(true).await.unwrap().is(200, &film);
}

#[tokio::test]
async fn a_download_needs_no_torrent_and_its_link_goes_on() {
    let site = Site::start().await;
    site.write("Neu & alt.txt", b"new");
    let content = site.list("Neu & alt.txt");
    let id = content.id();
    site.get(&format!("/download/{id}"), &[]).await.is(200, b"new").is_inert();
    assert_eq!(site.get(&format!("/seed/{id}/Neu%20%26%20alt.txt"), &[]).await.status, 404);

    let (hash, torrent) = torrent(Create::new(site.path("Neu & alt.txt")));
    site.fixture.library.register(&torrent).unwrap();
    site.fixture.contents.hashed(id, &[hash]);
    for (from, to) in
        [("", ""), ("/Neu%20%26%20alt.txt?x=%0d", "/Neu%20%26%20alt.txt?x=%0d"), ("//evil.example", "//evil.example")]
    {
        let reply = site.get(&format!("/download/{id}{from}"), &[]).await;
        assert_eq!((reply.status, reply.header("location")), (307, &*format!("/download/{hash}{to}")));
    }
    site.fixture.contents.remove(id);
    assert_eq!(site.get(&format!("/download/{id}"), &[]).await.status, 404);
    assert_eq!(site.get(&format!("/download/{hash}"), &[]).await.status, 404);
}

#[tokio::test]
async fn pages_that_are_shared_stay_files() {
    let site = Site::start().await;
    for (name, text) in [
        ("page.html", "<script>alert(1)</script>"),
        ("image.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    ] {
        site.write(name, text.as_bytes());
        let hash = site.share(name);
        for target in [format!("/seed/{hash}/{name}"), format!("/download/{hash}"), format!("/download/{hash}/{name}")]
        {
            let mut connection = site.connect().await;
            for (method, headers) in [
                ("GET", &["Accept: text/html"][..]),
                ("HEAD", &["Accept: text/html"]),
                ("GET", &["Accept: text/html", "Range: bytes=0-9"]),
                ("GET", &["Range: bytes=1000-"]),
                ("GET", &["If-None-Match: *"]),
                ("GET", &["If-Match: \"x\""]),
            ] {
                let reply = connection.ask(method, &target, headers).await.unwrap();
                assert!(matches!(reply.status, 200 | 206 | 304 | 412 | 416), "{}", reply.head);
                reply.is_inert();
                assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_look_gets_no_file_and_a_short_text() {
    let fixture = fixture();
    let target = format!("/seed/{}/film.mkv", fixture.film);
    let outside = fixture.send("203.0.113.9:50000", Method::GET, &target, Body::empty()).await;
    assert_eq!((outside.status, outside.header("content-type")), (StatusCode::FORBIDDEN, "text/plain; charset=utf-8"));
    for (host, status) in [
        ("evil.example", 403),
        ("192.168.1.1:6970", 200),
        ("127.0.0.1", 200),
        ("[fd00::1]:6970", 200),
        ("localhost", 200),
    ] {
        let mut request = request(VIEWER, Method::GET, &target, Body::empty());
        request.headers_mut().insert("host", host.parse().unwrap());
        request.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
        let response = fixture.respond(request).await;
        assert_eq!(response.status(), status, "{host}");
        if status != 200 {
            assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        }
    }
}
