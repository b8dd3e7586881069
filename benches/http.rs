//! The cost of the HTTP adapter without a socket: parsing a query, encoding an answer, and both with the core in between.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use benches::{KEY, request, sample, shards};
use bencode::Encoder;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tracker_core::{AnnounceRequest, AnnounceResponse, PeerEntry, Peers, SwarmCounts};
use tracker_host::Clock;
use tracker_http::{Adapter, AnnounceQuery, HttpConfig, PeerFormat, encode_announce};

/// Queries of real clients for the torrent 3500292f2881c52a3c672db7c77db1f60426c65f, each with its own order and escapes.
const QUERIES: [(&str, &str); 7] = [
    (
        "libtorrent",
        "info_hash=5%00)%2f(%81%c5*%3cg-%b7%c7%7d%b1%f6%04%26%c6_&peer_id=-LT2110-y1Cq1XLu0!h)&port=6881&uploaded=0\
         &downloaded=0&left=52428800&corrupt=0&key=E0B55AB7&event=started&numwant=200&compact=1&no_peer_id=1\
         &supportcrypto=1&redundant=0",
    ),
    (
        "Transmission",
        "info_hash=5%00%29%2f%28%81%c5%2a%3cg-%b7%c7%7d%b1%f6%04%26%c6_&peer_id=-TR3000-4kq0wz1n9xrd&port=51413\
         &uploaded=0&downloaded=0&left=52428800&numwant=80&key=7e0b977&compact=1&supportcrypto=1&event=started",
    ),
    (
        "aria2",
        "info_hash=5%00%29%2F%28%81%C5%2A%3Cg%2D%B7%C7%7D%B1%F6%04%26%C6%5F&peer_id=A2-1-36-0-%0F%F4%00%FFabc%7E%26%3D\
         &uploaded=0&downloaded=0&left=52428800&compact=1&key=%B6%7D%E3O%00%91%AA%02&numwant=50&no_peer_id=1&port=6989\
         &event=started&supportcrypto=1",
    ),
    (
        "rTorrent",
        "info_hash=5%00%29%2F%28%81%C5%2A%3Cg%2D%B7%C7%7D%B1%F6%04%26%C6%5F\
         &peer_id=%2DlT0D80%2D%1F%00%8B%C3%A1%9D%EE%07%5B%0C%F0%11&key=4f1c2b0a&compact=1&port=6963&uploaded=0\
         &downloaded=0&left=52428800&event=started",
    ),
    (
        "WebTorrent",
        "numwant=50&uploaded=0&downloaded=0&left=52428800&event=started&compact=1\
         &info_hash=5%00)%2F(%81%C5*%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-WW0208-Kd92hfUe72jX&port=6881",
    ),
    (
        "ctorrent",
        "info_hash=5%00%29%2F%28%81%C5%2A%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-CD0303-%D1%A2%03zK%9E%10Q%C7%5DX%2E\
         &port=2706&uploaded=0&downloaded=0&left=52428800&compact=1&event=started&numwant=100&key=E2T4DAX0",
    ),
    (
        "rqbit",
        "info_hash=5%00%29%2F%28%81%C5%2A%3Cg-%B7%C7%7D%B1%F6%04%26%C6_&peer_id=-rQ9010-abcdefghijkl&event=started\
         &port=4240&uploaded=0&downloaded=0&left=52428800&compact=1&no_peer_id=1&key=3735928559",
    ),
];

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (client, query) in QUERIES {
        group.throughput(Throughput::Bytes(query.len() as u64));
        group.bench_function(client, |b| {
            b.iter(|| AnnounceQuery::parse(black_box(query.as_bytes())).expect("real clients are understood"));
        });
    }
}

fn encode(c: &mut Criterion) {
    let counts = SwarmCounts { seeders: 12, leechers: 345, partial_seeds: 0, completed: 67 };
    let response = AnnounceResponse::new(Duration::from_secs(900), Duration::from_secs(450), counts);
    let mut encoder = Encoder::new();
    let formats = [
        ("compact", PeerFormat::Compact),
        ("dictionary", PeerFormat::Dictionary),
        ("dictionary, no peer id", PeerFormat::DictionaryNoPeerId),
    ];
    for (name, format) in formats {
        let mut group = c.benchmark_group(format!("encode/{name}"));
        for count in [50, 200] {
            let peers = peers(count, format);
            group.throughput(Throughput::Elements(count.into()));
            group.bench_function(BenchmarkId::new("peers", count), |b| {
                b.iter(|| encode_announce(black_box(&response), black_box(&peers), format, &mut encoder).len());
            });
        }
    }
}

/// A regular announce in one of a thousand swarms, and a scrape of one of them.
fn adapter(c: &mut Criterion) {
    const TORRENTS: u32 = 1_000;
    const PEERS: u32 = 100;
    let adapter =
        Adapter::new(shards(TORRENTS, PEERS), Clock::start(), HttpConfig::default()).expect("the defaults are valid");
    let requests = sample(TORRENTS, 0..PEERS);
    let mut group = c.benchmark_group("adapter");
    group.throughput(Throughput::Elements(1));
    for (name, format) in [("compact", "compact=1"), ("dictionary", "compact=0")] {
        let queries: Vec<_> = requests.iter().map(|request| (request, query(request, format))).collect();
        let mut queries = queries.iter().cycle();
        let mut answer = Vec::new();
        group.bench_function(BenchmarkId::new("announce", name), |b| {
            b.iter(|| {
                let (request, query) = queries.next().expect("a cycle has no end");
                answer.clear();
                adapter.announce_into(request.remote(), request.local(), None, query, &mut answer);
                assert!(answer.starts_with(b"d8:complete"));
            });
        });
    }
    let scrapes: Vec<(IpAddr, String)> = requests
        .iter()
        .map(|request| {
            (request.remote(), format!("info_hash={}", percent_encode(request.info_hash.as_bytes(), NON_ALPHANUMERIC)))
        })
        .collect();
    let mut scrapes = scrapes.iter().cycle();
    group.bench_function("scrape", |b| {
        b.iter(|| {
            let (remote, query) = scrapes.next().expect("a cycle has no end");
            let answer = adapter.scrape(*remote, None, query.as_bytes());
            assert!(answer.starts_with(b"d5:files"));
        });
    });
}

/// The query of a request, in the order of Transmission, with the numwant of the other benches.
fn query(request: &AnnounceRequest, format: &str) -> Vec<u8> {
    let escaped = |bytes| percent_encode(bytes, NON_ALPHANUMERIC);
    format!(
        "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&numwant=50&key={KEY:x}&{format}&supportcrypto=1",
        escaped(request.info_hash.as_bytes()),
        escaped(request.peer_id.as_bytes()),
        request.port,
        request.uploaded,
        request.downloaded,
        request.left.unwrap_or_default(),
    )
    .into_bytes()
}

/// Peers as the core returns them: of both families, with peer ids if the format has them.
fn peers(count: u32, format: PeerFormat) -> Peers {
    let mut peers = Peers::default();
    peers.extend((0..count).map(|peer| request(0, peer)).map(|request| PeerEntry {
        address: (request.remote(), request.port).into(),
        peer_id: Some(request.peer_id).filter(|_| format == PeerFormat::Dictionary),
    }));
    peers
}

criterion_group!(benches, parse, encode, adapter);
criterion_main!(benches);
