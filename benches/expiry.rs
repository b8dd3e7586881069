//! The cost of expiring silent peers and of taking swarms out and in, and how long announces wait meanwhile: each call holds one lock.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use benches::{Embedder, SHARDS, name_of, request, shards};
use criterion::{Bencher, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tracker_core::{ClientPolicy, Config, Instant, Memory, Peers, Shards, SwarmImage, Walk};
use tracker_store::Store;

const PEERS: u32 = 1_000_000;

/// The time when some announce again: the others are due, and a lean tracker still has their times.
const REFRESH: Instant = Instant::from_secs(6_000);

/// The time when the others expire.
const LATE: Instant = Instant::from_secs(6_100);

fn expire(c: &mut Criterion) {
    for memory in [Memory::Full, Memory::Lean] {
        for (layout, swarms, staying) in
            [("one swarm", 1, 0), ("one swarm, a fifth stays", 1, PEERS / 5), ("10,000 swarms", 10_000, 0)]
        {
            let calls = || calls_of_expire(memory, swarms, staying);
            let name = format!("expire a million/{}/{layout}", name_of(memory));
            longest_and_all(c, &name, PEERS, |b, of| {
                b.iter_custom(|iters| (0..iters).map(|_| of(&calls())).sum());
            });
        }
    }
}

/// All peers have announced in time, which each call has to find out.
fn refresh(c: &mut Criterion) {
    const SWARM: u32 = 100_000;
    for memory in [Memory::Full, Memory::Lean] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.memory = memory));
        let mut calls = || {
            let now = embedder.tracker.next_expiry().unwrap_or_default();
            (0..SWARM).for_each(|peer| _ = embedder.announce(now, &request(0, peer)));
            let calls = calls_until_done(&mut embedder, now);
            assert_eq!(embedder.tracker.totals().peers(), u64::from(SWARM));
            calls
        };
        calls();
        longest_and_all(c, &format!("refresh 100,000/{}", name_of(memory)), SWARM, |b, of| {
            b.iter_custom(|iters| (0..iters).map(|_| of(&calls())).sum());
        });
    }
}

/// The longest of the announces that fill a swarm with one peer each: sometimes its arrays and its index grow.
fn grow(c: &mut Criterion) {
    const SWARM: u32 = 1 << 18;
    for memory in [Memory::Full, Memory::Lean] {
        let announces = || {
            let mut embedder = Embedder::new(Config::default().with(|config| config.memory = memory));
            let announce = |peer| {
                // All of one family, so that its arrays become as large as possible.
                let request = request(0, 2 * peer).with_numwant(0);
                let start = StdInstant::now();
                embedder.announce(Instant::ZERO, &request);
                start.elapsed()
            };
            (0..SWARM).map(announce).collect::<Vec<_>>()
        };
        longest_and_all(c, &format!("grow to 262,144/{}", name_of(memory)), SWARM, |b, of| {
            b.iter_custom(|iters| (0..iters).map(|_| of(&announces())).sum());
        });
    }
}

/// A change of the rules about clients, with as many as a list may have, which deny an eighth of the peers, or none.
fn change_rules(c: &mut Criterion) {
    const SWARM: u32 = 1 << 18;
    const RULES: u32 = 250;
    let rules = |first: u32| {
        let networks = (first..first + RULES).map(|number| format!("10.{}.{}.0/24", number / 256, number % 256));
        let denied_networks = networks.map(|network| network.parse().expect("a network")).collect();
        Arc::new(ClientPolicy { denied_networks, ..ClientPolicy::default() })
    };
    // `request` has its addresses in these, and in none of those.
    for (name, first) in [("some", 0), ("none", 1 << 15)] {
        let rules = rules(first);
        let calls = || {
            let config = Config::default().with(|config| config.max_peers_per_swarm = SWARM as usize);
            let mut embedder = Embedder::new(config);
            (0..SWARM).for_each(|peer| _ = embedder.announce(Instant::ZERO, &request(0, peer)));
            let start = StdInstant::now();
            embedder.tracker.set_clients(Arc::clone(&rules));
            let first = start.elapsed();
            let mut calls = calls_until_done(&mut embedder, Instant::ZERO);
            calls.push(first);
            calls
        };
        longest_and_all(c, &format!("250 rules about 262,144 peers, of which they deny {name}"), SWARM, |b, of| {
            b.iter_custom(|iters| (0..iters).map(|_| of(&calls())).sum());
        });
    }
}

/// The latency of announces while another thread does something with a million peers of the same shards: it expires them, writes a
/// snapshot of them, or takes one in. Prints quantiles, too, which criterion does not have.
fn announce_beside(c: &mut Criterion) {
    for (layout, swarms) in [("one swarm", 1), ("10,000 swarms", 10_000)] {
        announce_beside_work(c, ("expiry of a million", layout), || full_shards(swarms, PEERS), swarms, expire_all);
        announce_beside_work(
            c,
            ("a snapshot of a million", layout),
            || full_shards(swarms, PEERS),
            swarms,
            write_snapshot,
        );
        let images = images(&full_shards(swarms, PEERS));
        let take_in = |shards: &Shards| take_in(shards, &images);
        announce_beside_work(c, ("taking in a million", layout), || full_shards(swarms, 0), swarms, take_in);
    }
}

fn announce_beside_work(
    c: &mut Criterion,
    (work_name, layout): (&str, &str),
    shards: impl Fn() -> Shards,
    swarms: u32,
    work: impl Fn(&Shards) + Sync,
) {
    let mut worst = Vec::new();
    longest_and_all(c, &format!("announce beside {work_name}/{layout}"), PEERS, |b, of| {
        b.iter_custom(|iters| {
            let run = |_| {
                let mut latencies = latencies_beside(&shards(), swarms, &work);
                latencies.sort_unstable();
                let time = of(&latencies);
                worst = latencies;
                time
            };
            (0..iters).map(run).sum()
        });
    });
    for (name, below) in [("median", 0.5), ("99 %", 0.99), ("99.9 %", 0.999), ("99.99 %", 0.9999), ("all", 1.0)] {
        let last = ((worst.len() as f64 * below) as usize).clamp(1, worst.len().max(1)) - 1;
        println!(
            "{work_name}, {layout}: {name} of {} announces within {:?}",
            worst.len(),
            worst.get(last).unwrap_or(&Duration::ZERO)
        );
    }
}

/// Shards with so many peers.
fn full_shards(swarms: u32, peers: u32) -> Shards {
    let (mut rng, mut answer) = (SmallRng::seed_from_u64(1), Peers::default());
    let config = Config::default().with(|config| config.max_peers_per_swarm = 4 * PEERS as usize);
    let shards = Shards::new(config, SHARDS, &mut rng).expect("a valid configuration");
    for peer in 0..peers {
        let request = request(peer / 2 % swarms, peer);
        _ = black_box(shards.announce(Instant::ZERO, &mut rng, &request, &mut answer)).expect("within the limits");
    }
    shards
}

fn expire_all(shards: &Shards) {
    while shards.next_expiry().is_some_and(|at| at <= LATE) {
        shards.expire(LATE);
        // As `expire_swarms` does.
        thread::sleep(Duration::from_millis(1));
    }
}

/// As the tracker does.
fn images(shards: &Shards) -> Vec<SwarmImage> {
    let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
    while shards.walk(&mut walk, 1000, |slice| images.push(slice.image(Instant::ZERO))) {}
    images
}

fn write_snapshot(shards: &Shards) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, _) = Store::open(folder.path()).expect("an empty folder");
    let mut snapshot = store.begin_snapshot(SystemTime::now()).expect("a snapshot");
    let (mut walk, mut images) = (Walk::by_peer(), Vec::new());
    loop {
        let is_more = shards.walk(&mut walk, 1000, |slice| images.push(slice.image(Instant::ZERO)));
        images.drain(..).for_each(|image| snapshot.add(&image).expect("there is room"));
        if !is_more {
            break;
        }
        thread::sleep(Duration::from_micros(200));
    }
    store.finish_snapshot(snapshot).expect("there is room");
}

/// Peers of other addresses than those that announce.
fn take_in(shards: &Shards, images: &[SwarmImage]) {
    for image in images {
        black_box(shards.restore(Instant::ZERO, image, Duration::ZERO));
    }
}

fn latencies_beside(shards: &Shards, swarms: u32, work: &(impl Fn(&Shards) + Sync)) -> Vec<Duration> {
    let (mut rng, mut peers) = (SmallRng::seed_from_u64(2), Peers::default());
    let mut announce = |now, peer: u32| {
        let request = request(peer / 2 % swarms, peer);
        _ = black_box(shards.announce(now, &mut rng, &request, &mut peers)).expect("within the limits");
    };
    thread::scope(|scope| {
        let expiry = scope.spawn(|| work(shards));
        let mut latencies = Vec::with_capacity(1 << 20);
        // Some of the peers that stay, repeatedly.
        for peer in (PEERS..PEERS + 1000).cycle() {
            if expiry.is_finished() {
                break;
            }
            let start = StdInstant::now();
            announce(LATE, peer);
            latencies.push(start.elapsed());
        }
        latencies
    })
}

fn next_expiry(c: &mut Criterion) {
    let shards = shards(10_000, 10);
    c.bench_function("next_expiry/10,000 swarms in 32 shards", |b| b.iter(|| shards.next_expiry()));
}

/// Benches the longest of the calls, which is the time that an announce may wait, and all of them together.
fn longest_and_all(
    c: &mut Criterion,
    name: &str,
    peers: u32,
    mut bench: impl FnMut(&mut Bencher<'_>, fn(&[Duration]) -> Duration),
) {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function("longest call", |b| bench(b, |calls| calls.iter().max().copied().unwrap_or_default()));
    group.throughput(Throughput::Elements(peers.into()));
    group.bench_function(BenchmarkId::from_parameter("all calls"), |b| bench(b, |calls| calls.iter().sum()));
}

/// The calls of `expire` after a million peers announced, `staying` of them twice, and the others are due.
fn calls_of_expire(memory: Memory, swarms: u32, staying: u32) -> Vec<Duration> {
    let config = Config::default().with(|config| {
        config.memory = memory;
        config.max_peers_per_swarm = PEERS as usize;
    });
    let mut embedder = Embedder::new(config);
    (0..PEERS).for_each(|peer| _ = embedder.announce(Instant::ZERO, &request(peer / 2 % swarms, peer)));
    (0..staying).for_each(|peer| _ = embedder.announce(REFRESH, &request(peer / 2 % swarms, peer)));
    let calls = calls_until_done(&mut embedder, LATE);
    assert_eq!(embedder.tracker.totals().peers(), u64::from(staying));
    calls
}

/// The time of each call, until nothing is left to expire.
fn calls_until_done(embedder: &mut Embedder, now: Instant) -> Vec<Duration> {
    let mut calls = Vec::new();
    while embedder.tracker.next_expiry().is_some_and(|at| at <= now) {
        let start = StdInstant::now();
        embedder.tracker.expire(now);
        calls.push(start.elapsed());
    }
    calls
}

criterion_group!(benches, expire, refresh, grow, change_rules, announce_beside, next_expiry);
criterion_main!(benches);
