//! A tracker that runs.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use torrent_library::{PolicyUpdates, SharedFolder};
use tracker_core::Shards;
use tracker_host::{Events, Service, ServiceState, UploadLimit};
use tracker_monitor::{EventLog, Observer};

use crate::builder::Builder;
use crate::client_service::ClientPorts;
use crate::data_folder::DataFolder;
use crate::error::RunError;
use crate::follower::{AppliedSettings, NetworkSettings};
use crate::handle::TrackerHandle;
use crate::keeper_thread::KeeperThread;
use crate::protocol::Listening;
use crate::urls::{AnnounceUrls, DashboardUrls};

/// A tracker with its page, which was started by a [`Builder`]. Clients are served; the dashboard answers once
/// [`run`](Self::run) is called. It follows the machine when that gets other addresses, or moves to another network. When it is
/// dropped instead, everything stops, also while somebody keeps the [`shards`](Self::shards).
#[derive(Debug)]
pub struct LanTracker {
    pub(crate) shards: Arc<Shards>,
    pub(crate) clients: Service,
    pub(crate) dashboard: Option<dashboard::Server>,
    pub(crate) sinks: EventSinks,
    /// The tracker's own peer, if it has one. It ends when this is dropped.
    pub(crate) own_peer: Option<Arc<tracker_peer::Service>>,
    /// The task that drops silent peers. It is aborted when this is dropped.
    pub(crate) expiry: JoinSet<()>,
    /// Keeps the policy of torrents up to date until this is dropped.
    pub(crate) watching: PolicyUpdates,
    /// The task that follows the addresses of the machine. It is aborted when this is dropped.
    pub(crate) following: JoinSet<Infallible>,
    pub(crate) listening: Listening,
    pub(crate) ports: Arc<ClientPorts>,
    pub(crate) dashboard_urls: Option<watch::Receiver<DashboardUrls>>,
    /// `false` while the name of the dashboard is being taken.
    pub(crate) named: watch::Receiver<bool>,
    pub(crate) shared_folder: Option<SharedFolder>,
    pub(crate) network_settings: watch::Sender<NetworkSettings>,
    pub(crate) applied_settings: watch::Receiver<AppliedSettings>,
    pub(crate) upload_limit: Option<UploadLimit>,
    /// The task that says where the page moves to, and that nobody reaches it. It is aborted when this is dropped.
    pub(crate) reach: JoinSet<()>,
    /// Keeps the swarms, if there is a data folder. Without a last snapshot when this is dropped.
    pub(crate) keeper: Option<KeeperThread>,
    /// Keeps history and lessons, if there are a dashboard and a data folder. Without saving when this is dropped.
    pub(crate) monitor_keeper: Option<KeeperThread>,
    pub(crate) user_keeper: Option<KeeperThread>,
    /// Follows the list of clients until this is dropped.
    pub(crate) client_list: KeeperThread,
    /// Reads the certificate again when it changes, until this is dropped.
    pub(crate) certificate: Option<KeeperThread>,
    /// Locked until this is dropped.
    pub(crate) data: Option<DataFolder>,
}

/// The threads that take in the events of the swarms.
#[derive(Debug)]
pub(crate) struct EventSinks {
    /// Hands them out; `None` if there are no sinks.
    pub(crate) events: Option<Events>,
    pub(crate) log: Option<EventLog>,
    /// For the dashboard.
    pub(crate) observer: Option<Observer>,
}

impl EventSinks {
    /// Waits until all events so far were taken in, and the keepers have kept all. On a thread of its own: the
    /// runtime's thread must see a second signal to stop, and the threads for blocking work may all wait for a disk.
    async fn finish(self, keepers: impl IntoIterator<Item = KeeperThread> + Send + 'static) -> io::Result<()> {
        let (done, finished) = oneshot::channel::<Infallible>();
        let finish = move || {
            if let Some(events) = self.events {
                events.finish();
            }
            if let Some(log) = self.log {
                log.finish();
            }
            if let Some(observer) = self.observer {
                observer.finish();
            }
            keepers.into_iter().for_each(KeeperThread::finish);
            drop(done);
        };
        thread::Builder::new().name("end".into()).spawn(finish)?;
        // An error says that it is done.
        _ = finished.await;
        Ok(())
    }
}

impl LanTracker {
    /// A tracker that is being put together.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The announce URLs, for torrents. They change with the addresses of the machine.
    pub fn announce_urls(&self) -> AnnounceUrls {
        self.ports.announce_urls()
    }

    /// The URLs of the dashboard, if there is one. They change with the addresses of the machine.
    pub fn dashboard_urls(&self) -> Option<DashboardUrls> {
        self.dashboard_urls.as_ref().map(|urls| urls.borrow().clone())
    }

    /// Waits until the [name](Builder::mdns) of the dashboard is taken, or cannot be, and returns its [URLs](Self::dashboard_urls). It
    /// takes about a second, or three in several networks; without a name, no time. The future may outlive the tracker.
    pub fn named_dashboard_urls(&self) -> impl Future<Output = Option<DashboardUrls>> + Send + use<> {
        let (urls, mut named) = (self.dashboard_urls.clone(), self.named.clone());
        async move {
            // An error says that the tracker has ended.
            _ = named.wait_for(|named| *named).await;
            urls.map(|urls| urls.borrow().clone())
        }
    }

    /// The folder that is shared, if there is one.
    pub fn shared_folder(&self) -> Option<&SharedFolder> {
        self.shared_folder.as_ref()
    }

    /// The addresses that are listened on for clients.
    pub fn listening(&self) -> &Listening {
        &self.listening
    }

    /// A handle for the time in which [`run`](Self::run) has the tracker.
    pub fn handle(&self) -> TrackerHandle {
        TrackerHandle::new(self)
    }

    /// The swarms.
    pub fn shards(&self) -> &Arc<Shards> {
        &self.shards
    }

    /// Runs until `stop` is ready or a part fails, and then stops all parts gracefully.
    ///
    /// If the servers for clients fail, it goes on if there is a dashboard, from which they can be started again.
    ///
    /// # Errors
    ///
    /// The part that failed first.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            clients,
            dashboard,
            sinks,
            own_peer: _own_peer,
            mut expiry,
            watching: _watching,
            following: _following,
            reach: _reach,
            keeper,
            monitor_keeper,
            user_keeper,
            client_list: _client_list,
            certificate: _certificate,
            data: _data,
            ..
        } = self;
        let (stop_dashboard, stopped) = oneshot::channel::<Infallible>();
        let mut people = JoinSet::new();
        if let Some(server) = dashboard {
            people.spawn(server.run(async { _ = stopped.await }));
        }
        let has_dashboard = !people.is_empty();
        let mut result = tokio::select! {
            () = stop => Ok(()),
            () = until_stopped(&clients), if !has_dashboard => Ok(()),
            Some(ended) = people.join_next() => dashboard_ended(ended),
            Some(ended) = expiry.join_next() => Err(RunError::Expiry { source: ended.err() }),
        };
        drop(stop_dashboard);
        let was_open = matches!(clients.state(), ServiceState::Running { .. });
        clients.stop().await;
        if let ServiceState::Stopped { error: Some(reason), .. } = clients.state()
            // An earlier error was shown on the dashboard.
            && (was_open || !has_dashboard)
        {
            result = result.and(Err(RunError::Clients { reason }));
        }
        while let Some(ended) = people.join_next().await {
            result = result.and_then(|()| dashboard_ended(ended));
        }
        // A request that was still answered may have started it again.
        clients.stop().await;
        sinks.finish([keeper, monitor_keeper, user_keeper].into_iter().flatten()).await.map_err(RunError::Thread)?;
        result
    }
}

async fn until_stopped(clients: &Service) {
    // An error would say that the service is gone.
    _ = clients.changes().wait_for(|state| matches!(state, ServiceState::Stopped { .. })).await;
}

fn dashboard_ended(ended: Result<io::Result<()>, JoinError>) -> Result<(), RunError> {
    ended?.map_err(RunError::Dashboard)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;
    use std::future::{pending, ready};
    use std::net::SocketAddr;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;
    use tokio::time::{sleep, timeout};
    use torrent_library::ItemState;
    use tracker_core::{AnnounceRequest, InfoHash, Instant, PeerId, Peers};
    use tracker_host::{Clock, unix_seconds};
    use tracker_monitor::{Sample, Span};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Without a dashboard, on a free port of this loopback address.
    async fn start(address: &str) -> LanTracker {
        let here = || [address.parse().unwrap()];
        LanTracker::builder().listen(here()).peer_listen(here()).dashboard(false).start().await.unwrap()
    }

    async fn with_expiry(expiry: impl Future<Output = ()> + Send + 'static) -> RunError {
        let mut tracker = start("127.0.7.5:0").await;
        tracker.expiry = JoinSet::new();
        tracker.expiry.spawn(expiry);
        timeout(PATIENCE, tracker.run(pending())).await.unwrap().unwrap_err()
    }

    #[tokio::test]
    async fn expiry_that_ends_is_a_failure() {
        let error = with_expiry(async { panic!("as a bug would") }).await;
        assert_eq!(error.to_string(), "the expiry task ended unexpectedly");
        assert!(error.source().unwrap().to_string().contains("as a bug would"));
        assert!(with_expiry(ready(())).await.source().is_none());
    }

    /// Shares a folder, and keeps in another what outlives it.
    async fn sharing(
        place: &Path,
    ) -> (SharedFolder, SocketAddr, oneshot::Sender<()>, JoinHandle<Result<(), RunError>>) {
        let here = || ["127.0.7.7:0".parse().unwrap()];
        let builder = LanTracker::builder().listen(here()).dashboard_listen(here()).peer_listen(here());
        let data = DataFolder::open(place.join("data")).unwrap();
        let tracker = builder.share(place.join("share")).data(data).start().await.unwrap();
        let page = tracker.dashboard.as_ref().unwrap().local_addrs()[0];
        let (stop, stopped) = oneshot::channel();
        let folder = tracker.shared_folder().unwrap().clone();
        let running = tokio::spawn(tracker.run(async { _ = stopped.await }));
        (folder, page, stop, running)
    }

    /// The info-hash of what is shared, which is another one than `before`.
    async fn until_shared(folder: &SharedFolder, before: Option<InfoHash>) -> InfoHash {
        let shared = async {
            loop {
                let state = folder.items().items.first().map(|item| item.state.clone());
                match state {
                    Some(ItemState::Shared { info_hash }) if Some(info_hash) != before => return info_hash,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        timeout(PATIENCE, shared).await.expect("it is shared")
    }

    async fn status_of(page: SocketAddr, target: &str) -> String {
        let mut stream = TcpStream::connect(page).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[9..12]).into_owned()
    }

    #[tokio::test]
    async fn what_the_operator_stops_is_given_to_no_client_after_a_restart_either() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("share")).unwrap();
        fs::write(place.path().join("share/film.mkv"), "film").unwrap();
        let (folder, page, stop, running) = sharing(place.path()).await;
        let film = until_shared(&folder, None).await;
        let (seed, download) = (format!("/seed/{film}/film.mkv"), format!("/download/{film}"));
        assert_eq!(status_of(page, &seed).await, "200");
        assert!(folder.stop_seeding(&film));
        assert_eq!((&*status_of(page, &seed).await, &*status_of(page, &download).await), ("503", "200"));
        drop((folder, stop));
        running.await.unwrap().unwrap();

        let (folder, page, stop, running) = sharing(place.path()).await;
        assert_eq!(until_shared(&folder, None).await, film);
        assert_eq!((&*status_of(page, &seed).await, &*status_of(page, &download).await), ("503", "200"));
        assert!(folder.seed_again(&film));
        assert_eq!(status_of(page, &seed).await, "200");

        fs::write(place.path().join("share/film.mkv"), "another film").unwrap();
        let new = until_shared(&folder, Some(film)).await;
        assert_eq!(status_of(page, &format!("/seed/{new}/film.mkv")).await, "200");
        let is_withdrawn = async {
            while status_of(page, &seed).await != "404" {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_withdrawn).await.expect("the old one is withdrawn");
        drop((folder, stop));
        running.await.unwrap().unwrap();
    }

    /// With a dashboard, and with what outlives it in this folder.
    async fn remembering(data: &Path) -> LanTracker {
        let here = || ["127.0.7.8:0".parse().unwrap()];
        let builder = LanTracker::builder().listen(here()).dashboard_listen(here()).peer_listen(here());
        builder.data(DataFolder::open(data).unwrap()).start().await.unwrap()
    }

    async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let is_so = async {
            while !is_so() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_so).await.unwrap_or_else(|_| panic!("{what}"));
    }

    #[tokio::test]
    async fn history_and_lessons_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (computer, film) = ([10, 0, 0, 1].into(), InfoHash::new([7; 20]));
        let tracker = remembering(folder.path()).await;
        let observer = tracker.sinks.observer.clone().unwrap();
        assert_eq!(observer.lessons().begin(), 2);
        let request = AnnounceRequest::new(film, PeerId::new([b'a'; 20]), computer, [10, 0, 0, 2].into(), 6881);
        let now = Clock::start().now();
        tracker.shards().announce(now, &mut rand::rng(), &request.with_left(0), &mut Peers::default()).unwrap();
        until("the computer is seen", || observer.computers().all().iter().any(|row| row.has == 1)).await;
        until("samples are taken", || observer.history(Span::TenMinutes).samples.len() > 1).await;
        timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();
        let zero = || SystemTime::now() - Clock::START.since(Instant::ZERO);
        let (samples, lessons) = (observer.history(Span::TenMinutes).samples, observer.lessons().list(zero()));
        drop(observer);

        let tracker = remembering(folder.path()).await;
        let observer = tracker.sinks.observer.clone().unwrap();
        assert_eq!(observer.lessons().current(), 2);
        let restored = observer.lessons().list(zero());
        assert_eq!((restored.len(), restored[0].files, restored[0].computers), (2, 1, 1));
        assert_eq!(restored[1].computers, lessons[1].computers);
        assert!(restored.iter().zip(&lessons).all(|(after, before)| after.started.abs_diff(before.started) <= 2));
        let rows = observer.computers().all();
        assert!(rows.iter().any(|row| row.address == computer && row.has == 1), "{rows:?}");
        let seconds =
            |samples: &[(SystemTime, Sample)]| samples.iter().map(|(at, _)| unix_seconds(*at)).collect::<Vec<_>>();
        // The last one may be taken anew, in the same second.
        let before = &seconds(&samples)[..samples.len() - 1];
        assert!(seconds(&observer.history(Span::TenMinutes).samples).starts_with(before), "{samples:?}");
        assert_eq!(observer.lessons().begin(), 3);
        drop(observer);
        timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();

        // A damaged file is kept aside, and so is a newer one: the tracker goes on with what it has.
        for (number, text, aside) in [(3, "{", "monitor.json.damaged"), (4, r#"{"version":9}"#, "monitor.json.newer")] {
            fs::write(folder.path().join("monitor.json"), text).unwrap();
            let tracker = remembering(folder.path()).await;
            let lessons = tracker.sinks.observer.as_ref().unwrap().lessons();
            assert_eq!((lessons.current(), lessons.list(zero()).len()), (3, 3));
            if number == 4 {
                lessons.begin();
            }
            timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();
            assert_eq!(fs::read_to_string(folder.path().join(aside)).unwrap(), text);
        }
        let tracker = remembering(folder.path()).await;
        assert_eq!(tracker.sinks.observer.as_ref().unwrap().lessons().current(), 4);
        timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();

        // What cannot be kept aside is not overwritten.
        fs::write(folder.path().join("monitor.json"), "{").unwrap();
        fs::remove_file(folder.path().join("monitor.json.damaged")).unwrap();
        fs::create_dir_all(folder.path().join("monitor.json.damaged/full")).unwrap();
        let tracker = remembering(folder.path()).await;
        timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("monitor.json")).unwrap(), "{");
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_tracker_that_was_stopped() {
        for run in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let list = folder.path().join("allowed.txt");
            fs::write(&list, "").unwrap();
            let here = || ["127.0.7.6:0".parse().unwrap()];
            let builder = LanTracker::builder().listen(here()).dashboard_listen(here()).peer_listen(here());
            let tracker = builder.only_known(true).allow_list(list).start().await.unwrap();
            // Kept by the embedder: they keep nothing running.
            let shards = Arc::clone(tracker.shards());
            if run {
                timeout(PATIENCE, tracker.run(ready(()))).await.unwrap().unwrap();
            } else {
                drop(tracker);
            }
            let is_gone = async {
                while Arc::strong_count(&shards) > 1 {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(PATIENCE, is_gone).await.unwrap_or_else(|_| panic!("something still has the swarms ({run})"));
        }
    }
}
