//! Requests that cannot be done are answered with a sentence that says why.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};

use crate::support::{Fixture, OPERATOR, VIEWER, request};

#[tokio::test]
async fn what_cannot_be_read() {
    let fixture = Fixture::new();
    let film = fixture.film;
    for (target, says) in [
        ("/api/v1/torrents/short", "not an info-hash: \"short\" (an info-hash is 40 hexadecimal digits)"),
        ("/api/v1/torrents/%ff%00/peers", "Invalid UTF-8"),
        (&format!("/api/v1/torrents/{film}0/digests"), "not an info-hash"),
        ("/api/v1/torrents/%3Cscript%3E/torrent", "not an info-hash: \"<script>\""),
        ("/api/v1/torrents/..%2f..%2fetc/peers.csv", "not an info-hash"),
        ("/api/v1/torrents?page_size=0", "page_size is 0, but must be from 1 to 1000"),
        ("/api/v1/torrents?page_size=1001", "page_size is 1001, but must be from 1 to 1000"),
        ("/api/v1/torrents?page_size=-1", "page_size: invalid digit found in string"),
        ("/api/v1/torrents?page=0", "page is 0, but pages are counted from 1"),
        ("/api/v1/torrents?page=99999999999", "page: number too large"),
        ("/api/v1/torrents?page=", "page: cannot parse integer from empty string"),
        ("/api/v1/torrents?sort=colour", "sort: unknown variant `colour`, expected one of `name`, `size`"),
        ("/api/v1/torrents?order=up", "order: unknown variant `up`, expected `ascending` or `descending`"),
        ("/api/v1/torrents?page=1&page=2", "duplicate field `page`"),
        (
            &format!("/api/v1/torrents/{film}/peers?sort=name"),
            "sort: unknown variant `name`, expected one of `address`",
        ),
        (&format!("/api/v1/torrents/{film}/peers?page_size=0"), "page_size is 0"),
        (&format!("/api/v1/torrents/{film}/peers.csv?page=x"), "page: invalid digit"),
        ("/api/v1/history?span=5m", "span: unknown variant `5m`, expected one of `10m`, `2h`, `2d`"),
        ("/api/v1/log?level=loud", "level: unknown variant `loud`, expected one of `error`, `warn`"),
        ("/api/v1/log?limit=0", "limit is 0, but must be from 1 to 1000"),
        ("/api/v1/log?limit=1001", "limit is 1001, but must be from 1 to 1000"),
        ("/api/v1/log.ndjson?limit=11001", "limit is 11001, but must be from 1 to 11000"),
        ("/api/v1/log?after=-1", "after: invalid digit"),
        ("/api/v1/log?info_hash=abc", "not an info-hash: \"abc\""),
        ("/api/v1/events?info_hash=abc", "not an info-hash: \"abc\""),
        ("/api/v1/events?after=x", "after: invalid digit"),
        ("/api/v1/makings/one", "\"one\" is no id: an id is a number, such as 1"),
        ("/api/v1/makings/-1", "is no id"),
        ("/api/v1/share?path=../torrents", "this path is not in the share folder"),
        ("/api/v1/share?path=/etc", "this path is not in the share folder"),
    ] {
        let sentence = fixture.get(target).await.problem(StatusCode::BAD_REQUEST);
        assert!(sentence.contains(says), "{target}: {sentence}");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let fixture = Fixture::new();
    let (unknown, nowhere) = (fixture.unknown, "0".repeat(40));
    for (target, says) in [
        ("/api", "there is nothing at /api: see /api/v1/openapi.json"),
        ("/api/v2/status", "there is nothing at /api/v2/status"),
        ("/api/v1", "there is nothing at /api/v1"),
        ("/api/v1/", "there is nothing at /api/v1/: see /api/v1/openapi.json"),
        ("/api/v1/stats", "there is nothing at /api/v1/stats"),
        ("/api/v1/status/", "there is nothing at /api/v1/status/"),
        (&format!("/api/v1/{}", "x".repeat(1000)), "xxx: see"),
        (&format!("/api/v1/torrents/{nowhere}"), "the tracker knows no torrent of this info-hash"),
        (&format!("/api/v1/torrents/{nowhere}/peers"), "the tracker knows no torrent of this info-hash"),
        (&format!("/api/v1/torrents/{nowhere}/peers.csv"), "the tracker knows no torrent of this info-hash"),
        (&format!("/api/v1/torrents/{unknown}/torrent"), "does not have the .torrent file"),
        (&format!("/api/v1/torrents/{unknown}/digests"), "does not have the .torrent file"),
        ("/api/v1/makings/7", "no torrent is being made under the id 7"),
        ("/api/v1/share?path=nowhere", "there is no such file or folder"),
    ] {
        let sentence = fixture.get(target).await.problem(StatusCode::NOT_FOUND);
        assert!(sentence.contains(says) && sentence.len() < 200, "{target}: {sentence}");
    }
    for target in [format!("/api/v1/torrents/{unknown}"), "/api/v1/makings/7".into()] {
        fixture.delete(&target).await.problem(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn bodies_that_are_of_no_use() {
    let fixture = Fixture::new();
    for no_torrent in [&b""[..], b"hello", b"le", b"d4:infod6:lengthi1eee", &[0xff; 1000]] {
        let sentence = fixture.post("/api/v1/torrents", no_torrent).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(sentence.contains("not a torrent that the tracker can serve"), "{sentence}");
    }
    let huge = vec![b'x'; (100 << 20) + 1];
    let sentence = fixture.post("/api/v1/torrents", huge).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(sentence, "the .torrent is larger than 100 MiB");

    for (body, status, says) in [
        ("", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json"),
        ("{", StatusCode::BAD_REQUEST, "EOF while parsing"),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY, "missing field `path`"),
        (r#"{"path":7}"#, StatusCode::UNPROCESSABLE_ENTITY, "path: invalid type: integer `7`, expected a string"),
        (r#"{"path":"film.mkv","private":"yes"}"#, StatusCode::UNPROCESSABLE_ENTITY, "private: invalid type"),
        (r#"{"path":"../torrents"}"#, StatusCode::BAD_REQUEST, "not in the share folder"),
        (r#"{"path":"nowhere"}"#, StatusCode::NOT_FOUND, "no such file or folder"),
        (&format!(r#"{{"path":"{}"}}"#, "x".repeat(100_000)), StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded"),
    ] {
        let sentence = fixture.post("/api/v1/makings", body.to_owned()).await.problem(status);
        assert!(sentence.contains(says), "{body}: {sentence}");
    }
    let mut request = request(OPERATOR, Method::POST, "/api/v1/makings", r#"{"path":"film.mkv"}"#.into());
    request.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(fixture.respond(request).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn who_only_looks_changes_nothing() {
    let fixture = Fixture::new();
    let film = format!("/api/v1/torrents/{}", fixture.film);
    for (method, target) in [
        (Method::POST, "/api/v1/tracker/start"),
        (Method::POST, "/api/v1/tracker/stop"),
        (Method::POST, "/api/v1/torrents"),
        (Method::DELETE, &film),
        (Method::POST, "/api/v1/makings"),
        (Method::DELETE, "/api/v1/makings/1"),
        // Nor sees what is in the share folder.
        (Method::GET, "/api/v1/share"),
        (Method::GET, "/api/v1/makings"),
        (Method::GET, "/api/v1/makings/1"),
    ] {
        let answer = fixture.send(VIEWER, method.clone(), target, Body::empty()).await;
        answer.problem(StatusCode::FORBIDDEN);
    }
    assert_eq!(fixture.opener.serving(), 0);
    assert!(fixture.library.get(&fixture.film).is_some());
}
