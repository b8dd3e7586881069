//! Computers, downloads and lessons against a tracker and a share folder.

mod addresses;
mod copies;
mod lessons;
mod rates;
mod saving;
mod seeding;
mod seen;

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

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
        Self::start(memory, SystemTime::now(), change)
    }

    fn start(memory: Memory, wall: SystemTime, change: impl FnOnce(&mut ComputersConfig)) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let config = Config::default().with(|config| {
            config.max_pending_events = 10_000;
            config.max_peers_per_swarm = 100_000;
            config.memory = memory;
        });
        let shards = Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut rng).unwrap());
        let library = Library::open(LibraryConfig::default()).unwrap();
        let contents = Contents::new();
        let config = ComputersConfig::new(Clock::fixed(Instant::ZERO), library).with(|config| {
            config.contents = contents.clone();
            change(config);
        });
        let computers = Computers::start_at(config, wall).unwrap();
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

/// An address of this machine of the same family.
fn local(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [10, 255, 0, 1].into() } else { [0xfd00, 0, 0, 0, 0, 0, 0, 0xffff].into() }
}
