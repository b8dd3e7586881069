//! The SHA-256 of the content in the share folder, by which two copies can be compared.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use metainfo::File as TorrentFile;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tracker_core::InfoHash;

use crate::known::displayable_path;
use crate::library::LOOKING_PART;
use crate::stamp::Stamp;
use crate::worker::Worker;
use crate::{KnownTorrent, Library, Share};

/// The time for which a result is valid before the content is read again.
const PERIOD: Duration = Duration::from_secs(5);

/// Content that was not found is looked for again after so many periods: it is looked for in the whole share.
const ABSENT_PERIODS: u32 = 12;

/// Content that was found is remembered for at least so long after it was asked for. Otherwise requests for very many torrents
/// would have the same files read again and again.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The interval at which the resting thread checks if it must end.
const SHORT: Duration = Duration::from_millis(100);

/// Torrents that are remembered, at most.
const MAX_CONTENTS: usize = 1000;

/// Files of all of them that are remembered, at most.
const MAX_FILES: usize = 100_000;

/// Torrents that wait, at most.
const MAX_WAITING: usize = 100;

/// Folders of the share in which content is looked for, at most, and entries of all of them.
const MAX_SEARCHED: (usize, usize) = (1000, 100_000);

/// Bytes of one read: they fit a core's cache.
const CHUNK: usize = 128 << 10;

/// Computes the SHA-256 of the files of torrents whose content is in the share folder, and remembers it. Cheap to clone; all
/// clones are one.
///
/// The content of a torrent is the file or folder with the torrent's name, anywhere in the share folder, in which at least one
/// file has the right size. It is looked at when it is asked for, again after five seconds at the earliest, and after a minute if
/// it was not found; a file that has changed is read again.
///
/// The work is bounded, however much is asked for: it is done by one thread, which spends at most a twentieth of its time on
/// looking for content, and remembers what it has read for an hour. Paths that can be none
/// [on this machine](metainfo::File::local_path), or that are not in the [`Share`], are not looked at.
#[derive(Debug, Clone)]
pub struct Digests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    worker: Worker<InfoHash>,
}

#[derive(Debug)]
struct Shared {
    share: Share,
    library: Library,
    period: Duration,
    contents: Mutex<Contents>,
}

/// The content of torrents, as far as it was asked for.
#[derive(Debug, Default)]
struct Contents(HashMap<InfoHash, Content>);

/// The content of a torrent, as it was found.
#[derive(Debug)]
struct Content {
    /// The time of the last request.
    asked: Instant,
    /// `true` while it waits or is being looked at.
    busy: bool,
    /// The time from which on to look at it again.
    due: Instant,
    /// `true` if it was found, or was not yet looked for.
    available: bool,
    /// Its path relative to the share folder.
    place: Option<String>,
    files: Vec<ContentFile>,
}

#[derive(Debug, Clone)]
struct ContentFile {
    digest: Digest,
    /// Its stamp when it was found with the right size.
    stamp: Option<Stamp>,
    /// `true` if it was fresh when it was read, so that it must be read again.
    fresh: bool,
}

/// The SHA-256 of a file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Digest {
    /// The file's path in the torrent, with `/` between names. It leads to no other folder: what could do harm is replaced.
    pub path: String,
    /// The file's path as the torrent has it, where that could do harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_path: Option<String>,
    /// `true` if the torrent's path for the file could do harm.
    #[serde(rename = "unsafe", skip_serializing_if = "std::ops::Not::not")]
    pub is_unsafe: bool,
    /// Its size in bytes.
    pub size: u64,
    /// 64 hexadecimal digits; `null` while it is computed, or when the file is not available or of another size.
    pub sha256: Option<String>,
}

impl Digests {
    /// The digests of the content in `share`.
    pub fn new(share: Share, library: Library) -> Self {
        Self::looking_every(PERIOD, share, library)
    }

    fn looking_every(period: Duration, share: Share, library: Library) -> Self {
        let shared = Arc::new(Shared { share, library, period, contents: Mutex::default() });
        let of_worker = Arc::clone(&shared);
        let worker = Worker::new("digests", move |info_hash, closed: &AtomicBool| of_worker.work(info_hash, closed));
        Self(Arc::new(Inner { shared, worker }))
    }

    /// The files of a torrent with their SHA-256, as far as they are computed; starts to compute the others. `None` if its
    /// content is not available.
    ///
    /// Never waits for the disk: until the content was looked for, nothing is known of any of its files.
    pub fn of(&self, swarm_key: &InfoHash) -> Option<Vec<Digest>> {
        let Inner { shared, worker } = &*self.0;
        let known = shared.library.get(swarm_key);
        let mut contents = shared.contents();
        let now = Instant::now();
        let Some(known) = known else {
            contents.0.remove(swarm_key);
            return None;
        };
        let info_hash = &known.info_hash;
        let can_wait = worker.waiting() < MAX_WAITING;
        if !contents.0.contains_key(info_hash) {
            let content = Content::new(&known, now);
            if !(can_wait && contents.make_room(content.files.len(), now)) {
                return content.digests();
            }
            contents.0.insert(*info_hash, content);
        }
        let content = contents.0.get_mut(info_hash).expect("put there");
        content.asked = now;
        let digests = content.digests();
        if !content.busy && content.due <= now && can_wait {
            match worker.push(*info_hash) {
                Ok(()) => content.busy = true,
                Err(error) => tracing::warn!("cannot compute SHA-256: {error}"),
            }
        }
        digests
    }
}

impl Contents {
    /// Forgets content, until there is room for `files` more: first what was not found, then what was not asked for the
    /// longest time. Returns `false` if there is no room.
    fn make_room(&mut self, files: usize, now: Instant) -> bool {
        let mut count: usize = self.0.values().map(|content| content.files.len()).sum();
        while self.0.len() >= MAX_CONTENTS || count + files > MAX_FILES {
            let may_go = |content: &Content| {
                !content.busy && (!content.available || now.saturating_duration_since(content.asked) >= KEPT)
            };
            let idle = self.0.iter().filter(|(_, content)| may_go(content));
            let oldest = idle.min_by_key(|(_, content)| (content.available, content.asked));
            let Some((&oldest, _)) = oldest else { return false };
            count -= self.0.remove(&oldest).map_or(0, |content| content.files.len());
        }
        true
    }
}

impl Content {
    fn new(torrent: &KnownTorrent, now: Instant) -> Self {
        let files = files(torrent)
            .map(|file| {
                let (path, raw_path) = displayable_path(file);
                let is_unsafe = raw_path.is_some();
                let digest = Digest { path, raw_path, is_unsafe, size: file.length, sha256: None };
                ContentFile { digest, stamp: None, fresh: false }
            })
            .collect();
        Self { asked: now, busy: false, due: now, available: true, place: None, files }
    }

    fn digests(&self) -> Option<Vec<Digest>> {
        self.available.then(|| self.files.iter().map(|file| file.digest.clone()).collect())
    }
}

impl Shared {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, info_hash: &InfoHash, update: impl FnOnce(&mut Content)) {
        // It is gone when its torrent is.
        if let Some(content) = self.contents().0.get_mut(info_hash) {
            update(content);
        }
    }

    /// Looks at the content of a torrent, and rests then.
    fn work(&self, info_hash: InfoHash, closed: &AtomicBool) {
        let look = || self.library.get(&info_hash).map(|torrent| self.look(&torrent, closed)).unwrap_or_default();
        // After a bug the content does not stay busy.
        let spent = catch_unwind(AssertUnwindSafe(look)).unwrap_or_default();
        self.update(&info_hash, |content| {
            let periods = if content.available { 1 } else { ABSENT_PERIODS };
            content.busy = false;
            content.due = Instant::now() + self.period * periods;
        });
        rest(spent * LOOKING_PART, closed);
    }

    /// Looks for a torrent's content and reads what has changed. Returns the time that must not be spent again soon: all but that
    /// of reading files that are settled.
    fn look(&self, torrent: &KnownTorrent, closed: &AtomicBool) -> Duration {
        let start = Instant::now();
        let info_hash = &torrent.info_hash;
        let before = self.contents().0.get(info_hash).and_then(|content| content.place.clone());
        let place = self.locate(torrent, before, closed);
        let found: Vec<_> = match &place {
            Some(place) => files(torrent).map(|file| self.file(torrent, place, file)).collect(),
            None => Vec::new(),
        };
        let mut unknown = Vec::new();
        self.update(info_hash, |content| {
            content.available = place.is_some();
            content.place = place;
            for (number, file) in content.files.iter_mut().enumerate() {
                let found = found.get(number).and_then(Option::as_ref);
                let stamp = found.map(|(_, stamp)| *stamp);
                if file.stamp != stamp {
                    file.digest.sha256 = None;
                }
                file.stamp = stamp;
                let is_unknown = file.fresh || file.digest.sha256.is_none();
                unknown.extend(found.filter(|_| is_unknown).map(|found| (number, found)));
            }
        });
        let mut spent = start.elapsed();
        for (number, (path, stamp)) in unknown {
            let (start, fresh) = (Instant::now(), stamp.is_fresh());
            let sha256 = sha256(path, *stamp, closed).unwrap_or_else(|error| {
                tracing::debug!(%info_hash, "cannot compute the SHA-256 of {path:?}: {error}");
                None
            });
            if fresh || sha256.is_none() {
                spent += start.elapsed();
            }
            self.update(info_hash, |content| {
                if let Some(file) = content.files.get_mut(number) {
                    file.fresh = fresh;
                    file.digest.sha256 = sha256;
                }
            });
            if closed.load(Ordering::Relaxed) {
                break;
            }
        }
        spent
    }

    /// The path of a torrent's content, relative to the share folder: where it was before, or the first place with its name.
    fn locate(&self, torrent: &KnownTorrent, before: Option<String>, closed: &AtomicBool) -> Option<String> {
        let names = torrent.metainfo.info().local_names().ok()?;
        let names: Vec<_> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        let own_name =
            self.share.folder().file_name().filter(|own| names.iter().any(|name| own.to_str() == Some(name)));
        let mut likely = before.into_iter().chain(names.iter().cloned()).chain(own_name.map(|_| String::new()));
        likely.find(|place| self.fits(torrent, place)).or_else(|| self.search(torrent, &names, closed))
    }

    /// Looks through the folders of the share, those above first.
    fn search(&self, torrent: &KnownTorrent, names: &[String], closed: &AtomicBool) -> Option<String> {
        let (mut folders, mut entries) = MAX_SEARCHED;
        let mut waiting = VecDeque::from([String::new()]);
        // Links may lead in circles.
        let mut been = HashSet::new();
        while let Some(folder) = waiting.pop_front() {
            folders = folders.checked_sub(1).filter(|_| !closed.load(Ordering::Relaxed))?;
            if !self.share.resolve(&folder).is_ok_and(|path| been.insert(path)) {
                continue;
            }
            let Ok(listing) = self.share.list(&folder) else { continue };
            entries = entries.checked_sub(listing.entries.len())?;
            for entry in listing.entries {
                let place = below(&folder, &entry.name);
                if names.contains(&entry.name) && self.fits(torrent, &place) {
                    return Some(place);
                }
                if entry.size.is_none() {
                    waiting.push_back(place);
                }
            }
        }
        None
    }

    /// Returns `true` if any of the files is there with its size.
    fn fits(&self, torrent: &KnownTorrent, place: &str) -> bool {
        files(torrent).any(|file| self.file(torrent, place, file).is_some())
    }

    /// A file of the content at a place, if it is there with its size.
    fn file(&self, torrent: &KnownTorrent, place: &str, file: &TorrentFile) -> Option<(PathBuf, Stamp)> {
        let resolve = |relative: &Path| {
            let mut path = place.to_owned();
            for name in relative {
                path = below(&path, name.to_str()?);
            }
            self.share.resolve(&path).ok()
        };
        let path = match torrent.metainfo.info().is_single_file() {
            true => resolve(Path::new("")),
            false => resolve(&file.local_path(|relative| resolve(relative).is_some()).ok()?),
        }?;
        let metadata = fs::metadata(&path).ok().filter(|metadata| metadata.is_file())?;
        let stamp = Stamp::new(&metadata);
        (stamp.len == file.length).then_some((path, stamp))
    }
}

fn rest(pause: Duration, closed: &AtomicBool) {
    let end = Instant::now() + pause;
    while !closed.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(SHORT));
    }
}

/// The files whose digests are computed.
fn files(torrent: &KnownTorrent) -> impl Iterator<Item = &TorrentFile> {
    torrent.metainfo.info().content_files().filter(|file| !file.attributes.symlink).take(KnownTorrent::MAX_LISTED_FILES)
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The SHA-256 of a file that must be and stay as it was found; `None` if the worker was dropped meanwhile.
fn sha256(path: &Path, stamp: Stamp, closed: &AtomicBool) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let check = |file: &File| match Stamp::new(&file.metadata()?) == stamp {
        true => Ok(()),
        false => Err(io::Error::other("it has changed")),
    };
    check(&file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        if closed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => hasher.update(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    check(&file)?;
    let digest = hasher.finalize();
    Ok(Some(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::atomic::AtomicBool;

    use metainfo::Create;

    use super::*;
    use crate::LibraryConfig;
    use crate::library::tests::torrent;

    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const OF_ABD: &str = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";

    struct Place {
        folder: tempfile::TempDir,
        library: Library,
        digests: Digests,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("share")).unwrap();
            let library = Library::open(LibraryConfig::default()).unwrap();
            let share = Share::open(folder.path().join("share")).unwrap();
            let digests = Digests::looking_every(Duration::ZERO, share, library.clone());
            Self { folder, library, digests }
        }

        fn write(&self, path: &str, bytes: &[u8]) {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join("share").join(path)
        }

        fn register(&self, torrent: &[u8]) -> InfoHash {
            self.library.register(torrent).unwrap().info_hash
        }

        /// A torrent of what is at a path now.
        fn made_of(&self, path: &str) -> InfoHash {
            let plan = Create::new(self.path(path)).plan().unwrap();
            self.register(plan.hash(&AtomicBool::new(false), |_| ()).unwrap().as_bytes())
        }

        fn shared(&self) -> &Arc<Shared> {
            &self.digests.0.shared
        }

        /// Asks until the answer is this: path and SHA-256 of each file.
        #[track_caller]
        fn until(&self, info_hash: &InfoHash, expected: Option<&[(&str, Option<&str>)]>) {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let digests = self.digests.of(info_hash);
                let digests: Option<Vec<_>> = (digests.as_ref())
                    .map(|files| files.iter().map(|file| (&*file.path, file.sha256.as_deref())).collect());
                if digests.as_deref() == expected {
                    return;
                }
                assert!(Instant::now() < deadline, "{digests:?} instead of {expected:?}");
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn content_at_hand() {
        let place = Place::new();
        place.write("notes.txt", b"abc");
        let info_hash = place.register(&torrent("notes.txt", 3));
        let first = place.digests.of(&info_hash).unwrap();
        let unknown = Digest { path: "notes.txt".to_owned(), raw_path: None, is_unsafe: false, size: 3, sha256: None };
        assert_eq!(first, [unknown], "it does not wait");
        place.until(&info_hash, Some(&[("notes.txt", Some(OF_ABC))]));

        // It is read again when it has changed.
        place.write("notes.txt", b"abd");
        place.until(&info_hash, Some(&[("notes.txt", Some(OF_ABD))]));
        place.write("notes.txt", b"abcd");
        place.until(&info_hash, None);
        place.write("notes.txt", b"abc");
        place.until(&info_hash, Some(&[("notes.txt", Some(OF_ABC))]));
        fs::remove_file(place.path("notes.txt")).unwrap();
        place.until(&info_hash, None);

        place.library.remove(&info_hash).unwrap();
        assert_eq!(place.digests.of(&info_hash), None);
        assert!(place.shared().contents().0.is_empty());
    }

    #[test]
    fn content_is_found_in_folders() {
        let place = Place::new();
        place.write("2026/course/a.txt", b"abc");
        place.write("2026/course/week 1/b.txt", b"abd");
        place.write("2026/course/week 1/c.txt", b"abc");
        let info_hash = place.made_of("2026/course");
        let all = [("a.txt", Some(OF_ABC)), ("week 1/b.txt", Some(OF_ABD)), ("week 1/c.txt", Some(OF_ABC))];
        place.until(&info_hash, Some(&all));

        // Each file by itself.
        fs::remove_file(place.path("2026/course/a.txt")).unwrap();
        place.write("2026/course/week 1/b.txt", b"another size");
        place.until(&info_hash, Some(&[("a.txt", None), ("week 1/b.txt", None), all[2]]));

        fs::rename(place.path("2026"), place.path("2027")).unwrap();
        place.until(&info_hash, Some(&[("a.txt", None), ("week 1/b.txt", None), all[2]]));

        // The share itself.
        let info_hash = place.made_of("");
        let before = "2027/course/week 1/";
        let (b, c) = (format!("{before}b.txt"), format!("{before}c.txt"));
        let of_b = "d842e9f1f680ea0e83114462360b7245f56a817764eab74642bc92d820eb92bd";
        place.until(&info_hash, Some(&[(&b, Some(of_b)), (&c, Some(OF_ABC))]));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_other_systems_cannot_have_are_found() {
        let place = Place::new();
        place.write("2026/What is DNS?/a: b.txt", b"abc");
        let info_hash = place.made_of("2026/What is DNS?");
        place.until(&info_hash, Some(&[("a: b.txt", Some(OF_ABC))]));
        place.write("2026/aux.txt", b"abc");
        let info_hash = place.made_of("2026/aux.txt");
        place.until(&info_hash, Some(&[("aux.txt", Some(OF_ABC))]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_in_another_unicode_form_are_found() {
        let place = Place::new();
        place.write("2026/d\u{ed}a/d\u{ed}a.txt", b"abc");
        let name = "di\u{301}a";
        let torrent = format!(
            "d4:infod5:filesld6:lengthi3e4:pathl9:{name}.txteee4:name5:{name}12:piece lengthi16384e\
             6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
        );
        let info_hash = place.register(torrent.as_bytes());
        let path = format!("{name}.txt");
        place.until(&info_hash, Some(&[(&path, Some(OF_ABC))]));
    }

    #[test]
    fn another_of_the_name_is_passed_over() {
        let place = Place::new();
        place.write("course/other.txt", b"abc");
        place.write("z/course/a.txt", b"abc");
        let info_hash = place.made_of("z/course");
        place.until(&info_hash, Some(&[("a.txt", Some(OF_ABC))]));
    }

    #[test]
    fn no_path_leads_outside() {
        let place = Place::new();
        fs::write(place.folder.path().join("key"), b"abc").unwrap();
        place.write("course/a.txt", b"abc");
        place.write("course/.hidden", b"abc");
        let file = |path: &[&str]| {
            let path: String = path.iter().map(|name| format!("{}:{name}", name.len())).collect();
            format!("d6:lengthi3e4:pathl{path}ee")
        };
        let files = [
            file(&["a.txt"]),
            file(&["..", "..", "key"]),
            file(&["../../key"]),
            file(&["..", "course", "a.txt"]),
            file(&[".hidden"]),
            file(&["link"]),
        ]
        .concat();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../key", place.path("course/link")).unwrap();
        let torrent =
            format!("d4:infod5:filesl{files}e4:name6:course12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
        let info_hash = place.register(torrent.as_bytes());
        place.until(
            &info_hash,
            Some(&[
                ("a.txt", Some(OF_ABC)),
                ("__/__/key", None),
                (".._.._key", None),
                ("__/course/a.txt", None),
                (".hidden", None),
                ("link", None),
            ]),
        );
        for name in ["../key", "..", ".", "/etc/hostname", "course/a.txt"] {
            let info_hash = place.register(&crate::library::tests::torrent(name, 3));
            place.until(&info_hash, None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_are_no_trouble() {
        let place = Place::new();
        place.write("a/b/notes.txt", b"abc");
        std::os::unix::fs::symlink("../..", place.path("a/b/up")).unwrap();
        std::os::unix::fs::symlink(".", place.path("self")).unwrap();
        let found = place.register(&torrent("notes.txt", 3));
        place.until(&found, Some(&[("notes.txt", Some(OF_ABC))]));
        let missing = place.register(&torrent("missing.txt", 3));
        place.until(&missing, None);
    }

    /// A torrent of a file whose reading does not end, and no bytes on disk.
    fn endless(place: &Place, name: &str) -> InfoHash {
        let len = 1_u64 << 40;
        File::create(place.path(name)).unwrap().set_len(len).unwrap();
        let pieces = "a".repeat(20 << 12);
        let torrent = format!(
            "d4:infod6:lengthi{len}e4:name{}:{name}12:piece lengthi{}e6:pieces{}:{pieces}ee",
            name.len(),
            len >> 12,
            pieces.len()
        );
        let info_hash = place.register(torrent.as_bytes());
        // Until it is being read.
        let deadline = Instant::now() + Duration::from_secs(60);
        place.digests.of(&info_hash);
        while place.shared().contents().0[&info_hash].files[0].stamp.is_none() {
            assert!(Instant::now() < deadline, "it is looked at");
            thread::sleep(Duration::from_millis(2));
        }
        info_hash
    }

    #[test]
    fn limits_are_kept() {
        let place = Place::new();
        endless(&place, "endless");
        let info_hashes: Vec<_> =
            (0..MAX_WAITING + 10).map(|number| place.register(&torrent(&number.to_string(), 3))).collect();
        for info_hash in &info_hashes {
            let digests = place.digests.of(info_hash).unwrap();
            assert_eq!((digests.len(), &digests[0].sha256), (1, &None));
        }
        assert_eq!(place.digests.0.worker.waiting(), MAX_WAITING);
        let contents = place.shared().contents();
        assert_eq!(contents.0.len(), MAX_WAITING + 1, "the others do not count as asked for");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let (mut contents, start) = (Contents::default(), Instant::now());
        let later = start + KEPT + Duration::from_secs(1);
        let torrent = KnownTorrent::parse(&torrent("a", 3)).unwrap();
        for number in 0..MAX_CONTENTS {
            assert!(contents.make_room(1, start));
            let mut info_hash = [0; 20];
            info_hash[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let asked = start + Duration::from_secs(number as u64);
            let content = Content { asked, busy: number == 0, available: number < 3, ..Content::new(&torrent, start) };
            contents.0.insert(InfoHash::new(info_hash), content);
        }
        assert!(contents.make_room(1, later));
        let asked = |contents: &Contents| {
            let mut asked: Vec<_> = contents.0.values().map(|content| (content.asked - start).as_secs()).collect();
            asked.sort_unstable();
            asked
        };
        assert_eq!((contents.0.len(), &asked(&contents)[..5]), (MAX_CONTENTS - 1, &[0, 1, 2, 4, 5][..]));
        assert!(contents.make_room(MAX_FILES - 10, later));
        assert_eq!((contents.0.len(), &asked(&contents)[..4]), (10, &[0, 1, 2, 993][..]));
        assert!(!contents.make_room(MAX_FILES, later));
        assert_eq!(asked(&contents), [0, 2], "what is busy stays, and what was found and asked for in the last hour");
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let place = Place::new();
        endless(&place, "endless");
        let shared: Weak<Shared> = Arc::downgrade(place.shared());
        let clone = place.digests.clone();
        let Place { folder: _folder, library: _library, digests } = place;
        drop(digests);
        assert!(shared.strong_count() > 1, "somebody has it");
        drop(clone);
        let deadline = Instant::now() + Duration::from_secs(60);
        while shared.strong_count() > 0 {
            assert!(Instant::now() < deadline, "it ends");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_file_must_stay_as_it_is() {
        let place = Place::new();
        place.write("a", b"abc");
        let path = place.path("a");
        let stamp = Stamp::new(&fs::metadata(&path).unwrap());
        let open = AtomicBool::new(false);
        assert_eq!(sha256(&path, stamp, &open).unwrap().as_deref(), Some(OF_ABC));
        assert_eq!(sha256(&path, stamp, &AtomicBool::new(true)).unwrap(), None);
        place.write("a", b"abcd");
        assert!(sha256(&path, stamp, &open).is_err());
    }
}
