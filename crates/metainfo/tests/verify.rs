//! Verifying content through the public API.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use metainfo::{Create, FileStatus, Hazard, Metainfo, PieceLength, Report, Verify, VerifyError};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

const PIECE: usize = 16_384;

/// `share` with three files, and its torrent.
///
/// ```text
/// piece  0    1    2    3    4    5
/// a      ****|****|*
/// b               | ***|**
/// c                    |  **|****|**
/// ```
fn share() -> (TempDir, PathBuf, Metainfo) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("share");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("a"), vec![1; 2 * PIECE + PIECE / 4]).unwrap();
    fs::write(root.join("b"), vec![2; PIECE + PIECE / 4]).unwrap();
    fs::write(root.join("sub/c"), vec![3; 2 * PIECE]).unwrap();
    let metainfo = torrent_of(&root);
    assert_eq!(metainfo.info().pieces().len(), 6);
    (temp, root, metainfo)
}

fn torrent_of(path: &Path) -> Metainfo {
    let plan = Create::new(path).piece_length(PieceLength::MIN).plan().unwrap();
    let created = plan.hash(&AtomicBool::new(false), |_| ()).unwrap();
    Metainfo::parse(created.as_bytes()).unwrap()
}

fn verify(metainfo: &Metainfo, path: &Path) -> Report {
    Verify::new(metainfo, path).run(&AtomicBool::new(false), |_| ()).unwrap()
}

fn statuses(report: &Report) -> Vec<(&str, FileStatus, &[u32])> {
    (report.files.iter()).map(|file| (file.path.as_str(), file.status.clone(), file.bad_pieces.as_slice())).collect()
}

#[test]
fn complete_content_is_found_at_either_path() {
    let (temp, root, metainfo) = share();
    for path in [root.as_path(), temp.path()] {
        let report = verify(&metainfo, path);
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(report.files.len(), 3);
    }
    let single = torrent_of(&root.join("a"));
    for path in [root.join("a"), root.clone()] {
        assert!(verify(&single, &path).is_complete());
    }
    // Under another name.
    fs::rename(root.join("a"), root.join("z")).unwrap();
    assert!(verify(&single, &root.join("z")).is_complete());
    assert_eq!(verify(&single, &root).files[0].status, FileStatus::Missing);
}

/// `share/share`: the outer one counts when it holds the files, the inner one otherwise.
#[test]
fn a_folder_in_a_folder_of_the_same_name() {
    let (_temp, root, metainfo) = share();
    fs::create_dir(root.join("share")).unwrap();
    assert!(verify(&metainfo, &root).is_complete());
    for name in ["a", "b", "sub"] {
        fs::rename(root.join(name), root.join("share").join(name)).unwrap();
    }
    assert!(verify(&metainfo, &root).is_complete());
}

#[test]
fn a_parent_folder_with_files_of_the_same_names() {
    let (temp, root, metainfo) = share();
    fs::write(temp.path().join("a"), b"another").unwrap();
    assert!(verify(&metainfo, temp.path()).is_complete());
    // Also where the content is not whole.
    fs::remove_file(root.join("b")).unwrap();
    assert_eq!(verify(&metainfo, temp.path()).files[1].status, FileStatus::Missing);
    assert_eq!(verify(&metainfo, temp.path()).files[2].status, FileStatus::Unchecked);
}

/// The two differ only in the name of the outer one.
#[test]
fn a_folder_of_the_torrents_name_and_one_in_it() {
    let (temp, root, metainfo) = share();
    for name in ["a", "b"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    fs::create_dir(root.join("share")).unwrap();
    fs::rename(root.join("sub"), root.join("share/sub")).unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/c"), vec![0; 2 * PIECE]).unwrap();
    let last = |path: &Path| verify(&metainfo, path).files.pop().unwrap().status;
    assert_eq!(last(&root), FileStatus::Bad);
    let renamed = temp.path().join("renamed");
    fs::rename(&root, &renamed).unwrap();
    assert_eq!(last(&renamed), FileStatus::Unchecked);
}

#[test]
fn wrong_bytes_name_every_file_of_the_piece() {
    let (_temp, root, metainfo) = share();
    let mut bytes = fs::read(root.join("a")).unwrap();
    bytes[PIECE] = 0;
    bytes[2 * PIECE] = 0;
    fs::write(root.join("a"), bytes).unwrap();
    let report = verify(&metainfo, &root);
    assert!(!report.is_complete());
    assert_eq!(report.bad_pieces, [1, 2]);
    assert_eq!(report.unchecked_pieces, []);
    assert_eq!(
        statuses(&report),
        [("a", FileStatus::Bad, [1, 2].as_slice()), ("b", FileStatus::Bad, &[2]), ("sub/c", FileStatus::Ok, &[]),]
    );
}

#[test]
fn a_missing_file_leaves_its_neighbours_unchecked() {
    let (_temp, root, metainfo) = share();
    fs::remove_file(root.join("b")).unwrap();
    let report = verify(&metainfo, &root);
    assert_eq!(report.bad_pieces, []);
    assert_eq!(report.unchecked_pieces, [2, 3]);
    assert_eq!(
        statuses(&report),
        [
            ("a", FileStatus::Unchecked, [].as_slice()),
            ("b", FileStatus::Missing, &[]),
            ("sub/c", FileStatus::Unchecked, &[]),
        ]
    );
    assert!(!report.is_complete());
}

#[test]
fn wrong_lengths() {
    let (_temp, root, metainfo) = share();
    let mut bytes = fs::read(root.join("a")).unwrap();
    bytes.push(0);
    fs::write(root.join("a"), bytes).unwrap();
    fs::write(root.join("sub/c"), vec![3; PIECE]).unwrap();
    let report = verify(&metainfo, &root);
    // The described part of the longer file is correct.
    assert_eq!(report.bad_pieces, []);
    assert_eq!(report.unchecked_pieces, [4, 5]);
    let found = 2 * PIECE as u64 + PIECE as u64 / 4 + 1;
    assert_eq!(
        statuses(&report),
        [
            ("a", FileStatus::WrongLength { found }, [].as_slice()),
            ("b", FileStatus::Ok, &[]),
            ("sub/c", FileStatus::WrongLength { found: PIECE as u64 }, &[]),
        ]
    );
}

#[test]
fn a_folder_where_a_file_should_be_and_the_other_way_round() {
    let (_temp, root, metainfo) = share();
    fs::remove_file(root.join("b")).unwrap();
    fs::create_dir(root.join("b")).unwrap();
    fs::remove_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("sub"), b"a file").unwrap();
    let report = verify(&metainfo, &root);
    let [_, b, c] = report.files.as_slice() else { panic!("{report:?}") };
    assert_eq!(b.status, FileStatus::Unreadable { reason: "it is not a file".to_owned() });
    assert_eq!(c.status, FileStatus::Missing);
}

#[test]
fn empty_files_are_looked_for() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a"), b"a").unwrap();
    fs::write(temp.path().join("empty"), b"").unwrap();
    let metainfo = torrent_of(temp.path());
    assert!(verify(&metainfo, temp.path()).is_complete());
    fs::write(temp.path().join("empty"), b"b").unwrap();
    assert_eq!(verify(&metainfo, temp.path()).files[1].status, FileStatus::WrongLength { found: 1 });
    fs::remove_file(temp.path().join("empty")).unwrap();
    let report = verify(&metainfo, temp.path());
    assert_eq!(report.files[1].status, FileStatus::Missing);
    assert!(!report.is_complete());
}

/// A torrent written by hand: path, attributes and content of each file.
fn torrent(files: &[(&[&str], &str, &[u8])]) -> Metainfo {
    let files: Vec<_> = files
        .iter()
        .map(|&(path, attributes, content)| (path.iter().map(|part| part.as_bytes()).collect(), attributes, content))
        .collect();
    torrent_of_bytes(b"share", &files)
}

/// Path, attributes and content of a file.
type Entry<'e> = (Vec<&'e [u8]>, &'e str, &'e [u8]);

/// The same with names that are bytes.
fn torrent_of_bytes(name: &[u8], files: &[Entry<'_>]) -> Metainfo {
    let content: Vec<u8> = files.iter().flat_map(|(_, _, content)| content.to_vec()).collect();
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
    let bytes = bencode::encode(|root| {
        root.dict(|root| {
            root.dict("info", |info| {
                info.list("files", |list| {
                    for (path, attributes, content) in files {
                        list.dict(|file| {
                            file.bytes("attr", attributes);
                            file.int("length", content.len() as u64);
                            file.list("path", |list| path.iter().for_each(|part| list.bytes(part)));
                        });
                    }
                });
                info.bytes("name", name);
                info.int("piece length", PIECE as u64);
                info.bytes("pieces", &pieces);
            });
        });
    })
    .unwrap();
    Metainfo::parse(&bytes).unwrap()
}

#[test]
fn padding_is_zeros_and_no_file() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a"), [1; 10]).unwrap();
    fs::write(temp.path().join("b"), [2; 10]).unwrap();
    let pad = vec![0; PIECE - 10];
    let metainfo = torrent(&[(&["a"], "", &[1; 10]), (&[".pad", "1"], "p", &pad), (&["b"], "", &[2; 10])]);
    let report = verify(&metainfo, temp.path());
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.files.len(), 2);
}

/// The file that the path leads to exists and is correct, but it is not read.
#[test]
fn unsafe_paths_are_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("share");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), [1; 10]).unwrap();
    fs::write(temp.path().join("secret"), [2; 10]).unwrap();
    let metainfo = torrent(&[(&["a"], "", &[1; 10]), (&["..", "secret"], "", &[2; 10])]);
    let report = verify(&metainfo, &root);
    assert_eq!(
        statuses(&report),
        [
            ("a", FileStatus::Unchecked, [].as_slice()),
            ("../secret", FileStatus::Unsafe { hazard: Hazard::Relative { component: ".." } }, &[]),
        ]
    );
}

/// Names that are invalid only on Windows are usable here, unless another rule forbids them too.
#[cfg(unix)]
#[test]
fn foreign_names() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("share");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("what?.txt"), [1; 10]).unwrap();
    assert!(verify(&torrent_of(&root), &root).is_complete());

    fs::create_dir(root.join("what?")).unwrap();
    for path in [["what?", "../what?.txt"].as_slice(), &["what?", "..", "what?.txt"]] {
        let report = verify(&torrent(&[(path, "", &[1; 10])]), &root);
        let status = &report.files[0].status;
        assert!(matches!(status, FileStatus::Unsafe { .. }), "{report:?}");
    }
}

/// The torrent's own name counts as those below it do.
#[cfg(unix)]
#[test]
fn a_foreign_name_of_the_torrent_itself() {
    for name in ["What is DNS?", "a:b", "aux", "etc...", "trailing ", "<1>", "\u{202e}txt"] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join(name);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), [1; 10]).unwrap();
        let metainfo = torrent_of_bytes(name.as_bytes(), &[(vec![b"a"], "", &[1; 10])]);
        for path in [temp.path(), &root] {
            assert!(verify(&metainfo, path).is_complete(), "{name} at {path:?}");
        }
        let file = temp.path().join("file").join(name);
        fs::create_dir(temp.path().join("file")).unwrap();
        fs::write(&file, [1; 10]).unwrap();
        let single = torrent_of(&file);
        for path in [file.as_path(), file.parent().unwrap()] {
            assert!(verify(&single, path).is_complete(), "{name} at {path:?}");
        }
    }
    // Harmful everywhere.
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("below");
    fs::create_dir(&root).unwrap();
    fs::write(temp.path().join("a"), [1; 10]).unwrap();
    let metainfo = torrent_of_bytes(b"..", &[(vec![b"a"], "", &[1; 10])]);
    assert_eq!(verify(&metainfo, &root).files[0].status, FileStatus::Missing);
}

/// A torrent and the disk may have names in Latin-1 or any other bytes.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join(OsStr::from_bytes(b"Beyonc\xe9"));
    let folder = root.join(OsStr::from_bytes(b"\x8b\xc8"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"d\xeda?.flac")), [1; 10]).unwrap();
    let metainfo = torrent_of_bytes(b"Beyonc\xe9", &[(vec![b"\x8b\xc8", b"d\xeda?.flac"], "", &[1; 10])]);
    for path in [temp.path(), &root] {
        let report = verify(&metainfo, path);
        assert!(report.is_complete(), "{report:?}");
    }
    for path in [vec![b"\xff/..".as_slice(), b"a"], vec![b"..", b"\xff"], vec![b"\xff\0"]] {
        let report = verify(&torrent_of_bytes(b"Beyonc\xe9", &[(path, "", &[1; 10])]), &root);
        assert!(matches!(report.files[0].status, FileStatus::Unsafe { .. }), "{report:?}");
    }
}

/// Windows takes `\` for a separator, and allows no control characters.
#[cfg(unix)]
#[test]
fn names_that_only_unix_can_have() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("a\\b");
    fs::create_dir_all(root.join("c\nd")).unwrap();
    fs::write(root.join("c\nd/..\\e"), [1; 10]).unwrap();
    let metainfo = torrent_of_bytes(b"a\\b", &[(vec![b"c\nd", b"..\\e"], "", &[1; 10])]);
    for path in [temp.path(), &root] {
        let report = verify(&metainfo, path);
        assert!(report.is_complete(), "{report:?}");
    }
}

/// macOS decomposes names, others mostly compose them.
#[cfg(target_os = "linux")]
#[test]
fn names_in_another_unicode_form() {
    let (nfc, nfd) = ("Fr\u{e9}d\u{e9}ric", "Fre\u{301}de\u{301}ric");
    for (in_torrent, on_disk) in [(nfd, nfc), (nfc, nfd), (nfc, nfc), (nfd, nfd), ("Fr\u{e9}de\u{301}ric", nfd)] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join(on_disk);
        // The folder stands in one form, the file in the other.
        let file = root.join(on_disk).join(if on_disk == nfc { nfd } else { nfc });
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, [1; 10]).unwrap();
        let name = in_torrent.as_bytes();
        let metainfo = torrent_of_bytes(name, &[(vec![name, name], "", &[1; 10])]);
        for path in [temp.path(), &root] {
            assert!(verify(&metainfo, path).is_complete(), "{in_torrent:?} {on_disk:?}");
        }
        let single = torrent_of_bytes(name, &[(vec![name], "", &[1; 10])]);
        assert!(verify(&single, &file).is_complete(), "{in_torrent:?} {on_disk:?}");
    }

    // The exact name wins, and of folders in both forms the one that has the file.
    let temp = tempfile::tempdir().unwrap();
    for (path, byte) in [(format!("{nfc}/{nfd}"), 1), (format!("{nfd}/{nfc}"), 2), (format!("{nfd}/only"), 3)] {
        let path = temp.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [byte; 10]).unwrap();
    }
    let metainfo = torrent(&[(&[nfc, nfd], "", &[1; 10]), (&[nfd, nfc], "", &[2; 10]), (&[nfc, "only"], "", &[3; 10])]);
    let report = verify(&metainfo, temp.path());
    assert!(report.is_complete(), "{report:?}");
}

/// Some programs write an empty folder as a file without bytes and without a name.
#[test]
fn an_entry_that_no_file_can_have_is_none() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("docs")).unwrap();
    fs::write(temp.path().join("docs/a"), [1; 10]).unwrap();
    for placeholder in [["docs", ""].as_slice(), &[""], &["docs", "empty", ""], &["docs", "."], &["docs", "empty/"]] {
        for first in [true, false] {
            let mut files: Vec<(&[&str], &str, &[u8])> = vec![(&["docs", "a"], "", &[1; 10])];
            files.insert(if first { 0 } else { 1 }, (placeholder, "", &[]));
            let report = verify(&torrent(&files), temp.path());
            assert!(report.is_complete(), "{placeholder:?}: {report:?}");
            assert_eq!(report.files.len(), 1);
            assert_eq!(report.files[0].index, usize::from(first));
        }
    }
    // Several are no conflict.
    let files: [(&[&str], &str, &[u8]); 4] =
        [(&["docs", "a"], "", &[1; 10]), (&["docs", ""], "", &[]), (&["docs", ""], "", &[]), (&[], "", &[])];
    let report = verify(&torrent(&files), temp.path());
    assert!(report.is_complete() && report.files.len() == 1, "{report:?}");
    // With bytes it is content that cannot be had, and an empty file that can exist is looked for.
    let report = verify(&torrent(&[(&["docs", "a"], "", &[1; 10]), (&["docs", ""], "", &[2])]), temp.path());
    assert_eq!(report.files[1].status, FileStatus::Unsafe { hazard: Hazard::Empty });
    let report = verify(&torrent(&[(&["docs", "a"], "", &[1; 10]), (&["docs", "b"], "", &[])]), temp.path());
    assert_eq!(report.files[1].status, FileStatus::Missing);
}

#[test]
fn a_file_of_a_folder_may_be_given_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("movie.mkv");
    fs::write(&file, [1; 10]).unwrap();
    let report = verify(&torrent(&[(&["movie.mkv"], "", &[1; 10])]), &file);
    assert!(report.is_complete(), "{report:?}");
    assert!(verify(&torrent(&[(&["cd 1", "movie.mkv"], "", &[1; 10])]), &file).is_complete());
    let report = verify(&torrent(&[(&["movie.mkv"], "", &[2; 10])]), &file);
    assert_eq!(report.files[0].status, FileStatus::Bad);

    // The others of the folder are not there.
    let pad = vec![0; PIECE - 10];
    let several =
        torrent(&[(&["movie.mkv"], "", &[1; 10]), (&[".pad", "movie.mkv"], "p", &pad), (&["movie.txt"], "", &[2; 10])]);
    let report = verify(&several, &file);
    assert_eq!(
        statuses(&report),
        [("movie.mkv", FileStatus::Ok, [].as_slice()), ("movie.txt", FileStatus::Missing, &[])]
    );

    for (files, ambiguous) in [
        (vec![["cd 1", "movie.mkv"].as_slice(), &["cd 2", "movie.mkv"]], true),
        (vec![&["other.mkv"]], false),
        (vec![&["movie.mkv", "movie.txt"]], false),
    ] {
        let files: Vec<_> = files.into_iter().map(|path| (path, "", [1; 10].as_slice())).collect();
        let result = Verify::new(&torrent(&files), &file).run(&AtomicBool::new(false), |_| ());
        let Err(VerifyError::FolderWanted { path, is_ambiguous }) = result else { panic!("{result:?}") };
        assert_eq!((path, is_ambiguous), (file.clone(), ambiguous));
    }
}

#[test]
fn errors_before_hashing() {
    let (temp, root, metainfo) = share();
    let nowhere = temp.path().join("nowhere");
    let result = Verify::new(&metainfo, &nowhere).run(&AtomicBool::new(false), |_| ());
    assert!(matches!(result, Err(VerifyError::Unreadable { path, .. }) if path == nowhere));
    let result = Verify::new(&metainfo, &root).run(&AtomicBool::new(true), |_| ());
    assert!(matches!(result, Err(VerifyError::Cancelled)));
}
