//! Limits on transfers.

use std::num::NonZeroU64;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{Method, StatusCode};
use dashboard::{Dashboard, DashboardConfig, Server};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracker_host::UploadLimit;

use crate::site::{Connection, DEADLINE, Site, fixture};
use crate::support::{Answer, Fixture, OPERATOR, VIEWER, request};

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
    for host in 0..30 {
        for _ in 0..8 {
            let response = ask(&format!("10.0.0.{host}:1"), &seed).await;
            assert_eq!(response.status(), 200, "{host}");
            all.push(response);
        }
    }
    // This machine has a reserve.
    assert_eq!(all.len() + running.len(), 247);
    all.push(ask("10.0.1.1:1", &seed).await);
    assert_eq!(ask("10.0.1.2:1", &seed).await.status(), 503);
    for _ in 0..8 {
        let response = ask(OPERATOR, &seed).await;
        assert_eq!(response.status(), 200);
        all.push(response);
    }
    assert_eq!(ask(OPERATOR, &seed).await.status(), 503);
}

#[test]
fn a_client_that_hangs_up_holds_its_places_until_the_work_is_done() {
    let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let site = Site::start().await;
        site.write("course/b.txt", b"b");
        let course = site.share("course");
        let ask = async |target: &str| {
            let response = site.fixture.respond(request(VIEWER, Method::GET, target, Body::empty())).await;
            response.status()
        };
        for (target, limit) in
            [(format!("/seed/{}/film.mkv", site.fixture.film), 8), (format!("/download/{course}"), 1)]
        {
            // The only thread is held.
            let (go, goes) = mpsc::channel::<()>();
            let held = spawn_blocking(move || _ = goes.recv());
            let answers: Vec<_> = (0..1000).map(|_| ask(&target).now_or_never()).collect();
            let (begun, refused) = answers.split_at(limit);
            assert!(begun.iter().all(Option::is_none), "{target}");
            assert!(refused.iter().all(|status| *status == Some(StatusCode::SERVICE_UNAVAILABLE)), "{target}");
            drop(go);
            held.await.unwrap();
            let again = async {
                while ask(&target).await != StatusCode::OK {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(DEADLINE, again).await.expect("the places are free again");
        }
    });
}

#[tokio::test]
async fn who_gets_no_download_now_is_told_when_to_ask_again() {
    let fixture = fixture();
    let target = format!("/download/{}", fixture.film);
    let ask = async |accept: &str| {
        let mut request = request(VIEWER, Method::GET, &target, Body::empty());
        request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
        fixture.respond(request).await
    };
    let mut running = Vec::new();
    for _ in 0..8 {
        running.push(ask("*/*").await);
    }
    for accept in ["text/html", "*/*"] {
        let answer = Answer::read(ask(accept).await).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"), "{accept}");
        assert!(answer.text().contains("there are too many downloads to your address at once"), "{}", answer.text());
        let says_it_plainly = answer.text().contains("<h1>Busy right now</h1>") && !answer.text().contains("Service");
        assert_eq!(says_it_plainly, accept == "text/html", "{}", answer.text());
    }
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
    let dashboard =
        Dashboard::new(config.with(|config| config.upload_limit = NonZeroU64::new(100_000).map(UploadLimit::new)));
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
