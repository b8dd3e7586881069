//! The program while it runs.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The timeout of all steps. Much longer than they take, since machines that run tests are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tracker() -> Command {
    without_settings(env!("CARGO_BIN_EXE_tracker"))
}

/// A program without the settings of this environment. There is neither a dashboard nor a data folder unless a flag asks for
/// it, and the tracker's own peer listens on a free port, since many trackers run at the same time, and none may write into the
/// home folder, or take a name on the network.
pub(crate) fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("TRACKER_")) {
            command.env_remove(name);
        }
    }
    command.env("TRACKER_DASHBOARD", "false").env("TRACKER_DATA", "none").env_remove("STATE_DIRECTORY");
    command.env("TRACKER_PEER_LISTEN", "127.0.0.1:0").env("TRACKER_MDNS", "");
    command
}

/// A running tracker. It is killed when it is dropped.
pub(crate) struct Tracker {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) out: Lines,
    pub(crate) log: Lines,
}

impl Tracker {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut command = tracker();
        command.args(flags);
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, log) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { child, address: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0), out, log }
    }

    /// Starts it on a free loopback port, with JSON lines.
    pub(crate) fn start_json(flags: &[&str]) -> Self {
        Self::start_json_at("127.0.0.1:0", flags)
    }

    /// Starts a tracker with JSON logs on this address.
    pub(crate) fn start_json_at(listen: &str, flags: &[&str]) -> Self {
        let mut tracker = Self::start(&[&["--listen", listen, "--log-format", "json"], flags].concat());
        let listening = tracker.log.wait_for(|line| line.contains("\"listening\""));
        let listening: Value = serde_json::from_str(&listening).unwrap();
        tracker.address = listening["address"].as_str().unwrap().parse().unwrap();
        tracker.log.wait_for(|line| line.contains(&format!("http://{}/announce", tracker.address)));
        tracker
    }

    /// Sends a signal. The program must not have been waited for.
    pub(crate) fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
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

/// The lines that a program prints.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self(receiver)
    }

    pub(crate) fn none() -> Self {
        Self(channel().1)
    }

    /// Takes lines until one matches.
    #[track_caller]
    pub(crate) fn wait_for(&self, mut wanted: impl FnMut(&str) -> bool) -> String {
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
    pub(crate) fn rest(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let next = || self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).collect()
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
