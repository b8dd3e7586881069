//! The torrents whose .torrent files are known.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracker_core::InfoHash;

use crate::folder::{Folder, Limits};
use crate::{KnownTorrent, KnownTorrents};

/// The interval at which the folder is polled.
const PERIOD: Duration = Duration::from_secs(1);

/// Polling may take one part in so many of the time, so that a folder of very many files does not keep a core busy.
pub(crate) const LOOKING_PART: u32 = 20;

/// The configuration of a [`Library`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LibraryConfig {
    /// The folder of .torrent files, which is polled for changes. Without one, registered torrents are lost when the program
    /// ends.
    pub torrents: Option<PathBuf>,
}

impl LibraryConfig {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The .torrent files that are known. Cheap to clone; all clones are one.
///
/// They are kept in memory: at most [`MAX_TORRENTS`](Self::MAX_TORRENTS) of them, of
/// [`MAX_BYTES`](Self::MAX_BYTES) in total and 100 MiB each, whether they come from the folder or are registered.
///
/// The folder is polled about once a second. A new or changed file is read as soon as two polls find it unchanged; one that is
/// gone is forgotten, and one that cannot be used is logged once and skipped. Polling ends when the last clone is dropped.
///
/// [`all`](Self::all), [`get`](Self::get) and [`changes`](Self::changes) never wait for the disk;
/// [`register`](Self::register) and [`remove`](Self::remove) do, and are not for a thread that serves others.
#[derive(Debug, Clone)]
pub struct Library(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    /// Held by the one that changes something, so that changes come one after the other.
    folder: Mutex<Option<Folder>>,
    known: Mutex<Arc<KnownTorrents>>,
    changed: watch::Sender<u64>,
}

/// Why the folder of .torrent files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// It cannot be read.
    #[error("cannot read the folder of torrents {}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The thread that polls it cannot be started.
    #[error("cannot poll the folder of torrents")]
    Watch(#[source] io::Error),
}

/// Why a .torrent cannot be registered. The texts may be shown to the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It is not a torrent.
    #[error("this is not a torrent that the tracker can serve: {0}")]
    Parse(#[from] metainfo::ParseError),
    /// It is too large.
    #[error("the .torrent has {len} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The maximum size in bytes.
        limit: usize,
    },
    /// There are too many already.
    #[error("there are {limit} torrents already, which is the limit; remove some first")]
    TooMany {
        /// The maximum number of torrents.
        limit: usize,
    },
    /// All .torrent files together would be too large.
    #[error("all .torrent files together would have more than {limit} bytes; remove some first")]
    NoRoom {
        /// The maximum total size in bytes.
        limit: u64,
    },
    /// It cannot be written into the folder.
    #[error("cannot write it into the folder of torrents: {0}")]
    Write(io::Error),
}

/// Why a .torrent cannot be removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// No torrent has this info-hash.
    #[error("there is no torrent with this info-hash in the library")]
    Unknown,
    /// Its file cannot be removed.
    #[error("cannot remove {file:?} from the folder of torrents: {error}")]
    File {
        /// The name of the file.
        file: String,
        /// The error of the system.
        error: io::Error,
    },
}

impl Library {
    /// The maximum number of torrents: 100,000.
    pub const MAX_TORRENTS: usize = 100_000;

    /// The maximum total size of their .torrent files: 1 GiB.
    pub const MAX_BYTES: u64 = 1 << 30;

    /// Reads the folder, which is made if it does not exist, and polls it from now on.
    ///
    /// # Errors
    ///
    /// Returns [`LibraryError`] if the folder can neither be read nor made. Files in it that are not torrents are logged
    /// and skipped.
    pub fn open(config: LibraryConfig) -> Result<Self, LibraryError> {
        let library = Self::read(config, Limits::default())?;
        if library.0.folder().is_some() {
            let inner = Arc::downgrade(&library.0);
            thread::Builder::new().name("torrents".into()).spawn(|| watch(inner)).map_err(LibraryError::Watch)?;
        }
        Ok(library)
    }

    fn read(config: LibraryConfig, limits: Limits) -> Result<Self, LibraryError> {
        let open = |path: PathBuf| {
            let cannot_read = |source| LibraryError::Read { path: path.clone(), source };
            Folder::open(path.clone(), limits).map_err(cannot_read)
        };
        let folder = config.torrents.map(open).transpose()?;
        let known = folder.as_ref().map(Folder::torrents).unwrap_or_default();
        if folder.is_some() {
            tracing::info!(torrents = known.len(), "folder of torrents read");
        }
        let (folder, known) = (Mutex::new(folder), Mutex::new(Arc::new(known)));
        Ok(Self(Arc::new(Inner { limits, folder, known, changed: watch::Sender::new(0) })))
    }

    /// All of them.
    pub fn all(&self) -> Arc<KnownTorrents> {
        Arc::clone(&self.0.known())
    }

    /// One of them, by its info-hash or, if it is a hybrid, by the [key](KnownTorrent::second_swarm) of its second swarm.
    pub fn get(&self, swarm_key: &InfoHash) -> Option<Arc<KnownTorrent>> {
        self.0.known().get(swarm_key).cloned()
    }

    /// Takes in a .torrent, and writes it into the folder if there is one. One that is known already is returned as it is.
    ///
    /// # Errors
    ///
    /// Returns [`RegisterError`] if it is not a torrent, is too large, exceeds a limit, or cannot be written.
    pub fn register(&self, torrent: &[u8]) -> Result<Arc<KnownTorrent>, RegisterError> {
        let (len, limit) = (torrent.len(), KnownTorrent::MAX_LEN);
        if len > limit {
            return Err(RegisterError::TooLarge { len, limit });
        }
        let torrent = Arc::new(KnownTorrent::parse(torrent)?);
        let info_hash = torrent.info_hash;

        let mut folder = self.0.folder();
        if let Some(known) = self.get(&info_hash) {
            return Ok(known);
        }
        let (count, bytes) = match &*folder {
            Some(folder) => (folder.len(), folder.bytes()),
            None => self.0.size(),
        };
        let Limits { torrents: limit, bytes: bytes_limit } = self.0.limits;
        if count >= limit {
            return Err(RegisterError::TooMany { limit });
        }
        if bytes + torrent.len() > bytes_limit {
            return Err(RegisterError::NoRoom { limit: bytes_limit });
        }
        if let Some(folder) = &mut *folder {
            folder.write(Arc::clone(&torrent)).map_err(RegisterError::Write)?;
        }
        self.0.change(|known| known.insert(Arc::clone(&torrent)));
        tracing::info!(%info_hash, name = %torrent.name, "torrent registered");
        Ok(torrent)
    }

    /// Forgets a .torrent, and removes its file from the folder. A hybrid goes with both its swarms, by whichever key.
    ///
    /// # Errors
    ///
    /// Returns [`RemoveError`] if the torrent is not registered, or if its file cannot be removed.
    pub fn remove(&self, swarm_key: &InfoHash) -> Result<(), RemoveError> {
        let mut folder = self.0.folder();
        let torrent = self.get(swarm_key).ok_or(RemoveError::Unknown)?;
        let info_hash = &torrent.info_hash;
        if let Some(folder) = &mut *folder {
            folder.remove(info_hash).map_err(|(path, error)| {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                RemoveError::File { file, error }
            })?;
        }
        self.0.change(|known| known.remove(&torrent));
        tracing::info!(%info_hash, name = %torrent.name, "torrent removed");
        Ok(())
    }

    /// Counts the changes, as they happen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { torrents: Library::MAX_TORRENTS, bytes: Library::MAX_BYTES }
    }
}

impl Inner {
    fn folder(&self) -> MutexGuard<'_, Option<Folder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Arc<KnownTorrents>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of torrents, and the total size of their .torrent files.
    fn size(&self) -> (usize, u64) {
        let known = self.known();
        (known.len(), known.values().map(|torrent| torrent.len()).sum())
    }

    /// Changes the map in place, with the folder locked. It is copied only if a viewer still has it from
    /// [`all`](Library::all): many that are registered one after the other do not cost a copy each.
    fn change(&self, change: impl FnOnce(&mut KnownTorrents)) {
        let mut known = self.known();
        if let Some(known) = Arc::get_mut(&mut known) {
            change(known);
            return self.notify();
        }
        // Readers do not wait for the copy.
        let shared = Arc::clone(&known);
        drop(known);
        let mut copy = KnownTorrents::clone(&shared);
        change(&mut copy);
        self.publish(copy);
    }

    /// Replaces the map, with the folder locked.
    fn publish(&self, known: KnownTorrents) {
        *self.known() = Arc::new(known);
        self.notify();
    }

    fn notify(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Polls the folder. Returns `true` if something has changed.
    fn look(&self) -> bool {
        let mut folder = self.folder();
        let Some(folder) = &mut *folder else { return false };
        let changed = folder.look();
        if changed {
            let known = folder.torrents();
            tracing::info!(torrents = known.len(), "folder of torrents read again");
            self.publish(known);
        }
        changed
    }
}

/// Looks after the folder as long as somebody has the library.
fn watch(inner: Weak<Inner>) {
    let mut pause = PERIOD;
    loop {
        thread::sleep(pause);
        let Some(inner) = inner.upgrade() else { return };
        let start = Instant::now();
        inner.look();
        pause = PERIOD.max(start.elapsed() * LOOKING_PART);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A torrent of one file.
    pub(crate) fn torrent(name: &str, length: u64) -> Vec<u8> {
        let before = format!("d4:infod6:lengthi{length}e4:name{}:{name}", name.len());
        [before.as_bytes(), b"12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"].concat()
    }

    /// The log lines of an action.
    pub(crate) fn log_of(action: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        // Other tests log from the same places in the code meanwhile, whose state all threads share: a thread without a subscriber
        // that is the first at such a place would switch it off for all.
        _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        tracing::subscriber::with_default(subscriber, action);
        let text = lines.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    /// Without a folder, or with one that nobody looks at.
    fn library(torrents: Option<PathBuf>, limits: Limits) -> Library {
        Library::read(LibraryConfig { torrents }, limits).unwrap()
    }

    #[test]
    fn in_memory() {
        let library = Library::open(LibraryConfig::default()).unwrap();
        let mut changes = library.changes();
        let a = library.register(&torrent("a", 5)).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let before = library.all();

        let again = library.register(&torrent("a", 5)).unwrap();
        assert!(Arc::ptr_eq(&a, &again));
        assert!(!changes.has_changed().unwrap(), "known before");

        let b = library.register(&torrent("b", 5)).unwrap();
        assert_eq!(library.get(&b.info_hash).unwrap().name.as_ref(), "b");
        assert_eq!((before.len(), library.all().len()), (1, 2), "a snapshot stays as it is");

        library.remove(&a.info_hash).unwrap();
        assert!(library.get(&a.info_hash).is_none());
        assert!(matches!(library.remove(&a.info_hash), Err(RemoveError::Unknown)));
        assert_eq!(library.all().len(), 1);
    }

    /// A hybrid torrent of one file of 5 bytes.
    pub(crate) const HYBRID: &[u8] = b"d4:infod9:file treed1:ad0:d6:lengthi5e\
        11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
        6:lengthi5e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";

    #[test]
    fn a_hybrid_is_found_and_removed_by_either_key() {
        let place = tempfile::tempdir().unwrap();
        for folder in [None, Some(place.path().to_owned())] {
            for key in 0..2 {
                let library = library(folder.clone(), Limits::default());
                let known = library.register(HYBRID).unwrap();
                let keys: Vec<_> = known.swarm_keys().collect();
                assert_eq!(keys, [known.info_hash, known.second_swarm().unwrap()]);
                for key in &keys {
                    assert!(library.get(key).is_some_and(|found| Arc::ptr_eq(&found, &known)));
                }
                assert_eq!(library.all().len(), 1);
                library.remove(&keys[key]).unwrap();
                assert!(keys.iter().all(|key| library.get(key).is_none()));
                assert!(matches!(library.remove(&keys[key]), Err(RemoveError::Unknown)));
                assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
            }
        }
    }

    #[test]
    fn what_is_no_torrent_is_refused() {
        let library = library(None, Limits::default());
        assert!(matches!(library.register(b"<html>"), Err(RegisterError::Parse(_))));
        let large = vec![b' '; KnownTorrent::MAX_LEN + 1];
        assert!(matches!(library.register(&large), Err(RegisterError::TooLarge { .. })));
        assert!(library.all().is_empty());
    }

    #[test]
    fn limits_are_kept() {
        let place = tempfile::tempdir().unwrap();
        for folder in [None, Some(place.path().to_owned())] {
            let bytes = 2 * torrent("a", 5).len() as u64;
            let library = library(folder, Limits { torrents: 3, bytes });
            let a = library.register(&torrent("a", 5)).unwrap();
            library.register(&torrent("b", 5)).unwrap();
            let error = library.register(&torrent("c", 5)).unwrap_err();
            assert!(matches!(error, RegisterError::NoRoom { limit } if limit == bytes), "{error}");
            assert!(library.register(&torrent("b", 5)).is_ok(), "known before");
            library.remove(&a.info_hash).unwrap();
            library.register(&torrent("c", 5)).unwrap();
        }
        let library = library(None, Limits { torrents: 1, ..Limits::default() });
        library.register(&torrent("a", 5)).unwrap();
        let error = library.register(&torrent("b", 5)).unwrap_err();
        assert!(matches!(error, RegisterError::TooMany { limit: 1 }), "{error}");
    }

    #[test]
    fn what_is_registered_is_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        let library = library(Some(path.to_owned()), Limits::default());
        let bytes = torrent(
            "../<script>
",
            5,
        );
        let known = library.register(&bytes).unwrap();
        assert!(!library.0.look());

        let file = path.join(known.file_name());
        assert_eq!(file.parent(), Some(path));
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(Library::open(LibraryConfig { torrents: Some(path.to_owned()) }).unwrap().all().len(), 1);

        // Of the same name, and another torrent.
        let other = library
            .register(&torrent(
                "../<script>
",
                6,
            ))
            .unwrap();
        assert_eq!(other.file_name(), known.file_name());
        assert_eq!(fs::read(&file).unwrap(), bytes);

        library.remove(&known.info_hash).unwrap();
        assert!(!file.exists());
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
        assert!(!library.0.look());
        assert!(library.all().keys().eq([&other.info_hash]));
    }

    #[test]
    fn what_cannot_be_written_is_not_known() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("torrents");
        fs::create_dir(&path).unwrap();
        let library = library(Some(path.clone()), Limits::default());
        let known = library.register(&torrent("a", 5)).unwrap();
        fs::rename(&path, place.path().join("elsewhere")).unwrap();
        assert!(matches!(library.register(&torrent("b", 5)), Err(RegisterError::Write(_))));
        assert_eq!(library.all().len(), 1);

        // A folder in the place of the file cannot be removed as one.
        fs::create_dir_all(path.join("a.torrent")).unwrap();
        library.remove(&known.info_hash).unwrap();
        assert!(path.join("a.torrent").exists(), "it is not what was read");
    }

    #[test]
    fn a_folder_that_can_neither_be_read_nor_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Library::open(LibraryConfig { torrents: Some(file.path().join("none")) }).unwrap_err();
        assert!(matches!(error, LibraryError::Read { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_folder_is_looked_after() {
        let place = tempfile::tempdir().unwrap();
        let library = Library::open(LibraryConfig { torrents: Some(place.path().to_owned()) }).unwrap();
        let mut changes = library.changes();
        fs::write(place.path().join("a.torrent"), torrent("a", 5)).unwrap();
        let change = tokio::time::timeout(Duration::from_secs(60), changes.changed()).await;
        change.expect("the folder is looked at").unwrap();
        assert_eq!(library.all().len(), 1);

        // The thread does not keep it.
        drop(library);
        let end = tokio::time::timeout(Duration::from_secs(60), changes.changed()).await;
        assert!(end.expect("nobody has it any more").is_err());
    }
}
