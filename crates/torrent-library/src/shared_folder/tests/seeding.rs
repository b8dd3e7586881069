//! What is given to BitTorrent clients, and what is not.

use metainfo::{Create, PieceLength};

use super::*;
use crate::{ContentId, Damage};

impl Place {
    fn is_seeded(&self, info_hash: &InfoHash) -> bool {
        self.contents.to_seed(info_hash).is_some()
    }

    fn id_of(&self, info_hash: InfoHash) -> ContentId {
        self.contents.get(ContentKey::Swarm(info_hash)).unwrap().id()
    }

    /// Lets it look as if a file had been of other bytes when it was hashed, while nobody follows the folder. Returns the info-hash
    /// of its torrent then, in pieces of 16 KiB.
    fn damage(&self, info_hash: InfoHash, name: &str, other: &[u8]) -> InfoHash {
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(name), other).unwrap();
        let create = Create::new(elsewhere.path().join(name)).piece_length(PieceLength::MIN);
        let torrent = create.plan().unwrap().hash(&AtomicBool::new(false), |_| {}).unwrap();
        let torrent = self.library.register(torrent.as_bytes()).unwrap().info_hash;
        let state_file = self.folder.path().join("data/share.json");
        let text = fs::read_to_string(&state_file).unwrap();
        fs::write(state_file, text.replace(&info_hash.to_string(), &torrent.to_string())).unwrap();
        torrent
    }
}

#[test]
fn what_the_operator_stops_stays_so_after_a_restart() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    place.write("notes.txt", b"notes");
    let folder = place.start();
    let (film, notes) = (until_shared(&folder, "film.mkv"), until_shared(&folder, "notes.txt"));
    assert!(place.is_seeded(&film) && place.is_seeded(&notes));
    let (changes, changes_of_contents) = (*folder.changes().borrow(), *place.contents.changes().borrow());
    assert!(folder.stop_seeding(&film));
    assert!(*folder.changes().borrow() > changes && *place.contents.changes().borrow() > changes_of_contents);
    assert!(!folder.stop_seeding(&InfoHash::new([1; 20])), "there is no such torrent");
    let is_stopped = |place: &Place| {
        assert!(place.contents.is_stopped(&film) && !place.contents.is_stopped(&notes));
        assert!(!place.is_seeded(&film) && place.is_seeded(&notes));
        assert!(place.contents.get(ContentKey::Swarm(film)).is_some(), "it is shared");
    };
    is_stopped(&place);
    drop(folder);

    let folder = place.start();
    until_shared(&folder, "film.mkv");
    until_shared(&folder, "notes.txt");
    is_stopped(&place);
    assert!(folder.seed_again(&film) && place.is_seeded(&film));
    drop(folder);
    let folder = place.start();
    until_shared(&folder, "film.mkv");
    assert!(place.is_seeded(&film));
}

#[test]
fn what_is_damaged_is_withdrawn_until_it_was_checked() {
    let mut place = Place::new();
    let bytes = vec![7; 200_000];
    place.write("film.mkv", &bytes);
    let folder = place.start();
    let film = until_shared(&folder, "film.mkv");
    assert!(!folder.check_again(&film), "it is not damaged");
    let id = place.id_of(film);
    assert!(place.contents.report_damaged(id) && !place.contents.report_damaged(id));
    assert_eq!(place.contents.damage(&film), Some(Damage::default()));
    assert!(!place.is_seeded(&film) && place.contents.is_damaged(id));
    let changes = *place.contents.changes().borrow();
    assert!(folder.check_again(&film));
    until(&folder, "it was right, and is counted", |_| {
        (place.is_seeded(&film) && *place.contents.changes().borrow() > changes).then_some(())
    });
    assert_eq!(place.contents.damage(&film), None);
    drop(folder);

    let mut other = bytes;
    (other[0], other[1], other[199_999]) = (1, 1, 1);
    let film = place.damage(film, "film.mkv", &other);
    let folder = place.start();
    assert_eq!(until_shared(&folder, "film.mkv"), film);
    place.contents.report_damaged(place.id_of(film));
    assert!(folder.check_again(&film));
    let damage = until(&folder, "it was checked", |_| {
        place.contents.damage(&film).filter(|damage| damage.check.is_none() && damage.bad_pieces.is_some())
    });
    assert_eq!(damage, Damage { bad_pieces: Some(2), check: None });
    assert!(!place.is_seeded(&film));
    drop(folder);

    // It is so after a restart, until there is another file.
    let folder = place.start();
    assert_eq!(until_shared(&folder, "film.mkv"), film);
    assert_eq!(place.contents.damage(&film), Some(Damage::default()));
    place.write("film.mkv", &other);
    let right = until(&folder, "it is shared again", |items| {
        shared(items, "film.mkv").filter(|info_hash| place.is_seeded(info_hash))
    });
    assert_eq!(place.contents.damage(&right), None);
}

#[test]
fn a_check_finds_what_has_changed() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    let folder = place.start();
    let film = until_shared(&folder, "film.mkv");
    place.contents.report_damaged(place.id_of(film));
    place.write("film.mkv", b"another film");
    folder.check_again(&film);
    let new = until(&folder, "it is made anew", |items| shared(items, "film.mkv").filter(|new| *new != film));
    assert!(place.is_seeded(&new) && !place.is_seeded(&film));
}

#[test]
fn of_equal_files_one_that_is_right_is_seeded() {
    let mut place = Place::new();
    place.write("film.mkv", b"film");
    let folder = place.start();
    let film = until_shared(&folder, "film.mkv");
    let one = place.id_of(film);
    let content = Content::list(folder.share(), "film.mkv").unwrap();
    let other = content.id();
    place.contents.insert(Arc::new(content), &[film]);
    let seeded = || place.contents.to_seed(&film).map(|content| content.id());
    assert_eq!(seeded(), Some(other));
    place.contents.report_damaged(other);
    assert_eq!((seeded(), place.contents.damage(&film)), (Some(one), None));
    place.contents.report_damaged(one);
    assert_eq!((seeded(), place.contents.damage(&film)), (None, Some(Damage::default())));
    place.contents.end_check(other, Some(0));
    assert_eq!(seeded(), Some(other));
    place.contents.report_changed(other);
    assert_eq!(seeded(), None);
}

#[test]
fn the_oldest_stopped_swarms_are_forgotten() {
    let contents = Contents::new();
    let key = |number: usize| {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        InfoHash::new(bytes)
    };
    contents.set_stopped_keys((0..Contents::MAX_STOPPED + 10).map(key), true);
    assert!((0..10).all(|number| !contents.is_stopped(&key(number))));
    assert!((10..Contents::MAX_STOPPED + 10).all(|number| contents.is_stopped(&key(number))));
    contents.set_stopped_keys([key(11)], false);
    assert!(!contents.is_stopped(&key(11)) && contents.is_stopped(&key(12)));
    assert_eq!(contents.stopped().len(), Contents::MAX_STOPPED - 1);
}
