//! What the tracker's own peer is given to seed, of a share folder on a real disk.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread;

use metainfo::{Create, PieceLength};
use tempfile::TempDir;
use torrent_library::{ContentKey, ItemState, Share, SharedFolder, SharedFolderConfig};
use tracker_core::{AnnounceRequest, Config, Instant as CoreInstant, PeerId, Peers, Shards};
use tracker_monitor::{PeerSightings, SeedingState};
use tracker_peer::Torrents;

use super::*;
use crate::own_peer::OwnPeerView;

const DEADLINE: Duration = Duration::from_secs(120);

/// What is in the file, in several pieces.
fn film() -> Vec<u8> {
    (0..100_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// A share folder beside what outlives the program.
struct Place(TempDir);

/// The parts of a tracker that run.
struct Running {
    folder: SharedFolder,
    library: Library,
    contents: Contents,
    shards: Arc<Shards>,
    view: Arc<OwnPeerView>,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.0.path().join("share")).unwrap();
        fs::write(place.film(), film()).unwrap();
        place
    }

    fn film(&self) -> PathBuf {
        self.0.path().join("share/film.mkv")
    }

    fn state_file(&self) -> PathBuf {
        self.0.path().join("share.json")
    }

    /// As a start of the program would.
    fn start(&self, library: &Library) -> Running {
        let contents = Contents::new();
        let share = Share::open(self.0.path().join("share")).unwrap();
        let config = SharedFolderConfig::default().with(|config| config.state_file = Some(self.state_file()));
        let folder = SharedFolder::start(share, library.clone(), contents.clone(), config).unwrap();
        let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut rand::rng()).unwrap();
        let shards = Arc::new(shards);
        let view = OwnPeerView::new(library.clone(), Arc::clone(&shards), Some(contents.clone()), false);
        Running { folder, library: library.clone(), contents, shards, view }
    }
}

fn library() -> Library {
    Library::open(Default::default()).unwrap()
}

fn torrent_of(path: &Path) -> Vec<u8> {
    let create = Create::new(path).piece_length(PieceLength::MIN);
    create.plan().unwrap().hash(&AtomicBool::new(false), |_| {}).unwrap().as_bytes().to_vec()
}

impl Running {
    #[track_caller]
    fn until<T>(&self, what: &str, find: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = find() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", self.folder.items());
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn until_shared(&self) -> InfoHash {
        self.until("it is shared", || match self.folder.items().items.first()?.state {
            ItemState::Shared { info_hash } => Some(info_hash),
            _ => None,
        })
    }

    fn state(&self, info_hash: &InfoHash) -> SeedingState {
        self.view.seeding(info_hash).state
    }

    /// All of a torrent, read in blocks that go over pieces as little as those of peers.
    fn read(&self, info_hash: &InfoHash) -> Option<Result<Vec<u8>, ContentError>> {
        let content = self.view.content(info_hash)?;
        let layout = content.layout();
        let mut all = Vec::new();
        for piece in 0..layout.count() {
            for begin in (0..layout.length_of(piece)).step_by(10_000) {
                let length = (layout.length_of(piece) - begin).min(10_000);
                let mut block = vec![0; length as usize];
                if let Err(error) = content.read(Block { piece, begin, length }, &mut block) {
                    return Some(Err(error));
                }
                all.extend(block);
            }
        }
        Some(Ok(all))
    }
}

#[test]
fn what_is_shared_is_seeded_until_the_operator_stops_it() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let film = running.until_shared();
    let version = running.view.content_version();
    assert_eq!(running.state(&film), SeedingState::Seeding);
    assert_eq!(running.read(&film), Some(Ok(self::film())));
    let [one, same] = [(); 2].map(|()| running.view.content(&film).unwrap());
    assert!(Arc::ptr_eq(&one, &same) && running.view.content_version() == version);
    let unknown = InfoHash::new([1; 20]);
    assert!(running.view.content(&unknown).is_none());
    assert_eq!(running.state(&unknown), SeedingState::NotShared);

    assert!(running.folder.stop_seeding(&film));
    assert_ne!(running.view.content_version(), version);
    assert!(running.view.content(&film).is_none());
    assert_eq!(running.state(&film), SeedingState::Stopped);
    drop(running);

    let running = place.start(&library);
    assert_eq!(running.until_shared(), film);
    assert_eq!(running.state(&film), SeedingState::Stopped);
    assert!(running.view.content(&film).is_none());
    running.folder.seed_again(&film);
    assert_eq!(running.read(&film), Some(Ok(self::film())));

    library.remove(&film).unwrap();
    assert!(running.view.content(&film).is_none());
    assert_eq!(running.state(&film), SeedingState::NotShared);
}

#[test]
fn nothing_of_a_changed_file_is_given() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let film = running.until_shared();
    let content = running.view.content(&film).unwrap();
    let block = Block { piece: 0, begin: 0, length: 16 };
    content.read(block, &mut [0; 16]).unwrap();
    let version = running.view.content_version();
    let mut other = self::film();
    other[0] ^= 1;
    // The clock of file systems ticks.
    running.until("it is another", || {
        fs::write(place.film(), &other).unwrap();
        content.read(block, &mut [0; 16]).is_err().then_some(())
    });
    assert_ne!(running.view.content_version(), version);
    assert!(running.view.content(&film).is_none());
    assert_eq!(running.state(&film), SeedingState::NotShared);
    let new = running.until("its new torrent", || Some(running.until_shared()).filter(|new| *new != film));
    assert_eq!(running.read(&new), Some(Ok(other)));

    fs::remove_file(place.film()).unwrap();
    running.until("it is gone", || running.view.content(&new).is_none().then_some(()));
}

#[test]
fn nothing_of_a_damaged_file_is_given_until_it_was_checked() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let first = running.until_shared();
    drop(running);
    // As if another byte had been in the middle of the file when it was hashed.
    let mut other = film();
    other[200_000] ^= 1;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("film.mkv"), &other).unwrap();
    let film = library.register(&torrent_of(&elsewhere.path().join("film.mkv"))).unwrap().info_hash;
    let saved = fs::read_to_string(place.state_file()).unwrap();
    fs::write(place.state_file(), saved.replace(&first.to_string(), &film.to_string())).unwrap();

    let running = place.start(&library);
    assert_eq!(running.until_shared(), film);
    assert_eq!(running.state(&film), SeedingState::Seeding, "nobody knows yet");
    let version = running.view.content_version();
    assert_eq!(running.read(&film), Some(Err(ContentError)));
    assert_ne!(running.view.content_version(), version);
    assert!(running.view.content(&film).is_none());
    assert_eq!(running.state(&film), SeedingState::Damaged);
    assert!(running.folder.check_again(&film));
    let bad = running.until("it was checked", || running.contents.damage(&film)?.bad_pieces);
    assert_eq!((bad, running.state(&film)), (1, SeedingState::Damaged));
}

#[test]
fn what_was_right_after_all_is_another_content() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let film = running.until_shared();
    let before = running.view.content(&film).unwrap();
    running.contents.report_damaged(running.contents.get(ContentKey::Swarm(film)).unwrap().id());
    assert_eq!(running.state(&film), SeedingState::Damaged);
    running.view.content_version();
    running.folder.check_again(&film);
    let after = running.until("it is right", || running.view.content(&film));
    assert!(!Arc::ptr_eq(&before, &after), "its pieces are checked anew");
    assert_eq!(running.read(&film), Some(Ok(self::film())));
}

#[test]
fn a_torrent_of_other_files_is_not_seeded() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let film = running.until_shared();
    let content = running.contents.get(ContentKey::Swarm(film)).unwrap();
    fs::write(place.0.path().join("notes.txt"), "notes").unwrap();
    let notes = running.library.register(&torrent_of(&place.0.path().join("notes.txt"))).unwrap();
    running.contents.hashed(content.id(), &[film, notes.info_hash]);
    assert!(running.view.content(&notes.info_hash).is_none());
    assert_eq!(running.state(&notes.info_hash), SeedingState::NotShared);
    // The same bytes in other pieces, of a .torrent that was made elsewhere.
    let elsewhere = running.library.register(&torrent_of(&place.film())).unwrap();
    running.contents.hashed(content.id(), &[film, elsewhere.info_hash]);
    assert_eq!(running.read(&elsewhere.info_hash), Some(Ok(self::film())));
}

#[test]
fn a_swarm_with_a_client_on_this_machine_is_left_to_it() {
    let (place, library) = (Place::new(), library());
    let running = place.start(&library);
    let film = running.until_shared();
    let announce = |host: &str, number: u8| {
        let [remote, local] = [host, host].map(|host| host.parse().unwrap());
        let request = AnnounceRequest::new(film, PeerId::new([number; 20]), remote, local, 6881).with_left(1);
        running.shards.announce(CoreInstant::ZERO, &mut rand::rng(), &request, &mut Peers::default()).unwrap();
    };
    announce("10.77.0.2", 1);
    assert_eq!(running.state(&film), SeedingState::LocalClient, "the machine's address is known by now");
    let with_own_address = || {
        let contents = Some(running.contents.clone());
        OwnPeerView::new(running.library.clone(), Arc::clone(&running.shards), contents, true)
    };
    assert_eq!(with_own_address().seeding(&film).state, SeedingState::Seeding);
    let off = OwnPeerView::new(running.library.clone(), Arc::clone(&running.shards), None, false);
    assert_eq!(off.seeding(&film).state, SeedingState::Off);
    assert!(off.content(&film).is_none());
}
