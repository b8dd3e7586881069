//! Limits of the system.

use std::fs;

use tracker_udp::UdpConfig;

use super::finding::Finding;
use crate::settings::Settings;

/// The name of these findings.
const CHECK: &str = "limits";

/// A LAN may need as many connections at the same time, so that fewer are worth a warning.
const FEW_CONNECTIONS: u64 = 512;

/// Files that the program has open beside those of its servers.
const OPEN_FILES: u64 = 64;

/// The limit of the shell says nothing of that.
const OF_SERVICE: &str = "a service has a limit of its own: LimitNOFILE in its unit of systemd";

/// Where Linux says how much may wait in a socket.
const RMEM_MAX: &str = "/proc/sys/net/core/rmem_max";

/// The limits of the system. `None` where there is none, or where it is not known.
#[derive(Debug)]
pub(super) struct Limits {
    /// Files and connections that a process may have open, if it asks for the most.
    open_files: Option<u64>,
    /// Bytes that may wait in a socket.
    rmem_max: Option<u64>,
}

/// Asks the system.
pub(super) fn look() -> Limits {
    #[cfg(unix)]
    let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    #[cfg(not(unix))]
    let open_files = None;
    Limits { open_files, rmem_max: fs::read_to_string(RMEM_MAX).ok().and_then(|text| text.trim().parse().ok()) }
}

/// Says how many connections fit, and how many requests over UDP wait.
pub(super) fn judge(limits: &Limits, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(open_files) = limits.open_files {
        // Each thread has a listener, a connection and a socket of UDP for each address, and four descriptors of its runtime.
        let threads = settings.threads().get() as u64;
        let in_use = OPEN_FILES + threads * (3 * settings.listen.len() as u64 + 4);
        let connections = open_files.saturating_sub(in_use);
        findings.push(if connections < FEW_CONNECTIONS {
            Finding::warning(
                CHECK,
                format!("the limit of {open_files} open files of this shell leaves {connections} connections at the same time"),
                format!("raise it with `ulimit -Hn 65536` as root; {OF_SERVICE}"),
            )
        } else {
            let text = format!("the limit of {open_files} open files of this shell leaves enough connections");
            Finding::good(CHECK, text).with_advice(OF_SERVICE)
        });
    }
    let wanted = UdpConfig::default().receive_buffer_bytes as u64;
    if let Some(rmem_max) = limits.rmem_max.filter(|&rmem_max| settings.udp && rmem_max < wanted) {
        let text = format!("{} KiB of UDP requests can wait, which is enough for hundreds of clients", rmem_max >> 10);
        let advice = format!("if thousands may announce at the same time: sudo sysctl net.core.rmem_max={wanted}");
        findings.push(Finding::good(CHECK, text).with_advice(advice));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Kind;
    use crate::cli::Cli;

    #[test]
    fn few_connections_are_a_warning() {
        for (open_files, rmem_max, flag, expected) in [
            (Some(1024), Some(4 << 20), "--udp", &[Kind::Good][..]),
            (Some(256), Some(4 << 20), "--udp", &[Kind::Warning]),
            (Some(10), None, "--udp", &[Kind::Warning]),
            (Some(1 << 20), Some(212_992), "--udp", &[Kind::Good, Kind::Good]),
            (Some(1 << 20), Some(212_992), "--udp=false", &[Kind::Good]),
            (None, None, "--udp", &[]),
        ] {
            let settings = Cli::parse(["tracker", "--threads", "2", flag]).unwrap().settings().unwrap();
            let found = judge(&Limits { open_files, rmem_max }, &settings);
            assert_eq!(found.iter().map(Finding::kind).collect::<Vec<_>>(), expected, "{found:?}");
        }
    }
}
