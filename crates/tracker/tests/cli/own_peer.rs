//! The tracker's own peer: it is there unless it is switched off, and its port is not needed.

use std::net::SocketAddr;

use serde_json::Value;

use crate::INFO_HASH;
use crate::client::{announce, get};
use crate::dashboard::observed_with;
use crate::running::Tracker;

#[test]
fn it_is_there_unless_it_is_switched_off() {
    for (flags, variables, is_there) in [
        (&[][..], &[][..], true),
        (&["--peer=false"], &[], false),
        (&["--lean"], &[], false),
        (&[], &[("TRACKER_PEER", "false")], false),
        (&["--peer"], &[("TRACKER_PEER", "false")], true),
    ] {
        let tracker = observed_with(variables, flags);
        let answer = get(tracker.dashboard, "/api/v1/status");
        let (_, status) = answer.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(status).unwrap();
        assert_eq!(status["own_peer"].is_object(), is_there, "{flags:?} {variables:?}: {status}");
    }
}

#[test]
fn the_second_tracker_on_a_machine_names_the_first_and_goes_on() {
    let start = |peer_listen, level| {
        let listen = ["--listen", "127.0.0.1:0", "--peer-listen", peer_listen];
        Tracker::start(&[&listen[..], &["--log-format", "json", "--log-level", level]].concat())
    };
    let address = |tracker: &Tracker, message| -> SocketAddr {
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains(message))).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    };
    let first = start("127.0.6.5:0", "debug");
    let taken = address(&first, "the own peer listens").to_string();
    let second = start(&taken, "info");
    let clients = address(&second, "\"listening\"");
    let warning = second.log.wait_for(|line| line.contains("\"WARN\""));
    assert!(warning.contains(&taken) && warning.contains("goes on without listening"), "{warning}");
    assert!(warning.contains("choose another port with --peer-listen"), "{warning}");
    if cfg!(target_os = "linux") {
        assert!(warning.contains(&format!("tracker (process {})", first.child.id())), "{warning}");
    }
    announce(clients, INFO_HASH, 6881, 10, "started");
}

#[test]
fn the_page_says_where_it_listens_and_if_not_what_to_do() {
    let first = observed_with(&[], &["--peer-listen", "127.0.6.6:0"]);
    let page = get(first.dashboard, "/manage/tracker");
    let (_, own_peer) = page.split_once("<dt>Own peer</dt><dd>Port ").expect(&page);
    let (port, _) = own_peer.split_once(", TCP").expect(&page);
    let second = observed_with(&[], &["--peer-listen", &format!("127.0.6.6:{port}")]);
    let page = get(second.dashboard, "/manage/tracker");
    assert!(page.contains(&format!("Not listening: cannot listen on 127.0.6.6:{port}: ")), "{page}");
    assert!(page.contains("choose another port with --peer-listen"), "{page}");
}
