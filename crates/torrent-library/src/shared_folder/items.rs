//! What becomes of each file and folder in the share folder: the decisions, without I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tracker_core::InfoHash;

use super::item::{Item, Key, Made, RETRY, SETTLE, Sight, Stage, is_of};
use super::names::{PassedOver, PassedOverReason};
use super::progress::HashProgress;
use super::scan::{Fingerprint, Found, Scan};
use super::{ItemState, SharedItem, SharedItems};
use crate::{Content, ContentId, ContentKey, KnownTorrents, OPERATOR_LOG, natural_key};

#[cfg(test)]
mod tests;

/// The files and folders that are followed. Time is an argument, and files are looked at by the caller.
///
/// A look at the folder finds each item's fingerprint. One that stays the same for [`SETTLE`] is to be listed; its content is
/// registered then, and waits to be hashed, the smallest first. Whenever the fingerprint changes, it all begins again. The
/// content stays until the next one is listed, so that files that have not changed can be downloaded meanwhile; the torrent stays
/// until another takes its place, so that those who download it from each other find each other.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: HashMap<Key, Item>,
    /// The keys in natural order; `None` when they have changed.
    order: Option<Vec<Key>>,
    /// By name, what the last look passed over.
    passed_over: HashMap<Arc<str>, PassedOverReason>,
    /// All that is passed over, in natural order; `None` when it has changed.
    passed_over_list: Option<Arc<[PassedOver]>>,
    truncated: bool,
    /// The torrents that were made here by themselves, which are removed from the library when their content is gone.
    ours: HashSet<InfoHash>,
    /// What was saved by the last run of the program, until the first look.
    saved: HashMap<Key, Made>,
    /// The torrents that the last run of the program made of another share folder, until the first look.
    of_other_folder: Vec<InfoHash>,
    looked: bool,
    /// What was too large for the first look, until it was [looked at](Self::look_at).
    large_at_start: HashSet<Key>,
    /// Sizes and keys of the items that wait to be hashed, and of some that do not any more.
    waiting: BTreeSet<(u64, Key)>,
    /// The items as others see them; `None` when they have changed.
    snapshot: Option<Arc<SharedItems>>,
    /// `true` if something has changed since they were saved.
    pub(super) unsaved: bool,
}

/// What follows from a change, for the caller to do.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// To be listed, if the state is still the same.
    pub(super) list: Vec<(Key, Fingerprint)>,
    /// To be put into the contents while the items are still locked.
    pub(super) insert: Option<Listed>,
    /// To be taken out of the contents.
    pub(super) withdraw: Vec<ContentId>,
    /// To be removed from the library.
    pub(super) forget: Vec<InfoHash>,
    /// `true` if something is different for those who look at the items.
    pub(super) changed: bool,
    /// Torrents that an item does without now; some other may have the same.
    released: Vec<InfoHash>,
    /// Items that wait to be hashed from now on.
    pub(super) waiting: Vec<Key>,
}

/// A content that was listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) content: Arc<Content>,
    /// The info-hash of its torrent, if it has one already.
    pub(super) info_hash: Option<InfoHash>,
    /// The keys of the earlier ones of which it takes the place.
    pub(super) earlier: Vec<ContentKey>,
    /// `true` if it is known to be damaged from an earlier run of the program.
    pub(super) is_damaged: bool,
}

/// The order to hash an item.
#[derive(Debug, Clone)]
pub(super) struct HashJob {
    pub(super) key: Key,
    pub(super) content: Arc<Content>,
    pub(super) fingerprint: Fingerprint,
    pub(super) progress: HashProgress,
    pub(super) cancel: Arc<AtomicBool>,
}

impl Items {
    /// Goes on from what was saved. The torrents `of_other_folder` are among `ours`.
    pub(super) fn restore(saved: HashMap<Key, Made>, ours: HashSet<InfoHash>, of_other_folder: Vec<InfoHash>) -> Self {
        Self { saved, ours, of_other_folder, ..Self::default() }
    }

    /// What is to be saved: of each item its torrent and the state of which it was made, and whether the torrent is removed with
    /// it.
    pub(super) fn to_save(&self) -> impl Iterator<Item = (&Key, &Made, bool)> {
        let items = self.items.iter().filter_map(|(key, item)| Some((key, item.made.as_ref()?)));
        items.chain(&self.saved).map(|(key, made)| (key, made, self.ours.contains(&made.info_hash)))
    }

    /// Returns `true` once the folder was looked at.
    pub(super) fn has_looked(&self) -> bool {
        self.looked
    }

    /// Returns `true` if an entry of this name was there at the last look.
    pub(super) fn is_known(&self, name: &str) -> bool {
        let key = Key::of_name(name);
        self.items.contains_key(&key) || self.passed_over.contains_key(name) || self.saved.contains_key(&key)
    }

    /// The number of entries for which [`is_known`](Self::is_known) is `true`.
    pub(super) fn known(&self) -> usize {
        let by_itself = |key: &&Key| key.by_hand.is_none();
        let saved = self.saved.keys().filter(by_itself).count();
        self.items.keys().filter(by_itself).count() + self.passed_over.len() + saved
    }

    /// The paths of which torrents were made by hand.
    pub(super) fn by_hand(&self) -> Vec<Key> {
        self.items.keys().chain(self.saved.keys()).filter(|key| key.by_hand.is_some()).cloned().collect()
    }

    /// Takes in a look at the folder, and at what was made by hand: `None` for what is not there any more.
    pub(super) fn look(
        &mut self,
        now: Instant,
        scan: Scan,
        by_hand: HashMap<Key, Option<Fingerprint>>,
        library: &KnownTorrents,
    ) -> Effects {
        let mut effects = Effects::default();
        let is_first = !mem::replace(&mut self.looked, true);
        let mut passed_over = HashMap::new();
        let mut found = HashMap::new();
        // What is looked at by itself stays as it is.
        let mut large = HashSet::new();
        for (path, entry) in scan.found {
            let key = Key { path, by_hand: None };
            match entry {
                Found::Content(fingerprint) => drop(found.insert(key, fingerprint)),
                Found::Large => drop(large.insert(key)),
                // Nobody knows that it has changed.
                Found::PassedOver(PassedOverReason::Unusable(_)) if self.items.contains_key(&key) => {
                    let seen = self.items[&key].seen;
                    found.extend(seen.map(|seen| (key, seen)));
                }
                Found::PassedOver(reason) => drop(passed_over.insert(key.path, reason)),
            }
        }
        // One that was made by hand since they were listed is not looked at.
        let is_gone = |key: &Key, found: &HashMap<Key, Fingerprint>| match key.by_hand {
            None => !found.contains_key(key) && !large.contains(key),
            Some(_) => by_hand.get(key).is_some_and(Option::is_none),
        };
        found.extend(by_hand.iter().filter_map(|(key, fingerprint)| Some((key.clone(), (*fingerprint)?))));
        if passed_over != self.passed_over || scan.truncated != self.truncated {
            effects.changed = true;
            self.passed_over_list = None;
        }
        (self.passed_over, self.truncated) = (passed_over, scan.truncated);

        let gone: Vec<_> = self.items.keys().filter(|key| is_gone(key, &found)).cloned().collect();
        for key in gone {
            tracing::info!(target: OPERATOR_LOG, path = &*key.path, "{} is gone, and is no longer shared", key.path);
            self.drop_item(&key, &mut effects);
        }
        effects.released.append(&mut self.of_other_folder);
        let saved = mem::take(&mut self.saved);
        for (key, made) in saved {
            if !large.contains(&key) && !found.contains_key(&key) {
                effects.released.push(made.info_hash);
                effects.changed = true;
            } else if !self.items.contains_key(&key) {
                self.saved.insert(key, made);
            }
        }
        if is_first {
            self.large_at_start = large;
        }
        for (key, fingerprint) in found {
            self.see(&key, Sight { now, fingerprint, is_first, library }, &mut effects);
        }
        // One by hand goes with its torrent.
        let removed = self.items.iter().filter(|(key, item)| {
            key.by_hand.is_some()
                && matches!(item.stage, Stage::Removed | Stage::Failed { .. })
                && key.by_hand.is_some_and(|info_hash| library.get(&info_hash).is_none())
        });
        let removed: Vec<_> = removed.map(|(key, _)| key.clone()).collect();
        for key in removed {
            self.drop_item(&key, &mut effects);
        }
        self.finish(effects)
    }

    /// Takes in a look at one that is [`Found::Large`].
    pub(super) fn look_at(
        &mut self,
        now: Instant,
        key: &Key,
        fingerprint: Fingerprint,
        library: &KnownTorrents,
    ) -> Effects {
        let mut effects = Effects::default();
        let is_first = self.large_at_start.remove(key);
        self.see(key, Sight { now, fingerprint, is_first, library }, &mut effects);
        self.finish(effects)
    }

    /// Takes in what is there.
    fn see(&mut self, key: &Key, sight: Sight<'_>, effects: &mut Effects) {
        let Sight { now, fingerprint, is_first, .. } = sight;
        let Some(item) = self.items.get_mut(key) else {
            // What is there at the start has no past in which it may have changed.
            let since = if is_first { now.checked_sub(SETTLE).unwrap_or(now) } else { now };
            let mut item = Item::new(fingerprint, since);
            item.made = self.saved.remove(key);
            item.look(key, sight, effects);
            self.items.insert(key.clone(), item);
            (self.order, effects.changed) = (None, true);
            return;
        };
        let was_passed_over = item.is_passed_over();
        item.look(key, sight, effects);
        if was_passed_over != item.is_passed_over() {
            self.passed_over_list = None;
        }
    }

    /// Takes in a listed content.
    pub(super) fn listed(
        &mut self,
        now: Instant,
        key: &Key,
        fingerprint: Fingerprint,
        listed: Result<Content, PassedOverReason>,
        library: &KnownTorrents,
    ) -> Effects {
        let mut effects = Effects::default();
        let is_due = |item: &&mut Item| {
            item.seen == Some(fingerprint) && matches!(item.stage, Stage::Settling | Stage::PassedOver { .. })
        };
        let Some(item) = self.items.get_mut(key).filter(is_due) else { return effects };
        let was_passed_over = item.is_passed_over();
        let content = match listed {
            Ok(content) => Arc::new(content),
            Err(reason) => {
                let stage = Stage::PassedOver { reason: reason.clone(), retry: now + RETRY };
                let before = mem::replace(&mut item.stage, stage);
                let is_new = !matches!(before, Stage::PassedOver { reason: before, .. } if before == reason);
                if is_new {
                    if matches!(reason, PassedOverReason::Unusable(_)) {
                        tracing::warn!(target: OPERATOR_LOG, path = &*key.path, "{} is not shared: {reason}", key.path);
                    }
                    effects.withdraw.extend(item.content.take().map(|content| content.id()));
                    effects.released.extend(item.made.take().map(|made| made.info_hash));
                    (self.passed_over_list, effects.changed) = (None, true);
                }
                return self.finish(effects);
            }
        };
        if was_passed_over {
            self.passed_over_list = None;
        }
        effects.changed = true;
        let made = item.made.filter(|made| made.fingerprint == fingerprint);
        let known = made.filter(|made| library.get(&made.info_hash).is_some_and(|known| is_of(&content, known)));
        let stage = match (made, known) {
            (_, Some(_)) => Stage::Made,
            (Some(made), None) if made.removed => Stage::Removed,
            _ if key.by_hand.is_some() => Stage::changed_by_hand(),
            _ => Stage::Waiting,
        };
        let before = item.content.take().map(|content| content.id());
        if matches!(stage, Stage::Made | Stage::Waiting) {
            // What it is now replaces what it was, and not itself.
            let made_before = item.made.filter(|_| known.is_none()).map(|made| ContentKey::Swarm(made.info_hash));
            let earlier = before.map(ContentKey::Id).into_iter().chain(made_before).collect();
            let info_hash = known.map(|made| made.info_hash);
            let is_damaged = known.is_some_and(|made| made.damaged);
            effects.insert = Some(Listed { content: Arc::clone(&content), info_hash, earlier, is_damaged });
            item.content = Some(content);
            effects.waiting.extend(matches!(stage, Stage::Waiting).then(|| key.clone()));
        } else {
            effects.withdraw.extend(before);
        }
        item.stage = stage;
        if known.is_some() {
            item.made.iter_mut().for_each(|made| made.removed = false);
        }
        self.finish(effects)
    }

    /// The smallest item that waits and has at most `limit` bytes, which counts as being hashed from now on.
    pub(super) fn next(&mut self, limit: u64) -> Option<HashJob> {
        while self.waiting.first().is_some_and(|(size, _)| *size <= limit) {
            let (size, key) = self.waiting.pop_first()?;
            let Some(item) = self.items.get_mut(&key) else { continue };
            let content = item.content.as_ref().filter(|content| content.size() == size);
            let (Some(content), Some(fingerprint), Stage::Waiting) = (content, item.seen, &item.stage) else {
                continue;
            };
            let (content, progress, cancel) = (Arc::clone(content), HashProgress::new(size), Arc::default());
            item.stage = Stage::Hashing { progress: progress.clone(), cancel: Arc::clone(&cancel) };
            self.snapshot = None;
            return Some(HashJob { key, content, fingerprint, progress, cancel });
        }
        None
    }

    /// Takes in the torrent of a content, which is in the library now; `was_there` if it was before. Returns `false` if it is not
    /// wanted any more.
    pub(super) fn made(&mut self, job: &HashJob, info_hash: InfoHash, was_there: bool) -> (bool, Effects) {
        let mut effects = Effects { changed: true, ..Effects::default() };
        if !was_there {
            self.ours.insert(info_hash);
        }
        let Some(item) = self.hashing(job) else {
            effects.released.push(info_hash);
            return (false, self.finish(effects));
        };
        let made = Made { fingerprint: job.fingerprint, info_hash, removed: false, damaged: false };
        item.stage = Stage::Made;
        let before = item.made.replace(made).filter(|before| before.info_hash != info_hash);
        item.replaced = before.map(|before| before.info_hash).or(item.replaced).filter(|before| *before != info_hash);
        effects.released.extend(before.map(|before| before.info_hash));
        (true, self.finish(effects))
    }

    /// Takes in that hashing has failed, after this time.
    pub(super) fn failed(&mut self, job: &HashJob, error: &str, now: Instant, took: Duration) -> Effects {
        let Some(item) = self.hashing(job) else { return Effects::default() };
        item.stage = Stage::Failed { error: error.into(), retry: Item::retry_after(now, took) };
        tracing::warn!(target: OPERATOR_LOG, path = &*job.key.path, "cannot prepare {}: {error}", job.key.path);
        self.finish(Effects { changed: true, ..Effects::default() })
    }

    /// Takes in that a content is not what it was, whatever its fingerprint says: it is looked at anew.
    pub(super) fn changed(&mut self, id: ContentId, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let found = self.items.iter_mut().find(|(_, item)| item.has(id));
        // What settles is known to have changed.
        if let Some((key, item)) = found.filter(|(_, item)| !matches!(item.stage, Stage::Settling)) {
            item.change(now, key, None, &mut effects);
        }
        self.finish(effects)
    }

    /// Takes in which contents are damaged.
    pub(super) fn set_damaged(&mut self, damaged: &HashSet<ContentId>) {
        for item in self.items.values_mut().filter(|item| matches!(item.stage, Stage::Made)) {
            let is_damaged = item.content.as_ref().is_some_and(|content| damaged.contains(&content.id()));
            if let Some(made) = item.made.as_mut().filter(|made| made.damaged != is_damaged) {
                (made.damaged, self.unsaved) = (is_damaged, true);
            }
        }
    }

    /// Gives up all hashing, since everything ends.
    pub(super) fn cancel(&self) {
        self.items.values().for_each(Item::stop);
    }

    /// Takes in a torrent that was made by hand.
    pub(super) fn made_by_hand(
        &mut self,
        now: Instant,
        path: &str,
        fingerprint: Fingerprint,
        info_hash: InfoHash,
        content: Arc<Content>,
    ) -> Effects {
        let mut effects = Effects { changed: true, ..Effects::default() };
        let key = Key { path: path.into(), by_hand: Some(info_hash) };
        // From now on it stays until it is removed by hand.
        self.ours.remove(&info_hash);
        self.drop_item(&key, &mut effects);
        let mut item = Item::new(fingerprint, now);
        item.stage = Stage::Made;
        item.made = Some(Made { fingerprint, info_hash, removed: false, damaged: false });
        item.content = Some(content);
        self.items.insert(key, item);
        self.order = None;
        self.finish(effects)
    }

    /// The items as others see them.
    pub(super) fn snapshot(&mut self) -> Arc<SharedItems> {
        if let Some(snapshot) = &self.snapshot {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.make_snapshot());
        self.snapshot = Some(Arc::clone(&snapshot));
        snapshot
    }

    fn make_snapshot(&mut self) -> SharedItems {
        let order = self.order.get_or_insert_with(|| {
            let mut keys: Vec<_> = self.items.keys().cloned().collect();
            keys.sort_by_cached_key(|key| (natural_key(&key.path), Arc::clone(&key.path), key.by_hand));
            keys
        });
        let passed_over = self.passed_over_list.get_or_insert_with(|| {
            let unusable = self.items.iter().filter_map(|(key, item)| match &item.stage {
                Stage::PassedOver { reason, .. } => Some((&key.path, reason)),
                _ => None,
            });
            let all = self.passed_over.iter().chain(unusable);
            let mut list: Vec<_> =
                all.map(|(name, reason)| PassedOver { name: Arc::clone(name), reason: reason.clone() }).collect();
            list.sort_by_cached_key(|passed_over| (natural_key(&passed_over.name), Arc::clone(&passed_over.name)));
            list.into()
        });
        let mut owners: HashMap<InfoHash, &Arc<str>> = HashMap::new();
        let mut items = Vec::with_capacity(order.len());
        for key in order.iter() {
            let item = &self.items[key];
            let same_as = |info_hash| {
                let owner = *owners.entry(info_hash).or_insert(&key.path);
                (!Arc::ptr_eq(owner, &key.path)).then(|| Arc::clone(owner))
            };
            let Some(state) = item.state(same_as) else { continue };
            // Made by hand of what is shared by itself.
            if matches!(&state, ItemState::SameAs { name } if *name == key.path) {
                continue;
            }
            let (content, replaces) = (item.content.clone(), item.replaces());
            items.push(SharedItem { name: Arc::clone(&key.path), content, state, replaces });
        }
        SharedItems { items, passed_over: Arc::clone(passed_over), truncated: self.truncated }
    }

    /// The item of a job that is still wanted.
    fn hashing(&mut self, job: &HashJob) -> Option<&mut Item> {
        let item = self.items.get_mut(&job.key)?;
        Some(item).filter(|item| item.has(job.content.id()) && matches!(item.stage, Stage::Hashing { .. }))
    }

    fn drop_item(&mut self, key: &Key, effects: &mut Effects) {
        let Some(item) = self.items.remove(key) else { return };
        item.stop();
        effects.withdraw.extend(item.content.map(|content| content.id()));
        effects.released.extend(item.made.map(|made| made.info_hash));
        effects.changed = true;
        (self.order, self.passed_over_list) = (None, None);
    }

    /// Decides which of the released torrents are removed: those that were made here and that nothing else is.
    fn finish(&mut self, mut effects: Effects) -> Effects {
        if effects.changed {
            (self.snapshot, self.unsaved) = (None, true);
        }
        for key in effects.waiting.drain(..) {
            let content = self.items.get(&key).and_then(|item| item.content.as_ref());
            self.waiting.extend(content.map(|content| (content.size(), key)));
        }
        let released = mem::take(&mut effects.released);
        if !released.is_empty() {
            let used: HashSet<_> = self.items.values().filter_map(|item| Some(item.made?.info_hash)).collect();
            let unused = released.into_iter().filter(|info_hash| !used.contains(info_hash));
            effects.forget = unused.filter(|info_hash| self.ours.remove(info_hash)).collect();
        }
        effects
    }
}
