//! An interrupted run leaves no files behind.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Sandbox, TRACKER};

/// A run over a sparse file that would take many minutes, caught while it hashes.
fn hashing() -> (Sandbox, Child) {
    let sandbox = Sandbox::new(&[]);
    File::create(sandbox.path("large")).unwrap().set_len(1 << 40).unwrap();
    let mut child = (sandbox.command(&["large", "-a", TRACKER])).stderr(Stdio::piped()).spawn().unwrap();
    // The handler is set right before hashing begins.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !catches_interrupts(child.id()) {
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    (sandbox, child)
}

fn catches_interrupts(pid: u32) -> bool {
    const SIGINT: u64 = 1 << 1;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & SIGINT != 0
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn ctrl_c_and_termination() {
    for name in ["-INT", "-TERM"] {
        let (sandbox, child) = hashing();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert_eq!(str::from_utf8(&output.stderr).unwrap(), "make-torrent: cancelled\n");
        assert_eq!(sandbox.names(), ["large"]);
    }
}

#[test]
fn killed() {
    let (sandbox, mut child) = hashing();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.names(), ["large"]);
}
