//! What is not given to clients, or to nobody: stopped torrents, damaged files, and what the tracker's own peer gives.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use torrent_library::ContentKey;
use tracker_core::InfoHash;

use crate::site::{Connection, Site, bytes};
use crate::support::{FakeSightings, Fixture};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Holds that a client is to ask again later.
#[track_caller]
fn is_refused(reply: &crate::site::Reply, why: &str) {
    reply.is(503, format!("{why}\n").as_bytes());
    assert_eq!((reply.header("retry-after"), reply.header("content-type")), ("5", "text/plain; charset=utf-8"));
}

#[tokio::test]
async fn clients_get_nothing_of_a_stopped_torrent_and_browsers_all() {
    let site = Site::start().await;
    site.write("notes.txt", b"notes");
    let hash = site.share("notes.txt");
    let (seed, download) = (format!("/seed/{hash}/notes.txt"), format!("/download/{hash}"));
    let torrent = site.fixture.library.get(&hash).unwrap();
    site.fixture.contents.set_stopped(&torrent, true);
    is_refused(&site.get(&seed, &["Range: bytes=0-1"]).await, "this torrent is not given any more");
    site.get(&download, &[]).await.is(200, b"notes");
    site.fixture.contents.set_stopped(&torrent, false);
    site.get(&seed, &[]).await.is(200, b"notes");
}

#[tokio::test]
async fn nobody_gets_anything_of_what_is_damaged() {
    let site = Site::start().await;
    site.write("notes.txt", b"notes");
    site.write("course/notes.txt", b"notes");
    let damaged = |hash: InfoHash| {
        let content = site.fixture.contents.get(ContentKey::Swarm(hash)).unwrap();
        assert!(site.fixture.contents.report_damaged(content.id()));
    };
    let [notes, course] = ["notes.txt", "course"].map(|name| {
        let hash = site.share(name);
        damaged(hash);
        hash
    });
    is_refused(&site.get(&format!("/seed/{notes}/notes.txt"), &[]).await, "a part of this torrent is damaged here");
    is_refused(
        &site.get(&format!("/seed/{course}/course/notes.txt"), &[]).await,
        "a part of this torrent is damaged here",
    );
    for (target, name) in [
        (format!("/download/{notes}"), "notes.txt is damaged"),
        (format!("/download/{course}"), "course is damaged"),
        (format!("/download/{course}/notes.txt"), "course is damaged"),
    ] {
        let page = site.get(&target, &["Accept: text/html"]).await;
        let text = String::from_utf8(page.body).unwrap();
        assert!(page.status == 503 && text.contains(name) && text.contains("Tell the person who shares it"), "{text}");
        assert_eq!(site.get(&target, &[]).await.status, 503);
    }
}

#[tokio::test]
async fn a_transfer_of_what_turns_out_to_be_damaged_is_cut() {
    let site = Site::start().await;
    let all = bytes(64 << 20);
    site.write("film.bin", &all);
    let hash = site.share("film.bin");
    let mut connection: Connection = site.connect().await;
    connection.send("GET", format!("/download/{hash}").as_bytes(), &[]).await;
    assert_eq!(connection.head().await.unwrap().0, 200);
    let content = site.fixture.contents.get(ContentKey::Swarm(hash)).unwrap();
    site.fixture.contents.report_damaged(content.id());
    let mut got = Vec::new();
    _ = tokio::io::AsyncReadExt::read_to_end(&mut connection.0, &mut got).await;
    assert!(got.len() < all.len(), "the connection was closed before the end");
}

#[tokio::test]
async fn whom_the_own_peer_serves_gets_nothing_twice() {
    let sightings = FakeSightings::default();
    let site = Site::of(Fixture::seeing(&sightings)).await;
    site.write("notes.txt", b"notes");
    let hash = site.share("notes.txt");
    let seed = format!("/seed/{hash}/notes.txt");
    site.get(&seed, &[]).await.is(200, b"notes");
    sightings.seen().served = vec!["192.168.1.77".parse().unwrap()];
    site.get(&seed, &[]).await.is(200, b"notes");
    sightings.seen().served.push(HERE);
    is_refused(&site.get(&seed, &[]).await, "the tracker's own peer gives you this torrent");
    assert_eq!(site.get(&format!("/download/{hash}"), &[]).await.status, StatusCode::OK);
    sightings.seen().served.clear();
    site.get(&seed, &[]).await.is(200, b"notes");
}
