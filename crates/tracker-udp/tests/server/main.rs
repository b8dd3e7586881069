//! The server, over loopback.
//!
//! Nothing here waits for a time to pass: a client that is to get nothing asks something more, and only that is answered.

mod client;
#[cfg(target_os = "linux")]
mod multi_homed;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracker_core::{Config, Shards};
use tracker_udp::{Action, Announce, MAX_SCRAPE_HASHES, Request, Server, all_addresses};

use crate::client::Client;
use crate::support::{INFO_HASH, adapter, announce, datagram};

/// A minute for what takes milliseconds, on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(60);

struct Running {
    shards: Arc<Shards>,
    addresses: Vec<SocketAddr>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(addresses: &[&str], threads: usize) -> Self {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let (shards, adapter) = adapter(Config::default(), threads);
        Self::run(shards, Server::bind(&addresses, adapter).unwrap())
    }

    fn run(shards: Arc<Shards>, server: Server) -> Self {
        let addresses = server.local_addrs().to_vec();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async { _ = stopped.await }));
        Self { shards, addresses, stop, ended }
    }

    /// Its port at another address.
    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.addresses[0].port())
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time(self.ended).await.unwrap().unwrap();
    }
}

/// Fails what would hang.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it takes too long")
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_meet_over_ipv4() {
    let running = Running::start(&["127.0.0.1:0"], 2);
    let to = running.addresses[0];
    assert_eq!(Client::new("127.0.0.2", to).announce(announce(1, 6881)), b"\0\0\0\x3c\0\0\0\x01\0\0\0\0");
    assert_eq!(
        Client::new("127.0.0.3", to).announce(announce(2, 6882)),
        b"\0\0\0\x3c\0\0\0\x02\0\0\0\0\x7f\0\0\x02\x1a\xe1"
    );
    running.stop().await;
}

/// Not those to clients that only connect.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_each_answer_is_counted() {
    let (shards, adapter) = adapter(Config::default(), 2);
    let running = Running::run(shards, Server::bind(&["127.0.0.1:0".parse().unwrap()], adapter.clone()).unwrap());
    let client = Client::new("127.0.0.2", running.addresses[0]);
    for port in 1..=3 {
        client.announce(announce(1, port));
    }
    client.send(&datagram(client.connect(), 79, Action::Scrape(&[INFO_HASH])));
    client.receive();
    running.stop().await;
    let counts = adapter.answer_times().counts();
    assert_eq!(counts.total(), 4, "{counts:?}");
    assert!(counts.within(1.0).is_some_and(|time| time < DEADLINE), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_meet_over_ipv6() {
    let running = Running::start(&["[::1]:0"], 2);
    let to = running.addresses[0];
    Client::new("::1", to).announce(announce(1, 6881));
    let answer = Client::new("::1", to).announce(announce(2, 6882));
    assert_eq!(answer, b"\0\0\0\x3c\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_have_one_port() {
    let (shards, adapter) = adapter(Config::default(), 1);
    let server = loop {
        // Free in the one family, and for the moment.
        let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        match Server::bind(&all_addresses(port), adapter.clone()) {
            Ok(server) => break server,
            Err(error) => assert_eq!(error.source.kind(), ErrorKind::AddrInUse),
        }
    };
    let running = Running::run(shards, server);
    Client::new("127.0.0.1", running.at("127.0.0.1")).announce(announce(1, 6881));
    let answer = Client::new("::1", running.at("::1")).announce(announce(2, 6882));
    assert_eq!(answer, b"\0\0\0\x3c\0\0\0\x02\0\0\0\0");
    running.stop().await;
}

/// The client takes answers from the address that it asked, and from no other.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_from_the_address_that_was_asked() {
    let running = Running::start(&["0.0.0.0:0"], 2);
    for ip in ["127.0.0.1", "127.0.0.2", "127.99.98.97"] {
        Client::new("127.0.0.5", running.at(ip)).announce(announce(1, 6881));
    }
    running.stop().await;
}

/// Some of them in one batch.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test(flavor = "multi_thread")]
async fn requests_to_several_addresses_are_distinguished() {
    let running = Running::start(&["0.0.0.0:0"], 1);
    let clients = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|ip| Client::new("127.0.0.5", running.at(ip)));
    let id = clients[0].connect();
    for round in 0..100 {
        for client in &clients {
            client.send(&datagram(id, round, Action::Scrape(&[INFO_HASH])));
        }
    }
    for client in &clients {
        for round in 0..100_u32 {
            assert_eq!(client.receive()[..8], [2_u32.to_be_bytes(), round.to_be_bytes()].concat());
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_may_have_74_hashes() {
    let running = Running::start(&["127.0.0.1:0"], 1);
    let client = Client::new("127.0.0.1", running.addresses[0]);
    client.announce(announce(1, 6881));
    let id = client.connect();
    for (asked, told) in [(1, 1), (MAX_SCRAPE_HASHES, 74), (MAX_SCRAPE_HASHES + 1, 74), (3000, 74)] {
        client.send(&datagram(id, 5, Action::Scrape(&vec![INFO_HASH; asked])));
        let expected = [b"\0\0\0\x02\0\0\0\x05".to_vec(), b"\0\0\0\0\0\0\0\0\0\0\0\x01".repeat(told)].concat();
        assert_eq!(client.receive(), expected, "{asked}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_ids_and_garbage_are_dropped() {
    let running = Running::start(&["127.0.0.1:0"], 1);
    let client = Client::new("127.0.0.1", running.addresses[0]);
    let of_another = Client::new("127.0.0.2", running.addresses[0]).connect();
    let before = Running::start(&["127.0.0.1:0"], 1);
    let of_another_run = Client::new("127.0.0.1", before.addresses[0]).connect();
    before.stop().await;

    let id = client.connect();
    let valid = datagram(id, 9, Action::Announce(announce(1, 6881)));
    let mut dropped: Vec<Vec<u8>> =
        [0, id ^ 1, of_another, of_another_run].map(|id| datagram(id, 9, Action::Announce(announce(1, 6881)))).into();
    dropped.extend((0..valid.len()).map(|length| valid[..length].to_vec()));
    dropped.push(datagram(id, 9, Action::Connect));
    dropped.push([&valid[..8], &[0, 0, 0, 9], &valid[12..]].concat());
    for (number, dropped) in dropped.into_iter().enumerate() {
        client.send(&dropped);
        client.send(&datagram(id, 10, Action::Scrape(&[INFO_HASH])));
        // Nobody has announced: not even what was not answered counts.
        let expected = b"\0\0\0\x02\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(client.receive(), expected, "{number}: {}", dropped.escape_ascii());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_longer_packets_are_taken() {
    let running = Running::start(&["127.0.0.1:0"], 1);
    let client = Client::new("127.0.0.1", running.addresses[0]);
    let long = vec![7; 9000];
    for options in [b"\x02\x0f/announce?key=1".as_slice(), b"\x02\x07/scrape\x00", b"\x02\xff", b"\x09", &long] {
        assert_eq!(client.announce(Announce { options, ..announce(1, 6881) }), b"\0\0\0\x3c\0\0\0\x01\0\0\0\0");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_frees_the_port() {
    let mut address = "127.0.0.1:0".to_owned();
    for _ in 0..3 {
        let running = Running::start(&[&address], 3);
        address = running.addresses[0].to_string();
        Client::new("127.0.0.1", running.addresses[0]).announce(announce(1, 6881));
        running.stop().await;
        // Any other program could have it now.
        UdpSocket::bind(&address).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_frees_the_port() {
    let running = Running::start(&["127.0.0.1:0"], 2);
    let client = Client::new("127.0.0.1", running.addresses[0]);
    client.announce(announce(1, 6881));
    running.ended.abort();
    in_time(async {
        while UdpSocket::bind(running.addresses[0]).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_an_error() {
    let running = Running::start(&["127.0.0.1:0"], 2);
    let refused = Server::bind(&running.addresses, adapter(Config::default(), 1).1).unwrap_err();
    assert_eq!((refused.address, refused.source.kind()), (running.addresses[0], ErrorKind::AddrInUse));
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = Server::bind(&[other.local_addr().unwrap()], adapter(Config::default(), 1).1).unwrap_err();
    assert_eq!(refused.source.kind(), ErrorKind::AddrInUse);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_gone_affects_no_other() {
    let running = Running::start(&["127.0.0.1:0"], 1);
    let client = Client::new("127.0.0.1", running.addresses[0]);
    for _ in 0..100 {
        // Its answer finds a closed port, of which the system may tell the server.
        let mut connect = Vec::new();
        Request::connect(1).encode(&mut connect);
        Client::new("127.0.0.1", running.addresses[0]).send(&connect);
        client.announce(announce(1, 6881));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_of_many_threads_are_all_answered() {
    let running = Running::start(&["127.0.0.1:0"], 8);
    let to = running.addresses[0];
    let clients: Vec<_> = (0..8_u8)
        .map(|client| {
            tokio::task::spawn_blocking(move || {
                let mut seen = HashSet::new();
                for peer in 0..50 {
                    // Another socket for each, which the system gives to another thread.
                    let socket = Client::new(&format!("127.0.{client}.{}", peer + 1), to);
                    let answer = socket.announce(Announce { num_want: 0, ..announce(peer, 6881) });
                    assert_eq!(answer.len(), 12);
                    seen.insert(socket.local_addr());
                }
                seen.len()
            })
        })
        .collect();
    for client in clients {
        assert_eq!(in_time(client).await.unwrap(), 50);
    }
    assert_eq!(running.shards.totals().peers(), 400);
    running.stop().await;
}
