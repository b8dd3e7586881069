//! The pages, as somebody sees them whose browser runs no scripts.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{ACCEPT, IF_NONE_MATCH};
use axum::http::{Method, StatusCode};
use dashboard::{Dashboard, DashboardConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use torrent_library::{Content, Library, LibraryConfig, Share};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;
use tracker_core::{AnnounceEvent, Config, InfoHash, Shards};
use tracker_host::Service;
use tracker_host::{Clock, Events};
use tracker_monitor::{Computers, Failures, LogBuffer, Observer, Transfer, TransferPart, Way};

use crate::support::{Answer, FakePorts, Fixture, HOSTILE_NAME, OPERATOR, VIEWER, announce, request};

/// All pages; those of torrents are of the fixture's.
fn paths(fixture: &Fixture) -> Vec<String> {
    let torrents =
        [fixture.film, fixture.hostile, fixture.unknown].map(|info_hash| format!("/manage/files/{info_hash}"));
    let files = [fixture.film, fixture.hostile]
        .map(|info_hash| [format!("/files/{info_hash}"), format!("/beamer/{info_hash}")]);
    let others = [
        "/",
        "/beamer",
        "/manage",
        "/manage/share",
        "/manage/share/by-hand",
        "/manage/share/by-hand?path=course",
        "/manage/computers",
        "/manage/computers?name=192.168.1.10",
        "/manage/report",
        "/manage/report?lesson=1",
        "/manage/tracker",
        "/manage/tracker?span=2h",
        "/manage/tracker?span=2d",
        "/manage/log",
        "/manage/log?level=warn",
    ];
    others.into_iter().map(str::to_owned).chain(torrents).chain(files.into_iter().flatten()).collect()
}

async fn page(fixture: &Fixture, from: &str, path: &str) -> String {
    let mut request = request(from, Method::GET, path, Body::empty());
    request.headers_mut().insert(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap());
    let answer = Answer::read(fixture.respond(request).await).await;
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
    answer.text().to_owned()
}

/// Waits until the observer has seen what the fixture has announced.
async fn observed() -> Fixture {
    let fixture = Fixture::new();
    fixture.get_until("/manage", |answer| answer.text().matches("<tr role=\"row\" id=").count() == 3).await;
    fixture.get_until(&format!("/manage/files/{}", fixture.film), |answer| answer.text().contains("4 computers")).await;
    fixture
}

#[tokio::test]
async fn every_page_is_whole_and_obeys_its_own_policy() {
    let fixture = observed().await;
    fixture.service.start().await.unwrap();
    for path in paths(&fixture) {
        for from in [OPERATOR, VIEWER] {
            let html = page(&fixture, from, &path).await;
            assert!(html.starts_with("<!doctype html>"), "{path}");
            assert!(html.trim_end().ends_with("</html>"), "{path}");
            assert_eq!(html.matches("<h1").count(), 1, "{path} has one main heading");
            assert_eq!(html.matches("<main").count(), 1, "{path}");
            for inline in [" style=", " onclick=", " onload=", "javascript:", "<style", "http://www.w3.org/1999"] {
                assert!(!html.contains(inline), "{path} has {inline}");
            }
            for script in html.split("<script").skip(1) {
                assert!(script.contains("src=\"/assets/"), "{path}: {script:.80}");
            }
            let ids: Vec<_> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(ids.len(), distinct.len(), "{path} uses an id twice: {ids:?}");
        }
    }
}

#[tokio::test]
async fn names_and_log_texts_are_only_text() {
    let fixture = observed().await;
    let subscriber = tracing_subscriber::registry().with(fixture.log_buffer.layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(info_hash = %fixture.hostile, address = "<img src=x>", field = "<b>", "<script>alert(2)</script>");
    });
    let hostile = format!("/manage/files/{}", fixture.hostile);
    for path in [
        "/manage/tracker",
        "/manage",
        "/manage/log",
        &hostile,
        "/manage?search=%22%3E%3Cscript%3E",
        "/manage/log?computer=%22%3E%3Cscript%3E",
        "/manage/computers?search=%22%3E%3Cscript%3E",
    ] {
        let html = page(&fixture, OPERATOR, path).await;
        for tag in ["<script>", "<img src=x", "<b>", "\"><script"] {
            assert!(!html.contains(tag), "{path} has {tag}");
        }
    }
    let escaped = HOSTILE_NAME.replace('<', "&#60;").replace('>', "&#62;").replace('\'', "&#39;");
    assert!(page(&fixture, VIEWER, "/manage").await.contains(&escaped));
    assert!(page(&fixture, VIEWER, &hostile).await.contains(&format!("<title>{escaped} ·")));
    assert!(page(&fixture, VIEWER, "/manage/log").await.contains("&#60;script&#62;alert(2)"));
}

#[tokio::test]
async fn who_only_looks_is_offered_nothing_to_change() {
    let fixture = observed().await;
    fixture.service.start().await.unwrap();
    let film = format!("/manage/files/{}", fixture.film);
    for (path, offer) in [
        ("/manage/tracker", "data-post=\"/api/v1/tracker/stop\""),
        ("/manage/share", "id=\"torrent-file\""),
        (&*film, "data-delete=\"/api/v1/torrents/"),
        ("/manage/share/by-hand", "data-make=\"film.mkv\""),
        ("/manage/report", "data-post=\"/api/v1/lessons\""),
        ("/manage/report", "method=\"post\""),
        ("/manage/computers", "?name=192.168.1.10\""),
        ("/manage/computers?name=192.168.1.10", "method=\"post\""),
    ] {
        assert!(page(&fixture, OPERATOR, path).await.contains(offer), "{path}");
        let html = page(&fixture, VIEWER, path).await;
        for change in ["data-post", "data-delete", "data-make", "type=\"file\"", "method=\"post\"", "?name="] {
            assert!(!html.contains(change), "{path} offers {change}");
        }
    }
    fixture.post("/api/v1/makings", r#"{"path":"film.mkv"}"#).await;
    assert!(page(&fixture, OPERATOR, "/manage/share/by-hand").await.contains("id=\"making-1\""));
    let html = page(&fixture, VIEWER, "/manage/share/by-hand").await;
    assert!(
        !html.contains("film.mkv") && !html.contains("id=\"making"),
        "nor told what is in the share folder: {html}"
    );
}

#[tokio::test]
async fn the_tracker_page_has_the_state_of_the_service() {
    let fixture = Fixture::new();
    let html = page(&fixture, OPERATOR, "/manage/tracker").await;
    assert!(html.contains("The tracker is stopped"));
    assert!(html.contains("The ports are free"));
    assert!(html.contains("data-post=\"/api/v1/tracker/start\""));

    fixture.service.start().await.unwrap();
    let html = page(&fixture, OPERATOR, "/manage/tracker").await;
    assert!(html.contains("The tracker is running"));
    assert!(html.contains("6969, TCP and UDP"), "{html}");
    assert!(html.contains("data-copy=\"http://192.168.1.1:6969/announce\""));
    assert!(
        !html.contains("qr.svg"),
        "an announce URL leads a phone nowhere, and the page has no address here: {html}"
    );
    assert!(html.contains("Only this machine reaches the page"));
    let reached = "The BitTorrent clients of 4 other computers have reached the tracker.";
    fixture.get_until("/manage/tracker", |answer| answer.text().contains(reached)).await;
}

#[tokio::test]
async fn the_tracker_page_has_the_port_of_the_own_peer() {
    let of = async |own_peer| {
        let fixture = Fixture::with(|config| config.own_peer = own_peer);
        page(&fixture, OPERATOR, "/manage/tracker").await
    };
    let html = of(Some(Ok(vec!["0.0.0.0:6968".parse().unwrap(), "[::]:6968".parse().unwrap()]))).await;
    assert!(html.contains("Port 6968, TCP<") && html.contains("behind a firewall connect to it"), "{html}");
    let why = "nginx <8> has the port; stop it, or choose another port with --peer-listen";
    let html = of(Some(Err(why.to_owned()))).await;
    assert!(
        html.contains("Not listening: nginx &#60;8&#62; has the port; stop it") && !html.contains("6968"),
        "{html}"
    );
    assert!(of(Some(Ok(Vec::new()))).await.contains("Not listening<"));
    assert!(!of(None).await.contains("Own peer"));
}

#[tokio::test]
async fn the_files_page_has_who_is_stuck() {
    let fixture = Fixture::new();
    let alone = InfoHash::new([0xcd; 20]);
    announce(&fixture.shards, &fixture.clock, alone, "192.168.1.30", "-TR4060-", 5, AnnounceEvent::Started);
    let files =
        fixture.get_until("/manage", |answer| answer.text().contains("nobody who is there has all of it")).await;
    assert!(files.text().contains(&format!("href=\"/manage/files/{alone}\"")));
    assert!(files.text().contains("1 computer waits"));
    assert!(files.text().contains("is-stuck\">stuck<"));
    fixture.observer.computers().set_name([192, 168, 1, 30].into(), "lab-07").unwrap();
    assert!(page(&fixture, VIEWER, "/manage").await.contains(">lab-07<"), "it is called as everywhere else");
}

#[tokio::test]
async fn nobody_is_stuck_only_if_browsers_are_not_either() {
    let fixture = Fixture::new();
    let share = Share::open(fixture.share()).unwrap();
    let content = Arc::new(Content::list(&share, "course").unwrap());
    fixture.contents.insert(Arc::clone(&content), &[]);
    let looked_at = |text: &'static str| move |answer: &Answer| answer.text().contains(text);
    // The two leechers of the film have announced once.
    fixture.get_until("/manage", looked_at("For 2 of 2 downloads it cannot be said yet")).await;
    let (remote, part, len) = ([192, 168, 1, 77].into(), TransferPart::File { index: 0, range: 0..5 }, 5);
    let begin = |remote| {
        let transfer = Transfer { remote, content: Arc::clone(&content), part: part.clone(), len, way: Way::Browser };
        fixture.observer.downloads().begin(transfer)
    };
    let download = begin(remote);
    fixture.get_until("/manage", looked_at("For 2 of 3 downloads it cannot be said yet")).await;
    for (ip, name) in [("192.168.1.11", "-TR4060-"), ("192.168.1.12", "-lt2080-")] {
        announce(&fixture.shards, &fixture.clock, fixture.film, ip, name, 0, AnnounceEvent::Completed);
    }
    // It is not stuck for a while yet.
    download.sent(1);
    fixture.get_until("/manage", looked_at("Nobody: 1 download in progress, and every computer gets something")).await;
    download.sent(len - 1);
    drop(download);
    fixture.get_until("/manage", looked_at("Nobody: no download is in progress")).await;
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_json_for_all_others() {
    let fixture = Fixture::new();
    let zeros = format!("/manage/files/{}", "0".repeat(40));
    for (path, link) in [
        ("/nonsense", "Show the files"),
        ("/manage/nonsense", "Back to the files"),
        ("/manage/files/zz", "Back to the files"),
        (&zeros, "Back to the files"),
        ("/plots/all.svg", "Show the files"),
        ("/assets/nothing.js", "Show the files"),
        ("/qr.svg?page=/", "Show the files"),
    ] {
        let html = page(&fixture, VIEWER, path).await;
        assert!(html.matches(">Not Found<").count() == 1, "said once: {html}");
        assert!(html.contains("<h1>Not Found</h1>") && html.contains(link), "{path}: {html}");
        fixture.get(path).await.problem(StatusCode::NOT_FOUND);
    }
    let mut request = request(VIEWER, Method::GET, "/api/v1/tracker/stop", Body::empty());
    request.headers_mut().insert(ACCEPT, "text/html".parse().unwrap());
    let answer = Answer::read(fixture.respond(request).await).await;
    assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let html = page(&fixture, VIEWER, "/manage?search=%ff&search=").await;
    assert!(html.contains("<h1>Bad Request</h1>"), "{html}");
}

#[tokio::test]
async fn old_paths_lead_to_the_pages() {
    let fixture = Fixture::new();
    let film = fixture.film;
    for (old, new) in [
        ("/torrents?search=a&page=2", "/manage?search=a&page=2".to_owned()),
        (&format!("/torrents/{film}"), format!("/manage/files/{film}")),
        ("/torrents/..%2Flog", "/manage".to_owned()),
        ("/make?path=course", "/manage/share/by-hand?path=course".to_owned()),
        ("/log", "/manage/log".to_owned()),
    ] {
        let answer = fixture.get(old).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, &*new), "{old}");
    }
}

#[tokio::test]
async fn announces_are_told_the_right_port() {
    let fixture = Fixture::new();
    for path in ["/announce?info_hash=x", "/announce/key?info_hash=x", "/scrape"] {
        let answer = fixture.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/plain"));
        assert!(answer.text().starts_with("d14:failure reason66:this is the port of the tracker's page"), "{answer:?}");
    }
    fixture.service.start().await.unwrap();
    let answer = fixture.get("/announce?info_hash=x").await;
    assert!(answer.text().contains("announce URL is http://192.168.1.1:6969/announce8:intervali1800e"), "{answer:?}");
    let html = page(&fixture, VIEWER, "/announce").await;
    assert!(html.contains("announce URL is http://192.168.1.1:6969/announce"), "{html}");
    assert!(html.contains(r#"<a class="button" href="/">Show the files</a>"#), "{html}");
}

#[tokio::test]
async fn assets_are_kept_for_as_long_as_they_are_the_same() {
    let fixture = Fixture::new();
    let html = page(&fixture, VIEWER, "/manage").await;
    let assets: Vec<_> = html.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert!(assets.len() > 10, "{assets:?}");
    for asset in &assets {
        let answer = fixture.get(asset).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        assert!(answer.header("cache-control").contains("immutable"), "{asset}");
        let kind = match asset.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(answer.header("content-type"), kind);
    }
    let older = fixture.get("/assets/0123456789abcdef/page.css").await;
    assert_eq!(older.header("cache-control"), "no-cache", "it may be another one");
    let mut again = request(VIEWER, Method::GET, "/assets/page.css", Body::empty());
    again.headers_mut().insert(IF_NONE_MATCH, older.header("etag").parse().unwrap());
    assert_eq!(fixture.respond(again).await.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn plots_are_images() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    for path in ["/plots/peers.svg", "/plots/announces.svg?span=2h&theme=dark", "/plots/rate.svg?span=2d"] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "image/svg+xml", "{path}");
        assert!(answer.text().contains("<svg") && answer.text().trim_end().ends_with("</svg>"), "{path}");
    }
    assert_eq!(fixture.get("/plots/peers.svg?theme=pink").await.status, StatusCode::BAD_REQUEST);
}

/// 100,000 peers in 1,000 torrents. How long it takes, a bench tells.
#[tokio::test]
async fn pages_of_many_peers_are_no_larger_than_those_of_few() {
    let config = Config::default().with(|config| config.interval_jitter_percent = 0);
    let shards = Arc::new(Shards::new(config, NonZeroUsize::new(16).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap());
    let clock = Clock::start();
    for number in 0..100_000u32 {
        let mut info_hash = [0; 20];
        info_hash[..4].copy_from_slice(&(number % 1000).to_be_bytes());
        let ip = Ipv4Addr::from(0x0a00_0001 + number).to_string();
        let left = u64::from(number % 7) * 1000;
        announce(&shards, &clock, InfoHash::new(info_hash), &ip, "-qB5010-", left, AnnounceEvent::Started);
    }
    let library = Library::open(LibraryConfig::default()).unwrap();
    let events = Events::start(Arc::clone(&shards)).unwrap();
    let observer = Observer::start(&events, Computers::new(clock, library.clone()), Failures::default).unwrap();
    let dashboard = Dashboard::new(DashboardConfig::new(
        shards.into(),
        clock,
        observer.clone(),
        LogBuffer::new(),
        Service::new(FakePorts::default()),
        library,
    ));
    let render = async |path: &str| {
        let response = dashboard.router().oneshot(request(VIEWER, Method::GET, path, Body::empty())).await.unwrap();
        let answer = Answer::read(response).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !render("/manage/tracker").await.text().contains("<dt>Torrents</dt><dd>1,000</dd>") {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for path in ["/manage/tracker", "/manage"] {
        let bytes = render(path).await.text().len();
        assert!(bytes < 100_000, "{path}: {bytes}");
    }
    observer.finish();
}
