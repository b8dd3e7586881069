//! What this machine gives to BitTorrent clients: as pages, API, metrics and report show it, and what the operator changes.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use torrent_library::{Content, ContentKey, Share};
use tracker_core::{AnnounceEvent, InfoHash};
use tracker_monitor::{SeedingState, SeenSeeding};

use crate::support::{Answer, FakeSightings, Fixture, OPERATOR, VIEWER, announce, request};

/// The torrent `film` is shared, and two computers got something of it from the own peer.
fn giving() -> (FakeSightings, Fixture) {
    let sightings = FakeSightings::default();
    let fixture = Fixture::seeing(&sightings);
    let share = Share::open(fixture.share()).unwrap();
    let content = Arc::new(Content::list(&share, "film.mkv").unwrap());
    fixture.contents.insert(content, &[fixture.film]);
    sightings.seen().seeding = SeenSeeding {
        state: SeedingState::Seeding,
        bytes: 44_000,
        to: vec![(at("192.168.1.11"), 14_000), (at("192.168.1.12"), 30_000)],
    };
    (sightings, fixture)
}

fn at(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 6881)
}

fn damage(fixture: &Fixture, torrent: InfoHash) {
    let content = fixture.contents.get(ContentKey::Swarm(torrent)).unwrap();
    assert!(fixture.contents.report_damaged(content.id()));
}

async fn page(fixture: &Fixture, from: &str, path: &str) -> String {
    fixture.send(from, Method::GET, path, Body::empty()).await.text().to_owned()
}

fn film_page(fixture: &Fixture) -> String {
    format!("/manage/files/{}", fixture.film)
}

fn film_api(fixture: &Fixture) -> String {
    format!("/api/v1/torrents/{}", fixture.film)
}

/// Sends the form on the page of the film.
async fn press(fixture: &Fixture, from: &str, action: &str) -> Answer {
    let mut request = request(from, Method::POST, &film_page(fixture), Body::from(format!("action={action}")));
    request.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    Answer::read(fixture.respond(request).await).await
}

#[tokio::test]
async fn what_this_machine_gives_is_shown_by_page_and_api() {
    let (_sightings, fixture) = giving();
    fixture.observer.computers().set_name("192.168.1.11".parse().unwrap(), "<i>lab").unwrap();
    let html = page(&fixture, VIEWER, &film_page(&fixture)).await;
    for text in ["This machine gives it to BitTorrent programs itself", "44 kB so far, 1.1 copies", "To 2 computers"] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert!(html.contains("&#60;i&#62;lab") && !html.contains("<i>lab"), "{html}");
    let seeding = fixture.get(&film_api(&fixture)).await.json()["seeding"].clone();
    let expected = json!({
        "state": "seeding",
        "local_client": null,
        "damage": null,
        "bytes": 44_000,
        "copies": 1.1,
        "rate": seeding["rate"],
        "computers": 2,
        "to": [
            { "address": "192.168.1.12", "name": null, "bytes": 30_000 },
            { "address": "192.168.1.11", "name": { "name": "<i>lab", "source": "given" }, "bytes": 14_000 },
        ],
    });
    assert_eq!(seeding, expected, "{seeding:#}");
    let alone = fixture.get(&format!("{}/seeding", film_api(&fixture))).await.json();
    assert_eq!((&alone["bytes"], &alone["to"]), (&expected["bytes"], &expected["to"]));
    // The other torrent's content is not here, and of a third nothing is known.
    assert_eq!(
        fixture.get(&format!("/api/v1/torrents/{}", fixture.hostile)).await.json()["seeding"]["state"],
        "not_shared"
    );
    assert_eq!(fixture.get(&format!("/api/v1/torrents/{}", fixture.unknown)).await.json()["seeding"], Value::Null);
    let unknown = fixture.get(&format!("/api/v1/torrents/{}/seeding", fixture.unknown)).await;
    unknown.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_long_list_of_computers_is_cut_on_the_page_and_told_in_full_by_the_api() {
    let (sightings, fixture) = giving();
    let to: Vec<_> = (0..130).map(|number| (at(&format!("10.1.0.{number}")), 1000)).collect();
    sightings.seen().seeding = SeenSeeding { state: SeedingState::Seeding, bytes: 130_000, to };
    let html = page(&fixture, VIEWER, &film_page(&fixture)).await;
    assert!(html.contains("To 130 computers") && html.contains("And 30 more."), "{html}");
    let len = |answer: Value| answer["to"].as_array().unwrap().len();
    let details = fixture.get(&film_api(&fixture)).await.json();
    assert_eq!((&details["seeding"]["computers"], len(details["seeding"].clone())), (&json!(130), 100));
    assert_eq!(len(fixture.get(&format!("{}/seeding", film_api(&fixture))).await.json()), 130);
}

#[tokio::test]
async fn each_state_has_its_sentence() {
    let (sightings, fixture) = giving();
    let texts =
        async || (page(&fixture, OPERATOR, &film_page(&fixture)).await, page(&fixture, VIEWER, "/manage").await);
    for (state, on_page, in_list) in [
        (SeedingState::Seeding, "This machine gives it to BitTorrent programs itself", "shared by this machine<"),
        (
            SeedingState::LocalClient,
            "A BitTorrent program on this machine has it open, so giving it is left to that program",
            "shared by this machine, by the BitTorrent program on it",
        ),
        (SeedingState::Off, "The tracker does not give files as a BitTorrent program does", "shared by this machine<"),
        (
            SeedingState::NotShared,
            "This machine does not give it to BitTorrent programs at the moment.",
            "shared by this machine<",
        ),
    ] {
        sightings.seen().seeding.state = state;
        let (on, list) = texts().await;
        assert!(on.contains(on_page) && list.contains(in_list), "{state:?}: {on} {list}");
        assert_eq!(on.contains("Stop giving"), state != SeedingState::NotShared, "{on}");
    }
    // Nothing was ever given, and there is nothing to say.
    sightings.seen().seeding = SeenSeeding::default();
    assert!(!texts().await.0.contains("From this machine"));

    // A client of this machine is called by its name.
    sightings.seen().seeding.state = SeedingState::LocalClient;
    fixture.observer.computers().set_network(&["192.168.1.10".parse().unwrap()], None);
    let named = |answer: &Answer| answer.text().contains("qBittorrent 5.0.1 on this machine has it open");
    fixture.get_until(&film_page(&fixture), named).await;
}

#[tokio::test]
async fn the_operator_stops_giving_a_file_and_gives_it_again() {
    let (_sightings, fixture) = giving();
    let html = page(&fixture, OPERATOR, &film_page(&fixture)).await;
    assert!(html.contains(&format!("data-post=\"{}/seeding/stop\"", film_api(&fixture))), "{html}");
    let html = page(&fixture, VIEWER, &film_page(&fixture)).await;
    assert!(!html.contains("Stop giving") && !html.contains("data-post"), "viewers look on: {html}");

    let pressed = press(&fixture, OPERATOR, "stop").await;
    assert_eq!((pressed.status, pressed.header("location")), (StatusCode::SEE_OTHER, &*film_page(&fixture)));
    assert!(fixture.contents.is_stopped(&fixture.film));
    let html = page(&fixture, OPERATOR, &film_page(&fixture)).await;
    assert!(html.contains("Giving it was stopped") && html.contains("Give it again"), "{html}");
    assert!(page(&fixture, VIEWER, "/manage").await.contains("shared by this machine in browsers only"));
    assert!(
        page(&fixture, VIEWER, &format!("/files/{}", fixture.film)).await.contains("/download/"),
        "browsers get it"
    );

    let start = format!("{}/seeding/start", film_api(&fixture));
    let started = fixture.post(&start, Body::empty()).await;
    assert_eq!((started.status, &started.json()["state"]), (StatusCode::OK, &json!("seeding")));
    assert!(!fixture.contents.is_stopped(&fixture.film));
    let stopped = fixture.post(&format!("{}/seeding/stop", film_api(&fixture)), Body::empty()).await;
    assert_eq!((stopped.status, &stopped.json()["state"]), (StatusCode::OK, &json!("stopped")));

    // Neither viewers nor pages of other sites.
    fixture.send(VIEWER, Method::POST, &start, Body::empty()).await.problem(StatusCode::FORBIDDEN);
    press(&fixture, VIEWER, "start").await.problem(StatusCode::FORBIDDEN);
    let mut foreign = request(OPERATOR, Method::POST, &start, Body::empty());
    foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(fixture.respond(foreign).await.status(), StatusCode::FORBIDDEN);
    assert!(fixture.contents.is_stopped(&fixture.film));
    // What is not here is not given anyway.
    let elsewhere = format!("/api/v1/torrents/{}/seeding", fixture.hostile);
    fixture.post(&format!("{elsewhere}/stop"), Body::empty()).await.problem(StatusCode::CONFLICT);
    fixture.post(&format!("{elsewhere}/check"), Body::empty()).await.problem(StatusCode::CONFLICT);
    let unknown = format!("/api/v1/torrents/{}/seeding/stop", fixture.unknown);
    fixture.post(&unknown, Body::empty()).await.problem(StatusCode::NOT_FOUND);
    assert_eq!(press(&fixture, OPERATOR, "burn").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_damaged_file_says_so_until_it_was_checked() {
    let sightings = FakeSightings::default();
    let fixture =
        Fixture::following_and_seeing(&sightings, |share| fs::write(share.join("notes.bin"), [3; 50_000]).unwrap());
    sightings.seen().seeding.state = SeedingState::Seeding;
    let is_shared = |answer: &Answer| {
        let files = answer.json()["items"].as_array().unwrap().clone();
        files.iter().any(|file| file["name"] == "notes.bin" && file["torrent"]["state"] == "ready")
    };
    let files = fixture.get_until("/api/v1/files", is_shared).await.json();
    let file = files["items"].as_array().unwrap().iter().find(|file| file["name"] == "notes.bin").unwrap();
    let notes: InfoHash = file["info_hash"].as_str().unwrap().parse().unwrap();
    let (path, api) = (format!("/manage/files/{notes}"), format!("/api/v1/torrents/{notes}"));
    fixture.post(&format!("{api}/seeding/check"), Body::empty()).await.problem(StatusCode::CONFLICT);

    damage(&fixture, notes);
    let html = page(&fixture, OPERATOR, &path).await;
    for text in ["A part of this file is not what it was", "nothing of it is sent any more", "Check again"] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert!(!html.contains("Nobody has it yet"), "somebody may only think so: {html}");
    assert!(
        page(&fixture, VIEWER, "/manage").await.contains("<strong>damaged on this machine, so nothing of it is sent")
    );
    let public = page(&fixture, VIEWER, &format!("/files/{notes}")).await;
    assert!(public.contains("damaged on the computer that shares it") && !public.contains("/download/"), "{public}");
    assert_eq!(fixture.get(&api).await.json()["seeding"]["damage"], json!({ "bad_pieces": null, "checked": null }));
    let files = fixture.get("/api/v1/files").await.json();
    let file = files["items"].as_array().unwrap().iter().find(|file| file["name"] == "notes.bin").unwrap();
    assert_eq!(file["source"], "nobody");

    fixture
        .send(VIEWER, Method::POST, &format!("{api}/seeding/check"), Body::empty())
        .await
        .problem(StatusCode::FORBIDDEN);
    assert_eq!(fixture.post(&format!("{api}/seeding/check"), Body::empty()).await.status, StatusCode::OK);
    // The file is right after all.
    fixture.get_until(&api, |answer| answer.json()["seeding"]["state"] == "seeding").await;
    assert!(page(&fixture, OPERATOR, &path).await.contains("This machine gives it"));
}

#[tokio::test]
async fn who_waits_for_a_stopped_file_reads_why() {
    let (_sightings, fixture) = giving();
    let film = fixture.library.get(&fixture.film).unwrap();
    announce(&fixture.shards, &fixture.clock, fixture.film, "192.168.1.10", "-qB5010-", 0, AnnounceEvent::Stopped);
    fixture.contents.set_stopped(&film, true);
    let waits = |answer: &Answer| answer.text().contains("nobody who is there has all of it");
    let html = fixture.get_until("/manage", waits).await;
    assert!(html.text().contains("the page of the file says why it is not given"), "{}", html.text());
}

#[tokio::test]
async fn many_downloads_at_once_have_a_hint_for_the_operator() {
    let (_sightings, fixture) = giving();
    let hint = "Options &#62; Connection &#62; Peer connection protocol: TCP";
    for number in 0..10 {
        let ip = format!("192.168.7.{number}");
        let client = if number == 0 { "-qB5010-" } else { "-TR4060-" };
        announce(&fixture.shards, &fixture.clock, fixture.film, &ip, client, 40_000, AnnounceEvent::Started);
    }
    let html = fixture.get_until_as(OPERATOR, &film_page(&fixture), |answer| answer.text().contains(hint)).await;
    assert!(html.text().contains("computers download at once, some of them by qBittorrent"), "{}", html.text());
    assert!(!page(&fixture, VIEWER, &film_page(&fixture)).await.contains(hint));
    let (_sightings, few) = giving();
    few.get_until(&film_page(&few), |answer| answer.text().contains("192.168.1.12")).await;
    assert!(!page(&few, OPERATOR, &film_page(&few)).await.contains(hint), "they are three");
}

#[tokio::test]
async fn what_was_given_is_in_the_report_and_the_metrics() {
    let (_sightings, fixture) = giving();
    let film = |report: &Value| {
        let files = report["files"].as_array().unwrap().clone();
        files.into_iter().find(|file| file["name"] == "film.mkv").unwrap_or(Value::Null)
    };
    let is_there = |answer: &Answer| film(&answer.json())["sent"]["peer"] == 44_000;
    let report = fixture.get_until("/api/v1/lessons/0", is_there).await.json();
    let of_film = film(&report);
    assert_eq!((&of_film["copies_sent"], &of_film["sent"]["web_seed"]), (&json!(1.1), &json!(0)));
    let copies = of_film["copies"].as_array().unwrap();
    let copy = copies.iter().find(|copy| copy["address"] == "192.168.1.12").unwrap();
    assert_eq!((&copy["ways"], &copy["sent"]["peer"]), (&json!(["peer"]), &json!(30_000)));
    for target in ["/api/v1/lessons/0?format=text", "/manage/report"] {
        let is_there = |answer: &Answer| answer.text().contains("1.1 copies: 44 kB by BitTorrent (TCP)");
        let text = fixture.get_until(target, is_there).await;
        assert!(text.text().contains("this machine, by BitTorrent (30 kB)"), "{}", text.text());
    }
    let table = fixture.get("/api/v1/lessons/0?format=csv").await;
    let mut lines = table.text().lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "from_own_peer_bytes").unwrap();
    let line = lines.find(|line| line.contains("192.168.1.12")).unwrap();
    assert_eq!(line.split(',').nth(column + 1), Some("30000"), "its way has a comma: {line}");
    let computers = fixture.get("/api/v1/computers").await.json();
    let computer =
        computers["computers"].as_array().unwrap().iter().find(|row| row["address"] == "192.168.1.11").cloned();
    assert_eq!(computer.unwrap()["sent"], json!({ "peer": 14_000, "web_seed": 0, "browser": 0 }));
    assert!(page(&fixture, VIEWER, "/manage/computers").await.contains("14 kB from this machine"));
    let metrics = fixture.get("/metrics").await;
    for line in ["tracker_own_peer_seeded_torrents 1", "tracker_own_peer_uploaded_bytes_total 44000"] {
        assert!(metrics.text().lines().any(|other| other.starts_with(line)), "{line} in {}", metrics.text());
    }
}
