//! The routes, without a socket.

mod support;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use http_server::Handler;
use tower::ServiceExt;
use tracker_core::{Access, Config, Instant, Memory, OwnPeer, PeerId, Shards, TorrentPolicy};
use tracker_host::Clock;
use tracker_http::{Adapter, Connection, HttpConfig, router};

use crate::support::{adapter, announce};

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    content_type: String,
    content_length: Option<String>,
    allow: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn assert_body(&self, expected: &[u8]) {
        assert_eq!(self.body.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    fn failure_reason(&self) -> Option<String> {
        let document = bencode::Decoder::strict().decode(&self.body).expect("canonical bencode");
        let answer = document.root().as_dict().expect("a dictionary");
        answer.get(b"failure reason").map(|reason| reason.as_str().expect("text").to_owned())
    }
}

async fn send(adapter: &Adapter, remote: &str, local: &str, request: Request<Body>) -> Answer {
    let mut request = request;
    let connection =
        Connection::new(SocketAddr::new(remote.parse().unwrap(), 50000), SocketAddr::new(local.parse().unwrap(), 6969));
    request.extensions_mut().insert(connection);
    let response = router(adapter.clone()).oneshot(request).await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status(),
        content_type: header(CONTENT_TYPE).unwrap_or_default(),
        content_length: header(CONTENT_LENGTH),
        allow: header(ALLOW),
        body: to_bytes(response.into_body(), usize::MAX).await.unwrap().into(),
    }
}

async fn get_from(adapter: &Adapter, remote: &str, local: &str, target: &str) -> Answer {
    send(adapter, remote, local, Request::get(target).body(Body::empty()).unwrap()).await
}

async fn get(adapter: &Adapter, target: &str) -> Answer {
    get_from(adapter, "192.168.1.9", "192.168.1.1", target).await
}

fn default() -> Adapter {
    adapter(Config::default(), HttpConfig::default())
}

#[tokio::test]
async fn two_clients_find_each_other() {
    let adapter = default();
    let seed = format!("/announce?{}", announce('s', 6881, "&left=0&event=started"));
    let answer = get_from(&adapter, "192.168.1.8", "192.168.1.1", &seed).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.content_type, "text/plain");
    answer.assert_body(b"d8:completei1e10:downloadedi0e10:incompletei0e8:intervali60e12:min intervali30e5:peers0:e");
    assert_eq!(answer.content_length, Some(answer.body.len().to_string()));

    let leecher = format!("/announce?{}", announce('l', 6882, "&left=9&event=started"));
    get(&adapter, &leecher).await.assert_body(
        b"d8:completei1e10:downloadedi0e10:incompletei1e8:intervali60e12:min intervali30e\
          5:peers6:\xc0\xa8\x01\x08\x1a\xe1e",
    );

    let dictionary = format!("/announce?{}", announce('l', 6882, "&left=9&compact=0"));
    get(&adapter, &dictionary).await.assert_body(
        b"d8:completei1e10:downloadedi0e10:incompletei1e8:intervali60e12:min intervali30e\
          5:peersld2:ip11:192.168.1.87:peer id20:ssssssssssssssssssss4:porti6881eeee",
    );

    let completed = format!("/announce?{}", announce('l', 6882, "&left=0&event=completed"));
    get(&adapter, &completed)
        .await
        .assert_body(b"d8:completei2e10:downloadedi1e10:incompletei0e8:intervali60e12:min intervali30e5:peers0:e");
    get(&adapter, "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa")
        .await
        .assert_body(b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei2e10:downloadedi1e10:incompletei0eeee");

    let stopped = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=llllllllllllllllllll&left=0&event=stopped";
    get(&adapter, stopped)
        .await
        .assert_body(b"d8:completei1e10:downloadedi1e10:incompletei0e8:intervali60e12:min intervali30e5:peers0:e");
}

#[tokio::test]
async fn the_own_peer_is_one_more_peer() {
    let config = Config::default().with(|config| config.interval_jitter_percent = 0);
    let shards = Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut rand::rng()).unwrap());
    shards.set_own_peer(Some(OwnPeer::new(6968, PeerId::new([b'o'; 20]))));
    let adapter = Adapter::new(shards, Clock::fixed(Instant::ZERO), HttpConfig::default()).unwrap();
    let head = "d8:completei0e10:downloadedi0e10:incompletei1e8:intervali60e12:min intervali30e5:peers";
    for (remote, local, more, peers) in [
        ("192.168.1.9", "192.168.1.1", "", b"6:\xc0\xa8\x01\x01\x1b\x38e".as_slice()),
        (
            "192.168.1.9",
            "192.168.1.1",
            "&compact=0",
            b"ld2:ip11:192.168.1.17:peer id20:oooooooooooooooooooo4:porti6968eeee",
        ),
        ("192.168.1.9", "192.168.1.1", "&compact=0&no_peer_id=1", b"ld2:ip11:192.168.1.14:porti6968eeee"),
        ("192.168.1.9", "192.168.1.1", "&numwant=0", b"0:e"),
        ("fd77::9", "fd77::1", "", b"0:6:peers618:\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1b\x38e"),
    ] {
        let (start, stop) = ("&left=9&event=started", "&left=9&event=stopped");
        let target = |event| format!("/announce?{}{more}", announce('l', 6882, event));
        let answer = get_from(&adapter, remote, local, &target(start)).await;
        answer.assert_body(&[head.as_bytes(), peers].concat());
        get_from(&adapter, remote, local, &target(stop)).await;
    }
}

/// As aria2 announces before it has the metadata.
#[tokio::test]
async fn a_client_with_only_a_magnet_link_gets_the_seeder() {
    for memory in [Memory::Full, Memory::Lean] {
        let adapter = adapter(Config::default().with(|config| config.memory = memory), HttpConfig::default());
        let seed = format!("/announce?{}", announce('s', 6881, "&left=0&event=started"));
        get_from(&adapter, "127.0.0.5", "127.0.0.1", &seed).await;
        let magnet = format!("/announce?{}", announce('m', 6882, "&left=0&event=started&numwant=50"));
        get_from(&adapter, "127.0.0.6", "127.0.0.1", &magnet).await.assert_body(
            b"d8:completei2e10:downloadedi0e10:incompletei0e8:intervali60e12:min intervali30e\
              5:peers6:\x7f\0\0\x05\x1a\xe1e",
        );
    }
}

#[tokio::test]
async fn both_families_meet() {
    let adapter = default();
    let announce_of = |peer, port| format!("/announce?{}", announce(peer, port, "&left=9"));
    get_from(&adapter, "fd77::8", "fd77::1", &announce_of('a', 1000)).await;
    get_from(&adapter, "192.168.1.8", "192.168.1.1", &announce_of('b', 2000)).await.assert_body(
        b"d8:completei0e10:downloadedi0e10:incompletei2e8:intervali60e12:min intervali30e\
          5:peers0:6:peers618:\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\x03\xe8e",
    );
}

#[tokio::test]
async fn a_client_on_this_machine_is_found_by_the_way_the_asker_came() {
    let adapter = default();
    let seed = format!("/announce?{}", announce('s', 6881, "&left=0"));
    get_from(&adapter, "127.0.0.1", "127.0.0.1", &seed).await;
    let leecher = format!("/announce?{}", announce('l', 6882, "&left=9"));
    get_from(&adapter, "192.168.1.9", "192.168.1.1", &leecher).await.assert_body(
        b"d8:completei1e10:downloadedi0e10:incompletei1e8:intervali60e12:min intervali30e\
          5:peers6:\xc0\xa8\x01\x01\x1a\xe1e",
    );
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients() {
    let proxied = HttpConfig::default().with(|config| config.trusted_proxies = vec!["192.168.1.2/32".parse().unwrap()]);
    let adapter = adapter(Config::default(), proxied);
    for (proxy, client, peer) in [("192.168.1.2", "10.0.0.7", 'a'), ("192.168.1.3", "10.0.0.8", 'b')] {
        let request = Request::get(format!("/announce?{}", announce(peer, 256, "&left=9")))
            .header("X-Forwarded-For", client)
            .body(Body::empty())
            .unwrap();
        send(&adapter, proxy, "192.168.1.1", request).await;
    }
    let asker = format!("/announce?{}", announce('c', 256, "&left=0"));
    let answer = get(&adapter, &asker).await;
    let found = |address: &[u8]| answer.body.windows(6).any(|window| window == [address, &[1, 0]].concat());
    assert!(found(&[10, 0, 0, 7]), "{}", answer.body.escape_ascii());
    assert!(found(&[192, 168, 1, 3]), "{}", answer.body.escape_ascii());
}

#[tokio::test]
async fn a_trusted_proxy_may_name_its_clients_in_x_real_ip() {
    let proxied = HttpConfig::default().with(|config| config.trusted_proxies = vec!["192.168.1.2/32".parse().unwrap()]);
    let adapter = adapter(Config::default(), proxied);
    for (proxy, client, peer) in [("192.168.1.2", "10.0.0.7", 'a'), ("192.168.1.3", "10.0.0.8", 'b')] {
        let target = format!("/announce?{}", announce(peer, 256, "&left=9"));
        let request = Request::get(target).header("X-Real-IP", client).body(Body::empty()).unwrap();
        send(&adapter, proxy, "192.168.1.1", request).await;
    }
    let answer = get(&adapter, &format!("/announce?{}", announce('c', 256, "&left=0"))).await;
    let found = |address: &[u8]| answer.body.windows(6).any(|window| window == [address, &[1, 0]].concat());
    assert!(found(&[10, 0, 0, 7]), "{}", answer.body.escape_ascii());
    assert!(found(&[192, 168, 1, 3]), "{}", answer.body.escape_ascii());
}

#[tokio::test]
async fn a_browser_is_refused() {
    let adapter = default();
    for (header, value) in [
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Dest", "document"),
        ("Origin", "null"),
        ("Referer", "http://evil.example/"),
        ("Upgrade-Insecure-Requests", "1"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/120"),
    ] {
        for path in ["announce", "scrape", "announce/key", ""] {
            let request = Request::get(format!("/{path}?{}", announce('p', 1, "&left=0"))).header(header, value);
            let answer = send(&adapter, "127.0.0.1", "127.0.0.1", request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, &*answer.content_type), (StatusCode::FORBIDDEN, "text/plain; charset=utf-8"));
            assert!(answer.body.starts_with(b"this is the URL of a BitTorrent tracker"), "{header} {path}");
        }
    }
    assert_eq!(adapter.failures(), 24);
    // A person who opens the tracker's address gets a sentence, not a refusal.
    let request = Request::get("/").header("User-Agent", "Mozilla/5.0").body(Body::empty()).unwrap();
    assert_eq!(send(&adapter, "127.0.0.1", "127.0.0.1", request).await.status, StatusCode::OK);

    for (header, value) in [("Sec-Fetch-Mode", "cors"), ("Accept-Language", "*"), ("User-Agent", "node")] {
        let request = Request::get(format!("/announce?{}", announce('p', 1, "&left=0"))).header(header, value);
        let answer = send(&adapter, "127.0.0.1", "127.0.0.1", request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.failure_reason()), (StatusCode::OK, None), "{header}");
    }
}

#[tokio::test]
async fn browsers_get_a_link_to_the_page() {
    let adapter = adapter(Config::default(), HttpConfig::default());
    let ask = async |target: &str, local: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
        send(&adapter, "192.168.1.9", local, request.body(Body::empty()).unwrap()).await
    };
    let browser = [("Host", "lab-pc:6969"), ("User-Agent", "Mozilla/5.0")];
    let answer = ask("/", "192.168.1.1", &browser).await;
    assert!(answer.body.starts_with(b"This is a BitTorrent tracker."), "there is no page");

    adapter.set_pages(vec!["127.0.0.1:1".parse().unwrap(), "0.0.0.0:6970".parse().unwrap()]);
    let link = "<a href=\"http://lab-pc:6970/\">";
    for (target, status) in [("/", StatusCode::OK), ("/manage", StatusCode::NOT_FOUND)] {
        let answer = ask(target, "192.168.1.1", &browser).await;
        assert_eq!((answer.status, &*answer.content_type), (status, "text/html; charset=utf-8"));
        assert!(String::from_utf8_lossy(&answer.body).contains(link), "{answer:?}");
        let answer = ask(target, "fd00::1", &browser).await;
        assert_eq!((answer.status, &*answer.content_type), (status, "text/plain; charset=utf-8"), "no page there");
        let answer = ask(target, "192.168.1.1", &[browser[0]]).await;
        assert_eq!(&*answer.content_type, "text/plain; charset=utf-8", "no browser");
        let answer = ask(target, "192.168.1.1", &[browser[0], browser[1], ("X-Forwarded-For", "192.168.1.7")]).await;
        assert_eq!(&*answer.content_type, "text/plain; charset=utf-8", "behind a proxy");
    }
    let target = format!("/announce?{}", announce('p', 1, "&left=0"));
    let answer = ask(&target, "127.0.0.1", &[("Host", "[::1]:6969"), browser[1]]).await;
    assert_eq!((answer.status, &*answer.content_type), (StatusCode::FORBIDDEN, "text/plain; charset=utf-8"));
    assert!(answer.body.ends_with(b"; the page for people is http://[::1]:1/\n"), "{answer:?}");
}

#[tokio::test]
async fn hosts_are_addresses_local_names_and_those_that_were_named() {
    let names = vec!["tracker.example.org".to_owned(), "lab-pc.fritz.box".to_owned()];
    let adapter = adapter(Config::default(), HttpConfig::default().with(|config| config.host_names = names));
    let asked = async |uri: &str, hosts: &[&str]| {
        let request = hosts.iter().fold(Request::get(uri), |request, host| request.header("Host", *host));
        let answer = send(&adapter, "192.168.1.9", "192.168.1.1", request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.failure_reason()
    };
    let target = format!("/announce?{}", announce('p', 1, "&left=0"));
    for host in [
        "192.168.1.1:6969",
        "203.0.113.9",
        "[fd77::1]:6969",
        "[fe80::1%eth0]:6969",
        "fd77::1:6969",
        "localhost:6969",
        "tracker",
        "LAB_PC:6969",
        "lab-pc.local:6969",
        "Tracker.Example.org:6969",
        "lab-pc.fritz.box",
    ] {
        assert_eq!(asked(&target, &[host]).await, None, "{host}");
        assert_eq!(asked(&format!("http://tracker{target}"), &[host]).await, None, "{host}");
    }
    for name in ["evil.example", "127.0.0.1.nip.io", "tracker.example.org.evil.example", "lab-pc.evil.example"] {
        for (uri, host) in
            [(target.clone(), format!("{name}:6969")), (format!("http://{name}{target}"), "tracker".into())]
        {
            let reason = asked(&uri, &[&host]).await.unwrap_or_default();
            assert!(reason.contains(&format!("--host-name {name}")), "{uri} {host}: {reason}");
        }
        assert!(asked(&target, &["tracker", name]).await.is_some());
    }
    assert!(asked(&target, &["a b"]).await.unwrap().contains("does not say for which host"));
    assert_eq!(asked(&target, &[]).await, None);

    // In another network the machine has another domain.
    adapter.set_host_names(vec!["lab-pc.school.example".to_owned()]);
    assert_eq!(asked(&target, &["lab-pc.school.example:6969"]).await, None);
    assert!(asked(&target, &["lab-pc.fritz.box"]).await.unwrap().contains("--host-name"));
}

#[tokio::test]
async fn a_client_cannot_pass_for_its_proxy() {
    let proxied = HttpConfig::default().with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let adapter = adapter(Config::default(), proxied);
    // What a client at 8.8.8.8 writes is passed on beside what the proxy appends.
    for (forwarded, x_forwarded_for) in [
        (Some("for=1.1.1.1"), "8.8.8.8"),
        (Some("for=_x"), "8.8.8.8"),
        (Some("for=127.0.0.1"), "8.8.8.8"),
        (None, "8.8.8.8, unknown"),
        (None, ""),
    ] {
        for path in ["announce", "scrape"] {
            let mut request = Request::get(format!("/{path}?{}&ip=10.0.0.9", announce('p', 1, "&left=0")))
                .header("X-Forwarded-For", x_forwarded_for);
            if let Some(forwarded) = forwarded {
                request = request.header("Forwarded", forwarded);
            }
            let answer = send(&adapter, "127.0.0.1", "127.0.0.1", request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK);
            let reason = answer.failure_reason().expect("a refusal");
            assert!(reason.starts_with("the tracker's proxy sent "), "{forwarded:?}: {x_forwarded_for}: {reason}");
        }
    }
    let target = format!("/announce?{}", announce('q', 2, "&left=0"));
    let counts = get_from(&adapter, "127.0.0.1", "127.0.0.1", &target).await;
    assert!(counts.body.starts_with(b"d8:completei1e"), "{}", counts.body.escape_ascii());
}

#[tokio::test]
async fn a_loopback_client_of_a_remote_proxy_is_not_on_this_machine() {
    let proxied = HttpConfig::default().with(|config| config.trusted_proxies = vec!["192.168.1.2/32".parse().unwrap()]);
    let adapter = adapter(Config::default(), proxied);
    let request = Request::get(format!("/announce?{}&ip=10.0.0.9", announce('p', 256, "&left=0")))
        .header("X-Forwarded-For", "127.0.0.1")
        .body(Body::empty())
        .unwrap();
    send(&adapter, "192.168.1.2", "192.168.1.1", request).await;
    let leecher = format!("/announce?{}", announce('l', 6882, "&left=9"));
    get(&adapter, &leecher).await.assert_body(
        b"d8:completei1e10:downloadedi0e10:incompletei1e8:intervali60e12:min intervali30e\
          5:peers6:\xc0\xa8\x01\x02\x01\x00e",
    );
}

#[tokio::test]
async fn every_path_under_announce_and_scrape_answers_bencode() {
    let adapter = default();
    for path in ["/announce", "/announce/", "/announce/a1b2c3", "/announce/a/b", "/announce//"] {
        let answer = get(&adapter, &format!("{path}?{}", announce('p', 1, ""))).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.failure_reason(), None, "{path}");
    }
    for path in ["/scrape", "/scrape/", "/scrape/a1b2c3"] {
        let answer = get(&adapter, &format!("{path}?info_hash=aaaaaaaaaaaaaaaaaaaa")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.failure_reason(), None, "{path}");
    }
}

#[tokio::test]
async fn refusals_are_bencoded() {
    let adapter = default();
    for (target, expected) in [
        ("/announce", "info_hash is missing: this is the address of a tracker, give it to a BitTorrent client"),
        ("/announce?", "info_hash is missing: this is the address of a tracker, give it to a BitTorrent client"),
        ("/announce?info_hash=a", "info_hash must be 20 bytes"),
        ("/announce?info_hash=%zz", "malformed percent-escape in the query"),
        ("/scrape", "info_hash is missing: this tracker does not list its torrents"),
        ("/scrape?info_hash=a", "info_hash must be 20 bytes"),
    ] {
        let answer = get(&adapter, target).await;
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        assert_eq!(answer.content_type, "text/plain", "{target}");
        assert_eq!(answer.failure_reason().as_deref(), Some(expected), "{target}");
    }
    let hashes: String = (0..129).map(|n| format!("&info_hash={n:040x}")).collect();
    let answer = get(&adapter, &format!("/scrape?{hashes}")).await;
    assert!(answer.failure_reason().unwrap().contains("128"));
}

#[tokio::test]
async fn strangers_and_denied_torrents_are_refused() {
    let denied = TorrentPolicy { denied: [[b'a'; 20].into()].into(), ..TorrentPolicy::default() };
    let adapter = adapter(Config::default().with(|config| config.torrents = denied.into()), HttpConfig::default());
    let target = format!("/announce?{}", announce('p', 1, ""));
    for (stranger, expected) in [
        ("203.0.113.9", "--allow lan --allow 203.0.113.0/24"),
        // Of a VPN such as Tailscale.
        ("100.101.102.103", "--allow lan --allow 100.64.0.0/10"),
        ("2001:db8::9", "--allow lan --allow 2001:db8::/64"),
    ] {
        for target in [&target, "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa"] {
            let answer = get_from(&adapter, stranger, "192.168.1.1", target).await;
            let reason = answer.failure_reason().unwrap();
            assert!(reason.contains(stranger) && reason.ends_with(expected), "{reason}");
            assert!(answer.body.ends_with(b"8:intervali300e8:retry ini5ee"), "the operator may allow it at once");
        }
    }
    let answer = get(&adapter, &target).await;
    assert!(answer.failure_reason().is_some());
    assert!(answer.body.ends_with(b"8:intervali1800e8:retry ini30ee"));
}

#[tokio::test]
async fn a_public_address_is_returned_to_its_owner() {
    let adapter = adapter(Config::default().with(|config| config.access = Access::All), HttpConfig::default());
    let target = format!("/announce?{}", announce('p', 1, "&left=0"));
    get_from(&adapter, "8.8.4.4", "192.168.1.1", &target).await.assert_body(
        b"d8:completei1e10:downloadedi0e11:external ip4:\x08\x08\x04\x0410:incompletei0e8:intervali60e\
          12:min intervali30e5:peers0:e",
    );
}

#[tokio::test]
async fn a_scrape_knows_partial_seeds_and_unknown_torrents() {
    let adapter = default();
    get(&adapter, &format!("/announce?{}", announce('p', 1, "&left=9&event=paused"))).await;
    get(&adapter, &format!("/announce?{}", announce('q', 2, "&left=9"))).await;
    let target = "/scrape?info_hash=bbbbbbbbbbbbbbbbbbbb&info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=bbbbbbbbbbbbbbbbbbbb";
    get(&adapter, target).await.assert_body(
        b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei0e10:downloadedi0e11:downloadersi1e10:incompletei2ee\
          20:bbbbbbbbbbbbbbbbbbbbd8:completei0e10:downloadedi0e10:incompletei0eeee",
    );
}

#[tokio::test]
async fn a_full_scrape_lists_every_torrent_to_those_who_may_ask() {
    let full = HttpConfig::default().with(|config| config.full_scrape = true);
    get(&adapter(Config::default(), full.clone()), "/scrape").await.assert_body(b"d5:filesdee");
    let adapter = adapter(Config::default(), full);
    for hash in ['c', 'b'] {
        let hash = hash.to_string().repeat(20);
        get(&adapter, &format!("/announce?info_hash={hash}&peer_id=pppppppppppppppppppp&port=1&left=0")).await;
    }
    get(&adapter, "/scrape").await.assert_body(
        b"d5:filesd20:bbbbbbbbbbbbbbbbbbbbd8:completei1e10:downloadedi0e10:incompletei0ee\
          20:ccccccccccccccccccccd8:completei1e10:downloadedi0e10:incompletei0eeee",
    );
    assert!(get_from(&adapter, "203.0.113.9", "192.168.1.1", "/scrape").await.failure_reason().is_some());

    // All who ask in the same second share one answer.
    let answer = get(&adapter, "/scrape").await;
    get(&adapter, "/announce?info_hash=dddddddddddddddddddd&peer_id=pppppppppppppppppppp&port=1&left=0").await;
    assert_eq!(get(&adapter, "/scrape").await.body, answer.body);
}

#[tokio::test]
async fn a_full_scrape_leaves_the_event_loop_to_others() {
    let adapter = adapter(Config::default(), HttpConfig::default().with(|config| config.full_scrape = true));
    for number in 0..20_000 {
        let query = format!("info_hash={number:040x}&peer_id=pppppppppppppppppppp&port=1&left=0");
        adapter.announce([192, 168, 1, 9].into(), [192, 168, 1, 1].into(), None, query.as_bytes());
    }
    // All on this thread: what is polled first is done first, unless it waits for another thread.
    let (full, order) = (["/scrape"; 8], Mutex::new(Vec::new()));
    let announce = format!("/announce?{}", announce('p', 1, "&left=0"));
    let answer = async |target: &str| {
        let answer = get(&adapter, target).await;
        order.lock().unwrap().push(target.to_owned());
        answer.body.len()
    };
    let [a, b, c, d, e, f, g, h] = full.map(&answer);
    let (scrapes, _) = tokio::join!(async { tokio::join!(a, b, c, d, e, f, g, h) }, answer(&announce));
    assert!(scrapes.0 > 20_000 * 60 && scrapes.0 == scrapes.7, "{scrapes:?}");
    assert_eq!(order.into_inner().unwrap()[0], announce);
}

#[tokio::test]
async fn failures_counts_refusals_that_the_core_does_not_count() {
    let denied = TorrentPolicy { denied: [[b'a'; 20].into()].into(), ..TorrentPolicy::default() };
    let core = Config::default().with(|config| {
        config.torrents = denied.into();
        config.max_scrape_hashes = 1;
    });
    let shards = Arc::new(Shards::new(core, NonZeroUsize::MIN, &mut rand::rng()).unwrap());
    let adapter = Adapter::new(Arc::clone(&shards), Clock::fixed(Instant::ZERO), HttpConfig::default()).unwrap();
    let refused = format!("/announce?{}", announce('p', 1, ""));
    for (target, failures) in [
        ("/announce?info_hash=bbbbbbbbbbbbbbbbbbbb&peer_id=pppppppppppppppppppp&port=1&left=0", 0),
        ("/scrape?info_hash=bbbbbbbbbbbbbbbbbbbb", 0),
        (&refused, 0),
        ("/announce", 1),
        ("/scrape?info_hash=short", 2),
        ("/scrape?info_hash=bbbbbbbbbbbbbbbbbbbb&info_hash=cccccccccccccccccccc", 3),
        ("/?info_hash=bbbbbbbbbbbbbbbbbbbb", 4),
        ("/favicon.ico", 4),
    ] {
        get(&adapter, target).await;
        assert_eq!(adapter.failures(), failures, "{target}");
    }
    assert_eq!(shards.totals().refused_announces, 1);
}

#[test]
fn settings_that_exclude_everybody_are_refused() {
    let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut rand::rng()).unwrap();
    let closed = HttpConfig::default().with(|config| config.max_connections = 0);
    let error = Adapter::new(Arc::new(shards), Clock::fixed(Instant::ZERO), closed).unwrap_err();
    assert!(error.to_string().starts_with("max_connections is 0, but must be from 1 to "), "{error}");
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let adapter = default();
    let target = format!("/announce?{}", announce('p', 1, ""));
    let full = get(&adapter, &target).await;
    let head = Request::head(&target).body(Body::empty()).unwrap();
    let head = send(&adapter, "192.168.1.9", "192.168.1.1", head).await;
    assert_eq!((head.status, head.content_type), (full.status, full.content_type));
    assert_eq!(head.content_length, Some(full.body.len().to_string()));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn other_methods_and_paths_are_clean_errors() {
    let adapter = default();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for path in ["/announce", "/scrape", "/health", "/"] {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            let answer = send(&adapter, "192.168.1.9", "192.168.1.1", request).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.allow.as_deref(), Some("GET,HEAD"), "{method} {path}");
        }
    }
    for path in ["/announces", "/Announce", "/announce.php", "/stats", "/favicon.ico", "/x/announce"] {
        assert_eq!(get(&adapter, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    get(&adapter, "/health").await.assert_body(b"ok\n");
    assert_eq!(get(&adapter, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_path_of_an_announce_or_a_scrape_gets_the_right_url() {
    let adapter = default();
    let asked = async |target: &str, host: Option<&str>| {
        let request = host.iter().fold(Request::get(target), |request, host| request.header("Host", *host));
        let answer = send(&adapter, "192.168.1.9", "192.168.1.1", request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, &*answer.content_type), (StatusCode::OK, "text/plain"), "{target}");
        answer.failure_reason().unwrap_or_default()
    };
    let query = announce('s', 6881, "&left=0&event=started");
    for path in [
        "/",
        "//announce",
        "/announce.php",
        "/ann",
        "/Announce",
        "/KEY/announce",
        "/tracker/announce/",
        "/announced",
        "/announce%2f",
        "/x",
    ] {
        let reason = asked(&format!("{path}?{query}"), Some("lab-pc:6969")).await;
        let expected = format!("no tracker answers at {path}: this tracker's announce URL ends in /announce, as in ");
        assert_eq!(reason, format!("{expected}http://lab-pc:6969/announce"));
        let reason = asked(&format!("{path}?{query}"), None).await;
        assert_eq!(reason, format!("{expected}http://192.168.1.1:6969/announce"));
    }
    for path in ["//scrape", "/scrape.php", "/Scrape", "/KEY/scrape"] {
        let reason = asked(&format!("{path}?info_hash=aaaaaaaaaaaaaaaaaaaa"), Some("[fd77::1]:6969")).await;
        assert!(reason.ends_with("scrape URL ends in /scrape, as in http://[fd77::1]:6969/scrape"), "{reason}");
    }
    let long = asked(&format!("/{}?{query}", "x".repeat(5000)), None).await;
    assert!(long.len() < 300 && long.ends_with("/announce"), "{long}");
    assert_eq!(adapter.failures(), 25);

    // Names that are not the tracker's, and what no client sends.
    assert!(asked(&format!("/ann?{query}"), Some("evil.example")).await.contains("--host-name"));
    let post = Request::post(format!("/ann?{query}")).body(Body::empty()).unwrap();
    assert_eq!(send(&adapter, "192.168.1.9", "192.168.1.1", post).await.status, StatusCode::NOT_FOUND);
}

#[test]
fn connections_from_any_own_64_of_the_machine_count_by_address() {
    let own = ["fd77::1".parse().unwrap(), "2001:db8:77::1".parse().unwrap()];
    let adapter = adapter(Config::default().with(|config| config.own_addresses = own.into()), HttpConfig::default());
    for local in ["[fd77::1]:6969", "10.77.0.1:6969"] {
        let group = |remote: &str| adapter.group(&Connection::new(remote.parse().unwrap(), local.parse().unwrap()));
        assert_ne!(group("[2001:db8:77::2]:4000"), group("[2001:db8:77::3]:4000"), "{local}");
        assert_eq!(group("[2001:db8:77::2]:4000").network(), Some("2001:db8:77::".parse().unwrap()), "{local}");
        assert_eq!(group("[2001:db8:78::2]:4000"), group("[2001:db8:78::3]:4000"), "{local}");
    }
}

/// A proxy for TLS has `https` URLs, and nginx puts the inner host into the header.
#[tokio::test]
async fn a_wrong_path_behind_a_proxy_gets_the_right_path_but_no_inner_url() {
    let proxied = HttpConfig::default().with(|config| config.trusted_proxies = vec!["192.168.1.2/32".parse().unwrap()]);
    let adapter = adapter(Config::default(), proxied);
    let query = announce('s', 6881, "&left=0");
    for (peer, header) in [
        ("192.168.1.2", ("X-Forwarded-For", "192.168.1.9")),
        ("192.168.1.2", ("X-Real-IP", "192.168.1.9")),
        ("192.168.1.2", ("Forwarded", "for=192.168.1.9;proto=https")),
        // It names no client.
        ("192.168.1.2", ("Content-Length", "0")),
        // It is not trusted, and there nevertheless.
        ("192.168.1.3", ("X-Forwarded-For", "192.168.1.9")),
    ] {
        for (path, what) in [("/announce.php", "announce"), ("/KEY/scrape", "scrape")] {
            let request = Request::get(format!("{path}?{query}")).header("Host", "127.0.0.1:6969");
            let request = request.header(header.0, header.1).body(Body::empty()).unwrap();
            let reason = send(&adapter, peer, "192.168.1.1", request).await.failure_reason();
            let expected = format!("no tracker answers at {path}: this tracker's {what} URL ends in /{what}");
            assert_eq!(reason, Some(expected), "{peer} {header:?}");
        }
    }
}

/// Transmission takes any other 200 for an answer without peers, and shows the user nothing.
#[tokio::test]
async fn an_announce_to_the_root_gets_the_path_in_the_error() {
    let answer = get(&default(), &format!("/?{}", announce('s', 6881, "&left=0&event=started"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.failure_reason().is_some_and(|reason| reason.contains("ends in /announce")));
    assert_eq!(get(&default(), "/?from=elsewhere").await.content_type, "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_request_without_its_connection_is_the_embedders_mistake() {
    let request = Request::get("/announce").body(Body::empty()).unwrap();
    let response = router(default()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
