//! The folder to share, and the data folder.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{get, post};
use crate::dashboard::observed;
use crate::running::{Tracker, tracker};
use crate::{error_of, succeeded};

const HERE: &str = "127.0.0.1:0";

/// A home folder with a folder to share in it, and a file in that.
fn home() -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let lessons = home.path().join("Lessons");
    fs::create_dir(&lessons).unwrap();
    fs::write(lessons.join("lecture.txt"), "Hello").unwrap();
    let lessons = text(&lessons);
    (home, lessons)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// What `--print-config` prints with these arguments, and this home folder.
fn settings(home: &Path, arguments: &[&str]) -> String {
    let mut command = tracker();
    command.args(arguments).args(["--dashboard", "--print-config"]).env("HOME", home).env_remove("XDG_DATA_HOME");
    succeeded(command.env_remove("TRACKER_DATA").output().unwrap())
}

#[test]
fn a_folder_is_shared_by_its_name_alone() {
    let (home, lessons) = home();
    let line = format!("share = \"{lessons}\"");
    for arguments in [&[&*lessons][..], &["--share", &lessons], &["--udp=false", &lessons, "--lean"]] {
        assert!(settings(home.path(), arguments).lines().any(|printed| printed == line), "{arguments:?}");
    }
    // The argument counts more than the environment.
    let output =
        tracker().args([&lessons, "--dashboard", "--print-config"]).env("TRACKER_SHARE", "/srv").output().unwrap();
    assert!(succeeded(output).contains(&line));
    assert!(error_of(&[&lessons, "--share", &lessons]).contains("two folders to share"));
}

#[test]
fn the_name_of_a_command_is_the_command() {
    let home = tempfile::tempdir().unwrap();
    for name in ["generate", "lessons", "report"] {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    let run = |argument: &str| {
        tracker().args([argument, "--dashboard", "--print-config"]).current_dir(&home).output().unwrap()
    };
    for name in ["help", "version", "firewall"] {
        let error = String::from_utf8(run(name).stderr).unwrap();
        assert!(error.contains(&format!("there is no folder {name}; write --{name}")), "{error}");
    }
    assert_eq!(run("generate").status.code(), Some(2), "it is a command that needs more arguments");
    assert_eq!(run("report").status.code(), Some(2), "it is a command without these flags");
    let after_a_flag = tracker().args(["--dashboard", "--print-config", "report"]).current_dir(&home).output().unwrap();
    let first = |argument| (run(argument), argument.trim_start_matches("./"));
    let folders = ["./generate", "./report", "lessons"].map(first).into_iter().chain([(after_a_flag, "report")]);
    for (output, name) in folders {
        let share = format!("/{name}\"");
        let printed = succeeded(output);
        assert!(printed.lines().any(|line| line.starts_with("share = ") && line.ends_with(&share)), "{printed}");
    }
}

#[test]
fn a_folder_that_cannot_be_shared_is_refused_with_what_to_write() {
    let (home, lessons) = home();
    let in_lessons = |name: &str| format!("{lessons}/{name}");
    let example = text(&home.path().canonicalize().unwrap().join("Lessons"));
    for (argument, sentence) in [
        (in_lessons("missing"), format!("there is no folder {}", in_lessons("missing"))),
        (in_lessons("lecture.txt"), format!("write the folder that it is in, {lessons}")),
        (text(home.path()), format!("write a folder in it, such as {example}")),
        (text(home.path().parent().unwrap()), format!("write a folder in it, such as {example}")),
        ("/".to_owned(), "write the folder whose files you want to share".to_owned()),
    ] {
        for arguments in [&[&*argument][..], &["--share", &argument]] {
            let listen = ["--dashboard", "--listen", HERE, "--dashboard-listen", HERE];
            let output = tracker().args(listen).args(arguments).env("HOME", home.path()).output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
            let last = error.trim_end().lines().last().unwrap_or_default();
            assert!(last.starts_with("error: ") && last.contains(&sentence), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn nothing_is_written_into_the_folder_to_share() {
    let (_home, lessons) = home();
    let inner = format!("{lessons}/inner");
    for flag in ["--data", "--torrents"] {
        let error = error_of(&["--listen", HERE, "--dashboard", "--dashboard-listen", HERE, &lessons, flag, &inner]);
        assert!(error.contains(&format!("{lessons} has the folder {inner} in it")), "{error}");
        assert!(!Path::new(&inner).exists());
    }
}

#[test]
fn the_data_folder_is_the_platforms_unless_another_is_named() {
    let home = tempfile::tempdir().unwrap();
    let data = |arguments: &[&str]| {
        let printed = settings(home.path(), arguments);
        printed.lines().find(|line| line.trim_start_matches("# ").starts_with("data = ")).unwrap().to_owned()
    };
    if cfg!(target_os = "linux") {
        assert_eq!(data(&[]), format!("# data = \"{}/.local/share/lan-tracker\"", home.path().display()));
    }
    assert_eq!(data(&["--data", "none"]), "data = \"none\"");
    assert_eq!(data(&["--data", "/srv/data"]), "data = \"/srv/data\"");
    let file = home.path().join("tracker.toml");
    fs::write(&file, "data = 'here'\n").unwrap();
    assert_eq!(data(&["--config", &text(&file)]), format!("data = \"{}\"", text(&home.path().join("here"))));

    let mut command = tracker();
    command.arg("--print-config").env_remove("TRACKER_DATA").env("STATE_DIRECTORY", "/var/lib/tracker:/var/lib/other");
    assert!(succeeded(command.output().unwrap()).contains("# data = \"/var/lib/tracker\""));
}

#[test]
fn torrents_are_kept_in_the_data_folder_which_one_tracker_uses() {
    let home = tempfile::tempdir().unwrap();
    let data = text(&home.path().join("data"));
    let torrent = format!("d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:{}ee", "x".repeat(20));
    let start = || observed(&["--data", &data]);
    let names = |dashboard| {
        let answer = get(dashboard, "/api/v1/torrents");
        let list: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect::<Vec<_>>()
    };
    let first = start();
    let answer = post(first.dashboard, "/api/v1/torrents", torrent.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(fs::read_dir(Path::new(&data).join("torrents")).unwrap().count(), 1);

    let error = error_of(&["--listen", HERE, "--data", &data]);
    assert!(error.contains(&format!("another tracker (process {})", first.tracker.child.id())), "{error}");
    assert!(error.contains("--data none"), "{error}");
    drop(first);
    assert_eq!(names(start().dashboard), ["a"]);
}

#[test]
fn a_second_tracker_shares_nothing_without_a_data_folder_of_its_own() {
    let (_home, lessons) = home();
    let data = tempfile::tempdir().unwrap();
    let with_default = || {
        let mut command = tracker();
        command.args(["--listen", HERE, "--dashboard-listen", HERE, "--log-format", "json"]).env_remove("TRACKER_DATA");
        command.env("STATE_DIRECTORY", data.path());
        command
    };
    let first = Tracker::spawn(with_default());
    first.log.wait_for(|line| line.contains("announce URL"));
    let second = Tracker::spawn(with_default());
    let warning = second.log.wait_for(|line| line.contains("data folder"));
    assert!(warning.contains("\"WARN\"") && warning.contains("another tracker"), "{warning}");
    second.log.wait_for(|line| line.contains("announce URL"));

    let third = with_default().args(["--dashboard", &lessons]).output().unwrap();
    assert_eq!(third.status.code(), Some(2));
    let error = String::from_utf8(third.stderr).unwrap();
    assert!(error.contains("a folder and ports of its own, such as --data DIR --listen"), "{error}");
}

#[test]
#[cfg(unix)]
fn an_old_data_folder_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;

    let data = tempfile::tempdir().unwrap();
    let mode = || data.path().metadata().unwrap().permissions().mode() & 0o777;
    fs::create_dir(data.path().join("torrents")).unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let tracker = Tracker::start(&["--listen", HERE, "--data", data.path().to_str().unwrap()]);
    tracker.out.wait_for(|line| line.contains("announce"));
    assert_eq!(mode(), 0o700);
}

#[test]
fn a_default_data_folder_that_cannot_be_made_is_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let mut command = tracker();
    command.args(["--listen", HERE, "--log-format", "json"]).env_remove("TRACKER_DATA").env("STATE_DIRECTORY", &file);
    let tracker = Tracker::spawn(command);
    let warning = tracker.log.wait_for(|line| line.contains("data folder"));
    assert!(warning.contains("\"WARN\"") && warning.contains("--data DIR"), "{warning}");
    tracker.log.wait_for(|line| line.contains("announce URL"));
}
