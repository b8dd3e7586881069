//! Creating torrents through the public API.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use metainfo::{
    Create, CreateError, CreateWarning, Created, Hazard, Metainfo, Pattern, PieceLength, Plan, SkipReason, Verify,
};
use sha1_lanes::Engine;
use tempfile::TempDir;

/// A folder `share` with files of the given contents.
fn share(files: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("share");
    fs::create_dir(&root).unwrap();
    for (path, content) in files {
        write(&root.join(path), content);
    }
    (temp, root)
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn hash(plan: &Plan) -> Result<Created, CreateError> {
    plan.hash(&AtomicBool::new(false), |_| ())
}

fn made(create: Create) -> Vec<u8> {
    hash(&create.plan().unwrap()).unwrap().as_bytes().to_vec()
}

fn paths(plan: &Plan) -> Vec<String> {
    plan.files().iter().map(|file| file.path.join("/")).collect()
}

fn skipped(plan: &Plan, root: &Path) -> Vec<(String, SkipReason)> {
    plan.skipped()
        .iter()
        .map(|skipped| {
            let path = skipped.source.strip_prefix(root).unwrap();
            (path.to_str().unwrap().to_owned(), skipped.reason)
        })
        .collect()
}

/// SHA-1 of `hello`.
const HELLO: &[u8; 20] = b"\xaa\xf4\xc6\x1d\xdc\xc5\xe8\xa2\xda\xbe\xde\x0f\x3b\x48\x2c\xd9\xae\xa9\x43\x4d";

#[test]
fn single_file_to_the_byte() {
    let (_temp, root) = share(&[("hello.txt", b"hello")]);
    let path = root.join("hello.txt");

    let plain = [b"d4:infod6:lengthi5e4:name9:hello.txt12:piece lengthi16384e6:pieces20:".as_slice(), HELLO, b"ee"];
    assert_eq!(made(Create::new(&path)), plain.concat());

    let full = Create::new(&path)
        .name("other.txt")
        .piece_length(PieceLength::try_from(65_536).unwrap())
        .private(true)
        .source("LAN")
        .comment("a remark")
        .created_by("test/1")
        .creation_date(Some(1_700_000_000))
        .trackers(&[vec!["http://a/announce".into(), "http://b/announce".into()], vec![], vec!["udp://c:1".into()]])
        .web_seeds(&["http://w/".into()])
        .nodes(&[("10.0.0.1".into(), 6881)]);
    let bytes = [
        b"d8:announce17:http://a/announce13:announce-list\
          ll17:http://a/announce17:http://b/announceel9:udp://c:1ee\
          7:comment8:a remark10:created by6:test/113:creation datei1700000000e\
          4:infod6:lengthi5e4:name9:other.txt12:piece lengthi65536e6:pieces20:"
            .as_slice(),
        HELLO,
        b"7:privatei1e6:source3:LANe5:nodesll8:10.0.0.1i6881eee8:url-listl9:http://w/ee",
    ];
    assert_eq!(made(full), bytes.concat());
}

#[test]
fn one_url_is_announce_alone() {
    let (_temp, root) = share(&[("hello.txt", b"hello")]);
    let bytes = made(Create::new(root.join("hello.txt")).trackers(&[vec!["http://a/announce".into()]]));
    assert!(bytes.starts_with(b"d8:announce17:http://a/announce4:info"));
}

/// [BEP 19](https://www.bittorrent.org/beps/bep_0019.html): clients append the path to a URL that ends in a slash.
#[test]
fn the_web_seed_of_a_folder_is_a_folder() {
    let (_temp, root) = share(&[("hello.txt", b"hello")]);
    let urls = [" http://w/x ".to_owned(), "http://w/y/".to_owned(), String::new()];
    for (path, expected) in
        [(&root, ["http://w/x/", "http://w/y/"]), (&root.join("hello.txt"), ["http://w/x", "http://w/y/"])]
    {
        let metainfo = Metainfo::parse(&made(Create::new(path).web_seeds(&urls))).unwrap();
        assert_eq!(metainfo.web_seeds(), expected);
    }
}

#[test]
fn empty_settings_are_not_written() {
    let (_temp, root) = share(&[("hello.txt", b"hello")]);
    let path = root.join("hello.txt");
    let empty = Create::new(&path)
        .comment("")
        .created_by("")
        .trackers(&[vec![], vec![" ".to_owned()]])
        .web_seeds(&[String::new()])
        .source("")
        .nodes(&[]);
    assert_eq!(made(empty), made(Create::new(&path)));
}

#[test]
fn repeated_settings_are_written_once() {
    let (_temp, root) = share(&[("hello.txt", b"hello")]);
    let urls = |urls: &[&str]| urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>();
    let node = ("a".to_owned(), 1);
    let create = |path: &Path| {
        Create::new(path)
            .trackers(&[urls(&["http://a/announce", " http://a/announce"]), urls(&["http://a/announce"])])
            .web_seeds(&urls(&["http://w/x", "http://w/x ", "http://w/x/"]))
            .nodes(&[node.clone(), ("a".to_owned(), 2), node.clone()])
    };
    let bytes = made(create(&root.join("hello.txt")));
    assert!(bytes.starts_with(b"d8:announce17:http://a/announce4:info"), "{}", bytes.escape_ascii());
    let metainfo = Metainfo::parse(&bytes).unwrap();
    assert_eq!(metainfo.web_seeds(), ["http://w/x", "http://w/x/"]);
    assert_eq!(metainfo.nodes(), [node.clone(), ("a".to_owned(), 2)]);
    // Of a folder, the two are the same.
    assert_eq!(Metainfo::parse(&made(create(&root))).unwrap().web_seeds(), ["http://w/x/"]);

    let tiers = [urls(&["http://a/", "udp://b:1"]), urls(&["udp://b:1", "udp://c:1"]), urls(&["http://a/"])];
    let metainfo = Metainfo::parse(&made(Create::new(&root).trackers(&tiers))).unwrap();
    assert_eq!(metainfo.trackers(), [urls(&["http://a/", "udp://b:1"]), urls(&["udp://c:1"])]);
}

#[test]
fn folder_to_the_byte_in_component_order() {
    let (_temp, root) = share(&[("b", b"lo"), ("a b/x", b"l"), ("a/x", b"he"), ("Z", b"")]);
    // By whole paths `a b/x` would come before `a/x`, since a space is less than a slash.
    let bytes = [
        b"d4:infod5:filesl\
          d6:lengthi0e4:pathl1:Zee\
          d6:lengthi2e4:pathl1:a1:xee\
          d6:lengthi1e4:pathl3:a b1:xee\
          d6:lengthi2e4:pathl1:bee\
          e4:name5:share12:piece lengthi16384e6:pieces20:"
            .as_slice(),
        HELLO,
        b"ee",
    ];
    assert_eq!(made(Create::new(&root)), bytes.concat());
}

/// The parser reads the torrent, and the number of threads makes no difference.
#[test]
fn parses_back() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7 / 255) as u8).collect();
    let (_temp, root) = share(&[("a", &content[..1_234_567]), ("b/c", &content), ("d", b"")]);
    let plan = |threads| {
        Create::new(&root).piece_length(PieceLength::MIN).threads(NonZeroUsize::new(threads).unwrap()).plan().unwrap()
    };
    let created = hash(&plan(1)).unwrap();
    for threads in [2, 5, 300] {
        assert_eq!(hash(&plan(threads)).unwrap().as_bytes(), created.as_bytes());
    }

    let metainfo = Metainfo::parse(created.as_bytes()).unwrap();
    assert_eq!(metainfo.info_hashes().v1, Some(created.info_hash()));
    assert_eq!(metainfo.deviations(), []);
    assert_eq!(metainfo.warnings(), []);
    let info = metainfo.info();
    assert_eq!(info.name(), "share");
    assert_eq!(info.total_length(), 4_234_567);
    assert_eq!(info.pieces().len() as u64, plan(1).piece_count());
    let safe: Vec<_> = info.files().iter().map(|file| file.safe_path().unwrap()).collect();
    assert_eq!(safe, [Path::new("a"), Path::new("b/c"), Path::new("d")]);
}

#[test]
fn progress_ends_at_the_total() {
    let (_temp, root) = share(&[("a", &[1; 5 << 20])]);
    let plan = Create::new(&root).plan().unwrap();
    let mut seen = vec![0];
    plan.hash(&AtomicBool::new(false), |progress| {
        assert_eq!(progress.total, 5 << 20);
        seen.push(progress.hashed);
    })
    .unwrap();
    assert!(seen.is_sorted_by(|left, right| left < right));
    assert_eq!(seen.last(), Some(&(5 << 20)));
}

#[test]
fn cancelled() {
    let (_temp, root) = share(&[("a", &[1; 5 << 20])]);
    let plan = Create::new(&root).plan().unwrap();
    let result = plan.hash(&AtomicBool::new(true), |_| ());
    assert!(matches!(result, Err(CreateError::Cancelled)));

    let cancel = AtomicBool::new(false);
    let result = plan.hash(&cancel, |_| cancel.store(true, Ordering::Relaxed));
    assert!(matches!(result, Err(CreateError::Cancelled)));
}

#[test]
fn hidden_and_junk_are_left_out_unless_asked_for() {
    let (_temp, root) = share(&[
        ("a", b"a"),
        (".hidden/b", b"b"),
        (".DS_Store", b"c"),
        ("sub/._resource", b"d"),
        ("sub/THUMBS.DB", b"e"),
        ("sub/desktop.ini", b"f"),
        ("sub/.env", b"g"),
        ("sub/thumbs.db.txt", b"h"),
    ]);
    let create = Create::new(&root);

    let plan = create.clone().plan().unwrap();
    assert_eq!(paths(&plan), ["a", "sub/thumbs.db.txt"]);
    assert_eq!(
        skipped(&plan, &root),
        [
            (".DS_Store".to_owned(), SkipReason::Junk),
            (".hidden".to_owned(), SkipReason::Hidden),
            ("sub/._resource".to_owned(), SkipReason::Junk),
            ("sub/.env".to_owned(), SkipReason::Hidden),
            ("sub/THUMBS.DB".to_owned(), SkipReason::Junk),
            ("sub/desktop.ini".to_owned(), SkipReason::Junk),
        ]
    );

    let plan = create.clone().include_hidden(true).plan().unwrap();
    assert_eq!(paths(&plan), [".hidden/b", "a", "sub/.env", "sub/thumbs.db.txt"]);

    let plan = create.clone().include_junk(true).plan().unwrap();
    assert_eq!(
        paths(&plan),
        [".DS_Store", "a", "sub/._resource", "sub/THUMBS.DB", "sub/desktop.ini", "sub/thumbs.db.txt"]
    );

    let plan = create.include_hidden(true).include_junk(true).plan().unwrap();
    assert_eq!(plan.files().len(), 8);
    assert_eq!(plan.skipped(), []);
}

fn patterns(patterns: &[&str]) -> Vec<Pattern> {
    patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
}

#[test]
fn excluded_files_and_folders_stay_out() {
    let files = ["a.mp4", "a.tmp", "build/x", "sub/build", "sub/deep/b.tmp", "sub/deep/c.mp4", "tmp/d"];
    let (_temp, root) = share(&files.map(|path| (path, b"x".as_slice())));
    for (excluded, expected) in [
        (&["*.tmp"][..], &["a.mp4", "build/x", "sub/build", "sub/deep/c.mp4", "tmp/d"][..]),
        (&["*.tmp", "*.mp4"], &["build/x", "sub/build", "tmp/d"]),
        (&["build"], &["a.mp4", "a.tmp", "sub/deep/b.tmp", "sub/deep/c.mp4", "tmp/d"]),
        (&["build/"], &["a.mp4", "a.tmp", "sub/build", "sub/deep/b.tmp", "sub/deep/c.mp4", "tmp/d"]),
        (&["/build"], &["a.mp4", "a.tmp", "sub/build", "sub/deep/b.tmp", "sub/deep/c.mp4", "tmp/d"]),
        (&["sub/deep"], &["a.mp4", "a.tmp", "build/x", "sub/build", "tmp/d"]),
        (&["sub/*"], &["a.mp4", "a.tmp", "build/x", "tmp/d"]),
        (&["*/**"], &["a.mp4", "a.tmp"]),
    ] {
        let plan = Create::new(&root).exclude(&patterns(excluded)).plan().unwrap();
        assert_eq!(paths(&plan), expected, "{excluded:?}");
        assert_eq!(plan.warnings(), []);
    }
    let plan = Create::new(&root).exclude(&patterns(&["sub", "a.*"])).plan().unwrap();
    let excluded = ["a.mp4", "a.tmp", "sub"].map(|path| (path.to_owned(), SkipReason::Excluded));
    assert_eq!(skipped(&plan, &root), excluded);

    let error = Create::new(&root).exclude(&patterns(&["*"])).plan().unwrap_err();
    assert!(matches!(&error, CreateError::Empty { skipped, .. } if skipped.len() == 5), "{error}");
}

#[test]
fn only_included_files_go_in_and_excluding_wins() {
    let files = ["a.mp4", "a.txt", "sub/.b.mp4", "sub/b.mp4", "sub/c.txt", "week 1/raw/d", "week 1/e.txt"];
    let (_temp, root) = share(&files.map(|path| (path, b"x".as_slice())));
    for (included, excluded, expected) in [
        (&["*.mp4"][..], &[][..], &["a.mp4", "sub/b.mp4"][..]),
        (&["*.mp4", "/a.*"], &[], &["a.mp4", "a.txt", "sub/b.mp4"]),
        (&["sub"], &[], &["sub/b.mp4", "sub/c.txt"]),
        (&["week */", "*.mp4"], &[], &["a.mp4", "sub/b.mp4", "week 1/e.txt", "week 1/raw/d"]),
        (&["*.mp4"], &["sub"], &["a.mp4"]),
        (&["week 1"], &["raw"], &["week 1/e.txt"]),
        (&["sub", "sub/c.txt"], &["*.mp4"], &["sub/c.txt"]),
    ] {
        let create = Create::new(&root).include(&patterns(included)).exclude(&patterns(excluded));
        let plan = create.plan().unwrap();
        assert_eq!(paths(&plan), expected, "{included:?} without {excluded:?}");
        assert_eq!(plan.warnings(), []);
    }
    let plan = Create::new(&root).include(&patterns(&["a.mp4"])).exclude(&patterns(&["week*"])).plan().unwrap();
    assert_eq!(
        skipped(&plan, &root),
        [
            ("a.txt".to_owned(), SkipReason::NotIncluded),
            ("sub/.b.mp4".to_owned(), SkipReason::Hidden),
            ("sub/b.mp4".to_owned(), SkipReason::NotIncluded),
            ("sub/c.txt".to_owned(), SkipReason::NotIncluded),
            ("week 1".to_owned(), SkipReason::Excluded),
        ]
    );
}

#[test]
fn patterns_that_match_nothing_give_a_warning() {
    let (_temp, root) = share(&[("a.mp4", b"a"), ("sub/b.mp4", b"b"), (".hidden", b"c")]);
    let excludes = |pattern: &str| CreateWarning::ExcludesNothing { pattern: pattern.to_owned() };
    let includes = |pattern: &str| CreateWarning::IncludesNothing { pattern: pattern.to_owned() };
    let create = |path: &Path| {
        let create = Create::new(path).exclude(&patterns(&["*.MP4", ".hid*", "share/sub"]));
        create.include(&patterns(&["sub", "*.mp4", "*.mkv", ".hid*"])).plan().unwrap()
    };
    let expected = [excludes("*.MP4"), excludes("share/sub"), includes("*.mkv"), includes(".hid*")];
    assert_eq!(create(&root).warnings(), expected);
    // There is nothing below a file, and it is included although no pattern matches it.
    assert_eq!(create(&root.join("a.mp4")).warnings().len(), 7);
}

/// Neither a name nor a permission of what is left out is in the way.
#[cfg(unix)]
#[test]
fn excluding_leaves_out_what_would_block_the_folder() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (_temp, root) = share(&[("a", b"a"), ("sub/a\\b", b"b"), ("sub/c\nd/e.txt", b"c")]);
    let latin1 = Path::new("sub").join(OsStr::from_bytes(b"\xe4"));
    write(&root.join(&latin1), b"d");
    symlink("loop", root.join("loop")).unwrap();
    let secret = root.join("secret");
    write(&secret, b"e");
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let is_readable = fs::read(&secret).is_ok(); // Root can read everything.

    let create = |excluded: &[&str]| Create::new(&root).follow_symlinks(true).exclude(&patterns(excluded)).plan();
    let mut excluded = Vec::new();
    for (pattern, path) in [("loop", "loop"), ("sec*", "secret"), ("sub/a*", "sub/a\\b"), ("c?d", "sub/c\nd")] {
        if path != "secret" || !is_readable {
            let error = create(&excluded).unwrap_err();
            assert!(error.to_string().contains(&format!("{:?}", root.join(path))), "{error}");
        }
        excluded.push(pattern);
    }
    assert!(matches!(create(&excluded), Err(CreateError::NotUtf8 { path }) if path == root.join(latin1)));
    excluded.push("sub/?");
    assert_eq!(paths(&create(&excluded).unwrap()), ["a"]);

    // Likewise what is not included.
    let include = |included: &[&str]| Create::new(&root).exclude(&patterns(&["sec*"])).include(&patterns(included));
    assert_eq!(paths(&include(&["a"]).plan().unwrap()), ["a"]);
    assert!(matches!(include(&["*.txt"]).plan(), Err(CreateError::UnsafeName { .. })));
}

#[test]
fn empty_folders_are_reported() {
    let (_temp, root) = share(&[("a", b"a"), ("b/.hidden", b"b")]);
    fs::create_dir_all(root.join("empty/inner")).unwrap();
    fs::create_dir_all(root.join(".hidden")).unwrap();
    let plan = Create::new(&root).plan().unwrap();
    let empty = ("empty/inner".to_owned(), SkipReason::EmptyFolder);
    let hidden = |path: &str| (path.to_owned(), SkipReason::Hidden);
    assert_eq!(skipped(&plan, &root), [hidden(".hidden"), hidden("b/.hidden"), empty]);
    let plan = Create::new(&root).include_hidden(true).exclude(&patterns(&["empty"])).plan().unwrap();
    let excluded = ("empty".to_owned(), SkipReason::Excluded);
    assert_eq!(skipped(&plan, &root), [(".hidden".to_owned(), SkipReason::EmptyFolder), excluded]);

    let error = Create::new(root.join("empty")).plan().unwrap_err();
    assert!(matches!(&error, CreateError::Empty { skipped, .. } if skipped.len() == 1), "{error}");
    let error = Create::new(root.join("empty/inner")).plan().unwrap_err();
    assert!(matches!(&error, CreateError::Empty { skipped, .. } if skipped.is_empty()), "{error}");
}

#[test]
fn an_error_has_the_patterns_that_match_nothing() {
    let (_temp, root) = share(&[("a.mp4", b"a"), (".b", b"b")]);
    let error = Create::new(&root).exclude(&patterns(&["*.TMP"])).include(&patterns(&["*.mkv"])).plan().unwrap_err();
    let excludes = CreateWarning::ExcludesNothing { pattern: "*.TMP".to_owned() };
    let includes = CreateWarning::IncludesNothing { pattern: "*.mkv".to_owned() };
    let CreateError::Empty { skipped, unused, .. } = error else { panic!("{error}") };
    assert_eq!(skipped.len(), 2);
    assert_eq!(unused, [excludes, includes]);
}

#[test]
fn warns_of_unicode_forms() {
    let (composed, decomposed) = ("gr\u{fc}n", "gru\u{308}n");
    let (_temp, root) = share(&[("sub/x", b"a")]);
    for name in [composed, decomposed, "Gr\u{fc}n", "\u{212b}"] {
        write(&root.join("sub").join(name), b"b");
    }
    if fs::read_dir(root.join("sub")).unwrap().count() < 5 {
        return; // This machine itself ignores forms or case.
    }
    let path = |name: &str| root.join("sub").join(name);
    let plan = Create::new(&root).plan().unwrap();
    assert_eq!(
        plan.warnings(),
        [
            CreateWarning::NotNfc { path: path(decomposed) },
            CreateWarning::CaseConflict { path: path(decomposed), other: "Gr\u{fc}n".to_owned() },
            CreateWarning::UnicodeConflict { path: path(composed), other: decomposed.to_owned() },
            CreateWarning::NotNfc { path: path("\u{212b}") },
        ]
    );
    // The name of the torrent itself, and of a folder.
    let not_nfc = |path: &str| CreateWarning::NotNfc { path: path.into() };
    let plan = Create::new(path(decomposed)).plan().unwrap();
    assert_eq!(plan.warnings(), [not_nfc(decomposed)]);
    let folder = root.join("e\u{301}");
    write(&folder.join("a"), b"c");
    let plan = Create::new(&root).exclude(&patterns(&["sub"])).plan().unwrap();
    assert_eq!(plan.warnings(), [CreateWarning::NotNfc { path: folder }]);
}

#[test]
fn a_hidden_path_is_included_if_given_by_name() {
    let (_temp, root) = share(&[(".hidden/b", b"b"), (".hidden/desktop.ini", b"c")]);
    let plan = Create::new(root.join(".hidden")).plan().unwrap();
    assert_eq!(plan.name(), ".hidden");
    assert_eq!(paths(&plan), ["b"]);
    let plan = Create::new(root.join(".hidden/desktop.ini")).plan().unwrap();
    assert_eq!(plan.name(), "desktop.ini");
}

#[cfg(unix)]
#[test]
fn symlinks_and_special_files() {
    use std::os::unix::{fs::symlink, net::UnixListener};

    let (temp, root) = share(&[("folder/a", b"a")]);
    write(&temp.path().join("outside/b"), b"b");
    symlink("folder/a", root.join("file-link")).unwrap();
    symlink("../outside", root.join("outside-link")).unwrap();
    symlink("..", root.join("folder/up")).unwrap();
    symlink(".", root.join("folder/self")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();

    let plan = Create::new(&root).plan().unwrap();
    assert_eq!(paths(&plan), ["folder/a"]);
    assert_eq!(
        skipped(&plan, &root),
        [
            ("file-link".to_owned(), SkipReason::Symlink),
            ("folder/self".to_owned(), SkipReason::Symlink),
            ("folder/up".to_owned(), SkipReason::Symlink),
            ("outside-link".to_owned(), SkipReason::Symlink),
            ("socket".to_owned(), SkipReason::Special),
        ]
    );

    let follow = Create::new(&root).follow_symlinks(true);
    let plan = follow.clone().plan().unwrap();
    assert_eq!(paths(&plan), ["file-link", "folder/a", "outside-link/b"]);
    assert_eq!(
        skipped(&plan, &root),
        [
            ("folder/self".to_owned(), SkipReason::SymlinkLoop),
            ("folder/up".to_owned(), SkipReason::SymlinkLoop),
            ("socket".to_owned(), SkipReason::Special),
        ]
    );
    assert!(hash(&plan).is_ok());

    // A link to nothing is left out; links that lead to each other are an error.
    let link = root.join("dangling");
    symlink("nothing", &link).unwrap();
    let plan = follow.clone().plan().unwrap();
    assert_eq!(plan.files().len(), 3);
    assert_eq!(skipped(&plan, &root)[0], ("dangling".to_owned(), SkipReason::DanglingSymlink));
    fs::remove_file(&link).unwrap();
    symlink("dangling", &link).unwrap();
    let error = follow.plan().unwrap_err();
    assert!(matches!(&error, CreateError::Unreadable { path, .. } if *path == link), "{error}");
    fs::remove_file(link).unwrap();

    // The given path itself is followed, and gives the name.
    let link = temp.path().join("link");
    symlink("share", &link).unwrap();
    let plan = Create::new(&link).plan().unwrap();
    assert_eq!((plan.name(), paths(&plan)), ("link", vec!["folder/a".to_owned()]));
}

#[test]
fn warns_of_names_that_other_machines_cannot_use() {
    let (_temp, root) = share(&[("ok", b"a"), ("readme", b"b"), ("README", b"c"), ("aux.txt", b"d")]);
    if fs::read_dir(&root).unwrap().count() < 4 {
        return; // This machine itself ignores case.
    }
    let plan = Create::new(&root).plan().unwrap();
    assert_eq!(
        plan.warnings(),
        [
            CreateWarning::NotPortable {
                path: root.join("aux.txt"),
                hazard: Hazard::Device { component: "aux.txt".to_owned() },
            },
            CreateWarning::CaseConflict { path: root.join("readme"), other: "README".to_owned() },
        ]
    );
    assert_eq!(plan.files().len(), 4);
}

#[cfg(target_os = "linux")]
#[test]
fn refuses_names_that_clients_refuse() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    for (name, hazard) in [
        (b"a\\b".as_slice(), Some(Hazard::Separator { character: '\\' })),
        (b"a\nb", Some(Hazard::Control { character: '\n' })),
        (b"a\xffb", None),
    ] {
        let (_temp, root) = share(&[("sub/a", b"a")]);
        let path = root.join("sub").join(OsStr::from_bytes(name));
        write(&path, b"b");
        // In a folder, and by itself.
        for given in [&root, &path] {
            let error = Create::new(given).plan().unwrap_err();
            match (&error, &hazard) {
                (CreateError::UnsafeName { path: named, hazard }, Some(expected)) => {
                    assert_eq!(hazard, expected);
                    assert!(path.ends_with(named), "{error}");
                }
                (CreateError::NotUtf8 { path: named }, None) => assert_eq!(named, &path),
                _ => panic!("{error}"),
            }
        }
    }
}

#[test]
fn refuses_unusable_names_for_the_torrent() {
    let (_temp, root) = share(&[("a", b"a")]);
    for name in ["", ".", "..", "a/b", "a\\b", "a\0"] {
        let error = Create::new(&root).name(name).plan().unwrap_err();
        let CreateError::UnsafeName { path, .. } = error else { panic!("{name:?}: {error}") };
        assert_eq!(path, Path::new(name));
    }
}

#[test]
fn the_name_of_a_path_without_one() {
    let (_temp, root) = share(&[("sub/a", b"a")]);
    assert_eq!(Create::new(root.join("sub/.")).plan().unwrap().name(), "sub");
    assert_eq!(Create::new(root.join("sub/..")).plan().unwrap().name(), "share");
}

#[test]
fn nothing_to_share() {
    let (_temp, root) = share(&[("empty", b""), ("sub/empty", b"")]);
    for path in [root.clone(), root.join("empty"), root.join("sub")] {
        let error = Create::new(&path).plan().unwrap_err();
        assert!(matches!(&error, CreateError::Empty { path: named, .. } if *named == path), "{error}");
    }
    let path = root.join("nothing");
    let error = Create::new(&path).plan().unwrap_err();
    assert!(matches!(error, CreateError::Unreadable { path: named, .. } if named == path));
}

#[test]
fn too_deep() {
    let (_temp, root) = share(&[("a", b"a")]);
    let deep = |depth| root.join("d/".repeat(depth));
    write(&deep(99).join("file"), b"b");
    let torrent = made(Create::new(&root));
    assert_eq!(Metainfo::parse(&torrent).unwrap().info().files().len(), 2);
    fs::create_dir(deep(100)).unwrap();
    let error = Create::new(&root).plan().unwrap_err();
    assert!(matches!(error, CreateError::TooDeep { limit: 99, .. }), "{error}");
}

/// Sparse files: only their lengths matter.
#[test]
fn the_torrent_stays_small_enough_to_be_read() {
    let (_temp, root) = share(&[]);
    let path = root.join("large");
    let length = PieceLength::MAX_PIECES * PieceLength::MIN.bytes() + 1;
    File::create(&path).unwrap().set_len(length).unwrap();

    let create = Create::new(&path);
    let error = create.clone().piece_length(PieceLength::MIN).plan().unwrap_err();
    let CreateError::TooManyPieces { pieces, limit, .. } = error else { panic!("{error}") };
    assert_eq!((pieces, limit), (480_001, 480_000));
    assert_eq!(create.plan().unwrap().piece_length(), PieceLength::for_total(length));
}

/// Everything that can happen to a file between the plan and the end of hashing.
#[test]
fn files_that_change_are_named() {
    type Change = fn(&Path);
    type Expected = fn(&CreateError) -> bool;
    let changes: [(Change, Expected); 6] = [
        (|path| fs::remove_file(path).unwrap(), |error| matches!(error, CreateError::Vanished { .. })),
        (
            |path| fs::write(path, [0; 400_000]).unwrap(),
            |error| matches!(error, CreateError::LengthChanged { planned: 300_000, found: 400_000, .. }),
        ),
        (
            |path| fs::write(path, [0; 5]).unwrap(),
            |error| matches!(error, CreateError::LengthChanged { planned: 300_000, found: 5, .. }),
        ),
        (
            |path| fs::write(path, []).unwrap(),
            |error| matches!(error, CreateError::LengthChanged { planned: 300_000, found: 0, .. }),
        ),
        (
            |path| {
                let time = SystemTime::now() + Duration::from_secs(5);
                File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
            },
            |error| matches!(error, CreateError::Modified { .. }),
        ),
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            |error| matches!(error, CreateError::Unreadable { .. } | CreateError::LengthChanged { .. }),
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        for while_hashing in [false, true] {
            let (_temp, root) = share(&[("a", &[1; 5]), ("b", &[2; 300_000]), ("c", &[3; 4 << 20])]);
            let path = root.join("b");
            let plan = Create::new(&root).plan().unwrap();
            let mut pending = Some(change);
            if !while_hashing {
                pending.take().unwrap()(&path);
            }
            let error = plan
                .hash(&AtomicBool::new(false), |_| {
                    if let Some(change) = pending.take() {
                        change(&path);
                    }
                })
                .unwrap_err();
            assert!(expected(&error), "change {number}: {error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }
}

#[test]
fn an_empty_file_that_grows_is_noticed() {
    let (_temp, root) = share(&[("a", b"a"), ("empty", b"")]);
    let plan = Create::new(&root).plan().unwrap();
    fs::write(root.join("empty"), b"b").unwrap();
    let error = hash(&plan).unwrap_err();
    assert!(matches!(error, CreateError::LengthChanged { planned: 0, found: 1, .. }), "{error}");
}

/// Pieces longer than one read, more than any engine hashes at once, and a shorter one at the end.
#[test]
fn every_engine_makes_the_same_torrent() {
    let content: Vec<u8> = (0..20 * (256 << 10) + 1000_u32).map(|n| (n * 31 + n / 251) as u8).collect();
    let (_temp, root) = share(&[("large", &content), ("small", b"hello")]);
    let create = || Create::new(&root).piece_length(PieceLength::try_from(256 << 10).unwrap());
    let expected = made(create());
    let metainfo = Metainfo::parse(&expected).unwrap();
    for engine in sha1_lanes::Path::ALL.into_iter().filter_map(|path| Engine::with_path(path).ok()) {
        assert!(made(create().engine(engine)) == expected, "{engine:?}");
        let report = Verify::new(&metainfo, &root).engine(engine).run(&AtomicBool::new(false), |_| ()).unwrap();
        assert!(report.is_complete(), "{engine:?}");
    }
}
