//! A lesson: which computers there are, and which files each of them has.
//!
//! Time and everything else come in as arguments. [`Computers`](crate::Computers) keeps the current lesson and the last ones.

mod aliases;
mod copy;
mod file;
mod saved;
mod saved_copy;
mod saved_file;
mod saved_plot;
mod series;
mod torrent_copy;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use torrent_library::{ContentId, ContentKey, KnownTorrent, displayable};
use tracker_core::{InfoHash, Instant, PeerId};
use tracker_host::AnswerCounts;

use aliases::{Aliases, ClientAddresses};
pub(crate) use copy::{Copy, Sent, Wanted};
pub(crate) use file::{FileRecord, Roster};
pub(crate) use saved::{SavedLesson, answers};
pub use series::CompletionPoint;
pub(crate) use series::Plot;
pub(crate) use torrent_copy::TorrentCopy;

use crate::names::Listed;
use crate::observer::Observation;
use crate::{NetworkPoint, PeerStuckReason, SeenTorrent, Way};

/// What a computer does with a file.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq)]
pub enum CopyStatus {
    /// It has all of it.
    HasIt,
    /// It is downloading it.
    Downloading,
    /// It has the files of a folder that it wants, but not all: its BitTorrent client says so, or a browser was sent
    /// those that it asked for.
    HasSelection,
    /// It is downloading it, and gets nothing.
    Stuck(PeerStuckReason),
    /// It has begun, and neither its client nor its browser goes on.
    Stopped,
    /// It has not begun.
    NotBegun,
}

/// The computers and files of a lesson.
#[derive(Debug)]
pub(crate) struct Lesson {
    /// From 1.
    pub(crate) number: u32,
    pub(crate) started: Instant,
    /// What the tracker had answered when it began, since the program began.
    pub(crate) answered_before: AnswerCounts,
    /// What it answered in this lesson before the program was restarted.
    answered_earlier: AnswerCounts,
    /// `None` for the current lesson.
    pub(crate) end: Option<LessonEnd>,
    /// By the addresses by which they are known.
    computers: BTreeMap<IpAddr, ComputerRecord>,
    aliases: Aliases,
    /// Copies that were seen to have become complete.
    pub(crate) finished: u64,
    /// In the order in which they came.
    files: BTreeMap<FileNumber, FileRecord>,
    next_file: u32,
    by_swarm: HashMap<InfoHash, FileNumber, RandomState>,
    by_content: HashMap<ContentId, FileNumber, RandomState>,
    /// Files from before a restart whose torrent was not known, by name and size: contents have other ids since.
    unhashed: HashMap<(Arc<str>, u64), FileNumber, RandomState>,
    /// Files whose .torrent is not known.
    unknown_files: usize,
    /// Copies of all files.
    copies: usize,
    /// Ranges of all copies beyond the first of each.
    fragments: usize,
    /// `true` if something could not be recorded.
    is_full: bool,
    /// When the last samples of files were taken.
    sampled: Option<Instant>,
    pub(crate) plot: Plot<NetworkPoint>,
}

/// What was known when a lesson ended: it is shown with this, whatever changes later.
#[derive(Debug)]
pub(crate) struct LessonEnd {
    pub(crate) at: Instant,
    /// The time of day at the tracker's zero, as it was reckoned then: a clock that is set later changes no date of the lesson.
    pub(crate) zero: SystemTime,
    /// The sweep in which it ended.
    pub(crate) round: Option<u32>,
    /// The names file, if there was one.
    pub(crate) listed: Option<Arc<Listed>>,
    /// The names of computers that were seen.
    pub(crate) names: HashMap<IpAddr, Arc<str>, RandomState>,
    /// The addresses of this machine.
    pub(crate) own: Vec<IpAddr>,
    /// The number of computers that counted, if the list of them is not whole any more.
    pub(crate) counted: Option<u32>,
    /// In bits per second, if it was known.
    pub(crate) link_speed: Option<u64>,
    /// What the tracker had answered since the program began.
    pub(crate) answered: AnswerCounts,
}

/// The number of a file in its lesson.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileNumber(u32);

impl FileNumber {
    /// The smallest one.
    pub(crate) const FIRST: Self = Self(0);
}

/// What is known of a computer beside its copies.
#[derive(Debug, Clone, std::marker::Copy)]
pub(crate) struct ComputerRecord {
    pub(crate) first_seen: Instant,
}

impl Lesson {
    /// Computers of a lesson, at most: as many as a names file can have. At most half of them are IPv6 addresses, of which one
    /// machine can have as many as it likes.
    pub(crate) const MAX_COMPUTERS: usize = 10_000;

    /// Files and folders of a lesson that somebody has asked for, at most.
    pub(crate) const MAX_FILES: usize = 10_000;

    /// Those of them whose .torrent file is not known, at most: anybody can announce any info-hash.
    const MAX_UNKNOWN_FILES: usize = 1000;

    /// Copies of all files on all computers, at most: a thousand files on each of a thousand computers. Each takes about 300
    /// bytes.
    pub(crate) const MAX_COPIES: usize = 1_000_000;

    /// Copies that take as much memory as a file with its plot.
    const COPIES_PER_FILE: usize = 16;

    /// Ranges that are remembered of what a browser was sent of a file, at most.
    const MAX_RANGES: usize = 256;

    /// The same, when there are many of them in all copies together.
    const FEW_RANGES: usize = 4;

    /// Copies that are looked at in a second for the plots of files: they take about a millisecond.
    const COPIES_PER_SECOND: usize = 20_000;

    /// The number of ranges in all copies from which on it is many: they take 16 MB.
    const MANY_FRAGMENTS: usize = 1_000_000;

    pub(crate) fn new(number: u32, started: Instant) -> Self {
        Self {
            number,
            started,
            answered_before: AnswerCounts::default(),
            finished: 0,
            answered_earlier: AnswerCounts::default(),
            end: None,
            computers: BTreeMap::new(),
            aliases: Aliases::default(),
            files: BTreeMap::new(),
            next_file: 0,
            by_swarm: HashMap::default(),
            by_content: HashMap::default(),
            unhashed: HashMap::default(),
            unknown_files: 0,
            copies: 0,
            fragments: 0,
            is_full: false,
            sampled: None,
            plot: Plot::new(Plot::<NetworkPoint>::MAX_OF_LESSON, started),
        }
    }

    /// The lesson after this one, which begins now with what computers have that are there, and with what is in progress.
    pub(crate) fn next(&self, round: Option<u32>, now: Instant) -> Self {
        let mut next = Self::new(self.number + 1, now);
        next.aliases = self.aliases.clone();
        for file in self.files.values() {
            let copies: Vec<_> = file
                .copies
                .iter()
                .filter_map(|(address, copy)| Some((*address, copy.carried_over(file.size, round, now)?)))
                .collect();
            if copies.is_empty() {
                continue;
            }
            let number = next.add_file(file.fresh(now));
            for (address, copy) in copies {
                next.add_computer(address, now);
                next.copies += 1;
                next.file_mut(number).copies.insert(address, copy);
            }
        }
        // Of contents that had been joined with a torrent there are several ids.
        let ids = self.by_content.iter().filter_map(|(id, number)| {
            let file = &self.files[number];
            Some((*id, next.find(file.key())?))
        });
        let ids: Vec<_> = ids.collect();
        next.by_content.extend(ids);
        next
    }

    /// Nothing more is recorded.
    pub(crate) fn finish(&mut self, end: LessonEnd) {
        self.end = Some(end);
        self.files.values_mut().for_each(|file| file.clients = ClientAddresses::default());
    }

    /// What the tracker has answered in it, given what it has answered since the program began.
    pub(crate) fn answers(&self, answered: &AnswerCounts) -> AnswerCounts {
        let answered = self.end.as_ref().map_or(answered, |end| &end.answered);
        let mut answers = answered.since(&self.answered_before);
        answers.add(&self.answered_earlier);
        answers
    }

    /// When it ended; `None` for the current lesson.
    pub(crate) fn ended(&self) -> Option<Instant> {
        self.end.as_ref().map(|end| end.at)
    }

    /// Takes in a peer of a torrent, which is known or not.
    pub(crate) fn see(
        &mut self,
        info_hash: &InfoHash,
        known: Option<&KnownTorrent>,
        observation: &Observation,
        round: u32,
        now: Instant,
    ) -> Option<&Copy> {
        let number = self.file_of_swarm(info_hash, known, now)?;
        // Those of which the tracker keeps no details have no peer id.
        if observation.peer_id != PeerId::new([0; 20])
            && let Some((v6, v4)) = self.file_mut(number).clients.take(observation.peer_id, observation.address)
        {
            self.join_addresses(v6, v4);
        }
        let came = observation.first_seen.max(self.started);
        let copy = self.copy(number, observation.address, came)?;
        let had_it = copy.has_it();
        copy.see(observation, round);
        let has_finished = copy.has_it() && !had_it;
        self.finished += u64::from(has_finished);
        self.copy(number, observation.address, came).map(|copy| &*copy)
    }

    /// A peer has left a torrent.
    pub(crate) fn leave(&mut self, info_hash: &InfoHash, address: IpAddr, peer_id: PeerId) {
        let address = self.aliases.resolve(address);
        let file = self.by_swarm.get(info_hash).and_then(|number| self.files.get_mut(number));
        if let Some(copy) = file.and_then(|file| file.copies.get_mut(&address)) {
            copy.leave(peer_id);
        }
    }

    /// Remembers whether somebody who is there has all of a torrent.
    pub(crate) fn set_has_seeder(&mut self, info_hash: &InfoHash, has_seeder: bool) {
        if let Some(file) = self.by_swarm.get(info_hash).and_then(|number| self.files.get_mut(number)) {
            file.has_seeder = has_seeder;
        }
    }

    /// Takes in what a peer told of a torrent whose .torrent is not known.
    pub(crate) fn name(&mut self, info_hash: &InfoHash, torrent: &SeenTorrent) {
        if let Some(file) = self.by_swarm.get(info_hash).and_then(|number| self.files.get_mut(number)) {
            let is_news = file.know(&torrent.name, torrent.size);
            self.unknown_files = self.unknown_files.saturating_sub(is_news.into());
        }
    }

    /// Takes in what was sent over HTTP. Returns `true` if with it a browser was sent the last byte that the computer had missed.
    pub(crate) fn sent(&mut self, number: FileNumber, address: IpAddr, sent: Sent, now: Instant) -> bool {
        let (max_ranges, address) = (self.max_ranges(), self.aliases.resolve(address));
        let Self { files, fragments, finished, .. } = self;
        let Some(file) = files.get_mut(&number) else { return false };
        let Some(copy) = file.copies.get_mut(&address) else { return false };
        let before = copy.fragments();
        let has_finished = copy.sent(sent, file.size.unwrap_or(u64::MAX), max_ranges, now);
        *fragments = (*fragments + copy.fragments()).saturating_sub(before);
        *finished += u64::from(has_finished);
        has_finished
    }

    /// The tracker's own peer has sent so many more bytes of a file to the client at an address.
    pub(crate) fn uploaded(&mut self, number: FileNumber, address: IpAddr, bytes: u64, now: Instant) {
        let Some(copy) = self.copy(number, address, now) else { return };
        copy.uploaded(bytes, now);
        self.file_mut(number).uploaded_since_tick += bytes;
    }

    /// A transfer over HTTP begins. Returns `true` if it is the first of this file to this computer.
    pub(crate) fn begin(
        &mut self,
        number: FileNumber,
        address: IpAddr,
        way: Way,
        wanted: Wanted<'_>,
        now: Instant,
    ) -> bool {
        let max_ranges = self.max_ranges();
        let Some(copy) = self.copy(number, address, now) else { return false };
        let (is_first, before) = (copy.http.is_none(), copy.fragments());
        copy.begin(way, wanted, max_ranges, now);
        let after = copy.fragments();
        self.fragments = (self.fragments + after).saturating_sub(before);
        is_first
    }

    /// Ranges that a copy may have.
    fn max_ranges(&self) -> usize {
        if self.fragments < Self::MANY_FRAGMENTS { Self::MAX_RANGES } else { Self::FEW_RANGES }
    }

    /// The copy of a file on a computer, if it is recorded.
    pub(crate) fn copy_mut(&mut self, number: FileNumber, address: IpAddr) -> Option<&mut Copy> {
        let address = self.aliases.resolve(address);
        self.files.get_mut(&number)?.copies.get_mut(&address)
    }

    /// So many seconds have passed since the last tick. `in_flight` has the bytes of archives of a content that are being sent to
    /// a computer. Returns the rate at which this machine sent, in bytes per second.
    pub(crate) fn tick(&mut self, secs: f64, in_flight: impl Fn(ContentId, IpAddr) -> u64) -> f64 {
        let mut sent_rate = self.files.values_mut().map(|file| file.tick(secs)).sum();
        let mut contents: HashMap<FileNumber, Vec<ContentId>, RandomState> = HashMap::default();
        self.by_content.iter().for_each(|(id, number)| contents.entry(*number).or_default().push(*id));
        for (number, ids) in contents {
            let Some(file) = self.files.get_mut(&number) else { continue };
            for (address, copy) in file.copies.iter_mut().filter(|(_, copy)| copy.http.is_some()) {
                sent_rate += copy.tick(secs, ids.iter().map(|id| in_flight(*id, *address)).sum());
            }
        }
        sent_rate
    }

    /// Takes samples for the plots of files. With more than some ten thousand copies it takes fewer.
    pub(crate) fn sample(&mut self, listed: Option<&Listed>, own: &[IpAddr], round: Option<u32>, now: Instant) {
        let pause = Duration::from_secs(1 + (self.copies / Self::COPIES_PER_SECOND) as u64);
        if self.sampled.is_some_and(|sampled| now.since(sampled) < pause) {
            return;
        }
        self.sampled = Some(now);
        let roster = Roster::new(listed, &self.computers, own);
        self.files.values_mut().for_each(|file| file.sample(roster, round, now));
    }

    /// The copy of a file on a computer that came now, unless there are too many already.
    pub(crate) fn copy(&mut self, number: FileNumber, address: IpAddr, came: Instant) -> Option<&mut Copy> {
        let address = self.aliases.resolve(address);
        if !self.files.get(&number)?.copies.contains_key(&address) {
            if self.copies >= Self::MAX_COPIES || !self.add_computer(address, came) {
                self.is_full = true;
                return None;
            }
            self.copies += 1;
            self.file_mut(number).copies.insert(address, Copy::new(came));
        }
        self.file_mut(number).copies.get_mut(&address)
    }

    /// The record of the file with this key, if somebody has asked for it.
    pub(crate) fn find(&self, key: ContentKey) -> Option<FileNumber> {
        match key {
            ContentKey::Id(id) => self.by_content.get(&id).copied(),
            ContentKey::Swarm(info_hash) => self.by_swarm.get(&info_hash).copied(),
        }
    }

    pub(crate) fn file(&self, number: FileNumber) -> &FileRecord {
        &self.files[&number]
    }

    pub(crate) fn file_mut(&mut self, number: FileNumber) -> &mut FileRecord {
        self.files.get_mut(&number).expect("numbers are those of files that are there")
    }

    pub(crate) fn files(&self) -> impl ExactSizeIterator<Item = &FileRecord> {
        self.files.values()
    }

    /// Those that have asked for a file, by address; this machine may be among them.
    pub(crate) fn computers(&self) -> &BTreeMap<IpAddr, ComputerRecord> {
        &self.computers
    }

    /// Returns `true` if there were more computers or files than are recorded.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The memory that it takes, in copies of files.
    pub(crate) fn weight(&self) -> usize {
        self.copies + Self::COPIES_PER_FILE * self.files.len()
    }

    /// The record of a torrent, made if need be.
    pub(crate) fn file_of_swarm(
        &mut self,
        info_hash: &InfoHash,
        known: Option<&KnownTorrent>,
        now: Instant,
    ) -> Option<FileNumber> {
        if let Some(&number) = self.by_swarm.get(info_hash) {
            let file = self.files.get_mut(&number).expect("numbers are those of files that are there");
            if let Some(known) = known {
                let is_news = file.know(&known.name, known.size);
                self.unknown_files = self.unknown_files.saturating_sub(is_news.into());
            }
            return Some(number);
        }
        if let Some(number) = known.and_then(|known| self.take_unhashed(&known.name, known.size)) {
            self.file_mut(number).info_hash = Some(*info_hash);
            self.by_swarm.insert(*info_hash, number);
            return Some(number);
        }
        if self.files.len() >= Self::MAX_FILES || known.is_none() && self.unknown_files >= Self::MAX_UNKNOWN_FILES {
            self.is_full = true;
            return None;
        }
        let file = match known {
            Some(known) => FileRecord::new(Arc::clone(&known.name), Some(known.size), now),
            None => {
                self.unknown_files += 1;
                FileRecord::new(info_hash.to_string().into(), None, now)
            }
        };
        Some(self.add_file(FileRecord { info_hash: Some(*info_hash), ..file }))
    }

    /// The record of a content, made if need be.
    pub(crate) fn file_of_content(&mut self, id: ContentId, name: &str, size: u64, now: Instant) -> Option<FileNumber> {
        if let Some(&number) = self.by_content.get(&id) {
            return Some(number);
        }
        let name: Arc<str> = displayable(name).into();
        if let Some(number) = self.take_unhashed(&name, size) {
            self.file_mut(number).content = Some(id);
            self.by_content.insert(id, number);
            return Some(number);
        }
        if self.files.len() >= Self::MAX_FILES {
            self.is_full = true;
            return None;
        }
        let file = FileRecord::new(name, Some(size), now);
        Some(self.add_file(FileRecord { content: Some(id), ..file }))
    }

    /// The contents whose torrent is not known.
    pub(crate) fn contents_without_torrent(&self) -> impl Iterator<Item = ContentId> {
        self.files.values().filter(|file| file.info_hash.is_none()).filter_map(|file| file.content)
    }

    /// A content has this torrent, as is known now: what is recorded of one counts for the other.
    pub(crate) fn join(&mut self, id: ContentId, info_hash: InfoHash) {
        match (self.by_content.get(&id).copied(), self.by_swarm.get(&info_hash).copied()) {
            (None, None) => {}
            (None, Some(of_swarm)) => _ = self.by_content.insert(id, of_swarm),
            (Some(of_content), None) => {
                self.file_mut(of_content).info_hash = Some(info_hash);
                self.by_swarm.insert(info_hash, of_content);
            }
            (Some(of_content), Some(of_swarm)) if of_content != of_swarm => {
                let max_ranges = self.max_ranges();
                let Some(other) = self.files.remove(&of_content) else { return };
                self.copies -= self.file_mut(of_swarm).merge(other, max_ranges);
                let of_both = self.by_content.values_mut().filter(|number| **number == of_content);
                of_both.for_each(|number| *number = of_swarm);
            }
            (Some(_), Some(_)) => {}
        }
    }

    /// The file from before a restart that had no torrent yet, and has this name and size.
    fn take_unhashed(&mut self, name: &Arc<str>, size: u64) -> Option<FileNumber> {
        if self.unhashed.is_empty() {
            return None;
        }
        let number = self.unhashed.remove(&(Arc::clone(name), size))?;
        self.files.contains_key(&number).then_some(number)
    }

    fn add_file(&mut self, file: FileRecord) -> FileNumber {
        let number = FileNumber(self.next_file);
        self.next_file = self.next_file.saturating_add(1);
        self.by_swarm.extend(file.info_hash.map(|info_hash| (info_hash, number)));
        self.by_content.extend(file.content.map(|id| (id, number)));
        self.files.insert(number, file);
        number
    }

    /// Returns `false` if there are too many computers.
    fn add_computer(&mut self, address: IpAddr, now: Instant) -> bool {
        if let Some(record) = self.computers.get_mut(&address) {
            record.first_seen = record.first_seen.min(now);
            return true;
        }
        let is_v6 = address.is_ipv6();
        let most_v6 = Self::MAX_COMPUTERS / 2;
        // Addresses are in order: those of IPv4 come first.
        let v6 = || self.computers.keys().rev().take_while(|address| address.is_ipv6()).take(most_v6).count();
        let has_room = self.computers.len() < Self::MAX_COMPUTERS && (!is_v6 || v6() < most_v6);
        if has_room {
            self.computers.insert(address, ComputerRecord { first_seen: now });
        }
        has_room
    }
}
