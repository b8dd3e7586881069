//! All that is shared, by id and by swarm.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracker_core::InfoHash;

use crate::{Content, ContentId};

/// The registry of what is shared. Cheap to clone; all clones are one.
///
/// A [`Content`] is found by its id from the moment it is inserted, and by the keys of its torrent's swarms once it is hashed. Of
/// several with the same swarm the newest is found. It has as many entries as its owner inserts.
#[derive(Debug, Clone, Default)]
pub struct Contents(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    reported: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<ContentId, Entry>,
    /// The contents of each swarm, the newest last; never empty.
    by_swarm: HashMap<InfoHash, Vec<ContentId>>,
    /// Those that somebody found changed, of those that are there.
    changed: HashSet<ContentId>,
}

#[derive(Debug)]
struct Entry {
    content: Arc<Content>,
    /// The keys of its torrent's swarms, the info-hash first; empty until it is hashed.
    swarms: Vec<InfoHash>,
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
    /// A registry without contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// The content with this key.
    pub fn get(&self, key: ContentKey) -> Option<Arc<Content>> {
        let state = self.state();
        let id = match key {
            ContentKey::Id(id) => id,
            ContentKey::Swarm(swarm) => *state.by_swarm.get(&swarm)?.last()?,
        };
        state.entries.get(&id).map(|entry| Arc::clone(&entry.content))
    }

    /// The info-hash of a content's torrent; `None` if there is no such content, or none of it yet.
    pub fn info_hash_of(&self, id: ContentId) -> Option<InfoHash> {
        self.state().entries.get(&id)?.swarms.first().copied()
    }

    /// The key under which this one's content is found now: the id of a content that has been hashed gives way to the info-hash of
    /// its torrent. Any other key stays as it is.
    pub fn current_key(&self, key: ContentKey) -> ContentKey {
        match key {
            ContentKey::Id(id) => self.info_hash_of(id).map_or(key, ContentKey::Swarm),
            ContentKey::Swarm(_) => key,
        }
    }

    /// Puts a content in, with the keys of its torrent's swarms if it is hashed already, the info-hash first.
    pub fn insert(&self, content: Arc<Content>, swarms: &[InfoHash]) {
        let id = content.id();
        let mut state = self.state();
        state.entries.insert(id, Entry { content, swarms: Vec::new() });
        state.set_swarms(id, swarms);
    }

    /// Adds the keys of the swarms of a content's torrent, the info-hash first, now that it is hashed. Returns `false` if there is
    /// no such content any more.
    pub fn hashed(&self, id: ContentId, swarms: &[InfoHash]) -> bool {
        self.state().set_swarms(id, swarms)
    }

    /// Takes a content out: from now on it is found by none of its keys. Files of it that are open stay so.
    pub fn remove(&self, id: ContentId) -> Option<Arc<Content>> {
        self.state().remove(id)
    }

    /// Reports that a file of a content [cannot be opened](Content::open) any more, since it has changed or is gone.
    pub fn report_changed(&self, id: ContentId) {
        let mut state = self.state();
        if state.entries.contains_key(&id) && state.changed.insert(id) {
            self.0.reported.notify_all();
        }
    }

    /// The contents that were [reported](Self::report_changed) since the last call. Waits until there is one, or for as long as
    /// `timeout`; returns early after [`wake`](Self::wake).
    pub fn changed(&self, timeout: Duration) -> Vec<Arc<Content>> {
        let mut state = self.state();
        if state.changed.is_empty() {
            let waited = self.0.reported.wait_timeout(state, timeout);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let changed = mem::take(&mut state.changed);
        changed.iter().filter_map(|id| state.entries.get(id)).map(|entry| Arc::clone(&entry.content)).collect()
    }

    /// Ends the waiting of [`changed`](Self::changed).
    pub fn wake(&self) {
        let _state = self.state();
        self.0.reported.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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

    fn remove(&mut self, id: ContentId) -> Option<Arc<Content>> {
        let Entry { content, swarms } = self.entries.remove(&id)?;
        self.leave_swarms(id, &swarms);
        self.changed.remove(&id);
        Some(content)
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
        let changed = |timeout| contents.changed(timeout).iter().map(|content| content.id()).collect::<Vec<_>>();
        contents.report_changed(content.id());
        contents.report_changed(content.id());
        assert_eq!(changed(FOREVER), [content.id()]);
        assert!(changed(Duration::ZERO).is_empty());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| changed(FOREVER));
            contents.report_changed(content.id());
            assert_eq!(waiting.join().unwrap(), [content.id()]);
        });
        // Nothing is reported of what is not there any more.
        contents.report_changed(content.id());
        contents.remove(content.id());
        contents.report_changed(content.id());
        assert!(changed(Duration::ZERO).is_empty());
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
