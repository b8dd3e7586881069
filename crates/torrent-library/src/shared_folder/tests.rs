//! The share folder followed on a real disk.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Weak;

use tempfile::TempDir;

use super::*;
use crate::{ContentKey, LibraryConfig, OpenError, TorrentJobs};

mod seeding;

/// Longer than any test may take to hash, and no bytes on disk.
const ENDLESS: u64 = 1 << 40;

/// A share folder beside a folder of data.
struct Place {
    folder: TempDir,
    library: Library,
    contents: Contents,
    max_entries: usize,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("share")).unwrap();
        let torrents = folder.path().join("data/torrents");
        let library = Library::open(LibraryConfig::default().with(|config| config.torrents = Some(torrents))).unwrap();
        Self { folder, library, contents: Contents::new(), max_entries: SharedFolder::MAX_ENTRIES }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("share").join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    fn sparse(&self, path: &str, len: u64) {
        File::create(self.path(path)).unwrap().set_len(len).unwrap();
    }

    /// As a start of the program would.
    fn start_with(&mut self, change: impl FnOnce(&mut SharedFolderConfig)) -> SharedFolder {
        self.contents = Contents::new();
        let share = Share::open(self.path("")).unwrap();
        let state_file = Some(self.folder.path().join("data/share.json"));
        let config = SharedFolderConfig { state_file, ..SharedFolderConfig::default() }.with(change);
        let (library, contents) = (self.library.clone(), self.contents.clone());
        SharedFolder::start_limited(share, library, contents, config, self.max_entries).unwrap()
    }

    fn start(&mut self) -> SharedFolder {
        self.start_with(|_| {})
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.library.all().values().map(|known| known.name.as_ref().to_owned()).collect();
        names.sort();
        names
    }
}

/// Waits until the items are so.
#[track_caller]
fn until<T>(folder: &SharedFolder, what: &str, find: impl Fn(&SharedItems) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let items = folder.items();
        if let Some(found) = find(&items) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {items:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn state(items: &SharedItems, name: &str) -> Option<ItemState> {
    items.items.iter().find(|item| &*item.name == name).map(|item| item.state.clone())
}

fn shared(items: &SharedItems, name: &str) -> Option<InfoHash> {
    match state(items, name)? {
        ItemState::Shared { info_hash } => Some(info_hash),
        _ => None,
    }
}

#[track_caller]
fn until_shared(folder: &SharedFolder, name: &str) -> InfoHash {
    until(folder, name, |items| shared(items, name))
}

#[track_caller]
fn until_gone(folder: &SharedFolder, name: &str) {
    until(folder, name, |items| state(items, name).is_none().then_some(()));
}

fn read(contents: &Contents, key: ContentKey) -> Option<Result<Vec<u8>, OpenError>> {
    use std::io::Read as _;
    let content = contents.get(key)?;
    Some(content.open(0).map(|mut shared| {
        let mut bytes = Vec::new();
        shared.file.read_to_end(&mut bytes).unwrap();
        bytes
    }))
}

#[test]
fn what_is_there_is_shared_at_once() {
    let mut place = Place::new();
    place.write("film.mkv", &[7; 100_000]);
    place.write("course/week 1/slides.pdf", b"slides");
    place.write("course/notes.txt", b"notes");
    place.write("course/week 2.pdf.part", b"wee");
    place.write("empty", b"");
    place.write(".hidden", b"x");
    fs::create_dir(place.path("nothing")).unwrap();
    let before = fs::read_dir(place.path("")).unwrap().count();
    let folder = place.start();
    let (film, course) = (until_shared(&folder, "film.mkv"), until_shared(&folder, "course"));
    let items = folder.items();
    let names: Vec<_> = items.items.iter().map(|item| &*item.name).collect();
    assert_eq!(names, ["course", "film.mkv"]);
    let passed_over: Vec<_> = items.passed_over.iter().map(|one| (&*one.name, &one.reason)).collect();
    use PassedOverReason as R;
    assert_eq!(passed_over, [(".hidden", &R::Hidden), ("empty", &R::Empty), ("nothing", &R::Empty)]);
    assert!(!items.truncated);

    let content = items.items[0].content.as_ref().unwrap();
    let paths: Vec<_> = content.files().iter().map(|file| file.path()).collect();
    assert_eq!(paths, ["notes.txt", "week 1/slides.pdf"]);
    assert_eq!(place.contents.get(ContentKey::Swarm(course)).unwrap().id(), content.id());
    assert_eq!(place.contents.info_hash_of(content.id()), Some(course));
    assert_eq!(read(&place.contents, ContentKey::Swarm(film)).unwrap().unwrap(), [7; 100_000]);
    assert_eq!(place.names(), ["course", "film.mkv"]);
    let known = place.library.get(&course).unwrap();
    let paths: Vec<_> = known.files().map(|file| file.path).collect();
    assert_eq!(paths, ["notes.txt", "week 1/slides.pdf"]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), before, "nothing is written there");
    assert_eq!(fs::read_dir(place.folder.path().join("data/torrents")).unwrap().count(), 2);
}

#[test]
fn what_comes_later_is_shared_once_it_stands_still() {
    let mut place = Place::new();
    let folder = place.start();
    until(&folder, "the first look", |_| folder.0.shared.items().has_looked().then_some(()));
    let start = Instant::now();
    place.write("film.mkv", b"film");
    until(&folder, "it is seen", |items| (state(items, "film.mkv")? == ItemState::Settling).then_some(()));
    let mut file = File::options().append(true).open(place.path("film.mkv")).unwrap();
    io::Write::write_all(&mut file, b" and more").unwrap();
    let info_hash = until_shared(&folder, "film.mkv");
    assert!(start.elapsed() >= item::SETTLE);
    assert_eq!(place.library.get(&info_hash).unwrap().size, 13);
    assert_eq!(read(&place.contents, ContentKey::Swarm(info_hash)).unwrap().unwrap(), b"film and more");
}

#[test]
fn what_changes_is_made_anew_and_what_is_gone_is_withdrawn() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    place.write("notes.txt", b"notes");
    let folder = place.start();
    let (old, notes) = (until_shared(&folder, "film.mkv"), until_shared(&folder, "notes.txt"));
    let old_id = place.contents.get(ContentKey::Swarm(old)).unwrap().id();

    place.write("film.mkv", b"film, the director's cut");
    // A client that opens it notices before the next look.
    place.contents.report_changed(old_id);
    until(&folder, "it is seen", |items| (state(items, "film.mkv")? == ItemState::Settling).then_some(()));
    assert!(
        matches!(read(&place.contents, ContentKey::Swarm(old)), Some(Err(OpenError::Changed))),
        "it stays meanwhile"
    );
    assert!(place.library.get(&old).is_some(), "others may have it");
    let new = until(&folder, "it is made anew", |items| shared(items, "film.mkv").filter(|new| *new != old));
    assert_eq!(folder.items().items[0].replaces, Some(old));
    until(&folder, "the old one goes", |_| place.library.get(&old).is_none().then_some(()));
    assert!(place.library.get(&new).is_some());
    for key in [ContentKey::Id(old_id), ContentKey::Swarm(old)] {
        assert!(place.contents.get(key).is_none());
        assert_eq!(place.contents.newer(key), Some(ContentKey::Swarm(new)));
    }
    assert_eq!(read(&place.contents, ContentKey::Swarm(new)).unwrap().unwrap(), b"film, the director's cut");

    fs::remove_file(place.path("notes.txt")).unwrap();
    until_gone(&folder, "notes.txt");
    until(&folder, "it is withdrawn", |_| place.library.get(&notes).is_none().then_some(()));
    assert!(place.contents.get(ContentKey::Swarm(notes)).is_none());
    assert_eq!(place.names(), ["film.mkv"]);
}

#[test]
fn what_has_not_changed_in_a_folder_stays_meanwhile() {
    let mut place = Place::new();
    place.write("course/a", b"a");
    place.write("course/b", b"b");
    let folder = place.start();
    let old = ContentKey::Swarm(until_shared(&folder, "course"));
    let content = place.contents.get(old).unwrap();
    place.write("course/b", b"another");
    until(&folder, "it is seen", |items| (state(items, "course")? == ItemState::Settling).then_some(()));
    assert_eq!(folder.items().items[0].content.as_ref().unwrap().id(), content.id());
    assert!(content.open(0).is_ok() && matches!(content.open(1), Err(OpenError::Changed)));
    assert_eq!(place.contents.get(old).unwrap().id(), content.id());
    let new = until(&folder, "there is another", |_| place.contents.newer(old));
    assert!(place.contents.get(old).is_none() && place.contents.get(new).unwrap().open(1).is_ok());
}

#[test]
fn a_folder_of_very_many_files_is_shared_too() {
    let mut place = Place::new();
    fs::create_dir(place.path("course")).unwrap();
    for number in 0..10_001 {
        fs::write(place.path("course").join(number.to_string()), "x").unwrap();
    }
    place.write("film.mkv", b"film");
    let folder = place.start();
    until_shared(&folder, "film.mkv");
    let course = until_shared(&folder, "course");
    assert_eq!(place.contents.get(ContentKey::Swarm(course)).unwrap().files().len(), 10_001);
    drop(folder);
    let folder = place.start();
    assert_eq!(until_shared(&folder, "course"), course);
    fs::remove_dir_all(place.path("course")).unwrap();
    until_gone(&folder, "course");
}

/// Neither does it wait for what is in progress, nor is that begun again.
#[test]
fn a_huge_file_blocks_nothing() {
    let mut place = Place::new();
    place.sparse("huge", ENDLESS);
    place.write("small", b"small");
    let folder = place.start();
    until_shared(&folder, "small");
    let hashed = |items: &SharedItems| match state(items, "huge")? {
        ItemState::Hashing(progress) if progress.total() == ENDLESS => {
            Some(progress.hashed()).filter(|hashed| *hashed > 0)
        }
        _ => None,
    };
    let before = until(&folder, "progress is reported", hashed);
    assert!(folder.items().items[0].content.is_some(), "it can be downloaded");
    // Smaller by far, and huge all the same.
    place.sparse("large", ENDLESS >> 4);
    until(&folder, "it goes before", |items| {
        matches!(state(items, "large")?, ItemState::Hashing(progress) if progress.hashed() > 0).then_some(())
    });
    place.write("later", b"later");
    until_shared(&folder, "later");
    fs::remove_file(place.path("large")).unwrap();
    assert!(until(&folder, "it goes on", hashed) > before);

    // Under its new name it begins anew, and the old one is never shared.
    fs::rename(place.path("huge"), place.path("renamed")).unwrap();
    until(&folder, "it is hashed", |items| {
        assert!(shared(items, "huge").is_none());
        matches!(state(items, "renamed")?, ItemState::Hashing(_)).then_some(())
    });
    until_gone(&folder, "huge");
    let shared = Arc::downgrade(&folder.0.shared);
    drop(folder);
    ended(&shared);
    assert_eq!(place.names(), ["later", "small"]);
}

#[track_caller]
fn ended(shared: &Weak<Shared>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while shared.strong_count() > 0 {
        assert!(Instant::now() < deadline, "its threads end");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_restart_does_not_hash_what_has_not_changed() {
    let mut place = Place::new();
    for name in ["kept", "changed", "gone"] {
        place.write(name, name.as_bytes());
    }
    let folder = place.start();
    let [kept, changed, gone] = ["kept", "changed", "gone"].map(|name| until_shared(&folder, name));
    drop(folder);
    // It would be another torrent if it were hashed again.
    let of_hand = b"d4:infod6:lengthi4e4:name4:kept12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    let of_hand = place.library.register(of_hand).unwrap().info_hash;
    let state_file = place.folder.path().join("data/share.json");
    let text = fs::read_to_string(&state_file).unwrap();
    fs::write(&state_file, text.replace(&kept.to_string(), &of_hand.to_string())).unwrap();
    place.write("changed", b"another");
    fs::remove_file(place.path("gone")).unwrap();

    let folder = place.start();
    assert_eq!(until_shared(&folder, "kept"), of_hand);
    let new = until_shared(&folder, "changed");
    assert_ne!(new, changed);
    assert_eq!(place.contents.newer(ContentKey::Swarm(changed)), Some(ContentKey::Swarm(new)));
    assert_eq!(read(&place.contents, ContentKey::Swarm(of_hand)).unwrap().unwrap(), b"kept");
    until(&folder, "the old ones go", |_| {
        (place.library.get(&gone).is_none() && place.library.get(&changed).is_none()).then_some(())
    });
    drop(folder);

    // A torrent that is not there any more is made again.
    place.library.remove(&of_hand).unwrap();
    let folder = place.start();
    assert_eq!(until_shared(&folder, "kept"), kept);
    drop(folder);
    // So is everything when nothing can be known.
    for broken in ["{", "{\"version\":9,\"share\":\"\",\"items\":[]}", ""] {
        fs::write(&state_file, broken).unwrap();
        let folder = place.start();
        assert_eq!(until_shared(&folder, "kept"), kept);
        until_shared(&folder, "changed");
    }
}

#[test]
fn what_the_operator_removes_stays_away_until_it_changes() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    let folder = place.start();
    let info_hash = until_shared(&folder, "film.mkv");
    let id = folder.items().items[0].content.as_ref().unwrap().id();
    place.library.remove(&info_hash).unwrap();
    let is_removed = |items: &SharedItems| (state(items, "film.mkv")? == ItemState::Removed).then_some(());
    until(&folder, "it is removed", is_removed);
    until(&folder, "it is withdrawn", |_| place.contents.get(ContentKey::Id(id)).is_none().then_some(()));
    drop(folder);
    let folder = place.start();
    until(&folder, "it is so after a restart", is_removed);
    assert!(place.library.get(&info_hash).is_none());

    place.write("film.mkv", b"another film");
    let another = until_shared(&folder, "film.mkv");
    assert!(another != info_hash && place.library.get(&info_hash).is_none());
}

#[test]
fn torrents_that_were_there_before_stay() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    let share = Share::open(place.path("")).unwrap();
    let plan = crate::creation::create(&share, "film.mkv").unwrap().plan().unwrap();
    let created = plan.hash(&AtomicBool::new(false), |_| ()).unwrap();
    let info_hash = place.library.register(created.as_bytes()).unwrap().info_hash;
    let folder = place.start();
    assert_eq!(until_shared(&folder, "film.mkv"), info_hash);
    fs::remove_file(place.path("film.mkv")).unwrap();
    until_gone(&folder, "film.mkv");
    assert!(place.contents.get(ContentKey::Swarm(info_hash)).is_none());
    assert!(place.library.get(&info_hash).is_some());
}

#[test]
fn by_hand_only_what_is_made_is_shared() {
    let mut place = Place::new();
    place.write("course/film.mkv", b"film");
    place.write("film.mkv", b"film");
    let folder = place.start_with(|config| config.by_hand = true);
    let jobs = TorrentJobs::of(folder.clone());
    jobs.make("course/film.mkv", false, &[]).unwrap();
    let info_hash = until_shared(&folder, "course/film.mkv");
    assert_eq!(place.names(), ["film.mkv"]);
    assert_eq!(read(&place.contents, ContentKey::Swarm(info_hash)).unwrap().unwrap(), b"film");

    // The same content elsewhere.
    jobs.make("film.mkv", false, &[]).unwrap();
    let other = ItemState::SameAs { name: "course/film.mkv".into() };
    until(&folder, "it is the same", |items| (state(items, "film.mkv")? == other).then_some(()));
    drop((jobs, folder));

    let folder = place.start_with(|config| config.by_hand = true);
    assert_eq!(until_shared(&folder, "course/film.mkv"), info_hash);
    until(&folder, "it is remembered", |items| (state(items, "film.mkv")? == other).then_some(()));
    fs::remove_file(place.path("course/film.mkv")).unwrap();
    assert_eq!(until_shared(&folder, "film.mkv"), info_hash);
    let is_served = |_: &SharedItems| read(&place.contents, ContentKey::Swarm(info_hash))?.ok();
    assert_eq!(until(&folder, "the other one is served", is_served), b"film");

    place.write("film.mkv", b"another film");
    let has_changed = |items: &SharedItems| matches!(state(items, "film.mkv")?, ItemState::Failed { .. }).then_some(());
    until(&folder, "it has changed", has_changed);
    until(&folder, "it is withdrawn", |_| place.contents.get(ContentKey::Swarm(info_hash)).is_none().then_some(()));
    assert!(place.library.get(&info_hash).is_some(), "that stays until it is removed by hand");
    place.library.remove(&info_hash).unwrap();
    until_gone(&folder, "film.mkv");
}

#[test]
fn a_folder_of_many_entries_is_cut() {
    let mut place = Place::new();
    place.max_entries = 20;
    for number in 0..20 {
        place.write(&format!("{number}"), if number % 2 == 0 { b"" } else { b"x" });
    }
    place.write("one more", b"x");
    let folder = place.start();
    until(&folder, "it is looked at", |items| {
        (items.truncated && items.items.len() + items.passed_over.len() == 20).then_some(())
    });
    fs::remove_file(place.path("17")).unwrap();
    until(&folder, "there is room", |items| (!items.truncated).then_some(()));
    until_shared(&folder, "one more");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_passed_over() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut place = Place::new();
    place.write("film.mkv", b"film");
    place.write("a\\b", b"no client takes this name");
    place.write("course/secret", b"secret");
    place.write("course/notes", b"notes");
    let secret = place.path("course/secret");
    let set_mode = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o000);
    let folder = place.start();
    until_shared(&folder, "film.mkv");
    let reasons = |items: &SharedItems| {
        let reasons: Vec<_> =
            items.passed_over.iter().map(|one| (one.name.to_string(), one.reason.to_string())).collect();
        reasons
    };
    // Root reads everything.
    let is_root = File::open(&secret).is_ok();
    let expected = if is_root { 1 } else { 2 };
    let found = until(&folder, "passed over", |items| Some(reasons(items)).filter(|found| found.len() == expected));
    assert!(found[0].0 == "a\\b" && found[0].1.contains("cannot go into a torrent"), "{found:?}");
    if !is_root {
        assert!(found[1].1.starts_with("cannot read \"course/secret\""), "{found:?}");
        set_mode(0o600);
    }
    until_shared(&folder, "course");
}
