//! Computers, downloads and lessons against a tracker and a share folder.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use torrent_library::{Content, ContentKey, Contents, Library, LibraryConfig, Share};
use tracing_subscriber::layer::SubscriberExt;
use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, Memory, PeerId, Peers, Shards};
use tracker_host::{AnswerTimes, Clock, EventListener, Events};

use crate::observer::Watching;
use crate::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const THREE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

/// A tracker with a share folder.
struct Classroom {
    shards: Arc<Shards>,
    events: Events,
    listener: EventListener,
    watching: Watching,
    contents: Contents,
    computers: Computers,
    share: Share,
    folder: tempfile::TempDir,
    rng: StdRng,
    now: Instant,
}

impl Classroom {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ComputersConfig)) -> Self {
        Self::build(Memory::Full, change)
    }

    fn build(memory: Memory, change: impl FnOnce(&mut ComputersConfig)) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let config = Config::default().with(|config| {
            config.max_pending_events = 10_000;
            config.memory = memory;
        });
        let config = config.with(|c| {
            c.max_peers_per_swarm = 100_000;
        });
        let shards = Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut rng).unwrap());
        let library = Library::open(LibraryConfig::default()).unwrap();
        let contents = Contents::new();
        let config = ComputersConfig::new(Clock::fixed(Instant::ZERO), library).with(|config| {
            config.contents = contents.clone();
            change(config);
        });
        let computers = Computers::start(config).unwrap();
        let events = Events::without_thread(Arc::clone(&shards));
        let listener = events.listen(10_000);
        let watching = Watching::new(Arc::clone(&shards).into(), computers.clone());
        let folder = tempfile::tempdir().unwrap();
        let share = Share::open(folder.path().to_owned()).unwrap();
        Self { shards, events, listener, watching, contents, computers, share, folder, rng, now: Instant::ZERO }
    }

    /// Time passes, and the tracker is looked at.
    fn pass(&mut self, secs: u32) {
        self.now = Instant::from_secs(self.now.as_secs() + secs);
        self.look();
    }

    fn look(&mut self) {
        self.events.pump();
        self.watching.look(&self.listener, self.now);
    }

    fn announce(&mut self, ip: IpAddr, info_hash: InfoHash, left: u64, event: Option<AnnounceEvent>) {
        let mut peer_id = *b"-qB4520-123456789012";
        if let IpAddr::V4(v4) = ip {
            peer_id[16..].copy_from_slice(&v4.octets());
        }
        let peer_id = PeerId::new(peer_id);
        let request = AnnounceRequest::new(info_hash, peer_id, ip, local(ip), 6881).with_left(left).with_event(event);
        let request = request.with_downloaded(1_000_000 - left);
        self.shards.announce(self.now, &mut self.rng, &request, &mut Peers::default()).unwrap();
    }

    /// A file of this size in the share folder, which has no torrent yet.
    fn content(&self, name: &str, size: usize) -> Arc<Content> {
        fs::write(self.folder.path().join(name), vec![b'x'; size]).unwrap();
        let content = Arc::new(Content::list(&self.share, name).unwrap());
        self.contents.insert(Arc::clone(&content), &[]);
        content
    }

    /// A torrent of a file of this size, at most a piece, which is known.
    fn torrent(&self, name: &str, size: usize) -> InfoHash {
        let name = format!("{}:{name}", name.len());
        let torrent =
            format!("d4:infod6:lengthi{size}e4:name{name}12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
        self.computers.library().register(torrent.as_bytes()).unwrap().info_hash
    }

    fn begin(&self, remote: IpAddr, content: &Arc<Content>, part: TransferPart, len: u64) -> TransferHandle {
        let content = Arc::clone(content);
        self.computers.downloads().begin(Transfer { remote, content, part, len, way: Way::Browser })
    }

    /// Sends this part of a file in a browser.
    fn send(&self, remote: IpAddr, content: &Arc<Content>, start: u64, end: u64) {
        let part = TransferPart::File { index: 0, range: start..content.size() };
        self.begin(remote, content, part, content.size() - start).sent(end - start);
    }

    /// "2 of 3".
    fn has(&self, key: ContentKey) -> (u32, u32) {
        let FileProgress { has, of, .. } = self.computers.progress(key);
        (has, of)
    }
}

#[test]
fn a_client_has_it_when_it_says_so_also_after_it_has_left() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    room.pass(1);
    room.announce(ONE, film, 1000, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!(room.has(key), (0, 2));
    assert_eq!(room.computers.progress(key).average_of_others, Some(0.0));
    room.announce(ONE, film, 0, Some(AnnounceEvent::Completed));
    room.announce(TWO, film, 400, None);
    room.pass(1);
    assert_eq!(room.has(key), (1, 2));
    let FileProgress { average_of_others, missing, sources, downloading, stuck, .. } = room.computers.progress(key);
    assert_eq!((average_of_others, missing, sources, downloading, stuck), (Some(0.6), 1, 1, 1, 0));
    assert_eq!(room.computers.missing(key, 10), (vec!["10.0.0.2".into()], 1));
    room.announce(ONE, film, 0, Some(AnnounceEvent::Stopped));
    room.announce(TWO, film, 400, Some(AnnounceEvent::Stopped));
    room.pass(1);
    assert_eq!(room.has(key), (1, 2));
    let rows = room.computers.of_file(key);
    let status = |row: &CopyRow| (row.address, row.status, row.completion);
    assert_eq!(status(&rows[0]), (TWO, CopyStatus::Stopped, Some(0.6)));
    assert_eq!(status(&rows[1]), (ONE, CopyStatus::HasIt, Some(1.0)));
    assert_eq!(rows[1].finished, Some(Instant::from_secs(2)));
    // It comes back without.
    room.announce(ONE, film, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!(room.has(key), (0, 2));
}

#[test]
fn a_browser_has_it_when_the_last_missing_byte_was_sent() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let key = ContentKey::Id(film.id());
    assert_eq!(room.has(key), (0, 0));
    room.send(ONE, &film, 0, 600);
    assert_eq!(room.has(key), (0, 1));
    assert_eq!(room.computers.of_file(key)[0].status, CopyStatus::Stopped);
    assert_eq!(room.computers.of_file(key)[0].completion, Some(0.6));
    // A video player looks at the end.
    room.send(ONE, &film, 990, 1000);
    assert_eq!(room.has(key), (0, 1));
    room.pass(1);
    let resumed = room.begin(ONE, &film, TransferPart::File { index: 0, range: 600..1000 }, 400);
    assert_eq!(room.computers.of_file(key)[0].status, CopyStatus::Downloading);
    assert_eq!(room.computers.downloads().running(), 1);
    resumed.sent(389);
    room.pass(1);
    assert_eq!(room.has(key), (0, 1));
    let row = &room.computers.of_file(key)[0];
    assert!(row.rate.unwrap() > 0.0 && row.time_left.is_some(), "{row:?}");
    resumed.sent(1);
    room.pass(1);
    assert_eq!(room.has(key), (1, 1), "before it ends");
    drop(resumed);
    assert_eq!(room.computers.downloads().running(), 0);
    assert_eq!(room.computers.downloads().sent(key).browser, 600 + 10 + 390);
    assert_eq!(room.computers.of_file(key)[0].way, Some(Way::Browser));
}

#[test]
fn a_folder_comes_as_an_archive_or_file_by_file() {
    let room = Classroom::new();
    fs::create_dir(room.folder.path().join("course")).unwrap();
    for (name, len) in [("a", 10), ("b", 20), ("c", 30)] {
        fs::write(room.folder.path().join("course").join(name), vec![b'x'; len]).unwrap();
    }
    let course = Arc::new(Content::list(&room.share, "course").unwrap());
    room.contents.insert(Arc::clone(&course), &[]);
    let key = ContentKey::Id(course.id());
    room.begin(ONE, &course, TransferPart::Archive, 500).sent(499);
    assert_eq!(room.has(key), (0, 1), "an archive without its end is none");
    room.begin(ONE, &course, TransferPart::Archive, 500).sent(500);
    assert_eq!(room.has(key), (1, 1));

    room.begin(TWO, &course, TransferPart::ArchiveOf(vec![2, 0, 0]), 100).sent(100);
    assert_eq!(room.has(key), (1, 2));
    let of_two = |room: &Classroom| room.computers.own_copies(TWO).remove(0);
    let status_of_two = |room: &Classroom| of_two(room).status;
    assert_eq!((of_two(&room).completion, status_of_two(&room)), (Some(40.0 / 60.0), CopyStatus::HasSelection));
    let file = |range| TransferPart::File { index: 1, range };
    room.begin(TWO, &course, file(0..20), 20).sent(5);
    assert_eq!(status_of_two(&room), CopyStatus::Stopped, "it wanted this one, too");
    room.begin(TWO, &course, TransferPart::ArchiveOf(vec![0]), 100).sent(99);
    assert_eq!(status_of_two(&room), CopyStatus::HasSelection, "it had that before");
    room.begin(THREE, &course, TransferPart::ArchiveOf(vec![0, 1]), 100).sent(99);
    assert_eq!(room.computers.own_copies(THREE)[0].status, CopyStatus::Stopped);
    room.begin(THREE, &course, TransferPart::ArchiveOf(vec![0]), 50).sent(50);
    assert_eq!(room.computers.own_copies(THREE)[0].status, CopyStatus::HasSelection, "of what it asked for last");
    room.begin(TWO, &course, file(5..20), 15).sent(15);
    assert_eq!((room.has(key), status_of_two(&room)), ((2, 3), CopyStatus::HasIt));
}

#[test]
fn a_file_is_one_before_and_after_it_is_hashed() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    room.send(ONE, &film, 0, 1000);
    let running = room.begin(TWO, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    let info_hash = room.torrent("film.mp4", 1000);
    room.contents.hashed(film.id(), &[info_hash]);
    room.announce(THREE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.announce(ONE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    let (by_id, by_swarm) = (ContentKey::Id(film.id()), ContentKey::Swarm(info_hash));
    assert_eq!((room.has(by_id), room.has(by_swarm)), ((1, 3), (1, 3)), "a browser has it, whatever the client says");
    running.sent(1000);
    drop(running);
    assert_eq!((room.has(by_id), room.has(by_swarm)), ((2, 3), (2, 3)));
    assert_eq!(room.computers.own_copies(TWO)[0].key, by_swarm);
    // With a web seed nobody waits for a seeder.
    assert_eq!(room.computers.of_file(by_swarm)[0].status, CopyStatus::Downloading);
    room.contents.remove(film.id());
    room.pass(1);
    assert_eq!(
        room.computers.of_file(by_swarm)[0].status,
        CopyStatus::Stuck(PeerStuckReason::NoSeeder),
        "it is gone, and nobody else has it"
    );
}

#[test]
fn the_computers_of_the_names_file_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,lab-01\n10.0.0.2,lab-02\n10.0.0.7,lab-07\n").unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    for ip in [ONE, THREE] {
        room.announce(ip, film, 1000, Some(AnnounceEvent::Started));
        room.announce(ip, film, 0, Some(AnnounceEvent::Completed));
    }
    room.pass(1);
    assert_eq!(room.has(key), (1, 3));
    assert_eq!(room.computers.missing(key, 1), (vec!["lab-02".into()], 2));
    let rows = room.computers.of_file(key);
    let counts: Vec<_> = rows.iter().map(|row| (row.address.to_string(), row.counts)).collect();
    assert_eq!(
        counts,
        [("10.0.0.2", true), ("10.0.0.7", true), ("10.0.0.1", true), ("10.0.0.3", false)]
            .map(|(address, counts)| (address.to_owned(), counts))
    );
    let all = room.computers.all();
    assert_eq!(all.len(), 4);
    assert_eq!(
        (all[0].has, &*all[0].has_names[0], all[0].client.as_deref()),
        (1, "film.mp4", Some("qBittorrent 4.5.2"))
    );
    assert_eq!((all[1].first_seen, all[1].name.as_ref().unwrap().source), (None, NameSource::File));
}

#[test]
fn this_machine_does_not_count() {
    let mut room = Classroom::new();
    room.computers.set_network(&[TWO], None);
    let film = room.content("film.mp4", 1000);
    let key = ContentKey::Id(film.id());
    for ip in [ONE, TWO, [127, 0, 0, 1].into(), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)] {
        room.send(ip, &film, 0, 1000);
    }
    assert_eq!(room.has(key), (1, 1));
    assert_eq!(room.computers.downloads().sent(key).browser, 1000);
    assert_eq!((room.computers.all().len(), room.computers.of_file(key).len()), (1, 1));
    assert_eq!(room.computers.own_copies(TWO)[0].status, CopyStatus::HasIt, "but it may look at itself");
    room.pass(1);
}

#[test]
fn a_lesson_begins_with_those_who_are_there() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    let notes = room.content("notes.pdf", 100);
    room.send(THREE, &notes, 0, 100);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 500, Some(AnnounceEvent::Started));
    room.pass(1);
    let running = room.begin(TWO, &notes, TransferPart::File { index: 0, range: 0..100 }, 100);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((1, 3), (1, 3)));
    assert_eq!(room.computers.lessons().begin(), 2);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((1, 2), (0, 2)));
    running.sent(100);
    drop(running);
    room.announce(TWO, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!((room.has(key), room.has(ContentKey::Id(notes.id()))), ((2, 2), (1, 2)));
    assert_eq!(room.computers.downloads().sent(ContentKey::Id(notes.id())).browser, 100);
}

#[test]
fn people_read_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,lab-01\n10.0.0.2,lab-02\n10.0.0.3,lab-03\n").unwrap();
    let room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.content("film.mp4", 1000);
    // Other tests log the same meanwhile. A place in the code that is first met while the subscriber is made may miss it.
    room.send(TWO, &room.content("notes.pdf", 10), 0, 10);
    let buffer = LogBuffer::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(buffer.layer()), || {
        room.send(ONE, &film, 0, 400);
        room.send(ONE, &film, 400, 1000);
        room.send(ONE, &film, 0, 1000);
    });
    let lines = buffer.entries(&LogFilter::default(), 0, 10);
    let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(messages, ["lab-01 began film.mp4 in a browser", "lab-01 has finished film.mp4 in a browser (1 of 3)"]);
    assert_eq!(lines[1].fields[0], ("event", "browser_completed".to_owned()));
    assert_eq!(lines[1].address.as_deref(), Some("10.0.0.1"));
}

#[test]
fn a_report_says_who_got_what_and_how() {
    let mut room = Classroom::new();
    room.computers.set_network(&[[10, 0, 0, 9].into()], Some(8_000));
    let (film, notes) = (room.content("film.mp4", 10_000), room.content("notes.pdf", 100));
    let info_hash = room.torrent("film.mp4", 10_000);
    room.contents.hashed(film.id(), &[info_hash]);
    let zero = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    room.pass(10);
    room.announce(ONE, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.send([10, 0, 0, 9].into(), &film, 0, 10_000);
    room.send(TWO, &notes, 0, 40);
    room.pass(1);
    let fetched = Transfer {
        remote: ONE,
        content: Arc::clone(&film),
        part: TransferPart::File { index: 0, range: 0..10_000 },
        len: 10_000,
        way: Way::WebSeed,
    };
    let fetched = room.computers.downloads().begin(fetched);
    fetched.sent(4000);
    room.pass(2);
    fetched.sent(6000);
    drop(fetched);
    room.pass(17);
    room.announce(ONE, info_hash, 0, Some(AnnounceEvent::Completed));
    room.send(TWO, &film, 0, 10_000);
    room.announce(THREE, info_hash, 0, Some(AnnounceEvent::Started));
    room.pass(1);

    let report = room.computers.lessons().report(1, zero).unwrap();
    assert_eq!((report.number, report.started, report.ended, report.secs), (1, 1_000_000, None, 31));
    assert_eq!((report.computers, report.is_complete, report.link_speed), (3, true, Some(8_000)));
    let of_film = report.files.iter().find(|file| &*file.name == "film.mp4").unwrap();
    assert_eq!((of_film.progress.has, of_film.progress.of), (3, 3));
    assert_eq!((of_film.sent.web_seed, of_film.sent.browser, of_film.copies_sent), (10_000, 10_000, Some(2.0)));
    assert_eq!((of_film.spread_secs, of_film.link_secs, of_film.multiple), (Some(20), Some(10.0), Some(2.0)));
    assert_eq!((of_film.multiple_at_most, report.answers), (Some(2.1), None));
    let copy = |address| of_film.copies.iter().find(|copy| copy.address == address).unwrap();
    let one = copy(ONE);
    assert_eq!(
        (one.came, one.setup_secs, one.finished, one.took_secs),
        (1_000_010, Some(3), Some(1_000_030), Some(20))
    );
    assert_eq!((one.mean_rate, one.completion, one.check), (Some(500.0), Some(1.0), CopyCheck::Pieces));
    assert_eq!((&*one.ways, one.client.as_deref()), (&[CopyWay::WebSeed][..], Some("qBittorrent 4.5.2")));
    assert_eq!(one.peak_rate, Some(2000.0), "4000 bytes in two seconds");
    let two = copy(TWO);
    assert_eq!((&*two.ways, two.check, two.took_secs), (&[CopyWay::Browser][..], CopyCheck::Digest, Some(0)));
    let three = copy(THREE);
    assert!(three.came_complete && three.ways.is_empty() && three.took_secs.is_none(), "{three:?}");
    let of_notes = report.files.iter().find(|file| &*file.name == "notes.pdf").unwrap();
    assert_eq!((of_notes.copies.len(), of_notes.copies[0].completion), (1, Some(0.4)));
    assert_eq!((of_notes.copies[0].check, of_notes.spread_secs), (CopyCheck::Incomplete, None));
    assert!(!report.plot.is_empty() && of_film.plot.last().unwrap().has == 3, "{report:?}");

    room.pass(9);
    assert_eq!(room.computers.lessons().begin(), 2);
    room.pass(60);
    let lessons = room.computers.lessons();
    let numbers: Vec<_> = lessons.list(zero).iter().map(|lesson| (lesson.number, lesson.ended)).collect();
    assert_eq!(numbers, [(2, None), (1, Some(1_000_040))]);
    let past = lessons.report(1, zero).unwrap();
    assert_eq!((past.ended, past.secs, past.files.len()), (Some(1_000_040), 40, 2));
    assert_eq!(lessons.report(2, zero).unwrap().files[0].copies.len(), 2, "those who are there");
    assert!(lessons.report(3, zero).is_none() && lessons.report(0, zero).is_none());
}

/// The clock has whole seconds: what took 2 s by it may have taken almost 3.
#[test]
fn how_fast_a_short_download_was_is_known_within_limits() {
    let mut room = Classroom::new();
    room.computers.set_network(&[], Some(8_000));
    let notes = room.content("notes.pdf", 1000);
    let of_notes = |room: &Classroom| {
        let report = room.computers.lessons().report(1, std::time::SystemTime::UNIX_EPOCH).unwrap();
        let file = &report.files[0];
        (file.spread_secs, file.link_secs, file.multiple, file.multiple_at_most)
    };
    room.send(ONE, &notes, 0, 400);
    room.pass(1);
    assert_eq!(of_notes(&room), (None, Some(1.0), None, None));
    room.pass(1);
    room.send(ONE, &notes, 400, 1000);
    assert_eq!(of_notes(&room), (Some(2), Some(1.0), None, Some(3.0)));
    room.pass(1);
    room.send(TWO, &notes, 0, 1000);
    assert_eq!(of_notes(&room), (Some(3), Some(1.0), Some(3.0), Some(4.0)));
}

/// Its client gets nothing, so somebody downloads it in a browser there.
#[test]
fn what_came_in_a_browser_did_not_come_from_others() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 10_000);
    let info_hash = room.torrent("film.mp4", 10_000);
    room.contents.hashed(film.id(), &[info_hash]);
    room.announce(ONE, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.announce(TWO, info_hash, 10_000, Some(AnnounceEvent::Started));
    room.pass(1);
    room.send(ONE, &film, 0, 10_000);
    room.pass(60);
    room.announce(TWO, info_hash, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    let report = room.computers.lessons().report(1, std::time::SystemTime::UNIX_EPOCH).unwrap();
    let ways = |address| &*report.files[0].copies.iter().find(|copy| copy.address == address).unwrap().ways;
    assert_eq!((ways(ONE), ways(TWO)), (&[CopyWay::Browser][..], &[CopyWay::BitTorrent][..]));
}

#[test]
fn a_report_has_the_answers_of_its_lesson() {
    let times = [AnswerTimes::new(), AnswerTimes::new()];
    times[0].record(100, std::time::Duration::from_millis(9));
    let room = Classroom::with(|config| config.answer_times = times.to_vec());
    let lessons = room.computers.lessons();
    let answers = |number| lessons.report(number, std::time::SystemTime::UNIX_EPOCH).unwrap().answers;
    assert_eq!(answers(1), None, "those were before");
    times[0].record(98, std::time::Duration::from_micros(20));
    times[1].record(2, std::time::Duration::from_millis(3));
    lessons.begin();
    times[1].record(1, std::time::Duration::from_secs(1));
    let first = answers(1).unwrap();
    assert_eq!(first.requests, 100);
    assert!((0.02..=0.0225).contains(&first.median_ms) && (3.0..=3.375).contains(&first.p99_ms), "{first:?}");
    assert_eq!(answers(2).unwrap().requests, 1);
}

#[test]
fn lessons_are_forgotten_when_there_are_many() {
    let room = Classroom::new();
    let lessons = room.computers.lessons();
    (0..Lessons::MAX_PAST + 5).for_each(|_| _ = lessons.begin());
    let list = lessons.list(std::time::SystemTime::UNIX_EPOCH);
    assert_eq!((list.len(), list[0].number, list[Lessons::MAX_PAST].number), (Lessons::MAX_PAST + 1, 106, 6));
}

#[test]
fn a_client_that_announces_over_both_families_is_one_computer() {
    let v6 = |last: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
    for order in [[ONE, v6(1)], [v6(1), ONE]] {
        let mut room = Classroom::new();
        let film = room.torrent("film.mp4", 1000);
        let key = ContentKey::Swarm(film);
        let notes = room.content("notes.pdf", 100);
        room.send(v6(1), &notes, 0, 60);
        room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
        for address in order {
            let peer_id = PeerId::new(*b"-qB4520-of-computer1");
            let request = AnnounceRequest::new(film, peer_id, address, local(address), 6881).with_left(Some(1000));
            room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
        }
        room.pass(1);
        assert_eq!(room.has(key), (0, 2), "{order:?}");
        room.send(v6(1), &notes, 60, 100);
        assert_eq!(room.has(ContentKey::Id(notes.id())), (1, 2));
        assert_eq!(room.computers.missing(ContentKey::Id(notes.id()), 9).0, ["10.0.0.2".into()]);
        assert_eq!(room.computers.own_copies(v6(1)).len(), 2);
        assert_eq!(room.computers.all().len(), 2);
        room.computers.lessons().begin();
        room.pass(1);
        assert_eq!(room.has(key), (0, 2));
    }
}

#[test]
fn what_is_sent_between_two_ticks_is_in_the_rates() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 100_000);
    let key = ContentKey::Id(film.id());
    room.pass(1);
    let part = |start: u64| TransferPart::File { index: 0, range: start..start + 1000 };
    for second in 0..2 {
        for number in 0..10 {
            room.begin(ONE, &film, part(10_000 * second + 1000 * number), 1000).sent(1000);
        }
        room.pass(1);
        assert_eq!(room.computers.of_file(key)[0].rate, Some(10_000.0), "from the first second on");
    }
    // A tick that comes late.
    room.begin(ONE, &film, TransferPart::File { index: 0, range: 20_000..100_000 }, 80_000).sent(80_000);
    room.pass(4);
    let report = room.computers.lessons().report(1, std::time::SystemTime::UNIX_EPOCH).unwrap();
    let copy = &report.files[0].copies[0];
    assert_eq!((copy.finished, copy.peak_rate), (Some(3), Some(100_000.0 / 2.0)), "at least the average: {copy:?}");
    assert_eq!(report.plot.last().unwrap().sent_rate, 20_000.0);
}

#[test]
fn a_browser_that_takes_nothing_is_stuck_until_it_is_cut_off() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let status = |room: &Classroom| room.computers.of_file(ContentKey::Id(film.id()))[0].status;
    let download = room.begin(ONE, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    download.sent(300);
    room.pass(1);
    room.pass(14);
    assert_eq!(status(&room), CopyStatus::Downloading);
    room.pass(1);
    assert_eq!(status(&room), CopyStatus::Stuck(PeerStuckReason::Browser));
    drop(download);
    assert_eq!(status(&room), CopyStatus::Stopped);
}

#[test]
fn the_time_left_goes_by_between_two_announces() {
    let mut room = Classroom::new();
    let film = room.torrent("film.mp4", 10_000);
    room.announce(THREE, film, 0, Some(AnnounceEvent::Started));
    room.announce(ONE, film, 10_000, Some(AnnounceEvent::Started));
    room.pass(100);
    room.announce(ONE, film, 6_000, None);
    room.pass(0);
    let own = |room: &Classroom| {
        let own = room.computers.own_copies(ONE).remove(0);
        (own.completion, own.age.as_secs(), own.time_left.map(|left| left.as_secs()))
    };
    room.pass(1);
    assert_eq!(own(&room), (Some(0.4), 1, Some(149)));
    room.pass(100);
    assert_eq!(own(&room), (Some(0.4), 101, Some(49)));
    room.pass(60);
    assert_eq!(own(&room), (Some(0.4), 161, None), "it should be complete by now");
}

#[test]
fn two_clients_at_one_address_are_one_computer_in_whatever_order_they_are_seen() {
    for ports in [[6881, 6882], [6882, 6881]] {
        let mut room = Classroom::new();
        let film = room.torrent("film.mp4", 1000);
        let key = ContentKey::Swarm(film);
        let announce = |room: &mut Classroom, client: usize, left: u64, event| {
            let peer_id = PeerId::new(if client == 0 { *b"-qB4520-of-a-seeder1" } else { *b"-qB4520-of-a-leecher" });
            let request = AnnounceRequest::new(film, peer_id, ONE, local(ONE), ports[client]);
            let request = request.with_left(left).with_event(event);
            room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
        };
        announce(&mut room, 0, 1000, Some(AnnounceEvent::Started));
        room.pass(10);
        announce(&mut room, 0, 0, Some(AnnounceEvent::Completed));
        room.pass(1);
        announce(&mut room, 1, 1000, Some(AnnounceEvent::Started));
        let finished = |room: &Classroom| room.computers.of_file(key)[0].finished;
        for _ in 0..5 {
            room.pass(30);
            assert_eq!((room.has(key), finished(&room)), ((1, 1), Some(Instant::from_secs(10))), "{ports:?}");
            announce(&mut room, 0, 0, None);
            announce(&mut room, 1, 900, None);
        }
        announce(&mut room, 1, 900, Some(AnnounceEvent::Stopped));
        room.pass(1);
        assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 1), "the seeder is still there");
        announce(&mut room, 0, 0, Some(AnnounceEvent::Stopped));
        announce(&mut room, 1, 900, Some(AnnounceEvent::Started));
        room.pass(1);
        assert_eq!(room.has(key), (0, 1));
    }
}

#[test]
fn who_has_it_from_a_browser_is_no_source() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let info_hash = room.torrent("film.mp4", 1000);
    room.contents.hashed(film.id(), &[info_hash]);
    let key = ContentKey::Swarm(info_hash);
    room.send(ONE, &film, 0, 1000);
    room.announce(ONE, info_hash, 1000, Some(AnnounceEvent::Started));
    room.pass(1);
    assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 0));
    room.announce(ONE, info_hash, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!(room.computers.progress(key).sources, 1);
    room.pass(600);
    room.look();
    assert_eq!((room.has(key), room.computers.progress(key).sources), ((1, 1), 0), "it has stopped announcing");
}

#[test]
fn a_download_over_a_new_lesson_counts_what_came_in_it() {
    let mut room = Classroom::new();
    let film = room.content("film.mp4", 1000);
    let download = room.begin(ONE, &film, TransferPart::File { index: 0, range: 0..1000 }, 1000);
    download.sent(900);
    room.pass(10);
    room.computers.lessons().begin();
    room.pass(2);
    download.sent(100);
    room.pass(2);
    let report = room.computers.lessons().report(2, std::time::SystemTime::UNIX_EPOCH).unwrap();
    let copy = &report.files[0].copies[0];
    assert_eq!((copy.came, copy.finished, copy.came_complete), (10, Some(14), false));
    assert_eq!((copy.mean_rate, report.files[0].sent.browser), (Some(25.0), 100));
}

#[test]
fn a_lesson_that_has_ended_keeps_its_names_and_its_network() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "10.0.0.1,anna\n10.0.0.2,ben\n").unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names.clone()));
    room.computers.set_network(&[], Some(1000));
    let film = room.content("film.mp4", 1000);
    room.send(ONE, &film, 0, 1000);
    room.send(THREE, &film, 0, 1000);
    room.computers.set_name(THREE, "the guest").unwrap();
    room.pass(1);
    let lessons = room.computers.lessons();
    let zero = std::time::SystemTime::UNIX_EPOCH;
    let before = lessons.report(1, zero).unwrap();
    lessons.begin();
    room.computers.set_network(&[ONE], Some(5));
    room.computers.set_name(THREE, "").unwrap();
    fs::write(&names, "10.0.0.1,xaver\n10.0.0.2,yusuf\n10.0.0.3,zoe\n").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while &*room.computers.name_or_address(ONE) != "xaver" {
        assert!(std::time::Instant::now() < deadline, "the file is read again");
        std::thread::yield_now();
    }
    let after = lessons.report(1, zero).unwrap();
    let name = |address| after.files[0].copies.iter().find(|copy| copy.address == address).unwrap().name.clone();
    assert_eq!((name(ONE).as_deref(), name(THREE).as_deref()), (Some("anna"), Some("the guest")));
    assert_eq!((after.computers, after.link_speed, &after.files), (2, Some(1000), &before.files));
}

#[test]
fn the_names_file_may_have_either_address_of_a_computer() {
    let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]);
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, format!("{v6},lab-01\n{TWO},lab-02\n")).unwrap();
    let mut room = Classroom::with(|config| config.names_file = Some(names));
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    for address in [v6, ONE] {
        let peer_id = PeerId::new(*b"-qB4520-of-computer1");
        let request = AnnounceRequest::new(film, peer_id, address, local(address), 6881).with_left(Some(0));
        room.shards.announce(room.now, &mut room.rng, &request, &mut Peers::default()).unwrap();
    }
    room.pass(1);
    assert_eq!((room.has(key), room.computers.missing(key, 9).0), ((1, 2), vec!["lab-02".into()]));
    let rows = room.computers.of_file(key);
    let rows: Vec<_> = rows.iter().map(|row| (row.address, row.counts, &*row.name.as_ref().unwrap().name)).collect();
    assert_eq!(rows, [(TWO, true, "lab-02"), (ONE, true, "lab-01")]);
}

/// An address of this machine of the same family.
fn local(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [10, 255, 0, 1].into() } else { [0xfd00, 0, 0, 0, 0, 0, 0, 0xffff].into() }
}

#[test]
fn a_lean_tracker_knows_who_has_it_and_accuses_nobody() {
    let mut room = Classroom::build(Memory::Lean, |_| {});
    let film = room.torrent("film.mp4", 1000);
    let key = ContentKey::Swarm(film);
    room.announce(ONE, film, 0, Some(AnnounceEvent::Started));
    room.announce(TWO, film, 1000, Some(AnnounceEvent::Started));
    let status = |room: &Classroom| room.computers.of_file(key)[0].status;
    room.events.pump();
    // By the log, before a sweep.
    room.watching.take_events(&room.listener);
    assert_eq!(status(&room), CopyStatus::Downloading);
    for _ in 0..5 {
        room.pass(1);
        assert_eq!((room.has(key), status(&room)), ((1, 2), CopyStatus::Downloading));
    }
    room.announce(ONE, film, 0, Some(AnnounceEvent::Stopped));
    room.pass(1);
    assert_eq!((room.has(key), status(&room)), ((1, 2), CopyStatus::Stuck(PeerStuckReason::NoSeeder)));
    room.announce(TWO, film, 0, Some(AnnounceEvent::Completed));
    room.pass(1);
    assert_eq!(room.has(key), (2, 2));
}
