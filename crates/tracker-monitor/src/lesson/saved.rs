//! A lesson as it is saved.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use torrent_library::displayable;
use tracker_host::AnswerCounts;

use super::saved_copy::SavedCopy;
use super::saved_file::SavedFile;
use super::saved_plot::SavedNetworkPlot;
use super::{ComputerRecord, FileNumber, FileRecord, Lesson, LessonEnd};
use crate::FileProgress;
use crate::computers::Look;
use crate::names::Listed;
use crate::saved::{Times, bytes, is_default};

/// The largest number of a lesson that is believed, so that more can follow.
const MAX_NUMBER: u32 = 1_000_000_000;

/// What is known of a lesson, but for what computers do now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedLesson {
    pub(crate) number: u32,
    started: u64,
    /// The speed of this machine's link in bits per second, as it was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link_speed: Option<u64>,
    /// `None` for the current lesson.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<SavedEnd>,
    /// `true` if there was more than is recorded.
    #[serde(skip_serializing_if = "is_default")]
    is_full: bool,
    /// Times in nanoseconds, and the number of requests that the tracker took at least so long to answer.
    pub(crate) answers: Vec<(u64, u64)>,
    /// The IPv6 and the IPv4 addresses of computers that have both.
    #[serde(skip_serializing_if = "is_default")]
    aliases: Vec<(IpAddr, IpAddr)>,
    computers: Vec<SavedComputer>,
    files: Vec<SavedFile>,
    #[serde(skip_serializing_if = "is_default")]
    plot: SavedNetworkPlot,
}

/// What was known when a lesson ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedEnd {
    at: u64,
    /// Computers that counted.
    counted: u32,
    /// `true` if these were those in the names file.
    has_list: bool,
}

/// A computer of a lesson.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedComputer {
    address: IpAddr,
    first_seen: u64,
    /// The name that it had when the lesson ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    /// `true` for this machine.
    #[serde(default, skip_serializing_if = "is_default")]
    is_own: bool,
    /// `true` if it was in the names file when the lesson ended.
    #[serde(default, skip_serializing_if = "is_default")]
    is_listed: bool,
}

impl SavedLesson {
    /// Copies of files that are saved of the current lesson, and of all lessons before it, at most, where a file itself counts as
    /// [`Lesson::COPIES_PER_FILE`]: as JSON they take some 40 MB.
    pub(crate) const MAX_WEIGHT: usize = 100_000;

    /// Copies that are taken at a time, while others wait: they take about a millisecond.
    const BATCH: usize = 2000;

    /// A lesson that has ended, with files and copies of this weight at most. Returns the weight, too.
    pub(crate) fn of_past(look: &Look<'_>, room: usize, times: Times) -> (Self, usize) {
        let lesson = look.lesson;
        let mut saved = lesson.save_head(times);
        if let Some(LessonEnd { at, listed, names, link_speed, .. }) = &lesson.end {
            saved.end = Some(SavedEnd { at: times.unix(*at), counted: look.roster.len(), has_list: listed.is_some() });
            saved.link_speed = *link_speed;
            for computer in &mut saved.computers {
                computer.name = names.get(&computer.address).cloned();
                computer.is_own = look.roster.is_own(computer.address);
                computer.is_listed = listed.as_ref().is_some_and(|listed| listed.contains_key(&computer.address));
            }
        }
        saved.answers = answers(&lesson.answers(&AnswerCounts::default()));
        let mut left = room;
        for file in lesson.files.values() {
            saved.add_file(file, Some(look.progress(file)), &mut left, times);
        }
        (saved, room - left)
    }

    /// Notes which computers are this machine, and the speed of its link.
    pub(crate) fn set_network(&mut self, own: &[IpAddr], link_speed: Option<u64>) {
        self.link_speed = link_speed;
        for computer in &mut self.computers {
            computer.is_own = own.contains(&computer.address);
        }
    }

    /// The addresses of this machine that are among the computers.
    pub(crate) fn own(&self) -> Vec<IpAddr> {
        let own = self.computers.iter().filter(|computer| computer.is_own);
        own.map(|computer| computer.address.to_canonical()).collect()
    }

    /// Returns `true` if not all of the lesson's files and copies are there.
    pub(crate) fn is_cut_short(&self, lesson: &Lesson) -> bool {
        let copies = self.files.iter().map(|file| file.copies.len()).sum::<usize>();
        self.files.len() < lesson.files.len() || copies < lesson.copies
    }

    fn add_file(&mut self, file: &FileRecord, progress: Option<FileProgress>, room: &mut usize, times: Times) {
        if *room < Lesson::COPIES_PER_FILE {
            self.is_full = true;
            return;
        }
        *room -= Lesson::COPIES_PER_FILE;
        let saved = SavedFile::new(file, progress, *room, times);
        *room -= saved.copies.len();
        self.is_full |= saved.copies.len() < file.copies.len();
        self.files.push(saved);
    }

    /// Adds files of the current lesson, from this one on. Returns the next one; `None` after the last.
    pub(crate) fn add_files(
        &mut self,
        lesson: &Lesson,
        from: FileNumber,
        room: &mut usize,
        times: Times,
    ) -> Option<FileNumber> {
        let mut batch = Self::BATCH;
        for (number, file) in lesson.files.range(from..) {
            if batch == 0 {
                return Some(*number);
            }
            batch = batch.saturating_sub(Lesson::COPIES_PER_FILE + file.copies.len());
            self.add_file(file, None, room, times);
        }
        None
    }

    /// The lesson as it was; `None` if it cannot be. One that has ended is `past`.
    pub(crate) fn restore(&self, past: bool, times: Times) -> Option<Lesson> {
        if !(1..=MAX_NUMBER).contains(&self.number) || self.end.is_some() != past {
            return None;
        }
        // Whatever the clock shows, one that has ended keeps its dates.
        let times = self.end.as_ref().map_or(times, |end| times.of_saved(end.at));
        let mut lesson = Lesson::new(self.number, times.instant(self.started));
        lesson.is_full = self.is_full;
        lesson.plot = self.plot.restore(lesson.started, times);
        for &(nanos, requests) in &self.answers {
            lesson.answered_earlier.add_requests(bytes(requests), Duration::from_nanos(nanos));
        }
        for (v6, v4) in self.aliases.iter().map(|(v6, v4)| (v6.to_canonical(), v4.to_canonical())) {
            if v6.is_ipv6() && v4.is_ipv4() {
                lesson.aliases.insert(v6, v4);
            }
        }
        for SavedComputer { address, first_seen, .. } in &self.computers {
            lesson.add_computer(address.to_canonical(), times.instant(*first_seen));
        }
        for saved in &self.files {
            let Some(file) = saved.restore(times) else { continue };
            lesson.restore_file(file, &saved.copies, times);
        }
        lesson.end = self.end.as_ref().map(|end| self.restore_end(end, times));
        Some(lesson)
    }

    fn restore_end(&self, end: &SavedEnd, times: Times) -> LessonEnd {
        let computers = || self.computers.iter().map(|computer| (computer.address.to_canonical(), computer));
        let name = |computer: &SavedComputer| computer.name.as_deref().map(|name| Arc::from(displayable(name)));
        let listed = computers().filter(|(_, computer)| computer.is_listed);
        let listed: Listed =
            listed.map(|(address, computer)| (address, name(computer).unwrap_or_else(|| "".into()))).collect();
        let names = computers().filter_map(|(address, computer)| Some((address, name(computer)?)));
        let names: HashMap<_, _, RandomState> = names.collect();
        LessonEnd {
            at: times.instant(end.at).max(times.instant(self.started)),
            zero: times.zero(),
            // Nobody is there any more.
            round: None,
            listed: end.has_list.then(|| Arc::new(listed)),
            names,
            own: self.own(),
            counted: Some(end.counted),
            link_speed: self.link_speed,
            answered: AnswerCounts::default(),
        }
    }
}

impl Lesson {
    /// The lesson without its files, and without how long the tracker took to answer.
    pub(crate) fn save_head(&self, times: Times) -> SavedLesson {
        let computer = |(&address, record): (&IpAddr, &ComputerRecord)| SavedComputer {
            address,
            first_seen: times.unix(record.first_seen),
            name: None,
            is_own: false,
            is_listed: false,
        };
        SavedLesson {
            number: self.number,
            started: times.unix(self.started),
            is_full: self.is_full,
            aliases: self.aliases.iter().collect(),
            computers: self.computers.iter().map(computer).collect(),
            plot: SavedNetworkPlot::new(&self.plot),
            ..SavedLesson::default()
        }
    }

    /// Takes in a file from before a restart, within the limits of a lesson. Of two with the same key the first one counts.
    fn restore_file(&mut self, file: FileRecord, copies: &[SavedCopy], times: Times) {
        let is_unknown = !file.is_known();
        let is_there = self.find(file.key()).is_some();
        if is_there
            || self.files.len() >= Self::MAX_FILES
            || is_unknown && self.unknown_files >= Self::MAX_UNKNOWN_FILES
        {
            self.is_full |= !is_there;
            return;
        }
        self.unknown_files += usize::from(is_unknown);
        let (name, size) = (Arc::clone(&file.name), file.size);
        let is_unhashed = file.info_hash.is_none();
        let number = self.add_file(file);
        if let Some(size) = size.filter(|_| is_unhashed) {
            self.unhashed.entry((name, size)).or_insert(number);
        }
        for saved in copies {
            let max_ranges = self.max_ranges();
            let copy = saved.restore(times, max_ranges);
            let (came, fragments) = (copy.came, copy.fragments());
            let is_new = !self.file(number).copies.contains_key(&self.aliases.resolve(saved.address.to_canonical()));
            let Some(place) = self.copy(number, saved.address.to_canonical(), came).filter(|_| is_new) else {
                continue;
            };
            *place = copy;
            self.fragments += fragments;
        }
    }
}

/// Counts as they are saved.
pub(crate) fn answers(counts: &AnswerCounts) -> Vec<(u64, u64)> {
    let nanos = |took: Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    counts.by_time().map(|(took, requests)| (nanos(took), requests)).collect()
}
