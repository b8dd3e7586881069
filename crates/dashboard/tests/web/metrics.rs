//! The metrics, and the board that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tracker_core::{AnnounceEvent, InfoHash};
use tracker_host::Health;

use crate::support::{Answer, FakeSightings, Fixture, VIEWER, announce, request};

/// Metrics by name and labels, as they stand.
type Metrics = BTreeMap<String, f64>;

/// Reads the text format of Prometheus
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>), and fails where it is not in it.
fn parse(text: &str) -> Metrics {
    assert!(text.ends_with('\n'));
    let mut metrics = Metrics::new();
    let (mut helped, mut typed) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a text");
            assert!(helped.insert(name) && !help.is_empty(), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(typed.insert(name, kind), None, "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(helped.contains(name) && typed.contains_key(name), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            for label in labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').unwrap();
                assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
                assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            assert_eq!(metrics.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
        }
    }
    assert_eq!(helped, typed.into_keys().collect());
    metrics
}

#[tokio::test]
async fn metrics_are_those_of_the_tracker() {
    let fixture = Fixture::new();
    let answer = fixture.get_until("/metrics", |answer| answer.text().contains("protocol=\"udp\"} 4\n")).await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let mut metrics = parse(answer.text());
    let started = metrics.remove("process_start_time_seconds").unwrap();
    if cfg!(target_os = "linux") {
        let [open, limit] = ["process_open_fds", "process_max_fds"].map(|name| metrics.remove(name).unwrap());
        assert!(open > 3.0 && open < limit, "{open} of {limit}");
    }
    let status = fixture.get("/api/v1/status").await.json();
    assert_eq!(Some(started), status["started"].as_f64());
    let expected = [
        ("tracker_announces_total", 5.0),
        ("tracker_build_info{version=\"0.1.0\"}", 1.0),
        ("tracker_closed_connections_total", 5.0),
        ("tracker_completed_total", 0.0),
        ("tracker_computers", 4.0),
        ("tracker_dashboard_viewers", 0.0),
        ("tracker_download_bytes_per_second", 0.0),
        ("tracker_downloads_bytes_total{way=\"browser\"}", 0.0),
        ("tracker_downloads_bytes_total{way=\"web_seed\"}", 0.0),
        ("tracker_downloads_running{way=\"browser\"}", 0.0),
        ("tracker_downloads_running{way=\"web_seed\"}", 0.0),
        ("tracker_dropped_events_total", 0.0),
        ("tracker_failures_total{protocol=\"http\"}", 3.0),
        ("tracker_failures_total{protocol=\"udp\"}", 4.0),
        ("tracker_known_torrents", 2.0),
        ("tracker_lesson", 1.0),
        ("tracker_peers{state=\"downloading\"}", 2.0),
        ("tracker_peers{state=\"partial\"}", 1.0),
        ("tracker_peers{state=\"seeding\"}", 2.0),
        ("tracker_refused_announces_total", 0.0),
        ("tracker_running", 0.0),
        ("tracker_scrapes_total", 0.0),
        ("tracker_stuck_peers{reason=\"no_progress\"}", 0.0),
        ("tracker_stuck_peers{reason=\"no_seeder\"}", 0.0),
        ("tracker_stuck_peers{reason=\"silent\"}", 0.0),
        ("tracker_stuck_peers{reason=\"undecided\"}", 2.0),
        ("tracker_stuck_torrents{reason=\"no_progress\"}", 0.0),
        ("tracker_stuck_torrents{reason=\"no_seeder\"}", 0.0),
        ("tracker_stuck_torrents{reason=\"silent\"}", 0.0),
        ("tracker_torrents", 2.0),
    ];
    assert_eq!(metrics, expected.map(|(name, value)| (name.to_owned(), value)).into());
    fixture.service.start().await.unwrap();
    assert_eq!(parse(fixture.get("/metrics").await.text())["tracker_running"], 1.0);
}

#[tokio::test]
async fn a_stuck_torrent_is_reported_by_page_api_and_metrics() {
    let fixture = Fixture::new();
    let lonely = InfoHash::new([0x77; 20]);
    announce(&fixture.shards, &fixture.clock, lonely, "10.0.0.77", "-qB5010-", 9, AnnounceEvent::Started);
    let is_counted = |answer: &Answer| answer.json()["stuck_torrents"]["no_seeder"] == 1;
    fixture.get_until("/api/v1/status", is_counted).await;
    assert_eq!(parse(fixture.get("/metrics").await.text())["tracker_stuck_torrents{reason=\"no_seeder\"}"], 1.0);
    let torrent = fixture.get(&format!("/api/v1/torrents/{lonely}")).await.json();
    assert_eq!(torrent["stuck"], json!({ "reason": "no_seeder", "waiting": 1 }));
    let film = fixture.get(&format!("/api/v1/torrents/{}", fixture.film)).await.json();
    assert_eq!(film["stuck"], Value::Null);
    let page = fixture.get("/manage").await;
    assert!(page.text().contains("1 computer waits, and nobody who is there has all of it"), "{}", page.text());
}

#[tokio::test]
async fn nobody_is_stuck_only_if_all_were_looked_at() {
    let fixture = Fixture::new();
    // The fixture's peers have announced once each.
    let is_counted = |answer: &Answer| answer.json()["downloads"]["undecided"] == 2;
    let status = fixture.get_until("/api/v1/status", is_counted).await.json();
    assert_eq!((&status["downloads"]["total"], &status["stuck_torrents"]["no_progress"]), (&2.into(), &0.into()));
    let page = fixture.get("/manage").await;
    assert!(page.text().contains("Nobody so far. For 2 of 2 downloads it cannot be said yet."), "{}", page.text());
    assert!(!page.text().contains("class=\"good\">Nobody"));
    let peers = fixture.get(&format!("/api/v1/torrents/{}/peers", fixture.film)).await.json();
    assert!(peers["items"].as_array().unwrap().iter().all(|peer| peer["stuck"].is_null()), "{peers}");
}

#[tokio::test]
async fn open_metrics_for_those_who_ask() {
    let fixture = Fixture::new();
    let mut request = request(VIEWER, Method::GET, "/metrics", Body::empty());
    // As Prometheus does.
    let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3";
    request.headers_mut().insert("accept", accept.parse().unwrap());
    let response = fixture.respond(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    assert!(text.contains("\n# TYPE tracker_announces counter\ntracker_announces_total 5\n"), "{text}");
    assert!(text.contains("# UNIT process_start_time_seconds seconds\n"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

/// Metrics that nobody needs to see: the number of a lesson says nothing.
const NOT_ON_THE_BOARD: [&str; 1] = ["tracker_lesson"];

/// The possible metrics of an expression: names that are not labels, functions or keywords.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    expression
        .split(move |character| !is_of_name(character))
        .filter(|name| name.starts_with("tracker_") || name.starts_with("process_"))
}

#[tokio::test]
async fn the_board_shows_the_metrics_that_there_are() {
    // With an own peer, which has metrics, too.
    let health = Health::default();
    health.reported("snapshot").saved();
    let fixture = Fixture::seeing_with(&FakeSightings::default(), |config| config.health = health);
    let metrics = parse(fixture.get("/metrics").await.text());
    let there: BTreeSet<_> = metrics.keys().map(|series| series.split('{').next().unwrap()).collect();
    let board: Value = serde_json::from_str(include_str!("../../../../docs/grafana-dashboard.json")).unwrap();
    let mut shown = BTreeSet::new();
    let panels = board["panels"].as_array().unwrap();
    for panel in panels {
        assert!(panel["title"].is_string() && panel["description"].is_string(), "{panel:#}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel:#}");
            let expression = target["expr"].as_str().unwrap();
            let before = shown.len();
            shown.extend(names(expression));
            assert!(names(expression).next().is_some() || shown.len() > before, "{expression}");
        }
    }
    assert_eq!(shown.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new());
    let left_out: Vec<_> = there.difference(&shown).copied().collect();
    assert_eq!(left_out, NOT_ON_THE_BOARD);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[tokio::test]
async fn health_says_what_is_wrong() {
    let health = Health::default();
    let fixture = Fixture::with(|config| config.health = health.clone());
    // The result of a look is given out again for a moment.
    let until = async |target: &str, status: StatusCode, text: &str| {
        let answer = fixture.get_until(target, |answer| answer.text() == text).await;
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.status, status);
    };
    until("/health?verbose", StatusCode::OK, "healthy\n").await;
    let snapshot = health.reported("snapshot");
    let is_served = Arc::new(AtomicBool::new(true));
    let of_check = Arc::clone(&is_served);
    health
        .watch_vital("clients", move || (!of_check.load(Ordering::Relaxed)).then(|| "stopped on the dashboard".into()));
    snapshot.saved();
    until("/health?verbose", StatusCode::OK, "[+]snapshot ok\n[+]clients ok\nhealthy\n").await;
    let metrics = parse(fixture.get("/metrics").await.text());
    assert_eq!(metrics["tracker_healthy{part=\"snapshot\"}"], 1.0);
    assert!(metrics["tracker_last_saved_timestamp_seconds{part=\"snapshot\"}"] > 1.7e9);
    assert!(!metrics.contains_key("tracker_last_saved_timestamp_seconds{part=\"clients\"}"));

    snapshot.failed("cannot write the file:\nno space left");
    let degraded = "[-]snapshot: cannot write the file: no space left\n[+]clients ok\ndegraded\n";
    until("/health?x=1&verbose=true", StatusCode::OK, degraded).await;
    until("/health", StatusCode::OK, "ok\n").await;
    assert_eq!(parse(fixture.get("/metrics").await.text())["tracker_healthy{part=\"snapshot\"}"], 0.0);

    is_served.store(false, Ordering::Relaxed);
    until("/health", StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n").await;
    let answer = fixture.get("/health?verbose").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().ends_with("[-]clients: stopped on the dashboard\nunhealthy\n"), "{}", answer.text());
}

/// A check that hangs until what is returned is dropped, and counts how often it is called.
fn hanging() -> (impl Fn() -> Option<String> + Send + Sync + 'static, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (release, released) = mpsc::channel();
    let (released, calls) = (Mutex::new(released), Arc::new(AtomicUsize::new(0)));
    let of_check = Arc::clone(&calls);
    let check = move || {
        of_check.fetch_add(1, Ordering::Relaxed);
        // An error says that it is to be released.
        _ = released.lock().unwrap().recv();
        None
    };
    (check, release, calls)
}

#[tokio::test]
async fn a_part_that_hangs_is_named_and_hides_no_other() {
    let health = Health::default();
    let fixture = Fixture::with(|config| config.health = health.clone());
    let (check, release, calls) = hanging();
    health.watch("share", check);
    health.watch_vital("clients", || None);
    let degraded = "[-]share: did not answer within 5 s\n[+]clients ok\ndegraded\n";
    let answer = fixture.get("/health?verbose").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, degraded));
    let metrics = parse(fixture.get("/metrics").await.text());
    assert_eq!(metrics["tracker_healthy{part=\"share\"}"], 0.0);
    assert_eq!(metrics["tracker_healthy{part=\"clients\"}"], 1.0);
    // A look at all parts that comes after the first one does not look at it again.
    health.reported("snapshot");
    let answer = fixture.get_until("/health?verbose", |answer| answer.text().contains("snapshot")).await;
    assert!(answer.text().starts_with("[-]share: did not answer within 5 s\n"), "{}", answer.text());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    drop(release);
    let healthy = "[+]share ok\n[+]clients ok\n[+]snapshot ok\nhealthy\n";
    fixture.get_until("/health?verbose", |answer| answer.text() == healthy).await;

    let (check, release, _) = hanging();
    health.watch_vital("swarms", check);
    let answer = fixture.get_until("/health?verbose", |answer| answer.status != StatusCode::OK).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().ends_with("[-]swarms: did not answer within 5 s\nunhealthy\n"), "{}", answer.text());
    drop(release);
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_look_at_the_parts() {
    let health = Health::default();
    let fixture = Fixture::with(|config| config.health = health.clone());
    let (check, release, calls) = hanging();
    health.watch_vital("clients", check);
    let release = async {
        let has_begun = async {
            while calls.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), has_begun).await.expect("it is looked at");
        drop(release);
    };
    let ask = || fixture.get("/health?verbose");
    let (first, second, third, fourth, ()) = tokio::join!(ask(), ask(), ask(), ask(), release);
    for answer in [first, second, third, fourth] {
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "[+]clients ok\nhealthy\n"));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_check_that_panics_is_one_that_fails() {
    let health = Health::default();
    let fixture = Fixture::with(|config| config.health = health.clone());
    health.watch("share", || panic!("the test wants it"));
    let answer = fixture.get("/health?verbose").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "[-]share: looking at it failed\ndegraded\n"));
}
