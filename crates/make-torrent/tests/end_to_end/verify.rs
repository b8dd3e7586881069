//! `make-torrent verify`.

use std::fs;

use serde_json::json;

use crate::common::{Sandbox, TRACKER};

const NEXT: &str = "To get the rest, open the .torrent file in a BitTorrent client, and choose the folder that share is in as \
                    the folder to save to: the client checks what is there, and downloads only what is missing or wrong.\n";

/// `share` with two files of 40,000 bytes, and its torrent with pieces of 16 KiB.
fn shared() -> Sandbox {
    let sandbox = Sandbox::new(&[("share/a", &[1; 40_000]), ("share/sub/b", &[2; 40_000])]);
    sandbox.run(&["share", "-a", TRACKER, "-d"]).expect(0);
    sandbox
}

#[test]
fn whole() {
    let sandbox = shared();
    for path in ["share", "."] {
        let outcome = sandbox.run(&["verify", "share.torrent", path, "-t", "2"]).expect(0);
        assert_eq!(
            outcome.stdout(),
            "share is whole: 2 files, 5 pieces. A BitTorrent client can seed it from where it is.\n"
        );
        assert_eq!(outcome.stderr(), "");
    }
    let torrent = sandbox.read("share.torrent");
    sandbox.run_with_stdin(&["verify", "-", "share"], &torrent).expect(0);
}

#[test]
fn single_file() {
    let sandbox = Sandbox::new(&[("d/a", b"hello")]);
    sandbox.run(&["d/a", "-a", TRACKER]).expect(0);
    for path in ["d", "d/a"] {
        sandbox.run(&["verify", "d/a.torrent", path]).expect(0);
    }
    let outcome = sandbox.run(&["verify", "d/a.torrent", "d/a.torrent"]).expect(1);
    assert!(outcome.stdout().contains("not whole: 0 of 1 file is whole\n1 of 1 piece "), "{}", outcome.stdout());
}

#[test]
fn reports_wrong_files_and_pieces() {
    let sandbox = shared();
    let mut bytes = vec![2; 40_000];
    bytes[39_999] = 0;
    sandbox.write("share/sub/b", &bytes);
    let outcome = sandbox.run(&["verify", "share.torrent", "share"]).expect(1);
    assert_eq!(
        outcome.stdout(),
        "sub/b: wrong: piece 4\n\
         share is not whole: 1 of 2 files are whole\n\
         1 of 5 pieces wrong: piece 4\n"
            .to_owned()
            + NEXT
    );

    fs::remove_file(sandbox.path("share/a")).unwrap();
    bytes.push(0);
    sandbox.write("share/sub/b", &bytes);
    let outcome = sandbox.run(&["verify", "share.torrent", "share"]).expect(1);
    assert_eq!(
        outcome.stdout(),
        "a: missing\n\
         sub/b: has 40001 bytes instead of 40000, wrong: piece 4\n\
         share is not whole: 0 of 2 files are whole\n\
         1 of 5 pieces wrong: piece 4\n\
         3 of 5 pieces could not be compared: pieces 0-2\n"
            .to_owned()
            + NEXT
    );
}

#[test]
fn json() {
    let sandbox = shared();
    let shown = sandbox.run(&["show", "share.torrent", "--json"]).expect(0).json();
    fs::remove_file(sandbox.path("share/sub/b")).unwrap();
    let outcome = sandbox.run(&["verify", "share.torrent", "share", "--json"]).expect(1);
    assert_eq!(
        outcome.json(),
        json!({
            "name": "share",
            "info_hash": shown["info_hash"],
            "info_hash_v2": null,
            "complete": false,
            "piece_count": 5,
            "bad_pieces": [],
            "unchecked_pieces": [2, 3, 4],
            "files": [
                {
                    "path": "a",
                    "length": 40_000,
                    "status": "unchecked",
                    "detail": "shares a piece with a file that is not all there",
                    "bad_pieces": [],
                },
                {
                    "path": "sub/b",
                    "length": 40_000,
                    "status": "missing",
                    "detail": "missing",
                    "bad_pieces": [],
                },
            ],
        })
    );
}

#[test]
fn a_file_of_a_folder() {
    let sandbox = Sandbox::new(&[("Movie/movie.mkv", &[1; 40_000]), ("other.mkv", &[1; 40_000])]);
    sandbox.run(&["Movie", "-a", TRACKER]).expect(0);
    let outcome = sandbox.run(&["verify", "Movie.torrent", "Movie/movie.mkv"]).expect(0);
    assert!(outcome.stdout().contains("whole: 1 file, 3 pieces"), "{}", outcome.stdout());
    let message =
        "\"other.mkv\" is a file, but the torrent is of a folder, in which no file has this name: give the folder";
    sandbox.run(&["verify", "Movie.torrent", "other.mkv"]).expect_failure(message);
}

#[test]
fn nothing_at_the_path() {
    let sandbox = shared();
    let message = "cannot read \"gone\": No such file or directory (os error 2)";
    sandbox.run(&["verify", "share.torrent", "gone"]).expect_failure(message);
}
