//! The cost of an announce and a scrape in the core: by swarm size, by memory mode, by thread.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use benches::{Embedder, NOW, info_hash, name_of, request, sample, shards};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tracker_core::{
    AnnounceEvent, AnnounceRequest, Config, InfoHash, Memory, PeerState, Peers, Shards, SubnetPreference,
};

const SIZES: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

fn by_swarm_size(c: &mut Criterion) {
    for memory in [Memory::Full, Memory::Lean] {
        for asker in [PeerState::Leecher, PeerState::Seeder] {
            let name = format!("announce/{}/{asker:?}", name_of(memory)).to_lowercase();
            announce(c, &name, asker, &Config::default().with(|config| config.memory = memory));
        }
    }
    let config = Config::default().with(|config| config.prefer_subnet = Some(SubnetPreference::default()));
    announce(c, "announce/prefer_subnet/leecher", PeerState::Leecher, &config);
}

fn announce(c: &mut Criterion, name: &str, asker: PeerState, config: &Config) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    for size in SIZES {
        // The first peer is of the asking kind, so that the smallest swarm has one.
        let first = if asker == PeerState::Seeder { 0 } else { 1 };
        let mut embedder = with_peers(config.clone(), first..first + size);
        let is_seeder = |&peer: &u32| request(0, peer).left == Some(0);
        let askers = (first..first + size).filter(|peer| is_seeder(peer) == (asker == PeerState::Seeder));
        let requests = sample(1, askers);
        let mut requests = requests.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| embedder.announce(NOW, requests.next().expect("a cycle has no end")));
        });
    }
}

fn coming_and_going(c: &mut Criterion) {
    for memory in [Memory::Full, Memory::Lean] {
        let mut group = c.benchmark_group(format!("come and go/{}", name_of(memory)));
        group.throughput(Throughput::Elements(2));
        for size in SIZES {
            let mut embedder = with_peers(Config::default().with(|config| config.memory = memory), 0..size);
            let visits: Vec<_> = (size..size + 1000).map(|peer| visit(request(0, peer))).collect();
            let mut visits = visits.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    let (started, stopped) = visits.next().expect("a cycle has no end");
                    (embedder.announce(NOW, started), embedder.announce(NOW, stopped))
                });
            });
        }
    }
}

fn scrape(c: &mut Criterion) {
    const TORRENTS: u32 = 10_000;
    let mut embedder = Embedder::new(Config::default());
    for torrent in 0..TORRENTS {
        (0..10).for_each(|peer| _ = embedder.announce(NOW, &request(torrent, peer)));
    }
    // In another order than they were added.
    let info_hashes: Vec<InfoHash> = (0..TORRENTS).map(|number| info_hash(number * 7919 % TORRENTS)).collect();
    let (remote, mut counts) = (request(0, 0).remote(), Vec::new());
    let mut group = c.benchmark_group("scrape");
    for count in [1, 74] {
        let mut asked = info_hashes.chunks_exact(count).cycle();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                let asked = asked.next().expect("a cycle has no end");
                embedder.tracker.scrape(remote, None, asked, &mut counts).expect("within the limits");
                black_box(&counts);
            });
        });
    }
}

/// Each thread announces once per iteration.
fn through_shards(c: &mut Criterion) {
    for (layout, torrents, peers) in [("one swarm of 100,000", 1, 100_000), ("1,000 swarms of 100", 1_000, 100)] {
        let (shards, requests) = (shards(torrents, peers), sample(torrents, 0..peers));
        let mut group = c.benchmark_group(format!("shards/{layout}"));
        for threads in [1, 2] {
            group.throughput(Throughput::Elements(threads as u64));
            group.bench_function(BenchmarkId::new("threads", threads), |b| {
                b.iter_custom(|iters| on_threads(threads, &shards, &requests, iters));
            });
        }
    }
}

/// The time that the slowest thread takes for its announces.
fn on_threads(threads: usize, shards: &Shards, requests: &[AnnounceRequest], iters: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let run = |thread: usize| {
        let (mut rng, mut peers) = (SmallRng::seed_from_u64(thread as u64), Peers::default());
        let own = requests.iter().cycle().skip(thread * requests.len() / threads);
        barrier.wait();
        let start = Instant::now();
        for (request, _) in own.zip(0..iters) {
            black_box(shards.announce(NOW, &mut rng, request, &mut peers)).expect("within the limits");
        }
        start.elapsed()
    };
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("no announce panics")).max().unwrap_or_default()
    })
}

fn with_peers(config: Config, numbers: Range<u32>) -> Embedder {
    let mut embedder = Embedder::new(config);
    numbers.for_each(|peer| _ = embedder.announce(NOW, &request(0, peer)));
    embedder
}

/// The announces by which a peer comes and leaves.
fn visit(request: AnnounceRequest) -> (AnnounceRequest, AnnounceRequest) {
    let started = request.clone().with_event(AnnounceEvent::Started);
    (started, request.with_event(AnnounceEvent::Stopped).with_numwant(0))
}

criterion_group!(benches, by_swarm_size, coming_and_going, scrape, through_shards);
criterion_main!(benches);
