//! The end of a lesson, and the beginning of the next one.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

use tracker_core::Instant;

use super::Computers;
use crate::Lessons;
use crate::lesson::{Lesson, LessonEnd};

impl Computers {
    /// The number of the current lesson, and how many copies were seen to become complete in it.
    pub(crate) fn finished(&self) -> (u32, u64) {
        let lesson = &self.state().lesson;
        (lesson.number, lesson.finished)
    }

    /// Begins a new lesson at this time of day. Returns its number.
    pub(crate) fn next_lesson(&self, wall: SystemTime) -> u32 {
        // What was sent until now belongs to the lesson that ends.
        self.take_uploads();
        self.end_lesson(None, wall)
    }

    /// Ends the current lesson at an earlier time, or else now, and begins the next one now, at this time of day. Returns the number of
    /// that.
    pub(super) fn end_lesson(&self, at: Option<Instant>, wall: SystemTime) -> u32 {
        let zero = self.times(wall).zero();
        let (listed, answered) = (self.0.names.listed(), self.answered());
        let state = &mut *self.state();
        let now = self.now(state);
        let (round, own, link_speed) = (state.round, state.own.clone(), state.link_speed);
        let mut next = state.lesson.next(round, now);
        next.answered_before = answered.clone();
        let number = next.number;
        let mut ended = mem::replace(&mut state.lesson, next);
        let name = |&address| Some((address, self.0.names.of(&ended.addresses(address))?.name));
        let names = ended.computers().keys().filter_map(name).collect();
        let listed = listed.map(|listed| ended.by_known_address(listed));
        let at = at.map_or(now, |at| at.max(ended.started));
        ended.finish(LessonEnd { at, zero, round, listed, names, own, counted: None, link_speed, answered });
        state.past.push_back(Arc::new(ended));
        forget_oldest(&mut state.past);
        number
    }
}

/// Forgets the oldest lessons of too many.
pub(super) fn forget_oldest(past: &mut VecDeque<Arc<Lesson>>) {
    let mut weight = past.iter().map(|lesson| lesson.weight()).sum::<usize>();
    while past.len() > Lessons::MAX_PAST || weight > Lesson::MAX_COPIES {
        let Some(oldest) = past.pop_front() else { break };
        weight -= oldest.weight();
    }
}
