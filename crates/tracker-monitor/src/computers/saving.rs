//! Saving and restoring lessons and the history.

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tracker_core::Instant;
use tracker_host::Clock;

use super::next_lesson::forget_oldest;
use super::{Computers, State, exact};
use crate::Lessons;
use crate::history::History;
use crate::lesson::{FileNumber, Lesson, SavedLesson, answers};
use crate::saved::{SavedHistory, SavedLessons, SavedMonitor, Times};

/// The pause after a part of the files, in which others get their turn.
const PAUSE: Duration = Duration::from_micros(200);

/// What was taken in of an earlier run of the program.
#[derive(Debug)]
pub(super) struct Restored {
    /// The current lesson.
    pub(super) lesson: Lesson,
    /// The lessons before it, the oldest first.
    pub(super) past: VecDeque<Arc<Lesson>>,
    /// The addresses of this machine, and the speed of its link, until they are known anew.
    pub(super) own: Vec<IpAddr>,
    pub(super) link_speed: Option<u64>,
    pub(super) history: History,
    /// When the program stopped, if that was so long ago that the current lesson has ended.
    pub(super) long_stopped: Option<Instant>,
}

impl Restored {
    /// What was saved, at this time of day. Without a current lesson a new one begins, and so it does if the lesson is among those that
    /// have ended: the program was killed before it had saved the next one.
    pub(super) fn new(monitor: &SavedMonitor, lessons: &SavedLessons, clock: Clock, wall: SystemTime) -> Self {
        let times = Times::new(wall, exact(clock, clock.now()));
        let mut past: Vec<_> = lessons.lessons.iter().filter_map(|lesson| lesson.restore(true, times)).collect();
        // The sort is stable: of two with the same number the first one stays.
        past.sort_by_key(|lesson| lesson.number);
        past.dedup_by_key(|lesson| lesson.number);
        let next = past.last().map_or(1, |last| last.number + 1);
        let current = monitor.lesson.as_ref().and_then(|lesson| lesson.restore(false, times.of_saved(monitor.saved())));
        let current = current.filter(|lesson| lesson.number >= next);
        let saved = monitor.lesson.as_ref().filter(|_| current.is_some());
        let stopped = times.instant(monitor.saved());
        let is_long = times.now().since(stopped) >= Lessons::MAX_PAUSE;
        let long_stopped = current.as_ref().filter(|lesson| is_long && lesson.weight() > 0).map(|_| stopped);
        if let Some(lesson) = current.as_ref().filter(|lesson| long_stopped.is_none() && lesson.weight() > 0) {
            let number = lesson.number;
            tracing::info!(
                event = "lesson_goes_on",
                lesson = number,
                "lesson {number} goes on where it was; to count anew, begin a new one on the page Report"
            );
        }
        let lesson = match current {
            // Nothing was in it that would be worth a report.
            Some(empty) if is_long && long_stopped.is_none() => Lesson::new(empty.number, times.now()),
            Some(lesson) => lesson,
            None => Lesson::new(next, times.now()),
        };
        let mut past = past.into_iter().map(Arc::new).collect();
        forget_oldest(&mut past);
        Self {
            lesson,
            past,
            own: saved.map(SavedLesson::own).unwrap_or_default(),
            link_speed: saved.and_then(|lesson| lesson.link_speed),
            history: History::restored(&monitor.history, times, monitor.saved(), wall),
            long_stopped,
        }
    }
}

impl Computers {
    /// The history of an earlier run of the program, once.
    pub(crate) fn take_history(&self) -> History {
        let mut history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut history, History::new())
    }

    /// The current lesson, beside a history.
    pub(crate) fn save(&self, history: SavedHistory, wall: SystemTime) -> SavedMonitor {
        // What was sent until now belongs to it.
        self.take_uploads();
        let times = self.times(wall);
        loop {
            let answered = self.answered();
            let (mut saved, mut next) = {
                let State { lesson, own, link_speed, .. } = &*self.state();
                let mut saved = lesson.save_head(times);
                saved.set_network(own, *link_speed);
                saved.answers = answers(&lesson.answers(&answered));
                (saved, Some(FileNumber::FIRST))
            };
            let (mut room, mut has_changed) = (SavedLesson::MAX_WEIGHT, false);
            while let Some(from) = next.filter(|_| !has_changed) {
                let state = self.state();
                has_changed = state.lesson.number != saved.number;
                next = saved.add_files(&state.lesson, from, &mut room, times);
                if next.is_some() {
                    drop(state);
                    thread::sleep(PAUSE);
                }
            }
            // Otherwise the operator has begun another one meanwhile.
            if !has_changed {
                return SavedMonitor::new(history, saved, wall);
            }
        }
    }

    /// The lessons before the current one.
    pub(crate) fn save_past(&self, wall: SystemTime) -> SavedLessons {
        let times = self.times(wall);
        let mut room = SavedLesson::MAX_WEIGHT;
        let mut lessons = Vec::new();
        for lesson in self.past().iter().rev() {
            let times = lesson.end.as_ref().map_or(times, |end| times.with_zero(end.zero));
            let (saved, weight) = self.look_at(lesson, |look| SavedLesson::of_past(look, room, times));
            // One that was cut short may be the only one; others are left out as a whole.
            if saved.is_cut_short(lesson) && !lessons.is_empty() {
                break;
            }
            room -= weight;
            lessons.push(saved);
        }
        lessons.reverse();
        SavedLessons::new(lessons)
    }

    pub(super) fn times(&self, wall: SystemTime) -> Times {
        Times::new(wall, exact(self.0.clock, self.0.clock.now()))
    }
}
