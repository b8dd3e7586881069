use std::io::Write;

use metainfo::Existing;
use tar::{Builder, Header};

use super::*;
use crate::backup::back_up;

const FILES: [(&str, &str); 4] =
    [("journal.3", "counters"), ("share.json", "{}"), ("swarms.snapshot", ""), ("torrents/a.torrent", "d4:infode")];

/// A data folder with these files.
fn data_folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What outlives the tracker in a folder.
fn kept(folder: &Path) -> Vec<(String, String)> {
    let files = crate::kept_path::KeptPaths::list(folder).unwrap().files;
    files.iter().map(|kept| (kept.to_string(), fs::read_to_string(kept.in_folder(folder)).unwrap())).collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The names in a folder but that of the lock.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "lock");
    names.sort();
    names
}

/// An entry of an archive: its path, its kind and its bytes.
type Entry<'a> = (&'a str, EntryType, &'a [u8]);

/// The path of a backup of these files.
fn backup(place: &TempDir, files: &[(&str, &str)]) -> PathBuf {
    let file = place.path().join("backup.tar");
    back_up(data_folder(files).path(), &file, Existing::Replace).unwrap();
    file
}

/// An archive with these entries, each with its kind.
fn archive(place: &TempDir, entries: &[Entry<'_>]) -> PathBuf {
    let file = place.path().join("made.tar");
    let mut builder = Builder::new(File::create(&file).unwrap());
    for (path, kind, bytes) in entries {
        let mut header = Header::new_gnu();
        // Not by the methods of the crate, which refuse some.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.finish().unwrap();
    file
}

fn manifest(files: &[(&str, &str)]) -> Vec<u8> {
    let listed = files.iter().map(|(path, text)| {
        let mut reader = Hashing::new(text.as_bytes());
        copy(&mut reader, &mut io::sink()).unwrap();
        reader.finish(path)
    });
    serde_json::to_vec(&Manifest::new(7, listed.collect())).unwrap()
}

#[test]
fn all_that_was_backed_up_is_there_again_and_what_was_there_is_aside() {
    let place = tempfile::tempdir().unwrap();
    let long = format!("torrents/{}.torrent", "ü".repeat(100));
    let files = [&FILES[..], &[(&*long, "long")]].concat();
    let file = backup(&place, &files);
    let old = [("journal.9", "old"), ("names.json", "old"), ("torrents/b.torrent", "old")];
    let folder = data_folder(&[&old[..], &[("other", "other"), ("swarms.snapshot.damaged", "aside")]].concat());
    let data = DataFolder::open(folder.path()).unwrap();
    let summary = restore(&data, &file).unwrap();
    assert_eq!(summary.files, files.len());
    assert_eq!(kept(folder.path()), owned(&files));
    let before = summary.before.unwrap();
    assert_eq!(kept(&before), owned(&old));
    let before = before.file_name().unwrap().to_str().unwrap();
    assert!(before.starts_with("before-restore-2"), "{before}");
    assert_eq!(
        names(folder.path()),
        [before, "journal.3", "other", "share.json", "swarms.snapshot", "swarms.snapshot.damaged", "torrents"]
    );

    // Once more, within the same second: neither what was restored nor what was there before that is lost.
    let again = restore(&data, &file).unwrap().before.unwrap();
    assert_ne!(again.file_name().unwrap(), before);
    assert_eq!(kept(&again), owned(&files));
    assert_eq!(kept(folder.path()), owned(&files));
}

#[test]
fn an_empty_folder_has_nothing_to_move_aside() {
    let place = tempfile::tempdir().unwrap();
    let file = backup(&place, &FILES);
    let data = DataFolder::open(place.path().join("new/data")).unwrap();
    assert_eq!(restore(&data, &file).unwrap().before, None);
    assert_eq!(kept(data.path()), owned(&FILES));
    assert_eq!(names(data.path()), ["journal.3", "share.json", "swarms.snapshot", "torrents"]);
}

#[test]
fn a_crash_at_any_moment_loses_nothing() {
    let old = [("journal.9", "old"), ("names.json", "old"), ("torrents/b.torrent", "old")];
    let new = FILES;
    // The number of names that were moved before the crash, in both phases.
    for moved in 0..=(3 + 4) {
        let folder = data_folder(&old);
        let staged = tempfile::Builder::new().prefix(STAGING).tempdir_in(folder.path()).unwrap();
        for (path, text) in new {
            let path = staged.path().join(NEW).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        swap::begin(folder.path(), staged).unwrap();
        let at = |path: &str| folder.path().join(path);
        for name in ["journal.9", "names.json", "torrents"].iter().take(moved) {
            fs::rename(at(name), at("restore-moving-aside").join(name)).unwrap();
        }
        if moved > 3 {
            fs::rename(at("restore-moving-aside"), at("restore-putting-in-place")).unwrap();
            for name in ["swarms.snapshot", "torrents", "journal.3", "share.json"].iter().take(moved - 3) {
                fs::rename(at("restore-putting-in-place/new").join(name), at(name)).unwrap();
            }
        }
        assert!(is_interrupted(folder.path()));
        let error = back_up(folder.path(), &std::env::temp_dir().join("none.tar"), Existing::Keep).unwrap_err();
        assert!(error.to_string().contains("was interrupted"), "{error}");

        DataFolder::open(folder.path()).unwrap();
        assert!(!is_interrupted(folder.path()));
        assert_eq!(kept(folder.path()), owned(&new), "{moved}");
        let before = names(folder.path()).into_iter().find(|name| name.starts_with("before-restore-")).unwrap();
        assert_eq!(kept(&at(&before)), owned(&old), "{moved}");
        assert_eq!(finish(folder.path()).unwrap(), None);
    }
}

#[test]
fn what_no_backup_has_is_refused_and_nothing_is_changed() {
    use EntryType::{Directory, GNULongName, Link, Regular, Symlink, XHeader};

    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(&[("share.json", "old")]);
    let data = DataFolder::open(folder.path()).unwrap();
    let list = manifest(&[("share.json", "{}")]);
    let list = (MANIFEST, Regular, &*list);
    let share = ("share.json", Regular, &b"{}"[..]);
    let newer = br#"{"format": "lan-tracker-backup", "version": 7}"#;
    let cases: &[(&[Entry<'_>], &str)] = &[
        (&[], "is not a whole backup"),
        (&[share], "is not a whole backup"),
        (&[share, (MANIFEST, Regular, b"{}")], "is not a whole backup"),
        (&[share, (MANIFEST, Regular, newer)], "by a newer tracker (version 7"),
        (&[("../share.json", Regular, b"{}"), list], "\"../share.json\""),
        (&[("/etc/passwd", Regular, b"{}"), list], "\"/etc/passwd\""),
        (&[("torrents/../../a.torrent", Regular, b"{}"), list], "\"torrents/../../a.torrent\""),
        (&[("lock", Regular, b"{}"), list], "\"lock\""),
        (&[("a\x1b[1m", Regular, b""), list], "\"a\\u{1b}[1m\""),
        (&[("torrents", Directory, b""), share, list], "\"torrents\""),
        (&[("share.json", Symlink, b""), list], "\"share.json\""),
        (&[("share.json", Link, b""), list], "\"share.json\""),
        (&[("share.json", XHeader, b"12 path=lock\n"), share, list], "\"share.json\""),
        (&[("x", GNULongName, b"../../a.torrent\0"), share, list], "\"../../a.torrent\""),
        (&[("x", GNULongName, &[b'a'; 2000]), share, list], "\"x\""),
        (&[share, share, list], "\"share.json\""),
        (&[share, list, share], "\"share.json\""),
        (&[share, list, list], "\"manifest.json\""),
        (&[list], "\"share.json\" in "),
        (&[share, ("names.json", Regular, b""), list], "\"names.json\" in "),
        (&[("share.json", Regular, b"{]"), list], "\"share.json\" in "),
    ];
    for (entries, expected) in cases {
        let error = restore(&data, &archive(&place, entries)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, not {expected}");
        assert_eq!(kept(folder.path()), owned(&[("share.json", "old")]), "{expected}");
        assert_eq!(names(folder.path()), ["share.json"], "{expected}");
    }
    let good = restore(&data, &archive(&place, &[share, list])).unwrap();
    assert_eq!((good.files, good.written), (1, 7));
}

#[test]
fn a_backup_that_was_cut_or_damaged_anywhere_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let whole = fs::read(backup(&place, &FILES)).unwrap();
    let folder = data_folder(&[("share.json", "old")]);
    let data = DataFolder::open(folder.path()).unwrap();
    let file = place.path().join("bad.tar");
    // Two empty blocks end an archive. The list has less than a block of padding before them.
    let list = whole.windows(13).position(|window| window == MANIFEST.as_bytes()).unwrap();
    for length in (0..list + 700).step_by(101) {
        fs::write(&file, &whole[..length]).unwrap();
        restore(&data, &file).unwrap_err();
        assert_eq!(kept(folder.path()), owned(&[("share.json", "old")]), "{length}");
    }
    let content = whole.windows(8).position(|window| window == b"counters").unwrap();
    for at in [0, 100, content, list, list + 512] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        restore(&data, &file).unwrap_err();
        assert_eq!(kept(folder.path()), owned(&[("share.json", "old")]), "{at}");
    }
    let mut garbage = File::create(&file).unwrap();
    garbage.write_all(&[0x55; 5000]).unwrap();
    let error = restore(&data, &file).unwrap_err();
    assert!(matches!(error, RestoreError::NotABackup { .. }), "{error}");
    for missing in [place.path().join("missing.tar"), place.path().to_owned()] {
        let error = restore(&data, &missing).unwrap_err();
        assert!(matches!(error, RestoreError::Read { .. }), "{error}");
    }
    assert_eq!(names(folder.path()), ["share.json"]);
}

/// Bytes that were changed, put in or taken out anywhere: nothing but what a backup has gets into the folder, and nothing is half done.
#[test]
fn a_hostile_backup_writes_nothing_else() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    let place = tempfile::tempdir().unwrap();
    let long = format!("torrents/{}.torrent", "a".repeat(150));
    let whole = fs::read(backup(&place, &[&FILES[..], &[(&*long, "long")]].concat())).unwrap();
    let folder = data_folder(&[("share.json", "old")]);
    let data = DataFolder::open(folder.path()).unwrap();
    let file = place.path().join("hostile.tar");
    let seed = rand::random_range(0..1_000_000);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            // Heads more often than what follows them, which is mostly empty.
            let at = rng.random_range(0..bytes.len() / 512) * 512 + rng.random_range(0..160);
            match rng.random_range(0..4) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] ^= 1 << rng.random_range(0..8),
                2 => drop(bytes.drain(at..(at + 512).min(bytes.len()))),
                _ => drop(bytes.splice(at..at, whole[..rng.random_range(0..2000)].iter().copied())),
            }
            // The sum in each head, so that not all of them are refused for it.
            for head in bytes.chunks_exact_mut(512).filter(|head| &head[257..262] == b"ustar") {
                head[148..156].fill(b' ');
                let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
                head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        fs::write(&file, bytes).unwrap();
        match restore(&data, &file) {
            // What was changed had no meaning.
            Ok(summary) => {
                assert_eq!(summary.files, 5);
                let before = summary.before.unwrap();
                assert_eq!(kept(&before), owned(&[("share.json", "old")]));
                for name in names(folder.path()) {
                    let path = folder.path().join(name);
                    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
                }
                fs::write(folder.path().join("share.json"), "old").unwrap();
            }
            Err(_) => assert_eq!(kept(folder.path()), owned(&[("share.json", "old")])),
        }
        assert_eq!(names(folder.path()), ["share.json"]);
        assert_eq!(names(place.path()), ["backup.tar", "hostile.tar"]);
    }
}
