//! What a program uses.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The unit of time in /proc/PID/stat.
const TICK: Duration = Duration::from_millis(10);

/// What a program has used so far, of CPU time in steps of 10 ms, and what it uses now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    /// CPU time of the process, in user mode and in the kernel.
    cpu: Duration,
    /// That of the thread of the tracker's own peer.
    own_peer: Duration,
    /// Resident memory, in KiB.
    pub(crate) rss_kib: u64,
    pub(crate) threads: usize,
    pub(crate) open_files: usize,
}

impl Usage {
    /// Of the process with this id.
    pub(crate) fn of(pid: u32) -> Self {
        let process = Path::new("/proc").join(pid.to_string());
        let threads: Vec<_> = entries(&process.join("task")).collect();
        let is_own_peer = |thread: &&std::path::PathBuf| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() == "own-peer")
        };
        let status = fs::read_to_string(process.join("status")).expect("the process runs");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Self {
            at: Instant::now(),
            cpu: cpu(&process),
            own_peer: threads.iter().find(is_own_peer).map(|thread| cpu(thread)).unwrap_or_default(),
            rss_kib: rss.expect("as proc(5) says").parse().expect("as proc(5) says"),
            threads: threads.len(),
            open_files: entries(&process.join("fd")).count(),
        }
    }

    /// The share of one core since `before`: of the process, and of the thread of the tracker's own peer.
    pub(crate) fn cpu_since(&self, before: &Self) -> (f64, f64) {
        let share = |now: Duration, then: Duration| (now - then).as_secs_f64() / (self.at - before.at).as_secs_f64();
        (share(self.cpu, before.cpu), share(self.own_peer, before.own_peer))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(folder).expect("the process runs").flatten().map(|entry| entry.path())
}

/// utime and stime of a `stat`.
fn cpu(folder: &Path) -> Duration {
    let stat = fs::read_to_string(folder.join("stat")).expect("the process runs");
    // The name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')').expect("as proc(5) says");
    let fields = fields.split_ascii_whitespace().skip(11).take(2);
    TICK * fields.map(|ticks| ticks.parse::<u32>().expect("as proc(5) says")).sum::<u32>()
}
