//! What the tracker's own peer sees, as people and programs get it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tracker_core::AnnounceEvent;
use tracker_monitor::{Reachability, ReachabilityReason, SeenConnection, SeenPeer, SeenProgress, SeenTorrent};

use crate::support::{Answer, FakeSightings, Fixture, VIEWER, announce};

/// The computers of the fixture that download its film.
const LAB_07: &str = "192.168.1.11";
const LAB_09: &str = "192.168.1.12";

/// A peer that is seen to have so many of 4 pieces, and gets 1000 bytes per second.
fn live(pieces: u32, reachability: Reachability, reason: Option<ReachabilityReason>) -> SeenPeer {
    let progress = SeenProgress { pieces, of: Some(4), is_complete: pieces == 4, age: None, rate: Some(1000.0) };
    SeenPeer { reachability, reason, client: Some("Transmission/4.0.6 (a)".into()), progress: Some(progress) }
}

/// A fixture whose film is seen: one download each of two computers, both behind firewalls.
fn fixture() -> (FakeSightings, Fixture) {
    let sightings = FakeSightings::default();
    for (address, pieces) in [(LAB_07, 1), (LAB_09, 2)] {
        let seen = live(pieces, Reachability::No, Some(ReachabilityReason::NoAnswer));
        sightings.seen().peers.insert(address.parse().unwrap(), seen);
    }
    let address = |ip: &str| format!("{ip}:6881").parse().unwrap();
    sightings.seen().pairs = vec![(address(LAB_07), address(LAB_09))];
    let fixture = Fixture::seeing(&sightings);
    for (address, name) in [(LAB_07, "lab-07"), (LAB_09, "<lab-09>")] {
        fixture.observer.computers().set_name(address.parse().unwrap(), name).unwrap();
    }
    (sightings, fixture)
}

/// The text of a page, without its tags.
fn text_of(html: &str) -> String {
    let parts = html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_peer_is_told_to_programs_as_it_is_seen() {
    let (sightings, fixture) = fixture();
    let peers = format!("/api/v1/torrents/{}/peers", fixture.film);
    let is_seen = |answer: &Answer| answer.json()["items"][1]["completion"]["source"] == "seen";
    let page = fixture.get_until(&peers, is_seen).await.json();
    let mut peer = page["items"][1].clone();
    for time in ["first_seen", "last_seen", "next_expected"] {
        assert!(peer[time].take().is_u64(), "{page:#}");
    }
    let expected = json!({
        "address": "192.168.1.11:6881",
        "client": "Transmission 4.0.6 (a)",
        "state": "downloading",
        "completion": { "value": 0.25, "source": "seen", "age_s": 0 },
        "left": 10_000,
        "uploaded": 0,
        "downloaded": 0,
        "upload_rate": null,
        "download_rate": 1000.0,
        "first_seen": null,
        "last_seen": null,
        "next_expected": null,
        "stuck": null,
        "host": null,
        "reachable": "no",
        "reason": "no_answer",
    });
    assert_eq!(peer, expected);
    let other = &page["items"][0];
    assert_eq!((&other["reachable"], &other["reason"]), (&json!("unknown"), &Value::Null));
    assert_eq!(other["completion"]["source"], "announced");
    let csv = fixture.get(&format!("{peers}.csv?search=192.168.1.11")).await;
    assert!(csv.text().lines().nth(1).unwrap().ends_with(",seen,0,no,no_answer"), "{csv:?}");

    let copies = format!("/api/v1/files/{}/computers", fixture.film);
    let copies = fixture.get_until(&copies, |answer| answer.text().contains("\"live\":true")).await.json();
    let copy = copies["computers"].as_array().unwrap().iter().find(|copy| copy["address"] == LAB_07).unwrap();
    let figures = ["completion", "completion_age_s", "live", "rate", "port", "reachable", "reason"];
    let told: Vec<_> = figures.iter().map(|name| copy[*name].clone()).collect();
    let expected = [json!(0.25), json!(0), json!(true), json!(1000.0), json!(6881), json!("no"), json!("no_answer")];
    assert_eq!(told, expected);
    assert_eq!(copies["cannot_reach_each_other"], json!([[LAB_07, LAB_09]]));

    sightings.seen().peers.insert(LAB_07.parse().unwrap(), live(4, Reachability::Yes, None));
    let computers = fixture.get_until("/api/v1/computers", |answer| answer.text().contains("\"yes\"")).await.json();
    let computer = computers["computers"].as_array().unwrap().iter().find(|row| row["address"] == LAB_07).unwrap();
    assert_eq!((&computer["reachable"], &computer["reason"]), (&json!("yes"), &Value::Null));
    assert_eq!((&computer["has"], &computer["downloading"]), (&json!(1), &json!(0)), "it has all pieces");
}

#[tokio::test]
async fn the_status_and_the_metrics_have_the_own_peer() {
    let (_sightings, fixture) = fixture();
    let is_counted = |answer: &Answer| answer.json()["own_peer"]["reachable"]["no"] == 2;
    let status = fixture.get_until("/api/v1/status", is_counted).await.json();
    assert_eq!(
        status["own_peer"],
        json!({ "connections": 7, "reachable": { "yes": 0, "no": 2, "unknown": 3 } }),
        "{status:#}"
    );
    let metrics = fixture.get("/metrics").await;
    for line in ["tracker_own_peer_connections 7", "tracker_reachable_peers{reachable=\"no\"} 2"] {
        assert!(metrics.text().lines().any(|other| other.starts_with(line)), "{line} in {}", metrics.text());
    }
    let without = Fixture::new();
    assert_eq!(without.get("/api/v1/status").await.json()["own_peer"], Value::Null);
}

#[tokio::test]
async fn who_cannot_be_reached_is_named_with_what_to_do() {
    let (sightings, fixture) = fixture();
    let path = format!("/manage/files/{}", fixture.film);
    let page = fixture.get_until(&path, |answer| answer.text().contains("lab-07 cannot be reached")).await;
    let text = text_of(page.text());
    for sentence in [
        "lab-07 cannot be reached on port 6881 (no answer): its firewall. It can still download from others.",
        "lab-07 and &#60;lab-09&#62; cannot reach each other: neither of them can be connected to.",
        "Allow the BitTorrent client in the firewall of one of them: that is enough for both.",
    ] {
        assert!(text.contains(sentence), "{sentence} is missing in {text}");
    }
    assert!(!page.text().contains("<lab-09>"));
    // For each state its own words.
    for (reachability, reason, sentence) in [
        (Reachability::No, ReachabilityReason::Refused, "lab-07 cannot be reached on port 6881 (refused)"),
        (
            Reachability::No,
            ReachabilityReason::NotThisTorrent,
            "lab-07 is running its BitTorrent client, but this file is not active in it",
        ),
        (Reachability::Yes, ReachabilityReason::EncryptedOnly, "lab-07 accepts encrypted connections only"),
        (
            Reachability::Yes,
            ReachabilityReason::UtpOnly,
            "lab-07 can be reached on port 6881 over UDP, but not over TCP",
        ),
        (
            Reachability::Yes,
            ReachabilityReason::OtherClient,
            "lab-07 answers on port 6881 with another BitTorrent client",
        ),
    ] {
        sightings.seen().peers.insert(LAB_07.parse().unwrap(), live(1, reachability, Some(reason)));
        fixture.get_until(&path, |answer| text_of(answer.text()).contains(sentence)).await;
    }
    // On the page of computers, too; words for people.
    let computers = fixture.get_until("/manage/computers", |answer| answer.text().contains("yes, but another")).await;
    assert!(computers.text().contains("no: no answer (its firewall)"), "{}", computers.text());
    for word in ["eeder", "eecher", "nnounce", "eer exchange", "PEX", "uTP"] {
        let page = fixture.get(&path).await;
        let body =
            text_of(page.text().split_once("id=\"connections\"").unwrap().1.split("id=\"technical\"").next().unwrap());
        assert!(!body.contains(word), "{word}: {body}");
    }
}

#[tokio::test]
async fn a_download_that_is_seen_is_shown_each_second() {
    let (sightings, fixture) = fixture();
    let path = format!("/manage/files/{}", fixture.film);
    let page = fixture.get_until(&path, |answer| answer.text().contains("data-each-second")).await;
    let row = |page: &Answer| {
        let rest = page.text().split_once(&format!("id=\"computer-{LAB_07}\"")).unwrap().1;
        rest.split_once("</tr>").unwrap().0.to_owned()
    };
    for text in [">25%<", "1 kB/s", "just now"] {
        assert!(row(&page).contains(text), "{text} is missing in {}", row(&page));
    }
    sightings.seen().peers.insert(LAB_07.parse().unwrap(), live(3, Reachability::Yes, None));
    let page = fixture.get_until(&path, |answer| answer.text().contains(">75%<")).await;
    assert!(page.text().contains("data-each-second"));
    // Nobody is seen to download any more.
    for address in [LAB_07, LAB_09] {
        sightings.seen().peers.insert(address.parse().unwrap(), live(4, Reachability::Yes, None));
    }
    let page = fixture.get_until(&path, |answer| answer.text().contains("3 of 4 have it")).await;
    assert!(!page.text().contains("data-each-second"), "{}", page.text());
    let without = Fixture::new();
    let page = without.get_until(&path, |answer| answer.text().contains("1 of 4 have it")).await;
    assert!(!page.text().contains("data-each-second") && !page.text().contains("connections-title"));
    assert!(page.text().contains("many report only every 5 to 10 minutes"));
}

#[tokio::test]
async fn a_picture_shows_who_is_connected_to_whom() {
    let (sightings, fixture) = fixture();
    let address = |ip: &str| format!("{ip}:6881").parse().unwrap();
    let connection = |from, to| SeenConnection { from: address(from), to: address(to), is_to_seed: false };
    sightings.seen().connections =
        vec![connection(LAB_07, LAB_09), connection(LAB_09, "192.168.1.10"), connection(LAB_09, "192.168.1.99")];
    let path = format!("/manage/files/{}", fixture.film);
    let page = fixture.get_until(&path, |answer| answer.text().contains("<svg class=\"picture\"")).await;
    let svg = page.text().split_once("<svg class=\"picture\"").unwrap().1.split_once("</svg>").unwrap().0;
    assert_eq!((svg.matches("<line").count(), svg.matches("<circle").count()), (3, 5), "{svg}");
    assert!(svg.contains("5 computers, 3 connections between them."), "{svg}");
    assert!(svg.contains("<title>192.168.1.99: does not use this tracker</title>"), "{svg}");
    let table = page.text().split_once("id=\"connections-table\"").unwrap().1.split_once("</table>").unwrap().0;
    let text = text_of(table);
    assert!(text.contains("lab-07 &#60;lab-09&#62; 25%"), "{text}");
    // Fewer colours than css/colors.css has: the picture is dark where the page is.
    assert!(!svg.contains('#') || svg.matches('#').count() == svg.matches("&#").count(), "{svg}");
}

#[tokio::test]
async fn a_file_that_only_its_peers_know_has_its_name() {
    let sightings = FakeSightings::default();
    sightings.seen().torrent = Some(SeenTorrent { name: "a <b> lecture.mp4".into(), size: 2_000_000, files: 12 });
    sightings.seen().peers.insert("192.168.1.20".parse().unwrap(), live(1, Reachability::Yes, None));
    let fixture = Fixture::seeing(&sightings);
    let unknown = fixture.unknown;
    announce(&fixture.shards, &fixture.clock, unknown, "192.168.1.20", "-TR4060-", 5, AnnounceEvent::Started);
    let target = format!("/api/v1/torrents/{unknown}");
    let torrent = fixture.get_until(&target, |answer| answer.json()["name"] != Value::Null).await.json();
    assert_eq!((&torrent["name"], &torrent["size"]), (&json!("a <b> lecture.mp4"), &json!(2_000_000)));
    assert_eq!((&torrent["file_count"], &torrent["metainfo"]), (&json!(12), &Value::Null));
    let list = fixture.get("/manage").await;
    assert!(
        list.text().contains(&format!("href=\"/manage/files/{unknown}\">a &#60;b&#62; lecture.mp4</a>")),
        "{list:?}"
    );
    let page = fixture.get(&format!("/manage/files/{unknown}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("a &#60;b&#62; lecture.mp4") && page.text().contains("2 MB"), "{}", page.text());
    assert!(page.text().contains("As a BitTorrent client told them"), "{}", page.text());
    assert!(text_of(page.text()).contains("Content 12 files"), "{}", page.text());
}

#[tokio::test]
async fn a_report_says_which_times_are_at_most_that() {
    let (sightings, fixture) = fixture();
    // They were seen, and the clock has whole seconds.
    fixture.get_until("/api/v1/status", |answer| answer.json()["own_peer"]["reachable"]["no"] == 2).await;
    fixture.get_until("/api/v1/lessons/1", |answer| answer.json()["secs"].as_u64() >= Some(2)).await;
    sightings.seen().peers.insert(LAB_07.parse().unwrap(), live(4, Reachability::Yes, None));
    announce(&fixture.shards, &fixture.clock, fixture.film, "fd00::13", "-DE211s-", 0, AnnounceEvent::Completed);
    let copy = |answer: &Answer, address: &str| {
        let report = answer.json();
        let copies =
            report["files"].as_array().unwrap().iter().flat_map(|file| file["copies"].as_array().unwrap().clone());
        copies.into_iter().find(|copy| copy["address"] == address).unwrap_or(Value::Null)
    };
    let both_have_it =
        |answer: &Answer| copy(answer, LAB_07)["finished"].is_u64() && copy(answer, "fd00::13")["finished"].is_u64();
    let answer = fixture.get_until("/api/v1/lessons/1", both_have_it).await;
    assert_eq!(copy(&answer, LAB_07)["setup_source"], "seen");
    assert_eq!(copy(&answer, "fd00::13")["setup_source"], "announced");
    let text = fixture.get("/api/v1/lessons/1?format=text").await;
    let line = text.text().lines().find(|line| line.contains("fd00::13")).unwrap();
    assert!(line.contains("at most "), "{line}");
    let line = text.text().lines().find(|line| line.contains("lab-07")).unwrap();
    assert!(!line.contains("at most "), "{line}");
    let page = fixture.get_until_as(VIEWER, "/manage/report", |answer| answer.text().contains("at most ")).await;
    assert_eq!(page.status, StatusCode::OK);
}
