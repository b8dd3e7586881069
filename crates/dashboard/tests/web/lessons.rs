//! Lessons: who got what in them, and their reports.

use std::fs;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use torrent_library::{Content, Share};
use tracker_monitor::{Transfer, TransferPart, Way};

use crate::support::{Answer, Fixture, OPERATOR, VIEWER, request};

/// A file in the share folder that was listed, and is not hashed.
fn share(fixture: &Fixture, name: &str, len: usize) -> Arc<Content> {
    fs::write(fixture.share().join(name), vec![b'x'; len]).unwrap();
    let share = Share::open(fixture.share()).unwrap();
    let content = Arc::new(Content::list(&share, name).unwrap());
    fixture.contents.insert(Arc::clone(&content), &[]);
    content
}

/// A browser on the machine with this address is sent all of a file.
fn download(fixture: &Fixture, remote: &str, content: &Arc<Content>) {
    let (content, len) = (Arc::clone(content), content.size());
    let (remote, part) = (remote.parse().unwrap(), TransferPart::File { index: 0, range: 0..len });
    let transfer = Transfer { remote, content, part, len, way: Way::Browser };
    fixture.observer.downloads().begin(transfer).sent(len);
}

fn find<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["files"].as_array().unwrap().iter().find(|file| file["name"] == name).unwrap()
}

#[tokio::test]
async fn a_download_in_a_browser_is_in_the_report() {
    let fixture = Fixture::new();
    let notes = share(&fixture, "=notes.txt", 1000);
    download(&fixture, "192.168.1.77", &notes);
    // This machine does not count.
    download(&fixture, "127.0.0.1", &notes);

    let seen = |answer: &Answer| answer.json()["computers"] == 5;
    let report = fixture.get_until("/api/v1/lessons/0", seen).await.json();
    assert_eq!((&report["number"], &report["ended"], &report["is_complete"]), (&json!(1), &Value::Null, &json!(true)));
    let of_notes = find(&report, "=notes.txt");
    assert_eq!((&of_notes["progress"]["has"], &of_notes["progress"]["of"]), (&json!(1), &json!(5)));
    assert_eq!((&of_notes["sent"]["browser"], &of_notes["copies_sent"]), (&json!(1000), &json!(1.0)));
    let copy = &of_notes["copies"][0];
    assert_eq!((&copy["address"], &copy["completion"]), (&json!("192.168.1.77"), &json!(1.0)));
    assert_eq!((&copy["ways"], &copy["check"]), (&json!(["browser"]), &json!("digest")));
    let of_film = find(&report, "film.mkv");
    assert_eq!((&of_film["progress"]["has"], &of_film["copies"].as_array().unwrap().len()), (&json!(1), &4));

    assert_eq!((&report["answers"]["requests"], &report["link_speed"]), (&json!(1000), &Value::Null));

    let text = fixture.get("/api/v1/lessons/1?format=text").await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let answers = "The tracker answered 1,000 requests of BitTorrent clients, half of them within 20 µs and 99 of 100 within 20 µs.";
    let no_link = "The speed of this machine's link is not known";
    for line in [
        "Lesson 1: ",
        "5 computers",
        answers,
        no_link,
        "=notes.txt, 1 kB",
        "  1 of 5 have it",
        "this machine, in a browser",
    ] {
        assert!(text.text().contains(line), "{line}: {}", text.text());
    }
    let table = fixture.get("/api/v1/lessons/1?format=csv").await;
    assert_eq!(table.header("content-disposition"), "attachment; filename=\"lesson-1.csv\"");
    let lines: Vec<_> = table.text().lines().collect();
    assert_eq!(lines.len(), 1 + 6, "{lines:#?}");
    assert!(lines[0].starts_with("lesson,file,key,size,sha256,copies_sent,computer,address,came,"), "{}", lines[0]);
    let line = lines.iter().find(|line| line.contains("notes.txt")).unwrap();
    assert!(line.starts_with(&format!("1,'=notes.txt,{},1000,,1.0,", notes.id())), "no formula: {line}");
}

#[tokio::test]
async fn a_download_is_compared_with_the_link() {
    let fixture = Fixture::new();
    let computers = fixture.observer.computers();
    for (name, size) in [("a.txt", 1000), ("b.txt", 100)] {
        download(&fixture, "192.168.1.77", &share(&fixture, name, size));
    }
    let texts = async || {
        let text = fixture.get("/api/v1/lessons/1?format=text").await.text().to_owned();
        let page = fixture.get("/manage/report").await.text().to_owned();
        [text, page]
    };
    for text in texts().await {
        assert!(!text.contains("one copy takes"), "the speed of the link is not known: {text}");
    }
    computers.set_network(&[], Some(8000));
    // The page's report is made every few seconds only.
    fixture.get_until("/manage/report", |answer| answer.text().contains("has 0.01 Mbit/s")).await;
    for text in texts().await {
        for compared in [
            "one copy takes 1 s over this machine’s link; this took at most ",
            "one copy takes 100 ms over this machine’s link; this was too fast to be compared by a clock with whole seconds",
            "has 0.01 Mbit/s",
        ] {
            assert!(text.contains(compared), "{compared}: {text}");
        }
    }
}

#[tokio::test]
async fn the_operator_begins_a_lesson() {
    let fixture = Fixture::new();
    let notes = share(&fixture, "notes.txt", 1000);
    download(&fixture, "192.168.1.77", &notes);
    let refused = fixture.send(VIEWER, Method::POST, "/api/v1/lessons", Body::empty()).await;
    refused.problem(StatusCode::FORBIDDEN);
    let begun = fixture.post("/api/v1/lessons", Body::empty()).await;
    assert_eq!((begun.status, begun.json()), (StatusCode::CREATED, json!({ "number": 2 })));
    let lessons = fixture.get("/api/v1/lessons").await.json();
    let numbers: Vec<_> = lessons["lessons"].as_array().unwrap().iter().map(|lesson| &lesson["number"]).collect();
    assert_eq!(numbers, [2, 1]);
    let of_second = fixture.get("/api/v1/lessons/2").await.json();
    assert!(of_second["files"].as_array().unwrap().iter().all(|file| file["name"] != "notes.txt"), "{of_second}");
    let of_first = fixture.get("/api/v1/lessons/1").await.json();
    assert_eq!(find(&of_first, "notes.txt")["progress"]["has"], 1);
    for path in ["/api/v1/lessons/3", "/api/v1/lessons/99999999999"] {
        fixture.get(path).await.problem(StatusCode::NOT_FOUND);
    }
    fixture.get("/api/v1/lessons/1?format=pdf").await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_report_is_a_page() {
    let fixture = Fixture::new();
    let notes = share(&fixture, "<b>notes.txt", 1000);
    download(&fixture, "192.168.1.77", &notes);
    let html = fixture.get_until("/manage/report", |answer| answer.text().contains("5 computers")).await;
    let html = html.text();
    for text in [
        "Report of lesson 1",
        "data-time=\"day\"",
        "&#60;b&#62;notes.txt",
        "1 kB, 1 of 5 have it",
        "192.168.1.77",
        "in a browser",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    for text in
        ["The tracker answered 1,000 requests of BitTorrent clients", "does not tell the speed of this machine’s link"]
    {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert!(html.contains("had it already") && html.contains("qBittorrent 5.0.1"), "{html}");
    assert!(!html.contains("<b>") && !html.contains("name=\"lesson\""), "there is one lesson: {html}");

    let begin = request(OPERATOR, Method::POST, "/manage/report", Body::empty());
    let begun = Answer::read(fixture.respond(begin).await).await;
    assert_eq!((begun.status, begun.header("location")), (StatusCode::SEE_OTHER, "/manage/report"));
    for (from, path, text) in [
        (VIEWER, "/manage/report", "Report of lesson 2"),
        (VIEWER, "/manage/report?lesson=1", "Report of lesson 1"),
        (OPERATOR, "/manage/report?lesson=1", "value=\"2\">2 (current)</option>"),
        (VIEWER, "/manage/report?lesson=&page=99", "Report of lesson 2"),
    ] {
        let page = fixture.send(from, Method::GET, path, Body::empty()).await;
        assert!(page.text().contains(text), "{path}: {}", page.text());
    }
    for path in ["/manage/report?lesson=3", "/manage/report?lesson=x"] {
        assert_eq!(fixture.get(path).await.status, StatusCode::NOT_FOUND);
    }
    // A page of another site cannot begin one, and a viewer neither.
    let begin = request(VIEWER, Method::POST, "/manage/report", Body::empty());
    assert_eq!(fixture.respond(begin).await.status(), StatusCode::FORBIDDEN);
    let mut foreign = request(OPERATOR, Method::POST, "/manage/report", Body::empty());
    foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(fixture.respond(foreign).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(fixture.get("/api/v1/lessons").await.json()["lessons"].as_array().unwrap().len(), 2);
}
