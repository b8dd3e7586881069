//! Web seeds in what viewers get.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{Method, StatusCode};
use dashboard::Server;
use metainfo::{Create, Magnet, Metainfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use torrent_library::{Content, Share};
use tracker_core::InfoHash;
use tracker_monitor::{SeedingState, SeenSeeding};

use crate::support::{Answer, FakeSightings, Fixture, VIEWER, request, torrent};

impl Fixture {
    /// Shares a file or folder of the share folder as the content of this torrent.
    fn share_as(&self, path: &str, info_hash: InfoHash) {
        let content = Content::list(&Share::open(self.share()).unwrap(), path).unwrap();
        self.contents.insert(Arc::new(content), &[info_hash]);
    }
}

/// The body of the answer to a request over the network.
async fn fetch(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    answer.split_off(head + 4)
}

#[tokio::test]
async fn what_this_machine_has_is_handed_out_with_its_web_seeds() {
    let fixture = Fixture::new();
    fixture.service.start().await.unwrap();
    let foreign = vec!["http://192.168.1.9/course/".to_owned()];
    let (course, bytes) = torrent(Create::new(fixture.share().join("course")).web_seeds(&foreign));
    assert_eq!(fixture.post("/api/v1/torrents", bytes).await.status, StatusCode::CREATED);
    let server = Server::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], fixture.dashboard.clone()).unwrap();
    let address = server.local_addrs()[0];
    let running = tokio::spawn(server.run(std::future::pending()));

    let seeds_of = async |info_hash: InfoHash| {
        let torrent = fetch(address, &format!("/api/v1/torrents/{info_hash}/torrent")).await;
        let torrent = Metainfo::parse(&torrent).unwrap();
        assert_eq!(torrent.info_hashes().v1.unwrap().to_string(), info_hash.to_string());
        let details = fetch(address, &format!("/api/v1/torrents/{info_hash}")).await;
        let details: serde_json::Value = serde_json::from_slice(&details).unwrap();
        let magnet: Magnet = details["magnet"].as_str().unwrap().parse().unwrap();
        (torrent.web_seeds().to_vec(), magnet.web_seeds)
    };
    // They are registered, but nothing says that this machine has them.
    assert_eq!(seeds_of(fixture.film).await, (vec![], vec![]));
    assert_eq!(seeds_of(course).await, (foreign.clone(), vec![]));

    fixture.share_as("film.mkv", fixture.film);
    fixture.share_as("course", course);
    let film_seed = format!("http://{address}/seed/{}/film.mkv", fixture.film);
    assert_eq!(seeds_of(fixture.film).await, (vec![film_seed.clone()], vec![film_seed.clone()]));
    let course_seed = format!("http://{address}/seed/{course}/");
    assert_eq!(seeds_of(course).await, (vec![course_seed.clone(), foreign[0].clone()], vec![course_seed]));
    let page = fetch(address, &format!("/manage/files/{}", fixture.film)).await;
    let in_link = film_seed.replace(':', "%3A").replace('/', "%2F");
    assert!(String::from_utf8(page).unwrap().contains(&in_link), "the page\'s magnet link has it");

    // By a port that a container's host publishes.
    let mut request =
        request(VIEWER, Method::GET, &format!("/api/v1/torrents/{}/torrent", fixture.film), Body::empty());
    request.headers_mut().insert(HOST, "192.168.1.5:8080".parse().unwrap());
    let published = Answer::read(fixture.respond(request).await).await;
    let seed = format!("http://192.168.1.5:8080/seed/{}/film.mkv", fixture.film);
    assert_eq!(Metainfo::parse(&published.body).unwrap().web_seeds(), [seed]);

    // It listens on loopback only, which is of no use to somebody who came another way.
    let elsewhere = fixture.get(&format!("/api/v1/torrents/{}/torrent", fixture.film)).await;
    assert!(Metainfo::parse(&elsewhere.body).unwrap().web_seeds().is_empty());
    running.abort();
}

/// Clients would fetch from both, which makes the first copy slower for all.
#[tokio::test]
async fn what_the_own_peer_gives_on_a_lan_has_no_web_seed() {
    let seeding = |state| SeenSeeding { state, ..SeenSeeding::default() };
    for (state, own_peer, host, has_web_seed) in [
        (SeedingState::Seeding, Some(Ok(vec![])), "192.168.1.5:8080", false),
        (SeedingState::Seeding, Some(Ok(vec![])), "[fd77::1]:8080", false),
        // Its own peer has connections to nobody there.
        (SeedingState::Seeding, Some(Ok(vec![])), "203.0.113.5:8080", true),
        (SeedingState::Seeding, Some(Err("its port is taken".to_owned())), "192.168.1.5:8080", true),
        (SeedingState::LocalClient, Some(Ok(vec![])), "192.168.1.5:8080", true),
        (SeedingState::Off, None, "192.168.1.5:8080", true),
    ] {
        let sightings = FakeSightings::default();
        sightings.seen().seeding = seeding(state);
        let fixture = Fixture::seeing_with(&sightings, |config| {
            config.own_peer = own_peer.clone();
            config.host_names = vec!["203.0.113.5".to_owned()];
        });
        fixture.service.start().await.unwrap();
        fixture.share_as("film.mkv", fixture.film);
        let path = format!("/api/v1/torrents/{}/torrent", fixture.film);
        let mut request = request(VIEWER, Method::GET, &path, Body::empty());
        request.headers_mut().insert(HOST, host.parse().unwrap());
        let answer = Answer::read(fixture.respond(request).await).await;
        let torrent = Metainfo::parse(&answer.body).unwrap_or_else(|error| panic!("{host}: {error}: {answer:?}"));
        assert_eq!(torrent.web_seeds().len(), usize::from(has_web_seed), "{state:?} {own_peer:?} {host}");
    }
}
