//! A disk that is full, and one that becomes read-only, while the tracker runs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::peer::{Peer, scrape};
use crate::running::{Tracker, without_settings};
use crate::{INFO_HASHES, address_of, stop, text};

/// A small disk in memory, in a mount namespace that a process keeps.
struct Disk {
    holder: Child,
    folder: TempDir,
}

impl Disk {
    /// `None` if this user may not mount anything.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=256k,mode=700 tmpfs \"$1\" && echo mounted && exec sleep 600";
        let mut holder = Command::new("unshare")
            .args([
                "--mount",
                "--",
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                "sh",
                "-c",
                script,
                "sh",
                text(folder.path()),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "mounted\n" {
            holder.wait().unwrap();
            println!("skipped: this user may not mount a disk");
            return None;
        }
        Some(Self { holder, folder })
    }

    /// Runs a shell script where the disk is. `$1` is its folder.
    fn run(&self, script: &str) {
        let status = self.command("sh").args(["-c", script, "sh"]).arg(self.folder.path()).status();
        assert!(status.unwrap().success(), "{script}");
    }

    /// Fills it up to the last byte, or nearly.
    fn fill(&self) {
        self.run("cat /dev/zero > \"$1/filler\" 2>/dev/null; test -s \"$1/filler\"");
    }

    /// Makes room again.
    fn empty(&self) {
        self.run("rm \"$1/filler\"");
    }

    /// Lets nobody make, rename or open a file for writing. Files that are open stay writable: nobody can make a disk read-only that has
    /// such files, but a failing one does that itself.
    fn make_read_only(&self) {
        self.run("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"");
    }

    fn make_writable(&self) {
        self.run("umount \"$1\"");
    }

    /// Starts a tracker whose data folder is on it.
    fn start(&self) -> Tracker {
        let mut command = self.tracker();
        command.args(["--data", text(self.folder.path())]);
        let mut tracker = Tracker::spawn(command);
        tracker.address = address_of(&tracker);
        tracker
    }

    fn tracker(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_tracker"));
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = without_settings("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string(), "--", program]);
        command
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        _ = self.holder.kill();
        _ = self.holder.wait();
    }
}

/// What cannot be written is a warning with the system's reason, clients are served meanwhile, and when there is room again, nothing is
/// lost that happened meanwhile.
#[test]
fn a_full_disk_is_a_warning_and_loses_nothing_once_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    let tracker = disk.start();
    Peer::new(0).download(tracker.address, INFO_HASHES[0]).unwrap();
    disk.fill();
    let mut counted = 1;
    let warning = tracker.log.wait_for(|line| {
        // Each of them is logged itself, so that there is a next line.
        if counted < 1000 {
            Peer::new(counted).download(tracker.address, INFO_HASHES[0]).unwrap();
            counted += 1;
            thread::sleep(Duration::from_millis(10));
        }
        line.contains("No space left on device")
    });
    assert!(warning.contains("\"WARN\"") || warning.contains("\"ERROR\""), "{warning}");
    assert!(warning.contains(text(disk.folder.path())), "it names the place: {warning}");
    let counted = u64::from(counted);
    assert_eq!(scrape(tracker.address, INFO_HASHES[0]).downloaded, counted);
    disk.empty();
    stop(tracker);
    assert_eq!(scrape(disk.start().address, INFO_HASHES[0]).downloaded, counted);
}

#[test]
fn a_full_disk_at_the_end_leaves_the_snapshot_of_before() {
    let Some(disk) = Disk::mount() else { return };
    let tracker = disk.start();
    Peer::new(0).download(tracker.address, INFO_HASHES[0]).unwrap();
    stop(tracker);
    let mut tracker = disk.start();
    disk.fill();
    Peer::new(1).download(tracker.address, INFO_HASHES[0]).unwrap();
    // It ends all the same.
    tracker.stop("TERM");
    disk.empty();
    let counts = scrape(disk.start().address, INFO_HASHES[0]);
    assert!((1..=2).contains(&counts.downloaded) && (1..=2).contains(&counts.complete), "{counts:?}");
}

#[test]
fn a_folder_that_becomes_read_only_is_a_warning() {
    let Some(disk) = Disk::mount() else { return };
    let tracker = disk.start();
    Peer::new(0).download(tracker.address, INFO_HASHES[0]).unwrap();
    stop(tracker);
    let mut tracker = disk.start();
    disk.make_read_only();
    Peer::new(1).download(tracker.address, INFO_HASHES[0]).unwrap();
    assert_eq!(scrape(tracker.address, INFO_HASHES[0]).downloaded, 2);
    // It ends all the same.
    tracker.stop("TERM");
    let lines = tracker.log.rest();
    let is_warning = |line: &&String| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    let warning = lines.iter().filter(is_warning).find(|line| line.contains("Read-only file system"));
    assert!(warning.is_some_and(|line| line.contains(text(disk.folder.path()))), "{lines:#?}");
    disk.make_writable();
    let counts = scrape(disk.start().address, INFO_HASHES[0]);
    assert!((1..=2).contains(&counts.downloaded) && (1..=2).contains(&counts.complete), "{counts:?}");
}

/// A folder that was asked for is an error. The default one is done without, as in a container whose file system is read-only.
#[test]
fn a_folder_that_is_read_only_at_the_start_is_named() {
    let Some(disk) = Disk::mount() else { return };
    disk.make_read_only();
    let folder = disk.folder.path();
    let output = disk.tracker().args(["--data", text(folder)]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("Read-only file system") && error.contains(text(folder)), "{error}");

    let mut command = disk.tracker();
    command.env_remove("TRACKER_DATA").env("STATE_DIRECTORY", folder);
    let tracker = Tracker::spawn(command);
    let warning = tracker.log.wait_for(|line| line.contains("data folder"));
    assert!(warning.contains("\"WARN\"") && warning.contains("Read-only file system"), "{warning}");
    Peer::new(0).download(address_of(&tracker), INFO_HASHES[0]).unwrap();
}
