//! The operator's pages: files, computers, what is shared, and the log.

use std::fs;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, ORIGIN};
use axum::http::{Method, StatusCode};
use serde_json::json;
use torrent_library::{Content, ContentKey, Share};
use tracker_core::{AnnounceEvent, InfoHash};

use crate::support::{Answer, Fixture, OPERATOR, VIEWER, announce, request};

async fn page(fixture: &Fixture, from: &str, path: &str) -> String {
    let mut request = request(from, Method::GET, path, Body::empty());
    request.headers_mut().insert(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap());
    let answer = Answer::read(fixture.respond(request).await).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{path}");
    answer.text().to_owned()
}

/// Waits until the operator's page is as wanted, and returns it.
async fn page_until(fixture: &Fixture, path: &str, wanted: impl Fn(&str) -> bool) -> String {
    let answer = fixture.get_until_as(OPERATOR, path, |answer| wanted(answer.text())).await;
    answer.text().to_owned()
}

/// The part of a page between two texts.
#[track_caller]
fn between<'a>(html: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = html.split_once(begin).unwrap_or_else(|| panic!("{begin} is missing in {html}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("{end} is missing in {rest}")).0
}

/// The row of a file in the list.
#[track_caller]
fn row(html: &str, key: impl std::fmt::Display) -> &str {
    between(html, &format!("id=\"file-{key}\""), "</tr>")
}

#[tokio::test]
async fn files_have_who_has_them_and_where_they_come_from() {
    let fixture = Fixture::new();
    let path = "/manage";
    let html =
        page_until(&fixture, path, |html| html.contains("1 of 4 have it") && html.contains("by 1 computer")).await;
    let film = row(&html, fixture.film);
    for text in ["film.mkv", "40 kB", "1 of 4 have it", "by 1 computer", ">41%<"] {
        assert!(film.contains(text), "{text} is missing in {film}");
    }
    // Of the three that do not have it one has 75 %, one nothing, and one half of it.
    let hostile = row(&html, fixture.hostile);
    assert!(
        hostile.contains("nobody has it yet: open it in a BitTorrent program on a computer that has it"),
        "{hostile}"
    );
    assert!(hostile.contains("0 of 4 have it"), "{hostile}");
    let unnamed = between(&html, "id=\"unnamed\"", "</section>");
    assert!(
        unnamed.contains("1 file without a .torrent") && unnamed.contains(&fixture.unknown.to_string()),
        "{unnamed}"
    );
    // Words for people, not for programs.
    for word in ["eeder", "eecher"] {
        assert!(!html.contains(word), "{word}: {html}");
    }

    // This machine's own client is a source, too.
    fixture.observer.computers().set_network(&[[192, 168, 1, 10].into()], None);
    let html = page(&fixture, VIEWER, path).await;
    assert!(row(&html, fixture.film).contains("by 1 computer") && html.contains("0 of 3 have it"), "{html}");
}

#[tokio::test]
async fn files_are_searched_and_sorted() {
    let fixture = Fixture::new();
    let html = page(&fixture, VIEWER, "/manage?search=FILM").await;
    assert!(html.contains("film.mkv") && html.contains("1 file found"));
    assert!(!html.contains(&fixture.hostile.to_string()));
    let html = page(&fixture, VIEWER, &format!("/manage?search={}", fixture.film)).await;
    assert!(html.contains("film.mkv") && html.contains("1 file found"), "by its info-hash");
    let html = page_until(&fixture, "/manage?sort=has&order=descending", |html| html.contains("1 of 4 have it")).await;
    assert!(html.contains("aria-sort=\"descending\""));
    let place = |html: &str, info_hash: InfoHash| html.find(&format!("id=\"file-{info_hash}\"")).unwrap();
    assert!(place(&html, fixture.film) < place(&html, fixture.hostile));
    let html = page(&fixture, VIEWER, "/manage?sort=has").await;
    assert!(place(&html, fixture.film) > place(&html, fixture.hostile), "those first that fewest have");
    // What makes no sense is passed over.
    for query in ["sort=nonsense", "order=up", "page=0", "page=99", "page=18446744073709551615", "page=-1", "unnamed=x"]
    {
        let html = page(&fixture, VIEWER, &format!("/manage?{query}")).await;
        assert!(html.contains("film.mkv"), "{query}");
    }
    assert!(page(&fixture, VIEWER, "/manage?search=none").await.contains("Nothing found"));
}

#[tokio::test]
async fn names_are_in_natural_order() {
    let fixture = Fixture::following(|share| {
        for number in ["10", "9", "1"] {
            fs::write(share.join(format!("day {number}.txt")), number).unwrap();
        }
    });
    let html = page_until(&fixture, "/manage", |html| html.matches("day ").count() >= 3).await;
    let place = |name: &str| html.find(&format!(">{name}</a>")).unwrap();
    assert!(place("day 1.txt") < place("day 9.txt") && place("day 9.txt") < place("day 10.txt"));
}

#[tokio::test]
async fn a_file_has_who_is_missing_first() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    let path = format!("/manage/files/{}", fixture.film);
    let html =
        page_until(&fixture, &path, |html| html.contains("1 of 4 have it") && html.contains("4 computers")).await;
    for text in [
        "<title>film.mkv",
        "40 kB, by 1 computer",
        "192.168.1.11",
        "fd00::13",
        "qBittorrent 5.0.1",
        ">75%<",
        "Is downloading",
        "Has its part",
        "Has it",
        "href=\"magnet:?xt=urn:btih:",
        "tr=http%3A%2F%2F192.168.1.1%3A6969%2Fannounce",
        "/torrent\" download",
        "/peers.csv\" download",
        &format!("href=\"/beamer/{}\"", fixture.film),
        &format!("href=\"/files/{}\"", fixture.film),
    ] {
        assert!(html.contains(text), "{text} is missing in {html}");
    }
    let place = |address: &str| html.find(&format!("id=\"computer-{address}\"")).unwrap();
    assert!(place("192.168.1.12") < place("192.168.1.11"), "the least complete first");
    assert!(place("192.168.1.11") < place("192.168.1.10"), "who has it last");

    // A computer of the lesson that has not asked for it.
    announce(&fixture.shards, &fixture.clock, fixture.hostile, "192.168.1.40", "-TR4060-", 5, AnnounceEvent::Started);
    let html = page_until(&fixture, &path, |html| html.contains("1 computer has not begun")).await;
    let missing = between(&html, "id=\"missing-title\"", "</section>");
    assert!(missing.contains("192.168.1.40") && missing.contains("Open the page there"), "{missing}");

    let html = page(&fixture, VIEWER, &format!("/manage/files/{}", fixture.unknown)).await;
    assert!(html.contains("the tracker does not have the .torrent file") && html.contains("by 1 computer"), "{html}");
    let html = page(&fixture, OPERATOR, &format!("/manage/files/{}", fixture.hostile)).await;
    assert!(html.contains("<strong>Nobody has it yet.</strong> Open it in a BitTorrent program"), "{html}");
}

#[tokio::test]
async fn what_is_shared_has_its_page_before_it_has_a_torrent() {
    let fixture = Fixture::new();
    let share = Share::open(fixture.share()).unwrap();
    let content = Arc::new(Content::list(&share, "course").unwrap());
    fixture.contents.insert(content.clone(), &[fixture.film]);
    let answer = fixture.get(&format!("/manage/files/{}", content.id())).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "it has a torrent by now");
    assert_eq!(answer.header("location"), format!("/manage/files/{}", fixture.film));
    for gone in ["0123456789abcdef".to_owned(), "0".repeat(40), "x".to_owned()] {
        fixture.get(&format!("/manage/files/{gone}")).await.problem(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn computers_are_given_names() {
    let fixture = Fixture::new();
    let html = page_until(&fixture, "/manage/computers", |html| html.contains("4 computers")).await;
    let row = between(&html, "id=\"computer-192.168.1.10\"", "</tr>");
    assert!(row.contains("film.mkv") && row.contains("qBittorrent 5.0.1"), "{row}");
    let form = page(&fixture, OPERATOR, "/manage/computers?name=192.168.1.10").await;
    assert!(form.contains("name=\"address\" value=\"192.168.1.10\""), "{form}");

    // As a form without scripts, and as a program.
    let give = async |from: &str, name: &str| {
        let mut request =
            request(from, Method::POST, "/manage/computers", Body::from(format!("address=192.168.1.10&name={name}")));
        request.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        Answer::read(fixture.respond(request).await).await
    };
    give(VIEWER, "x").await.problem(StatusCode::FORBIDDEN);
    let given = give(OPERATOR, "+front+desk+").await;
    let location = given.header("location");
    assert_eq!((given.status, location), (StatusCode::SEE_OTHER, "/manage/computers#computer-192.168.1.10"));
    let form = page(&fixture, OPERATOR, "/manage/computers?search=front&page=1&name=192.168.1.10").await;
    assert!(form.contains("name=\"search\" value=\"front\"") && form.contains("name=\"page\" value=\"1\""), "{form}");
    let location = give(OPERATOR, "front+desk&search=front&page=1").await;
    let location = location.header("location");
    assert_eq!(location, "/manage/computers?search=front&page=1#computer-192.168.1.10", "back to where it was");
    let html = page(&fixture, VIEWER, "/manage/computers?search=FRONT").await;
    assert!(html.contains("1 found") && html.contains("front desk") && !html.contains("192.168.1.11"), "{html}");
    let html = page(&fixture, VIEWER, &format!("/manage/files/{}", fixture.film)).await;
    assert!(html.contains("front desk"), "{html}");
    give(OPERATOR, &"x".repeat(65)).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    // A browser without scripts shows what comes back.
    for (from, name, status) in
        [(OPERATOR, "x".repeat(65), StatusCode::UNPROCESSABLE_ENTITY), (VIEWER, "x".to_owned(), StatusCode::FORBIDDEN)]
    {
        let form = Body::from(format!("address=192.168.1.10&name={name}"));
        let mut request = request(from, Method::POST, "/manage/computers", form);
        request.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        request.headers_mut().insert(ACCEPT, "text/html,*/*;q=0.8".parse().unwrap());
        let answer = Answer::read(fixture.respond(request).await).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"));
        assert!(answer.text().contains("class=\"error-text\"") && answer.text().contains("Back to the files"));
    }

    let target = "/api/v1/computers/192.168.1.10/name";
    assert_eq!(fixture.post(target, r#"{"name":"desk 2"}"#).await.status, StatusCode::NO_CONTENT);
    let list = fixture.get("/api/v1/computers").await.json();
    let first = &list["computers"][0];
    assert_eq!((&first["address"], &first["has"]), (&json!("192.168.1.10"), &json!(2)), "{list}");
    assert_eq!(first["name"], json!({ "name": "desk 2", "source": "given" }));
    let viewer = fixture.send(VIEWER, Method::POST, target, Body::from(r#"{"name":"y"}"#)).await;
    viewer.problem(StatusCode::FORBIDDEN);
    // A page of another site has nothing to say.
    let mut foreign = request(OPERATOR, Method::POST, "/manage/computers", Body::from("address=192.168.1.10&name=z"));
    foreign.headers_mut().insert(ORIGIN, "http://evil.example".parse().unwrap());
    Answer::read(fixture.respond(foreign).await).await.problem(StatusCode::FORBIDDEN);
    assert_eq!(fixture.post(target, r#"{"name":""}"#).await.status, StatusCode::NO_CONTENT);
    assert!(!page(&fixture, VIEWER, "/manage/computers").await.contains("desk"));
}

#[tokio::test]
async fn files_and_copies_are_told_to_programs() {
    let fixture = Fixture::new();
    let is_seen = |answer: &Answer| answer.json()["items"][1]["progress"]["has"] == 1;
    let files = fixture.get_until("/api/v1/files?sort=has", is_seen).await.json();
    let film = &files["items"][1];
    assert_eq!(film["key"], json!(fixture.film.to_string()));
    assert_eq!((&film["source"], &film["progress"]["sources"]), (&json!("computers"), &json!(1)), "{film}");
    assert_eq!((&film["torrent"], &film["files"]), (&json!({ "state": "ready" }), &json!(null)));
    assert_eq!(files["items"][0]["source"], "nobody");
    let copies = fixture.get(&format!("/api/v1/files/{}/computers", fixture.film)).await.json();
    let states: Vec<_> = copies["computers"].as_array().unwrap().iter().map(|copy| copy["state"].clone()).collect();
    assert_eq!(states, ["downloading", "has_selection", "downloading", "has_it"]);
    fixture.get("/api/v1/files/x/computers").await.problem(StatusCode::BAD_REQUEST);
    fixture.get("/api/v1/files/0123456789abcdef/computers").await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_share_folder_is_shown_to_the_operator() {
    let fixture = Fixture::following(|share| fs::write(share.join("old.torrent"), "x").unwrap());
    let folder = fixture.share().canonicalize().unwrap().display().to_string();
    let html = page_until(&fixture, "/manage/share", |html| html.matches("is-seeding\">Shared<").count() == 2).await;
    for text in
        [&*folder, "2 files and folders", "film.mkv", "course", "5 B, 1 file", "old.torrent", "drop it on this page"]
    {
        assert!(html.contains(text), "{text} is missing in {html}");
    }
    let film = format!("href=\"/manage/files/{}\"", fixture.film);
    assert!(html.contains(&film), "it is the torrent that is known: {html}");
    let html = page(&fixture, VIEWER, "/manage/share").await;
    assert!(!html.contains("film.mkv") && !html.contains(&folder), "viewers do not see the folder: {html}");

    let html = page(&fixture, OPERATOR, "/manage").await;
    assert!(row(&html, fixture.film).contains("shared by this machine"), "{html}");

    // What is not given is not green.
    let stop = format!("/api/v1/torrents/{}/seeding/stop", fixture.film);
    assert!(fixture.send(OPERATOR, Method::POST, &stop, Body::empty()).await.status.is_success());
    let html = page(&fixture, OPERATOR, "/manage/share").await;
    assert!(html.contains("is-silent\">Stopped<") && html.matches("is-seeding\">Shared<").count() == 1, "{html}");
    let content = fixture.contents.get(ContentKey::Swarm(fixture.film)).unwrap();
    fixture.contents.report_damaged(content.id());
    let html = page(&fixture, OPERATOR, "/manage/share").await;
    assert!(html.contains("is-failed\">Damaged<") && !html.contains("is-silent\">Stopped<"), "{html}");
}

#[tokio::test]
async fn torrents_are_made_by_hand() {
    let fixture = Fixture::new();
    fs::write(fixture.share().join("old.torrent"), "x").unwrap();
    let path = "/manage/share/by-hand";
    let html = page(&fixture, OPERATOR, path).await;
    assert!(html.contains("href=\"/manage/share/by-hand?path=course\"") && html.contains("40 kB"));
    assert!(html.contains("The tracker is stopped, so there are no announce URLs"));
    assert!(html.contains("data-make=\"film.mkv\"") && !html.contains("data-make=\"old.torrent\""), "{html}");
    let html = page(&fixture, OPERATOR, "/manage/share/by-hand?path=course").await;
    assert!(html.contains("data-make=\"course/notes.txt\""));
    let html = page(&fixture, OPERATOR, "/manage/share/by-hand?path=..%2F..").await;
    assert!(html.contains("not in the share folder"));
    fixture.post("/api/v1/makings", r#"{"path":"film.mkv"}"#).await;
    let html = page_until(&fixture, path, |html| html.contains(">Done<")).await;
    assert!(!html.contains("data-make=\"film.mkv\""), "it has a torrent: {html}");
}

#[tokio::test]
async fn the_log_is_filtered_by_computer_and_file() {
    let fixture = Fixture::new();
    fixture.log(|| {
        let address = "192.168.1.10:6881";
        tracing::info!(event = "peer_joined", info_hash = %fixture.film, address, seeders = 7, "lab-07 began film.mkv");
        tracing::warn!(address = "192.168.1.11:6881", reason = "full", "somebody was refused");
        let content = "0123456789abcdef";
        tracing::info!(
            event = "browser_began",
            content,
            address = "192.168.1.12",
            file = "a.txt",
            "lab-09 began a.txt"
        );
    });
    let html = page(&fixture, VIEWER, "/manage/log").await;
    assert!(html.find("was refused").unwrap() < html.find("Lab-07 began ").unwrap(), "the newest first");
    let link = format!("Lab-07 began <a class=\"name\" href=\"/manage/files/{}\">film.mkv</a>", fixture.film);
    assert!(html.contains(&link), "a sentence, with a link: {html}");
    assert!(html.contains("href=\"/manage/files/0123456789abcdef\">a.txt</a>"), "{html}");
    assert!(
        !html.contains("seeders=7") && html.contains("reason=full"),
        "fields are for lines that are no sentences: {html}"
    );
    assert!(html.contains("href=\"/api/v1/log.ndjson?level=info\""));
    for (query, shown, hidden) in [
        ("level=warn".to_owned(), "was refused", "Lab-07"),
        (format!("file={}", fixture.film), "Lab-07", "was refused"),
        (format!("info_hash={}", fixture.film), "Lab-07", "was refused"),
        ("file=0123456789abcdef".to_owned(), "Lab-09", "Lab-07"),
        ("computer=LAB-07".to_owned(), "Lab-07", "Lab-09"),
        ("computer=1.11".to_owned(), "was refused", "Lab-07"),
        ("address=1.11".to_owned(), "was refused", "Lab-07"),
        ("computer=192.168.1.11".to_owned(), "was refused", "Lab-07"),
        ("computer=192.168.1.12".to_owned(), "Lab-09", "Lab-07"),
    ] {
        let html = page(&fixture, VIEWER, &format!("/manage/log?{query}")).await;
        assert!(html.contains(shown) && !html.contains(hidden), "{query}: {html}");
    }
    for nobody in ["nobody", "192.168.1.1", "lab-0"] {
        let html = page(&fixture, VIEWER, &format!("/manage/log?computer={nobody}")).await;
        assert!(html.contains("No line is about this."), "{nobody}");
    }
    let html = page(&fixture, VIEWER, "/manage/log?file=0123456789abcdef&computer=lab-09").await;
    let ndjson = between(&html, "href=\"/api/v1/log.ndjson", "\"").replace("&#38;", "&");
    assert_eq!(ndjson, "?level=info&content=0123456789abcdef&computer=lab-09");
    let lines = fixture.get(&format!("/api/v1/log.ndjson{ndjson}")).await;
    assert_eq!(lines.text().lines().count(), 1, "{}", lines.text());
}

#[tokio::test]
async fn a_page_of_the_log_is_short_and_has_older_ones() {
    let fixture = Fixture::new();
    fixture.log(|| (1..=100).for_each(|number| tracing::info!("line {number}.")));
    let html = page(&fixture, VIEWER, "/manage/log").await;
    assert_eq!(html.matches("id=\"line-").count(), 60);
    assert!(html.contains("Line 100.") && html.contains("Line 41.") && !html.contains("Line 40."));
    let older = between(&html, "href=\"/manage/log?level=info&#38;before=", "\"");
    let html = page(&fixture, VIEWER, &format!("/manage/log?before={older}")).await;
    assert!(html.contains("Line 40.") && html.contains("Line 1.") && !html.contains("Line 41."));
    assert!(html.contains("Newest lines") && !html.contains("Older lines"));
}

#[tokio::test]
async fn an_empty_tracker_says_what_to_do() {
    let fixture = Fixture::new();
    fixture.library.remove(&fixture.film).unwrap();
    fixture.library.remove(&fixture.hostile).unwrap();
    let html = page(&fixture, OPERATOR, "/manage").await;
    assert!(html.contains("Nothing is shared yet.") && html.contains("tracker /path/to/folder"), "{html}");
    let html =
        page_until(&fixture, "/manage/computers?search=192.168.1.99", |html| !html.contains("No computer")).await;
    assert!(html.contains("Nothing found for"), "{html}");
    let html = page(&fixture, OPERATOR, "/manage/share").await;
    assert!(html.contains("No share folder") && html.contains("tracker /path/to/folder"), "{html}");
}
