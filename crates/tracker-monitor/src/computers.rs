//! The computers of a lesson, and which files each of them has.

mod config;
mod connections;
mod in_progress;
mod next_lesson;
mod rows;
mod saving;
mod seeding;
#[cfg(test)]
mod tests;
mod transfers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use torrent_library::{ContentKey, Contents, KnownTorrents, Library};
use tracker_core::{Event, EventKind, InfoHash, Instant};
use tracker_host::{AnswerCounts, AnswerTimes, Clock};

use crate::downloads::Transfers;
use crate::history::History;
use crate::lesson::{Copy, FileRecord, Lesson, LessonEnd, Roster};
use crate::names::Names;
use crate::observer::Observation;
use crate::{
    CompletionPoint, ComputerName, Downloads, FileProgress, Lessons, NamesFileError, NetworkPoint, PeerSightings,
    Sample, SeenTorrent, SetNameError,
};

pub use config::ComputersConfig;
pub use connections::{ConnectedComputer, ConnectionGraph};
pub use in_progress::{DownloadsInProgress, StuckFile};
pub use rows::{ComputerRow, CopyRow, OwnCopy};
use saving::Restored;
use seeding::Uploads;
pub use seeding::{SentTo, TorrentSeeding};

/// The shortest time over which rates are measured. When a tick comes late, the next one follows soon; its bytes wait.
const SHORTEST_TICK: Duration = Duration::from_millis(500);

/// The computers of the current lesson: every machine that has asked for something, by BitTorrent or in a browser, since the
/// lesson began. Cheap to clone; all clones are one.
///
/// A computer is an address: those behind network address translation are one. One with addresses of both families is known by
/// that of IPv4 as soon as its BitTorrent client announces a torrent over both; otherwise it is two. This machine is none.
/// Somebody who only looks at the page is none either: a computer comes when it announces a torrent, or begins a download.
///
/// A browser has a file when the last byte was sent to it, and a BitTorrent client when it says so. Both still have it after they
/// have left, unless they come back without.
///
/// A lesson has at most 10,000 computers, half of them with IPv6 addresses, 10,000 files, and a million copies of files on
/// computers. What is beyond is not recorded.
#[derive(Debug, Clone)]
pub struct Computers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    library: Library,
    contents: Contents,
    names: Names,
    transfers: Transfers,
    answer_times: Vec<AnswerTimes>,
    sightings: Option<Arc<dyn PeerSightings>>,
    /// Locked for a moment only; no other lock is taken meanwhile, but that of the names.
    state: Mutex<State>,
    /// The history of an earlier run of the program, for the observer.
    history: Mutex<History>,
}

#[derive(Debug)]
struct State {
    lesson: Lesson,
    /// The oldest first.
    past: VecDeque<Arc<Lesson>>,
    /// The number of the current sweep over all peers, if there are sweeps that see them.
    round: Option<u32>,
    /// Each once.
    own: Vec<IpAddr>,
    /// In bits per second, if it is known.
    link_speed: Option<u64>,
    /// The time of the last tick.
    ticked: Instant,
    /// The exact time since zero at which rates were measured last.
    measured: Duration,
    /// What the tracker's own peer has sent, as far as it was taken in.
    uploads: Uploads,
}

impl Computers {
    /// Begins the first lesson, without a names file. What the operator calls computers is lost when the program ends.
    pub fn new(clock: Clock, library: Library) -> Self {
        Self::start(ComputersConfig::new(clock, library)).expect("there is no names file to be read")
    }

    /// Goes on with the lesson that was saved, or else begins the first one. If the program did not run for
    /// [`Lessons::MAX_PAUSE`], the saved lesson has ended, and the next one begins.
    ///
    /// # Errors
    ///
    /// Returns an error if the names file cannot be read.
    pub fn start(config: ComputersConfig) -> Result<Self, NamesFileError> {
        Self::start_at(config, SystemTime::now())
    }

    /// [`start`](Self::start) at this time of day.
    fn start_at(config: ComputersConfig, wall: SystemTime) -> Result<Self, NamesFileError> {
        let ComputersConfig { clock, library, contents, names_file, given_names, answer_times, sightings, .. } = config;
        let (saved_monitor, saved_lessons) = (config.saved_monitor, config.saved_lessons);
        let names = Names::start(names_file, given_names)?;
        let Restored { mut lesson, past, own, link_speed, history, long_stopped } =
            Restored::new(&saved_monitor, &saved_lessons, clock, wall);
        lesson.answered_before = sum(&answer_times);
        let state = State {
            lesson,
            past,
            round: None,
            own,
            link_speed,
            ticked: clock.now(),
            measured: Duration::ZERO,
            uploads: Uploads::default(),
        };
        let (transfers, state, history) = (Transfers::default(), Mutex::new(state), Mutex::new(history));
        let inner = Inner { clock, library, contents, names, transfers, answer_times, sightings, state, history };
        let computers = Self(Arc::new(inner));
        if let Some(at) = long_stopped {
            computers.end_lesson(Some(at), wall);
        }
        Ok(computers)
    }

    /// What this machine sends over HTTP.
    pub fn downloads(&self) -> Downloads {
        Downloads::new(self.clone())
    }

    /// The lessons.
    pub fn lessons(&self) -> Lessons {
        Lessons::new(self.clone())
    }

    /// Takes these for the addresses of this machine, from now on, and this for the speed of its link in bits per second, if it
    /// is known. Loopback addresses are its own in any case.
    pub fn set_network(&self, addresses: &[IpAddr], link_speed: Option<u64>) {
        let own: BTreeSet<_> = addresses.iter().map(IpAddr::to_canonical).collect();
        let mut state = self.state();
        state.own = own.into_iter().collect();
        state.link_speed = link_speed;
    }

    /// Who has the file or folder with this key, and how far the others are.
    pub fn progress(&self, key: ContentKey) -> FileProgress {
        self.look(|look| look.file(key).map_or_else(|| look.no_progress(), |file| look.progress(file)))
    }

    /// The [progress](Self::progress) of several files, in their order, at one look.
    pub fn progress_of(&self, keys: &[ContentKey]) -> Vec<FileProgress> {
        let progress = |look: &Look<'_>, key: &ContentKey| {
            look.file(*key).map_or_else(|| look.no_progress(), |file| look.progress(file))
        };
        self.look(|look| keys.iter().map(|key| progress(look, key)).collect())
    }

    /// Returns `true` if a BitTorrent client on this machine has all of the file with this key, and is there to give it to
    /// others.
    pub fn is_seeded_here(&self, key: ContentKey) -> bool {
        let is_source = |look: &Look<'_>, copy: &Copy| {
            copy.torrent.as_ref().is_some_and(|torrent| torrent.has_everything && torrent.is_here(look.round))
        };
        self.look(|look| {
            let mut copies = look.file(key).into_iter().flat_map(|file| &file.copies);
            copies.any(|(address, copy)| look.roster.is_own(*address) && is_source(look, copy))
        })
    }

    /// The number of computers that are counted: those in the names file, if there is one, or else all that were seen in this
    /// lesson.
    pub fn count(&self) -> u32 {
        self.look(|look| look.roster.len())
    }

    /// How far the file or folder with this key had come, from the time when somebody first asked for it in this lesson, oldest
    /// first: at most 120 points.
    pub fn plot(&self, key: ContentKey) -> Vec<CompletionPoint> {
        self.look(|look| look.file(key).map(|file| file.plot.points().collect()).unwrap_or_default())
    }

    /// The name of the computer at an address, if it has one.
    pub fn name(&self, address: IpAddr) -> Option<ComputerName> {
        let addresses = self.state().lesson.addresses(address.to_canonical());
        self.0.names.of(&addresses)
    }

    /// The name of the computer at an address, or else the address.
    pub fn name_or_address(&self, address: IpAddr) -> Arc<str> {
        self.name(address).map_or_else(|| address.to_canonical().to_string().into(), |name| name.name)
    }

    /// Gives a computer a name, which goes before all others that it has; an empty one takes it back. May wait for the disk.
    ///
    /// # Errors
    ///
    /// The name is too long, or there are too many. If it cannot be saved, it still holds until the program ends.
    pub fn set_name(&self, address: IpAddr, name: &str) -> Result<(), SetNameError> {
        let addresses = self.state().lesson.addresses(address.to_canonical());
        self.0.names.set(&addresses, name)
    }

    /// Returns `true` for an address of this machine.
    pub fn is_this_machine(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.state().own.contains(&address)
    }

    /// What this machine shares.
    pub fn contents(&self) -> &Contents {
        &self.0.contents
    }

    /// Returns `true` if the tracker's own peer gives a torrent to the peers at this address, as
    /// [`PeerSightings::serves`] says.
    pub fn are_served(&self, swarm_key: &InfoHash, address: IpAddr) -> bool {
        self.sightings().is_some_and(|sightings| sightings.serves(swarm_key, address))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(crate) fn library(&self) -> &Library {
        &self.0.library
    }

    pub(crate) fn transfers(&self) -> &Transfers {
        &self.0.transfers
    }

    /// What the tracker's own peer sees, if there is one.
    pub(crate) fn sightings(&self) -> Option<&dyn PeerSightings> {
        self.0.sightings.as_deref()
    }

    /// Returns `true` if this machine has the content of a torrent and gives it to BitTorrent clients.
    pub(crate) fn is_shared(&self, info_hash: &InfoHash) -> bool {
        self.0.contents.to_seed(info_hash).is_some()
    }

    /// Takes in peers that a sweep has seen, each with the key of its swarm, and the torrents of which it has seen all peers:
    /// `true` if somebody who is there has all of it; and the torrents that peers told of. `round` is the number of the sweep; `None` where the tracker keeps no
    /// details, so that a sweep sees no peers.
    pub(crate) fn see(
        &self,
        round: Option<u32>,
        known: &KnownTorrents,
        observations: &mut Vec<(InfoHash, Observation)>,
        verdicts: &mut Vec<(InfoHash, bool)>,
        named: &mut Vec<(InfoHash, SeenTorrent)>,
    ) {
        let state = &mut *self.state();
        let now = self.now(state);
        let State { lesson, round: current, .. } = state;
        *current = round;
        for (info_hash, observation) in observations.drain(..) {
            let known = known.get(&info_hash);
            let info_hash = known.map_or(info_hash, |known| known.info_hash);
            lesson.see(&info_hash, known.map(|known| &**known), &observation, round.unwrap_or(0), now);
        }
        for (info_hash, has_seeder) in verdicts.drain(..) {
            lesson.set_has_seeder(&info_hash, has_seeder);
        }
        for (info_hash, torrent) in named.drain(..) {
            lesson.name(&info_hash, &torrent);
        }
    }

    /// The displayable name of a torrent, if its .torrent is known or a peer gave its info dictionary.
    pub fn file_name(&self, info_hash: &InfoHash) -> Option<Arc<str>> {
        if let Some(known) = self.0.library.get(info_hash) {
            return Some(Arc::clone(&known.name));
        }
        let state = self.state();
        let file = state.lesson.file(state.lesson.find(ContentKey::Swarm(*info_hash))?);
        file.is_known().then(|| Arc::clone(&file.name))
    }

    /// Takes in an event, again if need be: events come from several listeners.
    pub(crate) fn happened(&self, event: &Event) {
        let known = self.0.library.get(&event.info_hash);
        let info_hash = known.as_ref().map_or(event.info_hash, |known| known.info_hash);
        match &event.kind {
            EventKind::PeerJoined(peer) | EventKind::PeerCompleted(peer) => {
                let size = known.as_ref().map(|known| known.size);
                let observation = Observation::of_event(peer, size, event.at);
                let State { lesson, round, .. } = &mut *self.state();
                lesson.see(&info_hash, known.as_deref(), &observation, round.unwrap_or(0), event.at);
            }
            EventKind::PeerLeft(peer) | EventKind::PeerExpired(peer) => {
                let Observation { address, peer_id, .. } = Observation::of_event(peer, None, event.at);
                self.state().lesson.leave(&info_hash, address, peer_id);
            }
            _ => {}
        }
    }

    /// A second has passed: takes in what was sent since, and takes samples for plots.
    pub(crate) fn tick(&self, now: Instant, sample: &Sample) {
        self.state().ticked = now;
        self.take_uploads();
        let mut in_flight: HashMap<_, u64, RandomState> = HashMap::default();
        for running in self.0.transfers.all() {
            self.take_sent(&running);
            let address = self.state().lesson.known_address(running.address);
            *in_flight.entry((running.content, address)).or_default() += running.in_flight();
        }
        let listed = self.0.names.listed();
        let State { lesson, round, own, measured, .. } = &mut *self.state();
        let unjoined: Vec<_> = lesson.contents_without_torrent().collect();
        for id in unjoined {
            if let Some(info_hash) = self.0.contents.info_hash_of(id) {
                lesson.join(id, info_hash);
            }
        }
        let exact = self.exact(now);
        let passed = exact.saturating_sub(*measured);
        if passed >= SHORTEST_TICK {
            *measured = exact;
            let in_flight = |id, address| in_flight.get(&(id, address)).copied().unwrap_or_default();
            let sent_rate = lesson.tick(passed.as_secs_f64(), in_flight);
            let point = NetworkPoint {
                secs: now.since(lesson.started).as_secs(),
                seeders: sample.seeders,
                leechers: sample.leechers,
                download_rate: sample.download_rate,
                sent_rate,
            };
            lesson.plot.push(now, point);
        }
        let listed = listed.map(|listed| lesson.by_known_address(listed));
        lesson.sample(listed.as_deref(), own, *round, now);
    }

    /// Why the [names file](ComputersConfig::names_file) cannot be read as it is now, so that its last names stay.
    pub fn names_problem(&self) -> Option<String> {
        self.0.names.problem()
    }

    /// Looks at the current lesson.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Look<'_>) -> T) -> T {
        let listed = self.0.names.listed();
        let state = &*self.state();
        let now = self.now(state);
        let State { lesson, round, own, .. } = state;
        let listed = listed.map(|listed| lesson.by_known_address(listed));
        let roster = Roster::new(listed.as_deref(), lesson.computers(), own);
        look(&Look { lesson, roster, round: *round, now, contents: &self.0.contents })
    }

    /// Looks at a lesson that has ended, as it was then.
    pub(crate) fn look_at<T>(&self, lesson: &Lesson, look: impl FnOnce(&Look<'_>) -> T) -> T {
        let LessonEnd { at, round, listed, own, counted, .. } = lesson.end.as_ref().expect("it has ended");
        let roster = Roster::new(listed.as_deref(), lesson.computers(), own).with_len(*counted);
        look(&Look { lesson, roster, round: *round, now: *at, contents: &self.0.contents })
    }

    /// What the tracker has answered since the program began.
    pub(crate) fn answered(&self) -> AnswerCounts {
        sum(&self.0.answer_times)
    }

    /// The lessons before the current one, the oldest first.
    pub(crate) fn past(&self) -> Vec<Arc<Lesson>> {
        self.state().past.iter().cloned().collect()
    }

    /// The speed of this machine's link in bits per second, if it is known.
    pub(crate) fn link_speed(&self) -> Option<u64> {
        self.state().link_speed
    }

    /// The exact time since zero, within the second `now`.
    fn exact(&self, now: Instant) -> Duration {
        exact(self.0.clock, now)
    }

    /// The time, which is never before the last tick.
    fn now(&self, state: &State) -> Instant {
        self.0.clock.now().max(state.ticked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exact time since zero, within the second `now`.
fn exact(clock: Clock, now: Instant) -> Duration {
    let second = Duration::from_secs(1);
    Duration::from_secs(now.as_secs().into()) + second.saturating_sub(clock.until(now + second))
}

fn sum(times: &[AnswerTimes]) -> AnswerCounts {
    times.iter().fold(AnswerCounts::default(), |mut sum, times| {
        sum.add(&times.counts());
        sum
    })
}

/// A lesson as it is looked at.
#[derive(Debug)]
pub(crate) struct Look<'l> {
    pub(crate) lesson: &'l Lesson,
    pub(crate) roster: Roster<'l>,
    pub(crate) round: Option<u32>,
    pub(crate) now: Instant,
    contents: &'l Contents,
}

impl<'l> Look<'l> {
    /// The file with this key: that of its torrent or of its content, whichever is recorded.
    pub(crate) fn file(&self, key: ContentKey) -> Option<&'l FileRecord> {
        let of_key = self.lesson.find(key);
        let number = of_key.or_else(|| match key {
            ContentKey::Id(id) => self.lesson.find(ContentKey::Swarm(self.contents.info_hash_of(id)?)),
            ContentKey::Swarm(_) => self.lesson.find(ContentKey::Id(self.contents.get(key)?.id())),
        });
        number.map(|number| self.lesson.file(number))
    }

    pub(crate) fn progress(&self, file: &FileRecord) -> FileProgress {
        file.progress(self.roster, self.round, self.now)
    }

    /// The progress of a file that nobody has asked for.
    fn no_progress(&self) -> FileProgress {
        FileProgress::of_nobody(self.roster.len())
    }
}
