//! The name of the page on the LAN, as other machines resolve it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use socket2::SockRef;

use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::network::Lan;
use crate::support::program::Program;
use crate::support::wait::wait_for;

/// The timeout of all steps.
const PATIENCE: Duration = Duration::from_secs(15);

/// The time in which a machine on the LAN answers a query.
const ANSWER: Duration = Duration::from_secs(1);

/// The port of the dashboard.
const DASHBOARD: u16 = 6970;

/// Types of records: addresses of IPv4 and IPv6, a service's host, and what there is not.
const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const NSEC: u16 = 47;

#[test]
#[ignore = "needs root and network namespaces"]
fn the_page_is_found_by_a_name_that_no_other_machine_has() {
    let lan = Lan::new("name", &["ip", "setpriv"]);
    let [first, second, viewer] = ["first", "second", "viewer"].map(|name| lan.host(name));
    let _first_tracker = start(&first);
    wait_for_name(&first, "tracker.local");
    let _second_tracker = start(&second);
    let line = wait_for_name(&second, "tracker-2.local");
    let text = line["message"].as_str().unwrap_or_default();
    assert!(text.contains("another machine has the name tracker.local") && text.contains("tracker-2.local"), "{text}");

    for (name, address) in [("tracker.local", first.address), ("tracker-2.local", second.address)] {
        assert_eq!(query(&viewer, name, A), [(A, address.octets().to_vec())], "{name}");
        let types: Vec<_> = query(&viewer, name, AAAA).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(types, [NSEC], "{name} has no IPv6 address, and that is said");
    }
    for (name, label) in [("tracker._http._tcp.local", "tracker"), ("tracker-2._http._tcp.local", "tracker-2")] {
        let answers = query(&viewer, name, SRV);
        let (_, service) = answers.iter().find(|(kind, _)| *kind == SRV).expect("the service is announced");
        assert_eq!(service[4..6], DASHBOARD.to_be_bytes());
        let host = [&[label.len() as u8], label.as_bytes()].concat();
        assert!(service[6..].starts_with(&host), "{name} is at the host of that name: {service:?}");
    }

    for (machine, host, status) in [
        (&first, "tracker.local:6970", 200),
        (&second, "tracker-2.local:6970", 200),
        (&first, "tracker-2.local:6970", 403),
        (&second, "tracker.local:6970", 403),
    ] {
        assert_eq!(page_status(&viewer, machine.address, host), status, "{host} at {}", machine.address);
    }

    // The name follows the machine to another address.
    first.ip(&["address", "delete", &format!("{}/24", first.address), "dev", "eth0"]);
    let address = Ipv4Addr::new(10, 77, 0, 99);
    first.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]);
    wait_for("the name to lead to the new address", PATIENCE, || {
        let answers = query(&viewer, "tracker.local", A);
        ensure!(answers == [(A, address.octets().to_vec())], "{answers:?}");
        ensure!(page_status(&viewer, address, "tracker.local:6970") == 200, "the page does not answer to it");
        Ok(())
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn the_name_is_one_that_is_free_in_all_networks() {
    let lan = Lan::new("names", &["ip", "setpriv"]);
    lan.add_network(1);
    let [other, machine] = ["other", "machine"].map(|name| lan.host(name));
    let mut viewer = lan.host_in(1, "viewer");
    let second = lan.connect(&machine, 1, "eth1");
    let _other = start(&other);
    wait_for_name(&other, "tracker.local");
    let _tracker = start(&machine);
    wait_for_name(&machine, "tracker-2.local");
    assert_eq!(log_lines(&machine, "page_name_taken").len(), 1, "it never had the first name");
    let of_name =
        |viewer: &Host, name| query(viewer, name, A).into_iter().map(|(_, address)| address).collect::<Vec<_>>();
    assert_eq!(of_name(&viewer, "tracker-2.local"), [second.octets()], "the address in the viewer's network");
    assert_eq!(of_name(&viewer, "tracker.local"), [[0; 4]; 0], "it is the other machine's, in the other network");
    viewer.address = lan.connect(&viewer, 0, "eth1");
    assert_eq!(of_name(&viewer, "tracker-2.local"), [machine.address.octets()]);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_a_name_and_without_the_port_the_page_has_its_address_only() {
    let lan = Lan::new("no-name", &["ip", "setpriv"]);
    let [unnamed, busy, viewer] = ["unnamed", "busy", "viewer"].map(|name| lan.host(name));
    let _unnamed = run(&unnamed, "--mdns=");
    // A program that shares the port with nobody.
    let _socket = busy.on(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 5353))).expect("the port is free");
    let _busy = start(&busy);
    let lines = wait_for("a line in the log", PATIENCE, || {
        let lines = log_lines(&busy, "page_name_not_taken");
        ensure!(!lines.is_empty(), "there is none");
        Ok(lines)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let text = lines[0]["message"].as_str().unwrap_or_default();
    assert!(text.contains("5353") && text.contains("--mdns="), "{text}");
    for machine in [&unnamed, &busy] {
        wait_for("the page", PATIENCE, || {
            let status = page_status(&viewer, machine.address, &format!("{}:{DASHBOARD}", machine.address));
            ensure!(status == 200, "{status}");
            Ok(())
        });
        assert_eq!(page_status(&viewer, machine.address, "tracker.local:6970"), 403);
    }
    assert_eq!(query(&viewer, "tracker.local", A), []);
}

/// A tracker with the default name.
fn start(host: &Host) -> Program {
    run(host, "--mdns=tracker")
}

fn run(host: &Host, mdns: &str) -> Program {
    host.run(env!("CARGO_BIN_EXE_tracker"), &["--log-format", "json", "--data", "none", mdns])
}

/// Waits until the tracker on this host says that it has this name, and returns the line.
fn wait_for_name(host: &Host, name: &str) -> Value {
    wait_for("the name to be taken", PATIENCE, || {
        let mut lines = log_lines(host, "page_name_taken");
        let line = lines.pop().context("no name is taken")?;
        ensure!(line["name"] == name, "{line}");
        Ok(line)
    })
}

/// The lines of the tracker's log with this event.
fn log_lines(host: &Host, event: &str) -> Vec<Value> {
    let log = fs::read_to_string(host.folder.join("tracker.log")).unwrap_or_default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == event).collect()
}

/// The status of the dashboard's answer to a request for this host; 0 if there is none.
fn page_status(viewer: &Host, address: Ipv4Addr, host: &str) -> u16 {
    let request = Request { headers: &[("Host", host)], ..Request::get("/") };
    viewer.request(SocketAddrV4::new(address, DASHBOARD), &request).map_or(0, |response| response.status)
}

/// Asks all machines on the LAN for records, as a simple resolver does, and returns type and data of those in the first answer.
fn query(from: &Host, name: &str, kind: u16) -> Vec<(u16, Vec<u8>)> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    let question = labels.chain([0]).chain(kind.to_be_bytes()).chain([0, 1]);
    let message: Vec<u8> = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0].into_iter().chain(question).collect();
    let socket = from.on(|| UdpSocket::bind((from.address, 0))).expect("a port is free");
    SockRef::from(&socket).set_multicast_if_v4(&from.address).expect("the host has an interface");
    socket.set_read_timeout(Some(ANSWER)).expect("a timeout can be set");
    socket.send_to(&message, (Ipv4Addr::new(224, 0, 0, 251), 5353)).expect("the group can be sent to");
    let mut answer = [0; 9000];
    let Ok((length, _)) = socket.recv_from(&mut answer) else { return Vec::new() };
    records(&answer[..length]).expect("it is an answer")
}

/// Type and data of the records in a message.
fn records(message: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let count = |at: usize| Some(usize::from(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?)));
    let mut at = 12;
    for _ in 0..count(4)? {
        at = after_name(message, at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..count(6)? + count(8)? + count(10)? {
        at = after_name(message, at)?;
        let (kind, length) = (count(at)? as u16, count(at + 8)?);
        records.push((kind, message.get(at + 10..at + 10 + length)?.to_vec()));
        at += 10 + length;
    }
    Some(records)
}

/// Where a name ends that begins there: with an empty label, or with a pointer to another name.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}
