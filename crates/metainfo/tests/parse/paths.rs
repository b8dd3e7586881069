//! Safe paths of a torrent, and the sanitised form of unsafe ones.

use std::collections::HashSet;
use std::path::{Component, Path};

use metainfo::{ConflictingPaths, Hazard, Metainfo, ParseOptions};
use proptest::prelude::*;

use crate::torrents::{file, folder, list, multi, single};

fn parse(torrent: &[u8]) -> Metainfo {
    let options = ParseOptions { conflicting_paths: ConflictingPaths::Accept, ..ParseOptions::default() };
    Metainfo::parse_with(torrent, &options).expect("valid but for its paths")
}

/// A link and, for it to point to, a file `a/b` and a file `c`.
fn link(path: &[&str], target: &[&str]) -> String {
    format!("d4:attr1:l6:lengthi0e4:path{}12:symlink path{}e", list(path), list(target))
}

fn hazards(entries: &[String]) -> Vec<Option<Hazard>> {
    let metainfo = parse(&multi(&entries.concat(), &[]));
    metainfo.info().files().iter().map(|file| file.safe_path().err().map(|error| error.hazard)).collect()
}

fn sanitized(metainfo: &Metainfo) -> Vec<String> {
    let paths = metainfo.info().sanitized_paths();
    paths.iter().map(|path| path.to_str().expect("UTF-8").replace('\\', "/")).collect()
}

#[test]
fn safe_paths_are_native_paths() {
    let metainfo = parse(&folder(&[&["a", "b", "c.txt"], &["d"]]));
    let [file, _] = metainfo.info().files() else { panic!("two files") };
    assert_eq!(file.safe_path().as_deref(), Ok(&*Path::new("a").join("b").join("c.txt")));
    assert_eq!(sanitized(&metainfo), ["a/b/c.txt", "d"]);
}

#[test]
fn names() {
    let metainfo = parse(&single(&[("name", Some("9:../passwd"))]));
    assert_eq!(metainfo.info().safe_name().map_err(|error| error.hazard), Err(Hazard::Separator { character: '/' }));
    assert_eq!(metainfo.info().sanitized_name(), Path::new(".._passwd"));
}

#[test]
fn files_in_each_others_way() {
    let metainfo = parse(&folder(&[&["a"], &["b"], &["a"], &["b", "c"], &["b", "c", "d"], &["b"]]));
    let hazards: Vec<_> =
        metainfo.info().files().iter().map(|file| file.safe_path().err().map(|error| error.hazard)).collect();
    let both = Some(Hazard::FileAndFolder);
    assert_eq!(hazards, [None, both.clone(), Some(Hazard::Duplicate), both.clone(), None, both]);
    assert_eq!(sanitized(&metainfo), ["a", "b.1", "a.1", "b/c.1", "b/c/d", "b.2"]);
}

#[test]
fn links() {
    let entries = [
        file(20_000, &["a", "b"], ""),
        file(0, &["c"], ""),
        link(&["to file"], &["a", "b"]),
        link(&["to folder"], &["a"]),
        link(&["to link"], &["to file"]),
        link(&["up"], &["..", "etc"]),
        link(&["absolute"], &["/etc/passwd"]),
        link(&["nowhere"], &["d"]),
        link(&["below a file"], &["c", "d"]),
        link(&["self"], &["self"]),
        link(&["one"], &["two"]),
        link(&["two"], &["one"]),
        link(&["a", "parent"], &["a"]),
        link(&["empty"], &[]),
        "d4:attr1:l4:pathl7:missingee".to_owned(),
        "d4:attr2:lp4:pathl7:paddinge12:symlink pathl2:..ee".to_owned(),
    ];
    let unsafe_target = |hazard| Some(Hazard::UnsafeTarget(Box::new(hazard)));
    assert_eq!(
        hazards(&entries),
        [
            None,
            None,
            None,
            None,
            None,
            unsafe_target(Hazard::Relative { component: ".." }),
            unsafe_target(Hazard::Separator { character: '/' }),
            Some(Hazard::LinkOutside),
            Some(Hazard::LinkOutside),
            Some(Hazard::LinkLoop),
            Some(Hazard::LinkLoop),
            Some(Hazard::LinkLoop),
            Some(Hazard::LinkLoop),
            Some(Hazard::LinkWithoutTarget),
            Some(Hazard::LinkWithoutTarget),
            unsafe_target(Hazard::Relative { component: ".." }),
        ]
    );
}

#[test]
fn padding_in_the_way_of_a_file() {
    let pad = |path: &[&str]| format!("d4:attr1:p6:lengthi0e4:path{}e", list(path));
    let entries = [
        file(20_000, &["a", "b"], ""),
        pad(&["a", "b"]),
        pad(&["a"]),
        pad(&["a", "b", "c"]),
        pad(&[".pad", "0"]),
        pad(&[".pad", "0"]),
    ];
    let both = Some(Hazard::FileAndFolder);
    assert_eq!(hazards(&entries), [None, Some(Hazard::Duplicate), both.clone(), both, None, None]);

    let torrent = multi(&entries.concat(), &[]);
    let metainfo = Metainfo::parse(&torrent).expect("padding is in nobody's way");
    assert_eq!(sanitized(&metainfo), ["a/b", "a/b.1", "a.1", "a/b.2/c", ".pad/0", ".pad/0.1"]);
}

#[test]
fn names_that_would_collide() {
    let metainfo = parse(&folder(&[
        &["a?.txt"],
        &["a*.txt"],
        &["a_.txt"],
        &["A:.txt"],
        &["x?", "same"],
        &["x*", "same"],
        &["..", "up"],
        &["", "empty"],
    ]));
    assert_eq!(
        sanitized(&metainfo),
        ["a_.1.txt", "a_.2.txt", "a_.txt", "A_.3.txt", "x_/same", "x_/same.1", "__/up", "_/empty"]
    );
}

#[test]
fn thousands_of_collisions_take_linear_time() {
    // With a search from 1 each time this would be 20,000 squared.
    let paths: Vec<&[&str]> = vec![&["?"]; 20_000];
    let paths = sanitized(&parse(&folder(&paths)));
    assert_eq!((paths[0].as_str(), paths[19_999].as_str()), ("_", "_.19999"));
}

/// Components that are valid, in conflict with each other, or hostile.
fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[abA]{1,2}",
        2 => "[a_?*.]{0,3}",
        1 => prop::sample::select(vec!["..", ".", "", "/", "a/../b", "\\", "con", "CON.txt", "\u{202e}a", "a\0", "C:"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[ax.]{230,300}",
    ]
}

proptest! {
    #[test]
    fn sanitized_paths_are_unique_and_stay_inside(
        paths in prop::collection::vec(prop::collection::vec(component(), 1..4), 1..12)
    ) {
        let borrowed: Vec<Vec<&str>> = paths.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
        let slices: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
        let metainfo = parse(&folder(&slices));
        let files = metainfo.info().files();

        let safe: Vec<_> = files.iter().filter_map(|file| file.safe_path().ok()).collect();
        let sanitized = metainfo.info().sanitized_paths();
        prop_assert_eq!(sanitized.len(), files.len());
        for paths in [&safe, &sanitized] {
            for path in paths {
                prop_assert!(path.components().all(|component| matches!(component, Component::Normal(_))), "{:?}", path);
                prop_assert!(path.components().next().is_some());
                // No path equals another or is a parent folder of another.
                prop_assert_eq!(paths.iter().filter(|other| other.starts_with(path)).count(), 1, "{:?}", path);
            }
        }
        for (file, sanitized) in files.iter().zip(&sanitized) {
            match file.safe_path() {
                Ok(safe) => prop_assert_eq!(sanitized, &safe),
                // What was changed is safe in a torrent of its own.
                Err(_) => {
                    let components: Vec<_> = sanitized.iter().map(|part| part.to_str().expect("UTF-8")).collect();
                    let alone = parse(&folder(&[&components]));
                    let safe = alone.info().files()[0].safe_path();
                    prop_assert_eq!(safe.as_ref(), Ok(sanitized));
                }
            }
        }
        let changed: Vec<_> = files.iter().zip(&sanitized).filter(|(file, _)| file.safe_path().is_err()).collect();
        let folded: HashSet<_> = changed.iter().map(|(_, path)| path.to_str().map(str::to_lowercase)).collect();
        prop_assert_eq!(folded.len(), changed.len());
    }
}
