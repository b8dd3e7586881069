//! The cost of an announce with and without a dashboard, and the time to render lists and pages.

use std::future::pending;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use benches::{request, sample, shards_of};
use criterion::{Criterion, criterion_group};
use dashboard::{Dashboard, DashboardConfig, Server};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::runtime::Builder;
use torrent_library::{Library, LibraryConfig};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracker_core::{AnnounceEvent, AnnounceRequest, Config, Peers, Shards};
use tracker_host::{Bind, Bound, Service, ServiceError};
use tracker_host::{Clock, Events};
use tracker_monitor::{Computers, Failures, LogBuffer, MAX_PENDING_EVENTS, Observer, PageQuery};

/// Announces on one thread and on two, without and with an observer, which fetches the events, visits all peers repeatedly,
/// and takes a sample every second. Once for peers that stay, and once with some that leave and come back, for which the
/// observer writes log lines.
///
/// In wall-clock time, for a machine without other load, and in CPU time of the whole program, observer included. Each
/// measurement takes `slice`. They are made in `pairs`, in turn, so that other load of the machine is in both.
fn compare(pairs: usize, slice: Duration) {
    for (layout, torrents, peers) in [("one swarm of 100,000", 1, 100_000), ("1,000 swarms of 100", 1_000, 100)] {
        let (alone, watched) = (shards_of(config(false), torrents, peers), shards_of(config(true), torrents, peers));
        let regular = sample(torrents, 0..peers);
        let churning = with_churn(&regular);
        let cases = [("regular", &regular), ("5 % leave or come back", &churning)];
        for ((what, requests), threads) in cases.into_iter().flat_map(|case| [(case, 1), (case, 2)]) {
            let clock = Clock::start();
            let measure = |shards: &Shards, iters: u64| {
                let before = processor_time();
                let passed = on_threads(threads, shards, clock, requests, iters);
                Slice {
                    announces: threads as u64 * iters,
                    passed,
                    processor: processor_time().zip(before).map(|(after, before)| after - before),
                }
            };
            let iters = (200_000.0 * slice.div_duration_f64(measure(&alone, 200_000).passed)) as u64;
            let pairs: Vec<(Slice, Slice)> = (0..pairs)
                .map(|_| {
                    let without = measure(&alone, iters);
                    let observer = observer(&watched, clock);
                    let with = measure(&watched, iters);
                    observer.finish();
                    (without, with)
                })
                .collect();
            println!("dashboard/{layout}, {what}, {threads} threads");
            report("announces per second", &pairs, Slice::per_second);
            report("announces per processor second", &pairs, Slice::per_processor_second);
        }
    }
}

/// Requests of which one in 40 is of a peer that leaves, and the next of its return.
fn with_churn(requests: &[AnnounceRequest]) -> Vec<AnnounceRequest> {
    let mut requests = requests.to_vec();
    for chunk in requests.chunks_exact_mut(40) {
        chunk[1] = chunk[0].clone().with_event(AnnounceEvent::Started);
        chunk[0].event = Some(AnnounceEvent::Stopped);
    }
    requests
}

#[derive(Debug)]
struct Slice {
    announces: u64,
    passed: Duration,
    /// The CPU time, on systems that report it.
    processor: Option<Duration>,
}

impl Slice {
    fn per_second(&self) -> Option<f64> {
        Some(self.announces as f64 / self.passed.as_secs_f64())
    }

    fn per_processor_second(&self) -> Option<f64> {
        Some(self.announces as f64 / self.processor?.as_secs_f64())
    }
}

fn report(what: &str, pairs: &[(Slice, Slice)], value: impl Fn(&Slice) -> Option<f64>) {
    let pairs = pairs.iter().map(|(without, with)| Some((value(without)?, value(with)?)));
    let Some(mut pairs) = pairs.collect::<Option<Vec<_>>>() else { return };
    pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let percent = |pair: usize| 100.0 * (pairs[pair].1 / pairs[pair].0 - 1.0);
    let (without, with) = pairs[pairs.len() / 2];
    println!(
        "    {what}: {without:.0} alone, {with:.0} observed, {:+.1} % (the median; half of all are from {:+.1} to {:+.1} %)",
        percent(pairs.len() / 2),
        percent(pairs.len() / 4),
        percent(3 * pairs.len() / 4),
    );
}

/// The CPU time of the program so far, on all threads.
#[cfg(unix)]
fn processor_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn processor_time() -> Option<Duration> {
    None
}

/// The time to make the lists that viewers see.
fn lists(c: &mut Criterion) {
    let mut group = c.benchmark_group("dashboard/list");
    group.sample_size(10);
    for (layout, torrents, peers) in [("1,000 torrents of 100", 1_000, 100), ("200,000 torrents of 1", 200_000, 1)] {
        let shards = shards_of(config(true), torrents, peers);
        let observer = observer(&shards, Clock::start());
        group.bench_function(layout, |b| b.iter(|| observer.torrents(&PageQuery::default())));
    }
    let shards = shards_of(config(true), 1, 200_000);
    let observer = observer(&shards, Clock::start());
    let info_hash = request(0, 0).info_hash;
    group.bench_function("200,000 peers", |b| b.iter(|| observer.peers(&info_hash, &PageQuery::default())));
}

/// The operator's pages of 1,000 files on 300 computers, each of which has asked for all of them.
fn pages(c: &mut Criterion) {
    let (shards, clock) = (shards_of(config(true), 0, 0), Clock::start());
    let library = Library::open(LibraryConfig::default()).expect("there is no folder to be read");
    let (mut rng, mut peers) = (SmallRng::seed_from_u64(1), Peers::default());
    let mut first = String::new();
    for number in 0..1000 {
        let torrent =
            format!("d4:infod6:lengthi5e4:name12:torrent {number:04}12:piece lengthi16384e6:pieces20:{:20}ee", "");
        let info_hash = library.register(torrent.as_bytes()).expect("a torrent").info_hash;
        if number == 0 {
            first = info_hash.to_string();
        }
        for peer in 0..300 {
            let request = request(0, peer).with_info_hash(info_hash);
            shards.announce(clock.now(), &mut rng, &request, &mut peers).expect("within the limits");
        }
    }
    let events = Events::start(Arc::clone(&shards)).expect("a thread");
    let observer = Observer::start(&events, Computers::new(clock, library.clone()), Failures::default)
        .expect("a thread can be started");
    let dashboard = Dashboard::new(DashboardConfig::new(
        shards.into(),
        clock,
        observer,
        LogBuffer::new(),
        Service::new(NoPorts),
        library,
    ));
    let server = Server::bind(&["127.0.0.1:0".parse().expect("an address")], dashboard).expect("a port");
    let address = server.local_addrs()[0];
    // The thread ends with the program.
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(server.run(pending())).expect("it serves");
    });
    let get = |path: &str| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    };
    while !get("/manage?sort=has&order=descending").contains(" of 300 have it") {
        thread::sleep(Duration::from_millis(20));
    }
    let file = format!("/manage/files/{first}");
    let mut group = c.benchmark_group("dashboard/page");
    for path in ["/manage", "/manage?sort=has", &file, "/manage/computers", "/manage/tracker"] {
        let name = path.replace(&first, "KEY");
        group.bench_function(name, |b| b.iter(|| get(path)));
    }
}

/// A service that stays stopped.
struct NoPorts;

impl Bind for NoPorts {
    fn bind(&self) -> Result<Bound, ServiceError> {
        Err("not here".into())
    }
}

/// The configuration of the `tracker` program.
fn config(is_observed: bool) -> Config {
    let max_pending_events = if is_observed { MAX_PENDING_EVENTS } else { 0 };
    Config::default().with(|config| {
        config.max_pending_events = max_pending_events;
        config.update_events = false;
    })
}

fn observer(shards: &Arc<Shards>, clock: Clock) -> Observer {
    let library = Library::open(LibraryConfig::default()).expect("there is no folder to be read");
    let events = Events::start(Arc::clone(shards)).expect("a thread");
    Observer::start(&events, Computers::new(clock, library), Failures::default).expect("a thread can be started")
}

/// The time that the slowest thread takes for its announces.
fn on_threads(threads: usize, shards: &Shards, clock: Clock, requests: &[AnnounceRequest], iters: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let run = |thread: usize| {
        let (mut rng, mut peers) = (SmallRng::seed_from_u64(thread as u64), Peers::default());
        let own = requests.iter().cycle().skip(thread * requests.len() / threads);
        barrier.wait();
        let start = Instant::now();
        for (request, _) in own.zip(0..iters) {
            shards.announce(clock.now(), &mut rng, request, &mut peers).expect("within the limits");
        }
        start.elapsed()
    };
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("no announce panics")).max().unwrap_or_default()
    })
}

criterion_group!(benches, lists, pages);

fn main() {
    // cargo passes --bench to benches, but not when it tests them. With --test they run only to see that they work.
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if has("--bench") {
        tracing_subscriber::registry().with(LogBuffer::new().layer()).init();
        let (pairs, slice) = if has("--test") { (2, Duration::from_millis(50)) } else { (20, Duration::from_secs(1)) };
        compare(pairs, slice);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
