//! The lessons.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::computers::Look;
use crate::saved::SavedLessons;
use crate::{Computers, LessonReport, LessonSummary};

/// The lessons: the current one, and those before it. Cheap to clone; all clones are one.
///
/// The first begins with the program, and each lasts until the operator begins the next. Those that were
/// [saved](crate::Observer::save) go on after a restart that comes within [`MAX_PAUSE`](Self::MAX_PAUSE). The last [`MAX_PAST`](Self::MAX_PAST) before the current one are kept, with a
/// million copies of files on computers in all of them, where a file itself counts as 16 copies; of these, a hundred thousand
/// outlive the program. One that has ended is shown with the names that computers had then.
#[derive(Debug, Clone)]
pub struct Lessons(Computers);

impl Lessons {
    /// Lessons before the current one, at most.
    pub const MAX_PAST: usize = 100;

    /// If the program does not run for so long, a saved lesson does not go on: it ended when the program did. Longer than a break,
    /// and shorter than a night.
    pub const MAX_PAUSE: Duration = Duration::from_secs(6 * 3600);

    pub(crate) fn new(computers: Computers) -> Self {
        Self(computers)
    }

    /// Begins a new lesson. Returns its number. What computers have that are there, and what they are downloading, goes on in it.
    pub fn begin(&self) -> u32 {
        let number = self.0.next_lesson(SystemTime::now());
        tracing::info!(event = "lesson_began", lesson = number, "lesson {number} has begun");
        number
    }

    /// The lessons before the current one, to be saved. If there are too many, the oldest are left out. No lock is held meanwhile. With a
    /// million copies it takes about a tenth of a second.
    pub fn save_past(&self) -> SavedLessons {
        self.0.save_past(SystemTime::now())
    }

    /// The number of the current lesson.
    pub fn current(&self) -> u32 {
        self.0.finished().0
    }

    /// The number of the current lesson, and how many copies of files were seen to become complete in it since the program began: what
    /// should soon be saved when it changes.
    pub fn finished(&self) -> (u32, u64) {
        self.0.finished()
    }

    /// All lessons, the current one first. `zero` is the time of day at the tracker's zero.
    pub fn list(&self, zero: SystemTime) -> Vec<LessonSummary> {
        let current = self.0.look(|look| LessonSummary::new(look, zero));
        let past = self.0.past().into_iter().rev();
        let past = past.map(|lesson| self.0.look_at(&lesson, |look| LessonSummary::new(look, zero)));
        [current].into_iter().chain(past).collect()
    }

    /// The report of a lesson, without digests; `None` if there is no such lesson, or none any more. `zero` is the time of day at
    /// the tracker's zero. May take a tenth of a second for a large lesson.
    pub fn report(&self, number: u32, zero: SystemTime) -> Option<LessonReport> {
        let (link_speed, answered) = (self.0.link_speed(), self.0.answered());
        let new = |look: &Look<'_>| LessonReport::new(look, zero, link_speed, &answered);
        if let Some(report) = self.0.look(|look| (look.lesson.number == number).then(|| new(look))) {
            return Some(with_names(report, |address| self.0.name(address).map(|name| name.name)));
        }
        let lesson = self.0.past().into_iter().find(|lesson| lesson.number == number)?;
        let end = lesson.end.as_ref()?;
        Some(with_names(self.0.look_at(&lesson, new), |address| end.names.get(&address).cloned()))
    }
}

fn with_names(mut report: LessonReport, name: impl Fn(IpAddr) -> Option<Arc<str>>) -> LessonReport {
    for copy in report.files.iter_mut().flat_map(|file| &mut file.copies) {
        copy.name = name(copy.address);
    }
    report
}
