//! Real BitTorrent clients share a file through the `tracker` binary.
//!
//! Every program runs on a host of its own: a network namespace on a bridge that leads nowhere else, made and removed by
//! the test. This needs root, the clients that `.ci/install-clients` installs, and WebTorrent, which `.ci/install-webtorrent`
//! puts into `target`:
//!
//! ```text
//! cargo test -p tracker --test real_clients -- --ignored
//! ```
//!
//! The clients learn of each other from the tracker only: local discovery is off, and so are DHT but in aria2, where it has no
//! entry point, and PEX but where the tracker's own peer is to introduce them. The scenarios run with the clients of Debian 12 and with those of Debian 13, one after another,
//! whatever `--test-threads` says, so that they do not disturb each other's figures.
#![cfg(target_os = "linux")]

mod aria2;
mod beside;
mod busy;
mod crowd;
mod deluge;
mod denied;
mod gives;
mod introductions;
mod libtorrent;
mod magnet;
mod matrix;
mod moves;
mod networks;
mod own_peer;
mod page_name;
mod reasons;
mod remembers;
mod report;
mod rtorrent;
mod scripted;
mod simulated;
#[path = "../support/mod.rs"]
mod support;
mod taker;
mod throughput;
mod tracker;
mod usage;
mod users;
mod web_seed;
mod webtorrent;

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::aria2::Aria2;
use crate::beside::{
    a_newcomer_and_a_seeder_beside_the_own_peer_meet_at_once, a_seeder_beside_the_own_peer_gives_to_one_that_waits,
    each_seeder_beside_the_own_peer_gives_to_each,
};
use crate::deluge::Deluge;
use crate::denied::a_client_that_is_denied_gets_nobody_and_leaves;
use crate::gives::{
    a_client_beside_the_tracker_gives_in_its_place, a_client_beside_the_tracker_gives_in_its_place_to_each,
    a_tracker_that_was_killed_gives_again, each_client_gets_all_from_the_tracker_alone, nobody_gets_a_wrong_byte,
};
use crate::introductions::{clients_that_know_only_the_own_peer_meet, transmission_seeds_to_clients_that_wait};
use crate::libtorrent::Libtorrent;
use crate::magnet::{
    clients_that_wait_for_metadata_get_it_from_a_later_seeder, each_client_downloads_by_a_magnet_link,
};
use crate::networks::{
    a_client_in_a_container_on_the_machine_of_the_tracker_is_reachable,
    a_client_on_the_machine_of_the_tracker_is_reachable_in_each_of_its_networks,
};
use crate::own_peer::{
    a_bare_info_hash_gets_its_name_from_a_peer, a_seeder_behind_a_firewall_is_named_and_found,
    downloads_are_seen_as_they_go_on, each_seeder_behind_a_firewall_is_named_and_found,
};
use crate::reasons::each_client_is_named_with_the_reason;
use crate::remembers::a_tracker_that_was_killed_gives_the_seeder_at_once;
use crate::report::Report;
use crate::rtorrent::RTorrent;
use crate::support::client::{Client, download, finish_download, seed, wait_until_underway};
use crate::support::generation::Generation;
use crate::support::host::Host;
use crate::support::network::Lan;
use crate::support::qbittorrent::QBittorrent;
use crate::support::torrent::{Content, Torrent};
use crate::support::transmission::Transmission;
use crate::support::wait::wait_for;
use crate::tracker::{Counts, Tracker};
use crate::users::clients_announce_with_the_keys_of_their_users;
use crate::web_seed::clients_complete_by_the_web_seed_alone;
use crate::webtorrent::WebTorrent;

const MB: u64 = 1_000_000;

/// The programs that the scenarios need, besides the tracker.
const PROGRAMS: [&str; 10] = [
    "ip",
    "nft",
    "setpriv",
    "sha256sum",
    "qbittorrent-nox",
    "transmission-daemon",
    "aria2c",
    "rtorrent",
    "deluged",
    "node",
];

/// Starts a client on a host.
type Start = fn(&Host) -> Box<dyn Client>;

/// The clients that download, and what their hosts are called.
const LEECHERS: [(&str, Start); 3] = [
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
];

/// The leechers for UDP announce URLs.
const UDP_LEECHERS: [(&str, Start); 3] = [
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start_with_udp(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
];

/// Makes a module of tests that run scenarios with the clients of one generation.
macro_rules! tests {
    ($module:ident, $generation:ident: $($scenario:ident)*) => {
        mod $module {
            $(
                #[test]
                #[ignore = "needs root, network namespaces and .ci/install-clients"]
                fn $scenario() {
                    super::$scenario(super::Generation::$generation);
                }
            )*
        }
    };
}

tests! { debian_12, Debian12:
    qbittorrent_shares_a_file_with_each_client
    a_client_on_the_machine_of_the_tracker_is_reachable_for_the_others
    a_client_on_the_machine_of_the_tracker_is_reachable_in_each_of_its_networks
    a_client_in_a_container_on_the_machine_of_the_tracker_is_reachable
    each_client_downloads_by_a_magnet_link
    clients_that_wait_for_metadata_get_it_from_a_later_seeder
    qbittorrent_shares_a_file_over_udp_with_each_client
    clients_complete_by_the_web_seed_alone
    a_seeder_behind_a_firewall_is_named_and_found
    a_seeder_beside_the_own_peer_gives_to_one_that_waits
    each_client_is_named_with_the_reason
    a_bare_info_hash_gets_its_name_from_a_peer
    scrape_counts_follow_started_completed_and_stopped
    each_client_gets_all_from_the_tracker_alone
    a_client_beside_the_tracker_gives_in_its_place
    a_tracker_that_was_killed_gives_the_seeder_at_once
}

tests! { debian_13, Debian13:
    clients_that_know_only_the_own_peer_meet
    qbittorrent_shares_a_file_with_each_client
    a_client_on_the_machine_of_the_tracker_is_reachable_for_the_others
    a_client_on_the_machine_of_the_tracker_is_reachable_in_each_of_its_networks
    a_client_in_a_container_on_the_machine_of_the_tracker_is_reachable
    each_client_downloads_by_a_magnet_link
    clients_that_wait_for_metadata_get_it_from_a_later_seeder
    qbittorrent_shares_a_file_over_udp_with_each_client
    clients_meet_whether_they_come_by_udp_or_http
    clients_complete_by_the_web_seed_alone
    each_client_is_named_with_the_reason
    a_bare_info_hash_gets_its_name_from_a_peer
    scrape_counts_follow_started_completed_and_stopped
    a_client_that_is_denied_gets_nobody_and_leaves
    clients_announce_with_the_keys_of_their_users
    a_restart_of_the_tracker_in_the_middle_loses_no_download
    each_client_gets_all_from_the_tracker_alone
    nobody_gets_a_wrong_byte
}

// Together with the matrix and the crowd these are for `.ci/nightly`: those that take longer, and those that the gate has with the
// clients of Debian 13.
tests! { nightly, Debian12:
    each_seeder_behind_a_firewall_is_named_and_found
    a_newcomer_and_a_seeder_beside_the_own_peer_meet_at_once
    each_seeder_beside_the_own_peer_gives_to_each
    transmission_seeds_to_clients_that_wait
    clients_that_know_only_the_own_peer_meet
    downloads_are_seen_as_they_go_on
    clients_meet_whether_they_come_by_udp_or_http
    a_restart_of_the_tracker_in_the_middle_loses_no_download
    a_client_beside_the_tracker_gives_in_its_place_to_each
    a_tracker_that_was_killed_gives_again
    nobody_gets_a_wrong_byte
}

tests! { debian_13_nightly, Debian13:
    each_seeder_behind_a_firewall_is_named_and_found
    a_newcomer_and_a_seeder_beside_the_own_peer_meet_at_once
    downloads_are_seen_as_they_go_on
    each_seeder_beside_the_own_peer_gives_to_each
    transmission_seeds_to_clients_that_wait
    a_client_beside_the_tracker_gives_in_its_place_to_each
    a_tracker_that_was_killed_gives_again
    a_tracker_that_was_killed_gives_the_seeder_at_once
}

fn qbittorrent_shares_a_file_with_each_client(generation: Generation) {
    let lan = Lan::new("share", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let content = Content::write(&lan.make_folder("content"), 50 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

    let mut report =
        Report::new(&format!("{generation}: qBittorrent seeds 50 MB, one leecher at a time"), torrent.length());
    for (name, start) in LEECHERS {
        let host = lan.host(name).with(generation);
        let mut leecher = start(&host);
        let transfer = download(&mut *leecher, &torrent);
        leave(&mut *leecher, &tracker, &torrent);
        report.add(leecher.name(), transfer, tracker.announce_latency(&host));
    }
    report.print().expect("the report can be printed");
}

/// Node.js sends `Sec-Fetch-Mode` and `Accept-Language` as browsers do, from which the tracker tells it apart.
#[test]
#[ignore = "needs root, network namespaces, .ci/install-clients and .ci/install-webtorrent"]
fn webtorrent_is_not_taken_for_a_browser() {
    let lan = Lan::new("webtorrent", &PROGRAMS);
    let machine = lan.host("tracker");
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let local_torrent = Torrent::make(&content, "local", &tracker.loopback_url());

    // One on the tracker's own machine, which announces over loopback.
    let mut seeder = WebTorrent::start(&machine);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &local_torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

    let mut report = Report::new("WebTorrent seeds 8 MB over 127.0.0.1, and downloads", torrent.length());
    let host = lan.host("leecher");
    let mut leecher = WebTorrent::start(&host);
    let transfer = download(&mut leecher, &torrent);
    report.add(leecher.name(), transfer, tracker.announce_latency(&host));
    tracker.wait_for_scrape("both to seed", torrent.info_hash(), |counts| counts.complete == 2);
    leave(&mut leecher, &tracker, &torrent);
    report.print().expect("the report can be printed");
}

fn a_client_on_the_machine_of_the_tracker_is_reachable_for_the_others(generation: Generation) {
    let lan = Lan::new("loopback", &PROGRAMS);
    let machine = lan.host("tracker").with(generation);
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 50 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let local_torrent = Torrent::make(&content, "local", &tracker.loopback_url());
    assert_eq!(local_torrent.info_hash(), torrent.info_hash(), "the announce URL is no part of the info-hash");

    let mut seeder = QBittorrent::start(&machine);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &local_torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);
    let seeder_on_the_lan = SocketAddrV4::new(machine.address, QBittorrent::PORT);
    assert_eq!(tracker.peers_told_to(&lan.host("newcomer"), torrent.info_hash()), [seeder_on_the_lan]);

    // The seeder hears of nobody: libtorrent does not announce again for five minutes. They have to dial what they are
    // told.
    let title = "qBittorrent on the tracker's machine seeds 50 MB over 127.0.0.1 (*: a leecher beside it)";
    let mut report = Report::new(&format!("{generation}: {title}"), torrent.length());
    for (name, start) in LEECHERS {
        let host = lan.host(name).with(generation);
        let mut leecher = start(&host);
        let transfer = download(&mut *leecher, &torrent);
        leave(&mut *leecher, &tracker, &torrent);
        report.add(leecher.name(), transfer, tracker.announce_latency(&host));
    }

    // A neighbour of the seeder on the same machine, which announces over loopback, too. Transmission never dials 127.0.0.1.
    let mut neighbour = Transmission::start(&machine);
    let transfer = download(&mut neighbour, &local_torrent);
    report.add("Transmission*", transfer, tracker.announce_latency(&machine));
    report.print().expect("the report can be printed");
}

fn qbittorrent_shares_a_file_over_udp_with_each_client(generation: Generation) {
    let lan = Lan::new("udp", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.udp_url());

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

    let mut report = Report::new(
        &format!("{generation}: qBittorrent seeds 8 MB, all over udp://, one leecher at a time"),
        torrent.length(),
    );
    for (name, start) in UDP_LEECHERS {
        let host = lan.host(name).with(generation);
        let mut leecher = start(&host);
        let transfer = download(&mut *leecher, &torrent);
        leave(&mut *leecher, &tracker, &torrent);
        report.add(leecher.name(), transfer, tracker.announce_latency_over_udp(&host));
    }
    report.print().expect("the report can be printed");
}

fn clients_meet_whether_they_come_by_udp_or_http(generation: Generation) {
    let lan = Lan::new("mixed", &PROGRAMS);
    let machine = lan.host("tracker").with(generation);
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let http = Torrent::make(&content, "http", &tracker.announce_url());
    let udp = Torrent::make(&content, "udp", &tracker.udp_url());
    let local_udp = Torrent::make(&content, "local-udp", &tracker.udp_loopback_url());

    // The seeder announces over loopback by UDP. All others are to have the address at which they can dial it.
    let mut seeder = QBittorrent::start(&machine);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &local_udp);
    tracker.wait_for_scrape("the seeder to be known", http.info_hash(), |counts| counts.complete == 1);
    let seeder_on_the_lan = SocketAddrV4::new(machine.address, QBittorrent::PORT);
    let newcomer = lan.host("newcomer");
    assert_eq!(tracker.peers_told_to(&newcomer, http.info_hash()), [seeder_on_the_lan]);
    assert_eq!(tracker.peers_told_over_udp(&newcomer, http.info_hash()), [seeder_on_the_lan]);

    let mut report = Report::new(&format!("{generation}: 8 MB from UDP to HTTP, and back"), http.length());
    let host = lan.host("rtorrent").with(generation);
    let mut leecher = RTorrent::start(&host);
    let transfer = download(&mut leecher, &http);
    report.add("rTorrent", transfer, tracker.announce_latency(&host));

    // Now the one that came by HTTP is the only one to have it.
    seeder.pause().expect("a client pauses");
    tracker.wait_for_scrape("the seeder to leave", http.info_hash(), |counts| {
        counts == Counts { complete: 1, incomplete: 0, downloaded: 1 }
    });
    let host = lan.host("transmission").with(generation);
    let mut last = Transmission::start(&host);
    let transfer = download(&mut last, &udp);
    report.add("Transmission", transfer, tracker.announce_latency_over_udp(&host));
    tracker.wait_for_scrape("both to seed", http.info_hash(), |counts| counts.complete == 2 && counts.downloaded == 2);
    report.print().expect("the report can be printed");
}

fn scrape_counts_follow_started_completed_and_stopped(generation: Generation) {
    /// Slow enough for a look at a leecher before it has everything, in bytes per second.
    const SLOW: u32 = 100_000;

    let lan = Lan::new("counts", &PROGRAMS);
    let tracker = Tracker::start(&lan.host("tracker"));
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let expect = |what: &str, complete, incomplete, downloaded| {
        let expected = Counts { complete, incomplete, downloaded };
        tracker.wait_for_scrape(what, torrent.info_hash(), |counts| counts == expected);
    };
    expect("an unknown torrent to have no peers", 0, 0, 0);

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    expect("a seeder that started", 1, 0, 0);

    for (before, (name, start)) in (0..).zip(LEECHERS) {
        let mut leecher = start(&lan.host(name).with(generation));
        leecher.limit_download(Some(SLOW)).expect("a client takes a limit");
        let added = Instant::now();
        leecher.add(&torrent).expect("a client takes our torrent");
        expect(&format!("{name}: a leecher that started"), 1, 1, before);
        leecher.limit_download(None).expect("a client takes a limit");
        finish_download(&mut *leecher, &torrent, added);
        expect(&format!("{name}: a leecher that completed"), 2, 0, before + 1);
        leecher.pause().expect("a client pauses");
        expect(&format!("{name}: a peer that stopped"), 1, 0, before + 1);
        leecher.resume().expect("a client resumes");
        expect(&format!("{name}: a seeder that came back"), 2, 0, before + 1);
        leecher.pause().expect("a client pauses");
        expect(&format!("{name}: a peer that stopped again"), 1, 0, before + 1);
    }

    seeder.shut_down().expect("qBittorrent can be shut down");
    expect("a seeder that was shut down", 0, 0, 3);
}

fn a_restart_of_the_tracker_in_the_middle_loses_no_download(generation: Generation) {
    /// Lets the downloads last longer than the restart, in bytes per second.
    const SLOW: u32 = 1_000_000;

    let lan = Lan::new("restart", &PROGRAMS);
    let machine = lan.host("tracker").with(generation);
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 50 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

    let mut seeder = QBittorrent::start(&lan.host("seeder").with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &torrent);
    seeder.limit_upload(Some(SLOW)).expect("qBittorrent takes a limit");
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

    let mut early: [Box<dyn Client>; 2] = [
        Box::new(Aria2::start(&lan.host("aria2").with(generation))),
        Box::new(Transmission::start(&lan.host("transmission").with(generation))),
    ];
    let added = Instant::now();
    for leecher in &mut early {
        leecher.add(&torrent).expect("a client takes our torrent");
    }
    for leecher in &mut early {
        wait_until_underway(&mut **leecher, &torrent);
    }

    // One more wants to join while nobody answers.
    tracker.stop();
    let mut late = RTorrent::start(&lan.host("rtorrent").with(generation));
    let added_late = Instant::now();
    late.add(&torrent).expect("a client takes our torrent");
    wait_for("rTorrent to notice that there is no tracker", Duration::from_secs(60), || {
        anyhow::ensure!(!late.message()?.is_empty(), "nothing");
        Ok(())
    });

    let tracker = Tracker::start(&machine);
    for leecher in &mut early {
        let status = leecher.status().expect("a client tells its status");
        assert!(status.bytes < torrent.length(), "{} was to be in the middle: {status:?}", leecher.name());
    }
    tracker.wait_for_scrape("rTorrent to try again", torrent.info_hash(), |counts| counts.incomplete >= 1);

    // The seeder would come back within five minutes; its user does not wait.
    seeder.reannounce().expect("qBittorrent announces on demand");
    tracker.wait_for_scrape("the seeder to come back", torrent.info_hash(), |counts| counts.complete >= 1);
    seeder.limit_upload(None).expect("qBittorrent takes a limit");

    finish_download(&mut late, &torrent, added_late);
    for leecher in &mut early {
        finish_download(&mut **leecher, &torrent, added);
    }
    tracker.wait_for_scrape("everybody to come back", torrent.info_hash(), |counts| {
        counts.complete == 4 && counts.incomplete == 0
    });
}

/// Has a leecher go, so that the next one has the seeder for itself.
#[track_caller]
fn leave(leecher: &mut dyn Client, tracker: &Tracker, torrent: &Torrent) {
    leecher.pause().expect("a client pauses");
    tracker.wait_for_scrape("the leecher to leave", torrent.info_hash(), |counts| {
        counts.complete == 1 && counts.incomplete == 0
    });
}
