use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::generation::Generation;
use super::host::Host;

/// The prefix of the names of all namespaces and folders of tests; the pid of the test follows.
const PREFIX: &str = "tracker-test-";

/// Lines of each log that are shown when a scenario fails.
const LOG_LINES: usize = 60;

/// Held by the scenario that runs.
static TURN: Mutex<()> = Mutex::new(());

/// A network of its own, 10.77.0.0/24, with a switch and without a way out. There may be others beside it, 10.77.1.0/24 and so
/// on, without a way between them.
///
/// The switch is a bridge for each network in a namespace, and so is every host, so that the machine's own interfaces and
/// firewall are not concerned. Everything is removed when the network goes out of scope; when the test itself was killed,
/// by the next run. If a scenario fails, the ends of all logs are printed.
///
/// There is one at a time in a test program, so that scenarios do not disturb each other's figures.
#[derive(Debug)]
pub(crate) struct Lan {
    name: String,
    switch: String,
    folder: PathBuf,
    hosts: Cell<u8>,
    _turn: MutexGuard<'static, ()>,
}

impl Lan {
    /// A network for a scenario that runs these programs. Waits until the scenario before is over.
    ///
    /// # Panics
    ///
    /// If not run by root, or if a program is missing; the message says what to do.
    pub(crate) fn new(scenario: &str, programs: &[&str]) -> Self {
        require_root_and(programs);
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        remove_leftovers();

        let name = format!("{PREFIX}{}-{scenario}", process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let lan = Self { switch: format!("{name}-switch"), name, folder, hosts: Cell::new(0), _turn: turn };
        ip(&["netns", "add", &lan.switch]);
        lan.add_network(0);
        lan
    }

    /// Makes the network 10.77.`network`.0/24.
    pub(crate) fn add_network(&self, network: u8) {
        let bridge = &bridge(network);
        ip(&["-n", &self.switch, "link", "add", bridge, "type", "bridge"]);
        ip(&["-n", &self.switch, "link", "set", bridge, "up"]);
    }

    /// Connects another host, with the next free address.
    pub(crate) fn host(&self, name: &str) -> Host {
        self.host_in(0, name)
    }

    /// Connects another host to one of the networks, with the next free address.
    pub(crate) fn host_in(&self, network: u8, name: &str) -> Host {
        let mut host = self.unconnected_host(name);
        host.address = self.connect(&host, network, "eth0");
        host
    }

    /// Makes a host without an address.
    pub(crate) fn unconnected_host(&self, name: &str) -> Host {
        let host = Host {
            namespace: format!("{}-{name}", self.name),
            address: Ipv4Addr::UNSPECIFIED,
            folder: self.make_folder(name),
            generation: Generation::Debian12,
        };
        ip(&["netns", "add", &host.namespace]);
        host.ip(&["link", "set", "lo", "up"]);
        host
    }

    /// Connects a host to one of the networks by another interface, and returns its address there.
    pub(crate) fn connect(&self, host: &Host, network: u8, interface: &str) -> Ipv4Addr {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let (address, namespace) = (Ipv4Addr::new(10, 77, network, number), &host.namespace);
        let port = &format!("port{number}");
        ip(&["-n", &self.switch, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", namespace]);
        ip(&["-n", &self.switch, "link", "set", port, "master", &bridge(network), "up"]);
        host.ip(&["address", "add", &format!("{address}/24"), "dev", interface]);
        host.ip(&["link", "set", interface, "up"]);
        address
    }

    /// Lets a host of the first network reach those hosts only that are not kept apart themselves.
    pub(crate) fn keep_apart(&self, host: &Host) {
        let port = format!("port{}", host.address.octets()[3]);
        ip(&["-n", &self.switch, "link", "set", "dev", &port, "type", "bridge_slave", "isolated", "on"]);
    }

    /// Makes a folder that belongs to no host.
    pub(crate) fn make_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("a folder can be made");
        folder
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if thread::panicking() {
            print_logs(&self.folder);
        }
        remove(&self.name);
    }
}

fn require_root_and(programs: &[&str]) {
    assert!(
        geteuid().is_root(),
        "this test makes network namespaces and has to be run by root: sudo -E env \"PATH=$PATH\" cargo test -p tracker \
         --test {} -- --ignored",
        env!("CARGO_CRATE_NAME")
    );
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exists = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = programs.iter().copied().filter(|program| !exists(program)).collect();
    assert!(missing.is_empty(), "{} not found: .ci/install-clients installs what this test runs", missing.join(", "));
}

/// Removes what earlier runs left behind because they were killed.
fn remove_leftovers() {
    for name in names() {
        let pid = name[PREFIX.len()..].split('-').next().unwrap_or_default();
        let is_over = !pid.is_empty() && !Path::new("/proc").join(pid).exists();
        if is_over {
            remove(&name);
        }
    }
}

/// Removes the namespaces, what still runs in them, and the folders whose names begin with `prefix`.
fn remove(prefix: &str) {
    for name in names().filter(|name| name.starts_with(prefix)) {
        if Path::new("/run/netns").join(&name).exists() {
            let pids = Command::new("ip").args(["netns", "pids", &name]).output().map(|output| output.stdout);
            for pid in String::from_utf8_lossy(&pids.unwrap_or_default()).lines() {
                // Fails only when the program has ended meanwhile.
                let _ = pid.parse().map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
            }
            // With a namespace go its interfaces and their other ends.
            let _ = Command::new("ip").args(["netns", "delete", &name]).status();
        }
        let _ = fs::remove_dir_all(std::env::temp_dir().join(&name));
    }
}

/// The names of all namespaces and folders of tests that run and of earlier ones.
fn names() -> impl Iterator<Item = String> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries(Path::new("/run/netns"))
        .chain(entries(&std::env::temp_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    names.sort();
    names.dedup();
    names.into_iter()
}

fn bridge(network: u8) -> String {
    format!("bridge{network}")
}

pub(super) fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), error.trim());
}

fn print_logs(folder: &Path) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            print_logs(&path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let log = fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let skipped = log.lines().count().saturating_sub(LOG_LINES);
            println!("---- {} ({skipped} lines before these)", path.display());
            log.lines().skip(skipped).for_each(|line| println!("{line}"));
        }
    }
}
