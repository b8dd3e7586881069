//! All that is shared, by id and by swarm.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::mem;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracker_core::InfoHash;

use crate::{Content, ContentId, HashProgress, KnownTorrent};

/// The registry of what is shared. Cheap to clone; all clones are one.
///
/// A [`Content`] is found by its id from the moment it is inserted, and by the keys of its torrent's swarms once it is hashed. Of
/// several with the same swarm the newest is found. It has as many entries as its owner inserts. Of those that others have
/// [taken the place](Self::replace) of, the [`MAX_REPLACED`](Self::MAX_REPLACED) latest keys are remembered.
///
/// It also knows what must not be given to BitTorrent clients, whose torrents say what they get: a content that is
/// [damaged](Self::damage), and a torrent that the operator has [stopped](Self::is_stopped).
#[derive(Debug, Clone, Default)]
pub struct Contents(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    reported: Condvar,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<ContentId, Entry>,
    /// The contents of each swarm, the newest last; never empty.
    by_swarm: HashMap<InfoHash, Vec<ContentId>>,
    /// Those that somebody found changed, until they are [taken](Contents::take_changed).
    changed: Vec<ContentId>,
    replaced: Replaced,
    stopped: Stopped,
    /// Counts what becomes damaged or right again, and stopped or seeded again.
    withdrawals: u64,
}

#[derive(Debug)]
struct Entry {
    content: Arc<Content>,
    /// The keys of its torrent's swarms, the info-hash first; empty until it is hashed.
    swarms: Vec<InfoHash>,
    /// `true` if somebody found it changed.
    is_changed: bool,
    damage: Option<Damage>,
}

/// The damage of a [`Content`] that is not what its torrent says, although its files are unchanged by their stamps: a disk that
/// fails, or a program that has set back their times. It is not sent to anybody until it was
/// [checked again](crate::SharedFolder::check_again) and is right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Damage {
    /// The number of pieces that are not the torrent's, or cannot be read, once all of them were checked. `None`: one was found when
    /// it was to be sent, and the others were not checked.
    pub bad_pieces: Option<u32>,
    /// The progress of the check that is under way, if there is one.
    pub check: Option<HashProgress>,
}

/// The keys of the swarms of torrents that the operator has stopped.
#[derive(Debug, Default)]
struct Stopped {
    keys: HashSet<InfoHash>,
    /// The same, the oldest first.
    order: VecDeque<InfoHash>,
}

/// What has taken the place of the contents with these keys.
#[derive(Debug, Default)]
struct Replaced {
    by: HashMap<ContentKey, ContentId>,
    /// The keys, the oldest first.
    keys: VecDeque<ContentKey>,
}

/// The key by which a [`Content`] is found in [`Contents`].
///
/// ```
/// use torrent_library::ContentKey;
///
/// assert!(matches!("00000000000000ab".parse()?, ContentKey::Id(_)));
/// assert!(matches!("3500292f2881c52a3c672db7c77db1f60426c65f".parse()?, ContentKey::Swarm(_)));
/// # Ok::<(), torrent_library::ParseContentKeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKey {
    /// Its id.
    Id(ContentId),
    /// The key of any of its torrent's swarms.
    Swarm(InfoHash),
}

/// The text is neither an id nor a swarm's key: 16 or 40 hexadecimal digits were expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 16 or 40 hexadecimal digits")]
pub struct ParseContentKeyError;

impl Contents {
    /// The maximum number of keys of contents that are not there any more, of which it is known what has taken their place:
    /// 10,000, for which 1 MB is enough. The oldest are forgotten.
    pub const MAX_REPLACED: usize = 10_000;

    /// The maximum number of swarms that are [stopped](Self::is_stopped): 10,000. The oldest are forgotten, and seeded again.
    pub const MAX_STOPPED: usize = 10_000;

    /// A registry without contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// The content with this key.
    pub fn get(&self, key: ContentKey) -> Option<Arc<Content>> {
        let state = self.state();
        state.entries.get(&state.id_of(key)?).map(|entry| Arc::clone(&entry.content))
    }

    /// The info-hash of a content's torrent; `None` if there is no such content, or none of it yet.
    pub fn info_hash_of(&self, id: ContentId) -> Option<InfoHash> {
        self.state().entries.get(&id)?.swarms.first().copied()
    }

    /// The key under which this one's content is found now: the id of a content that has been hashed gives way to the info-hash
    /// of its torrent. Any other key stays as it is.
    pub fn current_key(&self, key: ContentKey) -> ContentKey {
        match key {
            ContentKey::Id(id) => self.info_hash_of(id).map_or(key, ContentKey::Swarm),
            ContentKey::Swarm(_) => key,
        }
    }

    /// The content that may be given to the peers of a swarm: one that nobody has found changed or [damaged](Self::damage), of a
    /// torrent that is not [stopped](Self::is_stopped). Its files may have changed since, as [`Content::open`] finds.
    pub fn to_seed(&self, swarm_key: &InfoHash) -> Option<Arc<Content>> {
        let state = self.state();
        if state.stopped.keys.contains(swarm_key) {
            return None;
        }
        let entry = state.entries.get(&state.id_of(ContentKey::Swarm(*swarm_key))?)?;
        (!entry.is_changed && entry.damage.is_none()).then(|| Arc::clone(&entry.content))
    }

    /// Counts the changes, as they happen: of what is found by which key, and of what is [to be seeded](Self::to_seed).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Puts a content in, with the keys of its torrent's swarms if it is hashed already, the info-hash first.
    pub fn insert(&self, content: Arc<Content>, swarms: &[InfoHash]) {
        self.state().insert(content, swarms);
        self.notify();
    }

    /// [Puts a content in](Self::insert) in the place of those with these keys. Those with these ids are taken out; of swarms
    /// only the key is remembered, such as that of a torrent from an earlier run of the program.
    pub fn replace(&self, earlier: impl IntoIterator<Item = ContentKey>, content: Arc<Content>, swarms: &[InfoHash]) {
        let id = content.id();
        let mut state = self.state();
        state.insert(content, swarms);
        for key in earlier {
            state.replaced.insert(key, id);
            let entry = if let ContentKey::Id(earlier) = key { state.remove(earlier) } else { None };
            for swarm in entry.iter().flat_map(|entry| &entry.swarms) {
                state.replaced.insert(ContentKey::Swarm(*swarm), id);
            }
        }
        drop(state);
        self.notify();
    }

    /// The key under which the content is found now that has [taken the place](Self::replace) of the one with this key; `None` if
    /// there is none, or if this key still leads to a content.
    pub fn newer(&self, key: ContentKey) -> Option<ContentKey> {
        let state = self.state();
        if state.id_of(key).is_some() {
            return None;
        }
        let mut id = *state.replaced.by.get(&key)?;
        // Each is newer than the one before.
        let entry = loop {
            match state.entries.get(&id) {
                Some(entry) => break entry,
                None => id = *state.replaced.by.get(&ContentKey::Id(id))?,
            }
        };
        Some(entry.swarms.first().map_or(ContentKey::Id(id), |info_hash| ContentKey::Swarm(*info_hash)))
    }

    /// Adds the keys of the swarms of a content's torrent, the info-hash first, now that it is hashed. Returns `false` if there
    /// is no such content any more.
    pub fn hashed(&self, id: ContentId, swarms: &[InfoHash]) -> bool {
        let is_there = self.state().set_swarms(id, swarms);
        self.notify();
        is_there
    }

    /// Takes a content out: from now on it is found by none of its keys. Files of it that are open stay so.
    pub fn remove(&self, id: ContentId) -> Option<Arc<Content>> {
        let removed = self.state().remove(id)?;
        self.notify();
        Some(removed.content)
    }

    /// Reports that a file of a content [cannot be opened](Content::open) any more, since it has changed or is gone. The first
    /// report of a content counts.
    pub fn report_changed(&self, id: ContentId) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&id) else { return };
        if !mem::replace(&mut entry.is_changed, true) {
            state.changed.push(id);
            drop(state);
            self.0.reported.notify_all();
            self.notify();
        }
    }

    /// Reports that a content is not what its torrent says, although its files are unchanged by their stamps. It is
    /// [damaged](Self::damage) from now on. Returns `false` if that is known, or if there is no such content any more.
    pub fn report_damaged(&self, id: ContentId) -> bool {
        let mut state = self.state();
        let undamaged = state.entries.get_mut(&id).filter(|entry| entry.damage.is_none());
        let is_new = undamaged.map(|entry| entry.damage = Some(Damage::default())).is_some();
        self.withdrawn(state, is_new);
        is_new
    }

    /// The damage of the content that is found by a swarm's key; `None` if it is not known to be damaged.
    pub fn damage(&self, swarm_key: &InfoHash) -> Option<Damage> {
        let state = self.state();
        state.entries.get(&state.id_of(ContentKey::Swarm(*swarm_key))?)?.damage.clone()
    }

    /// Returns `true` if a content is known to be [damaged](Self::damage).
    pub fn is_damaged(&self, id: ContentId) -> bool {
        self.state().entries.get(&id).is_some_and(|entry| entry.damage.is_some())
    }

    /// The content that is found by a swarm's key, which is checked from now on; `None` if it is not damaged, or is being checked
    /// already.
    pub(crate) fn begin_check(&self, swarm_key: &InfoHash) -> Option<(Arc<Content>, HashProgress)> {
        let mut state = self.state();
        let id = state.id_of(ContentKey::Swarm(*swarm_key))?;
        let entry = state.entries.get_mut(&id)?;
        let damage = entry.damage.as_mut().filter(|damage| damage.check.is_none())?;
        let progress = HashProgress::new(entry.content.size());
        damage.check = Some(progress.clone());
        Some((Arc::clone(&entry.content), progress))
    }

    /// The check of a content has ended, and so many pieces are bad. `None`: it was given up.
    pub(crate) fn end_check(&self, id: ContentId, bad_pieces: Option<u32>) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&id) else { return };
        let before = entry.damage.take();
        entry.damage = match bad_pieces {
            Some(0) => None,
            Some(_) => Some(Damage { bad_pieces, check: None }),
            None => before.map(|damage| Damage { check: None, ..damage }),
        };
        self.withdrawn(state, true);
    }

    /// Returns `true` if the operator does not want the torrent with this swarm to be given to BitTorrent clients.
    pub fn is_stopped(&self, swarm_key: &InfoHash) -> bool {
        self.state().stopped.keys.contains(swarm_key)
    }

    /// [Stops](Self::is_stopped) a torrent, or lets it be seeded again. Of a hybrid that holds for both swarms. It is forgotten at
    /// the end of the program, unless it comes by [`SharedFolder::stop_seeding`](crate::SharedFolder::stop_seeding).
    pub fn set_stopped(&self, torrent: &KnownTorrent, is_stopped: bool) {
        self.set_stopped_keys(torrent.swarm_keys(), is_stopped);
    }

    /// Stops the swarms with these keys, or lets them be seeded again.
    pub(crate) fn set_stopped_keys(&self, swarms: impl IntoIterator<Item = InfoHash>, is_stopped: bool) {
        let mut state = self.state();
        let mut is_new = false;
        for swarm in swarms {
            is_new |= if is_stopped { state.stopped.insert(swarm) } else { state.stopped.remove(&swarm) };
        }
        self.withdrawn(state, is_new);
    }

    /// The keys of the swarms that are [stopped](Self::is_stopped), the oldest first.
    pub(crate) fn stopped(&self) -> Vec<InfoHash> {
        self.state().stopped.order.iter().copied().collect()
    }

    /// The contents that are [damaged](Self::is_damaged).
    pub(crate) fn damaged(&self) -> HashSet<ContentId> {
        let state = self.state();
        state.entries.iter().filter(|(_, entry)| entry.damage.is_some()).map(|(id, _)| *id).collect()
    }

    /// A count of what became damaged or right again, and stopped or seeded again.
    pub(crate) fn withdrawals(&self) -> u64 {
        self.state().withdrawals
    }

    /// Counts a change of what is damaged or stopped, if there is one, and wakes those who wait for changes.
    fn withdrawn(&self, mut state: MutexGuard<'_, State>, is_new: bool) {
        if is_new {
            state.withdrawals += 1;
            drop(state);
            self.0.reported.notify_all();
            self.notify();
        }
    }

    /// The contents that were [reported](Self::report_changed) since the last call. Waits until there is one, or for as long as
    /// `timeout`.
    pub fn take_changed(&self, timeout: Duration) -> Vec<Arc<Content>> {
        let mut state = self.state();
        if state.changed.is_empty() {
            let waited = self.0.reported.wait_timeout(state, timeout);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let changed = mem::take(&mut state.changed);
        changed.iter().filter_map(|id| state.entries.get(id)).map(|entry| Arc::clone(&entry.content)).collect()
    }

    /// Ends the waiting in [`take_changed`](Self::take_changed).
    pub(crate) fn stop_waiting(&self) {
        let _state = self.state();
        self.0.reported.notify_all();
    }

    fn notify(&self) {
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn id_of(&self, key: ContentKey) -> Option<ContentId> {
        match key {
            ContentKey::Id(id) => Some(id).filter(|id| self.entries.contains_key(id)),
            // Of equal contents the newest that is right, or at least has not changed.
            ContentKey::Swarm(swarm) => {
                let ids = self.by_swarm.get(&swarm)?;
                let newest = |is_right: fn(&Entry) -> bool| {
                    ids.iter().rev().find(|id| self.entries.get(*id).is_some_and(is_right))
                };
                let right = newest(|entry| !entry.is_changed && entry.damage.is_none());
                right.or_else(|| newest(|entry| !entry.is_changed)).or_else(|| ids.last()).copied()
            }
        }
    }

    fn insert(&mut self, content: Arc<Content>, swarms: &[InfoHash]) {
        let id = content.id();
        self.entries.insert(id, Entry { content, swarms: Vec::new(), is_changed: false, damage: None });
        self.set_swarms(id, swarms);
    }

    fn set_swarms(&mut self, id: ContentId, swarms: &[InfoHash]) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let old = mem::replace(&mut entry.swarms, swarms.to_vec());
        self.leave_swarms(id, &old);
        for swarm in swarms {
            self.by_swarm.entry(*swarm).or_default().push(id);
        }
        true
    }

    fn leave_swarms(&mut self, id: ContentId, swarms: &[InfoHash]) {
        for swarm in swarms {
            if let Some(ids) = self.by_swarm.get_mut(swarm) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_swarm.remove(swarm);
                }
            }
        }
    }

    fn remove(&mut self, id: ContentId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.leave_swarms(id, &entry.swarms);
        Some(entry)
    }
}

impl Replaced {
    fn insert(&mut self, key: ContentKey, by: ContentId) {
        if self.by.insert(key, by).is_some() {
            self.keys.retain(|known| *known != key);
        }
        self.keys.push_back(key);
        if self.keys.len() > Contents::MAX_REPLACED
            && let Some(oldest) = self.keys.pop_front()
        {
            self.by.remove(&oldest);
        }
    }
}

impl Stopped {
    /// Returns `false` if it was there.
    fn insert(&mut self, swarm: InfoHash) -> bool {
        if !self.keys.insert(swarm) {
            return false;
        }
        self.order.push_back(swarm);
        if self.order.len() > Contents::MAX_STOPPED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }

    /// Returns `false` if it was not there.
    fn remove(&mut self, swarm: &InfoHash) -> bool {
        let was_there = self.keys.remove(swarm);
        if was_there {
            self.order.retain(|stopped| stopped != swarm);
        }
        was_there
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Swarm(swarm) => swarm.fmt(f),
        }
    }
}

impl FromStr for ContentKey {
    type Err = ParseContentKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.parse().map(Self::Id).ok();
        id.or_else(|| text.parse().map(Self::Swarm).ok()).ok_or(ParseContentKeyError)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;
    use crate::Share;

    const FOREVER: Duration = Duration::from_secs(3600);

    fn contents<const N: usize>() -> (tempfile::TempDir, [Arc<Content>; N]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("film.mp4"), "film").unwrap();
        let share = Share::open(folder.path().to_owned()).unwrap();
        (folder, std::array::from_fn(|_| Arc::new(Content::list(&share, "film.mp4").unwrap())))
    }

    fn swarm(byte: u8) -> InfoHash {
        InfoHash::new([byte; 20])
    }

    #[test]
    fn of_equal_contents_one_that_has_not_changed_is_found() {
        let (_folder, [one, other]) = contents();
        let (contents, key) = (Contents::default(), ContentKey::Swarm(swarm(1)));
        contents.insert(Arc::clone(&one), &[swarm(1)]);
        contents.insert(Arc::clone(&other), &[swarm(1)]);
        contents.report_changed(other.id());
        assert_eq!(contents.get(key).unwrap().id(), one.id());
        contents.report_changed(one.id());
        assert_eq!(contents.get(key).unwrap().id(), other.id());
    }

    #[test]
    fn the_newest_of_a_swarm_is_found() {
        let (_folder, [old, new]) = contents();
        let contents = Contents::new();
        let found = |key| contents.get(key).map(|content| content.id());
        let (of_v1, of_v2) = (ContentKey::Swarm(swarm(1)), ContentKey::Swarm(swarm(2)));

        contents.insert(Arc::clone(&old), &[]);
        assert_eq!((found(ContentKey::Id(old.id())), found(of_v1)), (Some(old.id()), None));
        assert_eq!(contents.info_hash_of(old.id()), None);
        assert!(contents.hashed(old.id(), &[swarm(1), swarm(2)]));
        assert_eq!((found(of_v1), found(of_v2)), (Some(old.id()), Some(old.id())));
        assert_eq!(contents.info_hash_of(old.id()), Some(swarm(1)));

        contents.insert(Arc::clone(&new), &[swarm(1)]);
        assert_eq!((found(of_v1), found(of_v2)), (Some(new.id()), Some(old.id())));
        assert_eq!(found(ContentKey::Id(old.id())), Some(old.id()));

        assert_eq!(contents.remove(new.id()).unwrap().id(), new.id());
        assert_eq!((found(of_v1), found(ContentKey::Id(new.id()))), (Some(old.id()), None));
        assert!(contents.remove(new.id()).is_none() && !contents.hashed(new.id(), &[swarm(1)]));
        contents.remove(old.id());
        assert_eq!((found(of_v1), found(of_v2)), (None, None));
        assert!(contents.state().by_swarm.is_empty());
    }

    #[test]
    fn a_report_is_told_once() {
        let (_folder, [content, other]) = contents();
        let contents = Contents::new();
        contents.insert(Arc::clone(&content), &[]);
        contents.insert(Arc::clone(&other), &[]);
        let changed = |timeout| contents.take_changed(timeout).iter().map(|content| content.id()).collect::<Vec<_>>();
        contents.report_changed(content.id());
        contents.report_changed(content.id());
        assert_eq!(changed(FOREVER), [content.id()]);
        assert!(changed(Duration::ZERO).is_empty());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| changed(FOREVER));
            contents.report_changed(other.id());
            assert_eq!(waiting.join().unwrap(), [other.id()]);
        });
        contents.report_changed(content.id());
        assert!(changed(Duration::ZERO).is_empty(), "it was reported before");
        // Nothing is reported of what is not there any more.
        contents.insert(Arc::clone(&content), &[]);
        contents.report_changed(content.id());
        contents.remove(content.id());
        contents.report_changed(content.id());
        assert!(changed(Duration::ZERO).is_empty());
    }

    #[test]
    fn what_takes_the_place_of_another_is_found_by_its_keys() {
        let (_folder, [first, second, third]) = contents();
        let [first_id, second_id, third_id] = [&first, &second, &third].map(|content| ContentKey::Id(content.id()));
        let contents = Contents::new();
        contents.insert(first, &[swarm(1), swarm(2)]);
        assert_eq!(contents.newer(first_id), None);

        contents.replace([first_id], second, &[]);
        let of_first = [first_id, ContentKey::Swarm(swarm(1)), ContentKey::Swarm(swarm(2))];
        assert!(of_first.iter().all(|key| contents.get(*key).is_none()));
        assert_eq!(of_first.map(|key| contents.newer(key)), [Some(second_id); 3]);

        // One that has another in its place itself, with the torrent of an earlier run of the program.
        contents.replace([second_id, ContentKey::Swarm(swarm(4))], third, &[]);
        let all = [first_id, second_id, ContentKey::Swarm(swarm(1)), ContentKey::Swarm(swarm(4))];
        assert_eq!(all.map(|key| contents.newer(key)), [Some(third_id); 4]);
        let ContentKey::Id(id) = third_id else { unreachable!() };
        contents.hashed(id, &[swarm(1), swarm(3)]);
        assert_eq!(contents.newer(ContentKey::Swarm(swarm(4))), Some(ContentKey::Swarm(swarm(1))));
        assert_eq!(contents.newer(ContentKey::Swarm(swarm(1))), None, "it is what it was before");
        contents.remove(id);
        assert!(all.iter().all(|key| contents.newer(*key).is_none()), "it is gone");
    }

    #[test]
    fn the_oldest_replaced_keys_are_forgotten() {
        let (_folder, [content]) = contents();
        let contents = Contents::new();
        let keys = |from: usize, count: usize| {
            (from..from + count).map(|number| {
                let mut bytes = [0; 20];
                bytes[..8].copy_from_slice(&number.to_le_bytes());
                ContentKey::Swarm(InfoHash::new(bytes))
            })
        };
        contents.replace(keys(0, Contents::MAX_REPLACED + 10), content, &[]);
        assert!(keys(0, 10).all(|key| contents.newer(key).is_none()));
        assert!(keys(10, Contents::MAX_REPLACED).all(|key| contents.newer(key).is_some()));
        assert_eq!(contents.state().replaced.by.len(), Contents::MAX_REPLACED);
    }

    #[test]
    fn keys_run_both_ways() {
        for text in ["00000000000000ab", "3500292f2881c52a3c672db7c77db1f60426c65f"] {
            assert_eq!(text.parse::<ContentKey>().unwrap().to_string(), text);
        }
        for text in ["", "ab", "..", "3500292f2881c52a3c672db7c77db1f60426c65"] {
            assert!(text.parse::<ContentKey>().is_err(), "{text}");
        }
    }
}
