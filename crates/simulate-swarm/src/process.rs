//! CPU time and memory of a process.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// CPU time and memory of a process, of all its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time in user mode and in the kernel, including threads that have ended. In steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) rss: u64,
}

impl Usage {
    /// Reads it from /proc.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not as proc(5) has it");
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        let cpu = cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?).ok_or_else(malformed)?;
        let rss = rss(&fs::read_to_string(format!("/proc/{pid}/status"))?).ok_or_else(malformed)?;
        Ok(Self { cpu: Duration::from_secs_f64(cpu as f64 / ticks as f64), rss })
    }
}

/// utime and stime of /proc/PID/stat.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// VmRSS of /proc/PID/status.
fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// CPU time of the calling thread.
pub(crate) fn own_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_understood() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 1 0 100 1000 200";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(rss("Name:\tx\nVmRSS:\t   2048 kB\nThreads:\t1\n"), Some(2048 * 1024));
        assert_eq!((cpu_ticks("42 (a"), rss("")), (None, None));
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 100_000);
        assert!(own_cpu() > Duration::ZERO);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
