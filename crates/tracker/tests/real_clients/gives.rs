//! The tracker gives what is in its share folder by BitTorrent: nobody else has it, and no web seed is told of.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use metainfo::Metainfo;
use serde_json::{Value, json};

use super::{
    Aria2, Client, Content, Deluge, Generation, Lan, Libtorrent, MB, PROGRAMS, QBittorrent, RTorrent, Start, Torrent,
    Tracker, Transmission, WebTorrent, beside, web_seed,
};
use crate::support::client::{finish_download, seed, wait_until_complete, wait_until_underway};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::wait::wait_for;

/// Longest time until the tracker has noticed that something in its share folder changed, and has hashed it anew.
const NOTICED: Duration = Duration::from_secs(60);

/// What is shared, and whether its torrent is private: two files and two folders, each with names that clients may get wrong.
const SHARED: [(&str, Privacy); 4] = [
    (web_seed::FILE, Privacy::Public),
    (web_seed::FOLDER, Privacy::Private),
    ("Prüfung #2 & Lösung (geheim).bin", Privacy::Private),
    ("日本語 – Ordner", Privacy::Public),
];

/// The indices of [`SHARED`].
const FILE: usize = 0;
const PRIVATE_FOLDER: usize = 1;
const PRIVATE_FILE: usize = 2;
const FOLDER: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Public,
    Private,
}

/// The protocol of the announce URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Udp,
}

/// A client that downloads, what its host is called, and the port that is closed there.
struct Case {
    name: &'static str,
    start: Start,
    shared: usize,
    scheme: Scheme,
    closed: Option<u16>,
}

impl Case {
    const fn new(name: &'static str, start: Start, shared: usize, scheme: Scheme) -> Self {
        Self { name, start, shared, scheme, closed: None }
    }

    const fn behind_a_firewall(self, port: u16) -> Self {
        Self { closed: Some(port), ..self }
    }
}

/// Each client gets a file and a folder, one over HTTP and one over UDP, one of them private; and one with encrypted connections only,
/// except WebTorrent, which cannot require that, and libtorrent itself, with whose code qBittorrent and Deluge do. Two have a port to
/// which nobody can connect.
fn cases() -> [Case; 16] {
    use Scheme::{Http, Udp};

    [
        Case::new("qbittorrent-1", |host| Box::new(QBittorrent::start(host)), FILE, Http),
        Case::new("qbittorrent-2", |host| Box::new(QBittorrent::start_encrypted(host)), PRIVATE_FOLDER, Udp),
        Case::new("transmission-1", |host| Box::new(Transmission::start_encrypted(host)), PRIVATE_FILE, Udp),
        Case::new("transmission-2", |host| Box::new(Transmission::start(host)), FOLDER, Http),
        Case::new("aria2-1", |host| Box::new(Aria2::start_encrypted_with_udp(host)), FILE, Udp),
        Case::new("aria2-2", |host| Box::new(Aria2::start(host)), PRIVATE_FOLDER, Http),
        Case::new("rtorrent-1", |host| Box::new(RTorrent::start(host)), PRIVATE_FILE, Http),
        Case::new("rtorrent-2", |host| Box::new(RTorrent::start_encrypted(host)), FOLDER, Udp),
        Case::new("deluge-1", |host| Box::new(Deluge::start(host)), FILE, Udp),
        Case::new("deluge-2", |host| Box::new(Deluge::start_encrypted(host)), PRIVATE_FOLDER, Http),
        Case::new("webtorrent-1", |host| Box::new(WebTorrent::start(host)), PRIVATE_FILE, Udp),
        Case::new("webtorrent-2", |host| Box::new(WebTorrent::start(host)), FOLDER, Http),
        Case::new("libtorrent-1", |host| Box::new(Libtorrent::start(host)), PRIVATE_FILE, Http),
        Case::new("libtorrent-2", |host| Box::new(Libtorrent::start(host)), FOLDER, Udp),
        Case::new("closed-1", |host| Box::new(QBittorrent::start(host)), FILE, Http)
            .behind_a_firewall(QBittorrent::PORT),
        Case::new("closed-2", |host| Box::new(RTorrent::start(host)), FILE, Http).behind_a_firewall(RTorrent::PORT),
    ]
}

/// All of them at the same time, each on a host that reaches the tracker's and no other.
pub(super) fn each_client_gets_all_from_the_tracker_alone(generation: Generation) {
    let lan = Lan::new("gives", &PROGRAMS);
    let machine = lan.host("tracker");
    let share = machine.make_folder("share");
    let contents = SHARED.map(|(name, _)| {
        let is_folder = name == SHARED[FOLDER].0 || name == SHARED[PRIVATE_FOLDER].0;
        Content::write_files(&share.join(name), if is_folder { &web_seed::FILES } else { &[("", 4 * MB)] })
    });
    let tracker = Tracker::start_with(&machine, &["--share-by-hand", path_of(&share)]);
    let info_hashes = SHARED.map(|(name, privacy)| make_torrent(&tracker, name, privacy));

    let cases = cases().map(|case| {
        let host = lan.host(case.name).with(generation);
        lan.keep_apart(&host);
        case.closed.into_iter().for_each(|port| host.block(port));
        (case, host)
    });
    let times: Vec<_> = thread::scope(|scope| {
        let (tracker, contents, info_hashes) = (&tracker, &contents, &info_hashes);
        let downloads = cases.map(|(case, host)| {
            let work = move || {
                let url = match case.scheme {
                    Scheme::Http => tracker.announce_url(),
                    Scheme::Udp => tracker.udp_url(),
                };
                let content = &contents[case.shared];
                let torrent = torrent_without_web_seed(&host, tracker, content, &info_hashes[case.shared], &url);
                let mut client = (case.start)(&host);
                let added = Instant::now();
                client.add(&torrent).expect("a client takes our torrent");
                wait_until_complete(&mut *client, &torrent, added)
            };
            (case.name, scope.spawn(work))
        });
        downloads.map(|(name, download)| (name, download.join().unwrap_or_else(|_| panic!("{name}: no copy")))).into()
    });
    for (name, (first_byte, complete)) in times {
        let [first_byte, complete] = [first_byte, complete].map(|time| time.as_secs_f64());
        println!("{generation}: {name:<15} first byte {first_byte:>5.1} s, complete {complete:>5.1} s");
    }
    for (index, (content, info_hash)) in contents.iter().zip(&info_hashes).enumerate() {
        let copies = self::cases().iter().filter(|case| case.shared == index).count() as u64;
        let given = given(&tracker, info_hash);
        assert!(given >= copies * content.length(), "{given} bytes of {} for {copies}", content.name());
    }
}

/// A file that is changed, one that is removed, and one of which a byte changes without a trace, while a client downloads each. They
/// get nothing that fails their check, the tracker says what is the case, and when the files are right again, all complete.
pub(super) fn nobody_gets_a_wrong_byte(generation: Generation) {
    /// Bytes per second of all downloads together: they last longer than it takes to change a file.
    const SLOW: &str = "--upload-limit=1M";
    const LENGTH: u64 = 6 * MB;

    let lan = Lan::new("wrong", &PROGRAMS);
    let machine = lan.host("tracker");
    // In memory: what is written to a mapped file leaves no trace there.
    let place =
        tempfile::Builder::new().prefix("tracker-test-").tempdir_in("/dev/shm").expect("there is room in memory");
    let share = place.path();
    let names = ["changed.bin", "removed.bin", "damaged.bin"];
    let contents = names.map(|name| Content::write_files(&share.join(name), &[("", LENGTH)]));
    let mut last_byte = LastByte::map(&share.join("damaged.bin"));
    let tracker = Tracker::start_with(&machine, &[path_of(share), SLOW]);
    let torrents = contents.each_ref().map(|content| {
        let info_hash = tracker.wait_until_hashed(content.name());
        torrent_without_web_seed(&machine, &tracker, content, &info_hash, &tracker.announce_url())
    });
    let [changed, removed, damaged] = &torrents;
    last_byte.flip();

    // Of those that tell what they could not use, the ones that begin at once.
    let mut of_changed = QBittorrent::start(&lan.host("qbittorrent").with(generation));
    let mut of_removed = Libtorrent::start(&lan.host("libtorrent-1"));
    let mut of_damaged = Libtorrent::start(&lan.host("libtorrent-2"));
    let added = Instant::now();
    of_changed.add(changed).expect("a client takes our torrent");
    of_removed.add(removed).expect("a client takes our torrent");
    of_damaged.add(damaged).expect("a client takes our torrent");
    wait_until_underway(&mut of_changed, changed);
    wait_until_underway(&mut of_removed, removed);

    let original = fs::read(share.join(names[0])).expect("a file can be read");
    overwrite(&share.join(names[0]), LENGTH / 2, &vec![0x55; original.len() / 2]);
    let elsewhere = lan.make_folder("elsewhere").join(names[1]);
    fs::copy(share.join(names[1]), &elsewhere).expect("a file can be copied");
    fs::remove_file(share.join(names[1])).expect("a file can be removed");
    wait_for_log(&machine, "changed.bin has changed since it was shared");
    wait_for_log(&machine, "removed.bin is gone, and is no longer shared");
    wait_for_state(&tracker, damaged, "damaged");
    let clients: [(&mut dyn Client, &Torrent); 3] =
        [(&mut of_changed, changed), (&mut of_removed, removed), (&mut of_damaged, damaged)];
    for (client, torrent) in clients {
        let status = client.status().expect("a client tells its status");
        assert!(!status.seeds && status.bytes < torrent.length(), "{}: {status:?}", client.name());
    }

    fs::write(share.join(names[0]), original).expect("a file can be written");
    fs::copy(&elsewhere, share.join(names[1])).expect("a file can be copied");
    last_byte.flip();
    check_again(&tracker, damaged);
    finish_download(&mut of_changed, changed, added);
    finish_download(&mut of_removed, removed, added);
    finish_download(&mut of_damaged, damaged, added);
    let wasted = [of_changed.wasted(), of_removed.wasted(), of_damaged.wasted()];
    let wasted = wasted.map(|bytes| bytes.expect("a client tells what it could not use"));
    assert_eq!(wasted, [0; 3], "bytes that the clients could not use");
}

/// A client on the tracker's machine that has the file gives it as fast as without the own peer, which leaves the swarm to it.
pub(super) fn a_client_beside_the_tracker_gives_in_its_place(generation: Generation) {
    beside(generation, &beside::LEECHERS[..1]);
}

/// The same with each client that downloads.
pub(super) fn a_client_beside_the_tracker_gives_in_its_place_to_each(generation: Generation) {
    beside(generation, &beside::LEECHERS);
}

fn beside(generation: Generation, leechers: &[(&str, Start)]) {
    for &(name, start) in leechers {
        let [without, with] = ["--seed=false", "--seed"].map(|seed| {
            let lan = Lan::new("in-its-place", &PROGRAMS);
            let machine = lan.host("tracker").with(generation);
            let share = machine.make_folder("share");
            let content = Content::write(&share, 8 * MB);
            let tracker = Tracker::start_with(&machine, &[path_of(&share), seed]);
            let info_hash = tracker.wait_until_hashed(content.name());
            let torrent = torrent_without_web_seed(&machine, &tracker, &content, &info_hash, &tracker.announce_url());
            let mut seeder = QBittorrent::start_with_pex(&machine);
            content.copy_to(seeder.folder());
            seed_beside(&mut seeder, &torrent, &tracker, seed);

            let mut leecher = start(&lan.host("leecher").with(generation));
            let added = Instant::now();
            leecher.add(&torrent).expect("a client takes our torrent");
            let (_, complete) = wait_until_complete(&mut *leecher, &torrent, added);
            assert_eq!(given(&tracker, &info_hash), 0, "{name}: the tracker gave something itself");
            complete
        });
        let [without, with] = [without, with].map(|time| time.as_secs_f64());
        println!(
            "{generation}: {name} has 8 MB of a client beside the tracker after {with:.1} s, {without:.1} s without"
        );
        assert!(
            with <= without * f64::from(beside::TIMES) + beside::TIMERS.as_secs_f64(),
            "{name}: {with} s, {without} s"
        );
    }
}

/// Has a client on the tracker's machine seed, and waits until the tracker leaves the swarm to it.
fn seed_beside(seeder: &mut dyn Client, torrent: &Torrent, tracker: &Tracker, option: &str) {
    seed(seeder, torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);
    if option == "--seed" {
        wait_for_state(tracker, torrent, "local_client");
    }
}

/// The tracker is killed while a client downloads. Started again, it gives the rest.
pub(super) fn a_tracker_that_was_killed_gives_again(generation: Generation) {
    let lan = Lan::new("killed", &PROGRAMS);
    let machine = lan.host("tracker");
    let (share, data) = (machine.make_folder("share"), machine.make_folder("data"));
    let content = Content::write(&share, 16 * MB);
    let start = |limit| Tracker::start_with_data(&machine, &[path_of(&share), limit], path_of(&data));
    let tracker = start("--upload-limit=1M");
    let info_hash = tracker.wait_until_hashed(content.name());
    let torrent = torrent_without_web_seed(&machine, &tracker, &content, &info_hash, &tracker.announce_url());
    let mut leecher = QBittorrent::start(&lan.host("leecher").with(generation));
    let added = Instant::now();
    leecher.add(&torrent).expect("a client takes our torrent");
    wait_until_underway(&mut leecher, &torrent);
    tracker.kill();

    let restarted = Instant::now();
    let tracker = start("--upload-limit=1G");
    wait_for_state(&tracker, &torrent, "seeding");
    let seeds = restarted.elapsed();
    let status = leecher.status().expect("a client tells its status");
    assert!(status.bytes < torrent.length(), "it was to be in the middle: {status:?}");
    // It would announce within five minutes; its user does not wait.
    leecher.reannounce().expect("qBittorrent announces on demand");
    finish_download(&mut leecher, &torrent, added);
    println!("{generation}: a tracker that was killed seeds again after {:.1} s", seeds.as_secs_f64());
    assert_eq!(leecher.wasted().expect("qBittorrent tells"), 0);
}

/// Waits until the tracker says this of whether it gives a torrent.
fn wait_for_state(tracker: &Tracker, torrent: &Torrent, expected: &str) {
    wait_for(&format!("the tracker to say {expected}"), NOTICED, || {
        let seeding = seeding(tracker, torrent.info_hash())?;
        ensure!(seeding["state"] == expected, "{seeding}");
        Ok(())
    });
}

/// Waits until the log of the tracker on this host says this.
fn wait_for_log(machine: &Host, text: &str) {
    wait_for("the tracker to say what happened", NOTICED, || {
        let log = fs::read_to_string(machine.folder.join("tracker.log"))?;
        ensure!(log.contains(text), "{log}");
        Ok(())
    });
}

/// What the tracker says of what it gives of a torrent.
fn seeding(tracker: &Tracker, info_hash: &str) -> anyhow::Result<Value> {
    tracker.ask(&Request::get(&format!("/api/v1/torrents/{info_hash}/seeding")))
}

/// The bytes of a torrent that the tracker has given so far.
fn given(tracker: &Tracker, info_hash: &str) -> u64 {
    let seeding = seeding(tracker, info_hash).expect("the dashboard knows the torrent");
    seeding["bytes"].as_u64().expect("a number of bytes")
}

/// Has the tracker check a damaged file again, as the operator does on its page.
fn check_again(tracker: &Tracker, torrent: &Torrent) {
    let target = format!("/api/v1/torrents/{}/seeding/check", torrent.info_hash());
    let request = Request { method: "POST", target: &target, ..Request::default() };
    tracker.ask(&request).expect("the tracker checks the file");
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Writes these bytes at this place of a file.
fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(path).expect("a file can be written");
    file.seek(SeekFrom::Start(at)).expect("a file has places");
    file.write_all(bytes).expect("a file can be written");
}

/// The last byte of a file in memory, which changes without a trace in the times of the file, as a disk may lose one.
struct LastByte {
    program: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl LastByte {
    /// A page that was written once stays writable, and as nothing is written back to a disk, nobody looks at it again.
    const SCRIPT: &str = "import mmap, sys\n\
        file = open(sys.argv[1], 'r+b')\n\
        bytes = mmap.mmap(file.fileno(), 0)\n\
        bytes[-1] = bytes[-1]\n\
        print(flush=True)\n\
        for _ in sys.stdin:\n    bytes[-1] ^= 1\n    print(flush=True)\n";

    fn map(path: &Path) -> Self {
        let mut program = Command::new("python3")
            .args(["-c", Self::SCRIPT, path_of(path)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let orders = program.stdin.take().expect("it is piped");
        let answers = BufReader::new(program.stdout.take().expect("it is piped"));
        let mut last_byte = Self { program, orders, answers };
        last_byte.wait();
        last_byte
    }

    fn flip(&mut self) {
        self.orders.write_all(b"\n").expect("Python listens");
        self.wait();
    }

    fn wait(&mut self) {
        let length = self.answers.read_line(&mut String::new()).expect("Python answers");
        assert_ne!(length, 0, "Python has ended");
    }
}

impl Drop for LastByte {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        _ = self.program.kill();
        _ = self.program.wait();
    }
}

/// The tracker makes a torrent of what is in its share folder. Returns the info-hash.
fn make_torrent(tracker: &Tracker, name: &str, privacy: Privacy) -> String {
    let order = json!({ "path": name, "private": privacy == Privacy::Private }).to_string();
    let headers = [("Content-Type", "application/json")];
    let request = Request { method: "POST", target: "/api/v1/makings", headers: &headers, body: order.as_bytes() };
    tracker.ask(&request).expect("the tracker makes torrents");
    tracker.wait_until_hashed(name)
}

/// The .torrent of the tracker's page with this announce URL and without web seeds.
fn torrent_without_web_seed(host: &Host, tracker: &Tracker, content: &Content, info_hash: &str, url: &str) -> Torrent {
    let torrent = web_seed::torrent_from_the_page(host, tracker, content);
    assert_eq!(torrent.info_hash(), info_hash);
    let metainfo =
        Metainfo::parse(&fs::read(torrent.path()).expect("a .torrent can be read")).expect("it was read before");
    let edited = metainfo.edit().trackers(&[vec![url.to_owned()]]).web_seeds(&[]).finish();
    let path = host.folder.join(format!("{info_hash}.torrent"));
    fs::write(&path, edited).expect("a .torrent can be written");
    Torrent::read(content, path).expect("what was edited can be read")
}
