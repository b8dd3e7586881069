//! The program as its users and their scripts see it: flags, files, exit codes, what it prints and logs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time that anything here may take. Much more than it does, since machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

const INFO_HASH: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";
const OTHER: &str = "abcdef0123456789abcdef0123456789abcdef01";

#[test]
fn a_text_start_says_which_url_to_use() {
    let tracker = Tracker::start(&["--listen", "127.0.0.1:0"]);
    let url = tracker.out.wait_for(|line| line.trim_start().starts_with("http://127.0.0.1:"));
    let address: SocketAddr =
        url.trim().strip_prefix("http://").and_then(|url| url.strip_suffix("/announce")).unwrap().parse().unwrap();
    let listening = tracker.log.wait_for(|line| line.contains("listening"));
    assert!(listening.contains(&address.to_string()) && !listening.contains('\x1b'), "{listening:?}");
    assert!(get(address, "/health").ends_with("ok\n"));

    announce(address, INFO_HASH, 6881, 10, "started");
    let joined = tracker.log.wait_for(|line| line.contains("peer joined"));
    for field in [INFO_HASH, "127.0.0.1:6881", "\"qBittorrent 4.5.2\"", "leecher"] {
        assert!(joined.contains(field), "{field}: {joined}");
    }
}

#[test]
fn each_peer_is_a_json_line_until_the_last() {
    let mut tracker = Tracker::start_json(&[]);
    let address = tracker.address;
    announce(address, INFO_HASH, 6881, 10, "started");
    announce(address, INFO_HASH, 6881, 0, "completed");
    announce(address, INFO_HASH, 6881, 0, "stopped");
    announce(address, INFO_HASH, 6882, 10, "started");
    // What is not logged yet is logged before it ends.
    let status = tracker.stop("TERM");
    assert!(status.success(), "{status}");

    let lines: Vec<Value> = tracker.log.rest().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_peers: Vec<_> = lines.iter().filter(|line| line.get("info_hash").is_some()).collect();
    let happened: Vec<_> =
        of_peers.iter().map(|line| [&line["message"], &line["address"]].map(|field| field.as_str().unwrap())).collect();
    assert_eq!(
        happened,
        [
            ["peer joined", "127.0.0.1:6881"],
            ["peer completed", "127.0.0.1:6881"],
            ["peer left", "127.0.0.1:6881"],
            ["peer joined", "127.0.0.1:6882"],
        ]
    );
    for line in of_peers {
        assert_eq!(line["info_hash"], INFO_HASH);
        assert_eq!(line["client"], "qBittorrent 4.5.2");
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].is_string());
    }
    assert_eq!(tracker.out.rest(), [""; 0], "JSON is all there is");
}

#[test]
fn warnings_only_means_no_peers() {
    let mut tracker = Tracker::start(&["--listen", "127.0.0.1:0", "--log-level", "warn"]);
    let url = tracker.out.wait_for(|line| line.contains("http://"));
    let address = url.trim()["http://".len()..].trim_end_matches("/announce").parse().unwrap();
    announce(address, INFO_HASH, 6881, 10, "started");
    assert!(tracker.stop("INT").success());
    assert_eq!(tracker.log.rest(), [""; 0]);
}

#[test]
fn json_has_the_announce_url_at_every_level() {
    for level in ["error", "warn"] {
        let mut tracker = Tracker::start(&["--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", level]);
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains("announce URL"))).unwrap();
        assert!(line["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
        assert!(tracker.stop("INT").success());
        assert_eq!(tracker.log.rest(), [""; 0], "{level}");
    }
}

#[test]
fn both_signals_stop_it_and_free_the_port() {
    for signal in ["INT", "TERM"] {
        let mut tracker = Tracker::start_json(&[]);
        let address = tracker.address;
        let status = tracker.stop(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
        TcpListener::bind(address).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    for signal in ["INT", "TERM"] {
        // Both outputs are the same pipe, as with `tracker 2>&1 | less`.
        let (mut output, input) = pipe().unwrap();
        let mut command = tracker();
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        let child = command.stdout(input.try_clone().unwrap()).stderr(input).spawn().unwrap();
        drop(command);
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.ends_with("/announce\n") {
            output.read_exact(&mut byte).unwrap();
            text.push(byte[0].into());
        }
        let url = text.rsplit(' ').next().unwrap();
        let address = url["http://".len()..].trim_end_matches("/announce\n").parse().unwrap();
        let mut tracker = Tracker { child, address, out: Lines::none(), log: Lines::none() };
        // More than pipes hold.
        for _ in 0..500 {
            announce(address, INFO_HASH, 6881, 10, "started");
            announce(address, INFO_HASH, 6881, 10, "stopped");
        }
        assert!(tracker.stop(signal).success(), "{signal}");
        drop(output);
    }
}

#[test]
fn a_hang_up_changes_nothing() {
    let mut tracker = Tracker::start_json(&[]);
    tracker.signal("HUP");
    tracker.log.wait_for(|line| line.contains("SIGHUP"));
    assert!(get(tracker.address, "/health").ends_with("ok\n"));
    assert!(tracker.stop("TERM").success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_window_stops_it() {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

    // Not `openpty`, whose files the programs that other tests start meanwhile would inherit.
    let window = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&window).unwrap();
    unlockpt(&window).unwrap();
    let path = ptsname_r(&window).unwrap();
    let terminal =
        fs::OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path).unwrap();
    let mut command = tracker();
    command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    let out = Lines::of(child.stdout.take().unwrap());
    let mut tracker = Tracker { child, address: (Ipv4Addr::UNSPECIFIED, 0).into(), out, log: Lines::none() };
    tracker.out.wait_for(|line| line.contains("/announce"));
    drop(window);
    assert!(tracker.stop("HUP").success());
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let mut tracker = Tracker::start_json(&[]);
    // A request that has begun holds up the graceful end.
    let mut half = TcpStream::connect(tracker.address).unwrap();
    half.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    assert!(get(tracker.address, "/health").ends_with("ok\n"));
    tracker.signal("TERM");
    tracker.log.wait_for(|line| line.contains("\"stopping\""));
    assert_eq!(tracker.stop("TERM").code(), Some(1));
}

#[test]
fn lists_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let (allow, deny) = (folder.path().join("allowed.txt"), folder.path().join("denied.txt"));
    fs::write(&allow, format!("# ours\n{INFO_HASH}\n")).unwrap();
    fs::write(&deny, "").unwrap();
    let lists = ["--allow-list", allow.to_str().unwrap(), "--deny-list", deny.to_str().unwrap()];
    let tracker = Tracker::start_json(&lists);
    let address = tracker.address;
    let refused = |info_hash| announce(address, info_hash, 6881, 10, "started").contains("failure reason");
    assert!(!refused(INFO_HASH));
    assert!(refused(OTHER));

    fs::write(&allow, format!("{INFO_HASH}\n{OTHER}\n")).unwrap();
    wait_until("the new torrent is served", || !refused(OTHER));

    // As editors do.
    let new = folder.path().join("denied.txt.new");
    fs::write(&new, INFO_HASH).unwrap();
    fs::rename(&new, &deny).unwrap();
    wait_until("the denied torrent is refused", || refused(INFO_HASH));

    fs::write(&allow, "nonsense\n").unwrap();
    let line = tracker.log.wait_for(|line| line.contains("ERROR"));
    assert!(line.contains("allowed.txt:1: expected an info-hash"), "{line}");
    assert!(!refused(OTHER), "the list in force stays in force");

    fs::remove_file(&allow).unwrap();
    let line = tracker.log.wait_for(|line| line.contains("ERROR"));
    assert!(line.contains("cannot read the list of torrents"), "{line}");
    fs::write(&allow, INFO_HASH).unwrap();
    wait_until("the torrent that is not listed any more is refused", || refused(OTHER));
}

#[test]
fn a_port_in_use_is_named_with_its_holder() {
    // Another tracker, which the system would let share the port.
    let tracker = Tracker::start_json(&[]);
    let listen = tracker.address.to_string();
    let error = error_of(&["--listen", &listen]);
    assert!(error.contains(&format!("cannot listen on {listen}: ")) && error.contains("--listen"), "{error}");
    if cfg!(target_os = "linux") {
        assert!(error.contains(&format!("tracker (process {})", tracker.child.id())), "{error}");
    }
    let error = error_of(&["--listen", "127.0.0.1:0", "--listen", &listen]);
    assert!(error.contains(&listen), "{error}");
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    // RFC 5737 keeps these for documentation.
    let error = error_of(&["--listen", "203.0.113.77:6969"]);
    assert!(error.contains("this machine does not have the address"), "{error}");
}

#[test]
fn what_cannot_be_used_ends_it_with_2_and_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("broken.txt"), format!("{INFO_HASH}\n\n{}\n", &INFO_HASH[1..])).unwrap();
    fs::write(path("unknown.toml"), "allow = ['lan']\nalow = ['all']\n").unwrap();
    for (flags, advice) in [
        (&["--listen", "6969"][..], "write 0.0.0.0:6969"),
        (&["--listen", "localhost:6969"], "write an IP address and a port"),
        (&["--allow", "10.0.0.1/33"], "write `lan`, `all`, or a network"),
        (&["--trusted-proxy", "proxy.example"], "write a network such as"),
        (&["--announce-budget", "0"], "announce-budget is 0, but must be from 1"),
        (&["--announce-budget", "0", "--print-config"], "announce-budget is 0, but must be from 1"),
        (&["--listen", "0.0.0.0:7001,127.0.0.1:7001"], "0.0.0.0:7001 includes 127.0.0.1:7001"),
        (&["--allow-list", &path("missing.txt")], "cannot read the list of torrents"),
        (&["--deny-list", &path("broken.txt")], "broken.txt:3: expected an info-hash of 40 hexadecimal digits"),
        (&["--config", &path("unknown.toml")], "unknown.toml:2: unknown field `alow`"),
        (&["--config", &path("missing.toml")], "cannot read the settings file"),
        (&["--frobnicate"], "unexpected argument '--frobnicate'"),
    ] {
        let error = error_of(flags);
        assert!(error.starts_with("error: ") && error.contains(advice), "{flags:?}: {error}");
    }
}

/// The fewer files it may open, the earlier it fails: at first before it has its port, then when its threads begin.
#[test]
#[cfg(target_os = "linux")]
fn a_failure_after_the_start_ends_it_with_1() {
    for files in 8.. {
        let mut command = without_settings("sh");
        let line = format!("ulimit -n {files}; exec \"$0\" --listen 127.0.0.1:0");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_tracker")]);
        let mut tracker = Tracker::spawn(command);
        let status = tracker.wait();
        let (out, log) = (tracker.out.rest(), tracker.log.rest());
        let started = out.iter().any(|line| line.contains("/announce"));
        assert_eq!(status.code(), Some(if started { 1 } else { 2 }), "{files}: {out:?} {log:?}");
        if started {
            return;
        }
    }
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tracker.toml");
    fs::write(&file, "listen = ['127.0.0.1:1']\nallow = ['10.1.0.0/16']\nlog-level = 'debug'\n").unwrap();
    let output = tracker()
        .args(["--listen", "127.0.0.1:3", "--print-config"])
        .env("TRACKER_CONFIG", &file)
        .env("TRACKER_LISTEN", "127.0.0.1:2")
        .env("TRACKER_ALLOW", "10.2.0.0/16,lan")
        .output()
        .unwrap();
    let printed = succeeded(output);
    for line in ["listen = [\"127.0.0.1:3\"]", "allow = [\"10.2.0.0/16\", \"lan\"]", "log-level = \"debug\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }

    fs::write(&file, &printed).unwrap();
    let again = tracker().arg("--config").arg(&file).arg("--print-config").output().unwrap();
    assert_eq!(succeeded(again), printed);
}

#[test]
fn firewall_help_has_the_actual_port() {
    let text = succeeded(tracker().args(["--listen", "0.0.0.0:7001", "--firewall"]).output().unwrap());
    for words in ["ufw allow 7001/tcp", "--add-port=7001/tcp", "dport 7001", "-LocalPort 7001", "socketfilterfw"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.to_lowercase().contains("udp"), "nothing serves it: {text}");
}

#[test]
fn only_those_who_are_allowed_are_served() {
    let tracker = Tracker::start_json(&["--trusted-proxy", "127.0.0.1", "--allow", "10.1.0.0/16"]);
    for (client, refused) in [("10.1.2.3", false), ("10.2.2.3", true), ("192.168.1.5", true)] {
        let target = announce_target(INFO_HASH, 6881, 10, "started");
        let answer = request(tracker.address, &target, &format!("X-Forwarded-For: {client}\r\n"));
        assert_eq!(answer.contains("failure reason"), refused, "{client}: {answer}");
    }
}

fn tracker() -> Command {
    without_settings(env!("CARGO_BIN_EXE_tracker"))
}

/// A program, with nothing from this environment that would change the tracker's settings.
fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("TRACKER_")) {
            command.env_remove(name);
        }
    }
    command
}

/// What it prints when it ends with exit code 2.
fn error_of(flags: &[&str]) -> String {
    let output = tracker().args(flags).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
    assert!(output.stdout.is_empty(), "{flags:?}");
    // After a wrong flag clap adds where to find help.
    let error = error.trim_end();
    error.lines().find(|line| line.starts_with("error: ")).unwrap_or(error).to_owned()
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A running tracker. It is killed when it is dropped.
struct Tracker {
    child: Child,
    address: SocketAddr,
    out: Lines,
    log: Lines,
}

impl Tracker {
    fn start(flags: &[&str]) -> Self {
        let mut command = tracker();
        command.args(flags);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, log) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { child, address: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0), out, log }
    }

    /// Starts it on a free loopback port, with JSON lines.
    fn start_json(flags: &[&str]) -> Self {
        let mut tracker = Self::start(&[&["--listen", "127.0.0.1:0", "--log-format", "json"], flags].concat());
        let listening = tracker.log.wait_for(|line| line.contains("\"listening\""));
        let listening: Value = serde_json::from_str(&listening).unwrap();
        tracker.address = listening["address"].as_str().unwrap().parse().unwrap();
        tracker.log.wait_for(|line| line.contains(&format!("http://{}/announce", tracker.address)));
        tracker
    }

    /// It must not have been waited for.
    fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
    }

    /// Sends a signal and waits for the end.
    fn stop(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the end.
    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the tracker stops", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What a program prints, line by line.
struct Lines(Receiver<String>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self(receiver)
    }

    fn none() -> Self {
        Self(channel().1)
    }

    /// Takes lines until one is as wanted.
    #[track_caller]
    fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut skipped = Vec::new();
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => skipped.push(line),
                Err(error) => panic!("{error}; there was only: {skipped:#?}"),
            }
        }
    }

    /// All lines until the program ends.
    fn rest(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let next = || self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).collect()
    }
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn announce(tracker: SocketAddr, info_hash: &str, port: u16, left: u64, event: &str) -> String {
    let answer = get(tracker, &announce_target(info_hash, port, left, event));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

fn announce_target(info_hash: &str, port: u16, left: u64, event: &str) -> String {
    let info_hash: String = info_hash.as_bytes().chunks(2).map(|hex| format!("%{}", hex.escape_ascii())).collect();
    format!(
        "/announce?info_hash={info_hash}&peer_id=-qB4520-abcdefghijkl&port={port}&uploaded=0&downloaded=0&left={left}\
         &event={event}&compact=1"
    )
}

fn get(tracker: SocketAddr, target: &str) -> String {
    request(tracker, target, "")
}

fn request(tracker: SocketAddr, target: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(tracker).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {tracker}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
