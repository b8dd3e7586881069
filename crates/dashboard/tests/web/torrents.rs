//! Torrents, their peers, and the log, as programs get them.

use std::fs;

use axum::http::StatusCode;
use metainfo::{Create, Magnet, Metainfo};
use serde_json::{Value, json};
use tracker_core::{AnnounceEvent, InfoHash};
use tracker_monitor::LogBuffer;

use crate::support::{Fixture, HOSTILE_NAME, announce, torrent};

#[tokio::test]
async fn torrents_have_names_and_peers() {
    let fixture = Fixture::new();
    let all = fixture.get_until("/api/v1/torrents", |answer| answer.json()["total"] == 3).await.json();
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|torrent| &torrent["name"]).collect();
    assert_eq!(names, [&json!(HOSTILE_NAME), &json!("film.mkv"), &Value::Null]);

    let unknown = fixture.unknown.to_string();
    for (query, expected) in [
        ("search=FILM", vec![fixture.film]),
        (&format!("search={}", &unknown[..6]), vec![fixture.unknown]),
        ("search=nothing", vec![]),
        ("sort=leechers&order=descending&page_size=1", vec![fixture.film]),
        ("page=3&page_size=1", vec![fixture.unknown]),
        ("page=4294967295&page_size=1000", vec![]),
    ] {
        let page = fixture.get(&format!("/api/v1/torrents?{query}")).await.json();
        let items: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|torrent| torrent["info_hash"].as_str().unwrap()).collect();
        assert_eq!(items, expected.iter().map(ToString::to_string).collect::<Vec<_>>(), "{query}");
    }

    let film = format!("/api/v1/torrents/{}", fixture.film);
    let details = fixture.get_until(&film, |answer| !answer.json()["last_seen"].is_null()).await.json();
    assert_eq!(
        (&details["size"], &details["seeders"], &details["leechers"], &details["partial_seeds"]),
        (&json!(40_000), &json!(1), &json!(3), &json!(1))
    );
    // 100, 75, 0 and 50 per cent.
    assert_eq!(details["completion"], json!(0.563));
    assert_eq!(details["metainfo"]["files"], json!([{ "path": "film.mkv", "size": 40_000 }]));
    let magnet: Magnet = details["magnet"].as_str().unwrap().parse().unwrap();
    assert_eq!(magnet.info_hashes.v1.unwrap().to_string(), fixture.film.to_string());
    assert!(magnet.trackers.is_empty());

    fixture.service.start().await.unwrap();
    for info_hash in [fixture.film, fixture.unknown] {
        let details = fixture.get(&format!("/api/v1/torrents/{info_hash}")).await.json();
        let magnet: Magnet = details["magnet"].as_str().unwrap().parse().unwrap();
        assert_eq!(magnet.trackers, ["http://192.168.1.1:6969/announce", "udp://192.168.1.1:6969/announce"]);
    }

    let hostile = fixture.get(&format!("/api/v1/torrents/{}/torrent", fixture.hostile)).await;
    let name = "filename=\"_script_alert(_1_)_script_.bin.torrent\"";
    assert!(hostile.header("content-disposition").contains(name), "{hostile:?}");
}

#[tokio::test]
async fn peers_say_how_far_they_are() {
    let fixture = Fixture::new();
    announce(&fixture.shards, &fixture.clock, fixture.film, "192.168.1.14", "=1+1|--", 40_000, AnnounceEvent::Started);
    let peers = format!("/api/v1/torrents/{}/peers", fixture.film);
    let page = fixture.get_until(&peers, |answer| answer.json()["total"] == 5).await.json();
    let (now, items) = (page["now"].as_u64().unwrap(), page["items"].as_array().unwrap());
    let summary: Vec<_> =
        items.iter().map(|peer| (&peer["address"], &peer["state"], &peer["completion"]["value"])).collect();
    let expected = [
        (json!("192.168.1.10:6881"), json!("seeding"), json!(1.0)),
        (json!("192.168.1.11:6881"), json!("downloading"), json!(0.75)),
        (json!("192.168.1.12:6881"), json!("downloading"), json!(0.0)),
        (json!("192.168.1.14:6881"), json!("downloading"), json!(0.0)),
        (json!("[fd00::13]:6881"), json!("partial"), json!(0.5)),
    ];
    assert_eq!(summary, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
    for peer in items {
        let seen = peer["last_seen"].as_u64().unwrap();
        assert!(seen <= now && now - seen < 600, "{page:#}");
    }

    let csv = fixture.get(&format!("{peers}.csv")).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let name = format!("attachment; filename=\"peers-{}.csv\"", fixture.film);
    assert_eq!(csv.header("content-disposition"), name);
    let lines: Vec<_> = csv.text().lines().collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[0].starts_with("address,client,state,completion,left,"), "{lines:#?}");
    assert!(lines[1].starts_with("192.168.1.10:6881,qBittorrent 5.0.1,seeding,1,0,"), "{lines:#?}");
    assert!(lines[4].starts_with("192.168.1.14:6881,'=1+1"), "{lines:#?}");
    for (query, lines) in [("?search=qbittorrent", 2), ("?page=1", 6), ("?page=2", 1), ("?page=4294967295", 1)] {
        assert_eq!(fixture.get(&format!("{peers}.csv{query}")).await.text().lines().count(), lines, "{query}");
    }
}

/// A hybrid torrent of one file of 40,000 bytes.
const HYBRID: &[u8] = b"d4:infod9:file treed6:ab.bind0:d6:lengthi40000e\
    11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
    6:lengthi40000e12:meta versioni2e4:name6:ab.bin12:piece lengthi65536e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";

#[tokio::test]
async fn a_hybrid_is_one_torrent_with_the_peers_of_both_swarms() {
    let fixture = Fixture::new();
    let registered = fixture.post("/api/v1/torrents", HYBRID.to_vec()).await.json();
    let hashes = Metainfo::parse(HYBRID).unwrap().info_hashes();
    let (v1, v2) = (hashes.v1.unwrap(), hashes.v2.unwrap());
    assert_eq!(registered["info_hash"], v1.to_string());
    assert_eq!(registered["metainfo"]["info_hash_v2"], v2.to_string());
    let magnet: Magnet = registered["magnet"].as_str().unwrap().parse().unwrap();
    assert_eq!(magnet.info_hashes, hashes);

    let second = InfoHash::new(v2.truncated());
    for (key, ip, left) in [
        (InfoHash::new(*v1.as_bytes()), "192.168.1.20", 0),
        (second, "192.168.1.20", 0),
        (InfoHash::new(*v1.as_bytes()), "192.168.1.21", 40_000),
        (second, "192.168.1.22", 20_000),
    ] {
        announce(&fixture.shards, &fixture.clock, key, ip, "-lt2080-", left, AnnounceEvent::Started);
    }
    // Beside the three of the fixture.
    let all = fixture.get_until("/api/v1/torrents", |answer| answer.json()["total"] == 4).await.json();
    let names = all["items"].as_array().unwrap().iter().filter(|torrent| torrent["name"] == "ab.bin").count();
    assert_eq!(names, 1);
    for key in [v1.to_string(), second.to_string()] {
        let path = format!("/api/v1/torrents/{key}");
        let torrent = fixture.get_until(&path, |answer| answer.json()["completion"] == 0.5).await.json();
        assert_eq!(
            [&torrent["info_hash"], &torrent["seeders"], &torrent["leechers"]],
            [&json!(v1.to_string()), &json!(1), &json!(2)]
        );
        let peers = fixture.get(&format!("{path}/peers")).await.json();
        let addresses: Vec<_> = peers["items"].as_array().unwrap().iter().map(|peer| &peer["address"]).collect();
        assert_eq!(addresses, ["192.168.1.20:6881", "192.168.1.21:6881", "192.168.1.22:6881"]);
        let copies = fixture.get(&format!("/api/v1/files/{key}/computers")).await.json();
        let begun = copies["computers"].as_array().unwrap().iter().filter(|copy| copy["state"] != "not_begun").count();
        assert_eq!((begun, &copies["progress"]["has"]), (3, &json!(1)), "{copies}");
        let page = fixture.get(&format!("/manage/files/{key}")).await;
        assert!(page.text().contains(&v2.to_string()) && page.text().contains(&v1.to_string()));
    }
    // The other two swarms have one and four peers.
    let status = fixture.get_until("/api/v1/status", |answer| answer.json()["torrents"] == 3).await.json();
    assert_eq!((&status["seeders"], &status["leechers"]), (&json!(3), &json!(5)));

    let removed = fixture.delete(&format!("/api/v1/torrents/{second}")).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let now = fixture.get(&format!("/api/v1/torrents/{v1}")).await.json();
    assert_eq!((&now["name"], &now["metainfo"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_torrent_is_registered_offered_and_removed() {
    let fixture = Fixture::new();
    let file = fixture.folder.path().join("an \"Übung\".bin");
    fs::write(&file, [9; 3000]).unwrap();
    let (info_hash, bytes) = torrent(Create::new(&file).trackers(&[vec!["http://elsewhere/announce".into()]]));
    let location = format!("/api/v1/torrents/{info_hash}");
    fixture.get(&location).await.problem(StatusCode::NOT_FOUND);
    for _ in 0..2 {
        let registered = fixture.post("/api/v1/torrents", bytes.clone()).await;
        assert_eq!((registered.status, registered.header("location")), (StatusCode::CREATED, location.as_str()));
        assert_eq!(registered.json()["name"], "an \"Übung\".bin");
    }

    let stopped = fixture.get(&format!("{location}/torrent")).await.problem(StatusCode::CONFLICT);
    assert!(stopped.contains("the tracker is stopped"), "{stopped}");
    fixture.service.start().await.unwrap();
    let offered = fixture.get(&format!("{location}/torrent")).await;
    assert_eq!((offered.status, offered.header("content-type")), (StatusCode::OK, "application/x-bittorrent"));
    assert_eq!(
        offered.header("content-disposition"),
        "attachment; filename=\"an __bung_.bin.torrent\"; filename*=UTF-8''an%20_%C3%9Cbung_.bin.torrent"
    );
    let metainfo = Metainfo::parse(&offered.body).unwrap();
    assert_eq!(metainfo.info_hashes().v1.unwrap().to_string(), info_hash.to_string());
    let urls = ["http://192.168.1.1:6969/announce", "udp://192.168.1.1:6969/announce"];
    assert_eq!(metainfo.trackers().concat(), urls);

    assert_eq!(fixture.delete(&location).await.status, StatusCode::NO_CONTENT);
    fs::remove_dir_all(fixture.folder.path().join("torrents")).unwrap();
    let unwritten = fixture.post("/api/v1/torrents", bytes).await.problem(StatusCode::INTERNAL_SERVER_ERROR);
    assert!(unwritten.starts_with("cannot write it into the folder of torrents: "), "{unwritten}");
    fixture.delete(&location).await.problem(StatusCode::NOT_FOUND);
    fixture.get(&location).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_torrent_is_made_and_its_content_has_digests() {
    let fixture = Fixture::new();
    let share = fixture.get("/api/v1/share").await.json();
    let expected = json!([{ "name": "course", "size": null }, { "name": "film.mkv", "size": 40_000 }]);
    assert_eq!((&share["path"], &share["entries"], &share["truncated"]), (&json!(""), &expected, &json!(false)));

    let making = fixture.post("/api/v1/makings", json!({ "path": "course", "private": true }).to_string()).await;
    assert_eq!(making.status, StatusCode::CREATED);
    let location = making.header("location").to_owned();
    let is_done = |answer: &crate::support::Answer| answer.json()["state"] == "done";
    let made = fixture.get_until(&location, is_done).await.json();
    let torrent = format!("/api/v1/torrents/{}", made["info_hash"].as_str().unwrap());
    assert_eq!(fixture.get("/api/v1/makings").await.json()["makings"], json!([made]));
    assert_eq!(fixture.get(&torrent).await.json()["metainfo"]["private"], true);
    let over = fixture.delete(&location).await.problem(StatusCode::NOT_FOUND);
    assert_eq!(over, "there is nothing to cancel: the making of the torrent is done");
    let never = fixture.delete("/api/v1/makings/77").await.problem(StatusCode::NOT_FOUND);
    assert!(never.contains("none was lately"), "{never}");
    // What operators make is not for viewers.
    let log = fixture.get("/api/v1/log").await;
    assert!(!log.text().contains("asked to make"), "{}", log.text());

    let digests = format!("{torrent}/digests");
    let digests = fixture.get_until(&digests, |answer| answer.json()["files"][0]["sha256"].is_string()).await.json();
    let sha256 = "ab5aa97074c454a0632057e704220d9a6678fbf773a0a5806fc09b8173b07309";
    assert_eq!(digests["files"], json!([{ "path": "notes.txt", "size": 5, "sha256": sha256 }]));
}

#[tokio::test]
async fn the_tracker_is_started_and_stopped() {
    let fixture = Fixture::new();
    let started = fixture.post("/api/v1/tracker/start", "").await.json();
    assert_eq!((&started["state"], &started["error"]), (&json!("running"), &Value::Null));
    assert_eq!(started["addresses"], json!(["0.0.0.0:6969", "[::]:6969"]));
    assert_eq!(fixture.opener.serving(), 1);
    let stopped = fixture.post("/api/v1/tracker/stop", "").await.json();
    assert_eq!((&stopped["state"], &stopped["announce_urls"]), (&json!("stopped"), &json!([])));
    assert_eq!(fixture.opener.serving(), 0);
    fixture.opener.refuse(Some("port 6969 is taken by another-program (pid 17): stop it first"));
    let refused = fixture.post("/api/v1/tracker/start", "").await.problem(StatusCode::CONFLICT);
    assert_eq!(refused, "port 6969 is taken by another-program (pid 17): stop it first");
    assert_eq!(fixture.get("/api/v1/status").await.json()["tracker"]["error"], refused);
}

#[tokio::test]
async fn the_log_has_levels_and_filters() {
    let fixture = Fixture::new();
    let film = fixture.film;
    fixture.log(|| {
        tracing::error!(address = "10.0.0.1:5", "one\nline");
        tracing::warn!(info_hash = %film, peers = 3, "two");
        tracing::info!(address = "10.0.0.2:5", "three");
        tracing::debug!("four");
    });
    let log = fixture.get("/api/v1/log?level=info").await.json();
    assert_eq!(log["last"], 4);
    let two = &log["entries"][1];
    assert_eq!((&two["id"], &two["level"], &two["info_hash"]), (&json!(2), &json!("warn"), &json!(film.to_string())));
    assert_eq!(two["fields"], json!([{ "name": "peers", "value": "3" }]));
    for (query, messages) in [
        ("", vec!["one\nline", "two", "three"]),
        ("level=warn", vec!["one\nline", "two"]),
        ("level=info&after=2", vec!["three"]),
        ("limit=1", vec!["three"]),
        ("address=10.0.0.", vec!["one\nline", "three"]),
        (&format!("info_hash={film}&address="), vec!["two"]),
        ("after=18446744073709551615", vec![]),
    ] {
        let log = fixture.get(&format!("/api/v1/log?{query}")).await.json();
        let told: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| &entry["message"]).collect();
        assert_eq!(told, messages, "{query}");
        let lines = fixture.get(&format!("/api/v1/log.ndjson?{query}")).await;
        assert_eq!(lines.header("content-type"), "application/x-ndjson");
        let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(log["entries"], json!(lines), "{query}");
    }

    fixture.log(|| (0..LogBuffer::MAX_ENTRIES).for_each(|number| tracing::info!(number, "again")));
    let lines = fixture.get("/api/v1/log.ndjson").await;
    // An error and a warning outlive what is older.
    assert_eq!(lines.text().lines().count(), 2 + LogBuffer::MAX_ENTRIES);
    assert_eq!(fixture.get("/api/v1/log").await.json()["entries"].as_array().unwrap().len(), 200);
}
