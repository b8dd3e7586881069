//! The stream of events.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use metainfo::Create;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracker_monitor::LogBuffer;

use crate::support::{Fixture, OPERATOR, VIEWER, request, torrent};

/// A viewer that follows the stream of events.
struct Follower {
    body: Body,
    /// The part of an incomplete event that was read.
    rest: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

impl Follower {
    async fn new(fixture: &Fixture, query: &str) -> Self {
        Self::coming_back(fixture, query, None).await
    }

    async fn coming_back(fixture: &Fixture, query: &str, last_event_id: Option<u64>) -> Self {
        Self::from(OPERATOR, fixture, query, last_event_id).await
    }

    async fn from(from: &str, fixture: &Fixture, query: &str, last_event_id: Option<u64>) -> Self {
        let mut request = request(from, Method::GET, &format!("/api/v1/events{query}"), Body::empty());
        if let Some(id) = last_event_id {
            request.headers_mut().insert("last-event-id", id.into());
        }
        let response = fixture.respond(request).await;
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &"text/event-stream".parse().unwrap())
        );
        Self { body: response.into_body(), rest: String::new() }
    }

    /// The next event; comments are skipped.
    async fn next(&mut self) -> Event {
        self.next_that(|_| true).await
    }

    /// The next event of this name. What comes before it is passed over.
    async fn next_of(&mut self, name: &str) -> Event {
        self.next_that(|event| event.name == name).await
    }

    /// The next line of the log, or that some were missed.
    async fn next_line(&mut self) -> Event {
        self.next_that(|event| ["log", "missed"].contains(&event.name.as_str())).await
    }

    async fn next_that(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        let wait = async {
            loop {
                let event = self.read().await;
                if is_it(&event) {
                    return event;
                }
            }
        };
        timeout(Duration::from_secs(60), wait).await.expect("it takes too long")
    }

    async fn read(&mut self) -> Event {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = parse(event);
                self.rest = rest.to_owned();
                match event {
                    Some(event) => return event,
                    None => continue,
                }
            }
            let data = self.body.frame().await.expect("it has no end").unwrap().into_data().unwrap();
            self.rest.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

fn parse(text: &str) -> Option<Event> {
    let mut event = Event { name: String::new(), id: None, data: Value::Null };
    for line in text.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("event", name) => event.name = name.to_owned(),
            ("id", id) => event.id = Some(id.parse().unwrap()),
            ("data", data) => event.data = serde_json::from_str(data).unwrap(),
            ("retry", milliseconds) => assert!(milliseconds.parse::<u32>().unwrap() > 0),
            _ => assert!(line.starts_with(':'), "{line}"),
        }
    }
    (!event.name.is_empty()).then_some(event)
}

fn info(fixture: &Fixture, lines: std::ops::Range<usize>) {
    fixture.log(|| lines.for_each(|number| tracing::info!(number, "a line")));
}

#[tokio::test]
async fn it_begins_with_what_is_so_and_goes_on_every_second() {
    let fixture = Fixture::new();
    info(&fixture, 0..3);
    let mut follower = Follower::new(&fixture, "").await;
    let tracker = follower.next().await;
    assert_eq!((tracker.name.as_str(), &tracker.data["state"]), ("tracker", &json!("stopped")));
    let mut last = follower.next().await;
    assert_eq!((last.name.as_str(), last.id), ("status", None));
    assert_eq!(
        last.data.as_object().unwrap().keys().collect::<Vec<_>>(),
        fixture.get("/api/v1/status").await.json().as_object().unwrap().keys().collect::<Vec<_>>()
    );
    assert_eq!(follower.next().await, Event { name: "making".into(), id: None, data: json!({ "makings": [] }) });
    for _ in 0..2 {
        // No line that was there before.
        let status = follower.next().await;
        assert_eq!(status.name, "status");
        assert!(status.data["now"].as_u64() >= last.data["now"].as_u64());
        last = status;
    }
    assert_eq!(last.data["announces"], 5);
}

#[tokio::test]
async fn events_are_streamed() {
    let fixture = Fixture::new();
    let mut follower = Follower::new(&fixture, "").await;
    follower.next_of("making").await;

    fixture.service.start().await.unwrap();
    assert_eq!(follower.next_of("tracker").await.data["state"], "running");
    let (_, bytes) = torrent(Create::new(fixture.share().join("course")));
    fixture.post("/api/v1/torrents", bytes).await;
    assert_eq!(follower.next_of("torrents").await.data["known"], 3);
    fixture.post("/api/v1/makings", json!({ "path": "film.mkv" }).to_string()).await;
    let making = follower.next_of("making").await;
    assert_eq!(making.data["makings"][0]["path"], "film.mkv");
    fixture.service.stop().await;
    assert_eq!(follower.next_of("tracker").await.data["state"], "stopped");

    fixture.log(|| tracing::warn!(name = "<script>", "first\n\nsecond"));
    let line = follower.next_line().await;
    let expected = fixture.get("/api/v1/log?limit=1").await.json()["entries"][0].clone();
    assert_eq!(expected["message"], "first\n\nsecond");
    assert_eq!(line, Event { name: "log".into(), id: expected["id"].as_u64(), data: expected });
}

#[tokio::test]
async fn the_log_goes_on_where_it_was_left() {
    let fixture = Fixture::new();
    info(&fixture, 0..300);
    // The header is what a browser that comes back sends with the address that it was given at first.
    for (query, header, first) in [("?after=0", None, 1), ("?after=250", None, 251), ("?after=10", Some(290), 291)] {
        let mut follower = Follower::coming_back(&fixture, query, header).await;
        for id in first..=300 {
            let line = follower.next_line().await;
            assert_eq!((line.name.as_str(), line.id), ("log", Some(id)), "{query}");
        }
    }
    let mut follower = Follower::new(&fixture, "").await;
    follower.next().await;
    info(&fixture, 300..350);
    for id in 301..=350 {
        assert_eq!(follower.next_line().await.id, Some(id));
    }
    // Of a log that was longer: the program has been started anew.
    let mut follower = Follower::coming_back(&fixture, "", Some(5000)).await;
    assert_eq!(follower.next_line().await.id, Some(1));
}

#[tokio::test]
async fn the_log_has_the_filters_of_the_log() {
    let fixture = Fixture::new();
    let (film, unknown) = (fixture.film, fixture.unknown);
    let log = || {
        tracing::info!(info_hash = %film, address = "10.0.0.1:5", "film");
        tracing::info!(info_hash = %unknown, address = "10.0.0.2:5", "unknown");
        tracing::error!(info_hash = %unknown, "bad");
    };
    let mut by_torrent = Follower::new(&fixture, &format!("?info_hash={film}")).await;
    let mut by_level = Follower::new(&fixture, "?level=error").await;
    let mut by_address = Follower::new(&fixture, "?address=10.0.0.2").await;
    for _ in 0..2 {
        fixture.log(log);
        assert_eq!(by_torrent.next_line().await.data["message"], "film");
        assert_eq!(by_level.next_line().await.data["message"], "bad");
        assert_eq!(by_address.next_line().await.data["message"], "unknown");
    }
}

#[tokio::test]
async fn a_slow_viewer_gets_the_range_of_missed_lines() {
    let fixture = Fixture::new();
    let mut follower = Follower::new(&fixture, "").await;
    follower.next_of("making").await;
    info(&fixture, 0..250);
    let missed = follower.next_line().await;
    assert_eq!((missed.name.as_str(), missed.data), ("missed", json!({ "after": 0, "before": 151 })));
    for id in 151..=250 {
        assert_eq!(follower.next_line().await.id, Some(id));
    }

    // More than is kept, and nothing of it for this one.
    let mut by_level = Follower::new(&fixture, "?level=error").await;
    by_level.next_of("making").await;
    let more = LogBuffer::MAX_ENTRIES + 1;
    info(&fixture, 0..more);
    let missed = by_level.next_line().await;
    assert_eq!((missed.name.as_str(), missed.data), ("missed", json!({ "after": 250, "before": 251 + more })));
    fixture.log(|| tracing::error!("at last"));
    assert_eq!(by_level.next_line().await.data["message"], "at last");

    // One who was away for long.
    let mut follower = Follower::new(&fixture, "?after=5").await;
    let missed = follower.next_line().await;
    assert_eq!(missed.data, json!({ "after": 5, "before": 250 + more + 1 - 999 }));
    assert_eq!(follower.next_line().await.id, missed.data["before"].as_u64());
}

#[tokio::test]
async fn only_so_many_may_follow() {
    let fixture = Fixture::new();
    let mut followers = Vec::new();
    for _ in 0..16 {
        followers.push(Follower::from(VIEWER, &fixture, "", None).await);
    }
    let sentence = fixture.get("/api/v1/events").await.problem(StatusCode::SERVICE_UNAVAILABLE);
    assert!(sentence.contains("16 from your address or 256 in all"), "{sentence}");
    for _ in 16..256 {
        followers.push(Follower::from(OPERATOR, &fixture, "", None).await);
    }
    let answer = fixture.send(OPERATOR, Method::GET, "/api/v1/events", Body::empty()).await;
    answer.problem(StatusCode::SERVICE_UNAVAILABLE);
    let metrics = fixture.get("/metrics").await;
    assert!(metrics.text().contains("\ntracker_dashboard_viewers 256"), "{}", metrics.text());
    followers.pop();
    Follower::new(&fixture, "").await.next().await;
}

#[tokio::test]
async fn viewers_without_the_token_get_no_torrent_jobs() {
    let fixture = Fixture::new();
    let mut follower = Follower::from(VIEWER, &fixture, "", None).await;
    fixture.post("/api/v1/makings", json!({ "path": "course" }).to_string()).await;
    loop {
        let event = follower.next().await;
        assert_ne!(event.name, "making");
        // It comes when the torrent is made.
        if event.name == "torrents" {
            break;
        }
    }
    for _ in 0..2 {
        assert_eq!(follower.next_of("status").await.name, "status");
    }
}
