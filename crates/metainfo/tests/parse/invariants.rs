//! Invariants that hold for every input. The fuzz target checks arbitrary bytes, the test slightly damaged torrents.

use std::collections::HashSet;
use std::path::{Component, PathBuf};

use metainfo::{ConflictingPaths, Magnet, Metainfo, ParseError, ParseOptions};

/// Parses an input and checks the result; panics if an invariant is broken.
pub(crate) fn parse(input: &[u8]) {
    let accepting = ParseOptions { conflicting_paths: ConflictingPaths::Accept, ..ParseOptions::default() };
    let metainfo = match Metainfo::parse(input) {
        Ok(metainfo) => metainfo,
        Err(ParseError::DuplicatePath { .. } | ParseError::FileAndFolder { .. }) => {
            Metainfo::parse_with(input, &accepting).expect("nothing but its paths is wrong")
        }
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let info = metainfo.info();

    let mut offset = 0;
    for file in info.files() {
        assert_eq!(file.offset, offset);
        offset += file.length;
    }
    assert_eq!(info.total_length(), offset);
    assert!(info.content_length() <= offset);
    assert_eq!(info.pieces().len() as u64, offset.div_ceil(u64::from(info.piece_length())));

    // Padding files may share a safe path, since they are not written to disk.
    let safe = info.files().iter().filter(|file| !file.attributes.pad).filter_map(|file| file.safe_path().ok());
    check_paths(&safe.collect::<Vec<_>>());
    let sanitized = info.sanitized_paths();
    assert_eq!(sanitized.len(), info.files().len());
    check_paths(&sanitized);
    check_paths(&[info.sanitized_name()]);
    for file in info.files() {
        check_paths(&[file.sanitized_path()]);
        file.sanitized_symlink_target().into_iter().for_each(|target| check_paths(&[target]));
    }

    let same = metainfo.edit().finish();
    let same = Metainfo::parse_with(&same, &accepting).expect("what was read can be read again");
    assert_eq!((same.info_hashes(), same.info()), (metainfo.info_hashes(), info));
    assert_eq!(same.edit().finish(), same.as_bytes());
    let stripped = metainfo.edit().trackers(&[]).comment(None).created_by(None).creation_date(None);
    let stripped = stripped.web_seeds(&[]).nodes(&[]).finish();
    let stripped = Metainfo::parse_with(&stripped, &accepting).expect("info is as it was");
    assert_eq!(stripped.info_hashes(), metainfo.info_hashes());
    assert!(stripped.trackers().is_empty() && stripped.web_seeds().is_empty() && stripped.nodes().is_empty());
    assert_eq!((stripped.comment(), stripped.created_by(), stripped.creation_date()), (None, None, None));

    let magnet = Magnet::from(&metainfo);
    let link = magnet.to_string();
    if link.len() <= Magnet::MAX_LEN {
        assert_eq!(link.parse(), Ok(magnet));
    }
}

/// Each stays below the folder it is joined to, and none equals another or is a parent of another.
fn check_paths(paths: &[PathBuf]) {
    let mut all = HashSet::new();
    for path in paths {
        assert!(!path.as_os_str().is_empty());
        assert!(path.components().all(|component| matches!(component, Component::Normal(_))), "{path:?}");
        assert!(all.insert(path), "{path:?} twice");
    }
    for path in paths {
        for folder in path.ancestors().skip(1) {
            assert!(!all.contains(&folder.to_owned()), "{folder:?} is a file and a folder");
        }
    }
}
