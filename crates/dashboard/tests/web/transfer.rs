//! What is sent of shared files, over real connections.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Method, StatusCode};
use dashboard::{Dashboard, DashboardConfig, Server};
use http_body_util::BodyExt;
use metainfo::Create;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use torrent_library::{Content, ContentKey, Share};
use tracker_core::InfoHash;

use crate::support::{Fixture, OPERATOR, VIEWER, request, torrent};

/// The time after which a test gives up, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A name with everything that needs care in a URL.
const HARD_NAME: &str = "Übung 1 – a+b & c#d %41 (x) [y],'!;=@.bin";

const HARD_NAME_ENCODED: &str =
    "%C3%9Cbung%201%20%E2%80%93%20a%2Bb%20%26%20c%23d%20%2541%20%28x%29%20%5By%5D%2C%27%21%3B%3D%40.bin";

/// The same with lower case digits, and with what needs no escape as it is.
const HARD_NAME_RAW: &str = "%c3%9cbung%201%20%e2%80%93%20a+b%20&%20c%23d%20%2541%20(x)%20[y],'!;=@.bin";

/// A dashboard on a port of its own, of the fixture's tracker and its share folder.
pub(crate) struct Site {
    pub(crate) fixture: Fixture,
    address: SocketAddr,
    share: Share,
    _server: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::of(fixture()).await
    }

    pub(crate) async fn of(fixture: Fixture) -> Self {
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], fixture.dashboard.clone()).unwrap();
        let (address, share) = (server.local_addrs()[0], Share::open(fixture.share()).unwrap());
        let mut running = JoinSet::new();
        running.spawn(async move { server.run(std::future::pending()).await.unwrap() });
        Self { fixture, address, share, _server: running }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.fixture.share().join(path)
    }

    /// Writes a file into the share folder.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Shares a file or folder, and registers its torrent.
    pub(crate) fn share(&self, path: &str) -> InfoHash {
        let content = self.list(path);
        let (info_hash, bytes) = torrent(Create::new(self.path(path)));
        self.fixture.library.register(&bytes).unwrap();
        self.fixture.contents.hashed(content.id(), &[info_hash]);
        info_hash
    }

    /// Shares a file or folder that is not hashed yet.
    pub(crate) fn list(&self, path: &str) -> Arc<Content> {
        let content = Arc::new(Content::list(&self.share, path).unwrap());
        self.fixture.contents.insert(Arc::clone(&content), &[]);
        content
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    pub(crate) async fn get(&self, target: &str, headers: &[&str]) -> Reply {
        self.connect().await.ask("GET", target, headers).await.unwrap()
    }
}

/// A fixture whose film is shared.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let share = Share::open(fixture.share()).unwrap();
    fixture.contents.insert(Arc::new(Content::list(&share, "film.mkv").unwrap()), &[fixture.film]);
    fixture
}

pub(crate) struct Connection(pub(crate) BufReader<TcpStream>);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, method: &str, target: &[u8], headers: &[&str]) {
        let host = self.0.get_ref().peer_addr().unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let mut bytes = format!("{method} ").into_bytes();
        bytes.extend(target);
        bytes.extend(format!(" HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes());
        self.0.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((head[9..12].parse().unwrap(), head.replace("\r\n", "\n")))
    }

    async fn reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let (status, head) = self.head().await?;
        let mut reply = Reply { status, head, body: Vec::new() };
        if has_body && status != 304 {
            reply.body = vec![0; reply.header("content-length").parse().expect("a length")];
            timeout(DEADLINE, self.0.read_exact(&mut reply.body)).await??;
        }
        Ok(reply)
    }

    pub(crate) async fn ask(&mut self, method: &str, target: &str, headers: &[&str]) -> io::Result<Reply> {
        self.send(method, target.as_bytes(), headers).await;
        self.reply(method != "HEAD").await
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
        assert!(values.len() < 2, "{}", self.head);
        values.first().copied().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &[u8]) -> &Self {
        assert!(self.status == status && self.body == body, "{}{:?}", self.head, String::from_utf8_lossy(&self.body));
        self
    }

    /// Holds that no browser shows it as a page of this server.
    #[track_caller]
    fn is_inert(&self) -> &Self {
        assert_eq!(self.header("content-security-policy"), "sandbox; default-src 'none'", "{}", self.head);
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{}", self.head);
        assert!(matches!(self.header("content-type"), "" | "application/octet-stream"), "{}", self.head);
        let is_attachment = self.header("content-disposition").starts_with("attachment; filename=");
        assert_eq!(is_attachment, matches!(self.status, 200 | 206), "{}", self.head);
        self
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 251) as u8).collect()
}

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
async fn names_are_decoded_byte_by_byte() {
    let site = Site::start().await;
    site.write(HARD_NAME, b"alone");
    site.write(&format!("{HARD_NAME} folder/日本 語/{HARD_NAME}"), b"in a folder");
    site.write(&format!("{HARD_NAME} folder/empty"), b"");
    let single = site.share(HARD_NAME);
    let folder = site.share(&format!("{HARD_NAME} folder"));
    for name in [HARD_NAME_ENCODED, HARD_NAME_RAW, &HARD_NAME_RAW.replace("(x)", "%28%78)")] {
        site.get(&format!("/seed/{single}/{name}"), &[]).await.is(200, b"alone");
        site.get(&format!("/download/{single}/{name}"), &[]).await.is(200, b"alone");
        for (prefix, japanese) in [
            (format!("/seed/{folder}/{name}%20folder"), "%E6%97%A5%e6%9c%ac%20%e8%aa%9e"),
            (format!("/download/{folder}"), "%e6%97%a5%E6%9C%AC%20%E8%AA%9E"),
        ] {
            let file = site.get(&format!("{prefix}/{japanese}/{name}"), &[]).await;
            file.is(200, b"in a folder").is_inert();
            assert!(file.header("content-disposition").contains("filename*=UTF-8''%C3%9Cbung%201%20%E2%80%93"));
            site.get(&format!("{prefix}/empty"), &[]).await.is(200, b"").is_inert();
            site.get(&format!("{prefix}/empty"), &["Range: bytes=0-"]).await.is(200, b"").is_inert();
        }
    }
    // Bytes beyond ASCII as they are.
    let mut connection = site.connect().await;
    let name = HARD_NAME_RAW.replace("%c3%9c", "Ü");
    connection.send("GET", format!("/seed/{single}/{name}").as_bytes(), &[]).await;
    connection.reply(true).await.unwrap().is(200, b"alone");
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let site = Site::start().await;
    site.write("course/a/b.txt", b"shared");
    site.write("secret.txt", b"secret");
    fs::write(site.fixture.folder.path().join("outside.txt"), "secret").unwrap();
    let (hash, film) = (site.share("course"), site.fixture.film);
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(200, b"shared");
    site.get(&format!("/download/{hash}/a/b.txt"), &[]).await.is(200, b"shared");

    let mut connection = site.connect().await;
    let paths = [
        "",
        "/",
        "a",
        "a/",
        "a/b.txt/",
        "/a/b.txt",
        "a//b.txt",
        "a/b.txt//",
        "./a/b.txt",
        "a/./b.txt",
        "a/../a/b.txt",
        "%2e/a/b.txt",
        "a%2fb.txt",
        "a%2Fb.txt",
        "a%5cb.txt",
        "a\\b.txt",
        "a/b.txt%00",
        "%00",
        "a/b.txt%00.png",
        "A/b.txt",
        "a/b.tx",
        "a/b.txt.",
        "..",
        "../",
        "../secret.txt",
        "..%2fsecret.txt",
        "..%5csecret.txt",
        "..\\secret.txt",
        "%2e%2e/secret.txt",
        ".%2e/secret.txt",
        "..;/secret.txt",
        "a/..;/..;/secret.txt",
        "a/../../secret.txt",
        "../../outside.txt",
        "%2e%2e%2f%2e%2e%2foutside.txt",
        "%252e%252e/secret.txt",
        "..%c0%afsecret.txt",
        "..%ef%bc%8fsecret.txt",
        "....//secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "C:/",
        "C:%5c",
        "\\\\host\\share",
        "a/b.txt:stream",
        "a/b.txt::$DATA",
        "%ff%fe",
        "%",
        "%4",
        "%zz",
        "secret.txt",
        ".",
        "%2e",
        "a/b.txt;x",
        "*",
    ];
    for path in paths {
        for target in [format!("/seed/{hash}/course/{path}"), format!("/seed/{hash}/{path}")] {
            let reply = connection.ask("GET", &target, &["Accept: text/html"]).await.unwrap();
            assert_eq!(reply.status, 404, "{target}");
            assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8", "{target}");
            assert!(!reply.header("retry-after").is_empty() && reply.body.len() < 100, "{target}");
        }
        // The folder itself is a download of its own.
        if !path.is_empty() {
            let target = format!("/download/{hash}/{path}");
            let reply = connection.ask("GET", &target, &[]).await.unwrap();
            assert_eq!((reply.status, reply.header("content-disposition")), (404, ""), "{target}");
        }
    }
    // Another content, another torrent's name, a torrent that is not known, what is no hash.
    for target in [
        format!("/seed/{film}/course/a/b.txt"),
        format!("/seed/{film}/course"),
        format!("/seed/{hash}/film.mkv"),
        format!("/seed/{}/film.mkv", site.fixture.unknown),
        format!("/seed/{}/{}", site.fixture.hostile, "notes.txt"),
        format!("/seed/{film}"),
        format!("/seed/{film}0/film.mkv"),
        "/seed/film.mkv".to_owned(),
        "/seed/../film.mkv".to_owned(),
        "/seed/".to_owned(),
        format!("/download/{film}0"),
        format!("/download/{}", site.fixture.unknown),
        format!("/download/{film}/x"),
        "/download/..".to_owned(),
        "/download/0000000000000000".to_owned(),
    ] {
        let reply = connection.ask("GET", &target, &[]).await.unwrap();
        assert_eq!((reply.status, reply.header("content-disposition")), (404, ""), "{target}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let reply = connection.ask(method, &format!("/seed/{film}/film.mkv"), &["Content-Length: 0"]).await.unwrap();
        assert_eq!(reply.status, 405, "{method}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_takes_the_place_of_something_leads_nowhere() {
    use std::os::unix::fs::symlink;

    let site = Site::start().await;
    site.write("course/a/b.txt", b"shared");
    let hash = site.share("course");
    let outside = site.fixture.folder.path().join("outside");
    fs::rename(site.path("course/a"), &outside).unwrap();
    symlink(&outside, site.path("course/a")).unwrap();
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(404, b"the file has changed since it was shared\n");
    assert_eq!(site.get(&format!("/download/{hash}/a/b.txt"), &[]).await.status, 409);
    fs::remove_file(site.path("course/a")).unwrap();
    fs::rename(&outside, site.path("course/a")).unwrap();
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(200, b"shared");
}

#[tokio::test]
async fn what_has_changed_is_refused_and_reported() {
    let site = Site::start().await;
    for change in [Some("second"), None] {
        site.write("notes.txt", b"first");
        let hash = site.share("notes.txt");
        let (seed, download) = (format!("/seed/{hash}/notes.txt"), format!("/download/{hash}"));
        let etag = site.get(&seed, &[]).await.header("etag").to_owned();
        assert!(site.fixture.contents.take_changed(Duration::ZERO).is_empty());
        match change {
            Some(text) => fs::write(site.path("notes.txt"), text).unwrap(),
            None => fs::remove_file(site.path("notes.txt")).unwrap(),
        }
        for range in ["Range: bytes=0-1", "X: y"] {
            let reply = site.get(&seed, &[range, "Accept: text/html", &format!("If-None-Match: {etag}")]).await;
            reply.is(404, b"the file has changed since it was shared\n");
            assert_eq!((reply.header("retry-after"), reply.header("content-type")), ("5", "text/plain; charset=utf-8"));
        }
        assert_eq!(site.fixture.contents.take_changed(Duration::ZERO).len(), 1);
        let page = site.get(&download, &["Accept: text/html"]).await;
        let text = String::from_utf8(page.body).unwrap();
        assert!(page.status == 409 && text.contains("notes.txt") && text.contains("since it was shared"), "{text}");
        assert!(text.starts_with("<!doctype html>") || text.starts_with("<!DOCTYPE html>"), "{text}");
        assert_eq!(site.get(&download, &[]).await.status, 409);
    }
}

#[tokio::test]
async fn what_is_replaced_leads_to_what_is_there_now() {
    let site = Site::start().await;
    site.write("notes.txt", b"first");
    let old = site.share("notes.txt");
    let old_id = site.fixture.contents.get(ContentKey::Swarm(old)).unwrap().id();
    site.write("notes.txt", b"second");
    let content = Arc::new(Content::list(&site.share, "notes.txt").unwrap());
    let id = content.id();
    site.fixture.contents.replace([ContentKey::Id(old_id)], content, &[]);
    site.fixture.library.remove(&old).unwrap();
    let leads_to = async |newer: &str| {
        for key in [&*old.to_string(), &*old_id.to_string()] {
            for path in ["", "/", "/notes.txt"] {
                let target = format!("/download/{key}{path}");
                let page = site.get(&target, &["Accept: text/html"]).await;
                let text = String::from_utf8(page.body).unwrap();
                let link = format!("href=\"/files/{newer}\"");
                assert!(
                    page.status == 404 && text.contains("newer version") && text.contains(&link),
                    "{target}: {text}"
                );
                let plain = site.get(&target, &[]).await;
                let text = String::from_utf8(plain.body).unwrap();
                assert!(plain.status == 404 && text.contains(&format!("/files/{newer}")), "{target}: {text}");
            }
        }
        let page = site.get(&format!("/files/{old}"), &["Accept: text/html"]).await;
        assert!(page.status == 404 && String::from_utf8(page.body).unwrap().contains(&format!("/files/{newer}\"")));
        assert_eq!(site.get(&format!("/seed/{old}/notes.txt"), &[]).await.status, 404);
    };
    leads_to(&id.to_string()).await;
    let (new, bytes) = torrent(Create::new(site.path("notes.txt")));
    site.fixture.library.register(&bytes).unwrap();
    site.fixture.contents.hashed(id, &[new]);
    leads_to(&new.to_string()).await;
    site.fixture.library.remove(&new).unwrap();
    let page = site.get(&format!("/download/{old}"), &["Accept: text/html"]).await;
    assert!(page.status == 404 && !String::from_utf8(page.body).unwrap().contains("newer version"));
}

#[tokio::test]
async fn what_the_operator_removes_is_refused_at_once() {
    let site = Site::start().await;
    let film = site.fixture.film;
    let id = site.fixture.contents.get(ContentKey::Swarm(film)).unwrap().id();
    let targets = [
        format!("/seed/{film}/film.mkv"),
        format!("/download/{film}"),
        format!("/download/{film}/film.mkv"),
        format!("/download/{id}"),
        format!("/files/{film}"),
    ];
    for target in &targets {
        let status = site.get(target, &[]).await.status;
        assert!(matches!(status, 200 | 307), "{target}: {status}");
    }
    assert_eq!(site.fixture.delete(&format!("/api/v1/torrents/{film}")).await.status, StatusCode::NO_CONTENT);
    // Nobody has looked at what is shared since.
    assert!(site.fixture.contents.get(ContentKey::Swarm(film)).is_some());
    for target in &targets {
        assert_eq!(site.get(target, &[]).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_does_not_look_whole() {
    let site = Site::start().await;
    let len = 40 << 20;
    for is_cut in [false, true] {
        site.write("growing", &bytes(len));
        let hash = site.share("growing");
        let mut connection = site.connect().await;
        connection.send("GET", format!("/download/{hash}").as_bytes(), &[]).await;
        assert_eq!(connection.head().await.unwrap().0, 200);
        let file = fs::File::options().write(true).open(site.path("growing")).unwrap();
        file.set_len(if is_cut { 100 } else { len as u64 + 1 }).unwrap();
        let mut body = Vec::new();
        // Cut off, with or without an error.
        _ = connection.0.read_to_end(&mut body).await;
        assert!(body.len() < len, "{is_cut}: {}", body.len());
    }
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

#[tokio::test]
async fn one_address_has_eight_transfers() {
    let fixture = fixture();
    let (seed, download) = (format!("/seed/{}/film.mkv", fixture.film), format!("/download/{}", fixture.film));
    let ask = async |from: &str, target: &str| fixture.respond(request(from, Method::GET, target, Body::empty())).await;
    let mut running = Vec::new();
    for number in 0..8 {
        let response = ask(VIEWER, if number % 2 == 0 { &seed } else { &download }).await;
        assert_eq!(response.status(), 200);
        running.push(response);
    }
    let refused = ask(VIEWER, &seed).await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().unwrap())
    );
    assert_eq!(ask(VIEWER, &download).await.status(), 503);
    assert_eq!(ask("192.168.1.78:1", &seed).await.status(), 200);
    assert_eq!(ask(OPERATOR, &seed).await.status(), 200);
    // One that is sent makes room, and so does one that was given up.
    assert_eq!(running.pop().unwrap().into_body().collect().await.unwrap().to_bytes(), vec![7; 40_000]);
    running.push(ask(VIEWER, &seed).await);
    assert_eq!(running.last().unwrap().status(), 200);
    drop(running.pop());
    assert_eq!(ask(VIEWER, &download).await.status(), 200);

    let mut all = Vec::new();
    for host in 0..31 {
        for _ in 0..8 {
            let response = ask(&format!("10.0.0.{host}:1"), &seed).await;
            assert_eq!(response.status(), 200, "{host}");
            all.push(response);
        }
    }
    assert_eq!(all.len() + running.len(), 255);
    all.push(ask("10.0.1.1:1", &seed).await);
    assert_eq!(ask("10.0.1.2:1", &seed).await.status(), 503);
    assert_eq!(ask(OPERATOR, &seed).await.status(), 503);
}

#[tokio::test]
async fn the_upload_limit_holds_for_what_is_sent_over_a_connection() {
    let Fixture { shards, clock, observer, log_buffer, service, library, .. } = &fixture();
    let config = DashboardConfig::new(
        Arc::clone(shards).into(),
        *clock,
        observer.clone(),
        log_buffer.clone(),
        service.clone(),
        library.clone(),
    );
    let dashboard = Dashboard::new(config.with(|config| config.upload_limit = NonZeroU64::new(100_000)));
    let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], dashboard).unwrap();
    let address = server.local_addrs()[0];
    let mut running = JoinSet::new();
    running.spawn(async move { server.run(std::future::pending()).await.unwrap() });

    let film = library.all().values().find(|torrent| &*torrent.name == "film.mkv").unwrap().info_hash;
    let start = Instant::now();
    let mut connection = Connection(BufReader::new(TcpStream::connect(address).await.unwrap()));
    for target in [format!("/seed/{film}/film.mkv"), format!("/download/{film}")] {
        connection.ask("GET", &target, &[]).await.unwrap().is(200, &[7; 40_000]);
    }
    // 80,000 bytes, of which 40 ms are not waited for, and the last grant is paid for afterwards.
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
}
