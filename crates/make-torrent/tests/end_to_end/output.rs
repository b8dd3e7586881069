//! Where the .torrent file goes.

use std::fs::{self, File};

use crate::common::{Sandbox, TRACKER};

/// A sparse file that takes hours to hash: what fails, fails before that.
fn endless(name: &str) -> Sandbox {
    let sandbox = Sandbox::new(&[]);
    File::create(sandbox.path(name)).unwrap().set_len(1 << 42).unwrap();
    sandbox
}

#[test]
fn a_trailing_separator_means_a_folder() {
    for path in ["course", "course/", "course/.", "course/sub/.."] {
        let sandbox = Sandbox::new(&[("course/sub/a", b"a"), ("made/here/x", b"")]);
        sandbox.run(&[path, "-a", TRACKER, "-o", "made/here/", "-n", "other"]).expect(0);
        assert!(sandbox.path("made/here/course.torrent").is_file(), "{path}");
    }
    for (output, torrent) in
        [(".", "a.torrent"), ("./sub/..", "a.torrent"), ("sub/.", "sub/a.torrent"), ("./", "a.torrent")]
    {
        let sandbox = Sandbox::new(&[("b/a", b"a"), ("sub/x", b"")]);
        sandbox.run(&["b/a", "-a", TRACKER, "-o", output]).expect(0);
        assert!(sandbox.path(torrent).is_file(), "{output}");
    }
    let sandbox = Sandbox::new(&[("a", b"a"), ("made/a.torrent", b"precious")]);
    let message = "\"made/a.torrent\" is there already; --force overwrites it";
    sandbox.run(&["a", "-a", TRACKER, "-o", "made/"]).expect_failure(message);
    sandbox.run(&["a", "-a", TRACKER, "-o", "made/", "-f"]).expect(0);
}

#[test]
fn what_cannot_be_written_fails_before_hashing() {
    let sandbox = endless("content");
    sandbox.write("file", b"");
    fs::create_dir(sandbox.path("folder")).unwrap();
    for (output, message) in [
        ("new/", "\"new/\" is not a folder; make it first, or give a file name to -o"),
        ("file/", "\"file/\" is not a folder; make it first, or give a file name to -o"),
        ("new/a.torrent", "cannot write into \"new\": there is no such folder; make the folder first"),
        ("new/sub/a.torrent", "cannot write into \"new/sub\": there is no such folder; make the folder first"),
        ("file/a.torrent", "cannot write into \"file\": it is not a folder; give another place with -o"),
        ("file/b/a.torrent", "cannot write into \"file/b\": a part of this path is a file; give another place with -o"),
        ("folder", "\"folder\" is there and is not a file; -o folder/ puts content.torrent into it"),
        ("./folder", "\"./folder\" is there and is not a file; -o ./folder/ puts content.torrent into it"),
    ] {
        let outcome = sandbox.run(&["content", "-a", TRACKER, "-o", output]).expect(1);
        assert!(outcome.stderr().starts_with(&format!("make-torrent: {message}")), "{}", outcome.stderr());
        assert_eq!(outcome.stderr().lines().count(), 1);
    }
    assert_eq!(sandbox.names(), ["content", "file", "folder"]);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_too_long_names_the_option() {
    for name in ["x".repeat(254), "ü".repeat(127)] {
        let sandbox = endless(&name);
        let outcome = sandbox.run(&[&name, "-a", TRACKER]).expect(1);
        assert!(outcome.stderr().contains("-o gives"), "{}", outcome.stderr());
        assert!(outcome.stderr().contains("File name too long"), "{}", outcome.stderr());
        assert_eq!(sandbox.names(), [name]);
    }
    let name = "x".repeat(254);
    let sandbox = Sandbox::new(&[(&name, b"content")]);
    sandbox.run(&[&name, "-a", TRACKER, "-o", "short.torrent"]).expect(0);
}

/// The link itself would be replaced, although nothing can be read through it.
#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_in_the_way() {
    let sandbox = endless("content");
    std::os::unix::fs::symlink("nothing", sandbox.path("content.torrent")).unwrap();
    let message = "\"content.torrent\" is there already; --force overwrites it";
    sandbox.run(&["content", "-a", TRACKER]).expect_failure(message);

    let sandbox = Sandbox::new(&[("a", b"a")]);
    std::os::unix::fs::symlink("nothing", sandbox.path("a.torrent")).unwrap();
    sandbox.run(&["a", "-a", TRACKER, "-f"]).expect(0);
    assert!(fs::symlink_metadata(sandbox.path("a.torrent")).unwrap().is_file());
}
