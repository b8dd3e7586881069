//! The seeds of the fuzz targets, run as plain tests.

use std::fs;
use std::path::Path;

/// Runs a target with each of its seeds, and returns how many there are.
fn run(target: &str, body: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            // Printed above the panic of a seed that fails.
            println!("{}", path.display());
            body(&fs::read(&path).expect("a file"));
        })
        .count()
}

macro_rules! seeds {
    ($($target:ident),* $(,)?) => {
        $(#[test]
        fn $target() {
            assert!(run(stringify!($target), fuzz::$target) >= 5, "too few seeds");
        })*

        /// A target that is missing above would have no test.
        #[test]
        fn every_target_has_seeds() {
            let targets = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets")).expect("a folder");
            let mut names: Vec<_> =
                targets.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_owned()).collect();
            names.sort();
            let mut tested = [$(stringify!($target)),*];
            tested.sort();
            assert_eq!(names, tested);
        }
    };
}

seeds! {
    announce_query,
    bencode_lenient,
    bencode_strict,
    client_rules,
    dashboard_access,
    forwarded,
    http_conversation,
    list_file,
    magnet_link,
    metainfo_parse,
    mse,
    names_csv,
    peer_connection,
    peer_decoder,
    proxy_header,
    request_head,
    saved_monitor,
    store_files,
    tracker_ops,
    udp_packet,
}
