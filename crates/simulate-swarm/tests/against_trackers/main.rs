//! The program against small trackers that are correct or have one fault.

#![cfg(target_os = "linux")]

mod cli;
mod http;
mod run;
mod swarms;
mod udp;

use crate::http::HttpTracker;
use crate::run::{Outcome, simulate};
use crate::swarms::Fault;
use crate::udp::UdpTracker;

/// Options by which any fault shows; a swarm has more peers than an announce asks for.
const ARGUMENTS: [&str; 10] =
    ["--peers", "90", "--torrents", "3", "--announces", "600", "--leaving", "30", "--numwant", "12"];

fn over_udp(fault: Fault, arguments: &[&str]) -> Outcome {
    let tracker = UdpTracker::start("127.0.0.1:0", fault);
    simulate(&tracker.url(), &[&ARGUMENTS, arguments].concat())
}

fn over_http(fault: Fault, arguments: &[&str]) -> Outcome {
    let tracker = HttpTracker::start("127.0.0.1:0", fault);
    simulate(&tracker.url(), &[&ARGUMENTS, arguments].concat())
}

/// Asserts that the run had the requested size and no violation.
fn assert_right(outcome: &Outcome) {
    assert_eq!(outcome.violations(), [""; 0], "{outcome:?}");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.number("/fill/announces"), 90.0, "{outcome:?}");
    assert_eq!(outcome.number("/fill/requests"), 90.0, "{outcome:?}");
    assert_eq!(outcome.number("/steady/announces"), 600.0, "{outcome:?}");
    assert!(outcome.number("/steady/peers_per_answer_mean") > 5.0, "{outcome:?}");
    assert!(outcome.number("/steady/latency_us/p50") > 0.0, "{outcome:?}");
}

#[test]
fn a_correct_tracker_passes() {
    for arguments in [
        &[][..],
        &["--sources", "one"],
        &["--sources", "7"],
        &["--spread", "even"],
        &["--zipf", "0", "--seed", "5"],
        &["--rate", "2000"],
        &["--scrapes", "30", "--scrape-hashes", "2"],
        &["--concurrency", "1"],
        &["--concurrency", "500"],
    ] {
        assert_right(&over_udp(Fault::None, arguments));
        assert_right(&over_http(Fault::None, arguments));
    }
}

#[test]
fn a_correct_tracker_passes_over_persistent_connections() {
    for arguments in [&[][..], &["--sources", "one"], &["--rate", "2000"], &["--scrapes", "30"]] {
        let outcome = over_http(Fault::None, &[&["--connection", "keep-alive"], arguments].concat());
        assert_right(&outcome);
        assert_eq!(outcome.number("/fill/connects"), 32.0, "{outcome:?}");
        assert_eq!(outcome.number("/steady/connects"), 0.0, "{outcome:?}");
    }
}

#[test]
fn a_correct_tracker_passes_over_ipv6() {
    let udp = UdpTracker::start("[::1]:0", Fault::None);
    assert_right(&simulate(&udp.url(), &ARGUMENTS));
    let http = HttpTracker::start("[::1]:0", Fault::None);
    assert_right(&simulate(&http.url(), &ARGUMENTS));
}

#[test]
fn the_own_peer_of_a_tracker_is_one_more_peer() {
    // More peers than a swarm has are asked for, so that each answer has a place left for it.
    let arguments = [&ARGUMENTS[..8], &["--numwant", "60"]].concat();
    let over_udp = |fault| simulate(&UdpTracker::start("127.0.0.1:0", fault).url(), &arguments);
    let over_http = |fault| simulate(&HttpTracker::start("127.0.0.1:0", fault).url(), &arguments);
    for run in [&over_udp as &dyn Fn(Fault) -> Outcome, &over_http] {
        let (with, without) = (run(Fault::OwnPeer), run(Fault::None));
        assert_right(&with);
        // While the swarms fill, each answer has all that came before, in whatever order. Later they are never quite the same.
        let peers = |outcome: &Outcome| outcome.number("/fill/peers_per_answer_mean");
        assert!((peers(&with) - peers(&without) - 1.0).abs() < 1e-9, "{with:?} {without:?}");
        for (fault, kind) in [
            (Fault::OwnPeerTwice, "duplicate"),
            (Fault::OwnPeerMoves, "stranger"),
            (Fault::OnlyOwnPeer, "too_few_peers"),
        ] {
            let outcome = run(fault);
            assert_eq!((outcome.violations(), outcome.code), (vec![kind], Some(1)), "{outcome:?}");
        }
    }
}

#[test]
fn connects_are_counted_apart() {
    let outcome = over_udp(Fault::None, &["--sources", "5", "--concurrency", "1"]);
    assert_eq!([outcome.number("/fill/connects"), outcome.number("/steady/connects")], [5.0, 0.0], "{outcome:?}");
    let outcome = over_udp(Fault::None, &[]);
    assert_eq!(outcome.number("/fill/connects"), 90.0, "{outcome:?}");
}

#[test]
fn scrapes_are_counted() {
    for outcome in [over_udp(Fault::None, &["--scrapes", "50"]), over_http(Fault::None, &["--scrapes", "50"])] {
        assert_right(&outcome);
        let scrapes = outcome.number("/steady/scrapes");
        assert!((400.0..800.0).contains(&scrapes), "{outcome:?}");
        assert_eq!(outcome.number("/steady/requests"), scrapes + 600.0, "{outcome:?}");
    }
}

#[test]
fn each_fault_of_both_protocols_is_found() {
    for (fault, kind) in [
        (Fault::SelfInPeers, "self_in_peers"),
        (Fault::Stranger, "stranger"),
        (Fault::OtherTorrent, "stranger"),
        (Fault::Departed, "departed"),
        (Fault::Duplicate, "duplicate"),
        (Fault::SeedForSeed, "seed_for_seed"),
        (Fault::TooManyPeers, "too_many_peers"),
        (Fault::NoPeers, "too_few_peers"),
        (Fault::TooManyLeechers, "counts"),
        (Fault::AskerNotCounted, "counts"),
        (Fault::NoInterval, "interval"),
    ] {
        for outcome in [over_udp(fault, &[]), over_http(fault, &[])] {
            assert_eq!(outcome.violations(), [kind], "{outcome:?}");
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            assert_eq!(outcome.number("/steady/errors_total"), 0.0, "{outcome:?}");
        }
    }
}

#[test]
fn wrong_counts_of_scrapes_are_found() {
    for outcome in
        [over_udp(Fault::ScrapeCounts, &["--scrapes", "20"]), over_http(Fault::ScrapeCounts, &["--scrapes", "20"])]
    {
        assert_eq!(outcome.violations(), ["counts"], "{outcome:?}");
    }
}

#[test]
fn each_fault_of_udp_is_found() {
    for (fault, kind) in [
        (Fault::TransactionId, "transaction_id"),
        (Fault::Action, "action"),
        (Fault::Length, "length"),
        (Fault::SourceAddress, "source_address"),
    ] {
        let outcome = over_udp(fault, &[]);
        assert_eq!(outcome.violations(), [kind], "{outcome:?}");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}

#[test]
fn each_fault_of_http_is_found() {
    for (fault, kind) in [
        (Fault::UnsortedKeys, "not_canonical"),
        (Fault::Html, "not_bencode"),
        (Fault::NoPeersKey, "keys"),
        (Fault::Chunked, "http_framing"),
        (Fault::NoContentLength, "http_framing"),
        (Fault::BytesBehindBody, "http_framing"),
        (Fault::NotHttp, "http_framing"),
    ] {
        let outcome = over_http(fault, &[]);
        assert_eq!(outcome.violations(), [kind], "{fault:?} {outcome:?}");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}

#[test]
fn claims_change_what_is_a_violation() {
    assert_right(&over_udp(Fault::SeedForSeed, &["--seeds-to-seeds"]));
    let fewer = over_udp(Fault::AtMostFivePeers, &[]);
    assert_eq!(fewer.violations(), ["too_few_peers"], "{fewer:?}");
    let claimed = over_udp(Fault::AtMostFivePeers, &["--max-peers", "5"]);
    assert_eq!((claimed.violations(), claimed.code), (vec![], Some(0)), "{claimed:?}");
}

#[test]
fn errors_are_counted_and_reported() {
    for (fault, count, text) in [
        (Fault::Refusal, "/fill/errors/refused", "not today"),
        (Fault::Status, "/fill/errors/http_status", "503"),
        (Fault::ClosedEarly, "/fill/errors/connection", "reset"),
    ] {
        let outcome = over_http(fault, &[]);
        assert_eq!(outcome.number(count), 90.0, "{outcome:?}");
        assert!(outcome.text("/fill/first_error").contains(text), "{outcome:?}");
        // Nobody has arrived who could announce again.
        assert!(outcome.json.pointer("/steady").unwrap().is_null(), "{outcome:?}");
        assert_eq!((outcome.violations(), outcome.code), (vec![], Some(1)), "{outcome:?}");
    }
    let outcome = over_udp(Fault::Refusal, &[]);
    assert!(outcome.number("/steady/errors/refused") > 100.0, "{outcome:?}");
    assert!(outcome.text("/steady/first_error").contains("not today"), "{outcome:?}");
}

#[test]
fn lost_packets_are_sent_again() {
    let outcome = over_udp(Fault::LostPackets, &[]);
    assert_right(&outcome);
    assert!(outcome.number("/steady/retransmits") > 0.0, "{outcome:?}");
}

#[test]
fn connections_that_the_tracker_closes_are_opened_again() {
    let outcome = over_http(Fault::ClosesIdle, &["--connection", "keep-alive"]);
    assert_right(&outcome);
    assert!(outcome.number("/steady/connects") > 10.0, "{outcome:?}");
}

#[test]
fn only_peers_with_a_connection_announce_if_there_are_more_addresses() {
    let tracker = HttpTracker::start("127.0.0.1:0", Fault::None);
    let fill = simulate(&tracker.url(), &["--peers", "90", "--torrents", "3", "--sources", "30", "--fill-only"]);
    assert_eq!((fill.code, fill.number("/fill/requests")), (Some(0), 90.0), "{fill:?}");
    let kept = ["--connection", "keep-alive", "--concurrency", "4", "--sources", "30", "--skip-fill"];
    let steady = simulate(&tracker.url(), &[&ARGUMENTS[..], &kept].concat());
    assert_eq!((steady.violations(), steady.code), (vec![], Some(0)), "{steady:?}");
    assert_eq!([steady.number("/steady/announces"), steady.number("/steady/connects")], [600.0, 4.0], "{steady:?}");
}

#[test]
fn peers_that_stop_come_back_without_a_connect() {
    let arguments = ["--peers", "90", "--torrents", "3", "--announces", "600", "--completed", "10", "--stopped", "10"];
    let tracker = UdpTracker::start("127.0.0.1:0", Fault::None);
    let udp = simulate(&tracker.url(), &arguments);
    assert_right(&udp);
    assert_eq!(udp.number("/steady/connects"), 0.0, "{udp:?}");
    assert_right(&simulate(&HttpTracker::start("127.0.0.1:0", Fault::None).url(), &arguments));
}

#[test]
fn a_run_can_continue_an_earlier_one() {
    let tracker = UdpTracker::start("127.0.0.1:0", Fault::None);
    let fill = simulate(&tracker.url(), &["--peers", "90", "--torrents", "3", "--fill-only"]);
    assert_eq!((fill.code, fill.number("/fill/requests")), (Some(0), 90.0), "{fill:?}");
    assert!(fill.json.pointer("/steady").unwrap().is_null(), "{fill:?}");
    let steady = simulate(&tracker.url(), &[&ARGUMENTS[..], &["--skip-fill"]].concat());
    assert_eq!((steady.violations(), steady.code), (vec![], Some(0)), "{steady:?}");
    assert_eq!(steady.number("/steady/announces"), 600.0, "{steady:?}");
    // The tracker has all of them, from the first announce on.
    assert!(steady.number("/steady/peers_per_answer_mean") > 5.0, "{steady:?}");
}
