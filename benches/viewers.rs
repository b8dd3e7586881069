//! The cost of viewers: the CPU time of the thread that serves the dashboard of 100,000 peers in 1,000 torrents, by the number
//! of viewers of the event stream and by the rate of log lines.
//!
//! Linux only, since it reads the CPU time of a thread.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::shards;
use dashboard::{Dashboard, DashboardConfig, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use torrent_library::{Library, LibraryConfig};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;
use tracker_host::{Bind, Bound, Service, ServiceError};
use tracker_host::{Clock, Events};
use tracker_monitor::{Computers, Failures, LogBuffer, Observer};

const TORRENTS: u32 = 1000;
const PEERS: u32 = 100;

/// Viewers, and lines of the log per second.
const CASES: [(usize, u32); 5] = [(0, 0), (50, 0), (50, 10), (50, 1000), (200, 10)];

/// A service that stays stopped.
struct NoPorts;

impl Bind for NoPorts {
    fn bind(&self) -> Result<Bound, ServiceError> {
        Err("not here".into())
    }
}

fn main() {
    // With --test, as for criterion's benches, only to see that it works.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let time = if is_test { Duration::from_secs(1) } else { Duration::from_secs(10) };
    for (viewers, lines) in CASES {
        let (share, events) = measure(viewers, lines, time);
        println!(
            "{viewers:4} viewers, {lines:5} log lines/s: {:6.2} % of a core, {events:7.0} events/s",
            100.0 * share
        );
    }
}

/// The share of a core that the server uses, and the events per second that all viewers together receive.
fn measure(viewers: usize, lines: u32, time: Duration) -> (f64, f64) {
    let log_buffer = LogBuffer::new();
    let server = Server::bind(&["127.0.0.1:0".parse().expect("an address")], dashboard(&log_buffer)).expect("a port");
    let address = server.local_addrs()[0];
    let (stop, stopped) = oneshot::channel::<()>();
    let (started, thread) = oneshot::channel();
    let serving = thread::spawn(move || {
        started.send(fs::read_link("/proc/thread-self").expect("this is Linux")).expect("it is waited for");
        runtime().block_on(server.run(async { _ = stopped.await })).expect("it serves");
    });
    let thread = thread.blocking_recv().expect("the thread starts");
    let used = || -> f64 {
        let times = fs::read_to_string(format!("/proc/{}/schedstat", thread.display())).expect("the thread runs");
        times.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).expect("a time")
    };
    let result = runtime().block_on(async {
        let (events, mut following) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..viewers {
            following.spawn(follow(address, Arc::clone(&events)));
        }
        following.spawn(write_log(log_buffer, lines));
        sleep(Duration::from_secs(1)).await;
        let (began, used_before, events_before) = (Instant::now(), used(), events.load(Ordering::Relaxed));
        sleep(time).await;
        let seconds = began.elapsed().as_secs_f64();
        let share = (used() - used_before) / 1e9 / seconds;
        (share, (events.load(Ordering::Relaxed) - events_before) as f64 / seconds)
    });
    drop(stop);
    serving.join().expect("it does not panic");
    result
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("the system has what it takes")
}

fn dashboard(log_buffer: &LogBuffer) -> Dashboard {
    let (shards, clock) = (shards(TORRENTS, PEERS), Clock::start());
    let library = Library::open(LibraryConfig::default()).expect("there is no folder");
    let events = Events::start(Arc::clone(&shards)).expect("a thread");
    let observer =
        Observer::start(&events, Computers::new(clock, library.clone()), Failures::default).expect("a thread");
    Dashboard::new(DashboardConfig::new(
        shards.into(),
        clock,
        observer,
        log_buffer.clone(),
        Service::new(NoPorts),
        library,
    ))
}

/// Reads events as a browser does, and counts them.
async fn follow(address: SocketAddr, events: Arc<AtomicU64>) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let ends = buffer[..read].windows(2).filter(|bytes| bytes == b"\n\n").count();
        events.fetch_add(ends as u64, Ordering::Relaxed);
    }
}

/// Writes lines as the tracker does, in steps of a tenth of a second.
async fn write_log(log_buffer: LogBuffer, per_second: u32) {
    let log = Dispatch::new(tracing_subscriber::registry().with(log_buffer.layer()));
    let mut steps = interval(Duration::from_millis(100));
    loop {
        steps.tick().await;
        tracing::dispatcher::with_default(&log, || {
            for _ in 0..per_second / 10 {
                let info_hash = "3500292f2881c52a3c672db7c77db1f60426c65f";
                tracing::info!(
                    target: "tracker_monitor::event_log",
                    info_hash,
                    address = "192.168.1.20:6881",
                    client = "qBittorrent 5.1.0",
                    event = "peer_joined",
                    "192.168.1.20 began lecture.mp4 with qBittorrent 5.1.0"
                );
            }
        });
    }
}
