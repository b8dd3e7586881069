use std::fs;

use super::*;
use crate::{KnownTorrent, Share};

/// Items with a clock of their own. Files are on disk only so that there are contents.
struct World {
    folder: tempfile::TempDir,
    share: Share,
    items: Items,
    library: KnownTorrents,
    now: Instant,
    /// Of each name its size and the number of its state.
    there: HashMap<&'static str, (usize, u64)>,
}

impl World {
    fn new(there: &[(&'static str, usize)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let share = Share::open(folder.path().to_owned()).unwrap();
        let there = there.iter().map(|(name, size)| (*name, (*size, 0))).collect();
        Self { folder, share, items: Items::default(), library: KnownTorrents::default(), now: Instant::now(), there }
    }

    fn fingerprint(&self, name: &str) -> Fingerprint {
        let (size, state) = self.there[name];
        format!("{state:032x}-{size}").parse().unwrap()
    }

    fn change(&mut self, name: &'static str, size: usize) {
        let state = self.there.get(name).map_or(0, |(_, state)| state + 1);
        self.there.insert(name, (size, state));
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn scan(&self) -> Scan {
        let found = self.there.keys().map(|name| (Arc::from(*name), Found::Content(self.fingerprint(name))));
        Scan { found: found.collect(), truncated: false }
    }

    fn look(&mut self) -> Effects {
        self.items.look(self.now, self.scan(), HashMap::new(), &self.library)
    }

    /// Looks, and lists what is to be listed. The names of that, and what else follows.
    fn look_and_list(&mut self) -> (Vec<String>, Effects) {
        let mut effects = self.look();
        let mut names: Vec<_> = effects.list.iter().map(|(key, _)| key.path.to_string()).collect();
        names.sort();
        for (key, fingerprint) in mem::take(&mut effects.list) {
            fs::write(self.folder.path().join(&*key.path), vec![7; fingerprint.size as usize]).unwrap();
            let listed = match fingerprint.size {
                0 => Err(PassedOverReason::Empty),
                _ => Ok(Content::list(&self.share, &key.path).unwrap()),
            };
            let listed = self.items.listed(self.now, &key, fingerprint, listed, &self.library);
            effects.withdraw.extend(listed.withdraw);
            effects.forget.extend(listed.forget);
            effects.insert = effects.insert.or(listed.insert);
        }
        (names, effects)
    }

    /// Hashes the next item, as far as it is to be. Its name.
    fn next(&mut self) -> HashJob {
        self.items.next(u64::MAX).unwrap()
    }

    fn torrent(&mut self, name: &str, size: u64) -> InfoHash {
        let torrent = Arc::new(KnownTorrent::parse(&crate::library::tests::torrent(name, size)).unwrap());
        self.library.insert(Arc::clone(&torrent));
        torrent.info_hash
    }

    fn hash(&mut self) -> InfoHash {
        let job = self.next();
        let info_hash = self.torrent(&job.key.path, job.content.size());
        assert!(self.items.made(&job, info_hash, false).0);
        info_hash
    }

    fn remove(&mut self, info_hash: InfoHash) {
        let torrent = Arc::clone(self.library.get(&info_hash).unwrap());
        self.library.remove(&torrent);
    }

    fn state(&mut self, name: &str) -> Option<ItemState> {
        let snapshot = self.items.snapshot();
        snapshot.items.iter().find(|item| &*item.name == name).map(|item| item.state.clone())
    }

    fn restart(&mut self) {
        let saved = self.items.to_save().map(|(key, made, ours)| (key.clone(), *made, ours));
        let saved: Vec<_> = saved.collect();
        let ours = saved.iter().filter(|(_, _, ours)| *ours).map(|(_, made, _)| made.info_hash).collect();
        let saved = saved.into_iter().map(|(key, made, _)| (key, made)).collect();
        self.items = Items::restore(saved, ours, Vec::new());
    }
}

#[test]
fn what_is_there_at_the_start_is_listed_at_once_and_what_comes_later_after_five_seconds() {
    let mut world = World::new(&[("b", 2), ("a10", 1), ("a9", 1)]);
    assert_eq!(world.look_and_list().0, ["a10", "a9", "b"]);
    let names: Vec<_> = world.items.snapshot().items.iter().map(|item| item.name.to_string()).collect();
    assert_eq!(names, ["a9", "a10", "b"]);
    world.change("c", 5);
    assert!(world.look_and_list().0.is_empty());
    assert_eq!(world.state("c"), Some(ItemState::Settling));
    world.wait(4);
    assert!(world.look_and_list().0.is_empty());
    world.wait(1);
    assert_eq!(world.look_and_list().0, ["c"]);
    assert_eq!(world.state("c"), Some(ItemState::Waiting));
    // It is listed once.
    world.wait(100);
    assert!(world.look_and_list().0.is_empty());
}

#[test]
fn what_grows_all_the_time_never_settles() {
    let mut world = World::new(&[]);
    world.look();
    for size in 1..50 {
        world.change("log", size);
        assert!(world.look_and_list().0.is_empty());
        assert_eq!(world.state("log"), Some(ItemState::Settling));
        world.wait(4);
    }
    assert!(world.items.next(u64::MAX).is_none());
}

#[test]
fn the_smallest_is_hashed_first_and_a_larger_one_in_between_only_on_request() {
    let mut world = World::new(&[("large", 9000), ("small", 10), ("tiny", 1)]);
    world.look_and_list();
    let sizes = [world.next(), world.next()].map(|job| job.content.size());
    assert_eq!(sizes, [1, 10]);
    assert!(world.items.next(8999).is_none());
    let job = world.items.next(9000).unwrap();
    let snapshot = world.items.snapshot();
    job.progress.set(4000);
    assert!(Arc::ptr_eq(&world.items.snapshot(), &snapshot), "progress costs nothing");
    let Some(ItemState::Hashing(progress)) = world.state("large") else { panic!("it is being hashed") };
    assert_eq!((progress.hashed(), progress.total()), (4000, 9000));
}

#[test]
fn a_change_ends_hashing_and_keeps_the_old_torrent_until_there_is_another() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let old = world.hash();
    let id = world.items.snapshot().items[0].content.as_ref().unwrap().id();
    world.change("film", 11);
    let (_, effects) = world.look_and_list();
    assert_eq!((effects.withdraw, effects.forget), (vec![], vec![]));
    let item = world.items.snapshot().items[0].clone();
    assert_eq!((item.content.map(|content| content.id()), item.state), (Some(id), ItemState::Settling));
    assert_eq!(item.replaces, Some(old));

    world.wait(5);
    let (_, effects) = world.look_and_list();
    let Listed { content, info_hash, earlier, is_damaged } = effects.insert.unwrap();
    assert!(!is_damaged);
    assert_eq!((info_hash, earlier), (None, vec![ContentKey::Id(id), ContentKey::Swarm(old)]));
    let job = world.next();
    assert_eq!(job.content.id(), content.id());
    world.change("film", 12);
    world.look_and_list();
    assert!(job.cancel.load(std::sync::atomic::Ordering::Relaxed));
    // It was too late to cancel it.
    let late = world.torrent("film", 11);
    let (wanted, effects) = world.items.made(&job, late, false);
    assert_eq!((wanted, effects.forget), (false, vec![late]));

    world.wait(5);
    world.look_and_list();
    let job = world.next();
    let new = world.torrent("film", 12);
    let (wanted, effects) = world.items.made(&job, new, false);
    assert_eq!((wanted, effects.forget), (true, vec![old]));
    let item = world.items.snapshot().items[0].clone();
    assert_eq!((item.state, item.replaces), (ItemState::Shared { info_hash: new }, Some(old)));

    // The same again, as after `touch`.
    world.change("film", 12);
    world.look_and_list();
    world.wait(5);
    world.look_and_list();
    let job = world.next();
    let (wanted, effects) = world.items.made(&job, new, true);
    assert_eq!((wanted, effects.forget), (true, vec![]));
}

#[test]
fn what_is_gone_goes_with_its_torrent_unless_that_was_there_before() {
    let mut world = World::new(&[("film", 10), ("notes", 20)]);
    world.look_and_list();
    let film = world.hash();
    let job = world.next();
    let notes = world.torrent("notes", 20);
    world.items.made(&job, notes, true);
    world.there.clear();
    let (_, effects) = world.look_and_list();
    assert_eq!((effects.withdraw.len(), effects.forget), (2, vec![film]));
    assert!(world.items.snapshot().items.is_empty());
}

#[test]
fn an_empty_file_is_passed_over_once_it_stands_still() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let film = world.hash();
    // As an editor does that empties a file before it writes.
    world.change("film", 0);
    let (_, effects) = world.look_and_list();
    assert!(effects.forget.is_empty() && effects.withdraw.is_empty());
    assert!(world.items.snapshot().passed_over.is_empty());
    world.wait(5);
    let (_, effects) = world.look_and_list();
    assert_eq!((effects.forget, effects.withdraw.len()), (vec![film], 1));
    let snapshot = world.items.snapshot();
    assert_eq!((snapshot.items.len(), &*snapshot.passed_over[0].name), (0, "film"));
    world.change("film", 11);
    world.look_and_list();
    assert!(world.items.snapshot().passed_over.is_empty());
    world.wait(5);
    assert_eq!(world.look_and_list().0, ["film"]);
}

#[test]
fn what_fails_is_tried_again_later() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let job = world.next();
    world.items.failed(&job, "a bad disk", world.now, Duration::from_secs(30));
    assert_eq!(world.state("film"), Some(ItemState::Failed { error: "a bad disk".into() }));
    assert!(world.items.snapshot().items[0].content.is_some(), "it can be downloaded");
    world.wait(299);
    world.look_and_list();
    assert!(world.items.next(u64::MAX).is_none());
    world.wait(1);
    world.look_and_list();
    world.hash();
}

#[test]
fn a_report_begins_it_again_and_an_equal_state_spares_the_hashing() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let info_hash = world.hash();
    let id = world.items.snapshot().items[0].content.as_ref().unwrap().id();
    assert!(world.items.changed(id, world.now).changed);
    assert_eq!(world.state("film"), Some(ItemState::Settling));
    world.look_and_list();
    world.wait(4);
    world.look_and_list();
    assert!(!world.items.changed(id, world.now).changed, "a second report begins nothing again");
    world.wait(1);
    assert_eq!(world.look_and_list().0, ["film"]);
    assert_eq!(world.state("film"), Some(ItemState::Shared { info_hash }));
    assert_ne!(world.items.snapshot().items[0].content.as_ref().unwrap().id(), id);
}

#[test]
fn a_removed_torrent_stays_away_and_comes_back_when_it_is_registered() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let info_hash = world.hash();
    world.remove(info_hash);
    assert_eq!(world.look_and_list().1.withdraw.len(), 1);
    assert_eq!(world.state("film"), Some(ItemState::Removed));
    world.restart();
    assert_eq!(world.look_and_list().0, ["film"]);
    assert_eq!(world.state("film"), Some(ItemState::Removed));
    assert!(world.items.next(u64::MAX).is_none());
    world.torrent("film", 10);
    world.look_and_list();
    assert_eq!(world.state("film"), Some(ItemState::Shared { info_hash }));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut world = World::new(&[("film", 10), ("notes", 20), ("gone", 30)]);
    world.look_and_list();
    let [film, notes, gone] = [world.hash(), world.hash(), world.hash()];
    world.restart();
    assert!(world.items.is_known("film") && !world.items.is_known("other"));
    assert_eq!(world.items.known(), 3);
    world.there.remove("gone");
    world.change("notes", 21);
    let (listed, effects) = world.look_and_list();
    assert_eq!((listed.len(), effects.forget), (2, vec![gone]));
    assert_eq!(world.state("film"), Some(ItemState::Shared { info_hash: film }));
    assert_eq!(world.items.snapshot().items[1].replaces, Some(notes));
    let job = world.next();
    let new = world.torrent("notes", 21);
    assert_eq!(world.items.made(&job, new, false).1.forget, [notes]);
}

#[test]
fn what_waited_and_has_changed_waits_no_more() {
    let mut world = World::new(&[("film", 10), ("notes", 20)]);
    world.look_and_list();
    world.change("film", 30);
    world.look_and_list();
    assert_eq!(&*world.next().key.path, "notes");
    assert!(world.items.next(u64::MAX).is_none());
    world.wait(5);
    world.look_and_list();
    let job = world.next();
    assert_eq!((&*job.key.path, job.content.size()), ("film", 30));
    world.there.remove("film");
    world.look_and_list();
    assert!(world.items.next(u64::MAX).is_none());
}

#[test]
fn what_was_made_of_another_folder_goes() {
    let mut world = World::new(&[("film", 10)]);
    let other = world.torrent("other", 10);
    world.items = Items::restore(HashMap::new(), HashSet::from([other]), vec![other]);
    assert_eq!(world.look_and_list().1.forget, [other]);
}

#[test]
fn what_is_too_large_for_a_look_stays_until_it_is_looked_at() {
    let mut world = World::new(&[("film", 10), ("notes", 20)]);
    world.look_and_list();
    let [film, _notes] = [world.hash(), world.hash()];
    let look_without_film = |world: &mut World| {
        let mut scan = world.scan();
        scan.found.insert("film".into(), Found::Large);
        world.items.look(world.now, scan, HashMap::new(), &world.library)
    };
    let effects = look_without_film(&mut world);
    assert!(effects.withdraw.is_empty() && effects.forget.is_empty());
    assert_eq!(world.state("film"), Some(ItemState::Shared { info_hash: film }));

    // What was made of it before a restart stays, too.
    world.restart();
    for _ in 0..2 {
        assert!(look_without_film(&mut world).forget.is_empty());
        assert_eq!(world.state("film"), None);
    }
    let (key, fingerprint) = (Key::of_name("film"), world.fingerprint("film"));
    let effects = world.items.look_at(world.now, &key, fingerprint, &world.library);
    assert_eq!(effects.list, [(key.clone(), fingerprint)], "it was there at the start");
    let listed = Content::list(&world.share, "film").unwrap();
    world.items.listed(world.now, &key, fingerprint, Ok(listed), &world.library);
    assert_eq!(world.state("film"), Some(ItemState::Shared { info_hash: film }));
    world.there.remove("film");
    assert_eq!(world.look_and_list().1.forget, [film]);
}

/// One that is made while the others are looked at is not taken for gone.
#[test]
fn what_is_made_by_hand_during_a_look_stays() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let content = world.next().content;
    let (fingerprint, info_hash) = (world.fingerprint("film"), world.torrent("film", 10));
    world.items.made_by_hand(world.now, "course/film", fingerprint, info_hash, content);
    let by_hand = world.items.by_hand();
    assert_eq!(by_hand.len(), 1);
    assert_eq!(world.items.snapshot().items.len(), 2);
    world.look();
    assert_eq!(world.state("course/film"), Some(ItemState::Shared { info_hash }));
    let gone = by_hand.into_iter().map(|key| (key, None)).collect();
    let effects = world.items.look(world.now, world.scan(), gone, &world.library);
    assert_eq!((world.state("course/film"), effects.withdraw.len()), (None, 1));
    assert!(effects.forget.is_empty(), "its torrent stays until it is removed by hand");
}

#[test]
fn two_items_with_one_torrent_say_so_and_it_goes_with_the_last() {
    let mut world = World::new(&[("film", 10)]);
    world.look_and_list();
    let info_hash = world.hash();
    let content = world.items.snapshot().items[0].content.clone().unwrap();
    for path in ["film", "new/film", "old/film"] {
        let fingerprint = world.fingerprint("film");
        world.items.made_by_hand(world.now, path, fingerprint, info_hash, Arc::clone(&content));
    }
    let same = ItemState::SameAs { name: "film".into() };
    let states: Vec<_> =
        world.items.snapshot().items.iter().map(|item| (item.name.to_string(), item.state.clone())).collect();
    let shared = ItemState::Shared { info_hash };
    let expected = [("film", shared.clone()), ("new/film", same.clone()), ("old/film", same)];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    world.there.clear();
    let gone = world.items.by_hand().into_iter().filter(|key| &*key.path == "film").map(|key| (key, None)).collect();
    assert!(world.items.look(world.now, world.scan(), gone, &world.library).forget.is_empty());
    assert_eq!(world.state("new/film"), Some(shared));
}
