//! The cost of the UDP adapter without a socket: from a datagram to its answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use benches::{KEY, sample, shards};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tracker_core::{AnnounceRequest, Shards};
use tracker_host::Clock;
use tracker_udp::{Action, Adapter, Announce, Request, UdpConfig};

const TORRENTS: u32 = 1_000;

/// A datagram with its source and its destination address.
struct Datagram {
    remote: SocketAddr,
    local: IpAddr,
    bytes: Vec<u8>,
}

impl Datagram {
    fn new(from: &AnnounceRequest, request: &Request<'_>) -> Self {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        Self { remote: (from.remote(), from.port).into(), local: from.local(), bytes }
    }
}

fn connect(c: &mut Criterion) {
    let datagrams: Vec<_> =
        sample(TORRENTS, 0..100).iter().map(|from| Datagram::new(from, &Request::connect(7))).collect();
    answer(c, BenchmarkId::from_parameter("connect"), 1, &adapter(&shards(1, 1)), &datagrams);
}

fn announce(c: &mut Criterion) {
    for (layout, torrents, peers) in [("one swarm of 100,000", 1, 100_000), ("1,000 swarms of 100", TORRENTS, 100)] {
        let adapter = adapter(&shards(torrents, peers));
        let datagrams: Vec<_> = sample(torrents, 0..peers)
            .iter()
            .map(|from| {
                let action = Action::Announce(Announce {
                    info_hash: from.info_hash,
                    peer_id: from.peer_id,
                    downloaded: from.downloaded,
                    left: from.left.unwrap_or_default(),
                    uploaded: from.uploaded,
                    event: 0,
                    ip: Ipv4Addr::UNSPECIFIED,
                    key: KEY,
                    num_want: 50,
                    port: from.port,
                    // The path of the tracker's URL, as libtorrent sends it.
                    options: b"\x02\x09/announce",
                });
                Datagram::new(from, &proven(&adapter, from, action))
            })
            .collect();
        answer(c, BenchmarkId::new("announce", layout), 1, &adapter, &datagrams);
    }
}

fn scrape(c: &mut Criterion) {
    let adapter = adapter(&shards(TORRENTS, 10));
    let askers = sample(TORRENTS, 0..10);
    for count in [1, 74] {
        let datagrams: Vec<_> = askers
            .windows(count)
            .map(|askers| {
                let asked: Vec<[u8; 20]> = askers.iter().map(|asker| *asker.info_hash.as_bytes()).collect();
                Datagram::new(&askers[0], &proven(&adapter, &askers[0], Action::Scrape(&asked)))
            })
            .collect();
        answer(c, BenchmarkId::new("scrape", count), count, &adapter, &datagrams);
    }
}

fn answer(c: &mut Criterion, id: BenchmarkId, elements: usize, adapter: &Adapter, datagrams: &[Datagram]) {
    let (mut datagrams, mut out) = (datagrams.iter().cycle(), Vec::new());
    let mut group = c.benchmark_group("answer");
    group.throughput(Throughput::Elements(elements as u64));
    group.bench_function(id, |b| {
        b.iter(|| {
            let Datagram { remote, local, bytes } = datagrams.next().expect("a cycle has no end");
            out.clear();
            adapter.answer(*remote, *local, bytes, &mut out);
            // Not dropped, and no error.
            assert!(out.len() >= 16 && out[3] == bytes[11]);
        });
    });
}

fn adapter(shards: &Arc<Shards>) -> Adapter {
    Adapter::new(Arc::clone(shards), Clock::start(), UdpConfig::default()).expect("the defaults are valid")
}

/// A request from a client that has just received its connection id.
fn proven<'a>(adapter: &Adapter, from: &AnnounceRequest, action: Action<'a>) -> Request<'a> {
    let (connect, mut answer) = (Datagram::new(from, &Request::connect(7)), Vec::new());
    adapter.answer(connect.remote, connect.local, &connect.bytes, &mut answer);
    let connection_id = answer.last_chunk().copied().map(u64::from_be_bytes).expect("a connect request is answered");
    Request { connection_id, transaction_id: 8, action }
}

criterion_group!(benches, connect, announce, scrape);
criterion_main!(benches);
