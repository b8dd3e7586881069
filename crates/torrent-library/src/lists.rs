//! The lists of torrents that are served, or not.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tracker_core::{InfoHash, Shards, TorrentPolicy};

use crate::folder::base_name;
use crate::library::Library;
use crate::list_file::parse;
use crate::read_file::{ReadFileError, read_file};
use crate::stamp::{Due, Stamp, WatchedFile};

/// The maximum size of a list, in bytes: a million and a half info-hashes.
const MAX_LIST_BYTES: u64 = 1 << 26;

/// The interval at which the files are checked for changes.
const PERIOD: Duration = Duration::from_millis(500);

/// The pause between two batches of swarms that are checked against a new policy.
const PAUSE: Duration = Duration::from_millis(1);

/// The allow list and the deny list, and the library if only known torrents are served. While a list cannot be used, its last
/// valid version stays in force, independently of the other.
#[derive(Debug)]
pub struct TorrentLists {
    allow: Option<List>,
    deny: Option<List>,
    /// The policy of the two lists.
    listed: TorrentPolicy,
    /// If it is there, its torrents and those of the allow list are served, and no others.
    known: Option<Library>,
    problems: ListProblems,
}

/// Keeps the policy of shards up to date until it is dropped: see [`TorrentLists::watch`].
#[derive(Debug)]
#[must_use = "the policy is no longer updated when this is dropped"]
pub struct PolicyUpdates {
    /// The task that follows the library. Dropping the set aborts it.
    _library: JoinSet<()>,
    /// The thread that follows the lists ends when this is dropped.
    _lists: Sender<Infallible>,
    problems: ListProblems,
}

/// What is wrong with the lists as they are now. Cheap to clone; all clones are of the same lists.
#[derive(Debug, Clone, Default)]
pub struct ListProblems(Arc<Mutex<Problems>>);

/// What is wrong with each list.
#[derive(Debug, Default)]
struct Problems {
    allow: Option<Arc<ListError>>,
    deny: Option<Arc<ListError>>,
}

/// A file of info-hashes.
#[derive(Debug)]
struct List {
    path: PathBuf,
    watched: WatchedFile,
}

/// A list of torrents that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The file cannot be read.
    #[error("cannot read the list of torrents {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The path leads to something else than a regular file.
    #[error("{}: a list of torrents must be a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is too long.
    #[error("{}: a list of torrents has at most {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The maximum size in bytes.
        limit: u64,
    },
    /// A line is not an info-hash.
    #[error("{}:{line}: expected an info-hash of 40 hexadecimal digits, or # and a comment, found {found:?}", path.display())]
    NotAnInfoHash {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The beginning of the line.
        found: String,
    },
}

impl ListError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::NotAFile { path }
            | Self::TooLong { path, .. }
            | Self::NotAnInfoHash { path, .. } => path,
        }
    }
}

impl PolicyUpdates {
    /// What is wrong with the lists, now and later.
    pub fn problems(&self) -> &ListProblems {
        &self.problems
    }
}

impl ListProblems {
    /// Why the allow list cannot be used as it is now, so that its last valid version is in force.
    pub fn allow(&self) -> Option<Arc<ListError>> {
        self.lock().allow.clone()
    }

    /// The deny list's error, if it cannot be used.
    pub fn deny(&self) -> Option<Arc<ListError>> {
        self.lock().deny.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Problems> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TorrentLists {
    /// Reads the lists that there are. `known` has the torrents that are served besides those of the allow list.
    ///
    /// # Errors
    ///
    /// Returns [`ListError`] if a list cannot be read, or is not a list of info-hashes.
    pub fn read(allow: Option<PathBuf>, deny: Option<PathBuf>, known: Option<Library>) -> Result<Self, ListError> {
        let (listed, problems) = Default::default();
        let mut lists = Self { allow: None, deny: None, listed, known, problems };
        if let Some(path) = allow {
            let (list, info_hashes) = List::read(path)?;
            lists.allow = Some(list);
            lists.listed.allowed = Some(info_hashes);
        }
        if let Some(path) = deny {
            let (list, info_hashes) = List::read(path)?;
            lists.deny = Some(list);
            lists.listed.denied = info_hashes;
        }
        lists.log("lists of torrents read");
        Ok(lists)
    }

    /// The policy of the lists and the library together.
    pub fn policy(&self) -> TorrentPolicy {
        let mut policy = self.listed.clone();
        if let Some(library) = &self.known {
            let library = library.all();
            policy.allowed.get_or_insert_default().extend(library.values().flat_map(|torrent| torrent.swarm_keys()));
        }
        policy
    }

    /// Keeps the policy of `shards` up to date until the returned value is dropped: with the lists by a thread of its own, and
    /// with the library by a task. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread cannot be started.
    pub fn watch(self, shards: &Arc<Shards>) -> io::Result<PolicyUpdates> {
        let (has_lists, known) = (self.allow.is_some() || self.deny.is_some(), self.known.clone());
        let problems = self.problems.clone();
        // Locked until the shards have the policy, so that the last change is the one that counts.
        let lists = Arc::new(Mutex::new(self));
        let mut tasks = JoinSet::new();
        if let Some(library) = known {
            let (lists, shards) = (Arc::clone(&lists), Arc::clone(shards));
            let mut changes = library.changes();
            // It may have changed since the policy was made.
            changes.mark_changed();
            tasks.spawn(async move {
                while changes.changed().await.is_ok() {
                    let (lists, shards) = (Arc::clone(&lists), Arc::clone(&shards));
                    let updated = spawn_blocking(move || set_torrents(&shards, lock(&lists).policy())).await;
                    if let Err(bug) = updated {
                        tracing::error!("which torrents are served stays as it was before the library changed: {bug}");
                    }
                }
            });
        }
        let (stop, stopped) = mpsc::channel();
        if has_lists {
            let shards = Arc::clone(shards);
            let watch = move || {
                while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                    lock(&lists).look_and_update(&shards);
                }
            };
            thread::Builder::new().name("lists".into()).spawn(watch)?;
        }
        Ok(PolicyUpdates { _library: tasks, _lists: stop, problems })
    }

    fn look_and_update(&mut self, shards: &Shards) {
        let (changed, errors) = self.look();
        for error in errors {
            let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
            // Viewers see the log: not where the list lies.
            let (error, path) = (error.to_string(), error.path());
            let error = error.replacen(&*path.to_string_lossy(), &base_name(path).to_string_lossy(), 1);
            tracing::error!("{error}{source}; the last valid version stays in force");
        }
        if changed {
            self.log("lists of torrents read again");
            set_torrents(shards, self.policy());
        }
    }

    /// Looks at the files. Returns whether the policy has changed, and the errors of lists that cannot be used.
    fn look(&mut self) -> (bool, Vec<Arc<ListError>>) {
        let (mut changed, mut errors) = (false, Vec::new());
        let changed_list = |list: &mut Option<List>| list.as_mut()?.changed().map(|read| read.map_err(Arc::new));
        if let Some(read) = changed_list(&mut self.allow) {
            self.problems.lock().allow = read.as_ref().err().cloned();
            match read {
                Ok(info_hashes) => (self.listed.allowed, changed) = (Some(info_hashes), true),
                Err(error) => errors.push(error),
            }
        }
        if let Some(read) = changed_list(&mut self.deny) {
            self.problems.lock().deny = read.as_ref().err().cloned();
            match read {
                Ok(info_hashes) => (self.listed.denied, changed) = (info_hashes, true),
                Err(error) => errors.push(error),
            }
        }
        (changed, errors)
    }

    fn log(&self, what: &str) {
        if self.allow.is_none() && self.deny.is_none() {
            return;
        }
        let allowed = self.listed.allowed.as_ref().map(BTreeSet::len);
        tracing::info!(allowed, denied = self.deny.is_some().then_some(self.listed.denied.len()), "{what}");
        if allowed == Some(0) && self.known.is_none() {
            tracing::warn!("the allow list is empty, so that no torrent is served");
        }
    }
}

/// Lets the shards serve other torrents. They are left alone between batches, so that announces get their turn.
fn set_torrents(shards: &Shards, policy: TorrentPolicy) {
    shards.set_torrents_with_pauses(policy, || thread::sleep(PAUSE));
}

fn lock(lists: &Mutex<TorrentLists>) -> MutexGuard<'_, TorrentLists> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

impl List {
    fn read(path: PathBuf) -> Result<(Self, BTreeSet<InfoHash>), ListError> {
        let watched = WatchedFile::read(Stamp::of(&path));
        let info_hashes = read(&path)?;
        Ok((Self { path, watched }, info_hashes))
    }

    /// Looks at the file. Returns its content if it has changed and settled, or can be read again.
    fn changed(&mut self) -> Option<Result<BTreeSet<InfoHash>, ListError>> {
        self.changed_by(read)
    }

    fn changed_by(
        &mut self,
        read: impl FnOnce(&Path) -> Result<BTreeSet<InfoHash>, ListError>,
    ) -> Option<Result<BTreeSet<InfoHash>, ListError>> {
        let due = self.watched.look(Stamp::of(&self.path))?;
        let info_hashes = read(&self.path);
        self.watched.retry = matches!(info_hashes, Err(ListError::Read { .. }));
        // An error of reading was reported before.
        (due == Due::Changed || !self.watched.retry).then_some(info_hashes)
    }
}

fn read(path: &Path) -> Result<BTreeSet<InfoHash>, ListError> {
    let path_of = || path.to_owned();
    let bytes = read_file(path, MAX_LIST_BYTES).map_err(|error| match error {
        ReadFileError::NotAFile => ListError::NotAFile { path: path_of() },
        ReadFileError::TooLong => ListError::TooLong { path: path_of(), limit: MAX_LIST_BYTES },
        ReadFileError::System(source) => ListError::Read { path: path_of(), source },
    })?;
    parse(&bytes).map_err(|(line, found)| ListError::NotAnInfoHash { path: path.to_owned(), line, found })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::*;
    use crate::LibraryConfig;

    const ONE: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";
    const TWO: &str = "ABCDEF0123456789abcdef0123456789ABCDEF01";

    fn set(texts: &[&str]) -> BTreeSet<InfoHash> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        for (text, expected) in [
            (String::new(), set(&[])),
            (format!("{ONE}\n{TWO}\n"), set(&[ONE, TWO])),
            (format!("{ONE}\n{ONE}"), set(&[ONE])),
            (format!("# ours\r\n\r\n  {ONE} # Ubuntu\r\n\t{TWO}\r\n#end"), set(&[ONE, TWO])),
            (format!("\u{feff}{ONE}\n"), set(&[ONE])),
            // As make-torrent prints it.
            (format!("{ONE}  Gr\u{f6}\u{df}e 1.torrent\n{TWO}\t\u{a0}x"), set(&[ONE, TWO])),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, line, found) in [
            (format!("{ONE}\n\nhello\n{TWO}"), 3, "hello"),
            (ONE[..39].to_owned(), 1, &ONE[..39]),
            (format!("{ONE}0"), 1, &format!("{ONE}0")),
            (format!("{ONE} {TWO}"), 1, &format!("{ONE} {}", &TWO[..19])),
            (format!("\nname {ONE}"), 2, &format!("name {ONE}")),
        ] {
            assert_eq!(parse(text.as_bytes()), Err((line, found.to_owned())), "{text:?}");
        }
        assert!(parse(&[0xff; 1000]).is_err());
    }

    /// Looks until the list is read again, as often as it may take.
    fn look(list: &mut List) -> Option<Result<BTreeSet<InfoHash>, String>> {
        (0..3).find_map(|_| list.changed()).map(|result| result.map_err(|error| error.to_string()))
    }

    #[test]
    fn changes_are_read_once_they_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allowed.txt");
        fs::write(&path, ONE).unwrap();
        let (mut list, info_hashes) = List::read(path.clone()).unwrap();
        assert_eq!(info_hashes, set(&[ONE]));
        assert!(look(&mut list).is_none());

        fs::write(&path, format!("{ONE}\n")).unwrap();
        assert!(list.changed().is_none(), "it may still be written");
        fs::write(&path, format!("{ONE}\n{TWO}")).unwrap();
        assert!(list.changed().is_none(), "it was still written");
        assert_eq!(list.changed().unwrap().unwrap(), set(&[ONE, TWO]));
        assert!(look(&mut list).is_none());

        // As editors do.
        let other = folder.path().join("allowed.txt~");
        fs::write(&other, format!("{TWO}\n{ONE}")).unwrap();
        // Later, however coarse the file system's clock is.
        File::options().write(true).open(&other).unwrap().set_modified(SystemTime::now() + PERIOD).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(look(&mut list).unwrap().unwrap(), set(&[ONE, TWO]));

        fs::write(&path, "oops").unwrap();
        assert!(look(&mut list).unwrap().unwrap_err().contains("allowed.txt:1: "));
        assert!(look(&mut list).is_none(), "said once");

        fs::remove_file(&path).unwrap();
        assert!(look(&mut list).unwrap().unwrap_err().contains("cannot read"));
        assert!(look(&mut list).is_none(), "said once");

        fs::create_dir(&path).unwrap();
        assert!(look(&mut list).unwrap().unwrap_err().contains("must be a regular file"));
        assert!(look(&mut list).is_none(), "said once");

        fs::remove_dir(&path).unwrap();
        fs::write(&path, TWO).unwrap();
        assert_eq!(look(&mut list).unwrap().unwrap(), set(&[TWO]));
    }

    #[cfg(unix)]
    #[test]
    fn a_change_that_keeps_time_and_length_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allowed.txt");
        fs::write(&path, ONE).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let (mut list, _) = List::read(path.clone()).unwrap();
        let before = Stamp::of(&path);
        // Until the file system's clock has moved.
        while Stamp::of(&path) == before {
            fs::write(&path, TWO).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        assert_eq!(look(&mut list).unwrap().unwrap(), set(&[TWO]));
    }

    #[test]
    fn a_list_that_can_be_read_again_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("denied.txt");
        fs::write(&path, ONE).unwrap();
        let (mut list, _) = List::read(path.clone()).unwrap();
        fs::write(&path, format!("{TWO}\n")).unwrap();
        assert!(list.changed().is_none(), "it may still be written");

        // Root may read everything, so the refusal is made up.
        let refuse = |path: &Path| {
            Err(ListError::Read { path: path.to_owned(), source: io::ErrorKind::PermissionDenied.into() })
        };
        assert!(list.changed_by(refuse).unwrap().is_err());
        assert!(list.changed_by(refuse).is_none(), "said once");
        assert_eq!(list.changed().unwrap().unwrap(), set(&[TWO]));
        assert!(look(&mut list).is_none());
    }

    #[test]
    fn a_mistake_in_one_list_leaves_the_other_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (allow, deny) = (folder.path().join("allowed.txt"), folder.path().join("denied.txt"));
        fs::write(&allow, ONE).unwrap();
        fs::write(&deny, "").unwrap();
        let mut lists = TorrentLists::read(Some(allow.clone()), Some(deny.clone()), None).unwrap();
        fs::write(&allow, "oops").unwrap();
        fs::write(&deny, TWO).unwrap();
        let (changed, errors) = (0..3).map(|_| lists.look()).find(|look| look.0).unwrap();
        let [error] = &*errors else { panic!("{errors:?}") };
        assert!(changed && matches!(**error, ListError::NotAnInfoHash { line: 1, .. }), "{error:?}");
        assert_eq!(lists.policy(), TorrentPolicy { allowed: Some(set(&[ONE])), denied: set(&[TWO]) });
        let problems = lists.problems.clone();
        assert!(matches!(problems.allow().as_deref(), Some(ListError::NotAnInfoHash { line: 1, .. })));
        assert!(problems.deny().is_none());
        fs::write(&allow, format!("{TWO}\n")).unwrap();
        assert!((0..3).any(|_| lists.look().0));
        assert!(problems.allow().is_none());
    }

    #[test]
    fn both_swarms_of_a_known_hybrid_are_served_and_go_together() {
        let library = Library::open(LibraryConfig::default()).unwrap();
        let known = library.register(crate::library::tests::HYBRID).unwrap();
        let lists = TorrentLists::read(None, None, Some(library.clone())).unwrap();
        let second = known.second_swarm().unwrap();
        assert_eq!(lists.policy().allowed, Some(BTreeSet::from([known.info_hash, second])));
        library.remove(&second).unwrap();
        assert_eq!(lists.policy().allowed, Some(BTreeSet::new()));
    }

    #[test]
    fn a_list_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("denied.txt");
        assert!(matches!(TorrentLists::read(None, Some(path), None), Err(ListError::Read { .. })));
        assert_eq!(TorrentLists::read(None, None, None).unwrap().policy(), TorrentPolicy::default());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_opened() {
        // A named pipe, which would wait for somebody who writes.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allowed.txt");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(TorrentLists::read(Some(path), None, None), Err(ListError::NotAFile { .. })));
    }
}
