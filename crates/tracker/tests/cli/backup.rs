//! `tracker backup` and `tracker restore`.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{get, post};
use crate::dashboard::observed;
use crate::running::{Tracker, tracker};
use crate::succeeded;

/// Runs a command of the program for this data folder.
fn run(arguments: &[&str], data: &Path) -> Output {
    tracker().args(arguments).args(["--data", text(data)]).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn refused(output: Output) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
    error
}

fn torrent(name: char) -> String {
    format!("d4:infod6:lengthi1e4:name1:{name}12:piece lengthi16384e6:pieces20:{}ee", "x".repeat(20))
}

/// The names of the torrents that a tracker with this data folder knows.
fn torrents(data: &Path) -> Vec<Value> {
    let observed = observed(&["--data", text(data)]);
    let answer = get(observed.dashboard, "/api/v1/torrents");
    let list: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let mut names: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    names
}

/// A place with an empty folder `data`, and the path of a backup in it, which is not there yet.
fn place() -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    fs::create_dir(&data).unwrap();
    let file = place.path().join("tracker.tar");
    (place, data, file)
}

#[test]
fn a_backup_beside_a_running_tracker_is_restored_into_another_folder() {
    let (place, data, file) = place();
    let running = observed(&["--data", text(&data)]);
    for name in ['a', 'b'] {
        let answer = post(running.dashboard, "/api/v1/torrents", torrent(name).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    let said = succeeded(run(&["backup", text(&file)], &data));
    assert!(said.contains(text(&data)) && said.contains(text(&file)), "{said}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // A tracker with other torrents, which has ended.
    let other = place.path().join("other");
    {
        let before = observed(&["--data", text(&other)]);
        post(before.dashboard, "/api/v1/torrents", torrent('c').as_bytes());
    }
    let said = succeeded(run(&["restore", text(&file)], &other));
    assert_eq!(torrents(&other), ["a", "b"]);
    let before = said.lines().find_map(|line| line.strip_prefix("what was there before is in ")).unwrap();
    assert!(said.contains(", written 20") && before.starts_with(text(&other)), "{said}");
    assert_eq!(fs::read_dir(Path::new(before).join("torrents")).unwrap().count(), 1);
    assert_eq!(torrents(Path::new(before)), ["c"], "it is a data folder, too");
}

#[test]
fn it_is_not_restored_below_a_running_tracker() {
    let (_place, data, file) = place();
    fs::write(data.join("names.json"), "{}").unwrap();
    succeeded(run(&["backup", text(&file)], &data));
    let running = Tracker::start_json(&["--data", text(&data)]);
    let error = refused(run(&["restore", text(&file)], &data));
    assert!(error.contains(&format!("another tracker (process {})", running.child.id())), "{error}");
    assert!(error.contains("stop it first") && !error.contains("--listen"), "{error}");
    drop(running);
    succeeded(run(&["restore", text(&file)], &data));
}

#[test]
fn nothing_is_overwritten_unless_that_is_asked_for() {
    let (_place, data, file) = place();
    fs::write(data.join("names.json"), "{}").unwrap();
    fs::write(&file, "another").unwrap();
    let error = refused(run(&["backup", text(&file)], &data));
    assert!(error.contains(&format!("{} exists", text(&file))) && error.contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "another");
    succeeded(run(&["backup", text(&file), "--force"], &data));
    assert_ne!(fs::read(&file).unwrap(), b"another");
}

#[test]
fn a_backup_says_what_it_cannot_do() {
    let (place, data, file) = place();
    let missing = place.path().join("missing");
    let error = refused(run(&["backup", text(&file)], &missing));
    assert!(error.contains("there is no data folder") && error.contains("--data DIR"), "{error}");
    assert!(!missing.exists());
    let error = refused(run(&["backup", text(&file)], &data));
    assert!(error.contains("nothing of a tracker") && error.contains("--data DIR"), "{error}");
    fs::write(data.join("names.json"), "{}").unwrap();
    let error = refused(run(&["backup", text(&data.join("tracker.tar"))], &data));
    assert!(error.contains("in the data folder itself"), "{error}");
    let nowhere = missing.join("tracker.tar");
    let error = refused(run(&["backup", text(&nowhere)], &data));
    assert!(error.contains(&format!("cannot write the backup {}", text(&nowhere))), "{error}");
    assert!(!file.exists());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_tracker_that_has_nothing_yet_is_backed_up_and_restored() {
    let (place, data, file) = place();
    drop(Tracker::start_json(&["--data", text(&data)]));
    let said = succeeded(run(&["backup", text(&file)], &data));
    assert!(said.starts_with("0 files (0 bytes)"), "{said}");
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("names.json"), "{}").unwrap();
    let said = succeeded(run(&["restore", text(&file)], &other));
    assert!(said.contains("what was there before is in") && !other.join("names.json").exists(), "{said}");
}

#[test]
fn without_a_data_folder_there_is_nothing_to_back_up_or_restore() {
    let (_place, _, file) = place();
    for command in ["backup", "restore"] {
        let error = refused(run(&[command, text(&file)], Path::new("none")));
        assert!(error.contains("--data none") && error.contains("--data DIR"), "{error}");
    }
}

#[test]
fn the_folder_is_the_one_that_the_tracker_has() {
    let (place, data, file) = place();
    fs::write(data.join("names.json"), "{}").unwrap();
    let settings = place.path().join("tracker.toml");
    fs::write(&settings, "data = 'data'\n").unwrap();
    let command = |arguments: &[&str]| {
        let mut command = tracker();
        command.args(["backup", "--force", text(&file)]).args(arguments).env_remove("TRACKER_DATA");
        command
    };
    let said = succeeded(command(&["--config", text(&settings)]).output().unwrap());
    assert!(said.contains("1 file ("), "{said}");
    succeeded(command(&[]).env("TRACKER_CONFIG", &settings).output().unwrap());
    succeeded(command(&[]).env("TRACKER_DATA", &data).output().unwrap());
    succeeded(command(&[]).env("STATE_DIRECTORY", &data).output().unwrap());
}

#[test]
#[cfg(unix)]
fn links_are_not_followed_and_named() {
    let (_place, data, file) = place();
    fs::write(data.join("share.json"), "{}").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", data.join("names.json")).unwrap();
    let said = succeeded(run(&["backup", text(&file)], &data));
    assert!(said.contains("1 file (2 bytes)"), "{said}");
    assert!(said.contains(&format!("not in it, since it is no regular file: {}/names.json", text(&data))), "{said}");
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let (_place, data, file) = place();
    fs::write(data.join("names.json"), "{}").unwrap();
    fs::write(&file, "x".repeat(2000)).unwrap();
    let error = refused(run(&["restore", text(&file)], &data));
    assert!(error.contains("is not a whole backup of a tracker"), "{error}");
    assert_eq!(fs::read_to_string(data.join("names.json")).unwrap(), "{}");
}
