//! Shared files that change, are replaced or removed.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use metainfo::Create;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use torrent_library::{Content, ContentKey};

use crate::site::{DEADLINE, Site, bytes};
use crate::support::torrent;

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
    let before = bytes(len);
    let cut = |file: &fs::File| file.set_len(100).unwrap();
    let extend = |file: &fs::File| file.set_len(len as u64 + 1).unwrap();
    let overwrite = |file: &fs::File| (&*file).write_all(&vec![b'x'; len]).unwrap();
    for (change, of) in [("cut", &cut as &dyn Fn(&fs::File)), ("extended", &extend), ("overwritten", &overwrite)] {
        site.write("growing", &before);
        let hash = site.share("growing");
        let mut connection = site.connect().await;
        connection.send("GET", format!("/download/{hash}").as_bytes(), &[]).await;
        assert_eq!(connection.head().await.unwrap().0, 200);
        of(&fs::File::options().write(true).open(site.path("growing")).unwrap());
        let mut body = Vec::new();
        // Cut off, with or without an error.
        _ = connection.0.read_to_end(&mut body).await;
        assert!(body.len() < len, "{change}: {}", body.len());
        assert_eq!(site.fixture.contents.take_changed(DEADLINE).len(), 1, "{change}");
    }
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_sent_arrives_as_it_was() {
    let site = Site::start().await;
    let before = bytes(40_000);
    site.write("notes", &before);
    let hash = site.share("notes");
    let mut connection = site.connect().await;
    connection.send("GET", format!("/download/{hash}").as_bytes(), &[]).await;
    assert_eq!(connection.head().await.unwrap().0, 200);
    // All of it is with the system, and waits for its client.
    let sent = async {
        while site.fixture.observer.downloads().totals().bytes.browser < before.len() as u64 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, sent).await.unwrap();
    let mut file = fs::File::options().write(true).open(site.path("notes")).unwrap();
    file.write_all(&vec![b'x'; before.len()]).unwrap();
    let mut body = vec![0; before.len()];
    connection.0.read_exact(&mut body).await.unwrap();
    assert!(body == before, "it is not of the file that was shared");
}
