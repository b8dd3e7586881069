//! Helpers that the tests of this crate share: a dashboard of a small tracker, and requests to it.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use dashboard::{Dashboard, DashboardConfig};
use http_body_util::BodyExt;
use metainfo::Create;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tempfile::TempDir;
use torrent_library::{
    Contents, Digests, Library, LibraryConfig, Share, SharedFolder, SharedFolderConfig, TorrentJobs,
};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;
use tracker_core::{AnnounceEvent, AnnounceRequest, Config, InfoHash, Peer, PeerId, Peers, Shards};
use tracker_host::{AnswerTimes, Clock, Events};
use tracker_host::{Bind, Bound, Service, ServiceError};
use tracker_monitor::{
    Computers, ComputersConfig, Failures, LogBuffer, Observer, PeerSightings, SeenConnection, SeenPeer, SeenSeeding,
    SeenTorrent,
};

/// A torrent name with a script that no page may run.
pub(crate) const HOSTILE_NAME: &str = "<script>alert('1')<script>.bin";

/// The host that requests are for.
pub(crate) const HOST_NAME: &str = "127.0.0.1:6970";

/// Whence who may change things asks.
pub(crate) const OPERATOR: &str = "127.0.0.1:50000";

/// Whence who may only look asks.
pub(crate) const VIEWER: &str = "192.168.1.77:50000";

/// The time after which a test gives up, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A dashboard of a tracker with
///
/// - the torrent `film`: known, 40,000 bytes, with a seeder, two leechers and a partial seed;
/// - the torrent `hostile`: known, named [`HOSTILE_NAME`], without peers;
/// - the torrent `unknown`: one seeder.
///
/// Its share folder has what the first two torrents are made of, and a folder `course` with a file.
pub(crate) struct Fixture {
    pub(crate) dashboard: Dashboard,
    pub(crate) shards: Arc<Shards>,
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
    pub(crate) log_buffer: LogBuffer,
    pub(crate) service: Service,
    pub(crate) opener: FakePorts,
    pub(crate) library: Library,
    /// Empty, unless the share folder is followed.
    pub(crate) contents: Contents,
    pub(crate) film: InfoHash,
    pub(crate) hostile: InfoHash,
    pub(crate) unknown: InfoHash,
    /// Holds the folders `torrents` and `share`.
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::build(|_| {}, false, None, |_| {})
    }

    /// With another configuration of the dashboard.
    pub(crate) fn with(change: impl FnOnce(&mut DashboardConfig)) -> Self {
        Self::build(|_| {}, false, None, change)
    }

    /// Follows the share folder, in which `prepare` puts what it likes before.
    pub(crate) fn following(prepare: impl FnOnce(&Path)) -> Self {
        Self::build(prepare, true, None, |_| {})
    }

    /// Follows the share folder, with another configuration of the dashboard.
    pub(crate) fn following_with(change: impl FnOnce(&mut DashboardConfig)) -> Self {
        Self::build(|_| {}, true, None, change)
    }

    /// With an own peer of the tracker that sees this.
    pub(crate) fn seeing(sightings: &FakeSightings) -> Self {
        Self::build(|_| {}, false, Some(Arc::new(sightings.clone())), |_| {})
    }

    /// Follows the share folder, and has an own peer of the tracker that sees this.
    pub(crate) fn following_and_seeing(sightings: &FakeSightings, prepare: impl FnOnce(&Path)) -> Self {
        Self::build(prepare, true, Some(Arc::new(sightings.clone())), |_| {})
    }

    /// Has an own peer of the tracker that sees this, and another configuration.
    pub(crate) fn seeing_with(sightings: &FakeSightings, change: impl FnOnce(&mut DashboardConfig)) -> Self {
        Self::build(|_| {}, false, Some(Arc::new(sightings.clone())), change)
    }

    fn build(
        prepare: impl FnOnce(&Path),
        follows: bool,
        sightings: Option<Arc<dyn PeerSightings>>,
        change: impl FnOnce(&mut DashboardConfig),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (torrents, share) = (folder.path().join("torrents"), folder.path().join("share"));
        fs::create_dir_all(&torrents).unwrap();
        fs::create_dir_all(share.join("course")).unwrap();
        fs::write(share.join("course/notes.txt"), "notes").unwrap();
        fs::write(share.join("film.mkv"), [7; 40_000]).unwrap();
        let (film, bytes) = torrent(Create::new(share.join("film.mkv")));
        fs::write(torrents.join("film.torrent"), bytes).unwrap();
        let (hostile, bytes) = torrent(Create::new(share.join("course/notes.txt")).name(HOSTILE_NAME));
        fs::write(torrents.join("hostile.torrent"), bytes).unwrap();
        let unknown = InfoHash::new([0xab; 20]);
        prepare(&share);

        let config = Config::default().with(|config| {
            config.interval_jitter_percent = 0;
            config.max_pending_events = 1000;
        });
        let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
        let shards = Arc::new(shards);
        let clock = Clock::start();
        for (info_hash, ip, name, left, event) in [
            (film, "192.168.1.10", "-qB5010-", 0, AnnounceEvent::Started),
            (film, "192.168.1.11", "-TR4060-", 10_000, AnnounceEvent::Started),
            (film, "192.168.1.12", "-lt2080-", 40_000, AnnounceEvent::Started),
            (film, "fd00::13", "-DE211s-", 20_000, AnnounceEvent::Paused),
            (unknown, "192.168.1.10", "-qB5010-", 0, AnnounceEvent::Started),
        ] {
            announce(&shards, &clock, info_hash, ip, name, left, event);
        }

        let library = Library::open(LibraryConfig::default().with(|config| config.torrents = Some(torrents))).unwrap();
        let failures = || Failures { http: 3, udp: 4, closed_connections: 5 };
        let events = Events::start(Arc::clone(&shards)).unwrap();
        let answer_times = AnswerTimes::new();
        let config = ComputersConfig::new(clock, library.clone());
        let computers = Computers::start(config.with(|config| {
            config.answer_times = vec![answer_times.clone()];
            config.sightings = sightings;
        }))
        .unwrap();
        answer_times.record(1000, Duration::from_micros(20));
        let observer = Observer::start(&events, computers, failures).unwrap();
        let (log_buffer, opener) = (LogBuffer::new(), FakePorts::default());
        let service = Service::new(opener.clone());
        let (share, contents) = (Share::open(share).unwrap(), observer.computers().contents().clone());
        let shared_folder = || {
            SharedFolder::start(share.clone(), library.clone(), contents.clone(), SharedFolderConfig::default())
                .unwrap()
        };
        let shared_folder = follows.then(shared_folder);
        let config = DashboardConfig::new(
            Arc::clone(&shards).into(),
            clock,
            observer.clone(),
            log_buffer.clone(),
            service.clone(),
            library.clone(),
        )
        .with(|config| {
            config.torrent_jobs = Some(match &shared_folder {
                Some(folder) => TorrentJobs::of(folder.clone()),
                None => TorrentJobs::new(share.clone(), library.clone()),
            });
            config.shared_folder = shared_folder;
            config.digests = Some(Digests::new(share, library.clone()));
            change(config);
        });
        let dashboard = Dashboard::new(config);
        Self {
            dashboard,
            shards,
            clock,
            observer,
            log_buffer,
            service,
            opener,
            library,
            contents,
            film,
            hostile,
            unknown,
            folder,
        }
    }

    pub(crate) fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// Asks as somebody who may.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(sender_for(target), Method::GET, target, Body::empty()).await
    }

    pub(crate) async fn post(&self, target: &str, body: impl Into<Body>) -> Answer {
        self.send(OPERATOR, Method::POST, target, body.into()).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
        self.send(OPERATOR, Method::DELETE, target, Body::empty()).await
    }

    /// As a browser or a script on the machine `from` would. A body that begins with `{` is sent as JSON.
    pub(crate) async fn send(&self, from: &str, method: Method, target: &str, body: Body) -> Answer {
        let mut request = request(from, method, target, Body::empty());
        let body = body.collect().await.unwrap().to_bytes();
        if body.starts_with(b"{") {
            request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
        }
        *request.body_mut() = body.into();
        Answer::read(self.respond(request).await).await
    }

    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        self.dashboard.router().oneshot(request).await.unwrap()
    }

    /// Logs what `work` logs.
    pub(crate) fn log(&self, work: impl FnOnce()) {
        let subscriber = tracing_subscriber::registry().with(self.log_buffer.layer());
        tracing::subscriber::with_default(subscriber, work);
    }

    /// Asks again until the answer is as wanted: what is shown of the tracker is up to two seconds old.
    pub(crate) async fn get_until(&self, target: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        self.get_until_as(sender_for(target), target, wanted).await
    }

    /// The same as somebody on the machine `from`.
    pub(crate) async fn get_until_as(&self, from: &str, target: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let started = std::time::Instant::now();
        loop {
            let answer = self.send(from, Method::GET, target, Body::empty()).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(started.elapsed() < DEADLINE, "{target} never became as wanted; at last it was {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.observer.finish();
    }
}

/// Whence somebody asks for this who may.
fn sender_for(target: &str) -> &'static str {
    let is_of_share = ["/api/v1/share", "/api/v1/makings"].iter().any(|path| target.starts_with(path));
    if is_of_share { OPERATOR } else { VIEWER }
}

/// A request for [`HOST_NAME`] from there; one that changes something comes from a page of that host.
pub(crate) fn request(from: &str, method: Method, target: &str, body: Body) -> Request<Body> {
    let mut request = Request::builder().method(&method).uri(target).header(HOST, HOST_NAME).body(body).unwrap();
    if method != Method::GET {
        request.headers_mut().insert(ORIGIN, format!("http://{HOST_NAME}").parse().unwrap());
    }
    let from: SocketAddr = from.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(from));
    request
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Holds that it is a problem of this status, and returns its sentence.
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let sentence = self.json()["error"].as_str().expect("a sentence").to_owned();
        assert!(sentence.len() > 15, "{sentence}");
        sentence
    }
}

/// An own peer of the tracker that sees what a test says. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeSightings(Arc<Mutex<Seen>>);

/// What is seen, in whatever swarm.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) peers: HashMap<IpAddr, SeenPeer>,
    pub(crate) connections: Vec<SeenConnection>,
    pub(crate) pairs: Vec<(SocketAddr, SocketAddr)>,
    pub(crate) torrent: Option<SeenTorrent>,
    pub(crate) seeding: SeenSeeding,
    /// Who is served.
    pub(crate) served: Vec<IpAddr>,
}

impl FakeSightings {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }
}

impl PeerSightings for FakeSightings {
    fn look(&self, _: &InfoHash, peers: &[Peer], seen: &mut Vec<Option<SeenPeer>>) {
        let state = self.seen();
        seen.extend(peers.iter().map(|peer| state.peers.get(&peer.address.ip()).cloned()));
    }

    fn connections(&self, _: &InfoHash) -> Vec<SeenConnection> {
        self.seen().connections.clone()
    }

    fn unreachable_pairs(&self, _: &InfoHash) -> Vec<(SocketAddr, SocketAddr)> {
        self.seen().pairs.clone()
    }

    fn torrent(&self, _: &InfoHash) -> Option<SeenTorrent> {
        self.seen().torrent.clone()
    }

    fn seeding(&self, _: &InfoHash) -> SeenSeeding {
        self.seen().seeding.clone()
    }

    fn seeding_state(&self, info_hash: &InfoHash) -> tracker_monitor::SeedingState {
        self.seeding(info_hash).state
    }

    fn serves(&self, _: &InfoHash, address: IpAddr) -> bool {
        self.seen().served.contains(&address)
    }

    fn open_connections(&self) -> usize {
        7
    }
}

/// Takes no ports.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakePorts(Arc<FakePortsState>);

#[derive(Debug, Default)]
struct FakePortsState {
    refusal: Mutex<Option<String>>,
    serving: AtomicU32,
}

impl FakePorts {
    /// Fails from now on with this line, or not.
    pub(crate) fn refuse(&self, refusal: Option<&str>) {
        *self.0.refusal.lock().unwrap() = refusal.map(str::to_owned);
    }

    /// The number of servers that run.
    pub(crate) fn serving(&self) -> u32 {
        self.0.serving.load(Ordering::SeqCst)
    }
}

impl Bind for FakePorts {
    fn bind(&self) -> Result<Bound, ServiceError> {
        if let Some(refusal) = &*self.0.refusal.lock().unwrap() {
            return Err(refusal.clone().into());
        }
        self.0.serving.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&self.0);
        Ok(Bound {
            addresses: vec!["0.0.0.0:6969".parse().unwrap(), "[::]:6969".parse().unwrap()],
            announce_urls: vec!["http://192.168.1.1:6969/announce".into(), "udp://192.168.1.1:6969/announce".into()],
            serve: Box::new(move |stop| {
                Box::pin(async move {
                    stop.await;
                    state.serving.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            }),
        })
    }
}

/// Makes a torrent.
pub(crate) fn torrent(create: Create) -> (InfoHash, Vec<u8>) {
    let created = create.plan().unwrap().hash(&AtomicBool::new(false), |_| {}).unwrap();
    (created.info_hash().to_string().parse().unwrap(), created.as_bytes().to_vec())
}

/// Announces, as a client at port 6881 of `ip` whose peer id begins with `name`.
pub(crate) fn announce(
    shards: &Shards,
    clock: &Clock,
    info_hash: InfoHash,
    ip: &str,
    name: &str,
    left: u64,
    event: AnnounceEvent,
) {
    let mut peer_id = [b'x'; 20];
    peer_id[..name.len()].copy_from_slice(name.as_bytes());
    let remote: IpAddr = ip.parse().unwrap();
    let request = AnnounceRequest::new(
        info_hash,
        PeerId::new(peer_id),
        remote,
        if remote.is_ipv4() { [192, 168, 1, 1].into() } else { "fd00::1".parse().unwrap() },
        6881,
    )
    .with_left(left)
    .with_event(event)
    .with_numwant(0);
    shards.announce(clock.now(), &mut StdRng::seed_from_u64(2), &request, &mut Peers::default()).unwrap();
}
