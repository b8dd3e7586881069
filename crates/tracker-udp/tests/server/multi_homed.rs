//! A host with several addresses, in network namespaces of its own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{self, Command};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use tokio::sync::oneshot;
use tracker_core::{Access, Config};
use tracker_udp::{Announce, Server, all_addresses};

use crate::client::Client;
use crate::in_time;
use crate::support::{adapter, announce};

const PORT: u16 = 6969;

/// A client, and a tracker's host with two addresses of either family on the wire between them, and one more on an interface
/// that leads elsewhere. All of it is removed when it goes out of scope.
struct Hosts {
    client: String,
    tracker: String,
}

impl Hosts {
    fn new() -> Self {
        assert!(
            geteuid().is_root(),
            "this test makes network namespaces and has to be run by root: sudo -E env \"PATH=$PATH\" cargo test \
             -p tracker-udp --test server -- --ignored"
        );
        let name = |host| format!("tracker-udp-{}-{host}", process::id());
        let hosts = Self { client: name("client"), tracker: name("tracker") };
        let Self { client, tracker } = &hosts;
        for namespace in [client, tracker] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        ip(&["-n", client, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", tracker]);
        ip(&["-n", tracker, "link", "add", "eth1", "type", "veth", "peer", "name", "far"]);
        for (namespace, interface, addresses) in [
            (client, "eth0", &["10.77.0.9/24", "fd77::9/64"][..]),
            (tracker, "eth0", &["10.77.0.1/24", "10.77.0.2/24", "fd77::1/64", "fd77::2/64"]),
            (tracker, "eth1", &["10.78.0.1/24", "fd78::1/64"]),
        ] {
            ip(&["-n", namespace, "link", "set", interface, "up"]);
            for address in addresses {
                // Not waiting until it is known that nobody else has it, which only IPv6 does.
                let at_once = if address.contains(':') { &["nodad"][..] } else { &[] };
                ip(&[&["-n", namespace, "address", "add", address, "dev", interface], at_once].concat());
            }
        }
        ip(&["-n", client, "route", "add", "10.78.0.0/24", "via", "10.77.0.1"]);
        ip(&["-n", client, "route", "add", "fd78::/64", "via", "fd77::1"]);
        hosts
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for namespace in [&self.client, &self.tracker] {
            // Its interfaces go with it.
            _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), error.trim());
}

/// Does something on a host: sockets made by `work` are sockets of that host.
fn on<T: Send>(host: &str, work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        let namespace = File::open(format!("/run/netns/{host}")).expect("the namespace exists");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("it can be entered");
        work()
    };
    thread::scope(|scope| scope.spawn(inside).join()).expect("the work is done")
}

/// The client takes answers from the address that it asked, and from no other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for network namespaces"]
async fn a_host_with_several_addresses_answers_from_the_one_that_was_asked() {
    let hosts = Hosts::new();
    let config = Config::default().with(|config| config.access = Access::All);
    let server = on(&hosts.tracker, || Server::bind(&all_addresses(PORT), adapter(config, 2).1).unwrap());
    assert_eq!(server.local_addrs().len(), 2);
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run(async { _ = stopped.await }));

    // One on the tracker's own host, which each asker is to reach as it reached the tracker.
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    on(&hosts.tracker, || Client::new("127.0.0.1", loopback).announce(announce(1, 6881)));

    for address in ["10.77.0.1", "10.77.0.2", "10.78.0.1", "fd77::1", "fd77::2", "fd78::1"] {
        let asked: IpAddr = address.parse().unwrap();
        let from = if asked.is_ipv4() { "10.77.0.9" } else { "fd77::9" };
        let port = 7000;
        let answer = on(&hosts.client, || {
            let client = Client::new(from, SocketAddr::new(asked, PORT));
            let answer = client.announce(announce(2, port));
            client.announce(Announce { event: 3, ..announce(2, port) });
            answer
        });
        let expected = match asked {
            IpAddr::V4(asked) => [asked.octets().as_slice(), &6881_u16.to_be_bytes()].concat(),
            IpAddr::V6(asked) => [asked.octets().as_slice(), &6881_u16.to_be_bytes()].concat(),
        };
        assert_eq!(answer[12..], expected, "{address}");
    }

    stop.send(()).unwrap();
    in_time(ended).await.unwrap().unwrap();
}
