//! The share folder, followed: what is put into it is shared.

mod check;
mod hasher;
mod item;
mod items;
mod large;
mod names;
mod progress;
mod scan;
mod state_file;

use std::collections::HashMap;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracker_core::InfoHash;

use crate::library::LOOKING_PART;
use crate::worker::Worker;
use crate::{Content, ContentError, Contents, Library, OPERATOR_LOG, RemoveError, Share};
use check::CheckJob;
use item::Key;
use items::{Effects, Items, Listed};
use large::LargeFolders;
pub(crate) use names::left_out;
pub use names::{PassedOver, PassedOverReason};
pub use progress::HashProgress;
pub(crate) use scan::Fingerprint;
use scan::{Found, Scan};
use state_file::StateFile;

#[cfg(test)]
mod tests;

/// The interval at which the folder is polled.
const PERIOD: Duration = Duration::from_secs(1);

/// The minimum interval between two reports of what goes on.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// The configuration of a [`SharedFolder`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SharedFolderConfig {
    /// `true` to share only that of which torrents are made by hand. Default: `false`.
    pub by_hand: bool,
    /// `true` to make private torrents, whose clients find each other by the tracker alone
    /// ([BEP 27](https://www.bittorrent.org/beps/bep_0027.html)). Those that are known already stay as they are. Default: `false`.
    pub private: bool,
    /// The file that remembers which torrents were made of what, so that a restart does not read everything again; and what is
    /// [stopped](Contents::is_stopped) or [damaged](Contents::damage). It is not in the share folder. Default: none, and everything
    /// is read again.
    pub state_file: Option<PathBuf>,
}

impl SharedFolderConfig {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The share folder, followed: each file and folder directly in it is shared by itself. Cheap to clone; all clones are one.
///
/// It is polled about once a second, and takes at most a twentieth of one core for it: where a look takes long, the next one is
/// the later. Folders in it with more than 10,000 entries are looked at by a thread of their own, with pauses of their own, so
/// that they do not hold up the rest. What is there at the start is listed at once;
/// what comes later, or changes, when all its names, sizes and times have stood for five seconds. What is listed is in
/// [`Contents`], so that it can be downloaded. Then it is hashed, one item after the other, the smallest first, on half of the
/// cores; a large one that is in progress pauses for smaller ones that come. Its torrent is registered in the [`Library`], and
/// found in [`Contents`] by its info-hash.
///
/// What changes is another content, which takes the place of the old one when it is listed, and so does its torrent when that is
/// made; until then, files of it that have not changed can be downloaded. What is gone is withdrawn with its torrent, unless that
/// was registered by hand. When the operator removes a torrent from the library, its file is not shared any more until it
/// changes.
///
/// Not shared, but [listed as passed over](SharedItems::passed_over): hidden names, links, .torrent files, downloads that are not
/// finished, what systems and office programs leave behind, what cannot be read, and what is empty. Below a folder the same is
/// left out, except for .torrent files, which may be part of it; a folder with something that cannot be read is passed over as a
/// whole.
///
/// What the [contents](Contents) know to be [damaged](Contents::damage) stays listed. A file with other times is another content,
/// also one that was put in the place of a damaged one; for one with the same times there is [`check_again`](Self::check_again).
///
/// Nothing is ever written into the folder. Following ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct SharedFolder(Arc<Inner>);

/// What is shared, at a moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SharedItems {
    /// The files and folders, in natural order.
    pub items: Vec<SharedItem>,
    /// What is in the folder and not shared, in natural order.
    pub passed_over: Arc<[PassedOver]>,
    /// `true` if there are more entries in the folder than are looked at: [`SharedFolder::MAX_ENTRIES`].
    pub truncated: bool,
}

/// A file or folder that is shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SharedItem {
    /// Its name in the share folder; for one of which a torrent was made by hand its path relative to it, with `/` between names.
    /// It is untrusted text and must be escaped.
    pub name: Arc<str>,
    /// What can be downloaded: while it settles that of an earlier state, as far as its files have not changed. `None` if there
    /// was none, and when it is not shared any more.
    pub content: Option<Arc<Content>>,
    /// Its current state.
    pub state: ItemState,
    /// The info-hash of the torrent that was made of an earlier state of it, while that is in the library and after it was
    /// replaced.
    pub replaces: Option<InfoHash>,
}

/// The state of a [`SharedItem`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemState {
    /// It is new or has changed, and may be changing still. If it has a content, that is of an earlier state.
    Settling,
    /// It can be downloaded, and waits until it is hashed.
    Waiting,
    /// It can be downloaded, and is being hashed.
    Hashing(HashProgress),
    /// Its torrent is registered.
    Shared {
        /// The torrent's info-hash.
        info_hash: InfoHash,
    },
    /// Its torrent is that of another item.
    SameAs {
        /// The name of the other item.
        name: Arc<str>,
    },
    /// No torrent can be made of it. It can be downloaded if it has a content.
    Failed {
        /// The reason, for the operator.
        error: Arc<str>,
    },
    /// The operator has removed its torrent. It is shared again when it changes, or when the torrent is registered again.
    Removed,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    checks: Worker<CheckJob>,
}

#[derive(Debug)]
struct Shared {
    share: Share,
    library: Library,
    contents: Contents,
    by_hand: bool,
    private: bool,
    /// [`SharedFolder::MAX_ENTRIES`].
    max_entries: usize,
    items: Mutex<Items>,
    /// Wakes the hasher.
    waiting: Condvar,
    /// Locked before the items where both are.
    state_file: Mutex<StateFile>,
    changed: watch::Sender<u64>,
    /// `true` when everything ends.
    closed: AtomicBool,
}

impl SharedFolder {
    /// The number of entries in the share folder that are looked at, at most, including those that are passed over: 10,000.
    pub const MAX_ENTRIES: usize = Share::MAX_ENTRIES;

    /// Follows a share folder from now on: what it shares is in `contents`, and its torrents in `library`.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread cannot be started.
    pub fn start(share: Share, library: Library, contents: Contents, config: SharedFolderConfig) -> io::Result<Self> {
        Self::start_limited(share, library, contents, config, Self::MAX_ENTRIES)
    }

    fn start_limited(
        share: Share,
        library: Library,
        contents: Contents,
        config: SharedFolderConfig,
        max_entries: usize,
    ) -> io::Result<Self> {
        let state_file = StateFile::new(config.state_file, share.folder());
        let (items, stopped) = state_file.load();
        contents.set_stopped_keys(stopped, true);
        let shared = Arc::new(Shared {
            share,
            library,
            contents,
            by_hand: config.by_hand,
            private: config.private,
            max_entries,
            items: Mutex::new(items),
            waiting: Condvar::new(),
            state_file: Mutex::new(state_file),
            changed: watch::Sender::new(0),
            closed: AtomicBool::new(false),
        });
        let of_checks = Arc::clone(&shared);
        let checks = Worker::new("share check", move |job, closed: &AtomicBool| of_checks.check(&job, closed));
        let inner = Inner { shared: Arc::clone(&shared), checks };
        let of_hasher = Arc::clone(&shared);
        thread::Builder::new().name("share folder".into()).spawn(move || shared.follow())?;
        thread::Builder::new().name("share hashing".into()).spawn(move || of_hasher.hash_all())?;
        Ok(Self(Arc::new(inner)))
    }

    /// The share folder.
    pub fn share(&self) -> &Share {
        &self.0.shared.share
    }

    /// The library in which its torrents are registered.
    pub fn library(&self) -> &Library {
        &self.0.shared.library
    }

    /// `true` if only that is shared of which torrents are made by hand.
    pub fn is_by_hand(&self) -> bool {
        self.0.shared.by_hand
    }

    /// What is shared now. Never waits for the disk.
    pub fn items(&self) -> Arc<SharedItems> {
        self.0.shared.items().snapshot()
    }

    /// Stops giving a torrent to BitTorrent clients, until it is [seeded again](Self::seed_again): see [`Contents::is_stopped`].
    /// Browsers still get it. It stays so after a restart, if there is a [state file](SharedFolderConfig::state_file), which is
    /// written now: waits for the disk. Returns `false` if there is no such torrent.
    pub fn stop_seeding(&self, swarm_key: &InfoHash) -> bool {
        self.set_stopped(swarm_key, true)
    }

    /// Gives a torrent to BitTorrent clients again. Otherwise as [`stop_seeding`](Self::stop_seeding).
    pub fn seed_again(&self, swarm_key: &InfoHash) -> bool {
        self.set_stopped(swarm_key, false)
    }

    fn set_stopped(&self, swarm_key: &InfoHash, is_stopped: bool) -> bool {
        let shared = &self.0.shared;
        let Some(torrent) = shared.library.get(swarm_key) else { return false };
        shared.contents.set_stopped(&torrent, is_stopped);
        shared.items().unsaved = true;
        // Now, and not when it is time: an operator does not press the button often.
        shared.save(true);
        shared.notify();
        true
    }

    /// Compares a [damaged](Contents::damage) content with its torrent, all of it, in the background, one after the other. If it is
    /// right, it is given again; if not, the number of bad pieces is known then. Returns `false` if no content with this swarm is
    /// damaged, or if it is being checked already.
    pub fn check_again(&self, swarm_key: &InfoHash) -> bool {
        let shared = &self.0.shared;
        let Some(job) = shared.check_job(swarm_key) else { return false };
        if let Err(error) = self.0.checks.push(job) {
            shared.cannot_check(swarm_key, &error);
        }
        shared.notify();
        true
    }

    /// A count of all changes, as it grows. The progress of hashing does not count.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.shared.changed.subscribe()
    }

    /// Takes in the content of a torrent that was made by hand, in the state of the fingerprint.
    pub(crate) fn made_by_hand(&self, path: &str, fingerprint: Fingerprint, info_hash: InfoHash, content: Content) {
        let shared = &self.0.shared;
        let content = Arc::new(content);
        let mut items = shared.items();
        let effects = items.made_by_hand(Instant::now(), path, fingerprint, info_hash, Arc::clone(&content));
        shared.insert(Listed { content, info_hash: Some(info_hash), earlier: Vec::new(), is_damaged: false });
        drop(items);
        shared.apply(effects);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.closed.store(true, Ordering::Relaxed);
        shared.items().cancel();
        shared.waiting.notify_all();
        shared.contents.stop_waiting();
        shared.save(true);
    }
}

impl Shared {
    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Tells that something has changed, those who look at the items and the hasher.
    fn notify(&self) {
        self.changed.send_modify(|changes| *changes += 1);
        self.waiting.notify_one();
    }

    /// Follows the folder until everything ends. In between, what is reported as changed counts as changed at once.
    fn follow(self: &Arc<Self>) {
        let (mut is_unreadable, mut large_folders) = (false, LargeFolders::default());
        let mut withdrawals = 0;
        while !self.is_closed() {
            let start = Instant::now();
            let looked = self.look();
            let spent = start.elapsed();
            match looked {
                Ok((effects, large)) => {
                    is_unreadable = false;
                    // What is to be listed is listed once, and does not count.
                    self.apply(effects);
                    large_folders.look(self, large);
                }
                Err(error) => {
                    if !is_unreadable && !self.is_closed() {
                        tracing::error!(target: OPERATOR_LOG, "cannot read the share folder: {error}; what was found stays");
                    }
                    is_unreadable = true;
                }
            }
            self.save(false);
            let next = Instant::now() + PERIOD.max(spent * LOOKING_PART);
            loop {
                let left = next.saturating_duration_since(Instant::now());
                if self.is_closed() || left.is_zero() {
                    break;
                }
                // The end may have come a moment ago.
                for content in self.contents.take_changed(left.min(PERIOD)) {
                    let effects = self.items().changed(content.id(), Instant::now());
                    self.apply(effects);
                }
                let now = self.contents.withdrawals();
                if mem::replace(&mut withdrawals, now) != now {
                    self.notify();
                }
            }
        }
    }

    /// Looks at the folder once. Large folders in it are to be looked at by themselves.
    fn look(&self) -> io::Result<(Effects, Vec<Key>)> {
        let scan = if self.by_hand {
            Scan::default()
        } else {
            let known = self.items().known();
            Scan::of(self.share.folder(), self.max_entries, known, |name| self.items().is_known(name), &self.closed)?
        };
        let keys = self.items().by_hand();
        let by_hand: HashMap<_, _> = keys
            .into_iter()
            .map(|key| {
                let fingerprint = self.fingerprint(&key).ok();
                (key, fingerprint)
            })
            .collect();
        if self.is_closed() {
            return Ok(Default::default());
        }
        let is_large = |(name, found): (&Arc<str>, &Found)| matches!(found, Found::Large).then(|| Key::of_name(name));
        let large = scan.found.iter().filter_map(is_large).collect();
        let mut items = self.items();
        // Under the same lock, so that what is made is in the library.
        Ok((items.look(Instant::now(), scan, by_hand, &self.library.all()), large))
    }

    /// Lists an item that has settled.
    fn list(&self, key: &Key, fingerprint: Fingerprint) -> Effects {
        let listed = match fingerprint.size {
            0 => Err(PassedOverReason::Empty),
            _ => match Content::list(&self.share, &key.path) {
                Ok(content) => Ok(content),
                Err(ContentError::Changing) => return Effects::default(),
                Err(error) => Err(PassedOverReason::Unusable(error.to_string().into())),
            },
        };
        // One that has changed meanwhile is noticed at the next look.
        if !self.fingerprint(key).is_ok_and(|now| now == fingerprint) {
            return Effects::default();
        }
        let mut items = self.items();
        let mut effects = items.listed(Instant::now(), key, fingerprint, listed, &self.library.all());
        effects.insert.take().into_iter().for_each(|listed| self.insert(listed));
        effects
    }

    /// The fingerprint of an item as it is now.
    fn fingerprint(&self, key: &Key) -> io::Result<Fingerprint> {
        match key.by_hand {
            None => Fingerprint::of(&self.share.folder().join(&*key.path), &self.closed),
            // The operator may make a torrent of what a link leads to.
            Some(_) => Fingerprint::of_path(&self.share, &key.path, &self.closed),
        }
    }

    /// Puts a content into the registry, with the items locked, so that it is there before it is withdrawn.
    fn insert(&self, listed: Listed) {
        let Listed { content, info_hash, earlier, is_damaged } = listed;
        let id = content.id();
        let known = info_hash.and_then(|info_hash| self.library.get(&info_hash));
        let swarms: Vec<_> = known.iter().flat_map(|known| known.swarm_keys()).collect();
        self.contents.replace(earlier, content, &swarms);
        if is_damaged {
            self.contents.report_damaged(id);
        }
    }

    /// Does what follows from a change.
    fn apply(&self, effects: Effects) {
        let Effects { list, mut changed, .. } = self.withdraw(effects);
        let mut notified = Instant::now();
        for (key, fingerprint) in list {
            if self.is_closed() {
                return;
            }
            changed |= self.withdraw(self.list(&key, fingerprint)).changed;
            if changed && notified.elapsed() >= PROGRESS_PERIOD {
                self.notify();
                (notified, changed) = (Instant::now(), false);
            }
        }
        if changed {
            self.notify();
        }
    }

    /// Withdraws what is to be withdrawn.
    fn withdraw(&self, mut effects: Effects) -> Effects {
        for id in effects.withdraw.drain(..) {
            self.contents.remove(id);
        }
        for info_hash in effects.forget.drain(..) {
            if let Err(error @ RemoveError::File { .. }) = self.library.remove(&info_hash) {
                tracing::warn!(target: OPERATOR_LOG, %info_hash, "cannot withdraw a torrent: {error}");
            }
        }
        effects
    }

    /// Saves what is to be saved, if it is time, or at the end in any case.
    fn save(&self, is_end: bool) {
        let mut state_file = self.state_file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut items = self.items();
        items.set_damaged(&self.contents.damaged());
        // Before the first look nobody knows what is gone.
        if !items.unsaved || !items.has_looked() || !state_file.is_due(is_end) {
            return;
        }
        items.unsaved = false;
        let bytes = state_file.encode(&items, &self.contents.stopped());
        drop(items);
        state_file.write(&bytes);
    }
}
