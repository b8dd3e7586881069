//! The program as a service of a service manager.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{announce_target, get, request};
use crate::running::{PATIENCE, Tracker, tracker};
use crate::{INFO_HASH, OTHER};

/// The period of the watchdog. Short, but long enough for a busy machine.
const PERIOD: Duration = Duration::from_secs(4);

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    /// The program as the service manager starts it.
    fn command(&self) -> Command {
        let mut command = tracker();
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).env_remove("WATCHDOG_PID");
        command.env_remove("WATCHDOG_USEC");
        command
    }

    /// The lines of the next message; `None` if there is none within this time.
    fn next(&self, within: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut message = [0; 4096];
        let len = self.socket.recv(&mut message).ok()?;
        Some(str::from_utf8(&message[..len]).unwrap().lines().map(ToOwned::to_owned).collect())
    }

    /// The next message that has this line. There are others before it.
    #[track_caller]
    fn wait_for(&self, line: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Some(message) if message.iter().any(|one| one == line) => return message,
                Some(message) => others.push(message),
                None => panic!("no message has {line}: {others:?}"),
            }
        }
    }
}

/// A port that is free now.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn it_is_ready_once_it_listens_and_says_when_it_stops() {
    let manager = Manager::new();
    let address = free_port();
    let mut command = manager.command();
    // So short that there are many checks while it stops.
    command.env("WATCHDOG_USEC", "20000");
    command.args(["--listen", &address.to_string(), "--log-format", "json"]);
    let mut tracker = Tracker::spawn(command);
    let message = manager.wait_for("READY=1");
    assert!(get(address, "/health").ends_with("ok\n"), "no waiting: it listens already");
    let status = format!("STATUS=Serving clients; the announce URL is http://{address}/announce");
    assert!(message.contains(&status), "{message:?}");
    assert!(tracker.stop("TERM").success());
    manager.wait_for("STOPPING=1");
    assert_eq!(manager.next(Duration::ZERO), None, "it is the last message");
}

#[test]
fn a_start_that_fails_is_not_ready() {
    let manager = Manager::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = manager.command().args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(manager.next(Duration::ZERO), None);
}

#[test]
fn the_watchdog_hears_of_it_while_it_works_and_no_longer() {
    let manager = Manager::new();
    let mut command = manager.command();
    command.env("WATCHDOG_USEC", PERIOD.as_micros().to_string());
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let tracker = Tracker::spawn(command);
    manager.wait_for("READY=1");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    // A process that is stopped does nothing, as one that hangs. What it had sent before is read first.
    tracker.signal("STOP");
    while manager.next(PERIOD / 4).is_some() {}
    assert_eq!(manager.next(PERIOD), None);
    tracker.signal("CONT");
    manager.wait_for("WATCHDOG=1");
}

#[test]
fn the_watchdog_of_another_process_hears_nothing() {
    let manager = Manager::new();
    let mut command = manager.command();
    command.env("WATCHDOG_USEC", "1000000").env("WATCHDOG_PID", process::id().to_string());
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let _tracker = Tracker::spawn(command);
    manager.wait_for("READY=1");
    while let Some(message) = manager.next(Duration::from_secs(2)) {
        assert!(!message.iter().any(|line| line == "WATCHDOG=1"), "{message:?}");
    }
}

/// Returns `true` if the tracker serves a client with this address.
fn serves(tracker: SocketAddr, client: &str) -> bool {
    let target = announce_target(INFO_HASH, 6881, 10, "started");
    !request(tracker, &target, &format!("X-Forwarded-For: {client}\r\n")).contains("failure reason")
}

/// Returns `true` if the tracker answers to this host name.
fn answers_to(tracker: SocketAddr, name: &str) -> bool {
    let mut stream = TcpStream::connect(tracker).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = announce_target(OTHER, 6882, 10, "started");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // Peers in an answer are no text.
    _ = stream.read_to_string(&mut answer);
    !answer.contains("failure reason") && answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn sighup_puts_in_force_what_it_can_and_names_the_rest() {
    const NAME: &str = "tracker.example.org";

    let manager = Manager::new();
    let file = manager.folder.path().join("tracker.toml");
    let start = "allow = '10.1.0.0/16'\ntrusted-proxy = '127.0.0.1'\nupload-limit = '1M'\nonly-known = false\n";
    fs::write(&file, start).unwrap();
    let address = free_port();
    let mut command = manager.command();
    command.args(["--listen", &address.to_string(), "--log-format", "json", "--config"]).arg(&file);
    let mut tracker = Tracker::spawn(command);
    manager.wait_for("READY=1");
    assert!(serves(address, "10.1.2.3") && !serves(address, "10.2.2.3") && !answers_to(address, NAME));

    // What cannot be used changes nothing.
    fs::write(&file, "allow = '10.2.0.0/16'\nno-such-setting = 1\n").unwrap();
    tracker.signal("HUP");
    let reloading = manager.wait_for("RELOADING=1");
    let begun = reloading.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(begun.parse::<u64>().unwrap() > 0);
    manager.wait_for("READY=1");
    let error = tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(error.contains("stay as they were") && error.contains("no-such-setting"), "{error}");
    assert!(serves(address, "10.1.2.3") && !serves(address, "10.2.2.3"));

    let allow_list = manager.folder.path().join("allowed.txt");
    let changed = format!(
        "allow = ['10.2.0.0/16', 'lan']\nhost-name = '{NAME}'\nupload-limit = '2M'\nlog-level = 'warn'\n\
         trusted-proxy = '127.0.0.1'\nallow-list = '{}'\nlean = true\n",
        allow_list.display()
    );
    fs::write(&file, changed).unwrap();
    tracker.signal("HUP");
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    // At level warn, which is in force before, the line at level info is not written.
    let line = tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(line.contains("need a restart: `allow-list`, `lean`\"") && line.contains("\"WARN\""), "{line}");
    assert!(serves(address, "10.2.2.3") && answers_to(address, NAME), "it is ready once they are in force");

    // What needs a restart is still not in force.
    fs::write(&file, "trusted-proxy = '127.0.0.1'\nlean = true\n").unwrap();
    tracker.signal("HUP");
    let line = tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(line.contains("in force now: `allow`, `host-name`, `log-level`\""), "{line}");
    assert!(!serves(address, "203.0.113.9") && !answers_to(address, NAME), "the line comes once they are in force");
    let line = tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(line.contains("need a restart: `lean`, `upload-limit`\""), "{line}");
    assert!(tracker.stop("TERM").success());
}

#[test]
fn lines_of_events_need_somebody_who_listens_from_the_start() {
    let manager = Manager::new();
    let file = manager.folder.path().join("tracker.toml");
    fs::write(&file, "log-level = 'warn'\n").unwrap();
    let mut command = manager.command();
    command.args(["--listen", &free_port().to_string(), "--peer=false", "--log-format", "json", "--config"]).arg(&file);
    let mut tracker = Tracker::spawn(command);
    manager.wait_for("READY=1");
    fs::write(&file, "log-level = 'info'\n").unwrap();
    tracker.signal("HUP");
    let line = tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(line.contains("need a restart: `log-level`\""), "{line}");
    assert!(tracker.stop("TERM").success());
}
