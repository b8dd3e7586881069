//! Announces while the tracker sends a file to many machines as fast as they take it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Content, MB, PROGRAMS, Tracker};
use crate::support::host::Host;
use crate::support::network::Lan;
use crate::support::wait::wait_for;

/// Downloads at once.
const DOWNLOADS: usize = 8;

/// Announces of each kind in a turn with the downloads, and in one without.
const ANNOUNCES: usize = 1500;

/// Turns with the downloads, and as many without, one after the other.
const TURNS: usize = 3;

/// The most by which the 99th percentile grew with the downloads, in nine runs on two cores that had other work, too. In most
/// runs it was less than twice as long.
const MEASURED: f64 = 3.1;

/// A shorter 99th percentile without the downloads counts as this, in milliseconds: a third of what a thread may run before
/// another one's turn comes, so that below it luck decides.
const LEAST: f64 = 1.0;

#[test]
#[ignore = "needs root and network namespaces"]
fn announces_stay_fast_while_files_are_downloaded() {
    let lan = Lan::new("busy", &PROGRAMS[..3]);
    let machine = lan.host("tracker");
    let share = machine.make_folder("share");
    let content = Content::write_files(&share.join("image.bin"), &[("", 64 * MB)]);
    let tracker = Tracker::start_with(&machine, &[share.to_str().expect("a path in UTF-8")]);
    let info_hash = tracker.wait_until_hashed(content.name());
    let target = format!("/download/{info_hash}");
    let client = lan.host("client");
    let hosts: Vec<_> = (0..DOWNLOADS).map(|number| lan.host(&format!("download{number}"))).collect();

    let page = tracker.page();
    assert_announces_stay_fast(&tracker, &client, &hosts, "with the downloads", |over, received| {
        download_until(over, page, &target, received);
    });
}

/// Measures announces alone and while each of the hosts downloads, in turns, and holds that they take about as long. `download` goes on
/// until it is over, and counts the bytes; `meanwhile` is the report's word for it.
pub(super) fn assert_announces_stay_fast(
    tracker: &Tracker,
    client: &Host,
    hosts: &[Host],
    meanwhile: &str,
    download: impl Fn(&AtomicBool, &AtomicU64) + Sync,
) {
    let (mut without, mut with) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut sent, mut took) = (0, Duration::ZERO);
    for _ in 0..TURNS {
        measure(tracker, client, &mut without);
        let began = Instant::now();
        sent += while_downloading(hosts, &download, || measure(tracker, client, &mut with));
        took += began.elapsed();
    }

    let rate = sent as f64 / 1e6 / took.as_secs_f64();
    let mut out = io::stdout().lock();
    writeln!(out, "\n{} downloads at {rate:.0} MB/s in all, {ANNOUNCES} announces a turn", hosts.len())
        .expect("the report can be printed");
    for ((kind, without), with) in ["HTTP", "UDP"].iter().zip(&mut without).zip(&mut with) {
        let [without, with] = [without, with].map(|durations| percentiles(durations));
        writeln!(out, "announce over {kind}, p50 and p99 in ms: {without:.2?} without, {with:.2?} {meanwhile}")
            .expect("the report can be printed");
        let ratio = with[1] / without[1].max(LEAST);
        assert!(ratio <= 3.0 * MEASURED, "announces over {kind} take {ratio:.1} times as long {meanwhile}");
    }
}

/// Adds the durations of announces over HTTP and over UDP.
fn measure(tracker: &Tracker, client: &Host, durations: &mut [Vec<Duration>; 2]) {
    durations[0].extend(tracker.announce_durations(client, ANNOUNCES));
    durations[1].extend(tracker.announce_durations_over_udp(client, ANNOUNCES));
}

/// Does something while each of the hosts downloads again and again, and returns the bytes that came meanwhile.
fn while_downloading(hosts: &[Host], download: &(impl Fn(&AtomicBool, &AtomicU64) + Sync), work: impl FnOnce()) -> u64 {
    let over = AtomicBool::new(false);
    let received: Vec<_> = hosts.iter().map(|_| AtomicU64::new(0)).collect();
    let total = || received.iter().map(|bytes| bytes.load(Ordering::Relaxed)).collect::<Vec<_>>();
    thread::scope(|scope| {
        // The downloads end also when the work panics.
        let _end = EndOnDrop(&over);
        for (host, received) in hosts.iter().zip(&received) {
            let over = &over;
            scope.spawn(move || host.on(|| download(over, received)));
        }
        let until_all_progress = |since: &[u64]| {
            wait_for("all downloads to progress", Duration::from_secs(30), || {
                let now = total();
                ensure!(now.iter().zip(since).all(|(now, since)| now > since), "{now:?} bytes, {since:?} before");
                Ok(now)
            })
        };
        let before = until_all_progress(&vec![0; hosts.len()]);
        work();
        let after = total();
        // None of them had stopped.
        until_all_progress(&after);
        after.iter().sum::<u64>() - before.iter().sum::<u64>()
    })
}

/// Says that it is over when it is dropped.
pub(super) struct EndOnDrop<'a>(pub(super) &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Downloads a file again and again, counting the bytes.
fn download_until(over: &AtomicBool, page: SocketAddrV4, target: &str, received: &AtomicU64) {
    // Another machine would take no time of the tracker's processors: the downloads yield to the tracker.
    rustix::process::nice(19).expect("a thread may be nicer than others");
    let mut buffer = vec![0; 1 << 18];
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(SocketAddr::V4(page)).expect("the tracker accepts connections");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the tracker reads");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("the tracker answers");
        assert_eq!(&head, b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&head));
        while !over.load(Ordering::Relaxed) {
            match stream.read(&mut buffer).expect("the tracker goes on") {
                0 => break,
                length => received.fetch_add(length as u64, Ordering::Relaxed),
            };
        }
    }
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(durations: &mut [Duration]) -> [f64; 2] {
    durations.sort();
    [durations.len() / 2, durations.len() * 99 / 100].map(|index| durations[index].as_secs_f64() * 1e3)
}
